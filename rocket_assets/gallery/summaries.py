"""What the index of the gallery knows of a month, written beside the page of the month and after it.

A summary holds all that the index and the page of the next launches need, so that these never read a day.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date

from rocket_assets import storage as keys
from rocket_assets.documents import seal, unseal
from rocket_assets.errors import Damaged, Missing
from rocket_assets.gallery.cards import Card
from rocket_assets.launches import Outcome
from rocket_assets.storage import Storage

_PICTURES = 6
"""Of a month on the index; a year shows a few of them."""

_READERS = 16


@dataclass(frozen=True)
class Summary:
    """A month in short.

    Args:
        month: as in 2024-12.
        days: how many of its days are stored.
        calendar_days: how many it has.
        outcomes: how many of its launches ended how.
        with_picture: how many of its launches are shown with a picture.
        newest: the latest NET of its launches whose outcome is known.
        pictures: some launches of known outcome, newest first, no picture twice.
        open: its launches whose outcome is not known, in order.
        shown: the digests of its pictures that are shown.
        kept_back: the digests of its pictures that may not be.
    """

    month: str
    days: int
    calendar_days: int
    outcomes: dict[Outcome, int]
    with_picture: int
    newest: str | None
    pictures: list[Card]
    open: list[Card]
    shown: list[str]
    kept_back: list[str]

    @property
    def first(self) -> date:
        """The first day of the month."""
        return date.fromisoformat(f"{self.month}-01")

    @property
    def launches(self) -> int:
        """How many launches the month has."""
        return sum(self.outcomes.values())

    def sealed(self) -> bytes:
        """The document that is stored."""
        return seal(asdict(self))

    @classmethod
    def unsealed(cls, body: bytes, key: str) -> Summary:
        """The summary in these bytes.

        Raises:
            Damaged: they are not what was written under this key.
        """
        document = unseal(body, key)
        try:
            summary = cls(
                **{
                    **document,
                    "outcomes": {Outcome(name): int(count) for name, count in document["outcomes"].items()},
                    "pictures": [Card.read(card) for card in document["pictures"]],
                    "open": [Card.read(card) for card in document["open"]],
                }
            )
            is_in_its_place = key == keys.gallery_summary_key(summary.first)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Damaged(f"{key} was written by another version of this project: {error}.") from error
        if not is_in_its_place:
            raise Damaged(f"{key} is the summary of another month, {summary.month}.")
        return summary


def summarise(month: str, days: int, calendar_days: int, cards: Sequence[Card], kept_back: set[str]) -> Summary:
    """A month in short, from its cards."""
    counted = Counter(card.outcome for card in cards)
    known = [card for card in cards if not card.is_open]
    newest_first = sorted(known, key=lambda card: card.net, reverse=True)
    return Summary(
        month=month,
        days=days,
        calendar_days=calendar_days,
        outcomes={outcome: counted[outcome] for outcome in Outcome},
        with_picture=sum(card.picture is not None for card in cards),
        newest=newest_first[0].net if newest_first else None,
        pictures=[card.in_brief() for card in distinct(newest_first)][:_PICTURES],
        open=[card for card in cards if card.is_open],
        shown=sorted({card.picture.sha256 for card in cards if card.picture}),
        kept_back=sorted(kept_back),
    )


def distinct(cards: Sequence[Card], taken: set[str] | None = None) -> list[Card]:
    """Those with a picture that none before them has; `taken` remembers which there were."""
    seen = set() if taken is None else taken
    found = []
    for card in cards:
        if card.picture and card.picture.sha256 not in seen:
            seen.add(card.picture.sha256)
            found.append(card)
    return found


def read_summaries(storage: Storage, months: Iterable[date] | None = None) -> tuple[list[Summary], list[date]]:
    """The summaries that there are, of all months or of these, in order; and those whose summary is not whole."""
    months = sorted(_months(storage) if months is None else months)
    with ThreadPoolExecutor(_READERS, thread_name_prefix="summary") as threads:
        read = list(zip(months, threads.map(lambda month: _read(storage, month), months), strict=True))
    summaries = [summary for _, summary in read if isinstance(summary, Summary)]
    return summaries, [month for month, summary in read if isinstance(summary, Damaged)]


def _months(storage: Storage) -> Iterator[date]:
    for stored in storage.list(keys.GALLERY):
        if found := re.search(r"/([0-9]{4}-(?:0[1-9]|1[0-2]))\.json$", stored.key):
            month = date.fromisoformat(f"{found[1]}-01") if found[1] >= "0001" else None
            if month and stored.key == keys.gallery_summary_key(month):
                yield month


def _read(storage: Storage, month: date) -> Summary | Damaged | None:
    key = keys.gallery_summary_key(month)
    try:
        return Summary.unsealed(storage.read(key), key)
    except Missing:
        # Removed since it was listed.
        return None
    except Damaged as error:
        return error
