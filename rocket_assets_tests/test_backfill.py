"""A backfill in this process: what is brought in which order, and what a failure keeps from what."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, urlsplit

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocket_assets.backfill import DAILY, DAY, Backfill, Recorded, moment, portions, ranges, runs_of_launches
from rocket_assets.defs.assets import IMAGES_PER_RUN, LAUNCHES_PER_RUN
from rocket_assets.defs.partitions import days as partitions
from rocket_assets.sample_library.server import LibraryServer
from rocket_assets.storage import Storage, launches_key
from rocket_assets_tests.project import Project, days
from rocket_assets_tests.scripted_server import JSON, Answer, Request, ScriptedServer

FIRST = date(2024, 12, 1)


def _backfill(project: Project, told: list[Recorded] | None = None) -> Backfill:
    return Backfill(project.instance, (told if told is not None else []).append, definitions=project.definitions)


def both(wanted: Sequence[date]) -> dict[str, Sequence[date]]:
    return {"launches": wanted, "launch_images": wanted}


@given(st.sets(st.integers(0, 60)))
def test_ranges_are_the_days_and_nothing_else(offsets: set[int]) -> None:
    chosen = [FIRST + timedelta(days=n) for n in sorted(offsets)]
    found = list(ranges(chosen))
    assert [day for start, end in found for day in days(start, (end - start).days + 1)] == chosen
    assert all(later[0] - earlier[1] > DAY for earlier, later in pairwise(found))


@given(st.integers(0, 2000))
def test_portions_are_the_days_and_no_more_of_them_than_need_be(count: int) -> None:
    chosen = list(days(FIRST, count))
    found = list(portions(chosen, IMAGES_PER_RUN))
    assert [day for chunk in found for day in chunk] == chosen
    assert all(0 < len(chunk) <= IMAGES_PER_RUN for chunk in found)
    assert len(found) == -(-count // IMAGES_PER_RUN)


def test_a_run_whose_machine_is_gone_does_not_hold_the_pool_for_ever(project: Project) -> None:
    """Nobody else can tell; so its runs say after how long Dagster is to end them."""
    _backfill(project).bring(both([FIRST]))
    runs = project.instance.get_runs()
    assert len(runs) == 2
    assert all(3600 <= int(run.tags["dagster/max_runtime"]) <= 6 * 3600 for run in runs)


def test_it_tells_of_each_day_of_each_asset_once(project: Project) -> None:
    told: list[Recorded] = []
    wanted = list(days(FIRST, 14))
    outcome = _backfill(project, told).bring(both(wanted))
    assert outcome.not_standing == []
    assert sorted((recorded.asset, recorded.day) for recorded in told) == sorted(
        (asset, day) for asset in DAILY for day in wanted
    )
    assert sum(recorded.number("launches") for recorded in told if recorded.asset == "launches") == 14
    assert sum(recorded.number("pictures") for recorded in told) == 13


@pytest.mark.slow
def test_a_chunk_without_an_answer_keeps_neither_the_next_chunk_nor_its_own_pictures_waiting(
    storage: Storage, instance: dg.DagsterInstance
) -> None:
    """An answer that trying again will not mend fails the days after it in that chunk; the next chunk is brought."""

    def script(request: Request) -> Answer:
        start = parse_qs(urlsplit(request.path).query)["net__gte"][0]
        if start == "2019-12-01":
            return Answer(200, b"<html>", "text/html")
        return Answer(200, json.dumps({"count": 0, "next": None, "results": []}).encode(), JSON)

    wanted = list(days(date(2019, 12, 1), LAUNCHES_PER_RUN + 2))
    with ScriptedServer(script) as server:
        outcome = _backfill(Project(server.url("/2.3.0/"), storage, instance)).bring(both(wanted))
    assert [(failed.asset, failed.days) for failed in outcome.failures] == [
        ("launches", (date(2019, 12, 1), date(2023, 11, 30)))
    ]
    assert "which is not JSON" in outcome.failures[0].reason
    assert outcome.not_standing == wanted[:LAUNCHES_PER_RUN]
    assert {day for asset, day in outcome.recorded if asset == "launch_images"} == set(wanted[LAUNCHES_PER_RUN:])


@pytest.mark.slow
def test_an_api_that_is_down_is_not_asked_for_the_next_chunk(storage: Storage, instance: dg.DagsterInstance) -> None:
    with ScriptedServer(lambda _: Answer(reset=True)) as server:
        project = Project(server.url("/2.3.0/"), storage, instance)
        wanted = list(days(date(2019, 12, 1), LAUNCHES_PER_RUN + 2))
        outcome = _backfill(project).bring(both(wanted))
    assert len(outcome.failures) == 1
    assert outcome.failures[0].retryable
    assert outcome.not_standing == wanted


def test_an_api_that_is_down_keeps_no_pictures_from_days_whose_launches_stand(project: Project) -> None:
    wanted = list(days(FIRST, 5))
    assert _backfill(project).bring({"launches": wanted[:3]}).not_standing == []
    with ScriptedServer(lambda _: Answer(reset=True)) as server:
        down = Project(server.url("/2.3.0/"), project.storage, project.instance)
        outcome = _backfill(down).bring({"launches": wanted[2:], "launch_images": wanted})
    assert outcome.recorded == {("launch_images", day) for day in wanted[:2]}
    assert [failed.asset for failed in outcome.failures] == ["launches"]


def test_what_a_check_finds_false_is_a_failure_and_a_warning_is_none(project: Project) -> None:
    """The project's own assets mend what their checks would find, so this one is made to fail."""

    @dg.asset(
        partitions_def=partitions,
        check_specs=[dg.AssetCheckSpec(name, asset="launches") for name in ("good", "bad", "doubtful")],
    )
    def launches() -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        yield dg.MaterializeResult()
        problems = dg.MetadataValue.table([dg.TableRecord({"day": "2024-12-01", "problem": "It rained."})])
        for name, passed, severity in (
            ("good", True, dg.AssetCheckSeverity.ERROR),
            ("bad", False, dg.AssetCheckSeverity.ERROR),
            ("doubtful", False, dg.AssetCheckSeverity.WARN),
        ):
            yield dg.AssetCheckResult(
                check_name=name,
                passed=passed,
                severity=severity,
                description="1 of 1 days fail.",
                metadata={"problems": problems},
            )

    work = Backfill(project.instance, lambda _: None, definitions=dg.Definitions(assets=[launches]))
    (failed,) = work.bring({"launches": [FIRST]}).failures
    assert failed.reason == "bad is false. 1 of 1 days fail. 2024-12-01: It rained."


