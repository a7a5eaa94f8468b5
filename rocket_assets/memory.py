"""What is remembered between two looks at the Launch Library: what was read, where launches stand, and what is due.

A memory has the form of a JSON text; Dagster keeps it as the cursor of a sensor, and shows it whole on the sensor's
page. A text that cannot be read, or that another version wrote, is a memory that was lost: what that means is up to who
looks.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from rocket_assets.documents import digest
from rocket_assets.launches import Launch, Standing

VERSION = 1
"""Of the form of a memory."""

OVERLAP = timedelta(hours=1)
"""How much further back than its newest update a look asks, in case that the API's clock has been set back."""

RECENT = timedelta(days=30)
"""How long a launch that has flown is remembered; afterwards its day does not change any more."""

LONGEST_OVERDUE = timedelta(days=366)
"""How long ago a launch that is still planned may have been to fly."""

_REST, _LONGEST_REST = timedelta(minutes=10), timedelta(hours=6)
"""Between the first and the second run for the same change; before each further one three times as long, to this."""

_PLACES = {"planned": False, "flown": True}
"""The two lists of launches by their days, and whether the outcome of those in it is known."""

Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Due:
    """A change that the archive does not show yet.

    `days` are to be brought for it, `day` is the one on which the launch stands, or None where the library has it no
    longer. `asked` counts the runs that were requested, `at` is the time of the last of them or, before that, the time
    when the change was found.
    """

    days: frozenset[date]
    day: date | None
    last_updated: datetime | None
    text: str
    at: datetime
    asked: int = 0

    @property
    def rest(self) -> timedelta:
        """How long after `at` the next run may be requested."""
        return min(_REST * 3 ** (self.asked - 1), _LONGEST_REST) if self.asked else timedelta(0)


@dataclass(frozen=True)
class Place:
    """On which day a launch stands, and whether its outcome is known."""

    day: date
    is_final: bool


