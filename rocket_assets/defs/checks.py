"""What must be true of what is stored.

Each check is a sentence that holds for every day. The looking is done by `rocket_assets.verification`; here its
findings become Dagster's check results. The days that fail are named in the evaluation.

Four checks belong to the assets (`check_specs`) and are evaluated by the run that brings the days: once for all the
days of a run, because an event per day and check would cost more than the work itself. One looks for what has happened
to the days since, a sample each night. It belongs to the archive and not to one of the assets: Dagster would make it
part of their runs, and what a night has found would be gone from the UI with the next day that is brought.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date

import dagster as dg

from rocket_assets.archive import Archive
from rocket_assets.defs.runs import NIGHT, failure
from rocket_assets.errors import RocketAssetsError
from rocket_assets.storage import Storage
from rocket_assets.verification import (
    NIGHTS,
    Pictures,
    Problem,
    launches_without_image,
    misplaced_launches,
    refused_rows,
    repeated_launches,
    sample,
    stored_days,
    verify,
)

# Problems shown in one evaluation; more would only make the page long.
_MAX_SHOWN = 100


@dataclass(frozen=True)
class Check:
    """One sentence about a day, and how to look whether it is true."""

    name: str
    description: str
    look: Callable[[Archive, date], list[str]]
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR

    def spec(self, asset: str) -> dg.AssetCheckSpec:
        """The check as Dagster announces it."""
        return dg.AssetCheckSpec(self.name, asset=asset, description=self.description)

    def evaluate(self, archive: Archive, days: Iterable[date]) -> dg.AssetCheckResult:
        """Look at these days."""
        looked_at = list(days)
        problems = [(day, problem) for day in looked_at for problem in self._problems(archive, day)]
        failing = sorted({day.isoformat() for day, _ in problems})
        metadata = _looked_at(looked_at)
        if problems:
            metadata["days that fail"] = dg.MetadataValue.json(failing)
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

    def _problems(self, archive: Archive, day: date) -> list[str]:
        try:
            return self.look(archive, day)
        except RocketAssetsError as error:
            return [str(error)]


def _pictures_that_differ(archive: Archive, day: date) -> list[str]:
    return [problem.text for problem in Pictures(archive.storage, "digests").of_day(archive.read_manifest(day))]


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
        _pictures_that_differ,
    ),
)


def evaluate(checks: Iterable[Check], archive: Archive, days: Iterable[date]) -> Iterator[dg.AssetCheckResult]:
    """Each check's result for the days that a run has brought; of no days there is nothing to say."""
    brought = list(days)
    for check in checks if brought else ():
        yield check.evaluate(archive, brought)


@dg.asset_check(
    asset="archive",
    description=f"A sample of the stored days, another each night, is what was written, to the last bit; in {NIGHTS} "
    "nights at most, each of them has been looked at. What is not is named, with the command that mends it.",
)
def stored_days_are_whole(
    context: dg.AssetCheckExecutionContext, stored: dg.ResourceParam[Storage]
) -> dg.AssetCheckResult:
    """Verify the days of the night that the run is of."""
    archive, night = Archive(stored), _night(context)
    try:
        days = sample(stored_days(archive), night)
        parts = list(verify(archive, days, level="full"))
    except RocketAssetsError as error:
        raise failure(error) from error
    problems = [problem for part in parts for problem in part.problems]
    metadata = _looked_at(days) | {
        "pictures": dg.MetadataValue.int(sum(part.pictures for part in parts)),
        "night": dg.MetadataValue.text(str(night)),
    }
    if problems:
        metadata["problems"] = dg.MetadataValue.table([_record(problem) for problem in problems[:_MAX_SHOWN]])
    failing = {day for problem in problems for day in problem.days}
    return dg.AssetCheckResult(
        passed=not problems,
        metadata=metadata,
        description=f"{len(failing)} of {len(days)} days fail." if failing else None,
    )


def _night(context: dg.AssetCheckExecutionContext) -> date:
    """The night that the run is of: as the schedule says, or else that in which somebody has started it by hand."""
    if night := context.run.tags.get(NIGHT):
        try:
            return date.fromisoformat(night)
        except ValueError:
            raise dg.Failure(f"The tag {NIGHT} is {night!r}; what fits is a day, as 2024-12-05.") from None
    record = context.instance.get_run_record_by_id(context.run.run_id)
    if record is None:
        raise dg.Failure(f"Run {context.run.run_id} is not on record, and no tag {NIGHT} says which night it is of.")
    return record.create_timestamp.astimezone(UTC).date()


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
