"""The archive in the buckets of Microsoft and Google: what it is in a folder, by the same code and the same settings.

What holds of each key is in `test_storage`, for these buckets, too.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rocket_assets.errors import Missing, StorageFailed
from rocket_assets.sample_library.server import LibraryServer
from rocket_assets.settings import Settings
from rocket_assets.storage import Storage
from rocket_assets_tests.clouds import Cloud
from rocket_assets_tests.test_bucket import ACTS, Act, everything
from rocket_assets_tests.test_promises import small

pytestmark = pytest.mark.slow


@pytest.fixture(params=["google", "azure"])
def cloud(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """A server with buckets, of which the environment knows no more than the credentials."""
    cloud: Cloud = request.getfixturevalue(f"{request.param}_server")
    for name, value in cloud.environ.items():
        monkeypatch.setenv(name, value)
    return cloud


@pytest.fixture
def rocket_assets(cloud: Cloud, tmp_path: Path) -> Callable[..., str]:
    """Runs a command as a user does who has all settings in `.env`, on this storage."""

    def run(storage: str, *arguments: str, library: str = "") -> str:
        home = tmp_path / storage.partition(":")[0]
        home.mkdir(exist_ok=True)
        variables = cloud.environ | {
            "ROCKET_ASSETS_API_URL": library,
            "ROCKET_ASSETS_STORAGE": storage,
            "ROCKET_ASSETS_STORAGE_ENDPOINT": cloud.endpoint,
        }
        (home / ".env").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
        command = [str(Path(sys.executable).with_name("rocket-assets")), *arguments]
        done = subprocess.run(command, env={"PATH": ""}, cwd=home, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def opened(cloud: Cloud, uri: str) -> Storage:
    """The bucket by the settings."""
    environ = {"ROCKET_ASSETS_STORAGE": uri, "ROCKET_ASSETS_STORAGE_ENDPOINT": cloud.endpoint}
    return Storage.named_by(Settings.read(environ))


def test_days_with_their_gallery_and_table_are_in_a_bucket_what_they_are_in_a_folder(
    cloud: Cloud, rocket_assets: Callable[..., str], tmp_path: Path
) -> None:
    """To the last bit; and a second time nothing is written, which would give it another tag."""
    uri = f"{cloud.make_bucket()}/archive"
    days = ("backfill", "2024-12-03", "2024-12-06")
    with LibraryServer(picture=small) as library:
        for storage in ("folder", uri):
            said = rocket_assets(storage, *days, library=library.url)
            assert "4 days brought: " in said
        bucket = opened(cloud, uri)
        once = {found.key: found for found in bucket.list()}
        assert {key.split("/")[0] for key in once} == {"launches", "images", "pool", "gallery", "table"}
        assert everything(bucket) == everything(Storage(str(tmp_path / "folder" / "folder")))
        rocket_assets(uri, *days, library=library.url)
    assert {found.key: found for found in bucket.list()} == once
    rocket_assets(uri, "verify", "--level", "full")


@pytest.mark.parametrize("act", [ACTS["make sure"], ACTS["read"], ACTS["list"], ACTS["delete"]])
def test_a_bucket_that_is_not_there_is_an_error_and_not_a_missing_key(cloud: Cloud, act: Act) -> None:
    scheme = cloud.make_bucket().partition(":")[0]
    with pytest.raises(StorageFailed, match="Make that bucket, or name another in ROCKET_ASSETS_STORAGE") as raised:
        act(opened(cloud, f"{scheme}://no-such-bucket/archive"))
    assert not isinstance(raised.value, Missing)


@pytest.mark.parametrize("act", ACTS.values(), ids=list(ACTS))
def test_credentials_that_are_none_are_an_error_that_names_the_variables_and_shows_nothing_of_them(
    cloud: Cloud, act: Act, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = cloud.make_bucket()
    for name, value in cloud.wrong.items():
        monkeypatch.setenv(name, value)
    variables = f"{next(iter(cloud.wrong)).partition('_')[0]}_…"
    with pytest.raises(
        StorageFailed, match=f"Are the credentials in the variables {variables} right, and may"
    ) as raised:
        act(opened(cloud, uri))
    secrets = {*cloud.environ.values(), *cloud.wrong.values()} - {"rockets"}
    assert not [secret for secret in secrets if secret in str(raised.value) + repr(raised.value)]
