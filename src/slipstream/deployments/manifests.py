"""A folder of manifests, one file a deployment, which is also the memory of what was deployed; and kubectl.

Which model, and with which settings, stands in annotations of the first object, so a file tells all about itself.
"""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, NamedTuple, cast

import yaml

from slipstream.deployments.names import require_dns_label
from slipstream.errors import (
    AlreadyExistsError,
    ExecutionError,
    InvalidParameterError,
    MissingDependencyError,
    NotFoundError,
)

DEFAULT_FOLDER = "deployments"
MODEL_URI = "slipstream/model-uri"
SETTINGS = "slipstream/settings"
TARGET = "slipstream/target"
_ENDING = ".yaml"
_SHOWN = 500


class Manifest(NamedTuple):
    """One deployment's file, read."""

    path: Path
    model_uri: str
    settings: dict[str, Any]
    documents: list[dict[str, Any]]


def annotations(target: str, model_uri: str, settings: dict[str, Any]) -> dict[str, str]:
    """Return the annotations by which a manifest is known again."""
    return {TARGET: target, MODEL_URI: model_uri, SETTINGS: json.dumps(settings, sort_keys=True)}


class ManifestFolder:
    """The manifests of one target in one folder."""

    def __init__(self, folder: str | Path, target: str) -> None:
        self._folder = Path(folder).expanduser()
        self._target = target

    def path(self, name: str) -> Path:
        return self._folder / f"{require_dns_label(name, 'name')}{_ENDING}"

    def require_absent(self, name: str) -> None:
        if self.path(name).exists():
            raise AlreadyExistsError(
                f"'{self.path(name)}' exists already. Update the deployment, delete it, or choose another name."
            )

    def write(self, name: str, documents: list[dict[str, Any]]) -> Path:
        """Write a deployment's objects; a reader sees the old file or the new one, never a part."""
        # safe_dump quotes whatever could be read as anything but text.
        text = yaml.safe_dump_all(documents, sort_keys=False, explicit_start=True, allow_unicode=True)
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{name}-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            Path(temporary).chmod(0o644)  # no secret is in it
            Path(temporary).replace(path)
        finally:
            Path(temporary).unlink(missing_ok=True)
        return path

    def read(self, name: str) -> Manifest:
        """Read a deployment's file.

        Raises:
            NotFoundError: there is none.
            InvalidParameterError: it is not one of this target's.
        """
        path = self.path(name)
        if not path.is_file():
            raise NotFoundError(
                f"There is no manifest '{path}'. Name its folder with -C output=FOLDER or -t {self._target}:FOLDER."
            )
        found = self._load(path)
        if found is None:
            raise InvalidParameterError(
                f"'{path}' is no manifest that slipstream made for {self._target}; it is left as it is."
            )
        return found

    def names(self) -> list[str]:
        if not self._folder.is_dir():
            return []
        paths = sorted(self._folder.glob(f"*{_ENDING}"))
        return [path.name.removesuffix(_ENDING) for path in paths if self._load(path) is not None]

    def remove(self, name: str) -> None:
        self.path(name).unlink(missing_ok=True)

    def _load(self, path: Path) -> Manifest | None:
        try:
            documents: list[Any] = list(yaml.safe_load_all(path.read_text("utf-8")))
            found = cast("dict[str, str]", documents[0]["metadata"]["annotations"])
            if found[TARGET] != self._target:
                return None
            return Manifest(path, found[MODEL_URI], json.loads(found[SETTINGS]), documents)
        except (yaml.YAMLError, UnicodeDecodeError, LookupError, TypeError, ValueError):
            return None


def kubectl(arguments: list[str], context: str | None) -> str:
    """Run kubectl and return what it prints.

    Raises:
        MissingDependencyError: it is not installed.
        ExecutionError: it failed.
    """
    program = shutil.which("kubectl")
    if program is None:
        raise MissingDependencyError(
            "apply=true needs the program kubectl, which is not in PATH. Install it, or leave apply out and hand the "
            "manifest to whoever deploys."
        )
    chosen = [] if context is None else [f"--context={context}"]
    done = subprocess.run([program, *chosen, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr or done.stdout).strip()[-_SHOWN:]
        raise ExecutionError(
            f"'kubectl {' '.join(arguments)}' ended with exit code {done.returncode}: {reason}"
        )
    return done.stdout
