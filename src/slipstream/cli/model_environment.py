"""The environment that a model was made in, and how a command goes on inside it."""

import json
import os
import tempfile
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Never

from slipstream.client.artifacts import download_artifacts
from slipstream.errors import ExecutionError, InvalidParameterError, NotFoundError
from slipstream.models import trust
from slipstream.models.environment_files import CONDA_FILE, FILES, PYTHON_ENV_FILE, REQUIREMENTS_FILE
from slipstream.models.locations import local_model_folder
from slipstream.models.requirements import distribution_name, without_mlflow
from slipstream.projects import environment
from slipstream.projects.environment_spec import EnvironmentSpec, read_spec

_KINDS = ((PYTHON_ENV_FILE, "python_env"), (CONDA_FILE, "conda_env"), (REQUIREMENTS_FILE, "python_env"))
"""Environment files of a model, in the order in which they are preferred."""


def prepare_environment(model_uri: str, *, trusted: bool) -> environment.Environment:
    """Build the model's environment with uv, or find it built; slipstream itself is in it.

    Args:
        model_uri: the model.
        trusted: the caller vouches for what the model's files name; else this user must have saved them.

    Raises:
        UntrustedModelError: nobody vouches for the files. Packages run code when they are installed.
        NotFoundError: there is no such model.
        InvalidParameterError: the model says nothing about its environment, or what it says is not understood.
        ExecutionError: the environment cannot be built.
    """
    with tempfile.TemporaryDirectory(prefix="slipstream-env-") as scratch:
        folder = _environment_files(model_uri, Path(scratch))
        found = next(((folder / name, kind) for name, kind in _KINDS if (folder / name).is_file()), None)
        if found is None:
            raise InvalidParameterError(
                f"The model at '{model_uri}' says nothing about its environment (no {PYTHON_ENV_FILE}, {CONDA_FILE} "
                f"or {REQUIREMENTS_FILE}). Use --env-manager local."
            )
        spec = read_spec(*found, folder)
        trust.require(
            folder,
            dict.fromkeys(
                [file for file in sorted(folder.iterdir()) if file.name in FILES] + list(spec.files)
            ),
            what="a model's environment",
            trust=trusted or None,
            act="installing what it names runs code of those packages",
        )
        # MLflow's line is for MLflow's tools; here slipstream does what it is for, in a fraction of the packages.
        lines = without_mlflow(spec.requirements)
        return environment.prepare(
            EnvironmentSpec(spec.python, (*lines, _own_requirement(lines)), spec.constraints)
        )


def continue_inside(built: environment.Environment, arguments: Sequence[str]) -> Never:
    """Replace this process by the same command of the environment; never returns."""
    program = built.programs / "slipstream"
    try:
        os.execv(program, [str(program), *arguments])  # noqa: S606  # an argv list, no shell
    except OSError as error:
        raise ExecutionError(f"Cannot start '{program}': {error.strerror}.") from error


def _environment_files(model_uri: str, scratch: Path) -> Path:
    """Return a folder that has the model's environment files; of a remote model only these are fetched."""
    if "://" not in model_uri and not model_uri.startswith(("models:", "runs:")):
        return local_model_folder(model_uri)
    found = False
    for name in sorted(FILES):
        try:
            download_artifacts(f"{model_uri.rstrip('/')}/{name}", dst_path=scratch)
        except NotFoundError:
            continue
        found = True
    return scratch if found else local_model_folder(model_uri)


def _own_requirement(lines: Iterable[str]) -> str:
    """Return what to install so that the environment has this very slipstream, and what serves these requirements."""
    # MLflow would have brought these with it.
    extras = "pyfunc,sklearn" if "scikit-learn" in map(distribution_name, lines) else "pyfunc"
    distribution = metadata.distribution("slipstream")
    text = distribution.read_text("direct_url.json")
    if text is None:
        return f"slipstream[{extras}]=={distribution.version}"
    origin = json.loads(text)
    url = origin["url"]
    if vcs := origin.get("vcs_info"):
        # The commit that is installed, not the branch that was asked for, which may have moved.
        url = f"{vcs['vcs']}+{url}@{vcs['commit_id']}"
    if folder := origin.get("subdirectory"):
        url = f"{url}#subdirectory={folder}"
    return f"slipstream[{extras}] @ {url}"
