"""`SlipstreamClient`: registered models and their versions."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from slipstream.client.calls import Calls
from slipstream.client.model_uris import ModelUri, find_version, is_model_uri, parse_model_uri
from slipstream.client.paging import PagedList, paged
from slipstream.client.values import to_text_map
from slipstream.entities import ModelVersion, RegisteredModel
from slipstream.errors import AlreadyExistsError, InvalidParameterError

STAGES = ("None", "Staging", "Production", "Archived")


class RegistryCalls(Calls):
    # -- registered models --------------------------------------------------------------------------

    def create_registered_model(
        self,
        name: str,
        tags: Mapping[str, Any] | None = None,
        description: str | None = None,
        deployment_job_id: str | None = None,
    ) -> RegisteredModel:
        """Create a registered model without versions.

        Raises:
            AlreadyExistsError: the name is taken.
        """
        _refuse_deployment_job(deployment_job_id)
        return self._registry.create_registered_model(name, to_text_map(tags), description)

    def get_registered_model(self, name: str) -> RegisteredModel:
        return self._registry.get_registered_model(name)

    def search_registered_models(
        self,
        filter_string: str | None = None,
        max_results: int | None = 100,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[RegisteredModel]:
        page = self._registry.search_registered_models(
            filter_string, max_results or 100, order_by or (), page_token
        )
        return paged(page)

    def rename_registered_model(self, name: str, new_name: str) -> RegisteredModel:
        return self._registry.rename_registered_model(name, new_name)

    def update_registered_model(
        self, name: str, description: str | None = None, deployment_job_id: str | None = None
    ) -> RegisteredModel:
        """Set the description; `None` clears it."""
        _refuse_deployment_job(deployment_job_id)
        return self._registry.update_registered_model(name, description)

    def delete_registered_model(self, name: str) -> None:
        """Delete a model with all of its versions."""
        self._registry.delete_registered_model(name)

    def get_latest_versions(self, name: str, stages: Sequence[str] | None = None) -> list[ModelVersion]:
        """Return the newest version of each stage asked for, of all stages if none is."""
        return self._registry.get_latest_versions(name, stages or ())

    def set_registered_model_tag(self, name: str, key: str, value: Any) -> None:
        self._registry.set_registered_model_tag(name, key, str(value))

    def delete_registered_model_tag(self, name: str, key: str) -> None:
        self._registry.delete_registered_model_tag(name, key)

    def set_registered_model_alias(self, name: str, alias: str, version: str | int) -> None:
        """Point an alias to a version, away from where it pointed before."""
        self._registry.set_registered_model_alias(name, alias, str(version))

    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        self._registry.delete_registered_model_alias(name, alias)

    def get_model_version_by_alias(self, name: str, alias: str) -> ModelVersion:
        return self._registry.get_model_version_by_alias(name, alias)

    # -- versions -----------------------------------------------------------------------------------

    def create_model_version(
        self,
        name: str,
        source: str,
        run_id: str | None = None,
        tags: Mapping[str, Any] | None = None,
        run_link: str | None = None,
        description: str | None = None,
        await_creation_for: int | None = 300,  # versions are READY at once
        model_id: str | None = None,
    ) -> ModelVersion:
        """Create the next version of a registered model from files that are stored already."""
        source = str(source)
        if model_id is None and is_model_uri(source):
            model_id = parse_model_uri(source).model_id
        return self._registry.create_model_version(
            name, source, run_id, to_text_map(tags), run_link, description, model_id
        )

    def copy_model_version(self, src_model_uri: str, dst_name: str) -> ModelVersion:
        """Make a version of `dst_name` with the files of `models:/name/version` or `models:/name@alias`."""
        source = parse_model_uri(src_model_uri)
        if source.model_id is not None or source.path:
            raise InvalidParameterError(
                f"Source '{src_model_uri}' names no model version. "
                "Use models:/name/version or models:/name@alias."
            )
        version = find_version(self._registry, source)
        with contextlib.suppress(AlreadyExistsError):  # a new version of it is what is wanted
            self._registry.create_registered_model(dst_name)
        return self._registry.create_model_version(
            dst_name, str(ModelUri(name=version.name, version=version.version)), version.run_id or None
        )

    def get_model_version(self, name: str, version: str | int) -> ModelVersion:
        return self._registry.get_model_version(name, str(version))

    def search_model_versions(
        self,
        filter_string: str | None = None,
        max_results: int | None = 10_000,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[ModelVersion]:
        page = self._registry.search_model_versions(
            filter_string, max_results or 10_000, order_by or (), page_token
        )
        return paged(page)

    def update_model_version(
        self, name: str, version: str | int, description: str | None = None
    ) -> ModelVersion:
        """Set the description; `None` clears it."""
        return self._registry.update_model_version(name, str(version), description)

    def delete_model_version(self, name: str, version: str | int) -> None:
        self._registry.delete_model_version(name, str(version))

    def transition_model_version_stage(
        self, name: str, version: str | int, stage: str, archive_existing_versions: bool = False
    ) -> ModelVersion:
        return self._registry.transition_model_version_stage(
            name, str(version), stage, archive_existing_versions=archive_existing_versions
        )

    def get_model_version_download_uri(self, name: str, version: str | int) -> str:
        return self._registry.get_model_version_download_uri(name, str(version))

    def get_model_version_stages(self, name: str, version: str | int) -> list[str]:
        """Return the stages that a version can be in; the same for all versions."""
        return list(STAGES)

    def set_model_version_tag(
        self,
        name: str,
        version: str | int | None = None,
        key: str | None = None,
        value: Any = None,
        stage: str | None = None,
    ) -> None:
        """Tag a version, given by number or as the latest one of a stage."""
        number = self._one_version(name, version, stage)
        self._registry.set_model_version_tag(name, number, _required_key(key), str(value))

    def delete_model_version_tag(
        self, name: str, version: str | int | None = None, key: str | None = None, stage: str | None = None
    ) -> None:
        number = self._one_version(name, version, stage)
        self._registry.delete_model_version_tag(name, number, _required_key(key))

    def _one_version(self, name: str, version: str | int | None, stage: str | None) -> str:
        if (version is None) == (stage is None):
            raise InvalidParameterError("Give exactly one of 'version' and 'stage'.")
        if version is not None:
            return str(version)
        found = self._registry.get_latest_versions(name, [str(stage)])
        if not found:
            raise InvalidParameterError(f"Model '{name}' has no version in stage '{stage}'.")
        return found[0].version


def _required_key(key: str | None) -> str:
    if key is None:
        raise InvalidParameterError("Missing value for required parameter 'key'.")
    return key


def _refuse_deployment_job(deployment_job_id: str | None) -> None:
    if deployment_job_id:
        raise InvalidParameterError("'deployment_job_id' works on Databricks only; leave it out.")
