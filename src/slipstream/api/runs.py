"""The routes of runs, their params and tags."""

from typing import Annotated, Any, Protocol

import msgspec
from msgspec import UNSET, UnsetType

from slipstream.api.datasets import (
    RunInputsMessage,
    RunOutputsMessage,
    inputs_from_wire,
    inputs_to_wire,
    outputs_from_wire,
    outputs_to_wire,
)
from slipstream.api.experiments import view_type
from slipstream.api.messages import KeyValue, mapping, pairs
from slipstream.api.routing import Empty, Permission, Request, Response, encode, route
from slipstream.entities import Metric, Param, Run, RunData, RunInfo, RunInputs, RunOutputs, RunTag, ViewType
from slipstream.errors import BadRequestError, InvalidParameterError
from slipstream.rules import limits
from slipstream.store.base import Store
from slipstream.wire.numbers import from_wire as double_from_wire
from slipstream.wire.numbers import to_wire as double_to_wire
from slipstream.wire.parsing import Int64


class RunInfoMessage(Response, kw_only=True):
    run_uuid: str
    experiment_id: str
    run_name: str = ""
    user_id: str | UnsetType = UNSET
    status: str
    start_time: int | UnsetType = UNSET
    end_time: int | UnsetType = UNSET
    artifact_uri: str
    lifecycle_stage: str
    run_id: str


class MetricMessage(Response, kw_only=True):
    key: str
    value: float | str
    timestamp: int
    step: int | UnsetType = UNSET


class RunDataMessage(Response, kw_only=True):
    metrics: list[MetricMessage] = []
    params: list[KeyValue] = []
    tags: list[KeyValue] = []


class RunMessage(Response, kw_only=True):
    info: RunInfoMessage
    data: RunDataMessage
    inputs: RunInputsMessage | UnsetType = UNSET
    outputs: RunOutputsMessage | UnsetType = UNSET


def info_to_wire(info: RunInfo) -> RunInfoMessage:
    return RunInfoMessage(
        run_uuid=info.run_id,
        experiment_id=info.experiment_id,
        run_name=info.run_name,
        user_id=info.user_id,
        status=info.status,
        start_time=info.start_time,
        end_time=info.end_time or UNSET,  # MLflow leaves out 0 as well
        artifact_uri=info.artifact_uri,
        lifecycle_stage=info.lifecycle_stage,
        run_id=info.run_id,
    )


def info_from_wire(message: RunInfoMessage) -> RunInfo:
    return RunInfo(
        run_id=message.run_id,
        experiment_id=message.experiment_id,
        run_name=message.run_name,
        user_id=message.user_id or "",
        status=message.status,
        start_time=message.start_time or 0,
        end_time=message.end_time or None,
        lifecycle_stage=message.lifecycle_stage,
        artifact_uri=message.artifact_uri,
    )


def to_wire(run: Run) -> RunMessage:
    return RunMessage(
        info=info_to_wire(run.info),
        data=RunDataMessage(
            metrics=[metric_to_wire(point) for point in run.data.latest_metrics],
            params=pairs(run.data.params),
            tags=pairs(run.data.tags),
        ),
        inputs=inputs_to_wire(run.inputs),
        outputs=outputs_to_wire(run.outputs),
    )


def from_wire(message: RunMessage) -> Run:
    return Run(
        info=info_from_wire(message.info),
        data=RunData(
            latest_metrics=[metric_from_wire(point) for point in message.data.metrics],
            params=mapping(message.data.params),
            tags=mapping(message.data.tags),
        ),
        inputs=inputs_from_wire(message.inputs) if message.inputs is not UNSET else RunInputs(),
        outputs=outputs_from_wire(message.outputs) if message.outputs is not UNSET else RunOutputs(),
    )


def metric_to_wire(metric: Metric) -> MetricMessage:
    return MetricMessage(
        key=metric.key, value=double_to_wire(metric.value), timestamp=metric.timestamp, step=metric.step
    )


def metric_from_wire(message: MetricMessage) -> Metric:
    return Metric(message.key, double_from_wire(message.value), message.timestamp, message.step or 0)


