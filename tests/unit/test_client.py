"""`SlipstreamClient`: batches, history, files, figures, images, tables, registry."""

import json
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import slipstream
from slipstream import SlipstreamClient
from slipstream.entities import Metric, Param, RunStatus, RunTag
from slipstream.errors import InvalidParameterError, MissingDependencyError, NotFoundError


@pytest.fixture
def client(tracking: str) -> SlipstreamClient:
    return SlipstreamClient(tracking)


@pytest.fixture
def run_id(client: SlipstreamClient) -> str:
    return client.create_run("0", tags={"mlflow.user": "ann"}, run_name="by-client").info.run_id


# -- runs -------------------------------------------------------------------------------------------


def test_create_run_is_not_active_and_stays_running(client: SlipstreamClient, run_id: str) -> None:
    run = client.get_run(run_id)

    assert (run.info.status, run.info.run_name, run.info.user_id) == ("RUNNING", "by-client", "ann")
    assert slipstream.active_run() is None
    client.set_terminated(run_id, end_time=run.info.start_time + 5)
    assert client.get_run(run_id).info.end_time == run.info.start_time + 5
    client.update_run(run_id, status=RunStatus.RUNNING, name="renamed")
    assert (client.get_run(run_id).info.status, client.get_run(run_id).info.run_name) == (
        "RUNNING",
        "renamed",
    )


def test_large_batch_is_split(client: SlipstreamClient, run_id: str) -> None:
    metrics = [Metric("m", np.float32(step), 1000 + step, step) for step in range(2500)]
    params = [Param(f"p{number}", str(number)) for number in range(250)]
    tags = [RunTag(f"t{number}", str(number)) for number in range(120)]

    client.log_batch(run_id, metrics, params, tags)

    data = client.get_run(run_id).data
    assert len(data.params) == 250
    assert sum(key.startswith("t") for key in data.tags) == 120
    assert data.metrics == {"m": 2499.0}
    history = client.get_metric_history(run_id, "m")
    assert [point.step for point in history] == list(range(2500))
    assert history.token is None


def test_clash_of_params_in_a_large_batch_leaves_no_metric(client: SlipstreamClient, run_id: str) -> None:
    client.log_param(run_id, "p149", "other")

    with pytest.raises(InvalidParameterError, match="p149"):
        client.log_batch(
            run_id,
            metrics=[Metric("m", 1.0, 1, step) for step in range(5)],
            params=[Param(f"p{number}", "x") for number in range(150)],
        )
    assert client.get_run(run_id).data.metrics == {}


def test_search_has_pages(client: SlipstreamClient) -> None:
    made = [client.create_run("0", start_time=1000 + number).info.run_id for number in range(5)]

    first = client.search_runs(["0"], max_results=3)
    assert len(first.to_list()) == 3
    second = client.search_runs(["0"], max_results=3, page_token=first.token)
    assert second.token is None
    assert {run.info.run_id for run in [*first, *second]} == set(made)


def test_clients_speak_to_their_own_address(client: SlipstreamClient, tmp_path: Path) -> None:
    other = SlipstreamClient(f"sqlite:///{tmp_path}/second.db")
    other.create_experiment("only-there")

    assert client.get_experiment_by_name("only-there") is None
    assert other.get_experiment_by_name("only-there") is not None


def test_threads_log_to_one_run(client: SlipstreamClient, run_id: str) -> None:
    def work(number: int) -> None:
        for step in range(20):
            client.log_metric(run_id, f"m{number}", step, step=step)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert client.get_run(run_id).data.metrics == {f"m{number}": 19.0 for number in range(4)}
    assert all(len(client.get_metric_history(run_id, f"m{number}")) == 20 for number in range(4))


# -- files ------------------------------------------------------------------------------------------


def read(client: SlipstreamClient, run_id: str, path: str) -> bytes:
    return Path(client.download_artifacts(run_id, path)).read_bytes()


def paths(client: SlipstreamClient, run_id: str, folder: str | None = None) -> list[str]:
    return [info.path for info in client.list_artifacts(run_id, folder)]


