"""Search of runs in memory: columns that are read from the database and kept in step with it (docs/decisions/0006)."""
