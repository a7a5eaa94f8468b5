"""The words that the API picks from: statuses, precisions, orbits, countries, licences.

Statuses and precisions carry the API's own numbers, because clients filter by them and tell final from open by them.
Everything else is numbered here, in the order of its table. The descriptions are this project's.
"""

from typing import Any

_STATUSES = {
    "Go": (1, "Go for Launch", "The launch is to take place at this time."),
    "TBC": (8, "To Be Confirmed", "The launch is to take place about this time; nobody has confirmed it yet."),
    "In Flight": (6, "Launch in Flight", "The rocket has left the ground; how it ends is not known yet."),
    "Success": (3, "Launch Successful", "The payloads were left where they were meant to go."),
    "Failure": (4, "Launch Failure", "The payloads did not get where they were meant to go."),
    "Partial Failure": (7, "Launch was a Partial Failure", "Some of what was meant to happen did not."),
}
_PRECISIONS = {
    "SEC": (0, "Second", "The time is known to the second."),
    "MIN": (1, "Minute", "The time is known to the minute."),
    "DAY": (5, "Day", "The day is known, the time is not."),
}
_ORBITS = {
    "": "Unknown",
    "LEO": "Low Earth Orbit",
    "SSO": "Sun-Synchronous Orbit",
    "PO": "Polar Orbit",
    "MEO": "Medium Earth Orbit",
    "GTO": "Geostationary Transfer Orbit",
    "GSTO": "Geosynchronous Transfer Orbit",
    "Elliptical": "Elliptical Orbit",
    "HEO": "High Earth Orbit",
    "Sub": "Suborbital",
    "LO": "Lunar Orbit",
    "Lunar Impactor": "Lunar Impactor",
    "L1-point": "Heliocentric L1",
    "L2": "Sun-Earth L2",
    "Helio-N/A": "Heliocentric N/A",
    "Mars": "Mars Orbit",
    "Venus": "Venus Orbit",
    "Venus flyby": "Venus flyby",
    "Solar Esc.": "Solar Escape Trajectory",
}
_COUNTRIES = {
    "AUS": ("AU", "Australia", "Australian", "Australo"),
    "CHN": ("CN", "China", "Chinese", "Sino"),
    "DEU": ("DE", "Germany", "German", "Germano"),
    "FRA": ("FR", "France", "French", "Franco"),
    "GBR": ("GB", "United Kingdom", "British", "Anglo"),
    "GUF": ("GF", "French Guiana", "French Guianese", "Guiano"),
    "IND": ("IN", "India", "Indian", "Indo"),
    "IRN": ("IR", "Iran", "Iranian", "Irano"),
    "ISR": ("IL", "Israel", "Israeli", "Israelo"),
    "ITA": ("IT", "Italy", "Italian", "Italo"),
    "JPN": ("JP", "Japan", "Japanese", "Japano"),
    "KAZ": ("KZ", "Kazakhstan", "Kazakhstani", "Kazakho"),
    "KOR": ("KR", "South Korea", "South Korean", "Koreano"),
    "MHL": ("MH", "Marshall Islands", "Marshallese", "Marshallo"),
    "NOR": ("NO", "Norway", "Norwegian", "Norwego"),
    "NZL": ("NZ", "New Zealand", "New Zealander", "New Zealando"),
    "PRK": ("KP", "North Korea", "North Korean", "Koreano"),
    "RUS": ("RU", "Russia", "Russian", "Russo"),
    "USA": ("US", "United States of America", "American", "Americano"),
}
_AGENCY_TYPES = ("Government", "Commercial", "Private", "Multinational")
_LICENCES = {
    "CC0 1.0": (1, "https://creativecommons.org/publicdomain/zero/1.0/"),
    "Unknown": (9, None),
}


def status(abbrev: str) -> dict[str, Any]:
    """A launch's status."""
    number, name, description = _STATUSES[abbrev]
    return {"id": number, "name": name, "abbrev": abbrev, "description": description}


def precision(abbrev: str) -> dict[str, Any] | None:
    """How exactly the time of a launch is known; None where nobody has said."""
    if not abbrev:
        return None
    number, name, description = _PRECISIONS[abbrev]
    return {"id": number, "name": name, "abbrev": abbrev, "description": description}


def earth() -> dict[str, Any]:
    """Earth, as short as an orbit names it."""
    return {"response_mode": "list", "id": 1, "name": "Earth"}


def orbit(abbrev: str) -> dict[str, Any]:
    """Where a mission was bound."""
    number = list(_ORBITS).index(abbrev) + 1
    return {"id": number, "name": _ORBITS[abbrev], "abbrev": abbrev or "N/A", "celestial_body": earth()}


def country(code: str) -> dict[str, Any] | None:
    """A country by its three letters; None for the high seas and for what belongs to many."""
    if not code:
        return None
    two, name, nationality, composed = _COUNTRIES[code]
    return {
        "id": list(_COUNTRIES).index(code) + 1,
        "name": name,
        "alpha_2_code": two,
        "alpha_3_code": code,
        "nationality_name": nationality,
        "nationality_name_composed": composed,
    }


def agency_type(name: str) -> dict[str, Any]:
    """What kind of agency somebody is."""
    return {"id": _AGENCY_TYPES.index(name) + 1, "name": name}


def licence(name: str) -> dict[str, Any]:
    """What may be done with a picture."""
    priority, link = _LICENCES[name]
    return {"id": list(_LICENCES).index(name) + 1, "name": name, "priority": priority, "link": link}
