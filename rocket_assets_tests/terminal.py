"""A terminal on which a progress draws, and what is seen on it."""

from __future__ import annotations

import io
import re
import time

from rich.console import Console


class Terminal:
    """Keeps all that a console writes, which draws as on a terminal."""

    def __init__(self, width: int = 100) -> None:
        self._file = io.StringIO()
        self.console = Console(file=self._file, force_terminal=True, width=width, _environ={"TERM": "xterm"})

    @property
    def all(self) -> str:
        """All that was written, with the codes that move and colour it."""
        return self._file.getvalue()

    @property
    def rows(self) -> list[str]:
        """The rows of the bar as they were drawn last, and what was said just before them."""
        drawn = re.split(r"(?:\x1b\[1A|\r)?\x1b\[2K", self.all)[-1]
        return [row.rstrip() for row in re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", drawn).splitlines()]

    def drawn(self) -> list[str]:
        """The rows of the bar once it is drawn anew, as happens four times a second."""
        at = len(self.all)
        give_up = time.monotonic() + 10
        while self.all.count("\r\x1b[2K", at) < 2 and time.monotonic() < give_up:
            time.sleep(0.02)
        return self.rows
