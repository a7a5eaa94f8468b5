"""How the Launch Library is asked: windows of days, pages, limits, retries.

`LaunchLibrary` takes a half-open window of days and gives the launches whose NET falls into it, in order of NET. It
asks the endpoint of all launches by `net__gte` and `net__lt`, because "upcoming" gives the same page whatever the day.
What it cannot understand it raises, so a failed question is never an empty day.

What a launch is, is in `launches`; nothing here stores anything.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Iterator, Set
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode, urljoin, urlsplit

import requests
from requests.auth import AuthBase

from rocket_assets.documents import canonical
from rocket_assets.errors import RateLimited, Refused, RocketAssetsError, Unavailable, UnexpectedAnswer, WrongSetting
from rocket_assets.launches import Launch, Refusal, in_order, read_row
from rocket_assets.network import (
    LIMITS,
    Limits,
    Timeout,
    TooLarge,
    cause,
    described,
    download,
    logged_without,
    session,
    spellings,
    tries,
    tries_before,
)
from rocket_assets.settings import API_TOKEN

PAGE = 100
"""Launches asked for at once; the API gives no more."""

DAY = timedelta(days=1)

_WALKS_AGAIN = 2
"""How often a list that shifts while it is read is read again from the day where it shifted."""

_CHUNK_SHOWN = 4096
"""Bytes of an answer in which its beginning is looked for, for an error message."""

_SHORTEST_SECRET = 12
"""A token of fewer letters is looked for in errors only: a launch may bear its name. The API's own have forty."""

_DEFAULT_RETRY_AFTER = 300.0
"""Seconds to wait after a 429 that does not say how long."""

_LONGEST_RETRY_AFTER = 86_400.0
"""Seconds to wait at most; the API's throttle counts by the hour, and who says a year is not waited for."""


@dataclass(frozen=True)
class LaunchDay:
    """The launches of one UTC day.

    `source` is the address that gives this day alone, whatever window it was brought in. `requests` counts the requests
    that were sent for it beyond those of the day before, so that the days of a window add up.

    `refused` are the rows that are no launches; one that does not tell its day stands with the first day that was not
    finished when it came. `unread` are the ids of the rows of the window that were refused so far, None for one
    without, and `read` those of the launches.
    """

    day: date
    launches: list[Launch]
    source: str
    requests: int
    refused: list[Refusal] = field(default_factory=list)
    unread: Set[str | None] = frozenset()
    read: Set[str] = frozenset()

    def may_hold(self, launch_id: str) -> bool:
        """Whether a launch that is not among these may be so only because its row could not be read."""
        return launch_id in self.unread or (None in self.unread and launch_id not in self.read)


@dataclass(frozen=True)
class Updates:
    """A page of the launches that were updated since some time; `count` says how many there are on all pages.

    `unreadable` says, for each row that is no launch, why.
    """

    launches: list[Launch]
    count: int
    unreadable: list[str]


@dataclass(frozen=True)
class Allowance:
    """What the API's throttle gives out: `limit` requests in so many seconds, of which so many are left.

    Where none is, the next may come in `next_in` seconds.
    """

    limit: int
    seconds: float
    left: int
    next_in: float


