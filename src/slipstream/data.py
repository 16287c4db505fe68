"""Datasets that runs read, to be passed to `log_input`."""

from slipstream.client.datasets import (
    DatasetSource,
    TrackedDataset,
    from_numpy,
    from_pandas,
    from_polars,
    get_source,
)

Dataset = TrackedDataset

__all__ = [
    "Dataset",
    "DatasetSource",
    "TrackedDataset",
    "from_numpy",
    "from_pandas",
    "from_polars",
    "get_source",
]
