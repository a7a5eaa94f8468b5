"""When the pictures of a day are to be brought by themselves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4
from weakref import WeakKeyDictionary

import dagster as dg
import pytest

# Only Dagster's UI makes backfills, and needs two servers for it.
from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from sqlalchemy import Engine, create_engine, event, text

from rocket_assets.defs.conditions import DaysMovedOn, LaunchesMovedOn
from rocket_assets.defs.partitions import days, months
from rocket_assets.defs.runs import COMMAND, COMMANDS_DAYS
from rocket_assets.gallery.site import Gallery, MadeIndex, MadeMonth
from rocket_assets.months import Month
from rocket_assets.sample_library.server import LibraryServer
from rocket_assets.storage import Storage
from rocket_assets_tests.project import BOTH, Project, failure_of

Row = dict[str, Any]

LAUNCHES = ["launches"]
IMAGES = dg.AssetKey("launch_images")

last_looks: WeakKeyDictionary[dg.DagsterInstance, dict[dg.AssetKey, Any]] = WeakKeyDictionary()
"""What Dagster keeps for the next look at an asset."""


def requested(
    project: Project,
    now: datetime | None = None,
    asset: dg.AssetKey = IMAGES,
    definitions: dg.Definitions | None = None,
) -> set[str | None]:
    """The days of which Dagster would bring the pictures, or the months that it would make.

    In every test that is the same for a look that knows of the last one and for the first one of a new daemon.
    """

    def look(last: Any = None) -> dg.EvaluateAutomationConditionsResult:
        return dg.evaluate_automation_conditions(
            definitions or project.definitions,
            project.instance,
            asset_selection=dg.AssetSelection.assets(asset),
            evaluation_time=now or datetime.now(UTC),
            cursor=last,
        )

    last = last_looks.setdefault(project.instance, {})
    result = look(last.get(asset))
    last[asset] = result.cursor
    found = set(result.get_requested_partitions(asset))
    assert found == set(look().get_requested_partitions(asset))
    return found


@contextmanager
def questions() -> Iterator[list[str]]:
    """What Dagster's records are asked meanwhile."""
    asked = list[str]()

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds that another thread brings about."""
    gives_up = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < gives_up
        time.sleep(0.05)


def comes_to_rest(instance: dg.DagsterInstance) -> None:
    """Wait until a run that waits for something has written all that it writes before: two looks then see the same."""

    def events() -> int:
        return sum(len(instance.all_logs(run.run_id)) for run in instance.get_runs())

    def is_at_rest() -> bool:
        before = events()
        time.sleep(0.5)
        return events() == before

    eventually(is_at_rest)


class Names:
    """Ends the names of all launches as a test says."""

    end = ""

    def __call__(self, rows: list[Row], now: datetime) -> list[Row]:
        return [row | {"name": row["name"] + self.end} for row in rows]


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture
def sample_library(names: Names) -> Iterator[LibraryServer]:
    """The sample library with launches that are renamed."""
    with LibraryServer(as_of=names) as server:
        yield server


@pytest.fixture
def changed(project: Project, names: Names) -> Project:
    """The project after a day's launches have changed since its pictures came."""
    project.bring("2024-12-05")
    names.end = ", renamed"
    project.bring("2024-12-05", assets=["launches"])
    return project


def test_without_launches_there_is_nothing_to_bring(project: Project) -> None:
    assert requested(project) == set()


@pytest.mark.parametrize(("start", "end"), [("2024-12-05", None), ("2024-12-04", "2024-12-06")])
def test_launches_without_pictures_are_followed_by_them(start: str, end: str | None, project: Project) -> None:
    """Also a day without launches: its manifest is empty, and its partition is green."""
    project.bring(start, end, ["launches"])
    assert requested(project) == set(project.recorded("launches"))
    project.bring(start, end, ["launch_images"])
    assert requested(project) == set()


