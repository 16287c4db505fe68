"""PyTorch Lightning, as `pytorch_lightning` and as `lightning`: `Trainer.fit`."""

import importlib
import inspect
import os
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from slipstream.autologging.integrations import Integration
from slipstream.autologging.patching import Call, Observer, Steps
from slipstream.autologging.recording import Recorder, training
from slipstream.autologging.warnings_once import attempt, warn_once
from slipstream.client import connect
from slipstream.client.client import SlipstreamClient
from slipstream.client.scratch import scratch_folder
from slipstream.errors import InvalidParameterError
from slipstream.flavors import pytorch as flavor
from slipstream.models.signature import infer_signature

_STOPPING_PARAMS = ("monitor", "mode", "patience", "min_delta", "stopped_epoch")
_CHECKPOINT_TAG = "mlflow.latest_checkpoint_artifact"
_PACKAGES = ("pytorch_lightning", "lightning.pytorch")


def autolog(
    log_every_n_epoch: int = 1,
    log_every_n_step: int | None = None,
    log_models: bool = True,
    log_datasets: bool = True,
    disable: bool = False,
    exclusive: bool = False,
    disable_for_unsupported_versions: bool = False,
    silent: bool = False,
    registered_model_name: str | None = None,
    extra_tags: Mapping[str, str] | None = None,
    checkpoint: bool = True,
    checkpoint_monitor: str = "val_loss",
    checkpoint_mode: str = "min",
    checkpoint_save_best_only: bool = True,
    checkpoint_save_weights_only: bool = False,
    checkpoint_save_freq: str | int = "epoch",
    log_model_signatures: bool = True,
) -> None:
    """Log each training with Lightning's Trainer, from now on; arguments as in `slipstream.sklearn.autolog`.

    Args:
        log_every_n_epoch: Log metrics each so many epochs.
        log_every_n_step: Log metrics of steps each so many steps; by default none.
        log_models: Log the model.
        log_datasets: Accepted for MLflow's sake; nothing is recorded of data loaders.
        disable: Turn it off.
        exclusive: Leave runs alone that were started by hand.
        disable_for_unsupported_versions: Do nothing with versions that this was not tested with.
        silent: Do not warn of what could not be logged.
        registered_model_name: Register each model under this name.
        extra_tags: Tags of the runs that are started.
        checkpoint: Log checkpoints while training.
        checkpoint_monitor: Metric that says which checkpoint is the best.
        checkpoint_mode: "min" if less of it is better, or "max".
        checkpoint_save_best_only: Keep the best checkpoint only, in the place of the one before.
        checkpoint_save_weights_only: Leave the state of the optimizers out.
        checkpoint_save_freq: "epoch", or each how many steps.
        log_model_signatures: Log what goes into the model and what comes out, of the first batch.
    """
    if checkpoint_mode not in ("min", "max"):
        raise InvalidParameterError(f"checkpoint_mode is '{checkpoint_mode}'; it must be 'min' or 'max'")
    if checkpoint_save_freq != "epoch" and not isinstance(checkpoint_save_freq, int):
        raise InvalidParameterError(
            f"checkpoint_save_freq is {checkpoint_save_freq!r}; it must be 'epoch' or a number of steps"
        )
    INTEGRATION.set(locals(), chosen=True)


def _watch_module(module: ModuleType, integration: Integration) -> None:
    name = module.__name__
    if name in _PACKAGES:
        watch = training(
            integration,
            "Trainer.fit",
            _observe_fit(name),
            applies=lambda call: bool(call.args[0].is_global_zero),
        )
        integration.patches.put(module.Trainer, "fit", watch)


def _observe_fit(package: str) -> Observer:
    def observe(call: Call) -> Steps:
        integration, options = INTEGRATION, dict(INTEGRATION.options)
        recorder = Recorder.of_active_run(integration)
        trainer = call.args[0]
        model_id = recorder.begin_model() if options["log_models"] else None
        stopping: Any = None
        for each in trainer.callbacks:
            if any(kind.__name__ == "EarlyStopping" for kind in type(each).__mro__):
                stopping = each
                recorder.log_params(
                    {name: getattr(each, name) for name in _STOPPING_PARAMS if hasattr(each, name)}
                )
        ours = _callbacks(package, recorder, options, model_id)
        kept = [each for each in trainer.callbacks if not hasattr(each, _MARK)]
        # What Lightning puts last (its own checkpoints) stays last.
        checkpoints = [
            each for each in kept if any(kind.__name__ == "Checkpoint" for kind in type(each).__mro__)
        ]
        trainer.callbacks = [each for each in kept if each not in checkpoints] + ours + checkpoints
        yield
        metrics_callback = ours[0]
        recorder.flush()
        if stopping is not None:
            _log_stopping(recorder, stopping, model_id)
        with attempt(integration.flavor, "making the summary"):
            summary: Any = importlib.import_module(f"{package}.utilities.model_summary")
            recorder.log_text(str(summary.ModelSummary(trainer.model, max_depth=-1)), "model_summary.txt")
        if not options["log_models"]:
            return
        with attempt(integration.flavor, "logging the model"):
            flavor.log_model(
                trainer.model,
                name="model",
                signature=metrics_callback.signature or False,
                registered_model_name=options["registered_model_name"],
                model_id=model_id,
            )
        best = getattr(trainer.checkpoint_callback, "best_model_path", None)
        if stopping is not None and best:
            with attempt(integration.flavor, "logging the restored checkpoint"):
                recorder.client.log_artifact(recorder.run_id, best, "restored_model_checkpoint")

    return observe