@dataclass(frozen=True)
class Memory:
    """What is kept from one look to the next.

    Launches that have flown are forgotten after a month, and of most others only the day is kept: the page of the
    sensor shows the whole text, and a copy of it is stored with each look.
    """

    since: datetime | None = None
    """The newest `last_updated` seen, but for those from the future; None before the first look."""
    begun: datetime | None = None
    """From which `last_updated` on the first look has seen all: what was updated before was never waited for."""
    learned: datetime | None = None
    """When the first look was: it tells the requests of one memory from those of another."""
    unread: Span | None = None
    """From which `last_updated` to which the throttle kept us from reading; a later look does."""
    standing: Mapping[str, Standing] = field(default_factory=dict)
    """The launches that were updated lately, by their ids: the next look sees them again."""
    places: Mapping[str, Place] = field(default_factory=dict)
    """The other launches that are planned or have flown lately, by the first characters of their ids."""
    due: Mapping[str, Due] = field(default_factory=dict)
    """The changes that the archive does not show yet, by the ids of their launches."""
    asleep_until: datetime | None = None
    """When the API's throttle opens, if it was met."""
    was_lost: bool = False
    """Whether there was an earlier memory, which could not be read."""

    @classmethod
    def read(cls, text: str | None) -> Memory:
        """The memory in a text that `dump` gave; an empty one where there is none, or where it cannot be read."""
        if not text:
            return cls()
        try:
            document = json.loads(text)
            if document["version"] != VERSION:
                return cls(was_lost=True)
            return cls(
                since=_time(document["since"]),
                begun=_time(document["begun"]),
                learned=_time(document["learned"]),
                unread=_span(document["unread"]),
                standing={
                    launch_id: Standing(_moment(net), _time(updated), bool(final))
                    for launch_id, (net, updated, final) in document["standing"].items()
                },
                places={
                    short_id: Place(date.fromisoformat(day), is_final)
                    for name, is_final in _PLACES.items()
                    for day, ids in document[name].items()
                    for short_id in ids.split()
                },
                due={launch_id: _due(fields) for launch_id, fields in document["due"].items()},
                asleep_until=_time(document["asleep_until"]),
                was_lost=bool(document["was_lost"]),
            )
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            return cls(was_lost=True)

    def dump(self) -> str:
        """The memory as a text; the same memory gives the same text."""
        document = {
            "version": VERSION,
            "since": said(self.since),
            "begun": said(self.begun),
            "learned": said(self.learned),
            "unread": self.unread and [said(bound) for bound in self.unread],
            "asleep_until": said(self.asleep_until),
            "was_lost": self.was_lost,
            "due": {
                launch_id: {
                    "days": sorted(day.isoformat() for day in due.days),
                    "day": due.day and due.day.isoformat(),
                    "last_updated": said(due.last_updated),
                    "text": due.text,
                    "at": said(due.at),
                    "asked": due.asked,
                }
                for launch_id, due in sorted(self.due.items())
            },
            **{name: _by_day(self.places, is_final) for name, is_final in _PLACES.items()},
            "standing": {
                launch_id: [said(standing.net), said(standing.last_updated), int(standing.is_final)]
                for launch_id, standing in sorted(self.standing.items())
            },
        }
        return json.dumps(document, separators=(",", ":"))

    def asks_from(self, now: datetime) -> datetime | None:
        """From which `last_updated` on a look at this time asks: never from the future, whatever a row has said."""
        if self.since is None:
            return None
        earlier = min(self.since, now) - OVERLAP
        return max(earlier, self.begun) if self.begun and self.begun <= now else earlier

    def before(self, launch_id: str) -> Standing | None:
        """How a launch stood, as far as that is remembered."""
        if launch_id in self.standing:
            return self.standing[launch_id]
        place = self.places.get(_short(launch_id))
        return place and Standing(datetime.combine(place.day, time.min, UTC), None, place.is_final)

    @property
    def launches_on(self) -> Counter[date]:
        """How many launches are remembered on each day."""
        days = [one.net.date() for one in self.standing.values()] + [place.day for place in self.places.values()]
        return Counter(days)

    def with_standing(self, launches: Iterable[Launch], now: datetime) -> Memory:
        """With these launches as they stand now, and without what need not be remembered any more."""
        standing = dict(self.standing) | {launch.id: Standing.of(launch) for launch in launches}
        since, recent = self.asks_from(now), ((self.since or now) - RECENT).date()
        # What was updated in the seconds at which the reading broke off comes once more.
        edge = self.unread and self.unread[1]
        lately = {
            key: one
            for key, one in standing.items()
            if since is None or is_from(one.last_updated, since) or _is_at(edge, one.last_updated)
        }
        renewed = {_short(launch_id) for launch_id in standing}
        places = {key: place for key, place in self.places.items() if key not in renewed} | {
            _short(key): Place(one.net.date(), one.is_final) for key, one in standing.items() if key not in lately
        }
        kept = {
            key: place
            for key, place in places.items()
            if place.day >= (recent if place.is_final else recent - LONGEST_OVERDUE)
        }
        return replace(self, standing=lately, places=kept)

    def knows(self, launch: Launch) -> bool:
        """Whether the launch stands as it is remembered."""
        return self.standing.get(launch.id) == Standing.of(launch)

    def count_from(self, since: datetime | None) -> int:
        """How many launches are remembered that were updated since then."""
        return sum(1 for one in self.standing.values() if since and is_from(one.last_updated, since))


def _due(fields: Mapping[str, Any]) -> Due:
    return Due(
        days=frozenset(date.fromisoformat(day) for day in fields["days"]),
        day=None if fields["day"] is None else date.fromisoformat(fields["day"]),
        last_updated=_time(fields["last_updated"]),
        text=str(fields["text"]),
        at=_moment(fields["at"]),
        asked=int(fields["asked"]),
    )


def _short(launch_id: str) -> str:
    """Enough of an id to tell a few hundred launches apart, and never with a space in it."""
    return launch_id[:8] if re.fullmatch(r"[0-9a-f]{8}-[0-9a-f-]{27}", launch_id) else digest(launch_id)[:12]


def _by_day(places: Mapping[str, Place], is_final: bool) -> dict[str, str]:
    by_day: dict[str, list[str]] = {}
    for short_id, place in sorted(places.items()):
        if place.is_final == is_final:
            by_day.setdefault(place.day.isoformat(), []).append(short_id)
    return {day: " ".join(ids) for day, ids in sorted(by_day.items())}


def _span(texts: list[str] | None) -> Span | None:
    if texts is None:
        return None
    start, end = texts
    return _moment(start), _moment(end)


def _time(text: str | None) -> datetime | None:
    return None if text is None else _moment(text)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no zone.")
    return moment


def said(moment: datetime | None) -> str | None:
    """A time as it stands in the text."""
    return moment and moment.isoformat().replace("+00:00", "Z")


def _is_at(edge: datetime | None, updated: datetime | None) -> bool:
    # The API tells whole seconds, and is asked for one more than it has told.
    return bool(edge and updated and edge <= updated <= edge + timedelta(seconds=1))


def is_from(updated: datetime | None, since: datetime) -> bool:
    """Whether an update is as late as a time, or later."""
    return updated is not None and updated >= since
