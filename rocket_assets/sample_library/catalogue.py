"""The sample library's launches, as Launch Library 2 version 2.3.0 gives them in its detailed mode.

The facts come from Launch Library 2 of The Space Devs (https://thespacedevs.com), with thanks; the numbers, the
wording and the pictures are this project's own. What the table does not know is null or empty, as it is in the API,
and the statistics count the launches of this catalogue only. Shorter modes, filters and paging belong to the server.
"""

import functools
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from rocket_assets.sample_library import pictures, vocabulary
from rocket_assets.sample_library.facts import Fact, facts

Row = dict[str, Any]
SUBORBITAL = "Sub"
SLUG_LENGTH = 50


def launches(base_url: str) -> list[Row]:
    """Every launch as a detailed row, the oldest first.

    Args:
        base_url: where the library is served, without a slash at its end: http://127.0.0.1:8123
    """
    api, known = f"{base_url}/2.3.0", facts()
    attempts = _attempts(known)
    return [_launch(fact, number, api, base_url) | attempts[fact] for number, fact in enumerate(known, start=1)]


def _launch(fact: Fact, number: int, api: str, base_url: str) -> Row:
    launch_id = str(fact.identity)
    return {
        "id": launch_id,
        "url": f"{api}/launches/{launch_id}/",
        "name": fact.name,
        "response_mode": "detailed",
        "slug": _slug(fact.name),
        "launch_designator": fact.designator or None,
        "status": vocabulary.status(fact.status),
        "last_updated": _last_updated(fact),
        "net": fact.net,
        "net_precision": vocabulary.precision(fact.precision),
        "window_end": fact.net,
        "window_start": fact.net,
        "image": _image(fact.picture, base_url),
        "infographic": None,
        "probability": None,
        "weather_concerns": None,
        "failreason": "",
        "hashtag": None,
        "launch_service_provider": _provider(fact, api),
        "rocket": {
            "id": number,
            "configuration": _configuration(fact, api),
            "launcher_stage": [],
            "spacecraft_stage": [],
            "payloads": [],
        },
        "mission": _mission(fact, number),
        "pad": _pad(fact, api),
        "webcast_live": False,
        "program": [],
        **dict.fromkeys(_ATTEMPTS),
        "flightclub_url": None,
        "updates": [],
        "info_urls": [],
        "vid_urls": [],
        "timeline": [],
        "pad_turnaround": None,
        "mission_patches": [],
    }


def _slug(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:SLUG_LENGTH].strip("-")


def _last_updated(fact: Fact) -> str:
    """Some hours after the launch, as the final status usually comes."""
    late = timedelta(hours=1 + fact.identity.int % 6, minutes=fact.identity.int % 53, seconds=fact.identity.int % 59)
    return f"{datetime.fromisoformat(fact.net) + late:%Y-%m-%dT%H:%M:%SZ}"


def _image(file: str, base_url: str) -> Row | None:
    if not file:
        return None
    picture = pictures.table()[file]
    return {
        "id": _number("picture", file),
        "name": picture.title,
        "image_url": f"{base_url}/media/images/{file}",
        "thumbnail_url": f"{base_url}/media/images/{picture.thumbnail}",
        "credit": picture.credit,
        "license": vocabulary.licence(picture.licence),
        "single_use": sum(fact.picture == file for fact in facts()) == 1,
        "variants": [],
    }


