"""The routes of logged models, except their files."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from slipstream.api.messages import KeyValue, mapping, pairs
from slipstream.api.routing import Empty, Permission, Request, Response, route
from slipstream.entities import LoggedModel, LoggedModelStatus, Metric
from slipstream.errors import InvalidParameterError
from slipstream.store.base import Store
from slipstream.wire.numbers import from_wire as double_from_wire
from slipstream.wire.numbers import to_wire as double_to_wire
from slipstream.wire.parsing import Int64

DEFAULT_PAGE = 50

_STATUS_NAMES = {
    LoggedModelStatus.UNSPECIFIED: "LOGGED_MODEL_STATUS_UNSPECIFIED",
    LoggedModelStatus.PENDING: "LOGGED_MODEL_PENDING",
    LoggedModelStatus.READY: "LOGGED_MODEL_READY",
    LoggedModelStatus.FAILED: "LOGGED_MODEL_UPLOAD_FAILED",
}
_STATUSES: dict[str, LoggedModelStatus] = {
    **{name: status for status, name in _STATUS_NAMES.items()},
    **{str(status.number): status for status in LoggedModelStatus},
}


class ModelInfoMessage(Response):
    model_id: str
    experiment_id: str
    name: str
    creation_timestamp_ms: int
    last_updated_timestamp_ms: int
    artifact_uri: str
    status: str
    model_type: str | UnsetType = UNSET
    source_run_id: str | UnsetType = UNSET
    tags: list[KeyValue] = []


class ModelMetricMessage(Response):
    key: str
    value: float | str
    timestamp: int
    step: int | UnsetType = UNSET
    dataset_name: str | UnsetType = UNSET
    dataset_digest: str | UnsetType = UNSET
    model_id: str | UnsetType = UNSET
    run_id: str | UnsetType = UNSET


class ModelDataMessage(Response):
    params: list[KeyValue] = []
    metrics: list[ModelMetricMessage] = []


class LoggedModelMessage(Response):
    info: ModelInfoMessage
    data: ModelDataMessage


def to_wire(model: LoggedModel) -> LoggedModelMessage:
    return LoggedModelMessage(
        info=ModelInfoMessage(
            model_id=model.model_id,
            experiment_id=model.experiment_id,
            name=model.name,
            creation_timestamp_ms=model.creation_timestamp,
            last_updated_timestamp_ms=model.last_updated_timestamp,
            artifact_uri=model.artifact_location,
            status=_STATUS_NAMES[model.status],
            model_type=model.model_type or "",
            source_run_id=model.source_run_id or "",
            tags=pairs(model.tags),
        ),
        data=ModelDataMessage(
            params=pairs(model.params), metrics=[_metric_to_wire(point) for point in model.metrics]
        ),
    )


def from_wire(message: LoggedModelMessage) -> LoggedModel:
    info = message.info
    return LoggedModel(
        model_id=info.model_id,
        experiment_id=info.experiment_id,
        name=info.name,
        artifact_location=info.artifact_uri,
        creation_timestamp=info.creation_timestamp_ms,
        last_updated_timestamp=info.last_updated_timestamp_ms,
        model_type=info.model_type or None,
        source_run_id=info.source_run_id or None,
        status=status_from_wire(info.status),
        tags=mapping(info.tags),
        params=mapping(message.data.params),
        metrics=[_metric_from_wire(point) for point in message.data.metrics],
    )


def status_to_wire(status: LoggedModelStatus) -> str:
    return _STATUS_NAMES[status]


def status_from_wire(value: str | int) -> LoggedModelStatus:
    """Return a status from its name or number in MLflow's enumeration."""
    status = _STATUSES.get(str(value))
    if status is None:
        raise InvalidParameterError(
            f"Invalid value '{str(value)[:100]}' for 'status': use one of {', '.join(_STATUS_NAMES.values())}."
        )
    return status


def _metric_to_wire(metric: Metric) -> ModelMetricMessage:
    return ModelMetricMessage(
        key=metric.key,
        value=double_to_wire(metric.value),
        timestamp=metric.timestamp,
        step=metric.step,
        dataset_name=metric.dataset_name or UNSET,
        dataset_digest=metric.dataset_digest or UNSET,
        model_id=metric.model_id or UNSET,
        run_id=metric.run_id or UNSET,
    )


def _metric_from_wire(message: ModelMetricMessage) -> Metric:
    return Metric(
        message.key,
        double_from_wire(message.value),
        message.timestamp,
        message.step or 0,
        message.model_id or None,
        message.dataset_name or None,
        message.dataset_digest or None,
        message.run_id or None,
    )


class LoggedModelResponse(Response):
    model: LoggedModelMessage


