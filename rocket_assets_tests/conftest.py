"""What every test starts with: an empty environment, no network but this machine's, and the doubles it may ask for."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

# Before anything of ours is imported: what the days are is read from the environment at import.
_OF_THE_TESTS = (
    "ROCKET_ASSETS_RECORDINGS",
    "ROCKET_ASSETS_FULL_REPLAY",
    "ROCKET_ASSETS_BROWSER",
    "ROCKET_ASSETS_SERVERS",
    "ROCKET_ASSETS_SCREENSHOTS",
)
for _name in [name for name in os.environ if name.startswith("ROCKET_ASSETS_") and name not in _OF_THE_TESTS]:
    del os.environ[_name]

from rocket_assets.sample_library.server import LibraryServer
from rocket_assets.storage import Storage
from rocket_assets_tests.bucket import S3, serving_s3
from rocket_assets_tests.clouds import Azure, Google, serving_azure, serving_google
from rocket_assets_tests.programs import SAID
from rocket_assets_tests.project import Project
from rocket_assets_tests.servers import serving_postgres

_LONGEST = (
    "test_distributed.py",
    "test_daemon.py",
    "defs/test_workers.py",
    "test_kills.py",
    "test_replay.py",
    "test_cli.py",
    "defs/test_conditions.py",
    "browser/test_dagster_ui.py",
    "test_promises.py",
    "test_daemon_briefly.py",
    "test_secrets.py",
    "test_clouds.py",
    "test_compose.py",
    "test_access.py",
)
"""The files that take longest, nearly beginning with the longest: no click waits beside all the daemons."""

_KEPT = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "VIRTUAL_ENV", "CHROMIUM", *_OF_THE_TESTS)


def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores: there is always one that waits for a daemon or a command."""
    return (os.cpu_count() or 1) + 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say at the end what tests have to tell."""
    for report in terminalreporter.getreports("passed"):
        for name, said in report.user_properties:
            if name == SAID:
                terminalreporter.write_line(str(said))


def pytest_configure() -> None:
    """Take a termination as Ctrl-C: what a test has started ends with it."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, and then the others as they are, so that all processes are busy to the end."""
    here = Path(__file__).parent
    turns = {here / name: turn for turn, name in enumerate(_LONGEST)}
    assert all(path.exists() for path in turns), turns
    items.sort(key=lambda item: turns.get(item.path, len(turns)))


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the developer's settings or working directory reaches a test."""
    for name in list(os.environ):
        if name not in _KEPT and not name.startswith("PYTEST"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True, scope="session")
def no_outside_network() -> Iterator[None]:
    """A connection to anything but this machine is an error."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1"):
            raise OSError(f"A test wanted to connect to {address}.")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        yield


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """A folder of its own."""
    return Storage(str(tmp_path / "storage"))


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3]:
    """S3 on a free port."""
    with serving_s3() as s3:
        yield s3


@pytest.fixture
def s3(s3_server: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """S3 as the environment knows it, with nothing asked of it and nothing wrong with it."""
    for name, value in s3_server.environ.items():
        monkeypatch.setenv(name, value)
    s3_server.requests.clear()
    yield s3_server
    s3_server.fault = None


@pytest.fixture(scope="session")
def azure_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azure]:
    """Azurite on a free port."""
    with serving_azure(tmp_path_factory.mktemp("azurite")) as azure:
        yield azure


@pytest.fixture(scope="session")
def google_server() -> Iterator[Google]:
    """What answers as Google does, on a free port."""
    with serving_google() as google:
        yield google


@pytest.fixture
def azure(azure_server: Azure, monkeypatch: pytest.MonkeyPatch) -> Azure:
    """Azurite as the environment knows it."""
    for name, value in azure_server.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", azure_server.endpoint)
    monkeypatch.setenv("AZURE_ALLOW_HTTP", "true")
    return azure_server


@pytest.fixture
def google(google_server: Google, monkeypatch: pytest.MonkeyPatch) -> Google:
    """Google as the environment knows it."""
    for name, value in google_server.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GOOGLE_BASE_URL", google_server.endpoint)
    return google_server


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """A Dagster instance that ends with the test."""
    # A folder of ours, because the one that Dagster would make is left to the garbage collector.
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path / "dagster")) as made:
        yield made


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """PostgreSQL on a free port, by its address."""
    with serving_postgres() as address:
        yield address


@pytest.fixture
def postgres(postgres_server: str, tmp_path: Path) -> Iterator[list[dg.DagsterInstance]]:
    """Three Dagster homes, as on three machines, whose records are in one PostgreSQL."""
    storage = {"storage": {"postgres": {"postgres_url": postgres_server}}}
    with ExitStack() as stack:
        instances = list[dg.DagsterInstance]()
        for number in range(3):
            home = tmp_path / f"home-{number}"
            home.mkdir()
            (home / "dagster.yaml").write_text(yaml.safe_dump(storage | {"telemetry": {"enabled": False}}))
            instances.append(stack.enter_context(dg.DagsterInstance.from_config(str(home))))
            assert not instances[-1].get_runs()
        yield instances
        instances[0].wipe()


@pytest.fixture
def project(sample_library: LibraryServer, storage: Storage, instance: dg.DagsterInstance) -> Project:
    """The project on a Dagster instance of its own, asking the sample library."""
    return Project(sample_library.url, storage, instance)


@pytest.fixture
def sample_library() -> Iterator[LibraryServer]:
    """The sample library on a free port."""
    with LibraryServer() as server:
        yield server
