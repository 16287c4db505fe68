"""All that can be logged: steps, batches, texts, dictionaries, figures, images, tables, files; and reading it back."""

import time
from pathlib import Path

import matplotlib.pyplot as plt
import mlflow
import numpy as np
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunStatus, RunTag, ViewType

mlflow.set_experiment("Quickstart: everything")
mlflow.set_experiment_tags({"team": "docs"})
with mlflow.start_run(run_name="all", description="Everything at once", log_system_metrics=False) as run:
    for epoch in range(5):
        mlflow.log_metric("loss", 1 / (epoch + 1), step=epoch)
    mlflow.log_metrics({"precision": 0.8, "recall": 0.7}, step=4, synchronous=False)
    mlflow.log_text("some text", "notes/readme.txt")
    mlflow.log_dict({"layers": [1, 2]}, "config.json")
    mlflow.log_dict({"layers": [1, 2]}, "config.yaml")
    figure, axes = plt.subplots()
    axes.plot([0, 1], [2, 3])
    mlflow.log_figure(figure, "plots/line.png")
    mlflow.log_image(np.zeros((8, 8, 3), dtype=np.uint8), "black.png")
    mlflow.log_image(mlflow.Image(np.ones((8, 8, 3), dtype=np.uint8)), key="sample", step=1)
    mlflow.log_table(data={"question": ["a", "b"], "answer": ["c", "d"]}, artifact_file="qa.json")
    Path("features.txt").write_text("rooms, zipcode, median_price")
    mlflow.log_artifact("features.txt")
    with Path("features.txt").open("rb") as stream:
        mlflow.log_stream(stream, "copies/features.txt")
    mlflow.set_tags({"release.version": "2.2.0", "engineering": "ML Platform"})
    mlflow.delete_tag("engineering")
    assert mlflow.active_run().info.run_id == run.info.run_id
    assert mlflow.get_artifact_uri("plots").endswith("/plots")
mlflow.flush_async_logging()
mlflow.flush_artifact_async_logging()

client = MlflowClient()
client.log_batch(
    run.info.run_id,
    metrics=[
        Metric(key="batch", value=float(step), timestamp=int(time.time() * 1000), step=step)
        for step in range(3)
    ],
    params=[Param("p", "q")],
    tags=[RunTag("t", "u")],
)
stored = client.get_run(run.info.run_id)
assert stored.info.status == RunStatus.to_string(RunStatus.FINISHED)
assert RunStatus.is_terminated(RunStatus.from_string(stored.info.status))
assert stored.data.metrics == {"loss": 0.2, "precision": 0.8, "recall": 0.7, "batch": 2.0}
assert dict(stored.data)["params"] == {"p": "q"}
assert next(iter(client.get_metric_history(run.info.run_id, "loss"))).value == 1.0
assert {each.path for each in client.list_artifacts(run.info.run_id)} >= {
    "notes",
    "plots",
    "black.png",
    "qa.json",
    "images",
}
assert mlflow.artifacts.load_dict(f"runs:/{run.info.run_id}/config.json") == {"layers": [1, 2]}
assert mlflow.artifacts.load_text(f"{run.info.artifact_uri}/notes/readme.txt") == "some text"
assert mlflow.artifacts.load_image(f"{run.info.artifact_uri}/black.png").size == (8, 8)
local = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="features.txt")
assert Path(local).read_text().startswith("rooms")
assert list(mlflow.load_table("qa.json", run_ids=[run.info.run_id])["answer"]) == ["c", "d"]

other = client.create_run(run.info.experiment_id, tags={"left": "open"})
client.set_terminated(other.info.run_id, status=RunStatus.to_string(RunStatus.KILLED))
mlflow.delete_run(other.info.run_id)
deleted = client.search_runs([run.info.experiment_id], run_view_type=ViewType.DELETED_ONLY)
assert [each.info.run_id for each in deleted] == [other.info.run_id]
assert mlflow.get_experiment(run.info.experiment_id).tags["team"] == "docs"
