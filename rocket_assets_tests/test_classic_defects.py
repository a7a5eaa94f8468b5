"""What goes wrong in the classic pipeline, defect by defect, and does not here.

The classic exercise asks for the next launches with curl, saves the answer as one JSON file, fetches every picture into
one folder and says how many files lie there; daily, with catch-up. Thirty defects of it are known as D1 to D30. Each
has its test here, to be read from top to bottom: the docstring says what the classic pipeline does, the test makes the
situation in which it does so, and shows what a user of this project gets instead.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import dagster as dg
import pytest

from rocket_assets.archive import NO_ADDRESS, Entry
from rocket_assets.defs.assets import launches as launches_asset
from rocket_assets.defs.partitions import daily_partitions
from rocket_assets.errors import WrongSetting
from rocket_assets.sample_library.server import LibraryServer
from rocket_assets.settings import Settings
from rocket_assets.storage import Storage, images_folder, launches_key, manifest_key
from rocket_assets_tests.project import BOTH, Daemon, Project, failure_of, number, tree
from rocket_assets_tests.recordings import FOLDER, needed
from rocket_assets_tests.scripted_server import JSON, Answer, Request, ScriptedServer
from rocket_assets_tests.test_images import HTML, picture

COMMAND = str(Path(sys.executable).with_name("rocket-assets"))
THURSDAY, FRIDAY = date(2024, 12, 5), date(2024, 12, 6)
FORTNIGHT = [date(2024, 12, 1) + timedelta(days=n) for n in range(14)]
CREDIT, LICENCE = "SpaceX", {"name": "CC BY-NC 2.0", "link": "https://creativecommons.org/licenses/by-nc/2.0/"}

Row = dict[str, Any]
Script = Callable[[Request], Answer]


class Impatient(Project):
    """The project with short pauses between its tries, and with little patience for the silent."""

    @cached_property
    def definitions(self) -> dg.Definitions:
        made = super().definitions
        return dg.Definitions(
            assets=made.assets,
            jobs=made.jobs,
            schedules=made.schedules,
            sensors=made.sensors,
            resources={name: _impatient(handle) for name, handle in (made.resources or {}).items()},
            executor=made.executor,
        )


def _impatient(handle: Any) -> Any:
    changed = {"retries": 2, "backoff": 0.05, "read_timeout": 0.3, "max_seconds": 0.5}
    return type(handle)(**{name: changed.get(name, getattr(handle, name)) for name in type(handle).model_fields})


@dataclass
class World:
    """A Launch Library and a host of pictures, as a test makes them, and the project that asks both."""

    storage: Storage
    instance: dg.DagsterInstance
    rows: list[Row] = field(default_factory=list)
    pictures: dict[str, Answer] = field(default_factory=dict)
    """What the host answers, by path; 404 to any other."""
    now: datetime = datetime(2024, 12, 5, 12, tzinfo=UTC)

    def __post_init__(self) -> None:
        self.host = ScriptedServer(lambda request: self.pictures.get(request.path, Answer(404, HTML, "text/html")))
        self.library = LibraryServer(rows=lambda _: [], as_of=lambda *_: self.rows, clock=lambda: self.now)

    def launch(self, path: str | None = None, answer: Answer | None = None, day: date = THURSDAY) -> Row:
        """One more launch, and what the host answers to the path of its picture."""
        address = self.host.url(path) if path else None
        if path and answer:
            self.pictures[path] = answer
        count = len(self.rows) + 1
        row = {
            "id": str(uuid.UUID(int=count << 96)),
            "name": f"Rocket {count} | Mission",
            "net": f"{day}T{count % 24:02}:00:00Z",
            "last_updated": f"{self.now:%Y-%m-%dT%H:%M:%SZ}",
            "net_precision": {"id": 1, "name": "Minute"},
            "status": {"id": 3, "name": "Launch Successful", "abbrev": "Success"},
            "image": address and {"image_url": address, "credit": CREDIT, "license": LICENCE},
        }
        self.rows.append(row)
        return row

    def project(self, url: str = "") -> Project:
        """The project, asking this library or the one at another address."""
        return Impatient(url or self.library.url, self.storage, self.instance, clock=lambda: self.now)

    def bring(self, day: date = THURSDAY, url: str = "") -> dg.ExecuteInProcessResult:
        """One run of both assets."""
        return self.project(url).bring(f"{day}")

    def entries(self, day: date = THURSDAY) -> list[Entry]:
        """What the manifest of a day says, launch by launch."""
        return self.project().archive.read_manifest(day).entries

    def shown(self, entry: Entry, day: date = THURSDAY) -> bytes:
        """The picture of a launch, as it lies in the folder of the day."""
        return self.storage.read(f"{images_folder(day)}{entry.file}")

    def stored(self) -> dict[str, bytes]:
        """All that is stored, by key."""
        return tree(self.storage.uri)

    def stored_pictures(self) -> set[bytes]:
        """All that is stored as a picture."""
        return {body for key, body in self.stored().items() if not key.endswith(".json")}


@pytest.fixture
def world(storage: Storage, instance: dg.DagsterInstance) -> Iterator[World]:
    """A library without launches yet, and a host without pictures."""
    made = World(storage, instance)
    with made.host, made.library:
        yield made


def an_image(shade: int = 0, kind: str = "JPEG", **headers: str) -> Answer:
    return Answer(200, picture(kind, shade), f"image/{kind.lower()}", headers)


def page(rows: list[Row], **more: Any) -> Answer:
    return Answer(200, json.dumps({"count": len(rows), "next": None, "results": rows} | more).encode(), JSON)


def warnings_of(result: dg.ExecuteInProcessResult) -> list[str]:
    """The checks that a run found false."""
    return [evaluation.check_name for evaluation in result.get_asset_check_evaluations() if not evaluation.passed]


# Wrong by design


def test_d01_a_catch_up_of_fourteen_days_asks_for_fourteen_different_windows(
    project: Project, sample_library: LibraryServer
) -> None:
    """Classic: asks for "upcoming" whatever the day, so that a catch-up fetches one page fourteen times."""
    for day in FORTNIGHT:
        assert project.bring(f"{day}", assets=["launches"]).success
    asked = [parse_qs(urlsplit(request.path).query) for request in sample_library.api_requests]
    windows = [(query["net__gte"], query["net__lt"]) for query in asked]
    assert windows == [([f"{day}"], [f"{day + timedelta(days=1)}"]) for day in FORTNIGHT]
    ids = [launch.id for day in FORTNIGHT for launch in project.archive.read_launches(day)]
    assert len(ids) == len(set(ids)) == 14


def test_d02_a_day_holds_what_has_flown_and_what_is_planned_as_its_description_says(world: World) -> None:
    """Classic: is described as the launches of late, and asks an endpoint that knows only those to come."""
    flown, planned = world.launch(), world.launch()
    flown["net"], planned["net"] = "2024-12-05T00:00:00Z", "2024-12-05T23:59:59Z"
    world.bring()
    assert [launch.id for launch in world.project().archive.read_launches(THURSDAY)] == [flown["id"], planned["id"]]
    assert {urlsplit(request.path).path for request in world.library.api_requests} == {"/2.3.0/launches/"}
    described = launches_asset.descriptions_by_key[dg.AssetKey("launches")]
    assert described.startswith("The launches whose NET falls on a UTC day")


def test_d03_all_pages_are_read(world: World) -> None:
    """Classic: takes the first page, 10 of hundreds."""
    for _ in range(370):
        world.launch()
    assert world.project().bring(f"{THURSDAY}", assets=["launches"]).success
    assert {launch.id for launch in world.project().archive.read_launches(THURSDAY)} == {
        row["id"] for row in world.rows
    }
    assert len(world.library.api_requests) == 4


def test_d04_each_day_is_a_file_of_its_own_that_can_be_brought_again(
    project: Project, sample_library: LibraryServer
) -> None:
    """Classic: one file, overwritten by each run: no history, and nothing to repeat."""
    project.bring(f"{THURSDAY}")
    thursday = tree(project.storage.uri)
    project.bring(f"{FRIDAY}")
    both = tree(project.storage.uri)
    assert thursday.items() < both.items()
    assert {launches_key(THURSDAY), launches_key(FRIDAY)} <= both.keys()
    project.bring(f"{THURSDAY}")
    assert tree(project.storage.uri) == both


def test_d05_runs_at_the_same_time_do_not_get_in_each_others_way(sample_library: LibraryServer, tmp_path: Path) -> None:
    """Classic: parallel runs write the same two paths."""

    def project(folder: str, instance: dg.DagsterInstance) -> Project:
        return Project(sample_library.url, Storage(str(tmp_path / folder)), instance)

    def bring(project: Project, day: date) -> None:
        assert project.bring(f"{day}").success

    busy = FORTNIGHT[2:6]
    with ExitStack() as stack, ThreadPoolExecutor(len(busy)) as runs:
        homes = [str(tmp_path / f"dagster-{day}") for day in busy]
        instances = [stack.enter_context(dg.DagsterInstance.ephemeral(tempdir=home)) for home in homes]
        alone, *together = [project("one by one", instances[0]), *[project("at once", one) for one in instances]]
        for day in busy:
            bring(alone, day)
        # Each of them is a process of its own elsewhere: here, the definitions are not to be made at the same time.
        assert all(one.definitions for one in together)
        list(runs.map(bring, together, busy))
    assert tree(tmp_path / "at once") == tree(tmp_path / "one by one")


def test_d06_the_first_day_does_not_move_with_the_clock() -> None:
    """Classic: begins so and so many days ago, so that each day's start date is another."""
    days = daily_partitions(Settings.read({}))

    def keys(now: datetime) -> list[str]:
        with dg.partition_loading_context(effective_dt=now):
            return list(days.get_partition_keys())

    today, in_a_year = keys(datetime(2025, 3, 5, tzinfo=UTC)), keys(datetime(2026, 3, 5, tzinfo=UTC))
    assert today[0] == in_a_year[0] == "1957-10-04"
    assert in_a_year[: len(today)] == today
    assert len(in_a_year) == len(today) + 365


