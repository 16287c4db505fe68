"""The models that a server serves, each under its name, and which version of each is live."""

import asyncio
import contextlib
import logging
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from slipstream.errors import InvalidParameterError, NotFoundError, SlipstreamError
from slipstream.serving.frames import Card
from slipstream.serving.pool import WorkerPool

_logger = logging.getLogger("slipstream.serving")

_SECONDS_TO_DRAIN = 300.0
"""How long a version that was replaced may take to finish what it has; streams can be long."""
_RETRY_SECONDS = 60.0
"""How long after a version could not be loaded it is tried again."""
_LOOK_SECONDS = 5.0
"""How often it is looked up whether a version that is being loaded is still wanted."""
_SHOWN = 200
_T = TypeVar("_T")
_NAME = re.compile(r"[A-Za-z0-9_.-]+")


class Source(NamedTuple):
    """Where a model is, now."""

    version: str | None
    """The registry's number of it; None for a model that is no registered version."""
    uri: str
    """Names exactly this version, whatever becomes of aliases."""


class Loader(Protocol):
    """Finds models and starts workers for them. Its methods are called in threads, and may block."""

    def find(self, uri: str) -> Source:
        """Return what a URI means now.

        Raises:
            SlipstreamError: nothing, or the registry does not answer.
        """
        ...

    def fetch(self, source: Source) -> Path:
        """Return the folder of a model, downloaded if need be."""
        ...

    def pool(self, name: str, source: Source, folder: Path) -> WorkerPool:
        """Return workers of a model; they are not started yet."""
        ...

    def release(self, folder: Path) -> None:
        """Remove what `fetch` made."""
        ...


class Version(NamedTuple):
    """One loaded version."""

    source: Source
    folder: Path
    pool: WorkerPool
    loaded_at: float
    """Seconds since 1970."""

    @property
    def card(self) -> Card:
        return self.pool.card


class ServedName:
    """One name that requests can give, and the version that answers them now."""

    def __init__(self, name: str, uri: str, loader: Loader, say: Callable[[str], None]) -> None:
        self.name = name
        self.uri = uri
        self.swaps = 0
        self.failed_swaps = 0
        self.live: Version | None = None
        self._loader = loader
        self._say = say
        self._failed: tuple[Source, float] | None = None
        self._leaving: set[asyncio.Task[None]] = set()

    @property
    def moves(self) -> bool:
        """What the URI means can change: an alias, a stage, `latest`."""
        if not self.uri.startswith("models:/") or self.uri.startswith("models:/m-"):
            return False
        return "@" in self.uri or not self.uri.rsplit("/", 1)[-1].isdecimal()

    def require_live(self, number: str | None = None) -> Version:
        """Return the version that answers now.

        Raises:
            NotFoundError: there is none, or it is not the version of this number.
        """
        live = self.live
        if live is None:
            raise NotFoundError(f"Model '{self.name}' is not loaded.")
        if number is not None and live.source.version != number:
            here = (
                "it has no versions"
                if live.source.version is None
                else f"here is version {live.source.version}"
            )
            raise NotFoundError(
                f"Version '{number}' of model '{self.name}' is not served: {here}. Leave out /versions/{number}."
            )
        return live

    async def load(self) -> None:
        """Load what the URI means now.

        Raises:
            SlipstreamError: there is no such model, or it cannot be loaded.
        """
        source = await _in_thread(self._loader.find, self.uri)
        version, problem = await self._start(source)
        if problem is not None:
            self._say(f"The input example of '{self.name}' could not be answered: {problem}")
        self.live = version

    async def _start(self, source: Source) -> tuple[Version, str | None]:
        folder = await self._fetch(source)
        try:
            pool = await _in_thread(self._loader.pool, self.name, source, folder)
            problem = await pool.open()
        except BaseException:
            await asyncio.to_thread(self._loader.release, folder)
            raise
        return Version(source, folder, pool, time.time()), problem

    async def _fetch(self, source: Source) -> Path:
        fetching = asyncio.ensure_future(_in_thread(self._loader.fetch, source))

        def release(fetched: asyncio.Future[Path]) -> None:
            if not fetched.cancelled() and fetched.exception() is None:
                asyncio.get_running_loop().run_in_executor(None, self._loader.release, fetched.result())

        try:
            return await asyncio.shield(fetching)
        except asyncio.CancelledError:
            # No thread can be stopped: what it brings after all would take up the disk until the server ends.
            fetching.add_done_callback(release)
            raise

    async def refresh(self) -> bool:
        """Load what the URI means now beside what is live, then switch; requests go on meanwhile.

        Whatever goes wrong, the live version stays.

        Returns:
            Another version is live now.
        """
        live = self.live
        if live is None or not self.moves:
            return False
        try:
            source = await _in_thread(self._loader.find, self.uri)
        except SlipstreamError as error:
            self._say(f"'{self.uri}' cannot be looked up: {error} Version {live.source.version} stays.")
            return False
        if source == live.source or self._failed_lately(source):
            return False
        try:
            started = await self._start_while_meant(source)
            if started is None:
                return False
            version, problem = started
            if problem is not None:
                await self._let_go(version, 0)
                raise InvalidParameterError(  # noqa: TRY301  # told below
                    f"its own input example cannot be answered: {problem}"
                )
        except Exception as error:
            if not isinstance(error, SlipstreamError):  # such as a full disk
                _logger.exception("Version %s of '%s' could not be loaded", source.version, self.name)
            self.failed_swaps += 1
            self._failed = (source, time.monotonic())
            self._say(
                f"Version {source.version} of '{self.name}' was not taken: {error} Version {live.source.version} stays; "
                f"the next attempt is in {_RETRY_SECONDS:g} s."
            )
            return False
        self.live = version
        self.swaps += 1
        self._say(f"'{self.uri}' is version {source.version} now; version {live.source.version} leaves.")
        task = asyncio.ensure_future(self._let_go(live, _SECONDS_TO_DRAIN))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
        return True

    async def _start_while_meant(self, source: Source) -> tuple[Version, str | None] | None:
        """Start a version; None if the URI means another before this one is ready, which it may never be."""
        starting = asyncio.ensure_future(self._start(source))
        try:
            while True:
                await asyncio.wait((starting,), timeout=_LOOK_SECONDS)
                if starting.done():
                    return starting.result()
                looking = asyncio.ensure_future(_in_thread(self._loader.find, self.uri))
                # A registry that does not answer must not hold up a version that is ready.
                await asyncio.wait((starting, looking), return_when=asyncio.FIRST_COMPLETED)
                if not looking.done():
                    looking.cancel()
                    continue
                with contextlib.suppress(SlipstreamError):  # it is looked up again soon
                    # One that became ready meanwhile is taken, and leaves at the next look: it must not be forgotten.
                    if looking.result() != source and not starting.done():
                        self._say(
                            f"'{self.uri}' means another version before version {source.version} was ready; it is let go."
                        )
                        return None
        finally:
            if not starting.done():
                starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)

    def _failed_lately(self, source: Source) -> bool:
        if self._failed is None or self._failed[0] != source:
            return False
        return time.monotonic() < self._failed[1] + _RETRY_SECONDS

    async def _let_go(self, version: Version, seconds: float) -> None:
        await version.pool.close(seconds)
        await asyncio.to_thread(self._loader.release, version.folder)

    async def close(self, seconds: float) -> None:
        """Finish what was asked, for so long, and unload."""
        live, self.live = self.live, None
        for task in self._leaving:
            task.cancel()
        if live is not None:
            await self._let_go(live, seconds)


