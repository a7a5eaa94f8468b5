"""How a NET is said: no more exactly than it is known."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rocket_assets.precision import Precision

NET = datetime(2026, 3, 31, 16, 5, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("precision", "words"),
    [
        (Precision(0), "31 March 2026, 16:05 UTC"),
        (Precision(1), "31 March 2026, 16:05 UTC"),
        (Precision(2), "31 March 2026, about 16:00 UTC"),
        (Precision(3), "31 March 2026"),
        (Precision(5), "31 March 2026"),
        (Precision(6), "in the week of 31 March 2026"),
        (Precision(7), "in March 2026"),
        (Precision(8), "in the first quarter of 2026"),
        (Precision(9), "in the second quarter of 2026"),
        (Precision(10), "in the third quarter of 2026"),
        (Precision(11), "in the fourth quarter of 2026"),
        (Precision(12), "in the first half of 2026"),
        (Precision(13), "in the second half of 2026"),
        (Precision(14), "in 2026"),
        (Precision(15), "in the fiscal year 2026"),
        (Precision(16), "in the 2020s"),
        (Precision(99), "around March 2026"),
        (Precision(-1), "around March 2026"),
        (Precision(), "31 March 2026, 16:05 UTC"),
        (Precision(is_timed=False), "31 March 2026"),
        (Precision(is_dated=False), "around March 2026"),
    ],
)
def test_a_net_is_said_no_more_exactly_than_it_is_known(precision: Precision, words: str) -> None:
    assert precision.in_words(NET) == words


@pytest.mark.parametrize("precision_id", range(-1, 20))
def test_what_is_not_known_to_the_day_names_no_day(precision_id: int) -> None:
    precision = Precision(precision_id)
    assert precision.is_to_the_day or precision_id == 6 or "31" not in precision.in_words(NET)


def test_a_time_of_day_is_said_only_where_it_is_known() -> None:
    assert [number for number in range(20) if "16:05" in Precision(number).in_words(NET)] == [0, 1]
