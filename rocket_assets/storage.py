"""Where things are kept: keys, and bytes under them, in a folder or in a bucket.

All keys of the project are built here, so that the layout of the storage can be read on one page. `Storage` puts, gets,
copies and lists bytes by `obstore`, which speaks to a folder, S3, GCS, Azure and memory alike: a put is whole or
nothing, a copy is a hard link in a folder and a server-side copy in a bucket. What the bytes mean is in `archive`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from glob import escape
from pathlib import Path

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, MemoryStore, ObjectStore, from_url

from rocket_assets.errors import Missing, StorageFailed

LAUNCHES = "launches/"
IMAGES = "images/"
POOL = "pool/"
ADDRESSES = "pool/by-url/"
DAMAGED = "damaged/"
_PROBE = ".writable"
_LEFTOVER = re.compile(r"#[0-9]+$")

_WRITERS_AT_ONCE = 4
"""How often a write to a folder is repeated, because others write the same key."""


def launches_key(day: date) -> str:
    """The launches of a day."""
    return f"{LAUNCHES}{day:%Y}/{day}.json"


def images_folder(day: date) -> str:
    """The folder that holds the manifest and the pictures of a day."""
    return f"{IMAGES}{day:%Y}/{day}/"


def manifest_key(day: date) -> str:
    """What the folder of a day holds, launch by launch."""
    return f"{images_folder(day)}manifest.json"


def pool_key(sha256: str, extension: str) -> str:
    """A picture, stored once whatever the number of launches that show it."""
    return f"{POOL}{sha256[:2]}/{sha256}.{extension}"


def address_key(url: str) -> str:
    """What is known of the picture at an address."""
    return f"{ADDRESSES}{hashlib.sha256(url.encode('utf-8', 'surrogatepass')).hexdigest()}.json"


def damaged_key(original: str) -> str:
    """Where a damaged picture is kept that should be in the pool under `original`."""
    return f"{DAMAGED}{original.rpartition('/')[2]}"


def original_key(damaged: str) -> str:
    """Where the pool has the picture, if it has it, that is kept damaged under this key."""
    sha256, _, extension = damaged.removeprefix(DAMAGED).partition(".")
    return pool_key(sha256, extension)


def day_of(key: str) -> date | None:
    """The day to which a key of `launches/` or `images/` belongs; None for any other key."""
    found = re.match(r"(?:launches|images)/[0-9]{4}/([0-9]{4}-[0-9]{2}-[0-9]{2})[./]", key)
    try:
        day = date.fromisoformat(found[1]) if found else None
    except ValueError:
        return None
    return day if day and (key == launches_key(day) or key.startswith(images_folder(day))) else None


@dataclass(frozen=True)
class Stored:
    """One stored object: its key, its size in bytes, and the storage's tag that changes when its bytes do."""

    key: str
    size: int
    tag: str | None


