"""Who may do what: nobody without a login, readers nothing but read, and no page of another site anything at all.

The doors are real: Dagster's webserver, with and without `--read-only`, and Caddy with the Caddyfile of deploy/compose.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import dagster as dg
import pytest
import requests
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from rocket_assets.gallery.server import GalleryServer
from rocket_assets.storage import Storage
from rocket_assets_tests.doors import (
    PASSWORD,
    ROOT,
    USER,
    Caddy,
    Home,
    hashed,
    listening,
    listens,
    running,
)
from rocket_assets_tests.programs import HOST, free_port

pytestmark = pytest.mark.slow

_Row = dict[str, Any]

LOGIN = (USER, PASSWORD)
PAGE, PICTURE = "<p>The gallery of this test.</p>", b"\xff\xd8\xff picture"

# Everything that the webserver and the gallery answer to, so that no path is forgotten on the way to them.
DOORS = [
    ("GET", "/"),
    ("GET", "/assets/launches"),
    ("GET", "/server_info"),
    ("GET", "/dagit_info"),
    ("GET", "/favicon.png"),
    ("GET", "/vendor/graphiql/graphiql.min.css"),
    ("GET", "/graphql?query={version}"),
    ("HEAD", "/graphql?query={version}"),
    ("POST", "/graphql?query={version}"),
    ("OPTIONS", "/graphql"),
    ("GET", "/logs/a/b.err"),
    ("GET", "/notebook?path=a.ipynb&repoLocName=rocket_assets.definitions"),
    ("GET", "/dagit/notebook?path=a.ipynb&repoLocName=rocket_assets.definitions"),
    ("POST", "/report_asset_materialization/launches?partition=1999-01-01"),
    ("POST", "/report_asset_observation/launches"),
    ("POST", "/report_asset_check/launches?check_name=a&passed=true"),
    ("GET", "/gallery"),
    ("GET", "/gallery/index.html"),
    ("GET", "/images/2024/2024-12-05/a.jpeg"),
    ("PUT", "/gallery/index.html"),
]


@dataclass(frozen=True)
class Doors:
    """One instance of Dagster and a gallery, and the ways to them."""

    ours: str
    """The webserver itself, on loopback."""
    readers: str
    """The read-only one."""
    gallery: str
    site: str
    """Caddy, over TLS."""
    plain: str
    """Caddy, without."""
    public: str
    """Caddy, where no login is asked for."""
    authority: str
    home: Path
    """Dagster's."""
    listening: Mapping[str, set[str]]

    def ask(self, method: str, path: str, **how: Any) -> requests.Response:
        """A request to Caddy over TLS."""
        return requests.request(
            method, f"{self.site}{path}", verify=self.authority, allow_redirects=False, timeout=60, **how
        )

    def behind(self, method: str, path: str) -> requests.Response:
        """The same to the server behind it."""
        to = self.gallery if path.startswith(("/gallery", "/images")) else self.ours
        return requests.request(method, f"{to}{path}", allow_redirects=False, timeout=60)


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    home = Home(tmp_path_factory.mktemp("home"))
    storage = Storage(str(home.folder / "data"))
    storage.write("gallery/index.html", PAGE.encode())
    storage.write("images/2024/2024-12-05/a.jpeg", PICTURE)
    public = free_port()
    with ExitStack() as stack:
        stack.enter_context(home.code())
        ours, us = stack.enter_context(home.webserver())
        readers, them = stack.enter_context(home.webserver("--read-only"))
        gallery = stack.enter_context(GalleryServer(storage)).url.rstrip("/")
        variables = {
            "SITE": "localhost",
            "LOGIN_USER": USER,
            "LOGIN_HASH": hashed(PASSWORD),
            "WEBSERVER": ours.removeprefix("http://"),
            "GALLERY": gallery.removeprefix("http://"),
            "PUBLIC_SITE": f"http://localhost:{public}",
            "PUBLIC_WEBSERVER": readers.removeprefix("http://"),
        }
        caddy = Caddy(tmp_path_factory.mktemp("caddy"), variables)
        site, plain = stack.enter_context(caddy.serving())
        yield Doors(
            ours,
            readers,
            gallery,
            site,
            plain,
            f"http://localhost:{public}",
            caddy.authority,
            home.folder,
            {"ours": listening(us), "readers": listening(them)},
        )


