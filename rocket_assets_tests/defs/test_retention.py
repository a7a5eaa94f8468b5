"""Old runs are forgotten, and no day, month or check loses its newest record by it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from rocket_assets.defs.retention import forget_runs
from rocket_assets.sample_library.server import LibraryServer
from rocket_assets.storage import Storage
from rocket_assets_tests.project import BOTH, Project

SILENT = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

MONTHLY = ("launch_gallery", "launch_table")


@pytest.fixture
def project(sample_library: LibraryServer, storage: Storage, tmp_path: Path) -> Iterator[Project]:
    """The project on a home of its own, where SQLite keeps the log of each run in a file."""
    (home := tmp_path / "home").mkdir()
    with dg.DagsterInstance.local_temp(str(home)) as made:
        yield Project(sample_library.url, storage, made)


def later() -> datetime:
    """When all runs so far are old."""
    return datetime.now(UTC) + timedelta(hours=1)


def brings(project: Project, start: str, end: str | None = None, assets: tuple[str, ...] = ("launches",)) -> str:
    """The id of a run that brings days."""
    result = project.bring(start, end, assets)
    assert result.success
    return result.run_id


def verifies(project: Project) -> str:
    """The id of a run that looks at what is stored."""
    return (
        project.definitions.resolve_job_def("verify_stored_days").execute_in_process(instance=project.instance).run_id
    )


def runs(project: Project) -> set[str]:
    return {run.run_id for run in project.instance.get_runs()}


def files(project: Project) -> set[str]:
    return {path.stem for path in (Path(project.instance.root_directory) / "history/runs").glob("*-*.db")}


def test_a_run_is_forgotten_when_others_have_brought_all_of_its_days_since(project: Project) -> None:
    first = brings(project, "2024-12-04", "2024-12-05")
    others = {brings(project, "2024-12-04"), brings(project, "2024-12-05")}
    recorded = project.recorded("launches")
    assert forget_runs(project.instance, later()) == (1, 2)
    assert runs(project) == others
    assert files(project) == others
    assert first not in others
    assert project.recorded("launches") == recorded
    assert project.instance.get_materialized_partitions(dg.AssetKey("launches")) == {"2024-12-04", "2024-12-05"}


def test_a_run_is_kept_for_as_long_as_one_of_its_days_stands(project: Project) -> None:
    kept = {brings(project, "2024-12-03", "2024-12-05"), brings(project, "2024-12-03", "2024-12-04")}
    assert forget_runs(project.instance, later()) == (0, 2)
    assert runs(project) == kept == files(project)


def test_what_stands_of_months_and_of_the_index_is_kept(project: Project) -> None:
    for asset in BOTH:
        brings(project, "2024-12-05", None, (asset,))
    views = [(asset, "2024-12-01") for asset in MONTHLY] + [("gallery_index", None)]
    old = {
        brings(project, partition or "", None, (asset,)) if partition else index(project) for asset, partition in views
    }
    new = {
        brings(project, partition or "", None, (asset,)) if partition else index(project) for asset, partition in views
    }
    assert forget_runs(project.instance, later()) == (3, 5)
    assert new <= runs(project)
    assert not old & runs(project)


def index(project: Project) -> str:
    result = project.bring(None, None, ["gallery_index"])
    assert result.success
    return result.run_id


def test_the_newest_look_at_what_is_stored_is_kept_and_goes_on_where_it_was(project: Project) -> None:
    brings(project, "2024-12-05")
    brings(project, "2024-12-05", None, ("launch_images",))
    _, newest = verifies(project), verifies(project)
    assert forget_runs(project.instance, later()) == (1, 3)
    assert newest in runs(project)
    said = project.definitions.resolve_job_def("verify_stored_days").execute_in_process(instance=project.instance)
    (evaluation,) = said.get_asset_check_evaluations()
    assert evaluation.metadata["number of the look"].value == 2


def test_a_look_that_came_to_no_result_does_not_take_the_place_of_the_newest_one_that_did(project: Project) -> None:
    brings(project, "2024-12-05")
    brings(project, "2024-12-05", None, ("launch_images",))
    result = verifies(project)
    gone = replace(project, storage=Storage(str(tmp := Path(project.storage.uri))))
    hidden = tmp.rename(tmp.with_name("hidden"))
    tmp.write_text("no folder")
    try:
        failed = gone.definitions.resolve_job_def("verify_stored_days").execute_in_process(
            instance=project.instance, run_config=SILENT, raise_on_error=False
        )
    finally:
        tmp.unlink()
        hidden.rename(tmp)
    assert not failed.success
    forget_runs(project.instance, later())
    assert result in runs(project)


def test_on_postgresql_it_is_the_same(
    sample_library: LibraryServer, storage: Storage, postgres: list[dg.DagsterInstance]
) -> None:
    project = Project(sample_library.url, storage, postgres[0])
    brings(project, "2024-12-04", "2024-12-05")
    others = {brings(project, "2024-12-04"), brings(project, "2024-12-05")}
    recorded = project.recorded("launches")
    assert forget_runs(postgres[1], later()) == (1, 2)
    assert runs(project) == others
    assert project.recorded("launches") == recorded


def test_runs_that_have_brought_nothing_are_forgotten_unless_they_are_under_way(project: Project) -> None:
    with LibraryServer() as gone:
        nowhere = replace(project, api_url=gone.url)
    failed = nowhere.bring("2024-12-05", None, ["launches"])
    assert not failed.success
    open_run = dg.DagsterRun("bring_launches", status=dg.DagsterRunStatus.STARTED)
    project.instance.add_run(open_run)
    assert forget_runs(project.instance, later()) == (1, 0)
    assert runs(project) == {open_run.run_id}


def test_runs_that_ended_lately_are_kept(project: Project) -> None:
    for _ in range(2):
        brings(project, "2024-12-05")
    assert forget_runs(project.instance, datetime.now(UTC) - timedelta(hours=1)) == (0, 0)
    assert len(runs(project)) == 2


@pytest.mark.parametrize(("days", "left"), [(89, 2), (91, 1)])
def test_the_job_forgets_what_is_older_than_the_setting_says(project: Project, days: int, left: int) -> None:
    for _ in range(2):
        brings(project, "2024-12-05")
    then = replace(project, clock=lambda: datetime.now(UTC) + timedelta(days=days))
    job = then.definitions.resolve_job_def("forget_old_runs")
    done = job.execute_in_process(instance=project.instance, run_config=SILENT)
    assert done.success
    assert len(runs(project) - {done.run_id}) == left
    assert set(project.recorded("launches")) == {"2024-12-05"}
