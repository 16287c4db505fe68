"""`slipstream deployments`: deploy models to other engines; commands and options are MLflow's."""

import inspect
import json
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import click

from slipstream.cli import out
from slipstream.errors import ExecutionError, InvalidParameterError, MissingDependencyError, SlipstreamError

_target = click.option(
    "--target",
    "-t",
    required=True,
    metavar="URI",
    help="Where to deploy: ray-serve, kubernetes, kserve, or a plugin's; `slipstream deployments help -t` tells more.",
)
_name = click.option("--name", required=True, help="Name of the deployment.")
_either_name = click.option("--name", help="Name of the deployment; this or --endpoint.")
_either_endpoint = click.option("--endpoint", help="Name or address of the endpoint; this or --name.")
_under_endpoint = click.option(
    "--endpoint", help="Endpoint that the deployment belongs to; not all targets have any."
)
_endpoint = click.option("--endpoint", required=True, help="Name of the endpoint.")
_config = click.option(
    "--config",
    "-C",
    multiple=True,
    metavar="NAME=VALUE",
    help="A setting of the target; may be given several times.",
)
_flavor = click.option("--flavor", "-f", help="Flavor to deploy; the target's own choice if absent.")
_input_path = click.option(
    "--input-path",
    "-I",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="JSON file: records, columns, or an object of the scoring protocol.",
)
_output_path = click.option(
    "--output-path",
    "-O",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File for the result; standard output if absent.",
)
_MODEL_HELP = "Model: models:/NAME@ALIAS, models:/NAME/VERSION, runs:/RUN_ID/NAME, a path or another URI."
_model_uri = click.option("--model-uri", "-m", required=True, metavar="URI", help=_MODEL_HELP)
_new_model_uri = click.option("--model-uri", "-m", metavar="URI", help=f"{_MODEL_HELP} Absent: the same.")


@click.group()
def deployments() -> None:
    """Deploy models to other engines."""


@deployments.command()
@_under_endpoint
@_config
@_name
@_target
@_model_uri
@_flavor
def create(
    endpoint: str | None,
    config: tuple[str, ...],
    name: str,
    target: str,
    model_uri: str,
    flavor: str | None,
) -> None:
    """Deploy a model under a new name."""
    settings = _settings(config)
    with _client(target) as client:
        made = _call(client.create_deployment, name, model_uri, flavor, config=settings, endpoint=endpoint)
    out.line(f"{made.get('flavor', flavor)} deployment {made['name']} is created")
    for key in ("url", "manifest"):
        if key in made:
            out.line(f"{key}: {made[key]}")


@deployments.command()
@_under_endpoint
@_config
@_name
@_target
@_new_model_uri
@_flavor
def update(
    endpoint: str | None,
    config: tuple[str, ...],
    name: str,
    target: str,
    model_uri: str | None,
    flavor: str | None,
) -> None:
    """Change the model of a deployment, its settings or both."""
    settings = _settings(config)
    with _client(target) as client:
        made = _call(
            client.update_deployment,
            name,
            model_uri=model_uri,
            flavor=flavor,
            config=settings,
            endpoint=endpoint,
        )
    chosen = flavor if made is None else made.get("flavor", flavor)
    out.line(f"Deployment {name} is updated (with flavor {chosen})")


@deployments.command()
@_under_endpoint
@_config
@_name
@_target
def delete(endpoint: str | None, config: tuple[str, ...], name: str, target: str) -> None:
    """Remove a deployment; it is no error if there is none."""
    settings = _settings(config)
    with _client(target) as client:
        _call(client.delete_deployment, name, config=settings, endpoint=endpoint)
    out.line(f"Deployment {name} is deleted")


@deployments.command("list")
@_under_endpoint
@_target
def list_deployments(endpoint: str | None, target: str) -> None:
    """List the deployments at a target."""
    with _client(target) as client:
        found = _call(client.list_deployments, endpoint=endpoint)
    out.line(f"List of all deployments:\n{found}")


@deployments.command()
@_under_endpoint
@_name
@_target
def get(endpoint: str | None, name: str, target: str) -> None:
    """Describe a deployment."""
    with _client(target) as client:
        found = _call(client.get_deployment, name, endpoint=endpoint)
    _print_fields(found)


@deployments.command("help")
@_target
def help_(target: str) -> None:
    """Show a target's URIs and settings."""
    from slipstream.deployments import target_help

    with _plain_errors(target):
        text = target_help(target)
    if text:
        out.line(text.rstrip())
    else:
        out.note(f"The plugin of the deployment target '{target}' has no help.")


@deployments.command("run-local")
@_config
@_name
@_target
@_model_uri
@_flavor
def run_local(config: tuple[str, ...], name: str, target: str, model_uri: str, flavor: str | None) -> None:
    """Deploy a model on this machine, to try it, until Ctrl-C."""
    from slipstream.deployments import run_local as run_plugin

    settings = _settings(config)
    with _plain_errors(target):
        made = run_plugin(target, name, model_uri, flavor, settings)
        if isinstance(made, dict) and "url" in made:
            described = cast("dict[str, Any]", made)
            out.line(
                f"Serving {described.get('model_uri', model_uri)} at {described['url']}  Ctrl-C ends it."
            )
            threading.Event().wait()


