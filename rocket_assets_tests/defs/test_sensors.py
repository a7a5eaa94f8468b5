"""What the sensors ask Dagster for, and what they say on their pages."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from rocket_assets.definitions import definitions
from rocket_assets.defs.resources import LaunchLibraryResource, resources, turn_of
from rocket_assets.defs.runs import BECAUSE, COMMAND
from rocket_assets.defs.sensors import tell_news
from rocket_assets.notifications import Notifier
from rocket_assets.sample_library.server import LibraryServer
from rocket_assets.settings import API_URL, NOTIFY, STORAGE, Settings
from rocket_assets.storage import Storage
from rocket_assets_tests.project import BOTH
from rocket_assets_tests.scripted_server import JSON, Answer, ScriptedServer
from rocket_assets_tests.service import Service, serving

NOW = datetime(2024, 12, 5, 12, tzinfo=UTC)
ID = "00000000-0000-4000-8000-00000000000"


def launch(
    number: int, net: str, updated: str, *, status: int = 1, name: str = "Falcon 9 | Starlink"
) -> dict[str, Any]:
    return {
        "id": f"{ID}{number}",
        "name": name,
        "net": net,
        "last_updated": updated,
        "status": {"id": status, "name": "", "abbrev": {1: "Go", 3: "Success"}[status]},
        "net_precision": {"id": 1, "name": "Minute"},
        "image": None,
    }


@dataclass
class Library:
    """A library whose launches a test changes, and the project that watches it."""

    instance: dg.DagsterInstance
    storage: Storage
    rows: list[dict[str, Any]] = field(default_factory=list)
    cursor: str | None = None
    version: str = "2.3.0"
    now: datetime = NOW
    environ: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        flown = launch(0, "2024-11-20T10:00:00Z", "2024-12-05T09:00:00Z", status=3)
        self.server = LibraryServer(rows=lambda _: [], as_of=lambda *_: [flown, *self.rows], version=self.version)

    @property
    def environ_of_project(self) -> dict[str, str]:
        return {API_URL.name: self.server.url, STORAGE.name: self.storage.uri} | self.environ

    @property
    def definitions(self) -> dg.Definitions:
        return definitions(Settings.read(self.environ_of_project), lambda: self.now)

    def tick(self) -> dg.SensorResult:
        """What the look for changes gives, its memory kept."""
        result = self.tick_of("launch_library_changes", self.cursor)
        self.cursor = result.cursor
        return result

    def tick_of(self, name: str, cursor: str | None) -> Any:
        settings = Settings.read(self.environ_of_project)
        with dg.build_sensor_context(self.instance, cursor, resources=resources(settings)) as context:
            return self.definitions.resolve_sensor_def(name)(context)


@pytest.fixture
def library(instance: dg.DagsterInstance, storage: Storage) -> Iterator[Library]:
    made = Library(instance, storage)
    with made.server:
        yield made


def said(result: dg.SensorResult) -> str:
    assert isinstance(result.skip_reason, dg.SkipReason)
    return result.skip_reason.skip_message or ""


def test_the_first_look_learns_and_asks_for_nothing(library: Library) -> None:
    library.rows = [launch(1, "2024-12-07T10:00:00Z", "2024-12-05T10:00:00Z")]
    result = library.tick()
    assert not result.run_requests
    assert said(result) == "Learned how 2 launches stand. From now on, what changes is brought."
    assert not result.asset_events


def test_a_slip_asks_for_both_days_as_one_run_that_says_why(library: Library) -> None:
    library.rows = [launch(1, "2024-12-07T10:00:00Z", "2024-12-05T10:00:00Z")]
    library.tick()
    library.rows = [launch(1, "2024-12-09T10:00:00Z", "2024-12-05T11:00:00Z")]
    result = library.tick()
    (request,) = list(result.run_requests or [])
    assert request.tags["dagster/asset_partition_range_start"] == "2024-12-07"
    assert request.tags["dagster/asset_partition_range_end"] == "2024-12-09"
    assert request.tags[BECAUSE] == "Falcon 9 | Starlink: 2024-12-07 -> 2024-12-09"
    assert request.run_key


def test_a_name_that_no_database_takes_is_shown_without_what_it_cannot_hold(
    instance: dg.DagsterInstance, storage: Storage
) -> None:
    rows = [launch(0, "2024-11-20T10:00:00Z", "2024-12-05T09:00:00Z", status=3)]

    def answer(_: object) -> Answer:
        return Answer(200, json.dumps({"count": len(rows), "next": None, "results": rows[::-1]}).encode(), JSON)

    with ScriptedServer(answer) as server:
        environ = {API_URL.name: server.url("/2.3.0/"), STORAGE.name: storage.uri}
        hostile = Library(instance, storage, environ=environ)
        with hostile.server:
            hostile.tick()
            name = "Half \ud800 | " + "long" * 100
            rows.append(launch(1, "2024-12-07T10:00:00Z", "2024-12-05T10:00:00Z", name=name))
            (request,) = list(hostile.tick().run_requests or [])
    assert request.tags[BECAUSE].startswith(r"Half \ud800 | long")
    assert len(request.tags[BECAUSE]) <= 250


def test_one_day_is_a_run_of_that_partition(library: Library) -> None:
    library.tick()
    library.rows = [launch(1, "2024-12-07T10:00:00Z", "2024-12-05T10:00:00Z")]
    (request,) = list(library.tick().run_requests or [])
    assert request.partition_key == "2024-12-07"


def test_what_was_found_is_an_event_of_the_launch_library(library: Library) -> None:
    library.tick()
    library.rows = [launch(1, "2024-12-07T10:00:00Z", "2024-12-05T10:00:00Z")]
    (event,) = list(library.tick().asset_events)
    assert event.asset_key == dg.AssetKey("launch_library")
    assert event.description == "1 launch changed: Falcon 9 | Starlink: 2024-12-07, new. To be brought: 2024-12-07."
    news = event.metadata["news"]
    assert isinstance(news, dg.JsonMetadataValue)
    assert news.data == [
        {
            "title": "New launch: Falcon 9 | Starlink",
            "body": "2024-12-07 (not before 10:00 UTC, Go).",
            "key": f"{ID}1 2024-12-05 10:00:00+00:00",
        }
    ]


def test_a_quiet_look_is_one_request_and_says_since_when(library: Library) -> None:
    library.rows = [launch(1, "2024-12-07T10:00:00Z", "2024-12-05T10:00:00Z")]
    library.tick()
    before = len(library.server.requests)
    result = library.tick()
    assert said(result) == "Nothing has changed since 2024-12-05 10:00:00 UTC."
    assert len(library.server.requests) == before + 1
    assert "mode=list" in library.server.requests[-1].path


def test_a_version_that_does_not_tell_updates_is_left_to_the_schedule(
    instance: dg.DagsterInstance, storage: Storage
) -> None:
    old = Library(instance, storage, version="2.0.0")
    with old.server:
        reason = old.tick_of("launch_library_changes", None)
        assert "2.0.0 does not say when a launch was updated" in reason.skip_message
        assert not old.server.requests


def test_a_server_that_does_not_answer_is_a_reason_to_skip_and_the_memory_stays(
    instance: dg.DagsterInstance, storage: Storage
) -> None:
    with ScriptedServer(lambda _: Answer(503, b"Sorry", "text/plain")) as server:
        settings = Settings.read({API_URL.name: server.url("/2.3.0/"), STORAGE.name: storage.uri})
        sensor = definitions(settings, lambda: NOW).resolve_sensor_def("launch_library_changes")
        quick = resources(settings) | {"launch_list": LaunchLibraryResource(url=settings.api_url, backoff=0.01)}
        with dg.build_sensor_context(instance, None, resources=quick) as context:
            reason = sensor(context)
    assert isinstance(reason, dg.SkipReason)
    assert "answered 503" in (reason.skip_message or "")
    assert "asks for what this one missed" in (reason.skip_message or "")


def test_a_look_that_does_not_get_its_turn_soon_is_left_to_the_next_one(
    instance: dg.DagsterInstance, storage: Storage
) -> None:
    """Dagster breaks off a tick that takes longer than a minute."""
    turn = turn_of(instance)
    assert turn
    with LibraryServer() as server, turn:
        settings = Settings.read({API_URL.name: server.url, STORAGE.name: storage.uri})
        sensor = definitions(settings, lambda: NOW).resolve_sensor_def("launch_library_changes")
        with dg.build_sensor_context(instance, None, resources=resources(settings)) as context:
            begun = time.monotonic()
            reason = sensor(context)
            assert 5 < time.monotonic() - begun < 30
    assert not server.requests
    assert isinstance(reason, dg.SkipReason)
    assert "Another run is asking the Launch Library" in (reason.skip_message or "")


@pytest.mark.parametrize(
    ("status", "ago", "is_left_to_it"),
    [
        (dg.DagsterRunStatus.STARTED, timedelta(minutes=5), True),
        (dg.DagsterRunStatus.STARTED, timedelta(hours=3), False),
        (dg.DagsterRunStatus.STARTING, timedelta(hours=30), True),
        (dg.DagsterRunStatus.NOT_STARTED, timedelta(hours=3), False),
    ],
)
def test_a_day_that_a_run_is_bringing_is_left_to_it_unless_that_died_long_ago(
    library: Library, status: dg.DagsterRunStatus, ago: timedelta, is_left_to_it: bool
) -> None:
    library.tick()
    library.rows = [launch(1, "2024-12-07T10:00:00Z", "2024-12-05T10:00:00Z")]
    job = library.definitions.resolve_job_def("bring_launches")
    library.instance.create_run_for_job(
        job,
        tags={
            "dagster/asset_partition_range_start": "2024-12-01",
            "dagster/asset_partition_range_end": "2024-12-08",
        },
        status=status,
        asset_selection=frozenset([dg.AssetKey("launches")]),
    )
    library.now = datetime.now(UTC) + ago
    assert bool(library.tick().run_requests) != is_left_to_it


def told_of(service: Service) -> list[tuple[str, str]]:
    return [(message["title"], message["message"]) for message in service.messages]


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with serving(Service()) as served:
        monkeypatch.setenv(NOTIFY.name, served.address())
        yield served


def test_without_an_address_nobody_is_told_and_no_sensor_tries() -> None:
    names = {sensor.name for sensor in definitions(Settings.read({})).get_repository_def().sensor_defs}
    assert names == {"launch_library_changes", "launch_images_follow", "views_follow", "today_is_looked_at"}


def test_news_is_told_once_also_when_a_look_was_killed_and_repeated(library: Library, service: Service) -> None:
    library.environ = {NOTIFY.name: service.address()}
    library.rows = [launch(1, "2024-12-07T10:00:00Z", "2024-12-05T10:00:00Z")]
    library.tick()
    cursor = library.tick_of("tell_news", None).cursor
    library.rows = [launch(1, "2024-12-09T10:00:00Z", "2024-12-05T11:00:00Z", name="@all | <b>X</b>\u202e")]
    before = library.cursor
    ticks = []
    for _ in range(2):
        library.cursor = before
        for event in library.tick().asset_events:
            library.instance.report_runless_asset_event(event)
        ticks.append(library.tick_of("tell_news", cursor))
        cursor = ticks[-1].cursor
    assert told_of(service) == [
        ("Slip: @\u200ball | <b>X</b>\\u202e", "2024-12-07 -> 2024-12-09 (not before 10:00 UTC, Go).")
    ]
    assert said(ticks[1]) == "There is no news to tell."


def test_news_from_before_the_sensor_was_on_is_not_told(library: Library, service: Service) -> None:
    library.environ = {NOTIFY.name: service.address()}
    library.tick()
    library.rows = [launch(1, "2024-12-07T10:00:00Z", "2024-12-05T10:00:00Z")]
    for event in library.tick().asset_events:
        library.instance.report_runless_asset_event(event)
    library.tick_of("tell_news", None)
    assert not service.messages


def test_a_launch_that_goes_to_and_fro_is_told_each_time(library: Library, service: Service) -> None:
    library.environ = {NOTIFY.name: service.address()}
    cursor = None
    for number, day in enumerate([7, 9, 7, 9]):
        library.rows = [launch(1, f"2024-12-0{day}T10:00:00Z", f"2024-12-05T10:0{number}:00Z")]
        for event in library.tick().asset_events:
            library.instance.report_runless_asset_event(event)
        cursor = library.tick_of("tell_news", cursor).cursor
    assert [title.partition(":")[0] for title, _ in told_of(service)] == ["Slip", "Earlier", "Slip"]


def test_news_that_no_address_took_fails_the_tick_in_words_and_is_told_by_a_later_one(
    library: Library, service: Service
) -> None:
    service.status = 500
    library.environ = {NOTIFY.name: service.address()}
    cursor = library.tick_of("tell_news", None).cursor
    library.tick()
    library.rows = [launch(1, "2024-12-07T10:00:00Z", "2024-12-05T10:00:00Z")]
    for event in library.tick().asset_events:
        library.instance.report_runless_asset_event(event)
    with pytest.raises(dg.Failure) as raised:
        library.tick_of("tell_news", cursor)
    assert raised.value.description == (
        'Told: 0 of 1 message. "New launch: Falcon 9 | Starlink" could not be told: '
        "Address 1 (JSON) did not take the message: it answered 500."
    )
    service.status = 200
    assert said(library.tick_of("tell_news", cursor)) == "Told: 1 of 1 message."


def observe(instance: dg.DagsterInstance, news: list[dict[str, str]]) -> None:
    metadata = {"news": dg.MetadataValue.json(news)}
    instance.report_runless_asset_event(dg.AssetObservation("launch_library", metadata=metadata))


def tick_of_news(
    instance: dg.DagsterInstance, notifier: Notifier, later: timedelta = timedelta(), seconds: float = 9
) -> dg.SensorResult:
    """What a tick gives for all that was observed, some time later."""
    cursor = json.dumps({"after": 0, "latest": []})
    with dg.build_sensor_context(instance, cursor, resources={"notifier": notifier}) as context:
        result = tell_news(lambda: datetime.now(UTC) + later, seconds)(context)
    assert isinstance(result, dg.SensorResult)
    return result


def test_news_that_an_older_release_has_left_is_told(instance: dg.DagsterInstance, service: Service) -> None:
    observe(instance, [{"title": "Slip: X", "body": "body"}])
    tick_of_news(instance, Notifier([service.address()]))
    assert told_of(service) == [("Slip: X", "body")]


def test_news_of_more_than_a_day_ago_is_not_told(instance: dg.DagsterInstance, service: Service) -> None:
    observe(instance, [{"title": "Slip: X", "body": "body", "key": "1"}])
    result = tick_of_news(instance, Notifier([service.address()]), timedelta(hours=25))
    assert said(result) == "There is no news to tell."
    assert json.loads(result.cursor or "")["after"] > 0
    assert not service.messages


def test_a_tick_ends_in_time_and_says_that_there_is_more(instance: dg.DagsterInstance, service: Service) -> None:
    observe(instance, [{"title": f"Slip: {number}", "body": "body", "key": ""} for number in range(20)])
    result = tick_of_news(instance, Notifier([service.address()]), seconds=0)
    assert said(result) == "Told: 1 of 20 messages. The rest comes with the next tick."
    service.silent = True
    with pytest.raises(dg.Failure, match="The rest comes with the next tick"):
        tick_of_news(instance, Notifier([service.address()], patience=0.2), seconds=0.3)
    assert len(service.messages) < 5


def test_a_run_that_failed_is_told_with_its_days_and_its_reason(library: Library, service: Service) -> None:
    failure = fail(library, {})
    assert tell(library, service, failure) == "A message was sent."
    ((title, body),) = told_of(service)
    assert title == "Failed: launch_images 2024-12-05 to 2024-12-06"
    assert "The launches of 2024-12-05 are not in" in body
    assert body.endswith(f"Run {failure.run_id} says more in the Dagster UI.")
    assert service.messages[0]["type"] == "failure"


def test_a_failure_of_one_day_names_it_once(library: Library, service: Service) -> None:
    tell(library, service, fail(library, {}, "2024-12-05", "2024-12-05"))
    assert told_of(service)[0][0] == "Failed: launch_images 2024-12-05"


def test_of_a_run_of_both_assets_the_one_that_failed_is_named(library: Library, service: Service) -> None:
    library.storage.write("images/2024/2024-12-05/manifest.json/in-the-way", b"")
    tell(library, service, fail(library, {}, "2024-12-05", "2024-12-05", BOTH))
    assert told_of(service)[0][0] == "Failed: launch_images 2024-12-05"


def test_what_a_night_has_found_is_told_each_night_until_it_is_mended(library: Library, service: Service) -> None:
    library.storage.write("launches/2024/2024-12-05.json", b"rot")
    job = library.definitions.get_repository_def().get_job("verify_stored_days")
    for _ in range(2):
        tell(library, service, job.execute_in_process(instance=library.instance, raise_on_error=False))
    one, other = told_of(service)
    assert one[0] == other[0] == "Failed: stored_days_are_whole"
    for _, body in (one, other):
        assert "launches/2024/2024-12-05.json is not what was written" in body


def test_a_failure_that_no_address_took_is_not_said_to_be_sent(library: Library, service: Service) -> None:
    service.status = 500
    assert tell(library, service, fail(library, {})) == (
        '"Failed: launch_images 2024-12-05 to 2024-12-06" could not be told: '
        "Address 1 (JSON) did not take the message: it answered 500."
    )


def test_days_that_fail_again_and_again_are_told_of_once_and_other_days_as_well(
    library: Library, service: Service
) -> None:
    for last in ("2024-12-06", "2024-12-06", "2024-12-07", "2024-12-06"):
        tell(library, service, fail(library, {}, last=last))
    assert [title for title, _ in told_of(service)] == [
        "Failed: launch_images 2024-12-05 to 2024-12-06",
        "Failed: launch_images 2024-12-05 to 2024-12-07",
    ]


@pytest.mark.parametrize(("days_ago", "told"), [(2.9, 0), (3.1, 1)])
def test_days_that_failed_more_than_three_days_ago_are_told_of_again(
    days_ago: float, told: int, library: Library, service: Service
) -> None:
    earlier = fail(library, {})
    event = next(event for event in earlier.all_events if event.event_type == dg.DagsterEventType.RUN_FAILURE)
    ended = datetime.now(UTC) - timedelta(days=days_ago)
    library.instance.run_storage.handle_run_event(earlier.run_id, event, ended)
    tell(library, service, fail(library, {}))
    assert len(service.messages) == told


def test_a_failure_that_a_command_has_shown_keeps_none_from_being_told(library: Library, service: Service) -> None:
    fail(library, {COMMAND: "backfill"})
    tell(library, service, fail(library, {}))
    assert len(service.messages) == 1


def test_of_a_backfill_the_first_failure_of_days_that_did_not_fail_before_is_told(
    library: Library, service: Service
) -> None:
    tell(library, service, fail(library, {}))
    for last in ("2024-12-06", "2024-12-07", "2024-12-08"):
        tell(library, service, fail(library, {"dagster/backfill": "abc"}, last=last))
    assert [title for title, _ in told_of(service)][1:] == ["Failed: launch_images 2024-12-05 to 2024-12-07"]


def test_of_a_backfill_the_first_failure_alone_is_told(library: Library, service: Service) -> None:
    failures = [fail(library, {"dagster/backfill": "abc"}) for _ in range(3)]
    for failure in failures:
        tell(library, service, failure)
    ((title, body),) = told_of(service)
    assert title.startswith("Failed: ")
    assert failures[0].run_id in body
    assert "Other runs of backfill abc are not told of one by one." in body


@pytest.mark.parametrize("tags", [{COMMAND: "backfill"}, {"dagster/will_retry": "true"}])
def test_a_run_of_a_command_and_one_that_is_tried_again_are_not_told(
    tags: dict[str, str], library: Library, service: Service
) -> None:
    tell(library, service, fail(library, tags))
    assert not service.messages


def fail(
    library: Library,
    tags: dict[str, str],
    first: str = "2024-12-05",
    last: str = "2024-12-06",
    assets: Sequence[str] = ("launch_images",),
) -> dg.ExecuteInProcessResult:
    """A run that failed: the pictures of days whose launches are not there."""
    job = library.definitions.resolve_implicit_global_asset_job_def()
    days = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
    result = job.execute_in_process(
        instance=library.instance,
        asset_selection=[dg.AssetKey(asset) for asset in assets],
        tags=days | tags,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        raise_on_error=False,
    )
    assert not result.success
    return result


def tell(library: Library, service: Service, failure: dg.ExecuteInProcessResult) -> str | None:
    """What Dagster does when it has seen a run fail, and what the sensor says."""
    library.environ = {NOTIFY.name: service.address()}
    sensor = library.definitions.resolve_sensor_def("tell_failures")
    run = library.instance.get_run_by_id(failure.run_id)
    assert run
    event = next(event for event in failure.all_events if event.event_type == dg.DagsterEventType.RUN_FAILURE)
    context = dg.build_run_status_sensor_context(
        "tell_failures", event, library.instance, run, resources={"notifier": Notifier([service.address()])}
    ).for_run_failure()
    reason = sensor(context)
    return reason.skip_message if isinstance(reason, dg.SkipReason) else None
