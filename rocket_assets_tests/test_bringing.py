"""How the pictures of days are brought, whatever their servers do."""

from __future__ import annotations

import string
import threading
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rocket_assets import storage as keys
from rocket_assets.archive import NO_ADDRESS, Archive, Entry, Manifest
from rocket_assets.bringing import ImageDay, bring_images
from rocket_assets.errors import Damaged, Missing, StorageFailed, Unavailable, shown
from rocket_assets.images import Fetched, ImageLibrary, inspect
from rocket_assets.launches import Launch, data_version
from rocket_assets.storage import Storage
from rocket_assets.verification import verify
from rocket_assets_tests.scripted_server import HERE, Answer, Request, ScriptedServer
from rocket_assets_tests.test_archive import DAY, NEXT, SOURCE, launch
from rocket_assets_tests.test_images import HTML, picture


class Pictures:
    """A server's script: pictures by path, whole answers where something else is wanted, 404 for the rest."""

    def __init__(self, answers: Mapping[str, bytes | Answer]) -> None:
        self.answers: dict[str, bytes | Answer] = dict(answers)

    def __call__(self, request: Request) -> Answer:
        answer = self.answers.get(request.path, Answer(404))
        return answer if isinstance(answer, Answer) else Answer(body=answer)


def bring(archive: Archive, *days: date) -> list[ImageDay]:
    """The pictures of these days in their order, by a library of its own, as a later run would bring them."""
    with ImageLibrary(archive.storage, api_url=HERE, retries=1, backoff=0) as library:
        return sorted(bring_images(archive, days or [DAY], library), key=lambda brought: brought.day)


def bring_one(archive: Archive, *launches: Launch, day: date = DAY) -> Manifest:
    """Store these launches and their pictures, and give the manifest; the day must be done."""
    archive.write_launches(day, SOURCE, launches)
    (brought,) = bring(archive, day)
    assert brought.error is None
    assert brought.manifest is not None
    assert brought.manifest == archive.read_manifest(day)
    return brought.manifest


def tree(archive: Archive, prefix: str = "") -> dict[str, bytes]:
    return {found.key: archive.storage.read(found.key) for found in archive.storage.list(prefix)}


def files(archive: Archive, day: date = DAY) -> set[str]:
    """What lies in the folder of a day beside its manifest."""
    folder = keys.images_folder(day)
    return {found.key.removeprefix(folder) for found in archive.storage.list(folder)} - {"manifest.json"}


@pytest.fixture
def archive(storage: Storage) -> Archive:
    """An empty archive in a folder."""
    return Archive(storage)


def test_a_day_of_pictures_lies_as_designed(archive: Archive) -> None:
    with ScriptedServer(Pictures({"/a.png": picture("JPEG")})) as server:
        shown, bare = launch(1, server.url("/a.png"), hour=1), launch(2, hour=2)
        manifest = bring_one(archive, bare, shown)
        known = inspect(picture("JPEG"), "")
        assert manifest == Manifest(
            DAY,
            data_version([shown, bare]),
            [
                Entry(
                    launch_id=shown.id,
                    launch_name="Rocket 1 | Payload",
                    source_url=server.url("/a.png"),
                    credit="Credit 1",
                    licence="CC BY 4.0",
                    licence_url="https://cc.example/by",
                    file="rocket-1-payload-00000001.jpeg",
                    sha256=known.sha256,
                    bytes=known.bytes,
                    format="jpeg",
                    width=48,
                    height=32,
                ),
                Entry(bare.id, "Rocket 2 | Payload", reason=NO_ADDRESS),
            ],
        )
        assert set(tree(archive)) == {
            "launches/2026/2026-03-05.json",
            "images/2026/2026-03-05/manifest.json",
            "images/2026/2026-03-05/rocket-1-payload-00000001.jpeg",
            f"pool/{known.sha256[:2]}/{known.sha256}.jpeg",
            keys.address_key(server.url("/a.png")),
        }
    assert archive.storage.read("images/2026/2026-03-05/rocket-1-payload-00000001.jpeg") == picture("JPEG")
    assert manifest.refused == []


