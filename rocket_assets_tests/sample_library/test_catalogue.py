"""What the catalogue holds, and that its rows have the shape of Launch Library 2 version 2.3.0."""

import uuid
from typing import Any

import pytest

from rocket_assets.sample_library import catalogue, pictures
from rocket_assets.sample_library.modes import shorten

BASE_URL = "http://127.0.0.1:8123"
ROWS = catalogue.launches(BASE_URL)

LIST_KEYS = {
    "id", "url", "name", "response_mode", "slug", "launch_designator", "status", "last_updated", "net",
    "net_precision", "window_end", "window_start", "image", "infographic",
}  # fmt: skip
NORMAL_KEYS = LIST_KEYS | {
    "probability", "weather_concerns", "failreason", "hashtag", "launch_service_provider", "rocket", "mission", "pad",
    "webcast_live", "program", "orbital_launch_attempt_count", "location_launch_attempt_count",
    "pad_launch_attempt_count", "agency_launch_attempt_count", "orbital_launch_attempt_count_year",
    "location_launch_attempt_count_year", "pad_launch_attempt_count_year", "agency_launch_attempt_count_year",
}  # fmt: skip
DETAILED_KEYS = NORMAL_KEYS | {
    "flightclub_url", "updates", "info_urls", "vid_urls", "timeline", "pad_turnaround", "mission_patches",
}  # fmt: skip
AGENCY_KEYS = {"response_mode", "id", "url", "name", "abbrev", "type"}
CONFIGURATION_KEYS = {"response_mode", "id", "url", "name", "families", "full_name", "variant"}
IMAGE_KEYS = {"id", "name", "image_url", "thumbnail_url", "credit", "license", "single_use", "variants"}
MISSION_KEYS = {"id", "name", "type", "description", "image", "orbit", "agencies", "info_urls", "vid_urls"}
PAD_KEYS = {
    "id", "url", "active", "agencies", "name", "image", "description", "info_url", "wiki_url", "map_url", "latitude",
    "longitude", "country", "map_image", "total_launch_count", "orbital_launch_attempt_count", "fastest_turnaround",
    "location",
}  # fmt: skip
LOCATION_KEYS = {
    "response_mode", "id", "url", "name", "celestial_body", "active", "country", "description", "image", "map_image",
    "longitude", "latitude", "timezone_name", "total_launch_count", "total_landing_count",
}  # fmt: skip


def on(day: str) -> list[dict[str, Any]]:
    return [row for row in ROWS if row["net"].startswith(day)]


def named(part: str) -> dict[str, Any]:
    (row,) = (row for row in ROWS if part in row["name"])
    return row


def files(rows: list[dict[str, Any]]) -> list[str]:
    return [row["image"]["image_url"].rpartition("/")[2] for row in rows if row["image"]]


FORTNIGHT = [row for row in ROWS if "2024-12-01" <= row["net"] < "2024-12-15"]


def test_the_catalogue_holds_at_least_120_launches_from_1957_to_2025() -> None:
    assert len(ROWS) >= 120
    assert ROWS[0]["net"] == "1957-10-04T19:28:34Z"
    assert {int(row["net"][:4]) for row in ROWS} >= {1957, *range(2020, 2026)}
    assert ROWS[-1]["net"] < "2026"


def test_the_first_fortnight_of_december_2024_holds_its_14_launches() -> None:
    days = [int(row["net"][8:10]) for row in FORTNIGHT]
    assert days == [3, 4, 4, 4, 5, 5, 5, 5, 5, 6, 8, 12, 13, 14]


@pytest.mark.parametrize(("day", "count"), [("2022-08-04", 6), ("2024-12-05", 5), ("1975-07-15", 2), ("2024-12-07", 0)])
def test_a_day_holds_as_many_launches_as_it_really_did(day: str, count: int) -> None:
    assert len(on(day)) == count


@pytest.mark.parametrize("part", ["| Sputnik 1", "| Apollo 11", "STS-51-L", "| Péole", "Proton / UR-500 K/D |"])
def test_a_famous_launch_is_in_the_catalogue_once(part: str) -> None:
    assert named(part)


