"""Take the pictures of the web pages that the documentation shows, of a server with real trainings.

python tools/make_screenshots.py [FOLDER]   # docs/images, if none is named; needs Chromium and the pages (make ui)

Trains small classifiers of scikit-learn on its pictures of digits and on two of its tables, logs them as if some days
had passed, and takes each page in the light and in the dark, and a few on a phone. Every call trains the same models,
but pictures differ in what depends on the clock.
"""

import contextlib
import io
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, sync_playwright
from sklearn import datasets
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import slipstream as mlflow
from slipstream.client.client import SlipstreamClient
from slipstream.entities import Metric, Param, RunTag

FOLDER = Path(__file__).parents[1] / "docs" / "images"
DAY = 86_400_000
MINUTE = 60_000
EPOCHS = 25
PEOPLE = ("ada", "grace", "katherine")
WIDE = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 780}
DIGITS_NOTE = """Handwritten digits, 8 × 8 pixels, read by small networks.

- **Goal**: 98.5 % of the test pictures, in less than a millisecond each
- Split: 1,347 to train on, 450 to test, the same in all runs
- Next: wider layers with less decay, see @model:digits-reader
"""


class Trained(NamedTuple):
    run_id: str
    model: Any
    accuracy: float


class Story:
    """Trainings, told to a server."""

    def __init__(self, url: str, scratch: Path) -> None:
        self.client = SlipstreamClient(url)
        self.scratch = scratch
        self.now = int(time.time() * 1000)
        self.dice = random.Random(11)

    def begin(self, experiment: str, name: str, began: int, params: dict[str, Any], **tags: str) -> str:
        all_tags = {
            "mlflow.user": self.dice.choice(PEOPLE),
            "mlflow.source.name": "train.py",
            "mlflow.source.type": "LOCAL",
            "mlflow.source.git.commit": f"{self.dice.getrandbits(160):040x}",
            **tags,
        }
        run = self.client.create_run(experiment, start_time=began, run_name=name, tags=all_tags).info.run_id
        self.client.log_batch(run, params=[Param(key, str(value)) for key, value in params.items()])
        return run

    # -- digits ---------------------------------------------------------------------------------------------
    def digits(self) -> tuple[str, list[Trained], str]:
        """Search for a network that reads digits; return the experiment, its runs, and the one that still runs."""
        note = {"mlflow.note.content": DIGITS_NOTE, "team": "vision"}
        experiment = self.client.create_experiment("read-digits", tags=note)
        pictures, labels = datasets.load_digits(return_X_y=True)
        data = train_test_split(pictures / 16, labels, random_state=0)
        found: list[Trained] = []
        count = 32
        for number in range(count):
            rate = 10 ** self.dice.uniform(-3.6, -1.6)
            params = {
                "layers": self.dice.choice(["32", "64", "64-32", "128", "128-64"]),
                "learning_rate": f"{rate:.2g}",
                "activation": self.dice.choice(["relu", "tanh", "logistic"]),
                "solver": self.dice.choice(["adam", "adam", "sgd"]),
                "batch_size": self.dice.choice([32, 64, 128]),
                "alpha": self.dice.choice([0.0001, 0.001, 0.01]),
                "seed": 0,
            }
            began = self.now - int(3 * DAY * (count - number) / count)
            name = f"{params['layers']}-{params['activation']}-{number + 1:02}"
            found.append(self._train(experiment, name, began, params, data, EPOCHS))
        params = {"layers": "128-64", "learning_rate": "0.004", "activation": "relu", "solver": "adam", "batch_size": 64, "alpha": 0.001, "seed": 0}  # fmt: skip
        running = self._train(
            experiment, "128-64-relu-longer", self.now - 4 * MINUTE, params, data, 18, goes_on=True
        )
        return experiment, found, running.run_id

    def _train(
        self, experiment: str, name: str, began: int, params: dict[str, Any], data: Any, epochs: int, *, goes_on: bool = False
    ) -> Trained:  # fmt: skip
        seen, unseen, known, unknown = data
        run = self.begin(experiment, name, began, params, dataset="digits")
        model = MLPClassifier(
            tuple(map(int, params["layers"].split("-"))), activation=params["activation"], solver=params["solver"],
            learning_rate_init=float(params["learning_rate"]), batch_size=params["batch_size"], alpha=params["alpha"], random_state=0,
        )  # fmt: skip
        order = np.random.default_rng(0)
        points: list[Metric] = []
        accuracy = 0.0
        pace = self.dice.randint(5_000, 9_000)
        for epoch in range(epochs):
            shuffled = order.permutation(len(seen))
            model.partial_fit(seen[shuffled], known[shuffled], classes=range(10))
            likely, sure = model.predict_proba(unseen), model.predict_proba(seen)
            answers = likely.argmax(axis=1)
            accuracy = float(accuracy_score(unknown, answers))
            values = {
                "train/loss": log_loss(known, sure),
                "train/accuracy": accuracy_score(known, sure.argmax(axis=1)),
                "val/loss": log_loss(unknown, likely),
                "val/accuracy": accuracy,
                "val/f1": f1_score(unknown, answers, average="macro"),
            }
            points += [
                Metric(key, float(value), began + (epoch + 1) * pace, epoch) for key, value in values.items()
            ]
        self.client.log_batch(run, points)
        if not goes_on:
            failed = self.dice.random() < 0.05
            if failed:
                self.client.set_tag(
                    run, "slipstream.end.reason", "MemoryError: no room for a batch of 1,347 pictures"
                )
            self.client.set_terminated(run, "FAILED" if failed else "FINISHED", began + epochs * pace)
        return Trained(run, model, accuracy)

    # -- tables ---------------------------------------------------------------------------------------------
    def forests(self, experiment: str, load: Any, count: int) -> list[Trained]:
        """Train classifiers of a table."""
        rows, labels = load(return_X_y=True, as_frame=True)
        made = self.client.create_experiment(experiment, tags={"team": "tabular"})
        seen, unseen, known, unknown = train_test_split(rows, labels, random_state=0, stratify=labels)
        found: list[Trained] = []
        for number in range(count):
            kind = (RandomForestClassifier, ExtraTreesClassifier, LogisticRegression)[number % 3]
            params: dict[str, Any] = {"estimator": kind.__name__}
            if kind is LogisticRegression:
                params |= {"C": self.dice.choice([0.01, 0.1, 1.0])}
                model: Any = make_pipeline(StandardScaler(), LogisticRegression(C=params["C"]))
            else:
                params |= {
                    "n_estimators": self.dice.choice([20, 50, 100]),
                    "max_depth": self.dice.randint(2, 8),
                }
                model = kind(
                    n_estimators=params["n_estimators"], max_depth=params["max_depth"], random_state=0
                )
            began = self.now - int(5 * DAY * (count - number) / count)
            run = self.begin(made, f"{kind.__name__}-{number + 1}", began, params)
            model.fit(seen, known)
            answers = model.predict(unseen)
            accuracy = float(accuracy_score(unknown, answers))
            values = {"accuracy": accuracy, "f1": f1_score(unknown, answers, average="macro"), "log_loss": log_loss(unknown, model.predict_proba(unseen))}  # fmt: skip
            self.client.log_batch(
                run, [Metric(key, float(value), began + 9_000, 0) for key, value in values.items()]
            )
            self.client.set_terminated(run, "FINISHED", began + self.dice.randint(5_000, 60_000))
            found.append(Trained(run, model, accuracy))
        return found

    # -- models ---------------------------------------------------------------------------------------------
    def register(self, name: str, about: str, trained: list[Trained], example: Any, **tags: str) -> None:
        """Make versions of models, each better than the one before; the last but one is in production."""
        self.client.create_registered_model(name, description=about, tags=tags)
        for number, each in enumerate(sorted(trained, key=lambda one: one.accuracy), 1):
            folder = self.scratch / f"{name}-{number}"
            signature = mlflow.models.infer_signature(example, each.model.predict(example))
            mlflow.sklearn.save_model(each.model, folder, signature=signature, input_example=example.head(2), pip_requirements=["scikit-learn", "numpy"])  # fmt: skip
            self.client.log_artifacts(each.run_id, str(folder), "model")
            source = f"{self.client.get_run(each.run_id).info.artifact_uri}/model"
            text = f"Accuracy {each.accuracy:.1%} on the test split."
            self.client.create_model_version(name, source, run_id=each.run_id, description=text)
            self.client.set_model_version_tag(name, str(number), "validation", "passed")
        last = len(trained)
        self.client.set_registered_model_alias(name, "champion", str(max(1, last - 1)))
        self.client.set_registered_model_alias(name, "challenger", str(last))


