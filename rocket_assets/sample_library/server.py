"""A real HTTP server that answers as Launch Library 2 does, for development and for tests.

    with LibraryServer(throttle=15) as library:
        print(library.url)          # goes into ROCKET_ASSETS_API_URL
        library.serve_forever()     # until Ctrl-C

It serves the launches and their pictures, and remembers every request. What a query means belongs in query.py, what an
answer says in api.py; here are sockets, threads and headers.
"""

import hashlib
import socket
import socketserver
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

from rocket_assets.sample_library import catalogue, pictures
from rocket_assets.sample_library.api import Answer, Api, AsOf, Row
from rocket_assets.sample_library.throttle import HOUR, Throttle

MEDIA = "/media/images/"
PICTURES_DATE = datetime(2024, 12, 1, tzinfo=UTC)
"""When the pictures were last changed, as the server tells it."""

_CONTENT_TYPES = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "gif": "image/gif",
    "bmp": "image/bmp",
}
_IDLE_SECONDS = 60
_GREATEST_BODY = 1_000_000


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _as_it_is(rows: list[Row], now: datetime) -> list[Row]:
    """What a library says in which nothing changes."""
    return rows


@dataclass(frozen=True)
class Request:
    """A request that the server has answered; `path` holds the query too."""

    method: str
    path: str
    status: int
    headers: dict[str, str]


class LibraryServer:
    """A Launch Library on a port of this machine; a context manager that starts and stops it.

    Args:
        host: the address to listen on.
        port: the port to listen on; 0 takes a free one.
        rows: the launches, given the server's base URL ("http://127.0.0.1:8123"). Called once, at the start.
        as_of: what the library says of its rows at a time. Called for each answer of the API, by many threads at
            once, and must not change what it is given.
        picture: the bytes of a file below /media/images/, or None where there is none.
        version: the API version to serve; older than 2.3.0 means the older paths, and rows in that version's words.
        throttle: requests in each window and client; None for no limit.
        throttle_window: how long the throttle remembers a request.
        latency: seconds to wait before each answer.
        clock: says what time it is: for the throttle, for `as_of` and for what is upcoming.
        token: if given, another token is refused, and this one is not throttled.
        on_request: called with each request when its answer is ready.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        rows: Callable[[str], list[Row]] = catalogue.launches,
        as_of: AsOf = _as_it_is,
        picture: Callable[[str], bytes | None] = pictures.find,
        version: str = "2.3.0",
        throttle: int | None = None,
        throttle_window: timedelta = HOUR,
        latency: float = 0.0,
        clock: Callable[[], datetime] = _utc_now,
        token: str | None = None,
        on_request: Callable[[Request], None] | None = None,
    ) -> None:
        self.version = version
        self.picture = picture
        self.latency = latency
        self._host, self._port = host, port
        self._rows, self._as_of, self._clock, self._token = rows, as_of, clock, token
        self._limit, self._window = throttle, throttle_window
        self._on_request = on_request
        self._requests: list[Request] = []
        self._under_way = self._most_at_once = 0
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._listener: _Listener | None = None
        self._thread: threading.Thread | None = None

    @property
    def base_url(self) -> str:
        """Where the server is, without a slash at the end."""
        return f"http://{self._host}:{self._running.server_address[1]}"

    @property
    def url(self) -> str:
        """The API's address, as a client is configured with it."""
        return f"{self.base_url}/{self.version}/"

    @property
    def requests(self) -> list[Request]:
        """Every request so far, in the order of the answers."""
        with self._lock:
            return list(self._requests)

    @property
    def api_requests(self) -> list[Request]:
        """The requests to the API."""
        return [request for request in self.requests if not request.path.startswith(MEDIA)]

    @property
    def picture_requests(self) -> list[Request]:
        """The requests for pictures."""
        return [request for request in self.requests if request.path.startswith(MEDIA)]

    @property
    def most_at_once(self) -> int:
        """The most requests to the API that were under way at one time so far."""
        with self._lock:
            return self._most_at_once

    def start(self) -> Self:
        """Listens, and answers in the background.

        Raises:
            OSError: the port is taken.
        """
        if self._listener is not None:
            return self
        self._stopping.clear()
        self._listener = _Listener((self._host, self._port), self)
        try:
            rows, throttle = self._rows(self.base_url), Throttle(self._limit, self._clock, self._window)
            self._listener.api = Api(rows, self.base_url, self.version, throttle, self._clock, self._as_of, self._token)
        except BaseException:
            self._listener.server_close()
            self._listener = None
            raise
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stops listening and ends every connection. A server that does not run stays as it is."""
        self._stopping.set()
        if self._listener is not None and self._thread is not None:
            self._listener.shutdown()
            self._thread.join()
            self._listener.end_connections()
            self._listener.server_close()
        self._listener = self._thread = None

    def serve_forever(self) -> None:
        """Starts the server if need be, and returns when it is stopped or raises KeyboardInterrupt."""
        self.start()
        # An endless wait cannot be interrupted on every system; a long one in pieces can.
        while not self._stopping.wait(0.5):
            pass

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def record(self, request: Request) -> None:
        """Remembers a request."""
        with self._lock:
            self._requests.append(request)
        if self._on_request is not None:
            self._on_request(request)

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Counts a request to the API as one that is being answered."""
        with self._lock:
            self._under_way += 1
            self._most_at_once = max(self._most_at_once, self._under_way)
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1

    def linger(self) -> None:
        """Waits as long as the latency says, or until the server is stopped."""
        if self.latency:
            self._stopping.wait(self.latency)

    @property
    def _running(self) -> "_Listener":
        if self._listener is None:
            raise RuntimeError("The sample library has not been started.")
        return self._listener


