"""`slipstream models create-key`: make an API key for those who ask a scoring server."""

import click

from slipstream.cli import out

MOST_PER_MINUTE = 10**12 - 1
"""As many digits as the file may have."""


@click.command("create-key")
@click.argument("name")
@click.option(
    "--rpm", type=click.IntRange(1, MOST_PER_MINUTE), default=None, help="Requests a minute, at most."
)
@click.option(
    "--tpm", type=click.IntRange(1, MOST_PER_MINUTE), default=None, help="Tokens a minute, at most."
)
def create_key(name: str, rpm: int | None, tpm: int | None) -> None:
    """Make an API key and print the line for the file of `serve --api-keys`.

    The line goes to standard output, for `>> FILE`. The key goes to standard error, is shown only now, and is for its
    owner: the file has no more than its digest.
    """
    from slipstream.serving import keys

    key, line = keys.create_key(name, rpm, tpm)
    out.note(f"Key of '{name}', shown only now: {key}")
    out.line(line)