def test_what_brought_both_needs_no_more(project: Project) -> None:
    project.bring("2024-12-05")
    project.bring_both("2024-12-06", "2024-12-09")
    assert requested(project) == set()


def test_the_same_launches_brought_again_change_nothing(project: Project) -> None:
    project.bring("2024-12-05")
    project.bring("2024-12-05", assets=["launches"])
    assert requested(project) == set()


def test_other_launches_are_followed_by_their_pictures_once(changed: Project) -> None:
    assert requested(changed) == {"2024-12-05"}
    changed.bring("2024-12-05", assets=["launch_images"])
    assert requested(changed) == set()


def test_a_run_that_failed_is_repeated_after_six_hours_for_three_days_or_when_its_launches_come(
    changed: Project,
) -> None:
    key = "launches/2024/2024-12-05.json"
    good = changed.storage.read(key)
    changed.storage.write(key, b"damaged")
    assert not changed.bring("2024-12-05", assets=["launch_images"]).success
    now = datetime.now(UTC)
    assert requested(changed) == set()
    assert requested(changed, now + timedelta(hours=5)) == set()
    assert requested(changed, now + timedelta(hours=7)) == {"2024-12-05"}
    assert not changed.bring("2024-12-05", assets=["launch_images"]).success
    now = datetime.now(UTC)
    assert requested(changed, now + timedelta(hours=5)) == set()
    assert requested(changed, now + timedelta(hours=7)) == {"2024-12-05"}
    assert requested(changed, now + timedelta(days=3) - timedelta(hours=1)) == {"2024-12-05"}
    assert requested(changed, now + timedelta(days=3)) == set()
    changed.storage.write(key, good)
    changed.bring("2024-12-05", assets=["launches"])
    assert requested(changed) == {"2024-12-05"}


def test_launches_that_change_while_their_pictures_are_brought_are_followed_again(
    project: Project, sample_library: LibraryServer, names: Names
) -> None:
    """The run read the earlier launches, and is recorded after the later ones."""
    project.bring("2024-12-05", assets=["launches"])
    picture, other = sample_library.picture, threading.Thread(target=project.bring, args=["2024-12-05", None, LAUNCHES])

    def meanwhile(file: str) -> bytes | None:
        sample_library.picture = picture
        names.end = ", renamed"
        other.start()
        other.join()
        return picture(file)

    sample_library.picture = meanwhile
    assert project.bring("2024-12-05", assets=["launch_images"]).success
    assert project.records("launches") == 2
    assert requested(project) == {"2024-12-05"}


def begin(project: Project, status: dg.DagsterRunStatus, tags: dict[str, str], assets: frozenset[dg.AssetKey]) -> None:
    """A run that Dagster has made and that does nothing."""
    project.instance.create_run_for_job(
        project.definitions.resolve_implicit_global_asset_job_def().get_subset(asset_selection=assets),
        tags=tags,
        status=status,
        asset_selection=assets,
    )


ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
# Dagster makes no queued run without a code server that it came from.
UNDER_WAY = sorted(set(dg.DagsterRunStatus) - {*ENDED, dg.DagsterRunStatus.QUEUED}, key=lambda status: status.value)


@pytest.mark.parametrize("again", [False, True], ids=["launches came before", "launches came after it began"])
@pytest.mark.parametrize("status", UNDER_WAY)
def test_a_day_that_a_run_is_bringing_is_left_to_it(
    status: dg.DagsterRunStatus, again: bool, changed: Project, names: Names
) -> None:
    begin(changed, status, {"dagster/partition": "2024-12-05"}, frozenset([dg.AssetKey("launches"), IMAGES]))
    if again:
        names.end = ", renamed again"
        changed.bring("2024-12-05", assets=LAUNCHES)
    assert requested(changed) == set()


@pytest.mark.parametrize("status", ENDED)
def test_a_run_that_has_ended_before_the_launches_came_brings_them_no_more(
    status: dg.DagsterRunStatus, changed: Project, names: Names
) -> None:
    begin(changed, status, {"dagster/partition": "2024-12-05"}, frozenset([IMAGES]))
    names.end = ", renamed again"
    changed.bring("2024-12-05", assets=LAUNCHES)
    assert requested(changed) == {"2024-12-05"}


