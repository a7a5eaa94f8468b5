"""What users rely on, promise by promise, held against two weeks of the sample library; Dagster takes no part here.

The promises on the API's limit (7), on slips (10) and on secrets (11) are tested where they are kept, under that name.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from rocket_assets import bringing
from rocket_assets import storage as keys
from rocket_assets.archive import Archive
from rocket_assets.bringing import ImageDay
from rocket_assets.documents import unseal
from rocket_assets.errors import Missing, Unavailable
from rocket_assets.images import ImageLibrary, inspect
from rocket_assets.launch_library import LaunchLibrary
from rocket_assets.launches import data_version, days_between
from rocket_assets.sample_library import catalogue
from rocket_assets.sample_library.server import MEDIA, LibraryServer
from rocket_assets.storage import Storage
from rocket_assets.verification import Level, verify
from rocket_assets_tests.kills import Kills, Work, kill_at_each_step
from rocket_assets_tests.scripted_server import HERE, Answer, Request, ScriptedServer
from rocket_assets_tests.test_images import GOOD, HTML, NOT_PICTURES, picture

FIRST, LAST = date(2024, 12, 1), date(2024, 12, 14)
DAYS = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
BUSY = date(2024, 12, 5)
EMPTY = date(2024, 12, 1)

Row = dict[str, Any]


@functools.cache
def small(file: str) -> bytes:
    """A small picture for each file of the library: drawing the large ones is not what is tested here."""
    kind = {"png": "PNG", "webp": "WEBP", "gif": "GIF"}.get(file.rpartition(".")[2], "JPEG")
    return picture(kind, int.from_bytes(hashlib.sha256(file.encode()).digest()[:4]))


@pytest.fixture
def library() -> Iterator[LibraryServer]:
    """The sample library with small pictures."""
    with LibraryServer(picture=small) as server:
        yield server


def bring_launches(library: LibraryServer, archive: Archive, first: date = FIRST, last: date = LAST) -> None:
    with LaunchLibrary(library.url, backoff=0, retries=1) as api:
        for day in api.days(first, last + timedelta(days=1)):
            archive.write_launches(day.day, day.source, day.launches)


def bring_images(archive: Archive, first: date = FIRST, last: date = LAST) -> list[ImageDay]:
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    with ImageLibrary(archive.storage, api_url=HERE, retries=1, backoff=0) as pictures:
        return sorted(bringing.bring_images(archive, days, pictures), key=lambda brought: brought.day)


def bring(library: LibraryServer, storage: Storage) -> Archive:
    """Two weeks of launches and pictures; all of them must be done."""
    archive = Archive(storage)
    bring_launches(library, archive)
    assert [day.error for day in bring_images(archive)] == [None] * len(DAYS)
    return archive


def tree(folder: Path) -> dict[str, bytes]:
    """Every file in a folder, those that no list of the storage shows included."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def problems(archive: Archive, level: Level) -> list[str]:
    days = list(days_between(FIRST, LAST))
    return [problem.text for part in verify(archive, days, level=level) for problem in part.problems]


SOME = (date(2024, 12, 4), date(2024, 12, 6))
"""Three days with nine launches."""


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Kills:
    """Three days, killed before each step of their first run, and within each write."""
    with LibraryServer(picture=small) as library:
        return kill_at_each_step(Work(library.url, *SOME), tmp_path_factory.mktemp("first"))


def rearranged(base_url: str) -> list[Row]:
    """The library a day later: a launch has slipped to the next day, one has gone, the others bear other names."""
    rows = [row for row in catalogue.launches(base_url) if not row["net"].startswith("2024-12-04T04")]
    for row in rows:
        row["name"] = row["name"].replace("Falcon 9 Block 5", "Falcon 9")
        if row["net"].startswith("2024-12-05T21"):
            row["net"] = row["net"].replace("12-05T21", "12-06T21")
    return rows


@pytest.fixture(scope="module")
def later_run(tmp_path_factory: pytest.TempPathFactory) -> Kills:
    """The same days, brought again after the library has changed, killed in the course of that."""
    root = tmp_path_factory.mktemp("later")
    with LibraryServer(picture=small) as library:
        archive = Archive(Storage(str(root / "seed")))
        bring_launches(library, archive, *SOME)
        bring_images(archive, *SOME)
    with LibraryServer(picture=lambda file: small(f"x{file}"), rows=rearranged) as library:
        return kill_at_each_step(Work(library.url, *SOME), root)


