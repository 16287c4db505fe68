"""Pickles of Python models that both slipstream and MLflow can read.

A class pickled by value names its base class by module. Where that is our `PythonModel`, the pickle says
`mlflow.pyfunc.model.PythonModel` instead, so a real MLflow needs no slipstream to load it. Reading turns such
names into ours, so slipstream needs no MLflow to load what MLflow saved. Reading a pickle runs its code:
callers ask `models.trust` first.
"""

import importlib
import importlib.util
import io
import pickle
import sys
import types
from typing import IO, Any, NamedTuple, Self

from slipstream.errors import InvalidParameterError, MissingDependencyError, SlipstreamError
from slipstream.flavors import python_model, type_hints

_THEIR_VALIDATION = "mlflow.pyfunc.utils.data_validation"


def _cloudpickle() -> Any:
    try:
        return importlib.import_module("cloudpickle")
    except ImportError as error:
        raise MissingDependencyError(
            "Pickling a Python model needs cloudpickle: pip install 'slipstream[pyfunc]'. Or save the model as code: "
            "python_model='model.py'."
        ) from error


def dumps(model: Any) -> bytes:
    """Pickle a Python model, by value where its class is in no importable module.

    Raises:
        InvalidParameterError: something in it cannot be pickled.
    """
    cloudpickle = _cloudpickle()
    ours_to_theirs = {
        id(python_model.PythonModel): ("mlflow.pyfunc.model", "PythonModel"),
        id(python_model.PythonModelContext): ("mlflow.pyfunc.model", "PythonModelContext"),
    }

    class ForeignName:
        """Pickles as `getattr(import_module(module), name)`."""

        def __init__(self, module: str) -> None:
            self.module = module

        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return cloudpickle.cloudpickle.subimport, (self.module,)

    # MLflow checks input against type hints in a wrapper around the function, which it puts there when a class is
    # defined; a class that comes out of a pickle gets none. So the pickle says: `pyfunc(function)`.
    typed = {id(function): _copy_of(function) for function in _typed_functions(model)}

    class Pickler(cloudpickle.Pickler):  # pyright: ignore[reportUntypedBaseClass]
        def reducer_override(self, obj: Any) -> Any:
            if id(obj) in typed:
                return _Attribute(ForeignName(_THEIR_VALIDATION), "pyfunc"), (typed[id(obj)],)
            known = ours_to_theirs.get(id(obj))
            if known is not None:
                return getattr, (ForeignName(known[0]), known[1])
            if isinstance(obj, types.ModuleType):
                package, _, _ = obj.__name__.partition(".")
                if package == "slipstream":
                    # `import slipstream as mlflow`: the module goes by the other name, as the user wrote it.
                    return ForeignName("mlflow" + obj.__name__[len("slipstream") :]).__reduce__()
                if (
                    package == "mlflow"
                ):  # perhaps one of the stand-in's, which cloudpickle does not take for a module
                    return ForeignName(obj.__name__).__reduce__()
            return super().reducer_override(obj)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]

    # A function model is a class of ours, which MLflow has under another name with the same attribute.
    if type(model) is python_model.FunctionModel:
        model = _TheirFunctionModel(model.func, ForeignName("mlflow.pyfunc.model"))
    buffer = io.BytesIO()
    try:
        Pickler(buffer, protocol=pickle.DEFAULT_PROTOCOL).dump(model)
    except (pickle.PicklingError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise InvalidParameterError(
            f"The Python model cannot be pickled: {error}. Save it as code instead: put it in a file that ends with "
            "slipstream.models.set_model(model) and pass the file's path as python_model."
        ) from error
    return buffer.getvalue()


def _typed_functions(model: Any) -> list[types.FunctionType]:
    """Return the functions whose type hints describe the input of a Python model."""
    if type(model) is python_model.FunctionModel:
        found: list[Any] = [model.func]
    else:
        classes = [kind for kind in type(model).__mro__ if issubclass(kind, python_model.PythonModel)]
        found = [kind.__dict__.get("predict") for kind in classes if kind is not python_model.PythonModel]
    return [
        function
        for function in found
        if isinstance(function, types.FunctionType)
        and type_hints.is_supported(python_model.hints_of(function).input)
    ]


def _copy_of(function: types.FunctionType) -> types.FunctionType:
    """Return the same function as another object, which the pickler takes for what it is."""
    copy = types.FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    copy.__dict__.update(function.__dict__)
    for name in ("__annotations__", "__doc__", "__module__", "__qualname__"):
        setattr(copy, name, getattr(function, name))
    return copy


class _TheirFunctionModel:
    """Pickles as MLflow's wrapper of a function, made without calling it."""

    def __init__(self, func: Any, module: Any) -> None:
        self.func = func
        self.module = module

    def __reduce__(self) -> Any:
        # Made without MLflow's constructor, which wants to wrap the function; the state is what counts.
        return (
            object.__new__,
            (_Attribute(self.module, "_FunctionPythonModel"),),
            {"func": self.func, "signature": None},
        )


class _Attribute:
    def __init__(self, module: Any, name: str) -> None:
        self.module = module
        self.name = name

    def __reduce__(self) -> Any:
        return getattr, (self.module, self.name)

    def __call__(self, *_arguments: Any) -> Any:
        """Stand where a pickle needs something callable; what it becomes there is what is called."""
        raise NotImplementedError


def load(file: IO[bytes]) -> Any:
    """Unpickle a Python model that slipstream or MLflow wrote. The caller has checked that it may run."""
    _cloudpickle()
    try:
        return _Unpickler(file).load()
    except (pickle.UnpicklingError, AttributeError, ImportError, EOFError, IndexError) as error:
        raise InvalidParameterError(
            f"The pickled Python model cannot be loaded here: {error!r}. It was made with other versions of its "
            "libraries, or needs a module that is not installed; see the model's requirements.txt."
        ) from error


class _Unpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str, /) -> Any:
        if module_name == "cloudpickle.cloudpickle" and global_name == "subimport":
            return _import_module
        if module_name.partition(".")[0] == "mlflow" and not _keep_theirs(module_name):
            return _our_name(module_name, global_name)
        return super().find_class(module_name, global_name)


