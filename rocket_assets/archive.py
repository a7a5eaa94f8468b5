"""What a day is once it is stored: its launches in one file, its pictures in one folder with a manifest.

`Archive` writes and reads days in a `Storage`. Nothing in a file says when it was fetched: the same answers give the
same bytes.

How launches are come by is in `launch_library`, how pictures are in `bringing`; whether what is stored still holds is
in `verification`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

from rocket_assets import storage as keys
from rocket_assets.documents import digest, seal, unseal
from rocket_assets.errors import Damaged, Missing, RocketAssetsError, StorageFailed
from rocket_assets.images import Picture
from rocket_assets.launch_library import LaunchDay
from rocket_assets.launches import Launch, Refusal, in_order, parse
from rocket_assets.storage import Storage, Stored

NO_ADDRESS = "The Launch Library names no picture for this launch."

_FEW_DAYS = 4
"""So many folders of a bucket are listed one by one; for more, those of whole years."""


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

    @property
    def record_version(self) -> str:
        """What a record of these pictures says of them: for which launches they were brought, and which they are."""
        return f"{self.launches_version}-{self.data_version}"

    def sealed(self) -> bytes:
        """The manifest as it is stored."""
        return seal(
            {
                "day": self.day.isoformat(),
                "launches_version": self.launches_version,
                "entries": [asdict(entry) for entry in self.entries],
            }
        )

    @classmethod
    def unsealed(cls, day: date, body: bytes) -> Manifest:
        """The manifest of a day that was stored as these bytes.

        Raises:
            Damaged: they are not one.
        """
        key = keys.manifest_key(day)
        document = unseal(body, key)
        rows = _of_day(day, document, key, "entries")
        try:
            return cls(day, document["launches_version"], [Entry(**row) for row in rows])
        except (KeyError, TypeError) as error:
            raise Damaged(f"{key} was written by another version of this project; bring its day again.") from error


@dataclass(frozen=True)
class WrittenDay:
    """A day of launches as it is stored now, and whether that is new; or what kept it from being stored."""

    day: LaunchDay
    changed: bool
    error: RocketAssetsError | None = None


@dataclass(frozen=True)
class StoredLaunches:
    """The launches of a day, in order, as they are stored.

    `source` is the address that gave them; `refused` says why rows that it gave besides are no launches.
    """

    day: date
    launches: list[Launch]
    source: str
    refused: list[str]


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

    def list_days(self) -> tuple[set[date], set[date]]:
        """The days of which the launches are stored, and those of which the pictures are."""
        listed = (self.storage.list(prefix) for prefix in (keys.LAUNCHES, keys.IMAGES))
        found = [(stored.key, keys.day_of(stored.key)) for each in listed for stored in each]
        launches, pictures = set[date](), set[date]()
        for key, day in found:
            if day and key == keys.launches_key(day):
                launches.add(day)
            elif day and key == keys.manifest_key(day):
                pictures.add(day)
        return launches, pictures

    def read_day(self, day: date) -> StoredLaunches:
        """The launches of a day.

        Raises:
            Missing: the day has not been brought.
            Damaged: its file is not what was written.
        """
        key = keys.launches_key(day)
        document = unseal(self.storage.read(key), key)
        rows = _of_day(day, document, key, "results")
        launches = [parse(row, key) for row in rows]
        return StoredLaunches(day, launches, document.get("source", ""), document.get("refused", []))

    def read_launches(self, day: date) -> list[Launch]:
        """The stored launches of a day, in order; raises what `read_day` does."""
        return self.read_day(day).launches

    def read_refused(self, day: date) -> list[str]:
        """Why rows that the library gave for a stored day were refused; raises what `read_day` does."""
        return self.read_day(day).refused

    def read_manifest(self, day: date) -> Manifest:
        """What the folder of a day holds.

        Raises:
            Missing: the pictures of the day have not been brought.
            Damaged: the manifest is not what was written.
        """
        return Manifest.unsealed(day, self.storage.read(keys.manifest_key(day)))

    def list_images_of(self, day: date) -> dict[str, Stored]:
        """What lies in the folder of a day, by its key.

        Raises:
            StorageFailed: that cannot be said.
        """
        return {stored.key: stored for stored in self.storage.list(keys.images_folder(day))}

    def list_images(self, days: Collection[date]) -> dict[date, dict[str, Stored]]:
        """What lies in the folders of these days, by its key, in as few calls as may be.

        Days of which that cannot be said are left out: `list_images_of` says of each of them why.
        """
        found: dict[date, dict[str, Stored]] = {}
        if self.storage.is_folder or len(days) <= _FEW_DAYS:
            for day in days:
                with suppress(StorageFailed):
                    found[day] = self.list_images_of(day)
            return found
        for year in sorted({keys.of_year(keys.IMAGES, day) for day in days}):
            with suppress(StorageFailed):
                of_year = [day for day in days if keys.of_year(keys.IMAGES, day) == year]
                found |= self._list_images_of_year(year, of_year)
        return found

    def _list_images_of_year(self, year: str, days: Collection[date]) -> dict[date, dict[str, Stored]]:
        found: dict[date, dict[str, Stored]] = {day: {} for day in days}
        for stored in self.storage.list(year):
            if (day := keys.day_of(stored.key)) and day in found:
                found[day][stored.key] = stored
        return found


def _of_day(day: date, document: dict[str, Any], key: str, rows: str) -> list[Any]:
    """The rows of a document, after making sure that it is the one of this day."""
    if document.get("day") != day.isoformat() or not isinstance(document.get(rows), list):
        raise Damaged(f"{key} is not the file of {day}: it was written for {document.get('day')}. Bring its day again.")
    return document[rows]