class LaunchLibrary:
    """A Launch Library 2 API, version 2.0.0, 2.2.0 or 2.3.0, as its URL says.

    Each request, with its repetitions, is sent inside `turn`, by which clients agree that one of them asks at a time. A
    TimeoutError of it is raised as Unavailable.
    Not safe for use by several threads; close it, or use it in a `with` block.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        mode: str = "normal",
        timeout: Timeout | None = None,
        retries: int = 3,
        backoff: float = 0.5,
        limits: Limits = LIMITS,
        turn: AbstractContextManager[object] | None = None,
    ) -> None:
        self.url = url if url.endswith("/") else url + "/"
        self.mode = mode
        self.requests = 0
        """Requests sent so far, repeated ones included."""
        self._timeout = timeout or Timeout()
        self.version = urlsplit(self.url).path.rstrip("/").rpartition("/")[2]
        self._launches_url = urljoin(self.url, "launches/" if self.version >= "2.3.0" else "launch/")
        # `auth` and not a plain header, so that a stray ~/.netrc cannot replace it.
        self._auth = _Token(token)
        self._retries = retries
        self._limits = limits
        self._turn = turn or nullcontext()
        self._session = session(
            accept="application/json", retries=retries, backoff=backoff, auth=self._auth, seconds=limits.seconds
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back the connections."""
        self._session.close()

    def days(self, start: date, end: date) -> Iterator[LaunchDay]:
        """Each day of [start, end) with its launches, as soon as it is known to be whole.

        Raises:
            Unavailable, RateLimited, Refused, UnexpectedAnswer: as `launches` does; the days given before stand.
        """
        day, waiting, reported = start, list[Launch](), self.requests
        refused, unread, read = list[Refusal](), set[str | None](), set[str]()

        def finished() -> LaunchDay:
            nonlocal day, waiting, reported
            result = LaunchDay(
                day,
                in_order(waiting),
                self.source_of(day),
                self.requests - reported,
                [refusal for refusal in refused if refusal.day == day],
                unread,
                read,
            )
            day, waiting, reported = day + DAY, [], self.requests
            return result

        for page in self._read(start, end):
            # Before any day of it is finished, so that each knows of all the rows of the page.
            unread.update(refusal.launch_id for refusal in page.refused)
            read.update(launch.id for launch in page.launches)
            refused += [replace(each, day=min(max(each.day or day, day), end - DAY)) for each in page.refused]
            for launch in page.launches:
                while day < launch.day:
                    yield finished()
                waiting.append(launch)
        while day < end:
            yield finished()

    def launches(self, start: date, end: date, refuse: Callable[[Refusal], None] = lambda _: None) -> Iterator[Launch]:
        """The launches with `net` in the UTC days [start, end), each once, day by day.

        A row that is no launch takes no other with it: `refuse` is told of it, before the launches of its page come. A
        first page of nothing but such rows is an error, because then the API is not what it was.

        Raises:
            Unavailable: no answer, or a 5xx, after several tries.
            RateLimited: the API's throttle.
            Refused: a 4xx, or a redirect to another address.
            UnexpectedAnswer: not what the API promises.
        """
        for page in self._read(start, end):
            for refusal in page.refused:
                refuse(refusal)
            yield from page.launches

    def _read(self, start: date, end: date) -> Iterator[_Page]:
        """The pages of these days, each with the launches and refusals that no page before had, day by day.

        Rows move while pages are read: launches slip, appear and vanish. When the count changes, or a row comes twice,
        the list is read again from the day where that showed, so that no row is lost between two pages. A list that
        does not come to rest is an error. What this cannot see in time is a launch that slips, in these seconds, beyond
        the next page: it shows when the days between are given already.
        """
        seen: set[str] = set()
        refused: set[Refusal] = set()
        for walk in range(_WALKS_AGAIN + 1):
            # A database may break ties of `net` in another way for each page; then only a second key brings rest.
            ordering = "net" if walk < _WALKS_AGAIN else "net,id"
            for page in self._in_order(self._pages(start, end, ordering)):
                if page.shifted and walk < _WALKS_AGAIN:
                    break
                if page.fault:
                    raise UnexpectedAnswer(f"{page.source} {page.fault}", retryable=True)
                if len(page.refused) > 1 and not page.launches and not seen:
                    raise UnexpectedAnswer(f"{page.source} gave {page.refused[0].reason}, and no row that can be read.")
                launches = {launch.id: launch for launch in in_order(page.launches) if launch.id not in seen}
                for launch in launches.values():
                    if launch.day < start:
                        raise UnexpectedAnswer(
                            f"{page.source} gave launch {launch.id} of {launch.day} after launches of {start}: "
                            "the list is not in the order asked for."
                        )
                new = [refusal for refusal in dict.fromkeys(page.refused) if refusal not in refused]
                seen.update(launches)
                refused.update(new)
                yield replace(page, launches=list(launches.values()), refused=new)
                start = max([start, *(launch.day for launch in launches.values())])
            else:
                return

    @property
    def tells_updates(self) -> bool:
        """Whether this version says when a launch was last updated."""
        return self.version > "2.0.0"

    def updated(self, since: datetime | None = None, until: datetime | None = None) -> Iterator[Updates]:
        """The launches with `last_updated` from `since` to `until`, or all of them, page by page, the latest first.

        A launch that is updated while pages are read moves to the front, past the reader: it is not on a later page,
        but among those that are updated since the first launch of the first page.

        Raises:
            Unavailable, RateLimited, Refused, UnexpectedAnswer: as `launches` does.
        """
        # The API tells whole seconds and may know fractions.
        bounds = {"last_updated__gte": since, "last_updated__lte": until and until + timedelta(seconds=1)}
        filters = {name: f"{bound:%Y-%m-%dT%H:%M:%SZ}" for name, bound in bounds.items() if bound}
        seen, offset, following = set[str](), 0, True
        while following:
            query = {"mode": self.mode, **filters, "ordering": "-last_updated,id"}
            source = f"{self._launches_url}?{urlencode(query | {'limit': str(PAGE), 'offset': str(offset)})}"
            answer = self._ask(source)
            launches, unreadable = _updates_in(answer, source)
            following = _has_next(answer, source)
            if following and seen.issuperset(launch.id for launch in launches):
                raise UnexpectedAnswer(f"{source} gave no launch that had not come before, and yet names a next page.")
            updates = [launch.last_updated for launch in launches if launch.last_updated]
            if updates != sorted(updates, reverse=True) or (answer["results"] and not launches):
                raise UnexpectedAnswer(f"{source} gave launches that are not in the order of their last update.")
            count = answer.get("count")
            yield Updates(launches, count if isinstance(count, int) else offset + len(launches), unreadable)
            seen.update(launch.id for launch in launches)
            offset += len(answer["results"])

    def allowance(self) -> Allowance | None:
        """What the API says of its throttle, or None where it says nothing or has none; it does not count the question.

        Nothing depends on it, so that nothing is an error.
        """
        # As with every question, no redirect is followed: it could carry the token to another host.
        try:
            with logged_without(self._auth.hidden), self._turn:
                response, body = download(
                    self._session,
                    urljoin(self.url, "api-throttle/"),
                    limits=self._limits,
                    timeout=self._timeout,
                    allow_redirects=False,
                )
            said = json.loads(body) if response.status_code == requests.codes.ok else None
        except (requests.RequestException, OSError, ValueError, RecursionError):
            return None
        return _allowance_in(said)

    def _in_order(self, pages: Iterator[_Page]) -> Iterator[_Page]:
        """These pages; all of them as one where the first shows that the library does not sort by net.

        A day is whole when a later one is seen, and that holds in an ordered list only.
        """
        for page in pages:
            nets = [launch.net for launch in page.launches]
            if nets == sorted(nets):
                yield page
                continue
            together = [page, *pages]
            yield replace(
                page,
                launches=[launch for each in together for launch in each.launches],
                refused=[refusal for each in together for refusal in each.refused],
                shifted=any(each.shifted for each in together),
                fault=next((each.fault for each in together if each.fault), None),
            )

    def source_of(self, day: date) -> str:
        """The address that gives the launches of one day: where its file says that it comes from."""
        return f"{self._launches_url}?{urlencode(self._window(day, day + DAY))}"

    def _window(self, start: date, end: date) -> dict[str, str]:
        return {"mode": self.mode, "net__gte": start.isoformat(), "net__lt": end.isoformat()}

    def _pages(self, start: date, end: date, ordering: str) -> Iterator[_Page]:
        ids: set[str] = set()
        offset, count, repeated, following, last = 0, None, 0, True, None
        while following:
            query = self._window(start, end) | {"ordering": ordering, "limit": str(PAGE), "offset": str(offset)}
            source = f"{self._launches_url}?{urlencode(query)}"
            answer = self._ask(source)
            launches = [read for read in answer["results"] if isinstance(read, Launch)]
            refused = [read for read in answer["results"] if isinstance(read, Refusal)]
            for launch in launches:
                if not start <= launch.day < end:
                    raise UnexpectedAnswer(
                        f"{source} gave launch {launch.id} of {launch.day}, which is not one of the days asked for."
                    )
            following = _has_next(answer, source)
            if following and not answer["results"]:
                raise UnexpectedAnswer(f"{source} gave no launches and yet names a next page.")
            changed = offset > 0 and answer.get("count") != count
            twice = [launch.id for launch in launches if launch.id in ids]
            # In order of net and id, a launch that stands right behind itself is one that the library lists twice; any
            # other repetition is a row that took the place of one that we have not seen.
            listed_twice = twice == [last] and launches[0].id == last and ordering == "net,id"
            offset, count = offset + len(answer["results"]), answer.get("count")
            repeated += 0 if listed_twice else len(twice)
            fault = None
            if changed:
                fault = "gave another count than the page before: the list changed while it was read, again and again."
            elif following and len(twice) == len(launches):
                fault = "gave only launches that had come before, and yet names a next page."
            elif following and isinstance(count, int) and offset >= count + PAGE:
                fault = f"names a next page, although all of its {count} launches have come."
            elif not following and isinstance(count, int) and offset - repeated < count:
                fault = f"is the last page, but only {offset - repeated} of {count} launches came."
            # Judged before the page is given, so that no day of a list with gaps counts as whole.
            yield _Page(source, launches, refused, shifted=changed or bool(twice), fault=fault)
            last = launches[-1].id if launches else None
            ids.update(launch.id for launch in launches)

    def _ask(self, url: str) -> dict[str, Any]:
        """The answer from an address, its rows read."""
        try:
            with logged_without(self._auth.hidden):
                return self._answer(url)
        except RocketAssetsError as error:
            failed = error
        # What caused it repeats what the server said, and its frames know what was sent: both end here.
        failed.args = (self._auth.hidden(str(failed)),)
        failed.__cause__ = failed.__context__ = None
        raise failed.with_traceback(None)

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        with ExitStack() as stack:
            try:
                stack.enter_context(self._turn)
            except TimeoutError as error:
                raise Unavailable("Another run is asking the Launch Library, one request at a time.") from error
            yield

    def _answer(self, url: str) -> dict[str, Any]:
        try:
            # A redirect is refused below: followed, it could carry the token to another host.
            with self._in_turn():
                response, body = download(
                    self._session, url, limits=self._limits, timeout=self._timeout, allow_redirects=False
                )
        except requests.exceptions.InvalidURL as error:
            self.requests += 1
            raise Refused(f"{url} cannot be asked: {cause(error)}. Is ROCKET_ASSETS_API_URL right?") from error
        except (TooLarge, requests.exceptions.ContentDecodingError) as error:
            self.requests += 1
            raise UnexpectedAnswer(f"{url} gave what is no page of launches: {cause(error)}.") from error
        except requests.RequestException as error:
            self.requests += tries_before(error, self._retries)
            raise Unavailable(
                f"No answer from {url}: {cause(error)}. Is the network up, and is "
                "ROCKET_ASSETS_API_URL the right address?"
            ) from error
        self.requests += tries(response)

        def said() -> str:
            return described(response, self._auth.hidden(body[:_CHUNK_SHOWN].decode("utf-8", "replace")).encode())

        if response.status_code != requests.codes.ok:
            raise _refusal(response, url, said(), body)
        try:
            answer = json.loads(body, parse_int=_whole)
        except (ValueError, RecursionError):
            raise UnexpectedAnswer(f"{url} answered with {said()}, which is not JSON.") from None
        if not isinstance(answer, dict) or not isinstance(answer.get("results"), list):
            raise UnexpectedAnswer(
                f"{url} answered with {said()}: JSON without a list of results. "
                "ROCKET_ASSETS_API_URL may name something that is no Launch Library."
            )
        rest = {name: value for name, value in answer.items() if name != "results"}
        if not _is_json(rest):
            raise UnexpectedAnswer(f"{url} answered with {said()}, which is not JSON.")
        if self._auth.is_in(rest):
            raise UnexpectedAnswer(f"{url} repeats the token ({API_TOKEN.name}), so that nothing of it is taken.")
        return rest | {"results": [self._read_row(row) for row in answer["results"]]}

    def _read_row(self, row: Any) -> Launch | Refusal:
        read = read_row(row)
        launch_id = read.id if isinstance(read, Launch) else read.launch_id
        if self._auth.is_in(row):
            told = None if self._auth.is_in(launch_id) else launch_id
            return Refusal(f"launch {told or '***'} in which the token ({API_TOKEN.name}) is repeated", told, read.day)
        if isinstance(read, Launch) and not _is_json(row):
            return Refusal(f"launch {read.id} with a number that JSON has no word for", read.id, read.day)
        return read


