"""scikit-learn models: no pickle by default, and a model cannot vouch for itself."""

import json
import zipfile

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

import slipstream.pyfunc
import slipstream.sklearn
from slipstream.errors import InvalidParameterError, SchemaEnforcementError, UntrustedModelError
from slipstream.flavors import tree_checks
from slipstream.models.mlmodel import Model

X = pd.DataFrame(np.random.RandomState(0).rand(60, 3), columns=["a", "b", "c"])
Y = (X["a"] > 0.5).astype(int)


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("SLIPSTREAM_HOME", str(tmp_path / "home"))
    for name in ("SLIPSTREAM_ALLOW_PICKLE", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "model"


def _forget(monkeypatch, tmp_path):
    """Become a user who saved nothing."""
    monkeypatch.setenv("SLIPSTREAM_HOME", str(tmp_path / "somebody-else"))


@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression(),
        DecisionTreeClassifier(),
        RandomForestClassifier(4),
        GradientBoostingClassifier(n_estimators=3),
        HistGradientBoostingRegressor(max_iter=3),
        IsolationForest(n_estimators=3, max_features=2),
        KNeighborsClassifier(algorithm="brute"),
        SGDClassifier(),
        make_pipeline(StandardScaler(), DecisionTreeClassifier()),
        VotingClassifier([("l", LogisticRegression()), ("t", DecisionTreeClassifier())]),
        GridSearchCV(DecisionTreeClassifier(), {"max_depth": [1, 2]}, cv=2),
    ],
    ids=lambda model: type(model).__name__,
)
def test_usual_models_load_anywhere_without_pickle(model, folder, tmp_path, monkeypatch):
    model.fit(X, Y)
    slipstream.sklearn.save_model(model, folder, input_example=X.head(2))
    _forget(monkeypatch, tmp_path)
    assert not list(folder.glob("*.pkl"))
    assert slipstream.sklearn.load_model(folder).predict(X).tolist() == model.predict(X).tolist()
    assert slipstream.pyfunc.load_model(folder).predict(X).tolist() == model.predict(X).tolist()


def test_mlmodel_names_what_mlflow_has_to_trust(folder):
    model = slipstream.sklearn.save_model(DecisionTreeClassifier().fit(X, Y), folder)
    assert model.flavors["sklearn"]["skops_trusted_types"] == ["sklearn.tree._tree.Tree"]
    assert model.flavors["python_function"]["loader_module"] == "mlflow.sklearn"


class Mine(BaseEstimator):
    """An estimator of the user's own."""

    def fit(self, x, y=None):
        return self

    def predict(self, x):
        return np.zeros(len(x))


OWN_TYPE = f"{Mine.__module__}.Mine"


def test_a_foreign_type_is_refused_on_saving_unless_named(folder):
    with pytest.raises(UntrustedModelError, match="skops_trusted_types="):
        slipstream.sklearn.save_model(Mine(), folder)
    slipstream.sklearn.save_model(Mine(), folder, skops_trusted_types=[OWN_TYPE])
    assert slipstream.sklearn.load_model(folder).predict(X).sum() == 0


def test_the_types_that_a_model_lists_itself_do_not_count(folder, tmp_path, monkeypatch):
    slipstream.sklearn.save_model(Mine(), folder, skops_trusted_types=[OWN_TYPE])
    assert Model.load(folder).flavors["sklearn"]["skops_trusted_types"] == [OWN_TYPE]
    _forget(monkeypatch, tmp_path)
    with pytest.raises(UntrustedModelError, match="Mine"):
        slipstream.sklearn.load_model(folder)
    with pytest.raises(UntrustedModelError, match="Mine"):
        slipstream.pyfunc.load_model(folder)
    assert slipstream.sklearn.load_model(folder, skops_trusted_types=[OWN_TYPE]) is not None
    assert slipstream.pyfunc.load_model(folder, trust=True).predict(X).sum() == 0


@pytest.mark.parametrize("chosen", ["pickle", "cloudpickle"])
def test_pickles_load_for_their_author_and_for_who_vouches(chosen, folder, tmp_path, monkeypatch):
    model = DecisionTreeClassifier().fit(X, Y)
    slipstream.sklearn.save_model(model, folder, serialization_format=chosen)
    assert slipstream.sklearn.load_model(folder).predict(X).tolist() == model.predict(X).tolist()
    _forget(monkeypatch, tmp_path)
    with pytest.raises(UntrustedModelError, match="trust=True"):
        slipstream.sklearn.load_model(folder)
    with pytest.raises(UntrustedModelError, match="trust=True"):
        slipstream.pyfunc.load_model(folder)
    assert slipstream.pyfunc.load_model(folder, trust=True).predict(X).tolist() == model.predict(X).tolist()


def test_a_pickle_of_unknown_format_key_is_still_a_pickle(folder, tmp_path, monkeypatch):
    slipstream.sklearn.save_model(LogisticRegression().fit(X, Y), folder, serialization_format="pickle")
    document = Model.load(folder)
    del document.flavors["sklearn"]["serialization_format"]
    document.save(folder)
    _forget(monkeypatch, tmp_path)
    with pytest.raises(UntrustedModelError):
        slipstream.sklearn.load_model(folder)


