"""What is measured: which days, by whom, how often, and how far away the server is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta

from benchmarks import history


@dataclass(frozen=True)
class Case:
    """Days that are brought, each time into an empty folder, and then `times` in all into the same.

    `latency` is how many seconds the server waits before each answer; `repeat` is how often all of that is done.
    """

    start: date
    end: date
    contenders: tuple[str, ...]
    latency: float = 0.05
    repeat: int = 5
    times: int = 1

    @property
    def days(self) -> int:
        """How many there are."""
        return (self.end - self.start).days + 1

    @property
    def title(self) -> str:
        """What the page calls it."""
        if self.days == 1:
            return "One day"
        return f"{'The whole history: ' if self.start == history.FIRST else ''}{self.days:,} days"

    def but(self, repeat: int | None, latency: float | None) -> Case:
        """The same, repeated so often and with this latency where they are given."""
        return replace(self, repeat=repeat or self.repeat, latency=self.latency if latency is None else latency)


_BRINGING = ("ours", "all", "script", "alone", "airflow")
_PICTURES = ("pictures-command", "pictures", "curl")
_GROWING = ("ours", "alone")

# In the eighties a day has as many launches as in all of the history: three in ten days.
_AVERAGE = date(1980, 1, 1)

GROWTH = {
    f"growth-{days}": Case(_AVERAGE, _AVERAGE + timedelta(days=days - 1), _GROWING, latency=0, repeat=1, times=2)
    for days in (100, 1_000, 10_000)
}
"""How the cost grows; the case of the whole history is the last of them."""

CASES = {
    "1": Case(date(2025, 6, 12), date(2025, 6, 12), _BRINGING),
    "14": Case(date(2025, 6, 1), date(2025, 6, 14), _BRINGING),
    "30": Case(date(2025, 6, 1), date(2025, 6, 30), _BRINGING),
    "365": Case(date(2025, 1, 1), date(2025, 12, 31), (*_BRINGING, *_PICTURES), repeat=3),
    "history": Case(history.FIRST, history.LAST, _BRINGING[:4], latency=0, repeat=1, times=2),
    **GROWTH,
}
"""By their names on the command line."""
