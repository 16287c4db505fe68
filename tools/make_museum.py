"""Make the museum's room of the present schema: `make museum`.

A room is tests/upgrade/museum/<schema number>/ with

    museum.db       an SQLite database that has every kind of entity
    content.json    what this version read from it
    models/         saved models

Rooms stay as they are for ever: tests open them with every later version (tests/upgrade/test_museum.py).
"""

import json
import math
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from slipstream.db.migrate import migrations
from slipstream.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelOutput,
    LoggedModelStatus,
    Metric,
    Param,
    RunCopy,
    RunTag,
    ViewType,
    WebhookEvent,
)
from slipstream.errors import SlipstreamError
from slipstream.ids import new_run_id
from slipstream.store.base import Store
from slipstream.store.engine import open_store

MUSEUM = Path(__file__).parents[1] / "tests" / "upgrade" / "museum"
_FIRST_TIME = 1_760_000_000_000
_ARTIFACTS = "mlflow-artifacts:/"
MODEL_CODE = """\
import slipstream as mlflow


class Scale(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[float], params=None) -> list[float]:
        return [value * params["factor"] for value in model_input]


mlflow.models.set_model(Scale())
"""


def room_name() -> str:
    """Return the folder of the present schema, such as 0001."""
    return f"{migrations()[-1].number:04}"


def open_database(path: Path) -> Any:
    """Open a database; an older one is migrated."""
    return open_store(f"sqlite:///{path}", _ARTIFACTS)


def fill(store: Store) -> None:
    """Write every kind of entity, and of each every field and every state."""
    first = store.create_experiment("museum", artifact_location=f"{_ARTIFACTS}museum")
    store.set_experiment_tag(first, "team", "héritage ☃")
    gone = store.create_experiment("closed")
    store.delete_experiment(gone)

    dataset = Dataset(
        name="digits", digest="d1", source_type="local", source="{}", schema='{"a": 1}', profile="p"
    )
    runs: list[str] = []
    for number, status in enumerate(("FINISHED", "FAILED", "KILLED", "RUNNING", "SCHEDULED")):
        started = _FIRST_TIME + number * 1000
        run = store.create_run(first, "curator", f"run {number}", started, [RunTag("made by", "make_museum")])
        runs.append(run.info.run_id)
        ended = started + 500 if status in ("FINISHED", "FAILED", "KILLED") else None
        store.update_run(runs[-1], status, ended, None)
    run_id = runs[0]
    model = store.create_logged_model(
        first, "classifier", run_id, {"kind": "tree"}, {"depth": "3"}, "classifier"
    )
    points = [Metric("loss", 1 / (step + 1), _FIRST_TIME + step, step) for step in range(50)]
    points += [
        Metric(f"odd {value}", float(value), _FIRST_TIME, -(2**40)) for value in ("nan", "inf", "-inf", "0")
    ]
    points.append(Metric("accuracy", 0.9, _FIRST_TIME, 7, model.model_id, dataset.name, dataset.digest))
    params = [Param("rate", "0.1"), Param("long", "x" * 6000), Param("empty", "")]
    store.log_batch(
        run_id, points, params, [RunTag("note", "läuft"), RunTag("mlflow.source.name", "train.py")]
    )
    store.log_inputs(
        run_id,
        [DatasetInput(dataset=dataset, tags=[InputTag("mlflow.data.context", "training")])],
        [model.model_id],
    )
    store.log_outputs(run_id, [LoggedModelOutput(model.model_id, 7)])
    history = {"artifact_path": "model", "run_id": run_id, "flavors": {}, "utc_time_created": "2026-01-01"}
    store.record_model(run_id, json.dumps(history))
    store.delete_run(runs[1])
    store.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    failed = store.create_logged_model(first, "broken", runs[1])
    store.finalize_logged_model(failed.model_id, LoggedModelStatus.FAILED)
    store.create_logged_model(first, "pending", run_id)

    rewound = [Metric("rewound", float(step), _FIRST_TIME + step, step) for step in range(9)]
    store.log_batch(run_id, [*rewound, Metric("left", 1.0, _FIRST_TIME, 8)])
    store.branch_run(run_id, 7, ["rewound"])
    store.undo_branch(run_id, 1)
    store.branch_run(run_id, 4, ["rewound", "left"])
    store.overwrite_params(run_id, [Param("rate", "0.2")], _FIRST_TIME + 5)
    store.overwrite_params(run_id, [Param("rate", "0.1")], _FIRST_TIME + 9)
    store.copy_runs([RunCopy(run_id=runs[3], new_run_id=new_run_id())], first, share_files=True)

    store.create_registered_model("museum model", {"owner": "curator"}, "Kept for ever.")
    for _ in range(3):
        store.create_model_version(
            "museum model", f"models:/{model.model_id}", run_id, {"checked": "yes"}, "link", "A version.",
            model.model_id,
        )  # fmt: skip
    store.transition_model_version_stage("museum model", "1", "Production")
    store.transition_model_version_stage("museum model", "2", "Staging")
    store.set_registered_model_alias("museum model", "champion", "2")
    store.delete_model_version("museum model", "3")
    store.create_registered_model("empty model")
    store.create_webhook(
        "museum", "https://1.1.1.1/hook", [WebhookEvent("prompt", "created")], "Kept.", "secret"
    )


