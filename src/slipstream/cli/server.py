"""`slipstream server`, and `slipstream ui`, which is the same."""

from typing import Any

import click

from slipstream.cli.options import log_format_option, server_token
from slipstream.errors import InvalidParameterError


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def _env(name: str) -> list[str]:
    return [f"SLIPSTREAM_{name}", f"MLFLOW_{name}"]


def _retention(text: str | None) -> int | None:
    from slipstream import settings
    from slipstream.clock import parse_duration

    if text is None:
        return settings.TRASH_RETENTION.get()
    try:
        return parse_duration(text)
    except ValueError as error:
        raise InvalidParameterError(f"--trash-retention: {error}.") from error


@click.command("server")
@click.option(
    "--backend-store-uri",
    envvar=_env("BACKEND_STORE_URI"),
    default="sqlite:///slipstream.db",
    show_default=True,
    help="Database: sqlite:///file.db or postgresql://user@host/database.",
)
@click.option(
    "--registry-store-uri",
    envvar=_env("REGISTRY_STORE_URI"),
    default=None,
    help="Only the backend store's own URI is accepted: one database holds both.",
)
@click.option(
    "--default-artifact-root",
    envvar=_env("DEFAULT_ARTIFACT_ROOT"),
    default=None,
    help="Where new experiments keep artifacts. [default: mlflow-artifacts:/, through this server]",
)
@click.option(
    "--serve-artifacts/--no-serve-artifacts",
    envvar=_env("SERVE_ARTIFACTS"),
    default=True,
    show_default=True,
    help="Pass artifacts through this server.",
)
@click.option(
    "--artifacts-only", is_flag=True, envvar=_env("ARTIFACTS_ONLY"), help="Serve artifacts and nothing else."
)
@click.option(
    "--artifacts-destination",
    envvar=_env("ARTIFACTS_DESTINATION"),
    default=None,
    help="Folder, or s3://, gs:// or Azure URI, behind mlflow-artifacts:/. [default: slipstream-artifacts beside the SQLite file]",
)
@click.option(
    "--host", "-h", envvar=_env("HOST"), default="127.0.0.1", show_default=True, help="Address to listen on."
)
@click.option(
    "--port",
    "-p",
    envvar=_env("PORT"),
    type=click.IntRange(0, 65535),
    default=5000,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@click.option(
    "--workers",
    "-w",
    envvar=_env("WORKERS"),
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Server processes. One serves thousands of writes a second; more help with heavy searches.",
)
@click.option(
    "--static-prefix",
    envvar=_env("STATIC_PREFIX"),
    default="",
    help="Path under which all routes are, such as /tracking.",
)
@click.option(
    "--allowed-hosts",
    envvar=_env("SERVER_ALLOWED_HOSTS"),
    default=None,
    help="Comma-separated names of this server; '*' allows any. [default: loopback and private addresses]",
)
@click.option(
    "--cors-allowed-origins",
    envvar=_env("SERVER_CORS_ALLOWED_ORIGINS"),
    default=None,
    help="Comma-separated origins whose pages may change things here.",
)
@click.option(
    "--disable-security-middleware",
    is_flag=True,
    envvar=_env("SERVER_DISABLE_SECURITY_MIDDLEWARE"),
    help="Drop the host and origin checks.",
)
@click.option(
    "--x-frame-options",
    envvar=_env("SERVER_X_FRAME_OPTIONS"),
    default="SAMEORIGIN",
    show_default=True,
    type=click.Choice(["SAMEORIGIN", "DENY", "NONE"], case_sensitive=False),
    help="Who may show pages of this server in a frame.",
)
@click.option(
    "--auth",
    type=click.Choice(["token", "proxy", "none"]),
    default=None,
    help="How clients authenticate: token (SLIPSTREAM_SERVER_TOKEN), proxy (one in front does it), none. "
    "Must be given to listen beyond this machine.",
)
@click.option(
    "--durability",
    type=click.Choice(["full", "normal"]),
    default="full",
    show_default=True,
    help="full: an answered write or uploaded file survives a power cut. normal: only a crash of the server; faster.",
)
@click.option(
    "--trash-retention",
    default=None,
    metavar="DURATION",
    help="Remove for ever what was deleted so long ago, such as 30d or 12h. [default: SLIPSTREAM_TRASH_RETENTION, or never]",
)
@click.option(
    "--serving-url",
    "serving_urls",
    envvar=_env("SERVING_URLS"),
    multiple=True,
    metavar="NAME=URL",
    help="A scoring server that the pages show and try models on; may be given again. A token for it: SLIPSTREAM_SERVING_TOKEN.",
)
@log_format_option(_env("LOG_FORMAT"))
@click.option(
    "--expose-prometheus",
    envvar=_env("EXPOSE_PROMETHEUS"),
    default=None,
    metavar="FOLDER",
    help="Taken for MLflow's sake: /metrics is always there, and nothing is kept in the folder.",
)
def server(**options: Any) -> None:
    """Start a tracking server: experiments, runs, artifacts and the model registry over MLflow's REST API."""
    from slipstream.server.options import ServerOptions
    from slipstream.server.run import check, serve

    auth = options.pop("auth")
    token = server_token(auth)
    del options["expose_prometheus"]
    registry = options.pop("registry_store_uri")
    if registry not in (None, options["backend_store_uri"]):
        raise InvalidParameterError(
            f"--registry-store-uri '{registry}' differs from --backend-store-uri: slipstream keeps the registry "
            "in the same database. Leave the option out."
        )
    chosen = ServerOptions(
        trash_retention_ms=_retention(options.pop("trash_retention")),
        allowed_hosts=_names(options.pop("allowed_hosts")),
        cors_allowed_origins=_names(options.pop("cors_allowed_origins")),
        security=not options.pop("disable_security_middleware"),
        token=token,
        **options,
    )
    check(chosen, open_to_all=auth in ("proxy", "none"))
    raise SystemExit(serve(chosen))
