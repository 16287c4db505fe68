"""What another store kept, before it is written here: what nobody could read again is refused."""

from collections.abc import Mapping

from slipstream.entities import LifecycleStage, LoggedModel, RegisteredModel, Run, RunStatus
from slipstream.errors import InvalidParameterError
from slipstream.rules import limits, names, registry
from slipstream.store.import_records import ImportedVersion


def checked_stage(stage: str) -> str:
    if stage not in (LifecycleStage.ACTIVE, LifecycleStage.DELETED):
        raise InvalidParameterError(
            f"Invalid value {ascii(stage)[:100]} for 'lifecycle_stage': it is active or deleted."
        )
    return stage


def check_texts(pairs: Mapping[str, str], field: str) -> None:
    for key, value in pairs.items():
        names.check_key(key, f"{field}.key")
        names.check_text(value, f"{field}.{key}")


def check_run(run: Run) -> None:
    info = run.info
    names.check_run_id(info.run_id)
    for text, field in (
        (info.run_name, "run_name"),
        (info.user_id, "user_id"),
        (info.artifact_uri, "artifact_uri"),
    ):
        names.check_text(text, field)
    if info.status not in RunStatus.__members__:
        raise InvalidParameterError(
            f"Invalid value {ascii(info.status)[:100]} for 'status': it is one of {', '.join(RunStatus.__members__)}."
        )
    checked_stage(info.lifecycle_stage)
    limits.check_int64(info.start_time, "start_time")
    if info.end_time is not None:
        limits.check_int64(info.end_time, "end_time")
    check_texts(run.data.params, "params")
    check_texts(run.data.tags, "tags")
    for each in run.inputs.dataset_inputs:
        dataset = each.dataset
        for text, field in (
            (dataset.name, "name"),
            (dataset.digest, "digest"),
            (dataset.source_type, "source_type"),
            (dataset.source, "source"),
        ):
            names.check_text(text, f"dataset.{field}")
        for tag in each.tags:
            names.check_text(tag.key, "dataset.tags.key")
            names.check_text(tag.value, f"dataset.tags.{tag.key}")
    for output in run.outputs.model_outputs:
        names.check_text(output.model_id, "outputs.model_id")
        limits.check_int64(output.step, "outputs.step")


def check_logged_model(model: LoggedModel) -> None:
    for text, field in (
        (model.model_id, "model_id"),
        (model.name, "name"),
        (model.artifact_location, "artifact_location"),
    ):
        names.check_text(text, field)
    limits.check_int64(model.creation_timestamp, "creation_timestamp")
    limits.check_int64(model.last_updated_timestamp, "last_updated_timestamp")
    for pairs, field in ((model.tags, "tags"), (model.params, "params")):
        for key, value in pairs.items():
            names.check_text(key, f"{field}.key")
            names.check_text(value, f"{field}.{key}")
    for point in model.metrics:
        names.check_key(point.key, "metrics.key")
        limits.check_int64(point.step, "metrics.step")
        limits.check_int64(point.timestamp, "metrics.timestamp")
        if type(point.value) is not float:
            raise InvalidParameterError(
                f"Invalid value {ascii(point.value)[:100]} of the metric '{point.key}' of logged model {model.model_id}."
            )


def check_registered_model(model: RegisteredModel, last_version: int) -> None:
    registry.check_model_name(model.name)
    limits.check_int64(model.creation_timestamp, "creation_timestamp")
    limits.check_int64(model.last_updated_timestamp, "last_updated_timestamp")
    limits.check_int64(last_version, "last_version")
    check_texts(model.tags, "tags")
    for alias, version in model.aliases.items():
        registry.check_alias(alias)
        registry.version_number(version)


def check_version(each: ImportedVersion) -> None:
    version = each.version
    registry.version_number(version.version)
    registry.canonical_stage(version.current_stage)
    limits.check_int64(version.creation_timestamp, "creation_timestamp")
    limits.check_int64(version.last_updated_timestamp, "last_updated_timestamp")
    for text, field in (
        (version.source, "source"),
        (each.storage_location, "storage_location"),
        (version.run_id, "run_id"),
        (version.run_link, "run_link"),
        (version.status, "status"),
    ):
        names.check_text(text, field)
    check_texts(version.tags, "tags")
