"""Promise 11 and more: where a picture's address may lead, when a stranger chose it.

No test needs the internet, so a public address is one that a test lets end at a server of this machine.
"""

from __future__ import annotations

import socket
import ssl
import threading
import uuid
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from rocket_assets.errors import Refused, RocketAssetsError, Unavailable
from rocket_assets.images import Fetched, ImageLibrary
from rocket_assets.launch_library import LaunchLibrary
from rocket_assets.storage import Storage
from rocket_assets_tests.scripted_server import HERE, Answer, Request, ScriptedServer
from rocket_assets_tests.test_images import picture

PUBLIC, NAME = "93.184.216.34", "pictures.example"
ELSEWHERE = "https://ll.thespacedevs.com/2.3.0/"
WEEK = (date(2024, 12, 1), date(2024, 12, 8))


def fetched(url: str, api_url: str = ELSEWHERE) -> Fetched | BaseException:
    """What comes of a picture's address, for a library whose API is elsewhere."""
    store = Storage(f"memory://{uuid.uuid4()}")
    with ImageLibrary(store, api_url=api_url, retries=0, backoff=0) as library:
        future = library.fetch(url)
        return future.exception() or future.result()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server on this machine that has a picture for whoever asks."""
    with ScriptedServer(lambda _: Answer(body=picture())) as server:
        yield server


INSIDE = [
    "127.0.0.1",
    "127.8.9.1",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "0.0.0.0",  # noqa: S104 - an address to be refused; nothing listens on it
    "[::]",
    "localhost",
    "LOCALHOST",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "127.1",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "[fe80::1]",
    "[fd00:ec2::254]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "224.0.0.1",
    "255.255.255.255",
    # What one parser takes for the host, and another for a name and a password.
    "user:pass@127.0.0.1",
    "pictures.example@127.0.0.1",
    f"{PUBLIC}:80@127.0.0.1",
]


@pytest.mark.parametrize("host", INSIDE)
def test_no_address_leads_into_the_network_that_we_are_in(server: ScriptedServer, host: str) -> None:
    port = server.url("").rpartition(":")[2]
    came = fetched(f"http://{host}:{port}/a.png")
    assert isinstance(came, Refused)
    assert "is no address of the public internet" in str(came)
    assert server.requests == []


# The host of the API may be asked for a picture; where it then sends us may not, unless it is the same.
@pytest.mark.parametrize("host", [host for host in INSIDE if not host.endswith("127.0.0.1")])
def test_no_redirect_leads_there_either(server: ScriptedServer, host: str) -> None:
    port = server.url("").rpartition(":")[2]
    server.script = lambda _: Answer(302, headers={"Location": f"http://{host}:{port}/a.png"})
    came = fetched(server.url("/start.png"), api_url=server.url("/2.3.0/"))
    assert isinstance(came, Refused)
    assert "is no address of the public internet" in str(came)
    assert [request.path for request in server.requests] == ["/start.png"]


@pytest.mark.parametrize("inside", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fd00:ec2::254"])
def test_no_name_that_resolves_to_such_an_address_leads_there(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    resolve_to(monkeypatch, [inside])
    came = fetched(f"http://{NAME}:{server.url('').rpartition(':')[2]}/a.png")
    assert isinstance(came, Refused)
    assert f"leads to {inside}" in str(came)
    assert server.requests == []


def test_a_name_that_resolves_to_another_address_the_second_time_is_not_asked_there(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    lookups = resolve_to(monkeypatch, [PUBLIC, "127.0.0.1", "127.0.0.1"])
    came = fetched(f"http://{NAME}:{server.url('').rpartition(':')[2]}/a.png")
    # The tests let no connection out of this machine; that one was tried shows where it was to go.
    assert isinstance(came, Unavailable)
    assert f"wanted to connect to ('{PUBLIC}'" in str(came)
    assert lookups == [NAME]
    assert server.requests == []


@pytest.mark.parametrize("scheme", ["file", "ftp", "gopher", "data", "javascript", "unix", "HTTP+unix"])
def test_no_other_scheme_than_http_and_https_is_spoken(scheme: str) -> None:
    came = fetched(f"{scheme}://127.0.0.1/etc/passwd", api_url=HERE)
    assert isinstance(came, Refused)


def test_the_host_of_the_api_may_be_inside_and_then_has_pictures(server: ScriptedServer) -> None:
    assert isinstance(fetched(server.url("/a.png"), api_url="http://127.0.0.1:1/2.3.0/"), Fetched)
    assert isinstance(fetched(server.url("/a.png"), api_url="http://LOCALHOST:1/2.3.0/"), Refused)
    at_localhost = server.url("/a.png").replace("127.0.0.1", "localhost")
    assert isinstance(fetched(at_localhost, api_url="http://LOCALHOST:1/2.3.0/"), Fetched)


def test_the_token_goes_to_the_api_and_to_nothing_else() -> None:
    with ScriptedServer(lambda _: Answer(body=picture())) as pictures:

        def library(request: Request) -> Answer:
            if "offset=0" in request.path:
                return Answer(302, headers={"Location": pictures.url("/2.3.0/launches/")})
            return Answer(404)

        with ScriptedServer(library) as api, LaunchLibrary(api.url("/2.3.0/"), token="sesame", backoff=0) as asking:
            with pytest.raises(RocketAssetsError):
                list(asking.launches(*WEEK))
            fetched(pictures.url("/a.png"), api_url=api.url("/2.3.0/"))
            assert [request.headers.get("authorization") for request in api.requests] == ["Token sesame"]
            assert [request.headers.get("authorization") for request in pictures.requests] == [None]


# What the whole internet does


def resolve_to(monkeypatch: pytest.MonkeyPatch, addresses: list[str]) -> list[str]:
    """Let names resolve to these addresses, one look-up after the other; which names were looked up.

    In place of the resolver of the system, because no test asks the internet's, and no other gives changing answers.
    """
    lookups, real, left = list[str](), socket.getaddrinfo, iter(addresses)

    def resolve(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host == NAME:
            lookups.append(host)
            host = next(left)
        return real(host, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return lookups


class Secure:
    """An encrypted server for one name, at a public address as far as a client can tell."""

    def __init__(self, name: str, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked_for: list[str | None] = []
        self.hosts: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.hosts.append(self.headers["Host"])
                self.send_response(200)
                self.end_headers()
                self.wfile.write(picture())

            def log_message(self, format: str, *args: Any) -> None:
                return

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sni_callback = lambda _, asked, __: self.asked_for.append(asked)
        authority.issue_cert(name).configure_cert(context)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        connect, here = socket.socket.connect, self._server.server_address

        def reach(made: socket.socket, address: Any) -> None:
            connect(made, here if address == (PUBLIC, 443) else address)

        monkeypatch.setattr(socket.socket, "connect", reach)
        resolve_to(monkeypatch, [PUBLIC])

    def __enter__(self) -> Secure:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """Who signs certificates, and is believed."""
    made = trustme.CA()
    made.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
    return made


def test_a_picture_comes_encrypted_from_the_public_internet_by_the_name_of_its_host(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Secure(NAME, authority, monkeypatch) as server:
        came = fetched(f"https://{NAME}/a.png")
        assert isinstance(came, Fetched), came
        assert server.asked_for == [NAME]
        assert server.hosts == [NAME]


def test_a_certificate_for_another_name_is_not_believed(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> None:
    with Secure("another.example", authority, monkeypatch) as server:
        came = fetched(f"https://{NAME}/a.png")
        assert isinstance(came, Unavailable)
        assert f"'{NAME}' doesn't match 'another.example'" in str(came)
        assert server.hosts == []
