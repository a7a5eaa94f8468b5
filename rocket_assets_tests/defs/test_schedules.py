"""What is asked for once a day."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg
import pytest

from rocket_assets.definitions import definitions
from rocket_assets.defs.runs import BECAUSE
from rocket_assets.settings import Settings

MIDNIGHT = datetime(2024, 12, 5, 0, 20, tzinfo=UTC)


AT_NIGHT = datetime(2024, 12, 5, 2, 40, tzinfo=UTC)


def evaluated(environ: dict[str, str], at: datetime = MIDNIGHT) -> dg.RunRequest | dg.SkipReason:
    schedule = definitions(Settings.read(environ)).resolve_schedule_def("launches_around_today")
    given = schedule(dg.build_schedule_context(scheduled_execution_time=at))
    assert isinstance(given, dg.RunRequest | dg.SkipReason)
    return given


@pytest.mark.parametrize(
    ("environ", "start", "end"),
    [
        ({}, "2024-12-03", "2024-12-19"),
        ({"ROCKET_ASSETS_DAYS_AHEAD": "3"}, "2024-12-03", "2024-12-08"),
        ({"ROCKET_ASSETS_START_DATE": "2024-12-04"}, "2024-12-04", "2024-12-19"),
        ({"ROCKET_ASSETS_END_DATE": "2024-12-07"}, "2024-12-03", "2024-12-07"),
    ],
)
def test_the_days_from_two_days_ago_to_the_last_planned_one_are_one_run(
    environ: dict[str, str], start: str, end: str
) -> None:
    request = evaluated(environ)
    assert isinstance(request, dg.RunRequest)
    assert request.tags["dagster/asset_partition_range_start"] == start
    assert request.tags["dagster/asset_partition_range_end"] == end
    assert request.tags[BECAUSE] == "The days around 2024-12-05, as every day."


def test_one_day_is_a_run_of_that_partition() -> None:
    request = evaluated({"ROCKET_ASSETS_START_DATE": "2024-12-05", "ROCKET_ASSETS_DAYS_AHEAD": "0"})
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == "2024-12-05"


@pytest.mark.parametrize("environ", [{"ROCKET_ASSETS_END_DATE": "2024-11-30"}])
def test_a_closed_period_far_from_today_has_nothing_to_bring(environ: dict[str, str]) -> None:
    reason = evaluated(environ)
    assert isinstance(reason, dg.SkipReason)
    assert "none of them is near 2024-12-05" in (reason.skip_message or "")


def test_each_day_has_its_own_key_so_that_a_repeated_tick_starts_nothing() -> None:
    one, same = evaluated({}), evaluated({})
    later = evaluated({}, MIDNIGHT.replace(day=6))
    assert isinstance(one, dg.RunRequest)
    assert isinstance(same, dg.RunRequest)
    assert isinstance(later, dg.RunRequest)
    assert one.run_key == same.run_key != later.run_key


def test_it_is_on_from_the_start_and_says_what_it_does() -> None:
    schedule = definitions(Settings.read({})).resolve_schedule_def("launches_around_today")
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    assert "from 2 days ago to 14 days ahead" in (schedule.description or "")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("20 0 * * *", "UTC")


def at_night(at: datetime) -> dg.RunRequest:
    schedule = definitions(Settings.read({})).resolve_schedule_def("stored_days_each_night")
    given = schedule(dg.build_schedule_context(scheduled_execution_time=at))
    assert isinstance(given, dg.RunRequest)
    return given


def test_each_night_is_a_run_that_says_which_night_it_is_of() -> None:
    request, next_one = at_night(AT_NIGHT), at_night(AT_NIGHT.replace(day=6))
    assert request.run_key == "2024-12-05"
    assert request.tags[BECAUSE] == "The sample of 2024-12-05, as every night."
    assert next_one.run_key == "2024-12-06"


def test_the_look_at_what_is_stored_is_on_from_the_start_and_comes_after_what_is_brought() -> None:
    schedule = definitions(Settings.read({})).resolve_schedule_def("stored_days_each_night")
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("40 2 * * *", "UTC")
    assert "In 64 such nights" in (schedule.description or "")
    assert int(at_night(AT_NIGHT).tags["dagster/priority"]) < 0


def test_each_week_old_runs_are_forgotten() -> None:
    schedule = definitions(Settings.read({"ROCKET_ASSETS_RUNS_DAYS": "30"})).resolve_schedule_def("old_runs_each_week")
    sunday = datetime(2024, 12, 8, 3, 10, tzinfo=UTC)
    given = schedule(dg.build_schedule_context(scheduled_execution_time=sunday))
    assert isinstance(given, dg.RunRequest)
    assert (given.run_key, given.tags[BECAUSE]) == ("2024-12-08", "Each week.")
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("10 3 * * 0", "UTC")
    assert "more than 30 days ago" in (schedule.description or "")
    assert schedule.job.name == "forget_old_runs"
