"""What every saved model has, whatever its flavor; and the order of calls when one is logged."""

import importlib.metadata
import json
import stat
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.linear_model import LinearRegression

import slipstream.sklearn
from slipstream.entities import LoggedModel, LoggedModelOutput
from slipstream.errors import AlreadyExistsError, InvalidParameterError, NotFoundError, UntrustedModelError
from slipstream.models import requirements, saving
from slipstream.models.example import InputExample, load_example
from slipstream.models.mlmodel import Model
from slipstream.models.signature import infer_signature
from slipstream.models.updates import get_model_info, set_signature

X = pd.DataFrame({"a": [0.0, 1.0, 2.0], "b": [1.0, 0.0, 1.0]})
MODEL = LinearRegression().fit(X, [0.0, 1.0, 2.0])


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("SLIPSTREAM_HOME", str(tmp_path / "home"))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "model"


def test_the_folder_is_complete_and_private(folder):
    slipstream.sklearn.save_model(MODEL, folder, input_example=X.head(2))
    assert sorted(entry.name for entry in folder.iterdir()) == [
        "MLmodel",
        "conda.yaml",
        "input_example.json",
        "model.skops",
        "python_env.yaml",
        "requirements.txt",
        "serving_input_example.json",
    ]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    size = sum(entry.stat().st_size for entry in folder.iterdir() if entry.name != "MLmodel")
    assert Model.load(folder).model_size_bytes == size


def test_the_example_gives_the_signature(folder):
    model = slipstream.sklearn.save_model(MODEL, folder, input_example=X.head(2))
    # One number a row of a table: a column, as MLflow has it.
    assert model.signature == infer_signature(X, pd.Series(MODEL.predict(X)))
    assert json.loads((folder / "serving_input_example.json").read_text()) == {
        "dataframe_split": {"columns": ["a", "b"], "data": [[0.0, 1.0], [1.0, 0.0]]}
    }


def test_an_example_that_fails_keeps_the_input_schema_and_says_so(folder):
    with pytest.warns(UserWarning, match="failed on the input example"):
        model = slipstream.sklearn.save_model(MODEL, folder, input_example=pd.DataFrame({"z": [1.0]}))
    assert model.signature.inputs.input_names() == ["z"]
    assert model.signature.outputs is None


def test_an_example_that_contradicts_the_signature_is_refused_and_leaves_nothing(folder):
    with pytest.raises(InvalidParameterError, match=r"Input example does not match.*\['b'\]"):
        slipstream.sklearn.save_model(MODEL, folder, signature=infer_signature(X), input_example=X[["a"]])
    assert not folder.exists()


def test_signature_false_means_none(folder):
    assert slipstream.sklearn.save_model(MODEL, folder, signature=False, input_example=X).signature is None


def test_an_existing_model_is_not_overwritten(folder):
    slipstream.sklearn.save_model(MODEL, folder)
    with pytest.raises(AlreadyExistsError, match="not empty"):
        slipstream.sklearn.save_model(MODEL, folder)


def test_unknown_arguments_are_named(folder):
    with pytest.raises(InvalidParameterError, match=r"\['signatur'\]"):
        slipstream.sklearn.save_model(MODEL, folder, signatur=None)


def test_requirements_are_pinned_as_installed_with_mlflows_line_first(folder):
    slipstream.sklearn.save_model(MODEL, folder)
    lines = (folder / "requirements.txt").read_text().splitlines()
    assert lines[0] == requirements.MLFLOW_LINE
    assert f"scikit-learn=={importlib.metadata.version('scikit-learn')}" in lines
    conda = yaml.safe_load((folder / "conda.yaml").read_text())
    assert conda["dependencies"][-1] == {"pip": lines}
    assert requirements.without_mlflow(lines) == lines[1:]


def test_own_requirements_replace_or_extend(tmp_path):
    (tmp_path / "more.txt").write_text("polars>=1  # fast\n-c limits.txt\n")
    (tmp_path / "limits.txt").write_text("numpy<3\n")
    slipstream.sklearn.save_model(MODEL, tmp_path / "one", pip_requirements=["numpy", "mlflow>=3"])
    assert (tmp_path / "one" / "requirements.txt").read_text().splitlines() == ["numpy", "mlflow>=3"]
    slipstream.sklearn.save_model(MODEL, tmp_path / "two", extra_pip_requirements=str(tmp_path / "more.txt"))
    lines = (tmp_path / "two" / "requirements.txt").read_text().splitlines()
    assert lines[-2:] == ["polars>=1", "-c constraints.txt"]
    assert (tmp_path / "two" / "constraints.txt").read_text() == "numpy<3"
    slipstream.sklearn.save_model(MODEL, tmp_path / "three", extra_pip_requirements=["numpy==1.0"])
    assert [
        line for line in (tmp_path / "three" / "requirements.txt").read_text().splitlines() if "numpy" in line
    ] == ["numpy==1.0"]


