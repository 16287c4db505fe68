"""Which `Host` and `Origin` headers a server answers: pure checks, shared by both servers.

A page on the web can make a browser talk to a server on the user's own machine, either across origins
(the `Origin` header then says whose page it was) or by pointing a name of its own at 127.0.0.1 (DNS
rebinding: the `Host` header then holds that name). So a name that nobody allowed is refused, and so is a
request that changes something and comes from another site's page. Addresses are parsed, never matched as
text: `10.evil.example` is not a private address.
"""

import fnmatch
import ipaddress
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, TypeAlias

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_PRIVATE = tuple(
    ipaddress.ip_network(network)
    for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10")
)
_DEFAULT_PORTS = {"http": "80", "https": "443"}


class _HostPort(NamedTuple):
    host: str
    port: str


def host_allowed(host_header: bytes | str, allowed: Sequence[str] = ()) -> bool:
    """Tell whether a server may answer a request with this `Host` header.

    Args:
        host_header: the header's value, `name[:port]`; an empty one is refused.
        allowed: names that replace the default rule (localhost, loopback, 0.0.0.0 and private addresses,
            any port). A name may hold `*` wildcards; one without a port allows every port; `*` alone
            switches the check off.
    """
    text = host_header.decode("latin-1") if isinstance(host_header, bytes) else host_header
    if not allowed:
        return _is_default_host(text)
    if "*" in allowed:
        return True
    parsed = _split_host(text)
    return parsed is not None and any(_host_matches(parsed, pattern) for pattern in allowed)


def origin_allowed(
    origin: bytes | str | None, host_header: bytes | str | None, allowed: Sequence[str] = ()
) -> bool:
    """Tell whether a page of this origin may send requests that change something.

    Without an `Origin` header the request is not from another site's page and passes. So do pages of this
    machine (localhost, any port) and of the server itself.

    Args:
        origin: the `Origin` header's value, or None when there is none.
        host_header: the `Host` header of the same request, already checked with `host_allowed`.
        allowed: more origins (`https://ui.example.com`, `*` wildcards allowed); `*` alone allows all.
    """
    if not origin:
        return True
    text = origin.decode("latin-1") if isinstance(origin, bytes) else origin
    text = text.strip().lower().rstrip("/")
    if "*" in allowed or any(fnmatch.fnmatchcase(text, item.lower().rstrip("/")) for item in allowed):
        return True
    scheme, separator, rest = text.partition("://")
    parsed = _split_host(rest) if separator and scheme in _DEFAULT_PORTS else None
    if parsed is None:  # "null": a sandboxed frame or a local file, which any page can produce
        return False
    if is_loopback(parsed.host):
        return True
    own = host_header.decode("latin-1") if isinstance(host_header, bytes) else host_header
    server = _split_host(own or "")
    return server is not None and _with_port(parsed, scheme) == _with_port(server, scheme)


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address (no port; IPv6 with or without brackets) is this machine only.

    0.0.0.0 and :: are not: a server that listens there is reached from everywhere.
    """
    name = host.strip().lower().removeprefix("[").removesuffix("]").rstrip(".")
    if name == "localhost":
        return True
    address = _parse_address(name)
    return address is not None and address.is_loopback


@lru_cache(maxsize=256)
def _is_default_host(text: str) -> bool:
    parsed = _split_host(text)
    if parsed is None:
        return False
    if is_loopback(parsed.host):
        return True
    address = _parse_address(parsed.host)
    if address is None:
        return False
    return address == ipaddress.IPv4Address(0) or any(address in network for network in _PRIVATE)


def _parse_address(text: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _split_host(text: str) -> _HostPort | None:
    """Split `name[:port]`; None when it is neither, so that no odd spelling slips through."""
    text = text.strip().lower()
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or _parse_address(host) is None or (rest and not rest.startswith(":")):
            return None
        port = rest[1:]
    else:
        host, _, port = text.partition(":")
        host = host.rstrip(".")
    if not host or any(character in host for character in " /@?#\\,") or (port and not port.isdecimal()):
        return None
    return _HostPort(host, port)


def _host_matches(parsed: _HostPort, pattern: str) -> bool:
    pattern = pattern.strip().lower()
    if pattern.startswith("["):
        wanted, _, rest = pattern[1:].partition("]")
        wanted_port = rest.removeprefix(":")
    elif pattern.count(":") > 1:  # a bare IPv6 address
        wanted, wanted_port = pattern, ""
    else:
        wanted, _, wanted_port = pattern.partition(":")
    if wanted_port and not fnmatch.fnmatchcase(parsed.port, wanted_port):
        return False
    return fnmatch.fnmatchcase(parsed.host, wanted)


def _with_port(parsed: _HostPort, scheme: str) -> _HostPort:
    return parsed._replace(port=parsed.port or _DEFAULT_PORTS[scheme])
