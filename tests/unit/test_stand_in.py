"""`slipstream.as_mlflow()`: what `import mlflow` gives then, beside a real mlflow that is installed, too."""

import subprocess
import sys
from pathlib import Path

import pytest

from slipstream.stand_in import places


def run(code: str, folder: Path) -> str:
    """Run a program in a Python of its own, since a hook stays; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"import slipstream\nslipstream.as_mlflow()\n{code}"],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_real_mlflow_is_installed_beside_it() -> None:
    """Otherwise the tests below would say nothing about what is in the way."""
    code = "import importlib.util; print(importlib.util.find_spec('mlflow').origin)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "site-packages" in done.stdout


def test_imports_give_ours_and_load_nothing_of_the_real_one(tmp_path: Path) -> None:
    code = """
import sys
import mlflow
import mlflow.sklearn
from mlflow import MlflowClient, log_metric
from mlflow.entities import Metric, Run, RunStatus, SourceType
from mlflow.entities.run_info import RunInfo
from mlflow.exceptions import MlflowException
from mlflow.models.signature import infer_signature
from mlflow.store.entities.paged_list import PagedList
from mlflow.tracking.client import MlflowClient as SameClient
from mlflow.tracking.context.registry import resolve_tags
from mlflow.tracking.fluent import _get_experiment_id, start_run
from mlflow.types.schema import ColSpec, Schema
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME
from mlflow.version import VERSION
import slipstream.types

assert MlflowClient is SameClient is slipstream.MlflowClient
assert log_metric is slipstream.log_metric and mlflow.start_run is start_run is slipstream.start_run
assert Metric is slipstream.entities.Metric and Schema is slipstream.types.Schema
assert MlflowException is slipstream.exceptions.SlipstreamError
assert (MLFLOW_RUN_NAME, MLFLOW_PARENT_RUN_ID) == ("mlflow.runName", "mlflow.parentRunId")
assert VERSION == mlflow.__version__
assert not any("site-packages/mlflow" in str(getattr(m, "__file__", "")) for m in list(sys.modules.values()))
print(mlflow.utils.validation.MAX_PARAM_VAL_LENGTH, mlflow.tracking.MlflowClient.__name__)
"""
    assert run(code, tmp_path) == "6000 SlipstreamClient"


def test_isinstance_holds_across_both_names(tmp_path: Path) -> None:
    code = """
import mlflow
slipstream.set_tracking_uri("sqlite:///runs.db")
with mlflow.start_run() as run:
    mlflow.log_metric("m", 1)
got = slipstream.get_run(run.info.run_id)
assert isinstance(got, mlflow.entities.Run) and isinstance(run, mlflow.ActiveRun)
try:
    mlflow.get_run("0" * 32)
except mlflow.exceptions.MlflowException as error:
    print(error.error_code, got.data.metrics)
"""
    assert run(code, tmp_path) == "RESOURCE_DOES_NOT_EXIST {'m': 1.0}"


def test_it_answers_who_asks_whether_mlflow_is_installed(tmp_path: Path) -> None:
    code = """
import importlib.metadata
import importlib.util
import sys
print(importlib.util.find_spec("mlflow").name, "mlflow" in sys.modules)
print(importlib.metadata.version("mlflow"), importlib.metadata.version("mlflow-skinny"))
print(importlib.metadata.metadata("mlflow")["Name"], importlib.util.find_spec("mlflow.genai"))
names = [each.metadata["Name"] for each in importlib.metadata.distributions()]
print(names.count("mlflow"))
"""
    assert run(code, tmp_path).splitlines() == [
        "mlflow False",
        "3.17.2 3.17.2",
        "mlflow None",
        "0",  # a list of what is installed stays true
    ]


@pytest.mark.parametrize(
    ("statement", "error", "name"),
    [
        ("import mlflow.genai", "ModuleNotFoundError", "mlflow.genai"),
        ("from mlflow import genai", "ModuleNotFoundError", "mlflow.genai"),
        ("from mlflow.entities import Trace", "ModuleNotFoundError", "mlflow.entities.Trace"),
        (
            "from mlflow.utils.rest_utils import http_request",
            "ModuleNotFoundError",
            "mlflow.utils.rest_utils",
        ),
        ("import mlflow.store.tracking.sqlalchemy_store", "ModuleNotFoundError", "mlflow.store.tracking"),
        ("import mlflow; mlflow.genai", "AttributeError", "mlflow.genai"),
    ],
)
def test_what_is_not_there_says_so(statement: str, error: str, name: str, tmp_path: Path) -> None:
    code = f"""
