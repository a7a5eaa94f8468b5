"""The API as a function: a method, a path and a query in; a status, headers and a body out.

It knows the paths, who may ask, how often, and the texts of its errors, which are those of Django REST Framework.
It knows nothing of sockets: those are in server.py.
"""

import json
import math
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from rocket_assets.sample_library.modes import MODES, shorten
from rocket_assets.sample_library.paging import page
from rocket_assets.sample_library.query import BadQueryError, moment, order, select
from rocket_assets.sample_library.throttle import Throttle

Row = dict[str, Any]
AsOf = Callable[[list[Row], datetime], list[Row]]
"""What the library says of its rows at a time."""

FIRST_WITH_PLURALS = (2, 3, 0)
RECENT = timedelta(days=1)


@dataclass(frozen=True)
class Answer:
    """What goes back to a client."""

    status: HTTPStatus
    body: bytes
    content_type: str | None = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def _json(status: HTTPStatus, content: Any, **headers: str) -> Answer:
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, body, headers={"Allow": "GET", "Vary": "Accept", **names})


def _not_found(detail: str = "Not found.") -> Answer:
    return _json(HTTPStatus.NOT_FOUND, {"detail": detail})


class Api:
    """The launches of one API version, with its limit and its token.

    Args:
        rows: the launches, in this version's words.
        base_url: where the server is, without a slash at the end.
        version: the first part of every path.
        throttle: the limit on requests.
        clock: says what time it is.
        as_of: what is said of the rows at a time; asked for each answer, by many threads at once.
        token: the one token that is good; None believes every client.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        base_url: str,
        version: str,
        throttle: Throttle,
        clock: Callable[[], datetime],
        as_of: AsOf,
        token: str | None = None,
    ) -> None:
        self._rows = list(rows)
        self._base_url = base_url
        self._throttle = throttle
        self._clock = clock
        self._as_of = as_of
        self._token = token
        self._root = f"/{version}/"
        plural = tuple(int(part) for part in version.split(".")) >= FIRST_WITH_PLURALS
        self._launches = f"{self._root}{'launches' if plural else 'launch'}/"
        self._throttle_path = f"{self._root}api-throttle/"

    def answer(self, method: str, path: str, query: str, authorization: str | None, client: str) -> Answer:
        """The answer to a request; `client` says who is counted."""
        if not self._is_known(path):
            if self._is_known(f"{path}/"):
                location = f"{path}/?{query}" if query else f"{path}/"
                return Answer(HTTPStatus.MOVED_PERMANENTLY, b"", "text/html", {"Location": location})
            return _not_found()
        trusted = False
        if self._token is not None and authorization is not None:
            if authorization.split() != ["Token", self._token]:
                return _json(HTTPStatus.UNAUTHORIZED, {"detail": "Invalid token."}, WWW_Authenticate="Token")
            trusted = True
        counted = path != self._throttle_path
        if counted and not trusted and (wait := self._throttle.take(client)):
            return _throttled(wait)
        if method not in {"GET", "HEAD"}:
            return _json(HTTPStatus.METHOD_NOT_ALLOWED, {"detail": f'Method "{method}" not allowed.'})
        return self._answer(path, dict(parse_qsl(query, keep_blank_values=True)), client, trusted)

    def _is_known(self, path: str) -> bool:
        if path in {self._root, self._throttle_path, self._launches}:
            return True
        rest = path.removeprefix(self._launches)
        return rest != path and rest.endswith("/") and rest.count("/") == 1 and rest != "/"

    def _answer(self, path: str, parameters: dict[str, str], client: str, trusted: bool) -> Answer:
        if parameters.get("format", "json") not in {"json", "api"}:
            return _not_found()
        if path == self._root:
            name = self._launches.removeprefix(self._root).removesuffix("/")
            return _json(HTTPStatus.OK, {name: self._base_url + self._launches})
        if path == self._throttle_path:
            return self._answer_throttle(client, trusted)
        part = path.removeprefix(self._launches).removesuffix("/")
        if part in {"", "upcoming", "previous"}:
            return self._answer_list(path, part, parameters)
        return self._answer_one(part)

    def _answer_one(self, part: str) -> Answer:
        try:
            launch_id = str(uuid.UUID(part))
        except ValueError:
            return _not_found()
        row = next((row for row in self._as_of(self._rows, self._clock()) if str(row["id"]) == launch_id), None)
        return _json(HTTPStatus.OK, row) if row else _not_found("No Launch matches the given query.")

    def _answer_list(self, path: str, part: str, parameters: dict[str, str]) -> Answer:
        try:
            rows = select(self._side(part, parameters), parameters)
        except BadQueryError as error:
            return _json(HTTPStatus.BAD_REQUEST, error.problems)
        ordered = order(rows, parameters.get("ordering", ""), "-net" if part == "previous" else "net")
        envelope = page(ordered, parameters, self._base_url + path)
        mode = parameters.get("mode", "normal")
        mode = mode if mode in MODES else "normal"
        return _json(HTTPStatus.OK, envelope | {"results": [shorten(row, mode) for row in envelope["results"]]})

    def _side(self, part: str, parameters: dict[str, str]) -> list[Row]:
        """All launches, or only those that are to come or that have been."""
        now = self._clock()
        rows = self._as_of(self._rows, now)
        if part == "previous":
            return [row for row in rows if moment(row["net"]) <= now]
        if part == "upcoming":
            hide = parameters.get("hide_recent_previous", "").lower() in {"true", "1"}
            since = now if hide else now - RECENT
            return [row for row in rows if moment(row["net"]) > since]
        return rows

    def _answer_throttle(self, client: str, trusted: bool) -> Answer:
        use, wait = (0, 0) if trusted else self._throttle.use(client)
        content = {
            "your_request_limit": None if trusted else self._throttle.limit,
            "limit_frequency_secs": math.ceil(self._throttle.window.total_seconds()),
            "current_use": use,
            "next_use_secs": wait,
            "ident": "token" if trusted else client,
        }
        return _json(HTTPStatus.OK, content)


def _throttled(wait: int) -> Answer:
    unit = "second" if wait == 1 else "seconds"
    detail = f"Request was throttled. Expected available in {wait} {unit}."
    return _json(HTTPStatus.TOO_MANY_REQUESTS, {"detail": detail}, Retry_After=str(wait))
