"""Models travel: what we save, MLflow loads, without slipstream; what MLflow saves, we load, without MLflow.

MLflow runs in processes of its own, from which slipstream is shut out.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier

import slipstream.pyfunc
import slipstream.sklearn
from slipstream.errors import UntrustedModelError
from slipstream.models import infer_signature

pytest.importorskip("mlflow", reason="the wire tests need mlflow-skinny")
pytestmark = pytest.mark.slow

X = pd.DataFrame(np.random.RandomState(0).rand(40, 3).round(6), columns=["a", "b", "c"])
FOREST = RandomForestClassifier(4, random_state=0).fit(X, X["a"] > 0.5)

SHUT_OUT = """
import importlib, sys
class ShutOut:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "slipstream":
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, ShutOut())
"""

LOAD = (
    SHUT_OUT
    + """
import json, sys
import mlflow, pandas as pd
home, x = sys.argv[1], pd.read_json(sys.argv[1] + "/x.json", orient="split")
answers = {}
for name in ("forest", "pickled", "scale", "lengths", "typed", "code"):
    model = mlflow.pyfunc.load_model(f"{home}/{name}")
    data = ["abc", "z"] if name in ("lengths", "typed") else x
    result = model.predict(data, params={"plus": 1}) if name == "scale" else model.predict(data)
    answers[name] = [float(value) for value in result]
    answers[name + " signature"] = model.metadata.signature.to_dict()
assert mlflow.sklearn.load_model(f"{home}/forest").n_estimators == 4
assert mlflow.models.Model.load(f"{home}/forest").mlflow_version == "3.17.2"
answers["example"] = mlflow.pyfunc.load_model(f"{home}/forest").input_example.to_dict("list")
print(json.dumps(answers))
"""
)

SAVE = (
    SHUT_OUT
    + """
import sys
import mlflow, pandas as pd, pydantic
from sklearn.ensemble import RandomForestClassifier
home, x = sys.argv[1], pd.read_json(sys.argv[1] + "/x.json", orient="split")
pip = {"pip_requirements": ["scikit-learn"]}
forest = RandomForestClassifier(4, random_state=0).fit(x, x["a"] > 0.5)
mlflow.sklearn.save_model(forest, home + "/forest", input_example=x.head(2),
    skops_trusted_types=["sklearn.tree._tree.Tree"], **pip)
mlflow.sklearn.save_model(forest, home + "/pickled", serialization_format="pickle", **pip)
with open(home + "/bias.txt", "w") as file:
    file.write("10")
