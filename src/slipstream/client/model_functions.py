"""The fluent API's logged models and model registry."""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from slipstream import settings
from slipstream.artifact_store.uri import is_local, local_folder
from slipstream.client import artifacts, frames
from slipstream.client.active_experiment import current_experiment_id
from slipstream.client.active_model import state
from slipstream.client.active_run import active_run
from slipstream.client.client import SlipstreamClient
from slipstream.client.context import resolve_tags
from slipstream.client.model_uris import is_model_uri, parse_model_uri
from slipstream.client.paging import collect
from slipstream.entities import LoggedModel, LoggedModelStatus, ModelVersion, RegisteredModel
from slipstream.errors import AlreadyExistsError, InvalidParameterError, NotFoundError

_log = logging.getLogger(__name__)
_PAGE = 50
_REGISTRY_PAGE = 100
MODEL_VERSIONS_TAG = "mlflow.modelVersions"
EXTERNAL_TAG = "mlflow.model.isExternal"


# -- logged models ----------------------------------------------------------------------------------


def initialize_logged_model(
    name: str | None = None,
    source_run_id: str | None = None,
    tags: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    model_type: str | None = None,
    experiment_id: str | None = None,
) -> LoggedModel:
    """Create a PENDING model of the active run, if there is one, else of the current experiment."""
    run = active_run()
    if run is not None and source_run_id is None:
        source_run_id = run.info.run_id
    if experiment_id is None:
        experiment_id = run.info.experiment_id if run is not None else current_experiment_id()
    model = SlipstreamClient().create_logged_model(
        experiment_id, name, source_run_id, resolve_tags(tags), params, model_type
    )
    remember_logged_model(model.model_id)
    return model


def create_external_model(
    name: str | None = None,
    source_run_id: str | None = None,
    tags: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    model_type: str | None = None,
    experiment_id: str | None = None,
) -> LoggedModel:
    """Create a READY model whose files are kept elsewhere."""
    model = initialize_logged_model(
        name, source_run_id, {**(tags or {}), EXTERNAL_TAG: "true"}, params, model_type, experiment_id
    )
    return finalize_logged_model(model.model_id, LoggedModelStatus.READY)


def finalize_logged_model(model_id: str, status: str) -> LoggedModel:
    """Set the status that a model ends in: READY or FAILED."""
    return SlipstreamClient().finalize_logged_model(model_id, status)


def get_logged_model(model_id: str) -> LoggedModel:
    return SlipstreamClient().get_logged_model(model_id)


def remember_logged_model(model_id: str) -> None:
    """Let `last_logged_model` be this one, which this thread has created."""
    state.last = model_id


def last_logged_model() -> LoggedModel | None:
    """Return the model that this thread created last, as it is now."""
    return None if state.last is None else get_logged_model(state.last)


def search_logged_models(
    experiment_ids: Sequence[str] | None = None,
    filter_string: str | None = None,
    datasets: Sequence[Mapping[str, str]] | None = None,
    max_results: int | None = None,
    order_by: Sequence[Mapping[str, object]] | None = None,
    output_format: str = "pandas",
) -> Any:
    """Return models as a data frame (`"pandas"`) or a `"list"`; without ids, of the current experiment."""
    if output_format not in ("pandas", "list"):
        raise InvalidParameterError(
            f"output_format '{output_format}' is not supported. Use 'pandas' or 'list'."
        )
    client = SlipstreamClient()
    ids = list(experiment_ids) if experiment_ids else [current_experiment_id()]
    models = collect(
        lambda size, token: client.search_logged_models(ids, filter_string, datasets, size, order_by, token),
        _PAGE,
        max_results,
    )
    return models if output_format == "list" else frames.models_to_pandas(models)


def delete_logged_model(model_id: str) -> None:
    SlipstreamClient().delete_logged_model(model_id)


def log_model_params(params: Mapping[str, Any], model_id: str | None = None) -> None:
    """Log params to a model, by default the active one.

    Raises:
        InvalidParameterError: no model is given and none is active.
    """
    model_id = model_id or get_active_model_id()
    if model_id is None:
        raise InvalidParameterError("No model is active; give 'model_id' or call set_active_model first.")
    SlipstreamClient().log_model_params(model_id, params)


def set_logged_model_tags(model_id: str, tags: Mapping[str, Any]) -> None:
    SlipstreamClient().set_logged_model_tags(model_id, tags)


def delete_logged_model_tag(model_id: str, key: str) -> None:
    SlipstreamClient().delete_logged_model_tag(model_id, key)


class ActiveModel(LoggedModel, frozen=True, kw_only=True):
    """A logged model that is active; as a context manager it makes the previous one active again."""

    previous: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        state.active = self.previous


def set_active_model(*, name: str | None = None, model_id: str | None = None) -> ActiveModel:
    """Make a model the one that this thread's metrics are linked to; a new name becomes an external model.

    Raises:
        InvalidParameterError: neither is given, or the model of this id has another name.
    """
    if model_id is not None:
        model = get_logged_model(model_id)
        if name is not None and model.name != name:
            raise InvalidParameterError(f"Model '{model_id}' has the name '{model.name}', not '{name}'.")
    elif name is not None:
        order = [{"field_name": "creation_timestamp", "ascending": False}]
        found = search_logged_models(
            filter_string=f"name = '{name}'", max_results=1, order_by=order, output_format="list"
        )
        model = found[0] if found else create_external_model(name=name)
    else:
        raise InvalidParameterError("Either name or model_id must be provided.")
    previous = state.active
    state.active = model.model_id
    values = {field: getattr(model, field) for field in LoggedModel.__struct_fields__}
    return ActiveModel(**values, previous=previous)


