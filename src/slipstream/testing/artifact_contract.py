"""The suite that every `ArtifactStore` passes. Subclass it with a fixture `artifact_store`, empty for each test.

class TestMyStore(ArtifactStoreContract):
    @pytest.fixture
    def artifact_store(self): ...
"""

from collections.abc import Iterator

import pytest

from slipstream.artifact_store.base import ArtifactStore
from slipstream.entities import FileInfo
from slipstream.errors import InvalidParameterError, NotFoundError, SlipstreamError

# Names that something between caller and disk may take for more than names.
ODD_NAMES = [
    "with blank.txt",
    "100%.txt",
    "a%20b.txt",
    "a%2fb.txt",
    "hash#tag.txt",
    "what?.txt",
    "semi;colon=1.txt",
    "plus+and&equals=.txt",
    "colon:12:30:01.log",
    "loss:train.png",
    "key%step%3%timestamp%1700000000000%2f5c00ab.png",
    "müsli.txt",
    "日本語.bin",
    "quo\"te'.txt",
    "[x]{y}^`|~!$&(),@",
    ".hidden",
    "x..y",
]
HOSTILE_PATHS = [
    "../x",
    "a/../../x",
    "/etc/passwd",
    "..%2fx",
    "%252e%252e%252fx",
    "..\\x",
    "C:\\x",
    "x\x00",
    "file:x",
]


def read(store: ArtifactStore, path: str) -> bytes:
    """Return the content of a file."""
    with store.open(path) as file:
        return file.read()


class BrokenSourceError(Exception):
    """What the source of an upload raises in these tests."""


def breaking(*chunks: bytes) -> Iterator[bytes]:
    """Yield chunks, then fail as a lost client does."""
    yield from chunks
    raise BrokenSourceError


