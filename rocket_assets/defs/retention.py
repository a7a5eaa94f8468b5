"""Which runs are forgotten after a while: those to which nothing that stands goes back.

To Dagster a record belongs to the run that made it, and is deleted with it: who deletes a run by its age alone may find
days missing that are stored, and whole. So a run is kept for as long as one of its records is the newest of its
partition, or one of its checks the newest of its kind.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import dagster as dg

from rocket_assets.defs.runs import FINISHED

_MATERIALIZATION, _EVALUATION = dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_CHECK_EVALUATION

_RUNS_AT_ONCE = 500

_LOOKS_BACK = 100
"""Among so many evaluations of a check the newest is sought that came to a result."""


def forget_runs(instance: dg.DagsterInstance, before: datetime) -> tuple[int, int]:
    """Delete the runs that ended before this and of which nothing stands; how many, and how many others there are."""
    forgotten = kept = 0
    for run_id in list(_ended(instance, before)):
        if stands(instance, run_id):
            kept += 1
            continue
        # Its records first: who is killed between the two finds the run again, and not what it would leave behind.
        instance.event_log_storage.delete_events(run_id)
        instance.delete_run(run_id)
        _remove_file(Path(instance.root_directory), run_id)
        forgotten += 1
    return forgotten, kept


def stands(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether a record or a check of this run is the newest there is."""
    records = (_recorded(entry) for entry in instance.all_logs(run_id, of_type=_MATERIALIZATION))
    checks = (_checked(entry) for entry in instance.all_logs(run_id, of_type=_EVALUATION))
    return any(_newest_run(instance, *each) == run_id for each in records if each) or any(
        _newest_look(instance, each) == run_id for each in checks if each
    )


def _ended(instance: dg.DagsterInstance, before: datetime) -> Iterator[str]:
    cursor = None
    while runs := instance.get_runs(
        dg.RunsFilter(statuses=FINISHED, updated_before=before), cursor=cursor, limit=_RUNS_AT_ONCE
    ):
        yield from (run.run_id for run in runs)
        cursor = runs[-1].run_id


def _recorded(entry: dg.EventLogEntry) -> tuple[dg.AssetKey, str | None] | None:
    made = entry.asset_materialization
    return (made.asset_key, made.partition) if made else None


def _checked(entry: dg.EventLogEntry) -> dg.AssetCheckKey | None:
    event = entry.dagster_event
    return event.asset_check_evaluation_data.asset_check_key if event else None


def _newest_run(instance: dg.DagsterInstance, asset: dg.AssetKey, partition: str | None) -> str | None:
    of_partition = dg.AssetRecordsFilter(asset, asset_partitions=[partition] if partition else None)
    newest = instance.fetch_materializations(of_partition, limit=1).records
    return newest[0].run_id if newest else None


def _newest_look(instance: dg.DagsterInstance, check: dg.AssetCheckKey) -> str | None:
    looks = instance.event_log_storage.get_asset_check_execution_history(check, limit=_LOOKS_BACK)
    results = (look for look in looks if look.event and look.event.dagster_event_type is _EVALUATION)
    return next((look.run_id for look in results), None)


def _remove_file(home: Path, run_id: str) -> None:
    """On SQLite Dagster keeps the log of each run in a file of its own, which it empties and leaves."""
    for file in (home / "history" / "runs").glob(f"{run_id}.db*"):
        with suppress(OSError):
            file.unlink()
