"""Whether what is stored still holds.

Two users: the asset checks, which look at the days that a run has just brought, and `rocket-assets verify`, which looks
at a whole archive. Both look at what is stored, never at what a run still has in memory. Each problem is a sentence
that names the day or the key.

What a day should look like is in `archive`. Nothing here writes.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal

from rocket_assets import storage as keys
from rocket_assets.archive import Archive, Manifest
from rocket_assets.documents import unseal
from rocket_assets.errors import Missing, RocketAssetsError
from rocket_assets.images import FORMATS, Picture, inspect
from rocket_assets.launches import data_version
from rocket_assets.storage import Storage, Stored

Level = Literal["quick", "full"]
Depth = Literal["sizes", "digests", "decoding"]

_ADDRESS_NAME = re.compile(rf"{keys.ADDRESSES}[0-9a-f]{{64}}\.json")
_POOL_NAME = re.compile(
    rf"{keys.POOL}(?P<folder>[0-9a-f]{{2}})/(?P<sha256>(?P=folder)[0-9a-f]{{62}})\.({'|'.join(FORMATS).lower()})"
)


def misplaced_launches(archive: Archive, day: date) -> list[str]:
    """Stored launches whose NET is not on the day that holds them."""
    return [
        f"{launch.name} ({launch.id}) has its NET at {launch.net:%Y-%m-%d %H:%M}Z."
        for launch in archive.read_launches(day)
        if launch.day != day
    ]


def repeated_launches(archive: Archive, day: date) -> list[str]:
    """Launches that a day holds more than once."""
    times = Counter(launch.id for launch in archive.read_launches(day))
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
        elif launch.image and (entry.file is None or entry.source_url != launch.image.url):
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

    def of_day(self, manifest: Manifest) -> list[str]:
        """The pictures of a day that are not what its manifest says, and files that it does not name."""
        folder = keys.images_folder(manifest.day)
        stored = {found.key: found for found in self._storage.list(folder)}
        stored.pop(keys.manifest_key(manifest.day), None)
        problems = []
        for entry in manifest.entries:
            if entry.file and entry.picture:
                problems += self.compare(stored.pop(folder + entry.file, None), folder + entry.file, entry.picture)
        return problems + [f"{key} is a foreign file: the manifest does not name it." for key in sorted(stored)]

    def compare(self, found: Stored | None, key: str, picture: Picture) -> list[str]:
        """What is wrong with the object under `key`, which should hold `picture`: nothing, or one sentence."""
        if found is None:
            return [f"{key} is missing."]
        if found.size != picture.bytes:
            return [f"{key} has {found.size:,} bytes and should have {picture.bytes:,}."]
        if self._depth == "sizes":
            return []
        # Hard links, and copies in a bucket, share a tag: what was read under one name need not be read under another.
        read = (found.tag or key, picture.sha256)
        if read not in self._wrong:
            self._wrong[read] = self._look_inside(key, picture)
        return [f"{key} {self._wrong[read]}"] if self._wrong[read] else []

    def _look_inside(self, key: str, picture: Picture) -> str:
        try:
            body = self._storage.read(key)
            sha256 = hashlib.sha256(body).hexdigest()
            if sha256 != picture.sha256:
                return f"is not what was stored: its sha256 is {sha256}, not {picture.sha256}."
            if self._depth == "decoding" and inspect(body, key) != picture:
                return "is not the kind of picture that the manifest says."
        except RocketAssetsError as error:
            return f"cannot be looked into: {error}"
        return ""


@dataclass(frozen=True)
class Verified:
    """What verifying one day, or what belongs to no day, came to."""

    day: date | None
    """None for the pool and for files that belong to no day."""
    pictures: int = 0
    problems: list[str] = field(default_factory=list)


def verify(
    archive: Archive, start: date | None = None, end: date | None = None, *, level: Level = "quick"
) -> Iterator[Verified]:
    """Hold the stored days from `start` to `end` (inclusive), or all of them, against their manifests.

    `quick` looks at names and sizes and reads the manifests only. `full` reads every file: digests of the documents,
    digests and decoding of the pictures. Days that were named but never brought are problems too.

    Raises:
        StorageFailed: the storage cannot be listed.
    """
    storage = archive.storage
    pictures = Pictures(storage, "decoding" if level == "full" else "sizes")
    stored = {found.key: found for prefix in (keys.LAUNCHES, keys.IMAGES) for found in storage.list(prefix)}
    by_day = {day for key in stored if (day := keys.day_of(key))}
    if start and end:
        by_day = {start + timedelta(days=n) for n in range((end - start).days + 1)}
    in_pool: dict[str, Picture] = {}
    for day in sorted(by_day):
        launches = stored.get(keys.launches_key(day))
        brought = launches is not None and launches.size > 0
        yield _verify_day(archive, day, pictures, in_pool, level, brought=brought)
    yield _verify_pool(storage, pictures, in_pool, level, everything=not (start and end))
    foreign = [f"{key} is a foreign file." for key in sorted(stored) if keys.day_of(key) is None]
    leftovers = [f"{key} was left behind by an interrupted write: delete it." for key in sorted(storage.leftovers())]
    yield Verified(None, problems=foreign + leftovers)


def _verify_day(
    archive: Archive, day: date, pictures: Pictures, in_pool: dict[str, Picture], level: Level, *, brought: bool
) -> Verified:
    problems: list[str] = []
    if not brought:
        problems.append(f"{keys.launches_key(day)} is missing or empty: bring the launches of {day}.")
    elif level == "full":
        # A file that cannot be read makes both say the same.
        said = _said(archive, day, misplaced_launches) + _said(archive, day, repeated_launches)
        problems += dict.fromkeys(said)
    try:
        manifest = archive.read_manifest(day)
    except Missing:
        return Verified(day, 0, [*problems, f"{keys.manifest_key(day)} is missing: bring the pictures of {day}."])
    except RocketAssetsError as error:
        return Verified(day, 0, [*problems, str(error)])
    if level == "full" and not problems and data_version(archive.read_launches(day)) != manifest.launches_version:
        problems.append(f"{keys.manifest_key(day)} is older than the launches of {day}: bring the pictures of {day}.")
    problems += pictures.of_day(manifest)
    shown = [entry.picture for entry in manifest.entries if entry.picture]
    in_pool.update({picture.key: picture for picture in shown})
    return Verified(day, len(shown), problems)


def _said(archive: Archive, day: date, look: Callable[[Archive, date], list[str]]) -> list[str]:
    try:
        return look(archive, day)
    except RocketAssetsError as error:
        return [str(error)]


def _verify_pool(
    storage: Storage, pictures: Pictures, expected: dict[str, Picture], level: Level, *, everything: bool
) -> Verified:
    stored = {found.key: found for found in storage.list(keys.POOL)}
    problems: list[str] = []
    for key, picture in sorted(expected.items()):
        problems += pictures.compare(stored.get(key), key, picture)
    for key in sorted(stored) if everything else ():
        if key in expected:
            continue
        name = _POOL_NAME.fullmatch(key)
        if not name and not _ADDRESS_NAME.fullmatch(key):
            problems.append(f"{key} is a foreign file.")
        elif level == "full":
            problems += _damage(storage, key, name["sha256"] if name else None)
    return Verified(None, problems=problems)


def _damage(storage: Storage, key: str, sha256: str | None) -> list[str]:
    """What is wrong with an object of the pool that no manifest names: a picture, or what is known of an address."""
    try:
        body = storage.read(key)
        if sha256 is None:
            unseal(body, key)
        elif hashlib.sha256(body).hexdigest() != sha256:
            return [f"{key} is not what was stored: its sha256 is not its name."]
    except RocketAssetsError as error:
        return [str(error)]
    return []
