// Made by tools/make_ui_types.py from the server's OpenAPI document. Do not change it by hand.

export type AliasMessage = {
  alias: string;
  version: string;
};

export type AppendConsole = {
  run_id: string;
  chunks?: ConsoleChunk[];
  end?: boolean;
  tail?: ConsoleTail | null;
};

/** Integers: `count` of them from `start` on, `step` apart; or `start` and then as many steps further as `deltas` say. */
export type AxisMessage = {
  start: number;
  step: number;
  count?: number | null;
  deltas?: number[] | null;
};

export type BandMessage = {
  name: string;
  keys: (string | null)[] | null;
  found: number;
  runs: number;
  points: number;
  column: number;
  x: AxisMessage;
  counts: number[];
  mean: number[];
  std: (number | null)[];
  median: number[];
  lower: number[];
  upper: number[];
  low: number[];
  high: number[];
  smooth?: number[] | null;
  smooth_median?: number[] | null;
};

export type BatchMetric = {
  key: string;
  value: number;
  timestamp: number;
  step?: number;
  model_id?: string | null;
  dataset_name?: string | null;
  dataset_digest?: string | null;
};

export type Beat = {
  run_ids?: string[];
};

export type BeatResponse = {
  lost_after_seconds: number;
};

export type BranchMessage = {
  number: number;
  from_step: number;
  created_time: number;
  undone_time?: number | null;
  latest_metrics?: ExactPoint[];
};

export type BranchRun = {
  run_id: string;
  from_step: number;
  keys?: string[] | null;
};

export type BranchRunResponse = {
  branch?: BranchMessage | null;
};

export type ChangeRuns = {
  operation: "delete" | "move" | "restore" | "tag" | "untag";
  run_ids?: string[];
  experiment_ids?: string[];
  /** Each run of `experiment_ids` that one of them finds; an empty one finds all */
  filters?: string[];
  /** ACTIVE_ONLY, DELETED_ONLY or ALL */
  view_type?: string | number;
  except_run_ids?: string[];
  /** How many runs are meant; if they are not as many, nothing is done (409) */
  expected?: number | null;
  key?: string;
  value?: string | null;
  values?: (string | null)[] | null;
};

export type ChangeRunsResponse = {
  found: number;
  changed: number;
  run_ids: string[];
  before?: (string | null)[] | null;
};

export type ColumnMessage = {
  key: string;
  kind: "number" | "text" | "time";
  values: (number | string | null)[];
  range?: [number, number] | null;
  child_ranges?: ([number, number] | null)[] | null;
  steps?: (number | null)[] | null;
};

export type CompareRuns = {
  /** 2 to 100 runs, each named once */
  run_ids?: string[];
};

export type CompareRunsResponse = {
  cursor: number;
  missing?: string[];
  run_ids?: string[];
  names?: string[];
  experiment_ids?: string[];
  statuses?: string[];
  start_times?: number[];
  end_times?: (number | null)[];
  user_ids?: string[];
  params?: Record<string, (string | null)[]>;
  metrics?: Record<string, (number | string | null)[]>;
  tags?: Record<string, (string | null)[]>;
  datasets?: ComparedDataset[][];
};

export type ComparedDataset = {
  name: string;
  digest: string;
  source_type: string;
  context?: string | null;
};

/** A part of what a run printed. */
export type ConsoleChunk = {
  first: number;
  next: number;
  text: string;
};

/** The last of what a run prints or has printed. */
export type ConsoleTail = {
  text: string;
  is_all: boolean;
  next?: number;
};

export type CopyRuns = {
  copies: RunCopy[];
  experiment_id: string;
  share_files?: boolean;
};

export type CopyRunsResponse = {
  run_ids?: string[];
};

export type CreateExperiment = {
  name: string;
  artifact_location?: string | null;
  tags?: KeyValue[];
};

export type CreateExperimentResponse = {
  experiment_id: string;
};

