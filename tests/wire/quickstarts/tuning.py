"""Search for hyperparameters: a parent run, a nested run for each try, and the best of them found afterwards."""

import mlflow
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import train_test_split

X, y = load_diabetes(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
experiment = mlflow.set_experiment("Quickstart: tuning")
with mlflow.start_run(run_name="sweep", tags={"framework": "sklearn"}) as parent:
    mlflow.log_input(mlflow.data.from_pandas(X_train, name="diabetes"), context="training")
    best = None
    for number, alpha in enumerate((0.01, 0.1, 1.0)):
        with mlflow.start_run(run_name=f"trial_{number}", nested=True) as child:
            model = Ridge(alpha=alpha).fit(X_train, y_train)
            error = mean_squared_error(y_test, model.predict(X_test))
            mlflow.log_param("alpha", alpha)
            mlflow.log_metric("rmse", error**0.5)
            if best is None or error < best[0]:
                best = (error, alpha, child.info.run_id)
    mlflow.log_params({"best_alpha": best[1]})
    mlflow.log_metrics({"best_rmse": best[0] ** 0.5})

runs = mlflow.search_runs(
    experiment_ids=[experiment.experiment_id],
    filter_string=f"tags.mlflow.parentRunId = '{parent.info.run_id}'",
    order_by=["metrics.rmse ASC"],
)
assert len(runs) == 3
assert runs.iloc[0].run_id == best[2]
assert runs.iloc[0]["params.alpha"] == str(best[1])
assert mlflow.get_parent_run(best[2]).info.run_id == parent.info.run_id
assert list(
    mlflow.search_runs(experiment_names=["Quickstart: tuning"], filter_string="metrics.best_rmse > 0")[
        "run_id"
    ]
) == [parent.info.run_id]
(run,) = mlflow.search_runs(
    search_all_experiments=True, filter_string="dataset.name = 'diabetes'", output_format="list"
)
assert run.info.run_name == "sweep"
