"""The log of a look is kept for the page of its tick, and a run that died with all around it is known as dead."""

from __future__ import annotations

import json
import logging
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit
from uuid import uuid4

import dagster as dg
import pytest
import yaml
from sqlalchemy.exc import OperationalError

from rocket_assets.definitions import definitions
from rocket_assets.defs.instance import (
    LOOKS,
    POOL,
    CheckedRunLauncher,
    TickLogManager,
    giving_lost_slots,
    turn_in_database,
)
from rocket_assets.sample_library.server import LibraryServer
from rocket_assets.settings import Settings
from rocket_assets.storage import Storage
from rocket_assets_tests.project import Project, tree

ROOT = Path(__file__).parents[2]


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """An instance as dagster.yaml makes it."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_bytes((ROOT / "dagster.yaml").read_bytes())
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with dg.DagsterInstance.get() as instance:
        yield instance


def test_dagster_takes_the_class_that_dagster_yaml_names(kept: dg.DagsterInstance) -> None:
    assert isinstance(kept.compute_log_manager, TickLogManager)
    named = yaml.safe_load((ROOT / "dagster.yaml").read_text())["compute_logs"]
    assert (named["module"], named["class"]) == (TickLogManager.__module__, TickLogManager.__name__)


def test_the_logs_are_in_the_home_that_the_instance_has(kept: dg.DagsterInstance, tmp_path: Path) -> None:
    """Also where DAGSTER_HOME is not set: Dagster then takes ./dagster.yaml and a passing home."""
    manager: Any = kept.compute_log_manager
    assert manager.get_captured_local_path(["key"], "err").startswith(str(tmp_path / "home/storage"))


def test_the_sensor_whose_logs_are_kept_exists() -> None:
    assert definitions(Settings.read({})).resolve_sensor_def(LOOKS)


@pytest.mark.parametrize(("sensor", "is_kept"), [(LOOKS, True), ("launch_images_follow", False)])
def test_what_a_tick_logs_can_be_read_again(sensor: str, is_kept: bool, kept: dg.DagsterInstance) -> None:
    key = ["rocket_assets", sensor, "1"]
    manager: Any = kept.compute_log_manager
    with manager.open_log_stream(key, "stderr") as stream:
        if stream:
            stream.write("3 launches changed\n")
    data = manager.get_log_data(key)
    assert (data.stderr == b"3 launches changed\n") == is_kept


def test_a_tick_that_logs_nothing_leaves_no_file(kept: dg.DagsterInstance, tmp_path: Path) -> None:
    before = set(tree(tmp_path))
    manager: Any = kept.compute_log_manager
    with manager.open_log_stream(["rocket_assets", LOOKS, "1"], "stderr"):
        pass
    assert set(tree(tmp_path)) == before


def test_the_output_of_a_step_goes_where_it_goes(kept: dg.DagsterInstance, capfd: pytest.CaptureFixture[str]) -> None:
    with kept.compute_log_manager.capture_logs(["run", "step"]) as captured:
        print("printed")
    assert captured.log_key == ["run", "step"]
    assert capfd.readouterr().out == "printed\n"


def test_the_launcher_is_the_one_that_dagster_yaml_names_and_can_tell_the_dead(kept: dg.DagsterInstance) -> None:
    assert isinstance(kept.run_launcher, CheckedRunLauncher)
    assert kept.run_launcher.supports_check_run_worker_health


def test_a_run_whose_code_server_is_gone_is_dead(kept: dg.DagsterInstance, tmp_path: Path) -> None:
    server = {"host": "localhost", "socket": str(tmp_path / "gone")}
    run = started(kept, {".dagster/grpc_info": json.dumps(server)})
    health = kept.run_launcher.check_run_worker_health(run)
    assert health.status.value == "FAILED"
    assert "is gone" in str(health)


def test_a_run_that_a_command_started_in_its_own_process_is_left_to_it(kept: dg.DagsterInstance) -> None:
    assert kept.run_launcher.check_run_worker_health(started(kept, {})).status.value == "RUNNING"


def test_a_turn_ends_with_the_process_that_has_it(postgres: list[dg.DagsterInstance]) -> None:
    mine, yours, theirs = postgres
    turn, theirs_to_have, impatient = (
        turn_in_database(mine),
        turn_in_database(theirs),
        turn_in_database(theirs, seconds=0.2),
    )
    assert turn
    assert impatient
    assert theirs_to_have
    with holding_turn(yours) as process, ThreadPoolExecutor() as pool:
        begun, waits = time.monotonic(), pool.submit(turn.__enter__)
        with pytest.raises(TimeoutError):
            waits.result(0.5)
        with pytest.raises(TimeoutError, match="Another has had the turn"), impatient:
            pytest.fail("It was given to two.")
        process.kill()
        waits.result(20)
    turn.__exit__(None, None, None)
    with theirs_to_have:
        assert time.monotonic() - begun < 30


def test_a_turn_is_taken_away_from_a_process_that_hangs_which_says_so_when_it_goes_on(
    postgres: list[dg.DagsterInstance], caplog: pytest.LogCaptureFixture
) -> None:
    mine, yours, _ = postgres
    turn = turn_in_database(mine, 30, patience=0.5)
    assert turn
    with holding_turn(yours, lasts=6) as process:
        process.send_signal(signal.SIGSTOP)
        with turn, caplog.at_level(logging.INFO):
            process.send_signal(signal.SIGCONT)
            said = process.communicate("go on\n", timeout=60)[1]
        assert process.returncode == 0
    assert "another may have asked meanwhile" in said
    (waiting,) = (message for message in caplog.messages if "still waiting" in message)
    assert re.fullmatch(r"Another has had the turn to ask the Launch Library for \d+ seconds; still waiting\.", waiting)


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="connections are looked at as Linux shows them")
def test_the_server_asks_a_silent_machine_that_has_the_turn_within_half_a_minute_whether_it_is_there(
    postgres: list[dg.DagsterInstance], postgres_server: str
) -> None:
    turn = turn_in_database(postgres[0])
    assert turn
    with turn:
        time.sleep(1)
        assert min(asked_in(urlsplit(postgres_server).port or 0)) <= 30


def asked_in(port: int) -> list[float]:
    """Seconds until a server on a port asks each machine that is connected with it whether it is there."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    timers = [timer for _, local, *_, timer in (line[:6] for line in lines) if int(local.partition(":")[2], 16) == port]
    return [int(when, 16) / 100 for kind, when in (timer.split(":") for timer in timers) if kind == "02"]


