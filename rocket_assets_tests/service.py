"""A service that people are told by: it takes messages over HTTP, as `json://` of Apprise sends them, or misbehaves."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Service:
    """A service that takes messages over HTTP, answers `status`, and may be silent or drip its answer."""

    port: int = 0
    status: int = 200
    silent: bool = False
    drips: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    raw_headers: bytes = b""
    messages: list[dict[str, Any]] = field(default_factory=list)
    agents: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def address(self, path: str = "/", user: str = "") -> str:
        return f"json://{user}127.0.0.1:{self.port}{path}"


def _handler(service: Service) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            service.messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            service.agents.append(self.headers["User-Agent"])
            if service.silent:
                service.stopped.wait()
                return
            self.send_response(service.status)
            for name, value in service.headers.items():
                self.send_header(name, value)
            self.end_headers()
            while service.drips and not service.stopped.wait(0.05):
                self.wfile.write(b".")
                self.wfile.flush()

        def end_headers(self) -> None:
            self._headers_buffer.append(service.raw_headers)  # pyright: ignore[reportAttributeAccessIssue]
            super().end_headers()

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:
                return

        def log_message(self, format: str, *args: Any) -> None:
            return

    return Handler


@contextmanager
def serving(service: Service) -> Iterator[Service]:
    """The service on a free port, until the block ends."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(service)) as server:
        server.daemon_threads = True
        service.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield service
        finally:
            service.stopped.set()
            server.shutdown()
            thread.join()
