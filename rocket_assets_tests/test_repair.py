"""What is damaged is mended, what is whole is left alone, and nothing is lost by it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest

from rocket_assets import storage as keys
from rocket_assets.archive import Archive
from rocket_assets.images import inspect
from rocket_assets.launches import Launch
from rocket_assets.repair import Mended, mend
from rocket_assets.storage import Storage
from rocket_assets.verification import Level, Problem, Remedy, verify
from rocket_assets_tests.scripted_server import Answer, ScriptedServer
from rocket_assets_tests.test_archive import DAY, NEXT, SOURCE, launch
from rocket_assets_tests.test_bringing import Pictures, bring, tree
from rocket_assets_tests.test_images import picture, with_a_flipped_bit
from rocket_assets_tests.test_verification import (
    ALL,
    EMPTY,
    FILE,
    FOLDER,
    POOL,
    BadSector,
    flip,
    problems,
    remove,
    replace,
    stale,
)

OTHER = f"{keys.images_folder(NEXT)}rocket-4-payload-00000004.png"


def aside(world: World) -> list[str]:
    """Where what is in the pool now would be kept, if it is damaged."""
    return [keys.damaged_key(POOL, hashlib.sha256(world.archive.storage.read(POOL)).hexdigest())]


@dataclass
class World:
    """An archive, the library that its launches come from, and the server that its pictures come from."""

    archive: Archive
    server: ScriptedServer
    pictures: Pictures
    library: dict[date, list[Launch]]
    answers: bool = True
    """Whether the library does."""
    brought: list[tuple[Sequence[date], Sequence[date]]] = field(default_factory=list)

    def bring(self, launches: Sequence[date], pictures: Sequence[date]) -> None:
        self.brought.append((launches, pictures))
        if self.answers:
            for day in launches:
                self.archive.write_launches(day, SOURCE, self.library[day])
        bring(self.archive, *pictures)

    def mend(self, level: Level = "full") -> Mended:
        found = [problem for part in verify(self.archive, level=level) for problem in part.problems]
        self.server.requests.clear()
        return mend(self.archive, found, self.bring, level=level)

    @property
    def requested(self) -> list[str]:
        return [request.path for request in self.server.requests]


@pytest.fixture
def world(storage: Storage) -> Iterator[World]:
    """Three days: one with three launches and two pictures, one with one of the same pictures, an empty one."""
    pictures = Pictures({"/1.png": picture(shade=1), "/2.jpg": picture("JPEG", 2)})
    with ScriptedServer(pictures) as server:
        first, second = server.url("/1.png"), server.url("/2.jpg")
        library = {
            DAY: [launch(1, first), launch(2, second), launch(3)],
            NEXT: [launch(4, first, day=NEXT)],
            EMPTY: list[Launch](),
        }
        made = World(Archive(storage), server, pictures, library)
        made.bring(list(library), list(library))
        made.brought.clear()
        yield made


@pytest.fixture(params=["folder", "bucket"])
def anywhere(world: World, request: pytest.FixtureRequest) -> World:
    """The same in a bucket, where no two keys share their bytes."""
    if request.param == "bucket":
        bucket = Storage(f"memory://{world.archive.storage.uri}")
        for each in world.archive.storage.list():
            bucket.write(each.key, world.archive.storage.read(each.key))
        world.archive = Archive(bucket)
    return world


Touched = Mapping[str, tuple[object, ...]]


def touched(archive: Archive) -> Touched:
    """Everything that would be another if a file were written anew."""
    found = {key: (body,) for key, body in tree(archive).items()}
    if archive.storage.uri.startswith("memory:"):
        return found
    stats = {key: Path(archive.storage.address(key)).stat() for key in found}
    return {key: (*found[key], stats[key].st_ino, stats[key].st_mtime_ns) for key in found}


@pytest.mark.parametrize(("harm", "remedy", "days"), [(each[0], *each[2:]) for each in ALL.values()], ids=list(ALL))
def test_what_is_damaged_is_mended_and_what_is_whole_is_not_touched(
    anywhere: World, harm: Callable[[Archive], object], remedy: Remedy, days: tuple[date, ...]
) -> None:
    archive, bytes_before, before = anywhere.archive, tree(anywhere.archive), touched(anywhere.archive)
    harm(archive)
    (problem,) = [problem for part in verify(archive, level="full") for problem in part.problems]
    harmed = touched(archive)
    whole = {key for key in before if harmed.get(key) == before[key] and key != problem.key}
    mended = anywhere.mend()
    now = touched(archive)
    assert {key: now.get(key) for key in whole} == {key: before[key] for key in whole}
    if remedy is Remedy.PERSON:
        assert mended.left == [problem]
        assert now == harmed
    else:
        assert mended.left == []
        assert problems(archive, "full") == []
    assert (mended.lost, anywhere.brought) == ([], _expected(remedy, days))
    if remedy not in (Remedy.PERSON, Remedy.REMOVAL) and harm is not stale:
        assert tree(archive) == bytes_before


def _expected(remedy: Remedy, days: tuple[date, ...]) -> list[tuple[Sequence[date], Sequence[date]]]:
    """The days that are brought; what is missing from the pool is put back from a day that has it."""
    launches, pictures = remedy is Remedy.LAUNCHES, remedy in (Remedy.LAUNCHES, Remedy.PICTURES)
    return [(list(days) if launches else [], list(days))] if pictures else []


def test_what_is_whole_is_asked_about_and_not_fetched(world: World) -> None:
    """Of the day's two pictures one is damaged, in the pool as well; the other is not sent again."""
    world.pictures.answers["/2.jpg"] = Answer(304)
    flip(world.archive, FILE)
    flip(world.archive, POOL)
    flip(world.archive, OTHER)
    assert world.mend().left == []
    assert sorted(world.requested) == ["/1.png", "/2.jpg"]
    assert world.brought == [([], [DAY, NEXT])]


