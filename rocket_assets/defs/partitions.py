"""The days.

All assets have the same partitions: one a UTC day, from the first day of the archive to the last planned one. The key
of a partition is its date, and its window is the only clock inside an asset.
"""

from datetime import date, timedelta

import dagster as dg

from rocket_assets.defs.environment import SETTINGS
from rocket_assets.settings import Settings


def daily_partitions(settings: Settings) -> dg.DailyPartitionsDefinition:
    """A partition for each UTC day from START_DATE to END_DATE, or else to DAYS_AHEAD days from today."""
    start = settings.start_date.isoformat()
    if settings.end_date:
        # Dagster's end is exclusive.
        return dg.DailyPartitionsDefinition(start, end_date=(settings.end_date + timedelta(days=1)).isoformat())
    # Dagster's last partition is yesterday; an offset of 1 makes it today.
    return dg.DailyPartitionsDefinition(start, end_offset=settings.days_ahead + 1)


def bounds(settings: Settings, today: date) -> tuple[date, date]:
    """The first and the last day that have a partition on a given day."""
    return settings.start_date, settings.end_date or today + timedelta(days=settings.days_ahead)


days = daily_partitions(SETTINGS)
