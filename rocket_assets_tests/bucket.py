"""A bucket: S3 as moto plays it, on a free port, which is watched and can be told to break.

moto does not check who asks: a refusal is one of the faults.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

import requests
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

Respond = Callable[..., Any]
Environ = dict[str, Any]

KEY, SECRET, SESSION = "AKIASESAME4711", "sesame-4711-secret", "sesame-4711-session"

REFUSED = f"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>SignatureDoesNotMatch</Code>
<Message>The signature that we calculated is not the one you provided.</Message>
<AWSAccessKeyId>{KEY}</AWSAccessKeyId>
<CanonicalRequest>x-amz-security-token:{SESSION}</CanonicalRequest></Error>
"""
"""What S3 answers to who has the wrong secret: it repeats what was sent."""


class Request(str):
    """Method and path of a request, as text; and what else tests want to know of it."""

    def __new__(cls, environ: Environ) -> Request:
        """The request in this environment of a WSGI server."""
        made = super().__new__(cls, f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
        made._environ = environ
        return made

    _environ: Environ

    @property
    def copies(self) -> bool:
        """Whether it asks the server for a copy."""
        return "HTTP_X_AMZ_COPY_SOURCE" in self._environ

    @property
    def lists(self) -> str | None:
        """The prefix whose keys it asks for; None where it asks for no keys."""
        asked = parse_qs(self._environ["QUERY_STRING"], keep_blank_values=True)
        return asked.get("prefix", [""])[0] if "list-type" in asked else None

    @property
    def region(self) -> str:
        """The region for which it is signed."""
        return self._environ["HTTP_AUTHORIZATION"].split("/")[2]


@dataclass
class Fault:
    """What is done to the requests of these methods, instead of what they ask for; to the first `times` of them."""

    methods: tuple[str, ...] = ("GET", "HEAD", "PUT", "POST", "DELETE")
    status: int = 0
    """Answer with this status, and with `body`."""
    body: str = ""
    breaks_after: int = -1
    """Break the connection after so many bytes: of what is sent by PUT or POST, of what is answered to the others."""
    silent: bool = False
    loses_answer: bool = False
    """Do what is asked for, and break the connection instead of answering."""
    times: int = 1_000_000


@dataclass
class S3:
    """The server: where it is, what was asked of it, and what is wrong with it."""

    port: int = 0
    requests: list[Request] = field(default_factory=list)
    """In the order in which they came."""
    at_once: int = 0
    """How many are waiting for their answer."""
    most_at_once: int = 0
    fault: Fault | None = None
    stopped: threading.Event = field(default_factory=threading.Event)
    turn: threading.Lock = field(default_factory=threading.Lock)
    _counting: threading.Lock = field(default_factory=threading.Lock)

    @property
    def environ(self) -> dict[str, str]:
        """How a user sets up access to it."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_SESSION_TOKEN": SESSION,
        }

    def make_bucket(self) -> str:
        """An empty bucket, by its URI."""
        name = f"bucket-{uuid.uuid4()}"
        requests.put(f"http://127.0.0.1:{self.port}/{name}", timeout=10).raise_for_status()
        return f"s3://{name}"

    def played_by(self, s3: Callable[[Environ, Respond], Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
        """What answers."""
        return s3

    def watched(self, app: Callable[[Environ, Respond], Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
        """The same application, watched and with its fault."""

        def asked(environ: Environ, respond: Respond) -> bytes:
            with self._counting:
                self.at_once += 1
                self.most_at_once = max(self.most_at_once, self.at_once)
            try:
                # Each is done at one moment, as in S3: moto closes an object that is replaced while it is read.
                with self.turn:
                    return b"".join(app(environ, respond))
            finally:
                with self._counting:
                    self.at_once -= 1

        def answer(environ: Environ, respond: Respond) -> Iterable[bytes]:
            method = environ["REQUEST_METHOD"]
            self.requests.append(Request(environ))
            fault = self.fault
            if fault is None or method not in fault.methods or fault.times < 1:
                return [asked(environ, respond)]
            fault.times -= 1
            if fault.status:
                respond(f"{fault.status} {HTTPStatus(fault.status).phrase}", [("Content-Type", "application/xml")])
                return [fault.body.encode()]
            if fault.silent:
                self.stopped.wait()
            elif fault.loses_answer:
                asked(environ, lambda *_: None)
            elif method in ("PUT", "POST"):
                environ["wsgi.input"].read(min(fault.breaks_after, int(environ.get("CONTENT_LENGTH") or 0)))
            else:
                return _half(asked(environ, respond), fault.breaks_after, environ["werkzeug.socket"])
            raise _broken(environ["werkzeug.socket"])

        return answer


def _half(body: bytes, count: int, connection: socket.socket) -> Iterator[bytes]:
    yield body[:count]
    raise _broken(connection)


def _broken(connection: socket.socket) -> ConnectionError:
    """Break a connection; when this is raised, the server takes it that the client has gone."""
    connection.shutdown(socket.SHUT_RDWR)
    return ConnectionError()


class _Quiet(MotoRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        return


@contextlib.contextmanager
def serving_s3(s3: S3 | None = None) -> Iterator[S3]:
    """The server on a free port, until the block ends."""
    s3 = s3 or S3()
    app = s3.watched(s3.played_by(DomainDispatcherApplication(create_backend_app)))
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    s3.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield s3
    finally:
        s3.stopped.set()
        server.shutdown()
        thread.join()
        server.server_close()
