"""Where files may be deleted: below the roots that this process was told to keep artifacts at, and nowhere else.

Databases hold URIs that clients chose, so a URI alone gives no right to delete. A folder is deleted only if it lies below
a root and has the form that the store itself gives the folder of a run (`.../<run id>/artifacts`) or of a logged model
(`.../models/<model id>/artifacts`).
"""

import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from slipstream.artifact_store.base import ArtifactStore
from slipstream.artifact_store.local import LocalArtifactStore
from slipstream.artifact_store.object_uris import is_object_store, open_object_store
from slipstream.artifact_store.objects import ObjectArtifactStore
from slipstream.artifact_store.paths import check_no_escape, clean_path
from slipstream.artifact_store.uri import is_local, local_folder
from slipstream.errors import InvalidParameterError

Root = LocalArtifactStore | ObjectArtifactStore

PROXY_SCHEME = "mlflow-artifacts"
_ID = re.compile(r"[A-Za-z0-9_-]{8,}")


class Place(NamedTuple):
    """A path of a store."""

    store: ArtifactStore
    path: str


class ArtifactPlaces:
    """The roots of one server, or of one process that works on a database.

    Args:
        destination: what `mlflow-artifacts:/` means; `None` if that is not known here.
        roots: further stores whose URIs the database may hold.
    """

    def __init__(
        self,
        destination: ArtifactStore | Callable[[], ArtifactStore | None] | None,
        roots: Sequence[Root] = (),
    ) -> None:
        self._destination = destination
        self._roots = list(roots)

    @property
    def destination(self) -> ArtifactStore | None:
        return self._destination() if callable(self._destination) else self._destination

    def find(self, uri: str) -> Place | None:
        """Return where a URI's files are; `None` if that is below no root, or the URI is not harmless."""
        with suppress(InvalidParameterError, ValueError):
            check_no_escape(uri, "artifact_uri")
            parts = urlsplit(uri)
            if parts.query or parts.fragment:
                return None
            if parts.scheme == PROXY_SCHEME:
                store = self.destination
                # A host in it would be that of another server.
                if store is None or parts.netloc:
                    return None
                return Place(store, clean_path(parts.path.lstrip("/")))
            for root in self._roots:
                below = root.path_of(uri)
                if below is not None:
                    return Place(root, clean_path(below))
        return None

    def find_real_path(self, uri: str) -> str:
        """Return the one name of where a URI leads, outside of the roots too: a link may lead into one. Else `""`."""
        place = self.find(uri)
        if place is not None:
            return real_path(place)
        with suppress(InvalidParameterError, ValueError):
            if is_local(uri):
                return real_path(Place(LocalArtifactStore(local_folder(uri)), ""))
        return ""

    def find_own(self, uri: str, item_id: str, *, model: bool) -> Place | None:
        """Return the folder of a run or logged model that holds its `artifacts` and nothing else.

        `None` if the URI leads below no root, or has not the form that the store gives it, or a link makes it the folder of
        something else.
        """
        place = self.find(uri)
        if place is None or _ID.fullmatch(item_id) is None:
            return None
        segments = place.path.split("/")
        form = ["models", item_id, "artifacts"] if model else [item_id, "artifacts"]
        if segments[-len(form) :] != form:
            return None
        own = Place(place.store, "/".join(segments[:-1]))
        return own if real_path(own).endswith(f"/{item_id}") else None


def real_path(place: Place) -> str:
    """Return the one name of a place: links are followed, and roots that overlap agree."""
    if isinstance(place.store, LocalArtifactStore):
        return Path(os.path.realpath(place.store.root / place.path)).as_posix()
    where = place.store.where.rstrip("/") if isinstance(place.store, ObjectArtifactStore) else id(place.store)
    return f"{where}/{place.path}"


def delete_own(place: Place) -> None:
    """Delete the artifacts in a folder that `find_own` returned, and the folder, where there is one, if it is empty then.

    Retry-safe. May take long: the more files, the longer.
    """
    place.store.delete(f"{place.path}/artifacts")
    folder = place.store.local_path(place.path)
    if folder is not None:
        with suppress(OSError):  # not there, or not empty: then somebody else put something there
            folder.rmdir()


def open_root(uri: str) -> Root:
    """Return the store of a root that the owner of the process named.

    Raises:
        InvalidParameterError: it is neither a folder nor an object store.
    """
    if is_local(uri):
        return LocalArtifactStore(local_folder(uri).absolute())
    if is_object_store(uri):
        return open_object_store(uri)
    raise InvalidParameterError(
        f"'{uri}' is neither a folder nor an object store (s3://bucket/path, gs://bucket/path, "
        "wasbs://container@account.blob.core.windows.net/path)."
    )


def default_places(artifact_root: str) -> ArtifactPlaces:
    """Return the places of a process that works on a database by itself: the root of its new experiments.

    `mlflow-artifacts:/` is taken to be that folder only if it is there: the server that wrote such URIs may keep its
    artifacts elsewhere.
    """
    if is_local(artifact_root):
        folder = LocalArtifactStore(local_folder(artifact_root))
        return ArtifactPlaces(lambda: folder if folder.root.is_dir() else None, [folder])
    return ArtifactPlaces(None, [open_root(artifact_root)] if is_object_store(artifact_root) else [])
