"""What the stock pages of MLflow are walked through on: the same data, put on a server of either kind by plain requests."""

import json
import urllib.request
from typing import Any

RUNS = ("alpha", "beta", "gamma")
START_MS = 1_767_225_600_000
_MLMODEL = """artifact_path: model
flavors:
  python_function:
    env: {{conda: conda.yaml, virtualenv: python_env.yaml}}
    loader_module: mlflow.sklearn
    model_path: model.pkl
    python_version: 3.11.2
model_id: {model_id}
run_id: {run_id}
signature:
  inputs: '[{{"type": "double", "name": "x", "required": true}}]'
  outputs: '[{{"type": "double", "name": "y", "required": true}}]'
  params: null
utc_time_created: '2026-01-01 00:00:00.000000'
"""
_TINY_PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001"
    "a5f645400000000049454e44ae426082"
)


class Seeding:
    """Requests to one server, and the ids that it gave."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.ids: dict[str, str] = {}

    def send(self, method: str, path: str, content: bytes) -> Any:
        request = urllib.request.Request(
            self.url + path, content, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.loads(response.read() or b"{}")

    def post(self, path: str, **body: Any) -> Any:
        return self.send("POST", f"/api/2.0/mlflow/{path}", json.dumps(body).encode())

    def put_file(self, uri: str, name: str, content: bytes | str) -> None:
        place = uri.removeprefix("mlflow-artifacts:").lstrip("/")
        data = content.encode() if isinstance(content, str) else content
        self.send("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{place}/{name}", data)

    def run(self, experiment: str, name: str, **tags: str) -> dict[str, Any]:
        told = self.post(
            "runs/create",
            experiment_id=experiment,
            run_name=name,
            start_time=START_MS,
            tags=[{"key": key.replace("__", "."), "value": value} for key, value in tags.items()],
        )
        info = told["run"]["info"]
        self.ids[f"run-{name}"] = info["run_id"]
        return info

    def end(self, run_id: str, status: str) -> None:
        self.post("runs/update", run_id=run_id, status=status, end_time=START_MS + 60_000)


def seed(url: str) -> dict[str, str]:
    """Fill a fresh server; return the ids of what is there by name (`experiment`, `run-alpha`, `model-beta`, ...)."""
    to = Seeding(url)
    note = {"key": "mlflow.note.content", "value": "What is **here**."}
    for name in ("walked", "beside"):
        tags = [{"key": "team", "value": "vision"}, note]
        to.ids[name] = to.post("experiments/create", name=name, tags=tags)["experiment_id"]
    experiment = to.ids["walked"]
    for number, name in enumerate(RUNS):
        info = to.run(
            experiment,
            name,
            phase="first",
            mlflow__note__content="A *note*.",
            mlflow__source__name="train.py",
        )
        _log(to, info, number)
        _log_model(to, experiment, info["run_id"], number)
        to.end(info["run_id"], "FINISHED")
    child = to.run(experiment, "child", mlflow__parentRunId=to.ids["run-alpha"])["run_id"]
    to.post("runs/log-metric", run_id=child, key="loss", value=0.25, timestamp=START_MS, step=1)
    to.end(child, "FAILED")
    to.post("runs/delete", run_id=to.run(experiment, "gone")["run_id"])
    _register(to)
    return to.ids


def _point(key: str, value: float, step: int = 0) -> dict[str, Any]:
    return {"key": key, "value": value, "timestamp": START_MS + step * 1000, "step": step}


def _log(to: Seeding, info: dict[str, Any], number: int) -> None:
    run_id = info["run_id"]
    to.post(
        "runs/log-batch",
        run_id=run_id,
        metrics=[
            *(_point("loss", 1.0 / (step + 1 + number), step) for step in range(20)),
            _point("accuracy", 0.7 + 0.05 * number),
            _point("system/cpu_utilization_percentage", 10.0 + number),
        ],
        params=[
            {"key": "lr", "value": str(number + 1)},
            {"key": "depth", "value": str(4 + number)},
            {"key": "kind", "value": "tree"},
        ],
        tags=[{"key": "flavour", "value": f"f{number}"}],
    )
    dataset = {"name": "rows", "digest": "d1", "source_type": "local", "source": '{"uri": "rows.csv"}'}
    dataset |= {"schema": '{"mlflow_colspec": []}', "profile": '{"num_rows": 3}'}
    tag = {"key": "mlflow.data.context", "value": "training"}
    to.post("runs/log-inputs", run_id=run_id, datasets=[{"tags": [tag], "dataset": dataset}])
    for name, content in {
        "notes.md": "# Notes\n\nAll *well*.\n",
        "rows.csv": "a,b\n1,2\n3,4\n",
        "facts.json": '{"a": [1, 2]}',
        "page.html": "<p>hello</p>",
        "dot.png": _TINY_PICTURE,
        "deep/log.txt": "first line\n",
    }.items():
        to.put_file(info["artifact_uri"], name, content)


def _log_model(to: Seeding, experiment: str, run_id: str, number: int) -> None:
    told = to.post(
        "logged-models",
        experiment_id=experiment,
        name=f"forest-{number}",
        model_type="tree",
        source_run_id=run_id,
        params=[{"key": "trees", "value": str(10 * (number + 1))}],
        tags=[{"key": "team", "value": "vision"}],
    )
    info = told["model"]["info"]
    model_id = to.ids[f"model-{RUNS[number]}"] = info["model_id"]
    for name, content in {
        "MLmodel": _MLMODEL.format(model_id=model_id, run_id=run_id),
        "model.pkl": b"\x80\x04N.",
        "conda.yaml": "name: mlflow-env\n",
        "requirements.txt": "scikit-learn==1.5\n",
    }.items():
        to.put_file(info["artifact_uri"], name, content)
    finish = json.dumps({"model_id": model_id, "status": "LOGGED_MODEL_READY"}).encode()
    to.send("PATCH", f"/api/2.0/mlflow/logged-models/{model_id}", finish)
    to.post("runs/outputs", run_id=run_id, models=[{"model_id": model_id, "step": 0}])
    to.post(
        "runs/log-metric",
        run_id=run_id,
        model_id=model_id,
        **_point("rmse", 0.5 - 0.1 * number),
    )


def _register(to: Seeding) -> None:
    team = [{"key": "team", "value": "vision"}]
    to.post("registered-models/create", name="forest", tags=team, description="Trees.")
    to.post("registered-models/create", name="empty")
    for number, name in enumerate(RUNS[:2], 1):
        model_id = to.ids[f"model-{name}"]
        to.post(
            "model-versions/create",
            name="forest",
            source=f"models:/{model_id}",
            run_id=to.ids[f"run-{name}"],
            model_id=model_id,
            tags=[{"key": "quality", "value": "good"}],
            description=f"Version {number}.",
        )
    to.post("registered-models/alias", name="forest", alias="champion", version="1")
