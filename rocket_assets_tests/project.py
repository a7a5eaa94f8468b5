"""The real project with other settings: its definitions on an ephemeral Dagster instance, against a server of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg

from rocket_assets.archive import Archive
from rocket_assets.definitions import definitions, utc_now
from rocket_assets.defs.resources import LaunchLibraryResource
from rocket_assets.defs.runs import RETRY_AFTER, WAITS_OUTSIDE, days_of_tags
from rocket_assets.settings import API_TOKEN, API_URL, STORAGE, Settings
from rocket_assets.storage import Storage

BOTH = ("launches", "launch_images")

_SILENT: Mapping[str, Any] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
_RUN_KEY, _DAY = "dagster/run_key", "dagster/partition"
_START, _END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@dataclass
class Project:
    """Runs assets of the project as Dagster runs them, in this process."""

    api_url: str
    storage: Storage
    instance: dg.DagsterInstance
    token: str = ""
    storage_uri: str = ""
    """Another storage for the runs than the one that the test looks into."""
    clock: Callable[[], datetime] = utc_now
    """What time it is for the sensor."""

    @property
    def archive(self) -> Archive:
        """The days that the project has stored."""
        return Archive(self.storage)

    @cached_property
    def definitions(self) -> dg.Definitions:
        """The project's definitions, with these settings."""
        environ = {
            API_URL.name: self.api_url,
            API_TOKEN.name: self.token,
            STORAGE.name: self.storage_uri or self.storage.uri,
        }
        return definitions(Settings.read(environ), self.clock)

    def bring(
        self, start: str | None, end: str | None = None, assets: Sequence[str] = BOTH, *, waits: bool = False
    ) -> dg.ExecuteInProcessResult:
        """One run: of one day or month as the UI launches it, of a range as a backfill does, or of no partition.

        Without `waits` it fails at once where a run of the daemon would wait and try again.
        """
        tags = {_DAY: start} if start and end is None else {_START: start, _END: end} if start and end else {}
        return self.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=self.instance,
            asset_selection=[dg.AssetKey(asset) for asset in assets],
            tags=tags if waits else tags | {WAITS_OUTSIDE: "true"},
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            raise_on_error=False,
        )

    def bring_both(self, start: str, end: str) -> list[dg.ExecuteInProcessResult]:
        """A run for each asset over a range, as a backfill makes them."""
        return [self.bring(start, end, [asset]) for asset in BOTH]

    def recorded(self, asset: str) -> dict[str, dg.AssetMaterialization]:
        """The newest record of each day."""
        found = self.instance.fetch_materializations(dg.AssetKey(asset), limit=1000, ascending=True)
        return {
            record.partition_key: record.asset_materialization
            for record in found.records
            if record.partition_key and record.asset_materialization
        }

    def records(self, asset: str) -> int:
        """How many records there are, older ones included."""
        return len(self.instance.fetch_materializations(dg.AssetKey(asset), limit=1000).records)


@dataclass(frozen=True)
class Run:
    """A run that the daemon has started: of which days, and how it ended."""

    asset: str
    start: date
    end: date
    cause: str
    at: datetime
    failure: str = ""
    """What it says if it failed."""


