"""What a backfill has brought, counted and shown, on a clock that the tests set."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import pytest
from rich.console import Console

from rocket_assets.launch_library import Allowance
from rocket_assets.tally import Tally
from rocket_assets_tests.terminal import Terminal

FIRST = date(2024, 1, 1)
DAYS = [FIRST + timedelta(days=n) for n in range(366)]
RUN = (DAYS[0], DAYS[-1])


@dataclass(frozen=True)
class Came:
    """A day of an asset, or a month, with its counts."""

    asset: str
    day: date
    counts: Mapping[str, int] = field(default_factory=dict)
    is_month: bool = False

    def number(self, name: str) -> int:
        return self.counts.get(name, 0)


class Shown:
    """A tally that says a line with each day that comes ten seconds after the one before."""

    def __init__(self, *answers: Allowance | None, console: Console | None = None) -> None:
        self.now = 0.0
        self.asked = 0
        self._answers = answers
        self._file = io.StringIO()
        self.tally = Tally(console or Console(file=self._file, width=200), self._ask, lambda: self.now)

    def _ask(self) -> Allowance | None:
        self.asked += 1
        return self._answers[min(self.asked, len(self._answers)) - 1]

    @property
    def lines(self) -> list[str]:
        return self._file.getvalue().splitlines()

    def come(self, asset: str, days: Sequence[date], seconds: float = 10.0, **counts: int) -> None:
        for day in days:
            self.now += seconds
            self.tally.add(Came(asset, day, counts))


def both(days: Sequence[date]) -> dict[str, Sequence[date]]:
    return {"launches": days, "launch_images": days}


def test_a_day_is_done_when_each_of_its_assets_is_and_its_launches_count_once() -> None:
    shown = Shown(None)
    with shown.tally.show(both(DAYS[:2])):
        shown.come("launches", DAYS[:2], launches=3, api_requests=1)
        shown.come("launch_images", DAYS[:1], launches=3, pictures=2, bytes_fetched=2_000_000, bytes_kept=500)
    assert shown.lines[1].startswith("0 of 2 days in 0:00:20")
    assert shown.lines[2].startswith("1 of 2 days in 0:00:30")
    assert str(shown.tally) == "6 launches, 2 pictures (2.0 MB fetched, 0.5 kB kept), 2 API requests"
    assert shown.tally.days == 1


def test_where_pictures_alone_are_missing_their_launches_are_counted() -> None:
    shown = Shown(None)
    with shown.tally.show({"launches": [], "launch_images": DAYS[:1]}):
        shown.come("launch_images", DAYS[:1], launches=3, pictures=2)
    assert str(shown.tally).startswith("3 launches, 2 pictures")


def test_it_begins_with_the_days_that_stand_already() -> None:
    shown = Shown(None)
    with shown.tally.show(both(DAYS[:2]), of=DAYS[:100]):
        shown.come("launches", DAYS[:1])
    assert shown.lines[0].startswith("98 of 100 days")
    assert shown.tally.days == 0


def test_the_requests_that_are_left_are_asked_for_before_each_run_of_launches_and_counted_down_between() -> None:
    shown = Shown(Allowance(15, 3600, 15, 0), Allowance(15, 3600, 9, 0))
    with shown.tally.show(both(DAYS), runs=[RUN]):
        shown.tally.begin("launches", 2)
        shown.come("launches", DAYS[:2], api_requests=2)
        shown.tally.begin("launch_images", 2)
        shown.come("launch_images", DAYS[:1])
        shown.tally.begin("launches", 1)
        shown.come("launches", DAYS[2:3], api_requests=1)
    assert shown.asked == 2
    assert [re.findall(r"\d+ of 15 left this hour", line) for line in shown.lines] == [
        ["13 of 15 left this hour"],
        ["11 of 15 left this hour"],
        ["11 of 15 left this hour"],
        ["8 of 15 left this hour"],
    ]


def test_of_another_time_than_an_hour_it_says_which() -> None:
    shown = Shown(Allowance(300, 60, 299, 0))
    with shown.tally.show(both(DAYS), runs=[RUN]):
        shown.tally.begin("launches", 366)
        shown.come("launches", DAYS[:1])
    assert ", 299 of 300 left in 60 s, " in shown.lines[0]


def test_where_nothing_is_said_of_the_throttle_nothing_is_shown_of_it_and_it_is_not_asked_again() -> None:
    shown = Shown(None)
    with shown.tally.show(both(DAYS), runs=[RUN]):
        for _ in range(3):
            shown.tally.begin("launches", 366)
        shown.come("launches", DAYS[:1], api_requests=1)
    assert shown.asked == 1
    assert shown.lines[0].endswith("1 API request, launches 2024-01-01")


def test_what_was_said_of_the_throttle_is_asked_again_though_once_no_answer_came() -> None:
    shown = Shown(Allowance(15, 3600, 15, 0), None, Allowance(15, 3600, 3, 0))
    with shown.tally.show(both(DAYS), runs=[RUN]):
        for _ in range(3):
            shown.tally.begin("launches", 366)
        shown.come("launches", DAYS[:1])
    assert "3 of 15 left this hour" in shown.lines[0]


NOTHING = "0 launches, 0 pictures (nothing fetched, nothing kept), 0 API requests"
ONE_REFUSED = NOTHING.replace("0 API requests", "1 API request")


def test_until_its_first_day_comes_a_run_is_said_to_be_created_and_then_which_day_came_last() -> None:
    terminal = Terminal()
    shown = Shown(None, console=terminal.console)
    with shown.tally.show(both(DAYS), runs=[RUN], months={"launch_gallery": 12}):
        shown.tally.begin("launches", 1461)
        assert terminal.drawn()[-1] == "creating a run of 1,461 days of launches"
        shown.come("launches", DAYS[:1])
        assert terminal.drawn()[-1] == "launches 2024-01-01"
        shown.tally.begin("launch_images", 1)
        assert terminal.drawn()[-1] == "creating a run of 1 day of launch_images"
    with shown.tally.show_months({"launch_gallery": DAYS[:1]}):
        shown.tally.begin("launch_gallery", 12)
        assert terminal.drawn()[-1] == "creating a run of 12 months of launch_gallery"
        shown.tally.add(Came("launch_gallery", FIRST, is_month=True))
        assert terminal.drawn()[-1] == "launch_gallery 2024-01"
        shown.tally.begin("gallery_index", 0)
        assert terminal.drawn()[-1] == "creating a run of gallery_index"


def test_where_there_is_no_terminal_a_run_is_said_when_it_is_created() -> None:
    shown = Shown(None)
    with shown.tally.show(both(DAYS), runs=[RUN]):
        shown.tally.wait("Now it waits.", 60)
        shown.now = 60
        shown.tally.begin("launches", 366)
    assert shown.lines[1] == f"0 of 366 days in 0:01:00: {ONE_REFUSED}, creating a run of 366 days of launches"


def test_the_time_to_the_end_is_that_of_both_assets_and_of_the_months() -> None:
    """A day of launches takes a second and had one to be created with; pictures and months cost what is usual."""
    shown = Shown(None)
    months = {"launch_gallery": 12, "launch_table": 12}
    with shown.tally.show(both(DAYS), runs=[RUN], months=months):
        shown.tally.begin("launches", 366)
        shown.now += 2 * 366
        shown.come("launches", DAYS, seconds=1)
    assert shown.lines[-1] == f"0 of 366 days in 0:18:13, about 22 min left: {NOTHING}, launches 2024-12-26"
    with shown.tally.show_months({"launch_gallery": DAYS[:100]}):
        shown.tally.begin("launch_gallery", 100)
        shown.now += 200
        for month in DAYS[:50]:
            shown.now += 10
            shown.tally.add(Came("launch_gallery", month, is_month=True))
    assert shown.lines[-1] == "50 of 100 months in 0:11:40, about 7 min left: launch_gallery 2024-02"


def test_a_month_is_done_when_each_of_its_assets_is() -> None:
    shown = Shown(None)
    wanted = {"launch_gallery": DAYS[:2], "launch_table": DAYS[:2]}
    with shown.tally.show_months(wanted):
        for asset, months in wanted.items():
            for month in months:
                shown.now += 10
                shown.tally.add(Came(asset, month, is_month=True))
    assert [line.partition(" in ")[0] for line in shown.lines] == [f"{n} of 2 months" for n in (0, 0, 1, 2)]
    assert shown.tally.days == 0


@pytest.mark.parametrize(
    ("seconds", "meanwhile", "after"),
    [(1800.0, "at least 45 min left", "at least 16 min left"), (None, "about 22 min left", "about 16 min left")],
)
def test_a_wait_is_said_and_its_time_is_no_time_of_the_work(seconds: float | None, meanwhile: str, after: str) -> None:
    """Sixty days of 366 have come at a second each; of a wait for another run nobody knows the end."""
    shown = Shown(None)
    with shown.tally.show(both(DAYS), runs=[(DAYS[0], DAYS[182]), (DAYS[183], DAYS[365])]):
        shown.tally.begin("launches", 183)
        shown.now += 2 * 183
        shown.come("launches", DAYS[:60], seconds=1)
        shown.tally.wait("Now it waits.", seconds)
        shown.tally.begin("launch_images", 60)
        shown.come("launch_images", DAYS[:20], seconds=1)
        shown.now += 1780
        shown.tally.begin("launches", 123)
        shown.come("launches", DAYS[60:71], seconds=1)
    said = shown.lines.index("Now it waits.")
    assert f", {meanwhile}: " in shown.lines[said + 1]
    assert f", {after}: " in shown.lines[-1]


def test_a_throttle_that_is_shut_at_the_first_request_is_said_with_what_it_costs() -> None:
    """No day has come, but one request was sent, and a run was created in a minute."""
    terminal = Terminal()
    shown = Shown(Allowance(15, 3600, 0, 1800), console=terminal.console)
    with shown.tally.show(both(DAYS), runs=[RUN]):
        shown.tally.begin("launches", 366)
        shown.now += 60
        shown.tally.wait("Now it waits.", 1740)
        head, *rows = terminal.drawn()
        assert head.endswith(" 0/366 days 0:01:00 about 35 min left")
        assert rows[1:] == ["1 API request, 0 of 15 left this hour", WAITS.format("0:29:00")]


WAITS = "waiting for the throttle of the Launch Library: {}"


def test_a_wait_is_counted_down_until_its_time_is_over_or_launches_are_asked_for() -> None:
    terminal = Terminal()
    shown = Shown(None, console=terminal.console)
    with shown.tally.show(both(DAYS), runs=[RUN]):
        shown.tally.begin("launches", 366)
        shown.tally.wait("Now it waits.", 3600)
        assert terminal.drawn()[-1] == WAITS.format("1:00:00")
        shown.tally.begin("launch_images", 1)
        shown.now = 61.5
        assert terminal.drawn()[-1] == WAITS.format("0:58:59")
        shown.now = 3599.9
        assert terminal.drawn()[-1] == WAITS.format("0:00:01")
        shown.now = 3600
        assert terminal.drawn()[-1] == "creating a run of 1 day of launch_images"
        shown.tally.wait("Now it waits.", 60)
        shown.tally.begin("launches", 366)
        assert terminal.drawn()[-1] == "creating a run of 366 days of launches"
        shown.tally.wait("Another run asks.", None)
        assert terminal.drawn()[-1] == "2 API requests"


def test_waits_that_follow_each_other_are_said_once_a_minute_unless_they_are_longer() -> None:
    shown = Shown(None)
    with shown.tally.show(both(DAYS)):
        for shown.now, seconds in ((0, 30.0), (30, 5.0), (59, 61.0), (110, 5.0), (130, 5.0), (131, None)):
            shown.tally.wait(f"At {shown.now}.", seconds)
    assert shown.lines == ["At 0.", "At 59.", "At 130.", "At 131."]


def test_the_bar_begins_with_the_launches_that_stand_where_pictures_alone_are_missing() -> None:
    terminal = Terminal()
    tally = Tally(terminal.console)
    with tally.show({"launches": [], "launch_images": DAYS[:8]}, of=DAYS[:8]):
        tally.add(Came("launch_images", DAYS[0]))
        tally.add(Came("launch_images", DAYS[1]))
    head = next(line for line in reversed(terminal.all.splitlines()) if "days" in line)
    assert len(re.findall("━+", head)[0]) == 12 + 3
    assert "2/8 days" in head


@pytest.mark.parametrize("steps", range(1, 5))
def test_the_bar_grows_with_each_asset_of_a_day_and_is_full_at_the_end(steps: int) -> None:
    """Of four days two stand; of the others each asset of each day is an eighth of a bar of 24 cells."""
    terminal = Terminal()
    tally = Tally(terminal.console)
    with tally.show(both(DAYS[:2]), of=DAYS[:4]):
        for asset, day in [(asset, day) for asset in both(DAYS) for day in DAYS[:2]][:steps]:
            tally.add(Came(asset, day))
    head = next(line for line in reversed(terminal.all.splitlines()) if "days" in line)
    assert len(re.findall("━+", head)[0]) == 12 + 3 * steps
    assert f"{2 + max(0, steps - 2)}/4 days" in head
