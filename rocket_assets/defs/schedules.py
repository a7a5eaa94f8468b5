"""What happens by the clock.

Each day the launches of the days around today, each night a look at what is stored, each week tidying up.
"""

from datetime import timedelta

import dagster as dg

from rocket_assets.defs.jobs import bring_launches, verify_stored_days
from rocket_assets.defs.partitions import bounds
from rocket_assets.defs.runs import BECAUSE, tags_for_days
from rocket_assets.settings import Settings
from rocket_assets.verification import SAMPLES

DAYS_BACK = 2
"""The outcome of a launch is known within a day; the other one is for a day on which nothing ran."""


def launches_around_today(settings: Settings) -> dg.ScheduleDefinition:
    """Brings the days that are still moving, so that each has a partition, also an empty one."""

    @dg.schedule(
        job=bring_launches,
        cron_schedule="20 0 * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Each day at 00:20 UTC: the launches from {DAYS_BACK} days ago to {settings.days_ahead} days "
        "ahead, as one range, which is one or two requests. Days without launches become empty, green partitions. "
        "Off: the switch beside its name.",
    )
    def launches_around_today(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        today = context.scheduled_execution_time.date()
        first, last = bounds(settings, today)
        start, end = (
            max(first, today - timedelta(days=DAYS_BACK)),
            min(last, today + timedelta(days=settings.days_ahead)),
        )
        if end < start:
            return dg.SkipReason(f"The days go from {first} to {last}; none of them is near {today}.")
        return dg.RunRequest(
            run_key=today.isoformat(),
            partition_key=start.isoformat() if start == end else None,
            tags={
                **tags_for_days(start, end),
                BECAUSE: f"The days around {today}, as every day.",
                "dagster/priority": "1",
            },
        )

    return launches_around_today


def stored_days_each_night() -> dg.ScheduleDefinition:
    """Has a sample of the stored days verified, another each night."""

    @dg.schedule(
        job=verify_stored_days,
        cron_schedule="40 2 * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Each night at 02:40 UTC: is a sample of the stored days still what was written? In "
        f"{SAMPLES} such nights, each of them has been looked at; what is found stands under *Checks* of the asset "
        "archive, until it is mended. Off: the switch beside its name.",
    )
    def stored_days_each_night(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        night = context.scheduled_execution_time.date().isoformat()
        return dg.RunRequest(
            run_key=night,
            tags={BECAUSE: f"The sample of {night}, as every night.", "dagster/priority": "-1"},
        )

    return stored_days_each_night


def old_runs_each_week(job: dg.JobDefinition, settings: Settings) -> dg.ScheduleDefinition:
    """Has runs forgotten of which nothing stands."""

    @dg.schedule(
        job=job,
        cron_schedule="10 3 * * 0",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Each Sunday at 03:10 UTC: deletes the records of runs that ended more than "
        f"{settings.runs_days} days ago, and of which nothing is the newest record of its day, its month or its check. "
        "Off: the switch beside its name; then all are kept.",
    )
    def old_runs_each_week(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        week = context.scheduled_execution_time.date().isoformat()
        return dg.RunRequest(run_key=week, tags={BECAUSE: "Each week.", "dagster/priority": "-1"})

    return old_runs_each_week
