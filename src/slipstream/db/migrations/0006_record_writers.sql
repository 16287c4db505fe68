-- How far each client's records have been stored, so that what is sent again is not stored again.
CREATE TABLE record_writers (
    writer TEXT PRIMARY KEY,
    stored BIGINT NOT NULL,
    updated_time BIGINT NOT NULL
);
CREATE INDEX record_writers_by_time ON record_writers (updated_time);
