"""What a user says about a source that it does not say itself."""

from pathlib import Path

import msgspec

from slipstream.moving.sources.mlflow_db import DEFAULT_WORKSPACE


class SourceOptions(msgspec.Struct, frozen=True, kw_only=True):
    kind: str | None = None
    """One of `opening.KINDS`; found out when not given."""
    workspace: str = DEFAULT_WORKSPACE
    """Of MLflow's database."""
    served_from: Path | None = None
    """The folder behind `mlflow-artifacts:/` of MLflow's database."""
    experiment_name: str | None = None
    """For sources whose runs belong to none: folders of TensorBoard, tables."""
    takes_files: bool = False
    """Whether files will be copied, so that it is worth looking for them."""
    step_multiplier: int = 1
    """What steps with a fraction are multiplied by, so that they become whole."""
    run_column: str | None = None
    key_column: str | None = None
    step_column: str | None = None
    time_column: str | None = None
    value_column: str | None = None
