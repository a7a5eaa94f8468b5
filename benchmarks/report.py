"""The page that says what was measured, made of `results.json` and of what is kept by hand beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median

from benchmarks.cases import CASES, GROWTH
from benchmarks.contenders import CONTENDERS
from benchmarks.results import AGAIN, Measured, Results, Run


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
    Figure("picture requests", lambda run: run["picture_requests"] + run["unchanged_pictures"]),
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
        """Its line in the table. It is judged at the latency of its case, and if all sides had the same conditions."""
        latency, sides = CASES[self.case].latency, set[tuple[str, ...]]()

        def of(contender: str, figure: str) -> float:
            measured = results[self.case, latency, contender]
            sides.add(measured.conditions)
            return measured.middle(figure)

        bound = f"at {'least' if self.at_least else 'most'} {self.limit:g}"
        try:
            value = self.value(of)
        except KeyError:
            return f"| {self.what} | {bound} | not measured with {_away(latency)} | |"
        holds = value >= self.limit if self.at_least else value <= self.limit
        verdict = ("yes" if holds else "**no**") if len(sides) == 1 else "not judged: measured with different things"
        return f"| {self.what} | {bound} | {value:,.{0 if value >= 100 else 2}f} | {verdict} |"


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

HELD_BY = "test_each_day_more_costs_a_bucket_four_calls_for_a_picture_that_is_known_and_three_for_its_launches"
"""The test of test_bucket.py that holds the target that is not measured here."""


def page(results: Results, notes: str = "") -> str:
    """The page; `notes` say of the targets what their figures do not."""
    marks = _marks(results)
    tables = [each for each in results.values() if each.case not in GROWTH or each.latency != CASES[each.case].latency]
    tables.sort(key=_in_order)
    parts = [_HEAD, _conditions(results, marks)]
    for _, group in groupby(tables, lambda each: (each.case, each.latency)):
        parts.append(_table(list(group), marks))
    parts += [_targets_table(results), notes.strip()]
    if grows(results):
        parts.append(_growth_table(results, marks))
    return "\n\n".join(filter(None, parts)) + "\n"


def _in_order(measured: Measured) -> tuple[int, float, int, str]:
    who = measured.contender
    return list(CASES).index(measured.case), measured.latency, [*CONTENDERS].index(who.removesuffix(AGAIN)), who


def _away(latency: float) -> str:
    return f"{latency * 1000:g} ms before each answer" if latency else "no latency"


_HEAD = """\
# What it costs

A backfill of rocket launches and their pictures, side by side with what one would use instead. Everything here was
measured by `make bench`, against a server on the same machine that serves a made-up history as large and as uneven as
the real one: 7,608 launches on 6,477 days, 691 distinct pictures (80 kB to 1.5 MB, 333 MB in all), about
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


Marks = dict[tuple[str, ...], str]


def _marks(results: Results) -> Marks:
    """A letter for each commit and machine that something was measured with, the earliest first."""
    in_time = sorted(results.values(), key=lambda each: each.at)
    return {conditions: f"[{n}]" for n, conditions in enumerate(dict.fromkeys(each.conditions for each in in_time), 1)}


def _conditions(results: Results, marks: Marks) -> str:
    """Where the figures come from."""
    lines: list[str] = []
    for conditions, mark in marks.items():
        days = sorted({each.at[:10] for each in results.values() if each.conditions == conditions})
        lines.append(f"{mark} {', '.join(conditions)}; {' to '.join(dict.fromkeys([days[0], days[-1]]))}")
    if not lines:
        return "Nothing was measured yet."
    if len(lines) == 1:
        return f"Measured with {lines[0].partition(' ')[2]}."
    return "\n".join([
        "Measured with different things, which each line names; what does not have the same is not compared:",
        "",
        *(f"- {line}" for line in lines),
    ])  # fmt: skip


def _name(measured: Measured, marks: Marks) -> str:
    return f"`{measured.contender}`{f' {marks[measured.conditions]}' if len(marks) > 1 else ''}"


