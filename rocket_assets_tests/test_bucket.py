"""A storage in a bucket: how it fails, what it says then, and that the whole archive is at home there.

What holds of every storage is in `test_storage`.
"""

from __future__ import annotations

import math
import re
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from rocket_assets import storage as keys
from rocket_assets.archive import Archive, Manifest
from rocket_assets.bringing import bring_images
from rocket_assets.errors import Missing, StorageFailed
from rocket_assets.launches import data_version
from rocket_assets.sample_library.api import Row
from rocket_assets.sample_library.catalogue import launches
from rocket_assets.sample_library.server import LibraryServer
from rocket_assets.settings import Settings
from rocket_assets.storage import Storage
from rocket_assets.verification import Level, verify
from rocket_assets_tests.bucket import KEY, REFUSED, S3, SECRET, SESSION, Fault, Request
from rocket_assets_tests.project import BOTH, Project
from rocket_assets_tests.test_promises import bring, problems, small

OLD, NEW = b"old" * 100, b"new" * 100

Act = Callable[[Storage], object]

ACTS: dict[str, Act] = {
    "write": lambda store: store.write("a", NEW),
    "write something new": lambda store: store.write("new", NEW),
    "read": lambda store: store.read("a"),
    "copy": lambda store: store.copy("a", "b"),
    "list": lambda store: list(store.list()),
    "delete": lambda store: store.delete(["a"]),
    "make sure": lambda store: store.ensure_writable(),
}


@pytest.fixture
def bucket(s3: S3) -> Storage:
    """A part of a bucket, with one object in it, which is given up soon when it fails."""
    store = Storage(f"{s3.make_bucket()}/archive", patience=0.3)
    store.write("a", OLD)
    s3.requests.clear()
    return store


def everything(store: Storage) -> dict[str, bytes]:
    return {found.key: store.read(found.key) for found in store.list()}


def changes(s3: S3) -> list[str]:
    """The requests that changed something."""
    return [request for request in s3.requests if request.split()[0] not in ("GET", "HEAD")]


def refusal(code: str, message: str) -> str:
    """What S3 answers, with the name of the access key that some of its answers repeat."""
    return f"<Error><Code>{code}</Code><Message>{message}</Message><AWSAccessKeyId>{KEY}</AWSAccessKeyId></Error>"


RIGHTS = "Are the credentials in the variables AWS_… right, and may one read, write, list and delete with them?"
REGION = "Name the region of the bucket in ROCKET_ASSETS_STORAGE_REGION."
LATER = "That is the server's own trouble: try again later."
ANYTHING = "Is ROCKET_ASSETS_STORAGE right, are the credentials in the variables AWS_…, and may we write there?"
MALFORMED = "the region 'us-east-1' is wrong; expecting 'eu-central-1'"

FAULTS = {
    "refused": (Fault(status=403, body=REFUSED), "403 Forbidden", RIGHTS),
    "without rights": (Fault(status=403, body=refusal("AccessDenied", "Access Denied")), "403 Forbidden", RIGHTS),
    "without credentials": (Fault(status=401), "401 Unauthorized", RIGHTS),
    "another region": (Fault(status=301), "an incorrectly configured region", REGION),
    "broken": (Fault(status=500), "500 Internal Server Error", LATER),
    "out of breath": (Fault(status=503), "503 Service Unavailable", LATER),
    "breaks off": (
        Fault(breaks_after=0),
        "HTTP error",
        "Does that server answer, and is ROCKET_ASSETS_STORAGE_ENDPOINT right?",
    ),
    "something else": (Fault(status=409), "409 Conflict", ANYTHING),
}


@pytest.mark.parametrize("act", ACTS.values(), ids=list(ACTS))
@pytest.mark.parametrize(("fault", "said", "advice"), FAULTS.values(), ids=list(FAULTS))
def test_a_bucket_that_fails_is_an_error_that_says_what_to_look_at_and_shows_no_secret(
    bucket: Storage, s3: S3, act: Act, fault: Fault, said: str, advice: str
) -> None:
    s3.fault = fault
    with pytest.raises(StorageFailed) as raised:
        act(bucket)
    sentence = str(raised.value)
    assert not isinstance(raised.value, Missing)
    assert said in sentence
    assert "\n" not in sentence
    assert "Debug source" not in sentence
    assert re.match(r"Could not [a-z ]+ (\S+ in )?the storage s3://bucket-\S+/archive: ", sentence)
    assert sentence.endswith(f". {advice}")
    shown = f"{sentence} {raised.value!r} {raised.value.__cause__} {bucket!r} {bucket.uri}"
    assert not [secret for secret in (KEY, SECRET, SESSION) if secret in shown]
    s3.fault = None
    assert everything(bucket) == {"a": OLD}


