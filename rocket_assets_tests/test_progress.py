"""A bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import re
import time

import pytest
from rich.console import Console

from rocket_assets.progress import Progress

TEXT = "7,608 launches, 6,900 pictures (123.4 MB fetched, 100.2 MB kept), 80 API requests, 3 of 15 left this hour"


class Shown:
    """A progress over three days on a clock that the test sets, and what is seen of it."""

    def __init__(self, *, terminal: bool, width: int = 100, total: int | None = 3, done: int = 0) -> None:
        self.now = 0.0
        self.left = ""
        self._file = io.StringIO()
        console = Console(file=self._file, force_terminal=terminal, width=width, _environ={"TERM": "xterm"})
        self.progress = Progress(console, total, "days", done=done, left=lambda: self.left, clock=lambda: self.now)

    def draw(self) -> None:
        """Have it drawn anew, as happens four times a second."""
        at = len(self.all)
        give_up = time.monotonic() + 10
        while self.all.count("days", at) < 2 and time.monotonic() < give_up:
            time.sleep(0.02)

    @property
    def all(self) -> str:
        return self._file.getvalue()

    @property
    def lines(self) -> list[str]:
        """The lines of the bar as it was drawn last, and what was said just before it."""
        drawn = re.split(r"(?:\x1b\[1A|\r)?\x1b\[2K", self.all)[-1]
        return [line.rstrip() for line in re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", drawn).splitlines()]


def test_elsewhere_it_is_a_plain_line_every_ten_seconds() -> None:
    shown = Shown(terminal=False)
    with shown.progress as progress:
        for second, text in ((9, "no line"), (10, "1 launch"), (19, "no line"), (3720, "2 launches")):
            shown.now = second
            progress.advance(text)
            shown.left = "about 5 min left"
    assert shown.all.splitlines() == [
        "2 of 3 days in 0:00:10, about 5 min left: 1 launch",
        "4 of 3 days in 1:02:00, about 5 min left: 2 launches",
    ]


def test_a_terminal_that_can_draw_nothing_gets_lines() -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=100, _environ={"TERM": "dumb"})
    with Progress(console, 3, "days", seconds_between_lines=0) as progress:
        progress.advance("1 launch")
    assert file.getvalue() == "1 of 3 days in 0:00:00: 1 launch\n"


def test_where_no_end_is_known_it_counts_all_the_same() -> None:
    shown = Shown(terminal=False, total=None)
    with shown.progress as progress:
        shown.now = 12
        progress.advance("9 pictures")
    assert shown.all == "1 days in 0:00:12: 9 pictures\n"


def test_on_a_terminal_it_is_a_bar_that_ends_full() -> None:
    shown = Shown(terminal=True)
    with shown.progress as progress:
        progress.advance("2 launches", steps=0)
        progress.advance("3 launches", steps=3)
    assert "\x1b[" in shown.all
    assert shown.lines == ["━" * 24 + " 3/3 days 0:00:00", "3 launches"]


def test_the_bar_grows_by_the_share_that_is_done_and_the_text_counts_whole_days() -> None:
    shown = Shown(terminal=True, total=4)
    grey = "\x1b[90m"
    with shown.progress as progress:
        progress.advance("1 launch", steps=0, share=0.5)
    head = next(line for line in reversed(shown.all.splitlines()) if "days" in line)
    assert head.partition(grey)[0].count("━") == 12
    assert "0/4 days" in head


def test_a_bar_begins_with_what_was_done_before() -> None:
    shown = Shown(terminal=True, total=14, done=10)
    with shown.progress as progress:
        progress.advance("1 launch")
    assert "11/14 days" in shown.lines[0]


@pytest.mark.parametrize("width", [80, 100, 160])
def test_nothing_of_the_whole_history_is_cut_at_any_usual_width(width: int) -> None:
    shown = Shown(terminal=True, width=width, total=25_001)
    with shown.progress as progress:
        shown.now, shown.left = 45_296, "at least 23 h 45 min left"
        progress.advance(TEXT, steps=12_345)
        progress.wait("Waiting for the throttle of the Launch Library:", 3599)
        shown.draw()
        head, *rest = shown.lines
        assert rest.pop() == "Waiting for the throttle of the Launch Library: 0:59:59"
    assert head.endswith(" 12,345/25,001 days 12:34:56 at least 23 h 45 min left")
    assert " ".join(line.strip() for line in rest) == TEXT
    assert max(map(len, [head, *rest])) <= width


def test_a_wait_is_counted_down_and_then_it_is_gone() -> None:
    shown = Shown(terminal=True)
    drawn: list[str] = []
    with shown.progress as progress:
        progress.wait("Waiting:", 3600)
        for shown.now in (0.0, 61.5, 3599.9):
            shown.draw()
            drawn.append(shown.lines[-1])
        shown.now = 3600.0
        shown.draw()
        assert "Waiting" not in shown.lines[-1]
    assert drawn == ["Waiting: 1:00:00", "Waiting: 0:58:59", "Waiting: 0:00:01"]


def test_a_wait_that_ends_before_its_time_is_gone_at_once() -> None:
    shown = Shown(terminal=True)
    with shown.progress as progress:
        progress.wait("Waiting:", 3600)
        progress.go_on()
        shown.draw()
        assert "Waiting" not in shown.lines[-1]


def test_where_there_is_no_terminal_a_wait_draws_nothing() -> None:
    shown = Shown(terminal=False)
    with shown.progress as progress:
        progress.say("Going on at [14:32:10] UTC.")
        progress.wait("Waiting:", 3600)
        progress.go_on()
    assert shown.all == "Going on at [14:32:10] UTC.\n"
