"""A browser for each file of tests, and pages on which nothing goes wrong unseen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from rocket_assets_tests.browser.chromium import Watch, launched, watched
from rocket_assets_tests.browser.screenshots import scale

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    NewPage = Callable[..., Page]


# For a file and not for the session: while it is open, no other test of its thread could have an event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The browser."""
    with launched() as browser:
        yield browser


@pytest.fixture
def watch() -> Watch:
    """What must not happen on a page of the test."""
    return Watch()


@pytest.fixture
def new_page(browser: Browser, watch: Watch) -> Iterator[NewPage]:
    """Opens a page in a context of its own; the test fails at its end if something has gone wrong on one of them."""
    with ExitStack() as contexts:

        def new_page(**options: Any) -> Page:
            return contexts.enter_context(watched(browser, watch, **options)).new_page()

        yield new_page
    assert not watch.complaints


@pytest.fixture
def page(new_page: NewPage) -> Page:
    """A page as it is on a desk."""
    return new_page(viewport={"width": 1280, "height": 900}, device_scale_factor=scale())
