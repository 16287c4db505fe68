"""An HTTP front before a server, as ingresses and proxies are: it may answer in the server's place, or hold requests back."""

import http.client
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

Answer = tuple[int, bytes]
_NOT_PASSED_ON = frozenset({"connection", "transfer-encoding", "content-length", "date", "server"})


class Front:
    """Passes requests on to `target`; `answer` may be set to what answers some of them: (method, path, body) -> answer or None."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.answer: Callable[[str, str, bytes], Answer | None] = lambda *_: None
        self.seen: list[tuple[str, str]] = []
        front = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except OSError:  # who asked has gone
                    self.close_connection = True

            def _serve(self) -> None:
                if self.headers.get("Transfer-Encoding") == "chunked":
                    pieces: list[bytes] = []
                    while size := int(self.rfile.readline(), 16):
                        pieces.append(self.rfile.read(size))
                        self.rfile.readline()
                    self.rfile.readline()
                    body = b"".join(pieces)
                else:
                    body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                front.seen.append((self.command, self.path))
                told = front.answer(self.command, self.path, body)
                headers: list[tuple[str, str]] = [("Content-Type", "text/html")]
                if told is None:
                    status, headers, content = front.pass_on(
                        self.command, self.path, dict(self.headers), body
                    )
                else:
                    status, content = told
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve  # noqa: N815  # as http.server calls them

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def pass_on(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        parts = urlsplit(self.target)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        try:
            sent = {name: value for name, value in headers.items() if name.lower() not in _NOT_PASSED_ON}
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            kept = [
                (name, value) for name, value in response.getheaders() if name.lower() not in _NOT_PASSED_ON
            ]
            return response.status, kept, response.read()
        except OSError:
            return 502, [], b"<html>bad gateway</html>"
        finally:
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
