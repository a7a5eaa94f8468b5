"""What `make bench` measures is what it says: the same days, brought by all who are measured, and counted right."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
import requests

from benchmarks import history
from benchmarks.cases import CASES, GROWTH
from benchmarks.command import commit, main, run
from benchmarks.contenders import CONTENDERS, Job
from benchmarks.measure import measured
from benchmarks.report import HELD_BY, TARGETS, page
from benchmarks.results import AGAIN, Measured, Results, Run, load, save, together
from benchmarks.server import Asked, BenchmarkServer
from rocket_assets.sample_library.server import LibraryServer

START, END = date(2025, 6, 1), date(2025, 6, 2)
HERE = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    folder = tmp_path_factory.mktemp("pictures")
    for name in history.pictures_of(START, END):
        history.draw(name, folder, most_kilobytes=5)
    with BenchmarkServer(folder) as serving:
        threading.Thread(target=serving.serve_forever, args=(0.02,), daemon=True).start()
        yield Asked(serving.base_url)
        serving.shutdown()


def test_the_history_is_as_large_and_as_uneven_as_the_real_one() -> None:
    days, shown = {day for day, _ in history.plan()}, Counter(name for _, name in history.plan())
    assert (len(history.plan()), len(days), shown.pop(None), len(shown)) == (7608, 6477, 643, 691)
    assert (min(days), max(days)) == (history.FIRST, history.LAST)
    assert sum(1 for times in shown.values() if times == 1) == 428
    assert sum(times for _, times in shown.most_common(10)) / 7608 == pytest.approx(0.39, abs=0.005)


def test_a_row_of_the_history_is_as_large_as_one_of_the_api_and_shows_the_picture_of_the_plan() -> None:
    rows = history.rows("http://here")
    assert sum(len(json.dumps(row, separators=(",", ":"))) for row in rows) / len(rows) == pytest.approx(9700, rel=0.05)
    shown = Counter((row["net"][:10], row["image"] and urlsplit(row["image"]["image_url"]).path) for row in rows)
    assert shown == Counter((f"{day}", name and f"/media/images/{name}") for day, name in history.plan())


def test_its_pictures_have_the_sizes_of_real_ones_and_are_the_same_each_time(tmp_path: Path) -> None:
    names = history.picture_names()[:8]
    for name in names:
        history.draw(name, tmp_path)
    first = {name: (tmp_path / name).read_bytes() for name in names}
    assert all(75_000 <= len(body) <= 1_500_000 for body in first.values())
    history.draw(names[0], tmp_path)
    assert (tmp_path / names[0]).read_bytes() == first[names[0]]


@pytest.fixture(scope="module")
def library() -> Iterator[LibraryServer]:
    with LibraryServer(rows=history.rows) as serving:
        yield serving


@pytest.mark.parametrize(
    "query",
    [
        {"net__gte": "2024-01-01", "net__lt": "2025-01-01", "ordering": "net", "limit": "100", "offset": "200"},
        {"net__gte": "2024-01-01", "net__lt": "2025-01-01", "ordering": "net", "limit": "100", "offset": "100"},
        {"net__gte": "2024-01-01", "net__lt": "2024-01-01", "limit": "100"},
        {"mode": "normal", "net__gte": "2026-08-20", "net__lt": "2026-08-23"},
    ],
)
def test_its_server_answers_as_the_sample_library_does(
    server: Asked, library: LibraryServer, query: dict[str, str]
) -> None:
    answers = [
        requests.get(f"{url}/2.3.0/launches/", params=query, timeout=10).text.replace(url, "")
        for url in (server.url, library.base_url)
    ]
    ours, theirs = (_ordered(json.loads(answer)) for answer in answers)
    assert ours == theirs


def _ordered(answer: dict[str, Any]) -> dict[str, Any]:
    """The order of what stands in an address is no matter."""
    links = {name: answer[name] and sorted(answer[name].partition("?")[2].split("&")) for name in ("next", "previous")}
    return answer | links


def test_its_server_counts_what_it_is_asked_and_knows_what_is_unchanged(server: Asked) -> None:
    (name, *_) = history.pictures_of(START, END)
    address = f"{server.url}/media/images/{name}"
    server.reset()
    first = requests.get(address, timeout=10)
    again = requests.get(address, headers={"If-None-Match": first.headers["ETag"]}, timeout=10)
    asked = requests.get(f"{server.url}/2.3.0/launches/", timeout=10)
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
    counts = server.counts()
    assert counts.pop("server_cpu") >= 0
    assert counts == {
        "api_requests": 1,
        "api_bytes": len(asked.content),
        "picture_requests": 1,
        "picture_bytes": len(first.content),
        "unchanged_pictures": 1,
    }


@pytest.fixture(scope="module")
def brought(server: Asked, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Run, Path]]:
    """What each contender took for two days, and where they are."""
    came = dict[str, tuple[Run, Path]]()
    for who in ("ours", "script", "alone"):
        job = Job(tmp_path_factory.mktemp(who), f"{server.url}/2.3.0/", START, END)
        came[who] = run(CONTENDERS[who], job, server), job.folder
    return came


def test_the_script_brings_what_we_bring(brought: dict[str, tuple[Run, Path]]) -> None:
    (ours, our_folder), (script, its_folder) = brought["ours"], brought["script"]
    for name in ("api_requests", "api_bytes", "picture_requests", "picture_bytes"):
        assert ours[name] == script[name] > 0, name
    assert ours["picture_requests"] == len(history.pictures_of(START, END))
    assert _brought(our_folder / "data") == _brought(its_folder / "data")


def _brought(data: Path) -> dict[str, Any]:
    """The launches of each day, and which picture lies beside which of them."""
    launches = {path.name: json.loads(path.read_bytes())["results"] for path in data.glob("launches/*/*.json")}
    manifests = {path.parent.name: json.loads(path.read_bytes())["entries"] for path in data.glob("images/*/*/*.json")}
    shown = {
        day: [
            (entry["launch_id"], entry["file"], (data / f"images/2025/{day}/{entry['file']}").stat().st_size)
            for entry in of
        ]
        for day, of in manifests.items()
    }
    assert sum(map(len, shown.values())) > 1
    return launches | shown


def test_dagster_alone_records_the_same_days_in_the_same_runs_and_asks_nobody(
    brought: dict[str, tuple[Run, Path]],
) -> None:
    (ours, _), (alone, folder) = brought["ours"], brought["alone"]
    assert (alone["api_requests"], alone["picture_requests"], alone["files_written"]) == (0, 0, 0)
    assert alone["runs"] == ours["runs"] == 2
    assert 0 < alone["event_log_bytes"] < ours["event_log_bytes"]
    assert (folder / "dagster/dagster.yaml").read_text() == (HERE.parent / "dagster.yaml").read_text()


def test_what_is_stored_is_counted_once_and_what_is_written_again_is_seen(
    server: Asked, brought: dict[str, tuple[Run, Path]]
) -> None:
    ours, folder = brought["ours"]
    files = [path for path in (folder / "data").rglob("*") if path.is_file()]
    assert ours["files_written"] == len(files)
    assert ours["stored_bytes"] < sum(path.stat().st_size for path in files)
    job = Job(folder, f"{server.url}/2.3.0/", START, END)
    again = run(CONTENDERS["script"], job, server)
    assert 0 < again["files_written"] <= len(files)


def test_a_process_and_what_it_starts_count_together(tmp_path: Path) -> None:
    grow = "import time; held = bytearray(60_000_000)\nwhile time.process_time() < 0.5: pass"
    both = f"import subprocess, sys; one = subprocess.Popen([sys.executable, '-c', {grow!r}])\n{grow}\none.wait()"
    cost = measured([sys.executable, "-c", both], {}, tmp_path)
    assert cost.processes == 2
    assert 0.8 <= cost.cpu < 2
    assert 120 < cost.megabytes < 200
    assert cost.wall >= 0.4


def test_a_command_that_fails_is_no_result(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="ended with 3:\nno room"):
        measured(["sh", "-c", "echo no room; exit 3"], {"PATH": "/usr/bin:/bin"}, tmp_path)


def test_every_case_names_contenders_that_there_are() -> None:
    assert {who for case in CASES.values() for who in case.contenders} == set(CONTENDERS)


def test_the_page_is_what_was_measured() -> None:
    assert (HERE / "RESULTS.md").read_text() == page(load(HERE / "results.json"), _notes())


def _notes() -> str:
    notes = HERE / "notes.md"
    return notes.read_text() if notes.exists() else ""


def test_the_test_that_the_page_names_exists() -> None:
    assert f"def {HELD_BY}(" in Path(__file__).with_name("test_bucket.py").read_text()


def came(case: str, contender: str, *walls: float, **of: Any) -> Measured:
    """Runs that took so many seconds."""
    run = dict.fromkeys(
        ("api_requests", "api_bytes", "picture_bytes", "picture_requests", "files_written", "stored_bytes"), 7.0
    ) | {"unchanged_pictures": 4.0, "event_log_bytes": 5e6, "runs": 3.0, "megabytes": 150.0}
    said: dict[str, Any] = {
        "latency": CASES[case].latency,
        "commit": "abc",
        "machine": {"processor": "2 cores"},
        "at": "2026-11-23T10:00:00+00:00",
    }
    return Measured(**said | of, case=case, contender=contender, runs=[run | {"wall": s, "cpu": s} for s in walls])


def year(*ours: float, **of: Any) -> Results:
    """What the first target asks for; ours with these seconds under these conditions."""
    return together([came("365", "ours", *ours, **of), came("365", "alone", 4.0), came("365", "script", 4.0)])


def test_a_target_is_held_against_the_median_of_what_was_measured() -> None:
    (target, *_) = TARGETS
    assert target.row(year(9.0, 10.0, 15.0)).endswith("| at most 1.25 | 1.25 | yes |")
    assert target.row(year(9.0, 10.8, 15.0)).endswith("| at most 1.25 | 1.35 | **no** |")
    assert target.row({}).endswith("| not measured with 50 ms before each answer | |")


def test_a_target_is_judged_at_the_latency_of_its_case_only() -> None:
    (target, *_) = TARGETS
    assert target.row(year(10.0, latency=0.0)) == target.row({})


@pytest.mark.parametrize("other", [{"commit": "def"}, {"machine": {"processor": "64 cores"}}])
def test_a_target_is_not_judged_where_its_sides_had_different_conditions(other: dict[str, Any]) -> None:
    (target, *_) = TARGETS
    assert target.row(year(10.0, **other)).endswith("| 1.25 | not judged: measured with different things |")


def test_the_page_says_of_each_line_how_often_and_with_what_it_was_measured() -> None:
    same = page(year(10.0, 10.0))
    assert "Measured with commit abc, 2 cores; 2026-11-23." in same
    assert "| `ours` | 2 | 10.00 | 10.00 | 150 | 7 | 11 |" in same
    assert "| `alone` | 1 | 4.00 |" in same
    later = page(year(10.0, commit="def", at="2026-11-25T10:00:00+00:00"))
    assert "\n- [1] commit abc, 2 cores; 2026-11-23\n- [2] commit def, 2 cores; 2026-11-25\n" in later
    assert "| `ours` [2] | 1 |" in later
    assert "| `alone` [1] | 1 |" in later


def test_what_was_measured_at_another_latency_has_a_table_of_its_own() -> None:
    said = page(together([*year(10.0).values(), came("365", "ours", 3.0, latency=0.0)]))
    tables = [part.partition("\n\n##")[0] for part in said.split("\n## 365 days")[1:]]
    assert [table.splitlines()[0] for table in tables] == [", no latency", ""]
    assert [table.count("\n| `") for table in tables] == [1, 3]


def test_the_page_names_the_commands_that_measure_it_again() -> None:
    said = page(together([came("1", "ours", 3.0, 3.0), came("1", "alone", 3.0, 3.0), came("1", "script", 3.0)]))
    assert (
        'To repeat: `make bench BENCH="--case 1 --contender ours,alone --repeat 2"` and '
        '`make bench BENCH="--case 1 --contender script --repeat 1"`.'
    ) in said
    assert "--contender ours --repeat 1 --latency 0.2" in page(together([came("1", "ours", 3.0, latency=0.2)]))


def test_what_is_kept_by_hand_stands_beneath_the_targets() -> None:
    targets, _, growth = page(together([came("growth-100", "ours", 3.0)]), "It waits.\n").partition("\n\nIt waits.\n\n")
    assert "## What was to be reached" in targets
    assert growth.startswith("## How the cost grows")


def test_the_page_shows_what_a_day_costs_from_a_hundred_days_to_the_whole_history() -> None:
    sizes = [*GROWTH, "history"]
    said = page(together(came(name, who, 10.0) for name in sizes for who in ("ours", f"ours{AGAIN}")))
    lines = [line for line in said.partition("## How the cost grows")[2].splitlines() if line.startswith("| ")][1:]
    shown = [tuple(cell.strip() for cell in line.split("|")[1:5]) for line in lines]
    days, costs = ("100", "1,000", "10,000", "25,160"), ("100", "10.0", "1.0", "0.4")
    assert shown == [
        (number, f"`{who}`", "1", cost)
        for who in ("ours", f"ours{AGAIN}")
        for number, cost in zip(days, costs, strict=True)
    ]


def test_results_of_two_folders_are_put_together_and_the_later_one_counts(tmp_path: Path) -> None:
    early, late = came("365", "ours", 9.0), came("365", "ours", 5.0, at="2026-11-24T10:00:00+00:00")
    files = [tmp_path / "one.json", tmp_path / "other.json"]
    save(together([late]), files[0])
    save(together([early, came("365", "alone", 4.0)]), files[1])
    main(["--out", str(tmp_path / "out"), "--render", *map(str, files)])
    results = load(tmp_path / "out/results.json")
    assert results == together([late, came("365", "alone", 4.0)])
    assert (tmp_path / "out/RESULTS.md").read_text() == page(results)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--case", "7"], "there is no '7'; there are 1, 14, 30, 365, history"),
        (["--contender", "ours,mine"], "there is no 'mine'; there are ours, all, script"),
        (["--repeat", "0"], "'0' is no number of times; what fits is 1 or more"),
        (["--latency", "nan"], "'nan' does not fit; what fits is a number of seconds"),
        (["--render", "nowhere.json"], "nowhere.json is no file"),
        (["--render", __file__], "does not hold what was measured"),
    ],
)
def test_wrong_use_is_said_in_a_sentence(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--out", str(tmp_path), *arguments])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


def test_the_commit_that_is_measured_is_the_last_that_changed_what_is_measured() -> None:
    assert re.fullmatch(r"[0-9a-f]{10,}( with changes [0-9a-f]{8})?|unknown", commit())


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The benchmarks in a folder of their own, with small pictures, where Airflow is not installed."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(HERE, folder / "benchmarks")
    (folder / "rocket_assets").mkdir()
    shutil.copy(HERE.parent / "dagster.yaml", folder / "rocket_assets")
    (pictures := folder / ".bench/pictures").mkdir(parents=True)
    for name in history.picture_names():
        (pictures / name).write_bytes(b"not drawn")
    case = CASES["1"]
    for name in history.pictures_of(case.start, case.end):
        history.draw(name, pictures, most_kilobytes=5)
    return folder


@contextmanager
def _started(copy: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    (temporary := copy / "tmp").mkdir(exist_ok=True)
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks", "--case", "1", *arguments],
        cwd=copy,
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def _until_it_measures(command: str, process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The processes that it started: the server, and the command that waits for its answer."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        children = psutil.Process(process.pid).children(recursive=True)
        # One that has just begun or ended has no arguments.
        with suppress(psutil.Error):
            if any(command in " ".join(child.cmdline()) for child in children):
                return children
        time.sleep(0.01)
    raise AssertionError("Nothing is measured.")


def test_what_is_measured_is_written_to_the_folder_that_was_chosen_and_nowhere_else(copy: Path) -> None:
    committed = {path: path.read_bytes() for path in (copy / "benchmarks").iterdir() if path.is_file()}
    with _started(copy, "--contender", "script", "--repeat", "2", "--latency", "0", "--out", "out") as process:
        said, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert f"What is measured is written to {copy / 'out'}" in said
    ((key, measured),) = load(copy / "out/results.json").items()
    assert key == ("1", 0.0, "script")
    assert [run["picture_requests"] for run in measured.runs] == [1, 1]
    assert "| `script` | 2 |" in (copy / "out/RESULTS.md").read_text()
    assert {path: path.read_bytes() for path in (copy / "benchmarks").iterdir() if path.is_file()} == committed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_ends_it_ends_all_that_it_started(copy: Path, number: signal.Signals) -> None:
    with _started(copy, "--contender", "script", "--latency", "30", "--out", "ended") as process:
        children = _until_it_measures("script.py", process)
        assert len(children) == 2
        # A terminal tells it to all that belongs to a command, another process to the one that it names.
        (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert errors == "Broken off; what was measured to its end is written down.\n"
    assert psutil.wait_procs(children, timeout=5)[1] == []
    assert list((copy / "tmp").iterdir()) == []


def test_ctrl_c_at_the_very_start_is_answered_with_a_sentence(tmp_path: Path) -> None:
    (door := tmp_path / "benchmarks").mkdir()
    shutil.copy(HERE / "__main__.py", door)
    # What takes its time to be imported.
    (door / "command.py").write_text("import time\nprint('begins', flush=True)\ntime.sleep(30)\n")
    with _started(tmp_path) as process:
        assert process.stdout
        assert process.stdout.readline() == "begins\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == "Broken off; what was measured to its end is written down.\n"


def test_who_is_not_installed_is_named_and_with_what_installs_it(copy: Path) -> None:
    with _started(copy, "--latency", "30", "--out", "ended") as process:
        assert process.stderr
        said = process.stderr.readline()
        assert said == "Without airflow, which is not installed; `make bench-airflow` installs it.\n"
        _until_it_measures("rocket-assets backfill", process)
    with _started(copy, "--contender", "airflow", "--out", "ended") as process:
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    assert errors.endswith("error: airflow is not installed; `make bench-airflow` installs it\n")
