"""`slipstream sync`."""

import sys
from pathlib import Path

import click

from slipstream.cli import out


@click.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--to", metavar="URI", help="Send to this server, instead of the one that was tracked to.")
@click.option("--list", "only_list", is_flag=True, help="Only say what there is to send.")
def sync(folder: Path | None, to: str | None, only_list: bool) -> None:
    """Send what programs have logged and not delivered.

    Programs send it themselves as soon as they can; this is for those that have ended. FOLDER is where it is, by default
    this user's spool folder. Exit code 1 if something could not be sent; it stays, and nothing is stored twice when you
    try again.
    """
    from slipstream.client.spool.sync import find_undelivered
    from slipstream.client.spool.sync import sync as send

    found = find_undelivered(folder)
    if only_list:
        rows = [
            (each.server, each.program, each.host, f"{each.left_bytes} bytes", str(each.path))
            for each in found
        ]
        out.table(rows, ["server", "program", "machine", "to send", "file"])
        return
    total = sum(each.left_bytes for each in found)
    if sys.stderr.isatty() and total:
        from tqdm import tqdm

        with tqdm(total=total, desc="sending", unit="B", unit_scale=True) as bar:
            result = send(folder, to, bar.update)
    else:
        result = send(folder, to)
    for message, record in result.refused:
        out.note(f"Refused: {message} ({record})")
    for each, message in result.failed:
        out.error(f"{each.path} could not be sent to {to or each.server}: {message}")
    sent = sum(each.left_bytes for each in result.sent)
    out.line(f"Sent {sent} bytes of {len(result.sent)} programs.")
    if result.busy:
        out.line(f"{result.busy} programs are still running; they send what they log themselves.")
    unfinished = [] if folder is not None or to is not None else _finish()
    if result.failed or unfinished:
        sys.exit(1)


def _finish() -> list[tuple[str, str]]:
    """End the runs of programs that are gone, and store what they printed; return what could not be done."""
    from slipstream.client.liveness.left import deliver_all

    done, failed = deliver_all()
    if done:
        out.line(f"Finished the runs of {done} programs that are gone.")
    for server, message in failed:
        out.error(f"Runs at {server} could not be finished: {message}")
    return failed
