"""`SlipstreamClient`: experiments."""

from collections.abc import Mapping, Sequence
from typing import Any

from slipstream.client.calls import Calls
from slipstream.client.paging import PagedList, paged
from slipstream.client.runs import to_view
from slipstream.client.values import require_text, to_int64, to_text, to_text_map
from slipstream.entities import Experiment, ViewType


class ExperimentCalls(Calls):
    def create_experiment(
        self, name: str, artifact_location: str | None = None, tags: Mapping[str, Any] | None = None
    ) -> str:
        """Create an experiment and return its id.

        Raises:
            AlreadyExistsError: the name is taken, be it by a deleted experiment.
        """
        location = None if artifact_location is None else to_text(artifact_location, "artifact_location")
        return self._store.create_experiment(require_text(name, "name"), location, to_text_map(tags))

    def get_experiment(self, experiment_id: str) -> Experiment:
        return self._store.get_experiment(_id(experiment_id))

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        return self._store.find_experiment_by_name(require_text(name, "name"))

    def search_experiments(
        self,
        view_type: int = ViewType.ACTIVE_ONLY,
        max_results: int | None = 1000,
        filter_string: str | None = None,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[Experiment]:
        page = self._store.search_experiments(
            to_view(view_type, "view_type"),
            1000 if max_results is None else to_int64(max_results, "max_results") or 1000,
            filter_string,
            order_by or (),
            page_token,
        )
        return paged(page)

    def rename_experiment(self, experiment_id: str, new_name: str) -> None:
        self._store.rename_experiment(_id(experiment_id), require_text(new_name, "new_name"))

    def delete_experiment(self, experiment_id: str) -> None:
        self._store.delete_experiment(_id(experiment_id))

    def restore_experiment(self, experiment_id: str) -> None:
        self._store.restore_experiment(_id(experiment_id))

    def set_experiment_tag(self, experiment_id: str, key: str, value: Any) -> None:
        text = to_text(value, "value")
        self._store.set_experiment_tag(_id(experiment_id), require_text(key, "key"), text)

    def delete_experiment_tag(self, experiment_id: str, key: str) -> None:
        self._store.delete_experiment_tag(_id(experiment_id), require_text(key, "key"))


def _id(experiment_id: Any) -> str:
    return to_text(experiment_id, "experiment_id")
