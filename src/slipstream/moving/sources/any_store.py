"""What speaks the protocol of `store/base.py`, read page by page."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from slipstream.artifact_store.base import ArtifactStore
from slipstream.entities import Experiment, Metric, Page, RegisteredModel, Run, RunBranch, RunData, ViewType
from slipstream.errors import SlipstreamError
from slipstream.moving.report import Report
from slipstream.moving.source import (
    NO_PAST,
    BranchRecord,
    LoggedModelRecord,
    Past,
    RegisteredModelRecord,
    RunRecord,
    Totals,
)
from slipstream.moving.sources.mlflow_db import model_of
from slipstream.store.base import Store
from slipstream.store.import_records import ImportedVersion
from slipstream.store.imports import UNFINISHED_TAG

EXPERIMENTS_AT_ONCE = 100
_PAGE = 500
_MODELS_PAGE = 50

T = TypeVar("T")


class StoreSource:
    """Reads a store through its protocol.

    Args:
        store: only its methods that read are called.
        report: what cannot be read is noted there.
        title: what it is and where.
        points_page: how many points of a history are asked for at once.
    """

    def __init__(self, store: Store, report: Report, title: str, points_page: int) -> None:
        self._store = store
        self._report = report
        self.title = title
        self.base: Path | None = None
        self._points_page = points_page

    def totals(self) -> Totals:
        return Totals()

    def experiments(self) -> Iterator[Experiment]:
        yield from pages(
            lambda token: self._store.search_experiments(
                ViewType.ALL, 1000, None, ["experiment_id ASC"], token
            )
        )

    def runs(self, experiment_ids: Sequence[str]) -> Iterator[RunRecord]:
        for ids in chunks(experiment_ids, EXPERIMENTS_AT_ONCE):
            token: str | None = None
            while True:
                page = self._search_runs(ids, token)
                pasts = self.pasts(page.items)
                for run in self.whole_runs(page.items):
                    if UNFINISHED_TAG in run.data.tags:
                        self._report.fail(
                            "run", run.info.run_id, "an import of it into that store has not ended"
                        )
                        continue
                    keys = [point.key for point in run.data.latest_metrics]
                    data = RunData(params=run.data.params, tags=run.data.tags)
                    points = partial(self.points, run.info.run_id, keys)
                    past = pasts.get(run.info.run_id, NO_PAST)
                    yield RunRecord(msgspec.structs.replace(run, data=data), points, past=past)
                token = page.token
                if not token:
                    break

    def whole_runs(self, found: Sequence[Run]) -> Iterator[Run]:
        """Yield runs that a search gave, with what searches leave out."""
        yield from found

    def pasts(self, found: Sequence[Run]) -> dict[str, Past]:
        """Return what some runs were before, by id; of MLflow's there is none."""
        raise NotImplementedError

    def past(self, run_id: str) -> Past:
        """Ask what a run was before."""
        earlier = [each for each in self._store.get_param_history(run_id) if each.replaced_time is not None]
        branches = [
            BranchRecord(
                msgspec.structs.replace(each, latest_metrics=[]),
                partial(self._superseded, run_id, each),
            )
            for each in self._store.get_run_branches(run_id)
        ]
        return Past(earlier, branches)

    def _superseded(self, run_id: str, branch: RunBranch) -> Iterator[Sequence[Metric]]:
        for each in branch.latest_metrics:
            token: str | None = None
            while True:
                page = self._store.get_superseded_history(
                    run_id, branch.number, each.key, self._points_page, token
                )
                if page.items:
                    yield page.items
                token = page.token
                if not token:
                    break

    def _search_runs(self, ids: Sequence[str], token: str | None) -> Page[Run]:
        # The oldest first: where pages are counted, a run that begins meanwhile comes last and moves no other.
        order = ["attributes.start_time ASC"]
        return self._store.search_runs(ids, None, ViewType.ALL, _PAGE, order, token)

    def points(self, run_id: str, keys: Sequence[str]) -> Iterator[Sequence[Metric]]:
        for key in keys:
            yield from self.history(run_id, key)

    def history(self, run_id: str, key: str) -> Iterator[Sequence[Metric]]:
        token: str | None = None
        while True:
            page = self._store.get_metric_history(run_id, key, self._points_page, token)
            if page.items:
                yield page.items
            token = page.token
            if not token:
                return

    def logged_models(self, experiment_ids: Sequence[str]) -> Iterator[LoggedModelRecord]:
        for ids in chunks(experiment_ids, EXPERIMENTS_AT_ONCE):
            for model in pages(
                lambda token, ids=ids: self._store.search_logged_models(
                    ids, max_results=_MODELS_PAGE, page_token=token
                )
            ):
                yield LoggedModelRecord(model)

    def registered_models(self) -> Iterator[RegisteredModelRecord]:
        for model in pages(
            lambda token: self._store.search_registered_models(max_results=100, page_token=token)
        ):
            try:
                yield self.registered_model(model)
            except SlipstreamError as error:
                self._report.fail("registered model", f"'{model.name}'", error)

    def registered_model(self, model: RegisteredModel) -> RegisteredModelRecord:
        """Return a registered model with its versions."""
        quoted = model.name.replace("'", "''")
        text = f"name='{quoted}'" if "'" not in model.name else f'name="{model.name}"'
        versions: list[ImportedVersion] = []
        for version in pages(
            lambda token: self._store.search_model_versions(text, 1000, ["version_number ASC"], token)
        ):
            whole = msgspec.structs.replace(version, model_id=version.model_id or model_of(version.source))
            place = self._store.get_model_version_download_uri(model.name, version.version)
            versions.append(ImportedVersion(version=whole, storage_location=place))
        last = max((int(each.version.version) for each in versions), default=0)
        return RegisteredModelRecord(model, versions, last)

    def note_left_out(self) -> None:
        count = sum(1 for _ in pages(lambda token: self._store.search_webhooks(100, token)))
        self._report.leave("webhooks", count, "nobody can read their secrets; create them anew")

    def own_places(self) -> list[str]:
        raise NotImplementedError

    def artifacts(self, uri: str) -> ArtifactStore:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


def pages(ask: Callable[[str | None], Page[T]]) -> Iterator[T]:
    """Yield what all pages of a search hold; `ask` gets the token of a page."""
    token: str | None = None
    while True:
        page = ask(token)
        yield from page.items
        token = page.token
        if not token:
            return


def chunks(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]
