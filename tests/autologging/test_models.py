"""Models that were logged by themselves load again, predict the same, and are not loaded by who does not trust them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import slipstream
from autologging.conftest import require_libraries
from slipstream.errors import InvalidParameterError, UntrustedModelError

X = pd.DataFrame(np.random.RandomState(1).rand(60, 3), columns=["a", "b", "c"])
y = (X["a"] > 0.5).astype(int)


def xgboost_booster() -> Any:
    import xgboost

    return xgboost.train({"max_depth": 2}, xgboost.DMatrix(X, y), 3), lambda model: model.predict(
        xgboost.DMatrix(X)
    )


def xgboost_estimator() -> Any:
    import xgboost

    return xgboost.XGBClassifier(n_estimators=3).fit(X, y), lambda model: model.predict(X)


def lightgbm_booster() -> Any:
    import lightgbm

    data = lightgbm.Dataset(X, y)
    return lightgbm.train({"verbose": -1}, data, 3), lambda model: model.predict(X)


def lightgbm_estimator() -> Any:
    import lightgbm

    return lightgbm.LGBMClassifier(n_estimators=3, verbose=-1).fit(X, y), lambda model: model.predict(X)


def statsmodels_results() -> Any:
    import statsmodels.api

    return statsmodels.api.OLS(y, X).fit(), lambda model: model.predict(X)


def keras_model() -> Any:
    import keras

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", loss="mse")
    model.fit(X.to_numpy(), y.to_numpy(), epochs=1, verbose=0)
    return model, lambda model: model.predict(X.to_numpy(), verbose=0)


def pytorch_module() -> Any:
    import torch

    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU())
    slipstream.pytorch.log_model(model, name="model")
    data = torch.tensor(X.to_numpy(), dtype=torch.float32)
    return model, lambda model: model(data).detach().numpy()


MAKERS: list[tuple[str, Callable[[], Any], tuple[str, ...], bool]] = [
    ("xgboost", xgboost_booster, ("xgboost",), False),
    ("xgboost", xgboost_estimator, ("xgboost",), False),
    ("lightgbm", lightgbm_booster, ("lightgbm",), False),
    ("lightgbm", lightgbm_estimator, ("lightgbm",), True),
    ("statsmodels", statsmodels_results, ("statsmodels",), True),
    ("keras", keras_model, ("keras", "torch"), True),
    ("pytorch", pytorch_module, ("torch",), True),
]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("flavor", "train", "needed", "is_code"), MAKERS, ids=[each[1].__name__ for each in MAKERS]
)
def test_a_model_comes_back_as_it_was(
    flavor: str,
    train: Callable[[], Any],
    needed: tuple[str, ...],
    is_code: bool,
    experiment_id: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    require_libraries(*needed)
    module = getattr(slipstream, flavor)
    module.autolog()
    model, predict = train()

    (logged,) = slipstream.search_logged_models(output_format="list")
    uri = f"models:/{logged.model_id}"
    loaded = module.load_model(uri)
    assert type(loaded) is type(model)
    np.testing.assert_allclose(predict(loaded), predict(model), rtol=1e-5)
    data = X if flavor in ("xgboost", "lightgbm", "statsmodels") else X.to_numpy(np.float32)
    found = slipstream.pyfunc.load_model(uri).predict(data)
    np.testing.assert_allclose(np.asarray(found).ravel(), np.asarray(predict(model)).ravel(), rtol=1e-4)

    monkeypatch.setenv("SLIPSTREAM_HOME", str(tmp_path / "somebody else"))
    if is_code:
        with pytest.raises(UntrustedModelError):
            module.load_model(uri)
        assert type(module.load_model(uri, trust=True)) is type(model)
    else:
        assert type(module.load_model(uri)) is type(model)


def test_a_class_that_is_none_of_xgboosts_is_not_built(experiment_id: str, tmp_path: Path) -> None:
    require_libraries("xgboost")
    import xgboost

    slipstream.xgboost.save_model(xgboost.XGBClassifier(n_estimators=1).fit(X, y), tmp_path / "model")
    mlmodel = tmp_path / "model" / "MLmodel"
    mlmodel.write_text(mlmodel.read_text().replace("xgboost.sklearn.XGBClassifier", "xgboost.sklearn.os"))

    with pytest.raises(InvalidParameterError, match="model_class"):
        slipstream.xgboost.load_model(tmp_path / "model")


def test_the_users_list_of_callbacks_stays_as_it_is(experiment_id: str) -> None:
    require_libraries("xgboost")
    import xgboost

    slipstream.xgboost.autolog(log_models=False, log_datasets=False)
    callbacks: list[Any] = []
    xgboost.train({}, xgboost.DMatrix(X, y), 2, callbacks=callbacks)

    assert callbacks == []


def test_metrics_of_boosted_trees_are_logged_after_their_training(experiment_id: str, runs: Any) -> None:
    require_libraries("xgboost")
    import sklearn.metrics
    import xgboost

    slipstream.xgboost.autolog(log_models=False, log_datasets=False)
    model = xgboost.XGBClassifier(n_estimators=2).fit(X, y)
    held_out = X[:20]
    sklearn.metrics.accuracy_score(y[:20], model.predict(held_out))

    (run,) = runs()
    assert "accuracy_score_held_out" in run.data.metrics
