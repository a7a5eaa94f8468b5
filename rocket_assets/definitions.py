"""The door: everything that Dagster sees, on one page."""

import dagster as dg

from rocket_assets.defs import assets
from rocket_assets.defs.environment import SETTINGS
from rocket_assets.defs.resources import resources
from rocket_assets.settings import Settings


def definitions(settings: Settings) -> dg.Definitions:
    """The project with these settings; the days alone are those of the environment that it was imported in."""
    return dg.Definitions(
        assets=[assets.library, assets.launches, assets.launch_images],
        resources=resources(settings),
        # A run is a few seconds of network and disk: a process for each of its steps would cost more than the work.
        executor=dg.in_process_executor,
    )


defs = definitions(SETTINGS)
