"""The door: everything that Dagster sees, on one page."""

import dagster as dg

from rocket_assets.defs import assets, resources

defs = dg.Definitions(
    assets=[assets.library, assets.launches, assets.launch_images],
    resources=resources.configured_resources,
    # A run is a few seconds of network and disk: a process for each of its steps would cost more than the work.
    executor=dg.in_process_executor,
)
