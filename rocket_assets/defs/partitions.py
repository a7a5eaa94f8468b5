"""The days, and the months that they make.

What is brought has a partition for each UTC day, from the first day of the archive to the last planned one; what is
made of it to be looked at has one for each month. The key of a partition is its date, or that of its first day, and its
window is the only clock inside an asset.
"""

import math
import warnings
from datetime import date, timedelta

import dagster as dg

from rocket_assets.defs.environment import SETTINGS
from rocket_assets.settings import Settings

_LONGEST_MONTH, _SHORTEST_MONTH = timedelta(days=31), timedelta(days=28)


def daily_partitions(settings: Settings) -> dg.DailyPartitionsDefinition:
    """A partition for each UTC day from START_DATE to DAYS_AHEAD days from today, but not beyond END_DATE."""
    # Dagster's end is exclusive, and its last partition is yesterday: an offset of 1 makes it today.
    end = settings.end_date and (settings.end_date + timedelta(days=1)).isoformat()
    return dg.DailyPartitionsDefinition(
        settings.start_date.isoformat(), end_date=end, end_offset=settings.days_ahead + 1
    )


def monthly_partitions(settings: Settings) -> dg.MonthlyPartitionsDefinition:
    """A partition for each month that may have a day."""
    end = settings.end_date and (settings.end_date.replace(day=1) + _LONGEST_MONTH).replace(day=1).isoformat()
    # An offset of 1 makes the last partition that of this month. From any day on, so many more hold DAYS_AHEAD days.
    months_ahead = math.ceil(settings.days_ahead / _SHORTEST_MONTH.days)
    return dg.MonthlyPartitionsDefinition(
        settings.start_date.replace(day=1).isoformat(), end_date=end, end_offset=1 + months_ahead
    )


def days_of_each_month() -> dg.PartitionMapping:
    """How a month depends on its days; some of the first and of the last month may have no partition."""
    with warnings.catch_warnings():
        # In beta; without it, a month that is only begun could not be made.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.TimeWindowPartitionMapping(allow_nonexistent_upstream_partitions=True)


def bounds(settings: Settings, today: date) -> tuple[date, date]:
    """The first and the last day that have a partition on a given day."""
    last = today + timedelta(days=settings.days_ahead)
    return settings.start_date, min(settings.end_date or last, last)


days = daily_partitions(SETTINGS)
months = monthly_partitions(SETTINGS)
