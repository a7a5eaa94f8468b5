"""A backfill in this process: chunk by chunk, on the ordinary Dagster instance.

What a backfill in the UI does by the queue and the daemon is done here at once, with the same assets and the same
records, so that the UI shows it, and in runs of the same length. Each chunk is a run of `launches` and then runs of
`launch_images` over the days whose launches stand. What is made of the days, month by month, is made when all of them
are there.

How it looks on a terminal is in `progress`, its command in `cli`.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4

import dagster as dg
from filelock import FileLock
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from rocket_assets import storage as keys
from rocket_assets.definitions import defs
from rocket_assets.defs.assets import (
    IMAGES_PER_RUN,
    LAUNCHES_PER_RUN,
    MONTHS_PER_RUN,
    POOL,
    RECIPE_OF,
    gallery_index,
    launch_gallery,
    launch_images,
    launches,
)
from rocket_assets.defs.conditions import index_is_behind, months_behind
from rocket_assets.defs.partitions import months
from rocket_assets.defs.runs import COMMAND, COMMANDS_DAYS, RETRY_AFTER, RETRYABLE, WAITS_OUTSIDE, tags_for_range
from rocket_assets.errors import StorageFailed, WrongSetting
from rocket_assets.gallery.summaries import read_summaries
from rocket_assets.launches import days_between
from rocket_assets.months import last_day, month_of, next_month
from rocket_assets.storage import Storage

DAILY = ("launches", "launch_images")
"""What a backfill brings, in this order."""

MONTHLY = ("launch_gallery", "launch_table")
"""What it makes of that; the index of the gallery comes with the gallery."""

INDEX = "gallery_index"

DAY = timedelta(days=1)

HOST, PID = "rocket_assets/host", "rocket_assets/pid"
"""The tags of a run that say in which process it is."""

_POOL_POLL_SECONDS = 2.0

_LONGEST_RUN = {"launches": timedelta(hours=1)}
_LONGEST_OTHER_RUN = timedelta(hours=4)
"""Dagster's monitoring takes a run that has begun longer ago for a dead one, and gives back what it holds of the pool.

A run of the command waits for nothing: one of launches is some pages, and even a year of pictures takes less.
"""


@dataclass(frozen=True)
class Recorded:
    """A day of an asset, or a month by its first day, as soon as Dagster has it on record.

    `metadata` is what the UI shows of it.
    """

    asset: str
    day: date
    metadata: Mapping[str, dg.MetadataValue]

    @property
    def is_month(self) -> bool:
        """Whether it is a month, and no day."""
        return self.asset in MONTHLY

    def number(self, name: str) -> int:
        """One of the day's counts, 0 where it has none of that name."""
        value = self.metadata.get(name)
        return value.value if isinstance(value, dg.IntMetadataValue) and value.value else 0


@dataclass(frozen=True)
class Failed:
    """A run that did not bring all of its days, or make all of its months, or the index, which has neither."""

    asset: str
    days: tuple[date, date] | None
    reason: str
    retryable: bool = False
    retry_after: float | None = None


@dataclass
class Outcome:
    """What a backfill came to."""

    wanted: Mapping[str, Collection[date]]
    recorded: set[tuple[str, date]] = field(default_factory=set)
    failures: list[Failed] = field(default_factory=list)
    interrupted: bool = False

    @property
    def not_standing(self) -> list[date]:
        """The days of which at least one asset was wanted and did not come."""
        return sorted({day for asset in self.wanted for day in self.lacking(asset)})

    def lacking(self, asset: str) -> set[date]:
        """The days of which this asset was wanted and did not come."""
        return {day for day in self.wanted.get(asset, ()) if (asset, day) not in self.recorded}


