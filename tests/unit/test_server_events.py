"""A listener that takes nothing, takes slowly, or is many: what waits for it stays small, and it is given up in the end."""

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any

import pytest

from slipstream.api.events import WatchEvents
from slipstream.api.routing import ROUTES
from slipstream.server import events as events_file
from slipstream.server.events import Events
from slipstream.store.run_changes import ToldChanges

ROUTE = ROUTES["GET", "/api/slipstream/v1/events"]


class Journal:
    """An engine whose reads tell what a test says."""

    def __init__(self) -> None:
        self.upto = 1
        self.looks = 0
        self.away = False

    def read(self, run: Any) -> ToldChanges:
        return run(self)

    def find_changes(self, seen: int | None, most: int) -> ToldChanges:
        self.looks += 1
        if self.away:
            raise RuntimeError("away")
        if seen is None or seen == self.upto:
            return ToldChanges(self.upto, {}, frozenset())
        return ToldChanges(
            self.upto, {f"run-{number}": 1 for number in range(seen, self.upto)}, frozenset({1})
        )


class Client:
    """One ASGI conversation, whose client takes messages when it is allowed to."""

    def __init__(self, events: Events) -> None:
        self.takes = asyncio.Event()
        self.takes.set()
        self.left = asyncio.Event()
        self.sent: list[bytes] = []
        self.ended = False
        self.task = asyncio.create_task(self._listen(events))

    async def _listen(self, events: Events) -> object:
        return await events.answer(ROUTE, WatchEvents(), None, [], self._receive, self._send)

    async def _receive(self) -> MutableMapping[str, Any]:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        await self.takes.wait()
        if message["type"] == "http.response.body":
            self.sent.append(message["body"])
            self.ended = not message["more_body"]

    def told(self) -> list[dict[str, Any]]:
        lines = b"".join(self.sent).decode().split("\n")
        return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


async def reach(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # of no one thing that could tell
            await asyncio.sleep(0.001)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_file, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(events_file, "TROUBLED_SECONDS", 0.001)


def run(scenario: Any) -> None:
    async def main() -> None:
        journal = Journal()
        events = Events(journal)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        try:
            await scenario(journal, events)
        finally:
            events.end()
            events.close()

    asyncio.run(main())


@pytest.mark.usefixtures("quick")
def test_what_waits_for_a_slow_listener_becomes_one_message() -> None:
    async def scenario(journal: Journal, events: Events) -> None:
        client = Client(events)
        await reach(lambda: len(client.told()) == 1)
        client.takes.clear()
        for _ in range(50):
            journal.upto += 1
            looks = journal.looks
            await reach(lambda before=looks: journal.looks > before + 1)
        client.takes.set()
        await reach(lambda: client.told()[-1]["cursor"] == 51)
        assert len(client.told()) <= 4
        runs = [run for event in client.told() for run in event["runs"]]
        assert set(runs) == {f"run-{number}" for number in range(1, 51)}

    run(scenario)


@pytest.mark.usefixtures("quick")
def test_too_much_is_a_reset_and_takes_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_file, "MOST_RUNS", 10)

    async def scenario(journal: Journal, events: Events) -> None:
        client = Client(events)
        await reach(lambda: len(client.told()) == 1)
        client.takes.clear()
        for _ in range(30):
            journal.upto += 1
            looks = journal.looks
            await reach(lambda before=looks: journal.looks > before + 1)
        client.takes.set()
        await reach(lambda: client.told()[-1]["cursor"] == 31)
        assert client.told()[-1] == {"cursor": 31, "runs": [], "experiments": [], "models": [], "reset": True}
        journal.upto += 1
        await reach(lambda: client.told()[-1]["cursor"] == 32)
        assert client.told()[-1]["runs"] == ["run-31"]

    run(scenario)


@pytest.mark.usefixtures("quick")
def test_who_takes_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_file, "STALLED_SECONDS", 0.05)

    async def scenario(journal: Journal, events: Events) -> None:
        client, other = Client(events), Client(events)
        await reach(lambda: client.told() and other.told())
        client.takes.clear()
        journal.upto += 1
        await asyncio.wait_for(client.task, 10)
        assert events.listeners == 1
        await reach(lambda: other.told()[-1]["cursor"] == 2)

    run(scenario)


@pytest.mark.usefixtures("quick")
def test_the_end_does_not_wait_for_who_takes_nothing() -> None:
    async def scenario(journal: Journal, events: Events) -> None:
        slow, idle = Client(events), Client(events)
        await reach(lambda: slow.told() and idle.told())
        slow.takes.clear()
        journal.upto += 1
        await reach(lambda: len(idle.told()) == 2)
        events.end()
        await asyncio.wait_for(asyncio.gather(slow.task, idle.task), 5)
        assert idle.ended
        assert not slow.ended
        assert events.listeners == 0

    run(scenario)


@pytest.mark.usefixtures("quick")
def test_comments_keep_a_quiet_stream_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_file, "COMMENT_SECONDS", 0.01)

    async def scenario(journal: Journal, events: Events) -> None:
        client = Client(events)
        await reach(lambda: client.sent.count(b":\n\n") > 2)
        assert len(client.told()) == 1

    run(scenario)


@pytest.mark.usefixtures("quick")
def test_nobody_looks_when_nobody_listens() -> None:
    async def scenario(journal: Journal, events: Events) -> None:
        first, second = Client(events), Client(events)
        await reach(lambda: first.told() and second.told() and journal.looks > 5)
        for client in (first, second):
            client.left.set()
        await asyncio.gather(first.task, second.task)
        assert events.listeners == 0
        looks = journal.looks
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert journal.looks <= looks + 1

    run(scenario)


@pytest.mark.usefixtures("quick")
def test_a_journal_that_cannot_be_read_is_looked_at_again() -> None:
    async def scenario(journal: Journal, events: Events) -> None:
        client = Client(events)
        await reach(lambda: len(client.told()) == 1)
        journal.away = True
        looks = journal.looks
        await reach(lambda: journal.looks > looks + 3)
        refused = await events.answer(ROUTE, WatchEvents(), None, [], client._receive, client._send)
        assert refused is not None
        assert refused[0] == 500
        journal.away = False
        journal.upto += 1
        await reach(lambda: client.told()[-1]["cursor"] == 2)

    run(scenario)


def test_there_are_not_more_listeners_than_the_server_can_keep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_file, "MOST_LISTENERS", 1)

    async def scenario(journal: Journal, events: Events) -> None:
        client = Client(events)
        await reach(client.told)
        refused = await events.answer(ROUTE, WatchEvents(), None, [], client._receive, client._send)
        assert refused is not None
        assert refused[0] == 429

    run(scenario)