def test_of_a_range_that_is_being_brought_the_days_are_left_to_it_that_it_has_not_done_yet(
    tmp_path: Path, storage: Storage, sample_library: LibraryServer, names: Names
) -> None:
    """A range run that waits for the last picture of its second day, while the launches of all its days change."""
    picture, goes_on = sample_library.picture, threading.Event()

    def waits(file: str) -> bytes | None:
        assert file != "vega_c.bmp" or goes_on.wait(60)
        return picture(file)

    sample_library.picture = waits
    with dg.DagsterInstance.local_temp(str(tmp_path)) as home, ThreadPoolExecutor(1) as process:
        project = Project(sample_library.url, storage, home)
        project.bring("2024-12-03", "2024-12-06", LAUNCHES)
        run = process.submit(project.bring, "2024-12-04", "2024-12-05", ["launch_images"])
        try:
            eventually(lambda: run.done() or "2024-12-04" in project.recorded("launch_images"))
            assert not run.done(), failure_of(run.result())
            comes_to_rest(home)
            assert requested(project) == {"2024-12-03", "2024-12-06"}
            names.end = ", renamed"
            project.bring("2024-12-03", "2024-12-06", LAUNCHES)
            assert requested(project) == {"2024-12-03", "2024-12-04", "2024-12-06"}
        finally:
            goes_on.set()
        assert run.result().success
        assert requested(project) == {"2024-12-03", "2024-12-04", "2024-12-05", "2024-12-06"}


@pytest.mark.parametrize("named", [True, False], ids=["of a backfill", "of the sensor or the schedule"])
def test_a_run_of_launches_alone_brings_no_pictures(named: bool, changed: Project, names: Names) -> None:
    """Those of our job name no assets; Dagster takes them from the job."""
    begin(changed, dg.DagsterRunStatus.CANCELED, {"dagster/partition": "2024-12-05"}, frozenset([IMAGES]))
    names.end = ", renamed again"
    changed.bring("2024-12-05", assets=LAUNCHES)
    changed.instance.create_run_for_job(
        changed.definitions.resolve_job_def("bring_launches"),
        tags={"dagster/partition": "2024-12-05"},
        status=dg.DagsterRunStatus.STARTED,
        asset_selection=frozenset([dg.AssetKey("launches")]) if named else None,
    )
    assert requested(changed) == {"2024-12-05"}


@pytest.mark.parametrize("hours", [0, 7], ids=["while they rest", "when they are tried again"])
def test_a_failure_of_many_days_costs_no_more_questions_than_one_of_few(hours: int, project: Project) -> None:
    """Each tick asks Dagster's records again, every twenty seconds, for as long as the days are behind."""
    counts = list[int]()
    for start, end in [("2024-12-01", "2024-12-03"), ("2024-10-01", "2024-12-31")]:
        project.bring(start, end, LAUNCHES)
        days = {"dagster/asset_partition_range_start": start, "dagster/asset_partition_range_end": end}
        begin(project, dg.DagsterRunStatus.FAILURE, days, frozenset([IMAGES]))
        with questions() as asked:
            found = requested(project, datetime.now(UTC) + timedelta(hours=hours))
        assert found == (set(project.recorded("launches")) if hours else set())
        counts.append(len(asked))
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    ("status", "ago", "days"),
    [
        (dg.DagsterRunStatus.STARTED, timedelta(0), set()),
        (dg.DagsterRunStatus.STARTED, timedelta(minutes=10), set()),
        (dg.DagsterRunStatus.STARTED, timedelta(hours=2), {"2024-12-05"}),
        (dg.DagsterRunStatus.SUCCESS, timedelta(seconds=5), set()),
        (dg.DagsterRunStatus.SUCCESS, timedelta(minutes=1), {"2024-12-05"}),
    ],
)
def test_the_command_brings_the_pictures_itself_and_is_not_forestalled(
    status: dg.DagsterRunStatus, ago: timedelta, days: set[str], changed: Project
) -> None:
    """Between its run of the launches and that of the pictures there is a moment without a run."""
    changed.bring("2024-12-07", assets=["launches"])
    tags = {COMMAND: "backfill", COMMANDS_DAYS: "2024-12-04..2024-12-06"}
    changed.instance.add_run(dg.DagsterRun("__ASSET_JOB", str(uuid4()), tags=tags, status=status))
    assert requested(changed, datetime.now(UTC) + ago) == {"2024-12-07", *days}