@pytest.mark.parametrize(
    "line",
    [
        "numpy; touch /pwn",
        "numpy && true",
        "--index-url http://x",
        "$(id)",
        "a`id`",
        "-e .",
        "a @ file:///x;y|z",
    ],
)
def test_lines_that_are_no_requirements_are_refused(line):
    with pytest.raises(InvalidParameterError, match="no requirement"):
        requirements.check_line(line)


@pytest.mark.parametrize(
    "line",
    [
        "numpy",
        "numpy>=1.26,<3",
        "scikit-learn[alldeps]==1.9.*",
        'pywin32>=1; sys_platform == "win32" and python_version < "3.13"',
        "torch @ https://host/torch-2.0-cp311.whl",
        "git+https://host/owner/repo.git@main#egg=x",
        "./wheels/mine-1.0-py3-none-any.whl",
        "",
    ],
)
def test_requirements_of_all_kinds_are_accepted(line):
    assert requirements.check_line(line) == line


def test_modules_are_read_off_code_without_running_it():
    def predict(data):
        import yaml as lazily  # noqa: F401

        return np.asarray(data)

    found = requirements.modules_of(predict)
    assert {"yaml", "numpy"} <= found
    assert requirements.modules_of_source("import a.b\nfrom c.d import e\nfrom . import f") == {
        "a.b",
        "c.d.e",
    }
    assert requirements.distributions({"yaml", "os", "sklearn.tree", "slipstream", "no_such_module_x"}) == [
        "PyYAML",
        "scikit-learn",
    ]


def test_code_paths_are_importable_after_loading_and_only_if_trusted(tmp_path, folder, monkeypatch):
    package = tmp_path / "src" / "slipstream_test_extra"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("import requests\nANSWER = 42\n")
    slipstream.sklearn.save_model(MODEL, folder, code_paths=[package])
    assert Model.load(folder).flavors["sklearn"]["code"] == "code"
    assert "requests==" in (folder / "requirements.txt").read_text()
    monkeypatch.setattr(sys, "path", sys.path[:])
    slipstream.sklearn.load_model(folder)
    assert __import__("slipstream_test_extra").ANSWER == 42
    sys.modules.pop("slipstream_test_extra")
    (folder / "code" / "slipstream_test_extra" / "__init__.py").write_text("ANSWER = 'other'\n")
    with pytest.raises(UntrustedModelError, match="Python code of the model"):
        slipstream.sklearn.load_model(folder)


def test_a_model_without_the_flavor_says_which_it_has(folder):
    slipstream.sklearn.save_model(MODEL, folder)
    document = Model.load(folder)
    document.flavors["xgboost"] = document.flavors.pop("sklearn")
    document.save(folder)
    with pytest.raises(NotFoundError, match=r"\['python_function', 'xgboost'\]"):
        slipstream.sklearn.load_model(folder)


def test_a_signature_can_be_set_later(folder):
    slipstream.sklearn.save_model(MODEL, folder)
    set_signature(folder, infer_signature(X))
    assert get_model_info(folder).signature == infer_signature(X)


@pytest.mark.parametrize(
    ("example", "stored", "serving"),
    [
        (np.array([[1.0, np.nan]]), [[1.0, None]], {"inputs": [[1.0, None]]}),
        ({"a": np.array([1])}, {"a": [1]}, {"inputs": {"a": [1]}}),
        ({"q": "x"}, {"q": "x"}, {"inputs": {"q": "x"}}),
        ({"messages": []}, {"messages": []}, {"messages": []}),
        (
            ({"prompt": "p"}, {"n": 1}),
            {"inputs": {"prompt": "p"}, "params": {"n": 1}},
            {"prompt": "p", "n": 1},
        ),
        ((["a"], {"n": 1}), {"inputs": ["a"], "params": {"n": 1}}, {"inputs": ["a"], "params": {"n": 1}}),
        (b"hi", "aGk=", {"inputs": "aGk="}),
        (pd.DataFrame([[1, None]]), {"data": [[1, None]]}, {"dataframe_split": {"data": [[1, None]]}}),
    ],
)
def test_input_examples_in_mlflows_forms(example, stored, serving, tmp_path):
    saved = InputExample(example)
    assert json.loads(saved.json_input_example) == stored
    assert json.loads(saved.json_serving_input) == serving
    saved.save(tmp_path)
    assert load_example(tmp_path, saved.info) is not None


