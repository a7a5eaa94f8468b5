"""Whether today is fresh: today's own days are looked at, and not whatever came last.

Dagster stamps its records with the real time; so it is the time of the look that is moved, and all days around today
are recorded at once, as the schedule does it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from rocket_assets.definitions import definitions
from rocket_assets.defs.conditions import SOON, version_of_all, versions_of_months
from rocket_assets.defs.freshness import NAMES, Today, today_is_fresh
from rocket_assets.defs.runs import DATA_VERSION, FOUND
from rocket_assets.settings import Settings

AROUND = [(datetime.now(UTC) + timedelta(days=number)).date() for number in range(-2, 5)]
LONG_AGO = [date(1960, 4, day) for day in range(1, 31)]
SETTINGS = Settings.read({})
RECIPE = "as it is"
IMAGES = dg.AssetKey("launch_images")

FRESH = [False, False, False]


def record(instance: dg.DagsterInstance, asset: str, versions: dict[str, str]) -> None:
    """Record these partitions with these data versions."""
    for partition, version in versions.items():
        tags = {"dagster/data_version": version}
        instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=partition, tags=tags))


def bring(instance: dg.DagsterInstance, asset: str, days: Sequence[date], version: str = "1") -> None:
    """Record days of launches of this version, or of pictures for them."""
    said = version if asset == "launches" else f"{version}-pictures"
    record(instance, asset, {day.isoformat(): said for day in days})


def make(instance: dg.DagsterInstance) -> None:
    """Record each month as made for the days that it has, and the index for the months."""
    made_for = versions_of_months(instance, dg.AssetKey("launches"), IMAGES, RECIPE)
    record(instance, "launch_gallery", {month: f"{version}-page" for month, version in made_for.items()})
    tags = {"dagster/data_version": f"{version_of_all(instance, dg.AssetKey('launch_gallery'))}-index"}
    instance.report_runless_asset_event(dg.AssetMaterialization("gallery_index", tags=tags))


def stale(
    instance: dg.DagsterInstance, later: timedelta = timedelta(0), environ: dict[str, str] | None = None
) -> list[bool]:
    """Of launches, pictures and gallery: whether those of today are stale so much later."""
    settings = Settings.read(environ) if environ else SETTINGS
    found = Today(instance, settings, datetime.now(UTC) + later, RECIPE).all()
    assert tuple(each.check for each in found) == NAMES
    return [not each.is_fresh for each in found]


@pytest.fixture
def fresh(instance: dg.DagsterInstance) -> dg.DagsterInstance:
    """An instance in which everything has just been brought and made."""
    bring(instance, "launches", AROUND)
    bring(instance, "launch_images", AROUND)
    make(instance)
    return instance


def test_what_has_just_been_brought_is_fresh(fresh: dg.DagsterInstance) -> None:
    assert stale(fresh) == FRESH


def test_without_a_record_nothing_is_fresh(instance: dg.DagsterInstance) -> None:
    assert stale(instance) == [True, True, True]


def test_what_was_found_in_the_storage_is_not_taken_for_brought_just_now(instance: dg.DagsterInstance) -> None:
    """It may be of last week. What a run brings after that is fresh, and stays so when it is found once more."""
    found = {day.isoformat(): {DATA_VERSION: "1", FOUND: "true"} for day in AROUND}

    def find() -> None:
        for day, tags in found.items():
            instance.report_runless_asset_event(dg.AssetMaterialization("launches", partition=day, tags=tags))

    find()
    bring(instance, "launch_images", AROUND)
    make(instance)
    assert stale(instance) == [True, False, False]
    bring(instance, "launches", AROUND)
    assert stale(instance) == FRESH
    find()
    assert stale(instance) == FRESH


def test_a_backfill_of_1960_does_not_make_today_fresh(instance: dg.DagsterInstance) -> None:
    """What came last is as new as can be."""
    for asset in ("launches", "launch_images"):
        bring(instance, asset, LONG_AGO)
    make(instance)
    assert stale(instance) == [True, True, True]


def test_a_backfill_of_1960_does_not_keep_today_fresh(fresh: dg.DagsterInstance) -> None:
    bring(fresh, "launches", LONG_AGO)
    assert stale(fresh, timedelta(hours=26)) == [True, False, False]


@pytest.mark.parametrize(("hours", "is_stale"), [(1, False), (24.9, False), (25.1, True), (48, True)])
def test_launches_are_stale_a_day_after_they_were_brought(
    fresh: dg.DagsterInstance, hours: float, is_stale: bool
) -> None:
    """The day on which one looks then was brought as a planned one."""
    assert stale(fresh, timedelta(hours=hours))[0] is is_stale


@pytest.mark.parametrize(("minutes", "is_stale"), [(0, False), (29, False), (31, True)])
def test_pictures_may_take_half_an_hour_to_follow(fresh: dg.DagsterInstance, minutes: float, is_stale: bool) -> None:
    """Without them the page of the month is not as it is to be, either."""
    bring(fresh, "launches", AROUND, version="2")
    assert stale(fresh, timedelta(minutes=minutes)) == [False, is_stale, is_stale]


def test_pictures_that_do_not_follow_are_stale_also_where_the_launches_are_brought_again_and_again(
    fresh: dg.DagsterInstance,
) -> None:
    bring(fresh, "launches", AROUND, version="2")
    first = datetime.now(UTC)
    time.sleep(0.1)
    bring(fresh, "launches", AROUND, version="2")
    assert stale(fresh, first + SOON - datetime.now(UTC) + timedelta(seconds=0.05))[1]


def test_an_index_that_does_not_follow_is_stale(fresh: dg.DagsterInstance) -> None:
    record(fresh, "launch_gallery", {"1960-04-01": "another-page"})
    assert stale(fresh, timedelta(minutes=29)) == FRESH
    assert stale(fresh, timedelta(minutes=31)) == [False, False, True]


@pytest.mark.parametrize(("minutes", "is_stale"), [(0, False), (29, False), (31, True)])
def test_the_gallery_may_take_half_an_hour_to_follow(fresh: dg.DagsterInstance, minutes: float, is_stale: bool) -> None:
    for asset in ("launches", "launch_images"):
        bring(fresh, asset, AROUND, version="2")
    assert stale(fresh, timedelta(minutes=minutes)) == [False, False, is_stale]


@pytest.mark.parametrize(
    "environ",
    [
        {"ROCKET_ASSETS_END_DATE": "2024-12-14"},
        {"ROCKET_ASSETS_START_DATE": "2999-01-01"},
    ],
)
def test_where_today_has_no_partition_nothing_can_be_stale(
    instance: dg.DagsterInstance, environ: dict[str, str]
) -> None:
    assert stale(instance, environ=environ) == FRESH


def test_what_is_stale_is_a_warning_that_says_since_when(fresh: dg.DagsterInstance) -> None:
    now = datetime.now(UTC)
    (launches, *_) = Today(fresh, SETTINGS, now + timedelta(hours=26), RECIPE).all()
    for said in (launches.result, launches.evaluation):
        assert (said.passed, said.severity) == (False, dg.AssetCheckSeverity.WARN)
        assert f"were brought at {now:%Y-%m-%d %H:}" in (said.description or "")


def evaluations(instance: dg.DagsterInstance) -> list[bool]:
    """What the UI shows of each check, as it was said last."""
    keys = [dg.AssetCheckKey(dg.AssetKey("archive"), name) for name in NAMES]
    records = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    shown = [records[key].event for key in keys if key in records]
    found = [event.asset_check_evaluation for event in shown if event]
    return [evaluation.passed for evaluation in found if evaluation]


def test_the_sensor_says_it_when_it_changes_and_each_hour(fresh: dg.DagsterInstance) -> None:
    now = datetime.now(UTC).replace(minute=10) + timedelta(hours=1)
    clock = [now]
    sensor = definitions(SETTINGS, lambda: clock[0]).get_repository_def().get_sensor_def("today_is_looked_at")

    def tick(cursor: str | None) -> dg.SensorResult:
        with dg.build_sensor_context(fresh, cursor) as context:
            result = sensor(context)
        assert isinstance(result, dg.SensorResult)
        return result

    first = tick(None)
    assert len(first.asset_events) == 3
    assert tick(first.cursor).asset_events == []
    clock[0] = now + timedelta(hours=1)
    assert len(tick(first.cursor).asset_events) == 3
    clock[0] = now + timedelta(minutes=40)
    bring(fresh, "launches", AROUND, version="2")
    clock[0] = datetime.now(UTC) + timedelta(minutes=31)
    assert len(tick(first.cursor).asset_events) == 3


def test_the_ui_shows_what_the_sensor_has_said_last(fresh: dg.DagsterInstance) -> None:
    for later, shown in ((timedelta(0), [True, True, True]), (timedelta(hours=26), [False, True, True])):
        for each in Today(fresh, SETTINGS, datetime.now(UTC) + later, RECIPE).all():
            fresh.report_runless_asset_event(each.evaluation)
        assert evaluations(fresh) == shown


def test_the_checks_can_be_executed_by_hand(fresh: dg.DagsterInstance) -> None:
    checks = today_is_fresh(SETTINGS, lambda: datetime.now(UTC) + timedelta(hours=26), RECIPE)
    job = dg.Definitions(asset_checks=[checks]).resolve_implicit_global_asset_job_def()
    assert job.execute_in_process(instance=fresh).success
    assert evaluations(fresh) == [False, True, True]