def test_files_and_folders(client: SlipstreamClient, run_id: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "a.txt").write_text("A")
    (source / "deep" / ".hidden").write_text("H")

    client.log_artifact(run_id, source / "a.txt")
    client.log_artifact(run_id, source / "a.txt", "in")
    client.log_artifacts(run_id, source, "all")
    client.log_artifact(run_id, source)

    assert paths(client, run_id) == ["a.txt", "all", "in", "source"]
    assert paths(client, run_id, "all") == ["all/a.txt", "all/deep"]
    assert read(client, run_id, "source/deep/.hidden") == b"H"
    listed = client.list_artifacts(run_id, "in")
    assert (listed[0].is_dir, listed[0].file_size) == (False, 1)


def test_missing_local_files_are_named(client: SlipstreamClient, run_id: str, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"none\.txt' does not exist"):
        client.log_artifact(run_id, tmp_path / "none.txt")
    with pytest.raises(NotFoundError, match="none' does not exist"):
        client.log_artifacts(run_id, tmp_path / "none")


def test_folder_with_a_link_to_nothing_is_refused(
    client: SlipstreamClient, run_id: str, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "whole.txt").write_text("w")
    (source / "broken").symlink_to("nothing")

    with pytest.raises(NotFoundError, match="broken' is a symbolic link to nothing"):
        client.log_artifacts(run_id, source)
    assert client.list_artifacts(run_id) == []


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_folder_that_cannot_be_read_is_refused(client: SlipstreamClient, run_id: str, tmp_path: Path) -> None:
    closed = tmp_path / "source" / "closed"
    closed.mkdir(parents=True)
    closed.chmod(0)
    try:
        with pytest.raises(InvalidParameterError, match="closed' cannot be read"):
            client.log_artifacts(run_id, tmp_path / "source")
    finally:
        closed.chmod(0o700)


def test_download_to_where_nothing_can_be_written(
    client: SlipstreamClient, run_id: str, tmp_path: Path
) -> None:
    client.log_text(run_id, "t", "folder/f.txt")
    (tmp_path / "file").write_text("")

    for path in ("folder/f.txt", "folder"):
        with pytest.raises(InvalidParameterError, match=r"Not a directory.*'dst_path'"):
            client.download_artifacts(run_id, path, str(tmp_path / "file" / "x"))


@pytest.mark.parametrize("uri", ["http://ann:hush@[::1", "http://ann:hush@host:port", "http://ann:hush@"])
def test_address_that_is_none_does_not_show_the_password(uri: str, no_settings: None) -> None:
    with pytest.raises(InvalidParameterError, match="Tracking URI 'http://") as caught:
        SlipstreamClient(uri).get_run("r")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("path", ["../out.txt", "a/../../out.txt", "/out.txt"])
def test_paths_cannot_leave_the_run(client: SlipstreamClient, run_id: str, path: str) -> None:
    with pytest.raises(InvalidParameterError):
        client.log_text(run_id, "x", path)


def test_text_and_dictionaries(client: SlipstreamClient, run_id: str) -> None:
    client.log_text(run_id, "grün\n", "notes/n.txt")
    client.log_dict(run_id, {"a": 1, "n": None, "array": np.array([1, 2])}, "d.json")
    client.log_dict(run_id, {"a": 1, "l": [1, 2]}, "d.yaml")
    client.log_dict(run_id, {"a": 1}, "d.other")

    assert read(client, run_id, "notes/n.txt") == "grün\n".encode()
    assert json.loads(read(client, run_id, "d.json")) == {"a": 1, "n": None, "array": [1, 2]}
    assert read(client, run_id, "d.yaml") == b"a: 1\nl:\n- 1\n- 2\n"
    assert read(client, run_id, "d.other") == b'{\n  "a": 1\n}'
    with pytest.raises(InvalidParameterError, match=r"'x\.json' cannot be written as JSON"):
        client.log_dict(run_id, {"o": object()}, "x.json")


def test_stream(client: SlipstreamClient, run_id: str, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"z" * 3_000_000)
    with (tmp_path / "big").open("rb") as stream:
        client.log_stream(run_id, stream, "s/big.bin")

    assert read(client, run_id, "s/big.bin") == b"z" * 3_000_000


