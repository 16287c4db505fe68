"""A server on this machine that takes what MLflow clients log, writes it down, and passes it on (docs/decisions/0013)."""