# A login in front of everything


@pytest.mark.parametrize(("method", "path"), DOORS)
def test_without_a_login_nothing_answers(doors: Doors, method: str, path: str) -> None:
    answer = doors.ask(method, path)
    assert (answer.status_code, answer.content) == (401, b"")
    assert answer.headers["WWW-Authenticate"].startswith("Basic")


@pytest.mark.parametrize("login", [(USER, "sesame-4712"), ("bob", PASSWORD), (USER, "")], ids=["word", "name", "none"])
def test_with_another_login_nothing_answers(doors: Doors, login: tuple[str, str]) -> None:
    assert doors.ask("GET", "/server_info", auth=login).status_code == 401


@pytest.mark.parametrize(("method", "path"), DOORS)
def test_with_the_login_everything_answers_as_it_does_behind_it(doors: Doors, method: str, path: str) -> None:
    there, behind = doors.ask(method, path, auth=LOGIN), doors.behind(method, path)
    assert there.status_code == behind.status_code != 401
    assert there.headers.get("Content-Type") == behind.headers.get("Content-Type")
    if "text/html" not in behind.headers.get(
        "Content-Type", ""
    ):  # a page of Dagster's has a number of its own each time
        assert there.content == behind.content


def test_the_gallery_and_its_pictures_are_there_for_who_has_the_login(doors: Doors) -> None:
    assert doors.ask("GET", "/gallery/index.html", auth=LOGIN).text == PAGE
    assert doors.ask("GET", "/images/2024/2024-12-05/a.jpeg", auth=LOGIN).content == PICTURE


@pytest.mark.parametrize("path", ["/", "/graphql?query={version}", "/gallery/index.html"])
def test_without_tls_one_is_only_sent_to_where_there_is(doors: Doors, path: str) -> None:
    answer = requests.get(f"{doors.plain}{path}", auth=LOGIN, allow_redirects=False, timeout=60)
    assert answer.status_code == 308
    assert answer.headers["Location"].startswith("https://localhost")
    assert not answer.content


def _talk(doors: Doors, **headers: str) -> _Row:
    """What is answered to the first word that the UI says over its websocket."""
    context = ssl.create_default_context(cafile=doors.authority)
    address = f"{doors.site.replace('https', 'wss')}/graphql"
    protocols = [Subprotocol("graphql-ws")]

    # In one thread: Python 3.11 breaks down where one thread reads and another writes over TLS.
    async def talk() -> _Row:
        async with connect(
            address, ssl=context, subprotocols=protocols, additional_headers=headers, open_timeout=60
        ) as socket:
            await socket.send(json.dumps({"type": "connection_init"}))
            return json.loads(await asyncio.wait_for(socket.recv(), 60))

    return asyncio.run(talk())


def _authorization() -> str:
    return requests.Request("GET", "http://x", auth=LOGIN).prepare().headers["Authorization"]


def test_without_the_login_there_is_no_websocket_either(doors: Doors) -> None:
    with pytest.raises(InvalidStatus) as refused:
        _talk(doors)
    assert refused.value.response.status_code == 401


def test_with_the_login_the_websocket_of_the_pages_works(doors: Doors) -> None:
    said = _talk(doors, Authorization=_authorization(), Origin=doors.site)
    assert said == {"type": "connection_ack"}


