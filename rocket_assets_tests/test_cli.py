"""The commands, as a person starts them: in a process of their own, by their exit codes and what they say."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from rocket_assets.archive import Archive
from rocket_assets.sample_library.server import LibraryServer
from rocket_assets.settings import ALL, API_TOKEN, API_URL, DAYS_AHEAD, END_DATE, NOTIFY, START_DATE
from rocket_assets.storage import Storage, images_folder
from rocket_assets_tests.bucket import S3
from rocket_assets_tests.project import tree
from rocket_assets_tests.scripted_server import JSON, Answer, Request, ScriptedServer
from rocket_assets_tests.test_images import picture, with_a_flipped_bit

COMMAND = str(Path(sys.executable).with_name("rocket-assets"))
DAGSTER_YAML = Path(__file__).parents[1] / "dagster.yaml"

PROGRESS = re.compile(r"[\d,]+ of [\d,]+ days in \d+:\d\d:\d\d(, .+ left)?: .+")
"""What a command says on the way, every ten seconds."""

THREE_DAYS = ("2024-12-03", "2024-12-05")

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def sample_library() -> Iterator[LibraryServer]:
    """The sample library at an address that stays, so that one test can go on with what was brought for another."""
    with LibraryServer() as server:
        yield server


@pytest.fixture
def command(tmp_path: Path, sample_library: LibraryServer) -> Command:
    """Runs `rocket-assets` in an empty folder, against the sample library."""

    def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        path = f"{Path(COMMAND).parent}:{os.environ['PATH']}"
        env = {"PATH": path, "ROCKET_ASSETS_API_URL": sample_library.url, **environ}
        return subprocess.run([COMMAND, *arguments], env=env, cwd=tmp_path, capture_output=True, text=True)

    return run


@pytest.fixture(scope="module")
def three_days(tmp_path_factory: pytest.TempPathFactory, sample_library: LibraryServer) -> Path:
    """A folder in which the command has brought three days."""
    folder = tmp_path_factory.mktemp("brought")
    env = {"PATH": os.environ["PATH"], "ROCKET_ASSETS_API_URL": sample_library.url}
    subprocess.run([COMMAND, "backfill", *THREE_DAYS], env=env, cwd=folder, capture_output=True, check=True)
    return folder


@pytest.fixture
def brought(three_days: Path, tmp_path: Path) -> None:
    """The folder of a test in which the command has brought three days."""
    # As no function of Python's does, it lets the same file under two names be the same file again.
    subprocess.run(["cp", "-a", f"{three_days}/.", tmp_path], check=True)


def test_a_backfill_brings_the_days_and_says_what_is_where(command: Command, tmp_path: Path) -> None:
    done = command("backfill", "2024-12-01", "2024-12-14")
    assert done.returncode == 0, done.stderr
    assert re.match(r"14 days brought: 14 launches, 13 pictures \(.* fetched, .* kept\), 1 API request\.", done.stdout)
    assert str(tmp_path / "data/launches") in done.stdout
    assert str(tmp_path / "data/images") in done.stdout
    archive = Archive(Storage(str(tmp_path / "data")))
    assert sum(len(archive.read_launches(date(2024, 12, day))) for day in range(1, 15)) == 14
    assert [line for line in done.stderr.splitlines() if not PROGRESS.fullmatch(line)] == []


@pytest.mark.usefixtures("brought")
def test_a_second_backfill_changes_no_byte_and_fetches_no_picture(
    command: Command, sample_library: LibraryServer, tmp_path: Path
) -> None:
    stored, asked = tree(tmp_path / "data"), len(sample_library.picture_requests)
    done = command("backfill", *THREE_DAYS)
    assert "(nothing fetched" in done.stdout
    assert tree(tmp_path / "data") == stored
    assert {request.status for request in sample_library.picture_requests[asked:]} == {304}


@pytest.mark.usefixtures("brought")
def test_only_missing_leaves_out_what_stands_and_mends_what_is_gone(
    command: Command, sample_library: LibraryServer, tmp_path: Path
) -> None:
    stored = tree(tmp_path / "data")
    asked = len(sample_library.requests)
    assert command("backfill", *THREE_DAYS, "--only-missing").stdout.startswith("Nothing is missing")
    assert len(sample_library.requests) == asked
    (tmp_path / "data/launches/2024/2024-12-04.json").unlink()
    assert command("backfill", *THREE_DAYS, "--only-missing").stdout.startswith("1 day brought")
    assert tree(tmp_path / "data") == stored


def test_a_backfill_can_bring_one_asset_alone(command: Command, tmp_path: Path) -> None:
    assert command("backfill", "2024-12-05", "2024-12-05", "--assets", "launches").returncode == 0
    assert {path.split("/")[0] for path in tree(tmp_path / "data")} == {"launches"}
    assert command("backfill", "2024-12-05", "2024-12-05", "--assets", "launch_images").returncode == 0
    assert (tmp_path / "data/images/2024/2024-12-05/manifest.json").exists()


def test_it_is_recorded_in_the_instance_that_the_ui_shows(command: Command, tmp_path: Path) -> None:
    command("backfill", "2024-12-05", "2024-12-06")
    code = """
import dagster as dg
with dg.DagsterInstance.get() as instance:
    for run in instance.get_runs():
        print(run.job_name, run.status.value, run.asset_selection)
    print(sorted(instance.get_materialized_partitions(dg.AssetKey("launch_images"))))
