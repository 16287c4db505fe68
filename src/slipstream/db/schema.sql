-- The whole current schema. It equals all files of migrations/ applied in order (a test compares them).
--
-- One text for every database. Each database's file rewrites these words, and only these:
--   IDENTITY        a generated 64-bit primary key
--   BYTES           BLOB on SQLite, BYTEA on PostgreSQL
--   TEXT            on PostgreSQL with COLLATE "C": names sort by bytes, as MLflow's clients see them
--   WITHOUT ROWID   SQLite only: the table is its primary key's index
-- A run's, series' or model's `id` is internal; the ids of the wire are `run_id`, `model_id`, ...

CREATE TABLE schema_migrations (
    number BIGINT PRIMARY KEY,
    name TEXT NOT NULL,
    applied_time BIGINT NOT NULL
);

-- lifecycle_stage, here and below: 'active', 'deleted', or 'removing' for what is being removed for ever, which nobody but
-- its remover sees (store/removals.py). deleted_name: what an experiment in the trash was called before its name was freed.
CREATE TABLE experiments (
    id IDENTITY,
    name TEXT NOT NULL UNIQUE,
    artifact_location TEXT NOT NULL,
    lifecycle_stage TEXT NOT NULL,
    creation_time BIGINT NOT NULL,
    last_update_time BIGINT NOT NULL,
    deleted_time BIGINT,
    deleted_name TEXT
);

CREATE TABLE experiment_tags (
    experiment BIGINT NOT NULL REFERENCES experiments (id),
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (experiment, key)
) WITHOUT ROWID;

CREATE TABLE runs (
    id IDENTITY,
    run_id TEXT NOT NULL UNIQUE,
    experiment BIGINT NOT NULL REFERENCES experiments (id),
    run_name TEXT NOT NULL,
    user_id TEXT NOT NULL,
    status TEXT NOT NULL,
    start_time BIGINT NOT NULL,
    end_time BIGINT,
    lifecycle_stage TEXT NOT NULL,
    artifact_uri TEXT NOT NULL,
    deleted_time BIGINT
);
CREATE INDEX runs_by_start ON runs (experiment, start_time);
CREATE INDEX runs_deleted ON runs (deleted_time) WHERE deleted_time IS NOT NULL;

CREATE TABLE params (
    run BIGINT NOT NULL REFERENCES runs (id),
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (run, key)
) WITHOUT ROWID;

CREATE TABLE run_tags (
    run BIGINT NOT NULL REFERENCES runs (id),
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (run, key)
) WITHOUT ROWID;

-- One row for each metric key of a run; it carries the latest point, the one with the largest
-- (step, timestamp, value). NaN is stored as 0 with is_nan = 1: neither database orders it as MLflow does.
CREATE TABLE series (
    id IDENTITY,
    run BIGINT NOT NULL REFERENCES runs (id),
    key TEXT NOT NULL,
    step BIGINT NOT NULL,
    timestamp BIGINT NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    is_nan SMALLINT NOT NULL,
    UNIQUE (run, key)
);

-- Points of one series, or of several if series is not positive (store/point_blocks.py). The id is the run's times 2**32,
-- plus a count, plus 2**31 for a block that stays: so blocks lie together without another index. Content is read and
-- written by db/point_blocks.py.
CREATE TABLE point_blocks (
    id BIGINT PRIMARY KEY,
    series BIGINT NOT NULL,
    first_series BIGINT NOT NULL,
    last_series BIGINT NOT NULL,
    first_time BIGINT NOT NULL,
    last_time BIGINT NOT NULL,
    points BIGINT NOT NULL,
    content BYTES NOT NULL
);

CREATE TABLE datasets (
    id IDENTITY,
    experiment BIGINT NOT NULL REFERENCES experiments (id),
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    source_type TEXT NOT NULL,
    source TEXT NOT NULL,
    schema TEXT,
    profile TEXT,
    UNIQUE (experiment, name, digest)
);

CREATE TABLE run_datasets (
    run BIGINT NOT NULL REFERENCES runs (id),
    dataset BIGINT NOT NULL REFERENCES datasets (id),
    PRIMARY KEY (run, dataset)
) WITHOUT ROWID;
CREATE INDEX run_datasets_by_dataset ON run_datasets (dataset);

