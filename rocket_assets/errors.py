"""What can go wrong, and whether trying again helps.

    RocketAssetsError
    ├── WrongSetting          a setting that does not fit                       no
    ├── Unavailable           no answer, a broken one, or a server's 5xx        yes
    │   └── RateLimited       the API's throttle, until a known time            yes, then
    ├── Refused               the server understood and said no (4xx)           no
    ├── UnexpectedAnswer      an answer that is not what the API promises       mostly no
    ├── NotAPicture           bytes that are no picture we keep                 no
    └── StorageFailed         the storage could not be read or written          no
        ├── Missing           nothing under that key                            no
        └── Damaged           something under that key that is not what we put  no

Each message is a sentence for people: what happened, to which day, launch or address, and what to do. Whether trying
again helps is the one bit that machines need: a throttled step waits, and every other failure tells Dagster not to
repeat the step, with the bit in its metadata for whoever started the run.
"""

from __future__ import annotations

_LONGEST = 2000
"""Characters of a message; what is longer tells no more."""


def shown(text: str, longest: int = 300) -> str:
    """A text of a stranger as people can read it: on one line, nothing in it that controls a terminal, not too long.

    What cannot be printed, or would change how the rest is read, is shown as an escape.
    """
    line = " ".join(text[: 2 * longest].split())
    safe = "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii") for sign in line)
    return safe if len(safe) <= longest and len(text) <= 2 * longest else f"{safe[: longest - 1]}…"


class RocketAssetsError(Exception):
    """Anything that this package knows how to explain.

    Its message may repeat what a server or a file said; nothing of that gets through to a terminal or a log as it is.
    """

    retryable: bool = False

    def __init__(self, message: str, *, retryable: bool | None = None) -> None:
        super().__init__(shown(message, _LONGEST))
        if retryable is not None:
            self.retryable = retryable

    @property
    def advice(self) -> str:
        """One sentence on whether trying again helps."""
        if self.retryable:
            return "Trying again may help."
        return "Trying again will not help before the cause is mended."


class WrongSetting(RocketAssetsError):
    """A setting names something that does not fit; the message names the variable, its value and what fits."""


class Unavailable(RocketAssetsError):
    """A server did not answer, broke off, or answered with a 5xx."""

    retryable = True


class RateLimited(Unavailable):
    """The API's throttle refuses requests for `retry_after` more seconds."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after

    @property
    def advice(self) -> str:
        """When the next try makes sense."""
        return f"Try again in {self.retry_after:.0f} seconds."


class Refused(RocketAssetsError):
    """A server understood the request and said no."""


class UnexpectedAnswer(RocketAssetsError):
    """An answer that is not what the API promises."""


class NotAPicture(RocketAssetsError):
    """Bytes that are not a whole JPEG, PNG, WebP, GIF or BMP picture."""


class StorageFailed(RocketAssetsError):
    """The storage could not be read or written."""


class Missing(StorageFailed):
    """Nothing is stored under that key."""


class Damaged(StorageFailed):
    """What is stored under that key is not what was put there."""
