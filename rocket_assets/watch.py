"""What is remembered between two looks at the Launch Library, and which days are to be brought for what has changed.

A look asks what was updated since the last one. Each change is *due* until the archive shows it: its launch on the day
where it stands now, and no longer on the one where it stood. So a run that fails, a run that read the API a second too
early, or a process that is killed between the request of a run and the record of it costs another request and no
update. Whoever brought the day, a run of this watch or any other, it is settled by what is stored.

`Memory` is all that is kept from one look to the next; it has the form of a JSON text. How often one looks, and how
days are brought, is not decided here.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Any

from rocket_assets.archive import Archive
from rocket_assets.documents import digest
from rocket_assets.errors import Damaged, Missing, RateLimited
from rocket_assets.launch_library import LaunchLibrary, Updates
from rocket_assets.launches import Change, Launch, Standing, changed, cheapest_ranges

DAY = timedelta(days=1)

VERSION = 1
"""Of the form of a memory; one of another version is not read, but learned anew."""

_OVERLAP = timedelta(hours=1)
"""How much further back than its newest update a look asks, in case that the API's clock has been set back."""

_RECENT = timedelta(days=30)
"""How long a launch that has flown is remembered; afterwards its day does not change any more."""

_LONGEST_OVERDUE = timedelta(days=366)

_FORGOTTEN = timedelta(days=7)
"""What was updated so long ago is looked at again after the memory was lost."""

_LONGEST_SLEEP = timedelta(hours=1)

_LONGEST_RUN = timedelta(hours=2)
"""A run that takes longer, or that was killed without a trace, is not waited for."""

_REST = timedelta(minutes=10)
"""Between the first and the second run for the same change; before each further one three times as long, up to"""

_LONGEST_REST = timedelta(hours=6)

_TRIES = 12
"""Runs for the same change, in about two days."""

_FAR = date(9999, 12, 31)

_PLACES = {"planned": False, "flown": True}
"""The two lists of launches by their days, and whether the outcome of those in it is known."""

Range = tuple[date, date]
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
            "since": _said(self.since),
            "begun": _said(self.begun),
            "unread": self.unread and [_said(bound) for bound in self.unread],
            "asleep_until": _said(self.asleep_until),
            "was_lost": self.was_lost,
            "due": {
                launch_id: {
                    "days": sorted(day.isoformat() for day in due.days),
                    "day": due.day and due.day.isoformat(),
                    "last_updated": _said(due.last_updated),
                    "text": due.text,
                    "at": _said(due.at),
                    "asked": due.asked,
                }
                for launch_id, due in sorted(self.due.items())
            },
            **{name: _by_day(self.places, is_final) for name, is_final in _PLACES.items()},
            "standing": {
                launch_id: [_said(standing.net), _said(standing.last_updated), int(standing.is_final)]
                for launch_id, standing in sorted(self.standing.items())
            },
        }
        return json.dumps(document, separators=(",", ":"))

    def asks_from(self, now: datetime) -> datetime | None:
        """From which `last_updated` on a look at this time asks: never from the future, whatever a row has said."""
        if self.since is None:
            return None
        earlier = min(self.since, now) - _OVERLAP
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
        since, recent = self.asks_from(now), ((self.since or now) - _RECENT).date()
        # What was updated in the second at which the reading broke off comes once more.
        edge = self.unread and self.unread[1]
        lately = {
            key: one
            for key, one in standing.items()
            if since is None or _is_from(one.last_updated, since) or one.last_updated == edge
        }
        renewed = {_short(launch_id) for launch_id in standing}
        places = {key: place for key, place in self.places.items() if key not in renewed} | {
            _short(key): Place(one.net.date(), one.is_final) for key, one in standing.items() if key not in lately
        }
        kept = {key: place for key, place in places.items() if not place.is_final or place.day >= recent}
        return replace(self, standing=lately, places=kept)

    def knows(self, launch: Launch) -> bool:
        """Whether the launch stands as it is remembered."""
        return self.standing.get(launch.id) == Standing.of(launch)

    def count_from(self, since: datetime | None) -> int:
        """How many launches are remembered that were updated since then."""
        return sum(1 for one in self.standing.values() if since and _is_from(one.last_updated, since))


@dataclass(frozen=True)
class Request:
    """A range of days to be brought, and what for. The same request after a kill has the same key."""

    start: date
    end: date
    because: list[str]
    key: str


@dataclass(frozen=True)
class Look:
    """What a look came to: what it found, what is to be brought, and what to remember of it."""

    memory: Memory
    changes: list[Change]
    requests: list[Request]
    text: str
    """What was found and what is done about it, or why nothing is, for people."""


