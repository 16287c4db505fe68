"""Models of Keras 3, in Keras' own format.

A `.keras` file names the classes and functions that it is built of, and Keras' safe mode was passed by crafted files more
than once. So who did not save a model needs to trust it, as for pickles.
"""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from slipstream.client.scratch import scratch_folder
from slipstream.errors import MissingDependencyError
from slipstream.models import trust
from slipstream.models.flavor import Predictor, Saved
from slipstream.models.locations import inside
from slipstream.models.saving import bind

_FILE = "data/model.keras"


class KerasFlavor:
    name: ClassVar[str] = "keras"
    requirements: ClassVar[tuple[str, ...]] = ("keras",)
    model_argument: ClassVar[str] = "model"
    options: ClassVar[frozenset[str]] = frozenset({"save_model_kwargs"})

    def handles(self, model: object) -> bool:
        return any(
            base.__module__.startswith(("keras.src.models", "keras.models")) and base.__name__ == "Model"
            for base in type(model).__mro__
        )

    def save(self, model: Any, folder: Path, options: Mapping[str, Any]) -> Saved:
        keras = _import()
        file = folder / _FILE
        file.parent.mkdir(mode=0o700)
        model.save(str(file), **(options.get("save_model_kwargs") or {}))
        backend: str = keras.backend.backend()
        return Saved(
            flavor={
                "data": file.parent.name,
                "keras_backend": backend,
                "keras_version": keras.__version__,
                "save_exported_model": False,
            },
            python_function={"loader_module": "mlflow.keras", "data": file.parent.name},
            code_files=[file],
            modules={backend},
            predict=self.predictor(model, {}),
        )

    def load(self, folder: Path, config: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
        keras = _import()
        data = inside(folder, config.get("data") or "data", key="keras.data")
        file = data / "model.keras"
        (content,) = trust.read(folder, [file], what="a Keras model", trust=options.get("trust"))
        with scratch_folder("slipstream-keras-") as private:
            copy = private / file.name  # what was checked is what is loaded
            copy.write_bytes(content)
            return keras.saving.load_model(str(copy))

    def predictor(self, model: Any, config: Mapping[str, Any]) -> Predictor:
        def predict(data: Any, params: dict[str, Any]) -> Any:
            values = data.to_numpy() if hasattr(data, "to_numpy") else data
            return model.predict(values, verbose=0, **params)

        return predict


def _import() -> Any:
    try:
        return importlib.import_module("keras")
    except ImportError as error:
        raise MissingDependencyError(
            "This model needs Keras 3 and a backend: pip install 'slipstream[keras]' torch"
        ) from error


FLAVOR = KerasFlavor()
save_model, log_model, load_model = bind(FLAVOR)
