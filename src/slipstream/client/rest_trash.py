"""`RestStore`: the trash."""

from collections.abc import Mapping

from slipstream.api import trash as api
from slipstream.api.experiments import CreateExperiment
from slipstream.api.messages import pairs
from slipstream.client.rest_calls import RestCalls
from slipstream.entities import OrphanReport, Page, RemovalPart, TrashItem, TrashKind, TrashSelection


class RestTrash(RestCalls):
    def create_experiment_anew(
        self, name: str, artifact_location: str | None = None, tags: Mapping[str, str] | None = None
    ) -> str:
        request = CreateExperiment(name=name, artifact_location=artifact_location, tags=pairs(tags or {}))
        return self._ask(api.create_experiment_anew, request).experiment_id

    def move_to_trash(self, kind: TrashKind, item_id: str, *, force: bool = False) -> None:
        self._ask(api.move_to_trash, api.MoveToTrash(kind=kind, id=item_id, force=force))

    def take_from_trash(self, kind: TrashKind, item_id: str, new_name: str | None = None) -> None:
        self._ask(api.take_from_trash, api.TakeFromTrash(kind=kind, id=item_id, new_name=new_name))

    def search_trash(self, max_results: int = 100, page_token: str | None = None) -> Page[TrashItem]:
        answer = self._ask(api.search_trash, api.SearchTrash(max_results=max_results, page_token=page_token))
        return Page(answer.items, answer.next_page_token)

    def remove_trash(
        self, selection: TrashSelection, page_token: str | None = None, *, dry_run: bool = False
    ) -> RemovalPart:
        request = api.RemoveTrash(
            phase="plan" if dry_run else "execute",
            older_than_ms=selection.older_than_ms,
            before_time=selection.before_time,
            run_ids=list(selection.run_ids) or None,
            experiment_ids=list(selection.experiment_ids) or None,
            logged_model_ids=list(selection.model_ids) or None,
            force=selection.force,
            page_token=page_token,
        )
        return self._ask(api.remove_trash, request)

    def remove_orphans(self, *, dry_run: bool = False, force: bool = False) -> OrphanReport:
        request = api.RemoveOrphans(phase="plan" if dry_run else "execute", force=force)
        return self._ask(api.remove_orphans, request)
