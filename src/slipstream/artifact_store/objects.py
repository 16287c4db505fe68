"""Artifacts in an object store: S3, Google Cloud Storage, Azure Blob Storage, through obstore (extra `cloud`)."""

import logging
import re
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self
from weakref import WeakSet

from slipstream import settings
from slipstream.artifact_store.object_uris import is_object_store, parse_place
from slipstream.artifact_store.paths import clean_path
from slipstream.artifact_store.uploads import MOST_PARTS
from slipstream.entities import FileInfo
from slipstream.errors import (
    ConflictError,
    InternalError,
    InvalidParameterError,
    NotFoundError,
    StorageError,
    UnavailableError,
)

SMALLEST_PART = 5 * 1024 * 1024
"""What S3 asks of each part but the last."""
_PARTS_AT_ONCE = 4
"""Of one upload; where several go on in this process they share that many, and each has one at least."""
_READ_BYTES = 1 << 20
_REOPENINGS = 3
_DELETED_AT_ONCE = 1000
_KNOWN_FOLDERS = 4096
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w+)</Code>")

_writers: "WeakSet[ObjectWriter]" = WeakSet()
_counting = threading.Lock()
_logger = logging.getLogger(__name__)


def part_bytes() -> int:
    """Return the size of an upload's parts, which is also how much of a file is kept in memory a part under way."""
    size = settings.MULTIPART_UPLOAD_CHUNK_SIZE.get()
    if size < SMALLEST_PART:
        raise InvalidParameterError(
            f"{settings.MULTIPART_UPLOAD_CHUNK_SIZE.name} is {size}; object stores take parts of at least "
            f"{SMALLEST_PART} bytes. Raise it, or unset it."
        )
    return size


class WalkedObject(NamedTuple):
    path: str
    size: int
    last_change_ms: int


