"""What stands on the pages of the gallery: the models of their views, and their HTML.

Jinja2 escapes every text that is put into a page. No page asks anything of another host, none runs a script, and none
says when it was made: the same archive gives the same bytes.

A month page links to the months before and after it whether they are there or not, because it must not have to be
written again when another month comes. The style sheet, which the index is made with, hides the links to those that
are not there; a browser without style sheets shows them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from itertools import chain, groupby, zip_longest

from jinja2 import Environment, PackageLoader, StrictUndefined

from rocket_assets import storage as keys
from rocket_assets.documents import digest
from rocket_assets.gallery.cards import Card
from rocket_assets.gallery.summaries import Summary, distinct
from rocket_assets.launches import Outcome
from rocket_assets.months import Month
from rocket_assets.precision import DAY, MONTHS

BAR = 1000
"""Units that the bar of the year with the most launches is long."""

_COLUMN, _GAP, _HEIGHT = 9, 3, 150
"""Units of a year in the chart of all years, and how high it is."""

_NEWEST = 5
_OF_A_YEAR = 5
"""Pictures on the index."""

_WORDS = {
    Outcome.SUCCESS: ("success", "successes"),
    Outcome.PARTIAL_FAILURE: ("partial failure", "partial failures"),
    Outcome.FAILURE: ("failure", "failures"),
    Outcome.OPEN: ("still open", "still open"),
}


@dataclass(frozen=True)
class Segment:
    """A part of a bar: an outcome, where it begins, and how long it is."""

    outcome: Outcome
    start: float
    length: float


@dataclass(frozen=True)
class Tally:
    """How many launches ended how."""

    outcomes: Mapping[Outcome, int]

    @property
    def launches(self) -> int:
        """All of them."""
        return sum(self.outcomes.values())

    @property
    def parts(self) -> list[tuple[Outcome, str]]:
        """Each outcome that there was, in words with its number."""
        return [(outcome, _counted(count, *_WORDS[outcome])) for outcome, count in self._there]

    @property
    def in_words(self) -> str:
        """All of it in one line."""
        parts = ", ".join(words for _, words in self.parts)
        return f"{_counted(self.launches, 'launch', 'launches')}{f': {parts}' if parts else ''}"

    def bar(self, most: int, length: float = BAR) -> list[Segment]:
        """The outcomes behind one another, on a scale on which `most` launches are so long."""
        segments, start = [], 0.0
        for outcome, count in self._there:
            part = count * length / max(most, 1)
            segments.append(Segment(outcome, round(start, 2), round(part, 2)))
            start += part
        return segments

    @property
    def _there(self) -> list[tuple[Outcome, int]]:
        return [(outcome, count) for outcome in Outcome if (count := self.outcomes.get(outcome, 0))]


@dataclass(frozen=True)
class MonthLink:
    """A month on the index: its name, and its summary where it has one."""

    name: str
    key: str
    summary: Summary | None
    is_damaged: bool


@dataclass(frozen=True)
class Year:
    """A year on the index."""

    number: int
    tally: Tally
    months: list[MonthLink]
    pictures: list[Card]

    @property
    def label(self) -> str:
        """The number with all four digits."""
        return f"{self.number:04}"


@dataclass(frozen=True)
class Column:
    """A year in the chart of all years, from the bottom up."""

    x: int
    segments: list[Segment]


@dataclass(frozen=True)
class Chart:
    """The chart of all years, the oldest on the left, each year in its place also where it has no launches."""

    width: int
    height: int
    first: int
    last: int
    most: int
    columns: list[Column]


@dataclass(frozen=True)
class Planned:
    """The launches whose outcome is not known.

    No clock says which of them are still to come. What does is the newest launch whose outcome is known: what is not
    before it is to come; an open one before it has flown, or was given up, and nobody has said so yet.
    """

    to_come: list[Card]
    overdue: list[Card]
    as_of: str | None
    """The day of the newest launch whose outcome is known, in words."""


def name_of(month: date) -> str:
    """A month in words: December 2024."""
    return f"{MONTHS[month.month - 1]} {month.year}"


def month_page(month: Month, cards: Sequence[Card]) -> str:
    """The page of a month."""
    return _render(
        "month.html.jinja",
        root="../../",
        name=name_of(month.first),
        month=month,
        year=f"{month.first:%Y}",
        earlier=_beside(month.first, -1),
        later=_beside(month.first, 1),
        tally=_tally(Counter(card.outcome for card in cards)),
        dated=[card for card in cards if card.is_dated],
        undated=[card for card in cards if not card.is_dated],
    )


def index_page(summaries: Sequence[Summary], damaged: Sequence[date]) -> str:
    """The index: all years, newest first."""
    years = _years(summaries, damaged)
    return _render(
        "index.html.jinja",
        root="../",
        years=years,
        tally=_tally(*(summary.outcomes for summary in summaries)),
        with_picture=sum(summary.with_picture for summary in summaries),
        months=len(summaries),
        planned=len(planned(summaries).to_come),
        newest=distinct([card for summary in reversed(summaries) for card in summary.pictures])[:_NEWEST],
        chart=_chart(years),
        most=max((year.tally.launches for year in years), default=0),
        damaged=damaged,
    )


def next_page(summaries: Sequence[Summary], damaged: Sequence[date]) -> str:
    """The page of the launches that are still to come."""
    return _render("next.html.jinja", root="../", planned=planned(summaries), damaged=damaged)


def planned(summaries: Iterable[Summary]) -> Planned:
    """The launches whose outcome is not known, those last whose day is not meant."""
    known = list(summaries)
    newest = max((summary.newest for summary in known if summary.newest), default="")
    cards = sorted((card for summary in known for card in summary.open), key=lambda card: (not card.is_dated, card.net))
    return Planned(
        to_come=[card for card in cards if card.net >= newest],
        overdue=[card for card in cards if card.net < newest],
        as_of=DAY.in_words(datetime.fromisoformat(newest)) if newest else None,
    )


def style_sheet(months: Iterable[date]) -> str:
    """The style sheet, in which the links to months that are not there are hidden."""
    there = set(months)
    beside = {_beside(month, by) for month in there for by in (-1, 1)}
    absent = sorted(month for month in beside - there if month)
    rules = "".join(f'.neighbours a[href$="/{month:%Y-%m}.html"] {{ display: none; }}\n' for month in absent)
    return _source("gallery.css") + rules


@cache
def sources() -> str:
    """A digest of the templates, the style sheet and the code by which pages are made: here, and how a NET is said."""
    package = files("rocket_assets.gallery")
    parts = [*package.iterdir(), *(package / "templates").iterdir(), files("rocket_assets") / "precision.py"]
    told = [part for part in parts if part.name.endswith((".py", ".jinja", ".css")) and part.name != "server.py"]
    return digest({part.name: part.read_text("utf-8") for part in told})


def _source(name: str) -> str:
    return (files("rocket_assets.gallery") / name).read_text("utf-8")


def _render(template: str, **what: object) -> str:
    return _environment().get_template(template).render(what)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("rocket_assets.gallery"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"number": "{:,}".format, "month_name": name_of, "page": _page}
    environment.globals |= {"outcomes": list(Outcome), "counted": _counted}
    return environment


def _page(month: str) -> str:
    """Where the page of a month is, as an address that begins at the root of the storage."""
    return keys.gallery_page_key(date.fromisoformat(f"{month}-01"))


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def _tally(*outcomes: Mapping[Outcome, int]) -> Tally:
    return Tally(sum((Counter(counted) for counted in outcomes), Counter()))


def _beside(month: date, by: int) -> date | None:
    """The month before or after; None where the calendar ends."""
    number = month.year * 12 + month.month - 1 + by
    year, index = divmod(number, 12)
    return date(year, index + 1, 1) if date.min.year <= year <= date.max.year else None


def _years(summaries: Sequence[Summary], damaged: Sequence[date]) -> list[Year]:
    """Years newest first; no picture twice among them, as long as there are others."""
    of_year = {year: list(found) for year, found in groupby(summaries, key=lambda summary: summary.first.year)}
    taken: set[str] = set()
    return [
        _year(year, of_year.get(year, []), set(damaged), taken)
        for year in sorted(of_year.keys() | {month.year for month in damaged}, reverse=True)
    ]


def _year(number: int, summaries: Sequence[Summary], damaged: set[date], taken: set[str]) -> Year:
    there = {summary.first: summary for summary in summaries}
    months = [date(number, month, 1) for month in range(1, 13)]
    # One of each month before the second of any, so that the year is seen and not its busiest month.
    rounds = zip_longest(*(summary.pictures for summary in reversed(summaries)))
    cards = [card for card in chain.from_iterable(rounds) if card]
    fresh = distinct(cards, taken)
    return Year(
        number,
        _tally(*(summary.outcomes for summary in summaries)),
        [MonthLink(MONTHS[one.month - 1], f"{one:%Y-%m}", there.get(one), one in damaged) for one in months],
        (fresh or distinct(cards))[:_OF_A_YEAR],
    )


def _chart(years: Sequence[Year]) -> Chart | None:
    if not years:
        return None
    first, last = years[-1].number, years[0].number
    most = max(1, *(year.tally.launches for year in years))
    columns = [
        Column((year.number - first) * (_COLUMN + _GAP), year.tally.bar(most, _HEIGHT)) for year in reversed(years)
    ]
    return Chart((last - first + 1) * (_COLUMN + _GAP) - _GAP, _HEIGHT, first, last, most, columns)
