"""The routes of what runs read and made: datasets, and logged models as inputs and outputs."""

import msgspec
from msgspec import UNSET, UnsetType

from slipstream.api.routing import AJAX, Empty, Permission, Request, Response, route
from slipstream.entities import (
    Dataset,
    DatasetInput,
    DatasetSummary,
    InputTag,
    LoggedModelInput,
    LoggedModelOutput,
    RunInputs,
    RunOutputs,
)
from slipstream.store.base import Store
from slipstream.wire.parsing import Int64


class DatasetMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    name: str
    digest: str
    source_type: str
    source: str
    schema: str | UnsetType = UNSET
    profile: str | UnsetType = UNSET


class InputTagMessage(msgspec.Struct, frozen=True):
    key: str
    value: str


class DatasetInputMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    tags: list[InputTagMessage] = []
    dataset: DatasetMessage


class ModelInputMessage(msgspec.Struct, frozen=True):
    model_id: str


class ModelOutputMessage(msgspec.Struct, frozen=True):
    model_id: str
    step: Int64 = 0


class RunInputsMessage(Response):
    dataset_inputs: list[DatasetInputMessage] = []
    model_inputs: list[ModelInputMessage] = []


class RunOutputsMessage(Response):
    model_outputs: list[ModelOutputMessage] = []


def inputs_to_wire(inputs: RunInputs) -> RunInputsMessage:
    return RunInputsMessage(
        dataset_inputs=[dataset_to_wire(each) for each in inputs.dataset_inputs],
        model_inputs=[ModelInputMessage(each.model_id) for each in inputs.model_inputs],
    )


def inputs_from_wire(message: RunInputsMessage) -> RunInputs:
    return RunInputs(
        dataset_inputs=[dataset_from_wire(each) for each in message.dataset_inputs],
        model_inputs=[LoggedModelInput(each.model_id) for each in message.model_inputs],
    )


def outputs_to_wire(outputs: RunOutputs) -> RunOutputsMessage:
    return RunOutputsMessage(
        model_outputs=[ModelOutputMessage(each.model_id, each.step) for each in outputs.model_outputs]
    )


def outputs_from_wire(message: RunOutputsMessage) -> RunOutputs:
    return RunOutputs(
        model_outputs=[LoggedModelOutput(each.model_id, each.step) for each in message.model_outputs]
    )


def dataset_to_wire(each: DatasetInput) -> DatasetInputMessage:
    dataset = each.dataset
    return DatasetInputMessage(
        tags=[InputTagMessage(tag.key, tag.value) for tag in each.tags],
        dataset=DatasetMessage(
            name=dataset.name,
            digest=dataset.digest,
            source_type=dataset.source_type,
            source=dataset.source,
            schema=UNSET if dataset.schema is None else dataset.schema,
            profile=UNSET if dataset.profile is None else dataset.profile,
        ),
    )


def dataset_from_wire(message: DatasetInputMessage) -> DatasetInput:
    dataset = message.dataset
    return DatasetInput(
        tags=[InputTag(tag.key, tag.value) for tag in message.tags],
        dataset=Dataset(
            name=dataset.name,
            digest=dataset.digest,
            source_type=dataset.source_type,
            source=dataset.source,
            schema=None if dataset.schema is UNSET else dataset.schema,
            profile=None if dataset.profile is UNSET else dataset.profile,
        ),
    )


class LogInputs(Request):
    run_id: str
    datasets: list[DatasetInputMessage] = []
    models: list[ModelInputMessage] = []


@route("POST", "runs/log-inputs", permission=Permission.WRITE)
def log_inputs(store: Store, req: LogInputs) -> Empty:
    """Record which datasets and models a run read; the first tags of a dataset stay."""
    store.log_inputs(
        req.run_id,
        [dataset_from_wire(each) for each in req.datasets],
        [each.model_id for each in req.models],
    )
    return Empty()


class LogOutputs(Request):
    run_id: str
    models: list[ModelOutputMessage]


@route("POST", "runs/outputs", permission=Permission.WRITE)
def log_outputs(store: Store, req: LogOutputs) -> Empty:
    """Record which models a run made."""
    store.log_outputs(req.run_id, [LoggedModelOutput(each.model_id, each.step) for each in req.models])
    return Empty()


class LogModel(Request):
    run_id: str
    model_json: str


@route("POST", "runs/log-model", permission=Permission.WRITE)
def record_model(store: Store, req: LogModel) -> Empty:
    """Append a model to the tag `mlflow.log-model.history` of a run, as MLflow 2 clients ask."""
    store.record_model(req.run_id, req.model_json)
    return Empty()


class SearchDatasets(Request):
    experiment_ids: list[str]


class DatasetSummaryMessage(Response):
    experiment_id: str
    name: str
    digest: str
    context: str | UnsetType = UNSET


def summary_to_wire(summary: DatasetSummary) -> DatasetSummaryMessage:
    return DatasetSummaryMessage(
        experiment_id=summary.experiment_id,
        name=summary.name,
        digest=summary.digest,
        context=UNSET if summary.context is None else summary.context,
    )


def summary_from_wire(message: DatasetSummaryMessage) -> DatasetSummary:
    return DatasetSummary(
        experiment_id=message.experiment_id,
        name=message.name,
        digest=message.digest,
        context=None if message.context is UNSET else message.context,
    )


class SearchDatasetsResponse(Response):
    dataset_summaries: list[DatasetSummaryMessage] = []


@route("POST", "experiments/search-datasets", permission=Permission.READ, prefixes=(AJAX,))
def search_datasets(store: Store, req: SearchDatasets) -> SearchDatasetsResponse:
    """Return the datasets that runs of some experiments read."""
    return SearchDatasetsResponse(
        dataset_summaries=[summary_to_wire(each) for each in store.search_datasets(req.experiment_ids)]
    )
