"""`SlipstreamClient`: runs that go on from an earlier step, params that change, runs that move and copies of runs.

MLflow has none of it; the server has to be slipstream's.
"""

from collections.abc import Iterator, Sequence

from slipstream.artifact_store.base import ArtifactStore
from slipstream.client.calls import Calls
from slipstream.client.paging import collect, paged
from slipstream.client.transfer import PIECE_BYTES
from slipstream.client.values import require_text, to_int64, to_text
from slipstream.entities import Experiment, ParamVersion, Run, RunBranch, RunCopy, ViewType
from slipstream.errors import InvalidParameterError, NotFoundError
from slipstream.ids import new_run_id
from slipstream.rules.lifecycle import require_active_experiment, require_active_run

_PARENT = "mlflow.parentRunId"
_PAGE = 1000
_FEW_PARENTS = 10
"""Runs below more than these are looked for in all of the experiment."""


class LivingRunCalls(Calls):
    def branch_run(self, run_id: str, from_step: int, keys: Sequence[str] | None = None) -> RunBranch | None:
        """Leave the points of a step and later ones behind, and return them as a branch; `None` if there were none.

        They are no part of the run's metrics any more and stay readable: `get_metric_history(..., branch=number)`.
        What was logged before is delivered first. Asked again, it returns the same branch.

        Args:
            run_id: the run.
            from_step: the first step that is left behind.
            keys: metrics; by default all of them.

        Raises:
            NotFoundError: the run has no metric of a name in `keys`.
            UnavailableError: the server does not take now what was logged before.
        """
        named = None if keys is None else [require_text(each, "keys") for each in _several(keys, "keys")]
        return self._store.branch_run(require_text(run_id, "run_id"), to_int64(from_step, "from_step"), named)

    def get_run_branches(self, run_id: str) -> list[RunBranch]:
        """Return what a run left behind, the first branch first; those that were undone, too."""
        return self._store.get_run_branches(require_text(run_id, "run_id"))

    def undo_branch(self, run_id: str, branch: int) -> None:
        """Put a branch's points back into the run's metrics, beside what was logged since."""
        self._store.undo_branch(require_text(run_id, "run_id"), to_int64(branch, "branch"))

    def get_param_history(self, run_id: str, key: str | None = None) -> list[ParamVersion]:
        """Return all values that params of a run have and had, the oldest first, the one that counts last."""
        named = None if key is None else require_text(key, "key")
        return self._store.get_param_history(require_text(run_id, "run_id"), named)

    def move_runs(
        self,
        run_ids: Sequence[str],
        experiment_id: str | None = None,
        *,
        experiment_name: str | None = None,
        nested: bool = False,
    ) -> list[str]:
        """Move runs to another experiment, all or none, and return which were not there already.

        They keep their ids; their files stay where they are. Logged models that they made go with them.

        Args:
            run_ids: the runs.
            experiment_id: where to.
            experiment_name: instead of the id.
            nested: also the runs below them that are not deleted, and those below these.
        """
        experiment = self._target(experiment_id, experiment_name)
        ids = [run.info.run_id for run in self._chosen(run_ids, nested=nested)]
        return self._store.move_runs(ids, experiment.experiment_id)

    def copy_runs(
        self,
        run_ids: Sequence[str],
        experiment_id: str | None = None,
        *,
        experiment_name: str | None = None,
        nested: bool = False,
        share_files: bool = False,
    ) -> dict[str, str]:
        """Copy runs into an experiment, the same one or another, and return the copies' ids by those of the runs.

        Metrics with what they left behind, params with earlier values, tags, inputs, outputs and files. A copy has the tag
        `slipstream.copied_from`. Logged models are not copied: the copy names the same ones. Runs that are under way are
        copied as they are now, and their copies are FINISHED.

        Args:
            run_ids: the runs.
            experiment_id: where to.
            experiment_name: instead of the id.
            nested: also the runs below them that are not deleted, and those below these.
            share_files: let the copies use the files of the runs, which are not removed for ever before the copies are.
        """
        experiment = self._target(experiment_id, experiment_name)
        runs = self._chosen(run_ids, nested=nested)
        copies = [RunCopy(run_id=run.info.run_id, new_run_id=new_run_id()) for run in runs]
        if not share_files:  # first, so that nobody sees a copy that lacks files
            root = experiment.artifact_location.rstrip("/")
            for run, copy in zip(runs, copies, strict=True):
                target = self.connection.artifacts(f"{root}/{copy.new_run_id}/artifacts")
                _copy_files(self.connection.artifacts(run.info.artifact_uri), target)
        if copies:
            self._store.copy_runs(copies, experiment.experiment_id, share_files=share_files)
        return {each.run_id: each.new_run_id for each in copies}

    def _target(self, experiment_id: str | None, experiment_name: str | None) -> Experiment:
        if (experiment_id is None) == (experiment_name is None):
            raise InvalidParameterError("Say which experiment: either 'experiment_id' or 'experiment_name'.")
        if experiment_id is not None:
            found = self._store.get_experiment(to_text(experiment_id, "experiment_id"))
        else:
            name = require_text(experiment_name, "experiment_name")
            known = self._store.find_experiment_by_name(name)
            if known is None:
                raise NotFoundError(f"There is no experiment '{name}'. Create it first: create_experiment.")
            found = known
        require_active_experiment(int(found.experiment_id), found.lifecycle_stage)
        return found

    def _chosen(self, run_ids: Sequence[str], *, nested: bool) -> list[Run]:
        """Return runs, each once, and if `nested` those below them."""
        found: dict[str, Run] = {}
        waiting = [
            self._store.get_run(require_text(each, "run_ids")) for each in _several(run_ids, "run_ids")
        ]
        for run in waiting:
            require_active_run(run.info.run_id, run.info.lifecycle_stage)
        families: dict[str, dict[str, list[Run]]] = {}
        while waiting:
            level = {run.info.run_id: run for run in waiting if run.info.run_id not in found}
            found |= level
            waiting = self._children(list(level.values()), families) if nested else []
        return list(found.values())

    def _children(self, parents: Sequence[Run], families: dict[str, dict[str, list[Run]]]) -> list[Run]:
        """Return the runs directly below some, which are in the same experiments as these.

        `families` are all runs below others in an experiment, by parent, once that is less work than to ask for each parent.
        """
        below: list[Run] = []
        for run in parents:
            experiment = run.info.experiment_id
            if len(parents) > _FEW_PARENTS and experiment not in families:
                family = families[experiment] = {}
                for each in self._search(experiment, f"tags.`{_PARENT}` IS NOT NULL"):
                    family.setdefault(each.data.tags[_PARENT], []).append(each)
            if experiment in families:
                below += families[experiment].get(run.info.run_id, ())
            else:
                below += self._search(experiment, f"tags.`{_PARENT}` = '{run.info.run_id}'")
        return below

    def _search(self, experiment: str, text: str) -> list[Run]:
        return collect(
            lambda size, token: paged(
                self._store.search_runs([experiment], text, ViewType.ACTIVE_ONLY, size, (), token)
            ),
            _PAGE,
            None,
        )


def _several(given: Sequence[str], field: str) -> Sequence[str]:
    if isinstance(given, str):
        raise InvalidParameterError(f"'{field}' must be a list; put the text into one: [text].")
    return given


def _copy_files(source: ArtifactStore, target: ArtifactStore) -> None:
    folders = [""]
    while folders:
        for info in source.list(folders.pop()):
            if info.is_dir:
                folders.append(info.path)
            else:
                target.write(info.path, _Pieces(source, info.path))


class _Pieces:
    """A file of a store in pieces. Can be iterated again, so that an upload can be tried again."""

    def __init__(self, store: ArtifactStore, path: str) -> None:
        self._store = store
        self._path = path

    def __iter__(self) -> Iterator[bytes]:
        with self._store.open(self._path) as file:
            while piece := file.read(PIECE_BYTES):
                yield piece