def test_d07_promise_10_a_launch_that_slips_leaves_its_day_and_its_record_is_read_again(world: World) -> None:
    """Classic: reads nothing again, though dates slip and records are edited for hours around a launch."""
    launch = world.launch("/a.jpg", an_image(1))
    daemon = Daemon(world.project(), backoff=0)
    daemon.sensor()
    world.bring(THURSDAY)
    launch |= {"net": f"{FRIDAY}T10:00:00Z", "status": {"id": 2, "name": "To Be Determined", "abbrev": "TBD"}}
    world.now += timedelta(minutes=10)
    launch["last_updated"] = f"{world.now:%Y-%m-%dT%H:%M:%SZ}"
    daemon.sensor()
    daemon.pictures("follows")
    assert [one.id for one in world.project().archive.read_launches(THURSDAY)] == []
    assert [one.status for one in world.project().archive.read_launches(FRIDAY)] == ["TBD"]
    assert [key for key in world.stored() if key.startswith(images_folder(THURSDAY))] == [manifest_key(THURSDAY)]
    assert world.entries(THURSDAY) == []
    assert [world.shown(entry, FRIDAY) for entry in world.entries(FRIDAY)] == [picture("JPEG", 1)]


# Wrong in silence, and the run is green


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(Answer(404, HTML, "image/jpeg"), "answered 404", id="D8"),
        pytest.param(Answer(500, HTML, "image/jpeg"), "answered 500", id="D9"),
        pytest.param(Answer(200, HTML, "image/jpeg"), "bytes that are no picture", id="D10"),
        pytest.param(Answer(200, b"", "image/jpeg"), "an empty body", id="D11"),
    ],
)
def test_d08_d09_d10_d11_what_is_no_picture_is_not_stored_as_one_and_is_told(
    world: World, answer: Answer, said: str
) -> None:
    """Classic: saves a 404 page, a 500 page, a page with status 200 or an empty body as a .jpg, and is green."""
    world.launch("/good.jpg", an_image(1))
    world.launch("/bad.jpg", answer)
    result = world.bring()
    assert world.stored_pictures() == {picture("JPEG", 1)}
    assert [(bool(entry.file), said in (entry.reason or "")) for entry in world.entries()] == [
        (True, False),
        (False, True),
    ]
    assert warnings_of(result) == ["every_launch_has_its_image"]
    # What may pass is tried again, so that the run is not done.
    assert result.success is (answer.status != 500)


