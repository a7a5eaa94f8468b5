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
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from threading import Lock
from typing import Any

from rocket_assets import storage as keys
from rocket_assets.documents import digest, seal, unseal
from rocket_assets.errors import Damaged, Missing, NotAPicture, Refused, RocketAssetsError, Unavailable
from rocket_assets.images import Fetched, ImageLibrary, Picture, holds
from rocket_assets.launch_library import LaunchDay
from rocket_assets.launches import Launch, Refusal, data_version, in_order, parse
from rocket_assets.storage import Storage, Stored

NO_ADDRESS = "The Launch Library names no picture for this launch."

_FEW_DAYS = 4
"""So many folders are listed one by one; for more, those of whole years."""


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

    def sealed(self) -> bytes:
        """The manifest as it is stored."""
        return seal(
            {
                "day": self.day.isoformat(),
                "launches_version": self.launches_version,
                "entries": [asdict(entry) for entry in self.entries],
            }
        )


@dataclass(frozen=True)
class WrittenDay:
    """A day of launches as it is stored now, and whether that is new; or what kept it from being stored."""

    day: LaunchDay
    changed: bool
    error: RocketAssetsError | None = None


@dataclass(frozen=True)
class ImageDay:
    """What bringing the pictures of one day came to.

    `error` is what keeps the day from being done: one or more of its pictures could not be had now, but trying again
    may help; or its launches could not be read, and then there is no manifest. Pictures that were refused for good do
    not keep the day from being done; their entries give the reason. `launches` are those that were stored, `fetched`
    their pictures by address.
    """

    day: date
    manifest: Manifest | None
    launches: list[Launch] = field(default_factory=list)
    fetched: list[tuple[str, Fetched]] = field(default_factory=list)
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

    def write_days(self, brought: Iterable[LaunchDay]) -> Iterator[WrittenDay]:
        """Store days as the library gives them, and tell of each as soon as it is stored, in their order.

        One that cannot be stored does not stop the others. What breaks off the library's answer is raised when the days
        that it gave before are stored.
        """

        def write(day: LaunchDay) -> WrittenDay:
            try:
                return WrittenDay(*self.write_day(day))
            except RocketAssetsError as error:
                return WrittenDay(day, changed=False, error=error)

        return self.storage.each(write, brought)

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

    def read_day(self, day: date) -> tuple[list[Launch], list[str]]:
        """The stored launches of a day, in order, and why rows that the library gave for it were refused.

        Raises:
            Missing: the day has not been brought.
            Damaged: its file is not what was written.
        """
        key = keys.launches_key(day)
        document = unseal(self.storage.read(key), key)
        return [parse(row, key) for row in _of_day(day, document, key, "results")], document.get("refused", [])

    def read_launches(self, day: date) -> list[Launch]:
        """The stored launches of a day, in order; raises what `read_day` does."""
        return self.read_day(day)[0]

    def read_refused(self, day: date) -> list[str]:
        """Why rows that the library gave for a stored day were refused; raises what `read_day` does."""
        return self.read_day(day)[1]

    def read_manifest(self, day: date) -> Manifest:
        """What the folder of a day holds.

        Raises:
            Missing: the pictures of the day have not been brought.
            Damaged: the manifest is not what was written.
        """
        key = keys.manifest_key(day)
        return _manifest(day, self.storage.read(key), key)

    def bring_images(self, days: Iterable[date], library: ImageLibrary) -> Iterator[ImageDay]:
        """Bring the pictures of these days, all at once, and give each day as soon as it is whole.

        A day that fails does not stop the others: its `ImageDay` holds the error. One whose pictures are long in coming
        does not hold them up.
        """
        days = list(days)
        try:
            bringing = _Bringing(self, library, self.list_images(days))
        except RocketAssetsError as error:
            yield from (ImageDay(day, None, error=error) for day in days)
            return
        begun = list(self.storage.each(bringing.begin, days))
        for day in self.storage.each(bringing.finish, _as_they_come(begun)):
            yield bringing.counted(day)

    def list_images(self, days: Collection[date]) -> dict[date, dict[str, Stored]]:
        """What lies in the folders of these days, by its key."""
        found: dict[date, dict[str, Stored]] = {day: {} for day in days}
        for folder in _folders(days):
            for stored in self.storage.list(folder):
                if (day := keys.day_of(stored.key)) and day in found:
                    found[day][stored.key] = stored
        return found


