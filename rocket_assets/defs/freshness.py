"""Whether today is as it should be.

Dagster's own freshness looks at the newest record of an asset, whichever day it is of: a backfill of 1960 would make
today look fresh. Here today's own partitions are looked at. As that of the nights, the checks belong to the archive:
Dagster would make those of an asset part of its runs, whichever day these bring.

A sensor says what is found; in the UI they can be executed as well. What is stale is a warning, because what is stored
is right all the same, only not of today.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import takewhile

import dagster as dg

from rocket_assets.defs.conditions import SOON, days_behind, index_is_behind, months_behind
from rocket_assets.defs.partitions import bounds
from rocket_assets.defs.runs import DATA_VERSION, FOUND
from rocket_assets.launches import days_between
from rocket_assets.months import last_day, month_of
from rocket_assets.settings import Settings

LATELY = timedelta(hours=25)
"""How old the launches of today may be: the schedule brings them once a day."""

ARCHIVE, LAUNCHES, IMAGES, GALLERY, INDEX = map(
    dg.AssetKey, ("archive", "launches", "launch_images", "launch_gallery", "gallery_index")
)


@dataclass(frozen=True)
class Freshness:
    """Whether something of today is fresh, and why it is said to be or not."""

    check: str
    is_fresh: bool
    because: str

    @property
    def result(self) -> dg.AssetCheckResult:
        """What a run of the check says."""
        return dg.AssetCheckResult(
            passed=self.is_fresh,
            asset_key=ARCHIVE,
            check_name=self.check,
            severity=dg.AssetCheckSeverity.WARN,
            description=self.because,
        )

    @property
    def evaluation(self) -> dg.AssetCheckEvaluation:
        """What a sensor says."""
        return dg.AssetCheckEvaluation(
            asset_key=ARCHIVE,
            check_name=self.check,
            passed=self.is_fresh,
            metadata={},
            severity=dg.AssetCheckSeverity.WARN,
            description=self.because,
        )


@dataclass(frozen=True)
class Today:
    """Today, in the records of a Dagster instance.

    Args:
        instance: whose records.
        settings: which days there are.
        now: what time it is, in UTC.
        recipe: what decides how a month of the gallery is made of its days.
    """

    instance: dg.DagsterInstance
    settings: Settings
    now: datetime
    recipe: str

    @property
    def day(self) -> date:
        """Today."""
        return self.now.date()

    def all(self) -> list[Freshness]:
        """Whether each of what should be fresh is so."""
        first, last = bounds(self.settings, self.day)
        if not first <= self.day <= last:
            none = f"The days go from {first} to {last}: {self.day} is none of them."
            return [Freshness(name, True, none) for name in _CHECKS]
        stale = {name: why_not(self) for name, (_, why_not) in _CHECKS.items()}
        return [Freshness(name, why is None, why or f"So it is of {self.day}.") for name, why in stale.items()]

    def launches_are_old(self) -> str | None:
        """Why the launches of today are not fresh."""
        records = self._records(LAUNCHES, [self.day])
        if not records:
            return f"The launches of {self.day} have not been brought. {_cure(self.day)}"
        runs = [record for record in records if not _is_found(record)]
        if not runs:
            return f"The storage held the launches of {self.day}; when they came is not known. {_cure(self.day)}"
        brought = _moment(runs[0])
        late = f"The launches of {self.day} were brought at {_said(brought)}. {_cure(self.day)}"
        return late if self.now - brought > LATELY else None

    def pictures_are_behind(self) -> str | None:
        """Why the pictures of today are not fresh."""
        records = self._records(LAUNCHES, [self.day])
        if not records:
            return f"The launches of {self.day} have not been brought, and no pictures of them. {_cure(self.day)}"
        # The launches are as they are since the first of the newest records that say the same.
        versions = [_version(record) for record in records]
        since = _moment(records[len(list(takewhile(lambda version: version == versions[0], versions))) - 1])
        is_behind = days_behind(self.instance, LAUNCHES, IMAGES, [self.day.isoformat()])
        late = f"The launches of {self.day} are as they are since {_said(since)}, and their pictures have not followed."
        return late if is_behind and self.now - since > SOON else None

    def gallery_is_behind(self) -> str | None:
        """Why the page of this month, or the index, is not fresh."""
        month = month_of(self.day)
        records = self._records(IMAGES, days_between(month, last_day(month)), limit=1)
        if not records:
            return f"No pictures of this month have been brought, and no page shows them. {_cure(self.day)}"
        brought, partition = _moment(records[0]), month.isoformat()
        is_behind = months_behind(self.instance, LAUNCHES, IMAGES, GALLERY, self.recipe, [partition])
        what = "the page of the month" if is_behind else "the index" if self._index_is_behind() else ""
        late = f"The newest pictures of this month were brought at {_said(brought)}, and {what} has not followed."
        return late if what and self.now - brought > SOON else None

    def _index_is_behind(self) -> bool:
        return index_is_behind(self.instance, GALLERY, INDEX)

    def _records(self, asset: dg.AssetKey, days: Iterable[date], limit: int = 100) -> Sequence[dg.EventLogRecord]:
        """The newest records of these days, newest first."""
        of_days = dg.AssetRecordsFilter(asset_key=asset, asset_partitions=[day.isoformat() for day in days])
        return self.instance.fetch_materializations(of_days, limit=limit).records


_CHECKS: dict[str, tuple[str, Callable[[Today], str | None]]] = {
    "launches_of_today_are_fresh": (
        "The launches of today, in UTC, were brought within the last 25 hours.",
        Today.launches_are_old,
    ),
    "pictures_of_today_are_fresh": (
        "The pictures of today, in UTC, are those of the launches that it has now, or these came within the last half "
        "hour.",
        Today.pictures_are_behind,
    ),
    "gallery_of_today_is_fresh": (
        "The gallery's page of this month shows what its days have now, and the index what its months have, or the "
        "newest pictures of the month came within the last half hour.",
        Today.gallery_is_behind,
    ),
}

NAMES = tuple(_CHECKS)


def today_is_fresh(settings: Settings, clock: Callable[[], datetime], recipe: str) -> dg.AssetChecksDefinition:
    """The checks as they are executed by hand."""
    specs = [dg.AssetCheckSpec(name, asset=ARCHIVE, description=said) for name, (said, _) in _CHECKS.items()]

    @dg.multi_asset_check(specs=specs)
    def today_is_fresh(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        for found in Today(context.instance, settings, clock(), recipe).all():
            yield found.result

    return today_is_fresh


def _moment(record: dg.EventLogRecord) -> datetime:
    return datetime.fromtimestamp(record.timestamp, UTC)


def _version(record: dg.EventLogRecord) -> str | None:
    recorded = record.asset_materialization
    return (recorded.tags or {}).get(DATA_VERSION) if recorded else None


def _is_found(record: dg.EventLogRecord) -> bool:
    recorded = record.asset_materialization
    return bool(recorded) and FOUND in (recorded.tags or {})


def _cure(day: date) -> str:
    return f"The schedule does it at 00:20 UTC; at once: `rocket-assets backfill {day} {day}`."


def _said(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
