"""What the gallery says of a launch."""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, replace
from typing import Any

import pytest

from rocket_assets.archive import NO_ADDRESS, Entry
from rocket_assets.gallery import cards as module
from rocket_assets.gallery.cards import Card, ShownPicture, Thumbnail, cards
from rocket_assets.gallery.licences import Licences
from rocket_assets.launches import Outcome, parse
from rocket_assets.months import Shown
from rocket_assets_tests.gallery.archives import FAILURE, GO, PARTIAL, SUCCESS, TBD, row

SHA = "ab" * 32
ENTRY = Entry(
    launch_id=str(uuid.UUID(int=1)),
    launch_name="Rocket | Mission 1",
    source_url="http://here/a.png",
    credit="A Photographer",
    licence="CC BY 4.0",
    licence_url="https://creativecommons.org/licenses/by/4.0/",
    file="rocket-mission-1-00000000.png",
    sha256=SHA,
    bytes=1000,
    format="png",
    width=1920,
    height=1280,
)
THUMBNAILS = {SHA: Thumbnail(480, 320)}
FULL = {
    "rocket": {"configuration": {"full_name": "Falcon 9 Block 5"}},
    "launch_service_provider": {"name": "SpaceX"},
    "pad": {"name": "SLC-40", "location": {"name": "Cape Canaveral, USA"}},
    "mission": {
        "name": "Starlink",
        "type": "Communications",
        "orbit": {"name": "Low Earth Orbit"},
        "description": "Satellites.",
    },
}


def card(entry: Entry | None = ENTRY, licences: tuple[str, ...] = (), **said: Any) -> Card:
    """The card of one launch."""
    one = Shown(parse(row(1, **said), "here"), entry)
    return cards([one], Licences(licences), THUMBNAILS, "2024-12")[0]


def test_a_card_shows_the_picture_and_whose_it_is() -> None:
    shown = card()
    assert shown.without is None
    assert shown.picture == ShownPicture(
        sha256=SHA,
        width=480,
        height=320,
        whole="images/2024/2024-12-05/rocket-mission-1-00000000.png",
        whole_width=1920,
        whole_height=1280,
        credit="A Photographer",
        licence="CC BY 4.0",
        licence_url="https://creativecommons.org/licenses/by/4.0/",
    )


@pytest.mark.parametrize(
    ("entry", "licences", "why"),
    [
        (None, (), module.TO_FOLLOW),
        (Entry("1", "name", reason=NO_ADDRESS), (), module.NONE_NAMED),
        (Entry("1", "name", reason="http://here/a.png answered 404."), (), module.NOT_HAD),
        (replace(ENTRY, sha256="cd" * 32), (), module.UNREADABLE),
        (ENTRY, ("NASA*",), "The picture is kept back: its licence is CC BY 4.0."),
        (replace(ENTRY, licence=None), ("CC BY*",), "The picture is kept back: its licence is Unknown."),
    ],
)
def test_a_card_without_a_picture_says_why(entry: Entry | None, licences: tuple[str, ...], why: str) -> None:
    shown = card(entry, licences)
    assert (shown.picture, shown.without) == (None, why)


def test_a_picture_under_a_licence_that_is_named_is_shown() -> None:
    assert card(licences=("cc by*",)).picture


def test_an_earlier_picture_is_shown_although_the_present_address_gave_none() -> None:
    assert card(replace(ENTRY, reason="http://here/b.png answered 404.")).picture


@pytest.mark.parametrize(
    ("status", "outcome", "words"),
    [
        (SUCCESS, Outcome.SUCCESS, "Success"),
        (PARTIAL, Outcome.PARTIAL_FAILURE, "Partial failure"),
        (FAILURE, Outcome.FAILURE, "Failure"),
        (GO, Outcome.OPEN, "Go for launch"),
        (TBD, Outcome.OPEN, "Date to be determined"),
        ({"id": 9, "abbrev": "Payload Deployed"}, Outcome.OPEN, "Payload Deployed"),
        (None, Outcome.OPEN, "Outcome not known yet"),
    ],
)
def test_a_card_says_in_words_how_a_launch_stands(status: object, outcome: Outcome, words: str) -> None:
    shown = card(status=status)
    assert (shown.outcome, shown.status, shown.is_open) == (outcome, words, outcome is Outcome.OPEN)


