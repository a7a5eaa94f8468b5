"""How a long command shows its work: a bar on a terminal, plain lines elsewhere.

It counts what it is told; what there is to tell is not decided here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

_BAR_WIDTH = 24


class Progress:
    """Counts steps, of a known total or not, with a text that says what has come so far.

    It may be told from another thread than the one that made it.

    Args:
        console: where it is shown.
        total: how many steps there are.
        unit: what they are.
        done: how many of them were done before.
        left: says how long it will still take, or nothing; asked whenever the bar is drawn.
        clock: says what time it is, in seconds.
        seconds_between_lines: how often a line comes where there is no terminal.
    """

    def __init__(
        self,
        console: Console,
        total: int | None,
        unit: str,
        *,
        done: int = 0,
        left: Callable[[], str] = str,
        clock: Callable[[], float] = time.monotonic,
        seconds_between_lines: float = 10.0,
    ) -> None:
        self._console = console
        self._total = total
        self._unit = unit
        self._done = done
        self._completed = float(done)
        self._left = left
        self._clock = clock
        self._text = ""
        self._waits_for, self._waits_until = "", 0.0
        self._began = clock()
        self._seconds_between_lines = seconds_between_lines
        self._next_line = self._began + seconds_between_lines
        self._is_drawn = console.is_terminal and not console.is_dumb_terminal
        self._live = Live(console=console, get_renderable=self._drawn, refresh_per_second=4)

    def __enter__(self) -> Self:
        if self._is_drawn:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.go_on()
        if self._is_drawn:
            self._live.stop()

    def say(self, text: str) -> None:
        """Show a sentence on a line of its own."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def wait(self, what: str, seconds: float) -> None:
        """Count down to the end of a wait; `what` says what for."""
        self._waits_for, self._waits_until = what, self._clock() + seconds

    def go_on(self) -> None:
        """The wait is over."""
        self._waits_for = ""

    def advance(self, text: str, steps: int = 1, share: float | None = None) -> None:
        """So many steps more are done; `text` says what has come so far.

        The bar grows by the steps, or up to the share of all work that is done, where half a step counts, too.
        """
        self._done += steps
        self._completed = self._done if share is None else share * (self._total or 0)
        self._text = text
        if not self._is_drawn and self._clock() >= self._next_line:
            self._next_line = self._clock() + self._seconds_between_lines
            of_total = f" of {self._total:,}" if self._total is not None else ""
            times = ", ".join([f"in {_clock_time(self._elapsed)}", *filter(None, [self._left()])])
            self.say(f"{self._done:,}{of_total} {self._unit} {times}: {text}")

    @property
    def _elapsed(self) -> float:
        return self._clock() - self._began

    def _drawn(self) -> RenderableType:
        """The bar with its counts and times, and below it what has come so far and what is waited for."""
        head = Table.grid(padding=(0, 1))
        of_total = f"/{self._total:,}" if self._total is not None else ""
        head.add_row(
            ProgressBar(total=self._total, completed=self._completed, width=_BAR_WIDTH),
            Text(f"{self._done:,}{of_total} {self._unit}", style="progress.download", no_wrap=True),
            Text(_clock_time(self._elapsed), style="progress.elapsed", no_wrap=True),
            Text(self._left(), style="progress.remaining", no_wrap=True),
        )
        rows: list[RenderableType] = [head]
        if self._text:
            rows.append(Text(self._text, style="dim"))
        if self._waits_for and (wait := self._waits_until - self._clock()) > 0:
            rows.append(f"{self._waits_for} {_clock_time(math.ceil(wait))}")
        return Group(*rows)


def _clock_time(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
