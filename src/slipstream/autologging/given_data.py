"""What a training was given: an example of its input, the signature, and the datasets."""

import copy
import sys
from collections.abc import Callable
from typing import Any

from slipstream.autologging.integrations import Integration
from slipstream.autologging.warnings_once import attempt, warn_once
from slipstream.client.datasets import TrackedDataset, from_numpy, from_pandas
from slipstream.models.signature import ModelSignature, infer_signature

SAMPLE_ROWS = 5
_LARGEST_DENSE = 64 * 1024 * 1024
"""Bytes that a sparse matrix may take as a dense one, which the description of a dataset needs."""


def sample(data: Any) -> Any:
    """Copy the first rows, before a training can change them.

    Raises:
        TypeError: data has no rows that can be taken.
    """
    if isinstance(data, str):
        raise TypeError("the data is in a file, so that there are no rows to take an example of")
    return copy.deepcopy(data[:SAMPLE_ROWS])


def example_and_signature(
    integration: Integration, example: Any, predict: Callable[[Any], Any]
) -> tuple[Any, ModelSignature | bool | None]:
    """Return what to log a model with: the example if it is wanted, and a signature made of it (`False`: none).

    Args:
        integration: Whose options say what is wanted.
        example: The first rows, or `None` if there are none to be had.
        predict: Asks the trained model.
    """
    options = integration.options
    signature: ModelSignature | bool = False
    if options.get("log_model_signatures"):
        if example is None:
            warn_once(
                integration.flavor,
                "inferring the signature",
                "The training data gives no example of its rows. If it was made before autologging was turned on, turn "
                "it on earlier.",
            )
        else:
            with attempt(integration.flavor, "inferring the signature"):
                signature = infer_signature(example, predict(copy.deepcopy(example)))
    return (example if options.get("log_input_examples") else None), signature


def describe(
    integration: Integration, data: Any, targets: Any = None, name: str | None = None
) -> TrackedDataset | None:
    """Describe a dataset; `None` for data of a kind that has no description here, such as lists."""
    pandas: Any = sys.modules.get("pandas")
    numpy: Any = sys.modules.get("numpy")
    with attempt(integration.flavor, "describing a dataset"):
        if pandas is not None and isinstance(data, pandas.DataFrame):
            return from_pandas(data, name=name)
        if data is None or numpy is None:
            return None
        if hasattr(data, "toarray") and hasattr(data, "nnz"):
            rows, columns = data.shape
            if rows * columns * data.dtype.itemsize > _LARGEST_DENSE:
                return None
            data = data.toarray()
        if isinstance(data, numpy.ndarray):
            if targets is not None:
                targets = numpy.asarray(targets.toarray() if hasattr(targets, "toarray") else targets)
            return from_numpy(data, targets=targets, name=name)
    return None
