"""The route of records: what clients wrote down when they logged, delivered once however often it is sent. Our own."""

import msgspec

from slipstream.api.routing import OWN, OWN_AJAX, Permission, Request, Response, route
from slipstream.entities.record import Record, RefusedRecord, decode_record
from slipstream.errors import InvalidParameterError
from slipstream.store.base import Store
from slipstream.wire.parsing import Int64


class DeliverRecords(Request, kw_only=True):
    writer: str
    first: Int64
    after: Int64 = 0
    """Up to which number the writer was told that its records are stored; a server that has fewer stores nothing."""
    records: list[msgspec.Raw]
    """Each a record's JSON; one that cannot be read is refused alone."""


class DeliverRecordsResponse(Response, kw_only=True):
    stored: int
    refused: list[RefusedRecord] = []
    repeated: int = 0


@route("POST", "records", permission=Permission.WRITE, prefixes=(OWN, OWN_AJAX))
def deliver_records(store: Store, req: DeliverRecords) -> DeliverRecordsResponse:
    """Store a writer's records that are not stored yet, in one transaction; say which are refused for ever."""
    records = [_read(text, number) for number, text in enumerate(req.records, req.first)]
    receipt = store.store_records(req.writer, req.first, records, req.after)
    return DeliverRecordsResponse(stored=receipt.stored, refused=receipt.refused, repeated=receipt.repeated)


def _read(text: msgspec.Raw, number: int) -> Record | RefusedRecord:
    try:
        return decode_record(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return RefusedRecord(number, InvalidParameterError.code, f"It cannot be read: {error}")
