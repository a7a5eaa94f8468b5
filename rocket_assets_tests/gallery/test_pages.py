"""What stands on the pages, and that no text of a stranger ever leaves its element."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rocket_assets.archive import Entry
from rocket_assets.gallery import pages
from rocket_assets.gallery.cards import NONE_NAMED, Card, Thumbnail, cards
from rocket_assets.gallery.licences import Licences
from rocket_assets.gallery.pages import Tally, index_page, month_page, next_page, planned, sources, style_sheet
from rocket_assets.gallery.summaries import Summary, summarise
from rocket_assets.launches import Outcome, days_between, parse
from rocket_assets.months import Month, Shown
from rocket_assets_tests.gallery.archives import DECEMBER, FAILURE, GO, PARTIAL, Element, Row, parsed, row

SHA = "ab" * 32
DAYS = list(days_between(DECEMBER, date(2024, 12, 31)))


def entry_of(launch_id: str, **other: str | None) -> Entry:
    """A manifest's entry with a picture."""
    entry = Entry(launch_id, "name", "http://here/a.png", file="a.png", sha256=SHA, bytes=9)
    return replace(entry, **{"format": "png", "width": 1920, "height": 1280} | other)


def shown(*rows: Row, **entry: str | None) -> list[Shown]:
    """Launches, each with a picture."""
    launches = [parse(one, "here") for one in rows]
    return [Shown(launch, entry_of(launch.id, **entry)) for launch in launches]


def carded(launches: list[Shown]) -> list[Card]:
    """Their cards."""
    thumbnails = {one.entry.sha256: Thumbnail(480, 320) for one in launches if one.entry and one.entry.sha256}
    return cards(launches, Licences(), thumbnails, "2024-12")


def page(launches: list[Shown], days: list[date] = DAYS) -> Element:
    """The page of December 2024."""
    return parsed(month_page(Month(DECEMBER, days, launches), carded(launches)))


def summary(month: str, *rows: Row, days: int = 31, sha256: str = SHA) -> Summary:
    """The summary of a month in which these launches stand."""
    made = [replace(card, month=month) for card in carded(shown(*rows, sha256=sha256))]
    return summarise(month, days, 31, made, set())


# A month


def test_a_launch_has_all_that_is_known_of_it() -> None:
    known = row(
        1,
        url="https://here/launches/1/",
        rocket={"configuration": {"full_name": "Rocket Block 5"}},
        pad={"name": "SLC-40", "location": {"name": "Cape Canaveral"}},
        launch_service_provider={"name": "SpaceX"},
        mission={"name": "M", "type": "Science", "orbit": {"name": "Orbit"}, "description": "It flies. " * 40},
        status=PARTIAL,
    )
    launch = page(shown(known, credit="A Photographer", licence="CC BY", licence_url="https://cc/by")).one(
        "li", "launch"
    )
    assert launch.one("h3").text == "Rocket | Mission 1"
    assert launch.one("time").words == "5 December 2024, 16:05 UTC"
    assert launch.one("time").attributes["datetime"] == "2024-12-05"
    assert launch.one("span", "partial-failure").words == "Partial failure"
    assert [dt.words for dt in launch.all("dt")] == ["Rocket", "Mission", "Purpose", "Orbit", "Provider", "Pad"]
    assert [dd.words for dd in launch.all("dd")] == [
        "Rocket Block 5",
        "M",
        "Science",
        "Orbit",
        "SpaceX",
        "SLC-40, Cape Canaveral",
    ]
    assert launch.one("details").one("p").words == " ".join(["It flies."] * 40)
    assert launch.one("figcaption").words == "A Photographer · CC BY"
    to = [(link.attributes["href"], link.words) for link in launch.all("a")]
    assert to == [
        ("../../images/2024/2024-12-05/a.png", ""),
        ("https://cc/by", "CC BY"),
        ("https://here/launches/1/", "Launch Library: Rocket | Mission 1"),
    ]
    image = launch.one("img").attributes
    assert image["src"] == f"../../gallery/thumbnails/ab/{SHA}.webp"
    assert (image["width"], image["height"]) == ("480", "320")
    assert image["alt"] == "Picture of Rocket | Mission 1, whole: 1,920 by 1,280 pixels"


