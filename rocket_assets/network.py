"""What both our clients of the network share: limits, retries, and words for what went wrong.

No server can hold us: an answer has so many seconds and so many bytes, its head included, whatever the server does. And
no address that a stranger chose leads us into the network that we are in.

What is asked, and what the answer must be, is in `launch_library` and `images`.
"""

from __future__ import annotations

import logging
import re
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from http.client import HTTPException
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.auth import AuthBase
from requests_hardened.ip_filter_adapter import IPFilterAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, MaxRetryError
from urllib3.util import Retry

from rocket_assets.settings import MAX_BYTES, MAX_PIXELS, MAX_SECONDS

USER_AGENT = "rocket_assets (a Dagster project)"

_CHUNK = 64 * 1024

_LONGEST_CAUSE = 2000


@dataclass(frozen=True)
class Limits:
    """How far a download goes before it is given up.

    Attributes:
        bytes: of a body, unpacked; the largest picture seen in the Launch Library has 1.5 MB, a page of launches 1 MB.
        seconds: for the head of an answer, and for all of it, however steadily it drips; a repetition begins anew.
        pixels: of a picture, all frames together; Pillow's own limit against decompression bombs, 256 MB of RGB.
    """

    bytes: int = int(MAX_BYTES.default)
    seconds: float = float(MAX_SECONDS.default)
    pixels: int = int(MAX_PIXELS.default)


LIMITS = Limits()

# It would write a warning for each address that it refuses, with the host to the letter; our own error says more.
logging.getLogger("requests_hardened").setLevel(logging.ERROR)


class TooLarge(requests.RequestException):
    """A body that has more bytes than are taken."""


class Timeout(NamedTuple):
    """Seconds to wait for a connection, and for each next part of an answer."""

    connect: float = 10.0
    read: float = 60.0


class _NoAuth(AuthBase):
    """Sends no credentials; without it, requests would look for some in ~/.netrc."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class _Impatient(HTTPAdapter):
    """Sends requests on connections of these kinds, by scheme, also by way of a proxy."""

    pools: dict[str, type[urllib3.HTTPConnectionPool]] | None = None

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self.pools or self.poolmanager.pool_classes_by_scheme

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> urllib3.ProxyManager:
        manager = super().proxy_manager_for(proxy, **kwargs)
        # SOCKS has kinds of its own.
        if proxy.startswith("http") and self.pools:
            manager.pool_classes_by_scheme = self.pools
        return manager


class _Guarded(IPFilterAdapter, _Impatient):
    """Sends them to addresses of the public internet only."""


class _Session(requests.Session):
    def __init__(self, trusted: HTTPAdapter, trusted_host: str | None) -> None:
        super().__init__()
        self._trusted, self._trusted_host = trusted, trusted_host

    def get_adapter(self, url: str) -> BaseAdapter:
        """What sends a request to `url`; asked for again after each redirect."""
        adapter = super().get_adapter(url)
        host = urlsplit(url).hostname
        if not host:
            raise requests.exceptions.InvalidURL(f"{url!r} names no host")
        return self._trusted if host == self._trusted_host else adapter

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """A redirect carries no credentials; requests would look for those of the new host in ~/.netrc."""
        prepared_request.headers.pop("Authorization", None)

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Where a redirect leads; to an address that is none it is an error of requests, and not a bare ValueError."""
        try:
            target = super().get_redirect_target(resp)
            urlsplit(target or "")
        except ValueError as error:
            resp.close()
            where = resp.headers["Location"]
            raise requests.exceptions.InvalidURL(f"it leads to {where!r}, which is no address ({error})") from None
        if target:
            # Before it goes there, requests would read the body of the redirect to its end, which may never come.
            resp.close()
        return target


