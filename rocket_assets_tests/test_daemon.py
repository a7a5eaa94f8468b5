"""A backfill as the UI starts it: by GraphQL, with a real daemon, queue and run processes, over sixty days."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rocket_assets.sample_library.server import LibraryServer
from rocket_assets_tests.project import BOTH, tree

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
START, END, DAYS = "2024-11-01", "2024-12-30", 60

LAUNCH = """
mutation Launch($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""
STATUS = """
query Status($id: String!) {
  partitionBackfillOrError(backfillId: $id) {
    __typename
    ... on PartitionBackfill { status error { message } runs(limit: 10) { status assetSelection { path } } }
  }
}
"""
CHECKS = """
{ assetNodes { assetKey { path } partitionStats { numMaterialized numFailed }
  assetChecksOrError { ... on AssetChecks { checks { name executionForLatestMaterialization { status } } } } } }
"""


@pytest.fixture
def environ(tmp_path: Path, sample_library: LibraryServer) -> dict[str, str]:
    """What a person sets who wants their own Dagster home, storage and library; the days are those of the default."""
    home = tmp_path / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_bytes((ROOT / "dagster.yaml").read_bytes())
    return {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "DAGSTER_HOME": str(home),
        "ROCKET_ASSETS_STORAGE": str(tmp_path / "by-daemon"),
        "ROCKET_ASSETS_API_URL": sample_library.url,
    }


@contextmanager
def daemon(environ: dict[str, str], log: Path) -> Iterator[None]:
    with log.open("w") as out:
        arguments = [BIN / "dagster-daemon", "run", "-w", ROOT / "workspace.yaml"]
        process = subprocess.Popen(arguments, env=environ, cwd=ROOT, stdout=out, stderr=out)
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=60)


def graphql(environ: dict[str, str], query: str, **variables: Any) -> dict[str, Any]:
    arguments = [BIN / "dagster-graphql", "-w", ROOT / "workspace.yaml", "-t", query, "-v", json.dumps(variables)]
    done = subprocess.run(arguments, env=environ, cwd=ROOT, capture_output=True, text=True, check=True)
    # The code server that the command starts says goodbye on the same output.
    return json.JSONDecoder().raw_decode(done.stdout, done.stdout.index("{"))[0]["data"]


def test_a_backfill_started_in_the_ui_gives_the_same_files_as_the_command(
    environ: dict[str, str], sample_library: LibraryServer, tmp_path: Path
) -> None:
    days = {"range": {"start": START, "end": END}}
    params = {"partitionsByAssets": [{"assetKey": {"path": [asset]}, "partitions": days} for asset in BOTH]}
    with daemon(environ, tmp_path / "daemon.log"):
        launched = graphql(environ, LAUNCH, params=params)["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        give_up = time.monotonic() + 300
        while True:
            backfill = graphql(environ, STATUS, id=launched["backfillId"])["partitionBackfillOrError"]
            if backfill["status"] not in ("REQUESTED", "COMPLETING") or time.monotonic() > give_up:
                break
            time.sleep(5)
    log = (tmp_path / "daemon.log").read_text()
    assert backfill["status"] == "COMPLETED_SUCCESS", (backfill, log[-3000:])
    assert sorted((run["assetSelection"][0]["path"], run["status"]) for run in backfill["runs"]) == [
        (["launch_images"], "SUCCESS"),
        (["launches"], "SUCCESS"),
    ]
    assert len(sample_library.api_requests) == 1
    for asset in graphql(environ, CHECKS)["assetNodes"]:
        if asset["assetKey"]["path"][0] in BOTH:
            assert asset["partitionStats"] == {"numMaterialized": DAYS, "numFailed": 0}
            checks = asset["assetChecksOrError"]["checks"]
            assert len(checks) == 2
            assert all(check["executionForLatestMaterialization"]["status"] == "SUCCEEDED" for check in checks)
    by_command = {**environ, "ROCKET_ASSETS_STORAGE": str(tmp_path / "by-command"), "DAGSTER_HOME": str(tmp_path)}
    subprocess.run([BIN / "rocket-assets", "backfill", START, END], env=by_command, cwd=tmp_path, check=True)
    assert tree(tmp_path / "by-daemon") == tree(tmp_path / "by-command")
    assert len([key for key in tree(tmp_path / "by-daemon") if key.startswith("launches/")]) == DAYS
