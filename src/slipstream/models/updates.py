"""Look at a saved model, and change its signature afterwards."""

from pathlib import Path
from typing import Any

from slipstream.errors import InvalidParameterError
from slipstream.models.enforcement import enforce_schema
from slipstream.models.locations import is_remote, local_model_file
from slipstream.models.mlmodel import MLMODEL_FILE, Model, ModelInfo
from slipstream.models.schema import Schema
from slipstream.models.signature import ModelSignature


def get_model_info(model_uri: str | Path) -> ModelInfo:
    """Return what a model says about itself; only its MLmodel file is fetched."""
    return Model.load(model_uri).get_model_info()


def set_signature(model_uri: str | Path, signature: ModelSignature) -> None:
    """Replace the signature of a saved model: a local folder, or a logged model's `models:/m-...`.

    Raises:
        InvalidParameterError: the URI is a registered version, whose files never change.
    """
    if not isinstance(signature, ModelSignature):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidParameterError(f"signature must be a ModelSignature, got {type(signature).__name__}")
    document = Model.load(model_uri)
    document.signature = signature
    text = str(model_uri)
    if text.startswith("models:/"):
        model_id = text.removeprefix("models:/").strip("/")
        if "/" in model_id or "@" in model_id:
            raise InvalidParameterError(
                f"'{text}' is a registered version, whose files do not change; log the model again with the signature"
            )
        _upload(model_id, document)
        return
    if is_remote(text):
        raise InvalidParameterError(
            f"'{text}' names files of a run, which do not change here; use the logged model's models:/m-... or log the "
            "model again with the signature"
        )
    document.save(local_model_file(model_uri))


def _upload(model_id: str, document: Model) -> None:
    import tempfile

    from slipstream.client.client import SlipstreamClient

    with tempfile.TemporaryDirectory(prefix="slipstream-model-") as temporary:
        document.save(Path(temporary) / MLMODEL_FILE)
        SlipstreamClient().log_model_artifacts(model_id, temporary)


def validate_schema(data: Any, expected_schema: Schema) -> None:
    """Check that data fits a schema.

    Raises:
        SchemaEnforcementError: it does not; the message names the column.
    """
    enforce_schema(data, expected_schema)