def session(
    *,
    accept: str,
    retries: int,
    backoff: float,
    connections: int = 1,
    auth: AuthBase | None = None,
    seconds: float = LIMITS.seconds,
    public_but_for: str | None = None,
) -> requests.Session:
    """A session that tries again after a failed connection, a 408 or a 5xx.

    The first repetition is at once, the next ones after 2, 4, 8 … times `backoff` seconds.
    It may be shared by as many threads as it has `connections`. A 429 is never repeated here: whoever runs us can wait
    without holding the server for others. The head of an answer has to come within `seconds`.

    With `public_but_for`, the address of a host, a request to any other host goes to addresses of the public internet
    only, wherever a name or a redirect leads; to another one it raises requests_hardened's `InvalidIPAddress`.
    """

    def prepared(adapter: _Impatient) -> HTTPAdapter:
        adapter.max_retries = Retry(
            total=retries,
            backoff_factor=backoff,
            status_forcelist=(408, 500, 502, 503, 504),
            allowed_methods=("GET",),
            raise_on_status=False,
            respect_retry_after_header=False,
        )
        adapter.pools = _impatient_pools(seconds)
        adapter.init_poolmanager(connections, connections)
        return adapter

    made = _Session(prepared(_Impatient()), urlsplit(public_but_for).hostname if public_but_for else None)
    made.auth = auth or _NoAuth()
    made.headers.update({"User-Agent": USER_AGENT, "Accept": accept})
    for scheme in ("http", "https"):
        adapter = _Impatient() if public_but_for is None else _Guarded(is_https_proto=scheme == "https")
        made.mount(f"{scheme}://", prepared(adapter))
    return made


def _impatient_pools(seconds: float) -> dict[str, type[urllib3.HTTPConnectionPool]]:
    """Connections, by scheme, whose answers have to begin within so many seconds, and are not read for nothing."""

    class Connection(HTTPConnection):
        # Or http.client would print what is sent, the token included, for whoever has switched that on.
        debuglevel = 0

        def getresponse(self) -> urllib3.HTTPResponse:
            return _in_time(self, super().getresponse, seconds)

    class SecureConnection(HTTPSConnection):
        debuglevel = 0

        def getresponse(self) -> urllib3.HTTPResponse:
            return _in_time(self, super().getresponse, seconds)

    class Pool(urllib3.HTTPConnectionPool):
        ConnectionCls = Connection  # pyright: ignore[reportAssignmentType] - nor does urllib3's own class fit its type

    class SecurePool(urllib3.HTTPSConnectionPool):
        ConnectionCls = SecureConnection  # pyright: ignore[reportAssignmentType] - as above

    return {"http": Pool, "https": SecurePool}


def _in_time(
    connection: HTTPConnection, getresponse: Callable[[], urllib3.HTTPResponse], seconds: float
) -> urllib3.HTTPResponse:
    """The head of an answer; the connection is broken off when it takes too long.

    The time limit of a socket would not do: it begins anew with each byte.
    """
    over = threading.Event()

    def give_up() -> None:
        over.set()
        if connection.sock:
            # Not the method of an encrypted socket, which would forget its encryption while it is read.
            socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)

    timer, response = threading.Timer(seconds, give_up), None
    timer.start()
    try:
        response = getresponse()
    except (OSError, HTTPException, ValueError):
        if not over.is_set():
            raise
    finally:
        timer.cancel()
    if response is None or over.is_set():
        # A head that breaks off counts as one that has ended, and its answer as one.
        if response:
            response.close()
        raise TimeoutError(f"it had not begun to answer after {seconds:g} seconds ({MAX_SECONDS.name})")
    # Before a repetition urllib3 would read what it repeats to its end, which may never come.
    response.drain_conn = response.close
    return response


def download(
    session: requests.Session,
    url: str,
    *,
    limits: Limits,
    timeout: Timeout,
    headers: Mapping[str, str] | None = None,
    allow_redirects: bool = True,
) -> tuple[requests.Response, bytes]:
    """The answer to a GET and its body, unpacked, within these limits; where it is no 200, the beginning of its body.

    Raises:
        requests.exceptions.ChunkedEncodingError: the body broke off.
        TooLarge: it has more bytes than are taken.
        requests.Timeout: it took too long.
        requests.RequestException: anything else that `requests` says of it.
    """
    give_up = time.monotonic() + limits.seconds
    body = bytearray()
    with session.get(url, headers=headers, timeout=timeout, stream=True, allow_redirects=allow_redirects) as response:
        for chunk in _chunks(response):
            body += chunk
            if response.status_code != requests.codes.ok and len(body) >= _CHUNK:
                break
            if len(body) > limits.bytes:
                raise TooLarge(f"more than {limits.bytes:,} bytes came ({MAX_BYTES.name})")
            if time.monotonic() > give_up:
                raise requests.Timeout(f"it was not done after {limits.seconds:g} seconds ({MAX_SECONDS.name})")
    return response, bytes(body)


