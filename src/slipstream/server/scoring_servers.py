"""The scoring servers that whoever runs this server has named: no other host is asked for anybody."""

import re
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

import msgspec

from slipstream.errors import InvalidParameterError, NotFoundError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_PORTS = {"http": 80, "https": 443}


class ScoringServer(msgspec.Struct, frozen=True):
    """One of them, as its URL says."""

    name: str
    url: str
    """As it was given, without a slash at the end."""
    encrypted: bool
    host: str
    port: int
    prefix: str
    """What its paths begin with: empty, or a path without a slash at its end."""

    @property
    def authority(self) -> str:
        """What the header Host says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS["https" if self.encrypted else "http"] else f"{host}:{self.port}"


def read_scoring_servers(texts: Iterable[str]) -> tuple[ScoringServer, ...]:
    """Read what `--serving-url` was given: NAME=URL, each name once.

    Raises:
        InvalidParameterError: one of them is not of this form.
    """
    found: dict[str, ScoringServer] = {}
    for text in texts:
        server = _read(text)
        if server.name in found:
            raise InvalidParameterError(f"--serving-url names '{server.name}' twice. Give each its own name.")
        found[server.name] = server
    return tuple(found.values())


def find_scoring_server(servers: Sequence[ScoringServer], name: str) -> ScoringServer:
    """Return the one of a name.

    Raises:
        NotFoundError: there is none, whatever else may be at such a name.
    """
    for server in servers:
        if server.name == name:
            return server
    known = ", ".join(f"'{server.name}'" for server in servers) or "none"
    raise NotFoundError(
        f"There is no scoring server '{name[:100]}' here; this server knows {known}. Whoever starts it names them with "
        "--serving-url NAME=URL."
    )


def _read(text: str) -> ScoringServer:
    name, equals, url = text.strip().partition("=")
    if not equals or _NAME.fullmatch(name) is None:
        raise InvalidParameterError(
            f"--serving-url '{text[:200]}' must be NAME=URL, such as prod=http://127.0.0.1:5001; a name has letters, "
            "digits, dots, dashes and underscores."
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidParameterError(f"--serving-url {name}: '{url[:200]}' is no URL: {error}.") from error
    if parts.scheme not in _PORTS or not parts.hostname:
        raise InvalidParameterError(
            f"--serving-url {name}: '{url[:200]}' must begin with http:// or https:// and name a host."
        )
    if parts.username is not None or parts.query or parts.fragment:
        raise InvalidParameterError(
            f"--serving-url {name} must be no more than scheme, host, port and path. A token goes into the environment "
            "variable SLIPSTREAM_SERVING_TOKEN."
        )
    if not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidParameterError(
            f"--serving-url {name}: write the address in ASCII, other characters encoded."
        )
    return ScoringServer(
        name=name,
        url=url.rstrip("/"),
        encrypted=parts.scheme == "https",
        host=parts.hostname,
        port=port or _PORTS[parts.scheme],
        prefix=parts.path.rstrip("/"),
    )
