"""The drawn pictures: whole, in the format that the table says, and the same every time."""

import hashlib
import io
import subprocess
import sys

import pytest
from PIL import Image

from rocket_assets.sample_library import pictures

FORMAT_OF_SUFFIX = {"jpg": "JPEG", "jpeg": "JPEG", "png": "PNG", "webp": "WEBP", "gif": "GIF", "bmp": "BMP"}


def suffix_is_true(file: str, file_format: str) -> bool:
    return FORMAT_OF_SUFFIX[file.rpartition(".")[2]] == file_format


@pytest.mark.parametrize("file", list(pictures.table()))
def test_a_picture_decodes_whole_in_its_announced_format_and_size(file: str) -> None:
    picture, content = pictures.table()[file], pictures.draw(file)
    with Image.open(io.BytesIO(content)) as image:
        assert image.format == picture.format
        assert image.size == (picture.width, picture.height)
        image.load()
    assert 10_000 <= len(content) <= 150_000


def test_the_table_has_five_formats() -> None:
    assert {picture.format for picture in pictures.table().values()} == {"JPEG", "PNG", "WEBP", "GIF", "BMP"}


def test_one_suffix_lies() -> None:
    liars = [file for file, picture in pictures.table().items() if not suffix_is_true(file, picture.format)]
    assert liars == ["pslv_xl.jpg"]
    assert pictures.draw("pslv_xl.jpg").startswith(b"\x89PNG")


def test_no_two_pictures_are_the_same() -> None:
    assert len({pictures.draw(file) for file in pictures.table()}) == len(pictures.table())


def test_another_process_draws_the_same_bytes() -> None:
    code = (
        "import hashlib, sys; from rocket_assets.sample_library import pictures; "
        "print(hashlib.sha256(pictures.draw('kuaizhou_1a.gif')).hexdigest())"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert told == hashlib.sha256(pictures.draw("kuaizhou_1a.gif")).hexdigest()


def test_a_thumbnail_is_a_small_jpeg() -> None:
    thumbnail = pictures.draw(pictures.table()["vega_c.bmp"].thumbnail)
    with Image.open(io.BytesIO(thumbnail)) as image:
        assert (image.format, image.width) == ("JPEG", 320)


def test_thumbnails_have_names_of_their_own() -> None:
    assert len({picture.thumbnail for picture in pictures.table().values()}) == len(pictures.table())


def test_what_is_not_in_the_table_is_not_found() -> None:
    assert pictures.find("nothing.png") is None
    with pytest.raises(KeyError):
        pictures.draw("nothing.png")


def test_file_names_are_as_plain_as_those_of_the_real_library() -> None:
    assert all(file.isascii() and set("/ %+").isdisjoint(file) for file in pictures.table())
