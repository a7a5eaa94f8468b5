"""The door: what Dagster sees, and that it can be opened in an empty environment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from rocket_assets.definitions import defs
from rocket_assets.defs import freshness
from rocket_assets.table import COLUMNS

SPECS = {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}


def _python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-W", "error", "-c", code], env={}, capture_output=True, text=True)


def test_the_assets_and_their_upstreams_are_these() -> None:
    assert {key: sorted(dep.asset_key.to_user_string() for dep in spec.deps) for key, spec in SPECS.items()} == {
        "launch_library": [],
        "launches": ["launch_library"],
        "launch_images": ["launches"],
        "archive": ["launch_images"],
        "launch_gallery": ["launch_images", "launches"],
        "launch_table": ["launch_images", "launches"],
        "gallery_index": ["launch_gallery"],
    }


def test_the_checks_of_the_night_and_of_today_are_no_part_of_the_runs_that_bring_days() -> None:
    """In a range they would be skipped, and the UI would show that instead of what was found."""
    checks = {key.name: key.asset_key.to_user_string() for key in defs.resolve_asset_graph().asset_check_keys}
    of_archive = {name for name, asset in checks.items() if asset == "archive"}
    assert of_archive == {"stored_days_are_whole", *freshness.NAMES}
    assert set(checks.values()) == {"launches", "launch_images", "archive"}


def test_everything_can_be_loaded() -> None:
    dg.Definitions.validate_loadable(defs)


@pytest.mark.parametrize("key", sorted(SPECS))
def test_every_asset_is_described_grouped_owned_and_linked(key: str) -> None:
    spec = SPECS[key]
    assert len(spec.description or "") > 50
    assert spec.group_name == "spaceflight"
    assert list(spec.owners)
    assert spec.kinds
    assert any(isinstance(value, dg.UrlMetadataValue) for value in spec.metadata.values())


@pytest.mark.parametrize("key", sorted(SPECS))
def test_every_asset_shows_where_it_is_written(key: str) -> None:
    references = SPECS[key].metadata["dagster/code_references"]
    assert isinstance(references, dg.CodeReferencesMetadataValue)
    (reference,) = references.code_references
    assert isinstance(reference, dg.LocalFileCodeReference)
    # Where its decorator is; the function is a few lines below.
    lines = Path(reference.file_path).read_text().splitlines()
    if reference.line_number != 1:
        assert any(line.startswith(f"def {key}(") for line in lines[reference.line_number :][:25])
    else:
        assert f'    "{key}",' in lines


@pytest.mark.parametrize("key", ["launch_gallery", "launch_table"])
def test_a_month_is_made_of_its_days(key: str) -> None:
    graph = defs.resolve_asset_graph()
    months, days = (graph.get(dg.AssetKey(name)).partitions_def for name in (key, "launch_images"))
    assert months
    assert days
    for mapping in graph.get(dg.AssetKey(key)).partition_mappings.values():
        december = months.subset_with_partition_keys(["2024-12-01"])
        found = mapping.get_upstream_mapped_partitions_result_for_partitions(december, months, days)
        assert list(found.partitions_subset.get_partition_keys()) == [f"2024-12-{day:02}" for day in range(1, 32)]


def test_the_table_says_what_its_columns_mean() -> None:
    schema = SPECS["launch_table"].metadata["dagster/column_schema"]
    assert isinstance(schema, dg.TableSchema)
    assert [column.name for column in schema.columns] == [column.name for column in COLUMNS]
    assert all(column.description for column in schema.columns)


@pytest.mark.parametrize("key", ["launches", "launch_images"])
def test_the_assets_have_the_same_days_and_different_backfill_policies(key: str) -> None:
    """Different on purpose: with one policy, a range run would hold both assets and skip the second."""
    definition = defs.get_assets_def(key)
    other = defs.get_assets_def({"launches": "launch_images", "launch_images": "launches"}[key])
    assert definition.partitions_def == other.partitions_def
    assert definition.backfill_policy
    assert other.backfill_policy
    assert definition.backfill_policy.max_partitions_per_run != other.backfill_policy.max_partitions_per_run


def test_only_one_run_at_a_time_asks_the_api() -> None:
    assert defs.get_assets_def("launches").op.pool == "launch_library"


def test_with_an_empty_environment_it_imports_without_a_connection_and_without_a_folder() -> None:
    """The audit hook sees each attempt to connect, to resolve a name and to make a folder."""
    code = """
import sys
import dagster  # what Dagster does at import is its own
seen = []
watched = ("socket.connect", "socket.getaddrinfo", "os.mkdir")
sys.addaudithook(lambda event, args: seen.append((event, args)) if event in watched else None)
import rocket_assets.definitions
assert not seen, seen
print("loaded")
"""
    done = _python(code)
    assert (done.stdout.strip(), done.stderr) == ("loaded", "")


def test_it_is_the_same_whatever_the_time() -> None:
    """A clock that raises when it is asked shows that importing does not ask it."""
    code = """
import time, datetime
import dagster
def no_clock(*args): raise AssertionError("the clock was read")
class NoClock(datetime.datetime):
    now = today = utcnow = no_clock
class NoToday(datetime.date):
    today = no_clock
datetime.datetime, datetime.date = NoClock, NoToday
time.time = time.time_ns = no_clock
import rocket_assets.definitions
print("loaded")
"""
    assert _python(code).stdout.strip() == "loaded"
