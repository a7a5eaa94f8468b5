"""A run lives as long as its pod, and one that has none as long as who started it."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import pytest
import yaml
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.job import construct_dagster_k8s_job

from rocket_assets.defs.pods import CheckedK8sRunLauncher

VALUES = yaml.safe_load((Path(__file__).parents[2] / "deploy/kubernetes/values.yaml").read_text())
NAMED = VALUES["runLauncher"]["config"]["customRunLauncher"]


class Cluster(ThreadingHTTPServer):
    """As much of the API of Kubernetes as tells of Jobs and deletes them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.jobs = dict[str, dict[str, int]]()
        """The state of each, by its path."""

        self.refuses = 0
        """The status with which it refuses whatever it is asked, if any."""

        self.deleted = list[str]()

    def job(self, run: dg.DagsterRun) -> str:
        """The path of a run's Job."""
        return f"/apis/batch/v1/namespaces/{NAMED['config']['job_namespace']}/jobs/dagster-run-{run.run_id}"


class _Handler(BaseHTTPRequestHandler):
    server: Cluster  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        """How a Job fares; its pods have gone with it."""
        if self.server.refuses:
            self._answer(self.server.refuses, {"kind": "Status"})
            return
        if "/pods" in self.path:
            self._answer(200, {"kind": "PodList", "items": []})
            return
        state = self.server.jobs.get(self.path.removesuffix("/status"))
        self._answer(404 if state is None else 200, {"kind": "Job", "status": state})

    def do_DELETE(self) -> None:
        """A Job is deleted."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.deleted.append(self.path.partition("?")[0])
        self._answer(200, {"kind": "Status"})

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def _answer(self, status: int, told: Any) -> None:
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def instance(cluster: Cluster, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance with the launcher of the values, but for where the cluster is."""
    (config := tmp_path / "kubeconfig").write_text(
        yaml.safe_dump(
            {
                "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{cluster.server_port}"}}],
                "users": [{"name": "u", "user": {}}],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "c",
            }
        )
    )
    elsewhere = {"load_incluster_config": False, "kubeconfig_file": str(config)}
    launcher = NAMED | {"config": NAMED["config"] | elsewhere}
    with dg.instance_for_test(overrides={"run_launcher": launcher}) as made:
        yield made


def _launched(instance: dg.DagsterInstance) -> dg.DagsterRun:
    """A run that Dagster gave to its launcher, and that has begun."""
    run = instance.add_run(dg.DagsterRun("bring_launches", str(uuid4()), status=dg.DagsterRunStatus.STARTED))
    begins = dg.DagsterEvent(dg.DagsterEventType.RUN_STARTING.value, run.job_name)
    instance.report_dagster_event(begins, run.run_id)
    instance.report_dagster_event(dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, run.job_name), run.run_id)
    begun = instance.get_run_by_id(run.run_id)
    assert begun
    assert begun.status == dg.DagsterRunStatus.STARTED
    return begun


def _health(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    return instance.run_launcher.check_run_worker_health(run).status.value


def test_a_run_that_a_command_started_in_its_own_process_is_left_to_it(
    instance: dg.DagsterInstance, cluster: Cluster
) -> None:
    """While it goes on, as Dagster's monitoring would ask and somebody would end it."""
    told = list[Any]()

    @dg.op
    def look(context: dg.OpExecutionContext) -> None:
        run = context.instance.get_run_by_id(context.run_id)
        assert run
        told.append((run.status.value, _health(context.instance, run)))
        told.append(context.instance.run_launcher.terminate(context.run_id))
        told.append(context.instance.get_run_by_id(context.run_id) == run)

    @dg.job
    def command() -> None:
        look()

    done = command.execute_in_process(instance=instance)
    assert done.success
    assert told == [("STARTED", "RUNNING"), False, True]
    assert cluster.deleted == []


def test_a_run_is_alive_while_its_pod_is(instance: dg.DagsterInstance, cluster: Cluster) -> None:
    run = _launched(instance)
    cluster.jobs[cluster.job(run)] = {"active": 1}
    assert _health(instance, run) == "RUNNING"


@pytest.mark.parametrize("state", [{"failed": 1}, {"succeeded": 1}, None])
def test_a_run_whose_pod_has_ended_or_is_gone_is_dead(
    instance: dg.DagsterInstance, cluster: Cluster, state: dict[str, int] | None
) -> None:
    run = _launched(instance)
    if state:
        cluster.jobs[cluster.job(run)] = state
    assert _health(instance, run) == ("FAILED" if state else "NOT_FOUND")


@pytest.mark.parametrize("silence", [403, 429, "nobody listens"])
def test_where_the_cluster_cannot_be_asked_nothing_is_said_of_a_run(
    instance: dg.DagsterInstance, cluster: Cluster, silence: int | str
) -> None:
    """As while its control plane is renewed: the pod goes on, and the run must not be begun again beside it."""
    run = _launched(instance)
    if isinstance(silence, int):
        cluster.refuses = silence
    else:
        cluster.socket.close()
    with pytest.raises(ConnectionError, match=run.run_id):
        _health(instance, run)


def test_a_run_is_ended_by_its_pod(instance: dg.DagsterInstance, cluster: Cluster) -> None:
    run = _launched(instance)
    cluster.jobs[cluster.job(run)] = {"active": 1}
    assert instance.run_launcher.terminate(run.run_id)
    assert cluster.deleted == [cluster.job(run)]


def test_the_pod_of_a_run_has_the_rights_and_the_room_of_the_code_location(instance: dg.DagsterInstance) -> None:
    """Of the second the chart tells Dagster with the settings, of the first it does not."""
    launcher = instance.run_launcher
    assert isinstance(launcher, CheckedK8sRunLauncher)
    (code,) = VALUES["dagster-user-deployments"]["deployments"]
    told = K8sContainerContext.create_from_config({"k8s": {"resources": code["resources"]}})
    context = launcher.get_container_context_for_run(_launched(instance)).merge(told)
    job = construct_dagster_k8s_job(
        context.get_k8s_job_config("rocket-assets", launcher),
        args=[],
        job_name="run",
        user_defined_k8s_config=context.run_k8s_config,
    ).to_dict()
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert (_said(pod["security_context"]), _said(container["security_context"])) == (
        {
            "run_as_non_root": True,
            "run_as_user": 10001,
            "fs_group": 10001,
            "seccomp_profile": {"type": "RuntimeDefault"},
        },
        {"allow_privilege_escalation": False, "capabilities": {"drop": ["ALL"]}},
    )
    assert _said(container["resources"]) == code["resources"]
    assert job["spec"]["ttl_seconds_after_finished"] == 3600


def _said(part: Any) -> Any:
    """What an object of Kubernetes says, without what it leaves open."""
    return {name: _said(value) for name, value in part.items() if value is not None} if isinstance(part, dict) else part


def test_the_launcher_is_the_one_that_the_values_name_and_can_tell_the_dead(instance: dg.DagsterInstance) -> None:
    assert VALUES["runLauncher"]["type"] == "CustomRunLauncher"
    assert isinstance(instance.run_launcher, CheckedK8sRunLauncher)
    assert instance.run_launcher.supports_check_run_worker_health
