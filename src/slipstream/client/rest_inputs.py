"""`RestStore`: what runs read and made."""

from collections.abc import Sequence

from slipstream.api import datasets as api
from slipstream.client.rest_calls import RestCalls
from slipstream.entities import DatasetInput, DatasetSummary, LoggedModelOutput


class RestInputs(RestCalls):
    def log_inputs(
        self, run_id: str, datasets: Sequence[DatasetInput] = (), models: Sequence[str] = ()
    ) -> None:
        request = api.LogInputs(
            run_id=run_id,
            datasets=[api.dataset_to_wire(each) for each in datasets],
            models=[api.ModelInputMessage(model_id) for model_id in models],
        )
        self._ask(api.log_inputs, request)

    def log_outputs(self, run_id: str, models: Sequence[LoggedModelOutput]) -> None:
        outputs = [api.ModelOutputMessage(each.model_id, each.step) for each in models]
        self._ask(api.log_outputs, api.LogOutputs(run_id=run_id, models=outputs))

    def record_model(self, run_id: str, model_json: str) -> None:
        self._ask(api.record_model, api.LogModel(run_id=run_id, model_json=model_json))

    def search_datasets(self, experiment_ids: Sequence[str]) -> list[DatasetSummary]:
        answer = self._ask(api.search_datasets, api.SearchDatasets(experiment_ids=list(experiment_ids)))
        return [api.summary_from_wire(each) for each in answer.dataset_summaries]
