"""What is killed, finds no room, may not write, or is not alone: the next run makes of it what an undisturbed one does.

Kills between our own steps, and within a write, are also tested with the promises. Here they come at each system call,
and to the commands and the UI's backfill.
"""

from __future__ import annotations

import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path

import dagster as dg
import pytest

from rocket_assets import storage as keys
from rocket_assets.defs.runs import UNFINISHED
from rocket_assets.launches import days_between
from rocket_assets.sample_library.server import LibraryServer
from rocket_assets.storage import Storage
from rocket_assets.verification import verify
from rocket_assets_tests.daemon import Home, Homes, backfill_of, kill, kill_runs
from rocket_assets_tests.disk import Disk, no_disk_because
from rocket_assets_tests.kills import (
    HOLDS,
    Call,
    Work,
    calls_of,
    do_twice_at_once,
    environ,
    kill_at,
    kill_at_each_step,
    kill_in_a_row,
    lingering,
)
from rocket_assets_tests.project import BOTH, Project, tree
from rocket_assets_tests.test_promises import SOME, rearranged, small

FIRST, LAST = date(2024, 12, 4), date(2024, 12, 13)
"""Ten days with twelve launches."""
DAYS = list(days_between(FIRST, LAST))

ONE = date(2024, 12, 8)
"""A day with one launch and one picture."""

COMMAND = str(Path(sys.executable).with_name("rocket-assets"))
BACKFILL = [COMMAND, "backfill", str(FIRST), str(LAST)]
GO_ON = [*BACKFILL, "--only-missing"]

ONE_AT_A_TIME, TWO_AT_A_TIME = 3, 5
"""Who may leave half a file where so many pictures are on the line: the run itself, and two threads for each."""

slow = pytest.mark.slow
traced = pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
on_a_disk = pytest.mark.skipif(bool(no_disk_because()), reason=f"no disk of its own: {no_disk_because()}")


@pytest.fixture
def library() -> Iterator[LibraryServer]:
    """The sample library with small pictures."""
    with LibraryServer(picture=small) as server:
        yield server


@pytest.fixture
def changed_library() -> Iterator[LibraryServer]:
    """The library a day later: launches have slipped, gone, and got other names, and all the pictures are others."""
    with LibraryServer(picture=lambda file: small(f"x{file}"), rows=rearranged) as server:
        yield server


