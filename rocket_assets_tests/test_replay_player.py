"""The replay is as true as the library that was recorded: in what it shows, and in when it begins to."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from rocket_assets.launch_library import LaunchLibrary
from rocket_assets.launches import parse
from rocket_assets.sample_library.modes import MODES, shorten
from rocket_assets_tests.recordings import FOLDER, needed
from rocket_assets_tests.replay import MONTHS_OF_2025, MONTHS_OF_2026, Clock, Replay, Row, library

BASE = "http://127.0.0.1:8123"
SECOND = timedelta(seconds=1)

SLIPPING, NEW, OLD = (f"{number:08}-0000-4000-8000-000000000000" for number in (1, 2, 3))
# Of the launch, in order: when it was observed, and then net, precision, status, picture and last_updated.
MADE_UP: dict[str, list[tuple[str, str, str, str, str | None, str]]] = {
    SLIPPING: [
        ("2026-03-01T12:00:00Z", "2026-03-05T23:00:00Z", "DAY", "TBC", "a.png", "2026-02-27T08:00:00Z"),
        ("2026-03-02T12:00:00Z", "2026-03-06T01:00:00Z", "MIN", "Go", "a.png", "2026-03-02T09:30:00Z"),
        ("2026-03-03T12:00:00Z", "2026-03-06T01:00:00Z", "MIN", "Go", "b.jpg", "2026-03-02T09:30:00Z"),
        ("2026-03-06T12:00:00Z", "2026-03-06T01:00:07Z", "SEC", "Success", "b.jpg", "2026-03-06T02:00:00Z"),
    ],
    NEW: [
        ("2026-03-02T12:00:00Z", "2026-03-08T00:00:00Z", "M", "TBD", None, "2026-03-01T18:00:00Z"),
        ("2026-03-03T00:00:00Z", "2026-03-09T00:00:00Z", "M", "TBD", None, "2026-03-02T20:00:00Z"),
    ],
    OLD: [("2026-03-04T12:00:00Z", "2026-03-07T00:00:00Z", "HR", "Hold", "a.png", "2026-02-01T00:00:00Z")],
}
START, REPLACED = datetime(2026, 3, 1, 12, tzinfo=UTC), datetime(2026, 3, 3, 12, tzinfo=UTC)
NUMBERS = {"SEC": 0, "MIN": 1, "HR": 2, "DAY": 5, "M": 7, "Go": 1, "TBD": 2, "Success": 3, "Hold": 5, "TBC": 8}

both_recordings = pytest.mark.parametrize("name", [MONTHS_OF_2025, MONTHS_OF_2026], ids=["2025", "2026"])


@pytest.fixture(params=["words", "numbers"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The made-up recording, in each of the two formats."""
    in_words = request.param == "words"
    launches: dict[str, list[list[Any]]] = {}
    for launch_id, observations in MADE_UP.items():
        launches[launch_id] = [
            [seen.replace("Z", "+00:00"), net, net, net, precision, status, _below("https://host/media/", file), *rest]
            if in_words
            else [seen, net, net, net, NUMBERS[precision], NUMBERS[status], _below("", file), *rest]
            for seen, net, precision, status, file, updated in observations
            for rest in [(updated, "Rocket 1 | Payload")]
        ]
    content = json.dumps({"launches": launches}).encode()
    path = tmp_path / ("changes.json" if in_words else "slips.json.gz")
    path.write_bytes(content if in_words else gzip.compress(content))
    return path


def _below(host: str, file: str | None) -> str | None:
    return file and f"{host}images/{file}"


def row_of(replay: Replay, launch_id: str, now: datetime) -> Row | None:
    return next((row for row in replay.rows(BASE, now) if row["id"] == launch_id), None)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def read(replay: Replay, moments: list[datetime]) -> list[dict[str, tuple[date, str | None]]]:
    """What the project's client reads of each moment, without the host."""
    found: list[dict[str, tuple[date, str | None]]] = []
    clock = Clock(replay.start)
    with library(replay, clock) as server, LaunchLibrary(server.url, retries=0) as client:
        for moment in moments:
            clock.set(moment)
            days = [day for day, _ in replay.truth(moment).values()]
            launches = client.launches(min(days), max(days) + timedelta(days=1))
            found.append(
                {one.id: (one.day, one.image and one.image.url.removeprefix(server.base_url)) for one in launches}
            )
    return found


def polled(replay: Replay, stride: int) -> list[tuple[datetime, dict[str, tuple[date, str | None]]]]:
    """What a client knows that asks at every so many moments for what was updated since the newest row it has."""
    known: dict[str, tuple[date, str | None]] = {}
    cursor, history = "", []
    for now in [*replay.moments[::stride], replay.end]:
        for row in [row for row in replay.rows("", now) if row["last_updated"] >= cursor]:
            launch = parse(row, "replay")
            known[launch.id] = launch.day, launch.image and launch.image.url
            cursor = max(cursor, row["last_updated"])
        history.append((now, dict(known)))
    return history


