"""What goes wrong on a page is seen, and where there is no browser it is said."""

from __future__ import annotations

from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from rocket_assets_tests.browser.chromium import Watch, executable, violations, watched

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def complaints(browser: Browser, address: str) -> list[str]:
    watch = Watch()
    with watched(browser, watch) as context:
        page = context.new_page()
        page.goto(address)
        page.wait_for_load_state("networkidle")
    return watch.complaints


def written(tmp_path: Path, body: str) -> str:
    path = tmp_path / "page.html"
    path.write_text(f"<!doctype html><html lang=en><title>A page</title><main><h1>A page</h1>{body}</main>")
    return path.as_uri()


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("<script>console.error('so it is')</script>", "error in the console: so it is"),
        ("<script>throw new Error('so it is')</script>", "error on the page: so it is"),
        ("<img src=missing.png alt=''>", "request that failed: file:"),
        ("<img src=http://example.com/a.png alt=''>", "request to a foreign host: http://example.com/a.png"),
        ("<link rel=stylesheet href=//127.0.0.2/a.css>", "request to a foreign host: file://127.0.0.2/a.css"),
    ],
    ids=["console", "exception", "missing", "foreign", "no scheme"],
)
def test_what_goes_wrong_on_a_page_is_seen(browser: Browser, tmp_path: Path, body: str, complaint: str) -> None:
    assert [one for one in complaints(browser, written(tmp_path, body)) if one.startswith(complaint)]


def test_an_answer_that_is_an_error_is_seen(browser: Browser) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            address = f"http://127.0.0.1:{server.server_port}/nowhere"
            assert f"answer 404: {address}" in complaints(browser, address)
        finally:
            server.shutdown()
            thread.join()


def test_of_a_page_on_which_all_is_well_nothing_is_said(browser: Browser, tmp_path: Path) -> None:
    body = "<img src='data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=' alt=''><script>console.log(1)</script>"
    assert complaints(browser, written(tmp_path, body)) == []


def test_a_barrier_is_found(browser: Browser, tmp_path: Path) -> None:
    with watched(browser, Watch()) as context:
        page = context.new_page()
        page.goto(written(tmp_path, "<img src='data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA='>"))
        (found,) = violations(page)
        assert found.startswith("critical: image-alt")
        page.goto(written(tmp_path, "<p>Nothing else.</p>"))
        assert violations(page) == []


@pytest.mark.parametrize(("wanted", "outcome"), [("", pytest.skip.Exception), ("required", pytest.fail.Exception)])
def test_without_a_browser_tests_skip_unless_one_is_required_and_say_what_to_install(
    monkeypatch: pytest.MonkeyPatch, wanted: str, outcome: type[Exception]
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CHROMIUM", "/nowhere")
    monkeypatch.setenv("ROCKET_ASSETS_BROWSER", wanted)
    with pytest.raises(outcome, match="Install Chromium"):
        executable()