def test_what_is_behind_never_sees_the_login(tmp_path: Path) -> None:
    seen = list[Mapping[str, str]]()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append({name.lower(): value for name, value in self.headers.items()})
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            return

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        (thread := Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})).start()
        at = f"{HOST}:{server.server_port}"
        caddy = Caddy(tmp_path, {**_variables(), "WEBSERVER": at, "GALLERY": at})
        with caddy.serving() as (site, _):
            for path in ("/", "/gallery/index.html"):
                assert requests.get(f"{site}{path}", auth=LOGIN, verify=caddy.authority, timeout=60).status_code == 204
        server.shutdown()
        thread.join()
    assert len(seen) == 2
    assert not any("authorization" in headers for headers in seen)


def _variables() -> dict[str, str]:
    return {"SITE": "localhost", "LOGIN_USER": USER, "LOGIN_HASH": hashed(PASSWORD)}


@pytest.mark.parametrize("forgotten", ["SITE", "LOGIN_USER", "LOGIN_HASH"])
def test_without_a_name_or_a_password_to_ask_for_caddy_does_not_start(tmp_path: Path, forgotten: str) -> None:
    caddy = Caddy(tmp_path, {name: value for name, value in _variables().items() if name != forgotten})
    with pytest.raises(AssertionError, match="ended"), caddy.serving():
        pass


# Pages of other sites

_CHANGE = "/graphql?query=mutation{setAutoMaterializePaused(paused:true)}"


def _is_paused(doors: Doors) -> bool:
    return _said(doors.ours, "{instance{autoMaterializePaused}}")["data"]["instance"]["autoMaterializePaused"]


def test_dagster_takes_a_change_by_an_address_alone(doors: Doors) -> None:
    """Which is why pages of other sites are to be kept out; when this fails, they may no longer have to be."""
    _said(doors.ours, "mutation{setAutoMaterializePaused(paused:false)}")
    assert requests.get(f"{doors.ours}{_CHANGE}", timeout=60).ok
    assert _is_paused(doors)
    _said(doors.ours, "mutation{setAutoMaterializePaused(paused:false)}")


@pytest.mark.parametrize("path", [_CHANGE, "/report_asset_materialization/launches?partition=1999-01-01"])
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
    ],
    ids=["image", "neighbour", "link", "form", "hidden"],
)
def test_the_page_of_another_site_gets_nothing_done(
    doors: Doors, method: str, path: str, headers: Mapping[str, str]
) -> None:
    answer = doors.ask(method, path, auth=LOGIN, headers=headers)
    is_a_page = (method, headers.get("Sec-Fetch-Mode")) == ("GET", "navigate") and not path.startswith("/graphql")
    assert answer.status_code == (200 if is_a_page else 403)
    assert not _is_paused(doors)


def test_the_page_of_another_site_gets_no_websocket(doors: Doors) -> None:
    with pytest.raises(InvalidStatus) as refused:
        _talk(doors, Authorization=_authorization(), Origin="https://elsewhere.example")
    assert refused.value.response.status_code == 403


def test_the_page_of_another_site_may_link_to_ours_and_may_not_frame_it(doors: Doors) -> None:
    clicked = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    answer = doors.ask("GET", "/assets/launches", auth=LOGIN, headers=clicked)
    assert (answer.status_code, answer.headers["X-Frame-Options"]) == (200, "DENY")


def test_our_own_pages_do_what_they_are_for(doors: Doors) -> None:
    asked = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Origin": doors.site}
    answer = doors.ask("POST", "/graphql", auth=LOGIN, headers=asked, json={"query": "{version}"})
    assert answer.json()["data"]["version"]


# Readers

_SCHEMA = """
{ __schema { mutationType { name } types { name kind enumValues { name }
    inputFields { name defaultValue type { ...T } }
    fields { name args { name type { ...T } } type { ...T } } } } }
fragment T on __Type { name kind ofType { name kind ofType { name kind ofType { name kind ofType { name kind } } } } }
"""
_VALUES = {"Int": 1, "BigInt": 1, "Float": 1.0, "Boolean": True, "RunConfigData": {}, "JSONString": "{}"}