def told(url: str, scratch: Path) -> dict[str, Any]:
    """Fill a server; return what the pages' addresses need."""
    story = Story(url, scratch)
    wines = story.forests("sort-wines", datasets.load_wine, 12)
    tumours = story.forests("screen-tumours", datasets.load_breast_cancer, 15)
    experiment, digits, running = story.digits()
    ranked = sorted(digits, key=lambda each: each.accuracy, reverse=True)
    best = ranked[0]
    client = story.client
    client.log_batch(best.run_id, tags=[RunTag("mlflow.note.content", "Best so far. Reads **9** and **7** apart at last; see `plots/confusion.png`."), RunTag("reviewed", "yes")])  # fmt: skip
    _draw(client, best, scratch)
    pictures, _ = datasets.load_digits(return_X_y=True, as_frame=True)
    story.register("digits-reader", "Reads one handwritten digit of 8 × 8 pixels.\n\nOwned by team **vision**; answers within 5 ms.", ranked[:4], pictures / 16, team="vision", task="classification")  # fmt: skip
    table, _ = datasets.load_breast_cancer(return_X_y=True, as_frame=True)
    story.register("tumour-screening", "Tells benign from malignant, for a doctor to look at.", tumours[-3:], table, team="tabular")  # fmt: skip
    table, _ = datasets.load_wine(return_X_y=True, as_frame=True)
    story.register("wine-sorter", "Sorts wines by their chemistry.", wines[-2:], table, team="tabular")
    return {
        "experiment": experiment,
        "best": best.run_id,
        "running": running,
        "compared": [each.run_id for each in ranked[:8]],
    }