export type CreateLoggedModel = {
  experiment_id: string;
  name?: string | null;
  model_type?: string | null;
  source_run_id?: string | null;
  params?: KeyValue[];
  tags?: KeyValue[];
};

export type CreateModelVersion = {
  name: string;
  source: string;
  run_id?: string | null;
  tags?: KeyValue[];
  run_link?: string | null;
  description?: string | null;
  model_id?: string | null;
};

export type CreateRegisteredModel = {
  name: string;
  tags?: KeyValue[];
  description?: string | null;
};

export type CreateRun = {
  experiment_id?: string | null;
  user_id?: string;
  run_name?: string | null;
  start_time?: number;
  tags?: KeyValue[];
};

export type CreateRunResponse = {
  run: RunMessage;
};

export type CreateWebhook = {
  name: string;
  url: string;
  events: EventMessage[];
  description?: string | null;
  secret?: string | null;
  status?: string | number | null;
};

export type DatasetInputMessage = {
  tags?: InputTagMessage[];
  dataset: DatasetMessage;
};

export type DatasetMessage = {
  name: string;
  digest: string;
  source_type: string;
  source: string;
  schema?: string;
  profile?: string;
};

export type DeleteExperiment = {
  experiment_id: string;
};

export type DeleteExperimentTag = {
  experiment_id: string;
  key: string;
};

export type DeleteLoggedModel = {
  model_id: string;
};

export type DeleteLoggedModelTag = {
  model_id: string;
  tag_key: string;
};

export type DeleteModelVersion = {
  name: string;
  version: string;
};

export type DeleteModelVersionTag = {
  name: string;
  version: string;
  key: string;
};

export type DeleteRegisteredModel = {
  name: string;
};

export type DeleteRegisteredModelAlias = {
  name: string;
  alias: string;
};

export type DeleteRegisteredModelTag = {
  name: string;
  key: string;
};

export type DeleteRun = {
  run_id: string;
};

export type DeleteTag = {
  run_id: string;
  key: string;
};

export type DeleteWebhook = {
  webhook_id: string;
};

export type DeliverRecords = {
  writer: string;
  first: number;
  after?: number;
  records: unknown[];
};

export type DeliverRecordsResponse = {
  stored: number;
  refused?: RefusedRecord[];
  repeated?: number;
};

/** The response `{}`. */
export type Empty = Record<string, unknown>;

export type EnvelopeMessage = {
  run_id: string;
  key: string;
  total: number;
  count: number;
  first_step: number;
  last_step: number;
  raw: boolean;
  column: number;
  x: AxisMessage;
  y?: (number | null)[] | null;
  low?: (number | null)[] | null;
  high?: (number | null)[] | null;
  mean?: (number | null)[] | null;
  smooth?: (number | null)[] | null;
  nan?: number[];
  infinite?: number[];
  minus_infinite?: number[];
};

/** How every error looks. */
export type ErrorBody = {
  error_code: string;
  message: string;
};

/** Names in upper case, or the numbers of MLflow's enumerations. */
export type EventMessage = {
  entity?: string | number;
  action?: string | number;
};

/** A point whose NaN and infinities are texts. */
export type ExactPoint = {
  key: string;
  value: number | string;
  timestamp: number;
  step?: number;
};

export type ExperimentMessage = {
  experiment_id: string;
  name: string;
  artifact_location: string;
  lifecycle_stage: string;
  last_update_time: number;
  creation_time: number;
  tags?: KeyValue[];
  workspace?: string;
};

export type ExperimentOverview = {
  experiment_id: string;
  name: string;
  lifecycle_stage: LifecycleStage;
  creation_time: number;
  last_activity: number;
  runs: number;
  running: number;
  tags?: Record<string, string>;
};

export type ExperimentsOverview = {
  search?: string | null;
  /** ACTIVE_ONLY, DELETED_ONLY or ALL */
  view_type?: string | number;
  offset?: number;
  limit?: number;
};

export type ExperimentsOverviewResponse = {
  cursor: number;
  total: number;
  offset: number;
  experiments: ExperimentOverview[];
};

