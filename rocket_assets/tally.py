"""What a backfill has brought so far, counted and shown: days, launches, pictures, requests, time to the end."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Protocol

from rich.console import Console

from rocket_assets.estimate import LAUNCHES, MONTHLY, Clock, Estimate, in_words
from rocket_assets.launch_library import Allowance
from rocket_assets.progress import Progress, clock_time

HOUR = 3600.0

_SECONDS_BETWEEN_SENTENCES = 60.0
"""Of shorter waits that follow each other, as a sliding throttle makes them, the countdown says enough."""


class Recorded(Protocol):
    """A day of an asset, or a month by its first day, that is on record."""

    @property
    def asset(self) -> str:
        """Of which asset."""
        ...

    @property
    def day(self) -> date:
        """The day, or the first of the month."""
        ...

    @property
    def is_month(self) -> bool:
        """Whether it is a month."""
        ...

    def number(self, name: str) -> int:
        """One of its counts."""
        ...


class Tally:
    """Counts what a backfill has brought, and shows it.

    Args:
        console: where it is shown; the errors' stream unless told otherwise.
        ask: says what the API's throttle gives out, or None where it says nothing; then it is not asked again.
        clock: says what time it is.
    """

    def __init__(
        self,
        console: Console | None = None,
        ask: Callable[[], Allowance | None] = lambda: None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.days = self.launches = self.pictures = self.refused = self.requests = 0
        self.bytes_fetched = self.bytes_kept = 0
        self.days_with_refusals: list[date] = []
        self.days_with_refused_rows: list[date] = []
        self._console = console or Console(stderr=True)
        self._ask: Callable[[], Allowance | None] | None = ask
        self._clock = clock
        self._open = Counter[date]()
        self._steps = self._steps_done = 0
        self._counts_launches = LAUNCHES
        self._doing = ""
        self._waits_until = self._said = -math.inf
        self._estimate = Estimate({}, (), clock)
        self._progress: Progress | None = None

    def show(
        self,
        wanted: Mapping[str, Sequence[date]],
        *,
        runs: Sequence[tuple[date, date]] = (),
        months: Mapping[str, int] | None = None,
        of: Sequence[date] = (),
    ) -> Progress:
        """A progress over the days that are wanted; a day is done when each asset of it is recorded.

        Args:
            wanted: the days of each asset.
            runs: the first and the last day of each run of launches.
            months: about how many months of which assets will be made of them.
            of: the days of which these are wanted, where that is not all of them; each asset of the others is done.
        """
        self._counts_launches = LAUNCHES if wanted.get(LAUNCHES) else "launch_images"
        steps = {asset: len(days) for asset, days in wanted.items()}
        self._estimate = Estimate(steps | dict(months or {}), runs, self._clock)
        return self._shown(wanted, "days", self._came, of)

    def show_months(self, wanted: Mapping[str, Sequence[date]]) -> Progress:
        """A progress over the months that are wanted; a month is done when each asset of it is recorded."""
        self._estimate.begin_months({asset: len(months) for asset, months in wanted.items()})
        return self._shown(wanted, "months", tuple)

    def _shown(
        self,
        wanted: Mapping[str, Sequence[date]],
        unit: str,
        came: Callable[[], Sequence[str]],
        of: Sequence[date] = (),
    ) -> Progress:
        self._open = Counter(day for days in wanted.values() for day in days)
        self._steps = len(of) * len(wanted) or self._open.total()
        self._steps_done = self._steps - self._open.total()
        total = len(of) or len(self._open)
        self._progress = Progress(
            self._console,
            total,
            unit,
            done=total - len(self._open),
            came=came,
            doing=self._now,
            left=self._left,
            clock=self._clock,
        )
        return self._progress

    def add(self, recorded: Recorded) -> None:
        """Count a day of an asset, or a month."""
        self._estimate.came(recorded.asset, recorded.day, recorded.number("launches"), recorded.number("api_requests"))
        self._open[recorded.day] -= 1
        is_done = not self._open[recorded.day]
        if not recorded.is_month:
            self._count(recorded)
            self.days += is_done
        self._steps_done += 1
        self._doing = f"{recorded.asset} {recorded.day:{'%Y-%m' if recorded.is_month else '%Y-%m-%d'}}"
        if self._progress:
            self._progress.advance(int(is_done), self._share)

    def _count(self, day: Recorded) -> None:
        self.requests += day.number("api_requests")
        self.pictures += day.number("pictures")
        self.bytes_fetched += day.number("bytes_fetched")
        self.bytes_kept += day.number("bytes_kept")
        if day.asset == self._counts_launches:
            self.launches += day.number("launches")
        if day.number("refused"):
            self.refused += day.number("refused")
            self.days_with_refusals.append(day.day)
        if day.number("rows_refused"):
            self.days_with_refused_rows.append(day.day)

    @property
    def _share(self) -> float:
        """Which share of the days is done, where a day of which some assets are there counts in part."""
        return self._steps_done / max(1, self._steps)

    def begin(self, asset: str, steps: int) -> None:
        """A run of so many days or months is being created; when it is one of launches, nobody else asks the API."""
        self._estimate.begin(asset, steps)
        steps_of = f"{count(steps, 'month' if asset in MONTHLY else 'day')} of " if steps else ""
        self._doing = f"creating a run of {steps_of}{asset}"
        if asset == LAUNCHES:
            self._waits_until = -math.inf
        if self._progress:
            self._progress.advance(0, self._share)
        if asset == LAUNCHES:
            if self._ask and (allowance := self._ask()):
                self._estimate.learn(allowance)
            elif not self._estimate.requests_left:
                self._ask = None

    def wait(self, text: str, seconds: float | None) -> None:
        """Show what is waited for, and how long if that is known: then the throttle has refused a request."""
        self._estimate.wait(seconds)
        self._doing = ""
        if seconds is not None:
            self.requests += 1
            self._waits_until = self._clock() + seconds
        if self._progress and (
            seconds is None or max(seconds, self._clock() - self._said) > _SECONDS_BETWEEN_SENTENCES
        ):
            self._progress.say(text)
            self._said = self._clock()

    def __str__(self) -> str:
        return ", ".join(self._counts())

    def _counts(self) -> tuple[str, str]:
        fetched, kept = size(self.bytes_fetched), size(self.bytes_kept)
        pictures = f"{count(self.pictures, 'picture')} ({fetched} fetched, {kept} kept)"
        return f"{count(self.launches, 'launch', 'launches')}, {pictures}", count(self.requests, "API request")

    def _came(self) -> tuple[str, str]:
        """What has come, and what may still be asked for, in two lines."""
        came, requests = self._counts()
        if known := self._estimate.requests_left:
            left, limit, seconds = known
            requests += f", {left} of {limit} left " + ("this hour" if seconds == HOUR else f"in {seconds:g} s")
        return came, requests

    def _now(self) -> str:
        """What is being done, or waited for."""
        wait = self._waits_until - self._clock()
        if wait <= 0:
            return self._doing
        return f"waiting for the throttle of the Launch Library: {clock_time(math.ceil(wait))}"

    def _left(self) -> str:
        seconds = self._estimate.seconds
        if seconds is None:
            return ""
        return f"{in_words(seconds, 'at least' if self._estimate.is_at_least else 'about')} left"


def count(number: int, one: str, many: str | None = None) -> str:
    """A number of things."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def size(number: int) -> str:
    """A number of bytes."""
    if not number:
        return "nothing"
    return f"{number / 1e6:.1f} MB" if number >= 1e5 else f"{number / 1e3:.1f} kB"