_Fetch = tuple[Launch, Future[Fetched] | None]


@dataclass(frozen=True)
class _Begun:
    """A day whose pictures are being fetched.

    `stored` is what lay in its folder, `manifest` the bytes of its manifest there.
    """

    day: date
    stored: Mapping[str, Stored]
    fetches: list[_Fetch] = field(default_factory=list)
    manifest: bytes | None = None
    earlier: Mapping[str, Entry] = field(default_factory=dict)
    error: RocketAssetsError | None = None

    @property
    def open(self) -> list[Future[Fetched]]:
        """What is still to come."""
        return [fetch for _, fetch in self.fetches if fetch and not fetch.done()]


def _as_they_come(begun: Iterable[_Begun]) -> Iterator[_Begun]:
    """Each day when nothing of it is still to come; in their order those of which that is so at one time."""
    waiting = list(begun)
    while waiting:
        still = [day for day in waiting if day.open]
        ended = {day.day for day in waiting} - {day.day for day in still}
        yield from (day for day in waiting if day.day in ended)
        waiting = still
        if waiting and not ended:
            wait([fetch for day in waiting for fetch in day.open], return_when=FIRST_COMPLETED)


class _Bringing:
    """Bringing the pictures of some days: what is known of the storage meanwhile, so that it is asked once."""

    def __init__(self, archive: Archive, library: ImageLibrary, stored: Mapping[date, Mapping[str, Stored]]) -> None:
        self._archive = archive
        self._storage = archive.storage
        self._library = library
        self._stored = stored
        self._looking = Lock()
        self._pool: dict[str, Stored] = {}
        self._counted: set[str] = set()

    def begin(self, day: date) -> _Begun:
        """Read what is stored of a day, and begin to fetch its pictures."""
        stored = self._stored[day]
        try:
            launches = self._archive.read_launches(day)
            manifest, earlier = self._earlier(day) if keys.manifest_key(day) in stored else (None, {})
        except Missing:
            missing = f"The launches of {day} are not in {self._storage.uri}: bring them first."
            return _Begun(day, stored, error=Missing(missing))
        except RocketAssetsError as error:
            return _Begun(day, stored, error=error)
        fetches = [(launch, self._library.fetch(launch.image.url) if launch.image else None) for launch in launches]
        return _Begun(day, stored, fetches, manifest, earlier)

    def _earlier(self, day: date) -> tuple[bytes | None, dict[str, Entry]]:
        key = keys.manifest_key(day)
        try:
            body = self._storage.read(key)
            return body, {entry.launch_id: entry for entry in _manifest(day, body, key).entries}
        except (Missing, Damaged):
            return None, {}

    def finish(self, begun: _Begun) -> ImageDay:
        """Put the pictures of a day beside its launches, and commit it."""
        if begun.error:
            return ImageDay(begun.day, None, error=begun.error)
        try:
            return self._finish(begun)
        except RocketAssetsError as error:
            return ImageDay(begun.day, None, error=error)

    def _finish(self, begun: _Begun) -> ImageDay:
        day, earlier = begun.day, begun.earlier
        outcomes = [(launch, fetch and _outcome(fetch)) for launch, fetch in begun.fetches]
        failed = [launch for launch, outcome in outcomes if isinstance(outcome, RocketAssetsError)]
        # What the very address of a launch gave before, or else what the launch showed before.
        known = {
            launch.id: picture for launch in failed if (picture := self._library.known(_entry(launch).source_url or ""))
        }
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
        entries, placed, fetched = list[Entry](), list[Entry](), list[tuple[str, Fetched]]()
        for launch, outcome in outcomes:
            entry, picture = _entry(launch), None
            if isinstance(outcome, RocketAssetsError):
                picture = known.get(launch.id)
                entry = replace(kept.get(launch.id, entry), launch_name=launch.name, reason=str(outcome))
            elif outcome:
                picture = outcome.picture
                fetched.append((entry.source_url or "", outcome))
            if picture:
                name = _file_name(launch, picture, taken)
                taken.add(name)
                entry = replace(entry, file=name, **asdict(picture))
                placed.append(entry)
            entries.append(entry)
        launches = [launch for launch, _ in begun.fetches]
        manifest = Manifest(day, data_version(launches), entries)
        self._commit(begun, manifest, placed)
        unavailable = [outcome for _, outcome in outcomes if isinstance(outcome, Unavailable)]
        return ImageDay(day, manifest, launches, fetched, _summary(day, unavailable))

    def counted(self, day: ImageDay) -> ImageDay:
        """A day with its bytes; those of a picture that several launches share count for the first that is given."""
        fetched = kept = 0
        for address, outcome in day.fetched:
            if outcome.bytes_fetched and address not in self._counted:
                fetched += outcome.bytes_fetched
            else:
                kept += outcome.picture.bytes
            self._counted.add(address)
        return replace(day, bytes_fetched=fetched, bytes_kept=kept)

    def _kept(self, day: date, entry: Entry | None) -> Entry | None:
        """An earlier entry whose picture is still good: beside its launch, or put there again from the pool."""
        if entry is None or entry.file is None or entry.picture is None:
            return None
        beside = keys.images_folder(day) + entry.file
        if holds(self._storage, beside, entry.picture):
            return entry
        if holds(self._storage, entry.picture.key, entry.picture):
            self._storage.copy(entry.picture.key, beside)
            return entry
        return None

    def _commit(self, begun: _Begun, manifest: Manifest, placed: list[Entry]) -> None:
        """Put new pictures into the day's folder, then the manifest, and remove what it does not name."""
        key, folder = keys.manifest_key(manifest.day), keys.images_folder(manifest.day)
        before = {entry.file: entry.sha256 for entry in begun.earlier.values()}
        earlier = begun.manifest
        if any(before.get(entry.file, entry.sha256) != entry.sha256 for entry in placed):
            # The old manifest must never stand beside another picture than it names.
            self._storage.delete([key])
            earlier = None
        for entry in placed:
            if entry.file and entry.picture:
                self._place(entry.picture, folder + entry.file, begun.stored)
        body = manifest.sealed()
        if body != earlier:
            self._storage.put(key, body)
        named = {key} | {folder + entry.file for entry in manifest.entries if entry.file}
        self._storage.delete([stored for stored in begun.stored if stored not in named])

    def _place(self, picture: Picture, key: str, stored: Mapping[str, Stored]) -> None:
        with self._looking:
            if key in stored and picture.key not in self._pool and (found := self._storage.find(picture.key)):
                self._pool[picture.key] = found
        self._storage.copy(picture.key, key, {**stored, **self._pool})


def _of_day(day: date, document: dict[str, Any], key: str, rows: str) -> list[Any]:
    """The rows of a document, after making sure that it is the one of this day."""
    if document.get("day") != day.isoformat() or not isinstance(document.get(rows), list):
        raise Damaged(f"{key} is not the file of {day}: it was written for {document.get('day')}. Bring its day again.")
    return document[rows]


def _manifest(day: date, body: bytes, key: str) -> Manifest:
    document = unseal(body, key)
    rows = _of_day(day, document, key, "entries")
    try:
        return Manifest(day, document["launches_version"], [Entry(**row) for row in rows])
    except (KeyError, TypeError) as error:
        raise Damaged(f"{key} was written by another version of this project; bring its day again.") from error


def _folders(days: Collection[date]) -> list[str]:
    """The folders to list for these days: those of the days, or of their years when the days are many."""
    if len(days) <= _FEW_DAYS:
        return [keys.images_folder(day) for day in days]
    return sorted({keys.images_of_year(day) for day in days})


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