class ObjectArtifactStore:
    """Objects of one bucket below a prefix. A folder is there as long as an object is in it.

    Args:
        bucket: an obstore store of the whole bucket.
        prefix: the path of this store's root in the bucket.
        where: the root as a URI, for messages.
    """

    def __init__(self, bucket: Any, prefix: str, where: str) -> None:
        self._bucket = bucket
        self._prefix = prefix
        self.where = where
        # Whether a folder above a new file is a file is asked once, not at every upload into it.
        self._require_folder = lru_cache(maxsize=_KNOWN_FOLDERS)(self._check_folder)

    def below(self, path: str) -> "ObjectArtifactStore":
        """Return the store whose root is a folder of this one."""
        clean = clean_path(path)
        return ObjectArtifactStore(self._bucket, self.key(clean), f"{self.where.rstrip('/')}/{clean}")

    def path_of(self, uri: str) -> str | None:
        """Return the path of a storage URI below this store, or `None` if it is elsewhere."""
        if not is_object_store(uri):
            return None
        root, place = parse_place(self.where), parse_place(uri)
        if (root.scheme, root.bucket, root.account) != (place.scheme, place.bucket, place.account):
            return None
        if not self._prefix:
            return place.prefix
        if place.prefix != self._prefix and not place.prefix.startswith(self._prefix + "/"):
            return None
        return place.prefix[len(self._prefix) + 1 :]

    def key(self, clean: str) -> str:
        """Return the object's name in the bucket."""
        return "/".join(part for part in (self._prefix, clean) if part)

    def list(self, path: str = "") -> list[FileInfo]:
        obstore = _obstore()

        clean = clean_path(path)
        with _explained(clean):
            found = obstore.list_with_delimiter(self._bucket, self.key(clean) or None)
        folders = {self._relative(name) for name in found["common_prefixes"]}
        files = {self._relative(each["path"]): each["size"] for each in found["objects"]}
        # Consoles mark an empty folder with an object that has the folder's own name.
        infos = [FileInfo(name, is_dir=True) for name in folders if name != clean]
        infos += [
            FileInfo(name, is_dir=False, file_size=size)
            for name, size in files.items()
            if name not in (clean, "") and name not in folders
        ]
        return sorted(infos, key=lambda info: info.path)

    def walk(self, path: str) -> Iterator["WalkedObject"]:
        """Return all objects below a folder, however deep."""
        obstore = _obstore()

        clean = clean_path(path)
        with _explained(clean):
            for batch in obstore.list(self._bucket, self.key(clean) or None, chunk_size=_DELETED_AT_ONCE):
                for each in batch:
                    changed = int(each["last_modified"].timestamp() * 1000)
                    yield WalkedObject(self._relative(each["path"]), each["size"], changed)

    def stat(self, path: str) -> FileInfo | None:
        clean = clean_path(path)
        if not clean:
            return FileInfo("", is_dir=True)
        meta = self._find(clean)
        if meta is not None:
            return FileInfo(clean, is_dir=False, file_size=meta["size"])
        return FileInfo(clean, is_dir=True) if self._is_folder(clean) else None

    def open(self, path: str) -> "ObjectReader":
        clean = clean_path(path)
        meta = self._find(clean) if clean else None
        if meta is None:
            if not clean or self._is_folder(clean):
                raise InvalidParameterError(
                    f"The artifact '{clean}' is a folder; list it, or name a file in it."
                )
            raise NotFoundError(f"No artifact '{clean}' exists here.")
        return ObjectReader(self._bucket, self.key(clean), clean, meta)

    def write(self, path: str, chunks: Iterable[bytes]) -> int:
        with closing(self.create(path)) as writer:
            for chunk in chunks:
                writer.write(chunk)
            return writer.commit()

    def create(self, path: str, size: int | None = None) -> "ObjectWriter":
        """Begin a file; the size in bytes, where it is known, lets it be larger than 10,000 parts of the smallest size."""
        return ObjectWriter(self._bucket, self.require_writable(path), clean_path(path), size or 0)

    def require_writable(self, path: str) -> str:
        """Return the key for a new file.

        Raises:
            InvalidParameterError: a folder has this name, or a part of the path is a file.
        """
        clean = clean_path(path)
        if not clean:
            raise InvalidParameterError("Cannot write to the artifact root itself; name a file.")
        above = clean.rpartition("/")[0]
        while above:
            self._require_folder(above)
            above = above.rpartition("/")[0]
        if self._is_folder(clean):
            raise InvalidParameterError(f"Cannot write '{clean}': a folder has this name.")
        return self.key(clean)

    def delete(self, path: str) -> None:
        obstore = _obstore()

        clean = clean_path(path)
        if not clean:
            raise InvalidParameterError(
                "Refusing to delete the artifact root itself; name a file or folder in it."
            )
        self._require_folder.cache_clear()
        key = self.key(clean)
        with _explained(clean):
            for batch in obstore.list(self._bucket, key, chunk_size=_DELETED_AT_ONCE):
                obstore.delete(self._bucket, [each["path"] for each in batch])
            if self._find(clean) is not None:
                obstore.delete(self._bucket, key)

    def local_path(self, path: str = "") -> Path | None:
        clean_path(path)
        return None

    def sign_download(self, path: str, seconds: int) -> tuple[str, int]:
        """Return an address that gives the file to everybody who has it, for a while, and the file's size.

        Raises:
            NotFoundError: there is no such file.
        """
        obstore = _obstore()

        clean = clean_path(path)
        meta = self._find(clean) if clean else None
        if meta is None:
            raise NotFoundError(f"No artifact '{clean}' exists here.")
        with _explained(clean):
            return obstore.sign(self._bucket, "GET", self.key(clean), timedelta(seconds=seconds)), meta[
                "size"
            ]

    def check(self) -> None:
        """Ask the store for something small.

        Raises:
            SlipstreamError: it cannot be reached, the bucket is missing, or the credentials are refused.
        """
        obstore = _obstore()

        with _explained(self.where):
            next(iter(obstore.list(self._bucket, self._prefix or None, chunk_size=1)), None)

    def _relative(self, key: str) -> str:
        return key.removeprefix(self._prefix).lstrip("/") if self._prefix else key

    def _find(self, clean: str) -> Any:
        obstore = _obstore()

        with _explained(clean):
            try:
                return obstore.head(self._bucket, self.key(clean))
            except FileNotFoundError:
                return None

    def _is_folder(self, clean: str) -> bool:
        obstore = _obstore()

        with _explained(clean):
            first: Any = next(iter(obstore.list(self._bucket, self.key(clean), chunk_size=1)), ())
            return bool(first)

    def _check_folder(self, clean: str) -> None:
        if self._find(clean) is not None:
            raise InvalidParameterError(f"'{clean}' is a file, so nothing can be written below it.")


