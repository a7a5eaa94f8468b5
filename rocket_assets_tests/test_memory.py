"""A memory is read as it was written, or known as lost; it stays small, and forgets what it need not know."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocket_assets.launches import Launch, Standing, parse
from rocket_assets.memory import VERSION, Due, Memory, Place, said

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
DAY = date(2026, 3, 5)

# Hypothesis takes bounds without a zone only, and gives each moment the one of `timezones`.
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - see above
DATES = st.dates(date(1957, 10, 4), date(2100, 1, 1))
NAMES = st.text(max_size=20)
STANDINGS = st.builds(Standing, MOMENTS, st.none() | MOMENTS, st.booleans())
DUES = st.builds(
    Due,
    st.frozensets(DATES, max_size=3),
    st.none() | DATES,
    st.none() | MOMENTS,
    NAMES | st.just("\ud800 ☄"),
    MOMENTS,
    st.integers(0, 6),
)
MEMORIES = st.builds(
    Memory,
    since=st.none() | MOMENTS,
    begun=st.none() | MOMENTS,
    unread=st.none() | st.tuples(MOMENTS, MOMENTS),
    standing=st.dictionaries(NAMES, STANDINGS, max_size=3),
    places=st.dictionaries(st.from_regex(r"[0-9a-f]{8}", fullmatch=True), st.builds(Place, DATES, st.booleans())),
    due=st.dictionaries(NAMES, DUES, max_size=3),
    asleep_until=st.none() | MOMENTS,
    was_lost=st.booleans(),
)


@given(MEMORIES)
def test_a_memory_is_read_as_it_was_written(memory: Memory) -> None:
    text = memory.dump()
    assert Memory.read(text) == memory
    assert Memory.read(text).dump() == text
    assert text.isascii()


@given(MEMORIES)
def test_the_order_in_which_things_were_remembered_changes_no_text(memory: Memory) -> None:
    def turned(mapping: Mapping[str, Any]) -> dict[str, Any]:
        return dict(reversed(list(mapping.items())))

    other = replace(memory, standing=turned(memory.standing), places=turned(memory.places), due=turned(memory.due))
    assert other.dump() == memory.dump()


A_MEMORY = Memory(
    since=NOW,
    standing={"a": Standing(NOW, NOW, False)},
    due={"a": Due(frozenset({DAY}), DAY, NOW, "A", NOW, 1)},
    asleep_until=NOW,
)
LOST = Memory(was_lost=True)


@pytest.mark.parametrize("text", [None, ""])
def test_no_memory_is_none_that_was_lost(text: str | None) -> None:
    assert Memory.read(text) == Memory()


def test_a_memory_that_is_cut_anywhere_was_lost() -> None:
    text = A_MEMORY.dump()
    assert [Memory.read(text[:length]) for length in range(1, len(text))] == [LOST] * (len(text) - 1)


@pytest.mark.parametrize(
    "text", ["no JSON", "[]", "17", "null", '"text"', "true", "{}", "[" * 100_000, '{"version":1}']
)
def test_a_text_that_is_no_memory_was_lost(text: str) -> None:
    assert Memory.read(text) == LOST


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (path, value)
        for path, values in {
            "version": [VERSION + 1, VERSION - 1, str(VERSION), None],
            "since": [17, "soon", [], "2026-03-05", "2026-03-05T00:00:00"],
            "asleep_until": [17, "soon", {}],
            "standing": [None, 17, [], "a", {"a": None}, {"a": []}, {"a": [said(NOW)]}, {"a": [None, None, 0]}],
            "due": [None, 17, [], "a", {"a": None}, {"a": {}}],
            "due.a.days": [None, 17, "2026-03-05", [17], ["soon"]],
            "due.a.day": [17, "soon", []],
            "due.a.last_updated": [17, "soon"],
            "due.a.at": [None, 17, "soon", "2026-03-05"],
            "due.a.asked": [None, "often", [], float("inf")],
        }.items()
        for value in values
    ],
)
def test_a_memory_with_something_else_in_a_place_was_lost(path: str, value: Any) -> None:
    document = json.loads(A_MEMORY.dump())
    *way, last = path.split(".")
    inner = document
    for name in way:
        inner = inner[name]
    inner[last] = value
    assert Memory.read(json.dumps(document)) == LOST


def launch(number: int, net: datetime, updated: datetime, *, final: bool = False) -> Launch:
    row = {
        "id": f"{number:08x}-0000-4000-8000-000000000000",
        "net": said(net),
        "last_updated": said(updated),
        "status": {"id": 3 if final else 1},
    }
    return parse(row, "here")


def test_of_a_launch_that_was_updated_long_ago_the_day_is_kept_and_the_outcome() -> None:
    planned = launch(1, NOW + timedelta(days=9, hours=3), NOW - timedelta(days=2))
    flown = launch(2, NOW - timedelta(days=9), NOW - timedelta(days=2), final=True)
    memory = Memory.read(Memory(since=NOW).with_standing([planned, flown], NOW).dump())
    assert memory.before(planned.id) == Standing(datetime(2026, 3, 19, tzinfo=UTC), None, False)
    assert memory.before(flown.id) == Standing(datetime(2026, 3, 1, tzinfo=UTC), None, True)
    assert memory.before("another") is None


def test_a_launch_that_was_updated_lately_is_known_until_it_is_not() -> None:
    at = launch(1, NOW, NOW)
    memory = Memory(since=NOW).with_standing([at], NOW)
    assert memory.knows(at)
    later = replace(memory, since=NOW + timedelta(days=1)).with_standing([], NOW + timedelta(days=1))
    assert not later.knows(at)
    assert later.before(at.id) == Standing(datetime(2026, 3, 10, tzinfo=UTC), None, False)


def test_a_launch_that_has_flown_is_forgotten_after_a_month_and_a_planned_one_never() -> None:
    launches = [launch(n, NOW - timedelta(days=40), NOW - timedelta(days=40), final=n == 1) for n in (1, 2)]
    memory = Memory(since=NOW).with_standing(launches, NOW)
    assert [memory.before(one.id) is None for one in launches] == [True, False]


def test_four_hundred_planned_launches_are_a_page_of_text() -> None:
    launches = [
        launch(n * 10_000_019 % 2**32, NOW + timedelta(days=n % 300), NOW - timedelta(days=n % 90 + 1))
        for n in range(400)
    ]
    text = Memory(since=NOW).with_standing(launches, NOW).dump()
    assert len(text) < 10_000
    assert Memory.read(text).launches_on.total() == 400


def test_what_was_updated_at_the_edge_of_what_is_unread_is_known_when_it_comes_again() -> None:
    edge = NOW - timedelta(days=3)
    launches = [launch(n, NOW, edge + timedelta(seconds=n)) for n in (0, 1, 2)]
    memory = Memory(since=NOW, unread=(edge - timedelta(days=1), edge)).with_standing(launches, NOW)
    assert [memory.knows(one) for one in launches] == [True, True, False]
