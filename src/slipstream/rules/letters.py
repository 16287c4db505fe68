"""Lower case, as ILIKE means it on every database and in memory."""


def lower(text: str) -> str:
    """Return a text in lower case."""
    # One character at a time: Python lowers a final sigma by its place in the word, PostgreSQL does not.
    return text.lower() if text.isascii() else "".join(map(str.lower, text))
