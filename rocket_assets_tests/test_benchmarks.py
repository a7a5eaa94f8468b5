"""What `make bench` measures is what it says: the same days, brought by all who are measured, and counted right."""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from benchmarks import history
from benchmarks.__main__ import Run, run
from benchmarks.cases import CASES
from benchmarks.contenders import CONTENDERS, Job
from benchmarks.measure import measured
from benchmarks.report import TARGETS, load, page
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
    assert {who for case in CASES.values() for who in case.contenders} == {*CONTENDERS, "airflow"}


def test_the_page_is_what_was_measured() -> None:
    assert (HERE / "RESULTS.md").read_text() == page(load())


def test_a_target_is_held_against_what_was_measured() -> None:
    def results(cpu: float) -> Any:
        runs = [{"cpu": each, "wall": each} for each in (cpu - 1, cpu, cpu + 5)]
        return {"365": {who: {"runs": runs if who == "ours" else [{"cpu": 4.0, "wall": 4.0}]} for who in CONTENDERS}}

    (target, *_) = TARGETS
    assert target.row(results(10.0)).endswith("| at most 1.25 | 1.25 | yes |")
    assert target.row(results(10.8)).endswith("| at most 1.25 | 1.35 | **no** |")
    assert target.row({}).endswith("| not measured here | |")