async def _in_thread(work: Callable[..., _T], *arguments: object) -> _T:
    """Do what may block in a thread that does not keep the process from ending, as one of `asyncio.to_thread` would."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[_T] = loop.create_future()

    def tell(result: Any, error: BaseException | None) -> None:
        if found.done():  # nobody waits any more
            return
        if error is None:
            found.set_result(result)
        else:
            found.set_exception(error)

    def run() -> None:
        result, failure = None, None
        try:
            result = work(*arguments)
        except BaseException as error:  # noqa: BLE001  # whatever it is, it is raised where it is waited for
            failure = error
        with contextlib.suppress(RuntimeError):  # the server has ended meanwhile
            loop.call_soon_threadsafe(tell, result, failure)

    threading.Thread(target=run, name="slipstream-load", daemon=True).start()
    return await found


class Catalog:
    """All that one server serves."""

    def __init__(self, names: Iterable[ServedName]) -> None:
        self._names = {served.name: served for served in names}
        self._by_uri = {served.uri: served for served in self._names.values()}

    def __iter__(self) -> Iterator[ServedName]:
        return iter(self._names.values())

    def __len__(self) -> int:
        return len(self._names)

    @property
    def only(self) -> ServedName | None:
        """The only model, if there is but one."""
        return next(iter(self._names.values())) if len(self._names) == 1 else None

    def get(self, name: str | None) -> ServedName:
        """Return the model of a name or URI; without one, the only model.

        Raises:
            NotFoundError: there is none of that name.
            InvalidParameterError: several are served, and none was named.
        """
        if name is None:
            if len(self._names) == 1:
                return next(iter(self._names.values()))
            raise InvalidParameterError(
                f"This server has several models: {', '.join(self._names)}. Name one: in the path, as in "
                "/models/NAME/invocations, or in the field 'model' of OpenAI's requests."
            )
        served = self._names.get(name) or self._by_uri.get(name)
        if served is None:
            raise NotFoundError(
                f"There is no model '{name[:_SHOWN]}' here; served are {', '.join(self._names)}."
            )
        return served


def names_of(uris: Sequence[str]) -> list[tuple[str, str]]:
    """Return name and URI of each model to serve.

    A model is named as in `NAME=URI`, else by its registered name, else by the last part of its path. Where two
    would have one name, alias or version is added: `phi3@champion`, `phi3:3`.

    Raises:
        InvalidParameterError: two have one name all the same.
    """
    parts = [_split(uri) for uri in uris]
    short = [given or _short(uri) for given, uri in parts]
    names = [
        given or (_long(uri) if short.count(name) > 1 else name)
        for name, (given, uri) in zip(short, parts, strict=True)
    ]
    for name in names:
        if names.count(name) > 1:
            raise InvalidParameterError(
                f"Two models would be served as '{name}'. Name them: -m first={parts[0][1]} -m second=..."
            )
    return [(name, uri) for name, (_, uri) in zip(names, parts, strict=True)]


def _split(text: str) -> tuple[str | None, str]:
    name, equals, uri = text.partition("=")
    if equals and uri and _NAME.fullmatch(name) and not Path(text).exists():
        return name, uri
    return None, text


def _short(uri: str) -> str:
    if uri.startswith("models:/") and not uri.startswith("models:/m-"):
        return (
            uri.removeprefix("models:/").partition("/")[0].rpartition("@")[0]
            or uri.removeprefix("models:/").partition("/")[0]
        )
    return Path(uri.rstrip("/")).name.removeprefix("models:") or "model"


def _long(uri: str) -> str:
    return uri.removeprefix("models:/").replace("/", ":") if uri.startswith("models:/") else _short(uri)