CREATE TABLE run_dataset_tags (
    run BIGINT NOT NULL REFERENCES runs (id),
    dataset BIGINT NOT NULL REFERENCES datasets (id),
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (run, dataset, key)
) WITHOUT ROWID;
CREATE INDEX run_dataset_tags_by_dataset ON run_dataset_tags (dataset);

CREATE TABLE logged_models (
    id IDENTITY,
    model_id TEXT NOT NULL UNIQUE,
    experiment BIGINT NOT NULL REFERENCES experiments (id),
    name TEXT NOT NULL,
    artifact_location TEXT NOT NULL,
    creation_timestamp BIGINT NOT NULL,
    last_updated_timestamp BIGINT NOT NULL,
    model_type TEXT,
    source_run_id TEXT,
    status BIGINT NOT NULL,
    lifecycle_stage TEXT NOT NULL,
    deleted_time BIGINT
);
CREATE INDEX logged_models_by_experiment ON logged_models (experiment, creation_timestamp);
CREATE INDEX logged_models_deleted ON logged_models (deleted_time) WHERE deleted_time IS NOT NULL;

CREATE TABLE logged_model_tags (
    model BIGINT NOT NULL REFERENCES logged_models (id),
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (model, key)
) WITHOUT ROWID;

CREATE TABLE logged_model_params (
    model BIGINT NOT NULL REFERENCES logged_models (id),
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (model, key)
) WITHOUT ROWID;

-- Points that were logged for a model, beside their place in the run's series.
CREATE TABLE logged_model_metrics (
    model BIGINT NOT NULL REFERENCES logged_models (id),
    run BIGINT NOT NULL REFERENCES runs (id),
    key TEXT NOT NULL,
    step BIGINT NOT NULL,
    timestamp BIGINT NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    is_nan SMALLINT NOT NULL,
    dataset_name TEXT NOT NULL,
    dataset_digest TEXT NOT NULL,
    PRIMARY KEY (model, run, key, step, timestamp, value, is_nan, dataset_name, dataset_digest)
) WITHOUT ROWID;
CREATE INDEX logged_model_metrics_by_run ON logged_model_metrics (run);

-- direction: 'input' or 'output'.
CREATE TABLE run_models (
    run BIGINT NOT NULL REFERENCES runs (id),
    direction TEXT NOT NULL,
    model_id TEXT NOT NULL,
    step BIGINT NOT NULL,
    PRIMARY KEY (run, direction, model_id)
) WITHOUT ROWID;

CREATE TABLE registered_models (
    id IDENTITY,
    name TEXT NOT NULL UNIQUE,
    description TEXT,
    creation_timestamp BIGINT NOT NULL,
    last_updated_timestamp BIGINT NOT NULL,
    last_version BIGINT NOT NULL
);

CREATE TABLE registered_model_tags (
    model BIGINT NOT NULL REFERENCES registered_models (id),
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (model, key)
) WITHOUT ROWID;

CREATE TABLE model_versions (
    model BIGINT NOT NULL REFERENCES registered_models (id),
    version BIGINT NOT NULL,
    creation_timestamp BIGINT NOT NULL,
    last_updated_timestamp BIGINT NOT NULL,
    current_stage TEXT NOT NULL,
    description TEXT,
    source TEXT NOT NULL,
    storage_location TEXT NOT NULL,
    run_id TEXT,
    run_link TEXT,
    model_id TEXT,
    status TEXT NOT NULL,
    lifecycle_stage TEXT NOT NULL,
    PRIMARY KEY (model, version)
) WITHOUT ROWID;

CREATE TABLE model_version_tags (
    model BIGINT NOT NULL REFERENCES registered_models (id),
    version BIGINT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (model, version, key)
) WITHOUT ROWID;

CREATE TABLE model_aliases (
    model BIGINT NOT NULL REFERENCES registered_models (id),
    alias TEXT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (model, alias)
) WITHOUT ROWID;

CREATE TABLE webhooks (
    id IDENTITY,
    webhook_id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    description TEXT,
    url TEXT NOT NULL,
    secret TEXT,
    status TEXT NOT NULL,
    creation_timestamp BIGINT NOT NULL,
    last_updated_timestamp BIGINT NOT NULL
);

CREATE TABLE webhook_events (
    webhook BIGINT NOT NULL REFERENCES webhooks (id),
    entity TEXT NOT NULL,
    action TEXT NOT NULL,
    PRIMARY KEY (webhook, entity, action)
) WITHOUT ROWID;

