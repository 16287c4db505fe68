"""Much data at a time: histories as streams of columns, and SQL over everything that is tracked."""
