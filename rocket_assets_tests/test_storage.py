"""Keys and bytes, one suite for a folder, memory and buckets of each kind; what only a folder can do comes last.

How a bucket fails is in `test_bucket`.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import obstore
import pytest
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import LocalStore, from_url

from rocket_assets import storage as keys
from rocket_assets.errors import Missing, StorageFailed
from rocket_assets.images import FORMATS
from rocket_assets.storage import Storage
from rocket_assets_tests.bucket import S3
from rocket_assets_tests.clouds import Cloud

SHA = "ab" * 32

CLOUDS = [pytest.param(name, marks=pytest.mark.slow) for name in ("google", "azure")]
KINDS = ["folder", "memory", "bucket", "part of a bucket", *CLOUDS]


@pytest.fixture(params=KINDS)
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty storage of each kind is."""
    if request.param == "folder":
        return str(tmp_path / "store")
    if request.param == "memory":
        return f"memory://{uuid.uuid4()}"
    if request.param in ("google", "azure"):
        cloud: Cloud = request.getfixturevalue(request.param)
        return cloud.make_bucket()
    s3: S3 = request.getfixturevalue("s3")
    return s3.make_bucket() + ("/a/prefix" if request.param == "part of a bucket" else "")


@pytest.fixture
def store(uri: str) -> Storage:
    """An empty storage of each kind."""
    return Storage(uri)


@pytest.fixture
def beside(uri: str, tmp_path: Path) -> Callable[[], dict[str, bytes]]:
    """Puts something beside the storage, where there is such a place, and tells what is there now."""
    if "://" not in uri:
        around, inside = LocalStore(tmp_path), "store"
    elif uri.endswith("/a/prefix"):
        around, inside = from_url(uri.removesuffix("/a/prefix")), "a/prefix"
        obstore.put(around, inside, b"an object may bear the name of a folder")
    else:
        return dict
    for key in ("beside", "a/beside"):
        obstore.put(around, key, b"beside")
    return lambda: {
        found["path"]: bytes(obstore.get(around, found["path"]).bytes())
        for batch in obstore.list(around)
        for found in batch
        if not found["path"].startswith(f"{inside}/")
    }


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
    # Large enough for a disk to take a while.
    versions = [bytes([n]) * (3_000_000 if "://" not in store.uri else 100_000) for n in range(4)]
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


def test_a_second_copy_changes_nothing_and_says_so(store: Storage) -> None:
    store.write("source", b"bytes")
    store.copy("source", "target")
    before = store.find("target")
    assert store.copy("source", "target") is False
    assert store.find("target") == before


def test_a_copy_over_other_bytes_of_equal_length_is_made(store: Storage) -> None:
    store.write("source", b"bytes")
    store.write("target", b"other")
    assert store.copy("source", "target") is True
    assert store.read("target") == b"bytes"


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


HOSTILE = {
    "empty": "",
    "a slash": "/",
    "absolute": "/a",
    "a folder": "a/",
    "an empty folder": "a//b",
    "the folder itself": ".",
    "the folder itself, further down": "a/./b",
    "the folder above": "..",
    "beside": "../beside",
    "beside, by a detour": "a/../../beside",
    "back": "a/..",
    "encoded dots": "%2e%2e/beside",
    "an encoded slash": "..%2fbeside",
    "a backslash": "..\\beside",
    "NUL": "a\0b",
    "a line": "a\nb",
    "DEL": "a\x7f",
    "a leftover's name": "a#1",
    "a fragment": "a#b",
    "a query": "a?b",
    "a space": "a b",
    "a capital": "A",
    "an accent": "\u00e9",
    "the same accent, in two": "e\u0301",
    "right to left": "a\u202eb",
    "half a character": "\ud800",
    "a device": "a:b",
    "a pattern": "*",
    "a home": "~",
    "a long name": "a" * 300,
    "a long way": "a/" * 600 + "a",
}


@pytest.mark.parametrize("key", HOSTILE.values(), ids=list(HOSTILE))
def test_nothing_is_ever_put_under_a_key_that_is_none(
    store: Storage, beside: Callable[[], dict[str, bytes]], key: str
) -> None:
    store.write("a/inside", b"inside")
    before = beside()
    for put in (lambda: store.write(key, b"x"), lambda: store.copy("a/inside", key)):
        with pytest.raises(StorageFailed, match=r"a key is made of lower-case letters, digits, hyphens and dots"):
            put()
    assert everything(store) == {"a/inside": b"inside"}
    assert beside() == before


