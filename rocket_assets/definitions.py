"""The door: everything that Dagster sees, on one page."""

import warnings
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from rocket_assets.defs import assets, checks, jobs, schedules, sensors
from rocket_assets.defs.environment import SETTINGS
from rocket_assets.defs.freshness import today_is_fresh
from rocket_assets.defs.resources import resources
from rocket_assets.settings import Settings


def utc_now() -> datetime:
    """What time it is."""
    return datetime.now(UTC)


def definitions(settings: Settings, clock: Callable[[], datetime] = utc_now) -> dg.Definitions:
    """The project with these settings.

    The days, and how the gallery is made of them, are those of the environment that it was imported in.

    The clock is that of the sensors, of the checks of today and of what is forgotten; inside an asset there is none.
    """
    forget_old_runs = jobs.forget_old_runs(settings, clock)
    return dg.Definitions(
        assets=_with_their_source(
            *(assets.library, assets.launches, assets.launch_images, assets.whole_archive),
            *(assets.launch_gallery, assets.launch_table, assets.gallery_index),
        ),
        asset_checks=[checks.stored_days_are_whole, today_is_fresh(settings, clock, assets.GALLERY_RECIPE)],
        jobs=[jobs.bring_launches, jobs.verify_stored_days, forget_old_runs],
        schedules=[
            schedules.launches_around_today(settings),
            schedules.stored_days_each_night(),
            schedules.old_runs_each_week(forget_old_runs, settings),
        ],
        sensors=[
            sensors.launch_library_changes(settings, clock),
            sensors.launch_images_follow(),
            sensors.views_follow(),
            sensors.today_is_looked_at(settings, clock),
            *([sensors.tell_news(clock), sensors.tell_failures()] if settings.notify else []),
        ],
        resources=resources(settings),
        # A run is a few seconds of network and disk: a process for each of its steps would cost more than the work.
        executor=dg.in_process_executor,
    )


def _with_their_source(*specs_and_assets: dg.AssetSpec | dg.AssetsDefinition) -> Sequence[Any]:
    """Let the UI show where each asset is written."""
    with warnings.catch_warnings():
        # In beta since 2024.
        warnings.simplefilter("ignore", dg.BetaWarning)
        # Dagster finds by itself where a function is written, and not where a spec is.
        where = dg.LocalFileCodeReference(file_path=str(assets.__file__), line_number=1)
        written = {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=[where])}
        given = [
            each.merge_attributes(metadata=written) if isinstance(each, dg.AssetSpec) else each
            for each in specs_and_assets
        ]
        return dg.with_source_code_references(given)


defs = definitions(SETTINGS)
