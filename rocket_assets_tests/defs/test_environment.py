"""The environment is read once, when the project is loaded."""

from __future__ import annotations

import subprocess
import sys


def test_a_wrong_setting_keeps_the_project_from_loading_and_says_what_fits() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import rocket_assets.definitions"],
        env={"ROCKET_ASSETS_START_DATE": "yesterday"},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "ROCKET_ASSETS_START_DATE is 'yesterday'; what fits is a date such as 1957-10-04." in done.stderr
