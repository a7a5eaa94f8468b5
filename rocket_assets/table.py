"""The launches of a month as a table: a Parquet file, one row a launch, for whoever would rather ask than look.

`COLUMNS` is the one place that says what the columns are called, what they hold and what that means: the schema of the
files is made from it, meanings included, and it is what the UI shows. What a row says is what the gallery says, from
the same properties of a launch and the same entry of the manifest. A null is what is not known.

The same launches give the same bytes: nothing here asks for a time or for chance, and a file is one row group. Another
version of the library that writes them may give other bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

from arro3.core import Array, DataType, Field, Schema, Table
from arro3.io import write_parquet

from rocket_assets import storage as keys
from rocket_assets.documents import digest
from rocket_assets.months import Month, Shown
from rocket_assets.storage import Storage


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Args:
        name: as SQL has it.
        type: what it holds, in a word for people: string, timestamp, double or int.
        meaning: one sentence for people.
        is_nullable: whether there are launches of which this is not known.
    """

    name: str
    type: str
    meaning: str
    is_nullable: bool = True


COLUMNS = (
    Column("id", "string", "The Launch Library's id of the launch, a UUID.", is_nullable=False),
    Column("name", "string", 'Usually "rocket | mission"; the id where the library gives no name.', is_nullable=False),
    Column(
        "net",
        "timestamp",
        'The planned or actual time of lift-off ("no earlier than"), in UTC; see net_precision.',
        is_nullable=False,
    ),
    Column(
        "net_precision",
        "string",
        "How exactly net is known (Minute, Day, Month, …): a coarse one is the last day of its period; null for most "
        "launches before 2021.",
    ),
    Column("status", "string", "Success, Partial Failure or Failure once it has flown; before that Go, TBD, Hold, …"),
    Column("provider", "string", "Who launches it."),
    Column("rocket", "string", "The full name of the launch vehicle."),
    Column("family", "string", "The family of the launch vehicle, the most general one; null where it has none."),
    Column("pad", "string", "The name of the launch pad."),
    Column("place", "string", "Where the pad is, usually with its country."),
    Column("latitude", "double", "Of the pad, in degrees, north positive."),
    Column("longitude", "double", "Of the pad, in degrees, east positive."),
    Column("mission", "string", "The name of the mission."),
    Column("type", "string", "What the mission is for: Communications, Earth Science, …"),
    Column("orbit", "string", "Where the mission goes: Low Earth Orbit, …"),
    Column("picture_key", "string", "Where in the storage the whole picture is; null where the launch has none."),
    Column("sha256", "string", "The digest of the picture, in hex; equal for launches that show the same one."),
    Column("width", "int", "Of the picture, in pixels."),
    Column("height", "int", "Of the picture, in pixels."),
    Column("credit", "string", "To whom the picture belongs; null where nobody says, and where there is no picture."),
    Column(
        "licence",
        "string",
        'What one may do with the picture; null where nobody says or there is no picture, and some are "Unknown".',
    ),
)

_TYPES = {
    "string": DataType.string(),
    "timestamp": DataType.timestamp("us", tz="UTC"),
    "double": DataType.float64(),
    "int": DataType.int64(),
}

# One entry of metadata for each field, and none for the file: of two, the library keeps no certain order.
_SCHEMA = Schema(
    [
        Field(column.name, _TYPES[column.type], nullable=column.is_nullable, metadata={"comment": column.meaning})
        for column in COLUMNS
    ]
)

RECIPE = digest([1, *(asdict(column) for column in COLUMNS)])[:16]
"""What decides how a table looks besides its days; who makes rows in another way raises the number."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class MadeTable:
    """What making the table of a month came to.

    Args:
        key: where it is.
        rows: how many launches are in it.
        changed: whether the file is another than before.
        bytes: its size.
        version: 16 hex digits of its sha256.
    """

    key: str
    rows: int
    changed: bool
    bytes: int
    version: str


def write_month(storage: Storage, month: Month) -> MadeTable:
    """Store the launches of a month as Parquet, by their NET; a month without launches has no rows and all columns."""
    rows = [_row(shown) for shown in sorted(month.launches, key=lambda shown: (shown.launch.net, shown.launch.id))]
    key, body = keys.table_key(month.first), _parquet(rows)
    changed = storage.write(key, body)
    return MadeTable(key, len(rows), changed, len(body), hashlib.sha256(body).hexdigest()[:16])


def _row(shown: Shown) -> dict[str, Any]:
    """A launch, by the names of the columns."""
    launch = shown.launch
    return {
        "id": launch.id,
        "name": launch.name,
        "net": (launch.net - _EPOCH) // timedelta(microseconds=1),
        "net_precision": launch.precision,
        "status": launch.status,
        "provider": launch.provider,
        "rocket": launch.rocket,
        "family": launch.family,
        "pad": launch.pad,
        "place": launch.place,
        "latitude": launch.latitude,
        "longitude": launch.longitude,
        "mission": launch.mission,
        "type": launch.mission_type,
        "orbit": launch.orbit,
    } | _picture(shown)


def _picture(shown: Shown) -> dict[str, Any]:
    """The stored picture of a launch; credit and licence are its, and not those of one that is named and not there."""
    entry = shown.entry
    if not (entry and entry.picture and entry.file):
        return dict.fromkeys(("picture_key", "sha256", "width", "height", "credit", "licence"))
    return {
        "picture_key": f"{keys.images_folder(shown.launch.day)}{entry.file}",
        "sha256": entry.picture.sha256,
        "width": entry.picture.width,
        "height": entry.picture.height,
        "credit": entry.credit,
        "licence": entry.licence,
    }


def _parquet(rows: Sequence[dict[str, Any]]) -> bytes:
    arrays = [_array([row[column.name] for row in rows], column.type) for column in COLUMNS]
    file = BytesIO()
    write_parquet(Table(arrays, schema=_SCHEMA), file, compression="zstd(3)")
    return file.getvalue()


def _array(values: list[Any], type: str) -> Array:
    if type == "timestamp":
        # The library makes no times from Python's, only from their microseconds.
        return Array(values, type=_TYPES["int"]).cast(_TYPES["timestamp"])
    if type == "string":
        # Half of a pair of surrogates, which no UTF-8 holds, is written as its escape.
        values = [value and value.encode("utf-8", "backslashreplace").decode() for value in values]
    return Array(values, type=_TYPES[type])