def folders(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def leftovers(folder: Path) -> list[str]:
    return list(Storage(str(folder)).leftovers())


def of_command(library: LibraryServer, home: Path, storage: Path) -> dict[str, str]:
    """The environment of a command that has this home and this storage."""
    home.mkdir(parents=True, exist_ok=True)
    return environ() | {
        "DAGSTER_HOME": str(home),
        "ROCKET_ASSETS_STORAGE": str(storage),
        "ROCKET_ASSETS_API_URL": library.url,
    }


def done(arguments: Sequence[str], environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, env=environ, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture
def expected(library: LibraryServer, tmp_path: Path) -> dict[str, bytes]:
    """What ten days leave that nobody disturbs."""
    folder = tmp_path / "undisturbed"
    assert not Work(library.url, FIRST, LAST).do(Storage(str(folder)))
    return tree(folder)


# A kill at each system call


@dataclass
class Traced:
    """Work that is killed at system calls, each time in a folder of its own that begins like `seed`."""

    work: Work
    root: Path
    seed: Path | None = None

    def begin(self, name: str) -> Path:
        if self.seed:
            shutil.copytree(self.seed, self.root / name)
        return self.root / name

    def calls(self) -> tuple[list[Call], dict[str, bytes]]:
        """The calls that an unkilled run makes, and what it leaves."""
        folder = self.begin("unkilled")
        return calls_of(self.work.program(folder), folder, environ()), tree(folder)

    def left_by(self, call: Call) -> tuple[int, list[str], dict[str, bytes]]:
        """What a kill leaves, as a number that differs with it; its leftovers; and what the next run makes of it."""
        folder = self._killed(call)
        state, left = hash((frozenset(tree(folder).items()), frozenset(folders(folder)))), leftovers(folder)
        errors = self.work.do(Storage(str(folder)))
        assert not errors, (call, errors)
        mended = tree(folder)
        shutil.rmtree(folder)
        return state, left, mended

    def _killed(self, call: Call) -> Path:
        """The folder of a run that was killed there.

        Which of its threads makes a call is chance, and strace counts the calls of each thread: where one was missed,
        the call before it is taken, as when another thread has made the folder in which a folder is made.
        """
        for attempt, number in enumerate(range(call.number, 0, -1)):
            folder = self.begin(f"{call} {attempt}".replace("/", "-"))
            if kill_at(replace(call, number=number), self.work.program(folder), folder, environ()):
                return folder
            shutil.rmtree(folder)
        raise AssertionError(call)

    def hold_at(self, calls: Sequence[Call], expected: dict[str, bytes]) -> int:
        """Kill at each of these calls, and say how many different states that left."""
        with ThreadPoolExecutor(2) as threads:
            found = list(threads.map(self.left_by, calls))
        for call, (_, left, mended) in zip(calls, found, strict=True):
            assert mended == expected, call
            assert len(left) <= ONE_AT_A_TIME, call
            # Until it is renamed, what has been made is a leftover.
            assert left or call.name not in (HOLDS, "rename"), call
        return len({state for state, _, _ in found})


@traced
def test_killed_as_it_makes_renames_or_links_a_file_a_run_is_made_whole_by_the_next(
    library: LibraryServer, tmp_path: Path
) -> None:
    of_a_day = Traced(Work(library.url, ONE, ONE), tmp_path)
    calls, expected = of_a_day.calls()
    chosen = [call for call in calls if call.name in ("rename", "linkat")]
    assert len({call.path for call in chosen}) == len(expected)
    assert of_a_day.hold_at(chosen, expected) == len(chosen)


@slow
@traced
@pytest.mark.parametrize("later", [False, True], ids=["first run", "later run"])
def test_killed_at_each_system_call_that_changes_the_storage_a_run_is_made_whole_by_the_next(
    library: LibraryServer, changed_library: LibraryServer, tmp_path: Path, later: bool
) -> None:
    seed = tmp_path / "seed"
    if later:
        assert not Work(library.url, FIRST, LAST).do(Storage(str(seed)))
    url = changed_library.url if later else library.url
    ten_days = Traced(Work(url, FIRST, LAST), tmp_path, seed if later else None)
    calls, expected = ten_days.calls()
    names = {"mkdir", HOLDS, "rename", "linkat"} | ({"unlink"} if later else set())
    assert {call.name for call in calls} == names
    # Each file that is new, other or gone is so by a rename, a link or an unlink at which the run will be killed.
    touched = {call.path for call in calls if call.name in ("rename", "linkat", "unlink")}
    before = tree(seed)
    assert touched >= {key for key in before | expected if before.get(key) != expected.get(key)}
    states = ten_days.hold_at(calls, expected)
    assert states > len(calls) * 3 // 4


# Leftovers


def test_leftovers_do_not_grow_however_often_a_run_is_killed_within_its_writes(
    library: LibraryServer, tmp_path: Path
) -> None:
    kills = kill_in_a_row(Work(library.url, *SOME), tmp_path, times=15)
    left = [len(leftovers(folder)) for folder in kills.states("state")]
    assert len(left) >= 30
    assert min(left) > 0
    assert max(left) <= TWO_AT_A_TIME
    assert tree(tmp_path / "mended") == tree(tmp_path / "unkilled")


def test_what_a_kill_left_of_pictures_that_no_address_gives_any_more_goes_with_the_next_run(
    library: LibraryServer, changed_library: LibraryServer, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    kills = kill_at_each_step(Work(library.url, ONE, ONE), tmp_path)
    states = [folder for folder in kills.states("state") if any("pool/" in left for left in leftovers(folder))]
    assert len(states) == len(["the picture", "its address"])
    for folder in states:
        project = Project(changed_library.url, Storage(str(folder)), instance)
        assert all(result.success for result in project.bring_both(str(ONE), str(ONE)))
        assert leftovers(folder) == []


@traced
def test_a_run_that_begins_while_another_is_about_to_rename_what_it_has_written_leaves_that_alone(
    library: LibraryServer, tmp_path: Path
) -> None:
    work, storage = Work(library.url, ONE, ONE), Storage(str(tmp_path / "storage"))
    program = lingering("rename", work.program(Path(storage.uri)))
    with subprocess.Popen(program, env=environ(), stdout=subprocess.DEVNULL) as process:
        while not (written := [path for path in Path(storage.uri).rglob("*#*") if path.stat().st_size]):
            assert process.poll() is None
        storage.remove_leftovers()
        assert list(storage.leftovers()) == []
        assert all(path.exists() for path in written)
    assert process.returncode == 0
    assert not work.do(Storage(str(tmp_path / "undisturbed")))
    assert tree(tmp_path / "storage") == tree(tmp_path / "undisturbed")


# The command


def dagster_is_whole(home: Path) -> None:
    """No database of a home is damaged, no run looks as if it went on, and all days are on record."""
    databases = list(home.rglob("*.db"))
    assert len(databases) > len(["runs", "index", "schedules"])
    for database in databases:
        with closing(sqlite3.connect(database)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)], database
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert not instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
        for asset in BOTH:
            assert instance.get_materialized_partitions(dg.AssetKey(asset)) == {str(day) for day in DAYS}


def goes_on(environ: dict[str, str], expected: dict[str, bytes]) -> None:
    """The command goes on where another was killed, and then all is as if that had not been."""
    again = done(GO_ON, environ)
    assert again.returncode == 0, again.stderr
    assert tree(Path(environ["ROCKET_ASSETS_STORAGE"])) == expected
    dagster_is_whole(Path(environ["DAGSTER_HOME"]))


def test_a_command_that_was_killed_goes_on_where_it_was(
    library: LibraryServer, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    environ = of_command(library, tmp_path / "home", tmp_path / "data")
    asked = threading.Semaphore(0)

    def hold_back(file: str) -> bytes:
        asked.release()
        time.sleep(1)
        return small(file)

    library.picture = hold_back
    with subprocess.Popen(BACKFILL, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        assert asked.acquire(timeout=60)
        process.kill()
    library.picture = small
    assert process.returncode == -signal.SIGKILL
    requests = len(library.api_requests)
    goes_on(environ, expected)
    assert len(library.api_requests) == requests, "the launches were recorded, and are not asked for again"


@slow
@traced
def test_a_command_that_was_killed_at_a_system_call_goes_on_where_it_was(
    library: LibraryServer, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    """Of some thousand calls, the most of them Dagster's, some that lie far from one another."""
    whole = tmp_path / "whole"
    calls = calls_of(BACKFILL, whole, of_command(library, whole / "home", whole / "data"))
    stored = [call for call in calls if re.match("data/(launches|pool|images|gallery|table)/", call.path)]
    ours = [call for call in stored if call.number == 1 or call.name == "rename"]
    # A run's own database bears its id, which is another each time.
    dagsters = [call for call in calls if re.fullmatch(r"home/(?!.*[0-9a-f]{8}-).*\.db(-.*)?", call.path)]
    chosen = [*ours[5::16], *dagsters[100 :: len(dagsters) // 6]]

    def is_killed(call: Call) -> bool:
        folder = tmp_path / str(call).replace("/", "-")
        environ = of_command(library, folder / "home", folder / "data")
        killed = kill_at(call, BACKFILL, folder, environ)
        goes_on(environ, expected)
        return killed

    with ThreadPoolExecutor(2) as threads:
        killed = list(threads.map(is_killed, chosen))
    # Calls are counted for each thread apart; which of Dagster's threads makes one is not the same each time.
    assert all(was for call, was in zip(chosen, killed, strict=True) if call in ours)
    assert killed.count(True) >= len(killed) - 2 > len(["launches", "pool", "images"])


# Two at once


def test_two_processes_that_bring_the_same_days_at_once_leave_what_one_leaves(
    library: LibraryServer, tmp_path: Path
) -> None:
    two_at_once(Work(library.url, *SOME), tmp_path, times=3)


@slow
def test_two_processes_that_bring_the_same_days_at_once_leave_what_one_leaves_twenty_times_over(
    library: LibraryServer, tmp_path: Path
) -> None:
    two_at_once(Work(library.url, FIRST, LAST), tmp_path, times=20)


def two_at_once(work: Work, root: Path, times: int) -> None:
    kills = do_twice_at_once(work, root, times=times)
    assert len(kills.states("mended")) == times
    for folder in kills.states("mended"):
        assert tree(folder) == tree(root / "unkilled"), folder


def test_processes_that_begin_at_once_in_a_new_home_make_its_databases_one_at_a_time(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from rocket_assets.backfill import records
print("ready", flush=True)
sys.stdin.readline()
with records(Path(sys.argv[1])) as instance:
    assert not instance.get_runs()
"""
    home = tmp_path / "home"
    home.mkdir()
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(home)],
            env=environ() | {"DAGSTER_HOME": str(home)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 3, said


@slow
def test_two_commands_that_bring_the_same_days_at_once_both_end_well_and_leave_what_one_leaves(
    library: LibraryServer, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    for n in range(2):
        environ = of_command(library, tmp_path / f"home{n}", tmp_path / f"data{n}")
        with ThreadPoolExecutor(2) as threads:
            ended = list(threads.map(partial(done, environ=environ), [BACKFILL, BACKFILL]))
        assert [one.returncode for one in ended] == [0, 0], [one.stderr for one in ended]
        assert tree(tmp_path / f"data{n}") == expected
        dagster_is_whole(tmp_path / f"home{n}")


# A full disk, and one that may only be read

NO_ROOM = r"{key} in the storage .*: No space left on device.* is there room"
READ_ONLY = r"{key} in the storage .*: Read-only file system.* may we write there"


def half_written(stored: dict[str, bytes], expected: dict[str, bytes]) -> list[str]:
    """What is stored otherwise than an undisturbed run stores it."""
    return [key for key, body in stored.items() if expected.get(key) != body]


@on_a_disk
def test_a_disk_that_is_full_or_read_only_leaves_whole_files_and_says_which_days_wait_for_what(
    library: LibraryServer, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    with Disk(tmp_path / "disk", "100k") as disk:
        program = Work(library.url, FIRST, LAST).program(disk.folder)
        full = disk.run(program, environ())
        assert re.search("2024-12-05: Could not write " + NO_ROOM.format(key="pool/.*"), full.stdout), full.stdout
        assert 0 < len(disk.tree()) < len(expected)
        assert half_written(disk.tree(), expected) == []
        disk.remount("size=1m,ro")
        read_only = disk.run(program, environ())
        assert re.search(READ_ONLY.format(key="pool/.*"), read_only.stdout), read_only.stdout
        disk.remount("rw")
        assert disk.run(program, environ()).returncode == 0
        assert disk.tree() == expected


@on_a_disk
def test_a_home_without_room_is_told_of_and_gets_its_settings_whole_when_there_is_some(
    library: LibraryServer, tmp_path: Path
) -> None:
    """Half of our dagster.yaml would be taken for the user's own, and would stay."""
    with Disk(tmp_path / "home", "8k") as disk:
        filler = disk.folder / "filler"
        disk.run(["dd", "if=/dev/zero", f"of={filler}", "bs=8k", "count=1"], environ())
        environ_of_home = of_command(library, disk.folder, tmp_path / "data")
        said = disk.run([COMMAND, "settings"], environ_of_home)
        assert said.returncode == 1
        assert "No space left on device" in said.stderr
        assert disk.tree().keys() == {"filler"}
        disk.remount("size=1m")
        assert disk.run([COMMAND, "settings"], environ_of_home).returncode == 0
        assert disk.tree()["dagster.yaml"] == (Path(__file__).parents[1] / "dagster.yaml").read_bytes()


@slow
@on_a_disk
@pytest.mark.parametrize("size", ["40k", "120k"], ids=["among the launches", "among the pictures"])
def test_a_command_whose_disk_is_full_says_so_and_goes_on_when_there_is_room(
    library: LibraryServer, tmp_path: Path, expected: dict[str, bytes], size: str
) -> None:
    with Disk(tmp_path / "disk", size) as disk:
        environ = of_command(library, tmp_path / "home", disk.folder / "data")
        full = disk.run(BACKFILL, environ)
        assert full.returncode == 1
        key = "launches/2024/2024-12-09.json" if size == "40k" else "pool/.*"
        assert re.search("2024-12-0.: Could not write " + NO_ROOM.format(key=key), full.stderr), full.stderr
        assert "Everything written is whole. To go on:" in full.stderr
        goes_on_on(disk, environ, expected, "size=1m")


@slow
@on_a_disk
def test_a_command_whose_disk_becomes_read_only_says_so_and_goes_on_when_it_may_write(
    library: LibraryServer, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    with Disk(tmp_path / "disk", "1m") as disk:
        asked: list[str] = []

        def protect(file: str) -> bytes:
            asked.append(file)
            if len(asked) == 6:
                disk.remount("ro")
            return small(file)

        library.picture = protect
        environ = of_command(library, tmp_path / "home", disk.folder / "data")
        read_only = disk.run(BACKFILL, environ)
        assert read_only.returncode == 1
        assert re.search("2024-12-..: Could not .* " + READ_ONLY.format(key=".*"), read_only.stderr), read_only.stderr
        goes_on_on(disk, environ, expected, "rw")


@slow
@on_a_disk
@pytest.mark.parametrize("size", ["60k", "300k", "800k", "1100k"])
def test_a_command_that_shares_a_full_disk_with_its_home_says_so_and_goes_on_when_there_is_room(
    library: LibraryServer, tmp_path: Path, expected: dict[str, bytes], size: str
) -> None:
    with Disk(tmp_path / "disk", size) as disk:
        disk.run(["mkdir", str(disk.folder / "home")], environ())
        environ_there = of_command(library, tmp_path, disk.folder / "data") | {"DAGSTER_HOME": f"{disk.folder}/home"}
        full = disk.run(BACKFILL, environ_there)
        assert full.returncode == 1
        assert "Traceback" not in full.stderr
        assert re.search(r"Error: Dagster could not keep its records in .*\. Is there room", full.stderr), full.stderr
        goes_on_on(disk, environ_there, expected, "size=9m")


def goes_on_on(disk: Disk, environ: dict[str, str], expected: dict[str, bytes], options: str) -> None:
    """Nothing but what is missing is wrong; and when the disk is as it should be, the command goes on."""

    def stored() -> dict[str, bytes]:
        return {key.removeprefix("data/"): body for key, body in disk.tree().items() if key.startswith("data/")}

    assert half_written(stored(), expected) == []
    *problems, _ = disk.run([COMMAND, "verify", "--level", "full"], environ).stdout.splitlines() or [""]
    assert all(
        " is missing" in problem for problem in problems if problem.startswith(("launches/", "images/", "pool/"))
    )
    disk.remount(options)
    again = disk.run(GO_ON, environ)
    assert again.returncode == 0, again.stderr
    assert stored() == expected
    assert disk.run(GO_ON, environ).stdout.startswith("Nothing is missing")


# The UI's backfill

HELD_BACK = "2024-12-12"
"""The day whose picture is held back from who asks for it first."""


@dataclass(frozen=True)
class Story:
    """What came of a backfill in the UI that was killed before it was over."""

    home: Home
    recorded: list[str]
    """The days that were recorded when it was killed."""
    before: dict[str, bytes]
    """What was stored then."""
    after: dict[str, bytes]
    expected: dict[str, bytes]
    """What ten days leave that nobody disturbs."""


def killed_in_the_ui(homes: Homes, name: str, kill_it: Callable[[subprocess.Popen[str]], None]) -> Story:
    """Let the UI backfill pictures, and kill when all days but one are done, and then let it go on."""
    held, held_back = threading.Event(), set[str]()

    def picture(file: str) -> bytes:
        if file in held_back and not held.is_set():
            held.set()
            homes.stopping.wait(120)
        return small(file)

    with LibraryServer(picture=picture) as library:
        home = homes.make(name, library, ROCKET_ASSETS_POLL_SECONDS="86400")
        home.bring(str(FIRST), str(LAST), ["launches"])
        shown = [one.image for one in home.archive.read_launches(date.fromisoformat(HELD_BACK)) if one.image]
        held_back |= {image.url.rpartition("/")[2] for image in shown}
        # Before the daemon runs: it would have a run of its own let the pictures follow their launches.
        home.launch([backfill_of(["launch_images"], str(FIRST), str(LAST))])
        with home.daemon() as process:
            home.until(lambda: len(home.brought("launch_images")) == len(DAYS) - 1, "all days but one are recorded")
            assert held.is_set()
            kill_it(process)
            recorded, before = sorted(home.brought("launch_images")), tree(Path(home.storage.uri))
            if kill_it is not kill:
                end(home)
        if kill_it is kill:
            with home.daemon():
                end(home)
        assert not Work(library.url, FIRST, LAST).do(Storage(str(home.folder / "undisturbed")))
    return Story(home, recorded, before, tree(Path(home.storage.uri)), tree(home.folder / "undisturbed"))


def end(home: Home) -> None:
    home.until(lambda: len(home.brought("launch_images")) == len(DAYS), "all is brought")
    home.until(home.is_idle, "all is over")


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Story]]]:
    kills = {"the run": kill_runs, "the daemon and all with it": kill}
    with Homes(tmp_path_factory.mktemp("ui")) as homes, ThreadPoolExecutor(len(kills)) as threads:
        try:
            yield {name: threads.submit(killed_in_the_ui, homes, name[-3:], how) for name, how in kills.items()}
        finally:
            homes.stopping.set()


def brought(stored: dict[str, bytes]) -> dict[str, bytes]:
    """What a backfill of days brings; gallery and table follow later, by a sensor."""
    return {key: body for key, body in stored.items() if not key.startswith((keys.GALLERY, keys.TABLE))}


@slow
@pytest.mark.parametrize("killed", ["the run", "the daemon and all with it"])
def test_of_a_backfill_in_the_ui_that_is_killed_what_was_finished_is_recorded_and_the_rest_is_tried_again(
    stories: dict[str, Future[Story]], killed: str
) -> None:
    story = stories[killed].result()
    done = [day for day in DAYS if str(day) != HELD_BACK]
    assert story.recorded == [str(day) for day in done]
    of_these = tuple(keys.images_folder(day) for day in done)
    finished = {key: body for key, body in story.expected.items() if key.startswith(of_these)}
    assert {key: body for key, body in story.before.items() if key.startswith(of_these)} == finished
    first, *again = [run.dagster_run for run in story.home.runs("launch_images")]
    assert first.status == dg.DagsterRunStatus.FAILURE
    assert [run.status for run in again] == [dg.DagsterRunStatus.SUCCESS]
    assert [run.parent_run_id for run in again] == [first.run_id]
    assert brought(story.after) == brought(story.expected)
    assert [problem for part in verify(story.home.archive, level="full") for problem in part.problems] == []
    (backfill,) = story.home.instance.get_backfills()
    assert backfill.status.value == "COMPLETED_SUCCESS"
