"""Which pictures may be shown, by their licences."""

from __future__ import annotations

import pytest

from rocket_assets.gallery.licences import Licences


@pytest.mark.parametrize(
    ("named", "licence", "is_allowed"),
    [
        ([], "All rights reserved", True),
        ([], None, True),
        (["CC BY 4.0"], "CC BY 4.0", True),
        (["cc by 4.0"], "CC  BY 4.0 ", True),
        (["CC BY 4.0"], "CC BY-NC 4.0", False),
        (["CC BY"], "CC BY 4.0", False),
        (["CC BY*"], "CC BY-NC 4.0", True),
        (["cc by*"], "CC BY", True),
        (["CC BY*"], "no CC BY", False),
        (["NASA Images", "CC0 1.0"], "CC0 1.0", True),
        (["NASA Images", "CC0 1.0"], "NASA", False),
        (["*"], "anything", True),
        (["*"], None, True),
        (["CC BY*"], None, False),
        (["CC BY*"], "", False),
        (["unknown"], None, True),
        (["Unknown"], "Unknown", True),
        (["STRASSE"], "straße", True),
        (["a[b]*"], "A[B] c", True),
        (["", " "], "anything", True),
    ],
)
def test_a_licence_is_allowed_if_it_is_named_or_none_is(
    named: list[str], licence: str | None, is_allowed: bool
) -> None:
    assert Licences(named).allow(licence) is is_allowed


def test_the_order_and_spelling_of_what_is_named_make_no_difference() -> None:
    assert str(Licences(["NASA", "CC BY*"])) == str(Licences(["cc  by*", "nasa", "NASA"]))
    assert str(Licences(["NASA"])) != str(Licences(["NASA*"]))
