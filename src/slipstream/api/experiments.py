"""The routes of experiments."""

from typing import Annotated

import msgspec

from slipstream.api.messages import KeyValue, mapping, pairs
from slipstream.api.routing import Empty, Permission, Request, Response, route
from slipstream.entities import Experiment, ViewType
from slipstream.errors import InvalidParameterError, NotFoundError
from slipstream.store.base import Store
from slipstream.wire.parsing import Int64


class ExperimentMessage(Response, kw_only=True):
    experiment_id: str
    name: str
    artifact_location: str
    lifecycle_stage: str
    last_update_time: int
    creation_time: int
    tags: list[KeyValue] = []
    workspace: str | msgspec.UnsetType = msgspec.UNSET


def to_wire(experiment: Experiment) -> ExperimentMessage:
    return ExperimentMessage(
        experiment_id=experiment.experiment_id,
        name=experiment.name,
        artifact_location=experiment.artifact_location,
        lifecycle_stage=experiment.lifecycle_stage,
        last_update_time=experiment.last_update_time,
        creation_time=experiment.creation_time,
        tags=pairs(experiment.tags),
        workspace="default",
    )


def from_wire(message: ExperimentMessage) -> Experiment:
    return Experiment(
        experiment_id=message.experiment_id,
        name=message.name,
        artifact_location=message.artifact_location,
        lifecycle_stage=message.lifecycle_stage,
        creation_time=message.creation_time,
        last_update_time=message.last_update_time,
        tags=mapping(message.tags),
    )


class CreateExperiment(Request, kw_only=True):
    name: str
    artifact_location: str | None = None
    tags: list[KeyValue] = []


class CreateExperimentResponse(Response, kw_only=True):
    experiment_id: str


@route("POST", "experiments/create", permission=Permission.WRITE)
def create_experiment(store: Store, req: CreateExperiment) -> CreateExperimentResponse:
    """Create an experiment."""
    return CreateExperimentResponse(
        experiment_id=store.create_experiment(req.name, req.artifact_location, mapping(req.tags))
    )


class GetExperiment(Request, kw_only=True):
    experiment_id: str


class GetExperimentResponse(Response, kw_only=True):
    experiment: ExperimentMessage


@route("GET", "experiments/get", permission=Permission.READ)
def get_experiment(store: Store, req: GetExperiment) -> GetExperimentResponse:
    """Return an experiment by id, deleted ones too."""
    return GetExperimentResponse(experiment=to_wire(store.get_experiment(req.experiment_id)))


class GetExperimentByName(Request, kw_only=True):
    experiment_name: str


@route("GET", "experiments/get-by-name", permission=Permission.READ)
def get_experiment_by_name(store: Store, req: GetExperimentByName) -> GetExperimentResponse:
    """Return an experiment by name, deleted ones too."""
    experiment = store.find_experiment_by_name(req.experiment_name)
    if experiment is None:
        raise NotFoundError(f"Could not find experiment with name '{req.experiment_name}'")
    return GetExperimentResponse(experiment=to_wire(experiment))


class UpdateExperiment(Request, kw_only=True):
    experiment_id: str
    new_name: str


@route("POST", "experiments/update", permission=Permission.WRITE)
def update_experiment(store: Store, req: UpdateExperiment) -> Empty:
    """Rename an experiment."""
    store.rename_experiment(req.experiment_id, req.new_name)
    return Empty()


class DeleteExperiment(Request, kw_only=True):
    experiment_id: str


@route("POST", "experiments/delete", permission=Permission.DELETE)
def delete_experiment(store: Store, req: DeleteExperiment) -> Empty:
    """Mark an experiment and its runs deleted."""
    store.delete_experiment(req.experiment_id)
    return Empty()


class RestoreExperiment(Request, kw_only=True):
    experiment_id: str


@route("POST", "experiments/restore", permission=Permission.WRITE)
def restore_experiment(store: Store, req: RestoreExperiment) -> Empty:
    """Make a deleted experiment and its runs active again."""
    store.restore_experiment(req.experiment_id)
    return Empty()


class SetExperimentTag(Request, kw_only=True):
    experiment_id: str
    key: str
    value: str = ""


@route("POST", "experiments/set-experiment-tag", permission=Permission.WRITE)
def set_experiment_tag(store: Store, req: SetExperimentTag) -> Empty:
    """Set a tag of an experiment."""
    store.set_experiment_tag(req.experiment_id, req.key, req.value)
    return Empty()


class DeleteExperimentTag(Request, kw_only=True):
    experiment_id: str
    key: str


@route("POST", "experiments/delete-experiment-tag", permission=Permission.WRITE)
def delete_experiment_tag(store: Store, req: DeleteExperimentTag) -> Empty:
    """Delete a tag of an experiment."""
    store.delete_experiment_tag(req.experiment_id, req.key)
    return Empty()


class SearchExperiments(Request, kw_only=True):
    max_results: Int64 = 0
    filter: str | None = None
    order_by: list[str] = []
    page_token: str | None = None
    view_type: Annotated[str | int, msgspec.Meta(description="ACTIVE_ONLY, DELETED_ONLY or ALL")] = 1


class SearchExperimentsResponse(Response, kw_only=True):
    experiments: list[ExperimentMessage] = []
    next_page_token: str | None = None


@route("POST", "experiments/search", permission=Permission.READ, also=("GET",))
def search_experiments(store: Store, req: SearchExperiments) -> SearchExperimentsResponse:
    """Search experiments by name, tag and time. `max_results` is required in practice, as in MLflow."""
    page = store.search_experiments(
        view_type(req.view_type), req.max_results, req.filter, req.order_by, req.page_token
    )
    return SearchExperimentsResponse(
        experiments=[to_wire(each) for each in page.items], next_page_token=page.token
    )


def view_type(value: str | int, field: str = "view_type") -> ViewType:
    """Return a view type from its name or number."""
    text = str(value)
    for view in ViewType:
        if text == str(view.value):
            return view
    if text in ViewType.__members__:
        return ViewType[text]
    raise InvalidParameterError(
        f"Invalid value '{text[:100]}' for '{field}': use ACTIVE_ONLY, DELETED_ONLY or ALL."
    )
