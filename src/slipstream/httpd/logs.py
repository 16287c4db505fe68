"""Log lines of a server on standard error: as text for people or as JSON for machines, without secrets."""

import json
import logging
import re
import sys
import time
from typing import Any, Literal

LogFormat = Literal["text", "json"]
FORMATS: tuple[LogFormat, ...] = ("text", "json")

_HIDDEN = "***"
# Credentials by where they are found. A message should not hold them in the first place; this is for those of libraries.
_SECRETS = (
    re.compile(r"(?i)\b(?:bearer|basic|token)\s+(?P<secret>[A-Za-z0-9._~+/=-]{6,})"),
    re.compile(r"://[^/\s:@'\"]*:(?P<secret>[^/\s@'\"]+)@"),
    re.compile(
        r"(?i)(?:x-amz-(?:signature|security-token|credential)|x-goog-(?:signature|credential)|awsaccesskeyid|signature|"
        r"sig|access_token|token|password|passwd|secret|api_?key)=(?P<secret>[^&\s'\"]+)"
    ),
    re.compile(
        r"(?i)[\"'](?:password|secret|token|authorization|x-mlflow-signature)[\"']\s*:\s*[\"'](?P<secret>[^\"']+)"
    ),
    re.compile(r"\bv1,(?P<secret>[A-Za-z0-9+/=]{20,})"),  # a webhook's signature
)
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def hide_secrets(text: str, known: tuple[str, ...] = ()) -> str:
    """Return the text without what looks like a credential, and without those that are known."""
    for secret in known:
        text = text.replace(secret, _HIDDEN)
    for pattern in _SECRETS:
        text = pattern.sub(_without_secret, text)
    return text


def _without_secret(match: re.Match[str]) -> str:
    begin = match.start("secret") - match.start()
    return match[0][:begin] + _HIDDEN + match[0][begin + len(match["secret"]) :]


class LogFormatter(logging.Formatter):
    """One line for each record.

    Fields of a record's `extra`, such as the id of a request, are keys of the JSON, or `name=value` behind the text.

    Args:
        form: text or JSON.
        secrets: texts that no line may hold.
    """

    def __init__(self, form: LogFormat, secrets: tuple[str, ...] = ()) -> None:
        super().__init__()
        self._form = form
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{record.msecs:03.0f}Z"
        extra = {name: value for name, value in vars(record).items() if name not in _OWN}
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        if self._form == "json":
            line: dict[str, Any] = {
                "time": moment,
                "level": record.levelname.lower(),
                "logger": record.name,
                "message": hide_secrets(record.getMessage(), self._secrets),
                **{name: self._shown(value) for name, value in extra.items()},
            }
            if trace:
                line["exception"] = hide_secrets(trace, self._secrets)
            return json.dumps(line, ensure_ascii=False)
        text = f"{moment} {record.levelname} {record.name}: {record.getMessage()}"
        text += "".join(f" {name}={value}" for name, value in extra.items())
        # A message is one line, whatever a client made it of.
        text = text.replace("\r", "\\r").replace("\n", "\\n")
        return hide_secrets(f"{text}\n{trace}" if trace else text, self._secrets)

    def _shown(self, value: object) -> object:
        if value is None or isinstance(value, int | float | bool):
            return value
        return hide_secrets(str(value), self._secrets)


def set_up_logs(form: LogFormat, level: str, secrets: tuple[str, ...] = ()) -> None:
    """Send the log lines of this process to standard error, in place of where they went before."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogFormatter(form, secrets))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)