-- Written with what they tell of, in one transaction; gone when the receiver has answered.
CREATE TABLE webhook_deliveries (
    id IDENTITY,
    delivery_id TEXT NOT NULL UNIQUE,
    webhook BIGINT NOT NULL REFERENCES webhooks (id),
    body TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    next_attempt_time BIGINT NOT NULL
);
CREATE INDEX webhook_deliveries_by_time ON webhook_deliveries (next_attempt_time, id);
CREATE INDEX webhook_deliveries_by_webhook ON webhook_deliveries (webhook);

-- What each transaction changed, for the search indexes in the memory of servers and for pages that are open: one row a
-- transaction, numbered without gaps. Old rows are merged: a row tells of the transactions `first` to `id`. All are JSON
-- lists, `models` of names of registered models, the others of internal ids. Of `experiments` every run has changed, of
-- `experiments_alone` only what is theirs; runs of `consoles` have printed, and searches need not look at them.
CREATE TABLE run_changes (
    id BIGINT PRIMARY KEY,
    first BIGINT NOT NULL,
    runs TEXT NOT NULL,
    experiments TEXT NOT NULL,
    models TEXT NOT NULL DEFAULT '[]',
    experiments_alone TEXT NOT NULL DEFAULT '[]',
    consoles TEXT NOT NULL DEFAULT '[]'
);

-- Which process does what only one may do at a time, and until when it may be taken to be at it.
CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until BIGINT NOT NULL
);

-- How far each client's records have been stored, so that what is sent again is not stored again.
CREATE TABLE record_writers (
    writer TEXT PRIMARY KEY,
    stored BIGINT NOT NULL,
    updated_time BIGINT NOT NULL
);
CREATE INDEX record_writers_by_time ON record_writers (updated_time);

-- A branch is a tail that a run left behind when it was resumed from an earlier step: its points of that step and later ones
-- (store/branches.py). number counts within the run. undone_time: when the points went back.
CREATE TABLE run_branches (
    id IDENTITY,
    run BIGINT NOT NULL REFERENCES runs (id),
    number BIGINT NOT NULL,
    from_step BIGINT NOT NULL,
    created_time BIGINT NOT NULL,
    undone_time BIGINT,
    UNIQUE (run, number)
);

-- One row for each metric key of a branch, with its latest point, as in series. Its points lie in the run's blocks as
-- those of a series with this id plus 2**40.
CREATE TABLE superseded_series (
    id IDENTITY,
    branch BIGINT NOT NULL REFERENCES run_branches (id),
    key TEXT NOT NULL,
    step BIGINT NOT NULL,
    timestamp BIGINT NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    is_nan SMALLINT NOT NULL,
    UNIQUE (branch, key)
);

-- Values that params had before; number counts from 1 within (run, key).
CREATE TABLE param_changes (
    run BIGINT NOT NULL REFERENCES runs (id),
    key TEXT NOT NULL,
    number BIGINT NOT NULL,
    value TEXT NOT NULL,
    replaced_time BIGINT NOT NULL,
    PRIMARY KEY (run, key, number)
) WITHOUT ROWID;

-- Runs whose artifact_uri is the folder of another run, owner, which must not lose its files before them.
CREATE TABLE shared_files (
    run BIGINT PRIMARY KEY REFERENCES runs (id),
    owner TEXT NOT NULL
);
CREATE INDEX shared_files_by_owner ON shared_files (owner);

-- When clients last said that their runs live.
-- lost = 1: the run was ended since nothing more was heard; a sign of life brings it back.
CREATE TABLE heartbeats (
    run BIGINT PRIMARY KEY REFERENCES runs (id),
    beat_time BIGINT NOT NULL,
    lost SMALLINT NOT NULL
);

-- first and next: where the text begins and where the following one does, in bytes of all that was printed.
CREATE TABLE console_chunks (
    run BIGINT NOT NULL REFERENCES runs (id),
    first BIGINT NOT NULL,
    next BIGINT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (run, first)
) WITHOUT ROWID;

-- The last of what an ended run printed. whole = 1: nothing was printed before it.
CREATE TABLE console_tails (
    run BIGINT PRIMARY KEY REFERENCES runs (id),
    text TEXT NOT NULL,
    whole SMALLINT NOT NULL
);
