r"""Measures, and writes down what came: `results.json`, and from it `RESULTS.md` and `growth.svg`.

`python -m benchmarks` measures everything that is installed here, which takes hours; or a part of it:
`python -m benchmarks --case 365 --contender ours,script --repeat 3`. What is measured replaces what the same contender
took in the same case before, and leaves the rest. With `--render` the page alone is written anew.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from re import fullmatch

from benchmarks import history
from benchmarks.cases import CASES, Case
from benchmarks.contenders import Contender, Job, installed
from benchmarks.measure import measured
from benchmarks.plot import plot
from benchmarks.report import AGAIN, HERE, Results, Run, load, page
from benchmarks.server import Asked, serving


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
        "memory": f"{int(said.get('MemTotal', '0 kB').split()[0]) / 1e6:.0f} GB",
        "system": platform.system(),
        "Python": platform.python_version(),
        "Dagster": version("dagster"),
        "day": datetime.now(UTC).date().isoformat(),
    }


def note(case: str, latency: float, runs: dict[str, list[Run]]) -> None:
    """Write down the runs of a case by contender, in place of those of the same contenders before."""
    results = load()
    noted = results.setdefault(case, {})
    noted |= {name: {"latency": latency, "machine": machine(), "runs": of} for name, of in runs.items() if of}
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    render(results)


def render(results: Results) -> None:
    """Write the page and its plot."""
    (HERE / "RESULTS.md").write_text(page(results))
    plot(results, HERE / "growth.svg")


def measure(name: str, case: Case, contenders: dict[str, Contender], server: Asked) -> None:
    """Let the contenders bring a case in turn, again and again, so that a slow minute of the machine is everybody's."""
    runs: dict[str, list[Run]] = {}
    for number in range(case.repeat):
        for who, contender in contenders.items():
            with tempfile.TemporaryDirectory(prefix="rocket-bench-") as folder:
                job = Job(Path(folder), f"{server.url}/2.3.0/", case.start, case.end)
                server.wait(0.0)
                contender.prepare(job)
                server.wait(case.latency)
                for time in range(case.times):
                    came = run(contender, job, server)
                    runs.setdefault(who + AGAIN * time, []).append(came)
                    print(f"{name}, {who}, {number + 1} of {case.repeat}{AGAIN * time}: {_told(came)}", flush=True)
            note(name, case.latency, runs)


def _told(came: Run) -> str:
    return (
        f"{came['wall']:.2f} s, CPU {came['cpu']:.2f} s, {came['megabytes']:.0f} MB, "
        f"{came['api_requests']:.0f} + {came['picture_requests']:.0f} requests (server {came['server_cpu']:.2f} s), "
        f"event log {came['event_log_bytes'] / 1e6:.1f} MB, {came['runs']:.0f} runs"
    )


def main() -> None:
    """Measure what was asked for, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--case", help=f"with commas, of {', '.join(CASES)}; all unless told otherwise")
    parser.add_argument("--contender", help="with commas; all of the case that are installed unless told otherwise")
    parser.add_argument("--repeat", type=int, help="how often, instead of what the case says")
    parser.add_argument("--latency", type=float, help="seconds before each answer, instead of what the case says")
    parser.add_argument("--render", action="store_true", help="measure nothing")
    options = parser.parse_args()
    if options.render:
        render(load())
        return
    there = installed()
    with serving(history.draw_pictures()) as server:
        for name in options.case.split(",") if options.case else CASES:
            case = CASES[name].but(options.repeat, options.latency)
            wanted = options.contender.split(",") if options.contender else case.contenders
            measure(name, case, {who: there[who] for who in wanted if who in there}, server)


if __name__ == "__main__":
    main()
