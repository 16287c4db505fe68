"""The relay as an ASGI application: MLflow's API on this machine, in front of a server that may be away.

Four kinds of requests. What logs is run on a `RelayStore`: checked, written down, answered. A few that scripts need to begin are
asked of the server while it is there, and answered from memory while it is not. Uploads of files go through while the server
takes them, and are kept otherwise. Everything else is passed on as it is, after what was logged before has been delivered.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast
from urllib.parse import parse_qsl, quote, unquote, urlencode

import msgspec

from slipstream import settings
from slipstream.api import batches, datasets, experiments, metrics, runs
from slipstream.api.routing import OWN, Route, encode
from slipstream.api.table import ROUTES
from slipstream.artifact_store.paths import clean_path
from slipstream.client.active_experiment import NAMED
from slipstream.client.spool.mlflow import FINAL
from slipstream.client.transport import Transport
from slipstream.entities.record import FilesRecord
from slipstream.errors import (
    ConnectionFailedError,
    InvalidParameterError,
    NotFoundError,
    NotImplementedByServerError,
)
from slipstream.httpd.short_way import head_bytes
from slipstream.relay.forward import (
    Answered,
    Asking,
    BrokenAnswerError,
    ClientLeftError,
    Forwarder,
    Headers,
)
from slipstream.relay.kept_files import keep_file
from slipstream.relay.store import RELAYED, RelayStore
from slipstream.server.app import Receive, Scope, Send
from slipstream.server.asked import Asked
from slipstream.server.dispatch import Answer, check_content_type, error_answer
from slipstream.server.fast import JSON_LIMIT, ShortRoute, too_large
from slipstream.server.guard import CHANGING, Guard, Refusal, refuse_repeated
from slipstream.server.observer import Observer

_SPOOLED = frozenset(
    {
        metrics.log_metric,
        runs.log_batch,
        batches.log_large_batch,
        runs.log_param,
        runs.set_tag,
        runs.update_run,
        datasets.log_inputs,
        datasets.log_outputs,
        runs.create_run,
    }
)
_UPSTREAM_FIRST = frozenset(
    {
        runs.get_run,
        runs.delete_tag,
        experiments.get_experiment,
        experiments.get_experiment_by_name,
        experiments.create_experiment,
    }
)
_AWAY = frozenset({429, 502, 503, 504})
_RETRY_SECONDS = 1
_SMALL = 1 << 20
_LOGGERS = 8
_ARTIFACTS = re.compile(
    r"^/(?:ajax-)?api/2\.0/mlflow-artifacts/(?P<what>artifacts|presigned|mpu/\w+)(?:/(?P<path>.*))?$"
)
_OF_RELAYED = re.compile(rf"^{RELAYED}/(?P<run_id>[0-9a-zA-Z_-]+)/artifacts(?:/(?P<rest>.*))?$")
_STATUS = f"{OWN}relay"
_NO_SNIFF = (b"x-content-type-options", b"nosniff")


class RelayStatus(msgspec.Struct, frozen=True):
    """What the relay says of itself."""

    server: str
    is_away: bool
    trouble: str | None
    is_delivered: bool
    """Whether all that was logged is at the server, through a relay before this one, too."""
    waiting_bytes: int
    """What is not delivered, without files."""
    spool: str
    refused: int
    """How much the server will never take."""


class RelayApp:
    """One relay. It also is what the short way for small requests needs (`server/fast.py`)."""

    files = None

    def __init__(self, store: RelayStore, transport: Transport, token: str | None = None) -> None:
        """Take where to log, how to pass requests on, and what clients must send if they must."""
        self.store = store
        self.guard = Guard(token=token)
        self.observer = Observer()
        self.idle_seconds = settings.SERVER_IDLE_TIMEOUT.get()
        self.forwarder = Forwarder(transport, passes_credentials=token is None)
        self.dispatcher = self
        self.short_way: dict[bytes, ShortRoute] = {
            path.encode(): ShortRoute(route, self.observer.counts_of(method, path))
            for (method, path), route in ROUTES.items()
            if method == "POST" and route.handler in _SPOOLED
        }
        self._loggers = ThreadPoolExecutor(_LOGGERS, thread_name_prefix="slipstream-relay-log")

    def close(self) -> None:
        self.forwarder.close()
        self._loggers.shutdown(wait=False, cancel_futures=True)
        self.store.close()

    # -- what logs ------------------------------------------------------------------------------------
    def submit(self, route: Route, request: Any, done: Callable[[Answer], None], asked: Asked) -> None:
        """Write down what a request logs, and answer; in a thread where the server may have to be asked for its run."""
        if route.handler is not runs.create_run and self.store.knows(
            getattr(request, "run_id", None) or getattr(request, "run_uuid", None)
        ):
            done(self._log(route, request, asked))
            return
        future = asyncio.get_running_loop().run_in_executor(self._loggers, self._log, route, request, asked)
        future.add_done_callback(lambda each: None if each.cancelled() else done(each.result()))

    def _log(self, route: Route, request: Any, asked: Asked) -> Answer:
        try:
            self.store.require_room()
            return 200, encode(route.handler(self.store, request))
        except Exception as error:  # noqa: BLE001  # whatever it is, the client is told
            return error_answer(error, asked)

    def end_listening(self) -> None:
        """End nothing: a relay has no answers that go on."""

    def head_of(self, defaults: list[tuple[bytes, bytes]], status: int) -> bytes:
        """Return the head of a short-way answer."""
        hints = ((b"retry-after", b"%d" % _RETRY_SECONDS),) if status in _AWAY else ()
        return head_bytes(status, *defaults, (b"content-type", b"application/json"), _NO_SNIFF, *hints)

    # -- everything else ------------------------------------------------------------------------------
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await asyncio.to_thread(self.close)
            await send({"type": "lifespan.shutdown.complete"})
            return
        if scope["type"] != "http":
            return
        asked = Asked()
        begun = False

        async def sending(message: Any) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._answer(scope, receive, sending, asked)
        except (ClientLeftError, BrokenAnswerError):
            if begun:
                raise  # which has the connection closed, so that the client sees that its answer is not whole
        except Exception as error:
            if begun:
                raise
            if isinstance(error, ConnectionFailedError):
                self.store.shipper.gone(error)
                error = self.store.away()
            await _send(send, *error_answer(error, asked))

    async def _answer(self, scope: Scope, receive: Receive, send: Send, asked: Asked) -> None:
        refusal = self._refusal(scope)
        if refusal is not None:
            await _send(
                send,
                refusal.status,
                refusal.text.encode(),
                b"text/plain; charset=utf-8",
                refusal.headers,
            )
            return
        method: str = scope["method"]
        path: str = scope["path"]
        if path == "/health":
            await _send(send, 200, b"OK", b"text/plain; charset=utf-8")
            return
        if path == _STATUS:
            await _send(send, 200, encode(self._status()))
            return
        asking = _asking(scope)
        artifacts = _ARTIFACTS.match(path)
        if artifacts is not None:
            await self._of_files(artifacts, asking, receive, send)
            return
        route = ROUTES.get((method, path))
        if route is not None and route.handler in _SPOOLED:
            check_content_type(dict(scope["headers"]).get(b"content-type"))
            request = route.decode(await _whole(receive, JSON_LIMIT), {})
            answer = await asyncio.get_running_loop().run_in_executor(
                self._loggers, self._log, route, request, asked
            )
            await _send(send, *answer)
        elif route is not None and route.handler in _UPSTREAM_FIRST:
            await self._upstream_first(route, asking, receive, send)
        elif route is not None and route.listens:
            raise NotImplementedByServerError(
                f"A relay does not tell what changes. Listen to the server itself: {self.store.shipper.server}{path}"
            )
        else:
            await self._pass_on(asking, receive, send)

    def _refusal(self, scope: Scope) -> Refusal | None:
        repeated = refuse_repeated(scope["headers"])
        if repeated is not None:
            return repeated
        headers: dict[bytes, bytes] = dict(scope["headers"])
        return self.guard.check(
            scope["method"] in CHANGING,
            scope["path"] if scope["path"] == "/health" else "",
            headers.get(b"host", b""),
            headers.get(b"origin"),
            headers.get(b"authorization"),
        )

    def _status(self) -> RelayStatus:
        shipper = self.store.shipper
        size, where = shipper.waiting()
        return RelayStatus(
            shipper.server,
            shipper.is_away,
            shipper.trouble,
            shipper.is_delivered,
            size,
            where,
            shipper.refused,
        )

    async def _is_delivered(self) -> bool:
        """Wait until what was logged before is delivered, unless the server is away."""
        shipper = self.store.shipper
        if shipper.is_delivered:
            return True
        return await asyncio.to_thread(shipper.flush, settings.DELIVERY_TIMEOUT.get(), only_while_there=True)

    async def _pass_on(self, asking: Asking, receive: Receive, send: Send) -> None:
        if not await self._is_delivered():
            raise self.store.away("What was logged before is not delivered yet")
        await self.forwarder.stream(await self._with_true_ids(asking, receive), receive, send)

    async def _upstream_first(self, route: Route, asking: Asking, receive: Receive, send: Send) -> None:
        body = await _whole(receive, JSON_LIMIT) if asking.method != "GET" else b""
        query = parse_qsl(asking.target.partition("?")[2], keep_blank_values=True)
        request = route.decode_query(query, {}) if asking.method == "GET" else route.decode(body, {})
        if await self._is_delivered() and not self.store.shipper.is_away:
            asking = await self._with_true_ids(asking._replace(body=body), receive)
            try:
                answered = await self.forwarder.ask(asking)
            except ConnectionFailedError as error:
                self.store.shipper.gone(error)
            else:
                if answered.status not in _AWAY:
                    self._remember(route, answered)
                    await _send_answered(send, answered)
                    return
        message = await asyncio.get_running_loop().run_in_executor(
            self._loggers, route.handler, self.store, request
        )
        await _send(send, 200, encode(message))

    def _remember(self, route: Route, answered: Answered) -> None:
        if answered.status != 200:
            return
        try:
            message = msgspec.json.decode(answered.body, type=route.response_type, strict=False)
        except msgspec.DecodeError:  # of a server that answers otherwise: passed on, not remembered
            return
        if isinstance(message, runs.GetRunResponse):
            self.store.remember_run(runs.from_wire(message.run))
        elif isinstance(message, experiments.GetExperimentResponse):
            self.store.remember_experiment(experiments.from_wire(message.experiment))

    async def _with_true_ids(self, asking: Asking, receive: Receive) -> Asking:
        """Put the server's ids in the place of those that this relay gave to experiments of which it knew only the name."""
        path, mark, query = asking.target.partition("?")
        if quote(NAMED, safe="") in query or NAMED in query:
            pairs = [
                (name, await self._true_id(value) if name.startswith("experiment_id") else value)
                for name, value in parse_qsl(query, keep_blank_values=True)
            ]
            asking = asking._replace(target=path + mark + urlencode(pairs))
        if not path.startswith(("/api/2.0/mlflow/", "/ajax-api/2.0/mlflow/")) or asking.method == "GET":
            return asking
        if asking.body is None:
            length = dict(asking.headers).get(b"content-length", b"")
            if not length.isdigit() or int(length) > _SMALL:
                return asking
            asking = asking._replace(body=await _whole(receive, _SMALL))
        if asking.body and f'"{NAMED}'.encode() in asking.body:
            asking = asking._replace(body=await self._with_true_ids_in(asking.body))
        return asking

    async def _with_true_ids_in(self, body: bytes) -> bytes:
        try:
            message = json.loads(body)
        except ValueError:  # the server says what is wrong with it
            return body
        if not isinstance(message, dict):
            return body
        fields = cast("dict[str, Any]", message)
        one = fields.get("experiment_id")
        if isinstance(one, str):
            fields["experiment_id"] = await self._true_id(one)
        several = fields.get("experiment_ids")
        if isinstance(several, list):
            fields["experiment_ids"] = [await self._true_id(each) for each in several]  # pyright: ignore[reportUnknownVariableType]
        return json.dumps(fields).encode()

    async def _true_id(self, experiment_id: Any) -> Any:
        if not isinstance(experiment_id, str) or not experiment_id.startswith(NAMED):
            return experiment_id
        return await asyncio.to_thread(self.store.true_experiment_id, experiment_id)

    # -- files ----------------------------------------------------------------------------------------
    async def _of_files(self, found: re.Match[str], asking: Asking, receive: Receive, send: Send) -> None:
        raw = asking.target.partition("?")[0]
        encoded = raw.split(f"/{found['what']}/", 1)[1] if f"/{found['what']}/" in raw else ""
        relayed = _OF_RELAYED.match(unquote(encoded))
        if asking.method == "PUT" and found["what"] == "artifacts":
            await self._upload(unquote(encoded), relayed, asking, receive, send)
            return
        is_there = await self._is_delivered() and not self.store.shipper.is_away
        if found["what"] != "artifacts" and (relayed is not None or not is_there):
            # MLflow's clients go on with a plain PUT or GET, which can be kept.
            raise NotImplementedByServerError(
                "Multipart upload is not supported for the current artifact repository: the relay keeps it, which has no "
                "multipart or presigned transfers now. Use PUT and GET of mlflow-artifacts/artifacts/<path>."
            )
        if not is_there:
            raise self.store.away("Artifacts cannot be read now")
        if relayed is not None:
            asking = asking._replace(target=asking.target.replace(encoded, await self._true_path(relayed), 1))
        else:
            path, mark, query = asking.target.partition("?")
            pairs = parse_qsl(query, keep_blank_values=True)
            for index, (name, value) in enumerate(pairs):
                listed = _OF_RELAYED.match(value)
                if name == "path" and listed is not None:
                    pairs[index] = (name, unquote(await self._true_path(listed)))
                    asking = asking._replace(target=path + mark + urlencode(pairs))
        await self.forwarder.stream(asking, receive, send)

    async def _true_path(self, relayed: re.Match[str]) -> str:
        """Return the path, below the server's artifacts, of a file of a run that was made here."""
        try:
            place = await asyncio.to_thread(self.store.true_place, relayed["run_id"])
        except FINAL as error:
            raise NotFoundError(
                f"Run {relayed['run_id']} is not at {self.store.shipper.server}: {error}"
            ) from error
        if place is None:
            raise self.store.away("Artifacts cannot be read now")
        scheme, _, path = place.partition(":/")
        if scheme != "mlflow-artifacts":
            raise InvalidParameterError(
                f"The artifacts of run {relayed['run_id']} are in {place}, not behind the server. Ask for the run again "
                "(runs/get), and read them there."
            )
        return quote("/".join(filter(None, (path.strip("/"), relayed["rest"]))))

    async def _upload(
        self, path: str, relayed: re.Match[str] | None, asking: Asking, receive: Receive, send: Send
    ) -> None:
        clean = clean_path(path)
        record = FilesRecord("", "", "mlflow-artifacts:/")
        if relayed is not None:
            clean = clean_path(relayed["rest"] or "")
            record = FilesRecord(relayed["run_id"], "")
        if not clean:
            raise InvalidParameterError("The path names no file.")
        length = dict(asking.headers).get(b"content-length", b"")
        small = length.isdigit() and int(length) <= _SMALL
        if small:
            asking = asking._replace(body=await _whole(receive, _SMALL))
        # What was kept before goes first, or it would be written over this.
        if relayed is None and await self._is_delivered() and not self.store.shipper.is_away:
            if asking.body is None:
                await self.forwarder.stream(asking, receive, send)
                return
            try:
                answered = await self.forwarder.ask(asking)
            except ConnectionFailedError as error:
                self.store.shipper.gone(error)
            else:
                if answered.status not in _AWAY:
                    await _send_answered(send, answered)
                    return
        await keep_file(self.store.shipper, record, clean, _pieces_of(asking, receive))
        await _send(send, 200, b"{}")


