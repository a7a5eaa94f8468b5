"""A made-up history of spaceflight, as large and as uneven as the real one, and the same each time.

The figures are the real ones, as the Launch Library told them on 2026-08-22: how many launches each year had, on how
many days, how many of them without a picture or with one of their own (`years.csv`), and how often and for how long
each of the others was shown (`shared_pictures.csv`). Everything else is chance with a seed: names, times, texts,
pictures.

A row has the fields of the API's normal mode in version 2.3.0 and, as there, about 10 kB.
"""

from __future__ import annotations

import csv
import random
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from itertools import count, repeat
from pathlib import Path
from typing import Any
from uuid import UUID

from PIL import Image

from rocket_assets.launches import days_between

FIRST, LAST = date(1957, 10, 4), date(2026, 8, 22)
PICTURES = Path(__file__).parents[1] / ".bench/pictures"
"""Where the pictures are drawn, once."""

_HERE = Path(__file__).parent
_API = "https://ll.thespacedevs.com/2.3.0"
_MEDIA = "https://thespacedevs-prod.nyc3.digitaloceanspaces.com/media"

Row = dict[str, Any]


@dataclass
class _Shared:
    """A picture that several launches show, from one year to another; `left` of them are still to come."""

    name: str
    left: int
    first: int
    last: int


@cache
def plan() -> tuple[tuple[date, str | None], ...]:
    """Each launch in turn: its day, and the name of its picture if it has one."""
    chance, names = random.Random(1957), _names_of_pictures()
    shared = [_Shared(next(names), *row) for row in _figures("shared_pictures.csv")]
    launches: list[tuple[date, str | None]] = []
    for year, total, on_days, without, own in _figures("years.csv"):
        first, last = max(FIRST, date(year, 1, 1)), min(LAST, date(year, 12, 31))
        ends = {FIRST, LAST} & {first, last}
        others = [day for day in days_between(first, last) if day not in ends]
        days = [*sorted(ends), *chance.sample(others, on_days - len(ends))]
        days += chance.choices(days, k=total - on_days)
        pictures = [None] * without + [next(names) for _ in range(own)]
        pictures += _shown(year, total - len(pictures), shared, chance)
        chance.shuffle(pictures)
        launches += zip(sorted(days), pictures, strict=True)
    return tuple(launches)


def picture_names() -> list[str]:
    """The names of all pictures, in the order in which they are first shown."""
    return list(dict.fromkeys(name for _, name in plan() if name))


def pictures_of(start: date, end: date) -> list[str]:
    """The names of the distinct pictures of the days from `start` to `end`, both included."""
    return list(dict.fromkeys(name for day, name in plan() if name and start <= day <= end))


def _figures(name: str) -> list[list[int]]:
    with (_HERE / name).open() as file:
        return [[int(value) for value in row] for row in list(csv.reader(file))[1:]]


def _names_of_pictures() -> Iterator[str]:
    """As the API names them; three of four are a JPEG."""
    for number in count():
        suffix = "png" if number % 4 == 3 else "jpg" if number % 4 else "jpeg"
        yield f"rocket2520{number:03}_image_20{number % 27:02}0{1 + number % 9}1{number % 9}{number:06}.{suffix}"


def _shown(year: int, number: int, shared: list[_Shared], chance: random.Random) -> list[str]:
    """Which of the shared pictures the launches of a year show: each as its time demands, all of them in the end."""
    shown: list[str] = []
    for _ in range(number):
        open_now = [picture for picture in shared if picture.left and picture.first <= year]
        # Who has many launches and little time left comes first; whose time is over, at once.
        weights = [picture.left / max(0.02, picture.last - year + 0.5) for picture in open_now]
        picture = chance.choices(open_now, weights)[0] if open_now else min(shared, key=lambda one: one.first)
        picture.left -= 1
        shown.append(picture.name)
    return shown


# What the API says of a launch


def rows(base_url: str) -> list[Row]:
    """All launches in the order of their NET, as the API gives them; the pictures are below this address."""
    chance, many, told = random.Random(2026), plan(), list[Row]()
    for number, (day, picture) in enumerate(many):
        time = timedelta(seconds=60 * chance.randrange(1440))
        told.append(_row(number, f"{day}T{time // timedelta(hours=1):02}:{time.seconds // 60 % 60:02}:00Z", chance))
        told[-1]["image"] = _image(picture, base_url, chance) if picture else None
    return sorted(told, key=lambda row: (row["net"], row["id"]))


