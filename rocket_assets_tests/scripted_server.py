"""A real HTTP server on port 0 that does what a test tells it, misbehaviour included.

    with ScriptedServer(lambda request: Answer(404)) as server:
        requests.get(server.url("/a.jpeg"))

Where a faithful Launch Library is wanted, use `rocket_assets.sample_library.server` instead.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

JSON = "application/json"

HERE = "http://127.0.0.1/"
"""The address of an API on the host of the tests' servers: pictures are fetched from there, too."""


@dataclass(frozen=True)
class Request:
    """A request as it came: the path with its query, and the headers by lower-case name."""

    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """What to answer, and how to misbehave.

    Args:
        status: the HTTP status.
        body: the bytes to send.
        content_type: what they are said to be.
        headers: further headers.
        announced: the Content-Length to announce, where it is not the true one; None for none at all.
        silent: seconds to wait before the first byte.
        reset: break the connection off instead of answering.
        drip: seconds to wait before each byte of the body.
        drip_head: seconds to wait before each byte of the status line and the headers.
        endless: send the body again and again, without a length.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = "application/octet-stream"
    headers: Mapping[str, str] = field(default_factory=dict)
    announced: int | None = -1
    silent: float = 0.0
    reset: bool = False
    drip: float = 0.0
    drip_head: float = 0.0
    endless: bool = False

    @property
    def length(self) -> int | None:
        """The Content-Length to announce, or None for none at all."""
        if self.endless:
            return None
        return len(self.body) if self.announced == -1 else self.announced


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def told(self) -> ScriptedServer:
        """Who says what to answer."""
        assert isinstance(self.server, _Server)
        return self.server.told

    def do_GET(self) -> None:
        request = Request(self.path, {name.lower(): value for name, value in self.headers.items()})
        self.told.requests.append(request)
        answer = self.told.script(request)
        if answer.reset:
            # Lingering for no time turns the close into a reset.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
            return
        self.told.stopped.wait(answer.silent)
        if answer.drip_head:
            self._trickle(f"HTTP/1.1 {answer.status} Slow\r\nX-Slow: {'x' * 60_000}".encode(), answer.drip_head)
        self._send_head(answer)
        self._send_body(answer)

    def _send_head(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        if answer.length is not None:
            self.send_header("Content-Length", str(answer.length))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send_body(self, answer: Answer) -> None:
        if answer.drip:
            self._trickle(answer.body, answer.drip)
        else:
            self.wfile.write(answer.body)
        while answer.endless and not self.told.stopped.is_set():
            self.wfile.write(answer.body)
        if answer.length != len(answer.body):
            self.close_connection = True

    def _trickle(self, body: bytes, pause: float) -> None:
        for byte in body:
            if self.told.stopped.wait(pause):
                raise ConnectionAbortedError
            self.wfile.write(bytes([byte]))

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            return

    def log_message(self, format: str, *args: Any) -> None:
        return


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, told: ScriptedServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.told = told


class ScriptedServer:
    """Answers each request with what `script` makes of it, and remembers the requests in order."""

    def __init__(self, script: Callable[[Request], Answer]) -> None:
        self.script = script
        self.requests: list[Request] = []
        self.stopped = threading.Event()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def url(self, path: str = "/") -> str:
        """The address of a path on this server."""
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
