"""A tracking server of MLflow's or slipstream's, asked over HTTP.

What its API does not tell cannot be taken: deleted logged models, and which numbers deleted model versions had.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import msgspec

from slipstream.artifact_store.base import ArtifactStore
from slipstream.client.rest import RestStore
from slipstream.client.storage import open_artifacts
from slipstream.client.transport import Transport
from slipstream.entities import Metric, Page, Run
from slipstream.errors import (
    ConnectionFailedError,
    EndpointNotFoundError,
    NotFoundError,
    NotImplementedByServerError,
    SlipstreamError,
)
from slipstream.moving.report import Report
from slipstream.moving.source import NO_PAST, LoggedModelRecord, Past
from slipstream.moving.sources.any_store import EXPERIMENTS_AT_ONCE, StoreSource, chunks

_AT_ONCE = 8
_POINTS = 10_000
_TRACES_PAGE = 500
_MOST_TRACE_PAGES = 200
_ABSENT = (EndpointNotFoundError, NotFoundError, NotImplementedByServerError)


class TrackingServer(StoreSource):
    """Asks a server.

    Args:
        address: its `http(s)://` address. Name, password or token are those of the settings.
        report: what cannot be read is noted there.
    """

    def __init__(self, address: str, report: Report) -> None:
        self._transport = Transport(address)
        self._elsewhere: dict[str, Transport] = {}
        self._rest = RestStore(self._transport)
        super().__init__(self._rest, report, f"the server {self._transport.base_url}", points_page=_POINTS)
        self._threads = ThreadPoolExecutor(_AT_ONCE, "slipstream-import")
        self._experiments: list[str] = []
        version = self._transport.call("GET", "/version").decode("utf-8", "replace").strip()
        self.title += f" (version {version[:40]})"
        self._is_old = version.startswith(("1.", "2."))

    def whole_runs(self, found: Sequence[Run]) -> Iterator[Run]:
        """Ask for each run: the search of MLflow 3 leaves out which models it read."""
        if self._is_old:
            yield from found
            return
        for run, whole in zip(found, self._threads.map(self._find_run, found), strict=True):
            if isinstance(whole, SlipstreamError):
                self._report.fail("run", run.info.run_id, whole)
            else:
                yield whole

    def _find_run(self, run: Run) -> Run | SlipstreamError:
        try:
            return self._store.get_run(run.info.run_id)
        except ConnectionFailedError:
            raise
        except SlipstreamError as error:
            return error

    def pasts(self, found: Sequence[Run]) -> dict[str, Past]:
        """Ask for each run, if the server is slipstream's."""
        if "branches" not in self._rest.own_features:
            return {}
        ids = [run.info.run_id for run in found]
        return dict(zip(ids, self._threads.map(self._find_past, ids), strict=True))

    def _find_past(self, run_id: str) -> Past:
        try:
            return self.past(run_id)
        except ConnectionFailedError:
            raise
        except SlipstreamError as error:
            self._report.fail("run", f"{run_id}, what it was before", error)
            return NO_PAST

    def points(self, run_id: str, keys: Sequence[str]) -> Iterator[Sequence[Metric]]:
        """Ask for several histories at once, and go on with those that are longer than a page."""
        first: Callable[[str], Page[Metric]] = lambda key: self._store.get_metric_history(  # noqa: E731
            run_id, key, self._points_page
        )
        for some in chunks(keys, _AT_ONCE):
            for key, page in zip(some, self._threads.map(first, some), strict=True):
                yield page.items
                token = page.token
                while token:
                    page = self._store.get_metric_history(run_id, key, self._points_page, token)  # noqa: PLW2901
                    yield page.items
                    token = page.token

    def logged_models(self, experiment_ids: Sequence[str]) -> Iterator[LoggedModelRecord]:
        self._experiments = list(experiment_ids)
        try:
            yield from super().logged_models(experiment_ids)
        except _ABSENT:  # MLflow 2
            return

    def note_left_out(self) -> None:
        try:
            super().note_left_out()
        except _ABSENT:  # before MLflow 3.3
            self._report.notes.append("The server has no webhooks.")
        for ids in chunks(self._experiments, EXPERIMENTS_AT_ONCE):
            count, is_all = self._count_traces(ids)
            kind = "traces" if is_all else "traces, at least"
            self._report.leave(kind, count, "slipstream keeps no traces yet")
        self._report.notes.append(
            "A server does not tell of logged models that were deleted; its database does. Import that to have them."
        )

    def _count_traces(self, ids: Sequence[str]) -> tuple[int, bool]:
        """Return how many traces some experiments have, and whether that is all."""
        locations = [
            {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": each}} for each in ids
        ]
        count, token = 0, None
        for _ in range(_MOST_TRACE_PAGES):
            asked: dict[str, Any] = {"locations": locations, "max_results": _TRACES_PAGE}
            if token:
                asked["page_token"] = token
            try:
                answer = self._transport.call(
                    "POST", "/api/3.0/mlflow/traces/search", body=msgspec.json.encode(asked)
                )
            except SlipstreamError as error:  # before MLflow 3, and what keeps no traces
                if isinstance(error, _ABSENT):
                    return count, True
                self._report.fail("traces", "of the server", f"they could not be counted: {error}")
                return count, True
            document = cast("dict[str, Any]", msgspec.json.decode(answer or b"{}"))
            count += len(document.get("traces") or [])
            token = document.get("next_page_token")
            if not token:
                return count, True
        return count, False

    def own_places(self) -> list[str]:
        return ["mlflow-artifacts:/", self._transport.base_url + "/api/2.0/mlflow-artifacts/artifacts"]

    def artifacts(self, uri: str) -> ArtifactStore:
        return open_artifacts(
            uri,
            self._transport,
            lambda server: self._elsewhere.setdefault(server, Transport(server, identify=False)),
        )

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)
        for transport in (self._transport, *self._elsewhere.values()):
            transport.close()
