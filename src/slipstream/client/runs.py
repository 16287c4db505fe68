"""`SlipstreamClient`: runs and what is logged to them, except files.

`synchronous` is accepted everywhere and changes nothing: when a call has returned, its values are stored.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from slipstream.client.calls import Calls
from slipstream.client.paging import PagedList, paged
from slipstream.client.resumed_runs import may_overwrite_params
from slipstream.client.values import (
    MILLISECONDS,
    require_pairs,
    require_text,
    to_float,
    to_int64,
    to_text,
    to_text_map,
)
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
from slipstream.rules.limits import INT64_MAX, INT64_MIN
from slipstream.rules.params import check_params

PARENT_RUN_TAG = "mlflow.parentRunId"
USER_TAG = "mlflow.user"
RUN_NAME_TAG = "mlflow.runName"

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
            experiment_id=to_text(experiment_id, "experiment_id"),
            user_id=texts.get(USER_TAG, "unknown"),
            run_name=None if run_name is None else require_text(run_name, "run_name"),
            start_time=_time(start_time, "start_time"),
            tags=[RunTag(key, value) for key, value in texts.items()],
        )

    def get_run(self, run_id: str) -> Run:
        return self._store.get_run(require_text(run_id, "run_id"))

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
            [to_text(each, "experiment_ids") for each in ids],
            filter_string or None,
            to_view(run_view_type, "run_view_type"),
            to_int64(max_results, "max_results"),
            order_by or (),
            page_token,
        )
        return paged(page)

    def update_run(self, run_id: str, status: str | None = None, name: str | None = None) -> None:
        self._store.update_run(
            require_text(run_id, "run_id"),
            None if status is None else to_status(status),
            None,
            None if name is None else require_text(name, "name"),
        )

    def set_terminated(self, run_id: str, status: str | None = None, end_time: int | None = None) -> None:
        """End a run; FINISHED and now unless told otherwise."""
        ended = _time(end_time, "end_time")
        self._store.update_run(require_text(run_id, "run_id"), to_status(status or RunStatus.FINISHED), ended)

    def delete_run(self, run_id: str) -> None:
        self._store.delete_run(require_text(run_id, "run_id"))

    def restore_run(self, run_id: str) -> None:
        self._store.restore_run(require_text(run_id, "run_id"))

    # -- params, metrics, tags ----------------------------------------------------------------------

    def log_param(
        self,
        run_id: str,
        key: str,
        value: Any,
        synchronous: bool | None = None,
        *,
        overwrite: bool | None = None,
    ) -> Any:
        """Log a param as text and return the value as given.

        Args:
            run_id: the run.
            key: name of the param.
            value: anything that has a text.
            synchronous: accepted.
            overwrite: replace another value, which is kept: `get_param_history`. By default only in a run that this program
                made active by `slipstream.resume`.

        Raises:
            InvalidParameterError: the run has this param with another value, which is not to be replaced, or the key is not
                a text.
        """
        text = to_text(value, "value")
        if may_overwrite_params(run_id, overwrite):
            self.overwrite_params(run_id, {key: text})
            return value
        self._store.log_param(require_text(run_id, "run_id"), require_text(key, "key"), text)
        return value

    def overwrite_params(self, run_id: str, params: Mapping[str, Any]) -> None:
        """Log params, over other values if need be; these are kept: `get_param_history`."""
        pairs = require_pairs(params, "params")
        self._store.overwrite_params(
            require_text(run_id, "run_id"),
            [Param(require_text(key, "key"), to_text(value, "value")) for key, value in pairs.items()],
        )

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
        """Log one point, of now and of step 0 unless told otherwise.

        Raises:
            InvalidParameterError: key, value, step or timestamp is not what it has to be; names which.
        """
        self._store.log_metric(
            require_text(run_id, "run_id"),
            Metric(
                key=require_text(key, "key"),
                value=to_float(key, value),
                timestamp=now_ms() if timestamp is None else to_int64(timestamp, "timestamp", MILLISECONDS),
                step=0 if step is None else to_int64(step, "step"),
                model_id=None if model_id is None else require_text(model_id, "model_id"),
                dataset_name=None if dataset_name is None else require_text(dataset_name, "dataset_name"),
                dataset_digest=None
                if dataset_digest is None
                else require_text(dataset_digest, "dataset_digest"),
            ),
        )

    def log_batch(
        self,
        run_id: str,
        metrics: Sequence[Metric] = (),
        params: Sequence[Param] = (),
        tags: Sequence[RunTag] = (),
        synchronous: bool | None = None,
        *,
        overwrite: bool | None = None,
    ) -> None:
        """Log any number of values.

        In process, all of them or none. A slipstream server gets some megabytes a request, an MLflow server 1,000
        values with at most 100 params and 100 tags; each request is stored whole or not at all, and those before
        one that fails stay. Params go first, as they are what can clash.

        Params may replace other values where `log_param` would; they are stored by themselves then, after the others.
        """
        run_id = require_text(run_id, "run_id")
        points = [_checked(point) for point in metrics]
        pairs = [Param(require_text(each.key, "key"), to_text(each.value, "value")) for each in params]
        texts = [RunTag(require_text(each.key, "key"), to_text(each.value, "value")) for each in tags]
        if not pairs or not may_overwrite_params(run_id, overwrite):
            self._store.log_batch(run_id, points, pairs, texts)
            return
        check_params(pairs)  # so that nothing is stored where they would be refused
        if points or texts:
            self._store.log_batch(run_id, points, (), texts)
        self._store.overwrite_params(run_id, pairs)

    def get_metric_history(self, run_id: str, key: str, *, branch: int | None = None) -> PagedList[Metric]:
        """Return all points of a metric, whatever their number, by (timestamp, step, value).

        With `branch` those that the run left behind in this branch, instead of those that count: see `get_run_branches`.
        """
        run_id, key = require_text(run_id, "run_id"), require_text(key, "key")
        points: PagedList[Metric] = PagedList()
        token: str | None = None
        while True:
            if branch is None:
                page = self._store.get_metric_history(run_id, key, HISTORY_PAGE, token)
            else:
                number = to_int64(branch, "branch")
                page = self._store.get_superseded_history(run_id, number, key, HISTORY_PAGE, token)
            points.extend(page.items)
            if (token := page.token) is None:
                return points

    def set_tag(self, run_id: str, key: str, value: Any, synchronous: bool | None = None) -> None:
        text = to_text(value, "value")
        self._store.set_tag(require_text(run_id, "run_id"), require_text(key, "key"), text)

    def delete_tag(self, run_id: str, key: str) -> None:
        self._store.delete_tag(require_text(run_id, "run_id"), require_text(key, "key"))

    # -- inputs and outputs -------------------------------------------------------------------------

    def log_inputs(
        self,
        run_id: str,
        datasets: Sequence[DatasetInput] | None = None,
        models: Sequence[LoggedModelInput] | None = None,
    ) -> None:
        for each in datasets or ():
            _check_dataset(each)
        self._store.log_inputs(
            require_text(run_id, "run_id"),
            datasets or (),
            [require_text(model.model_id, "model_id") for model in models or ()],
        )

    def log_outputs(self, run_id: str, models: Sequence[LoggedModelOutput]) -> None:
        self._store.log_outputs(
            require_text(run_id, "run_id"),
            [
                LoggedModelOutput(require_text(each.model_id, "model_id"), to_int64(each.step, "step"))
                for each in models
            ],
        )


def to_status(status: str) -> str:
    """Return the name of a run's status, which is checked."""
    try:
        return RunStatus(status).value
    except ValueError as error:
        known = ", ".join(each.value for each in RunStatus)
        raise InvalidParameterError(f"Run status '{status}' is not one of {known}.") from error


