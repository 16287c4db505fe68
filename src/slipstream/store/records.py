"""Records that clients wrote down when they logged and deliver later: each is stored once, however often it is sent.

The number up to which a writer's records are stored is kept in the same transaction as what they say.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, LiteralString, cast

from slipstream.clock import now_ms
from slipstream.db.base import Transaction
from slipstream.entities import (
    DatasetInput,
    Experiment,
    LifecycleStage,
    LoggedModel,
    LoggedModelOutput,
    LoggedModelStatus,
    Metric,
    ModelVersion,
    Param,
    RegisteredModel,
    Run,
    RunInfo,
    RunTag,
)
from slipstream.entities.record import (
    BatchRecord,
    DeliveryReceipt,
    InputsRecord,
    ModelRecord,
    ModelUpdateRecord,
    OutputsRecord,
    ParamsRecord,
    PointRecord,
    Record,
    RefusedRecord,
    RunRecord,
    UntagRecord,
    UpdateRecord,
    VersionRecord,
)
from slipstream.errors import AlreadyExistsError, InvalidParameterError, NotFoundError, SlipstreamError
from slipstream.rules import limits, names
from slipstream.store.params_tags import DELETE_TAG
from slipstream.store.versions import MODEL_VERSIONS_TAG, versions_in

SELECT_WRITER: LiteralString = "SELECT stored FROM record_writers WHERE writer = :writer"
UPSERT_WRITER: LiteralString = """
    INSERT INTO record_writers (writer, stored, updated_time) VALUES (:writer, :stored, :now)
    ON CONFLICT (writer) DO UPDATE SET stored = excluded.stored, updated_time = excluded.updated_time