def test_a_short_description_is_not_folded() -> None:
    launch = page(shown(row(1, mission={"description": "It flies."}))).one("li", "launch")
    assert (launch.one("p", "about").words, launch.all("details")) == ("It flies.", [])


def test_a_picture_that_nobody_signed_says_so() -> None:
    assert page(shown(row(1))).one("figcaption").words == "credit unknown · licence unknown"
    assert page(shown(row(1), licence="Unknown")).one("figcaption").words == "credit unknown · licence unknown"


def test_only_the_first_pictures_are_loaded_before_they_are_seen() -> None:
    images = page(shown(*(row(n) for n in range(6)))).all("img")
    assert [image.attributes.get("loading") for image in images] == [None] * 3 + ["lazy"] * 3


def test_a_launch_without_a_picture_has_a_drawing_and_the_reason() -> None:
    launches = [
        Shown(parse(row(1), "here"), Entry("1", "name", reason="The Launch Library names no picture for this launch."))
    ]
    launch = page(launches).one("li", "launch")
    assert launch.all("img") == []
    assert launch.one("div", "empty").words == NONE_NAMED
    assert launch.one("div", "empty").one("svg").attributes["aria-hidden"] == "true"


def test_launches_without_a_day_of_their_own_stand_below_the_others() -> None:
    made = page(shown(row(1), row(2, "2024-12-31T00:00:00Z", net_precision={"id": 7})))
    dated, undated = made.all("section")
    assert (dated.one("h2").words, dated.one("h3").text) == ("On their day", "Rocket | Mission 1")
    assert (undated.one("h2").words, undated.one("h3").text) == ("Not known to the day", "Rocket | Mission 2")
    assert undated.one("time").words == "in December 2024"


@pytest.mark.parametrize(
    ("rows", "days", "said"),
    [
        ([row(1), row(2, status=FAILURE)], DAYS, "2 launches 1 success 1 failure"),
        ([row(1)], DAYS[:28], "1 launch 1 success Only 28 of the 31 days of this month have been brought."),
        ([], DAYS, "No launch."),
        ([], [], "No day of this month has been brought."),
    ],
)
def test_a_month_says_what_is_in_it_and_what_is_missing(rows: list[Row], days: list[date], said: str) -> None:
    head = page(shown(*rows), days).one("div", "head")
    assert head.words == f"December 2024 {said}"


def test_a_month_leads_to_its_year_and_to_the_months_beside_it() -> None:
    links = page([]).one("nav", "neighbours").all("a")
    assert [(link.attributes["href"], link.words) for link in links] == [
        ("../../gallery/index.html#y2024", "All of 2024"),
        ("../2024/2024-11.html", "← November 2024"),
        ("../2025/2025-01.html", "January 2025 →"),
    ]


def test_the_style_sheet_hides_the_links_to_months_that_are_not_there_and_no_others() -> None:
    hidden = re.findall(r'a\[href\$="/(.*?)\.html"\]', style_sheet([date(2024, 11, 1), DECEMBER, date(2026, 1, 1)]))
    assert hidden == ["2024-10", "2025-01", "2025-12", "2026-02"]


@pytest.mark.parametrize(("first", "absent"), [(date(1, 1, 1), "January 1"), (date(9999, 12, 1), "December 9999")])
def test_a_month_at_the_end_of_the_calendar_has_one_neighbour(first: date, absent: str) -> None:
    made = parsed(month_page(Month(first, [], []), []))
    assert made.one("h1").words == absent
    assert len(made.one("nav", "neighbours").all("a")) == 2
    assert style_sheet([first]).count("neighbours a[href") == 1


# Texts of strangers

