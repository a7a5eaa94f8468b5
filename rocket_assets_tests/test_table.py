"""The table of a month: read back by another program, it says what the launches and their manifests say."""

from __future__ import annotations

import copy
import random
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from arro3.io import read_parquet
from hypothesis import given, settings
from hypothesis import strategies as st

from rocket_assets import storage as keys
from rocket_assets.archive import Archive, Entry
from rocket_assets.bringing import bring_images
from rocket_assets.gallery.cards import cards
from rocket_assets.gallery.licences import Licences
from rocket_assets.images import ImageLibrary
from rocket_assets.launches import Launch, Outcome, data_version, parse, read_row
from rocket_assets.months import Month, Shown, read_month
from rocket_assets.sample_library import catalogue
from rocket_assets.sample_library.server import LibraryServer
from rocket_assets.storage import Storage
from rocket_assets.table import COLUMNS, write_month

DECEMBER = date(2024, 12, 1)
README = Path(__file__).parents[1] / "README.md"

SAID: dict[str, Callable[[Launch], Any]] = {
    "id": lambda launch: launch.id,
    "name": lambda launch: launch.name,
    "net": lambda launch: launch.net,
    "net_precision": lambda launch: launch.precision,
    "status": lambda launch: launch.status,
    "provider": lambda launch: launch.provider,
    "rocket": lambda launch: launch.rocket,
    "family": lambda launch: launch.family,
    "pad": lambda launch: launch.pad,
    "place": lambda launch: launch.place,
    "latitude": lambda launch: launch.latitude,
    "longitude": lambda launch: launch.longitude,
    "mission": lambda launch: launch.mission,
    "type": lambda launch: launch.mission_type,
    "orbit": lambda launch: launch.orbit,
}
"""What each column says of a launch, but for those of its picture."""

OF_THE_PICTURE = ("picture_key", "sha256", "width", "height", "credit", "licence")

TYPES = {"string": "VARCHAR", "timestamp": "TIMESTAMP WITH TIME ZONE", "double": "DOUBLE", "int": "BIGINT"}
"""The words for people, and those of DuckDB."""


def launch(number: int, net: str = "2024-12-05T12:00:00Z", **row: Any) -> Launch:
    return parse({"id": f"id-{number:04}", "name": f"Rocket | {number}", "net": net} | row, "here")


def pictured(number: int, **entry: Any) -> Shown:
    of = launch(number)
    what = {"file": "a.jpeg", "sha256": f"{number:064x}", "bytes": 1, "format": "JPEG", "width": 4, "height": 3}
    return Shown(of, Entry(of.id, of.name, **what | entry))


def month(*launches: Launch | Shown) -> Month:
    return Month(DECEMBER, [], [one if isinstance(one, Shown) else Shown(one, None) for one in launches])


def rows_of(storage: Storage) -> list[dict[str, Any]]:
    """What DuckDB reads of December 2024."""
    with duckdb.connect() as connection:
        read = connection.execute("FROM read_parquet(?)", [storage.address(keys.table_key(DECEMBER))])
        names = [column[0] for column in read.description or ()]
        return [dict(zip(names, row, strict=True)) for row in read.fetchall()]


def written(storage: Storage, *launches: Launch | Shown) -> list[dict[str, Any]]:
    made = write_month(storage, month(*launches))
    rows = rows_of(storage)
    assert made.rows == len(rows) == len(launches)
    return rows


def saying(one: Launch) -> dict[str, Any]:
    return {name: said(one) for name, said in SAID.items()}


# What a table says