class Scale(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        with open(context.artifacts["bias"]) as file:
            self.bias = float(file.read())
    def predict(self, context, model_input, params=None):
        return [value + self.bias + params["plus"] for value in model_input["a"]]
mlflow.pyfunc.save_model(home + "/scale", python_model=Scale(), artifacts={"bias": home + "/bias.txt"},
    signature=mlflow.models.infer_signature(x, params={"plus": 0}), **pip)
def lengths(model_input: list[str]) -> list[int]:
    return [len(text) for text in model_input]
mlflow.pyfunc.save_model(home + "/lengths", python_model=lengths, input_example=["a"], **pip)
class Question(pydantic.BaseModel):
    text: str
class Typed(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[Question]) -> list[str]:
        return [question.text.upper() for question in model_input]
mlflow.pyfunc.save_model(home + "/typed", python_model=Typed(), **pip)
with open(home + "/times.py", "w") as file:
    file.write('''
import mlflow
from mlflow.pyfunc import PythonModel
config = mlflow.models.ModelConfig(development_config={"factor": 2})
class Times(PythonModel):
    def predict(self, context, model_input, params=None):
        return (model_input["a"] * config.get("factor")).tolist()
mlflow.models.set_model(Times())
''')
mlflow.pyfunc.save_model(home + "/code", python_model=home + "/times.py", model_config={"factor": 5},
    input_example=x, **pip)
"""
)


def _run_mlflow(script, home):
    X.to_json(home / "x.json", orient="split", double_precision=15)
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(home)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(home),
            "MLFLOW_TRACKING_URI": f"sqlite:///{home}/mlflow.db",
        },
    )


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("SLIPSTREAM_HOME", str(tmp_path_factory.mktemp("home")))
    for name in ("SLIPSTREAM_ALLOW_PICKLE", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"):
        monkeypatch.delenv(name, raising=False)


def _make_ours(home):
    class Scale(slipstream.pyfunc.PythonModel):
        def __init__(self, factor):
            self.factor = factor

        def load_context(self, context):
            with open(context.artifacts["bias"]) as file:  # noqa: PTH123
                self.bias = float(file.read())

        def predict(self, context, model_input, params=None):
            return [value * self.factor + self.bias + params["plus"] for value in model_input["a"]]

    class Typed(slipstream.pyfunc.PythonModel):
        def predict(self, model_input: list[str]) -> list[int]:
            return [len(text) for text in model_input]

    def lengths(model_input: list[str]) -> list[int]:
        return [len(text) for text in model_input]

    (home / "bias.txt").write_text("10")
    (home / "times.py").write_text(
        "import mlflow, pandas\n"
        "config = mlflow.models.ModelConfig(development_config={'factor': 2})\n"
        "class Times(mlflow.pyfunc.PythonModel):\n"
        "    def predict(self, context, model_input: pandas.DataFrame, params=None):\n"
        "        return (model_input['a'] * config.get('factor')).tolist()\n"
        "mlflow.models.set_model(Times())\n"
    )
    slipstream.sklearn.save_model(FOREST, home / "forest", input_example=X.head(2))
    slipstream.sklearn.save_model(
        FOREST, home / "pickled", serialization_format="cloudpickle", signature=infer_signature(X)
    )
    slipstream.pyfunc.save_model(
        home / "scale",
        python_model=Scale(2),
        artifacts={"bias": str(home / "bias.txt")},
        signature=infer_signature(X, params={"plus": 0}),
    )
    slipstream.pyfunc.save_model(home / "lengths", python_model=lengths)
    slipstream.pyfunc.save_model(home / "typed", python_model=Typed())
    # MLflow is installed here, so the file's `import mlflow` is the real one; its hints of types warn.
    slipstream.pyfunc.save_model(
        home / "code",
        python_model=home / "times.py",
        model_config={"factor": 5},
        signature=infer_signature(X),
    )


@pytest.mark.filterwarnings("ignore")
def test_mlflow_loads_what_we_save(tmp_path):
    _make_ours(tmp_path)
    done = _run_mlflow(LOAD, tmp_path)
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout.splitlines()[-1])
    ours = {
        name: slipstream.pyfunc.load_model(tmp_path / name) for name in ("forest", "scale", "lengths", "code")
    }
    assert answers["forest"] == answers["pickled"] == FOREST.predict(X).astype(float).tolist()
    assert answers["scale"] == pytest.approx(ours["scale"].predict(X, params={"plus": 1}))
    assert answers["lengths"] == answers["typed"] == ours["lengths"].predict(["abc", "z"])
    assert answers["code"] == pytest.approx((X["a"] * 5).tolist())
    for name, model in ours.items():
        assert answers[f"{name} signature"] == model.metadata.signature.to_dict()
    assert answers["example"] == X.head(2).to_dict("list")


@pytest.mark.filterwarnings("ignore")
def test_we_load_what_mlflow_saves(tmp_path, monkeypatch):
    done = _run_mlflow(SAVE, tmp_path)
    assert done.returncode == 0, done.stderr
    _hide_mlflow(monkeypatch)
    inputs = {"lengths": ["abc", "z"], "typed": [{"text": "q"}]}
    expected = {
        "forest": FOREST.predict(X).tolist(),
        "pickled": FOREST.predict(X).tolist(),
        "scale": (X["a"] + 10).tolist(),
        "lengths": [3, 1],
        "typed": ["Q"],
        "code": (X["a"] * 5).tolist(),
    }
    for name, answer in expected.items():
        model = slipstream.pyfunc.load_model(tmp_path / name, trust=True)
        assert list(model.predict(inputs.get(name, X))) == pytest.approx(answer), name
    example = slipstream.pyfunc.load_model(tmp_path / "forest").input_example
    assert example.to_numpy() == pytest.approx(X.head(2).to_numpy())
    for name in ("pickled", "scale", "lengths", "typed", "code"):
        with pytest.raises(UntrustedModelError):
            slipstream.pyfunc.load_model(tmp_path / name)


def _hide_mlflow(monkeypatch):
    """Make `import mlflow` fail, as where it is not installed."""
    import importlib.util

    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "mlflow" else find_spec(name, *rest)
    )
    for name in [name for name in sys.modules if name.partition(".")[0] == "mlflow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mlflow", None)


TYPED = """
import sys
home = sys.argv[1]
import pydantic
import slipstream as mlflow

class Message(pydantic.BaseModel):
    role: str
    n: int = 1

class Roles(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[Message]) -> list[str]:
        return [message.role * message.n for message in model_input]

def double(model_input: list[int]) -> list[int]:
    return [value * 2 for value in model_input]

mlflow.pyfunc.save_model(home + "/roles", python_model=Roles())
mlflow.pyfunc.save_model(home + "/double", python_model=double)
assert mlflow.pyfunc.load_model(home + "/roles").predict([{"role": "u", "n": 2}]) == ["uu"]
assert mlflow.pyfunc.load_model(home + "/double").predict([1, 2]) == [2, 4]
"""
LOAD_TYPED = """
import sys
home = sys.argv[1]
import mlflow
roles, double = (mlflow.pyfunc.load_model(f"{home}/{name}") for name in ("roles", "double"))
assert roles.predict([{"role": "u", "n": 2}]) == ["uu"]
assert double.predict([1, 2]) == [2, 4]
for model, wrong in ((roles, [{"n": 2}]), (double, [1.5])):
    try:
        model.predict(wrong)
    except mlflow.exceptions.MlflowException:
        continue
    raise AssertionError(f"{wrong} was taken")
print("checked")
"""


def test_mlflow_checks_the_input_of_typed_models_that_we_save(tmp_path):
    environment = {**os.environ, "SLIPSTREAM_HOME": str(tmp_path / "home")}
    for script, said in ((TYPED, ""), (LOAD_TYPED, "checked\n")):
        # From a file, so that the classes are in __main__ and go into the pickle by value.
        (tmp_path / "script.py").write_text(script, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-W", "ignore", str(tmp_path / "script.py"), str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
        assert (done.returncode, done.stdout) == (0, said), done.stderr
