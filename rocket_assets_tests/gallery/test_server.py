"""The gallery over HTTP: what it is made of and the pictures of the days, to look at, and nothing else."""

from __future__ import annotations

import http.client
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from email.message import Message
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from rocket_assets import storage as keys
from rocket_assets.gallery.server import GalleryServer
from rocket_assets.images import FORMATS
from rocket_assets.storage import Storage
from rocket_assets_tests.bucket import S3, SECRET, Fault

KEPT = {
    "gallery/index.html": b"<h1>Launches</h1>",
    "gallery/2024/2024-12.html": b"December",
    "images/2024/2024-12-05/falcon-9-1234.jpeg": b"\xff\xd8\xff a picture",
    "launches/2024/2024-12-05.json": b"launches",
    "pool/aa/aaaa.jpeg": b"pool",
    "table/2024/2024-12.parquet": b"table",
    ".writable": b"probe",
}


@pytest.fixture(params=["folder", "bucket"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """A storage with a gallery, a picture, and things that are no one's business."""
    if request.param == "folder":
        storage = Storage(str(tmp_path / "storage"))
        (tmp_path / "secret.html").write_bytes(b"outside")
    else:
        s3: S3 = request.getfixturevalue("s3")
        storage = Storage(s3.make_bucket(), patience=0.3)
    for key, body in KEPT.items():
        storage.write(key, body)
    return storage


@pytest.fixture
def server(kept: Storage) -> Iterator[GalleryServer]:
    with GalleryServer(kept) as server:
        yield server


def port_of(server: GalleryServer) -> int:
    return urlsplit(server.url).port or 0


def asked(server: GalleryServer, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes, Message]:
    """An answer, to a path that goes out as it is written."""
    connection = http.client.HTTPConnection("127.0.0.1", port_of(server), timeout=10)
    try:
        connection.putrequest(method, path, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        connection.close()


def test_the_gallery_and_the_pictures_are_given(server: GalleryServer) -> None:
    for key, body in KEPT.items():
        if key.startswith(("gallery/", "images/")):
            assert asked(server, f"/{key}")[:2] == (200, body)
    assert asked(server, "/gallery/index.html?from=here")[:2] == (200, KEPT["gallery/index.html"])


@pytest.mark.parametrize("path", ["/", "/gallery", "/gallery/"])
def test_who_comes_to_the_door_is_led_to_the_index(server: GalleryServer, path: str) -> None:
    status, _, headers = asked(server, path)
    assert (status, headers["Location"]) == (302, "/gallery/index.html")


@pytest.mark.parametrize(
    "path",
    [
        *(f"/{key}" for key in KEPT if not key.startswith(("gallery/", "images/"))),
        "/gallery/none.html",
        "/gallery/2024",
        "/gallery/2024/",
        "/images",
        "/images/",
        "/images/2024/2024-12-05/",
        "/gallery/../launches/2024/2024-12-05.json",
        "/gallery/%2e%2e/launches/2024/2024-12-05.json",
        "/gallery/..%2f..%2fsecret.html",
        "/gallery/../../secret.html",
        "/images/../../secret.html",
        "/gallery//index.html",
        "//gallery/index.html/../../launches/2024/2024-12-05.json",
        "/gallery/./index.html",
        "/gallery/index.html%00",
        "/gallery/index.html%0a",
        "/gallery/index.html%23123",
        "/gallery\\index.html",
        "/gallery/%F0%9F%9A%80",
        "/gallery/%ff",
        "/GALLERY/INDEX.HTML",
        "/gallery-of-others/index.html",
        "http://127.0.0.1/gallery/index.html",
        "*",
        "/" + "gallery/" * 2000,
    ],
    ids=lambda path: path[:60],
)
def test_nothing_else_is_given(server: GalleryServer, path: str) -> None:
    status, body, _ = asked(server, path)
    assert (status, body) == (404, b"Not here.\n")


def test_a_head_is_the_same_without_the_page(server: GalleryServer) -> None:
    _, page, of_get = asked(server, "/gallery/index.html")
    status, body, of_head = asked(server, "/gallery/index.html", "HEAD")
    assert (status, body) == (200, b"")
    ours = ("Content-Length", "Content-Type", "ETag", "Cache-Control")
    assert [of_head[name] for name in ours] == [of_get[name] for name in ours]
    assert of_head["Content-Length"] == str(len(page))


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_one_can_look_and_do_nothing_else(server: GalleryServer, kept: Storage, method: str) -> None:
    status, _, headers = asked(server, "/gallery/index.html", method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")
    assert {found.key: kept.read(found.key) for found in kept.list()} == KEPT


def test_what_has_not_changed_is_not_sent_again_and_what_has_is(server: GalleryServer, kept: Storage) -> None:
    tag = asked(server, "/gallery/index.html")[2]["ETag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}'):
        status, body, headers = asked(server, "/gallery/index.html", If_None_Match=known)
        assert (status, body, headers["ETag"]) == (304, b"", tag)
    assert asked(server, "/gallery/index.html", If_None_Match=f'"{tag}x"')[0] == 200
    kept.write("gallery/index.html", b"made again")
    status, body, headers = asked(server, "/gallery/index.html", If_None_Match=tag)
    assert (status, body) == (200, b"made again")
    assert headers["ETag"] != tag
    assert headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    ("name", "type"),
    [
        ("a.html", "text/html; charset=utf-8"),
        ("a.css", "text/css; charset=utf-8"),
        ("a.json", "application/json"),
        *((f"a.{name.lower()}", f"image/{name.lower()}") for name in FORMATS),
        ("a.js", "application/octet-stream"),
        ("a", "application/octet-stream"),
    ],
)
def test_a_page_is_what_its_name_says_and_never_what_its_bytes_look_like(
    storage: Storage, name: str, type: str
) -> None:
    storage.write(f"gallery/{name}", b"<script>alert(1)</script>")
    with GalleryServer(storage) as server:
        headers = asked(server, f"/gallery/{name}")[2]
    assert (headers["Content-Type"], headers["X-Content-Type-Options"]) == (type, "nosniff")


def test_where_there_is_no_gallery_yet_its_address_says_what_makes_it(storage: Storage) -> None:
    with GalleryServer(storage) as server:
        status, body, _ = asked(server, "/gallery/index.html")
        assert status == 404
        assert body.startswith(f"There is no gallery in {storage.uri} yet. `rocket-assets backfill`".encode())
        storage.write("gallery/index.html", b"here")
        assert asked(server, "/gallery/index.html")[0] == 200


def test_a_storage_that_fails_is_said_and_the_next_look_finds_it_mended(s3: S3) -> None:
    storage = Storage(s3.make_bucket(), patience=0.3)
    storage.write("gallery/index.html", b"here")
    with GalleryServer(storage) as server:
        s3.fault = Fault(status=403, body=f"<Error><Code>AccessDenied</Code><Message>{SECRET}</Message></Error>")
        status, body, _ = asked(server, "/gallery/index.html")
        assert (status, body.partition(b" ")[0]) == (502, b"Could")
        s3.fault = None
        assert asked(server, "/gallery/index.html")[0] == 200


@pytest.mark.parametrize("host", ["rockets.example.org", "rockets.example.org:80", "127.0.0.1.example.org", "", "@"])
def test_a_name_of_others_that_leads_here_is_given_nothing(server: GalleryServer, host: str) -> None:
    """A page of theirs could read the answer."""
    status, body, _ = asked(server, "/gallery/index.html", Host=host)
    assert status == 421
    assert KEPT["gallery/index.html"] not in body


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:3001", "localhost", "localhost:8080"])
def test_it_answers_to_the_names_of_this_machine(server: GalleryServer, host: str) -> None:
    assert asked(server, "/gallery/index.html", Host=host)[0] == 200


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a machine has no second address of its own")
def test_it_listens_at_one_address_of_this_machine_and_not_everywhere(storage: Storage) -> None:
    """Another address with the same port is free, which it is not beside one that listens everywhere."""
    with GalleryServer(storage) as server, socket.socket() as beside:
        beside.bind(("127.0.0.2", port_of(server)))


_EVERYWHERE = "0.0.0.0"  # noqa: S104 - it is what is asked for


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a machine has no second address of its own")
def test_it_listens_everywhere_where_it_is_told_to(storage: Storage) -> None:
    with (
        GalleryServer(storage, host=_EVERYWHERE) as server,
        socket.socket() as beside,
        pytest.raises(OSError, match="in use"),
    ):
        beside.bind(("127.0.0.2", port_of(server)))


@pytest.mark.parametrize("host", [_EVERYWHERE, "127.1"])
def test_at_another_address_it_answers_who_calls_it_by_that_and_no_name_of_others(storage: Storage, host: str) -> None:
    """A proxy calls it 127.0.0.1, from wherever it asks."""
    storage.write("gallery/index.html", b"here")
    with GalleryServer(storage, host=host) as server:
        for name in (host, "127.0.0.1", "localhost:8080"):
            assert asked(server, "/gallery/index.html", Host=name)[0] == 200
        for name in ("127.0.0.2", "gallery", "rockets.example.org", f"{host}.example.org"):
            status, body, _ = asked(server, "/gallery/index.html", Host=name)
            assert status == 421
            assert f" and {host} only" in body.decode()
        assert requests.get(f"{server.url}gallery/index.html", timeout=10).content == b"here"


def test_it_listens_no_more_when_it_was_stopped(storage: Storage) -> None:
    server = GalleryServer(storage)
    server.stop()
    with server:
        port = port_of(server)
        assert server.url == f"http://127.0.0.1:{port}/"
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    with pytest.raises(RuntimeError):
        _ = server.url


def raw(server: GalleryServer, request: str) -> bytes:
    """All that is answered to what is sent, until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", port_of(server)), timeout=10) as connection:
        connection.sendall(request.encode())
        answered = b""
        while more := connection.recv(4096):
            answered += more
    return answered


def test_what_a_request_carries_is_not_taken_for_the_next_one(server: GalleryServer) -> None:
    inner = "GET /gallery/2024/2024-12.html HTTP/1.1\r\nHost: localhost\r\n\r\n"
    head = f"GET /gallery/index.html HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(inner)}\r\n\r\n"
    answered = raw(server, head + inner)
    assert answered.count(b"HTTP/1.1") == 1
    assert answered.endswith(KEPT["gallery/index.html"])


def test_a_head_ends_with_its_head(server: GalleryServer) -> None:
    head = "HEAD /gallery/index.html HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    assert raw(server, head).endswith(b"\r\n\r\n")


def test_one_who_breaks_off_is_no_news(storage: Storage, capsys: pytest.CaptureFixture[str]) -> None:
    storage.write("gallery/index.html", bytes(20_000_000))
    with GalleryServer(storage) as server:
        connection = socket.create_connection(("127.0.0.1", port_of(server)), timeout=10)
        connection.sendall(b"GET /gallery/index.html HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(10) == b"HTTP/1.1 2"
        # At once, and not when all that was sent has come.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        assert asked(server, "/gallery/none.html")[0] == 404
        time.sleep(0.2)
    assert capsys.readouterr().err == ""


def test_many_can_look_at_once_and_one_who_is_slow_hinders_no_other(server: GalleryServer) -> None:
    with socket.create_connection(("127.0.0.1", port_of(server))) as idle, ThreadPoolExecutor(16) as threads:
        idle.sendall(b"GET /gallery")
        answers = list(threads.map(lambda _: asked(server, "/gallery/index.html")[:2], range(64)))
    assert set(answers) == {(200, KEPT["gallery/index.html"])}


def test_it_serves_until_it_is_stopped(storage: Storage) -> None:
    with GalleryServer(storage) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
    thread.join(5)
    assert not thread.is_alive()


def test_every_place_of_the_gallery_has_a_path(storage: Storage) -> None:
    """What is written under the keys of this project can be looked at."""
    month, sha256 = date(1957, 10, 1), "ab" * 32
    made = [keys.gallery_page_key(month), keys.thumbnail_key(sha256), f"{keys.images_folder(month)}a-b.c-9.png"]
    for key in made:
        storage.write(key, b"here")
    with GalleryServer(storage) as server:
        assert [asked(server, f"/{key}")[:2] for key in made] == [(200, b"here")] * len(made)
