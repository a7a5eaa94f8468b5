"""A story in which the catalogue lives: launches are announced, slip, fly, and get their outcome and their pictures.

    clock = StoryClock()
    LibraryServer(clock=clock, as_of=as_of)

It plays from 7 to 14 December 2024. Each launch has chapters: what was said of it, and since when. At any time its row
is the latest chapter that has begun, and was last updated when that began. Most launches have the same three; the one
with a story of its own has six.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from rocket_assets.sample_library import vocabulary

Row = dict[str, Any]

BEGIN = datetime(2024, 12, 7, tzinfo=UTC)
END = datetime(2024, 12, 14, 12, tzinfo=UTC)
SPEED = 86_400 / 40
"""How much faster than life the story goes: a day in 40 seconds, all of it in five minutes."""

TRAVELLER = "Long March 2D/YZ-3 | High Speed Laser Diamond Constellation Test System"
"""The launch with a story of its own, by its name in the catalogue."""

_ANNOUNCED_BEFORE = timedelta(days=14)
_STEP = timedelta(hours=12)
"""20 seconds of life: what looks every 15 seconds misses no chapter that lasts as long."""


class StoryClock:
    """Says what time it is in the story, which begins when the clock is made.

    Args:
        speed: how many times faster than life.
        seconds: tells the seconds of life since any moment, and never goes back.
    """

    def __init__(self, speed: float = SPEED, seconds: Callable[[], float] = time.monotonic) -> None:
        self._speed, self._seconds = speed, seconds
        self._start = seconds()

    def __call__(self) -> datetime:
        """What time it is now."""
        return BEGIN + timedelta(seconds=self._speed * (self._seconds() - self._start))


@dataclass(frozen=True)
class Chapter:
    """What is said of a launch from a moment on, as far as it differs from what the catalogue says."""

    since: datetime
    differs: Row


def as_of(rows: Iterable[Row], now: datetime) -> list[Row]:
    """The catalogue's rows as the library told them at a time; launches of which nobody had heard yet are left out.

    Once its last chapter has begun, a row is the catalogue's. One value stays another: the launch with a story of its
    own was last updated when its picture came, and that is later than the catalogue says.
    """
    return [told for row in rows if (told := _told(row, now))]


def _told(row: Row, now: datetime) -> Row | None:
    begun = [chapter for chapter in chapters(row) if chapter.since <= now]
    return row | begun[-1].differs | {"last_updated": _text(begun[-1].since)} if begun else None


def chapters(row: Row) -> list[Chapter]:
    """What is said of a launch, from its announcement to the catalogue's own words."""
    if row["name"] == TRAVELLER:
        return _of_the_traveller(row)
    net, final = _moment(row["net"]), _moment(row["last_updated"])
    return [
        Chapter(net - _ANNOUNCED_BEFORE, _not_over("Go")),
        Chapter(net, _not_over("In Flight")),
        Chapter(final, {}),
    ]


def _of_the_traveller(row: Row) -> list[Chapter]:
    """A day without a time, then two slips; the picture is of this flight, so it cannot come before it."""
    net, unseen = _moment(row["net"]), {"image": None}
    slip = timedelta(days=1)
    first = (net - 2 * slip).replace(hour=0, minute=0, second=0)
    vague = _planned(first) | {"net_precision": vocabulary.precision("DAY")}
    return [
        Chapter(datetime(2024, 12, 8, 12, tzinfo=UTC), _not_over("TBC") | unseen | vague),
        Chapter(datetime(2024, 12, 9, 12, tzinfo=UTC), _not_over("TBC") | unseen | _planned(net - slip)),
        Chapter(datetime(2024, 12, 10, 12, tzinfo=UTC), _not_over("Go") | unseen),
        Chapter(net, _not_over("In Flight") | unseen),
        Chapter(net + _STEP, unseen),
        Chapter(net + 2 * _STEP, {}),
    ]


def _not_over(status: str) -> Row:
    """What only the end of a launch brings is not there yet."""
    return {"status": vocabulary.status(status), "launch_designator": None, "failreason": ""}


def _planned(net: datetime) -> Row:
    return dict.fromkeys(("net", "window_start", "window_end"), _text(net))


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
