-- Which runs each transaction changed: what search indexes in memory have to read again.

CREATE TABLE run_changes (
    id BIGINT PRIMARY KEY,
    first BIGINT NOT NULL,
    runs TEXT NOT NULL,
    experiments TEXT NOT NULL
);
