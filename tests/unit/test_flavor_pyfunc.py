"""Custom Python models: saving, loading, trust, type hints, models from code."""

import builtins
import pathlib
import pickletools
import sys
import types

import pandas as pd
import pytest
import yaml

from slipstream.errors import (
    InvalidParameterError,
    MissingDependencyError,
    NotFoundError,
    SchemaEnforcementError,
    UntrustedModelError,
)
from slipstream.flavors import python_model, type_hints
from slipstream.flavors.registry import find_flavor
from slipstream.models.mlmodel import Model
from slipstream.models.model_code import ModelConfig, set_model
from slipstream.models.signature import infer_signature
from slipstream.pyfunc import PythonModel, PythonModelContext, load_model, save_model

X = pd.DataFrame({"a": [1.0, 2.0]})


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("SLIPSTREAM_HOME", str(tmp_path / "home"))
    for name in ("SLIPSTREAM_ALLOW_PICKLE", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "model"


def _local_class():
    """A class that pickle has to take by value, as one typed into a notebook."""

    class Scale(PythonModel):
        def __init__(self, factor):
            self.factor = factor

        def load_context(self, context):
            self.bias = 0.0
            if "bias" in context.artifacts:
                with open(context.artifacts["bias"]) as file:  # noqa: PTH123
                    self.bias = float(file.read())

        def predict(self, context, model_input, params=None):
            return (model_input["a"] * self.factor + self.bias + (params or {}).get("plus", 0)).tolist()

        def predict_stream(self, context, model_input, params=None):
            yield from sorted(model_input)

    return Scale


def test_an_instance_with_artifacts_params_and_a_signature(folder, tmp_path):
    (tmp_path / "bias.txt").write_text("10")
    save_model(
        folder,
        python_model=_local_class()(3),
        artifacts={"bias": str(tmp_path / "bias.txt")},
        input_example=(X, {"plus": 1}),
    )
    model = load_model(folder)
    assert model.predict(X) == [14.0, 17.0]
    assert model.predict(X, params={"plus": 0}) == [13.0, 16.0]
    assert model.metadata.signature == infer_signature(X, [14.0, 17.0], {"plus": 1})
    assert list(model.predict_stream(X.head(1))) == ["a"]
    assert model.unwrap_python_model().factor == 3
    assert model.input_example.equals(X)
    with pytest.raises(SchemaEnforcementError, match=r"\['a'\]"):
        model.predict(pd.DataFrame({"b": [1.0]}))


def test_the_pickle_names_mlflows_base_class_and_nothing_of_ours(folder):
    save_model(folder, python_model=_local_class()(3))
    names = [
        argument
        for _opcode, argument, _position in pickletools.genops((folder / "python_model.pkl").read_bytes())
        if isinstance(argument, str)
    ]
    assert "mlflow.pyfunc.model" in names
    assert not [name for name in names if name.startswith("slipstream")]


def test_a_function_is_a_model(folder):
    def lengths(model_input: list[str]) -> list[int]:
        return [len(text) for text in model_input]

    save_model(folder, python_model=lengths)
    model = load_model(folder)
    assert model.predict(["a", "bcd"]) == [1, 3]
    assert repr(model.metadata.signature.inputs) == "[string (required)]"
    assert model.metadata.signature.from_type_hint
    with pytest.raises(SchemaEnforcementError, match="item 1 must be str, got int"):
        model.predict(["a", 3])


def test_artifacts_of_one_name_do_not_overwrite_each_other(folder, tmp_path):
    for number in ("1", "2"):
        (tmp_path / number).mkdir()
        (tmp_path / number / "x.txt").write_text(number)

    class Show(PythonModel):
        def load_context(self, context):
            self.paths = context.artifacts

        def predict(self, context, model_input, params=None):
            return [pathlib.Path(path).read_text() for path in self.paths.values()]

    save_model(
        folder,
        python_model=Show(),
        artifacts={"one": str(tmp_path / "1" / "x.txt"), "two": str(tmp_path / "2" / "x.txt")},
    )
    assert load_model(folder).predict(X) == ["1", "2"]
    entries = Model.load(folder).flavors["python_function"]["artifacts"]
    assert len({entry["path"] for entry in entries.values()}) == 2


def _forget(monkeypatch, tmp_path):
    monkeypatch.setenv("SLIPSTREAM_HOME", str(tmp_path / "somebody-else"))


def test_a_foreign_pickle_is_refused_unless_trusted(folder, tmp_path, monkeypatch):
    save_model(folder, python_model=_local_class()(2))
    _forget(monkeypatch, tmp_path)
    with pytest.raises(UntrustedModelError, match="a pickled Python model"):
        load_model(folder)
    assert load_model(folder, trust=True).predict(X) == [2.0, 4.0]


def test_a_changed_artifact_is_not_trusted_either(folder, tmp_path):
    (tmp_path / "bias.txt").write_text("1")
    save_model(folder, python_model=_local_class()(2), artifacts={"bias": str(tmp_path / "bias.txt")})
    load_model(folder)
    (folder / "artifacts" / "bias.txt").write_text("2")
    with pytest.raises(UntrustedModelError, match=r"bias\.txt"):
        load_model(folder)


CODE = """\
{imports}
config = ModelConfig(development_config={{"factor": 2}})

class Times(PythonModel):
    def predict(self, context, model_input, params=None):
        import {late} as late
        return (model_input["a"] * config.get("factor")).tolist()

set_model(Times())
"""
OURS = CODE.format(
    imports="from slipstream.models import ModelConfig, set_model\nfrom slipstream.pyfunc import PythonModel",
    late="slipstream.pyfunc",
)
THEIRS = CODE.format(
    imports="from mlflow.models import ModelConfig, set_model\nfrom mlflow.pyfunc import PythonModel",
    late="mlflow.pyfunc",
)


def test_a_model_from_code_needs_no_pickle(folder, tmp_path, monkeypatch):
    (tmp_path / "times.py").write_text(OURS)
    save_model(folder, python_model=str(tmp_path / "times.py"), model_config={"factor": 5}, input_example=X)
    assert not list(folder.glob("*.pkl"))
    assert Model.load(folder).flavors["python_function"]["model_code_path"] == "times.py"
    assert load_model(folder).predict(X) == [5.0, 10.0]
    assert load_model(folder, model_config={"factor": 7}).predict(X) == [7.0, 14.0]
    _forget(monkeypatch, tmp_path)
    with pytest.raises(UntrustedModelError, match="a model from code"):
        load_model(folder)


def test_code_that_imports_mlflow_gets_slipstream_where_mlflow_is_missing(folder, tmp_path, monkeypatch):
    import importlib.util

    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "mlflow" else find_spec(name, *rest)
    )
    (tmp_path / "times.py").write_text(THEIRS)
    save_model(folder, python_model=str(tmp_path / "times.py"), model_config={"factor": 5})
    model = load_model(folder)
    assert model.predict(X) == [5.0, 10.0]
    assert isinstance(model.unwrap_python_model(), PythonModel)