"""
    env = {"DAGSTER_HOME": str(tmp_path / ".dagster")}
    shown = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
    assert shown.count("__ASSET_JOB SUCCESS") == 5
    assert "['2024-12-05', '2024-12-06']" in shown


def test_a_repaired_picture_is_shown_again(command: Command, tmp_path: Path) -> None:
    """The month was made while its picture was damaged; the record of its day is as before."""
    days = ("2024-12-04", "2024-12-05")
    command("backfill", *days)
    data = tmp_path / "data"
    stored = tree(data)
    # One that neither its folder nor the gallery has any more.
    (thumbnail, *_) = sorted((data / "gallery/thumbnails").rglob("*.webp"))
    (pooled,) = (data / "pool").rglob(f"{thumbnail.stem}.*")
    thumbnail.unlink()
    pooled.unlink()
    command("backfill", *days, "--assets", "launch_gallery")
    assert tree(data / "gallery") != {key.removeprefix("gallery/"): body for key, body in stored.items()}
    assert command("verify", "--level", "full", "--repair").returncode == 0
    assert tree(data) == stored


def test_the_months_of_its_days_are_made_with_the_index_of_the_gallery(command: Command, tmp_path: Path) -> None:
    done = command("backfill", "2024-11-30", "2024-12-02")
    data = tmp_path / "data"
    made = {path.relative_to(data).as_posix() for path in data.rglob("*") if path.suffix in (".html", ".parquet")}
    assert made == {
        *("gallery/index.html", "gallery/next.html", "gallery/2024/2024-11.html", "gallery/2024/2024-12.html"),
        *("table/2024/2024-11.parquet", "table/2024/2024-12.parquet"),
    }
    assert done.stdout.endswith(
        f"Table:    {data}/table (2 months made)\nGallery:  {data}/gallery/index.html (2 months made)\n"
    )


def test_only_missing_makes_what_is_not_there_or_not_of_these_days(command: Command, tmp_path: Path) -> None:
    command("backfill", "2024-11-30", "2024-12-02")
    data = tmp_path / "data"
    stored = tree(data)
    again = ("backfill", "2024-11-30", "2024-12-02", "--only-missing")
    assert command(*again).stdout.startswith("Nothing is missing")
    for lost in ("table/2024/2024-11.parquet", "gallery/2024/2024-12.json", "gallery/2024/2024-12.html"):
        (data / lost).unlink()
    command(*again)
    assert tree(data) == stored
    for lost in ("gallery/2024/2024-11.html", "gallery/index.html"):
        (data / lost).unlink()
    command(*again)
    assert tree(data) == stored
    command("backfill", "2024-12-03", "2024-12-03", "--assets", "launches,launch_images")
    command(*again)
    assert "3 of the 31 days" in (data / "gallery/2024/2024-12.html").read_text()


def test_months_of_which_no_day_was_brought_are_not_made(command: Command) -> None:
    done = command("backfill", "2024-08-01", "2024-08-31", "--assets", "launch_gallery")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: No day of these months has its pictures on record: bring launches and")


def test_what_is_made_of_days_can_be_left_out(command: Command, tmp_path: Path) -> None:
    done = command("backfill", "2024-12-04", "2024-12-05", "--assets", "launches,launch_images")
    assert done.returncode == 0
    assert sorted(path.name for path in (tmp_path / "data").iterdir() if path.is_dir()) == [
        "images",
        "launches",
        "pool",
    ]


@pytest.mark.parametrize(
    ("arguments", "environ", "code", "said"),
    [
        (["backfill", "2024-13-01", "2024-12-14"], {}, 2, "'2024-13-01' is not a day. Write it as 2024-12-05"),
        (["backfill", "tomorrow", "2024-12-14"], {}, 2, "'tomorrow' is not a day."),
        (["backfill", "2024-12-14", "2024-12-01"], {}, 2, "END (2024-12-01) is before START (2024-12-14)."),
        (["backfill", "1957-10-03", "1957-10-04"], {}, 2, "1957-10-03 has no partition: they go from 1957-10-04"),
        (["backfill", "2024-12-01", "2999-01-01"], {}, 2, "ROCKET_ASSETS_DAYS_AHEAD"),
        (["backfill", "2024-12-01"], {}, 2, "Missing argument 'END'"),
        (["backfill", "2024-12-01", "2024-12-01", "--assets", "moons"], {}, 2, "launch_gallery, launch_table"),
        (
            ["backfill", "2024-12-01", "2024-12-01"],
            {"ROCKET_ASSETS_API_URL": "ftp://example.org/"},
            2,
            "ROCKET_ASSETS_API_URL is 'ftp://example.org/'",
        ),
        (["backfill", "2024-12-01", "2024-12-01"], {"ROCKET_ASSETS_DAYS_AHEAD": "many"}, 2, "ROCKET_ASSETS_DAYS_AHEAD"),
        (
            ["backfill", "2024-12-01", "2024-12-01"],
            {"ROCKET_ASSETS_STORAGE": "file/below"},
            1,
            "Is ROCKET_ASSETS_STORAGE right",
        ),
        (
            ["backfill", "2024-12-01", "2024-12-01"],
            {"DAGSTER_HOME": "relative", "ROCKET_ASSETS_STORAGE": "memory://"},
            2,
            "DAGSTER_HOME is 'relative'",
        ),
        (["verify"], {"ROCKET_ASSETS_STORAGE": "no/such/folder"}, 1, "Is ROCKET_ASSETS_STORAGE right"),
        (["verify"], {"ROCKET_ASSETS_STORAGE": "memory://"}, 1, "holds no day that could be looked at"),
        (["verify", "2024-12-01"], {}, 2, "Name both START and END, or neither."),
        (["settings"], {"ROCKET_ASSETS_POLL_SECONDS": "abc"}, 2, "POLL_SECONDS is 'abc'; what fits is a whole number"),
        (["settings"], {"DAGSTER_HOME": "/no/such/folder"}, 2, "DAGSTER_HOME is '/no/such/folder'"),
        (["sample-library", "--", "no-such-command"], {}, 2, "no-such-command cannot be run"),
        (["gallery", "--", "dagster", "dev"], {}, 2, "name its --port, too"),
        (["gallery", "--port", "70000"], {}, 2, "70000 is not in the range"),
        (["gallery", "--host", "0.0.0.0"], {}, 2, "name its --port, too"),  # noqa: S104 - nothing listens there
        (["gallery"], {"ROCKET_ASSETS_GALLERY_URL": "here"}, 2, "ROCKET_ASSETS_GALLERY_URL is 'here'; what fits is"),
        (["sample-library", "--story", "--throttle", "15"], {}, 2, "--throttle counts real hours"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_use_is_a_sentence_and_loses_nothing(
    command: Command, tmp_path: Path, arguments: list[str], environ: dict[str, str], code: int, said: str
) -> None:
    (tmp_path / "file").write_text("no folder")
    done = command(*arguments, **environ)
    assert done.returncode == code, done.stderr
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_api_that_is_not_there_ends_the_backfill_with_what_to_try(command: Command) -> None:
    done = command("backfill", "2024-12-01", "2024-12-02", ROCKET_ASSETS_API_URL="http://127.0.0.1:9/2.3.0/")
    assert done.returncode == 1
    assert "Connection refused. Is the network up, and is ROCKET_ASSETS_API_URL the right address?" in done.stderr
    lack = "of 2 the launches did not come; of 2 the launch_images did not come"
    assert f"2 days do not stand yet, 2024-12-01 the first; {lack}." in done.stderr
    assert "--only-missing" in done.stderr


def test_a_refused_picture_is_named_and_the_exit_code_is_0(command: Command) -> None:
    def script(request: Request) -> Answer:
        row = b'{"id": "id-1", "name": "Sputnik", "net": "2024-12-01T00:00:00Z", "image": "http://%s/a.jpg"}'
        if request.path.startswith("/2.2.0/launch/"):
            rows = row % request.headers["host"].encode()
            return Answer(200, b'{"count": 1, "next": null, "results": [' + rows + b"]}", JSON)
        return Answer(200, b"<html>No picture here</html>", "image/jpeg")

    with ScriptedServer(script) as server:
        done = command("backfill", "2024-12-01", "2024-12-01", ROCKET_ASSETS_API_URL=server.url("/2.2.0/"))
    assert done.returncode == 0, done.stderr
    assert "1 address gave no picture." in done.stderr
    assert "2024-12-01 Sputnik: http://127.0.0.1" in done.stderr
    assert "No picture here" in done.stderr


def test_a_refused_row_is_named_and_the_exit_code_is_0(command: Command) -> None:
    good, bad = (
        f'{{"id": "id-{n}", "name": "Sputnik", "net": "{net}"}}' for n, net in ((1, "2024-12-01"), (2, "soon"))
    )
    page = f'{{"count": 2, "next": null, "results": [{good}, {bad}]}}'.encode()
    with ScriptedServer(lambda _: Answer(200, page, JSON)) as server:
        done = command("backfill", "2024-12-01", "2024-12-01", ROCKET_ASSETS_API_URL=server.url("/2.2.0/"))
    assert done.returncode == 0, done.stderr
    assert "1 launch, 0 pictures" in done.stdout
    assert "1 row of the Launch Library could not be read." in done.stderr
    assert "2024-12-01: launch id-2 with a net that is no time: 'soon'" in done.stderr


def test_ctrl_c_leaves_everything_whole_and_says_how_to_go_on(tmp_path: Path, sample_library: LibraryServer) -> None:
    with LibraryServer(latency=0.3) as slow:
        env = {"PATH": os.environ["PATH"], "ROCKET_ASSETS_API_URL": slow.url}
        arguments = [COMMAND, "backfill", "1957-10-04", "1957-11-04"]
        started = subprocess.Popen(
            arguments, env=env, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        give_up = time.monotonic() + 60
        while not slow.picture_requests and time.monotonic() < give_up:
            time.sleep(0.02)
        started.send_signal(signal.SIGINT)
        said, errors = started.communicate(timeout=30)
        assert started.returncode == 130, errors
        assert "Stopped by Ctrl-C." in said
        assert "--only-missing" in errors
        assert "Traceback" not in errors
        assert subprocess.run([*arguments, "--only-missing"], env=env, cwd=tmp_path, check=True)
        unbroken = tmp_path / "unbroken"
        unbroken.mkdir()
        assert subprocess.run(arguments, env={**env, "DAGSTER_HOME": str(unbroken)}, cwd=unbroken, check=True)
    assert tree(tmp_path / "data") == tree(unbroken / "data")


def test_a_killed_backfill_holds_nothing_up_and_the_next_one_ends_the_same(tmp_path: Path) -> None:
    """Killed while it asks the API, its run still has the pool's only slot on record."""
    with LibraryServer(latency=1.0) as slow:
        env = {"PATH": os.environ["PATH"], "ROCKET_ASSETS_API_URL": slow.url}
        arguments = [COMMAND, "backfill", "2024-12-05", "2024-12-06"]
        started = subprocess.Popen(arguments, env=env, cwd=tmp_path, stderr=subprocess.DEVNULL)
        give_up = time.monotonic() + 60
        while not (tmp_path / "data/launches").exists() and time.monotonic() < give_up:
            if _claimed_slots(tmp_path):
                break
            time.sleep(0.05)
        started.kill()
        started.wait()
        assert _claimed_slots(tmp_path) == 1
        done = subprocess.run(arguments, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert _claimed_slots(tmp_path) == 0
    assert (tmp_path / "data/launches/2024/2024-12-06.json").exists()


def _claimed_slots(folder: Path) -> int:
    database = folder / ".dagster/history/runs/index.db"
    if not database.exists():
        return 0
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        try:
            return connection.execute("SELECT count(*) FROM concurrency_slots WHERE run_id IS NOT NULL").fetchone()[0]
        except sqlite3.OperationalError:
            return 0


NOTHING = Answer(200, b'{"count": 0, "next": null, "results": []}', JSON)
"""A page without launches."""


def test_at_the_throttle_it_says_until_when_and_goes_on(command: Command) -> None:
    answers = iter([Answer(429, b"", JSON, {"Retry-After": "1"})])

    def script(request: Request) -> Answer:
        return Answer(404) if "api-throttle" in request.path else next(answers, NOTHING)

    with ScriptedServer(script) as server:
        done = command("backfill", "2024-12-01", "2024-12-03", ROCKET_ASSETS_API_URL=server.url("/2.3.0/"))
        asked = [urlsplit(request.path).path for request in server.requests]
    assert done.returncode == 0, done.stderr
    until = r"going on at [\d -]*\d\d:\d\d:\d\d UTC\."
    assert re.search(rf"The throttle of the Launch Library is reached; {until}", done.stderr)
    assert done.stdout.startswith("3 days brought")
    # What a library says nothing of it is not asked again.
    assert asked == ["/2.3.0/api-throttle/", "/2.3.0/launches/", "/2.3.0/launches/"]


def test_the_throttle_is_asked_once_a_run_of_launches_and_never_for_what_does_not_ask_the_library(
    command: Command, sample_library: LibraryServer
) -> None:
    def asked(*assets: str) -> list[str]:
        before = len(sample_library.api_requests)
        assert command("backfill", "2024-12-04", "2024-12-05", "--assets", ",".join(assets)).returncode == 0
        return [urlsplit(request.path).path.split("/")[2] for request in sample_library.api_requests[before:]]

    assert asked("launches") == ["api-throttle", "launches"]
    assert asked("launch_images", "launch_gallery", "launch_table") == []


def test_a_throttle_that_answers_nothing_costs_some_seconds_and_no_more(command: Command) -> None:
    def script(request: Request) -> Answer:
        return Answer(silent=600) if "api-throttle" in request.path else NOTHING

    with ScriptedServer(script) as server:
        began = time.monotonic()
        done = command("backfill", "2024-12-01", "2024-12-03", ROCKET_ASSETS_API_URL=server.url("/2.3.0/"))
        assert time.monotonic() - began < 60
    assert done.returncode == 0, done.stderr
    nothing = "0 launches, 0 pictures (nothing fetched, nothing kept)"
    assert done.stdout.startswith(f"3 days brought: {nothing}, 1 API request")


def test_ctrl_c_ends_a_wait_for_the_throttle_at_once(tmp_path: Path) -> None:
    with ScriptedServer(lambda _: Answer(429, b"", JSON, {"Retry-After": "600"})) as server:
        env = {"PATH": os.environ["PATH"], "ROCKET_ASSETS_API_URL": server.url("/2.3.0/")}
        started = subprocess.Popen(
            [COMMAND, "backfill", "2024-12-01", "2024-12-03"], env=env, cwd=tmp_path, stderr=subprocess.PIPE, text=True
        )
        assert started.stderr
        assert any("going on at" in line for line in started.stderr)
        started.send_signal(signal.SIGINT)
        _, errors = started.communicate(timeout=10)
    assert started.returncode == 130
    assert "backfill 2024-12-01 2024-12-03 --only-missing" in errors


@pytest.mark.usefixtures("brought")
def test_it_says_how_to_bring_again_what_stood_before(command: Command) -> None:
    """--only-missing would pass over days that are on record, so it is not what is advised."""
    done = command("backfill", *THREE_DAYS, ROCKET_ASSETS_API_URL="http://127.0.0.1:9/2.3.0/")
    assert done.returncode == 1
    assert done.stderr.endswith("To go on: rocket-assets backfill 2024-12-03 2024-12-05\n")


def test_without_a_dagster_home_it_makes_one_with_the_settings_of_the_project(command: Command, tmp_path: Path) -> None:
    """Without them there would be no limit of one request at a time."""
    command("backfill", "2024-12-01", "2024-12-01")
    assert (tmp_path / ".dagster/dagster.yaml").read_bytes() == DAGSTER_YAML.read_bytes()


@pytest.mark.parametrize("home", [".dagster", ".demo/dagster"])
def test_a_home_of_ours_follows_the_project_and_what_it_was_is_kept(
    command: Command, tmp_path: Path, home: str
) -> None:
    file = tmp_path / home / "dagster.yaml"
    environ = {"DAGSTER_HOME": str(file.parent)}
    assert (command("settings", **environ).stderr, file.read_bytes()) == ("", DAGSTER_YAML.read_bytes())
    file.write_text("# of an earlier version")
    done = command("settings", **environ)
    assert done.stderr == f"{file} was not that of this version: it is now, and the former is dagster.yaml.old.\n"
    assert file.read_bytes() == DAGSTER_YAML.read_bytes()
    assert file.with_name("dagster.yaml.old").read_text() == "# of an earlier version"
    assert command("settings", **environ).stderr == ""


def test_a_home_of_ones_own_gets_settings_where_it_has_none_and_keeps_those_it_has(
    command: Command, tmp_path: Path
) -> None:
    assert command("settings", DAGSTER_HOME=str(tmp_path)).stderr == ""
    assert (tmp_path / "dagster.yaml").read_bytes() == DAGSTER_YAML.read_bytes()
    (tmp_path / "dagster.yaml").write_text("# mine")
    assert command("settings", DAGSTER_HOME=str(tmp_path)).stderr == ""
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("dagster.yaml", "# mine")]


