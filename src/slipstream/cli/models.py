"""`slipstream models`: serve a model over HTTP, predict with it from files."""

import os
import sys
from pathlib import Path
from typing import Any, Never

import click

from slipstream.cli import out
from slipstream.cli.create_key import create_key
from slipstream.cli.model_options import (
    ENV_MANAGERS,
    LOCAL,
    env_manager_option,
    model_uri_option,
    trust_option,
)
from slipstream.cli.serve import serve
from slipstream.errors import InvalidParameterError

CONTENT_TYPES = {"json": "application/json", "csv": "text/csv"}


@click.group()
def models() -> None:
    """Serve models and predict with them."""


models.add_command(serve)
models.add_command(create_key)


@models.command()
@model_uri_option
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
@env_manager_option
@trust_option
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
@model_uri_option
@click.option(
    "--env-manager",
    type=click.Choice(ENV_MANAGERS),
    default="uv",
    show_default=True,
    help="What builds the environment: uv, also in the place of virtualenv and conda. 'local' builds nothing.",
)
@trust_option
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
