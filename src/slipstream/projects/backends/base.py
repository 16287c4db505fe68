"""What every way to execute a project has in common."""

from typing import Any, Protocol

import msgspec


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A command that is ready to run, and the run that it belongs to."""

    run_id: str
    tracking_uri: str
    argv: list[str]
    folder: str
    """The project's, which becomes the working directory."""
    variables: dict[str, str]
    """What to set in the command's environment, over that of this process."""
    removed_variables: list[str] = []
    temporary: list[str] = []
    """Folders to remove when the command has ended."""


class SubmittedRun(Protocol):
    """A project run that was started."""

    @property
    def run_id(self) -> str: ...

    def wait(self) -> bool:
        """Wait for the end; true if it succeeded."""
        ...

    def get_status(self) -> str:
        """Return RUNNING, FINISHED, FAILED or KILLED."""
        ...

    def cancel(self) -> None:
        """Stop the command, if it is running, and wait for its end."""
        ...


class RunBackend(Protocol):
    """A place where jobs run. Packages add one with an entry point in the group `slipstream.run_backends`.

    The backend sets the run's status when the command ends, unless the command did.
    """

    def submit(self, job: Job, config: dict[str, Any], *, synchronous: bool) -> SubmittedRun:
        """Start a job; with `synchronous`, return when it has ended.

        Raises:
            ExecutionError: it could not be started, or `synchronous` and it failed.
        """
        ...
