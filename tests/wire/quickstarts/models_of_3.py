"""MLflow 3: models as things of their own, with checkpoints, metrics on data sets, and a search for the best."""

import mlflow
import pandas as pd
from sklearn.datasets import load_iris
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import accuracy_score

iris = load_iris(as_frame=True)
frame = iris.frame
train = mlflow.data.from_pandas(frame, source="iris.csv", name="train", targets="target")
X, y = frame[iris.feature_names], frame["target"]
mlflow.set_experiment("Quickstart: models")
with mlflow.start_run() as run:
    mlflow.log_input(train, context="training")
    classifier = SGDClassifier(random_state=0)
    for step in range(1, 4):
        classifier.partial_fit(X, y, classes=[0, 1, 2])
        info = mlflow.sklearn.log_model(
            classifier, name=f"iris-{step}", step=step, params={"epochs": step}, input_example=X.head(2)
        )
        accuracy = accuracy_score(y, classifier.predict(X))
        mlflow.log_metric(key="accuracy", value=accuracy, step=step, model_id=info.model_id, dataset=train)
    assert mlflow.last_logged_model().model_id == info.model_id

ranked = mlflow.search_logged_models(
    filter_string=f"source_run_id = '{run.info.run_id}' AND metrics.accuracy > 0",
    order_by=[{"field_name": "metrics.accuracy", "ascending": False, "dataset_name": "train"}],
    output_format="list",
)
assert len(ranked) == 3
best = ranked[0]
assert best.params["epochs"] == best.name[-1]
assert [metric.dataset_name for metric in best.metrics] == ["train"]
table = mlflow.search_logged_models(max_results=2)
assert isinstance(table, pd.DataFrame)
assert mlflow.sklearn.load_model(f"models:/{best.model_id}").predict(X).shape == (150,)
registered = mlflow.register_model(best.model_uri, "iris-best")
assert registered.source == best.model_uri

external = mlflow.create_external_model(name="gateway-agent", params={"temperature": "0.1"})
active = mlflow.set_active_model(name="gateway-agent")
assert active.model_id == external.model_id == mlflow.get_active_model_id()
mlflow.clear_active_model()
