"""What both our clients of the network share: limits, retries, and words for what went wrong.

What is asked, and what the answer must be, is in `launch_library` and `images`.
"""

from __future__ import annotations

import re
from http.client import HTTPException
from typing import NamedTuple
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError, MaxRetryError
from urllib3.util import Retry

USER_AGENT = "rocket_assets (a Dagster project)"


class Timeout(NamedTuple):
    """Seconds to wait for a connection, and for each next part of an answer."""

    connect: float = 10.0
    read: float = 60.0


class _NoAuth(AuthBase):
    """Sends no credentials; without it, requests would look for some in ~/.netrc."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class _Session(requests.Session):
    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """A redirect carries no credentials; requests would look for those of the new host in ~/.netrc."""
        prepared_request.headers.pop("Authorization", None)

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Where a redirect leads; to an address that is none it is an error of requests, and not a bare ValueError."""
        try:
            target = super().get_redirect_target(resp)
            urlsplit(target or "")
        except ValueError as error:
            resp.close()
            where = resp.headers["Location"]
            raise requests.exceptions.InvalidURL(f"it leads to {where!r}, which is no address ({error})") from None
        return target


def session(
    *,
    accept: str,
    retries: int,
    backoff: float,
    connections: int = 1,
    auth: AuthBase | None = None,
) -> requests.Session:
    """A session that tries again after a failed connection, a 408 or a 5xx.

    The first repetition is at once, the next ones after 2, 4, 8 … times `backoff` seconds.
    It may be shared by as many threads as it has `connections`. A 429 is never repeated here: whoever runs us can wait
    without holding the server for others.
    """
    made = _Session()
    made.auth = auth or _NoAuth()
    made.headers.update({"User-Agent": USER_AGENT, "Accept": accept})
    adapter = HTTPAdapter(
        pool_maxsize=connections,
        max_retries=Retry(
            total=retries,
            backoff_factor=backoff,
            status_forcelist=(408, 500, 502, 503, 504),
            allowed_methods=("GET",),
            raise_on_status=False,
            respect_retry_after_header=False,
        ),
    )
    made.mount("http://", adapter)
    made.mount("https://", adapter)
    return made


def tries(response: requests.Response) -> int:
    """How many requests this answer took."""
    retries = response.raw.retries
    return 1 + (len(retries.history) if retries else 0)


def tries_before(error: requests.RequestException, retries: int) -> int:
    """How many requests were tried before this error, by a session that tries again `retries` times."""
    given_up = bool(error.args) and isinstance(error.args[0], MaxRetryError)
    return 1 + (retries if given_up else 0)


def described(response: requests.Response, body: bytes) -> str:
    """An answer's type and beginning, for an error message."""
    kind = response.headers.get("Content-Type", "no content type").partition(";")[0]
    start = " ".join(body[:80].decode("utf-8", "replace").split())
    return f"{kind} that begins {start!r}" if start else f"an empty body ({kind})"


def cause(error: BaseException) -> str:
    """The innermost reason of a chain of wrapped network errors, without the addresses of objects."""
    while True:
        inner = error.__cause__ or error.__context__ or getattr(error, "reason", None)
        # Further out may be an error that our caller was handling; it has nothing to do with ours.
        if not isinstance(inner, OSError | HTTPError | HTTPException):
            break
        error = inner
    return re.sub(r"<[^>]*>:? ?", "", str(error)).rstrip(".") or type(error).__name__
