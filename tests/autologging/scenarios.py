"""Small trainings as users write them; nothing here knows who logs them.

Each function takes the module that offers `autolog` (MLflow or slipstream) and trains. Seeds are fixed, so both log
the same numbers. `SCENARIOS` says which libraries a training needs.
"""

# Variables are what metrics of predictions are named after.
# ruff: noqa: N806
from collections.abc import Callable
from typing import Any

Scenario = Callable[[Any], None]
SCENARIOS: dict[str, tuple[Scenario, tuple[str, ...]]] = {}


def needs(*libraries: str) -> Callable[[Scenario], Scenario]:
    def add(function: Scenario) -> Scenario:
        SCENARIOS[function.__name__] = (function, libraries)
        return function

    return add


def _numbers(rows: int = 80, classes: int = 2) -> tuple[Any, Any]:
    import numpy as np

    made = np.random.RandomState(7)
    X = made.rand(rows, 4)
    return X, (X[:, 0] * classes).astype(int) % classes


def _frame(rows: int = 80, classes: int = 2) -> tuple[Any, Any]:
    import pandas as pd

    X, y = _numbers(rows, classes)
    return pd.DataFrame(X, columns=["a", "b", "c", "d"]), pd.Series(y, name="y")


# -- scikit-learn -----------------------------------------------------------------------------------------


@needs("sklearn")
def sklearn_classifier(mlflow: Any) -> None:
    from sklearn.linear_model import LogisticRegression

    mlflow.sklearn.autolog(log_input_examples=True)
    X, y = _frame()
    LogisticRegression(C=0.5).fit(X, y)


@needs("sklearn")
def sklearn_many_classes(mlflow: Any) -> None:
    from sklearn.tree import DecisionTreeClassifier

    mlflow.sklearn.autolog(extra_tags={"team": "a"})
    X, y = _numbers(classes=3)
    DecisionTreeClassifier(max_depth=3, random_state=1).fit(X, y)


@needs("sklearn")
def sklearn_regressor(mlflow: Any) -> None:
    import numpy as np
    from sklearn.linear_model import Ridge

    mlflow.sklearn.autolog()
    X, _ = _numbers()
    Ridge(alpha=0.1).fit(X, X @ np.arange(4.0), sample_weight=np.linspace(0.5, 1, len(X)))


@needs("sklearn")
def sklearn_pipeline(mlflow: Any) -> None:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    mlflow.sklearn.autolog()
    X, y = _frame()
    Pipeline([("scale", StandardScaler()), ("forest", RandomForestClassifier(5, random_state=1))]).fit(X, y)


@needs("sklearn")
def sklearn_search(mlflow: Any) -> None:
    from sklearn.model_selection import GridSearchCV
    from sklearn.neighbors import KNeighborsClassifier

    mlflow.sklearn.autolog(max_tuning_runs=2)
    X, y = _numbers()
    search = GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [1, 15, 31]}, cv=2)
    search.fit(X, y)


@needs("sklearn")
def sklearn_clusters(mlflow: Any) -> None:
    from sklearn.cluster import KMeans

    mlflow.sklearn.autolog()
    X, _ = _numbers()
    KMeans(2, n_init=2, random_state=1).fit_predict(X)


@needs("sklearn")
def sklearn_evaluation(mlflow: Any) -> None:
    from sklearn import metrics
    from sklearn.svm import SVC

    mlflow.sklearn.autolog(log_models=False)
    X_train, y_train = _numbers()
    X_test, y_test = _numbers(40)
    model = SVC().fit(X_train, y_train)
    y_pred = model.predict(X_test)
    metrics.accuracy_score(y_test, y_pred)
    metrics.f1_score(y_test, y_pred, average="macro")
    metrics.f1_score(y_test, y_pred, average="micro")
    model.score(X_test, y_test)


