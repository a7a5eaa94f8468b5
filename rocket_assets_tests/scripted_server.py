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
    """

    status: int = 200
    body: bytes = b""
    content_type: str = "application/octet-stream"
    headers: Mapping[str, str] = field(default_factory=dict)
    announced: int | None = -1
    silent: float = 0.0
    reset: bool = False


class ScriptedServer:
    """Answers each request with what `script` makes of it, and remembers the requests in order."""

    def __init__(self, script: Callable[[Request], Answer]) -> None:
        self.requests: list[Request] = []
        self.stopped = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                request = Request(self.path, {name.lower(): value for name, value in self.headers.items()})
                outer.requests.append(request)
                answer = script(request)
                if answer.reset:
                    # Lingering for no time turns the close into a reset.
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.connection.close()
                    self.close_connection = True
                    return
                outer.stopped.wait(answer.silent)
                length = len(answer.body) if answer.announced == -1 else answer.announced
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.content_type)
                if length is not None:
                    self.send_header("Content-Length", str(length))
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)
                if length != len(answer.body):
                    self.close_connection = True

            def handle(self) -> None:
                try:
                    super().handle()
                except ConnectionError:
                    return

            def log_message(self, format: str, *args: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
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
