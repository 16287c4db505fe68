"""Results of statsmodels, as statsmodels itself pickles them."""

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

_FILE = "model.statsmodels"


class StatsmodelsFlavor:
    name: ClassVar[str] = "statsmodels"
    requirements: ClassVar[tuple[str, ...]] = ("statsmodels",)
    model_argument: ClassVar[str] = "statsmodels_model"
    options: ClassVar[frozenset[str]] = frozenset({"remove_data"})

    def handles(self, model: object) -> bool:
        return type(model).__module__.partition(".")[0] == "statsmodels" and hasattr(model, "save")

    def save(self, model: Any, folder: Path, options: Mapping[str, Any]) -> Saved:
        file = folder / _FILE
        model.save(str(file), bool(options.get("remove_data")))
        return Saved(
            flavor={"data": file.name, "statsmodels_version": _import().__version__},
            python_function={"loader_module": "mlflow.statsmodels", "data": file.name},
            code_files=[file],
            predict=self.predictor(model, {}),
        )

    def load(self, folder: Path, config: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
        _import()
        file = inside(folder, config.get("data") or _FILE, key="statsmodels.data")
        what = "a pickled statsmodels model"
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
            # Models of time series predict a span of time: a table with a row and the columns `start` and `end`.
            columns = list(getattr(data, "columns", ()))
            if columns == ["start", "end"] and len(data) == 1:
                return model.predict(start=data["start"].iloc[0], end=data["end"].iloc[0])
            return model.predict(data)

        return predict


def _import() -> Any:
    try:
        return importlib.import_module("statsmodels")
    except ImportError as error:
        raise MissingDependencyError(
            "This model needs statsmodels: pip install 'slipstream[statsmodels]'"
        ) from error


FLAVOR = StatsmodelsFlavor()
save_model, log_model, load_model = bind(FLAVOR)
