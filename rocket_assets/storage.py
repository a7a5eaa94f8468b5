"""Where things are kept: keys, and bytes under them, in a folder or in a bucket.

All keys of the project are built here, so that the layout of the storage can be read on one page. `Storage` puts, gets,
copies and lists bytes by `obstore`, which speaks to a folder, S3, GCS, Azure and memory alike: a put is whole or
nothing, a copy is a hard link in a folder and a server-side copy in a bucket. What the bytes mean is in `archive`.

In a folder, what is to be under a key is made beside it and renamed. We do that ourselves: obstore gives what it makes
the lowest number that is free, and when somebody tidies up, that is soon another's. A name of ours is nobody else's,
ever. Who makes a file holds a lock on it, which ends with its process: what nobody holds is a leftover.

A bucket takes its credentials from the environment, where obstore finds them: they never come through here, and no
message of ours repeats what could hold one.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, timedelta
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Semaphore, Thread
from typing import Any, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, MemoryStore, ObjectStore, from_url

from rocket_assets.errors import Missing, RocketAssetsError, StorageFailed
from rocket_assets.settings import Settings

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

LAUNCHES = "launches/"
IMAGES = "images/"
POOL = "pool/"
ADDRESSES = "pool/by-url/"
DAMAGED = "damaged/"
GALLERY = "gallery/"
THUMBNAILS = "gallery/thumbnails/"
GALLERY_INDEX = "gallery/index.html"
GALLERY_NEXT = "gallery/next.html"
GALLERY_STYLE = "gallery/gallery.css"
TABLE = "table/"
_PROBE = ".writable"
_LEFTOVER = re.compile(r"#[0-9]+$")

# What every file system and every bucket takes and keeps apart, also one to which A and a are the same letter.
_PLAIN_KEY = re.compile(r"\.?[a-z0-9-][a-z0-9.-]*(/\.?[a-z0-9-][a-z0-9.-]*)*")

_LONGEST_KEY = 230
"""The name of a file has 255 bytes at most, and 21 more than the key while it is made: # and a number of 64 bits."""

_CREDENTIALS = {"s3": "AWS_…", "gs": "GOOGLE_…", "az": "AZURE_…"}
"""How the variables begin in which obstore looks for the credentials of a bucket."""

_ENDPOINTS = {"s3": "endpoint", "gs": "base_url", "az": "endpoint"}
"""What obstore calls the address of the server that has the bucket."""

# By what S3 and GCS, and Azure, tell a bucket that is not there from a key that is not; the last to who deletes.
_NO_BUCKET = re.compile(r"\b(NoSuchBucket|ContainerNotFound|The specified container does not exist)\b")

# What one can do about a bucket, by what obstore and the server say of it; the first that fits.
_ADVICE = (
    (_NO_BUCKET.pattern, "Make that bucket, or name another in ROCKET_ASSETS_STORAGE."),
    ("RequestTimeTooSkewed|Request date header too old", "Set the clock of this machine right."),
    (
        "redirect without LOCATION|AuthorizationHeaderMalformed",
        "Name the region of the bucket in ROCKET_ASSETS_STORAGE_REGION.",
    ),
    (
        "token request|/latest/(api/token|meta-data)",
        "Are the credentials in the variables {variables} right? Where there are none, the machine must have its own.",
    ),
    (
        "ExpiredToken|InvalidToken|status code: 40[13]",
        "Are the credentials in the variables {variables} right, and may one read, write, list and delete with them?",
    ),
    ("status code: 5", "That is the server's own trouble: try again later."),
    ("HTTP error", "Does that server answer, and is ROCKET_ASSETS_STORAGE_ENDPOINT right?"),
    ("", "Is ROCKET_ASSETS_STORAGE right, are the credentials in the variables {variables}, and may we write there?"),
)

# What obstore says of a failed request, and the answer of the server that follows.
_SENTENCE = re.compile(r"(.*?status code: [0-9]{3}[^:]*|[^<]*)(.*)", re.DOTALL)
_PLAIN_ADDRESS = re.compile(r"://(?:[^\s/@]*@)?([^\s?]*)(?:\?\S*)?")

