"""What a backfill has brought so far, counted and shown: days, launches, pictures, requests, time to the end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Protocol

from rich.console import Console

from rocket_assets.estimate import Clock, Estimate, in_words
from rocket_assets.launch_library import Allowance
from rocket_assets.progress import Progress

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
        self._open: dict[date, int] = {}
        self._steps = self._steps_done = self._standing = 0
        self._said = -math.inf
        self._counts_launches = "launches"
        self._estimate = Estimate({}, (), clock)
        self._progress: Progress | None = None

    def show(
        self,
        wanted: Mapping[str, Sequence[date]],
        *,
        runs: Sequence[tuple[date, date]] = (),
        months: Mapping[str, int] | None = None,
        standing: int = 0,
    ) -> Progress:
        """A progress over the days that are wanted; a day is done when each asset of it is recorded.

        Args:
            wanted: the days of each asset.
            runs: the first and the last day of each run of launches.
            months: about how many months of which assets will be made of them.
            standing: how many days more are done already.
        """
        self._counts_launches = "launches" if wanted.get("launches") else "launch_images"
        for days in wanted.values():
            for day in days:
                self._open[day] = self._open.get(day, 0) + 1
        steps = {asset: len(days) for asset, days in wanted.items()}
        self._steps, self._steps_done, self._standing = sum(steps.values()), 0, standing
        self._estimate = Estimate(steps | dict(months or {}), runs, self._clock)
        self._progress = self._shown(standing + len(self._open), "days", done=standing)
        return self._progress

    def show_months(self, wanted: Mapping[str, Sequence[date]]) -> Progress:
        """A progress over the months of each asset that are wanted."""
        steps = {asset: len(months) for asset, months in wanted.items()}
        self._estimate.begin_months(steps)
        self._progress = self._shown(sum(steps.values()), "months")
        return self._progress

    def _shown(self, total: int, unit: str, done: int = 0) -> Progress:
        return Progress(self._console, total, unit, done=done, left=self._left, clock=self._clock)

    def add(self, recorded: Recorded) -> None:
        """Count a day of an asset, or a month."""
        self._estimate.came(recorded.asset, recorded.day, recorded.number("launches"), recorded.number("api_requests"))
        if recorded.is_month:
            if self._progress:
                self._progress.advance(f"{recorded.asset} {recorded.day:%Y-%m}")
            return
        self.requests += recorded.number("api_requests")
        self.pictures += recorded.number("pictures")
        self.bytes_fetched += recorded.number("bytes_fetched")
        self.bytes_kept += recorded.number("bytes_kept")
        if recorded.asset == self._counts_launches:
            self.launches += recorded.number("launches")
        if recorded.number("refused"):
            self.refused += recorded.number("refused")
            self.days_with_refusals.append(recorded.day)
        if recorded.number("rows_refused"):
            self.days_with_refused_rows.append(recorded.day)
        self._open[recorded.day] = self._open.get(recorded.day, 1) - 1
        done = self._open[recorded.day] == 0
        self.days += done
        self._steps_done += 1
        if self._progress:
            self._progress.advance(f"{self}{self._requests_left()}", steps=int(done), share=self._share)

    @property
    def _share(self) -> float:
        """Which share of the days is done, where a day of which some assets are there counts in part."""
        days = len(self._open)
        return (self._standing + days * self._steps_done / max(1, self._steps)) / max(1, self._standing + days)

    def wait(self, text: str, seconds: float | None) -> None:
        """Show what is waited for, and how long if that is known."""
        self._estimate.wait(seconds)
        if self._progress:
            if seconds is None or max(seconds, self._clock() - self._said) > _SECONDS_BETWEEN_SENTENCES:
                self._progress.say(text)
                self._said = self._clock()
            if seconds is not None:
                self._progress.wait("Waiting for the throttle of the Launch Library:", seconds)

    def before_asking(self) -> None:
        """The API is about to be asked for launches, and nobody else asks it."""
        if self._progress:
            self._progress.go_on()
        if self._ask:
            allowance = self._ask()
            self._estimate.learn(allowance)
            self._ask = self._ask if allowance else None
        self._estimate.begin()

    def __str__(self) -> str:
        return (
            f"{count(self.launches, 'launch', 'launches')}, {count(self.pictures, 'picture')} "
            f"({size(self.bytes_fetched)} fetched, {size(self.bytes_kept)} kept), "
            f"{count(self.requests, 'API request')}"
        )

    def _requests_left(self) -> str:
        known = self._estimate.requests_left
        if not known:
            return ""
        left, limit, seconds = known
        return f", {left} of {limit} left " + ("this hour" if seconds == HOUR else f"in {seconds:g} s")

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
    return f"{number / 1e6:.1f} MB" if number >= 1e5 else f"{number / 1e3:.1f} kB"