def _chunks(response: requests.Response) -> Iterator[bytes]:
    """The body in pieces, each as soon as it is there; `iter_content` would wait for a piece to be full."""
    try:
        while chunk := response.raw.read1(_CHUNK, decode_content=True):
            yield chunk
    except urllib3.exceptions.ProtocolError as error:
        raise requests.exceptions.ChunkedEncodingError(error) from error
    except urllib3.exceptions.DecodeError as error:
        raise requests.exceptions.ContentDecodingError(error) from error
    except urllib3.exceptions.HTTPError as error:
        raise requests.ConnectionError(error) from error


def tries(response: requests.Response) -> int:
    """How many requests this answer took."""
    retries = response.raw.retries
    return 1 + (len(retries.history) if retries else 0)


def tries_before(error: requests.RequestException, retries: int) -> int:
    """How many requests were tried before this error, by a session that tries again `retries` times."""
    given_up = bool(error.args) and isinstance(error.args[0], MaxRetryError)
    return 1 + (retries if given_up else 0)


def described(response: requests.Response, body: bytes) -> str:
    """An answer's type and beginning, for an error message."""
    kind = response.headers.get("Content-Type", "no content type").partition(";")[0]
    start = " ".join(body[:80].decode("utf-8", "replace").split())
    return f"{kind} that begins {start!r}" if start else f"an empty body ({kind})"


def cause(error: BaseException) -> str:
    """The innermost reason of a chain of wrapped network errors, without the addresses of objects."""
    while True:
        packed = next((part for part in error.args if isinstance(part, BaseException)), None)
        inner = error.__cause__ or error.__context__ or getattr(error, "reason", None) or packed
        # Further out may be an error that our caller was handling; it has nothing to do with ours.
        if not isinstance(inner, OSError | HTTPError | HTTPException):
            break
        error = inner
    return re.sub(r"<[^<>]*>:? ?", "", str(error)[:_LONGEST_CAUSE]).rstrip(".") or type(error).__name__


def spellings(secret: str) -> re.Pattern[str]:
    """What finds a secret as a server may repeat it: plain, quoted for an address, HTML or JSON, and in base64."""
    letters = "".join(_spellings_of(letter) for letter in secret)
    # In base64 a text has three forms, by where it begins in three bytes; its ends mix with what is around it.
    coded = (b64encode(b"-" * before + secret.encode()).decode() for before in range(3))
    inside = (text[-(-before * 8 // 6) : (before + len(secret)) * 8 // 6] for before, text in enumerate(coded))
    return re.compile("|".join([letters, *(re.escape(text) for text in inside if text)]), re.IGNORECASE)


def _spellings_of(letter: str) -> str:
    code = ord(letter)
    named = re.escape(escape(letter))
    # No more backslashes than that, or a text of many of them would be searched for hours.
    return rf"\\{{0,4}}(?:{re.escape(letter)}|%{code:02x}|u{code:04x}|&\#0{{0,4}}{code};|&\#x0{{0,4}}{code:x};|{named})"


@contextmanager
def logged_without(hidden: Callable[[str], str]) -> Iterator[None]:
    """Let what urllib3 logs go through `hidden` meanwhile: it repeats what a server said."""

    def hide(record: logging.LogRecord) -> bool:
        said = record.getMessage()
        if hidden(said) != said or record.exc_info:
            record.msg, record.args, record.exc_info = hidden(said), (), None
        return True

    loggers = [logging.getLogger(f"urllib3.{name}") for name in ("connection", "connectionpool", "util.retry")]
    for logger in loggers:
        logger.addFilter(hide)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(hide)