export type ExportRunTable = {
  format?: string | null;
  accept?: string | null;
  experiment_ids?: string[];
  filter?: string | null;
  /** ACTIVE_ONLY, DELETED_ONLY or ALL */
  view_type?: string | number;
  order_by?: string[];
  columns?: string[];
  /** CSV in which texts that are no numbers do not begin with =, +, - or @ */
  for_spreadsheets?: boolean;
};

export type FileInfoMessage = {
  path: string;
  is_dir: boolean;
  file_size?: number | null;
};

export type FinalizeLoggedModel = {
  model_id: string;
  /** a status by name or number */
  status: string | number;
};

export type FindActivity = {
  limit?: number;
};

export type FindActivityResponse = {
  cursor: number;
  running: RecentRun[];
  finished: RecentRun[];
  failed: RecentRun[];
  experiments: ExperimentOverview[];
  models: ModelInUse[];
};

export type FindBands = {
  experiment_ids?: string[];
  filter?: string | null;
  /** ACTIVE_ONLY, DELETED_ONLY or ALL */
  view_type?: string | number;
  key: string;
  groups?: RunSet[] | null;
  by?: string[];
  limit?: number;
  x?: "relative" | "step" | "time";
  start?: number | null;
  end?: number | null;
  width?: number;
  smoothing?: number | null;
};

export type FindBandsResponse = {
  cursor: number;
  runs: number;
  total: number;
  complete: boolean;
  groups: BandMessage[];
};

export type FindBeat = {
  run_id: string;
};

export type FindBeatResponse = {
  beat_time?: number | null;
};

export type FindConsole = {
  run_id: string;
  after?: number;
};

export type FindConsoleResponse = {
  chunks?: ConsoleChunk[];
};

export type FindEnvelopes = {
  series?: SeriesName[];
  run_ids?: string[];
  keys?: string[];
  x?: "relative" | "step" | "time";
  start?: number | null;
  end?: number | null;
  width?: number;
  smoothing?: number | null;
  own_grid?: boolean;
};

export type FindEnvelopesResponse = {
  cursor: number;
  series: EnvelopeMessage[];
};

export type FindRunGroups = {
  experiment_ids?: string[];
  filter?: string | null;
  /** ACTIVE_ONLY, DELETED_ONLY or ALL */
  view_type?: string | number;
  by?: string[];
  metrics?: string[];
  order_by?: string | null;
  statistic?: "max" | "mean" | "median" | "min" | "std";
  ascending?: boolean;
  offset?: number;
  limit?: number;
};

export type FindRunGroupsResponse = {
  cursor: number;
  total: number;
  offset: number;
  runs: number;
  groups: RunGroup[];
};

export type FindRunOverview = {
  run_id: string;
  extremes?: number;
};

export type FindRunValues = {
  experiment_ids?: string[];
  filter?: string | null;
  /** ACTIVE_ONLY, DELETED_ONLY or ALL */
  view_type?: string | number;
  key: string;
  prefix?: string;
  limit?: number;
};

export type FindRunValuesResponse = {
  values: ValueCount[];
};

export type GetExperiment = {
  experiment_id: string;
};

export type GetExperimentByName = {
  experiment_name: string;
};

export type GetExperimentResponse = {
  experiment: ExperimentMessage;
};

export type GetLatestVersions = {
  name: string;
  stages?: string[];
};

export type GetLatestVersionsResponse = {
  model_versions?: ModelVersionMessage[];
};

export type GetLoggedModel = {
  model_id: string;
  allow_deleted?: boolean;
};

export type GetMetricHistory = {
  run_id?: string | null;
  run_uuid?: string | null;
  metric_key: string;
  max_results?: number | null;
  page_token?: string | null;
};

export type GetMetricHistoryInterval = {
  run_ids?: string[];
  metric_key: string;
  start_step?: number | null;
  end_step?: number | null;
  max_results?: number;
};

export type GetMetricHistoryIntervalResponse = {
  metrics?: IntervalPoint[];
};