"""
DELETE_OLD_WRITERS: LiteralString = "DELETE FROM record_writers WHERE updated_time < :before"

_KEPT_MS = 365 * 24 * 60 * 60 * 1000
"""How long it is known what a writer has delivered, after its last delivery. A laptop may sleep for long."""
_LONGEST_WRITER = 64
_MODEL_ID = re.compile(r"m-[0-9a-f]{32}", re.ASCII)


class RecordsPart:
    tx: Transaction

    if TYPE_CHECKING:  # in the files of runs, params and tags, metrics, data sets, experiments, trash

        def log_points(self, requests: Sequence[tuple[str, Metric]]) -> list[SlipstreamError | None]: ...
        def log_batch(
            self,
            run_id: str,
            metrics: Sequence[Metric] = (),
            params: Sequence[Param] = (),
            tags: Sequence[RunTag] = (),
        ) -> None: ...
        def overwrite_params(
            self, run_id: str, params: Sequence[Param], timestamp: int | None = None
        ) -> None: ...
        def create_run(
            self,
            experiment_id: str,
            user_id: str = "",
            run_name: str | None = None,
            start_time: int = 0,
            tags: Sequence[RunTag] = (),
            run_id: str | None = None,
        ) -> Run: ...
        def update_run(
            self,
            run_id: str,
            status: str | None = None,
            end_time: int | None = None,
            run_name: str | None = None,
        ) -> RunInfo: ...
        def require_run(self, run_id: str, *, active: bool = False) -> tuple[int, int]: ...
        def log_inputs(
            self, run_id: str, datasets: Sequence[DatasetInput] = (), models: Sequence[str] = ()
        ) -> None: ...
        def log_outputs(self, run_id: str, models: Sequence[LoggedModelOutput]) -> None: ...
        def create_experiment(self, name: str) -> str: ...
        def find_experiment_by_name(self, name: str) -> Experiment | None: ...
        def create_experiment_anew(self, name: str) -> str: ...
        def get_run(self, run_id: str) -> Run: ...
        def create_logged_model(
            self,
            experiment_id: str,
            name: str | None = None,
            source_run_id: str | None = None,
            tags: Mapping[str, str] | None = None,
            params: Mapping[str, str] | None = None,
            model_type: str | None = None,
            model_id: str | None = None,
        ) -> LoggedModel: ...
        def get_logged_model(self, model_id: str, *, allow_deleted: bool = False) -> LoggedModel: ...
        def finalize_logged_model(self, model_id: str, status: LoggedModelStatus) -> LoggedModel: ...
        def set_logged_model_tags(self, model_id: str, tags: Mapping[str, str]) -> None: ...
        def log_logged_model_params(self, model_id: str, params: Mapping[str, str]) -> None: ...
        def get_registered_model(self, name: str) -> RegisteredModel: ...
        def create_registered_model(self, name: str) -> RegisteredModel: ...
        def create_model_version(
            self,
            name: str,
            source: str,
            run_id: str | None = None,
            tags: Mapping[str, str] | None = None,
            run_link: str | None = None,
            description: str | None = None,
            model_id: str | None = None,
        ) -> ModelVersion: ...

    def store_records(
        self, writer: str, first: int, records: Sequence[Record | RefusedRecord], after: int = 0
    ) -> DeliveryReceipt:
        """Store the records of a writer that are not stored yet.

        Args:
            writer: who numbered them; any text that nobody else uses.
            first: the number of the first one.
            records: without gaps; in the place of one that could not be read, why.
            after: up to which number the writer was told that they are stored. With fewer, as after a restored backup, nothing
                is stored, and the receipt says how many there are, so that it sends the others again.
        """
        if not writer or len(writer) > _LONGEST_WRITER or not writer.isprintable():
            raise InvalidParameterError(
                f"Invalid value {ascii(writer)[:100]} for 'writer': use up to {_LONGEST_WRITER} letters."
            )
        if first < 1:
            raise InvalidParameterError(f"Invalid value {first} for 'first': records are numbered from 1.")
        row = self.tx.fetch_one(SELECT_WRITER, writer=writer)
        stored = 0 if row is None else row[0]
        if stored < after:
            return DeliveryReceipt(stored=stored)
        repeated = min(max(0, stored + 1 - first), len(records))
        new = records[repeated:]
        if not new:
            return DeliveryReceipt(stored=stored, repeated=repeated)
        refused: list[RefusedRecord] = []
        points: list[tuple[int, PointRecord]] = []
        for number, record in enumerate(new, first + repeated):
            if isinstance(record, PointRecord):
                points.append((number, record))
                continue
            if isinstance(record, RefusedRecord):
                refused.append(record)
                continue
            self._store_points(points, refused)
            points = []
            try:
                with self.tx.savepoint():
                    self._store(record)
            except SlipstreamError as error:
                refused.append(RefusedRecord(number, error.code, str(error)))
        self._store_points(points, refused)
        stored = first + len(records) - 1
        now = now_ms()
        self.tx.execute(UPSERT_WRITER, writer=writer, stored=stored, now=now)
        if row is None:
            self.tx.execute(DELETE_OLD_WRITERS, before=now - _KEPT_MS)
        refused.sort(key=lambda each: each.number)
        return DeliveryReceipt(stored=stored, refused=refused, repeated=repeated)

    def _store_points(self, records: Sequence[tuple[int, PointRecord]], refused: list[RefusedRecord]) -> None:
        requests: list[tuple[str, Metric]] = []
        numbers: list[int] = []
        for number, each in records:
            try:
                value = _value(each.value)
            except SlipstreamError as error:
                refused.append(RefusedRecord(number, error.code, str(error)))
                continue
            numbers.append(number)
            requests.append(
                (
                    each.run_id,
                    Metric(
                        each.key,
                        value,
                        each.timestamp,
                        each.step,
                        each.model_id,
                        each.dataset_name,
                        each.dataset_digest,
                    ),
                )
            )
        if not requests:
            return
        for number, outcome in zip(numbers, self.log_points(requests), strict=True):
            if outcome is not None:
                refused.append(RefusedRecord(number, outcome.code, str(outcome)))

    def _store(self, record: Record) -> None:
        match record:
            case BatchRecord():
                self.log_batch(
                    record.run_id,
                    [Metric(key, _value(value), at, step) for key, value, at, step in record.points],
                    [Param(key, value) for key, value in record.params.items()],
                    [RunTag(key, value) for key, value in record.tags.items()],
                )
            case ParamsRecord():
                params = [Param(key, value) for key, value in record.params.items()]
                self.overwrite_params(record.run_id, params, record.timestamp)
            case RunRecord():
                self._begin_run(record)
            case UpdateRecord():
                self.update_run(record.run_id, record.status, record.end_time, record.run_name)
            case UntagRecord():
                self._untag(record)
            case InputsRecord():
                self.log_inputs(record.run_id, record.to_inputs(), record.models)
            case OutputsRecord():
                self.log_outputs(record.run_id, record.to_outputs())
            case ModelRecord():
                self._begin_model(record)
            case ModelUpdateRecord():
                self._update_model(record)
            case VersionRecord():
                self._make_version(record)
            case _:
                raise AssertionError(f"{type(record).__name__} is stored together with others")

    def _untag(self, record: UntagRecord) -> None:
        run, _ = self.require_run(record.run_id, active=True)
        self.tx.execute(DELETE_TAG, run=run, key=record.key)  # one that is not there is gone as was wanted

    def _begin_run(self, record: RunRecord) -> None:
        names.check_new_run_id(record.run_id)
        tags = [RunTag(key, value) for key, value in record.tags.items()]
        experiment_id = record.experiment_id
        if experiment_id is None:
            if not record.experiment_name:
                raise InvalidParameterError(
                    "A run needs an experiment: 'experiment_id' or 'experiment_name'."
                )
            experiment_id = self._experiment_named(record.experiment_name)
        limits.check_int64(record.start_time, "start_time")
        self.create_run(
            experiment_id, record.user_id, record.run_name, record.start_time, tags, run_id=record.run_id
        )

    def _begin_model(self, record: ModelRecord) -> None:
        if not _MODEL_ID.fullmatch(record.model_id):
            raise InvalidParameterError(
                f"Invalid value {ascii(record.model_id)[:100]} for the id of a new model: it is 'm-' and 32 hexadecimal digits."
            )
        try:
            self.get_logged_model(record.model_id, allow_deleted=True)
        except NotFoundError:
            pass
        else:
            raise AlreadyExistsError(f"Logged model {record.model_id} is there already.")
        if record.run_id:
            experiment_id = self.get_run(record.run_id).info.experiment_id
        elif record.experiment_id is not None:
            experiment_id = record.experiment_id
        else:
            experiment_id = self._experiment_named(record.experiment_name or "")
        self.create_logged_model(
            experiment_id,
            record.name,
            record.run_id or None,
            record.tags,
            record.params,
            record.model_type,
            record.model_id,
        )

    def _update_model(self, record: ModelUpdateRecord) -> None:
        if record.tags:
            self.set_logged_model_tags(record.model_id, record.tags)
        if record.params:
            self.log_logged_model_params(record.model_id, record.params)
        if record.status is not None:
            known = {status.number: status for status in LoggedModelStatus}
            if record.status not in known:
                raise InvalidParameterError(f"Invalid value {record.status} for the status of a model.")
            self.finalize_logged_model(record.model_id, known[record.status])

    def _make_version(self, record: VersionRecord) -> None:
        if record.may_be_there:
            noted = self.get_logged_model(record.model_id).tags.get(MODEL_VERSIONS_TAG, "[]")
            entries = cast(
                "list[dict[str, object]]", [each for each in versions_in(noted) if type(each) is dict]
            )
            if record.name in [each.get("name") for each in entries]:
                return
        try:
            self.get_registered_model(record.name)
        except NotFoundError:
            self.create_registered_model(record.name)
        self.create_model_version(
            record.name,
            f"models:/{record.model_id}",
            record.run_id or None,
            record.tags,
            model_id=record.model_id,
        )

    def _experiment_named(self, name: str) -> str:
        found = self.find_experiment_by_name(name)
        if found is None:
            return self.create_experiment(name)
        if found.lifecycle_stage == LifecycleStage.DELETED:
            # The client could not be asked; a run is not lost for a name. As everywhere in our manners, a deleted
            # experiment's name is free again.
            return self.create_experiment_anew(name)
        return found.experiment_id


def _value(value: float | str) -> float:
    if isinstance(value, str) and value not in ("NaN", "Infinity", "-Infinity"):
        raise InvalidParameterError(f"Invalid value '{value[:100]}' for a metric: it must be a number.")
    return float(value)
