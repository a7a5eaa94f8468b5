"""What the rockets look like: one function for each kind of build, in the measures of canvas.Pen.

These are likenesses, not drawings to scale. The sky, the ground and the smoke belong in scenery.py; which rocket has
which build and colours is said in pictures.csv.
"""

from collections.abc import Callable
from dataclasses import dataclass

from rocket_assets.sample_library.canvas import BLACK, WHITE, Colour, Pen, mix, nose, tube

DARK: Colour = (44, 48, 62)
STEEL: Colour = (196, 203, 212)
BLUE_FLAME: Colour = (104, 160, 255)


@dataclass(frozen=True)
class Paint:
    """A rocket's colours: of its body, of its bands and boosters, and of its nose; and how many boosters it has."""

    body: Colour
    accent: Colour
    nose: Colour
    boosters: int = 0


def slender(pen: Pen, paint: Paint) -> None:
    """An early rocket: a thin body with fins that ends in a long point."""
    profile = [*tube(0, 0.5, 0.052), (0.54, 0.036), *tube(0.55, 0.78, 0.036), *nose(0.78, 1, 0.034, 1.5)]
    pen.flame(0, 0.042, 0.26)
    pen.engine(0, 0.034)
    for side in (-1, 1):
        pen.shape(
            [(side * 0.05, 0.15), (side * 0.118, 0.02), (side * 0.118, -0.015), (side * 0.05, 0.02)], paint.accent
        )
    pen.body(profile, paint.body)
    pen.band(profile, 0.78, 1, paint.nose)
    pen.band(profile, 0.5, 0.55, paint.accent)
    pen.band(profile, 0.16, 0.21, paint.accent)
    pen.shape([(-0.008, 0.15), (0.008, 0.15), (0.006, -0.015), (-0.006, -0.015)], mix(paint.accent, BLACK, 0.3))


def staged(pen: Pen, paint: Paint) -> None:
    """A rocket of today: two stages and a fairing, with or without boosters."""
    half = 0.044 if paint.boosters == 0 else 0.05
    profile = [
        *tube(0, 0.7, half),
        *tube(0.72, 0.74, half * 1.14),
        *tube(0.75, 0.87, half * 1.14),
        *nose(0.87, 1, half * 1.14),
    ]
    pen.flame(0, half * 0.85, 0.27)
    offsets = {0: [], 2: [-1.0, 1.0], 4: [-1.0, 1.0, -0.46, 0.46]}[paint.boosters]
    pen.engine(0, half * 0.7)
    behind, front = offsets[:2], offsets[2:]
    for offset in behind:
        _booster(pen, paint, offset * (half + 0.032), 0.03)
    pen.body(profile, paint.body)
    pen.band(profile, 0.745, 0.995, paint.nose)
    pen.band(profile, 0.49, 0.545, paint.accent)
    pen.band(profile, 0.7, 0.722, mix(paint.accent, BLACK, 0.15))
    pen.shape([(0.012, 0.745), (0.014, 0.745), (0.014, 0.9), (0.012, 0.9)], mix(paint.nose, BLACK, 0.25))
    for offset in front:
        _booster(pen, paint, offset * (half + 0.03), 0.027)
    if not offsets:
        for side in (-1, 1):
            pen.shape([(side * half, 0.16), (side * (half + 0.022), 0.03), (side * half, 0.0)], DARK)


def _booster(pen: Pen, paint: Paint, x: float, half: float, top: float = 0.44) -> None:
    profile = [*tube(-0.005, top - 0.08, half), *nose(top - 0.08, top, half, 1.4)]
    pen.flame(x, half * 0.8, 0.22)
    pen.engine(x, half * 0.75, 0.022)
    pen.body(profile, mix(paint.body, WHITE, 0.25), x)
    pen.band(profile, top - 0.085, top, paint.accent, x)
    pen.band(profile, 0.03, 0.05, paint.accent, x)


