"""Write to the run of a training. Whatever fails is left out, with a warning once a kind."""

import logging
import numbers
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from slipstream.autologging.integrations import AUTOLOGGING_TAG, Integration
from slipstream.autologging.patching import Call, Observer, Steps, Watch, finish, start
from slipstream.autologging.warnings_once import attempt, warn_once
from slipstream.client.active_run import active_entry, active_run, end_run, start_run
from slipstream.client.client import SlipstreamClient
from slipstream.client.datasets import to_dataset_input
from slipstream.client.model_functions import initialize_logged_model
from slipstream.client.scratch import scratch_folder
from slipstream.clock import now_ms
from slipstream.entities import DatasetInput, Metric, Param, RunStatus, RunTag
from slipstream.errors import SlipstreamError
from slipstream.rules import limits

_log = logging.getLogger("slipstream.autologging")
_ours: set[str] = set()
"""Runs that were started here, and are active."""
_SECONDS_BETWEEN_BATCHES = 1.0
_LONGEST_BATCH = 1_000


class Recorder:
    """What one training writes to, at the server where its run is."""

    def __init__(self, integration: Integration, client: SlipstreamClient, run_id: str) -> None:
        self.flavor = integration.flavor
        self.client = client
        self.run_id = run_id
        self._points: list[Metric] = []
        self._sent = time.monotonic()

    @classmethod
    def of_active_run(cls, integration: Integration) -> "Recorder":
        entry = active_entry()
        return cls(integration, entry.client, entry.run.info.run_id)

    def begin_model(self) -> str | None:
        """Create the model that the training will give, so that metrics can be of it; `None` if that is not to be had."""
        with attempt(self.flavor, "creating the model"):
            return initialize_logged_model("model").model_id
        return None

    # -- params and tags ----------------------------------------------------------------------------------

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Log params as text, cut to the length that they may have.

        A param that the run has already keeps its value, unless `resume` made the run active: then it changes, with history.
        """
        given: list[Param] = []
        for key, value in params.items():
            with attempt(self.flavor, "writing a param as text"):
                given.append(Param(shorten(key, limits.KEY), shorten(value, limits.PARAM_VALUE)))
        if not given:
            return
        try:
            self.client.log_batch(self.run_id, params=given)
        except SlipstreamError:  # one of them, most likely; the others are worth it
            for param in given:
                with attempt(self.flavor, "logging params"):
                    self.client.log_batch(self.run_id, params=[param])

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        with attempt(self.flavor, "setting tags"):
            self.client.log_batch(
                self.run_id, tags=[RunTag(str(key), str(value)) for key, value in tags.items()]
            )

    # -- metrics ------------------------------------------------------------------------------------------

    def add_metrics(
        self, metrics: Mapping[str, Any], step: int = 0, model_id: str | None = None, dataset: Any = None
    ) -> None:
        """Take points that are sent together with others, within seconds."""
        at = now_ms()
        for key, value in metrics.items():
            number = _number(value)
            if number is None:
                warn_once(self.flavor, f"logging the metric '{key}'", f"{value!r:.100} is no number.")
                continue
            self._points.append(
                Metric(
                    str(key),
                    number,
                    at,
                    int(step),
                    model_id=model_id,
                    dataset_name=None if dataset is None else dataset.name,
                    dataset_digest=None if dataset is None else dataset.digest,
                )
            )
        if len(self._points) >= _LONGEST_BATCH or time.monotonic() - self._sent > _SECONDS_BETWEEN_BATCHES:
            self.flush()

    def flush(self) -> None:
        points, self._points = self._points, []
        if points:
            try:
                self.client.log_batch(self.run_id, metrics=points)
            except SlipstreamError:
                for point in points:
                    with attempt(self.flavor, "logging metrics"):
                        self.client.log_batch(self.run_id, metrics=[point])
        self._sent = time.monotonic()

    # -- files and datasets -------------------------------------------------------------------------------

    def log_text(self, text: str, name: str) -> None:
        with attempt(self.flavor, f"logging {name}"):
            self.client.log_text(self.run_id, text, name)

    def log_files(self, write: Iterable[tuple[str, Callable[[Path], None]]]) -> None:
        """Write files by name, each by its function, and log those that could be written, together."""
        with attempt(self.flavor, "logging files"), scratch_folder("slipstream-autolog-") as folder:
            for name, function in write:
                with attempt(self.flavor, f"making {name}"):
                    function(folder / name)
            if any(folder.iterdir()):
                self.client.log_artifacts(self.run_id, folder)

    def log_dataset(self, dataset: Any, context: str) -> DatasetInput | None:
        """Record that the run reads a dataset; `None` is none."""
        if dataset is None:
            return None
        with attempt(self.flavor, "logging a dataset"):
            made = to_dataset_input(dataset, context)
            self.client.log_inputs(self.run_id, [made])
            return made
        return None


def shorten(value: Any, longest: int) -> str:
    text = str(value)
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def _number(value: Any) -> float | None:
    if isinstance(value, numbers.Number):
        return float(value)  # pyright: ignore[reportArgumentType]
    item = getattr(value, "item", None)  # arrays and tensors of one element
    if (callable(item) and getattr(value, "size", None) in (1, None)) or callable(
        getattr(value, "numel", None)
    ):
        try:
            return float(item())  # pyright: ignore[reportOptionalCall, reportArgumentType]
        except (TypeError, ValueError, RuntimeError):
            return None
    return None


# -- the run of a training --------------------------------------------------------------------------------


def is_wanted(integration: Integration) -> bool:
    """Tell whether a training that starts now is to be logged."""
    if not integration.wants():
        return False
    if not integration.options.get("exclusive"):
        return True
    active = active_run()
    return active is None or active.info.run_id in _ours


def training(
    integration: Integration,
    name: str,
    observer: Observer,
    *,
    admits: frozenset[str] = frozenset(),
    applies: Callable[[Call], bool] | None = None,
    run_name: Callable[[Call], str | None] | None = None,
) -> Watch:
    """Watch a training: in the active run, or in one that is started for it and ends with it.

    Args:
        integration: Whose training it is.
        name: How warnings and `admits` call it.
        observer: Logs it.
        admits: Names of watches that are also logged inside this one.
        applies: Tells whether a call is to be logged by this process.
        run_name: Names a run that is started for a call.
    """

    def observe(call: Call) -> Steps:
        if applies is not None and not applies(call):
            yield
            return
        run_id = None
        if active_run() is None:
            run_id = _start_run(integration, None if run_name is None else run_name(call))
        steps: Steps | None = None
        is_done = False
        try:
            steps = start(observer, call, integration.flavor, name)
            yield
            is_done = True
        finally:
            if steps is not None:
                finish(steps, call, integration.flavor, name)
            if run_id is not None:
                _end_run(integration, run_id, failed=not is_done)

    return Watch(integration.flavor, name, observe, admits=admits, wanted=lambda: is_wanted(integration))


def _start_run(integration: Integration, name: str | None) -> str:
    tags: dict[Any, Any] = dict(integration.options.get("extra_tags") or {})
    extra = {str(key): str(value) for key, value in tags.items() if key != AUTOLOGGING_TAG}
    run_id = start_run(run_name=name, tags={AUTOLOGGING_TAG: integration.flavor, **extra}).info.run_id
    _ours.add(run_id)
    _log.info("Run '%s' is started for a training with %s.", run_id, integration.flavor)
    return run_id


def _end_run(integration: Integration, run_id: str, *, failed: bool) -> None:
    _ours.discard(run_id)
    status = RunStatus.FAILED if failed else RunStatus.FINISHED
    with attempt(integration.flavor, "ending the run"):
        active = active_run()
        if active is not None and active.info.run_id == run_id:
            end_run(status)