class Storage:
    """Bytes under keys, in the folder or bucket that a URI names.

    A folder that is not there is made, unless `create` is false. Every method raises `StorageFailed` when the storage
    cannot do what it should. Safe for use by several threads.
    """

    def __init__(self, uri: str, *, create: bool = True) -> None:
        self.uri = uri
        with self._explained("open", ""):
            self._store = _open(uri, create=create)

    def write(self, key: str, body: bytes) -> bool:
        """Store `body` under `key`, whole or not at all, and say whether anything changed.

        Equal bytes are left untouched, so that bringing a day twice writes nothing the second time.
        """
        return self._tidily(key, lambda: self._write(key, body))

    def _write(self, key: str, body: bytes) -> bool:
        if (stored := self.find(key)) and stored.size == len(body) and self.read(key) == body:
            return False
        with self._explained("write", key):
            obstore.put(self._store, key, body)
        return True

    def ensure_writable(self) -> None:
        """Write and remove a small object, so that missing rights show before anything is fetched.

        Raises:
            StorageFailed: we may not write, or there is no room.
        """

        def probe() -> bool:
            with self._explained("write to", ""):
                obstore.put(self._store, _PROBE, b"")
            return True

        self._tidily(_PROBE, probe)
        self.delete([_PROBE])

    def read(self, key: str) -> bytes:
        """The bytes under `key`.

        Raises:
            Missing: there are none.
        """
        with self._explained("read", key):
            return bytes(obstore.get(self._store, key).bytes())

    def find(self, key: str) -> Stored | None:
        """Size and tag of what is stored under `key`, or None."""
        try:
            with self._explained("look for", key):
                found = obstore.head(self._store, key)
        except Missing:
            return None
        return Stored(key, found["size"], found["e_tag"])

    def copy(self, source: str, target: str) -> bool:
        """Let `target` hold what `source` holds, without moving bytes through here; say whether anything changed.

        Raises:
            Missing: there is nothing under `source`.
        """
        return self._tidily(target, lambda: self._copy(source, target))

    def _copy(self, source: str, target: str) -> bool:
        # Two keys with one tag are one file already (a hard link) or equal bytes (a bucket's digest). Linking a file
        # to itself would leave a stray temporary name behind.
        here, there = self.find(source), self.find(target)
        if here and there and here.tag is not None and here.tag == there.tag:
            return False
        with self._explained("copy", source):
            if there is None and isinstance(self._store, LocalStore):
                try:
                    # One link and no renaming: two processes that do this at once cannot link a file to itself.
                    obstore.copy(self._store, source, target, overwrite=False)
                except AlreadyExistsError:
                    return self._copy(source, target)
            else:
                obstore.copy(self._store, source, target)
        return True

    def delete(self, keys: list[str]) -> None:
        """Remove these keys; one that is not there is no error."""
        for key in keys:
            try:
                with self._explained("delete", key):
                    obstore.delete(self._store, key)
            except Missing:
                continue

    def list(self, prefix: str = "") -> Iterator[Stored]:
        """What is stored under a prefix that ends in a slash (or under none: everything), in no certain order."""
        with self._explained("list", prefix):
            for batch in obstore.list(self._store, prefix or None):
                for found in batch:
                    yield Stored(found["path"], found["size"], found["e_tag"])

    def leftovers(self, prefix: str = "") -> Iterator[str]:
        """Files that a write left behind when it was killed; only a folder can have them, and `list` hides them.

        The next write of the same key removes them.
        """
        if isinstance(self._store, LocalStore):
            folder = _folder(self.uri)
            for path in (folder / prefix).rglob("*#*"):
                if _LEFTOVER.search(path.name):
                    yield path.relative_to(folder).as_posix()

    def remove_leftovers(self, prefix: str = "") -> None:
        """Remove the files that writes left behind when they were killed, those of keys never written again included.

        Who writes there at the same time may lose a half-written file by this, and does it again.
        """
        for key in list(self.leftovers(prefix)):
            with self._explained("delete", key):
                (_folder(self.uri) / key).unlink(missing_ok=True)

    def address(self, key: str) -> str:
        """Where a person finds a key: a path on a disk, a URI in a bucket."""
        if isinstance(self._store, LocalStore):
            return str(_folder(self.uri) / key)
        return f"{self.uri}{key}" if self.uri.endswith("/") else f"{self.uri}/{key}"

    def _tidily(self, key: str, act: Callable[[], bool]) -> bool:
        """Remove what earlier writers that were killed left beside `key`, and do what puts something there.

        Before, and not after it: who is killed here again and again leaves one file, and not one more each time. Who
        writes at the same time may lose a half-written file by this, and does it again.
        """
        if not isinstance(self._store, LocalStore):
            return act()
        path = _folder(self.uri) / key
        for beside in path.parent.glob(f"{escape(path.name)}#*"):
            if _LEFTOVER.search(beside.name):
                with self._explained("tidy", key):
                    beside.unlink(missing_ok=True)
        for _ in range(_WRITERS_AT_ONCE):
            try:
                return act()
            except Missing:
                raise
            except StorageFailed:
                continue
        return act()

    @contextmanager
    def _explained(self, verb: str, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise Missing(f"{self.uri} holds nothing under {key}.") from error
        # To a key that it does not take, obstore answers with a ValueError, and in `delete` with a TypeError.
        except (BaseError, OSError, ValueError, TypeError) as error:
            what = f"{key} in the storage {self.uri}" if key else f"the storage {self.uri}"
            raise StorageFailed(
                f"Could not {verb} {what}: {_reason(error)}. Is ROCKET_ASSETS_STORAGE right, is there room, "
                "and may we write there?"
            ) from error


_memory: dict[str, MemoryStore] = {}


def _open(uri: str, *, create: bool) -> ObjectStore:
    scheme = uri.partition("://")[0] if "://" in uri else ""
    if scheme == "memory":
        # One store for each URI and process, as a folder is one for each path.
        return _memory.setdefault(uri, MemoryStore())
    if scheme:
        return from_url(uri)
    return LocalStore(_folder(uri), mkdir=create)


def _folder(uri: str) -> Path:
    # No shell reads a .env file, so a ~ in it is still there.
    return Path(uri).expanduser().resolve()


def _reason(error: BaseException) -> str:
    """The sentence in an obstore error, without the dump of its source that follows."""
    return str(error).partition("\n")[0].rstrip(".")
