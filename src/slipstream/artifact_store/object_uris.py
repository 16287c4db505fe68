"""From `s3:`, `gs:` and Azure's URIs, and the environment variables that MLflow reads, to an object store."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from slipstream import settings
from slipstream.artifact_store.paths import clean_path
from slipstream.errors import InvalidParameterError, MissingDependencyError

if TYPE_CHECKING:
    from slipstream.artifact_store.objects import ObjectArtifactStore

SCHEMES = frozenset({"s3", "gs", "wasb", "wasbs", "abfs", "abfss"})
_AZURE = frozenset({"wasb", "wasbs", "abfs", "abfss"})
_STYLES = ("auto", "path", "virtual")
_UPLOAD_ARGS = {
    "ServerSideEncryption": "server_side_encryption",
    "SSEKMSKeyId": "sse_kms_key_id",
    "BucketKeyEnabled": "sse_bucket_key_enabled",
}
"""What of boto's arguments for uploads can be said to obstore, and how."""


@dataclass(frozen=True)
class Place:
    """A folder of an object store."""

    scheme: str
    bucket: str
    """The bucket, or in Azure the container."""
    account: str | None
    """The storage account, of Azure's URIs only."""
    prefix: str
    uri: str


def is_object_store(uri: str) -> bool:
    """Tell whether a URI is of an object store that is built in."""
    return uri.partition(":")[0].lower() in SCHEMES


def parse_place(uri: str) -> Place:
    """Split `s3://bucket/path`, `gs://bucket/path` or `wasbs://container@account.blob.core.windows.net/path`.

    Raises:
        InvalidParameterError: it has not that form.
    """
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        raise InvalidParameterError(f"'{uri}' is no URI: {error}.") from error
    scheme = parts.scheme.lower()
    if parts.query or parts.fragment:
        raise InvalidParameterError(f"'{uri}' has a query or fragment; an object store's URI has neither.")
    if scheme in _AZURE:
        container, at, host = parts.netloc.partition("@")
        account = host.partition(".")[0]
        if not container or not at or not account:
            raise InvalidParameterError(
                f"'{uri}' has not the form {scheme}://container@account.blob.core.windows.net/path."
            )
        bucket, account_or_none = container, account
    else:
        bucket, account_or_none = parts.netloc, None
        if not bucket or "@" in bucket or ":" in bucket:
            raise InvalidParameterError(
                f"'{uri}' has not the form {scheme}://bucket/path. Credentials and the store's address are set in the "
                "environment (see 'Keep artifacts in an object store' in the documentation)."
            )
    return Place(scheme, bucket, account_or_none, clean_path(unquote(parts.path).strip("/")), uri)


def open_object_store(uri: str) -> "ObjectArtifactStore":
    """Return the store whose root a URI names; nothing is asked over the network.

    Raises:
        InvalidParameterError: the URI or a setting for it is not understood.
        MissingDependencyError: obstore is not installed.
    """
    place = parse_place(uri)
    try:
        import obstore  # noqa: F401  # pyright: ignore[reportUnusedImport]  # only to have a clear error
    except ImportError as error:
        raise MissingDependencyError(
            f"Artifacts at '{uri}' need obstore. Install it: pip install 'slipstream[cloud]'."
        ) from error
    from slipstream.artifact_store.objects import ObjectArtifactStore

    make, config = _configuration(place)
    # One client, with its connections, for all stores of a bucket.
    bucket = _bucket(make, place.bucket, json.dumps(config, sort_keys=True), _seconds())
    return ObjectArtifactStore(bucket, place.prefix, uri)


def _configuration(place: Place) -> tuple[str, dict[str, Any]]:
    """Return which of obstore's stores it is, and what to tell it beyond what it reads from the environment itself."""
    if place.scheme == "s3":
        return "S3Store", s3_configuration()
    if place.scheme == "gs":
        return "GCSStore", {}
    return "AzureStore", {"account_name": place.account, **_azure_credentials()}