def test_a_day_is_missing_unless_it_is_recorded_and_stored(project: Project) -> None:
    wanted = list(days(FIRST, 3))
    work = _backfill(project)
    assert work.missing(wanted, "launches", project.storage) == wanted
    work.bring({"launches": wanted})
    assert work.missing(wanted, "launches", project.storage) == []
    assert work.missing(wanted, "launch_images", project.storage) == wanted
    project.storage.delete([launches_key(wanted[1])])
    assert work.missing(wanted, "launches", project.storage) == [wanted[1]]
    with dg.DagsterInstance.ephemeral(tempdir=project.storage.uri) as unknowing:
        again = Backfill(unknowing, lambda _: None, definitions=project.definitions)
        assert again.missing(wanted, "launches", project.storage) == wanted


def test_days_that_another_run_records_meanwhile_are_not_its_own(project: Project) -> None:
    told: list[Recorded] = []

    def on_day(recorded: Recorded) -> None:
        told.append(recorded)
        foreign = dg.AssetMaterialization("launches", partition="2024-12-20")
        project.instance.report_runless_asset_event(foreign)

    outcome = Backfill(project.instance, on_day, definitions=project.definitions).bring({"launches": [FIRST]})
    assert [recorded.day for recorded in told] == [FIRST]
    assert outcome.recorded == {("launches", FIRST)}


