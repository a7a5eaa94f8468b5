"""What the index knows of a month."""

from __future__ import annotations

from datetime import date

import pytest

from rocket_assets.documents import seal, unseal
from rocket_assets.errors import Damaged
from rocket_assets.gallery.cards import Card, ShownPicture
from rocket_assets.gallery.summaries import Summary, read_summaries, summarise
from rocket_assets.launches import Outcome
from rocket_assets.storage import Storage, gallery_summary_key

KEY = gallery_summary_key(date(2024, 12, 1))


def card(number: int, outcome: Outcome = Outcome.SUCCESS, sha256: str | None = None) -> Card:
    """A card on the day of its number."""
    picture = sha256 and ShownPicture(sha256, 480, 320, "images/a.png", 9, 6, None, "Unknown", None)
    day = f"2024-12-{number:02}"
    return Card(
        anchor=f"launch-{number}",
        month="2024-12",
        name=f"Rocket | {number}",
        net=f"{day}T12:00:00Z",
        when=day,
        digits=day,
        is_dated=True,
        outcome=outcome,
        status="words",
        facts=[("Orbit", "Low")],
        description="About.",
        picture=picture or None,
    )


def summary(*cards: Card, month: str = "2024-12") -> Summary:
    """The summary of a month with these cards."""
    return summarise(month, 31, 31, cards, {"cc"})


def test_a_summary_counts_how_launches_ended_and_keeps_those_that_are_open() -> None:
    cards = [card(1), card(2, Outcome.FAILURE), card(3, Outcome.PARTIAL_FAILURE), card(4, Outcome.OPEN), card(5)]
    made = summary(*cards)
    assert made.outcomes == {
        Outcome.SUCCESS: 2,
        Outcome.PARTIAL_FAILURE: 1,
        Outcome.FAILURE: 1,
        Outcome.OPEN: 1,
    }
    assert (made.launches, made.open, made.newest) == (5, [cards[3]], "2024-12-05T12:00:00Z")


def test_a_month_in_which_nothing_has_ended_has_no_newest_outcome() -> None:
    assert summary(card(1, Outcome.OPEN)).newest is None


def test_the_pictures_of_a_month_are_the_newest_of_its_flown_launches_none_twice() -> None:
    cards = [card(1, sha256="a1"), card(2, sha256="b2"), card(3, sha256="b2"), card(4), card(5, Outcome.OPEN, "e5")]
    made = summary(*cards)
    assert [one.name for one in made.pictures] == ["Rocket | 3", "Rocket | 1"]
    assert all((one.facts, one.description) == ([], None) for one in made.pictures)
    assert (made.with_picture, made.shown, made.kept_back) == (4, ["a1", "b2", "e5"], ["cc"])


def test_a_month_of_many_launches_is_still_short() -> None:
    assert len(summary(*(card(day, sha256=f"{day:02}") for day in range(1, 32))).pictures) == 6


def test_a_summary_is_read_as_it_was_written() -> None:
    made = summary(card(1, sha256="a1"), card(2, Outcome.OPEN, "b2"))
    assert Summary.unsealed(made.sealed(), KEY) == made


@pytest.mark.parametrize(
    "change",
    [
        {"outcomes": {"exploded": 1}},
        {"outcomes": None},
        {"open": [{}]},
        {"open": [None]},
        {"pictures": 3},
        {"more": 1},
        {"month": "2024-11"},
        {"month": "x"},
        {"month": None},
    ],
    ids=str,
)
def test_a_summary_of_another_version_or_month_is_damaged(change: dict[str, object]) -> None:
    document = unseal(summary(card(1)).sealed(), KEY) | change
    with pytest.raises(Damaged, match=KEY):
        Summary.unsealed(seal(document), KEY)


def test_all_summaries_are_read_in_order_and_damaged_ones_are_named(storage: Storage) -> None:
    for month in ("2024-12", "1957-10", "2024-02", "2025-01"):
        key = gallery_summary_key(date.fromisoformat(f"{month}-01"))
        storage.write(key, summary(month=month).sealed())
    storage.write(gallery_summary_key(date(2024, 2, 1)), b"{}")
    summaries, damaged = read_summaries(storage)
    assert [one.month for one in summaries] == ["1957-10", "2024-12", "2025-01"]
    assert damaged == [date(2024, 2, 1)]


@pytest.mark.parametrize(
    "key",
    [
        "gallery/2024/2024-13.json",
        "gallery/2024/2024-00.json",
        "gallery/2023/2024-01.json",
        "gallery/2024/2024-01.json.old",
        "gallery/2024-01.json",
        "gallery/0000/0000-01.json",
        "gallery/mine/2024/2024-01.json",
    ],
)
def test_what_is_no_summary_is_left_alone(storage: Storage, key: str) -> None:
    storage.write(key, b"mine")
    assert read_summaries(storage) == ([], [])
    assert storage.read(key) == b"mine"
