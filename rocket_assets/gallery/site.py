"""What of the gallery is written where, and in which order.

A month is its thumbnails, then its page, and last its summary, which is the commit point: the index and the page of the
next launches are made from the summaries alone. Killed anywhere and made again, the same bytes stand. Nothing of it is
written again that is there already.

A picture may be shown in one month and kept back in another, where the API gave it another licence. So its thumbnail is
removed by who sees all months, the index, and only if no month shows it any more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from rocket_assets import storage as keys
from rocket_assets.documents import digest
from rocket_assets.gallery.cards import cards, is_kept_back
from rocket_assets.gallery.licences import Licences
from rocket_assets.gallery.pages import index_page, month_page, name_of, next_page, planned, sources, style_sheet
from rocket_assets.gallery.summaries import Summary, read_summaries, summarise
from rocket_assets.gallery.thumbnails import thumbnails_of, workers
from rocket_assets.months import Month, last_day
from rocket_assets.storage import Storage


@dataclass(frozen=True)
class MadeMonth:
    """What making a month came to.

    Args:
        key: of its page.
        launches: how many it has.
        pictures: how many of them are shown with a picture.
        thumbnails: how many small pictures were made now.
        not_shown: how many launches have a picture that is kept back for its licence.
        unreadable: why pictures are not shown that should be, a sentence for each.
        changed: whether anything was written.
        version: a digest of the page and its summary.
    """

    key: str
    launches: int
    pictures: int
    thumbnails: int
    not_shown: int
    unreadable: list[str]
    changed: bool
    version: str


@dataclass(frozen=True)
class MadeIndex:
    """What making the index and the page of the next launches came to.

    Args:
        months: how many have a page.
        launches: how many there are in them.
        planned: how many are still to come.
        damaged: which months are not in it because their summary is damaged, a sentence for each.
        changed: whether anything was written.
        version: a digest of all that was made.
    """

    months: int
    launches: int
    planned: int
    damaged: list[str]
    changed: bool
    version: str


def recipe_of(licences: Sequence[str]) -> str:
    """A digest of what decides how a page looks besides its days; when it changes, all months are made again."""
    return digest([sources(), str(Licences(licences))])[:16]


class Gallery:
    """The gallery in a storage, of pictures under the licences that one may show; of all, where none is named."""

    def __init__(self, storage: Storage, licences: Sequence[str] = ()) -> None:
        self._storage = storage
        self._licences = Licences(licences)
        self._threads = workers()

    def make_month(self, month: Month) -> MadeMonth:
        """Make the page of a month, and what belongs to it."""
        entries = [one.entry for one in month.launches if one.entry]
        kept_back = [entry for entry in entries if is_kept_back(entry, self._licences)]
        pictures = [entry.picture for entry in entries if entry not in kept_back]
        thumbnails = thumbnails_of(self._storage, [picture for picture in pictures if picture], self._threads)
        shown = cards(month.launches, self._licences, thumbnails.sizes, month.key)
        page = month_page(month, shown).encode()
        hidden = {entry.sha256 for entry in kept_back if entry.sha256}
        summary = summarise(month.key, len(month.days), month.calendar_days, shown, hidden)
        key, changed, version = self._write(
            {keys.gallery_page_key(month.first): page, keys.gallery_summary_key(month.first): summary.sealed()}
        )
        return MadeMonth(
            key=key,
            launches=len(shown),
            pictures=summary.with_picture,
            thumbnails=thumbnails.made,
            not_shown=len(kept_back),
            unreadable=thumbnails.unreadable,
            changed=changed or thumbnails.made > 0,
            version=version,
        )

    def make_index(self) -> MadeIndex:
        """Make the index, the page of the next launches and the style sheet from the summaries of the months."""
        summaries, damaged = read_summaries(self._storage)
        _, changed, version = self._write(
            {
                keys.GALLERY_STYLE: style_sheet(summary.first for summary in summaries).encode(),
                keys.GALLERY_NEXT: next_page(summaries, damaged).encode(),
                keys.GALLERY_INDEX: index_page(summaries, damaged).encode(),
            }
        )
        # Last: until then, the index that stands may show them.
        if not damaged:
            self._remove_thumbnails(summaries)
        return MadeIndex(
            months=len(summaries),
            launches=sum(summary.launches for summary in summaries),
            planned=len(planned(summaries).to_come),
            damaged=[
                f"{keys.gallery_summary_key(month)} is damaged: make the page of {name_of(month)} again, "
                f"`rocket-assets backfill {month} {last_day(month)} --assets launch_gallery`."
                for month in damaged
            ],
            changed=changed,
            version=version,
        )

    def _write(self, files: dict[str, bytes]) -> tuple[str, bool, str]:
        """Write these files in order: the first key, whether anything changed, and a digest of them all."""
        changed = [self._storage.write(key, body) for key, body in files.items()]
        version = digest([hashlib.sha256(body).hexdigest() for body in files.values()])[:16]
        return next(iter(files)), any(changed), version

    def _remove_thumbnails(self, summaries: Sequence[Summary]) -> None:
        """Remove the thumbnails of pictures that are kept back, and where any may be, all that no month shows.

        A picture that no launch names any more may have been kept back, too. Where nothing ever is, it does no harm:
        there nothing is removed that a month needs which another process is just making.
        """
        shown = {keys.thumbnail_key(sha256) for summary in summaries for sha256 in summary.shown}
        kept_back = {keys.thumbnail_key(sha256) for summary in summaries for sha256 in summary.kept_back} - shown
        if not kept_back and not self._licences:
            return
        there = {stored.key for stored in self._storage.list(keys.THUMBNAILS)}
        self._storage.delete(sorted(there - shown if self._licences else there & kept_back))
