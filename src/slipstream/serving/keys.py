"""API keys: a file of names and digests, read anew when it changes, and how much each key may ask.

The keys themselves are nowhere but with their owners. They are long and random, so a plain SHA-256 keeps them.
"""

import hashlib
import hmac
import math
import re
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from slipstream.errors import InvalidParameterError, SlipstreamError, TooManyRequestsError

_CHECK_SECONDS = 1.0
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_DIGEST = re.compile(r"sha256:([0-9a-fA-F]{64})")
_LIMIT = re.compile(r"(rpm|tpm)=([1-9][0-9]{0,11})")
_PREFIX = "slipstream-"


class Budget:
    """So much a minute. What was not used is kept, for one minute at most."""

    __slots__ = ("_left", "_seen_at", "per_minute")

    def __init__(self, per_minute: int, now: float) -> None:
        self.per_minute = per_minute
        self._left = float(per_minute)
        self._seen_at = now

    def missing_seconds(self, least: float, now: float) -> float:
        """Return how long it takes until so much is there; 0 if it is."""
        rate = self.per_minute / 60
        self._left = min(self.per_minute, self._left + (now - self._seen_at) * rate)
        self._seen_at = now
        return max(0.0, (least - self._left) / rate)

    def spend(self, amount: float) -> None:
        """Take so much, also if it is not there: what was given before its cost was known."""
        self._left -= amount


class ApiKey:
    """One key that may ask."""

    __slots__ = ("_requests", "_tokens", "digest", "name")

    def __init__(self, name: str, digest: bytes, rpm: int | None, tpm: int | None, now: float) -> None:
        self.name = name
        self.digest = digest
        self._requests = None if rpm is None else Budget(rpm, now)
        self._tokens = None if tpm is None else Budget(tpm, now)

    def admit(self, now: float) -> "LimitReachedError | None":
        """Count one request, or return why it may not be answered."""
        for budget, least, what, short in (
            (self._tokens, 1.0, "tokens", "tpm"),
            (self._requests, 1.0, "requests", "rpm"),
        ):
            seconds = 0.0 if budget is None else budget.missing_seconds(least, now)
            if budget is not None and seconds > 0:
                return LimitReachedError(
                    f"Key '{self.name}' may ask for {budget.per_minute} {what} a minute ({short}). "
                    f"Try again in {math.ceil(seconds)} s.",
                    math.ceil(seconds),
                )
        if self._requests is not None:
            self._requests.spend(1)
        return None

    def spend_tokens(self, count: int) -> None:
        """Count the tokens of an answer, prompt included."""
        if self._tokens is not None:
            self._tokens.spend(count)

    def keep_budgets_of(self, other: "ApiKey") -> None:
        """Go on where the same key was before its file was read anew; changed limits begin afresh."""
        for name in ("_requests", "_tokens"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine is not None and theirs is not None and mine.per_minute == theirs.per_minute:
                setattr(self, name, theirs)


class LimitReachedError(TooManyRequestsError):
    """A key has asked for all that it may, for now."""

    def __init__(self, message: str, retry_seconds: int) -> None:
        super().__init__(message)
        self.retry_seconds = retry_seconds


class KeyFile:
    """The keys of a file.

    Args:
        path: lines `NAME sha256:HEX [rpm=N] [tpm=N]`; empty lines and those that begin with `#` say nothing.
        say: is told of a changed file that cannot be used; the keys of before stay.

    Raises:
        InvalidParameterError: the file cannot be read, or a line is not such a line.
    """

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        self._path = path
        self._say = say
        self._clock = time.monotonic
        self._mark = self._stat()
        self._keys = self._read({})
        self._next_check = self._clock() + _CHECK_SECONDS

    def find(self, given: bytes) -> ApiKey | None:
        """Return the key of this text, or None."""
        now = self._clock()
        if now >= self._next_check:
            self._next_check = now + _CHECK_SECONDS
            self._refresh()
        digest = hashlib.sha256(given).digest()
        found = self._keys.get(digest)
        # A lookup's time can tell of digests at most, which nobody can choose; the comparison tells nothing.
        return found if found is not None and hmac.compare_digest(found.digest, digest) else None

    def _refresh(self) -> None:
        mark = self._stat()
        if mark == self._mark:
            return
        self._mark = mark
        try:
            self._keys = self._read({key.name: key for key in self._keys.values()})
        except SlipstreamError as error:
            self._say(f"{error} The keys of before stay.")

    def _stat(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:  # gone: reading says so
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self, before: Mapping[str, ApiKey]) -> dict[bytes, ApiKey]:
        try:
            text = self._path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise InvalidParameterError(
                f"--api-keys '{self._path}' cannot be read: {reason}. Make a file of lines that "
                "'slipstream models create-key NAME' prints."
            ) from error
        now = self._clock()
        keys: dict[bytes, ApiKey] = {}
        names: set[str] = set()
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            key = self._parse(line.split(), number, now)
            if key.name in names or key.digest in keys:
                raise InvalidParameterError(
                    f"--api-keys '{self._path}', line {number}: the name '{key.name}' or its key is there twice. "
                    "Give every key a name of its own."
                )
            names.add(key.name)
            keys[key.digest] = key
            old = before.get(key.name)
            if old is not None:
                key.keep_budgets_of(old)
        return keys

    def _parse(self, words: list[str], number: int, now: float) -> ApiKey:
        # The line is not shown: somebody may have put the key itself there.
        where = f"--api-keys '{self._path}', line {number}"
        digest = _DIGEST.fullmatch(words[1]) if len(words) > 1 else None
        if digest is None or _NAME.fullmatch(words[0]) is None:
            raise InvalidParameterError(
                f"{where}: expected 'NAME sha256:HEX', the name of letters, digits and ._-, 64 at most. "
                "'slipstream models create-key NAME' prints such a line."
            )
        limits: dict[str, int] = {}
        for word in words[2:]:
            limit = _LIMIT.fullmatch(word)
            if limit is None or limit[1] in limits:
                raise InvalidParameterError(
                    f"{where}: after the digest come rpm=NUMBER and tpm=NUMBER, each once at most."
                )
            limits[limit[1]] = int(limit[2])
        return ApiKey(words[0], bytes.fromhex(digest[1]), limits.get("rpm"), limits.get("tpm"), now)


def create_key(name: str, rpm: int | None = None, tpm: int | None = None) -> tuple[str, str]:
    """Return a new random key, and its line for the file.

    Raises:
        InvalidParameterError: the name is none that the file can have.
    """
    if _NAME.fullmatch(name) is None:
        raise InvalidParameterError(
            f"Invalid name '{name}' for a key: use letters, digits and ._-, 64 at most."
        )
    key = _PREFIX + secrets.token_urlsafe(32)
    limits = [f"{short}={value}" for short, value in (("rpm", rpm), ("tpm", tpm)) if value is not None]
    return key, " ".join([name, f"sha256:{hashlib.sha256(key.encode()).hexdigest()}", *limits])
