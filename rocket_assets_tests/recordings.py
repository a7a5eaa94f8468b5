"""Where the recorded answers of the real API are, if they are at hand.

They belong to others and are not part of the project, so a clone has none: what needs them is left out there, and says
so. Whatever the project promises is tested without them, too.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

VARIABLE = "ROCKET_ASSETS_RECORDINGS"
FOLDER = Path(os.environ.get(VARIABLE, ""))

needed = pytest.mark.skipif(
    not os.environ.get(VARIABLE), reason=f"{VARIABLE} names no folder of recorded answers, which belong to others"
)
