"""What must be true of what is stored.

Each check is a sentence that holds for every day. The looking is done by `rocket_assets.verification`; here its
findings become Dagster's check results. The checks belong to the assets (`check_specs`) and are evaluated by the run
that brings the days: once for all the days of a run, because an event per day and check would cost more than the work
itself. The days that fail are named in the evaluation.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date

import dagster as dg

from rocket_assets.archive import Archive
from rocket_assets.errors import RocketAssetsError
from rocket_assets.verification import (
    Pictures,
    launches_without_image,
    misplaced_launches,
    refused_rows,
    repeated_launches,
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
        metadata: dict[str, dg.MetadataValue] = {"days": dg.MetadataValue.int(len(looked_at))}
        if looked_at:
            metadata["first day"] = dg.MetadataValue.text(str(min(looked_at)))
            metadata["last day"] = dg.MetadataValue.text(str(max(looked_at)))
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