@dataclass(frozen=True)
class _Page:
    source: str
    launches: list[Launch]
    refused: list[Refusal]
    shifted: bool
    """The list changed since the page before: a row may have moved past us."""
    fault: str | None
    """Why, unless the list is read again, launches may be missing."""


class _Token(AuthBase):
    def __init__(self, token: str | None) -> None:
        # A secret that comes from a file often has a newline at its end.
        self._token = (token or "").strip()
        if re.search(r"[^!-~]", self._token):
            # Said here and not by the HTTP client, whose message would hold the token.
            raise WrongSetting(
                "ROCKET_ASSETS_API_TOKEN holds a character that no token has, such as a space or a line break; "
                "what fits is a key of the API, as it was given."
            )
        self._spelled = spellings(self._token)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Token {self._token}"
        return request

    def hidden(self, text: str) -> str:
        """What a server said, without the token where it repeats it."""
        return self._spelled.sub("***", text) if self._token else text

    def is_in(self, value: Any) -> bool:
        """Whether the token stands somewhere in this JSON value; a short one may do so by chance."""
        if len(self._token) < _SHORTEST_SECRET:
            return False
        try:
            return bool(self._spelled.search(json.dumps(value, ensure_ascii=False)))
        except RecursionError:
            # What is nested too deep to be searched is not to be kept either.
            return True


