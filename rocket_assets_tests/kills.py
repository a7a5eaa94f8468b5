"""Processes that are killed while they write: before a step of theirs, in the middle of a write, or at a system call.

The first two need nothing but a fork: this module is a program that does to itself what it is told. For the third,
`strace` watches a process and sends it SIGKILL as it enters a certain call on a certain file. That call is not made, so
that a kill at each call in turn leaves each state there is between two of them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

from rocket_assets.archive import Archive
from rocket_assets.bringing import bring_images
from rocket_assets.errors import RocketAssetsError
from rocket_assets.gallery.site import Gallery
from rocket_assets.images import ImageLibrary
from rocket_assets.launch_library import LaunchLibrary
from rocket_assets.launches import days_between
from rocket_assets.months import month_of, read_month
from rocket_assets.storage import Storage, Stored
from rocket_assets.table import write_month

How = Literal["before", "within"]
"""Before a step (a write, a copy, a delete), or within a write of something new, when half of its bytes are there."""

CHANGES = "openat,mkdir,mkdirat,write,pwrite64,rename,renameat,renameat2,link,linkat,unlink,unlinkat,rmdir,ftruncate"
"""The system calls by which files come, change and go."""

HOLDS = "flock"
"""The system call between the making of a file and the first byte in it."""

_OF_WHAT_IS_WRITTEN = (HOLDS, "rename")
"""These begin with what is being written, which has another name each time: strace cannot be told what to look for."""

# Not with --seccomp-bpf, which is quicker: a signal would then not be sent as the call is entered.
_STRACE = ("strace", "-f", "-qq", "-s", "0")

_CALL = re.compile(r"(?P<thread>\d+) +(?P<name>\w+)\(")
_PATH = re.compile(r"""["<](/[^">]*)[">]""")

_SECONDS = 300


@dataclass(frozen=True)
class Work:
    """What is to be brought, from where."""

    url: str
    first: date
    last: date

    @property
    def arguments(self) -> list[str]:
        """How it is said to this program."""
        return [self.url, self.first.isoformat(), self.last.isoformat()]

    def program(self, folder: Path) -> list[str]:
        """A program that does it once, and gives each error a line."""
        return [sys.executable, "-m", __name__, "once", *self.arguments, str(folder)]

    def do(self, storage: Storage, workers: int = 2) -> list[str]:
        """Bring the launches and then the pictures, make their months of them, and say what went wrong."""
        archive, days, errors = Archive(storage), list(days_between(self.first, self.last)), list[str]()
        with LaunchLibrary(self.url, backoff=0) as library:
            for day in library.days(self.first, self.last + timedelta(days=1)):
                try:
                    archive.write_launches(day.day, day.source, day.launches)
                except RocketAssetsError as error:
                    errors.append(f"{day.day}: {error}")
        with ImageLibrary(storage, api_url=self.url, workers=workers, backoff=0) as pictures:
            errors += [f"{day.day}: {day.error}" for day in bring_images(archive, days, pictures) if day.error]
        return errors or self._make(storage, archive, sorted({month_of(day) for day in days}))

    def _make(self, storage: Storage, archive: Archive, months: list[date]) -> list[str]:
        gallery = Gallery(storage)
        try:
            for month in [read_month(archive, first) for first in months]:
                gallery.make_month(month)
                write_month(storage, month)
            gallery.make_index()
        except RocketAssetsError as error:
            return [str(error)]
        return []

    def begin(self, folder: Path, how: How = "before", at: int = 0) -> Child:
        """Do it in a process of its own, which kills itself at its n-th step or write of something new, if at any."""
        reading, writing = os.pipe()
        if (pid := os.fork()) == 0:
            try:
                storage = _Killing(str(folder), how, at)
                errors = self.do(storage)
                assert not errors, errors
                os.write(writing, json.dumps(storage.done).encode())
            except BaseException:  # noqa: BLE001 - whatever it is, nothing of the parent's is to be done here as well
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        os.close(writing)
        return Child(pid, reading)