def test_launches_that_share_a_picture_each_have_it_and_it_is_fetched_once(archive: Archive) -> None:
    with ScriptedServer(Pictures({"/a.png": picture()})) as server:
        for day in (DAY, NEXT):
            archive.write_launches(day, SOURCE, [launch(n, server.url("/a.png"), day=day) for n in range(10)])
        brought = bring(archive, DAY, NEXT)
        assert len(server.requests) == 1
    assert [len(files(archive, day)) for day in (DAY, NEXT)] == [10, 10]
    assert [day.bytes_fetched for day in brought] == [len(picture()), 0]
    assert [day.bytes_kept for day in brought] == [9 * len(picture()), 10 * len(picture())]


HOSTILE = {
    "climbing": "../../../etc/passwd",
    "NUL": "Falcon\x009",
    "slashes": "a/b\\c//d",
    "from right to left": "Rocket \u202egpj.exe\u202c",
    "long": "x" * 300,
    "long words": "Long March 3B/E | " + "A very long payload name " * 20,
    "not ASCII": "Протон | Экспресс",
    "accents": "Véga | Élan",
    "emoji": "🚀🚀🚀",
    "half a surrogate": "a\ud800b",
    "empty": "",
    "blank": " \t\n",
    "dots": "...",
    "manifest": "manifest.json",
    "a leftover's": "x#1",
    "an option": "-rf *",
    "percent": "%2e%2e%2f%00",
}


@pytest.mark.parametrize("name", HOSTILE.values(), ids=list(HOSTILE))
def test_a_file_has_a_plain_name_whatever_the_launch_is_called(archive: Archive, name: str) -> None:
    with ScriptedServer(Pictures({"/a.png": picture()})) as server:
        (entry,) = bring_one(archive, launch(7, server.url("/a.png"), name=name)).entries
    assert entry.file
    assert set(entry.file) <= set(string.ascii_lowercase + string.digits + "-.")
    assert entry.file.endswith("-00000007.png")
    assert len(entry.file) <= 100
    assert files(archive) == {entry.file}
    assert entry.launch_name == (shown(name, 1000) or launch(7).id)
    assert entry.launch_name.isprintable()


@pytest.mark.parametrize("launch_id", ["../../x", "5", "ü" * 100, "CAFE", " "], ids=ascii)
def test_an_id_in_another_form_makes_no_other_kind_of_name(archive: Archive, launch_id: str) -> None:
    if not launch_id.strip():
        launch_id += "x"
    with ScriptedServer(Pictures({"/a.png": picture()})) as server:
        (entry,) = bring_one(archive, launch(launch_id, server.url("/a.png"), name="Name")).entries
    assert entry.file
    assert len(entry.file) == len("name-12345678.png")
    assert files(archive) == {entry.file}


def test_launches_with_equal_names_and_equal_beginnings_of_their_ids_have_files_of_their_own(archive: Archive) -> None:
    bodies = {f"/{n}.png": picture(shade=n) for n in range(3)}
    with ScriptedServer(Pictures(bodies)) as server:
        twins = [
            launch(str(uuid.UUID(int=(0xCAFE << 112) + n)), server.url(f"/{n}.png"), name="Twin") for n in range(3)
        ]
        manifest = bring_one(archive, *twins)
    assert len(files(archive)) == 3
    for n, entry in enumerate(manifest.entries):
        assert archive.storage.read(f"{keys.images_folder(DAY)}{entry.file}") == bodies[f"/{n}.png"]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(max_size=20), min_size=2, max_size=6))
def test_no_two_launches_of_a_day_ever_share_a_file(names: list[str]) -> None:
    archive = Archive(Storage(f"memory://{uuid.uuid4()}"))
    with ScriptedServer(Pictures({"/a.png": picture()})) as server:
        launches = [launch(str(uuid.UUID(int=n)), server.url("/a.png"), name=name) for n, name in enumerate(names)]
        manifest = bring_one(archive, *launches)
    assert len({entry.file for entry in manifest.entries}) == len(files(archive)) == len(names)


