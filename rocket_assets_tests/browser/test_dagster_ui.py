"""The project in Dagster's own UI, as a person sees it who clicks: two weeks of the sample library."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rocket_assets.definitions import defs
from rocket_assets.gallery.server import GalleryServer
from rocket_assets.sample_library.server import LibraryServer
from rocket_assets.storage import Storage
from rocket_assets.table import COLUMNS
from rocket_assets_tests.browser import screenshots
from rocket_assets_tests.browser.screenshots import around
from rocket_assets_tests.daemon import Home, Homes

if TYPE_CHECKING:
    from playwright.sync_api import FloatRect, Locator, Page

    from rocket_assets_tests.browser.conftest import NewPage

pytestmark = pytest.mark.slow

FIRST, LAST = "2024-12-01", "2024-12-14"
BY_COMMAND = (FIRST, "2024-12-11")
BY_CLICKING = ("2024-12-12", LAST)
DAY = "2024-12-05"
"""Has five launches, each with a picture in another format or of another size."""

SPECS = {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}
GRAPH = defs.resolve_asset_graph()
CHECKS = sorted((key.asset_key.to_user_string(), key.name) for key in GRAPH.asset_check_keys)

_LONG = 120_000
"""Milliseconds for what the daemon does, which looks for backfills every 30 seconds."""

_ENDS = """(paths) => paths.map(path => [0, path.getTotalLength()].map(length => {
    const {x, y} = path.getPointAtLength(length).matrixTransform(path.getScreenCTM());
    return [x, y];
}))"""


@dataclass(frozen=True)
class Interface:
    """The UI at an address, and what is behind it."""

    url: str
    home: Home


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interface]:
    folder = tmp_path_factory.mktemp("ui")
    with (
        LibraryServer() as library,
        Homes(folder) as homes,
        GalleryServer(Storage(str(folder / "home" / "data"))) as gallery,
    ):
        home = homes.make(
            "home",
            library,
            ROCKET_ASSETS_START_DATE=FIRST,
            ROCKET_ASSETS_END_DATE=LAST,
            ROCKET_ASSETS_POLL_SECONDS="86400",
            ROCKET_ASSETS_GALLERY_URL=gallery.url,
        )
        home.command("backfill", *BY_COMMAND)
        with home.interface() as url:
            yield Interface(url, home)


def button(within: Page | Locator, name: str) -> Locator:
    """A button by the end of its name; before it stands the name of its icon, if it has one."""
    return within.get_by_role("button", name=re.compile(rf"(^|\s){re.escape(name)}$"))


def tab(page: Page, name: str) -> Locator:
    """A tab of the page of an asset."""
    return page.get_by_role("tab", name=name, exact=True)


def entry(page: Page, name: str, number: int = 0) -> Locator:
    """An entry of a list of days or checks. A long name is shortened; the whole of it is beside it, unseen."""
    return page.get_by_text(name, exact=True).nth(number).locator("..")


def in_the_graph(page: Page, ui: Interface) -> dict[str, FloatRect]:
    """Where on the page of the graph each asset stands."""
    page.goto(ui.url)
    page.get_by_role("link", name="Lineage").click()
    boxes = {}
    for name in SPECS:
        node = page.locator("foreignObject").filter(has=page.get_by_text(name, exact=True))
        node.wait_for()
        box = node.bounding_box()
        assert box
        boxes[name] = box
    return boxes


def edges(page: Page, boxes: dict[str, FloatRect]) -> set[tuple[str, ...]]:
    """The edges of the graph as they are drawn: from where to where an arrow goes, and on whose box that lies."""

    def owner(x: float, y: float) -> str:
        wide = {name: around(box, margin=9) for name, box in boxes.items()}
        (found,) = [
            name
            for name, box in wide.items()
            if box["x"] <= x <= box["x"] + box["width"] and box["y"] <= y <= box["y"] + box["height"]
        ]
        return found

    return {tuple(owner(*end) for end in ends) for ends in page.locator("path[marker-end]").evaluate_all(_ENDS)}


def open_partition(page: Page, ui: Interface, asset: str, partition: str) -> None:
    """The page of a day or a month, the way that one goes there."""
    page.goto(f"{ui.url}/assets/{asset}")
    tab(page, "Partitions").click()
    # The ends of the bar above the list bear the names of the first and the last, too.
    entry(page, partition, number=-1).click()
    page.get_by_text("Metadata", exact=True).wait_for()


def test_a_backfill_launched_by_clicking_brings_its_days(page: Page, ui: Interface) -> None:
    page.goto(f"{ui.url}/assets/launches")
    button(page, "Materialize…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox").fill(f"[{BY_CLICKING[0]}...{BY_CLICKING[1]}]")
    dialog.get_by_role("textbox").press("Enter")
    dialog.get_by_text("3 partitions").wait_for()
    button(dialog, "Launch backfill").click()
    page.get_by_role("region", name="Notifications").get_by_role("link", name="View").click()
    page.get_by_text("100% completed").wait_for(timeout=_LONG)
    page.get_by_text("Succeeded", exact=True).first.wait_for(timeout=_LONG)

    page.get_by_role("link", name="launches").last.click()
    tab(page, "Partitions").click()
    page.get_by_text("Materialized (14)").wait_for()
    page.get_by_text("Missing (0)").wait_for()
    brought = [ui.home.archive.read_launches(date.fromisoformat(day)) for day in BY_CLICKING]
    assert [len(launches) for launches in brought] == [1, 1]


def test_the_page_of_a_day_shows_its_pictures_without_a_click_and_its_table(new_page: NewPage, ui: Interface) -> None:
    page = new_page(viewport={"width": 1280, "height": 1100}, device_scale_factor=screenshots.scale())
    open_partition(page, ui, "launch_images", DAY)
    # Their names stand below them, so that they have none of their own, and with it no role.
    pictures = page.get_by_role("cell").locator("img")
    pictures.first.wait_for()
    assert [width > 0 for width in pictures.evaluate_all("(all) => all.map(one => one.naturalWidth)")] == [True] * 5
    # To the letter, though the underscore means something in Markdown.
    credits = page.get_by_role("row", name="picture 1").get_by_text("rocket_assets sample library", exact=True)
    assert credits.count() == 1
    entries = ui.home.archive.read_manifest(date.fromisoformat(DAY)).entries
    rows = page.get_by_role("table").last.get_by_role("row")
    assert [rows.filter(has_text=entry.file or "").count() for entry in entries] == [1] * 5
    if screenshots.folder():
        # The pictures of the days that were brought by clicking follow.
        page.get_by_text("Materialized (14)").wait_for(timeout=_LONG)
        beside_the_menu: FloatRect = {"x": 240, "y": 0, "width": 1040, "height": 0}
        row = page.get_by_role("row", name="picture 3").bounding_box()
        screenshots.keep(page, "day.png", {**beside_the_menu, "height": around(row)["y"] + around(row)["height"]})


@pytest.mark.parametrize("asset", sorted({asset for asset, _ in CHECKS}))
def test_the_checks_of_an_asset_are_shown(page: Page, ui: Interface, asset: str) -> None:
    page.goto(f"{ui.url}/assets/{asset}")
    tab(page, "Checks").click()
    names = [name for of, name in CHECKS if of == asset]
    page.get_by_text(f"Checks ({len(names)})").wait_for()
    for name in names:
        entry(page, name).click()
        page.get_by_text("About", exact=True).wait_for()
    if SPECS[asset].partitions_def:
        assert page.get_by_text("Succeeded", exact=True).count() == len(names)


def test_the_page_of_the_table_says_what_each_column_means(page: Page, ui: Interface) -> None:
    page.goto(f"{ui.url}/assets/launch_table")
    table = page.get_by_role("table").filter(has=page.get_by_role("cell", name="Column name"))
    table.get_by_text(COLUMNS[-1].meaning).wait_for()
    rows = [re.split(r"\n+\s*", row) for row in table.get_by_role("row").all_inner_texts()[1:]]
    assert [(row[0].strip(), row[-1].strip()) for row in rows] == [(column.name, column.meaning) for column in COLUMNS]


@pytest.mark.parametrize(
    ("asset", "partition"),
    [("launches", DAY), ("launch_images", DAY), ("launch_gallery", FIRST)],
    ids=lambda each: each,
)
def test_the_link_to_the_gallery_leads_to_the_month(page: Page, ui: Interface, asset: str, partition: str) -> None:
    open_partition(page, ui, asset, partition)
    link = page.get_by_role("link", name="/gallery/2024/2024-12.html")
    page.goto(link.get_attribute("href") or "")
    page.get_by_role("heading", name="December 2024", level=1).wait_for()


def test_each_launch_of_a_day_links_to_its_page_at_the_api(page: Page, ui: Interface) -> None:
    launches = ui.home.archive.read_launches(date.fromisoformat(DAY))
    open_partition(page, ui, "launches", DAY)
    links = page.get_by_role("row", name="at the Launch Library").get_by_role("link")
    links.first.wait_for()
    addresses = [link.get_attribute("href") for link in links.all()]
    assert addresses == [launch.api_page for launch in launches]
    assert [page.request.get(address or "").json()["name"] for address in addresses] == [one.name for one in launches]


@pytest.mark.parametrize("asset", sorted(key.to_user_string() for key in GRAPH.materializable_asset_keys))
def test_the_page_of_an_asset_links_to_its_source_code(page: Page, ui: Interface, asset: str) -> None:
    page.goto(f"{ui.url}/assets/{asset}")
    link = page.get_by_role("link", name=re.compile("^Open .* in editor$"))
    path, _, line = (link.get_attribute("href") or "").removeprefix("vscode://file/").rpartition(":")
    from_there = Path(path).read_text().splitlines()[int(line) - 1 :]
    assert any(asset in each for each in from_there[:20])


def test_the_graph_shows_every_asset_and_an_edge_for_every_dependency(new_page: NewPage, ui: Interface) -> None:
    page = new_page(viewport={"width": 2200, "height": 1000})
    boxes = in_the_graph(page, ui)
    dependencies = {(dep.asset_key.to_user_string(), name) for name, spec in SPECS.items() for dep in spec.deps}
    assert edges(page, boxes) == dependencies
    if screenshots.folder():
        of_days_or_months = sum(spec.partitions_def is not None for spec in SPECS.values())
        page.get_by_text("100% filled").nth(of_days_or_months - 1).wait_for(timeout=_LONG)
        screenshots.keep(page, "asset-graph.png", around(*boxes.values(), margin=30))
