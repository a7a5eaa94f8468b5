"""What must be true of what is stored.

Each check is a sentence that holds for every day. The looking is done by `rocket_assets.verification`; here its
findings become Dagster's check results. The days that fail are named in the evaluation.

Four checks belong to the assets (`check_specs`) and are evaluated by the run that brings the days: once for all the
days of a run, because an event per day and check would cost more than the work itself. One looks for what has happened
to the days since, a sample each night. It belongs to the archive and not to one of the assets: Dagster would make it
part of their runs, and what a night has found would be gone from the UI with the next day that is brought.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import dagster as dg

from rocket_assets.archive import Archive
from rocket_assets.defs.conditions import days_behind
from rocket_assets.defs.runs import RETRYABLE, failure
from rocket_assets.errors import RocketAssetsError
from rocket_assets.launches import Launch
from rocket_assets.storage import Storage
from rocket_assets.verification import (
    SAMPLES,
    Pictures,
    Problem,
    Remedy,
    StoredDay,
    launches_without_image,
    misplaced_launches,
    refused_rows,
    repeated_launches,
    verify_sample,
)

# Problems shown in one evaluation; more would only make the page long.
_MAX_SHOWN = 100

_FAILING = "days that fail"
_LOOK = "number of the look"

_LOOKS_BACK = 100
"""Among so many, one that came to a result is sought."""


@dataclass(frozen=True)
class Check:
    """One sentence about a day, and how to look whether it is true."""

    name: str
    description: str
    look: Callable[[StoredDay], list[str]]
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR

    def spec(self, asset: str) -> dg.AssetCheckSpec:
        """The check as Dagster announces it."""
        return dg.AssetCheckSpec(self.name, asset=asset, description=self.description)

    def problems(self, stored: StoredDay) -> list[str]:
        """What of this day is not so; a day that cannot be read is a problem, too."""
        try:
            return self.look(stored)
        except RocketAssetsError as error:
            return [str(error)]

    def result(self, looked_at: Mapping[date, list[str]]) -> dg.AssetCheckResult:
        """What was found on these days."""
        problems = [(day, text) for day, texts in looked_at.items() for text in texts]
        failing = sorted({day.isoformat() for day, _ in problems})
        metadata = _looked_at(list(looked_at))
        if problems:
            metadata[_FAILING] = dg.MetadataValue.json(failing)
            metadata["problems"] = dg.MetadataValue.table(
                [dg.TableRecord({"day": str(day), "problem": text}) for day, text in problems[:_MAX_SHOWN]]
            )
        return dg.AssetCheckResult(
            check_name=self.name,
            passed=not problems,
            severity=self.severity,
            metadata=metadata,
            description=f"{len(failing)} of {len(looked_at)} days fail." if failing else None,
        )


of_launches = (
    Check("launches_fall_on_their_day", "The NET of each launch is on the UTC day that holds it.", misplaced_launches),
    Check("launch_ids_are_unique", "No day holds a launch twice.", repeated_launches),
    Check(
        "every_row_is_a_launch",
        "Each row that the Launch Library gave for a day could be read. One that could not is a warning: the other "
        "launches of the day stand, and so does what was stored of it before.",
        refused_rows,
        dg.AssetCheckSeverity.WARN,
    ),
)

of_images = (
    Check(
        "every_launch_has_its_image",
        "Beside each launch that names a picture lies that picture. A picture that was refused for good, or that is an "
        "earlier one, is a warning: the day stands, and says which and why.",
        launches_without_image,
        dg.AssetCheckSeverity.WARN,
    ),
    Check(
        "images_are_what_the_manifest_says",
        "Each picture has the digest that the manifest gives it, and no file lies beside them that it does not name.",
        StoredDay.wrong_pictures,
    ),
)


def evaluate(checks: Sequence[Check], archive: Archive, days: Iterable[StoredDay]) -> Iterator[dg.AssetCheckResult]:
    """Each check's result for the days that a run has brought; of no days there is nothing to say."""

    def look(stored: StoredDay) -> tuple[date, list[list[str]]]:
        return stored.day, [check.problems(stored) for check in checks]

    found = sorted(archive.storage.each(look, days), key=lambda each: each[0])
    for number, check in enumerate(checks if found else ()):
        yield check.result({day: problems[number] for day, problems in found})


def brought_launches(archive: Archive, days: Iterable[date]) -> Iterator[StoredDay]:
    """These days, to be looked at when their launches have been stored."""
    return (StoredDay(archive, day) for day in days)


