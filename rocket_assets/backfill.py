"""A backfill in this process: chunk by chunk, on the ordinary Dagster instance.

What a backfill in the UI does by the queue and the daemon is done here at once, with the same assets and the same
records, so that the UI shows it. Each chunk is a run of `launches` and then a run of `launch_images` over the days
whose launches stand.

How it looks on a terminal is in `progress`, its command in `cli`.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from uuid import uuid4

import dagster as dg

from rocket_assets import storage as keys
from rocket_assets.definitions import defs
from rocket_assets.defs.runs import RETRYABLE
from rocket_assets.storage import Storage

ASSETS = ("launches", "launch_images")
"""What a backfill brings, in this order."""

DAYS_PER_CHUNK = 366

DAY = timedelta(days=1)

_POLL_SECONDS = 0.25


@dataclass(frozen=True)
class Recorded:
    """A day of an asset, as soon as Dagster has it on record; `metadata` is what the UI shows of it."""

    asset: str
    day: date
    metadata: Mapping[str, dg.MetadataValue]

    def number(self, name: str) -> int:
        """One of the day's counts, 0 where it has none of that name."""
        value = self.metadata.get(name)
        return value.value if isinstance(value, dg.IntMetadataValue) and value.value else 0


@dataclass(frozen=True)
class Failed:
    """A run that did not bring all of its days."""

    asset: str
    start: date
    end: date
    reason: str
    retryable: bool


@dataclass
class Outcome:
    """What a backfill came to."""

    wanted: Mapping[str, Sequence[date]]
    recorded: set[tuple[str, date]] = field(default_factory=set)
    failures: list[Failed] = field(default_factory=list)
    interrupted: bool = False

    @property
    def not_standing(self) -> list[date]:
        """The days of which at least one asset was wanted and did not come."""
        return sorted({day for asset, days in self.wanted.items() for day in days if (asset, day) not in self.recorded})


class Backfill:
    """Brings days of assets, recorded in a Dagster instance; `on_day` is told of each day as it is recorded."""

    def __init__(
        self, instance: dg.DagsterInstance, on_day: Callable[[Recorded], None], definitions: dg.Definitions = defs
    ) -> None:
        self._instance = instance
        self._on_day = on_day
        self._job = definitions.resolve_implicit_global_asset_job_def()
        self._tags = {"rocket_assets/backfill": uuid4().hex[:8]}

    def missing(self, days: Sequence[date], asset: str, storage: Storage) -> list[date]:
        """The days that are not recorded, or whose file is not in the storage.

        Both are asked: a record is a claim about the storage, and a file alone is no finished day.
        """
        recorded = self._instance.get_materialized_partitions(dg.AssetKey(asset))
        prefix, key_of = (keys.LAUNCHES, keys.launches_key) if asset == "launches" else (keys.IMAGES, keys.manifest_key)
        stored = {found.key for found in storage.list(prefix)}
        return [day for day in days if day.isoformat() not in recorded or key_of(day) not in stored]

    def bring(self, wanted: Mapping[str, Sequence[date]]) -> Outcome:
        """Bring these days of these assets, each chunk's launches before its pictures.

        A failure of the API that trying again may mend ends the backfill: what keeps one chunk from its launches would
        keep the next from them, too. Any other failure is noted, and the next chunk begun.
        """
        outcome = Outcome(wanted)
        try:
            self._bring(wanted, outcome)
        except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError):
            outcome.interrupted = True
            self._close_runs()
        return outcome

    def _bring(self, wanted: Mapping[str, Sequence[date]], outcome: Outcome) -> None:
        with _ctrl_c() as pressed:
            for chunk in chunks(sorted({day for days in wanted.values() for day in days})):
                for asset in ASSETS:
                    chosen = [day for day in chunk if day in wanted.get(asset, ())]
                    if asset == "launch_images":
                        chosen = [day for day in chosen if not _lost(outcome, "launches", day)]
                    for start, end in ranges(chosen):
                        failed = self._run(asset, start, end, outcome)
                        if pressed.is_set():
                            raise KeyboardInterrupt
                        if failed and failed.retryable and asset == "launches":
                            return

    def _close_runs(self) -> None:
        """Let no run that was broken off look as if it still went on."""
        open_runs = self._instance.get_runs(
            dg.RunsFilter(
                tags=self._tags,
                statuses=[dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED],
            )
        )
        for run in open_runs:
            self._instance.report_run_canceled(run, message="Interrupted by Ctrl-C; the days recorded so far stand.")

    def _run(self, asset: str, start: date, end: date, outcome: Outcome) -> Failed | None:
        with self._told_of_days(asset, outcome):
            result = self._job.execute_in_process(
                instance=self._instance,
                asset_selection=[dg.AssetKey(asset)],
                tags={
                    **self._tags,
                    "dagster/asset_partition_range_start": start.isoformat(),
                    "dagster/asset_partition_range_end": end.isoformat(),
                },
                # Dagster's log of each event would tear the progress bar; it is in the UI all the same.
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                raise_on_error=False,
            )
        if _interrupted(result):
            # Dagster makes a failed step of a Ctrl-C, and would go on.
            raise KeyboardInterrupt
        outcome.failures += [Failed(asset, start, end, reason, False) for reason in _false_checks(result)]
        if result.success:
            return None
        failed = Failed(asset, start, end, *_reason(result))
        outcome.failures.append(failed)
        return failed

    @contextmanager
    def _told_of_days(self, asset: str, outcome: Outcome) -> Iterator[None]:
        """Tell of each day of the asset as it is recorded, by reading Dagster's records beside the run."""
        newest = self._instance.fetch_materializations(dg.AssetKey(asset), limit=1).records
        cursor = newest[0].storage_id if newest else 0
        done = threading.Event()

        def tell() -> None:
            nonlocal cursor
            last_look = False
            while not last_look:
                last_look = done.wait(_POLL_SECONDS)
                found = self._instance.fetch_materializations(
                    dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), after_storage_id=cursor),
                    limit=10 * DAYS_PER_CHUNK,
                    ascending=True,
                ).records
                for record in found:
                    cursor = record.storage_id
                    if record.asset_materialization and record.partition_key:
                        day = date.fromisoformat(record.partition_key)
                        outcome.recorded.add((asset, day))
                        self._on_day(Recorded(asset, day, record.asset_materialization.metadata))

        watcher = threading.Thread(target=tell, name="progress")
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()


