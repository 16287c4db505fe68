"""Tracking, projects, models, registry and serving under MLflow's names: `import slipstream as mlflow` works.

Nothing below is imported until it is first used.
"""

TYPE_CHECKING = (
    False  # The name is what type checkers know; importing typing would cost more than all else here.
)
if TYPE_CHECKING:  # For type checkers and editors; a test keeps it equal to the tables below.
    from typing import Any

    from slipstream import (
        artifacts,
        config,
        data,
        deployments,
        entities,
        exceptions,
        models,
        onnx_genai,
        projects,
        pyfunc,
        sklearn,
        system_metrics,
        tracking,
        transformers,
        trash,
        types,
    )
    from slipstream.client.active_experiment import (
        create_experiment,
        delete_experiment,
        delete_experiment_tag,
        get_experiment,
        get_experiment_by_name,
        restore_experiment,
        search_experiments,
        set_experiment,
        set_experiment_tag,
        set_experiment_tags,
    )
    from slipstream.client.active_run import ActiveRun, active_run, end_run, last_active_run, start_run
    from slipstream.client.addresses import (
        get_registry_uri,
        get_tracking_uri,
        is_tracking_uri_set,
        set_registry_uri,
        set_tracking_uri,
    )
    from slipstream.client.client import SlipstreamClient
    from slipstream.client.client import SlipstreamClient as MlflowClient
    from slipstream.client.histories import history, history_arrow
    from slipstream.client.images import Image
    from slipstream.client.model_functions import (
        ActiveModel,
        clear_active_model,
        create_external_model,
        delete_logged_model,
        delete_logged_model_tag,
        finalize_logged_model,
        get_active_model_id,
        get_logged_model,
        initialize_logged_model,
        last_logged_model,
        log_model_params,
        register_model,
        search_logged_models,
        search_model_versions,
        search_registered_models,
        set_active_model,
        set_logged_model_tags,
        set_model_version_tag,
    )
    from slipstream.client.run_functions import (
        delete_run,
        delete_tag,
        flush,
        flush_artifact_async_logging,
        flush_async_logging,
        get_artifact_uri,
        get_parent_run,
        get_run,
        load_table,
        log_artifact,
        log_artifacts,
        log_dict,
        log_figure,
        log_image,
        log_input,
        log_inputs,
        log_metric,
        log_metrics,
        log_outputs,
        log_param,
        log_params,
        log_stream,
        log_table,
        log_text,
        restore_run,
        search_runs,
        set_tag,
        set_tags,
    )
    from slipstream.client.sql import sql
    from slipstream.client.system_metrics_settings import (
        disable_system_metrics_logging,
        enable_system_metrics_logging,
        set_system_metrics_node_id,
        set_system_metrics_samples_before_logging,
        set_system_metrics_sampling_interval,
    )
    from slipstream.exceptions import MlflowException
    from slipstream.projects import run
    from slipstream.stand_in import as_mlflow

__version__ = "0.1.0"

