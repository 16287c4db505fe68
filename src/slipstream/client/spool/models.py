"""Logged models while their server is away: begun here with ids of their own, and sent with what else is logged."""

import contextlib
from collections.abc import Mapping

import msgspec

from slipstream import settings
from slipstream.client.active_experiment import NAMED
from slipstream.client.rest import RestStore
from slipstream.client.spool.shipper import Shipper
from slipstream.clock import now_ms
from slipstream.entities import Experiment, LoggedModel, LoggedModelStatus, ModelVersion
from slipstream.entities.record import UNDELIVERED, ModelRecord, ModelUpdateRecord, Record, VersionRecord
from slipstream.errors import (
    AlreadyExistsError,
    DeadlineExceededError,
    InternalError,
    TooManyRequestsError,
    UnavailableError,
)
from slipstream.ids import new_model_id, new_run_name
from slipstream.rules import registry

AWAY = (UnavailableError, TooManyRequestsError, DeadlineExceededError, InternalError)
"""Of a server, or a proxy before it, that cannot do now what it is asked; no mistake of who asks."""


class SpooledModels(RestStore):
    """The part of a spooled store that is about logged models."""

    shipper: Shipper
    _impatient: RestStore
    _models: dict[str, LoggedModel]
    """Those that this process began, as they are known here."""

    def choose_experiment(self, name: str) -> Experiment:
        raise NotImplementedError

    def _append(self, record: Record) -> None:
        raise NotImplementedError

    def create_logged_model(
        self,
        experiment_id: str,
        name: str | None = None,
        source_run_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        model_type: str | None = None,
    ) -> LoggedModel:
        """Have the server make a model; while it is away, make one here that it learns of later."""
        if name is not None:
            registry.check_logged_model_name(name)
        if experiment_id.startswith(NAMED):
            experiment_id = self.choose_experiment(experiment_id.removeprefix(NAMED)).experiment_id
        if self._has_all() and experiment_id:  # without it is of a run of which nothing is known
            source = None if source_run_id is None else self.shipper.renamed.of(source_run_id)
            try:
                model = self._impatient.create_logged_model(
                    experiment_id, name, source, tags, params, model_type
                )
            except AWAY as error:
                self.shipper.gone(error)
            else:
                self._models[model.model_id] = model
                return model
        now = now_ms()
        model_id = new_model_id()
        model = LoggedModel(
            model_id=model_id,
            experiment_id=experiment_id,
            name=name or new_run_name(),
            artifact_location=f"{UNDELIVERED}/{model_id}/artifacts",
            creation_timestamp=now,
            last_updated_timestamp=now,
            model_type=model_type,
            source_run_id=source_run_id,
            tags=dict(tags or {}),
            params=dict(params or {}),
        )
        is_named = experiment_id.startswith(NAMED)
        self._append(
            ModelRecord(
                source_run_id or "",
                model_id,
                model.name,
                model_type,
                model.tags,
                model.params,
                None if is_named else experiment_id,
                experiment_id.removeprefix(NAMED) if is_named else None,
            )
        )
        self._models[model_id] = model
        return model

    def get_logged_model(self, model_id: str, *, allow_deleted: bool = False) -> LoggedModel:
        """Return a model; as it is known here, if this process began it and its server cannot be asked."""
        known = self._models.get(model_id)
        if known is None:
            return super().get_logged_model(model_id, allow_deleted=allow_deleted)
        if self._has_all():
            try:
                return self._impatient.get_logged_model(
                    self.shipper.renamed.of(model_id), allow_deleted=allow_deleted
                )
            except AWAY as error:
                self.shipper.gone(error)
        return known

    def finalize_logged_model(self, model_id: str, status: LoggedModelStatus) -> LoggedModel:
        known = self._models.get(model_id)
        if known is None:
            return super().finalize_logged_model(model_id, status)
        if self._has_all():
            try:
                return self._impatient.finalize_logged_model(self.shipper.renamed.of(model_id), status)
            except AWAY as error:
                self.shipper.gone(error)
        self._append(ModelUpdateRecord(known.source_run_id or "", model_id, status.number))
        self._models[model_id] = msgspec.structs.replace(
            known, status=status, last_updated_timestamp=now_ms()
        )
        return self._models[model_id]

    def set_logged_model_tags(self, model_id: str, tags: Mapping[str, str]) -> None:
        known = self._models.get(model_id)
        if known is None:
            super().set_logged_model_tags(model_id, tags)
            return
        if self._has_all():
            try:
                self._impatient.set_logged_model_tags(self.shipper.renamed.of(model_id), tags)
            except AWAY as error:
                self.shipper.gone(error)
            else:
                return
        self._append(ModelUpdateRecord(known.source_run_id or "", model_id, None, dict(tags)))
        self._models[model_id] = msgspec.structs.replace(known, tags={**known.tags, **tags})

    def log_logged_model_params(self, model_id: str, params: Mapping[str, str]) -> None:
        known = self._models.get(model_id)
        if known is None:
            super().log_logged_model_params(model_id, params)
            return
        if self._has_all():
            try:
                self._impatient.log_logged_model_params(self.shipper.renamed.of(model_id), params)
            except AWAY as error:
                self.shipper.gone(error)
            else:
                return
        self._append(ModelUpdateRecord(known.source_run_id or "", model_id, None, {}, dict(params)))
        self._models[model_id] = msgspec.structs.replace(known, params={**known.params, **params})

    def place_of_model_files(self, model_id: str) -> str | None:
        """Return the storage URI of a model's files; `None` if they have to wait, since the server is away."""
        known = self._models.get(model_id)
        if known is None:
            return super().get_logged_model(model_id).artifact_location
        if self.shipper.keeps_files or not self._has_all():
            return None
        if not known.artifact_location.startswith(UNDELIVERED):
            return known.artifact_location
        found = self.get_logged_model(model_id)
        return None if found.artifact_location.startswith(UNDELIVERED) else found.artifact_location

    def register(
        self, name: str, model_id: str, run_id: str | None, tags: Mapping[str, str]
    ) -> ModelVersion | None:
        """Make a model of this process the next version of a registered one; `None` if that is done at delivery."""
        registry.check_model_name(name)
        for key, value in tags.items():
            registry.check_tag(key, value)
        is_tried = self._has_all()
        if is_tried:
            try:
                with contextlib.suppress(AlreadyExistsError):
                    self._impatient.create_registered_model(name)
                there = self.shipper.renamed.of(model_id)
                run_there = None if run_id is None else self.shipper.renamed.of(run_id)
                return self._impatient.create_model_version(
                    name, f"models:/{there}", run_there, tags, model_id=there
                )
            except AWAY as error:
                self.shipper.gone(error)
        self._append(VersionRecord(run_id or "", name, model_id, dict(tags), is_tried))
        return None

    def began_model(self, model_id: str) -> bool:
        """Tell whether a model was begun by this process."""
        return model_id in self._models

    def _has_all(self) -> bool:
        """Tell whether the server answers and has all that was logged, after waiting for the delivery."""
        if self.shipper.is_away:
            return False
        self.shipper.flush(settings.DELIVERY_TIMEOUT.get(), only_while_there=True)
        return self.shipper.is_delivered and not self.shipper.is_away