_JOB = {
    "repositoryLocationName": "rocket_assets.definitions",
    "repositoryName": "__repository__",
    "jobName": "__ASSET_JOB",
    "assetSelection": [{"path": ["launches"]}],
}
_RUN = {"selector": _JOB, "executionMetadata": {"tags": [{"key": "dagster/partition", "value": "2024-12-05"}]}}
_BACKFILL = {
    "partitionsByAssets": [
        {
            "assetKey": {"path": ["launches"]},
            "partitions": {"range": {"start": "2024-12-05", "end": "2024-12-06"}},
        }
    ]
}

_OF_TERMINATION = "{ __typename ... on TerminateRunFailure { message } ... on Error { message } }"
_SELECTIONS = {
    "launchMultipleRuns": "{ ... on LaunchMultipleRunsResult { launchMultipleRunsResult { __typename } } }",
    "terminateRuns": f"{{ ... on TerminateRunsResult {{ terminateRunResults {_OF_TERMINATION} }} }}",
    "terminateRun": _OF_TERMINATION,
    "terminatePipelineExecution": _OF_TERMINATION,
}
"""Where an answer to a mutation says elsewhere than usual what came of it."""

_HARMLESS = {
    "setNuxSeen": "remembers that the greeting was shown",
    "logTelemetry": "leaves no trace where telemetry is off, as it is with us",
}
"""What is not refused, and why that does not matter."""


def _said(to: str, query: str, variables: Mapping[str, Any] | None = None) -> _Row:
    return requests.post(f"{to}/graphql", json={"query": query, "variables": variables or {}}, timeout=120).json()


@dataclass(frozen=True)
class Mutation:
    """A change that GraphQL knows, as one asks for it."""

    name: str
    query: str
    variables: Mapping[str, Any]


@pytest.fixture(scope="module")
def mutations(doors: Doors) -> Sequence[Mutation]:
    """Every one that the schema has, of things that are there: a run, a backfill, a sensor, a schedule, an asset."""
    started = _said(
        doors.ours,
        """mutation($r: ExecutionParams!, $b: LaunchBackfillParams!) {
            run: launchRun(executionParams: $r) { ... on LaunchRunSuccess { run { id } } }
            one: launchPartitionBackfill(backfillParams: $b) { ... on LaunchBackfillSuccess { backfillId } }
            two: launchPartitionBackfill(backfillParams: $b) { ... on LaunchBackfillSuccess { backfillId } } }""",
        {"r": _RUN, "b": _BACKFILL},
    )["data"]
    run, backfill, ended = started["run"]["run"]["id"], started["one"]["backfillId"], started["two"]["backfillId"]
    _end(doors, ended)
    here = {"repositoryLocationName": "rocket_assets.definitions", "repositoryName": "__repository__"}
    sensor = {**here, "sensorName": "launch_images_follow"}
    schedule = {**here, "scheduleName": "launches_around_today"}
    states = _said(
        doors.ours,
        """query($s: SensorSelector!, $t: ScheduleSelector!) {
            sensorOrError(sensorSelector: $s) { ... on Sensor { sensorState { id } } }
            scheduleOrError(scheduleSelector: $t) { ... on Schedule { scheduleState { id } } } }""",
        {"s": sensor, "t": schedule},
    )["data"]
    again = {"parentRunId": run, "strategy": "ALL_STEPS"}
    given: Mapping[str, Mapping[str, Any]] = {
        "executionParams": {"executionParams": _RUN},
        "executionParamsList": {"executionParamsList": [_RUN]},
        "reexecutionParams": {"reexecutionParams": again},
        "backfillParams": {"backfillParams": _BACKFILL},
        "backfillId": {"backfillId": backfill},
        "runId": {"runId": run},
        "runIds": {"runIds": [run]},
        "sensorSelector": {"sensorSelector": sensor},
        "scheduleSelector": {"scheduleSelector": schedule},
        "assetPartitionRanges": {"assetPartitionRanges": [{"assetKey": {"path": ["launches"]}}]},
    }
    by_name: Mapping[str, Mapping[str, Any]] = {
        "stopSensor": {"id": states["sensorOrError"]["sensorState"]["id"]},
        "stopRunningSchedule": {"id": states["scheduleOrError"]["scheduleState"]["id"]},
        "launchPipelineReexecution": {"executionParams": None},
        "launchRunReexecution": {"executionParams": None},
        "reexecutePartitionBackfill": {"reexecutionParams": {"parentRunId": ended, "strategy": "ALL_STEPS"}},
    }
    schema = _said(doors.ours, _SCHEMA)["data"]["__schema"]
    types = {one["name"]: one for one in schema["types"]}
    found = list[Mutation]()
    for field in types[schema["mutationType"]["name"]]["fields"]:
        variables = {one["name"]: _value(one["type"], types) for one in field["args"]}
        known = {name: value for one in variables for name, value in given.get(one, {}).items()}
        found.append(Mutation(field["name"], _query(field), {**variables, **known, **by_name.get(field["name"], {})}))
    return found


