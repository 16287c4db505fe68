"""What the relay logs into: a spool, and what can be said of runs and experiments while their server is away."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

import msgspec

from slipstream import settings
from slipstream.client.active_experiment import NAMED
from slipstream.client.connect import normalise, shown_uri
from slipstream.client.spool.store import SpooledStore
from slipstream.client.transport import Transport
from slipstream.clock import now_ms
from slipstream.entities import Experiment, Run, RunInfo, RunTag
from slipstream.entities.record import UntagRecord
from slipstream.errors import (
    AlreadyExistsError,
    InvalidParameterError,
    SlipstreamError,
    UnavailableError,
)
from slipstream.rules import names

RELAYED = "relayed"
"""The first folder of the artifacts of runs that were made here: where the server keeps them is not known yet."""
MOST_HELD_BYTES = 256 << 20
"""Of what a full disk does not take: more is not kept in memory, and clients are told to come again."""
_REMEMBERED = 10_000

T = TypeVar("T")


class RelayStore(SpooledStore):
    """A `SpooledStore` that never asks its server for what clients read; it says what it remembers."""

    def __init__(
        self, transport: Transport, address: str, open_transport: Callable[[int, float], Transport]
    ) -> None:
        super().__init__(transport, address, open_transport)
        self.shipper.builds_on_others = (
            True  # its clients log to runs of theirs, whichever relay they began at
        )
        self._runs: _Memory[Run] = _Memory(_REMEMBERED)
        self._by_id: _Memory[Experiment] = _Memory(_REMEMBERED)
        self._keeps_ids: bool | None = None
        """Whether the server takes runs that were made elsewhere; `None` until it has been asked."""

    def knows(self, run_id: object) -> bool:
        """Tell whether a run is known to be there, so that logging to it asks nobody."""
        return run_id in self._known

    def require_room(self) -> None:
        """Refuse to log more while the disk is full and memory holds as much as it may."""
        if self.shipper.held_bytes > MOST_HELD_BYTES:
            raise UnavailableError(
                f"The relay's disk takes nothing, and {self.shipper.server} neither. Make room in its spool folder "
                f"({settings.SPOOL_FOLDER.name}); until then nothing more is kept."
            )

    # -- what clients were told -----------------------------------------------------------------------
    def remember_run(self, run: Run) -> None:
        self._runs.keep(run.info.run_id, msgspec.structs.replace(run, inputs=type(run.inputs)()))
        if run.info.lifecycle_stage == "active":
            self._know(run.info.run_id)

    def remember_experiment(self, experiment: Experiment) -> None:
        self._by_id.keep(experiment.experiment_id, experiment)
        self._experiments[experiment.name] = experiment

    # -- logging --------------------------------------------------------------------------------------
    def create_run(
        self,
        experiment_id: str,
        user_id: str = "",
        run_name: str | None = None,
        start_time: int = 0,
        tags: Sequence[RunTag] = (),
    ) -> Run:
        run = super().create_run(experiment_id, user_id, run_name, start_time, tags)
        self._runs.keep(run.info.run_id, run)
        if self._keeps_ids is None and not self.shipper.is_away:
            try:
                self._keeps_ids = "records" in self._impatient.own_features
            except SlipstreamError:  # it went away meanwhile; asked again with the next run
                self._keeps_ids = None
        return run

    def _create_here(
        self, experiment_id: str, user_id: str, run_name: str | None, start_time: int, tags: Sequence[RunTag]
    ) -> Run:
        if self._keeps_ids is False:
            raise UnavailableError(
                f"{self.shipper.server} is away, and it is MLflow's server, which chooses the ids of runs itself: a run cannot "
                "begin without it. Try again."
            )
        run = super()._create_here(experiment_id, user_id, run_name, start_time, tags)
        place = f"mlflow-artifacts:/{RELAYED}/{run.info.run_id}/artifacts"
        return msgspec.structs.replace(run, info=msgspec.structs.replace(run.info, artifact_uri=place))

    def update_run(
        self, run_id: str, status: str | None = None, end_time: int | None = None, run_name: str | None = None
    ) -> RunInfo:
        info = super().update_run(run_id, status, end_time, run_name)
        known = self._runs.find(run_id)
        if known is None:
            return info
        changed = {"status": status, "end_time": end_time, "run_name": run_name}
        info = msgspec.structs.replace(
            known.info, **{name: value for name, value in changed.items() if value is not None}
        )
        self._runs.keep(run_id, msgspec.structs.replace(known, info=info))
        return info

    def _await_end(self, run_id: str) -> None:
        """Do not wait: this process goes on, and sends it."""

    def delete_tag(self, run_id: str, key: str) -> None:
        """Note that a tag is gone. Only for a server that is away: nobody says whether there was one."""
        names.check_key(key, "key")
        self._require_run(run_id)
        self._append(UntagRecord(run_id, key))

    # -- what is asked while the server is away -------------------------------------------------------
    def get_run(self, run_id: str) -> Run:
        found = self._runs.find(run_id)
        if found is None:
            raise self.away(f"Run {run_id[:100]!r} is not remembered here")
        return found

    def get_experiment(self, experiment_id: str) -> Experiment:
        if experiment_id.startswith(NAMED):
            return self._provisional(experiment_id.removeprefix(NAMED))
        found = self._by_id.find(experiment_id)
        if found is None:
            raise self.away(f"Experiment {experiment_id[:100]!r} is not remembered here")
        return found

    def find_experiment_by_name(self, name: str) -> Experiment:
        """Return the experiment, or one of which nothing but the name is known."""
        return self._experiments.get(name) or self._provisional(name)

    def create_experiment(
        self, name: str, artifact_location: str | None = None, tags: Mapping[str, str] | None = None
    ) -> str:
        """Return the provisional id of an experiment that the server makes with the first run in it."""
        if artifact_location or tags:
            raise self.away("An experiment with a place for artifacts or with tags cannot be made without it")
        if name in self._experiments:
            raise AlreadyExistsError(f"Experiment(name={name[:200]}) already exists.")
        return self._provisional(name).experiment_id

    def true_experiment_id(self, experiment_id: str) -> str:
        """Return what the server calls an experiment of which only the name was known; it is made if it is new."""
        if not experiment_id.startswith(NAMED):
            return experiment_id
        return self.choose_experiment(experiment_id.removeprefix(NAMED)).experiment_id

    def true_place(self, run_id: str) -> str | None:
        """Return where the server keeps a run's artifacts; `None` while it is away."""
        return self.place_of_files(run_id)

    def away(self, what: str = "It cannot be asked") -> UnavailableError:
        reason = f" ({self.shipper.trouble})" if self.shipper.trouble else ""
        return UnavailableError(
            f"{what}: {self.shipper.server} is away{reason}. What is logged is kept by this relay and sent later; try again."
        )

    def _provisional(self, name: str) -> Experiment:
        names.check_experiment_name(name)
        now = now_ms()
        return Experiment(
            experiment_id=NAMED + name,
            name=name,
            artifact_location=f"mlflow-artifacts:/{RELAYED}",
            creation_time=now,
            last_update_time=now,
        )


class _Memory(Generic[T]):
    """The values that were used last, by their ids. Thread-safe."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[str, T] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, key: str, value: T) -> None:
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            if len(self._values) > self._most:
                self._values.popitem(last=False)

    def find(self, key: str) -> T | None:
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)


def open_relay_store(to: str) -> tuple[RelayStore, Transport]:
    """Return the store of a server's address, and the way to pass requests on to it.

    Raises:
        InvalidParameterError: it is no address of a server.
    """
    address = normalise(to)
    if not address.startswith(("http://", "https://")):
        raise InvalidParameterError(
            f"--to '{shown_uri(to)}' is no address of a server. Write http://host:port."
        )

    def open_transport(retries: int, seconds: float) -> Transport:
        return Transport(address, retries=retries, timeout_seconds=seconds)

    transport = Transport(address)
    return RelayStore(transport, shown_uri(address), open_transport), transport
