"""Records over HTTP: texts that were written down before are sent as they are."""

from collections.abc import Sequence

import msgspec

from slipstream.api.records import DeliverRecordsResponse, deliver_records
from slipstream.client.rest_calls import RestCalls, path_of
from slipstream.entities.record import DeliveryReceipt, Record, RefusedRecord, encode_record

_DECODER = msgspec.json.Decoder(DeliverRecordsResponse)


class RestRecords(RestCalls):
    def store_records(
        self, writer: str, first: int, records: Sequence[Record | RefusedRecord], after: int = 0
    ) -> DeliveryReceipt:
        return self.deliver(writer, first, [encode_record(each) for each in records], after)

    def deliver(self, writer: str, first: int, texts: Sequence[bytes], after: int = 0) -> DeliveryReceipt:
        """Send records as JSON texts; tried again as all requests are.

        Raises:
            EndpointNotFoundError: the server is none of ours.
        """
        head = msgspec.json.encode({"writer": writer, "first": first, "after": after})
        body = b'%b,"records":[%b]}' % (head[:-1], b",".join(texts))
        answer = _DECODER.decode(self._transport.call("POST", path_of(deliver_records), body=body))
        return DeliveryReceipt(answer.stored, answer.refused, answer.repeated)