_AT_ONCE = 16
"""Calls to a bucket that are under way at once."""

_LOSSES = 4
"""How often something is made again in a folder, because another took it for a leftover."""


def of_year(part: str, day: date) -> str:
    """The folder in which a part of the storage has what belongs to the year of a day."""
    return f"{part}{day:%Y}/"


def launches_key(day: date) -> str:
    """The launches of a day."""
    return f"{of_year(LAUNCHES, day)}{day}.json"


def images_folder(day: date) -> str:
    """The folder that holds the manifest and the pictures of a day."""
    return f"{of_year(IMAGES, day)}{day}/"


def manifest_key(day: date) -> str:
    """What the folder of a day holds, launch by launch."""
    return f"{images_folder(day)}manifest.json"


def pool_key(sha256: str, extension: str) -> str:
    """A picture, stored once whatever the number of launches that show it."""
    return f"{POOL}{sha256[:2]}/{sha256}.{extension}"


def address_key(url: str) -> str:
    """What is known of the picture at an address."""
    return f"{ADDRESSES}{hashlib.sha256(url.encode('utf-8', 'surrogatepass')).hexdigest()}.json"


def gallery_page_key(month: date) -> str:
    """The page of a month in the gallery."""
    return f"{of_year(GALLERY, month)}{month:%Y-%m}.html"


def gallery_summary_key(month: date) -> str:
    """What the index of the gallery needs to know of a month."""
    return f"{of_year(GALLERY, month)}{month:%Y-%m}.json"


def thumbnail_key(sha256: str) -> str:
    """A small picture for the gallery of the one in the pool with this digest."""
    return f"{THUMBNAILS}{sha256[:2]}/{sha256}.webp"


def table_key(month: date) -> str:
    """The launches of a month as Parquet."""
    return f"{of_year(TABLE, month)}{month:%Y-%m}.parquet"


def damaged_key(original: str, own: str) -> str:
    """Where a damaged picture is kept that should be in the pool under `original`; `own` tells it from others of it."""
    sha256, _, extension = original.rpartition("/")[2].partition(".")
    return f"{DAMAGED}{sha256}/{own}.{extension}"


