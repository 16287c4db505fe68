"""`slipstream demo`."""

import signal
import sys
from pathlib import Path
from types import FrameType

import click

from slipstream.cli import out


@click.command()
@click.option(
    "--port",
    "-p",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port of the scoring server; any free one by default.",
)
@click.option(
    "--keep", is_flag=True, help="Leave the scoring server and a tracking server running at the end."
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder for the tracking database and files. By default they go where SLIPSTREAM_TRACKING_URI says, "
    "or to slipstream.db here.",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    default=30,
    show_default=True,
    help="How long each model is trained.",
)
def demo(port: int, keep: bool, data: Path | None, epochs: int) -> None:
    """Train, compare, register and serve models of handwritten digits, in less than a minute.

    Uses real data that scikit-learn ships, and needs no network: pip install 'slipstream[demo]'.
    """
    from slipstream.demo.lifecycle import DemoOptions, run_demo

    # As Ctrl-C does, so that the servers are ended.
    signal.signal(signal.SIGTERM, _exit)
    run_demo(DemoOptions(port=port, keep=keep, data=data, epochs=epochs), out.line)


def _exit(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)
