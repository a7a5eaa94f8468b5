"""What materializing does: a day alone, a range, a failure, a repetition; as Dagster records it and as it is stored."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import dagster as dg
import pytest

from rocket_assets.launches import data_version
from rocket_assets.months import read_month
from rocket_assets.sample_library.pictures import draw
from rocket_assets.sample_library.server import LibraryServer
from rocket_assets.storage import Storage, launches_key, manifest_key
from rocket_assets_tests.project import BOTH, Project, failure_of, number, tree
from rocket_assets_tests.scripted_server import JSON, Answer, Request, ScriptedServer

DATA_VERSION = "dagster/data_version"


def test_one_day_runs_both_assets_and_all_checks_in_one_run(project: Project) -> None:
    result = project.bring("2024-12-05")
    assert result.success
    assert [event.asset_key for event in result.get_asset_materialization_events()] == [dg.AssetKey(a) for a in BOTH]
    evaluations = result.get_asset_check_evaluations()
    assert len(evaluations) == 5
    assert all(evaluation.passed for evaluation in evaluations)
    assert len(project.archive.read_launches(date(2024, 12, 5))) == 5
    assert len([entry for entry in project.archive.read_manifest(date(2024, 12, 5)).entries if entry.file]) == 5


@pytest.mark.parametrize("asset", BOTH)
def test_each_day_of_a_range_is_recorded_once_with_its_own_metadata_and_data_version(
    project: Project, asset: str
) -> None:
    assert all(result.success for result in project.bring_both("2024-12-01", "2024-12-14"))
    recorded = project.recorded(asset)
    assert sorted(recorded) == [f"2024-12-{day:02}" for day in range(1, 15)]
    assert project.records(asset) == 14
    counts = {day: number(event, "launches") for day, event in recorded.items()}
    assert {day: n for day, n in counts.items() if n} == {
        "2024-12-03": 1,
        "2024-12-04": 3,
        "2024-12-05": 5,
        "2024-12-06": 1,
        "2024-12-08": 1,
        "2024-12-12": 1,
        "2024-12-13": 1,
        "2024-12-14": 1,
    }
    versions = {day: (event.tags or {})[DATA_VERSION] for day, event in recorded.items()}
    empty = {version for day, version in versions.items() if not counts[day]}
    full = [version for day, version in versions.items() if counts[day]]
    assert len(empty) == 1
    assert len(set(full)) == len(full) == 8
    assert empty.isdisjoint(full)


def test_a_day_alone_and_the_same_day_in_a_range_have_the_same_data_version(project: Project) -> None:
    project.bring("2024-12-05")
    alone = {asset: (project.recorded(asset)["2024-12-05"].tags or {})[DATA_VERSION] for asset in BOTH}
    project.bring_both("2024-12-04", "2024-12-06")
    in_range = {asset: (project.recorded(asset)["2024-12-05"].tags or {})[DATA_VERSION] for asset in BOTH}
    assert alone == in_range
    assert alone["launches"] == data_version(project.archive.read_launches(date(2024, 12, 5)))


def test_a_range_and_its_days_alone_give_the_same_bytes(
    project: Project, sample_library: LibraryServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    project.bring_both("2024-12-03", "2024-12-06")
    alone = Project(sample_library.url, Storage(str(tmp_path_factory.mktemp("alone"))), project.instance)
    for day in range(3, 7):
        assert alone.bring(f"2024-12-{day:02}").success
    assert tree(project.storage.uri) == tree(alone.storage.uri)


def test_a_range_costs_one_request_for_each_hundred_launches(project: Project, sample_library: LibraryServer) -> None:
    project.bring("2024-12-01", "2024-12-14", ["launches"])
    assert len(sample_library.api_requests) == 1
    recorded = project.recorded("launches")
    assert sum(number(event, "api_requests") for event in recorded.values()) == 1


def test_what_the_run_brought_over_the_network_adds_up(project: Project, sample_library: LibraryServer) -> None:
    project.bring_both("2024-12-01", "2024-12-14")
    first = project.recorded("launch_images")
    project.bring_both("2024-12-01", "2024-12-14")
    second = project.recorded("launch_images")
    manifests = [project.archive.read_manifest(date(2024, 12, day)) for day in range(1, 15)]
    pictures = [entry.picture for manifest in manifests for entry in manifest.entries if entry.picture]
    in_pool = {picture.sha256: picture.bytes for picture in pictures}
    shown = sum(picture.bytes for picture in pictures)
    assert sum(number(event, "bytes_fetched") for event in first.values()) == sum(in_pool.values())
    assert sum(number(event, "bytes_kept") for event in first.values()) == shown - sum(in_pool.values())
    assert sum(number(event, "bytes_fetched") for event in second.values()) == 0
    assert sum(number(event, "bytes_kept") for event in second.values()) == shown
    assert [request.status for request in sample_library.picture_requests].count(200) == len(in_pool)


def test_bringing_days_twice_changes_no_byte_and_no_data_version(project: Project) -> None:
    project.bring_both("2024-12-01", "2024-12-14")
    stored, versions = tree(project.storage.uri), {a: project.recorded(a) for a in BOTH}
    project.bring_both("2024-12-01", "2024-12-14")
    assert tree(project.storage.uri) == stored
    for asset in BOTH:
        again = project.recorded(asset)
        assert {day: event.tags for day, event in again.items()} == {
            day: event.tags for day, event in versions[asset].items()
        }


def test_an_empty_day_is_green_and_says_so(project: Project) -> None:
    assert project.bring("2024-12-01").success
    assert number(project.recorded("launches")["2024-12-01"], "launches") == 0
    assert number(project.recorded("launch_images")["2024-12-01"], "pictures") == 0
    assert json.loads(project.storage.read(launches_key(date(2024, 12, 1))))["results"] == []


def test_an_api_that_is_not_there_fails_the_run_and_leaves_what_is_stored(project: Project) -> None:
    project.bring("2024-12-05")
    stored = tree(project.storage.uri)
    unplugged = Project("http://127.0.0.1:9/2.3.0/", project.storage, project.instance)
    result = unplugged.bring("2024-12-05")
    assert not result.success
    assert "ROCKET_ASSETS_API_URL" in failure_of(result)
    assert tree(project.storage.uri) == stored
    assert project.records("launches") == 1


def test_a_day_whose_launches_are_missing_fails_alone_and_says_what_to_do(project: Project) -> None:
    project.bring("2024-12-03", "2024-12-03", ["launches"])
    project.bring("2024-12-05", "2024-12-05", ["launches"])
    result = project.bring("2024-12-03", "2024-12-05", ["launch_images"])
    assert not result.success
    assert sorted(project.recorded("launch_images")) == ["2024-12-03", "2024-12-05"]
    assert "1 of 3 days failed" in failure_of(result)
    assert "The launches of 2024-12-04 are not in" in failure_of(result)


def test_a_refused_picture_is_a_warning_and_the_day_stands(storage: Storage, instance: dg.DagsterInstance) -> None:
    def script(request: Request) -> Answer:
        if request.path.startswith("/2.3.0/"):
            host = request.headers["host"]
            row = {
                "id": "id-1",
                "name": "A",
                "net": "2024-12-05T00:00:00Z",
                "image": {"image_url": f"http://{host}/a.jpg"},
            }
            return Answer(200, json.dumps({"count": 1, "next": None, "results": [row]}).encode(), JSON)
        return Answer(404, b"<html>Not found</html>", "text/html")

    with ScriptedServer(script) as server:
        project = Project(server.url("/2.3.0/"), storage, instance)
        result = project.bring("2024-12-05")
        assert result.success
        failed = [evaluation for evaluation in result.get_asset_check_evaluations() if not evaluation.passed]
        assert [(evaluation.check_name, evaluation.severity) for evaluation in failed] == [
            ("every_launch_has_its_image", dg.AssetCheckSeverity.WARN)
        ]
        assert number(project.recorded("launch_images")["2024-12-05"], "refused") == 1
    assert "404" in storage.read(manifest_key(date(2024, 12, 5))).decode()
    assert [key for key in tree(storage.uri) if "pool/" in key or key.endswith(".jpeg")] == []


def test_a_picture_that_cannot_be_had_now_fails_its_day_and_no_other(
    storage: Storage, instance: dg.DagsterInstance
) -> None:
    """D16: with the picture host down, a run is not green."""

    def script(request: Request) -> Answer:
        host = request.headers["host"]
        rows = [
            {"id": "id-1", "name": "A", "net": "2024-12-04T00:00:00Z", "image": None},
            {"id": "id-2", "name": "B", "net": "2024-12-05T00:00:00Z", "image": {"image_url": f"http://{host}/a.jpg"}},
        ]
        if request.path.startswith("/2.3.0/"):
            return Answer(200, json.dumps({"count": 2, "next": None, "results": rows}).encode(), JSON)
        return Answer(503)

    with ScriptedServer(script) as server:
        project = Project(server.url("/2.3.0/"), storage, instance)
        launches, images = project.bring_both("2024-12-04", "2024-12-05")
        assert launches.success
        assert not images.success
        assert sorted(project.recorded("launch_images")) == ["2024-12-04"]
        assert "2024-12-05: Not all pictures of 2024-12-05 could be had" in failure_of(images)
        assert "503" in failure_of(images)
        assert "Trying again may help" in failure_of(images)


def test_a_library_that_does_not_sort_empties_no_day(storage: Storage, instance: dg.DagsterInstance) -> None:
    """In a list that is not sorted, a later day does not show that an earlier one is whole."""
    rows = [
        {"id": f"id-{n}", "name": f"Launch {n}", "net": f"2024-{n // 20 + 1:02}-{n % 20 + 1:02}T00:00:00Z"}
        for n in range(200)
    ]

    def script(request: Request) -> Answer:
        query = dict(parse_qsl(urlsplit(request.path).query))
        asked = [row for row in reversed(rows) if query["net__gte"] <= row["net"] < query["net__lt"]]
        page = asked[int(query["offset"]) :][:100]
        more = f"http://{request.headers['host']}/2.3.0/launches/?offset=100" if asked[-1:] != page[-1:] else None
        return Answer(200, json.dumps({"count": len(asked), "next": more, "results": page}).encode(), JSON)

    with ScriptedServer(script) as server:
        project = Project(server.url("/2.3.0/"), storage, instance)
        assert project.bring("2024-01-01", "2024-10-31", ["launches"]).success
        assert len(server.requests) == 2
    counts = [number(event, "launches") for event in project.recorded("launches").values()]
    assert sum(counts) == 200
    assert max(counts) == 1


def test_a_day_of_launches_that_cannot_be_written_stops_no_other(project: Project) -> None:
    Path(project.storage.address(launches_key(date(2024, 12, 5)))).mkdir(parents=True)
    result = project.bring("2024-12-03", "2024-12-07", ["launches"])
    assert not result.success
    assert sorted(project.recorded("launches")) == ["2024-12-03", "2024-12-04", "2024-12-06", "2024-12-07"]
    assert "1 of 5 days failed; the others stand.\n- 2024-12-05: Could not" in failure_of(result)


def test_a_damaged_manifest_and_a_host_that_has_lost_its_pictures_cost_no_picture(
    storage: Storage, instance: dg.DagsterInstance
) -> None:
    lost = False

    def script(request: Request) -> Answer:
        if not request.path.startswith("/2.3.0/"):
            return Answer(404) if lost else Answer(200, draw("falcon_9.png"), "image/png")
        image = {"image_url": f"http://{request.headers['host']}/a.png"}
        row = {"id": "id-1", "name": "A", "net": "2024-12-05T00:00:00Z", "image": image}
        return Answer(200, json.dumps({"count": 1, "next": None, "results": [row]}).encode(), JSON)

    manifest = manifest_key(date(2024, 12, 5))
    with ScriptedServer(script) as server:
        project = Project(server.url("/2.3.0/"), storage, instance)
        project.bring("2024-12-05")
        before = tree(storage.uri)
        storage.write(manifest, storage.read(manifest)[:-20])
        lost = True
        assert project.bring("2024-12-05").success
    after = tree(storage.uri)
    assert set(after) == set(before)
    assert all(after[key] == before[key] for key in before if key != manifest)
    (entry,) = project.archive.read_manifest(date(2024, 12, 5)).entries
    assert entry.file
    assert "404" in (entry.reason or "")


# What is made of the days

MONTHLY = ["launch_gallery", "launch_table"]
FILES = {"launch_gallery": "gallery/{0:%Y}/{0:%Y-%m}.html", "launch_table": "table/{0:%Y}/{0:%Y-%m}.parquet"}


@pytest.mark.parametrize("asset", MONTHLY)
def test_each_month_of_a_range_is_made_of_its_days_and_recorded_once(project: Project, asset: str) -> None:
    project.bring_both("2024-11-29", "2024-12-06")
    result = project.bring("2024-10-01", "2024-12-01", [asset])
    assert result.success
    recorded = project.recorded(asset)
    assert list(recorded) == ["2024-10-01", "2024-11-01", "2024-12-01"]
    assert project.records(asset) == 3
    assert [recorded[month].metadata["days"].value for month in recorded] == ["0 of 31", "2 of 30", "6 of 31"]
    launches = [number(record, "dagster/partition_row_count") for record in recorded.values()]
    assert launches == [0, *(_launches(project, month) for month in (date(2024, 11, 1), date(2024, 12, 1)))]
    assert all(project.storage.find(FILES[asset].format(date.fromisoformat(month))) for month in recorded)


def _launches(project: Project, month: date) -> int:
    return len(read_month(project.archive, month).launches)


@pytest.mark.parametrize("asset", MONTHLY)
def test_a_month_whose_day_is_damaged_does_not_stop_the_others(project: Project, asset: str) -> None:
    project.bring_both("2024-11-29", "2024-12-06")
    key = manifest_key(date(2024, 11, 30))
    project.storage.write(key, b"damaged")
    result = project.bring("2024-10-01", "2024-12-01", [asset])
    assert sorted(project.recorded(asset)) == ["2024-10-01", "2024-12-01"]
    assert (
        "1 of 3 months failed; the others stand.\n- 2024-11-01: images/2024/2024-11-30/manifest.json is not what was"
        in (failure_of(result))
    )


def test_made_twice_nothing_is_written_again(project: Project) -> None:
    project.bring_both("2024-12-01", "2024-12-06")
    for asset in MONTHLY:
        project.bring("2024-12-01", assets=[asset])
    project.bring(None, assets=["gallery_index"])
    folder = Path(project.storage.uri)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    for asset in MONTHLY:
        project.bring("2024-12-01", assets=[asset])
        assert project.recorded(asset)["2024-12-01"].metadata["changed"].value is False
    project.bring(None, assets=["gallery_index"])
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before


def test_the_index_reads_no_day(project: Project) -> None:
    project.bring_both("2024-12-01", "2024-12-06")
    project.bring("2024-12-01", assets=["launch_gallery"])
    for folder in ("launches", "images", "pool"):
        shutil.rmtree(Path(project.storage.uri) / folder)
    assert project.bring(None, assets=["gallery_index"]).success
    index = project.storage.read("gallery/index.html").decode()
    assert "2024/2024-12.html" in index


def test_a_day_that_is_brought_knows_nothing_of_what_is_made_of_it(project: Project) -> None:
    """One click on a day still brings its launches and pictures in one run."""
    assert project.bring("2024-12-05").success
    assert not project.storage.find("gallery/2024/2024-12.html")