class ArtifactStoreContract:
    def test_an_empty_store_lists_nothing(self, artifact_store: ArtifactStore) -> None:
        assert artifact_store.list() == []
        assert artifact_store.list("nothing/here") == []
        assert artifact_store.stat("nothing") is None
        assert artifact_store.stat("nothing/here") is None
        with pytest.raises(NotFoundError, match="nothing/here"):
            read(artifact_store, "nothing/here")

    def test_what_is_written_is_read_back(self, artifact_store: ArtifactStore) -> None:
        content = bytes(range(256)) * 10
        assert artifact_store.write("a/b/c.bin", [content[:1000], b"", content[1000:]]) == len(content)
        assert read(artifact_store, "a/b/c.bin") == content
        assert artifact_store.stat("a/b/c.bin") == FileInfo("a/b/c.bin", is_dir=False, file_size=len(content))

    def test_an_empty_file_is_a_file(self, artifact_store: ArtifactStore) -> None:
        assert artifact_store.write("empty", []) == 0
        assert read(artifact_store, "empty") == b""
        assert artifact_store.stat("empty") == FileInfo("empty", is_dir=False, file_size=0)

    def test_a_large_file_is_read_in_pieces(self, artifact_store: ArtifactStore) -> None:
        chunk = bytes(range(256)) * 1024
        assert artifact_store.write("large", (chunk for _ in range(13))) == 13 * len(chunk)
        with artifact_store.open("large") as file:
            pieces = list(iter(lambda: file.read(100_000), b""))
        assert b"".join(pieces) == chunk * 13
        assert max(map(len, pieces)) <= 100_000

    def test_writing_again_replaces(self, artifact_store: ArtifactStore) -> None:
        artifact_store.write("x", [b"a longer content"])
        artifact_store.write("x", [b"short"])
        assert read(artifact_store, "x") == b"short"

    def test_listing_is_sorted_and_one_level_deep(self, artifact_store: ArtifactStore) -> None:
        for path in ("z", "d/2", "d/10", "d/sub/x", "B", "d.txt"):
            artifact_store.write(path, [b"12"])
        assert artifact_store.list() == [
            FileInfo("B", is_dir=False, file_size=2),
            FileInfo("d", is_dir=True),
            FileInfo("d.txt", is_dir=False, file_size=2),
            FileInfo("z", is_dir=False, file_size=2),
        ]
        assert artifact_store.list("d") == [
            FileInfo("d/10", is_dir=False, file_size=2),
            FileInfo("d/2", is_dir=False, file_size=2),
            FileInfo("d/sub", is_dir=True),
        ]
        assert artifact_store.list("d/") == artifact_store.list("d")

    def test_a_file_has_nothing_in_it(self, artifact_store: ArtifactStore) -> None:
        artifact_store.write("d/f", [b"1"])
        assert artifact_store.list("d/f") == []

    def test_a_folder_is_no_file(self, artifact_store: ArtifactStore) -> None:
        artifact_store.write("d/f", [b"1"])
        assert artifact_store.stat("d") == FileInfo("d", is_dir=True)
        with pytest.raises(InvalidParameterError):
            read(artifact_store, "d")
        with pytest.raises(InvalidParameterError):
            artifact_store.write("d", [b"1"])
        assert read(artifact_store, "d/f") == b"1"

    def test_nothing_is_written_below_a_file(self, artifact_store: ArtifactStore) -> None:
        artifact_store.write("f", [b"1"])
        with pytest.raises(InvalidParameterError):
            artifact_store.write("f/x", [b"2"])
        assert read(artifact_store, "f") == b"1"
        assert artifact_store.stat("f/x") is None

    def test_deleting_files_and_folders(self, artifact_store: ArtifactStore) -> None:
        for path in ("d/1", "d/sub/2", "f", "stays"):
            artifact_store.write(path, [b"x"])
        artifact_store.delete("f")
        artifact_store.delete("d")
        assert [info.path for info in artifact_store.list()] == ["stays"]
        artifact_store.delete("d")
        artifact_store.delete("stays/below-a-file")
        assert [info.path for info in artifact_store.list()] == ["stays"]

    @pytest.mark.parametrize("root", ["", "a/.."])
    def test_the_root_is_neither_written_nor_deleted(self, artifact_store: ArtifactStore, root: str) -> None:
        artifact_store.write("x", [b"1"])
        with pytest.raises(InvalidParameterError):
            artifact_store.delete(root)
        with pytest.raises(InvalidParameterError):
            artifact_store.write(root, [b"1"])
        with pytest.raises(InvalidParameterError):
            artifact_store.create(root)
        assert [info.path for info in artifact_store.list()] == ["x"]

    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_odd_names_are_names(self, artifact_store: ArtifactStore, name: str) -> None:
        artifact_store.write(f"d/{name}", [name.encode()])
        assert [info.path for info in artifact_store.list("d")] == [f"d/{name}"]
        assert read(artifact_store, f"d/{name}") == name.encode()
        artifact_store.delete(f"d/{name}")
        assert artifact_store.stat(f"d/{name}") is None

    @pytest.mark.parametrize("path", HOSTILE_PATHS)
    def test_every_verb_refuses_hostile_paths(self, artifact_store: ArtifactStore, path: str) -> None:
        for verb in (
            artifact_store.list,
            artifact_store.stat,
            artifact_store.open,
            artifact_store.create,
            artifact_store.delete,
            artifact_store.local_path,
        ):
            with pytest.raises(InvalidParameterError):
                verb(path)
        with pytest.raises(InvalidParameterError):
            artifact_store.write(path, [b"x"])

    def test_a_broken_upload_changes_nothing(self, artifact_store: ArtifactStore) -> None:
        artifact_store.write("old", [b"old"])
        # Through a connection it may come out as the connection's error.
        for path in ("old", "new", "folder/new"):
            with pytest.raises((BrokenSourceError, SlipstreamError)):
                artifact_store.write(path, breaking(b"half", b"x" * 3_000_000))
        assert read(artifact_store, "old") == b"old"
        assert [info.path for info in artifact_store.list() if not info.is_dir] == ["old"]
        assert artifact_store.list("folder") == []

    def test_piece_by_piece(self, artifact_store: ArtifactStore) -> None:
        writer = artifact_store.create("p/q")
        writer.write(b"one ")
        assert artifact_store.stat("p/q") is None
        writer.write(b"two")
        assert writer.commit() == 7
        writer.close()
        writer.close()
        assert read(artifact_store, "p/q") == b"one two"

    def test_what_is_not_committed_is_thrown_away(self, artifact_store: ArtifactStore) -> None:
        artifact_store.write("p", [b"before"])
        writer = artifact_store.create("p")
        writer.write(b"x" * 100)
        writer.close()
        assert read(artifact_store, "p") == b"before"
        assert [info.path for info in artifact_store.list()] == ["p"]

    def test_local_path_leads_to_the_content(self, artifact_store: ArtifactStore) -> None:
        artifact_store.write("d/f", [b"here"])
        local = artifact_store.local_path("d/f")
        if local is None:  # the files are elsewhere; then the folder is, too
            assert artifact_store.local_path("d") is None
            assert artifact_store.local_path() is None
            return
        assert local.read_bytes() == b"here"
        folder = artifact_store.local_path("d")
        assert folder is not None
        assert [path.name for path in folder.iterdir()] == ["f"]