TEXTS = st.text(st.characters(), min_size=1, max_size=60) | st.sampled_from(
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "'><b>",
        "]]><!--",
        "{{ 7 * 7 }}{% raw %}",
        "&lt;b&gt;",
        "a" * 1000,
        "\u05d0\u05d1 | \u05d2",
        "\ud800",
        "x\u202ey",
    ]
)


@given(text=TEXTS, is_long=st.booleans())
@example(text="</title></script></details>", is_long=True)
@example(text="</title></script></details>", is_long=False)
@example(text=" ", is_long=False)
@settings(max_examples=80, deadline=None)
def test_no_text_ever_leaves_its_element(text: str, is_long: bool) -> None:
    said = row(
        1,
        name=f"{text} | {text}",
        url=f"https://here/{text}",
        rocket={"configuration": {"full_name": text}},
        pad={"name": text, "location": {"name": text}},
        launch_service_provider={"name": text},
        mission={
            "name": text,
            "type": text,
            "description": f"{text} {'about ' * 40}" if is_long else text,
            "orbit": {"name": text},
        },
        status={"id": 1, "abbrev": text},
    )
    (hostile,) = shown(said, credit=text, licence=text, licence_url=f"https://here/{text}")
    card = carded([hostile])[0]
    made = page([hostile])
    launch = made.one("li", "launch")
    assert launch.one("h3").text == card.name
    assert [dd.text for dd in launch.all("dd")] == [words for _, words in card.facts]
    assert launch.one("img").attributes["alt"].startswith(f"Picture of {card.name}, whole:")
    folded = [paragraph.text for details in launch.all("details") for paragraph in details.all("p")]
    about = [paragraph.text for paragraph in launch.all("p") if paragraph.attributes.get("class") == "about"]
    # Once, or nowhere where there is none.
    assert folded + about == ([card.description] if card.description else [])
    assert launch.one("span", "open").text.strip() == card.status
    assert launch.one("figcaption").words.startswith(f"{(card.picture and card.picture.credit) or 'credit unknown'} · ")
    brief = summarise("2024-12", 31, 31, [replace(card, outcome=Outcome.SUCCESS), card], set())
    for other in (made, parsed(index_page([brief], [])), parsed(next_page([brief], []))):
        for element in _all(other):
            assert element.tag in OURS
            assert not {name for name in element.attributes if name.startswith("on") or name == "style"}
            assert re.match(r"https?://|\.\./|#|data:image/svg", element.attributes.get("href", "#"))


TEMPLATES = Path(pages.__file__).parent.glob("templates/*.jinja")
OURS = {"page"} | {tag for template in TEMPLATES for tag in re.findall(r"<([a-z][a-z0-9]*)", template.read_text())}
"""The tags that our templates have."""


def _all(element: Element) -> list[Element]:
    return [element, *(found for one in element.inside for found in _all(one))]


# What all pages have

PAGES = {
    "month": lambda: month_page(Month(DECEMBER, DAYS, shown(row(1))), carded(shown(row(1)))),
    "index": lambda: index_page([summary("1957-10", row(2)), summary("2024-12", row(1))], [date(2024, 1, 1)]),
    "next": lambda: next_page([summary("2024-12", row(1, status=GO))], [date(2024, 1, 1)]),
    "empty index": lambda: index_page([], []),
    "empty next": lambda: next_page([], []),
    "empty month": lambda: month_page(Month(DECEMBER, [], []), []),
}


