"""What a schedule and a sensor start: the launches of some days. The pictures follow by themselves."""

import dagster as dg

from rocket_assets.defs import assets

bring_launches = dg.define_asset_job(
    "bring_launches",
    selection=[assets.launches],
    description="The launches of a day, or of a range of days. Their pictures follow within two minutes.",
)
