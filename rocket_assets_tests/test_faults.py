"""What becomes of a day when servers misbehave and their data is false: fault by fault.

Each picture of these tests is one of three of its day, and its day is one of three: whatever happens to it, the other
pictures and days have to stand, and nothing that is false may be stored.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import pytest

from rocket_assets import bringing
from rocket_assets import storage as keys
from rocket_assets.archive import NO_ADDRESS, Archive, Entry
from rocket_assets.bringing import ImageDay
from rocket_assets.errors import RocketAssetsError, Unavailable
from rocket_assets.images import ImageLibrary
from rocket_assets.launch_library import LaunchLibrary
from rocket_assets.network import Limits, Timeout
from rocket_assets.storage import Storage
from rocket_assets.verification import verify
from rocket_assets_tests.project import Project, failure_of, number
from rocket_assets_tests.scripted_server import HERE, JSON, Answer, Request, ScriptedServer
from rocket_assets_tests.test_images import HTML, huge_png, picture

Row = dict[str, Any]

BEFORE, DAY, AFTER = (date(2026, 3, 4) + timedelta(days=n) for n in range(3))
VICTIM = str(uuid.UUID(int=7 << 96))

IN_HASTE = Timeout(connect=1, read=0.3), Limits(bytes=200_000, seconds=0.5)
"""Where a server is to be given up that keeps one waiting."""

WITH_PATIENCE = Timeout(), Limits(bytes=200_000, seconds=60)
"""Where all others are to be heard, however busy the machine is."""

KEEPS_WAITING = ("silent", "a head that drips", "a body that drips")
"""The faults that nothing but time ends."""

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script></svg>'


def row(launch_id: str, day: date, image: Any, hour: int = 12) -> Row:
    """A launch as version 2.2.0 of the API gives it, with the address of its picture in the row itself."""
    return {"id": launch_id, "name": f"Rocket | {launch_id[:8]}", "net": f"{day}T{hour:02}:00:00Z", "image": image}


@dataclass
class World:
    """A library and a host of pictures on one server, which answers for the victim's picture as a test wants it."""

    fault: Answer | Callable[[Request], Answer] = field(default_factory=Answer)
    rows: list[Row] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    api: Answer | None = None
    """What the library answers, where it is to misbehave itself."""

    def __call__(self, request: Request) -> Answer:
        if request.path.startswith("/2.2.0/launch/"):
            return self.api or Answer(200, json.dumps(page(self.rows)).encode(), JSON)
        if request.path.startswith("/good/"):
            return Answer(body=good(request.path), content_type="image/png")
        self.asked.append(request.path)
        return self.fault(request) if callable(self.fault) else self.fault

    def launches(self, server: ScriptedServer, victim: Any) -> list[Row]:
        """The victim in the middle of four good launches on three days."""
        return [
            row(str(uuid.UUID(int=1 << 96)), BEFORE, server.url("/good/1.png")),
            row(str(uuid.UUID(int=2 << 96)), DAY, server.url("/good/2.png"), hour=1),
            row(VICTIM, DAY, victim),
            row(str(uuid.UUID(int=3 << 96)), DAY, server.url("/good/3.png"), hour=23),
            row(str(uuid.UUID(int=4 << 96)), AFTER, server.url("/good/4.png")),
        ]


def page(rows: list[Row]) -> Row:
    return {"count": len(rows), "next": None, "previous": None, "results": rows}


def good(path: str) -> bytes:
    return picture(shade=int.from_bytes(path.encode()[-6:]))


@pytest.fixture
def world() -> World:
    """A world in which nothing goes wrong yet."""
    return World()


@pytest.fixture
def server(world: World) -> Iterator[ScriptedServer]:
    """The server of that world."""
    with ScriptedServer(world) as server:
        yield server


@pytest.fixture
def archive(storage: Storage) -> Archive:
    """An archive in a folder."""
    return Archive(storage)


def patience(fault: str) -> tuple[Timeout, Limits]:
    return IN_HASTE if fault in KEEPS_WAITING else WITH_PATIENCE


