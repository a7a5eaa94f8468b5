"""What exists: the Launch Library, the launches of each day, the pictures of each day.

An asset says which days it is asked for, has them brought and stored by the plain half, and reports each day. How
launches are asked for and how pictures are fetched is not decided here.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from typing import Any

import dagster as dg

from rocket_assets.archive import Archive
from rocket_assets.defs import checks, metadata
from rocket_assets.defs.conditions import LaunchesMovedOn
from rocket_assets.defs.partitions import days
from rocket_assets.defs.runs import (
    days_of_run,
    days_to_bring,
    failed_days,
    failure,
    recorded,
    refuse_to_skip,
    wait_for,
)
from rocket_assets.errors import RocketAssetsError, Unavailable
from rocket_assets.images import ImageLibrary
from rocket_assets.launch_library import LaunchLibrary
from rocket_assets.launches import data_version
from rocket_assets.storage import Storage

Events = Iterator[dg.AssetMaterialization | dg.MaterializeResult[Any] | dg.AssetCheckResult]

GROUP = "spaceflight"

POOL = "launch_library"
"""Has one slot, so that one run asks the API at a time; `resources` makes sure of it where SQLite does not."""

OWNERS = ["team:rocket-assets"]

# Days brought by one run of a backfill. The two differ on purpose: assets with the same policy share a run, and in a
# range run Dagster skips an asset whose upstream records its days itself.
LAUNCHES_PER_RUN = 732
IMAGES_PER_RUN = 366


def daily_asset(
    *, days_per_run: int, checked_by: Iterable[checks.Check], **attributes: Any
) -> Callable[[Callable[..., Events]], dg.AssetsDefinition]:
    """An asset that has a partition for each day, records its days itself, and checks what it has stored."""

    def define(bring: Callable[..., Events]) -> dg.AssetsDefinition:
        with warnings.catch_warnings():
            # Backfill policies have been in beta since 2023; without them a backfill would be a run for each day.
            warnings.simplefilter("ignore", dg.BetaWarning)
            return dg.asset(
                partitions_def=days,
                backfill_policy=dg.BackfillPolicy.multi_run(days_per_run),
                output_required=False,
                check_specs=[check.spec(bring.__name__) for check in checked_by],
                group_name=GROUP,
                owners=OWNERS,
                **attributes,
            )(bring)

    return define


library = dg.AssetSpec(
    "launch_library",
    description="The Launch Library 2 of The Space Devs: every rocket launch since 1957, and those that are planned. "
    "It is not ours; we ask it.",
    group_name=GROUP,
    owners=OWNERS,
    kinds={"api"},
    metadata={
        "documentation": dg.MetadataValue.url("https://ll.thespacedevs.com/docs/"),
        "The Space Devs": dg.MetadataValue.url("https://thespacedevs.com/"),
    },
)


whole_archive = dg.AssetSpec(
    "archive",
    deps=["launch_images"],
    description="All that is stored, in the folder or bucket of ROCKET_ASSETS_STORAGE: the days of launches, their "
    "pictures, and the pool. A night's check looks whether a sample of it still holds.",
    group_name=GROUP,
    owners=OWNERS,
    kinds={"file"},
    metadata={"possible storages": dg.MetadataValue.url("https://developmentseed.org/obstore/latest/")},
)


@daily_asset(
    days_per_run=LAUNCHES_PER_RUN,
    checked_by=checks.of_launches,
    deps=[library],
    pool=POOL,
    kinds={"json"},
    metadata={"API": dg.MetadataValue.url("https://ll.thespacedevs.com/2.3.0/launches/")},
)
def launches(
    context: dg.AssetExecutionContext,
    launch_library: dg.ResourceParam[LaunchLibrary],
    storage: dg.ResourceParam[Storage],
) -> Events:
    """The launches whose NET falls on a UTC day, as the Launch Library gives them: one JSON file a day.

    A range of days costs one request for each hundred launches. A day without launches is an empty file.
    """
    refuse_to_skip(context, "launch_images")
    archive, errors = Archive(storage), dict[date, RocketAssetsError]()
    not_done, broken_off = days_to_bring(context), None
    try:
        for day in launch_library.days(not_done[0], not_done[-1] + timedelta(days=1)) if not_done else ():
            try:
                stored, changed = archive.write_day(day)
            except RocketAssetsError as error:
                errors[day.day] = error
                continue
            not_done.remove(day.day)
            yield recorded(
                context,
                day.day,
                data_version=data_version(stored.launches),
                metadata=metadata.of_launches(stored, storage, changed=changed),
            )
    except Unavailable as error:
        again = wait_for(context, error)
        if isinstance(again, dg.RetryRequested):
            raise again from error
        broken_off = again
    except RocketAssetsError as error:
        broken_off = failure(error)
    yield from checks.evaluate(
        checks.of_launches, archive, [day for day in days_of_run(context) if day not in not_done]
    )
    if broken_off:
        raise broken_off
    if errors:
        raise failed_days(context, errors)


@daily_asset(
    days_per_run=IMAGES_PER_RUN,
    checked_by=checks.of_images,
    deps=[launches],
    automation_condition=LaunchesMovedOn(dg.AssetKey("launches")) & ~dg.AutomationCondition.backfill_in_progress(),
    kinds={"jpeg", "png"},
    metadata={
        "layout": dg.MetadataValue.text("images/<year>/<day>/<launch>.<format>, and manifest.json beside them"),
        "terms of use": dg.MetadataValue.url("https://thespacedevs.com/llapi"),
    },
)
def launch_images(
    context: dg.AssetExecutionContext,
    image_library: dg.ResourceParam[ImageLibrary],
    storage: dg.ResourceParam[Storage],
) -> Events:
    """The pictures of a day's launches, and a manifest that says which is whose, from where, and under which licence.

    Each distinct address is fetched once in a run, and not at all when what we have still holds. A launch without a
    picture has an entry with the reason. Only a picture that decodes whole is ever stored as one.
    """
    archive, errors, brought = Archive(storage), dict[date, RocketAssetsError](), list[date]()
    for day in archive.bring_images(days_to_bring(context), image_library):
        if day.manifest:
            brought.append(day.day)
        if day.manifest and not day.error:
            yield recorded(
                context,
                day.day,
                data_version=f"{day.manifest.launches_version}-{day.manifest.data_version}",
                metadata=metadata.of_images(day, day.manifest, image_library, storage),
            )
        elif day.error:
            errors[day.day] = day.error
            context.log.warning(f"{day.day} is not done: {day.error} {day.error.advice}")
    yield from checks.evaluate(checks.of_images, archive, brought)
    if errors:
        raise failed_days(context, errors)
