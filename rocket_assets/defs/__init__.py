"""The Dagster half: one file for each of Dagster's concepts.

Here it is said what exists, on which days, in which order, and what the UI shows of it. A function here that decides
something about launches or pictures is on the wrong side of the line: it belongs into the plain half, which never
imports Dagster. `rocket_assets.definitions` puts it all on one page.

No `from __future__ import annotations` in this folder: Dagster reads the annotations of assets and resources.
"""
