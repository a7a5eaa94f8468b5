"""What a launch is: read from a row of any version of the API, and what it says.

The API's row is kept whole; a `Launch` adds the few things that this project decides by. The versions differ in shape:
2.3.0 nests a picture object where 2.2.0 and 2.0.0 give an address, `list` answers give a name where `normal` ones nest
an object, and 2.0.0 has no `last_updated`. This module is the only one that knows.

How launches are asked for is in `launch_library`, where they are kept in `archive`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any

from rocket_assets.documents import digest
from rocket_assets.errors import UnexpectedAnswer

Row = Mapping[str, Any]

# What a launch says, as paths into a row. Left out are the counters of pads, agencies and places that the API nests
# into every answer: they change with every other launch. A path that a version or mode of the API lacks counts as null.
_FACTS: tuple[str, ...] = (
    "id",
    "name",
    "slug",
    "launch_designator",
    "net",
    "net_precision.id",
    "tbddate",
    "tbdtime",
    "window_start",
    "window_end",
    "last_updated",
    "status.id",
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
    "pad.location.name",
    "location",
    "mission.name",
    "mission.type",
    "mission.description",
    "mission.orbit.name",
    "mission_type",
    "orbit",
)

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
        """The API's name of the launch, usually "rocket | mission"."""
        return _text(self.row.get("name")) or self.id

    @property
    def status(self) -> str | None:
        """The short word for how the launch stands: Go, TBD, Success, Failure and so on."""
        return _text(at(self.row, "status.abbrev")) or _text(at(self.row, "status.name"))

    @property
    def rocket(self) -> str | None:
        """The full name of the launch vehicle; `list` answers have it only in the launch's name."""
        full_name = _text(at(self.row, "rocket.configuration.full_name"))
        if full_name is None and " | " in self.name:
            return self.name.partition(" | ")[0]
        return full_name

    @cached_property
    def image(self) -> ImageReference | None:
        """The picture that the launch names, or None where the API has none."""
        given = self.row.get("image")
        if isinstance(given, Mapping):
            url = _text(given.get("image_url"))
            credit = _text(given.get("credit"))
            licence, licence_url = _text(at(given, "license.name")), _text(at(given, "license.link"))
            return ImageReference(url, credit, licence, licence_url) if url else None
        url = _text(given)
        return ImageReference(url) if url else None

    def facts(self) -> dict[str, Any]:
        """What the launch says, without the statistics around it."""
        image = self.image
        facts = {path: at(self.row, path) for path in _FACTS}
        return (
            facts
            | {name: _text(self.row.get(name)) for name in _NAMES}
            | {"image": image and [image.url, image.credit, image.licence, image.licence_url]}
        )


def parse(row: Any, source: str) -> Launch:
    """The launch in one row of an answer that came from the address `source`.

    Raises:
        UnexpectedAnswer: the row is no object, or has no usable id, name or net.
    """
    if not isinstance(row, Mapping):
        raise UnexpectedAnswer(f"{source} gave a launch that is {_shown(row)}, not an object.")
    launch_id, net = row.get("id"), row.get("net")
    if not isinstance(launch_id, str) or not launch_id.strip():
        raise UnexpectedAnswer(f"{source} gave a launch without an id (name {_shown(row.get('name'))}).")
    if not isinstance(net, str):
        raise UnexpectedAnswer(f"{source} gave launch {launch_id} without a net; it has {_shown(net)}.")
    try:
        moment = datetime.fromisoformat(net)
        # The API's times are UTC, with a Z; one without a zone can mean nothing else.
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise UnexpectedAnswer(f"{source} gave launch {launch_id} with a net that is no time: {_shown(net)}.") from None
    return Launch(id=launch_id, net=moment, row=row)


def data_version(launches: Iterable[Launch]) -> str:
    """A digest of what these launches say: it changes when they do, and not when a counter beside them does."""
    return digest(sorted((launch.facts() for launch in launches), key=lambda facts: facts["id"]))[:16]


def in_order(launches: Iterable[Launch]) -> list[Launch]:
    """Launches as they are stored: by NET, then by id."""
    return sorted(launches, key=lambda launch: (launch.net, launch.id))


def at(value: Any, path: str) -> Any:
    """What lies at a dotted path in nested objects, or None where the path ends early."""
    for name in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def _text(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