_OUR_NAMES: dict[tuple[str, str], Any] = {
    ("mlflow.pyfunc.model", "PythonModel"): python_model.PythonModel,
    ("mlflow.pyfunc", "PythonModel"): python_model.PythonModel,
    ("mlflow.pyfunc.model", "PythonModelContext"): python_model.PythonModelContext,
    ("mlflow.pyfunc.model", "_FunctionPythonModel"): python_model.FunctionModel,
    ("mlflow.exceptions", "MlflowException"): SlipstreamError,
}


def _keep_theirs(module_name: str) -> bool:
    """Tell whether a name of MLflow's stays MLflow's: it is installed and we have no such thing."""
    return not module_name.startswith(
        ("mlflow.pyfunc", "mlflow.exceptions", "mlflow.models.signature", "mlflow.types")
    ) and (importlib.util.find_spec("mlflow") is not None)


def _our_name(module_name: str, global_name: str) -> Any:
    found = _OUR_NAMES.get((module_name, global_name))
    if found is not None:
        return found
    if module_name == _THEIR_VALIDATION:
        return {"FuncInfo": _FunctionInfo, "_validate_model_input": _convert_arguments}[global_name]
    if module_name.startswith(("mlflow.models.signature", "mlflow.types")):
        # A function model carries its signature; the MLmodel file has it too, and that one is used.
        return _Ignored
    ours = importlib.import_module("slipstream" + module_name[len("mlflow") :])
    return getattr(ours, global_name)


class _Ignored:
    """Takes the place of an object that is not needed; swallows whatever its pickle holds."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self:
        return super().__new__(cls)

    def __init__(self, *_args: Any, **_kwargs: Any) -> None: ...

    def __setstate__(self, _state: Any) -> None: ...


def _import_module(name: str) -> Any:
    """Import what a pickle refers to; MLflow's modules that hold our classes become a table of them."""
    if name == _THEIR_VALIDATION:  # ours checks the input before it calls the function
        return types.SimpleNamespace(pyfunc=lambda function: function)  # pyright: ignore[reportUnknownLambdaType]
    if name in ("mlflow.pyfunc.model", "mlflow.pyfunc"):
        return types.SimpleNamespace(
            PythonModel=python_model.PythonModel,
            PythonModelContext=python_model.PythonModelContext,
            _FunctionPythonModel=python_model.FunctionModel,
        )
    if name.partition(".")[0] == "mlflow" and importlib.util.find_spec("mlflow") is None:
        name = "slipstream" + name[len("mlflow") :]
    importlib.import_module(name)
    return sys.modules[name]


# -- what MLflow's wrapper around a typed `predict` refers to ---------------------------------------
class _FunctionInfo(NamedTuple):
    input_type_hint: Any
    input_param_name: str


def _convert_arguments(
    args: tuple[Any, ...], kwargs: dict[str, Any], position: int, hint: Any, name: str
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    from slipstream.flavors import type_hints

    if name in kwargs:
        data = type_hints.unframe(kwargs[name], hint)
        return args, {**kwargs, name: type_hints.convert(data, hint)}
    if position < len(args):
        data = type_hints.unframe(args[position], hint)
        converted = type_hints.convert(data, hint)
        return (*args[:position], converted, *args[position + 1 :]), kwargs
    return args, kwargs
