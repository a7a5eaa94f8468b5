"""The gallery over HTTP, for people at this machine, whatever the storage is: a folder or a bucket.

    with GalleryServer(Storage("s3://rockets")) as server:
        print(server.url)           # goes into ROCKET_ASSETS_GALLERY_URL
        server.serve_forever()      # until Ctrl-C

It listens on this machine only, unless it is told otherwise. It gives what the gallery is made of and the pictures of
the days, and nothing else of the storage. In a folder the gallery needs no server: its pages open as files.
"""

from __future__ import annotations

import re
import socketserver
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from rocket_assets import storage as keys
from rocket_assets.errors import Missing, StorageFailed
from rocket_assets.storage import Storage

WHAT_MAKES_IT = "`rocket-assets backfill` makes it of the days that it brings, and the sensor views_follow by itself."

LOOPBACK = "127.0.0.1"
"""Where nobody else can reach it."""

_OUR_NAMES = (LOOPBACK, "localhost")
_EVERYWHERE = "0.0.0.0"  # noqa: S104 - only compared with: it listens there if it is told to
_IDLE_SECONDS = 60

# No key of ours begins with a dot anywhere, so that none leads out of its folder.
_SERVED = re.compile(rf"(?:{keys.GALLERY}|{keys.IMAGES})[a-z0-9-][a-z0-9.-]*(?:/[a-z0-9-][a-z0-9.-]*)*")

_TEXT = "text/plain; charset=utf-8"
_CONTENT_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "json": "application/json",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "gif": "image/gif",
    "bmp": "image/bmp",
}


class GalleryServer:
    """The gallery of a storage on a port of this machine; a context manager that starts and stops it.

    Args:
        storage: where the gallery is, or will be.
        host: the address to listen at. Who asks must still call it by that or as one does on this machine.
        port: the port to listen on; 0 takes a free one.
    """

    def __init__(self, storage: Storage, *, host: str = LOOPBACK, port: int = 0) -> None:
        self._storage, self._host, self._port = storage, host, port
        self._listener: _Listener | None = None
        self._thread = threading.Thread()

    @property
    def url(self) -> str:
        """The address of what stands above `gallery/`."""
        if self._listener is None:
            raise RuntimeError("The gallery is not being served.")
        return f"http://{LOOPBACK if self._host == _EVERYWHERE else self._host}:{self._listener.server_port}/"

    def start(self) -> Self:
        """Listen, and answer in the background.

        Raises:
            OSError: the port is taken.
        """
        self._listener = _Listener(self._storage, (self._host, self._port))
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop listening. A server that does not run stays as it is."""
        if self._listener:
            self._listener.shutdown()
            self._listener.server_close()
            self._listener = None

    def serve_forever(self) -> None:
        """Return when the server is stopped, or raise KeyboardInterrupt."""
        while self._thread.is_alive():
            self._thread.join(0.5)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


@dataclass(frozen=True)
class _Answer:
    status: HTTPStatus
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def _told(status: HTTPStatus, text: str, **headers: str) -> _Answer:
    return _Answer(status, f"{text}\n".encode(), {"Content-Type": _TEXT, **headers})


class _Listener(ThreadingHTTPServer):
    """The socket, and a thread for each connection."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, storage: Storage, at: tuple[str, int]) -> None:
        self.storage = storage
        self.names = tuple(dict.fromkeys((*_OUR_NAMES, at[0])))
        super().__init__(at, _Handler)

    def server_bind(self) -> None:
        # HTTPServer would also ask for the machine's full name, which can take seconds.
        socketserver.TCPServer.server_bind(self)
        self.server_port = self.socket.getsockname()[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that breaks off is no news; anything else is."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    def answer(self, path: str, known: str) -> _Answer:
        """What is at a path, but for what a client has already, by its tags."""
        if path in ("/", "/gallery", "/gallery/"):
            return _told(HTTPStatus.FOUND, "The gallery.", Location=f"/{keys.GALLERY_INDEX}")
        # No key of ours has a letter that an address would write in another way.
        key = path.removeprefix("/")
        try:
            return self._stored(key, known) if _SERVED.fullmatch(key) else _told(HTTPStatus.NOT_FOUND, "Not here.")
        except Missing:
            none = f"There is no gallery in {self.storage.uri} yet. {WHAT_MAKES_IT}"
            return _told(HTTPStatus.NOT_FOUND, none if key == keys.GALLERY_INDEX else "Not here.")
        except StorageFailed as error:
            return _told(HTTPStatus.BAD_GATEWAY, str(error))

    def _stored(self, key: str, known: str) -> _Answer:
        found = self.storage.find(key)
        if found is None:
            raise Missing(key)
        # A page that was made again is to be seen at once.
        headers = {"Cache-Control": "no-cache"}
        if found.tag:
            tag = found.tag if found.tag.endswith('"') else f'"{found.tag}"'
            headers["ETag"] = tag
            if tag.removeprefix("W/") in re.findall(r'"[^"]*"', known):
                return _Answer(HTTPStatus.NOT_MODIFIED, headers=headers)
        # A key replaced just now goes with the former tag, which the next look finds to be another.
        body = self.storage.read(key)
        type = _CONTENT_TYPES.get(key.rpartition(".")[2], "application/octet-stream")
        return _Answer(HTTPStatus.OK, body, headers | {"Content-Type": type})


class _Handler(BaseHTTPRequestHandler):
    """One connection: reads requests, sends answers."""

    server: _Listener  # pyright: ignore[reportIncompatibleVariableOverride]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = _IDLE_SECONDS

    def version_string(self) -> str:
        """What the Server header says."""
        return "rocket_assets gallery"

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: people look at the pages."""

    def _give(self) -> None:
        # A page of others may let its own name lead here, and would then read what we give.
        if re.sub(r":\d+$", "", self.headers.get("Host", "")) not in self.server.names:
            self._send(
                _told(HTTPStatus.MISDIRECTED_REQUEST, f"The gallery is at {' and '.join(self.server.names)} only.")
            )
            return
        self._send(self.server.answer(self.path.partition("?")[0], self.headers.get("If-None-Match", "")))

    def _refuse(self) -> None:
        self._send(_told(HTTPStatus.METHOD_NOT_ALLOWED, "The gallery is to be looked at.", Allow="GET, HEAD"))

    do_GET = do_HEAD = _give  # noqa: N815 - BaseHTTPRequestHandler looks for these names
    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _refuse  # noqa: N815 - and for these

    def _send(self, answer: _Answer) -> None:
        # What a request carries is not read, and would be taken for the next one.
        self.close_connection |= "Content-Length" in self.headers or "Transfer-Encoding" in self.headers
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("X-Content-Type-Options", "nosniff")
        if answer.status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(len(answer.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
