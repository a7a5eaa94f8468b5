"""What stands round a rocket: the sky with its lights, the ground it leaves, the smoke, and the rocket's name.

Each sky is a row of colours from the top of the picture to the horizon. Rockets belong in rockets.py.
"""

import math
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from rocket_assets.sample_library.canvas import BLACK, WHITE, Colour, Point, colour, glow, mix, scatter


@dataclass(frozen=True)
class Sky:
    """A sky: its colours from top to horizon, its stars, its sun or moon, and the colour of its land."""

    bands: tuple[str, ...]
    land: str
    stars: int = 0
    orb: str = ""
    light: str = "#ffffff"
    clouds: bool = False


SKIES = {
    "night": Sky(("#070b22", "#14225a", "#35509a"), "#0b1533", 240, "moon", "#f4efd8"),
    "dawn": Sky(("#22215c", "#8c4a86", "#f08a6c", "#ffd08a"), "#2c1f4a", 60, "sun", "#fff0c2"),
    "day": Sky(("#2f7fc8", "#79bbe8", "#e4f3fb"), "#3d6f5a", 0, "sun", "#fffbe0", clouds=True),
    "dusk": Sky(("#171740", "#4c357c", "#d0607c", "#ffab78"), "#1d1638", 110, "moon", "#ffe9d2"),
    "space": Sky(("#03040c", "#080f2b", "#152455"), "#1f6fb4", 380, "moon", "#e7ebf2"),
    "aurora": Sky(("#041a2b", "#0a4150", "#3f9a87", "#a8dcb4"), "#08222c", 200, "moon", "#effff4"),
    "desert": Sky(("#3f7fb0", "#a5c4cf", "#f3dcae"), "#b9824e", 0, "sun", "#fff6d8", clouds=True),
}


def draw_sky(image: Image.Image, sky: Sky, seed: str) -> None:
    """The sky, its stars, its sun or moon, its clouds."""
    width, height = image.size
    strip = Image.new("RGB", (1, len(sky.bands)))
    for row, name in enumerate(sky.bands):
        strip.putpixel((0, row), colour(name))
    column = strip.resize((1, height), Image.Resampling.BICUBIC)
    image.paste(column.resize((width, height), Image.Resampling.NEAREST))
    pen = ImageDraw.Draw(image)
    numbers = scatter(seed, 3 * sky.stars)
    for x, y, size in zip(numbers[0::3], numbers[1::3], numbers[2::3], strict=True):
        radius = width / 1200 * (0.5 + 1.5 * size**4)
        shine = mix(WHITE, colour(sky.bands[1]), 0.1 + 0.7 * y)
        cx, cy = x * width, y * height * 0.5
        pen.ellipse((cx - radius, cy - radius, cx + radius, cy + radius), fill=shine)
    _draw_orb(image, sky)
    if sky.clouds:
        _draw_clouds(image, sky, seed)


def _draw_orb(image: Image.Image, sky: Sky) -> None:
    width, height = image.size
    unit, light = min(width, height), colour(sky.light)
    low = sky.orb == "sun" and not sky.clouds
    cx, cy, radius = width * 0.24, height * (0.6 if low else 0.42), unit * (0.13 if low else 0.095)
    glow(image, (cx, cy), radius * 4.2, light, 0.5)
    pen = ImageDraw.Draw(image)
    pen.ellipse((cx - radius, cy - radius, cx + radius, cy + radius), fill=light)
    if sky.orb == "moon":
        for dx, dy, size in ((-0.35, -0.3, 0.22), (0.3, 0.1, 0.28), (-0.2, 0.42, 0.15), (0.28, -0.5, 0.12)):
            x, y, r = cx + dx * radius, cy + dy * radius, size * radius
            pen.ellipse((x - r, y - r, x + r, y + r), fill=mix(light, BLACK, 0.1))