@pytest.mark.parametrize(("run", "steps"), [("first_run", 48), ("later_run", 46)], ids=["first run", "later run"])
def test_promise_1_killed_anywhere_run_again_the_same_bytes_as_if_never_killed(
    request: pytest.FixtureRequest, run: str, steps: int
) -> None:
    kills: Kills = request.getfixturevalue(run)
    expected = tree(kills.root / "unkilled")
    assert len(kills.states("mended")) >= steps
    for folder in kills.states("mended"):
        assert tree(folder) == expected, folder.name
    # The kills did hit: what they left differs, and from one another.
    left = [hash(frozenset(tree(folder).items())) for folder in kills.states("state")]
    assert len(set(left)) > steps // 2


@pytest.mark.slow
def test_promise_1_holds_for_two_weeks_too(library: LibraryServer, tmp_path: Path) -> None:
    kills = kill_at_each_step(Work(library.url, FIRST, LAST), tmp_path, every=4)
    expected = tree(tmp_path / "unkilled")
    assert len(kills.states("mended")) >= 13
    for folder in kills.states("mended"):
        assert tree(folder) == expected, folder.name


def test_promise_1_a_run_that_changes_something_deletes_what_is_no_longer_named(later_run: Kills) -> None:
    before, after = tree(later_run.root / "seed"), tree(later_run.root / "unkilled")
    assert {key for key in before if key.startswith("images/")} - after.keys()
    assert {key for key in before if key.startswith("pool/")} <= after.keys()


ENDS = {".html": b"</html>\n", ".css": b"}\n", ".parquet": b"PAR1"}
"""How a whole file of what is made of the days ends."""


def _is_whole(key: str, body: bytes) -> None:
    if key.endswith(".json"):
        unseal(body, key)
    elif key.startswith("pool/"):
        assert Path(key).stem == hashlib.sha256(body).hexdigest(), key
    elif (ends := ENDS.get(Path(key).suffix)) is not None:
        assert body.endswith(ends), key
    else:
        inspect(body, key)


@pytest.mark.parametrize("run", ["first_run", "later_run"], ids=["first run", "later run"])
def test_promise_2_a_file_under_its_final_name_is_whole_and_the_manifest_comes_last(
    run: str, request: pytest.FixtureRequest
) -> None:
    manifests = 0
    kills: Kills = request.getfixturevalue(run)
    for folder in kills.states("state"):
        archive = Archive(Storage(str(folder)))
        files = tree(folder)
        for key, body in files.items():
            if key in set(archive.storage.leftovers()):
                continue
            _is_whole(key, body)
        for day in days_between(*SOME):
            try:
                manifest = archive.read_manifest(day)
            except Missing:
                continue
            manifests += 1
            launches = archive.read_launches(day)
            if data_version(launches) == manifest.launches_version:
                assert [entry.launch_id for entry in manifest.entries] == [one.id for one in launches]
            for entry in [entry for entry in manifest.entries if entry.file]:
                body = files[f"{keys.images_folder(day)}{entry.file}"]
                assert hashlib.sha256(body).hexdigest() == entry.sha256, (folder.name, entry)
                assert len(body) == entry.bytes
    assert manifests


