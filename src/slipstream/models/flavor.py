"""What a flavor must be able to do; everything else is written once, in `saving.py`."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol

import msgspec

Predictor = Callable[[Any, dict[str, Any]], Any]
"""Takes data and params, gives predictions."""


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """What a flavor wrote, and what goes into the MLmodel file about it."""

    flavor: dict[str, Any] | None
    """The flavor's own part; `None` if it has none beside `python_function`."""
    python_function: dict[str, Any] | None
    """At least `loader_module`, by a name that MLflow can import; `None` for a model that predicts nothing."""
    code_files: list[Path] = []
    """Files and folders that decide what code runs on loading; trusted for this user from now on."""
    modules: set[str] = set()
    """Modules that the model uses beside the flavor's own."""
    signature: Any = None
    """A `ModelSignature` that the model itself dictates, such as by type hints or its task."""
    dictated_by: str = "type hints"
    """What dictates the signature, for messages."""
    metadata: dict[str, Any] = {}
    """What goes into the MLmodel file's `metadata` beside the user's own."""
    predict: Predictor | None = None
    """Predicts with the model as it will be after loading; for the signature's outputs."""


class Flavor(Protocol):
    """One machine-learning library, or one way to package a model."""

    name: ClassVar[str]
    """Also the extra, the entry point and the key in the MLmodel file."""
    requirements: ClassVar[tuple[str, ...]]
    """Distributions whose versions are pinned on save."""
    model_argument: ClassVar[str]
    """What MLflow calls the first argument of `log_model`: "sk_model"."""
    options: ClassVar[frozenset[str]]
    """Arguments of `save_model` and `log_model` that only this flavor has."""

    def handles(self, model: object) -> bool:
        """Tell whether the model is of this flavor, by its type's module; imports nothing."""
        ...

    def save(self, model: Any, folder: Path, options: Mapping[str, Any]) -> Saved:
        """Write the model's files into an existing, private folder."""
        ...

    def load(self, folder: Path, config: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
        """Read the model back; `config` is the flavor's part of the MLmodel file.

        Raises:
            UntrustedModelError: loading would run code that nobody vouches for.
        """
        ...

    def predictor(self, model: Any, config: Mapping[str, Any]) -> Predictor:
        """Return what pyfunc and the scoring server call.

        If it has an attribute `stream`, that is called the same way and yields the parts of one prediction. If it has
        a true attribute `checks_input`, the signature is not enforced before: it names what is wrong better itself.
        A true `joins_rows` says that a row's prediction depends on that row alone, so that the scoring server may
        predict for several requests together. A language model has its engine as `model` and its task as `task`.
        """
        ...
