"""How long a backfill will still take: the work that is left at its own pace, and the waits for the API's throttle.

A backfill of many years has two kinds of time. Its work takes as long as it has taken so far, for each day or month of
an asset. And the throttle gives out so many requests an hour: what is asked beyond them waits, while the work goes on.
Nothing here measures anything; what came, and when, it is told.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta

from rocket_assets.launch_library import PAGE, Allowance

Clock = Callable[[], float]
"""Seconds since any moment."""

DAY = timedelta(days=1)

LAUNCHES = "launches"

DAILY = (LAUNCHES, "launch_images")
"""The assets whose days are brought while the throttle is waited for."""

_USUAL_COST = {"launch_gallery": 4.0, "launch_table": 1.5}
"""What a month of these costs, in days of launches; of the others a day costs one. It counts until they have begun."""

_ENOUGH_SECONDS, _ENOUGH_STEPS = 5.0, 50
"""How much has to be seen before anything is said, and of an asset before it counts more than what is usual."""

_LAUNCHES_A_YEAR = {1957: 30, 1961: 70, 1964: 122, 1991: 86, 2001: 74, 2018: 112, 2021: 165, 2023: 240, 2025: 330}
"""About how many launches a year had, from each of these years on. What came so far corrects it."""

_DOUBT = 30
"""So many launches have to be expected before what came instead counts as much as the table."""


class Pace:
    """How long the steps of each asset take, a step being a day or a month, and how long its runs need to begin.

    Args:
        steps: how many there are to do, by asset.
        runs: how many runs bring the days of an asset; the months of one are taken for one run.
        clock: says what time it is.
    """

    def __init__(self, steps: Mapping[str, int], runs: int, clock: Clock) -> None:
        self._clock = clock
        self._total = dict(steps)
        self._runs = {asset: max(1, runs) if asset in DAILY else 1 for asset in steps}
        self._done = dict.fromkeys(steps, 0)
        self._timed = dict.fromkeys(steps, 0)
        self._seconds = dict.fromkeys(steps, 0.0)
        self._begins: list[float] = []
        self._last = clock()
        self._runs_now = ""
        self._stands = False

    def expect(self, steps: Mapping[str, int]) -> None:
        """These steps are what is to do now; of those before, none is left."""
        self._runs = dict.fromkeys(steps, 1)
        self._done = dict.fromkeys(steps, 0) | self._done
        self._timed = dict.fromkeys(steps, 0) | self._timed
        self._seconds = dict.fromkeys(steps, 0.0) | self._seconds
        self._total = dict(steps)

    def step(self, asset: str) -> None:
        """A day or a month of an asset is done; what came before it was its own time, or what its run began with."""
        now = self._clock()
        if asset == self._runs_now:
            self._seconds[asset] += now - self._last
            self._timed[asset] += 1
        else:
            self._begins.append(now - self._last)
        self._done[asset] += 1
        self._last, self._runs_now = now, asset

    def stand(self) -> None:
        """The work waits; what is done meanwhile is still told by `step`."""
        self._stands = True

    def begin(self) -> None:
        """A run begins. If the work has waited, the time since the last step was no work."""
        if self._stands:
            self._last, self._stands = self._clock(), False
        self._runs_now = ""

    def left(self, assets: Sequence[str] | None = None) -> float | None:
        """The seconds of work that are left, of these assets or of all; None as long as that cannot be known."""
        seen, done = sum(self._seconds.values()), sum(self._done.values())
        if seen + sum(self._begins) < _ENOUGH_SECONDS or done < min(_ENOUGH_STEPS, sum(self._total.values()) / 4):
            return None
        usual = seen / max(1.0, sum(_usual_cost(asset) * count for asset, count in self._timed.items()))
        # The very first run begins more slowly than those that follow.
        begins = self._begins[1:] or self._begins
        chosen = [asset for asset in self._total if assets is None or asset in assets]
        to_begin = sum(map(self._runs_to_begin, chosen)) * sum(begins) / len(begins)
        to_do = sum(self._steps_left(asset, usual) for asset in chosen)
        return None if len(self._begins) == 1 and to_begin > to_do else to_begin + to_do

    def _steps_left(self, asset: str, usual: float) -> float:
        # The first few of an asset may say little of the others.
        few = _ENOUGH_STEPS / _usual_cost(asset)
        each = (self._seconds[asset] + _ENOUGH_STEPS * usual) / (self._timed[asset] + few)
        return each * max(0, self._total[asset] - self._done[asset])

    def _runs_to_begin(self, asset: str) -> int:
        part = 1 - self._done[asset] / self._total[asset] if self._total[asset] else 0.0
        # Rounded first, because of a whole run a hair too much may seem to be left.
        runs = math.ceil(round(self._runs[asset] * max(0.0, part), 6))
        return max(0, runs - (self._runs_now == asset))


def _usual_cost(asset: str) -> float:
    return _USUAL_COST.get(asset, 1.0)


class Budget:
    """The requests that the throttle gives out: so many at once, and as many again when their time is over.

    What it says of itself holds for a while only; the plan is made from the moment at which the first of them was sent.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._limit: int | None = None
        self._seconds = 0.0
        self._left: int | None = None
        self._shut_until = -math.inf
        self._opened, self._in_window = clock(), 0

    @property
    def left(self) -> tuple[int, int, float] | None:
        """How many requests may still be sent, of how many in how many seconds, where that is known."""
        return (self._left, self._limit, self._seconds) if self._left is not None and self._limit else None

    @property
    def waits(self) -> float:
        """The seconds until the throttle opens, where it is known to be shut."""
        return max(0.0, self._shut_until - self._clock())

    @property
    def is_known(self) -> bool:
        """Whether it can be said when requests will be taken."""
        return self._limit is not None or self._shut_until == -math.inf

    def learn(self, allowance: Allowance | None) -> None:
        """What the API says of its throttle, or that it says nothing."""
        if allowance is None:
            self._left = None
            return
        is_first = self._limit is None
        self._limit, self._seconds, self._left = allowance.limit, allowance.seconds, allowance.left
        if is_first:
            self._opened, self._in_window = self._clock(), allowance.left
            if not allowance.left:
                self._open_at(self._clock() + allowance.next_in)

    def spend(self, requests: int) -> None:
        """So many requests were sent."""
        if self._left is not None:
            self._left = max(0, self._left - requests)
        self._roll()
        self._in_window = max(0, self._in_window - requests)

    def shut(self, seconds: float) -> None:
        """The throttle was reached, and opens again in so many seconds."""
        self._shut_until = self._clock() + seconds
        if self._left is not None:
            self._left = 0
        if not self._in_window or self._shut_until >= self._opened + self._seconds:
            self._open_at(self._shut_until)

    def wait_for(self, requests: int) -> float:
        """The seconds until the last of so many requests may be sent."""
        self._roll()
        if not self._limit or requests <= self._in_window:
            return max(self.waits, self._opened - self._clock() if self._limit else 0.0)
        windows = math.ceil((requests - self._in_window) / self._limit)
        return max(self.waits, self._opened + windows * self._seconds - self._clock())

    def last_of(self, requests: int) -> int:
        """How many of so many requests are sent after the last wait."""
        if not self._limit or requests <= self._in_window:
            return requests
        return (requests - self._in_window - 1) % self._limit + 1

    def _open_at(self, moment: float) -> None:
        self._opened, self._in_window = moment, self._limit or 0

    def _roll(self) -> None:
        """Begin a new window where the last is over."""
        if self._limit and self._seconds and self._clock() >= self._opened + self._seconds:
            self._open_at(self._clock())


