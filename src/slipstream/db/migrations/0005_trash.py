"""When things were deleted, so that what is in the trash long enough can be removed; and who removes it now."""

import time
from typing import LiteralString

from slipstream.db.base import Transaction

SCHEMA: LiteralString = """
    ALTER TABLE experiments ADD COLUMN deleted_time BIGINT;
    ALTER TABLE experiments ADD COLUMN deleted_name TEXT;
    ALTER TABLE runs ADD COLUMN deleted_time BIGINT;
    ALTER TABLE logged_models ADD COLUMN deleted_time BIGINT;
    CREATE INDEX runs_deleted ON runs (deleted_time) WHERE deleted_time IS NOT NULL;
    CREATE INDEX logged_models_deleted ON logged_models (deleted_time) WHERE deleted_time IS NOT NULL;
    CREATE INDEX run_datasets_by_dataset ON run_datasets (dataset);
    CREATE INDEX run_dataset_tags_by_dataset ON run_dataset_tags (dataset);
    CREATE INDEX logged_model_metrics_by_run ON logged_model_metrics (run);
    CREATE TABLE leases (
        name TEXT PRIMARY KEY,
        holder TEXT NOT NULL,
        until BIGINT NOT NULL
    );
"""
# Nobody wrote down when, so the time in the trash begins now.
DATE_EXPERIMENTS: LiteralString = (
    "UPDATE experiments SET deleted_time = :now WHERE lifecycle_stage = 'deleted'"
)
DATE_RUNS: LiteralString = "UPDATE runs SET deleted_time = :now WHERE lifecycle_stage = 'deleted'"
DATE_MODELS: LiteralString = "UPDATE logged_models SET deleted_time = :now WHERE lifecycle_stage = 'deleted'"


def migrate(tx: Transaction, dialect: LiteralString) -> None:
    tx.script(SCHEMA)
    now = time.time_ns() // 1_000_000
    for statement in (DATE_EXPERIMENTS, DATE_RUNS, DATE_MODELS):
        tx.execute(statement, now=now)
