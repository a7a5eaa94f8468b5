"""How long a backfill will still take: the work that is left at its own pace, and the waits for the API's throttle.

A backfill of many years has two kinds of time. Its work takes as long as it has taken so far, for each day or month of
an asset, and for each that a run is created with. And the throttle gives out so many requests an hour: what is asked
beyond them waits, while the work goes on. Nothing here measures anything; what came, and when, it is told.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta

from rocket_assets.launch_library import PAGE, Allowance

Clock = Callable[[], float]
"""Seconds since any moment."""

LAUNCHES = "launches"

DAILY, MONTHLY = (LAUNCHES, "launch_images"), ("launch_gallery", "launch_table")
"""The assets whose days are brought while the throttle is waited for, and those that are made of them in the end."""

_CREATED = "created"
"""Stands for a day or month that a run is created with, of whatever asset."""

_USUAL_COST = {_CREATED: 2.0, LAUNCHES: 1.0, "launch_images": 2.0, "launch_gallery": 4.0, "launch_table": 1.5}
"""What each costs beside the others; what is seen corrects it."""

_ENOUGH = 100.0
"""What has to be seen of one before it counts more than what is usual, in days of launches."""

_FIRST = 100
"""The first run starts all else, too: that takes as long as so many days more would."""

_LAUNCHES_A_YEAR = {1957: 30, 1961: 70, 1964: 122, 1991: 86, 2001: 74, 2018: 112, 2021: 165, 2023: 240, 2025: 330}
"""About how many launches a year had, from each of these years on. What came so far corrects it."""

_DOUBT = 30
"""So many launches have to be expected before what came instead counts as much as the table."""

_MOST_SLOTS = 10_000
"""More requests than any backfill sends, and no more than fit into memory, whatever a throttle says of itself."""


class Pace:
    """How long the work takes: each step of an asset, which is a day or a month, and the creation of its runs.

    Before the first step of a run Dagster puts on record all that are to come, so that takes as long for each of them.

    Args:
        steps: how many there are to do, by asset.
        clock: says what time it is.
    """

    def __init__(self, steps: Mapping[str, int], clock: Clock) -> None:
        self._clock = clock
        self._steps = steps
        self._done, self._created = Counter[str](), Counter[str]()
        self._seen, self._seconds = Counter({_CREATED: _FIRST}), dict.fromkeys(_USUAL_COST, 0.0)
        self._creating, self._last = ("", 0), clock()

    def expect(self, steps: Mapping[str, int]) -> None:
        """These steps are what is to do now; of those before, none is left."""
        self._steps = steps

    def begin(self, asset: str, steps: int) -> None:
        """A run of so many steps is being created; the time since the end of the one before it was no work."""
        self._creating, self._last = (asset, steps), self._clock()

    def step(self, asset: str) -> None:
        """A day or a month of an asset is done; what came before it was its own time, or the creation of its run."""
        if not self._end_creation():
            self._see(asset, 1)
        self._done[asset] += 1

    def stand(self) -> None:
        """The work waits; what the last run did not bring, another will be created for."""
        self._end_creation()
        self._created = self._done.copy()

    @property
    def is_known(self) -> bool:
        """Whether anything has been seen of it."""
        return any(self._seconds.values())

    def left(self, assets: Sequence[str]) -> float:
        """The seconds of work that are left of these assets."""
        creation, (creating, steps) = self._each(_CREATED), self._creating
        seconds = -min(self._clock() - self._last, creation * steps) if creating in assets else 0.0
        for asset in self._steps.keys() & assets:
            seconds += creation * max(0, self._steps[asset] - self._created[asset])
            seconds += self._each(asset) * max(0, self._steps[asset] - self._done[asset])
        return seconds

    def _end_creation(self) -> bool:
        """Whether a run was being created until now."""
        asset, steps = self._creating
        if asset:
            self._see(_CREATED, steps)
            self._created[asset] += steps
            self._creating = ("", 0)
        return bool(asset)

    def _see(self, what: str, steps: int) -> None:
        now = self._clock()
        self._seconds[what] += now - self._last
        self._seen[what] += steps
        self._last = now

    def _each(self, what: str) -> float:
        """What one costs: at first by all that was seen, because the first few may say little of the others."""
        usual = sum(self._seconds.values()) / sum(cost * self._seen[other] for other, cost in _USUAL_COST.items())
        return (self._seconds[what] + _ENOUGH * usual) / (self._seen[what] + _ENOUGH / _USUAL_COST[what])


class Budget:
    """The requests that the throttle gives out: each takes a slot, which opens again after so many seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._limit, self._seconds = 0, 0.0
        self._slots = deque[float]()
        """When each opens, in order; none as long as the API says nothing of its throttle."""
        self._shut_until = -math.inf

    @property
    def left(self) -> tuple[int, int, float] | None:
        """How many requests may still be sent, of how many in how many seconds, where that is known."""
        taken = sum(opens > self._clock() for opens in self._slots.copy())
        return (self._limit - taken, self._limit, self._seconds) if self._limit else None

    @property
    def is_known(self) -> bool:
        """Whether it can be said when requests will be taken."""
        return bool(self._limit) or self._shut_until == -math.inf

    def learn(self, said: Allowance) -> None:
        """What the API says of its throttle. When others took their slots it does not say; at the latest just now."""
        now = self._clock()
        self._limit, self._seconds = said.limit, said.seconds
        free, taken = min(said.left, _MOST_SLOTS), min(max(0, said.limit - said.left), _MOST_SLOTS)
        ours = [opens for opens in self._slots if opens > now][-taken:] if taken else []
        others = [now + (said.seconds if free else said.next_in)] * (taken - len(ours))
        self._slots = deque(sorted([now] * free + ours + others))

    def spend(self, requests: int) -> None:
        """So many requests were sent."""
        for _ in range(requests if self._slots else 0):
            self._slots.popleft()
            self._slots.append(self._clock() + self._seconds)

    def shut(self, seconds: float) -> None:
        """The throttle was met, and opens again in so many seconds."""
        self._shut_until = self._clock() + seconds
        self._slots = deque(max(opens, self._shut_until) for opens in self._slots)

    def time_for(self, requests: int, work: float) -> float:
        """How long so many requests take, with so much work before the first of them and after each."""
        now = self._clock()
        slots, moment = self._slots.copy(), max(now + work, self._shut_until if requests else now)
        for _ in range(requests):
            if slots:
                moment = max(moment, slots.popleft())
                slots.append(moment + self._seconds)
            moment += work
        return moment - now