class Daemon:
    """What Dagster's daemon does with the project, at the time of the project's clock.

    A run that meets the throttle is begun again by `wake` when its time has come, and counts as under way until then,
    as a run does that Dagster lets wait. Every other run that fails stays failed.
    """

    def __init__(self, project: Project, *, backoff: float = 0.5) -> None:
        self.project = project
        self.cursor: str | None = None
        """Of the sensor."""
        self.runs: list[Run] = []
        self.doing = ""
        """What a request to the API that comes now is for."""
        self._backoff = backoff
        self._found: dg.EvaluateAutomationConditionsResult | None = None
        self._waiting: list[tuple[datetime, str, str, dict[str, str]]] = []
        self.restart()

    def restart(self) -> None:
        """Load the definitions anew, as a daemon does that was ended and started; instance and cursors stay."""
        made = self.project.definitions
        quick = {
            name: LaunchLibraryResource(url=self.project.api_url, mode=mode, backoff=self._backoff)
            for name, mode in (("launch_library", "normal"), ("launch_list", "list"))
        }
        self._definitions = dg.Definitions(
            assets=made.assets,
            jobs=made.jobs,
            schedules=made.schedules,
            sensors=made.sensors,
            resources={**(made.resources or {}), **quick},
            executor=made.executor,
        )
        self._repository = self._definitions.get_repository_def()

    def sensor(self) -> None:
        """A tick of the sensor, and its runs."""
        for request in self.look():
            self.run(request, "sensor")

    def schedule(self) -> None:
        """A tick of the schedule, and its run."""
        schedule = self._repository.get_schedule_def("launches_around_today")
        with dg.build_schedule_context(
            self.project.instance, self.project.clock(), repository_def=self._repository
        ) as context:
            requests = schedule.evaluate_tick(context).run_requests or []
        for request in self._unknown(requests):
            self.run(request, "schedule")

    def look(self) -> list[dg.RunRequest]:
        """A tick of the sensor: what it requests and did not request before. The cursor goes on."""
        self.doing = "look"
        sensor = self._repository.get_sensor_def("launch_library_changes")
        resources = self._repository.get_top_level_resources()
        with dg.build_sensor_context(
            self.project.instance,
            self.cursor,
            repository_def=self._repository,
            resources={name: resources[name] for name in sensor.required_resource_keys},
        ) as context:
            tick = sensor.evaluate_tick(context)
        for event in tick.asset_events:
            self.project.instance.report_runless_asset_event(event)
        self.cursor = tick.cursor
        return self._unknown(tick.run_requests or [])

    def run(self, request: dg.RunRequest, cause: str) -> None:
        """The run that is requested."""
        tags = {**request.tags, _RUN_KEY: request.run_key or ""}
        self._run("launches", cause, tags | ({_DAY: request.partition_key} if request.partition_key else {}))

    def pictures(self, cause: str) -> None:
        """A look whether pictures are to follow, and the runs that bring them, a range each."""
        found = dg.evaluate_automation_conditions(
            self._definitions,
            self.project.instance,
            dg.AssetSelection.assets("launch_images"),
            # Runs bear the real time. So much later, none of them is one that a command of ours has just made.
            datetime.now(UTC) + timedelta(minutes=5),
            self._found.cursor if self._found else None,
        )
        self._found = found
        wanted = found.get_requested_partitions(dg.AssetKey("launch_images"))
        for start, end in in_ranges(date.fromisoformat(day) for day in wanted if day):
            tags = {_START: start.isoformat(), _END: end.isoformat()}
            self._run("launch_images", cause, tags if start < end else {_DAY: start.isoformat()})

    def wake(self) -> None:
        """Begin the runs again that have waited for the throttle long enough."""
        now = self.project.clock()
        due = [one for one in self._waiting if one[0] <= now]
        self._waiting = [one for one in self._waiting if one[0] > now]
        for _, run_id, cause, tags in due:
            self.project.instance.delete_run(run_id)
            self._run("launches", cause, tags)

    def _unknown(self, requests: Sequence[dg.RunRequest]) -> list[dg.RunRequest]:
        def is_known(request: dg.RunRequest) -> bool:
            known = dg.RunsFilter(tags={_RUN_KEY: request.run_key or ""})
            return self.project.instance.get_runs_count(known) > 0

        return [request for request in requests if not is_known(request)]

    def _run(self, asset: str, cause: str, tags: dict[str, str]) -> None:
        self.doing = f"{cause} run"
        name = {"launches": "bring_launches", "launch_images": "__ASSET_JOB"}[asset]
        result = self._repository.get_job(name).execute_in_process(
            instance=self.project.instance,
            asset_selection=[dg.AssetKey(asset)],
            # In this process, Dagster would really wait.
            tags=tags | {WAITS_OUTSIDE: "true"},
            run_config=_SILENT,
            raise_on_error=False,
        )
        now, days = self.project.clock(), days_of_tags(tags)
        assert days
        self.runs.append(Run(asset, *days, cause, now, "" if result.success else failure_of(result)))
        wait = next((_wait(event) for event in result.all_events if event.is_step_failure), 0.0)
        if wait:
            waiting = dg.DagsterRun(name, tags=tags, status=dg.DagsterRunStatus.STARTED)
            self.project.instance.add_run(waiting)
            self._waiting.append((now + timedelta(seconds=wait), waiting.run_id, cause, tags))


def _wait(failed: dg.DagsterEvent) -> float:
    data = failed.step_failure_data.user_failure_data
    value = (data.metadata if data else {}).get(RETRY_AFTER)
    return float(value.value or 0) if isinstance(value, dg.FloatMetadataValue | dg.IntMetadataValue) else 0.0


def in_ranges(days: Iterable[date]) -> Iterator[tuple[date, date]]:
    """Days as the first and last of each row of them without a gap."""
    first = last = None
    for day in sorted(days):
        if first and last and day > last + timedelta(days=1):
            yield first, last
            first = day
        first, last = first or day, day
    if first and last:
        yield first, last


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    """What a failed run says."""
    event = next(event for event in result.all_events if event.is_failure)
    if not event.is_step_failure:
        return str(event.job_failure_data.error)
    user_failure = event.step_failure_data.user_failure_data
    return (user_failure and user_failure.description) or str(event.step_failure_data.error)


def number(materialization: dg.AssetMaterialization, name: str) -> int:
    """A whole number in the metadata of a day."""
    value = materialization.metadata[name]
    assert isinstance(value, dg.IntMetadataValue)
    assert value.value is not None
    return value.value


def tree(folder: str | Path) -> dict[str, bytes]:
    """Every file below a folder, by its relative path."""
    root = Path(folder)
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def days(start: date, count: int) -> Iterator[date]:
    """So many days from one on."""
    return (date.fromordinal(start.toordinal() + n) for n in range(count))