@dataclass(frozen=True)
class Child:
    """A process that does the work."""

    pid: int
    told: int

    def end(self) -> Counter[How] | None:
        """In how many steps and writes it was done; None if it was killed."""
        with os.fdopen(self.told) as told:
            done = told.read()
        status = os.waitpid(self.pid, 0)[1]
        if os.WIFSIGNALED(status):
            assert os.WTERMSIG(status) in (signal.SIGKILL, signal.SIGXFSZ), status
            return None
        assert status == 0, status
        return Counter(json.loads(done))


class _Killing(Storage):
    """A storage that kills its process."""

    def __init__(self, uri: str, how: How, at: int) -> None:
        super().__init__(uri)
        self.done = Counter[How]()
        self._how, self._at = how, at
        self._lock = threading.Lock()

    def put(self, key: str, body: bytes) -> None:
        self._step()
        if self._is_due("within"):
            # Who writes more than this into a file is ended by the system, when this much has been written.
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(body) // 2, resource.RLIM_INFINITY))
        super().put(key, body)

    def copy(self, source: str, target: str, listed: Mapping[str, Stored] | None = None) -> bool:
        self._step()
        return super().copy(source, target, listed)

    def delete(self, keys: list[str]) -> None:
        for key in keys:
            self._step()
            super().delete([key])

    def _step(self) -> None:
        if self._is_due("before"):
            os.kill(os.getpid(), signal.SIGKILL)

    def _is_due(self, how: How) -> bool:
        with self._lock:
            self.done[how] += 1
            return how == self._how and self.done[how] == self._at


@dataclass(frozen=True)
class Kills:
    """What was left of work that was killed again and again.

    In `root` are `unkilled`; for each kill n `state-n`, what it left; and `mended-n`, what the next run made of that.
    Where there is a `seed`, all of them start from it.
    """

    root: Path

    def states(self, kind: str) -> list[Path]:
        """The folders of a kind."""
        return sorted(self.root.glob(f"{kind}-*"))

    def begin(self, name: str) -> Path:
        """A folder of this name to work on."""
        if (self.root / "seed").exists():
            shutil.copytree(self.root / "seed", self.root / name)
        return self.root / name


def kill_at_each_step(work: Work, root: Path, *, every: int = 1) -> Kills:
    """Do work again and again: each time killed some steps later, and then once more, to its end."""
    _run_this("each", work, root, every)
    return Kills(root)


def kill_in_a_row(work: Work, root: Path, *, times: int) -> Kills:
    """Do work in one folder, killed so many times within the same write, and then within each that is still to come."""
    _run_this("row", work, root, times)
    return Kills(root)


def do_twice_at_once(work: Work, root: Path, *, times: int) -> Kills:
    """Do work by two processes that begin at the same time, so many times; what they left is `mended-n`."""
    _run_this("two", work, root, times)
    return Kills(root)


@dataclass(frozen=True)
class Call:
    """A system call by which something in a folder changes: the n-th of its name on that path in its thread.

    The path is seen from the folder. Of locks and renames, it is the n-th of all in its thread.
    """

    name: str
    path: str
    number: int

    def __str__(self) -> str:
        return f"{self.name} {self.path} {self.number}"


def calls_of(program: Sequence[str], folder: Path, environ: Mapping[str, str]) -> list[Call]:
    """The calls by which a program that runs to its end changes a folder, in order, but for those that fail."""
    with tempfile.NamedTemporaryFile(prefix="calls-") as log:
        traced = [*_STRACE, "-y", "-e", f"trace={CHANGES},{HOLDS}", "-o", log.name, *program]
        done = subprocess.run(traced, env=environ, capture_output=True, text=True, check=False, timeout=_SECONDS)
        lines = Path(log.name).read_text(errors="replace").splitlines()
    assert done.returncode == 0, done.stderr
    seen, calls = Counter[tuple[str, str, str]](), list[Call]()
    for line in lines:
        paths = [path for path in _PATH.findall(line) if path.startswith(f"{folder}/")]
        if paths and (found := _CALL.match(line)):
            # Of two paths, the second is the one that is new.
            name, path = found["name"], str(Path(paths[-1]).relative_to(folder))
            counted = name, found["thread"], "" if name in _OF_WHAT_IS_WRITTEN else path
            seen[counted] += 1
            changes = (name != "openat" or "O_CREAT" in line) and " = -1 " not in line
            if changes and (name == HOLDS or "#" not in path):
                calls.append(Call(name, path, seen[counted]))
    # Two threads may both try to make a folder, each for the first time.
    return list(dict.fromkeys(calls))