def bring_launches(url: str, archive: Archive, fault: str = "") -> None:
    timeout, limits = patience(fault)
    with LaunchLibrary(url, backoff=0, retries=1, timeout=timeout, limits=limits) as library:
        for day in library.days(BEFORE, AFTER + timedelta(days=1)):
            archive.write_day(day)


def bring_images(archive: Archive, fault: str = "") -> dict[date, ImageDay]:
    timeout, limits = patience(fault)
    with ImageLibrary(archive.storage, api_url=HERE, retries=1, backoff=0, timeout=timeout, limits=limits) as library:
        return {day.day: day for day in bringing.bring_images(archive, [BEFORE, DAY, AFTER], library)}


def entries(archive: Archive) -> dict[str, Entry]:
    return {entry.launch_id: entry for day in (BEFORE, DAY, AFTER) for entry in archive.read_manifest(day).entries}


def stored_pictures(archive: Archive) -> set[str]:
    """The digests of everything in the archive that is no JSON."""
    everything = [archive.storage.read(found.key) for found in archive.storage.list() if found.key[-5:] != ".json"]
    return {hashlib.sha256(body).hexdigest() for body in everything}


# Servers of pictures

BODY = picture("JPEG", shade=7)
PACKED = {"Content-Encoding": "gzip"}


def redirect(location: str) -> Answer:
    return Answer(302, headers={"Location": location})


# What the server does; what the day says; how often it is asked in one run of two tries.
REFUSED_FOR_GOOD: dict[str, tuple[Answer, str, int]] = {
    "404": (Answer(404, HTML, "text/html"), "answered 404", 1),
    "404 with a picture": (Answer(404, BODY, "image/jpeg"), "answered 404", 1),
    "404 without end": (Answer(404, HTML * 999, endless=True), "answered 404", 1),
    "403": (Answer(403, HTML, "text/html"), "answered 403", 1),
    "an empty body": (Answer(200, b"", "image/jpeg"), "an empty body", 1),
    "garbage": (Answer(200, b"\x00\x01garbage" * 99, "image/jpeg"), "no picture", 1),
    "HTML as image/jpeg": (Answer(200, HTML, "image/jpeg"), "no picture; they begin", 1),
    "SVG with a script": (Answer(200, SVG, "image/svg+xml"), "no picture; they begin", 1),
    "a decompression bomb": (Answer(200, huge_png(30_000, 30_000), "image/png"), "pixels", 1),
    "fewer bytes announced than there are": (Answer(200, BODY, announced=len(BODY) - 100), "whole|cut off", 1),
    "a body without end": (Answer(200, b"x" * 9999, endless=True), "200,000 bytes.*MAX_BYTES", 1),
    "a picture without end": (Answer(200, BODY, endless=True), "200,000 bytes.*MAX_BYTES", 1),
    "gzip that lies": (Answer(200, BODY, headers=PACKED), "cannot be fetched", 1),
    "gzip that explodes": (Answer(200, gzip.compress(bytes(50_000_000)), headers=PACKED), "MAX_BYTES", 1),
    "gzip in gzip": (Answer(200, gzip.compress(gzip.compress(BODY)), headers=PACKED), "no picture", 1),
    "a redirect in a circle": (redirect("/victim.jpg"), "redirects", 6),
    "a redirect to a file": (redirect("file:///etc/passwd"), "cannot be fetched", 1),
    "a redirect to the cloud's metadata": (
        redirect("http://169.254.169.254/latest/"),
        "169.254.169.254, which is no",
        1,
    ),
    "a redirect into the private network": (redirect("http://10.0.0.1/a.jpg"), "10.0.0.1, which is no address", 1),
    "a redirect without end": (
        Answer(302, HTML * 999, headers={"Location": "http://[::1]/"}, endless=True),
        "::1, which is no address",
        1,
    ),
}

