"""What a run's page shows at first, in one answer."""

import msgspec

from slipstream.entities.branch import ParamVersion, RunBranch
from slipstream.entities.liveness import ConsoleTail
from slipstream.entities.logged_model import LoggedModel
from slipstream.entities.registered_model import ModelVersion
from slipstream.entities.run import Run


class RelatedRun(msgspec.Struct, frozen=True, kw_only=True):
    run_id: str
    name: str
    status: str
    experiment_id: str


class RunOverview(msgspec.Struct, frozen=True, kw_only=True):
    cursor: int
    """The state of the database that this shows: `events` tells what has changed since."""
    run: Run
    experiment_name: str
    beat_time: int | None = None
    """When it last gave a sign of life."""
    parent: RelatedRun | None = None
    """The run that its tag `mlflow.parentRunId` names, if it is there."""
    children: list[RelatedRun] = []
    """The newest of the runs that are below it in its experiment."""
    child_count: int = 0
    logged_models: list[LoggedModel] = []
    model_versions: list[ModelVersion] = []
    changed_params: list[ParamVersion] = []
    """All values of those params that had others before."""
    branches: list[RunBranch] = []
    extremes: dict[str, tuple[float | None, float | None]] = {}
    """The least and the largest number of metrics, the first ones by name; nothing where all are NaN."""
    console: ConsoleTail | None = None
