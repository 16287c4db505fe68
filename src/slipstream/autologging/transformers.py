"""Hugging Face's Trainer: arguments and the model's configuration as params, what it logs as metrics.

What transformers' own callback for MLflow logs, in the same names; MLflow needs not be there.
"""

import importlib
import inspect
import re
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from slipstream.autologging.integrations import Integration
from slipstream.autologging.patching import Call, Steps
from slipstream.autologging.recording import Recorder, training
from slipstream.autologging.warnings_once import attempt
from slipstream.client.client import SlipstreamClient
from slipstream.rules import limits

_NO_METRIC_NAME = re.compile(r"[^0-9A-Za-z_\-. :/]")


def autolog(
    log_input_examples: bool = False,
    log_model_signatures: bool = False,
    log_models: bool = False,
    log_datasets: bool = False,
    disable: bool = False,
    exclusive: bool = False,
    disable_for_unsupported_versions: bool = False,
    silent: bool = False,
    extra_tags: Mapping[str, str] | None = None,
) -> None:
    """Log each training with Hugging Face's Trainer, from now on; arguments as in `slipstream.sklearn.autolog`.

    The first four are accepted for MLflow's sake, which logs none of it either.
    """
    INTEGRATION.set(locals(), chosen=True)


def _watch_module(module: ModuleType, integration: Integration) -> None:
    if module.__name__ == "transformers.trainer":
        watch = training(
            integration,
            "Trainer.train",
            _observe_train,
            applies=lambda call: call.args[0].args.process_index == 0 and not _logs_already(call.args[0]),
            run_name=lambda call: call.args[0].args.run_name,
        )
        integration.patches.put(module.Trainer, "train", watch)


def _logs_already(trainer: Any) -> bool:
    """Tell whether transformers' own callback logs this training, with slipstream in MLflow's place."""
    return any(
        getattr(getattr(each, "_ml_flow", None), "MlflowClient", None) is SlipstreamClient
        for each in trainer.callback_handler.callbacks
    )


def _observe_train(call: Call) -> Steps:
    trainer = call.args[0]
    recorder = Recorder.of_active_run(INTEGRATION)
    handler = trainer.callback_handler
    for each in [each for each in handler.callbacks if type(each).__name__ == _CALLBACK]:
        handler.remove_callback(each)  # of the training before
    trainer.add_callback(_callback(recorder))
    yield
    recorder.flush()


_CALLBACK = "SlipstreamCallback"


def _callback(recorder: Recorder) -> Any:
    base: Any = importlib.import_module("transformers")

    class SlipstreamCallback(base.TrainerCallback):
        """Stays with the trainer, so that an evaluation after the training is logged, too."""

        def on_train_begin(
            self, args: Any, state: Any, control: Any, model: Any = None, **_others: Any
        ) -> None:
            if not state.is_world_process_zero:
                return
            with attempt(recorder.flavor, "reading params"):
                config = getattr(model, "config", None)
                params: dict[str, Any] = {**({} if config is None else config.to_dict()), **args.to_dict()}
                # As in transformers' callback, what is too long is left out and not cut.
                recorder.log_params(
                    {key: value for key, value in params.items() if len(str(value)) <= limits.PARAM_VALUE}
                )

        def on_log(
            self, args: Any, state: Any, control: Any, logs: Mapping[str, Any], **_others: Any
        ) -> None:
            if not (state.is_world_process_zero and INTEGRATION.is_on):
                return
            with attempt(recorder.flavor, "logging metrics"):
                points = {
                    _NO_METRIC_NAME.sub("_", name): value
                    for name, value in logs.items()
                    if isinstance(value, (int, float)) or getattr(value, "numel", lambda: 0)() == 1
                }
                recorder.add_metrics(points, state.global_step)

        def on_train_end(self, args: Any, state: Any, control: Any, **_others: Any) -> None:
            recorder.flush()

        def on_evaluate(self, args: Any, state: Any, control: Any, **_others: Any) -> None:
            recorder.flush()

    return SlipstreamCallback()


INTEGRATION = Integration(
    "transformers",
    ("transformers",),
    _watch_module,
    {name: each.default for name, each in inspect.signature(autolog).parameters.items()},
    distribution="transformers",
    tested=("4.40", "6"),
)