TO_BE_TRIED_AGAIN: dict[str, tuple[Answer, str, int]] = {
    "reset": (Answer(reset=True), "No whole answer", 2),
    "silent": (Answer(200, BODY, silent=30), "timed out", 2),
    "a head that drips": (Answer(200, BODY, drip_head=0.02), "0.5 seconds.*MAX_SECONDS|timed out", 2),
    "a body that drips": (Answer(200, BODY, drip=0.02), "0.5 seconds.*MAX_SECONDS", 1),
    "a body cut in its middle": (Answer(200, BODY[:600], announced=len(BODY)), "No whole answer", 2),
    "nothing of what was announced": (Answer(200, b"", announced=len(BODY)), "No whole answer", 2),
    "500": (Answer(500, HTML, "text/html"), "answered 500", 2),
    "500 with a picture": (Answer(500, BODY, "image/jpeg"), "answered 500", 2),
    "500 without end": (Answer(500, HTML * 999, endless=True), "answered 500", 2),
    "503 with Retry-After": (Answer(503, HTML, headers={"Retry-After": "3600"}), "answered 503", 2),
    "429 with Retry-After": (Answer(429, HTML, headers={"Retry-After": "3600"}), "answered 429", 1),
}


def cut(name: str) -> tuple[Answer, str, int]:
    return (REFUSED_FOR_GOOD | TO_BE_TRIED_AGAIN)[name]


@pytest.mark.parametrize("fault", [*REFUSED_FOR_GOOD, *TO_BE_TRIED_AGAIN])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_promise_3_and_6_a_picture_that_cannot_be_had_is_not_stored_is_told_and_harms_no_other(
    world: World, server: ScriptedServer, archive: Archive, fault: str
) -> None:
    world.fault, said, requests = cut(fault)
    world.rows = world.launches(server, server.url("/victim.jpg"))
    bring_launches(server.url("/2.2.0/"), archive)
    start = time.monotonic()
    brought = bring_images(archive, fault)
    assert time.monotonic() - start < 5
    assert len(world.asked) == requests

    told = entries(archive)[VICTIM]
    assert told.file is None
    assert re.search(said, told.reason or "", re.DOTALL), told.reason
    assert server.url("/victim.jpg") in (told.reason or "")
    error = brought[DAY].error
    assert isinstance(error, Unavailable) if fault in TO_BE_TRIED_AGAIN else error is None

    assert brought[BEFORE].error is brought[AFTER].error is None
    assert [entry.file is None for entry in entries(archive).values()] == [False, False, True, False, False]
    assert stored_pictures(archive) == {hashlib.sha256(good(f"/good/{n}.png")).hexdigest() for n in range(1, 5)}
    assert not [problem for part in verify(archive, level="full") for problem in part.problems]


@pytest.mark.parametrize("fault", [*REFUSED_FOR_GOOD, *TO_BE_TRIED_AGAIN])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_promise_4_a_good_picture_outlives_every_fault_of_its_server(
    world: World, server: ScriptedServer, archive: Archive, fault: str
) -> None:
    world.rows, world.fault = world.launches(server, server.url("/victim.jpg")), Answer(200, BODY)
    bring_launches(server.url("/2.2.0/"), archive)
    bring_images(archive)
    before = stored_pictures(archive)
    world.fault = cut(fault)[0]
    bring_images(archive, fault)
    told = entries(archive)[VICTIM]
    assert told.sha256 == hashlib.sha256(BODY).hexdigest()
    assert told.reason
    assert stored_pictures(archive) == before


@pytest.mark.parametrize("fault", [*REFUSED_FOR_GOOD, *TO_BE_TRIED_AGAIN])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_after_every_fault_the_next_run_gets_the_picture(
    world: World, server: ScriptedServer, archive: Archive, fault: str
) -> None:
    world.rows, world.fault = world.launches(server, server.url("/victim.jpg")), cut(fault)[0]
    bring_launches(server.url("/2.2.0/"), archive)
    bring_images(archive, fault)
    world.fault = Answer(200, BODY)
    assert bring_images(archive)[DAY].error is None
    told = entries(archive)[VICTIM]
    assert told.file
    assert told.reason is None
    assert told.sha256 == hashlib.sha256(BODY).hexdigest()


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, BODY, "text/html"),
        Answer(200, BODY, "image/svg+xml"),
        Answer(200, gzip.compress(BODY), headers=PACKED),
        Answer(200, BODY, announced=None),
        Answer(200, BODY, headers={"Content-Disposition": 'attachment; filename="../../evil.sh"'}),
    ],
    ids=["as text/html", "as SVG", "packed", "without a length", "with a name of the server's choice"],
)
def test_a_picture_is_taken_for_what_its_bytes_are_whatever_is_said_of_it(
    world: World, server: ScriptedServer, archive: Archive, answer: Answer
) -> None:
    world.rows, world.fault = world.launches(server, server.url("/victim.jpg")), answer
    bring_launches(server.url("/2.2.0/"), archive)
    assert bring_images(archive)[DAY].error is None
    assert (entries(archive)[VICTIM].sha256, entries(archive)[VICTIM].format) == (
        hashlib.sha256(BODY).hexdigest(),
        "jpeg",
    )


