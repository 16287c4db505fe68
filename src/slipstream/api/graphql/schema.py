"""MLflow's GraphQL schema: its types, as names and types of fields, and where the root fields get their values.

A value is a message of the REST API: field `runId` of a type is attribute `run_id` of the message. What a message
leaves out, GraphQL shows as the type's empty value, as MLflow does: `""`, `"0"`, `[]`, or an object of such.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from slipstream.api import artifacts, datasets, experiments, metrics, model_versions, runs
from slipstream.api.routing import ROUTES, Route
from slipstream.errors import InvalidParameterError
from slipstream.store.base import Store

SCALARS = frozenset({"String", "LongString", "Float", "Int", "Boolean"})
ENUMS: dict[str, tuple[str, ...]] = {
    "MlflowRunStatus": ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"),
    "MlflowModelVersionStatus": ("PENDING_REGISTRATION", "FAILED_REGISTRATION", "READY"),
    "MlflowViewType": ("ACTIVE_ONLY", "DELETED_ONLY", "ALL"),
    "MlflowDeploymentJobConnectionState": (
        *("DEPLOYMENT_JOB_CONNECTION_STATE_UNSPECIFIED", "NOT_SET_UP", "CONNECTED", "NOT_FOUND"),
        "REQUIRED_PARAMETERS_CHANGED",
    ),
    "MlflowModelVersionDeploymentJobStateDeploymentJobRunState": (
        *("DEPLOYMENT_JOB_RUN_STATE_UNSPECIFIED", "NO_VALID_DEPLOYMENT_JOB_FOUND", "RUNNING", "SUCCEEDED"),
        *("FAILED", "PENDING", "APPROVAL"),
    ),
}


def _texts(*names: str) -> dict[str, str]:
    return dict.fromkeys(names, "String")


_PAIR = _texts("key", "value")
_ERROR = {"apiError": "ApiError"}
OBJECTS: dict[str, dict[str, str]] = {
    "Query": {
        "mlflowGetExperiment": "MlflowGetExperimentResponse",
        "mlflowGetMetricHistoryBulkInterval": "MlflowGetMetricHistoryBulkIntervalResponse",
        "mlflowGetRun": "MlflowGetRunResponse",
        "mlflowListArtifacts": "MlflowListArtifactsResponse",
        "mlflowSearchModelVersions": "MlflowSearchModelVersionsResponse",
        "mlflowSearchRuns": "MlflowSearchRunsResponse",
        "test": "Test",
    },
    "Mutation": {
        "mlflowSearchDatasets": "MlflowSearchDatasetsResponse",
        "mlflowSearchRuns": "MlflowSearchRunsResponse",
        "testMutation": "TestMutation",
    },
    "Test": _texts("output"),
    "TestMutation": _texts("output"),
    "ApiError": {**_texts("code", "message", "helpUrl", "traceId"), "errorDetails": "[ErrorDetail]"},
    "ErrorDetail": _texts("field", "message"),
    "MlflowGetExperimentResponse": {"experiment": "MlflowExperiment", **_ERROR},
    "MlflowExperiment": {
        **_texts("experimentId", "name", "artifactLocation", "lifecycleStage"),
        "lastUpdateTime": "LongString",
        "creationTime": "LongString",
        "tags": "[MlflowExperimentTag]",
        **_texts("effectiveTraceArchivalRetention", "workspace"),
    },
    "MlflowExperimentTag": _PAIR,
    "MlflowGetRunResponse": {"run": "MlflowRunExtension", **_ERROR},
    "MlflowSearchRunsResponse": {"runs": "[MlflowRunExtension]", "nextPageToken": "String", **_ERROR},
    "MlflowRunExtension": {
        "info": "MlflowRunInfo",
        "data": "MlflowRunData",
        "inputs": "MlflowRunInputs",
        "outputs": "MlflowRunOutputs",
        "experiment": "MlflowExperiment",
        "modelVersions": "[MlflowModelVersion]",
    },
    "MlflowRunInfo": {
        **_texts("runId", "runUuid", "runName", "experimentId", "userId"),
        "status": "MlflowRunStatus",
        "startTime": "LongString",
        "endTime": "LongString",
        **_texts("artifactUri", "lifecycleStage"),
    },
    "MlflowRunData": {
        "metrics": "[MlflowMetricExtension]",
        "params": "[MlflowParam]",
        "tags": "[MlflowRunTag]",
    },
    "MlflowMetricExtension": {
        "key": "String",
        "value": "Float",
        "timestamp": "LongString",
        "step": "LongString",
        **_texts("datasetName", "datasetDigest", "modelId", "runId"),
    },
    "MlflowParam": _PAIR,
    "MlflowRunTag": _PAIR,
    "MlflowRunInputs": {"datasetInputs": "[MlflowDatasetInput]", "modelInputs": "[MlflowModelInput]"},
    "MlflowDatasetInput": {"tags": "[MlflowInputTag]", "dataset": "MlflowDataset"},
    "MlflowInputTag": _PAIR,
    "MlflowDataset": _texts("name", "digest", "sourceType", "source", "schema", "profile"),
    "MlflowModelInput": _texts("modelId"),
    "MlflowRunOutputs": {"modelOutputs": "[MlflowModelOutput]"},
    "MlflowModelOutput": {"modelId": "String", "step": "LongString"},
    "MlflowListArtifactsResponse": {
        "rootUri": "String",
        "files": "[MlflowFileInfo]",
        "nextPageToken": "String",
        **_ERROR,
    },
    "MlflowFileInfo": {"path": "String", "isDir": "Boolean", "fileSize": "LongString"},
    "MlflowGetMetricHistoryBulkIntervalResponse": {"metrics": "[MlflowMetricWithRunId]", **_ERROR},
    "MlflowMetricWithRunId": {
        "key": "String",
        "value": "Float",
        "timestamp": "LongString",
        "step": "LongString",
        "runId": "String",
    },
    "MlflowSearchDatasetsResponse": {"datasetSummaries": "[MlflowDatasetSummary]", **_ERROR},
    "MlflowDatasetSummary": _texts("experimentId", "name", "digest", "context"),
    "MlflowSearchModelVersionsResponse": {
        "modelVersions": "[MlflowModelVersion]",
        "nextPageToken": "String",
        **_ERROR,
    },
    "MlflowModelVersion": {
        **_texts("name", "version"),
        "creationTimestamp": "LongString",
        "lastUpdatedTimestamp": "LongString",
        **_texts("userId", "currentStage", "description", "source", "runId"),
        "status": "MlflowModelVersionStatus",
        "statusMessage": "String",
        "tags": "[MlflowModelVersionTag]",
        "runLink": "String",
        "aliases": "[String]",
        "modelId": "String",
        "modelParams": "[MlflowModelParam]",
        "modelMetrics": "[MlflowModelMetric]",
        "deploymentJobState": "MlflowModelVersionDeploymentJobState",
    },
    "MlflowModelVersionTag": _PAIR,
    "MlflowModelParam": _texts("name", "value"),
    "MlflowModelMetric": {
        "key": "String",
        "value": "Float",
        "timestamp": "LongString",
        "step": "LongString",
        **_texts("datasetName", "datasetDigest", "modelId", "runId"),
    },
    "MlflowModelVersionDeploymentJobState": {
        **_texts("jobId", "runId"),
        "jobState": "MlflowDeploymentJobConnectionState",
        "runState": "MlflowModelVersionDeploymentJobStateDeploymentJobRunState",
        "currentTaskName": "String",
    },
}
"""Types of fields by type. `[X]` is a list of X; there is no field that must have a value."""

INPUTS: dict[str, dict[str, str]] = {
    "MlflowGetExperimentInput": _texts("experimentId"),
    "MlflowGetRunInput": _texts("runId", "runUuid"),
    "MlflowListArtifactsInput": _texts("runId", "runUuid", "path", "pageToken"),
    "MlflowGetMetricHistoryBulkIntervalInput": {
        "runIds": "[String]",
        "metricKey": "String",
        "startStep": "Int",
        "endStep": "Int",
        "maxResults": "Int",
    },
    "MlflowSearchModelVersionsInput": {
        "filter": "String",
        "maxResults": "LongString",
        "orderBy": "[String]",
        "pageToken": "String",
    },
    "MlflowSearchRunsInput": {
        "experimentIds": "[String]",
        "filter": "String",
        "runViewType": "MlflowViewType",
        "maxResults": "Int",
        "orderBy": "[String]",
        "pageToken": "String",
    },
    "MlflowSearchDatasetsInput": {"experimentIds": "[String]"},
}

Asked = Callable[[Store, dict[str, Any]], Any]


def _through(
    handler: Callable[[Any, Any], Any], answer: Callable[[Any, Any], Any] | None = None
) -> tuple[dict[str, str], Asked]:
    """Return arguments and resolver of a field that asks what a route of the REST API answers.

    Args:
        handler: of the route.
        answer: gives the same message, where that of the handler is encoded already.
    """
    route = next(route for route in ROUTES.values() if route.handler is handler)

    def ask(store: Store, arguments: dict[str, Any]) -> Any:
        given = arguments.get("input")
        if given is None:
            raise InvalidParameterError("The argument 'input' is missing.")
        return (answer or handler)(store, _request(route, given))

    name = handler.__name__
    camel = "".join(part.title() for part in name.split("_"))
    return {"input": f"Mlflow{_INPUT_NAMES.get(camel, camel)}Input"}, ask


_INPUT_NAMES = {"GetMetricHistoryInterval": "GetMetricHistoryBulkInterval"}


def _request(route: Route, given: dict[str, Any]) -> Any:
    return route.decode(msgspec.json.encode(given), {})


def _echo(store: Store, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"output": arguments.get("inputString")}


_ECHO: tuple[dict[str, str], Asked] = ({"inputString": "String"}, _echo)

ROOTS: dict[str, tuple[dict[str, str], Asked]] = {
    "mlflowGetExperiment": _through(experiments.get_experiment),
    "mlflowGetMetricHistoryBulkInterval": _through(metrics.get_metric_history_interval),
    "mlflowGetRun": _through(runs.get_run),
    "mlflowListArtifacts": _through(artifacts.list_artifacts),
    "mlflowSearchModelVersions": _through(model_versions.search_model_versions),
    "mlflowSearchRuns": _through(runs.search_runs, runs.search_run_messages),
    "mlflowSearchDatasets": _through(datasets.search_datasets),
    "test": _ECHO,
    "testMutation": _ECHO,
}
"""(types of arguments, resolver) of the root fields."""


def arguments_of(type_name: str, field: str) -> dict[str, str]:
    """Return the types of a field's arguments; only root fields have any."""
    return ROOTS[field][0] if type_name in ("Query", "Mutation") else {}