@dataclass
class _Reading:
    """What a look has read so far."""

    memory: Memory
    is_new: bool = False
    found: dict[str, Launch] = field(default_factory=dict)
    unread: Span | None = None
    has_read: bool = False

    def __post_init__(self) -> None:
        self.unread, self.has_read = self.memory.unread, self.is_new

    def news(self, page: Updates) -> list[Launch]:
        return [launch for launch in page.launches if not self.memory.knows(launch)]

    def is_news(self, page: Updates) -> bool:
        return bool(self.news(page))


class Watch:
    """Looks for changes.

    Args:
        library: what is asked; it gives `list` answers, which say all that is needed in a ninth of the bytes.
        archive: where it is seen which changes are settled.
        first, last: the days that have a partition; others are left out.
        now: the time.
        busy: the ranges of days that are being brought at the moment; asked for only where that matters.
    """

    def __init__(
        self,
        library: LaunchLibrary,
        archive: Archive,
        *,
        first: date,
        last: date,
        now: datetime,
        busy: Callable[[], Collection[Range]] = tuple,
    ) -> None:
        self._library = library
        self._archive = archive
        self._first, self._last = first, last
        self._now = now
        self._find_busy = busy
        self._stored: dict[date, dict[str, Launch] | None] = {}

    def look(self, memory: Memory) -> Look:
        """Ask what has changed, and plan what is to be brought for it.

        One request, and more only where pages are full; the first look asks a few more and learns where the launches
        stand. At the throttle nothing is asked until it opens.

        Raises:
            Unavailable, Refused, UnexpectedAnswer: as the library does; the memory holds.
        """
        if memory.asleep_until and self._now < memory.asleep_until <= self._now + _LONGEST_SLEEP:
            return Look(memory, [], [], f"The throttle of the Launch Library opens at {_clock(memory.asleep_until)}.")
        is_first, before = memory.since is None, memory.dump()
        try:
            reading = self._learn(memory) if is_first else _Reading(memory)
            throttled = self._read(reading)
        except RateLimited as error:
            return Look(replace(memory, asleep_until=self._opens(error)), [], [], self._closed(error))
        memory, changes = self._follow(reading)
        due, given_up = self._outstanding(memory.due)
        requests, due = self._ask(due, memory.launches_on, before)
        text = self._text(memory, changes, requests, due, given_up, is_first=is_first)
        memory = replace(memory, due=due, asleep_until=throttled and self._opens(throttled), was_lost=False)
        return Look(memory, changes, requests, f"{text} {self._closed(throttled)}" if throttled else text)

    def _opens(self, error: RateLimited) -> datetime:
        return self._now + timedelta(seconds=min(error.retry_after, _LONGEST_SLEEP.total_seconds()))

    def _closed(self, error: RateLimited) -> str:
        return f"The throttle of the Launch Library is reached; the next look is after {_clock(self._opens(error))}."

    def _learn(self, memory: Memory) -> _Reading:
        """Where the planned and the latest launches stand; due is what the archive shows otherwise.

        After a loss, what was updated lately is due, too: it may have been due before.
        """
        # Before the rest, so that what changes meanwhile is seen by the next look.
        page = next(self._library.updated()).launches
        updates = [launch.last_updated for launch in page if launch.last_updated]
        since = max(self._not_from_the_future(updates), default=updates[-1] if updates else self._now)
        # Counted from what the library says, and not by a clock that may be wrong.
        start = since.date() - _RECENT
        planned = {launch.id: launch for launch in self._library.launches(start, _FAR)}
        launches = {launch.id: launch for launch in page} | planned
        due: dict[str, Due] = {}
        for change in self._differences(launches, start):
            due[change.launch.id] = self._due(change, due.get(change.launch.id))
            if change.launch.id not in launches:
                gone = f"{change.launch.name}: {change.launch.day}, no longer in the library"
                due[change.launch.id] = replace(due[change.launch.id], day=None, text=gone)
        back = since - _FORGOTTEN
        for launch in launches.values() if memory.was_lost else ():
            if launch.id not in due and _is_from(launch.last_updated, back):
                due[launch.id] = self._due(Change(launch, Standing.of(launch)), None)
        # Of the launches that flew long ago, those are known now that were updated since the last one of the page.
        has_old = any(launch.id not in planned for launch in page)
        begun = max(since - _OVERLAP, updates[-1]) if has_old else since - _OVERLAP
        learned = replace(memory, since=since, begun=begun, due=due)
        if memory.was_lost:
            learned = replace(learned, begun=back, unread=(back, updates[-1]) if updates else None)
        return _Reading(learned.with_standing(launches.values(), self._now), is_new=True)

    def _not_from_the_future(self, updates: Iterable[datetime]) -> list[datetime]:
        """The updates that say from when on the next look is to ask; one by a wrong clock would make it miss others."""
        return [updated for updated in updates if updated <= self._now]

    def _differences(self, launches: Mapping[str, Launch], start: date) -> Iterator[Change]:
        """What the days that are stored say otherwise than these launches; days that were never brought say nothing."""
        for day in _days(max(start, self._first), self._last):
            stored = self._launches_on(day)
            if stored is None:
                continue
            for launch in launches.values():
                was = stored.get(launch.id)
                if launch.day == day and launch.last_updated != _updated(was):
                    yield Change(launch, was and Standing.of(was))
            for was in stored.values():
                launch = launches.get(was.id)
                if launch is None or launch.day != day:
                    yield Change(launch or was, Standing.of(was))

    def _read(self, reading: _Reading) -> RateLimited | None:
        """Read what was updated since the memory, and what an earlier look was kept from reading.

        The throttle is given back where something was read before it: so each look gets further, however much there is.
        """
        memory, since, last = reading.memory, reading.memory.asks_from(self._now), None
        try:
            if not reading.is_new:
                for page, last in self._pages(reading, since, None):
                    is_all_told = bool(last and memory.since and last < memory.since - _OVERLAP)
                    is_counted = bool(reading.unread) or page.count <= memory.count_from(since)
                    if is_all_told or (is_counted and not reading.is_news(page)):
                        break
                last = None
            for _, until in self._pages(reading, *reading.unread) if reading.unread else ():
                if until and reading.unread:
                    reading.unread = (reading.unread[0], until)
            reading.unread = None
        except RateLimited as error:
            if last and since:
                start, end = reading.unread or (since, last)
                reading.unread = (min(since, start), max(last, end))
            if not reading.has_read:
                raise
            return error
        return None

    def _pages(
        self, reading: _Reading, since: datetime | None, until: datetime | None
    ) -> Iterator[tuple[Updates, datetime | None]]:
        for page in self._library.updated(since, until):
            # The latest comes first: a launch that changes between two pages comes twice, and is not missed.
            reading.found = {launch.id: launch for launch in reading.news(page)} | reading.found
            reading.has_read = True
            yield page, page.launches[-1].last_updated if page.launches else None

    def _follow(self, reading: _Reading) -> tuple[Memory, list[Change]]:
        """What was read, remembered; due is what has changed."""
        memory = reading.memory
        stood = {launch_id: before for launch_id in reading.found if (before := memory.before(launch_id))}
        changes = changed(stood, reading.found.values())
        due = dict(memory.due)
        for change in changes:
            one = self._due(change, due.get(change.launch.id))
            due[change.launch.id] = replace(one, days=one.days | self._where_stored(change, memory))
        updates = [change.launch.last_updated for change in changes if change.launch.last_updated]
        newest = max([*self._not_from_the_future(updates), *([memory.since] if memory.since else [])], default=None)
        followed = replace(memory, since=newest, unread=reading.unread, due=due)
        return followed.with_standing([change.launch for change in changes], self._now), changes

    def _where_stored(self, change: Change, memory: Memory) -> set[date]:
        """The days on which the archive has the launch; more than the memory knows where it moved twice between looks.

        A launch that is still planned, and of which nothing is remembered, may long be overdue.
        """
        is_overdue = change.before is None and not change.launch.is_final
        start = (memory.since or self._now).date() - (_LONGEST_OVERDUE if is_overdue else _RECENT)
        days = _days(max(start, self._first), self._last)
        return {day for day in days if change.launch.id in (self._launches_on(day) or ())}

    def _due(self, change: Change, before: Due | None) -> Due:
        """A change as something to be done, together with what was still to be done for the same launch."""
        return Due(
            days=frozenset(change.days) | (before.days if before else frozenset()),
            day=change.launch.day,
            last_updated=change.launch.last_updated,
            text=str(change),
            at=self._now,
        )

    def _outstanding(self, due: Mapping[str, Due]) -> tuple[dict[str, Due], list[Due]]:
        """What the archive does not show yet, and what was asked for too often."""
        open_ones = {launch_id: one for launch_id, one in due.items() if not self._is_settled(launch_id, one)}
        given_up = {key: one for key, one in open_ones.items() if one.asked >= _TRIES and self._is_time(one)}
        return {key: one for key, one in open_ones.items() if key not in given_up}, list(given_up.values())

    def _is_settled(self, launch_id: str, due: Due) -> bool:
        for day in self._with_a_partition(due.days):
            stored = self._launches_on(day)
            if stored is None:
                return False
            if day != due.day and launch_id in stored:
                return False
            # Another `last_updated` and not an older one only: the library's clock may have been set back.
            if day == due.day and (launch_id not in stored or stored[launch_id].last_updated != due.last_updated):
                return False
        return True

    def _ask(
        self, due: Mapping[str, Due], launches_on: Mapping[date, int], before: str
    ) -> tuple[list[Request], dict[str, Due]]:
        """The ranges to be brought now, and what remains due after that."""
        asked = {launch_id: one for launch_id, one in sorted(due.items()) if self._is_time(one)}
        wanted = {day for one in asked.values() for day in self._with_a_partition(one.days)}
        requests = []
        for start, end in cheapest_ranges(wanted, launches_on):
            causes = [item for item in asked.items() if any(start <= day <= end for day in item[1].days)]
            # Of the memory before the look: a look that is repeated because a kill lost its outcome has the same key.
            key = digest([before, [[launch_id, _said(one.last_updated), one.asked] for launch_id, one in causes]])
            requests.append(Request(start, end, [one.text for _, one in causes], f"{start}..{end} {key[:16]}"))
        again = {launch_id: replace(one, asked=one.asked + 1, at=self._now) for launch_id, one in asked.items()}
        return requests, {**due, **again}

    def _is_time(self, due: Due) -> bool:
        if self._now < due.at + due.rest:
            # After the clock was set back, it would be a long time until then.
            return due.at > self._now + _LONGEST_RUN
        is_waited_for = self._now < due.at + max(_LONGEST_RUN, due.rest)
        return not (is_waited_for and any(start <= day <= end for start, end in self._busy for day in due.days))

    @cached_property
    def _busy(self) -> Collection[Range]:
        return self._find_busy()

    def _with_a_partition(self, days: Iterable[date]) -> list[date]:
        return [day for day in days if self._first <= day <= self._last]

    def _launches_on(self, day: date) -> dict[str, Launch] | None:
        """The stored launches of a day by their ids; None where there are none to be relied on."""
        if day not in self._stored:
            try:
                self._stored[day] = {launch.id: launch for launch in self._archive.read_launches(day)}
            except (Missing, Damaged):
                self._stored[day] = None
        return self._stored[day]

    def _text(
        self,
        memory: Memory,
        changes: list[Change],
        requests: list[Request],
        due: Mapping[str, Due],
        given_up: list[Due],
        *,
        is_first: bool,
    ) -> str:
        said = [_found(memory, changes, is_first=is_first)]
        if requests:
            said.append(f"To be brought: {_some([_shown(one.start, one.end) for one in requests])}.")
        waiting = [one.text for one in due.values() if one.at != self._now]
        if waiting:
            said.append(f"Not yet in the storage: {_some(waiting)}.")
        if given_up:
            said.append(
                f"Given up after {_TRIES} runs: {_some([one.text for one in given_up])}. "
                "The runs say why; bring the days by hand."
            )
        return " ".join(said)