@deployments.command()
@_either_name
@_either_endpoint
@_target
@_input_path
@_output_path
def predict(
    name: str | None, endpoint: str | None, target: str, input_path: Path, output_path: Path | None
) -> None:
    """Ask a deployment, and print what it answers."""
    _require_one(name, endpoint)
    inputs = _read_inputs(input_path)
    with _client(target) as client:
        answer = _call(client.predict, name, inputs, endpoint=endpoint)
        text = answer.to_json()
    _write(text, output_path)


@deployments.command()
@_either_name
@_either_endpoint
@_target
@_input_path
@_output_path
def explain(
    name: str | None, endpoint: str | None, target: str, input_path: Path, output_path: Path | None
) -> None:
    """Let a deployment explain its predictions, where the target can."""
    _require_one(name, endpoint)
    inputs = _read_inputs(input_path)
    with _client(target) as client:
        answer = _call(client.explain, name, inputs, endpoint=endpoint)
    from slipstream.serving.encoding import encode

    _write(encode(answer, wrapped=False).decode(), output_path)


@deployments.command("create-endpoint")
@_config
@_endpoint
@_target
def create_endpoint(config: tuple[str, ...], endpoint: str, target: str) -> None:
    """Make an endpoint, where the target has any."""
    settings = _settings(config)
    with _client(target) as client:
        made = client.create_endpoint(endpoint, config=settings)
    out.line(f"Endpoint {made['name']} is created")


@deployments.command("update-endpoint")
@_config
@_endpoint
@_target
def update_endpoint(config: tuple[str, ...], endpoint: str, target: str) -> None:
    """Change the settings of an endpoint."""
    settings = _settings(config)
    with _client(target) as client:
        client.update_endpoint(endpoint, config=settings)
    out.line(f"Endpoint {endpoint} is updated")


@deployments.command("delete-endpoint")
@_endpoint
@_target
def delete_endpoint(endpoint: str, target: str) -> None:
    """Remove an endpoint."""
    with _client(target) as client:
        client.delete_endpoint(endpoint)
    out.line(f"Endpoint {endpoint} is deleted")


@deployments.command("list-endpoints")
@_target
def list_endpoints(target: str) -> None:
    """List the endpoints at a target."""
    with _client(target) as client:
        found = client.list_endpoints()
    out.line(f"List of all endpoints:\n{found}")


@deployments.command("get-endpoint")
@_endpoint
@_target
def get_endpoint(endpoint: str, target: str) -> None:
    """Describe an endpoint."""
    with _client(target) as client:
        found = client.get_endpoint(endpoint)
    _print_fields(found)


# -- plugins ----------------------------------------------------------------------------------------------


@contextmanager
def _client(target: str) -> Generator[Any]:
    """Yield the client of a target; what a plugin written for MLflow raises becomes an error of ours."""
    from slipstream.deployments import get_deploy_client

    with _plain_errors(target):
        yield get_deploy_client(target)


@contextmanager
def _plain_errors(target: str) -> Generator[None]:
    try:
        yield
    except SlipstreamError:
        raise
    except Exception as error:
        if all(cls.__name__ != "MlflowException" for cls in type(error).__mro__):
            raise
        raise ExecutionError(f"The deployment target '{target}' refuses: {error}") from error


def _call(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Call a plugin's function without what it does not take: older ones know no endpoint, some no config."""
    takes = inspect.signature(function).parameters
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in takes.values()):
        return function(*arguments, **named)
    for key, value in named.items():
        if key not in takes and value:
            raise InvalidParameterError(f"This deployment target takes no --{key.replace('_', '-')}.")
    return function(*arguments, **{key: value for key, value in named.items() if key in takes})


# -- options ----------------------------------------------------------------------------------------------


def _settings(pairs: tuple[str, ...]) -> dict[str, str]:
    settings: dict[str, str] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise InvalidParameterError(f"--config must be NAME=VALUE, got '{pair}'.")
        if name in settings:
            raise InvalidParameterError(f"--config gives '{name}' twice.")
        settings[name] = value
    return settings


def _require_one(name: str | None, endpoint: str | None) -> None:
    if (name is None) == (endpoint is None):
        raise click.UsageError("Must specify exactly one of --name or --endpoint.")


def _read_inputs(path: Path) -> Any:
    """Read a request of the scoring protocol as it is, and any other JSON as a frame, as MLflow does."""
    from slipstream.deployments.scoring import PROTOCOL_KEYS

    text = path.read_text("utf-8")
    try:
        value: Any = json.loads(text)
    except ValueError as error:
        raise InvalidParameterError(f"--input-path '{path}' is not valid JSON: {error}.") from error
    table = value
    if isinstance(value, dict) and not PROTOCOL_KEYS.isdisjoint(cast("dict[str, Any]", value)):
        return cast("dict[str, Any]", value)
    try:
        import pandas
    except ImportError as error:
        raise MissingDependencyError(
            "Records and columns are read with pandas: pip install pandas. Or write the scoring protocol's form, "
            '{"dataframe_records": [...]}.'
        ) from error
    try:
        return pandas.DataFrame(table)
    except (ValueError, TypeError) as error:
        raise InvalidParameterError(f"--input-path '{path}' holds no table: {error}.") from error


def _write(text: str, path: Path | None) -> None:
    if path is None:
        out.line(text)
    else:
        path.write_text(text + "\n", encoding="utf-8")


def _print_fields(found: dict[str, Any]) -> None:
    for key, value in found.items():
        out.line(f"{key}: {value}")
