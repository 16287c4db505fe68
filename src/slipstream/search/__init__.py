"""The filter and ordering language of the search routes, compiled to SQL. Start at `sql.py`."""
