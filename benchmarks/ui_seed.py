"""What the pages of both systems are measured with: the same runs, points and models in slipstream and in a real MLflow.

Few things are logged as a script would log them, through slipstream's client, which speaks to both. The many runs are
written straight into SQLite files, since MLflow would take minutes for them.
"""

import json
import math
import random
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

MINUTE = 60_000
BEGAN = 1_790_000_000_000
SWEEP = "cifar10-sweep"
RUNS = 2_000
LARGE = (10_000, 100_000)
"""So many runs slipstream has in experiments of their own."""
STEPPED = 100
"""So many of the last runs have points at 100 steps; the others one a metric."""
STEPS = 100
COMPARED = 20
LONG_POINTS = 20_000
SPIKE_AT = 13_000
SPIKE = 40.0
BASE_MODELS = ("resnet18", "resnet34", "resnet50", "vit-s", "convnext-t")
OPTIMIZERS = ("adamw", "sgd", "lion", "adafactor")
METRICS = (
    "train/loss", "val/loss", "train/acc", "val/acc", "val/f1", "val/auc",
    "grad_norm", "lr", "epoch_time_s", "gpu_mem_gb", "throughput", "val/top5",
)  # fmt: skip
LONG_METRICS = (
    "train/loss", "val/loss", "train/ppl", "grad_norm", "lr",
    "tokens_per_s", "mfu", "train/acc", "val/acc", "moe/aux_loss",
)  # fmt: skip
FILTER = 'params.model = "vit-s" and metrics.`val/acc` > 0.9'


class Made(NamedTuple):
    """A run as it is written down: `points` are (key, value, timestamp, step)."""

    run_id: str
    name: str
    user: str
    status: str
    began: int
    ended: int
    params: dict[str, str]
    tags: dict[str, str]
    points: list[tuple[str, float, int, int]]

    @property
    def last(self) -> list[tuple[str, float, int, int]]:
        return self.points[-len(METRICS) :]


