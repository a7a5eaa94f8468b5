"""What holds for any launches and for any answer, however odd: found by chance, and kept as sentences."""

from __future__ import annotations

import json
import random
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rocket_assets.archive import Archive
from rocket_assets.bringing import bring_images
from rocket_assets.errors import RocketAssetsError
from rocket_assets.images import ImageLibrary
from rocket_assets.launch_library import LaunchLibrary
from rocket_assets.launches import Refusal, changed, read_row
from rocket_assets.network import Limits, Timeout
from rocket_assets.sample_library import catalogue
from rocket_assets.sample_library.server import LibraryServer
from rocket_assets.storage import Storage
from rocket_assets.verification import verify
from rocket_assets_tests.recordings import FOLDER, needed
from rocket_assets_tests.scripted_server import HERE, JSON, Answer, Request, ScriptedServer
from rocket_assets_tests.test_images import picture

FIRST, LAST = date(1957, 10, 4), date(2039, 12, 31)
LIMITS = Limits(bytes=1_000_000, seconds=5)
QUICK = Timeout(connect=1, read=1)

Row = dict[str, Any]


def row(number: int, net: datetime) -> Row:
    return {
        "id": str(uuid.UUID(int=number)),
        "name": f"Rocket | {number}",
        "net": f"{net:%Y-%m-%dT%H:%M:%SZ}",
        "last_updated": "2026-01-01T00:00:00Z",
    }


# The moments at which days, months, leap years and the archive itself begin and end, and any others.
EDGES = [
    datetime(1957, 10, 4, 19, 28, 34, tzinfo=UTC),
    datetime(1957, 10, 4, tzinfo=UTC),
    datetime(1972, 6, 30, 23, 59, 59, tzinfo=UTC),
    datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC),
    datetime(2000, 2, 29, tzinfo=UTC),
    datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC),
    datetime(2024, 3, 1, tzinfo=UTC),
    datetime(2039, 12, 31, 23, 59, 59, tzinfo=UTC),
]
MOMENTS = st.sampled_from(EDGES) | st.datetimes(
    datetime(1957, 10, 4),  # noqa: DTZ001 - hypothesis adds the zone
    datetime(2039, 12, 31, 23, 59, 59),  # noqa: DTZ001 - as above
    timezones=st.just(UTC),
)


