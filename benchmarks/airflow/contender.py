"""The classic pipeline on Apache Airflow, as a contender of the benchmark.

`make bench-airflow` installs the current Airflow, in the versions of requirements.txt and in a folder of its own. It
is measured as it comes, and where there was a choice, it is what does not hold it up:

- The days are asked for as one would by hand, with `airflow backfill create`, and with its own settings of how much
  goes on at once: ten runs, 32 workers. This command pays for its start, as ours does.
- The executor is that of the quick start, LocalExecutor. The database is PostgreSQL, which Airflow asks for in
  earnest: with the SQLite of the quick start it takes an eighth less CPU, but two of six backfills of 14 and 60 days
  broke off because "database is locked", when scheduler and command wrote at the same time.
- Of the four components that the quick start runs, the triggerer is left out, for this pipeline does not need it, and
  so are the examples and the server of task logs. Scheduler, API server and parser of DAG files are needed.
- What a person does once is not measured: making the database, starting the components, making the DAG known. What
  they use while the days are brought is, down to the last task.

Measured from one to the other of two lines on standard output, `measure from here` and `measure to here`, see
backfill.py. What a run leaves: `data/launches.json`, `data/images/`; and in `airflow/` its records: `postgres/` and
`logs/`.
"""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

_HERE = Path(__file__).parent
_VENV = _HERE.parents[1] / ".bench/airflow/venv"


def is_installed() -> bool:
    """Whether Airflow is there, and not only half of it."""
    return (_VENV / "installed").exists()


def command(folder: Path, url: str, start: date, end: date) -> tuple[list[str], dict[str, str]]:
    """The command that brings these days, and all of its environment.

    Args:
        folder: a new folder, the only place that is written to.
        url: the address of the API, with a slash at the end.
        start: the first day.
        end: the last day.
    """
    environment = {
        "PATH": os.environ["PATH"],  # for the tasks that are a line of shell, with curl
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(_HERE / "dags"),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONDONTWRITEBYTECODE": "1",  # so that nothing is left beside the DAG; Airflow was compiled when installed
        "CLASSIC_URL": url,
        "CLASSIC_FOLDER": str(folder / "data"),
        "CLASSIC_FIRST": start.isoformat(),
        "CLASSIC_LAST": end.isoformat(),
    }
    return [str(_VENV / "bin/python"), str(_HERE / "backfill.py")], environment
