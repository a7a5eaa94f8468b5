"""The project on several machines: PostgreSQL, a bucket, and workers, one of which is killed.

Daemon, webserver, code location and workers are processes of their own, on the instance of `deploy/compose`. Each
backfill is one of two years of launches and pictures, started as the UI does, and the last one also of what is made of
them.
"""

from __future__ import annotations

import math
import os
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import dagster as dg
import pytest

from rocket_assets.defs.instance import POOL
from rocket_assets.defs.runs import UNFINISHED
from rocket_assets.images import WORKERS
from rocket_assets.sample_library import catalogue
from rocket_assets.sample_library.server import LibraryServer
from rocket_assets_tests.bucket import S3
from rocket_assets_tests.cluster import BIN, Cluster
from rocket_assets_tests.daemon import Silence, kill, run_of
from rocket_assets_tests.programs import SAID
from rocket_assets_tests.project import BOTH, tree
from rocket_assets_tests.test_promises import small

pytestmark = pytest.mark.slow

START = date(2018, 1, 1)
PARTS = {"by one": (2018, 2019), "by two": (2020, 2021), "with a kill": (2022, 2023)}
"""The years of each backfill."""

WITH_VIEWS = "with a kill"
"""The one that also makes gallery and table."""

IMAGES = dg.AssetKey("launch_images")

STARTED = dg.DagsterRunStatus.STARTED

KEPT_AFTER = 40
"""Pictures that come before the kill, of more than that which each run of a year's days is to bring."""

SOON = 150
"""Seconds within which a run whose worker was killed has ended, with those in which it was at work."""


def days_of(part: str) -> list[str]:
    """The days of a backfill."""
    first, last = (date(PARTS[part][0], 1, 1), date(PARTS[part][1], 12, 31))
    return [str(first + timedelta(days=n)) for n in range((last - first).days + 1)]


DAYS = [day for part in PARTS for day in days_of(part)]


def rows(base_url: str) -> list[dict[str, Any]]:
    """Four launches a week, each with a picture of its own."""
    row = catalogue.launches(base_url)[0]
    nets = [f"{day}T12:00:00Z" for number, day in enumerate(DAYS) if number % 7 in (0, 2, 3, 5)]
    return [
        row
        | {
            "id": str(UUID(int=number)),
            "name": f"Launch {number}",
            "net": net,
            "last_updated": net,
            "image": row["image"] | {"image_url": f"{base_url}/media/images/launch-{number}.jpeg"},
        }
        for number, net in enumerate(nets)
    ]


def asked_for(part: str) -> int:
    """How many requests a backfill needs: one for each hundred launches."""
    first, last = days_of(part)[0], days_of(part)[-1]
    return math.ceil(len([row for row in rows("") if first <= row["net"][:10] <= last]) / 100)


@dataclass
class Pictures:
    """Pictures of a server that takes its time, and keeps those after so many until it goes on."""

    seconds: float
    most_at_once: int = 0
    left: float = math.inf
    goes_on: threading.Event = field(default_factory=threading.Event)
    _under_way: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, file: str) -> bytes:
        """A small picture, when its time has come."""
        with self._lock:
            self._under_way += 1
            self.most_at_once = max(self.most_at_once, self._under_way)
            self.left -= 1
            is_kept = self.left < 0
        time.sleep(self.seconds)
        if is_kept:
            self.goes_on.wait()
        with self._lock:
            self._under_way -= 1
        return small(file)


@dataclass(frozen=True)
class Part:
    """What came of a backfill."""

    runs: Sequence[dg.RunRecord]
    taken: dict[str, set[str]]
    """The runs that each worker took."""
    requests: int
    """How many the library got."""

    @property
    def seconds(self) -> float:
        """From the beginning of its first run to the end of its last one."""
        return max(run.end_time or 0 for run in self.runs) - min(run.start_time or math.inf for run in self.runs)