class CreateRun(Request, kw_only=True):
    experiment_id: str | None = None
    user_id: str = ""
    run_name: str | None = None
    start_time: Int64 = 0
    tags: list[KeyValue] = []


class CreateRunResponse(Response, kw_only=True):
    run: RunMessage


@route("POST", "runs/create", permission=Permission.WRITE)
def create_run(store: Store, req: CreateRun) -> CreateRunResponse:
    """Create a run in an experiment."""
    if not req.experiment_id:
        raise BadRequestError("Missing value for required parameter 'experiment_id'.")
    run = store.create_run(
        req.experiment_id,
        req.user_id,
        req.run_name,
        req.start_time,
        [RunTag(tag.key, tag.value) for tag in req.tags],
    )
    message = to_wire(run)
    return CreateRunResponse(
        run=RunMessage(info=message.info, data=message.data, inputs=message.inputs)  # no outputs, as MLflow
    )


class RunIdentified(Request, kw_only=True):
    """A request that names its run, maybe under the oldest name."""

    run_id: str | None = None
    run_uuid: str | None = None

    @property
    def run(self) -> str:
        run_id = self.run_id or self.run_uuid
        if not run_id:
            raise InvalidParameterError("Missing value for required parameter 'run_id'.")
        return run_id


class GetRun(RunIdentified, kw_only=True):
    pass


class GetRunResponse(Response, kw_only=True):
    run: RunMessage


@route("GET", "runs/get", permission=Permission.READ)
def get_run(store: Store, req: GetRun) -> GetRunResponse:
    """Return a run with its latest metrics, params, tags, inputs and outputs; deleted ones too."""
    return GetRunResponse(run=to_wire(store.get_run(req.run)))


class UpdateRun(RunIdentified, kw_only=True):
    status: Annotated[str | int | None, msgspec.Meta(description="a status by name or number")] = None
    end_time: Int64 | None = None
    run_name: str | None = None


class UpdateRunResponse(Response, kw_only=True):
    run_info: RunInfoMessage


_STATUS_NUMBERS = {"1": "RUNNING", "2": "SCHEDULED", "3": "FINISHED", "4": "FAILED", "5": "KILLED"}


@route("POST", "runs/update", permission=Permission.WRITE)
def update_run(store: Store, req: UpdateRun) -> UpdateRunResponse:
    """Change a run's status, end time or name."""
    status = None if req.status is None else _STATUS_NUMBERS.get(str(req.status), str(req.status))
    info = store.update_run(req.run, status, req.end_time, req.run_name)
    return UpdateRunResponse(run_info=info_to_wire(info))


class DeleteRun(Request, kw_only=True):
    run_id: str


@route("POST", "runs/delete", permission=Permission.DELETE)
def delete_run(store: Store, req: DeleteRun) -> Empty:
    """Mark a run deleted."""
    store.delete_run(req.run_id)
    return Empty()


class RestoreRun(Request, kw_only=True):
    run_id: str


@route("POST", "runs/restore", permission=Permission.WRITE)
def restore_run(store: Store, req: RestoreRun) -> Empty:
    """Make a deleted run active again."""
    store.restore_run(req.run_id)
    return Empty()


class LogParam(RunIdentified, kw_only=True):
    key: str
    value: str = ""


@route("POST", "runs/log-parameter", permission=Permission.WRITE)
def log_param(store: Store, req: LogParam) -> Empty:
    """Log a param; the same value again is fine, another one is refused."""
    store.log_param(req.run, req.key, req.value)
    return Empty()


class SetTag(RunIdentified, kw_only=True):
    key: str
    value: str = ""


@route("POST", "runs/set-tag", permission=Permission.WRITE)
def set_tag(store: Store, req: SetTag) -> Empty:
    """Set a tag of a run."""
    store.set_tag(req.run, req.key, req.value)
    return Empty()


class DeleteTag(Request, kw_only=True):
    run_id: str
    key: str


@route("POST", "runs/delete-tag", permission=Permission.DELETE)
def delete_tag(store: Store, req: DeleteTag) -> Empty:
    """Delete a tag of a run."""
    store.delete_tag(req.run_id, req.key)
    return Empty()