@given(st.sets(st.integers(0, 4000)), st.sets(st.integers(0, 4000)))
def test_the_runs_of_launches_are_its_days_and_none_is_longer_than_that_of_a_backfill_in_the_ui(
    first: set[int], second: set[int]
) -> None:
    wanted = {
        asset: [FIRST + timedelta(days=n) for n in sorted(chosen)]
        for asset, chosen in zip(DAILY, (first, second), strict=True)
    }
    runs = runs_of_launches(wanted)
    brought = [day for start, end in runs for day in days(start, (end - start).days + 1)]
    assert brought == wanted["launches"]
    assert all((end - start).days < LAUNCHES_PER_RUN for start, end in runs)
    assert runs_of_launches({"launch_images": wanted["launch_images"]}) == []


def test_it_tells_of_each_run_before_it_is_created_and_of_how_many_days_or_months_it_brings(project: Project) -> None:
    told: list[object] = []
    work = Backfill(
        project.instance,
        lambda recorded: told.append(recorded.asset),
        on_run=lambda asset, steps: told.append((asset, steps)),
        definitions=project.definitions,
    )
    work.bring({"launches": [FIRST, FIRST + DAY, FIRST + 3 * DAY], "launch_images": [FIRST]})
    assert told == [
        *[("launches", 2), "launches", "launches", ("launches", 1), "launches"],
        *[("launch_images", 1), "launch_images"],
    ]
    told.clear()
    months = [FIRST.replace(day=1), FIRST.replace(year=FIRST.year + 1, month=1, day=1)]
    work.make({"launch_table": months}, index=True)
    assert [run for run in told if isinstance(run, tuple)] == [("launch_table", 2), ("gallery_index", 0)]


def test_where_a_wait_ends_on_another_day_that_day_is_said() -> None:
    now = datetime(2026, 11, 23, 22, 30, tzinfo=UTC)
    assert moment(now + timedelta(hours=1), now) == "23:30:00 UTC"
    assert moment(now + timedelta(hours=2), now) == "2026-11-24 00:30:00 UTC"


def test_it_waits_until_no_other_run_asks_the_api(project: Project) -> None:
    pool = project.instance.event_log_storage
    pool.set_concurrency_slots("launch_library", 1)
    pool.claim_concurrency_slot("launch_library", "another-run", "launches")
    said: list[str] = []

    def on_wait(text: str, seconds: float | None) -> None:
        assert seconds is None
        said.append(text)
        pool.free_concurrency_slots_for_run("another-run")

    work = Backfill(project.instance, lambda _: None, on_wait, definitions=project.definitions)
    assert work.bring({"launches": [FIRST]}).not_standing == []
    assert said == ["Another run is asking the Launch Library; going on when it is done."]


def test_while_the_throttle_is_waited_for_the_pictures_of_the_days_that_stand_come_and_come_once(
    storage: Storage, instance: dg.DagsterInstance
) -> None:
    """180 launches are two pages, and the throttle takes one request in two seconds."""
    rows = [
        {"id": f"id-{n}", "name": f"Launch {n}", "net": f"2024-12-0{n // 60 + 1}T00:00:00Z", "image": None}
        for n in range(180)
    ]
    told: list[tuple[str, date]] = []
    with LibraryServer(rows=lambda _: rows, throttle=1, throttle_window=timedelta(seconds=2)) as server:
        project = Project(server.url, storage, instance)
        work = Backfill(instance, lambda day: told.append((day.asset, day.day)), definitions=project.definitions)
        outcome = work.bring(both(list(days(FIRST, 3))))
        answers = [request.status for request in server.api_requests]
    assert outcome.not_standing == []
    assert not outcome.failures
    assert told == [(asset, day) for day in days(FIRST, 3) for asset in DAILY]
    # A day of which a page held only a part is asked for whole: an hour later the part may no longer be true.
    assert answers == [200, 429, 200, 429, 200]
