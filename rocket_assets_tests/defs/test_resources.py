"""Settings become Dagster's handles, and a secret stays secret on the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from rocket_assets.defs.resources import LaunchLibraryResource, resources
from rocket_assets.sample_library.server import LibraryServer
from rocket_assets.settings import Settings
from rocket_assets.storage import Storage
from rocket_assets_tests.bucket import S3
from rocket_assets_tests.project import Project, failure_of

SECRET = "0123-very-secret"


def test_the_token_is_in_no_configuration_that_the_ui_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROCKET_ASSETS_API_TOKEN", SECRET)
    handles = resources(Settings.read({"ROCKET_ASSETS_API_TOKEN": SECRET}))
    assert SECRET not in repr(handles)
    defined = dg.Definitions(resources=handles).get_repository_def()
    shown = json.dumps({name: str(definition) for name, definition in defined.get_top_level_resources().items()})
    assert SECRET not in shown


def test_a_run_sends_the_token_and_records_it_nowhere(
    monkeypatch: pytest.MonkeyPatch, storage: Storage, instance: dg.DagsterInstance
) -> None:
    monkeypatch.setenv("ROCKET_ASSETS_API_TOKEN", SECRET)
    with LibraryServer(token=SECRET) as server:
        project = Project(server.url, storage, instance, token=SECRET)
        result = project.bring("2024-12-05")
        assert result.success
        assert {request.headers.get("Authorization") for request in server.api_requests} == {f"Token {SECRET}"}
        assert {request.headers.get("Authorization") for request in server.picture_requests} == {None}
    assert SECRET not in "".join(str(entry) for entry in instance.all_logs(result.run_id))
    assert not any(SECRET in storage.read(stored.key).decode("latin-1") for stored in storage.list())


def test_all_that_have_to_do_with_the_storage_are_told_where_it_is_and_the_ui_shows_that(
    s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    place = {"uri": s3.make_bucket(), "endpoint": f"http://127.0.0.1:{s3.port}", "region": "eu-central-1"}
    environ = {f"ROCKET_ASSETS_STORAGE{'' if name == 'uri' else f'_{name.upper()}'}": place[name] for name in place}
    handles = resources(Settings.read(environ))
    shown = dg.Definitions(resources=handles).get_repository_def().get_top_level_resources()
    in_it = ("storage", "stored", "image_library", "gallery")
    configured = [shown[name].config_schema.default_value for name in in_it]
    assert [config["place"] for config in configured] == [place] * len(in_it)
    assert SECRET not in repr(configured)
    s3.requests.clear()
    with dg.build_resources({"storage": handles["storage"], "stored": handles["stored"]}) as made:
        assert made.stored.find("a") is None
    assert {request.region for request in s3.requests} == {"eu-central-1"}


def test_a_storage_that_cannot_be_written_stops_a_run_before_anything_is_asked(
    sample_library: LibraryServer, storage: Storage, instance: dg.DagsterInstance
) -> None:
    """D28: rights are found out first, not in the middle."""
    storage.write("file", b"not a folder")
    project = Project(sample_library.url, storage, instance, storage_uri=f"{storage.uri}/file/below")
    result = project.bring("2024-12-05")
    assert not result.success
    assert not sample_library.requests
    assert "ROCKET_ASSETS_STORAGE" in failure_of(result)


@pytest.mark.parametrize("name", ["launch_library", "launch_list"])
def test_promise_7_runs_and_looks_ask_one_at_a_time_though_dagster_let_them_all_begin(
    name: str, instance: dg.DagsterInstance
) -> None:
    """Runs that ask for the pool's one slot at the same moment may all get it, and a look asks for none."""
    assert asked_at_once_by([instance] * 3, name) == 1


def test_promise_7_runs_on_several_machines_ask_one_at_a_time(postgres: list[dg.DagsterInstance]) -> None:
    assert asked_at_once_by(postgres, "launch_library") == 1


def asked_at_once_by(instances: list[dg.DagsterInstance], name: str) -> int:
    """How many requests a library gets at a time, when a client in each of these homes asks at the same moment."""
    with LibraryServer(latency=1.0) as library, ThreadPoolExecutor(len(instances)) as runs:
        handle = resources(Settings.read({"ROCKET_ASSETS_API_URL": library.url}))[name]
        assert isinstance(handle, LaunchLibraryResource)

        def ask(instance: dg.DagsterInstance) -> int:
            with (
                dg.build_init_resource_context(instance=instance) as context,
                handle.yield_for_execution(context) as asked,
            ):
                return len([*asked.days(date(2024, 12, 5), date(2024, 12, 6))])

        assert list(runs.map(ask, instances)) == [1] * len(instances)
        return library.most_at_once


def test_a_run_that_is_killed_gives_back_its_turn(instance: dg.DagsterInstance) -> None:
    """A process takes its turn and is killed while the library is silent; the next one need not wait."""
    with LibraryServer(latency=60) as silent, LibraryServer() as library:
        code = f"""
from datetime import date
import dagster as dg
from rocket_assets.defs.resources import LaunchLibraryResource
with dg.DagsterInstance.ephemeral(tempdir={instance.root_directory!r}) as home:
    with dg.build_init_resource_context(instance=home) as context:
        with LaunchLibraryResource(url={silent.url!r}).yield_for_execution(context) as library:
            print("asks", flush=True)
            list(library.days(date(2024, 12, 5), date(2024, 12, 6)))
"""
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as killed:
            assert killed.stdout
            assert killed.stdout.readline() == b"asks\n"
            gives_up = time.monotonic() + 60
            while not silent.most_at_once:
                assert time.monotonic() < gives_up
                time.sleep(0.05)
            killed.kill()
        with (
            dg.build_init_resource_context(instance=instance) as context,
            LaunchLibraryResource(url=library.url).yield_for_execution(context) as asked,
        ):
            begun = time.monotonic()
            assert [len(day.launches) for day in asked.days(date(2024, 12, 5), date(2024, 12, 6))] == [5]
            assert time.monotonic() - begun < 30


def test_a_home_that_only_others_may_write_is_no_hindrance(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dagster's records are elsewhere then, in PostgreSQL, which says whose turn it is."""
    refused = instance.root_directory
    Path(refused).mkdir(exist_ok=True)
    # Also true of a superuser, whom no mode of a folder keeps out.
    monkeypatch.setattr("os.access", lambda path, mode, _asked=os.access: str(path) != refused and _asked(path, mode))
    with (
        LibraryServer() as library,
        dg.build_init_resource_context(instance=instance) as context,
        LaunchLibraryResource(url=library.url).yield_for_execution(context) as asked,
    ):
        assert [len(day.launches) for day in asked.days(date(2024, 12, 5), date(2024, 12, 6))] == [5]
    assert list(Path(refused).rglob("*.lock")) == []
