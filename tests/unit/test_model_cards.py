"""What a version's files say: read without loading the model, and without trust in what is in them."""

import http.client
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from server_process import ServerProcess
from slipstream.client.client import SlipstreamClient
from slipstream.client.connect import close_all

MLMODEL = """
flavors:
  python_function: {loader_module: my.module, python_version: 3.11.7, env: {conda: conda.yaml}}
  mine: {task: llm/v1/chat, blob: [1, 2]}
model_id: m-1
model_size_bytes: 12
mlflow_version: 3.17.2
metadata: {note: "<script>", many: [1]}
signature:
  inputs: '[{"type": "double", "name": "a"}]'
  outputs: null
  params: null
utc_time_created: '2026-11-26 10:00:00.000000'
"""
# Twenty levels, each of them the one below ten times: more than any memory, written out.
BOMB = "flavors: {python_function: {loader_module: x}}\nmetadata:\n" + "\n".join(
    f"  l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10) if n else 'x'}]" for n in range(20)
)


class Versions:
    """Versions of one model, each made of files that are put where a run's files are."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.client = SlipstreamClient(server.url)
        self.client.create_registered_model("m")

    def add(self, **files: str) -> str:
        run = self.client.create_run("0")
        root = self.server.folder / "artifacts" / "0" / run.info.run_id / "artifacts" / "model"
        for name, text in files.items():
            path = root / name.replace("__", "/").replace("_txt", ".txt").replace("_json", ".json")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        source = f"{run.info.artifact_uri}/model"
        return self.client.create_model_version("m", source, run.info.run_id).version

    def card(self, version: str, name: str = "m") -> tuple[int, Any]:
        parts = urlsplit(self.server.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        query = urlencode({"name": name, "version": version})
        connection.request("GET", f"/api/slipstream/v1/model-versions/card?{query}")
        answer = connection.getresponse()
        found = answer.status, json.loads(answer.read())
        connection.close()
        return found


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Versions]:
    server = ServerProcess(tmp_path_factory.mktemp("cards"), "--durability", "normal")
    yield Versions(server)
    close_all()
    server.stop()


def test_what_the_files_say(versions: Versions) -> None:
    version = versions.add(
        MLmodel=MLMODEL,
        requirements_txt="# made by hand\n\npandas>=2\n torch \n",
        serving_input_example_json='{"inputs": [1]}',
        data__weights="abc",
    )
    status, card = versions.card(version)
    assert status == 200
    assert card["inputs"] == [{"type": "double", "name": "a", "required": True}]
    assert (card["outputs"], card["params"]) == (None, None)
    assert card["flavors"] == {
        "python_function": {"loader_module": "my.module", "python_version": "3.11.7"},
        "mine": {"task": "llm/v1/chat"},
    }
    assert (card["task"], card["python"], card["size"]) == ("llm/v1/chat", "3.11.7", 12)
    assert card["metadata"]["note"] == "<script>"
    assert "many" not in card["metadata"]
    assert card["requirements"] == ["pandas>=2", "torch"]
    assert card["example"] == {"inputs": [1]}
    assert [(file["path"], file["size"]) for file in card["files"]][-1] == (
        "serving_input_example.json",
        15,
    )
    assert {"path": "data/weights", "size": 3} in card["files"]
    assert not card["has_more_files"]


def test_references_do_not_make_it_large(versions: Versions) -> None:
    status, card = versions.card(versions.add(MLmodel=BOMB))
    assert status == 200
    assert card["metadata"] == {}


@pytest.mark.parametrize(
    ("files", "status"),
    [
        ({"other": "x"}, 404),
        ({"MLmodel": "a" * 200_000}, 404),
        ({"MLmodel": "[1, 2]"}, 400),
        ({"MLmodel": "a: ["}, 400),
        ({"MLmodel": "!!python/object/apply:os.system ['true']"}, 400),
    ],
)
def test_files_that_are_no_models(versions: Versions, files: dict[str, str], status: int) -> None:
    found, body = versions.card(versions.add(**files))
    assert (found, "MLmodel" in body["message"]) == (status, True)


def test_what_is_not_there_or_elsewhere(versions: Versions, tmp_path: Path) -> None:
    assert versions.card("99")[0] == 404
    assert versions.card("1", "none")[0] == 404
    status, body = versions.card("", "m")
    assert (status, "'version'" in body["message"]) == (400, True)
    elsewhere = versions.client.create_model_version("m", "s3://bucket/model").version
    status, body = versions.card(elsewhere)
    assert (status, "artifact root" in body["message"]) == (400, True)


def test_many_files_are_cut(versions: Versions) -> None:
    many = {f"f{number}": "" for number in range(501)}
    _, card = versions.card(versions.add(MLmodel=MLMODEL, **many))
    assert (len(card["files"]), card["has_more_files"]) == (500, True)


def test_a_version_made_of_a_run_by_its_uri(versions: Versions) -> None:
    """What plain REST clients may give as a source: `runs:/ID/PATH` is within that run's files, or it is said what is missing."""
    version = versions.add(MLmodel=MLMODEL)
    run = versions.client.get_model_version("m", version).run_id
    by_uri = versions.client.create_model_version("m", f"runs:/{run}/model", run).version
    assert versions.card(by_uri) == versions.card(version)
    # signs that mean something in an address mean nothing in the name of a folder
    root = versions.server.folder / "artifacts" / "0" / str(run) / "artifacts"
    shutil.copytree(root / "model", root / "the#1")
    by_odd = versions.client.create_model_version("m", f"runs:/{run}/the#1", run).version
    assert versions.card(by_odd) == versions.card(version)
    gone = versions.client.create_model_version("m", f"runs:/{run}/elsewhere", run).version
    status, found = versions.card(gone)
    assert status == 404
    assert "no MLmodel file" in found["message"]


def test_half_a_pair_of_utf_16_in_a_name_is_no_failure(versions: Versions) -> None:
    inputs = r'[{"type": "double", "name": "a\ud800"}]'
    version = versions.add(MLmodel=f"flavors: {{}}\nsignature:\n  inputs: '{inputs}'\n")
    status, card = versions.card(version)
    assert (status, card["inputs"][0]["name"]) == (200, "a?")
