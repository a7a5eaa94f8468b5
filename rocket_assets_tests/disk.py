"""A disk that is too small, or becomes read-only while one writes: a file system in memory, in a namespace of its own.

Nobody outside sees it, so that programs are run on it by `Disk.run`. It needs no rights but those of having namespaces,
which some machines refuse; `no_disk_because` says so.
"""

from __future__ import annotations

import functools
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

_SECONDS = 300
"""What a program, or a remounting, may take on a machine that has other things to do."""

_MOUNT = 'mount -t tmpfs -o "size=$2" tmpfs "$1" && echo ready && exec cat'
"""The namespace lasts as long as somebody is in it."""


class Disk:
    """A disk of some bytes at a folder, in a `with` block."""

    def __init__(self, folder: Path, size: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        arguments = ["unshare", "--map-root-user", "--mount", "sh", "-c", _MOUNT, "sh", str(folder), size]
        self._keeper = subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        assert self._keeper.stdout
        said = self._keeper.stdout.readline()
        if said != "ready\n":
            raise OSError(self._keeper.communicate(timeout=_SECONDS)[1].strip())
        return self

    def __exit__(self, *_: object) -> None:
        self._keeper.communicate(timeout=_SECONDS)

    def run(self, arguments: Sequence[str], environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run a program to its end where the disk is."""
        entered = ["nsenter", f"--target={self._keeper.pid}", "--user", "--mount", "--preserve-credentials", "--"]
        return subprocess.run(
            [*entered, *arguments], env=environ, capture_output=True, text=True, timeout=_SECONDS, check=False
        )

    def remount(self, options: str) -> None:
        """Make the disk another: `ro`, `rw` or `size=…`."""
        arguments = ["mount", "-o", f"remount,{options}", str(self.folder)]
        # A disk on which a file is just being written cannot become read-only.
        gives_up = time.monotonic() + _SECONDS
        while (done := self.run(arguments, {})).returncode:
            if time.monotonic() > gives_up:
                raise OSError(done.stderr)

    def tree(self) -> dict[str, bytes]:
        """Every file on it."""
        folder = Path(f"/proc/{self._keeper.pid}/root{self.folder}")
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@functools.cache
def no_disk_because() -> str:
    """Why this machine has no such disks, or nothing if it has."""
    try:
        with tempfile.TemporaryDirectory() as folder, Disk(Path(folder, "disk"), "4k") as disk:
            return disk.run(["true"], {}).stderr.strip()
    except OSError as error:
        return str(error)
