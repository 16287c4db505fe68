"""A store behind a server that never makes its caller wait: what is logged goes into a spool.

What only logs to a run is written down and returned from: points, params, tags, inputs, outputs, a new status. Everything else
asks the server, after what was logged before has been delivered, so that a program reads what it wrote.

What is wrong with a value is said at once, by the same rules as everywhere. What only the server can know is looked up
once a run (is it there, may it be written to); what it refuses later is reported, never raised.
"""

import contextlib
import logging
import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Any, TypeVar

import msgspec

from slipstream import settings
from slipstream.api.routing import Request
from slipstream.artifact_store.local import LocalArtifactStore
from slipstream.client.active_experiment import NAMED
from slipstream.client.batches import Batch, cut_by_bytes
from slipstream.client.hurry import is_hurried
from slipstream.client.rest import RestStore
from slipstream.client.spool.models import AWAY, SpooledModels
from slipstream.client.spool.shipper import TIMEOUT_SECONDS, Shipper
from slipstream.client.transport import Transport
from slipstream.clock import now_ms
from slipstream.entities import (
    DatasetInput,
    Experiment,
    LoggedModelOutput,
    Metric,
    Param,
    Run,
    RunBranch,
    RunData,
    RunInfo,
    RunStatus,
    RunTag,
)
from slipstream.entities.record import (
    BatchRecord,
    FilesRecord,
    InputsRecord,
    OutputsRecord,
    ParamsRecord,
    PointRecord,
    Record,
    RunRecord,
    TableRecord,
    UpdateRecord,
    Value,
    encode_record,
)
from slipstream.errors import (
    AlreadyExistsError,
    InvalidParameterError,
    NotFoundError,
    StorageError,
    UnauthenticatedError,
    UnavailableError,
)
from slipstream.ids import new_run_id, new_run_name
from slipstream.rules import limits, names
from slipstream.rules.lifecycle import require_active_run
from slipstream.rules.params import check_params

RequestT = TypeVar("RequestT", bound=Request)
ResponseT = TypeVar("ResponseT")

_RECORD_BYTES = 256 * 1024
_ENDED = frozenset({RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED})
_KNOWN_RUNS = 100_000
_KNOWN_PARAMS = 1_000_000
_IDS = ("run_id", "run_uuid", "model_id", "source_run_id")
_LAST_ATTEMPT_SECONDS = 5.0

_logger = logging.getLogger(__name__)


