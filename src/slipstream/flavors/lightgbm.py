"""LightGBM's boosters, in LightGBM's own text format, and its estimators, pickled by cloudpickle."""

import importlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from slipstream.errors import InvalidParameterError, MissingDependencyError
from slipstream.models import trust
from slipstream.models.flavor import Predictor, Saved
from slipstream.models.locations import inside
from slipstream.models.saving import bind

_BOOSTER = "lightgbm.basic.Booster"
FORMATS = ("cloudpickle", "pickle")


class LightGBMFlavor:
    name: ClassVar[str] = "lightgbm"
    requirements: ClassVar[tuple[str, ...]] = ("lightgbm",)
    model_argument: ClassVar[str] = "lgb_model"
    options: ClassVar[frozenset[str]] = frozenset({"serialization_format"})

    def handles(self, model: object) -> bool:
        return any(
            base.__module__.partition(".")[0] == "lightgbm" and base.__name__ in ("Booster", "LGBMModel")
            for base in type(model).__mro__
        )

    def save(self, model: Any, folder: Path, options: Mapping[str, Any]) -> Saved:
        kind = model.__class__
        name = f"{kind.__module__}.{kind.__qualname__}"
        chosen = options.get("serialization_format") or "cloudpickle"
        if chosen not in FORMATS:
            raise InvalidParameterError(f"Unknown serialization_format '{chosen}'; choose one of {FORMATS}")
        file = folder / ("model.lgb" if kind.__name__ == "Booster" else "model.pkl")
        modules: set[str] = set()
        code_files: list[Path] = []
        if file.suffix == ".lgb":
            model.save_model(str(file))
        else:
            library: Any = pickle if chosen == "pickle" else _import("cloudpickle")
            file.write_bytes(library.dumps(model, protocol=pickle.DEFAULT_PROTOCOL))
            code_files.append(file)
            modules |= {"sklearn", *(["cloudpickle"] if chosen == "cloudpickle" else [])}
        return Saved(
            flavor={
                "data": file.name,
                "lgb_version": _import("lightgbm").__version__,
                "model_class": name,
                "serialization_format": chosen,
            },
            python_function={"loader_module": "mlflow.lightgbm", "data": file.name},
            code_files=code_files,
            modules=modules,
            predict=self.predictor(model, {}),
        )

    def load(self, folder: Path, config: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
        file = inside(folder, config.get("data"), key="lightgbm.data")
        library = _import("lightgbm")
        # MLflow before 1.23 wrote no class: there were boosters only.
        if (config.get("model_class") or _BOOSTER) == _BOOSTER:
            return library.Booster(model_file=str(file))
        what = "a pickled LightGBM estimator"
        (content,) = trust.read(folder, [file], what=what, trust=options.get("trust"))
        try:
            return pickle.loads(content)  # noqa: S301  # the trust rules were asked
        except (pickle.UnpicklingError, AttributeError, ImportError, EOFError) as error:
            raise InvalidParameterError(
                f"The pickled model '{file.name}' cannot be loaded here: {error!r}. It needs the library versions in "
                "its requirements.txt."
            ) from error

    def predictor(self, model: Any, config: Mapping[str, Any]) -> Predictor:
        def predict(data: Any, params: dict[str, Any]) -> Any:
            return model.predict(data, **params)

        return predict


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingDependencyError(
            f"This LightGBM model needs '{name}': pip install 'slipstream[lightgbm]'"
        ) from error


FLAVOR = LightGBMFlavor()
save_model, log_model, load_model = bind(FLAVOR)
