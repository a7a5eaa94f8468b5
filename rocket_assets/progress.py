"""How a long command shows its work: a bar on a terminal, plain lines elsewhere.

It counts what it is told; what there is to tell is not decided here.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Column


class Progress:
    """Counts steps, of a known total or not, with a text that says what has come so far.

    It may be told from another thread than the one that made it.
    """

    def __init__(self, console: Console, total: int | None, unit: str, *, seconds_between_lines: float = 10.0) -> None:
        self._console = console
        self._total = total
        self._unit = unit
        self._done = 0
        self._seconds_between_lines = seconds_between_lines
        self._next_line = time.monotonic() + seconds_between_lines
        self._bar = Bar(
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TextColumn(unit),
            TimeElapsedColumn(),
            # The last and the first to be cut where the terminal is narrow.
            TextColumn("[dim]{task.description}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
            console=console,
            expand=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=total)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def say(self, text: str) -> None:
        """Show a sentence on a line of its own."""
        self._bar.console.print(text, highlight=False, soft_wrap=True)

    def advance(self, text: str, steps: int = 1) -> None:
        """So many steps more are done; `text` says what has come so far."""
        self._done += steps
        self._bar.update(self._task, completed=self._done, description=text)
        if not self._console.is_terminal and time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + self._seconds_between_lines
            of_total = f" of {self._total}" if self._total is not None else ""
            self._console.print(f"{self._done}{of_total} {self._unit}: {text}", highlight=False, soft_wrap=True)
