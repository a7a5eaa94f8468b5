"""The story of the sample library: what is told at each moment of it, and how that agrees with the catalogue."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from rocket_assets.sample_library import catalogue, vocabulary
from rocket_assets.sample_library.server import LibraryServer
from rocket_assets.sample_library.story import BEGIN, END, SPEED, TRAVELLER, StoryClock, as_of, chapters

Row = dict[str, Any]

ROWS = catalogue.launches("http://127.0.0.1:8123")
ORIGINAL = {row["id"]: row for row in ROWS}
(TRUE,) = (row for row in ROWS if row["name"] == TRAVELLER)
SECOND, POLL = timedelta(seconds=1), timedelta(seconds=15)
TURNS = sorted({chapter.since for row in ROWS for chapter in chapters(row) if BEGIN <= chapter.since <= END})
HOURS = [BEGIN + timedelta(hours=number) for number in range((END - BEGIN) // timedelta(hours=1) + 1)]
MOMENTS = sorted({*HOURS, *TURNS, *(turn - SECOND for turn in TURNS)})
"""Every hour of the story, and every second at which something changes with the one before it."""


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def told(now: datetime) -> dict[str, Row]:
    return {row["id"]: row for row in as_of(ROWS, now)}


def traveller(now: datetime) -> Row:
    return told(now)[TRUE["id"]]


def without_update(row: Row) -> Row:
    return {key: value for key, value in row.items() if key != "last_updated"}


# The launch with a story


def test_nobody_has_heard_of_the_traveller_at_the_beginning() -> None:
    assert TRUE["id"] not in told(BEGIN)
    assert TRUE["id"] not in told(at("2024-12-08T11:59:59"))


@pytest.mark.parametrize(
    ("now", "net", "precision", "status", "is_pictured"),
    [
        ("2024-12-08T12:00:00", "2024-12-10T00:00:00Z", "DAY", "TBC", False),
        ("2024-12-09T12:00:00", "2024-12-11T07:17:00Z", "MIN", "TBC", False),
        ("2024-12-10T12:00:00", "2024-12-12T07:17:00Z", "MIN", "Go", False),
        ("2024-12-12T07:17:00", "2024-12-12T07:17:00Z", "MIN", "In Flight", False),
        ("2024-12-12T19:17:00", "2024-12-12T07:17:00Z", "MIN", "Success", False),
        ("2024-12-13T07:17:00", "2024-12-12T07:17:00Z", "MIN", "Success", True),
    ],
    ids=["announced", "slipped", "slipped again", "in flight", "outcome", "picture"],
)
def test_the_traveller_goes_from_step_to_step(
    now: str, net: str, precision: str, status: str, is_pictured: bool
) -> None:
    row = traveller(at(now))
    assert row["last_updated"] == f"{now}Z"
    assert row["net"] == row["window_start"] == row["window_end"] == net
    assert (row["net_precision"]["abbrev"], row["status"]["abbrev"]) == (precision, status)
    assert row["image"] == (TRUE["image"] if is_pictured else None)
    assert row["launch_designator"] == (TRUE["launch_designator"] if status == "Success" else None)
    assert told(at(now) - SECOND).get(TRUE["id"]) != row


def test_it_has_exactly_these_six_steps() -> None:
    seen = [json.dumps(told(now).get(TRUE["id"])) for now in MOMENTS]
    assert len([step for step, _ in itertools.groupby(seen)]) == 1 + 6


def test_it_slips_before_its_time_has_come_and_never_to_an_earlier_one() -> None:
    steps = chapters(TRUE)
    planned = [datetime.fromisoformat(step.differs.get("net", TRUE["net"])) for step in steps]
    assert planned == sorted(planned)
    assert all(step.since < net for step, net in zip(steps[1:3], planned[:2], strict=True))


def test_a_person_sees_it_all_within_five_minutes_and_a_look_every_15_seconds_misses_no_step() -> None:
    since = [chapter.since for chapter in chapters(TRUE)]
    assert min(after - before for before, after in itertools.pairwise(since)) > POLL * SPEED
    assert timedelta(minutes=5) * SPEED == END - BEGIN
    for start in range(15):
        looks = [BEGIN + timedelta(seconds=start + 15 * number) * SPEED for number in range(20)]
        assert len({json.dumps(told(look).get(TRUE["id"])) for look in looks}) == 1 + 6


# All launches


def test_a_launch_is_told_of_once_at_a_time() -> None:
    for now in MOMENTS:
        rows = as_of(ROWS, now)
        assert len({row["id"] for row in rows}) == len(rows)


@pytest.mark.parametrize("now", [*TURNS, END], ids=str)
def test_every_row_is_a_launch_of_the_catalogue_as_the_api_would_give_it(now: datetime) -> None:
    for row in as_of(ROWS, now):
        assert set(row) == set(ORIGINAL[row["id"]])
        assert row["window_start"] <= row["net"] <= row["window_end"]
        assert row["status"] == vocabulary.status(row["status"]["abbrev"])
        assert datetime.fromisoformat(row["last_updated"]) <= now


@pytest.mark.parametrize("now", sorted({*HOURS[::12], *TURNS}), ids=str)
def test_a_launch_is_over_only_after_its_time_and_has_no_outcome_before(now: datetime) -> None:
    for row in as_of(ROWS, now):
        net, status = datetime.fromisoformat(row["net"]), row["status"]["abbrev"]
        assert (net > now) == (status in {"Go", "TBC"})
        assert status in {"Go", "TBC", "In Flight"} or row["status"] == ORIGINAL[row["id"]]["status"]
        assert row["failreason"] == ""
        if status in {"Go", "TBC", "In Flight"}:
            assert row["launch_designator"] is None
            assert now < net + timedelta(hours=12)


def test_last_updated_moves_whenever_a_row_changes_and_only_then_and_only_onwards() -> None:
    for before, after in itertools.pairwise(told(now) for now in MOMENTS):
        assert set(before) <= set(after), "a launch that was told of is not forgotten"
        for launch, row in before.items():
            is_changed = without_update(row) != without_update(after[launch])
            assert is_changed == (row["last_updated"] < after[launch]["last_updated"])
            assert is_changed or row == after[launch]


def test_nothing_changes_between_two_turns() -> None:
    for before, after in itertools.pairwise([BEGIN, *TURNS, END]):
        assert as_of(ROWS, before) == as_of(ROWS, max(before, after - SECOND))


def test_what_lies_far_ahead_is_not_told_yet() -> None:
    assert max(row["net"] for row in as_of(ROWS, BEGIN)) == "2024-12-14T01:00:00Z"
    assert max(row["net"] for row in as_of(ROWS, END)) == "2024-12-14T01:00:00Z"
    assert any(row["net"].startswith("2025-01-16") for row in as_of(ROWS, at("2025-01-03")))


def test_what_was_over_when_the_story_begins_is_as_the_catalogue_says() -> None:
    over = [row for row in as_of(ROWS, BEGIN) if row["net"] < "2024-12-07"]
    assert over == [row for row in ROWS if row["net"] < "2024-12-07"]


def test_the_end_is_the_catalogue_but_for_when_the_traveller_was_updated() -> None:
    flown = [row for row in ROWS if row["net"] < "2024-12-15"]
    came = chapters(TRUE)[-1].since
    assert as_of(ROWS, END) == [
        row | {"last_updated": f"{came:%Y-%m-%dT%H:%M:%SZ}"} if row is TRUE else row for row in flown
    ]


def test_long_after_the_story_every_launch_is_as_the_catalogue_says() -> None:
    assert [without_update(row) for row in as_of(ROWS, at("2026-06-01"))] == [without_update(row) for row in ROWS]


def test_telling_the_story_leaves_the_catalogue_as_it_was() -> None:
    rows = catalogue.launches("http://127.0.0.1:8123")
    as_of(rows, BEGIN)
    assert rows == ROWS


# The clock


def test_the_clock_begins_with_the_story_and_goes_as_much_faster_as_it_is_told() -> None:
    seconds = iter([1000.0, 1000.0, 1040.0, 1300.0])
    clock = StoryClock(seconds=lambda: next(seconds))
    assert [clock(), clock(), clock()] == [BEGIN, at("2024-12-08"), END]


def test_a_clock_without_haste_keeps_the_time_of_life() -> None:
    seconds = iter([7.5, 10.5])
    assert StoryClock(speed=1, seconds=lambda: next(seconds))() == BEGIN + 3 * SECOND


def test_a_client_sees_the_story_move_by_asking_for_what_changed() -> None:
    life = [0.0]
    clock = StoryClock(seconds=lambda: life[0])
    with LibraryServer(clock=clock, as_of=as_of) as library, requests.Session() as session:
        seen, cursor = [], "2024-12-07T00:00:00Z"
        for life[0] in range(0, 301, 15):
            query = f"ordering=-last_updated,id&last_updated__gte={cursor}&mode=list&limit=100"
            rows = session.get(f"{library.url}launches/?{query}", timeout=10).json()["results"]
            news = [row for row in reversed(rows) if row["last_updated"] > cursor]
            cursor = max([cursor, *(row["last_updated"] for row in news)])
            seen += [(row["net"][:10], row["status"]["abbrev"]) for row in news if row["name"] == TRAVELLER]
    assert seen == [
        ("2024-12-10", "TBC"),
        ("2024-12-11", "TBC"),
        ("2024-12-12", "Go"),
        ("2024-12-12", "In Flight"),
        ("2024-12-12", "Success"),
        ("2024-12-12", "Success"),
    ]
