"""Tracking without a server: everything is kept on this machine, and sent when somebody says where to."""

from typing import Any, NoReturn

from slipstream.client.spool.store import SpooledStore
from slipstream.client.transport import Transport
from slipstream.errors import InvalidStateError


class OfflineStore(SpooledStore):
    """A `SpooledStore` that never sends. What has to be read from a server is refused."""

    def __init__(self, address: str) -> None:
        super().__init__(_NoServer(address), address, None)

    def flush(self, seconds: float | None = None) -> bool:
        """Do nothing: what was logged is on the disk, and that is all that is wanted."""
        return True

    def close(self) -> None:
        self.shipper.close(0.0)


class _NoServer(Transport):
    """Refuses every request."""

    def __init__(self, address: str) -> None:
        super().__init__("http://offline.invalid", identify=False)
        self._address = address

    def _send(self, method: str, path: str, *rest: Any, **options: Any) -> NoReturn:
        raise InvalidStateError(
            f"The tracking address is '{self._address}': {method} {path} has to ask a server, and there is none. What is "
            "logged is kept; send it with 'slipstream sync --to http://...', and read it there."
        )
