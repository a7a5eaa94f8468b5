"""Whether what is stored still holds.

Three users: the asset checks of a run, which look at the days that it has just brought; the check of each night, which
looks at a sample of what is stored; and `rocket-assets verify`, which looks at a whole archive. All of them look at
what is stored, never at what a run still has in memory. Each problem is a sentence that names the day or the key, and
says as data what would mend it.

What a day should look like is in `archive`, what mends it in `repair`. Nothing here writes.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from enum import Enum
from math import ceil
from typing import Literal

from rocket_assets import storage as keys
from rocket_assets.archive import Archive, Manifest
from rocket_assets.documents import unseal
from rocket_assets.errors import Missing, RocketAssetsError
from rocket_assets.images import FORMATS, Picture, inspect
from rocket_assets.launches import Launch, data_version
from rocket_assets.network import LIMITS
from rocket_assets.storage import Storage, Stored

Level = Literal["quick", "full"]
Depth = Literal["sizes", "digests", "decoding"]

NIGHTS = 60
"""After so many nights each stored day has been looked at."""

_DAYS_A_NIGHT = 420
"""In an archive that is too small for all the nights; in the largest they are as many."""

_DAYS_TOGETHER = 28
"""Neighbouring days come in the same night, so that a launch is found that has slipped and stands on two of them."""

_ACCEPTED = replace(LIMITS, pixels=sys.maxsize)
"""What has the digest of a stored picture was accepted once, whatever the settings allowed then."""

_ADDRESS_NAME = re.compile(rf"{keys.ADDRESSES}[0-9a-f]{{64}}\.json")
_POOL_NAME = re.compile(
    rf"{keys.POOL}(?P<folder>[0-9a-f]{{2}})/(?P<sha256>(?P=folder)[0-9a-f]{{62}})\.({'|'.join(FORMATS).lower()})"
)


class Remedy(Enum):
    """What mends a problem."""

    LAUNCHES = "bring the launches of its days again, and then their pictures"
    PICTURES = "bring the pictures of its days again"
    POOL = "put the picture back from one of its days, or else bring the pictures of the first of them again"
    REMOVAL = "remove what is under its key: it is of use to nobody"
    PERSON = "a person is to look what it is"


@dataclass(frozen=True)
class Problem:
    """Something that is not as it should be.

    Attributes:
        text: what, in a sentence.
        remedy: what would mend it.
        days: which days it concerns; a file may concern none.
        key: the object that is damaged, missing or in the way, where it is a single one.
        original: where the pool has the picture that should be under `key`, if it should be one.
    """

    text: str
    remedy: Remedy
    days: tuple[date, ...] = ()
    key: str = ""
    original: str = ""


def stored_days(archive: Archive) -> list[date]:
    """The days of which anything is stored, in order.

    Raises:
        StorageFailed: the storage cannot be listed.
    """
    return sorted(day for day in _stored_by_day(archive.storage) if day)


def sample(days: Collection[date], night: date) -> list[date]:
    """Those of the stored days that are looked at in a night: each of them once in so many nights, `NIGHTS` at most.

    It depends on nothing but the day, the night and the size of the archive: a new day moves no other to another night.
    """
    nights = max(1, min(NIGHTS, ceil(len(days) / _DAYS_A_NIGHT)))
    return sorted(day for day in days if (day.toordinal() // _DAYS_TOGETHER - night.toordinal()) % nights == 0)


def misplaced_launches(archive: Archive, day: date) -> list[str]:
    """Stored launches whose NET is not on the day that holds them."""
    return _misplaced(archive.read_launches(day), day)


def repeated_launches(archive: Archive, day: date) -> list[str]:
    """Launches that a day holds more than once."""
    return _repeated(archive.read_launches(day))


def _misplaced(launches: Iterable[Launch], day: date) -> list[str]:
    return [
        f"{launch.name} ({launch.id}) has its NET at {launch.net:%Y-%m-%d %H:%M}Z."
        for launch in launches
        if launch.day != day
    ]


def _repeated(launches: Iterable[Launch]) -> list[str]:
    times = Counter(launch.id for launch in launches)
    return [f"Launch {launch_id} is there {n} times." for launch_id, n in times.items() if n > 1]


def refused_rows(archive: Archive, day: date) -> list[str]:
    """Rows that the library gave for a stored day and that are no launches."""
    return [
        f"The library gave {reason}; what was stored of it before, if anything, is kept."
        for reason in archive.read_refused(day)
    ]


def launches_without_image(archive: Archive, day: date) -> list[str]:
    """Stored launches that name a picture which is not beside them, or is an earlier one, or has no entry at all."""
    entries = {entry.launch_id: entry for entry in archive.read_manifest(day).entries}
    problems = []
    for launch in archive.read_launches(day):
        entry = entries.get(launch.id)
        if entry is None:
            problems.append(f"{launch.name} has no entry in the manifest.")
        elif launch.odd_image or (launch.image and (entry.file is None or entry.source_url != launch.image.url)):
            kept = f" An earlier picture is kept: {entry.file}." if entry.file else ""
            problems.append(f"{launch.name} is without its picture: {entry.reason or 'not yet brought.'}{kept}")
    return problems


class Pictures:
    """Holds stored pictures against what is said of them, reading equal ones once.

    Args:
        storage: where they are.
        depth: how closely to look: at sizes, at digests, or also at whether they can be decoded.
    """

    def __init__(self, storage: Storage, depth: Depth) -> None:
        self._storage = storage
        self._depth = depth
        self._wrong: dict[tuple[str, str], str] = {}

    def of_day(self, manifest: Manifest, stored: Iterable[Stored] | None = None) -> list[Problem]:
        """The pictures of a day that are not what its manifest says, and files that it does not name.

        Args:
            manifest: what is said of them.
            stored: what lies in the folder of the day, where that is known already.
        """
        day, folder = manifest.day, keys.images_folder(manifest.day)
        found = {each.key: each for each in (self._storage.list(folder) if stored is None else stored)}
        found.pop(keys.manifest_key(day), None)
        problems = list[Problem]()
        for entry in manifest.entries:
            if entry.file and (picture := entry.picture):
                key = folder + entry.file
                if wrong := self.compare(found.pop(key, None), key, picture):
                    problems.append(Problem(wrong, Remedy.PICTURES, (day,), key, picture.key))
        foreign = [
            Problem(f"{key} is a foreign file: the manifest does not name it.", Remedy.PICTURES, (day,), key)
            for key in sorted(found)
        ]
        return problems + foreign

    def compare(self, found: Stored | None, key: str, picture: Picture) -> str:
        """What is wrong with the object under `key`, which should hold `picture`, in a sentence, if anything is."""
        if found is None:
            return f"{key} is missing."
        if found.size != picture.bytes:
            return f"{key} has {found.size:,} bytes and should have {picture.bytes:,}."
        if self._depth == "sizes":
            return ""
        # Hard links, and copies in a bucket, share a tag: what was read under one name need not be read under another.
        read = (found.tag or key, picture.sha256)
        if read not in self._wrong:
            self._wrong[read] = self._look_inside(key, picture)
        return f"{key} {self._wrong[read]}" if self._wrong[read] else ""

    def _look_inside(self, key: str, picture: Picture) -> str:
        try:
            body = self._storage.read(key)
            sha256 = hashlib.sha256(body).hexdigest()
            if sha256 != picture.sha256:
                return f"is not what was stored: its sha256 is {sha256}, not {picture.sha256}."
            if self._depth == "decoding" and inspect(body, key, _ACCEPTED) != picture:
                return "is not the kind of picture that the manifest says."
        except RocketAssetsError as error:
            return f"cannot be looked into: {error}"
        return ""


@dataclass(frozen=True)
class Verified:
    """What verifying one day, or what belongs to no single day, came to."""

    day: date | None
    """None for the pool, for what concerns several days, and for files that belong to none."""
    pictures: int = 0
    problems: list[Problem] = field(default_factory=list)
    unnamed: list[Stored] = field(default_factory=list)
    """Pictures of the pool that no manifest names, which is no problem: a launch has shown them before."""


def verify(archive: Archive, days: Collection[date] | None = None, *, level: Level = "quick") -> Iterator[Verified]:
    """Hold these days, or everything that is stored, against the manifests.

    `quick` looks at names and sizes and reads the manifests only. `full` reads every file: digests of the documents,
    digests and decoding of the pictures. Days that are named but were never brought are problems too. What belongs to
    no day is looked at only with everything.

    Raises:
        StorageFailed: the storage cannot be listed.
    """
    storage = archive.storage
    by_day = _stored_by_day(storage)
    look = _Look(archive, level)
    for day in sorted(day for day in by_day if day) if days is None else sorted(set(days)):
        yield look.at_day(day, by_day.get(day, []))
    yield look.at_launches_on_two_days()
    yield look.at_pool(everything=days is None)
    foreign = by_day.get(None, []) if days is None else []
    yield Verified(None, problems=[_foreign(key) for key in sorted(found.key for found in foreign)])
    leftovers = [key for key in storage.leftovers() if days is None or keys.day_of(_written(key)) in days]
    yield Verified(None, problems=[_leftover(key) for key in sorted(leftovers)])


class _Look:
    """One look at an archive: what has been seen so far, and what is to be said of it."""

    def __init__(self, archive: Archive, level: Level) -> None:
        self._archive = archive
        self._level = level
        self._pictures = Pictures(archive.storage, "decoding" if level == "full" else "sizes")
        self._named: dict[Picture, list[date]] = {}
        """The days that show a picture."""
        self._standing: dict[str, list[date]] = {}
        """The days on which a launch stands, by its id."""
        self._names: dict[str, str] = {}

    def at_day(self, day: date, stored: Collection[Stored]) -> Verified:
        """One day, given what is stored of it."""
        problems, launches = self._at_launches(day, stored)
        try:
            manifest = self._archive.read_manifest(day)
        except RocketAssetsError as error:
            self._stands(day, {launch.id: launch.name for launch in launches or ()})
            key = keys.manifest_key(day)
            missing = f"{key} is missing: bring the pictures of {day}."
            text = missing if isinstance(error, Missing) else str(error)
            return Verified(day, problems=[*problems, Problem(text, Remedy.PICTURES, (day,), key)])
        if launches is None:
            self._stands(day, {entry.launch_id: entry.launch_name for entry in manifest.entries})
        else:
            self._stands(day, {launch.id: launch.name for launch in launches})
            if not problems and data_version(launches) != manifest.launches_version:
                key = keys.manifest_key(day)
                text = f"{key} is older than the launches of {day}: bring the pictures of {day}."
                problems.append(Problem(text, Remedy.PICTURES, (day,), key))
        shown = [entry.picture for entry in manifest.entries if entry.picture]
        for picture in shown:
            self._named.setdefault(picture, []).append(day)
        images = [found for found in stored if found.key.startswith(keys.IMAGES)]
        return Verified(day, len(shown), problems + self._pictures.of_day(manifest, images))

    def _at_launches(self, day: date, stored: Collection[Stored]) -> tuple[list[Problem], list[Launch] | None]:
        """What is wrong with the launches of a day, and the launches themselves if they were read."""
        key = keys.launches_key(day)

        def problem(text: str) -> Problem:
            return Problem(text, Remedy.LAUNCHES, (day,), key)

        if not any(found.key == key and found.size > 0 for found in stored):
            return [problem(f"{key} is missing or empty: bring the launches of {day}.")], None
        if self._level == "quick":
            return [], None
        try:
            launches = self._archive.read_launches(day)
        except RocketAssetsError as error:
            return [problem(str(error))], None
        wrong = _misplaced(launches, day) + _repeated(launches)
        return [problem(f"{key}: {text}") for text in wrong], launches

    def _stands(self, day: date, launches: Mapping[str, str]) -> None:
        self._names.update(launches)
        for launch_id in launches:
            self._standing.setdefault(launch_id, []).append(day)

    def at_launches_on_two_days(self) -> Verified:
        """Launches that stand on more than one of the days looked at: they have slipped, and the old day was kept."""
        return Verified(
            None,
            problems=[
                Problem(
                    f"{self._names[launch_id]} ({launch_id}) stands on {' and on '.join(map(str, days))}.",
                    Remedy.LAUNCHES,
                    tuple(days),
                )
                for launch_id, days in self._standing.items()
                if len(days) > 1
            ],
        )

    def at_pool(self, *, everything: bool) -> Verified:
        """The pictures that were named on the days looked at; and all else that lies in the pool, with everything."""
        stored = {found.key: found for found in self._archive.storage.list(keys.POOL)}
        problems, unnamed = list[Problem](), list[Stored]()
        for picture, days in sorted(self._named.items(), key=lambda item: item[0].key):
            if wrong := self._pictures.compare(stored.get(picture.key), picture.key, picture):
                problems.append(Problem(wrong, Remedy.POOL, tuple(days), picture.key, picture.key))
        named = {picture.key for picture in self._named}
        for key in sorted(stored.keys() - named) if everything else ():
            name = _POOL_NAME.fullmatch(key)
            if not name and not _ADDRESS_NAME.fullmatch(key):
                problems.append(_foreign(key))
            elif self._level == "full" and (wrong := self._damage(key, name["sha256"] if name else None)):
                problems.append(Problem(wrong, Remedy.REMOVAL, (), key, key if name else ""))
            elif name:
                unnamed.append(stored[key])
        return Verified(None, problems=problems, unnamed=unnamed)

    def _damage(self, key: str, sha256: str | None) -> str:
        """What is wrong with a picture of the pool that no manifest names, or with what is known of an address."""
        try:
            body = self._archive.storage.read(key)
            if sha256 is None:
                unseal(body, key)
            elif hashlib.sha256(body).hexdigest() != sha256:
                return f"{key} is not what was stored: its sha256 is not its name."
        except RocketAssetsError as error:
            return str(error)
        return ""


def _stored_by_day(storage: Storage) -> dict[date | None, list[Stored]]:
    """All that is stored of launches and images, by the day that it belongs to; None holds what belongs to none."""
    by_day: dict[date | None, list[Stored]] = {}
    for prefix in (keys.LAUNCHES, keys.IMAGES):
        for found in storage.list(prefix):
            by_day.setdefault(keys.day_of(found.key), []).append(found)
    return by_day


def _foreign(key: str) -> Problem:
    return Problem(f"{key} is a foreign file.", Remedy.PERSON, (), key)


def _leftover(key: str) -> Problem:
    day = keys.day_of(_written(key))
    text = f"{key} was left behind by an interrupted write: delete it."
    return Problem(text, Remedy.REMOVAL, (day,) if day else (), key)


def _written(leftover: str) -> str:
    """What was being written when a leftover was left."""
    return leftover.rpartition("#")[0]