def _log_stopping(recorder: Recorder, stopping: Any, model_id: str | None) -> None:
    with attempt(recorder.flavor, "logging early stopping"):
        if not stopping.stopped_epoch:
            return
        metrics: dict[str, float] = {
            "stopped_epoch": stopping.stopped_epoch,
            "restored_epoch": stopping.stopped_epoch - max(1, stopping.patience),
            "best_score": float(stopping.best_score),
            "wait_count": stopping.wait_count,
        }
        recorder.add_metrics(metrics, model_id=model_id)
        recorder.flush()


# -- callbacks --------------------------------------------------------------------------------------------

_MARK = "slipstream_autologging"


def _callbacks(
    package: str, recorder: Recorder, options: Mapping[str, Any], model_id: str | None
) -> list[Any]:
    base: Any = importlib.import_module(f"{package}.callbacks")

    class Metrics(_Metrics, base.Callback):
        pass

    class Checkpoints(_Checkpoints, base.Callback):
        pass

    Metrics.package = Checkpoints.package = package

    made: list[Any] = [Metrics(recorder, options, model_id)]
    if options["checkpoint"]:
        made.append(Checkpoints(recorder, options))
    return made


class _Travelling:
    """A callback that goes along when Lightning starts the training's processes afresh, and logs from there."""

    slipstream_autologging = True
    package: str
    is_elsewhere = False
    """In a process where nobody has turned autologging on, or off."""
    _recorder: Recorder
    _options: Mapping[str, Any]
    _model_id: str | None

    def is_on(self) -> bool:
        return self.is_elsewhere or INTEGRATION.is_on

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        recorder = self._recorder
        return _arrive, (
            *(self.package, type(self).__name__, recorder.client.tracking_uri, recorder.run_id),
            *(dict(self._options), self._model_id),
        )


def _arrive(
    package: str,
    name: str,
    tracking_uri: str,
    run_id: str,
    options: Mapping[str, Any],
    model_id: str | None,
) -> Any:
    recorder = Recorder(INTEGRATION, SlipstreamClient(tracking_uri), run_id)
    made = _callbacks(package, recorder, options, model_id)
    found = next(each for each in made if type(each).__name__ == name)
    found.is_elsewhere = True
    return found