@contextmanager
def records(home: Path) -> Iterator[dg.DagsterInstance]:
    """The Dagster instance of a home, which DAGSTER_HOME names, with databases in it.

    Raises:
        StorageFailed: they cannot be written or read.
        WrongSetting: the home's dagster.yaml does not fit.
    """
    try:
        with _made(home) as instance:
            yield instance
    except Exception as error:
        if (reason := _reason_of_database(error)) is None:
            raise
        raise StorageFailed(
            f"Dagster could not keep its records in {home}: {reason}. Is there room, may we write there, and does the "
            "database answer that its dagster.yaml names, if it names one?"
        ) from error


def _reason_of_database(error: BaseException | None) -> str | None:
    """What a database has said that raised this error, or caused it; None where that was none."""
    while error and not isinstance(error, SQLAlchemyError):
        error = error.__cause__
    said = error.orig if isinstance(error, DBAPIError) else error
    return said and " ".join(str(said).split()).rstrip(".")


def _made(home: Path) -> dg.DagsterInstance:
    # Dagster makes each of its databases when it first needs it, and fails where two processes do so at once. Who may
    # not write in the home keeps records elsewhere.
    with FileLock(home / "databases.lock") if os.access(home, os.W_OK) else nullcontext():
        instance = _configured(home)
        instance.get_runs(limit=1)
        instance.all_instigator_state()
        instance.fetch_materializations(dg.AssetKey("launches"), limit=1)
    return instance


def _configured(home: Path) -> dg.DagsterInstance:
    try:
        return dg.DagsterInstance.get()
    except Exception as error:
        if _reason_of_database(error):
            raise
        # A variable that is not set, a line that Dagster does not know, a package that is not installed.
        reason = " ".join(str(error).split())
        raise WrongSetting(f"Dagster cannot be set up as {home / 'dagster.yaml'} says: {reason}") from error