def _row(number: int, net: str, chance: random.Random) -> Row:
    launch_id, provider, rocket = UUID(int=chance.getrandbits(128), version=4), chance.randrange(99), number % 484
    name = f"Rocket {rocket} Block {rocket % 7} | Mission {number}"
    pad = _pad(chance.randrange(212))
    return {
        "id": str(launch_id),
        "url": f"{_API}/launches/{launch_id}/",
        "name": name,
        "response_mode": "normal",
        "slug": name.lower().replace(" | ", "-").replace(" ", "-"),
        "launch_designator": f"{net[:4]}-{number % 400:03}",
        "status": _STATUSES[chance.choices(range(3), [7051, 523, 34])[0]],
        "last_updated": f"2026-05-{1 + number % 28:02}T08:42:53Z",
        "net": net,
        "net_precision": {
            "id": 1,
            "name": "Minute",
            "abbrev": "MIN",
            "description": "The T-0 is accurate to the minute.",
        },
        "window_end": net,
        "window_start": net,
        "image": None,
        "infographic": None,
        "probability": None,
        "weather_concerns": None,
        "failreason": "",
        "hashtag": None,
        "launch_service_provider": {**_agency(provider), "response_mode": "list"},
        "rocket": {"id": 20000 + number, "configuration": _configuration(rocket)},
        "mission": {
            "id": 5000 + number,
            "name": f"Mission {number}",
            "type": chance.choice(["Communications", "Earth Science", "Government/Top Secret", "Navigation"]),
            "description": _text(chance, 20, 60),
            "image": None,
            "orbit": {
                "id": 8,
                "name": "Low Earth Orbit",
                "abbrev": "LEO",
                "celestial_body": {"response_mode": "list", "id": 1, "name": "Earth"},
            },
            "agencies": [_described_agency(provider)] * chance.choices(range(3), [1, 7, 3])[0],
            "info_urls": [],
            "vid_urls": [],
        },
        "pad": pad,
        "webcast_live": False,
        "program": [],
        **{
            f"{of}_launch_attempt_count{within}": number % 7608 + 1
            for within in ("", "_year")
            for of in ("orbital", "location", "pad", "agency")
        },
    }


_STATUSES = (
    {
        "id": 3,
        "name": "Launch Successful",
        "abbrev": "Success",
        "description": "The payloads are in their orbits.",
    },
    {"id": 4, "name": "Launch Failure", "abbrev": "Failure", "description": "The payloads did not get to an orbit."},
    {"id": 7, "name": "Launch was a Partial Failure", "abbrev": "Partial Failure", "description": "Only some did."},
)
_COUNTRY = {
    "id": 2,
    "name": "United Islands of Somewhere",
    "alpha_2_code": "XS",
    "alpha_3_code": "XSO",
    "nationality_name": "Somewhat",
    "nationality_name_composed": "Somewhato",
}
_PROSE = (
    "the satellite orbit of launch a first stage in which and new to space station crew second flight with engine "
    "test service constellation for communications earth observation imaging radar payload mission rocket by its "
    "planned weather polar geostationary transfer rideshare small demonstration reusable booster landing platform "
    "at sea "
)


def _text(chance: random.Random, least: int, most: int) -> str:
    words = chance.choices(_PROSE.split(), k=chance.randrange(least, most))
    return f"{' '.join(words).capitalize()}."


def _image(name: str, base_url: str, chance: random.Random) -> Row:
    of_someone = chance.randrange(61)
    return {
        "id": int(name[10:13] if name[10:13].isdigit() else 0),
        "name": f"The rocket of {name.partition('_')[0]}",
        "image_url": f"{base_url}/media/images/{name}",
        "thumbnail_url": f"{base_url}/media/images/255bauto255d__image_thumbnail_{name.rpartition('_')[2]}",
        "credit": f"Photographer {of_someone}",
        "license": {
            "id": 10,
            "name": "CC BY-NC 2.0",
            "priority": 3,
            "link": "https://creativecommons.org/licenses/by-nc/2.0/",
        },
        "single_use": False,
        "variants": [],
    }


def _foreign_image(kind: str, number: int) -> Row:
    """A picture that is not of the launch: nobody fetches it."""
    return _image(f"{kind}{number:03}_image_20240918151616.jpeg", _MEDIA.removesuffix("/media"), random.Random(number))


@cache
def _agency(number: int) -> Row:
    return {
        "response_mode": "normal",
        "id": number,
        "url": f"{_API}/agencies/{number}/",
        "name": f"Provider {number} of Launch Services",
        "abbrev": f"P{number}",
        "type": {"id": 3, "name": "Commercial"},
    }


@cache
def _described_agency(number: int) -> Row:
    chance = random.Random(number)
    counts = ("total_launch_count", "consecutive_successful_launches", "successful_launches", "failed_launches")
    landings = ("", "_spacecraft", "_payload")
    return {
        **_agency(number),
        "featured": True,
        "country": [_COUNTRY],
        "description": _text(chance, 40, 120),
        "administrator": f"CEO: Person {number}",
        "founding_year": 1957 + number % 60,
        "launchers": " | ".join(f"Rocket {number + each}" for each in range(3)),
        "spacecraft": f"Capsule {number}",
        "parent": None,
        **{kind: _foreign_image(kind, number) for kind in ("image", "logo", "social_logo")},
        **{name: chance.randrange(900) for name in (*counts, "pending_launches", "consecutive_successful_landings")},
        **{f"{how}_landings{of}": 0 for of in landings for how in ("attempted", "successful", "failed")},
        "info_url": f"http://www.provider{number}.example/",
        "wiki_url": f"http://en.wikipedia.org/wiki/Provider_{number}",
        "social_media_links": [],
    }


