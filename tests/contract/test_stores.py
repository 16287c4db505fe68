"""The store's contract over every implementation."""

import pytest

from slipstream.store.base import Store
from slipstream.testing.store_contract import (
    ExperimentContract,
    MetricContract,
    RunContract,
    SearchContract,
)
from slipstream.testing.store_contract_branches import BranchContract
from slipstream.testing.store_contract_envelopes import EnvelopeContract
from slipstream.testing.store_contract_histories import HistoryContract
from slipstream.testing.store_contract_liveness import LivenessContract
from slipstream.testing.store_contract_model_overviews import ModelOverviewContract
from slipstream.testing.store_contract_models import DatasetContract, LoggedModelContract
from slipstream.testing.store_contract_overviews import OverviewContract
from slipstream.testing.store_contract_records import RecordContract
from slipstream.testing.store_contract_registry import RegistryContract
from slipstream.testing.store_contract_run_bulk import RunBulkContract
from slipstream.testing.store_contract_run_comparisons import RunComparisonContract
from slipstream.testing.store_contract_run_overviews import RunOverviewContract
from slipstream.testing.store_contract_tables import RunTableContract
from slipstream.testing.store_contract_trash import TrashContract
from slipstream.testing.store_contract_webhooks import WebhookContract


class StoreContract(
    ExperimentContract,
    RunContract,
    MetricContract,
    RecordContract,
    BranchContract,
    HistoryContract,
    EnvelopeContract,
    SearchContract,
    RunTableContract,
    RunBulkContract,
    OverviewContract,
    RunComparisonContract,
    RunOverviewContract,
    DatasetContract,
    LoggedModelContract,
    RegistryContract,
    ModelOverviewContract,
    WebhookContract,
    TrashContract,
    LivenessContract,
):
    """All of it."""


class TestSqlite(StoreContract):
    @pytest.fixture
    def store(self, sqlite_store: Store) -> Store:
        return sqlite_store


class TestPostgres(StoreContract):
    @pytest.fixture
    def store(self, postgres_store: Store) -> Store:
        return postgres_store


class TestRest(StoreContract):
    """Over HTTP, against a server in a process of its own."""

    @pytest.fixture
    def store(self, rest_store: Store) -> Store:
        return rest_store
