"""The client of the Launch Library, against a faithful library and against servers that misbehave."""

from __future__ import annotations

import json
import socket
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rocket_assets.errors import RateLimited, Refused, RocketAssetsError, Unavailable, UnexpectedAnswer, WrongSetting
from rocket_assets.launch_library import DAY, Allowance, LaunchDay, LaunchLibrary, Updates
from rocket_assets.launches import Launch
from rocket_assets.network import Timeout
from rocket_assets.sample_library.paging import page
from rocket_assets.sample_library.query import order, select
from rocket_assets.sample_library.server import LibraryServer
from rocket_assets_tests.scripted_server import JSON, Answer, Request, ScriptedServer

Row = dict[str, Any]

VERSIONS = ("2.0.0", "2.2.0", "2.3.0")
FIRST = date(2026, 3, 1)
SECRET = "sesame-4711"


def row(number: int, net: str, version: str = "2.3.0") -> Row:
    """A launch in the words of a version; its nested parts are there to be kept."""
    address = f"https://media.example/{number}.png"
    plain: Row = {
        "id": str(uuid.UUID(int=number)),
        "name": f"Rocket {number} | Péole ☄",
        "slug": f"rocket-{number}",
        "net": net,
        "window_start": net,
        "window_end": net,
        "status": {"id": 3, "name": "Success"},
        "pad": {"id": 7, "name": "Pad", "total_launch_count": number, "latitude": "28.5"},
        "mission": None,
        "program": [],
        "image": address,
    }
    if version == "2.0.0":
        return plain | {"tbdtime": False, "tbddate": True, "inhold": False}
    newer = plain | {"last_updated": "2026-01-01T00:00:00Z", "net_precision": {"id": 0, "name": "Second"}}
    if version == "2.2.0":
        return newer | {"type": "normal"}
    picture = {"id": 1, "image_url": address, "credit": None, "license": {"id": 1, "name": "Unknown", "link": None}}
    return newer | {"image": picture, "infographic": None, "probability": 0.25}


def at_noon(number: int, day: date, version: str = "2.3.0") -> Row:
    return row(number, f"{day}T12:00:00Z", version)


def serving(rows: list[Row], version: str = "2.3.0", **more: Any) -> LibraryServer:
    return LibraryServer(rows=lambda _: rows, version=version, **more)


def asking(url: str, **more: Any) -> LaunchLibrary:
    """A client that loses no time between tries."""
    return LaunchLibrary(url, **{"backoff": 0, **more})


def brought(url: str, start: date, end: date, **more: Any) -> list[LaunchDay]:
    with asking(url, **more) as library:
        return list(library.days(start, end))


def fails(url: str, start: date = FIRST, end: date = FIRST + DAY, **more: Any) -> RocketAssetsError:
    """The error that a question ends with; no day is given before it."""
    with asking(url, **more) as library, pytest.raises(RocketAssetsError) as caught:
        next(library.days(start, end))
    assert SECRET not in str(caught.value)
    return caught.value


def rows_by_day(days: list[LaunchDay]) -> dict[date, list[Any]]:
    return {day.day: [launch.row for launch in day.launches] for day in days}


def query_of(path: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(path).query))


def answer(content: Any, status: int = 200, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, json.dumps(content).encode(), JSON, named)


def envelope(rows: list[Any], **more: Any) -> Row:
    return {"count": len(rows), "next": None, "previous": None, "results": rows, **more}


class Listing:
    """Answers as the API does, from rows that may change between two answers, a few to a page.

    Args:
        rows: what the list holds; may be changed at any time.
        size: the most rows on a page.
        then: called after each answer with its number, from 1 on.
        reorder: what the server does to the rows that a query selects, given whether the order asked for has a tie.
    """

    def __init__(
        self,
        rows: list[Row],
        size: int = 3,
        then: Callable[[int], object] = lambda number: None,
        reorder: Callable[[list[Row], dict[str, str]], list[Row]] = lambda rows, query: rows,
    ) -> None:
        self.rows, self.size, self.then, self.reorder = rows, size, then, reorder
        self.answers = 0

    def __call__(self, request: Request) -> Answer:
        query = query_of(request.path)
        selected = order(select(self.rows, query), query["ordering"])
        here = f"http://{request.headers['host']}{urlsplit(request.path).path}"
        content = page(self.reorder(selected, query), query | {"limit": str(self.size)}, here)
        self.answers += 1
        self.then(self.answers)
        # Each on a connection of its own: kept open, the two halves of an answer would wait for each other.
        return answer(content, Connection="close")


# Which launches come


@pytest.mark.parametrize("version", VERSIONS)
def test_a_window_gives_exactly_the_launches_of_its_utc_days_with_every_field(version: str) -> None:
    inside = [
        row(1, "2026-03-01T00:00:00Z", version),
        row(2, "2026-03-01T23:59:59Z", version),
        row(3, "2026-03-03T00:00:00Z", version),
    ]
    outside = [row(8, "2026-02-28T23:59:59Z", version), row(9, "2026-03-05T00:00:00Z", version)]
    with serving([*reversed(outside + inside)], version) as server:
        days = brought(server.url, FIRST, date(2026, 3, 5))
        assert [urlsplit(request.path).path for request in server.api_requests] == [
            f"/{version}/launches/" if version == "2.3.0" else f"/{version}/launch/"
        ]
    assert rows_by_day(days) == {
        date(2026, 3, 1): inside[:2],
        date(2026, 3, 2): [],
        date(2026, 3, 3): inside[2:],
        date(2026, 3, 4): [],
    }


def test_days_come_in_order_and_an_empty_one_has_no_launches() -> None:
    with serving([at_noon(1, FIRST + 2 * DAY)]) as server:
        days = brought(server.url, FIRST, FIRST + 5 * DAY)
    assert [day.day for day in days] == [FIRST + number * DAY for number in range(5)]
    assert [len(day.launches) for day in days] == [0, 0, 1, 0, 0]


