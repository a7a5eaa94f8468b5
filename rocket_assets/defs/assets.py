"""What exists: the Launch Library, the launches and pictures of each day, and what is made of them to be looked at.

An asset says which days or months it is asked for, has them brought or made and stored by the plain half, and reports
each. How launches are asked for, how pictures are fetched and how a page looks is not decided here.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import dagster as dg

from rocket_assets.archive import Archive
from rocket_assets.bringing import bring_images
from rocket_assets.defs import checks, metadata
from rocket_assets.defs.conditions import (
    DaysMovedOn,
    LaunchesMovedOn,
    MonthsMovedOn,
    MovedOn,
    version_of_all,
    versions_of_months,
)
from rocket_assets.defs.environment import SETTINGS
from rocket_assets.defs.instance import POOL
from rocket_assets.defs.partitions import days, days_of_each_month, months
from rocket_assets.defs.runs import (
    days_of_run,
    days_to_bring,
    failed_days,
    failure,
    recorded,
    refuse_to_skip,
    wait_for,
)
from rocket_assets.errors import Damaged, NotAPicture, RocketAssetsError, Unavailable
from rocket_assets.gallery.site import Gallery, recipe_of
from rocket_assets.images import ImageLibrary
from rocket_assets.launch_library import LaunchLibrary
from rocket_assets.launches import Launch, data_version
from rocket_assets.months import Month, read_month
from rocket_assets.storage import Storage
from rocket_assets.table import RECIPE as TABLE_RECIPE
from rocket_assets.table import write_month

Events = Iterator[dg.AssetMaterialization | dg.MaterializeResult[Any] | dg.AssetCheckResult]

GROUP = "spaceflight"
"""One for all: of several, the UI's graph shows no more than their names at first."""

OWNERS = ["team:rocket-assets"]

# Days brought by one run of a backfill. The two differ on purpose: assets with the same policy share a run, and in a
# range run Dagster skips an asset whose upstream records its days itself.
LAUNCHES_PER_RUN = 1461
"""Four years: at most as many pages as the throttle gives in an hour, and few that are not full."""

IMAGES_PER_RUN = 366

MONTHS_PER_RUN = 240
"""Twenty years; the pages of the whole history are four runs."""


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


def monthly_asset(*, recipe: str, **attributes: Any) -> Callable[[Callable[..., Events]], dg.AssetsDefinition]:
    """An asset that has a partition for each month, is made of the days of both daily assets, and follows them.

    Args:
        recipe: what decides how a month is made of its days; when it is another, all months are made again.
        attributes: what else Dagster is to know.
    """

    def define(make: Callable[..., Events]) -> dg.AssetsDefinition:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dg.BetaWarning)
            return dg.asset(
                partitions_def=months,
                backfill_policy=dg.BackfillPolicy.multi_run(MONTHS_PER_RUN),
                output_required=False,
                deps=[
                    dg.AssetDep(asset, partition_mapping=days_of_each_month()) for asset in (launches, launch_images)
                ],
                automation_condition=_by_itself(DaysMovedOn(launches.key, launch_images.key, recipe)),
                group_name=GROUP,
                owners=OWNERS,
                **attributes,
            )(make)

    return define


def _by_itself(moved_on: MovedOn) -> dg.AutomationCondition[Any]:
    """When a partition follows by itself: unless a backfill that was begun in the UI is to bring it anyway."""
    # In this order, because a backfill that ends in between has recorded what it brought by then.
    return ~dg.AutomationCondition.backfill_in_progress() & moved_on


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
    "pictures, the pool, and what is made of them. A night's check looks whether a sample of the days still holds, and "
    "three others whether it is of today.",
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
        asked = launch_library.days(not_done[0], not_done[-1] + timedelta(days=1)) if not_done else ()
        # Between them may be days that stand.
        wanted = set(not_done)
        for written in archive.write_days(day for day in asked if day.day in wanted):
            day = written.day
            if written.error:
                errors[day.day] = written.error
                continue
            not_done.remove(day.day)
            yield recorded(
                context,
                day.day,
                data_version=data_version(day.launches),
                metadata={**metadata.of_launches(day, storage), **metadata.of_asking(day, changed=written.changed)},
            )
    except Unavailable as error:
        again = wait_for(context, error)
        if isinstance(again, dg.RetryRequested):
            raise again from error
        broken_off = again
    except RocketAssetsError as error:
        broken_off = failure(error)
    stored = [day for day in days_of_run(context) if day not in not_done]
    yield from checks.evaluate(checks.of_launches, archive, checks.brought_launches(archive, stored))
    if broken_off:
        raise broken_off
    if errors:
        raise failed_days(context, errors)


