"""Soak the scoring server: many mixed requests, then many moves of an alias, watching memory and open files.

    python benchmarks/soak_serving.py [--requests 100000] [--swaps 200] [--workers 2] [--most-growth-mb 24]

Prints a markdown table of each part: PSS, own (anonymous) memory and open files of the edge and of every worker, ten
times a part, and by how much they grew after the first two. Exit code 1 when an answer was not what it should be, when
a process' own memory grew by more than --most-growth-mb or its files by more than eight, when a worker was replaced
during the requests, or when one of an old version stayed. Linux only.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from processes import Cost, Server
from sklearn.datasets import load_iris
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LogisticRegression

import slipstream
import slipstream.sklearn
from slipstream.models import infer_signature

CLIENTS = 16
SAMPLES = 10
WARM = 2
"""Samples before growth counts: caches and the allocator have their size by then."""
MOST_FILES = 8
SWAP_SECONDS = 60.0
QUIET_SECONDS = 2.0
STREAMED = 5
STREAMER = f"""
import slipstream


class Streamer(slipstream.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return ["whole"]

    def predict_stream(self, context, model_input, params=None):
        for number in range({STREAMED}):
            yield {{"number": number, "filler": "x" * 1000}}


slipstream.models.set_model(Streamer())
"""


class WrongAnswerError(Exception):
    """An answer, or a process, is not what it should be."""


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """One connection at a time, kept alive; opened anew after the server or we have closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def post(self, path: str, body: bytes, kind: str = "application/json") -> Reply:
        await self.send(path, body, kind=kind)
        return await self.receive()

    async def send(
        self, path: str, body: bytes, *, kind: str = "application/json", whole: bool = True
    ) -> None:
        if self._writer is None or self._writer.is_closing() or (self._reader and self._reader.at_eof()):
            await self.leave()
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + (body if whole else body[: len(body) // 2]))
        await self._writer.drain()

    async def receive(self, *, most_pieces: int | None = None) -> Reply:
        assert self._reader is not None
        async with asyncio.timeout(90):
            status, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {
                key.lower(): value for key, _, value in (line.partition(": ") for line in lines if line)
            }
            if "content-length" in headers:
                body = await self._reader.readexactly(int(headers["content-length"]))
            else:
                body = await self._chunks(most_pieces)
        return Reply(int(status.split()[1]), headers, body)

    async def _chunks(self, most: int | None) -> bytes:
        assert self._reader is not None
        pieces: list[bytes] = []
        while most is None or len(pieces) < most:
            size = int(await self._reader.readuntil(b"\r\n"), 16)
            piece = await self._reader.readexactly(size + 2)
            if not size:
                break
            pieces.append(piece[:-2])
        return b"".join(pieces)

    async def leave(self) -> None:
        writer, self._reader, self._writer = self._writer, None, None
        if writer is not None:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


class Mix:
    """All kinds of requests of the first part, each with the check of its answer."""

    def __init__(self) -> None:
        data, target = load_iris(return_X_y=True)
        self.model = LogisticRegression(max_iter=500).fit(data, target)
        self.data = data
        rows = data.round(2).tolist()
        self._one = json.dumps({"inputs": rows[:1]}).encode()
        self._hundred = json.dumps({"inputs": rows[:100]}).encode()
        self._stream = json.dumps({"inputs": ["x"], "stream": True}).encode()
        self._large = json.dumps({"inputs": rows * 100}).encode()
        self.kinds: dict[str, tuple[int, Callable[[Client], Awaitable[None]]]] = {
            "one row": (60, lambda client: self._rows(client, self._one, 1)),
            "100 rows": (10, lambda client: self._rows(client, self._hundred, 100)),
            "V2": (2, self._v2),
            "not JSON": (4, lambda client: self._error(client, b'{"inputs": [', 400)),
            "wrong shape": (4, lambda client: self._error(client, b'{"inputs": [[1, 2]]}', 400)),
            "wrong type": (2, lambda client: self._error(client, b"x", 415, kind="text/nothing")),
            "no such model": (
                2,
                lambda client: self._error(client, b"{}", 404, path="/models/x/invocations"),
            ),
            "left before the answer": (4, self._left),
            "left within the body": (3, self._left_within),
            "streamed": (5, self._streamed),
            "left within a stream": (4, self._left_stream),
        }

    async def _rows(self, client: Client, body: bytes, count: int) -> None:
        reply = await client.post("/models/iris/invocations", body)
        if reply.status != 200 or len(json.loads(reply.body)["predictions"]) != count:
            raise WrongAnswerError(f"{count} rows: {reply}")

    async def _v2(self, client: Client) -> None:
        tensor = {"name": "input", "shape": [1, 4], "datatype": "FP64", "data": [5.1, 3.5, 1.4, 0.2]}
        reply = await client.post("/v2/models/iris/infer", json.dumps({"inputs": [tensor]}).encode())
        if reply.status != 200:
            raise WrongAnswerError(f"V2: {reply}")

    async def _error(
        self,
        client: Client,
        body: bytes,
        status: int,
        *,
        path: str = "/models/iris/invocations",
        kind: str = "application/json",
    ) -> None:
        reply = await client.post(path, body, kind)
        if reply.status != status:
            raise WrongAnswerError(f"{status} was to be: {reply}")

    async def _left(self, client: Client) -> None:
        await client.send("/models/iris/invocations", self._hundred)
        await client.leave()

    async def _left_within(self, client: Client) -> None:
        await client.send("/models/iris/invocations", self._large, whole=False)
        await client.leave()

    async def _streamed(self, client: Client) -> None:
        await client.send("/models/streamer/invocations", self._stream)
        reply = await client.receive()
        if reply.status != 200 or reply.body.count(b"data: ") != STREAMED + 1:
            raise WrongAnswerError(f"a stream: {reply}")

    async def _left_stream(self, client: Client) -> None:
        await client.send("/models/streamer/invocations", self._stream)
        await client.receive(most_pieces=1)
        await client.leave()


def save_models(root: Path, mix: Mix) -> None:
    slipstream.sklearn.save_model(
        mix.model,
        root / "iris",
        signature=infer_signature(mix.data, mix.model.predict(mix.data)),
        pip_requirements=["scikit-learn"],
        serialization_format="cloudpickle",  # which needs no library beside
    )
    (root / "streamer.py").write_text(STREAMER, encoding="utf-8")
    slipstream.pyfunc.save_model(
        root / "streamer", python_model=str(root / "streamer.py"), pip_requirements=["numpy"]
    )


def serve(root: Path, name: str, *arguments: str) -> Server:
    """Return a server that is up, with its registry in `root`."""
    program = str(Path(sys.executable).with_name("slipstream"))
    uri = f"SLIPSTREAM_TRACKING_URI={registry(root)}"
    folder = root / name
    folder.mkdir()
    server = Server(name, ["env", uri, program, "models", "serve", "-p", "{port}", *arguments], folder)
    server.start()
    return server


def registry(root: Path) -> str:
    return f"sqlite:///{root}/slipstream.db"


class Watch:
    """The samples of one part."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.samples: list[tuple[int, list[Cost]]] = []

    def look(self, done: int) -> None:
        costs = self._server.costs()
        self.samples.append((done, costs))
        shown = ", ".join(f"{cost.pss_mb:.1f}/{cost.own_mb:.1f}/{cost.files}" for cost in costs)
        print(f"  {self._server.name} {done:,}: {shown}", file=sys.stderr, flush=True)

    def report(self, what: str, *, most_mb: float, workers_stay: bool) -> list[str]:
        """Print the table; return what is wrong with it."""
        count = len(self.samples[0][1]) - 1
        names = ["edge", *(f"worker {number}" for number in range(1, count + 1))]
        print(f"\n| {what} | {' | '.join(f'{name}: PSS, MB | own, MB | files' for name in names)} |")
        print(f"|---:|{'---:|---:|---:|' * len(names)}")
        wrong: list[str] = []
        for done, costs in self.samples:
            if len(costs) != len(names):
                wrong.append(f"{len(costs) - 1} workers instead of {count} after {done:,} {what}")
            print(
                f"| {done:,} | {' | '.join(f'{cost.pss_mb:.1f} | {cost.own_mb:.1f} | {cost.files}' for cost in costs)} |"
            )
        (_, first), (_, last) = self.samples[min(WARM, len(self.samples) - 2)], self.samples[-1]
        grown: list[str] = []
        for name, before, after in zip(names, first, last, strict=False):
            more_mb, more_files = after.own_mb - before.own_mb, after.files - before.files
            grown.append(f"{after.pss_mb - before.pss_mb:+.1f} | {more_mb:+.1f} | {more_files:+d}")
            if more_mb > most_mb or more_files > MOST_FILES:
                wrong.append(f"{name} grew by {more_mb:.1f} MB and {more_files} files during {what}")
        print(f"| growth | {' | '.join(grown)} |")
        if workers_stay and {cost.pid for cost in first} != {cost.pid for cost in last}:
            wrong.append(f"a worker was replaced during {what}")
        return wrong


async def soak(server: Server, mix: Mix, requests: int) -> tuple[Watch, Counter[str]]:
    """Send the mix from many clients; sample ten times, while nothing is under way."""
    watch, sent = Watch(server), Counter[str]()
    chosen = random.Random(1)
    names = list(mix.kinds)
    weights = [weight for weight, _ in mix.kinds.values()]
    clients = [Client(server.port) for _ in range(CLIENTS)]
    watch.look(0)

    async def ask(client: Client, count: int) -> None:
        for name in chosen.choices(names, weights, k=count):
            await mix.kinds[name][1](client)
            sent[name] += 1
        await client.leave()  # before the server closes what is idle, and so that no sample counts it

    for _ in range(SAMPLES):
        # The group must not go on with what one of it has found wrong.
        async with asyncio.TaskGroup() as group:
            for client in clients:
                group.create_task(ask(client, max(1, requests // SAMPLES // CLIENTS)))
        await asyncio.sleep(QUIET_SECONDS)
        watch.look(sent.total())
    return watch, sent


def register(root: Path) -> slipstream.SlipstreamClient:
    """Register two versions of a model that answers its own number; the alias names the first."""
    slipstream.set_tracking_uri(registry(root))
    rows = np.zeros((2, 2))
    for number in (1, 2):
        model = DummyRegressor(strategy="constant", constant=float(number)).fit(rows, [0.0, 0.0])
        slipstream.sklearn.log_model(
            model,
            name="constant",
            signature=infer_signature(rows, model.predict(rows)),
            input_example=rows,
            registered_model_name="constant",
            pip_requirements=["scikit-learn"],
            serialization_format="cloudpickle",
        )
    client = slipstream.SlipstreamClient()
    client.set_registered_model_alias("constant", "champion", 1)
    return client


async def swap(
    server: Server, registered: slipstream.SlipstreamClient, swaps: int, workers: int
) -> tuple[Watch, Counter[str]]:
    """Move the alias to and fro while requests go on; sample when the old workers should have left."""
    watch, answered, stop = Watch(server), Counter[str](), asyncio.Event()
    body = json.dumps({"inputs": [[1.0, 2.0]]}).encode()
    now_live = "1"

    async def ask() -> None:
        nonlocal now_live
        client = Client(server.port)
        while not stop.is_set():
            reply = await client.post("/invocations", body)
            version = reply.headers.get("x-slipstream-model-version", "none")
            if reply.status != 200 or json.loads(reply.body) != {"predictions": [float(version)]}:
                raise WrongAnswerError(f"during swaps: {reply}")
            now_live = version
            answered[version] += 1
            await asyncio.sleep(0.01)
        await client.leave()

    async def move() -> None:
        watch.look(0)
        for done in range(1, swaps + 1):
            wanted = str(1 + done % 2)
            await asyncio.to_thread(registered.set_registered_model_alias, "constant", "champion", wanted)
            await _until(lambda: now_live == wanted, f"version {wanted} answers")  # noqa: B023  # called at once
            if done % max(1, swaps // SAMPLES) == 0 or done == swaps:
                await _until(lambda: len(server.costs()) == 1 + workers, "old workers leave")
                watch.look(done)
        stop.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(ask())
        group.create_task(ask())
        group.create_task(move())
    return watch, answered


async def _until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SWAP_SECONDS
    while not true():
        if time.monotonic() > deadline:
            raise WrongAnswerError(f"Not within {SWAP_SECONDS:g} s: {what}")
        await asyncio.sleep(0.05)


def main() -> None:
    """Soak, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--requests", type=int, default=100_000, help="of the first part; 0 leaves it out")
    parser.add_argument("--swaps", type=int, default=200, help="of the second part; 0 leaves it out")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--most-growth-mb", type=float, default=24)
    options = parser.parse_args()
    count = str(options.workers)
    wrong: list[str] = []
    with tempfile.TemporaryDirectory(prefix="slipstream-soak-") as folder:
        root = Path(folder)
        os.chdir(root)
        if options.requests:
            mix = Mix()
            save_models(root, mix)
            models = ["-m", str(root / "iris"), "-m", str(root / "streamer")]
            server = serve(root, "requests", *models, "-w", count)
            try:
                watch, sent = asyncio.run(soak(server, mix, options.requests))
                wrong += watch.report("requests", most_mb=options.most_growth_mb, workers_stay=True)
                print(f"\nSent: {', '.join(f'{name} {number:,}' for name, number in sorted(sent.items()))}")
            finally:
                server.stop()
        if options.swaps:
            registered = register(root)
            server = serve(
                root, "swaps", "-m", "models:/constant@champion", "-w", count, "--refresh-seconds", "0.2"
            )
            try:
                watch, answered = asyncio.run(swap(server, registered, options.swaps, options.workers))
                # Workers are new after every swap: what they need is told, and no growth of anybody's.
                wrong += watch.report("swaps", most_mb=options.most_growth_mb, workers_stay=False)
                print(f"\nAnswered: {answered.total():,}, none wrong")
            finally:
                server.stop()
    if wrong:
        raise SystemExit("\n".join(wrong))


if __name__ == "__main__":
    main()
