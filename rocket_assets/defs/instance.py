"""The parts of the Dagster instance that are ours: `dagster.yaml` names them.

**Logs.** A tick that starts runs can tell a person why by its log alone. The ticks of Dagster's own sensor would leave
a file each half minute, and nothing of ours prints in a run: to capture the output of each step all the same would take
four more processes a run, which answer Ctrl-C with tracebacks.

**Runs.** Where everything is killed at once, as when the power fails, a run stays "started", and with it what it holds
of the pool and its days. Dagster's monitoring ends such runs and has them tried again, if the launcher can tell which
of them are dead; Dagster's own launcher cannot.

**The turn.** The slot of a pool is given twice where two runs ask for it at the same moment: Dagster looks for a free
slot and takes it in two steps, and also on PostgreSQL the lock of the first ends before the second. Of four processes
that asked at once, two or three got it in a quarter of the cases. Where PostgreSQL has the records, it says whose turn
it is.

**The slot that is lost.** In the same way, a step that looks for a slot while another has it, and queues up when that
one has just given it back, is told of nothing: it waits beside a free slot until another gives one back, which may be
never, because Dagster's queue holds back the runs that could. So each run looks for itself whether one is free.
"""

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import dagster as dg

# The one place that imports from the private parts of Dagster: it lets one write a log manager and a run launcher, and
# exports by no public name the base of the first, what its capture yields, how the second says that a run fares, the
# question that it asks a code server, and whose records are in a database, with what these say of the slots of a pool.
# The tests of this module fail when one of them changes.
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.storage.compute_log_manager import CapturedLogContext
from dagster._core.storage.event_log import SqlEventLogStorage
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._grpc.types import CanCancelExecutionRequest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

LOOKS = "launch_library_changes"
"""The sensor whose logs are kept."""

POOL = "launch_library"
"""Has one slot, so that one run asks the API at a time; `resources` makes sure of it where Dagster does not."""

# A code server that does not listen three times in a row is gone; one that is slow to answer is busy.
_ASKED, _PAUSE_SECONDS, _ANSWER_SECONDS = 3, 1.0, 10

# A number of ours among all locks of a database; that of the first launch.
_TAKE = text("SELECT pg_try_advisory_lock(19571004)")
_GIVE_BACK = text("SELECT pg_advisory_unlock(19571004)")
_TURN_PAUSE_SECONDS = 0.1

# Settings of the server for one connection, as far as it knows them.
_SET = text("SELECT set_config(name, value, false) FROM pg_settings JOIN json_each_text(:settings) ON key = name")
# A machine whose power or network is gone says no goodbye. It is asked after half a minute whether it is there, and
# given up after another one; by itself, the server would do so after more than two hours.
_KEEPALIVES = {"tcp_keepalives_idle": "30", "tcp_keepalives_interval": "10", "tcp_keepalives_count": "3"}


class TickLogManager(LocalComputeLogManager):
    """Keeps the logs of one sensor's ticks in files, in the Dagster home."""

    def __init__(self, inst_data: Any = None) -> None:
        super().__init__(base_dir="", inst_data=inst_data)

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """There is nothing to be said in dagster.yaml."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Mapping[str, Any]) -> Self:
        """What Dagster makes of the lines in dagster.yaml."""
        return cls(inst_data)

    def register_instance(self, instance: dg.DagsterInstance) -> None:
        """Take the home that the instance has, which is a passing one where DAGSTER_HOME is not set."""
        super().register_instance(instance)
        # Where Dagster has logs by itself; `deploy/compose` shares this folder between the processes.
        self._base_dir = str(Path(instance.root_directory) / "storage")

    @contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Iterator[CapturedLogContext]:
        """Leave the output of a step where it goes."""
        yield CapturedLogContext(log_key)

    @contextmanager
    def open_log_stream(self, log_key: Sequence[str], io_type: object) -> Iterator[Any]:
        """Where a tick writes its log; there is a file only if it writes."""
        kept = LOOKS in log_key
        yield _OnFirstWrite(Path(self.get_captured_local_path(log_key, "err"))) if kept else None


class _OnFirstWrite:
    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, text: str) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(text)

    def flush(self) -> None:
        """Nothing is held back."""


class CheckedRunLauncher(dg.DefaultRunLauncher):
    """Dagster's own launcher, which also tells whether a run is still being worked on: it asks who was to do so."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """That it does."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the code server that started a run has it still; where that cannot be told, the run is left alone."""
        client = self._get_grpc_client_for_termination(run.run_id)
        if client is None:
            # A run that was not launched by us: who started it looks after it.
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        question = CanCancelExecutionRequest(run_id=run.run_id)
        for _ in range(_ASKED):
            try:
                answer = client.can_cancel_execution(question, timeout=_ANSWER_SECONDS)
            except dg.DagsterError as error:
                if "UNAVAILABLE" not in str(error):
                    return CheckRunHealthResult(WorkerStatus.RUNNING)
                time.sleep(_PAUSE_SECONDS)
                continue
            reply: Any = dg.deserialize_value(answer)
            if reply.can_cancel:
                return CheckRunHealthResult(WorkerStatus.RUNNING)
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "The code server does not know this run any more.")
        return CheckRunHealthResult(WorkerStatus.FAILED, "The code server that ran it is gone, and the run with it.")