def test_a_change_is_visible_from_its_last_updated_on(path: Path) -> None:
    replay, updated = Replay.of(path), at("2026-03-02T09:30:00Z")
    before, after = row_of(replay, SLIPPING, updated - SECOND), row_of(replay, SLIPPING, updated)
    assert before is not None
    assert after is not None
    assert (before["net"], before["last_updated"]) == ("2026-03-05T23:00:00Z", "2026-02-27T08:00:00Z")
    assert (after["net"], after["last_updated"]) == ("2026-03-06T01:00:00Z", "2026-03-02T09:30:00Z")


def test_a_launch_is_there_from_its_last_updated_on_but_not_before_the_start(path: Path) -> None:
    replay = Replay.of(path)
    assert replay.rows(BASE, START - SECOND) == []
    assert replay.truth(START).keys() == {SLIPPING, OLD}
    assert row_of(replay, NEW, at("2026-03-01T17:59:59Z")) is None
    assert row_of(replay, NEW, at("2026-03-01T18:00:00Z")) is not None


def test_a_launch_stays_as_it_was_last_observed(path: Path) -> None:
    replay = Replay.of(path)
    assert replay.end == at("2026-03-06T12:00:00Z")
    assert replay.rows(BASE, replay.end) == replay.rows(BASE, replay.end + timedelta(days=999))
    assert replay.truth(replay.end) == {
        SLIPPING: (date(2026, 3, 6), "/media/images/b.jpg"),
        NEW: (date(2026, 3, 9), None),
        OLD: (date(2026, 3, 7), "/media/images/a.png"),
    }


def test_the_moments_are_those_at_which_something_changes(path: Path) -> None:
    replay = Replay.of(path)
    assert replay.moments == [
        START,
        at("2026-03-01T18:00:00Z"),
        at("2026-03-02T09:30:00Z"),
        at("2026-03-02T20:00:00Z"),
        REPLACED,
        at("2026-03-06T02:00:00Z"),
    ]
    for moment in replay.moments:
        assert replay.rows(BASE, moment - SECOND) != replay.rows(BASE, moment)
        assert replay.rows(BASE, moment) is replay.rows(BASE, moment + SECOND)


@pytest.mark.parametrize(("repair", "told"), [(False, "2026-03-02T09:30:00Z"), (True, "2026-03-03T12:00:00Z")])
def test_a_change_that_last_updated_does_not_tell_of_is_hidden_unless_repaired(
    path: Path, repair: bool, told: str
) -> None:
    replay = Replay.of(path, repair=repair)
    assert replay.hidden == [(SLIPPING, REPLACED)]
    assert replay.truth(REPLACED - SECOND)[SLIPPING] == (date(2026, 3, 6), "/media/images/a.png")
    assert replay.truth(REPLACED)[SLIPPING] == (date(2026, 3, 6), "/media/images/b.jpg")
    assert (row_of(replay, SLIPPING, REPLACED) or {})["last_updated"] == told


@pytest.mark.parametrize("repair", [False, True])
def test_a_client_that_polls_by_last_updated_misses_the_hidden_change_and_no_other(path: Path, repair: bool) -> None:
    replay = Replay.of(path, repair=repair)
    for now, known in polled(replay, stride=1):
        missed = {launch_id for launch_id, truth in replay.truth(now).items() if known[launch_id] != truth}
        next_told = at("2026-03-06T02:00:00Z")
        assert missed == ({SLIPPING} if REPLACED <= now < next_told and not repair else set())


@pytest.mark.parametrize("version", ["2.3.0", "2.2.0"])
def test_a_row_is_one_of_its_version(path: Path, version: str) -> None:
    row = row_of(Replay.of(path, version=version), SLIPPING, REPLACED)
    assert row is not None
    newest = version == "2.3.0"
    assert row["url"] == f"{BASE}/{version}/{'launches' if newest else 'launch'}/{SLIPPING}/"
    assert (row["image"]["image_url"] if newest else row["image"]) == f"{BASE}/media/images/b.jpg"
    assert (row["slug"], row["net_precision"]["id"]) == ("rocket-1-payload", 1)
    assert row["status"] == {"id": 1, "name": "Go for Launch", "abbrev": "Go", "description": ""}
    assert all(shorten(row, mode) == row for mode in MODES)
    launch = parse(row, "replay")
    assert (launch.day, launch.status, launch.rocket) == (date(2026, 3, 6), "Go", "Rocket 1")


@pytest.mark.parametrize("version", ["2.3.0", "2.2.0"])
def test_the_projects_client_reads_the_truth_of_every_moment(path: Path, version: str) -> None:
    replay = Replay.of(path, version=version)
    assert read(replay, replay.moments) == [replay.truth(moment) for moment in replay.moments]