def test_examples_that_json_cannot_hold_are_refused():
    with pytest.raises(InvalidParameterError, match="object"):
        InputExample(object())


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A tracking store of its own, in process."""
    monkeypatch.setenv("SLIPSTREAM_TRACKING_URI", f"sqlite:///{tmp_path}/tracking.db")
    monkeypatch.chdir(tmp_path)
    from slipstream.client import fluent

    yield fluent
    fluent.end_run()


def _client():
    from slipstream.client.client import SlipstreamClient

    return SlipstreamClient()


def test_logging_makes_a_ready_model_of_the_active_run(server):
    with server.start_run() as run:
        server.log_param("depth", 3)
        info = slipstream.sklearn.log_model(MODEL, name="lin", input_example=X, registered_model_name="reg")
    logged = _client().get_logged_model(info.model_id)
    assert (logged.status, logged.name, logged.source_run_id) == ("READY", "lin", run.info.run_id)
    assert logged.params == {"depth": "3"}
    assert info.model_uri == f"models:/{info.model_id}"
    assert info.artifact_path == logged.artifact_location
    outputs = _client().get_run(run.info.run_id).outputs.model_outputs
    assert [output.model_id for output in outputs] == [info.model_id]
    version = _client().get_model_version("reg", "1")
    assert (version.source, version.run_id, info.registered_model_version) == (
        info.model_uri,
        run.info.run_id,
        1,
    )
    for uri in (info.model_uri, "models:/reg/1", f"runs:/{run.info.run_id}/lin"):
        assert slipstream.sklearn.load_model(uri).predict(X).tolist() == pytest.approx([0.0, 1.0, 2.0])


def test_a_second_registration_makes_version_two(server):
    for _ in range(2):
        info = slipstream.sklearn.log_model(MODEL, name="lin", registered_model_name="reg")
    assert info.registered_model_version == 2


def test_without_an_active_run_the_model_belongs_to_no_run(server):
    info = slipstream.sklearn.log_model(MODEL, name="lin")
    assert info.run_id is None
    assert server.active_run() is None
    assert _client().get_logged_model(info.model_id).status == "READY"


def test_mlflow_2s_artifact_path_names_the_model_and_warns(server):
    with pytest.warns(FutureWarning, match="use name="):
        info = slipstream.sklearn.log_model(MODEL, "old")
    assert info.name == "old"


def test_a_failed_save_leaves_a_failed_model(server):
    with pytest.raises(InvalidParameterError, match="pyfunc_predict_fn is 'nope'"):
        slipstream.sklearn.log_model(MODEL, name="lin", pyfunc_predict_fn="nope")
    (logged,) = _client().search_logged_models(["0"])
    assert logged.status == "FAILED"


def test_bind_takes_the_model_by_mlflows_keyword_once(folder):
    with pytest.raises(InvalidParameterError, match="given twice"):
        slipstream.sklearn.save_model(MODEL, folder, sk_model=MODEL)
    with pytest.raises(InvalidParameterError, match="sk_model="):
        slipstream.sklearn.save_model(path=folder)
    assert saving.bind(slipstream.flavors.sklearn.FLAVOR).save_model.__doc__ is not None


class _Recorder:
    """Stands in for the client and the fluent functions; keeps the order of calls."""

    def __init__(self, run_id="r1", *, fails_at=None):
        self.calls = []
        self.files = []
        self.run_id = run_id
        self.fails_at = fails_at

    connection = SimpleNamespace(store=None)
    """Without a spool: nothing is left for later."""

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)

        def call(*arguments, **keywords):
            self.calls.append((name, arguments, keywords))
            if name == self.fails_at:
                raise OSError("disk full")
            return self._answer(name, arguments)

        return call

    def _answer(self, name, arguments):
        run = SimpleNamespace(
            info=SimpleNamespace(run_id=self.run_id, experiment_id="7"),
            data=SimpleNamespace(params={"depth": "3"}),
        )
        if name == "create_logged_model":
            return LoggedModel(
                model_id="m-1",
                experiment_id="7",
                name="lin",
                artifact_location="file:///models/m-1",
                creation_timestamp=1,
                last_updated_timestamp=1,
            )
        if name == "log_model_artifacts":
            folder = Path(arguments[1])
            assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
            self.files = sorted(entry.name for entry in folder.iterdir())
            self.mlmodel = Model.load(folder)
        if name == "create_registered_model":
            raise AlreadyExistsError(name)
        if name == "create_model_version":
            return SimpleNamespace(version="4")
        return run

    @property
    def names(self):
        return [name for name, _, _ in self.calls]


@pytest.fixture
def recorder(monkeypatch):
    import slipstream.client
    import slipstream.client.context

    def install(fake):
        parts = {
            "fluent": SimpleNamespace(
                active_run=lambda: fake._answer("get_run", ()) if fake.run_id else None
            ),
            "active_experiment": SimpleNamespace(current_experiment_id=lambda: "7"),
            "client": SimpleNamespace(SlipstreamClient=lambda: fake),
        }
        for name, module in parts.items():
            monkeypatch.setitem(sys.modules, f"slipstream.client.{name}", module)
            monkeypatch.setattr(slipstream.client, name, module, raising=False)
        registry = SimpleNamespace(resolve_tags=lambda own: {"from": "context", **(own or {})})
        monkeypatch.setitem(sys.modules, "slipstream.client.context.registry", registry)
        monkeypatch.setattr(slipstream.client.context, "registry", registry, raising=False)
        return fake

    return install


def test_the_order_of_calls_is_mlflows(recorder):
    fake = recorder(_Recorder())
    info = slipstream.sklearn.log_model(
        sk_model=MODEL, name="lin", registered_model_name="reg", tags={"t": 1}, params={"x": 1}, step=5
    )
    assert fake.names == [
        "get_run",
        "create_logged_model",
        "log_model_artifacts",
        "finalize_logged_model",
        "log_outputs",
        "create_registered_model",
        "create_model_version",
    ]
    created = fake.calls[1][2]
    assert created["params"] == {"x": 1, "depth": "3"}
    assert created["tags"] == {"from": "context", "t": 1}
    assert fake.calls[3][1] == ("m-1", "READY")
    assert fake.calls[4][1] == ("r1", [LoggedModelOutput("m-1", 5)])
    assert fake.calls[6][1:] == (
        ("reg", "models:/m-1"),
        {"run_id": "r1", "tags": {"t": 1}, "await_creation_for": 300, "model_id": "m-1"},
    )
    assert "MLmodel" in fake.files
    assert (fake.mlmodel.model_id, fake.mlmodel.model_uuid, fake.mlmodel.run_id) == ("m-1", "m-1", "r1")
    assert (info.model_uri, info.artifact_path, info.registered_model_version) == (
        "models:/m-1",
        "file:///models/m-1",
        4,
    )


def test_a_failed_upload_ends_as_failed_and_is_reported(recorder):
    fake = recorder(_Recorder(fails_at="log_model_artifacts"))
    with pytest.raises(OSError, match="disk full"):
        slipstream.sklearn.log_model(MODEL, name="lin")
    assert fake.calls[-1][:2] == ("finalize_logged_model", ("m-1", "FAILED"))
    assert "log_outputs" not in fake.names


def test_no_active_run_means_no_outputs(recorder):
    fake = recorder(_Recorder(run_id=None))
    info = slipstream.sklearn.log_model(MODEL, name="lin")
    assert info.run_id is None
    assert fake.names == ["create_logged_model", "log_model_artifacts", "finalize_logged_model"]


@pytest.mark.parametrize("example", [{"a": [1, "x"]}, pd.DataFrame({"a": [1, "x"]}), [1, "x"]])
def test_an_example_that_cannot_be_described_costs_the_signature_only(folder, example):
    with pytest.warns(UserWarning, match="gets no signature"):
        model = slipstream.sklearn.save_model(MODEL, folder, input_example=example)
    assert model.signature is None


def test_an_example_stays_as_the_user_made_it(folder):
    class Adds(slipstream.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            model_input["extra"] = 1
            return [1] * len(model_input)

    example = X.head(2).copy()
    slipstream.pyfunc.save_model(folder, python_model=Adds(), input_example=example)
    assert list(example.columns) == ["a", "b"]


def test_files_beside_the_code_that_are_no_python_are_packed_all_the_same(folder, tmp_path):
    code = tmp_path / "more"
    code.mkdir()
    (code / "template.py").write_text("def {{ name }}(): pass\n")
    (code / "old.py").write_bytes("# -*- coding: latin-1 -*-\nimport yaml\nname = 'é'\n".encode("latin-1"))
    with pytest.warns(UserWarning, match="template.py"):
        slipstream.sklearn.save_model(MODEL, folder, code_paths=[code])
    assert (folder / "code" / "more" / "old.py").is_file()
    assert "pyyaml" in (folder / "requirements.txt").read_text().lower()