_HOMES = {
    "slipstream.client.active_experiment": (
        "create_experiment",
        "delete_experiment",
        "delete_experiment_tag",
        "get_experiment",
        "get_experiment_by_name",
        "restore_experiment",
        "search_experiments",
        "set_experiment",
        "set_experiment_tag",
        "set_experiment_tags",
    ),
    "slipstream.client.active_run": (
        "ActiveRun",
        "active_run",
        "end_run",
        "last_active_run",
        "start_run",
    ),
    "slipstream.client.addresses": (
        "get_registry_uri",
        "get_tracking_uri",
        "is_tracking_uri_set",
        "set_registry_uri",
        "set_tracking_uri",
    ),
    "slipstream.client.client": (
        "MlflowClient",
        "SlipstreamClient",
    ),
    "slipstream.client.histories": (
        "history",
        "history_arrow",
    ),
    "slipstream.client.images": ("Image",),
    "slipstream.client.model_functions": (
        "ActiveModel",
        "clear_active_model",
        "create_external_model",
        "delete_logged_model",
        "delete_logged_model_tag",
        "finalize_logged_model",
        "get_active_model_id",
        "get_logged_model",
        "initialize_logged_model",
        "last_logged_model",
        "log_model_params",
        "register_model",
        "search_logged_models",
        "search_model_versions",
        "search_registered_models",
        "set_active_model",
        "set_logged_model_tags",
        "set_model_version_tag",
    ),
    "slipstream.client.run_functions": (
        "delete_run",
        "delete_tag",
        "flush",
        "flush_artifact_async_logging",
        "flush_async_logging",
        "get_artifact_uri",
        "get_parent_run",
        "get_run",
        "load_table",
        "log_artifact",
        "log_artifacts",
        "log_dict",
        "log_figure",
        "log_image",
        "log_input",
        "log_inputs",
        "log_metric",
        "log_metrics",
        "log_outputs",
        "log_param",
        "log_params",
        "log_stream",
        "log_table",
        "log_text",
        "restore_run",
        "search_runs",
        "set_tag",
        "set_tags",
    ),
    "slipstream.client.sql": ("sql",),
    "slipstream.client.system_metrics_settings": (
        "disable_system_metrics_logging",
        "enable_system_metrics_logging",
        "set_system_metrics_node_id",
        "set_system_metrics_samples_before_logging",
        "set_system_metrics_sampling_interval",
    ),
    "slipstream.exceptions": ("MlflowException",),
    "slipstream.projects": ("run",),
    "slipstream.stand_in": ("as_mlflow",),
}
"""Public names by the module that has them."""

_MODULES = (
    "artifacts",
    "config",
    "data",
    "deployments",
    "entities",
    "exceptions",
    "models",
    "onnx_genai",
    "projects",
    "pyfunc",
    "sklearn",
    "system_metrics",
    "tracking",
    "transformers",
    "trash",
    "types",
)

_ALIASES = {"MlflowClient": "SlipstreamClient"}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "ActiveModel",
    "ActiveRun",
    "Image",
    "MlflowClient",
    "MlflowException",
    "SlipstreamClient",
    "__version__",
    "active_run",
    "artifacts",
    "as_mlflow",
    "clear_active_model",
    "config",
    "create_experiment",
    "create_external_model",
    "data",
    "delete_experiment",
    "delete_experiment_tag",
    "delete_logged_model",
    "delete_logged_model_tag",
    "delete_run",
    "delete_tag",
    "deployments",
    "disable_system_metrics_logging",
    "enable_system_metrics_logging",
    "end_run",
    "entities",
    "exceptions",
    "finalize_logged_model",
    "flush",
    "flush_artifact_async_logging",
    "flush_async_logging",
    "get_active_model_id",
    "get_artifact_uri",
    "get_experiment",
    "get_experiment_by_name",
    "get_logged_model",
    "get_parent_run",
    "get_registry_uri",
    "get_run",
    "get_tracking_uri",
    "history",
    "history_arrow",
    "initialize_logged_model",
    "is_tracking_uri_set",
    "last_active_run",
    "last_logged_model",
    "load_table",
    "log_artifact",
    "log_artifacts",
    "log_dict",
    "log_figure",
    "log_image",
    "log_input",
    "log_inputs",
    "log_metric",
    "log_metrics",
    "log_model_params",
    "log_outputs",
    "log_param",
    "log_params",
    "log_stream",
    "log_table",
    "log_text",
    "models",
    "onnx_genai",
    "projects",
    "pyfunc",
    "register_model",
    "restore_experiment",
    "restore_run",
    "run",
    "search_experiments",
    "search_logged_models",
    "search_model_versions",
    "search_registered_models",
    "search_runs",
    "set_active_model",
    "set_experiment",
    "set_experiment_tag",
    "set_experiment_tags",
    "set_logged_model_tags",
    "set_model_version_tag",
    "set_registry_uri",
    "set_system_metrics_node_id",
    "set_system_metrics_samples_before_logging",
    "set_system_metrics_sampling_interval",
    "set_tag",
    "set_tags",
    "set_tracking_uri",
    "sklearn",
    "sql",
    "start_run",
    "system_metrics",
    "tracking",
    "transformers",
    "trash",
    "types",
]


def __getattr__(name: str) -> "Any":
    import importlib

    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), _ALIASES.get(name, name))
    elif name in _MODULES:
        value = importlib.import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value  # The next access does not come here.
    return value


def __dir__() -> list[str]:
    return list(__all__)