WORSE = {"404": Answer(404), "HTML": Answer(200, HTML, "image/jpeg"), "nothing": Answer(200, b"")}


@pytest.mark.parametrize("address", ["/a.jpg", "/b.jpg"], ids=["the same address", "another address"])
@pytest.mark.parametrize("worse", WORSE.values(), ids=list(WORSE))
def test_d12_a_good_picture_is_not_replaced_by_an_error_page(world: World, worse: Answer, address: str) -> None:
    """Classic: overwrites it with whatever the next run gets."""
    launch = world.launch("/a.jpg", an_image(1))
    world.bring()
    launch["image"] |= {"image_url": world.host.url(address)}
    world.pictures[address] = worse
    assert world.bring().success
    (entry,) = world.entries()
    assert world.shown(entry) == picture("JPEG", 1)
    assert world.host.url(address) in (entry.reason or "")
    assert number(world.project().recorded("launch_images")[f"{THURSDAY}"], "refused") == 1


def test_d13_two_addresses_with_the_same_last_part_are_two_pictures(world: World) -> None:
    """Classic: names a file after the last part of its address, and the last one wins."""
    world.launch("/atlas/full.jpg", an_image(1))
    world.launch("/vega/full.jpg", an_image(2))
    world.bring()
    one, other = world.entries()
    assert one.file != other.file
    assert [world.shown(one), world.shown(other)] == [picture("JPEG", 1), picture("JPEG", 2)]