def test_a_host_that_is_not_there_harms_no_other_picture(
    world: World, server: ScriptedServer, archive: Archive
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nobody = f"http://127.0.0.1:{listener.getsockname()[1]}/a.jpg"
    world.rows = world.launches(server, nobody)
    bring_launches(server.url("/2.2.0/"), archive)
    brought = bring_images(archive)
    assert isinstance(brought[DAY].error, Unavailable)
    assert "refused" in (entries(archive)[VICTIM].reason or "")
    assert len([entry for entry in entries(archive).values() if entry.file]) == 4


# The API

API_FAULTS: dict[str, tuple[Answer, str, int]] = {
    "reset": (Answer(reset=True), "No answer from", 2),
    "silent": (Answer(200, b"{}", silent=30), "timed out", 2),
    "a head that drips": (Answer(200, b"{}", drip_head=0.02), "0.5 seconds.*MAX_SECONDS|timed out", 2),
    "a body that drips": (Answer(200, b"{" * 999, drip=0.02), "0.5 seconds.*MAX_SECONDS", 1),
    "a body without end": (Answer(200, b"[" * 9999, endless=True), "200,000 bytes.*MAX_BYTES", 1),
    "gzip that lies": (Answer(200, b"{}", headers=PACKED), "no page of launches", 1),
    "gzip that explodes": (Answer(200, gzip.compress(bytes(50_000_000)), headers=PACKED), "MAX_BYTES", 1),
    "cut in its middle": (Answer(200, b'{"count": 1', announced=99), "No answer from", 1),
    "fewer bytes announced than there are": (Answer(200, b'{"count": 0, "results": []}', announced=9), "not JSON", 1),
    "empty": (Answer(200, b"", JSON), "an empty body", 1),
    "garbage": (Answer(200, b"\xff\x00\xfe", JSON), "not JSON", 1),
    "HTML": (Answer(200, HTML, JSON), "not JSON", 1),
    "brackets without end": (Answer(200, b"[" * 90_000, JSON), "not JSON", 1),
    "404": (Answer(404, HTML), "answered 404", 1),
    "403 without end": (Answer(403, HTML * 999, endless=True), "answered 403", 1),
    "500 without end": (Answer(500, HTML * 999, endless=True), "answered 500", 2),
    "503 with Retry-After": (Answer(503, HTML, headers={"Retry-After": "3600"}), "answered 503", 2),
    "429 without end": (Answer(429, HTML * 999, headers={"Retry-After": "60"}, endless=True), "60 seconds", 1),
    "a redirect in a circle": (redirect("/2.2.0/launch/"), "has moved to", 1),
    "a redirect without end": (Answer(302, HTML * 999, headers={"Location": "/x"}, endless=True), "has moved to", 1),
}


@pytest.mark.parametrize("fault", API_FAULTS)
def test_a_failed_question_is_an_error_in_time_and_leaves_what_is_stored(
    world: World, server: ScriptedServer, archive: Archive, fault: str
) -> None:
    world.rows = world.launches(server, None)
    bring_launches(server.url("/2.2.0/"), archive)
    before = {found.key: archive.storage.read(found.key) for found in archive.storage.list()}
    world.api, said, requests = API_FAULTS[fault]
    asked, start = len(server.requests), time.monotonic()
    with pytest.raises(RocketAssetsError) as raised:
        bring_launches(server.url("/2.2.0/"), archive, fault)
    assert time.monotonic() - start < 5
    assert re.search(said, str(raised.value), re.DOTALL), raised.value
    assert len(server.requests) - asked == requests
    assert {found.key: archive.storage.read(found.key) for found in archive.storage.list()} == before


# The API's data


@pytest.fixture
def project(server: ScriptedServer, storage: Storage, instance: Any) -> Project:
    """The project, asking the server of this world."""
    return Project(server.url("/2.2.0/"), storage, instance)


SOUND = row(VICTIM, DAY, None)
NAN = float("nan")

# The row, and what is said of it.
REFUSED_ROWS: dict[str, tuple[Any, str]] = {
    "no object": ("a launch", "a launch that is 'a launch', not an object"),
    "null": (None, "a launch that is None, not an object"),
    "without an id": ({**SOUND, "id": None}, "without an id (name 'Rocket | 00000007')"),
    "with a number for an id": ({**SOUND, "id": 7}, "without an id"),
    "with a blank id": ({**SOUND, "id": " "}, "without an id"),
    "with an id that turns the text round": ({**SOUND, "id": "a\u202eb"}, r"a launch whose id is none: 'a\u202eb'"),
    "with an id of a megabyte": ({**SOUND, "id": "x" * 10**5}, "a launch whose id is none: 'xxx"),
    "with net null": ({**SOUND, "net": None}, f"launch {VICTIM} without a net; it has None"),
    "without net": ({name: value for name, value in SOUND.items() if name != "net"}, "without a net; it has None"),
    "with a number for net": ({**SOUND, "net": 1772323200}, "without a net; it has 1772323200"),
    "with nonsense for net": ({**SOUND, "net": "next\x1b[2J week"}, r"net that is no time: 'next\x1b[2J week'"),
    "with a day that does not exist": ({**SOUND, "net": "2026-02-30T00:00:00Z"}, "net that is no time"),
    "with a net before all time": ({**SOUND, "net": "0001-01-01T00:00:00+01:00"}, "net that is no time"),
    "with NaN": ({**SOUND, "probability": NAN}, "a number that JSON has no word for"),
    "with Infinity deep inside": ({**SOUND, "pad": {"latitude": [float("inf")]}}, "a number that JSON has no word for"),
}


@pytest.mark.parametrize("name", REFUSED_ROWS)
def test_a_row_that_is_no_launch_is_refused_with_a_reason_and_the_rest_of_its_day_stands(
    world: World, server: ScriptedServer, project: Project, name: str
) -> None:
    victim, said = REFUSED_ROWS[name]
    sound = world.launches(server, None)
    world.rows = [victim if one["id"] == VICTIM else one for one in sound]
    result = project.bring(f"{BEFORE}", f"{AFTER}", ["launches"])
    assert result.success
    stored = [launch.row for day in (BEFORE, DAY, AFTER) for launch in project.archive.read_launches(day)]
    assert stored == [one for one in sound if one["id"] != VICTIM]
    # A row without a time stands with the day that was read when it came.
    refused = {day: project.archive.read_refused(day) for day in (BEFORE, DAY, AFTER)}
    ((day, reason),) = [(day, reason) for day, reasons in refused.items() for reason in reasons]
    assert said in reason
    assert reason.isprintable()
    assert number(project.recorded("launches")[f"{day}"], "rows_refused") == 1
    (check,) = [one for one in result.get_asset_check_evaluations() if one.check_name == "every_row_is_a_launch"]
    assert not check.passed
    assert check.metadata["days that fail"].value == [f"{day}"]


@pytest.mark.parametrize("name", REFUSED_ROWS)
def test_promise_4_a_launch_that_was_read_before_is_not_lost_because_its_row_cannot_be_read_today(
    world: World, server: ScriptedServer, archive: Archive, name: str
) -> None:
    sound = [one for one in world.launches(server, None) if f"{DAY}" in one["net"]]
    world.rows = sound
    bring_day(server, archive)
    world.rows = [REFUSED_ROWS[name][0] if one["id"] == VICTIM else one for one in sound]
    bring_day(server, archive)
    assert [launch.row for launch in archive.read_launches(DAY)] == sound
    world.rows = [one for one in sound if one["id"] != VICTIM]
    bring_day(server, archive)
    assert VICTIM not in [launch.id for launch in archive.read_launches(DAY)]
    assert archive.read_refused(DAY) == []


@pytest.mark.parametrize("name", REFUSED_ROWS)
def test_promise_4_nor_in_a_window_of_many_days(
    world: World, server: ScriptedServer, archive: Archive, name: str
) -> None:
    sound = world.launches(server, None)
    world.rows = sound
    bring_launches(server.url("/2.2.0/"), archive)
    world.rows = [REFUSED_ROWS[name][0] if one["id"] == VICTIM else one for one in sound]
    bring_launches(server.url("/2.2.0/"), archive)
    assert [launch.row for day in (BEFORE, DAY, AFTER) for launch in archive.read_launches(day)] == sound


def test_promise_10_a_launch_that_slips_while_a_row_has_no_id_stands_on_its_new_day_only(
    world: World, server: ScriptedServer, archive: Archive
) -> None:
    world.rows = world.launches(server, None)
    bring_launches(server.url("/2.2.0/"), archive)
    slipped = {**SOUND, "net": f"{AFTER}T12:00:00Z"}
    nameless = {**world.rows[1], "id": None}
    world.rows = [world.rows[0], nameless, world.rows[3], world.rows[4], slipped]
    bring_launches(server.url("/2.2.0/"), archive)
    days = {day: [launch.id for launch in archive.read_launches(day)] for day in (BEFORE, DAY, AFTER)}
    assert [day for day, ids in days.items() if VICTIM in ids] == [AFTER]
    # The one that the row without an id may be is kept.
    assert str(uuid.UUID(int=2 << 96)) in days[DAY]


def bring_day(server: ScriptedServer, archive: Archive) -> None:
    """One day as the asset brings it."""
    with LaunchLibrary(server.url("/2.2.0/"), backoff=0) as library:
        for day in library.days(DAY, DAY + timedelta(days=1)):
            archive.write_day(day)


def test_a_page_on_which_nothing_can_be_read_is_an_error_and_not_an_empty_day(
    world: World, server: ScriptedServer, project: Project
) -> None:
    world.rows = world.launches(server, None)
    project.bring(f"{BEFORE}", f"{AFTER}", ["launches"])
    before = project.storage.read(keys.launches_key(DAY))
    world.rows = [{"uuid": one["id"], "date": one["net"]} for one in world.rows]
    result = project.bring(f"{BEFORE}", f"{AFTER}", ["launches"])
    assert not result.success
    assert "no row that can be read" in failure_of(result)
    assert project.storage.read(keys.launches_key(DAY)) == before


NAMES = {
    "climbing": "../../../etc/passwd",
    "NUL": "Falcon\x009",
    "control": "Falcon\x1b[2J\r\n9\x07",
    "from right to left": "Rocket \u202egpj.exe\u202c",
    "300 characters": "x" * 300,
    "half a surrogate": "a\ud800b",
    "an option": "-rf *",
    "Markdown and HTML": "[x](javascript:alert(1))<img src=x onerror=alert(1)>",
}
FAITHFUL_ROWS: dict[str, Row] = {
    **{f"a name that is {name}": {**SOUND, "name": value} for name, value in NAMES.items()},
    "no name": {**SOUND, "name": None},
    "a number for a name": {**SOUND, "name": 5},
    "an integer beyond 64 bits": {**SOUND, "probability": 2**70, "hashtag": -(10**400)},
    "a fraction that is not exact": {**SOUND, "probability": 0.1 + 0.2},
    "statuses in another form": {**SOUND, "status": [None], "net_precision": "Day", "mission": 7},
    "fields that nobody knows": {**SOUND, "\u202e\x00": {"": [[[{}]]]}},
    "the key of our seal": {**SOUND, "sha256": "0" * 64},
}


@pytest.mark.parametrize("name", FAITHFUL_ROWS)
def test_an_odd_row_is_stored_to_the_letter_and_shown_without_harm(
    world: World, server: ScriptedServer, project: Project, name: str
) -> None:
    victim = {**FAITHFUL_ROWS[name], "image": server.url("/victim.jpg")}
    world.fault = Answer(200, BODY)
    world.rows = [victim if one["id"] == VICTIM else one for one in world.launches(server, None)]
    assert all(project.bring(f"{BEFORE}", f"{AFTER}", [asset]).success for asset in ("launches", "launch_images"))
    stored = next(launch for launch in project.archive.read_launches(DAY) if launch.id == VICTIM)
    assert stored.row == victim
    body = project.storage.read(keys.launches_key(DAY))
    # Every reader of JSON has to be able to read it.
    assert next(one for one in json.loads(body.decode("utf-8"))["results"] if one["id"] == VICTIM) == victim
    told = entries(project.archive)[VICTIM]
    assert told.launch_name.isprintable()
    assert re.fullmatch(r"[a-z0-9-]{1,80}-00000007\.jpeg", told.file or "")
    for asset in ("launches", "launch_images"):
        for value in project.recorded(asset)[f"{DAY}"].metadata.values():
            assert not re.search("[\x00\x1b\u202e\ud800]", str(value.value))


# The address, and what the day says of it; nothing where its picture is to be had.
ADDRESSES: dict[str, tuple[Any, str | None]] = {
    "javascript": ("javascript:alert(1)", "cannot be fetched"),
    "a file": ("file:///etc/passwd", "cannot be fetched"),
    "data": ("data:image/png;base64,iVBORw0KGgo=", "cannot be fetched"),
    "ftp": ("ftp://127.0.0.1/a.jpg", "cannot be fetched"),
    "relative": ("victim.jpg", "cannot be fetched"),
    "a path": ("/media/victim.jpg", "cannot be fetched"),
    "without a scheme": ("//127.0.0.1/victim.jpg", "cannot be fetched"),
    "with control characters": ("http://127.0.0.1\x1b[2J\r\nX-Evil: 1/a.jpg", "cannot be fetched"),
    "a port that is none": ("http://127.0.0.1:99999/a.jpg", "cannot be fetched"),
    "very long": ("http://127.0.0.1:1/" + "a" * 100_000, "aaa…"),
    "inside": ("http://192.168.0.1/a.jpg", "192.168.0.1, which is no address of the public internet"),
    "empty": ("", NO_ADDRESS),
    "blank": (" \n", NO_ADDRESS),
    "a number": (7, "gives a picture without an address: 7."),
    "a list": (["http://127.0.0.1/a.jpg"], "gives a picture without an address: ['http://127.0.0.1/a.jpg']."),
    "an object of a shape that no version has": ({"url": "http://HERE/a.jpg"}, "without an address: {'url'"),
    "with credentials": ("http://user:pass@HERE/victim.jpg", None),
    "with spaces around it": (" http://HERE/victim.jpg ", None),
    "with spaces": ("http://HERE/a b c.jpg", None),
    "with letters of the world": ("http://HERE/Протон-ü.jpg", None),
    "with a slash at its end": ("http://HERE/victim.jpg/", None),
    "with a query": ("http://HERE/victim.jpg?size=../../x&y=1#z", None),
    "climbing": ("http://HERE/../../%2e%2e/etc/passwd", None),
}


@pytest.mark.parametrize("name", ADDRESSES)
def test_an_odd_address_of_a_picture_is_fetched_or_refused_with_a_reason_and_harms_no_other(
    world: World, server: ScriptedServer, archive: Archive, name: str
) -> None:
    address, said = ADDRESSES[name]
    if isinstance(address, str):
        address = address.replace("HERE", server.url("").removeprefix("http://"))
    world.fault = Answer(200, BODY)
    world.rows = world.launches(server, address)
    bring_launches(server.url("/2.2.0/"), archive)
    bring_images(archive)
    told = entries(archive)[VICTIM]
    if said is None:
        assert told.sha256 == hashlib.sha256(BODY).hexdigest()
        assert told.source_url == address.strip()
    else:
        assert told.file is None
        assert said in (told.reason or "")
        assert (told.reason or "").isprintable()
        assert len(told.reason or "") <= 2000
    assert re.fullmatch(r"rocket-00000007-00000007\.jpeg", told.file or "rocket-00000007-00000007.jpeg")
    assert len([entry for entry in entries(archive).values() if entry.file and entry.launch_id != VICTIM]) == 4
    assert next(launch for launch in archive.read_launches(DAY) if launch.id == VICTIM).row["image"] == address
