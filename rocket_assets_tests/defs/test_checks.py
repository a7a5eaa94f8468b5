"""Each check, once true and once false, on what is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from rocket_assets.archive import Archive
from rocket_assets.bringing import bring_images
from rocket_assets.defs.checks import brought_images, brought_launches, evaluate, of_images, of_launches
from rocket_assets.defs.runs import DATA_VERSION
from rocket_assets.errors import StorageFailed
from rocket_assets.images import ImageLibrary
from rocket_assets.launches import Launch, parse
from rocket_assets.storage import Storage, Stored, images_folder, launches_key, manifest_key
from rocket_assets.verification import StoredDay
from rocket_assets_tests.project import Project, failure_of

DAY = date(2024, 12, 5)
CHECKS = {check.name: check for check in (*of_launches, *of_images)}


def brought(archive: Archive, days: Sequence[date], name: str) -> Iterator[StoredDay]:
    """These days, as a run looks at them that has brought what this check is about."""
    if CHECKS[name] in of_launches:
        return brought_launches(archive, days)
    return brought_images(archive, {day: archive.read_launches(day) for day in days})


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
    (good,) = evaluate([CHECKS[name]], project.archive, brought(project.archive, days, name))
    assert good.passed
    assert good.metadata["days"].value == 2
    damage(project.archive)
    (bad,) = evaluate([CHECKS[name]], project.archive, brought(project.archive, days, name))
    assert not bad.passed
    assert bad.metadata["days that fail"].value == ["2024-12-05"]
    problems = bad.metadata["problems"]
    assert isinstance(problems, dg.TableMetadataValue)
    assert all(record.data["day"] == "2024-12-05" for record in problems.records)
    assert said in str(problems.records[0].data["problem"])
    assert bad.description == "1 of 2 days fail."


def test_a_day_that_cannot_be_read_fails_its_checks(project: Project) -> None:
    results = [
        *evaluate(of_launches, project.archive, brought_launches(project.archive, [DAY])),
        *evaluate(of_images, project.archive, brought_images(project.archive, {DAY: []})),
    ]
    assert [result.check_name for result in results] == list(CHECKS)
    assert not any(result.passed for result in results)


def test_what_is_wrong_is_named_day_by_day_in_whatever_order_they_came(project: Project) -> None:
    days = [date(2024, 12, number) for number in (6, 3, 5, 4)]
    for day in days:
        project.archive.write_launches(
            day, "http://here", [parse({"id": "1", "name": "R", "net": "1999-01-01T00:00:00Z"}, "here")]
        )
    (result,) = evaluate(of_launches[:1], project.archive, brought_launches(project.archive, days))
    problems = result.metadata["problems"]
    assert isinstance(problems, dg.TableMetadataValue)
    assert [record.data["day"] for record in problems.records] == [f"2024-12-0{number}" for number in (3, 4, 5, 6)]


class Unlisted(Storage):
    """A storage that tells what is under its keys, and fails so often when it is to say which keys there are."""

    failures = 0

    def list(self, prefix: str = "") -> Iterator[Stored]:
        if self.failures:
            self.failures -= 1
            raise StorageFailed("Could not list: 503.")
        yield from super().list(prefix)


@pytest.mark.parametrize("where", ["folder", "memory"])
@pytest.mark.parametrize("count", [1, 14])
def test_a_storage_that_fails_once_while_the_days_are_listed_is_asked_again(
    project: Project, tmp_path: Path, where: str, count: int
) -> None:
    storage, days = unlisted(project, tmp_path, where, count)
    storage.failures = 1
    archive = Archive(storage)
    results = list(evaluate(of_images, archive, brought_images(archive, days)))
    assert [(result.passed, result.metadata["days"].value) for result in results] == [(True, count)] * 2
    assert storage.failures == 0


@pytest.mark.parametrize("where", ["folder", "memory"])
@pytest.mark.parametrize("count", [1, 14])
def test_of_days_that_cannot_be_listed_that_is_said_and_what_needs_no_list_is_looked_at(
    project: Project, tmp_path: Path, where: str, count: int
) -> None:
    storage, days = unlisted(project, tmp_path, where, count)
    storage.failures = 1000
    archive = Archive(storage)
    has_image, is_whole = evaluate(of_images, archive, brought_images(archive, days))
    assert has_image.passed
    problems = is_whole.metadata["problems"]
    assert isinstance(problems, dg.TableMetadataValue)
    assert [record.data for record in problems.records] == [
        {"day": str(day), "problem": "Could not list: 503."} for day in days
    ]


def unlisted(project: Project, tmp_path: Path, where: str, count: int) -> tuple[Unlisted, dict[date, list[Launch]]]:
    """Such a storage, and the launches of so many days of which it has the pictures."""
    days = [date(2024, 12, number) for number in range(1, count + 1)]
    project.bring_both(str(days[0]), str(days[-1]))
    storage = Unlisted(str(tmp_path / "unlisted") if where == "folder" else f"memory://{tmp_path}")
    for each in project.storage.list():
        storage.write(each.key, project.storage.read(each.key))
    return storage, {day: project.archive.read_launches(day) for day in days}


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


# What a night finds


def run_of_night(project: Project, tags: Mapping[str, str] | None = None) -> dg.ExecuteInProcessResult:
    """The job of the night as Dagster runs it; without tags, as a person starts it."""
    return (
        project.definitions.get_repository_def()
        .get_job("verify_stored_days")
        .execute_in_process(
            instance=project.instance,
            tags=tags,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            raise_on_error=False,
        )
    )


def night(project: Project, tags: Mapping[str, str] | None = None) -> dg.AssetCheckEvaluation:
    """What such a run finds; it fails where that is not whole, so that people are told."""
    result = run_of_night(project, tags)
    (evaluation,) = result.get_asset_check_evaluations()
    assert result.success == evaluation.passed
    return evaluation


def of_tick(project: Project, at: datetime) -> dg.AssetCheckEvaluation:
    """What comes of a tick of the schedule."""
    repository = project.definitions.get_repository_def()
    schedule = repository.get_schedule_def("stored_days_each_night")
    with dg.build_schedule_context(project.instance, at, repository_def=repository) as context:
        (request,) = schedule.evaluate_tick(context).run_requests or []
    return night(project, request.tags)


AT = datetime(2024, 12, 20, 2, 40, tzinfo=UTC)


def test_a_night_finds_what_is_whole_to_be_whole(project: Project) -> None:
    project.bring_both("2024-12-01", "2024-12-05")
    evaluation = of_tick(project, AT)
    assert (evaluation.check_name, evaluation.passed) == ("stored_days_are_whole", True)
    assert {name: value.value for name, value in evaluation.metadata.items()} == {
        "days": 5,
        "first day": "2024-12-01",
        "last day": "2024-12-05",
        "pictures": 9,
        "pictures to follow": 0,
        "number of the look": 0,
    }


def test_rot_shows_in_the_ui_with_the_command_that_mends_it_until_a_night_finds_it_mended(project: Project) -> None:
    project.bring_both("2024-12-01", "2024-12-05")
    _flip_a_bit(project.archive)
    evaluation = of_tick(project, AT)
    assert not evaluation.passed
    assert evaluation.severity == dg.AssetCheckSeverity.ERROR
    problems = evaluation.metadata["problems"]
    assert isinstance(problems, dg.TableMetadataValue)
    (found,) = [record.data for record in problems.records if "images/2024/2024-12-05/" in str(record.data["problem"])]
    assert found["day"] == "2024-12-05"
    assert "is not what was stored" in str(found["problem"])
    assert found["to mend it"] == "rocket-assets verify 2024-12-05 2024-12-05 --level full --repair"
    # Nothing else that runs makes the UI forget it.
    project.bring("2024-12-06")
    project.bring("2024-12-05", assets=["launches"])
    assert _status(project) is False
    project.bring("2024-12-05")
    assert of_tick(project, AT).passed
    assert _status(project) is True


def test_a_night_names_what_an_interrupted_write_left_behind(project: Project) -> None:
    project.bring_both("2024-12-04", "2024-12-05")
    left = Path(project.storage.uri) / "launches/2024/2024-12-05.json#0"
    left.write_bytes(b"half")
    evaluation = of_tick(project, AT)
    problems = evaluation.metadata["problems"]
    assert isinstance(problems, dg.TableMetadataValue)
    (found,) = [record.data for record in problems.records]
    assert found["day"] == "2024-12-05"
    assert "left behind by an interrupted write" in str(found["problem"])


def _status(project: Project) -> bool | None:
    """What the UI shows of the check: its newest evaluation, if nothing was planned since."""
    key = dg.AssetCheckKey(dg.AssetKey("archive"), "stored_days_are_whole")
    record = project.instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
    evaluation = record.event and record.event.dagster_event and record.event.dagster_event.asset_check_evaluation_data
    return evaluation.passed if evaluation else None


FIRST = date(2020, 1, 1)


def many_days(project: Project, count: int = 500) -> None:
    """So many that they are two samples."""
    days = [FIRST + timedelta(days=number) for number in range(count)]
    for day in days:
        project.archive.write_launches(day, "http://here", [])
    with ImageLibrary(project.storage) as library:
        assert all(day.error is None for day in bring_images(project.archive, days, library))


def test_each_look_is_at_the_sample_after_the_last_one_whoever_starts_it(project: Project) -> None:
    many_days(project)
    one, other, again = (night(project).metadata for _ in range(3))
    assert [each["number of the look"].value for each in (one, other, again)] == [0, 1, 2]
    assert (one["days"], one["first day"], one["last day"]) == (again["days"], again["first day"], again["last day"])
    assert one["first day"] != other["first day"]
    assert sorted((one["days"].value, other["days"].value), key=str) == [248, 252]


def test_a_night_that_could_not_look_is_made_up_for_by_the_next(project: Project, tmp_path: Path) -> None:
    assert night(project).metadata["number of the look"].value == 0
    (tmp_path / "file").write_text("no folder")
    assert not run_of_night(replace(project, storage_uri=str(tmp_path / "file/below"))).success
    assert night(project).metadata["number of the look"].value == 1


def test_what_a_night_has_found_stays_red_until_it_is_mended_though_other_days_are_looked_at(project: Project) -> None:
    many_days(project)
    first = str(night(project).metadata["first day"].value)
    key = launches_key(date.fromisoformat(first))
    whole = project.archive.storage.read(key)
    # In the sample after the next one; and then in no sample of the two that follow.
    assert night(project).passed
    project.archive.storage.write(key, b"{}")
    found, *still = (night(project) for _ in range(3))
    for evaluation in (found, *still):
        assert not evaluation.passed
        assert evaluation.metadata["days that fail"].value == [first]
    assert still[0].metadata["days"].value == 500 - int(str(found.metadata["days"].value)) + 1
    assert _status(project) is False
    project.archive.storage.write(key, whole)
    assert night(project).passed
    assert night(project).passed


def test_pictures_that_are_still_to_follow_are_no_rot_and_are_counted(project: Project) -> None:
    """A night may fall between the launches of a day and its pictures, first or later ones."""
    project.bring_both("2024-12-03", "2024-12-05")
    project.bring("2024-12-06", assets=["launches"])
    _add_a_launch(project.archive)
    evaluation = night(project)
    assert evaluation.metadata["days that fail"].value == ["2024-12-05"], "nobody has recorded other launches"
    project.instance.report_runless_asset_event(
        dg.AssetMaterialization("launches", partition="2024-12-05", tags={DATA_VERSION: "another"})
    )
    evaluation = night(project)
    assert evaluation.passed
    assert evaluation.metadata["pictures to follow"].value == 2


def test_what_has_followed_and_is_gone_is_rot(project: Project) -> None:
    project.bring_both("2024-12-04", "2024-12-05")
    project.archive.storage.delete([manifest_key(DAY)])
    assert night(project).metadata["days that fail"].value == ["2024-12-05"]


def test_damaged_launches_are_rot_though_pictures_are_still_to_follow(project: Project) -> None:
    project.bring("2024-12-05", assets=["launches"])
    project.archive.storage.write(launches_key(DAY), b"{}")
    evaluation = night(project)
    assert evaluation.metadata["days that fail"].value == ["2024-12-05"]


def test_the_run_of_a_night_that_finds_rot_fails_and_says_what_it_is(project: Project) -> None:
    project.bring_both("2024-12-04", "2024-12-05")
    _flip_a_bit(project.archive)
    said = failure_of(run_of_night(project))
    assert said.startswith("1 of 2 days fail.\n- images/2024/2024-12-05/")
    assert "is not what was stored" in said


def test_a_night_over_nothing_finds_nothing(project: Project) -> None:
    evaluation = of_tick(project, AT)
    assert evaluation.passed
    assert evaluation.metadata["days"].value == 0


def test_a_night_that_cannot_look_fails_with_a_sentence(project: Project, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    result = run_of_night(replace(project, storage_uri=str(tmp_path / "file/below")))
    assert not result.success
    assert not result.get_asset_check_evaluations()
    assert "Is ROCKET_ASSETS_STORAGE right" in failure_of(result)
