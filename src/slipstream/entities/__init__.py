"""What the whole system speaks: frozen structs that know no database and no HTTP.

The SDK returns them, the store reads and writes them, the API puts them on the wire.
"""

from slipstream.entities.artifact import FileInfo
from slipstream.entities.branch import ParamVersion, RunBranch, RunCopy
from slipstream.entities.dataset import (
    Dataset,
    DatasetInput,
    DatasetSummary,
    InputTag,
    LoggedModelInput,
    LoggedModelOutput,
    RunInputs,
    RunOutputs,
)
from slipstream.entities.experiment import Experiment, LifecycleStage, ViewType
from slipstream.entities.logged_model import LoggedModel, LoggedModelStatus
from slipstream.entities.page import Page
from slipstream.entities.registered_model import ModelVersion, ModelVersionStatus, RegisteredModel
from slipstream.entities.run import Metric, Param, Run, RunData, RunInfo, RunStatus, RunTag
from slipstream.entities.series import SeriesFilter, SeriesPoints
from slipstream.entities.trash import (
    KeptItem,
    OrphanFolder,
    OrphanReport,
    RemovalCounts,
    RemovalPart,
    TrashItem,
    TrashKind,
    TrashSelection,
)
from slipstream.entities.webhook import (
    Webhook,
    WebhookDelivery,
    WebhookEvent,
    WebhookStatus,
    WebhookTarget,
    WebhookTestResult,
)

__all__ = [
    "Dataset",
    "DatasetInput",
    "DatasetSummary",
    "Experiment",
    "FileInfo",
    "InputTag",
    "KeptItem",
    "LifecycleStage",
    "LoggedModel",
    "LoggedModelInput",
    "LoggedModelOutput",
    "LoggedModelStatus",
    "Metric",
    "ModelVersion",
    "ModelVersionStatus",
    "OrphanFolder",
    "OrphanReport",
    "Page",
    "Param",
    "ParamVersion",
    "RegisteredModel",
    "RemovalCounts",
    "RemovalPart",
    "Run",
    "RunBranch",
    "RunCopy",
    "RunData",
    "RunInfo",
    "RunInputs",
    "RunOutputs",
    "RunStatus",
    "RunTag",
    "SeriesFilter",
    "SeriesPoints",
    "TrashItem",
    "TrashKind",
    "TrashSelection",
    "ViewType",
    "Webhook",
    "WebhookDelivery",
    "WebhookEvent",
    "WebhookStatus",
    "WebhookTarget",
    "WebhookTestResult",
]
