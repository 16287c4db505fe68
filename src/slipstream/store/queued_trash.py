"""Removing for ever, with the files: many small transactions, and between them what object stores and disks take.

The order makes it safe to be killed anywhere, and to be restored from anywhere: a row is marked, then its files are
deleted, then the row (store/removals.py). Before the mark everything is whole, after it nothing can be had any more.
"""

import logging
import re
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from slipstream.clock import LONGEST_DURATION, now_ms
from slipstream.entities import (
    KeptItem,
    OrphanFolder,
    OrphanReport,
    RemovalCounts,
    RemovalPart,
    TrashItem,
    TrashKind,
    TrashSelection,
)
from slipstream.errors import ConflictError, InvalidParameterError, SlipstreamError, UnavailableError
from slipstream.ids import new_run_id
from slipstream.store.removals import Candidate, refuse, said_copied, shown

if TYPE_CHECKING:
    from slipstream.artifact_store.places import ArtifactPlaces, Place
    from slipstream.store.engine import Engine
    from slipstream.store.sql import SqlStore

PART_SECONDS = 2.0
"""About how long one call works: who waits for the answer sees progress, and no connection times out."""
AT_ONCE = 50
"""Runs or models that are marked in one transaction, and whose rows go in one."""
PLANNED_AT_ONCE = 500
LEASE = "trash"
LEASE_MS = 30_000
"""How long a process that is silent is taken to be at work."""
_LEASE_WAIT_SECONDS = 5.0
ORPHAN_AGE_MS = 24 * 60 * 60 * 1000
"""An upload may begin before its run is known here, and lasts long; a folder where nothing changed for a day is none."""
ELSEWHERE = (
    "its files are at '{uri}', where this process deletes nothing: it is outside of its artifact roots, not of the form "
    "that the store gives, or a link to another one"
)
NESTED = "an experiment keeps its artifacts inside of its folder"

_EXPERIMENTS, _RUNS, _MODELS, _ROWS = "experiments", "runs", "models", "rows"
_PHASES = (_EXPERIMENTS, _RUNS, _MODELS, _ROWS)
_KINDS = {_RUNS: TrashKind.RUN, _MODELS: TrashKind.MODEL}

_NUMBERS = re.compile(r"\d{1,18}(,\d{1,18})*", re.ASCII)

_logger = logging.getLogger(__name__)


class QueuedTrash:
    """The part of `QueuedStore` that deletes files, too."""

    engine: "Engine"

    def remove_trash(
        self, selection: TrashSelection, page_token: str | None = None, *, dry_run: bool = False
    ) -> RemovalPart:
        if not 0 <= selection.older_than_ms <= LONGEST_DURATION:
            raise InvalidParameterError(
                f"Invalid value {selection.older_than_ms} for 'older_than_ms': give 0 to {LONGEST_DURATION}, which is a "
                "thousand years."
            )
        if selection.before_time is None:
            before = now_ms() - selection.older_than_ms
            selection = msgspec.structs.replace(selection, before_time=before)
        phase, after, going = _parse_token(page_token)
        work = _Work(self.engine, selection, going if dry_run else set(), dry_run=dry_run)
        if dry_run:
            return work.run(phase, after, named=page_token is None)
        with _lease(self.engine):
            return work.run(phase, after, named=page_token is None)

    def remove_orphans(self, *, dry_run: bool = False, force: bool = False) -> OrphanReport:
        places = _places(self.engine)
        if dry_run:
            return _orphans(self.engine, places, delete=False)
        with _lease(self.engine):
            found = _orphans(self.engine, places, delete=False)
            if len(found.folders) > found.known and not force:
                raise ConflictError(
                    f"{len(found.folders)} folders belong to no run of this database, and only {found.known} do. Does "
                    "another database keep its artifacts here? If not, say force."
                )
            return _orphans(self.engine, places, delete=True)


