"""What a launch is read from and what it says, in each dialect of the API."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocket_assets.errors import UnexpectedAnswer
from rocket_assets.launches import (
    Change,
    ImageReference,
    Launch,
    Standing,
    at,
    cheapest_ranges,
    data_version,
    in_order,
    parse,
)
from rocket_assets.launches import changed as changes_since

Row = dict[str, Any]

SOURCE = "https://library.example/2.3.0/launches/?net__gte=2026-03-05"
PICTURE = "https://media.example/images/falcon_image_20260101000000.jpeg"

NORMAL: Row = {
    "id": "0f9f6a3c-2b53-4c8e-9a4e-3b6e5f7c1d20",
    "name": "Falcon 9 Block 5 | Starlink Group 1-1",
    "slug": "falcon-9-block-5-starlink-group-1-1",
    "launch_designator": "2026-041",
    "status": {"id": 3, "name": "Launch Successful", "abbrev": "Success", "description": "It flew."},
    "last_updated": "2026-03-05T04:00:00Z",
    "net": "2026-03-05T02:10:00Z",
    "net_precision": {"id": 1, "name": "Minute", "abbrev": "MIN"},
    "window_start": "2026-03-05T02:10:00Z",
    "window_end": "2026-03-05T04:10:00Z",
    "image": {
        "id": 1,
        "name": "Falcon",
        "image_url": PICTURE,
        "thumbnail_url": f"{PICTURE}.small",
        "credit": "A. Photographer",
        "license": {"id": 3, "name": "CC BY-NC 2.0", "priority": 2, "link": "https://licences.example/by-nc"},
        "single_use": False,
        "variants": [],
    },
    "infographic": None,
    "probability": 90,
    "weather_concerns": None,
    "holdreason": "",
    "failreason": "",
    "webcast_live": False,
    "launch_service_provider": {"id": 121, "name": "SpaceX", "total_launch_count": 600, "successful_launches": 590},
    "rocket": {
        "id": 8000,
        "configuration": {"id": 164, "name": "Falcon 9", "full_name": "Falcon 9 Block 5", "total_launch_count": 550},
    },
    "mission": {
        "id": 7000,
        "name": "Starlink Group 1-1",
        "type": "Communications",
        "description": "Some satellites.",
        "orbit": {"id": 8, "name": "Low Earth Orbit", "abbrev": "LEO"},
        "agencies": [{"id": 121, "total_launch_count": 600}],
    },
    "pad": {
        "id": 80,
        "name": "Space Launch Complex 40",
        "total_launch_count": 300,
        "orbital_launch_attempt_count": 300,
        "location": {"id": 12, "name": "Cape Canaveral", "total_launch_count": 1000, "total_landing_count": 60},
    },
    "orbital_launch_attempt_count": 7600,
    "pad_launch_attempt_count_year": 20,
    "agency_launch_attempt_count": 601,
}

LIST_2_2_0: Row = {
    "id": "ab-22",
    "name": "Falcon 9 | X",
    "net": "2026-03-05T02:10:00Z",
    "status": {"id": 1, "name": "Go for Launch", "abbrev": "Go"},
    "lsp_name": "SpaceX",
    "mission": "X",
    "mission_type": "Communications",
    "pad": "SLC-40",
    "location": "Cape Canaveral",
    "orbit": "LEO",
    "image": PICTURE,
}

NORMAL_2_0_0: Row = {
    "id": "ab-20",
    "name": "Falcon 9 | X",
    "net": "2026-03-05T02:10:00Z",
    "status": {"id": 1, "name": "Go"},
    "tbdtime": False,
    "tbddate": False,
    "holdreason": "",
    "mission": {"name": "X", "type": "Communications", "description": "", "orbit": {"name": "LEO"}},
    "pad": {"name": "SLC-40", "location": {"name": "Cape Canaveral"}},
    "image": PICTURE,
}


def launch(**fields: Any) -> Launch:
    return parse(NORMAL | fields, SOURCE)


def changed(row: Row, path: str, value: Any) -> Row:
    """A copy of a row in which something else lies at a dotted path."""
    copied = copy.deepcopy(row)
    *way, last = path.split(".")
    inner = copied
    for name in way:
        inner = inner[name]
    assert inner[last] != value
    inner[last] = value
    return copied


# Pictures, words and names


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (PICTURE, ImageReference(PICTURE)),
        (
            NORMAL["image"],
            ImageReference(PICTURE, "A. Photographer", "CC BY-NC 2.0", "https://licences.example/by-nc"),
        ),
        ({"image_url": PICTURE, "credit": None, "license": None}, ImageReference(PICTURE)),
        (
            {"image_url": PICTURE, "license": {"name": "Unknown", "link": None}},
            ImageReference(PICTURE, None, "Unknown"),
        ),
        ({"image_url": f" {PICTURE}\n"}, ImageReference(PICTURE)),
        (None, None),
        ("", None),
        ("  ", None),
        ({}, None),
        ({"image_url": None, "thumbnail_url": PICTURE}, None),
        ({"image_url": "", "credit": "A. Photographer"}, None),
        (["https://media.example/a.png"], None),
        (17, None),
    ],
    ids=[
        "address of 2.2.0",
        "object of 2.3.0",
        "object that knows nothing",
        "licence without a link",
        "address with blanks around it",
        "null",
        "empty string",
        "blank string",
        "object without an address",
        "address is null",
        "address is empty",
        "list",
        "number",
    ],
)
def test_the_picture_of_each_dialect_is_its_address_and_owner(image: Any, expected: ImageReference | None) -> None:
    assert launch(image=image).image == expected


def test_a_row_without_the_word_image_has_no_picture() -> None:
    assert parse({name: value for name, value in NORMAL.items() if name != "image"}, SOURCE).image is None


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"id": 3, "name": "Launch Successful", "abbrev": "Success"}, "Success"),
        ({"id": 1, "name": "Go"}, "Go"),
        ({"id": 1, "name": "Go", "abbrev": ""}, "Go"),
        ({"id": 1}, None),
        (None, None),
        ("Go", None),
    ],
    ids=["2.3.0 and 2.2.0", "2.0.0", "empty abbreviation", "only a number", "null", "a string"],
)
def test_the_status_is_the_short_word_of_each_dialect(status: Any, expected: str | None) -> None:
    assert launch(status=status).status == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "Falcon 9 Block 5"),
        ({"rocket": None}, "Falcon 9 Block 5"),
        ({"rocket": {"configuration": {"full_name": ""}}, "name": "Soyuz 2.1a | Meridian | 9"}, "Soyuz 2.1a"),
        ({"rocket": {"configuration": {"full_name": "Soyuz 2.1a/Fregat"}}, "name": "Soyuz | X"}, "Soyuz 2.1a/Fregat"),
        ({"rocket": None, "name": "Sputnik"}, None),
        ({"rocket": None, "name": None}, None),
    ],
    ids=["normal", "list", "empty name", "normal, longer than the name", "name without a bar", "no name at all"],
)
def test_the_rocket_is_told_or_else_read_from_the_name(fields: Row, expected: str | None) -> None:
    assert launch(**fields).rocket == expected


@pytest.mark.parametrize("name", [None, "", "  ", 7], ids=repr)
def test_a_launch_without_a_name_goes_by_its_id(name: Any) -> None:
    assert launch(name=name).name == NORMAL["id"]


def test_a_launch_keeps_every_field_of_its_row() -> None:
    before = copy.deepcopy(NORMAL)
    read = parse(NORMAL, SOURCE)
    read.facts()
    assert read.row == before


def test_a_launch_shows_itself_without_its_row() -> None:
    assert "Photographer" not in repr(launch())


# Times


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        ("2026-03-05T02:10:00Z", datetime(2026, 3, 5, 2, 10, tzinfo=UTC)),
        ("2026-03-05T02:10:00+00:00", datetime(2026, 3, 5, 2, 10, tzinfo=UTC)),
        ("2026-03-05T02:10:00", datetime(2026, 3, 5, 2, 10, tzinfo=UTC)),
        ("2026-03-05T02:10:00.250000Z", datetime(2026, 3, 5, 2, 10, 0, 250_000, tzinfo=UTC)),
        ("2026-03-05T02:10:00+05:30", datetime(2026, 3, 4, 20, 40, tzinfo=UTC)),
        ("2026-03-05T22:10:00-05:00", datetime(2026, 3, 6, 3, 10, tzinfo=UTC)),
        ("2026-03-05T00:00:00Z", datetime(2026, 3, 5, tzinfo=UTC)),
        ("2026-03-05T23:59:59Z", datetime(2026, 3, 5, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_net_is_read_as_a_moment_in_utc_and_stands_on_its_utc_day(net: str, expected: datetime) -> None:
    read = launch(net=net)
    assert read.net == expected
    assert read.net.utcoffset() == expected.utcoffset()
    assert read.day == expected.date()


def test_the_day_of_a_launch_at_midnight_is_the_one_that_begins() -> None:
    assert launch(net="2026-02-28T00:00:00Z").day == date(2026, 2, 28)


@pytest.mark.parametrize(
    "net",
    [
        "",
        "soon",
        "NET March",
        "2026-13-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "9999-12-31T23:00:00-02:00",
        "1772323200",
    ],
)
def test_a_net_that_is_no_time_is_an_error_that_names_the_launch_and_the_address(net: str) -> None:
    with pytest.raises(UnexpectedAnswer, match="net that is no time") as caught:
        launch(net=net)
    assert SOURCE in str(caught.value)
    assert NORMAL["id"] in str(caught.value)
    assert repr(net) in str(caught.value)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a launch", "'a launch', not an object"),
        (None, "None, not an object"),
        ([NORMAL], "not an object"),
        ({}, "without an id (name None)"),
        ({"id": None, "name": "X"}, "without an id (name 'X')"),
        ({"id": "ab-1"}, "launch ab-1 without a net; it has None"),
        ({"id": "ab-1", "net": {"date": "2026"}}, "launch ab-1 without a net; it has {'date': '2026'}"),
    ],
    ids=["string", "null", "list", "empty object", "id is null", "no net", "net is an object"],
)
def test_a_row_that_is_no_launch_is_an_error_that_says_what_came_from_where(row: Any, said: str) -> None:
    with pytest.raises(UnexpectedAnswer) as caught:
        parse(row, SOURCE)
    assert said in str(caught.value)
    assert SOURCE in str(caught.value)
    assert len(str(caught.value)) < 300


# What a launch says


COUNTERS = [
    "launch_service_provider.total_launch_count",
    "launch_service_provider.successful_launches",
    "rocket.configuration.total_launch_count",
    "pad.total_launch_count",
    "pad.orbital_launch_attempt_count",
    "pad.location.total_launch_count",
    "pad.location.total_landing_count",
    "orbital_launch_attempt_count",
    "pad_launch_attempt_count_year",
    "agency_launch_attempt_count",
]


@pytest.mark.parametrize("path", COUNTERS)
def test_a_counter_beside_a_launch_changes_nothing_that_it_says(path: str) -> None:
    counted = parse(changed(NORMAL, path, at(NORMAL, path) + 1), SOURCE)
    assert counted.facts() == launch().facts()
    assert data_version([counted]) == data_version([launch()])


def test_a_counter_of_an_agency_of_the_mission_changes_nothing() -> None:
    mission = NORMAL["mission"] | {"agencies": [{"id": 121, "total_launch_count": 601}]}
    assert data_version([launch(mission=mission)]) == data_version([launch()])


FACTS = [
    ("id", "0f9f6a3c-2b53-4c8e-9a4e-3b6e5f7c1d21"),
    ("name", "Falcon 9 Block 5 | Another"),
    ("slug", "another"),
    ("launch_designator", None),
    ("net", "2026-03-05T02:11:00Z"),
    ("net_precision.id", 0),
    ("net_precision", None),
    ("window_start", "2026-03-05T02:00:00Z"),
    ("window_end", "2026-03-05T04:11:00Z"),
    ("last_updated", "2026-03-05T04:00:01Z"),
    ("status.id", 4),
    ("probability", 80),
    ("weather_concerns", "Wind"),
    ("holdreason", "Weather"),
    ("failreason", "Fire"),
    ("webcast_live", True),
    ("infographic", PICTURE),
    ("launch_service_provider.name", "Space Exploration"),
    ("rocket.configuration.full_name", "Falcon 9"),
    ("pad.name", "SLC-4E"),
    ("pad.location.name", "Vandenberg"),
    ("mission.name", "Another"),
    ("mission.type", "Test Flight"),
    ("mission.description", "Other satellites."),
    ("mission.orbit.name", "Polar Orbit"),
    ("mission", None),
    ("image", None),
    ("image", PICTURE),
    ("image.image_url", f"{PICTURE}.png"),
    ("image.credit", None),
    ("image.license.name", "Unknown"),
    ("image.license.link", None),
]


def version_of(row: Row) -> str:
    return data_version([parse(row, SOURCE)])


@pytest.mark.parametrize(("path", "value"), FACTS, ids=[f"{path}={value}"[:40] for path, value in FACTS])
def test_each_fact_about_a_launch_changes_what_it_says(path: str, value: Any) -> None:
    assert version_of(changed(NORMAL, path, value)) != version_of(NORMAL)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("lsp_name", "Space Exploration"),
        ("mission", "Y"),
        ("mission_type", "Test"),
        ("pad", "SLC-4E"),
        ("location", "Vandenberg"),
        ("orbit", "SSO"),
        ("status.id", 3),
        ("image", None),
    ],
)
def test_each_fact_of_a_list_answer_of_2_2_0_changes_what_it_says(path: str, value: Any) -> None:
    assert version_of(changed(LIST_2_2_0, path, value)) != version_of(LIST_2_2_0)


@pytest.mark.parametrize(
    ("path", "value"),
    [("tbdtime", True), ("tbddate", True), ("holdreason", "Wind"), ("status.id", 2), ("image", None)],
)
def test_each_fact_of_an_answer_of_2_0_0_changes_what_it_says(path: str, value: Any) -> None:
    assert version_of(changed(NORMAL_2_0_0, path, value)) != version_of(NORMAL_2_0_0)


def test_the_version_of_a_day_depends_on_each_launch_and_not_on_their_order() -> None:
    one, two, three = launch(id="a"), launch(id="b"), launch(id="c", status=None)
    version = data_version([one, two, three])
    assert data_version([three, one, two]) == version
    assert data_version(iter([two, three, one])) == version
    assert len({version, data_version([one, two]), data_version([one]), data_version([])}) == 4


def test_the_version_is_the_same_on_every_machine() -> None:
    assert data_version([]) == "37517e5f3dc66819"


@given(st.permutations(list(NORMAL)))
def test_the_order_of_a_rows_fields_changes_nothing(names: list[str]) -> None:
    assert version_of({name: NORMAL[name] for name in names}) == version_of(NORMAL)


def test_the_facts_are_json() -> None:
    facts = launch().facts()
    assert json.loads(json.dumps(facts)) == facts


# Order, and ways into a row


def test_launches_stand_by_net_and_then_by_id() -> None:
    early, late = "2026-03-05T02:10:00Z", "2026-03-05T02:10:00.5Z"
    rows = [("b", late), ("a", late), ("d", early), ("c", early)]
    ordered = in_order(launch(id=name, net=net) for name, net in rows)
    assert [one.id for one in ordered] == ["c", "d", "a", "b"]


def test_moments_are_ordered_and_not_their_words() -> None:
    rows = [("utc", "2026-03-05T01:00:00Z"), ("elsewhere", "2026-03-05T02:00:00+05:00")]
    assert [one.id for one in in_order(launch(id=name, net=net) for name, net in rows)] == ["elsewhere", "utc"]


@pytest.mark.parametrize(
    ("value", "path", "expected"),
    [
        ({"a": {"b": 1}}, "a.b", 1),
        ({"a": {"b": {"c": 0}}}, "a.b", {"c": 0}),
        ({"a": None}, "a.b", None),
        ({"a": "b"}, "a.b", None),
        ({"a": [1]}, "a.0", None),
        ({}, "a", None),
        (None, "a", None),
    ],
)
def test_a_path_leads_to_what_lies_there_or_to_nothing(
    value: Mapping[str, Any] | None, path: str, expected: Any
) -> None:
    assert at(value, path) == expected


# Dates, outcomes and updates


@pytest.mark.parametrize(
    ("row", "is_dated"),
    [
        *((NORMAL | {"net_precision": {"id": precision}}, True) for precision in range(6)),
        *((NORMAL | {"net_precision": {"id": precision}}, False) for precision in range(6, 17)),
        (NORMAL | {"net_precision": None}, True),
        (LIST_2_2_0, True),
        (LIST_2_2_0 | {"net_precision": {"id": 7, "name": "Month", "abbrev": "M"}}, False),
        (NORMAL_2_0_0, True),
        (NORMAL_2_0_0 | {"tbddate": True}, False),
        (NORMAL_2_0_0 | {"tbdtime": True}, True),
    ],
)
def test_a_launch_that_is_known_to_the_week_or_less_is_not_dated(row: Row, is_dated: bool) -> None:
    assert parse(row, SOURCE).is_dated is is_dated


@pytest.mark.parametrize(
    ("status", "is_final"), [(3, True), (4, True), (7, True), *((n, False) for n in (1, 2, 5, 6, 8, 9))]
)
def test_a_success_and_two_kinds_of_failure_are_final(status: int, is_final: bool) -> None:
    for row in (NORMAL, LIST_2_2_0, NORMAL_2_0_0):
        assert parse(row | {"status": {"id": status}}, SOURCE).is_final is is_final


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("2026-03-05T04:00:00Z", datetime(2026, 3, 5, 4, tzinfo=UTC)),
        ("2026-03-05T04:00:00.5Z", datetime(2026, 3, 5, 4, 0, 0, 500_000, tzinfo=UTC)),
        (None, None),
        ("", None),
        ("yesterday", None),
        (1772323200, None),
        ("9999-12-31T23:00:00-02:00", None),
    ],
)
def test_a_last_update_is_a_moment_or_unknown(told: Any, expected: datetime | None) -> None:
    assert launch(last_updated=told).last_updated == expected


def test_version_2_0_0_tells_no_last_update() -> None:
    assert parse(NORMAL_2_0_0, SOURCE).last_updated is None


# Changes


MARCH_5, MARCH_7 = date(2026, 3, 5), date(2026, 3, 7)
GO = {"id": 1, "name": "Go for Launch", "abbrev": "Go"}
DIALECTS = {"2.3.0": NORMAL, "2.2.0": LIST_2_2_0, "2.0.0": NORMAL_2_0_0}
IMPRECISE = {
    "2.3.0": {"net_precision": {"id": 7}},
    "2.2.0": {"net_precision": {"id": 6}},
    "2.0.0": {"tbddate": True},
}


@pytest.mark.parametrize("version", DIALECTS)
@pytest.mark.parametrize(
    ("before", "now", "said", "days"),
    [
        (None, {}, "2026-03-05, new", {MARCH_5}),
        ({}, {"image": None}, "2026-03-05, updated", {MARCH_5}),
        ({}, {"net": "2026-03-07T02:10:00Z"}, "2026-03-05 -> 2026-03-07", {MARCH_5, MARCH_7}),
        ({"net": "2026-03-07T02:10:00Z"}, {}, "2026-03-07 -> 2026-03-05", {MARCH_5, MARCH_7}),
        ({}, {"net": "2026-03-05T23:59:59Z"}, "2026-03-05, updated", {MARCH_5}),
        ({}, {"status": NORMAL["status"]}, "2026-03-05, Success", {MARCH_5}),
        (None, {"status": NORMAL["status"]}, "2026-03-05, Success", {MARCH_5}),
        ({"status": NORMAL["status"]}, {"status": NORMAL["status"], "image": None}, "2026-03-05, updated", {MARCH_5}),
        (
            {"net": "2026-03-07T02:10:00Z"},
            {"status": {"id": 4, "name": "Failure"}},
            "2026-03-07 -> 2026-03-05, Failure",
            {MARCH_5, MARCH_7},
        ),
    ],
    ids=["new", "updated", "slipped", "earlier", "hours", "flown", "new and flown", "flown before", "all at once"],
)
def test_a_change_says_what_happened_and_concerns_where_the_launch_stands_and_stood(
    version: str, before: Row | None, now: Row, said: str, days: set[date]
) -> None:
    row = DIALECTS[version] | {"status": GO}
    stood = None if before is None else Standing.of(parse(row | before, SOURCE))
    change = Change(parse(row | now, SOURCE), stood)
    assert str(change) == f"{row['name']}: {said}"
    assert change.days == days


@pytest.mark.parametrize("version", DIALECTS)
def test_a_change_says_whether_the_launch_is_dated_to_the_day(version: str) -> None:
    row = DIALECTS[version] | {"status": GO}
    stood = Standing.of(parse(row, SOURCE))
    month = parse(row | IMPRECISE[version] | {"net": "2026-03-31T00:00:00Z"}, SOURCE)
    assert str(Change(month, stood)) == f"{row['name']}: 2026-03-05 -> 2026-03-31, not dated to the day"
    assert str(Change(month, None)) == f"{row['name']}: 2026-03-31, not dated to the day, new"
    assert str(Change(parse(row, SOURCE), Standing.of(month))) == f"{row['name']}: 2026-03-31 -> 2026-03-05"


def test_what_changed_is_what_does_not_stand_as_it_stood_in_order() -> None:
    same, new, slipped = launch(id="same"), launch(id="new"), launch(id="slipped", net="2026-03-01T00:00:00Z")
    updated = launch(id="updated", last_updated="2026-03-06T00:00:00Z")
    flown = launch(id="flown")
    standing = {
        "same": Standing.of(same),
        "slipped": Standing.of(launch(id="slipped")),
        "updated": Standing.of(launch(id="updated")),
        "flown": Standing.of(launch(id="flown", status=GO)),
        "not asked about": Standing.of(same),
    }
    changes = changes_since(standing, [updated, same, new, flown, slipped])
    assert [change.launch.id for change in changes] == ["slipped", "flown", "new", "updated"]
    assert [change.before for change in changes] == [standing.get(change.launch.id) for change in changes]
    assert [change.has_slipped for change in changes] == [True, False, False, False]
    assert [change.is_outcome for change in changes] == [False, True, True, False]
    assert changes_since(standing, []) == []


# Ranges of days


def march(number: int) -> date:
    return date(2026, 3, 1) + timedelta(days=number - 1)


def requests_for(start: date, end: date, launches_on: Mapping[date, int]) -> int:
    days = [start + timedelta(days=number) for number in range((end - start).days + 1)]
    return max(1, -(-sum(launches_on.get(day, 1) for day in days) // 100))


@pytest.mark.parametrize(
    ("days", "launches_on", "expected"),
    [
        ([], {}, []),
        ([5], {}, [(5, 5)]),
        ([5, 6], {}, [(5, 6)]),
        ([5, 7], {}, [(5, 7)]),
        ([5, 36], {}, [(5, 36)]),
        ([5, 37], {}, [(5, 5), (37, 37)]),
        ([5, 36, 67], {}, [(5, 67)]),
        ([5, 6], {5: 100, 6: 100}, [(5, 6)]),
        ([5, 6], {5: 250, 6: 250}, [(5, 6)]),
        ([5, 7], {5: 100, 7: 100}, [(5, 5), (7, 7)]),
        ([5, 7], {5: 99, 6: 1, 7: 1}, [(5, 5), (7, 7)]),
        ([5, 7], {5: 98, 6: 1, 7: 1}, [(5, 7)]),
        ([5, 7], {5: 250}, [(5, 7)]),
        ([5, 7], {5: 300}, [(5, 5), (7, 7)]),
        ([5, 7], {5: 1, 6: 250, 7: 1}, [(5, 5), (7, 7)]),
        ([5, 7], {5: 0, 6: 0, 7: 0}, [(5, 7)]),
        ([7, 5, 6, 5, 40, 7], {}, [(5, 7), (40, 40)]),
    ],
)
def test_days_are_asked_for_in_the_ranges_that_take_the_fewest_requests(
    days: list[int], launches_on: dict[int, int], expected: list[tuple[int, int]]
) -> None:
    counts = {march(number): launches for number, launches in launches_on.items()}
    found = list(cheapest_ranges(map(march, days), counts))
    assert found == [(march(start), march(end)) for start, end in expected]


def test_a_day_with_250_launches_costs_three_requests_and_is_left_alone_where_company_saves_nothing() -> None:
    counts = {march(5): 250, march(8): 99}
    assert requests_for(march(5), march(5), counts) == 3
    assert list(cheapest_ranges([march(5), march(8)], counts)) == [(march(5), march(5)), (march(8), march(8))]


@given(
    numbers=st.lists(st.integers(1, 200), max_size=40),
    counts=st.dictionaries(st.integers(1, 200), st.integers(0, 260), max_size=60),
    data=st.data(),
)
def test_ranges_cover_the_days_with_no_more_requests_than_one_a_day_and_stay_apart(
    numbers: list[int], counts: dict[int, int], data: st.DataObject
) -> None:
    days = [march(number) for number in numbers]
    launches_on = {march(number): launches for number, launches in counts.items()}
    found = list(cheapest_ranges(days, launches_on))
    wanted = set(days)
    assert all(any(start <= day <= end for start, end in found) for day in wanted)
    assert all(start <= end and {start, end} <= wanted for start, end in found)
    assert sum(requests_for(*one, launches_on) for one in found) <= sum(
        requests_for(day, day, launches_on) for day in wanted
    )
    # Neighbours are never asked for apart: together they cost no more.
    assert all(after[0] - before[1] > timedelta(days=1) for before, after in pairwise(found))
    for start, end in found:
        inside = sorted(day for day in wanted if start <= day <= end)
        assert all(later - earlier <= timedelta(days=31) for earlier, later in pairwise(inside))
    assert list(cheapest_ranges(data.draw(st.permutations(days * 2)), launches_on)) == found


def test_the_size_of_a_page_is_what_makes_a_range_dear() -> None:
    assert list(cheapest_ranges([march(5), march(7)], {}, page=2)) == [(march(5), march(5)), (march(7), march(7))]
    assert list(cheapest_ranges([march(5), march(7)], {}, page=3)) == [(march(5), march(7))]


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ({}, "updated"),
        ({"status": GO}, "Success"),
        ({"image": None}, "another picture"),
        ({"net": "2026-03-05T00:00:00Z"}, "another time"),
        ({"name": "Another", "image": None}, "another name, another picture"),
    ],
)
def test_a_change_says_what_is_another_than_what_is_stored(stored: Row, said: str) -> None:
    now = parse(NORMAL | {"net": "2026-03-05T02:10:00Z"}, SOURCE)
    was = parse(NORMAL | {"net": "2026-03-05T02:10:00Z"} | stored, SOURCE)
    assert str(Change(now, Standing.of(now), was)) == f"{now.name}: 2026-03-05, {said}"


def test_a_name_without_end_is_cut_in_the_text_of_a_change() -> None:
    assert len(str(Change(parse(NORMAL | {"name": "long " * 50_000}, SOURCE), None))) < 200


DETAILS = ("provider", "rocket", "family", "pad", "place", "latitude", "longitude")
MISSION = ("mission", "mission_type", "mission_description", "orbit")


@pytest.mark.parametrize(
    ("row", "details", "mission"),
    [
        (
            NORMAL,
            ("SpaceX", "Falcon 9 Block 5", None, "Space Launch Complex 40", "Cape Canaveral", None, None),
            ("Starlink Group 1-1", "Communications", "Some satellites.", "Low Earth Orbit"),
        ),
        (
            LIST_2_2_0,
            ("SpaceX", "Falcon 9", None, "SLC-40", "Cape Canaveral", None, None),
            ("X", "Communications", None, "LEO"),
        ),
        (
            NORMAL_2_0_0,
            (None, "Falcon 9", None, "SLC-40", "Cape Canaveral", None, None),
            ("X", "Communications", None, "LEO"),
        ),
    ],
    ids=["2.3.0", "2.2.0 list", "2.0.0"],
)
def test_what_a_launch_says_is_read_from_each_version(
    row: Row, details: tuple[object, ...], mission: tuple[object, ...]
) -> None:
    read = parse(row, SOURCE)
    assert tuple(getattr(read, name) for name in DETAILS) == details
    assert tuple(getattr(read, name) for name in MISSION) == mission


@pytest.mark.parametrize(
    ("configuration", "family"),
    [
        ({"family": "Falcon"}, "Falcon"),
        ({"families": [{"name": "Falcon"}]}, "Falcon"),
        ({"families": [{"name": "Falcon 9"}, {"name": "Falcon"}]}, "Falcon"),
        ({"families": []}, None),
        ({"families": "Falcon"}, None),
        ({"families": [7]}, None),
        ({}, None),
    ],
)
def test_a_family_is_read_from_each_version(configuration: Row, family: str | None) -> None:
    assert launch(rocket={"configuration": configuration}).family == family


@pytest.mark.parametrize(
    ("given", "degrees"),
    [
        *((28.5, 28.5), ("28.5", 28.5), (-90, -90.0), (180.5, None), ("north", None), (None, None), (True, None)),
        *(("nan", None), (float("inf"), None), (10**400, None), ([], None)),
    ],
)
def test_an_angle_is_a_number_or_nothing(given: Any, degrees: float | None) -> None:
    assert launch(pad={"latitude": given}).latitude == degrees


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(3, "success"), (4, "failure"), (7, "partial failure"), (1, "open"), (9, "open"), ("3", "open")],
)
def test_an_outcome_is_what_the_status_says_it_is(status: Any, outcome: str) -> None:
    assert launch(status={"id": status}).outcome == outcome
    assert launch(status={"id": status}).is_final == (outcome != "open")


def test_the_name_of_a_launch_tells_rocket_and_mission_where_nothing_else_does() -> None:
    assert (launch(rocket=None, mission=None).rocket, launch(mission=None).mission) == (
        "Falcon 9 Block 5",
        "Starlink Group 1-1",
    )
    assert (launch(name="One", rocket=None).rocket, launch(name="One", mission=None).mission) == (None, None)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"net_precision": {"id": 1}}, "5 March 2026, 02:10 UTC"),
        ({"net_precision": {"id": 7}}, "in March 2026"),
        ({"net_precision": None}, "5 March 2026, 02:10 UTC"),
        ({"net_precision": None, "tbddate": True}, "around March 2026"),
        ({"net_precision": None, "tbdtime": True}, "5 March 2026"),
        ({"net_precision": {"id": "7"}}, "5 March 2026, 02:10 UTC"),
    ],
)
def test_when_a_launch_is_stands_in_words(row: Row, words: str) -> None:
    assert launch(**row).when == words


@pytest.mark.parametrize("url", ["https://here/launches/1/", "javascript:alert(1)", None, 7])
def test_only_an_address_of_the_web_is_the_launchs_page(url: Any) -> None:
    assert launch(url=url).api_page == (url if str(url).startswith("https:") else None)
