"""The fluent API's runs that live on: resume from a step, and what becomes of runs later."""

from collections.abc import Sequence

from slipstream.client.active_run import ActiveRun, check_can_start, find_entry, require_resumable, start_run
from slipstream.client.client import SlipstreamClient
from slipstream.client.resumed_runs import note_resumed
from slipstream.entities import ParamVersion, RunBranch


def resume(
    run_id: str,
    from_step: int | None = None,
    keys: Sequence[str] | None = None,
    *,
    nested: bool = False,
) -> ActiveRun:
    """Make a run the active one again; with `from_step` it goes on from there, and later points are left behind.

    These are no part of the run's metrics any more, and stay readable (`run_branches`). Params may be logged with other
    values in a resumed run: the ones before are kept (`param_history`).

    Args:
        run_id: the run.
        from_step: the first step that is logged anew: points of this step and later ones are left behind.
        keys: metrics that this is about; by default all of them.
        nested: while a run is active.

    Raises:
        InvalidStateError: a run is active and `nested` is not said.
        InvalidParameterError: the run is deleted, or not in the experiment that is set.
        UnavailableError: the server does not take now what was logged before.
    """
    check_can_start(nested=nested)
    client = SlipstreamClient()
    if from_step is not None:
        require_resumable(client, run_id)
        client.branch_run(run_id, from_step, keys)
    run = start_run(run_id=run_id, nested=nested)
    entry = find_entry(run_id)
    assert entry is not None, "it has just been started"
    entry.is_resumed = True
    note_resumed(run_id)
    return run


def run_branches(run_id: str) -> list[RunBranch]:
    """Return what a run left behind when it was resumed from a step, the first branch first."""
    return SlipstreamClient().get_run_branches(run_id)


def undo_branch(run_id: str, branch: int) -> None:
    """Put a branch's points back into the run's metrics, beside what was logged since."""
    SlipstreamClient().undo_branch(run_id, branch)


def param_history(run_id: str, key: str | None = None) -> list[ParamVersion]:
    """Return all values that params of a run have and had, the oldest first, the one that counts last."""
    return SlipstreamClient().get_param_history(run_id, key)


def move_runs(
    run_ids: Sequence[str],
    experiment_id: str | None = None,
    *,
    experiment_name: str | None = None,
    nested: bool = False,
) -> list[str]:
    """Move runs to another experiment; as `SlipstreamClient.move_runs`."""
    return SlipstreamClient().move_runs(
        run_ids, experiment_id, experiment_name=experiment_name, nested=nested
    )


def copy_runs(
    run_ids: Sequence[str],
    experiment_id: str | None = None,
    *,
    experiment_name: str | None = None,
    nested: bool = False,
    share_files: bool = False,
) -> dict[str, str]:
    """Copy runs into an experiment; as `SlipstreamClient.copy_runs`."""
    return SlipstreamClient().copy_runs(
        run_ids,
        experiment_id,
        experiment_name=experiment_name,
        nested=nested,
        share_files=share_files,
    )
