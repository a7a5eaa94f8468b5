"""When pictures are to be brought by themselves: whenever the launches of a day are not those they were brought for.

The record of a day of pictures says for which launches it was made: its data version begins with theirs. So nothing
is remembered here that could be lost, and it does not matter who brought the launches, in which order two events of
the same moment came, or whether the daemon was running. Which days a backfill is bringing already, Dagster's own
condition says.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import dagster as dg

from rocket_assets.defs.runs import COMMAND, COMMANDS_DAYS, DATA_VERSION, UNFINISHED, days_of_tags, recorded_by
from rocket_assets.launches import days_between

_COMMANDS_GAP = timedelta(seconds=15)
"""`rocket-assets backfill` brings the pictures itself; for so long after a run of it, its next one is waited for."""

_COMMANDS_RUN = timedelta(hours=1)
"""A run of it that has begun longer ago and has not ended is taken for one that was killed."""

_MATERIALIZED = dg.DagsterEventType.ASSET_MATERIALIZATION

_REST, _TRIED = timedelta(hours=6), timedelta(days=3)
"""How long after a run in vain another may begin, and how long after the launches came that goes on."""


class LaunchesMovedOn(dg.AutomationCondition[dg.AssetKey]):
    """The launches of a day are not those that its pictures were brought for, and no run is bringing them.

    A run waits for servers that do not answer, and fails after a quarter of an hour. Where one has ended in vain since
    the launches came, another begins after six hours, and so on for three days, or when they come again.
    """

    launches: dg.AssetKey

    def __init__(self, launches: dg.AssetKey) -> None:
        self.launches = launches

    @property
    def description(self) -> str:
        """What the UI says of it."""
        return "Its launches are not those that its pictures were brought for, and no run is bringing or has tried them"

    @property
    def name(self) -> str:
        """What the code calls it."""
        return "launches_moved_on"

    def get_label(self) -> str:
        """What the UI calls it."""
        return "its launches are others than those it was brought for"

    def evaluate(self, context: dg.AutomationContext[dg.AssetKey]) -> dg.AutomationResult[dg.AssetKey]:
        """The days of which that is true."""
        instance, now = context.asset_graph_view.instance, context.evaluation_time
        # In this order, because a run that ends in between has recorded its days by then.
        under_way = _days_of_commands(instance, now) | _days_of_runs(instance, context.key)
        behind = days_behind(instance, self.launches, context.key) - under_way
        if behind:
            behind -= _tried_in_vain(instance, self.launches, context.key, behind, now)
        true_subset = context.candidate_subset.compute_intersection_with_partition_keys(
            {day for day in behind if context.partitions_def and context.partitions_def.has_partition_key(day)}
        )
        return dg.AutomationResult(context, true_subset)


def days_behind(instance: dg.DagsterInstance, launches: dg.AssetKey, images: dg.AssetKey) -> set[str]:
    """The days whose pictures were not brought for the launches that they have now, or not at all."""
    log = instance.event_log_storage
    wanted = log.get_latest_tags_by_partition(launches, _MATERIALIZED, [DATA_VERSION])
    had = log.get_latest_tags_by_partition(images, _MATERIALIZED, [DATA_VERSION])
    return {
        day
        for day, tags in wanted.items()
        if not had.get(day, {}).get(DATA_VERSION, "").startswith(f"{tags[DATA_VERSION]}-")
    }


def _days_of_runs(instance: dg.DagsterInstance, images: dg.AssetKey) -> set[str]:
    """What runs that have not ended, or not begun, are still to bring.

    Dagster's own condition knows that, too, but by a status that it keeps of every day there is: after 25,000 days
    have come it takes more than a second to make that, for the few days that are asked about.
    """
    found = set[str]()
    for run in _runs_of(instance, images, dg.RunsFilter(statuses=UNFINISHED)):
        found |= _days(run) - recorded_by(instance, run.run_id, images)
    return found


def _tried_in_vain(
    instance: dg.DagsterInstance, launches: dg.AssetKey, images: dg.AssetKey, behind: set[str], now: datetime
) -> set[str]:
    """Of these days, those for which a run has begun since their launches came and which are not to be tried again."""
    log = instance.event_log_storage
    begun = log.get_latest_storage_id_by_partition(images, dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED, behind)
    if not begun:
        return set()
    came = log.get_latest_storage_id_by_partition(launches, _MATERIALIZED, set(begun))
    tried = {day for day in begun if begun[day] > came[day]}
    # Those that ended lately, and one that may have begun just now.
    runs = _runs_of(instance, images, dg.RunsFilter(updated_after=now - _REST)) if tried else ()
    resting = {day for run in runs for day in _days(run)}
    lately = dg.AssetRecordsFilter(asset_key=launches, after_timestamp=(now - _TRIED).timestamp())
    first = instance.fetch_materializations(lately, limit=1, ascending=True).records if tried - resting else ()
    return tried - {day for day in tried - resting if first and came[day] >= first[0].storage_id}


def _runs_of(instance: dg.DagsterInstance, images: dg.AssetKey, which: dg.RunsFilter) -> Iterator[dg.DagsterRun]:
    """Those of these runs that bring pictures; a job of ours that brings launches alone names no assets."""
    runs = (record.dagster_run for record in instance.get_run_records(which))
    return (run for run in runs if images in (run.asset_selection or ()))


def _days_of_commands(instance: dg.DagsterInstance, now: datetime) -> set[str]:
    """What commands are bringing."""
    found, lately = set[str](), dg.RunsFilter(tags={COMMAND: "backfill"}, updated_after=now - _COMMANDS_RUN)
    for record in instance.get_run_records(lately):
        start, _, end = record.dagster_run.tags.get(COMMANDS_DAYS, "").partition("..")
        if end and (not record.dagster_run.is_finished or record.update_timestamp > now - _COMMANDS_GAP):
            found |= _partitions(date.fromisoformat(start), date.fromisoformat(end))
    return found


def _days(run: dg.DagsterRun) -> set[str]:
    first_and_last = days_of_tags(run.tags)
    return _partitions(*first_and_last) if first_and_last else set()


def _partitions(first: date, last: date) -> set[str]:
    return {day.isoformat() for day in days_between(first, last)}
