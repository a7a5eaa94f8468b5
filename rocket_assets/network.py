"""What both our clients of the network share: limits, retries, and words for what went wrong.

What is asked, and what the answer must be, is in `launch_library` and `images`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
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


def session(
    *,
    accept: str,
    retries: int,
    backoff: float,
    connections: int = 1,
    auth: AuthBase | None = None,
) -> requests.Session:
    """A session that tries again after a failed connection or a 5xx, `backoff` seconds apart and doubling.

    It may be shared by as many threads as it has `connections`. A 429 is never repeated here: whoever runs us can wait
    without holding the server for others.
    """
    made = requests.Session()
    made.auth = auth or _NoAuth()
    made.headers.update({"User-Agent": USER_AGENT, "Accept": accept})
    adapter = HTTPAdapter(
        pool_maxsize=connections,
        max_retries=Retry(
            total=retries,
            backoff_factor=backoff,
            status_forcelist=(500, 502, 503, 504),
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


def described(response: requests.Response, body: bytes) -> str:
    """An answer's type and beginning, for an error message."""
    kind = response.headers.get("Content-Type", "no content type").partition(";")[0]
    start = " ".join(body[:80].decode("utf-8", "replace").split())
    return f"{kind} that begins {start!r}" if start else f"an empty body ({kind})"


def cause(error: BaseException) -> str:
    """The innermost reason of a chain of wrapped network errors, without the addresses of objects."""
    while True:
        inner = error.__cause__ or error.__context__ or getattr(error, "reason", None)
        if not isinstance(inner, BaseException):
            break
        error = inner
    return re.sub(r"<[^>]*>:? ?", "", str(error)).rstrip(".") or type(error).__name__
