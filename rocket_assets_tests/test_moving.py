"""An archive is moved into a bucket as `docs/moving.md` says, word for word, and copied as `docs/operating.md` does."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from rocket_assets.sample_library.server import LibraryServer
from rocket_assets.storage import Storage
from rocket_assets_tests.bucket import S3
from rocket_assets_tests.programs import program
from rocket_assets_tests.test_bucket import everything
from rocket_assets_tests.test_promises import bring, small

PAGE = (Path(__file__).parents[1] / "docs" / "moving.md").read_text()
BLOCKS = [textwrap.dedent(block) for block in re.findall(r"(?:^(?:    .*)?\n)+", PAGE, re.MULTILINE)]
EXPORTS = re.findall(r"^ +(export .*)$", PAGE, re.MULTILINE)
PLAIN, VERIFY, SPARING, COPIES, BACK = (
    next(block for block in BLOCKS if word in block)
    for word in ("--exclude", "rocket-assets verify", "--filter", "python", "bucket:rockets/archive data")
)

Shell = Callable[..., str]


@pytest.fixture
def folder(tmp_path: Path) -> Storage:
    """Days of which some show the same picture, and what only a folder has."""
    storage = Storage(str(tmp_path / "data"))
    with LibraryServer(picture=small) as library:
        bring(library, storage)
    (tmp_path / "data" / ".writable").write_bytes(b"")
    (tmp_path / "data" / "launches" / "2024" / "2024-12-05.json#123").write_bytes(b"half")
    return storage


@pytest.fixture
def bucket(s3: S3) -> Storage:
    """The bucket that the page speaks of, empty."""
    requests.put(f"http://127.0.0.1:{s3.port}/rockets", timeout=10).raise_for_status()
    storage = Storage("s3://rockets/archive")
    storage.delete([found.key for found in storage.list()])
    s3.requests.clear()
    return storage


@pytest.fixture
def shell(s3: S3, tmp_path: Path) -> Shell:
    """Runs what the page says, with the credentials and the endpoint set."""
    program("rclone", "rclone")
    endpoint = f"http://127.0.0.1:{s3.port}"
    environ = s3.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "RCLONE_CONFIG_BUCKET_ENDPOINT": endpoint,
        "ROCKET_ASSETS_STORAGE_ENDPOINT": endpoint,
    }

    def run(*blocks: str) -> str:
        done = subprocess.run(
            ["sh", "-e"],
            input="\n".join([*EXPORTS, *blocks]),
            env=environ,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def sent(s3: S3) -> int:
    """How many pictures were sent over the network."""
    return sum(
        one.startswith("PUT") and not one.copies and "/pool/by-url/" not in one and not one.endswith(".json")
        for one in s3.requests
    )


def distinct(folder: Storage) -> int:
    return sum(not found.key.endswith(".json") for found in folder.list("pool/"))


def archived(storage: Storage) -> dict[str, bytes]:
    """What belongs to the archive, and not to the folder in which it is."""
    return {key: body for key, body in everything(storage).items() if key != ".writable"}


def test_a_copy_of_the_folder_is_the_archive_in_the_bucket_and_a_second_one_sends_nothing(
    shell: Shell, folder: Storage, bucket: Storage, s3: S3
) -> None:
    shell(PLAIN)
    assert everything(bucket) == archived(folder)
    assert sent(s3) > distinct(folder)
    assert "no problems" in shell(VERIFY)
    s3.requests.clear()
    shell(PLAIN)
    assert not [one for one in s3.requests if one.startswith("PUT")]


def test_on_a_slow_line_each_picture_is_sent_once(shell: Shell, folder: Storage, bucket: Storage, s3: S3) -> None:
    shell(SPARING, COPIES)
    assert sent(s3) == distinct(folder)
    assert everything(bucket) == archived(folder)
    assert "no problems" in shell(VERIFY)


def test_the_way_back_is_the_same(shell: Shell, folder: Storage, bucket: Storage, tmp_path: Path) -> None:
    shell(PLAIN)
    shutil.rmtree(tmp_path / "data")
    shell(BACK)
    assert everything(Storage(folder.uri)) == everything(bucket) != {}


def test_a_copy_of_a_folder_takes_no_more_room_than_it(folder: Storage, tmp_path: Path) -> None:
    page = Path(__file__).parents[1] / "docs" / "operating.md"
    (command,) = re.findall(r"^    (cp .*)$", page.read_text(), re.MULTILINE)
    subprocess.run(["sh", "-ec", command], cwd=tmp_path, check=True)
    copy = Storage(str(tmp_path / "COPY"))
    assert everything(copy) == everything(folder)
    assert files(tmp_path / "COPY") == files(tmp_path / "data") < len(everything(folder))


def files(folder: Path) -> int:
    """How many there are, each under all its names."""
    return len({path.stat().st_ino for path in folder.rglob("*") if path.is_file()})
