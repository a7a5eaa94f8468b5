"""When pictures are to be brought by themselves: whenever the launches of a day are not those they were brought for.

The record of a day of pictures says for which launches it was made: its data version begins with theirs. So nothing
is remembered here that could be lost, and it does not matter who brought the launches, in which order two events of
the same moment came, or whether the daemon was running. Which days a backfill is bringing already, Dagster's own
condition says.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import dagster as dg

from rocket_assets.defs.runs import COMMAND, COMMANDS_DAYS, DATA_VERSION, days_of_tags

_COMMANDS_GAP = timedelta(seconds=15)
"""`rocket-assets backfill` brings the pictures itself; for so long after a run of it, its next one is waited for."""

_COMMANDS_RUN = timedelta(hours=1)
"""A run of it that has begun longer ago and has not ended is taken for one that was killed."""

_FINISHED = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}
_UNFINISHED = [status for status in dg.DagsterRunStatus if status not in _FINISHED]

_REST, _TRIED = timedelta(hours=6), timedelta(days=3)
"""How long after a run that failed another may begin, and how long after the launches came that goes on."""


class LaunchesMovedOn(dg.AutomationCondition[dg.AssetKey]):
    """The launches of a day are not those that its pictures were brought for, and no run is bringing or has tried them.

    A run waits for servers that do not answer, and fails after a quarter of an hour. For a day that failed another one
    begins after six hours, and so on for three days after the launches came, or when they come again.
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
        """What the UI calls it."""
        return "launches_moved_on"

    def evaluate(self, context: dg.AutomationContext[dg.AssetKey]) -> dg.AutomationResult[dg.AssetKey]:
        """The days of which that is true."""
        instance, now = context.asset_graph_view.instance, context.evaluation_time
        behind = _days_behind(instance, self.launches, context.key)
        if behind:
            behind = _left_by_runs(instance, self.launches, context.key, behind, now)
        for start, end in _ranges_of_commands(instance, now) if behind else ():
            behind = {day for day in behind if not start <= day <= end}
        true_subset = context.candidate_subset.compute_intersection_with_partition_keys(
            {day for day in behind if context.partitions_def and context.partitions_def.has_partition_key(day)}
        )
        return dg.AutomationResult(context, true_subset)


def _days_behind(instance: dg.DagsterInstance, launches: dg.AssetKey, images: dg.AssetKey) -> set[str]:
    """The days whose pictures were not brought for the launches that they have now, or not at all."""
    log, materialized = instance.event_log_storage, dg.DagsterEventType.ASSET_MATERIALIZATION
    wanted = log.get_latest_tags_by_partition(launches, materialized, [DATA_VERSION])
    had = log.get_latest_tags_by_partition(images, materialized, [DATA_VERSION])
    return {
        day
        for day, tags in wanted.items()
        if not had.get(day, {}).get(DATA_VERSION, "").startswith(f"{tags[DATA_VERSION]}-")
    }


def _left_by_runs(
    instance: dg.DagsterInstance, launches: dg.AssetKey, images: dg.AssetKey, behind: set[str], now: datetime
) -> set[str]:
    """Of these days, those that no run is bringing, and for which none has begun in vain since their launches came."""
    log, materialized = instance.event_log_storage, dg.DagsterEventType.ASSET_MATERIALIZATION
    begun = log.get_latest_storage_id_by_partition(images, dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED, behind)
    if not begun:
        return behind
    came = log.get_latest_storage_id_by_partition(launches, materialized, behind)
    done = log.get_latest_storage_id_by_partition(images, materialized, behind)
    awaited = {day for day in begun if begun[day] > done.get(day, -1)}
    for start, end in _ranges_of_runs(instance, images) if awaited else ():
        behind = {day for day in behind if day not in awaited or not start <= day <= end}
    tried = {day: came[day] for day in behind & begun.keys() if begun[day] > came[day]}
    return (behind - tried.keys()) | _to_be_tried_again(instance, launches, images, tried, now)


def _to_be_tried_again(
    instance: dg.DagsterInstance, launches: dg.AssetKey, images: dg.AssetKey, tried: Mapping[str, int], now: datetime
) -> set[str]:
    """Of the days for which a run has begun and brought nothing, those whose rest is over."""
    lately = dg.AssetRecordsFilter(
        asset_key=launches, storage_ids=list(tried.values()), after_timestamp=(now - _TRIED).timestamp()
    )
    again = set[str]()
    for came in instance.fetch_materializations(lately, limit=max(1, len(tried))).records if tried else ():
        last_try = instance.event_log_storage.get_latest_planned_materialization_info(images, came.partition_key)
        run = last_try and instance.get_run_record_by_id(last_try.run_id)
        if came.partition_key and run and run.end_time and run.end_time < (now - _REST).timestamp():
            again.add(came.partition_key)
    return again


def _ranges_of_runs(instance: dg.DagsterInstance, images: dg.AssetKey) -> set[tuple[str, str]]:
    """The first and the last day of what runs that have not ended, or not begun, are to bring.

    Dagster's own condition knows that, too, but by a status that it keeps of every day there is: after 25,000 days
    have come it takes more than a second to make that, for the few days that are asked about.
    """
    unfinished = instance.get_run_records(dg.RunsFilter(statuses=_UNFINISHED))
    days = (
        days_of_tags(record.dagster_run.tags)
        for record in unfinished
        if images in (record.dagster_run.asset_selection or {images})
    )
    return {(first.isoformat(), last.isoformat()) for first, last in filter(None, days)}


def _ranges_of_commands(instance: dg.DagsterInstance, now: datetime) -> set[tuple[str, str]]:
    """The first and the last day of what commands are bringing."""
    lately = dg.RunsFilter(tags={COMMAND: "backfill"}, updated_after=now - _COMMANDS_RUN)
    found = set[tuple[str, str]]()
    for record in instance.get_run_records(lately):
        start, _, end = record.dagster_run.tags.get(COMMANDS_DAYS, "").partition("..")
        # Dagster gives this time in UTC, with or without saying so.
        updated = record.update_timestamp.replace(tzinfo=UTC)
        if start and end and (not record.dagster_run.is_finished or updated > now - _COMMANDS_GAP):
            found.add((start, end))
    return found
