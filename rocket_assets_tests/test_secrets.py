"""Promise 11: a secret never reaches a log, a file, an event or another host.

The servers here are parrots: they say the token that they were given again, wherever an answer has room for it. What a
run leaves is searched to the last byte, whatever spelling the token has come to have on the way.
"""

from __future__ import annotations

import gzip
import http.client
import json
import os
import socketserver
import sqlite3
import subprocess
import sys
import threading
import traceback
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import dagster as dg
import pytest

from rocket_assets.definitions import definitions
from rocket_assets.defs.resources import resources
from rocket_assets.errors import RocketAssetsError, StorageFailed
from rocket_assets.launch_library import LaunchLibrary
from rocket_assets.sample_library.server import LibraryServer
from rocket_assets.settings import API_TOKEN, API_URL, NOTIFY, Settings
from rocket_assets.storage import Storage
from rocket_assets_tests.daemon import LOOKS, Homes, run_of
from rocket_assets_tests.project import Project, tree
from rocket_assets_tests.service import Service, serving
from rocket_assets_tests.test_images import picture

COMMAND = str(Path(sys.executable).with_name("rocket-assets"))
DAY = date(2024, 12, 5)

CORE = "Sesame4711Hidden"
"""What is searched for: the middle of each secret, which no way of quoting changes."""
TOKEN = f"""a'"&<{CORE}>%2F+/=z"""


