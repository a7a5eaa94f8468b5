"""Each error says whether trying again helps."""

from __future__ import annotations

import pytest

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
