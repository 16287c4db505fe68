"""What the parts of `SlipstreamClient` share."""

from slipstream.client import addresses
from slipstream.client.connect import Connection, connect
from slipstream.errors import InvalidParameterError
from slipstream.store.base import Store


class Calls:
    """Two addresses, resolved when the client is made, connected to when first used."""

    def __init__(
        self,
        tracking_uri: str | None = None,
        registry_uri: str | None = None,
        workspace_store_uri: str | None = None,
    ) -> None:
        """Remember the addresses; `None` is the current one (a `tracking_uri` also serves as registry).

        Raises:
            InvalidParameterError: `workspace_store_uri` is given; there are no workspaces.
        """
        if workspace_store_uri is not None:
            raise InvalidParameterError("'workspace_store_uri' is not available; leave it out.")
        self.tracking_uri = str(tracking_uri or addresses.get_tracking_uri())
        self._registry_uri = str(registry_uri or tracking_uri or addresses.get_registry_uri())

    @property
    def connection(self) -> Connection:
        return connect(self.tracking_uri)

    @property
    def _store(self) -> Store:
        return connect(self.tracking_uri).store

    @property
    def _registry(self) -> Store:
        return connect(self._registry_uri).store
