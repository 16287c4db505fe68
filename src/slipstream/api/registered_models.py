"""The routes of registered models, their tags and aliases."""

import msgspec
from msgspec import UNSET, UnsetType

from slipstream.api import model_versions
from slipstream.api.messages import KeyValue, mapping, pairs
from slipstream.api.model_versions import ModelVersionMessage, ModelVersionResponse
from slipstream.api.routing import Empty, Permission, Request, Response, route
from slipstream.entities import RegisteredModel
from slipstream.store.base import Store
from slipstream.wire.parsing import Int64


class AliasMessage(msgspec.Struct, frozen=True):
    alias: str
    version: str


class RegisteredModelMessage(Response):
    name: str
    creation_timestamp: int
    last_updated_timestamp: int
    description: str | UnsetType = UNSET
    latest_versions: list[ModelVersionMessage] = []
    tags: list[KeyValue] = []
    aliases: list[AliasMessage] = []


def to_wire(model: RegisteredModel) -> RegisteredModelMessage:
    return RegisteredModelMessage(
        name=model.name,
        creation_timestamp=model.creation_timestamp,
        last_updated_timestamp=model.last_updated_timestamp,
        description=UNSET if model.description is None else model.description,
        latest_versions=[model_versions.to_wire(version) for version in model.latest_versions],
        tags=pairs(model.tags),
        aliases=[AliasMessage(alias, version) for alias, version in model.aliases.items()],
    )


def from_wire(message: RegisteredModelMessage) -> RegisteredModel:
    return RegisteredModel(
        name=message.name,
        creation_timestamp=message.creation_timestamp,
        last_updated_timestamp=message.last_updated_timestamp,
        description=None if message.description is UNSET else message.description,
        latest_versions=[model_versions.from_wire(version) for version in message.latest_versions],
        tags=mapping(message.tags),
        aliases={each.alias: each.version for each in message.aliases},
    )


class RegisteredModelResponse(Response):
    registered_model: RegisteredModelMessage


class CreateRegisteredModel(Request):
    name: str
    tags: list[KeyValue] = []
    description: str | None = None


@route("POST", "registered-models/create", permission=Permission.WRITE)
def create_registered_model(store: Store, req: CreateRegisteredModel) -> RegisteredModelResponse:
    """Create a registered model."""
    model = store.create_registered_model(req.name, mapping(req.tags), req.description)
    return RegisteredModelResponse(registered_model=to_wire(model))


class GetRegisteredModel(Request):
    name: str


@route("GET", "registered-models/get", permission=Permission.READ)
def get_registered_model(store: Store, req: GetRegisteredModel) -> RegisteredModelResponse:
    """Return a registered model with the newest version of each stage."""
    return RegisteredModelResponse(registered_model=to_wire(store.get_registered_model(req.name)))


class UpdateRegisteredModel(Request):
    name: str
    description: str | None = None


@route("PATCH", "registered-models/update", permission=Permission.WRITE)
def update_registered_model(store: Store, req: UpdateRegisteredModel) -> RegisteredModelResponse:
    """Set the description of a registered model; left out, it is cleared."""
    model = store.update_registered_model(req.name, req.description)
    return RegisteredModelResponse(registered_model=to_wire(model))


class RenameRegisteredModel(Request):
    name: str
    new_name: str


@route("POST", "registered-models/rename", permission=Permission.WRITE)
def rename_registered_model(store: Store, req: RenameRegisteredModel) -> RegisteredModelResponse:
    """Rename a registered model; versions, tags and aliases go along."""
    model = store.rename_registered_model(req.name, req.new_name)
    return RegisteredModelResponse(registered_model=to_wire(model))


class DeleteRegisteredModel(Request):
    name: str


@route("DELETE", "registered-models/delete", permission=Permission.DELETE)
def delete_registered_model(store: Store, req: DeleteRegisteredModel) -> Empty:
    """Delete a registered model with its versions, tags and aliases."""
    store.delete_registered_model(req.name)
    return Empty()


class SearchRegisteredModels(Request):
    filter: str | None = None
    max_results: Int64 = 100
    order_by: list[str] = []
    page_token: str | None = None


class SearchRegisteredModelsResponse(Response):
    registered_models: list[RegisteredModelMessage] = []
    next_page_token: str | None = None


@route("GET", "registered-models/search", permission=Permission.READ)
def search_registered_models(store: Store, req: SearchRegisteredModels) -> SearchRegisteredModelsResponse:
    """Search registered models by name and tag."""
    page = store.search_registered_models(req.filter, req.max_results, req.order_by, req.page_token)
    return SearchRegisteredModelsResponse(
        registered_models=[to_wire(model) for model in page.items], next_page_token=page.token
    )


class GetLatestVersions(Request):
    name: str
    stages: list[str] = []


class GetLatestVersionsResponse(Response):
    model_versions: list[ModelVersionMessage] = []


@route("POST", "registered-models/get-latest-versions", permission=Permission.READ, also=("GET",))
def get_latest_versions(store: Store, req: GetLatestVersions) -> GetLatestVersionsResponse:
    """Return the newest version of each stage asked for, of all stages if none is."""
    return GetLatestVersionsResponse(
        model_versions=[
            model_versions.to_wire(version) for version in store.get_latest_versions(req.name, req.stages)
        ]
    )


class SetRegisteredModelTag(Request):
    name: str
    key: str
    value: str = ""


@route("POST", "registered-models/set-tag", permission=Permission.WRITE)
def set_registered_model_tag(store: Store, req: SetRegisteredModelTag) -> Empty:
    """Set a tag of a registered model."""
    store.set_registered_model_tag(req.name, req.key, req.value)
    return Empty()


class DeleteRegisteredModelTag(Request):
    name: str
    key: str


@route("DELETE", "registered-models/delete-tag", permission=Permission.DELETE)
def delete_registered_model_tag(store: Store, req: DeleteRegisteredModelTag) -> Empty:
    """Delete a tag of a registered model; one that is not there is no error."""
    store.delete_registered_model_tag(req.name, req.key)
    return Empty()


class SetRegisteredModelAlias(Request):
    name: str
    alias: str
    version: str


@route("POST", "registered-models/alias", permission=Permission.WRITE)
def set_registered_model_alias(store: Store, req: SetRegisteredModelAlias) -> Empty:
    """Point an alias to a version, away from where it pointed before."""
    store.set_registered_model_alias(req.name, req.alias, req.version)
    return Empty()


class DeleteRegisteredModelAlias(Request):
    name: str
    alias: str


@route("DELETE", "registered-models/alias", permission=Permission.DELETE)
def delete_registered_model_alias(store: Store, req: DeleteRegisteredModelAlias) -> Empty:
    """Delete an alias; one that is not there is no error."""
    store.delete_registered_model_alias(req.name, req.alias)
    return Empty()


class GetModelVersionByAlias(Request):
    name: str
    alias: str


@route("GET", "registered-models/alias", permission=Permission.READ)
def get_model_version_by_alias(store: Store, req: GetModelVersionByAlias) -> ModelVersionResponse:
    """Return the version that an alias points to."""
    version = store.get_model_version_by_alias(req.name, req.alias)
    return ModelVersionResponse(model_version=model_versions.to_wire(version))