def turn_in_database(
    instance: dg.DagsterInstance, seconds: float = -1, *, lasts: float = 1800, patience: float = 30
) -> AbstractContextManager[object] | None:
    """What one client holds at a time, of all whose records are in the same PostgreSQL; None where they are not.

    Who waits longer than so many `seconds`, if any are named, gets a TimeoutError; who waits longer than its `patience`
    says so in the log. The turn is taken away from one that has it longer than it `lasts`, because it hangs: the server
    sees to that, from PostgreSQL 14 on.
    """
    log = instance.event_log_storage
    if not isinstance(log, SqlEventLogStorage):
        return None
    with log.index_connection() as connection:
        is_postgres = connection.dialect.name == "postgresql"
    return _DatabaseTurn(log, seconds, lasts, patience) if is_postgres else None


class _DatabaseTurn(AbstractContextManager[object]):
    """A lock that ends with the connection that holds it, and so with its process and its machine."""

    def __init__(self, log: SqlEventLogStorage, seconds: float, lasts: float, patience: float) -> None:
        self._log = log
        self._seconds = seconds
        self._patience = patience
        self._settings = json.dumps({**_KEEPALIVES, "idle_session_timeout": f"{lasts * 1000:.0f}ms"})
        self._held = ExitStack()

    def __enter__(self) -> None:
        with ExitStack() as stack:
            connection = stack.enter_context(self._log.index_connection())
            connection.execute(_SET, {"settings": self._settings})
            begun, has_said = time.monotonic(), False
            # Not by waiting in the database: there a process is deaf to who ends it.
            while not connection.scalar(_TAKE):
                waited = time.monotonic() - begun
                if 0 <= self._seconds < waited:
                    raise TimeoutError(f"Another has had the turn for {self._seconds:g} seconds.")
                if waited > self._patience and not has_said:
                    has_said = True
                    dg.get_dagster_logger().info(
                        f"Another has had the turn to ask the Launch Library for {waited:.0f} seconds; still waiting."
                    )
                time.sleep(_TURN_PAUSE_SECONDS)
            stack.callback(_give_back, connection)
            self._held = stack.pop_all()

    def __exit__(self, *_: object) -> None:
        self._held.close()


def _give_back(connection: Connection) -> None:
    """End the turn, also where the connection does not end, as behind a pooler."""
    try:
        connection.execute(_GIVE_BACK)
    except DBAPIError:
        dg.get_dagster_logger().warning(
            "The connection to PostgreSQL ended while the Launch Library was asked: another may have asked meanwhile."
        )


@contextmanager
def giving_lost_slots(instance: dg.DagsterInstance, every: float = 5.0) -> Iterator[None]:
    """While this lasts, the pool's slot is given to the step that waits longest, if it is free and promised to nobody.

    That is looked at every so many seconds.

    What Dagster or the look of another run does in the very same moment may give it to one more: that one waits until
    it is free again.
    """
    log = instance.event_log_storage
    if instance.is_ephemeral or not isinstance(log, SqlEventLogStorage):
        # It has one process, and no run beside another.
        yield
        return
    over = threading.Event()

    def look() -> None:
        while not over.wait(every):
            # Records that cannot be read now are looked at again soon; the step to which they matter says so itself.
            with suppress(Exception):
                if log.has_unassigned_slots(POOL):
                    log.assign_pending_steps([POOL])

    watch = threading.Thread(target=look, name="lost slots", daemon=True)
    watch.start()
    try:
        yield
    finally:
        over.set()
        # Not for ever: where a database keeps silent, it may look once more after the end, which harms nothing.
        watch.join(10)
