"""How a run over one day or many is recorded, waits, and fails."""

from __future__ import annotations

import json
import time
from datetime import date

import dagster as dg
import pytest

from rocket_assets.defs.runs import recorded_by
from rocket_assets.sample_library.server import LibraryServer
from rocket_assets.storage import Storage
from rocket_assets_tests.project import BOTH, Project, failure_of
from rocket_assets_tests.scripted_server import JSON, Answer, Request, ScriptedServer


def test_a_range_run_of_both_assets_is_refused_because_dagster_would_skip_the_pictures(project: Project) -> None:
    result = project.bring("2024-12-01", "2024-12-03", BOTH)
    assert not result.success
    assert "one asset at a time" in failure_of(result)
    assert not project.recorded("launches")


def test_promise_7_a_throttled_run_waits_and_then_goes_on(storage: Storage, instance: dg.DagsterInstance) -> None:
    """After a 429 the days already recorded are neither asked for nor recorded again."""
    asked: list[str] = []

    def script(request: Request) -> Answer:
        asked.append(request.path)
        if len(asked) == 2:
            return Answer(429, b'{"detail": "Request was throttled."}', JSON, {"Retry-After": "1"})
        last = 100 if len(asked) == 1 else 120
        rows = [
            {"id": f"id-{n}", "name": f"Launch {n}", "net": f"2024-12-{n // 40 + 1:02}T00:00:00Z"} for n in range(120)
        ]
        more = f"http://{request.headers['host']}/2.3.0/launches/?offset=100" if last == 100 else None
        given = rows[:100] if last == 100 else rows[80:]
        count = 120 if last == 100 else 40
        return Answer(200, json.dumps({"count": count, "next": more, "results": given}).encode(), JSON)

    with ScriptedServer(script) as server:
        project = Project(server.url("/2.3.0/"), storage, instance)
        result = project.bring("2024-12-01", "2024-12-04", ["launches"], waits=True)
        assert result.success
        assert len(asked) == 3
        assert "net__gte=2024-12-03" in asked[2]
        assert project.records("launches") == 4
        assert len(project.archive.read_launches(date(2024, 12, 3))) == 40


BEGUN_AGAIN = {"dagster/retry_number": "1"}
"""What Dagster says of a run that it has begun again by itself."""


def again(
    project: Project, parent: str, *assets: str, start: str, end: str, **more: str
) -> tuple[dg.ExecuteInProcessResult, list[str]]:
    """A run in place of another, and the days that it has recorded of the first of its assets."""
    days = {"dagster/asset_partition_range_start": start, "dagster/asset_partition_range_end": end}
    result = project.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=project.instance,
        asset_selection=[dg.AssetKey(asset) for asset in assets],
        tags=(days if start < end else {"dagster/partition": start}) | {"dagster/parent_run_id": parent} | more,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
    return result, sorted(recorded_by(project.instance, result.run_id, dg.AssetKey(assets[0])))


def test_a_run_that_dagster_begins_again_goes_on_where_the_dead_one_was_and_one_that_a_person_begins_does_not(
    project: Project, sample_library: LibraryServer
) -> None:
    """Its days cost requests, of which there are fifteen an hour."""
    died = project.bring("2024-12-01", "2024-12-03", ["launches"]).run_id
    five = {"start": "2024-12-01", "end": "2024-12-05"}
    second, recorded = again(project, died, "launches", **five, **BEGUN_AGAIN)
    assert recorded == ["2024-12-04", "2024-12-05"]
    asked = len(sample_library.api_requests)
    assert again(project, second.run_id, "launches", **five, **BEGUN_AGAIN)[1] == []
    assert len(sample_library.api_requests) == asked
    assert len(again(project, died, "launches", **five)[1]) == 5


def test_of_a_run_that_is_begun_again_only_the_days_come_that_the_dead_one_had_not_though_others_lie_between_them(
    project: Project,
) -> None:
    """As when one of them could not be stored."""
    first = project.bring("2024-12-01", "2024-12-02", ["launches"]).run_id
    died = again(project, first, "launches", start="2024-12-04", end="2024-12-05", **BEGUN_AGAIN)[0].run_id
    assert again(project, died, "launches", start="2024-12-01", end="2024-12-06", **BEGUN_AGAIN)[1] == [
        "2024-12-03",
        "2024-12-06",
    ]


