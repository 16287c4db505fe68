"""`slipstream models`: serve a model over HTTP, predict with it from files."""

import os
import sys
from pathlib import Path
from typing import Any, Never

import click

from slipstream import settings
from slipstream.cli import out
from slipstream.errors import InvalidParameterError

CONTENT_TYPES = {"json": "application/json", "csv": "text/csv"}
LOCAL = "local"
ENV_MANAGERS = (LOCAL, "uv", "virtualenv", "conda")

_model_uri = click.option(
    "--model-uri",
    "-m",
    required=True,
    metavar="URI",
    help="Model to use: models:/NAME@ALIAS, models:/NAME/VERSION, runs:/RUN_ID/NAME, a path or another URI.",
)
_env_manager = click.option(
    "--env-manager",
    type=click.Choice(ENV_MANAGERS),
    default=LOCAL,
    show_default=True,
    help="Where the model's libraries come from: 'local' is the current environment; the others build the "
    "model's own with uv.",
)
_trust = click.option(
    "--trust",
    is_flag=True,
    help="Take the model even if it brings code, pickles or requirements of unknown origin. It can then run any "
    "code.",
)


@click.group()
def models() -> None:
    """Serve models and predict with them."""


@models.command()
@_model_uri
@click.option(
    "--port",
    "-p",
    type=click.IntRange(0, 65535),
    envvar=["SLIPSTREAM_PORT", "MLFLOW_PORT"],
    default=5000,
    show_default=True,
    help="Port to listen on; 0 takes any free one.",
)
@click.option(
    "--host",
    "-h",
    envvar=["SLIPSTREAM_HOST", "MLFLOW_HOST"],
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on. Beyond this machine --auth must be given.",
)
@click.option(
    "--timeout",
    "-t",
    type=click.FloatRange(min=0),
    default=None,
    help="Seconds that a prediction may take before 504; 0 means for ever.  [default: 60]",
)
@click.option(
    "--workers",
    "-w",
    type=click.IntRange(min=1),
    envvar=["SLIPSTREAM_MODELS_WORKERS", "MLFLOW_MODELS_WORKERS"],
    default=1,
    show_default=True,
    help="Processes to serve with, each with the whole model.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=None,
    help="Predictions that one process runs at once.  [default: processors + 4]",
)
@click.option(
    "--queue-size",
    type=click.IntRange(min=0),
    default=1024,
    show_default=True,
    help="Requests that may wait in one process; more are answered 503.",
)
@click.option(
    "--auth",
    type=click.Choice(["token", "none"]),
    default=None,
    help="How clients authenticate: 'token' is the one in SLIPSTREAM_SERVER_TOKEN.",
)
@click.option(
    "--allowed-hosts",
    metavar="NAMES",
    help="Host names to serve under, comma-separated, * as wildcard.  [default: this machine, private addresses]",
)
@click.option(
    "--allowed-origins",
    metavar="ORIGINS",
    help="Origins of web pages that may send requests, comma-separated.",
)
@_env_manager
@_trust
def serve(
    model_uri: str,
    port: int,
    host: str,
    timeout: float | None,
    workers: int,
    threads: int | None,
    queue_size: int,
    auth: str | None,
    allowed_hosts: str | None,
    allowed_origins: str | None,
    env_manager: str,
    trust: bool,
) -> None:
    """Serve a model over HTTP with MLflow's scoring protocol (POST /invocations)."""
    if env_manager != LOCAL:
        options = _options(
            model_uri=model_uri,
            port=port,
            host=host,
            timeout=timeout,
            workers=workers,
            threads=threads,
            queue_size=queue_size,
            auth=auth,
            allowed_hosts=allowed_hosts,
            allowed_origins=allowed_origins,
        )
        _continue_with_uv(model_uri, ["serve", *options], trust=trust)
    # Loaded only now: `slipstream models --help` needs no HTTP server.
    from slipstream.serving import gate, run
    from slipstream.serving.worker import default_threads

    token = gate.choose_token(host, auth, settings.SERVER_TOKEN.get())
    options = run.ServeOptions(
        model_uri=model_uri,
        host=host,
        port=port,
        workers=workers,
        threads=threads or default_threads(),
        queue_size=queue_size,
        timeout_seconds=settings.SCORING_SERVER_REQUEST_TIMEOUT.get() if timeout is None else timeout,
        trust=trust or None,
        gate=gate.Gate(_split(allowed_hosts), _split(allowed_origins), token),
    )
    run.serve(options, out.line)


