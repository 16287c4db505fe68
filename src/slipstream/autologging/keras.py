"""Keras 3: `fit` of each model, on whichever backend."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, cast

from slipstream.autologging.boosting import arguments_as_params
from slipstream.autologging.given_data import describe
from slipstream.autologging.integrations import Integration
from slipstream.autologging.patching import Call, Steps, as_list
from slipstream.autologging.recording import Recorder, training
from slipstream.autologging.warnings_once import attempt, warn_once
from slipstream.errors import InvalidParameterError
from slipstream.flavors import keras as flavor
from slipstream.models.schema import Schema, TensorSpec
from slipstream.models.signature import ModelSignature

_NO_PARAMS = ("x", "y", "callbacks", "validation_data", "verbose")
_STOPPING_PARAMS = ("monitor", "min_delta", "patience", "baseline", "restore_best_weights")


def autolog(
    log_every_epoch: bool = True,
    log_every_n_steps: int | None = None,
    log_models: bool = True,
    log_model_signatures: bool = True,
    save_exported_model: bool = False,
    log_datasets: bool = True,
    log_input_examples: bool = False,
    disable: bool = False,
    exclusive: bool = False,
    disable_for_unsupported_versions: bool = False,
    silent: bool = False,
    registered_model_name: str | None = None,
    save_model_kwargs: Mapping[str, Any] | None = None,
    extra_tags: Mapping[str, str] | None = None,
) -> None:
    """Log each training with Keras, from now on; arguments as in `slipstream.sklearn.autolog`.

    Args:
        log_every_epoch: Log metrics at the end of each epoch; if false, each `log_every_n_steps` steps.
        log_every_n_steps: How many steps, if not each epoch.
        log_models: Log the model.
        log_model_signatures: Log what goes into the model and what comes out, by its layers.
        save_exported_model: Not available; `True` is refused.
        log_datasets: Record the data, where it is arrays, as inputs of the run.
        log_input_examples: Accepted for MLflow's sake, which logs none either.
        disable: Turn it off.
        exclusive: Leave runs alone that were started by hand.
        disable_for_unsupported_versions: Do nothing with versions that this was not tested with.
        silent: Do not warn of what could not be logged.
        registered_model_name: Register each model under this name.
        save_model_kwargs: Passed to `model.save`.
        extra_tags: Tags of the runs that are started.
    """
    if log_every_epoch == (log_every_n_steps is not None):
        raise InvalidParameterError(
            f"log_every_epoch={log_every_epoch} and log_every_n_steps={log_every_n_steps} do not fit together: log each "
            "epoch, or say each how many steps."
        )
    if save_exported_model:
        raise InvalidParameterError(
            "'save_exported_model' is not available: models are kept as .keras files."
        )
    INTEGRATION.set(locals(), chosen=True)


def _watch_module(module: ModuleType, integration: Integration) -> None:
    if module.__name__ == "keras" and str(getattr(module, "__version__", "3")).partition(".")[0] == "3":
        integration.patches.put(module.Model, "fit", training(integration, "Model.fit", _observe_fit))


def _observe_fit(call: Call) -> Steps:
    integration, options = INTEGRATION, dict(INTEGRATION.options)
    recorder = Recorder.of_active_run(integration)
    model = call.args[0]
    given = call.given()
    with attempt(integration.flavor, "reading params"):
        size = given.get("batch_size") or _batch_size(given.get("x"))
        recorder.log_params({**arguments_as_params(call, _NO_PARAMS), "batch_size": size})
    model_id = recorder.begin_model() if options["log_models"] else None
    if options["log_datasets"]:
        recorder.log_dataset(describe(integration, given.get("x"), given.get("y")), "train")
        held_out = as_list(given.get("validation_data"))
        if len(held_out) > 1:
            recorder.log_dataset(describe(integration, held_out[0], held_out[1]), "eval")
    callbacks = as_list(given.get("callbacks"))
    stoppings = [each for each in callbacks if type(each).__name__ == "EarlyStopping"]
    for each in stoppings:
        recorder.log_params({name: getattr(each, name, None) for name in _STOPPING_PARAMS})
    if any(type(each).__name__ == "CallbackList" for each in callbacks):
        warn_once(integration.flavor, "logging metrics", "The callbacks are a CallbackList; pass a list.")
    else:
        _add_callback(call, [*callbacks, _callback(recorder, options, model_id)])
    yield
    recorder.flush()
    for each in stoppings:
        _log_stopping(recorder, each, model_id)
    if options["log_models"]:
        signature: Any = False
        if options["log_model_signatures"]:
            with attempt(integration.flavor, "inferring the signature"):
                signature = _signature(model)
        with attempt(integration.flavor, "logging the model"):
            flavor.log_model(
                model,
                name="model",
                signature=signature,
                registered_model_name=options["registered_model_name"],
                save_model_kwargs=options["save_model_kwargs"],
                model_id=model_id,
            )


def _add_callback(call: Call, callbacks: list[Any]) -> None:
    index = list(inspect.signature(call.original).parameters).index("callbacks")
    if len(call.args) > index:
        call.args = (*call.args[:index], callbacks, *call.args[index + 1 :])
    else:
        call.kwargs = {**call.kwargs, "callbacks": callbacks}


def _batch_size(data: Any) -> int | None:
    """Return the batch size that a data loader says; a generator is not asked, since what it gives is gone then."""
    for name in ("batch_size", "_batch_size"):
        size = getattr(data, name, None)
        if isinstance(size, int):
            return size
        if callable(getattr(size, "numpy", None)):
            return int(size.numpy())  # pyright: ignore[reportOptionalMemberAccess, reportOptionalCall]
    return None


def _log_stopping(recorder: Recorder, stopping: Any, model_id: str | None) -> None:
    with attempt(recorder.flavor, "logging early stopping"):
        if not stopping.stopped_epoch:
            return
        metrics = {"stopped_epoch": stopping.stopped_epoch}
        if stopping.restore_best_weights:
            metrics["restored_epoch"] = stopping.best_epoch
        recorder.add_metrics(metrics, model_id=model_id)
        recorder.flush()


def _callback(recorder: Recorder, options: Mapping[str, Any], model_id: str | None) -> Any:
    base: Any = importlib.import_module("keras.callbacks")
    each_steps: int | None = options["log_every_n_steps"]

    class Callback(base.Callback):
        """Takes what each epoch, or each so many steps, say."""

        model: Any

        def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
            with attempt(recorder.flavor, "logging the optimizer"):
                config = self.model.optimizer.get_config()
                recorder.log_params({f"optimizer_{name}": value for name, value in config.items()})
            with attempt(recorder.flavor, "making the summary"):
                recorder.log_text(_summary(self.model), "model_summary.txt")

        def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
            if each_steps is None and logs:
                self._add(lambda: (logs, epoch))

        def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
            steps = each_steps
            if steps is None or not logs:
                return

            def points() -> tuple[Mapping[str, Any], int] | None:
                iterations = self.model.optimizer.iterations
                step = int(iterations.numpy() if hasattr(iterations, "numpy") else iterations)
                return (logs, step) if step % steps == 0 else None

            self._add(points)

        def on_test_end(self, logs: Mapping[str, Any] | None = None) -> None:
            if logs:
                self._add(lambda: ({f"validation_{name}": value for name, value in logs.items()}, 0))

        def _add(self, points: Callable[[], tuple[Mapping[str, Any], int] | None]) -> None:
            with attempt(recorder.flavor, "logging metrics"):
                found = points()
                if found is not None:
                    recorder.add_metrics(found[0], found[1], model_id)

    return Callback()


def _summary(model: Any) -> str:
    lines: list[str] = []

    def add(line: str, *_args: Any, **_kwargs: Any) -> None:
        lines.append(line)

    model.summary(print_fn=add)
    return "\n".join(lines)


def _signature(model: Any) -> ModelSignature:
    numpy: Any = importlib.import_module("numpy")

    def schema(shapes: Any, dtype: str) -> Schema:
        each = cast("list[Any]", shapes) if isinstance(shapes, list) else [shapes]  # of one, a tuple
        return Schema(
            [
                TensorSpec(numpy.dtype(dtype), [-1 if size is None else size for size in shape])
                for shape in each
            ]
        )

    return ModelSignature(
        inputs=schema(model.input_shape, model.input_dtype),
        outputs=schema(model.output_shape, model.compute_dtype),
    )


INTEGRATION = Integration(
    "keras",
    ("keras",),
    _watch_module,
    {name: each.default for name, each in inspect.signature(autolog).parameters.items()},
    distribution="keras",
    tested=("3.0", "4"),
)
