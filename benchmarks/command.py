"""Measures, and writes down what came: `results.json`, and from it `RESULTS.md` and `growth.svg`.

All of it takes hours; a part: `python -m benchmarks --case 365 --contender ours,script --repeat 3`. What is measured
replaces what the same contender took in the same case at the same latency before, and leaves the rest.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from re import fullmatch

from benchmarks import history
from benchmarks.cases import CASES, Case
from benchmarks.contenders import CONTENDERS, Contender, Job, absent
from benchmarks.measure import measured
from benchmarks.plot import plot
from benchmarks.report import grows, page
from benchmarks.results import AGAIN, Measured, Results, Run, load, save, together
from benchmarks.server import Asked, serving

HERE = Path(__file__).parent
_MEASURED = (
    "rocket_assets", "benchmarks/*.py", ":!benchmarks/report.py", ":!benchmarks/plot.py", "constraints.txt",
)  # fmt: skip
"""What a figure depends on, in the words of git; a change of anything else, as of the page's words, leaves it true."""


def run(contender: Contender, job: Job, server: Asked) -> Run:
    """Let a contender bring the days of a job; what it took, what it asked, and what it left."""
    data, records = job.folder / "data", job.folder / "dagster"
    files, noted = _files(data), _files(records)
    argv, environment = contender.command(job)
    server.reset()
    cost = measured(argv, environment, job.folder, in_part=contender.part)
    asked, files_now, noted_now = server.counts(), _files(data), _files(records)
    return {
        **asdict(cost),
        **asked,
        "files_written": sum(1 for path, stat in files_now.items() if files.get(path) != stat),
        "stored_bytes": _size(files_now),
        "event_log_bytes": _size(noted_now) - _size(noted),
        "runs": len(_runs(noted_now) - _runs(noted)),
    }


Files = dict[Path, tuple[int, int, int]]


def _files(folder: Path) -> Files:
    """The files below a folder, each with inode, size and time of its last change."""
    found = ((path, path.stat()) for path in folder.rglob("*") if path.is_file())
    return {path: (stat.st_ino, stat.st_size, stat.st_mtime_ns) for path, stat in found}


def _size(files: Files) -> int:
    """Their bytes; what is one file under several names counts once."""
    return sum({inode: size for inode, size, _ in files.values()}.values())


def _runs(records: Files) -> set[Path]:
    """The files in which Dagster keeps the events of a run each: those named by a run's id."""
    return {path for path in records if path.parent.name == "runs" and fullmatch("[0-9a-f-]{36}", path.stem)}


def machine() -> dict[str, str]:
    """What it is measured on."""
    said: dict[str, str] = {}
    for path in (Path("/proc/cpuinfo"), Path("/proc/meminfo")):
        if path.exists():
            pairs = (line.partition(":") for line in path.read_text().splitlines())
            said |= {name.strip(): value.strip() for name, _, value in pairs}
    return {
        "processor": f"{os.cpu_count()} cores ({said.get('model name', platform.machine())})",
        "memory": f"{int(said.get('MemTotal', '0 kB').split()[0]) / 1e6:.0f} GB of memory",
        "system": platform.system(),
        "python": f"Python {platform.python_version()}",
        "dagster": f"Dagster {version('dagster')}",
    }


def commit() -> str:
    """The last commit that changed what is measured, and a digest of what has changed since."""
    last = _git("log", "-1", "--format=%h", "--abbrev=10")
    changed = _git("diff", "HEAD")
    digest = f" with changes {sha256(changed.encode()).hexdigest()[:8]}" if changed else ""
    return f"{last or 'unknown'}{digest}"


