"""What a command takes: time, CPU and memory of its process and of all that it starts.

The CPU is what the system has counted when the process has ended, for it and for those that it waited for; or what was
seen of all of them while they ran, if that is more, because some were never waited for. Memory is looked at many times
a second: the sum over all processes of the tree, in which what they share counts once (PSS) where the system tells.

Of a command that sets up first what one sets up once, only a part is measured: what it takes from one to the other of
two lines that it writes to standard output.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_PAUSE = 0.05
"""Seconds between two looks."""

_SHARE = 0.05
"""Of a core that looking takes at most; a look that takes long is made less often."""

_LOOKS_PER_COUNT = 4
"""Which processes there are is asked less often than how much memory they have."""


FROM_HERE, TO_HERE = b"measure from here\n", b"measure to here\n"


@dataclass(frozen=True)
class Cost:
    """What a command took; `megabytes` at most, of all its processes together, of which there were `processes`."""

    wall: float
    cpu: float
    megabytes: float
    processes: int


class _Watch:
    """Looks at a process and those below it, from a thread of its own, until told to stop."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._tree = [self._root]
        self._cpu: dict[psutil.Process, float] = {}
        self._most = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)
        self._thread.start()

    def stop(self) -> tuple[float, float, int]:
        """The CPU that was seen, the most memory in megabytes, and how many processes there were."""
        self._over.set()
        self._thread.join()
        return sum(self._cpu.values()), self._most / 1e6, len(self._cpu)

    def begin_anew(self) -> None:
        """Forget what was seen so far."""
        self._cpu, self._most = {}, 0.0

    def used(self) -> float:
        """The CPU so far of all that run now, and of those that these waited for."""
        total = 0.0
        for process in [self._root, *self._root.children(recursive=True)]:
            with suppress(psutil.Error):
                total += sum(process.cpu_times()[:4])
        return total

    def _look_on(self) -> None:
        pause, number = 0.0, 0
        while not self._over.wait(pause):
            began = time.thread_time()
            if number % _LOOKS_PER_COUNT == 0:
                with suppress(psutil.Error):
                    self._tree = [self._root, *self._root.children(recursive=True)]
            self._most = max(self._most, sum(self._look(process) for process in self._tree))
            number += 1
            pause = max(_PAUSE, (time.thread_time() - began) / _SHARE)

    def _look(self, process: psutil.Process) -> float:
        try:
            times, memory = process.cpu_times(), process.memory_full_info()
        except psutil.Error:
            return 0.0
        self._cpu[process] = times.user + times.system
        return getattr(memory, "pss", memory.rss)


def measured(argv: Sequence[str], environment: Mapping[str, str], folder: Path, *, in_part: bool = False) -> Cost:
    """Run a command in a folder, which gets what it says as `said.txt`; what it took.

    Args:
        argv: the command.
        environment: all of its environment.
        folder: where it runs.
        in_part: only what lies between its lines FROM_HERE and TO_HERE.

    Raises:
        SystemExit: it failed.
    """
    part: Cost | None = None
    with (folder / "said.txt").open("ab") as said:
        began = time.perf_counter()
        # In a group of its own, so that nothing of it is left when it has ended.
        process = subprocess.Popen(
            list(argv),
            cwd=folder,
            env=dict(environment),
            stdout=subprocess.PIPE if in_part else said,
            stderr=said,
            start_new_session=True,
        )
        watch = _Watch(process.pid)
        try:
            if process.stdout:
                with process.stdout as lines:
                    part = _part(lines, watch)
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - began
            process.returncode = os.waitstatus_to_exitcode(status)
        except BaseException:
            # It may have started what is in no group of ours, and ends that when it is told to.
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(60)
            raise
        finally:
            seen, megabytes, processes = watch.stop()
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        last = (folder / "said.txt").read_text(errors="replace")[-2000:]
        raise SystemExit(f"{' '.join(argv)} ended with {process.returncode}:\n{last}")
    if in_part and part is None:
        raise SystemExit(f"{' '.join(argv)} did not say what is to be measured.")
    return part or Cost(wall, max(usage.ru_utime + usage.ru_stime, seen), megabytes, processes)


def _part(lines: Iterable[bytes], watch: _Watch) -> Cost | None:
    """What is taken from one to the other of two lines, if they come."""
    began = before = 0.0
    cost: Cost | None = None
    for line in lines:
        if line == FROM_HERE:
            watch.begin_anew()
            began, before = time.perf_counter(), watch.used()
        elif line == TO_HERE:
            wall, cpu = time.perf_counter() - began, watch.used() - before
            _, megabytes, processes = watch.stop()
            cost = Cost(wall, cpu, megabytes, processes)
    return cost