def test_the_fortnight_has_every_kind_of_picture() -> None:
    held = files(FORTNIGHT)
    assert len({pictures.table()[file].format for file in held}) >= 3
    assert len(held) > len(set(held)), "some launches share a picture"
    assert "pslv_xl.jpg" in held, "one suffix lies about its bytes"
    assert named("Fakhr-1")["image"] is None


def test_some_launches_stand_at_midnight() -> None:
    assert sum(row["net"].endswith("T00:00:00Z") for row in ROWS) >= 3


def test_launches_of_before_2021_mostly_have_no_precision() -> None:
    assert {row["net_precision"] is None for row in ROWS if row["net"] < "2020"} == {True}
    assert {row["net_precision"]["abbrev"] for row in FORTNIGHT} == {"SEC", "MIN"}


def test_the_statuses_are_the_three_final_ones() -> None:
    assert {(row["status"]["id"], row["status"]["abbrev"]) for row in ROWS} == {
        (3, "Success"),
        (4, "Failure"),
        (7, "Partial Failure"),
    }


def test_ids_are_unique_and_always_the_same() -> None:
    again = [row["id"] for row in catalogue.launches("http://127.0.0.1:1")]
    assert [row["id"] for row in ROWS] == again
    assert len(set(again)) == len(again)
    assert all(str(uuid.UUID(one)) == one for one in again)


@pytest.mark.parametrize(("mode", "keys"), [("list", LIST_KEYS), ("normal", NORMAL_KEYS), ("detailed", DETAILED_KEYS)])
def test_a_row_has_exactly_the_keys_of_its_mode(mode: str, keys: set[str]) -> None:
    for row in ROWS:
        short = shorten(row, mode)
        assert set(short) == keys
        assert short["response_mode"] == mode


def test_what_is_nested_in_a_normal_row_has_exactly_its_keys() -> None:
    for row in (shorten(row, "normal") for row in ROWS):
        assert set(row["launch_service_provider"]) == AGENCY_KEYS
        assert set(row["rocket"]) == {"id", "configuration"}
        assert set(row["rocket"]["configuration"]) == CONFIGURATION_KEYS
        assert all(
            set(family) == {"response_mode", "id", "name"} for family in row["rocket"]["configuration"]["families"]
        )
        assert set(row["mission"]) == MISSION_KEYS
        assert set(row["pad"]) == PAD_KEYS
        assert set(row["pad"]["location"]) == LOCATION_KEYS


def test_shortening_leaves_the_detailed_row_as_it_was() -> None:
    shorten(ROWS[0], "list")
    assert set(ROWS[0]) == DETAILED_KEYS
    assert "country" in ROWS[0]["launch_service_provider"]


def test_an_image_says_where_it_lies_whose_it_is_and_what_may_be_done_with_it() -> None:
    images = [row["image"] for row in ROWS if row["image"]]
    assert all(set(image) == IMAGE_KEYS for image in images)
    assert all(image["image_url"].startswith(f"{BASE_URL}/media/images/") for image in images)
    assert {(image["credit"], image["license"]["name"]) for image in images} == {
        ("rocket_assets sample library", "CC0 1.0"),
        (None, "Unknown"),
    }


def test_every_picture_belongs_to_a_launch_and_every_launch_to_a_drawn_picture() -> None:
    assert set(files(ROWS)) == set(pictures.table())


def test_the_window_is_round_the_time_and_the_update_after_it() -> None:
    for row in ROWS:
        assert row["window_start"] <= row["net"] <= row["window_end"] < row["last_updated"]


def test_slugs_are_plain_and_short() -> None:
    assert named("Péole")["slug"] == "diamant-b-peole"
    assert max(len(row["slug"]) for row in ROWS) <= 50


def test_running_numbers_count_from_the_first_launch() -> None:
    assert ROWS[0]["orbital_launch_attempt_count"] == 1
    orbital = [row["orbital_launch_attempt_count"] for row in ROWS if row["orbital_launch_attempt_count"]]
    assert orbital == list(range(1, len(orbital) + 1))
    assert ROWS[-1]["launch_service_provider"]["total_launch_count"] >= 1
