"""Messages that several resources share."""

from collections.abc import Mapping, Sequence

import msgspec

from slipstream.api.routing import Response


class KeyValue(msgspec.Struct, frozen=True):
    """One tag or param. A value left out is the empty text."""

    key: str
    value: str = ""


def pairs(tags: Mapping[str, str]) -> list[KeyValue]:
    """Return a mapping as MLflow's list of keys and values."""
    return [KeyValue(key, value) for key, value in tags.items()]


def mapping(tags: Sequence[KeyValue]) -> dict[str, str]:
    """Return MLflow's list of keys and values as a mapping; of repeated keys the last wins."""
    return {tag.key: tag.value for tag in tags}


class ErrorBody(Response, kw_only=True):
    """How every error looks."""

    error_code: str
    message: str
