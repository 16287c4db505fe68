"""Ask a saved model as it would be asked once served: `slipstream.models.predict` and `validate_serving_input`."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from slipstream.client import addresses
from slipstream.errors import ExecutionError, InvalidParameterError
from slipstream.models.example import convert_input_example_to_serving_input

_CONTENT_TYPES = ("json", "csv")


def validate_serving_input(
    model_uri: str, serving_input: str | Mapping[str, Any], *, trust: bool | None = None
) -> Any:
    """Return what the model predicts for the body of a scoring request, read as the scoring server reads it.

    Args:
        model_uri: path or URI of the model.
        serving_input: the JSON text or the object, as `convert_input_example_to_serving_input` makes it.
        trust: true says that the model may run the code it brings.

    Raises:
        BadRequestError: the body is not of the protocol's form.
        SchemaEnforcementError: the input does not fit the model's signature.
    """
    from slipstream.flavors.pyfunc import load_model
    from slipstream.serving.protocols import invocations
    from slipstream.serving.served import ServedModel

    body = serving_input if isinstance(serving_input, str) else json.dumps(serving_input)
    model = ServedModel(load_model(model_uri, trust=trust))
    request = invocations.decode(model, body.encode(), invocations.JSON)
    return model.predict(request.data, request.params)


def predict(
    model_uri: str,
    input_data: Any = None,
    input_path: str | Path | None = None,
    content_type: str = "json",
    output_path: str | Path | None = None,
    env_manager: str = "virtualenv",
    install_mlflow: bool = False,
    pip_requirements_override: Sequence[str] | None = None,
    extra_envs: Mapping[str, str] | None = None,
) -> None:
    """Predict in another process, in the environment that the model asks for, and print or write the JSON answer.

    Args:
        model_uri: path or URI of the model.
        input_data: what an input example may be, or the text of a request; instead of `input_path`.
        input_path: file with the text of a request.
        content_type: "json" or "csv".
        output_path: file for the answer; standard output by default.
        env_manager: "local" is this Python; "virtualenv", "conda" and "uv" build the model's environment with uv.
        install_mlflow: accepted for MLflow's sake; slipstream itself is in the environment.
        pip_requirements_override: not available.
        extra_envs: more environment variables for the process.

    Raises:
        InvalidParameterError: input is given twice, or the content type is another.
        ExecutionError: the process failed; what it said went to standard error.
    """
    if pip_requirements_override is not None:
        raise InvalidParameterError(
            "'pip_requirements_override' is not available; log the model with the requirements that it needs."
        )
    if input_data is not None and input_path is not None:
        raise InvalidParameterError("Give 'input_data' or 'input_path', not both.")
    if content_type not in _CONTENT_TYPES:
        raise InvalidParameterError(f"'content_type' must be 'json' or 'csv', not '{content_type}'.")
    with tempfile.TemporaryDirectory(prefix="slipstream-predict-") as scratch:
        if input_data is not None:
            input_path = Path(scratch) / "input"
            input_path.write_text(_request_text(input_data, content_type), encoding="utf-8")
        words = {
            "model-uri": model_uri,
            "input-path": input_path,
            "output-path": output_path,
            "content-type": content_type,
            "env-manager": env_manager,
        }
        options = [f"--{name}={value}" for name, value in words.items() if value is not None]
        command = [sys.executable, "-m", "slipstream", "models", "predict", *options]
        environment = {
            **os.environ,
            "SLIPSTREAM_TRACKING_URI": addresses.get_tracking_uri(),
            **(extra_envs or {}),
        }
        stdin = subprocess.DEVNULL if input_path is not None else None
        done = subprocess.run(command, env=environment, stdin=stdin, check=False)
    if done.returncode != 0:
        raise ExecutionError(
            f"Predicting with '{model_uri}' failed with exit code {done.returncode}; the reason is above. To do it by "
            f"hand: slipstream models predict {' '.join(options)}"
        )


def _request_text(data: Any, content_type: str) -> str:
    if isinstance(data, str):
        return data
    if content_type == "csv":
        if not callable(getattr(data, "to_csv", None)):
            raise InvalidParameterError(
                f"With content_type='csv', 'input_data' must be a text or a data frame, not {type(data).__name__}."
            )
        return data.to_csv(index=False)
    text = convert_input_example_to_serving_input(data)
    assert text is not None  # data was given
    return text