def test_d14_a_picture_that_ten_launches_share_is_fetched_once_and_known_as_that_of_each(world: World) -> None:
    """Classic: ten downloads, one file, and no record of the launch to which it belongs."""
    for _ in range(10):
        world.launch("/shared.jpg", an_image(1))
    world.bring()
    assert len(world.host.requests) == 1
    assert [entry.launch_id for entry in world.entries()] == [row["id"] for row in world.rows]
    assert len({entry.file for entry in world.entries()}) == 10
    assert {world.shown(entry) for entry in world.entries()} == {picture("JPEG", 1)}
    inodes = {path.stat().st_ino for path in Path(world.storage.uri).rglob("*.jpeg")}
    assert len(inodes) == 1


@pytest.mark.parametrize("image", [None, "", {}, {"image_url": None}, {"image_url": ""}], ids=str)
def test_d15_a_launch_without_a_picture_is_told_with_the_reason(world: World, image: Any) -> None:
    """Classic: it vanishes without a word."""
    world.launch()["image"] = image
    assert world.bring().success
    assert [(entry.launch_name, entry.file, entry.reason) for entry in world.entries()] == [
        ("Rocket 1 | Mission", None, NO_ADDRESS)
    ]
    recorded = world.project().recorded("launch_images")[f"{THURSDAY}"]
    assert (number(recorded, "launches"), number(recorded, "pictures")) == (1, 0)