def test_a_flipped_bit_in_a_file_that_the_days_and_the_pool_share_is_fetched_once(world: World) -> None:
    path = Path(world.archive.storage.address(FILE))
    whole = tree(world.archive)
    path.write_bytes(with_a_flipped_bit(path.read_bytes(), 100))
    mended = world.mend()
    assert (mended.left, mended.lost, mended.aside) == ([], [], [])
    assert tree(world.archive) == whole
    assert sorted(world.requested) == ["/1.png", "/2.jpg"]
    assert {path.stat().st_ino} == {Path(world.archive.storage.address(key)).stat().st_ino for key in (OTHER, POOL)}


def test_what_is_damaged_everywhere_and_gone_from_its_address_is_lost_but_kept_aside(anywhere: World) -> None:
    """One flipped bit is better than no picture, and the day says why it has none."""
    for key in (FILE, OTHER, POOL):
        flip(anywhere.archive, key)
    damaged, expected = anywhere.archive.storage.read(FILE), aside(anywhere)
    del anywhere.pictures.answers["/1.png"]
    mended = anywhere.mend()
    assert mended.left == []
    assert [problem.text.partition(": http")[0] for problem in mended.lost] == [
        "2026-03-05: Rocket 1 | Payload is without its picture",
        "2026-03-06: Rocket 4 | Payload is without its picture",
    ]
    assert "404" in mended.lost[0].text
    assert mended.aside == expected
    assert anywhere.archive.storage.read(*expected) == damaged
    # It is no problem for ever.
    assert problems(anywhere.archive, "full") == []
    assert not anywhere.archive.storage.find(POOL)


def test_what_is_kept_aside_goes_when_it_is_there_again(world: World) -> None:
    for key in (FILE, OTHER, POOL):
        flip(world.archive, key)
    gone, expected = world.pictures.answers.pop("/1.png"), aside(world)
    assert world.mend().aside == expected
    world.pictures.answers["/1.png"] = gone
    bring(world.archive, DAY, NEXT)
    assert mend(world.archive, [], world.bring).aside == []
    assert list(world.archive.storage.list(keys.DAMAGED)) == []


