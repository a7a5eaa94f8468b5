"""How a long command shows its work: a bar on a terminal, plain lines elsewhere.

It counts what it is told; what there is to tell is not decided here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

_BAR_WIDTH = 24


class Progress:
    """Counts steps, of a known total or not, beside what has come so far and what is being done.

    It may be told from another thread than the one that made it. Of no steps at all nothing is shown.

    Args:
        console: where it is shown.
        total: how many steps there are.
        unit: what they are.
        done: how many of them were done before.
        came: says what has come so far, in lines of which each fits into a terminal; asked whenever it is shown.
        doing: says what is being done, or nothing; asked until the end.
        left: says how long it will still take, or nothing; asked until the end.
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
        came: Callable[[], Sequence[str]] = tuple,
        doing: Callable[[], str] = str,
        left: Callable[[], str] = str,
        clock: Callable[[], float] = time.monotonic,
        seconds_between_lines: float = 10.0,
    ) -> None:
        self._console = console
        self._total = total
        self._unit = unit
        self._done = done
        self._completed = float(done)
        self._came, self._doing, self._left = came, doing, left
        self._clock = clock
        self._began = clock()
        self._seconds_between_lines = self._patience = seconds_between_lines
        self._last_line = self._began
        self._is_drawn = console.is_terminal and not console.is_dumb_terminal
        self._live = Live(console=console, get_renderable=self._drawn, refresh_per_second=4)
        self._lines = Thread(target=self._say_lines, name="progress", daemon=True)
        self._lock, self._ended = Lock(), Event()

    def __enter__(self) -> Self:
        if self._total != 0:
            (self._live if self._is_drawn else self._lines).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._doing = self._left = str
        self._live.stop()
        self._ended.set()
        if self._lines.is_alive():
            self._lines.join()

    def say(self, text: str) -> None:
        """Show a sentence on a line of its own."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def advance(self, steps: int = 1, share: float | None = None) -> None:
        """So many steps more are done.

        The bar grows by the steps, or up to the share of all work that is done, where half a step counts, too.
        """
        self._done += steps
        self._completed = self._done if share is None else share * (self._total or 0)
        self._patience = self._seconds_between_lines
        self._say_line()

    def _say_lines(self) -> None:
        """Say a line even where nothing comes, but each time after twice as long."""
        while not self._ended.wait(min(self._seconds_between_lines, max(0.0, self._due - self._clock()))):
            if self._say_line():
                self._patience *= 2

    @property
    def _due(self) -> float:
        return self._last_line + self._patience

    def _say_line(self) -> bool:
        """Say how far it is where there is no terminal, if it is time for that."""
        with self._lock:
            if self._is_drawn or self._clock() < self._due:
                return False
            self._last_line = self._clock()
        of_total = f" of {self._total:,}" if self._total is not None else ""
        times = [f"in {clock_time(self._elapsed)}", self._left()]
        told = [*self._came(), self._doing()]
        self.say(f"{self._done:,}{of_total} {self._unit} {_list(times)}: {_list(told)}")
        return True

    @property
    def _elapsed(self) -> float:
        return self._clock() - self._began

    def _drawn(self) -> RenderableType:
        """The bar with its counts and times, and below it what has come so far and what is being done."""
        head = Table.grid(padding=(0, 1))
        of_total = f"/{self._total:,}" if self._total is not None else ""
        head.add_row(
            ProgressBar(total=self._total, completed=self._completed, width=_BAR_WIDTH),
            Text(f"{self._done:,}{of_total} {self._unit}", style="progress.download", no_wrap=True),
            Text(clock_time(self._elapsed), style="progress.elapsed", no_wrap=True),
            Text(self._left(), style="progress.remaining", no_wrap=True),
        )
        came = [Text(line, style="dim") for line in self._came()]
        return Group(head, *came, *map(Text, filter(None, [self._doing()])))


def _list(parts: Iterable[str]) -> str:
    return ", ".join(filter(None, parts))


def clock_time(seconds: float) -> str:
    """A time as hours, minutes and seconds."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