@pytest.mark.parametrize("down", ["the host of the pictures", "the library"])
def test_d16_a_run_whose_hosts_are_down_is_not_green(world: World, down: str) -> None:
    """Classic: is green, with no pictures."""
    world.launch("/a.jpg", an_image(1))
    with ScriptedServer(lambda _: Answer()) as gone:
        nowhere = gone.url("/2.3.0/")
    if down == "the library":
        result = world.bring(url=nowhere)
    else:
        world.rows[0]["image"]["image_url"] = f"{nowhere}a.jpg"
        result = world.bring()
    assert not result.success
    assert nowhere in failure_of(result)
    assert "Trying again may help." in failure_of(result)
    assert f"{THURSDAY}" not in world.project().recorded("launch_images")


NOTHING = {
    "no results": Answer(200, b'{"count": 0, "next": null}', JSON),
    "results are null": page([], results=None),
    "five are announced": page([], count=5),
    "a next page is announced": page([], next="/2.3.0/launches/?offset=100"),
}


@pytest.mark.parametrize("answer", NOTHING.values(), ids=list(NOTHING))
def test_d17_an_answer_without_results_is_not_a_day_without_launches(world: World, answer: Answer) -> None:
    """Classic: is green, whatever lacks in the answer."""
    with ScriptedServer(lambda _: answer) as library:
        result = world.bring(url=library.url("/2.3.0/"))
    assert not result.success
    assert library.url("/2.3.0/launches/") in failure_of(result)
    assert world.stored() == {}


def test_d17_a_day_without_launches_is_green_and_says_so(world: World) -> None:
    """The other side of it: none is a number, too, and not a gap."""
    assert world.bring().success
    assert json.loads(world.stored()[launches_key(THURSDAY)])["count"] == 0
    assert {asset: number(world.project().recorded(asset)[f"{THURSDAY}"], "launches") for asset in BOTH} == {
        "launches": 0,
        "launch_images": 0,
    }


def test_d18_a_run_counts_what_it_brought_and_not_what_lies_there(world: World) -> None:
    """Classic: counts the files that ever came into the folder."""
    for n in range(3):
        world.launch(f"/{n}.jpg", an_image(n, etag=f'"{n}"'))
    world.launch("/friday.jpg", an_image(9), FRIDAY)
    world.bring(THURSDAY)
    world.storage.write("images/stray.jpeg", b"stray")
    world.bring(FRIDAY)
    thursday, friday = (world.project().recorded("launch_images")[f"{day}"] for day in (THURSDAY, FRIDAY))
    assert [number(day, "pictures") for day in (thursday, friday)] == [3, 1]
    assert number(friday, "bytes_fetched") == len(picture("JPEG", 9))
    for n in range(3):
        world.pictures[f"/{n}.jpg"] = Answer(304)
    world.bring(THURSDAY)
    again = world.project().recorded("launch_images")[f"{THURSDAY}"]
    assert (number(again, "pictures"), number(again, "bytes_fetched")) == (3, 0)


# Loud but no help


def test_d19_the_throttles_own_words_are_not_the_launches_and_the_run_says_when_to_try_again(world: World) -> None:
    """Classic: saves them as the launches, and a later step dies of a missing key."""
    throttled = b'{"detail":"Request was throttled. Expected available in 1234 seconds."}'
    with ScriptedServer(lambda _: Answer(429, throttled, JSON)) as library:
        result = world.bring(url=library.url("/2.3.0/"))
        assert len(library.requests) == 1
    assert not result.success
    assert "takes no more requests for 1234 seconds" in failure_of(result)
    assert "Try again in 1234 seconds." in failure_of(result)
    assert world.stored() == {}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(500, b"<h1>Server Error (500)</h1>", "text/html"), "answered 500 with text/html that begins '<h1>Serv"),
        (Answer(200, HTML, "text/html"), "answered with text/html that begins '<!DOCTYPE html>"),
    ],
    ids=["500", "HTML"],
)
def test_d20_an_answer_that_is_no_json_fails_the_step_that_asked_and_is_shown(
    world: World, answer: Answer, said: str
) -> None:
    """Classic: dies one step later, of a JSON error."""
    with ScriptedServer(lambda _: answer) as library:
        result = world.bring(url=library.url("/2.3.0/"))
    assert [event.step_key for event in result.all_events if event.is_step_failure] == ["launches"]
    assert said in failure_of(result)
    assert library.url("/2.3.0/launches/?") in failure_of(result)
    assert world.stored() == {}


