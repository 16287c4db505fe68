"""What is logged to a server is written to a file of this machine first, and sent from there (docs/decisions/0013)."""
