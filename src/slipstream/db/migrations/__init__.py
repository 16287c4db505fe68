"""The steps from each schema to the next, by number; `migrate.py` runs them."""
