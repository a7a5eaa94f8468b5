"""What a day is once it is stored: its launches in one file, its pictures in one folder with a manifest.

`Archive` writes and reads days in a `Storage`. The order of writing is what makes a kill harmless: a picture goes into
the pool, then beside its launch, and last comes the manifest, which names only what is already there. What it no
longer names is removed from the folder, never from the pool. Nothing in a file says when it was fetched: the same
answers give the same bytes.

How launches and pictures are come by is in `launch_library` and `images`; whether what is stored still holds is in
`verification`.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

from rocket_assets import storage as keys
from rocket_assets.documents import digest, seal, unseal
from rocket_assets.errors import Damaged, Missing, NotAPicture, Refused, RocketAssetsError, Unavailable
from rocket_assets.images import Fetched, ImageLibrary, Picture, holds
from rocket_assets.launch_library import LaunchDay
from rocket_assets.launches import Launch, Refusal, data_version, in_order, parse
from rocket_assets.storage import Storage

NO_ADDRESS = "The Launch Library names no picture for this launch."


@dataclass(frozen=True)
class Entry:
    """What the manifest says of one launch: its picture, or why it has none.

    `source_url`, `credit`, `licence` and `licence_url` belong to the picture in `file`. `reason` is set where the
    launch has no picture, and also where an earlier picture is kept because the launch's present address gave none.
    """

    launch_id: str
    launch_name: str
    source_url: str | None = None
    credit: str | None = None
    licence: str | None = None
    licence_url: str | None = None
    file: str | None = None
    sha256: str | None = None
    bytes: int | None = None
    format: str | None = None
    width: int | None = None
    height: int | None = None
    reason: str | None = None

    @property
    def picture(self) -> Picture | None:
        """The stored picture, where there is one."""
        if self.sha256 and self.bytes and self.format and self.width and self.height:
            return Picture(self.sha256, self.bytes, self.format, self.width, self.height)
        return None


@dataclass(frozen=True)
class Manifest:
    """What the folder of a day holds: one entry a launch, in the order of the launches."""

    day: date
    launches_version: str
    """The data version of the launches that these pictures were brought for."""
    entries: list[Entry]

    @property
    def refused(self) -> list[Entry]:
        """The launches whose address gave no picture."""
        return [entry for entry in self.entries if entry.reason not in (None, NO_ADDRESS)]

    @property
    def data_version(self) -> str:
        """A digest of which launch shows which picture."""
        return digest([asdict(entry) for entry in self.entries])[:16]


@dataclass(frozen=True)
class ImageDay:
    """What bringing the pictures of one day came to.

    `error` is what keeps the day from being done: one or more of its pictures could not be had now, but trying again
    may help; or its launches could not be read, and then there is no manifest. Pictures that were refused for good do
    not keep the day from being done; their entries give the reason.
    """

    day: date
    manifest: Manifest | None
    error: RocketAssetsError | None = None
    bytes_fetched: int = 0
    bytes_kept: int = 0


class Archive:
    """The days in a storage."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def write_launches(
        self, day: date, source: str, launches: Iterable[Launch], refused: Iterable[Refusal] = ()
    ) -> bool:
        """Store the launches of a day and say whether anything changed. No launches is a day without launches.

        Rows that are no launches are not stored; that there were some, and why they were refused, is.
        """
        rows = [launch.row for launch in in_order(launches)]
        document = {"day": day.isoformat(), "source": source, "count": len(rows), "results": rows}
        reasons = sorted({refusal.reason for refusal in refused})
        return self.storage.write(keys.launches_key(day), seal(document | ({"refused": reasons} if reasons else {})))

    def write_day(self, brought: LaunchDay) -> tuple[LaunchDay, bool]:
        """Store a day as the library gave it; the day as it is stored, and whether anything changed.

        A row that cannot be read must not take away the launch that was read before: of those stored, one that may be
        such a row stays. What cannot be seen is a row that comes pages after the day on which its launch stood.
        """
        ids = {launch.id for launch in brought.launches}
        earlier = self._stored_launches(brought.day) if brought.unread else []
        spared = [launch for launch in earlier if launch.id not in ids and brought.may_hold(launch.id)]
        day = replace(brought, launches=in_order([*brought.launches, *spared]))
        return day, self.write_launches(day.day, day.source, day.launches, day.refused)

    def _stored_launches(self, day: date) -> list[Launch]:
        try:
            return self.read_launches(day)
        except (Missing, Damaged):
            return []

    def read_launches(self, day: date) -> list[Launch]:
        """The stored launches of a day, in order.

        Raises:
            Missing: the day has not been brought.
            Damaged: its file is not what was written.
        """
        key = keys.launches_key(day)
        return [parse(row, key) for row in _of_day(day, unseal(self.storage.read(key), key), key, "results")]

    def read_refused(self, day: date) -> list[str]:
        """Why rows that the library gave for a stored day were refused.

        Raises:
            Missing: the day has not been brought.
            Damaged: its file is not what was written.
        """
        key = keys.launches_key(day)
        return unseal(self.storage.read(key), key).get("refused", [])

    def read_manifest(self, day: date) -> Manifest:
        """What the folder of a day holds.

        Raises:
            Missing: the pictures of the day have not been brought.
            Damaged: the manifest is not what was written.
        """
        key = keys.manifest_key(day)
        document = unseal(self.storage.read(key), key)
        rows = _of_day(day, document, key, "entries")
        try:
            return Manifest(day, document["launches_version"], [Entry(**row) for row in rows])
        except (KeyError, TypeError) as error:
            raise Damaged(f"{key} was written by another version of this project; bring its day again.") from error

    def bring_images(self, days: Iterable[date], library: ImageLibrary) -> Iterator[ImageDay]:
        """Bring the pictures of these days, all at once, and give each day in turn as soon as it is whole.

        A day that fails does not stop the others: its `ImageDay` holds the error.
        """
        begun = [(day, self._begin(day, library)) for day in days]
        counted: set[str] = set()
        for day, fetches in begun:
            if isinstance(fetches, RocketAssetsError):
                yield ImageDay(day, None, fetches)
                continue
            try:
                yield self._finish(day, fetches, counted, library)
            except RocketAssetsError as error:
                yield ImageDay(day, None, error)

    def _begin(self, day: date, library: ImageLibrary) -> list[_Fetch] | RocketAssetsError:
        try:
            launches = self.read_launches(day)
        except Missing:
            return Missing(f"The launches of {day} are not in {self.storage.uri}: bring them first.")
        except RocketAssetsError as error:
            return error
        return [(launch, library.fetch(launch.image.url) if launch.image else None) for launch in launches]

    def _finish(self, day: date, fetches: list[_Fetch], counted: set[str], library: ImageLibrary) -> ImageDay:
        outcomes = [(launch, fetch and _outcome(fetch)) for launch, fetch in fetches]
        earlier = self._earlier_entries(day)
        failed = [launch for launch, outcome in outcomes if isinstance(outcome, RocketAssetsError)]
        # What the very address of a launch gave before, or else what the launch showed before.
        known = {launch.id: picture for launch in failed if (picture := library.known(_entry(launch).source_url or ""))}
        kept = {
            launch.id: entry
            for launch in failed
            if launch.id not in known and (entry := self._kept(day, earlier.get(launch.id)))
        }
        # One that is lost, and may be had later, stays in the manifest, or nobody would know that there was one.
        kept |= {
            launch.id: entry
            for launch, outcome in outcomes
            if isinstance(outcome, Unavailable)
            and launch.id not in known | kept.keys()
            and (entry := earlier.get(launch.id))
            and entry.file
        }
        # What is kept has its name already, so that no other picture is put over it.
        taken = {entry.file for entry in kept.values()}
        entries: list[Entry] = []
        placed: list[Entry] = []
        fetched_bytes = kept_bytes = 0
        for launch, outcome in outcomes:
            entry, picture = _entry(launch), None
            if isinstance(outcome, RocketAssetsError):
                picture = known.get(launch.id)
                entry = replace(kept.get(launch.id, entry), launch_name=launch.name, reason=str(outcome))
            elif outcome:
                picture = outcome.picture
                # A picture that several launches share is fetched for the first of them, and kept for the others.
                if outcome.bytes_fetched and entry.source_url not in counted:
                    fetched_bytes += outcome.bytes_fetched
                else:
                    kept_bytes += outcome.picture.bytes
                counted.add(entry.source_url or "")
            if picture:
                name = _file_name(launch, picture, taken)
                taken.add(name)
                entry = replace(entry, file=name, **asdict(picture))
                placed.append(entry)
            entries.append(entry)
        manifest = Manifest(day, data_version(launch for launch, _ in fetches), entries)
        self._commit(manifest, placed, earlier)
        unavailable = [outcome for _, outcome in outcomes if isinstance(outcome, Unavailable)]
        return ImageDay(day, manifest, _summary(day, unavailable), fetched_bytes, kept_bytes)

    def _earlier_entries(self, day: date) -> dict[str, Entry]:
        try:
            return {entry.launch_id: entry for entry in self.read_manifest(day).entries}
        except (Missing, Damaged):
            return {}

    def _kept(self, day: date, entry: Entry | None) -> Entry | None:
        """An earlier entry whose picture is still good: beside its launch, or put there again from the pool."""
        if entry is None or entry.file is None or entry.picture is None:
            return None
        beside = keys.images_folder(day) + entry.file
        if holds(self.storage, beside, entry.picture):
            return entry
        if holds(self.storage, entry.picture.key, entry.picture):
            self.storage.copy(entry.picture.key, beside)
            return entry
        return None

    def _commit(self, manifest: Manifest, placed: list[Entry], earlier: Mapping[str, Entry]) -> None:
        """Put new pictures into the day's folder, then the manifest, and remove what it does not name."""
        day, folder = manifest.day, keys.images_folder(manifest.day)
        before = {entry.file: entry.sha256 for entry in earlier.values()}
        if any(before.get(entry.file, entry.sha256) != entry.sha256 for entry in placed):
            # The old manifest must never stand beside another picture than it names.
            self.storage.delete([keys.manifest_key(day)])
        for entry in placed:
            if entry.file and entry.picture:
                self.storage.copy(entry.picture.key, folder + entry.file)
        document = {
            "day": day.isoformat(),
            "launches_version": manifest.launches_version,
            "entries": [asdict(entry) for entry in manifest.entries],
        }
        self.storage.write(keys.manifest_key(day), seal(document))
        named = {keys.manifest_key(day)} | {folder + entry.file for entry in manifest.entries if entry.file}
        self.storage.delete([stored.key for stored in self.storage.list(folder) if stored.key not in named])