class SpooledStore(SpooledModels):
    """A `RestStore` whose logging cannot wait or fail for the server. Thread-safe; each process needs its own."""

    away = (*AWAY, UnauthenticatedError)
    """What is raised for files that can be kept here and sent later: a token may have run out in the middle."""

    def __init__(
        self,
        transport: Transport,
        shown_address: str,
        open_transport: Callable[[int, float], Transport] | None,
    ) -> None:
        """Take the server's transport, its address without a password, and what opens others with (retries, seconds).

        Without the last there is no server, and nothing is sent.
        """
        super().__init__(transport)
        if open_transport is None:
            self.shipper = Shipper(shown_address, None)
            self.impatient_transport = transport
        else:
            opened = open_transport
            self.shipper = Shipper(shown_address, lambda: opened(0, TIMEOUT_SECONDS))
            self.impatient_transport = open_transport(1, max(0.1, settings.PATIENCE.get()))
        self._impatient = RestStore(self.impatient_transport)
        """For what must not wait long: it tries twice."""
        self._places: dict[str, str] = {}
        """Where files of runs are kept, by their ids."""
        self._known: set[str] = set()
        """Runs that are there and may be written to."""
        self._made: set[str] = set()
        """Those of them that this process began."""
        self._unsure: set[str] = set()
        """Those of them that nobody could ask for, since the server was away."""
        self.shipper.is_known = lambda run_id: run_id in self._known and run_id not in self._unsure
        self.shipper.is_made_here = self._made.__contains__
        self._params: dict[tuple[str, str], str] = {}
        self._experiments: dict[str, Experiment] = {}
        self._models = {}
        self._quick_keys: set[str] = set()

    # -- asking -------------------------------------------------------------------------------------
    def _ask(self, handler: Callable[[Any, RequestT], ResponseT], request: RequestT) -> ResponseT:
        if is_hurried():
            return self._ask_hurried(handler, request)
        if not self.shipper.is_delivered:
            self.shipper.flush(settings.DELIVERY_TIMEOUT.get() if not self.shipper.is_away else 0.0)
        return super()._ask(handler, self._with_ids_of_there(request))

    def _with_ids_of_there(self, request: RequestT) -> RequestT:
        """Return a request that names runs and models as the server does."""
        changed: dict[str, str] = {}
        for name in _IDS:
            value = getattr(request, name, None)
            if isinstance(value, str) and self.shipper.renamed.knows(value):
                changed[name] = self.shipper.renamed.of(value)
        return msgspec.structs.replace(request, **changed) if changed else request

    def _ask_hurried(self, handler: Callable[[Any, RequestT], ResponseT], request: RequestT) -> ResponseT:
        """Ask once and not long; while the server is away not at all.

        Raises:
            UnavailableError: it is away.
        """
        shipper = self.shipper
        if not shipper.is_away and not shipper.is_delivered:
            shipper.flush(settings.PATIENCE.get(), only_while_there=True)
        if shipper.is_away and shipper.trouble is not None:
            raise UnavailableError(f"{shipper.server} takes nothing now ({shipper.trouble}).")
        try:
            return super()._ask(handler, request)
        except AWAY as error:
            shipper.gone(error)
            raise

    def flush(self, seconds: float | None = None) -> bool:
        """Wait for the delivery of what was logged; by default as long as SLIPSTREAM_DELIVERY_TIMEOUT says."""
        return self.shipper.flush(settings.DELIVERY_TIMEOUT.get() if seconds is None else seconds)

    def close(self) -> None:
        """Deliver what can be delivered in time, and say what is left. Ctrl-C ends the waiting, and loses nothing."""
        seconds = settings.DELIVERY_TIMEOUT.get()
        try:
            # For one that is away already there is an attempt, and no long wait.
            delivered = self.shipper.close(
                min(seconds, _LAST_ATTEMPT_SECONDS) if self.shipper.is_away else seconds
            )
        except KeyboardInterrupt:
            delivered = False
        if not delivered:
            size, where = self.shipper.waiting()
            _logger.warning(
                "%d bytes that were logged to %s are not delivered: %s. They are in %s, and are sent when a program that uses "
                "slipstream runs on this machine again, or now with: slipstream sync",
                size,
                self.shipper.server,
                self.shipper.trouble or "it took too long",
                where,
            )

    def abandon(self) -> None:
        """In a process made by fork: let go of the parent's file, which it goes on writing."""
        self.shipper.abandon()

    # -- logging ------------------------------------------------------------------------------------
    def log_metric(self, run_id: str, metric: Metric) -> None:
        names.check_key(metric.key, "name")
        limits.check_int64(metric.timestamp, "timestamp")
        limits.check_int64(metric.step, "step")
        self._require_run(run_id)
        self._append(
            PointRecord(
                run_id,
                metric.key,
                _spell(metric.value),
                metric.timestamp,
                metric.step,
                metric.model_id,
                metric.dataset_name,
                metric.dataset_digest,
            )
        )

    def quick_metrics(self, run_id: str) -> "Callable[[dict[str, float], int, int | None], None] | None":
        """Return what logs plain points of one step of a run in the least time: (values, step, timestamp or None for now).

        `None` for a run of which nothing is known. The values must be floats.
        """
        if run_id not in self._known:
            return None
        append = self.shipper.append
        encode = encode_record
        keys = self._quick_keys
        now = now_ms

        def log(values: dict[str, float], step: int, timestamp: int | None) -> None:
            if not keys.issuperset(values):
                for key in values:
                    names.check_key(key, "name")
                keys.update(values)
            if timestamp is None:
                timestamp = now()
            points = [
                (key, value if value - value == 0 else _spell(value), timestamp, step)
                for key, value in values.items()
            ]
            if len(points) == 1:
                append(encode(["point", run_id, *points[0]]))
            else:
                append(encode(["batch", run_id, points]))

        return log

    def log_batch(
        self,
        run_id: str,
        metrics: Sequence[Metric] = (),
        params: Sequence[Param] = (),
        tags: Sequence[RunTag] = (),
    ) -> None:
        names.check_run_id(run_id)
        for index, metric in enumerate(metrics):
            names.check_key(metric.key, f"metrics[{index}].name")
            limits.check_int64(metric.timestamp, f"metrics[{index}].timestamp")
            limits.check_int64(metric.step, f"metrics[{index}].step")
        for index, param in enumerate(params):
            names.check_key(param.key, f"params[{index}].key")
        for index, tag in enumerate(tags):
            names.check_key(tag.key, f"tags[{index}].key")
        self._require_run(run_id)
        self._note_params(run_id, params)
        linked = [metric for metric in metrics if metric.model_id or metric.dataset_name]
        for metric in linked:
            self.log_metric(run_id, metric)
        plain = (
            [metric for metric in metrics if not (metric.model_id or metric.dataset_name)]
            if linked
            else metrics
        )
        for part in cut_by_bytes(Batch(plain, params, tags), _RECORD_BYTES):
            if part.metrics or part.params or part.tags:
                self._append(
                    BatchRecord(
                        run_id,
                        [(each.key, _spell(each.value), each.timestamp, each.step) for each in part.metrics],
                        {
                            each.key: limits.cut(each.value, limits.PARAM_VALUE, "value")
                            for each in part.params
                        },
                        {
                            each.key: limits.cut(each.value, limits.RUN_TAG_VALUE, "value")
                            for each in part.tags
                        },
                    )
                )

    def log_param(self, run_id: str, key: str, value: str) -> None:
        self.log_batch(run_id, params=[Param(key, value)])

    def overwrite_params(self, run_id: str, params: Sequence[Param], timestamp: int | None = None) -> None:
        pairs = check_params(params)
        self._require_run(run_id)
        for key, value in pairs.items():
            self._params[run_id, key] = value
        if pairs:
            self._append(ParamsRecord(run_id, pairs, now_ms() if timestamp is None else timestamp))

    def branch_run(self, run_id: str, from_step: int, keys: Sequence[str] | None = None) -> RunBranch | None:
        """Have the server branch a run, once it has all that was logged here, by programs that have ended, too.

        Raises:
            UnavailableError: it does not take that now; points that come later would be part of the new tail.
        """
        if not self.flush():
            size, where = self.shipper.waiting()
            raise UnavailableError(
                f"Run {run_id} cannot be resumed from a step now: {size} bytes that were logged before are not on the "
                f"server ({self.shipper.trouble or 'it takes long'}). They are in {where}. Try again when it answers."
            )
        if not self.shipper.deliver_left():
            raise UnavailableError(
                f"Run {run_id} cannot be resumed from a step now: what another program left on this machine is not on the "
                "server. See it with 'slipstream sync --list'; send it with 'slipstream sync', or remove it."
            )
        return super().branch_run(run_id, from_step, keys)

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        self.log_batch(run_id, tags=[RunTag(key, value)])

    def log_inputs(
        self, run_id: str, datasets: Sequence[DatasetInput] = (), models: Sequence[str] = ()
    ) -> None:
        self._require_run(run_id)
        self._append(InputsRecord.of(run_id, datasets, models))

    def log_outputs(self, run_id: str, models: Sequence[LoggedModelOutput]) -> None:
        self._require_run(run_id)
        self._append(OutputsRecord(run_id, [(each.model_id, each.step) for each in models]))

    # -- files --------------------------------------------------------------------------------------
    def place_of_files(self, run_id: str) -> str | None:
        """Return the storage URI of a run's files; `None` if the server is away, so that they have to wait."""
        if self.shipper.is_away or self.shipper.keeps_files:
            return None
        if run_id not in self._made and not self.shipper.await_turn(settings.PATIENCE.get()):
            return None  # files of before must not come after these
        if run_id not in self._places:
            run = self._find_run(run_id)
            if run is None:
                return None
            self._places[run_id] = run.info.artifact_uri
        return self._places[run_id]

    def stage_files(
        self, run_id: str, write: Callable[[LocalArtifactStore], object], model_id: str = ""
    ) -> None:
        """Keep files of a run or model on this machine, to be sent with what was logged; `write` puts them into a store."""
        folder = self._stage(run_id, write)
        self.shipper.append(encode_record(FilesRecord(run_id, folder, model_id=model_id)))

    def stage_table(self, run_id: str, path: str, rows: bytes, *, may_be_there: bool) -> None:
        """Keep rows of a table of a run, in the form that the table's file has, to be added to it with what was logged."""
        folder = self._stage(run_id, lambda store: store.write(PurePosixPath(path).name, [rows]))
        self.shipper.append(encode_record(TableRecord(run_id, folder, path, may_be_there)))

    def params_logged_here(self, run_id: str) -> dict[str, str]:
        """Return the params of a run that this process logged, as far as it remembers."""
        return {key: value for (run, key), value in self._params.items() if run == run_id}

    def _stage(self, run_id: str, write: Callable[[LocalArtifactStore], object]) -> str:
        try:
            folder = self.shipper.new_stage()
        except OSError as error:
            raise StorageError(
                f"Files of run {run_id} can neither be sent ({self.shipper.trouble}) nor kept here: {error}. "
                f"Set {settings.SPOOL_FOLDER.name} to a folder with room."
            ) from error
        try:
            write(LocalArtifactStore(folder))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return folder.name

    # -- runs ---------------------------------------------------------------------------------------
    def choose_experiment(self, name: str) -> Experiment:
        """Return the experiment that runs shall go to, which is made if it is new.

        While the server is away, one of which nothing but the name is known: the server finds or makes it later.
        """
        names.check_experiment_name(name)
        if not self.shipper.is_away:
            try:
                found = self._impatient.find_experiment_by_name(name)
                if found is None:
                    with contextlib.suppress(AlreadyExistsError):  # another process was faster
                        self._impatient.create_experiment(name)
                    found = self._impatient.find_experiment_by_name(name)
            except AWAY as error:
                self.shipper.gone(error)
            else:
                if found is None:
                    raise NotFoundError(
                        f"Experiment '{name}' was deleted for good while it was being set. Try again."
                    )
                self._experiments[name] = found
                return found
        known = self._experiments.get(name)
        if known is not None:
            return known
        now = now_ms()
        return Experiment(
            experiment_id=NAMED + name,
            name=name,
            artifact_location="",
            creation_time=now,
            last_update_time=now,
        )

    def create_run(
        self,
        experiment_id: str,
        user_id: str = "",
        run_name: str | None = None,
        start_time: int = 0,
        tags: Sequence[RunTag] = (),
    ) -> Run:
        """Have the server make a run; while it is away, make one here that it learns of later."""
        if experiment_id.startswith(NAMED):
            experiment_id = self.choose_experiment(experiment_id.removeprefix(NAMED)).experiment_id
        if not self.shipper.is_away:
            try:
                run = self._impatient.create_run(experiment_id, user_id, run_name, start_time, tags)
            except AWAY as error:
                self.shipper.gone(error)
            else:
                self._know(run.info.run_id, is_made_here=True)
                self._places[run.info.run_id] = run.info.artifact_uri
                return run
        return self._create_here(experiment_id, user_id, run_name, start_time, tags)

    def _create_here(
        self, experiment_id: str, user_id: str, run_name: str | None, start_time: int, tags: Sequence[RunTag]
    ) -> Run:
        pairs = {tag.key: limits.cut(tag.value, limits.RUN_TAG_VALUE, "value") for tag in tags}
        name = run_name or pairs.get("mlflow.runName") or new_run_name()
        names.check_run_name(name)
        pairs["mlflow.runName"] = name
        run_id = new_run_id()
        named = experiment_id.removeprefix(NAMED) if experiment_id.startswith(NAMED) else None
        self._append(
            RunRecord(
                run_id, name, user_id, start_time, pairs, None if named is not None else experiment_id, named
            )
        )
        self._know(run_id, is_made_here=True)
        info = RunInfo(
            run_id=run_id,
            experiment_id=experiment_id,
            run_name=name,
            user_id=user_id,
            status=RunStatus.RUNNING,
            start_time=start_time,
            artifact_uri=f"mlflow-artifacts:/{experiment_id}/{run_id}/artifacts",
        )
        return Run(info=info, data=RunData(tags=pairs))

    def look_at_run(self, run_id: str) -> Run | None:
        """Return a run, `None` while the server is away. It is taken to be there, so that it can be gone on with."""
        names.check_run_id(run_id)
        if not self.shipper.is_away:
            self.shipper.flush(settings.DELIVERY_TIMEOUT.get(), only_while_there=True)
            run = self._find_run(run_id)
            if run is None and not self.shipper.is_away:  # it begins in what another program left here
                self.shipper.await_turn(settings.DELIVERY_TIMEOUT.get())
                run = self._find_run(run_id)
            if run is not None:
                return run
        self._know(run_id)
        self._unsure.add(run_id)
        return None

    def delete_run(self, run_id: str) -> None:
        super().delete_run(run_id)
        self._known.discard(run_id)

    def update_run(
        self, run_id: str, status: str | None = None, end_time: int | None = None, run_name: str | None = None
    ) -> RunInfo:
        """Note a new status, and wait for the delivery of a run that ends as long as the settings say."""
        if run_name:
            names.check_run_name(run_name)
        self._require_run(run_id)
        self._append(UpdateRecord(run_id, status, end_time, run_name))
        if status in _ENDED:
            self._await_end(run_id)
        return RunInfo(
            run_id=run_id,
            experiment_id="",
            run_name=run_name or "",
            user_id="",
            status=status or RunStatus.RUNNING,
            start_time=0,
            end_time=end_time,
            artifact_uri="",
        )

    def _await_end(self, run_id: str) -> None:
        if not self.flush(0.0 if self.shipper.is_away else None):
            size, where = self.shipper.waiting()
            _logger.warning(
                "Run %s has ended here, and %s does not have all of it yet (%s): %d bytes are in %s. They are sent as soon as it takes them; "
                "if this program ends before that, by the next one on this machine, or by: slipstream sync",
                run_id,
                self.shipper.server,
                self.shipper.trouble or "it takes long",
                size,
                where,
            )

    # -- inside -------------------------------------------------------------------------------------
    def _append(self, record: Record) -> None:
        try:
            text = encode_record(record)
        except (UnicodeEncodeError, TypeError, OverflowError) as error:
            raise InvalidParameterError(
                f"What is logged to run {getattr(record, 'run_id', '?')} holds a text that is not valid Unicode or a number "
                f"that is too large: {error}."
            ) from error
        self.shipper.append(text)

    def _know(self, run_id: str, *, is_made_here: bool = False) -> None:
        if len(self._known) >= _KNOWN_RUNS:
            self._known.clear()
            self._made.clear()
            self._params.clear()
        self._known.add(run_id)
        if is_made_here:
            self._made.add(run_id)
        elif run_id not in self._made:
            self.shipper.builds_on_others = True

    def _require_run(self, run_id: str) -> None:
        """Find out once whether a run may be written to, unless nobody can tell now."""
        if run_id in self._known:
            return
        names.check_run_id(run_id)
        if self.shipper.is_away:
            return
        run = self._find_run(run_id)
        if run is not None:
            require_active_run(run_id, run.info.lifecycle_stage)
            self._know(run_id)
        elif not self.shipper.is_away:  # it begins in what another program left: asked for again at delivery
            self._know(run_id)
            self._unsure.add(run_id)

    def _find_run(self, run_id: str) -> Run | None:
        """Return a run; `None` where the server cannot be asked, or has yet to hear of a run that began while it was away."""
        for is_last in (False, True):
            try:
                return self._impatient.get_run(self.shipper.renamed.of(run_id))
            except AWAY as error:
                self.shipper.gone(error)
                return None
            except NotFoundError:
                if self.shipper.begins_in_spool(run_id):
                    return None
                if is_last:  # it may have been delivered between the two questions
                    raise
        return None

    def _note_params(self, run_id: str, params: Sequence[Param]) -> None:
        """Refuse what this process itself has logged otherwise; what others have, the server says later."""
        for param in params:
            known = self._params.get((run_id, param.key))
            if known is not None and known != param.value:
                raise InvalidParameterError(
                    f"Changing param values is not allowed. Param with key='{param.key}' was already logged with "
                    f"value='{known}' for run ID='{run_id}'. Attempted logging new value '{param.value}'. "
                    "Log it under another key, or start a new run."
                )
        if len(self._params) > _KNOWN_PARAMS:
            self._params.clear()
        for param in params:
            self._params[run_id, param.key] = param.value


def _spell(value: float) -> Value:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
