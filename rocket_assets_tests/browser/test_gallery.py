"""The gallery as it is seen: on desk and phone, light and dark, by keyboard, without scripts, as files and served."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest

from rocket_assets.archive import Archive
from rocket_assets.bringing import bring_images
from rocket_assets.gallery.site import Gallery
from rocket_assets.images import ImageLibrary
from rocket_assets.launch_library import LaunchLibrary
from rocket_assets.launches import days_between
from rocket_assets.months import read_month
from rocket_assets.sample_library import catalogue, vocabulary
from rocket_assets.sample_library.server import LibraryServer
from rocket_assets.storage import Storage
from rocket_assets_tests.browser import screenshots
from rocket_assets_tests.browser.chromium import violations
from rocket_assets_tests.daemon import BIN

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from rocket_assets_tests.browser.conftest import NewPage

DECEMBER = date(2024, 12, 1)
MONTHS = [
    *(date(1957, 10, 1), date(1961, 4, 1), date(1969, 7, 1), date(1981, 4, 1)),
    *(date(2024, 10, 1), date(2024, 11, 1), DECEMBER, date(2025, 11, 1), date(2025, 12, 1)),
]
PLANNED_FROM = "2025-11"
"""What comes from then on has not flown yet, as the library has it here."""

INDEX, MONTH, NEXT = "index.html", "2024/2024-12.html", "next.html"
PAGES = [INDEX, MONTH, NEXT]
DESK, PHONE = {"width": 1280, "height": 920}, {"width": 390, "height": 844}
VIEWPORTS = {"desk": DESK, "phone": PHONE}

slow = pytest.mark.slow
QUICKLY = [(INDEX, "desk", "light"), (MONTH, "phone", "dark"), (NEXT, "phone", "light")]
"""The ways of looking that are for every day; each of the others is for the long tests."""
README = {QUICKLY[0]: "gallery.png", QUICKLY[1]: "gallery-phone.png"}
"""Those that are the pictures of the README."""
WAYS = [
    way if way in QUICKLY else pytest.param(way, marks=slow) for way in product(PAGES, VIEWPORTS, ["light", "dark"])
]

_STOPS = "a[href], summary, button, input, [tabindex='0']"
_FOCUS = """([selector]) => {
    const stop = document.activeElement, {x, y, width, height} = stop.getBoundingClientRect();
    return {
        number: [...document.querySelectorAll(selector)].filter(one => one.checkVisibility()).indexOf(stop),
        is_seen: width > 0 && height > 0 && x < innerWidth && y < innerHeight && x + width > 0 && y + height > 0,
        outline: getComputedStyle(stop).outlineStyle == "none" ? 0 : parseFloat(getComputedStyle(stop).outlineWidth),
    };
}"""
_OVERHANG = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


def _as_of(rows: list[dict[str, Any]], now: object) -> list[dict[str, Any]]:
    planned = {"status": vocabulary.status("Go")}
    return [row | planned if row["net"] >= PLANNED_FROM else row for row in rows]


def _every_month() -> list[date]:
    """Those in which the sample library has launches."""
    return sorted({date.fromisoformat(f"{row['net'][:7]}-01") for row in catalogue.launches("http://here")})


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Some months of the sample library with their gallery."""
    archive = Archive(Storage(str(tmp_path_factory.mktemp("gallery"))))
    gallery = Gallery(archive.storage)
    with (
        LibraryServer(as_of=_as_of) as server,
        LaunchLibrary(server.url) as launches,
        ImageLibrary(archive.storage, api_url=server.url) as pictures,
    ):
        for first in _every_month() if screenshots.folder() else MONTHS:
            after = (first + timedelta(days=31)).replace(day=1)
            for day in launches.days(first, after):
                archive.write_day(day)
            assert not [
                day
                for day in bring_images(archive, days_between(first, after - timedelta(days=1)), pictures)
                if day.error
            ]
            gallery.make_month(read_month(archive, first))
    gallery.make_index()
    return archive


@pytest.fixture
def folder(archive: Archive) -> str:
    """The address of the folder in which the gallery is."""
    return f"{Path(archive.storage.uri).as_uri()}/gallery"


def pictures(within: Page | Locator) -> Locator:
    """The pictures that are shown, and not what is drawn between them."""
    return within.locator("img:visible")


def open_all_pictures(page: Page) -> list[int]:
    """Scroll to each picture of a page and see how wide it is."""
    for picture in pictures(page).all():
        picture.scroll_into_view_if_needed()
    return pictures(page).evaluate_all(
        "async (all) => { for (const one of all) await one.decode(); return all.map(one => one.naturalWidth); }"
    )


@pytest.mark.parametrize("way", WAYS, ids="-".join)
def test_a_page_fits_shows_all_its_pictures_and_is_without_barriers(
    new_page: NewPage, folder: str, way: tuple[str, str, str]
) -> None:
    path, where, scheme = way
    dots = screenshots.scale() if where == "phone" else 1
    page = new_page(viewport=VIEWPORTS[where], color_scheme=scheme, device_scale_factor=dots)
    page.goto(f"{folder}/{path}")
    widths = open_all_pictures(page)
    assert widths
    assert all(widths)
    assert page.evaluate(_OVERHANG) == 0
    assert violations(page) == []
    if way in README:
        page.evaluate("() => scrollTo(0, 0)")
        screenshots.keep(page, README[way])