def _allowance_in(said: Any) -> Allowance | None:
    """What an answer says of the throttle: an object, or a list of one, as the API's schema has it."""
    said = said[0] if isinstance(said, list) and said else said
    names = ("your_request_limit", "limit_frequency_secs", "current_use", "next_use_secs")
    given = [said.get(name) for name in names] if isinstance(said, dict) else []
    numbers = [number for number in given if isinstance(number, int | float) and abs(number) <= sys.maxsize]
    if len(numbers) < len(names) or min(numbers[:2]) < 1:
        return None
    limit, seconds, used, next_in = numbers
    # Where a request may come at once, the API has been seen to say a time that is past.
    return Allowance(int(limit), seconds, max(0, int(limit - used)), min(max(0.0, next_in), _LONGEST_RETRY_AFTER))


def _whole(digits: str) -> float:
    try:
        return int(digits)
    except ValueError:
        # More digits than Python reads; the row that holds it is refused for it.
        return math.inf


def _is_json(value: Any) -> bool:
    """Whether a value that Python read as JSON can be written as JSON: NaN and Infinity cannot."""
    try:
        canonical(value)
    except (ValueError, RecursionError):
        return False
    return True


def _updates_in(answer: dict[str, Any], source: str) -> tuple[list[Launch], list[str]]:
    """The launches in an answer, and what is wrong with its other rows, which must not hide what has changed."""
    launches, unreadable = list[Launch](), list[str]()
    for read in answer["results"]:
        if isinstance(read, Refusal):
            unreadable.append(f"{source} gave {read.reason}.")
        elif read.last_updated is None:
            unreadable.append(f"{source} does not say when launch {read.id} was last updated.")
        else:
            launches.append(read)
    return launches, unreadable


