"""The demo: train three classifiers, register the best, serve it, and check what the server answers.

Uses nothing but slipstream's public interface, so that it shows what a user can do.
"""

import contextlib
import csv
import importlib.util
import io
import shlex
import shutil
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

import slipstream
from slipstream import projects
from slipstream.client.connect import normalise
from slipstream.demo.servers import ServerProcess
from slipstream.errors import ExecutionError, InvalidParameterError, MissingDependencyError

MODELS = ("logistic", "mlp", "boosting")
MODEL_NAME = "digits"
ALIAS = "champion"
EXPERIMENT = "digits-demo"
HOST = "127.0.0.1"

_PROJECT = Path(__file__).parent / "digits"
_TARGET = "digit"
_NEEDED = ("sklearn", "skops", "pandas", "matplotlib")
_REQUEST_SECONDS = 30.0
_OK = 200

Say = Callable[[str], None]


class DemoOptions(msgspec.Struct, frozen=True):
    """What can be chosen about the demo."""

    port: int = 0
    """Of the scoring server; 0 is any free one."""
    keep: bool = False
    """Leave the scoring server and a tracking server running."""
    data: Path | None = None
    """Where to keep the tracking database and files, instead of the tracking address that is set."""
    epochs: int = 30


class Outcome(msgspec.Struct, frozen=True):
    """What the held-out images showed."""

    images: int
    served_accuracy: float
    logged_accuracy: float
    median_milliseconds: float


def run_demo(options: DemoOptions, say: Say) -> Outcome:
    """Give the tour and print what happens.

    Raises:
        MissingDependencyError: scikit-learn or another library of the extra `demo` is not installed.
        InvalidParameterError: the port is taken, or the folder cannot be made.
        ExecutionError: a training failed, the server did not start, or it answered something else than the
            model that was logged.
    """
    _require_libraries()
    _require_free(options.port)
    experiment_id = _choose_experiment(options.data)
    uri = slipstream.get_tracking_uri()

    say(f"1. Training {len(MODELS)} classifiers on 1,797 handwritten digits, tracked to {uri}")
    parent_id = _train(experiment_id, options.epochs)
    best = _find_best(experiment_id, parent_id, say)

    version = slipstream.register_model(f"runs:/{best.info.run_id}/model", MODEL_NAME)
    slipstream.SlipstreamClient().set_registered_model_alias(MODEL_NAME, ALIAS, version.version)
    say(f"2. Registered the best as {MODEL_NAME} version {version.version} and gave it the alias @{ALIAS}")

    with contextlib.ExitStack() as stack:
        # Logs outlive this process only if the servers do.
        folder = Path(
            tempfile.mkdtemp(prefix="slipstream-demo-")
            if options.keep
            else stack.enter_context(tempfile.TemporaryDirectory(prefix="slipstream-demo-"))
        )
        model_uri = f"models:/{MODEL_NAME}@{ALIAS}"
        arguments = ["models", "serve", "-m", model_uri, "--host", HOST, "--port", str(options.port)]
        scoring = stack.enter_context(ServerProcess("scoring", arguments, folder))
        say(f"3. Serving {model_uri} at {scoring.url}")
        outcome = _score(scoring.url, best)
        say(
            f"4. Sent {outcome.images} held-out images over HTTP, one a request "
            f"(median {outcome.median_milliseconds:.1f} ms):"
        )
        say(f"   accuracy of the served model: {outcome.served_accuracy:.6f}")
        say(f"   accuracy logged in training:  {outcome.logged_accuracy:.6f}")
        if outcome.served_accuracy != outcome.logged_accuracy:
            raise ExecutionError(
                f"The served model is not as accurate as the logged one: {outcome.served_accuracy} instead of "
                f"{outcome.logged_accuracy}. This is a defect of slipstream; please report it."
            )
        _say_next(options, best, stack, scoring, folder, say)
    return outcome


# -- before anything is done ------------------------------------------------------------------------


def _require_libraries() -> None:
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingDependencyError(
            f"The demo needs {', '.join(missing)}, not installed here. Install them: pip install 'slipstream[demo]'"
        )


def _require_free(port: int) -> None:
    """Refuse a taken port now rather than after the training; the server itself checks again."""
    if not port:
        return
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise InvalidParameterError(
                f"Port {port} on {HOST} cannot be used ({error.strerror}). Choose another with --port, or leave it "
                "out to take any free one."
            ) from error


def _choose_experiment(data: Path | None) -> str:
    if data is None:
        return slipstream.set_experiment(EXPERIMENT).experiment_id
    folder = data.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidParameterError(
            f"The folder --data '{data}' cannot be made: {error}. Name one below a folder that you may write to."
        ) from error
    slipstream.set_tracking_uri(f"sqlite:///{folder / 'slipstream.db'}")
    if slipstream.get_experiment_by_name(EXPERIMENT) is None:
        # The default would be a folder of the working directory.
        slipstream.create_experiment(EXPERIMENT, artifact_location=(folder / "artifacts").as_uri())
    return slipstream.set_experiment(EXPERIMENT).experiment_id


# -- training ---------------------------------------------------------------------------------------


