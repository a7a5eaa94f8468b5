"""What the UI shows of a day: counts, addresses, a table of its launches, small previews of its pictures.

Numbers and texts come from the plain half; here they are given the form in which Dagster shows them.
"""

import re
from base64 import b64encode
from collections.abc import Mapping

import dagster as dg

from rocket_assets import storage as keys
from rocket_assets.archive import ImageDay, Manifest
from rocket_assets.errors import RocketAssetsError, shown
from rocket_assets.images import ImageLibrary
from rocket_assets.launch_library import LaunchDay
from rocket_assets.storage import Storage

# The bytes of a preview live in Dagster's event log: two kilobytes each, and few of them.
PREVIEW_PIXELS = 160
MAX_PREVIEWS = 6


def of_launches(brought: LaunchDay, storage: Storage, *, changed: bool) -> Mapping[str, dg.MetadataValue]:
    """A day of launches."""
    table = [
        dg.TableRecord(
            {
                "name": launch.name,
                "NET": f"{launch.net:%Y-%m-%d %H:%M:%S}Z",
                "precision": launch.precision or "",
                "status": launch.status or "",
                "rocket": launch.rocket or "",
                "picture": shown(launch.image.url) if launch.image else "",
            }
        )
        for launch in brought.launches
    ]
    return {
        "launches": dg.MetadataValue.int(len(brought.launches)),
        # Known to the month or the year only, and put on the last day of it.
        "not_dated_to_the_day": dg.MetadataValue.int(sum(not launch.is_dated for launch in brought.launches)),
        "rows_refused": dg.MetadataValue.int(len(brought.refused)),
        "dagster/partition_row_count": dg.MetadataValue.int(len(brought.launches)),
        "api_requests": dg.MetadataValue.int(brought.requests),
        "changed": dg.MetadataValue.bool(changed),
        **_table("table", table),
        "path": dg.MetadataValue.path(storage.address(keys.launches_key(brought.day))),
        "source": dg.MetadataValue.url(brought.source),
    }


def of_images(
    brought: ImageDay, manifest: Manifest, library: ImageLibrary, storage: Storage
) -> Mapping[str, dg.MetadataValue]:
    """The pictures of a day."""
    table = [
        dg.TableRecord(
            {
                "launch": entry.launch_name,
                "picture": entry.file or "",
                "format": entry.format or "",
                "size": f"{entry.width} x {entry.height}" if entry.file else "",
                "bytes": entry.bytes or 0,
                "credit": entry.credit or "",
                "licence": entry.licence or "",
                "why not": entry.reason or "",
            }
        )
        for entry in manifest.entries
    ]
    pictures = sum(entry.file is not None for entry in manifest.entries)
    return {
        "launches": dg.MetadataValue.int(len(manifest.entries)),
        "pictures": dg.MetadataValue.int(pictures),
        "refused": dg.MetadataValue.int(len(manifest.refused)),
        "dagster/partition_row_count": dg.MetadataValue.int(pictures),
        "bytes_fetched": dg.MetadataValue.int(brought.bytes_fetched),
        "bytes_kept": dg.MetadataValue.int(brought.bytes_kept),
        **_previews(manifest, library),
        **_table("table", table),
        "path": dg.MetadataValue.path(storage.address(keys.images_folder(brought.day))),
    }


def _table(name: str, records: list[dg.TableRecord]) -> dict[str, dg.MetadataValue]:
    # Without records Dagster cannot tell the columns.
    return {name: dg.MetadataValue.table(records)} if records else {}


def _plain(text: str) -> str:
    """A text from the API without the signs that mean something in Markdown or HTML."""
    return re.sub(r"[\[\]()<>`*_!\\\s]+", " ", text).strip()


def _previews(manifest: Manifest, library: ImageLibrary) -> dict[str, dg.MetadataValue]:
    shown = []
    pictures = [(entry, entry.picture) for entry in manifest.entries]
    for entry, picture in [(entry, picture) for entry, picture in pictures if picture][:MAX_PREVIEWS]:
        try:
            small = b64encode(library.thumbnail(picture, PREVIEW_PIXELS)).decode("ascii")
        except RocketAssetsError:
            continue
        name, credit = _plain(entry.launch_name), _plain(entry.credit or "credit unknown")
        shown.append(f"![{name}](data:image/webp;base64,{small})\n\n{name} ({credit})")
    return {"previews": dg.MetadataValue.md("\n\n".join(shown))} if shown else {}
