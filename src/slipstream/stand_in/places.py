"""Which modules of ours answer for which of MLflow's. What is in no line here, slipstream does not have."""

from functools import cache

_OURS_ONLY = frozenset({"onnx_genai", "trash"})
"""Public modules that MLflow has nothing like; they go by their own name only."""

_ENTITIES = ("slipstream.entities", "slipstream.stand_in.entities")
_SCHEMA = ("slipstream.types",)
_DATA = ("slipstream.data",)

_PLACES: dict[str, tuple[str, ...]] = {
    "mlflow": ("slipstream",),
    "mlflow.client": ("slipstream.tracking",),
    "mlflow.data.dataset": _DATA,
    "mlflow.data.dataset_source": _DATA,
    "mlflow.data.numpy_dataset": _DATA,
    "mlflow.data.pandas_dataset": _DATA,
    "mlflow.entities": _ENTITIES,
    "mlflow.entities.dataset": _ENTITIES,
    "mlflow.entities.dataset_input": _ENTITIES,
    "mlflow.entities.experiment": _ENTITIES,
    "mlflow.entities.experiment_tag": _ENTITIES,
    "mlflow.entities.file_info": _ENTITIES,
    "mlflow.entities.input_tag": _ENTITIES,
    "mlflow.entities.lifecycle_stage": _ENTITIES,
    "mlflow.entities.logged_model": _ENTITIES,
    "mlflow.entities.logged_model_input": _ENTITIES,
    "mlflow.entities.logged_model_output": _ENTITIES,
    "mlflow.entities.logged_model_status": _ENTITIES,
    "mlflow.entities.metric": _ENTITIES,
    "mlflow.entities.model_registry": _ENTITIES,
    "mlflow.entities.model_registry.model_version": _ENTITIES,
    "mlflow.entities.model_registry.registered_model": _ENTITIES,
    "mlflow.entities.param": _ENTITIES,
    "mlflow.entities.run": _ENTITIES,
    "mlflow.entities.run_data": _ENTITIES,
    "mlflow.entities.run_info": _ENTITIES,
    "mlflow.entities.run_inputs": _ENTITIES,
    "mlflow.entities.run_outputs": _ENTITIES,
    "mlflow.entities.run_status": _ENTITIES,
    "mlflow.entities.run_tag": _ENTITIES,
    "mlflow.entities.source_type": _ENTITIES,
    "mlflow.entities.view_type": _ENTITIES,
    "mlflow.environment_variables": ("slipstream.stand_in.environment_variables",),
    "mlflow.exceptions": ("slipstream.exceptions", "slipstream.stand_in.error_codes"),
    "mlflow.models.model": ("slipstream.models", "slipstream.stand_in.model_files"),
    "mlflow.models.model_config": ("slipstream.models",),
    "mlflow.models.signature": ("slipstream.models.signature", "slipstream.models"),
    "mlflow.models.utils": ("slipstream.models.example", "slipstream.models"),
    "mlflow.protos": (),
    "mlflow.protos.databricks_pb2": ("slipstream.stand_in.error_codes",),
    "mlflow.pyfunc.loaders": (),
    "mlflow.pyfunc.model": ("slipstream.stand_in.python_models", "slipstream.pyfunc"),
    "mlflow.pyfunc.utils": (),
    "mlflow.pyfunc.utils.data_validation": ("slipstream.stand_in.typed_predictions",),
    "mlflow.store": (),
    "mlflow.store.artifact": (),
    "mlflow.store.entities": ("slipstream.client.paging",),
    "mlflow.store.entities.paged_list": ("slipstream.client.paging",),
    "mlflow.system_metrics": ("slipstream.config",),
    "mlflow.tracking.artifact_utils": ("slipstream.stand_in.artifact_addresses",),
    "mlflow.tracking.client": ("slipstream.tracking",),
    "mlflow.tracking.context": ("slipstream.client.context",),
    "mlflow.tracking.context.registry": ("slipstream.client.context.registry",),
    "mlflow.tracking.fluent": ("slipstream.stand_in.active_experiment", "slipstream"),
    "mlflow.tracking.metric_value_conversion_utils": (),
    "mlflow.types.schema": _SCHEMA,
    "mlflow.utils": ("slipstream.stand_in.python_version",),
    "mlflow.utils.mlflow_tags": ("slipstream.stand_in.tag_names",),
    "mlflow.utils.validation": ("slipstream.stand_in.validation",),
    "mlflow.version": ("slipstream.stand_in.version",),
}


@cache
def homes(name: str) -> tuple[str, ...] | None:
    """Return the modules whose names a module of MLflow's shows, in order; `None` if we do not have it."""
    found = _PLACES.get(name)
    if found is not None:
        return found
    package, _, module = name.partition(".")
    # Each public module of ours stands for MLflow's of the same name, later ones without a line here.
    if package == "mlflow" and module in _public_modules():
        return (f"slipstream.{module}",)
    return None


def children(name: str) -> set[str]:
    """Return the names of the modules directly below one."""
    known = {*_PLACES, *(f"mlflow.{each}" for each in _public_modules())}
    return {each.rpartition(".")[2] for each in known if each.rpartition(".")[0] == name}


def _public_modules() -> set[str]:
    import slipstream

    return {each for each in slipstream._MODULES if each not in _OURS_ONLY}  # pyright: ignore[reportPrivateUsage]
