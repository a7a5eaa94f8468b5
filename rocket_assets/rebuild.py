"""What a Dagster instance is told of the days that a storage holds already.

A record says of a day what its files say of themselves. So who loses a Dagster home, or begins another, loses no day:
the files are read, and each is recorded as if a run had just brought it, but for what only that run could know. Nobody
is asked for anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import date

import dagster as dg

from rocket_assets.archive import Archive
from rocket_assets.defs import metadata
from rocket_assets.defs.assets import launch_images, launches
from rocket_assets.defs.conditions import recorded_versions
from rocket_assets.defs.runs import DATA_VERSION, FOUND, UNFINISHED, days_of_tags
from rocket_assets.errors import Damaged, Missing, UnexpectedAnswer
from rocket_assets.images import ImageLibrary
from rocket_assets.launches import data_version, days_between

_RUNS_AT_ONCE = 100

_SAID = "Found in the storage by `rocket-assets rebuild`, which asked nobody."


@dataclass(frozen=True)
class FoundDay:
    """A stored day that has been looked at.

    Attributes:
        day: which.
        recorded: the assets of which it is on record now and was not, or not as it is stored.
        problems: why others could not be recorded, in sentences.
    """

    day: date
    recorded: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def rebuild(
    instance: dg.DagsterInstance, archive: Archive, with_launches: Set[date], with_pictures: Set[date]
) -> Iterator[FoundDay]:
    """Record these stored days, and tell of each in their order. What is on record as it is stored is left alone.

    Runs may bring days meanwhile. What they record stands; and of a day that they have brought between the moment at
    which it was read and that at which it was recorded, it is told once more, as it is by then.

    Args:
        instance: where.
        archive: what holds them.
        with_launches: the days whose launches are stored.
        with_pictures: those whose pictures are.
    """
    # In this order, or one that is begun in between would be neither of the two.
    newest = max((record.storage_id for record in instance.get_run_records(limit=1)), default=0)
    busy = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    with ImageLibrary(archive.storage) as library:
        yield from _record(instance, archive, library, with_launches, with_pictures)
        brought = _days_of([*busy, *_begun_since(instance, newest)])
        if brought:
            yield from _record(instance, archive, library, with_launches & brought, with_pictures & brought)


def _record(
    instance: dg.DagsterInstance,
    archive: Archive,
    library: ImageLibrary,
    with_launches: Set[date],
    with_pictures: Set[date],
) -> Iterator[FoundDay]:
    # In this order, or Dagster would say of each day that its pictures are not in sync with its launches. Who looks for
    # pictures that are missing looks twice, and in between there are those of the one day that was at hand.
    steps: list[tuple[dg.AssetKey, Set[date], Callable[[date], dg.AssetMaterialization]]] = [
        (launches.key, with_launches, lambda day: _launches_of(archive, day)),
        (launch_images.key, with_pictures, lambda day: _pictures_of(archive, library, day)),
    ]
    had = {asset: recorded_versions(instance, asset) for asset, _, _ in steps}

    def look(day: date) -> tuple[FoundDay, list[dg.AssetMaterialization]]:
        found, new = FoundDay(day), list[dg.AssetMaterialization]()
        for asset, stored, read in steps:
            if day not in stored:
                continue
            try:
                record = read(day)
            except (Missing, Damaged, UnexpectedAnswer) as error:
                found.problems.append(f"{asset.to_user_string()} {day}: {error} {error.advice}")
                continue
            if (record.tags or {})[DATA_VERSION] != had[asset].get(str(day)):
                new.append(record)
        return found, new

    for found, new in archive.storage.each(look, sorted(with_launches | with_pictures)):
        day = str(found.day)
        for record in new:
            if recorded_versions(instance, record.asset_key, [day]).get(day) == had[record.asset_key].get(day):
                instance.report_runless_asset_event(record)
                found.recorded.append(record.asset_key.to_user_string())
        yield found


def _begun_since(instance: dg.DagsterInstance, newest: int) -> Iterator[dg.DagsterRun]:
    """The runs that were begun after the one with this storage id."""
    cursor = None
    while records := instance.get_run_records(limit=_RUNS_AT_ONCE, cursor=cursor):
        yield from (record.dagster_run for record in records if record.storage_id > newest)
        if records[-1].storage_id <= newest:
            return
        cursor = records[-1].dagster_run.run_id


def _days_of(runs: Iterable[dg.DagsterRun]) -> set[date]:
    """The days that these runs were to bring."""
    ranges = (days_of_tags(run.tags) for run in runs)
    return {day for each in ranges if each for day in days_between(*each)}


def _launches_of(archive: Archive, day: date) -> dg.AssetMaterialization:
    stored = archive.read_day(day)
    return _materialization(
        launches.key, day, data_version(stored.launches), metadata.of_launches(stored, archive.storage)
    )


def _pictures_of(archive: Archive, library: ImageLibrary, day: date) -> dg.AssetMaterialization:
    manifest = archive.read_manifest(day)
    said = metadata.of_images(manifest, library, archive.storage)
    return _materialization(launch_images.key, day, manifest.record_version, said)


def _materialization(
    asset: dg.AssetKey, day: date, version: str, said: Mapping[str, dg.MetadataValue]
) -> dg.AssetMaterialization:
    tags = {DATA_VERSION: version, FOUND: "true"}
    return dg.AssetMaterialization(asset, description=_SAID, metadata=said, partition=str(day), tags=tags)
