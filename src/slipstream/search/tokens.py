"""Page tokens: where the last page ended, as the order's values of its last row.

A token stays right while rows come and go, which an offset does not, and the database finds the place
by comparing, not by counting. Its text is `base64url(JSON [resource, stamp, values])`, without padding;
clients must not look inside.
"""

import base64
import hashlib
import math
from collections.abc import Sequence
from typing import Any

import msgspec

from slipstream.errors import InvalidParameterError
from slipstream.search.fields import KeyKind

_CONTENT: msgspec.json.Decoder[tuple[str, str, list[int | str]]] = msgspec.json.Decoder(
    tuple[str, str, list[int | str]]
)


def make_stamp(*parts: object) -> str:
    """Condense what a token is bound to; equal parts give equal stamps on every machine."""
    return hashlib.blake2b(msgspec.json.encode(parts), digest_size=6).hexdigest()


def encode(resource: str, stamp: str, kinds: Sequence[KeyKind], values: Sequence[Any]) -> str:
    # Floats travel as text, since JSON has no infinity and readers may round.
    keys = [
        repr(float(value)) if kind == "number" else value for kind, value in zip(kinds, values, strict=True)
    ]
    content = msgspec.json.encode((resource, stamp, keys))
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def decode(token: str, resource: str, stamp: str, kinds: Sequence[KeyKind]) -> tuple[object, ...]:
    """Return the values that `encode` was given.

    Raises:
        InvalidParameterError: the token is damaged, or comes from another search.
    """
    try:
        padded = token + "=" * (-len(token) % 4)
        found_resource, found_stamp, keys = _CONTENT.decode(
            base64.b64decode(padded, altchars=b"-_", validate=True)
        )
    except ValueError as error:  # msgspec's and base64's errors are ValueErrors
        raise _invalid("it is damaged, or was not made by this server") from error
    if found_resource != resource:
        raise _invalid(f"it does not come from a search of {resource}")
    if found_stamp != stamp:
        raise _invalid("it belongs to another query; send it with the filter and the order_by it came from")
    if len(keys) != len(kinds):
        raise _invalid("it has the wrong number of values")
    return tuple(_restore(kind, key) for kind, key in zip(kinds, keys, strict=True))


def _restore(kind: KeyKind, key: int | str) -> object:
    if kind == "integer" and isinstance(key, int) and -(2**63) <= key < 2**63:
        return key
    if kind == "text" and isinstance(key, str) and "\0" not in key:
        return key
    if kind == "number" and isinstance(key, str):
        try:
            number = float(key)
        except ValueError as error:
            raise _invalid("a value in it is not a number") from error
        if not math.isnan(number):
            return number
    raise _invalid("a value in it has the wrong type")


def _invalid(reason: str) -> InvalidParameterError:
    return InvalidParameterError(
        f"Invalid page token: {reason}. Leave page_token out to start from the first page."
    )
