"""The process that looks after a command which nobody waits for: `python -m slipstream.projects.supervisor`.

It reads the job as JSON from stdin, so that no value shows up in a list of processes.
"""

import sys

import msgspec

from slipstream.entities import RunStatus
from slipstream.errors import SlipstreamError
from slipstream.projects.backends.base import Job
from slipstream.projects.backends.local import execute
from slipstream.projects.progress import say


def main() -> int:
    """Run the job on stdin; 0 if it finished."""
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    try:
        return 0 if execute(job) == RunStatus.FINISHED else 1
    except SlipstreamError as error:
        say(f"error: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