def _has_next(answer: dict[str, Any], source: str) -> bool:
    given = answer.get("next")
    if given is None:
        return False
    # We count the offset ourselves and never go where `next` points; but an answer that points elsewhere is not one
    # of the API that was asked.
    try:
        here = isinstance(given, str) and urlsplit(urljoin(source, given)).hostname == urlsplit(source).hostname
    except ValueError:
        here = False
    if not here:
        raise UnexpectedAnswer(f"{source} names a next page on another host: {given!r}.")
    return True


def _refusal(response: requests.Response, url: str, what: str, body: bytes) -> RocketAssetsError:
    status = response.status_code
    if status == requests.codes.too_many_requests:
        wait = _retry_after(response, body)
        return RateLimited(
            f"The throttle of {urlsplit(url).netloc} takes no more requests for {wait:.0f} seconds. "
            "A token in ROCKET_ASSETS_API_TOKEN raises the limit.",
            retry_after=wait,
        )
    said = f"{url} answered {status} with {what}"
    if status >= requests.codes.server_error or status == requests.codes.request_timeout:
        return Unavailable(f"{said}. The server has a problem of its own.")
    if response.is_redirect:
        moved = urljoin(url, response.headers["Location"])
        return Refused(f"{url} has moved to {moved}. Set ROCKET_ASSETS_API_URL accordingly.")
    if status in (requests.codes.unauthorized, requests.codes.forbidden):
        return Refused(f"{said}. Is ROCKET_ASSETS_API_TOKEN right?")
    return Refused(f"{said}. Is ROCKET_ASSETS_API_URL the address of a Launch Library?")


def _retry_after(response: requests.Response, body: bytes) -> float:
    """Seconds until the throttle opens: by the header, a number or a date, or else by the sentence in the body."""
    return min(max(1.0, _said_retry_after(response, body)), _LONGEST_RETRY_AFTER)


def _said_retry_after(response: requests.Response, body: bytes) -> float:
    header = response.headers.get("Retry-After", "")
    if header.isdecimal():
        return float(header)
    try:
        return (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        said = re.search(rb"available in (\d+) second", body)
        return float(said[1]) if said else _DEFAULT_RETRY_AFTER