def test_without_saved_settings_a_code_model_may_not_fall_back_to_its_development_ones(folder, tmp_path):
    (tmp_path / "times.py").write_text(OURS)
    with pytest.raises(InvalidParameterError, match="No model config"):
        save_model(folder, python_model=str(tmp_path / "times.py"))
    assert not folder.exists()


def test_code_that_sets_no_model_is_refused(folder, tmp_path):
    (tmp_path / "empty.py").write_text("x = 1\n")
    with pytest.raises(InvalidParameterError, match="sets no model"):
        save_model(folder, python_model=tmp_path / "empty.py")


def test_set_model_outside_of_a_load_only_checks():
    set_model(lambda data: data)
    with pytest.raises(InvalidParameterError, match="int"):
        set_model(3)


def test_model_config_reads_a_yaml_file(tmp_path):
    (tmp_path / "config.yaml").write_text("a: 1\n")
    config = ModelConfig(development_config=str(tmp_path / "config.yaml"))
    assert config.get("a") == 1
    with pytest.raises(KeyError, match="b"):
        config.get("b")


def test_pydantic_hints_give_signature_and_objects(folder):
    pydantic = pytest.importorskip("pydantic")

    class Question(pydantic.BaseModel):
        text: str
        limit: int | None = None

    class Answer(PythonModel):
        def predict(self, model_input: list[Question]) -> list[str]:
            return [question.text.upper() for question in model_input]

    save_model(folder, python_model=Answer())
    model = load_model(folder)
    assert (
        repr(model.metadata.signature.inputs)
        == "[{limit: long (optional), text: string (required)} (required)]"
    )
    assert model.predict([{"text": "a"}]) == ["A"]
    assert model.predict(pd.DataFrame({"text": ["a", "b"]})) == ["A", "B"]
    with pytest.raises(SchemaEnforcementError, match="item 0"):
        model.predict([{"text": 3}])


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (list[int], "[long (required)]"),
        (list[dict[str, float]], "[Map(str -> double) (required)]"),
        (list[list[str]], "[Array(string) (required)]"),
        (list[int | str], "[Any (required)]"),
    ],
)
def test_signatures_of_hints(hint, expected):
    assert repr(type_hints.infer_schema(hint)) == expected


