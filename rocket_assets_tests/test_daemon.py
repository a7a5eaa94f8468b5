"""The project under a real daemon, with its queue, its sensors and its run processes.

Waiting is most of what a daemon does, so that the stories play side by side, each in a Dagster home of its own; the
tests look at what came of them.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Any
from uuid import UUID

import dagster as dg
import pytest
import requests

from rocket_assets import storage as keys
from rocket_assets.defs.instance import POOL
from rocket_assets.defs.runs import BECAUSE
from rocket_assets.sample_library import catalogue, vocabulary
from rocket_assets.sample_library.server import LibraryServer, Request
from rocket_assets.verification import verify
from rocket_assets_tests.daemon import FOLLOWS, LOOKS, Home, Homes, Telling, backfill_of, kill, run_of
from rocket_assets_tests.project import BOTH, days, tree

pytestmark = pytest.mark.slow

START, END = "2024-11-01", "2024-12-30"
BY_BACKFILL = [str(day) for day in days(date(2024, 11, 1), 60)]
"""What the UI is told to backfill, launches and pictures."""

BY_COMMAND = ("2025-01-16", "2025-01-17", "2025-01-18")
"""Days whose launches the command brings; a launch slips from the first of them to the last."""

BY_HAND = "2025-03-06"
"""A day whose launches are materialized in the UI."""

BOTH_BY_COMMAND = [str(day) for day in days(date(2025, 5, 18), 10)]
"""What the command is told to bring, launches and pictures."""

DAMAGED = "2025-07-29"
"""A day whose file of launches is damaged before the daemon is there."""

A_DAY = 15
CROWDED = [[str(day) for day in days(date(2001, month, 1), 60)] for month in (1, 4, 7)]
"""Ranges of days with so many launches each day that a run over one of them needs nine pages."""

TAKES = 5
"""Requests that the throttled library takes in a window."""

QUIET = 3
"""Ticks after which what was not done will not be done."""

SOON = 120
"""Seconds within which pictures follow."""

SLIPS = "2025-01-16T07:03:00Z"
"""Where the launch stands that slips."""
SLIPPED = "New Glenn | Maiden Flight: 2025-01-16 -> 2025-01-18"

SHOWN = """
{ assetNodes { assetKey { path } partitionStats { numMaterialized numFailed }
  assetChecksOrError { ... on AssetChecks { checks { name executionForLatestMaterialization { status } } } } } }