def test_each_recorded_file_has_a_picture_of_its_own_and_no_other_has_one(path: Path) -> None:
    replay = Replay.of(path)
    one, other = replay.picture("a.png"), replay.picture("b.jpg")
    assert one is not None
    assert other is not None
    assert one != other
    assert [Image.open(BytesIO(body)).format for body in (one, other)] == ["PNG", "JPEG"]
    assert Replay.of(path).picture("a.png") is one
    assert replay.picture("c.png") is None


def test_the_clock_moves_when_told_to() -> None:
    clock = Clock(START)
    assert clock() == START
    clock.advance(SECOND)
    assert clock() == START + SECOND
    clock.set(REPLACED)
    assert clock() == REPLACED


@needed
@pytest.mark.parametrize(
    ("name", "launches", "hidden"), [(MONTHS_OF_2025, 175, 2), (MONTHS_OF_2026, 333, 14)], ids=["2025", "2026"]
)
def test_a_recording_comes_whole(name: str, launches: int, hidden: int) -> None:
    replay = Replay.of(FOLDER / name)
    assert len(replay.rows(BASE, replay.end)) == launches
    assert len(replay.hidden) == hidden
    assert replay.start == replay.moments[0] < replay.moments[-1] <= replay.end


@needed
@pytest.mark.parametrize(("name", "late"), [(MONTHS_OF_2025, 0), (MONTHS_OF_2026, 1)], ids=["2025", "2026"])
def test_what_was_observed_is_what_the_replay_shows_then_but_for_an_answer_some_seconds_old(
    name: str, late: int
) -> None:
    path = FOLDER / name
    replay, content = Replay.of(path), path.read_bytes()
    recording = json.loads(gzip.decompress(content) if path.suffix == ".gz" else content)
    for launch_id, observations in recording["launches"].items():
        for seen, *facts in observations:
            row = row_of(replay, launch_id, at(seen))
            assert row is not None
            if not _shows(row, facts):
                late -= 1
                assert at(seen) - 5 * SECOND < at(row["last_updated"]) <= at(seen)
    assert late == 0


def _shows(row: Row, facts: list[Any]) -> bool:
    net, _, _, precision, status, image, updated, name = facts
    return (
        (row["net"], row["last_updated"], row["name"]) == (net, updated, name)
        and precision in (row["net_precision"]["id"], row["net_precision"]["abbrev"])
        and status in (row["status"]["id"], row["status"]["abbrev"])
        and (row["image"] or {"image_url": ""})["image_url"].rpartition("/")[2] == (image or "").rpartition("/")[2]
    )


@needed
@both_recordings
def test_each_recorded_launch_is_on_one_day_at_every_moment(name: str) -> None:
    replay, there = Replay.of(FOLDER / name), set[str]()
    for moment in replay.moments:
        days = [(row["id"], row["net"][:10]) for row in replay.rows(BASE, moment)]
        assert len({launch_id for launch_id, _ in days}) == len(days)
        assert {launch_id: day.isoformat() for launch_id, (day, _) in replay.truth(moment).items()} == dict(days)
        assert there <= dict(days).keys()
        there = set(dict(days))


@needed
@both_recordings
def test_last_updated_never_decreases_and_tells_of_every_change_when_repaired(name: str) -> None:
    replay, before = Replay.of(FOLDER / name, repair=True), dict[str, Row]()
    for moment in replay.moments:
        rows = {row["id"]: row for row in replay.rows(BASE, moment)}
        for launch_id, row in rows.items():
            if launch_id in before and row != before[launch_id]:
                assert before[launch_id]["last_updated"] < row["last_updated"] == f"{moment:%Y-%m-%dT%H:%M:%SZ}"
        before = rows


@needed
@both_recordings
@pytest.mark.parametrize("stride", [1, 7])
def test_polling_by_last_updated_tells_the_recorded_truth_but_for_hidden_changes(name: str, stride: int) -> None:
    repaired, plain = (Replay.of(FOLDER / name, repair=repair) for repair in (True, False))
    assert all(known == repaired.truth(now) for now, known in polled(repaired, stride))
    hidden = {launch_id for launch_id, _ in plain.hidden}
    missed = {
        launch_id
        for now, known in polled(plain, stride)
        for launch_id, truth in plain.truth(now).items()
        if known[launch_id] != truth
    }
    assert missed <= hidden


@needed
@both_recordings
@pytest.mark.parametrize("version", ["2.3.0", "2.2.0"])
def test_the_projects_client_reads_the_recorded_truth(name: str, version: str) -> None:
    replay = Replay.of(FOLDER / name, version=version)
    moments = [replay.start, *replay.moments[100::300], replay.end]
    assert read(replay, moments) == [replay.truth(moment) for moment in moments]
