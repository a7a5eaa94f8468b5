"""Chromium, driven by Playwright: how it is found and started, and what must never happen on a page.

Where something of it is missing, tests skip and say what to install; with ROCKET_ASSETS_BROWSER=required they fail.
Playwright is imported when a browser is wanted, so that the tests can be read without it.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response, WebError

NAMES = ("chromium", "chromium-browser", "google-chrome")
AXE = Path(sys.prefix) / "node_modules" / "axe-core" / "axe.min.js"

_FLAGS = (
    "--no-sandbox",  # tests also run as root, where Chromium has none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Nothing leaves this machine, whatever a page asks for; what it asks for is complained of all the same.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
_OURS = "127.0.0.1"
_WITHOUT_A_HOST = ("data", "blob", "file", "about")

_GIVEN_UP = "net::ERR_ABORTED"
"""The page was left, or asked anew, before the answer was there."""

# Without `preload`, by which axe would fetch the style sheets itself and which the page's policy forbids.
_VIOLATIONS = """async () => (await axe.run({preload: false})).violations.map(
    rule => `${rule.impact}: ${rule.id}, ${rule.help}: ${rule.nodes.map(node => node.target).join(" and ")}`)"""


def lacking(reason: str) -> NoReturn:
    """Skip for this reason, or fail where a browser is required."""
    if os.environ.get("ROCKET_ASSETS_BROWSER") == "required":
        pytest.fail(reason)
    pytest.skip(reason)


def executable() -> str:
    """The browser that CHROMIUM names, or the first that is installed."""
    for name in filter(None, [os.environ.get("CHROMIUM"), *NAMES]):
        if found := shutil.which(name):
            return found
    lacking(f"There is no browser. Install Chromium (Debian: chromium), or name one in CHROMIUM; looked for: {NAMES}.")


@contextmanager
def launched() -> Iterator[Browser]:
    """The browser, until the end of the block."""
    path = executable()
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        lacking("There is no Playwright. Install it: make install.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        yield browser
        browser.close()


@dataclass
class Watch:
    """Collects what must not happen on any page of a context: errors, failed requests, requests to foreign hosts."""

    complaints: list[str] = field(default_factory=list)

    def over(self, context: BrowserContext) -> None:
        """Look at all pages of a context from now on."""
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("request", self._request)
        context.on("requestfailed", self._failed)
        context.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(f"error in the console: {message.text}")

    def _error(self, error: WebError) -> None:
        self.complaints.append(f"error on the page: {error.error}")

    def _request(self, request: Request) -> None:
        url = urlsplit(request.url)
        if url.hostname != _OURS and (url.hostname or url.scheme not in _WITHOUT_A_HOST):
            self.complaints.append(f"request to a foreign host: {request.url}")

    def _failed(self, request: Request) -> None:
        if request.failure != _GIVEN_UP:
            self.complaints.append(f"request that failed: {request.url} ({request.failure})")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self.complaints.append(f"answer {response.status}: {response.url}")


@contextmanager
def watched(browser: Browser, watch: Watch, **options: Any) -> Iterator[BrowserContext]:
    """A context as a fresh browser has it; whoever waits on its pages waits for ten seconds at most."""
    context = browser.new_context(**{"timezone_id": "UTC", "locale": "en-GB", **options})
    context.set_default_timeout(10_000)
    watch.over(context)
    yield context
    context.close()


def violations(page: Page) -> list[str]:
    """What axe-core finds against a page."""
    if not AXE.exists():
        lacking("There is no axe-core. Install npm (Debian: npm), then: make install.")
    # Not by a script element, which the page's own policy would forbid.
    page.evaluate(AXE.read_text())
    return page.evaluate(_VIOLATIONS)