@pytest.mark.parametrize("hint", [str, list, list[int | None], list[complex], dict[str, int], None])
def test_hints_that_describe_no_list_are_not_used(hint):
    assert not type_hints.is_supported(hint)


def test_streaming_is_refused_where_there_is_none(folder):
    save_model(folder, python_model=lambda model_input: model_input)
    with pytest.raises(InvalidParameterError, match="does not support predict_stream"):
        load_model(folder).predict_stream("x")


def test_a_loader_module_of_the_users(folder, tmp_path, monkeypatch):
    (tmp_path / "data.txt").write_text("5")
    loader = types.ModuleType("slipstream_test_loader")

    class Constant:
        def __init__(self, path):
            with builtins.open(path) as file:  # noqa: PTH123
                self.value = float(file.read())

        def predict(self, data):
            return [self.value] * len(data)

    loader._load_pyfunc = Constant
    monkeypatch.setitem(sys.modules, "slipstream_test_loader", loader)
    save_model(folder, loader_module="slipstream_test_loader", data_path=tmp_path / "data.txt")
    assert load_model(folder).predict(X) == [5.0, 5.0]
    _forget(monkeypatch, tmp_path)
    with pytest.raises(UntrustedModelError, match="slipstream_test_loader"):
        load_model(folder)


def test_a_flavor_that_is_not_here_says_what_to_install(folder):
    save_model(folder, python_model=_local_class()(1))
    document = Model.load(folder)
    document.flavors["python_function"]["loader_module"] = "mlflow.no_such_flavor"
    document.save(folder)
    with pytest.raises(UntrustedModelError):
        load_model(folder)
    with pytest.raises(MissingDependencyError, match=r"mlflow\.no_such_flavor"):
        load_model(folder, trust=True)


def test_a_model_without_python_function_says_what_it_has(folder):
    save_model(folder, python_model=_local_class()(1))
    document = Model.load(folder)
    document.flavors = {"tensorflow": {}}
    document.save(folder)
    with pytest.raises(NotFoundError, match="tensorflow"):
        load_model(folder)


@pytest.mark.parametrize("key", ["python_model", "artifacts"])
def test_paths_in_the_mlmodel_file_cannot_leave_the_folder(folder, tmp_path, key):
    (tmp_path / "outside").write_text("x")
    save_model(folder, python_model=_local_class()(1))
    document = Model.load(folder)
    value = "../outside" if key == "python_model" else {"x": {"path": "../outside", "uri": "x"}}
    document.flavors["python_function"][key] = value
    document.save(folder)
    with pytest.raises(InvalidParameterError, match="leaves the model's folder"):
        load_model(folder, trust=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "python_model or loader_module"),
        ({"python_model": PythonModel}, "must be an instance"),
        ({"python_model": "nowhere.py"}, "existing .py file"),
        ({"python_model": lambda x: x, "artefacts": {}}, "artefacts"),
    ],
)
def test_mistakes_in_arguments(folder, arguments, message):
    with pytest.raises(InvalidParameterError, match=message):
        save_model(folder, **arguments)


def test_what_cannot_be_pickled_points_to_models_from_code(folder):
    import threading

    model = _local_class()(threading.Lock())
    with pytest.raises(InvalidParameterError, match="Save it as code"):
        save_model(folder, python_model=model)


