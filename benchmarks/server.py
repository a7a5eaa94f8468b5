"""A Launch Library to measure against: it answers as the real one does, and takes as little of the machine as it can.

    python -m benchmarks.server [FOLDER_OF_PICTURES] [--latency SECONDS]

The sample library of the project selects, sorts and encodes anew for each answer, which would take the time of those
that are measured. Here each launch is encoded once, and an answer is cut from that; a picture goes from file to socket.

It prints its address. `GET /counts` says what it was asked since the last `POST /reset`, and `POST /latency/0.05` sets
how many seconds it waits before each answer.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import socketserver
import subprocess
import sys
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import requests

from benchmarks import history

_CHANGED = "Sun, 01 Dec 2024 00:00:00 GMT"
_TYPES = {"jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png"}
_LAUNCHES, _PICTURES = "/2.3.0/launches/", "/media/images/"
_UPCOMING, _TODAY = f"{_LAUNCHES}upcoming/", "2026-01-01"
_MOST = 100

COUNTED = ("api_requests", "api_bytes", "picture_requests", "picture_bytes", "unchanged_pictures")
"""A picture that the client has already is counted as unchanged, and not among the requests."""


class BenchmarkServer(socketserver.ThreadingTCPServer):
    """Serves the history; what it was asked is in `counts`."""

    daemon_threads = True
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(self, pictures: Path, latency: float = 0.0) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.latency, self.counts, self.guard = latency, Counter[str](), threading.Lock()
        self.base_url = f"http://127.0.0.1:{self.server_address[1]}"
        rows = history.rows(self.base_url)
        self.nets = [row["net"] for row in rows]
        self.encoded = [json.dumps(row, separators=(",", ":")).encode() for row in rows]
        self.pictures = {path.name: (path, path.stat().st_size, _tag(path)) for path in pictures.iterdir()}
        self.cpu_before = time.process_time()

    def count(self, **counted: int) -> None:
        """Add to what was asked so far."""
        with self.guard:
            self.counts.update(counted)

    def reset(self) -> None:
        """Count from zero again."""
        with self.guard:
            self.counts.clear()
            self.cpu_before = time.process_time()

    def said(self) -> bytes:
        """What was asked since the last reset, and the seconds of the CPU that answering took."""
        with self.guard:
            counted = {name: self.counts[name] for name in COUNTED}
            return json.dumps(counted | {"server_cpu": time.process_time() - self.cpu_before}).encode()

    def page(self, query: str) -> bytes:
        """The answer to a question for launches."""
        asked = dict(parse_qsl(query))
        start = bisect_left(self.nets, asked.get("net__gte", ""))
        end = bisect_left(self.nets, asked.get("net__lt", "9"))
        limit, offset = min(_MOST, int(asked.get("limit", 10))), int(asked.get("offset", 0))
        first, last = min(start + offset, end), min(start + offset + limit, end)
        url = f"{self.base_url}{_LAUNCHES}?"
        following = url + urlencode(asked | {"offset": offset + limit}) if last < end else None
        # As in the API, no offset where it would be nothing.
        asked.pop("offset", None)
        before = url + urlencode(asked | ({"offset": offset - limit} if offset > limit else {})) if offset else None
        head = json.dumps({"count": end - start, "next": following, "previous": before})[:-1]
        return b"".join([head.encode(), b', "results":[', b",".join(self.encoded[first:last]), b"]}"])


def _tag(path: Path) -> str:
    return f'"{hashlib.sha256(path.read_bytes()).hexdigest()}"'


class _Connection(socketserver.StreamRequestHandler):
    """One connection: reads requests, sends answers, until the client has no more."""

    server: BenchmarkServer  # pyright: ignore[reportIncompatibleVariableOverride]
    disable_nagle_algorithm = True
    timeout = 60

    def handle(self) -> None:
        # A client may break off.
        with suppress(OSError):
            while line := self.rfile.readline():
                method, target, _ = line.decode().split()
                headers: dict[str, str] = {}
                while (header := self.rfile.readline()) not in (b"\r\n", b""):
                    name, _, value = header.decode().partition(":")
                    headers[name.lower()] = value.strip()
                self.rfile.read(int(headers.get("content-length", 0)))
                self._answer(method, target, headers)

    def _answer(self, method: str, target: str, headers: dict[str, str]) -> None:
        path, _, query = target.partition("?")
        if path.startswith((_LAUNCHES, _PICTURES)):
            time.sleep(self.server.latency)
        if path in (_LAUNCHES, _UPCOMING):
            body = self.server.page(query if path == _LAUNCHES else f"{query}&net__gte={_TODAY}")
            self.server.count(api_requests=1, api_bytes=len(body))
            self._send("200 OK", "application/json", body)
        elif path.startswith(_PICTURES):
            self._send_picture(path.removeprefix(_PICTURES), headers.get("if-none-match"))
        elif method == "GET" and path == "/counts":
            self._send("200 OK", "application/json", self.server.said())
        elif method == "POST" and path == "/reset":
            self.server.reset()
            self._send("204 No Content")
        elif method == "POST" and path.startswith("/latency/"):
            self.server.latency = float(path.removeprefix("/latency/"))
            self._send("204 No Content")
        else:
            self._send("404 Not Found")

    def _send_picture(self, name: str, known: str | None) -> None:
        if name not in self.server.pictures:
            self._send("404 Not Found")
            return
        path, size, tag = self.server.pictures[name]
        if known == tag:
            self.server.count(unchanged_pictures=1)
            self._send("304 Not Modified", extra=_validators(tag))
            return
        # Before it is sent: who has it may ask at once what was counted.
        self.server.count(picture_requests=1, picture_bytes=size)
        self._send("200 OK", _TYPES[path.suffix[1:]], length=size, extra=_validators(tag))
        with path.open("rb") as file:
            self.connection.sendfile(file)

    def _send(
        self, status: str, kind: str | None = None, body: bytes = b"", *, length: int | None = None, extra: str = ""
    ) -> None:
        head = f"HTTP/1.1 {status}\r\nServer: benchmark\r\nDate: {_CHANGED}\r\n{extra}"
        if kind:
            head += f"Content-Type: {kind}\r\n"
        # A 204 and a 304 have no length; all others say theirs.
        if not status.startswith(("204", "304")):
            head += f"Content-Length: {len(body) if length is None else length}\r\n"
        self.connection.sendall(head.encode() + b"\r\n" + body)


def _validators(tag: str) -> str:
    return f"ETag: {tag}\r\nLast-Modified: {_CHANGED}\r\n"


class Asked:
    """A server in another process, and what it is asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()

    def counts(self) -> dict[str, float]:
        """What it was asked since the last reset, and the seconds of the CPU that answering took."""
        return self._session.get(f"{self.url}/counts", timeout=10).json()

    def reset(self) -> None:
        """Let it count from zero."""
        self._session.post(f"{self.url}/reset", timeout=10).raise_for_status()

    def wait(self, latency: float) -> None:
        """Let it wait so many seconds before each answer."""
        self._session.post(f"{self.url}/latency/{latency}", timeout=10).raise_for_status()


@contextmanager
def serving(pictures: Path) -> Iterator[Asked]:
    """A server over these pictures in a process of its own."""
    argv = [sys.executable, "-m", "benchmarks.server", str(pictures)]
    root = Path(__file__).parents[1]
    # In a session of its own: who presses Ctrl-C ends what is measured first, and then this.
    with subprocess.Popen(argv, cwd=root, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            yield Asked(process.stdout.readline().strip() if process.stdout else "")
        finally:
            process.terminate()


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=Path, nargs="?", help="or .bench/pictures, where they are drawn once")
    parser.add_argument("--latency", type=float, default=0.0)
    options = parser.parse_args()
    pictures = options.pictures or history.draw_pictures()
    with BenchmarkServer(pictures, options.latency) as server, suppress(KeyboardInterrupt):
        print(server.base_url, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