def test_a_launch_without_a_picture_has_an_entry_that_says_so(archive: Archive) -> None:
    entries = bring_one(archive, launch(1), launch(2, "")).entries
    assert [(entry.file, entry.picture, entry.reason) for entry in entries] == [(None, None, NO_ADDRESS)] * 2


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(404), "answered 404"),
        (Answer(body=HTML, content_type="image/png"), "no picture"),
        (Answer(body=b""), "empty body"),
        (Answer(body=picture("JPEG")[:600]), "cannot be decoded whole"),
    ],
    ids=["404", "HTML", "empty", "half"],
)
def test_a_refused_picture_is_an_entry_with_the_reason_and_the_others_are_unharmed(
    archive: Archive, answer: Answer, reason: str
) -> None:
    with ScriptedServer(Pictures({"/good.png": picture(), "/bad.png": answer})) as server:
        good, bad = launch(1, server.url("/good.png")), launch(2, server.url("/bad.png"))
        manifest = bring_one(archive, bad, good)
    first, second = manifest.entries
    assert first.file
    assert second.file is None
    assert second.picture is None
    assert reason in (second.reason or "")
    assert second.source_url == bad.image.url if bad.image else False
    assert manifest.refused == [second]
    assert files(archive) == {first.file}


@pytest.mark.parametrize("answer", [Answer(500), Answer(429), Answer(reset=True)], ids=["500", "429", "reset"])
def test_an_unavailable_picture_keeps_its_day_from_being_done_and_nothing_else(
    archive: Archive, answer: Answer
) -> None:
    with ScriptedServer(Pictures({"/good.png": picture(), "/a.png": answer, "/b.png": answer})) as server:
        archive.write_launches(
            DAY, SOURCE, [launch(n, server.url(path)) for n, path in enumerate(["/a.png", "/good.png", "/b.png"])]
        )
        archive.write_launches(NEXT, SOURCE, [launch(9, server.url("/good.png"), day=NEXT)])
        first, second = bring(archive, DAY, NEXT)
    assert isinstance(first.error, Unavailable)
    assert first.error.retryable
    assert "Not all pictures of 2026-03-05 could be had" in str(first.error)
    assert "(and 1 more)" in str(first.error)
    assert first.manifest is not None
    assert first.manifest == archive.read_manifest(DAY)
    assert [bool(entry.file) for entry in first.manifest.entries] == [False, True, False]
    assert len(files(archive)) == 1
    assert second.error is None
    assert len(files(archive, NEXT)) == 1


def missing(archive: Archive) -> None:
    archive.storage.delete([keys.launches_key(DAY)])


def damaged(archive: Archive) -> None:
    body = bytearray(archive.storage.read(keys.launches_key(DAY)))
    body[40] ^= 1
    archive.storage.write(keys.launches_key(DAY), bytes(body))


@pytest.mark.parametrize(("harm", "kind"), [(missing, Missing), (damaged, Damaged)], ids=["missing", "damaged"])
def test_a_day_whose_launches_cannot_be_read_says_so_and_the_others_are_unharmed(
    archive: Archive, harm: Callable[[Archive], None], kind: type[StorageFailed]
) -> None:
    with ScriptedServer(Pictures({"/a.png": picture()})) as server:
        for day in (DAY, NEXT):
            archive.write_launches(day, SOURCE, [launch(1, server.url("/a.png"), day=day)])
        harm(archive)
        first, second = bring(archive, DAY, NEXT)
    assert type(first.error) is kind
    assert "2026-03-05" in str(first.error)
    assert first.manifest is None
    assert files(archive, DAY) == set()
    assert second.error is None
    assert len(files(archive, NEXT)) == 1


def test_a_storage_that_fails_on_one_day_does_not_stop_the_next(archive: Archive) -> None:
    with ScriptedServer(Pictures({"/a.png": picture()})) as server:
        for day in (DAY, NEXT):
            archive.write_launches(day, SOURCE, [launch(1, server.url("/a.png"), day=day)])
        archive.storage.write("images/2026/2026-03-05", b"a file where the folder should be")
        first, second = bring(archive, DAY, NEXT)
    assert isinstance(first.error, StorageFailed)
    assert first.manifest is None
    assert second.error is None


