"""A loaded model with everything about it that a request needs, worked out once."""

import json
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from slipstream.errors import SlipstreamError
from slipstream.llm.model import TextModel
from slipstream.serving.casting import InputCaster
from slipstream.serving.failures import ModelFailedError
from slipstream.serving.frames import Card
from slipstream.serving.rows import RowReader

if TYPE_CHECKING:
    from slipstream.models.schema import Schema


class Predictor(Protocol):
    """What is served: `slipstream.flavors.pyfunc.PyFuncModel`, or anything shaped like it."""

    @property
    def metadata(self) -> Any:
        """The model's `Model`."""
        ...

    def predict(self, data: Any, params: Any = None) -> Any: ...


class ServedModel:
    """A model ready to be asked.

    Args:
        predictor: the loaded model.
        name: what answers call it.
    """

    def __init__(self, predictor: Predictor, name: str = "model") -> None:
        self.name = name
        self._predictor = predictor
        self._metadata = predictor.metadata
        signature = predictor.metadata.signature
        schema: Schema | None = None if signature is None else signature.inputs
        self.schema = schema
        self.caster = InputCaster(schema)
        self.rows = RowReader(schema, self.caster)
        self.from_type_hint: bool = signature is not None and signature.from_type_hint
        """Type hints of the model check its input, which arrives as plain JSON values."""
        self.param_names: frozenset[str] = frozenset(
            param.name for param in (signature.params if signature is not None else None) or ()
        )
        self.field_names: frozenset[Any] = frozenset(
            schema.input_names() if schema is not None and schema.has_input_names() else ()
        )
        outputs = None if signature is None else signature.outputs
        one = outputs.inputs[0].name if outputs is not None and len(outputs) == 1 else None
        self.output_name = "output-1" if one is None else str(one)
        """What the only output is called, in protocols where outputs have names."""
        # The flavor's own object, where the model is of a native flavor.
        flavor: Any = getattr(predictor, "flavor_predictor", None)
        text = getattr(flavor, "model", None)
        self.text: TextModel | None = text if isinstance(text, TextModel) else None
        """The engine of a language model that is served token by token."""
        self.task: str | None = getattr(flavor, "task", None) or _task_of(self._metadata)
        """`llm/v1/chat` and the like."""
        self.joins: bool = getattr(predictor, "joins_rows", False) and not self.param_names
        """Each row's prediction depends on that row alone."""
        self.streams: bool = getattr(predictor, "streams", False)
        """`predict_stream` works."""

    def predict(self, data: Any, params: Any = None) -> Any:
        """Run the model.

        Raises:
            SlipstreamError: the input or the params do not fit the signature.
            ModelFailedError: the model's own code raised something.
        """
        try:
            return self._predictor.predict(data, params)
        except SlipstreamError:
            raise
        except Exception as error:
            raise ModelFailedError(error) from error

    def predict_stream(self, data: Any, params: Any = None) -> Generator[Any]:
        """Run the model part by part; what it raises is as `predict` has it."""
        stream: Any = getattr(self._predictor, "predict_stream")  # noqa: B009  # the protocol leaves it open
        try:
            # Closed with this generator: a model that is left in the midst of its answer must know at once.
            yield from stream(data, params)
        except SlipstreamError:
            raise
        except Exception as error:
            raise ModelFailedError(error) from error

    def card(self, *, joins: bool) -> Card:
        """Describe the model for those who do not have it."""
        metadata = self._metadata
        signature = metadata.signature
        flavors: Any = getattr(metadata, "flavors", None) or {}
        return Card(
            flavors=sorted(flavors),
            signature=None if signature is None else signature.to_dict(),
            task=self.task,
            joins=joins,
            generates=self.text is not None,
            model_id=getattr(metadata, "model_id", None),
            context_length=None if self.text is None else self.text.engine.backend.context_length,
        )

    def serving_example(self, folder: Path) -> bytes | None:
        """Return the request that the model was saved with, as a body for `/invocations`."""
        info: Any = getattr(self._metadata, "saved_input_example_info", None) or {}
        name = info.get("serving_input_path")
        path = folder / str(name)
        # Only a file of the model: an MLmodel file from elsewhere may name any path.
        if not name or not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
            return None
        return path.read_bytes()

    def try_example(self, body: bytes) -> str | None:
        """Ask the model what its example asks; return why that failed, or None."""
        from slipstream.serving.protocols import invocations

        answer = invocations.answer(self, body, invocations.JSON)
        return None if answer.status < 400 else json.loads(answer.body)["message"]


def _task_of(metadata: Any) -> str | None:
    own: Any = getattr(metadata, "metadata", None)
    task = cast("dict[str, Any]", own).get("task") if isinstance(own, dict) else None
    return task if isinstance(task, str) else None