class WhileItLooks(LaunchesMovedOn):
    """Pictures that follow their launches, where something happens after the first glance at what is recorded."""

    happens: Callable[[], object]

    def under_way(self, instance: dg.DagsterInstance, key: dg.AssetKey, now: datetime) -> set[str]:
        with ThreadPoolExecutor(1) as another:
            another.submit(self.happens).result()
        return super().under_way(instance, key, now)


def test_a_run_that_ends_during_a_look_is_seen_to_have_brought_its_days(changed: Project) -> None:
    """It is under way no more, and what it recorded came after the first glance."""
    condition = WhileItLooks(dg.AssetKey("launches"))
    condition.happens = lambda: changed.bring("2024-12-05", assets=["launch_images"])

    @dg.asset(name="launch_images", partitions_def=days, deps=["launches"], automation_condition=condition)
    def brought_meanwhile() -> None: ...

    assert requested(changed, definitions=dg.Definitions([brought_meanwhile])) == set()


class AsItLooked(LaunchesMovedOn):
    """Pictures that follow their launches, where something happens when that has been looked at."""

    happens: Callable[[], object]

    def evaluate(self, context: dg.AutomationContext[dg.AssetKey]) -> dg.AutomationResult[dg.AssetKey]:
        found = super().evaluate(context)
        self.happens()
        return found


def test_a_backfill_that_ends_during_a_look_is_seen_to_have_brought_its_days(changed: Project) -> None:
    """So it is asked first whether there is one: what it recorded before it ended is then seen."""
    wanted = AssetGraphSubset(partitions_subsets_by_asset_key={IMAGES: days.subset_with_partition_keys(["2024-12-05"])})
    backfill = PartitionBackfill.from_asset_graph_subset(
        "backfill", time.time(), {}, changed.instance, wanted, title=None, description=None, run_config=None
    )
    changed.instance.add_backfill(backfill)

    def ends() -> None:
        changed.instance.update_backfill(backfill.with_status(BulkActionStatus.COMPLETED_SUCCESS))

    condition = AsItLooked(dg.AssetKey("launches"))
    condition.happens = ends
    as_it_is = changed.definitions.resolve_asset_graph().get(IMAGES).automation_condition
    assert as_it_is

    @dg.asset(
        name="launch_images",
        partitions_def=days,
        deps=["launches"],
        automation_condition=as_it_is.replace(condition.name, condition),
    )
    def brought() -> None: ...

    found = dg.evaluate_automation_conditions(
        dg.Definitions([brought]), changed.instance, asset_selection=dg.AssetSelection.assets(IMAGES)
    )
    assert found.get_requested_partitions(IMAGES) == set()
    ended = changed.instance.get_backfill("backfill")
    assert ended
    assert ended.status == BulkActionStatus.COMPLETED_SUCCESS
    assert requested(changed) == {"2024-12-05"}, "this one has recorded nothing"


def test_days_that_have_no_partition_any_more_are_left_alone(project: Project) -> None:
    """The demo's days are others than those of the default."""
    project.instance.report_runless_asset_event(
        dg.AssetMaterialization("launches", partition="1900-01-01", tags={"dagster/data_version": "abc"})
    )
    assert requested(project) == set()


