"""A bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from rocket_assets.progress import Progress
from rocket_assets_tests.terminal import Terminal

CAME = [
    "7,608 launches, 6,900 pictures (1,234.5 MB fetched, 1,234.5 MB kept)",
    "123 API requests, 15 of 15 left this hour",
]


class Shown:
    """A progress over three days on a clock that the test sets, and what is seen of it."""

    def __init__(self, console: Console, total: int | None = 3, done: int = 0) -> None:
        self.now = 0.0
        self.came: list[str] = []
        self.doing = self.left = ""
        self.progress = Progress(
            console,
            total,
            "days",
            done=done,
            came=lambda: self.came,
            doing=lambda: self.doing,
            left=lambda: self.left,
            clock=lambda: self.now,
        )


class Lines:
    """Where there is no terminal, and what came there."""

    def __init__(self) -> None:
        self._file = io.StringIO()
        self.console = Console(file=self._file)

    @property
    def all(self) -> str:
        return self._file.getvalue()


def test_elsewhere_it_is_a_plain_line_every_ten_seconds() -> None:
    lines = Lines()
    shown = Shown(lines.console)
    with shown.progress as progress:
        for shown.now, came in ((9.0, "no line"), (10.0, "1 launch"), (19.0, "no line"), (3720.0, "2 launches")):
            shown.came = [came, "1 request"]
            progress.advance()
            shown.left, shown.doing = "about 5 min left", "waiting"
    assert lines.all.splitlines() == [
        "2 of 3 days in 0:00:10, about 5 min left: 1 launch, 1 request, waiting",
        "4 of 3 days in 1:02:00, about 5 min left: 2 launches, 1 request, waiting",
    ]


def test_a_plain_line_comes_even_where_nothing_else_does_but_each_time_after_twice_as_long() -> None:
    """After 0.1 s, 0.3 s, 0.7 s and 1.5 s; and again after a tenth of a second when something comes."""
    lines, began = Lines(), time.monotonic()
    with Progress(lines.console, 3, "days", came=lambda: ["none yet"], seconds_between_lines=0.1) as progress:
        while (said := len(lines.all.splitlines())) < 4:
            assert time.monotonic() - began < 30
            time.sleep(0.01)
        assert time.monotonic() - began >= 1.5
        time.sleep(0.2)
        progress.advance()
        assert len(lines.all.splitlines()) > said
    ended = lines.all
    assert ended.startswith("0 of 3 days in 0:00:00: none yet\n")
    time.sleep(0.3)
    assert lines.all == ended


def test_a_terminal_that_can_draw_nothing_gets_lines() -> None:
    file, now = io.StringIO(), [0.0]
    console = Console(file=file, force_terminal=True, width=100, _environ={"TERM": "dumb"})
    with Progress(console, 3, "days", came=lambda: ["1 launch"], clock=lambda: now[0]) as progress:
        now[0] = 10.0
        progress.advance()
    assert file.getvalue() == "1 of 3 days in 0:00:10: 1 launch\n"


def test_where_no_end_is_known_it_counts_all_the_same() -> None:
    lines = Lines()
    shown = Shown(lines.console, total=None)
    with shown.progress as progress:
        shown.now, shown.came = 12.0, ["9 pictures"]
        progress.advance()
    assert lines.all == "1 days in 0:00:12: 9 pictures\n"


@pytest.mark.parametrize("where", [Terminal, Lines])
def test_of_no_steps_at_all_nothing_is_shown(where: type[Terminal | Lines]) -> None:
    to = where()
    with Progress(to.console, 0, "days", seconds_between_lines=0.01):
        time.sleep(0.1)
    assert to.all == ""


def test_on_a_terminal_it_is_a_bar_that_ends_full_and_says_no_more_what_is_done_nor_how_long_that_takes() -> None:
    terminal = Terminal()
    shown = Shown(terminal.console)
    shown.doing, shown.left = "creating a run", "about 5 min left"
    with shown.progress as progress:
        assert terminal.drawn() == ["━" * 24 + " 0/3 days 0:00:00 about 5 min left", "creating a run"]
        shown.came = ["3 launches"]
        progress.advance(3)
    assert terminal.rows == ["━" * 24 + " 3/3 days 0:00:00", "3 launches"]


def test_the_bar_grows_by_the_share_that_is_done_and_the_text_counts_whole_days() -> None:
    terminal = Terminal()
    grey = "\x1b[90m"
    with Progress(terminal.console, 4, "days") as progress:
        progress.advance(steps=0, share=0.5)
    head = next(line for line in reversed(terminal.all.splitlines()) if "days" in line)
    assert head.partition(grey)[0].count("━") == 12
    assert "0/4 days" in head


def test_a_bar_begins_with_what_was_done_before() -> None:
    terminal = Terminal()
    with Progress(terminal.console, 14, "days", done=10) as progress:
        progress.advance()
    assert "11/14 days" in terminal.rows[0]


@pytest.mark.parametrize("width", [80, 100, 160])
def test_nothing_of_the_whole_history_is_cut_or_wrapped_at_any_usual_width(width: int) -> None:
    terminal = Terminal(width)
    shown = Shown(terminal.console, total=25_001)
    with shown.progress as progress:
        shown.now, shown.left, shown.came = 45_296, "at least 23 h 45 min left", CAME
        shown.doing = "waiting for the throttle of the Launch Library: 0:59:59"
        progress.advance(steps=12_345)
        head, *rest = terminal.drawn()
    assert head.endswith(" 12,345/25,001 days 12:34:56 at least 23 h 45 min left")
    assert rest == [*CAME, shown.doing]
    assert max(map(len, [head, *rest])) <= width


def test_a_sentence_is_said_as_it_is() -> None:
    lines = Lines()
    with Progress(lines.console, 3, "days") as progress:
        progress.say("Going on at [14:32:10] UTC.")
    assert lines.all == "Going on at [14:32:10] UTC.\n"