def test_figure_has_the_format_of_its_name(client: SlipstreamClient, run_id: str) -> None:
    matplotlib = pytest.importorskip("matplotlib.figure")
    figure = matplotlib.Figure()
    figure.subplots().plot([1, 2])

    client.log_figure(run_id, figure, "f.png")
    client.log_figure(run_id, figure, "f.svg", save_kwargs={"transparent": True})

    assert read(client, run_id, "f.png").startswith(b"\x89PNG")
    assert b"<svg" in read(client, run_id, "f.svg")
    with pytest.raises(InvalidParameterError, match="matplotlib or plotly, not builtins"):
        client.log_figure(run_id, "no figure", "f.png")


# -- images -----------------------------------------------------------------------------------------

PIXELS = np.linspace(0, 255, 300 * 200 * 3).reshape(300, 200, 3).astype("uint8")


def test_image_as_a_file(client: SlipstreamClient, run_id: str) -> None:
    client.log_image(run_id, PIXELS, "pictures/im.png")

    image = slipstream.artifacts.load_image(f"runs:/{run_id}/pictures/im.png")
    assert image.size == (200, 300)
    assert (np.asarray(image) == PIXELS).all()
    assert "mlflow.loggedImages" not in client.get_run(run_id).data.tags


def test_image_in_a_series_has_name_and_thumbnail_as_in_mlflow(client: SlipstreamClient, run_id: str) -> None:
    client.log_image(run_id, PIXELS, key="dogs/x", step=2, timestamp=1234)

    small, full = sorted(paths(client, run_id, "images"))
    stem = "images/dogs~x+step+2+timestamp+1234+"
    assert full.startswith(stem)
    assert full.endswith(".png")
    assert small == full.removesuffix(".png") + "+compressed.webp"
    assert slipstream.artifacts.load_image(f"runs:/{run_id}/{small}").size == (170, 256)
    assert client.get_run(run_id).data.tags["mlflow.loggedImages"] == "True"


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 5), bool),
        np.full((4, 5, 1), 0.5),
        np.zeros((4, 5, 4), "uint8"),
        np.full((4, 5, 3), 200, "int64"),
    ],
)
def test_arrays_that_are_pictures(client: SlipstreamClient, run_id: str, pixels: Any) -> None:
    client.log_image(run_id, pixels, "p.png")

    assert slipstream.artifacts.load_image(f"runs:/{run_id}/p.png").size == (5, 4)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.full((4, 5), 256), r"0\.\.255"),
        (np.zeros((4, 5, 2), "uint8"), r"shape.*\(4, 5, 2\)"),
        (np.zeros((0, 5), "uint8"), "empty"),
        (np.full((4, 5), np.nan), "finite"),
        (np.full((4, 5), "a"), "<U1"),
        ("text", r"builtins\.str"),
    ],
)
def test_what_is_no_picture(client: SlipstreamClient, run_id: str, image: Any, message: str) -> None:
    with pytest.raises(InvalidParameterError, match=message):
        client.log_image(run_id, image, "p.png")


def test_floats_beyond_one_are_scaled_with_a_warning(client: SlipstreamClient, run_id: str) -> None:
    with pytest.warns(UserWarning, match="scaled"):
        client.log_image(run_id, np.array([[0.0, 4.0]]), "p.png")

    assert np.asarray(slipstream.artifacts.load_image(f"runs:/{run_id}/p.png")).tolist() == [[0, 255]]


@pytest.mark.parametrize(
    "arguments",
    [{}, {"artifact_file": "a.png", "key": "k"}, {"artifact_file": "a.png", "step": 1}, {"key": "a%b"}],
)
def test_image_arguments_that_contradict(
    client: SlipstreamClient, run_id: str, arguments: dict[str, Any]
) -> None:
    with pytest.raises(InvalidParameterError):
        client.log_image(run_id, PIXELS, **arguments)


# -- tables -----------------------------------------------------------------------------------------


def test_table_grows_and_is_read_back(client: SlipstreamClient, run_id: str) -> None:
    pandas = pytest.importorskip("pandas")
    client.log_table(run_id, {"a": [1, 2], "b": ["x", "y"]}, "t/table.json")
    client.log_table(run_id, pandas.DataFrame({"a": [3], "b": ["z"]}), "t/table.json")
    client.log_table(run_id, {"a": 4, "b": "scalar"}, "t/table.json")

    assert json.loads(read(client, run_id, "t/table.json")) == {
        "columns": ["a", "b"],
        "data": [[1, "x"], [2, "y"], [3, "z"], [4, "scalar"]],
    }
    tag = client.get_run(run_id).data.tags["mlflow.loggedArtifacts"]
    assert json.loads(tag) == [{"path": "t/table.json", "type": "table"}]
    frame = client.load_table("0", "t/table.json", extra_columns=["run_id"])
    assert list(frame["a"]) == [1, 2, 3, 4]
    assert set(frame["run_id"]) == {run_id}


