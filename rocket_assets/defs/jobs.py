"""What schedules and a sensor start: the launches of some days, and a look at what is stored.

The pictures follow launches by themselves.
"""

import dagster as dg

from rocket_assets.defs import assets, checks

bring_launches = dg.define_asset_job(
    "bring_launches",
    selection=[assets.launches],
    description="The launches of a day, or of a range of days. Their pictures follow within two minutes.",
)

verify_stored_days = dg.define_asset_job(
    "verify_stored_days",
    selection=dg.AssetSelection.checks(checks.stored_days_are_whole),
    description="Looks whether a sample of the stored days is still what was written. Asks nobody, and writes nothing.",
)