class Neighbours:
    """What runs of an answer belong to: looked up when asked for, once for all of them."""

    _CHUNK = 500

    def __init__(self, store: Store) -> None:
        self._store = store
        self._experiments: dict[str, Any] = {}
        self._run_ids: list[str] = []
        self._versions: dict[str, list[Any]] | None = None

    def expect(self, answer: Any) -> None:
        """Note the runs that an answer holds."""
        found: Sequence[Any] = getattr(answer, "runs", None) or [
            run for run in [getattr(answer, "run", None)] if run is not None
        ]
        self._run_ids += [run.info.run_id for run in found]
        self._versions = None

    def experiment(self, run: Any) -> Any:
        experiment_id: str = run.info.experiment_id
        if experiment_id not in self._experiments:
            request = experiments.GetExperiment(experiment_id=experiment_id)
            self._experiments[experiment_id] = experiments.get_experiment(self._store, request).experiment
        return self._experiments[experiment_id]

    def model_versions(self, run: Any) -> list[Any]:
        if self._versions is None:
            self._versions = {}
            for start in range(0, len(self._run_ids), self._CHUNK):
                # Ids are the server's own, 32 hex digits, and need no quoting.
                ids = ", ".join(f"'{run_id}'" for run_id in self._run_ids[start : start + self._CHUNK])
                page = self._store.search_model_versions(f"run_id IN ({ids})")
                for version in page.items:
                    self._versions.setdefault(version.run_id, []).append(model_versions.to_wire(version))
        return self._versions.get(run.info.run_id, [])