class Backfill:
    """Brings days of assets, recorded in a Dagster instance.

    Args:
        instance: where runs are recorded.
        on_day: told of each day or month as soon as it is recorded.
        on_wait: told, in a sentence, what is waited for, and for how many seconds if that is known.
        on_run: told of each run before it is created: of which asset, and how many days or months it is to bring. When
            it is one of launches, no other run asks the API.
        definitions: the project.
    """

    def __init__(
        self,
        instance: dg.DagsterInstance,
        on_day: Callable[[Recorded], None],
        on_wait: Callable[[str, float | None], None] = lambda _, __: None,
        on_run: Callable[[str, int], None] = lambda _, __: None,
        definitions: dg.Definitions = defs,
    ) -> None:
        self._instance = instance
        self._on_day = on_day
        self._on_wait = on_wait
        self._on_run = on_run
        self._chunk = ""
        self._job = definitions.resolve_implicit_global_asset_job_def()

    def missing(self, days: Sequence[date], asset: str, storage: Storage) -> list[date]:
        """The days that are not recorded, or whose file is not in the storage.

        Both are asked: a record is a claim about the storage, and a file alone is no finished day.
        """
        recorded = self._instance.get_materialized_partitions(dg.AssetKey(asset))
        part, key_of = (keys.LAUNCHES, keys.launches_key) if asset == "launches" else (keys.IMAGES, keys.manifest_key)
        stored = _stored(storage, part, days)
        return [day for day in days if day.isoformat() not in recorded or key_of(day) not in stored]

    def bring(self, wanted: Mapping[str, Sequence[date]]) -> Outcome:
        """Bring these days of these assets, each chunk's launches before its pictures.

        The API's throttle is waited for. After any other failure of the API that trying again may mend it is not asked
        any more: what keeps one chunk from its launches would keep the next from them, too. The pictures of the days
        whose launches stand are brought all the same. A failure of another kind is noted, and the next chunk begun.
        """
        return self._until_ctrl_c(wanted, self._bring)

    def make(self, wanted: Mapping[str, Sequence[date]], *, index: bool) -> Outcome:
        """Make these months of these assets, given by their first days, and the index of the gallery.

        One that fails is noted, and the next begun; what failed is not tried again.
        """
        return self._until_ctrl_c(wanted, partial(self._make, index=index))

    def months(self, days: Iterable[date]) -> list[date]:
        """The months of these days, by their first days, of which at least one day has its launches on record."""
        recorded = self._instance.get_materialized_partitions(launches.key)
        made_of = {month_of(date.fromisoformat(day)) for day in recorded}
        return sorted({month_of(day) for day in days if months.has_partition_key(str(month_of(day)))} & made_of)

    def made_months(self, days: Iterable[date], asset: str) -> list[date]:
        """The months of these days that have been made."""
        made = self._instance.get_materialized_partitions(dg.AssetKey(asset))
        return [month for month in self.months(days) if month.isoformat() in made]

    def missing_months(self, firsts: Sequence[date], asset: str, storage: Storage) -> list[date]:
        """Of these months, those that were not made for the days recorded now, or whose file is not in the storage."""
        asset_key, names = dg.AssetKey(asset), [month.isoformat() for month in firsts]
        recipe = RECIPE_OF[asset_key]
        behind = months_behind(self._instance, launches.key, launch_images.key, asset_key, recipe, names)
        is_table = asset == "launch_table"
        keys_of = (keys.table_key,) if is_table else (keys.gallery_page_key, keys.gallery_summary_key)
        stored = _stored(storage, keys.TABLE if is_table else keys.GALLERY, firsts)
        damaged = set[date]() if is_table else set(read_summaries(storage, firsts)[1])
        there = {month for month in firsts if stored >= {key(month) for key in keys_of}} - damaged
        return [month for month in firsts if str(month) in behind or month not in there]

    def is_index_missing(self, storage: Storage) -> bool:
        """Whether the index was not made for the months that are recorded now, or is not in the storage."""
        is_behind = index_is_behind(self._instance, launch_gallery.key, gallery_index.key)
        are_there = bool(self._instance.get_materialized_partitions(launch_gallery.key))
        return is_behind or (are_there and not storage.find(keys.GALLERY_INDEX))

    def _until_ctrl_c(
        self, wanted: Mapping[str, Sequence[date]], work: Callable[[Outcome, threading.Event], None]
    ) -> Outcome:
        outcome = Outcome({asset: frozenset(days) for asset, days in wanted.items()})
        self._close_runs_of_dead_processes()
        try:
            with _ctrl_c() as pressed:
                work(outcome, pressed)
        except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError):
            outcome.interrupted = True
        return outcome

    def _make(self, outcome: Outcome, pressed: threading.Event, *, index: bool) -> None:
        months = {month for asset in MONTHLY for month in outcome.wanted.get(asset, ())}
        if months:
            self._chunk = f"{min(months)}..{last_day(max(months))}"
        for asset in MONTHLY:
            for part in portions(sorted(outcome.wanted.get(asset, ())), MONTHS_PER_RUN):
                for start, end in ranges(part, next_month):
                    if failed := self._run(asset, (start, end), outcome, pressed):
                        outcome.failures.append(failed)
        if index and (failed := self._run(INDEX, None, outcome, pressed)):
            outcome.failures.append(failed)

    def _bring(self, outcome: Outcome, pressed: threading.Event) -> None:
        wanted, answers = outcome.wanted, True
        for chunk in _chunks(wanted):
            self._chunk = f"{chunk[0]}..{chunk[-1]}"
            tried: set[date] = set()
            bring_images = partial(self._bring_images, chunk, tried, outcome, pressed)
            for start, end in ranges([day for day in chunk if day in wanted.get("launches", ())]):
                failed = self._run_to_its_end(start, end, outcome, pressed, bring_images) if answers else None
                answers = answers and not (failed and failed.retryable)
            bring_images()

    def _bring_images(
        self, chunk: Sequence[date], tried: set[date], outcome: Outcome, pressed: threading.Event
    ) -> None:
        """Bring the pictures of the days whose launches stand, each day once."""
        wanted = outcome.wanted.get("launch_images", ())
        chosen = [day for day in chunk if day in wanted and day not in tried and not _lost(outcome, "launches", day)]
        tried.update(chosen)
        for part in portions(chosen, IMAGES_PER_RUN):
            for start, end in ranges(part):
                if failed := self._run("launch_images", (start, end), outcome, pressed):
                    outcome.failures.append(failed)

    def _run_to_its_end(
        self, start: date, end: date, outcome: Outcome, pressed: threading.Event, meanwhile: Callable[[], None]
    ) -> Failed | None:
        """Run a range of launches, and run what is left of it again after each wait that the throttle asks for."""
        while True:
            self._wait_for_the_pool(pressed)
            failed = self._run("launches", (start, end), outcome, pressed)
            if failed is None:
                return None
            if failed.retry_after is None:
                outcome.failures.append(failed)
                return failed
            now = datetime.now(UTC)
            until = now + timedelta(seconds=failed.retry_after)
            said = f"The throttle of the Launch Library is reached; going on at {moment(until, now)}."
            self._on_wait(said, failed.retry_after)
            # The pictures do not come from the library: the wait is long enough for those of the days that stand.
            meanwhile()
            _wait(pressed, max(0.0, (until - datetime.now(UTC)).total_seconds()))
            start = next((day for day in days_between(start, end) if ("launches", day) not in outcome.recorded), end)

    def _run(
        self, asset: str, days: tuple[date, date] | None, outcome: Outcome, pressed: threading.Event
    ) -> Failed | None:
        run_id = str(uuid4())
        self._on_run(asset, _steps(asset, days))
        self._tell_of_days(run_id, asset, outcome)
        with self._closed(run_id):
            result = self._job.execute_in_process(
                instance=self._instance,
                run_id=run_id,
                asset_selection=[dg.AssetKey(asset)],
                tags={
                    **_process_tags(os.getpid()),
                    WAITS_OUTSIDE: "true",
                    COMMAND: "backfill",
                    COMMANDS_DAYS: self._chunk,
                    # Who started it starts it again; the daemon has no part in it.
                    "dagster/max_retries": "0",
                    # On another machine nobody can look whether its process is still there.
                    "dagster/max_runtime": str(int(_LONGEST_RUN.get(asset, _LONGEST_OTHER_RUN).total_seconds())),
                    **(tags_for_range(*days) if days else {}),
                },
                # Dagster's log of each event would tear the progress bar; it is in the UI all the same.
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                raise_on_error=False,
            )
        if pressed.is_set() or _interrupted(result):
            # Dagster makes a failed step of a Ctrl-C, and would go on.
            raise KeyboardInterrupt
        for reason in _false_checks(result):
            outcome.failures.append(Failed(asset, days, reason))
        return None if result.success else _failed(result, asset, days)

    def _wait_for_the_pool(self, pressed: threading.Event) -> None:
        """Wait until no other run asks the API; Dagster would wait, too, but silently, and deaf to Ctrl-C."""
        said = False
        while True:
            pool = self._instance.event_log_storage.get_concurrency_info(POOL)
            if not pool.slot_count or pool.active_slot_count < pool.slot_count:
                return
            if not said:
                self._on_wait("Another run is asking the Launch Library; going on when it is done.", None)
                said = True
            _wait(pressed, _POOL_POLL_SECONDS)

    @contextmanager
    def _closed(self, run_id: str) -> Iterator[None]:
        """Let a run that is broken off not look as if it still went on."""
        try:
            yield
        except BaseException:
            if (run := self._instance.get_run_by_id(run_id)) and not run.is_finished:
                self._instance.report_run_canceled(run, message="Interrupted; the days recorded so far stand.")
            self._instance.event_log_storage.free_concurrency_slots_for_run(run_id)
            raise

    def _close_runs_of_dead_processes(self) -> None:
        """Record that the runs of killed backfills have ended, and free what they hold: nobody else would."""
        open_runs = dg.RunsFilter(
            tags={HOST: socket.gethostname()},
            statuses=[dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED],
        )
        for run in self._instance.get_runs(open_runs):
            if not _is_alive(int(run.tags[PID])):
                self._instance.report_run_failed(run, message="Its process is gone; the days recorded so far stand.")
                self._instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)

    def _tell_of_days(self, run_id: str, asset: str, outcome: Outcome) -> None:
        """Tell of each day of a run when Dagster has put it on record."""

        def tell(entry: dg.EventLogEntry) -> None:
            if (made := entry.asset_materialization) and made.partition and made.asset_key == dg.AssetKey(asset):
                day = date.fromisoformat(made.partition)
                outcome.recorded.add((asset, day))
                self._on_day(Recorded(asset, day, made.metadata))

        self._instance.add_event_listener(run_id, tell)


