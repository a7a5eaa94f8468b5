"""What the UI shows of a day or a month: counts, addresses, a table, and small previews of its pictures.

Numbers and texts come from the plain half; here they are given the form in which Dagster shows them.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from urllib.parse import quote

import dagster as dg

from rocket_assets import storage as keys
from rocket_assets.archive import Manifest, StoredLaunches
from rocket_assets.bringing import ImageDay
from rocket_assets.defs.environment import SETTINGS
from rocket_assets.errors import RocketAssetsError
from rocket_assets.gallery.site import MadeIndex, MadeMonth
from rocket_assets.images import ImageLibrary
from rocket_assets.launch_library import LaunchDay
from rocket_assets.launches import Launch
from rocket_assets.months import Month
from rocket_assets.storage import Storage
from rocket_assets.table import COLUMNS, MadeTable

INLINE = 999
"""Letters of Markdown that the UI shows at once; what is longer stands behind a link."""

# The bytes of a preview live in Dagster's event log: few, and of few pictures.
MAX_PREVIEWS = 6

# So that the names beside a preview leave it its room; a test holds the two together.
_LONGEST_NAME = 60


def of_launches(day: LaunchDay | StoredLaunches, storage: Storage) -> Mapping[str, dg.MetadataValue]:
    """A day of launches, as it is stored."""
    table = [
        dg.TableRecord(
            {
                "name": launch.name,
                "NET": f"{launch.net:%Y-%m-%d %H:%M:%S}Z",
                "precision": launch.precision or "",
                "status": launch.status or "",
                "rocket": launch.rocket or "",
                "pad": launch.pad or "",
            }
        )
        for launch in day.launches
    ]
    return {
        "launches": dg.MetadataValue.int(len(day.launches)),
        # Known to the month or the year only, and put on the last day of it.
        "not_dated_to_the_day": dg.MetadataValue.int(sum(not launch.is_dated for launch in day.launches)),
        "rows_refused": dg.MetadataValue.int(len(day.refused)),
        "dagster/partition_row_count": dg.MetadataValue.int(len(day.launches)),
        **_table("table", table),
        **_pages("at the Launch Library", day.launches),
        "gallery": place(storage, keys.gallery_page_key(day.day)),
        "path": dg.MetadataValue.path(storage.address(keys.launches_key(day.day))),
        "source": dg.MetadataValue.url(day.source),
    }


def of_asking(day: LaunchDay, *, changed: bool) -> Mapping[str, dg.MetadataValue]:
    """What it took to bring the launches of a day, and whether anything new came of it."""
    return {"api_requests": dg.MetadataValue.int(day.requests), "changed": dg.MetadataValue.bool(changed)}


def of_images(manifest: Manifest, library: ImageLibrary, storage: Storage) -> Mapping[str, dg.MetadataValue]:
    """The pictures of a day, as they are stored."""
    table = [
        dg.TableRecord(
            {
                "launch": entry.launch_name,
                "credit": entry.credit or "",
                "licence": entry.licence or "",
                "size": f"{entry.width} x {entry.height}" if entry.file else "",
                "bytes": entry.bytes or 0,
                "picture": entry.file or "",
                "why not": entry.reason or "",
            }
        )
        for entry in manifest.entries
    ]
    pictures = sum(entry.file is not None for entry in manifest.entries)
    return {
        **_previews(manifest, library),
        "launches": dg.MetadataValue.int(len(manifest.entries)),
        "pictures": dg.MetadataValue.int(pictures),
        "refused": dg.MetadataValue.int(len(manifest.refused)),
        "dagster/partition_row_count": dg.MetadataValue.int(pictures),
        **_table("table", table),
        "gallery": place(storage, keys.gallery_page_key(manifest.day)),
        "path": dg.MetadataValue.path(storage.address(keys.images_folder(manifest.day))),
    }


def of_fetching(day: ImageDay) -> Mapping[str, dg.MetadataValue]:
    """What it took to bring the pictures of a day."""
    return {
        "bytes_fetched": dg.MetadataValue.int(day.bytes_fetched),
        "bytes_kept": dg.MetadataValue.int(day.bytes_kept),
    }


def of_gallery_month(made: MadeMonth, month: Month, storage: Storage) -> Mapping[str, dg.MetadataValue]:
    """The page of a month."""
    return {
        "launches": dg.MetadataValue.int(made.launches),
        "pictures": dg.MetadataValue.int(made.pictures),
        "thumbnails_made": dg.MetadataValue.int(made.thumbnails),
        "kept_back_by_licence": dg.MetadataValue.int(made.not_shown),
        **_stored_days(month),
        "dagster/partition_row_count": dg.MetadataValue.int(made.launches),
        "changed": dg.MetadataValue.bool(made.changed),
        **({"unreadable": dg.MetadataValue.json(made.unreadable)} if made.unreadable else {}),
        "gallery": place(storage, made.key),
    }


def of_gallery_index(made: MadeIndex, storage: Storage) -> Mapping[str, dg.MetadataValue]:
    """The index of the gallery and its page of the next launches."""
    return {
        "months": dg.MetadataValue.int(made.months),
        "launches": dg.MetadataValue.int(made.launches),
        "next_launches": dg.MetadataValue.int(made.planned),
        "changed": dg.MetadataValue.bool(made.changed),
        "gallery": place(storage, keys.GALLERY_INDEX),
        "next launches": place(storage, keys.GALLERY_NEXT),
    }


def of_table_month(made: MadeTable, month: Month, storage: Storage) -> Mapping[str, dg.MetadataValue]:
    """The file of a month of the table."""
    return {
        "dagster/partition_row_count": dg.MetadataValue.int(made.rows),
        **_stored_days(month),
        "bytes": dg.MetadataValue.int(made.bytes),
        "changed": dg.MetadataValue.bool(made.changed),
        "path": dg.MetadataValue.path(storage.address(made.key)),
    }


def columns() -> dg.TableSchema:
    """The columns of the table, with what they mean."""
    return dg.TableSchema(
        [
            dg.TableColumn(
                column.name,
                column.type,
                column.meaning,
                dg.TableColumnConstraints(nullable=column.is_nullable, unique=column.name == "id"),
            )
            for column in COLUMNS
        ]
    )


def _stored_days(month: Month) -> dict[str, dg.MetadataValue]:
    return {"days": dg.MetadataValue.text(f"{len(month.days)} of {month.calendar_days}")}


def _table(name: str, records: list[dg.TableRecord]) -> dict[str, dg.MetadataValue]:
    # Without records Dagster cannot tell the columns.
    return {name: dg.MetadataValue.table(records)} if records else {}


def place(storage: Storage, key: str) -> dg.MetadataValue:
    """Where a person finds a page of the gallery: a link where it is served, or else its path."""
    if SETTINGS.gallery_url:
        return dg.MetadataValue.url(f"{SETTINGS.gallery_url}{key}")
    return dg.MetadataValue.path(storage.address(key))


def gallery_door() -> dg.MetadataValue:
    """How one gets to the gallery from the page of an asset."""
    if SETTINGS.gallery_url:
        return dg.MetadataValue.url(f"{SETTINGS.gallery_url}{keys.GALLERY_INDEX}")
    return dg.MetadataValue.text("`rocket-assets gallery` says where it is, and opens it.")


def _pages(name: str, launches: Iterable[Launch]) -> dict[str, dg.MetadataValue]:
    """A link to the page that the API has of each launch."""
    links = [f"[{_plain(launch.name)}]({page})" for launch in launches if (page := _linked(launch.api_page))]
    return {name: dg.MetadataValue.md("\n\n".join(links))} if links else {}


def _linked(address: str | None) -> str | None:
    """An address as it can stand in Markdown."""
    return address and quote(address, safe="/:?&=%.-_~", errors="replace")


def _plain(text: str) -> str:
    """A short text from the API, to the letter, though some of its signs mean something in Markdown or HTML."""
    short = " ".join(text.split())[:_LONGEST_NAME].strip()
    return re.sub(r"[\[\]()<>`*_!\\&~]", lambda sign: f"&#{ord(sign[0])};", short)


def _previews(manifest: Manifest, library: ImageLibrary) -> dict[str, dg.MetadataValue]:
    """Each picture on its own, because Markdown is shown at once only if it is short."""
    shown = dict[str, dg.MetadataValue]()
    pictured = [(entry, picture) for entry in manifest.entries if (picture := entry.picture)]
    for entry, picture in pictured[:MAX_PREVIEWS]:
        name, credit = _plain(entry.launch_name), _plain(entry.credit or "credit unknown")
        try:
            small = b64encode(library.preview(picture)).decode("ascii")
        except RocketAssetsError:
            continue
        # Its name stands below it, and need not be read out twice.
        text = f"![](data:image/webp;base64,{small})\n\n{name}\n\n{credit}"
        shown[f"picture {len(shown) + 1}"] = dg.MetadataValue.md(text)
    return shown
