"""Whether what is stored still holds: each kind of damage, and which level finds it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace as replace_in
from datetime import date, timedelta
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from rocket_assets import storage as keys
from rocket_assets.archive import Archive
from rocket_assets.documents import seal, unseal
from rocket_assets.errors import StorageFailed
from rocket_assets.images import inspect
from rocket_assets.network import LIMITS
from rocket_assets.storage import Storage, Stored
from rocket_assets.verification import (
    SAMPLES,
    Level,
    Pictures,
    Problem,
    Remedy,
    StoredDay,
    launches_without_image,
    misplaced_launches,
    repeated_launches,
    sample,
    verify,
    verify_sample,
)
from rocket_assets_tests.scripted_server import Answer, ScriptedServer
from rocket_assets_tests.test_archive import DAY, NEXT, SOURCE, launch
from rocket_assets_tests.test_bringing import Pictures as Script
from rocket_assets_tests.test_bringing import bring
from rocket_assets_tests.test_images import HTML, picture, with_a_flipped_bit

EMPTY = date(2026, 3, 7)
FOLDER = keys.images_folder(DAY)
FILE = f"{FOLDER}rocket-1-payload-00000001.png"
KNOWN = inspect(picture(shade=1), "")
LEVELS: tuple[Level, Level] = ("quick", "full")


@pytest.fixture
def archive(storage: Storage) -> Iterator[Archive]:
    """Three days: one with three launches and two pictures, one with one of the same pictures, an empty one."""
    archive = Archive(storage)
    with ScriptedServer(Script({"/1.png": picture(shade=1), "/2.jpg": picture("JPEG", 2)})) as server:
        first, second = server.url("/1.png"), server.url("/2.jpg")
        archive.write_launches(DAY, SOURCE, [launch(1, first), launch(2, second), launch(3)])
        archive.write_launches(NEXT, SOURCE, [launch(4, first, day=NEXT)])
        archive.write_launches(EMPTY, SOURCE, [])
        assert [day.error for day in bring(archive, DAY, NEXT, EMPTY)] == [None] * 3
        yield archive


def found(archive: Archive, level: Level, days: Collection[date] | None = None) -> list[Problem]:
    return [problem for part in verify(archive, days, level=level) for problem in part.problems]


def problems(archive: Archive, level: Level, days: Collection[date] | None = None) -> list[str]:
    return [problem.text for problem in found(archive, level, days)]


def replace(archive: Archive, key: str, body: bytes) -> None:
    """Put other bytes under a key alone: in a folder the pool and the day share a file."""
    archive.storage.delete([key])
    archive.storage.write(key, body)


def flip(archive: Archive, key: str) -> None:
    body = archive.storage.read(key)
    replace(archive, key, with_a_flipped_bit(body, len(body) // 2))


@pytest.mark.parametrize("level", LEVELS)
def test_a_whole_archive_has_no_problems_and_each_day_is_counted(archive: Archive, level: Level) -> None:
    parts = list(verify(archive, level=level))
    assert [problem for part in parts for problem in part.problems] == []
    assert [(part.day, part.pictures) for part in parts if part.day] == [(DAY, 2), (NEXT, 1), (EMPTY, 0)]


@pytest.mark.parametrize("level", LEVELS)
def test_an_empty_storage_has_no_problems(storage: Storage, level: Level) -> None:
    assert problems(Archive(storage), level) == []


POOL = KNOWN.key
ORPHAN = f"pool/ab/{'ab' * 32}"


def shorten(key: str) -> Callable[[Archive], object]:
    return lambda archive: replace(archive, key, archive.storage.read(key)[:-1])


def remove(key: str) -> Callable[[Archive], object]:
    return lambda archive: archive.storage.delete([key])


def add(key: str, body: bytes = b"x") -> Callable[[Archive], object]:
    return lambda archive: archive.storage.write(key, body)


def move(source: str, target: str) -> Callable[[Archive], object]:
    return lambda archive: archive.storage.write(target, archive.storage.read(source))


Found = tuple[Callable[[Archive], object], str, Remedy, tuple[date, ...]]

FOUND_BY_BOTH: dict[str, Found] = {
    "a missing picture": (remove(FILE), f"{FILE} is missing.", Remedy.PICTURES, (DAY,)),
    "a picture of another size": (
        shorten(FILE),
        f"{FILE} has {KNOWN.bytes - 1:,} bytes and should have {KNOWN.bytes:,}.",
        Remedy.PICTURES,
        (DAY,),
    ),
    "an empty picture": (
        lambda archive: replace(archive, FILE, b""),
        f"{FILE} has 0 bytes and should have",
        Remedy.PICTURES,
        (DAY,),
    ),
    "a foreign file beside the pictures": (
        add(f"{FOLDER}x.png"),
        f"{FOLDER}x.png is a foreign file: the manifest",
        Remedy.PICTURES,
        (DAY,),
    ),
    "a foreign file further down": (
        add(f"{FOLDER}sub/x.png"),
        f"{FOLDER}sub/x.png is a foreign file",
        Remedy.PICTURES,
        (DAY,),
    ),
    "a foreign file among the launches": (
        add("launches/2026/x.csv"),
        "launches/2026/x.csv is a foreign file.",
        Remedy.PERSON,
        (),
    ),
    "a foreign file among the images": (add("images/x.png"), "images/x.png is a foreign file.", Remedy.PERSON, ()),
    "a foreign file in the pool": (add("pool/x.png"), "pool/x.png is a foreign file.", Remedy.PERSON, ()),
    "a picture in a wrong folder of the pool": (
        move(POOL, f"pool/zz/{KNOWN.sha256}.png"),
        f"pool/zz/{KNOWN.sha256}.png is a foreign file.",
        Remedy.PERSON,
        (),
    ),
    "something else under the name of a picture": (
        add(f"{ORPHAN}.txt"),
        f"{ORPHAN}.txt is a foreign file.",
        Remedy.PERSON,
        (),
    ),
    "a day in the folder of another year": (
        add("images/1999/2026-03-05/manifest.json"),
        "images/1999/2026-03-05/manifest.json is a foreign file.",
        Remedy.PERSON,
        (),
    ),
    "a missing manifest": (
        remove(keys.manifest_key(DAY)),
        f"{keys.manifest_key(DAY)} is missing: bring the pictures",
        Remedy.PICTURES,
        (DAY,),
    ),
    "a missing file of launches": (
        remove(keys.launches_key(DAY)),
        f"{keys.launches_key(DAY)} is missing or empty: bring the launches of 2026-03-05.",
        Remedy.LAUNCHES,
        (DAY,),
    ),
    "a flipped bit in a manifest": (
        lambda archive: flip(archive, keys.manifest_key(DAY)),
        f"{keys.manifest_key(DAY)} is not what was written",
        Remedy.PICTURES,
        (DAY,),
    ),
    "the manifest of another day": (
        lambda archive: replace(archive, keys.manifest_key(EMPTY), archive.storage.read(keys.manifest_key(NEXT))),
        f"{keys.manifest_key(EMPTY)} is not the file of 2026-03-07",
        Remedy.PICTURES,
        (EMPTY,),
    ),
    "a picture missing from the pool": (remove(POOL), f"{POOL} is missing.", Remedy.POOL, (DAY, NEXT)),
    "a picture of another size in the pool": (
        shorten(POOL),
        f"{POOL} has {KNOWN.bytes - 1:,} bytes",
        Remedy.POOL,
        (DAY, NEXT),
    ),
}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("harm", "expected", "remedy", "days"), FOUND_BY_BOTH.values(), ids=list(FOUND_BY_BOTH))
def test_both_levels_find(
    archive: Archive,
    harm: Callable[[Archive], object],
    expected: str,
    remedy: Remedy,
    days: tuple[date, ...],
    level: Level,
) -> None:
    harm(archive)
    (problem,) = found(archive, level)
    assert problem.text.startswith(expected)
    assert (problem.remedy, problem.days) == (remedy, days)


def test_a_problem_names_the_object_and_where_the_pool_has_it(archive: Archive) -> None:
    remove(FILE)(archive)
    (problem,) = found(archive, "quick")
    assert (problem.key, problem.original) == (FILE, POOL)


def stale(archive: Archive) -> None:
    archive.write_launches(EMPTY, SOURCE, [launch(9, day=EMPTY)])


FOUND_BY_FULL: dict[str, Found] = {
    "a flipped bit in a picture": (
        lambda archive: flip(archive, FILE),
        f"{FILE} is not what was stored: its sha256",
        Remedy.PICTURES,
        (DAY,),
    ),
    "a flipped bit in the pool": (
        lambda archive: flip(archive, POOL),
        f"{POOL} is not what was stored: its sha256",
        Remedy.POOL,
        (DAY, NEXT),
    ),
    "another picture of the same size": (
        lambda archive: replace(archive, FILE, b"x" * KNOWN.bytes),
        f"{FILE} is not what was stored",
        Remedy.PICTURES,
        (DAY,),
    ),
    "a flipped bit in a file of launches": (
        lambda archive: flip(archive, keys.launches_key(DAY)),
        f"{keys.launches_key(DAY)} is not what was written",
        Remedy.LAUNCHES,
        (DAY,),
    ),
    "the launches of another day": (
        lambda archive: replace(archive, keys.launches_key(EMPTY), archive.storage.read(keys.launches_key(NEXT))),
        f"{keys.launches_key(EMPTY)} is not the file of 2026-03-07",
        Remedy.LAUNCHES,
        (EMPTY,),
    ),
    "launches that are newer than the pictures": (
        stale,
        f"{keys.manifest_key(EMPTY)} is older than the launches of 2026-03-07: bring the pictures",
        Remedy.PICTURES,
        (EMPTY,),
    ),
    "a picture in the pool that no day shows and that is not what its name says": (
        add(f"{ORPHAN}.png"),
        f"{ORPHAN}.png is not what was stored: its sha256 is not its name.",
        Remedy.REMOVAL,
        (),
    ),
    "a damaged record of an address": (
        add(keys.address_key("http://x")),
        f"{keys.address_key('http://x')} is not what was written",
        Remedy.REMOVAL,
        (),
    ),
}


ALL = FOUND_BY_BOTH | FOUND_BY_FULL


@pytest.mark.parametrize(("harm", "expected", "remedy", "days"), FOUND_BY_FULL.values(), ids=list(FOUND_BY_FULL))
def test_the_full_level_finds_what_the_quick_level_cannot_see(
    archive: Archive, harm: Callable[[Archive], object], expected: str, remedy: Remedy, days: tuple[date, ...]
) -> None:
    harm(archive)
    assert problems(archive, "quick") == []
    (problem,) = found(archive, "full")
    assert problem.text.startswith(expected)
    assert (problem.remedy, problem.days) == (remedy, days)


def test_a_flipped_bit_in_a_file_that_several_names_share_is_found_under_each(archive: Archive) -> None:
    path = Path(archive.storage.address(FILE))
    path.write_bytes(with_a_flipped_bit(path.read_bytes(), 100))
    said = problems(archive, "full")
    other = f"{keys.images_folder(NEXT)}rocket-4-payload-00000004.png"
    assert [problem.partition(" ")[0] for problem in said] == [FILE, other, POOL]


def test_a_picture_that_is_no_picture_is_found_though_its_digest_fits(archive: Archive) -> None:
    document = unseal(archive.storage.read(keys.manifest_key(NEXT)), "")
    sha256 = inspect(picture(shade=3), "").sha256
    document["entries"][0] |= {"sha256": sha256, "bytes": len(picture(shade=3)), "format": "jpeg"}
    archive.storage.write(keys.manifest_key(NEXT), seal(document))
    replace(archive, f"{keys.images_folder(NEXT)}{document['entries'][0]['file']}", picture(shade=3))
    archive.storage.write(f"pool/{sha256[:2]}/{sha256}.jpeg", picture(shade=3))
    said = problems(archive, "full")
    assert len(said) == 2
    assert all("is not the kind of picture that the manifest says" in problem for problem in said)


@pytest.mark.parametrize("level", LEVELS)
def test_a_launch_that_stands_on_two_days_is_one_problem_that_names_both(archive: Archive, level: Level) -> None:
    """As after a slip whose old day was not brought again; each day for itself is whole."""
    slipped = launch(7, name="Slow Rocket", day=EMPTY)
    archive.write_launches(DAY, SOURCE, [slipped])
    archive.write_launches(EMPTY, SOURCE, [slipped])
    bring(archive, DAY, EMPTY)
    (problem,) = [problem for problem in found(archive, level) if "stands on" in problem.text]
    assert problem.text == f"Slow Rocket ({slipped.id}) stands on 2026-03-05 and on 2026-03-07."
    assert (problem.remedy, problem.days) == (Remedy.LAUNCHES, (DAY, EMPTY))
    assert not [problem for problem in found(archive, level, [DAY, NEXT]) if "stands on" in problem.text]


def test_on_which_day_a_launch_stands_is_said_by_its_launches_where_they_are_read(archive: Archive) -> None:
    """It has left the day; only the pictures have not followed yet, and that is another problem."""
    slipped = launch(7, day=EMPTY)
    archive.write_launches(DAY, SOURCE, [slipped])
    bring(archive, DAY)
    archive.write_launches(DAY, SOURCE, [])
    archive.write_launches(EMPTY, SOURCE, [slipped])
    bring(archive, EMPTY)
    assert problems(archive, "full") == [
        f"{keys.manifest_key(DAY)} is older than the launches of 2026-03-05: bring the pictures of 2026-03-05."
    ]
    assert "stands on" in problems(archive, "quick")[0]


def test_launches_without_a_manifest_count_where_they_stand(archive: Archive) -> None:
    archive.write_launches(EMPTY, SOURCE, [launch(1, day=EMPTY)])
    remove(keys.manifest_key(EMPTY))(archive)
    assert [problem for problem in problems(archive, "full") if problem.endswith("2026-03-05 and on 2026-03-07.")]


@pytest.mark.parametrize("level", LEVELS)
def test_pictures_that_no_day_shows_any_more_are_told_apart_from_problems(archive: Archive, level: Level) -> None:
    archive.write_launches(NEXT, SOURCE, [])
    archive.write_launches(DAY, SOURCE, [launch(3)])
    bring(archive, DAY, NEXT)
    parts = list(verify(archive, level=level))
    assert [problem for part in parts for problem in part.problems] == []
    unnamed = {each.key: each.size for part in parts for each in part.unnamed}
    second = inspect(picture("JPEG", 2), "")
    assert unnamed == {KNOWN.key: KNOWN.bytes, second.key: second.bytes}
    assert [part.unnamed for part in verify(archive, [DAY, NEXT, EMPTY], level=level) if part.unnamed] == []


def test_a_damaged_picture_that_no_day_shows_is_a_problem_and_not_harmless(archive: Archive) -> None:
    add(f"{ORPHAN}.png")(archive)
    assert [part.unnamed for part in verify(archive, level="full") if part.unnamed] == []
    assert [each.key for part in verify(archive) for each in part.unnamed] == [f"{ORPHAN}.png"]


def test_what_belongs_to_no_day_is_looked_at_with_everything_only(archive: Archive) -> None:
    add("images/x.png")(archive)
    add("pool/x.png")(archive)
    add(f"{FOLDER}x.png")(archive)
    for leftover in (keys.launches_key(DAY), keys.launches_key(EMPTY), POOL):
        Path(archive.storage.address(f"{leftover}#1")).write_bytes(b"half")
    of_the_day = [f"{FOLDER}x.png", f"{keys.launches_key(DAY)}#1"]
    assert [problem.key for problem in found(archive, "quick", [DAY])] == of_the_day
    everything = {*of_the_day, "images/x.png", "pool/x.png", f"{keys.launches_key(EMPTY)}#1", f"{POOL}#1"}
    assert {problem.key for problem in found(archive, "quick")} == everything


def test_the_stored_days_are_those_of_which_anything_is_stored(archive: Archive) -> None:
    remove(keys.launches_key(DAY))(archive)
    add("launches/2026/x.csv")(archive)
    assert [part.day for part in verify(archive) if part.day] == [DAY, NEXT, EMPTY]
    assert [part.day for part in verify_sample(archive, 0) if part.day] == [DAY, NEXT, EMPTY]


@pytest.mark.parametrize(("harm", "expected"), [each[:2] for each in ALL.values()], ids=list(ALL))
def test_a_bucket_is_verified_like_a_folder(archive: Archive, harm: Callable[[Archive], object], expected: str) -> None:
    bucket = Archive(Storage(f"memory://{archive.storage.uri}"))
    for each in archive.storage.list():
        bucket.storage.write(each.key, archive.storage.read(each.key))
    assert problems(bucket, "full") == []
    harm(bucket)
    (said,) = problems(bucket, "full")
    assert said.startswith(expected)


# A night's sample

HISTORY = [date(1957, 10, 4) + timedelta(days=number) for number in range(30_000)]


@pytest.mark.parametrize("count", [0, 1, 400, 401, 801, 1_201, 12_801, 30_000])
def test_the_samples_come_round_to_each_day_equally_often(count: int) -> None:
    times = Counter(day for number in range(7, 7 + SAMPLES) for day in sample(HISTORY[:count], number))
    assert set(times) == set(HISTORY[:count])
    assert len(set(times.values())) <= 1


@pytest.mark.parametrize("after", [1, 31, 47, 63])
@pytest.mark.parametrize("count", [400, 800, 1_200, 6_400, 12_800])
def test_the_samples_come_round_to_each_day_though_the_archive_grows_meanwhile(count: int, after: int) -> None:
    sizes = [count if number < after else count + 1 for number in range(SAMPLES)]
    looked_at = {day for number, size in enumerate(sizes) for day in sample(HISTORY[:size], number)}
    assert looked_at >= set(HISTORY[:count])


@pytest.mark.parametrize("count", [12_801, 25_000, 25_600, 30_000])
def test_the_whole_history_is_spread_evenly_over_the_samples(count: int) -> None:
    samples = [sample(HISTORY[:count], number) for number in range(SAMPLES)]
    assert sum(map(len, samples)) == count
    assert max(map(len, samples)) - min(map(len, samples)) <= 56


def test_a_small_archive_is_looked_at_whole_each_time() -> None:
    days = HISTORY[:400]
    assert sample(days, 0) == sample(days, 1) == days


def test_neighbouring_days_come_in_the_same_night() -> None:
    """Two of them may hold the same launch."""
    together = sum(b - a == timedelta(days=1) for a, b in pairwise(sample(HISTORY, 0)))
    assert together > 0.95 * len(sample(HISTORY, 0))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_picture_that_a_setting_allowed_is_whole_without_that_setting(storage: Storage) -> None:
    large = BytesIO()
    Image.new("1", (9500, 9500)).save(large, "PNG")
    known = inspect(large.getvalue(), "", replace_in(LIMITS, pixels=100_000_000))
    storage.write(known.key, large.getvalue())
    assert Pictures(storage, "decoding").compare(storage.find(known.key), known.key, known) == ""


def test_several_problems_of_a_day_are_all_named(archive: Archive) -> None:
    remove(FILE)(archive)
    add(f"{FOLDER}x.png")(archive)
    flip(archive, keys.launches_key(DAY))
    said = problems(archive, "full")
    assert len(said) == len(set(said)) == 3


def test_days_that_were_named_and_never_brought_are_problems(archive: Archive) -> None:
    later = EMPTY + timedelta(days=1)
    assert problems(archive, "quick", [DAY, NEXT, EMPTY]) == []
    for level in LEVELS:
        assert problems(archive, level, [DAY, NEXT, EMPTY, later]) == [
            "launches/2026/2026-03-08.json is missing or empty: bring the launches of 2026-03-08.",
            "images/2026/2026-03-08/manifest.json is missing: bring the pictures of 2026-03-08.",
        ]


def test_days_that_were_not_named_are_not_looked_at(archive: Archive) -> None:
    remove(FILE)(archive)
    assert problems(archive, "full", [NEXT, EMPTY]) == []
    assert [part.day for part in verify(archive, [NEXT]) if part.day] == [NEXT]


def test_what_an_interrupted_write_left_behind_is_a_problem(archive: Archive) -> None:
    Path(archive.storage.address(f"{FOLDER}manifest.json#1")).write_bytes(b"half")
    assert problems(archive, "quick") == [
        f"{FOLDER}manifest.json#1 was left behind by an interrupted write: delete it."
    ]


class BadSector(Storage):
    """A folder on a disk that cannot read some of its files any more."""

    unreadable: tuple[str, ...] = ()

    def read(self, key: str) -> bytes:
        if key in self.unreadable:
            raise StorageFailed(f"Could not read {key}: Input/output error.")
        return super().read(key)


@pytest.mark.parametrize(
    "key",
    [FILE, keys.launches_key(DAY), keys.manifest_key(DAY), f"{ORPHAN}.png", keys.address_key("http://x")],
    ids=["picture", "launches", "manifest", "pool", "address"],
)
def test_a_file_that_cannot_be_read_is_a_problem_and_the_rest_is_still_looked_at(archive: Archive, key: str) -> None:
    add(f"{ORPHAN}.png")(archive)
    add(keys.address_key("http://x"))(archive)
    remove(f"{keys.images_folder(NEXT)}rocket-4-payload-00000004.png")(archive)
    if key == FILE:
        # A file of its own, or it is read under another name.
        replace(archive, FILE, picture(shade=1))
    storage = BadSector(archive.storage.uri)
    storage.unreadable = (key,)
    said = problems(Archive(storage), "full")
    assert len([problem for problem in said if "Input/output error" in problem]) == 1
    assert f"{keys.images_folder(NEXT)}rocket-4-payload-00000004.png is missing." in said


class Busy(Storage):
    """A folder in which a run brings something as soon as everything has been listed."""

    run: Callable[[], object] | None = None

    def list(self, prefix: str = "") -> Iterator[Stored]:
        yield from super().list(prefix)
        if prefix == keys.IMAGES and self.run:
            run, self.run = self.run, None
            run()


def another_picture(archive: Archive) -> None:
    with ScriptedServer(Script({"/3.png": picture(shade=3)})) as server:
        archive.write_launches(NEXT, SOURCE, [launch(4, server.url("/3.png"), day=NEXT)])
        bring(archive, NEXT)


def a_slip(archive: Archive) -> None:
    """The launch leaves a day that is looked at before the day to which it goes."""
    archive.write_launches(NEXT, SOURCE, [])
    archive.write_launches(EMPTY, SOURCE, [launch(4, day=EMPTY)])
    bring(archive, NEXT, EMPTY)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("run", [another_picture, a_slip])
def test_what_a_run_brings_at_the_same_time_is_no_problem(
    archive: Archive, run: Callable[[Archive], object], level: Level
) -> None:
    storage = Busy(archive.storage.uri)
    storage.run = lambda: run(archive)
    assert problems(Archive(storage), level) == []
    assert storage.run is None


def test_a_launch_that_slips_between_the_looks_at_its_two_days_stands_on_one(archive: Archive) -> None:
    parts = verify(archive, level="full")
    assert [next(parts).day, next(parts).day] == [DAY, NEXT]
    a_slip(archive)
    assert [problem for part in parts for problem in part.problems] == []


def test_what_is_being_written_just_now_was_not_left_behind(archive: Archive) -> None:
    half = Path(archive.storage.address(f"{POOL}#1"))

    class Writing(Storage):
        def leftovers(self, prefix: str = "") -> Iterator[str]:
            found = list[str](super().leftovers(prefix))
            half.unlink(missing_ok=True)
            return iter(found)

    half.write_bytes(b"half")
    assert problems(Archive(Writing(archive.storage.uri)), "quick") == []


def test_a_sample_is_looked_at_with_what_is_to_be_looked_at_again_and_listed_once(archive: Archive) -> None:
    listed = list[str]()

    class Watched(Storage):
        def list(self, prefix: str = "") -> Iterator[Stored]:
            listed.append(prefix)
            return super().list(prefix)

    later = EMPTY + timedelta(days=1)
    parts = list(verify_sample(Archive(Watched(archive.storage.uri)), 0))
    assert ([part.day for part in parts if part.day], listed) == ([DAY, NEXT, EMPTY], [keys.LAUNCHES, keys.IMAGES])
    parts = list(verify_sample(archive, 0, {NEXT, later}))
    assert [part.day for part in parts if part.day] == [DAY, NEXT, EMPTY, later]
    assert [problem.days for part in parts for problem in part.problems] == [(later,), (later,)]


def test_verifying_writes_nothing(archive: Archive) -> None:
    before = sorted((found.key, found.tag or "") for found in archive.storage.list())
    problems(archive, "full")
    assert sorted((found.key, found.tag or "") for found in archive.storage.list()) == before


# What the checks of a run look at


def test_a_launch_on_a_day_that_is_not_its_own_is_named(archive: Archive) -> None:
    archive.write_launches(DAY, SOURCE, [launch(1), launch(2, day=NEXT, hour=3)])
    (problem,) = misplaced_launches(StoredDay(archive, DAY))
    assert "Rocket 2" in problem
    assert "2026-03-06 03:00Z" in problem
    assert f"{keys.launches_key(DAY)}: {problem}" in problems(archive, "full")


def test_a_launch_that_is_there_twice_is_named(archive: Archive) -> None:
    archive.write_launches(DAY, SOURCE, [launch(1), launch(2), launch(1)])
    assert repeated_launches(StoredDay(archive, DAY)) == [f"Launch {launch(1).id} is there 2 times."]
    assert f"{keys.launches_key(DAY)}: Launch {launch(1).id} is there 2 times." in problems(archive, "full")


def test_launches_have_their_image_where_the_library_names_one(archive: Archive) -> None:
    assert [launches_without_image(StoredDay(archive, day)) for day in (DAY, NEXT, EMPTY)] == [[], [], []]


def test_a_launch_without_its_picture_is_named_with_the_reason(storage: Storage) -> None:
    archive = Archive(storage)
    script = Script({"/a.png": picture(), "/bad.png": Answer(body=HTML)})
    with ScriptedServer(script) as server:
        archive.write_launches(DAY, SOURCE, [launch(1, server.url("/a.png")), launch(2, server.url("/bad.png"))])
        bring(archive)
        (problem,) = launches_without_image(StoredDay(archive, DAY))
        assert problem.startswith("Rocket 2 | Payload is without its picture: ")
        assert "no picture" in problem
        archive.write_launches(DAY, SOURCE, [launch(1, server.url("/bad.png")), launch(3, server.url("/a.png"))])
        not_yet, no_entry = launches_without_image(StoredDay(archive, DAY))
        assert "not yet brought" in not_yet
        assert no_entry == "Rocket 3 | Payload has no entry in the manifest."
        bring(archive)
        (kept,) = launches_without_image(StoredDay(archive, DAY))
    assert kept.endswith("An earlier picture is kept: rocket-1-payload-00000001.png.")


def test_pictures_are_compared_only_as_closely_as_asked(archive: Archive) -> None:
    manifest = archive.read_manifest(DAY)
    flip(archive, FILE)
    assert Pictures(archive.storage, "sizes").of_day(manifest) == []
    assert len(Pictures(archive.storage, "digests").of_day(manifest)) == 1


def test_the_quick_level_sees_an_emptied_file_of_launches(archive: Archive) -> None:
    Path(archive.storage.address(keys.launches_key(DAY))).write_bytes(b"")
    assert problems(archive, "quick") == [
        f"{keys.launches_key(DAY)} is missing or empty: bring the launches of 2026-03-05."
    ]