export type GetMetricHistoryResponse = {
  metrics?: HistoryPoint[];
  next_page_token?: string | null;
};

export type GetModelVersion = {
  name: string;
  version: string;
};

export type GetModelVersionByAlias = {
  name: string;
  alias: string;
};

export type GetModelVersionDownloadUri = {
  name: string;
  version: string;
};

export type GetModelVersionDownloadUriResponse = {
  artifact_uri: string;
};

export type GetParamHistory = {
  run_id: string;
  key?: string | null;
};

export type GetParamHistoryResponse = {
  params?: ParamVersion[];
};

export type GetRegisteredModel = {
  name: string;
};

export type GetRun = {
  run_id?: string | null;
  run_uuid?: string | null;
};

export type GetRunBranches = {
  run_id: string;
};

export type GetRunBranchesResponse = {
  branches?: BranchMessage[];
};

export type GetRunResponse = {
  run: RunMessage;
};

export type GetSupersededHistory = {
  run_id: string;
  branch: number;
  metric_key: string;
  max_results?: number | null;
  page_token?: string | null;
};

export type GetSupersededHistoryResponse = {
  metrics?: ExactPoint[];
  next_page_token?: string | null;
};

export type GetWebhook = {
  webhook_id: string;
};

/** Names as GraphQL clients send them; values of variables stay as they are. */
export type GraphQL = {
  query?: string;
  variables?: Record<string, unknown> | string | null;
  operationName?: string | null;
};

export type GraphQLResponse = {
  data: Record<string, unknown> | null;
  errors: string[] | null;
};

/** A `MetricMessage` that is made by the hundred thousand. */
export type HistoryPoint = {
  key: string;
  value: number | string;
  timestamp: number;
  step?: number;
};

export type InputTagMessage = {
  key: string;
  value: string;
};

export type IntervalPoint = {
  key: string;
  value: number | string;
  timestamp: number;
  step?: number;
  run_id: string;
};

/** Something that was asked for and is not removed. */
export type KeptItem = {
  kind: TrashKind;
  id: string;
  reason: string;
};

/** One tag or param. A value left out is the empty text. */
export type KeyValue = {
  key: string;
  value?: string;
};

export type LeadingVersionMessage = {
  version: string;
  why: string;
  run_id?: string | null;
  metrics?: Record<string, number | string>;
};

export type LifecycleStage = "active" | "deleted";

export type ListArtifacts = {
  run_id?: string | null;
  run_uuid?: string | null;
  path?: string | null;
  page_token?: string | null;
};

export type ListArtifactsResponse = {
  root_uri: string;
  files?: FileInfoMessage[];
};

export type ListModelArtifacts = {
  model_id: string;
  artifact_directory_path?: string | null;
};

export type LogBatch = {
  run_id: string;
  metrics?: BatchMetric[];
  params?: KeyValue[];
  tags?: KeyValue[];
};

export type LogInputs = {
  run_id: string;
  datasets?: DatasetInputMessage[];
  models?: ModelInputMessage[];
};

export type LogLoggedModelParams = {
  model_id: string;
  params?: KeyValue[];
};

export type LogMetric = {
  run_id?: string | null;
  run_uuid?: string | null;
  key: string;
  value: number;
  timestamp: number;
  step?: number;
  model_id?: string | null;
  dataset_name?: string | null;
  dataset_digest?: string | null;
};

export type LogModel = {
  run_id: string;
  model_json: string;
};

export type LogOutputs = {
  run_id: string;
  models: ModelOutputMessage[];
};

export type LogParam = {
  run_id?: string | null;
  run_uuid?: string | null;
  key: string;
  value?: string;
};

export type LoggedModelMessage = {
  info: ModelInfoMessage;
  data: ModelDataMessage;
};

export type LoggedModelResponse = {
  model: LoggedModelMessage;
};

export type MetricMessage = {
  key: string;
  value: number | string;
  timestamp: number;
  step?: number;
};

