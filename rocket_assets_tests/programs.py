"""Programs that are not ours and that some tests need, and where they can listen.

Where one is missing a test says so and is skipped; with ROCKET_ASSETS_SERVERS=required, as in `.ci/run`, it fails.
"""

from __future__ import annotations

import os
import shutil
import socket
from typing import NoReturn

import pytest

HOST = "127.0.0.1"

SAID = "said"
"""The property of a test that is shown at the end of all: what something took."""


def program(name: str, package: str, at: str | None = None) -> str:
    """Where a program is that a package of Debian's brings: in the folders of `at`, or in the PATH."""
    found = shutil.which(name, path=at) or shutil.which(name)
    return found or missing(f"{name} is missing; Debian's package {package} brings it.")


def missing(sentence: str) -> NoReturn:
    """Skip the test, or let it fail, and say what is missing and what brings it."""
    (pytest.fail if os.environ.get("ROCKET_ASSETS_SERVERS") == "required" else pytest.skip)(sentence)
    raise AssertionError(sentence)


def free_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.create_server((HOST, 0)) as free:
        return free.getsockname()[1]
