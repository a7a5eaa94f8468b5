"""Flat shapes on a picture: colours, and a pen that draws bodies of revolution with light from the left.

A body is a profile, a list of (height, half width) from the tail to the nose. The pen alone knows where on the picture
a body stands, how large it is and how far it leans. What a rocket looks like belongs in rockets.py.
"""

import hashlib
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from PIL import Image, ImageColor, ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]
Profile = Sequence[Point]

BLACK: Colour = (16, 18, 28)
WHITE: Colour = (255, 255, 255)


def colour(name: str) -> Colour:
    """A colour by its name or its #rrggbb."""
    red, green, blue = ImageColor.getrgb(name)[:3]
    return red, green, blue


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """One colour with a share (0 to 1) of another in it."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def scatter(seed: str, count: int) -> list[float]:
    """Numbers from 0 to 1 that look random and are always the same for a seed."""
    noise = hashlib.shake_256(seed.encode()).digest(2 * count)
    return [int.from_bytes(noise[i : i + 2], "big") / 65536 for i in range(0, 2 * count, 2)]


def glow(image: Image.Image, centre: Point, radius: float, tint: Colour, strength: float = 1.0) -> None:
    """Adds a soft round light to the picture."""
    size = max(2, round(2 * radius))
    fade = [round(max(0.0, 1 - level / 180) ** 1.6 * 255 * strength) for level in range(256)]
    mask = Image.radial_gradient("L").point(fade).resize((size, size), Image.Resampling.BILINEAR)
    image.paste(tint, (round(centre[0] - radius), round(centre[1] - radius)), mask)


def tube(bottom: float, top: float, half: float) -> list[Point]:
    """A cylinder."""
    return [(bottom, half), (top, half)]


def nose(bottom: float, top: float, half: float, bluntness: float = 2.0) -> list[Point]:
    """What closes a body at its top: a cone at bluntness 1, the blunter the higher."""
    steps = 14
    return [
        (bottom + (top - bottom) * i / steps, half * (1 - (i / steps) ** bluntness) ** (1 / min(bluntness, 1.6)))
        for i in range(steps + 1)
    ]


def clip(profile: Profile, bottom: float, top: float) -> list[Point]:
    """The part of a profile between two heights."""
    inside = [(y, half) for y, half in profile if bottom < y < top]
    return [(bottom, half_width(profile, bottom)), *inside, (top, half_width(profile, top))]


def half_width(profile: Profile, height: float) -> float:
    """How wide a profile is at a height."""
    for (low, half_low), (high, half_high) in itertools.pairwise(profile):
        if low <= height <= high:
            share = 0.0 if high == low else (height - low) / (high - low)
            return half_low + (half_high - half_low) * share
    return profile[-1][1]


@dataclass(frozen=True)
class Pen:
    """Draws in a rocket's own measure: its tail stands at (0, 0), its nose near (0, 1)."""

    image: Image.Image
    tail: Point
    height: float
    lean: float = 0.0

    def place(self, x: float, y: float) -> Point:
        """Where a point of the rocket lies on the picture."""
        sine, cosine = math.sin(self.lean), math.cos(self.lean)
        return (
            self.tail[0] + self.height * (x * cosine + y * sine),
            self.tail[1] + self.height * (x * sine - y * cosine),
        )

    def shape(self, points: Iterable[Point], fill: Colour) -> None:
        """A plane shape in one colour."""
        ImageDraw.Draw(self.image).polygon([self.place(x, y) for x, y in points], fill=fill)

    def dot(self, x: float, y: float, radius: float, fill: Colour) -> None:
        """A disc."""
        (cx, cy), size = self.place(x, y), radius * self.height
        ImageDraw.Draw(self.image).ellipse((cx - size, cy - size, cx + size, cy + size), fill=fill)

    def body(self, profile: Profile, fill: Colour, x: float = 0.0) -> None:
        """A body of revolution: bright on its left, in shade on its right."""
        for left, right, tone in (
            (0.0, 1.0, fill),
            (0.1, 0.32, mix(fill, WHITE, 0.38)),
            (0.6, 1.0, mix(fill, BLACK, 0.2)),
            (0.86, 1.0, mix(fill, BLACK, 0.36)),
        ):
            one = [(x - half + 2 * half * left, y) for y, half in profile]
            other = [(x - half + 2 * half * right, y) for y, half in profile]
            self.shape([*one, *reversed(other)], tone)

    def band(self, profile: Profile, bottom: float, top: float, fill: Colour, x: float = 0.0) -> None:
        """A ring painted round a body."""
        self.body(clip(profile, bottom, top), fill, x)

    def engine(self, x: float, half: float, length: float = 0.02) -> None:
        """A nozzle below the tail."""
        self.body([(-length, half), (0.004, half * 0.5)], (66, 70, 84), x)

    def flame(self, x: float, half: float, length: float, tint: Colour = (255, 138, 48)) -> None:
        """A flame below the tail: its tint outside, white hot inside."""
        layers = ((1.0, 1.0, tint), (0.68, 0.72, (255, 208, 92)), (0.36, 0.42, (255, 250, 226)))
        for width, reach, tone in layers:
            steps = 16
            sides = [
                (half * width * math.cos(math.pi / 2 * (i / steps) ** 1.5), -length * reach * i / steps)
                for i in range(steps + 1)
            ]
            top = -0.012
            self.shape([*((x - w, top + y) for w, y in sides), *((x + w, top + y) for w, y in reversed(sides))], tone)
