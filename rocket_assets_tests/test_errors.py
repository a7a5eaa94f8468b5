"""Each error says whether trying again helps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocket_assets import errors


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (errors.WrongSetting("x"), False),
        (errors.Unavailable("x"), True),
        (errors.RateLimited("x", retry_after=1), True),
        (errors.Refused("x"), False),
        (errors.UnexpectedAnswer("x"), False),
        (errors.UnexpectedAnswer("x", retryable=True), True),
        (errors.NotAPicture("x"), False),
        (errors.StorageFailed("x"), False),
        (errors.Missing("x"), False),
        (errors.Damaged("x"), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_an_error_knows_whether_trying_again_helps(error: errors.RocketAssetsError, retryable: bool) -> None:
    assert error.retryable is retryable
    assert ("not" in error.advice) is not retryable


def test_the_throttle_says_when_to_try_again() -> None:
    assert errors.RateLimited("x", retry_after=90.4).advice == "Try again in 90 seconds."


def test_every_error_is_one_that_the_package_explains() -> None:
    defined = [value for value in vars(errors).values() if isinstance(value, type)]
    assert all(issubclass(kind, errors.RocketAssetsError) for kind in defined)
    assert all(kind.__name__ in (errors.__doc__ or "") for kind in defined)


@given(st.text(), st.integers(2, 400))
def test_what_a_stranger_said_is_shown_on_one_line_printable_and_not_too_long(text: str, longest: int) -> None:
    shown = errors.shown(text, longest)
    assert shown.isprintable()
    assert len(shown) <= longest


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Long March 3B/E | Péole ☄", "Long March 3B/E | Péole ☄"),
        ("two\nlines\tand  more ", "two lines and more"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("turned \u202e round", r"turned \u202e round"),
        ("half \ud800", r"half \ud800"),
        ("NUL\x00", r"NUL\x00"),
        ("x" * 400, "x" * 299 + "…"),
        ("\n" * 10**6 + "x", "…"),
        ("", ""),
    ],
    ids=ascii,
)
def test_a_text_stays_what_it_is_as_far_as_it_can_be_read(text: str, shown: str) -> None:
    assert errors.shown(text) == shown


def test_no_message_controls_the_terminal_that_shows_it() -> None:
    assert str(errors.Refused("http://a.example/\x1b[2J\n cannot be fetched")) == (
        r"http://a.example/\x1b[2J cannot be fetched"
    )
