"""A real `dagster-daemon` on a Dagster home of its own, and what is seen of its work in the home's records."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Self, TypeVar

import dagster as dg

from rocket_assets.archive import Archive
from rocket_assets.defs.jobs import bring_launches
from rocket_assets.defs.runs import days_of_tags
from rocket_assets.errors import Damaged, Missing
from rocket_assets.launches import data_version
from rocket_assets.sample_library.server import LibraryServer
from rocket_assets.storage import Storage
from rocket_assets_tests.project import BOTH, Project, failure_of

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent

LOOKS, FOLLOWS = "launch_library_changes", "launch_images_follow"
"""The names of the two sensors."""

UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]

_PATIENCE = 540
"""Seconds that all waits of a home may take together, on a machine that has other things to do."""

_COMMAND_SECONDS = 180

_HOST = "127.0.0.1"

_Row = dict[str, Any]
_Found = TypeVar("_Found")


class Telling:
    """What a library says otherwise than its rows: changes that a test makes while others ask."""

    def __init__(self) -> None:
        self._differs: dict[str, _Row] = {}

    def say(self, launch_id: str, **differs: Any) -> None:
        """From now on, a launch is told of like this."""
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        self._differs = {**self._differs, launch_id: {**differs, "last_updated": now}}

    def as_of(self, rows: list[_Row], now: datetime) -> list[_Row]:
        """The rows as they are told of."""
        differs = self._differs
        return [row | differs.get(row["id"], {}) for row in rows]


class Silence:
    """A library that keeps its launches to itself while a test wants it to; give its server the `as_of` of this."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._over.set()

    def begin(self) -> None:
        """Let who asks from now on wait."""
        self._over.clear()

    def end(self) -> None:
        """Answer all who wait, and who asks from now on."""
        self._over.set()

    def as_of(self, rows: list[_Row], now: datetime) -> list[_Row]:
        """The rows, when it is over."""
        self._over.wait()
        return rows


class Homes:
    """The homes of stories that play side by side, and that end together."""

    def __init__(self, folder: Path) -> None:
        self.stopping = threading.Event()
        """Set to let nobody wait any longer."""
        self.databases = threading.Lock()
        """Held to make databases: Dagster does so with Alembic, which is not made for several threads."""
        self._folder = folder
        self._made: list[Home] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for home in self._made:
            home.instance.dispose()

    def make(self, name: str, library: LibraryServer, **settings: str) -> Home:
        """A home with these settings beside the usual ones."""
        with self.databases:
            self._made.append(home := Home(self, self._folder / name, library, settings))
        return home