def test_d21_the_address_inside_the_image_object_is_found(world: World) -> None:
    """Classic: takes the object of API 2.3.0 for an address."""
    world.launch("/object.jpg", an_image(1))
    world.launch()["image"] = world.host.url("/plain.jpg")
    world.pictures["/plain.jpg"] = an_image(2)
    assert world.bring().success
    assert [world.shown(entry) for entry in world.entries()] == [picture("JPEG", 1), picture("JPEG", 2)]


def test_d22_a_body_that_is_cut_short_keeps_no_other_picture_away(world: World) -> None:
    """Classic: skips every picture after it."""
    body = picture("JPEG", 0)
    world.launch("/cut.jpg", Answer(200, body[: len(body) // 2], "image/jpeg", announced=len(body)))
    for n in range(1, 5):
        world.launch(f"/{n}.jpg", an_image(n))
    result = world.bring()
    cut, *others = world.entries()
    assert [world.shown(entry) for entry in others] == [picture("JPEG", n) for n in range(1, 5)]
    assert cut.file is None
    assert world.host.url("/cut.jpg") in (cut.reason or "")
    assert not result.success
    assert world.host.url("/cut.jpg") in failure_of(result)


ADDRESSES = {
    "D23": "/pictures/atlas/",
    "D24": "/atlas.jpg?size=full&name=../../etc/passwd",
}


@pytest.mark.parametrize("path", ADDRESSES.values(), ids=list(ADDRESSES))
def test_d23_d24_an_address_gives_no_file_its_name(world: World, path: str) -> None:
    """Classic: an address that ends in a slash crashes it, and a query becomes part of the file name."""
    world.launch(path, an_image(1, "PNG"))
    assert world.bring().success
    (entry,) = world.entries()
    assert entry.file == "rocket-1-mission-00000001.png"
    assert world.shown(entry) == picture("PNG", 1)
    assert entry.source_url == world.host.url(path)


@pytest.mark.parametrize("silent", ["the host of the pictures", "the library"])
def test_d25_a_silent_server_is_given_up_in_time(world: World, silent: str) -> None:
    """Classic: waits for ever."""
    world.launch("/a.jpg", Answer(200, picture(), "image/jpeg", silent=60))
    begun = time.monotonic()
    with ScriptedServer(lambda _: Answer(200, b"{}", JSON, silent=60)) as library:
        asked = library.url("/2.3.0/launches/") if silent == "the library" else world.host.url("/a.jpg")
        result = world.bring(url=library.url("/2.3.0/") if silent == "the library" else "")
    assert time.monotonic() - begun < 10
    assert not result.success
    assert re.search(rf"No( whole)? answer from {asked}", failure_of(result))


def test_d26_what_fails_is_tried_again_after_longer_and_longer_pauses(world: World) -> None:
    """Classic: has one try, and no pause."""
    at = list[float]()
    world.launch("/a.jpg", an_image(1))

    def script(request: Request) -> Answer:
        at.append(time.monotonic())
        return page(world.rows) if len(at) == 3 else Answer(503)

    reset = iter([Answer(reset=True), Answer(503)])
    with (
        ScriptedServer(script) as library,
        ScriptedServer(lambda _: next(reset, an_image(1))) as host,
    ):
        world.rows[0]["image"]["image_url"] = host.url("/a.jpg")
        assert world.bring(url=library.url("/2.3.0/")).success
        assert len(host.requests) == 3
    assert [world.shown(entry) for entry in world.entries()] == [picture("JPEG", 1)]
    assert at[2] - at[1] > max(0.09, at[1] - at[0])


# In operation


def test_d27_files_lie_where_the_setting_says_for_every_worker_and_outlive_it(world: World, tmp_path: Path) -> None:
    """Classic: they lie in a temporary folder of one container: lost with it, and not shared between workers."""
    world.launch("/a.jpg", an_image(1))
    world.project().bring(f"{THURSDAY}", assets=["launches"])
    worker = tmp_path / "another worker"
    worker.mkdir()
    environ = {"ROCKET_ASSETS_STORAGE": world.storage.uri, "ROCKET_ASSETS_API_URL": world.library.url}
    done = backfill(worker, "--assets", "launch_images", **environ)
    assert done.returncode == 0, done.stderr
    assert [world.shown(entry) for entry in world.entries()] == [picture("JPEG", 1)]
    assert not list(worker.rglob("*.jpeg"))


def backfill(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The command for Thursday, in a process of its own."""
    return subprocess.run(
        [COMMAND, "backfill", f"{THURSDAY}", f"{THURSDAY}", *arguments],
        env={"PATH": os.environ["PATH"], **environ},
        cwd=folder,
        capture_output=True,
        text=True,
    )


def test_d28_that_nothing_can_be_written_shows_before_anything_is_asked(
    project: Project, sample_library: LibraryServer, tmp_path: Path
) -> None:
    """Classic: finds out about the rights of its folder in the middle of a run."""
    closed = tmp_path / "closed"
    # No mode keeps a superuser out; a folder in the place of the first object does.
    (closed / ".writable").mkdir(parents=True)
    closed.chmod(0o500)
    done = backfill(tmp_path, ROCKET_ASSETS_STORAGE=str(closed), ROCKET_ASSETS_API_URL=sample_library.url)
    assert done.returncode == 1
    assert "may we write there?" in done.stderr
    result = replace(project, storage_uri=str(closed)).bring(f"{THURSDAY}")
    assert not result.success
    assert "may we write there?" in failure_of(result)
    assert sample_library.requests == []


def told_by(version: str, rows: list[Row], storage: Storage, instance: dg.DagsterInstance) -> tuple[Any, ...]:
    """What the archive says of a day that was brought from this version of the API."""
    with LibraryServer(rows=lambda _: rows, version=version) as library:
        project = Project(library.url, storage, instance)
        assert project.bring(f"{THURSDAY}").success
    launches = project.archive.read_launches(THURSDAY)
    entries = project.archive.read_manifest(THURSDAY).entries
    return (
        [(launch.id, launch.net, launch.name, launch.status) for launch in launches],
        [(entry.launch_id, entry.source_url, entry.file, entry.sha256) for entry in entries],
    )


def test_d29_every_version_of_the_api_gives_the_same_archive(world: World, tmp_path: Path) -> None:
    """Classic: the API changed under it more than once, and no test noticed."""
    world.launch("/a.jpg", an_image(1))
    world.launch()
    older = [row | {"image": row["image"] and row["image"]["image_url"]} for row in world.rows]
    versions = {"2.0.0": older, "2.2.0": older, "2.3.0": world.rows}
    told = {
        version: told_by(version, rows, Storage(str(tmp_path / version)), world.instance)
        for version, rows in versions.items()
    }
    assert told["2.0.0"] == told["2.2.0"] == told["2.3.0"]
    assert [bool(file) for _, _, file, _ in told["2.3.0"][1]] == [True, False]


UNKNOWN: dict[str, Callable[[Row], Row]] = {
    "results": lambda answer: {"count": 2, "next": None, "launches": answer["results"]},
    "a bare list": lambda answer: answer["results"],
    "id": lambda answer: answer | {"results": [row | {"id": 4711} for row in answer["results"]]},
    "net": lambda answer: answer | {"results": [row | {"net": 1733356800} for row in answer["results"]]},
    "another day": lambda answer: answer | {"results": [row | {"net": "2024-12-09"} for row in answer["results"]]},
}


@pytest.mark.parametrize("change", UNKNOWN.values(), ids=list(UNKNOWN))
def test_d29_a_shape_that_no_version_has_is_refused_and_named(world: World, change: Callable[[Row], Row]) -> None:
    """Of what is stored nothing is lost by it, and nothing false is stored."""
    world.launch()
    world.launch()
    world.bring()
    before = world.stored()
    answer = change({"count": 2, "next": None, "results": world.rows})
    with ScriptedServer(lambda _: Answer(200, json.dumps(answer).encode(), JSON)) as library:
        result = world.bring(url=library.url("/2.3.0/"))
    assert not result.success
    assert library.url("/2.3.0/launches/") in failure_of(result)
    assert world.stored() == before


def test_d29_a_version_that_is_not_known_is_refused_before_it_is_asked() -> None:
    with pytest.raises(WrongSetting, match=r"ends in the API's version: 2\.0\.0, 2\.2\.0, 2\.3\.0"):
        Settings.read({"ROCKET_ASSETS_API_URL": "https://ll.thespacedevs.com/2.4.0/"})


@needed
@pytest.mark.parametrize(
    "recorded",
    ["2.0.0/upcoming_2020-12.json", "2.2.0/launches_normal_1957.json", "2.3.0/launches_normal_2024-09-30.rows.json"],
)
def test_d29_what_each_version_was_recorded_to_answer_is_understood(
    storage: Storage, instance: dg.DagsterInstance, recorded: str
) -> None:
    answer = json.loads((FOLDER / recorded).read_bytes())
    rows = answer if isinstance(answer, list) else answer["results"]
    first, last = min(row["net"] for row in rows)[:10], max(row["net"] for row in rows)[:10]
    with LibraryServer(rows=lambda _: rows, version=recorded[:5]) as library:
        project = Project(library.url, storage, instance)
        assert project.bring(first, last, ["launches"]).success
    stored = [
        launch
        for day in project.recorded("launches")
        for launch in project.archive.read_launches(date.fromisoformat(day))
    ]
    assert Counter(launch.id for launch in stored) == Counter(row["id"] for row in rows)
    assert all(launch.image and launch.image.url.startswith("https://") for launch in stored if launch.row["image"])
    assert all(launch.status and launch.rocket for launch in stored)


def test_d30_a_picture_is_kept_with_its_launch_address_digest_credit_and_licence(world: World) -> None:
    """Classic: keeps the bytes, under a name, and nothing else."""
    row = world.launch("/a.jpg", an_image(1))
    world.bring()
    (entry,) = json.loads(world.stored()[manifest_key(THURSDAY)])["entries"]
    body = picture("JPEG", 1)
    assert entry == {
        "launch_id": row["id"],
        "launch_name": row["name"],
        "source_url": world.host.url("/a.jpg"),
        "credit": CREDIT,
        "licence": LICENCE["name"],
        "licence_url": LICENCE["link"],
        "file": "rocket-1-mission-00000001.jpeg",
        "sha256": hashlib.sha256(body).hexdigest(),
        "bytes": len(body),
        "format": "jpeg",
        "width": 48,
        "height": 32,
        "reason": None,
    }
    assert world.stored()[f"{images_folder(THURSDAY)}{entry['file']}"] == body


def test_the_list_has_no_gap() -> None:
    tests = [name.partition("_d")[2] for name in globals() if name.startswith("test_d")]
    codes = {int(code) for name in tests for code in re.findall(r"(?:^|_d)(\d\d)(?=_)", name)}
    assert codes == set(range(1, 31))
