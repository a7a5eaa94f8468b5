"""The session that both clients share: what it repeats, what it sends, and how it words what went wrong."""

from __future__ import annotations

import base64
import socket
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import requests
from requests.auth import AuthBase

from rocket_assets.network import USER_AGENT, Timeout, cause, described, session, spellings, tries, tries_before
from rocket_assets_tests.scripted_server import Answer, ScriptedServer

SECONDS = 5


@pytest.fixture
def client() -> Iterator[requests.Session]:
    """A session that tries three times and loses no time."""
    with session(accept="image/*", retries=2, backoff=0) as made:
        yield made


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Credentials for every host, as a developer may have them; the header that they would make."""
    path = tmp_path / "netrc"
    path.write_text("machine 127.0.0.1 login someone password hidden\ndefault login anyone password hidden\n")
    path.chmod(0o600)
    monkeypatch.setenv("NETRC", str(path))
    return "Basic " + base64.b64encode(b"someone:hidden").decode()


def port_where_nothing_listens() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


# What is repeated


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_a_server_in_trouble_is_asked_again_and_its_last_answer_is_given(client: requests.Session, status: int) -> None:
    with ScriptedServer(lambda request: Answer(status, b"sorry", headers={"Retry-After": "3600"})) as server:
        response = client.get(server.url(), timeout=SECONDS)
        assert len(server.requests) == 3
    assert (response.status_code, response.content, tries(response)) == (status, b"sorry", 3)


@pytest.mark.parametrize("status", [200, 204, 304, 400, 401, 403, 404, 410, 413, 429])
@pytest.mark.parametrize("headers", [{}, {"Retry-After": "1"}], ids=["plain", "with Retry-After"])
def test_no_other_answer_is_asked_for_twice(client: requests.Session, status: int, headers: dict[str, str]) -> None:
    with ScriptedServer(lambda request: Answer(status, headers=headers)) as server:
        response = client.get(server.url(), timeout=SECONDS)
        assert len(server.requests) == 1
    assert (response.status_code, tries(response)) == (status, 1)


def test_a_server_that_recovers_is_no_trouble_and_its_tries_are_counted(client: requests.Session) -> None:
    troubles = [Answer(503), Answer(reset=True), Answer(200, b"well")]
    with ScriptedServer(lambda request: troubles.pop(0)) as server:
        response = client.get(server.url(), timeout=SECONDS)
        assert len(server.requests) == 3
    assert (response.content, tries(response)) == (b"well", 3)


def test_a_connection_that_is_reset_again_and_again_is_an_error_that_says_so(client: requests.Session) -> None:
    with ScriptedServer(lambda request: Answer(reset=True)) as server:
        with pytest.raises(requests.ConnectionError) as caught:
            client.get(server.url(), timeout=SECONDS)
        assert len(server.requests) == tries_before(caught.value, 2) == 3
    assert "reset by peer" in cause(caught.value)


def test_a_body_that_is_cut_is_an_error_after_one_try(client: requests.Session) -> None:
    with ScriptedServer(lambda request: Answer(200, b"half", announced=8)) as server:
        with pytest.raises(requests.RequestException) as caught:
            client.get(server.url(), timeout=SECONDS)
        assert len(server.requests) == tries_before(caught.value, 2) == 1
    assert "4 bytes read, 4 more expected" in cause(caught.value)


def test_a_silent_server_is_given_up_after_the_time_to_read(client: requests.Session) -> None:
    with ScriptedServer(lambda request: Answer(silent=30)) as server:
        began = time.monotonic()
        with pytest.raises(requests.RequestException) as caught:
            client.get(server.url(), timeout=Timeout(connect=SECONDS, read=0.1))
        assert 0.3 <= time.monotonic() - began < SECONDS
        assert len(server.requests) == tries_before(caught.value, 2) == 3
    assert cause(caught.value) == "timed out"


def test_a_head_that_does_not_come_in_time_is_told_as_that() -> None:
    with (
        ScriptedServer(lambda _: Answer(silent=30)) as server,
        session(accept="*/*", retries=0, backoff=0, seconds=0.3) as client,
        pytest.raises(requests.RequestException) as raised,
    ):
        client.get(server.url(), timeout=Timeout(1, 60))
    assert "had not begun to answer after 0.3 seconds (ROCKET_ASSETS_MAX_SECONDS)" in cause(raised.value)


@pytest.mark.parametrize("public_but_for", [None, "http://pictures.example/"], ids=["any host", "public hosts"])
def test_a_proxy_has_no_more_time_for_the_head_of_an_answer(
    monkeypatch: pytest.MonkeyPatch, public_but_for: str | None
) -> None:
    with (
        ScriptedServer(lambda _: Answer(drip_head=0.01)) as proxy,
        session(accept="*/*", retries=0, backoff=0, seconds=0.3, public_but_for=public_but_for) as client,
    ):
        monkeypatch.setenv("http_proxy", proxy.url())
        start = time.monotonic()
        with pytest.raises(requests.RequestException) as raised:
            client.get("http://pictures.example/a.png", timeout=Timeout(1, 60))
        assert time.monotonic() - start < SECONDS
        assert [request.path for request in proxy.requests] == ["http://pictures.example/a.png"]
    assert "had not begun to answer" in cause(raised.value)


@pytest.mark.parametrize(
    "text", ["\\" * 10**5, "&#0" * 10**5, "<" * 10**5, "a1b2c3d4" * 10**4], ids=lambda text: text[:8]
)
def test_no_text_is_searched_for_a_secret_without_end(text: str) -> None:
    start = time.monotonic()
    spellings("a1b2c3d4e5f6a7b8c9d0a1b2c3d4e5f6a7b8c9d0").search(text)
    cause(OSError(text))
    assert time.monotonic() - start < SECONDS


def test_there_is_a_time_limit_where_nobody_sets_one() -> None:
    assert 0 < Timeout().connect <= 30
    assert 0 < Timeout().read <= 120


def test_from_the_second_repetition_on_the_wait_doubles() -> None:
    came: list[float] = []

    def script(_: object) -> Answer:
        came.append(time.monotonic())
        return Answer(503)

    with ScriptedServer(script) as server, session(accept="*/*", retries=3, backoff=0.05) as client:
        client.get(server.url(), timeout=SECONDS)
    waited = [later - earlier for earlier, later in pairwise(came)]
    assert [wait >= least for wait, least in zip(waited, [0, 0.1, 0.2], strict=True)] == [True, True, True]


# What is sent


def test_a_session_says_who_asks_and_what_it_takes(client: requests.Session) -> None:
    with ScriptedServer(lambda request: Answer()) as server:
        client.get(server.url(), timeout=SECONDS)
        (request,) = server.requests
    assert (request.headers["user-agent"], request.headers["accept"]) == (USER_AGENT, "image/*")


def test_no_credentials_of_a_netrc_are_sent(client: requests.Session, netrc: str) -> None:
    with ScriptedServer(lambda request: Answer()) as server:
        requests.get(server.url(), timeout=SECONDS)
        client.get(server.url(), timeout=SECONDS)
        assert [request.headers.get("authorization") for request in server.requests] == [netrc, None]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_credentials_of_a_netrc_are_sent_where_a_redirect_leads(
    client: requests.Session, netrc: str, status: int
) -> None:
    with (
        ScriptedServer(lambda request: Answer(200, b"here")) as other,
        ScriptedServer(lambda request: Answer(status, headers={"Location": other.url("/b")})) as server,
    ):
        assert client.get(server.url("/a"), timeout=SECONDS).content == b"here"
        assert requests.get(server.url("/a"), timeout=SECONDS).content == b"here"
        assert [request.headers.get("authorization") for request in other.requests] == [None, netrc]
        assert server.requests[0].headers.get("authorization") is None


def test_a_header_of_credentials_is_not_carried_along_a_redirect(client: requests.Session) -> None:
    class Secret(AuthBase):
        def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
            request.headers["Authorization"] = "Token sesame"
            return request

    with (
        ScriptedServer(lambda request: Answer()) as other,
        ScriptedServer(lambda request: Answer(302, headers={"Location": other.url("/b")})) as server,
    ):
        client.get(server.url("/a"), timeout=SECONDS, auth=Secret())
        assert server.requests[0].headers["authorization"] == "Token sesame"
        assert "authorization" not in other.requests[0].headers


# What is said


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        (b"", "text/html", "an empty body (text/html)"),
        (b" \n ", "text/html", "an empty body (text/html)"),
        (b"<html>\n  <p>Hi", "text/html; charset=utf-8", "text/html that begins '<html> <p>Hi'"),
        (b"x" * 500, "text/plain", f"text/plain that begins {'x' * 80!r}"),
        (b"\x89PNG\xff", "image/png", "image/png that begins '\ufffdPNG\ufffd'"),
    ],
    ids=["empty", "blank", "page", "long", "binary"],
)
def test_an_answer_is_described_by_its_type_and_its_beginning(
    client: requests.Session, body: bytes, kind: str, expected: str
) -> None:
    with ScriptedServer(lambda request: Answer(200, body, kind)) as server:
        response = client.get(server.url(), timeout=SECONDS)
    assert described(response, response.content) == expected


def test_a_refused_connection_is_said_without_objects_and_addresses(client: requests.Session) -> None:
    with pytest.raises(requests.ConnectionError) as caught:
        client.get(f"http://127.0.0.1:{port_where_nothing_listens()}/", timeout=SECONDS)
    assert cause(caught.value).endswith("Connection refused")
    assert "object at" not in cause(caught.value)
    assert tries_before(caught.value, 2) == 3


def test_a_cause_is_said_without_the_object_that_it_happened_to() -> None:
    assert cause(OSError("<connection object at 0x7f00>: No route to host.")) == "No route to host"


def test_a_redirect_to_what_is_no_address_is_an_error_of_requests(client: requests.Session) -> None:
    with ScriptedServer(lambda request: Answer(302, headers={"Location": "http://[broken/"})) as server:
        with pytest.raises(requests.RequestException) as caught:
            client.get(server.url(), timeout=SECONDS)
        assert len(server.requests) == 1
    assert "http://[broken/" in cause(caught.value)


def test_a_cause_is_not_what_the_caller_was_busy_with(client: requests.Session) -> None:
    def ask_while_busy() -> None:
        try:
            int("an older trouble")
        except ValueError:
            client.get(f"http://127.0.0.1:{port_where_nothing_listens()}/", timeout=SECONDS)

    with pytest.raises(requests.ConnectionError) as caught:
        ask_while_busy()
    assert cause(caught.value).endswith("Connection refused")


def test_a_cause_without_words_is_named_by_its_kind() -> None:
    assert cause(ConnectionAbortedError()) == "ConnectionAbortedError"


def test_a_redirect_in_bytes_that_are_no_text_is_an_error_of_requests_and_leaves_nothing_open() -> None:
    moved = Answer(302, headers={"Location": "/\xff\xfe"})
    with (
        ScriptedServer(lambda _: moved) as server,
        session(accept="*/*", retries=0, backoff=0) as made,
        pytest.raises(requests.exceptions.InvalidURL, match="which is no address"),
    ):
        made.get(server.url("/"), timeout=5)
