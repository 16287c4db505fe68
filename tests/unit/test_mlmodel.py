"""The MLmodel file: MLflow's keys, unknown keys kept, and paths that stay inside the folder."""

import pytest
import yaml

from slipstream.errors import InvalidParameterError, NotFoundError
from slipstream.models.locations import files_below, inside, local_model_folder
from slipstream.models.mlmodel import MLFLOW_FORMAT_VERSION, Model
from slipstream.models.signature import infer_signature

BY_MLFLOW = """\
artifact_path: mlflow-artifacts:/7/models/m-0123456789abcdef0123456789abcdef/artifacts
databricks_runtime: 17.0
flavors:
  python_function:
    loader_module: mlflow.sklearn
    model_path: model.skops
is_signature_from_type_hint: false
mlflow_version: 3.17.2
model_id: m-0123456789abcdef0123456789abcdef
model_uuid: m-0123456789abcdef0123456789abcdef
prompts: null
run_id: 0123456789abcdef0123456789abcdef
signature:
  inputs: '[{"type": "double", "name": "a", "required": true}]'
  outputs: null
  params: null
something_new:
  deep: [1, 2]
type_hint_from_example: false
utc_time_created: '2026-11-23 04:02:29.689415'
"""


def test_a_file_by_mlflow_survives_a_round_trip_with_keys_we_do_not_know(tmp_path):
    (tmp_path / "MLmodel").write_text(BY_MLFLOW)
    model = Model.load(tmp_path)
    model.save(tmp_path)
    assert yaml.safe_load((tmp_path / "MLmodel").read_text()) == yaml.safe_load(BY_MLFLOW)
    assert model.signature.inputs.input_names() == ["a"]


def test_keys_are_alphabetical_and_unset_ones_left_out():
    model = Model()
    keys = list(yaml.safe_load(model.to_yaml()))
    assert keys == sorted(keys)
    assert {"run_id", "artifact_path", "metadata"}.isdisjoint(keys)
    assert model.mlflow_version == MLFLOW_FORMAT_VERSION
    assert len(model.model_uuid) == 32


def test_the_signature_stands_as_json_texts():
    model = Model(signature=infer_signature("x"))
    assert yaml.safe_load(model.to_yaml())["signature"] == {
        "inputs": '[{"type": "string", "required": true}]',
        "outputs": None,
        "params": None,
    }


def test_model_info_of_a_logged_model():
    info = Model.from_text(BY_MLFLOW, where="here").get_model_info()
    assert info.model_uri == "models:/m-0123456789abcdef0123456789abcdef"
    assert info.run_id == "0123456789abcdef0123456789abcdef"
    assert info.registered_model_version is None


def test_a_folder_without_the_file_is_no_model(tmp_path):
    with pytest.raises(NotFoundError, match="is it a model folder"):
        Model.load(tmp_path)
    with pytest.raises(NotFoundError, match="is it a model folder"):
        local_model_folder(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "- a list",
        "a: [unclosed",
        "flavors: text",
        "flavors: {sklearn: 3}",
        "signature: text",
        "!!python/object/apply:os.system ['true']",
    ],
)
def test_broken_files_are_bad_parameters(text):
    with pytest.raises(InvalidParameterError):
        Model.from_text(text, where="there")


@pytest.mark.parametrize(
    "path",
    ["../x", "/etc/passwd", "a/../../x", "..\\x", "", None, 3, "a\0b", "link/passwd", "."],
)
def test_paths_of_the_file_never_leave_the_folder(tmp_path, path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "x").write_text("secret")
    (tmp_path / "folder" / "link").symlink_to("/etc")
    if path == ".":
        assert inside(tmp_path / "folder", path, key="data") == (tmp_path / "folder").resolve()
        return
    with pytest.raises(InvalidParameterError, match="'data' in the MLmodel file"):
        inside(tmp_path / "folder", path, key="data")


def test_a_path_that_names_nothing_is_not_found(tmp_path):
    with pytest.raises(NotFoundError, match=r"model\.pkl"):
        inside(tmp_path, "model.pkl", key="pickled_model")


def test_links_out_of_a_folder_are_refused(tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "evil.py").symlink_to("/etc/passwd")
    with pytest.raises(InvalidParameterError, match=r"evil\.py"):
        files_below(tmp_path / "code")


@pytest.mark.parametrize("uri", ["file://host/x", "file:///x?y", "file:///x#y"])
def test_odd_file_uris_are_refused(uri):
    with pytest.raises(InvalidParameterError):
        local_model_folder(uri)


def test_file_uris_are_local_paths(tmp_path):
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "MLmodel").write_text(BY_MLFLOW)
    assert local_model_folder((tmp_path / "a b").as_uri()) == tmp_path / "a b"


@pytest.mark.parametrize(
    "content",
    [
        b"flavors: {}\nsignature: {inputs: 4}\n",
        b"flavors: {}\nsignature: 4\n",
        b"flavors: {}\nself: 3\n",
        b"\xff\xfe",
        b"flavors: [1]\n",
    ],
)
def test_a_damaged_file_is_refused_with_its_name(tmp_path, content):
    (tmp_path / "MLmodel").write_bytes(content)
    try:
        loaded = Model.load(tmp_path)
    except InvalidParameterError as error:
        assert "MLmodel" in str(error)  # noqa: PT017  # a key that means nothing may also be kept
    else:
        assert loaded.extra == {"self": 3}