@pytest.mark.parametrize("kind", PAGES)
def test_a_page_can_be_read_by_anyone_and_asks_nobody_for_anything(kind: str) -> None:
    made = parsed(PAGES[kind]())
    assert made.one("html").attributes["lang"] == "en"
    assert made.one("title").words
    assert len(made.all("h1")) == len(made.all("main")) == len(made.all("footer")) == 1
    levels = [int(one.tag[1]) for one in _all(made) if re.fullmatch("h[1-6]", one.tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert made.all("a")[0].attributes["href"] == f"#{made.one('main').attributes['id']}"
    ids = [one.attributes["id"] for one in _all(made) if "id" in one.attributes]
    assert len(ids) == len(set(ids))
    assert made.all("script") == made.all("style") == []
    asked = [one.attributes["src"] for one in _all(made) if "src" in one.attributes]
    asked += [one.attributes["href"] for one in made.all("link")]
    assert not [address for address in asked if not address.startswith(("../", "data:image/svg+xml,"))]
    assert all("alt" in image.attributes and "width" in image.attributes for image in made.all("img"))
    assert "default-src 'none'" in made.all("meta")[1].attributes["content"]
    assert "thespacedevs.com" in made.one("footer").one("a").attributes["href"]
    for one in _all(made):
        for name in ("aria-labelledby", "aria-describedby"):
            assert one.attributes.get(name, ids[0]) in ids


# The index


def test_the_index_counts_all_years_newest_first_on_one_scale() -> None:
    made = parsed(
        index_page(
            [
                summary("1957-10", row(1)),
                summary("2024-11", row(2), row(3, status=FAILURE)),
                summary("2024-12", row(4, status=GO), row(5), days=28),
            ],
            [],
        )
    )
    assert made.one("div", "head").words.startswith(
        "Rocket launches 1957\N{EN DASH}2024 5 launches, 5 pictures. 3 successes 1 failure 1 still open"
    )
    years = made.all("section", "year")
    assert [year.attributes["id"] for year in years] == ["y2024", "y1957"]
    assert years[0].one("div", "year-head").words == "2024 4 launches 2 successes 1 failure 1 still open"
    lengths = [[float(part.attributes["width"]) for part in year.one("svg", "bar").inside] for year in years]
    assert lengths == [[500, 250, 250], [250]]
    months = years[0].one("ol", "months").all("li")
    assert [month.words for month in months[-3:]] == [
        "October \N{EN DASH}",
        "November 2 launches",
        "December 2 launches 28 of 31 days",
    ]
    assert [link.attributes["href"] for link in years[0].one("ol", "months").all("a")] == [
        "../gallery/2024/2024-11.html",
        "../gallery/2024/2024-12.html",
    ]


def test_the_parts_of_a_bar_are_told_apart_without_colour() -> None:
    rows = [row(1), row(2, status=FAILURE), row(3, status=PARTIAL), row(4, status=GO)]
    bar = parsed(index_page([summary("2024-12", *rows)], [])).one("svg", "bar")
    looks = [part.attributes.get("fill") or part.attributes["class"] for part in bar.inside]
    assert looks == ["success", "url(#hatched-partial-failure)", "failure", "url(#hatched-open)"]


def test_a_picture_on_the_index_leads_to_its_launch_and_bears_its_credit() -> None:
    made = parsed(index_page([summary("2024-12", row(1))], []))
    glimpse = made.all("ul", "glimpses")[0].one("li")
    assert glimpse.all("a")[0].attributes["href"] == f"../gallery/2024/2024-12.html#launch-{row(1)['id']}"
    assert glimpse.one("img").attributes["alt"] == "Rocket | Mission 1, 5 December 2024, 16:05 UTC"
    assert glimpse.one("span", "credit").words == "credit unknown · licence unknown"


def test_a_year_shows_what_no_newer_one_does_and_if_it_can_not_what_they_do() -> None:
    months = [
        summary("1957-10", row(1), sha256="aa"),
        summary("2023-12", row(2), sha256="bb"),
        summary("2024-11", row(3), sha256="aa"),
        summary("2024-12", row(4), sha256="bb"),
        summary("2025-01", row(5), sha256="bb"),
    ]
    years = parsed(index_page(months, [])).all("section", "year")
    told = [[image.attributes["src"][-7:-5] for image in year.all("img")] for year in years]
    assert told == [["bb"], ["aa"], ["bb"], ["aa"]]


def test_a_history_of_seventy_years_stays_light() -> None:
    months = [
        summary(f"{year}-{month:02}", *(row(n) for n in range(3)), sha256=f"{year:04}{month:02}")
        for year in range(1957, 2027)
        for month in range(1, 13)
    ]
    made = index_page(months, [])
    assert len(made) < 600_000
    images = parsed(made).all("img")
    assert len(images) <= 5 + 70 * 5
    assert sum("loading" not in image.attributes for image in images) == 5
    assert {image.attributes["src"].split("/")[2] for image in images} == {"thumbnails"}


@pytest.mark.parametrize("render", [index_page, next_page])
def test_a_month_whose_summary_is_damaged_is_named(
    render: Callable[[list[Summary], list[date]], str],
) -> None:
    made = parsed(render([summary("2024-12", row(1))], [date(1957, 10, 1), date(2024, 2, 1)]))
    assert [one.words for one in made.one("div", "note").all("li")] == ["October 1957", "February 2024"]


def test_a_year_of_which_all_is_damaged_is_on_the_index() -> None:
    (year,) = parsed(index_page([], [date(1957, 10, 1)])).all("section", "year")
    assert year.one("ol", "months").all("li")[9].words == "October damaged"


# The next launches


def test_what_is_to_come_is_open_and_not_before_the_newest_outcome() -> None:
    months = [
        summary("2024-11", row(1, "2024-11-01T00:00:00Z", status=GO), row(2, "2024-11-02T00:00:00Z")),
        summary(
            "2024-12",
            row(3, "2024-12-05T00:00:00Z"),
            row(4, "2024-12-05T00:00:00Z", status=GO),
            row(5, "2024-12-04T23:59:59Z", status=GO),
            row(6, "2024-12-31T00:00:00Z", status=GO, net_precision={"id": 7}),
        ),
        summary("2025-01", row(7, "2025-01-15T00:00:00Z", status=GO)),
    ]
    known = planned(months)
    assert [card.name[-1] for card in known.to_come] == ["4", "7", "6"]
    assert [card.name[-1] for card in known.overdue] == ["1", "5"]
    to_come, overdue = parsed(next_page(months, [])).all("section")
    assert [one.text[-1] for one in to_come.all("h3")] == ["4", "7", "6"]
    assert (overdue.one("h2").words, len(overdue.all("h3"))) == ("Outcome not known yet", 2)
    assert to_come.all("a")[-1].attributes["href"].startswith("../gallery/2024/2024-12.html#launch-")


def test_an_archive_in_which_nothing_has_ended_is_all_to_come() -> None:
    assert len(planned([summary("2024-12", row(1, status=GO))]).to_come) == 1


def test_when_nothing_is_to_come_the_page_says_so() -> None:
    made = parsed(next_page([summary("2024-12", row(1))], []))
    assert made.one("div", "head").words == (
        "Next launches No launch in the archive is still to come. "
        "So it was when the newest outcome here, that of 5 December 2024, was known."
    )
    assert made.all("section") == []


# What decides how a page looks


def test_a_tally_in_words() -> None:
    counted = {Outcome.SUCCESS: 1200, Outcome.FAILURE: 1}
    assert Tally(counted).in_words == "1,201 launches: 1,200 successes, 1 failure"
    assert Tally({}).in_words == "0 launches"


def test_the_sources_of_a_page_have_one_digest() -> None:
    assert re.fullmatch("[0-9a-f]{64}", sources())


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["ink", "soft", "link", "success", "partial-failure", "failure", "open"])
@pytest.mark.parametrize("ground", ["paper", "mat"])
def test_every_colour_of_a_text_can_be_read_on_its_ground(scheme: int, name: str, ground: str) -> None:
    """By the contrast that WCAG wants of small text."""
    block = re.findall(r":root \{(.*?)\}", style_sheet([]), re.DOTALL)[scheme]
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
    darker, lighter = sorted(_luminance(colours[one]) for one in (name, ground))
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5
