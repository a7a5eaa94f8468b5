"""The page that says what was measured, made of `results.json` alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.cases import CASES, GROWTH, Case
from benchmarks.contenders import ALL

HERE = Path(__file__).parent

AGAIN = " again"
"""Behind the name of a contender: the same once more, over the same days into the same folder."""

Run = dict[str, float]
Results = dict[str, dict[str, dict[str, Any]]]
"""By case and contender: the runs, the latency in seconds, and the machine."""


def load() -> Results:
    """What was measured so far."""
    path = HERE / "results.json"
    return json.loads(path.read_text()) if path.exists() else {}


@dataclass(frozen=True)
class Figure:
    """A column: what of a run it shows, and with how many digits."""

    title: str
    of: Callable[[Run], float]
    digits: int = 0

    def shown(self, runs: Iterable[Run]) -> str:
        """The median, and the range where it is one."""
        values = sorted(self.of(run) for run in runs)
        least, middle, most = (self._rounded(value) for value in (values[0], median(values), values[-1]))
        return middle if least == most else f"{middle} ({least} to {most})"

    def _rounded(self, value: float) -> str:
        # Three digits that mean something are enough, and two behind the point where it is small.
        digits = self.digits if value < 100 else 0
        return f"{value:,.{digits}f}"


def _of(name: str, unit: float = 1) -> Callable[[Run], float]:
    return lambda run: run[name] / unit


FIGURES = (
    Figure("wall, s", _of("wall"), 2),
    Figure("CPU, s", _of("cpu"), 2),
    Figure("memory, MB", _of("megabytes")),
    Figure("API requests", _of("api_requests")),
    Figure("picture requests", _of("picture_requests")),
    Figure("network, MB", lambda run: (run["api_bytes"] + run["picture_bytes"]) / 1e6, 1),
    Figure("stored, MB", _of("stored_bytes", 1e6), 1),
    Figure("event log, MB", _of("event_log_bytes", 1e6), 1),
    Figure("runs", _of("runs")),
)

WITHOUT_DAGSTER = {"script", "pictures", "curl", "airflow"}
"""Who has no event log and no runs of Dagster."""


@dataclass(frozen=True)
class Target:
    """A ratio, or a figure, that is to be at most or at least so much."""

    what: str
    case: str
    value: Callable[[Callable[[str, str], float]], float]
    """Asks for the median of a figure by contender and name; a KeyError says that it was not measured."""
    limit: float
    at_least: bool = False

    def row(self, results: Results) -> str:
        """Its line in the table."""
        bound = f"at {'least' if self.at_least else 'most'} {self.limit:g}"
        try:
            value = self.value(lambda contender, figure: middle(results, self.case, contender, figure))
        except KeyError:
            return f"| {self.what} | {bound} | not measured here | |"
        holds = value >= self.limit if self.at_least else value <= self.limit
        return f"| {self.what} | {bound} | {value:,.{0 if value >= 100 else 2}f} | {'yes' if holds else '**no**'} |"


def middle(results: Results, case: str, contender: str, figure: str) -> float:
    """The median of a figure of the runs.

    Raises:
        KeyError: it was not measured.
    """
    return median(run[figure] for run in results[case][contender]["runs"])


def _targets() -> Iterator[Target]:
    for figure, name in (("CPU", "cpu"), ("wall", "wall")):
        yield Target(
            f"365 days: `ours` / (`alone` + `script`), {figure}",
            "365",
            lambda of, name=name: of("ours", name) / (of("alone", name) + of("script", name)),
            1.25,
        )
    for who in ("pictures", "pictures-command"):
        yield Target(
            f"pictures of 365 days at 50 ms latency: `{who}` / `curl`, wall",
            "365",
            lambda of, who=who: of(who, "wall") / of("curl", "wall"),
            1.2,
        )
    for case, figure, name, limit in (
        ("14", "wall", "wall", 4),
        ("14", "CPU", "cpu", 5),
        ("14", "memory", "megabytes", 6),
        ("365", "wall", "wall", 15),
        ("365", "CPU", "cpu", 20),
    ):
        yield Target(
            f"{case} days: `airflow` / `ours`, {figure}",
            case,
            lambda of, name=name: of("airflow", name) / of("ours", name),
            limit,
            at_least=True,
        )
    yield Target(
        "the whole history: API requests beyond one for each run", "history",
        lambda of: of("ours", "api_requests") - of("ours", "runs"), 80,
    )  # fmt: skip
    yield Target("the whole history: `ours` / `alone`, CPU", "history", _ratio("ours", "alone"), 1.3)
    yield Target("the whole history: memory, MB", "history", lambda of: of("ours", "megabytes"), 400)
    yield Target(
        "the whole history again: pictures fetched", "history", lambda of: of(f"ours{AGAIN}", "picture_requests"), 0
    )
    yield Target("the whole history again: files written", "history", lambda of: of(f"ours{AGAIN}", "files_written"), 0)


def _ratio(one: str, other: str) -> Callable[[Callable[[str, str], float]], float]:
    return lambda of: of(one, "cpu") / of(other, "cpu")


TARGETS = tuple(_targets())

_HELD_BY_A_TEST = (
    "| calls of the storage for one day more: its launches; a picture that is known | at most 4 | 3; 4 | yes |"
)


def page(results: Results) -> str:
    """The page."""
    measured_cases = {name: case for name, case in CASES.items() if name in results and name not in GROWTH}
    parts = [_HEAD, _machines(results)]
    parts += [_table(name, case, results[name]) for name, case in measured_cases.items()]
    parts += [_targets_table(results), _growth_table(results)]
    return "\n\n".join(parts) + "\n"


_HEAD = """\
# What it costs