def test_a_month_shows_each_of_its_launches_with_its_picture_or_a_drawn_one_in_its_place(
    page: Page, folder: str, archive: Archive
) -> None:
    page.goto(f"{folder}/{MONTH}")
    month = read_month(archive, DECEMBER)
    launches = page.get_by_role("main").get_by_role("article")
    assert launches.count() == len(month.launches)
    with_picture = [shown for shown in month.launches if shown.entry and shown.entry.file]
    assert pictures(page).count() == len(with_picture) < len(month.launches)


def test_a_picture_is_one_click_away(page: Page, folder: str, archive: Archive) -> None:
    page.goto(f"{folder}/{MONTH}")
    pictures(page).first.click()
    first = next(shown.entry for shown in read_month(archive, DECEMBER).launches if shown.entry and shown.entry.file)
    page.wait_for_url(re.compile(r"/images/2024/2024-12-\d\d/"))
    assert unquote(page.url).endswith(f"/{first.file}")
    assert pictures(page).evaluate("one => [one.naturalWidth, one.naturalHeight]") == [first.width, first.height]


@pytest.mark.parametrize("path", [INDEX, pytest.param(MONTH, marks=slow), pytest.param(NEXT, marks=slow)])
@pytest.mark.parametrize("where", ["phone", pytest.param("desk", marks=slow)])
def test_a_page_is_walked_through_by_keyboard_in_the_order_in_which_it_is_read(
    new_page: NewPage, folder: str, path: str, where: str
) -> None:
    page = new_page(viewport=VIEWPORTS[where])
    page.goto(f"{folder}/{path}")
    reached = []
    for _ in range(page.locator(_STOPS).filter(visible=True).count()):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(_FOCUS, [_STOPS]))
    assert [stop["number"] for stop in reached] == list(range(len(reached)))
    assert all(stop["is_seen"] and stop["outline"] >= 1 for stop in reached)


@slow
def test_where_the_keyboard_is_can_be_seen(page: Page, folder: str) -> None:
    page.goto(f"{folder}/{INDEX}")
    for _ in range(8):
        page.keyboard.press("Tab")
        there = page.screenshot(caret="hide")
        page.evaluate("() => document.activeElement.blur()")
        assert page.screenshot(caret="hide") != there


def test_the_first_stop_leads_past_what_is_on_every_page(page: Page, folder: str) -> None:
    page.goto(f"{folder}/{MONTH}")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.querySelector('main').contains(document.activeElement)")


@pytest.mark.parametrize("path", [pytest.param(INDEX, marks=slow), MONTH, pytest.param(NEXT, marks=slow)])
def test_a_page_reads_the_same_without_scripts(new_page: NewPage, folder: str, path: str) -> None:
    page, without = new_page(), new_page(java_script_enabled=False)
    for each in (page, without):
        each.goto(f"{folder}/{path}")
    assert len(page.inner_text("body")) > 300
    assert without.inner_text("body") == page.inner_text("body")


@slow
def test_every_month_is_reached_by_clicking_and_every_way_leads_back(page: Page, folder: str) -> None:
    page.goto(f"{folder}/{INDEX}")
    for month in MONTHS:
        link = page.locator(f"#y{month.year}").get_by_role("link", name=re.compile(f"^{month:%B}"))
        link.click()
        page.get_by_role("heading", name=f"{month:%B %Y}", level=1).wait_for()
        page.get_by_role("link", name=f"All of {month.year}").click()
        page.wait_for_url(f"**/{INDEX}#y{month.year}")


def test_every_link_to_a_file_leads_to_one(page: Page, folder: str) -> None:
    for path in PAGES:
        page.goto(f"{folder}/{path}")
        links = page.locator("a[href]:visible").evaluate_all("(all) => all.map(one => one.href)")
        files = {Path(unquote(urlsplit(link).path)) for link in links if link.startswith("file:")}
        assert files
        assert [str(file) for file in files if not file.exists()] == []


@slow
def test_it_is_the_same_when_it_is_served(new_page: NewPage, folder: str, served: str) -> None:
    page, as_file = new_page(), new_page()
    for path in PAGES:
        page.goto(f"{served}gallery/{path}")
        as_file.goto(f"{folder}/{path}")
        assert all(open_all_pictures(page))
        assert page.inner_text("body") == as_file.inner_text("body")
    page.goto(served)
    page.get_by_role("heading", name="Rocket launches", level=1).wait_for()
    pictures(page).first.click()
    page.wait_for_url(re.compile(r"/gallery/\d{4}/\d{4}-\d\d.html|/images/"))


@pytest.fixture
def served(archive: Archive, tmp_path: Path) -> Iterator[str]:
    """The address at which `rocket-assets gallery` serves the gallery."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "ROCKET_ASSETS_STORAGE": archive.storage.uri}
    with subprocess.Popen(
        [BIN / "rocket-assets", "gallery", "--port", "0"], env=environ, stdout=-1, text=True
    ) as command:
        assert command.stdout
        said = re.search(r"http://127\.0\.0\.1:\d+/", command.stdout.readline())
        assert said
        yield said[0]
        command.send_signal(signal.SIGINT)
