"""The days.

All assets have the same partitions: one a UTC day, from the first day of the archive to the last planned one. The key
of a partition is its date, and its window is the only clock inside an asset.
"""

from datetime import date, timedelta

import dagster as dg

from rocket_assets.defs.environment import SETTINGS
from rocket_assets.settings import Settings


def daily_partitions(settings: Settings) -> dg.DailyPartitionsDefinition:
    """A partition for each UTC day from START_DATE to DAYS_AHEAD days from today, but not beyond END_DATE."""
    # Dagster's end is exclusive, and its last partition is yesterday: an offset of 1 makes it today.
    end = settings.end_date and (settings.end_date + timedelta(days=1)).isoformat()
    return dg.DailyPartitionsDefinition(
        settings.start_date.isoformat(), end_date=end, end_offset=settings.days_ahead + 1
    )


def bounds(settings: Settings, today: date) -> tuple[date, date]:
    """The first and the last day that have a partition on a given day."""
    last = today + timedelta(days=settings.days_ahead)
    return settings.start_date, min(settings.end_date or last, last)


days = daily_partitions(SETTINGS)