def _draw(client: SlipstreamClient, best: Trained, scratch: Path) -> None:
    """Log a confusion matrix and a report."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot
    from sklearn.metrics import ConfusionMatrixDisplay, classification_report

    pictures, labels = datasets.load_digits(return_X_y=True)
    _, unseen, _, unknown = train_test_split(pictures / 16, labels, random_state=0)
    answers = best.model.predict(unseen)
    figure, axes = pyplot.subplots(figsize=(5, 5))
    ConfusionMatrixDisplay.from_predictions(unknown, answers, ax=axes, colorbar=False, cmap="Blues")
    figure.tight_layout()
    folder = scratch / "files" / "plots"
    folder.mkdir(parents=True)
    figure.savefig(folder / "confusion.png", dpi=110)
    (folder.parent / "report.txt").write_text(classification_report(unknown, answers), "utf-8")
    client.log_artifacts(best.run_id, str(folder.parent))


class Shot(NamedTuple):
    name: str
    path: str
    shown: str
    """What is there once the page is."""
    on_phone: bool = False


def shots(ids: dict[str, Any]) -> list[Shot]:
    of_experiment = f"/experiments/{ids['experiment']}"
    run, plot, row = f"{of_experiment}/runs/{ids['best']}", ".plot[tabindex] canvas", ".grid .line a"
    return [
        Shot("home", "/", "text=read-digits"),
        Shot("experiments", "/experiments", row),
        Shot("runs", f"{of_experiment}?order=-metrics.val%2Faccuracy", row, on_phone=True),
        Shot("charts", f"{of_experiment}?view=charts", plot),
        Shot("run", run, "text=learning_rate", on_phone=True),
        Shot("run-charts", f"{run}/charts", plot, on_phone=True),
        Shot("artifacts", f"{run}/artifacts?file=plots%2Fconfusion.png", "img"),
        Shot("compare", f"/compare?runs={','.join(ids['compared'])}", ".diff-table tbody tr"),
        Shot("models", "/models", row),
        Shot("model", "/models/digits-reader", row),
        Shot("version", "/models/wine-sorter/versions/2", "text=Try it"),
    ]


def take(browser: Browser, url: str, ids: dict[str, Any], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for shot in shots(ids):
        looks = [(scheme, WIDE, "") for scheme in ("light", "dark")]
        if shot.on_phone:
            looks.append(("light", PHONE, "-phone"))
        for scheme, size, suffix in looks:
            context = browser.new_context(
                viewport=size, color_scheme=scheme, has_touch=bool(suffix), device_scale_factor=1
            )  # fmt: skip
            page = context.new_page()
            page.goto(url + shot.path)
            page.locator(shot.shown).first.wait_for()
            page.wait_for_timeout(1200)  # for the last charts and pictures
            name = f"{shot.name}{suffix or '-' + scheme}.webp"
            with Image.open(io.BytesIO(page.screenshot(animations="disabled"))) as picture:
                picture.convert("RGB").save(folder / name, lossless=True, quality=100, method=6)
            print(f"{name}: {(folder / name).stat().st_size / 1000:.0f} kB")
            context.close()


@contextlib.contextmanager
def server(folder: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        *(sys.executable, "-m", "slipstream", "server", "--port", str(port)),
        *("--backend-store-uri", f"sqlite:///{folder}/tracking.db", "--artifacts-destination", str(folder / "artifacts")),
    ]  # fmt: skip
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/health"):
                break
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def main() -> int:
    chromium = os.environ.get("CHROMIUM") or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if chromium is None:
        raise SystemExit(
            "There is no Chromium on this machine (Debian: apt-get install chromium), or name it with CHROMIUM=..."
        )
    warnings.filterwarnings("ignore")  # of networks that have not learnt all
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    with (
        tempfile.TemporaryDirectory() as folder,
        server(Path(folder)) as url,
        sync_playwright() as playwright,
    ):
        with threadpool_limits(1):  # such small networks are slower on several cores
            ids = told(url, Path(folder) / "scratch")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--disable-gpu", "--no-sandbox"])
        take(browser, url, ids, target)
        browser.close()
    size = sum(each.stat().st_size for each in target.glob("*.webp"))
    print(f"{size / 1e6:.2f} MB in {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