def to_view(view: int, field: str) -> ViewType:
    """Return which lifecycle stages a number of `ViewType` means."""
    try:
        return ViewType(view)
    except ValueError as error:
        known = ", ".join(f"ViewType.{each.name}" for each in ViewType)
        raise InvalidParameterError(f"Invalid value {view!r} for '{field}': use one of {known}.") from error


def _time(given: Any, field: str) -> int:
    # 0 is now, as in MLflow.
    return now_ms() if given is None else to_int64(given, field, MILLISECONDS) or now_ms()


def _checked(point: Metric) -> Metric:
    """Return a point as it can be stored, itself if it can; MLflow's users put numpy's numbers into points."""
    key, timestamp, step = point.key, point.timestamp, point.step
    if (  # what nearly all points are, asked without calls since batches are long
        type(key) is str
        and key.isascii()
        and type(point.value) is float
        and type(timestamp) is type(step) is int
        and INT64_MIN <= timestamp <= INT64_MAX
        and INT64_MIN <= step <= INT64_MAX
        and point.model_id is None
        and point.dataset_name is None
        and point.dataset_digest is None
    ):
        return point
    key = require_text(key, "key")
    value = to_float(key, point.value)
    timestamp = to_int64(timestamp, "timestamp", MILLISECONDS)
    step = to_int64(step, "step")
    import msgspec

    texts = {
        field: require_text(text, field)
        for field in ("model_id", "dataset_name", "dataset_digest")
        if (text := getattr(point, field)) is not None
    }
    return msgspec.structs.replace(point, key=key, value=value, timestamp=timestamp, step=step, **texts)


def _check_dataset(given: DatasetInput) -> None:
    dataset = given.dataset
    for field in ("name", "digest", "source_type", "source", "schema", "profile"):
        if getattr(dataset, field) is not None:
            require_text(getattr(dataset, field), field)
    for tag in given.tags:
        require_text(tag.key, "tags.key")
        require_text(tag.value, "tags.value")