@given(st.lists(MOMENTS, max_size=130))
@example([EDGES[5]] * 120)
@settings(max_examples=30, deadline=None)
def test_launches_at_any_times_cut_into_days_and_read_back_are_the_same_launches(nets: list[datetime]) -> None:
    rows = [row(number, net) for number, net in enumerate(nets)]
    storage = Storage(f"memory://{uuid.uuid4()}")
    archive = Archive(storage)
    days = sorted({net.date() for net in nets})
    with LibraryServer(rows=lambda _: rows) as server, LaunchLibrary(server.url, backoff=0) as library:
        # Half of them as one range, the others each alone.
        cut = days[len(days) // 2] if days else FIRST
        windows = [(days[0], cut)] if days and cut > days[0] else []
        windows += [(day, day + timedelta(days=1)) for day in days if day >= cut]
        for start, end in windows:
            for day in library.days(start, end):
                if day.launches:
                    archive.write_day(day)
    read = {day: archive.read_launches(day) for day in days}
    assert sorted((launch.row["id"], launch.row["net"]) for day in days for launch in read[day]) == sorted(
        (one["id"], one["net"]) for one in rows
    )
    assert all(launch.day == day for day, launches in read.items() for launch in launches)
    stored = [launch for launches in read.values() for launch in launches]
    assert all(any(launch.row == one for one in rows) for launch in stored)


# Answers, mutated


def mutated(value: Any, chance: random.Random) -> Any:
    """A JSON value in which something, somewhere, is another."""
    if isinstance(value, dict) and value and chance.random() < 0.85:
        telling = [key for key in TELLING if key in value]
        key = chance.choice(telling if telling and chance.random() < 0.6 else list(value))
        what = chance.random()
        if what < 0.1:
            return {name: inner for name, inner in value.items() if name != key}
        if what < 0.15:
            return {chance.choice(ODD_TEXTS) if name == key else name: inner for name, inner in value.items()}
        return {name: mutated(inner, chance) if name == key else inner for name, inner in value.items()}
    if isinstance(value, list) and value and chance.random() < 0.9:
        at = chance.randrange(len(value))
        what = chance.random()
        if what < 0.1:
            return value[:at] + value[at + 1 :]
        if what < 0.2:
            return [*value, value[at]]
        return [*value[:at], mutated(value[at], chance), *value[at + 1 :]]
    return chance.choice([*ODD_TEXTS, *ODD_VALUES])


TELLING = ["results", "id", "net", "image", "image_url", "name", "last_updated", "count", "next"]
"""The keys by which something is decided; the others are only kept."""

ODD_TEXTS = [
    "",
    " ",
    "../../../../etc/passwd",
    "/etc/passwd",
    "..\\..\\x",
    "\x00",
    "\x1b[2J",
    "\ud800",
    "\u202ex",
    "x" * 5000,
    "#0",
    "%2e%2e%2f",
    "http://127.0.0.1:1/x",
    "file:///etc/passwd",
    "//x/y",
    "2024-12-05T00:00:00Z",
    "9999-12-31T23:59:59-23:59",
    "0000-00-00",
    "NaN",
]
ODD_VALUES: list[Any] = [
    None, True, False, 0, -1, 7, 2**70, 10**4400, 1e308, float("nan"), float("-inf"), [], {}, [[]], {"": {}},
]  # fmt: skip


def bent(body: bytes, chance: random.Random) -> bytes:
    """Bytes in which some are others, or are missing, or come twice."""
    spoiled = bytearray(body)
    for _ in range(chance.choice((1, 1, 3, 30))):
        at = chance.randrange(len(spoiled) + 1)
        what = chance.random()
        if what < 0.5 and at < len(spoiled):
            spoiled[at] ^= 1 << chance.randrange(8)
        elif what < 0.7:
            del spoiled[at : at + chance.choice((1, 5, 500))]
        elif what < 0.9:
            spoiled[at:at] = chance.randbytes(chance.choice((1, 9)))
        else:
            spoiled[at:at] = spoiled[at : at + 200]
    return bytes(spoiled)


def answer_of(rows: list[Row]) -> Row:
    return {"count": len(rows), "next": None, "previous": None, "results": rows}


@contextmanager
def a_house() -> Iterator[Path]:
    """A folder with a storage in it, and much else around that has to stay as it is."""
    with tempfile.TemporaryDirectory() as root:
        (Path(root) / "home" / "storage").mkdir(parents=True)
        (Path(root) / "home" / "neighbour").write_text("mine")
        yield Path(root)


def around(root: Path) -> dict[str, bytes]:
    """Everything in the house that is not in the storage."""
    paths = [path for path in root.rglob("*") if path.is_file() and root / "home" / "storage" not in path.parents]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


class Hostile:
    """A library whose pages are spoiled, and a host of pictures that are."""

    def __init__(self, seed: int, rows: list[Row]) -> None:
        self.chance = random.Random(seed)
        self.rows = rows

    def __call__(self, request: Request) -> Answer:
        if not request.path.startswith("/2.3.0/"):
            return Answer(200, bent(picture(shade=1), self.chance) if self.chance.random() < 0.5 else picture(shade=1))
        page: Any = answer_of(self.rows)
        for _ in range(self.chance.choice((0, 1, 1, 3, 12))):
            page = mutated(page, self.chance)
        body = json.dumps(page).encode()
        if self.chance.random() < 0.3:
            body = bent(body, self.chance)
        return Answer(self.chance.choice((200, 200, 200, 200, 500, 404, 429)), body, JSON)


def rows_of_the_catalogue(base_url: str) -> list[Row]:
    return [one for one in catalogue.launches(base_url) if "2024-12-03" <= one["net"] < "2024-12-07"]


@given(st.integers(0, 2**32))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_promise_2_and_3_no_answer_whatever_makes_anything_but_our_errors_nor_writes_outside_the_storage(
    seed: int,
) -> None:
    no_answer_does_harm(seed, rows_of_the_catalogue)


@needed
@pytest.mark.parametrize("seed", range(20))
def test_no_recorded_answer_does_harm_however_it_is_spoiled(seed: int) -> None:
    rows = json.loads((FOLDER / "2.3.0" / "launches_list_2025-03-15.json").read_bytes())["results"]
    days = [date.fromisoformat(one["net"][:10]) for one in rows]

    def shown_by(base_url: str) -> list[Row]:
        return [{**one, "image": {**one["image"], "image_url": f"{base_url}/{n}.png"}} for n, one in enumerate(rows)]

    no_answer_does_harm(seed, shown_by, min(days), max(days))


def no_answer_does_harm(seed: int, rows: Any, first: date = date(2024, 12, 3), last: date = date(2024, 12, 6)) -> None:
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    hostile = Hostile(seed, [])
    with a_house() as root, ScriptedServer(hostile) as server:
        hostile.rows = rows(server.url(""))
        outside = around(root)
        archive = Archive(Storage(str(root / "home" / "storage")))
        for _ in range(4):
            with suppress(RocketAssetsError):
                ask_everything(server.url("/2.3.0/"), archive, first, last)
            with ImageLibrary(
                archive.storage, api_url=HERE, backoff=0, retries=0, timeout=QUICK, limits=LIMITS
            ) as images:
                for image_day in bring_images(archive, days, images):
                    assert image_day.manifest or image_day.error
        assert around(root) == outside
        # What is stored is whole, whatever came; what is missing was refused.
        problems = [problem for part in verify(archive, level="full") for problem in part.problems]
        assert not [str(problem) for problem in problems if "is missing" not in str(problem)]
        for path in (root / "home" / "storage").rglob("*.json"):
            json.loads(path.read_bytes().decode("utf-8"))


def ask_everything(url: str, archive: Archive, first: date, last: date) -> None:
    """Bring the launches of these days, as the asset does, and look for what was updated, as the sensor does."""
    with LaunchLibrary(url, backoff=0, retries=0, timeout=QUICK, limits=LIMITS) as library:
        for day in library.days(first, last + timedelta(days=1)):
            archive.write_day(day)
        for page in library.updated():
            changed({}, page.launches)


KEYS = st.sampled_from(["id", "net", "name", "image", "status", "image_url", "license", "mission", "pad", "location"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(KEYS | st.text(), inner),
    max_leaves=20,
)


@given(VALUES)
def test_any_value_is_a_launch_or_is_refused_and_what_is_shown_of_it_is_printable(value: Any) -> None:
    read = read_row({"id": "a", "net": "2024-12-05T00:00:00Z", **value} if isinstance(value, dict) else value)
    if isinstance(read, Refusal):
        assert read.reason.isprintable()
    else:
        assert f"{read.name}{read.status}{read.rocket}{read.precision}".isprintable()
        assert read.facts()["id"] == read.id
