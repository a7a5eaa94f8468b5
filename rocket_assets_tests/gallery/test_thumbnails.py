"""Small pictures: made once for each picture, from what was stored and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import pytest
from PIL import Image

from rocket_assets.gallery import thumbnails
from rocket_assets.gallery.cards import Thumbnail
from rocket_assets.gallery.thumbnails import Thumbnails, thumbnails_of, workers
from rocket_assets.images import Picture, inspect
from rocket_assets.storage import Storage, thumbnail_key


def stored(storage: Storage, size: tuple[int, int], kind: str = "JPEG", shade: int = 0) -> Picture:
    """A picture of this size in the pool."""
    stream = BytesIO()
    noise = Image.effect_noise((size[0] // 4 or 1, size[1] // 4 or 1), 40 + shade).resize(size)
    noise.convert("RGB").save(stream, kind)
    picture = inspect(stream.getvalue(), "here")
    storage.write(picture.key, stream.getvalue())
    return picture


def made_of(storage: Storage, pictures: list[Picture]) -> Thumbnails:
    """Their thumbnails."""
    with workers() as threads:
        return thumbnails_of(storage, pictures, threads)


@pytest.mark.parametrize(
    ("size", "small"),
    [((1920, 1280), (480, 320)), ((1000, 2000), (320, 640)), ((300, 200), (300, 200)), ((4000, 100), (480, 12))],
)
def test_a_thumbnail_keeps_the_shape_of_its_picture_and_is_never_larger(
    storage: Storage, size: tuple[int, int], small: tuple[int, int]
) -> None:
    picture = stored(storage, size)
    made = made_of(storage, [picture])
    assert made.sizes == {picture.sha256: Thumbnail(*small)}
    with Image.open(BytesIO(storage.read(thumbnail_key(picture.sha256)))) as image:
        assert (image.format, image.size) == ("WEBP", small)


def test_a_picture_that_several_launches_share_has_one_thumbnail(storage: Storage) -> None:
    one, other = stored(storage, (60, 40)), stored(storage, (60, 40), shade=5)
    made = made_of(storage, [one, other, one])
    assert made.made == 2
    assert made.sizes.keys() == {one.sha256, other.sha256}


def test_a_thumbnail_is_not_made_again_even_if_the_picture_is_gone(storage: Storage) -> None:
    picture = stored(storage, (60, 40))
    sizes = made_of(storage, [picture]).sizes
    storage.delete([picture.key])
    again = made_of(storage, [picture])
    assert (again.sizes, again.made, again.unreadable) == (sizes, 0, [])


@pytest.mark.parametrize("body", [b"", b"<html>", b"another recipe"])
def test_what_is_no_thumbnail_of_this_recipe_is_made_again(
    storage: Storage, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = stored(storage, (60, 40))
    made_of(storage, [picture])
    key = thumbnail_key(picture.sha256)
    whole = storage.read(key)
    # Not longer and not shorter, so that only what stands in it tells the two apart.
    storage.write(key, body if body != b"another recipe" else whole.replace(b"thumbnail", b"thumbnall"))
    assert made_of(storage, [picture]).made == 1
    assert storage.read(key) == whole


@pytest.mark.parametrize(
    "damage",
    [
        lambda storage, picture: storage.delete([picture.key]),
        lambda storage, picture: storage.write(picture.key, b"<html>"),
        # Still a picture, but another one.
        lambda storage, picture: storage.write(picture.key, storage.read(stored(storage, (60, 40), shade=9).key)),
    ],
    ids=["missing", "no picture", "another picture"],
)
def test_a_damaged_picture_has_no_thumbnail_and_is_named(
    storage: Storage, damage: Callable[[Storage, Picture], object]
) -> None:
    picture, good = stored(storage, (60, 40)), stored(storage, (60, 40), shade=3)
    damage(storage, picture)
    made = made_of(storage, [picture, good])
    assert made.sizes.keys() == {good.sha256}
    (sentence,) = made.unreadable
    assert picture.key in sentence
    assert storage.find(thumbnail_key(picture.sha256)) is None


def test_a_photograph_has_a_thumbnail_of_some_kilobytes(storage: Storage) -> None:
    picture = stored(storage, (3000, 2000), "PNG")
    made_of(storage, [picture])
    small = storage.find(thumbnail_key(picture.sha256))
    # Noise takes more than any photograph does.
    assert small
    assert small.size < 80_000


def test_the_recipe_is_the_size_and_the_quality() -> None:
    assert str(thumbnails.WIDTH) in thumbnails.RECIPE
    assert str(thumbnails.QUALITY) in thumbnails.RECIPE
