"""A sweep of many runs that differ in what sweeps differ in: what tables and charts of runs are tried on."""

import json
import math
import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import urllib3

MODELS = ("resnet18", "resnet34", "resnet50", "vit-s", "convnext-t")
OPTIMIZERS = ("adamw", "sgd", "lion", "adafactor")
METRICS = ("train/loss", "val/loss", "train/acc", "val/acc", "val/f1", "val/auc", "grad_norm", "throughput")
BEGAN = 1_790_000_000_000
MINUTE = 60_000


class Sweep:
    """Runs in one experiment, the same at every call; `run_ids` are in the order in which they were started."""

    def __init__(self, url: str, runs: int, *, name: str = "sweep", steps: int = 1) -> None:
        """Log them through MLflow's routes, with a few connections at a time."""
        self._url = url
        self._http = urllib3.PoolManager(maxsize=8, retries=False)
        self._steps = steps
        self.experiment = str(self._post("experiments/create", {"name": name})["experiment_id"])
        with ThreadPoolExecutor(8) as threads:
            self.run_ids = list(threads.map(self._log, range(runs)))
        self._http.clear()

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        answer = self._http.request(
            "POST",
            f"{self._url}/api/2.0/mlflow/{path}",
            body=json.dumps(body),
            headers={"content-type": "application/json"},
        )
        assert answer.status == 200, answer.data
        return json.loads(answer.data)

    def _log(self, number: int) -> str:
        dice = random.Random(number)
        began = BEGAN + number * 7 * MINUTE
        created = self._post(
            "runs/create",
            {"experiment_id": self.experiment, "start_time": began, "run_name": run_name(number)},
        )
        run_id = str(created["run"]["info"]["run_id"])
        rate = 10 ** dice.uniform(-5, -1)
        params = {
            "model": MODELS[number % 5],
            "optimizer": OPTIMIZERS[number // 5 % 4],
            "lr": f"{rate:.6g}",
            "batch_size": str(dice.choice([32, 64, 128, 256, 512])),
            "dropout": str(round(dice.uniform(0, 0.5), 3)),
            "epochs": "100",
            "seed": str(number % 5),
        }
        quality = math.exp(-((math.log10(rate) + 3) ** 2) / 2) * dice.uniform(0.8, 1)
        points = [
            {"key": key, "value": value, "timestamp": began + step * 1000, "step": step}
            for step in range(self._steps)
            for key, value in zip(METRICS, _values(quality * (step + 1) / self._steps, dice), strict=True)
        ]
        for first in range(0, len(points), 1000):
            self._post(
                "runs/log-batch",
                {
                    "run_id": run_id,
                    "metrics": points[first : first + 1000],
                    "params": [{"key": key, "value": value} for key, value in params.items()]
                    if not first
                    else [],
                    "tags": [{"key": "dataset", "value": f"cifar10-v{number % 3}"}] if not first else [],
                },
            )
        status = "FAILED" if number % 20 == 19 else "FINISHED"
        self._post(
            "runs/update",
            {"run_id": run_id, "status": status, "end_time": began + dice.randint(1, 100) * MINUTE},
        )
        return run_id


def run_name(number: int) -> str:
    return f"{MODELS[number % 5]}-{OPTIMIZERS[number // 5 % 4]}-{number:05d}"


def _values(quality: float, dice: random.Random) -> list[float]:
    return [
        2.3 * (1 - quality) + 0.05 * dice.random(),
        2.4 * (1 - 0.9 * quality) + 0.08 * dice.random(),
        quality * 0.99,
        quality * 0.95,
        quality * 0.94,
        0.5 + quality * 0.49,
        dice.expovariate(1),
        dice.gauss(2400, 200),
    ]
