"""`SlipstreamClient`: runs and what is logged to them, except files.

`synchronous` is accepted everywhere and changes nothing: when a call has returned, its values are stored.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from slipstream.client.calls import Calls
from slipstream.client.paging import PagedList, paged
from slipstream.client.values import to_float, to_text_map
from slipstream.clock import now_ms
from slipstream.entities import (
    DatasetInput,
    LoggedModelInput,
    LoggedModelOutput,
    Metric,
    Param,
    Run,
    RunStatus,
    RunTag,
    ViewType,
)
from slipstream.errors import InvalidParameterError

PARENT_RUN_TAG = "mlflow.parentRunId"
USER_TAG = "mlflow.user"
RUN_NAME_TAG = "mlflow.runName"

# What one log-batch request may hold, here and on an MLflow server.
BATCH_TOTAL = 1000
BATCH_PARAMS = 100
BATCH_TAGS = 100
HISTORY_PAGE = 25_000


class RunCalls(Calls):
    def create_run(
        self,
        experiment_id: str,
        start_time: int | None = None,
        tags: Mapping[str, Any] | None = None,
        run_name: str | None = None,
    ) -> Run:
        """Create a RUNNING run without making it the active one; it stays RUNNING until `set_terminated`."""
        texts = to_text_map(tags)
        return self._store.create_run(
            experiment_id=str(experiment_id),
            user_id=texts.get(USER_TAG, "unknown"),
            run_name=run_name,
            start_time=start_time or now_ms(),
            tags=[RunTag(key, value) for key, value in texts.items()],
        )

    def get_run(self, run_id: str) -> Run:
        return self._store.get_run(run_id)

    def get_parent_run(self, run_id: str) -> Run | None:
        """Return the run that a nested run belongs to, `None` for a run that is not nested."""
        parent = self.get_run(run_id).data.tags.get(PARENT_RUN_TAG)
        return None if parent is None else self.get_run(parent)

    def search_runs(
        self,
        experiment_ids: Sequence[str],
        filter_string: str = "",
        run_view_type: int = ViewType.ACTIVE_ONLY,
        max_results: int = 1000,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[Run]:
        ids = [experiment_ids] if isinstance(experiment_ids, (str, int)) else experiment_ids
        page = self._store.search_runs(
            [str(each) for each in ids],
            filter_string or None,
            ViewType(run_view_type),
            max_results,
            order_by or (),
            page_token,
        )
        return paged(page)

    def update_run(self, run_id: str, status: str | None = None, name: str | None = None) -> None:
        self._store.update_run(run_id, None if status is None else _status(status), None, name)

    def set_terminated(self, run_id: str, status: str | None = None, end_time: int | None = None) -> None:
        """End a run; FINISHED and now unless told otherwise."""
        self._store.update_run(run_id, _status(status or RunStatus.FINISHED), end_time or now_ms())

    def delete_run(self, run_id: str) -> None:
        self._store.delete_run(run_id)

    def restore_run(self, run_id: str) -> None:
        self._store.restore_run(run_id)

    # -- params, metrics, tags ----------------------------------------------------------------------

    def log_param(self, run_id: str, key: str, value: Any, synchronous: bool | None = None) -> Any:
        """Log a param as text and return the value as given.

        Raises:
            InvalidParameterError: the run has this param with another value.
        """
        self._store.log_param(run_id, key, str(value))
        return value

    def log_metric(
        self,
        run_id: str,
        key: str,
        value: Any,
        timestamp: int | None = None,
        step: int | None = None,
        synchronous: bool | None = None,
        dataset_name: str | None = None,
        dataset_digest: str | None = None,
        model_id: str | None = None,
    ) -> None:
        """Log one point, of now and of step 0 unless told otherwise."""
        self._store.log_metric(
            run_id,
            Metric(
                key=key,
                value=to_float(key, value),
                timestamp=now_ms() if timestamp is None else timestamp,
                step=step or 0,
                model_id=model_id,
                dataset_name=dataset_name,
                dataset_digest=dataset_digest,
            ),
        )

    def log_batch(
        self,
        run_id: str,
        metrics: Sequence[Metric] = (),
        params: Sequence[Param] = (),
        tags: Sequence[RunTag] = (),
        synchronous: bool | None = None,
    ) -> None:
        """Log any number of values, in requests as large as a server takes.

        Up to 1000 values with at most 100 params and 100 tags are one request and logged all or not at all;
        of more, the requests before the one that fails stay. Params go first, as they are what can clash.
        """
        points = [_with_float(point) for point in metrics]
        all_params = [Param(each.key, str(each.value)) for each in params]
        all_tags = [RunTag(each.key, str(each.value)) for each in tags]
        while True:
            some_params = all_params[:BATCH_PARAMS]
            some_tags = all_tags[:BATCH_TAGS]
            room = BATCH_TOTAL - len(some_params) - len(some_tags)
            # Points wait until the last params are in, so that a clash leaves none behind.
            some_points = points[:room] if len(all_params) <= BATCH_PARAMS else []
            self._store.log_batch(run_id, some_points, some_params, some_tags)
            all_params = all_params[BATCH_PARAMS:]
            all_tags = all_tags[BATCH_TAGS:]
            points = points[len(some_points) :]
            if not (all_params or all_tags or points):
                return

    def get_metric_history(self, run_id: str, key: str) -> PagedList[Metric]:
        """Return all points of a metric, whatever their number, by (timestamp, step, value)."""
        points: PagedList[Metric] = PagedList()
        token: str | None = None
        while True:
            page = self._store.get_metric_history(run_id, key, HISTORY_PAGE, token)
            points.extend(page.items)
            if (token := page.token) is None:
                return points

    def set_tag(self, run_id: str, key: str, value: Any, synchronous: bool | None = None) -> None:
        self._store.set_tag(run_id, key, str(value))

    def delete_tag(self, run_id: str, key: str) -> None:
        self._store.delete_tag(run_id, key)

    # -- inputs and outputs -------------------------------------------------------------------------

    def log_inputs(
        self,
        run_id: str,
        datasets: Sequence[DatasetInput] | None = None,
        models: Sequence[LoggedModelInput] | None = None,
    ) -> None:
        self._store.log_inputs(run_id, datasets or (), [model.model_id for model in models or ()])

    def log_outputs(self, run_id: str, models: Sequence[LoggedModelOutput]) -> None:
        self._store.log_outputs(run_id, models)


def _status(status: str) -> str:
    try:
        return RunStatus(status).value
    except ValueError as error:
        known = ", ".join(each.value for each in RunStatus)
        raise InvalidParameterError(f"Run status '{status}' is not one of {known}.") from error


def _with_float(point: Metric) -> Metric:
    if type(point.value) is float:
        return point
    import msgspec

    return msgspec.structs.replace(point, value=to_float(point.key, point.value))