@pytest.mark.parametrize("url", ["http://a..b/a.png", "javascript:alert(1)", "http://[::1", "\x00"], ids=ascii)
def test_an_address_that_is_none_does_not_stop_its_day(archive: Archive, url: str) -> None:
    with ScriptedServer(Pictures({"/a.png": picture()})) as server:
        manifest = bring_one(archive, launch(1, url), launch(2, server.url("/a.png")))
    assert [bool(entry.file) for entry in manifest.entries] == [False, True]
    assert manifest.entries[0].reason


def test_a_day_whose_picture_is_long_in_coming_does_not_hold_up_the_others(archive: Archive) -> None:
    slow = Answer(body=picture(shade=2), silent=1.0)
    with ScriptedServer(Pictures({"/slow.png": slow, "/a.png": picture()})) as server:
        archive.write_launches(DAY, SOURCE, [launch(1, server.url("/slow.png"))])
        archive.write_launches(NEXT, SOURCE, [launch(2, server.url("/a.png"), day=NEXT)])
        with ImageLibrary(archive.storage, api_url=HERE) as library:
            given = [brought.day for brought in bring_images(archive, [DAY, NEXT], library)]
    assert given == [NEXT, DAY]


class Unforeseen(ImageLibrary):
    """A library that fails in a way of which nobody has thought, at one address."""

    def fetch(self, url: str) -> Future[Fetched]:
        if not url.endswith("/odd.png"):
            return super().fetch(url)
        fetch = Future[Fetched]()
        fetch.set_exception(ZeroDivisionError("by zero"))
        return fetch


def test_a_picture_that_fails_in_an_unforeseen_way_concerns_its_own_day_alone(archive: Archive) -> None:
    with ScriptedServer(Pictures({"/a.png": picture()})) as server:
        archive.write_launches(DAY, SOURCE, [launch(1, server.url("/odd.png")), launch(2, server.url("/a.png"))])
        archive.write_launches(NEXT, SOURCE, [launch(3, server.url("/a.png"), day=NEXT)])
        with Unforeseen(archive.storage, api_url=HERE) as library:
            first, second = sorted(bring_images(archive, [DAY, NEXT], library), key=lambda brought: brought.day)
    assert isinstance(first.error, Unavailable)
    assert "/odd.png led to what we did not foresee: ZeroDivisionError: by zero." in str(first.error)
    assert len(files(archive, DAY)) == 1
    assert second.error is None


def test_a_folder_that_cannot_be_looked_into_concerns_its_own_day_alone(archive: Archive) -> None:
    days = [date(2025, 12, 30) + timedelta(days=n) for n in range(6)]
    loop = Path(archive.storage.address(keys.images_folder(days[1]))) / "loop"
    loop.mkdir(parents=True)
    (loop / "again").symlink_to(loop)
    for day in days:
        archive.write_launches(day, SOURCE, [launch(1, day=day)])
    brought = bring(archive, *days)
    assert [day.day for day in brought if day.error] == [days[1]]
    assert isinstance(brought[1].error, StorageFailed)


def test_a_bucket_says_of_each_day_what_lies_in_its_folder_also_across_new_year() -> None:
    """Many days are listed by the year; what is known of each must be its own all the same."""
    archive = Archive(Storage(f"memory://{uuid.uuid4()}"))
    days = [date(2025, 12, 28) + timedelta(days=n) for n in range(8)]
    with ScriptedServer(Pictures({"/a.png": picture()})) as server:
        for day in days:
            archive.write_launches(day, SOURCE, [launch(1, server.url("/a.png"), day=day)])
        assert not any(day.error for day in bring(archive, *days))
    assert {day: set(found) for day, found in archive.list_images(days).items()} == {
        day: {keys.manifest_key(day), f"{keys.images_folder(day)}rocket-1-payload-00000001.png"} for day in days
    }
    before = tree(archive)
    with ScriptedServer(Pictures({})) as server:
        for day in days:
            archive.write_launches(day, SOURCE, [launch(1, server.url("/new.png"), day=day)])
        bring(archive, *days)
    # The pictures of before are kept, because the manifests of all days were found.
    assert {key: body for key, body in tree(archive).items() if key.endswith(".png")} == {
        key: body for key, body in before.items() if key.endswith(".png")
    }


# Another run at the same time