def made_up(count: int, *, stepped: int = 0) -> Iterator[Made]:
    """Return runs of 15 params and 12 metrics; the same at every call."""
    for number in range(count):
        dice = random.Random(number)
        began = BEGAN + number * 7 * MINUTE
        rate, decay = 10 ** dice.uniform(-5, -1), 10 ** dice.uniform(-6, -2)
        params = {
            "model": BASE_MODELS[number % 5],
            "optimizer": OPTIMIZERS[number // 5 % 4],
            "scheduler": dice.choice(["cosine", "linear", "step", "const"]),
            "lr": f"{rate:.6g}",
            "weight_decay": f"{decay:.6g}",
            "batch_size": str(dice.choice([32, 64, 128, 256, 512])),
            "epochs": "100",
            "dropout": str(round(dice.uniform(0, 0.5), 3)),
            "label_smoothing": str(dice.choice([0, 0.05, 0.1])),
            "mixup": str(dice.choice([0, 0.2, 0.4])),
            "augment": dice.choice(["none", "randaug", "autoaug"]),
            "seed": str(number % 5),
            "precision": dice.choice(["fp32", "bf16"]),
            "warmup_steps": str(dice.choice([0, 100, 500])),
            "grad_clip": str(dice.choice([0.5, 1.0, 5.0])),
        }
        tags = {
            "mlflow.runName": run_name(number),
            "mlflow.user": "ada",
            "mlflow.source.name": "train.py",
            "mlflow.source.type": "LOCAL",
            "mlflow.source.git.commit": f"{dice.getrandbits(160):040x}",
            "stage": dice.choice(["dev", "ci", "prod"]),
            "dataset": f"cifar10-v{number % 3}",
        }
        quality = math.exp(-((math.log10(rate) + 3) ** 2) / 2) * dice.uniform(0.8, 1)
        steps = STEPS if number >= count - stepped else 1
        points = [
            (key, value, began + step * 2000, step if steps > 1 else STEPS - 1)
            for step in range(steps)
            for key, value in zip(METRICS, _values(quality, rate, (step + 1) / steps, dice), strict=True)
        ]
        yield Made(
            f"{number * 2654435761 % 2**32:08x}{count:08x}{number:016x}", run_name(number),
            dice.choice(["ada", "grace", "linus", "barbara"]), "FAILED" if dice.random() < 0.05 else "FINISHED",
            began, began + dice.randint(1, 100) * MINUTE, params, tags, points,
        )  # fmt: skip


def run_name(number: int) -> str:
    return f"{BASE_MODELS[number % 5]}-{OPTIMIZERS[number // 5 % 4]}-{number:05d}"


def _values(quality: float, rate: float, done: float, dice: random.Random) -> list[float]:
    return [
        2.3 * (1 - quality * done) + 0.05 * dice.random(),
        2.4 * (1 - 0.9 * quality * done) + 0.08 * dice.random(),
        quality * done * 0.99,
        quality * done * 0.95,
        quality * done * 0.94,
        0.5 + quality * done * 0.49,
        dice.expovariate(1),
        rate * (1 - done),
        dice.gauss(60, 4),
        dice.uniform(8, 40),
        dice.gauss(2400, 200),
        min(1, quality * done * 0.995 + 0.004),
    ]


def long_series() -> dict[str, list[float]]:
    """Return ten series of 20,000 values; ten steps of the first stand out by 40."""
    dice = random.Random(7)
    values: dict[str, list[float]] = {key: [] for key in LONG_METRICS}
    for step in range(LONG_POINTS):
        base = 2.2 + 8 * math.exp(-step / 1500)
        spike = SPIKE if SPIKE_AT <= step < SPIKE_AT + 10 else 0
        warm = min(step / 500, 1) * 0.5 * (1 + math.cos(step / LONG_POINTS * math.pi))
        for key, value in zip(
            LONG_METRICS,
            (
                base + dice.gauss(0, 0.08) + spike, base + 0.1 + dice.gauss(0, 0.03), math.exp(base),
                dice.lognormvariate(0, 0.5), 3e-4 * warm, dice.gauss(41_000, 900), dice.gauss(0.44, 0.01),
                1 - base / 12 + dice.gauss(0, 0.005), 1 - base / 11.9 + dice.gauss(0, 0.003),
                0.01 + dice.gauss(0, 0.001) ** 2,
            ),
            strict=True,
        ):  # fmt: skip
            values[key].append(value)
    return values


def write_ours(path: Path, experiment: str, count: int) -> None:
    """Write runs with the last value of each metric, while no server has the file open."""
    with sqlite3.connect(path) as db:
        for each in made_up(count):
            run = db.execute(
                "INSERT INTO runs (run_id, experiment, run_name, user_id, status, start_time, end_time, lifecycle_stage,"
                " artifact_uri) VALUES (?, ?, ?, ?, ?, ?, ?, 'active', ?) RETURNING id",
                (each.run_id, int(experiment), each.name, each.user, each.status, each.began, each.ended, _files_of(experiment, each)),
            ).fetchone()[0]  # fmt: skip
            db.executemany(
                "INSERT INTO series (run, key, step, timestamp, value, is_nan) VALUES (?, ?, ?, ?, ?, 0)",
                [(run, key, step, when, value) for key, value, when, step in each.last],
            )
            db.executemany(
                "INSERT INTO params (run, key, value) VALUES (?, ?, ?)",
                [(run, *pair) for pair in each.params.items()],
            )
            db.executemany(
                "INSERT INTO run_tags (run, key, value) VALUES (?, ?, ?)",
                [(run, *pair) for pair in each.tags.items()],
            )
    db.close()


def write_theirs(path: Path, experiment: str, long_experiment: str, long_run: str) -> None:
    """Write the sweep, and the points of the long run, into a database of MLflow while no server has it open."""
    with sqlite3.connect(path) as db:
        for each in made_up(RUNS, stepped=STEPPED):
            db.execute(
                "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status,"
                " start_time, end_time, source_version, lifecycle_stage, artifact_uri, experiment_id)"
                " VALUES (?, ?, 'UNKNOWN', '', '', ?, ?, ?, ?, '', 'active', ?, ?)",
                (each.run_id, each.name, each.user, each.status, each.began, each.ended, _files_of(experiment, each), int(experiment)),
            )  # fmt: skip
            _write_points(db, each.run_id, each.points, each.last)
            db.executemany(
                "INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)",
                [(*pair, each.run_id) for pair in each.params.items()],
            )
            db.executemany(
                "INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)",
                [(*pair, each.run_id) for pair in each.tags.items()],
            )
        points = list(_long_points())
        _write_points(db, long_run, points, points[-len(LONG_METRICS) :])
    db.close()


def _files_of(experiment: str, run: Made) -> str:
    return f"mlflow-artifacts:/{experiment}/{run.run_id}/artifacts"


def _long_points() -> Iterator[tuple[str, float, int, int]]:
    series = long_series()
    for step in range(LONG_POINTS):
        for key in LONG_METRICS:
            yield key, series[key][step], BEGAN + step * 1500, step


def _write_points(
    db: sqlite3.Connection, run: str, points: list[tuple[str, float, int, int]], last: list[tuple[str, float, int, int]]
) -> None:  # fmt: skip
    for table, some in (("metrics", points), ("latest_metrics", last)):
        db.executemany(
            f"INSERT INTO {table} (key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, ?, ?, 0, ?)",
            [(*each, run) for each in some],
        )


def log_few(url: str, *, is_ours: bool) -> dict[str, Any]:
    """Log what a script would, through the server; return the ids that the pages' addresses need.

    Of MLflow the sweep and the long run stay empty: `write_theirs` fills them.
    """
    import numpy as np
    import pandas as pd
    from sklearn.linear_model import LogisticRegression

    import slipstream as mlflow
    from slipstream.client.client import SlipstreamClient
    from slipstream.entities import Metric, Param, RunTag

    mlflow.set_tracking_uri(url)
    mlflow.set_registry_uri(url)
    client = SlipstreamClient(url)
    note = "# CIFAR-10 sweep\nLearning-rate / depth **sweep**, 2,000 runs.\n\n| who | what |\n|---|---|\n| ada | lr |\n"
    ids: dict[str, Any] = {
        "sweep": client.create_experiment(SWEEP, tags={"mlflow.note.content": note, "team": "vision"}),
        "long": client.create_experiment("llm-pretrain-long", tags={"team": "nlp"}),
        "nested": client.create_experiment("hyperopt-nested", tags={"team": "tabular"}),
        "models": client.create_experiment("tabular-models", tags={"team": "tabular"}),
        "agents": client.create_experiment("chat-agent", tags={"team": "nlp"}),
    }
    last = [each.run_id for each in made_up(RUNS)][-COMPARED:]
    if is_ours:
        last = []
        for each in made_up(RUNS, stepped=STEPPED):
            run = client.create_run(ids["sweep"], start_time=each.began, run_name=each.name).info.run_id
            client.log_batch(
                run,
                [Metric(key, value, when, step) for key, value, when, step in each.points[:900]],
                [Param(*pair) for pair in each.params.items()],
                [RunTag(*pair) for pair in each.tags.items()],
            )
            for first in range(900, len(each.points), 900):
                some = each.points[first : first + 900]
                client.log_batch(run, [Metric(key, value, when, step) for key, value, when, step in some])
            client.set_terminated(run, each.status, each.ended)
            last = [*last[-COMPARED + 1 :], run]
    ids["last"], ids["compared"] = last[-1], last

    long_note = "## Long run\n10 metrics x 20k steps, with a spike at 13k"
    ids["long_run"] = client.create_run(
        ids["long"], start_time=BEGAN, run_name="gpt-350m-20k", tags={"mlflow.note.content": long_note}
    ).info.run_id
    sizes = {"layers": "24", "d_model": "1024", "lr": "3e-4", "tokens": "7.4B", "seq": "2048"}
    client.log_batch(ids["long_run"], params=[Param(*pair) for pair in sizes.items()])
    if is_ours:
        points = list(_long_points())
        for first in range(0, len(points), 1000):
            some = points[first : first + 1000]
            client.log_batch(
                ids["long_run"], [Metric(key, value, when, step) for key, value, when, step in some]
            )
        client.set_terminated(ids["long_run"], "FINISHED", BEGAN + LONG_POINTS * 1500)

    dice = random.Random(3)
    for study in range(2):
        parent = client.create_run(ids["nested"], run_name=f"study-{study}").info.run_id
        for trial in range(6):
            child = client.create_run(
                ids["nested"], run_name=f"trial-{study}-{trial}", tags={"mlflow.parentRunId": parent}
            ).info.run_id
            client.log_batch(child, [Metric("rmse", dice.random(), BEGAN, 0)])
            client.set_terminated(child)
        client.set_terminated(parent)

    rows = pd.DataFrame(np.random.default_rng(7).random((100, 6)), columns=[f"feat_{at}" for at in range(6)])
    labels = (rows.sum(axis=1) > 3).astype(int)
    mlflow.set_experiment(experiment_id=ids["models"])
    for name, versions in (("churn-classifier", 5), ("fraud-detector", 3), ("price-regressor", 2)):
        for version in range(versions):
            with mlflow.start_run(run_name=f"{name}-train-{version + 1}"):
                model = LogisticRegression(C=1 + version).fit(rows, labels)
                mlflow.log_params({"C": 1 + version, "solver": "lbfgs"})
                mlflow.log_metrics(
                    {
                        "acc": float(model.score(rows, labels)),
                        "auc": 0.9 + 0.01 * version,
                        "f1": 0.8 + 0.01 * version,
                    }
                )
                mlflow.sklearn.log_model(
                    model, name="model", input_example=rows.head(2), registered_model_name=name,
                    pip_requirements=["scikit-learn"],
                )  # fmt: skip
        client.update_registered_model(name, f"**{name}**, owned by team tabular.\n\n- SLA 50 ms")
        client.set_registered_model_tag(name, "team", "tabular")
        client.set_registered_model_alias(name, "champion", str(versions))
        client.set_registered_model_alias(name, "challenger", str(versions - 1))
        client.set_model_version_tag(name, str(versions), "validation", "passed")
        client.update_model_version(name, str(versions), "retrained on **2026-11** data")
    for number in range(40):
        client.create_registered_model(
            f"demo-model-{number:02d}", tags={"team": "nlp"}, description="placeholder"
        )
    return ids


def log_twenty_long(url: str) -> str:
    """Log 20 runs of one metric with 20,000 points each into a slipstream server; return their experiment."""
    from slipstream.client.client import SlipstreamClient
    from slipstream.entities import Metric

    client = SlipstreamClient(url)
    experiment = client.create_experiment("twenty-long")
    for number in range(20):
        dice = random.Random(number)
        run = client.create_run(experiment, start_time=BEGAN, run_name=f"long-{number:02d}").info.run_id
        for first in range(0, LONG_POINTS, 1000):
            client.log_batch(
                run,
                [
                    Metric("loss", 2 + number / 10 + 8 * math.exp(-step / 1500) + dice.gauss(0, 0.1), BEGAN + step * 1500, step)
                    for step in range(first, first + 1000)
                ],
            )  # fmt: skip
        client.set_terminated(run)
    return experiment


def kept(folder: Path) -> dict[str, Any] | None:
    """Return what an earlier call of `keep` wrote into the folder."""
    path = folder / "seeded.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else None


def keep(folder: Path, ids: dict[str, Any]) -> dict[str, Any]:
    ids = {**ids, "seeded": time.strftime("%Y-%m-%d %H:%M:%S")}
    (folder / "seeded.json").write_text(json.dumps(ids, indent=1), "utf-8")
    return ids