export type ModelDataMessage = {
  params?: KeyValue[];
  metrics?: ModelMetricMessage[];
};

export type ModelInUse = {
  name: string;
  last_updated: number;
  aliases?: Record<string, string>;
  stages?: Record<string, string>;
  latest_version?: string | null;
};

export type ModelInfoMessage = {
  model_id: string;
  experiment_id: string;
  name: string;
  creation_timestamp_ms: number;
  last_updated_timestamp_ms: number;
  artifact_uri: string;
  status: string;
  model_type?: string;
  source_run_id?: string;
  tags?: KeyValue[];
};

export type ModelInputMessage = {
  model_id: string;
};

export type ModelMetricMessage = {
  key: string;
  value: number | string;
  timestamp: number;
  step?: number;
  dataset_name?: string;
  dataset_digest?: string;
  model_id?: string;
  run_id?: string;
};

export type ModelOrder = {
  field_name: string;
  ascending?: boolean;
  dataset_name?: string | null;
  dataset_digest?: string | null;
};

export type ModelOutputMessage = {
  model_id: string;
  step?: number;
};

export type ModelOverviewMessage = {
  name: string;
  creation_timestamp: number;
  last_updated_timestamp: number;
  description?: string | null;
  versions?: number;
  latest_version?: string | null;
  tags?: Record<string, string>;
  aliases?: Record<string, string>;
  leading?: LeadingVersionMessage | null;
};

export type ModelVersionMessage = {
  name: string;
  version: string;
  creation_timestamp: number;
  last_updated_timestamp: number;
  current_stage: string;
  source: string;
  status: string;
  description?: string;
  run_id?: string;
  run_link?: string;
  tags?: KeyValue[];
  aliases?: string[];
};

export type ModelVersionResponse = {
  model_version: ModelVersionMessage;
};

export type MoveRuns = {
  run_ids: string[];
  experiment_id: string;
};

export type MoveRunsResponse = {
  moved?: string[];
};

export type MoveToTrash = {
  kind: TrashKind;
  id: string;
  force?: boolean;
};

/** A folder of the store's own layout that belongs to no run and no logged model. */
export type OrphanFolder = {
  path: string;
  files: number;
  artifact_bytes: number;
  last_change_time: number;
};

export type OrphanReport = {
  folders: OrphanFolder[];
  known: number;
  unfinished: number;
};

export type OverwriteParams = {
  run_id: string;
  params?: KeyValue[];
  timestamp?: number | null;
};

export type OwnServerInfoResponse = {
  features: string[];
};

/** A value that a param of a run has or had. */
export type ParamVersion = {
  key: string;
  value: string;
  since_time?: number | null;
  replaced_time?: number | null;
};

export type PresignedDownload = {
  run_id: string;
  path: string;
  expiration?: number | null;
};

export type PresignedDownloadResponse = {
  presigned_url: string;
  headers?: Record<string, string>;
  file_size?: number | null;
};

export type PresignedUpload = {
  path: string;
  run_id?: string | null;
  model_id?: string | null;
  expiration?: number | null;
};

export type PresignedUploadResponse = {
  presigned_url: string;
  headers?: Record<string, string>;
};

export type ReadHistories = {
  format?: string | null;
  accept?: string | null;
  run_ids?: string[];
  experiment_ids?: string[];
  filter?: string | null;
  keys?: string[] | null;
  start_step?: number | null;
  end_step?: number | null;
  max_points?: number | null;
};

export type RecentRun = {
  run_id: string;
  name: string;
  experiment_id: string;
  experiment_name: string;
  status: string;
  user_id: string;
  start_time: number;
  end_time?: number | null;
  reason?: string | null;
  beat_time?: number | null;
  step?: number | null;
  logged_time?: number | null;
};

/** A record that can never be stored, such as a param with another value. */
export type RefusedRecord = {
  number: number;
  error_code: string;
  message: string;
};