def _stored(storage: Storage, part: str, days: Iterable[date]) -> set[str]:
    """The keys below the years of these days in a part of the storage; in a bucket each page is a round trip."""
    years = sorted({keys.of_year(part, day) for day in days})
    return {found.key for listed in storage.each(lambda year: list(storage.list(year)), years) for found in listed}


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


def _wait(pressed: threading.Event, seconds: float) -> None:
    if pressed.wait(seconds):
        raise KeyboardInterrupt


def _process_tags(pid: int) -> dict[str, str]:
    return {HOST: socket.gethostname(), PID: str(pid)}


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def portions(days: Sequence[date], size: int) -> Iterator[list[date]]:
    """The days, or months, in portions that one run takes."""
    for first in range(0, len(days), size):
        yield list(days[first : first + size])


def _chunks(wanted: Mapping[str, Collection[date]]) -> Iterator[list[date]]:
    """The days that are wanted, in portions of which the launches are brought before any pictures."""
    return portions(sorted({day for days in wanted.values() for day in days}), LAUNCHES_PER_RUN)


def runs_of_launches(wanted: Mapping[str, Collection[date]]) -> list[tuple[date, date]]:
    """The first and the last day of each run of launches that brings what is wanted."""
    chosen = set(wanted.get("launches", ()))
    return [run for chunk in _chunks(wanted) for run in ranges([day for day in chunk if day in chosen])]


