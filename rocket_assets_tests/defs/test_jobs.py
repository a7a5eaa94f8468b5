"""One job brings launches, of one day or of a range, and nothing else; one verifies and brings nothing."""

from __future__ import annotations

import pytest

from rocket_assets.defs.instance import POOL
from rocket_assets_tests.project import Project

RANGE = {"dagster/asset_partition_range_start": "2024-12-04", "dagster/asset_partition_range_end": "2024-12-06"}


@pytest.mark.parametrize(
    ("partition", "tags", "days"),
    [("2024-12-05", {}, ["2024-12-05"]), (None, RANGE, ["2024-12-04", "2024-12-05", "2024-12-06"])],
)
def test_it_brings_the_launches_of_the_days_that_it_is_given(
    partition: str | None, tags: dict[str, str], days: list[str], project: Project
) -> None:
    job = project.definitions.resolve_job_def("bring_launches")
    result = job.execute_in_process(
        instance=project.instance,
        partition_key=partition,
        tags=tags,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
    assert result.success
    assert sorted(project.recorded("launches")) == days
    assert not project.recorded("launch_images")


def test_its_pool_lets_one_run_ask_at_a_time(project: Project) -> None:
    job = project.definitions.resolve_job_def("bring_launches")
    assert [node.definition.pools for node in job.nodes] == [{POOL}]


def test_verifying_holds_no_pool_and_brings_nothing(project: Project) -> None:
    job = project.definitions.resolve_job_def("verify_stored_days")
    assert [node.definition.pools for node in job.nodes] == [set()]
    assert not job.asset_layer.executable_asset_keys