def test_the_settings_in_force_are_shown_and_no_secret_is(command: Command, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ROCKET_ASSETS_API_TOKEN=hush\nROCKET_ASSETS_DAYS_AHEAD=0\n")
    given = {API_URL, API_TOKEN, DAYS_AHEAD, NOTIFY}
    done = command("settings", ROCKET_ASSETS_NOTIFY="json://me:hush@localhost")
    shown = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert list(shown) == [*(setting.name for setting in ALL), "DAGSTER_HOME"]
    assert shown["ROCKET_ASSETS_API_TOKEN"] == shown["ROCKET_ASSETS_NOTIFY"] == "(set)"
    assert shown["ROCKET_ASSETS_DAYS_AHEAD"] == "0"
    others = {setting.name: setting.default or "none" for setting in ALL if setting not in given}
    assert others.items() <= shown.items()
    assert shown["DAGSTER_HOME"] == str(tmp_path / ".dagster")
    assert "hush" not in done.stdout + done.stderr


def test_it_is_said_where_dagster_would_take_another_value(command: Command, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ROCKET_ASSETS_POLL_SECONDS=60\nROCKET_ASSETS_STORAGE=there\n")
    said = command("settings", ROCKET_ASSETS_POLL_SECONDS="30", ROCKET_ASSETS_STORAGE="there").stdout
    assert re.search(r"^ROCKET_ASSETS_POLL_SECONDS +30$", said, re.MULTILINE)
    assert said.splitlines()[-1].startswith("ROCKET_ASSETS_POLL_SECONDS is another in .env.")
    assert "ROCKET_ASSETS_STORAGE is another" not in said


@pytest.mark.usefixtures("brought")
def test_verify_says_that_all_is_well(command: Command) -> None:
    for level in ("quick", "full"):
        done = command("verify", "--level", level)
        assert (done.returncode, done.stdout) == (0, f"3 days and 9 pictures looked at ({level}): no problems.\n")


@pytest.mark.usefixtures("brought")
def test_verify_names_what_is_wrong(command: Command, tmp_path: Path) -> None:
    (missing, *_) = (tmp_path / "data" / images_folder(date(2024, 12, 4))).glob("*.png")
    missing.unlink()
    done = command("verify")
    assert done.returncode == 1
    assert f"{missing.name} is missing." in done.stdout
    assert command("verify", "2024-12-03", "2024-12-03").returncode == 0


def _damage(data: Path) -> None:
    """A day without its launches, one without its manifest, and a flipped bit in a picture."""
    (data / "launches/2024/2024-12-03.json").unlink()
    (data / images_folder(date(2024, 12, 5)) / "manifest.json").unlink()
    (flipped, *_) = sorted((data / images_folder(date(2024, 12, 4))).glob("*.png"))
    body = bytearray(flipped.read_bytes())
    body[100] ^= 1
    flipped.write_bytes(body)


def test_verify_repairs_what_is_damaged_and_is_on_record(
    command: Command, sample_library: LibraryServer, tmp_path: Path
) -> None:
    command("backfill", "2024-12-01", "2024-12-06")
    data = tmp_path / "data"
    stored, asked = tree(data), len(sample_library.api_requests)
    _damage(data)
    (data / "launches/2024/2024-12-06.json#1").write_text("half")
    done = command("verify", "--level", "full", "--repair")
    assert done.returncode == 0, done.stderr
    assert "2024-12-03.json is missing or empty" in done.stdout
    assert done.stdout.endswith("All of it is mended.\n")
    assert tree(data) == stored
    assert len(sample_library.api_requests) == asked + 1
    assert command("verify", "--level", "full", "--repair").stdout.endswith("looked at (full): no problems.\n")
    code = """
import dagster as dg
with dg.DagsterInstance.get() as instance:
    for run in instance.get_runs(limit=5):
        (asset,), tags = run.asset_selection, run.tags
        print(asset.to_user_string(), tags.get("dagster/asset_partition_range_start"), run.status.value)
"""
    env = {"DAGSTER_HOME": str(tmp_path / ".dagster")}
    shown = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
    assert sorted(shown.splitlines()) == [
        "gallery_index None SUCCESS",
        "launch_gallery 2024-12-01 SUCCESS",
        "launch_images 2024-12-03 SUCCESS",
        "launch_table 2024-12-01 SUCCESS",
        "launches 2024-12-03 SUCCESS",
    ]


@pytest.mark.usefixtures("brought")
@pytest.mark.parametrize("place", ["the PATH", "here", "elsewhere"])
def test_what_it_advises_can_be_typed_and_is_about_what_was_looked_at(
    place: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As a copy of the archive, which is looked at by the way."""
    (tmp_path / "data").rename(tmp_path / "a copy")
    _damage(tmp_path / "a copy")
    called = (tmp_path if place == "here" else tmp_path_factory.mktemp("other")) / "bin/rocket-assets"
    called.parent.mkdir()
    called.symlink_to(COMMAND)
    expected = {"the PATH": "rocket-assets", "here": "bin/rocket-assets", "elsewhere": str(called)}[place]
    env = {"PATH": os.environ["PATH"], "ROCKET_ASSETS_STORAGE": "a copy"}
    if place == "the PATH":
        env["PATH"] = f"{called.parent}:{env['PATH']}"
    done = subprocess.run(
        [expected, "verify", "--level", "full"],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        executable=called,
    )
    assert done.returncode == 1
    assert f": ROCKET_ASSETS_STORAGE='a copy' {expected} verify --level full --repair\n" in done.stdout + done.stderr


def test_a_folder_that_is_not_there_is_said_to_be_so(command: Command) -> None:
    done = command("verify", ROCKET_ASSETS_STORAGE="mistyped")
    assert done.returncode == 1
    assert "Could not open the storage mistyped: there is no such folder" in done.stderr


@pytest.mark.usefixtures("brought")
def test_a_repair_without_the_library_mends_the_pictures_and_leaves_the_rest_as_it_is(
    command: Command, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    stored = tree(data)
    _damage(data)
    (data / "launches/notes.txt").write_text("mine")
    done = command("verify", "--level", "full", "--repair", ROCKET_ASSETS_API_URL="http://127.0.0.1:9/2.3.0/")
    assert done.returncode == 1
    assert "Connection refused. Is the network up" in done.stderr
    left = done.stderr.partition("2 problems left:\n")[2].splitlines()
    assert left[0].strip().startswith("launches/2024/2024-12-03.json is missing or empty")
    assert left[1].strip() == "launches/notes.txt is a foreign file."
    assert left[2] == "What was whole still is. To go on: rocket-assets verify --level full --repair"
    del stored["launches/2024/2024-12-03.json"]
    assert tree(data) == stored | {"launches/notes.txt": b"mine"}


def test_a_repair_waits_for_the_throttle_and_says_until_when(command: Command, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    answers = iter([Answer(429, b"", JSON, {"Retry-After": "1"})])
    nothing = Answer(200, b'{"count": 0, "next": null, "results": []}', JSON)
    with ScriptedServer(lambda _: next(answers, nothing)) as server:
        done = command("verify", "2024-12-03", "2024-12-03", "--repair", ROCKET_ASSETS_API_URL=server.url("/2.3.0/"))
        assert len(server.requests) == 2
    assert done.returncode == 0, done.stderr
    assert "The throttle of the Launch Library is reached; going on at" in done.stderr
    assert done.stdout.endswith("All of it is mended.\n")


def test_a_picture_that_its_server_has_no_more_is_said_to_be_lost_and_kept_as_it_was(
    command: Command, tmp_path: Path
) -> None:
    gone = False

    def script(request: Request) -> Answer:
        row = b'{"id": "id-1", "name": "Sputnik", "net": "2024-12-01T00:00:00Z", "image": "http://%s/a.jpg"}'
        if request.path.startswith("/2.2.0/launch/"):
            rows = row % request.headers["host"].encode()
            return Answer(200, b'{"count": 1, "next": null, "results": [' + rows + b"]}", JSON)
        return Answer(404) if gone else Answer(200, picture("JPEG"), "image/jpeg")

    with ScriptedServer(script) as server:
        url = {"ROCKET_ASSETS_API_URL": server.url("/2.2.0/")}
        command("backfill", "2024-12-01", "2024-12-01", **url)
        (file,) = (tmp_path / "data" / images_folder(date(2024, 12, 1))).glob("*.jpeg")
        file.write_bytes(damaged := with_a_flipped_bit(file.read_bytes(), 200))
        gone = True
        done = command("verify", "--level", "full", "--repair", **url)
        assert done.returncode == 1
        assert re.search(r"1 picture could not be had again:\n  2024-12-01: Sputnik .* 404 ", done.stderr)
        (kept,) = (tmp_path / "data/damaged").glob("*/*")
        assert f"What was there of a picture, damaged, is kept:\n  {kept}\n" in done.stderr
        assert kept.read_bytes() == damaged
        assert command("verify", "--level", "full", **url).returncode == 0


@pytest.mark.usefixtures("brought")
def test_days_that_the_settings_leave_out_are_named_and_not_brought(command: Command, tmp_path: Path) -> None:
    stored = tree(tmp_path / "data")
    _damage(tmp_path / "data")
    done = command("verify", "--level", "full", "--repair", ROCKET_ASSETS_START_DATE="2024-12-04")
    assert done.returncode == 1
    assert "ROCKET_ASSETS_START_DATE and ROCKET_ASSETS_END_DATE leave these days out:\n  2024-12-03\n" in done.stderr
    del stored["launches/2024/2024-12-03.json"]
    assert tree(tmp_path / "data") == stored


@pytest.mark.usefixtures("brought")
def test_a_new_dagster_home_learns_what_the_storage_holds_and_nobody_is_asked(command: Command, tmp_path: Path) -> None:
    (tmp_path / ".dagster").rename(tmp_path / "lost")
    before = tree(tmp_path / "data")
    nobody = {"ROCKET_ASSETS_API_URL": "http://127.0.0.1:9/2.3.0/"}
    done = command("rebuild", **nobody)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("3 days stored: 3 of launches and 3 of pictures are new to Dagster.")
    assert "(1 month made)" in done.stdout
    assert tree(tmp_path / "data") == before
    missing = command("backfill", *THREE_DAYS, "--only-missing", **nobody)
    assert "Nothing is missing" in missing.stdout
    assert command("rebuild").stdout == "3 days stored: 0 of launches and 0 of pictures are new to Dagster.\n"


@pytest.mark.usefixtures("brought")
def test_what_cannot_be_recorded_is_named_with_what_mends_it(command: Command, tmp_path: Path) -> None:
    (tmp_path / "data/launches/2024/2024-12-04.json").write_bytes(b"{}\n")
    done = command("rebuild", **{START_DATE.name: "2024-12-04"})
    assert done.returncode == 1
    assert f"{START_DATE.name} and {END_DATE.name} leave these days out:\n  2024-12-03\n" in done.stderr
    assert "1 file could not be recorded:\n  launches 2024-12-04: " in done.stderr
    assert "verify --level full --repair" in done.stderr


@pytest.mark.usefixtures("brought")
def test_a_rebuild_can_be_limited_to_some_days(command: Command, tmp_path: Path) -> None:
    (tmp_path / ".dagster").rename(tmp_path / "lost")
    assert command("rebuild", "2024-12-04", "2024-12-04").stdout.startswith("1 day stored: 1 of launches")
    assert command("rebuild", "2024-12-04").returncode == 2
    none = command("rebuild", "2020-01-01", "2020-01-02")
    assert none.returncode == 1
    assert "holds no day from 2020-01-01 to 2020-01-02." in none.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("brought")
def test_a_database_that_does_not_answer_is_said_and_its_password_is_not(command: Command, tmp_path: Path) -> None:
    (home := tmp_path / "home").mkdir()
    address = "postgresql+psycopg2://dagster:sesame-4711@127.0.0.1:9/dagster"
    (home / "dagster.yaml").write_text(f"storage: {{postgres: {{postgres_url: '{address}'}}}}\n")
    done = command("rebuild", DAGSTER_HOME=str(home))
    assert done.returncode == 1
    assert f"Error: Dagster could not keep its records in {home}: " in done.stderr
    assert "Connection refused" in done.stderr
    assert "does the database answer that its dagster.yaml names" in done.stderr
    assert "Traceback" not in done.stderr
    assert "sesame" not in done.stderr


@pytest.mark.usefixtures("brought")
@pytest.mark.parametrize("line", ["storage: {postgres: {postgres_url: {env: NOT_SET}}}", "no_such_part: {}"])
def test_a_dagster_yaml_that_does_not_fit_is_said_in_a_sentence(command: Command, tmp_path: Path, line: str) -> None:
    (home := tmp_path / "home").mkdir()
    (home / "dagster.yaml").write_text(f"{line}\n")
    done = command("rebuild", DAGSTER_HOME=str(home))
    assert done.returncode == 2
    assert f"Error: Dagster cannot be set up as {home}/dagster.yaml says: " in done.stderr
    assert "NOT_SET" in done.stderr or "no_such_part" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("brought")
def test_days_without_pictures_are_named_for_they_are_to_follow(command: Command, tmp_path: Path) -> None:
    (tmp_path / ".dagster").rename(tmp_path / "lost")
    (tmp_path / "data/images/2024/2024-12-04/manifest.json").unlink()
    done = command("rebuild")
    assert done.stdout.startswith("3 days stored: 3 of launches and 2 of pictures are new to Dagster.")
    assert "only the launches are stored; their pictures are to follow:\n  2024-12-04\n" in done.stderr
    assert done.returncode == 0


def test_a_storage_that_is_not_there_is_not_made_by_a_rebuild(command: Command, tmp_path: Path) -> None:
    done = command("rebuild")
    assert done.returncode == 1
    assert not (tmp_path / "data").exists()


@pytest.mark.usefixtures("brought")
def test_pictures_that_no_day_shows_are_counted_and_said_to_be_harmless(command: Command, tmp_path: Path) -> None:
    body = picture("PNG", 5)
    sha256 = hashlib.sha256(body).hexdigest()
    Storage(str(tmp_path / "data")).write(f"pool/{sha256[:2]}/{sha256}.png", body)
    for level in ("quick", "full"):
        done = command("verify", "--level", level)
        assert done.returncode == 0
        assert done.stdout.startswith(
            f"1 picture of the pool ({len(body) / 1e3:.1f} kB) named by no manifest: harmless"
        )
        assert done.stdout.endswith("no problems.\n")


def test_the_sample_library_lends_its_address_to_a_command_and_ends_with_its_exit_code(command: Command) -> None:
    code = "import os, sys; print(os.environ['ROCKET_ASSETS_API_URL']); sys.exit(7)"
    done = command("sample-library", "--port", "0", "--", sys.executable, "-c", code)
    assert done.returncode == 7
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/2\.3\.0/", done.stdout.strip())


def test_a_sample_library_that_runs_already_is_used(command: Command, sample_library: LibraryServer) -> None:
    """So `make demo` works while `make dev-demo` runs."""
    port, asked = str(urlsplit(sample_library.url).port), len(sample_library.api_requests)
    done = command("sample-library", "--port", port, "--", "rocket-assets", "backfill", "2024-12-05", "2024-12-05")
    assert done.returncode == 0, done.stderr
    assert len(sample_library.api_requests) > asked


def test_a_story_begins_anew_for_its_command(command: Command) -> None:
    """On 12 December, where the catalogue has a launch, nobody has planned one yet."""
    code = """
import json, os, urllib.request
def count(query):
    with urllib.request.urlopen(os.environ["ROCKET_ASSETS_API_URL"] + "launches/?" + query) as answer:
        return json.load(answer)["count"]
print(count("net__gte=2024-12-05&net__lt=2024-12-06"), count("net__gte=2024-12-12&net__lt=2024-12-13"))
"""
    done = command("sample-library", "--story", "--port", "0", "--", sys.executable, "-c", code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "5 0\n", "")


def test_a_story_is_not_looked_for_in_a_sample_library_that_runs_already(
    command: Command, sample_library: LibraryServer
) -> None:
    port = str(urlsplit(sample_library.url).port)
    done = command("sample-library", "--story", "--port", port, "--", "rocket-assets", "--help")
    assert done.returncode == 1
    assert f"Port {port} cannot be listened on" in done.stderr


@pytest.mark.parametrize("server", ["sample-library", "gallery"])
def test_a_port_that_is_taken_is_said(command: Command, sample_library: LibraryServer, server: str) -> None:
    port = str(urlsplit(sample_library.url).port)
    done = command(server, "--port", port)
    assert done.returncode == 1
    assert f"Port {port} cannot be listened on: Address already in use. Choose another with --port." in done.stderr


def test_an_address_that_this_machine_does_not_have_is_said(command: Command) -> None:
    done = command("gallery", "--host", "192.0.2.1", "--port", "0")
    assert done.returncode == 1
    assert "Port 0 of 192.0.2.1 cannot be listened on: " in done.stderr
    assert done.stderr.endswith("Choose another with --host or --port.\n")


# The gallery


def _gallery(data: Path) -> Path:
    """A gallery as far as the command looks at it: the page at which one begins."""
    (page := data / "gallery/index.html").parent.mkdir(parents=True)
    page.write_text("Launches")
    return page


@pytest.fixture
def browser(tmp_path: Path) -> Path:
    """What would open a page on a desktop; it writes down which."""
    (tmp_path / "bin").mkdir()
    opened = tmp_path / "opened"
    for name in ("xdg-open", "open"):
        (program := tmp_path / "bin" / name).write_text(f'#!/bin/sh\necho "$1" >> {opened}\n')
        program.chmod(0o755)
    return opened


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a desktop")
@pytest.mark.parametrize("display", ["DISPLAY", "WAYLAND_DISPLAY"])
def test_the_gallery_is_opened_where_there_is_a_desktop(
    command: Command, tmp_path: Path, browser: Path, display: str
) -> None:
    page = _gallery(tmp_path / "data")
    path = {"PATH": f"{browser.parent / 'bin'}:{os.environ['PATH']}"}
    published = {"ROCKET_ASSETS_GALLERY_URL": "https://example.org/rockets"}
    command("gallery", **path)
    command("gallery", "--print", **path, **{display: ":0"})
    command("gallery", **path, **{display: ":0"})
    _wait_for_lines(browser, 1)
    command("gallery", **path, **{display: ":0"}, **published)
    _wait_for_lines(browser, 2)
    assert browser.read_text().splitlines() == [str(page), "https://example.org/rockets/gallery/index.html"]


def _wait_for_lines(file: Path, count: int) -> None:
    give_up = time.monotonic() + 10
    while not (file.exists() and file.read_text().count("\n") >= count) and time.monotonic() < give_up:
        time.sleep(0.02)


def test_the_gallery_is_said_to_be_where_people_see_it(command: Command, tmp_path: Path) -> None:
    page = _gallery(tmp_path / "data")
    assert command("gallery", "--print").stdout == f"{page}\n"
    done = command("gallery", "--print", ROCKET_ASSETS_GALLERY_URL="https://example.org")
    assert done.stdout == "https://example.org/gallery/index.html\n"


def test_where_there_is_no_gallery_yet_it_is_said_what_makes_it_and_nothing_is_made(
    command: Command, tmp_path: Path
) -> None:
    for uri in ("data", "memory://"):
        done = command("gallery", ROCKET_ASSETS_STORAGE=uri)
        assert done.returncode == 1
        assert done.stderr.startswith(f"Error: There is no gallery in {uri} yet. `rocket-assets backfill` makes it")
    assert list(tmp_path.iterdir()) == []


def test_a_gallery_in_a_bucket_is_named_with_the_command_that_serves_it(command: Command, s3: S3) -> None:
    environ = s3.environ | {"ROCKET_ASSETS_STORAGE": (uri := s3.make_bucket())}
    assert command("gallery", **environ).returncode == 1
    Storage(uri).write("gallery/index.html", b"Launches")
    done = command("gallery", **environ)
    said = f"{uri}/gallery/index.html\nTo look at it: ROCKET_ASSETS_STORAGE={uri} rocket-assets gallery --port 3001\n"
    assert (done.returncode, done.stdout) == (0, said)


_LOOK = """
import os, sys, urllib.request
with urllib.request.urlopen(os.environ["ROCKET_ASSETS_GALLERY_URL"]) as answer:
    print(answer.url, answer.read().decode())
sys.exit(7)
"""


def test_the_gallery_lends_its_address_to_a_command_and_ends_with_its_exit_code(
    command: Command, tmp_path: Path
) -> None:
    _gallery(tmp_path / "data")
    done = command("gallery", "--port", "0", "--", sys.executable, "-c", _LOOK)
    assert done.returncode == 7, done.stderr
    said, seen = done.stdout.splitlines()
    url = re.fullmatch(r"The gallery of data is at (http://127\.0\.0\.1:\d+/) as long as this runs\.", said)
    assert url
    assert seen == f"{url[1]}gallery/index.html Launches"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_who_ends_the_gallery_ends_what_runs_beside_it(tmp_path: Path, number: signal.Signals) -> None:
    """As make dev-demo has them: the gallery, the sample library, and a command in it that takes a while to end."""
    code = """
import os, signal, sys, time
def end(*_):
    time.sleep(0.2)
    os.write(1, b"ended\\n")
    sys.exit(3)
signal.signal(signal.SIGINT, end)
signal.signal(signal.SIGTERM, end)
os.write(1, b"begun\\n")
time.sleep(60)
"""
    library = [COMMAND, "sample-library", "--port", "0", "--", sys.executable, "-c", code]
    started = subprocess.Popen(
        [COMMAND, "gallery", "--port", "0", "--", *library],
        env={"PATH": os.environ["PATH"]},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert started.stdout
    url = re.findall(r"http://\S+", started.stdout.readline())[0]
    assert started.stdout.readline() == "begun\n"
    # A terminal gives Ctrl-C to all that run in it, make gives what ends it to the one that it has started.
    if number is signal.SIGINT:
        os.killpg(started.pid, number)
    else:
        started.send_signal(number)
    assert started.communicate(timeout=20)[0] == "ended\n"
    assert started.returncode == 3
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", urlsplit(url).port or 0))


def test_the_gallery_is_served_until_ctrl_c(tmp_path: Path) -> None:
    started = subprocess.Popen(
        [COMMAND, "gallery", "--port", "0"],
        env={"PATH": os.environ["PATH"]},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert started.stdout
    url = re.findall(r"http://\S+", started.stdout.readline())[0]
    _gallery(tmp_path / "data")
    assert requests.get(url, timeout=10).text == "Launches"
    started.send_signal(signal.SIGINT)
    assert started.communicate(timeout=20)[0] == "Stopped.\n"
    assert started.returncode == 0


def test_settings_are_read_from_a_dotenv_file(command: Command, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ROCKET_ASSETS_STORAGE=elsewhere\n")
    assert command("backfill", "2024-12-01", "2024-12-01").returncode == 0
    assert (tmp_path / "elsewhere/launches/2024/2024-12-01.json").exists()


def test_help_says_what_each_command_does(command: Command) -> None:
    names = {"backfill", "verify", "gallery", "settings", "sample-library"}
    assert names <= set(command("--help").stdout.split())
    for name in names:
        assert command(name, "--help").returncode == 0