@pytest.mark.parametrize("key", HOSTILE.values(), ids=list(HOSTILE))
def test_a_key_that_is_none_is_missing_or_refused_and_never_leads_out_of_the_storage(
    store: Storage, beside: Callable[[], dict[str, bytes]], key: str
) -> None:
    store.write("b/inside", b"inside")
    before = beside()
    for take in (lambda: store.read(key), lambda: store.copy(key, "b/copy")):
        with pytest.raises(StorageFailed):
            take()
    with contextlib.suppress(StorageFailed):
        assert store.find(key) is None
    with contextlib.suppress(StorageFailed):
        store.delete([key])
    with contextlib.suppress(StorageFailed):
        assert set(store.list(f"{key}/")) <= set(store.list())
    assert everything(store) == {"b/inside": b"inside"}
    assert beside() == before


@given(
    day=st.dates(),
    sha256=st.binary(min_size=32, max_size=32),
    extension=st.sampled_from([kind.lower() for kind in FORMATS]),
    url=st.text(),
)
def test_whatever_a_key_is_made_for_it_is_one(day: date, sha256: bytes, extension: str, url: str) -> None:
    store = Storage(f"memory://{uuid.uuid4()}")
    made = {
        keys.launches_key(day),
        keys.manifest_key(day),
        keys.pool_key(sha256.hex(), extension),
        keys.damaged_key(keys.pool_key(sha256.hex(), extension), sha256.hex()),
        keys.address_key(url),
    }
    assert all(store.write(key, key.encode()) for key in made)
    assert everything(store) == {key: key.encode() for key in made}


ODD = ("a b", "A.JPEG", "%2e%2e", "a%2fb", "a%20b", "a#b", "a#1#", "a\\b", "a?b", "*", "~$x (1)")
ODDER = ("..x", "\u00e9", "e\u0301", "a\u202eb")


@pytest.mark.parametrize("name", ODD + ODDER, ids=ascii)
@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_what_others_put_there_under_odd_names_is_listed_read_and_removed(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, name: str
) -> None:
    uri = str(tmp_path) if kind == "folder" else request.getfixturevalue("s3").make_bucket()
    store = Storage(uri)
    obstore.put(LocalStore(tmp_path) if kind == "folder" else from_url(uri), f"a/{name}", b"bytes")
    (found,) = store.list("a/")
    assert found == store.find(found.key)
    assert (found.key, found.size, store.read(found.key)) == (f"a/{name}", 5, b"bytes")
    store.delete([found.key])
    assert everything(store) == {}


def test_two_who_write_the_same_key_at_once_leave_one_whole_object(store: Storage) -> None:
    bodies = [bytes([n]) * 200_000 for n in range(3)]
    at_once(*[lambda body=body: store.write("a", body) for body in bodies * 2])
    assert store.read("a") in bodies
    assert set(everything(store)) == {"a"}


def test_two_who_write_different_keys_at_once_leave_both(store: Storage) -> None:
    bodies = {f"a/{n}": bytes([n]) * 200_000 for n in range(6)}
    assert at_once(*[lambda key=key, body=body: store.write(key, body) for key, body in bodies.items()]) == [True] * 6
    assert everything(store) == bodies


def test_who_copies_while_others_write_gets_a_whole_object(store: Storage) -> None:
    bodies = [bytes([n]) * 200_000 for n in range(3)]
    store.write("source", bodies[0])
    copies = [lambda n=n: store.copy("source", f"copy{n}") for n in range(3)]
    at_once(*copies, *[lambda body=body: store.write("source", body) for body in bodies[1:]])
    assert set(everything(store).values()) <= set(bodies)
    assert set(everything(store)) == {"source", "copy0", "copy1", "copy2"}


def at_once(*acts: Callable[[], bool]) -> list[bool]:
    """Do these things in a thread each, all at one moment."""
    start = threading.Barrier(len(acts))

    def do(act: Callable[[], bool]) -> bool:
        start.wait()
        return act()

    with ThreadPoolExecutor(len(acts)) as threads:
        return list(threads.map(do, acts))


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


