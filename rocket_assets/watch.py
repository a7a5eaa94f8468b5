"""What has changed in the Launch Library since the last look, and which days are to be brought for it.

A look asks what was updated since the last one. Each change is *due* until the archive shows it: its launch on the day
where it stands now, and no longer on the one where it stood. So a run that fails, a run that read the API a second too
early, or a process that is killed between the request of a run and the record of it costs another request and no
update. Whoever brought the day, a run of this watch or any other, it is settled by what is stored.

What is kept from one look to the next is in `memory`. How often one looks, and how days are brought, is not decided
here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cached_property

from rocket_assets.archive import Archive
from rocket_assets.documents import digest
from rocket_assets.errors import Damaged, Missing, RateLimited
from rocket_assets.launch_library import LaunchLibrary, Updates
from rocket_assets.launches import Change, Launch, Refusal, Standing, changed, cheapest_ranges, days_between
from rocket_assets.memory import LONGEST_OVERDUE, OVERLAP, RECENT, Due, Memory, Span, is_from, said

DAY = timedelta(days=1)

_FORGOTTEN = timedelta(days=7)
"""What was updated so long ago is looked at again after the memory was lost."""

_LONGEST_SLEEP = timedelta(hours=1)

_SET_BACK = timedelta(hours=2)
"""A time that lies further ahead was noted by a clock that has been set back since."""

_MOST_RUNS = 10
"""Of this watch, under way or waiting: what else is due waits for a later look, the days around today the least."""

_READERS = 16

_TRIES = 12
"""Runs for the same change, in about two days."""

_FAR = date(9999, 12, 31)

Range = tuple[date, date]


@dataclass(frozen=True)
class Busy:
    """The ranges of days that runs are bringing or are to bring, and how many of these runs the watch has asked for."""

    ranges: Collection[Range] = ()
    own: int = 0


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
    unreadable: list[str] = field(default_factory=list)

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
        busy: what is being brought at the moment; asked for only where that matters.
    """

    def __init__(
        self,
        library: LaunchLibrary,
        archive: Archive,
        *,
        first: date,
        last: date,
        now: datetime,
        busy: Callable[[], Busy] = Busy,
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
        is_first = memory.since is None
        # A first look has no memory that would tell it from another one.
        before = f"{self._now}" if is_first else memory.dump()
        try:
            reading = self._learn(memory) if is_first else _Reading(memory)
            throttled = self._read(reading)
        except RateLimited as error:
            return Look(replace(memory, asleep_until=self._opens(error)), [], [], self._closed(error))
        memory, changes = self._follow(reading)
        due, given_up = self._outstanding(memory.due)
        requests, due = self._ask(due, memory.launches_on, before)
        settled = [change for change in changes if change.launch.id not in due]
        text = self._text(memory, changes, requests, due, given_up, settled, is_first=is_first)
        if reading.unreadable:
            text += f" Rows that cannot be read: {_some(reading.unreadable)}"
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
        start = since.date() - RECENT
        refused = list[Refusal]()
        planned = {launch.id: launch for launch in self._library.launches(start, _FAR, refused.append)}
        launches = {launch.id: launch for launch in page} | planned
        due: dict[str, Due] = {}
        self._read_ahead(days_between(max(start, self._first), self._last))
        unread = {refusal.launch_id for refusal in refused}
        for change in self._differences(launches, start):
            if change.launch.id in unread:
                continue
            due[change.launch.id] = self._due(change, due.get(change.launch.id))
            if change.launch.id not in launches:
                gone = f"{change.launch.name}: {change.launch.day}, no longer in the library"
                due[change.launch.id] = replace(due[change.launch.id], day=None, text=gone)
        back = since - _FORGOTTEN
        for launch in launches.values() if memory.was_lost else ():
            if launch.id not in due and is_from(launch.last_updated, back):
                due[launch.id] = self._due(Change(launch, Standing.of(launch)), None)
        # Of the launches that flew long ago, those are known now that were updated since the last one of the page.
        has_old = any(launch.id not in planned for launch in page)
        begun = max(since - OVERLAP, updates[-1]) if has_old else since - OVERLAP
        learned = replace(memory, since=since, begun=begun, learned=self._now, due=due)
        if memory.was_lost:
            learned = replace(learned, begun=back, unread=(back, updates[-1]) if updates else None)
        unreadable = [f"The library gave {refusal.reason}." for refusal in refused]
        return _Reading(learned.with_standing(launches.values(), self._now), is_new=True, unreadable=unreadable)

    def _not_from_the_future(self, updates: Iterable[datetime]) -> list[datetime]:
        """The updates that say from when on the next look is to ask; one by a wrong clock would make it miss others."""
        return [updated for updated in updates if updated <= self._now]

    def _differences(self, launches: Mapping[str, Launch], start: date) -> Iterator[Change]:
        """What the days that are stored say otherwise than these launches; days that were never brought say nothing."""
        for day in days_between(max(start, self._first), self._last):
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
                for page, oldest in self._pages(reading, since, None):
                    last = oldest
                    is_counted = bool(reading.unread) or page.count <= memory.count_from(since)
                    if is_counted and not reading.is_news(page):
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
            reading.unreadable += page.unreadable
            yield page, page.launches[-1].last_updated if page.launches else None

    def _follow(self, reading: _Reading) -> tuple[Memory, list[Change]]:
        """What was read, remembered; due is what has changed."""
        memory = reading.memory
        stood = {launch_id: before for launch_id in reading.found if (before := memory.before(launch_id))}
        changes = [self._compared(change) for change in changed(stood, reading.found.values())]
        due = dict(memory.due)
        for change in changes:
            one = self._due(change, due.get(change.launch.id))
            due[change.launch.id] = replace(one, days=one.days | self._where_stored(change, memory))
        updates = [change.launch.last_updated for change in changes if change.launch.last_updated]
        newest = max([*self._not_from_the_future(updates), *([memory.since] if memory.since else [])], default=None)
        followed = replace(memory, since=newest, unread=reading.unread, due=due)
        return followed.with_standing([change.launch for change in changes], self._now), changes

    def _compared(self, change: Change) -> Change:
        """A change with what the archive has of its launch, so that it can say what is another."""
        days = self._with_a_partition([change.before.net.date()] if change.before else [])
        stored = [
            launches[change.launch.id] for day in days if change.launch.id in (launches := self._launches_on(day) or {})
        ]
        return replace(change, stored=stored[0] if stored else None)

    def _where_stored(self, change: Change, memory: Memory) -> set[date]:
        """The days on which the archive has the launch; more than the memory knows where it moved twice between looks.

        A launch that is still planned, and of which nothing is remembered, may long be overdue.
        """
        is_overdue = change.before is None and not change.launch.is_final
        start = (memory.since or self._now).date() - (LONGEST_OVERDUE if is_overdue else RECENT)
        days = list(days_between(max(start, self._first), self._last))
        self._read_ahead(days)
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
        self._read_ahead({day for one in due.values() for day in self._with_a_partition(one.days)})
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
        due_now = {launch_id: one for launch_id, one in sorted(due.items()) if self._is_time(one)}
        wanted = {day for one in due_now.values() for day in self._with_a_partition(one.days)}
        today = self._now.date()
        by_nearness = sorted(cheapest_ranges(wanted, launches_on), key=lambda one: max(one[0] - today, today - one[1]))
        chosen = by_nearness[: max(0, _MOST_RUNS - self._busy.own)] if by_nearness else []
        asked = {
            launch_id: one
            for launch_id, one in due_now.items()
            if all(any(start <= day <= end for start, end in chosen) for day in self._with_a_partition(one.days))
        }
        requests = []
        for start, end in sorted(chosen):
            causes = [item for item in due_now.items() if any(start <= day <= end for day in item[1].days)]
            # Of the memory before the look: a look that is repeated because a kill lost its outcome has the same key.
            key = digest([before, [[launch_id, said(one.last_updated)] for launch_id, one in causes]])
            requests.append(Request(start, end, [one.text for _, one in causes], f"{start}..{end} {key[:16]}"))
        again = {launch_id: replace(one, asked=one.asked + 1, at=self._now) for launch_id, one in asked.items()}
        return requests, {**due, **again}

    def _is_time(self, due: Due) -> bool:
        if self._now < due.at + due.rest:
            # After the clock was set back, it would be a long time until then.
            return due.at > self._now + _SET_BACK
        return not any(start <= day <= end for start, end in self._busy.ranges for day in due.days)

    @cached_property
    def _busy(self) -> Busy:
        return self._find_busy()

    def _with_a_partition(self, days: Iterable[date]) -> list[date]:
        return [day for day in days if self._first <= day <= self._last]

    def _read_ahead(self, days: Iterable[date]) -> None:
        """Read days side by side: one after the other, a year of them from a bucket takes longer than a look may."""
        with ThreadPoolExecutor(_READERS, thread_name_prefix="days") as threads:
            list(threads.map(self._launches_on, set(days) - self._stored.keys()))

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
        settled: list[Change],
        *,
        is_first: bool,
    ) -> str:
        sentences = [_found(memory, changes, is_first=is_first)]
        if requests:
            sentences.append(f"To be brought: {_some([_shown(one.start, one.end) for one in requests])}.")
        stored = [one.launch.name for one in settled if self._with_a_partition([one.launch.day])]
        if stored:
            sentences.append(f"Stored already: {_some(stored)}.")
        outside = [one.launch.name for one in settled if not self._with_a_partition([one.launch.day])]
        if outside:
            sentences.append(f"On a day without a partition: {_some(outside)}.")
        waiting = [one.text for one in due.values() if one.at != self._now]
        if waiting:
            sentences.append(f"Not yet in the storage: {_some(waiting)}.")
        if given_up:
            sentences.append(
                f"Given up after {_TRIES} runs: {_some([one.text for one in given_up])}. "
                "The runs say why; bring the days by hand."
            )
        return " ".join(sentences)


def _found(memory: Memory, changes: list[Change], *, is_first: bool) -> str:
    if is_first:
        lost = "The memory of earlier looks could not be read. " if memory.was_lost else ""
        learned = _count(memory.launches_on.total(), "launch stands", "launches stand")
        return f"{lost}Learned how {learned}. From now on, what changes is brought."
    if changes:
        return f"{_count(len(changes), 'launch', 'launches')} changed: {_some([str(change) for change in changes])}."
    return f"Nothing has changed since {_clock(memory.since)}." if memory.since else "Nothing has changed."


def _clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _updated(launch: Launch | None) -> datetime | None:
    return launch and launch.last_updated


def _shown(start: date, end: date) -> str:
    return str(start) if start == end else f"{start} to {end}"


def _some(texts: list[str], most: int = 5) -> str:
    """The first few texts, and how many more there are."""
    shown = "; ".join(texts[:most])
    return f"{shown}; and {len(texts) - most} more" if len(texts) > most else shown


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
