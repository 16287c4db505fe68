"""The three files that tell MLflow's tools how to rebuild a model's environment."""

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from slipstream.errors import InvalidParameterError
from slipstream.models.requirements import CONSTRAINTS_FILE, Requirements, check_line, pinned

REQUIREMENTS_FILE = "requirements.txt"
CONDA_FILE = "conda.yaml"
PYTHON_ENV_FILE = "python_env.yaml"
FILES = frozenset({REQUIREMENTS_FILE, CONDA_FILE, PYTHON_ENV_FILE, CONSTRAINTS_FILE})


def without_environment(python_function: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of an MLmodel file that decides what runs, without what only says where it ran well."""
    return {key: value for key, value in python_function.items() if key not in ("env", "python_version")}


def write_environment_files(
    folder: Path, requirements: Requirements, conda_env: str | Path | Mapping[str, Any] | None = None
) -> None:
    """Write requirements.txt, conda.yaml and python_env.yaml into a model folder.

    Args:
        folder: the model folder.
        requirements: what `requirements.collect` found.
        conda_env: the user's own environment, a mapping or a YAML file; its pip part becomes
            requirements.txt.

    Raises:
        InvalidParameterError: `conda_env` is no conda environment.
    """
    if conda_env is None:
        lines = requirements.lines
        conda = _conda(lines)
    else:
        conda = _read_conda(conda_env)
        lines = _pip_part(conda) or requirements.lines
    (folder / REQUIREMENTS_FILE).write_text("\n".join(lines), encoding="utf-8")
    if requirements.constraints:
        (folder / CONSTRAINTS_FILE).write_text("\n".join(requirements.constraints), encoding="utf-8")
    _write_yaml(folder / CONDA_FILE, conda)
    build = [pinned(name) or name for name in ("pip", "setuptools", "wheel")]
    _write_yaml(
        folder / PYTHON_ENV_FILE,
        {
            "python": platform.python_version(),
            "build_dependencies": build,
            "dependencies": [f"-r {REQUIREMENTS_FILE}"],
        },
        sort=False,
    )


def _conda(lines: list[str]) -> dict[str, Any]:
    pip = pinned("pip")
    return {
        "name": "mlflow-env",
        "channels": ["conda-forge"],
        "dependencies": [
            f"python={platform.python_version()}",
            "pip" if pip is None else pip.replace("==", "<="),
            {"pip": lines},
        ],
    }


def _read_conda(source: str | Path | Mapping[str, Any]) -> dict[str, Any]:
    import yaml

    content: Any = source
    if isinstance(source, (str, Path)):
        path = Path(source)
        if not path.is_file():
            raise InvalidParameterError(f"The conda environment file '{source}' does not exist")
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(content, Mapping) or not isinstance(
        cast("Mapping[str, Any]", content).get("dependencies", []), list
    ):
        raise InvalidParameterError(f"conda_env must be a mapping with a list 'dependencies', got {source!r}")
    return dict(cast("Mapping[str, Any]", content))


def _pip_part(conda: Mapping[str, Any]) -> list[str]:
    for dependency in conda.get("dependencies", []):
        if isinstance(dependency, Mapping) and "pip" in dependency:
            return [
                text for line in cast("Mapping[str, Any]", dependency)["pip"] if (text := check_line(line))
            ]
    return []


def _write_yaml(path: Path, content: Mapping[str, Any], *, sort: bool = True) -> None:
    import yaml

    path.write_text(yaml.safe_dump(dict(content), default_flow_style=False, sort_keys=sort), encoding="utf-8")
