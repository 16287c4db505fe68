-- What else each transaction changed, for pages that are open: registered models, experiments without their runs, and what
-- runs print. And of what ended runs printed the last lines, so that a page has them without a file.

ALTER TABLE run_changes ADD COLUMN models TEXT NOT NULL DEFAULT '[]';
ALTER TABLE run_changes ADD COLUMN experiments_alone TEXT NOT NULL DEFAULT '[]';
ALTER TABLE run_changes ADD COLUMN consoles TEXT NOT NULL DEFAULT '[]';

-- whole = 1: nothing was printed before the text.
CREATE TABLE console_tails (
    run BIGINT PRIMARY KEY REFERENCES runs (id),
    text TEXT NOT NULL,
    whole SMALLINT NOT NULL
);