def original_key(damaged: str) -> str:
    """Where the pool has the picture, if it has it, that is kept damaged under this key."""
    sha256, _, own = damaged.removeprefix(DAMAGED).partition("/")
    return pool_key(sha256, own.rpartition(".")[2])


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

    A folder that is not there is made, unless `create` is false. `endpoint` and `region` say where a bucket is, and win
    over what the environment says of that; to a folder they mean nothing.

    A bucket that fails is asked again, ten times within some seconds, but not when `patience` seconds have passed.
    obstore gives each request 30 seconds: so one that keeps silent is given up within a minute. By itself obstore would
    take three, for each key.

    Every method raises `StorageFailed` when the storage cannot do what it should. Safe for use by several threads.
    """

    def __init__(
        self,
        uri: str,
        *,
        endpoint: str | None = None,
        region: str | None = None,
        create: bool = True,
        patience: float = 30.0,
    ) -> None:
        self.uri = uri
        with self._explained("open"):
            self._store = _open(uri, endpoint, region, create=create, patience=timedelta(seconds=patience))
        self._root = _folder(uri) if isinstance(self._store, LocalStore) else None
        self._tidied = set[Path]()

    @classmethod
    def named_by(cls, settings: Settings, *, create: bool = True) -> Storage:
        """The storage that these settings name."""
        return cls(settings.storage, endpoint=settings.storage_endpoint, region=settings.storage_region, create=create)

    def write(self, key: str, body: bytes) -> bool:
        """Store `body` under `key`, whole or not at all, and say whether anything changed.

        Equal bytes are left untouched, so that bringing a day twice writes nothing the second time. The key must be
        one that all storages take: of lower-case letters, digits, hyphens and dots, between slashes.
        """
        self._tidy(key)
        with suppress(Missing):
            if self.read(key) == body:
                return False
        self.put(key, body)
        return True

    def put(self, key: str, body: bytes) -> None:
        """Store `body` under `key`, whole or not at all, without looking what is there."""
        self._tidy(key)
        with self._explained("write", key):
            self._put(key, body)

    def _put(self, key: str, body: bytes) -> None:
        if path := self._path(key):
            _again_if_lost(lambda: _put_file(path, body))
            return
        # In one piece, whatever its size: of one that comes in parts, a bucket keeps the parts when we are killed, and
        # gives it another tag than its copies.
        obstore.put(self._store, key, body, use_multipart=False)

    def ensure_writable(self) -> None:
        """Write and remove a small object, so that missing rights or room show before anything is fetched.

        Raises:
            StorageFailed: we may not write, or there is no room.
        """
        self._tidy(_PROBE)
        with self._explained("write to"):
            # A full disk takes a file of no or few bytes.
            self._put(_PROBE, bytes(4096))
        self.delete([_PROBE])

    def read(self, key: str) -> bytes:
        """The bytes under `key`.

        Raises:
            Missing: there are none.
        """
        with self._found("read", key):
            return bytes(obstore.get(self._store, key).bytes())

    def find(self, key: str) -> Stored | None:
        """Size and tag of what is stored under `key`, or None."""
        try:
            with self._found("look for", key):
                found = obstore.head(self._store, key)
        except Missing:
            return None
        return Stored(key, found["size"], _tag(found["e_tag"]))

    def copy(self, source: str, target: str, listed: Mapping[str, Stored] | None = None) -> bool:
        """Let `target` hold what `source` holds, without moving bytes through here; say whether anything changed.

        Args:
            source: a key.
            target: another.
            listed: what is stored, by its key: all that begins with the folder of the target, and more. What it says
                is not asked for again.

        Raises:
            Missing: there is nothing under `source`.
        """
        self._tidy(target)
        there = self.find(target) if listed is None else listed.get(target)
        if there and (here := (listed or {}).get(source) or self.find(source)) and self._are_equal(here, there):
            return False
        with self._found("copy", source):
            path, original = self._path(target), self._path(source)
            if not path or not original:
                obstore.copy(self._store, source, target)
            elif there:
                _again_if_lost(lambda: _link_file(original, path))
            else:
                try:
                    # One link and no renaming: of two who do this at once, one sees that the other has done it.
                    obstore.copy(self._store, source, target, overwrite=False)
                except AlreadyExistsError:
                    return self.copy(source, target)
        return True

    def _are_equal(self, here: Stored, there: Stored) -> bool:
        """Whether a copy would change nothing."""
        # Two keys with one tag are one file already (a hard link) or equal bytes (a bucket's digest). Linking a file
        # to itself would leave a stray temporary name behind.
        if here.tag is not None and here.tag == there.tag:
            return True
        # Two files become one by a link. But there are buckets whose tags are no digests (encrypted ones, Azure): there
        # each day would be copied again whenever it is brought.
        if self._root or here.size != there.size:
            return False
        return self.read(here.key) == self.read(there.key)

    def delete(self, keys: list[str]) -> None:
        """Remove these keys; one that is not there is no error."""
        for key in keys:
            try:
                with self._found("delete", key):
                    obstore.delete(self._store, key)
            except Missing:
                continue

    def list(self, prefix: str = "") -> Iterator[Stored]:
        """What is stored under a prefix that ends in a slash (or under none: everything), in no certain order."""
        with self._explained("list", prefix or None):
            for batch in obstore.list(self._store, prefix or None):
                for found in batch:
                    yield Stored(found["path"], found["size"], _tag(found["e_tag"]))

    def leftovers(self, prefix: str = "") -> Iterator[str]:
        """Files that a write left behind when it was killed; only a folder can have them, and `list` hides them.

        The first write of another `Storage` into the same folder removes them. What is just now being written is none.
        """
        if self._root:
            for path in (self._root / prefix).rglob("*#*"):
                if _is_leftover(path):
                    yield path.relative_to(self._root).as_posix()

    def remove_leftovers(self, prefix: str = "") -> None:
        """Remove the files that killed writes left behind, those of keys never written again included."""
        for key in list(self.leftovers(prefix)):
            if path := self._path(key):
                with self._explained("delete", key):
                    path.unlink(missing_ok=True)

    def each(self, work: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
        """What `work` makes of each item, in their order, however long the next item is in coming.

        Where a call is a round trip, several are worked on at once, and a thread of its own takes the items: no more
        than that ahead. When they break off, or the work of one does, all that had been begun is given first.
        """
        if self._root:
            yield from map(work, items)
            return
        line, room, over = SimpleQueue[Future[_Result] | None](), Semaphore(_AT_ONCE - 1), Event()

        def begin() -> None:
            try:
                for item in items:
                    if not over.is_set():
                        line.put(threads.submit(work, item))
                        room.acquire()
                    if over.is_set():
                        break
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised again where the items are used
                broken = Future[_Result]()
                broken.set_exception(error)
                line.put(broken)
            line.put(None)

        broken_off: RocketAssetsError | None = None
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="storage") as threads:
            # A daemon, because nobody waits for an item, or for the end of a request, when he is to stop.
            Thread(target=begin, name="items", daemon=True).start()
            try:
                while future := line.get():
                    try:
                        result = future.result()
                    except RocketAssetsError as error:
                        broken_off = broken_off or error
                        over.set()
                        continue
                    finally:
                        room.release()
                    yield result
            finally:
                over.set()
                room.release()
        if broken_off:
            raise broken_off

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder, in which a call costs next to nothing; elsewhere each is a round trip."""
        return self._root is not None

    def address(self, key: str) -> str:
        """Where a person finds a key: a path on a disk, a URI in a bucket."""
        if path := self._path(key):
            return str(path)
        return f"{self.uri}{key}" if self.uri.endswith("/") else f"{self.uri}/{key}"

    def _tidy(self, key: str) -> None:
        """Remove what earlier writers that were killed left in a folder, before something is first put into it.

        Before that and not after it: who is killed there again and again leaves one file, and not one more each time.
        Once and not each time: in a folder of thousands of files that would take longer than the writing.
        """
        if not _PLAIN_KEY.fullmatch(key) or len(key) > _LONGEST_KEY:
            raise StorageFailed(
                f"{self.uri} takes nothing under {key!a}: a key is made of lower-case letters, digits, hyphens and "
                f"dots between slashes, and has {_LONGEST_KEY} characters at most."
            )
        if (path := self._path(key)) and path.parent not in self._tidied:
            self._tidied.add(path.parent)
            with self._explained("tidy", key):
                for beside in filter(_is_leftover, path.parent.glob("*#*")):
                    beside.unlink(missing_ok=True)

    def _path(self, key: str) -> Path | None:
        """The file of a key; None in a bucket or memory, which have no files."""
        return self._root / key if self._root else None

    @contextmanager
    def _found(self, verb: str, key: str) -> Iterator[None]:
        """Explain what goes wrong with a key that may be missing."""
        if not key.strip("/"):
            # In a bucket, the object that bears the name of our prefix: it is beside us, and not ours.
            raise StorageFailed(f"{self.uri} has nothing to {verb} under {key!a}: that is no key.")
        with self._explained(verb, key):
            try:
                yield
            except FileNotFoundError as error:
                if _NO_BUCKET.search(str(error)):
                    raise
                raise Missing(f"{self.uri} holds nothing under {_shown(key)}.") from None

    @contextmanager
    def _explained(self, verb: str, key: str | None = None) -> Iterator[None]:
        try:
            yield
        # To a key that it does not take, obstore answers with a ValueError, and in `delete` with a TypeError.
        except (BaseError, OSError, ValueError, TypeError) as error:
            what = f"the storage {self.uri}" if key is None else f"{_shown(key)} in the storage {self.uri}"
            # Not `from error`: its text repeats what the server answered, the name of the access key included.
            raise StorageFailed(
                f"Could not {verb} {what}: {_reason(error)}. {_advice(error, _scheme(self.uri))}"
            ) from None