def _provider(fact: Fact, api: str) -> Row:
    number = _number("provider", fact.provider)
    country = vocabulary.country(fact.provider_country)
    same = [other for other in facts() if other.provider == fact.provider]
    return {
        "response_mode": "detailed",
        "id": number,
        "url": f"{api}/agencies/{number}/",
        "name": fact.provider,
        "abbrev": fact.abbrev,
        "type": vocabulary.agency_type(fact.provider_type),
        "featured": False,
        "country": [country] if country else [],
        "description": None,
        "administrator": None,
        "founding_year": None,
        "launchers": " | ".join(dict.fromkeys(other.family for other in same)),
        "spacecraft": "",
        "parent": None,
        "image": None,
        "logo": None,
        "social_logo": None,
        **_record(same),
        "consecutive_successful_landings": 0,
        "successful_landings": 0,
        "failed_landings": 0,
        "attempted_landings": 0,
        "successful_landings_spacecraft": 0,
        "failed_landings_spacecraft": 0,
        "attempted_landings_spacecraft": 0,
        "successful_landings_payload": 0,
        "failed_landings_payload": 0,
        "attempted_landings_payload": 0,
        "info_url": None,
        "wiki_url": None,
        "social_media_links": [],
    }


def _configuration(fact: Fact, api: str) -> Row:
    number = _number("rocket", fact.rocket)
    same = [other for other in facts() if other.rocket == fact.rocket]
    variant = fact.rocket.removeprefix(fact.family).strip() if fact.rocket.startswith(fact.family) else ""
    return {
        "response_mode": "detailed",
        "id": number,
        "url": f"{api}/launcher_configurations/{number}/",
        "name": fact.rocket.removesuffix(variant).strip() or fact.rocket,
        "families": [_family(fact)],
        "full_name": fact.rocket,
        "variant": variant,
        "active": same[-1].net >= "2024",
        "is_placeholder": False,
        "manufacturer": None,
        "program": [],
        "reusable": fact.family in {"Falcon", "Space Shuttle", "Starship", "New Shepard", "New Glenn"},
        "image": None,
        "info_url": None,
        "wiki_url": None,
        "description": "",
        "alias": "",
        "min_stage": None,
        "max_stage": None,
        "length": None,
        "diameter": None,
        "maiden_flight": None,
        "launch_cost": None,
        "launch_mass": None,
        "leo_capacity": None,
        "gto_capacity": None,
        "geo_capacity": None,
        "sso_capacity": None,
        "to_thrust": None,
        "apogee": None,
        **_record(same),
        **_NO_LANDINGS,
        "fastest_turnaround": None,
    }


def _family(fact: Fact) -> Row:
    return {
        "response_mode": "detailed",
        "id": _number("family", fact.family),
        "name": fact.family,
        "manufacturer": [],
        "parent": None,
        "description": "",
        "active": True,
        "maiden_flight": None,
        **_record([other for other in facts() if other.family == fact.family]),
        **_NO_LANDINGS,
    }


def _mission(fact: Fact, number: int) -> Row:
    return {
        "id": number,
        "name": fact.mission,
        "type": fact.mission_type or "Unknown",
        "description": "",
        "image": None,
        "orbit": vocabulary.orbit(fact.orbit),
        "agencies": [],
        "info_urls": [],
        "vid_urls": [],
    }


def _pad(fact: Fact, api: str) -> Row:
    number = _number("place", fact.location, fact.pad)
    same = [other for other in facts() if (other.location, other.pad) == (fact.location, fact.pad)]
    return {
        "id": number,
        "url": f"{api}/pads/{number}/",
        "active": same[-1].net >= "2024",
        "agencies": [],
        "name": fact.pad,
        "image": None,
        "description": None,
        "info_url": None,
        "wiki_url": None,
        "map_url": f"https://www.openstreetmap.org/?mlat={fact.latitude}&mlon={fact.longitude}",
        "latitude": fact.latitude,
        "longitude": fact.longitude,
        "country": vocabulary.country(fact.country),
        "map_image": None,
        "total_launch_count": len(same),
        "orbital_launch_attempt_count": sum(other.orbit != SUBORBITAL for other in same),
        "fastest_turnaround": None,
        "location": _location(fact, api),
    }