def test_a_run_of_one_day_that_is_begun_again_brings_all_that_it_is_to_bring(project: Project) -> None:
    """Else Dagster would pass over the pictures in silence, because the launches before them give nothing."""
    died = project.bring("2024-12-05", assets=["launches"]).run_id
    result, recorded = again(project, died, *BOTH, start="2024-12-05", end="2024-12-05", **BEGUN_AGAIN)
    assert recorded == ["2024-12-05"]
    assert recorded_by(project.instance, result.run_id, dg.AssetKey("launch_images")) == {"2024-12-05"}


@pytest.fixture
def no_time_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that a sleep puts forward at once; Dagster waits by that of the system, which cannot be handed to it."""
    now, slept = time.time, [0.0]

    def sleep(seconds: float) -> None:
        slept[0] += max(0.0, seconds)

    monkeypatch.setattr(time, "time", lambda: now() + slept[0])
    monkeypatch.setattr(time, "sleep", sleep)


@pytest.mark.parametrize(
    ("answers", "waits", "success"),
    [
        ("5555", [30, 120, 600], False),
        ("55.", [30, 120], True),
        ("9999999.", [3600] * 7, True),
        ("55955.", [30, 120, 3600, 30, 120], True),
        ("5559555.", [30, 120, 600, 3600, 30, 120, 600], True),
    ],
    ids=["never answers", "answers at last", "throttles for hours", "and both", "and both again"],
)
@pytest.mark.usefixtures("no_time_lost")
def test_promise_7_a_run_waits_longer_and_longer_for_a_server_and_for_the_throttle_as_long_as_it_says(
    answers: str, waits: list[float], success: bool, storage: Storage, instance: dg.DagsterInstance
) -> None:
    """A letter for each time that the step asks: 5 for a 503, 9 for a 429 of an hour, a full stop for an answer."""
    # The client repeats a 503 three times by itself.
    letters = iter(answers.replace("5", "5555"))

    def script(request: Request) -> Answer:
        match next(letters):
            case "5":
                return Answer(503)
            case "9":
                return Answer(429, b"{}", JSON, {"Retry-After": "3600"})
            case _:
                return Answer(200, b'{"count": 0, "next": null, "results": []}', JSON)

    with ScriptedServer(script) as server:
        result = Project(server.url("/2.3.0/"), storage, instance).bring("2024-12-05", assets=["launches"], waits=True)
    assert result.success == success
    entries = instance.all_logs(result.run_id, of_type=dg.DagsterEventType.STEP_UP_FOR_RETRY)
    events = [entry.dagster_event for entry in entries if entry.dagster_event]
    assert [event.step_retry_data.seconds_to_wait for event in events] == waits
    assert next(letters, None) is None


def test_the_days_before_a_failure_stand_and_the_checks_have_looked_at_them(
    storage: Storage, instance: dg.DagsterInstance
) -> None:
    """The second page breaks: the days that the first one completed are recorded, the others are not."""

    def script(request: Request) -> Answer:
        if "offset=0" not in request.path:
            return Answer(200, b"<html>Sorry</html>", "text/html")
        rows = [
            {"id": f"id-{n}", "name": f"Launch {n}", "net": f"2024-12-{n // 40 + 1:02}T00:00:00Z"} for n in range(100)
        ]
        next_page = f"http://{request.headers['host']}/2.3.0/launches/?offset=100"
        return Answer(200, json.dumps({"count": 160, "next": next_page, "results": rows}).encode(), JSON)

    with ScriptedServer(script) as server:
        project = Project(server.url("/2.3.0/"), storage, instance)
        result = project.bring("2024-12-01", "2024-12-05", ["launches"])
        assert not result.success
        assert sorted(project.recorded("launches")) == ["2024-12-01", "2024-12-02"]
    said = failure_of(result)
    assert "which is not JSON" in said
    assert "<html>Sorry" in said
    assert "Trying again will not help" in said
    for evaluation in result.get_asset_check_evaluations():
        assert evaluation.passed
        assert evaluation.metadata["days"].value == 2