def brought_images(archive: Archive, launches: Mapping[date, list[Launch]]) -> Iterator[StoredDay]:
    """The days of these stored launches, to be looked at when their pictures have been stored.

    Equal pictures are read once, and folders are listed together.
    """
    pictures, listed = Pictures(archive.storage, "digests"), archive.list_images(launches)
    for day in launches:
        # A day that could not be listed lists itself as it is looked at, and is said to be wrong if it cannot.
        images = listed[day].values() if day in listed else None
        yield StoredDay(archive, day, launches=launches[day], images=images, pictures=pictures)


WHOLE = dg.AssetCheckSpec(
    "stored_days_are_whole",
    asset="archive",
    description=f"A sample of the stored days, another each night, is what was written, to the last bit, and so are "
    f"the days that failed before; in {SAMPLES} looks, each of them has been looked at. What is not is named, with the "
    "command that mends it, until that is done, and the run fails.",
)


@dg.multi_asset_check(specs=[WHOLE])
def stored_days_are_whole(
    context: dg.AssetCheckExecutionContext, stored: dg.ResourceParam[Storage]
) -> Iterator[dg.AssetCheckResult]:
    """Verify the next sample, and what the last look has found not to be whole.

    Days whose pictures are still to follow their launches are not yet as they will be. What is to be brought for them
    is counted, and is no rot.
    """
    last = _last_look(context.instance)
    try:
        parts = list(verify_sample(Archive(stored), last.number + 1, last.failing))
    except RocketAssetsError as error:
        raise failure(error) from error
    days = [part.day for part in parts if part.day]
    found = [problem for part in parts for problem in part.problems]
    behind = _pictures_to_follow(context.instance) if found else set[date]()
    to_follow = {problem.days[0] for problem in found if problem.remedy is Remedy.PICTURES} & behind
    problems = [each for each in found if each.remedy is not Remedy.PICTURES or each.days[0] not in to_follow]
    failing = sorted({day.isoformat() for problem in problems for day in problem.days})
    metadata = _looked_at(days) | {
        "pictures": dg.MetadataValue.int(sum(part.pictures for part in parts)),
        "pictures to follow": dg.MetadataValue.int(len(to_follow)),
        _LOOK: dg.MetadataValue.int(last.number + 1),
    }
    if problems:
        metadata[_FAILING] = dg.MetadataValue.json(failing)
        metadata["problems"] = dg.MetadataValue.table([_record(problem) for problem in problems[:_MAX_SHOWN]])
    said = f"{len(failing)} of {len(days)} days fail."
    yield dg.AssetCheckResult(
        check_name=WHOLE.name,
        asset_key=WHOLE.asset_key,
        passed=not problems,
        metadata=metadata,
        description=said if failing else None,
    )
    if problems:
        # Of a run that fails, people are told.
        named = "\n".join(f"- {problem.text}" for problem in problems[:_MAX_SHOWN])
        raise dg.Failure(f"{said}\n{named}", metadata={RETRYABLE: False}, allow_retries=False)


@dataclass(frozen=True)
class _Look:
    """What is known of a look at a sample: its number, and the days that it found not to be whole."""

    number: int = -1
    failing: frozenset[date] = frozenset()


def _last_look(instance: dg.DagsterInstance) -> _Look:
    """The newest look that came to a result; there may be others since, which could not look."""
    for record in instance.event_log_storage.get_asset_check_execution_history(WHOLE.key, limit=_LOOKS_BACK):
        event = record.event and record.event.dagster_event
        if event and event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            said = event.asset_check_evaluation_data.metadata
            number, failing = (said[name].value if name in said else None for name in (_LOOK, _FAILING))
            return _Look(
                number if isinstance(number, int) else -1,
                frozenset(date.fromisoformat(str(day)) for day in (failing if isinstance(failing, list) else ())),
            )
    return _Look()


def _pictures_to_follow(instance: dg.DagsterInstance) -> set[date]:
    behind = days_behind(instance, dg.AssetKey("launches"), dg.AssetKey("launch_images"))
    return {date.fromisoformat(day) for day in behind}


def _looked_at(days: Collection[date]) -> dict[str, dg.MetadataValue]:
    metadata: dict[str, dg.MetadataValue] = {"days": dg.MetadataValue.int(len(days))}
    if days:
        metadata["first day"] = dg.MetadataValue.text(str(min(days)))
        metadata["last day"] = dg.MetadataValue.text(str(max(days)))
    return metadata


def _record(problem: Problem) -> dg.TableRecord:
    first, last = min(problem.days), max(problem.days)
    return dg.TableRecord(
        {
            "day": str(first),
            "problem": problem.text,
            "to mend it": f"rocket-assets verify {first} {last} --level full --repair",
        }
    )