class _Work:
    """One part of a removal, or of its plan."""

    def __init__(
        self, engine: "Engine", selection: TrashSelection, going: set[int], *, dry_run: bool
    ) -> None:
        self._engine = engine
        self._places = _places(engine)
        self._selection = selection
        self._dry_run = dry_run
        self._until = time.monotonic() + PART_SECONDS
        self._counts = RemovalCounts()
        self._items: list[TrashItem] = []
        self._kept: list[KeptItem] = []
        self._going = going
        """Experiments that will go, of a plan: nothing marks them."""
        self._at_once = PLANNED_AT_ONCE if dry_run else AT_ONCE
        self._occupied: set[str] | None = None

    def run(self, phase: str, after: int, *, named: bool) -> RemovalPart:
        if named:
            self._kept += self._engine.read(lambda store: store.find_refused_names(self._selection))
        while phase:
            last = self._step(phase, after)
            if last is None:
                position = _PHASES.index(phase) + 1
                phase, after = (_PHASES[position] if position < len(_PHASES) else ""), 0
            else:
                after = last
            if phase and time.monotonic() > self._until:
                return self._part(f"{phase}.{after}." + ",".join(map(str, sorted(self._going))))
        return self._part(None)

    def _part(self, token: str | None) -> RemovalPart:
        before = self._selection.before_time
        assert before is not None, "remove_trash has set it"
        return RemovalPart(
            counts=self._counts, items=self._items, kept=self._kept, token=token, before_time=before
        )

    def _step(self, phase: str, after: int) -> int | None:
        """Do the next few things of a phase; return the internal id to go on behind, `None` if it is done."""
        if phase == _EXPERIMENTS:
            return self._begin_experiments(after)
        if phase == _ROWS:
            if not self._dry_run:
                self._count(experiments=self._engine.write(lambda store: store.delete_empty_experiments()))
            return None
        return self._remove_some(_KINDS[phase], after)

    def _count(self, **counts: int) -> None:
        self._counts += RemovalCounts(**counts)

    # -- experiments ------------------------------------------------------------------------------------
    def _begin_experiments(self, after: int) -> int | None:
        found = self._engine.read(lambda store: store.find_going_experiments(self._selection, after, AT_ONCE))
        last = None
        for number, name, deleted_time in found:
            last = number
            reason = self._reason_to_keep(number)
            if reason is None and not self._dry_run:
                reason = self._engine.write(
                    lambda store, number=number: store.mark_experiment(number, self._selection)
                )
            if reason is not None:
                self._kept.append(KeptItem(kind=TrashKind.EXPERIMENT, id=str(number), reason=reason))
            elif self._dry_run:
                self._going.add(number)
                self._count(experiments=1)
                self._items.append(
                    TrashItem(
                        kind=TrashKind.EXPERIMENT,
                        id=str(number),
                        name=name,
                        experiment_id=str(number),
                        deleted_time=deleted_time,
                    )
                )
            if time.monotonic() > self._until:
                return last
        return last if len(found) == AT_ONCE else None

    def _reason_to_keep(self, experiment: int) -> str | None:
        def look(store: "SqlStore") -> str | None:
            needed = {} if self._selection.force else store.needed_ids()
            return store.find_reason_to_keep(experiment, self._selection, needed)

        reason = self._engine.read(look)
        if reason is not None:
            return reason
        sharing = self._engine.read(lambda store: store.find_sharing_in(experiment))
        for kind in (TrashKind.RUN, TrashKind.MODEL):
            for item_id, uri in self._members(experiment, kind):
                if item_id not in sharing and isinstance(place := self._place(kind, item_id, uri), str):
                    return f"it holds the {kind} {item_id}, and {place}"
        return None

    def _members(self, experiment: int, kind: TrashKind) -> Iterator[tuple[str, str]]:
        after = 0
        while True:
            rows = self._engine.read(
                lambda store, after=after: store.find_member_places(experiment, kind, after)
            )
            if not rows:
                return
            for number, item_id, uri in rows:
                after = number
                yield item_id, uri

    # -- runs and models --------------------------------------------------------------------------------
    def _remove_some(self, kind: TrashKind, after: int) -> int | None:
        found = self._engine.read(
            lambda store: store.find_candidates(kind, self._selection, self._going, after, self._at_once)
        )
        if not found:
            return None
        if self._dry_run:
            return self._plan(kind, found)
        chosen: list[Candidate] = []
        places: dict[int, Place] = {}
        sharing = self._engine.read(lambda store: store.find_sharing(found))
        for each in found:
            if each.number in sharing:  # the files are another run's
                chosen.append(each)
                continue
            place = self._place(kind, each.id, each.uri)
            if isinstance(place, str):
                self._kept.append(refuse(each, place))
            else:
                chosen.append(each)
                places[each.number] = place
        marked, kept = self._engine.write(lambda store: store.mark_candidates(chosen, self._selection))
        self._kept += kept
        done: list[int] = []
        last = found[-1].number
        for each in marked:
            place = places.get(each.number)
            if place is None or self._delete_files(each, place):
                done.append(each.number)
            if time.monotonic() > self._until:
                last = each.number  # the others are marked, and found again
                break
        self._delete_rows(kind, done)
        self._count(**{f"{kind}s": len(done)})
        return last

    def _plan(self, kind: TrashKind, found: Sequence[Candidate]) -> int:
        needed = {} if self._selection.force else self._engine.read(lambda store: store.needed_ids())
        ids = [each.id for each in found if each.kind is TrashKind.RUN]
        shared = self._engine.read(lambda store: store.find_shared(ids))
        going = {each.id for each in self._items if each.kind is TrashKind.RUN}
        models = [each.id for each in found if each.kind is TrashKind.MODEL and not self._selection.force]
        copied = self._engine.read(lambda store: store.find_copied(models, going))
        sharing = self._engine.read(lambda store: store.find_sharing(found))
        sizes = self._engine.read(lambda store: store.find_bytes(found))
        for each in found:
            place = None if each.number in sharing else self._place(kind, each.id, each.uri)
            if isinstance(place, str):
                self._kept.append(refuse(each, place))
            elif each.id in shared and not each.is_marked:
                self._kept.append(refuse(each, f"run {shared[each.id]} uses the files of it"))
            elif each.id in copied and not each.is_marked:
                self._kept.append(refuse(each, f"{said_copied(copied[each.id])} it"))
            elif each.id in needed and not each.is_marked:
                self._kept.append(refuse(each, f"{needed[each.id]} was made from it"))
            else:
                files, size = (0, 0) if place is None else self._usage(place)
                metric_bytes = sizes.get(each.number, 0)
                self._count(**{f"{kind}s": 1}, metric_bytes=metric_bytes, files=files, artifact_bytes=size)
                self._items.append(shown(each, metric_bytes))
            if time.monotonic() > self._until:
                return each.number
        return found[-1].number

    def _usage(self, place: "Place") -> tuple[int, int]:
        from slipstream.artifact_store.usage import measure

        usage = measure(place.store, f"{place.path}/artifacts")
        return usage.files, usage.size

    def _place(self, kind: TrashKind, item_id: str, uri: str) -> "Place | str":
        """Return the folder to delete, or why none may be."""
        from slipstream.artifact_store.places import real_path

        places = self._places
        place = places.find_own(uri, item_id, model=kind is TrashKind.MODEL)
        if place is None:
            return ELSEWHERE.format(uri=uri)
        if self._occupied is None:
            locations = self._engine.read(lambda store: store.find_experiment_locations())
            self._occupied = _with_all_above(places, locations)
        return NESTED if real_path(place) in self._occupied else place

    def _delete_files(self, candidate: Candidate, place: "Place") -> bool:
        from slipstream.artifact_store.places import delete_own

        # Somebody may have imported a run of the same id since; its files are there, too.
        alive = self._engine.read(lambda store: store.find_live(candidate.kind, [candidate.id]))
        if alive:
            return True
        try:
            files, size = self._usage(place)
            delete_own(place)
        except (SlipstreamError, OSError) as error:
            _logger.warning("The files of %s %s cannot be deleted: %s", candidate.kind, candidate.id, error)
            reason = f"it is being removed, but its files cannot be deleted: {error} Do it again later"
            self._kept.append(refuse(candidate, reason))
            return False
        self._count(files=files, artifact_bytes=size)
        return True

    def _delete_rows(self, kind: TrashKind, numbers: list[int]) -> None:
        while numbers:
            freed, numbers = self._engine.write(
                lambda store, numbers=numbers: store.delete_rows(kind, numbers)
            )
            self._count(metric_bytes=freed)