@needs("sklearn")
def sklearn_in_a_run(mlflow: Any) -> None:
    from sklearn.linear_model import LinearRegression

    mlflow.sklearn.autolog(log_datasets=False, log_model_signatures=False)
    from sklearn.model_selection import (
        cross_val_score,
    )  # now, since MLflow does not know what was imported before

    X, y = _numbers()
    with mlflow.start_run():
        cross_val_score(LinearRegression(), X, y, cv=2)
        LinearRegression().fit(X, y)
        mlflow.log_metric("mine", 1.5)


@needs("sklearn")
def sklearn_exclusive(mlflow: Any) -> None:
    from sklearn.linear_model import LinearRegression

    mlflow.sklearn.autolog(exclusive=True)
    X, y = _numbers()
    with mlflow.start_run():
        LinearRegression().fit(X, y)


@needs("sklearn")
def sklearn_failure(mlflow: Any) -> None:
    import contextlib

    from sklearn.linear_model import LinearRegression

    mlflow.sklearn.autolog()
    with contextlib.suppress(ValueError):
        X, y = _numbers()
        LinearRegression().fit(X, y[:-1])


@needs("sklearn")
def all_libraries(mlflow: Any) -> None:
    mlflow.autolog(log_models=False)
    from sklearn.linear_model import LinearRegression

    X, y = _numbers()
    LinearRegression().fit(X, y)


# -- boosted trees ----------------------------------------------------------------------------------------


@needs("xgboost", "sklearn")
def xgboost_train(mlflow: Any) -> None:
    import xgboost

    mlflow.xgboost.autolog(log_input_examples=True)
    X, y = _frame()
    train, test = xgboost.DMatrix(X[:60], y[:60]), xgboost.DMatrix(X[60:], y[60:])
    xgboost.train(
        {"objective": "binary:logistic", "max_depth": 2, "eval_metric": ["logloss", "error"]},
        train,
        num_boost_round=12,
        evals=[(train, "train"), (test, "test")],
        early_stopping_rounds=3,
        verbose_eval=False,
    )


@needs("xgboost", "sklearn")
def xgboost_sklearn(mlflow: Any) -> None:
    import xgboost

    mlflow.xgboost.autolog(importance_types=["weight", "gain"])
    X, y = _frame()
    model = xgboost.XGBClassifier(n_estimators=5, max_depth=2, random_state=3)
    model.fit(X[:60], y[:60], eval_set=[(X[60:], y[60:])], verbose=False)


@needs("lightgbm", "sklearn")
def lightgbm_train(mlflow: Any) -> None:
    import lightgbm

    mlflow.lightgbm.autolog(log_input_examples=True)
    X, y = _frame()
    train = lightgbm.Dataset(X[:60], y[:60])
    lightgbm.train(
        {"objective": "binary", "metric": ["binary_logloss", "auc"], "verbose": -1, "min_data_in_leaf": 2},
        train,
        num_boost_round=30,
        valid_sets=[train, lightgbm.Dataset(X[60:], y[60:], reference=train)],
        valid_names=["train", "valid"],
        callbacks=[lightgbm.early_stopping(3, verbose=False)],
    )


@needs("lightgbm", "sklearn")
def lightgbm_sklearn(mlflow: Any) -> None:
    import lightgbm

    mlflow.lightgbm.autolog()
    X, y = _frame()
    model = lightgbm.LGBMClassifier(n_estimators=5, min_child_samples=2, verbose=-1)
    model.fit(X[:60], y[:60], eval_set=[(X[60:], y[60:])])


# -- statsmodels ------------------------------------------------------------------------------------------


@needs("statsmodels")
def statsmodels_ols(mlflow: Any) -> None:
    import statsmodels.api as sm

    mlflow.statsmodels.autolog()
    X, y = _frame()
    sm.OLS(y, sm.add_constant(X)).fit()


