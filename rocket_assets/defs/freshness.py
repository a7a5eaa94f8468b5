"""Whether today is as it should be.

Dagster's own freshness looks at the newest record of an asset, whichever day it is of: a backfill of 1960 would make
today look fresh. Here today's own partitions are looked at. As that of the nights, the checks belong to the archive:
Dagster would make those of an asset part of its runs, whichever day these bring.

A sensor says what is found; in the UI they can be executed as well. What is stale is a warning, because what is stored
is right all the same, only not of today.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from rocket_assets.defs.conditions import days_behind, month_of, months_behind
from rocket_assets.defs.partitions import bounds
from rocket_assets.settings import Settings

LATELY = timedelta(hours=25)
"""How old the launches of today may be: the schedule brings them once a day."""

SOON = timedelta(minutes=30)
"""How long what follows may take: usually two minutes, more where a server is slow."""

ARCHIVE, LAUNCHES, IMAGES, GALLERY = map(dg.AssetKey, ("archive", "launches", "launch_images", "launch_gallery"))


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
        look: what decides how a month of the gallery looks besides its days.
    """

    instance: dg.DagsterInstance
    settings: Settings
    now: datetime
    look: str

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
        brought = self._recorded(LAUNCHES)
        if brought is None:
            return f"The launches of {self.day} have not been brought."
        return f"The launches of {self.day} were brought at {_said(brought)}." if self.now - brought > LATELY else None

    def pictures_are_behind(self) -> str | None:
        """Why the pictures of today are not fresh."""
        brought = self._recorded(LAUNCHES)
        if brought is None:
            return f"The launches of {self.day} have not been brought, and no pictures of them."
        is_behind = days_behind(self.instance, LAUNCHES, IMAGES, [self.day.isoformat()])
        late = f"The launches of {self.day} were brought at {_said(brought)}, and their pictures have not followed."
        return late if is_behind and self.now - brought > SOON else None

    def gallery_is_behind(self) -> str | None:
        """Why the page of this month is not fresh."""
        brought = self._recorded(IMAGES)
        if brought is None:
            return f"The pictures of {self.day} have not been brought, and no page shows them."
        is_behind = months_behind(self.instance, IMAGES, GALLERY, self.look, [month_of(self.day.isoformat())])
        late = (
            f"The pictures of {self.day} were brought at {_said(brought)}, and the page of the month has not followed."
        )
        return late if is_behind and self.now - brought > SOON else None

    def _recorded(self, asset: dg.AssetKey) -> datetime | None:
        of_today = dg.AssetRecordsFilter(asset_key=asset, asset_partitions=[self.day.isoformat()])
        records = self.instance.fetch_materializations(of_today, limit=1).records
        return datetime.fromtimestamp(records[0].timestamp, UTC) if records else None


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
        "The gallery's page of this month shows the pictures that its days have now, or those of today came within the "
        "last half hour.",
        Today.gallery_is_behind,
    ),
}

NAMES = tuple(_CHECKS)


def today_is_fresh(settings: Settings, clock: Callable[[], datetime], look: str) -> dg.AssetChecksDefinition:
    """The checks as they are executed by hand."""
    specs = [dg.AssetCheckSpec(name, asset=ARCHIVE, description=said) for name, (said, _) in _CHECKS.items()]

    @dg.multi_asset_check(specs=specs)
    def today_is_fresh(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        for found in Today(context.instance, settings, clock(), look).all():
            yield found.result

    return today_is_fresh


def _said(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
