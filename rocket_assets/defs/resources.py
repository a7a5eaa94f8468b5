"""Dagster's handles on the plain half: the API, the storage, the pictures.

Each is made from the settings, is shown in the UI with its configuration, and hands the asset a plain object. The token
is passed as the name of its variable, so that its value is in no snapshot and no event.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from rocket_assets.images import WORKERS, ImageLibrary
from rocket_assets.launch_library import LaunchLibrary
from rocket_assets.settings import API_TOKEN, Settings
from rocket_assets.storage import Storage


class LaunchLibraryResource(dg.ConfigurableResource[LaunchLibrary]):
    """The Launch Library's API."""

    url: str
    mode: str = "normal"
    token: str | None = None
    retries: int = 3
    backoff: float = 0.5

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[LaunchLibrary]:
        """A client whose connections are given back when the run ends."""
        with LaunchLibrary(
            self.url, token=self.token, mode=self.mode, retries=self.retries, backoff=self.backoff
        ) as library:
            yield library


class StorageResource(dg.ConfigurableResource[Storage]):
    """Where launches and pictures are kept."""

    uri: str

    def create_resource(self, context: dg.InitResourceContext) -> Storage:
        """The folder or bucket behind the URI; that we may write there is made sure of before anything is asked for."""
        storage = Storage(self.uri)
        storage.ensure_writable()
        return storage


class ImageLibraryResource(dg.ConfigurableResource[ImageLibrary]):
    """Pictures by their address, fetched into the pool of the storage."""

    storage_uri: str
    workers: int = WORKERS
    retries: int = 3
    backoff: float = 0.5

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[ImageLibrary]:
        """Threads and connections that end with the run."""
        with ImageLibrary(
            Storage(self.storage_uri), workers=self.workers, retries=self.retries, backoff=self.backoff
        ) as library:
            yield library


def resources(settings: Settings) -> dict[str, object]:
    """The resources that these settings ask for, by the names under which assets take them."""
    return {
        "launch_library": LaunchLibraryResource(
            url=settings.api_url,
            mode=settings.api_mode,
            token=dg.EnvVar(API_TOKEN.name) if settings.api_token else None,
        ),
        "storage": StorageResource(uri=settings.storage),
        "image_library": ImageLibraryResource(storage_uri=settings.storage),
    }
