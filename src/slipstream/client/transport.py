"""HTTP to a tracking server: retries, authentication, TLS, and errors as slipstream's own classes."""

import base64
import importlib
import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote, urlencode, urlsplit, urlunsplit

from slipstream import settings
from slipstream.artifact_store.http_sender import SIGNED
from slipstream.client.hurry import is_hurried
from slipstream.errors import (
    BY_CODE,
    ConnectionFailedError,
    EndpointNotFoundError,
    InternalError,
    InvalidParameterError,
    PermissionDeniedError,
    SlipstreamError,
    StorageError,
    TooLargeError,
    TooManyRequestsError,
    UnauthenticatedError,
    UnavailableError,
)

if TYPE_CHECKING:
    import urllib3

RETRIED_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
LONGEST_WAIT_SECONDS = 120.0
_HURRIED_PAUSE_SECONDS = 1.0
_chance = random.SystemRandom()  # the one of the module is the user's, who may have seeded it
_SHOWN_BODY_CHARACTERS = 300
_BY_STATUS: dict[int, type[SlipstreamError]] = {
    400: InvalidParameterError,
    401: UnauthenticatedError,
    403: PermissionDeniedError,
    404: EndpointNotFoundError,
    405: EndpointNotFoundError,
    413: TooLargeError,
    429: TooManyRequestsError,
    502: UnavailableError,
    503: UnavailableError,
    504: UnavailableError,
}

_logger = logging.getLogger(__name__)
Query = Sequence[tuple[str, str]]


