"""Who is measured: what brings the same days, each as a command in a process and a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from benchmarks import history
from benchmarks.airflow import contender as airflow

_HERE = Path(__file__).parent
_BIN = Path(sys.executable).parent

Command = tuple[list[str], dict[str, str]]
"""Arguments, and the whole environment."""


@dataclass(frozen=True)
class Job:
    """The days to bring, from which API, into which folder."""

    folder: Path
    url: str
    start: date
    end: date

    @property
    def days(self) -> list[str]:
        """The first and the last day, as arguments."""
        return [self.start.isoformat(), self.end.isoformat()]

    @property
    def environment(self) -> dict[str, str]:
        """An environment with nothing of ours in it."""
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8"}


@dataclass(frozen=True)
class Contender:
    """One who brings days.

    `prepare` does what is not measured. What is stored lies in `data`, and Dagster's records lie in `dagster`, both in
    the folder of the job. Of one that says so, only a `part` is measured. What the page says of each is in `report`.
    """

    command: Callable[[Job], Command]
    prepare: Callable[[Job], None] = lambda _: None
    part: bool = False


def _dagster(job: Job) -> dict[str, str]:
    home = job.folder / "dagster"
    if not home.exists():
        home.mkdir()
        shutil.copy(_HERE.parent / "rocket_assets/dagster.yaml", home)
    return job.environment | {"DAGSTER_HOME": str(home)}


def _ours(assets: str | None) -> Callable[[Job], Command]:
    def command(job: Job) -> Command:
        only = ["--assets", assets] if assets else []
        settings = {"ROCKET_ASSETS_API_URL": job.url, "ROCKET_ASSETS_STORAGE": str(job.folder / "data")}
        return [str(_BIN / "rocket-assets"), "backfill", *job.days, *only], _dagster(job) | settings

    return command


def _bring_launches(job: Job) -> None:
    argv, environment = _ours("launches")(job)
    subprocess.run(argv, env=environment, cwd=job.folder, check=True, capture_output=True)


def _script(job: Job) -> Command:
    return [sys.executable, str(_HERE / "script.py"), job.url, *job.days, str(job.folder / "data")], job.environment


def _alone(job: Job) -> Command:
    from rocket_assets.defs.assets import IMAGES_PER_RUN, LAUNCHES_PER_RUN

    runs = [str(LAUNCHES_PER_RUN), str(IMAGES_PER_RUN)]
    return [sys.executable, str(_HERE / "alone.py"), *job.days, *runs], _dagster(job)


def _pictures(job: Job) -> Command:
    argv = [sys.executable, str(_HERE / "pictures.py"), job.url, *job.days, str(job.folder / "data")]
    return argv, job.environment


def _list_addresses(job: Job) -> None:
    (data := job.folder / "data").mkdir()
    server = job.url.partition("/2.3.0/")[0]
    lines = [
        line
        for name in history.pictures_of(job.start, job.end)
        for line in (f'url = "{server}/media/images/{name}"', f'output = "{data / name}"')
    ]
    (job.folder / "addresses.txt").write_text("\n".join(lines))


def _curl(job: Job) -> Command:
    options = ["--parallel", "--parallel-max", "16", "--fail", "--silent", "--config", "addresses.txt"]
    return ["curl", *options], job.environment


def _airflow(job: Job) -> Command:
    return airflow.command(job.folder, job.url, job.start, job.end)


BOTH = "launches,launch_images"

CONTENDERS = {
    "ours": Contender(_ours(BOTH)),
    "all": Contender(_ours(None)),
    "script": Contender(_script),
    "alone": Contender(_alone),
    "pictures-command": Contender(_ours("launch_images"), _bring_launches),
    "pictures": Contender(_pictures, _bring_launches),
    "curl": Contender(_curl, _list_addresses),
    "airflow": Contender(_airflow, part=True),
}
"""By their names on the command line."""


def absent() -> dict[str, str]:
    """Those that cannot be run here, and what installs them."""
    found = {
        "curl": None if shutil.which("curl") else "it is a package of the system",
        "airflow": None if airflow.is_installed() else "`make bench-airflow` installs it",
    }
    return {name: advice for name, advice in found.items() if advice}
