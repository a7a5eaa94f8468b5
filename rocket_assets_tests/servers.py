"""The servers of a deployment over several machines: PostgreSQL and Redis, as Debian packs them.

Each is started for its test, on a free port and in a folder of its own, and ends with it. Where one is not installed, a
test says so and is skipped, and fails where ROCKET_ASSETS_SERVERS is `required`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import redis

from rocket_assets_tests.programs import HOST, free_port, program

USER, PASSWORD = "dagster", "sesame-4711"

_OF_POSTGRES = "/usr/lib/postgresql/*/bin"
"""Debian has no link to these in the PATH, because there may be several versions."""

_SECONDS = 30


@contextmanager
def serving_postgres() -> Iterator[str]:
    """PostgreSQL with an empty database, by its address as Dagster takes it."""
    binaries = max(Path("/").glob(f"{_OF_POSTGRES[1:]}/postgres"), default=None)
    at = str(binaries.parent) if binaries else None
    initdb, postgres = (program(name, "postgresql", at) for name in ("initdb", "postgres"))
    # PostgreSQL refuses to be root, and whoever it is instead cannot look into the folders of the tests.
    other: dict[str, Any] = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        data, secret, port = f"{folder}/data", Path(folder, "password"), free_port()
        secret.write_text(PASSWORD)
        if other:
            for path in (folder, secret):
                shutil.chown(path, other["user"], other["group"])
        made = [initdb, "-D", data, "-U", USER, "--auth=scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--no-sync"]
        subprocess.run([*made, "--locale=C"], check=True, capture_output=True, cwd=folder, **other)
        settings = {
            "listen_addresses": HOST,
            "port": port,
            "unix_socket_directories": folder,
            "fsync": "off",
            "synchronous_commit": "off",
        }
        arguments = [postgres, "-D", data, *(f"--{name}={value}" for name, value in settings.items())]
        address = f"{USER}:{PASSWORD}@{HOST}:{port}/postgres"
        with _serving(arguments, lambda: psycopg2.connect(f"postgresql://{address}").close(), cwd=folder, **other):
            yield f"postgresql+psycopg2://{address}"


@contextmanager
def serving_redis() -> Iterator[str]:
    """Redis with nothing in it, by its address."""
    with restartable_redis() as (address, _):
        yield address


@contextmanager
def restartable_redis() -> Iterator[tuple[str, Callable[[], None]]]:
    """Redis as `serving_redis` gives it, and what ends it and starts it again, as `deploy/compose` has it."""
    redis_server = program("redis-server", "redis-server")
    with tempfile.TemporaryDirectory(prefix="redis-") as folder, ExitStack() as running:
        port = free_port()
        settings = {
            "port": port,
            "bind": HOST,
            "dir": folder,
            "save": "",
            "appendonly": "yes",
            "requirepass": PASSWORD,
        }
        arguments = [redis_server, *(word for name, value in settings.items() for word in (f"--{name}", str(value)))]

        def answers() -> None:
            with redis.Redis(HOST, port, password=PASSWORD) as client:
                client.ping()

        def restart() -> None:
            running.close()
            running.enter_context(_serving(arguments, answers, cwd=folder))

        restart()
        yield f"redis://:{PASSWORD}@{HOST}:{port}/0", restart


@contextmanager
def _serving(arguments: Sequence[str], answers: Callable[[], object], **how: Any) -> Iterator[None]:
    """A server that answers, until the block ends."""
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(arguments, stdout=log, stderr=log, **how) as process,
    ):
        try:
            gives_up = time.monotonic() + _SECONDS
            while not _does(answers):
                log.seek(0)
                assert process.poll() is None, log.read()
                assert time.monotonic() < gives_up, log.read()
                time.sleep(0.05)
            yield
        finally:
            # PostgreSQL takes this for: at once, and waits for nobody who is still connected.
            process.send_signal(signal.SIGINT)


def _does(answers: Callable[[], object]) -> bool:
    try:
        answers()
    except (psycopg2.OperationalError, redis.ConnectionError):
        return False
    return True
