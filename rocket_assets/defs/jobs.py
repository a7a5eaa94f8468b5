"""What schedules and a sensor start: the launches of some days, a look at what is stored, and tidying up.

The pictures follow launches by themselves.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import dagster as dg

from rocket_assets.defs import assets, checks
from rocket_assets.defs.retention import forget_runs
from rocket_assets.settings import Settings

bring_launches = dg.define_asset_job(
    "bring_launches",
    selection=[assets.launches],
    description="The launches of a day, or of a range of days. Their pictures follow within two minutes.",
)

verify_stored_days = dg.define_asset_job(
    "verify_stored_days",
    selection=dg.AssetSelection.checks(checks.stored_days_are_whole),
    description="Looks whether a sample of the stored days is still what was written. Asks nobody, and writes nothing.",
)


def forget_old_runs(settings: Settings, clock: Callable[[], datetime]) -> dg.JobDefinition:
    """Deletes the records of runs to which nothing that stands goes back."""

    @dg.op(description="Dagster has no retention of runs by itself, and each has a log of its own.")
    def forget(context: dg.OpExecutionContext) -> None:
        forgotten, kept = forget_runs(context.instance, clock() - timedelta(days=settings.runs_days))
        context.log.info(
            f"{forgotten:,} runs forgotten that ended more than {settings.runs_days} days ago; {kept:,} others are the "
            "newest record of a day, a month or a check, and kept."
        )

    @dg.job(
        description="Deletes the records of runs that ended more than ROCKET_ASSETS_RUNS_DAYS days ago, and of which "
        "nothing is the newest record of its day, its month or its check. No day loses its record by it."
    )
    def forget_old_runs() -> None:
        forget()

    return forget_old_runs
