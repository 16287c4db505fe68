-- Runs that live on: tails of metrics that a run left behind, earlier values of params, runs that use another's files.
CREATE TABLE run_branches (
    id IDENTITY,
    run BIGINT NOT NULL REFERENCES runs (id),
    number BIGINT NOT NULL,
    from_step BIGINT NOT NULL,
    created_time BIGINT NOT NULL,
    undone_time BIGINT,
    UNIQUE (run, number)
);

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

CREATE TABLE param_changes (
    run BIGINT NOT NULL REFERENCES runs (id),
    key TEXT NOT NULL,
    number BIGINT NOT NULL,
    value TEXT NOT NULL,
    replaced_time BIGINT NOT NULL,
    PRIMARY KEY (run, key, number)
) WITHOUT ROWID;

CREATE TABLE shared_files (
    run BIGINT PRIMARY KEY REFERENCES runs (id),
    owner TEXT NOT NULL
);
CREATE INDEX shared_files_by_owner ON shared_files (owner);
