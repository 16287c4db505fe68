"""XGBoost's boosters and estimators, in XGBoost's own formats: no pickle."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from slipstream.errors import InvalidParameterError, MissingDependencyError
from slipstream.models.flavor import Predictor, Saved
from slipstream.models.locations import inside
from slipstream.models.saving import bind

FORMATS = ("ubj", "json")
_BOOSTER = "xgboost.core.Booster"


class XGBoostFlavor:
    name: ClassVar[str] = "xgboost"
    requirements: ClassVar[tuple[str, ...]] = ("xgboost",)
    model_argument: ClassVar[str] = "xgb_model"
    options: ClassVar[frozenset[str]] = frozenset({"model_format"})

    def handles(self, model: object) -> bool:
        return any(
            base.__module__.partition(".")[0] == "xgboost" and base.__name__ in ("Booster", "XGBModel")
            for base in type(model).__mro__
        )

    def save(self, model: Any, folder: Path, options: Mapping[str, Any]) -> Saved:
        chosen = options.get("model_format") or "ubj"
        require_format(chosen)
        file = folder / f"model.{chosen}"
        model.save_model(str(file))
        kind = model.__class__
        return Saved(
            flavor={
                "data": file.name,
                "model_class": f"{kind.__module__}.{kind.__qualname__}",
                "model_format": chosen,
                "xgb_version": _import().__version__,
            },
            python_function={"loader_module": "mlflow.xgboost", "data": file.name},
            predict=self.predictor(model, {}),
        )

    def load(self, folder: Path, config: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
        library = _import()
        file = inside(folder, config.get("data"), key="xgboost.data")
        # MLflow before 1.22 wrote no class: there were boosters only.
        name = str(config.get("model_class") or _BOOSTER)
        kind = library.Booster if name == _BOOSTER else getattr(library, name.rpartition(".")[2], None)
        if not (isinstance(kind, type) and issubclass(kind, (library.Booster, library.sklearn.XGBModel))):
            raise InvalidParameterError(
                f"'model_class' in the MLmodel file is '{name}', which is no class of xgboost {library.__version__}."
            )
        model = kind()
        model.load_model(str(file))
        return model

    def predictor(self, model: Any, config: Mapping[str, Any]) -> Predictor:
        is_booster = type(model).__name__ == "Booster"

        def predict(data: Any, params: dict[str, Any]) -> Any:
            return model.predict(_import().DMatrix(data) if is_booster else data, **params)

        return predict


def require_format(name: str) -> None:
    if name not in FORMATS:
        raise InvalidParameterError(f"Unknown model_format '{name}'; choose one of {FORMATS}")


def _import() -> Any:
    try:
        return importlib.import_module("xgboost")
    except ImportError as error:
        raise MissingDependencyError("This model needs xgboost: pip install 'slipstream[xgboost]'") from error


FLAVOR = XGBoostFlavor()
save_model, log_model, load_model = bind(FLAVOR)
