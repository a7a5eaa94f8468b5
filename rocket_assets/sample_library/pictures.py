"""The pictures of the sample library: drawn by code from pictures.csv, always the same bytes for the same Pillow.

A row of the table says what is drawn, how large, and in which format the bytes are. The format is told on its own
because a suffix may lie, as it does in the real library. How things are drawn belongs in scenery.py, rockets.py and
canvas.py.
"""

import csv
import functools
import io
import math
from dataclasses import dataclass
from importlib import resources

from PIL import Image

from rocket_assets.sample_library.canvas import Pen, colour, glow
from rocket_assets.sample_library.rockets import BUILDS, Paint
from rocket_assets.sample_library.scenery import SKIES, draw_ground, draw_name, draw_sky, draw_smoke

THUMBNAIL_MARK = "_thumbnail.jpeg"
THUMBNAIL_WIDTH = 320
# Everything is drawn twice as large and then made smaller, which rounds off the edges.
OVERSIZE = 2


@dataclass(frozen=True)
class Picture:
    """A row of pictures.csv: a drawn picture and what may be done with it."""

    file: str
    title: str
    line: str
    format: str
    width: int
    height: int
    build: str
    paint: Paint
    sky: str
    ground: str
    lean: float
    credit: str | None
    licence: str

    @property
    def thumbnail(self) -> str:
        """The file name of its thumbnail."""
        return self.file.rpartition(".")[0] + THUMBNAIL_MARK


@functools.cache
def table() -> dict[str, Picture]:
    """All pictures by file name."""
    source = resources.files("rocket_assets.sample_library") / "pictures.csv"
    lines = source.read_text(encoding="utf-8").splitlines()
    return {row["file"]: _picture(row) for row in csv.DictReader(lines)}


def _picture(row: dict[str, str]) -> Picture:
    return Picture(
        file=row["file"],
        title=row["title"],
        line=row["line"],
        format=row["format"],
        width=int(row["width"]),
        height=int(row["height"]),
        build=row["build"],
        paint=Paint(colour(row["body"]), colour(row["accent"]), colour(row["nose"]), int(row["boosters"])),
        sky=row["sky"],
        ground=row["ground"],
        lean=float(row["lean"]),
        credit=row["credit"] or None,
        licence=row["licence"],
    )


def draw(name: str) -> bytes:
    """The bytes of a picture or of its thumbnail.

    Raises:
        KeyError: there is no such picture.
    """
    if name.endswith(THUMBNAIL_MARK):
        return _draw_thumbnail(_of_thumbnail()[name])
    return _draw(table()[name].file)


def find(name: str) -> bytes | None:
    """The bytes of a picture or of its thumbnail, or None where there is no such picture."""
    return draw(name) if name in table() or name in _of_thumbnail() else None


@functools.cache
def _of_thumbnail() -> dict[str, str]:
    return {picture.thumbnail: picture.file for picture in table().values()}


@functools.cache
def _draw(file: str) -> bytes:
    picture = table()[file]
    return _encode(_paint(picture), picture.format)


@functools.cache
def _draw_thumbnail(file: str) -> bytes:
    with Image.open(io.BytesIO(_draw(file))) as image:
        height = round(image.height * THUMBNAIL_WIDTH / image.width)
        return _encode(image.convert("RGB").resize((THUMBNAIL_WIDTH, height)), "JPEG")


def _paint(picture: Picture) -> Image.Image:
    width, height = picture.width * OVERSIZE, picture.height * OVERSIZE
    image, sky, lean = Image.new("RGB", (width, height)), SKIES[picture.sky], math.radians(picture.lean)
    tail, size = (width * 0.67 if width > height else width * 0.62, height * 0.72), height * 0.62
    flying = picture.ground == "planet"
    if flying:
        tail = (tail[0] - size * 0.3 * math.sin(lean), height * 0.68)
    draw_sky(image, sky, picture.file)
    draw_ground(image, sky, picture.ground, picture.file)
    pen = Pen(image, tail, size, lean)
    glow(image, pen.place(0, -0.12), size * 0.62, (255, 196, 120), 0.75)
    if not flying:
        draw_smoke(image, sky, pen.place(0, -0.2), picture.file)
    glow(image, pen.place(0, -0.1), size * 0.3, (255, 226, 160), 0.8)
    BUILDS[picture.build](pen, picture.paint)
    draw_name(image, picture.title, picture.line)
    return image.reduce(OVERSIZE)


def _encode(image: Image.Image, file_format: str) -> bytes:
    stream = io.BytesIO()
    if file_format in {"GIF", "BMP"}:
        # Pillow dithers only onto a palette that it is given; without it the glow falls into rings.
        image = image.quantize(palette=image.quantize(256), dither=Image.Dither.FLOYDSTEINBERG)
    if file_format in {"JPEG", "WEBP"}:
        image.save(stream, file_format, quality=88)
    elif file_format == "PNG":
        image.save(stream, file_format, compress_level=6)
    else:
        image.save(stream, file_format)
    return stream.getvalue()
