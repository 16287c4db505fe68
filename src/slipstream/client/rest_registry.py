"""`RestStore`: registered models and their versions."""

from collections.abc import Mapping, Sequence

from slipstream.api import model_overviews as overviews_api
from slipstream.api import model_versions as versions_api
from slipstream.api import registered_models as api
from slipstream.api.messages import pairs
from slipstream.client.rest_calls import RestCalls
from slipstream.entities import ModelVersion, Page, RegisteredModel
from slipstream.entities.model_overview import ModelOverviews, VersionOverviews


class RestRegistry(RestCalls):
    # -- registered models --------------------------------------------------------------------------

    def create_registered_model(
        self, name: str, tags: Mapping[str, str] | None = None, description: str | None = None
    ) -> RegisteredModel:
        request = api.CreateRegisteredModel(name=name, tags=pairs(tags or {}), description=description)
        return api.from_wire(self._ask(api.create_registered_model, request).registered_model)

    def get_registered_model(self, name: str) -> RegisteredModel:
        answer = self._ask(api.get_registered_model, api.GetRegisteredModel(name=name))
        return api.from_wire(answer.registered_model)

    def update_registered_model(self, name: str, description: str | None) -> RegisteredModel:
        request = api.UpdateRegisteredModel(name=name, description=description)
        return api.from_wire(self._ask(api.update_registered_model, request).registered_model)

    def rename_registered_model(self, name: str, new_name: str) -> RegisteredModel:
        request = api.RenameRegisteredModel(name=name, new_name=new_name)
        return api.from_wire(self._ask(api.rename_registered_model, request).registered_model)

    def delete_registered_model(self, name: str) -> None:
        self._ask(api.delete_registered_model, api.DeleteRegisteredModel(name=name))

    def search_registered_models(
        self,
        filter_string: str | None = None,
        max_results: int = 100,
        order_by: Sequence[str] = (),
        page_token: str | None = None,
    ) -> Page[RegisteredModel]:
        request = api.SearchRegisteredModels(
            filter=filter_string, max_results=max_results, order_by=list(order_by), page_token=page_token
        )
        answer = self._ask(api.search_registered_models, request)
        return Page([api.from_wire(each) for each in answer.registered_models], answer.next_page_token)

    def search_model_overviews(
        self,
        filter_string: str | None = None,
        order_by: Sequence[str] = (),
        offset: int = 0,
        limit: int = 100,
        metric_keys: Sequence[str] = (),
    ) -> ModelOverviews:
        request = overviews_api.SearchModelOverviews(
            filter=filter_string,
            order_by=list(order_by),
            offset=offset,
            limit=limit,
            metric_keys=list(metric_keys),
        )
        return overviews_api.overviews_from_wire(self._ask(overviews_api.search_model_overviews, request))

    def search_version_overviews(
        self,
        name: str,
        filter_string: str | None = None,
        order_by: Sequence[str] = (),
        offset: int = 0,
        limit: int = 100,
        metric_keys: Sequence[str] = (),
    ) -> VersionOverviews:
        request = overviews_api.SearchVersionOverviews(
            name=name,
            filter=filter_string,
            order_by=list(order_by),
            offset=offset,
            limit=limit,
            metric_keys=list(metric_keys),
        )
        return overviews_api.versions_from_wire(self._ask(overviews_api.search_version_overviews, request))

    def get_latest_versions(self, name: str, stages: Sequence[str] = ()) -> list[ModelVersion]:
        answer = self._ask(api.get_latest_versions, api.GetLatestVersions(name=name, stages=list(stages)))
        return [versions_api.from_wire(each) for each in answer.model_versions]

    def set_registered_model_tag(self, name: str, key: str, value: str) -> None:
        request = api.SetRegisteredModelTag(name=name, key=key, value=value)
        self._ask(api.set_registered_model_tag, request)

    def delete_registered_model_tag(self, name: str, key: str) -> None:
        self._ask(api.delete_registered_model_tag, api.DeleteRegisteredModelTag(name=name, key=key))

    def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
        request = api.SetRegisteredModelAlias(name=name, alias=alias, version=version)
        self._ask(api.set_registered_model_alias, request)

    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        self._ask(api.delete_registered_model_alias, api.DeleteRegisteredModelAlias(name=name, alias=alias))

    def get_model_version_by_alias(self, name: str, alias: str) -> ModelVersion:
        request = api.GetModelVersionByAlias(name=name, alias=alias)
        return versions_api.from_wire(self._ask(api.get_model_version_by_alias, request).model_version)

    # -- versions -----------------------------------------------------------------------------------

    def create_model_version(
        self,
        name: str,
        source: str,
        run_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        run_link: str | None = None,
        description: str | None = None,
        model_id: str | None = None,
    ) -> ModelVersion:
        request = versions_api.CreateModelVersion(
            name=name,
            source=source,
            run_id=run_id,
            tags=pairs(tags or {}),
            run_link=run_link,
            description=description,
            model_id=model_id,
        )
        return versions_api.from_wire(self._ask(versions_api.create_model_version, request).model_version)

    def get_model_version(self, name: str, version: str) -> ModelVersion:
        request = versions_api.GetModelVersion(name=name, version=version)
        return versions_api.from_wire(self._ask(versions_api.get_model_version, request).model_version)

    def update_model_version(self, name: str, version: str, description: str | None) -> ModelVersion:
        request = versions_api.UpdateModelVersion(name=name, version=version, description=description)
        return versions_api.from_wire(self._ask(versions_api.update_model_version, request).model_version)

    def delete_model_version(self, name: str, version: str) -> None:
        request = versions_api.DeleteModelVersion(name=name, version=version)
        self._ask(versions_api.delete_model_version, request)

    def transition_model_version_stage(
        self, name: str, version: str, stage: str, *, archive_existing_versions: bool = False
    ) -> ModelVersion:
        request = versions_api.TransitionModelVersionStage(
            name=name, version=version, stage=stage, archive_existing_versions=archive_existing_versions
        )
        answer = self._ask(versions_api.transition_model_version_stage, request)
        return versions_api.from_wire(answer.model_version)

    def get_model_version_download_uri(self, name: str, version: str) -> str:
        request = versions_api.GetModelVersionDownloadUri(name=name, version=version)
        return self._ask(versions_api.get_model_version_download_uri, request).artifact_uri

    def search_model_versions(
        self,
        filter_string: str | None = None,
        max_results: int = 200_000,
        order_by: Sequence[str] = (),
        page_token: str | None = None,
    ) -> Page[ModelVersion]:
        request = versions_api.SearchModelVersions(
            filter=filter_string, max_results=max_results, order_by=list(order_by), page_token=page_token
        )
        answer = self._ask(versions_api.search_model_versions, request)
        return Page([versions_api.from_wire(each) for each in answer.model_versions], answer.next_page_token)

    def set_model_version_tag(self, name: str, version: str, key: str, value: str) -> None:
        request = versions_api.SetModelVersionTag(name=name, version=version, key=key, value=value)
        self._ask(versions_api.set_model_version_tag, request)

    def delete_model_version_tag(self, name: str, version: str, key: str) -> None:
        request = versions_api.DeleteModelVersionTag(name=name, version=version, key=key)
        self._ask(versions_api.delete_model_version_tag, request)