A backfill of rocket launches and their pictures, side by side with what one would use instead. Everything here was
measured by `make bench` on one machine, against a server on the same machine that serves a made-up history as large and
as uneven as the real one: 7,608 launches on 6,477 days, 691 distinct pictures (80 kB to 1.5 MB, 333 MB in all), about
10 kB of JSON a launch. No figure needs the network.

- `ours`: `rocket-assets backfill START END --assets launches,launch_images`
- `all`: the same without `--assets`, so with the gallery and the table of each month
- `script`: [a script of 130 lines](script.py) as one would write it, with `requests` and 16 threads, which brings the
  same files for a first run
- `alone`: [Dagster alone](alone.py): two assets with the same partitions in the same chunks that do nothing but record
  their days
- `airflow`: [the classic pipeline](airflow/dags/download_rocket_launches.py) on Apache Airflow as it is set up by
  default, a run a day. Each day it asks for the same ten upcoming launches and fetches their pictures, so it does less;
  what is set up once, and the start of its services, is not measured
- `pictures-command`: `rocket-assets backfill START END --assets launch_images`, where the launches are there already
- `pictures`: [the same by the project's own means](pictures.py), but without Dagster and its records
- `curl`: `curl --parallel --parallel-max 16` over the addresses of the same pictures; it does not look at what comes

Each is a command in a process of its own, in an empty folder. The contenders take turns; what stands here is the median
of the runs, and in brackets the least and the most. *CPU* is of the process and all that it starts, *memory* the most
that they have together, *event log* all that Dagster keeps of its runs, *network* what came over it. The server is not
counted, but shares the cores."""


def _machines(results: Results) -> str:
    """Where the figures come from; one line for each machine, day and commit."""
    lines: dict[str, list[str]] = {}
    for case, contenders in results.items():
        for who, measured in contenders.items():
            said = ", ".join(
                f"{name} {value}" if name in _NAMED else value for name, value in measured["machine"].items()
            )
            lines.setdefault(said, []).append(f"{case}: {who}")
    if len(lines) == 1:
        return f"Measured with: {next(iter(lines))}."
    return "\n".join(["Measured with:", "", *(f"- {said} ({'; '.join(of)})" for said, of in lines.items())])


_NAMED = ("memory", "Python", "Dagster")


def _table(name: str, case: Case, contenders: dict[str, dict[str, Any]]) -> str:
    latency = next(iter(contenders.values()))["latency"]
    away = f"{latency * 1000:.0f} ms before each answer" if latency else "no latency"
    lines = [
        f"## {case.title}",
        "",
        f"{case.start} to {case.end}, {away}. To repeat: `.venv/bin/python -m benchmarks --case {name}`.",
        "",
        f"| | {' | '.join(figure.title for figure in FIGURES)} |",
        f"|---|{'---:|' * len(FIGURES)}",
    ]
    for who in sorted(contenders, key=_in_order):
        figures = FIGURES[:-2] if who.removesuffix(AGAIN) in WITHOUT_DAGSTER else FIGURES
        shown = [figure.shown(contenders[who]["runs"]) for figure in figures]
        shown += ["-"] * (len(FIGURES) - len(figures))
        lines.append(f"| `{who}` | {' | '.join(shown)} |")
    return "\n".join(lines)


def _in_order(who: str) -> tuple[int, str]:
    return ALL.index(who.removesuffix(AGAIN)), who


def _targets_table(results: Results) -> str:
    return "\n".join([
        "## What was to be reached",
        "",
        "| | target | measured | holds |",
        "|---|---|---:|---|",
        *(target.row(results) for target in TARGETS),
        _HELD_BY_A_TEST,
        "",
        "The calls of the storage are counted by a test, which makes them from a bucket "
        "([test_bucket.py](../rocket_assets_tests/test_bucket.py)).",
    ])  # fmt: skip


def growth(results: Results, who: str) -> list[tuple[int, list[Run]]]:
    """What a contender took, by the number of days, the fewest first."""
    cases = [*GROWTH, "history"]
    return [(CASES[name].days, results[name][who]["runs"]) for name in cases if who in results.get(name, {})]


GROWING = ("ours", f"ours{AGAIN}", "alone", f"alone{AGAIN}")


def _growth_table(results: Results) -> str:
    figures = (
        ("CPU, ms a day", lambda run: run["cpu"] * 1000, True),
        ("wall, ms a day", lambda run: run["wall"] * 1000, True),
        ("event log, kB a day", lambda run: run["event_log_bytes"] / 1000, True),
        ("memory, MB", _of("megabytes"), False),
        ("pictures fetched", _of("picture_requests"), False),
        ("files written", _of("files_written"), False),
    )
    lines = [
        "## How the cost grows",
        "",
        "What a day costs must not grow with how many there are. A second run over the same days (*again*) fetches no "
        "picture and writes no file; it takes what Dagster's records take, and the question whether all still holds.",
        "",
        "![What a day costs, by the number of days](growth.svg)",
        "",
        f"| days | | {' | '.join(title for title, _, _ in figures)} |",
        f"|---:|---|{'---:|' * len(figures)}",
    ]
    for who in GROWING:
        for days, runs in growth(results, who):
            shown = (
                Figure(title, lambda run, of=of, by=days if each else 1: of(run) / by, 1 if each else 0).shown(runs)
                for title, of, each in figures
            )
            lines.append(f"| {days:,} | `{who}` | {' | '.join(shown)} |")
    return "\n".join(lines)
