"""What must hold for every training that is logged by itself, tried with scikit-learn."""

import logging
import pickle
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn import metrics
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.tree import DecisionTreeClassifier
from tests.autologging.conftest import require_libraries

import slipstream
from slipstream.autologging import evaluation, integrations
from slipstream.autologging.patching import MARK
from slipstream.client.client import SlipstreamClient
from slipstream.errors import InvalidParameterError, SlipstreamError

Runs = Callable[[], list[Any]]
X = np.random.RandomState(1).rand(60, 3)
y = (X[:, 0] > 0.5).astype(int)


def test_a_run_is_started_and_ended(runs: Runs) -> None:
    slipstream.sklearn.autolog(log_models=False, extra_tags={"team": "a"})
    LinearRegression().fit(X, y)

    (run,) = runs()
    assert run.info.status == "FINISHED"
    assert run.info.end_time is not None
    assert run.data.tags["mlflow.autologging"] == "sklearn"
    assert run.data.tags["team"] == "a"
    assert slipstream.active_run() is None


def test_an_active_run_is_used_and_left_open(runs: Runs) -> None:
    slipstream.sklearn.autolog(log_models=False)
    with slipstream.start_run() as mine:
        LinearRegression().fit(X, y)
        still = slipstream.active_run()
        assert still is not None
        assert still.info.run_id == mine.info.run_id

    (run,) = runs()
    assert "training_score" in run.data.metrics
    assert "mlflow.autologging" not in run.data.tags


def test_a_second_training_in_a_run_keeps_the_first_params(
    runs: Runs, caplog: pytest.LogCaptureFixture
) -> None:
    slipstream.sklearn.autolog(log_models=False, log_datasets=False)
    with slipstream.start_run():
        LogisticRegression(C=0.5).fit(X, y)
        LogisticRegression(C=2.0).fit(X, y)

    (run,) = runs()
    assert run.data.params["C"] == "0.5"
    assert "logging params failed" in caplog.text


def test_the_users_error_fails_the_run(runs: Runs) -> None:
    slipstream.sklearn.autolog(log_models=False)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        LinearRegression().fit(X, y[:-1])

    (run,) = runs()
    assert run.info.status == "FAILED"
    assert run.data.params["fit_intercept"] == "True"


@pytest.mark.parametrize("method", ["log_batch", "log_artifacts", "log_inputs", "log_text", "create_run"])
def test_a_store_that_fails_hurts_no_training(
    experiment_id: str, method: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_args: Any, **_kwargs: Any) -> None:
        raise SlipstreamError("the server is away")

    slipstream.sklearn.autolog(log_models=False)
    monkeypatch.setattr(SlipstreamClient, method, fail)
    model = LinearRegression()

    assert model.fit(X, y) is model
    assert model.fit(X, y) is model
    if method != "log_text":  # not used by scikit-learn
        assert "the server is away" in caplog.text
        told = [
            record.message.partition(" failed")[0]
            for record in caplog.records
            if record.levelno >= logging.WARNING
        ]
        assert len(told) == len(set(told))
    monkeypatch.undo()


