"""How exactly a NET is known, and how one says that.

The API gives each launch a moment, also where no more is known than a year: it then takes the last day of the period.
Its versions say in two ways what of the moment is meant: by a precision with an id, or, before 2.2.0, by two flags.
`launches` reads them; here is what they mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

# The ids of the API's precisions. From a second to a day; a coarser one puts a launch on the last day of its period.
_TO_THE_DAY = range(6)
_TO_THE_MINUTE = (0, 1)
_HOUR = 2

# Not those of the machine's language.
MONTHS = ("January", "February", "March", "April", "May", "June")
MONTHS += ("July", "August", "September", "October", "November", "December")

_PERIODS: dict[int, Callable[[datetime], str]] = {
    6: lambda net: f"in the week of {_day(net)}",
    7: lambda net: f"in {_month(net)}",
    8: lambda net: f"in the first quarter of {net.year}",
    9: lambda net: f"in the second quarter of {net.year}",
    10: lambda net: f"in the third quarter of {net.year}",
    11: lambda net: f"in the fourth quarter of {net.year}",
    12: lambda net: f"in the first half of {net.year}",
    13: lambda net: f"in the second half of {net.year}",
    14: lambda net: f"in {net.year}",
    15: lambda net: f"in the fiscal year {net.year}",
    16: lambda net: f"in the {net.year // 10 * 10}s",
}


@dataclass(frozen=True)
class Precision:
    """What is known of a NET.

    Args:
        id: the API's precision, or None where a version or a row has none; most launches before 2021 have none.
        is_dated: where there is no precision, whether the day is meant.
        is_timed: where there is no precision, whether the time of day is meant.
    """

    id: int | None = None
    is_dated: bool = True
    is_timed: bool = True

    @property
    def is_to_the_day(self) -> bool:
        """Whether the day is meant, and not a longer period at whose end it is."""
        return self.is_dated if self.id is None else self.id in _TO_THE_DAY

    @property
    def is_to_the_minute(self) -> bool:
        """Whether the time of day is meant."""
        return self.is_dated and self.is_timed if self.id is None else self.id in _TO_THE_MINUTE

    def in_words(self, net: datetime) -> str:
        """A NET, no more exactly than it is known: "5 December 2024, 16:05 UTC", "in March 2026"."""
        if self.is_to_the_minute:
            return f"{_day(net)}, {net:%H:%M} UTC"
        if self.id == _HOUR:
            return f"{_day(net)}, about {net:%H}:00 UTC"
        if self.is_to_the_day:
            return _day(net)
        # A precision that is not known here, and a day that is none: it is about then, no more can be said.
        return _PERIODS.get(self.id or 0, lambda net: f"around {_month(net)}")(net)


DAY = Precision(5)


def _day(net: datetime) -> str:
    return f"{net.day} {_month(net)}"


def _month(net: datetime) -> str:
    return f"{MONTHS[net.month - 1]} {net.year}"