@daily_asset(
    days_per_run=IMAGES_PER_RUN,
    checked_by=checks.of_images,
    deps=[launches],
    automation_condition=_by_itself(LaunchesMovedOn(dg.AssetKey("launches"))),
    kinds={"jpeg", "png"},
    metadata={
        "layout": dg.MetadataValue.text("images/<year>/<day>/<launch>.<format>, and manifest.json beside them"),
        "gallery": metadata.gallery_door(),
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
    archive, errors, brought = Archive(storage), dict[date, RocketAssetsError](), dict[date, list[Launch]]()
    for day in bring_images(archive, days_to_bring(context), image_library):
        if day.manifest:
            brought[day.day] = day.launches
        if day.manifest and not day.error:
            yield recorded(
                context,
                day.day,
                data_version=day.manifest.record_version,
                metadata={**metadata.of_images(day.manifest, image_library, storage), **metadata.of_fetching(day)},
            )
        elif day.error:
            errors[day.day] = day.error
            context.log.warning(f"{day.day} is not done: {day.error} {day.error.advice}")
    yield from checks.evaluate(checks.of_images, archive, checks.brought_images(archive, brought))
    if errors:
        raise failed_days(context, errors)


GALLERY_RECIPE = recipe_of(SETTINGS.gallery_licences)


@monthly_asset(
    recipe=GALLERY_RECIPE,
    kinds={"html"},
    metadata={
        "layout": dg.MetadataValue.text("gallery/<year>/<month>.html, and gallery/thumbnails/ beside it"),
        "gallery": metadata.gallery_door(),
        "terms of use": dg.MetadataValue.url("https://thespacedevs.com/llapi"),
    },
)
def launch_gallery(
    context: dg.AssetExecutionContext, gallery: dg.ResourceParam[Gallery], storage: dg.ResourceParam[Storage]
) -> Events:
    """A page for each month, with the picture of each of its launches, and to whom that belongs.

    Opens in a browser without a server. Made again when one of its days has changed, or what decides how it looks.
    """

    def make(month: Month) -> Made:
        made = gallery.make_month(month)
        for sentence in made.unreadable:
            context.log.warning(sentence)
        return Made(made.version, metadata.of_gallery_month(made, month, storage), is_whole=not made.unreadable)

    yield from _made(context, storage, GALLERY_RECIPE, make)


@monthly_asset(
    recipe=TABLE_RECIPE,
    kinds={"parquet"},
    metadata={
        "dagster/column_schema": metadata.columns(),
        "layout": dg.MetadataValue.text("table/<year>/<month>.parquet"),
        "to ask it": dg.MetadataValue.url("https://duckdb.org/docs/stable/data/parquet/overview"),
    },
)
def launch_table(context: dg.AssetExecutionContext, storage: dg.ResourceParam[Storage]) -> Events:
    """The launches of each month as a Parquet file, one row a launch, with where its picture is and whose it is.

    For questions in SQL, data frames and spreadsheets. Made again when one of its days has changed.
    """

    def make(month: Month) -> Made:
        made = write_month(storage, month)
        return Made(made.version, metadata.of_table_month(made, month, storage))

    yield from _made(context, storage, TABLE_RECIPE, make)


@dg.asset(
    deps=[launch_gallery],
    automation_condition=MonthsMovedOn(launch_gallery.key),
    group_name=GROUP,
    owners=OWNERS,
    kinds={"html"},
    metadata={
        "layout": dg.MetadataValue.text("gallery/index.html and gallery/next.html"),
        "gallery": metadata.gallery_door(),
        "terms of use": dg.MetadataValue.url("https://thespacedevs.com/llapi"),
    },
)
def gallery_index(
    context: dg.AssetExecutionContext, gallery: dg.ResourceParam[Gallery], storage: dg.ResourceParam[Storage]
) -> dg.MaterializeResult[Any]:
    """The gallery's door: all years with how many launches there were and how they ended, and the next launches.

    Made from what each month's page leaves for it; no day is read.
    """
    version = version_of_all(context.instance, launch_gallery.key)
    try:
        made = gallery.make_index()
    except RocketAssetsError as error:
        raise failure(error) from error
    if made.damaged:
        raise dg.Failure("\n".join(["The index stands, without some months.", *made.damaged]), allow_retries=False)
    return dg.MaterializeResult(
        metadata=metadata.of_gallery_index(made, storage), data_version=dg.DataVersion(f"{version}-{made.version}")
    )


RECIPE_OF = {launch_gallery.key: GALLERY_RECIPE, launch_table.key: TABLE_RECIPE}
"""What decides how a month is made of its days."""


@dataclass(frozen=True)
class Made:
    """What was made of a month: its version, and what the UI shows of it.

    What is not whole, because a picture could not be read, is recorded as made for no days, and so tried again.
    """

    version: str
    metadata: Mapping[str, dg.MetadataValue]
    is_whole: bool = True


def _made(
    context: dg.AssetExecutionContext, storage: Storage, recipe: str, make: Callable[[Month], Made]
) -> Iterator[dg.AssetMaterialization | dg.MaterializeResult[Any]]:
    """Make the months of a run, and record each as soon as it is made; one that fails does not stop the others."""
    archive, errors = Archive(storage), dict[date, RocketAssetsError]()
    # Before anything is read: a day that comes meanwhile is then seen to be newer.
    versions = versions_of_months(context.instance, launches.key, launch_images.key, recipe, context.partition_keys)
    for first in days_to_bring(context):
        try:
            made = make(read_month(archive, first))
        except (Damaged, NotAPicture) as error:
            errors[first] = error
            continue
        except RocketAssetsError as error:
            # What keeps one month from the storage would keep the next from it, too.
            raise failure(error) from error
        version = f"{versions[first.isoformat()]}-{made.version}" if made.is_whole else made.version
        yield recorded(context, first, data_version=version, metadata=made.metadata)
    if errors:
        raise failed_days(context, errors, "months")
