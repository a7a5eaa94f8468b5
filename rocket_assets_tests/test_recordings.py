"""Answers of the real API, served again: they come back day by day, whole.

They belong to others and are not part of the project. ROCKET_ASSETS_RECORDINGS names the folder that holds them.
"""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from rocket_assets.launch_library import LaunchDay, LaunchLibrary
from rocket_assets.launches import data_version
from rocket_assets.sample_library.server import LibraryServer
from rocket_assets_tests.recordings import FOLDER, needed
from rocket_assets_tests.scripted_server import JSON, Answer, ScriptedServer

Row = dict[str, Any]

DAY = timedelta(days=1)

pytestmark = needed


def read(name: str) -> Any:
    """What a recorded file holds."""
    return json.loads((FOLDER / name).read_bytes())


def rows_of(name: str) -> list[Row]:
    """The launches of a recorded answer, with or without its envelope."""
    content = read(name)
    return content if isinstance(content, list) else content.get("results", [content])


def day_of(row: Row) -> date:
    """The UTC day of a row, worked out without the project's help."""
    return datetime.strptime(row["net"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).date()


def by_day(rows: list[Row], start: date, end: date) -> dict[date, list[Row]]:
    """For each day of [start, end) its rows, by net and id."""
    days: dict[date, list[Row]] = {start + number * DAY: [] for number in range((end - start).days)}
    for row in sorted(rows, key=lambda row: (row["net"], row["id"])):
        if start <= day_of(row) < end:
            days[day_of(row)].append(row)
    return days


def brought(url: str, start: date, end: date, mode: str = "normal") -> list[LaunchDay]:
    with LaunchLibrary(url, mode=mode, retries=0) as library:
        return list(library.days(start, end))


def as_rows(days: list[LaunchDay]) -> dict[date, list[Any]]:
    return {day.day: [launch.row for launch in day.launches] for day in days}


@pytest.mark.parametrize(
    ("version", "mode", "name"),
    [
        ("2.3.0", "list", "2.3.0/launches_list_2025-03-15.json"),
        ("2.3.0", "list", "2.3.0/launches_list_2025-03-16.json"),
        ("2.3.0", "normal", "2.3.0/launches_normal_2024-09-30.rows.json"),
        ("2.2.0", "normal", "2.2.0/launches_normal_1957.json"),
        ("2.2.0", "normal", "2.2.0/upcoming_normal_2025-11-01.json"),
        ("2.2.0", "detailed", "2.2.0/launch_detailed_2025-05-26.json"),
        ("2.0.0", "normal", "2.0.0/upcoming_2020-12.json"),
    ],
    ids=lambda value: value if "/" in value else None,
)
def test_recorded_launches_come_back_on_their_days_with_every_field(version: str, mode: str, name: str) -> None:
    rows = rows_of(name)
    first, last = min(map(day_of, rows)), max(map(day_of, rows))
    # From the second day to the last but one, so that there is something to leave out on both sides.
    windows = [(first - 2 * DAY, last + 2 * DAY), (first + DAY, last), (first, first + DAY)]
    with LibraryServer(rows=lambda _: rows, version=version) as server:
        for start, end in windows:
            assert as_rows(brought(server.url, start, end, mode)) == by_day(rows, start, end)


@pytest.mark.parametrize(
    ("name", "with_picture"),
    [
        ("2.3.0/launches_list_2025-03-15.json", 10),
        ("2.3.0/launches_normal_2024-09-30.rows.json", 10),
        ("2.2.0/launches_normal_1957.json", 10),
        ("2.2.0/upcoming_normal_2025-11-01.json", 5),
        ("2.0.0/upcoming_2020-12.json", 10),
    ],
)
def test_each_recorded_launch_tells_its_status_rocket_and_picture(name: str, with_picture: int) -> None:
    rows = rows_of(name)
    with LibraryServer(rows=lambda _: rows, version=name[:5]) as server, LaunchLibrary(server.url) as library:
        launches = list(library.launches(min(map(day_of, rows)), max(map(day_of, rows)) + DAY))
    assert [launch for launch in launches if not (launch.status and launch.rocket and launch.name)] == []
    images = [launch.image for launch in launches if launch.image]
    assert len(images) == with_picture
    assert all(image.url.startswith("https://") for image in images)


def test_two_recordings_of_the_same_launches_a_day_apart_have_different_versions() -> None:
    versions: list[dict[str, str]] = []
    for name in ("2.3.0/launches_list_2025-03-15.json", "2.3.0/launches_list_2025-03-16.json"):
        rows = rows_of(name)
        with LibraryServer(rows=lambda _, rows=rows: rows) as server, LaunchLibrary(server.url) as library:
            launches = list(library.launches(date(2025, 3, 1), date(2025, 4, 1)))
            versions.append({launch.id: data_version([launch]) for launch in launches})
    rows, later = (rows_of(f"2.3.0/launches_list_2025-03-{day}.json") for day in (15, 16))
    same = {row["id"] for row in rows if row in later}
    assert 0 < len(same) < len(rows)
    assert {launch for launch in versions[0] if versions[0][launch] == versions[1][launch]} == same


PER_DAY = "2.0.0/per-day"


@pytest.fixture
def raw_days() -> Iterator[ScriptedServer]:
    """Gives each recorded answer, byte for byte, to the question that it was an answer to."""
    bodies = {path.stem: path.read_bytes() for path in (FOLDER / PER_DAY).glob("*.json")}

    def script(request: Any) -> Answer:
        for day, body in bodies.items():
            if f"net__gte={day}&net__lt={date.fromisoformat(day) + DAY}" in request.path:
                return Answer(200, body, JSON)
        return Answer(404)

    with ScriptedServer(script) as server:
        yield server


@pytest.mark.parametrize(
    ("day", "launches"),
    [("2026-02-28", 1), ("2026-03-01", 1), ("2026-03-02", 1), ("2026-03-03", 0), ("2026-03-04", 1), ("2026-03-05", 2)],
)
def test_the_raw_answer_to_a_day_gives_that_days_launches(raw_days: ScriptedServer, day: str, launches: int) -> None:
    asked = date.fromisoformat(day)
    days = brought(raw_days.url("/2.0.0/"), asked, asked + DAY)
    assert as_rows(days) == {asked: rows_of(f"{PER_DAY}/{day}.json")}
    assert len(days[0].launches) == launches
    assert len(raw_days.requests) == 1


def test_the_recorded_days_asked_for_as_one_range_are_cut_as_the_api_cut_them() -> None:
    answers = {
        date.fromisoformat(path.stem): rows_of(f"{PER_DAY}/{path.name}") for path in (FOLDER / PER_DAY).iterdir()
    }
    rows = [row for day in answers.values() for row in day]
    with LibraryServer(rows=lambda _: rows, version="2.0.0") as server:
        days = brought(server.url, min(answers), max(answers) + DAY)
        assert len(server.api_requests) == 1
    assert as_rows(days) == dict(sorted(answers.items()))
    assert as_rows(days)[date(2026, 3, 3)] == []
    assert [row["net"] for row in as_rows(days)[date(2026, 2, 28)]] == ["2026-02-28T00:00:00Z"]


def test_the_whole_history_comes_back_year_by_year_at_a_request_for_each_hundred_launches() -> None:
    with gzip.open(FOLDER / "history/launches_2.3.0.jsonl.gz", "rt", encoding="utf-8") as lines:
        trimmed = [json.loads(line) for line in lines]
    rows: list[Row] = [{name: row[name] for name in ("id", "name", "net")} for row in trimmed]
    assert len(rows) == 7708
    years: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        years[day_of(row).year].append(row)
    came = 0
    with LibraryServer(rows=lambda _: rows) as server, LaunchLibrary(server.url, mode="list", retries=0) as library:
        for year in range(min(years), max(years) + 1):
            start, end = date(year, 1, 1), date(year + 1, 1, 1)
            asked = len(server.api_requests)
            days = list(library.days(start, end))
            assert as_rows(days) == by_day(years[year], start, end)
            assert len(server.api_requests) - asked == max(1, -(-len(years[year]) // 100)), year
            came += sum(len(day.launches) for day in days)
    assert came == 7708