def s3_configuration() -> dict[str, Any]:
    """Translate MLflow's variables for S3. `AWS_*` are read by obstore, under the names of all of AWS's tools.

    Raises:
        InvalidParameterError: a variable asks for what cannot be done.
    """
    config: dict[str, Any] = {}
    endpoint = settings.S3_ENDPOINT_URL.get()
    if endpoint:
        config["endpoint"] = endpoint.rstrip("/")
        if not endpoint.startswith(("http://", "https://")):
            raise InvalidParameterError(
                f"{settings.S3_ENDPOINT_URL.name} is '{endpoint}'; write http://host:port or https://host."
            )
    if not any(name in os.environ for name in ("AWS_REGION", "AWS_DEFAULT_REGION")):
        config["region"] = "us-east-1"  # boto's, and what servers other than Amazon's expect
    style = (settings.BOTO_CLIENT_ADDRESSING_STYLE.get() or "auto").lower()
    if style not in _STYLES:
        raise InvalidParameterError(
            f"{settings.BOTO_CLIENT_ADDRESSING_STYLE.name} is '{style}'; it must be one of {', '.join(_STYLES)}."
        )
    if style == "virtual":
        config["virtual_hosted_style_request"] = "true"
    if settings.S3_EXPECTED_BUCKET_OWNER.get():
        raise InvalidParameterError(
            f"{settings.S3_EXPECTED_BUCKET_OWNER.name} (or {settings.S3_EXPECTED_BUCKET_OWNER.mlflow_name}) is set, but "
            "the owner of a bucket is not checked here. Have the credentials allow that bucket only, and unset it."
        )
    config.update(_upload_args())
    return config


def _upload_args() -> dict[str, str]:
    setting = settings.S3_UPLOAD_EXTRA_ARGS
    text = setting.get()
    if not text:
        return {}
    try:
        args = json.loads(text)
    except ValueError as error:
        raise InvalidParameterError(f"{setting.name} is not JSON: {error}.") from error
    if not isinstance(args, dict):
        raise InvalidParameterError(f"{setting.name} is not a JSON object.")
    unknown = [str(name) for name in args if name not in _UPLOAD_ARGS]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if unknown:
        raise InvalidParameterError(
            f"{setting.name} has {', '.join(unknown)}, which cannot be passed on. Known: {', '.join(_UPLOAD_ARGS)}."
        )
    return {
        _UPLOAD_ARGS[name]: str(value).lower() if isinstance(value, bool) else str(value)  # pyright: ignore[reportUnknownArgumentType]
        for name, value in args.items()  # pyright: ignore[reportUnknownVariableType]
    }


def _azure_credentials() -> dict[str, str]:
    """Read the two variables that MLflow's users set; others are obstore's own."""
    text = os.environ.get("AZURE_STORAGE_CONNECTION_STRING")
    if text:
        fields = dict(pair.split("=", 1) for pair in text.split(";") if "=" in pair)
        found = {
            "account_key": fields.get("AccountKey"),
            "sas_key": fields.get("SharedAccessSignature"),
            "endpoint": fields.get("BlobEndpoint"),
        }
        return {name: value for name, value in found.items() if value}
    key = os.environ.get("AZURE_STORAGE_ACCESS_KEY")
    return {"account_key": key} if key else {}


def _seconds() -> float | None:
    return settings.ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT.get()


@lru_cache(maxsize=64)
def _bucket(store: str, name: str, config: str, seconds: float | None) -> Any:
    from obstore import store as stores
    from obstore.exceptions import BaseError

    make: Callable[..., Any] = getattr(stores, store)
    client: dict[str, Any] = {
        "connect_timeout": timedelta(seconds=10),
        # Of each read, not of the whole: a large file on a slow line takes as long as it takes.
        "read_timeout": timedelta(seconds=60),
        "timeout": timedelta(seconds=seconds or 24 * 60 * 60),
        "allow_http": True,  # an address with http:// was written by whoever configured it
    }
    if settings.S3_IGNORE_TLS.get():
        client["allow_invalid_certificates"] = True
    try:
        return make(
            name,
            config=json.loads(config),
            client_options=client,
            retry_config={"max_retries": 4, "retry_timeout": timedelta(seconds=60)},
        )
    except (BaseError, OSError, ValueError) as error:
        raise InvalidParameterError(
            f"The object store of '{name}' cannot be used: {str(error).splitlines()[0]}"
        ) from error
