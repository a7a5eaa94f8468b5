"""Months of recorded slips, ten minutes at a time: what is stored is what the library tells, and it costs little.

All that changed in the real library is told again by a server that lives through those months. Two machines follow it:
the plain half of the project alone, through the whole recordings, and the sensor, schedule, condition and runs of
Dagster, through some dense days, or through everything with ROCKET_ASSETS_FULL_REPLAY. After each tick, every launch
stands on its one day and shows its picture, to the byte.

The recordings belong to others and are not part of the project. ROCKET_ASSETS_RECORDINGS names the folder that holds
them.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Protocol

import dagster as dg
import pytest
import requests

from rocket_assets.archive import Archive
from rocket_assets.bringing import bring_images
from rocket_assets.defs.schedules import DAYS_BACK
from rocket_assets.errors import Damaged, Missing
from rocket_assets.images import ImageLibrary
from rocket_assets.launch_library import LaunchLibrary
from rocket_assets.launches import data_version
from rocket_assets.memory import Memory
from rocket_assets.sample_library.server import MEDIA, LibraryServer
from rocket_assets.sample_library.server import Request as Asked
from rocket_assets.storage import IMAGES, LAUNCHES, Storage, day_of
from rocket_assets.watch import Watch
from rocket_assets_tests.project import Daemon, Project, Run, in_ranges
from rocket_assets_tests.recordings import FOLDER, needed
from rocket_assets_tests.replay import MONTHS_OF_2025, MONTHS_OF_2026, Clock, Replay, Row, library
from rocket_assets_tests.scripted_server import HERE, JSON, Answer, Request, ScriptedServer

FULL = bool(os.environ.get("ROCKET_ASSETS_FULL_REPLAY"))
DAY, HOUR, TICK = timedelta(days=1), timedelta(hours=1), timedelta(minutes=10)
FIRST, DAYS_AHEAD = date(1957, 10, 4), timedelta(days=14)
SCHEDULE = time(0, 20)

pytestmark = needed


class Machine(Protocol):
    """What follows the library. Each step is done when it returns, its runs included."""

    runs: list[Run]
    doing: str

    def sensor(self) -> None:
        """Look for changes, and bring their days."""
        ...

    def schedule(self) -> None:
        """Bring the days around today."""
        ...

    def pictures(self, cause: str) -> None:
        """Bring the pictures of the days whose launches are not those that they were brought for."""
        ...

    def wake(self) -> None:
        """Go on with what has waited."""
        ...


class Plain:
    """The plain half of the project alone, put together as `defs` does."""

    def __init__(self, url: str, storage: Storage, clock: Clock) -> None:
        self.runs: list[Run] = []
        self.doing = ""
        self._archive, self._clock = Archive(storage), clock
        self._list, self._library = LaunchLibrary(url, mode="list"), LaunchLibrary(url)
        self._memory = ""
        self._touched: set[date] = set()

    def sensor(self) -> None:
        self.doing = "look"
        now = self._clock()
        watch = Watch(self._list, self._archive, first=FIRST, last=now.date() + DAYS_AHEAD, now=now)
        look = watch.look(Memory.read(self._memory))
        self._memory = look.memory.dump()
        for request in look.requests:
            self._bring(request.start, request.end, "sensor")

    def schedule(self) -> None:
        today = self._clock().date()
        self._bring(today - DAYS_BACK * DAY, today + DAYS_AHEAD, "schedule")

    def pictures(self, cause: str) -> None:
        behind = [day for day in sorted(self._touched) if self._is_behind(day)]
        self._touched.clear()
        for start, end in in_ranges(behind):
            with ImageLibrary(self._archive.storage, api_url=HERE, workers=4) as pictures:
                errors = [day.error for day in bring_images(self._archive, _days(start, end), pictures) if day.error]
            self.runs.append(Run("launch_images", start, end, cause, self._clock(), "; ".join(map(str, errors))))

    def wake(self) -> None:
        """Nothing has waited."""

    def _bring(self, start: date, end: date, cause: str) -> None:
        self.doing = f"{cause} run"
        for day in self._library.days(start, end + DAY):
            self._archive.write_launches(day.day, day.source, day.launches)
            self._touched.add(day.day)
        self.runs.append(Run("launches", start, end, cause, self._clock()))

    def _is_behind(self, day: date) -> bool:
        try:
            manifest = self._archive.read_manifest(day)
        except (Missing, Damaged):
            return True
        return manifest.launches_version != data_version(self._archive.read_launches(day))


Shown = tuple[str | None, str | None]
"""The address of a picture, and the digest of its bytes."""


class Witness:
    """Knows what the library tells, looks into the archive, and says where the two differ.

    A launch is `told` once a look must have found a change of it, or the schedule must have brought its day: from then
    on it has to stand. One that was not told may be missing, but it never stands on a wrong day. `late` are those of
    which something has changed that only the schedule can see.
    """

    def __init__(self, replay: Replay, base_url: str, archive: Archive, *, sees_all: bool = True) -> None:
        self.told: set[str] = set()
        self.late: set[str] = set()
        self._replay, self._base_url, self._archive = replay, base_url, archive
        self._hidden = [] if sees_all else replay.hidden
        self._looked_at: tuple[datetime, dict[str, Row]] | None = None
        self._launches: dict[date, dict[str, Row]] = {}
        self._pictures: dict[date, dict[str, Shown]] = {}
        self._digests: dict[str | None, str | None] = {None: None}

    def looked(self, now: datetime) -> None:
        """The sensor has looked; the first look only learns."""
        rows = self._rows(now)
        if self._looked_at:
            last, before = self._looked_at
            hidden = {launch_id for launch_id, moment in self._hidden if last < moment <= now}
            changed = {launch_id for launch_id, row in rows.items() if row is not before.get(launch_id)}
            self.late = (self.late - changed) | hidden
            near = {launch_id for launch_id in changed if FIRST <= _day(rows[launch_id]) <= now.date() + DAYS_AHEAD}
            self.told = (self.told - changed) | (near - hidden) | (near & hidden & self.told)
        self._looked_at = now, rows

    def scheduled(self, now: datetime) -> None:
        """The schedule has run."""
        start, end = now.date() - DAYS_BACK * DAY, now.date() + DAYS_AHEAD
        near = {launch_id for launch_id, row in self._rows(now).items() if start <= _day(row) <= end}
        self.told |= near
        self.late -= near

    def brought(self, runs: Iterable[Run]) -> None:
        """These runs have ended: what do their days hold now?"""
        for run in runs:
            for day in _days(run.start, run.end):
                self._read(day)

    def problems(self, now: datetime) -> dict[str, str]:
        """Which launches are not as they should be, and why."""
        rows, found = self._rows(now), dict[str, str]()
        stands: dict[str, set[date]] = defaultdict(set)
        for day, stored in self._launches.items():
            for launch_id in stored:
                stands[launch_id].add(day)
            if odd := stored.keys() ^ self._pictures.get(day, {}).keys():
                found |= dict.fromkeys(odd, f"is on {day} without its entry, or the entry without it")
        for launch_id, days in stands.items():
            day = _day(rows[launch_id]) if launch_id in rows else None
            if days != {day}:
                found[launch_id] = f"stands on {sorted(map(str, days))}, and not on {day}"
            elif day and self._launches[day][launch_id] != rows[launch_id]:
                found[launch_id] = f"differs: {self._launches[day][launch_id]}, and not {rows[launch_id]}"
            elif day and self._pictures[day].get(launch_id) != self._picture(rows[launch_id]):
                found[launch_id] = f"shows {self._pictures[day].get(launch_id)}, not {self._picture(rows[launch_id])}"
        return found | {one: f"is missing on {_day(rows[one])}" for one in self.told - stands.keys()}

    def is_all_there_is(self) -> bool:
        """Whether the whole archive, read again, holds what is known of it, and not a day more."""
        launches, pictures = dict(self._launches), dict(self._pictures)
        days = {day_of(stored.key) for folder in (LAUNCHES, IMAGES) for stored in self._archive.storage.list(folder)}
        for day in days:
            assert day
            self._read(day)
        return (launches, pictures) == (self._launches, self._pictures) and days == launches.keys()

    def _read(self, day: date) -> None:
        try:
            self._launches[day] = {launch.id: dict(launch.row) for launch in self._archive.read_launches(day)}
            self._pictures[day] = {
                entry.launch_id: (entry.source_url, entry.sha256) for entry in self._archive.read_manifest(day).entries
            }
        except Missing:
            pass

    def _rows(self, now: datetime) -> dict[str, Row]:
        return {row["id"]: row for row in self._replay.rows(self._base_url, now)}

    def _picture(self, row: Row) -> Shown:
        url = row["image"] and row["image"]["image_url"]
        if url not in self._digests:
            body = self._replay.picture(url.rpartition("/")[2])
            assert body
            self._digests[url] = hashlib.sha256(body).hexdigest()
        return url, self._digests[url]


def _day(row: Row) -> date:
    return datetime.fromisoformat(row["net"]).astimezone(UTC).date()


def _days(start: date, end: date) -> list[date]:
    return [date.fromordinal(number) for number in range(start.toordinal(), end.toordinal() + 1)]


@dataclass
class Stage:
    """A replay with its clock and its server, and who follows it."""

    replay: Replay
    clock: Clock
    server: LibraryServer
    storage: Storage
    asked: list[tuple[datetime, str]] = field(default_factory=list)
    """The requests to the API: when, and what for."""
    machine: Machine | None = None

    def note(self, request: Asked) -> None:
        if self.machine and not request.path.startswith(MEDIA):
            self.asked.append((self.clock(), self.machine.doing))


@contextmanager
def staged(replay: Replay, start: datetime, storage: Storage, throttle: int | None = None) -> Iterator[Stage]:
    clock = Clock(start)
    with library(replay, clock, throttle=throttle, on_request=lambda request: stage.note(request)) as server:
        stage = Stage(replay, clock, server, storage)
        yield stage


def ticks(replay: Replay, start: datetime, end: datetime, *, hourly: bool = False) -> list[datetime]:
    """When to look: at the first full ten minutes after each change, at 00:20, and when nothing has changed.

    The latter is once after each change or, where `hourly` is true, at each full hour.
    """
    changes = {_rounded_up(moment) for moment in replay.moments if start < moment <= end}
    days = [datetime.combine(day, SCHEDULE, UTC) for day in _days(start.date(), end.date())]
    hours = {_rounded_up(start, HOUR) + number * HOUR for number in range((end - start) // HOUR)} if hourly else set()
    quiet = hours or {moment + TICK for moment in changes}
    return [now for now in sorted({start, *changes, *quiet, *days}) if start <= now <= end + TICK]


def _rounded_up(moment: datetime, to: timedelta = TICK) -> datetime:
    past = (moment - datetime.min.replace(tzinfo=UTC)) % to
    return moment + (to - past if past else timedelta(0))


def play(
    stage: Stage,
    machine: Machine,
    witness: Witness,
    times: list[datetime],
    *,
    turn: Callable[[], None] | None = None,
    is_checked: bool = True,
) -> set[str]:
    """Let the machine follow the library, and hold what it has stored against what the library tells, tick by tick.

    Returns: the launches that were wrong at a tick and could not be seen to be.
    """
    stage.machine, late = machine, set[str]()
    for number, now in enumerate(times):
        stage.clock.set(now)
        done = len(machine.runs)
        machine.wake()
        if now.time() == SCHEDULE:
            machine.schedule()
            machine.pictures("schedule")
            witness.scheduled(now)
        (turn or machine.sensor)()
        machine.pictures("sensor")
        witness.looked(now)
        witness.brought(machine.runs[done:])
        if is_checked:
            wrong = witness.problems(now)
            late |= wrong.keys() & witness.late
            assert {one: why for one, why in wrong.items() if one not in witness.late} == {}, now
            assert number % 250 or witness.is_all_there_is()
    assert witness.is_all_there_is()
    stage.machine = None
    return late


def figures(name: str, stage: Stage, machine: Machine, times: list[datetime]) -> str:
    """What a day costs, by what it is for: requests to the API, runs of launches, runs of pictures."""
    days = (times[-1] - times[0]) / DAY
    asked = Counter(what for _, what in stage.asked)
    runs = Counter((run.asset, run.cause) for run in machine.runs)
    looks = f"{len(times)} looks took {asked['look']} requests"
    rows = [
        f"{cause:10}{asked[cause + ' run'] / days:12.2f}"
        f"{runs['launches', cause] / days:12.2f}{runs['launch_images', cause] / days:12.2f}"
        for cause in ("schedule", "sensor")
    ]
    busiest = Counter(moment.replace(minute=0) for moment, what in stage.asked if what != "look").most_common(1)
    head = f"{'a day':10}{'requests':>12}{'launches':>12}{'pictures':>12}"
    return "\n".join([f"{name}: {days:.1f} days; {looks}; busiest hour but for looks {busiest}", head, *rows])


TWO_DAYS = datetime(2026, 3, 26, tzinfo=UTC)
both_recordings = pytest.mark.parametrize("name", [MONTHS_OF_2025, MONTHS_OF_2026], ids=["2025", "2026"])


@pytest.fixture
def memory(request: pytest.FixtureRequest) -> Iterator[Storage]:
    """A storage without a disk, for what writes much."""
    storage = Storage(f"memory://{request.node.name}")
    yield storage
    storage.delete([stored.key for stored in storage.list()])


@pytest.mark.slow
@both_recordings
def test_the_archive_is_what_the_library_tells_at_every_tick_of_the_recorded_months(name: str, memory: Storage) -> None:
    replay = Replay.of(FOLDER / name, repair=True)
    times = ticks(replay, _rounded_up(replay.start), replay.end)
    with staged(replay, times[0], memory) as stage:
        machine = Plain(stage.server.url, memory, stage.clock)
        play(stage, machine, Witness(replay, stage.server.base_url, Archive(memory)), times)
    assert [run for run in machine.runs if run.failure] == []


# As recorded, a picture is sometimes replaced without a new `last_updated`. No look can find that; the schedule does,
# or a run for another change. Sixteen times in these months: five times the launch had a day that is not yet stored,
# and eleven times, for nine launches, one to which the schedule came within a day. So none stays wrong for ever.
@pytest.mark.parametrize(
    ("name", "late"),
    [(MONTHS_OF_2025, 2), pytest.param(MONTHS_OF_2026, 7, marks=pytest.mark.slow)],
    ids=["2025", "2026"],
)
def test_what_the_library_changes_without_a_word_is_late_until_the_schedule_comes(
    name: str, late: int, memory: Storage
) -> None:
    replay = Replay.of(FOLDER / name)
    around = [(moment - DAY, moment + 3 * DAY) for _, moment in replay.hidden]
    times = [
        now
        for now in ticks(replay, _rounded_up(replay.start), replay.end)
        if any(start < now < end for start, end in around)
    ]
    with staged(replay, times[0], memory) as stage:
        machine = Plain(stage.server.url, memory, stage.clock)
        witness = Witness(replay, stage.server.base_url, Archive(memory), sees_all=False)
        assert len(play(stage, machine, witness, times)) == late
        assert witness.problems(times[-1]) == {}


def test_without_its_sensor_the_archive_falls_behind_and_the_witness_says_so(memory: Storage) -> None:
    replay = Replay.of(FOLDER / MONTHS_OF_2026, repair=True)
    times = ticks(replay, TWO_DAYS, TWO_DAYS + DAY)
    with staged(replay, TWO_DAYS, memory) as stage:
        witness = Witness(replay, stage.server.base_url, Archive(memory))
        play(stage, Plain(stage.server.url, memory, stage.clock), witness, times, turn=lambda: None, is_checked=False)
        told = Counter(why.split()[0] for why in witness.problems(times[-1]).values())
        assert told == {"stands": 5, "differs:": 5, "is": 1}


@pytest.mark.parametrize(
    ("name", "start"),
    [
        (MONTHS_OF_2025, datetime(2025, 7, 23, tzinfo=UTC)),
        pytest.param(MONTHS_OF_2026, datetime(2026, 3, 30, tzinfo=UTC), marks=pytest.mark.slow),
    ],
    ids=["2025", "2026"],
)
def test_dagster_keeps_the_archive_at_what_the_library_tells(
    name: str, start: datetime, storage: Storage, instance: dg.DagsterInstance
) -> None:
    replay = Replay.of(FOLDER / name, repair=True)
    start, end = (_rounded_up(replay.start), replay.end) if FULL else (start, start + 3 * DAY)
    times = ticks(replay, start, end, hourly=True)
    with staged(replay, start, storage) as stage:
        machine = Daemon(Project(stage.server.url, storage, instance, clock=stage.clock))
        play(stage, machine, Witness(replay, stage.server.base_url, Archive(storage)), times)
        assert [run for run in machine.runs if run.failure] == []
        print(figures(name, stage, machine, times))


# Two days of 2026 with many slips, and some hours after them in which nothing fails any more.


class Door:
    """Stands before the library, and answers in its place where `instead` has an answer."""

    def __init__(self, server: LibraryServer) -> None:
        self.instead: Callable[[Request], Answer | None] = lambda _: None
        self.asked: list[Request] = []
        self._server = server

    def __call__(self, request: Request) -> Answer:
        self.asked.append(request)
        if answer := self.instead(request):
            return answer
        given = requests.get(f"{self._server.base_url}{request.path}", timeout=10)
        again = {name: given.headers[name] for name in ("Retry-After",) if name in given.headers}
        return Answer(given.status_code, given.content, JSON, again)


@dataclass
class Play:
    """Two days that somebody disturbs."""

    stage: Stage
    door: Door
    daemon: Daemon
    storage: Storage

    def go(self, turn: Callable[[], None] | None = None) -> None:
        """Follow the library for two days and a few hours; in the end everything is as the library tells."""
        witness = Witness(self.stage.replay, self.stage.server.base_url, Archive(self.storage))
        times = ticks(self.stage.replay, TWO_DAYS, TWO_DAYS + 2 * DAY, hourly=True)
        times += [times[-1] + number * TICK for number in range(1, 19)]
        play(self.stage, self.daemon, witness, times, turn=turn, is_checked=False)
        assert witness.problems(times[-1]) == {}

    def hour(self) -> float:
        """Hours since the beginning."""
        return (self.stage.clock() - TWO_DAYS) / HOUR

    def runs(self, *, failed: bool = False) -> int:
        """How many runs brought launches, or failed to."""
        return sum(run.asset == "launches" and bool(run.failure) == failed for run in self.daemon.runs)


@contextmanager
def playing(storage: Storage, instance: dg.DagsterInstance, throttle: int | None = None) -> Iterator[Play]:
    replay = Replay.of(FOLDER / MONTHS_OF_2026, repair=True)
    with staged(replay, TWO_DAYS, storage, throttle) as stage:
        door = Door(stage.server)
        with ScriptedServer(door) as server:
            project = Project(server.url("/2.3.0/"), storage, instance, clock=stage.clock)
            yield Play(stage, door, Daemon(project, backoff=0), storage)


@dataclass(frozen=True)
class Calm:
    """Two days that nobody disturbed."""

    runs: int
    asked: int


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Calm:
    storage = Storage(str(tmp_path_factory.mktemp("calm")))
    with dg.DagsterInstance.ephemeral(str(tmp_path_factory.mktemp("dagster"))) as made, playing(storage, made) as two:
        two.go()
        assert two.runs(failed=True) == 0
        return Calm(two.runs(), len(two.door.asked))


@pytest.fixture
def two_days(storage: Storage, instance: dg.DagsterInstance) -> Iterator[Play]:
    with playing(storage, instance) as two:
        yield two


def _is_look(request: Request) -> bool:
    return "mode=list" in request.path


@contextmanager
def in_the_way(storage: Storage) -> Iterator[None]:
    """A storage that cannot be written to, but read."""
    folder = Path(storage.uri) / ".writable"
    folder.mkdir()
    yield
    folder.rmdir()


@pytest.mark.slow
def test_what_changes_while_looks_fail_is_found_by_the_next_one(two_days: Play, calm: Calm) -> None:
    """For four hours the server has a problem of its own; for eight, every connection is broken off."""
    failed = list[float]()

    def instead(asked: Request) -> Answer | None:
        hour = two_days.hour()
        if not _is_look(asked) or not 6 <= hour < 18:
            return None
        failed.append(hour)
        return Answer(500) if hour < 10 else Answer(reset=True)

    two_days.door.instead = instead
    two_days.go()
    assert two_days.runs(failed=True) == 0
    assert two_days.runs() < calm.runs
    # A look that fails has asked four times, and is no more than another look.
    assert len(failed) == 4 * len(set(failed)) > 0
    assert len(two_days.door.asked) < calm.asked + len(failed)


@pytest.mark.slow
def test_days_whose_runs_fail_at_the_library_are_brought_later(two_days: Play, calm: Calm) -> None:
    """For three hours, and for three more in which the schedule comes."""
    two_days.door.instead = lambda asked: (
        Answer(500) if not _is_look(asked) and (6 <= two_days.hour() < 9 or 22 <= two_days.hour() < 25) else None
    )
    two_days.go()
    assert 0 < two_days.runs(failed=True) <= 10
    assert two_days.runs() < calm.runs
    assert len(two_days.door.asked) <= calm.asked + 4 * two_days.runs(failed=True)


@pytest.mark.slow
def test_days_whose_runs_fail_at_the_storage_are_brought_later(two_days: Play, calm: Calm) -> None:
    """For three hours, and for three more in which the schedule comes."""

    def turn() -> None:
        if 6 <= two_days.hour() < 9 or 22 <= two_days.hour() < 25:
            with in_the_way(two_days.storage):
                two_days.daemon.sensor()
        else:
            two_days.daemon.sensor()

    two_days.go(turn)
    assert 0 < two_days.runs(failed=True) <= 10
    # What cannot be stored is not asked for.
    assert len(two_days.door.asked) < calm.asked


@pytest.mark.slow
def test_a_kill_between_the_request_of_a_run_and_the_record_of_it_loses_nothing(two_days: Play, calm: Calm) -> None:
    """At each look that asks for runs something else is lost: one run or all, the cursor, both, or every memory."""
    daemon, kills = two_days.daemon, list[str]()
    lost = "cursor", "runs", "runs and cursor", "failed runs and cursor", "runs and memory", "runs, memory unreadable"

    def turn() -> None:
        before = daemon.cursor
        if not (found := daemon.look()):
            return
        kills.append(lost[len(kills) % len(lost)])
        if kills[-1] == "cursor":
            for request in found:
                daemon.run(request, "sensor")
        elif kills[-1] == "failed runs and cursor":
            with in_the_way(two_days.storage):
                for request in found:
                    daemon.run(request, "sensor")
        if "cursor" in kills[-1]:
            daemon.cursor = before
        elif "memory" in kills[-1]:
            daemon.cursor = "{" if "unreadable" in kills[-1] else None

    two_days.go(turn)
    assert set(kills) == set(lost)
    # To learn anew takes a few requests; nothing else costs more than a look.
    learned = sum("memory" in kill for kill in kills)
    assert len(two_days.door.asked) <= calm.asked + 4 * learned


@pytest.mark.slow
def test_a_daemon_that_is_started_anew_before_each_tick_goes_on_as_if_nothing_were(two_days: Play, calm: Calm) -> None:
    def turn() -> None:
        two_days.daemon.restart()
        two_days.daemon.sensor()

    two_days.go(turn)
    assert (two_days.runs(), two_days.runs(failed=True), len(two_days.door.asked)) == (calm.runs, 0, calm.asked)


@pytest.mark.slow
def test_at_the_throttle_looks_and_runs_wait_and_nothing_is_lost(
    storage: Storage, instance: dg.DagsterInstance, calm: Calm
) -> None:
    """At each full hour somebody else behind the same address leaves us one request: enough to look, and no more."""
    with playing(storage, instance, throttle=15) as two:

        def turn() -> None:
            if two.stage.clock().minute == 0 and 1 <= two.hour() < 44:
                used = requests.get(f"{two.stage.server.url}api-throttle/", timeout=10).json()["current_use"]
                for _ in range(14 - used):
                    requests.get(two.stage.server.url, timeout=10)
            two.daemon.sensor()

        two.go(turn)
        refused = sum(asked.status == 429 for asked in two.stage.server.api_requests)
        # Once an hour it is learned that there is no more to be had; then all wait.
        assert 0 < two.runs(failed=True) <= refused <= 44 + two.runs(failed=True)
        assert len(two.door.asked) <= calm.asked + refused
