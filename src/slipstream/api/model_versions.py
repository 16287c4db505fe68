"""The routes of model versions."""

from msgspec import UNSET, UnsetType

from slipstream.api.messages import KeyValue, mapping, pairs
from slipstream.api.routing import Empty, Permission, Request, Response, route
from slipstream.entities import ModelVersion
from slipstream.rules import limits
from slipstream.store.base import Store
from slipstream.wire.parsing import Int64


class ModelVersionMessage(Response):
    name: str
    version: str
    creation_timestamp: int
    last_updated_timestamp: int
    current_stage: str
    source: str
    status: str
    description: str | UnsetType = UNSET
    run_id: str | UnsetType = UNSET
    run_link: str | UnsetType = UNSET
    tags: list[KeyValue] = []
    aliases: list[str] = []


def to_wire(version: ModelVersion) -> ModelVersionMessage:
    return ModelVersionMessage(
        name=version.name,
        version=version.version,
        creation_timestamp=version.creation_timestamp,
        last_updated_timestamp=version.last_updated_timestamp,
        current_stage=version.current_stage,
        description=UNSET if version.description is None else version.description,
        source=version.source,
        run_id=version.run_id,
        run_link=version.run_link,
        status=version.status,
        tags=pairs(version.tags),
        aliases=version.aliases,
    )


def from_wire(message: ModelVersionMessage) -> ModelVersion:
    return ModelVersion(
        name=message.name,
        version=message.version,
        creation_timestamp=message.creation_timestamp,
        last_updated_timestamp=message.last_updated_timestamp,
        current_stage=message.current_stage,
        description=None if message.description is UNSET else message.description,
        source=message.source,
        run_id=message.run_id or "",
        run_link=message.run_link or "",
        status=message.status,
        tags=mapping(message.tags),
        aliases=message.aliases,
    )


class ModelVersionResponse(Response):
    model_version: ModelVersionMessage


class CreateModelVersion(Request):
    name: str
    source: str
    run_id: str | None = None
    tags: list[KeyValue] = []
    run_link: str | None = None
    description: str | None = None
    model_id: str | None = None


@route("POST", "model-versions/create", permission=Permission.WRITE)
def create_model_version(store: Store, req: CreateModelVersion) -> ModelVersionResponse:
    """Create the next version of a registered model from files that are stored already."""
    version = store.create_model_version(
        req.name, req.source, req.run_id, mapping(req.tags), req.run_link, req.description, req.model_id
    )
    return ModelVersionResponse(model_version=to_wire(version))


class GetModelVersion(Request):
    name: str
    version: str


@route("GET", "model-versions/get", permission=Permission.READ)
def get_model_version(store: Store, req: GetModelVersion) -> ModelVersionResponse:
    """Return a model version."""
    return ModelVersionResponse(model_version=to_wire(store.get_model_version(req.name, req.version)))


class UpdateModelVersion(Request):
    name: str
    version: str
    description: str | None = None


@route("PATCH", "model-versions/update", permission=Permission.WRITE)
def update_model_version(store: Store, req: UpdateModelVersion) -> ModelVersionResponse:
    """Set the description of a model version; left out, it is cleared."""
    version = store.update_model_version(req.name, req.version, req.description)
    return ModelVersionResponse(model_version=to_wire(version))


class DeleteModelVersion(Request):
    name: str
    version: str


@route("DELETE", "model-versions/delete", permission=Permission.DELETE)
def delete_model_version(store: Store, req: DeleteModelVersion) -> Empty:
    """Delete a model version and the aliases that point to it."""
    store.delete_model_version(req.name, req.version)
    return Empty()


class TransitionModelVersionStage(Request):
    name: str
    version: str
    stage: str
    archive_existing_versions: bool = False


@route("POST", "model-versions/transition-stage", permission=Permission.WRITE)
def transition_model_version_stage(store: Store, req: TransitionModelVersionStage) -> ModelVersionResponse:
    """Move a model version to a stage, archiving the others of that stage if asked to."""
    version = store.transition_model_version_stage(
        req.name, req.version, req.stage, archive_existing_versions=req.archive_existing_versions
    )
    return ModelVersionResponse(model_version=to_wire(version))


class GetModelVersionDownloadUri(Request):
    name: str
    version: str


class GetModelVersionDownloadUriResponse(Response):
    artifact_uri: str


@route("GET", "model-versions/get-download-uri", permission=Permission.READ)
def get_model_version_download_uri(
    store: Store, req: GetModelVersionDownloadUri
) -> GetModelVersionDownloadUriResponse:
    """Return where the files of a model version are stored."""
    return GetModelVersionDownloadUriResponse(
        artifact_uri=store.get_model_version_download_uri(req.name, req.version)
    )


class SearchModelVersions(Request):
    filter: str | None = None
    max_results: Int64 = limits.SEARCH_MODEL_VERSIONS
    order_by: list[str] = []
    page_token: str | None = None


class SearchModelVersionsResponse(Response):
    model_versions: list[ModelVersionMessage] = []
    next_page_token: str | None = None


@route("GET", "model-versions/search", permission=Permission.READ)
def search_model_versions(store: Store, req: SearchModelVersions) -> SearchModelVersionsResponse:
    """Search model versions by name, run, source, number and tag."""
    page = store.search_model_versions(req.filter, req.max_results, req.order_by, req.page_token)
    return SearchModelVersionsResponse(
        model_versions=[to_wire(version) for version in page.items], next_page_token=page.token
    )


class SetModelVersionTag(Request):
    name: str
    version: str
    key: str
    value: str = ""


@route("POST", "model-versions/set-tag", permission=Permission.WRITE)
def set_model_version_tag(store: Store, req: SetModelVersionTag) -> Empty:
    """Set a tag of a model version."""
    store.set_model_version_tag(req.name, req.version, req.key, req.value)
    return Empty()


class DeleteModelVersionTag(Request):
    name: str
    version: str
    key: str


@route("DELETE", "model-versions/delete-tag", permission=Permission.DELETE)
def delete_model_version_tag(store: Store, req: DeleteModelVersionTag) -> Empty:
    """Delete a tag of a model version; one that is not there is no error."""
    store.delete_model_version_tag(req.name, req.version, req.key)
    return Empty()