BAD_ANSWERS = {
    **{f"/{status}": Answer(status, b"no picture") for status in (204, 301, 400, 403, 404, 410, 429, 500, 503)},
    **{f"/body/{n}": Answer(body=body, content_type="image/jpeg") for n, body in enumerate(NOT_PICTURES.values())},
    "/loop": Answer(302, headers={"Location": "/loop"}),
    "/login": Answer(302, headers={"Location": "/login.html"}),
    "/login.html": Answer(body=HTML, content_type="text/html"),
    "/script": Answer(302, headers={"Location": "javascript:alert(1)"}),
    "/cut": Answer(body=picture()[:900], announced=len(picture())),
    "/reset": Answer(reset=True),
    "/error-with-a-picture": Answer(500, picture()),
    "/refusal-with-a-picture": Answer(404, picture()),
}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_promise_3_what_is_not_a_picture_is_never_stored_as_one(storage: Storage) -> None:
    good = {f"/good/{n}": Answer(body=body, content_type="text/html") for n, (body, _) in enumerate(GOOD.values())}
    answers = BAD_ANSWERS | good

    def rows(base_url: str) -> list[Row]:
        sample = next(row for row in catalogue.launches(base_url) if row["net"].startswith(f"{BUSY}"))
        urls = [*map(hosts.url, answers), "javascript:alert(1)", "file:///etc/passwd", "", "a.jpg", "http://a..b/"]
        return [
            sample | {"id": f"{n:08}{sample['id'][8:]}", "image": sample["image"] | {"image_url": url}}
            for n, url in enumerate(urls)
        ]

    def answer(request: Request) -> Answer:
        return answers[request.path]

    with ScriptedServer(answer) as hosts, LibraryServer(rows=rows) as library:
        archive = Archive(storage)
        bring_launches(library, archive, BUSY, BUSY)
        (day,) = bring_images(archive, BUSY, BUSY)
        assert day.manifest
        assert {urlsplit(entry.source_url or "").path for entry in day.manifest.entries if entry.file} == good.keys()
        assert all(entry.file or entry.reason for entry in day.manifest.entries)
    stored = {key: body for key, body in tree(Path(storage.uri)).items() if not key.endswith(".json")}
    for key, body in stored.items():
        assert inspect(body, key).extension == key.rpartition(".")[2]
    assert set(stored.values()) == {body for body, _ in GOOD.values()}


@pytest.mark.parametrize(
    "worse",
    [lambda _: None, lambda _: HTML, lambda _: b"", lambda file: small(file)[:300]],
    ids=["404", "HTML", "empty", "half"],
)
def test_promise_4_a_good_file_is_never_replaced_by_a_worse_answer(
    library: LibraryServer, storage: Storage, worse: Callable[[str], bytes | None]
) -> None:
    archive = bring(library, storage)
    before = {key: body for key, body in tree(Path(storage.uri)).items() if not key.endswith("manifest.json")}
    library.picture = worse
    bring(library, storage)
    after = {key: body for key, body in tree(Path(storage.uri)).items() if not key.endswith("manifest.json")}
    assert after == before
    assert all(entry.file and entry.reason for entry in archive.read_manifest(BUSY).entries)
    assert problems(archive, "full") == []


def test_promise_4_holds_when_the_library_itself_is_gone(library: LibraryServer, storage: Storage) -> None:
    archive = bring(library, storage)
    before = tree(Path(storage.uri))
    url = library.url
    library.stop()
    with LaunchLibrary(url, backoff=0, retries=0) as api, pytest.raises(Unavailable):
        archive.write_launches(FIRST, "", next(api.days(FIRST, LAST)).launches)
    brought = bring_images(archive)
    assert all(isinstance(day.error, Unavailable) for day in brought if day.day == BUSY)
    after = tree(Path(storage.uri))
    assert {key for key in before if before[key] != after[key]} <= {keys.manifest_key(day) for day in DAYS}
    assert problems(archive, "full") == []


def test_promise_5_twice_is_the_same_as_once(library: LibraryServer, storage: Storage) -> None:
    bring(library, storage)
    before = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in Path(storage.uri).rglob("*.*")}
    asked = len(library.picture_requests)
    bring(library, storage)
    assert {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in Path(storage.uri).rglob("*.*")} == before
    assert {request.status for request in library.picture_requests[asked:]} == {304}


def test_promise_5_one_by_one_is_the_same_as_all_at_once(library: LibraryServer, tmp_path: Path) -> None:
    bring(library, Storage(str(tmp_path / "at once")))
    archive = Archive(Storage(str(tmp_path / "one by one")))
    for day in reversed(DAYS):
        bring_launches(library, archive, day, day)
        bring_images(archive, day, day)
    assert tree(tmp_path / "one by one") == tree(tmp_path / "at once")


def test_promise_5_fourteen_days_are_fourteen_different_windows(library: LibraryServer, storage: Storage) -> None:
    archive = Archive(storage)
    for day in DAYS:
        bring_launches(library, archive, day, day)
    windows = [parse_qs(urlsplit(request.path).query) for request in library.api_requests]
    asked = [(window["net__gte"][0][:10], window["net__lt"][0][:10]) for window in windows]
    assert asked == [(str(day), str(day + timedelta(days=1))) for day in DAYS]
    stored = [[one.id for one in archive.read_launches(day)] for day in DAYS]
    assert [len(launches) for launches in stored] == [0, 0, 1, 3, 5, 1, 0, 1, 0, 0, 0, 1, 1, 1]
    assert len({launch_id for launches in stored for launch_id in launches}) == 14


