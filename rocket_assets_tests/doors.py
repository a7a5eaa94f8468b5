"""The doors of a deployment: Dagster's webserver, and Caddy with a login in front of it.

Each is a process of its own, on a free port and in a folder of its own, and ends with its block.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

from rocket_assets_tests.programs import HOST, free_port, program

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
CADDYFILE = ROOT / "deploy/compose/Caddyfile"

USER, PASSWORD = "ann", "sesame-4711"

_SECONDS = 90
"""What a process may take to listen, on a machine that has other things to do."""


def listens(port: int) -> bool:
    """Whether somebody listens on a port of this machine."""
    with socket.socket() as knocking:
        return knocking.connect_ex((HOST, port)) == 0


@contextmanager
def running(
    arguments: Sequence[str | Path],
    environ: Mapping[str, str],
    folder: Path,
    is_there: Callable[[], bool],
    *,
    at: Path | None = None,
) -> Iterator[psutil.Process]:
    """A process that is there, and at the end nothing of it or of what it started.

    Its log is in the folder, where it works unless it is to work `at` another.
    """
    with (folder / "log.txt").open("a+") as log:
        process = psutil.Popen(
            [str(word) for word in arguments],
            env=dict(environ),
            cwd=at or folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            gives_up = time.monotonic() + _SECONDS
            while not is_there():
                said = (folder / "log.txt").read_text
                assert process.poll() is None, f"{arguments} ended: {said()}"
                assert time.monotonic() < gives_up, f"{arguments} is not there: {said()}"
                time.sleep(0.05)
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def listening(process: psutil.Process) -> set[str]:
    """The addresses on which a process and all that it started listen."""
    family = [process, *process.children(recursive=True)]
    return {
        connection.laddr.ip
        for member in family
        for connection in member.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }


@dataclass(frozen=True)
class Home:
    """A Dagster home with our dagster.yaml, and the code location as one process for all webservers."""

    folder: Path

    @property
    def environ(self) -> dict[str, str]:
        """What each process of this home has as its environment."""
        return {
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "DAGSTER_HOME": str(self.folder),
            "ROCKET_ASSETS_STORAGE": str(self.folder / "data"),
        }

    @property
    def workspace(self) -> Path:
        """The workspace.yaml by which others find the code location."""
        return self.folder / "workspace.yaml"

    @contextmanager
    def code(self) -> Iterator[psutil.Process]:
        """The code location at work."""
        shutil.copy(ROOT / "dagster.yaml", self.folder)
        at = self.folder / "code.sock"
        self.workspace.write_text(
            f"load_from: [{{grpc_server: {{socket: {at}, location_name: rocket_assets.definitions}}}}]\n"
        )
        arguments = [BIN / "dagster", "api", "grpc", "-m", "rocket_assets.definitions", "-s", at]
        with running(arguments, self.environ, self.folder, at.exists) as process:
            yield process

    @contextmanager
    def webserver(self, *options: str) -> Iterator[tuple[str, psutil.Process]]:
        """A webserver by its address, with these options beside the port and the workspace."""
        port = free_port()
        arguments = [BIN / "dagster-webserver", "-w", self.workspace, "-p", str(port), *options]
        with running(arguments, self.environ, self.folder, lambda: listens(port)) as process:
            yield f"http://{HOST}:{port}", process


@cache
def hashed(password: str) -> str:
    """A password as Caddy is told of it."""
    arguments = [program("caddy", "caddy"), "hash-password", "--plaintext", password]
    return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.strip()


@dataclass(frozen=True)
class Caddy:
    """Caddy with the Caddyfile of deploy/compose, as its variables tell it; by the folder it works in."""

    folder: Path
    variables: Mapping[str, str]

    @property
    def authority(self) -> str:
        """The certificate of who vouches for `localhost`."""
        return str(self.folder / "caddy/pki/authorities/local/root.crt")

    @contextmanager
    def serving(self) -> Iterator[tuple[str, str]]:
        """Its address over TLS, and that without."""
        secure, plain = free_port(), free_port()
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "XDG_DATA_HOME": str(self.folder),
            "XDG_CONFIG_HOME": str(self.folder),
            "HTTP_PORT": str(plain),
            "HTTPS_PORT": str(secure),
            **self.variables,
        }
        arguments = [program("caddy", "caddy"), "run", "--adapter", "caddyfile", "--config", self._caddyfile()]
        with running(arguments, environ, self.folder, lambda: self._is_vouched_for(secure)):
            yield f"https://localhost:{secure}", f"http://localhost:{plain}"

    def _is_vouched_for(self, port: int) -> bool:
        """Whether it listens, and shows a certificate that can be believed: it makes that when it listens already."""
        if not listens(port) or not Path(self.authority).exists():
            return False
        with suppress(ssl.SSLError), socket.create_connection((HOST, port)) as plain:
            ssl.create_default_context(cafile=self.authority).wrap_socket(plain, server_hostname="localhost").close()
            return True
        return False

    def _caddyfile(self) -> Path:
        """Ours, in the words of the Caddy that is here."""
        said = subprocess.run([program("caddy", "caddy"), "version"], capture_output=True, text=True, check=True).stdout
        version = tuple(int(number) for number in re.findall(r"\d+", said)[:2])
        text = CADDYFILE.read_text()
        (ours := self.folder / "Caddyfile").write_text(
            text if version >= (2, 8) else text.replace("\tbasic_auth {", "\tbasicauth {")
        )
        return ours
