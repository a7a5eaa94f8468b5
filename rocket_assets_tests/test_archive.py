"""What a day is once it is stored: launches, pictures and manifest, whatever the pictures' servers do."""

from __future__ import annotations

import json
import string
import uuid
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rocket_assets import storage as keys
from rocket_assets.archive import NO_ADDRESS, Archive, Entry, ImageDay, Manifest
from rocket_assets.documents import seal
from rocket_assets.errors import Damaged, Missing, StorageFailed, Unavailable, shown
from rocket_assets.images import ImageLibrary, inspect
from rocket_assets.launches import Launch, data_version, parse
from rocket_assets.storage import Storage
from rocket_assets.verification import verify
from rocket_assets_tests.scripted_server import HERE, Answer, Request, ScriptedServer
from rocket_assets_tests.test_images import HTML, picture

DAY = date(2026, 3, 5)
NEXT = date(2026, 3, 6)
SOURCE = "https://library.example/launches/"


class Pictures:
    """A server's script: pictures by path, whole answers where something else is wanted, 404 for the rest."""

    def __init__(self, answers: Mapping[str, bytes | Answer]) -> None:
        self.answers: dict[str, bytes | Answer] = dict(answers)

    def __call__(self, request: Request) -> Answer:
        answer = self.answers.get(request.path, Answer(404))
        return answer if isinstance(answer, Answer) else Answer(body=answer)


def launch(
    number: int | str, url: str | None = None, *, name: str | None = None, day: date = DAY, hour: int = 0
) -> Launch:
    """A launch of a day; a number is an id in the API's form."""
    launch_id = str(uuid.UUID(int=number << 96)) if isinstance(number, int) else number
    image: dict[str, Any] | None = None
    if url is not None:
        licence = {"name": "CC BY 4.0", "link": "https://cc.example/by"}
        image = {"image_url": url, "credit": f"Credit {number}", "license": licence}
    given_name = f"Rocket {number} | Payload" if name is None else name
    return parse({"id": launch_id, "name": given_name, "net": f"{day}T{hour:02}:00:00Z", "image": image}, SOURCE)


def bring(archive: Archive, *days: date) -> list[ImageDay]:
    """The pictures of these days in their order, by a library of its own, as a later run would bring them."""
    with ImageLibrary(archive.storage, api_url=HERE, retries=1, backoff=0) as library:
        return sorted(archive.bring_images(days or [DAY], library), key=lambda brought: brought.day)


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


# Launches


def test_a_day_of_launches_is_one_file_in_order_with_its_day_source_and_count(archive: Archive) -> None:
    late, early, same = launch(1, hour=9), launch(3, hour=2), launch(2, hour=9)
    assert archive.write_launches(DAY, SOURCE, [late, same, early]) is True
    document = json.loads(archive.storage.read("launches/2026/2026-03-05.json"))
    assert document.pop("sha256")
    assert document == {
        "day": "2026-03-05",
        "source": SOURCE,
        "count": 3,
        "results": [early.row, late.row, same.row],
    }
    assert archive.read_launches(DAY) == [early, late, same]


def test_the_same_launches_in_another_order_change_nothing(archive: Archive) -> None:
    launches = [launch(n, hour=n) for n in range(5)]
    archive.write_launches(DAY, SOURCE, launches)
    assert archive.write_launches(DAY, SOURCE, reversed(launches)) is False
    assert archive.write_launches(DAY, SOURCE, launches[1:]) is True


def test_a_day_without_launches_is_stored_as_one(archive: Archive) -> None:
    assert archive.write_launches(DAY, SOURCE, []) is True
    assert archive.read_launches(DAY) == []


def test_what_the_api_gave_is_kept_whole(archive: Archive) -> None:
    row = {"id": "x", "net": f"{DAY}T00:00:00Z", "unknown": {"é": [1, 2.5, None, "☄\ud800"]}}
    archive.write_launches(DAY, SOURCE, [parse(row, SOURCE)])
    assert archive.read_launches(DAY)[0].row == row


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        seal({}),
        seal({"day": "2026-03-06", "source": SOURCE, "count": 0, "results": []}),
        seal({"day": "2026-03-05", "source": SOURCE, "count": 0}),
    ],
    ids=["empty", "unsealed", "nothing in it", "of another day", "without launches"],
)
def test_a_file_that_is_not_that_days_launches_is_damaged(archive: Archive, body: bytes) -> None:
    archive.storage.write(keys.launches_key(DAY), body)
    with pytest.raises(Damaged, match=r"launches/2026/2026-03-05\.json.*[Bb]ring its day again"):
        archive.read_launches(DAY)


@pytest.mark.parametrize(
    "document",
    [
        {"day": "2026-03-06", "launches_version": "x", "entries": []},
        {"day": "2026-03-05", "entries": []},
        {"day": "2026-03-05", "launches_version": "x", "entries": [{"launch_id": "a"}]},
        {"day": "2026-03-05", "launches_version": "x", "entries": ["a"]},
    ],
    ids=["of another day", "without a version", "with half an entry", "with something else"],
)
def test_a_file_that_is_not_that_days_manifest_is_damaged_and_brought_anew(
    archive: Archive, document: dict[str, Any]
) -> None:
    archive.storage.write(keys.manifest_key(DAY), seal(document))
    with pytest.raises(Damaged, match=r"images/2026/2026-03-05/manifest\.json"):
        archive.read_manifest(DAY)
    assert bring_one(archive, launch(1)).entries[0].reason == NO_ADDRESS


# Pictures


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
            given = [brought.day for brought in archive.bring_images([DAY, NEXT], library)]
    assert given == [NEXT, DAY]


# A day brought again


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
