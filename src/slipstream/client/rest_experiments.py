"""`RestStore`: experiments."""

from collections.abc import Mapping, Sequence

from slipstream.api import experiments as api
from slipstream.api.messages import pairs
from slipstream.client.rest_calls import RestCalls
from slipstream.entities import Experiment, Page, ViewType
from slipstream.errors import NotFoundError


class RestExperiments(RestCalls):
    def create_experiment(
        self, name: str, artifact_location: str | None = None, tags: Mapping[str, str] | None = None
    ) -> str:
        request = api.CreateExperiment(name=name, artifact_location=artifact_location, tags=pairs(tags or {}))
        return self._ask(api.create_experiment, request).experiment_id

    def get_experiment(self, experiment_id: str) -> Experiment:
        answer = self._ask(api.get_experiment, api.GetExperiment(experiment_id=experiment_id))
        return api.from_wire(answer.experiment)

    def find_experiment_by_name(self, name: str) -> Experiment | None:
        try:
            answer = self._ask(api.get_experiment_by_name, api.GetExperimentByName(experiment_name=name))
        except NotFoundError:
            return None
        return api.from_wire(answer.experiment)

    def rename_experiment(self, experiment_id: str, new_name: str) -> None:
        self._ask(api.update_experiment, api.UpdateExperiment(experiment_id=experiment_id, new_name=new_name))

    def delete_experiment(self, experiment_id: str) -> None:
        self._ask(api.delete_experiment, api.DeleteExperiment(experiment_id=experiment_id))

    def restore_experiment(self, experiment_id: str) -> None:
        self._ask(api.restore_experiment, api.RestoreExperiment(experiment_id=experiment_id))

    def search_experiments(
        self,
        view_type: ViewType = ViewType.ACTIVE_ONLY,
        max_results: int = 1000,
        filter_string: str | None = None,
        order_by: Sequence[str] = (),
        page_token: str | None = None,
    ) -> Page[Experiment]:
        request = api.SearchExperiments(
            max_results=max_results,
            filter=filter_string,
            order_by=list(order_by),
            page_token=page_token,
            view_type=view_type.name,
        )
        answer = self._ask(api.search_experiments, request)
        return Page([api.from_wire(each) for each in answer.experiments], answer.next_page_token)

    def set_experiment_tag(self, experiment_id: str, key: str, value: str) -> None:
        request = api.SetExperimentTag(experiment_id=experiment_id, key=key, value=value)
        self._ask(api.set_experiment_tag, request)

    def delete_experiment_tag(self, experiment_id: str, key: str) -> None:
        self._ask(api.delete_experiment_tag, api.DeleteExperimentTag(experiment_id=experiment_id, key=key))
