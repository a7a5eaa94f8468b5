"""A run on a worker ends when the worker does, when it takes too long, or when somebody wants it to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import psutil
import pytest
import yaml
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG
from kombu.exceptions import OperationalError
from redis.exceptions import ConnectionError as Unreachable

from rocket_assets.defs.workers import CheckedCeleryRunLauncher
from rocket_assets.sample_library.server import LibraryServer
from rocket_assets_tests.bucket import S3
from rocket_assets_tests.cluster import DEPLOYED, ROOT, Cluster
from rocket_assets_tests.daemon import Silence, kill, run_of
from rocket_assets_tests.programs import HOST, free_port
from rocket_assets_tests.servers import PASSWORD, serving_redis

DAY = "2024-12-05"

SOON = 0.5
"""Seconds within which one that listens is heard, mostly; who was not is asked again."""

SUCCESS, FAILURE, CANCELED = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED
STARTED = dg.DagsterRunStatus.STARTED

END = "mutation($id: String!) { terminateRun(runId: $id) { __typename } }"


# How a run fares, as the launcher tells


@dataclass
class Told:
    """A launcher with a broker of its own, and what workers have left there."""

    launcher: CheckedCeleryRunLauncher
    instance: dg.DagsterInstance

    def run(self, **tags: str) -> dg.DagsterRun:
        """A run that has begun."""
        return self.instance.add_run(dg.DagsterRun("bring_launches", str(uuid4()), tags=tags, status=STARTED))

    def begun(self, worker: str) -> dg.DagsterRun:
        """A run of which a worker has said that it begins with it."""
        run = self.run(**{DAGSTER_CELERY_TASK_ID_TAG: str(uuid4())})
        self.backend.mark_as_started(run.tags[DAGSTER_CELERY_TASK_ID_TAG], hostname=worker, pid=1)
        return run

    @property
    def backend(self) -> Any:
        """Where workers leave what they have to say."""
        return self.launcher.celery.backend

    def health(self, run: dg.DagsterRun) -> str:
        """How it fares."""
        return self.launcher.check_run_worker_health(run).status.value


@pytest.fixture(scope="module")
def redis() -> Iterator[str]:
    with serving_redis() as address:
        yield address


@contextmanager
def launching(instance: dg.DagsterInstance, address: str) -> Iterator[Told]:
    launcher = CheckedCeleryRunLauncher("dagster", address, address)
    launcher.register_instance(instance)
    try:
        yield Told(launcher, instance)
    finally:
        launcher.celery.close()


@pytest.fixture
def told(instance: dg.DagsterInstance, redis: str) -> Iterator[Told]:
    with launching(instance, redis) as made:
        yield made


@pytest.fixture
def worker(redis: str, tmp_path: Path) -> Iterator[str]:
    """A worker that has nothing to do, by its name."""
    home, name = tmp_path / "home", "idle@here"
    home.mkdir()
    launcher = yaml.safe_load((DEPLOYED / "dagster.yaml").read_text())["run_launcher"]
    (home / "dagster.yaml").write_text(yaml.safe_dump({"run_launcher": launcher}))
    named = ("DAGSTER_CELERY_BROKER_URL", "DAGSTER_CELERY_BACKEND_URL")
    environ = {**os.environ, **dict.fromkeys(named, redis), "DAGSTER_HOME": str(home)}
    arguments = [sys.executable, "-m", "rocket_assets.defs.workers", "--concurrency=1", f"--hostname={name}"]
    with subprocess.Popen(
        arguments, env=environ, cwd=ROOT, start_new_session=True, text=True, stderr=subprocess.PIPE
    ) as process:
        try:
            assert process.stderr
            assert any("ready" in line for line in process.stderr)
            yield name
        finally:
            kill(process)


def test_a_worker_that_does_not_answer_three_times_in_a_row_is_gone_and_its_run_with_it(told: Told) -> None:
    run = told.begun("gone@here")
    assert [told.health(run) for _ in range(2)] == ["RUNNING", "RUNNING"]
    with answering(told, "gone@here", run):
        assert told.health(run) == "RUNNING"
    assert [told.health(run) for _ in range(3)] == ["RUNNING", "RUNNING", "NOT_FOUND"]


@contextmanager
def answering(told: Told, worker: str, run: dg.DagsterRun) -> Iterator[None]:
    """What of a worker answers, when it is asked for a run that it has."""

    def asked(_: object, ids: list[str]) -> dict[str, list[object]]:
        return {task_id: ["active", {}] for task_id in ids if task_id == run.tags[DAGSTER_CELERY_TASK_ID_TAG]}

    app, over = told.launcher.celery, threading.Event()
    with app.connection_for_read() as connection, ThreadPoolExecutor() as pool:
        mailbox = app.control.mailbox(connection)
        mailbox.Node(worker, channel=connection.default_channel, handlers={"query_task": asked}).listen()

        def answer() -> None:
            while not over.is_set():
                with suppress(TimeoutError):
                    connection.drain_events(timeout=0.1)

        answers = pool.submit(answer)
        try:
            # A question that is asked before it listens is lost.
            asking = app.control.inspect([worker], timeout=SOON)
            assert any(asking.query_task(run.tags[DAGSTER_CELERY_TASK_ID_TAG]) for _ in range(60))
            yield
        finally:
            over.set()
        answers.result()


def test_a_worker_that_answers_and_does_not_know_a_run_has_it_no_more(told: Told, worker: str) -> None:
    """It has the name of one that died, as a container has that is started again."""
    # Of each run it is asked for the first time; on a machine that has other things to do it may be slow to answer.
    assert "NOT_FOUND" in (told.health(told.begun(worker)) for _ in range(5))


def test_a_run_that_its_worker_has_ended_without_a_record_is_gone(told: Told) -> None:
    run = told.begun("gone@here")
    told.backend.mark_as_done(run.tags[DAGSTER_CELERY_TASK_ID_TAG], 1)
    assert told.health(run) == "NOT_FOUND"


def test_a_run_that_no_worker_was_given_is_left_to_who_started_it(told: Told) -> None:
    run = told.run()
    assert told.health(run) == "RUNNING"
    assert not told.launcher.terminate(run.run_id)
    assert told.instance.get_run_by_id(run.run_id) == run


def test_where_the_broker_cannot_be_asked_nothing_is_said_of_a_run(instance: dg.DagsterInstance) -> None:
    with launching(instance, f"redis://{HOST}:{free_port()}/0") as told:
        run = told.run(**{DAGSTER_CELERY_TASK_ID_TAG: str(uuid4())})
        with pytest.raises(Unreachable):
            told.health(run)


# What becomes of a run whose worker is in trouble


@dataclass
class Site:
    """A deployment with a library that is silent as long as it is told to be."""

    cluster: Cluster
    silence: Silence

    def begin(self, worker: str, **tags: str) -> str:
        """A run that asks the silent library in the hands of a worker; its id."""
        self.silence.begin()
        run_id = self.launch("launches", **tags)
        self.cluster.until(lambda: self._has(worker, run_id), f"{worker} has the run")
        return run_id

    def launch(self, asset: str, **tags: str) -> str:
        """A run of one day, started as the UI does; its id."""
        given = run_of(asset, DAY)
        given["executionMetadata"]["tags"] += [{"key": key, "value": value} for key, value in tags.items()]
        return self.cluster.run(given)

    def break_off(self, run_id: str) -> dg.DagsterRunStatus:
        """End a run as somebody does in the UI, who does not want it to be begun again: how it ended."""
        assert self.cluster.graphql(END, {"id": run_id})["terminateRun"]["__typename"] == "TerminateRunSuccess"
        return self.ends(run_id)[0]

    def _has(self, worker: str, run_id: str) -> bool:
        log, run = self.cluster.instance.event_log_storage, self.run(run_id)
        holds = run_id in {slot.run_id for slot in log.get_concurrency_info("launch_library").claimed_slots}
        return holds and run.status == STARTED and self.cluster.taken_by(run) == worker

    def run(self, run_id: str) -> dg.DagsterRun:
        """A run as it stands now."""
        run = self.cluster.instance.get_run_by_id(run_id)
        assert run
        return run

    def ends(self, run_id: str) -> tuple[dg.DagsterRunStatus, str]:
        """Wait until a run has ended: how, and what is said of it."""
        self.cluster.until(lambda: self.run(run_id).is_finished, "the run ends")
        said = [entry.message for entry in self.cluster.instance.all_logs(run_id)]
        return self.run(run_id).status, "\n".join(said)

    def ends_when_begun_again(self, run_id: str) -> dg.DagsterRunStatus:
        """Wait until a run has ended that was begun again by Dagster, now that the library answers."""
        self.silence.end()
        instance = self.cluster.instance
        again = dg.RunsFilter(tags={"dagster/parent_run_id": run_id})
        (run,) = self.cluster.until(partial(instance.get_runs, again), "the run is begun again")
        return self.ends(run.run_id)[0]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, s3_server: S3) -> Iterator[Site]:
    folder, silence = tmp_path_factory.mktemp("workers") / "cluster", Silence()
    with LibraryServer(as_of=silence.as_of) as library, ExitStack() as stack:
        # Before the library ends, which waits for its answers.
        stack.callback(silence.end)
        settings = {"ROCKET_ASSETS_API_URL": library.url, "ROCKET_ASSETS_POLL_SECONDS": "86400"}
        cluster = stack.enter_context(Cluster(folder, s3_server, ROCKET_ASSETS_END_DATE="2025-12-31", **settings))
        cluster.stop_sensors()
        yield Site(cluster, silence)


@pytest.mark.slow
def test_a_worker_that_is_told_to_end_breaks_its_run_off_which_is_begun_again_by_another(site: Site) -> None:
    with site.cluster.worker("ending") as ending:
        run_id = site.begin("ending")
        ending.terminate()
        status, said = site.ends(run_id)
        assert status == FAILURE
        assert "Execution was interrupted unexpectedly." in said
        ending.wait(timeout=30)
    with site.cluster.worker("another"):
        assert site.ends_when_begun_again(run_id) == SUCCESS


@pytest.mark.slow
def test_a_run_that_takes_longer_than_it_may_is_ended_and_begun_again_though_its_worker_answers(site: Site) -> None:
    with site.cluster.worker("hanging") as hanging:
        run_id = site.begin("hanging", **{"dagster/max_runtime": "40"})
        (child,) = psutil.Process(hanging.pid).children()
        child.send_signal(signal.SIGSTOP)
        status, said = site.ends(run_id)
        assert status == FAILURE
        assert "Exceeded maximum runtime of 40 seconds." in said
        assert site.ends_when_begun_again(run_id) == SUCCESS
        assert not child.is_running()


@pytest.mark.slow
def test_a_run_that_somebody_ends_is_not_begun_again(site: Site) -> None:
    with site.cluster.worker("stopped"):
        run_id = site.begin("stopped")
        assert site.break_off(run_id) == CANCELED
        assert site.run(run_id).tags.get("dagster/will_retry") != "true"


@pytest.mark.slow
def test_a_worker_takes_no_run_that_it_has_no_place_for(site: Site) -> None:
    """And one that the broker has forgotten is still known to be at work by the worker that has it."""
    with site.cluster.worker("full"):
        full, launcher = site.begin("full"), site.cluster.instance.run_launcher
        assert isinstance(launcher, CheckedCeleryRunLauncher)
        launcher.celery.AsyncResult(site.run(full).tags[DAGSTER_CELERY_TASK_ID_TAG]).forget()
        assert launcher.check_run_worker_health(site.run(full)).status.value == "RUNNING"
        waiting = site.launch("launch_images")
        site.cluster.until(
            lambda: DAGSTER_CELERY_TASK_ID_TAG in site.run(waiting).tags, "another run is with the broker"
        )
        assert launcher.celery.control.inspect(["full@here"], timeout=10).reserved() == {"full@here": []}
        with site.cluster.worker("free"):
            assert site.ends(waiting)[0] == SUCCESS
            assert site.cluster.taken_by(site.run(waiting)) == "free"
        assert site.run(full).status == STARTED
        assert site.break_off(full) == CANCELED


def answers(launcher: CheckedCeleryRunLauncher, worker: str) -> bool:
    """Whether a worker answers by way of a broker that is being restarted."""
    try:
        return bool(launcher.celery.control.ping([worker]))
    except (Unreachable, OperationalError):
        return False


@pytest.mark.slow
def test_a_broker_that_is_restarted_harms_no_run(site: Site) -> None:
    """Neither one that a worker has, nor one that nobody has taken yet."""
    with site.cluster.worker("steady"):
        steady, launcher = site.begin("steady"), site.cluster.instance.run_launcher
        assert isinstance(launcher, CheckedCeleryRunLauncher)
        waiting = site.launch("launch_images")
        site.cluster.until(
            lambda: DAGSTER_CELERY_TASK_ID_TAG in site.run(waiting).tags, "another run is with the broker"
        )
        site.cluster.restart_broker()
        site.cluster.until(lambda: answers(launcher, "steady@here"), "the worker has found it again")
        assert [launcher.check_run_worker_health(site.run(steady)).status.value for _ in range(4)] == ["RUNNING"] * 4
        assert site.run(waiting).status != STARTED
        site.silence.end()
        assert site.ends(steady)[0] == SUCCESS
        assert site.ends(waiting)[0] == SUCCESS


@pytest.mark.slow
def test_no_password_is_left_in_a_home_or_a_log(site: Site) -> None:
    with site.cluster.worker("discreet"):
        files = [path for path in site.cluster.folder.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"dagster.yaml", "discreet.log", "daemon.log", "webserver.log", "code.log"}
    assert [path for path in files if PASSWORD.encode() in path.read_bytes()] == []
