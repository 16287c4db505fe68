"""Registered models as pages list them: any window of rows, each with the version that stands for it."""

import msgspec

from slipstream.api import model_versions
from slipstream.api.model_versions import ModelVersionMessage
from slipstream.api.routing import OWN, OWN_AJAX, Permission, Request, Response, route
from slipstream.entities.model_overview import (
    LeadingVersion,
    ModelOverview,
    ModelOverviews,
    VersionOverview,
    VersionOverviews,
    VersionRun,
)
from slipstream.store.base import Store
from slipstream.wire.numbers import exact_to_wire, from_wire
from slipstream.wire.parsing import Int64


class LeadingVersionMessage(msgspec.Struct, kw_only=True):
    version: str
    why: str
    run_id: str | None = None
    metrics: dict[str, float | str] = {}


class ModelOverviewMessage(msgspec.Struct, kw_only=True):
    name: str
    creation_timestamp: int
    last_updated_timestamp: int
    description: str | None = None
    versions: int = 0
    latest_version: str | None = None
    tags: dict[str, str] = {}
    aliases: dict[str, str] = {}
    leading: LeadingVersionMessage | None = None


class SearchModelOverviews(Request, kw_only=True):
    filter: str | None = None
    order_by: list[str] = []
    offset: Int64 = 0
    limit: Int64 = 100
    metric_keys: list[str] = []


class SearchModelOverviewsResponse(Response, kw_only=True, omit_defaults=False):
    total: int
    offset: int
    models: list[ModelOverviewMessage]
    cursor: int = 0


@route("POST", "models/overview", permission=Permission.READ, prefixes=(OWN, OWN_AJAX))
def search_model_overviews(store: Store, req: SearchModelOverviews) -> SearchModelOverviewsResponse:
    """Return some rows of all registered models that a search finds, with the exact number of all."""
    found = store.search_model_overviews(req.filter, req.order_by, req.offset, req.limit, req.metric_keys)
    return SearchModelOverviewsResponse(
        total=found.total,
        offset=found.offset,
        models=[_to_message(model) for model in found.models],
        cursor=found.cursor,
    )


def _to_message(model: ModelOverview) -> ModelOverviewMessage:
    leading = model.leading
    return ModelOverviewMessage(
        name=model.name,
        creation_timestamp=model.creation_timestamp,
        last_updated_timestamp=model.last_updated_timestamp,
        description=model.description,
        versions=model.versions,
        latest_version=model.latest_version,
        tags=model.tags,
        aliases=model.aliases,
        leading=None
        if leading is None
        else LeadingVersionMessage(
            version=leading.version,
            why=leading.why,
            run_id=leading.run_id,
            metrics={key: exact_to_wire(value) for key, value in leading.metrics.items()},
        ),
    )


def overviews_from_wire(message: SearchModelOverviewsResponse) -> ModelOverviews:
    return ModelOverviews(
        total=message.total,
        offset=message.offset,
        models=[
            ModelOverview(
                name=model.name,
                creation_timestamp=model.creation_timestamp,
                last_updated_timestamp=model.last_updated_timestamp,
                description=model.description,
                versions=model.versions,
                latest_version=model.latest_version,
                tags=model.tags,
                aliases=model.aliases,
                leading=None
                if model.leading is None
                else LeadingVersion(
                    version=model.leading.version,
                    why=model.leading.why,
                    run_id=model.leading.run_id,
                    metrics={key: from_wire(value) for key, value in model.leading.metrics.items()},
                ),
            )
            for model in message.models
        ],
        cursor=message.cursor,
    )


class VersionRunMessage(msgspec.Struct, kw_only=True):
    run_id: str
    run_name: str
    experiment_id: str
    user_id: str
    status: str
    lifecycle_stage: str
    metrics: dict[str, float | str] = {}


class VersionOverviewMessage(msgspec.Struct, kw_only=True):
    version: ModelVersionMessage
    run: VersionRunMessage | None = None


class SearchVersionOverviews(Request, kw_only=True):
    name: str
    filter: str | None = None
    order_by: list[str] = []
    offset: Int64 = 0
    limit: Int64 = 100
    metric_keys: list[str] = []


class SearchVersionOverviewsResponse(Response, kw_only=True, omit_defaults=False):
    total: int
    offset: int
    versions: list[VersionOverviewMessage]
    cursor: int = 0


@route("POST", "models/versions", permission=Permission.READ, prefixes=(OWN, OWN_AJAX))
def search_version_overviews(store: Store, req: SearchVersionOverviews) -> SearchVersionOverviewsResponse:
    """Return some of a model's versions, each with the run that made it, and the exact number of all."""
    found = store.search_version_overviews(
        req.name, req.filter, req.order_by, req.offset, req.limit, req.metric_keys
    )
    return SearchVersionOverviewsResponse(
        total=found.total,
        offset=found.offset,
        versions=[
            VersionOverviewMessage(
                version=model_versions.to_wire(each.version),
                run=None if each.run is None else _run_message(each.run),
            )
            for each in found.versions
        ],
        cursor=found.cursor,
    )


def _run_message(run: VersionRun) -> VersionRunMessage:
    return VersionRunMessage(
        run_id=run.run_id,
        run_name=run.run_name,
        experiment_id=run.experiment_id,
        user_id=run.user_id,
        status=run.status,
        lifecycle_stage=run.lifecycle_stage,
        metrics={key: exact_to_wire(value) for key, value in run.metrics.items()},
    )


def versions_from_wire(message: SearchVersionOverviewsResponse) -> VersionOverviews:
    return VersionOverviews(
        total=message.total,
        offset=message.offset,
        versions=[
            VersionOverview(
                version=model_versions.from_wire(each.version),
                run=None
                if each.run is None
                else VersionRun(
                    run_id=each.run.run_id,
                    run_name=each.run.run_name,
                    experiment_id=each.run.experiment_id,
                    user_id=each.run.user_id,
                    status=each.run.status,
                    lifecycle_stage=each.run.lifecycle_stage,
                    metrics={key: from_wire(value) for key, value in each.run.metrics.items()},
                ),
            )
            for each in message.versions
        ],
        cursor=message.cursor,
    )
