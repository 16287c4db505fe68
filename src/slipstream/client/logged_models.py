"""`SlipstreamClient`: logged models, except their files."""

from collections.abc import Mapping, Sequence
from typing import Any

from slipstream.client.calls import Calls
from slipstream.client.paging import PagedList, paged
from slipstream.client.values import to_text_map
from slipstream.entities import LoggedModel, LoggedModelStatus

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
            str(experiment_id), name, source_run_id, to_text_map(tags), to_text_map(params), model_type
        )

    def finalize_logged_model(self, model_id: str, status: str) -> LoggedModel:
        """Set the status that a model ends in: READY or FAILED."""
        return self._store.finalize_logged_model(model_id, LoggedModelStatus(status))

    def get_logged_model(self, model_id: str) -> LoggedModel:
        return self._store.get_logged_model(model_id)

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
            [str(each) for each in experiment_ids],
            filter_string,
            datasets or (),
            max_results or DEFAULT_PAGE,
            order_by or (),
            page_token,
        )
        return paged(page)

    def delete_logged_model(self, model_id: str) -> None:
        self._store.delete_logged_model(model_id)

    def set_logged_model_tags(self, model_id: str, tags: Mapping[str, Any]) -> None:
        self._store.set_logged_model_tags(model_id, to_text_map(tags))

    def delete_logged_model_tag(self, model_id: str, key: str) -> None:
        self._store.delete_logged_model_tag(model_id, key)

    def log_model_params(self, model_id: str, params: Mapping[str, Any]) -> None:
        self._store.log_logged_model_params(model_id, to_text_map(params))
