"""Every rocket launch and its picture, day by day, as Dagster assets.

The package has two halves. `rocket_assets.defs` is what Dagster sees: assets, checks, partitions, resources.
Everything beside it is plain Python that never imports Dagster: how the Launch Library is asked, what a launch is,
what a picture is, and where both are kept. `rocket_assets.definitions` is the door.

This module imports nothing, so that importing the package costs nothing.
"""
