"""Fill a store of the real MLflow, of any version 2 or 3, with every kind of entity.

    python tools/make_mlflow_source.py URI RUNS [FOLDER_FOR_ARTIFACTS]

Run it with an interpreter that has MLflow; slipstream is not imported. `URI` is an `mlruns` folder or
`sqlite:///mlflow.db`. The same call makes the same content, times and generated ids aside, as far as that version of
MLflow knows the entity: tests of `slipstream import` (tests/moving/) read what this wrote.
"""

import math
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

for name in ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK", "MLFLOW_ALLOW_FILE_STORE"):
    os.environ[name] = "true"
warnings.filterwarnings("ignore")

FIRST_TIME = 1_700_000_000_000
STATUSES = ("FINISHED", "FAILED", "KILLED", "RUNNING")
ODD_VALUES = (
    math.nan,
    math.inf,
    -math.inf,
    0.1 + 0.2,
    5e-324,
    1.7976931348623157e308,
    -0.0,
    1e22,
    123456789.123456789,
)


def fill(uri: str, runs: int, artifacts: str) -> None:
    """Write everything that this version of MLflow can write."""
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.exceptions import MlflowException

    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    first = client.create_experiment("vision", artifact_location=f"{artifacts}/vision")
    client.set_experiment_tag(first, "team", "héritage ☃\nsecond line")
    second = client.create_experiment("language/müller", artifact_location=f"{artifacts}/language")
    gone = client.create_experiment("closed", artifact_location=f"{artifacts}/closed")
    made: list[str] = []
    for number in range(runs):
        experiment = (first, second, first, "0")[number % 4]
        tags = {
            "mlflow.user": "ada",
            "mlflow.source.name": "train.py",
            "group/with/slashes": f"g{number % 7}",
        }
        run = client.create_run(
            experiment, start_time=FIRST_TIME + number, tags=tags, run_name=f"run {number}"
        )
        run_id = run.info.run_id
        made.append(run_id)
        points = [
            Metric("loss", 1.0 / (step + 1) + number, FIRST_TIME + step * 1000, step) for step in range(10)
        ]
        points += [
            Metric("nested/accuracy", number / 7, FIRST_TIME + number, 3),
            Metric("alone", 7.0, FIRST_TIME, 0),
        ]
        if number == 0:
            points += [Metric("odd", value, FIRST_TIME + at, -at) for at, value in enumerate(ODD_VALUES)]
            points += [Metric("same step", value, FIRST_TIME + 5, 1) for value in (2.0, 1.0, math.nan)]
            points += [Metric("long", math.sin(step), FIRST_TIME + step, step) for step in range(1200)]
        for begin in range(0, len(points), 1000):
            client.log_batch(run_id, metrics=points[begin : begin + 1000])
        params = [Param("rate", str(0.1 * number)), Param("deep/key", "x" * 400), Param("empty", "")]
        client.log_batch(run_id, params=params, tags=[RunTag("note", "läuft\nweiter ")])
        if number % 5 == 0:
            _log_dataset(client, run_id, f"digits {number % 3}", f"d{number % 3}")
        if number % 10 == 0 and number < 100 and not artifacts.startswith("s3:"):
            _log_files(client, run_id)
        client.set_terminated(run_id, STATUSES[number % 4], FIRST_TIME + number + 500)
        if number % 9 == 4:
            client.delete_run(run_id)
    lost = client.create_run(gone, start_time=FIRST_TIME, tags={"mlflow.user": "eve"})
    client.log_metric(lost.info.run_id, "loss", 1.5, FIRST_TIME, 1)
    client.delete_experiment(gone)
    _log_models(client, first, made, uri)
    try:
        _register(client, made)
    except MlflowException as error:
        if "not supported" not in str(error):  # by folders, before 2.2
            raise


def _log_dataset(client: Any, run_id: str, name: str, digest: str) -> None:
    try:
        from mlflow.entities import Dataset, DatasetInput, InputTag
    except ImportError:  # before 2.4
        return
    dataset = Dataset(name, digest, "local", '{"uri": "data.csv"}', schema='{"a": 1}', profile='{"rows": 3}')
    tags = [InputTag("mlflow.data.context", "training"), InputTag("fold", "1")]
    client.log_inputs(run_id, [DatasetInput(dataset, tags)])


def _log_files(client: Any, run_id: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "notes ü.txt")
        path.write_text(f"of {run_id}\n" * 100, encoding="utf-8")
        client.log_artifact(run_id, str(path))
        client.log_artifact(run_id, str(path), "model/data")


def _log_models(client: Any, experiment: str, runs: list[str], uri: str) -> None:
    """Log models beside runs, which MLflow knows since 3.0."""
    try:
        from mlflow.entities import LoggedModelInput, LoggedModelOutput
    except ImportError:
        return
    from mlflow.entities import LoggedModelStatus

    models: list[Any] = []
    for number, status in enumerate(("READY", "FAILED", None)):
        model = client.create_logged_model(
            experiment, name=f"classifier{number}", source_run_id=runs[0], tags={"kind": "tree"},
            params={"depth": str(number)}, model_type="agent" if number == 0 else None,
        )  # fmt: skip
        models.append(model)
        if status is not None:
            client.finalize_logged_model(model.model_id, LoggedModelStatus(status))
    client.set_logged_model_tags(models[0].model_id, {"more": "läuft"})
    # A FileStore cannot read the points of data sets that it writes.
    dataset = {} if "://" not in uri else {"dataset_name": "digits 0", "dataset_digest": "d0"}
    for step in range(3):
        client.log_metric(
            runs[0], "model loss", 1.0 / (step + 1), FIRST_TIME + step, step, model_id=models[0].model_id,
            **dataset,
        )  # fmt: skip
    client.log_inputs(runs[0], models=[LoggedModelInput(models[1].model_id)])
    client.log_outputs(runs[0], [LoggedModelOutput(models[0].model_id, 7)])
    client.delete_logged_model(models[2].model_id)


def _register(client: Any, runs: list[str]) -> None:
    client.create_registered_model("digits model", {"owner": "ada", "a/b": "läuft"}, "Kept for ever.")
    for number in range(4):
        client.create_model_version(
            "digits model", f"s3://bucket/models/{number}", runs[0], tags={"checked": "yes"}, description=f"No. {number}.",
            run_link="http://127.0.0.1/run",
        )  # fmt: skip
    client.transition_model_version_stage("digits model", "1", "Archived")
    client.transition_model_version_stage("digits model", "2", "Production")
    client.transition_model_version_stage("digits model", "3", "Staging")
    client.delete_model_version("digits model", "4")
    if hasattr(client, "set_registered_model_alias"):
        client.set_registered_model_alias("digits model", "champion", "2")
        client.set_registered_model_alias("digits model", "challenger", "3")
    client.create_registered_model("empty model")


if __name__ == "__main__":
    fill(sys.argv[1], int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "s3://bucket/artifacts")