def _git(*arguments: str) -> str:
    argv = ["git", *arguments, "--", *_MEASURED]
    try:
        return subprocess.run(argv, cwd=HERE.parent, capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:
        return ""


def render(results: Results, out: Path) -> None:
    """Write the page, with what is kept by hand in `notes.md` beside it, and its plot."""
    notes = out / "notes.md"
    (out / "RESULTS.md").write_text(page(results, notes.read_text() if notes.exists() else ""))
    if grows(results):
        plot(results, out / "growth.svg")


def measure(
    name: str, case: Case, contenders: Collection[str], server: Asked, note: Callable[[Measured], None]
) -> None:
    """Let the contenders bring a case in turn, again and again, so that a slow minute of the machine is everybody's.

    Each run is noted as soon as it is over, with those of the same contender before.
    """
    runs: dict[str, list[Run]] = {}
    where, on = commit(), machine()
    for number in range(case.repeat):
        for who in contenders:
            contender = CONTENDERS[who]
            with tempfile.TemporaryDirectory(prefix="rocket-bench-") as folder:
                job = Job(Path(folder), f"{server.url}/2.3.0/", case.start, case.end)
                server.wait(0.0)
                contender.prepare(job)
                server.wait(case.latency)
                for time in range(case.times):
                    came = run(contender, job, server)
                    called = who + AGAIN * time
                    runs.setdefault(called, []).append(came)
                    print(f"{name}, {called}, {number + 1} of {case.repeat}: {_told(came)}", flush=True)
                    at = datetime.now(UTC).isoformat(timespec="seconds")
                    note(Measured(name, case.latency, called, where, on, at, runs[called]))


def _told(came: Run) -> str:
    pictures = came["picture_requests"] + came["unchanged_pictures"]
    return (
        f"{came['wall']:.2f} s, CPU {came['cpu']:.2f} s, {came['megabytes']:.0f} MB, "
        f"{came['api_requests']:.0f} + {pictures:.0f} requests (server {came['server_cpu']:.2f} s), "
        f"event log {came['event_log_bytes'] / 1e6:.1f} MB, {came['runs']:.0f} runs"
    )


def _some_of(names: Collection[str]) -> Callable[[str], list[str]]:
    """Reads names with commas between them."""

    def read(given: str) -> list[str]:
        chosen = list(dict.fromkeys(given.split(",")))
        for name in chosen:
            if name not in names:
                raise argparse.ArgumentTypeError(f"there is no {name!r}; there are {', '.join(names)}")
        return chosen

    return read


def _times(given: str) -> int:
    if not given.isdecimal() or int(given) < 1:
        raise argparse.ArgumentTypeError(f"{given!r} is no number of times; what fits is 1 or more")
    return int(given)


def _seconds(given: str) -> float:
    try:
        seconds = float(given)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= 60:
        raise argparse.ArgumentTypeError(f"{given!r} does not fit; what fits is a number of seconds from 0 to 60")
    return seconds


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", usage="%(prog)s [options]", description=__doc__)
    parser.add_argument(
        "--case",
        type=_some_of(CASES),
        default=list(CASES),
        help=f"with commas, of {', '.join(CASES)}; unless told otherwise each of them",
    )
    parser.add_argument(
        "--contender", type=_some_of(CONTENDERS),
        help=f"with commas, of {', '.join(CONTENDERS)}; unless told otherwise those that the case names, if installed",
    )  # fmt: skip
    parser.add_argument("--repeat", type=_times, help="how often, instead of what the case says")
    parser.add_argument("--latency", type=_seconds, help="seconds before each answer, instead of what the case says")
    parser.add_argument(
        "--out", type=Path, default=HERE, metavar="FOLDER",
        help="where what was measured is read and written, instead of benchmarks/, whose files are committed",
    )  # fmt: skip
    parser.add_argument(
        "--render", type=Path, nargs="*", metavar="FILE",
        help="measure nothing: write the page anew, with what results.json of other folders say put to it",
    )  # fmt: skip
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what was asked for, and write the page."""
    parser = _options()
    options = parser.parse_args(arguments)
    results = options.out / "results.json"

    def note(*came: Measured) -> None:
        now = together([*load(results).values(), *came])
        save(now, results)
        render(now, options.out)

    missing = absent()
    for who in options.contender or ():
        if who in missing:
            parser.error(f"{who} is not installed; {missing[who]}")
    for path in options.render or ():
        if not path.is_file():
            parser.error(f"{path} is no file")
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        load(results)
        others = [each for path in options.render or () for each in load(path).values()]
    except (OSError, ValueError) as error:
        parser.error(str(error))
    if options.render is not None:
        note(*others)
    else:
        print(f"What is measured is written to {options.out.resolve()} (--out FOLDER: elsewhere).", flush=True)
        cases = {name: CASES[name].but(options.repeat, options.latency) for name in options.case}
        chosen = {name: options.contender or case.contenders for name, case in cases.items()}
        for who in missing.keys() & {who for of in chosen.values() for who in of}:
            print(f"Without {who}, which is not installed; {missing[who]}.", file=sys.stderr, flush=True)
        with serving(history.draw_pictures()) as server:
            for name, case in cases.items():
                measure(name, case, [who for who in chosen[name] if who not in missing], server, note)
    print(f"Written: {options.out.resolve() / 'RESULTS.md'}")