def _location(fact: Fact, api: str) -> Row:
    number = _number("location", fact.location)
    same = [other for other in facts() if other.location == fact.location]
    return {
        "response_mode": "normal",
        "id": number,
        "url": f"{api}/locations/{number}/",
        "name": fact.location,
        "celestial_body": _earth(),
        "active": same[-1].net >= "2024",
        "country": vocabulary.country(fact.country),
        "description": None,
        "image": None,
        "map_image": None,
        "longitude": same[0].longitude,
        "latitude": same[0].latitude,
        "timezone_name": fact.timezone,
        "total_launch_count": len(same),
        "total_landing_count": 0,
    }


def _earth() -> Row:
    record = _record(facts())
    return {
        **vocabulary.earth(),
        "response_mode": "normal",
        "type": {"id": 1, "name": "Planet"},
        "diameter": 12742000.0,
        "mass": 5.9722e24,
        "gravity": 9.80665,
        "length_of_day": "1 00:00:00",
        "atmosphere": True,
        "image": None,
        "description": None,
        "wiki_url": None,
        "total_attempted_launches": record["total_launch_count"],
        "successful_launches": record["successful_launches"],
        "failed_launches": record["failed_launches"],
        "total_attempted_landings": 0,
        "successful_landings": 0,
        "failed_landings": 0,
    }


_NO_LANDINGS: Row = {
    "attempted_landings": 0,
    "successful_landings": 0,
    "failed_landings": 0,
    "consecutive_successful_landings": 0,
}


def _record(flown: Sequence[Fact]) -> Row:
    """What the API counts of somebody's launches. A partial failure counts as a failure, as it does there."""
    successes = [fact.status == "Success" for fact in flown]
    in_a_row = next((i for i, success in enumerate(reversed(successes)) if not success), len(successes))
    return {
        "total_launch_count": len(flown),
        "consecutive_successful_launches": in_a_row,
        "successful_launches": sum(successes),
        "failed_launches": len(flown) - sum(successes),
        "pending_launches": 0,
    }


_ATTEMPTS: dict[str, Callable[[Fact], tuple[str, ...]]] = {
    "orbital_launch_attempt_count": lambda _: (),
    "location_launch_attempt_count": lambda fact: (fact.location,),
    "pad_launch_attempt_count": lambda fact: (fact.location, fact.pad),
    "agency_launch_attempt_count": lambda fact: (fact.provider,),
    "orbital_launch_attempt_count_year": lambda fact: (fact.net[:4],),
    "location_launch_attempt_count_year": lambda fact: (fact.net[:4], fact.location),
    "pad_launch_attempt_count_year": lambda fact: (fact.net[:4], fact.location, fact.pad),
    "agency_launch_attempt_count_year": lambda fact: (fact.net[:4], fact.provider),
}
"""The API's eight running numbers of a launch, and among which launches each one counts."""


def _attempts(known: Iterable[Fact]) -> dict[Fact, Row]:
    counts: Counter[tuple[str, ...]] = Counter()
    attempts: dict[Fact, Row] = {}
    for fact in known:
        row: Row = {}
        for key, among in _ATTEMPTS.items():
            if key.startswith("orbital") and fact.orbit == SUBORBITAL:
                row[key] = None
                continue
            counter = (key, *among(fact))
            counts[counter] += 1
            row[key] = counts[counter]
        attempts[fact] = row
    return attempts


def _number(kind: str, *names: str) -> int:
    """The number of a thing among its kind: 1 for the first that the table names."""
    return _numbers()[kind, *names]


@functools.cache
def _numbers() -> dict[tuple[str, ...], int]:
    numbers: dict[tuple[str, ...], int] = {}
    counts: Counter[str] = Counter()
    for fact in facts():
        for key in (
            ("provider", fact.provider),
            ("rocket", fact.rocket),
            ("family", fact.family),
            ("location", fact.location),
            ("place", fact.location, fact.pad),
            ("picture", fact.picture),
        ):
            if key not in numbers:
                counts[key[0]] += 1
                numbers[key] = counts[key[0]]
    return numbers