class Estimate:
    """How long a backfill will still take.

    It may be told from one thread and asked from another.

    Args:
        steps: how many days or months of each asset there are to do.
        runs: the first and the last day of each run of launches.
        clock: says what time it is.
    """

    def __init__(self, steps: Mapping[str, int], runs: Sequence[tuple[date, date]], clock: Clock) -> None:
        self._pace, self._budget = Pace(steps, len(runs), clock), Budget(clock)
        self._runs = runs
        self._came = 0
        self._last = date.min
        self._sent: list[date] = []
        self._asks_again = False

    def came(self, asset: str, day: date, launches: int = 0, requests: int = 0) -> None:
        """A day or month of an asset has come; for a day of launches, so many of them and for so many requests."""
        self._pace.step(asset)
        if asset == LAUNCHES:
            self._last = max(self._last, day)
            self._came += launches
            self._sent += [day] * requests
            self._asks_again = False
            self._budget.spend(requests)

    def learn(self, allowance: Allowance | None) -> None:
        """What the API says of its throttle, or that it says nothing."""
        self._budget.learn(allowance)

    def wait(self, seconds: float | None) -> None:
        """The work waits, for the throttle so many seconds, or for nobody knows how long."""
        self._pace.stand()
        if seconds is not None:
            self._asks_again = True
            self._budget.shut(seconds)

    def begin(self) -> None:
        """A run of launches begins; the work waits no more, if it did."""
        self._pace.begin()

    def begin_months(self, steps: Mapping[str, int]) -> None:
        """The days are done as far as they can be, and these months are to be made."""
        self._pace.expect(steps)
        self._runs = ()

    @property
    def requests_left(self) -> tuple[int, int, float] | None:
        """How many requests may still be sent, of how many in how many seconds, where that is known."""
        return self._budget.left

    @property
    def requests_ahead(self) -> int:
        """About how many requests are still to be sent: one for each run, and for each further page of launches."""
        before = sum(launches_usually(start, min(self._last, end)) for start, end in self._runs)
        many = (self._came + _DOUBT) / (before + _DOUBT)
        requests = 0
        for start, end in self._runs:
            if self._last < end:
                pages = max(1, math.ceil(launches_usually(start, end) * many / PAGE))
                # What came is whole pages, of which only the days up to the last are recorded.
                sent = sum(start <= day for day in self._sent)
                requests += max(int(self._asks_again), pages - sent)
        return requests

    @property
    def seconds(self) -> float | None:
        """The seconds to the end, never fewer than a wait that is known; None as long as that cannot be known."""
        work = self._pace.left()
        if work is None:
            return None
        requests = self.requests_ahead
        if not requests:
            return max(work, self._budget.waits)
        # The work goes on while it is waited. What is left when the last wait is over is that of the last requests.
        meanwhile = (self._pace.left(DAILY) or 0.0) * (1 - self._budget.last_of(requests) / requests)
        return max(work, self._budget.wait_for(requests) + work - meanwhile)

    @property
    def is_at_least(self) -> bool:
        """Whether there may be further waits, of which nothing can be known."""
        return bool(self._runs) and not self._budget.is_known and self.requests_ahead > 1


def launches_usually(start: date, end: date) -> float:
    """About how many launches there were from the one day to the other, both included; of the future, as today."""
    years, found = list(_LAUNCHES_A_YEAR), 0.0
    while start <= end:
        last = min(end, date(start.year, 12, 31))
        found += _LAUNCHES_A_YEAR[years[max(0, bisect(years, start.year) - 1)]] * ((last - start).days + 1) / 365.25
        start = last + DAY
    return found


def in_words(seconds: float, how: str = "about") -> str:
    """A time ahead, rounded up to what can be known of it."""
    minutes = math.ceil(seconds / 60)
    if minutes <= 1:
        return "less than a minute"
    if minutes > 48 * 60:
        return f"{how} {math.ceil(minutes / 60 / 12) / 2:g} days"
    coarse = 1 if minutes < 30 else 5 if minutes < 120 else 15
    hours, rest = divmod(math.ceil(minutes / coarse) * coarse, 60)
    return " ".join([how, *[f"{hours} h"][: bool(hours)], *[f"{rest} min"][: bool(rest)]])