def _places(engine: "Engine") -> "ArtifactPlaces":
    from slipstream.artifact_store.places import ArtifactPlaces

    return ArtifactPlaces(None) if engine.config.places is None else engine.config.places()


def _with_all_above(places: "ArtifactPlaces", locations: Sequence[str]) -> set[str]:
    """Return the real paths of the folders of experiments and of all folders above them."""
    occupied: set[str] = set()
    for location in locations:
        path = places.find_real_path(location)
        while path and path not in occupied:
            occupied.add(path)
            path = path.rpartition("/")[0]
    return occupied


@contextmanager
def _lease(engine: "Engine") -> Generator[None]:
    """Hold the right to remove things from this database.

    Raises:
        UnavailableError: another process holds it.
    """
    holder = new_run_id()
    until = time.monotonic() + _LEASE_WAIT_SECONDS
    while not engine.write(lambda store: store.claim_lease(LEASE, holder, LEASE_MS)):
        if time.monotonic() > until:
            raise UnavailableError(
                "Another process removes things from this database now, or was killed while it did. Try again in "
                f"{LEASE_MS // 1000} seconds."
            )
        time.sleep(0.1)
    try:
        yield
    finally:
        engine.write(lambda store: store.end_lease(LEASE, holder))


def _parse_token(token: str | None) -> tuple[str, int, set[int]]:
    """Return the phase, the internal id to go on behind, and the experiments that the plan has found so far."""
    if not token:
        return _EXPERIMENTS, -1, set()  # there is an experiment 0
    phase, _, rest = token.partition(".")
    number, _, going = rest.partition(".")
    if (
        phase not in _PHASES
        or "," in number
        or not _NUMBERS.fullmatch(number)
        or not _NUMBERS.fullmatch(going or "0")
    ):
        raise InvalidParameterError(
            f"Invalid 'page_token' {token[:100]!r}: give the one of the part before, or none."
        )
    return phase, int(number), {int(each) for each in going.split(",") if each}