def test_a_window_without_any_launch_is_made_of_empty_days_and_costs_one_request() -> None:
    with serving([]) as server:
        days = brought(server.url, FIRST, FIRST + 3 * DAY)
    assert [(day.launches, day.requests) for day in days] == [([], 1), ([], 0), ([], 0)]


def test_launches_of_one_day_stand_by_net_and_then_by_id() -> None:
    rows = [row(number, f"2026-03-01T{hour:02}:00:00Z") for number, hour in [(4, 9), (2, 9), (3, 1)]]
    with serving(rows) as server:
        (day,) = brought(server.url, FIRST, FIRST + DAY)
    assert [launch.id[-1] for launch in day.launches] == ["3", "2", "4"]


def test_the_source_of_a_day_is_an_address_that_gives_this_day_alone() -> None:
    rows = [at_noon(number, FIRST + number * DAY) for number in range(4)]
    with serving(rows) as server:
        days = brought(server.url, FIRST, FIRST + 4 * DAY)
        with asking(server.url) as library:
            alone = library._session.get(days[2].source, timeout=5).json()
    assert alone["results"] == [rows[2]]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_year_end_with_120_launches_at_one_instant_is_whole(version: str) -> None:
    rows = [row(number, "2026-12-31T00:00:00Z", version) for number in range(120)]
    with serving(rows, version) as server:
        days = brought(server.url, date(2026, 12, 30), date(2027, 1, 1))
    assert rows_by_day(days) == {date(2026, 12, 30): [], date(2026, 12, 31): rows}
    assert sum(day.requests for day in days) == 2


@pytest.fixture(scope="module")
def listing() -> Iterator[tuple[Listing, str]]:
    """A list that each example of a property fills anew, and its address."""
    answers = Listing([])
    with ScriptedServer(answers) as server:
        yield answers, server.url("/2.3.0/")


