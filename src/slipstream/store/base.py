"""The store's contract, in words. Every implementation passes `slipstream.testing.store_contract`.

Implementations: `SqlStore` (SQL inside one transaction), `QueuedStore` (a `SqlStore` behind the
writer queue: what the embedded SDK uses), `RestStore` (the same over HTTP).

Common to all methods:

* Entities that are returned never change under the caller.
* A write that has returned is durable.
* `InvalidParameterError` for a value that breaks a rule (names field, value and rule), `NotFoundError`
  for an id that does not exist. What else can be raised is said at the method.
* Times are Unix milliseconds.
* `page_token` is opaque and comes from `Page.token` of the same query; a foreign one is an `InvalidParameterError`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from slipstream.entities import (
    DatasetInput,
    DatasetSummary,
    Experiment,
    LoggedModel,
    LoggedModelOutput,
    LoggedModelStatus,
    Metric,
    ModelVersion,
    OrphanReport,
    Page,
    Param,
    ParamVersion,
    RegisteredModel,
    RemovalPart,
    Run,
    RunBranch,
    RunCopy,
    RunInfo,
    RunTag,
    SeriesFilter,
    SeriesPoints,
    TrashItem,
    TrashKind,
    TrashSelection,
    ViewType,
    Webhook,
    WebhookEvent,
    WebhookStatus,
    WebhookTestResult,
)
from slipstream.entities.liveness import ConsoleChunk, ConsoleTail, LostRun
from slipstream.entities.model_overview import ModelOverviews, VersionOverviews
from slipstream.entities.record import DeliveryReceipt, Record, RefusedRecord
from slipstream.store.base_pages import RunTableStore


class ExperimentStore(Protocol):
    def create_experiment(
        self, name: str, artifact_location: str | None = None, tags: Mapping[str, str] | None = None
    ) -> str:
        """Create an experiment and return its id.

        Raises:
            AlreadyExistsError: the name is taken, be it by a deleted experiment.
        """
        ...

    def get_experiment(self, experiment_id: str) -> Experiment:
        """Return an experiment, deleted or not."""
        ...

    def find_experiment_by_name(self, name: str) -> Experiment | None: ...

    def rename_experiment(self, experiment_id: str, new_name: str) -> None:
        """Rename an active experiment.

        Raises:
            InvalidStateError: it is deleted.
            BadRequestError: the name is taken.
        """
        ...

    def delete_experiment(self, experiment_id: str) -> None:
        """Mark an active experiment and all of its runs deleted."""
        ...

    def restore_experiment(self, experiment_id: str) -> None:
        """Make a deleted experiment active, and all of its runs."""
        ...

    def search_experiments(
        self,
        view_type: ViewType = ViewType.ACTIVE_ONLY,
        max_results: int = 1000,
        filter_string: str | None = None,
        order_by: Sequence[str] = (),
        page_token: str | None = None,
    ) -> Page[Experiment]: ...

    def set_experiment_tag(self, experiment_id: str, key: str, value: str) -> None: ...

    def delete_experiment_tag(self, experiment_id: str, key: str) -> None: ...


class RunStore(Protocol):
    def create_run(
        self,
        experiment_id: str,
        user_id: str = "",
        run_name: str | None = None,
        start_time: int = 0,
        tags: Sequence[RunTag] = (),
    ) -> Run:
        """Create a RUNNING run; without a name it gets a generated one."""
        ...

    def store_records(
        self, writer: str, first: int, records: Sequence[Record | RefusedRecord], after: int = 0
    ) -> DeliveryReceipt:
        """Store what a writer logged earlier, numbered from `first`; what is stored already is left out.

        Retry-safe, and in one transaction. A record that breaks a rule is refused, which the receipt says, and does not
        touch the others. Where fewer than `after` are stored, which the writer was told are, nothing is stored.
        """
        ...

    def get_run(self, run_id: str) -> Run:
        """Return a run, deleted or not."""
        ...

    def update_run(
        self, run_id: str, status: str | None = None, end_time: int | None = None, run_name: str | None = None
    ) -> RunInfo:
        """Change what is given; `None` and an empty name change nothing."""
        ...

    def beat(self, run_ids: Sequence[str]) -> None:
        """Note that runs live; unknown ones are left out. One that was lost runs again by it."""
        ...

    def find_beat(self, run_id: str) -> int | None:
        """Return when a run gave its last sign of life that is known; `None` if its client gives none."""
        ...

    def report_lost(self, lost: LostRun) -> bool:
        """End a run whose process is gone, unless it has ended; tell whether that was done. Retry-safe."""
        ...

    def append_console(self, run_id: str, chunks: Sequence[ConsoleChunk]) -> None:
        """Keep what a run printed: the latest of it, while the run goes. Retry-safe."""
        ...

    def end_console(self, run_id: str, tail: ConsoleTail | None = None) -> None:
        """Forget what a run printed, since all of it is among its artifacts now; keep the last of it, if given."""
        ...

    def find_console(self, run_id: str, after: int = 0) -> list[ConsoleChunk]:
        """Return what a run printed behind a place, counted in bytes."""
        ...

    def delete_run(self, run_id: str) -> None:
        """Mark a run deleted. Doing it twice is harmless."""
        ...

    def restore_run(self, run_id: str) -> None: ...

    def search_runs(
        self,
        experiment_ids: Sequence[str],
        filter_string: str | None = None,
        run_view_type: ViewType = ViewType.ACTIVE_ONLY,
        max_results: int = 1000,
        order_by: Sequence[str] = (),
        page_token: str | None = None,
    ) -> Page[Run]: ...

    def search_encoded_runs(
        self,
        encode: Callable[[Run], bytes],
        experiment_ids: Sequence[str],
        filter_string: str | None = None,
        run_view_type: ViewType = ViewType.ACTIVE_ONLY,
        max_results: int = 1000,
        order_by: Sequence[str] = (),
        page_token: str | None = None,
    ) -> Page[bytes]:
        """Search runs, and give each as `encode` does; that may be kept for later searches with the same function."""
        ...

    def log_batch(
        self,
        run_id: str,
        metrics: Sequence[Metric] = (),
        params: Sequence[Param] = (),
        tags: Sequence[RunTag] = (),
    ) -> None:
        """Log any number of values: all of it or nothing, or over HTTP what one request holds.

        Retry-safe: an identical point, an identical param and a tag may be logged again.

        Raises:
            InvalidParameterError: a param exists with another value, or the run is deleted.
        """
        ...

    def log_metric(self, run_id: str, metric: Metric) -> None: ...

    def log_param(self, run_id: str, key: str, value: str) -> None: ...

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        """Set a tag. `mlflow.runName` also renames the run."""
        ...

    def delete_tag(self, run_id: str, key: str) -> None: ...

    def get_metric_history(
        self, run_id: str, key: str, max_results: int | None = None, page_token: str | None = None
    ) -> Page[Metric]:
        """Return points ordered by (timestamp, step, value); an unknown run or key has none."""
        ...

    def get_metric_history_bulk(self, run_ids: Sequence[str], key: str, max_results: int) -> list[Metric]:
        """Return points of many runs, each with its `run_id`, by (run_id, timestamp, step, value)."""
        ...

    def get_metric_history_interval(
        self,
        run_ids: Sequence[str],
        key: str,
        start_step: int | None = None,
        end_step: int | None = None,
        max_results: int = 2500,
    ) -> list[Metric]:
        """Return at most `max_results` points a run, evenly sampled by position, the last one always."""
        ...

    def read_series(
        self, run_ids: Sequence[str], keys: Sequence[str] | None = None, wanted: SeriesFilter | None = None
    ) -> Iterator[SeriesPoints]:
        """Return whole series: by run in the order given, then key, then (timestamp, step, value), values exact.

        In constant memory: a long series comes in several items, one after the other. `keys` are exact names or
        patterns and go before those of `wanted`; without any of them, all. Points that are logged meanwhile may be
        there or not; a point that was there is there once. Runs may be deleted ones.

        Raises:
            NotFoundError: one of the runs does not exist; raised at the call.
        """
        ...

    def log_inputs(
        self, run_id: str, datasets: Sequence[DatasetInput] = (), models: Sequence[str] = ()
    ) -> None:
        """Record what a run read: datasets, and models by id. The first tags of a dataset stay."""
        ...

    def log_outputs(self, run_id: str, models: Sequence[LoggedModelOutput]) -> None: ...

    def record_model(self, run_id: str, model_json: str) -> None:
        """Append an MLmodel (as JSON) to the tag `mlflow.log-model.history`, as MLflow 2 clients ask."""
        ...

    def search_datasets(self, experiment_ids: Sequence[str]) -> list[DatasetSummary]: ...


class LivingRunStore(Protocol):
    """What MLflow has not: runs that go on from an earlier step, params that change, runs that move and copies of runs."""

    def branch_run(self, run_id: str, from_step: int, keys: Sequence[str] | None = None) -> RunBranch | None:
        """Leave the points of a step and later ones behind, of all metrics or of some; return the branch that they make.

        They are no part of the run's metrics any more, and stay readable. `None` if there were none. Retry-safe: asked
        again, it returns the same branch.

        Raises:
            NotFoundError: the run has no metric of a name in `keys`.
        """
        ...

    def get_run_branches(self, run_id: str) -> list[RunBranch]:
        """Return what a run left behind, the first branch first; those that were undone, too."""
        ...

    def get_superseded_history(
        self,
        run_id: str,
        branch: int,
        key: str,
        max_results: int | None = None,
        page_token: str | None = None,
    ) -> Page[Metric]:
        """Return points of a branch, as `get_metric_history` does those that count."""
        ...

    def undo_branch(self, run_id: str, branch: int) -> None:
        """Put a branch's points back into the run's metrics, beside what was logged since. Retry-safe."""
        ...

    def overwrite_params(self, run_id: str, params: Sequence[Param], timestamp: int | None = None) -> None:
        """Log params; those that have another value get this one, and the one before is kept with the time. Retry-safe."""
        ...

    def get_param_history(self, run_id: str, key: str | None = None) -> list[ParamVersion]:
        """Return all values that params of a run have and had, by key, the oldest first, the one that counts last."""
        ...

    def move_runs(self, run_ids: Sequence[str], experiment_id: str) -> list[str]:
        """Move runs to an experiment, with the logged models that they made; return which were not there already.

        All or none. They keep their ids, and their files stay where they are. Retry-safe.
        """
        ...

    def copy_runs(
        self, copies: Sequence[RunCopy], experiment_id: str, *, share_files: bool = False
    ) -> list[str]:
        """Copy runs into an experiment, all but their files; return the ids of the copies. Retry-safe.

        All or none. A copy has the tag `slipstream.copied_from`. Its artifact URI is one of its own, to which the
        caller copies the files, or with `share_files` that of the run, whose files are not freed before the copy.

        Raises:
            AlreadyExistsError: there is another run of an id that a copy shall get.
        """
        ...


class LoggedModelStore(Protocol):
    def create_logged_model(
        self,
        experiment_id: str,
        name: str | None = None,
        source_run_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        model_type: str | None = None,
    ) -> LoggedModel:
        """Create a PENDING model; without a name it gets a generated one."""
        ...

    def get_logged_model(self, model_id: str, *, allow_deleted: bool = False) -> LoggedModel: ...

    def finalize_logged_model(self, model_id: str, status: LoggedModelStatus) -> LoggedModel: ...

    def delete_logged_model(self, model_id: str) -> None: ...

    def set_logged_model_tags(self, model_id: str, tags: Mapping[str, str]) -> None: ...

    def delete_logged_model_tag(self, model_id: str, key: str) -> None: ...

    def log_logged_model_params(self, model_id: str, params: Mapping[str, str]) -> None: ...

    def search_logged_models(
        self,
        experiment_ids: Sequence[str],
        filter_string: str | None = None,
        datasets: Sequence[Mapping[str, str]] = (),
        max_results: int = 50,
        order_by: Sequence[Mapping[str, object]] = (),
        page_token: str | None = None,
    ) -> Page[LoggedModel]: ...


class RegistryStore(Protocol):
    def create_registered_model(
        self, name: str, tags: Mapping[str, str] | None = None, description: str | None = None
    ) -> RegisteredModel:
        """Create a registered model.

        Raises:
            AlreadyExistsError: the name is taken.
        """
        ...

    def get_registered_model(self, name: str) -> RegisteredModel: ...

    def update_registered_model(self, name: str, description: str | None) -> RegisteredModel: ...

    def rename_registered_model(self, name: str, new_name: str) -> RegisteredModel: ...

    def delete_registered_model(self, name: str) -> None:
        """Delete a model with its versions, tags and aliases."""
        ...

    def search_registered_models(
        self,
        filter_string: str | None = None,
        max_results: int = 100,
        order_by: Sequence[str] = (),
        page_token: str | None = None,
    ) -> Page[RegisteredModel]: ...

    def search_model_overviews(
        self,
        filter_string: str | None = None,
        order_by: Sequence[str] = (),
        offset: int = 0,
        limit: int = 100,
        metric_keys: Sequence[str] = (),
    ) -> ModelOverviews:
        """Return some rows of all models that a search finds, by their place, with the exact number of all.

        Each comes with the version that stands for it: that of the alias `champion`, `production`, `prod` or `live`, else
        the newest in the stage Production, else the newest. `metric_keys` names the metrics of its run to tell.
        """
        ...

    def search_version_overviews(
        self,
        name: str,
        filter_string: str | None = None,
        order_by: Sequence[str] = (),
        offset: int = 0,
        limit: int = 100,
        metric_keys: Sequence[str] = (),
    ) -> VersionOverviews:
        """Return some of a model's versions by their place, newest first by default, each with the run that made it.

        Raises:
            NotFoundError: no such model.
        """
        ...

    def get_latest_versions(self, name: str, stages: Sequence[str] = ()) -> list[ModelVersion]: ...

    def set_registered_model_tag(self, name: str, key: str, value: str) -> None: ...

    def delete_registered_model_tag(self, name: str, key: str) -> None: ...

    def set_registered_model_alias(self, name: str, alias: str, version: str) -> None: ...

    def delete_registered_model_alias(self, name: str, alias: str) -> None: ...

    def get_model_version_by_alias(self, name: str, alias: str) -> ModelVersion:
        """Return the version that an alias points to.

        Raises:
            NotFoundError: no such model.
            InvalidParameterError: the model has no such alias (MLflow's code for it).
        """
        ...

    def create_model_version(
        self,
        name: str,
        source: str,
        run_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        run_link: str | None = None,
        description: str | None = None,
        model_id: str | None = None,
    ) -> ModelVersion: ...

    def get_model_version(self, name: str, version: str) -> ModelVersion: ...

    def update_model_version(self, name: str, version: str, description: str | None) -> ModelVersion: ...

    def delete_model_version(self, name: str, version: str) -> None: ...

    def transition_model_version_stage(
        self, name: str, version: str, stage: str, *, archive_existing_versions: bool = False
    ) -> ModelVersion: ...

    def get_model_version_download_uri(self, name: str, version: str) -> str: ...

    def search_model_versions(
        self,
        filter_string: str | None = None,
        max_results: int = 200_000,
        order_by: Sequence[str] = (),
        page_token: str | None = None,
    ) -> Page[ModelVersion]: ...

    def set_model_version_tag(self, name: str, version: str, key: str, value: str) -> None: ...

    def delete_model_version_tag(self, name: str, version: str, key: str) -> None: ...


class WebhookStore(Protocol):
    """Who is told of events of the registry. What they are sent with, and when, is a server's business."""

    def create_webhook(
        self,
        name: str,
        url: str,
        events: Sequence[WebhookEvent],
        description: str | None = None,
        secret: str | None = None,
        status: WebhookStatus = WebhookStatus.ACTIVE,
    ) -> Webhook:
        """Register a URL; its host must be of the public internet unless the settings say otherwise."""
        ...

    def get_webhook(self, webhook_id: str) -> Webhook: ...

    def search_webhooks(self, max_results: int = 100, page_token: str | None = None) -> Page[Webhook]:
        """Return all webhooks, newest first."""
        ...

    def update_webhook(
        self,
        webhook_id: str,
        name: str | None = None,
        description: str | None = None,
        url: str | None = None,
        events: Sequence[WebhookEvent] | None = None,
        secret: str | None = None,
        status: WebhookStatus | None = None,
    ) -> Webhook:
        """Change what is given; an empty description or secret takes it away."""
        ...

    def delete_webhook(self, webhook_id: str) -> None: ...

    def test_webhook(self, webhook_id: str, event: WebhookEvent | None = None) -> WebhookTestResult:
        """Send an example of an event, of the first one that the webhook asks for if none is named, once."""
        ...


class TrashStore(Protocol):
    """Our manner of deleting, beside MLflow's, whose methods are above: both put things into the same trash."""

    def create_experiment_anew(
        self, name: str, artifact_location: str | None = None, tags: Mapping[str, str] | None = None
    ) -> str:
        """Create an experiment and return its id; a deleted one of that name gets another name in the trash.

        Raises:
            AlreadyExistsError: an experiment that is not deleted has the name.
        """
        ...

    def move_to_trash(self, kind: TrashKind, item_id: str, *, force: bool = False) -> None:
        """Delete an experiment, run or logged model, so that it can be taken back.

        Raises:
            ConflictError: a version of a registered model was made from it, and `force` is false.
        """
        ...

    def take_from_trash(self, kind: TrashKind, item_id: str, new_name: str | None = None) -> None:
        """Restore a deleted thing; an experiment with the runs that were deleted with it, under its old name.

        Raises:
            AlreadyExistsError: the name of the experiment is taken; give another one.
        """
        ...

    def search_trash(self, max_results: int = 100, page_token: str | None = None) -> Page[TrashItem]:
        """Return what was deleted, the newest first. Runs that were deleted with their experiment are in it."""
        ...

    def remove_trash(
        self, selection: TrashSelection, page_token: str | None = None, *, dry_run: bool = False
    ) -> RemovalPart:
        """Remove things from the trash for ever, with their files, for some seconds; or say what would be removed.

        Go on with the part's token until it has none. May be called again after any failure or kill.

        Raises:
            UnavailableError: another process removes things from this database now.
        """
        ...

    def remove_orphans(self, *, dry_run: bool = False, force: bool = False) -> OrphanReport:
        """Delete, or only find, folders of the store's own layout that belong to nothing and did not change for a day.

        Raises:
            ConflictError: most folders belong to nothing, as if they were another database's, and `force` is false.
        """
        ...


class Store(
    ExperimentStore,
    RunStore,
    RunTableStore,
    LivingRunStore,
    LoggedModelStore,
    RegistryStore,
    WebhookStore,
    TrashStore,
    Protocol,
):
    """Everything that is tracked and registered."""
