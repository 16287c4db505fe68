"""The program that is started when a process is gone, to finish for it: `python -m slipstream.client.liveness.report FOLDER`."""

import logging
import os
import sys
import time
from pathlib import Path

from slipstream.client.connect import shown_uri
from slipstream.client.liveness.folder import is_gone, read_note
from slipstream.client.liveness.left import deliver_folder, open_quietly, send_spools
from slipstream.client.liveness.link import ADDRESS_VARIABLE
from slipstream.errors import SlipstreamError

_SECONDS = 300.0
"""How long the server is asked; after that whoever comes next on this machine does it."""
_LONGEST_PAUSE = 15.0
_CONTEXT_SECONDS = 30.0
"""How long after the start of a program that was gone soon what is found out about it is waited for."""

_logger = logging.getLogger(__name__)


def main() -> int:
    folder = Path(sys.argv[1])
    address = os.environ[ADDRESS_VARIABLE]
    until = time.monotonic() + _SECONDS
    pause = 0.25
    while True:
        note = read_note(folder)
        if note is None or note.server != shown_uri(address):  # somebody else was faster
            return 0
        if is_gone(folder):
            try:
                send_spools(address)
                if deliver_folder(folder, open_quietly(address), "watcher", _CONTEXT_SECONDS):
                    return 0
            except SlipstreamError as error:
                _logger.debug("Tried again in %g s: %s", pause, error)
        if time.monotonic() > until:
            return 1
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


if __name__ == "__main__":
    sys.exit(main())