def _train(experiment_id: str, epochs: int) -> str:
    """Run the packaged project once for each model, below one parent run, and return that run's id."""
    with slipstream.start_run(experiment_id=experiment_id, run_name="compare classifiers") as parent:
        for model in MODELS:
            projects.run(
                str(_PROJECT),
                parameters={"model": model, "epochs": epochs},
                experiment_id=experiment_id,
                run_name=model,
                env_manager="local",
            )
    return parent.info.run_id


def _find_best(experiment_id: str, parent_id: str, say: Say) -> Any:
    runs: Any = slipstream.search_runs(
        experiment_ids=[experiment_id],
        filter_string=f"tags.mlflow.parentRunId = '{parent_id}' and attributes.status = 'FINISHED'",
        order_by=["metrics.validation_accuracy DESC"],
        output_format="list",
    )
    if len(runs) != len(MODELS):
        raise ExecutionError(
            f"{len(MODELS)} runs were expected below {parent_id}, but a search found {len(runs)}."
        )
    say("   classifier   validation   held-out   train loss")
    for run in runs:
        metrics = run.data.metrics
        say(
            f"   {run.data.params['model']:<10}   {metrics['validation_accuracy']:>10.4f}   "
            f"{metrics['test_accuracy']:>8.4f}   {metrics['train_loss']:>10.4f}"
        )
    return runs[0]


# -- scoring ----------------------------------------------------------------------------------------


def _score(url: str, best: Any) -> Outcome:
    import urllib3

    text: str = slipstream.artifacts.load_text(f"runs:/{best.info.run_id}/held_out.csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    columns = [name for name in rows[0] if name != _TARGET]
    right = 0
    durations: list[float] = []
    with urllib3.PoolManager(timeout=urllib3.Timeout(_REQUEST_SECONDS), retries=False) as pool:
        for row in _with_progress(rows):
            body = {"dataframe_split": {"columns": columns, "data": [[float(row[name]) for name in columns]]}}
            began = time.perf_counter()
            try:
                answer = pool.request("POST", f"{url}/invocations", json=body)
            except urllib3.exceptions.HTTPError as error:
                raise ExecutionError(f"The scoring server at {url} does not answer: {error}") from error
            durations.append(time.perf_counter() - began)
            if answer.status != _OK:
                reason = answer.data.decode(errors="replace")
                raise ExecutionError(f"The scoring server at {url} answered {answer.status}: {reason}")
            right += answer.json()["predictions"] == [int(row[_TARGET])]
    return Outcome(
        images=len(rows),
        served_accuracy=right / len(rows),
        logged_accuracy=best.data.metrics["test_accuracy"],
        median_milliseconds=statistics.median(durations) * 1000,
    )


def _with_progress(rows: list[dict[str, str]]) -> Iterable[dict[str, str]]:
    from tqdm import tqdm

    return tqdm(rows, desc="scoring", unit="image", disable=None, file=sys.stderr)


# -- what to do next --------------------------------------------------------------------------------


def _say_next(
    options: DemoOptions,
    best: Any,
    stack: contextlib.ExitStack,
    scoring: ServerProcess,
    folder: Path,
    say: Say,
) -> None:
    uri = slipstream.get_tracking_uri()
    is_server = uri.startswith(("http://", "https://"))
    say("Where to look next:")
    if not options.keep:
        if is_server:
            say(f"   see the runs:    open {uri}")
        else:
            say(f"   see the runs:    {_program()} server --backend-store-uri {shlex.quote(normalise(uri))}")
        say(f"   serve it again:  {_prefix()}{_program()} models serve -m models:/{MODEL_NAME}@{ALIAS}")
        say(f"   the pictures:    {_prefix()}{_program()} artifacts list --run-id {best.info.run_id}")
        say(f"   the project:     {_PROJECT}")
        return
    kept = [scoring]
    if not is_server:
        arguments = ["server", "--backend-store-uri", normalise(uri), "--host", HOST, "--port", "0"]
        if options.data is not None:
            arguments += ["--artifacts-destination", str(options.data.absolute() / "artifacts")]
        kept.append(stack.enter_context(ServerProcess("tracking", arguments, folder)))
    for server in kept:
        server.keep()
        say(f"   {server.name} server:  {server.url}  (pid {server.pid})")
    if is_server:
        say(f"   tracking server:  {uri}  (was running already)")
    say(f"   their output:    {folder}")
    say(f"   stop them:       kill {' '.join(str(server.pid) for server in kept)}")


def _program() -> str:
    """Return what to type for slipstream's command: its path if the shell does not find it (`make demo`)."""
    beside = Path(sys.executable).with_name("slipstream")
    found = shutil.which("slipstream")
    missing = found is None or Path(found).resolve() != beside.resolve()
    return shlex.quote(str(beside)) if missing and beside.is_file() else "slipstream"


def _prefix() -> str:
    """Return what must stand before a command so that it finds the demo's data, also in another shell."""
    if not slipstream.is_tracking_uri_set():
        return ""
    return f"SLIPSTREAM_TRACKING_URI={shlex.quote(normalise(slipstream.get_tracking_uri()))} "
