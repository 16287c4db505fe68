"""Names and other words that engines take only in one form, checked before they get there."""

import re

from slipstream.errors import InvalidParameterError

LONGEST_LABEL = 63
LONGEST_SUBDOMAIN = 253
_LABEL = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]*")
_QUANTITY = re.compile(r"\d+(\.\d+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?")


def require_dns_label(value: object, field: str) -> str:
    """Return a name that every engine takes for a service: a letter first, then letters, digits and hyphens.

    Raises:
        InvalidParameterError: it is none; names the field and the value.
    """
    if not isinstance(value, str) or len(value) > LONGEST_LABEL or _LABEL.fullmatch(value) is None:
        raise InvalidParameterError(
            f"{field} must be a DNS label, got {value!r}: at most {LONGEST_LABEL} lower-case letters, digits and '-', "
            "beginning with a letter and not ending with '-'."
        )
    return value


def require_object_name(value: str, field: str) -> str:
    """Return the name of a Kubernetes object that exists already, such as a Secret."""
    if len(value) > LONGEST_SUBDOMAIN or _SUBDOMAIN.fullmatch(value) is None:
        raise InvalidParameterError(
            f"{field} must be the name of a Kubernetes object, got {value!r}: lower-case letters, digits, '-' and '.'."
        )
    return value


def require_variable(value: str, field: str) -> str:
    """Return the name of an environment variable."""
    if _VARIABLE.fullmatch(value) is None:
        raise InvalidParameterError(
            f"{field} must hold names of environment variables (letters, digits, '_'), got {value!r}."
        )
    return value


def require_image(value: str, field: str) -> str:
    """Return a reference to a container image."""
    if _IMAGE.fullmatch(value) is None:
        raise InvalidParameterError(
            f"{field} must be a reference to an image, such as 'registry.example.com/ml/scoring:1.4', got {value!r}."
        )
    return value


def require_quantity(value: str, field: str) -> str:
    """Return an amount of processors or memory as Kubernetes writes it."""
    if _QUANTITY.fullmatch(value) is None:
        raise InvalidParameterError(f"{field} must be an amount such as '500m', '2' or '4Gi', got {value!r}.")
    return value