@pytest.mark.parametrize("earlier", [None, b"other", b"bytes"], ids=["new", "over another", "over an equal one"])
def test_a_copy_in_a_folder_takes_no_room(storage: Storage, earlier: bytes | None) -> None:
    storage.write("source", b"bytes")
    if earlier:
        storage.write("a/target", earlier)
    assert storage.copy("source", "a/target") is True
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
        storage.write("a/b.json", b"bytes")
    if again == "copy the same":
        storage.copy("source", "a/b.json")
    for leftover in ("a/b.json#1", "a/b.json#27"):
        Path(storage.address(leftover)).parent.mkdir(exist_ok=True)
        Path(storage.address(leftover)).write_bytes(b"half")
    Path(storage.address("a/b.json#x")).write_bytes(b"no leftover")
    next_run = Storage(storage.uri)
    changed = next_run.write("a/b.json", b"bytes") if "write" in again else next_run.copy("source", "a/b.json")
    assert changed is ("same" not in again)
    assert list(storage.leftovers()) == []
    assert everything(storage) == {"source": b"bytes", "a/b.json": b"bytes", "a/b.json#x": b"no leftover"}


@pytest.mark.parametrize("put", ["write", "put", "copy"])
def test_a_folder_is_tidied_once_and_not_each_time(storage: Storage, put: str) -> None:
    """In one of thousands of files it would take longer than the writing."""
    storage.write("source", b"bytes")

    def put_under(key: str) -> None:
        if put == "copy":
            storage.copy("source", key)
        else:
            getattr(storage, put)(key, b"bytes")

    put_under("a/b.json")
    Path(storage.address("a/b.json#1")).write_bytes(b"half")
    put_under("a/b.json")
    put_under("a/c.json")
    assert list(storage.leftovers()) == ["a/b.json#1"]


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


# What breaks a write in the middle, to a process that has nothing else to do. It says what came of it.
PREAMBLE = """
import json, resource, signal, subprocess, sys
from pathlib import Path
from rocket_assets.errors import StorageFailed
from rocket_assets.storage import Storage

def refused(act, *arguments):
    try:
        act(*arguments)
    except StorageFailed as error:
        return str(error)

def stored():
    return sorted([found.key, found.size] for found in store.list())

store = Storage(sys.argv[1])
"""

BREAKS_OFF = """
signal.signal(signal.SIGXFSZ, getattr(signal, sys.argv[2]))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, (120, 120))
print(refused(store.write, "a", b"new" * 100))
"""

FULL_DISK = """
store.write("old", bytes(20_000))
store.write("filler", bytes(16_000))
said = [refused(store.write, "old", b"x" * 30_000), refused(store.write, "new", b"x" * 30_000)]
beside = Path(sys.argv[1], "beside")
try:
    beside.write_bytes(bytes(100_000))
except OSError:
    said.append(refused(store.ensure_writable))
beside.unlink()
before = stored(), list(store.leftovers())
store.delete(["filler"])
store.ensure_writable()
store.write("old", b"x" * 30_000)
print(json.dumps([said, before, [stored(), list(store.leftovers())]]))
"""

READ_ONLY = """
def remount(how):
    subprocess.run(["mount", "-o", f"remount,{how}", sys.argv[1]], check=True)

store.write("old", b"old")
remount("ro")
said = [
    refused(store.write, "old", b"x"),
    refused(store.write, "new", b"x"),
    refused(store.copy, "old", "new"),
    refused(store.delete, ["old"]),
    refused(store.ensure_writable),
]
before = stored(), list(store.leftovers())
remount("rw")
store.write("old", b"x")
print(json.dumps([said, before, [stored(), list(store.leftovers())]]))
"""


LARGE = b"large" * 20_000_000
"""Large enough for a disk to take a while."""

WRITES_A_LARGE_ONE = """
store.write("a", b"large" * 20_000_000)
"""