_Fetch = tuple[Launch, Future[Fetched] | None]


def _of_day(day: date, document: dict[str, Any], key: str, rows: str) -> list[Any]:
    """The rows of a document, after making sure that it is the one of this day."""
    if document.get("day") != day.isoformat() or not isinstance(document.get(rows), list):
        raise Damaged(f"{key} is not the file of {day}: it was written for {document.get('day')}. Bring its day again.")
    return document[rows]


def _outcome(fetch: Future[Fetched]) -> Fetched | Refused | NotAPicture | Unavailable:
    """What a fetch came to; an error of the storage is raised, because it concerns the whole day."""
    try:
        return fetch.result()
    except (Refused, NotAPicture, Unavailable) as error:
        return error


def _entry(launch: Launch) -> Entry:
    """The entry of a launch that has no picture yet."""
    if launch.image is None:
        odd = f"The Launch Library gives a picture without an address: {launch.odd_image}."
        return Entry(launch.id, launch.name, reason=odd if launch.odd_image else NO_ADDRESS)
    image = launch.image
    return Entry(launch.id, launch.name, image.url, image.credit, image.licence, image.licence_url)


def _summary(day: date, errors: list[Unavailable]) -> Unavailable | None:
    if not errors:
        return None
    others = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return Unavailable(f"Not all pictures of {day} could be had: {errors[0]}{others}")


def _file_name(launch: Launch, picture: Picture, taken: set[str | None]) -> str:
    """<slug>-<id8>.<extension>, in letters, digits and hyphens only, whatever the launch is called."""
    ascii_name = unicodedata.normalize("NFKD", launch.name).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_name.lower()).strip("-")[:80].rstrip("-") or "launch"
    is_uuid = re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", launch.id)
    long_id = launch.id if is_uuid else hashlib.sha256(launch.id.encode("utf-8", "surrogatepass")).hexdigest()
    short = f"{slug}-{long_id[:8]}.{picture.extension}"
    return f"{slug}-{long_id}.{picture.extension}" if short in taken else short