HOURS = st.integers(min_value=-24, max_value=24 * 6)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    hours=st.lists(st.one_of(HOURS, st.sampled_from([0, 24, 48])), max_size=30),
    seconds=st.sampled_from([0, 1, 3599]),
    first=st.integers(min_value=0, max_value=5),
    length=st.integers(min_value=1, max_value=5),
    size=st.integers(min_value=1, max_value=9),
)
def test_whatever_the_window_and_the_pages_each_launch_comes_once_on_its_day(
    listing: tuple[Listing, str], hours: list[int], seconds: int, first: int, length: int, size: int
) -> None:
    listed, url = listing
    begin = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC)
    moments = [begin + timedelta(hours=hour, seconds=seconds) for hour in hours]
    listed.rows = [row(number, f"{moment:%Y-%m-%dT%H:%M:%SZ}") for number, moment in enumerate(moments)]
    listed.size, listed.answers = size, 0
    start = FIRST + first * DAY
    window = [start + number * DAY for number in range(length)]
    with asking(url) as library:
        days = list(library.days(start, start + length * DAY))
        assert library.requests == listed.answers
    expected = {day: [at for at, net in enumerate(moments) if net.date() == day] for day in window}
    assert [day.day for day in days] == window
    assert {day.day: sorted(int(launch.id[-2:], 16) for launch in day.launches) for day in days} == expected
    assert sum(day.requests for day in days) == listed.answers == max(1, -(-sum(map(len, expected.values())) // size))


# What it costs, and what is asked


def test_a_year_of_730_launches_costs_8_requests() -> None:
    first = date(2025, 1, 1)
    rows = [at_noon(number, first + (number % 365) * DAY) for number in range(730)]
    with serving(rows) as server:
        days = brought(server.url, first, first + 365 * DAY)
        assert len(server.api_requests) == 8
    assert len(days) == 365
    assert {len(day.launches) for day in days} == {2}
    assert sum(day.requests for day in days) == 8


def test_a_question_asks_for_a_hundred_in_order_of_net_between_plain_dates() -> None:
    with serving([at_noon(number, FIRST) for number in range(101)]) as server:
        brought(server.url, FIRST, FIRST + DAY, mode="list")
        asked = [query_of(request.path) for request in server.api_requests]
    both = {"mode": "list", "net__gte": "2026-03-01", "net__lt": "2026-03-02", "ordering": "net", "limit": "100"}
    assert asked == [both | {"offset": "0"}, both | {"offset": "100"}]


@pytest.mark.parametrize("mode", ["list", "normal", "detailed"])
def test_the_mode_is_passed_on(sample_library: LibraryServer, mode: str) -> None:
    days = brought(sample_library.url, date(2024, 12, 4), date(2024, 12, 6), mode=mode)
    launches = [launch for day in days for launch in day.launches]
    assert launches
    assert {launch.row["response_mode"] for launch in launches} == {mode}


def test_days_are_given_before_later_pages_are_asked_for() -> None:
    rows = [at_noon(number, FIRST + number * DAY) for number in range(6)]
    with ScriptedServer(Listing(rows, size=3)) as server, asking(server.url("/2.3.0/")) as library:
        days = library.days(FIRST, FIRST + 6 * DAY)
        assert [next(days).day, next(days).day] == [FIRST, FIRST + DAY]
        assert len(server.requests) == 1


# Lists that change while they are read


def test_a_row_removed_between_pages_loses_no_other() -> None:
    rows = [at_noon(number, FIRST + number // 2 * DAY) for number in range(12)]
    listed = Listing(list(rows), then=lambda number: listed.rows.pop(0) if number == 1 else None)
    with ScriptedServer(listed) as server:
        days = brought(server.url("/2.3.0/"), FIRST, FIRST + 6 * DAY)
    assert rows_by_day(days) == {FIRST + number * DAY: rows[2 * number : 2 * number + 2] for number in range(6)}


def test_a_row_inserted_between_pages_is_not_lost_and_no_other_comes_twice() -> None:
    rows = [at_noon(number, FIRST + number // 2 * DAY) for number in range(12)]
    late = row(99, "2026-03-02T00:00:01Z")
    listed = Listing(list(rows), then=lambda number: listed.rows.append(late) if number == 1 else None)
    with ScriptedServer(listed) as server:
        days = brought(server.url("/2.3.0/"), FIRST, FIRST + 6 * DAY)
    came = [launch.row for day in days for launch in day.launches]
    assert came == [*rows[:2], late, *rows[2:]]


def test_a_launch_that_slips_to_the_next_page_takes_no_other_with_it() -> None:
    rows = [at_noon(number, FIRST + number // 2 * DAY) for number in range(12)]

    def slip(number: int) -> None:
        if number == 1:
            listed.rows[0] = at_noon(0, FIRST + 2 * DAY)

    listed = Listing(list(rows), then=slip)
    with ScriptedServer(listed) as server:
        days = brought(server.url("/2.3.0/"), FIRST, FIRST + 6 * DAY)
    assert Counter(launch.id for day in days for launch in day.launches) == Counter(one["id"] for one in rows)


def test_a_list_that_never_stands_still_is_an_error_and_not_a_loss() -> None:
    rows = [at_noon(number, FIRST + number // 4 * DAY) for number in range(60)]

    def shrink(number: int) -> None:
        listed.rows.pop(0)

    listed = Listing(list(rows), then=shrink)
    with ScriptedServer(listed) as server, pytest.raises(UnexpectedAnswer) as caught:
        brought(server.url("/2.3.0/"), FIRST, FIRST + 15 * DAY)
    assert caught.value.retryable
    assert "changed while it was read" in str(caught.value)


def test_ties_that_each_page_breaks_in_its_own_way_are_read_with_a_second_key() -> None:
    # As a database may: without a second key, rows of one instant stand in another order for each limit and offset.
    rows = [row(number, "2026-12-31T00:00:00Z") for number in range(12)]

    def unstable(selected: list[Row], query: dict[str, str]) -> list[Row]:
        turn = 0 if "id" in query["ordering"].split(",") else 2 * int(query["offset"])
        return selected[turn:] + selected[:turn]

    with ScriptedServer(Listing(rows, size=5, reorder=unstable)) as server:
        (day,) = brought(server.url("/2.3.0/"), date(2026, 12, 31), date(2027, 1, 1))
        first_keys = {query_of(request.path)["ordering"].split(",")[0] for request in server.requests}
    assert [launch.row for launch in day.launches] == rows
    assert first_keys == {"net"}


def test_ties_that_no_second_key_mends_are_an_error_and_not_a_loss() -> None:
    rows = [row(number, "2026-12-31T00:00:00Z") for number in range(12)]

    def unstable(selected: list[Row], query: dict[str, str]) -> list[Row]:
        turn = 2 * int(query["offset"])
        return selected[turn:] + selected[:turn]

    with ScriptedServer(Listing(rows, size=5, reorder=unstable)) as server:
        error = fails(server.url("/2.3.0/"), date(2026, 12, 31), date(2027, 1, 1))
    assert isinstance(error, UnexpectedAnswer)
    assert error.retryable
    assert "of 12 launches" in str(error)


def test_a_refused_row_on_a_page_of_its_own_takes_no_launch_with_it() -> None:
    rows, unreadable = [at_noon(number, FIRST) for number in range(100)], at_noon(777, FIRST + DAY) | {"net": "soon"}

    def script(request: Request) -> Answer:
        if query_of(request.path)["offset"] == "0":
            return answer({"count": 101, "next": server.url("/2.3.0/launches/?offset=100"), "results": rows})
        return answer({"count": 101, "next": None, "results": [unreadable]})

    with ScriptedServer(script) as server:
        days = brought(server.url("/2.3.0/"), FIRST, FIRST + 2 * DAY)
    assert [len(day.launches) for day in days] == [100, 0]
    assert [refusal.launch_id for day in days for refusal in day.refused] == [unreadable["id"]]


def test_a_day_whose_only_row_is_refused_stands_empty_and_says_so() -> None:
    with ScriptedServer(lambda request: answer(envelope([at_noon(1, FIRST) | {"net": "soon"}]))) as server:
        days = brought(server.url("/2.3.0/"), FIRST, FIRST + 3 * DAY)
    assert [(len(day.launches), len(day.refused)) for day in days] == [(0, 1), (0, 0), (0, 0)]


def test_a_row_that_is_on_two_pages_comes_once() -> None:
    first, second, third = (at_noon(number, FIRST) for number in range(3))

    def script(request: Request) -> Answer:
        more = query_of(request.path)["offset"] == "0"
        rows = [first, second] if more else [second, third]
        return answer({"count": 3, "next": server.url("/2.3.0/launches/?offset=2") if more else None, "results": rows})

    with ScriptedServer(script) as server:
        (day,) = brought(server.url("/2.3.0/"), FIRST, FIRST + DAY)
    assert [launch.row for launch in day.launches] == [first, second, third]


def test_a_row_that_is_twice_on_one_page_comes_once() -> None:
    one = at_noon(1, FIRST)
    with ScriptedServer(lambda request: answer(envelope([one, one]))) as server:
        (day,) = brought(server.url("/2.3.0/"), FIRST, FIRST + DAY)
    assert [launch.row for launch in day.launches] == [one]


def test_a_server_that_gives_one_page_for_ever_is_an_error() -> None:
    def script(request: Request) -> Answer:
        if len(server.requests) > 50:
            return Answer(404)
        return answer({"count": 9, "next": server.url("/2.3.0/launches/?offset=1"), "results": [at_noon(1, FIRST)]})

    with ScriptedServer(script) as server:
        error = fails(server.url("/2.3.0/"))
    assert isinstance(error, UnexpectedAnswer)
    assert "names a next page" in str(error)


# Answers that are no answers


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (envelope([at_noon(1, FIRST)], next="https://elsewhere.example/2.3.0/launches/"), "elsewhere.example"),
        (envelope([at_noon(1, FIRST)], next="http://[broken/"), "http://[broken/"),
        (envelope([at_noon(1, FIRST)], next=7), "7"),
        (envelope([], next="/2.3.0/launches/?offset=100"), "no launches and yet names a next page"),
        (envelope([at_noon(1, FIRST)], count=5), "only 1 of 5 launches"),
        (envelope([at_noon(1, FIRST), at_noon(2, FIRST + 2 * DAY)]), "2026-03-03, which is not one of the days"),
        (envelope([row(2, "2026-02-28T23:59:59Z")]), "2026-02-28, which is not one of the days"),
        (envelope([row(2, "2026-03-03T00:00:00+00:00")]), "2026-03-03, which is not one of the days"),
    ],
    ids=[
        "next on another host",
        "next is no address",
        "next is a number",
        "empty page with a next",
        "count greater than the rows",
        "row after the window",
        "row before the window",
        "row at the end of the window",
    ],
)
def test_pages_that_contradict_themselves_are_an_error_that_says_what_came_from_where(content: Row, said: str) -> None:
    with ScriptedServer(lambda request: answer(content)) as server:
        error = fails(server.url("/2.3.0/"), FIRST, FIRST + 2 * DAY)
        assert isinstance(error, UnexpectedAnswer)
        assert server.url("/2.3.0/launches/?") in str(error)
        assert said in str(error)
        assert len(server.requests) == 1


def test_a_page_that_is_not_whole_gives_none_of_its_days() -> None:
    # Day 2 may be what is missing, although a launch of day 5 came.
    content = envelope([at_noon(1, FIRST), at_noon(2, FIRST + 4 * DAY)], count=3)
    with ScriptedServer(lambda request: answer(content)) as server:
        error = fails(server.url("/2.3.0/"), FIRST, FIRST + 6 * DAY)
    assert error.retryable


def test_rows_out_of_order_across_pages_are_an_error_that_names_the_launch() -> None:
    pages = {"0": [at_noon(1, FIRST + 2 * DAY)], "1": [at_noon(2, FIRST)]}

    def script(request: Request) -> Answer:
        offset = query_of(request.path)["offset"]
        following = server.url("/2.3.0/launches/?offset=1") if offset == "0" else None
        return answer({"count": 2, "next": following, "results": pages[offset]})

    with (
        ScriptedServer(script) as server,
        asking(server.url("/2.3.0/")) as library,
        pytest.raises(UnexpectedAnswer, match="not in the order asked for") as caught,
    ):
        list(library.launches(FIRST, FIRST + 3 * DAY))
    assert str(uuid.UUID(int=2)) in str(caught.value)
    assert "offset=1" in str(caught.value)


@pytest.mark.parametrize(("failing", "days"), [(1, 0), (2, 2)], ids=["first page", "second page"])
def test_days_given_before_an_error_stand_and_later_ones_do_not_come(failing: int, days: int) -> None:
    listed = Listing([at_noon(at, FIRST + at * DAY) for at in range(6)])

    def script(request: Request) -> Answer:
        return Answer(404) if len(server.requests) == failing else listed(request)

    given: list[date] = []
    with ScriptedServer(script) as server, asking(server.url("/2.3.0/")) as library, pytest.raises(Refused):
        given.extend(day.day for day in library.days(FIRST, FIRST + 6 * DAY))
    assert given == [FIRST + at * DAY for at in range(days)]


HTML = b"<!DOCTYPE html><html><title>Just a moment...</title></html>"


@pytest.mark.parametrize(
    ("came", "said"),
    [
        (Answer(200, HTML, "text/html; charset=utf-8"), "text/html that begins '<!DOCTYPE html>"),
        (Answer(200, b"", JSON), "an empty body (application/json)"),
        (Answer(200, b'{"count": 1, "results": [', JSON), "which is not JSON"),
        (Answer(200, b"\xff\xfe\xfa", JSON), "which is not JSON"),
        (Answer(200, b'{"count": NaN, "results": []}', JSON), "which is not JSON"),
        (answer({"detail": "Request was throttled."}), "Request was throttled."),
        (answer({"count": 0, "results": None}), "without a list of results"),
        (answer({"count": 0, "results": {}}), "without a list of results"),
        (answer([at_noon(1, FIRST)]), "without a list of results"),
        (answer(None), "without a list of results"),
        (answer(envelope(["a launch", None])), "a launch that is 'a launch', not an object"),
        (answer(envelope([None, None])), "a launch that is None, not an object"),
        (answer(envelope([{"name": "X", "net": "2026-03-01T00:00:00Z"}, None])), "a launch without an id (name 'X')"),
        (answer(envelope([at_noon(1, FIRST) | {"id": 17}, None])), "a launch without an id"),
        (answer(envelope([at_noon(1, FIRST) | {"id": "  "}, None])), "a launch without an id"),
        (answer(envelope([{"id": "ab-1", "name": "X"}, None])), "launch ab-1 without a net; it has None"),
        (answer(envelope([at_noon(1, FIRST) | {"net": 1772323200}, None])), "without a net; it has 1772323200"),
        (answer(envelope([at_noon(1, FIRST) | {"net": "soon"}, None])), "a net that is no time: 'soon'"),
        (answer(envelope([at_noon(1, FIRST) | {"net": "2026-02-30T00:00:00Z"}, None])), "a net that is no time"),
        (answer(envelope([at_noon(1, FIRST) | {"net": "0001-01-01T00:00:00+01:00"}, None])), "a net that is no time"),
    ],
    ids=[
        "HTML with 200",
        "empty body",
        "JSON cut short",
        "bytes that are no text",
        "NaN",
        "error object with 200",
        "results is null",
        "results is an object",
        "list instead of an object",
        "null",
        "row is a string",
        "row is null",
        "row without an id",
        "id is a number",
        "id is blank",
        "row without a net",
        "net is a number",
        "net is a word",
        "net is a day that does not exist",
        "net is before all time",
    ],
)
def test_an_answer_that_is_none_is_an_error_that_says_what_came_from_where(came: Answer, said: str) -> None:
    with ScriptedServer(lambda request: came) as server:
        error = fails(server.url("/2.3.0/"))
        assert isinstance(error, UnexpectedAnswer)
        assert not error.retryable
        assert server.url("/2.3.0/launches/?mode=normal&net__gte=2026-03-01&net__lt=2026-03-02") in str(error)
        assert said in str(error)
        assert len(server.requests) == 1


# Statuses


@pytest.mark.parametrize(
    ("status", "body", "hint"),
    [
        (400, {"net__gte": ["Enter a valid date/time."]}, "ROCKET_ASSETS_API_URL"),
        (401, {"detail": "Invalid token."}, "ROCKET_ASSETS_API_TOKEN"),
        (403, {"detail": "No."}, "ROCKET_ASSETS_API_TOKEN"),
        (404, {"detail": "Not found."}, "ROCKET_ASSETS_API_URL"),
        (410, {"detail": "Gone."}, "ROCKET_ASSETS_API_URL"),
    ],
)
def test_a_refusal_is_told_once_with_what_was_said_and_what_to_look_at(status: int, body: Row, hint: str) -> None:
    with ScriptedServer(lambda request: answer(body, status)) as server:
        error = fails(server.url("/2.3.0/"), token=SECRET)
        assert len(server.requests) == 1
    assert type(error) is Refused
    assert not error.retryable
    for part in (str(status), json.dumps(body)[:60], hint, server.url("/2.3.0/launches/")):
        assert part in str(error)


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_a_server_that_stays_broken_is_unavailable_after_several_tries(status: int) -> None:
    with (
        ScriptedServer(lambda request: answer({}, status, Retry_After="3600")) as server,
        asking(server.url("/2.3.0/"), retries=2) as library,
    ):
        with pytest.raises(Unavailable, match=f"answered {status}") as caught:
            list(library.launches(FIRST, FIRST + DAY))
        assert library.requests == len(server.requests) == 3
    assert type(caught.value) is Unavailable
    assert caught.value.retryable


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_a_server_that_recovers_is_no_error_and_its_day_counts_every_try(status: int) -> None:
    rows = [at_noon(1, FIRST)]
    with ScriptedServer(lambda _: answer(envelope(rows)) if len(server.requests) == 3 else Answer(status)) as server:
        (day,) = brought(server.url("/2.3.0/"), FIRST, FIRST + DAY)
        assert len(server.requests) == 3
    assert [launch.row for launch in day.launches] == rows
    assert day.requests == 3


THROTTLED = {"detail": "Request was throttled. Expected available in 42 seconds."}


def in_seconds(seconds: int) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("came", "least", "most"),
    [
        (answer(THROTTLED, 429, Retry_After="1789"), 1789, 1789),
        (answer({}, 429, Retry_After="0"), 1, 1),
        # The table is made when the tests are collected, which may be a while ago.
        (answer(THROTTLED, 429, Retry_After=in_seconds(7200)), 3600, 7200),
        (answer(THROTTLED, 429, Retry_After=in_seconds(-900)), 1, 1),
        (answer(THROTTLED, 429, Retry_After="9" * 400), 86_400, 86_400),
        (answer(THROTTLED, 429), 42, 42),
        (answer(THROTTLED, 429, Retry_After="soon"), 42, 42),
        (answer({"detail": "Request was throttled. Expected available in 1 second."}, 429), 1, 1),
        (Answer(429, b""), 300, 300),
        (Answer(429, HTML, "text/html"), 300, 300),
    ],
    ids=[
        "header in seconds",
        "header says now",
        "header is a date",
        "header is a date that is over",
        "header says for ever",
        "sentence in the body",
        "header is a word",
        "sentence in the singular",
        "nothing at all",
        "a page of HTML",
    ],
)
def test_the_throttle_is_told_at_once_with_how_long_it_lasts(came: Answer, least: float, most: float) -> None:
    with ScriptedServer(lambda request: came) as server:
        error = fails(server.url("/2.3.0/"), token=SECRET)
        assert len(server.requests) == 1
    assert isinstance(error, RateLimited)
    assert error.retryable
    assert least <= error.retry_after <= most
    assert "ROCKET_ASSETS_API_TOKEN" in str(error)


def test_the_throttle_of_a_faithful_library_stops_the_window_after_the_days_that_it_let_pass() -> None:
    rows = [at_noon(number, FIRST + number // 10 * DAY) for number in range(150)]
    with serving(rows, throttle=1) as server, asking(server.url) as library:
        given = list[LaunchDay]()
        with pytest.raises(RateLimited) as caught:
            given.extend(iter(library.days(FIRST, FIRST + 15 * DAY)))
        assert [request.status for request in server.api_requests] == [200, 429]
    assert 3500 < caught.value.retry_after <= 3600


# Connections


def test_what_the_throttle_of_a_faithful_library_still_takes_is_told_and_asking_does_not_count() -> None:
    with LibraryServer(throttle=2) as server, LaunchLibrary(server.url) as library:
        assert library.allowance() == library.allowance() == Allowance(2, 3600, 2, 0)
        for _ in range(2):
            list(library.days(FIRST, FIRST + DAY))
        told = library.allowance()
        assert library.requests == 2
    assert told
    assert (told.limit, told.left) == (2, 0)
    assert 3590 < told.next_in <= 3600


def _throttle(**said: object) -> bytes:
    return json.dumps(THROTTLE | said).encode()


THROTTLE = {"your_request_limit": 15, "limit_frequency_secs": 3600, "current_use": 4, "next_use_secs": 0, "ident": "me"}


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer(200, _throttle(), JSON), Allowance(15, 3600, 11, 0)),
        (Answer(200, b"[" + _throttle() + b"]", JSON), Allowance(15, 3600, 11, 0)),
        (Answer(200, _throttle(current_use=15, next_use_secs=1631), JSON), Allowance(15, 3600, 0, 1631)),
        (Answer(200, _throttle(current_use=99), JSON), Allowance(15, 3600, 0, 0)),
        (Answer(200, _throttle(next_use_secs=-12.5), JSON), Allowance(15, 3600, 11, 0)),
        (Answer(200, _throttle(next_use_secs=10**9), JSON), Allowance(15, 3600, 11, 86_400)),
        (Answer(200, _throttle(your_request_limit=None), JSON), None),
        (Answer(200, _throttle(your_request_limit=0), JSON), None),
        (Answer(200, _throttle(limit_frequency_secs=0), JSON), None),
        (Answer(200, _throttle(current_use="4"), JSON), None),
        (Answer(200, _throttle().replace(b"3600", b"NaN"), JSON), None),
        (Answer(200, _throttle().replace(b"3600", b"9" * 400), JSON), None),
        (Answer(200, _throttle().replace(b"3600", b"9" * 5000), JSON), None),
        (Answer(200, b"[]", JSON), None),
        (Answer(200, b"[" * 100_000, JSON), None),
        (Answer(200, b"<html>", "text/html"), None),
        (Answer(200, b"\xff\xfe\x00", JSON), None),
        (Answer(200, _throttle(), JSON, {"Content-Encoding": "gzip"}), None),
        (Answer(302, b"", JSON, {"Location": "http://127.0.0.1:9/"}), None),
        (Answer(302, b"", JSON, {"Location": "http://[here/"}), None),
        (Answer(404, _throttle(), JSON), None),
        (Answer(429, _throttle(), JSON), None),
        (Answer(500), None),
        (Answer(reset=True), None),
        (Answer(silent=60), None),
    ],
)
def test_of_what_the_throttle_says_what_can_be_understood_is_told_and_nothing_is_an_error(
    answer: Answer, told: Allowance | None
) -> None:
    with (
        ScriptedServer(lambda _: answer) as server,
        LaunchLibrary(server.url("/2.3.0/"), retries=0, timeout=Timeout(1, 1)) as library,
    ):
        assert library.allowance() == told
        assert [urlsplit(request.path).path for request in server.requests] == ["/2.3.0/api-throttle/"]
        assert library.requests == 0


def test_where_it_is_the_turn_of_another_the_throttle_is_not_asked(tmp_path: Path) -> None:
    turn = FileLock(tmp_path / "turn", timeout=0)
    with (
        ScriptedServer(lambda _: Answer(200, _throttle(), JSON)) as server,
        LaunchLibrary(server.url("/2.3.0/"), turn=turn) as library,
    ):
        with FileLock(tmp_path / "turn"):
            assert library.allowance() is None
            assert not server.requests
        assert library.allowance() is not None


def test_the_throttle_is_asked_with_the_token_because_it_is_that_of_the_token() -> None:
    with (
        ScriptedServer(lambda _: Answer(200, _throttle(your_request_limit=300), JSON)) as server,
        LaunchLibrary(server.url("/2.3.0/"), token=SECRET) as library,
    ):
        assert library.allowance() == Allowance(300, 3600, 296, 0)
        assert [request.headers["authorization"] for request in server.requests] == [f"Token {SECRET}"]


def test_a_redirect_is_refused_with_the_new_address_and_gets_no_token() -> None:
    with (
        ScriptedServer(lambda request: answer(envelope([]))) as other,
        ScriptedServer(lambda request: Answer(301, headers={"Location": other.url("/2.4.0/launches/")})) as server,
    ):
        error = fails(server.url("/2.3.0/"), token=SECRET)
        assert isinstance(error, Refused)
        assert f"has moved to {other.url('/2.4.0/launches/')}" in str(error)
        assert other.requests == []


def test_a_redirect_to_a_path_is_refused_with_the_whole_new_address() -> None:
    with ScriptedServer(lambda request: Answer(308, headers={"Location": "/2.4.0/launches/"})) as server:
        error = fails(server.url("/2.3.0/"))
        assert isinstance(error, Refused)
        assert f"has moved to {server.url('/2.4.0/launches/')}" in str(error)


@pytest.mark.parametrize("location", ["http://[broken/", "http://", "http://127.0.0.1:99999/", "mailto:x"])
def test_a_redirect_to_nowhere_is_refused_with_what_it_said(location: str) -> None:
    with ScriptedServer(lambda request: Answer(302, headers={"Location": location})) as server:
        error = fails(server.url("/2.3.0/"), token=SECRET)
        assert len(server.requests) == 1
    assert type(error) is Refused
    assert location in str(error)


def test_a_silent_server_is_unavailable_when_the_time_is_over() -> None:
    with ScriptedServer(lambda request: Answer(silent=30)) as server:
        with asking(server.url("/2.3.0/"), retries=1, timeout=Timeout(read=0.1)) as library:
            with pytest.raises(Unavailable, match="timed out") as caught:
                list(library.launches(FIRST, FIRST + DAY))
            assert len(server.requests) == library.requests == 2
        assert server.url("/2.3.0/launches/") in str(caught.value)
    assert caught.value.retryable


def test_a_port_where_nothing_listens_is_unavailable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        error = fails(f"http://127.0.0.1:{taken.getsockname()[1]}/2.3.0/", retries=1)
    assert type(error) is Unavailable
    assert "Connection refused" in str(error)
    assert "ROCKET_ASSETS_API_URL" in str(error)


def test_a_connection_that_is_reset_is_tried_again_and_then_unavailable() -> None:
    with ScriptedServer(lambda request: Answer(reset=True)) as server:
        error = fails(server.url("/2.3.0/"), retries=2)
        assert len(server.requests) == 3
    assert type(error) is Unavailable


def test_a_connection_that_is_reset_once_is_no_error() -> None:
    rows = [at_noon(1, FIRST)]
    with ScriptedServer(
        lambda _: Answer(reset=True) if len(server.requests) == 1 else answer(envelope(rows))
    ) as server:
        (day,) = brought(server.url("/2.3.0/"), FIRST, FIRST + DAY)
    assert [launch.row for launch in day.launches] == rows
    assert day.requests == 2


def test_a_body_that_is_cut_is_unavailable() -> None:
    body = json.dumps(envelope([at_noon(1, FIRST)])).encode()
    with ScriptedServer(lambda request: Answer(200, body, JSON, announced=len(body) + 100)) as server:
        error = fails(server.url("/2.3.0/"))
    assert type(error) is Unavailable
    assert error.retryable


# The token


def headers_sent(server: ScriptedServer | LibraryServer) -> list[str | None]:
    return [
        {name.lower(): value for name, value in request.headers.items()}.get("authorization")
        for request in server.requests
    ]


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of credentials for every host, as a developer may have one."""
    path = tmp_path / "netrc"
    path.write_text("machine 127.0.0.1 login someone password hidden\ndefault login anyone password hidden\n")
    path.chmod(0o600)
    monkeypatch.setenv("NETRC", str(path))


@pytest.mark.usefixtures("netrc")
def test_the_token_goes_to_the_api_as_it_asks_for_it() -> None:
    with serving([at_noon(1, FIRST)], token=SECRET) as server:
        (day,) = brought(server.url, FIRST, FIRST + DAY, token=SECRET)
        assert len(day.launches) == 1
        assert headers_sent(server) == [f"Token {SECRET}"]


@pytest.mark.usefixtures("netrc")
@pytest.mark.parametrize("token", [None, "", "\n"], ids=["none", "empty", "blank"])
def test_without_a_token_no_credentials_are_sent_even_where_a_netrc_holds_some(token: str | None) -> None:
    with serving([]) as server:
        brought(server.url, FIRST, FIRST + DAY, token=token)
        assert headers_sent(server) == [None]


def test_a_token_with_a_newline_at_its_end_is_sent_without_it() -> None:
    with serving([], token=SECRET) as server:
        brought(server.url, FIRST, FIRST + DAY, token=f"{SECRET}\n")
        assert headers_sent(server) == [f"Token {SECRET}"]


@pytest.mark.parametrize("token", [f"{SECRET}\nX", f"{SECRET} X", f"{SECRET}é", f"{SECRET}\N{SNOWMAN}"], ids=ascii)
def test_a_token_that_no_header_can_hold_is_a_wrong_setting_whose_message_keeps_it_secret(token: str) -> None:
    with pytest.raises(WrongSetting, match="ROCKET_ASSETS_API_TOKEN") as caught:
        LaunchLibrary("http://127.0.0.1:9/2.3.0/", token=token)
    assert SECRET not in str(caught.value)


def test_a_wrong_token_is_refused_and_not_told() -> None:
    with serving([], token="another") as server:
        assert isinstance(fails(server.url, token=SECRET), Refused)


def test_the_token_is_in_no_error_not_even_where_the_server_repeats_it() -> None:
    def script(request: Request) -> Answer:
        return answer({"you said": request.headers["authorization"]}, 403)

    with ScriptedServer(script) as server:
        error = fails(server.url("/2.3.0/"), token=SECRET)
    assert "you said" in str(error)


def test_the_token_is_in_no_representation() -> None:
    with asking("http://127.0.0.1:9/2.3.0/", token=SECRET) as library:
        session = library._session
        for shown in (library, session, session.auth, session.headers):
            assert SECRET not in repr(shown)
            assert SECRET not in str(shown)


def test_an_address_without_a_slash_at_its_end_is_one_with_it() -> None:
    with serving([at_noon(1, FIRST)]) as server:
        (day,) = brought(server.url.rstrip("/"), FIRST, FIRST + DAY)
    assert [type(launch) for launch in day.launches] == [Launch]


def test_a_launch_that_the_library_itself_lists_twice_is_given_once() -> None:
    rows = [{"id": f"id-{n}", "name": f"Launch {n}", "net": "2024-12-05T00:00:00Z"} for n in range(149)]
    listed = [*rows[:100], rows[99], *rows[100:]]

    def script(request: Request) -> Answer:
        offset = int(parse_qs(urlsplit(request.path).query)["offset"][0])
        more = f"http://{request.headers['host']}/2.3.0/launches/?offset=100" if offset == 0 else None
        answer = {"count": len(listed), "next": more, "results": listed[offset : offset + 100]}
        return Answer(200, json.dumps(answer).encode(), JSON)

    with ScriptedServer(script) as server, LaunchLibrary(server.url("/2.3.0/")) as library:
        given = list(library.launches(date(2024, 12, 1), date(2024, 12, 31)))
    assert sorted(launch.id for launch in given) == sorted(row["id"] for row in rows)


# What was updated


BEGIN = datetime(2026, 3, 1, tzinfo=UTC)


def updated_at(number: int, moment: datetime, version: str = "2.3.0") -> Row:
    return at_noon(number, FIRST, version) | {"last_updated": f"{moment:%Y-%m-%dT%H:%M:%SZ}"}


def updates(url: str, since: datetime | None = None, **more: Any) -> list[Updates]:
    with asking(url, **more) as library:
        return list(library.updated(since))


def ids(pages: list[Updates]) -> list[str]:
    return [launch.id for page in pages for launch in page.launches]


@pytest.mark.parametrize("version", ["2.2.0", "2.3.0"])
def test_what_was_updated_comes_latest_first_and_one_page_is_one_request(version: str) -> None:
    rows = [updated_at(number, BEGIN + number * timedelta(minutes=1), version) for number in range(30)]
    with serving(rows, version) as server:
        (page,) = updates(server.url, BEGIN + timedelta(minutes=10), mode="list")
        (request,) = server.api_requests
    assert [launch.id for launch in page.launches] == [row["id"] for row in reversed(rows[10:])]
    assert page.count == 20
    assert urlsplit(request.path).path == f"/{version}/{'launches' if version == '2.3.0' else 'launch'}/"
    assert query_of(request.path) == {
        "mode": "list",
        "last_updated__gte": "2026-03-01T00:10:00Z",
        "ordering": "-last_updated,id",
        "limit": "100",
        "offset": "0",
    }


def test_without_a_time_everything_was_updated() -> None:
    rows = [updated_at(number, BEGIN + number * timedelta(minutes=1)) for number in range(250)]
    with serving(rows) as server:
        pages = updates(server.url)
        assert [len(page.launches) for page in pages] == [100, 100, 50]
        assert ["last_updated__gte" in query_of(request.path) for request in server.api_requests] == [False] * 3
    assert ids(pages) == [row["id"] for row in reversed(rows)]
    assert {page.count for page in pages} == {250}


def test_where_nothing_was_updated_there_is_one_empty_page() -> None:
    with serving([updated_at(1, BEGIN)]) as server:
        assert updates(server.url, BEGIN + timedelta(seconds=1)) == [Updates([], 0, [])]
        assert len(server.api_requests) == 1


@pytest.mark.parametrize("fraction", [0, 999_999])
def test_an_update_in_the_very_second_that_is_asked_from_comes(fraction: int) -> None:
    with serving([updated_at(1, BEGIN)]) as server:
        assert len(ids(updates(server.url, BEGIN.replace(microsecond=fraction)))) == 1


@pytest.mark.parametrize(("before", "same", "after"), [(0, 150, 0), (70, 150, 70), (99, 2, 0), (100, 100, 100)])
def test_all_the_launches_of_one_second_come_wherever_the_pages_end(before: int, same: int, after: int) -> None:
    seconds = [0] * before + [1] * same + [2] * after
    rows = [updated_at(number, BEGIN + timedelta(seconds=second)) for number, second in enumerate(seconds)]
    with serving(rows) as server:
        pages = updates(server.url, BEGIN)
        assert len(server.api_requests) == -(-len(rows) // 100)
    assert sorted(ids(pages)) == sorted(row["id"] for row in rows)


def test_the_next_page_is_asked_for_only_when_it_is_wanted() -> None:
    with (
        serving([updated_at(number, BEGIN) for number in range(250)]) as server,
        asking(server.url) as library,
    ):
        assert len(next(library.updated()).launches) == 100
        assert len(server.api_requests) == library.requests == 1


@pytest.mark.parametrize("moved", [0, 3, 4, 11])
def test_a_launch_that_is_updated_between_two_pages_comes_with_the_first_or_the_second_question(moved: int) -> None:
    rows = [updated_at(number, BEGIN - number * timedelta(minutes=1)) for number in range(12)]

    def move(number: int) -> None:
        if number == 1:
            listed.rows[moved] = updated_at(moved, BEGIN + timedelta(minutes=5))

    listed = Listing(list(rows), then=move)
    with ScriptedServer(listed) as server:
        first = updates(server.url("/2.3.0/"), BEGIN - timedelta(days=1))
        newest = first[0].launches[0].last_updated
        second = updates(server.url("/2.3.0/"), newest)
    assert set(ids(first)) | set(ids(second)) == {row["id"] for row in rows}
    assert ids(second)[0] == rows[moved]["id"]


def _without_last_updated(rows: list[Row], query: dict[str, str]) -> list[Row]:
    return [{name: value for name, value in row.items() if name != "last_updated"} for row in rows]


def _in_order_of_net(rows: list[Row], query: dict[str, str]) -> list[Row]:
    return rows[::-1]


@pytest.mark.parametrize(
    "broken", [{"last_updated": None}, {"last_updated": "soon"}, {"net": None}, {"net": "soon"}, {"id": None}]
)
def test_a_row_that_cannot_be_read_is_named_and_hides_no_other(broken: Row) -> None:
    rows = [updated_at(number, BEGIN - number * timedelta(minutes=1)) for number in range(3)]
    with ScriptedServer(lambda _: answer(envelope([rows[0], rows[1] | broken, rows[2]]))) as server:
        (page,) = updates(server.url("/2.3.0/"), BEGIN - timedelta(days=1))
    assert [launch.id for launch in page.launches] == [rows[0]["id"], rows[2]["id"]]
    (said,) = page.unreadable
    assert server.url("/2.3.0/launches/") in said


@pytest.mark.parametrize("reorder", [_without_last_updated, _in_order_of_net])
def test_updates_that_are_not_told_in_order_are_an_unexpected_answer(
    reorder: Callable[[list[Row], dict[str, str]], list[Row]],
) -> None:
    rows = [updated_at(number, BEGIN + number * timedelta(minutes=1)) for number in range(3)]
    with (
        ScriptedServer(Listing(rows, reorder=reorder)) as server,
        pytest.raises(UnexpectedAnswer, match="not in the order of their last update") as caught,
    ):
        updates(server.url("/2.3.0/"), BEGIN)
    assert server.url("/2.3.0/launches/") in str(caught.value)


@pytest.mark.parametrize("rows", [[], [updated_at(1, BEGIN)]], ids=["empty", "the same"])
def test_a_page_of_updates_that_repeats_for_ever_is_an_unexpected_answer(rows: list[Row]) -> None:
    def script(request: Request) -> Answer:
        return answer(envelope(rows, next=f"http://{request.headers['host']}/2.3.0/launches/?offset=1"))

    with (
        ScriptedServer(script) as server,
        pytest.raises(UnexpectedAnswer, match="gave no launch that had not come before"),
    ):
        updates(server.url("/2.3.0/"), BEGIN)
    assert len(server.requests) == 1 + len(rows)


def test_a_library_that_does_not_count_is_counted_for() -> None:
    with ScriptedServer(lambda _: answer(envelope([updated_at(1, BEGIN)], count=None))) as server:
        assert [page.count for page in updates(server.url("/2.3.0/"))] == [1]


@pytest.mark.parametrize(("version", "tells"), [("2.0.0", False), ("2.2.0", True), ("2.3.0", True)])
def test_the_oldest_version_does_not_tell_when_a_launch_was_updated(version: str, tells: bool) -> None:
    with asking(f"https://library.example/{version}") as library:
        assert library.tells_updates is tells
