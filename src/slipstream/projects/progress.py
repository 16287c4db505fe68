"""What a project run says while it works, on stderr: stdout belongs to the project's own command."""

import sys


def say(text: str) -> None:
    """Print one line at once."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201  # the one place that prints