def get_active_model_id() -> str | None:
    """Return the active model's id; in a process where none was set, SLIPSTREAM_ACTIVE_MODEL_ID."""
    if state.active is not None:
        return state.active
    return settings.ACTIVE_MODEL_ID.get()


def clear_active_model() -> None:
    state.active = None


# -- registry ---------------------------------------------------------------------------------------


def register_model(
    model_uri: str,
    name: str,
    await_registration_for: int | None = 300,  # versions are READY at once
    *,
    tags: Mapping[str, Any] | None = None,
    env_pack: Any = None,
) -> ModelVersion:
    """Make the next version of a registered model, which is created if it is new.

    Args:
        model_uri: `models:/m-...` (a logged model), `runs:/<run id>/<path>` (a model of a run), another
            version's `models:/name/version`, a storage URI, or a folder of this machine that holds a saved model,
            which is then copied into a new logged model of the active run or the current experiment.
        name: The registered model.
        await_registration_for: Accepted for MLflow's sake.
        tags: Tags of the version.
        env_pack: Works on Databricks only; refused.

    Raises:
        NotFoundError: the run, or the model in it, does not exist.
        InvalidParameterError: the folder holds no model.
    """
    if env_pack is not None:
        raise InvalidParameterError("'env_pack' works on Databricks only; leave it out.")
    client = SlipstreamClient()
    source, run_id, model_id = _registered_source(client, str(model_uri), name)
    try:
        client.create_registered_model(name)
        _log.info("Successfully registered model '%s'.", name)
    except AlreadyExistsError:
        _log.info("Registered model '%s' already exists. Creating a new version of it.", name)
    version = client.create_model_version(name, source, run_id, tags, model_id=model_id)
    _log.info("Created version '%s' of model '%s'.", version.version, version.name)
    return version


def _registered_source(
    client: SlipstreamClient, model_uri: str, name: str
) -> tuple[str, str | None, str | None]:
    """Return the source of a version to be, and the run and the logged model that it comes from."""
    if is_model_uri(model_uri):
        return model_uri, None, parse_model_uri(model_uri).model_id
    if is_local(model_uri):
        model = _log_saved_model(client, local_folder(model_uri).absolute(), name)
        return f"models:/{model.model_id}", model.source_run_id, model.model_id
    if not model_uri.startswith(artifacts.RUNS_SCHEME):
        return model_uri, None, None
    run_id, path = artifacts.parse_run_uri(model_uri)
    root = client.get_run(run_id).info.artifact_uri
    files = client.connection.artifacts(root)
    if files.stat(f"{path}/MLmodel" if path else "MLmodel") is not None:
        return artifacts.join_uri(root, path), run_id, None
    model = artifacts.find_model_of_run(client.connection.store, run_id, path) if path else None
    if model is None:
        raise NotFoundError(
            f"Run '{run_id}' has no model at '{path}': neither a folder with an MLmodel file nor a logged "
            "model of this name. Check the URI, or use models:/<model id>."
        )
    return f"models:/{model.model_id}", run_id, model.model_id


def _log_saved_model(client: SlipstreamClient, folder: Path, name: str) -> LoggedModel:
    """Copy a model that was saved to a folder into a logged model: a version has to stay as it was registered."""
    if not (folder / "MLmodel").is_file():
        raise InvalidParameterError(
            f"'{folder}' is no folder of a saved model: it has no MLmodel file. Name the folder that save_model "
            "wrote, or a runs:/ or models:/ URI."
        )
    model = initialize_logged_model(name)
    status = LoggedModelStatus.FAILED
    try:
        client.log_model_artifacts(model.model_id, folder)
        status = LoggedModelStatus.READY
    finally:
        client.finalize_logged_model(model.model_id, status)
    return model


def search_registered_models(
    max_results: int | None = None, filter_string: str | None = None, order_by: Sequence[str] | None = None
) -> list[RegisteredModel]:
    """Return all registered models that fit, or at most `max_results`."""
    client = SlipstreamClient()
    return collect(
        lambda size, token: client.search_registered_models(filter_string, size, order_by, token),
        _REGISTRY_PAGE,
        max_results,
    )


def search_model_versions(
    max_results: int | None = None, filter_string: str | None = None, order_by: Sequence[str] | None = None
) -> list[ModelVersion]:
    """Return all model versions that fit, or at most `max_results`."""
    client = SlipstreamClient()
    return collect(
        lambda size, token: client.search_model_versions(filter_string, size, order_by, token),
        _REGISTRY_PAGE * 100,
        max_results,
    )


def set_model_version_tag(
    name: str, version: str | int | None = None, key: str | None = None, value: Any = None
) -> None:
    SlipstreamClient().set_model_version_tag(name, version, key, value)


def model_versions_of(model: LoggedModel) -> list[dict[str, Any]]:
    """Return the versions registered from a logged model, as `{"name": ..., "version": ...}`."""
    return json.loads(model.tags.get(MODEL_VERSIONS_TAG, "[]"))