def reusable(pen: Pen, paint: Paint) -> None:
    """A booster that comes back: dark interstage, folded legs, grid fins; two more such cores make it heavy."""
    half = 0.04
    core = tube(0, 0.64, half)
    profile = [*core, *tube(0.64, 0.79, half), *tube(0.81, 0.9, half * 1.42), *nose(0.9, 1, half * 1.42, 2.4)]
    for x in (-2.12 * half, 2.12 * half) if paint.boosters else ():
        side = [*tube(0, 0.64, half), *nose(0.64, 0.72, half, 1.8)]
        pen.flame(x, half * 0.85, 0.26)
        pen.engine(x, half * 0.7)
        pen.body(side, paint.body, x)
        pen.band(side, 0, 0.07, paint.accent, x)
        pen.band(side, 0.62, 0.66, paint.accent, x)
    pen.flame(0, half * 0.9, 0.3)
    pen.engine(0, half * 0.75)
    pen.body(profile, paint.body)
    pen.band(profile, 0, 0.035, mix(paint.accent, WHITE, 0.15))
    pen.band(profile, 0.6, 0.68, paint.accent)
    pen.band(profile, 0.68, 0.99, paint.nose)
    if not paint.boosters:
        for side in (-1, 1):
            pen.shape([(side * half * 0.9, 0.15), (side * half * 1.5, 0.012), (side * half * 0.9, 0.0)], paint.accent)
            pen.shape(
                [(side * half, 0.61), (side * half * 1.7, 0.615), (side * half * 1.7, 0.65), (side * half, 0.655)], DARK
            )
        pen.shape([(-0.012, 0.16), (0.012, 0.16), (0.017, 0.005), (-0.017, 0.005)], mix(paint.accent, WHITE, 0.12))


def semyorka(pen: Pen, paint: Paint) -> None:
    """The R-7: a core in a skirt of four tapering boosters, and an upper stage."""
    core = [*tube(0, 0.34, 0.034), (0.42, 0.046), *tube(0.48, 0.62, 0.046)]
    upper = [*tube(0.63, 0.78, 0.046), (0.8, 0.056), *tube(0.81, 0.88, 0.056), *nose(0.88, 1, 0.054, 1.7)]
    pen.flame(0, 0.034, 0.25)
    for x in (-0.084, 0.084):
        pen.flame(x, 0.034, 0.22)
        pen.engine(x, 0.028)
    pen.body(core, paint.body)
    for sign in (-1, 1):
        outline = [(sign * 0.118, 0), (sign * 0.05, 0), (sign * 0.03, 0.45), (sign * 0.045, 0.47)]
        lit = mix(paint.body, WHITE, 0.2) if sign < 0 else mix(paint.body, BLACK, 0.22)
        pen.shape(outline, lit)
        pen.shape(
            [(sign * 0.118, 0), (sign * 0.05, 0), (sign * 0.047, 0.07), (sign * 0.107, 0.07)],
            mix(paint.accent, BLACK, 0.0 if sign < 0 else 0.25),
        )
        pen.shape([(sign * 0.118, 0.1), (sign * 0.15, 0.0), (sign * 0.118, -0.005)], DARK)
    front = [(0, 0.036), (0.08, 0.032), (0.42, 0.01), (0.45, 0.002)]
    pen.engine(0, 0.03)
    pen.body(front, mix(paint.body, WHITE, 0.06))
    pen.band(front, 0, 0.07, paint.accent)
    for i in range(4):
        x = -0.046 + i * 0.0235
        pen.shape([(x, 0.615), (x + 0.006, 0.615), (x + 0.0235, 0.635), (x + 0.0175, 0.635)], DARK)
    pen.body(upper, paint.body)
    pen.band(upper, 0.8, 0.995, paint.nose)
    pen.band(upper, 0.7, 0.73, paint.accent)


def moon_rocket(pen: Pen, paint: Paint) -> None:
    """Three white stages, each narrower, with dark panels and an escape tower on top."""
    profile = [
        *tube(0, 0.4, 0.072), *tube(0.42, 0.6, 0.072), (0.64, 0.05), *tube(0.65, 0.78, 0.05),
        (0.84, 0.03), *tube(0.845, 0.9, 0.03), *nose(0.9, 0.94, 0.03, 1.0),
    ]  # fmt: skip
    for x in (-0.045, 0.0, 0.045):
        pen.flame(x, 0.032, 0.27)
        pen.engine(x, 0.024, 0.026)
    for side in (-1, 1):
        pen.shape([(side * 0.07, 0.09), (side * 0.105, 0.0), (side * 0.07, 0.0)], paint.accent)
    pen.body(profile, paint.body)
    for bottom, top in ((0.0, 0.055), (0.16, 0.2), (0.4, 0.425), (0.6, 0.645)):
        pen.band(profile, bottom, top, paint.accent)
    for bottom, top, left, right in (
        (0.2, 0.28, -0.072, -0.036),
        (0.2, 0.28, 0.0, 0.036),
        (0.055, 0.13, -0.036, 0.0),
        (0.055, 0.13, 0.036, 0.072),
    ):
        pen.shape([(left, bottom), (right, bottom), (right, top), (left, top)], paint.accent)
    pen.band(profile, 0.845, 0.938, paint.nose)
    pen.shape([(-0.006, 0.93), (0.006, 0.93), (0.003, 1.0), (-0.003, 1.0)], DARK)


