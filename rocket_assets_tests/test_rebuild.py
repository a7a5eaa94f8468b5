"""A Dagster instance that knows of nothing learns from the storage what another has brought."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path

import dagster as dg
import pytest

from rocket_assets import storage as keys
from rocket_assets.defs.conditions import days_behind
from rocket_assets.defs.runs import DATA_VERSION
from rocket_assets.errors import StorageFailed
from rocket_assets.launches import data_version
from rocket_assets.rebuild import FoundDay, rebuild
from rocket_assets.sample_library.server import LibraryServer
from rocket_assets.storage import Storage
from rocket_assets_tests.bucket import S3, Fault
from rocket_assets_tests.project import BOTH, Daemon, Project, tree

FIRST, LAST = "2024-12-01", "2024-12-14"
DAY = date(2024, 12, 5)

OF_THE_RUN = {"api_requests", "changed", "bytes_fetched", "bytes_kept"}
"""What only the run knew that brought a day."""


@pytest.fixture
def brought(project: Project) -> Project:
    """Two weeks of both assets, brought by the first instance."""
    assert all(result.success for result in project.bring_both(FIRST, LAST))
    return project


@pytest.fixture
def another(brought: Project, tmp_path: Path) -> Iterator[Project]:
    """The same project on an instance that knows of nothing."""
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path / "another")) as made:
        yield replace(brought, instance=made)


def rebuilt(project: Project) -> list[FoundDay]:
    return list(rebuild(project.instance, project.archive, *project.archive.list_days()))


def test_each_day_is_on_record_as_the_run_recorded_it_that_brought_it(brought: Project, another: Project) -> None:
    """With its data version and its metadata: table, previews of the pictures and all."""
    found = rebuilt(another)
    assert [one.day.isoformat() for one in found] == sorted(brought.recorded("launches"))
    assert all(set(one.recorded) == set(BOTH) and not one.problems for one in found)
    for asset in BOTH:
        before, now = brought.recorded(asset), another.recorded(asset)
        assert now.keys() == before.keys()
        for day, record in now.items():
            known = {name: value for name, value in before[day].metadata.items() if name not in OF_THE_RUN}
            assert record.metadata == known
            assert (record.tags or {})[DATA_VERSION] == (before[day].tags or {})[DATA_VERSION]
        assert another.instance.get_materialized_partitions(dg.AssetKey(asset)) == now.keys()
    assert any("picture 1" in record.metadata for record in another.recorded("launch_images").values())


def test_nobody_is_asked_and_nothing_is_written(
    brought: Project, another: Project, sample_library: LibraryServer
) -> None:
    asked, stored = len(sample_library.requests), tree(brought.storage.uri)
    assert rebuilt(another)
    assert len(sample_library.requests) == asked
    assert tree(brought.storage.uri) == stored


def test_what_follows_finds_nothing_to_bring(another: Project, sample_library: LibraryServer) -> None:
    """Neither the first look at the API, which has lost its memory, nor the one whether pictures are to follow."""
    rebuilt(another)
    asked = len(sample_library.requests)
    daemon = Daemon(replace(another, clock=lambda: datetime(2024, 12, 10, 12, tzinfo=UTC)))
    assert daemon.look() == []
    daemon.pictures("follows")
    assert daemon.runs == []
    looked = sample_library.requests[asked:]
    assert all(request.path.startswith("/2.3.0/launches/") for request in looked)


def test_while_it_works_nobody_finds_pictures_to_be_missing(another: Project) -> None:
    """The sensors are at work meanwhile."""
    behind = list[set[str]]()

    def look(*_: object) -> None:
        behind.append(days_behind(another.instance, dg.AssetKey("launches"), dg.AssetKey("launch_images")))

    for found in rebuild(another.instance, another.archive, *another.archive.list_days()):
        look(found)
    assert len(behind) == 14
    assert not set().union(*behind)


def test_pictures_come_after_their_launches_or_dagster_would_say_that_they_are_out_of_sync(another: Project) -> None:
    rebuilt(another)
    came = [
        another.instance.event_log_storage.get_latest_storage_id_by_partition(
            dg.AssetKey(asset), dg.DagsterEventType.ASSET_MATERIALIZATION
        )
        for asset in BOTH
    ]
    assert all(came[0][day] < came[1][day] for day in came[0])


def test_twice_is_the_same_as_once_and_what_stopped_goes_on(another: Project) -> None:
    stopped = list(islice(rebuild(another.instance, another.archive, *another.archive.list_days()), 5))
    assert [one.recorded for one in rebuilt(another)[:5]] == [[]] * len(stopped)
    assert [one.recorded for one in rebuilt(another)] == [[]] * 14
    assert [another.records(asset) for asset in BOTH] == [14, 14]


def test_a_day_that_is_on_record_otherwise_than_it_is_stored_is_recorded_again(another: Project) -> None:
    rebuilt(another)
    old = dg.AssetMaterialization("launches", partition=str(DAY), tags={DATA_VERSION: "of a home that is older"})
    another.instance.report_runless_asset_event(old)
    assert {one.day: one.recorded for one in rebuilt(another) if one.recorded} == {DAY: ["launches"]}


def test_launches_without_pictures_are_recorded_and_their_pictures_follow(another: Project) -> None:
    another.storage.delete([keys.manifest_key(DAY)])
    rebuilt(another)
    assert str(DAY) in another.recorded("launches")
    assert str(DAY) not in another.recorded("launch_images")
    daemon = Daemon(replace(another, clock=lambda: datetime(2024, 12, 10, 12, tzinfo=UTC)))
    daemon.pictures("follows")
    assert [(run.start, run.end, run.failure) for run in daemon.runs] == [(DAY, DAY, "")]


@pytest.mark.parametrize(
    ("key", "asset"), [(keys.launches_key(DAY), "launches"), (keys.manifest_key(DAY), "launch_images")]
)
def test_a_damaged_file_is_named_and_not_recorded_and_stops_nothing(another: Project, key: str, asset: str) -> None:
    body = another.storage.read(key)
    another.storage.put(key, body.replace(b"2024-12-05", b"2024-12-06", 1))
    found = {one.day: one for one in rebuilt(another)}
    assert len(found) == 14
    (problem,) = found[DAY].problems
    assert problem.startswith(f"{asset} 2024-12-05: ")
    assert key in problem
    assert set(found[DAY].recorded) == set(BOTH) - {asset}
    assert not [one for day, one in found.items() if day != DAY and one.problems]


@pytest.mark.slow
def test_a_bucket_is_read_as_a_folder_is_and_one_that_fails_breaks_it_off(
    another: Project, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is on record by then stands, and no day is taken for one that is not there."""
    bucket = Storage(s3.make_bucket(), patience=2)
    for path, body in tree(another.storage.uri).items():
        bucket.put(path, body)
    moved = replace(another, storage=bucket)
    s3.fault = Fault(methods=("GET",), times=10**6, status=503)
    with pytest.raises(StorageFailed):
        rebuilt(moved)
    s3.fault = None
    assert len(rebuilt(moved)) == 14
    paths = [record.metadata["path"].value for record in moved.recorded("launches").values()]
    assert all(str(path).startswith("s3://") for path in paths)


