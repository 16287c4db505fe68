"""Records to a server that is none of ours, by MLflow's own routes.

It has no numbers of records, so a record whose answer got lost is sent twice. That does no harm: MLflow keeps an identical
point or param once, and a tag is what it was set to last.
"""

from collections.abc import Sequence

from slipstream.client.rest import RestStore
from slipstream.entities import (
    Metric,
    Param,
    RunTag,
)
from slipstream.entities.record import (
    BatchRecord,
    InputsRecord,
    OutputsRecord,
    ParamsRecord,
    PointRecord,
    Record,
    RunRecord,
    UntagRecord,
    UpdateRecord,
    decode_record,
)
from slipstream.errors import (
    BadRequestError,
    InvalidParameterError,
    InvalidStateError,
    NotFoundError,
    SlipstreamError,
)

FINAL = (InvalidParameterError, NotFoundError, BadRequestError, InvalidStateError)


def send_as_mlflow(store: RestStore, texts: Sequence[bytes]) -> list[tuple[int, str]]:
    """Send records, and return which are refused for ever: their places and why.

    Raises:
        SlipstreamError: the server cannot be asked now.
    """
    refused: list[tuple[int, str]] = []
    waiting: list[tuple[int, PointRecord]] = []
    for index, text in enumerate(texts):
        record = decode_record(text)
        if isinstance(record, PointRecord) and (not waiting or waiting[0][1].run_id == record.run_id):
            waiting.append((index, record))
            continue
        refused += _send_points(store, waiting)
        waiting = [(index, record)] if isinstance(record, PointRecord) else []
        if not isinstance(record, PointRecord):
            try:
                _send(store, record)
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


def _send(store: RestStore, record: Record) -> None:
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
            raise InvalidParameterError(
                "This server is MLflow's, which chooses the ids of runs itself: a run that began while it was away "
                "cannot be delivered to it. Import the file into a slipstream server, or start the run again."
            )
        case _:
            raise SlipstreamError(f"{type(record).__name__} has no route of MLflow's")
