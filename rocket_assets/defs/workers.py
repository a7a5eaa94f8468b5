"""Runs on several machines: who gives them to Celery's workers and sees whether they live, and a worker.

`deploy/compose/dagster.yaml` names the launcher. A worker is

    python -m rocket_assets.defs.workers --concurrency 3

with the options of `celery worker`. It takes its settings from the launcher of the instance, so that they stand in one
place. Dagster's own command for it, `dagster-celery worker start`, leaves the broker's address with its password in a
file at each start, and lets no signal reach Celery where that is what ends a container.
"""

import signal
import sys
from collections import Counter
from typing import Any

import dagster as dg
from celery.signals import worker_ready
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG
from dagster_celery.tasks import create_execute_job_task

from rocket_assets.defs.instance import CheckRunHealthResult, WorkerStatus

# A worker that does not answer when it is asked three times, with the pauses of Dagster's monitoring between them, is
# gone; one that has lost the broker for a moment answers again.
_ASKED, _ANSWER_SECONDS = 3, 5.0


class CheckedCeleryRunLauncher(CeleryRunLauncher):
    """Dagster's launcher on Celery, which also tells whether a run is still being worked on: it asks who took it.

    By itself it believes what a worker has left with the broker, "started", and one that dies leaves that for ever.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._unanswered = Counter[str]()

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether a worker has a run still.

        Where the broker cannot be asked, the error goes to the daemon's log and the run is left alone. Dagster looks
        once more how the run stands before it believes that it is gone, so that one that has just ended is no matter.
        """
        task_id = run.tags.get(DAGSTER_CELERY_TASK_ID_TAG)
        if task_id is None:
            # A run that was not launched by us: who started it looks after it.
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        task = self.celery.AsyncResult(task_id)
        if task.ready():
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "Its worker has ended it, and did not record how.")
        left = task.info
        worker = left.get("hostname") if isinstance(left, dict) else None
        inspect = self.celery.control.inspect([worker] if worker else None, timeout=_ANSWER_SECONDS)
        answers = inspect.query_task(task_id) or {}
        if any(task_id in tasks for tasks in answers.values()):
            self._unanswered.pop(run.run_id, None)
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        self._unanswered[run.run_id] += 1
        if worker not in answers and self._unanswered[run.run_id] < _ASKED:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        del self._unanswered[run.run_id]
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, f"The worker {worker or ''} that had it is gone.")

    def terminate(self, run_id: str) -> bool:
        """End a run that a worker has, or is to have; that of another is not ours to end.

        It is told first that somebody wants it: else it would take itself for one whose machine is going down, and be
        started again. One that was told so already, as by Dagster where it has taken longer than it may, is killed:
        what hangs is deaf, and its worker would give the next run to the same process.
        """
        run = self._instance.get_run_by_id(run_id)
        task_id = run and run.tags.get(DAGSTER_CELERY_TASK_ID_TAG)
        if run is None or run.is_finished or task_id is None:
            return False
        is_deaf = run.status == dg.DagsterRunStatus.CANCELING
        if not is_deaf:
            self._instance.report_run_canceling(run)
        self.celery.control.revoke(task_id, terminate=True, signal="SIGKILL" if is_deaf else "SIGTERM")
        return True


def main(arguments: list[str]) -> None:
    """Be a worker until told to end."""
    with dg.DagsterInstance.get() as instance:
        launcher: Any = instance.run_launcher
    create_execute_job_task(launcher.celery)
    worker_ready.connect(_ends_soon)
    launcher.celery.worker_main(["worker", "--loglevel=INFO", *arguments])


def _ends_soon(**_: object) -> None:
    """Take SIGTERM as Celery takes SIGQUIT: runs are broken off after a while, and Dagster begins them again elsewhere.

    By itself Celery would wait until they have ended, which may take hours, and meanwhile answer nobody.
    """
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGQUIT))


if __name__ == "__main__":
    main(sys.argv[1:])