@dataclass
class Racing:
    """A run brings days anew when their launches have been read, and before they are recorded."""

    project: Project
    days: set[date]
    launches: LibraryServer

    def look(self) -> Iterator[FoundDay]:
        stored = self.project.archive.list_days()
        for found in rebuild(self.project.instance, self.project.archive, *stored):
            if self.days:
                # Where it is no folder, days are read ahead.
                day = str(self.days.pop())
                newer = replace(self.project, api_url=self.launches.url)
                assert all(result.success for result in newer.bring_both(day, day))
            yield found


def test_what_a_run_brings_meanwhile_stands_and_is_not_taken_back(another: Project) -> None:
    """The day is read ahead, then brought anew, and only then its turn comes to be recorded."""
    memory = Storage(f"memory://{another.storage.uri}")
    for path, body in tree(another.storage.uri).items():
        memory.put(path, body)
    project = replace(another, storage=memory)
    with LibraryServer(as_of=lambda rows, _: [row | {"name": f"{row['name']}, renamed"} for row in rows]) as renamed:
        list(Racing(project, {date(2024, 12, 10), DAY}, renamed).look())
    for day in (DAY, date(2024, 12, 10)):
        stored = project.archive.read_day(day).launches
        assert all(launch.name.endswith(", renamed") for launch in stored)
        record = project.recorded("launches")[str(day)]
        assert (record.tags or {})[DATA_VERSION] == data_version(stored)
        assert "api_requests" in record.metadata, "it is the record of the run"
    assert days_behind(project.instance, dg.AssetKey("launches"), dg.AssetKey("launch_images")) == set()


def test_a_day_that_a_run_wrote_just_before_it_was_recorded_is_told_once_more(another: Project) -> None:
    """As if a run had recorded it a moment before what had been read of it was."""
    stale = dg.DagsterRun("bring_launches", tags={"dagster/partition": str(DAY)}, status=dg.DagsterRunStatus.STARTED)
    another.instance.add_run(stale)
    told = list[FoundDay]()
    for found in rebuild(another.instance, another.archive, *another.archive.list_days()):
        if found.day == DAY and DAY not in [each.day for each in told]:
            old = dg.AssetMaterialization("launches", partition=str(DAY), tags={DATA_VERSION: "as it was read before"})
            another.instance.report_runless_asset_event(old)
        told.append(found)
    assert [found.day for found in told].count(DAY) == 2
    version = data_version(another.archive.read_day(DAY).launches)
    assert (another.recorded("launches")[str(DAY)].tags or {})[DATA_VERSION] == version