try:
    exec({statement!r})
except Exception as error:
    print(type(error).__name__, isinstance(error, {error}))
    print(error)
"""
    first, message = run(code, tmp_path).splitlines()

    assert first == f"{error} True"
    assert message.startswith("slipstream stands in for mlflow in this process")
    assert f"has no '{name}'" in message
    assert "docs/reference/python-api.md" in message


def test_a_name_that_is_missing_can_be_asked_for(tmp_path: Path) -> None:
    code = """
import mlflow
print(hasattr(mlflow, "genai"), hasattr(mlflow, "log_metric"), getattr(mlflow, "genai", None))
print("log_metric" in dir(mlflow), "utils" in dir(mlflow), "validation" in dir(mlflow.utils))
space = {}
exec("from mlflow import *", space)
print(space["log_metric"] is slipstream.log_metric)
"""
    assert run(code, tmp_path).splitlines() == ["False True None", "True True True", "True"]


def test_a_second_call_changes_nothing(tmp_path: Path) -> None:
    code = """
import sys
import mlflow
slipstream.as_mlflow()
import mlflow as again
print(again is mlflow, sum(type(each).__name__ == "Finder" for each in sys.meta_path))
"""
    assert run(code, tmp_path) == "True 1"


def test_a_real_mlflow_that_was_imported_before_is_an_error(tmp_path: Path) -> None:
    fake = tmp_path / "mlflow"
    fake.mkdir()
    (fake / "__init__.py").write_text("real = True\n")
    code = """
import mlflow, slipstream
assert mlflow.real
try:
    slipstream.as_mlflow()
except slipstream.exceptions.InvalidStateError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True
    )

    assert "has been imported already" in done.stdout
    assert str(fake) in done.stdout
    assert "slipstream exec" in done.stdout


def test_code_raises_and_reads_mlflows_errors(tmp_path: Path) -> None:
    code = """
import json
from mlflow.exceptions import INVALID_PARAMETER_VALUE, MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode
error = MlflowException("gone", error_code=RESOURCE_DOES_NOT_EXIST, hint="x")
print(error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST), error.get_http_status_code(), error.message)
print(json.loads(error.serialize_as_json()) == {
    "error_code": "RESOURCE_DOES_NOT_EXIST", "message": "gone", "hint": "x"})
print(MlflowException("bad", INVALID_PARAMETER_VALUE).error_code, MlflowException("?").error_code)
print(MlflowException.invalid_parameter_value("bad").error_code, int(INVALID_PARAMETER_VALUE))
"""
    assert run(code, tmp_path).splitlines() == [
        "True 404 gone",
        "True",
        "INVALID_PARAMETER_VALUE INTERNAL_ERROR",
        "INVALID_PARAMETER_VALUE 1000",
    ]


def test_environment_variables_are_our_settings(tmp_path: Path) -> None:
    code = """
from mlflow.environment_variables import MLFLOW_TRACKING_URI
print(MLFLOW_TRACKING_URI.get(), MLFLOW_TRACKING_URI.is_set())
MLFLOW_TRACKING_URI.set("sqlite:///other.db")
print(slipstream.get_tracking_uri(), MLFLOW_TRACKING_URI.name)
MLFLOW_TRACKING_URI.unset()
try:
    from mlflow.environment_variables import MLFLOW_ENABLE_ASSISTANT
except ImportError as error:
    print(error)
"""
    lines = run(code, tmp_path).splitlines()

    assert lines[:2] == ["None False", "sqlite:///other.db MLFLOW_TRACKING_URI"]
    assert "has no 'mlflow.environment_variables.MLFLOW_ENABLE_ASSISTANT'" in lines[2]


def test_names_are_checked_by_mlflows_functions(tmp_path: Path) -> None:
    """Ignite leaves out the metrics whose names are not taken."""
    code = """
from mlflow.exceptions import MlflowException
from mlflow.utils import validation
print([validation.validate_param_and_metric_name(each) for each in ("loss", "val/loss: 1", "loss (mean)")])
for check, wrong in (
    (validation._validate_metric_name, "a(b"),
    (validation._validate_param_name, "a(b"),
    (validation._validate_tag_name, "a(b"),
    (validation._validate_run_id, "a b"),
    (validation._validate_experiment_name, ""),
):
    check("abc")
    try:
        check(wrong)
    except MlflowException as error:
        print(error.error_code)
"""
    assert run(code, tmp_path).splitlines() == ["[True, True, False]", *["INVALID_PARAMETER_VALUE"] * 5]


