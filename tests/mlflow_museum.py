"""What real versions of MLflow wrote (tests/upgrade/mlflow), and how a store of ours is read to be compared with it."""

import json
import lzma
import runpy
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

from slipstream.entities import LoggedModel, Run, ViewType
from slipstream.store.base import Store

ROOT = Path(__file__).parents[1]
MUSEUM = ROOT / "tests" / "upgrade" / "mlflow"
VERSIONS = sorted(path.name for path in MUSEUM.iterdir() if path.is_dir())
TOOL: dict[str, Any] = runpy.run_path(str(ROOT / "tools" / "mlflow_content.py"))
differences = TOOL["differences"]
number = TOOL["number"]


EXPECTED = {
    # The first experiment is matched by its name, and keeps its own times and place.
    "/experiments/Default/created",
    "/experiments/Default/updated",
    "/experiments/Default/location",
}


def unpack(version: str, kind: str, folder: Path) -> Path:
    """Return a fresh copy of a version's `mlflow.db` or `mlruns`."""
    room = MUSEUM / version
    if kind == "mlflow.db":
        path = folder / "mlflow.db"
        path.write_bytes(lzma.decompress((room / "mlflow.db.xz").read_bytes()))
        return path
    with tarfile.open(fileobj=BytesIO(lzma.decompress((room / "mlruns.tar.xz").read_bytes()))) as archive:
        archive.extractall(folder, filter="data")
    return folder / "mlruns"


def told(version: str, kind: str, folder: Path) -> dict[str, Any]:
    """Return what that version's own client read; relative places are taken for those of the folder unpacked to."""
    name = "db.json.xz" if kind == "mlflow.db" else "mlruns.json.xz"
    text = lzma.decompress((MUSEUM / version / name).read_bytes()).decode()
    return json.loads(text.replace('"./mlruns/', f'"{folder}/mlruns/'))


def read(store: Store) -> dict[str, Any]:
    """Read a store of ours into the form of tools/mlflow_content.py."""
    experiments = {each.experiment_id: each for each in store.search_experiments(ViewType.ALL, 50_000).items}
    names = {number: each.name for number, each in experiments.items()}
    content: dict[str, Any] = {
        "experiments": {
            each.name: {
                "location": each.artifact_location,
                "stage": each.lifecycle_stage,
                "created": each.creation_time,
                "updated": each.last_update_time,
                "tags": each.tags,
            }
            for each in experiments.values()
        },
        "runs": {
            run.info.run_id: _run(store, run, names[run.info.experiment_id])
            for run in store.search_runs(list(experiments), None, ViewType.ALL, 50_000).items
        },
        "logged models": {
            model.model_id: _logged_model(model, names[model.experiment_id])
            for model in store.search_logged_models(list(experiments), max_results=10_000).items
        },
        "registered models": {
            model.name: {
                "created": model.creation_timestamp,
                "updated": model.last_updated_timestamp,
                "description": model.description or "",
                "tags": model.tags,
                "aliases": {alias: str(version) for alias, version in model.aliases.items()},
            }
            for model in store.search_registered_models(max_results=1000).items
        },
        "versions": {
            f"{each.name} {each.version}": {
                "created": each.creation_timestamp,
                "updated": each.last_updated_timestamp,
                "stage": each.current_stage,
                "description": each.description or "",
                "source": each.source,
                "run": each.run_id,
                "link": each.run_link,
                "status": each.status,
                "tags": each.tags,
                "aliases": sorted(each.aliases),
                "download": store.get_model_version_download_uri(each.name, each.version),
            }
            for each in store.search_model_versions().items
        },
    }
    return json.loads(json.dumps(content))


def _run(store: Store, run: Run, experiment: str) -> dict[str, Any]:
    info = run.info
    return {
        "experiment": experiment,
        "name": info.run_name,
        "user": info.user_id,
        "status": info.status,
        "start": info.start_time,
        "end": info.end_time,
        "stage": info.lifecycle_stage,
        "artifacts": info.artifact_uri,
        "params": run.data.params,
        "tags": run.data.tags,
        "metrics": {key: number(value) for key, value in run.data.metrics.items()},
        "histories": {
            key: sorted(
                [point.timestamp, point.step, number(point.value)]
                for point in store.get_metric_history(info.run_id, key).items
            )
            for key in run.data.metrics
        },
        "datasets": sorted(
            (
                [
                    *(getattr(each.dataset, field) for field in ("name", "digest", "source_type", "source")),
                    *(each.dataset.schema, each.dataset.profile),
                    sorted([tag.key, tag.value] for tag in each.tags),
                ]
                for each in run.inputs.dataset_inputs
            ),
            key=str,
        ),
        "models read": sorted(each.model_id for each in run.inputs.model_inputs),
        "models made": sorted([each.model_id, each.step] for each in run.outputs.model_outputs),
    }


def _logged_model(model: LoggedModel, experiment: str) -> dict[str, Any]:
    return {
        "experiment": experiment,
        "name": model.name,
        "location": model.artifact_location,
        "created": model.creation_timestamp,
        "updated": model.last_updated_timestamp,
        "type": model.model_type or "",
        "run": model.source_run_id or "",
        "status": str(model.status),
        "tags": model.tags,
        "params": model.params,
        "metrics": sorted(
            [
                each.key,
                number(each.value),
                each.timestamp,
                each.step,
                each.run_id,
                each.dataset_name,
                each.dataset_digest,
            ]
            for each in model.metrics
        ),
    }


def unexpected(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Return what differs between what MLflow tells of its store and what is told of ours, but for what should."""
    # MLflow's own search leaves out which models a run read, though it keeps them.
    for run_id, run in other["runs"].items():
        if run["models read"] and run_id in one["runs"] and not one["runs"][run_id]["models read"]:
            one["runs"][run_id]["models read"] = run["models read"]
    # Of a model's metric in a folder, MLflow tells the last point only.
    for model_id, model in other["logged models"].items():
        told_metrics = one["logged models"].get(model_id, {}).get("metrics", [])
        if told_metrics and all(point in model["metrics"] for point in told_metrics):
            one["logged models"][model_id]["metrics"] = model["metrics"]
    return [line for line in differences(one, other) if line.split(":")[0] not in EXPECTED]