def test_promise_6_one_bad_picture_or_day_neither_hides_nor_stops_another_and_the_day_says_so(
    library: LibraryServer, storage: Storage
) -> None:
    archive = Archive(storage)
    bring_launches(library, archive)
    storage.delete([keys.launches_key(date(2024, 12, 6))])
    storage.write(keys.launches_key(date(2024, 12, 8)), b'{"half":')
    shown = [(launch, launch.image.url) for launch in archive.read_launches(BUSY) if launch.image]
    bad = next(url.rpartition(MEDIA)[2] for _, url in shown)
    library.picture = lambda file: None if file == bad else small(file)
    brought = {day.day: day for day in bring_images(archive)}
    assert list(brought) == DAYS
    assert {day for day in DAYS if brought[day].error} == {date(2024, 12, 6), date(2024, 12, 8)}
    assert "2024-12-06 are not in" in str(brought[date(2024, 12, 6)].error)
    assert "2024-12-08.json is not what was written" in str(brought[date(2024, 12, 8)].error)
    entries = archive.read_manifest(BUSY).entries
    refused = {launch.id for launch, url in shown if url.endswith(bad)}
    assert {entry.launch_id for entry in entries if not entry.file} == refused
    assert all("answered 404" in (entry.reason or "") for entry in entries if not entry.file)
    assert len(entries) == 5
    for day in DAYS:
        if not brought[day].error and day != BUSY:
            named = [entry for entry in archive.read_manifest(day).entries if entry.source_url]
            assert all(entry.file or (entry.source_url or "").endswith(bad) for entry in named)


def test_promise_8_verify_finds_a_flipped_bit_a_missing_file_and_a_foreign_file(
    library: LibraryServer, storage: Storage
) -> None:
    archive = bring(library, storage)
    assert problems(archive, "quick") == problems(archive, "full") == []
    first, second, *_ = [f"{keys.images_folder(BUSY)}{entry.file}" for entry in archive.read_manifest(BUSY).entries]
    body = storage.read(first)
    storage.delete([first, second])
    storage.write(first, body[:200] + bytes([body[200] ^ 1]) + body[201:])
    storage.write(f"{keys.images_folder(BUSY)}foreign.jpeg", body)
    quick, full = problems(archive, "quick"), problems(archive, "full")
    assert quick == [
        f"{second} is missing.",
        f"{keys.images_folder(BUSY)}foreign.jpeg is a foreign file: the manifest does not name it.",
    ]
    # The quick level does not look into files: it cannot see the flipped bit.
    assert [problem for problem in full if problem not in quick] == [
        problem for problem in full if problem.startswith(f"{first} is not what was stored: its sha256 is ")
    ]
    assert len(full) == 3
    bring_images(archive, BUSY, BUSY)
    assert problems(archive, "full") == []


def test_promise_9_an_empty_day_is_stored_as_an_empty_file_and_verifies(
    library: LibraryServer, storage: Storage
) -> None:
    archive = Archive(storage)
    bring_launches(library, archive, EMPTY, EMPTY)
    (day,) = bring_images(archive, EMPTY, EMPTY)
    assert day.error is None
    assert set(tree(Path(storage.uri))) == {keys.launches_key(EMPTY), keys.manifest_key(EMPTY)}
    document = unseal(storage.read(keys.launches_key(EMPTY)), "")
    assert (document["day"], document["count"], document["results"]) == ("2024-12-01", 0, [])
    assert archive.read_manifest(EMPTY).entries == []
    for level in ("quick", "full"):
        parts = list(verify(archive, [EMPTY], level=level))
        assert [(part.day, part.problems) for part in parts if part.day or part.problems] == [(EMPTY, [])]


def test_each_promise_has_a_test_that_bears_its_name() -> None:
    tests = [path.read_text() for path in Path(__file__).parent.rglob("test_*.py")]
    names = [
        name for text in tests for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE) if "promise_" in name
    ]
    numbers = {int(number) for name in names for number in re.findall(r"(?:promise|and)_(\d+)", name)}
    assert numbers == set(range(1, 12))