def kill_at(call: Call, program: Sequence[str], folder: Path, environ: Mapping[str, str]) -> bool:
    """Run a program that is killed as it enters a call, and say whether it was."""
    inject = f"inject={call.name}:signal=KILL:when={call.number}"
    only = [] if call.name in _OF_WHAT_IS_WRITTEN else ["-P", str(folder / call.path)]
    traced = [*_STRACE, *only, "-e", f"trace={call.name}", "-e", inject, "-o", os.devnull, *program]
    done = subprocess.run(traced, env=environ, capture_output=True, text=True, check=False, timeout=_SECONDS)
    assert done.returncode in (0, -signal.SIGKILL), (done.returncode, done.stderr)
    return done.returncode != 0


def lingering(name: str, program: Sequence[str]) -> list[str]:
    """A program that waits for two seconds before it makes a call for the first time."""
    inject = f"inject={name}:delay_enter=2000000:when=1"
    return [*_STRACE, "-e", f"trace={name}", "-e", inject, "-o", os.devnull, *program]


def environ() -> dict[str, str]:
    """What the programs here need of the environment."""
    root = str(Path(__file__).parents[1])
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")}
    return {**kept, "PYTHONPATH": root, "PYTHONDONTWRITEBYTECODE": "1"}


def _run_this(mode: str, work: Work, root: Path, *numbers: int) -> None:
    """Fork where there are no other threads."""
    arguments = [mode, *work.arguments, str(root), *map(str, numbers)]
    program = [sys.executable, "-m", __name__, *arguments]
    done = subprocess.run(program, capture_output=True, text=True, timeout=_SECONDS, check=False, env=environ())
    assert done.returncode == 0, done.stderr


def _each(work: Work, kills: Kills, every: int) -> None:
    done = work.begin(kills.begin("unkilled")).end()
    assert done
    for how, number in done.items():
        for at in range(1, number + 1, every):
            folder = kills.begin(f"mended-{how}-{at}")
            assert work.begin(folder, how, at).end() is None, (how, at)
            shutil.copytree(folder, kills.root / f"state-{how}-{at}")
            assert work.begin(folder).end()


def _row(work: Work, kills: Kills, times: int) -> None:
    assert work.begin(kills.begin("unkilled")).end()
    folder, number = kills.begin("mended"), 0
    while work.begin(folder, "within", 1 if number < times else 2).end() is None:
        shutil.copytree(folder, kills.root / f"state-{number}")
        number += 1
    assert work.begin(folder).end()


def _two(work: Work, kills: Kills, times: int) -> None:
    assert work.begin(kills.begin("unkilled")).end()
    for time in range(times):
        folder = kills.begin(f"mended-{time}")
        for child in [work.begin(folder), work.begin(folder)]:
            assert child.end()


def _once(work: Work, kills: Kills) -> None:
    # One picture at a time, so that the calls are nearly the same each time.
    errors = work.do(Storage(str(kills.root)), workers=1)
    print("\n".join(errors))
    sys.exit(bool(errors))


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("mode")
    parser.add_argument("url")
    parser.add_argument("first", type=date.fromisoformat)
    parser.add_argument("last", type=date.fromisoformat)
    parser.add_argument("root", type=Path)
    parser.add_argument("numbers", type=int, nargs="*")
    said = parser.parse_args()
    # Python ignores the signal that ends who writes more than it may.
    if said.mode != "once":
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    modes = {"each": _each, "row": _row, "two": _two, "once": _once}
    modes[said.mode](Work(said.url, said.first, said.last), Kills(said.root), *said.numbers)


if __name__ == "__main__":
    _main()
