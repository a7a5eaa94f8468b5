"""How a run over one day or many is recorded, and how it fails.

Dagster records a range run at its end, with one data version for all its days. Here each day is recorded as soon as it
is done, with its own metadata and data version, so that a kill or one bad day takes no other day with it. What a day
holds is none of this module's business.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any

import dagster as dg

from rocket_assets.errors import RateLimited, RocketAssetsError

RETRYABLE = "retryable"
"""The metadata of a failed step that says whether trying again may help."""

RETRY_AFTER = "retry_after"
"""The metadata of a throttled step that says after how many seconds trying again makes sense."""

WAITS_OUTSIDE = "rocket_assets/waits_outside"
"""The tag of a run whose launcher waits for the throttle itself."""

# A wait is at most an hour, and a step asks for a few pages only: more waits than this mean that something is wrong.
_MAX_WAITS = 100


def days_to_bring(context: dg.AssetExecutionContext) -> list[date]:
    """The days of this run that it has not recorded yet: all of them, unless it goes on after a wait."""
    keys = list(context.partition_keys)
    if context.retry_number:
        newest = context.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=context.asset_key, asset_partitions=keys), limit=len(keys)
        )
        recorded = {record.partition_key for record in newest.records if record.run_id == context.run.run_id}
        keys = [key for key in keys if key not in recorded]
    return [date.fromisoformat(key) for key in keys]


def days_of_run(context: dg.AssetExecutionContext) -> list[date]:
    """All the days of this run."""
    return [date.fromisoformat(key) for key in context.partition_keys]


def recorded(
    context: dg.AssetExecutionContext, day: date, *, data_version: str, metadata: Mapping[str, dg.MetadataValue]
) -> dg.AssetMaterialization | dg.MaterializeResult[Any]:
    """The event that makes a day stand.

    A run of one day gives the asset's output, so that what follows in the same run goes on. In a range the output would
    be recorded once more for all days, with one data version; there, the day's event is all there is.
    """
    if len(context.partition_keys) == 1:
        return dg.MaterializeResult(metadata=dict(metadata), data_version=dg.DataVersion(data_version))
    return dg.AssetMaterialization(
        context.asset_key,
        partition=day.isoformat(),
        metadata=dict(metadata),
        tags={"dagster/data_version": data_version},
    )


def refuse_to_skip(context: dg.AssetExecutionContext, downstream: str) -> None:
    """Fail a range run that was also to bring `downstream`, which Dagster would pass over in silence.

    A backfill gives each asset a run of its own; only a run put together by hand can have both.
    """
    selection = context.run.asset_selection
    if len(context.partition_keys) > 1 and (selection is None or dg.AssetKey(downstream) in selection):
        raise dg.Failure(
            f"A run over several days brings one asset at a time, and this one was also to bring {downstream}. "
            "Launch it as a backfill, or one asset after the other.",
            metadata={RETRYABLE: False},
            allow_retries=False,
        )


def wait_for(context: dg.AssetExecutionContext, error: RateLimited) -> dg.RetryRequested | dg.Failure:
    """What to raise at the API's throttle: Dagster frees the pool's slot, waits, and runs the step again.

    A run of the command line ends instead, and says how long to wait: in its process Dagster's wait would be silent,
    and deaf to Ctrl-C.
    """
    if WAITS_OUTSIDE in context.run.tags:
        metadata = {RETRYABLE: True, RETRY_AFTER: error.retry_after}
        return dg.Failure(f"{error} {error.advice}", metadata=metadata, allow_retries=False)
    return dg.RetryRequested(max_retries=_MAX_WAITS, seconds_to_wait=error.retry_after)


def failure(error: RocketAssetsError) -> dg.Failure:
    """What to raise for an error of the plain half: the end of the step, with the reason in words."""
    return dg.Failure(f"{error} {error.advice}", metadata={RETRYABLE: error.retryable}, allow_retries=False)


def failed_days(errors: Mapping[date, RocketAssetsError], total: int) -> dg.Failure:
    """What to raise when some days of a run failed: the other days stand."""
    reasons = "\n".join(f"- {day}: {error} {error.advice}" for day, error in sorted(errors.items()))
    return dg.Failure(
        f"{len(errors)} of {total} days failed; the others stand.\n{reasons}",
        metadata={RETRYABLE: any(error.retryable for error in errors.values())},
        allow_retries=False,
    )