def next_day(day: date) -> date:
    """The day that follows."""
    return day + DAY


def ranges(days: Sequence[date], after: Callable[[date], date] = next_day) -> Iterator[tuple[date, date]]:
    """Sorted days as first and last day of each stretch without a gap; `after` gives the one that is to follow."""
    first = last = None
    for day in days:
        if first is None or last is None:
            first = day
        elif day != after(last):
            yield first, last
            first = day
        last = day
    if first is not None and last is not None:
        yield first, last


def moment(until: datetime, now: datetime) -> str:
    """A moment to come, with its date where that is not today's."""
    return f"{until:%H:%M:%S} UTC" if until.date() == now.date() else f"{until:%Y-%m-%d %H:%M:%S} UTC"


def _steps(asset: str, days: tuple[date, date] | None) -> int:
    """How many days, or months by their first days, a run is to bring; none of the index, which has neither."""
    if days is None:
        return 0
    start, end = days
    return 12 * (end.year - start.year) + end.month - start.month + 1 if asset in MONTHLY else (end - start).days + 1


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


def _failed(result: dg.ExecuteInProcessResult, asset: str, days: tuple[date, date] | None) -> Failed:
    """Why a run failed, whether trying again may help, and when."""
    for event in result.all_events:
        if event.is_step_failure:
            failure = event.step_failure_data.user_failure_data
            if failure:
                said = {name: value.value for name, value in failure.metadata.items()}
                wait = said.get(RETRY_AFTER)
                return Failed(
                    asset,
                    days,
                    failure.description or failure.label,
                    retryable=bool(said.get(RETRYABLE)),
                    retry_after=wait if isinstance(wait, float) else None,
                )
            if event.step_failure_data.error:
                return Failed(asset, days, event.step_failure_data.error.message.strip())
    messages = [event.message for event in result.all_events if event.is_failure and event.message]
    return Failed(asset, days, messages[-1] if messages else "The run failed without a reason.")