def _end(doors: Doors, backfill_id: str) -> None:
    """Let a backfill have ended, which takes a daemon otherwise."""
    with dg.DagsterInstance.from_config(str(doors.home)) as instance:
        backfill = instance.get_backfill(backfill_id)
        assert backfill
        instance.update_backfill(backfill.with_status(type(backfill.status)["COMPLETED_SUCCESS"]))


def _value(type: _Row, types: Mapping[str, _Row]) -> Any:
    """Some value of a type."""
    if type["kind"] in ("NON_NULL", "LIST"):
        inner = _value(type["ofType"], types)
        return [inner] if type["kind"] == "LIST" else inner
    if type["kind"] == "ENUM":
        return types[type["name"]]["enumValues"][0]["name"]
    if type["kind"] == "INPUT_OBJECT":
        fields = types[type["name"]]["inputFields"]
        needed = [one for one in fields if one["type"]["kind"] == "NON_NULL" and one["defaultValue"] is None]
        return {one["name"]: _value(one["type"], types) for one in needed}
    return _VALUES.get(type["name"], "x")


def _spelled(type: _Row) -> str:
    if type["kind"] == "NON_NULL":
        return f"{_spelled(type['ofType'])}!"
    return f"[{_spelled(type['ofType'])}]" if type["kind"] == "LIST" else type["name"]


def _query(field: _Row) -> str:
    """A mutation with all its arguments, answered with the name of what came."""
    declared = ", ".join(f"${one['name']}: {_spelled(one['type'])}" for one in field["args"])
    passed = ", ".join(f"{one['name']}: ${one['name']}" for one in field["args"])
    answer = field["type"]
    while answer.get("ofType"):
        answer = answer["ofType"]
    selection = _SELECTIONS.get(field["name"], "{ __typename ... on Error { message } }")
    said = selection if answer["kind"] in ("UNION", "OBJECT", "INTERFACE") else ""
    ask = f"{field['name']}({passed})" if passed else field["name"]
    return f"mutation({declared}) {{ {ask} {said} }}" if declared else f"mutation {{ {ask} {said} }}"


_STATE = """{ instance { autoMaterializePaused concurrencyLimits { concurrencyKey slotCount } }
    runsOrError { ... on Runs { results { id status tags { key value } } } }
    partitionBackfillsOrError { ... on PartitionBackfills { results { id status } } }
    assetNodes { assetKey { path } latestMaterializationByPartition(partitions: ["2024-12-05"]) { timestamp } }
    repositoriesOrError { ... on RepositoryConnection { nodes {
        sensors { name sensorState { status typeSpecificData { ... on SensorData { lastCursor } } } }
        schedules { name scheduleState { status } } } } } }"""


def _is_refused(to: str, mutation: Mutation) -> bool:
    said = json.dumps(_said(to, mutation.query, mutation.variables))
    return "Unauthorized" in said or "You do not have permission" in said


