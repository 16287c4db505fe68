/** What the server says of registered models, their versions and the files of these. */

import type {
  ModelOverviewMessage,
  ModelVersionMessage,
  VersionOverviewMessage,
  VersionRunMessage,
} from "../api/schema";

export type ModelRow = ModelOverviewMessage;
export type VersionRow = VersionOverviewMessage;
export type VersionRun = VersionRunMessage;
export type ModelVersion = ModelVersionMessage;

export interface ModelFile {
  readonly path: string;
  readonly size: number | null;
}

/** A part of a signature as the MLmodel file has it. */
export interface SchemaField {
  readonly type?: string;
  readonly name?: string | number;
  readonly required?: boolean;
  readonly default?: unknown;
  readonly shape?: readonly number[] | null;
  readonly items?: SchemaField;
  readonly values?: SchemaField;
  readonly properties?: Readonly<Record<string, SchemaField>>;
  readonly "tensor-spec"?: { readonly dtype: string; readonly shape: readonly number[] };
}

/** What a version's files say. */
export interface ModelCard {
  readonly inputs: readonly SchemaField[] | null;
  readonly outputs: readonly SchemaField[] | null;
  readonly params: readonly SchemaField[] | null;
  readonly task: string | null;
  readonly flavors: Readonly<Record<string, Readonly<Record<string, string | number | boolean | null>>>>;
  readonly metadata: Readonly<Record<string, string | number | boolean | null>>;
  readonly model_id: string | null;
  readonly run_id: string | null;
  readonly created: string | null;
  readonly mlflow_version: string | null;
  readonly slipstream_version: string | null;
  readonly size: number | null;
  readonly python: string | null;
  readonly requirements: readonly string[];
  readonly example: unknown;
  readonly files: readonly ModelFile[];
  readonly has_more_files: boolean;
}

export interface Alias {
  readonly alias: string;
  readonly version: string;
}

export const STAGES = ["None", "Staging", "Production", "Archived"] as const;

export function tagsOf(pairs: readonly { key: string; value?: string }[] | undefined): Map<string, string> {
  return new Map((pairs ?? []).map((each) => [each.key, each.value ?? ""]));
}
