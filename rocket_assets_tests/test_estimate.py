"""The time to the end of a backfill, on a clock that the tests set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rocket_assets.estimate import Estimate, in_words, launches_usually
from rocket_assets.launch_library import PAGE, Allowance
from rocket_assets.launches import days_between
from rocket_assets.sample_library.throttle import Throttle

FIRST = date(1964, 1, 1)
"""The first of 27 years that had about 122 launches each."""
HOUR = 3600.0


@dataclass
class Backfill:
    """A backfill of years, as it goes: runs are created, each day of an asset takes so long, and requests may wait.

    What the estimate said is kept with the time at which it said it.
    """

    years: int
    seconds: dict[str, float]
    create: float = 0.04
    """Seconds that a run needs for each of its days or months before the first of them comes."""
    start: float = 0.0
    """Seconds that the first run needs besides."""
    launches_a_year: int = 122
    throttle: int | None = None
    used_before: int = 0
    says_throttle: bool = True
    months: dict[str, int] = field(default_factory=dict)
    now: float = 1000.0
    said: list[tuple[float, float | None, float]] = field(default_factory=list)
    """When, what the estimate was, and how long a wait was known to go on."""

    def run(self) -> Backfill:
        self._gate = Throttle(self.throttle, lambda: datetime.fromtimestamp(self.now, UTC))
        for _ in range(self.used_before):
            self._gate.take("us")
        days = [FIRST + timedelta(days=n) for n in range(365 * self.years)]
        chunks = [days[n : n + YEARS_A_RUN * 365] for n in range(0, len(days), YEARS_A_RUN * 365)]
        daily = [asset for asset in self.seconds if asset not in self.months]
        steps = dict.fromkeys(daily, len(days)) | self.months
        self.estimate = Estimate(steps, [(chunk[0], chunk[-1]) for chunk in chunks], lambda: self.now)
        self._begins = self.start
        for chunk in chunks:
            self._launches(chunk)
            for first in range(0, len(chunk), 365) if "launch_images" in daily else ():
                self._begin("launch_images", len(chunk[first : first + 365]))
                self._come("launch_images", chunk[first : first + 365])
        self.estimate.begin_months(self.months)
        for asset, number in self.months.items():
            self._begin(asset, number)
            self._come(asset, [FIRST] * number)
        return self

    def _launches(self, days: list[date]) -> None:
        """A page after the other, each of a hundred launches; after a wait the rest is asked for anew."""
        size = 365 * PAGE // max(1, self.launches_a_year)
        while days:
            self._begin("launches", len(days))
            while days:
                if wait := self._gate.take("us"):
                    self.estimate.wait(wait)
                    self._note(wait)
                    self.now += wait / 2
                    self._note(wait / 2)
                    self.now += wait / 2
                    break
                self._come("launches", days[:size], self.launches_a_year, requests=1)
                days = days[size:]

    def _begin(self, asset: str, steps: int) -> None:
        self.estimate.begin(asset, steps)
        if asset == "launches" and self.throttle and self.says_throttle:
            used, wait = self._gate.use("us")
            self.estimate.learn(Allowance(self.throttle, HOUR, self.throttle - used, wait))
        for part in (0.5, 0.5):
            self.now += part * (self.create * steps + self._begins)
            self._note()
        self._begins = 0.0

    def _come(self, asset: str, days: list[date], launches_a_year: int = 0, requests: int = 0) -> None:
        for number, day in enumerate(days):
            self.now += self.seconds[asset]
            launches = launches_a_year * (number + 1) // 365 - launches_a_year * number // 365
            self.estimate.came(asset, day, launches, requests if number == 0 else 0)
            if number % 30 == 0:
                self._note()

    def _note(self, wait: float = 0.0) -> None:
        self.said.append((self.now, self.estimate.seconds, wait))

    def answers(self) -> Iterator[tuple[float, float, float]]:
        """What was said, how long it really took, and the wait that was known."""
        for at, said, wait in self.said:
            if said is not None:
                yield said, self.now - at, wait


YEARS_A_RUN = 4
"""Of launches; pictures come a year at a time."""

DAYS = {"launches": 0.02, "launch_images": 0.04}
WITH_MONTHS = {**DAYS, "launch_gallery": 0.08, "launch_table": 0.03}
"""As a day and a month of them cost each other."""


@settings(deadline=None, max_examples=50)
@given(
    create=st.floats(0.001, 0.05),
    launches=st.floats(0.3, 1.0),
    images=st.floats(0.3, 3.0),
    start=st.floats(0, 200),
    years=st.integers(14, 25),
    with_months=st.booleans(),
)
def test_in_the_middle_half_of_a_backfill_it_is_right_within_a_quarter(
    create: float, launches: float, images: float, start: float, years: int, with_months: bool
) -> None:
    """Whatever a day of launches and one of pictures cost beside the creation of a run for it."""
    costs = {"launches": create * launches, "launch_images": create * images}
    months = {"launch_gallery": 12 * years, "launch_table": 12 * years} if with_months else {}
    costs |= {"launch_gallery": 2 * create, "launch_table": create} if with_months else {}
    work = Backfill(years, costs, create, create * start, months=months).run()
    middle = [(said, took) for said, took, _ in work.answers() if 0.25 < took / (work.now - 1000) < 0.75]
    assert len(middle) > 20
    for said, took in middle:
        assert said == pytest.approx(took, rel=0.25)


@pytest.mark.parametrize("years", [1, 4, 69])
def test_it_is_said_from_the_first_day_on_and_right_within_a_third_where_costs_are_usual(years: int) -> None:
    """Before that nothing is known. Usual is what was measured: 7 ms to create, 3.5 for launches, 7 for pictures."""
    months = {"launch_gallery": 12 * years, "launch_table": 12 * years}
    costs = {"launches": 0.0035, "launch_images": 0.007, "launch_gallery": 0.014, "launch_table": 0.005}
    work = Backfill(years, costs, create=0.007, start=1.0, months=months).run()
    begun = 1000 + 1 + 0.007 * 365 * min(years, YEARS_A_RUN)
    for at, said, _ in work.said:
        assert (said is None) == (at < begun + 0.0035 - 1e-6)
        if said is not None:
            assert said == pytest.approx(work.now - at, rel=0.33, abs=1)


def test_while_a_run_is_being_created_the_time_that_is_left_shrinks() -> None:
    now = [0.0]
    estimate = Estimate({"launches": 2000}, [(FIRST, FIRST + timedelta(days=1999))], lambda: now[0])
    estimate.begin("launches", 1000)
    now[0] = 10
    for n in range(1000):
        now[0] += 0.01
        estimate.came("launches", FIRST + timedelta(days=n))
    estimate.begin("launches", 1000)
    before = estimate.seconds or 0
    now[0] += 5
    assert estimate.seconds == pytest.approx(before - 5)
    now[0] += 10
    # It takes longer than it should, but what comes after it is still to come.
    assert estimate.seconds == pytest.approx(10, rel=0.1)


def test_what_is_left_of_a_run_that_the_throttle_broke_off_is_created_again() -> None:
    now = [0.0]
    estimate = Estimate({"launches": 1000}, [(FIRST, FIRST + timedelta(days=999))], lambda: now[0])
    estimate.begin("launches", 1000)
    now[0] = 100
    estimate.came("launches", FIRST)
    before = estimate.seconds or 0
    estimate.wait(0)
    assert estimate.seconds == pytest.approx(before + 100 * 999 / 1100, rel=0.05)


def test_months_that_are_made_at_the_end_are_in_it_from_the_beginning() -> None:
    """A third of all that is to do, and none of it seen yet."""
    months = {"launch_gallery": 700, "launch_table": 700}
    work = Backfill(4, WITH_MONTHS, 0.04, months=months).run()
    said, took, _ = next(work.answers())
    assert took > 250
    assert said == pytest.approx(took, rel=0.1)


@pytest.mark.parametrize(
    ("years", "launches_a_year", "throttle", "used_before"),
    [(26, 122, 15, 0), (26, 122, 15, 10), (26, 122, 15, 15), (10, 180, 15, 0), (26, 90, 15, 3), (12, 122, 60, 0)],
)
def test_the_waits_for_the_throttle_are_in_it_before_they_are_met(
    years: int, launches_a_year: int, throttle: int, used_before: int
) -> None:
    """Within an hour, which is what one request more or less can make, or a fifth."""
    work = Backfill(years, DAYS, launches_a_year=launches_a_year, throttle=throttle, used_before=used_before).run()
    answers = list(work.answers())
    assert answers
    for said, took, _ in answers:
        assert said == pytest.approx(took, rel=0.2, abs=1.05 * HOUR)


@settings(deadline=None, max_examples=50)
@given(
    years=st.integers(1, 8),
    launches_a_year=st.integers(0, 400),
    throttle=st.integers(1, 6),
    used_before=st.integers(0, 6),
    says_throttle=st.booleans(),
)
def test_it_never_says_less_than_a_wait_that_is_known(
    years: int, launches_a_year: int, throttle: int, used_before: int, says_throttle: bool
) -> None:
    seconds = {"launches": 0.05, "launch_images": 0.05}
    work = Backfill(
        years,
        seconds,
        launches_a_year=launches_a_year,
        throttle=throttle,
        used_before=min(used_before, throttle),
        says_throttle=says_throttle,
    ).run()
    for said, _, wait in work.answers():
        assert said >= wait


def test_the_work_goes_on_while_the_throttle_is_waited_for() -> None:
    """Three hours of waits and nearly three of work are not six."""
    work = Backfill(26, {"launches": 0.3, "launch_images": 0.3}, 0.3, throttle=15).run()
    assert work.now - 1000 < 4.5 * HOUR
    for said, took, _ in work.answers():
        assert said == pytest.approx(took, rel=0.2, abs=0.5 * HOUR)


def _after_a_hundred_days() -> tuple[Estimate, list[float]]:
    """An estimate and its clock, after a hundred seconds of launches in the first of three years."""
    now = [0.0]
    runs = [(date(year, 1, 1), date(year, 12, 31)) for year in (1958, 1959, 1960)]
    estimate = Estimate({"launches": 1096}, runs, lambda: now[0])
    estimate.begin("launches", 1096)
    now[0] += 2 * 1096
    for day in list(days_between(*runs[0]))[:100]:
        now[0] += 1
        estimate.came("launches", day, requests=int(day == runs[0][0]))
    return estimate, now


def test_a_throttle_that_is_shut_in_the_beginning_opens_when_it_says() -> None:
    estimate, _ = _after_a_hundred_days()
    estimate.learn(Allowance(15, HOUR, 0, 1631))
    assert estimate.seconds == pytest.approx(1631 + 996 / 2, rel=0.4)
    assert (estimate.seconds or 0) > 1631


def test_after_an_hour_the_throttle_gives_out_as_many_again() -> None:
    estimate, now = _after_a_hundred_days()
    estimate.learn(Allowance(2, HOUR, 1, 0))
    assert (estimate.seconds or 0) > HOUR
    now[0] += HOUR + 1
    assert estimate.seconds == pytest.approx(996, rel=0.05)


def test_after_a_wait_the_throttle_gives_out_a_whole_hours_requests() -> None:
    estimate, now = _after_a_hundred_days()
    estimate.learn(Allowance(2, HOUR, 0, 600))
    now[0] += 600
    estimate.wait(1200)
    assert estimate.seconds == pytest.approx(1200 + HOUR, rel=0.2)


def test_a_wait_does_not_slow_the_pace_of_the_work() -> None:
    """With 5 requests an hour the last year begins after a wait, and takes as long as the first."""
    work = Backfill(6, DAYS, launches_a_year=90, throttle=5).run()
    waited = max(at for at, _, wait in work.said if wait)
    last_year = [(said, work.now - at) for at, said, _ in work.said if said is not None and at > waited + 1000]
    assert last_year
    assert all(said == pytest.approx(took, rel=0.1, abs=0.5) for said, took in last_year)


def test_where_the_throttle_is_met_and_says_nothing_of_itself_it_is_a_lower_bound() -> None:
    runs = [(FIRST, FIRST + timedelta(days=364)), (date(1965, 1, 1), date(1965, 12, 31))]
    estimate = Estimate({"launches": 730}, runs, lambda: 0.0)
    assert not estimate.is_at_least
    estimate.wait(600)
    assert estimate.is_at_least
    estimate.learn(Allowance(15, HOUR, 0, 600))
    assert not estimate.is_at_least


def test_the_requests_that_are_left_are_those_that_the_api_said_without_those_that_were_sent_since() -> None:
    estimate = Estimate({"launches": 365}, [(FIRST, date(1964, 12, 31))], lambda: 0.0)
    assert estimate.requests_left is None
    estimate.learn(Allowance(15, HOUR, 12, 0))
    estimate.came("launches", FIRST, 3, requests=2)
    assert estimate.requests_left == (10, 15, HOUR)
    estimate.wait(60)
    assert estimate.requests_left == (0, 15, HOUR)


@pytest.mark.parametrize(("left", "next_in"), [(10**18 - 5, 0), (5, 0), (0, 600)])
def test_a_throttle_may_say_of_itself_what_it_likes(left: int, next_in: int) -> None:
    """Nothing of the size of a number that somebody else gives is kept."""
    estimate, _ = _after_a_hundred_days()
    estimate.learn(Allowance(10**18, HOUR, left, next_in))
    assert (estimate.seconds or 0) >= next_in
    assert estimate.requests_left


def test_the_launches_ahead_are_about_those_that_there_were() -> None:
    """7,608 have flown until August 2026, as the Launch Library counts them."""
    assert launches_usually(date(1957, 10, 4), date(2026, 8, 20)) == pytest.approx(7608, rel=0.05)
    years = [(date(year, 1, 1), date(year, 12, 31)) for year in range(1958, 2026)]
    estimate = Estimate({"launches": 1}, years, lambda: 0.0)
    in_the_beginning = estimate.requests_ahead
    estimate.came("launches", date(1960, 12, 31), launches=90)
    assert estimate.requests_ahead == pytest.approx(in_the_beginning - 3, abs=3)


def test_a_page_that_came_is_not_asked_for_again_unless_the_throttle_stops_its_run() -> None:
    years = [(date(year, 1, 1), date(year, 12, 31)) for year in range(1958, 1961)]
    estimate = Estimate({"launches": 1}, years, lambda: 0.0)
    assert estimate.requests_ahead == 3
    estimate.came("launches", date(1958, 1, 1), requests=1)
    assert estimate.requests_ahead == 2
    estimate.wait(None)
    assert estimate.requests_ahead == 2
    estimate.wait(600)
    assert estimate.requests_ahead == 3
    estimate.came("launches", date(1958, 1, 2), requests=1)
    assert estimate.requests_ahead == 2


def test_a_library_of_few_launches_soon_needs_a_request_a_run_and_no_more() -> None:
    years = [(date(year, 1, 1), date(year, 12, 31)) for year in range(1958, 2025)]
    estimate = Estimate({"launches": 1}, years, lambda: 0.0)
    estimate.came("launches", date(1966, 12, 31), launches=9)
    assert estimate.requests_ahead == 2024 - 1966
    estimate.came("launches", date(2024, 12, 31))
    assert estimate.requests_ahead == 0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "less than a minute"),
        (60, "less than a minute"),
        (61, "about 2 min"),
        (29 * 60, "about 29 min"),
        (31 * 60, "about 35 min"),
        (56 * 60, "about 1 h"),
        (61 * 60, "about 1 h 5 min"),
        (5 * HOUR + 1, "about 5 h 15 min"),
        (47 * HOUR, "about 47 h"),
        (50 * HOUR, "about 2.5 days"),
        (69 * 24 * HOUR, "about 69 days"),
    ],
)
def test_a_time_is_said_as_coarsely_as_it_is_known(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


@given(st.floats(0, 10**7))
def test_a_time_in_words_is_never_less_than_it_is(seconds: float) -> None:
    """And at most a quarter more, from some minutes on."""
    units = {"min": 60, "h": HOUR, "days": 24 * HOUR}
    words = in_words(seconds)
    if words == "less than a minute":
        assert seconds <= 60
        return
    told = words.split()[1:]
    said = sum(float(number) * units[unit] for number, unit in zip(told[::2], told[1::2], strict=True))
    assert seconds - 1 <= said <= max(seconds * 1.25, seconds + 60)