def test_table_with_pictures_stores_them(client: SlipstreamClient, run_id: str) -> None:
    image = pytest.importorskip("PIL.Image").fromarray(PIXELS)
    client.log_table(run_id, {"prompt": ["a"], "picture": [image]}, "made.json")

    (row,) = json.loads(read(client, run_id, "made.json"))["data"]
    assert row[1]["type"] == "image"
    assert row[1]["filepath"].startswith("table_images/made/")
    assert read(client, run_id, row[1]["filepath"]).startswith(b"\x89PNG")
    assert b"WEBP" in read(client, run_id, row[1]["compressed_filepath"])[:16]


@pytest.mark.parametrize("path", ["t.csv", "a'b.json", "a:b.json"])
def test_table_path_that_cannot_be(client: SlipstreamClient, run_id: str, path: str) -> None:
    with pytest.raises(InvalidParameterError, match="artifact_file"):
        client.log_table(run_id, {"a": [1]}, path)


def test_table_nobody_logged(client: SlipstreamClient, run_id: str) -> None:
    with pytest.raises(NotFoundError, match=r"'none\.json'"):
        client.load_table("0", "none.json", run_ids=[run_id])


# -- registry ---------------------------------------------------------------------------------------


@pytest.fixture
def version_one(client: SlipstreamClient) -> str:
    """Register version 1 of `reg` and return its source."""
    model = client.create_logged_model("0", "m")
    client.create_registered_model("reg", tags={"team": "a"}, description="text")
    return client.create_model_version("reg", f"models:/{model.model_id}", model_id=model.model_id).source


def test_registered_model(client: SlipstreamClient, version_one: str) -> None:
    client.create_model_version(
        "reg", version_one, tags={"k": 1}, model_id=version_one.removeprefix("models:/")
    )
    client.set_registered_model_alias("reg", "champion", 2)

    model = client.get_registered_model("reg")
    assert (model.description, model.tags, model.aliases) == ("text", {"team": "a"}, {"champion": "2"})
    assert client.get_model_version_by_alias("reg", "champion").version == "2"
    assert client.get_model_version("reg", 2).tags == {"k": "1"}
    assert client.get_model_version_stages("reg", "1") == ["None", "Staging", "Production", "Archived"]


def test_stage_finds_the_version_to_tag(client: SlipstreamClient, version_one: str) -> None:
    client.transition_model_version_stage("reg", 1, "Production")
    client.set_model_version_tag("reg", stage="Production", key="k", value="v")

    assert client.get_model_version("reg", "1").tags == {"k": "v"}
    with pytest.raises(InvalidParameterError, match="no version in stage 'Staging'"):
        client.set_model_version_tag("reg", stage="Staging", key="k", value="v")
    with pytest.raises(InvalidParameterError, match="exactly one of 'version' and 'stage'"):
        client.set_model_version_tag("reg", key="k", value="v")
    with pytest.raises(InvalidParameterError, match="'key'"):
        client.set_model_version_tag("reg", "1")


def test_copy_of_a_version(client: SlipstreamClient, version_one: str) -> None:
    client.set_registered_model_alias("reg", "champion", "1")

    copies = [client.copy_model_version(uri, "prod") for uri in ("models:/reg/1", "models:/reg@champion")]

    assert [(copy.name, copy.version, copy.source) for copy in copies] == [
        ("prod", "1", "models:/reg/1"),
        ("prod", "2", "models:/reg/1"),
    ]
    with pytest.raises(InvalidParameterError, match="names no model version"):
        client.copy_model_version(version_one, "prod")


def test_databricks_only_arguments_are_refused(client: SlipstreamClient) -> None:
    with pytest.raises(InvalidParameterError, match="deployment_job_id"):
        client.create_registered_model("x", deployment_job_id="1")


def test_missing_library_is_named(client: SlipstreamClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)

    with pytest.raises(MissingDependencyError, match="pip install pandas"):
        slipstream.search_runs()