@contextmanager
def _ctrl_c() -> Iterator[threading.Event]:
    """Whether Ctrl-C was pressed, even where the KeyboardInterrupt that it raises is swallowed on its way up."""
    pressed = threading.Event()

    def press(*_: object) -> None:
        pressed.set()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, press)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


def chunks(days: Sequence[date]) -> Iterator[list[date]]:
    """The days in portions that one run takes."""
    for first in range(0, len(days), DAYS_PER_CHUNK):
        yield list(days[first : first + DAYS_PER_CHUNK])


def ranges(days: Sequence[date]) -> Iterator[tuple[date, date]]:
    """Sorted days as first and last day of each stretch without a gap."""
    first = last = None
    for day in days:
        if first is None or last is None:
            first = day
        elif day != last + DAY:
            yield first, last
            first = day
        last = day
    if first is not None and last is not None:
        yield first, last


def _lost(outcome: Outcome, asset: str, day: date) -> bool:
    return day in outcome.wanted.get(asset, ()) and (asset, day) not in outcome.recorded


def _interrupted(result: dg.ExecuteInProcessResult) -> bool:
    errors = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
    return any(error and error.cls_name == dg.DagsterExecutionInterruptedError.__name__ for error in errors)


def _false_checks(result: dg.ExecuteInProcessResult) -> Iterator[str]:
    """What the checks of a run found false; warnings are not among it."""
    for evaluation in result.get_asset_check_evaluations():
        if not evaluation.passed and evaluation.severity == dg.AssetCheckSeverity.ERROR:
            problems = evaluation.metadata.get("problems")
            records = problems.records if isinstance(problems, dg.TableMetadataValue) else []
            shown = "; ".join(f"{record.data['day']}: {record.data['problem']}" for record in records[:5])
            yield f"{evaluation.check_name} is false. {evaluation.description} {shown}"


def _reason(result: dg.ExecuteInProcessResult) -> tuple[str, bool]:
    """Why a run failed, and whether trying again may help."""
    for event in result.all_events:
        if event.is_step_failure:
            failure = event.step_failure_data.user_failure_data
            if failure:
                retryable = failure.metadata.get(RETRYABLE)
                return failure.description or failure.label, bool(retryable and retryable.value)
            if event.step_failure_data.error:
                return event.step_failure_data.error.message.strip(), False
    messages = [event.message for event in result.all_events if event.is_failure and event.message]
    return (messages[-1] if messages else "The run failed without a reason."), False
