"""The shortest story under a real daemon, for every day; the long ones are in `test_daemon`."""

from __future__ import annotations

from datetime import date
from functools import partial
from pathlib import Path

import dagster as dg

from rocket_assets.defs.runs import BECAUSE
from rocket_assets.sample_library.server import LibraryServer
from rocket_assets.verification import verify
from rocket_assets_tests.daemon import FOLLOWS, Homes, run_of
from rocket_assets_tests.project import BOTH

DAY = "2024-12-05"


def test_a_day_whose_launches_are_brought_by_the_ui_is_followed_by_its_pictures_once(tmp_path: Path) -> None:
    with LibraryServer() as library, Homes(tmp_path) as homes:
        home = homes.make("home", library, ROCKET_ASSETS_POLL_SECONDS="86400")
        with home.daemon():
            home.launch(runs=[run_of("launches", DAY)])
            home.until(partial(home.have_followed, DAY), "pictures follow")
            home.until(home.is_idle, "all is over")
        # What is made of them may have begun by then.
        (of_launches,), (of_pictures,) = (home.runs(asset) for asset in BOTH)
        assert [home.times(asset, [DAY]) for asset in BOTH] == [[1], [1]]
        assert of_launches.dagster_run.status == of_pictures.dagster_run.status == dg.DagsterRunStatus.SUCCESS
        assert of_pictures.dagster_run.tags["dagster/sensor_name"] == FOLLOWS
        assert of_pictures.dagster_run.tags[BECAUSE]
        assert len(home.archive.read_launches(date.fromisoformat(DAY))) == 5
        assert [problem for part in verify(home.archive, level="full") for problem in part.problems] == []