def test_of_several_damaged_copies_each_is_kept_and_all_go_when_the_picture_is_there_again(anywhere: World) -> None:
    """Nobody can say which is the best one: the last to be found may be the worst."""
    storage = anywhere.archive.storage
    kept = {FILE: with_a_flipped_bit(picture(shade=1), 100), OTHER: b"", POOL: picture(shade=1)[:20]}
    for key, body in kept.items():
        replace(anywhere.archive, key, body)
    gone = anywhere.pictures.answers.pop("/1.png")
    mended = anywhere.mend()
    assert sorted(storage.read(key) for key in mended.aside) == sorted(kept.values())
    assert {keys.original_key(key) for key in mended.aside} == {POOL}
    assert mend(anywhere.archive, [], anywhere.bring).aside == mended.aside
    anywhere.pictures.answers["/1.png"] = gone
    bring(anywhere.archive, DAY, NEXT)
    assert mend(anywhere.archive, [], anywhere.bring).aside == []
    assert list(storage.list(keys.DAMAGED)) == []


def test_a_damaged_picture_that_cannot_be_read_is_kept_for_who_tries_harder(world: World) -> None:
    for key in (FILE, OTHER, POOL):
        flip(world.archive, key)
    damaged = world.archive.storage.read(FILE)
    del world.pictures.answers["/1.png"]
    world.archive = Archive(storage := BadSector(world.archive.storage.uri))
    storage.unreadable = (FILE,)
    (unreadable,) = [key for key in world.mend().aside if "unreadable" in key]
    assert storage.read(unreadable) == damaged
    assert keys.original_key(unreadable) == POOL


def test_a_picture_that_one_day_has_whole_comes_back_everywhere_without_its_server(anywhere: World) -> None:
    whole = tree(anywhere.archive)
    flip(anywhere.archive, FILE)
    flip(anywhere.archive, POOL)
    anywhere.pictures.answers.clear()
    mended = anywhere.mend()
    assert (mended.left, mended.aside) == ([], [])
    kept = {key: body for key, body in tree(anywhere.archive).items() if not key.endswith("manifest.json")}
    assert kept == {key: body for key, body in whole.items() if not key.endswith("manifest.json")}


def test_a_picture_that_no_day_has_whole_comes_back_into_the_pool_by_its_address(anywhere: World) -> None:
    whole = tree(anywhere.archive)
    for key in (FILE, OTHER, POOL):
        remove(key)(anywhere.archive)
    assert anywhere.mend("quick").left == []
    assert tree(anywhere.archive) == whole


def test_at_the_quick_level_a_day_is_not_believed_to_have_a_picture_whole(anywhere: World) -> None:
    """The pool has lost it, and those of the days are damaged in a way that the quick level cannot see."""
    for key in (FILE, OTHER):
        flip(anywhere.archive, key)
    remove(POOL)(anywhere.archive)
    anywhere.mend("quick")
    assert anywhere.brought == [([], [DAY])]
    assert anywhere.archive.storage.read(POOL) == anywhere.archive.storage.read(FILE) == picture(shade=1)


def test_a_launch_on_two_days_leaves_the_one_that_it_has_left(anywhere: World) -> None:
    slipped = launch(7, day=EMPTY)
    anywhere.library[EMPTY] = [slipped]
    anywhere.archive.write_launches(NEXT, SOURCE, [*anywhere.library[NEXT], slipped])
    anywhere.archive.write_launches(EMPTY, SOURCE, [slipped])
    bring(anywhere.archive, NEXT, EMPTY)
    assert anywhere.mend("quick").left == []
    assert anywhere.brought == [([NEXT, EMPTY], [NEXT, EMPTY])]
    assert [each.id for each in anywhere.archive.read_launches(NEXT)] == [launch(4).id]
    assert problems(anywhere.archive, "full") == []


def test_without_an_answer_of_the_library_everything_is_as_it_was_and_is_said_again(anywhere: World) -> None:
    flip(anywhere.archive, keys.launches_key(DAY))
    anywhere.answers = False
    before, said = touched(anywhere.archive), problems(anywhere.archive, "full")
    assert [problem.text for problem in anywhere.mend().left] == said
    assert touched(anywhere.archive) == before


