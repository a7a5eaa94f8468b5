"""Dagster alone: two assets with a partition a day that do nothing but say so, in the chunks of our backfill.

    DAGSTER_HOME=… python alone.py START END LAUNCHES_PER_RUN IMAGES_PER_RUN

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


def main(start: date, end: date, launches_per_run: int, images_per_run: int) -> None:
    """Record the days, chunk by chunk, of each asset in turn."""
    job = dg.Definitions([launches, launch_images]).resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.get() as instance:
        for chunk in _portions(start, end, launches_per_run):
            for asset, runs in ((launches, [chunk]), (launch_images, _portions(*chunk, images_per_run))):
                for first, last in runs:
                    job.execute_in_process(
                        instance=instance,
                        asset_selection=[asset.key],
                        tags={
                            "dagster/asset_partition_range_start": first.isoformat(),
                            "dagster/asset_partition_range_end": last.isoformat(),
                        },
                        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                    )


def _portions(start: date, end: date, days: int) -> Iterator[tuple[date, date]]:
    while start <= end:
        last = min(end, start + timedelta(days=days - 1))
        yield start, last
        start = last + timedelta(days=1)


if __name__ == "__main__":
    main(date.fromisoformat(sys.argv[1]), date.fromisoformat(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
