"""The services of `deploy/compose` come up one after the other, and tell rightly whether they are well.

Their commands and the questions about their health are those of the compose file; only hosts and ports are others, for
there is no engine here that would give each a machine of its own.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
import yaml

from rocket_assets_tests.bucket import KEY, S3, SECRET
from rocket_assets_tests.doors import BIN, ROOT, running
from rocket_assets_tests.programs import HOST, free_port
from rocket_assets_tests.servers import PASSWORD, serving_postgres, serving_redis

pytestmark = pytest.mark.slow

COMPOSE = ROOT / "deploy/compose"
SERVICES: Mapping[str, dict[str, Any]] = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"]

_PLACEHOLDER = re.compile(r"\$\{(\w+)(?::?-([^}]*)|:\?[^}]*)\}")


class Engine:
    """Runs the services of ours, each as a process on this machine."""

    def __init__(self, folder: Path, given: Mapping[str, str]) -> None:
        self._folder, self._given = folder, given
        self._code = str(free_port())
        self._home = folder / "home"
        self._home.mkdir()
        shutil.copy(COMPOSE / "dagster.yaml", self._home)
        workspace = (COMPOSE / "workspace.yaml").read_text()
        (self._home / "workspace.yaml").write_text(
            workspace.replace("host: code", f"host: {HOST}").replace("4000", self._code)
        )
        self.port = 0
        """Of the service that was started last, where it has one."""

    def run(self, service: str) -> subprocess.CompletedProcess[str]:
        """A service that comes to an end."""
        words = self._words(service, SERVICES[service]["command"])
        return subprocess.run(words, env=self._environ(service), cwd=self._home, capture_output=True, text=True)

    @contextmanager
    def serving(self, service: str) -> Iterator[psutil.Process]:
        """A service that is well, by its own account."""
        self.port = free_port()
        words = self._words(service, SERVICES[service]["command"])
        is_well = self.health(service)
        (folder := self._folder / service).mkdir()
        with running(words, self._environ(service), folder, is_well, at=self._home) as process:
            yield process

    def health(self, service: str) -> Callable[[], bool]:
        """How a service is asked whether it is well."""
        kind, *asked = SERVICES[service]["healthcheck"]["test"]
        words = self._words(service, ["sh", "-c", *asked] if kind == "CMD-SHELL" else asked)
        environ = self._environ(service)
        return lambda: subprocess.run(words, env=environ, capture_output=True, timeout=60).returncode == 0

    def _words(self, service: str, command: list[str]) -> list[str]:
        ports = {"4000": self._code, "3000": str(self.port), "3001": str(self.port), "0.0.0.0": HOST}  # noqa: S104 - replaced
        words = [re.sub("|".join(map(re.escape, ports)), lambda found: ports[found[0]], word) for word in command]
        return [word.replace("$$", "$") for word in words]

    def _environ(self, service: str) -> dict[str, str]:
        """What the compose file gives, but for what is elsewhere here."""
        described: Mapping[str, str] = SERVICES[service]["environment"]
        elsewhere = {name: self._given[name] for name in described if name in self._given}
        home = {"DAGSTER_HOME": str(self._home), "HOSTNAME": socket.gethostname(), "HOME": str(self._folder)}
        filled = {name: _PLACEHOLDER.sub(self._value, value) for name, value in described.items()}
        return {"PATH": f"{BIN}:{os.environ['PATH']}", **home, **filled, **elsewhere}

    def _value(self, found: re.Match[str]) -> str:
        return self._given.get(found[1], found[2] or "")


@pytest.fixture
def engine(tmp_path: Path, s3: S3) -> Iterator[Engine]:
    with serving_postgres() as postgres, serving_redis() as redis:
        given = {
            "DAGSTER_POSTGRES_URL": postgres,
            "DAGSTER_CELERY_BROKER_URL": redis,
            "DAGSTER_CELERY_BACKEND_URL": f"{redis.removesuffix('/0')}/1",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "ROCKET_ASSETS_STORAGE": s3.make_bucket(),
            "ROCKET_ASSETS_STORAGE_ENDPOINT": s3.environ["AWS_ENDPOINT_URL"],
            "ROCKET_ASSETS_END_DATE": "2000-01-01",
            "SITE": "localhost",
        }
        yield Engine(tmp_path, given)


def test_the_services_come_up_and_tell_when_they_are_gone(engine: Engine) -> None:
    for _ in range(2):  # the second time there is nothing to be done
        done = engine.run("migrate")
        assert done.returncode == 0, done.stderr
    with ExitStack() as stack:
        code = stack.enter_context(engine.serving("code"))
        daemon = stack.enter_context(engine.serving("daemon"))
        for name, is_refused in {"webserver": False, "webserver-public": True}.items():
            with engine.serving(name):
                change = {"query": "mutation { setAutoMaterializePaused(paused: true) }"}
                said = requests.post(f"http://{HOST}:{engine.port}/graphql", json=change, timeout=60)
                assert ("Unauthorized" in said.text) is is_refused
                told = requests.get(f"http://{HOST}:{engine.port}/graphql?query={{instance{{info}}}}", timeout=60)
                assert "max_concurrent_runs" in told.text
                assert PASSWORD not in told.text
            assert not engine.health(name)()
        with engine.serving("worker"):
            pass
        assert not engine.health("worker")()
        with engine.serving("gallery"):
            assert requests.get(f"http://{HOST}:{engine.port}/gallery/index.html", timeout=60).status_code == 404
        assert not engine.health("gallery")()
        assert daemon.is_running()
        code.kill()
        code.wait()
        assert not engine.health("code")()