# Any texts, half pairs of surrogates and control characters included, and what a text is not.
TEXTS = (
    st.none() | st.text(st.characters(exclude_categories=[]), max_size=30) | st.sampled_from(["'; --", "NULL", "a,b"])
)
ROWS = st.fixed_dictionaries(
    {
        "id": st.uuids().map(str),
        "name": TEXTS,
        "net": st.datetimes(datetime(1957, 10, 4), datetime(2039, 12, 31)).map(lambda net: f"{net.isoformat()}Z"),  # noqa: DTZ001 - the Z is its zone
        "net_precision": st.none() | st.fixed_dictionaries({"id": st.integers(0, 16), "name": TEXTS}),
        "status": st.none() | st.fixed_dictionaries({"id": st.integers(1, 9), "abbrev": TEXTS, "name": TEXTS}),
        "launch_service_provider": st.none() | st.fixed_dictionaries({"name": TEXTS}),
        "rocket": st.fixed_dictionaries(
            {
                "configuration": st.fixed_dictionaries(
                    {"full_name": TEXTS, "families": st.lists(st.fixed_dictionaries({"name": TEXTS}), max_size=2)}
                )
            }
        ),
        "pad": TEXTS
        | st.fixed_dictionaries(
            {
                "name": TEXTS,
                "latitude": st.floats() | TEXTS,
                "longitude": st.floats() | st.floats(-180, 180).map(str),
                "location": st.fixed_dictionaries({"name": TEXTS}),
            }
        ),
        "mission": TEXTS
        | st.fixed_dictionaries(
            {"name": TEXTS, "type": TEXTS, "orbit": st.none() | st.fixed_dictionaries({"name": TEXTS})}
        ),
    }
)


@given(st.lists(ROWS, max_size=20, unique_by=lambda row: row["id"]))
@settings(max_examples=60, deadline=None)
def test_read_back_it_says_of_any_launches_what_they_say(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    storage = Storage(str(tmp_path_factory.mktemp("any")))
    launches = [parse(row, "here") for row in rows]
    expected = sorted((saying(one) for one in launches), key=lambda row: (row["net"], row["id"]))
    assert written(storage, *launches) == [row | dict.fromkeys(OF_THE_PICTURE) for row in expected]


def test_its_columns_are_those_that_are_described_in_their_order_and_of_their_types(storage: Storage) -> None:
    write_month(storage, month(pictured(1)))
    assert [column.name for column in COLUMNS] == [*SAID, *OF_THE_PICTURE]
    with duckdb.connect() as connection:
        address = storage.address(keys.table_key(DECEMBER))
        shown = connection.execute("DESCRIBE FROM read_parquet(?)", [address]).fetchall()
    assert [row[:2] for row in shown] == [(column.name, TYPES[column.type]) for column in COLUMNS]


def test_the_file_says_itself_what_its_columns_mean_and_which_are_always_there(storage: Storage) -> None:
    write_month(storage, month())
    schema = read_parquet(storage.address(keys.table_key(DECEMBER))).schema
    fields = [schema.field(column.name) for column in COLUMNS]
    assert [field.metadata_str for field in fields] == [{"comment": column.meaning} for column in COLUMNS]
    assert [field.name for field in fields if not field.nullable] == ["id", "name", "net"]


def test_every_meaning_is_one_sentence() -> None:
    assert [column.name for column in COLUMNS if not re.fullmatch(r"[A-Z][^\n]+[.…]", column.meaning)] == []


def test_a_launch_with_a_picture_says_where_it_is_and_whose(storage: Storage) -> None:
    one = pictured(1, credit="NASA", licence="CC BY 4.0", file="rocket-id-0001.png", width=2**40, height=2**62)
    (row,) = written(storage, one)
    assert {name: row[name] for name in OF_THE_PICTURE} == {
        "picture_key": "images/2024/2024-12-05/rocket-id-0001.png",
        "sha256": f"{1:064x}",
        "width": 2**40,
        "height": 2**62,
        "credit": "NASA",
        "licence": "CC BY 4.0",
    }


@pytest.mark.parametrize(
    "shown",
    [
        Shown(launch(1), None),
        Shown(launch(1), Entry("id-0001", "A", reason="No address.", credit="NASA", licence="CC BY 4.0")),
        pictured(1, sha256=None, credit="NASA", licence="CC BY 4.0"),
    ],
    ids=["to follow", "none", "half"],
)
def test_where_there_is_no_picture_nothing_is_said_of_one(storage: Storage, shown: Shown) -> None:
    (row,) = written(storage, shown)
    assert {row[name] for name in OF_THE_PICTURE} == {None}


def test_a_picture_of_which_nobody_says_whose_it_is_has_neither_credit_nor_licence(storage: Storage) -> None:
    (row,) = written(storage, pictured(1))
    assert (row["sha256"], row["credit"], row["licence"]) == (f"{1:064x}", None, None)


def test_half_of_a_pair_of_surrogates_in_a_manifest_is_written_as_its_escape(storage: Storage) -> None:
    (row,) = written(storage, pictured(1, credit="half \ud83d of it", licence="\U0001f680"))
    assert (row["credit"], row["licence"]) == (r"half \ud83d of it", "\U0001f680")


@pytest.mark.parametrize("net", ["1957-10-04T19:28:34.000001Z", "1969-12-31T23:59:59.999999Z", "2039-12-31T23:59:59Z"])
def test_a_time_is_what_it_was_to_the_microsecond(storage: Storage, net: str) -> None:
    (row,) = written(storage, launch(1, net))
    assert row["net"] == datetime.fromisoformat(net)


def test_rows_are_in_the_order_of_their_net_and_then_of_their_id(storage: Storage) -> None:
    late, second, first = launch(1, "2024-12-31T00:00:00Z"), launch(3), launch(2)
    assert [row["id"] for row in written(storage, late, second, first)] == [first.id, second.id, late.id]


def test_a_month_without_launches_has_no_rows_and_all_columns(storage: Storage) -> None:
    made = write_month(storage, month())
    assert (made.rows, made.changed) == (0, True)
    with duckdb.connect() as connection:
        read = connection.execute("FROM read_parquet(?)", [storage.address(made.key)])
        assert [column[0] for column in read.description or ()] == [column.name for column in COLUMNS]
        assert read.fetchall() == []


# Twice is the same as once


def test_the_same_launches_give_the_same_bytes_and_nothing_is_written(storage: Storage) -> None:
    launches = [pictured(number) for number in range(300)]
    made = write_month(storage, month(*launches))
    file = Path(storage.address(made.key))
    before = file.stat()
    random.Random(1).shuffle(launches)
    again = write_month(storage, month(*launches))
    assert (made.changed, again.changed) == (True, False)
    assert (again.version, again.bytes) == (made.version, made.bytes)
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_another_process_gives_the_same_bytes(storage: Storage) -> None:
    """Some libraries keep metadata in an order that is drawn anew in each process."""
    made = write_month(storage, month(*(pictured(number) for number in range(9))))
    code = """
from rocket_assets.storage import Storage
from rocket_assets_tests.test_table import month, pictured, write_month
print(write_month(Storage("memory://"), month(*(pictured(number) for number in range(9)))).version)
"""
    root = Path(__file__).parents[1]
    for seed in ("1", "2", "3"):
        env = {"PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", code], env=env, cwd=root, capture_output=True, text=True)
        assert done.stdout.strip() == made.version, done.stderr


