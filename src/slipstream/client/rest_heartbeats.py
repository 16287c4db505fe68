"""`RestStore`: signs of life of runs, and what they print."""

from collections.abc import Sequence

from slipstream.api import heartbeats as api
from slipstream.client.rest_calls import RestCalls
from slipstream.entities.liveness import ConsoleChunk, ConsoleTail, LostRun


class RestHeartbeats(RestCalls):
    def beat(self, run_ids: Sequence[str]) -> None:
        self._ask(api.beat, api.Beat(run_ids=list(run_ids)))

    def find_beat(self, run_id: str) -> int | None:
        return self._ask(api.find_beat, api.FindBeat(run_id=run_id)).beat_time

    def report_lost(self, lost: LostRun) -> bool:
        request = api.ReportLost(
            run_id=lost.run_id, status=lost.status, end_time=lost.end_time, tags=dict(lost.tags)
        )
        return self._ask(api.report_lost, request).ended

    def append_console(self, run_id: str, chunks: Sequence[ConsoleChunk]) -> None:
        self._ask(api.append_console, api.AppendConsole(run_id=run_id, chunks=list(chunks)))

    def end_console(self, run_id: str, tail: ConsoleTail | None = None) -> None:
        self._ask(api.append_console, api.AppendConsole(run_id=run_id, end=True, tail=tail))

    def find_console(self, run_id: str, after: int = 0) -> list[ConsoleChunk]:
        return self._ask(api.find_console, api.FindConsole(run_id=run_id, after=after)).chunks
