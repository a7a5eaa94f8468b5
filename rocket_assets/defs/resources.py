"""Dagster's handles on the plain half: the API, the storage, the pictures.

Each is made from the settings, is shown in the UI with its configuration, and hands the asset a plain object. Secrets
are passed as the names of their variables, so that their values are in no snapshot and no event.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import dagster as dg
from filelock import FileLock

from rocket_assets import storage as keys
from rocket_assets.defs.instance import giving_lost_slots, turn_in_database
from rocket_assets.gallery.site import Gallery
from rocket_assets.images import WORKERS, ImageLibrary
from rocket_assets.launch_library import LaunchLibrary
from rocket_assets.network import LIMITS, Limits, Timeout
from rocket_assets.notifications import Notifier
from rocket_assets.settings import API_TOKEN, NOTIFY, Settings, notify_addresses
from rocket_assets.storage import Storage

_LOOK_SECONDS, _LOOK_TURN_SECONDS = 15.0, 10.0

# What a try may take besides its answer: addresses that do not answer, the last part of a body, the pause before it.
_BESIDES_SECONDS = 60.0


class LaunchLibraryResource(dg.ConfigurableResource[LaunchLibrary]):
    """The Launch Library's API.

    All clients of a Dagster home send one request at a time. One that waits for its turn longer than `turn_seconds`, if
    that is not negative, gives up.
    """

    url: str
    mode: str = "normal"
    token: str | None = None
    retries: int = 3
    backoff: float = 0.5
    read_timeout: float = Timeout().read
    max_bytes: int = LIMITS.bytes
    max_seconds: float = LIMITS.seconds
    turn_seconds: float = -1

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[LaunchLibrary]:
        """A client whose connections are given back when the run ends."""
        instance = context.instance
        in_run = giving_lost_slots(instance) if instance and context.run else nullcontext()
        client = LaunchLibrary(
            self.url,
            token=self.token,
            mode=self.mode,
            timeout=Timeout(read=self.read_timeout),
            retries=self.retries,
            backoff=self.backoff,
            limits=Limits(bytes=self.max_bytes, seconds=self.max_seconds),
            turn=turn_of(instance, self.turn_seconds, lasts=self._longest) if instance else None,
        )
        with in_run, client as library:
            yield library

    @property
    def _longest(self) -> float:
        """Seconds that a request and its repetitions may take, with the pauses between them."""
        return (self.retries + 1) * (self.max_seconds + _BESIDES_SECONDS)


def turn_of(
    instance: dg.DagsterInstance, seconds: float = -1, *, lasts: float = 1800
) -> AbstractContextManager[object] | None:
    """What one client of a Dagster home holds at a time, or of all homes whose records are in the same PostgreSQL.

    The pool of the asset is to see to that, but Dagster gives its one slot twice when two runs ask for it at the same
    moment, as runs do that have waited for the same throttle. Elsewhere than in PostgreSQL a lock of the file system
    holds on one machine, which is as far as SQLite goes, and ends with its process. Where it cannot be written, Dagster
    does not keep its records either.

    Who waits longer than so many seconds, if any are named, gets a TimeoutError. In PostgreSQL, a turn is taken away
    from who hangs when it has lasted too long.
    """
    return turn_in_database(instance, seconds, lasts=lasts) or _turn_in(Path(instance.root_directory), seconds)


def _turn_in(home: Path, seconds: float) -> AbstractContextManager[object] | None:
    lock = home / "launch_library.lock"
    refuses = [place for place in (lock, home) if place.exists() and not os.access(place, os.W_OK)]
    return None if refuses else FileLock(lock, timeout=seconds)


class Place(dg.Config):
    """Where a storage is. The credentials of a bucket come from the environment, and never through here."""

    uri: str
    endpoint: str | None = None
    region: str | None = None

    def storage(self) -> Storage:
        """The storage that is there."""
        return Storage(self.uri, endpoint=self.endpoint, region=self.region)


class StorageResource(dg.ConfigurableResource[Storage]):
    """Where launches and pictures are kept."""

    place: Place
    writes: bool = True

    def create_resource(self, context: dg.InitResourceContext) -> Storage:
        """The folder or bucket that is there.

        Who is to write there learns now, before anything is asked for, whether that can be done; and removes what
        writers left that were killed.
        """
        storage = self.place.storage()
        if self.writes:
            storage.ensure_writable()
            storage.remove_leftovers(keys.POOL)
        return storage


class ImageLibraryResource(dg.ConfigurableResource[ImageLibrary]):
    """Pictures by their address, fetched into the pool of the storage."""

    place: Place
    api_url: str
    workers: int = WORKERS
    retries: int = 3
    backoff: float = 0.5
    max_bytes: int = LIMITS.bytes
    max_pixels: int = LIMITS.pixels
    max_seconds: float = LIMITS.seconds

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[ImageLibrary]:
        """Threads and connections that end with the run."""
        with ImageLibrary(
            self.place.storage(),
            api_url=self.api_url,
            workers=self.workers,
            retries=self.retries,
            backoff=self.backoff,
            limits=Limits(self.max_bytes, self.max_seconds, self.max_pixels),
        ) as library:
            yield library


class GalleryResource(dg.ConfigurableResource[Gallery]):
    """The pages that are made of the archive, in the same storage."""

    place: Place
    licences: list[str]

    def create_resource(self, context: dg.InitResourceContext) -> Gallery:
        """What makes the pages, and shows pictures under these licences alone, if there are any."""
        return Gallery(self.place.storage(), self.licences)


class NotifierResource(dg.ConfigurableResource[Notifier]):
    """Who is told of news and failures."""

    addresses: str

    def create_resource(self, context: dg.InitResourceContext) -> Notifier:
        """The services that the addresses name."""
        return Notifier(notify_addresses(self.addresses))


def resources(settings: Settings) -> dict[str, object]:
    """The resources that these settings ask for, by the names under which assets and sensors take them."""
    token = dg.EnvVar(API_TOKEN.name) if settings.api_token else None
    place = Place(uri=settings.storage, endpoint=settings.storage_endpoint, region=settings.storage_region)
    return {
        "launch_library": LaunchLibraryResource(
            url=settings.api_url,
            mode=settings.api_mode,
            token=token,
            max_bytes=settings.max_bytes,
            max_seconds=settings.max_seconds,
        ),
        # A look for changes needs no more than a `list` answer says, a ninth of the bytes; and Dagster breaks off a
        # sensor that takes longer than a minute, so that it cannot wait for long until the runs have asked.
        "launch_list": LaunchLibraryResource(
            url=settings.api_url,
            mode="list",
            token=token,
            retries=1,
            read_timeout=_LOOK_SECONDS,
            max_bytes=settings.max_bytes,
            max_seconds=_LOOK_SECONDS,
            turn_seconds=_LOOK_TURN_SECONDS,
        ),
        "storage": StorageResource(place=place),
        "stored": StorageResource(place=place, writes=False),
        "image_library": ImageLibraryResource(
            place=place,
            api_url=settings.api_url,
            max_bytes=settings.max_bytes,
            max_pixels=settings.max_pixels,
            max_seconds=settings.max_seconds,
        ),
        "gallery": GalleryResource(place=place, licences=list(settings.gallery_licences)),
        **({"notifier": NotifierResource(addresses=dg.EnvVar(NOTIFY.name))} if settings.notify else {}),
    }
