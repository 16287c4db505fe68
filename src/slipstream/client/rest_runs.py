"""`RestStore`: runs, metrics, params and tags."""

from collections.abc import Callable, Sequence
from typing import Any

from slipstream.api import batches as own_api
from slipstream.api import metrics as metrics_api
from slipstream.api import runs as api
from slipstream.api.messages import KeyValue
from slipstream.api.routing import Empty
from slipstream.client.batches import Batch, cut_by_bytes, cut_for_mlflow, fits_mlflow
from slipstream.client.rest_calls import RestCalls, restore_infinities
from slipstream.entities import Metric, Page, Param, Run, RunInfo, RunTag, ViewType
from slipstream.wire.numbers import from_wire as double_from_wire


class RestRuns(RestCalls):
    def create_run(
        self,
        experiment_id: str,
        user_id: str = "",
        run_name: str | None = None,
        start_time: int = 0,
        tags: Sequence[RunTag] = (),
    ) -> Run:
        request = api.CreateRun(
            experiment_id=experiment_id,
            user_id=user_id,
            run_name=run_name,
            start_time=start_time,
            tags=[KeyValue(tag.key, tag.value) for tag in tags],
        )
        return api.from_wire(self._ask(api.create_run, request).run)

    def get_run(self, run_id: str) -> Run:
        return _run_from_wire(self._ask(api.get_run, api.GetRun(run_id=run_id)).run)

    def update_run(
        self, run_id: str, status: str | None = None, end_time: int | None = None, run_name: str | None = None
    ) -> RunInfo:
        request = api.UpdateRun(run_id=run_id, status=status, end_time=end_time, run_name=run_name)
        return api.info_from_wire(self._ask(api.update_run, request).run_info)

    def delete_run(self, run_id: str) -> None:
        self._ask(api.delete_run, api.DeleteRun(run_id=run_id))

    def restore_run(self, run_id: str) -> None:
        self._ask(api.restore_run, api.RestoreRun(run_id=run_id))

    def search_runs(
        self,
        experiment_ids: Sequence[str],
        filter_string: str | None = None,
        run_view_type: ViewType = ViewType.ACTIVE_ONLY,
        max_results: int = 1000,
        order_by: Sequence[str] = (),
        page_token: str | None = None,
    ) -> Page[Run]:
        request = api.SearchRuns(
            experiment_ids=list(experiment_ids),
            filter=filter_string,
            run_view_type=run_view_type.name,
            max_results=max_results,
            order_by=list(order_by),
            page_token=page_token,
        )
        answer = self._ask(api.search_runs, request)
        return Page([_run_from_wire(each) for each in answer.runs], answer.next_page_token)

    def search_encoded_runs(
        self,
        encode: Callable[[Run], bytes],
        experiment_ids: Sequence[str],
        filter_string: str | None = None,
        run_view_type: ViewType = ViewType.ACTIVE_ONLY,
        max_results: int = 1000,
        order_by: Sequence[str] = (),
        page_token: str | None = None,
    ) -> Page[bytes]:
        page = self.search_runs(
            experiment_ids, filter_string, run_view_type, max_results, order_by, page_token
        )
        return Page([encode(run) for run in page.items], page.token)

    def log_batch(
        self,
        run_id: str,
        metrics: Sequence[Metric] = (),
        params: Sequence[Param] = (),
        tags: Sequence[RunTag] = (),
    ) -> None:
        batch = Batch(metrics, params, tags)
        if fits_mlflow(batch):  # what every server takes, and ours on its short way
            self._log_batch(api.log_batch, run_id, batch)
        elif "log-batch" in self.own_features:
            for part in cut_by_bytes(batch):
                self._log_batch(own_api.log_large_batch, run_id, part)
        else:
            for part in cut_for_mlflow(batch):
                self._log_batch(api.log_batch, run_id, part)

    def _log_batch(self, handler: Callable[[Any, api.LogBatch], Empty], run_id: str, batch: Batch) -> None:
        request = api.LogBatch(
            run_id=run_id,
            metrics=[
                api.BatchMetric(
                    key=point.key,
                    value=point.value,
                    timestamp=point.timestamp,
                    step=point.step,
                    model_id=point.model_id,
                    dataset_name=point.dataset_name,
                    dataset_digest=point.dataset_digest,
                )
                for point in batch.metrics
            ],
            params=[KeyValue(param.key, param.value) for param in batch.params],
            tags=[KeyValue(tag.key, tag.value) for tag in batch.tags],
        )
        self._ask(handler, request)

    def log_metric(self, run_id: str, metric: Metric) -> None:
        request = metrics_api.LogMetric(
            run_id=run_id,
            key=metric.key,
            value=metric.value,
            timestamp=metric.timestamp,
            step=metric.step,
            model_id=metric.model_id,
            dataset_name=metric.dataset_name,
            dataset_digest=metric.dataset_digest,
        )
        self._ask(metrics_api.log_metric, request)

    def log_param(self, run_id: str, key: str, value: str) -> None:
        self._ask(api.log_param, api.LogParam(run_id=run_id, key=key, value=value))

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        self._ask(api.set_tag, api.SetTag(run_id=run_id, key=key, value=value))

    def delete_tag(self, run_id: str, key: str) -> None:
        self._ask(api.delete_tag, api.DeleteTag(run_id=run_id, key=key))

    def get_metric_history(
        self, run_id: str, key: str, max_results: int | None = None, page_token: str | None = None
    ) -> Page[Metric]:
        request = metrics_api.GetMetricHistory(
            run_id=run_id, metric_key=key, max_results=max_results, page_token=page_token
        )
        answer = self._ask(metrics_api.get_metric_history, request)
        points = restore_infinities(
            [
                Metric(each.key, double_from_wire(each.value), each.timestamp, each.step)
                for each in answer.metrics
            ]
        )
        return Page(points, answer.next_page_token)

    def get_metric_history_bulk(self, run_ids: Sequence[str], key: str, max_results: int) -> list[Metric]:
        """Return points of many runs; asked for run by run, since the route for many answers NaN bare."""
        points: list[Metric] = []
        for run_id in sorted(run_ids):
            if len(points) >= max_results:
                break
            page = self.get_metric_history(run_id, key, max_results - len(points))
            points.extend(_of_run(point, run_id) for point in page.items)
        return points

    def get_metric_history_interval(
        self,
        run_ids: Sequence[str],
        key: str,
        start_step: int | None = None,
        end_step: int | None = None,
        max_results: int = 2500,
    ) -> list[Metric]:
        request = metrics_api.GetMetricHistoryInterval(
            run_ids=list(run_ids),
            metric_key=key,
            start_step=start_step,
            end_step=end_step,
            max_results=max_results,
        )
        answer = self._ask(metrics_api.get_metric_history_interval, request)
        return restore_infinities(
            [
                Metric(
                    key=each.key,
                    value=double_from_wire(each.value),
                    timestamp=each.timestamp,
                    step=each.step or 0,
                    run_id=each.run_id,
                )
                for each in answer.metrics
            ]
        )


def _run_from_wire(message: api.RunMessage) -> Run:
    run = api.from_wire(message)
    restore_infinities(run.data.latest_metrics)
    return run


def _of_run(point: Metric, run_id: str) -> Metric:
    return Metric(point.key, point.value, point.timestamp, point.step, run_id=run_id)