def _put_file(path: Path, body: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with _making(path) as beside, beside.open("xb") as file:
        # Some network disks have no locks. There, others take this for a leftover.
        with suppress(OSError):
            flock(file, LOCK_EX)
        file.write(body)
        file.flush()
        beside.replace(path)


def _link_file(original: Path, path: Path) -> None:
    # No lock: it would be one on the original. Who takes this for a leftover has to be quick.
    with _making(path) as beside:
        os.link(original, beside)
        beside.replace(path)


@contextmanager
def _making(path: Path) -> Iterator[Path]:
    """A name beside `path` that nobody else ever has, and under which nothing stays."""
    beside = path.with_name(f"{path.name}#{secrets.randbits(64)}")
    try:
        yield beside
    finally:
        # It is still there when something failed, and when it was replaced by itself: by another link to the same file.
        with suppress(OSError):
            beside.unlink()


def _is_leftover(path: Path) -> bool:
    """Whether this is half a file, and nobody is making it."""
    if not _LEFTOVER.search(path.name):
        return False
    try:
        with path.open("rb") as file:
            flock(file, LOCK_SH | LOCK_NB)
    except (BlockingIOError, FileNotFoundError):
        return False
    except OSError:
        # It cannot be told. Who loses what he is making by this makes it again.
        return True
    return True


def _again_if_lost(make: Callable[[], None]) -> None:
    for _ in range(_LOSSES):
        with suppress(FileNotFoundError):
            return make()
    return make()


_memory: dict[str, MemoryStore] = {}


def _open(uri: str, endpoint: str | None, region: str | None, *, create: bool, patience: timedelta) -> ObjectStore:
    scheme = _scheme(uri)
    if scheme == "memory":
        # One store for each URI and process, as a folder is one for each path.
        return _memory.setdefault(uri, MemoryStore())
    if scheme:
        named: dict[str, Any] = {_ENDPOINTS.get(scheme, ""): endpoint, "region": region if scheme == "s3" else None}
        return from_url(
            uri,
            # Only where it must be: beside it, obstore takes no other AWS_… that is about the connection.
            client_options={"allow_http": True} if endpoint and endpoint.startswith("http:") else None,
            retry_config={"retry_timeout": patience},
            **{name: value for name, value in named.items() if value},
        )
    folder = _folder(uri)
    if not create and not folder.exists():
        raise FileNotFoundError(
            errno.ENOENT, "there is no such folder: nothing was brought there yet, if it is the right one"
        )
    return LocalStore(folder, mkdir=create)


def _scheme(uri: str) -> str:
    return uri.partition("://")[0] if "://" in uri else ""


def _folder(uri: str) -> Path:
    # No shell reads a .env file, so a ~ in it is still there.
    return Path(uri).expanduser().resolve()


def _tag(tag: str | None) -> str | None:
    # Azure writes it with quotation marks to who asks for one key, and without to who lists them.
    return tag[1:-1] if tag and tag.startswith('"') else tag


def _shown(key: str) -> str:
    return key if key.isprintable() else ascii(key)


def _advice(error: BaseException, scheme: str) -> str:
    if variables := _CREDENTIALS.get(scheme):
        advice = next(advice for said, advice in _ADVICE if re.search(said, str(error)))
        return advice.format(variables=variables)
    return "Is ROCKET_ASSETS_STORAGE right, is there room, and may we write there?"


def _reason(error: BaseException) -> str:
    """The sentence in an obstore error, and of what a server answered no more than its code and message.

    The rest of the answer, the user and the query of an address and the dump of its source that follows may hold the
    name of an access key, a token or a signature.
    """
    said_by_system = error.strerror if isinstance(error, OSError) else None
    text = _PLAIN_ADDRESS.sub(r"://\1", (said_by_system or str(error)).partition("\n\nDebug source:")[0])
    found = _SENTENCE.match(text)
    sentence, answer = found.groups() if found else ("", "")
    said = re.search(r"<Code>([^<]*)</Code>.*<Message>([^<]*)</Message>", answer, re.DOTALL)
    parts = [sentence, *(said.groups() if said else ())]
    return ": ".join(" ".join(part.split()).rstrip(".:") for part in parts)
