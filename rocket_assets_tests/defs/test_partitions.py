"""The days: from the first of the archive to the last planned one, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg
import pytest

from rocket_assets.defs.partitions import bounds, daily_partitions, days
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