def read(store: Store) -> dict[str, Any]:
    """Read everything that `fill` writes, through all ways that lead there, as plain JSON."""
    experiments = store.search_experiments(ViewType.ALL, 1000, None, ["name"], None).items
    ids = [each.experiment_id for each in experiments]
    runs = store.search_runs(ids, None, ViewType.ALL, 1000, ["start_time"], None).items
    histories = {
        f"{run.info.run_name}: {point.key}": store.get_metric_history(run.info.run_id, point.key, 1000).items
        for run in runs
        for point in run.data.latest_metrics
    }
    branches = {run.info.run_name: store.get_run_branches(run.info.run_id) for run in runs}
    left = {
        f"{run.info.run_name} {branch.number}: {point.key}": store.get_superseded_history(
            run.info.run_id, branch.number, point.key
        ).items
        for run in runs
        for branch in store.get_run_branches(run.info.run_id)
        for point in branch.latest_metrics
    }
    models = store.search_logged_models(ids).items
    registered = store.search_registered_models().items
    content = {
        "experiments": experiments,
        "runs": runs,
        "runs by search": {
            text: [run.info.run_name for run in store.search_runs(ids, text, order_by=["start_time"]).items]
            for text in (
                "metrics.loss < 0.1",
                "params.rate = '0.1'",
                "tags.note LIKE 'l%'",
                "attributes.status = 'KILLED'",
                "datasets.name = 'digits'",
            )
        },
        "metric histories": histories,
        "branches": branches,
        "left behind": left,
        "param histories": {run.info.run_name: store.get_param_history(run.info.run_id) for run in runs},
        "datasets": store.search_datasets(ids),
        "logged models": sorted(models, key=lambda each: each.name),
        "registered models": sorted(registered, key=lambda each: each.name),
        "model versions": sorted(store.search_model_versions().items, key=lambda each: each.version),
        "champion": store.get_model_version_by_alias("museum model", "champion").version,
        "webhooks": store.search_webhooks().items,
        "download": store.get_model_version_download_uri("museum model", "1"),
    }
    return msgspec.json.decode(msgspec.json.encode(_plain(content)))


def _plain(value: Any) -> Any:
    """Turn entities into JSON's types. NaN and infinities, which JSON has not, become texts."""
    if isinstance(value, msgspec.Struct):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def save_models(folder: Path) -> None:
    """Save one model of each kind that needs no pickle."""
    import numpy as np
    from sklearn.linear_model import LinearRegression

    import slipstream

    x = np.arange(12.0).reshape(6, 2)
    requirements = ["scikit-learn"]
    slipstream.sklearn.save_model(
        LinearRegression().fit(x, x.sum(axis=1)),
        folder / "sklearn",
        input_example=x[:2],
        pip_requirements=requirements,
        metadata={"kept": "for ever"},
    )
    with tempfile.TemporaryDirectory() as scratch:
        code = Path(scratch, "scale.py")
        code.write_text(MODEL_CODE, encoding="utf-8")
        slipstream.pyfunc.save_model(
            folder / "code",
            python_model=str(code),
            input_example=([1.0, 2.0], {"factor": 2.0}),
            pip_requirements=[],
        )


def make(room: Path) -> None:
    """Make a room; an existing one is never made again."""
    if room.exists():
        sys.exit(
            f"{room} is there already, and what was released stays as it is. Only if no release has this schema "
            "yet: remove the folder and call again."
        )
    building = Path(tempfile.mkdtemp(prefix="slipstream-museum-"))
    try:
        path = building / "museum.db"
        store = open_database(path)
        fill(store)
        content = read(store)
        store.close()  # pyright: ignore[reportAttributeAccessIssue]
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")  # one file
        connection.execute("VACUUM")
        connection.close()
        text = json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True)
        (building / "content.json").write_text(text + "\n", encoding="utf-8")
        save_models(building / "models")
        shutil.copytree(building, room)
    finally:
        shutil.rmtree(building)


if __name__ == "__main__":
    target = MUSEUM / room_name()
    try:
        make(target)
    except SlipstreamError as error:
        sys.exit(f"error: {error}")
    print(target)
