-- When clients last said that their runs live, and the latest of what they print.

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