def test_probabilities_by_pyfunc_predict_fn(folder):
    model = LogisticRegression().fit(X, Y)
    slipstream.sklearn.save_model(model, folder, pyfunc_predict_fn="predict_proba", input_example=X.head(2))
    assert slipstream.pyfunc.load_model(folder).predict(X.head(2)).shape == (2, 2)


def test_a_predict_fn_smuggled_into_the_file_is_refused(folder):
    slipstream.sklearn.save_model(LogisticRegression().fit(X, Y), folder)
    document = Model.load(folder)
    document.flavors["python_function"]["predict_fn"] = "__reduce_ex__"
    document.save(folder)
    with pytest.raises(InvalidParameterError, match="'predict_fn'"):
        slipstream.pyfunc.load_model(folder)


def test_the_signature_is_enforced(folder):
    slipstream.sklearn.save_model(LogisticRegression().fit(X, Y), folder, input_example=X.head(2))
    model = slipstream.pyfunc.load_model(folder)
    with pytest.raises(SchemaEnforcementError, match=r"\['c'\]"):
        model.predict(X[["a", "b"]])
    with pytest.warns(UserWarning, match="extra"):
        assert len(model.predict(X.assign(extra=1))) == len(X)


def test_what_is_no_estimator_is_refused(folder):
    with pytest.raises(InvalidParameterError, match="no sklearn model"):
        slipstream.sklearn.save_model({"a": 1}, folder)


def test_a_file_that_is_no_skops_is_refused(folder):
    slipstream.sklearn.save_model(LogisticRegression().fit(X, Y), folder)
    with zipfile.ZipFile(folder / "model.skops", "w") as archive:
        archive.writestr("schema.json", json.dumps({"__class__": "x"}))
    with pytest.raises(InvalidParameterError, match="no skops file"):
        slipstream.sklearn.load_model(folder)


def test_crafted_trees_are_refused():
    model = DecisionTreeClassifier().fit(X, Y)
    tree_checks.require_sound(model)
    model.tree_.children_left[0] = 10**6
    with pytest.raises(InvalidParameterError, match="leads out of itself"):
        tree_checks.require_sound(model)


def test_a_tree_that_never_ends_is_refused():
    model = make_pipeline(StandardScaler(), RandomForestClassifier(2)).fit(X, Y)
    model[-1].estimators_[1].tree_.children_right[0] = 0
    with pytest.raises(InvalidParameterError, match="leads out of itself"):
        tree_checks.require_sound(model)


def test_a_tree_that_reads_more_columns_than_its_estimator_checks_is_refused():
    model = RandomForestClassifier(2).fit(X, Y)
    model.n_features_in_ = 1
    with pytest.raises(InvalidParameterError, match="reads columns"):
        tree_checks.require_sound(model)
    boosted = HistGradientBoostingRegressor(max_iter=2).fit(X, Y)
    boosted._predictors[0][0].nodes["feature_idx"][:] = 99
    with pytest.raises(InvalidParameterError, match="reads columns"):
        tree_checks.require_sound(boosted)


@pytest.mark.parametrize("width", [None, "4", True, 3.5])
def test_trees_whose_estimator_does_not_say_its_number_of_columns_are_refused(width):
    model = DecisionTreeClassifier(max_depth=2).fit(X, Y)
    tree_checks.require_sound(model)
    model.n_features_in_ = np.int64(model.n_features_in_)
    tree_checks.require_sound(model)
    if width is None:
        del model.n_features_in_
    else:
        model.n_features_in_ = width
    with pytest.raises(InvalidParameterError, match="does not say how many columns"):
        tree_checks.require_sound(model)


def test_boosted_trees_with_more_columns_than_outputs_are_refused():
    for model in (GradientBoostingClassifier(n_estimators=2), GradientBoostingRegressor(n_estimators=2)):
        model.fit(X, Y)
        tree_checks.require_sound(model)
        model.estimators_ = np.repeat(model.estimators_, 40, axis=1)
        with pytest.raises(InvalidParameterError, match="more trees a stage than outputs"):
            tree_checks.require_sound(model)


def test_neighbour_trees_load_for_who_saved_them_and_need_trust_from_strangers(folder, tmp_path, monkeypatch):
    model = KNeighborsClassifier(algorithm="kd_tree").fit(X, Y)
    slipstream.sklearn.save_model(model, folder)
    assert slipstream.sklearn.load_model(folder).predict(X).tolist() == model.predict(X).tolist()
    _forget(monkeypatch, tmp_path)
    with pytest.raises(UntrustedModelError, match="KDTree"):
        slipstream.sklearn.load_model(folder)
    assert slipstream.sklearn.load_model(folder, trust=True).predict(X).tolist() == model.predict(X).tolist()


def test_a_model_that_cannot_predict_is_saved_for_scikit_learn(folder):
    scaler = StandardScaler().fit(X)
    with pytest.warns(UserWarning, match="pyfunc_predict_fn"):
        model = slipstream.sklearn.save_model(scaler, folder)
    assert list(model.flavors) == ["sklearn"]
    assert slipstream.sklearn.load_model(folder).transform(X).tolist() == scaler.transform(X).tolist()


def test_a_method_that_cannot_be_asked_is_refused_when_saving(folder):
    with pytest.raises(InvalidParameterError, match="decision_function.*can be asked by"):
        slipstream.sklearn.save_model(
            LogisticRegression().fit(X, Y), folder, pyfunc_predict_fn="decision_function"
        )
