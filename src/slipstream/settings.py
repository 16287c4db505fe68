"""Every environment variable that slipstream reads, typed and documented.

Each setting has a `SLIPSTREAM_` name; where MLflow has one of the same meaning, its name is read too
when ours is unset, so that scripts and deployments need no change. `docs/reference/settings.md` is made
from this file, and a test demands that every setting has a description.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from slipstream.clock import parse_duration
from slipstream.errors import InvalidParameterError

T = TypeVar("T")


def _boolean(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered in ("1", "true", "yes", "on"):
        return True
    if lowered in ("0", "false", "no", "off", ""):
        return False
    raise ValueError("true or false")


@dataclass(frozen=True)
class Setting(Generic[T]):
    """One environment variable. Read at every `get`, never at import."""

    name: str
    parse: Callable[[str], T]
    default: T
    description: str
    mlflow_name: str | None = None

    def get(self) -> T:
        """Return the value set by the environment, or the default.

        Raises:
            InvalidParameterError: the text is not of the setting's type; names the variable and the text.
        """
        name, text = self._read()
        if text is None:
            return self.default
        try:
            return self.parse(text)
        except ValueError as error:
            raise InvalidParameterError(
                f"Environment variable {name} has the value '{text}', which is not valid: {error}. "
                f"Correct it or unset it (default: {self.default})."
            ) from error

    def is_set(self) -> bool:
        """Tell whether the environment gives a value under either name."""
        return self._read()[1] is not None

    def _read(self) -> tuple[str, str | None]:
        text = os.environ.get(self.name)
        if text is None and self.mlflow_name is not None:
            return self.mlflow_name, os.environ.get(self.mlflow_name)
        return self.name, text


ALL: dict[str, Setting[object]] = {}


def _setting(
    name: str, parse: Callable[[str], T], default: T, description: str, *, mlflow: bool | str = True
) -> Setting[T]:
    alias = f"MLFLOW_{name}" if mlflow is True else (mlflow or None)
    setting = Setting(f"SLIPSTREAM_{name}", parse, default, description, alias)
    ALL[setting.name] = setting  # pyright: ignore[reportArgumentType]  # the table is for listing only
    return setting


def _at_least(least: float, parse: Callable[[str], T]) -> Callable[[str], T]:
    def parse_in_range(text: str) -> T:
        value = parse(text)
        if not cast("float", value) >= least:
            raise ValueError(f"at least {least:g}")
        return value

    return parse_in_range


def _optional(parse: Callable[[str], T]) -> Callable[[str], T | None]:
    return parse


_text = _optional(str)


def _duration(text: str) -> int | None:
    return parse_duration(text) if text.strip() else None


def _http_schemes(text: str) -> tuple[str, ...]:
    schemes = tuple(word.strip().lower() for word in text.split(",") if word.strip())
    if not schemes or not {"http", "https"}.issuperset(schemes):
        raise ValueError("http, https or both, with a comma between them")
    return schemes


def _log_level(text: str) -> str:
    level = text.strip().lower()
    if level not in ("debug", "info", "warning", "error"):
        raise ValueError("debug, info, warning or error")
    return level


# -- where to track ---------------------------------------------------------------------------------
TRACKING_URI = _setting("TRACKING_URI", _text, None, "Server address or database URI to track to.")
REGISTRY_URI = _setting("REGISTRY_URI", _text, None, "Registry address; the tracking URI when unset.")
EXPERIMENT_NAME = _setting("EXPERIMENT_NAME", _text, None, "Experiment of new runs, by name.")
EXPERIMENT_ID = _setting("EXPERIMENT_ID", _text, None, "Experiment of new runs, by id.")
RUN_ID = _setting("RUN_ID", _text, None, "Run that the first start_run() resumes.")
ACTIVE_MODEL_ID = _setting("ACTIVE_MODEL_ID", _text, None, "Logged model that metrics are linked to.")
RUN_CONTEXT = _setting("RUN_CONTEXT", _text, None, "JSON object of extra tags for new runs.")
HOME = _setting(
    "HOME", _text, None, "Folder for this user's data: trusted digests, environments.", mlflow=False
)
# -- the context of runs ----------------------------------------------------------------------------
CAPTURES = ("command", "diff", "host", "notebook", "packages", "untracked")


def _captures(text: str) -> tuple[str, ...]:
    words = [word.strip().lower() for word in text.split(",") if word.strip()]
    chosen = set(CAPTURES) if not words or words[0].startswith("-") else set[str]()
    for word in words:
        name = word.removeprefix("-")
        if name not in (*CAPTURES, "all", "none"):
            raise ValueError(
                f"names of {', '.join(CAPTURES)}, all or none, with commas; a minus leaves one out"
            )
        names = CAPTURES if name == "all" else () if name == "none" else (name,)
        chosen = chosen.difference(names) if word.startswith("-") else chosen.union(names)
    return tuple(sorted(chosen))


CAPTURE = _setting(
    "CAPTURE",
    _captures,
    CAPTURES,
    "What is captured at the start of a run beside its tags: command, diff, host, notebook, packages, untracked, with commas; "
    "or all, none, or all but some (-diff,-untracked). In tests of pytest nothing, unless this is set.",
    mlflow=False,
)
CONSOLE = _setting(
    "CONSOLE",
    _optional(_boolean),
    None,
    "Keep what the process prints with runs at a server; when unset in scripts, not in notebooks, at prompts and in pytest.",
    mlflow=False,
)
WATCHER = _setting(
    "WATCHER",
    _optional(_boolean),
    None,
    "Have a small program beside the process of runs at a server see how it ends; when unset everywhere but in pytest.",
    mlflow=False,
)
HEARTBEAT_SECONDS = _setting(
    "HEARTBEAT_SECONDS",
    _at_least(0, float),
    10.0,
    "Seconds between two signs of life of runs at a server; 0 for none, and in pytest none when unset.",
    mlflow=False,
)
# -- what is measured beside a run ------------------------------------------------------------------
ENABLE_SYSTEM_METRICS_LOGGING = _setting(
    "ENABLE_SYSTEM_METRICS_LOGGING",
    _boolean,
    False,
    "Measure the machine during every run; start_run(log_system_metrics=...) wins.",
)
SYSTEM_METRICS_SAMPLING_INTERVAL = _setting(
    "SYSTEM_METRICS_SAMPLING_INTERVAL", _at_least(0.001, float), 10.0, "Seconds between two measurements."
)
SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING = _setting(
    "SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING",
    _at_least(1, int),
    1,
    "How many measurements are logged as one, their mean.",
)
SYSTEM_METRICS_NODE_ID = _setting(
    "SYSTEM_METRICS_NODE_ID", _text, None, "Name of this machine in the names of its metrics."
)
# -- how the client talks ---------------------------------------------------------------------------
TRACKING_USERNAME = _setting("TRACKING_USERNAME", _text, None, "User name for HTTP basic authentication.")
TRACKING_PASSWORD = _setting("TRACKING_PASSWORD", _text, None, "Password for HTTP basic authentication.")
TRACKING_TOKEN = _setting("TRACKING_TOKEN", _text, None, "Bearer token; basic authentication wins if both.")
TRACKING_INSECURE_TLS = _setting("TRACKING_INSECURE_TLS", _boolean, False, "Skip the certificate check.")
TRACKING_SERVER_CERT_PATH = _setting(
    "TRACKING_SERVER_CERT_PATH", _text, None, "File of certificate authorities to trust."
)
TRACKING_CLIENT_CERT_PATH = _setting(
    "TRACKING_CLIENT_CERT_PATH", _text, None, "File of the client's certificate and key."
)
HTTP_REQUEST_TIMEOUT = _setting(
    "HTTP_REQUEST_TIMEOUT", _at_least(0.001, float), 120.0, "Seconds to wait for an answer."
)
HTTP_REQUEST_MAX_RETRIES = _setting(
    "HTTP_REQUEST_MAX_RETRIES",
    _at_least(0, int),
    7,
    "How often a request is tried again after 408, 429 or 5xx.",
)
HTTP_REQUEST_BACKOFF_FACTOR = _setting(
    "HTTP_REQUEST_BACKOFF_FACTOR",
    _at_least(0, float),
    2.0,
    "Seconds before the second retry; doubles each time.",
)
TRUNCATE_LONG_VALUES = _setting(
    "TRUNCATE_LONG_VALUES", _boolean, True, "Cut over-long params and tags instead of refusing them."
)
ENABLE_ARTIFACTS_PROGRESS_BAR = _setting(
    "ENABLE_ARTIFACTS_PROGRESS_BAR", _boolean, True, "Show progress of artifact transfers."
)
SUPPRESS_PRINTING_URL_TO_STDOUT = _setting(
    "SUPPRESS_PRINTING_URL_TO_STDOUT", _boolean, False, "Print no 'View run' lines."
)
ARTIFACT_LOCATION_MAX_LENGTH = _setting(
    "ARTIFACT_LOCATION_MAX_LENGTH", int, 2048, "Longest artifact location of an experiment, characters."
)
# -- object stores: AWS_*, GOOGLE_* and AZURE_* are read, too, as everywhere ------------------------
S3_ENDPOINT_URL = _setting("S3_ENDPOINT_URL", _text, None, "Address of an S3 server that is not Amazon's.")
S3_IGNORE_TLS = _setting("S3_IGNORE_TLS", _boolean, False, "Skip the certificate check of object stores.")
S3_UPLOAD_EXTRA_ARGS = _setting(
    "S3_UPLOAD_EXTRA_ARGS",
    _text,
    None,
    "JSON object for uploads: ServerSideEncryption, SSEKMSKeyId, BucketKeyEnabled.",
)
S3_EXPECTED_BUCKET_OWNER = _setting(
    "S3_EXPECTED_BUCKET_OWNER", _text, None, "Refused where it is set: a bucket's owner is not checked."
)
BOTO_CLIENT_ADDRESSING_STYLE = _setting(
    "BOTO_CLIENT_ADDRESSING_STYLE", _text, None, "How S3 buckets are named in addresses: auto, path, virtual."
)
ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT = _setting(
    "ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT",
    _optional(_at_least(0.001, float)),
    None,
    "Seconds that one request to an object store may take in all; a day when unset.",
)
MULTIPART_UPLOAD_CHUNK_SIZE = _setting(
    "MULTIPART_UPLOAD_CHUNK_SIZE", _at_least(1, int), 10 * 2**20, "Bytes of a part of an upload."
)
RESUMABLE_UPLOAD_MINIMUM_FILE_SIZE = _setting(
    "RESUMABLE_UPLOAD_MINIMUM_FILE_SIZE",
    _at_least(1, int),
    64 * 2**20,
    "Bytes from which on a file goes to slipstream's server in parts, so that an interrupted upload is resumed.",
    mlflow=False,
)
UPLOAD_STATE_FOLDER = _setting(
    "UPLOAD_STATE_FOLDER",
    _text,
    None,
    "Folder in which a client notes uploads under way; by default slipstream/uploads in the user's cache folder.",
    mlflow=False,
)
SPOOL = _setting(
    "SPOOL",
    _boolean,
    True,
    "Whether what is logged to a server is written to a local file first and sent from there; false waits for the server.",
    mlflow=False,
)
SPOOL_FOLDER = _setting(
    "SPOOL_FOLDER",
    _text,
    None,
    "Folder of what is logged and not yet delivered; by default slipstream/spool in the user's data folder.",
    mlflow=False,
)
DELIVERY_TIMEOUT = _setting(
    "DELIVERY_TIMEOUT",
    _at_least(0, float),
    60.0,
    "Seconds that the end of a run, a flush and the end of the program wait for what was logged to be delivered.",
    mlflow=False,
)
PATIENCE = _setting(
    "PATIENCE",
    _at_least(0, float),
    10.0,
    "Seconds that the start of a run waits for a server that does not answer, before it goes on without.",
    mlflow=False,
)
# -- the server -------------------------------------------------------------------------------------
SIGNED_TRANSFERS = _setting(
    "SIGNED_TRANSFERS",
    _boolean,
    False,
    "Have slipstream's clients exchange large files with the object store behind the server directly, by signed addresses.",
    mlflow=False,
)
PRESIGNED_DOWNLOAD_URL_TTL_SECONDS = _setting(
    "PRESIGNED_DOWNLOAD_URL_TTL_SECONDS",
    _at_least(1, int),
    300,
    "Seconds that a signed address of a file in an object store is good for.",
)
BACKUP_BEFORE_MIGRATION = _setting(
    "BACKUP_BEFORE_MIGRATION",
    _boolean,
    True,
    "Keep a copy of an SQLite database beside it before its tables are brought to a newer schema.",
    mlflow=False,
)
SERVER_TOKEN = _setting(
    "SERVER_TOKEN",
    _text,
    None,
    "Token that clients must send when the server runs with --auth token.",
    mlflow=False,
)
SERVING_TOKEN = _setting(
    "SERVING_TOKEN",
    _text,
    None,
    "Token or API key that a server sends to the scoring servers of its --serving-url.",
    mlflow=False,
)
SERVER_SHUTDOWN_TIMEOUT = _setting(
    "SERVER_SHUTDOWN_TIMEOUT",
    _at_least(0, float),
    10.0,
    "Seconds that requests under way have when the server is told to stop.",
    mlflow=False,
)
LOGGING_LEVEL = _setting(
    "LOGGING_LEVEL",
    _log_level,
    "warning",
    "What the server logs: debug, info, warning or error, and what is worse.",
)
SLOW_REQUEST_SECONDS = _setting(
    "SLOW_REQUEST_SECONDS",
    _at_least(0, float),
    10.0,
    "The server logs requests that take longer than this.",
    mlflow=False,
)
ACCESS_LOG = _setting(
    "ACCESS_LOG",
    _boolean,
    False,
    "The server logs every request, and not only slow ones.",
    mlflow=False,
)
SERVER_IDLE_TIMEOUT = _setting(
    "SERVER_IDLE_TIMEOUT",
    _at_least(0.1, float),
    60.0,
    "Seconds that a client may say nothing in the middle of a request, or before its first, and that a head may take.",
    mlflow=False,
)
CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX = _setting(
    "CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX", _text, None, "Pattern that a version's source must match."
)
SERVER_GRAPHQL_MAX_ROOT_FIELDS = _setting(
    "SERVER_GRAPHQL_MAX_ROOT_FIELDS", _at_least(1, int), 10, "Most fields at the top of a GraphQL query."
)
SERVER_GRAPHQL_MAX_ALIASES = _setting(
    "SERVER_GRAPHQL_MAX_ALIASES", _at_least(0, int), 10, "Most aliases at one level of a GraphQL query."
)
TRASH_RETENTION = _setting(
    "TRASH_RETENTION",
    _duration,
    None,
    "How long a server keeps what was deleted before it removes it for ever, such as 30d; unset keeps it.",
    mlflow=False,
)
SQL_TIMEOUT = _setting(
    "SQL_TIMEOUT",
    _at_least(0.1, float),
    60.0,
    "Seconds that a query of `slipstream sql` may take in all.",
    mlflow=False,
)
SQL_MEMORY_LIMIT_MB = _setting(
    "SQL_MEMORY_LIMIT_MB",
    _at_least(64, int),
    1024,
    "Memory of a query of `slipstream sql` in MiB, in a process of its own: the rows that it reads, and its work.",
    mlflow=False,
)
SQL_MAX_INPUT_ROWS = _setting(
    "SQL_MAX_INPUT_ROWS",
    _at_least(1, int),
    5_000_000,
    "Most rows that the tables of one query may have together.",
    mlflow=False,
)
SQL_MAX_ROWS = _setting(
    "SQL_MAX_ROWS",
    _at_least(1, int),
    1_000_000,
    "Most rows that a query may answer.",
    mlflow=False,
)
LOST_AFTER = _setting(
    "LOST_AFTER",
    _at_least(0, float),
    40.0,
    "Seconds without a sign of life after which a server takes a run for dead; 0 for never. Only runs whose clients send them.",
    mlflow=False,
)
# -- webhooks ---------------------------------------------------------------------------------------
WEBHOOK_SECRET_ENCRYPTION_KEY = _setting(
    "WEBHOOK_SECRET_ENCRYPTION_KEY",
    _text,
    None,
    "Fernet key that webhooks' secrets are stored with; without one they are stored as they are. "
    "The same on all servers of a database.",
)
WEBHOOK_ALLOWED_SCHEMES = _setting(
    "WEBHOOK_ALLOWED_SCHEMES",
    _http_schemes,
    ("https",),
    "How the URL of a webhook may begin: https, http or both, with a comma.",
)
WEBHOOK_ALLOW_PRIVATE_IPS = _setting(
    "WEBHOOK_ALLOW_PRIVATE_IPS",
    _boolean,
    False,
    "Let webhooks reach this machine and private networks, which lets every user of the server do so.",
)
WEBHOOK_REQUEST_TIMEOUT = _setting(
    "WEBHOOK_REQUEST_TIMEOUT", _at_least(0.1, float), 30.0, "Seconds that a webhook's receiver has to answer."
)
WEBHOOK_REQUEST_MAX_RETRIES = _setting(
    "WEBHOOK_REQUEST_MAX_RETRIES",
    _at_least(0, int),
    10,
    "How often a delivery is sent again after no answer, 408, 425, 429 or 5xx; ten times take about 20 minutes.",
)
WEBHOOK_DELIVERY_MAX_WORKERS = _setting(
    "WEBHOOK_DELIVERY_MAX_WORKERS", _at_least(1, int), 10, "How many deliveries a server sends at one time."
)
WEBHOOK_QUEUE_LIMIT = _setting(
    "WEBHOOK_QUEUE_LIMIT",
    _at_least(1, int),
    10_000,
    "How many deliveries may wait for one webhook; events beyond that are not delivered to it.",
    mlflow=False,
)
# -- models and serving -----------------------------------------------------------------------------
ALLOW_PICKLE = _setting(
    "ALLOW_PICKLE",
    _boolean,
    False,
    "Load pickled models of unknown origin; they can run any code.",
    mlflow="MLFLOW_ALLOW_PICKLE_DESERIALIZATION",
)
SCORING_SERVER_REQUEST_TIMEOUT = _setting(
    "SCORING_SERVER_REQUEST_TIMEOUT", float, 60.0, "Seconds that a prediction may take before 504."
)
DEPLOYMENTS_TARGET = _setting(
    "DEPLOYMENTS_TARGET", _text, None, "Target of get_deploy_client() when none is named."
)
# -- projects ---------------------------------------------------------------------------------------
ENV_ROOT = _setting(
    "ENV_ROOT", _text, None, "Folder of built environments; under SLIPSTREAM_HOME when unset."
)
TMP_DIR = _setting("TMP_DIR", _text, None, "Parent of temporary folders for project downloads.")
