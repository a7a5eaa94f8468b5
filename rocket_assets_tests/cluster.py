"""A deployment over several machines, all of them this one: each process has a Dagster home of its own, as there.

The instance is that of `deploy/compose/dagster.yaml`, with a PostgreSQL, a Redis and a bucket of the tests.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

import dagster as dg
import pytest
import requests
import yaml

from rocket_assets.defs.runs import UNFINISHED
from rocket_assets.storage import Storage
from rocket_assets_tests.bucket import S3
from rocket_assets_tests.daemon import backfill_of, kill
from rocket_assets_tests.programs import free_port
from rocket_assets_tests.project import BOTH
from rocket_assets_tests.servers import HOST, restartable_redis, serving_postgres

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
DEPLOYED = ROOT / "deploy/compose"

_SECONDS = 420
"""How long one wait may take, on a machine that has other things to do."""

_BACKFILL = """
mutation($given: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $given) {
    ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
  }
}
"""

_RUN = """
mutation($given: ExecutionParams!) { launchRun(executionParams: $given) { ... on LaunchRunSuccess { run { runId } } } }
"""

_SENSORS = """
{
  sensorsOrError(
    repositorySelector: { repositoryLocationName: "rocket_assets.definitions", repositoryName: "__repository__" }
  ) { ... on Sensors { results { sensorState { id } } } }
}
"""
_STOP = "mutation($id: String!) { stopSensor(id: $id) { __typename } }"

_Found = TypeVar("_Found")


class Cluster:
    """Servers, processes on them, and what is seen of their work in Dagster's records."""

    def __init__(self, folder: Path, s3: S3, **settings: str) -> None:
        self.folder = folder
        folder.mkdir()
        self.uri = s3.make_bucket()
        self.s3 = s3
        self._settings = settings
        self._stack = ExitStack()
        self.environ: dict[str, str] = {}
        self.instance: dg.DagsterInstance
        self.url = ""
        self.restart_broker: Callable[[], None]
        self._workspace = folder / "workspace.yaml"

    def __enter__(self) -> Self:
        """Start all but the workers."""
        with ExitStack() as stack:
            postgres = stack.enter_context(serving_postgres())
            redis, self.restart_broker = stack.enter_context(restartable_redis())
            self.environ = {
                "PATH": f"{BIN}:{os.environ['PATH']}",
                "HOME": str(self.folder),
                "DAGSTER_POSTGRES_URL": postgres,
                "DAGSTER_CELERY_BROKER_URL": redis,
                "DAGSTER_CELERY_BACKEND_URL": redis,
                "ROCKET_ASSETS_STORAGE": self.uri,
                **self.s3.environ,
                **self._settings,
            }
            self.instance = stack.enter_context(self._instance())
            self._serve(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _serve(self, stack: ExitStack) -> None:
        code, web = free_port(), free_port()
        location = yaml.safe_load((DEPLOYED / "workspace.yaml").read_text())
        location["load_from"][0]["grpc_server"].update(host=HOST, port=code)
        self._workspace.write_text(yaml.safe_dump(location))
        self.url = f"http://{HOST}:{web}"
        module = ["-m", "rocket_assets.definitions", "-h", HOST, "-p", str(code)]
        stack.enter_context(self.process("code", [BIN / "dagster", "api", "grpc", *module]))
        self.until(lambda: _listens(code), "the code location is there")
        shown = ["-w", self._workspace, "-h", HOST, "-p", str(web), "--log-level", "warning"]
        stack.enter_context(self.process("webserver", [BIN / "dagster-webserver", *shown]))
        stack.enter_context(self.process("daemon", [BIN / "dagster-daemon", "run", "-w", self._workspace]))
        self.until(lambda: _listens(web), "the webserver is there")

    @contextmanager
    def _instance(self) -> Iterator[dg.DagsterInstance]:
        """The instance as this process sees it."""
        with _environment(self.environ):
            made = dg.DagsterInstance.from_config(str(self.home("test")))
            # Each part is made when it is first asked for, by what then stands in the environment.
            assert made.run_launcher
            assert not made.get_runs_count()
            assert not made.all_logs("")
            assert not made.all_instigator_state()
        with made as instance:
            yield instance

    def home(self, name: str) -> Path:
        """A Dagster home for one process."""
        home = self.folder / "homes" / name
        home.mkdir(parents=True, exist_ok=True)
        (home / "dagster.yaml").write_bytes((DEPLOYED / "dagster.yaml").read_bytes())
        return home

    @contextmanager
    def process(self, name: str, arguments: Sequence[str | Path], **environ: str) -> Iterator[subprocess.Popen[str]]:
        """A process of the deployment, whose children go with it, however this ends."""
        environ = {**self.environ, "DAGSTER_HOME": str(self.home(name)), **environ}
        with (
            (self.folder / f"{name}.log").open("a") as out,
            subprocess.Popen(
                arguments, env=environ, cwd=ROOT, start_new_session=True, text=True, stdout=out, stderr=out
            ) as process,
        ):
            try:
                yield process
            finally:
                kill(process)

    @contextmanager
    def worker(self, name: str, *options: str) -> Iterator[subprocess.Popen[str]]:
        """A worker with one place, that is ready."""
        arguments = ["-m", "rocket_assets.defs.workers", "--concurrency=1", f"--hostname={name}@here", *options]
        with self.process(name, [sys.executable, *arguments]) as process:
            self.until(lambda: f"{name}@here ready" in self.log(name), f"{name} is ready")
            yield process

    def log(self, name: str) -> str:
        """What a process has said."""
        return (self.folder / f"{name}.log").read_text()

    def taken_by(self, run: dg.DagsterRun) -> str:
        """The worker that took a run, by its name."""
        task = f"[{run.tags.get('dagster-celery/task_id')}] received"
        return next((path.stem for path in self.folder.glob("*.log") if task in path.read_text()), "")

    def stored(self) -> dict[str, bytes]:
        """All that is in the bucket."""
        with _environment(self.s3.environ):
            storage = Storage(self.uri)
            return {found.key: storage.read(found.key) for found in storage.list()}

    def backfill(self, start: str, end: str, *, views: bool = True) -> str:
        """Start a backfill of a range of days, and of what is made of them, as the UI does; its id."""
        given = backfill_of(BOTH, start, end)
        if views:
            of_months = backfill_of(["launch_gallery", "launch_table"], f"{start[:7]}-01", f"{end[:7]}-01")
            given["partitionsByAssets"] += [*of_months["partitionsByAssets"], {"assetKey": {"path": ["gallery_index"]}}]
        answer = self.graphql(_BACKFILL, {"given": given})
        return answer["launchPartitionBackfill"]["backfillId"]

    def run(self, given: Mapping[str, Any]) -> str:
        """Start a run as the UI does; its id."""
        return self.graphql(_RUN, {"given": given})["launchRun"]["run"]["runId"]

    def stop_sensors(self) -> None:
        """Let nothing begin by itself: it would take the places of the workers."""
        for sensor in self.graphql(_SENSORS)["sensorsOrError"]["results"]:
            self.graphql(_STOP, {"id": sensor["sensorState"]["id"]})

    def has_ended(self, backfill: str) -> bool:
        """Whether a backfill has ended, and nothing else is under way."""
        found = self.instance.get_backfill(backfill)
        return bool(found) and found.status.value != "REQUESTED" and self.is_idle()

    def graphql(self, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What the webserver answers."""
        asked = {"query": query, "variables": variables or {}}
        answer = requests.post(f"{self.url}/graphql", json=asked, timeout=60).json()
        assert "errors" not in answer, answer
        return answer["data"]

    def until(self, found: Callable[[], _Found | None], what: str, pause: float = 0.5) -> _Found:
        """Wait until there is something, and say what."""
        gives_up = time.monotonic() + _SECONDS
        while not (result := found()):
            if time.monotonic() > gives_up:
                logs = [f"{path.stem}: {path.read_text()[-2000:]}" for path in self.folder.glob("*.log")]
                raise TimeoutError("\n".join([f"Waited in vain: {what}.", *logs]))
            time.sleep(pause)
        return result

    def recorded(self, asset: str) -> set[str]:
        """The days of an asset that stand in the records."""
        return self.instance.get_materialized_partitions(dg.AssetKey(asset))

    def is_idle(self) -> bool:
        """Whether no run and no backfill is under way or waits."""
        backfills = [backfill for backfill in self.instance.get_backfills() if backfill.status.value == "REQUESTED"]
        return not backfills and not self.instance.get_runs(dg.RunsFilter(statuses=UNFINISHED), limit=1)


@contextmanager
def _environment(environ: Mapping[str, str]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(name, value)
        yield


def _listens(port: int) -> bool:
    with socket.socket() as knocking:
        return knocking.connect_ex((HOST, port)) == 0