class SearchRuns(Request, kw_only=True):
    experiment_ids: list[str] = []
    filter: str | None = None
    run_view_type: Annotated[str | int, msgspec.Meta(description="ACTIVE_ONLY, DELETED_ONLY or ALL")] = 1
    max_results: Int64 = 1000
    order_by: list[str] = []
    page_token: str | None = None


class SearchRunsResponse(Response, kw_only=True):
    runs: list[RunMessage] = []
    next_page_token: str | None = None


def _encode_run(run: Run) -> bytes:
    return encode(to_wire(run))


@route("POST", "runs/search", permission=Permission.READ)
def search_runs(store: Store, req: SearchRuns) -> SearchRunsResponse:
    """Search runs of some experiments by metrics, params, tags, attributes and datasets."""
    page = store.search_encoded_runs(_encode_run, *_search_of(req))
    runs: list[Any] = [msgspec.Raw(run) for run in page.items]
    return SearchRunsResponse(runs=runs, next_page_token=page.token)


def search_run_messages(store: Store, req: SearchRuns) -> SearchRunsResponse:
    """Answer `search_runs` for those who look into the runs."""
    page = store.search_runs(*_search_of(req))
    return SearchRunsResponse(runs=[to_wire(run) for run in page.items], next_page_token=page.token)


def _search_of(req: SearchRuns) -> tuple[list[str], str | None, ViewType, int, list[str], str | None]:
    return (
        req.experiment_ids,
        req.filter,
        view_type(req.run_view_type, "run_view_type"),
        req.max_results,
        req.order_by,
        req.page_token,
    )


class BatchMetric(msgspec.Struct, frozen=True, gc=False):
    key: str
    value: float
    timestamp: Int64
    step: Int64 = 0
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


class MeasuredMessage(Protocol):
    """A point of a metric, as `log-metric` and `log-batch` take it."""

    @property
    def key(self) -> str: ...
    @property
    def value(self) -> float: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def step(self) -> int: ...
    @property
    def model_id(self) -> str | None: ...
    @property
    def dataset_name(self) -> str | None: ...
    @property
    def dataset_digest(self) -> str | None: ...


def measured(message: MeasuredMessage) -> Metric:
    """Return the point that a request logs.

    Raises:
        InvalidParameterError: only one half of a data set's name and digest is given.
    """
    if bool(message.dataset_name) != bool(message.dataset_digest):
        given, absent = ("dataset_name", "dataset_digest")[:: 1 if message.dataset_name else -1]
        raise InvalidParameterError(
            f"The metric {message.key[:200]!r} has a '{given}' and no '{absent}'. Give both or neither."
        )
    return Metric(
        message.key,
        message.value,
        message.timestamp,
        message.step,
        message.model_id,
        message.dataset_name,
        message.dataset_digest,
    )


class LogBatch(Request, kw_only=True):
    run_id: str
    metrics: list[BatchMetric] = []
    params: list[KeyValue] = []
    tags: list[KeyValue] = []


@route("POST", "runs/log-batch", permission=Permission.WRITE)
def log_batch(store: Store, req: LogBatch) -> Empty:
    """Log up to 1,000 metrics, params and tags together: all of them or none."""
    counts = {"metrics": len(req.metrics), "params": len(req.params), "tags": len(req.tags)}
    ceilings = {"metrics": limits.BATCH_METRICS, "params": limits.BATCH_PARAMS, "tags": limits.BATCH_TAGS}
    for name, count in counts.items():
        if count > ceilings[name]:
            raise InvalidParameterError(
                f"A batch holds at most {ceilings[name]} {name}; got {count}. Send the rest in another request."
            )
    if sum(counts.values()) > limits.BATCH_TOTAL:
        raise InvalidParameterError(
            f"A batch holds at most {limits.BATCH_TOTAL} metrics, params and tags together; "
            f"got {sum(counts.values())}. Send the rest in another request."
        )
    return store_batch(store, req)


def store_batch(store: Store, req: LogBatch) -> Empty:
    """Log what a request holds, whatever its size."""
    store.log_batch(
        req.run_id,
        [measured(metric) for metric in req.metrics],
        [Param(param.key, param.value) for param in req.params],
        [RunTag(tag.key, tag.value) for tag in req.tags],
    )
    return Empty()
