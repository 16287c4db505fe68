"""The routes of what lives: signs of life of runs, runs whose processes are gone, and what runs print. Our own."""

from slipstream import settings
from slipstream.api.routing import OWN, OWN_AJAX, Empty, Permission, Request, Response, route
from slipstream.entities.liveness import ConsoleChunk, ConsoleTail, LostRun
from slipstream.store.base import Store
from slipstream.wire.parsing import Int64

_PREFIXES = (OWN, OWN_AJAX)


class Beat(Request, kw_only=True):
    run_ids: list[str] = []


class BeatResponse(Response, kw_only=True):
    lost_after_seconds: float
    """How long the server waits for the next one before it takes the runs for dead; 0 for ever."""


@route("POST", "heartbeats", permission=Permission.WRITE, prefixes=_PREFIXES)
def beat(store: Store, req: Beat) -> BeatResponse:
    """Note that runs live."""
    store.beat(req.run_ids)
    return BeatResponse(lost_after_seconds=settings.LOST_AFTER.get())


class FindBeat(Request, kw_only=True):
    run_id: str


class FindBeatResponse(Response, kw_only=True):
    beat_time: int | None = None


@route("GET", "heartbeats", permission=Permission.READ, prefixes=_PREFIXES)
def find_beat(store: Store, req: FindBeat) -> FindBeatResponse:
    """Return when a run gave its last sign of life."""
    return FindBeatResponse(beat_time=store.find_beat(req.run_id))


class ReportLost(Request, kw_only=True):
    run_id: str
    status: str
    end_time: Int64
    tags: dict[str, str] = {}


class ReportLostResponse(Response, kw_only=True):
    ended: bool = False


@route("POST", "heartbeats/lost", permission=Permission.WRITE, prefixes=_PREFIXES)
def report_lost(store: Store, req: ReportLost) -> ReportLostResponse:
    """End a run whose process is gone, unless it has ended."""
    lost = LostRun(run_id=req.run_id, status=req.status, end_time=req.end_time, tags=req.tags)
    return ReportLostResponse(ended=store.report_lost(lost))


class AppendConsole(Request, kw_only=True):
    run_id: str
    chunks: list[ConsoleChunk] = []
    end: bool = False
    """Forget all of it: it is among the artifacts."""
    tail: ConsoleTail | None = None
    """With `end`: the last of what was printed, some thousand letters, which pages show without reading the file."""


@route("POST", "runs/console", permission=Permission.WRITE, prefixes=_PREFIXES)
def append_console(store: Store, req: AppendConsole) -> Empty:
    """Keep what a run printed, for those who look while it goes."""
    if req.end:
        store.end_console(req.run_id, req.tail)
    else:
        store.append_console(req.run_id, req.chunks)
    return Empty()


class FindConsole(Request, kw_only=True):
    run_id: str
    after: Int64 = 0


class FindConsoleResponse(Response, kw_only=True):
    chunks: list[ConsoleChunk] = []


@route("GET", "runs/console", permission=Permission.READ, prefixes=_PREFIXES)
def find_console(store: Store, req: FindConsole) -> FindConsoleResponse:
    """Return what a run printed behind a place."""
    return FindConsoleResponse(chunks=store.find_console(req.run_id, req.after))
