-- Webhooks, and the events that wait to be delivered to them.

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