def _in_base64(word: bytes) -> Iterator[bytes]:
    """What of a word shows in the base64 of a text that holds it, wherever it stands there."""
    for before in range(3):
        whole = (before + len(word)) * 8 // 6
        yield b64encode(b"-" * before + word)[-(-before * 8 // 6) : whole]


SPELLINGS = [CORE.lower().encode(), CORE.encode().hex().encode()]
IN_BASE64 = list(_in_base64(CORE.encode()))


def is_told(said: str | bytes) -> bool:
    """Whether a secret can be read there: plain, quoted for an address or a document, in hex or in base64."""
    body = said.encode("utf-8", "surrogatepass") if isinstance(said, str) else said
    return any(word in body.lower() for word in SPELLINGS) or any(word in body for word in IN_BASE64)


def left_in(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every byte below a folder, by file; what is packed is given unpacked as well, and a database value by value."""
    for name, body in tree(folder).items():
        yield name, body
        if body.startswith(b"\x1f\x8b"):
            yield name, gzip.decompress(body)
        if body.startswith(b"SQLite format 3"):
            with closing(sqlite3.connect(folder / name)) as connection:
                tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
                for table in tables:
                    for row in connection.execute(f'SELECT * FROM "{table}"'):  # noqa: S608 - the name is the table's own
                        for value in row:
                            yield f"{name}: {table}", _unpacked(value)


def _unpacked(value: Any) -> bytes:
    try:
        return zlib.decompress(value) if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
    except zlib.error:
        return value


def told_in(folder: Path) -> list[str]:
    """The files and tables below a folder that tell a secret."""
    return sorted({name for name, body in left_in(folder) if is_told(body) or is_told(name)})


# Parrots


@dataclass
class Parrot:
    """A server that answers each request with what `say` makes of its path and the token; `heard` holds both."""

    say: Callable[[str, str], bytes]
    port: int = 0
    heard: list[tuple[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its address as that of a Launch Library."""
        return self.at("/2.3.0/")

    def at(self, path: str) -> str:
        """A path on it."""
        return f"http://127.0.0.1:{self.port}{path}"


@contextmanager
def listening(parrot: Parrot) -> Iterator[Parrot]:
    """The parrot on a free port, until the block ends."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            lines = [line.decode("latin-1").strip() for line in iter(self.rfile.readline, b"\r\n") if line]
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
            token, path = headers.get("authorization", ""), lines[0].split()[1]
            parrot.heard.append((path, token))
            self.wfile.write(parrot.say(path, token.removeprefix("Token ")))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        parrot.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield parrot
        finally:
            server.shutdown()
            thread.join()


def http_answer(status: str, body: str | bytes = "", kind: str = "application/json", **headers: str) -> bytes:
    content = body.encode() if isinstance(body, str) else body
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    head = {"Content-Type": kind, "Content-Length": str(len(content)), "Connection": "close"} | named
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in head.items())]
    return "\r\n".join([*lines, "", ""]).encode() + content


def page(*rows: Any, **more: Any) -> bytes:
    return http_answer("200 OK", json.dumps({"count": len(rows), "next": None, "results": rows} | more))


def row(**more: Any) -> dict[str, Any]:
    return {
        "id": "id-1",
        "name": "Rocket | Mission",
        "net": f"{DAY}T12:00:00Z",
        "last_updated": f"{DAY}T13:00:00Z",
    } | more


PICTURE = http_answer("200 OK", picture("JPEG"), "image/jpeg")


def in_escapes(token: str) -> bytes:
    """A page of one launch whose name is the token, in JSON's escapes letter by letter."""
    escaped = "".join(f"\\u{ord(sign):04x}" for sign in token)
    return page(row(name="NAME")).replace(b"NAME", escaped.encode()).replace(b"Content-Length", b"X-Length")


PARROTS: dict[str, Callable[[str], bytes]] = {
    "401": lambda token: http_answer("401 Unauthorized", json.dumps({"detail": f"Invalid token: {token}."})),
    "403, a page": lambda token: http_answer("403 Forbidden", f"<h1>{token}</h1>", "text/html"),
    "404, an address": lambda token: http_answer(
        "404 Not Found", f"/login?token={quote(token, safe='')}", "text/plain"
    ),
    "404, base64": lambda token: http_answer("404 Not Found", b64encode(f"Token {token}".encode()), "text/plain"),
    "500": lambda token: http_answer("500 Oops", f"KeyError: {token!r}", "text/plain"),
    "429": lambda token: http_answer("429 Slow down", f"{token} available in 1 second", Retry_After=token),
    "a redirect": lambda token: http_answer("302 Found", Location=f"http://127.0.0.1:9/?token={token}"),
    "a quoted redirect": lambda token: http_answer("302 Found", Location=f"/login?next={quote(token, safe='')}"),
    "a redirect to nowhere": lambda token: http_answer("302 Found", Location=f"http://[{token}/"),
    "a text": lambda token: http_answer("200 OK", token, "text/plain"),
    "the type": lambda token: http_answer("200 OK", "no JSON", f"text/{token}"),
    "the reason": lambda token: http_answer(f"500 {token}"),
    "no results": lambda token: http_answer("200 OK", json.dumps({"detail": token})),
    "no status": lambda token: f"{token}\r\n\r\n".encode(),
    "no header": lambda token: f"HTTP/1.1 200 OK\r\nfirst: 1\r\n{token}\r\nlast: 1\r\n\r\n".encode(),
    "no chunk": lambda token: f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{token}\r\n".encode(),
    "no packing": lambda token: http_answer("200 OK", token, Content_Encoding="gzip"),
    "the next page": lambda token: page(next=f"http://another.example/{token}"),
    "a key of the page": lambda token: page(row(), **{token: 1}),
    "a row": lambda token: page(row(), token),
    "a row without an id": lambda token: page(row(), row(id=None, name=token)),
    "a row without a net": lambda token: page(row(), row(id=token, net=None)),
    "a net": lambda token: page(row(), row(id="id-2", net=token)),
    "an id": lambda token: page(row(id=token)),
    "a name": lambda token: page(row(name=f"Rocket | {token}")),
    "a name in escapes": in_escapes,
    "a field": lambda token: page(row(mission={"description": f"curl -H 'Authorization: Token {token}'"})),
    "a key of a field": lambda token: page(row(mission={token: None})),
    "a field in base64": lambda token: page(row(mission={"description": b64encode(token.encode()).decode()})),
    "the address of a picture": lambda token: page(row(image={"image_url": f"http://127.0.0.1:9/?{quote(token)}"})),
}


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """Every logger says all that it knows, and http.client prints what is sent, as people let it to find a fault."""
    caplog.set_level(1)
    for name in ("urllib3", "requests"):
        caplog.set_level(1, name)
    for connection in (http.client.HTTPConnection, http.client.HTTPSConnection):
        monkeypatch.setattr(connection, "debuglevel", 1)
    return caplog


def told_by(error: BaseException | None, *, frames: bool = True) -> Iterator[str]:
    """All that an exception and those behind it say to whoever prints them, and what their frames have at hand."""
    while error:
        yield from (str(error), repr(error), repr(vars(error)))
        trace = error.__traceback__
        # The frames of the tests know the token.
        while trace and trace.tb_frame.f_code.co_filename == __file__:
            trace = trace.tb_next
        yield from traceback.TracebackException(type(error), error, trace, capture_locals=frames).format()
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("say", PARROTS.values(), ids=list(PARROTS))
def test_promise_11_whatever_a_library_repeats_its_client_neither_says_nor_gives_the_token(
    say: Callable[[str], bytes], everything_logged: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    given: list[bytes] = []
    with listening(Parrot(lambda _, token: say(token))) as parrot:
        for ask in (
            lambda library: [day.launches + day.refused for day in library.days(DAY, DAY + timedelta(days=1))],
            lambda library: [page.launches + page.unreadable for page in library.updated()],
        ):
            with LaunchLibrary(parrot.url, token=TOKEN, retries=1, backoff=0) as library:
                try:
                    given += [repr((one, getattr(one, "row", None))).encode() for of in ask(library) for one in of]
                except RocketAssetsError as error:
                    given += [said.encode() for said in told_by(error)]
        assert {token for _, token in parrot.heard} == {f"Token {TOKEN}"}
    assert not is_told(everything_logged.text)
    assert not is_told("".join(capfd.readouterr()))
    assert [said.decode() for said in given if is_told(said)] == []


IN_A_RUN = (
    "401",
    "a redirect",
    "no status",
    "the next page",
    "a row without an id",
    "a field",
    "the address of a picture",
)


@pytest.mark.parametrize("say", [PARROTS[name] for name in IN_A_RUN], ids=IN_A_RUN)
def test_promise_11_whatever_a_library_repeats_a_run_neither_records_nor_stores_the_token(
    say: Callable[[str], bytes],
    storage: Storage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    everything_logged: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(API_TOKEN.name, TOKEN)
    (tmp_path / "dagster").mkdir()
    with (
        listening(Parrot(lambda path, token: say(token) if path.startswith("/2.3.0/") else PICTURE)) as parrot,
        dg.DagsterInstance.local_temp(str(tmp_path / "dagster")) as instance,
    ):
        Project(parrot.url, storage, instance, token=TOKEN).bring(f"{DAY}")
        assert f"Token {TOKEN}" in {token for _, token in parrot.heard}
    assert told_in(tmp_path) == []
    assert not is_told(everything_logged.text)
    assert not is_told("".join(capfd.readouterr()))


def test_promise_11_a_row_that_repeats_the_token_is_refused_alone_and_what_was_stored_of_it_stays(
    storage: Storage, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(API_TOKEN.name, TOKEN)
    said = "Falcon 9 | Starlink"
    one, other = row(id="id-1"), row(id="id-2")
    with listening(Parrot(lambda _, token: page(one | {"name": said.format(token)}, other))) as parrot:
        project = Project(parrot.url, storage, instance, token=TOKEN)
        assert project.bring(f"{DAY}").success
        said = "Falcon 9 | {}"
        other["name"] = "Rocket | Renamed"
        result = project.bring(f"{DAY}")
    assert result.success
    names = {launch.id: launch.name for launch in project.archive.read_launches(DAY)}
    assert names == {"id-1": "Falcon 9 | Starlink", "id-2": "Rocket | Renamed"}
    assert project.archive.read_refused(DAY) == ["launch id-1 in which the token (ROCKET_ASSETS_API_TOKEN) is repeated"]
    assert [one.check_name for one in result.get_asset_check_evaluations() if not one.passed] == [
        "every_row_is_a_launch"
    ]


@pytest.mark.parametrize("token", ["go", "Mission"])
def test_a_token_as_short_as_a_word_refuses_no_launch_that_bears_it(token: str) -> None:
    with (
        listening(Parrot(lambda _, __: page(row(mission={"name": "go"})))) as parrot,
        LaunchLibrary(parrot.url, token=token) as library,
    ):
        (day,) = library.days(DAY, DAY + timedelta(days=1))
    assert [launch.name for launch in day.launches] == ["Rocket | Mission"]


# What is searched


def test_what_is_searched_for_is_found_wherever_it_stands(tmp_path: Path) -> None:
    """Of a search that finds nothing one has to know that it would find something."""
    for n, spelled in enumerate(
        (TOKEN, quote(TOKEN), repr(TOKEN), json.dumps(TOKEN), TOKEN.upper(), TOKEN.encode().hex())
    ):
        (tmp_path / f"{n}").write_text(f"before {spelled} after")
    for n in range(3):
        (tmp_path / f"base64-{n}").write_bytes(b64encode(b"-" * n + f"Token {TOKEN}".encode()))
    (tmp_path / "packed").write_bytes(gzip.compress(TOKEN.encode()))
    (tmp_path / "harmless").write_text("Sesame, open")
    with closing(sqlite3.connect(tmp_path / "database")) as connection:
        connection.execute("CREATE TABLE packed (body BLOB)")
        connection.execute("INSERT INTO packed VALUES (?)", [zlib.compress(TOKEN.encode())])
        connection.commit()
    assert told_in(tmp_path) == [*"012345", "base64-0", "base64-1", "base64-2", "database: packed", "packed"]


# The command, and the daemon


LOGS_ALL = """
telemetry:
  enabled: false
python_logs:
  managed_python_loggers: [root, urllib3.connectionpool, urllib3.connection, urllib3.util.retry]
  python_log_level: DEBUG
"""


def says_much(path: str, token: str) -> bytes:
    """A library whose first page is good, but for a row; then it says no. Beside it lies a picture."""
    if not path.startswith("/2.3.0/"):
        return PICTURE
    if "offset=100" in path:
        return PARROTS["403, a page"](token)
    rows = [row(id=f"id-{n}", net=f"2024-12-0{1 + n // 30}T12:00:00Z", name=f"Said | {n}") for n in range(99)]
    return page(*rows, row(name=token), count=150, next="?offset=100")


def test_promise_11_the_command_leaves_no_secret_in_its_home_its_storage_or_on_the_terminal(tmp_path: Path) -> None:
    """In a home in which every log of the network is kept."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text(LOGS_ALL)
    with listening(Parrot(says_much)) as parrot:
        environ = {
            "PATH": os.environ["PATH"],
            "DAGSTER_HOME": str(home),
            API_URL.name: parrot.url,
            API_TOKEN.name: TOKEN,
            NOTIFY.name: f"json://user:{CORE}@127.0.0.1:9/{CORE}",
        }
        done = subprocess.run(
            [COMMAND, "backfill", "2024-12-01", "2024-12-06"], env=environ, cwd=tmp_path, capture_output=True, text=True
        )
        assert {token for path, token in parrot.heard if path.startswith("/2.3.0/")} == {f"Token {TOKEN}"}
    assert done.returncode == 1
    assert "answered 403 with text/html that begins '<h1>***</h1>'" in done.stderr
    assert not is_told(done.stdout + done.stderr)
    assert told_in(tmp_path) == []
    # What is searched has the run, its logs and what it stored in it.
    left = b"".join(body for _, body in left_in(tmp_path))
    assert all(
        word in left for word in (b"Said | 7", b"answered 403", b"Starting new HTTP connection", b"launch_images")
    )


def test_promise_11_the_settings_are_shown_without_secrets(tmp_path: Path) -> None:
    environ = {"PATH": os.environ["PATH"], API_TOKEN.name: TOKEN, NOTIFY.name: f"json://u:{CORE}@127.0.0.1:9/{CORE}"}
    done = subprocess.run([COMMAND, "settings"], env=environ, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("(set)") == 2
    assert not is_told(done.stdout + done.stderr)
    assert told_in(tmp_path) == []


CONFIGURED = """
{ allTopLevelResourceDetailsOrError(repositorySelector: {
    repositoryName: "__repository__", repositoryLocationName: "rocket_assets.definitions" }) {
  ... on ResourceDetailsList { results {
    name configFields { name configTypeKey defaultValueAsJson } configuredValues { key value type } } } } }
"""


@pytest.mark.slow
def test_promise_11_a_daemon_its_looks_its_runs_and_its_messages_leave_no_secret(tmp_path: Path) -> None:
    """Also in what the UI shows of the resources, and in what a service of messages is told and refuses."""
    service = Service(status=500)
    says_no = Parrot(lambda _, token: PARROTS["401"](token))
    with listening(says_no) as parrot, serving(service), LibraryServer() as library, Homes(tmp_path) as homes:
        home = homes.make(
            "home",
            library,
            **{
                API_URL.name: parrot.url,
                API_TOKEN.name: TOKEN,
                NOTIFY.name: service.address(f"/{CORE}", f"user:{CORE}@"),
                "ROCKET_ASSETS_POLL_SECONDS": "5",
            },
        )
        with home.daemon():
            home.launch([], [run_of("launches", f"{DAY}")])
            shown = home.graphql(CONFIGURED)
            home.until(lambda: home.ticks(LOOKS), "a look")
            home.until(lambda: home.ticks("tell_failures"), "a tick that tells")
            home.until(lambda: service.messages, "a message of the run that failed")
            home.until(home.is_idle, "the run is over")
        (run,) = home.runs()
    assert run.dagster_run.status is dg.DagsterRunStatus.FAILURE
    assert API_TOKEN.name in json.dumps(shown)
    assert not is_told(json.dumps(shown))
    assert "Invalid token: ***." in json.dumps(service.messages)
    assert not is_told(json.dumps(service.messages))
    assert told_in(tmp_path) == []


# Who is told


def test_promise_11_the_token_goes_to_the_api_and_to_nothing_else(
    storage: Storage, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not to a host of pictures, be it the API's own or led to by a redirect, nor where a next page is said to be."""
    monkeypatch.setenv(API_TOKEN.name, TOKEN)
    answers: list[bytes] = []
    with listening(Parrot(lambda *_: PICTURE)) as other:

        def say(path: str, _token: str) -> bytes:
            if path.startswith("/2.3.0/launches/?"):
                return answers[-1]
            return http_answer("302 Found", Location=other.at("/picture")) if path == "/away" else PICTURE

        with listening(Parrot(say)) as api:
            shown = [api.at("/here"), api.at("/away"), api.at("/2.3.0/launches/"), other.at("/there")]
            rows = [row(id=f"id-{n}", image={"image_url": url}) for n, url in enumerate(shown)]
            project = Project(api.url, storage, instance, token=TOKEN)
            for answer in (
                page(*rows),
                page(*rows, next=other.at("/2.3.0/launches/?offset=100")),
                http_answer("302 Found", Location=other.at("/2.3.0/launches/")),
            ):
                answers.append(answer)
                assert project.bring(f"{DAY}").success is (len(answers) == 1)
    asked = {(path.partition("?")[0], token) for path, token in api.heard}
    assert asked == {
        ("/2.3.0/launches/", f"Token {TOKEN}"),
        ("/2.3.0/launches/", ""),
        ("/here", ""),
        ("/away", ""),
    }
    assert {("?" in path, bool(token)) for path, token in api.heard} == {(True, True), (False, False)}
    assert sorted(other.heard) == [("/picture", ""), ("/there", "")]


# What shows itself


def test_promise_11_no_representation_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"json://user:{CORE}@127.0.0.1:9/{CORE}"
    for setting, value in ((API_TOKEN, TOKEN), (NOTIFY, address)):
        monkeypatch.setenv(setting.name, value)
    settings = Settings.read({API_TOKEN.name: TOKEN, NOTIFY.name: address})
    handles = resources(settings)
    library = LaunchLibrary("http://127.0.0.1:9/2.3.0/", token=TOKEN)
    defined = definitions(settings)
    repository = defined.get_repository_def()
    for one in (settings, handles, *handles.values(), library, vars(library), library._session, defined, repository):
        assert not is_told(repr(one))
        assert not is_told(str(one))
    for resource in repository.get_top_level_resources().values():
        assert not is_told(repr(vars(resource)))
    library.close()


@pytest.mark.parametrize("value", [f"{TOKEN} x", f"{TOKEN}\nx", f"{TOKEN}\N{SNOWMAN}"], ids=ascii)
def test_promise_11_a_secret_that_does_not_fit_is_not_shown(value: str) -> None:
    for setting in (API_TOKEN, NOTIFY):
        with pytest.raises(RocketAssetsError, match=setting.name) as raised:
            Settings.read({setting.name: value})
        assert not any(is_told(said) for said in told_by(raised.value, frames=False))


# The keys of a bucket


def test_promise_11_the_keys_of_a_bucket_are_in_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = "<Error><Code>SignatureDoesNotMatch</Code><Message>{}</Message></Error>"
    with listening(
        Parrot(lambda _, token: http_answer("403 Forbidden", refusal.format(token), "text/xml"))
    ) as endpoint:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": f"{CORE}/secret",
            "AWS_ENDPOINT_URL": endpoint.at(""),
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "eu-central-1",
        }.items():
            monkeypatch.setenv(name, value)
        storage = Storage("s3://bucket/prefix")
        for act in (
            storage.ensure_writable,
            lambda: storage.write("a", b"a"),
            lambda: storage.read("a"),
            lambda: list(storage.list()),
            lambda: storage.copy("a", "b"),
            lambda: storage.delete(["a"]),
        ):
            with pytest.raises(StorageFailed) as raised:
                act()
            assert not any(is_told(said) for said in told_by(raised.value))
        assert endpoint.heard
    assert not is_told(repr(storage) + repr(vars(storage)))