class Home:
    """What a person has who works with Dagster: a home with our settings, a storage, a library; and their commands."""

    def __init__(self, homes: Homes, folder: Path, library: LibraryServer, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.path = folder / "dagster"
        self.path.mkdir(parents=True)
        (self.path / "dagster.yaml").write_bytes((ROOT / "dagster.yaml").read_bytes())
        self.library = library
        self.storage = Storage(str(folder / "data"))
        self.archive = Archive(self.storage)
        self.environ = {
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOME": str(folder),
            "DAGSTER_HOME": str(self.path),
            "ROCKET_ASSETS_STORAGE": self.storage.uri,
            "ROCKET_ASSETS_API_URL": library.url,
            # So that the schedule finds nothing to do, should it be its time.
            "ROCKET_ASSETS_END_DATE": "2025-12-31",
            **settings,
        }
        self.instance = dg.DagsterInstance.from_config(str(self.path))
        self._homes = homes
        self._gives_up = time.monotonic() + _PATIENCE
        # Each of the three storages is made when it is asked for the first time.
        assert self.is_idle()
        assert not self.ticks(LOOKS)
        assert not self.brought("launches")

    @property
    def log(self) -> str:
        """What the daemons have said so far."""
        path = self.folder / "daemon.log"
        return path.read_text() if path.exists() else ""

    @contextmanager
    def daemon(self) -> Iterator[subprocess.Popen[str]]:
        """A daemon at work; at the end nothing of it is left, neither its code server nor a run."""
        arguments = [BIN / "dagster-daemon", "run", "-w", ROOT / "workspace.yaml"]
        with (self.folder / "daemon.log").open("a") as out, self._group(arguments, stdout=out, stderr=out) as process:
            yield process
            process.terminate()
            process.wait(timeout=60)

    @contextmanager
    def interface(self) -> Iterator[str]:
        """The UI at this address and a daemon at work, as `make dev` has them; at the end nothing of them is left."""
        with socket.create_server((_HOST, 0)) as free:
            port = free.getsockname()[1]
        options = ["-w", ROOT / "workspace.yaml", "-h", _HOST, "-p", str(port), "--log-level", "warning"]
        with (
            (self.folder / "daemon.log").open("a") as out,
            self._group([BIN / "dagster", "dev", *options], stdout=out, stderr=out),
        ):
            self.until(lambda: _listens(port), "the UI is there")
            yield f"http://{_HOST}:{port}"

    def bring(self, start: str, end: str | None = None, assets: Sequence[str] = BOTH) -> None:
        """Bring days in this process, before there is a daemon."""
        project = Project(self.library.url, self.storage, self.instance)
        with self._homes.databases:
            results = [project.bring(start, end, [asset]) for asset in assets]
        assert all(result.success for result in results), [failure_of(result) for result in results]

    def command(self, *arguments: str) -> None:
        """A command of ours, to its end, which must be a good one."""
        self._run([BIN / "rocket-assets", *arguments])

    def launch(self, backfills: Sequence[_Row] = (), runs: Sequence[_Row] = ()) -> None:
        """Start backfills and runs as the UI does, all by one request."""
        variables = {f"b{n}": one for n, one in enumerate(backfills)} | {f"r{n}": one for n, one in enumerate(runs)}
        kinds = {"b": "LaunchBackfillParams!", "r": "ExecutionParams!"}
        mutations = {
            "b": "launchPartitionBackfill(backfillParams: ${0}) {{ ... on LaunchBackfillSuccess {{ backfillId }} }}",
            "r": "launchRun(executionParams: ${0}) {{ ... on LaunchRunSuccess {{ run {{ runId }} }} }}",
        }
        head = ", ".join(f"${name}: {kinds[name[0]]}" for name in variables)
        body = " ".join(f"{name}: {mutations[name[0]].format(name)}" for name in variables)
        answer = self.graphql(f"mutation Launch({head}) {{ {body} }}", variables)
        assert all(answer.values()), answer

    def graphql(self, query: str, variables: Mapping[str, Any] | None = None) -> _Row:
        """What the GraphQL of the UI answers."""
        arguments = [BIN / "dagster-graphql", "-w", ROOT / "workspace.yaml", "-t", query]
        said = self._run([*arguments, "-v", json.dumps(variables or {})])
        # The code server that the command starts says goodbye on the same output.
        answer = json.JSONDecoder().raw_decode(said, said.index("{"))[0]
        assert "errors" not in answer, answer
        return answer["data"]

    def until(self, found: Callable[[], _Found], what: str, pause: float = 0.5) -> _Found:
        """Wait until there is something, and say what."""
        while not (result := found()):
            if self._homes.stopping.wait(pause) or time.monotonic() > self._gives_up:
                raise TimeoutError(f"Waited in vain: {what}.\n{self.log[-5000:]}")
        return result

    def ticks(self, sensor: str, since: float | None = None) -> list[Any]:
        """The ticks of a sensor that are over, the oldest first; Dagster has no public name for what they are."""
        states = [state for state in self.instance.all_instigator_state() if state.instigator_name == sensor]
        ticks = [
            tick
            for state in states
            for tick in self.instance.get_ticks(state.instigator_origin_id, state.selector_id, after=since)
        ]
        return sorted((tick for tick in ticks if tick.status.value != "STARTED"), key=lambda tick: tick.timestamp)

    def quiet_ticks(self, sensor: str, number: int) -> None:
        """Wait for some more ticks."""
        now = time.time()
        self.until(lambda: len(self.ticks(sensor, now)) >= number, f"{number} ticks of {sensor}")

    def runs(self, asset: str | None = None) -> list[dg.RunRecord]:
        """The runs, or those of one asset, the oldest first."""
        runs = self.instance.get_run_records(ascending=True)
        return [run for run in runs if asset is None or asset in _assets_of(run.dagster_run)]

    def run(self, run_id: str) -> dg.DagsterRun:
        """A run as it stands now."""
        run = self.instance.get_run_by_id(run_id)
        assert run
        return run

    def runs_over(self, asset: str, day: str) -> list[dg.RunRecord]:
        """The runs of an asset that were to bring a day."""
        found = ((run, days_of_tags(run.dagster_run.tags)) for run in self.runs(asset))
        return [run for run, days in found if days and days[0] <= date.fromisoformat(day) <= days[1]]

    def is_idle(self) -> bool:
        """Whether no run and no backfill is under way or waits."""
        backfills = [backfill for backfill in self.instance.get_backfills() if backfill.status.value == "REQUESTED"]
        return not backfills and not self.instance.get_runs(dg.RunsFilter(statuses=UNFINISHED), limit=1)

    def brought(self, asset: str) -> dict[str, list[float]]:
        """When each day of an asset was recorded, by the day."""
        found = self.instance.fetch_materializations(dg.AssetKey(asset), limit=10_000, ascending=True).records
        times: dict[str, list[float]] = {}
        for record in found:
            times.setdefault(record.partition_key or "", []).append(record.timestamp)
        return times

    def times(self, asset: str, days: Sequence[str]) -> list[int]:
        """How often each of these days was recorded."""
        brought = self.brought(asset)
        return [len(brought.get(day, [])) for day in days]

    def have_followed(self, *days: str) -> bool:
        """Whether the pictures of these days are those of their launches, as both are stored."""
        try:
            return all(
                self.archive.read_manifest(day).launches_version == data_version(self.archive.read_launches(day))
                for day in map(date.fromisoformat, days)
            )
        except (Missing, Damaged):
            return False

    def _run(self, arguments: Sequence[str | Path]) -> str:
        with self._group(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            out, err = process.communicate(timeout=_COMMAND_SECONDS)
        assert process.returncode == 0, (arguments, out, err)
        return out

    @contextmanager
    def _group(self, arguments: Sequence[str | Path], **streams: Any) -> Iterator[subprocess.Popen[str]]:
        """A process whose children go with it, however this ends."""
        with subprocess.Popen(
            arguments, env=self.environ, cwd=ROOT, start_new_session=True, text=True, **streams
        ) as process:
            try:
                yield process
            finally:
                kill(process)


def _listens(port: int) -> bool:
    with socket.socket() as knocking:
        return knocking.connect_ex((_HOST, port)) == 0


def _assets_of(run: dg.DagsterRun) -> list[str]:
    if run.job_name == bring_launches.name:
        return ["launches"]
    return [key.to_user_string() for key in run.asset_selection or ()]


def kill(process: subprocess.Popen[str]) -> None:
    """End a process and all that it has started, without a chance for any of them to say goodbye."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def kill_runs(process: subprocess.Popen[str]) -> None:
    """End the processes in which a daemon's runs are worked on, and those alone."""
    for folder in Path("/proc").glob("[0-9]*"):
        # Others come and go meanwhile.
        with suppress(ProcessLookupError, FileNotFoundError, PermissionError):
            pid = int(folder.name)
            if os.getpgid(pid) == process.pid and b"--multiprocessing-fork" in (folder / "cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)


def backfill_of(assets: Sequence[str], start: str, end: str) -> _Row:
    """What the UI sends to backfill assets over a range of days."""
    days = {"range": {"start": start, "end": end}}
    return {"partitionsByAssets": [{"assetKey": {"path": [asset]}, "partitions": days} for asset in assets]}


def run_of(asset: str, day: str) -> _Row:
    """What the UI sends to materialize one day of an asset."""
    return {
        "selector": {
            "repositoryLocationName": "rocket_assets.definitions",
            "repositoryName": "__repository__",
            "jobName": "__ASSET_JOB",
            "assetSelection": [{"path": [asset]}],
        },
        "executionMetadata": {"tags": [{"key": "dagster/partition", "value": day}]},
    }
