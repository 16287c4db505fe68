"""Answers of our own routes in fewer bytes: compressed for who takes that, and none at all for who has the content already."""

import gzip
import re
from typing import Any, NamedTuple

from slipstream.api.routing import OWN, OWN_AJAX, Encoded, Permission, Route, encode

LEAST_BYTES = 1_000
"""What is shorter is sent as it is."""
_LEVEL = 5
_NO_WEIGHT = re.compile(rb"0(?:\.0{0,3})?")


class Packing(NamedTuple):
    """How a client takes an answer."""

    takes_gzip: bool
    known: frozenset[bytes]
    """Tags of the contents that it has, without their marks of weakness."""

    @staticmethod
    def of(headers: dict[bytes, bytes]) -> "Packing":
        tags = headers.get(b"if-none-match", b"").split(b",")
        return Packing(
            takes_gzip(headers.get(b"accept-encoding", b"")),
            frozenset(tag.strip().removeprefix(b"W/") for tag in tags if tag.strip()),
        )


class Packed(NamedTuple):
    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]


def may_pack(route: Route) -> bool:
    """Tell whether answers of a route are packed: of our own ones that only read, which MLflow's clients do not ask."""
    return (
        route.path.startswith((OWN, OWN_AJAX))
        and route.permission is Permission.READ
        and not (route.writes or route.aside or route.streams or route.lists_files)
    )


def pack(result: Any, packing: Packing) -> Packed:
    """Return what a handler returned as it is sent."""
    text = encode(result)
    headers: list[tuple[bytes, bytes]] = [(b"vary", b"accept-encoding")]
    if isinstance(result, Encoded) and result.etag is not None:
        tag = result.etag.encode()
        headers += [(b"etag", b"W/" + tag), (b"cache-control", b"private, no-cache")]
        if tag in packing.known or b"*" in packing.known:
            return Packed(304, b"", tuple(headers))
    if packing.takes_gzip and len(text) >= LEAST_BYTES:
        return Packed(200, gzip.compress(text, _LEVEL, mtime=0), (*headers, (b"content-encoding", b"gzip")))
    return Packed(200, text, tuple(headers))


def takes_gzip(accept_encoding: bytes) -> bool:
    """Read the header `Accept-Encoding`."""
    weights: dict[bytes, bool] = {}
    for item in accept_encoding.lower().split(b","):
        name, _, parameter = item.partition(b";")
        value = parameter.strip().removeprefix(b"q").strip().removeprefix(b"=").strip()
        weights[name.strip()] = not (parameter and _NO_WEIGHT.fullmatch(value))
    return weights.get(b"gzip", weights.get(b"*", False))