class Estimate:
    """How long a backfill will still take.

    It may be told from one thread and asked from another.

    Args:
        steps: how many days or months of each asset there are to do.
        runs: the first and the last day of each run of launches.
        clock: says what time it is.
    """

    def __init__(self, steps: Mapping[str, int], runs: Sequence[tuple[date, date]], clock: Clock) -> None:
        self._pace, self._budget = Pace(steps, clock), Budget(clock)
        self._runs = runs
        self._came = 0
        self._last = date.min
        self._sent: list[date] = []
        self._asks_again = False

    def begin(self, asset: str, steps: int) -> None:
        """A run of so many days or months of an asset is being created."""
        self._pace.begin(asset, steps)

    def came(self, asset: str, day: date, launches: int = 0, requests: int = 0) -> None:
        """A day or month of an asset has come; for a day of launches, so many of them and for so many requests."""
        self._pace.step(asset)
        if asset == LAUNCHES:
            self._last = max(self._last, day)
            self._came += launches
            self._sent += [day] * requests
            self._asks_again = False
            self._budget.spend(requests)

    def learn(self, allowance: Allowance) -> None:
        """What the API says of its throttle."""
        self._budget.learn(allowance)

    def wait(self, seconds: float | None) -> None:
        """The work waits, for the throttle so many seconds, or for nobody knows how long."""
        self._pace.stand()
        if seconds is not None:
            self._asks_again = True
            self._budget.shut(seconds)

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
        if not self._pace.is_known:
            return None
        requests = self.requests_ahead
        # The work goes on while the throttle is waited for: what one request brings, until the next may be sent.
        return self._budget.time_for(requests, self._pace.left(DAILY) / (requests + 1)) + self._pace.left(MONTHLY)

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
        start = last + timedelta(days=1)
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