class _Metrics(_Travelling):
    """Takes metrics; stays with the trainer, so that a test after the training is logged, too."""

    def __init__(self, recorder: Recorder, options: Mapping[str, Any], model_id: str | None) -> None:
        self._recorder = recorder
        self._options = options
        self._process = os.getpid()
        self._each_epochs = max(1, int(options["log_every_n_epoch"]))
        self._each_steps: int | None = options["log_every_n_step"]
        self._model_id = model_id
        self._wants_signature = bool(options["log_models"] and options["log_model_signatures"])
        self._of_steps: set[str] = set()
        self._of_epochs: set[str] = set()
        self._optimizers = 1
        self.signature: Any = None

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        if not trainer.is_global_zero:
            return
        self._recorder.set_tags({"Mode": "training"})
        params: dict[str, Any] = {"epochs": trainer.max_epochs}
        with attempt(self._recorder.flavor, "logging the optimizer"):
            if trainer.optimizers:
                self._optimizers = len(trainer.optimizers)
                optimizer = trainer.optimizers[0]
                optimizer = getattr(optimizer, "_optimizer", optimizer)
                params |= {"optimizer_name": type(optimizer).__name__, **getattr(optimizer, "defaults", {})}
        self._recorder.log_params(params)
        if self._wants_signature:
            self._watch_first_batch(pl_module)

    def _watch_first_batch(self, module: Any) -> None:
        handles: list[Any] = []

        def look(_module: Any, inputs: tuple[Any, ...], output: Any) -> None:
            handles.pop().remove()
            with attempt(self._recorder.flavor, "inferring the signature"):
                # A signature has room for one tensor in and one out.
                if len(inputs) == 1 and hasattr(inputs[0], "cpu") and hasattr(output, "cpu"):
                    self.signature = infer_signature(
                        inputs[0].detach().cpu().numpy(), output.detach().cpu().numpy()
                    )

        with attempt(self._recorder.flavor, "inferring the signature"):
            handles.append(module.register_forward_hook(look))
            self._first_batch = handles

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_others: Any) -> None:
        if not self._each_steps or not trainer.is_global_zero:
            return
        with attempt(self._recorder.flavor, "logging metrics"):
            found = trainer.callback_metrics
            # Of a metric that is logged on steps and epochs, the plain name is the epochs'.
            points = {
                name: value
                for name, value in found.items()
                if name not in self._of_epochs and f"{name}_step" not in found
            }
            self._of_steps.update(points)
            step = trainer.global_step
            if (step // self._optimizers + 1) % self._each_steps == 0:
                self._add(trainer, points, step)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        if not trainer.is_global_zero:
            return
        with attempt(self._recorder.flavor, "logging metrics"):
            points = {
                name: value for name, value in trainer.callback_metrics.items() if name not in self._of_steps
            }
            self._of_epochs.update(points)
            if (pl_module.current_epoch + 1) % self._each_epochs == 0:
                self._add(trainer, points, pl_module.current_epoch)

    def _add(self, trainer: Any, points: Mapping[str, Any], step: int) -> None:
        if not trainer.sanity_checking:
            self._recorder.add_metrics(
                {name: float(value) for name, value in points.items()}, step, self._model_id
            )

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        for handle in getattr(self, "_first_batch", []):
            handle.remove()
        self._recorder.flush()
        if self.is_elsewhere or self._process != os.getpid():
            # Processes that multiprocessing starts end without the usual waiting for what is logged.
            with attempt(self._recorder.flavor, "delivering what was logged"):
                connect.flush_all()

    def on_test_end(self, trainer: Any, pl_module: Any) -> None:
        if not (trainer.is_global_zero and self.is_on()):
            return
        self._recorder.set_tags({"Mode": "testing"})
        with attempt(self._recorder.flavor, "logging metrics"):
            self._add(trainer, trainer.callback_metrics, 0)
        self._recorder.flush()


class _Checkpoints(_Travelling):
    """Logs checkpoints: the best so far or the newest in one place, or all."""

    def __init__(self, recorder: Recorder, options: Mapping[str, Any]) -> None:
        self._recorder = recorder
        self._model_id = None
        self._options = options
        self._best: float | None = None

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_others: Any) -> None:
        each = self._options["checkpoint_save_freq"]
        if isinstance(each, int) and trainer.global_step > 0 and trainer.global_step % each == 0:
            self._log(trainer)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        if self._options["checkpoint_save_freq"] == "epoch":
            self._log(trainer)

    def _log(self, trainer: Any) -> None:
        if trainer.is_global_zero and self.is_on():
            with attempt(self._recorder.flavor, "logging a checkpoint"):
                self._log_if_wanted(trainer)

    def _log_if_wanted(self, trainer: Any) -> None:
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if self._options["checkpoint_save_best_only"]:
            monitored = self._options["checkpoint_monitor"]
            if monitored not in metrics:
                warn_once(
                    self._recorder.flavor,
                    "finding the best checkpoint",
                    f"There is no metric '{monitored}' (checkpoint_monitor); there are {sorted(metrics)}.",
                )
                return
            value = metrics[monitored]
            is_less = self._options["checkpoint_mode"] == "min"
            if self._best is not None and not (value < self._best if is_less else value > self._best):
                return
            self._best = value
            place, prefix = "checkpoints", "latest_"
        elif self._options["checkpoint_save_freq"] == "epoch":
            place, prefix = f"checkpoints/epoch_{trainer.current_epoch}", ""
        else:
            place, prefix = f"checkpoints/global_step_{trainer.global_step}", ""
        weights_only = bool(self._options["checkpoint_save_weights_only"])
        name = f"{prefix}checkpoint{'.weights' if weights_only else ''}.pth"
        client, run_id = self._recorder.client, self._recorder.run_id
        with scratch_folder("slipstream-checkpoint-") as folder:
            file = folder / name
            # Not `save_checkpoint`, which waits for all processes; this is the first one only.
            trainer.strategy.save_checkpoint(
                trainer._checkpoint_connector.dump_checkpoint(weights_only), str(file)
            )
            client.log_artifact(run_id, file, place)
        document = {**metrics, "epoch": trainer.current_epoch, "global_step": trainer.global_step}
        client.log_dict(run_id, document, f"{place}/{prefix}checkpoint_metrics.json")
        self._recorder.set_tags({_CHECKPOINT_TAG: f"{place}/{name}"})


INTEGRATION = Integration(
    "pytorch",
    ("pytorch_lightning", "lightning"),
    _watch_module,
    {name: each.default for name, each in inspect.signature(autolog).parameters.items()},
    distribution="lightning",
    tested=("2.0", "3"),
)
