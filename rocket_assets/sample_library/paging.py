"""Pages by limit and offset, with the links to the pages before and after, as Django REST Framework writes them."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

DEFAULT_LIMIT = 10
GREATEST_LIMIT = 100


def page(rows: Sequence[Any], parameters: Mapping[str, str], url: str) -> dict[str, Any]:
    """The envelope round one page of rows.

    Args:
        rows: all rows that the query selects, in order.
        parameters: the query; a limit or offset that cannot be read is as good as none.
        url: the address that was asked, without its query.
    """
    limit = min(_whole(parameters.get("limit"), 1) or DEFAULT_LIMIT, GREATEST_LIMIT)
    offset = _whole(parameters.get("offset"), 0) or 0
    following = offset + limit if offset + limit < len(rows) else None
    return {
        "count": len(rows),
        "next": None if following is None else _link(url, parameters, limit, following),
        "previous": _link(url, parameters, limit, offset - limit) if offset > 0 else None,
        "results": list(rows[offset : offset + limit]),
    }


def _whole(text: str | None, least: int) -> int | None:
    try:
        number = int(text or "")
    except ValueError:
        return None
    return number if number >= least else None


def _link(url: str, parameters: Mapping[str, str], limit: int, offset: int) -> str:
    query: dict[str, str] = {**parameters, "limit": str(limit), "offset": str(offset)}
    if offset <= 0:
        del query["offset"]
    return f"{url}?{urlencode(sorted(query.items()))}"
