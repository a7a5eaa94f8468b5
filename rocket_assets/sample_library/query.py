"""What a client may ask of the launches: filters, search and order, with the API's own words for what it cannot read.

Everything here is a pure function of rows and parameters. A parameter that is unknown is ignored, as the API does,
and so is a filter on something that a row of an older version does not tell. Paging belongs in paging.py.
"""

import operator
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

Row = dict[str, Any]
Test = Callable[[Row], bool]

_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})?)?")
_COMPARE = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}
_ORDERINGS = ("id", "name", "net", "last_updated")
_BAD_MOMENT = "Enter a valid date/time."
_BAD_NUMBER = "Enter a number."
_BAD_UUID = "Enter a valid UUID."


class BadQueryError(ValueError):
    """Parameters that cannot be read; `problems` is the body of the answer, a list of sentences for each parameter."""

    def __init__(self, problems: dict[str, list[str]]) -> None:
        super().__init__(str(problems))
        self.problems = problems


def moment(text: str) -> datetime:
    """A date or a timestamp; without a zone it is UTC.

    Raises:
        ValueError: the text is neither.
    """
    if not _MOMENT.fullmatch(text):
        raise ValueError(_BAD_MOMENT)
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(_BAD_MOMENT) from None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def select(rows: Iterable[Row], parameters: Mapping[str, str]) -> list[Row]:
    """The rows that pass every filter among the parameters.

    Raises:
        BadQueryError: a filter's value cannot be read.
    """
    tests: list[Test] = []
    problems: dict[str, list[str]] = {}
    for name, value in parameters.items():
        make = _FILTERS.get(name)
        if make is None or not value.strip():
            continue
        try:
            tests.append(make(value.strip()))
        except ValueError as problem:
            problems[name] = [str(problem)]
    if problems:
        raise BadQueryError(problems)
    return [row for row in rows if all(test(row) for test in tests)]


def order(rows: Iterable[Row], ordering: str, default: str = "net") -> list[Row]:
    """The rows in an order: a comma list of id, name, net, last_updated, each with or without a minus sign.

    What is unknown is left out, and so is what no row of an older version tells; rows that tie stand by their id.
    """
    ordered = sorted(rows, key=lambda row: str(row["id"]))
    known = [field for field in _ORDERINGS if any(field in row for row in ordered)]
    wanted = [key.strip() for key in ordering.split(",") if key.strip().removeprefix("-") in known]
    for key in reversed(wanted or [default]):
        field = key.removeprefix("-")
        ordered.sort(key=lambda row, field=field: str(row.get(field) or ""), reverse=key.startswith("-"))
    return ordered


def _at(field: str, compare: Callable[[Any, Any], bool]) -> Callable[[str], Test]:
    def make(text: str) -> Test:
        bound = moment(text)
        return lambda row: field not in row or (row[field] is not None and compare(moment(row[field]), bound))

    return make


def _numbers(text: str) -> set[int]:
    try:
        return {int(part) for part in text.split(",") if part.strip()}
    except ValueError:
        raise ValueError(_BAD_NUMBER) from None


def _one_of_numbers(find: Callable[[Row], Any]) -> Callable[[str], Test]:
    def make(text: str) -> Test:
        wanted = _numbers(text)
        return lambda row: find(row) in wanted

    return make


def _same(field: str) -> Callable[[str], Test]:
    return lambda text: lambda row: row.get(field) == text


def _one_of_ids(text: str) -> Test:
    try:
        wanted = {str(uuid.UUID(part.strip())) for part in text.split(",")}
    except ValueError:
        raise ValueError(_BAD_UUID) from None
    return lambda row: str(row["id"]) in wanted


def _provider_named(text: str) -> Test:
    return lambda row: text.casefold() in _provider_name(row).casefold()


def _provider_name(row: Row) -> str:
    return str(_inside(row, "launch_service_provider", "name") or row.get("lsp_name") or "")


def _inside(row: Any, *path: str) -> Any:
    """What lies at a path of keys; None where the path ends early."""
    for key in path:
        row = row.get(key) if isinstance(row, dict) else None
    return row


_SEARCHED = (
    ("name",),
    ("launch_designator",),
    ("launch_service_provider", "name"),
    ("launch_service_provider", "abbrev"),
    ("mission", "name"),
    ("pad", "name"),
    ("pad", "location", "name"),
    ("rocket", "configuration", "full_name"),
)


def _search(text: str) -> Test:
    words = text.casefold().split()

    def found(row: Row) -> bool:
        told = " ".join(str(_inside(row, *path) or "") for path in _SEARCHED).casefold()
        return all(word in told for word in words)

    return found


def _part_of_net(part: str) -> Callable[[Row], int]:
    return lambda row: getattr(moment(row["net"]), part)


_FILTERS: dict[str, Callable[[str], Test]] = {
    **{
        f"{field}__{name}": _at(field, compare)
        for field in ("net", "window_start", "window_end")
        for name, compare in _COMPARE.items()
    },
    "last_updated__gte": _at("last_updated", operator.ge),
    "last_updated__lte": _at("last_updated", operator.le),
    "search": _search,
    "name": _same("name"),
    "slug": _same("slug"),
    "id": _one_of_ids,
    "status": _one_of_numbers(lambda row: _inside(row, "status", "id")),
    "status__ids": _one_of_numbers(lambda row: _inside(row, "status", "id")),
    "lsp__id": _one_of_numbers(lambda row: _inside(row, "launch_service_provider", "id")),
    "lsp__name": _provider_named,
    "year": _one_of_numbers(_part_of_net("year")),
    "month": _one_of_numbers(_part_of_net("month")),
    "day": _one_of_numbers(_part_of_net("day")),
}
"""The filters by the name of their parameter."""
