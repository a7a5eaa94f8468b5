"""How the pictures of days are brought: fetched all at once, put beside their launches, and committed day by day.

The order of writing is what makes a kill harmless: a picture goes into the pool, then beside its launch, and last comes
the manifest, which names only what is already there. What it no longer names is removed from the folder, never from the
pool.

What a day is once it is stored is in `archive`, how a single picture is fetched in `images`.
"""

from __future__ import annotations

import hashlib
import re
import time
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import asdict, dataclass, field, replace
from datetime import date

from rocket_assets import storage as keys
from rocket_assets.archive import NO_ADDRESS, Archive, Entry, Manifest
from rocket_assets.errors import Damaged, Missing, NotAPicture, Refused, RocketAssetsError, Unavailable, shown
from rocket_assets.images import Fetched, ImageLibrary, Picture, holds
from rocket_assets.launches import Launch, data_version
from rocket_assets.storage import Stored

_FRESH_SECONDS = 10.0
"""In a bucket, what was seen of a day counts for so long; in a folder it costs nothing to look again."""


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


def bring_images(
    archive: Archive, days: Iterable[date], library: ImageLibrary, *, fresh_seconds: float = _FRESH_SECONDS
) -> Iterator[ImageDay]:
    """Bring the pictures of these days, all at once, and give each day as soon as it is whole.

    A day that fails does not stop the others: its `ImageDay` holds the error. One whose pictures are long in coming
    does not hold them up.
    """
    days = list(days)
    bringing = _Bringing(archive, library, archive.list_images(days), fresh_seconds)
    begun = list(archive.storage.each(bringing.begin, days))
    counted = set[str]()
    for day in archive.storage.each(bringing.finish, _as_they_come(begun)):
        yield _with_bytes(day, counted)


_Fetch = tuple[Launch, Future[Fetched] | None]


@dataclass(frozen=True)
class _Folder:
    """What lay in the folder of a day when it was looked at: files by their key, and its manifest if that was whole."""

    stored: Mapping[str, Stored]
    manifest: bytes | None
    earlier: Mapping[str, Entry]
    at: float


@dataclass(frozen=True)
class _Begun:
    """A day whose pictures are being fetched, or what kept it from that."""

    day: date
    folder: _Folder | None = None
    fetches: list[_Fetch] = field(default_factory=list)
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

    def __init__(
        self,
        archive: Archive,
        library: ImageLibrary,
        listed: Mapping[date, Mapping[str, Stored]],
        fresh_seconds: float,
    ) -> None:
        self._archive = archive
        self._storage = archive.storage
        self._library = library
        self._listed = listed
        self._fresh_seconds = fresh_seconds
        self._pool: dict[str, Stored] = {}

    def begin(self, day: date) -> _Begun:
        """Read what is stored of a day, and begin to fetch its pictures."""
        try:
            launches = self._archive.read_launches(day)
            folder = self._look(day, self._listed.get(day))
        except Missing:
            missing = f"The launches of {day} are not in {self._storage.uri}: bring them first."
            return _Begun(day, error=Missing(missing))
        except RocketAssetsError as error:
            return _Begun(day, error=error)
        fetches = [(launch, self._library.fetch(launch.image.url) if launch.image else None) for launch in launches]
        return _Begun(day, folder, fetches)

    def _look(self, day: date, listed: Mapping[str, Stored] | None = None) -> _Folder:
        at = time.monotonic()
        stored = self._archive.list_images_of(day) if listed is None else listed
        manifest, earlier = self._earlier(day) if keys.manifest_key(day) in stored else (None, {})
        return _Folder(stored, manifest, earlier, at)

    def _look_again(self, day: date, before: _Folder) -> _Folder:
        """What lies in the folder now: while pictures were long in coming, another run may have brought the day."""
        if not self._storage.is_folder and time.monotonic() - before.at < self._fresh_seconds:
            return before
        return self._look(day)

    def _earlier(self, day: date) -> tuple[bytes | None, dict[str, Entry]]:
        try:
            body = self._storage.read(keys.manifest_key(day))
            return body, {entry.launch_id: entry for entry in Manifest.unsealed(day, body).entries}
        except (Missing, Damaged):
            return None, {}

    def finish(self, begun: _Begun) -> ImageDay:
        """Put the pictures of a day beside its launches, and commit it."""
        if not begun.folder:
            return ImageDay(begun.day, None, error=begun.error)
        try:
            return self._finish(begun, self._look_again(begun.day, begun.folder))
        except RocketAssetsError as error:
            return ImageDay(begun.day, None, error=error)

    def _finish(self, begun: _Begun, folder: _Folder) -> ImageDay:
        day, earlier = begun.day, folder.earlier
        outcomes = [(launch, fetch and _outcome(launch, fetch)) for launch, fetch in begun.fetches]
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
        self._commit(folder, manifest, placed)
        unavailable = [outcome for _, outcome in outcomes if isinstance(outcome, Unavailable)]
        return ImageDay(day, manifest, launches, fetched, _summary(day, unavailable))

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

    def _commit(self, folder: _Folder, manifest: Manifest, placed: list[Entry]) -> None:
        """Put new pictures into the day's folder, then the manifest, and remove what it does not name."""
        key, beside = keys.manifest_key(manifest.day), keys.images_folder(manifest.day)
        before = {entry.file: entry.sha256 for entry in folder.earlier.values()}
        if any(before.get(entry.file, entry.sha256) != entry.sha256 for entry in placed):
            # The old manifest must never stand beside another picture than it names.
            self._storage.delete([key])
        for entry in placed:
            if entry.file and entry.picture:
                self._place(entry.picture, beside + entry.file, folder.stored)
        body = manifest.sealed()
        if body != folder.manifest:
            self._storage.put(key, body)
        named = {key} | {beside + entry.file for entry in manifest.entries if entry.file}
        self._storage.delete([stored for stored in folder.stored if stored not in named])

    def _place(self, picture: Picture, key: str, stored: Mapping[str, Stored]) -> None:
        # Two days that show it may both look for it at the same moment, which does no harm.
        if key in stored and picture.key not in self._pool and (found := self._storage.find(picture.key)):
            self._pool[picture.key] = found
        self._storage.copy(picture.key, key, {**stored, **self._pool})


def _with_bytes(day: ImageDay, counted: set[str]) -> ImageDay:
    """A day with its bytes; those of a picture that several launches share count for the first that is given."""
    fetched = kept = 0
    for address, outcome in day.fetched:
        if outcome.bytes_fetched and address not in counted:
            fetched += outcome.bytes_fetched
        else:
            kept += outcome.picture.bytes
        counted.add(address)
    return replace(day, bytes_fetched=fetched, bytes_kept=kept)


def _outcome(launch: Launch, fetch: Future[Fetched]) -> Fetched | Refused | NotAPicture | Unavailable:
    """What a fetch came to; an error of the storage is raised, because it concerns the whole day."""
    try:
        return fetch.result()
    except (Refused, NotAPicture, Unavailable) as error:
        return error
    except RocketAssetsError:
        raise
    except Exception as error:  # noqa: BLE001 - what nobody has thought of is the trouble of one picture, not of a run
        address = shown(launch.image.url if launch.image else "")
        unforeseen = Unavailable(f"{address} led to what we did not foresee: {type(error).__name__}: {error}.")
        unforeseen.__cause__ = error
        return unforeseen


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