# What comes without a body to who only looks whether something is there.
CODES = {
    "a clock that is wrong": (403, "RequestTimeTooSkewed", "is too large", "Set the clock of this machine right."),
    "a region that is wrong": (400, "AuthorizationHeaderMalformed", MALFORMED, REGION),
    "credentials that are too old": (400, "ExpiredToken", "The provided token has expired", RIGHTS),
    "a bucket that is gone": (
        404,
        "NoSuchBucket",
        "The specified bucket does not exist",
        "Make that bucket, or name another in ROCKET_ASSETS_STORAGE.",
    ),
}


@pytest.mark.parametrize("act", [ACTS["make sure"], ACTS["list"], ACTS["read"], ACTS["delete"]])
@pytest.mark.parametrize(("status", "code", "message", "advice"), CODES.values(), ids=list(CODES))
def test_what_the_server_says_is_told_with_what_one_can_do_about_it(
    bucket: Storage, s3: S3, act: Act, status: int, code: str, message: str, advice: str
) -> None:
    s3.fault = Fault(status=status, body=refusal(code, message))
    with pytest.raises(StorageFailed, match=re.escape(f": {code}: {message}. {advice}")) as raised:
        act(bucket)
    assert KEY not in str(raised.value)


def test_who_has_no_credentials_and_is_no_machine_of_a_cloud_is_told_so(
    bucket: Storage, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", f"http://127.0.0.1:{s3.port}")
    s3.fault = Fault(status=403)
    with pytest.raises(StorageFailed, match=r"the variables AWS_… right\? Where there are none, the machine must have"):
        Storage(bucket.uri, patience=0.3).ensure_writable()
    assert {request.split()[1] for request in s3.requests} == {"/latest/api/token"}


def test_what_the_server_says_of_a_refusal_is_told_but_not_what_it_repeats_of_the_request(
    bucket: Storage, s3: S3
) -> None:
    s3.fault = Fault(status=403, body=REFUSED)
    with pytest.raises(
        StorageFailed,
        match=r"SignatureDoesNotMatch: The signature that we calculated is not the one you provided\. Are the cred",
    ):
        bucket.read("a")


def test_an_address_with_a_password_is_told_without_it(
    bucket: Storage, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://user:{SECRET}@127.0.0.1:{s3.port}")
    s3.fault = Fault(status=500)
    with pytest.raises(StorageFailed, match=f"http://127.0.0.1:{s3.port}/") as raised:
        Storage(bucket.uri, patience=0.1).read("a")
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("act", ACTS.values(), ids=list(ACTS))
def test_a_bucket_that_is_not_there_is_an_error_and_not_a_missing_key(s3: S3, act: Act) -> None:
    with pytest.raises(StorageFailed, match="NoSuchBucket: The specified bucket does not exist") as raised:
        act(Storage("s3://no-such-bucket/archive"))
    assert not isinstance(raised.value, Missing)


def test_a_server_that_takes_no_connection_is_given_up_when_patience_is_at_its_end(bucket: Storage) -> None:
    """As behind a firewall: nobody answers, not even with a refusal."""
    with socket.socket() as full, socket.socket() as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting.connect(full.getsockname())
        started = time.monotonic()
        with pytest.raises(StorageFailed, match=r"sending request\. Does that server answer, and is ROCKET_A"):
            Storage(bucket.uri, endpoint=f"http://127.0.0.1:{full.getsockname()[1]}", patience=0.3).ensure_writable()
        assert time.monotonic() - started < 10


@pytest.mark.parametrize("act", ACTS.values(), ids=list(ACTS))
def test_a_server_that_is_down_is_an_error_within_seconds(
    monkeypatch: pytest.MonkeyPatch, bucket: Storage, act: Act
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(StorageFailed, match=r"http://127\.0\.0\.1:1/.*error sending request"):
        act(Storage(bucket.uri, patience=0.3))


def test_a_server_that_keeps_silent_is_not_asked_again_when_patience_is_at_its_end(
    bucket: Storage, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_TIMEOUT", "1s")
    s3.fault = Fault(silent=True)
    # A try takes a second, and more on a machine that has other things to do.
    for patience, tries in ((0.5, {1}), (3, {2, 3})):
        s3.requests.clear()
        started = time.monotonic()
        with pytest.raises(StorageFailed, match="error sending request"):
            Storage(bucket.uri, patience=patience).read("a")
        assert len(s3.requests) in tries
        assert time.monotonic() - started < 20


def test_by_itself_a_storage_is_patient_for_half_a_minute(bucket: Storage, s3: S3) -> None:
    s3.fault = Fault(status=500)
    with pytest.raises(StorageFailed, match="retry_timeout: 30s"):
        Storage(bucket.uri).read("a")


@pytest.mark.parametrize("status", [500, 503])
def test_a_server_that_recovers_is_asked_again(bucket: Storage, s3: S3, status: int) -> None:
    s3.fault = Fault(status=status, times=2)
    assert Storage(bucket.uri).write("b", NEW) is True
    assert everything(bucket) == {"a": OLD, "b": NEW}


@pytest.mark.parametrize("key", ["a", "new"], ids=["over an old object", "a new object"])
def test_an_upload_that_breaks_off_after_120_bytes_leaves_what_was_there(bucket: Storage, s3: S3, key: str) -> None:
    s3.fault = Fault(("PUT",), breaks_after=120)
    with pytest.raises(StorageFailed, match=f"Could not write {key} in the storage"):
        bucket.write(key, NEW)
    assert everything(bucket) == {"a": OLD}
    s3.fault = None
    assert bucket.write(key, NEW) is True
    assert everything(bucket) == {"a": OLD} | {key: NEW}


def test_an_upload_that_breaks_off_once_is_repeated_and_whole(bucket: Storage, s3: S3) -> None:
    s3.fault = Fault(("PUT",), breaks_after=120, times=1)
    assert Storage(bucket.uri).write("a", NEW) is True
    assert len(changes(s3)) == 2
    assert everything(bucket) == {"a": NEW}


@pytest.mark.parametrize("act", [lambda store: store.write("b", OLD), lambda store: store.copy("a", "b")])
def test_a_change_whose_answer_is_lost_is_repeated_and_whole(bucket: Storage, s3: S3, act: Act) -> None:
    s3.fault = Fault(("PUT",), loses_answer=True, times=1)
    assert act(Storage(bucket.uri)) is True
    assert len(changes(s3)) == 2
    assert everything(bucket) == {"a": OLD, "b": OLD}


@pytest.mark.parametrize("times", [1, 2])
def test_a_download_that_breaks_off_is_never_taken_for_the_whole(bucket: Storage, s3: S3, times: int) -> None:
    s3.fault = Fault(("GET",), breaks_after=120, times=times)
    assert Storage(bucket.uri).read("a") == OLD
    s3.fault = Fault(("GET",), breaks_after=0)
    with pytest.raises(StorageFailed, match="Could not read a in"):
        bucket.read("a")


def test_endpoint_and_region_win_over_what_the_environment_says_of_them(
    s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No yes to a server that is not encrypted is needed besides."""
    uri = s3.make_bucket()
    monkeypatch.delenv("AWS_ALLOW_HTTP")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    settings = Settings.read(
        {
            "ROCKET_ASSETS_STORAGE": uri,
            "ROCKET_ASSETS_STORAGE_ENDPOINT": f"http://127.0.0.1:{s3.port}/",
            "ROCKET_ASSETS_STORAGE_REGION": "eu-central-1",
        }
    )
    s3.requests.clear()
    assert Storage.named_by(settings).write("a", OLD) is True
    assert {request.region for request in s3.requests} == {"eu-central-1"}
    assert [str(request) for request in s3.requests] == [f"{method} /{uri[5:]}/a" for method in ("GET", "PUT")]


def test_what_the_environment_says_of_a_bucket_holds_where_the_settings_say_nothing(
    s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    storage = Storage.named_by(Settings.read({"ROCKET_ASSETS_STORAGE": s3.make_bucket()}))
    s3.requests.clear()
    assert storage.write("a", OLD) is True
    assert {request.region for request in s3.requests} == {"eu-north-1"}


@pytest.mark.parametrize("kind", ["folder", "memory"])
def test_to_a_folder_and_to_memory_endpoint_and_region_mean_nothing(kind: str, tmp_path: Path) -> None:
    storage = Storage(
        str(tmp_path) if kind == "folder" else f"memory://{uuid.uuid4()}", endpoint="http://127.0.0.1:1", region="x"
    )
    assert storage.write("a", OLD) is True
    assert storage.read("a") == OLD


def test_equal_bytes_are_neither_put_nor_copied(bucket: Storage, s3: S3) -> None:
    bucket.write("b", OLD)
    s3.requests.clear()
    assert bucket.write("a", OLD) is False
    assert bucket.copy("a", "b") is False
    assert changes(s3) == []


def test_an_object_is_put_in_one_piece_whatever_its_size_and_a_copy_is_known_by_its_tag(
    bucket: Storage, s3: S3
) -> None:
    body = bytes(12_000_000)
    assert bucket.write("large", body) is True
    assert bucket.copy("large", "copy") is True
    assert len(changes(s3)) == 2
    s3.requests.clear()
    assert bucket.copy("large", "copy") is False
    assert {request.split()[0] for request in s3.requests} == {"HEAD"}
    assert bucket.read("copy") == body


def test_an_address_in_a_bucket_is_its_uri(bucket: Storage) -> None:
    assert bucket.address("a/b") == f"{bucket.uri}/a/b"
    assert list(bucket.leftovers()) == []


def alike(days: int) -> Callable[[str], list[Row]]:
    """A launch on each of so many days from 2024-12-01 on, all with one picture."""

    def rows(base_url: str) -> list[Row]:
        some = launches(base_url)
        nets = (datetime(2024, 12, 1, 12, tzinfo=UTC) + timedelta(days=day) for day in range(days))
        changed = {"image": next(row["image"] for row in some if row["image"])}
        return [
            some[0] | changed | {"id": str(uuid.UUID(int=number)), "net": f"{net:%Y-%m-%dT%H:%M:%SZ}"}
            for number, net in enumerate(nets)
        ]

    return rows


def take_your_time(patch: pytest.MonkeyPatch) -> None:
    """Days whose pictures are long in coming are looked at again; here not, though the machine be busy."""
    patch.setattr(bring_images, "__kwdefaults__", {"fresh_seconds": math.inf})


def test_each_day_more_costs_a_bucket_four_calls_for_a_picture_that_is_known_and_three_for_its_launches(
    s3: S3, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that a run does counts, its checks included; the second time, when nothing is written, it is less."""
    take_your_time(monkeypatch)

    def calls(start: str, end: str) -> dict[str, int]:
        counted = dict[str, int]()
        for asset in BOTH:
            s3.requests.clear()
            assert project.bring(start, end, [asset]).success
            # Several threads may look for the one picture at the same moment.
            pooled = [request for request in s3.requests if f"/{keys.POOL}" in request]
            counted[asset] = len(s3.requests) - len(pooled) + len(set(pooled))
        return counted

    with LibraryServer(rows=alike(days=40), picture=small) as library:
        project = Project(library.url, Storage(f"{s3.make_bucket()}/archive"), instance)
        assert all(result.success for result in project.bring_both("2024-12-01", "2024-12-02"))
        few, many = calls("2024-12-03", "2024-12-08"), calls("2024-12-09", "2024-12-30")
        few_again, many_again = calls("2024-12-03", "2024-12-08"), calls("2024-12-09", "2024-12-30")

    def of_one_more(many: dict[str, int], few: dict[str, int]) -> dict[str, int]:
        return {asset: round((many[asset] - few[asset]) / (22 - 6)) for asset in BOTH}

    assert of_one_more(many, few) == {"launches": 3, "launch_images": 4}
    assert of_one_more(many_again, few_again) == {"launches": 2, "launch_images": 3}


Call = tuple[list[str], str | None, str | None]

RUNS: dict[str, Call] = {
    "launches": (["launches"], "2024-12-02", "2024-12-08"),
    "launch_images": (["launch_images"], "2024-12-02", "2024-12-08"),
    "launch_gallery": (["launch_gallery"], "2024-12-01", None),
    "launch_table": (["launch_table"], "2024-12-01", None),
    "gallery_index": (["gallery_index"], None, None),
}
"""What a week costs that is brought and shown: each asset, from when to when."""


@dataclass
class Normal:
    """A week that was brought and shown in a bucket in which there is much else; what each of its runs asked for."""

    project: Project
    asked: dict[str, list[Request]]
    again: dict[str, list[Request]]


@pytest.fixture(scope="module")
def normal(s3_server: S3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Normal]:
    """The week twice."""
    with (
        LibraryServer(picture=small) as library,
        dg.DagsterInstance.ephemeral(tempdir=str(tmp_path_factory.mktemp("dagster"))) as instance,
    ):
        with pytest.MonkeyPatch.context() as patch:
            for name, value in s3_server.environ.items():
                patch.setenv(name, value)
            take_your_time(patch)
            storage = Storage(f"{s3_server.make_bucket()}/archive")
            for year in (1957, 1999, 2023, 2025):
                for folder in (keys.LAUNCHES, keys.IMAGES, keys.TABLE):
                    storage.put(f"{folder}{year}/beside", OLD)
            storage.put(f"{keys.IMAGES}2024/2024-11-05/beside", OLD)
            storage.put(f"{keys.POOL}00/beside", OLD)
            project = Project(library.url, storage, instance)

            def run(call: Call) -> list[Request]:
                assets, start, end = call
                s3_server.requests.clear()
                assert project.bring(start, end, assets).success
                return list(s3_server.requests)

            first, second = ({name: run(call) for name, call in RUNS.items()} for _ in range(2))
        yield Normal(project, first, second)


def listed(requests: Iterable[Request]) -> set[str]:
    """The folders of the archive that were listed."""
    return {request.lists.removeprefix("archive/") for request in requests if request.lists is not None}


def count(requests: Iterable[Request], method: str, folder: str) -> int:
    """How many of them bear this method and are about something in this folder; copies are no PUT."""
    there = f"/archive/{folder}"
    return sum((("COPY" if one.copies else one.split()[0]), there in one) == (method, True) for one in requests)


def test_a_normal_run_lists_the_folders_that_it_is_about_and_never_the_whole_bucket(normal: Normal, s3: S3) -> None:
    no_folder = set[str]()
    of_a_week = {"launch_images": {"images/2024/"}, "gallery_index": {"gallery/"}}
    for asked in (normal.asked, normal.again):
        assert {name: listed(requests) for name, requests in asked.items()} == dict.fromkeys(
            RUNS, no_folder
        ) | of_a_week
    s3.requests.clear()
    assert normal.project.bring("2024-12-05").success
    assert listed(s3.requests) == {"images/2024/2024-12-05/"}


def test_a_picture_goes_once_over_the_network_and_beside_its_launches_by_a_copy_of_the_server(normal: Normal) -> None:
    archive = Archive(normal.project.storage)
    entries = [entry for day in range(2, 9) for entry in archive.read_manifest(date(2024, 12, day)).entries]
    pictures = [entry.sha256 for entry in entries if entry.sha256]
    assert len(pictures) > len(set(pictures)) > 1
    asked = normal.asked["launch_images"]
    by_url = count(asked, "PUT", keys.ADDRESSES)
    assert count(asked, "PUT", keys.POOL) - by_url == len(set(pictures))
    assert count(asked, "COPY", keys.IMAGES) == len(pictures)
    assert [one for one in asked if one.startswith("PUT") and not one.copies and "/images/" in one] == [
        one for one in asked if one.endswith("/manifest.json") and one.startswith("PUT")
    ]


def test_a_second_time_nothing_is_written_or_copied(normal: Normal) -> None:
    for requests in normal.again.values():
        assert {one.rpartition("/")[2] for one in requests if one.startswith("PUT")} == {".writable"}


def test_a_month_costs_a_bucket_two_calls_a_day_that_is_stored_and_three_a_picture_that_is_new(normal: Normal) -> None:
    """Of the other days of the month it is asked once, whether they are there."""
    days, month = 7, 31
    pictures = count(normal.asked["launch_gallery"], "PUT", keys.THUMBNAILS)
    assert pictures > 1
    writable, page_and_summary, table, pages_of_index = 2, 2, 1, 3
    costs = {
        "launch_gallery": month + days + writable + 2 * page_and_summary + 3 * pictures,
        "launch_table": month + days + writable + 2 * table,
        "gallery_index": writable + 2 * pages_of_index + 1 + 1,
    }
    assert {name: len(normal.asked[name]) for name in costs} == costs
    again = {
        "launch_gallery": costs["launch_gallery"] - page_and_summary - 2 * pictures,
        "launch_table": costs["launch_table"] - table,
        "gallery_index": costs["gallery_index"] - pages_of_index,
    }
    assert {name: len(normal.again[name]) for name in costs} == again


def test_promise_5_twice_is_the_same_as_once_in_a_bucket_too(bucket: Storage, s3: S3) -> None:
    bucket.delete(["a"])
    with LibraryServer(picture=small) as library:
        bring(library, bucket)
        once = {found.key: found for found in bucket.list()}
        s3.requests.clear()
        bring(library, Storage(bucket.uri))
    assert changes(s3) == []
    assert s3.requests
    assert {found.key: found for found in bucket.list()} == once
    assert {key.split("/")[0] for key in once} == {"launches", "images", "pool"}


def test_a_bucket_holds_what_a_folder_holds(bucket: Storage, storage: Storage) -> None:
    bucket.delete(["a"])
    with LibraryServer(picture=small) as library:
        bring(library, bucket)
        bring(library, storage)
    assert everything(bucket) == everything(storage)


@pytest.mark.parametrize("level", ["quick", "full"])
def test_verify_finds_in_a_bucket_what_is_damaged_missing_or_foreign(bucket: Storage, level: Level) -> None:
    with LibraryServer(picture=small) as library:
        archive = bring(library, bucket)
    assert problems(archive, level) == []
    pictures = sorted(found.key for found in bucket.list("images/") if not found.key.endswith("manifest.json"))
    flipped, missing, *_ = pictures
    body = bucket.read(flipped)
    bucket.write(flipped, body[:200] + bytes([body[200] ^ 1]) + body[201:])
    bucket.delete([missing])
    bucket.write(f"{missing}.bak", b"x")
    found = " ".join(problems(archive, level))
    assert f"{missing} is missing" in found
    assert f"{missing}.bak is a foreign file" in found
    assert (f"{flipped} is not what was stored" in found) is (level == "full")


def test_verify_asks_a_bucket_for_several_days_at_once(bucket: Storage, storage: Storage, s3: S3) -> None:
    """There are 25,000 of them, and each is a few round trips."""
    archives = [Archive(storage), Archive(bucket)]
    for archive in archives:
        for number in range(1, 25):
            day = date(2024, 12, number)
            archive.write_launches(day, "here", [])
            archive.storage.put(keys.manifest_key(day), Manifest(day, data_version([]), []).sealed())
    s3.most_at_once = 0
    looked = [list(verify(archive, level="full")) for archive in archives]
    assert looked[0] == looked[1]
    assert [part.day for part in looked[1] if part.day] == [date(2024, 12, number) for number in range(1, 25)]
    assert not [part.problems for part in looked[1] if part.problems]
    assert 4 <= s3.most_at_once <= 16


def test_promise_11_the_commands_work_on_a_bucket_and_put_no_secret_of_it_on_record(
    s3: S3, bucket: Storage, sample_library: LibraryServer, tmp_path: Path
) -> None:
    bucket.delete(["a"])
    # In .env, as a user would write it.
    variables = {
        "ROCKET_ASSETS_API_URL": sample_library.url,
        "ROCKET_ASSETS_STORAGE": bucket.uri,
        "ROCKET_ASSETS_STORAGE_ENDPOINT": s3.environ["AWS_ENDPOINT_URL"],
        "ROCKET_ASSETS_STORAGE_REGION": "eu-central-1",
        **{name: value for name, value in s3.environ.items() if name not in ("AWS_ENDPOINT_URL", "AWS_ALLOW_HTTP")},
    }
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))

    def rocket_assets(*arguments: str, code: int = 0) -> str:
        command = [str(Path(sys.executable).with_name("rocket-assets")), *arguments]
        done = subprocess.run(command, env={"PATH": ""}, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    s3.requests.clear()
    said = rocket_assets("backfill", "2024-12-03", "2024-12-06")
    assert re.search(r"4 days brought: \d+ launches, \d+ pictures", said)
    assert f"{bucket.uri}/images" in said
    assert {request.region for request in s3.requests} == {"eu-central-1"}
    assert len(list(bucket.list("launches/"))) == 4
    assert not (tmp_path / "data").exists()
    s3.requests.clear()
    rocket_assets("verify", "--level", "full")
    assert rocket_assets("gallery", "--print").startswith(f"{bucket.uri}/gallery/index.html\n")
    assert {request.region for request in s3.requests} == {"eu-central-1"}
    s3.requests.clear()
    rocket_assets("backfill", "2024-12-03", "2024-12-06")
    # Whether we may write is tried again; nothing else is put, and nothing copied.
    assert {request.rpartition("/")[2] for request in s3.requests if request.startswith("PUT")} == {".writable"}
    s3.fault = Fault(("GET",), status=403, body=REFUSED)
    said = rocket_assets("backfill", "2024-12-05", "2024-12-05", code=1)
    assert "SignatureDoesNotMatch" in said
    records = b"".join(path.read_bytes() for path in (tmp_path / ".dagster").rglob("*") if path.is_file())
    assert b"SignatureDoesNotMatch" in records
    assert not [secret for secret in (KEY, SECRET, SESSION) if secret.encode() in records + said.encode()]