class CreateLoggedModel(Request):
    experiment_id: str
    name: str | None = None
    model_type: str | None = None
    source_run_id: str | None = None
    params: list[KeyValue] = []
    tags: list[KeyValue] = []


@route("POST", "logged-models", permission=Permission.WRITE)
def create_logged_model(store: Store, req: CreateLoggedModel) -> LoggedModelResponse:
    """Create a logged model, which is pending until its files are there."""
    model = store.create_logged_model(
        req.experiment_id,
        req.name or None,
        req.source_run_id or None,
        mapping(req.tags),
        mapping(req.params),
        req.model_type or None,
    )
    return LoggedModelResponse(model=to_wire(model))


class GetLoggedModel(Request):
    model_id: str
    allow_deleted: bool = False


@route("GET", "logged-models/{model_id}", permission=Permission.READ)
def get_logged_model(store: Store, req: GetLoggedModel) -> LoggedModelResponse:
    """Return a logged model with its params, tags and metrics."""
    return LoggedModelResponse(
        model=to_wire(store.get_logged_model(req.model_id, allow_deleted=req.allow_deleted))
    )


class FinalizeLoggedModel(Request):
    model_id: str
    status: Annotated[str | int, msgspec.Meta(description="a status by name or number")]


@route("PATCH", "logged-models/{model_id}", permission=Permission.WRITE)
def finalize_logged_model(store: Store, req: FinalizeLoggedModel) -> LoggedModelResponse:
    """Set the status that a logged model ends in."""
    model = store.finalize_logged_model(req.model_id, status_from_wire(req.status))
    return LoggedModelResponse(model=to_wire(model))


class DeleteLoggedModel(Request):
    model_id: str


@route("DELETE", "logged-models/{model_id}", permission=Permission.DELETE)
def delete_logged_model(store: Store, req: DeleteLoggedModel) -> Empty:
    """Mark a logged model deleted."""
    store.delete_logged_model(req.model_id)
    return Empty()


class SetLoggedModelTags(Request):
    model_id: str
    tags: list[KeyValue] = []


@route("PATCH", "logged-models/{model_id}/tags", permission=Permission.WRITE)
def set_logged_model_tags(store: Store, req: SetLoggedModelTags) -> Empty:
    """Set tags of a logged model."""
    store.set_logged_model_tags(req.model_id, mapping(req.tags))
    return Empty()


class DeleteLoggedModelTag(Request):
    model_id: str
    tag_key: str


@route("DELETE", "logged-models/{model_id}/tags/{tag_key}", permission=Permission.DELETE)
def delete_logged_model_tag(store: Store, req: DeleteLoggedModelTag) -> Empty:
    """Delete a tag of a logged model."""
    store.delete_logged_model_tag(req.model_id, req.tag_key)
    return Empty()


class LogLoggedModelParams(Request):
    model_id: str
    params: list[KeyValue] = []


@route("POST", "logged-models/{model_id}/params", permission=Permission.WRITE)
def log_logged_model_params(store: Store, req: LogLoggedModelParams) -> Empty:
    """Log params of a logged model; the same value again is fine, another one is refused."""
    store.log_logged_model_params(req.model_id, mapping(req.params))
    return Empty()


class SearchedDataset(msgspec.Struct, frozen=True):
    dataset_name: str
    dataset_digest: str | None = None


class ModelOrder(msgspec.Struct, frozen=True):
    field_name: str
    ascending: bool = True
    dataset_name: str | None = None
    dataset_digest: str | None = None


class SearchLoggedModels(Request):
    experiment_ids: list[str]
    filter: str | None = None
    datasets: list[SearchedDataset] = []
    max_results: Int64 = DEFAULT_PAGE
    order_by: list[ModelOrder] = []
    page_token: str | None = None


class SearchLoggedModelsResponse(Response):
    models: list[LoggedModelMessage] = []
    next_page_token: str | None = None


@route("POST", "logged-models/search", permission=Permission.READ)
def search_logged_models(store: Store, req: SearchLoggedModels) -> SearchLoggedModelsResponse:
    """Search logged models of some experiments by attributes, metrics, params and tags."""
    page = store.search_logged_models(
        req.experiment_ids,
        req.filter,
        [_texts(each) for each in req.datasets],
        req.max_results or DEFAULT_PAGE,
        [_given(each) for each in req.order_by],
        req.page_token,
    )
    return SearchLoggedModelsResponse(
        models=[to_wire(model) for model in page.items], next_page_token=page.token
    )


def _texts(dataset: SearchedDataset) -> Mapping[str, str]:
    return {
        "dataset_name": dataset.dataset_name,
        **({"dataset_digest": dataset.dataset_digest} if dataset.dataset_digest else {}),
    }


def _given(order: ModelOrder) -> Mapping[str, object]:
    return {key: value for key, value in msgspec.structs.asdict(order).items() if value is not None}
