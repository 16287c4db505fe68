"""Read what a run prints: while it goes what its server has of it, afterwards the artifact."""

import codecs
import time
from collections.abc import Iterator

from slipstream.client import artifacts
from slipstream.client.client import SlipstreamClient
from slipstream.client.liveness.left import CONSOLE_PATH, LATER_CONSOLES
from slipstream.client.transfer import PIECE_BYTES
from slipstream.entities import RunStatus
from slipstream.errors import EndpointNotFoundError, NotFoundError

POLL_SECONDS = 1.0
_PATIENCE_SECONDS = 10.0
"""How long one waits for the artifact of a run that has just ended."""


def read_console(run_id: str, *, follow: bool = False) -> Iterator[str]:
    """Give what a run printed piece by piece; with `follow` until it has ended.

    Raises:
        NotFoundError: there is no such run, or nothing of what it printed was kept.
    """
    client = SlipstreamClient()
    store = client.connection.store
    after = 0
    seen = False
    earlier = _stored_paths(run_id) if follow else []
    while True:
        status = client.get_run(run_id).info.status
        try:
            chunks = store.find_console(run_id, after)
        except EndpointNotFoundError:  # a server of MLflow's
            chunks = []
        for chunk in chunks:
            if chunk.first > after:
                yield f"[... {chunk.first - after} bytes are in {CONSOLE_PATH} when the run has ended ...]\n"
            seen = True
            after = chunk.next
            yield chunk.text
        if chunks:
            continue
        if status != RunStatus.RUNNING or not follow:
            break
        time.sleep(POLL_SECONDS)
    if not seen:
        paths = _stored_paths(run_id)
        if not paths:
            raise NotFoundError(
                f"Nothing of what run {run_id} printed was kept. It is kept with runs at a server, in scripts; see SLIPSTREAM_CONSOLE."
            )
        for path in paths:  # one for each process that had the run
            yield from _stored(run_id, path)
    elif follow:
        yield from _rest(run_id, after, earlier)


def _rest(run_id: str, after: int, earlier: list[str]) -> Iterator[str]:
    """Give what was printed between the last look and the end: its client sends that as the artifact only."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until:
        fresh = [path for path in _stored_paths(run_id) if path not in earlier]
        if not fresh:
            time.sleep(POLL_SECONDS / 4)
            continue
        text = "".join(_stored(run_id, fresh[0]))
        # Where lines were drawn anew, as progress bars are, the artifact is shorter than what was printed.
        yield text.encode()[after:].decode("utf-8", "replace")
        return


def _stored_paths(run_id: str) -> list[str]:
    """Return where the artifacts are of what was printed, in the order of its lives."""
    location = artifacts.locate(f"runs:/{run_id}/{CONSOLE_PATH}")
    store = SlipstreamClient().connection.artifacts(location.root)
    folder = location.path.rpartition("/")[0]
    prefix = location.path.removesuffix(CONSOLE_PATH)
    names = sorted(each.path for each in store.list(folder))
    later = [path for path in names if path.startswith(f"{prefix}{LATER_CONSOLES}")]
    return [path for path in names if path == location.path] + later


def _stored(run_id: str, path: str) -> Iterator[str]:
    location = artifacts.locate(f"runs:/{run_id}/{CONSOLE_PATH}")
    store = SlipstreamClient().connection.artifacts(location.root)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    with store.open(path) as file:
        while data := file.read(PIECE_BYTES):
            yield decoder.decode(data)