def test_artifact_addresses(tmp_path: Path) -> None:
    code = """
from pathlib import Path
import mlflow
from mlflow.tracking.artifact_utils import _download_artifact_from_uri, get_artifact_uri
from mlflow.tracking.fluent import _get_experiment_id
mlflow.set_tracking_uri("sqlite:///runs.db")
number = mlflow.set_experiment("e").experiment_id
with mlflow.start_run() as run:
    mlflow.log_text("x", "a/b.txt")
uri = get_artifact_uri(run.info.run_id, "a/b.txt")
print(uri == run.info.artifact_uri + "/a/b.txt", Path(_download_artifact_from_uri(uri)).read_text())
print(_get_experiment_id() == number)
"""
    assert run(code, tmp_path).splitlines() == ["True x", "True"]


# -- pickles ----------------------------------------------------------------------------------------------

WRITE_PICKLE = """
import pickle
import mlflow.pyfunc
from mlflow.pyfunc import PythonModel

class Adder(PythonModel):
    def predict(self, context, model_input, params=None):
        return [each + 1 for each in model_input]

import cloudpickle
print(mlflow.__file__)
with open("model.pkl", "wb") as file:
    file.write(cloudpickle.dumps({"model": Adder(), "class": PythonModel, "module": mlflow.pyfunc}))
"""
READ_PICKLE = """
import pickle
with open("model.pkl", "rb") as file:
    found = pickle.load(file)
import slipstream.pyfunc
assert found["class"] is slipstream.pyfunc.PythonModel, found["class"]
assert isinstance(found["model"], slipstream.pyfunc.PythonModel)
print(found["model"].predict(None, [1, 2]), found["module"].__name__, found["module"].PythonModel is found["class"])
"""


def test_a_pickle_that_refers_to_mlflow_pyfunc_is_read(tmp_path: Path) -> None:
    """Written under the stand-in, with a class by value, a class by reference and the module itself."""
    run(WRITE_PICKLE, tmp_path)

    assert run(READ_PICKLE, tmp_path) == "[2, 3] mlflow.pyfunc True"


def test_a_pickle_of_names_that_only_mlflow_uses_is_read(tmp_path: Path) -> None:
    """Written by hand, as MLflow 3 writes them, since mlflow-skinny cannot import its pyfunc without more libraries."""
    code = r"""
import pickle
model = b"\x80\x04cmlflow.pyfunc.model\nPythonModel\n."
function = b"\x80\x04cmlflow.pyfunc.model\n_FunctionPythonModel\n."
metric = b"\x80\x04cmlflow.entities.metric\nMetric\n(X\x01\x00\x00\x00aG?\xf0\x00\x00\x00\x00\x00\x00K\x02K\x03tR."
from slipstream.flavors import python_model
assert pickle.loads(model) is python_model.PythonModel
assert pickle.loads(function) is python_model.FunctionModel
print(pickle.loads(metric) == slipstream.entities.Metric("a", 1.0, 2, 3))
"""
    assert run(code, tmp_path) == "True"


def test_a_model_that_names_mlflow_is_written_for_every_python(tmp_path: Path) -> None:
    """Those that load it have the stand-in, slipstream alone, or the real mlflow."""
    code = """
import mlflow

class Version(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [mlflow.active_run() is None for _ in model_input]

from slipstream.flavors import pickling
content = pickling.dumps(Version())
print(b"import_module" in content, b"subimport" in content, b"slipstream" in content)
with open("model.pkl", "wb") as file:
    file.write(content)
"""
    assert run(code, tmp_path) == "False True False"
    load = """
import pickle
from slipstream.flavors import pickling
with open("model.pkl", "rb") as file:
    print(pickling.load(file).predict(None, [1]))
"""
    assert run(load, tmp_path) == "[True]"
    plain = "import warnings; warnings.simplefilter('ignore')" + load
    done = subprocess.run(
        [sys.executable, "-c", plain], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.stdout.strip() == "[True]", done.stderr


# -- the table --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(places._PLACES))
def test_every_place_is_a_module_of_mlflows_and_leads_somewhere(name: str) -> None:
    import importlib
    import importlib.util

    root = importlib.util.find_spec("mlflow")
    assert root is not None
    assert root.submodule_search_locations is not None
    path = Path(root.submodule_search_locations[0], *name.split(".")[1:])
    assert path.is_dir() or path.with_suffix(".py").is_file(), "MLflow has no such module"
    assert (
        name == "mlflow" or name.rpartition(".")[0] in places._PLACES or places.homes(name.rpartition(".")[0])
    )
    for home in places.homes(name) or ():
        importlib.import_module(home)
