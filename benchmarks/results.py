"""What was measured, as it stands in `results.json`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

AGAIN = " again"
"""Behind the name of a contender: the same once more, over the same days into the same folder."""

Run = dict[str, float]

Key = tuple[str, float, str]
"""Case, latency and contender. What has another of these is another measurement, and is never counted together."""


@dataclass(frozen=True)
class Measured:
    """The runs of a contender in a case, with so many seconds before each answer of the server.

    `commit` is the last that changed what is measured, `at` the time, in UTC, at which the last run was over.
    """

    case: str
    latency: float
    contender: str
    commit: str
    machine: dict[str, str]
    at: str
    runs: list[Run]

    @property
    def key(self) -> Key:
        """What it is a measurement of."""
        return self.case, self.latency, self.contender

    @property
    def conditions(self) -> tuple[str, ...]:
        """What must be the same where two are compared: the commit and the machine."""
        return f"commit {self.commit}", *self.machine.values()

    def middle(self, figure: str) -> float:
        """The median of a figure."""
        return median(run[figure] for run in self.runs)


Results = dict[Key, Measured]


def load(path: Path) -> Results:
    """What stands in a file; nothing, if there is none.

    Raises:
        ValueError: it is no file of results.
    """
    try:
        return together(Measured(**each) for each in json.loads(path.read_text())) if path.exists() else {}
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} does not hold what was measured: {error}") from error


def save(results: Results, path: Path) -> None:
    """Write a file of results."""
    path.write_text(json.dumps([asdict(each) for _, each in sorted(results.items())], indent=1) + "\n")


def together(measurements: Iterable[Measured]) -> Results:
    """All of these; of two of the same thing the later one."""
    return {each.key: each for each in sorted(measurements, key=lambda each: each.at)}