@dataclass(frozen=True)
class Story:
    """What came of all of them."""

    parts: dict[str, Part]
    recorded: dict[str, set[str]]
    """The days of each asset that stand in the records."""
    unfinished: int
    died: str
    """The run that was in the hands of the worker that was killed."""
    had: int
    """How many of its days stood then."""
    asked_at_once: Sequence[dg.RunRecord]
    """Two runs that wanted to ask the library at the same time."""
    api_at_once: int
    pictures_at_once: int
    bucket: dict[str, bytes]
    folder: dict[str, bytes]


@dataclass
class Stage:
    """Where it plays."""

    cluster: Cluster
    library: LibraryServer
    silence: Silence
    workers: dict[str, subprocess.Popen[str]]
    asked_before: int = 0
    """Requests that the library got before the backfill that is under way."""

    def begin(self, part: str) -> str:
        """Begin a backfill; its id."""
        self.asked_before = len(self.library.api_requests)
        return self.cluster.backfill(days_of(part)[0], days_of(part)[-1], views=part == WITH_VIEWS)

    def end(self, part: str, backfill: str) -> Part:
        """Wait until all that it is to bring is there."""
        self.cluster.until(partial(self.cluster.has_ended, backfill), f"all is there that is brought {part}")
        of_it = dg.RunsFilter(tags={"dagster/backfill": backfill})
        runs = self.cluster.instance.get_run_records(of_it, ascending=True)
        ids = {run.dagster_run.run_id: self.cluster.taken_by(run.dagster_run) for run in runs}
        taken = {name: {run_id for run_id, by in ids.items() if by == name} for name in self.workers}
        asked = self.library.api_requests[self.asked_before :]
        return Part(runs, taken, len([each for each in asked if "mode=normal" in each.path]))

    def in_the_middle(self, backfill: str) -> tuple[dg.DagsterRun, int] | None:
        """A run of pictures of which some days stand, and how many."""
        instance = self.cluster.instance
        for run in instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": backfill}, statuses=[STARTED])):
            stand = len(instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION))
            if run.asset_selection == {IMAGES} and stand:
                return run, stand
        return None

    def ask_at_once(self) -> Sequence[dg.RunRecord]:
        """Two runs of launches, when two workers are free and Dagster lets both ask the library, which keeps silent."""
        log = self.cluster.instance.event_log_storage
        log.set_concurrency_slots(POOL, 2)
        self.silence.begin()
        ids = [self.cluster.run(run_of("launches", day)) for day in DAYS[:2]]

        def may_ask() -> bool:
            return {slot.run_id for slot in log.get_concurrency_info(POOL).claimed_slots} == set(ids)

        self.cluster.until(may_ask, "both runs may ask")
        # What they would do at the same time they have begun by then.
        time.sleep(3)
        self.silence.end()
        self.cluster.until(self.cluster.is_idle, "both runs have ended")
        log.set_concurrency_slots(POOL, 1)
        return self.cluster.instance.get_run_records(dg.RunsFilter(run_ids=ids))


def play(folder: Path, s3: S3) -> Story:
    pictures, silence = Pictures(seconds=0.5), Silence()
    with LibraryServer(rows=rows, picture=pictures, as_of=silence.as_of) as library, ExitStack() as stack:
        # Before the library ends, which waits for its answers.
        stack.callback(silence.end)
        settings = {
            "ROCKET_ASSETS_API_URL": library.url,
            "ROCKET_ASSETS_START_DATE": DAYS[0],
            "ROCKET_ASSETS_END_DATE": DAYS[-1],
        }
        cluster = stack.enter_context(Cluster(folder / "cluster", s3, **settings))
        stage = Stage(cluster, library, silence, {"one": stack.enter_context(cluster.worker("one"))})
        cluster.stop_sensors()
        with cluster.worker("other"):
            asked_at_once = stage.ask_at_once()
        parts = {"by one": stage.end("by one", stage.begin("by one"))}

        stage.workers["two"] = stack.enter_context(cluster.worker("two"))
        parts["by two"] = stage.end("by two", stage.begin("by two"))

        pictures.left = KEPT_AFTER
        backfill = stage.begin("with a kill")
        cluster.until(lambda: pictures.most_at_once > WORKERS, "both workers wait for pictures")
        died, had = cluster.until(partial(stage.in_the_middle, backfill), "a run is in the middle", pause=0.05)
        kill(stage.workers[cluster.taken_by(died)])
        pictures.goes_on.set()
        parts["with a kill"] = stage.end("with a kill", backfill)

        at_once = pictures.most_at_once
        pictures.seconds = 0
        alone(folder / "alone", settings)
        return Story(
            parts,
            {asset: cluster.recorded(asset) for asset in BOTH},
            cluster.instance.get_runs_count(dg.RunsFilter(statuses=UNFINISHED)),
            died.run_id,
            had,
            asked_at_once,
            library.most_at_once,
            at_once,
            cluster.stored(),
            tree(folder / "alone/data"),
        )