"""


def launch_of(net: str) -> str:
    """The launch that stands there in the catalogue."""
    return next(row["id"] for row in catalogue.launches("") if row["net"] == net)


def slip(telling: Telling, launch: str) -> None:
    """Let the launch slip two days."""
    net = SLIPS.replace(BY_COMMAND[0], BY_COMMAND[-1])
    telling.say(launch, status=vocabulary.status("Go"), net=net, window_start=net, window_end=net)


@dataclass(frozen=True)
class Lively:
    """What came of a busy time: each way to bring launches, a day that cannot be brought, and a launch that slips."""

    home: Home
    other: Home
    """Where the command brought what the UI did here."""
    library: LibraryServer
    launch: str
    quiet_ticks: int
    runs_in_vain: int
    """How many runs over the damaged day there were, before its launches were brought again."""


def lively(homes: Homes) -> Lively:
    telling, launch = Telling(), launch_of(SLIPS)
    telling.say(launch, status=vocabulary.status("Go"))
    with LibraryServer(as_of=telling.as_of) as library:
        home, other = homes.make("lively", library, ROCKET_ASSETS_POLL_SECONDS="10"), homes.make("other", library)
        home.bring(DAMAGED, assets=["launches"])
        home.storage.write(keys.launches_key(date.fromisoformat(DAMAGED)), b"{")
        with home.daemon():
            home.launch([backfill_of(BOTH, START, END)], [run_of("launches", BY_HAND)])
            home.command("backfill", BY_COMMAND[0], BY_COMMAND[-1], "--assets", "launches")
            home.command("backfill", BOTH_BY_COMMAND[0], BOTH_BY_COMMAND[-1])
            commanded = time.time()
            home.until(partial(home.have_followed, BY_HAND, *BY_COMMAND), "pictures follow")
            home.until(home.is_idle, "the first part is over")
            # While the command is at work, and soon after it, the pictures' sensor leaves everything alone.
            quiet = partial(home.ticks, FOLLOWS, commanded + 20)
            home.until(lambda: len(quiet()) >= QUIET, "further ticks")
            in_vain, ticks = len(home.runs_over("launch_images", DAMAGED)), len(quiet())
            slip(telling, launch)
            home.launch([], [run_of("launches", DAMAGED)])
            other.command("backfill", START, END)
            brought = partial(home.times, "launch_images", [DAMAGED, BY_COMMAND[0], BY_COMMAND[-1]])
            home.until(lambda: brought() == [1, 2, 2], "pictures follow again")
            home.until(home.is_idle, "all is over")
    return Lively(home, other, library, launch, ticks, in_vain)


@dataclass(frozen=True)
class Throttled:
    """What came of three backfills, started at once, at a library that takes few requests."""

    home: Home
    library: LibraryServer

    @property
    def of_runs(self) -> list[Request]:
        """What the runs have asked; a look for changes asks for short answers."""
        return [request for request in self.library.api_requests if "mode=normal" in request.path]


class StandingClock:
    """A clock that stands until it is let go."""

    def __init__(self) -> None:
        self._time: datetime | None = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self._time or datetime.now(UTC)

    def go(self) -> None:
        self._time = None


def crowded(base_url: str) -> list[dict[str, Any]]:
    """The launches of the crowded ranges; the first of each day has a picture."""
    row = catalogue.launches(base_url)[0]
    nets = [f"{day}T{hour:02}:00:00Z" for each in CROWDED for day in each for hour in range(A_DAY)]
    return [
        row
        | {"id": str(UUID(int=number)), "name": f"Launch {number}", "net": net, "last_updated": net}
        | ({"image": None} if number % A_DAY else {})
        for number, net in enumerate(nets)
    ]


def throttled(homes: Homes) -> Throttled:
    clock, window = StandingClock(), timedelta(seconds=15)
    with LibraryServer(rows=crowded, throttle=TAKES, throttle_window=window, latency=0.2, clock=clock) as library:
        for _ in range(TAKES):
            requests.get(library.url, timeout=30)
        home = homes.make("throttled", library, ROCKET_ASSETS_POLL_SECONDS="86400")
        with home.daemon():
            home.until(lambda: home.ticks(LOOKS), "the only look")
            clock.go()
            home.launch([backfill_of(["launches"], each[0], each[-1]) for each in CROWDED])
            number = sum(len(each) for each in CROWDED)
            home.until(lambda: len(home.brought("launch_images")) == number, "pictures follow", pause=2)
            home.until(home.is_idle, "all is over")
    return Throttled(home, library)


@dataclass(frozen=True)
class Killed:
    """What came of a kill between the request of a run and its work, and of two new beginnings."""

    home: Home
    launch: str
    status: dg.DagsterRunStatus
    """How the run stood that was requested."""
    after_kill: list[str]
    """The runs that brought days when all was over."""
    after_restart: list[str]


def killed(homes: Homes) -> Killed:
    telling, launch = Telling(), launch_of(SLIPS)
    telling.say(launch, status=vocabulary.status("Go"))
    with LibraryServer(as_of=telling.as_of) as library:
        home = homes.make("killed", library, ROCKET_ASSETS_POLL_SECONDS="10")
        home.bring(BY_COMMAND[0], BY_COMMAND[-1])
        with home.daemon() as process:
            home.until(lambda: home.ticks(LOOKS), "the first look")
            # So that the run that will be requested cannot begin before the kill.
            home.instance.event_log_storage.set_concurrency_slots(POOL, 0)
            slip(telling, launch)
            request = home.until(lambda: home.runs("launches")[1:], "a run is requested", pause=0.02)[0]
            kill(process)
        status = home.run(request.dagster_run.run_id).status
        home.instance.event_log_storage.set_concurrency_slots(POOL, 1)
        with home.daemon():
            home.until(lambda: home.times("launch_images", BY_COMMAND)[::2] == [2, 2], "pictures follow")
            home.until(home.is_idle, "all is over")
        after_kill = _that_bring(home)
        with home.daemon():
            home.quiet_ticks(LOOKS, 3)
            home.quiet_ticks(FOLLOWS, 2)
    return Killed(home, launch, status, after_kill, _that_bring(home))


def _that_bring(home: Home) -> list[str]:
    """The runs that bring days; what is made of them follows in its own time."""
    return [record.dagster_run.run_id for asset in BOTH for record in home.runs(asset)]


def powerless(homes: Homes) -> Home:
    """A run dies while it asks the library, and with it all that could tell of its death."""
    with LibraryServer() as library:
        home = homes.make("powerless", library, ROCKET_ASSETS_POLL_SECONDS="86400")
        with home.daemon() as process:
            home.until(lambda: home.ticks(LOOKS), "the only look")
            library.latency = 60
            home.launch(runs=[run_of("launches", BY_HAND)])
            pool = partial(home.instance.event_log_storage.get_concurrency_info, POOL)
            home.until(lambda: pool().claimed_slots, "the run is about to ask")
            kill(process)
        library.latency = 0
        with home.daemon():
            home.until(partial(home.have_followed, BY_HAND), "pictures follow")
            home.until(home.is_idle, "all is over")
    return home


@dataclass(frozen=True)
class Stories:
    """What came of each story, as soon as it is over."""

    lively: Future[Lively]
    throttled: Future[Throttled]
    killed: Future[Killed]
    powerless: Future[Home]


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stories]:
    with Homes(tmp_path_factory.mktemp("daemon")) as homes, ThreadPoolExecutor(4) as threads:
        try:
            submit = threads.submit
            yield Stories(
                submit(lively, homes), submit(throttled, homes), submit(killed, homes), submit(powerless, homes)
            )
        finally:
            homes.stopping.set()


@pytest.fixture
def busy(stories: Stories) -> Lively:
    return stories.lively.result()


@pytest.fixture
def crowd(stories: Stories) -> Throttled:
    return stories.throttled.result()


@pytest.fixture
def victim(stories: Stories) -> Killed:
    return stories.killed.result()


def waited(home: Home, day: str) -> float:
    """How long the last pictures of a day came after its launches."""
    return home.brought("launch_images")[day][-1] - home.brought("launches")[day][-1]


def where(home: Home, launch: str) -> tuple[list[str], list[str]]:
    """The days on which a launch stands, and those on which it has a picture."""
    on = {day: date.fromisoformat(day) for day in BY_COMMAND}
    stands = [day for day in on if launch in [one.id for one in home.archive.read_launches(on[day])]]
    entries = {day: {one.launch_id: one for one in home.archive.read_manifest(on[day]).entries} for day in on}
    return stands, [day for day in on if launch in entries[day] and entries[day][launch].file]


# A busy time


@pytest.mark.parametrize("day", [*BY_COMMAND[:2], BY_HAND], ids=["the command", "the command as well", "the UI"])
def test_pictures_follow_launches_within_two_minutes_whoever_brought_them(busy: Lively, day: str) -> None:
    first = {asset: busy.home.brought(asset)[day][0] for asset in BOTH}
    assert 0 < first["launch_images"] - first["launches"] < SOON


def test_pictures_follow_once_for_each_version_of_their_launches(busy: Lively) -> None:
    assert busy.home.times("launches", BY_COMMAND) == [2, 2, 2]
    assert busy.home.times("launch_images", BY_COMMAND) == [2, 1, 2]
    assert busy.home.times("launch_images", [BY_HAND]) == [1]


def test_a_launch_that_slips_takes_its_picture_along(busy: Lively) -> None:
    left, *_, reached = BY_COMMAND
    assert where(busy.home, busy.launch) == ([reached], [reached])
    assert busy.home.have_followed(left, reached)
    assert all(waited(busy.home, day) < SOON for day in (left, reached))


@pytest.mark.parametrize("brought", [BY_BACKFILL, BOTH_BY_COMMAND], ids=["the UI", "the command"])
def test_a_backfill_of_both_assets_brings_the_pictures_itself_and_nobody_else_does(
    busy: Lively, brought: list[str]
) -> None:
    for asset in BOTH:
        assert busy.home.times(asset, brought) == [1] * len(brought)
        assert len(busy.home.runs_over(asset, brought[0])) == 1
    assert not any(BECAUSE in run.dagster_run.tags for run in busy.home.runs_over("launch_images", brought[0]))


def test_a_backfill_started_in_the_ui_gives_the_same_files_as_the_command_for_one_request(busy: Lively) -> None:
    """Gallery and table are of the months, and so of other days as well."""
    by_ui, all_by_command = tree(busy.home.folder / "data"), tree(busy.other.folder / "data")
    by_command = {
        key: body for key, body in all_by_command.items() if key.startswith(("launches/", "images/", "pool/"))
    }
    of_the_days = [key for key in by_ui if key.startswith(("launches/2024", "images/2024"))]
    assert {key: by_ui[key] for key in by_command} == by_command
    assert set(of_the_days) <= set(by_command)
    assert len([key for key in of_the_days if key.startswith("launches/")]) == len(BY_BACKFILL)
    asked = [request for request in busy.library.api_requests if f"net__gte={START}" in request.path]
    assert len(asked) == len(["by the UI", "by the command"])


def test_the_ui_shows_that_all_days_stand_and_all_checks_are_green(busy: Lively) -> None:
    brought = [*BY_BACKFILL, *BY_COMMAND, BY_HAND, *BOTH_BY_COMMAND, DAMAGED]
    nodes = [node for node in busy.home.graphql(SHOWN)["assetNodes"] if node["assetKey"]["path"][0] in BOTH]
    for node in nodes:
        assert node["partitionStats"] == {"numMaterialized": len(brought), "numFailed": 0}
        checks = node["assetChecksOrError"]["checks"]
        assert {check["executionForLatestMaterialization"]["status"] for check in checks} == {"SUCCEEDED"}
    assert len(nodes) == len(BOTH)


def test_a_day_that_fails_is_tried_again_only_when_its_launches_are_brought_again(busy: Lively) -> None:
    assert busy.quiet_ticks >= QUIET
    assert busy.runs_in_vain == 1
    runs = busy.home.runs_over("launch_images", DAMAGED)
    assert [run.dagster_run.status for run in runs] == [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS]
    assert busy.home.have_followed(DAMAGED)


def test_every_run_that_nobody_started_says_why(busy: Lively) -> None:
    by_sensor = [run.dagster_run for run in busy.home.runs() if "dagster/sensor_name" in run.dagster_run.tags]
    assert {run.tags["dagster/sensor_name"] for run in by_sensor} == {LOOKS, FOLLOWS, "views_follow"}
    assert all(run.tags[BECAUSE] for run in by_sensor)
    assert [run.tags[BECAUSE] for run in by_sensor if run.tags["dagster/sensor_name"] == LOOKS] == [SLIPPED]


def test_a_tick_that_starts_runs_has_a_log_of_what_was_found_and_no_other_has_one(busy: Lively) -> None:
    (tick,) = [tick for tick in busy.home.ticks(LOOKS) if tick.run_ids]
    log = busy.home.instance.compute_log_manager.get_log_data(tick.log_key or []).stderr or b""
    assert f"1 launch changed: {SLIPPED}. To be brought: 2025-01-16 to 2025-01-18." in log.decode()
    assert len(list(busy.home.path.rglob("*.err"))) == 1


def test_what_a_look_finds_stands_as_an_observation_of_the_library(busy: Lively) -> None:
    (record,) = busy.home.instance.fetch_observations(dg.AssetKey("launch_library"), limit=10).records
    assert record.asset_observation
    assert SLIPPED in (record.asset_observation.description or "")


def test_all_that_the_daemon_has_brought_is_whole(busy: Lively, crowd: Throttled, victim: Killed) -> None:
    for home in (busy.home, crowd.home, victim.home):
        assert [problem for part in verify(home.archive, level="full") for problem in part.problems] == []


# The throttle


def test_backfills_that_meet_the_throttle_end_green_by_themselves(crowd: Throttled) -> None:
    refused = [request for request in crowd.of_runs if request.status == HTTPStatus.TOO_MANY_REQUESTS]
    assert refused
    assert {run.dagster_run.status for run in crowd.home.runs()} == {dg.DagsterRunStatus.SUCCESS}
    assert len(crowd.home.runs("launches")) == len(CROWDED)


def test_runs_ask_the_library_one_at_a_time(crowd: Throttled) -> None:
    assert crowd.library.most_at_once == 1


def test_a_run_that_goes_on_after_the_throttle_asks_again_for_one_page_at_most(crowd: Throttled) -> None:
    answered = [request for request in crowd.of_runs if request.status == HTTPStatus.OK]
    ideal = sum(math.ceil(len(each) * A_DAY / 100) for each in CROWDED)
    assert ideal <= len(answered) <= ideal + len(crowd.of_runs) - len(answered)


def test_pictures_come_while_runs_of_launches_wait_for_the_throttle(crowd: Throttled) -> None:
    launches = crowd.home.runs("launches")
    begun, ended = max(run.start_time or 0 for run in launches), max(run.end_time or 0 for run in launches)
    assert any(begun < (run.start_time or 0) < ended for run in crowd.home.runs("launch_images"))


def test_a_look_that_meets_the_throttle_says_until_when(crowd: Throttled) -> None:
    (tick,) = crowd.home.ticks(LOOKS)
    assert re.fullmatch(
        r"The throttle of the Launch Library is reached; the next look is after .{10} .{8} UTC\.",
        tick.skip_reason or "",
    )


# A kill


def test_a_run_that_was_requested_just_before_a_kill_is_run_once_after_it(victim: Killed) -> None:
    assert victim.status in (dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.QUEUED)
    assert victim.home.times("launches", BY_COMMAND) == [2, 2, 2]
    assert victim.home.times("launch_images", BY_COMMAND) == [2, 1, 2]
    assert where(victim.home, victim.launch) == ([BY_COMMAND[-1]], [BY_COMMAND[-1]])
    runs = [run for asset in BOTH for run in victim.home.runs(asset)]
    assert {run.dagster_run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS}


def test_a_daemon_that_begins_again_brings_nothing_again(victim: Killed) -> None:
    assert victim.after_restart == victim.after_kill
    *_, last = victim.home.ticks(LOOKS)
    assert re.fullmatch("Nothing has changed since .* UTC[.]", last.skip_reason or "")


def test_a_run_that_died_with_all_around_it_is_known_as_dead_and_run_again(stories: Stories) -> None:
    home = stories.powerless.result()
    first, *_ = home.runs("launches")
    assert first.dagster_run.status == dg.DagsterRunStatus.FAILURE
    assert [home.times(asset, [BY_HAND]) for asset in BOTH] == [[1], [1]]
