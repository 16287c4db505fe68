"""The store in SQL: all parts on one open transaction."""

from slipstream.db.base import Transaction
from slipstream.entities import FileInfo
from slipstream.store.bands import BandsPart
from slipstream.store.branches import BranchesPart
from slipstream.store.config import StoreConfig
from slipstream.store.datasets import DatasetsPart
from slipstream.store.experiments import ExperimentsPart
from slipstream.store.exports import ExportsPart
from slipstream.store.heartbeats import HeartbeatsPart
from slipstream.store.histories import HistoriesPart
from slipstream.store.import_pasts import ImportPastsPart
from slipstream.store.imports import ImportsPart
from slipstream.store.logged_models import LoggedModelsPart
from slipstream.store.model_overviews import ModelOverviewsPart
from slipstream.store.models import RegisteredModelsPart
from slipstream.store.overviews import OverviewsPart
from slipstream.store.param_changes import ParamChangesPart
from slipstream.store.params_tags import ParamsTagsPart
from slipstream.store.quiet_runs import QuietRunsPart
from slipstream.store.records import RecordsPart
from slipstream.store.registry_events import RegistryEventsPart
from slipstream.store.removals import RemovalsPart
from slipstream.store.run_bulk import RunBulkPart
from slipstream.store.run_changes import Changes, RunChangesPart, write_changes
from slipstream.store.run_comparisons import RunComparisonsPart
from slipstream.store.run_moves import RunMovesPart
from slipstream.store.run_overviews import RunOverviewsPart
from slipstream.store.run_tables import RunTablesPart
from slipstream.store.runs import RunsPart
from slipstream.store.trash import TrashPart
from slipstream.store.versions import VersionsPart
from slipstream.store.views import ViewsPart
from slipstream.store.webhooks import WebhooksPart


class SqlStore(
    ExperimentsPart,
    RunsPart,
    RunTablesPart,
    RunOverviewsPart,
    RunComparisonsPart,
    OverviewsPart,
    RunChangesPart,
    ParamsTagsPart,
    BranchesPart,
    ParamChangesPart,
    RunMovesPart,
    RunBulkPart,
    HistoriesPart,
    BandsPart,
    ViewsPart,
    DatasetsPart,
    LoggedModelsPart,
    RegisteredModelsPart,
    ModelOverviewsPart,
    VersionsPart,
    RegistryEventsPart,
    WebhooksPart,
    TrashPart,
    RemovalsPart,
    ImportsPart,
    ImportPastsPart,
    ExportsPart,
    HeartbeatsPart,
    QuietRunsPart,
    RecordsPart,
):
    """Implements `Store` inside one transaction, which the caller opens and commits.

    Cheap to make: one for each transaction. What it wrote is durable only once the transaction has ended.
    """

    def __init__(self, tx: Transaction, config: StoreConfig) -> None:
        self.tx = tx
        self.config = config
        self.runs_to_compact: dict[int, bool] = {}
        self.changed_runs: set[int] = set()
        self.changed_experiments: set[int] = set()
        self.changed_models: set[str] = set()
        self.changed_alone: set[int] = set()
        self.changed_consoles: set[int] = set()

    def note_changes(self) -> bool:
        """Tell search indexes and pages, of this process and others, what changed, if anything did; last thing in a transaction."""
        changes = Changes(
            runs=self.changed_runs,
            experiments=self.changed_experiments,
            models=self.changed_models,
            experiments_alone=self.changed_alone,
            consoles=self.changed_consoles,
        )
        if not changes.count:
            return False
        write_changes(self.tx, changes)
        return True

    def list_files(self, root_uri: str, path: str | None) -> list[FileInfo]:
        """List the files directly below a path of an artifact URI, where a server allows it."""
        return self.config.files_below(root_uri, path)