def alone(folder: Path, settings: dict[str, str]) -> None:
    """The same days on one machine: a folder, SQLite, one process."""
    (folder / "dagster").mkdir(parents=True)
    own = {"HOME": str(folder), "DAGSTER_HOME": str(folder / "dagster"), "ROCKET_ASSETS_STORAGE": str(folder / "data")}
    environ = {**settings, **own, "PATH": os.environ["PATH"]}
    made = days_of(WITH_VIEWS)
    for options in ([DAYS[0], DAYS[-1], "--assets", ",".join(BOTH)], [made[0], made[-1], "--only-missing"]):
        command = [BIN / "rocket-assets", "backfill", *options]
        subprocess.run(command, env=environ, cwd=folder, check=True, capture_output=True, timeout=300)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, s3_server: S3) -> Story:
    return play(tmp_path_factory.mktemp("distributed"), s3_server)


def test_all_days_are_green_and_no_run_is_left_over(story: Story) -> None:
    assert story.recorded == {asset: set(DAYS) for asset in BOTH}
    assert story.unfinished == 0


def test_what_workers_bring_into_a_bucket_is_what_the_command_brings_into_a_folder(story: Story) -> None:
    assert {key.partition("/")[0] for key in story.bucket} == {"launches", "images", "pool", "gallery", "table"}
    assert story.bucket.keys() == story.folder.keys()
    assert [key for key, body in story.bucket.items() if body != story.folder[key]] == []


def test_two_workers_share_a_backfill(story: Story, record_property: Callable[[str, object], None]) -> None:
    """What it takes is said at the end of all tests; the machine of the tests has other things to do."""
    one, two = story.parts["by one"], story.parts["by two"]
    assert [bool(taken) for taken in one.taken.values()] == [True]
    assert [bool(taken) for taken in two.taken.values()] == [True, True]
    assert set.union(*two.taken.values()) == {run.dagster_run.run_id for run in two.runs}
    record_property(
        SAID, f"Two years of launches and pictures: {one.seconds:.0f} s by one worker, {two.seconds:.0f} s by two."
    )


@pytest.mark.parametrize("part", PARTS)
def test_the_library_is_asked_for_each_hundred_launches_once(story: Story, part: str) -> None:
    ideal = asked_for(part)
    assert ideal <= story.parts[part].requests <= ideal + 1


def test_promise_7_over_all_workers_the_library_is_asked_one_request_at_a_time(story: Story) -> None:
    """Also where two runs want to ask at the same moment."""
    one, other = story.asked_at_once
    assert max(one.start_time or 0, other.start_time or 0) < min(one.end_time or 0, other.end_time or 0)
    assert story.api_at_once == 1


def test_pictures_come_in_parallel(story: Story) -> None:
    """More of them than one run has workers for."""
    assert story.pictures_at_once > WORKERS


def test_a_run_whose_worker_is_killed_ends_soon_and_is_begun_again_by_another(story: Story) -> None:
    runs = story.parts["with a kill"].runs
    (dead,) = (run for run in runs if run.dagster_run.status != dg.DagsterRunStatus.SUCCESS)
    (again,) = (run for run in runs if run.dagster_run.parent_run_id == story.died)
    assert dead.dagster_run.run_id == story.died
    assert dead.dagster_run.status == dg.DagsterRunStatus.FAILURE
    assert again.dagster_run.status == dg.DagsterRunStatus.SUCCESS
    assert (dead.end_time or math.inf) - (dead.start_time or 0) < SOON
    assert 0 < story.had < len(days_of("with a kill"))