def _found(memory: Memory, changes: list[Change], *, is_first: bool) -> str:
    if is_first:
        lost = "The memory of earlier looks could not be read. " if memory.was_lost else ""
        return f"{lost}Learned how {_count(memory.launches_on.total(), 'launch stands', 'launches stand')}."
    if changes:
        return f"{_count(len(changes), 'launch', 'launches')} changed: {_some([str(change) for change in changes])}."
    return f"Nothing has changed since {_clock(memory.since)}." if memory.since else "Nothing has changed."


def _due(fields: Mapping[str, Any]) -> Due:
    return Due(
        days=frozenset(date.fromisoformat(day) for day in fields["days"]),
        day=None if fields["day"] is None else date.fromisoformat(fields["day"]),
        last_updated=_time(fields["last_updated"]),
        text=str(fields["text"]),
        at=_moment(fields["at"]),
        asked=int(fields["asked"]),
    )


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no zone.")
    return moment


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


def _said(moment: datetime | None) -> str | None:
    return moment and moment.isoformat().replace("+00:00", "Z")


def _clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _is_from(updated: datetime | None, since: datetime) -> bool:
    return updated is not None and updated >= since


def _updated(launch: Launch | None) -> datetime | None:
    return launch and launch.last_updated


def _days(start: date, end: date) -> Iterator[date]:
    return (start + timedelta(days=n) for n in range((end - start).days + 1))


def _shown(start: date, end: date) -> str:
    return str(start) if start == end else f"{start} to {end}"


def _some(texts: list[str], most: int = 5) -> str:
    """The first few texts, and how many more there are."""
    shown = "; ".join(texts[:most])
    return f"{shown}; and {len(texts) - most} more" if len(texts) > most else shown


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