def in_between(archive: Archive, slow: ScriptedServer, other: Callable[[], None]) -> ImageDay:
    """A day as it came, when something else happens while its picture is asked for."""
    happened = threading.Event()
    script = slow.script

    def answer(request: Request) -> Answer:
        if not happened.is_set():
            happened.set()
            other()
        return script(request)

    slow.script = answer
    # A folder is looked into again at once, a bucket after some seconds.
    fresh = {} if archive.storage.is_folder else {"fresh_seconds": 0}
    with ImageLibrary(archive.storage, api_url=HERE, workers=1, retries=1, backoff=0) as library:
        (brought,) = bring_images(archive, [DAY], library, **fresh)
    assert happened.is_set()
    return brought


@pytest.fixture(params=["folder", "bucket"])
def anywhere(request: pytest.FixtureRequest, storage: Storage) -> Archive:
    """An empty archive, in a folder or in what is like a bucket."""
    return Archive(storage if request.param == "folder" else Storage(f"memory://{uuid.uuid4()}"))


def test_what_another_run_has_removed_meanwhile_is_put_there_again(anywhere: Archive) -> None:
    folder = keys.images_folder(DAY)
    with ScriptedServer(Pictures({"/a.png": picture()})) as server:
        bring_one(anywhere, launch(1, server.url("/a.png")))
        before = tree(anywhere)
        brought = in_between(
            anywhere, server, lambda: anywhere.storage.delete([found.key for found in anywhere.storage.list(folder)])
        )
    assert brought.error is None
    assert tree(anywhere) == before


def test_a_manifest_names_what_is_there_though_another_run_has_brought_the_day_meanwhile(anywhere: Archive) -> None:
    with ScriptedServer(Pictures({"/a.png": picture(shade=1), "/b.png": picture(shade=2)})) as server:
        first, second = launch(1, server.url("/a.png")), launch(2, server.url("/b.png"))
        bring_one(anywhere, first)
        anywhere.write_launches(DAY, SOURCE, [first, second])

        def the_first_leaves() -> None:
            bring_one(anywhere, second)

        brought = in_between(anywhere, server, the_first_leaves)
    assert brought.error is None
    assert files(anywhere) == {entry.file for entry in anywhere.read_manifest(DAY).entries}


# A day brought again


def test_a_day_whose_manifest_is_damaged_is_brought_anew(archive: Archive) -> None:
    archive.storage.write(keys.manifest_key(DAY), b"[]")
    with pytest.raises(Damaged):
        archive.read_manifest(DAY)
    assert bring_one(archive, launch(1)).entries[0].reason == NO_ADDRESS


def test_a_day_brought_twice_is_not_written_twice(archive: Archive, storage: Storage) -> None:
    with ScriptedServer(Pictures({"/a.png": picture(), "/bad.png": HTML})) as server:
        launches = [launch(1, server.url("/a.png")), launch(2, server.url("/bad.png")), launch(3)]
        bring_one(archive, *launches)
        before, stats = tree(archive), file_stats(storage)
        bring_one(archive, *launches)
    assert tree(archive) == before
    assert file_stats(storage) == stats


def file_stats(storage: Storage) -> dict[str, tuple[int, int]]:
    found = [path for path in Path(storage.uri).rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}


def test_a_renamed_launch_leaves_no_file_under_its_old_name(archive: Archive) -> None:
    with ScriptedServer(Pictures({"/a.png": picture()})) as server:
        bring_one(archive, launch(1, server.url("/a.png"), name="Old"))
        bring_one(archive, launch(1, server.url("/a.png"), name="New"))
    assert files(archive) == {"new-00000001.png"}


def test_a_launch_that_has_left_the_day_leaves_its_folder_and_never_the_pool(archive: Archive) -> None:
    with ScriptedServer(Pictures({"/a.png": picture(shade=1), "/b.png": picture(shade=2)})) as server:
        first, second = launch(1, server.url("/a.png")), launch(2, server.url("/b.png"))
        bring_one(archive, first, second)
        pool = tree(archive, "pool/")
        bring_one(archive, second)
        assert files(archive) == {"rocket-2-payload-00000002.png"}
        bring_one(archive)
    assert files(archive) == set()
    assert tree(archive, "pool/") == pool
    assert archive.read_manifest(DAY).entries == []


