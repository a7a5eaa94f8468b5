"""What a launch is: read from a row of any version of the API, what it says, and what its changes concern.

The API's row is kept whole; a `Launch` adds the few things that this project decides by. The versions differ in shape:
2.3.0 nests a picture object where 2.2.0 and 2.0.0 give an address, `list` answers give a name where `normal` ones nest
an object, and 2.0.0 has no `last_updated`. This module is the only one that knows.

Planners say which days a change concerns and in which ranges they are asked for; they are pure functions. What is
remembered from one look to the next is in `memory`.

How launches are asked for is in `launch_library`, where they are kept in `archive`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any

from rocket_assets.documents import digest
from rocket_assets.errors import UnexpectedAnswer, shown
from rocket_assets.precision import Precision

Row = Mapping[str, Any]

# What a launch says, as paths into a row. Left out are the counters of pads, agencies and places that the API nests
# into every answer: they change with every other launch. A path that a version or mode of the API lacks counts as null.
_FACTS: tuple[str, ...] = (
    "id",
    "name",
    "slug",
    "url",
    "launch_designator",
    "net",
    "net_precision.id",
    "net_precision.name",
    "tbddate",
    "tbdtime",
    "window_start",
    "window_end",
    "last_updated",
    "status.id",
    "status.name",
    "status.abbrev",
    "probability",
    "weather_concerns",
    "holdreason",
    "failreason",
    "webcast_live",
    "infographic",
    "launch_service_provider.name",
    "lsp_name",
    "rocket.configuration.full_name",
    "pad.name",
    "pad.latitude",
    "pad.longitude",
    "pad.location.name",
    "location",
    "mission.name",
    "mission.type",
    "mission.description",
    "mission.orbit.name",
    "mission_type",
    "orbit",
)


class Outcome(StrEnum):
    """How a launch ended, as far as the API says; `OPEN` is what is planned, under way, or not yet told."""

    SUCCESS = "success"
    PARTIAL_FAILURE = "partial failure"
    FAILURE = "failure"
    OPEN = "open"


# By the ids of the API's final statuses.
_OUTCOMES = {3: Outcome.SUCCESS, 4: Outcome.FAILURE, 7: Outcome.PARTIAL_FAILURE}

_LONGEST_NAME = 120

_LONGEST_WORDS = 1000

_LONGEST_ID = 100
"""Characters; an id of the API is a UUID of 36."""

# Names in a `list` answer of 2.2.0; elsewhere objects under the same words, full of counters.
_NAMES = ("mission", "pad")


@dataclass(frozen=True)
class ImageReference:
    """The picture that a launch names: its address, and to whom it belongs."""

    url: str
    credit: str | None = None
    licence: str | None = None
    licence_url: str | None = None


@dataclass(frozen=True)
class Launch:
    """One launch: the API's row, its id, and its NET ("no earlier than", the planned or actual time of lift-off)."""

    id: str
    net: datetime
    row: Row = field(repr=False, compare=False)

    @property
    def day(self) -> date:
        """The UTC day on which the launch stands."""
        return self.net.date()

    @property
    def name(self) -> str:
        """The API's name of the launch, usually "rocket | mission", for people to read; `row` has it to the letter."""
        return _words(self.row.get("name")) or self.id

    @property
    def status(self) -> str | None:
        """The short word for how the launch stands: Go, TBD, Success, Failure and so on."""
        return _words(at(self.row, "status.abbrev")) or _words(at(self.row, "status.name"))

    @property
    def outcome(self) -> Outcome:
        """How it ended."""
        status = at(self.row, "status.id")
        return _OUTCOMES.get(status, Outcome.OPEN) if isinstance(status, int) else Outcome.OPEN

    @property
    def is_final(self) -> bool:
        """Whether it has flown and its outcome is known."""
        return self.outcome is not Outcome.OPEN

    @property
    def is_dated(self) -> bool:
        """Whether its day is meant: a launch known to the month or the year stands on the last day of that period."""
        return self._precision.is_to_the_day

    @property
    def precision(self) -> str | None:
        """How exactly the API says that the NET is known: Minute, Day, Month and so on."""
        return _words(at(self.row, "net_precision.name"))

    @property
    def when(self) -> str:
        """The NET in words, no more exactly than it is known: "5 December 2024, 16:05 UTC", "in March 2026"."""
        return self._precision.in_words(self.net)

    @property
    def last_updated(self) -> datetime | None:
        """When the API last changed the row, or None where the version or the row does not say."""
        return _moment_or_none(self.row.get("last_updated"))

    @property
    def api_page(self) -> str | None:
        """The address of the launch in the API."""
        return _web_address(self.row.get("url"))

    @property
    def provider(self) -> str | None:
        """Who launches it."""
        return self._said("launch_service_provider.name", "lsp_name")

    @property
    def rocket(self) -> str | None:
        """The full name of the launch vehicle; `list` answers have it only in the launch's name."""
        return self._said("rocket.configuration.full_name") or self._part_of_name(0)

    @property
    def family(self) -> str | None:
        """The family of the launch vehicle; where the API gives several, the last and most general one."""
        families = at(self.row, "rocket.configuration.families")
        last = families[-1] if isinstance(families, list) and families else None
        return _words(at(last, "name")) or self._said("rocket.configuration.family")

    @property
    def pad(self) -> str | None:
        """The name of the launch pad."""
        return self._said("pad.name", "pad")

    @property
    def place(self) -> str | None:
        """Where the pad is, usually with its country."""
        return self._said("pad.location.name", "location")

    @property
    def latitude(self) -> float | None:
        """Of the pad, in degrees, north positive."""
        return _degrees(at(self.row, "pad.latitude"), most=90)

    @property
    def longitude(self) -> float | None:
        """Of the pad, in degrees, east positive."""
        return _degrees(at(self.row, "pad.longitude"), most=180)

    @property
    def mission(self) -> str | None:
        """The name of the mission; where the row has none, it is in the launch's name."""
        return self._said("mission.name", "mission") or self._part_of_name(2)

    @property
    def mission_type(self) -> str | None:
        """What the mission is for: Communications, Earth Science and so on."""
        return self._said("mission.type", "mission_type")

    @property
    def mission_description(self) -> str | None:
        """What the API tells of the mission, in sentences."""
        return self._said("mission.description")

    @property
    def orbit(self) -> str | None:
        """Where the mission goes: Low Earth Orbit and so on."""
        return self._said("mission.orbit.name", "orbit")

    @cached_property
    def image(self) -> ImageReference | None:
        """The picture that the launch names, or None where the API has none."""
        given = self.row.get("image")
        if isinstance(given, Mapping):
            url = _text(given.get("image_url"))
            credit = _words(given.get("credit"))
            licence, licence_url = _words(at(given, "license.name")), _web_address(at(given, "license.link"))
            return ImageReference(url, credit, licence, licence_url) if url else None
        url = _text(given)
        return ImageReference(url) if url else None

    @property
    def odd_image(self) -> str | None:
        """What the API gives for a picture, where it gives something and no version's address is in it."""
        given = self.row.get("image")
        address = given.get("image_url", given) if isinstance(given, Mapping) else given
        is_none = not (address.strip() if isinstance(address, str) else address)
        return None if is_none or self.image else _shown(given)

    @property
    def _precision(self) -> Precision:
        given = at(self.row, "net_precision.id")
        is_known = isinstance(given, int) and not isinstance(given, bool)
        return Precision(
            given if is_known else None,
            is_dated=self.row.get("tbddate") is not True,
            is_timed=self.row.get("tbdtime") is not True,
        )

    def _said(self, *paths: str) -> str | None:
        """The first text at these paths."""
        return next((words for path in paths if (words := _words(at(self.row, path)))), None)

    def _part_of_name(self, part: int) -> str | None:
        parts = self.name.partition(" | ")
        return parts[part].strip() or None if parts[1] else None

    def facts(self) -> dict[str, Any]:
        """What the launch says, without the statistics around it."""
        image = self.image
        facts = {path: at(self.row, path) for path in _FACTS}
        return (
            facts
            | {name: _text(self.row.get(name)) for name in _NAMES}
            | {"family": self.family}
            | {"image": image and [image.url, image.credit, image.licence, image.licence_url]}
        )