def test_a_launch_that_changed_changes_the_file_and_its_version(storage: Storage) -> None:
    first = write_month(storage, month(launch(1)))
    second = write_month(storage, month(launch(1, status={"id": 3, "abbrev": "Success"})))
    assert second.changed
    assert second.version != first.version
    assert re.fullmatch(r"[0-9a-f]{16}", second.version)


def test_thousands_of_launches_are_one_file_of_one_row_group(storage: Storage) -> None:
    start = datetime(2024, 12, 1, tzinfo=UTC)
    many = [launch(number, f"{start + timedelta(minutes=5 * number):%Y-%m-%dT%H:%M:%SZ}") for number in range(5000)]
    assert [row["id"] for row in written(storage, *many)] == [one.id for one in many]
    with duckdb.connect() as connection:
        address = storage.address(keys.table_key(DECEMBER))
        groups = connection.execute("SELECT num_row_groups FROM parquet_file_metadata(?)", [address]).fetchall()
    assert groups == [(1,)]


# Three questions of the README


@pytest.fixture
def answers(tmp_path: Path) -> tuple[list[list[tuple[Any, ...]]], list[Shown]]:
    """What the README's SQL says of the sample library, one planned launch and one in the last hour of a year.

    It is asked from the folder in which `data` is, and far from Greenwich.
    """
    archive = Archive(Storage(str(tmp_path / "data")))
    with LibraryServer() as server:
        rows = catalogue.launches(server.base_url)
        rows += [
            rows[-1] | {"id": "planned", "net": "2025-12-31T23:30:00Z", "status": {"id": 1, "abbrev": "Go"}},
            rows[-1] | {"id": "new-year", "net": "2021-12-31T23:30:00Z"},
        ]
        by_day: dict[date, list[Launch]] = defaultdict(list)
        for one in (parse(row, "here") for row in rows):
            by_day[one.day].append(one)
        for day, launches in by_day.items():
            archive.write_launches(day, "here", launches)
        with ImageLibrary(archive.storage, api_url=server.url) as library:
            list(bring_images(archive, by_day, library))
    months = [read_month(archive, first) for first in {day.replace(day=1) for day in by_day}]
    for one in months:
        write_month(archive.storage, one)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'Pacific/Auckland'")
        read = [connection.execute(question).fetchall() for question in _questions()]
    return read, [shown for one in months for shown in one.launches]