def test_a_foreign_file_in_the_folder_of_a_day_is_removed(archive: Archive) -> None:
    archive.storage.write(keys.images_folder(DAY) + "sub/foreign.txt", b"x")
    bring_one(archive)
    assert files(archive) == set()


def test_a_changed_picture_replaces_the_old_one_of_the_same_name(archive: Archive) -> None:
    script = Pictures({"/a.png": picture(shade=1)})
    with ScriptedServer(script) as server:
        old = bring_one(archive, launch(1, server.url("/a.png")))
        script.answers["/a.png"] = picture(shade=2)
        new = bring_one(archive, launch(1, server.url("/a.png")))
    assert files(archive) == {"rocket-1-payload-00000001.png"}
    assert archive.storage.read(f"{keys.images_folder(DAY)}rocket-1-payload-00000001.png") == picture(shade=2)
    assert old.data_version != new.data_version


WORSE = {
    "404": Answer(404),
    "410": Answer(410),
    "500": Answer(500),
    "HTML": Answer(body=HTML),
    "empty": Answer(body=b""),
    "half": Answer(body=picture()[:500]),
    "reset": Answer(reset=True),
}


@pytest.mark.parametrize("path", ["/a.png", "/new.png"], ids=["at its old address", "at a new address"])
@pytest.mark.parametrize("worse", WORSE.values(), ids=list(WORSE))
def test_a_good_picture_is_kept_when_its_address_gives_none(archive: Archive, worse: Answer, path: str) -> None:
    script = Pictures({"/a.png": picture()})
    with ScriptedServer(script) as server:
        (before,) = bring_one(archive, launch(1, server.url("/a.png"))).entries
        script.answers.clear()
        script.answers[path] = worse
        archive.write_launches(DAY, SOURCE, [launch(1, server.url(path), name="Renamed")])
        (brought,) = bring(archive)
    assert brought.manifest
    (after,) = brought.manifest.entries
    assert after.picture == before.picture
    assert (after.source_url, after.credit) == (before.source_url, before.credit)
    assert after.file == ("renamed-00000001.png" if path == "/a.png" else before.file)
    assert after.launch_name == "Renamed"
    assert server.url(path) in (after.reason or "")
    assert archive.storage.read(f"{keys.images_folder(DAY)}{after.file}") == picture()


def test_what_is_kept_is_put_there_again_where_it_is_gone_or_damaged(archive: Archive) -> None:
    script = Pictures({"/a.png": picture()})
    with ScriptedServer(script) as server:
        (before,) = bring_one(archive, launch(1, server.url("/a.png"))).entries
        file = f"{keys.images_folder(DAY)}{before.file}"
        script.answers = {}
        for harm in (
            lambda: archive.storage.delete([file]),
            lambda: archive.storage.write(file, b"other"),
            lambda: archive.storage.write(file, picture(shade=9)),
        ):
            harm()
            (after,) = bring_one(archive, launch(1, server.url("/a.png"))).entries
            assert after.picture == before.picture
            assert archive.storage.read(file) == picture()


def test_what_is_nowhere_any_more_is_not_said_to_be_kept(archive: Archive) -> None:
    script = Pictures({"/a.png": picture()})
    with ScriptedServer(script) as server:
        (before,) = bring_one(archive, launch(1, server.url("/a.png"))).entries
        assert before.picture
        archive.storage.delete([before.picture.key, f"{keys.images_folder(DAY)}{before.file}"])
        script.answers = {}
        (after,) = bring_one(archive, launch(1, server.url("/a.png"))).entries
    assert (after.file, after.picture) == (None, None)
    assert files(archive) == set()


