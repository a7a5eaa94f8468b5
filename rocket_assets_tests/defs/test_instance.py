"""The log of a look is kept for the page of its tick, and a run that died with all around it is known as dead."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import pytest
import yaml

from rocket_assets.definitions import definitions
from rocket_assets.defs.instance import LOOKS, CheckedRunLauncher, TickLogManager
from rocket_assets.settings import Settings
from rocket_assets_tests.project import tree

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
    assert manager.get_captured_local_path(["key"], "err").startswith(str(tmp_path / "home"))


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


def started(instance: dg.DagsterInstance, tags: dict[str, str]) -> dg.DagsterRun:
    run = dg.DagsterRun("bring_launches", str(uuid4()), tags=tags, status=dg.DagsterRunStatus.STARTED)
    return instance.add_run(run)
