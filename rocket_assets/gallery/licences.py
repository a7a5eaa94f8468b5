"""Which pictures one may show, by their licences."""

from __future__ import annotations

from collections.abc import Iterable

UNKNOWN = "Unknown"
"""The Launch Library's own word for a licence that nobody knows; a picture without any counts as that."""


class Licences:
    """The licences that may be shown; none named means that all of them may.

    They are compared without case. A `*` at the end of one stands for any rest: "CC BY*".
    """

    def __init__(self, named: Iterable[str] = ()) -> None:
        self._named = tuple(sorted({" ".join(name.split()).casefold() for name in named} - {""}))

    def allow(self, licence: str | None) -> bool:
        """Whether a picture under this licence may be shown."""
        words = " ".join((licence or "").split()).casefold() or UNKNOWN.casefold()
        return not self._named or any(_fits(name, words) for name in self._named)

    def __bool__(self) -> bool:
        """Whether any is named, so that some may not be shown."""
        return bool(self._named)

    def __str__(self) -> str:
        return ",".join(self._named)


def _fits(name: str, words: str) -> bool:
    return words.startswith(name[:-1]) if name.endswith("*") else words == name
