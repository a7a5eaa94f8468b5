"""The days: from the first of the archive to the last planned one, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg
import pytest

from rocket_assets.defs.partitions import bounds, daily_partitions, days, days_of_each_month, monthly_partitions, months
from rocket_assets.settings import Settings

NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("environ", "first", "last"),
    [
        ({}, "1957-10-04", "2026-03-19"),
        ({"ROCKET_ASSETS_DAYS_AHEAD": "0"}, "1957-10-04", "2026-03-05"),
        ({"ROCKET_ASSETS_DAYS_AHEAD": "30"}, "1957-10-04", "2026-04-04"),
        ({"ROCKET_ASSETS_START_DATE": "2026-03-05", "ROCKET_ASSETS_DAYS_AHEAD": "0"}, "2026-03-05", "2026-03-05"),
        (
            {"ROCKET_ASSETS_START_DATE": "2024-12-01", "ROCKET_ASSETS_END_DATE": "2024-12-14"},
            "2024-12-01",
            "2024-12-14",
        ),
        ({"ROCKET_ASSETS_END_DATE": "2026-03-04"}, "1957-10-04", "2026-03-04"),
        ({"ROCKET_ASSETS_END_DATE": "2026-03-05"}, "1957-10-04", "2026-03-05"),
        ({"ROCKET_ASSETS_END_DATE": "2026-03-10"}, "1957-10-04", "2026-03-10"),
        ({"ROCKET_ASSETS_END_DATE": "2026-12-31"}, "1957-10-04", "2026-03-19"),
    ],
    ids=[
        "default",
        "until today",
        "a month ahead",
        "today alone",
        "a closed period",
        "ends yesterday",
        "ends today",
        "ends within the days ahead",
        "ends beyond them",
    ],
)
def test_the_settings_say_the_first_and_the_last_day(environ: dict[str, str], first: str, last: str) -> None:
    settings = Settings.read(environ)
    partitions = daily_partitions(settings)
    with dg.partition_loading_context(effective_dt=NOON):
        assert (partitions.get_first_partition_key(), partitions.get_last_partition_key()) == (first, last)
    assert [str(day) for day in bounds(settings, NOON.date())] == [first, last]


def test_a_day_begins_and_ends_at_midnight_utc() -> None:
    window = days.time_window_for_partition_key("2024-12-05")
    assert window.start == datetime(2024, 12, 5, tzinfo=UTC)
    assert window.end == datetime(2024, 12, 6, tzinfo=UTC)


def test_there_are_days_before_1970() -> None:
    assert days.get_partition_keys_in_range(dg.PartitionKeyRange("1957-10-04", "1957-10-06")) == [
        "1957-10-04",
        "1957-10-05",
        "1957-10-06",
    ]


@pytest.mark.parametrize("ahead", [0, 1, 14, 28, 29, 60])
@pytest.mark.parametrize("today", ["2026-01-31", "2026-02-01", "2026-02-28", "2026-03-05", "2026-12-31"])
def test_each_day_has_its_month_and_no_month_comes_much_later_than_the_last_day(today: str, ahead: int) -> None:
    settings = Settings.read({"ROCKET_ASSETS_DAYS_AHEAD": str(ahead)})
    noon = datetime.fromisoformat(f"{today}T12:00Z")
    with dg.partition_loading_context(effective_dt=noon):
        made, brought = monthly_partitions(settings), daily_partitions(settings)
        last_day, last_month = brought.get_last_partition_key() or "", made.get_last_partition_key() or ""
        assert {f"{day[:7]}-01" for day in brought.get_partition_keys()} <= set(made.get_partition_keys())
    assert made.get_first_partition_key() == "1957-10-01"
    assert (datetime.fromisoformat(last_month) - datetime.fromisoformat(last_day)).days <= 31


def test_a_closed_period_has_the_months_of_its_days() -> None:
    settings = Settings.read({"ROCKET_ASSETS_START_DATE": "2024-11-30", "ROCKET_ASSETS_END_DATE": "2024-12-31"})
    with dg.partition_loading_context(effective_dt=NOON):
        assert list(monthly_partitions(settings).get_partition_keys()) == ["2024-11-01", "2024-12-01"]


def test_a_month_depends_on_its_days_also_where_some_have_no_partition() -> None:
    result = days_of_each_month().get_upstream_mapped_partitions_result_for_partitions(
        months.subset_with_partition_keys(["1957-10-01"]), months, days
    )
    assert len(result.partitions_subset) == 28
    assert not list(result.required_but_nonexistent_subset.get_partition_keys())
