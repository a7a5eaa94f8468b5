"""A month as it is stored: which of its days are there, and what launches and pictures."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from rocket_assets import storage as keys
from rocket_assets.archive import Archive
from rocket_assets.bringing import bring_images
from rocket_assets.errors import Damaged
from rocket_assets.images import ImageLibrary
from rocket_assets.launches import parse
from rocket_assets.months import read_month
from rocket_assets.storage import Storage
from rocket_assets_tests.scripted_server import HERE

DECEMBER = date(2024, 12, 1)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(Storage(str(tmp_path)))


def brought(archive: Archive, day: date, *rows: dict[str, Any], pictures: bool = True) -> None:
    """Store launches at noon of a day, and what is known of their pictures."""
    net = f"{day}T12:00:00Z"
    archive.write_launches(day, "here", [parse({"name": "A | B", "net": net} | row, "here") for row in rows])
    if pictures:
        with ImageLibrary(archive.storage, api_url=HERE) as library:
            list(bring_images(archive, [day], library))


def test_a_month_has_the_launches_of_all_of_its_days_with_what_their_manifests_say(archive: Archive) -> None:
    brought(archive, date(2024, 11, 30), {"id": "before"})
    brought(archive, date(2024, 12, 31), {"id": "last"})
    brought(archive, date(2024, 12, 1), {"id": "first"}, {"id": "second"})
    brought(archive, date(2024, 12, 5))
    brought(archive, date(2025, 1, 1), {"id": "after"})
    month = read_month(archive, DECEMBER)
    assert (month.key, month.calendar_days) == ("2024-12", 31)
    assert [shown.launch.id for shown in month.launches] == ["first", "second", "last"]
    assert [shown.entry and shown.entry.launch_id for shown in month.launches] == ["first", "second", "last"]
    assert month.days == [date(2024, 12, 1), date(2024, 12, 5), date(2024, 12, 31)]


def test_a_launch_whose_pictures_are_to_follow_has_no_entry(archive: Archive) -> None:
    brought(archive, DECEMBER, {"id": "one"}, pictures=False)
    assert [(shown.launch.id, shown.entry) for shown in read_month(archive, DECEMBER).launches] == [("one", None)]


def test_a_month_of_which_nothing_is_stored_has_no_days(archive: Archive) -> None:
    assert read_month(archive, DECEMBER).days == []


@pytest.mark.parametrize("key", [keys.launches_key(DECEMBER), keys.manifest_key(DECEMBER)])
def test_a_damaged_day_is_no_empty_day(archive: Archive, key: str) -> None:
    brought(archive, DECEMBER, {"id": "one"})
    archive.storage.write(key, archive.storage.read(key).replace(b"one", b"two"))
    with pytest.raises(Damaged, match=key):
        read_month(archive, DECEMBER)
