"""A month as it is stored: its days' launches, each with what the manifest says of its picture.

What is made of the archive for people to look at or to count is made month by month from here. A day that was not
brought yet is no day without launches: it is left out, and `Month.days` says which are in.
"""

from __future__ import annotations

from calendar import monthrange
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta

from rocket_assets.archive import Archive, Entry
from rocket_assets.errors import Missing
from rocket_assets.launches import Launch, days_between

_READERS = 16
"""Days read at once: on a bucket each of them is two round trips."""


@dataclass(frozen=True)
class Shown:
    """A launch with its entry in the manifest of its day; None where the pictures of the day are still to follow."""

    launch: Launch
    entry: Entry | None


@dataclass(frozen=True)
class Month:
    """The stored launches of one month.

    Args:
        first: its first day.
        days: those of its days whose launches are stored, in order.
        launches: in order of their NET.
    """

    first: date
    days: list[date]
    launches: list[Shown]

    @property
    def key(self) -> str:
        """Year and month, as in 2024-12."""
        return f"{self.first:%Y-%m}"

    @property
    def calendar_days(self) -> int:
        """How many days the month has, stored or not."""
        return last_day(self.first).day


def month_of(day: date) -> date:
    """The first day of a day's month."""
    return day.replace(day=1)


def last_day(first: date) -> date:
    """The last day of the month of this first day."""
    return first.replace(day=monthrange(first.year, first.month)[1])


def next_month(first: date) -> date:
    """The first day of the month that follows."""
    return last_day(first) + timedelta(days=1)


def read_month(archive: Archive, first: date) -> Month:
    """The month of this first day.

    Raises:
        Damaged: a file of a day is not what was written.
    """
    with ThreadPoolExecutor(_READERS, thread_name_prefix="month") as threads:
        read = threads.map(lambda day: _read_day(archive, day), days_between(first, last_day(first)))
        days = [day for day in read if day]
    return Month(first, [day for day, _ in days], [shown for _, launches in days for shown in launches])


def _read_day(archive: Archive, day: date) -> tuple[date, list[Shown]] | None:
    try:
        launches = archive.read_launches(day)
    except Missing:
        return None
    try:
        entries = {entry.launch_id: entry for entry in archive.read_manifest(day).entries}
    except Missing:
        entries = {}
    return day, [Shown(launch, entries.get(launch.id)) for launch in launches]
