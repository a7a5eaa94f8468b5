"""The three lengths of an answer of version 2.3.0: how a detailed row becomes a normal or a list row.

A row that does not say its own mode is of an older version; there the modes differ in more than length, and such a row
is given as it is.
"""

from typing import Any

Row = dict[str, Any]

_LIST = (
    "id", "url", "name", "response_mode", "slug", "launch_designator", "status", "last_updated", "net",
    "net_precision", "window_end", "window_start", "image", "infographic",
)  # fmt: skip
_NORMAL_ONLY = (
    "probability", "weather_concerns", "failreason", "hashtag", "launch_service_provider", "rocket", "mission", "pad",
    "webcast_live", "program", "orbital_launch_attempt_count", "location_launch_attempt_count",
    "pad_launch_attempt_count", "agency_launch_attempt_count", "orbital_launch_attempt_count_year",
    "location_launch_attempt_count_year", "pad_launch_attempt_count_year", "agency_launch_attempt_count_year",
)  # fmt: skip
_NORMAL = (*_LIST, *_NORMAL_ONLY)
_AGENCY = ("response_mode", "id", "url", "name", "abbrev", "type")
_CONFIGURATION = ("response_mode", "id", "url", "name", "families", "full_name", "variant")
_FAMILY = ("response_mode", "id", "name")
_LENGTHS = {"list": 0, "normal": 1, "detailed": 2}

MODES = tuple(_LENGTHS)
"""The modes by name."""


def shorten(row: Row, mode: str) -> Row:
    """The row in a mode; a row that is no longer than that already is given as it is."""
    if _LENGTHS[mode] >= _LENGTHS.get(str(row.get("response_mode")), 0):
        return row
    return _pick(row, _LIST, mode) if mode == "list" else _normal(row)


def _pick(row: Row, keys: tuple[str, ...], mode: str = "list") -> Row:
    return {key: row[key] for key in keys if key in row} | {"response_mode": mode}


def _normal(row: Row) -> Row:
    short = _pick(row, _NORMAL, "normal")
    if provider := row.get("launch_service_provider"):
        short["launch_service_provider"] = _pick(provider, _AGENCY)
    if rocket := row.get("rocket"):
        configuration = _pick(rocket["configuration"], _CONFIGURATION)
        configuration["families"] = [_pick(family, _FAMILY) for family in configuration.get("families") or []]
        short["rocket"] = {"id": rocket["id"], "configuration": configuration}
    return short