export type RegisteredModelMessage = {
  name: string;
  creation_timestamp: number;
  last_updated_timestamp: number;
  description?: string;
  latest_versions?: ModelVersionMessage[];
  tags?: KeyValue[];
  aliases?: AliasMessage[];
};

export type RegisteredModelResponse = {
  registered_model: RegisteredModelMessage;
};

export type RelatedRun = {
  run_id: string;
  name: string;
  status: string;
  experiment_id: string;
};

/** How much is removed. */
export type RemovalCounts = {
  experiments?: number;
  runs?: number;
  models?: number;
  metric_bytes?: number;
  files?: number;
  artifact_bytes?: number;
};

/** What one part of a removal did, or, of a plan, will do. */
export type RemovalPart = {
  counts: RemovalCounts;
  items: TrashItem[];
  kept: KeptItem[];
  token: string | null;
  before_time: number;
};

export type RemoveOrphans = {
  phase: "execute" | "plan";
  force?: boolean;
};

export type RemoveTrash = {
  phase: "execute" | "plan";
  older_than_ms?: number;
  before_time?: number | null;
  run_ids?: string[] | null;
  experiment_ids?: string[] | null;
  logged_model_ids?: string[] | null;
  force?: boolean;
  page_token?: string | null;
};

export type RenameRegisteredModel = {
  name: string;
  new_name: string;
};

export type ReportLost = {
  run_id: string;
  status: string;
  end_time: number;
  tags?: Record<string, string>;
};

export type ReportLostResponse = {
  ended?: boolean;
};

export type RestoreExperiment = {
  experiment_id: string;
};

export type RestoreRun = {
  run_id: string;
};

export type RunColumnMessage = {
  key: string;
  kind: "number" | "text" | "time";
  runs: number;
  distinct: number;
  varies: boolean;
  range?: [number, number] | null;
  examples?: (number | string | null)[];
};

export type RunColumns = {
  experiment_ids?: string[];
  filter?: string | null;
  /** ACTIVE_ONLY, DELETED_ONLY or ALL */
  view_type?: string | number;
  search?: string | null;
  kinds?: string[];
  offset?: number;
  limit?: number;
  /** Keys are counted among the newest found runs only: quick with any number of runs */
  sampled_only?: boolean;
};

export type RunColumnsResponse = {
  cursor: number;
  total: number;
  offset: number;
  runs: number;
  sampled: number;
  columns: RunColumnMessage[];
};

/** Which run is copied, and what id the copy gets. The same request again makes no second copy. */
export type RunCopy = {
  run_id: string;
  new_run_id: string;
};

export type RunDataMessage = {
  metrics?: MetricMessage[];
  params?: KeyValue[];
  tags?: KeyValue[];
};

export type RunGroup = {
  keys: (string | null)[];
  runs: number;
  metrics: Spread[];
};

export type RunInfoMessage = {
  run_uuid: string;
  experiment_id: string;
  run_name?: string;
  user_id?: string;
  status: string;
  start_time?: number;
  end_time?: number;
  artifact_uri: string;
  lifecycle_stage: string;
  run_id: string;
};

export type RunInputsMessage = {
  dataset_inputs?: DatasetInputMessage[];
  model_inputs?: ModelInputMessage[];
};

export type RunMessage = {
  info: RunInfoMessage;
  data: RunDataMessage;
  inputs?: RunInputsMessage;
  outputs?: RunOutputsMessage;
};

export type RunOutputsMessage = {
  model_outputs?: ModelOutputMessage[];
};

export type RunOverviewResponse = {
  cursor: number;
  run: RunMessage;
  experiment_name: string;
  beat_time?: number | null;
  parent?: RelatedRun | null;
  children?: RelatedRun[];
  child_count?: number;
  logged_models?: LoggedModelMessage[];
  model_versions?: ModelVersionMessage[];
  changed_params?: ParamVersion[];
  branches?: BranchMessage[];
  extremes?: Record<string, [number | string | null, number | string | null]>;
  console?: ConsoleTail | null;
};

/** Runs whose lines are one band. */
export type RunSet = {
  name: string;
  run_ids: string[];
};

