"""Runs on Kubernetes, each in a pod of its own: who gives them to the cluster and sees whether they live.

`deploy/kubernetes/values.yaml` names the launcher.
"""

import dagster as dg
from dagster_k8s import K8sRunLauncher

from rocket_assets.defs.instance import CheckRunHealthResult, WorkerStatus

_NOT_FOUND = "could not be found"
"""So ends what the launcher says of a Job that there is not, which it tells apart by nothing else."""


class CheckedK8sRunLauncher(K8sRunLauncher):
    """Dagster's launcher on Kubernetes, which has only those runs taken for dead that are.

    By itself it looks for the pod of a run that it did not launch, as one of our commands, and finds none; and where
    the cluster does not answer, as while its control plane is renewed, it knows of no pod at all.
    """

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether a run has its pod still; who started a run that was not launched looks after it.

        Raises:
            ConnectionError: the cluster cannot be asked; it goes to the daemon's log, and the run is left alone.
        """
        if not self._was_launched(run.run_id):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        health = super().check_run_worker_health(run)
        if health.status != WorkerStatus.UNKNOWN:
            return health
        if str(health.msg).endswith(_NOT_FOUND):
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, health.msg)
        raise ConnectionError(f"Kubernetes does not say how run {run.run_id} fares, and is asked again: {health.msg}")

    def terminate(self, run_id: str) -> bool:
        """End a run by its pod; that of another is not ours to end."""
        return self._was_launched(run_id) and bool(super().terminate(run_id))

    def _was_launched(self, run_id: str) -> bool:
        return self._instance.get_run_stats(run_id).launch_time is not None
