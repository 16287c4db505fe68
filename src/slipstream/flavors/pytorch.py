"""PyTorch modules, also Lightning's, pickled whole by cloudpickle: the classes of a script come along."""

import importlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from slipstream.errors import InvalidParameterError, MissingDependencyError
from slipstream.models import trust
from slipstream.models.flavor import Predictor, Saved
from slipstream.models.locations import inside
from slipstream.models.requirements import modules_of
from slipstream.models.saving import bind

_FILE = "data/model.pth"
_PICKLER_FILE = "pickle_module_info.txt"
_PICKLER = "cloudpickle"


class PyTorchFlavor:
    name: ClassVar[str] = "pytorch"
    requirements: ClassVar[tuple[str, ...]] = ("torch", "cloudpickle")
    model_argument: ClassVar[str] = "pytorch_model"
    options: ClassVar[frozenset[str]] = frozenset()

    def handles(self, model: object) -> bool:
        return any(
            base.__module__ == "torch.nn.modules.module" and base.__name__ == "Module"
            for base in type(model).__mro__
        )

    def save(self, model: Any, folder: Path, options: Mapping[str, Any]) -> Saved:
        torch = _import("torch")
        file = folder / _FILE
        file.parent.mkdir(mode=0o700)
        (file.parent / _PICKLER_FILE).write_text(_PICKLER, encoding="utf-8")
        torch.save(model, file, pickle_module=_import(_PICKLER))
        return Saved(
            flavor={"model_data": file.parent.name, "pytorch_version": str(torch.__version__)},
            python_function={
                "loader_module": "mlflow.pytorch",
                "data": file.parent.name,
                "pickle_module_name": _PICKLER,
            },
            code_files=[file, file.parent / _PICKLER_FILE],
            modules=modules_of(model),
            predict=self.predictor(model, {}),
        )

    def load(self, folder: Path, config: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
        torch = _import("torch")
        data = inside(folder, config.get("model_data") or "data", key="pytorch.model_data")
        file, pickler = data / "model.pth", data / _PICKLER_FILE
        if not file.is_file():
            raise InvalidParameterError(
                f"There is no '{file.name}' in '{data.name}': only models that were saved as pickles can be loaded here, no "
                "exported programs."
            )
        files = [file, *([pickler] if pickler.exists() else [])]
        what = "a pickled PyTorch model"
        content = trust.read(folder, files, what=what, trust=options.get("trust"))[0]
        _import(_PICKLER)  # defines what the pickle refers to
        return torch.load(
            io.BytesIO(content), map_location=options.get("map_location") or "cpu", weights_only=False
        )

    def predictor(self, model: Any, config: Mapping[str, Any]) -> Predictor:
        def predict(data: Any, params: dict[str, Any]) -> Any:
            torch = _import("torch")
            numpy = _import("numpy")
            # MLflow hands over tables as arrays of 32-bit numbers.
            values = data.to_numpy(dtype=numpy.float32) if hasattr(data, "to_numpy") else numpy.asarray(data)
            was_training = bool(model.training)
            model.eval()
            try:
                with torch.no_grad():
                    found = model(torch.from_numpy(values).to(_device_of(model)), **params)
            finally:
                model.train(was_training)
            if not isinstance(found, torch.Tensor):
                raise InvalidParameterError(
                    f"The model returns a {type(found).__name__}; only those that return one tensor can be asked here."
                )
            return found.cpu().numpy()

        return predict


def _device_of(model: Any) -> Any:
    for parameter in model.parameters():
        return parameter.device
    return "cpu"


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingDependencyError(
            f"This PyTorch model needs '{name}': pip install 'slipstream[pytorch]'"
        ) from error


FLAVOR = PyTorchFlavor()
save_model, log_model, load_model = bind(FLAVOR)