export type RunSql = {
  format?: string | null;
  accept?: string | null;
  query: string;
  run_ids?: string[] | null;
  experiment_ids?: string[] | null;
  keys?: string[] | null;
  max_rows?: number | null;
};

export type RunTable = {
  experiment_ids?: string[];
  filter?: string | null;
  /** ACTIVE_ONLY, DELETED_ONLY or ALL */
  view_type?: string | number;
  order_by?: string[];
  columns?: string[];
  offset?: number;
  limit?: number;
  parent_run_id?: string | null;
  roots_only?: boolean;
  with_ranges?: boolean;
  /** With a tree: between what last values of each metric the children of each row lie */
  with_child_ranges?: boolean;
  /** With name, stage and tags of the experiments, 100 at most */
  with_experiments?: boolean;
  /** So many columns are chosen that tell the runs apart; for `columns` left out */
  auto_columns?: number;
};

export type RunTableResponse = {
  cursor: number;
  total: number;
  offset: number;
  run_ids: string[];
  names: string[];
  statuses: string[];
  start_times: number[];
  end_times: (number | null)[];
  quiet_since?: (number | null)[];
  experiment_ids?: string[];
  children?: number[] | null;
  complete?: boolean;
  columns: ColumnMessage[];
  experiments?: ExperimentMessage[] | null;
};

export type SearchExperiments = {
  max_results?: number;
  filter?: string | null;
  order_by?: string[];
  page_token?: string | null;
  /** ACTIVE_ONLY, DELETED_ONLY or ALL */
  view_type?: string | number;
};

export type SearchExperimentsResponse = {
  experiments?: ExperimentMessage[];
  next_page_token?: string | null;
};

export type SearchLoggedModels = {
  experiment_ids: string[];
  filter?: string | null;
  datasets?: SearchedDataset[];
  max_results?: number;
  order_by?: ModelOrder[];
  page_token?: string | null;
};

export type SearchLoggedModelsResponse = {
  models?: LoggedModelMessage[];
  next_page_token?: string | null;
};

export type SearchModelOverviews = {
  filter?: string | null;
  order_by?: string[];
  offset?: number;
  limit?: number;
  metric_keys?: string[];
};

export type SearchModelOverviewsResponse = {
  total: number;
  offset: number;
  models: ModelOverviewMessage[];
  cursor?: number;
};

export type SearchModelVersions = {
  filter?: string | null;
  max_results?: number;
  order_by?: string[];
  page_token?: string | null;
};

export type SearchModelVersionsResponse = {
  model_versions?: ModelVersionMessage[];
  next_page_token?: string | null;
};

export type SearchRegisteredModels = {
  filter?: string | null;
  max_results?: number;
  order_by?: string[];
  page_token?: string | null;
};

export type SearchRegisteredModelsResponse = {
  registered_models?: RegisteredModelMessage[];
  next_page_token?: string | null;
};

export type SearchRuns = {
  experiment_ids?: string[];
  filter?: string | null;
  /** ACTIVE_ONLY, DELETED_ONLY or ALL */
  run_view_type?: string | number;
  max_results?: number;
  order_by?: string[];
  page_token?: string | null;
};

export type SearchRunsResponse = {
  runs?: RunMessage[];
  next_page_token?: string | null;
};

export type SearchTrash = {
  max_results?: number;
  page_token?: string | null;
};

export type SearchTrashResponse = {
  items?: TrashItem[];
  next_page_token?: string | null;
};

export type SearchVersionOverviews = {
  name: string;
  filter?: string | null;
  order_by?: string[];
  offset?: number;
  limit?: number;
  metric_keys?: string[];
};

export type SearchVersionOverviewsResponse = {
  total: number;
  offset: number;
  versions: VersionOverviewMessage[];
  cursor?: number;
};

export type SearchWebhooks = {
  max_results?: number;
  page_token?: string | null;
};

export type SearchWebhooksResponse = {
  webhooks?: WebhookMessage[];
  next_page_token?: string | null;
};