def test_what_a_person_has_put_there_is_left_and_named(world: World) -> None:
    world.archive.storage.write("launches/notes.txt", b"mine")
    remove(FILE)(world.archive)
    assert [problem.text for problem in world.mend().left] == ["launches/notes.txt is a foreign file."]
    assert world.archive.storage.read("launches/notes.txt") == b"mine"


def test_what_interrupted_writes_left_behind_is_removed_and_nobody_is_asked(world: World) -> None:
    for key in (f"{FOLDER}manifest.json", POOL):
        Path(world.archive.storage.address(f"{key}#1")).write_bytes(b"half")
    assert world.mend().left == []
    assert list(world.archive.storage.leftovers()) == []
    assert (world.brought, world.requested) == ([], [])


def test_a_damaged_picture_that_no_day_shows_is_put_aside_and_a_whole_one_stays(anywhere: World) -> None:
    anywhere.archive.write_launches(NEXT, SOURCE, [])
    anywhere.archive.write_launches(DAY, SOURCE, [launch(3)])
    bring(anywhere.archive, DAY, NEXT)
    flip(anywhere.archive, POOL)
    damaged, expected = anywhere.archive.storage.read(POOL), aside(anywhere)
    mended = anywhere.mend()
    assert (mended.left, mended.aside, anywhere.brought) == ([], expected, [])
    assert anywhere.archive.storage.read(*expected) == damaged
    assert anywhere.archive.storage.find(inspect(picture("JPEG", 2), "").key)


def test_a_picture_that_was_never_there_is_not_lost(world: World) -> None:
    world.library[NEXT] = [launch(5, world.server.url("/gone.png"), day=NEXT)]
    world.bring([NEXT], [NEXT])
    replace(world.archive, f"{keys.images_folder(NEXT)}x.png", b"x")
    mended = world.mend()
    assert (mended.left, mended.lost) == ([], [])


def test_the_last_whole_copy_is_not_thrown_away_with_a_manifest_that_cannot_be_read(anywhere: World) -> None:
    """The manifest alone said whose it is, and what no manifest names is removed from the folder of a day."""
    flip(anywhere.archive, keys.manifest_key(NEXT))
    flip(anywhere.archive, FILE)
    remove(POOL)(anywhere.archive)
    anywhere.pictures.answers.clear()
    mended = anywhere.mend()
    assert (mended.left, mended.lost, mended.aside) == ([], [], [])
    assert {anywhere.archive.storage.read(key) for key in (FILE, OTHER, POOL)} == {picture(shade=1)}


def test_what_the_pool_has_whole_is_not_written_again_from_a_day_without_a_manifest(world: World) -> None:
    replace(world.archive, OTHER, picture(shade=1))
    remove(keys.manifest_key(NEXT))(world.archive)
    before = touched(world.archive)
    assert world.mend().left == []
    assert touched(world.archive)[POOL] == before[POOL]


def test_a_day_that_was_never_brought_has_lost_nothing(world: World) -> None:
    later = date(2026, 3, 8)
    world.library[later] = [launch(8, world.server.url("/gone.png"), day=later)]
    never = [problem for part in verify(world.archive, [later]) for problem in part.problems]
    mended = mend(world.archive, never, world.bring)
    assert (mended.left, mended.lost) == ([], [])
    assert world.brought == [([later], [later])]


def test_where_a_manifest_cannot_be_read_any_more_each_picture_that_is_refused_is_named(world: World) -> None:
    flip(world.archive, keys.manifest_key(NEXT))
    for key in (FILE, OTHER, POOL):
        remove(key)(world.archive)
    world.archive.storage.write(f"{keys.images_folder(NEXT)}notes.txt", b"no picture")
    world.pictures.answers.clear()
    assert "2026-03-06: Rocket 4 | Payload is without its picture" in [
        problem.text.partition(": http")[0] for problem in world.mend().lost
    ]


def test_a_problem_is_data_and_not_only_a_sentence(world: World) -> None:
    """A caller may put problems together, or choose among them."""
    world.mend()
    mend(world.archive, [Problem("As you like.", Remedy.PICTURES, (NEXT,))], world.bring)
    assert world.brought == [([], [NEXT])]