@models.command()
@_model_uri
@click.option(
    "--input-path",
    "-i",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="File with the input; standard input if absent.",
)
@click.option(
    "--output-path",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File for the result; standard output if absent.",
)
@click.option(
    "--content-type",
    "-t",
    type=click.Choice(list(CONTENT_TYPES)),
    default="json",
    show_default=True,
    help="What the input is: the JSON of a scoring request, or CSV with a header line.",
)
@_env_manager
@_trust
def predict(
    model_uri: str,
    input_path: Path | None,
    output_path: Path | None,
    content_type: str,
    env_manager: str,
    trust: bool,
) -> None:
    """Predict for a file and print the JSON that the scoring server would answer."""
    if output_path is not None:
        _require_writable(output_path)
    if env_manager != LOCAL:
        options = _options(
            model_uri=model_uri, content_type=content_type, input_path=input_path, output_path=output_path
        )
        _continue_with_uv(model_uri, ["predict", *options], trust=trust)
    from slipstream.flavors.pyfunc import load_model
    from slipstream.serving.encoding import encode
    from slipstream.serving.protocols import invocations
    from slipstream.serving.served import ServedModel

    body = sys.stdin.buffer.read() if input_path is None else input_path.read_bytes()
    model = ServedModel(load_model(model_uri, trust=trust or None))
    try:
        request = invocations.decode(model, body, CONTENT_TYPES[content_type])
    except invocations.UnreadableMediaError as error:
        raise InvalidParameterError(str(error)) from error
    result: Any = model.predict(request.data, request.params)
    text = encode(result, wrapped=request.wrapped).decode()
    if output_path is None:
        out.line(text)
    else:
        try:
            output_path.write_text(text + "\n", encoding="utf-8")
        except OSError as error:  # such as a full disk
            raise InvalidParameterError(
                f"--output-path '{output_path}' cannot be written: {error}"
            ) from error


@models.command("prepare-env")
@_model_uri
@click.option(
    "--env-manager",
    type=click.Choice(ENV_MANAGERS),
    default="uv",
    show_default=True,
    help="What builds the environment: uv, also in the place of virtualenv and conda. 'local' builds nothing.",
)
@_trust
def prepare_env(model_uri: str, env_manager: str, trust: bool) -> None:
    """Build the environment that a model needs, ahead of serving it, and print its folder."""
    if env_manager == LOCAL:
        out.note("Nothing to prepare: --env-manager local uses the current environment as it is.")
        return
    from slipstream.cli.model_environment import prepare_environment

    out.line(str(prepare_environment(model_uri, trusted=trust).folder))


def _require_writable(path: Path) -> None:
    """Refuse now what could not be written after the prediction; nothing is made yet."""
    target = path if path.exists() else path.parent
    if not target.exists():
        raise InvalidParameterError(
            f"--output-path '{path}': the folder '{path.parent}' does not exist. Make it first."
        )
    if target == path.parent and not target.is_dir():
        raise InvalidParameterError(f"--output-path '{path}': '{path.parent}' is no folder.")
    if not os.access(target, os.W_OK):
        raise InvalidParameterError(
            f"--output-path '{path}' cannot be written: no permission for '{target}'."
        )


def _continue_with_uv(model_uri: str, arguments: list[str], *, trust: bool) -> Never:
    from slipstream.cli.model_environment import continue_inside, prepare_environment

    trusted = ["--trust"] if trust else []
    built = prepare_environment(model_uri, trusted=trust)
    continue_inside(built, ["models", *arguments, *trusted, "--env-manager", LOCAL])


def _options(**values: object) -> list[str]:
    """Write options for a command line; those that are None are left out."""
    # With `=`, so that no value is taken for an option.
    return [f"--{name.replace('_', '-')}={value}" for name, value in values.items() if value is not None]


def _split(names: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (names or "").split(",") if name.strip())
