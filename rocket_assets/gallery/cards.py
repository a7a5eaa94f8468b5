"""What the gallery says of a launch: its card, in words and addresses, and nothing yet of how it looks.

A card is plain data, so that it can wait in the summary of its month for the index and for the page of the next
launches. Keys in it begin at the root of the storage; from where a page links to them is known in `pages`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, urlsplit

from rocket_assets import storage as keys
from rocket_assets.archive import NO_ADDRESS, Entry
from rocket_assets.errors import shown
from rocket_assets.gallery.licences import UNKNOWN, Licences
from rocket_assets.launches import Launch, Outcome
from rocket_assets.months import Shown

TO_FOLLOW = "The picture is still to follow."
NONE_NAMED = "The Launch Library names no picture."
NOT_HAD = "The picture's address gave none."
UNREADABLE = "The picture that is stored cannot be read."

_STATUSES = {
    "go": "Go for launch",
    "tbd": "Date to be determined",
    "tbc": "Date to be confirmed",
    "hold": "On hold",
    "in flight": "In flight",
}
"""What the short words of the API mean, where they are shorter than one understands."""

_LONGEST_CREDIT = 300


@dataclass(frozen=True)
class Thumbnail:
    """The size of a small picture in pixels."""

    width: int
    height: int


@dataclass(frozen=True)
class ShownPicture:
    """A picture as the gallery shows it.

    Args:
        sha256: the digest by which its thumbnail is found.
        width: of the thumbnail.
        height: of the thumbnail.
        whole: where the whole picture is, as an address that begins at the root of the storage.
        whole_width: of the whole picture.
        whole_height: of the whole picture.
        credit: whom it belongs to.
        licence: under which licence it is shown.
        licence_url: what that licence says.
    """

    sha256: str
    width: int
    height: int
    whole: str
    whole_width: int
    whole_height: int
    credit: str | None
    licence: str
    licence_url: str | None

    @property
    def thumbnail(self) -> str:
        """Where the small picture is, as an address that begins at the root of the storage."""
        return keys.thumbnail_key(self.sha256)

    @property
    def is_tall(self) -> bool:
        """Whether cutting it to the shape of a frame would take away too much of it."""
        return not 1.3 <= self.width / self.height <= 2.1


@dataclass(frozen=True)
class Card:
    """What the gallery says of one launch.

    Args:
        anchor: what its place on the page of its month is called.
        month: the key of that month, as in 2024-12.
        name: the API's name, usually "rocket | mission".
        net: its NET, to put launches in order.
        when: its NET in words.
        digits: the same for machines: the day, or the year where the day is not meant.
        is_dated: whether its day is meant.
        outcome: how it ended.
        status: how it stands, in words.
        facts: what else is known of it, as names and words, in order.
        description: what the mission is about.
        api_page: the address of the launch in the API.
        picture: its picture; None where none is shown.
        without: why none is shown.
    """

    anchor: str
    month: str
    name: str
    net: str
    when: str
    digits: str
    is_dated: bool
    outcome: Outcome
    status: str
    facts: list[tuple[str, str]] = field(default_factory=list)
    description: str | None = None
    api_page: str | None = None
    picture: ShownPicture | None = None
    without: str | None = None

    @property
    def name_parts(self) -> tuple[str, str, str]:
        """Rocket, bar and mission in the name; where it has no bar, all of it is the last."""
        rocket, bar, mission = self.name.partition(" | ")
        return (rocket, bar, mission) if rocket and mission else ("", "", self.name)

    @property
    def is_open(self) -> bool:
        """Whether it is not known how it ended."""
        return self.outcome is Outcome.OPEN

    def in_brief(self) -> Card:
        """The same with nothing but what stands beside a picture on the index."""
        return replace(self, facts=[], description=None, api_page=None)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Card:
        """The card in an object of JSON.

        Raises:
            TypeError, ValueError, KeyError: there is none in it.
        """
        picture = document["picture"]
        return cls(
            **{
                **document,
                "outcome": Outcome(document["outcome"]),
                "facts": [(name, words) for name, words in document["facts"]],
                "picture": ShownPicture(**picture) if picture else None,
            }
        )


def cards(launches: Iterable[Shown], licences: Licences, thumbnails: Mapping[str, Thumbnail], month: str) -> list[Card]:
    """The cards of these launches, those first whose day is meant.

    Args:
        launches: in order.
        licences: which pictures may be shown.
        thumbnails: the small pictures that there are, by the digest of the whole ones.
        month: the key of the month on whose page they stand.
    """
    taken: set[str] = set()
    made = []
    for one in launches:
        picture, without = _picture(one, licences, thumbnails)
        made.append(_card(one.launch, _anchor(one.launch.id, taken), month, picture, without))
    return sorted(made, key=lambda card: not card.is_dated)


def is_kept_back(entry: Entry | None, licences: Licences) -> bool:
    """Whether there is a picture that may not be shown."""
    return entry is not None and entry.picture is not None and not licences.allow(entry.licence)


def _card(launch: Launch, anchor: str, month: str, picture: ShownPicture | None, without: str | None) -> Card:
    return Card(
        anchor=anchor,
        month=month,
        name=launch.name,
        net=f"{launch.net:%Y-%m-%dT%H:%M:%SZ}",
        when=launch.when,
        digits=f"{launch.day}" if launch.is_dated else f"{launch.net:%Y}",
        is_dated=launch.is_dated,
        outcome=launch.outcome,
        status=_status(launch),
        facts=_facts(launch),
        description=launch.mission_description,
        api_page=_web_address(launch.api_page),
        picture=picture,
        without=without,
    )


def _picture(
    one: Shown, licences: Licences, thumbnails: Mapping[str, Thumbnail]
) -> tuple[ShownPicture | None, str | None]:
    """The picture of a launch, or why none is shown."""
    entry = one.entry
    if entry is None:
        return None, TO_FOLLOW
    picture = entry.picture
    if picture is None or not entry.file:
        return None, NONE_NAMED if entry.reason == NO_ADDRESS else NOT_HAD
    licence = _said(entry.licence) or UNKNOWN
    if not licences.allow(entry.licence):
        return None, f"The picture is kept back: its licence is {licence}."
    thumbnail = thumbnails.get(picture.sha256)
    if thumbnail is None:
        return None, UNREADABLE
    return (
        ShownPicture(
            sha256=picture.sha256,
            width=thumbnail.width,
            height=thumbnail.height,
            whole=keys.images_folder(one.launch.day) + quote(entry.file, safe=""),
            whole_width=picture.width,
            whole_height=picture.height,
            credit=_said(entry.credit),
            licence=licence,
            licence_url=_web_address(entry.licence_url),
        ),
        None,
    )


def _status(launch: Launch) -> str:
    if launch.is_final:
        return launch.outcome.capitalize()
    status = launch.status or "Outcome not known yet"
    return _STATUSES.get(status.casefold(), status)


def _facts(launch: Launch) -> list[tuple[str, str]]:
    """What is known, without what the name says already."""
    rocket, _, mission = launch.name.partition(" | ")
    pad = ", ".join(part for part in (launch.pad, launch.place) if part)
    facts = [
        ("Rocket", launch.rocket if launch.rocket != rocket else None),
        ("Mission", launch.mission if launch.mission not in (mission, launch.name) else None),
        ("Purpose", launch.mission_type),
        ("Orbit", launch.orbit),
        ("Provider", launch.provider),
        ("Pad", pad),
    ]
    return [(name, words) for name, words in facts if words]


def _anchor(launch_id: str, taken: set[str]) -> str:
    """A name for the place of a launch on its page, whatever its id is made of."""
    plain = re.fullmatch(r"[A-Za-z0-9-]+", launch_id)
    anchor = f"launch-{launch_id if plain else hashlib.sha256(launch_id.encode()).hexdigest()[:16]}"
    while anchor in taken:
        anchor += "-again"
    taken.add(anchor)
    return anchor


def _said(text: str | None) -> str | None:
    return (text and shown(text, _LONGEST_CREDIT)) or None


def _web_address(text: str | None) -> str | None:
    """An address that may become a link: of the web, and nothing that a browser would run."""
    if not text or not text.isprintable() or " " in text:
        return None
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    return text if parts.scheme in ("http", "https") and parts.netloc else None