class ObjectReader:
    """A file that is read as one stream; where the connection breaks, from there on with another.

    A file that is replaced meanwhile ends with an error, never with a mixture of both.
    """

    def __init__(self, bucket: Any, key: str, clean: str, meta: Any) -> None:
        self._bucket = bucket
        self._key = key
        self._clean = clean
        self.size: int = meta["size"]
        self.etag: str | None = meta["e_tag"]
        self._position = 0
        self._stream: Iterator[Any] | None = None
        self._rest = memoryview(b"")

    def seek(self, offset: int, whence: int = 0, /) -> int:
        base = (0, self._position, self.size)[whence]
        position = max(0, base + offset)
        if position != self._position:
            self._position = position
            self.close()
        return position

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes, fewer only at the end."""
        wanted = self.size - self._position
        if size >= 0:
            wanted = min(size, wanted)
        pieces: list[bytes] = []
        while wanted > 0:
            if not self._rest:
                self._rest = self._next()
            piece = bytes(self._rest[:wanted])
            self._rest = self._rest[len(piece) :]
            self._position += len(piece)
            wanted -= len(piece)
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _next(self) -> memoryview:
        from obstore.exceptions import BaseError

        obstore = _obstore()

        for left in reversed(range(_REOPENINGS)):
            try:
                if self._stream is None:
                    options: Any = {"range": (self._position, self.size)}
                    if self.etag is not None:
                        options["if_match"] = self.etag
                    with _explained(self._clean):
                        result = obstore.get(self._bucket, self._key, options=options)
                    self._stream = iter(result.stream(min_chunk_size=_READ_BYTES))
                piece = memoryview(next(self._stream, b""))
            except (BaseError, OSError) as error:
                self._stream = None
                if not left:
                    raise _broken_off(self._clean) from error
                continue
            if piece:
                return piece
            self._stream = None  # the answer ended early
        raise _broken_off(self._clean)

    def close(self) -> None:
        self._stream = None
        self._rest = memoryview(b"")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()


class ObjectWriter:
    """A file that is uploaded in parts as it comes. The store shows it when the last request has put them together."""

    def __init__(self, bucket: Any, key: str, clean: str, size: int) -> None:
        obstore = _obstore()

        self._clean = clean
        self._size = 0
        smallest = part_bytes() if settings.MULTIPART_UPLOAD_CHUNK_SIZE.is_set() else SMALLEST_PART
        with _counting:
            _writers.add(self)
            at_once = max(1, _PARTS_AT_ONCE // len(_writers))
        # All parts under way, and the one that is filled, are in memory.
        self._file: Any = obstore.open_writer(
            bucket, key, buffer_size=max(smallest, -(-size // MOST_PARTS)), max_concurrency=at_once
        )

    def write(self, data: bytes, /) -> None:
        with _explained(self._clean):
            self._file.write(data)
        self._size += len(data)

    def commit(self) -> int:
        file, self._file = self._file, None
        _writers.discard(self)
        with _explained(self._clean):
            try:
                file.close()
            except BaseException:
                _give_up(file)
                raise
        return self._size

    def close(self) -> None:
        file, self._file = self._file, None
        _writers.discard(self)
        if file is not None:
            _give_up(file)


def _give_up(file: Any) -> None:
    """Have the parts that are there thrown away; where that fails, the store's own rule for old ones has to do."""
    from obstore.exceptions import BaseError

    try:
        # Left with an error, obstore's writer aborts; there is no method of that name.
        file.__exit__(InterruptedError, InterruptedError(), None)
    except (BaseError, OSError) as error:
        _logger.warning("Parts of an upload that was given up could not be deleted: %s", _reason(error))


def _obstore() -> Any:
    import obstore

    return obstore


@contextmanager
def _explained(clean: str) -> Generator[None]:
    """Turn obstore's errors into ours; what they tell of hosts and requests goes to the log only."""
    from obstore import exceptions

    try:
        yield
    except FileNotFoundError as error:
        if "NoSuchBucket" in str(error) or "ContainerNotFound" in str(error):
            raise _no_bucket() from error
        raise NotFoundError(f"No artifact '{clean}' exists here.") from error
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError, PermissionError) as error:
        raise _refused(clean, _reason(error)) from error
    except exceptions.PreconditionError as error:
        raise _replaced(clean) from error
    except exceptions.BaseError as error:
        raise _unavailable_or_internal(clean, error) from error
    except OSError as error:  # obstore's writer tells of everything with it
        raise _unavailable_or_internal(clean, error) from error


def _unavailable_or_internal(clean: str, error: Exception) -> Exception:
    reason = _reason(error)
    if "NoSuchBucket" in str(error) or "ContainerNotFound" in str(error):
        return _no_bucket()
    if reason in ("403", "401", "AccessDenied", "SignatureDoesNotMatch", "InvalidAccessKeyId"):
        return _refused(clean, reason)
    # What its clients are told does not explain it.
    _logger.warning("The object store failed at '%s': %s", clean, str(error).splitlines()[0][:500])
    if reason.startswith("4") or (reason.isalpha() and reason not in _PASSING):
        return InternalError(f"Artifact '{clean}': the object store answered {reason}.")
    return UnavailableError(
        f"Artifact '{clean}': the object store is out of order or cannot be reached ({reason}). Nothing was changed; "
        "try again."
    )


_PASSING = frozenset({"InternalError", "ServiceUnavailable", "SlowDown", "RequestTimeout", "InternalFailure"})


def _reason(error: Exception) -> str:
    """Return the store's code for what is wrong, else its HTTP status, else that it did not answer."""
    text = str(error)
    if (code := _CODE.search(text)) is not None:
        return code[1]
    if (status := _STATUS.search(text)) is not None:
        return status[1]
    return "no answer"


def _no_bucket() -> StorageError:
    return StorageError("The bucket that keeps artifacts does not exist. Create it.")


def _refused(clean: str, reason: str) -> StorageError:
    return StorageError(
        f"Artifact '{clean}': the object store refused ({reason}). Give the process that keeps artifacts credentials "
        "that may list, read, write and delete in its bucket."
    )


def _replaced(clean: str) -> ConflictError:
    return ConflictError(f"The artifact '{clean}' was replaced while it was read. Read it again.")


def _broken_off(clean: str) -> UnavailableError:
    return UnavailableError(f"The object store broke off while '{clean}' was read. Try again.")