def test_params_that_predict_does_not_take_are_reported(folder):
    def double(model_input):
        return [2 * value for value in model_input["a"]]

    save_model(folder, python_model=double, signature=infer_signature(X, params={"k": 1}))
    with pytest.warns(UserWarning, match="k"):
        assert load_model(folder).predict(X, params={"k": 2}) == [2.0, 4.0]


def test_context_may_be_left_out_of_predict():
    assert python_model.takes_context(lambda context, model_input: None)
    assert not python_model.takes_context(lambda model_input, params: None)
    assert PythonModelContext({"a": "b"}).artifacts == {"a": "b"}


def test_flavors_are_found_by_name_and_odd_names_find_nothing():
    assert find_flavor("sklearn").name == "sklearn"
    assert find_flavor("no_such_flavor") is None
    assert find_flavor("../evil") is None


# -- what a changed folder may not do -----------------------------------------------------------------
def _edit_mlmodel(folder, change):
    file = folder / "MLmodel"
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    change(document["flavors"]["python_function"])
    file.write_text(yaml.safe_dump(document), encoding="utf-8")


def test_artifacts_in_a_folder_named_like_compiled_code_count_too(folder, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "bias").write_text("1")
    save_model(folder, python_model=_local_class()(2), artifacts={"bias": str(data)})
    (folder / "artifacts" / "data" / "__pycache__").mkdir()
    (folder / "artifacts" / "data" / "__pycache__" / "strange").write_text("x")
    with pytest.raises(UntrustedModelError, match="strange"):
        load_model(folder)


def test_an_mlmodel_file_that_somebody_changed_is_not_followed(folder, tmp_path):
    (tmp_path / "bias").write_text("1")
    save_model(
        folder,
        python_model=_local_class()(2),
        artifacts={"bias": str(tmp_path / "bias")},
        model_config={"a": 1},
    )
    assert load_model(folder).predict(X) == [3.0, 5.0]
    _edit_mlmodel(folder, lambda pyfunc: pyfunc["config"].update(a=2))
    with pytest.raises(UntrustedModelError, match="did not save it as it is"):
        load_model(folder)
    assert load_model(folder, trust=True).predict(X) == [3.0, 5.0]


def test_a_model_folder_below_one_named_like_compiled_code_is_checked(tmp_path):
    folder = tmp_path / "__pycache__" / "model"
    folder.mkdir(parents=True)
    (folder / "model.pkl").write_bytes(b"strange")
    document = {"flavors": {"python_function": {"loader_module": "some_loader"}}}
    (folder / "MLmodel").write_text(yaml.safe_dump(document))
    with pytest.raises(UntrustedModelError):
        load_model(folder)


@pytest.mark.parametrize(
    ("key", "value"), [("artifacts", {"a": 3}), ("artifacts", ["a"]), ("config", 3), ("config", "x")]
)
def test_damaged_parts_of_the_mlmodel_file(folder, key, value):
    save_model(folder, python_model=_local_class()(2))
    _edit_mlmodel(folder, lambda pyfunc: pyfunc.update({key: value}))
    with pytest.raises(InvalidParameterError, match=f"'{key}' in the MLmodel file"):
        load_model(folder, trust=True)


# -- params and examples ------------------------------------------------------------------------------
def test_without_params_a_model_gets_none_and_fills_in_its_own(folder):
    class Model(PythonModel):
        def predict(self, context, model_input, params=None):
            if params is None:
                params = {"k": 7}
            return [params["k"]]

    save_model(folder, python_model=Model())
    assert load_model(folder).predict(X) == [7]


def test_an_example_that_works_only_as_it_is_gives_no_signature(folder):
    class Shout(PythonModel):
        def predict(self, context, model_input, params=None):
            return [text + "!" for text in model_input]

    with pytest.warns(UserWarning, match="gets no signature.*DataFrame"):
        model = save_model(folder, python_model=Shout(), input_example=["a", "b"])
    assert model.signature is None
    assert load_model(folder).predict(["a", "b"]) == ["a!", "b!"]


def test_outputs_without_a_type_hint_may_be_anything(folder):
    class Typed(PythonModel):
        def predict(self, model_input: list[str]):
            return model_input

    assert repr(save_model(folder, python_model=Typed()).signature.outputs) == "[Any (required)]"


