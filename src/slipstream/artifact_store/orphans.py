"""What lies in an artifact root in the store's own layout, whether or not a database knows of it.

The layout is `<experiment id>/<run id>/artifacts` and `<experiment id>/models/<model id>/artifacts`.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from slipstream.artifact_store.abandoned import remove_abandoned
from slipstream.artifact_store.local import LocalArtifactStore
from slipstream.artifact_store.objects import ObjectArtifactStore
from slipstream.artifact_store.places import Place
from slipstream.artifact_store.s3_uploads import remove_abandoned_uploads
from slipstream.errors import NotImplementedByServerError

_EXPERIMENT = re.compile(r"\d{1,18}", re.ASCII)
_RUN = re.compile(r"[0-9a-f]{32}")
_MODEL = re.compile(r"m-[0-9a-f]{32}")


class ExperimentFolder(NamedTuple):
    """The folders of runs and logged models of one experiment: the path of each, by id."""

    runs: dict[str, str]
    models: dict[str, str]


def find_own_folders(root: Place) -> Iterator[ExperimentFolder]:
    """Return the folders below the root of the layout that have its form; others are nobody's business here."""
    for experiment, path in _folders(root, root.path):
        if _EXPERIMENT.fullmatch(experiment) is None:
            continue
        runs = {name: below for name, below in _folders(root, path) if _RUN.fullmatch(name)}
        models = {name: below for name, below in _folders(root, f"{path}/models") if _MODEL.fullmatch(name)}
        yield ExperimentFolder(runs, models)


def _folders(root: Place, path: str) -> Iterator[tuple[str, str]]:
    for info in root.store.list(path):
        if info.is_dir:
            yield info.path.rpartition("/")[2], info.path


def remove_unfinished(root: Place, older_than_seconds: float, *, dry_run: bool) -> int:
    """Delete what uploads left that were begun and not finished, or only count it."""
    if isinstance(root.store, LocalArtifactStore):
        return remove_abandoned(root.store.local_path(root.path), older_than_seconds, dry_run=dry_run)
    if isinstance(root.store, ObjectArtifactStore):
        try:
            return remove_abandoned_uploads(root.store, older_than_seconds, dry_run=dry_run)
        except NotImplementedByServerError:  # not S3: the bucket's own rule for old uploads has to do
            return 0
    return 0