def cone(pen: Pen, paint: Paint) -> None:
    """A great cone of stages on many engines."""
    profile = [
        (0, 0.12),
        (0.3, 0.082),
        (0.33, 0.082),
        (0.52, 0.058),
        (0.55, 0.058),
        (0.66, 0.044),
        *tube(0.68, 0.84, 0.034),
        *nose(0.84, 0.93, 0.034, 1.4),
    ]
    for i in range(5):
        x = -0.092 + i * 0.046
        pen.flame(x, 0.03, 0.24)
        pen.engine(x, 0.018)
    pen.body(profile, paint.body)
    for bottom, top in ((0.3, 0.335), (0.52, 0.555), (0.66, 0.685)):
        pen.band(profile, bottom, top, paint.accent)
    pen.band(profile, 0.0, 0.03, paint.accent)
    pen.band(profile, 0.685, 0.925, paint.nose)
    pen.shape([(-0.004, 0.92), (0.004, 0.92), (0.002, 1.0), (-0.002, 1.0)], DARK)


def shuttle(pen: Pen, paint: Paint) -> None:
    """A winged orbiter on a great tank between two boosters."""
    tank = [*tube(0.06, 0.72, 0.088), *nose(0.72, 0.96, 0.088, 1.7)]
    booster = [(0, 0.048), (0.05, 0.036), *tube(0.06, 0.76, 0.036), *nose(0.76, 0.86, 0.036, 1.2)]
    for x in (-0.126, 0.126):
        pen.flame(x, 0.042, 0.32)
        pen.body(booster, WHITE, x)
        pen.band(booster, 0, 0.05, STEEL, x)
        for height in (0.24, 0.42, 0.6):
            pen.band(booster, height, height + 0.012, mix(WHITE, BLACK, 0.3), x)
    pen.body(tank, paint.accent)
    pen.band(tank, 0.6, 0.7, mix(paint.accent, BLACK, 0.14))
    for x in (-0.026, 0.026):
        pen.flame(x, 0.018, 0.12, BLUE_FLAME)
    for x in (-0.026, 0.026):
        pen.engine(x, 0.02, 0.03)
    for sign in (-1, 1):
        tone = mix(paint.body, BLACK, 0.04 if sign < 0 else 0.2)
        pen.shape(
            [(sign * 0.03, 0.42), (sign * 0.055, 0.3), (sign * 0.165, 0.1), (sign * 0.165, 0.05), (sign * 0.03, 0.035)],
            tone,
        )
        pen.shape(
            [
                (sign * 0.045, 0.36),
                (sign * 0.058, 0.3),
                (sign * 0.168, 0.1),
                (sign * 0.168, 0.085),
                (sign * 0.055, 0.27),
            ],
            DARK,
        )
        pen.shape([(sign * 0.03, 0.035), (sign * 0.165, 0.05), (sign * 0.165, 0.062), (sign * 0.03, 0.05)], DARK)
        pen.body([(0.0, 0.016), *tube(0.03, 0.09, 0.021), *nose(0.09, 0.13, 0.021)], paint.body, sign * 0.036)
    fuselage = [*tube(0.01, 0.42, 0.041), *nose(0.42, 0.535, 0.041, 2.0)]
    pen.body(fuselage, paint.body)
    pen.shape([(0, 0.13), (0, 0.4), (0.0016, 0.4), (0.0016, 0.13)], mix(paint.body, BLACK, 0.3))
    pen.shape([(-0.005, -0.01), (0.005, -0.01), (0.003, 0.16), (-0.003, 0.16)], DARK)
    pen.shape([(-0.026, 0.452), (0.026, 0.452), (0.02, 0.477), (-0.02, 0.477)], DARK)
    pen.dot(0, 0.52, 0.009, DARK)