@pytest.mark.parametrize("trouble", [Answer(500), Answer(reset=True)], ids=["500", "reset"])
def test_the_manifest_remembers_a_lost_picture_until_its_server_has_answered(archive: Archive, trouble: Answer) -> None:
    script = Pictures({"/a.png": picture(), "/b.png": picture(shade=2)})
    with ScriptedServer(script) as server:
        launches = [launch(1, server.url("/a.png")), launch(2, server.url("/b.png"))]
        before = bring_one(archive, *launches)
        lost = before.entries[0]
        assert lost.picture
        archive.storage.delete([lost.picture.key, f"{keys.images_folder(DAY)}{lost.file}"])
        script.answers["/a.png"], script.answers["/b.png"] = trouble, picture(shade=3)
        (brought,) = bring(archive)
        assert isinstance(brought.error, Unavailable)
        # Else nobody would know that there was one; and what is new of the others is not kept away by it.
        remembered, other = archive.read_manifest(DAY).entries
        assert (remembered.file, remembered.sha256) == (lost.file, lost.sha256)
        assert remembered.reason
        assert archive.storage.read(f"{keys.images_folder(DAY)}{other.file}") == picture(shade=3)
        assert f"{keys.images_folder(DAY)}{lost.file}" in str(
            [problem for part in verify(archive) for problem in part.problems]
        )
        script.answers["/a.png"] = picture()
        (brought,) = bring(archive)
        assert brought.error is None
    assert archive.read_manifest(DAY).entries[0] == lost
    assert archive.storage.read(f"{keys.images_folder(DAY)}{lost.file}") == picture()


def test_a_picture_beside_its_launch_is_kept_though_the_pool_is_damaged(archive: Archive) -> None:
    script = Pictures({"/a.png": picture()})
    with ScriptedServer(script) as server:
        (before,) = bring_one(archive, launch(1, server.url("/a.png"))).entries
        assert before.picture
        archive.storage.write(before.picture.key, b"damaged")
        script.answers = {}
        bring_one(archive, launch(1, server.url("/a.png")))
    assert archive.storage.read(f"{keys.images_folder(DAY)}{before.file}") == picture()


def test_a_new_picture_is_never_put_over_one_that_is_kept(archive: Archive) -> None:
    script = Pictures({"/a.png": picture(shade=1), "/b.png": picture(shade=2)})
    ids = [str(uuid.UUID(int=(0xCAFE << 112) + n)) for n in range(2)]
    with ScriptedServer(script) as server:
        urls = [server.url("/a.png"), server.url("/b.png")]
        bring_one(archive, *[launch(ids[n], urls[n], name="Twin", hour=n) for n in range(2)])
        # Now the second is the first of the day, and the first one's address fails.
        del script.answers["/a.png"]
        manifest = bring_one(archive, *[launch(ids[n], urls[n], name="Twin", hour=2 - n) for n in range(2)])
    assert {entry.launch_id: shade(archive, entry) for entry in manifest.entries} == {ids[0]: 1, ids[1]: 2}


def shade(archive: Archive, entry: Entry) -> int:
    body = archive.storage.read(f"{keys.images_folder(DAY)}{entry.file}")
    assert inspect(body, "") == entry.picture
    return [picture(shade=n) for n in range(3)].index(body)


def test_a_flipped_bit_in_a_picture_is_mended_by_bringing_its_day_again(archive: Archive, storage: Storage) -> None:
    answer = Answer(body=picture(), headers={"ETag": '"1"'})

    def script(request: Request) -> Answer:
        return Answer(304) if "if-none-match" in request.headers else answer

    with ScriptedServer(script) as server:
        (entry,) = bring_one(archive, launch(1, server.url("/a.png"))).entries
        before = tree(archive)
        # In a folder the pool and the day share the file, so a bad sector hits both.
        path = Path(storage.address(f"{keys.images_folder(DAY)}{entry.file}"))
        body = bytearray(path.read_bytes())
        body[100] ^= 1
        path.write_bytes(bytes(body))
        assert tree(archive) != before
        bring_one(archive, launch(1, server.url("/a.png")))
    assert tree(archive) == before


def test_the_data_version_of_a_manifest_says_which_launch_shows_which_picture(archive: Archive) -> None:
    with ScriptedServer(Pictures({"/a.png": picture()})) as server:
        one = bring_one(archive, launch(1, server.url("/a.png")))
        again = bring_one(archive, launch(1, server.url("/a.png")))
        other = bring_one(archive, launch(2, server.url("/a.png")))
    assert one.data_version == again.data_version
    assert one.data_version != other.data_version
