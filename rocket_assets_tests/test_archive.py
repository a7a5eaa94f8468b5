"""What a day of launches is once it is stored, and what a day of pictures."""

from __future__ import annotations

import json
import uuid
from datetime import date
from typing import Any

import pytest

from rocket_assets import storage as keys
from rocket_assets.archive import Archive
from rocket_assets.documents import seal
from rocket_assets.errors import Damaged
from rocket_assets.launches import Launch, parse
from rocket_assets.storage import Storage

DAY = date(2026, 3, 5)
NEXT = date(2026, 3, 6)
SOURCE = "https://library.example/launches/"


def launch(
    number: int | str, url: str | None = None, *, name: str | None = None, day: date = DAY, hour: int = 0
) -> Launch:
    """A launch of a day; a number is an id in the API's form."""
    launch_id = str(uuid.UUID(int=number << 96)) if isinstance(number, int) else number
    image: dict[str, Any] | None = None
    if url is not None:
        licence = {"name": "CC BY 4.0", "link": "https://cc.example/by"}
        image = {"image_url": url, "credit": f"Credit {number}", "license": licence}
    given_name = f"Rocket {number} | Payload" if name is None else name
    return parse({"id": launch_id, "name": given_name, "net": f"{day}T{hour:02}:00:00Z", "image": image}, SOURCE)


@pytest.fixture
def archive(storage: Storage) -> Archive:
    """An empty archive in a folder."""
    return Archive(storage)


# Launches


def test_a_day_of_launches_is_one_file_in_order_with_its_day_source_and_count(archive: Archive) -> None:
    late, early, same = launch(1, hour=9), launch(3, hour=2), launch(2, hour=9)
    assert archive.write_launches(DAY, SOURCE, [late, same, early]) is True
    document = json.loads(archive.storage.read("launches/2026/2026-03-05.json"))
    assert document.pop("sha256")
    assert document == {
        "day": "2026-03-05",
        "source": SOURCE,
        "count": 3,
        "results": [early.row, late.row, same.row],
    }
    assert archive.read_launches(DAY) == [early, late, same]


def test_the_same_launches_in_another_order_change_nothing(archive: Archive) -> None:
    launches = [launch(n, hour=n) for n in range(5)]
    archive.write_launches(DAY, SOURCE, launches)
    assert archive.write_launches(DAY, SOURCE, reversed(launches)) is False
    assert archive.write_launches(DAY, SOURCE, launches[1:]) is True


def test_a_day_without_launches_is_stored_as_one(archive: Archive) -> None:
    assert archive.write_launches(DAY, SOURCE, []) is True
    assert archive.read_launches(DAY) == []


def test_what_the_api_gave_is_kept_whole(archive: Archive) -> None:
    row = {"id": "x", "net": f"{DAY}T00:00:00Z", "unknown": {"é": [1, 2.5, None, "☄\ud800"]}}
    archive.write_launches(DAY, SOURCE, [parse(row, SOURCE)])
    assert archive.read_launches(DAY)[0].row == row


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        seal({}),
        seal({"day": "2026-03-06", "source": SOURCE, "count": 0, "results": []}),
        seal({"day": "2026-03-05", "source": SOURCE, "count": 0}),
    ],
    ids=["empty", "unsealed", "nothing in it", "of another day", "without launches"],
)
def test_a_file_that_is_not_that_days_launches_is_damaged(archive: Archive, body: bytes) -> None:
    archive.storage.write(keys.launches_key(DAY), body)
    with pytest.raises(Damaged, match=r"launches/2026/2026-03-05\.json.*[Bb]ring its day again"):
        archive.read_launches(DAY)


@pytest.mark.parametrize(
    "document",
    [
        {"day": "2026-03-06", "launches_version": "x", "entries": []},
        {"day": "2026-03-05", "entries": []},
        {"day": "2026-03-05", "launches_version": "x", "entries": [{"launch_id": "a"}]},
        {"day": "2026-03-05", "launches_version": "x", "entries": ["a"]},
    ],
    ids=["of another day", "without a version", "with half an entry", "with something else"],
)
def test_a_file_that_is_not_that_days_manifest_is_damaged(archive: Archive, document: dict[str, Any]) -> None:
    archive.storage.write(keys.manifest_key(DAY), seal(document))
    with pytest.raises(Damaged, match=r"images/2026/2026-03-05/manifest\.json"):
        archive.read_manifest(DAY)
