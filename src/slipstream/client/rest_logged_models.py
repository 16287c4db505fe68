"""`RestStore`: logged models."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec

from slipstream.api import logged_models as api
from slipstream.api.messages import pairs
from slipstream.client.rest_calls import RestCalls, restore_infinities
from slipstream.entities import LoggedModel, LoggedModelStatus, Page
from slipstream.errors import InvalidParameterError

T = TypeVar("T")


class RestLoggedModels(RestCalls):
    def create_logged_model(
        self,
        experiment_id: str,
        name: str | None = None,
        source_run_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        model_type: str | None = None,
    ) -> LoggedModel:
        request = api.CreateLoggedModel(
            experiment_id=experiment_id,
            name=name,
            model_type=model_type,
            source_run_id=source_run_id,
            params=pairs(params or {}),
            tags=pairs(tags or {}),
        )
        return _from_wire(self._ask(api.create_logged_model, request).model)

    def get_logged_model(self, model_id: str, *, allow_deleted: bool = False) -> LoggedModel:
        request = api.GetLoggedModel(model_id=model_id, allow_deleted=allow_deleted)
        return _from_wire(self._ask(api.get_logged_model, request).model)

    def finalize_logged_model(self, model_id: str, status: LoggedModelStatus) -> LoggedModel:
        request = api.FinalizeLoggedModel(model_id=model_id, status=api.status_to_wire(status))
        return _from_wire(self._ask(api.finalize_logged_model, request).model)

    def delete_logged_model(self, model_id: str) -> None:
        self._ask(api.delete_logged_model, api.DeleteLoggedModel(model_id=model_id))

    def set_logged_model_tags(self, model_id: str, tags: Mapping[str, str]) -> None:
        self._ask(api.set_logged_model_tags, api.SetLoggedModelTags(model_id=model_id, tags=pairs(tags)))

    def delete_logged_model_tag(self, model_id: str, key: str) -> None:
        self._ask(api.delete_logged_model_tag, api.DeleteLoggedModelTag(model_id=model_id, tag_key=key))

    def log_logged_model_params(self, model_id: str, params: Mapping[str, str]) -> None:
        request = api.LogLoggedModelParams(model_id=model_id, params=pairs(params))
        self._ask(api.log_logged_model_params, request)

    def search_logged_models(
        self,
        experiment_ids: Sequence[str],
        filter_string: str | None = None,
        datasets: Sequence[Mapping[str, str]] = (),
        max_results: int = 50,
        order_by: Sequence[Mapping[str, object]] = (),
        page_token: str | None = None,
    ) -> Page[LoggedModel]:
        request = api.SearchLoggedModels(
            experiment_ids=list(experiment_ids),
            filter=filter_string,
            datasets=_typed(datasets, list[api.SearchedDataset], "datasets"),
            max_results=max_results,
            order_by=_typed(order_by, list[api.ModelOrder], "order_by"),
            page_token=page_token,
        )
        answer = self._ask(api.search_logged_models, request)
        return Page([_from_wire(each) for each in answer.models], answer.next_page_token)


def _from_wire(message: api.LoggedModelMessage) -> LoggedModel:
    model = api.from_wire(message)
    restore_infinities(model.metrics)
    return model


def _typed(values: Sequence[Mapping[str, object]], kind: type[T], field: str) -> T:
    try:
        return msgspec.convert(list(values), kind)
    except msgspec.ValidationError as error:
        raise InvalidParameterError(f"Invalid value for '{field}': {error}.") from error