class _Listener(ThreadingHTTPServer):
    """The socket, and a thread for each connection."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], library: LibraryServer) -> None:
        self.library = library
        self.api: Api
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._guard = threading.Lock()
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # HTTPServer would also ask for the machine's full name, which can take seconds.
        socketserver.TCPServer.server_bind(self)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        with self._guard:
            self._connections[request] = threading.current_thread()
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._guard:
                del self._connections[request]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that breaks off is no news; anything else is."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    def end_connections(self) -> None:
        """Ends the connections that clients keep open, and waits for their threads."""
        with self._guard:
            open_now = list(self._connections.items())
            for connection, _ in open_now:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue
        for _, thread in open_now:
            thread.join(timeout=5)


class _Handler(BaseHTTPRequestHandler):
    """One connection: reads requests, sends answers."""

    server: _Listener  # pyright: ignore[reportIncompatibleVariableOverride]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = _IDLE_SECONDS

    def version_string(self) -> str:
        """What the Server header says."""
        return "rocket_assets sample library"

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: on_request tells what happens."""

    def _handle(self) -> None:
        path, _, query = self.path.partition("?")
        if path.startswith(MEDIA):
            self._receive()
            answer = self._answer_picture(unquote(path.removeprefix(MEDIA)))
        else:
            # Over before the answer is on its way: a client that has it may ask again at once, and is still only one.
            with self.server.library.under_way():
                self._receive()
                answer = self.server.api.answer(
                    self.command, path, query, self.headers.get("Authorization"), str(self.client_address[0])
                )
        self._send(answer)

    # BaseHTTPRequestHandler looks for methods of these names.
    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _handle  # noqa: N815 - its names

    def _receive(self) -> None:
        self._drop_body()
        self.server.library.linger()

    def _drop_body(self) -> None:
        """Reads what a request carries, or the rest of the connection would be misread."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdecimal() or int(length) > _GREATEST_BODY:
            self.close_connection = True
        else:
            self.rfile.read(int(length))

    def _answer_picture(self, file: str) -> Answer:
        if self.command not in {"GET", "HEAD"}:
            return Answer(HTTPStatus.METHOD_NOT_ALLOWED, b"", "application/xml", {"Allow": "GET, HEAD"})
        body = self.server.library.picture(file)
        if body is None:
            error = b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>NoSuchKey</Code></Error>'
            return Answer(HTTPStatus.NOT_FOUND, error, "application/xml")
        # A bucket believes the suffix; it never looks at the bytes.
        content_type = _CONTENT_TYPES.get(file.rpartition(".")[2].lower(), "application/octet-stream")
        tag = f'"{hashlib.sha256(body).hexdigest()}"'
        headers = {"ETag": tag, "Last-Modified": format_datetime(PICTURES_DATE, usegmt=True)}
        if self._has(tag):
            return Answer(HTTPStatus.NOT_MODIFIED, b"", None, headers)
        return Answer(HTTPStatus.OK, body, content_type, headers)

    def _has(self, tag: str) -> bool:
        """Whether the client says that it holds this picture already. A tag is believed before a date."""
        if tags := self.headers.get("If-None-Match"):
            known = {one.strip().removeprefix("W/") for one in tags.split(",")}
            return tag in known or "*" in known
        try:
            since = parsedate_to_datetime(self.headers.get("If-Modified-Since", ""))
        except ValueError:
            return False
        return since.replace(tzinfo=since.tzinfo or UTC) >= PICTURES_DATE

    def _send(self, answer: Answer) -> None:
        self.server.library.record(Request(self.command, self.path, answer.status, dict(self.headers.items())))
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(len(answer.body)))
            if answer.content_type:
                self.send_header("Content-Type", answer.content_type)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