def _draw_clouds(image: Image.Image, sky: Sky, seed: str) -> None:
    width, height = image.size
    pen, numbers = ImageDraw.Draw(image), scatter(seed + " clouds", 12)
    for i in range(4):
        cx, cy = width * ((i + numbers[i]) / 4), height * (0.28 + 0.3 * numbers[4 + i])
        size = width * (0.035 + 0.03 * numbers[8 + i])
        fill = mix(colour(sky.bands[1]), WHITE, 0.62)
        for dx, dy, r in ((-1.3, 0.1, 0.55), (-0.5, -0.25, 0.8), (0.5, -0.1, 0.7), (1.3, 0.15, 0.5)):
            x, y, reach = cx + dx * size, cy + dy * size, r * size
            pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=fill)
        pen.rounded_rectangle((cx - 1.85 * size, cy, cx + 1.8 * size, cy + 0.65 * size), 0.32 * size, fill=fill)


def draw_ground(image: Image.Image, sky: Sky, kind: str, seed: str) -> None:
    """What lies below: hills, the sea, a launch pad, or the curve of a planet."""
    {"hills": _hills, "sea": _sea, "pad": _pad, "planet": _planet}[kind](image, sky, seed)


def _ridge(image: Image.Image, fill: Colour, level: float, swing: float, seed: str) -> None:
    width, height = image.size
    phase = [6.28 * number for number in scatter(seed, 3)]
    line: list[Point] = []
    for i in range(61):
        x = i / 60
        wave = math.sin(3.1 * x + phase[0]) + 0.5 * math.sin(7.7 * x + phase[1]) + 0.22 * math.sin(17 * x + phase[2])
        line.append((x * width, height * (level - swing * wave)))
    ImageDraw.Draw(image).polygon([*line, (width, height), (0, height)], fill=fill)


def _hills(image: Image.Image, sky: Sky, seed: str) -> None:
    land, haze = colour(sky.land), colour(sky.bands[-1])
    _ridge(image, mix(land, haze, 0.5), 0.79, 0.035, seed + " far")
    _ridge(image, mix(land, haze, 0.24), 0.84, 0.024, seed + " middle")
    _ridge(image, land, 0.9, 0.014, seed + " near")


def _sea(image: Image.Image, sky: Sky, seed: str) -> None:
    width, height = image.size
    pen, top = ImageDraw.Draw(image), 0.81
    deep, haze = mix(colour(sky.bands[0]), BLACK, 0.1), colour(sky.bands[-1])
    for i in range(8):
        pen.rectangle((0, height * (top + i * 0.024), width, height), fill=mix(haze, deep, 0.5 + i * 0.065))
    numbers = scatter(seed + " sea", 80)
    for x, y in zip(numbers[0::2], numbers[1::2], strict=True):
        reach, level = width * (0.008 + 0.03 * y), height * (top + 0.012 + 0.16 * y)
        # The waves shine below the sun or moon and fade away from it.
        shine = max(0.06, 0.6 - 2.2 * abs(x - 0.25))
        pen.rounded_rectangle(
            (x * width - reach, level, x * width + reach, level + height * 0.004),
            height * 0.002,
            fill=mix(mix(haze, deep, 0.6 + y * 0.3), colour(sky.light), shine),
        )


def _pad(image: Image.Image, sky: Sky, seed: str) -> None:
    width, height = image.size
    land, haze = colour(sky.land), colour(sky.bands[-1])
    _ridge(image, mix(land, haze, 0.42), 0.83, 0.014, seed + " far")
    pen, iron = ImageDraw.Draw(image), mix(mix(land, BLACK, 0.3), haze, 0.1)
    unit, foot = height / 100, height * 0.86
    for x, rise in ((width * 0.47, 44), (width * 0.81, 36)):
        pen.polygon(
            [
                (x - unit * 0.7, foot),
                (x + unit * 0.7, foot),
                (x + unit * 0.16, foot - rise * unit),
                (x - unit * 0.16, foot - rise * unit),
            ],
            fill=iron,
        )
    left, right, crown = width * 0.545, width * 0.572, foot - 33 * unit
    pen.rectangle((left, crown, left + unit * 0.7, foot), fill=iron)
    pen.rectangle((right - unit * 0.7, crown, right, foot), fill=iron)
    steps = 9
    for i in range(steps):
        low, high = foot - 33 * unit * i / steps, foot - 33 * unit * (i + 1) / steps
        pen.line((left, low, right, high), fill=iron, width=max(1, round(unit * 0.4)))
        pen.rectangle((left, high, right, high + unit * 0.5), fill=iron)
    pen.rectangle((0, foot, width, height), fill=land)
    pen.rectangle((0, foot, width, foot + unit * 0.8), fill=mix(land, haze, 0.3))