def test_readers_see_everything(doors: Doors, mutations: Sequence[Mutation]) -> None:
    theirs = _said(doors.readers, _STATE)
    assert "errors" not in theirs
    assert theirs == _said(doors.ours, _STATE)
    assert len(theirs["data"]["runsOrError"]["results"]) == 1
    assert requests.get(doors.readers, timeout=60).ok


def test_readers_are_refused_every_change_that_there_is(doors: Doors, mutations: Sequence[Mutation]) -> None:
    before = _said(doors.ours, _STATE)
    taken = [mutation.name for mutation in mutations if not _is_refused(doors.readers, mutation)]
    assert sorted(taken) == sorted(_HARMLESS)
    assert _said(doors.ours, _STATE) == before
    assert len(mutations) > 30


@pytest.mark.parametrize("kind", ["materialization", "observation", "check"])
def test_readers_may_report_nothing(doors: Doors, kind: str) -> None:
    report = f"/report_asset_{kind}/launches?partition=1999-01-02&check_name=a&passed=true"
    assert requests.post(f"{doors.readers}{report}", timeout=60).status_code == 401
    assert requests.post(f"{doors.ours}{report}", timeout=60).status_code == 200


_NOT_HERE = ("setAppManagedComponent", "deleteAppManagedComponent", "addDynamicPartition", "deleteDynamicPartitions")
"""What is refused to everybody, because there is nothing here that it could be done to."""

_ENDS_ALL = ("shutdownRepositoryLocation", "reloadRepositoryLocation", "reloadWorkspace")


def test_who_has_the_login_is_refused_none_of_it(doors: Doors, mutations: Sequence[Mutation]) -> None:
    """So that the tests above do not hold because of what they ask for."""
    asked = [mutation for mutation in mutations if mutation.name not in (*_NOT_HERE, *_ENDS_ALL)]
    assert not [mutation.name for mutation in asked if _is_refused(doors.ours, mutation)]


# What strangers see


def test_the_public_site_is_that_of_the_readers_and_asks_for_no_login(doors: Doors) -> None:
    public = _said(doors.public, "{ version permissions { permission value } }")
    assert public["data"]["version"]
    assert public == _said(doors.readers, "{ version permissions { permission value } }")
    assert {one["value"] for one in public["data"]["permissions"]} == {False}


def test_a_stranger_gets_neither_the_records_of_a_run_as_a_file_nor_the_gallery(doors: Doors) -> None:
    assert requests.get(f"{doors.public}/download_debug/x", timeout=60).status_code == 404
    assert PAGE not in requests.get(f"{doors.public}/gallery/index.html", timeout=60).text


def test_the_webserver_tells_a_stranger_its_versions_and_no_more(doors: Doors) -> None:
    told = requests.get(f"{doors.public}/server_info", timeout=60).json()
    assert set(told) == {"dagster_version", "dagster_webserver_version", "dagster_graphql_version"}


def test_the_pages_know_that_telemetry_is_off(doors: Doors) -> None:
    assert '"telemetryEnabled":false' in requests.get(doors.public, timeout=60).text.replace(" ", "")


# Loopback


def test_a_webserver_listens_on_loopback_unless_told_otherwise(doors: Doors) -> None:
    assert doors.listening == {"ours": {HOST}, "readers": {HOST}}


def test_make_dev_listens_on_loopback(tmp_path: Path) -> None:
    """Its UI and all that belongs to it: code servers, and the gallery's server."""
    port, gallery = free_port(), free_port()
    arguments = ["make", "-n", "dev", f"PORT={port}", f"GALLERY_PORT={gallery}"]
    environ = Home(tmp_path).environ | {"ROCKET_ASSETS_END_DATE": "2000-01-01"}
    done = subprocess.run(arguments, cwd=ROOT, env=environ, capture_output=True, text=True, check=True)
    line = done.stdout.splitlines()[-1]
    with running(["sh", "-c", line], environ, tmp_path, lambda: listens(port) and listens(gallery)) as process:
        assert listening(process) == {HOST}
