"""A loaded model with everything about it that a request needs, worked out once."""

from typing import TYPE_CHECKING, Any, Protocol

from slipstream.serving.casting import InputCaster

if TYPE_CHECKING:
    from slipstream.models.schema import Schema


class Predictor(Protocol):
    """What is served: `slipstream.flavors.pyfunc.PyFuncModel`, or anything shaped like it."""

    @property
    def metadata(self) -> Any:
        """The model's `Model`, of which only `signature` is used."""
        ...

    def predict(self, data: Any, params: Any = None) -> Any: ...


class ServedModel:
    """A model ready to be asked."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        signature = predictor.metadata.signature
        schema: Schema | None = None if signature is None else signature.inputs
        self.schema = schema
        self.caster = InputCaster(schema)
        self.from_type_hint: bool = signature is not None and signature.from_type_hint
        """Type hints of the model check its input, which arrives as plain JSON values."""
        self.param_names: frozenset[str] = frozenset(
            param.name for param in (signature.params if signature is not None else None) or ()
        )

    def predict(self, data: Any, params: Any = None) -> Any:
        """Run the model; raises whatever the model raises."""
        return self._predictor.predict(data, params)