def test_what_is_known_of_a_launch_stands_on_its_card() -> None:
    shown = card(**FULL, url="https://here/launches/1/")
    assert dict(shown.facts) == {
        "Rocket": "Falcon 9 Block 5",
        "Mission": "Starlink",
        "Purpose": "Communications",
        "Orbit": "Low Earth Orbit",
        "Provider": "SpaceX",
        "Pad": "SLC-40, Cape Canaveral, USA",
    }
    assert (shown.description, shown.api_page) == ("Satellites.", "https://here/launches/1/")


def test_what_the_name_says_already_is_not_said_twice() -> None:
    assert card(**FULL, name="Falcon 9 Block 5 | Starlink").facts[0] == ("Purpose", "Communications")


@pytest.mark.parametrize("name", ["Mission 1", "Starlink"])
def test_a_row_that_says_nothing_has_a_card_without_facts(name: str) -> None:
    shown = card(name=name)
    assert (shown.facts, shown.description, shown.api_page) == ([], None, None)


@pytest.mark.parametrize(
    ("precision", "is_dated", "digits", "when"),
    [
        (1, True, "2024-12-31", "31 December 2024, 16:05 UTC"),
        (5, True, "2024-12-31", "31 December 2024"),
        (7, False, "2024", "in December 2024"),
        (14, False, "2024", "in 2024"),
    ],
)
def test_a_machine_is_told_no_more_than_is_known(precision: int, is_dated: bool, digits: str, when: str) -> None:
    shown = card(net="2024-12-31T16:05:00Z", net_precision={"id": precision})
    assert (shown.is_dated, shown.digits, shown.when) == (is_dated, digits, when)


def test_launches_whose_day_is_not_meant_come_last() -> None:
    rows = [
        row(1, "2024-12-01T00:00:00Z"),
        row(2, "2024-12-31T00:00:00Z", net_precision={"id": 7}),
        row(3, "2024-12-31T12:00:00Z"),
    ]
    made = cards([Shown(parse(one, "here"), None) for one in rows], Licences(), {}, "2024-12")
    assert [one.name for one in made] == ["Rocket | Mission 1", "Rocket | Mission 3", "Rocket | Mission 2"]


@pytest.mark.parametrize("identity", ["a b", '"><b>', "ünï", "x" * 100, "'"])
def test_a_place_on_a_page_has_a_plain_name_whatever_the_id_is(identity: str) -> None:
    anchor = card(id=identity).anchor
    assert anchor.isascii()
    assert anchor.replace("-", "").isalnum()


def test_two_cards_never_have_the_same_place() -> None:
    one = Shown(parse(row(1), "here"), None)
    made = cards([one, one, one], Licences(), {}, "2024-12")
    assert len({card.anchor for card in made}) == 3


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "javascript://host/%0aalert(1)",
        "ftp://host/a",
        "data:text/html,x",
        " javascript:alert(1)",
        "//host/a",
        "file:///etc/passwd",
        "https://",
        "https://[bad/",
        "https://a b/",
        "https://here/\u202e",
    ],
)
def test_only_an_address_of_the_web_becomes_a_link(address: str) -> None:
    shown = card(replace(ENTRY, licence_url=address), url=address)
    assert shown.api_page is None
    assert shown.picture
    assert shown.picture.licence_url is None


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("Falcon 9 | Starlink | 2", ("Falcon 9", " | ", "Starlink | 2")),
        ("Starlink", ("", "", "Starlink")),
        ("| Starlink", ("", "", "| Starlink")),
    ],
)
def test_a_name_is_rocket_and_mission_and_nothing_of_it_is_lost(name: str, parts: tuple[str, ...]) -> None:
    assert card(name=name).name_parts == parts


@pytest.mark.parametrize("entry", [ENTRY, None])
def test_a_card_waits_in_a_document_and_is_the_same(entry: Entry | None) -> None:
    shown = card(entry, **FULL)
    assert Card.read(json.loads(json.dumps(asdict(shown)))) == shown
