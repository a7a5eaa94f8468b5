"""Runs on Kubernetes, each in a pod of its own: who gives them to the cluster and sees whether they live.

`deploy/kubernetes/values.yaml` names the launcher.
"""

import dagster as dg
from dagster_k8s import K8sRunLauncher

from rocket_assets.defs.instance import CheckRunHealthResult, WorkerStatus


class CheckedK8sRunLauncher(K8sRunLauncher):
    """Dagster's launcher on Kubernetes, which leaves alone what it did not launch: the runs of our commands.

    By itself it looks for the pod of such a run, finds none, and has the run taken for dead while it goes on.
    """

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether a run has its pod still; who started a run that was not launched looks after it."""
        if self._was_launched(run.run_id):
            return super().check_run_worker_health(run)
        return CheckRunHealthResult(WorkerStatus.RUNNING)

    def terminate(self, run_id: str) -> bool:
        """End a run by its pod; that of another is not ours to end."""
        return self._was_launched(run_id) and bool(super().terminate(run_id))

    def _was_launched(self, run_id: str) -> bool:
        return self._instance.get_run_stats(run_id).launch_time is not None
