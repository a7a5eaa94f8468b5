"""When pictures are to be brought by themselves: whenever the launches of a day are not those they were brought for.

The record of a day of pictures says for which launches it was made: its data version begins with theirs. So nothing
is remembered here that could be lost, and it does not matter who brought the launches, in which order two events of
the same moment came, or whether the daemon was running. What Dagster knows better, which days a run or a backfill is
bringing already, is asked of Dagster's own conditions.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import dagster as dg

from rocket_assets.defs.runs import COMMAND, COMMANDS_DAYS, DATA_VERSION

_COMMANDS_GAP = timedelta(seconds=15)
"""`rocket-assets backfill` brings the pictures itself; for so long after a run of it, its next one is waited for."""

_COMMANDS_RUN = timedelta(hours=1)
"""A run of it that has begun longer ago and has not ended is taken for one that was killed."""

_REST, _TRIED = timedelta(hours=6), timedelta(days=3)
"""How long after a run that failed another may begin, and how long after the launches came that goes on."""


class LaunchesMovedOn(dg.AutomationCondition[dg.AssetKey]):
    """The launches of a day are not those that its pictures were brought for, and no run has begun since they came.

    A run waits for servers that do not answer, and fails after a quarter of an hour. For a day that failed another one
    begins after six hours, and so on for three days after the launches came, or when they come again.
    """

    launches: dg.AssetKey

    def __init__(self, launches: dg.AssetKey) -> None:
        self.launches = launches

    @property
    def description(self) -> str:
        """What the UI says of it."""
        return "Its launches are not those that its pictures were brought for, and no run has begun since, or it failed"

    @property
    def name(self) -> str:
        """What the UI calls it."""
        return "launches_moved_on"

    def evaluate(self, context: dg.AutomationContext[dg.AssetKey]) -> dg.AutomationResult[dg.AssetKey]:
        """The days of which that is true."""
        instance = context.asset_graph_view.instance
        behind = _days_behind(instance, self.launches, context.key, context.evaluation_time)
        for start, end in _ranges_of_commands(instance, context.evaluation_time) if behind else ():
            behind = {day for day in behind if not start <= day <= end}
        true_subset = context.candidate_subset.compute_intersection_with_partition_keys(
            {day for day in behind if context.partitions_def and context.partitions_def.has_partition_key(day)}
        )
        return dg.AutomationResult(context, true_subset)


def _days_behind(instance: dg.DagsterInstance, launches: dg.AssetKey, images: dg.AssetKey, now: datetime) -> set[str]:
    log, materialized = instance.event_log_storage, dg.DagsterEventType.ASSET_MATERIALIZATION
    wanted = log.get_latest_tags_by_partition(launches, materialized, [DATA_VERSION])
    had = log.get_latest_tags_by_partition(images, materialized, [DATA_VERSION])
    behind = {
        day
        for day, tags in wanted.items()
        if not had.get(day, {}).get(DATA_VERSION, "").startswith(f"{tags[DATA_VERSION]}-")
    }
    if not behind:
        return behind
    came = log.get_latest_storage_id_by_partition(launches, materialized, behind)
    begun = log.get_latest_storage_id_by_partition(images, dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED, behind)
    tried = {day: came[day] for day in behind if begun.get(day, -1) > came[day]}
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
