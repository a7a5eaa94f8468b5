"""Dagster alone: two assets with a partition a day that do nothing but say so, in the chunks of our backfill.

    DAGSTER_HOME=… python alone.py START END DAYS_PER_CHUNK

What it takes is what any project takes that records each of these days for two assets.
"""

import sys
from collections.abc import Iterator
from datetime import date, timedelta

import dagster as dg

DAYS = dg.DailyPartitionsDefinition("1957-10-04", end_offset=15)

Records = Iterator[dg.AssetMaterialization]


def _recorded(context: dg.AssetExecutionContext) -> Records:
    for key in context.partition_keys:
        yield dg.AssetMaterialization(context.asset_key, partition=key)


@dg.asset(partitions_def=DAYS, output_required=False)
def launches(context: dg.AssetExecutionContext) -> Records:
    """Says that its days stand."""
    yield from _recorded(context)


@dg.asset(partitions_def=DAYS, output_required=False, deps=[launches])
def launch_images(context: dg.AssetExecutionContext) -> Records:
    """Says that its days stand."""
    yield from _recorded(context)


def main(start: date, end: date, days_per_chunk: int) -> None:
    """Record the days, chunk by chunk, of each asset in turn."""
    job = dg.Definitions([launches, launch_images]).resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.get() as instance:
        while start <= end:
            last = min(end, start + timedelta(days=days_per_chunk - 1))
            for asset in (launches, launch_images):
                job.execute_in_process(
                    instance=instance,
                    asset_selection=[asset.key],
                    tags={
                        "dagster/asset_partition_range_start": start.isoformat(),
                        "dagster/asset_partition_range_end": last.isoformat(),
                    },
                    run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                )
            start = last + timedelta(days=1)


if __name__ == "__main__":
    main(date.fromisoformat(sys.argv[1]), date.fromisoformat(sys.argv[2]), int(sys.argv[3]))