def test_a_file_that_uses_mlflows_model_config_gets_the_saved_settings(folder, tmp_path, monkeypatch):
    """Where MLflow is installed, the file's `ModelConfig` is MLflow's own."""
    theirs = types.ModuleType("mlflow.models.model_config")
    exec(
        "class ModelConfig:\n    def __init__(self):\n        self.value = __mlflow_model_config__\n",
        theirs.__dict__,
    )
    for name, module in (
        ("mlflow", types.ModuleType("mlflow")),
        ("mlflow.models", types.ModuleType("mlflow.models")),
        ("mlflow.models.model_config", theirs),
    ):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr("slipstream.models.model_code.importlib.util.find_spec", lambda name: object())
    source = tmp_path / "model.py"
    source.write_text(
        "from mlflow.models.model_config import ModelConfig\n"
        "from slipstream.models import set_model\n"
        "greeting = ModelConfig().value['greet']\n"
        "set_model(lambda model_input: [greeting + text for text in model_input])\n"
    )
    save_model(folder, python_model=source, model_config={"greet": "yo"})
    assert load_model(folder).predict(["a"]) == ["yoa"]
    assert load_model(folder, model_config={"greet": "over"}).predict(["a"]) == ["overa"]
    assert theirs.__dict__["__mlflow_model_config__"] is None


def test_artifacts_of_a_model_from_code_count_too(folder, tmp_path):
    (tmp_path / "bias").write_text("1")
    source = tmp_path / "model.py"
    source.write_text(
        "from slipstream.models import set_model\nset_model(lambda model_input: list(model_input))\n"
    )
    save_model(folder, python_model=source, artifacts={"bias": str(tmp_path / "bias")})
    assert load_model(folder).predict(["a"]) == ["a"]
    (folder / "artifacts" / "bias").write_text("2")
    with pytest.raises(UntrustedModelError):
        load_model(folder)


def test_another_loader_module_for_the_same_data_is_not_trusted(folder, tmp_path, monkeypatch):
    (tmp_path / "some_loader_of_mine.py").write_text(
        "class M:\n    def predict(self, data): return 'mine'\ndef _load_pyfunc(path): return M()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "data").write_text("1")
    save_model(folder, loader_module="some_loader_of_mine", data_path=tmp_path / "data")
    assert load_model(folder).predict(X) == "mine"
    _edit_mlmodel(folder, lambda pyfunc: pyfunc.update(loader_module="some_other_loader"))
    with pytest.raises(UntrustedModelError):
        load_model(folder)


def test_a_loader_without_data_loads_for_who_saved_it(folder, tmp_path, monkeypatch):
    (tmp_path / "loader_without_data.py").write_text(
        "class M:\n    def predict(self, data): return 'mine'\ndef _load_pyfunc(path): return M()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    save_model(folder, loader_module="loader_without_data", input_example=X)
    assert load_model(folder).predict(X) == "mine"
    (folder / "more.pkl").write_text("strange")
    with pytest.raises(UntrustedModelError, match="more.pkl"):
        load_model(folder)


def test_code_runs_from_a_private_copy(folder, tmp_path):
    code = tmp_path / "code_of_mine"
    code.mkdir()
    (code / "__init__.py").write_text("name = 'checked'\n")
    save_model(folder, python_model=_local_class()(2), code_paths=[code])
    before = list(sys.path)
    load_model(folder)
    (added,) = [entry for entry in sys.path if entry not in before]
    assert not pathlib.Path(added).is_relative_to(folder)
    assert (pathlib.Path(added) / "code_of_mine" / "__init__.py").read_text() == "name = 'checked'\n"
    sys.path.remove(added)


def test_packing_a_strangers_model_into_ones_own_does_not_vouch_for_it(folder, tmp_path, monkeypatch):
    stranger = tmp_path / "stranger"
    monkeypatch.setenv("SLIPSTREAM_HOME", str(tmp_path / "their-home"))
    save_model(stranger, python_model=_local_class()(3))
    monkeypatch.setenv("SLIPSTREAM_HOME", str(tmp_path / "home"))
    save_model(folder, python_model=_local_class()(2), artifacts={"base": str(stranger)})
    assert load_model(folder).predict(X) == [2.0, 4.0]
    with pytest.raises(UntrustedModelError):
        load_model(stranger)
