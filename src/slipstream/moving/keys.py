"""Names of metrics, params and tags that other programs allow and we do not."""

import hashlib
import re

from slipstream.errors import InvalidParameterError
from slipstream.rules import limits, names

_OTHER = re.compile(r"[^\w/.\-: ]")


class Keys:
    """Fits the keys of one run: each that needs it gets another, and no two the same."""

    def __init__(self) -> None:
        self._fitted: dict[str, str] = {}
        self._used: dict[str, str] = {}
        self.changed: dict[str, str] = {}
        """Those that became other ones."""

    def fit(self, key: str) -> str:
        fitted = self._fitted.get(key)
        if fitted is None:
            fitted = fit_key(key)
            if self._used.setdefault(fitted, key) != key:
                fitted = _with_digest(fitted, key)
                self._used[fitted] = key
            self._fitted[key] = fitted
            if fitted != key:
                self.changed[key] = fitted
        return fitted


def fit_key(key: str) -> str:
    """Return a key with `_` for letters that it may not have, as a relative path, cut where it is too long."""
    try:
        names.check_key(key, "key")
    except InvalidParameterError:
        parts = [part for part in _OTHER.sub("_", key).split("/") if part not in ("", ".", "..")]
        fitted = "/".join(parts) or "_"
        return _with_digest(fitted, key) if len(fitted) > limits.KEY else fitted
    return key


def _with_digest(fitted: str, key: str) -> str:
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{fitted[: limits.KEY - 9].rstrip('/')}-{digest}"