def test_a_turn_that_was_given_back_is_free_though_its_connection_stays(postgres: list[dg.DagsterInstance]) -> None:
    """As it does behind a pooler."""
    mine, yours, _ = postgres
    mine.event_log_storage.optimize_for_webserver(statement_timeout=5000, pool_recycle=-1, max_overflow=20)
    given, wanted = turn_in_database(mine), turn_in_database(yours, 2)
    assert given
    assert wanted
    with given:
        pass
    with wanted:
        pass


def test_where_records_are_in_no_postgresql_it_says_nothing(kept: dg.DagsterInstance) -> None:
    assert turn_in_database(kept) is None


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def recording(request: pytest.FixtureRequest) -> dg.DagsterInstance:
    """An instance on each kind of records."""
    return request.getfixturevalue("kept") if request.param == "SQLite" else request.getfixturevalue("postgres")[0]


@pytest.fixture
def lost(recording: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> dg.DagsterInstance:
    """One in which another gives its slot back after who asks for it has looked, and before that one queues up.

    All of it is Dagster's own; only the moment is made sure of, which by itself comes once in many hundred runs.
    """
    log: Any = recording.event_log_storage
    looks = log.has_unassigned_slots

    def look(pool: str) -> bool:
        found = looks(pool)
        log.free_concurrency_slots_for_run("another")
        return found

    log.set_concurrency_slots(POOL, 1)
    assert log.claim_concurrency_slot(POOL, "another", "launches").is_claimed
    monkeypatch.setattr(log, "has_unassigned_slots", look)
    return recording


def test_by_dagster_alone_a_step_can_wait_for_ever_beside_a_free_slot(lost: dg.DagsterInstance) -> None:
    """Where this is no more so, `giving_lost_slots` can go."""
    log = lost.event_log_storage
    assert not log.claim_concurrency_slot(POOL, "run", "launches").is_claimed
    assert log.get_concurrency_info(POOL).active_slot_count == 0
    assert not log.claim_concurrency_slot(POOL, "run", "launches").is_claimed


def test_a_slot_that_is_free_is_given_to_a_step_that_waits_beside_it(lost: dg.DagsterInstance) -> None:
    log = lost.event_log_storage
    assert not log.claim_concurrency_slot(POOL, "run", "launches").is_claimed
    with giving_lost_slots(lost, every=0.1):
        until(lambda: log.claim_concurrency_slot(POOL, "run", "launches").is_claimed)


def test_a_slot_that_somebody_has_is_given_to_nobody_else(lost: dg.DagsterInstance) -> None:
    log = lost.event_log_storage
    log.free_concurrency_slots_for_run("another")
    assert log.claim_concurrency_slot(POOL, "run", "launches").is_claimed
    assert not log.claim_concurrency_slot(POOL, "later", "launches").is_claimed
    with giving_lost_slots(lost, every=0.1):
        time.sleep(1)
        assert not log.claim_concurrency_slot(POOL, "later", "launches").is_assigned


def test_a_run_whose_slot_was_lost_goes_on(
    lost: dg.DagsterInstance, sample_library: LibraryServer, storage: Storage
) -> None:
    # Without what is tested it would wait for ever.
    too_late, log = threading.Event(), cast("Any", lost.event_log_storage)
    rescue = threading.Timer(60, lambda: (too_late.set(), log.assign_pending_steps([POOL])))
    rescue.start()
    try:
        assert Project(sample_library.url, storage, lost).bring("2024-12-05", assets=["launches"]).success
    finally:
        rescue.cancel()
    assert not too_late.is_set()


def test_records_that_cannot_be_read_for_a_moment_are_looked_at_again(
    lost: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One refusal is put in the way, for that of a busy database cannot be had at will."""
    log: Any = lost.event_log_storage
    log.claim_concurrency_slot(POOL, "run", "launches")
    refusals, assign = iter([OperationalError("", {}, OSError("database is locked"))]), log.assign_pending_steps

    def refuse_once(pools: list[str]) -> None:
        for refusal in refusals:
            raise refusal
        assign(pools)

    monkeypatch.setattr(log, "assign_pending_steps", refuse_once)
    with giving_lost_slots(lost, every=0.1):
        until(lambda: log.claim_concurrency_slot(POOL, "run", "launches").is_claimed)


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    gives_up = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < gives_up
        time.sleep(0.05)


@contextmanager
def holding_turn(instance: dg.DagsterInstance, **options: float) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the turn, until it reads a line."""
    code = f"""
import dagster as dg
from rocket_assets.defs.instance import turn_in_database
home, options = {instance.root_directory!r}, {options!r}
with dg.DagsterInstance.from_config(home) as instance, turn_in_database(instance, **options):
    print("has it", flush=True)
    input()
"""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "has it\n"
            yield process
        finally:
            process.kill()


def started(instance: dg.DagsterInstance, tags: dict[str, str]) -> dg.DagsterRun:
    run = dg.DagsterRun("bring_launches", str(uuid4()), tags=tags, status=dg.DagsterRunStatus.STARTED)
    return instance.add_run(run)