def _planet(image: Image.Image, sky: Sky, seed: str) -> None:
    width, height = image.size
    land = colour(sky.land)
    radius, cx = width * 1.25, width * 0.5
    pen = ImageDraw.Draw(image)
    for rim, share in ((0.022, 0.78), (0.012, 0.6), (0.004, 0.35)):
        _disc(pen, cx, height * 0.78 + radius, radius * (1 + rim), mix(land, colour(sky.bands[1]), share))
    _disc(pen, cx, height * 0.78 + radius, radius, land)
    _disc(pen, cx, height * 0.81 + radius, radius, mix(land, BLACK, 0.16))
    numbers = scatter(seed + " weather", 42)
    for x, y, size in zip(numbers[0::3], numbers[1::3], numbers[2::3], strict=True):
        # A cloud follows the curve: the farther from the middle, the lower.
        level = height * (0.83 + 0.15 * y) + (x - 0.5) ** 2 * width * 0.4
        reach = width * (0.02 + 0.07 * size)
        pen.rounded_rectangle(
            (x * width - reach, level, x * width + reach, level + height * 0.009),
            height * 0.0045,
            fill=mix(land, WHITE, 0.36),
        )


def _disc(pen: ImageDraw.ImageDraw, x: float, y: float, radius: float, fill: Colour) -> None:
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)


def draw_smoke(image: Image.Image, sky: Sky, start: Point, seed: str) -> None:
    """The trail from the flame down to the ground, and the cloud it makes there."""
    width, height = image.size
    pen, numbers = ImageDraw.Draw(image), scatter(seed + " smoke", 120)
    shade = mix(colour(sky.bands[-1]), (120, 122, 140), 0.35)
    bright = mix(colour(sky.bands[-1]), WHITE, 0.72)
    foot, puffs = height * 0.9, 22
    for fill, shift in ((shade, 0.011), (bright, -0.004)):
        for i in range(puffs):
            share = i / (puffs - 1)
            y = start[1] + (foot - start[1]) * share
            reach = height * (0.014 + 0.03 * share + 0.012 * numbers[i])
            x = start[0] + height * (0.012 * (numbers[30 + i] - 0.5) + shift)
            _disc(pen, x, y, reach, fill)
        for i in range(26):
            side = (i / 25 - 0.5) * 2
            reach = height * (0.032 + 0.034 * numbers[60 + i]) * (1.25 - abs(side) * 0.75)
            _disc(
                pen,
                start[0] + side * min(height * 0.34, width * 0.27) + height * shift,
                foot + height * 0.018 - reach * 0.3,
                reach,
                fill,
            )


def draw_name(image: Image.Image, title: str, line: str) -> None:
    """The rocket's name at the upper left, where the sky is darkest, and a short line below it."""
    width, height = image.size
    unit = min(width, height * 1.3) / 100
    pen, x, y = ImageDraw.Draw(image), width * 0.055, height * 0.145
    large, small = ImageFont.load_default(size=round(7.6 * unit)), ImageFont.load_default(size=round(3.1 * unit))
    pen.text((x, y), title, font=large, fill=WHITE, anchor="ls")
    pen.text(
        (x + 0.2 * unit, y + 4.6 * unit), line, font=small, fill=mix(WHITE, _sky_at(image, x, y), 0.22), anchor="ls"
    )


def _sky_at(image: Image.Image, x: float, y: float) -> Colour:
    """The colour of the sky at the left of a place."""
    pixel = image.getpixel((round(x / 2), round(y)))
    if not isinstance(pixel, tuple):
        raise TypeError("pictures are painted in RGB")
    red, green, blue = pixel[:3]
    return red, green, blue