class Transport:
    """One server's connections. Thread-safe. Before the first call it imports no HTTP library."""

    def __init__(
        self,
        base_url: str,
        *,
        identify: bool = True,
        retries: int | None = None,
        timeout_seconds: float | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Read user name and password from the URL, if it has any; they win over the settings.

        Args:
            base_url: the server's address.
            identify: whether the server may be sent the credentials that the settings name.
            retries: how often a request is tried again; by default as the settings say.
            timeout_seconds: how long to wait for an answer; by default as the settings say.
            sleep: waits between attempts.
        """
        parts = urlsplit(base_url)
        self._userinfo = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
        host = parts.netloc.rpartition("@")[2]
        self.base_url = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
        self._identifies = identify
        self._retries = retries
        self._timeout_seconds = timeout_seconds
        self._sleep = sleep
        self._pool: urllib3.PoolManager | None = None
        self._warned = False
        """Of the outage that is going on."""
        self._goes_direct = True
        """Whether addresses of the object store behind the server may be tried."""
        self._lock = threading.Lock()

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """Send a request and return the whole body of the answer.

        Retried with growing pauses on connection errors, 408, 429 and 5xx; `Retry-After` is obeyed. Where the
        answer got lost, what creates things may have done so twice, as with MLflow's client.

        Raises:
            ConnectionFailedError: no answer after all retries.
            SlipstreamError: the server refused; of the class that belongs to the answer's error code.
        """
        sent = {"Content-Type": "application/json"} if body is not None else {}
        sent.update(headers or {})
        response = self._send(method, path, query, lambda: body, sent, stream=False)
        return response.data

    def download(
        self,
        path: str,
        *,
        query: Query = (),
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> "Body":
        """Open an answer's body for reading in pieces; close it, or use it in a `with` block.

        The request is a GET; with a body, which must be JSON, a POST.
        """
        method = "GET" if body is None else "POST"
        sent = {} if body is None else {"Content-Type": "application/json"}
        response = self._send(method, path, query, lambda: body, {**sent, **(headers or {})}, stream=True)
        return Body(response, self.base_url)

    def download_file(self, path: str) -> "Body":
        """Open a file behind the server; straight from the object store that keeps it, where the server signs an address.

        From the server itself as soon as such an address does not answer.
        """
        if not self._goes_direct:
            return self.download(path)
        headers = {SIGNED: "accept"}
        response = self._send("GET", path, (), lambda: None, headers, stream=True, signed=True)
        if response.status != HTTPStatus.TEMPORARY_REDIRECT:
            return Body(response, self.base_url)
        address = response.headers.get("Location", "")
        response.drain_conn()
        found = self._open_signed(address)
        if found is not None:
            return Body(found, urlsplit(address).netloc.rpartition("@")[2])
        self._goes_direct = False
        return self.download(path)

    def _open_signed(self, address: str) -> "urllib3.BaseHTTPResponse | None":
        """Ask another host for a file, without this server's credentials. The address itself is one: it is never shown."""
        import urllib3

        from slipstream.artifact_store.s3_requests import open_pool

        try:
            response = open_pool().request(
                "GET",
                address,
                headers={"Accept-Encoding": "identity"},
                timeout=settings.HTTP_REQUEST_TIMEOUT.get(),
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except urllib3.exceptions.HTTPError as error:
            reason = type(error).__name__
        else:
            if response.status == HTTPStatus.OK:
                return response
            reason = str(response.status)
            response.close()
        _logger.warning(
            "The object store behind %s cannot be reached directly (%s); going through the server",
            self.base_url,
            reason,
        )
        return None

    def upload(
        self, path: str, chunks: Iterable[bytes], *, size: int | None = None, method: str = "PUT"
    ) -> None:
        """Send a body in pieces. It is tried again only where `chunks` can be iterated again."""
        headers = {"Content-Type": "application/octet-stream"}
        if size is not None:
            headers["Content-Length"] = str(size)
        once = iter(chunks) is chunks
        self._send(
            method, path, (), lambda: iter(chunks), headers, stream=False, retry=not once, takes_time=True
        )

    def prepare(self) -> None:
        """Import now what the first call would import."""
        for name in ("encodings.idna", "json"):
            importlib.import_module(name)
        self._open_pool()

    def pass_on(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | Iterable[bytes] | None,
        seconds: tuple[float, float],
    ) -> "urllib3.BaseHTTPResponse":
        """Send somebody else's request once, and return the answer whatever it is, not read yet.

        Args:
            method: the HTTP method.
            target: path and query as they are on the wire, below this server's address.
            headers: those of the request; this server's credentials are added if it has none.
            body: the content, if there is one.
            seconds: how long to wait for a connection, and for each piece of the answer.

        Raises:
            ConnectionFailedError: no answer.
        """
        import urllib3

        pool = self._pool or self._open_pool()
        sent = dict(headers)
        own = self._identify().get("Authorization")
        if own is not None and "authorization" not in sent:
            sent["authorization"] = own
        try:
            return pool.request(
                method,
                self.base_url + target,
                headers=sent,
                body=body,
                timeout=urllib3.Timeout(connect=seconds[0], read=seconds[1]),
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise ConnectionFailedError(f"No answer from {self.base_url} ({_reason(error)}).") from error

    def probe(self, path: str, timeout_seconds: float) -> "tuple[int, Mapping[str, str], bytes]":
        """Send one GET, once, and return status, headers and body, whatever they are.

        Raises:
            ConnectionFailedError: no answer within the time.
        """
        import urllib3

        pool = self._pool or self._open_pool()
        try:
            response = pool.request(
                "GET",
                self.base_url + path,
                headers=self._identify(),
                timeout=timeout_seconds,
                retries=False,
                redirect=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise ConnectionFailedError(f"No answer from {self.base_url} ({_reason(error)}).") from error
        return response.status, response.headers, response.data

    def close(self) -> None:
        with self._lock:
            if self._pool is not None:
                self._pool.clear()
                self._pool = None

    # -- sending ------------------------------------------------------------------------------------

    def _send(
        self,
        method: str,
        path: str,
        query: Query,
        body: Callable[[], Any],
        headers: dict[str, str],
        *,
        stream: bool,
        retry: bool = True,
        signed: bool = False,
        takes_time: bool = False,
    ) -> "urllib3.BaseHTTPResponse":
        import urllib3

        pool = self._pool or self._open_pool()
        url = self.base_url + path + (f"?{urlencode(list(query))}" if query else "")
        headers = {**self._identify(), **headers}
        retries = (
            (self._retries if self._retries is not None else settings.HTTP_REQUEST_MAX_RETRIES.get())
            if retry
            else 0
        )
        timeout = self._timeout_seconds or settings.HTTP_REQUEST_TIMEOUT.get()
        longest_pause = LONGEST_WAIT_SECONDS
        is_brief = self._timeout_seconds is not None or is_hurried()
        """Whether the caller said how long to wait: who was silent for so long is not asked again."""
        if is_hurried():
            retries, longest_pause = min(retries, 1), _HURRIED_PAUSE_SECONDS
            if not takes_time:
                timeout = min(timeout, max(0.1, settings.PATIENCE.get()))
        for attempt in range(retries + 1):
            try:
                response = pool.request(
                    method,
                    url,
                    body=body(),
                    headers=headers,
                    timeout=timeout,
                    retries=False,
                    redirect=False,
                    preload_content=not stream,
                )
            except urllib3.exceptions.SSLError as error:
                raise ConnectionFailedError(
                    f"TLS with {self.base_url} failed: {error}. To trust a private authority set "
                    f"{settings.TRACKING_SERVER_CERT_PATH.name} to its certificate file."
                ) from error
            except urllib3.exceptions.HTTPError as error:
                if attempt == retries or (is_brief and isinstance(error, urllib3.exceptions.TimeoutError)):
                    raise ConnectionFailedError(
                        f"No answer from {self.base_url} ({_reason(error)}). Check that the server runs "
                        f"and that the tracking URI ({settings.TRACKING_URI.name}) is right."
                    ) from error
                self._warn_once(f"No answer from {self.base_url} ({_reason(error)})", attempt, retries)
                self._sleep(min(_pause(attempt, None), longest_pause))
                continue
            self._warned = False
            if attempt < retries and _may_pass(response):
                response.drain_conn()
                self._sleep(min(_pause(attempt, response.headers.get("Retry-After")), longest_pause))
                continue
            if response.status >= HTTPStatus.MULTIPLE_CHOICES and not (signed and _is_signed(response)):
                raise _to_error(method, url, response)
            return response
        raise AssertionError("the last attempt returns or raises")

    def _warn_once(self, problem: str, attempt: int, retries: int) -> None:
        """Tell of an outage as it begins: without a word, waiting looks like hanging."""
        if self._warned or not attempt:  # a connection that was closed while idle is found out so
            return
        self._warned = True
        seconds = sum(_pause(each, None) for each in range(attempt, retries))
        _logger.warning(
            "%s. Trying again for about %.0f s; %s and %s say how long.",
            problem,
            seconds,
            settings.HTTP_REQUEST_MAX_RETRIES.name,
            settings.HTTP_REQUEST_BACKOFF_FACTOR.name,
        )

    def _identify(self) -> dict[str, str]:
        from slipstream import __version__

        headers = {"User-Agent": f"slipstream/{__version__}", "Accept-Encoding": "identity"}
        user = password = token = None
        if self._identifies:
            user, password = _secret(settings.TRACKING_USERNAME), _secret(settings.TRACKING_PASSWORD)
            token = _secret(settings.TRACKING_TOKEN)
        basic = self._userinfo or ((user, password) if user is not None and password is not None else None)
        if basic is not None:
            pair = base64.b64encode(f"{basic[0]}:{basic[1]}".encode()).decode()
            headers["Authorization"] = f"Basic {pair}"
        elif token is not None:
            if not token.isascii():
                raise InvalidParameterError(
                    f"{settings.TRACKING_TOKEN.name} (or {settings.TRACKING_TOKEN.mlflow_name}) holds characters other "
                    "than ASCII; a header cannot carry them. "
                    "Copy the token again."
                )
            headers["Authorization"] = f"Bearer {token}"
        return headers

    def _open_pool(self) -> "urllib3.PoolManager":
        import urllib3

        with self._lock:
            if self._pool is None:
                tls: dict[str, Any] = {}
                if settings.TRACKING_INSECURE_TLS.get():
                    tls = {"cert_reqs": "CERT_NONE", "assert_hostname": False}
                    urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
                elif (authorities := settings.TRACKING_SERVER_CERT_PATH.get()) is not None:
                    tls = {"cert_reqs": "CERT_REQUIRED", "ca_certs": authorities}
                if (certificate := settings.TRACKING_CLIENT_CERT_PATH.get()) is not None:
                    tls["cert_file"] = certificate
                proxy = _proxy_for(self.base_url)
                if proxy is None:
                    self._pool = urllib3.PoolManager(num_pools=10, maxsize=10, **tls)
                else:
                    self._pool = urllib3.ProxyManager(proxy, num_pools=10, maxsize=10, **tls)
            return self._pool


def _proxy_for(url: str) -> str | None:
    """Return the proxy that `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` name for an address, as other tools read them."""
    import urllib.request

    parts = urlsplit(url)
    proxies = urllib.request.getproxies_environment()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    bypass: Callable[[str], bool] = vars(urllib.request)["proxy_bypass_environment"]  # its stub lacks it
    if not proxy or bypass(parts.netloc):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _secret(setting: "settings.Setting[str | None]") -> str | None:
    """Return a credential without the line end that files and shells append; errors do not show it."""
    text = setting.get()
    if text is None:
        return None
    text = text.strip()
    if not text.isprintable():  # lone surrogates, too
        raise InvalidParameterError(
            f"{setting.name} (or {setting.mlflow_name}) holds a control character or one that is not valid Unicode, such as a line end in its "
            "middle. Copy the value again; it is not shown here."
        )
    return text


class Body:
    """The body of an answer, read in pieces."""

    closed = False

    def __init__(self, response: "urllib3.BaseHTTPResponse", server: str) -> None:
        self._response = response
        self._server = server

    def read(self, amt: int | None = None) -> bytes:
        """Return up to `amt` bytes, all of the rest if it is negative or `None`; none at the end.

        Raises:
            ConnectionFailedError: the connection broke before the end.
        """
        import urllib3

        try:
            return self._response.read(None if amt is None or amt < 0 else amt)
        except urllib3.exceptions.HTTPError as error:
            raise ConnectionFailedError(
                f"The answer of {self._server} broke off ({_reason(error)}). Try again."
            ) from error

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        # A body that was not read to its end would spoil the next use of its connection.
        self._response.close()
        self._response.release_conn()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()


def _is_signed(response: "urllib3.BaseHTTPResponse") -> bool:
    """Tell whether this is an address that the server signed, not a redirect of some proxy before it."""
    return (
        response.status == HTTPStatus.TEMPORARY_REDIRECT
        and response.headers.get(SIGNED) == "yes"
        and response.headers.get("Location", "").startswith(("http://", "https://"))
    )


def _may_pass(response: "urllib3.BaseHTTPResponse") -> bool:
    """Tell whether the same request may succeed later."""
    if response.status not in RETRIED_STATUSES:
        return False
    # With 500 some refusals come, too, such as INVALID_STATE; they have a code, and will not change.
    return response.status != HTTPStatus.INTERNAL_SERVER_ERROR or b'"INVALID_STATE"' not in response.data


def _pause(attempt: int, retry_after: str | None) -> float:
    """Return seconds to wait: what the server asks for, else nothing, then factor, 2*factor, 4*factor..."""
    if retry_after is not None and retry_after.strip().isdigit():
        # A little later, each at another time: all whom the server sent away would come back at once.
        return min(float(retry_after) * (1 + _chance.random() / 4), LONGEST_WAIT_SECONDS)
    if attempt == 0:
        return 0.0
    backoff = settings.HTTP_REQUEST_BACKOFF_FACTOR.get() * 2 ** (attempt - 1)
    # Jitter, so that many workers that failed together do not come back together.
    return min(backoff * (1 + _chance.random() / 2), LONGEST_WAIT_SECONDS)


def _reason(error: Exception) -> str:
    """Return the innermost cause in words, without the addresses of objects."""
    inner: BaseException = error
    while inner.__cause__ is not None or inner.__context__ is not None:
        inner = inner.__cause__ or inner.__context__ or inner
    return str(inner) or type(inner).__name__


def _to_error(method: str, url: str, response: "urllib3.BaseHTTPResponse") -> SlipstreamError:
    import json

    text = response.read(decode_content=True) if not response.closed else b""
    text = text or response.data
    response.release_conn()
    where = f"{method} {urlsplit(url)._replace(query='').geturl()}"
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if isinstance(document, dict) and "error_code" in document:
        code = str(document["error_code"])  # pyright: ignore[reportUnknownArgumentType]
        message = str(document.get("message", ""))  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
        error = StorageError if response.status == StorageError.status else BY_CODE.get(code)
        if error is not None:
            return error(message)
        fallback = _BY_STATUS.get(response.status, InternalError)
        return fallback(f"{code}: {message}")
    shown = text[:_SHOWN_BODY_CHARACTERS].decode("utf-8", "replace").strip()
    error = _BY_STATUS.get(response.status, InternalError)
    hint = ""
    if HTTPStatus.MULTIPLE_CHOICES <= response.status < HTTPStatus.BAD_REQUEST:
        hint = f" It redirects to {response.headers.get('Location')}; use that address as tracking URI."
    elif response.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        hint = (
            f" Set {settings.TRACKING_USERNAME.name} and {settings.TRACKING_PASSWORD.name}, "
            f"or {settings.TRACKING_TOKEN.name}."
        )
    elif response.status == HTTPStatus.NOT_FOUND:
        hint = " Is this the address of a tracking server?"
    return error(f"{where} answered {response.status} without an error document: {shown!r}.{hint}")
