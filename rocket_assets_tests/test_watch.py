"""The watch over a real library, a real archive and a clock of the test's: what it asks for, what it remembers."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rocket_assets.archive import Archive
from rocket_assets.errors import Missing, Unavailable
from rocket_assets.launch_library import LaunchLibrary
from rocket_assets.launches import parse
from rocket_assets.memory import Memory
from rocket_assets.sample_library.server import LibraryServer
from rocket_assets.storage import Storage
from rocket_assets.watch import Busy, Look, Range, Watch
from rocket_assets_tests.replay import Clock
from rocket_assets_tests.scripted_server import Answer, ScriptedServer

Row = dict[str, Any]

FIRST, LAST = date(2026, 3, 1), date(2026, 5, 31)
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
GO, SUCCESS = 1, 3

EMPTY, LOST = Memory(), Memory(was_lost=True)


def on(number: int) -> date:
    """A day, counted from the first that has a partition."""
    return FIRST + number * DAY


def said(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


class World:
    """A Launch Library in which a test moves launches, an archive, and one clock for all."""

    def __init__(self) -> None:
        self.archive = Archive(Storage(f"memory://{uuid.uuid4()}"))
        self.clock = Clock(NOW)
        self.library_is_ahead = timedelta(0)
        self.rows: dict[str, Row] = {}
        self.busy: list[Range] = []
        self.own = 0
        self.first = FIRST
        self.asked = 0
        self.url = ""

    @classmethod
    @contextmanager
    def served(cls, **more: Any) -> Iterator[World]:
        """A world whose library is on a port."""
        world = cls()
        with LibraryServer(rows=lambda _: [], as_of=world.told, clock=world.clock, **more) as server:
            world.url = server.url
            yield world

    def told(self, *_: object) -> list[Row]:
        """What the library says."""
        return list(self.rows.values())

    def put(self, name: str, day: date, *, status: int = GO, ago: timedelta = timedelta(0), **more: Any) -> None:
        """Announce a launch, or change it."""
        self.rows[name] = {
            "id": name,
            "name": name.upper(),
            "net": f"{day}T12:00:00Z",
            "status": {"id": status, "abbrev": {GO: "Go", SUCCESS: "Success"}[status]},
            "net_precision": {"id": 1},
            "last_updated": said(self.clock.now + self.library_is_ahead - ago),
            "image": None,
            "response_mode": "list",
            **more,
        }

    def fill(self, number: int, *, every: timedelta = HOUR, day: date | None = None) -> None:
        """Launches that were updated one after the other, the last of them a day ago; planned far ahead unless told."""
        for n in range(number):
            self.put(f"filler-{n:04}", day or on(100 + n % 200), ago=DAY + n * every)

    def look(self, memory: Memory) -> Look:
        """Look, as a process does that knows nothing but the text of the memory."""
        with LaunchLibrary(self.url, mode="list", retries=0) as library:
            busy = Busy(self.busy, self.own)
            watch = Watch(library, self.archive, first=self.first, last=LAST, now=self.clock(), busy=lambda: busy)
            try:
                return watch.look(Memory.read(memory.dump()))
            finally:
                self.asked = library.requests

    def learned(self) -> Memory:
        """The memory after a first look that found nothing to do."""
        look = self.look(EMPTY)
        assert asked_for(look) == []
        self.clock.advance(2 * MINUTE)
        return look.memory

    def bring(self, *days: date) -> None:
        """Store what the library says of these days."""
        launches = [parse(row, "here") for row in self.rows.values()]
        for day in days:
            self.archive.write_launches(day, "here", [launch for launch in launches if launch.day == day])

    def carry_out(self, look: Look) -> None:
        """Do what a look asks for."""
        for start, end in asked_for(look):
            self.bring(*(start + n * DAY for n in range((end - start).days + 1)))

    def stored(self, name: str) -> list[date]:
        """The days on which the archive has a launch."""
        return [day for day in map(on, range((LAST - FIRST).days + 1)) if name in self._names(day)]

    def _names(self, day: date) -> set[str]:
        try:
            return {launch.id for launch in self.archive.read_launches(day)}
        except Missing:
            return set()

    def rests(self, memory: Memory) -> None:
        """Nothing comes any more: one request a look, no range, and the memory stays as it is, byte for byte."""
        for _ in range(3):
            self.clock.advance(2 * MINUTE)
            look = self.look(memory)
            assert (asked_for(look), self.asked) == ([], 1)
            assert look.memory.dump() == memory.dump()


def asked_for(look: Look) -> list[Range]:
    return [(request.start, request.end) for request in look.requests]


def keys(look: Look) -> list[str]:
    return [request.key for request in look.requests]


@pytest.fixture
def world() -> Iterator[World]:
    with World.served() as made:
        yield made


# The first look


@pytest.mark.parametrize(("planned", "requests"), [(0, 2), (1, 2), (100, 2), (101, 3), (250, 4)])
@pytest.mark.parametrize("every", [timedelta(0), HOUR], ids=["all at once", "one after the other"])
def test_the_first_look_learns_and_asks_for_nothing(
    world: World, planned: int, requests: int, every: timedelta
) -> None:
    world.fill(planned, every=every)
    look = world.look(EMPTY)
    assert (asked_for(look), look.changes, world.asked) == ([], [], requests)
    assert look.memory.launches_on.total() == len(world.rows)
    learned = f"Learned how {planned} {'launch stands' if planned == 1 else 'launches stand'}."
    assert look.text == f"{learned} From now on, what changes is brought."
    world.rests(look.memory)


def test_many_old_launches_that_were_edited_before_the_first_look_are_no_news(world: World) -> None:
    for number in range(150):
        world.put(f"old-{number:03}", date(1967, 5, 1), status=SUCCESS, ago=number * timedelta(seconds=1))
    world.put("new", on(20))
    world.rests(world.learned())


def _lacks(world: World) -> None:
    del world.rows["a"]
    world.bring(on(20))
    world.put("a", on(20))


def _holds_one_that_moved(world: World) -> None:
    world.bring(on(20))
    world.put("a", on(80))


def _holds_one_that_moved_out(world: World) -> None:
    world.bring(on(20))
    world.put("a", LAST + 9 * DAY)


def _holds_an_older_update(world: World) -> None:
    world.bring(on(20))
    world.clock.advance(HOUR)
    world.put("a", on(20))


def _holds_one_that_is_gone(world: World) -> None:
    world.bring(on(20))
    del world.rows["a"]


@pytest.mark.parametrize(
    ("happens", "expected"),
    [
        (_lacks, [(on(20), on(20))]),
        (_holds_one_that_moved, [(on(20), on(20)), (on(80), on(80))]),
        (_holds_one_that_moved_out, [(on(20), on(20))]),
        (_holds_an_older_update, [(on(20), on(20))]),
        (_holds_one_that_is_gone, [(on(20), on(20))]),
    ],
)
def test_the_first_look_asks_for_the_stored_days_that_differ_and_no_others(
    world: World, happens: Callable[[World], None], expected: list[Range]
) -> None:
    world.put("a", on(20))
    world.put("settled", on(40))
    world.put("never brought", on(41))
    world.bring(on(39), on(40))
    happens(world)
    look = world.look(EMPTY)
    assert asked_for(look) == expected
    world.carry_out(look)
    world.rests(world.look(look.memory).memory)


def test_a_day_that_cannot_be_read_counts_as_one_that_was_never_brought(world: World) -> None:
    world.put("a", on(20))
    world.bring(on(20))
    world.archive.storage.write("launches/2026/2026-03-21.json", b"{}")
    assert asked_for(world.look(EMPTY)) == []


# Quiet looks


def test_a_quiet_look_is_one_request_and_leaves_the_memory_as_it_was(world: World) -> None:
    world.fill(250)
    memory = world.learned()
    world.rests(memory)
    assert world.look(memory).text == "Nothing has changed since 2026-03-09 12:00:00 UTC."


def test_a_change_for_which_nothing_is_to_be_done_says_why(world: World) -> None:
    memory = world.learned()
    world.put("stored", on(20))
    world.bring(on(20))
    world.put("far", LAST + DAY)
    look = world.look(memory)
    assert asked_for(look) == []
    assert look.text.endswith(" Stored already: STORED. On a day without a partition: FAR.")


@pytest.mark.parametrize("day", [on(50), date(1967, 5, 1)], ids=["planned", "flown long ago"])
def test_150_launches_of_one_second_cost_two_requests_once_and_then_one_a_look(world: World, day: date) -> None:
    world.fill(50)
    memory = world.learned()
    for number in range(150):
        world.put(f"bulk-{number:03}", day, status=GO if day > FIRST else SUCCESS)
    look = world.look(memory)
    assert (len(look.changes), world.asked) == (150, 2)
    assert asked_for(look) == ([(day, day)] if day >= FIRST else [])
    world.carry_out(look)
    world.clock.advance(2 * MINUTE)
    settled = world.look(look.memory)
    assert (asked_for(settled), world.asked) == ([], 1)
    world.rests(settled.memory)


# Changes


@pytest.mark.parametrize(
    ("start", "to", "expected"),
    [
        (on(20), on(22), [(on(20), on(22))]),
        (on(22), on(20), [(on(20), on(22))]),
        (on(20), on(20), [(on(20), on(20))]),
        (on(10), on(80), [(on(10), on(10)), (on(80), on(80))]),
        (on(20), LAST + DAY, [(on(20), on(20))]),
        (LAST + DAY, on(20), [(on(20), on(20))]),
        (FIRST - DAY, FIRST, [(FIRST, FIRST)]),
        (FIRST, FIRST - DAY, [(FIRST, FIRST)]),
        (LAST, LAST + DAY, [(LAST, LAST)]),
        (LAST + DAY, LAST + 2 * DAY, []),
        (None, on(20), [(on(20), on(20))]),
        (None, LAST + DAY, []),
    ],
    ids=[
        "near",
        "earlier",
        "on its day",
        "far",
        "out",
        "in",
        "in at the start",
        "out at the start",
        "out at the end",
        "outside",
        "new",
        "new outside",
    ],
)
def test_a_change_asks_for_where_the_launch_stands_and_stood(
    world: World, start: date | None, to: date, expected: list[Range]
) -> None:
    world.fill(5)
    if start:
        world.put("a", start, ago=HOUR)
    memory = world.learned()
    world.put("a", to)
    look = world.look(memory)
    assert ([change.launch.id for change in look.changes], asked_for(look), world.asked) == (["a"], expected, 1)
    assert [request.because for request in look.requests] == [[str(look.changes[0])]] * len(expected)
    assert f"1 launch changed: {look.changes[0]}." in look.text
    world.carry_out(look)
    world.clock.advance(2 * MINUTE)
    settled = world.look(look.memory)
    assert settled.memory.due == {}
    world.rests(settled.memory)


def test_a_change_that_the_archive_shows_already_asks_for_nothing(world: World) -> None:
    world.put("a", on(20), ago=HOUR)
    memory = world.learned()
    world.put("a", on(22))
    world.bring(on(20), on(22))
    look = world.look(memory)
    assert (len(look.changes), asked_for(look), look.memory.due) == (1, [], {})
    world.rests(look.memory)


@pytest.mark.parametrize("brought", [[on(20)], [on(22)]], ids=["only the old day", "only the new day"])
def test_a_slip_of_which_the_archive_shows_one_half_is_due(world: World, brought: list[date]) -> None:
    world.put("a", on(20), ago=HOUR)
    world.bring(on(20), on(22))
    memory = world.learned()
    world.put("a", on(22))
    world.bring(*brought)
    assert asked_for(world.look(memory)) == [(on(20), on(22))]


def test_a_launch_that_changes_between_two_pages_is_not_lost() -> None:
    slipped = list[str]()

    def slip(path: str) -> None:
        if "last_updated__gte" in path and not slipped:
            slipped.append(path)
            world.clock.advance(MINUTE)
            world.put("b-120", on(60))

    with World.served(on_request=lambda request: slip(request.path)) as world:
        memory = world.learned()
        for number in range(150):
            world.put(f"b-{number:03}", on(50))
        first = world.look(memory)
        world.clock.advance(MINUTE)
        second = world.look(first.memory)
        assert {change.launch.id for look in (first, second) for change in look.changes} == set(world.rows)
        world.carry_out(first)
        world.carry_out(second)
        assert world.stored("b-120") == [on(60)]


# What is due


def test_a_change_is_asked_for_again_and_again_with_longer_rests_and_then_given_up(world: World) -> None:
    memory = world.learned()
    world.put("a", on(20))
    begin, at = world.clock.now, list[float]()
    text = ""
    while (world.clock.now - begin) < 3 * DAY:
        look = world.look(memory)
        if look.requests:
            assert asked_for(look) == [(on(20), on(20))]
            at.append((world.clock.now - begin) / MINUTE)
        elif memory.due:
            text = look.text
            assert "A: 2026-03-21, new" in text
        memory = look.memory
        world.clock.advance(10 * MINUTE)
    assert at == [0, 10, 40, 130, 400, *range(760, 3000, 360)]
    assert "Given up after 12 runs: A: 2026-03-21, new." in text
    assert memory.due == {}
    world.rests(memory)


def test_what_was_given_up_is_due_again_when_it_changes_again(world: World) -> None:
    memory = world.learned()
    world.put("a", on(20))
    memory = world.look(memory).memory
    memory = replace(memory, due={"a": replace(memory.due["a"], asked=12)})
    world.clock.advance(3 * DAY)
    given_up = world.look(memory)
    assert "Given up" in given_up.text
    world.put("a", on(21))
    assert asked_for(world.look(given_up.memory)) == [(on(20), on(21))]


def test_what_is_due_is_settled_by_whoever_brings_the_day(world: World) -> None:
    memory = world.learned()
    world.put("a", on(20))
    memory = world.look(memory).memory
    assert set(memory.due) == {"a"}
    world.bring(on(20))
    memory = world.look(memory).memory
    assert memory.due == {}
    world.rests(memory)


def test_a_run_that_read_the_library_too_early_settles_nothing(world: World) -> None:
    world.put("a", on(20), ago=HOUR)
    world.bring(on(20))
    memory = world.learned()
    world.put("a", on(20))
    look = world.look(memory)
    world.clock.advance(10 * MINUTE)
    again = world.look(look.memory)
    assert asked_for(again) == asked_for(look) == [(on(20), on(20))]
    assert keys(again) != keys(look)


def test_a_newer_change_starts_afresh_and_keeps_the_older_days(world: World) -> None:
    world.put("a", on(20), ago=HOUR)
    memory = world.learned()
    world.put("a", on(22))
    memory = world.look(memory).memory
    world.clock.advance(10 * MINUTE)
    memory = world.look(memory).memory
    world.put("a", on(24))
    world.clock.advance(MINUTE)
    look = world.look(memory)
    assert asked_for(look) == [(on(20), on(24))]
    assert look.memory.due["a"].asked == 1


@pytest.mark.parametrize("asked", [0, 1, 2])
def test_a_busy_day_is_waited_for_as_long_as_it_is_busy(world: World, asked: int) -> None:
    memory = world.learned()
    world.put("a", on(20))
    for _ in range(asked):
        memory = world.look(memory).memory
        world.clock.advance(30 * MINUTE)
    world.busy = [(on(15), on(20))]
    for _ in range(30):
        look = world.look(memory)
        assert not look.requests
        assert "Not yet in the storage: A: 2026-03-21, new." in look.text or look.changes
        memory = look.memory
        world.clock.advance(10 * MINUTE)
    world.busy = []
    assert asked_for(world.look(memory)) == [(on(20), on(20))]


def test_of_many_days_those_around_today_come_first_and_few_at_a_time(world: World) -> None:
    """Days forty apart are ranges of their own; three runs of the watch are under way."""
    memory = world.learned()
    world.first = date(2020, 1, 1)
    days = [NOW.date() - n * timedelta(days=40) for n in range(20)]
    for number, day in enumerate(days):
        world.put(f"old-{number:02}", day)
    world.own = 3
    look = world.look(memory)
    assert asked_for(look) == [(day, day) for day in sorted(days)[-7:]]
    world.own = 0
    later = world.look(look.memory)
    assert asked_for(later) == [(day, day) for day in sorted(days)[3:13]]


def test_a_day_that_is_busy_holds_up_no_other(world: World) -> None:
    memory = world.learned()
    world.put("a", on(20))
    world.put("b", on(70))
    world.busy = [(on(20), on(20))]
    look = world.look(memory)
    assert asked_for(look) == [(on(70), on(70))]
    world.busy = []
    assert asked_for(world.look(look.memory)) == [(on(20), on(20))]


def test_who_is_busy_is_not_asked_while_nothing_is_due(world: World) -> None:
    def unwelcome() -> Busy:
        raise AssertionError("There is no reason to ask.")

    memory = world.learned()
    with LaunchLibrary(world.url, mode="list") as library:
        watch = Watch(library, world.archive, first=FIRST, last=LAST, now=world.clock(), busy=unwelcome)
        assert watch.look(memory).requests == []


# Kills


def test_the_same_look_twice_gives_the_same_keys_and_a_later_one_others(world: World) -> None:
    world.put("a", on(10), ago=HOUR)
    memory = world.learned()
    world.put("a", on(80))
    look = world.look(memory)
    assert len(set(keys(look))) == 2
    world.clock.advance(5 * MINUTE)
    repeated = world.look(memory)
    assert keys(repeated) == keys(look)
    seen = set(keys(look))
    memory = repeated.memory
    for _ in range(5):
        world.clock.advance(3 * DAY)
        if (later := world.look(memory)).requests:
            assert seen.isdisjoint(keys(later))
            seen.update(keys(later))
        memory = later.memory


def test_a_launch_that_goes_to_and_fro_gives_other_keys_each_time(world: World) -> None:
    world.put("a", on(20), ago=HOUR)
    memory, seen = world.learned(), list[str]()
    for number in range(6):
        world.put("a", on(21 - number % 2))
        look = world.look(memory)
        world.carry_out(look)
        memory = look.memory
        seen += keys(look)
        world.clock.advance(MINUTE)
    assert len(set(seen)) == len(seen) == 6


def test_a_lost_memory_asks_for_what_changed_within_a_week_and_is_not_stored(world: World) -> None:
    world.put("new, not brought", on(5), ago=2 * DAY)
    world.put("slipped, old day stored", on(40), ago=HOUR)
    world.bring(on(40))
    world.put("slipped, old day stored", on(43))
    world.put("longer ago, not brought", on(80), ago=8 * DAY)
    world.put("shown", on(85), ago=DAY)
    world.bring(on(85))
    world.put("flown long ago", date(2026, 1, 5), status=SUCCESS)
    look = world.look(LOST)
    assert asked_for(look) == [(on(5), on(5)), (on(40), on(43))]
    assert look.text.startswith("The memory of earlier looks could not be read. Learned how 5 launches stand.")
    assert not look.memory.was_lost
    world.carry_out(look)
    world.clock.advance(2 * MINUTE)
    memory = world.look(look.memory).memory
    assert memory.due == {}
    world.rests(memory)


def test_a_launch_that_moves_right_after_the_memory_was_lost_leaves_its_old_day(world: World) -> None:
    world.put("a", on(20), ago=HOUR)
    world.bring(on(20))
    look = world.look(LOST)
    assert asked_for(look) == []
    world.clock.advance(MINUTE)
    world.put("a", on(80))
    second = world.look(look.memory)
    assert asked_for(second) == [(on(20), on(20)), (on(80), on(80))]


def test_the_throttle_does_not_make_a_look_forget_that_the_memory_was_lost() -> None:
    with World.served(throttle=1) as world:
        world.put("a", on(20), ago=DAY)
        look = world.look(LOST)
        assert look.memory.was_lost
        world.clock.advance(HOUR)
    with World.served() as other:
        other.rows, other.clock.now = world.rows, world.clock.now
        assert asked_for(other.look(look.memory)) == [(on(20), on(20))]


# Clocks


@pytest.mark.parametrize("wrong", [-3650 * DAY, -DAY, -2 * HOUR, -MINUTE, 2 * HOUR, DAY, 3652 * DAY], ids=str)
def test_a_clock_of_ours_that_is_wrong_for_a_while_loses_no_change(world: World, wrong: timedelta) -> None:
    world.fill(250)
    world.put("while it is wrong", on(20), ago=HOUR)
    world.put("afterwards", on(30), ago=HOUR)
    memory = world.learned()
    right = world.clock.now
    world.put("while it is wrong", on(22))

    world.clock.now = right + wrong
    quiet = world.look(memory)
    assert asked_for(quiet) == [(on(20), on(22))]
    world.carry_out(quiet)
    quiet = world.look(quiet.memory)
    assert (asked_for(quiet), world.asked) == ([], 1)

    world.clock.now = right + DAY
    world.put("afterwards", on(33))
    look = world.look(quiet.memory)
    assert (asked_for(look), world.asked) == ([(on(30), on(33))], 1)
    world.carry_out(look)
    world.rests(world.look(look.memory).memory)


@pytest.mark.parametrize("wrong", [-3650 * DAY, -HOUR, 3652 * DAY], ids=str)
def test_a_first_look_by_a_wrong_clock_learns_the_same(world: World, wrong: timedelta) -> None:
    world.fill(50)
    world.put("a", on(20), ago=HOUR)
    right = world.clock.now
    world.clock.now = right + wrong
    memory = world.look(EMPTY).memory
    assert all(memory.before(launch_id) for launch_id in world.rows)
    world.clock.now = right
    world.put("a", on(22))
    look = world.look(memory)
    assert (asked_for(look), world.asked) == ([(on(20), on(22))], 1)


def test_what_was_asked_for_while_the_clock_was_ahead_is_asked_for_again(world: World) -> None:
    memory = world.learned()
    world.put("a", on(20))
    world.clock.advance(3652 * DAY)
    memory = world.look(memory).memory
    world.clock.advance(-3652 * DAY)
    look = world.look(memory)
    assert asked_for(look) == [(on(20), on(20))]
    world.clock.advance(MINUTE)
    assert asked_for(world.look(look.memory)) == []


def test_a_clock_that_jumps_to_and_fro_asks_for_a_change_twelve_times_at_most(world: World) -> None:
    memory = world.learned()
    world.put("a", on(20))
    times = 0
    for number in range(40):
        world.clock.advance((1 if number % 2 else -1) * 3652 * DAY)
        look = world.look(memory)
        times += len(look.requests)
        memory = look.memory
    assert times == 12


@pytest.mark.parametrize("when", ["before the first look", "later"])
def test_an_update_from_the_year_2036_hides_no_other_however_long_one_does_not_look(world: World, when: str) -> None:
    def from_the_future() -> None:
        world.put("a", on(20), last_updated="2036-01-01T00:00:00Z")

    world.fill(150)
    world.put("b", on(50), ago=HOUR)
    if when == "before the first look":
        from_the_future()
        memory = world.learned()
    else:
        memory = world.learned()
        from_the_future()
        look = world.look(memory)
        world.carry_out(look)
        memory = world.look(look.memory).memory
    world.rests(memory)
    world.put("b", on(52))
    world.clock.advance(2 * DAY)
    look = world.look(memory)
    assert (asked_for(look), world.asked) == ([(on(50), on(52))], 1)
    world.carry_out(look)
    world.rests(world.look(look.memory).memory)


@pytest.mark.parametrize("lately", [0, 120], ids=["few", "many"])
def test_a_library_whose_clock_is_set_back_by_half_an_hour_hides_no_change(world: World, lately: int) -> None:
    world.fill(20)
    for number in range(lately):
        world.put(f"lately-{number:03}", on(100), ago=number * timedelta(seconds=10))
    world.put("slips", on(20), ago=2 * HOUR)
    world.put("stays", on(22), ago=5 * MINUTE if not lately else 2 * HOUR)
    world.bring(on(20), on(22))
    memory = world.learned()
    world.library_is_ahead = -30 * MINUTE
    world.put("slips", on(80))
    world.put("stays", on(22), image="https://media.example/other.png")
    look = world.look(memory)
    assert asked_for(look) == [(on(20), on(22)), (on(80), on(80))]
    world.carry_out(look)
    memory = world.look(look.memory).memory
    assert memory.due == {}
    world.rests(memory)


# Histories


PLACES = [FIRST - 2 * DAY, FIRST, on(5), on(6), on(8), on(9), on(30), on(31), on(80), LAST, LAST + DAY]
LAUNCHES = st.sampled_from("abcde")
FATES = ["carried out", "late", "lost", "killed halfway", "memory not kept", "neither"]
STEPS = st.one_of(
    st.tuples(st.just("move"), LAUNCHES, st.sampled_from(PLACES)),
    st.tuples(st.just("update"), LAUNCHES, st.sampled_from(["again", "flown", "another picture"])),
    st.tuples(st.just("look"), st.sampled_from(FATES), st.integers(0, 200)),
    st.tuples(st.just("bring"), st.just(""), st.sampled_from(PLACES)),
    st.tuples(st.sampled_from(["run late", "lose the memory"]), st.just(""), st.none()),
)


class History:
    """What happens to a world that is watched.

    A launch moves once between two looks, or more often if no day was brought meanwhile: a day on which it stood and
    was stored while nobody looked is one of which nobody knows.
    """

    def __init__(self, world: World, planned: Mapping[str, date], brought: set[date]) -> None:
        self.world = world
        for name, day in planned.items():
            world.put(name, day, ago=HOUR)
        world.bring(*brought)
        self.memory = world.look(EMPTY).memory
        self.changed, self.moved, self.held = set[str](), set[str](), set[str]()
        self.late = list[Look]()
        self.losses = 0

    def step(self, what: str, which: str, more: Any) -> None:
        """Let one thing happen."""
        self.world.clock.advance(timedelta(seconds=1))
        if what == "move" and which not in self.held:
            self._change(which, more, SUCCESS if self._has_flown(which) else GO)
            self.moved.add(which)
        elif what == "update" and which in self.world.rows:
            day = date.fromisoformat(self.world.rows[which]["net"][:10])
            flown = more == "flown" or self._has_flown(which)
            self._change(which, day, SUCCESS if flown else GO, image=f"https://media.example/{more[:7]}.png")
        elif what == "look":
            self._look(which, more * MINUTE)
        elif what == "bring" and FIRST <= more <= LAST:
            self._brought(lambda: self.world.bring(more))
        elif what == "run late":
            self._brought(lambda: [self.world.carry_out(look) for look in self.late])
            self.late.clear()
        elif what == "lose the memory":
            self.memory = LOST

    def ends(self) -> None:
        """Time passes, every run is carried out, and then each launch stands where it should, and there is rest."""
        self.step("run late", "", None)
        for _ in range(8):
            self._look("carried out", 41 * HOUR)
        assert self.memory.due == {}
        self.world.rests(self.memory)
        for name in self.changed:
            row = self.world.rows[name]
            day = date.fromisoformat(row["net"][:10])
            assert self.world.stored(name) == ([day] if FIRST <= day <= LAST else [])
            if FIRST <= day <= LAST:
                assert row in [launch.row for launch in self.world.archive.read_launches(day)]

    def _has_flown(self, name: str) -> bool:
        return name in self.world.rows and self.world.rows[name]["status"]["id"] == SUCCESS

    def _change(self, name: str, day: date, status: int, **more: Any) -> None:
        self.world.put(name, day, status=status, **more)
        self.changed.add(name)

    def _look(self, fate: str, after: timedelta) -> None:
        self.world.clock.advance(after)
        look = self.world.look(self.memory)
        # A change is given up after twelve runs; so many are not lost here.
        if fate in ("lost", "killed halfway") and self.losses == 5:
            fate = "carried out"
        if fate not in ("memory not kept", "neither"):
            self.memory = look.memory
            self.moved.clear()
            self.held.clear()
        if fate in ("carried out", "memory not kept"):
            self._brought(lambda: self.world.carry_out(look))
        elif fate == "late":
            self.late.append(look)
        elif fate in ("lost", "killed halfway") and look.requests:
            self.losses += 1
            if fate == "killed halfway":
                self._brought(lambda: self.world.bring(look.requests[0].start))

    def _brought(self, bring: Callable[[], object]) -> None:
        bring()
        self.held |= self.moved


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    planned=st.dictionaries(LAUNCHES, st.sampled_from(PLACES), max_size=4),
    brought=st.sets(st.sampled_from(PLACES[1:-1])),
    steps=st.lists(STEPS, max_size=25),
)
def test_whatever_happens_each_launch_that_changed_comes_to_stand_on_its_day(
    planned: dict[str, date], brought: set[date], steps: list[tuple[str, str, Any]]
) -> None:
    with World.served() as world:
        history = History(world, planned, brought)
        for step in steps:
            history.step(*step)
        history.ends()


# The throttle, and failures


def test_at_the_throttle_nothing_is_asked_until_it_opens_and_nothing_is_lost() -> None:
    with World.served(throttle=3, throttle_window=30 * MINUTE) as world:
        memory = world.learned()
        memory = world.look(memory).memory
        world.put("a", on(20))
        throttled = world.look(memory)
        assert (asked_for(throttled), world.asked) == ([], 1)
        until = "2026-03-10 12:30:00 UTC"
        assert throttled.text == f"The throttle of the Launch Library is reached; the next look is after {until}."
        asleep = world.look(throttled.memory)
        assert (asked_for(asleep), world.asked) == ([], 0)
        assert asleep.text == f"The throttle of the Launch Library opens at {until}."
        assert asleep.memory.dump() == throttled.memory.dump()
        world.clock.now = NOW + 30 * MINUTE
        look = world.look(asleep.memory)
        assert (asked_for(look), look.memory.asleep_until) == ([(on(20), on(20))], None)


@pytest.mark.parametrize(
    "retry_after", ["31536000", "99999999999999999999", "9" * 400, "Fri, 10 Mar 2090 00:00:00 GMT"]
)
def test_a_throttle_for_a_year_is_asked_again_after_an_hour(world: World, retry_after: str) -> None:
    with ScriptedServer(lambda _: Answer(429, headers={"Retry-After": retry_after})) as server:
        world.url, good = server.url("/2.3.0/"), world.url
        look = world.look(EMPTY)
        assert look.memory.asleep_until == world.clock.now + HOUR
        world.url = good
    world.clock.advance(HOUR)
    assert world.look(look.memory).memory.since


def test_a_clock_that_runs_back_does_not_keep_the_watch_asleep(world: World) -> None:
    memory = replace(world.learned(), asleep_until=world.clock.now + 30 * MINUTE)
    world.clock.advance(-3650 * DAY)
    world.look(memory)
    assert world.asked == 1


def test_a_first_look_that_meets_the_throttle_on_its_way_begins_again() -> None:
    with World.served(throttle=3) as world:
        world.fill(150)
        world.look(EMPTY)
        world.clock.advance(30 * MINUTE)
        throttled = world.look(EMPTY)
        assert (throttled.memory.since, throttled.memory.standing, asked_for(throttled)) == (None, {}, [])
        world.clock.now = NOW + HOUR
        look = world.look(throttled.memory)
        assert (world.asked, look.memory.launches_on.total()) == (3, 150)


def test_what_the_throttle_keeps_from_being_read_is_read_by_later_looks() -> None:
    """Three requests an hour, and five pages: each look gets further, and what comes meanwhile is not missed."""
    with World.served(throttle=3) as world:
        memory = world.learned()
        for number in range(450):
            world.put(f"bulk-{number:03}", on(50), ago=-number * timedelta(seconds=1))
        world.clock.advance(HOUR)
        changed, looks = [], []
        while not looks or looks[-1].memory.asleep_until:
            looks.append(world.look(memory))
            changed += [change.launch.id for change in looks[-1].changes]
            memory = looks[-1].memory
            world.put(f"meanwhile-{len(looks)}", on(52))
            world.clock.advance(HOUR)
        assert len(looks) <= 4
        assert "The throttle of the Launch Library is reached" in looks[0].text
        last = world.look(memory)
        changed += [change.launch.id for change in last.changes]
        assert sorted(changed) == sorted(
            [*(f"bulk-{number:03}" for number in range(450)), *(f"meanwhile-{n + 1}" for n in range(len(looks)))]
        )
        assert last.memory.unread is None


@pytest.mark.parametrize("came", [Answer(500), Answer(503), Answer(reset=True)], ids=["500", "503", "reset"])
def test_a_library_that_fails_costs_a_look_and_no_change(world: World, came: Answer) -> None:
    memory = world.learned()
    world.put("a", on(20))
    good = world.url
    with ScriptedServer(lambda _: came) as server:
        world.url = server.url("/2.3.0/")
        for _ in range(3):
            with pytest.raises(Unavailable):
                world.look(memory)
    # Now nothing listens there any more.
    with pytest.raises(Unavailable):
        world.look(memory)
    world.url = good
    world.clock.advance(3 * DAY)
    assert asked_for(world.look(memory)) == [(on(20), on(20))]


# Size


def test_400_planned_launches_are_remembered_in_60_kilobytes_and_looked_at_in_no_time(world: World) -> None:
    for number in range(400):
        world.put(str(uuid.UUID(int=number << 64)), on(number), ago=number * HOUR)
    memory = world.learned()
    text = memory.dump()
    assert len(text.encode()) < 60_000
    with LaunchLibrary(world.url, mode="list") as library:
        begin = time.thread_time()
        watch = Watch(library, world.archive, first=FIRST, last=LAST, now=world.clock())
        assert watch.look(Memory.read(text)).memory.dump() == text
        assert time.thread_time() - begin < 0.5


def test_launches_that_have_flown_are_forgotten_after_a_month(world: World) -> None:
    world.put("flown", on(8), status=SUCCESS, ago=DAY)
    world.put("late", on(8), ago=DAY)
    memory = world.learned()
    world.clock.advance(31 * DAY)
    world.put("a", on(50))
    memory = world.look(memory).memory
    assert [launch_id for launch_id in world.rows if memory.before(launch_id)] == ["late", "a"]


def test_a_launch_that_moves_twice_between_two_looks_leaves_the_day_in_between_too(world: World) -> None:
    """Another run, such as the schedule's, brought that day meanwhile."""
    world.put("a", on(20))
    world.bring(on(20))
    memory = world.learned()
    world.put("a", on(24))
    world.bring(on(20), on(24))
    world.clock.advance(MINUTE)
    world.put("a", on(21))
    world.clock.advance(MINUTE)
    look = world.look(memory)
    assert asked_for(look) == [(on(20), on(24))]
    world.carry_out(look)
    assert world.stored("a") == [on(21)]


def test_a_planned_launch_that_was_long_overdue_at_the_first_look_leaves_its_day(world: World) -> None:
    """More than a page of others were updated after it, and its day lies before the days that the look asks for."""
    world.put("a", FIRST, ago=100 * DAY)
    world.fill(120)
    world.bring(FIRST)
    world.clock.advance(LAST - FIRST)
    world.put("late", LAST)
    memory = world.learned()
    world.put("a", LAST)
    look = world.look(memory)
    assert FIRST in {start for start, _ in asked_for(look)}
    world.carry_out(look)
    assert world.stored("a") == [LAST]
