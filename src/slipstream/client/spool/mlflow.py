"""Records to a server that is none of ours, by MLflow's own routes.

It has no numbers of records, so a record whose answer got lost is sent twice. That does no harm: MLflow keeps an identical
point or param once, and a tag is what it was set to last.
"""

import logging
from collections.abc import Sequence

from slipstream.client.rest import RestStore
from slipstream.client.spool.renamed import MODEL_TAG, RUN_TAG, Renamed
from slipstream.entities import (
    LoggedModelStatus,
    Metric,
    Param,
    RunTag,
)
from slipstream.entities.record import (
    BatchRecord,
    InputsRecord,
    ModelRecord,
    ModelUpdateRecord,
    OutputsRecord,
    ParamsRecord,
    PointRecord,
    Record,
    RunRecord,
    UntagRecord,
    UpdateRecord,
    VersionRecord,
    decode_record,
)
from slipstream.errors import (
    AlreadyExistsError,
    BadRequestError,
    InvalidParameterError,
    InvalidStateError,
    NotFoundError,
    SlipstreamError,
)

_STATUSES = {status.number: status for status in LoggedModelStatus}
_VERSIONS_LOOKED_AT = 200

_logger = logging.getLogger(__name__)

FINAL = (InvalidParameterError, NotFoundError, BadRequestError, InvalidStateError)


def send_as_mlflow(store: RestStore, texts: Sequence[bytes], renamed: Renamed) -> list[tuple[int, str]]:
    """Send records, and return which are refused for ever: their places and why.

    Raises:
        SlipstreamError: the server cannot be asked now.
    """
    refused: list[tuple[int, str]] = []
    waiting: list[tuple[int, PointRecord]] = []
    for index, text in enumerate(texts):
        record = decode_record(renamed.translate(text))
        if isinstance(record, PointRecord) and (not waiting or waiting[0][1].run_id == record.run_id):
            waiting.append((index, record))
            continue
        refused += _send_points(store, waiting)
        waiting = [(index, record)] if isinstance(record, PointRecord) else []
        if not isinstance(record, PointRecord):
            try:
                _send(store, record, renamed)
            except FINAL as error:
                refused.append((index, str(error)))
    return refused + _send_points(store, waiting)


def _send_points(store: RestStore, records: Sequence[tuple[int, PointRecord]]) -> list[tuple[int, str]]:
    if not records:
        return []
    points = [
        Metric(
            each.key,
            float(each.value),
            each.timestamp,
            each.step,
            each.model_id,
            each.dataset_name,
            each.dataset_digest,
        )
        for _, each in records
    ]
    try:
        store.log_batch(records[0][1].run_id, points)
    except FINAL as error:
        if len(records) == 1:
            return [(records[0][0], str(error))]
        middle = len(records) // 2  # so that one bad point costs no others
        return _send_points(store, records[:middle]) + _send_points(store, records[middle:])
    return []


def _send(store: RestStore, record: Record, renamed: Renamed) -> None:
    match record:
        case BatchRecord():
            store.log_batch(
                record.run_id,
                [Metric(key, float(value), at, step) for key, value, at, step in record.points],
                [Param(key, value) for key, value in record.params.items()],
                [RunTag(key, value) for key, value in record.tags.items()],
            )
        case ParamsRecord():  # MLflow refuses another value
            store.log_batch(record.run_id, params=[Param(key, value) for key, value in record.params.items()])
        case UpdateRecord():
            store.update_run(record.run_id, record.status, record.end_time, record.run_name)
        case UntagRecord():
            try:
                store.delete_tag(record.run_id, record.key)
            except NotFoundError:
                store.get_run(record.run_id)  # if the run is there, the tag is gone as was wanted
        case InputsRecord():
            store.log_inputs(record.run_id, record.to_inputs(), record.models)
        case OutputsRecord():
            store.log_outputs(record.run_id, record.to_outputs())
        case RunRecord():
            _begin_run(store, record, renamed)
        case ModelRecord():
            _begin_model(store, record, renamed)
        case ModelUpdateRecord():
            if record.tags:
                store.set_logged_model_tags(record.model_id, record.tags)
            if record.params:
                store.log_logged_model_params(record.model_id, record.params)
            if record.status is not None:
                store.finalize_logged_model(record.model_id, _STATUSES[record.status])
        case VersionRecord():
            _make_version(store, record)
        case _:
            raise SlipstreamError(f"{type(record).__name__} has no route of MLflow's")


def _begin_run(store: RestStore, record: RunRecord, renamed: Renamed) -> None:
    """Create a run that began here; the server chooses its id. Looks first whether that was done before an answer got lost."""
    experiment_id = record.experiment_id or _experiment_named(store, record.experiment_name or "")
    found = store.search_runs([experiment_id], f"tags.`{RUN_TAG}` = '{record.run_id}'", max_results=1).items
    if found:
        run = found[0]
    else:
        tags = [RunTag(key, value) for key, value in {**record.tags, RUN_TAG: record.run_id}.items()]
        run = store.create_run(experiment_id, record.user_id, record.run_name, record.start_time, tags)
    there = run.info.run_id
    renamed.add(record.run_id, there)
    _logger.warning(
        "Run %s began while its server was away, which chooses ids itself: it is run %s there, with the tag %s.",
        record.run_id,
        there,
        RUN_TAG,
    )


def _begin_model(store: RestStore, record: ModelRecord, renamed: Renamed) -> None:
    if record.run_id:
        experiment_id = store.get_run(record.run_id).info.experiment_id
    else:
        experiment_id = record.experiment_id or _experiment_named(store, record.experiment_name or "")
    found = store.search_logged_models([experiment_id], f"tags.`{MODEL_TAG}` = '{record.model_id}'").items
    if found:
        model = found[0]
    else:
        tags = {**record.tags, MODEL_TAG: record.model_id}
        model = store.create_logged_model(
            experiment_id, record.name, record.run_id or None, tags, record.params, record.model_type
        )
    renamed.add(record.model_id, model.model_id)
    _logger.warning(
        "Model %s was logged while its server was away, which chooses ids itself: it is models:/%s there, with the tag %s.",
        record.model_id,
        model.model_id,
        MODEL_TAG,
    )


def _make_version(store: RestStore, record: VersionRecord) -> None:
    source = f"models:/{record.model_id}"
    try:
        store.create_registered_model(record.name)
    except AlreadyExistsError:
        quoted = record.name.replace("'", "''")
        known = store.search_model_versions(f"name='{quoted}'", _VERSIONS_LOOKED_AT).items
        if any(
            each.source == source or each.model_id == record.model_id for each in known
        ):  # made before an answer got lost
            return
    store.create_model_version(
        record.name, source, record.run_id or None, record.tags, model_id=record.model_id
    )


def _experiment_named(store: RestStore, name: str) -> str:
    found = store.find_experiment_by_name(name)
    return store.create_experiment(name) if found is None else found.experiment_id
