"""The pictures of the README, which tests take of the pages that they look at if ROCKET_ASSETS_SCREENSHOTS is set."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import FloatRect, Page

_SCALE = 2

_GROUNDS = [bytes.fromhex(colour) for colour in ("ffffff", "000000", "f7f8f9", "fbfaf8", "131312")]
"""What pages are painted on, to be met exactly."""

_NEARLY = 6


def folder() -> Path | None:
    """Where pictures go, if any are taken."""
    return Path(name) if (name := os.environ.get("ROCKET_ASSETS_SCREENSHOTS")) else None


def scale() -> int:
    """How many dots a pixel of a page has: two in a picture, which is shown at half its size and stays sharp."""
    return _SCALE if folder() else 1


def keep(page: Page, name: str, clip: FloatRect | None = None) -> None:
    """Take a picture of a page, or of a part of it, if pictures are taken."""
    if not (into := folder()):
        return
    # The pointer stands on what was clicked last, and would light it up.
    page.mouse.move(0, 0)
    part: dict[str, Any] = {"clip": clip, "full_page": True} if clip else {}
    taken = Image.open(io.BytesIO(page.screenshot(animations="disabled", caret="hide", **part))).convert("RGB")
    # As many colours as a palette holds are enough if they are dithered, and need a third of the bytes.
    palette = taken.quantize(256 - len(_GROUNDS), Image.Quantize.MEDIANCUT, kmeans=2)
    palette.putpalette([*(palette.getpalette() or ()), *b"".join(_GROUNDS)])
    taken.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).save(into / name, optimize=True)


def _exact(colour: bytes) -> bytes:
    """A colour, or the one of the grounds that it nearly is."""
    near = (ground for ground in _GROUNDS if all(abs(a - b) <= _NEARLY for a, b in zip(ground, colour, strict=True)))
    return next(near, colour)


def around(*boxes: FloatRect | None, margin: float = 0) -> FloatRect:
    """The part of a page that holds all these, and a margin."""
    known = [box for box in boxes if box]
    left, top = min(box["x"] for box in known) - margin, min(box["y"] for box in known) - margin
    right = max(box["x"] + box["width"] for box in known) + margin
    bottom = max(box["y"] + box["height"] for box in known) + margin
    return {"x": left, "y": top, "width": right - left, "height": bottom - top}
