"""Archives to make galleries of, and pages as a browser reads them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from html.parser import HTMLParser
from typing import Any

from rocket_assets.archive import Archive
from rocket_assets.bringing import bring_images
from rocket_assets.gallery.site import Gallery, MadeMonth
from rocket_assets.images import ImageLibrary
from rocket_assets.launches import parse
from rocket_assets.months import read_month
from rocket_assets.storage import Storage
from rocket_assets_tests.scripted_server import Answer, Request, ScriptedServer
from rocket_assets_tests.test_images import picture

DECEMBER = date(2024, 12, 1)
SUCCESS, FAILURE, PARTIAL, GO, TBD = (
    {"id": number, "abbrev": words}
    for number, words in ((3, "Success"), (4, "Failure"), (7, "Partial Failure"), (1, "Go"), (2, "TBD"))
)

Row = dict[str, Any]


def row(number: int, net: str = "2024-12-05T16:05:00Z", **other: Any) -> Row:
    """A launch that has flown."""
    return {
        "id": str(uuid.UUID(int=number)),
        "name": f"Rocket | Mission {number}",
        "net": net,
        "net_precision": {"id": 1},
        "status": SUCCESS,
    } | other


def image(url: str, licence: str | None = None, credit: str | None = None, link: str | None = None) -> Row:
    """A picture as 2.3.0 names it."""
    return {"image_url": url, "credit": credit, "license": {"name": licence, "link": link}}


def _shade(request: Request) -> Answer:
    """A picture for each path /<number>, 404 for any other."""
    name = request.path.strip("/")
    return Answer(body=picture("PNG", int(name))) if name.isdigit() else Answer(404)


@contextmanager
def pictures() -> Iterator[ScriptedServer]:
    """A server with a picture under each number."""
    with ScriptedServer(_shade) as server:
        yield server


def bring(storage: Storage, rows: Iterable[Row], days: Iterable[date] = (), *, with_pictures: bool = True) -> Archive:
    """Store launches, each on its day, and these days without any; then their pictures."""
    archive, of_day = Archive(storage), {day: [] for day in days}
    for one in rows:
        launch = parse(one, "here")
        of_day.setdefault(launch.day, []).append(launch)
    for day, launches in of_day.items():
        archive.write_launches(day, "here", launches)
    if with_pictures:
        with ImageLibrary(storage, api_url="http://127.0.0.1/", retries=0) as library:
            for _ in bring_images(archive, of_day, library):
                pass
    return archive


def make(storage: Storage, first: date = DECEMBER, licences: Iterable[str] = ()) -> MadeMonth:
    """Make the page of a month."""
    return Gallery(storage, tuple(licences)).make_month(read_month(Archive(storage), first))


@dataclass
class Element:
    """An element of a page: its tag, its attributes, and all text in it."""

    tag: str
    attributes: dict[str, str]
    text: str = ""
    inside: list[Element] = field(default_factory=list)

    def all(self, tag: str, css_class: str | None = None) -> list[Element]:
        """The elements in it, itself included, with this tag and class."""
        classes = self.attributes.get("class", "").split()
        fits = self.tag == tag and (css_class is None or css_class in classes)
        return ([self] if fits else []) + [found for one in self.inside for found in one.all(tag, css_class)]

    def one(self, tag: str, css_class: str | None = None) -> Element:
        """The only such element in it."""
        (found,) = self.all(tag, css_class)
        return found

    @property
    def words(self) -> str:
        """Its text on one line."""
        return " ".join(self.text.split())


_EMPTY = {"meta", "link", "img", "br", "hr", "input"}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("page", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"{tag} has an attribute twice: {attrs}"
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].inside.append(element)
        if tag not in _EMPTY:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].inside.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"{tag} ends in {self.open[-1].tag}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text += data


def parsed(page: str | bytes) -> Element:
    """A page as a browser reads it; every element is closed where it should be."""
    reader = _Reader()
    reader.feed(page if isinstance(page, str) else page.decode())
    reader.close()
    assert len(reader.open) == 1, f"not closed: {[element.tag for element in reader.open]}"
    return reader.open[0]


def page_of(storage: Storage, key: str) -> Element:
    """A stored page."""
    return parsed(storage.read(key))
