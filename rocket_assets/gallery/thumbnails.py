"""The small pictures of the gallery: one for each distinct picture, made once.

A thumbnail says in itself by which recipe it was made; one of another recipe is made again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO

from PIL import ExifTags, Image

from rocket_assets.errors import Damaged, Missing, NotAPicture
from rocket_assets.gallery.cards import Thumbnail
from rocket_assets.images import Picture, thumbnail
from rocket_assets.storage import Storage, thumbnail_key

WIDTH, HEIGHT = 480, 640
"""Pixels at most: a card is 400 wide and may be shown on a finer screen; a rocket is tall."""

QUALITY = 60
"""Of WebP, in percent: a photograph of that size has 10 to 25 kB."""

RECIPE = f"rocket_assets thumbnail {WIDTH}x{HEIGHT} q{QUALITY}"

_WORKERS = 2
"""Pillow decodes and encodes without holding Python up, so that two cores are used by two threads."""


@dataclass
class Thumbnails:
    """What asking for thumbnails came to.

    Args:
        sizes: the thumbnails that there are now, by the digest of the whole picture.
        made: how many of them were not there before.
        unreadable: why there is none, a sentence for each picture.
    """

    sizes: dict[str, Thumbnail] = field(default_factory=dict)
    made: int = 0
    unreadable: list[str] = field(default_factory=list)


def workers() -> ThreadPoolExecutor:
    """Threads for `thumbnails_of`; one pool for many months, since each new thread may keep room for a picture."""
    return ThreadPoolExecutor(_WORKERS, thread_name_prefix="thumbnail")


def thumbnails_of(storage: Storage, pictures: Iterable[Picture], threads: ThreadPoolExecutor) -> Thumbnails:
    """The thumbnails of these pictures, made by these threads where they are not there.

    Raises:
        StorageFailed: the storage does not do what it should; a picture that is missing or damaged is no such error.
    """
    distinct = {picture.sha256: picture for picture in pictures}
    answer = Thumbnails()
    ensured = threads.map(lambda picture: _ensure(storage, picture), distinct.values())
    for sha256, made in zip(distinct, ensured, strict=True):
        if isinstance(made, str):
            answer.unreadable.append(made)
        else:
            answer.sizes[sha256], is_new = made
            answer.made += is_new
    return answer


def _ensure(storage: Storage, picture: Picture) -> tuple[Thumbnail, bool] | str:
    """The thumbnail of a picture and whether it was made now; or why it cannot be."""
    key = thumbnail_key(picture.sha256)
    try:
        if there := _size_if_ours(storage.read(key)):
            return there, False
    except Missing:
        pass
    try:
        body = _whole(storage, picture)
        small = thumbnail(body, WIDTH, picture.key, height=HEIGHT, quality=QUALITY, note=RECIPE)
    except (Missing, Damaged, NotAPicture) as error:
        return str(error)
    # What was there has been looked at: it is none of ours, or nothing.
    storage.put(key, small)
    with Image.open(BytesIO(small)) as image:
        return Thumbnail(*image.size), True


def _whole(storage: Storage, picture: Picture) -> bytes:
    """The bytes of a picture, after making sure that they are those."""
    body = storage.read(picture.key)
    if hashlib.sha256(body).hexdigest() != picture.sha256:
        raise Damaged(f"{picture.key} is not what was stored.")
    return body


def _size_if_ours(body: bytes) -> Thumbnail | None:
    try:
        with Image.open(BytesIO(body), formats=["WEBP"]) as image:
            note = image.getexif().get(ExifTags.Base.ImageDescription)
            return Thumbnail(*image.size) if note == RECIPE else None
    except (OSError, ValueError, SyntaxError):
        return None
