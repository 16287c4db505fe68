"""`SlipstreamClient`: logged models, except their files."""

from collections.abc import Mapping, Sequence
from typing import Any

from slipstream.client.calls import Calls
from slipstream.client.paging import PagedList, paged
from slipstream.client.values import require_text, to_int64, to_text, to_text_map
from slipstream.entities import LoggedModel, LoggedModelStatus
from slipstream.errors import InvalidParameterError

DEFAULT_PAGE = 50


class LoggedModelCalls(Calls):
    def create_logged_model(
        self,
        experiment_id: str,
        name: str | None = None,
        source_run_id: str | None = None,
        tags: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        model_type: str | None = None,
    ) -> LoggedModel:
        """Create a PENDING model; `finalize_logged_model` ends that state."""
        return self._store.create_logged_model(
            to_text(experiment_id, "experiment_id"),
            None if name is None else require_text(name, "name"),
            None if source_run_id is None else require_text(source_run_id, "source_run_id"),
            to_text_map(tags),
            to_text_map(params, "params"),
            None if model_type is None else require_text(model_type, "model_type"),
        )

    def finalize_logged_model(self, model_id: str, status: str) -> LoggedModel:
        """Set the status that a model ends in: READY or FAILED."""
        return self._store.finalize_logged_model(_id(model_id), _status(status))

    def get_logged_model(self, model_id: str) -> LoggedModel:
        return self._store.get_logged_model(_id(model_id))

    def search_logged_models(
        self,
        experiment_ids: Sequence[str],
        filter_string: str | None = None,
        datasets: Sequence[Mapping[str, str]] | None = None,
        max_results: int | None = None,
        order_by: Sequence[Mapping[str, object]] | None = None,
        page_token: str | None = None,
    ) -> PagedList[LoggedModel]:
        page = self._store.search_logged_models(
            [to_text(each, "experiment_ids") for each in experiment_ids],
            filter_string,
            datasets or (),
            DEFAULT_PAGE if max_results is None else to_int64(max_results, "max_results") or DEFAULT_PAGE,
            order_by or (),
            page_token,
        )
        return paged(page)

    def delete_logged_model(self, model_id: str) -> None:
        self._store.delete_logged_model(_id(model_id))

    def set_logged_model_tags(self, model_id: str, tags: Mapping[str, Any]) -> None:
        self._store.set_logged_model_tags(_id(model_id), to_text_map(tags))

    def delete_logged_model_tag(self, model_id: str, key: str) -> None:
        self._store.delete_logged_model_tag(_id(model_id), require_text(key, "key"))

    def log_model_params(self, model_id: str, params: Mapping[str, Any]) -> None:
        self._store.log_logged_model_params(_id(model_id), to_text_map(params, "params"))


def _id(model_id: Any) -> str:
    return require_text(model_id, "model_id")


def _status(status: str) -> LoggedModelStatus:
    try:
        return LoggedModelStatus(status)
    except ValueError as error:
        known = ", ".join(each.value for each in LoggedModelStatus)
        raise InvalidParameterError(f"Model status {status!r} is not one of {known}.") from error
