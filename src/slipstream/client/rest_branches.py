"""`RestStore`: runs that live on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from slipstream.api import branches as api
from slipstream.api.messages import KeyValue
from slipstream.client.rest_calls import RestCalls
from slipstream.entities import Metric, Page, Param, ParamVersion, RunBranch, RunCopy, RunTag


class RestBranches(RestCalls):
    if TYPE_CHECKING:  # in client/rest_runs.py

        def log_batch(
            self,
            run_id: str,
            metrics: Sequence[Metric] = (),
            params: Sequence[Param] = (),
            tags: Sequence[RunTag] = (),
        ) -> None: ...

    def branch_run(self, run_id: str, from_step: int, keys: Sequence[str] | None = None) -> RunBranch | None:
        request = api.BranchRun(run_id=run_id, from_step=from_step, keys=None if keys is None else list(keys))
        found = self._ask(api.branch_run, request).branch
        return None if found is None else api.from_wire(found)

    def get_run_branches(self, run_id: str) -> list[RunBranch]:
        answer = self._ask(api.get_run_branches, api.GetRunBranches(run_id=run_id))
        return [api.from_wire(each) for each in answer.branches]

    def get_superseded_history(
        self,
        run_id: str,
        branch: int,
        key: str,
        max_results: int | None = None,
        page_token: str | None = None,
    ) -> Page[Metric]:
        request = api.GetSupersededHistory(
            run_id=run_id, branch=branch, metric_key=key, max_results=max_results, page_token=page_token
        )
        answer = self._ask(api.get_superseded_history, request)
        return Page([api.point_from_wire(each) for each in answer.metrics], answer.next_page_token)

    def undo_branch(self, run_id: str, branch: int) -> None:
        self._ask(api.undo_branch, api.UndoBranch(run_id=run_id, branch=branch))

    def overwrite_params(self, run_id: str, params: Sequence[Param], timestamp: int | None = None) -> None:
        if (
            "branches" not in self.own_features
        ):  # MLflow's: it takes them where no value is replaced, else it says why not
            self.log_batch(run_id, params=params)
            return
        pairs = [KeyValue(each.key, each.value) for each in params]
        self._ask(api.overwrite_params, api.OverwriteParams(run_id=run_id, params=pairs, timestamp=timestamp))

    def get_param_history(self, run_id: str, key: str | None = None) -> list[ParamVersion]:
        return self._ask(api.get_param_history, api.GetParamHistory(run_id=run_id, key=key)).params

    def move_runs(self, run_ids: Sequence[str], experiment_id: str) -> list[str]:
        request = api.MoveRuns(run_ids=list(run_ids), experiment_id=experiment_id)
        return self._ask(api.move_runs, request).moved

    def copy_runs(
        self, copies: Sequence[RunCopy], experiment_id: str, *, share_files: bool = False
    ) -> list[str]:
        request = api.CopyRuns(copies=list(copies), experiment_id=experiment_id, share_files=share_files)
        return self._ask(api.copy_runs, request).run_ids