def _questions() -> list[str]:
    """The SQL in the README."""
    section = README.read_text().partition("## Ask it\n")[2].partition("\n## ")[0]
    questions = [block for block in re.findall(r"(?:^ {4}.*\n)+", section, re.MULTILINE) if "SELECT" in block]
    assert len(questions) == 3
    return questions


def _by(flights: Iterable[Launch], what: Callable[[Launch], Any]) -> dict[Any, list[Launch]]:
    found: dict[Any, list[Launch]] = defaultdict(list)
    for flight in flights:
        found[what(flight)].append(flight)
    return found


def test_the_questions_of_the_readme_are_answered_as_the_launches_answer_them(
    answers: tuple[list[list[tuple[Any, ...]]], list[Shown]],
) -> None:
    (years, rockets, pictures), launches = answers
    flown = [shown.launch for shown in launches if shown.launch.is_final]
    assert len(launches) - len(flown) == 1

    assert years == sorted(Counter(flight.day.year for flight in flown).items())

    successes = {
        rocket: (len(flights), 100 * sum(flight.outcome is Outcome.SUCCESS for flight in flights) / len(flights))
        for rocket, flights in _by(flown, lambda flight: flight.rocket).items()
        if len(flights) >= 10
    }
    assert {rocket: (flights, pytest.approx(percent, abs=0.05)) for rocket, flights, percent in rockets} == successes
    assert len(successes) > 1
    assert [row[2] for row in rockets] == sorted((row[2] for row in rockets), reverse=True)

    without: dict[str | None, list[str]] = defaultdict(list)
    for shown in launches:
        if shown.entry and shown.entry.sha256 and shown.entry.licence in (None, "Unknown"):
            without[shown.entry.credit].append(shown.entry.sha256)
    assert {credit: (pictures, many) for credit, pictures, many in pictures} == {
        credit: (len(set(shown)), len(shown)) for credit, shown in without.items()
    }
    assert without


def _leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of each text and number in a row."""
    named = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in named:
        yield from _leaves(inner, (*path, name))
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        yield path


def _with_another(row: dict[str, Any], path: tuple[str | int, ...]) -> dict[str, Any]:
    other = copy.deepcopy(row)
    holder: Any = other
    for name in path[:-1]:
        holder = holder[name]
    value = holder[path[-1]]
    holder[path[-1]] = f"{value}x" if isinstance(value, str) else value + 1
    return other


def test_what_a_table_or_a_card_says_of_a_launch_is_in_the_data_version_of_its_day() -> None:
    """Or a corrected coordinate would never reach the file of its month."""
    row = dict(catalogue.launches("http://here")[-1])
    first, seen, unseen = parse(row, "here"), 0, []
    for path in _leaves(row):
        other = read_row(_with_another(row, path))
        if not isinstance(other, Launch):
            continue
        says = [(saying(one), cards([Shown(one, None)], Licences(), {}, "2024-12")) for one in (first, other)]
        seen += says[0] != says[1]
        if says[0] != says[1] and data_version([first]) == data_version([other]):
            unseen.append(path)
    assert unseen == []
    assert seen > 15
