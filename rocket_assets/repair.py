"""How what does not hold any more is mended, from what still does or by bringing it again.

`verification` says what is wrong and what would mend it; here it is done, with as little as it takes: launches are
brought where launches are damaged, pictures where pictures are, and what is whole is left as it is. The API is asked
for damaged days only, and not for whole ones between them, though that would save requests: they would be written anew.

Nothing is lost by it. What a person has put there is left to a person, unless it lies among the pictures of a day. A
damaged picture is kept aside until it is there again to the last bit: if it cannot be had any more, one with a flipped
bit is better than none. Damaged objects that no day needs would otherwise be found each time; those are removed.

How days are brought is not known here: who calls says how.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date

from rocket_assets import storage as keys
from rocket_assets.archive import Archive
from rocket_assets.errors import Missing, NotAPicture, RocketAssetsError, StorageFailed
from rocket_assets.images import inspect
from rocket_assets.storage import Storage
from rocket_assets.verification import Level, Problem, Remedy, verify

Bring = Callable[[Sequence[date], Sequence[date]], None]
"""Brings the launches of the first days and the pictures of the second; what does not come is found by looking."""


@dataclass(frozen=True)
class Mended:
    """What a repair came to."""

    left: list[Problem]
    """What is still wrong."""
    lost: list[Problem]
    """Launches that had a picture and could not be given it again, with the reason; their days say so now."""
    aside: list[str]
    """The keys of damaged pictures that are kept, because they are not there again."""


def mend(archive: Archive, problems: Collection[Problem], bring: Bring, *, level: Level = "quick") -> Mended:
    """Mend what can be mended, look at the same days again, and say what is left.

    Raises:
        StorageFailed: the storage cannot be listed, or not written to.
    """
    storage = archive.storage
    to_mend = [problem for problem in problems if not _is_put_back(archive, problem)]
    for problem in to_mend:
        _set_aside(storage, problem)
    _remove(storage, [problem.key for problem in to_mend if problem.remedy is Remedy.REMOVAL])
    launches = {day for problem in to_mend if problem.remedy is Remedy.LAUNCHES for day in problem.days}
    pictures = launches | {day for problem in to_mend for day in _days_of_pictures(problem)}
    shown = {day: _shown(archive, day) for day in pictures}
    for day in sorted(day for day in pictures if shown[day] is None):
        _save_pictures(storage, day)
    if pictures:
        bring(sorted(launches), sorted(pictures))
    looked_at = {day for problem in problems for day in problem.days}
    left = [problem for part in verify(archive, looked_at, level=level) for problem in part.problems]
    left += [problem for problem in to_mend if problem.remedy is Remedy.PERSON]
    lost = [problem for day in sorted(pictures) for problem in _lost(archive, day, shown[day])]
    # What was damaged in the pool, was not fetched again, and is shown by no day any more.
    needed = {problem.key for problem in left}
    in_pool = [problem.key for problem in to_mend if problem.remedy is Remedy.POOL and problem.key not in needed]
    storage.delete([key for key in in_pool if not _is_whole(storage, key)])
    return Mended(left, lost, _still_aside(storage))


def _days_of_pictures(problem: Problem) -> Sequence[date]:
    """The days whose pictures have to be brought; what is in the pool comes back with any of the days that show it."""
    if problem.remedy is Remedy.PICTURES:
        return problem.days
    return problem.days[:1] if problem.remedy is Remedy.POOL else ()


def _is_put_back(archive: Archive, problem: Problem) -> bool:
    """Put a picture back into the pool, if a day has it whole, and say whether that was done."""
    if problem.remedy is not Remedy.POOL:
        return False
    for day in problem.days:
        try:
            entries = archive.read_manifest(day).entries
        except RocketAssetsError:
            continue
        for entry in entries:
            if entry.file and entry.picture and entry.picture.key == problem.original:
                key = keys.images_folder(day) + entry.file
                if _holds(archive.storage, key, problem.original):
                    archive.storage.copy(key, problem.original)
                    return True
    return False


def _shown(archive: Archive, day: date) -> set[str] | None:
    """The launches that show a picture on a day; None where that cannot be known any more."""
    try:
        return {entry.launch_id for entry in archive.read_manifest(day).entries if entry.file}
    except Missing:
        return None if any(archive.storage.list(keys.images_folder(day))) else set()
    except RocketAssetsError:
        return None


def _lost(archive: Archive, day: date, shown: set[str] | None) -> list[Problem]:
    """The launches that have no picture any more, with the reason that its address gave."""
    try:
        refused = archive.read_manifest(day).refused
    except RocketAssetsError:
        # That is a problem of its own.
        return []
    return [
        Problem(f"{day}: {entry.launch_name} is without its picture: {entry.reason}", Remedy.PICTURES, (day,))
        for entry in refused
        if entry.file is None and (shown is None or entry.launch_id in shown)
    ]


def _save_pictures(storage: Storage, day: date) -> None:
    """Let the pool have what lies in the folder of a day whose manifest is gone: nothing else says whose it is."""
    for found in storage.list(keys.images_folder(day)):
        try:
            original = inspect(storage.read(found.key), found.key).key
        except (NotAPicture, StorageFailed):
            continue
        if not _is_whole(storage, original):
            storage.copy(found.key, original)


def _set_aside(storage: Storage, problem: Problem) -> None:
    """Keep a damaged picture until it is known whether the whole one comes back.

    There may be several, each damaged in its own way, and nobody can say which is the best: all are kept.
    """
    if not problem.original or not storage.find(problem.key):
        return
    try:
        own = hashlib.sha256(storage.read(problem.key)).hexdigest()
    except StorageFailed:
        # A disk may give what is left of it to somebody who tries harder.
        own = f"unreadable-{hashlib.sha256(problem.key.encode()).hexdigest()}"
    storage.copy(problem.key, keys.damaged_key(problem.original, own))


def _still_aside(storage: Storage) -> list[str]:
    """What is kept aside, after removing what the pool has whole again."""
    aside = {found.key: keys.original_key(found.key) for found in storage.list(keys.DAMAGED)}
    whole = {original for original in set(aside.values()) if _is_whole(storage, original)}
    storage.delete([key for key, original in aside.items() if original in whole])
    return sorted(key for key, original in aside.items() if original not in whole)


def _remove(storage: Storage, unneeded: Collection[str]) -> None:
    leftovers = set(storage.leftovers())
    storage.delete([key for key in unneeded if key not in leftovers])
    if leftovers.intersection(unneeded):
        storage.remove_leftovers()


def _is_whole(storage: Storage, original: str) -> bool:
    return _holds(storage, original, original)


def _holds(storage: Storage, key: str, original: str) -> bool:
    """Whether the bytes under `key` are those of a picture of the pool, whose name is their digest."""
    try:
        return hashlib.sha256(storage.read(key)).hexdigest() == original.rpartition("/")[2].partition(".")[0]
    except StorageFailed:
        return False
