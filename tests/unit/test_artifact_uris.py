"""Where URIs lead, and how files come from there."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

import slipstream
from slipstream.client import artifacts, connect, transfer
from slipstream.client.model_uris import ModelUri, parse_model_uri
from slipstream.entities import FileInfo, LoggedModel, LoggedModelOutput
from slipstream.errors import (
    BadRequestError,
    ConflictError,
    InternalError,
    InvalidParameterError,
    NotFoundError,
)

# -- spelling ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("models:/net/3", ModelUri(name="net", version="3")),
        ("models:/net/3/data/model.pkl", ModelUri(name="net", version="3", path="data/model.pkl")),
        ("models:/net@champion", ModelUri(name="net", alias="champion")),
        ("models:/net@champion/MLmodel", ModelUri(name="net", alias="champion", path="MLmodel")),
        ("models:/net/latest", ModelUri(name="net", stage="latest")),
        ("models:/net/Production", ModelUri(name="net", stage="Production")),
        ("models:/m-0123abcd", ModelUri(model_id="m-0123abcd")),
        ("models:/m-0123abcd/MLmodel", ModelUri(model_id="m-0123abcd", path="MLmodel")),
        ("models:/m-net/2", ModelUri(name="m-net", version="2")),
        ("models:/a b#c?d/1", ModelUri(name="a b#c?d", version="1")),
    ],
)
def test_model_uri(uri: str, parts: ModelUri) -> None:
    assert parse_model_uri(uri) == parts


@pytest.mark.parametrize(
    "uri", ["models:/", "models:/net", "models://net/1", "models:/@a", "models:/net@", "models:net/1"]
)
def test_model_uri_of_no_form(uri: str) -> None:
    with pytest.raises(InvalidParameterError, match="has not one of the forms"):
        parse_model_uri(uri)


@pytest.mark.parametrize("uri", ["runs:/", "runs://abc/x", "runs:abc"])
def test_run_uri_of_no_form(uri: str) -> None:
    with pytest.raises(InvalidParameterError, match="has not the form runs:/"):
        artifacts.parse_run_uri(uri)


@pytest.mark.parametrize(
    ("root", "path", "joined"),
    [
        ("/a/b", "c", "/a/b/c"),
        ("/a/b/", "", "/a/b/"),
        ("s3://bucket/a?region=x", "c/d", "s3://bucket/a/c/d?region=x"),
        ("mlflow-artifacts:/1/r/artifacts", "c", "mlflow-artifacts:/1/r/artifacts/c"),
        ("/odd?name", "c", "/odd?name/c"),
    ],
)
def test_join(root: str, path: str, joined: str) -> None:
    assert artifacts.join_uri(root, path) == joined


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("http://host:5000/", "http://host:5000"),
        ("postgresql+psycopg2://u@h/db", "postgresql://u@h/db"),
        ("sqlite:////abs/x.db", "sqlite:////abs/x.db"),
        ("/abs/x.db", "sqlite:////abs/x.db"),
    ],
)
def test_tracking_address(uri: str, address: str) -> None:
    assert connect.normalise(uri) == address


def test_relative_address_is_of_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert connect.normalise("sqlite:///x.db") == connect.normalise("x.db") == f"sqlite:///{tmp_path}/x.db"


@pytest.mark.parametrize("uri", ["./mlruns", "file:///x", "ftp://x", "databricks", "sqlite://", "sqlite:///"])
def test_address_of_no_kind(uri: str) -> None:
    with pytest.raises(InvalidParameterError, match="Tracking URI"):
        connect.normalise(uri)


# -- meaning ----------------------------------------------------------------------------------------


@pytest.fixture
def run_id(tracking: str) -> str:
    with slipstream.start_run() as run:
        slipstream.log_text("one", "t/one.txt")
        slipstream.log_text("two", "t/deep/two.txt")
        slipstream.log_text('{"k": 1}', "d.json")
    return run.info.run_id


@pytest.fixture
def model(run_id: str, tmp_path: Path) -> LoggedModel:
    """A model logged by the run under the name `net`, at step 1; an older one of that name at step 0."""
    (tmp_path / "files").mkdir()
    made: list[LoggedModel] = []
    client = slipstream.SlipstreamClient()
    for step in range(2):
        made.append(client.create_logged_model("0", "net", source_run_id=run_id))
        (tmp_path / "files" / "MLmodel").write_text(f"step: {step}\n")
        client.log_model_artifacts(made[-1].model_id, tmp_path / "files")
        client.log_outputs(run_id, [LoggedModelOutput(made[-1].model_id, step)])
    client.create_registered_model("reg")
    client.create_model_version("reg", f"models:/{made[1].model_id}", run_id, model_id=made[1].model_id)
    client.set_registered_model_alias("reg", "champion", "1")
    return made[1]


def test_run_uri_means_the_runs_file(run_id: str) -> None:
    root = slipstream.get_run(run_id).info.artifact_uri

    assert artifacts.resolve_uri(f"runs:/{run_id}/t/one.txt") == f"{root}/t/one.txt"
    assert artifacts.resolve_uri(f"runs:/{run_id}") == root
    assert artifacts.resolve_uri("s3://bucket/x") == "s3://bucket/x"


def test_model_uris_mean_its_files(run_id: str, model: LoggedModel) -> None:
    for uri in (
        f"models:/{model.model_id}",
        "models:/reg/1",
        "models:/reg@champion",
        "models:/reg/latest",
        f"runs:/{run_id}/net",
    ):
        assert artifacts.resolve_uri(uri) == model.artifact_location
        assert artifacts.load_text(f"{uri}/MLmodel") == "step: 1\n"


def test_what_does_not_exist(run_id: str, model: LoggedModel) -> None:
    for uri in ("runs:/" + "0" * 32 + "/x", "models:/m-" + "0" * 32, "models:/reg/9", "models:/none/latest"):
        with pytest.raises(NotFoundError):
            artifacts.resolve_uri(uri)
    with pytest.raises(InvalidParameterError):
        artifacts.resolve_uri("models:/reg@nobody")
    with pytest.raises(NotFoundError):
        artifacts.download_artifacts(f"runs:/{run_id}/none")
    with pytest.raises(NotFoundError):
        artifacts.download_artifacts(f"runs:/{run_id}/none", dst_path="out")


def files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("path", "result", "files"),
    [
        ("t/one.txt", "one.txt", ["one.txt"]),
        ("t", "t", ["t/deep/two.txt", "t/one.txt"]),
        ("t/deep", "deep", ["deep/two.txt"]),
        (None, "", ["d.json", "t/deep/two.txt", "t/one.txt"]),
    ],
)
def test_download_to_a_folder(
    run_id: str, tmp_path: Path, path: str | None, result: str, files: list[str]
) -> None:
    out = tmp_path / "out"

    assert artifacts.download_artifacts(run_id=run_id, artifact_path=path, dst_path=out) == str(out / result)
    assert files_below(out) == files


def test_download_of_a_model_is_its_content(run_id: str, model: LoggedModel, tmp_path: Path) -> None:
    assert artifacts.download_artifacts("models:/reg/1", dst_path=tmp_path / "a") == str(tmp_path / "a")
    assert files_below(tmp_path / "a") == ["MLmodel"]
    assert artifacts.download_artifacts(f"runs:/{run_id}/net", dst_path=tmp_path / "b") == str(
        tmp_path / "b" / "net"
    )
    assert files_below(tmp_path / "b") == ["net/MLmodel"]


def test_local_files_are_not_copied(run_id: str, tmp_path: Path) -> None:
    root = slipstream.get_run(run_id).info.artifact_uri

    assert artifacts.download_artifacts(f"runs:/{run_id}/t") == f"{root}/t"
    (tmp_path / "own.txt").write_text("x")
    assert artifacts.download_artifacts(str(tmp_path / "own.txt")) == str(tmp_path / "own.txt")
    assert artifacts.download_artifacts((tmp_path / "own.txt").as_uri()) == str(tmp_path / "own.txt")


def test_listing(run_id: str) -> None:
    expected = [FileInfo("t/deep", True), FileInfo("t/one.txt", False, 3)]

    assert artifacts.list_artifacts(run_id=run_id, artifact_path="t") == expected
    assert artifacts.list_artifacts(f"runs:/{run_id}/t") == expected
    assert [info.path for info in artifacts.list_artifacts(f"runs:/{run_id}/t/deep")] == ["deep/two.txt"]
    assert [info.path for info in artifacts.list_artifacts(run_id=run_id)] == ["d.json", "t"]
    assert artifacts.list_artifacts(f"runs:/{run_id}/t/one.txt") == []


def test_reading(run_id: str) -> None:
    assert artifacts.load_text(f"runs:/{run_id}/t/one.txt") == "one"
    assert artifacts.load_dict(f"runs:/{run_id}/d.json") == {"k": 1}
    with pytest.raises(BadRequestError, match="is not JSON"):
        artifacts.load_dict(f"runs:/{run_id}/t/one.txt")
    with pytest.raises(BadRequestError, match="is no image"):
        artifacts.load_image(f"runs:/{run_id}/t/one.txt")
    with pytest.raises(NotFoundError, match="no file"):
        artifacts.load_text(f"runs:/{run_id}/t")


@pytest.mark.parametrize(
    "arguments", [{}, {"run_id": "r", "artifact_uri": "u"}, {"artifact_uri": "u", "artifact_path": "p"}]
)
def test_arguments_that_contradict(tracking: str, arguments: dict[str, str]) -> None:
    with pytest.raises(InvalidParameterError):
        artifacts.download_artifacts(**arguments)


# -- transfer from a store that cannot be trusted ---------------------------------------------------


class Remote:
    """An artifact store whose listing says what it likes."""

    def __init__(self, listing: list[FileInfo], content: bytes = b"content") -> None:
        self.listing = listing
        self.content = content

    def list(self, path: str) -> list[FileInfo]:
        return self.listing

    def stat(self, path: str) -> FileInfo | None:
        return FileInfo(path, True)

    def open(self, path: str) -> Any:
        import io

        return io.BytesIO(self.content)

    def write(self, path: str, chunks: Iterable[bytes]) -> int:
        return sum(len(chunk) for chunk in chunks) - 1


@pytest.mark.parametrize("path", ["../evil.txt", "/etc/evil", "a/../../evil.txt"])
def test_listing_cannot_lead_out_of_the_folder(tmp_path: Path, path: str) -> None:
    store: Any = Remote([FileInfo(path, False, 7)])

    with pytest.raises(InvalidParameterError):
        transfer.download(store, "", tmp_path / "out")
    assert files_below(tmp_path) == []


def test_file_of_another_size_is_not_kept(tmp_path: Path) -> None:
    store: Any = Remote([FileInfo("a.bin", False, 8)])

    with pytest.raises(InternalError, match="brought 7 bytes of 8"):
        transfer.download(store, "", tmp_path / "out")
    assert files_below(tmp_path) == []


def test_many_files_and_one_error_stop_the_rest(tmp_path: Path) -> None:
    store: Any = Remote([FileInfo(f"f{number}", False, 7) for number in range(50)])
    transfer.download(store, "", tmp_path / "all")
    assert len(files_below(tmp_path / "all")) == 50

    bad: Any = Remote([*store.listing, FileInfo("bad", False, 1)])
    with pytest.raises(InternalError, match="'bad'"):
        transfer.download(bad, "", tmp_path / "some")


def test_upload_that_stored_less_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"12345")
    store: Any = Remote([])

    with pytest.raises(ConflictError, match="stored 4 bytes of 5"):
        transfer.upload_file(store, tmp_path / "f", "f")
