"""The few commands that Dagster has no word for: backfill, verify, rebuild, gallery, settings, sample-library.

Here options become arguments, and outcomes become sentences and exit codes. Dagster is imported by the one command that
needs it, so that the others start at once.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, date, datetime
from functools import wraps
from importlib import resources
from pathlib import Path
from shlex import quote
from time import monotonic
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar
from urllib.request import urlopen

import click
from dotenv import dotenv_values, load_dotenv
from rich.console import Console

from rocket_assets import storage as keys
from rocket_assets.archive import Archive
from rocket_assets.errors import RocketAssetsError, WrongSetting
from rocket_assets.estimate import in_words
from rocket_assets.gallery.server import LOOPBACK, WHAT_MAKES_IT, GalleryServer
from rocket_assets.launch_library import LaunchLibrary
from rocket_assets.launches import days_between
from rocket_assets.months import month_of
from rocket_assets.network import Limits, Timeout
from rocket_assets.progress import Progress
from rocket_assets.repair import mend
from rocket_assets.settings import (
    ALL,
    API_URL,
    DAYS_AHEAD,
    END_DATE,
    GALLERY_URL,
    START_DATE,
    STORAGE,
    Setting,
    Settings,
)
from rocket_assets.storage import Storage, Stored
from rocket_assets.tally import Tally, count, size
from rocket_assets.verification import Level, Problem, Remedy
from rocket_assets.verification import verify as verified

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from rocket_assets.backfill import Backfill, Outcome

FAILED, WRONG_USE, INTERRUPTED = 1, 2, 130

SAMPLE_PORT = 19571
"""Where the sample library listens unless told otherwise: outside the range that systems hand out by themselves."""

_MOST_SHOWN = 50

_ASK_SECONDS = 5.0
"""How long the API is asked at most what its throttle still takes: that is good to know, and no more."""

_OUR_HOMES = (".dagster", ".demo/dagster")
"""The Dagster homes that are ours, below the folder in which one is; the first is the one unless told otherwise."""


class Day(click.ParamType[date]):
    """A UTC day, as YYYY-MM-DD or the word today."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """The day that was written."""
        if value == "today":
            return datetime.now(UTC).date()
        try:
            return datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC).date()
        except ValueError:
            self.fail(f"{value!r} is not a day. Write it as 2024-12-05, or `today`.", param, ctx)


def explained(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command end with a sentence and an exit code where the package explains an error."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except WrongSetting as error:
            _stop(WRONG_USE, str(error))
        except KeyboardInterrupt:
            _stop(INTERRUPTED, "Stopped by Ctrl-C. Everything written is whole.")
        except RocketAssetsError as error:
            _stop(FAILED, f"{error} {error.advice}")

    return run


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="rocket_assets")
@click.pass_context
def main(context: click.Context) -> None:
    """Every rocket launch and its picture, day by day, as Dagster assets."""
    # Who names a storage for one command gets the advice for that one, too.
    context.obj = os.environ.get(STORAGE.name)
    load_dotenv(Path.cwd() / ".env")


@main.command()
@click.argument("start", type=Day())
@click.argument("end", type=Day())
@click.option(
    "--assets",
    default="launches,launch_images,launch_gallery,launch_table",
    show_default=True,
    help="Which assets, with commas. The index comes with the gallery.",
)
@click.option(
    "--only-missing", is_flag=True, help="Leave out the days and months that are recorded and stored already."
)
@explained
def backfill(start: date, end: date, assets: str, only_missing: bool) -> None:
    """Bring the launches and the pictures of the days from START to END, both included, and make their months of them.

    Works in this process, without the Dagster daemon, and is recorded in the same Dagster instance, so that the UI
    shows it. Stopped at any time, it leaves everything whole; the same command goes on with --only-missing.

    Exit code 0: all days stand. 1: some failed, and are listed with the reason. 2: wrong use. 130: Ctrl-C.
    """
    settings = Settings.read(os.environ)
    days = _days(start, end)

    from rocket_assets.backfill import DAILY, MONTHLY, Backfill, records, runs_of_launches
    from rocket_assets.defs.partitions import days as partitions

    brought, made = _chosen(assets, DAILY), _chosen(assets, MONTHLY)
    _refuse_others(assets, (*DAILY, *MONTHLY))
    for day in (start, end):
        if not partitions.has_partition_key(day.isoformat()):
            first, last = partitions.get_first_partition_key(), partitions.get_last_partition_key()
            raise click.UsageError(
                f"{day} has no partition: they go from {first} to {last}. "
                f"{START_DATE.name}, {END_DATE.name} and {DAYS_AHEAD.name} set the bounds."
            )
    storage = Storage.named_by(settings)
    storage.ensure_writable()
    home = _use_dagster_home()
    with records(home) as instance, _library(settings, instance) as library:
        tally = Tally(ask=library.allowance)
        work = Backfill(instance, tally.add, tally.wait, tally.begin)
        wanted = {asset: work.missing(days, asset, storage) if only_missing else days for asset in brought}
        open_days = {day for missing in wanted.values() for day in missing}
        months = dict.fromkeys(made, len({month_of(day) for day in open_days}))
        with tally.show(wanted, runs=runs_of_launches(wanted), months=months, of=days):
            outcome = work.bring(wanted)
        left = outcome.not_standing
        # Days that stood before this are not missing, however much they are to be brought again.
        are_missing = all(set(work.missing(left, asset, storage)) >= set(left) for asset in brought[-1:])
        views = (
            None
            if outcome.interrupted
            else _make(work, tally, made, days, storage, came=open_days if only_missing else None)
        )
    if any(wanted.values()):
        _report(outcome, tally, Archive(storage))
    elif not (views and (any(views.wanted.values()) or views.failures)):
        _report_nothing(only_missing=only_missing)
    if views:
        _report_views(views, storage)
    if left:
        again = f"{_called()} backfill {start} {end} --only-missing"
        if not are_missing:
            again = f"{_called()} backfill {left[0]} {left[-1]}"
        lack = "".join(f"; of {len(outcome.lacking(asset)):,} the {asset} did not come" for asset in brought)
        click.echo(f"{count(len(left), 'day does', 'days do')} not stand yet, {left[0]} the first{lack}.", err=True)
        click.echo(f"Everything written is whole. To go on: {again}", err=True)
    if outcome.interrupted or (views and views.interrupted):
        sys.exit(INTERRUPTED)
    if left or outcome.failures or (views and views.failures):
        sys.exit(FAILED)


def _library(settings: Settings, instance: DagsterInstance) -> LaunchLibrary:
    """The API, to be asked how many requests it still takes, and not to be waited for."""
    from rocket_assets.defs.resources import turn_of

    return LaunchLibrary(
        settings.api_url,
        token=settings.api_token,
        retries=0,
        timeout=Timeout(connect=_ASK_SECONDS, read=_ASK_SECONDS),
        limits=Limits(seconds=_ASK_SECONDS),
        turn=turn_of(instance, _ASK_SECONDS),
    )


def _chosen(assets: str, among: Sequence[str]) -> list[str]:
    return [name for name in among if name in _names(assets)]


def _refuse_others(assets: str, known: Sequence[str]) -> None:
    if not _names(assets) or not _names(assets) <= set(known):
        raise click.UsageError(
            f"--assets is {assets!r}; what fits is one of {', '.join(known)}, or several with commas."
        )


def _names(assets: str) -> set[str]:
    return {name.strip() for name in assets.split(",")} - {""}


def _make(
    work: Backfill,
    tally: Tally,
    assets: Sequence[str],
    days: Sequence[date],
    storage: Storage,
    *,
    came: Collection[date] | None,
) -> Outcome:
    """Make the months of these days and the index of the gallery; or, where some of the days came, what is missing."""
    wanted = {asset: work.months(days) for asset in assets}
    if came is not None:
        again = set(work.months(came))
        wanted = {
            asset: sorted(again.union(work.missing_months(months, asset, storage)).intersection(months))
            for asset, months in wanted.items()
        }
    pages = wanted.get("launch_gallery")
    with tally.show_months(wanted):
        return work.make(wanted, index=pages is not None and (bool(pages) or work.is_index_missing(storage)))


@main.command()
@click.argument("start", type=Day(), required=False)
@click.argument("end", type=Day(), required=False)
@click.option(
    "--level",
    type=click.Choice(["quick", "full"]),
    default="quick",
    show_default=True,
    help="quick: files and sizes. full: digests and decoding, too; reads every file.",
)
@click.option(
    "--repair",
    is_flag=True,
    help="Bring again what is damaged, as a backfill does, and look again. What is whole is left as it is.",
)
@explained
def verify(start: date | None, end: date | None, level: Level, repair: bool) -> None:
    """Is everything still what the manifests say, from START to END, or everywhere?

    Exit code 0: it is, or is again. 1: it is not, and each problem is named. 2: wrong use. 130: Ctrl-C.
    """
    if start and not end:
        raise click.UsageError("Name both START and END, or neither.")
    days = _days(start, end) if start and end else None
    archive = Archive(Storage.named_by(Settings.read(os.environ), create=False))
    problems = _look(archive, days, level)
    again = f"{_called()} verify {f'{start} {end} ' if days else ''}--level {level} --repair"
    if problems and repair:
        _repair(archive, problems, level, again)
    elif problems:
        if any(problem.remedy is not Remedy.PERSON for problem in problems):
            click.echo(f"To mend what can be mended: {again}")
        sys.exit(FAILED)


def _look(archive: Archive, days: Sequence[date] | None, level: Level) -> list[Problem]:
    """Verify, and say each problem as it is found and at the end what was looked at."""
    looked_at = pictures = 0
    problems, unnamed = list[Problem](), list[Stored]()
    total = len(days) if days else None
    with Progress(
        Console(stderr=True), total, "days", came=lambda: [f"{pictures:,} pictures, {len(problems)} problems"]
    ) as progress:
        for part in verified(archive, days, level=level):
            for problem in part.problems:
                click.echo(problem.text)
            problems += part.problems
            unnamed += part.unnamed
            if part.day:
                looked_at, pictures = looked_at + 1, pictures + part.pictures
                progress.advance()
    if not looked_at:
        _stop(FAILED, f"{archive.storage.uri} holds no day that could be looked at. Is ROCKET_ASSETS_STORAGE right?")
    if unnamed:
        stored = size(sum(found.size for found in unnamed))
        told = f"{count(len(unnamed), 'picture')} of the pool ({stored}) named by no manifest: harmless."
        click.echo(f"{told} A launch has shown them before, or a day that could not be read shows them.")
    if aside := sum(1 for _ in archive.storage.list(keys.DAMAGED)):
        kept = f"{count(aside, 'damaged picture')} kept, for want of a whole one:"
        click.echo(f"{kept} {archive.storage.address(keys.DAMAGED)}")
    said = f"{count(looked_at, 'day')} and {count(pictures, 'picture')} looked at ({level})"
    click.echo(f"{said}: {count(len(problems), 'problem') if problems else 'no problems'}.")
    return problems


def _repair(archive: Archive, problems: Sequence[Problem], level: Level, again: str) -> None:
    """Mend what can be mended, and say what is left and why."""
    archive.storage.ensure_writable()
    home = _use_dagster_home()
    outcomes: list[Outcome] = []
    mended = mend(
        archive, problems, lambda launches, pictures: outcomes.append(_bring(home, launches, pictures)), level=level
    )
    # Of a month in which something is still damaged, what was made of it before is better.
    spoiled = {month_of(day) for problem in mended.left for day in problem.days}
    days = {day for problem in problems for day in problem.days if month_of(day) not in spoiled}
    if days and not any(outcome.interrupted for outcome in outcomes):
        outcomes.append(_make_again(home, days))
    failed = any(outcome.failures for outcome in outcomes)
    for outcome in outcomes:
        _list_failures(outcome)
    _list(f"{count(len(mended.lost), 'picture')} could not be had again:", [lost.text for lost in mended.lost])
    _list("What was there of a picture, damaged, is kept:", [archive.storage.address(key) for key in mended.aside])
    _list(f"{count(len(mended.left), 'problem')} left:", [problem.text for problem in mended.left])
    if failed:
        click.echo(f"What was whole still is. To go on: {again}", err=True)
    for day in sorted({day for lost in mended.lost for day in lost.days})[:_MOST_SHOWN]:
        click.echo(f"To try for pictures again: {_called()} backfill {day} {day} --assets launch_images", err=True)
    if any(outcome.interrupted for outcome in outcomes):
        click.echo(f"Stopped by Ctrl-C. What was whole still is. To go on: {again}", err=True)
        sys.exit(INTERRUPTED)
    if failed or mended.left or mended.lost:
        sys.exit(FAILED)
    click.echo("All of it is mended.")


def _bring(home: Path, launches: Sequence[date], pictures: Sequence[date]) -> Outcome:
    """Bring the launches of some days and the pictures of others, recorded as a backfill is."""
    from rocket_assets.backfill import DAILY, Backfill, records
    from rocket_assets.defs.partitions import days as partitions

    outside = [day for day in pictures if not partitions.has_partition_key(day.isoformat())]
    _list(f"{START_DATE.name} and {END_DATE.name} leave these days out:", [str(day) for day in outside])
    wanted = {
        asset: [day for day in days if day not in outside]
        for asset, days in zip(DAILY, (launches, pictures), strict=True)
    }
    tally = Tally()
    with records(home) as instance, tally.show(wanted):
        outcome = Backfill(instance, tally.add, tally.wait, tally.begin).bring(wanted)
    click.echo(f"{count(tally.days, 'day')} brought: {tally}.")
    return outcome


def _make_again(home: Path, days: Collection[date]) -> Outcome:
    """Make what there is of the months of these days: made while a picture was damaged, it does not show it."""
    from rocket_assets.backfill import MONTHLY, Backfill, records

    tally = Tally()
    with records(home) as instance:
        work = Backfill(instance, tally.add, tally.wait, tally.begin)
        wanted = {asset: work.made_months(days, asset) for asset in MONTHLY}
        with tally.show_months(wanted):
            return work.make(wanted, index=bool(wanted["launch_gallery"]))


@main.command()
@click.argument("start", type=Day(), required=False)
@click.argument("end", type=Day(), required=False)
@explained
def rebuild(start: date | None, end: date | None) -> None:
    """Tell Dagster which days the storage holds, from START to END, or all of them, and make their months of them.

    For a Dagster home that is new, or older than the storage. Asks neither the API nor anybody for a picture, and
    changes no day. What is on record as it is stored is left alone, so that the same command goes on where it was
    stopped.

    Exit code 0: all that is stored of these days is on record, but for days that the settings leave out. 1: some could
    not be read, and are named. 2: wrong use. 130: Ctrl-C.
    """
    if start and not end:
        raise click.UsageError("Name both START and END, or neither.")
    asked = set(_days(start, end)) if start and end else None
    archive = Archive(Storage.named_by(Settings.read(os.environ), create=False))

    from rocket_assets.backfill import MONTHLY, Backfill, records
    from rocket_assets.defs.partitions import days as partitions

    stored = [days & asked if asked else days for days in archive.list_days()]
    there = {day for day in set().union(*stored) if partitions.has_partition_key(day.isoformat())}
    if not any(stored):
        where = f"{archive.storage.uri} holds no day{f' from {start} to {end}' if asked else ''}"
        _stop(FAILED, f"{where}. Is ROCKET_ASSETS_STORAGE right?")
    home = _use_dagster_home()
    with records(home) as instance:
        problems = _record_days(instance, archive, *(days & there for days in stored))
        tally = Tally()
        work = Backfill(instance, tally.add, tally.wait, tally.begin)
        views = _make(work, tally, MONTHLY, sorted(there), archive.storage, came=())
    _report_views(views, archive.storage)
    _list(
        f"{START_DATE.name} and {END_DATE.name} leave these days out:",
        [str(day) for day in sorted(set().union(*stored) - there)],
    )
    _list("Of these days only the launches are stored; their pictures are to follow:", _without(stored, there))
    _list(f"{count(len(problems), 'file')} could not be recorded:", problems)
    if problems:
        click.echo(f"To mend them: {_called()} verify --level full --repair", err=True)
    if views.interrupted:
        sys.exit(INTERRUPTED)
    if problems or views.failures:
        sys.exit(FAILED)


def _without(stored: Sequence[Set[date]], among: Set[date]) -> list[str]:
    with_launches, with_pictures = stored
    return [str(day) for day in sorted((with_launches - with_pictures) & among)]


def _record_days(
    instance: DagsterInstance, archive: Archive, with_launches: Set[date], with_pictures: Set[date]
) -> list[str]:
    """Record what is stored, and say how much that was; what could not be is given back, in sentences."""
    from rocket_assets.rebuild import rebuild

    told, problems, began = Counter[str](), list[str](), monotonic()
    total = len(with_launches | with_pictures)

    def came() -> list[str]:
        return [f"{told['launches']:,} of launches and {told['launch_images']:,} of pictures are new to Dagster"]

    def left() -> str:
        seconds = (monotonic() - began) / max(1, told["days"]) * (total - told["days"])
        return f"{in_words(seconds)} left" if told["days"] else ""

    with Progress(Console(stderr=True), total, "days", came=came, left=left) as progress:
        for found in rebuild(instance, archive, with_launches, with_pictures):
            told.update(["days", *found.recorded])
            problems += found.problems
            progress.advance()
    click.echo(f"{count(total, 'day')} stored: {came()[0]}.")
    return problems


@main.command()
@click.option("--print", "only_print", is_flag=True, help="Say where it is, and open nothing.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Serve it on this port of this machine; 0 takes a free one."
)
@click.option(
    "--host",
    show_default=LOOPBACK,
    help="Serve it at this address, for a proxy on another machine or in another container: it asks for no login "
    "itself. The proxy calls it 127.0.0.1, for it answers to no name of others.",
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@explained
def gallery(only_print: bool, port: int | None, host: str | None, command: tuple[str, ...]) -> None:
    """Say where the gallery is, and open it in the browser where there is a desktop.

    With --port, serve it until Ctrl-C, from a folder or a bucket. With --port and a COMMAND (after --), run that with
    the gallery's address as its ROCKET_ASSETS_GALLERY_URL, and end with it.

    Exit code 0: it is there. 1: it is not, and what makes it is said. 2: wrong use. With a COMMAND: that of it.
    """
    if command and port is None:
        raise click.UsageError("A COMMAND is run beside the gallery that is served: name its --port, too.")
    if host and port is None:
        raise click.UsageError("--host says where the gallery is served: name its --port, too.")
    settings = Settings.read(os.environ)
    if port is not None:
        _serve_gallery(Storage.named_by(settings), host or LOOPBACK, port, command)
    elif _has_gallery(settings):
        _show_gallery(settings, only_print)
    else:
        _stop(FAILED, f"There is no gallery in {settings.storage} yet. {WHAT_MAKES_IT}")


def _serve_gallery(storage: Storage, host: str, port: int, command: Sequence[str]) -> None:
    with _started(GalleryServer(storage, host=host, port=port), port, host) as server:
        # It may be made while it is served; until then its address says what makes it.
        click.echo(f"The gallery of {storage.uri} is at {server.url} as long as this runs.")
        _serve(server, GALLERY_URL, command)


def _has_gallery(settings: Settings) -> bool:
    # Who looks into a folder that is not there does not make it.
    is_there = "://" in settings.storage or Path(settings.storage).expanduser().is_dir()
    return is_there and Storage.named_by(settings, create=False).find(keys.GALLERY_INDEX) is not None


def _show_gallery(settings: Settings, only_print: bool) -> None:
    storage = Storage.named_by(settings, create=False)
    address = (
        f"{settings.gallery_url}{keys.GALLERY_INDEX}" if settings.gallery_url else storage.address(keys.GALLERY_INDEX)
    )
    click.echo(address)
    if not settings.gallery_url and "://" in settings.storage:
        click.echo(f"To look at it: {_called()} gallery --port 3001")
    elif not only_print and _has_desktop():
        click.launch(address)


def _has_desktop() -> bool:
    return sys.platform != "linux" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


@main.command("settings")
@explained
def show_settings() -> None:
    """Show the settings in force, and make the Dagster home ready.

    Exit code 0: all of them fit. 2: one does not, and is named.
    """
    settings = Settings.read(os.environ)
    _use_dagster_home()
    lines = {
        setting.name: _value(getattr(settings, field.name), is_secret=not field.repr)
        for setting, field in zip(ALL, fields(settings), strict=True)
    }
    lines["DAGSTER_HOME"] = os.environ["DAGSTER_HOME"]
    for name, value in lines.items():
        click.echo(f"{name:<{max(map(len, lines)) + 2}}{value}")
    for name, value in dotenv_values(Path.cwd() / ".env").items():
        if value and os.environ[name] != value:
            click.echo(f"{name} is another in .env. These commands take the one above, `dagster dev` that of .env.")


def _value(value: Any, *, is_secret: bool) -> str:
    """The value of a setting for people."""
    if value in (None, ()):
        return "none"
    if is_secret:
        return "(set)"
    return ", ".join(value) if isinstance(value, tuple) else str(value)


@main.command("sample-library", context_settings={"ignore_unknown_options": True})
@click.option(
    "--port", type=click.IntRange(0, 65535), default=SAMPLE_PORT, show_default=True, help="0 takes a free one."
)
@click.option("--throttle", type=click.IntRange(min=1), help="Requests an hour; the real library takes 15.")
@click.option("--latency", default=0.0, help="Seconds before each answer.")
@click.option(
    "--story",
    is_flag=True,
    help="A week of December 2024 in five minutes: a launch is announced, slips twice, flies, and gets its outcome and "
    "its picture.",
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@explained
def sample_library(port: int, throttle: int | None, latency: float, story: bool, command: tuple[str, ...]) -> None:
    """Serve the sample library: a small Launch Library, for working without a network.

    With a COMMAND (after --), run that with the sample library as its ROCKET_ASSETS_API_URL, and end with it. Without
    one, serve until Ctrl-C and say each request.
    """
    if story and throttle:
        raise click.UsageError("--throttle counts real hours, and those of the --story are seconds. Name one of them.")

    from rocket_assets.sample_library.server import LibraryServer, Request
    from rocket_assets.sample_library.story import StoryClock, as_of

    def say(request: Request) -> None:
        if not command:
            click.echo(f"{request.status} {request.method} {request.path}")

    if command and not (story or throttle or latency) and _is_sample_library(port):
        # Another `make` target serves it already; the files of the demo hold its address, so that one is as good.
        # A story, though, is to be seen from its beginning.
        click.echo(f"The sample library that is at port {port} already is asked, as it stands there.", err=True)
        sys.exit(_run(command, {**os.environ, API_URL.name: f"http://127.0.0.1:{port}/2.3.0/"}))
    server = LibraryServer(port=port, throttle=throttle, latency=latency, on_request=say)
    if story:
        server = LibraryServer(port=port, latency=latency, on_request=say, clock=StoryClock(), as_of=as_of)
    with _started(server, port):
        if not command:
            click.echo(f"The sample library is at {server.url} until Ctrl-C. To use it: {API_URL.name}={server.url}")
        _serve(server, API_URL, command)


class Server(Protocol):
    """What listens on a port of this machine."""

    @property
    def url(self) -> str:
        """Where it is."""
        ...

    def start(self) -> Any:
        """Listen, or raise OSError."""

    def stop(self) -> None:
        """Listen no more."""

    def serve_forever(self) -> None:
        """Until KeyboardInterrupt."""


_Server = TypeVar("_Server", bound=Server)


@contextmanager
def _started(server: _Server, port: int, host: str = LOOPBACK) -> Iterator[_Server]:
    """A server that listens, until the block ends or Ctrl-C ends it."""
    place, options = (f"Port {port}", "--port") if host == LOOPBACK else (f"Port {port} of {host}", "--host or --port")
    try:
        server.start()
    except OSError as error:
        _stop(FAILED, f"{place} cannot be listened on: {error.strerror}. Choose another with {options}.")
    try:
        yield server
    except KeyboardInterrupt:
        click.echo("Stopped.")
    finally:
        server.stop()


def _serve(server: Server, setting: Setting, command: Sequence[str]) -> None:
    """Serve until Ctrl-C, or for a command that finds the address in a setting, and end with it."""
    if command:
        sys.exit(_run(command, {**os.environ, setting.name: server.url}))
    server.serve_forever()


def _report(outcome: Outcome, tally: Tally, archive: Archive) -> None:
    """Say what came, and what did not and why."""
    if outcome.interrupted:
        click.echo("Stopped by Ctrl-C.")
    click.echo(f"{count(tally.days, 'day')} brought: {tally}.")
    click.echo(f"Launches: {archive.storage.address(keys.LAUNCHES)}")
    click.echo(f"Pictures: {archive.storage.address(keys.IMAGES)}")
    refused = [
        f"{day} {entry.launch_name}: {entry.reason}"
        for day in sorted(tally.days_with_refusals)
        for entry in archive.read_manifest(day).refused
    ]
    _list(
        f"{count(len(refused), 'address', 'addresses')} gave no picture. The days stand, with an earlier one if any:",
        refused,
    )
    rows = [f"{day}: {reason}" for day in sorted(tally.days_with_refused_rows) for reason in archive.read_refused(day)]
    _list(
        f"{count(len(rows), 'row')} of the Launch Library could not be read. The days stand, with what was stored "
        "of it before. The library gave:",
        rows,
    )
    _list_failures(outcome)


def _report_views(views: Outcome, storage: Storage) -> None:
    """Say where what was made of the days is, and what could not be made and why."""
    if views.interrupted:
        click.echo("Stopped by Ctrl-C; the gallery and the table are not all made yet. The same command goes on.")
    made = {asset: sum(name == asset for name, _ in views.recorded) for asset in views.wanted}
    if made.get("launch_table"):
        click.echo(f"Table:    {storage.address(keys.TABLE)} ({count(made['launch_table'], 'month')} made)")
    if made.get("launch_gallery"):
        click.echo(f"Gallery:  {storage.address(keys.GALLERY_INDEX)} ({count(made['launch_gallery'], 'month')} made)")
    _list_failures(views)


def _report_nothing(*, only_missing: bool) -> None:
    if only_missing:
        click.echo("Nothing is missing: all of these days are recorded and stored, and so is what is made of them.")
        return
    _stop(FAILED, "No day of these months has its pictures on record: bring launches and launch_images first.")


def _list_failures(outcome: Outcome) -> None:
    _list(
        f"{count(len(outcome.failures), 'run')} failed:",
        [f"{failed.asset}{_of(failed.days)}: {failed.reason}" for failed in outcome.failures],
    )


def _of(days: tuple[date, date] | None) -> str:
    return f" {days[0]} to {days[1]}" if days else ""


def _list(title: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    click.echo(title, err=True)
    for line in lines[:_MOST_SHOWN]:
        click.echo(f"  {line}", err=True)
    if len(lines) > _MOST_SHOWN:
        click.echo(f"  … and {len(lines) - _MOST_SHOWN} more", err=True)


def _days(start: date, end: date) -> list[date]:
    if end < start:
        raise click.UsageError(f"END ({end}) is before START ({start}).")
    return list(days_between(start, end))


def _use_dagster_home() -> Path:
    """Take the Dagster home of DAGSTER_HOME, or else ./.dagster, with a dagster.yaml: Dagster looks nowhere else."""
    ours = [Path.cwd() / home for home in _OUR_HOMES]
    home = Path(os.environ.get("DAGSTER_HOME") or ours[0])
    is_ours = home.resolve() in [path.resolve() for path in ours]
    if not home.is_absolute() or not (is_ours or home.is_dir()):
        _stop(WRONG_USE, f"DAGSTER_HOME is {str(home)!r}; what fits is the absolute path of a folder that exists.")
    try:
        home.mkdir(parents=True, exist_ok=True)
        _keep_dagster_yaml(home / "dagster.yaml", is_ours)
    except OSError as error:
        _stop(FAILED, f"Dagster's records cannot be kept in {home}: {error.strerror}. Set DAGSTER_HOME to another.")
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def _keep_dagster_yaml(file: Path, is_ours: bool) -> None:
    """Put our dagster.yaml where none is. One that differs is renewed in a home of ours, and its owner's elsewhere."""
    wanted = resources.files("rocket_assets").joinpath("dagster.yaml").read_bytes()
    if file.exists():
        if not is_ours or file.read_bytes() == wanted:
            return
        file.replace(file.with_name("dagster.yaml.old"))
        click.echo(f"{file} was not that of this version: it is now, and the former is dagster.yaml.old.", err=True)
    # Whole or not at all: half of it would be taken for its owner's own.
    beside = file.with_name(f"dagster.yaml.{os.getpid()}")
    try:
        beside.write_bytes(wanted)
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


def _is_sample_library(port: int) -> bool:
    """Whether what listens on a port of this machine is a sample library."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/2.3.0/api-throttle/", timeout=2) as answer:
            return "rocket_assets sample library" in answer.headers["Server"]
    except (OSError, TypeError):
        return False


def _run(command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run a command to its end; it is given the time to end by itself after Ctrl-C, and a termination is passed on."""
    try:
        process = subprocess.Popen(command, env=environ)  # noqa: S603 - who types this one types that, and no shell reads it
    except OSError as error:
        _stop(WRONG_USE, f"{command[0]} cannot be run: {error.strerror}.")
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue


def _called() -> str:
    """This command as it can be typed here, on the same storage, so that what we advise is about what was looked at."""
    called = Path(sys.argv[0]).absolute()
    if shutil.which(called.name) == str(called):
        called = Path(called.name)
    elif called.is_relative_to(Path.cwd()):
        called = called.relative_to(Path.cwd())
    told = click.get_current_context().find_root().obj
    return f"{STORAGE.name}={quote(told)} {quote(str(called))}" if told else quote(str(called))


def _stop(code: int, message: str) -> NoReturn:
    click.echo(f"Error: {message}", err=True)
    sys.exit(code)
