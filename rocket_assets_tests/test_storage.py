"""Keys and bytes, held against a folder and against memory; what only a folder can do comes last."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest

from rocket_assets import storage as keys
from rocket_assets.errors import Missing, StorageFailed
from rocket_assets.storage import Storage

SHA = "ab" * 32


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """An empty storage of each kind."""
    return Storage(str(tmp_path / "store") if request.param == "folder" else f"memory://{uuid.uuid4()}")


def everything(store: Storage) -> dict[str, bytes]:
    return {found.key: store.read(found.key) for found in store.list()}


def test_what_is_written_can_be_read_found_and_listed(store: Storage) -> None:
    assert store.write("a/b/c.txt", b"bytes") is True
    assert store.read("a/b/c.txt") == b"bytes"
    found = store.find("a/b/c.txt")
    assert found is not None
    assert (found.key, found.size) == ("a/b/c.txt", 5)
    assert list(store.list()) == [found]


def test_an_empty_object_is_an_object(store: Storage) -> None:
    assert store.write("empty", b"") is True
    assert store.write("empty", b"") is False
    assert store.read("empty") == b""


def test_writing_equal_bytes_changes_nothing_and_says_so(store: Storage) -> None:
    store.write("a.txt", b"bytes")
    before = store.find("a.txt")
    assert store.write("a.txt", b"bytes") is False
    assert store.find("a.txt") == before


@pytest.mark.parametrize("other", [b"other", b"", b"longer than before"], ids=["equal length", "empty", "longer"])
def test_writing_other_bytes_replaces_them_and_says_so(store: Storage, other: bytes) -> None:
    store.write("a.txt", b"bytes")
    before = store.find("a.txt")
    assert store.write("a.txt", other) is True
    after = store.find("a.txt")
    assert store.read("a.txt") == other
    assert before is not None
    assert after is not None
    assert before.tag != after.tag


def test_a_reader_sees_the_old_or_the_new_bytes_and_never_a_part(store: Storage) -> None:
    versions = [bytes([n]) * 3_000_000 for n in range(4)]
    store.write("a", versions[0])
    done = threading.Event()

    def look() -> set[bytes]:
        seen = set[bytes]()
        while not done.is_set():
            seen.add(store.read("a"))
        return seen

    with ThreadPoolExecutor(1) as threads:
        looking = threads.submit(look)
        for body in versions * 5:
            store.write("a", body)
        done.set()
    assert looking.result() <= set(versions)
    assert looking.result()


def test_a_key_that_is_not_there_is_missing(store: Storage) -> None:
    store.write("a/b.txt", b"")
    assert store.find("a/other.txt") is None
    assert store.find("a") is None
    with pytest.raises(Missing, match=r"holds nothing under a/other\.txt"):
        store.read("a/other.txt")
    with pytest.raises(Missing, match=r"holds nothing under a/other\.txt"):
        store.copy("a/other.txt", "c.txt")
    assert store.find("c.txt") is None


def test_a_copy_holds_what_its_source_holds_and_replaces_what_was_there(store: Storage) -> None:
    store.write("source", b"new")
    store.write("target", b"old")
    assert store.copy("source", "target") is True
    assert store.copy("source", "folder/other") is True
    assert everything(store) == {"source": b"new", "target": b"new", "folder/other": b"new"}


def test_a_copy_of_a_key_to_itself_changes_nothing(store: Storage) -> None:
    store.write("a", b"bytes")
    assert store.copy("a", "a") is False
    assert everything(store) == {"a": b"bytes"}


def test_a_copy_stays_when_its_source_is_replaced_or_deleted(store: Storage) -> None:
    store.write("source", b"old")
    store.copy("source", "one")
    store.write("source", b"new")
    store.copy("source", "two")
    store.delete(["source"])
    assert everything(store) == {"one": b"old", "two": b"new"}


def test_copying_twice_leaves_nothing_beside_the_copy(store: Storage) -> None:
    store.write("source", b"bytes")
    for _ in range(3):
        store.copy("source", "target")
    assert everything(store) == {"source": b"bytes", "target": b"bytes"}
    assert list(store.leftovers()) == []


def test_a_list_holds_what_is_below_a_prefix_and_nothing_beside_it(store: Storage) -> None:
    for key in ("a/1", "a/b/2", "ab/3", "c"):
        store.write(key, b"")
    assert {found.key for found in store.list("a/")} == {"a/1", "a/b/2"}
    assert {found.key for found in store.list()} == {"a/1", "a/b/2", "ab/3", "c"}
    assert list(store.list("never/")) == []


def test_deleting_removes_the_named_keys_and_one_that_is_not_there_is_no_error(store: Storage) -> None:
    store.write("a", b"")
    store.write("b", b"")
    store.delete(["never", "a", "no/such/folder", "a"])
    assert set(everything(store)) == {"b"}


@pytest.mark.parametrize("key", ["../outside", "a/../../outside", "a/..", "./a"])
def test_a_key_that_leads_elsewhere_is_refused(store: Storage, tmp_path: Path, key: str) -> None:
    store.write("a/inside", b"")
    for act in (
        lambda: store.write(key, b"x"),
        lambda: store.read(key),
        lambda: store.find(key),
        lambda: store.copy("a/inside", key),
        lambda: store.copy(key, "a/inside"),
        lambda: store.delete([key]),
    ):
        with pytest.raises(StorageFailed, match="ROCKET_ASSETS_STORAGE"):
            act()
    assert not (tmp_path / "outside").exists()
    assert everything(store) == {"a/inside": b""}


def test_making_sure_that_we_may_write_leaves_nothing_behind(store: Storage) -> None:
    store.ensure_writable()
    assert everything(store) == {}


def test_a_storage_is_one_for_all_who_name_it(store: Storage) -> None:
    store.write("a", b"bytes")
    assert Storage(store.uri).read("a") == b"bytes"


@pytest.mark.parametrize("uri", ["s3://", "ftp://host/folder", "nonsense://x"])
def test_a_uri_that_names_no_storage_is_an_error_that_names_the_setting(uri: str) -> None:
    with pytest.raises(StorageFailed, match=f"Could not open the storage {uri}.*ROCKET_ASSETS_STORAGE"):
        Storage(uri)


def test_the_layout_is_as_designed() -> None:
    day = date(2026, 3, 5)
    assert keys.launches_key(day) == "launches/2026/2026-03-05.json"
    assert keys.images_folder(day) == "images/2026/2026-03-05/"
    assert keys.manifest_key(day) == "images/2026/2026-03-05/manifest.json"
    assert keys.pool_key(SHA, "jpeg") == f"pool/ab/{SHA}.jpeg"
    assert keys.address_key("https://x/é") == keys.address_key("https://x/é")
    assert keys.address_key("https://x/a") != keys.address_key("https://x/a?b")
    assert keys.address_key("https://x/../\x00\ud800").startswith("pool/by-url/")
    assert keys.launches_key(date(1, 1, 1)).endswith("0001-01-01.json")


@pytest.mark.parametrize(
    ("key", "day"),
    [
        (keys.launches_key(date(2026, 3, 5)), date(2026, 3, 5)),
        (keys.manifest_key(date(1957, 10, 4)), date(1957, 10, 4)),
        (keys.images_folder(date(2026, 3, 5)) + "sub/any.jpeg", date(2026, 3, 5)),
        ("launches/2026/2026-03-05.json.bak", None),
        ("launches/2026/2026-03-05.json\n", None),
        ("launches/2026/2026-03-05.txt", None),
        ("launches/2026/2026-02-30.json", None),
        ("launches/1999/2026-03-05.json", None),
        ("launches/2026/2026-03-05/x", None),
        ("launches/2026/x/2026-03-05.json", None),
        ("images/1999/2026-03-05/manifest.json", None),
        ("images/2026/2026-03-05", None),
        ("images/2026/2026-03-05.json", None),
        ("images/2026/notes.txt", None),
        ("pool/ab/2026-03-05.json", None),
        ("old/launches/2026/2026-03-05.json", None),
        ("", None),
    ],
)
def test_the_day_of_a_key_is_known_where_it_has_one(key: str, day: date | None) -> None:
    assert keys.day_of(key) == day


def test_equal_bytes_leave_the_file_itself_untouched(storage: Storage) -> None:
    storage.write("a.txt", b"bytes")
    storage.write("pool", b"x")
    storage.copy("pool", "copy")
    paths = [Path(storage.address(key)) for key in ("a.txt", "copy")]
    before = [(path.stat().st_ino, path.stat().st_mtime_ns) for path in paths]
    assert storage.write("a.txt", b"bytes") is False
    assert storage.copy("pool", "copy") is False
    assert [(path.stat().st_ino, path.stat().st_mtime_ns) for path in paths] == before


def test_a_copy_in_a_folder_takes_no_room(storage: Storage) -> None:
    storage.write("source", b"bytes")
    storage.copy("source", "a/target")
    assert Path(storage.address("source")).samefile(storage.address("a/target"))


def test_two_who_copy_the_same_at_once_leave_nothing_beside_it(storage: Storage) -> None:
    storage.write("source", b"bytes")
    start = threading.Barrier(8)

    def copy(target: str) -> bool:
        start.wait()
        return storage.copy("source", target)

    with ThreadPoolExecutor(8) as threads:
        for n in range(60):
            copies = [threads.submit(copy, f"target{n}") for _ in range(8)]
            assert [made.result() for made in copies].count(True) == 1
    assert list(storage.leftovers()) == []
    assert len(list(storage.list())) == 61


@pytest.mark.parametrize("again", ["write", "write the same", "copy", "copy the same"])
def test_what_an_interrupted_write_left_behind_is_removed_when_it_is_done_again(storage: Storage, again: str) -> None:
    storage.write("source", b"bytes")
    if again == "write the same":
        storage.write("a/b[1].json", b"bytes")
    if again == "copy the same":
        storage.copy("source", "a/b[1].json")
    for leftover in ("a/b[1].json#1", "a/b[1].json#27"):
        Path(storage.address(leftover)).parent.mkdir(exist_ok=True)
        Path(storage.address(leftover)).write_bytes(b"half")
    Path(storage.address("a/b[1].json#x")).write_bytes(b"no leftover")
    changed = storage.write("a/b[1].json", b"bytes") if "write" in again else storage.copy("source", "a/b[1].json")
    assert changed is ("same" not in again)
    assert list(storage.leftovers()) == []
    assert everything(storage) == {"source": b"bytes", "a/b[1].json": b"bytes", "a/b[1].json#x": b"no leftover"}


def test_two_who_write_the_same_key_at_once_both_succeed_and_leave_one_whole_file(storage: Storage) -> None:
    bodies = [bytes([n]) * 200_000 for n in range(3)]
    start = threading.Barrier(6)

    def write(target: str, body: bytes) -> bool:
        start.wait()
        return storage.write(target, body)

    with ThreadPoolExecutor(6) as threads:
        for n in range(20):
            writes = [threads.submit(write, f"target{n}", body) for body in bodies * 2]
            assert any(written.result() for written in writes)
            assert storage.read(f"target{n}") in bodies
    assert list(storage.leftovers()) == []
    assert len(list(storage.list())) == 20


def test_what_an_interrupted_write_left_behind_is_named_though_no_list_shows_it(storage: Storage) -> None:
    storage.write("a/b.json", b"x")
    Path(storage.address("a/b.json#1")).write_bytes(b"half")
    Path(storage.address("a/c#1.json")).write_bytes(b"a file of this name is no leftover")
    assert {found.key for found in storage.list()} == {"a/b.json", "a/c#1.json"}
    assert list(storage.leftovers()) == ["a/b.json#1"]


@pytest.mark.parametrize("below", ["file", "file/sub", "file/sub/sub"])
def test_a_folder_that_cannot_be_is_an_error_that_says_what_to_do(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFailed, match=r"Could not open .* Is ROCKET_ASSETS_STORAGE right, .* may we write"):
        Storage(str(tmp_path / below))


def test_a_folder_that_became_unwritable_is_found_before_anything_is_fetched(tmp_path: Path) -> None:
    store = Storage(str(tmp_path / "store"))
    (tmp_path / "store").rmdir()
    (tmp_path / "store").write_text("in the way")
    with pytest.raises(StorageFailed, match=r"Could not write to the storage .*ROCKET_ASSETS_STORAGE"):
        store.ensure_writable()


def test_a_key_below_a_file_is_an_error_that_names_both(storage: Storage) -> None:
    storage.write("a", b"file")
    with pytest.raises(StorageFailed, match=r"a/b in the storage .*ROCKET_ASSETS_STORAGE right"):
        storage.write("a/b", b"x")


def test_a_relative_folder_and_a_home_folder_are_where_a_shell_would_have_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    Storage("data").write("a", b"relative")
    Storage("~/rockets").write("a", b"home")
    assert (tmp_path / "data/a").read_bytes() == b"relative"
    assert (tmp_path / "home/rockets/a").read_bytes() == b"home"
    assert Storage("~/rockets").address("a") == str(tmp_path / "home/rockets/a")


def test_an_address_is_a_path_on_a_disk_and_a_uri_in_a_bucket(tmp_path: Path) -> None:
    assert Storage("data").address("a/b") == str(tmp_path / "data/a/b")
    assert Storage("memory://bucket/").address("a/b") == "memory://bucket/a/b"