def _asking(scope: Scope) -> Asking:
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    target = raw.split(b"?", 1)[0].decode("latin-1")
    query: bytes = scope["query_string"]
    if query:
        target += "?" + query.decode("latin-1")
    return Asking(scope["method"], target, scope["headers"])


async def _pieces_of(asking: Asking, receive: Receive) -> AsyncIterator[bytes]:
    if asking.body is not None:
        yield asking.body
        return
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeftError
        yield message.get("body", b"")
        if not message.get("more_body"):
            return


async def _whole(receive: Receive, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for piece in _pieces_of(Asking("", "", ()), receive):
        size += len(piece)
        if size > limit:
            raise too_large()
        chunks.append(piece)
    return b"".join(chunks)


async def _send(
    send: Send,
    status: int,
    body: bytes,
    content_type: bytes = b"application/json",
    further: Headers = (),
) -> None:
    headers = [(b"content-type", content_type), (b"content-length", b"%d" % len(body)), _NO_SNIFF, *further]
    if status in _AWAY:
        headers.append((b"retry-after", b"%d" % _RETRY_SECONDS))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _send_answered(send: Send, answered: Answered) -> None:
    headers = [pair for pair in answered.headers if pair[0] != b"content-length"]
    headers.append((b"content-length", b"%d" % len(answered.body)))
    await send({"type": "http.response.start", "status": answered.status, "headers": headers})
    await send({"type": "http.response.body", "body": answered.body})