@needs("statsmodels")
def statsmodels_logit(mlflow: Any) -> None:
    import numpy as np
    import statsmodels.api as sm

    mlflow.statsmodels.autolog(log_models=False)
    X, _ = _numbers()
    sm.Logit(np.random.RandomState(3).randint(0, 2, len(X)), X).fit(disp=0)


# -- neural networks --------------------------------------------------------------------------------------


@needs("keras", "torch")
def keras_fit(mlflow: Any) -> None:
    import keras

    mlflow.keras.autolog()
    keras.utils.set_random_seed(1)
    X, y = _numbers()
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, activation="relu"), keras.layers.Dense(1)]
    )
    model.compile(keras.optimizers.Adam(0.01), loss="mse", metrics=["mae"])
    model.fit(X, y, batch_size=20, epochs=3, validation_data=(X[:10], y[:10]), verbose=0, callbacks=[])


@needs("keras", "torch")
def keras_steps(mlflow: Any) -> None:
    import keras

    mlflow.keras.autolog(log_every_epoch=False, log_every_n_steps=2, log_models=False, log_datasets=False)
    keras.utils.set_random_seed(1)
    X, y = _numbers()
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.01), loss="mse")
    model.fit(
        X,
        y,
        batch_size=20,
        epochs=2,
        verbose=0,
        callbacks=[keras.callbacks.EarlyStopping("loss", patience=1)],
    )


def _lightning_parts(package: Any) -> tuple[Any, Any, Any]:
    import torch

    package.seed_everything(1, verbose=False)
    X, y = _numbers()
    data = torch.utils.data.TensorDataset(
        torch.tensor(X, dtype=torch.float32), torch.tensor(y[:, None], dtype=torch.float32)
    )

    class Net(package.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 1)

        def forward(self, x: Any) -> Any:
            return self.layer(x)

        def training_step(self, batch: Any, index: int) -> Any:
            x, y = batch
            loss = torch.nn.functional.mse_loss(self(x), y)
            self.log("train_loss", loss, on_step=False, on_epoch=True)
            return loss

        def validation_step(self, batch: Any, index: int) -> None:
            x, y = batch
            self.log("val_loss", torch.nn.functional.mse_loss(self(x), y))

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters(), lr=0.02)

    loader = torch.utils.data.DataLoader(data, batch_size=20)
    return Net(), loader, torch.utils.data.DataLoader(data, batch_size=40)


@needs("pytorch_lightning", "torch")
def lightning_fit(mlflow: Any) -> None:
    import pytorch_lightning

    mlflow.pytorch.autolog()
    net, train, valid = _lightning_parts(pytorch_lightning)
    trainer = pytorch_lightning.Trainer(
        max_epochs=3, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False
    )
    trainer.fit(net, train, valid)


@needs("lightning", "pytorch_lightning", "torch")
def lightning_early_stopping(mlflow: Any) -> None:
    import pytorch_lightning

    mlflow.pytorch.autolog(checkpoint=False, log_every_n_step=2)
    net, train, valid = _lightning_parts(pytorch_lightning)
    stop = pytorch_lightning.callbacks.EarlyStopping("val_loss", patience=1, min_delta=10.0)
    trainer = pytorch_lightning.Trainer(
        max_epochs=9, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        callbacks=[stop],
    )  # fmt: skip
    trainer.fit(net, train, valid)


@needs("transformers", "torch", "accelerate")
def transformers_trainer(mlflow: Any) -> None:
    import tempfile

    import torch
    import transformers

    mlflow.transformers.autolog()
    config = transformers.BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    transformers.set_seed(1)
    model = transformers.BertForSequenceClassification(config)
    data = [
        {"input_ids": torch.tensor([1, 2, each % 20]), "labels": torch.tensor(each % 2)} for each in range(16)
    ]
    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            folder,
            num_train_epochs=2,
            per_device_train_batch_size=4,
            logging_steps=2,
            save_strategy="no",
            use_cpu=True,
            disable_tqdm=True,
        )
        transformers.Trainer(model, arguments, train_dataset=data).train()