@cache
def _configuration(number: int) -> Row:
    family = {"response_mode": "list", "id": number % 170, "name": f"Rocket {number}"}
    return {
        "response_mode": "list",
        "id": number,
        "url": f"{_API}/launcher_configurations/{number}/",
        "name": f"Rocket {number}",
        "families": [family],
        "full_name": f"Rocket {number} Block {number % 7}",
        "variant": f"Block {number % 7}",
    }


@cache
def _pad(number: int) -> Row:
    chance = random.Random(number)
    return {
        "id": number,
        "url": f"{_API}/pads/{number}/",
        "active": True,
        "agencies": [],
        "name": f"Space Launch Complex {number}",
        "image": _foreign_image("pad", number),
        "description": _text(chance, 5, 40),
        "info_url": None,
        "wiki_url": f"https://en.wikipedia.org/wiki/Space_Launch_Complex_{number}",
        "map_url": f"https://www.google.com/maps?q={28 + number / 1000},-{80 - number / 1000}",
        "latitude": 28 + number / 1000,
        "longitude": -80 + number / 1000,
        "country": _COUNTRY,
        "map_image": f"{_MEDIA}/map_images/pad_{number}_20200803143528.jpg",
        "total_launch_count": chance.randrange(900),
        "orbital_launch_attempt_count": chance.randrange(900),
        "fastest_turnaround": "P15DT22H26M17S",
        "location": _location(number % 60),
    }


@cache
def _location(number: int) -> Row:
    chance = random.Random(number)
    return {
        "response_mode": "normal",
        "id": number,
        "url": f"{_API}/locations/{number}/",
        "name": f"Cape {number}, Country {number % 13}",
        "celestial_body": {
            "response_mode": "normal",
            "id": 1,
            "name": "Earth",
            "type": {"id": 1, "name": "Planet"},
            "diameter": 12742000.0,
            "mass": 5.972168e24,
            "gravity": 9.80655,
            "length_of_day": "1 00:00:00",
            "atmosphere": True,
            "image": _foreign_image("earth", 0),
            "description": _text(chance, 12, 13),
            "wiki_url": "https://en.wikipedia.org/wiki/Earth",
            **{
                name: chance.randrange(9000)
                for name in (
                    "total_attempted_launches",
                    "successful_launches",
                    "failed_launches",
                    "total_attempted_landings",
                    "successful_landings",
                    "failed_landings",
                )
            },
        },
        "active": True,
        "country": _COUNTRY,
        "description": _text(chance, 20, 60),
        "image": _foreign_image("cape", number),
        "map_image": f"{_MEDIA}/map_images/location_{number}_20200803142519.jpg",
        "longitude": -80.577778,
        "latitude": 28.488889,
        "timezone_name": "America/New_York",
        "total_launch_count": chance.randrange(900),
        "total_landing_count": chance.randrange(90),
    }


# Its pictures


def draw_pictures(folder: Path = PICTURES) -> Path:
    """Draw the pictures that are not there yet; the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [name for name in picture_names() if not (folder / name).exists()]
    if missing:
        print(f"Drawing {len(missing)} pictures into {folder}.", flush=True)
        # Who is told to end tells it to these, which are deaf to Ctrl-C and finish what they have begun.
        with ProcessPoolExecutor(initializer=_deaf_to_ctrl_c) as processes:
            list(processes.map(draw, missing, repeat(folder), chunksize=8))
    return folder


def _deaf_to_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def draw(name: str, folder: Path, most_kilobytes: float = 1500.0) -> None:
    """A blurred landscape with grain, of as many pixels as makes it 80 kB to 1.5 MB, half of them below 420 kB."""
    chance = random.Random(name)
    kilobytes = min(most_kilobytes, max(80.0, chance.lognormvariate(6, 0.7)))
    is_png = name.endswith("png")
    pixels = kilobytes * (500 if is_png else 4200)
    height = int((pixels / 1.5) ** 0.5)
    small = Image.frombytes("RGB", (48, 32), chance.randbytes(48 * 32 * 3))
    picture = small.resize((height * 3 // 2, height), Image.Resampling.BICUBIC)
    # Not by Pillow's own noise, which differs each time.
    grain = Image.frombytes("L", (256, 256), chance.randbytes(256 * 256))
    tiled = Image.new("L", picture.size)
    for x in range(0, picture.width, 256):
        for y in range(0, picture.height, 256):
            tiled.paste(grain, (x, y))
    beside = folder / f"{name}.part"
    blended = Image.blend(picture, tiled.convert("RGB"), 0.08)
    blended.save(beside, "PNG" if is_png else "JPEG", quality=85)
    beside.rename(folder / name)
