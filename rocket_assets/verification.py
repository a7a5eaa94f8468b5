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
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from enum import Enum
from functools import cached_property
from typing import Literal, TypeVar

from rocket_assets import storage as keys
from rocket_assets.archive import Archive, Manifest, StoredLaunches
from rocket_assets.documents import unseal
from rocket_assets.errors import Missing, RocketAssetsError
from rocket_assets.images import FORMATS, Picture, inspect
from rocket_assets.launches import Launch, data_version
from rocket_assets.network import LIMITS
from rocket_assets.storage import Storage, Stored

Level = Literal["quick", "full"]
Depth = Literal["sizes", "digests", "decoding"]
_ByDay = dict[date | None, list[Stored]]
_Thing = TypeVar("_Thing")

SAMPLES = 64
"""After so many samples each stored day has been looked at."""

_DAYS_A_SAMPLE = 400
"""At most, as long as `SAMPLES` are enough for that: until 2027 they are for every day since the first launch."""

_DAYS_TOGETHER = 28
"""Neighbouring days come in the same sample, so that a launch is found that has slipped and stands on two of them."""

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


def sample(days: Collection[date], number: int) -> list[date]:
    """Those of the stored days that are in the sample of this number; any `SAMPLES` in a row have each day in one.

    That is so while the archive grows, too: a small one comes round sooner, but always in a power of two of samples, so
    that a day of the sample 5 of 64 is in every one that is 5 of 2, of 4, of 8.
    """
    samples = min(SAMPLES, 1 << ((len(days) - 1) // _DAYS_A_SAMPLE).bit_length()) if days else 1
    return sorted(day for day in days if (day.toordinal() // _DAYS_TOGETHER - number) % samples == 0)


class StoredDay:
    """A day as it is stored. What is looked at is read when it is first needed, once for all that look at it.

    Args:
        archive: where it is.
        day: which day.
        launches: those that are stored, where they have been read already.
        images: what lies in the folder of its pictures, where that is known already.
        pictures: what holds them against the manifest.
    """

    def __init__(
        self,
        archive: Archive,
        day: date,
        *,
        launches: list[Launch] | None = None,
        images: Iterable[Stored] | None = None,
        pictures: Pictures | None = None,
    ) -> None:
        self.day = day
        self._archive = archive
        self._launches = launches
        self._images = images
        self._pictures = pictures or Pictures(archive.storage, "digests")

    @cached_property
    def _read(self) -> StoredLaunches:
        return self._archive.read_day(self.day)

    @property
    def launches(self) -> list[Launch]:
        """Its launches; raises what `Archive.read_day` does."""
        return self._read.launches if self._launches is None else self._launches

    @property
    def refused(self) -> list[str]:
        """Why rows that the library gave for it were refused; raises what `Archive.read_day` does."""
        return self._read.refused

    @cached_property
    def manifest(self) -> Manifest:
        """What its folder should hold; raises what `Archive.read_manifest` does."""
        return self._archive.read_manifest(self.day)

    def wrong_pictures(self) -> list[str]:
        """Pictures that are not what the manifest says, and files that it does not name."""
        return [problem.text for problem in self._pictures.of_day(self.manifest, self._images)]


def misplaced_launches(stored: StoredDay) -> list[str]:
    """Stored launches whose NET is not on the day that holds them."""
    return _misplaced(stored.launches, stored.day)


def repeated_launches(stored: StoredDay) -> list[str]:
    """Launches that a day holds more than once."""
    return _repeated(stored.launches)


def _misplaced(launches: Iterable[Launch], day: date) -> list[str]:
    return [
        f"{launch.name} ({launch.id}) has its NET at {launch.net:%Y-%m-%d %H:%M}Z."
        for launch in launches
        if launch.day != day
    ]


def _repeated(launches: Iterable[Launch]) -> list[str]:
    times = Counter(launch.id for launch in launches)
    return [f"Launch {launch_id} is there {n} times." for launch_id, n in times.items() if n > 1]


def refused_rows(stored: StoredDay) -> list[str]:
    """Rows that the library gave for a stored day and that are no launches."""
    return [
        f"The library gave {reason}; what was stored of it before, if anything, is kept." for reason in stored.refused
    ]


def launches_without_image(stored: StoredDay) -> list[str]:
    """Stored launches that name a picture which is not beside them, or is an earlier one, or has no entry at all."""
    entries = {entry.launch_id: entry for entry in stored.manifest.entries}
    problems = []
    for launch in stored.launches:
        entry = entries.get(launch.id)
        if entry is None:
            problems.append(f"{launch.name} has no entry in the manifest.")
        elif launch.odd_image or (launch.image and (entry.file is None or entry.source_url != launch.image.url)):
            kept = f" An earlier picture is kept: {entry.file}." if entry.file else ""
            problems.append(f"{launch.name} is without its picture: {entry.reason or 'not yet brought.'}{kept}")
    return problems


class Pictures:
    """Holds stored pictures against what is said of them; of equal ones it reads one, or one for each thread.

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
    by_day = _stored_by_day(archive.storage)
    if days is not None:
        yield from _verify_days(_Look(archive, level), by_day, days)
        return
    look = _Look(archive, level)
    yield from _each_day(look, by_day, (day for day in by_day if day))
    yield look.at_whole_pool()
    yield Verified(None, problems=[_foreign(key) for key in sorted(found.key for found in by_day.get(None, []))])
    yield Verified(None, problems=[_leftover(key) for key in _leftovers(archive.storage)])


def verify_sample(archive: Archive, number: int, again: Collection[date] = ()) -> Iterator[Verified]:
    """Read every file of the stored days that are in a sample, and of those that are to be looked at again.

    Raises:
        StorageFailed: the storage cannot be listed.
    """
    by_day = _stored_by_day(archive.storage)
    days = sample([day for day in by_day if day], number)
    return _verify_days(_Look(archive, "full"), by_day, {*days, *again})


def _verify_days(look: _Look, by_day: _ByDay, days: Collection[date]) -> Iterator[Verified]:
    yield from _each_day(look, by_day, days)
    yield look.at_pool()
    of_days = [key for key in _leftovers(look.storage) if keys.day_of(_written(key)) in days]
    yield Verified(None, problems=[_leftover(key) for key in of_days])


def _each_day(look: _Look, by_day: _ByDay, days: Iterable[date]) -> Iterator[Verified]:
    def at(day: date) -> Verified:
        seen = look.at_day(day, by_day.get(day, []))
        # Since everything was listed, a run may have brought the day.
        return look.at_day_again(day) if seen.problems else seen

    yield from look.storage.each(at, sorted(set(days)))
    yield look.at_launches_on_two_days()


class _Look:
    """One look at an archive: what has been seen so far, and what is to be said of it."""

    def __init__(self, archive: Archive, level: Level) -> None:
        self.storage = archive.storage
        self._archive = archive
        self._level = level
        self._pictures = Pictures(archive.storage, "decoding" if level == "full" else "sizes")
        self._shown: dict[date, set[Picture]] = {}
        """The pictures that a day shows."""
        self._standing: dict[date, Mapping[str, str]] = {}
        """The launches that stand on a day: their names by their ids."""

    def at_day_again(self, day: date) -> Verified:
        """One day, as it is by now."""
        launches = self.storage.find(keys.launches_key(day))
        return self.at_day(day, [*([launches] if launches else []), *self.storage.list(keys.images_folder(day))])

    def at_day(self, day: date, stored: Collection[Stored]) -> Verified:
        """One day, given what is stored of it."""
        problems, launches = self._at_launches(day, stored)
        try:
            manifest = self._archive.read_manifest(day)
        except RocketAssetsError as error:
            self._standing[day] = {launch.id: launch.name for launch in launches or ()}
            self._shown[day] = set()
            key = keys.manifest_key(day)
            missing = f"{key} is missing: bring the pictures of {day}."
            text = missing if isinstance(error, Missing) else str(error)
            return Verified(day, problems=[*problems, Problem(text, Remedy.PICTURES, (day,), key)])
        if launches is None:
            self._standing[day] = {entry.launch_id: entry.launch_name for entry in manifest.entries}
        else:
            self._standing[day] = {launch.id: launch.name for launch in launches}
            if not problems and data_version(launches) != manifest.launches_version:
                key = keys.manifest_key(day)
                text = f"{key} is older than the launches of {day}: bring the pictures of {day}."
                problems.append(Problem(text, Remedy.PICTURES, (day,), key))
        shown = [entry.picture for entry in manifest.entries if entry.picture]
        self._shown[day] = set(shown)
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

    def at_launches_on_two_days(self) -> Verified:
        """Launches that stand on more than one of the days looked at: they have slipped, and the old day was kept."""
        # One of the days may have been looked at before a launch has slipped, and the other one after it.
        for day in {day for days in self._on_two_days().values() for day in days}:
            self.at_day_again(day)
        return Verified(
            None,
            problems=[
                Problem(
                    f"{self._standing[days[0]][launch_id]} ({launch_id}) stands on {' and on '.join(map(str, days))}.",
                    Remedy.LAUNCHES,
                    tuple(days),
                )
                for launch_id, days in self._on_two_days().items()
            ],
        )

    def _on_two_days(self) -> dict[str, list[date]]:
        standing = _turned(self._standing)
        return {launch_id: days for launch_id, days in standing.items() if len(days) > 1}

    def at_pool(self) -> Verified:
        """The pictures of the pool that the days looked at show."""
        return Verified(None, problems=list(self._missed_in_pool(self.storage.find)))

    def at_whole_pool(self) -> Verified:
        """The pictures that the days looked at show, and all else that lies in the pool."""
        stored = {found.key: found for found in self.storage.list(keys.POOL)}
        problems, unnamed = list(self._missed_in_pool(stored.get)), list[Stored]()
        named = {picture.key for picture in _turned(self._shown)}
        for key in sorted(stored.keys() - named):
            name = _POOL_NAME.fullmatch(key)
            if not name and not _ADDRESS_NAME.fullmatch(key):
                problems.append(_foreign(key))
            elif self._level == "full" and (wrong := self._damage(key, name["sha256"] if name else None)):
                problems.append(Problem(wrong, Remedy.REMOVAL, (), key, key if name else ""))
            elif name:
                unnamed.append(stored[key])
        return Verified(None, problems=problems, unnamed=unnamed)

    def _missed_in_pool(self, find: Callable[[str], Stored | None]) -> Iterator[Problem]:
        for picture, days in sorted(_turned(self._shown).items(), key=lambda item: item[0].key):
            if wrong := self._pictures.compare(find(picture.key), picture.key, picture):
                yield Problem(wrong, Remedy.POOL, tuple(days), picture.key, picture.key)

    def _damage(self, key: str, sha256: str | None) -> str:
        """What is wrong with a picture of the pool that no manifest names, or with what is known of an address."""
        try:
            body = self.storage.read(key)
            if sha256 is None:
                unseal(body, key)
            elif hashlib.sha256(body).hexdigest() != sha256:
                return f"{key} is not what was stored: its sha256 is not its name."
        except RocketAssetsError as error:
            return str(error)
        return ""


def _turned(by_day: Mapping[date, Iterable[_Thing]]) -> dict[_Thing, list[date]]:
    """The days on which each thing is, in order."""
    days: dict[_Thing, list[date]] = {}
    for day, things in sorted(by_day.items()):
        for thing in things:
            days.setdefault(thing, []).append(day)
    return days


def _stored_by_day(storage: Storage) -> _ByDay:
    """All that is stored of launches and images, by the day that it belongs to; None holds what belongs to none."""
    by_day: _ByDay = {}
    for prefix in (keys.LAUNCHES, keys.IMAGES):
        for found in storage.list(prefix):
            by_day.setdefault(keys.day_of(found.key), []).append(found)
    return by_day


def _leftovers(storage: Storage) -> list[str]:
    """What writes have left behind, in order, but not what is being written just now."""
    found = set(storage.leftovers())
    return sorted(found.intersection(storage.leftovers())) if found else []


def _foreign(key: str) -> Problem:
    return Problem(f"{key} is a foreign file.", Remedy.PERSON, (), key)


def _leftover(key: str) -> Problem:
    day = keys.day_of(_written(key))
    text = f"{key} was left behind by an interrupted write: delete it."
    return Problem(text, Remedy.REMOVAL, (day,) if day else (), key)


def _written(leftover: str) -> str:
    """What was being written when a leftover was left."""
    return leftover.rpartition("#")[0]