def _table(rows: Sequence[Measured], marks: Marks) -> str:
    case, latency = CASES[rows[0].case], rows[0].latency
    lines = [
        f"## {case.title}{'' if latency == case.latency else f', {_away(latency)}'}",
        "",
        f"{case.start} to {case.end}, {_away(latency)}. To repeat: {' and '.join(_commands(rows))}.",
        "",
        f"| | times | {' | '.join(figure.title for figure in FIGURES)} |",
        f"|---|---:|{'---:|' * len(FIGURES)}",
    ]
    for row in rows:
        figures = FIGURES[:-2] if row.contender.removesuffix(AGAIN) in WITHOUT_DAGSTER else FIGURES
        shown = [figure.shown(row.runs) for figure in figures]
        shown += ["-"] * (len(FIGURES) - len(figures))
        lines.append(f"| {_name(row, marks)} | {len(row.runs)} | {' | '.join(shown)} |")
    return "\n".join(lines)


def _commands(rows: Sequence[Measured]) -> Iterator[str]:
    """What measures the rows again: a command for each number of times."""
    case, latency = rows[0].case, rows[0].latency
    for times in dict.fromkeys(len(row.runs) for row in rows):
        who = dict.fromkeys(row.contender.removesuffix(AGAIN) for row in rows if len(row.runs) == times)
        other = "" if latency == CASES[case].latency else f" --latency {latency:g}"
        yield f'`make bench BENCH="--case {case} --contender {",".join(who)} --repeat {times}{other}"`'


def _targets_table(results: Results) -> str:
    return "\n".join([
        "## What was to be reached",
        "",
        "| | target | measured | holds |",
        "|---|---|---:|---|",
        *(target.row(results) for target in TARGETS),
        "",
        "One more is not measured here, but held by a test, which counts what comes to a bucket: the calls of the "
        "storage for one day more are to be at most 4, and are 3 for its launches and 4 for a picture that is known "
        f"(`{HELD_BY}` in [test_bucket.py](../rocket_assets_tests/test_bucket.py)).",
    ])  # fmt: skip


def growth(results: Results, who: str) -> list[tuple[int, Measured]]:
    """What a contender took, by the number of days, the fewest first."""
    cases = [(name, CASES[name]) for name in (*GROWTH, "history")]
    return [(case.days, results[key]) for name, case in cases if (key := (name, case.latency, who)) in results]


GROWING = ("ours", f"ours{AGAIN}", "alone", f"alone{AGAIN}")


def grows(results: Results) -> bool:
    """Whether there is anything to say of how the cost grows."""
    return any(growth(results, who) for who in GROWING)


def _growth_table(results: Results, marks: Marks) -> str:
    figures = (
        ("CPU, ms a day", _of("cpu", 1e-3), True),
        ("wall, ms a day", _of("wall", 1e-3), True),
        ("event log, kB a day", _of("event_log_bytes", 1e3), True),
        ("memory, MB", _of("megabytes"), False),
        ("API requests", _of("api_requests"), False),
        ("runs", _of("runs"), False),
        ("pictures fetched", _of("picture_requests"), False),
        ("pictures unchanged", _of("unchanged_pictures"), False),
        ("files written", _of("files_written"), False),
    )
    lines = [
        "## How the cost grows",
        "",
        "A day is a partition of two assets. What it costs must not grow with their number. A second run over the "
        "same days (*again*) asks of each picture whether it has changed (*unchanged*: the server said no, and sent "
        "nothing), fetches none and writes no file.",
        "",
        "![What a day costs, by the number of days](growth.svg)",
        "",
        f"| days | | times | {' | '.join(title for title, _, _ in figures)} |",
        f"|---:|---|---:|{'---:|' * len(figures)}",
    ]
    for who in GROWING:
        for days, row in growth(results, who):
            shown = (
                Figure(title, lambda run, of=of, by=days if each else 1: of(run) / by, 1 if each else 0).shown(row.runs)
                for title, of, each in figures
            )
            lines.append(f"| {days:,} | {_name(row, marks)} | {len(row.runs)} | {' | '.join(shown)} |")
    return "\n".join(lines)