@dataclass(frozen=True)
class Refusal:
    """A row that is no launch: why, and which launch and which day it seems to be about, where that can be told.

    The reason does not say where the row came from, so that it reads the same whatever it was asked for with.
    """

    reason: str
    launch_id: str | None = None
    day: date | None = None


def parse(row: Any, source: str) -> Launch:
    """The launch in one row of an answer that came from the address `source`.

    Raises:
        UnexpectedAnswer: the row is no object, or has no usable id, name or net.
    """
    read = read_row(row)
    if isinstance(read, Refusal):
        raise UnexpectedAnswer(f"{source} gave {read.reason}.")
    return read


def read_row(row: Any) -> Launch | Refusal:
    """The launch in one row of an answer, or why there is none."""
    if not isinstance(row, Mapping):
        return Refusal(f"a launch that is {_shown(row)}, not an object")
    launch_id, net = row.get("id"), _moment_or_none(row.get("net"))
    day = net and net.date()
    if not isinstance(launch_id, str) or not launch_id.strip():
        return Refusal(f"a launch without an id (name {_shown(row.get('name'))})", day=day)
    if len(launch_id) > _LONGEST_ID or not launch_id.isprintable():
        return Refusal(f"a launch whose id is none: {_shown(launch_id)}", day=day)
    if net is None:
        said = (
            f"with a net that is no time: {_shown(row['net'])}"
            if isinstance(row.get("net"), str)
            else (f"without a net; it has {_shown(row.get('net'))}")
        )
        return Refusal(f"launch {launch_id} {said}", launch_id)
    return Launch(id=launch_id, net=net, row=row)


def data_version(launches: Iterable[Launch]) -> str:
    """A digest of what these launches say: it changes when they do, and not when a counter beside them does."""
    return digest(sorted((launch.facts() for launch in launches), key=lambda facts: facts["id"]))[:16]


def in_order(launches: Iterable[Launch]) -> list[Launch]:
    """Launches as they are stored: by NET, then by id."""
    return sorted(launches, key=lambda launch: (launch.net, launch.id))


