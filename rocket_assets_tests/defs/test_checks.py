"""Each check, once true and once false, on what is stored."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import dagster as dg
import pytest

from rocket_assets.archive import Archive
from rocket_assets.defs.checks import of_images, of_launches
from rocket_assets.launches import parse
from rocket_assets.storage import images_folder
from rocket_assets_tests.project import Project

DAY = date(2024, 12, 5)
CHECKS = {check.name: check for check in (*of_launches, *of_images)}


def _move_a_launch(archive: Archive) -> None:
    rows = [dict(launch.row) for launch in archive.read_launches(DAY)]
    rows[0]["net"] = "2024-12-06T00:00:00Z"
    archive.write_launches(DAY, "http://here", [parse(row, "here") for row in rows])


def _repeat_a_launch(archive: Archive) -> None:
    launches = archive.read_launches(DAY)
    archive.write_launches(DAY, "http://here", [*launches, launches[0]])


def _add_a_launch(archive: Archive) -> None:
    row = {**archive.read_launches(DAY)[0].row, "id": "another"}
    archive.write_launches(DAY, "http://here", [*archive.read_launches(DAY), parse(row, "here")])


def _flip_a_bit(archive: Archive) -> None:
    (entry, *_) = archive.read_manifest(DAY).entries
    key = images_folder(DAY) + str(entry.file)
    body = bytearray(archive.storage.read(key))
    body[100] ^= 1
    archive.storage.write(key, bytes(body))


def _add_a_file(archive: Archive) -> None:
    archive.storage.write(images_folder(DAY) + "foreign.jpeg", b"?")


BREAKS: list[tuple[str, Callable[[Archive], None], str]] = [
    ("launches_fall_on_their_day", _move_a_launch, "2024-12-06 00:00Z"),
    ("launch_ids_are_unique", _repeat_a_launch, "2 times"),
    ("every_launch_has_its_image", _add_a_launch, "no entry in the manifest"),
    ("images_are_what_the_manifest_says", _flip_a_bit, "is not what was stored"),
    ("images_are_what_the_manifest_says", _add_a_file, "foreign"),
]


@pytest.mark.parametrize(("name", "damage", "said"), BREAKS, ids=lambda value: getattr(value, "__name__", None))
def test_a_check_is_true_of_a_good_day_and_names_what_is_wrong_with_a_bad_one(
    project: Project, name: str, damage: Callable[[Archive], None], said: str
) -> None:
    assert all(result.success for result in project.bring_both("2024-12-04", "2024-12-05"))
    days = [date(2024, 12, 4), DAY]
    good = CHECKS[name].evaluate(project.archive, days)
    assert good.passed
    assert good.metadata["days"].value == 2
    damage(project.archive)
    bad = CHECKS[name].evaluate(project.archive, days)
    assert not bad.passed
    assert bad.metadata["days that fail"].value == ["2024-12-05"]
    problems = bad.metadata["problems"]
    assert isinstance(problems, dg.TableMetadataValue)
    assert all(record.data["day"] == "2024-12-05" for record in problems.records)
    assert said in str(problems.records[0].data["problem"])
    assert bad.description == "1 of 2 days fail."


def test_a_day_that_cannot_be_read_fails_its_checks(project: Project) -> None:
    for check in CHECKS.values():
        assert not check.evaluate(project.archive, [DAY]).passed


def test_a_day_brought_alone_has_an_evaluation_of_its_own_that_names_it(project: Project) -> None:
    for day in ("2024-12-04", "2024-12-05"):
        evaluations = project.bring(day).get_asset_check_evaluations()
        assert sorted(evaluation.check_name for evaluation in evaluations) == sorted(CHECKS)
        for evaluation in evaluations:
            assert evaluation.metadata["first day"].value == evaluation.metadata["last day"].value == day


def test_a_range_has_one_evaluation_for_each_check_and_no_more(project: Project) -> None:
    for result, checks in zip(project.bring_both("2024-12-01", "2024-12-14"), (of_launches, of_images), strict=True):
        evaluations = result.get_asset_check_evaluations()
        assert sorted(evaluation.check_name for evaluation in evaluations) == sorted(check.name for check in checks)
        assert all(evaluation.metadata["days"].value == 14 for evaluation in evaluations)