def run(script: str, *arguments: str, within: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [*within, sys.executable, "-c", PREAMBLE + script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("earlier", [None, b"old" * 100], ids=["a new file", "over an old one"])
def test_a_write_that_fails_after_120_bytes_leaves_what_was_there_and_nothing_else(
    storage: Storage, earlier: bytes | None
) -> None:
    if earlier:
        storage.write("a", earlier)
    done = run(BREAKS_OFF, storage.uri, "SIG_IGN")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Could not write a in the storage {storage.uri}: ")
    assert "File too large" in done.stdout
    assert everything(storage) == ({"a": earlier} if earlier else {})
    assert list(storage.leftovers()) == []


@pytest.mark.parametrize("earlier", [None, b"old" * 100], ids=["a new file", "over an old one"])
def test_a_write_that_is_killed_after_120_bytes_leaves_what_was_there_and_the_next_one_tidies_up(
    storage: Storage, earlier: bytes | None
) -> None:
    if earlier:
        storage.write("a", earlier)
    done = run(BREAKS_OFF, storage.uri, "SIG_DFL")
    assert done.returncode == -signal.SIGXFSZ, done.stderr
    assert everything(storage) == ({"a": earlier} if earlier else {})
    (leftover,) = storage.leftovers()
    assert Path(storage.address(leftover)).stat().st_size == 120
    Storage(storage.uri).write("a", b"new" * 100)
    assert everything(storage) == {"a": b"new" * 100}
    assert list(storage.leftovers()) == []


@pytest.fixture
def stopped(storage: Storage) -> Iterator[subprocess.Popen[str]]:
    """A process that has been stopped while it writes `LARGE` under `a`.

    On a machine that has other things to do it may be done before it is stopped: then another begins anew.
    """
    storage.write("source", b"source")
    command = [sys.executable, "-c", PREAMBLE + WRITES_A_LARGE_ONE, storage.uri]
    for _ in range(20):
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            try:
                # An empty one may be so new that nobody holds it yet.
                while process.poll() is None and not any(size_of(path) for path in beside_a(storage)):
                    time.sleep(0.001)
                process.send_signal(signal.SIGSTOP)
                if process.returncode is None:
                    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
                if beside_a(storage) and storage.find("a") is None:
                    yield process
                    return
            finally:
                process.kill()
        storage.delete(["a"])
    raise TimeoutError("It was done each time before it could be stopped.")


def size_of(path: Path) -> int:
    """The size of a file; of one that is gone, as when it has just got its name, nothing."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def beside_a(storage: Storage) -> list[Path]:
    """What is being, or was once, written for `a`."""
    return list(Path(storage.uri).glob("a#*"))


def go_on(process: subprocess.Popen[str]) -> None:
    """Let a stopped process go on to its end, which is to be a good one."""
    process.send_signal(signal.SIGCONT)
    assert process.communicate(timeout=60)[1] == ""
    assert process.returncode == 0


@pytest.mark.parametrize("how", ["SIG_DFL", "SIG_IGN"], ids=["is killed", "fails"])
def test_promise_2_what_another_leaves_half_written_is_never_taken_for_ones_own(
    storage: Storage, stopped: subprocess.Popen[str], how: str
) -> None:
    (own,) = beside_a(storage)
    assert run(BREAKS_OFF, storage.uri, how).returncode == (-signal.SIGXFSZ if how == "SIG_DFL" else 0)
    assert own in beside_a(storage)
    go_on(stopped)
    assert storage.read("a") == LARGE
    assert [Path(storage.address(left)).stat().st_size for left in storage.leftovers()] == (
        [120] if how == "SIG_DFL" else []
    )


@pytest.mark.parametrize("other", ["write", "copy"])
def test_who_puts_something_there_while_another_writes_it_waits_for_nobody_and_the_last_one_stays(
    storage: Storage, stopped: subprocess.Popen[str], other: str
) -> None:
    for body in (b"new", b"newer"):
        storage.write("source", body)
        assert storage.write("a", body) if other == "write" else storage.copy("source", "a")
        assert storage.read("a") == body
    go_on(stopped)
    assert everything(storage) == {"source": b"newer", "a": LARGE}
    assert beside_a(storage) == []


def test_what_is_being_written_is_no_leftover_and_is_left_alone(
    storage: Storage, stopped: subprocess.Popen[str]
) -> None:
    own = beside_a(storage)
    assert list(storage.leftovers()) == []
    storage.remove_leftovers()
    assert beside_a(storage) == own
    stopped.kill()
    stopped.wait()
    assert [storage.address(left) for left in storage.leftovers()] == [str(path) for path in own]
    storage.remove_leftovers()
    assert beside_a(storage) == []


def test_who_loses_what_is_half_written_all_the_same_writes_it_again(
    storage: Storage, stopped: subprocess.Popen[str]
) -> None:
    """Where there are no locks, as on some network disks, another takes it for a leftover."""
    (own,) = beside_a(storage)
    own.unlink()
    go_on(stopped)
    assert everything(storage) == {"source": b"source", "a": LARGE}
    assert beside_a(storage) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> tuple[str, ...]:
    """The command within which the temporary folder is a disk of 64 kB."""
    mounting = f"mount -t tmpfs -o size=64k none '{tmp_path}'"
    within = ("unshare", "--map-root-user", "--mount", "sh", "-ec", f'{mounting}; exec "$@"', "sh")
    if not shutil.which("unshare"):
        pytest.skip("A disk of our own needs the command unshare.")
    tried = subprocess.run([*within, "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"A disk of our own is not allowed here: {tried.stderr.strip()}")
    return within


def test_a_full_disk_is_an_error_that_says_so_and_when_there_is_room_again_all_is_well(
    small_disk: tuple[str, ...], tmp_path: Path
) -> None:
    done = run(FULL_DISK, str(tmp_path), within=small_disk)
    assert done.returncode == 0, done.stderr
    said, before, after = json.loads(done.stdout)
    assert len(said) == 3
    assert all("No space left on device" in sentence and "is there room" in sentence for sentence in said)
    assert before == [[["filler", 16_000], ["old", 20_000]], []]
    assert after == [[["old", 30_000]], []]


def test_a_folder_that_becomes_read_only_is_an_error_that_says_so(small_disk: tuple[str, ...], tmp_path: Path) -> None:
    done = run(READ_ONLY, str(tmp_path), within=small_disk)
    assert done.returncode == 0, done.stderr
    said, before, after = json.loads(done.stdout)
    assert len(said) == 5
    assert all("Read-only file system" in sentence and "may we write there" in sentence for sentence in said)
    assert before == [[["old", 3]], []]
    assert after == [[["old", 1]], []]


def test_processes_that_write_the_same_at_once_leave_whole_files_and_nothing_beside_them(storage: Storage) -> None:
    script = """
body = sys.argv[2].encode() * 100_000
for n in range(60):
    store.write(f"written{n}", body)
    store.copy("source", f"copied{n}")
    store.write(f"{sys.argv[2]}{n}", body)
"""
    storage.write("source", b"source")
    command = [sys.executable, "-c", PREAMBLE + script, storage.uri]
    writers = [subprocess.Popen([*command, name], stderr=subprocess.PIPE, text=True) for name in "xyz"]
    said = [writer.communicate(timeout=60)[1] for writer in writers]
    assert said == ["", "", ""]
    assert list(storage.leftovers()) == []
    bodies = {name: name.encode() * 100_000 for name in "xyz"}
    expected = {f"{name}{n}": body for name, body in bodies.items() for n in range(60)}
    expected |= {f"copied{n}": b"source" for n in range(60)} | {"source": b"source"}
    found = everything(storage)
    written = {found.pop(f"written{n}") for n in range(60)}
    assert written <= set(bodies.values())
    assert found == expected


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


# Several calls at once


def test_each_gives_what_is_made_of_the_items_in_their_order(store: Storage) -> None:
    keys = [f"{number}.json" for number in range(40)]
    for key in keys:
        store.put(key, key.encode())
    assert list(store.each(store.read, keys)) == [key.encode() for key in keys]
    assert list(store.each(store.read, [])) == []


def test_each_works_on_several_at_once_where_a_call_is_a_round_trip(storage: Storage) -> None:
    """In a folder it does not: there a thread costs more than the call."""

    def most_at_once(of: Storage) -> int:
        under_way, counts = set[int](), list[int]()

        def work(number: int) -> None:
            under_way.add(number)
            time.sleep(0.05)
            counts.append(len(under_way))
            under_way.remove(number)

        list(of.each(work, range(32)))
        return max(counts)

    assert most_at_once(storage) == 1
    assert 8 < most_at_once(Storage(f"memory://{uuid.uuid4()}")) <= 16


def test_no_more_items_are_taken_than_may_be_at_work_beside_what_was_given(store: Storage) -> None:
    """Nobody asks the Launch Library for the next decade while the first day waits for its bucket."""
    taken, given, ahead = list[int](), list[int](), list[int]()
    goes_on = threading.Event()

    def items() -> Iterator[int]:
        for number in range(60):
            taken.append(number)
            ahead.append(len(taken) - len(given))
            # One is on its way to who asked for it.
            if ahead[-1] > 17:
                goes_on.set()
            yield number

    def work(number: int) -> int:
        goes_on.wait(0.2)
        return number

    results = store.each(work, items())
    assert taken == []
    for result in results:
        given.append(result)
    assert given == taken == list(range(60))
    assert max(ahead) <= 17


def test_what_is_done_is_given_though_the_next_item_is_long_in_coming(store: Storage) -> None:
    """The next page of the Launch Library, or the last picture of a day."""
    given, in_time = threading.Semaphore(0), list[bool]()

    def items() -> Iterator[int]:
        yield from range(3)
        in_time.extend(given.acquire(timeout=5) for _ in range(3))
        yield 3

    for _ in store.each(lambda number: number, items()):
        given.release()
    assert in_time == [True, True, True]


def test_what_is_done_is_given_though_later_ones_are_still_at_work(store: Storage) -> None:
    given, in_time = threading.Semaphore(0), list[bool]()

    def work(number: int) -> int:
        if number == 3:
            in_time.extend(given.acquire(timeout=5) for _ in range(3))
        return number

    for _ in store.each(work, range(20)):
        given.release()
    assert in_time == [True, True, True]


@pytest.mark.parametrize("count", [1, 5, 40])
def test_who_wants_no_more_ends_the_items(store: Storage, count: int) -> None:
    ended, taken = threading.Event(), list[int]()

    def items() -> Iterator[int]:
        try:
            for number in itertools.count():
                taken.append(number)
                yield number
        finally:
            ended.set()

    results = store.each(lambda number: number, items())
    assert [next(results) for _ in range(count)] == list(range(count))
    # Until as many are taken as may be.
    time.sleep(0.1)
    assert isinstance(results, Generator)
    results.close()
    assert ended.wait(10)
    assert len(taken) <= count + 16


def test_who_wants_no_more_does_not_wait_for_an_item_that_is_long_in_coming(store: Storage) -> None:
    """As at Ctrl-C while the Launch Library keeps silent: its answer would come in a minute, or never."""
    comes, ended, begun = threading.Event(), threading.Event(), list[int]()

    def items() -> Iterator[int]:
        try:
            yield 0
            comes.wait(60)
            yield 1
        finally:
            ended.set()

    results = store.each(begun.append, items())
    next(results)
    assert isinstance(results, Generator)
    results.close()
    comes.set()
    assert ended.wait(10)
    assert begun == [0]


BROKEN = StorageFailed("broken")


@pytest.mark.parametrize("error", [BROKEN, ValueError("broken"), KeyboardInterrupt("broken")], ids=repr)
@pytest.mark.parametrize("breaks", ["items", "work"])
def test_what_was_begun_before_something_broke_off_is_given_before_the_error_is_raised(
    store: Storage, breaks: str, error: BaseException
) -> None:
    def items() -> Iterator[int]:
        yield from range(3)
        if breaks == "items":
            raise error
        yield 3

    def work(number: int) -> int:
        if number == 3:
            raise error
        return number

    given = list[int]()
    with pytest.raises(type(error), match="broken") as raised:
        given.extend(store.each(work, items()))
    assert raised.value is error
    assert given == [0, 1, 2]


def test_of_several_errors_the_first_is_raised_when_all_that_was_begun_is_given() -> None:
    """In a folder there is nothing else that was begun."""
    errors, all_begun = {number: StorageFailed(str(number)) for number in (2, 4)}, threading.Barrier(8)

    def items() -> Iterator[int]:
        yield from range(8)
        raise StorageFailed("the items")

    def work(number: int) -> int:
        all_begun.wait(10)
        if number in errors:
            raise errors[number]
        return number

    given = list[int]()
    with pytest.raises(StorageFailed) as raised:
        given.extend(Storage(f"memory://{uuid.uuid4()}").each(work, items()))
    assert raised.value is errors[2]
    assert given == [0, 1, 3, 5, 6, 7]


def test_after_an_error_of_the_work_no_more_is_begun(store: Storage) -> None:
    begun = list[int]()

    def work(number: int) -> None:
        begun.append(number)
        raise StorageFailed("broken")

    with pytest.raises(StorageFailed, match="broken"):
        list(store.each(work, range(1000)))
    assert len(begun) < 50


def test_a_put_does_not_look_at_what_is_there(store: Storage) -> None:
    for body in (b"one", b"two", b"two"):
        store.put("a", body)
        assert everything(store) == {"a": body}


def test_a_copy_believes_what_was_listed(store: Storage) -> None:
    store.write("pool/a", b"bytes")
    assert store.copy("pool/a", "b/a", {}) is True
    listed = {found.key: found for found in store.list()}
    assert store.copy("pool/a", "b/a", listed) is False
    store.write("pool/a", b"other")
    changed = {found.key: found for found in store.list()}
    assert store.copy("pool/a", "b/a", changed) is True
    assert store.read("b/a") == b"other"


def test_a_copy_replaces_what_somebody_has_put_there_since_it_was_listed(store: Storage) -> None:
    store.write("pool/a", b"other")
    store.write("b/a", b"bytes")
    assert store.copy("pool/a", "b/a", {}) is True
    assert store.read("b/a") == b"other"
