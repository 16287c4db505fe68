"""Read back what a training logged, by functions that MLflow and slipstream both have."""

from typing import Any


def collect(mlflow: Any, experiment_id: str) -> dict[str, Any]:
    """Return the runs of an experiment, oldest first, children below their parents, and its models, without ids."""
    client = mlflow.MlflowClient()
    runs = list(client.search_runs([experiment_id], order_by=["attributes.start_time ASC"]))
    models = mlflow.search_logged_models(experiment_ids=[experiment_id], output_format="list")
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    return {
        "runs": [_run(mlflow, client, run, runs) for run in parents],
        "models": sorted(
            (_model(mlflow, model) for model in models), key=lambda each: (each["name"], str(each["flavors"]))
        ),
    }


def _run(mlflow: Any, client: Any, run: Any, others: list[Any]) -> dict[str, Any]:
    run_id = run.info.run_id
    children = [each for each in others if each.data.tags.get("mlflow.parentRunId") == run_id]
    found: dict[str, Any] = {
        "status": str(run.info.status),
        "params": dict(sorted(run.data.params.items())),
        "metrics": {key: _history(client, run_id, key) for key in sorted(run.data.metrics)},
        "tags": {
            key: value
            for key, value in sorted(run.data.tags.items())
            if not key.startswith("mlflow.") or key == "mlflow.autologging"
        },
        "artifacts": sorted(_files(client, run_id)),
        "datasets": sorted(
            tag.value
            for each in run.inputs.dataset_inputs
            for tag in each.tags
            if tag.key == "mlflow.data.context"
        ),
    }
    if children:
        found["children"] = sorted(
            (_run(mlflow, client, child, []) for child in children), key=lambda each: str(each["params"])
        )
    return found


def _history(client: Any, run_id: str, key: str) -> list[list[float]]:
    # A point for each model that it is of, at most once.
    points = {(point.step, point.value) for point in client.get_metric_history(run_id, key)}
    return sorted([step, value] for step, value in points)


def _files(client: Any, run_id: str, path: str | None = None) -> list[str]:
    found: list[str] = []
    for entry in client.list_artifacts(run_id, path):
        found += _files(client, run_id, entry.path) if entry.is_dir else [entry.path]
    return found


def _model(mlflow: Any, model: Any) -> dict[str, Any]:
    info = mlflow.models.get_model_info(f"models:/{model.model_id}")
    signature = info.signature
    return {
        "name": model.name,
        "status": str(model.status),
        "flavors": sorted(info.flavors),
        "inputs": signature is not None and signature.inputs is not None,
        "outputs": signature is not None and signature.outputs is not None,
        "example": info.saved_input_example_info is not None,
    }
