"""The store's contract over every implementation."""

import pytest

from slipstream.store.base import Store
from slipstream.testing.store_contract import (
    ExperimentContract,
    MetricContract,
    RunContract,
    SearchContract,
)


class TestSqlite(ExperimentContract, RunContract, MetricContract, SearchContract):
    @pytest.fixture
    def store(self, sqlite_store: Store) -> Store:
        return sqlite_store


class TestPostgres(ExperimentContract, RunContract, MetricContract, SearchContract):
    @pytest.fixture
    def store(self, postgres_store: Store) -> Store:
        return postgres_store
