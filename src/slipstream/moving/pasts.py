"""Take what a run was before: branches, and earlier values of params."""

from collections.abc import Callable, Sequence

from slipstream.entities import Metric, ParamVersion, Run, RunBranch
from slipstream.moving.report import Report
from slipstream.moving.sifting import Fail, sift_points
from slipstream.moving.source import Past
from slipstream.moving.target import Target

Told = Callable[[int, int], None]
"""Told how many runs and points were stored."""


def take_past(
    target: Target, run_id: str, past: Past, fail: Fail, report: Report, group: int, told: Told
) -> None:
    """Store all of it in a run that is here and not shown yet; done again, it adds nothing.

    It comes before the run's own points: what a branch left behind is no part of these.

    Args:
        target: where to.
        run_id: the run.
        past: what it was before.
        fail: told what cannot be kept.
        report: counts it.
        group: points that a transaction takes at most.
        told: of the progress.
    """
    if past.params:
        target.write_unless_dry(lambda store: store.import_earlier_params(run_id, past.params), None)
        report.taken["earlier values of params"] += len(past.params)
    for branch, _ in past.branches:
        target.write_unless_dry(lambda store, branch=branch: store.import_branch(run_id, branch), None)
        report.taken["branches"] += 1
    if past.branches:
        report.taken["points left behind"] += take_left_behind(target, run_id, past, fail, group, told)


def take_left_behind(
    target: Target, run_id: str, past: Past, fail: Fail, group: int, told: Told | None = None
) -> int:
    """Store the points of branches that are here, and return how many; arguments as in `take_past`."""
    count = 0
    for branch, read in past.branches:
        for piece in read():
            points = sift_points(piece, fail)
            for begin in range(0, len(points), group):
                part = points[begin : begin + group]
                _store(target, run_id, branch.number, part)
                count += len(part)
                if told is not None:
                    told(0, len(part))
    return count


def _store(target: Target, run_id: str, branch: int, points: Sequence[Metric]) -> None:
    target.write_unless_dry(lambda store: store.import_superseded_points(run_id, branch, points), None)


class Changes:
    """What a run that is here became there since.

    Args:
        target: where the run is.
        here: the run.
        there: the same run, as it is there.
        past: what that was before.
        has_past: whether the run here has branches or earlier values of params.
    """

    def __init__(self, target: Target, here: Run, there: Run, past: Past, *, has_past: bool) -> None:
        run_id = here.info.run_id
        known: list[RunBranch] = []
        if has_past:
            known = target.read(lambda store: store.get_run_branches(run_id), known)
        open_here = {each.number for each in known if each.undone_time is None}
        numbers = {each.branch.number: each.branch for each in past.branches}
        self.branches = [
            each for each in past.branches if each.branch.number not in {one.number for one in known}
        ]
        self.undone = [
            each for each in numbers.values() if each.number in open_here and each.undone_time is not None
        ]
        self.is_other = any(
            each.number not in numbers or _origin(each) != _origin(numbers[each.number]) for each in known
        )
        """Whether it was branched here, too: then which points count cannot be told, and none are added."""
        history: list[ParamVersion] = []
        if past.params:
            history = target.read(lambda store: store.get_param_history(run_id), history)
        mine = _values(history)
        theirs = _values([*past.params])
        self.params: dict[str, str] = {}
        """Values that replaced the ones here."""
        self.earlier: list[ParamVersion] = []
        """All earlier values of params that have new ones."""
        for key, values in theirs.items():
            now = there.data.params.get(key)
            own = mine.get(key, [])
            if now is None or own == [*values, now] or own not in ([now], [*values, now][: len(own)]):
                continue
            self.earlier += [each for each in past.params if each.key == key]
            if own and own[-1] != now:
                self.params[key] = now

    @property
    def words(self) -> list[str]:
        if self.is_other:
            return ["its branches are others here"]
        found = [f"branch {each.branch.number} is not here" for each in self.branches]
        found += [f"branch {each.number} is not undone here" for each in self.undone]
        changed = sorted({each.key for each in self.earlier})
        return found + [f"param '{key}' has other earlier values" for key in changed[:1]]

    def apply(self, target: Target, run_id: str) -> None:
        """Bring the run up to date, but for points, which are added afterwards."""
        # Until all points are there; whoever is killed before that begins it again.
        target.write_unless_dry(lambda store: store.mark_unfinished(run_id), None)
        for branch, _ in self.branches:
            target.write_unless_dry(lambda store, branch=branch: store.import_branch(run_id, branch), None)
        for each in self.undone:
            target.write_unless_dry(
                lambda store, each=each: store.undo_imported_branch(
                    run_id, each.number, each.undone_time or each.created_time
                ),
                None,
            )
        if self.earlier:
            target.write_unless_dry(
                lambda store: store.import_earlier_params(run_id, self.earlier, self.params), None
            )


def _origin(branch: RunBranch) -> tuple[int, int]:
    return branch.from_step, branch.created_time


def _values(versions: Sequence[ParamVersion]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in versions:
        found.setdefault(each.key, []).append(each.value)
    return found