def test_an_error_of_our_own_hurts_no_training(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    slipstream.sklearn.autolog(log_models=False)
    monkeypatch.setattr("slipstream.autologging.training_metrics.log", lambda *_args, **_kwargs: 1 / 0)

    assert LinearRegression().fit(X, y).score(X, y) > 0
    (run,) = runs()
    assert run.info.status == "FINISHED"
    assert "ZeroDivisionError" in caplog.text


def test_a_search_is_one_run_with_children_also_in_threads(runs: Runs) -> None:
    import joblib

    slipstream.sklearn.autolog(log_models=False, max_tuning_runs=2)
    with joblib.parallel_backend("threading"):
        GridSearchCV(DecisionTreeClassifier(random_state=1), {"max_depth": [1, 2, 3]}, cv=2, n_jobs=2).fit(
            X, y
        )

    found = runs()
    parents = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    assert len(parents) == 1
    assert len(found) == 3
    assert {run.info.status for run in found} == {"FINISHED"}
    assert parents[0].data.params["best_max_depth"]


def test_cross_validation_is_no_training(runs: Runs) -> None:
    slipstream.sklearn.autolog()
    cross_val_score(LinearRegression(), X, y, cv=2)

    assert runs() == []


def test_trainings_in_threads_have_runs_of_their_own(runs: Runs) -> None:
    slipstream.sklearn.autolog(log_models=False, log_datasets=False)
    errors: list[BaseException] = []

    def train(depth: int) -> None:
        try:
            DecisionTreeClassifier(max_depth=depth).fit(X, y)
        except BaseException as error:  # noqa: BLE001  # told below
            errors.append(error)

    threads = [threading.Thread(target=train, args=(depth,)) for depth in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert sorted(run.data.params["max_depth"] for run in runs()) == ["1", "2", "3"]


def test_exclusive_leaves_runs_alone_that_were_started_by_hand(runs: Runs) -> None:
    slipstream.sklearn.autolog(log_models=False, exclusive=True)
    with slipstream.start_run():
        LinearRegression().fit(X, y)
    (run,) = runs()
    assert run.data.params == {}

    LinearRegression().fit(X, y)
    assert len(runs()) == 2


def test_disabling_takes_every_watch_away(runs: Runs) -> None:
    before = vars(LinearRegression)["fit"], metrics.accuracy_score
    slipstream.sklearn.autolog()
    assert hasattr(LinearRegression.fit, MARK)
    slipstream.sklearn.autolog()
    slipstream.sklearn.autolog(disable=True)
    slipstream.sklearn.autolog(disable=True)

    assert (vars(LinearRegression)["fit"], metrics.accuracy_score) == before
    LinearRegression().fit(X, y)
    assert runs() == []


def test_turned_off_inside_a_training(runs: Runs) -> None:
    slipstream.sklearn.autolog(log_models=False)

    class Strange(LinearRegression):
        def get_params(self, deep: bool = True) -> dict[str, Any]:
            slipstream.sklearn.autolog(disable=True)
            return super().get_params(deep)

    Strange().fit(X, y)
    LinearRegression().fit(X, y)

    (run,) = runs()
    assert run.info.status == "FINISHED"


def test_the_librarys_own_function_holds_against_the_general_one(runs: Runs) -> None:
    slipstream.sklearn.autolog(log_models=False, log_datasets=False)
    slipstream.autolog()
    assert integrations.find("sklearn").options["log_models"] is False

    slipstream.autolog(disable=True)
    LinearRegression().fit(X, y)
    assert len(runs()) == 1


def test_libraries_can_be_left_out(runs: Runs) -> None:
    slipstream.autolog(exclude_flavors=["sklearn"])
    LinearRegression().fit(X, y)

    assert runs() == []
    assert integrations.find("xgboost").is_on


def test_a_version_that_was_not_tried_is_left_alone(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda _name: "99.0")
    slipstream.sklearn.autolog(log_models=False, disable_for_unsupported_versions=True)
    LinearRegression().fit(X, y)

    assert runs() == []
    assert "99.0" in caplog.text


def test_long_params_are_cut(runs: Runs) -> None:
    slipstream.sklearn.autolog(log_models=False)
    DecisionTreeClassifier(class_weight={0: 1.0, **dict.fromkeys(range(2, 1500), 1.0), 1: 1.0}).fit(X, y)

    (run,) = runs()
    text = run.data.params["class_weight"]
    assert len(text) == 6000
    assert text.endswith("...")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_tuning_runs": -1}, "max_tuning_runs"),
        ({"serialization_format": "zip"}, "serialization_format"),
        ({"extra_tags": ["a"]}, "extra_tags"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], message: str, experiment_id: str) -> None:
    with pytest.raises(InvalidParameterError, match=message):
        slipstream.sklearn.autolog(**options)


# -- metrics of predictions -------------------------------------------------------------------------------


def test_metrics_go_to_the_run_of_the_model_that_predicted(runs: Runs) -> None:
    slipstream.sklearn.autolog(log_models=False, log_datasets=False)
    held_out = X[:20]
    first, second = (
        DecisionTreeClassifier(max_depth=1).fit(X, y),
        DecisionTreeClassifier(max_depth=2).fit(X, y),
    )
    predicted = first.predict(held_out)
    metrics.accuracy_score(y[:20], predicted)
    metrics.accuracy_score(y[:20], second.predict(held_out))
    metrics.accuracy_score(y, np.zeros(len(y)))

    found = {run.data.params["max_depth"]: run for run in runs()}
    for depth in ("1", "2"):
        assert [key for key in found[depth].data.metrics if not key.startswith("training_")] == [
            "accuracy_score_held_out"
        ]


def test_nothing_is_kept_of_models_and_predictions(experiment_id: str) -> None:
    import gc

    slipstream.sklearn.autolog(log_models=False, log_datasets=False)
    gc.collect()
    before = len(evaluation._models), len(evaluation._predictions)
    model = LinearRegression().fit(X, y)
    predicted = model.predict(X)
    assert len(evaluation._models) == before[0] + 1
    del model, predicted
    gc.collect()

    assert (len(evaluation._models), len(evaluation._predictions)) == before


def test_watched_functions_can_be_pickled(experiment_id: str) -> None:
    slipstream.sklearn.autolog()

    assert pickle.loads(pickle.dumps(metrics.accuracy_score)) is metrics.accuracy_score
    assert isinstance(pickle.loads(pickle.dumps(LinearRegression().fit(X, y))), LinearRegression)


def test_a_logged_model_predicts_the_same(experiment_id: str) -> None:
    slipstream.sklearn.autolog(log_input_examples=True, registered_model_name="trees")
    model = DecisionTreeClassifier().fit(X, y)

    loaded = slipstream.pyfunc.load_model("models:/trees/1")
    assert (loaded.predict(X) == model.predict(X)).all()
    assert loaded.metadata.signature is not None


def test_one_library_that_is_turned_off_leaves_the_other_its_metrics(runs: Runs) -> None:
    require_libraries("xgboost")
    import xgboost

    original = metrics.accuracy_score
    slipstream.sklearn.autolog(log_models=False, log_datasets=False)
    slipstream.xgboost.autolog(log_models=False, log_datasets=False)
    slipstream.sklearn.autolog(disable=True)
    model = xgboost.XGBClassifier(n_estimators=1).fit(X, y)
    predicted = model.predict(X)
    metrics.accuracy_score(y, predicted)

    (run,) = runs()
    assert any(key.startswith("accuracy_score") for key in run.data.metrics)
    slipstream.xgboost.autolog(disable=True)
    assert metrics.accuracy_score is original


def test_metrics_of_one_library_do_not_hang_on_the_options_of_another(runs: Runs) -> None:
    require_libraries("xgboost")
    import xgboost

    slipstream.sklearn.autolog(log_post_training_metrics=False)
    slipstream.xgboost.autolog(log_models=False, log_datasets=False)
    metrics.accuracy_score(y, xgboost.XGBClassifier(n_estimators=1).fit(X, y).predict(X))

    (run,) = runs()
    assert any(key.startswith("accuracy_score") for key in run.data.metrics)


def test_params_of_xgboost_may_be_pairs(runs: Runs) -> None:
    require_libraries("xgboost")
    import xgboost

    slipstream.xgboost.autolog(log_models=False, log_datasets=False)
    xgboost.train([("max_depth", 2), ("eta", 0.5)], xgboost.DMatrix(X, label=y), 2)  # pyright: ignore[reportArgumentType]

    (run,) = runs()
    assert run.data.params["max_depth"] == "2"
    assert run.data.params["num_boost_round"] == "2"


def test_a_param_without_text_leaves_the_others(runs: Runs) -> None:
    class Odd:
        def __repr__(self) -> str:
            raise ValueError("no text")

    class WithMore(LinearRegression):
        def __init__(self, more: Any = None, positive: bool = True) -> None:
            super().__init__(positive=positive)
            self.more = more

    slipstream.sklearn.autolog(log_models=False)
    WithMore(Odd()).fit(X[:, 0:1], X[:, 0])

    (run,) = runs()
    assert run.data.params["positive"] == "True"


def test_pictures_are_drawn_without_touching_the_users_settings(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mine = dict(mpl.rcParams)
    during: list[bool] = []
    save = Figure.savefig

    def look(self: Figure, *args: Any, **kwargs: Any) -> None:
        during.append(dict(mpl.rcParams) == mine)
        save(self, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", look)
    slipstream.sklearn.autolog(log_models=False)
    LogisticRegression().fit(X, np.where(y == 1, "a class with a long name", "b"))

    assert during == [True, True, True]
    (run,) = runs()
    files = {each.path for each in SlipstreamClient().list_artifacts(run.info.run_id)}
    assert "training_confusion_matrix.png" in files