@dataclass(frozen=True)
class Standing:
    """What is remembered of a launch between two looks at the API."""

    net: datetime
    last_updated: datetime | None
    is_final: bool

    @classmethod
    def of(cls, launch: Launch) -> Standing:
        """How a launch stands now."""
        return cls(launch.net, launch.last_updated, launch.is_final)


@dataclass(frozen=True)
class Change:
    """A launch that is not as it was, or that was not known before.

    `stored` is what the archive has of it, if that is known: by it one can say what else is another than before.
    """

    launch: Launch
    before: Standing | None
    stored: Launch | None = field(default=None, compare=False)

    @property
    def days(self) -> set[date]:
        """The days that it concerns: where the launch stands, and where it stood."""
        return {self.launch.day} | ({self.before.net.date()} if self.before else set())

    @property
    def has_slipped(self) -> bool:
        """Whether the launch has left the day on which it stood."""
        return self.before is not None and self.before.net.date() != self.launch.day

    @property
    def is_outcome(self) -> bool:
        """Whether the launch was still to come, or under way, and now its outcome is known."""
        return self.launch.is_final and (self.before is None or not self.before.is_final)

    def __str__(self) -> str:
        name, day = self.launch.name, f"{self.launch.day}"
        if not self.launch.is_dated:
            day += ", not dated to the day"
        return f"{name if len(name) <= _LONGEST_NAME else f'{name[:_LONGEST_NAME]}…'}: {self._what(day)}"

    def _what(self, day: str) -> str:
        if self.is_outcome:
            return f"{self._slip(day)}, {self.launch.status}"
        if self.has_slipped:
            return self._slip(day)
        if self.before is None and self.stored is None:
            return f"{day}, new"
        return f"{day}, {', '.join(self._differences()) or 'updated'}"

    def _slip(self, day: str) -> str:
        return f"{self.before.net.date()} -> {day}" if self.before and self.has_slipped else day

    def _differences(self) -> list[str]:
        """What a person would want to know of the difference to what is stored."""
        if self.stored is None:
            return []
        was, now = self.stored, self.launch
        return [
            *([now.status] if now.status and now.status != was.status else []),
            *(["another time"] if now.net != was.net else []),
            *(["another name"] if now.name != was.name else []),
            *(["another picture"] if _url(now) != _url(was) else []),
        ]


def changed(standing: Mapping[str, Standing], launches: Iterable[Launch]) -> list[Change]:
    """The launches that do not stand as they stood, in order."""
    changes = (Change(launch, standing.get(launch.id)) for launch in in_order(launches))
    return [change for change in changes if change.before != Standing.of(change.launch)]


def days_between(first: date, last: date) -> Iterator[date]:
    """Each day from the first to the last, both of them included."""
    return (first + timedelta(days=n) for n in range((last - first).days + 1))


# Each day between two others is recorded anew with them: some milliseconds and kilobytes of Dagster's, for no news.
_WIDEST_GAP = timedelta(days=31)


def cheapest_ranges(
    days: Iterable[date], launches_on: Mapping[date, int], page: int = 100
) -> Iterator[tuple[date, date]]:
    """Days as first and last day of the ranges in which asking for them takes the fewest requests.

    Args:
        days: what is to be asked for, in any order.
        launches_on: how many launches are known to stand on a day; a day that is not in it counts as one launch.
        page: how many launches a request gives.
    """

    def requests(start: date, end: date) -> int:
        launches = (launches_on.get(start + timedelta(days=n), 1) for n in range((end - start).days + 1))
        return max(1, math.ceil(sum(launches) / page))

    def belongs(day: date, first: date, last: date) -> bool:
        saved = requests(first, last) + requests(day, day) - requests(first, day)
        return saved > 0 if day - last > timedelta(days=1) else saved >= 0

    first = last = None
    for day in sorted(set(days)):
        if first is None or last is None:
            first = day
        elif day - last > _WIDEST_GAP or not belongs(day, first, last):
            yield first, last
            first = day
        last = day
    if first is not None and last is not None:
        yield first, last


def at(value: Any, path: str) -> Any:
    """What lies at a dotted path in nested objects, or None where the path ends early."""
    for name in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def _url(launch: Launch) -> str | None:
    return launch.image and launch.image.url


def _moment(text: str) -> datetime:
    """A time of the API; they are UTC, with a Z, and one without a zone can mean nothing else."""
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _text(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _moment_or_none(value: Any) -> datetime | None:
    try:
        return _moment(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _words(value: Any) -> str | None:
    """A text that is for people to read, with nothing in it that controls what they read it on."""
    text = _text(value)
    return text and shown(text, _LONGEST_WORDS)


def _degrees(value: Any, *, most: int) -> float | None:
    """An angle, which 2.3.0 gives as a number and the versions before as a text."""
    try:
        degrees = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        return None
    return degrees if abs(degrees) <= most else None


def _web_address(value: Any) -> str | None:
    text = _text(value)
    return text if text and text.startswith(("https://", "http://")) else None


def _shown(value: Any) -> str:
    return shown(repr(value), 60)
