"""The client first: experiments with tags, found by them; then a first run of a regression."""

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score
from sklearn.model_selection import train_test_split

client = MlflowClient()
all_experiments = client.search_experiments()
default_experiment = next(
    {"name": each.name, "lifecycle_stage": each.lifecycle_stage}
    for each in all_experiments
    if each.name == "Default"
)
assert default_experiment == {"name": "Default", "lifecycle_stage": "active"}
experiment_tags = {
    "project_name": "grocery-forecasting",
    "store_dept": "produce",
    "mlflow.note.content": "The forecasts of apples.",
}
client.create_experiment(name="Quickstart: apples", tags=experiment_tags)
(found,) = client.search_experiments(filter_string="tags.`project_name` = 'grocery-forecasting'")
assert dict(found)["name"] == "Quickstart: apples"
assert found.tags["store_dept"] == "produce"

rng = np.random.default_rng(9999)
data = pd.DataFrame({"temperature": rng.normal(20, 5, 200), "weekend": rng.integers(0, 2, 200)})
data["demand"] = 100 + 3 * data["temperature"] + 30 * data["weekend"] + rng.normal(0, 5, 200)
X_train, X_val, y_train, y_val = train_test_split(
    data.drop(columns="demand"), data["demand"], test_size=0.2, random_state=42
)
params = {"n_estimators": 20, "max_depth": 6, "random_state": 888}
rf = RandomForestRegressor(**params).fit(X_train, y_train)
y_pred = rf.predict(X_val)
metrics = {
    "mae": mean_absolute_error(y_val, y_pred),
    "mse": mean_squared_error(y_val, y_pred),
    "r2": r2_score(y_val, y_pred),
}
apple_experiment = mlflow.set_experiment("Quickstart: apples")
with mlflow.start_run(run_name="apples_rf_test") as run:
    mlflow.log_params(params)
    mlflow.log_metrics(metrics)
    trees = ["sklearn.tree._tree.Tree"]  # which skops' newest release no longer takes for granted
    mlflow.sklearn.log_model(sk_model=rf, input_example=X_val, name="rf_apples", skops_trusted_types=trees)
stored = client.get_run(run.info.run_id)
assert stored.info.experiment_id == apple_experiment.experiment_id
assert stored.data.metrics == metrics
assert stored.data.to_dictionary()["params"] == {key: str(value) for key, value in params.items()}
assert mlflow.last_active_run().info.run_id == run.info.run_id