export type SearchedDataset = {
  dataset_name: string;
  dataset_digest?: string | null;
};

export type SeriesName = {
  run_id: string;
  key: string;
};

export type ServerInfo = Record<string, unknown>;

export type ServerInfoResponse = {
  store_type: string;
  workspaces_enabled: boolean;
  trace_archival_enabled: boolean;
  multipart_uploads_enabled: boolean;
  multipart_downloads_enabled: boolean;
  presigned_upload_run_id_supported: boolean;
  presigned_upload_model_id_supported: boolean;
  features_enabled: Record<string, boolean>;
};

export type SetExperimentTag = {
  experiment_id: string;
  key: string;
  value?: string;
};

export type SetLoggedModelTags = {
  model_id: string;
  tags?: KeyValue[];
};

export type SetModelVersionTag = {
  name: string;
  version: string;
  key: string;
  value?: string;
};

export type SetRegisteredModelAlias = {
  name: string;
  alias: string;
  version: string;
};

export type SetRegisteredModelTag = {
  name: string;
  key: string;
  value?: string;
};

export type SetTag = {
  run_id?: string | null;
  run_uuid?: string | null;
  key: string;
  value?: string;
};

/** What the last values of a metric are in a group; of its finite numbers only. */
export type Spread = {
  count: number;
  mean?: number | null;
  median?: number | null;
  std?: number | null;
  min?: number | null;
  max?: number | null;
};

export type TakeFromTrash = {
  kind: TrashKind;
  id: string;
  new_name?: string | null;
};

export type TestResultMessage = {
  success: boolean;
  response_status?: number;
  response_body?: string;
  error_message?: string;
};

export type TestWebhook = {
  webhook_id: string;
  event?: EventMessage | null;
};

export type TestWebhookResponse = {
  result: TestResultMessage;
};

export type TransitionModelVersionStage = {
  name: string;
  version: string;
  stage: string;
  archive_existing_versions?: boolean;
};

/** One deleted thing. */
export type TrashItem = {
  kind: TrashKind;
  id: string;
  name: string;
  experiment_id: string;
  deleted_time: number;
  metric_bytes?: number;
  removal_time?: number | null;
  needed_by?: string | null;
};

export type TrashKind = "experiment" | "model" | "run";

export type UndoBranch = {
  run_id: string;
  branch: number;
};

export type UpdateExperiment = {
  experiment_id: string;
  new_name: string;
};

export type UpdateModelVersion = {
  name: string;
  version: string;
  description?: string | null;
};

export type UpdateRegisteredModel = {
  name: string;
  description?: string | null;
};

export type UpdateRun = {
  run_id?: string | null;
  run_uuid?: string | null;
  /** a status by name or number */
  status?: string | number | null;
  end_time?: number | null;
  run_name?: string | null;
};

export type UpdateRunResponse = {
  run_info: RunInfoMessage;
};

export type UpdateWebhook = {
  webhook_id: string;
  name?: string | null;
  description?: string | null;
  url?: string | null;
  events?: EventMessage[];
  secret?: string | null;
  status?: string | number | null;
};

export type ValueCount = {
  value: string;
  runs: number;
};

export type VersionOverviewMessage = {
  version: ModelVersionMessage;
  run?: VersionRunMessage | null;
};

export type VersionRunMessage = {
  run_id: string;
  run_name: string;
  experiment_id: string;
  user_id: string;
  status: string;
  lifecycle_stage: string;
  metrics?: Record<string, number | string>;
};

export type WatchEvents = {
  experiment_ids?: string[];
  run_ids?: string[];
  closely?: string[];
  models?: boolean;
  cursor?: number | null;
};

export type WebhookMessage = {
  webhook_id: string;
  name: string;
  description?: string;
  url: string;
  events: EventMessage[];
  status: string;
  creation_timestamp: number;
  last_updated_timestamp: number;
};

export type WebhookResponse = {
  webhook: WebhookMessage;
};
