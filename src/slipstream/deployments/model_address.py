"""What a model's URI means now, in a form that means the same on another machine or at another time."""

from pathlib import Path
from urllib.parse import urlsplit

from slipstream.client import addresses
from slipstream.client.connect import connect
from slipstream.client.model_uris import ModelUri, find_version, is_model_uri, parse_model_uri


def pinned(model_uri: str) -> str:
    """Return a URI with the version that its alias or stage means now, and a path made absolute.

    Raises:
        NotFoundError: the model, the version or the folder does not exist.
    """
    if is_model_uri(model_uri):
        parts = parse_model_uri(model_uri)
        if parts.name is None:
            return model_uri
        version = find_version(connect(addresses.get_registry_uri()).store, parts)
        path = f"/{parts.path}" if parts.path else ""
        return f"{ModelUri(name=version.name, version=str(version.version))}{path}"
    if len(urlsplit(model_uri).scheme) <= 1:  # one letter is a Windows drive
        return str(Path(model_uri).expanduser().absolute())
    return model_uri