def starship(pen: Pen, paint: Paint) -> None:
    """Steel from end to end: a booster with grid fins and a ship with four flaps and a dark belly."""
    half = 0.05
    profile = [*tube(0, 0.85, half), *nose(0.85, 1, half, 2.0)]
    pen.flame(0, half * 1.05, 0.36)
    pen.engine(0, half * 0.85, 0.016)
    for sign in (-1, 1):
        pen.shape([(sign * half, 0.665), (sign * 0.082, 0.635), (sign * 0.082, 0.595), (sign * half, 0.58)], DARK)
        pen.shape([(sign * half * 0.9, 0.93), (sign * 0.078, 0.875), (sign * 0.078, 0.85), (sign * half, 0.845)], DARK)
        pen.shape([(sign * half, 0.555), (sign * 0.076, 0.552), (sign * 0.076, 0.535), (sign * half, 0.53)], DARK)
    pen.body(profile, paint.body)
    for height in (0.14, 0.28, 0.42):
        pen.band(profile, height, height + 0.006, mix(paint.body, BLACK, 0.25))
    pen.band(profile, 0.55, 0.575, paint.accent)
    pen.band(profile, 0, 0.03, paint.accent)
    belly = [(0.0, 0.58), (half, 0.58), (half, 0.85)]
    belly += [(h, y) for y, h in nose(0.85, 0.997, half, 2.0)]
    pen.shape([*belly, (0.0, 0.997)], paint.nose)
    pen.shape([(half * 0.7, 0.58), (half, 0.58), (half, 0.85), (half * 0.7, 0.88)], mix(paint.nose, BLACK, 0.4))


def capsule(pen: Pen, paint: Paint) -> None:
    """A short booster with a capsule of large windows."""
    half = 0.1
    booster = [(0.0, half * 0.92), *tube(0.06, 0.56, half), (0.6, half * 0.8), *tube(0.62, 0.66, half * 0.84)]
    cabin = [*tube(0.69, 0.72, half * 0.98), *nose(0.72, 0.93, half * 0.98, 2.2)]
    pen.flame(0, half * 0.5, 0.36, BLUE_FLAME)
    pen.engine(0, half * 0.5, 0.03)
    for sign in (-1, 1):
        pen.shape(
            [
                (sign * half * 0.9, 0.14),
                (sign * half * 1.55, 0.02),
                (sign * half * 1.5, -0.02),
                (sign * half * 0.9, 0.02),
            ],
            paint.accent,
        )
    pen.body(booster, paint.body)
    pen.band(booster, 0.6, 0.66, paint.accent)
    pen.band(booster, 0.2, 0.25, paint.accent)
    pen.body([(0.655, half * 0.5), (0.695, half * 0.5)], DARK)
    pen.body(cabin, paint.nose)
    for x in (-0.054, 0.0, 0.054):
        pen.shape([(x - 0.019, 0.75), (x + 0.019, 0.75), (x + 0.016, 0.82), (x - 0.016, 0.82)], (58, 104, 160))


def winged(pen: Pen, paint: Paint) -> None:
    """A rocket dropped from an aeroplane: a body with a wing and a tail."""
    profile = [*tube(0, 0.78, 0.06), *nose(0.78, 1, 0.06, 1.8)]
    pen.flame(0, 0.046, 0.42)
    pen.engine(0, 0.042, 0.03)
    pen.shape(
        [(-0.05, 0.66), (-0.36, 0.26), (-0.36, 0.2), (0.36, 0.2), (0.36, 0.26), (0.05, 0.66)],
        mix(paint.body, BLACK, 0.22),
    )
    pen.shape([(-0.36, 0.26), (-0.36, 0.2), (0.36, 0.2), (0.36, 0.26), (0.0, 0.27)], paint.accent)
    for sign in (-1, 1):
        pen.shape(
            [(sign * 0.05, 0.13), (sign * 0.17, 0.03), (sign * 0.17, -0.01), (sign * 0.05, 0.01)],
            mix(paint.body, BLACK, 0.3),
        )
    pen.body(profile, paint.body)
    pen.band(profile, 0.78, 0.995, paint.nose)
    pen.band(profile, 0.44, 0.48, paint.accent)
    pen.band(profile, 0.7, 0.72, paint.accent)


BUILDS: dict[str, Callable[[Pen, Paint], None]] = {
    "slender": slender,
    "staged": staged,
    "reusable": reusable,
    "semyorka": semyorka,
    "moon rocket": moon_rocket,
    "cone": cone,
    "shuttle": shuttle,
    "starship": starship,
    "capsule": capsule,
    "winged": winged,
}
"""The builds that pictures.csv may name."""