# -- files of nobody ----------------------------------------------------------------------------------


def _orphans(engine: "Engine", places: "ArtifactPlaces", *, delete: bool) -> OrphanReport:
    from slipstream.artifact_store.orphans import find_own_folders, remove_unfinished
    from slipstream.artifact_store.places import Place, delete_own, real_path
    from slipstream.artifact_store.usage import measure

    root = places.find(engine.config.artifact_root)
    if root is None:
        raise InvalidParameterError(
            f"The artifact root '{engine.config.artifact_root}' is not where this process may delete anything."
        )
    locations = engine.read(lambda store: store.find_experiment_locations())
    occupied = _with_all_above(places, locations)
    needed = engine.read(lambda store: store.needed_ids())
    folders: list[OrphanFolder] = []
    known = 0
    latest_allowed = now_ms() - ORPHAN_AGE_MS
    for found in find_own_folders(root):
        for kind, by_id in ((TrashKind.RUN, found.runs), (TrashKind.MODEL, found.models)):
            owned = engine.read(lambda store, kind=kind, by_id=by_id: store.find_owned(kind, list(by_id)))
            known += len(owned)
            for item_id, path in by_id.items():
                place = Place(root.store, path)
                if item_id in owned or item_id in needed or real_path(place) in occupied:
                    continue
                if [each.path for each in root.store.list(path)] != [f"{path}/artifacts"]:
                    continue  # MLflow's own runs in a folder look the same, and have more in them
                usage = measure(root.store, path)
                if usage.last_change_ms is None or usage.last_change_ms > latest_allowed:
                    continue
                folders.append(
                    OrphanFolder(
                        path=path,
                        files=usage.files,
                        artifact_bytes=usage.size,
                        last_change_time=usage.last_change_ms,
                    )
                )
                if delete:
                    delete_own(place)
    unfinished = remove_unfinished(root, ORPHAN_AGE_MS // 1000, dry_run=not delete)
    return OrphanReport(folders=folders, known=known, unfinished=unfinished)