def test_a_day_of_which_the_run_was_deleted_is_brought_again_within_the_hour(project: Project) -> None:
    """Dagster deletes its records with it, and tells nobody."""
    project.bring("2024-12-05", assets=LAUNCHES)
    run = project.bring("2024-12-05", assets=["launch_images"])
    project.bring("2024-12-06")
    now = datetime.now(UTC)
    assert requested(project, now) == set()
    project.instance.delete_run(run.run_id)
    assert requested(project, now + timedelta(hours=1)) == {"2024-12-05"}


def test_launches_that_come_when_a_run_was_deleted_are_seen_though_their_events_have_its_ids(
    tmp_path: Path, storage: Storage, sample_library: LibraryServer
) -> None:
    """SQLite gives the highest ids out again."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as home:
        project = Project(sample_library.url, storage, home)
        project.bring("2024-12-05")
        run = project.bring("2024-12-05", assets=LAUNCHES)
        now, newest = datetime.now(UTC), home.event_log_storage.get_maximum_record_id()
        assert requested(project, now) == set()
        home.delete_run(run.run_id)
        project.bring("2024-12-06", assets=LAUNCHES)
        assert home.event_log_storage.get_maximum_record_id() == newest
        assert requested(project, now) == {"2024-12-06"}


# What is made of the days, month by month

GALLERY, TABLE, INDEX = dg.AssetKey("launch_gallery"), dg.AssetKey("launch_table"), dg.AssetKey("gallery_index")
MONTHLY = [GALLERY, TABLE]

by_month = pytest.mark.parametrize("asset", MONTHLY, ids=["gallery", "table"])


def made(project: Project, asset: dg.AssetKey, *firsts: str) -> None:
    """Make these months; of none, the index."""
    for month in firsts or (None,):
        assert project.bring(month, assets=[asset.to_user_string()]).success


@by_month
def test_without_pictures_there_is_no_month_to_make(project: Project, asset: dg.AssetKey) -> None:
    project.bring("2024-12-05", assets=LAUNCHES)
    assert requested(project, asset=asset) == set()


@by_month
def test_a_month_is_made_for_the_days_that_it_has_once(project: Project, asset: dg.AssetKey) -> None:
    project.bring_both("2024-11-30", "2024-12-05")
    assert requested(project, asset=asset) == {"2024-11-01", "2024-12-01"}
    made(project, asset, "2024-12-01")
    assert requested(project, asset=asset) == {"2024-11-01"}
    made(project, asset, "2024-11-01")
    assert requested(project, asset=asset) == set()


@by_month
def test_of_the_months_that_are_made_only_that_of_a_day_that_changed_is_made_again(
    project: Project, names: Names, asset: dg.AssetKey
) -> None:
    project.bring_both("2024-11-30", "2024-12-05")
    made(project, asset, "2024-11-01", "2024-12-01")
    project.bring_both("2024-11-30", "2024-12-05")
    assert requested(project, asset=asset) == set()
    names.end = ", renamed"
    project.bring("2024-12-05", assets=LAUNCHES)
    assert requested(project, asset=asset) == set()
    project.bring("2024-12-05", assets=["launch_images"])
    assert requested(project, asset=asset) == {"2024-12-01"}


@by_month
def test_another_day_of_a_month_makes_it_again_also_an_empty_one(project: Project, asset: dg.AssetKey) -> None:
    project.bring_both("2024-12-04", "2024-12-05")
    made(project, asset, "2024-12-01")
    project.bring_both("2024-12-03", "2024-12-03")
    assert requested(project, asset=asset) == {"2024-12-01"}


@by_month
def test_a_month_of_which_days_are_being_brought_waits_for_them(project: Project, asset: dg.AssetKey) -> None:
    project.bring_both("2024-11-30", "2024-12-05")
    days = {"dagster/asset_partition_range_start": "2024-12-04", "dagster/asset_partition_range_end": "2024-12-08"}
    begin(project, dg.DagsterRunStatus.STARTED, days, frozenset([IMAGES]))
    assert requested(project, asset=asset) == {"2024-11-01"}


@by_month
def test_a_month_that_a_run_is_making_is_left_to_it(project: Project, asset: dg.AssetKey) -> None:
    project.bring_both("2024-11-30", "2024-12-05")
    begin(project, dg.DagsterRunStatus.STARTED, {"dagster/partition": "2024-12-01"}, frozenset([asset]))
    assert requested(project, asset=asset) == {"2024-11-01"}


class Interrupted(Gallery):
    """A gallery during whose work something else happens, once."""

    def __init__(self, storage: Storage, happens: Callable[[], object]) -> None:
        super().__init__(storage)
        self.happens = happens

    def make_month(self, month: Month) -> MadeMonth:
        page = super().make_month(month)
        self.happens()
        return page


def test_a_day_that_comes_while_its_month_is_made_makes_it_again(project: Project, names: Names) -> None:
    """The run has read the earlier days, and is recorded after the later ones."""
    project.bring_both("2024-12-04", "2024-12-05")

    def day_comes() -> None:
        names.end = ", renamed"
        project.bring("2024-12-05")

    given = project.definitions
    definitions = dg.Definitions(
        assets=given.assets, resources={**(given.resources or {}), "gallery": Interrupted(project.storage, day_comes)}
    )
    result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=project.instance, asset_selection=[GALLERY], tags={"dagster/partition": "2024-12-01"}
    )
    assert result.success
    assert requested(project, asset=GALLERY) == {"2024-12-01"}
    made(project, GALLERY, "2024-12-01")
    assert requested(project, asset=GALLERY) == set()


@by_month
def test_a_month_that_could_not_be_made_rests_for_six_hours_or_until_one_of_its_days_comes(
    project: Project, names: Names, asset: dg.AssetKey
) -> None:
    project.bring_both("2024-12-04", "2024-12-05")
    key = "images/2024/2024-12-05/manifest.json"
    project.storage.write(key, b"damaged")
    assert not project.bring("2024-12-01", assets=[asset.to_user_string()]).success
    now = datetime.now(UTC)
    assert requested(project, asset=asset) == set()
    assert requested(project, now + timedelta(hours=5), asset) == set()
    assert requested(project, now + timedelta(hours=7), asset) == {"2024-12-01"}
    assert requested(project, now + timedelta(days=30), asset) == {"2024-12-01"}
    project.bring("2024-12-05")
    assert requested(project, asset=asset) == {"2024-12-01"}


class OtherRecipe:
    """The gallery of the project, to be made by another recipe since an upgrade or a change of settings."""

    def __init__(self, project: Project) -> None:
        self.project = project

        @dg.asset(
            name="launch_gallery",
            partitions_def=months,
            deps=[IMAGES],
            # As that of the project, so that what Dagster keeps of the last look is found.
            automation_condition=~dg.AutomationCondition.backfill_in_progress()
            & DaysMovedOn(dg.AssetKey("launches"), IMAGES, "another"),
        )
        def made_otherwise() -> None: ...

        assets = [one for one in project.definitions.assets or () if isinstance(one, dg.AssetsDefinition)]
        daily = [one for one in assets if one.key.to_user_string() in BOTH]
        self.definitions = dg.Definitions([made_otherwise, *daily], resources=project.definitions.resources)

    def requested(self, now: datetime) -> set[str | None]:
        return requested(self.project, now, GALLERY, self.definitions)


@pytest.mark.parametrize("later", [timedelta(0), timedelta(days=30)])
def test_with_another_recipe_all_months_are_made_again_however_old_their_days_are(
    project: Project, later: timedelta
) -> None:
    """As after an upgrade, or with another ROCKET_ASSETS_GALLERY_LICENCES."""
    project.bring_both("2024-11-30", "2024-12-05")
    made(project, GALLERY, "2024-11-01", "2024-12-01")
    assert requested(project, asset=GALLERY) == set()
    assert OtherRecipe(project).requested(datetime.now(UTC) + later) == {"2024-11-01", "2024-12-01"}


def test_a_month_that_could_not_be_made_by_another_recipe_is_tried_again_for_ever(project: Project) -> None:
    project.bring_both("2024-12-04", "2024-12-05")
    made(project, GALLERY, "2024-12-01")
    other = OtherRecipe(project)
    begin(project, dg.DagsterRunStatus.CANCELED, {"dagster/partition": "2024-12-01"}, frozenset([GALLERY]))
    assert other.requested(datetime.now(UTC)) == set()
    assert other.requested(datetime.now(UTC) + timedelta(days=30)) == {"2024-12-01"}


def test_runs_of_another_version_than_the_process_that_asks_for_them_are_not_asked_for_again_and_again(
    project: Project,
) -> None:
    """`git pull` beside `make dev`: each run is of the new code, the process that wants it is still of the old."""
    project.bring_both("2024-12-04", "2024-12-05")
    old = OtherRecipe(project)
    assert old.requested(datetime.now(UTC)) == {"2024-12-01"}
    made(project, GALLERY, "2024-12-01")
    assert old.requested(datetime.now(UTC)) == set()
    assert old.requested(datetime.now(UTC) + timedelta(hours=7)) == {"2024-12-01"}


@by_month
def test_launches_whose_pictures_do_not_follow_are_made_without_them(project: Project, asset: dg.AssetKey) -> None:
    """Their server may be away for days."""
    project.bring("2024-12-05", assets=LAUNCHES)
    assert requested(project, asset=asset) == set()
    assert requested(project, datetime.now(UTC) + timedelta(minutes=31), asset) == {"2024-12-01"}
    begin(project, dg.DagsterRunStatus.FAILURE, {"dagster/partition": "2024-12-05"}, frozenset([IMAGES]))
    assert requested(project, asset=asset) == {"2024-12-01"}


@pytest.mark.parametrize(("asset", "wanted"), [(IMAGES, {"2024-12-05"}), (GALLERY, set())])
def test_a_command_that_makes_months_keeps_no_pictures_waiting(
    changed: Project, asset: dg.AssetKey, wanted: set[str]
) -> None:
    tags = {COMMAND: "backfill", COMMANDS_DAYS: "1957-10-04..2024-12-31"}
    changed.instance.add_run(
        dg.DagsterRun(
            "__ASSET_JOB",
            str(uuid4()),
            tags=tags,
            status=dg.DagsterRunStatus.STARTED,
            asset_selection=frozenset([dg.AssetKey("launch_table")]),
        )
    )
    assert requested(changed, asset=asset) == wanted


def test_a_command_that_was_killed_as_it_made_months_does_not_hold_the_index(project: Project) -> None:
    project.bring_both("2024-12-04", "2024-12-05")
    made(project, GALLERY, "2024-12-01")
    begin(project, dg.DagsterRunStatus.STARTED, {COMMAND: "backfill"}, frozenset([GALLERY]))
    assert requested(project, asset=INDEX) == set()
    assert requested(project, datetime.now(UTC) + timedelta(hours=2), INDEX) == {None}


class Meanwhile(Gallery):
    """A gallery that makes its index, and then something else happens."""

    def __init__(self, storage: Storage, happens: Callable[[], object]) -> None:
        super().__init__(storage)
        self.happens = happens

    def make_index(self) -> MadeIndex:
        index = super().make_index()
        self.happens()
        return index


def test_a_month_that_comes_while_the_index_is_made_makes_it_again(project: Project) -> None:
    project.bring_both("2024-11-30", "2024-12-05")
    made(project, GALLERY, "2024-12-01")
    given = project.definitions
    gallery = Meanwhile(project.storage, lambda: made(project, GALLERY, "2024-11-01"))
    definitions = dg.Definitions(assets=given.assets, resources={**(given.resources or {}), "gallery": gallery})
    job = definitions.resolve_implicit_global_asset_job_def()
    assert job.execute_in_process(instance=project.instance, asset_selection=[INDEX]).success
    assert requested(project, asset=INDEX) == {None}


def test_the_index_is_made_for_the_months_that_there_are_once(project: Project, names: Names) -> None:
    project.bring_both("2024-11-30", "2024-12-05")
    assert requested(project, asset=INDEX) == set()
    made(project, GALLERY, "2024-12-01")
    assert requested(project, asset=INDEX) == {None}
    made(project, INDEX)
    assert requested(project, asset=INDEX) == set()
    made(project, GALLERY, "2024-12-01")
    assert requested(project, asset=INDEX) == set()
    made(project, GALLERY, "2024-11-01")
    assert requested(project, asset=INDEX) == {None}


@pytest.mark.parametrize("busy", [GALLERY, INDEX], ids=["months are being made", "it is being made"])
def test_the_index_waits_while(project: Project, busy: dg.AssetKey) -> None:
    project.bring_both("2024-12-04", "2024-12-05")
    made(project, GALLERY, "2024-12-01")
    begin(project, dg.DagsterRunStatus.STARTED, {}, frozenset([busy]))
    assert requested(project, asset=INDEX) == set()


def test_an_index_that_could_not_be_made_rests_for_six_hours_or_until_a_month_comes(
    project: Project, names: Names
) -> None:
    project.bring_both("2024-12-04", "2024-12-05")
    made(project, GALLERY, "2024-12-01")
    begin(project, dg.DagsterRunStatus.FAILURE, {}, frozenset([INDEX]))
    now = datetime.now(UTC)
    assert requested(project, asset=INDEX) == set()
    assert requested(project, now + timedelta(hours=7), INDEX) == {None}
    names.end = ", renamed"
    project.bring("2024-12-05")
    made(project, GALLERY, "2024-12-01")
    assert requested(project, asset=INDEX) == {None}


@pytest.mark.parametrize("asset", [IMAGES, GALLERY, TABLE, INDEX], ids=lambda asset: asset.to_user_string())
def test_while_nothing_happens_no_record_is_read_again(project: Project, asset: dg.AssetKey) -> None:
    """There are 25,000 days, and it is looked every twenty or thirty seconds.

    After something has happened it is looked once more, when all that belongs to it is there.
    """
    project.bring_both("2024-12-04", "2024-12-05")
    made(project, GALLERY, "2024-12-01")
    made(project, TABLE, "2024-12-01")
    made(project, INDEX)
    now = datetime(2024, 12, 6, 12, tzinfo=UTC)
    reads = list[int]()
    last = None
    for minutes in (0, 1, 2, 3):
        with questions() as asked:
            last = dg.evaluate_automation_conditions(
                project.definitions,
                project.instance,
                asset_selection=dg.AssetSelection.assets(asset),
                evaluation_time=now + timedelta(minutes=minutes),
                cursor=last.cursor if last else None,
            )
        reads.append(sum("asset_event_tags" in question for question in asked))
    assert reads[0] == reads[1] > 0
    assert reads[2:] == [0, 0]


def test_a_day_whose_record_comes_in_two_parts_is_not_missed_between_them(
    sample_library: LibraryServer, storage: Storage, postgres: list[dg.DagsterInstance], postgres_server: str
) -> None:
    """PostgreSQL tells of an event before it tells of its tags, in which the version of the day is."""
    project, day = Project(sample_library.url, storage, postgres[0]), "2024-12-05"
    record = dg.AssetMaterialization(LAUNCHES, partition=day, tags={"dagster/data_version": "1"})
    with create_engine(postgres_server).connect() as connection, ThreadPoolExecutor() as threads:
        connection.execute(text("LOCK TABLE asset_event_tags IN SHARE MODE"))
        recording = threads.submit(postgres[1].report_runless_asset_event, record)
        eventually(lambda: bool(project.records("launches")))
        assert requested(project) == set()
        connection.rollback()
        recording.result(30)
    assert requested(project) == {day}
