"""How long the gallery of the whole history takes, and how much memory.

An archive as large as the real one is made from nothing, the same each time: every day of 830 months, 7,600 launches,
691 distinct pictures of one to four million pixels, shared as unevenly as the real ones are. Then all of its months and
the index are made by a process of its own, and once more by another. `benchmarks/gallery.md` is written with what came.
"""

from __future__ import annotations

import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID

from PIL import Image, __version__

from rocket_assets.archive import Archive
from rocket_assets.gallery.site import Gallery
from rocket_assets.images import ImageLibrary
from rocket_assets.launches import days_between, parse
from rocket_assets.months import read_month
from rocket_assets.storage import Storage

FIRST, MONTHS = date(1957, 10, 1), 830
LAUNCHES, PICTURES, USED_ONCE = 7600, 691, 428
HERE = Path(__file__).parent


def months() -> list[date]:
    """The first day of each month."""
    numbers = (FIRST.year * 12 + FIRST.month - 1 + n for n in range(MONTHS))
    return [date(number // 12, number % 12 + 1, 1) for number in numbers]


def last_day() -> date:
    """The last day of the last month."""
    return (months()[-1] + timedelta(days=31)).replace(day=1) - timedelta(days=1)


# The archive


def draw(folder: Path) -> list[str]:
    """Draw the pictures: three of four a JPEG, the others a PNG."""
    names = []
    for number in range(PICTURES):
        chance = random.Random(number)
        height = chance.randrange(820, 1640)
        small = Image.frombytes("RGB", (48, 32), chance.randbytes(48 * 32 * 3))
        picture = small.resize((height * 3 // 2, height), Image.Resampling.BICUBIC)
        grain = Image.effect_noise((picture.width // 2, picture.height // 2), 24).resize(picture.size).convert("RGB")
        picture = Image.blend(picture, grain, 0.15)
        name = f"{number}.{'png' if number % 4 == 3 else 'jpg'}"
        picture.save(folder / name, quality=88, compress_level=1)
        names.append(name)
    return names


def launches(url: str, names: list[str]) -> Iterator[dict[str, Any]]:
    """Rows as the API gives them."""
    chance = random.Random(0)
    span = (last_day() - FIRST).days
    often = names[USED_ONCE:]
    weights = [1 / (rank + 3) for rank in range(len(often))]
    for number in range(LAUNCHES):
        # Each at least once, and the rest of the launches share those that are shown more often.
        name = names[number] if number < PICTURES else chance.choices(often, weights)[0]
        # More of them in later years.
        day = FIRST + timedelta(days=int(span * chance.random() ** 0.8))
        status = chance.choices([3, 4, 7, 1], [92, 5, 2, 1])[0]
        yield {
            "id": str(UUID(int=chance.getrandbits(128))),
            "url": f"https://ll.thespacedevs.com/2.3.0/launches/{number}/",
            "name": f"Rocket {number % 97} | Mission {number}",
            "net": f"{day}T{chance.randrange(24):02}:{chance.randrange(60):02}:00Z",
            "net_precision": {"id": 1, "name": "Minute"},
            "status": {"id": status, "abbrev": "Go"},
            "launch_service_provider": {"name": f"Provider {number % 41}"},
            "rocket": {"configuration": {"full_name": f"Rocket {number % 97} Block {number % 5}"}},
            "pad": {"name": f"Pad {number % 31}", "location": {"name": f"Place {number % 17}, Country"}},
            "mission": {
                "name": f"Mission {number}",
                "type": "Communications",
                "orbit": {"name": "Low Earth Orbit"},
                "description": "A mission of which a few sentences are told, as most of them are. " * (number % 9),
            },
            "image": None
            if number >= PICTURES and number % 12 == 5
            else {
                "image_url": f"{url}{name}",
                "credit": f"Photographer {number % 61}",
                "license": {"name": "CC BY-NC 2.0", "link": "https://creativecommons.org/licenses/by-nc/2.0/"},
            },
        }


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The files of a folder behind an address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def build(folder: Path) -> None:
    """Make the archive, by the project's own means."""
    archive = Archive(Storage(str(folder / "archive")))
    drawn = folder / "drawn"
    drawn.mkdir()
    names = draw(drawn)
    with serving(drawn) as url, ImageLibrary(archive.storage, api_url=url) as library:
        of_day = defaultdict(list)
        for row in launches(url, names):
            launch = parse(row, url)
            of_day[launch.day].append(launch)
        days = list(days_between(FIRST, last_day()))
        for day in days:
            archive.write_launches(day, url, of_day[day])
        brought = [day.error for day in archive.bring_images(days, library)]
    if any(brought):
        raise SystemExit(f"The archive could not be built: {next(filter(None, brought))}")


# What is measured


def make(folder: Path) -> dict[str, Any]:
    """Make all months and the index, and count what was made."""
    archive = Archive(Storage(str(folder / "archive")))
    gallery = Gallery(archive.storage)
    made = [gallery.make_month(read_month(archive, month)) for month in months()]
    began = time.perf_counter()
    index = gallery.make_index()
    return {
        "days": (last_day() - FIRST).days + 1,
        "launches": index.launches,
        "thumbnails": sum(month.thumbnails for month in made),
        "written": sum(month.changed for month in made),
        "index_seconds": time.perf_counter() - began,
    }


@dataclass(frozen=True)
class Cost:
    """What a process said, and what it took."""

    said: dict[str, Any]
    wall: float
    cpu: float
    megabytes: float


def measured(step: str, folder: Path) -> Cost:
    """Run a step in a process of its own."""
    began = time.perf_counter()
    with subprocess.Popen([sys.executable, __file__, step, str(folder)], stdout=subprocess.PIPE) as process:
        said = process.stdout.read() if process.stdout else b""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(process.returncode)
    # Linux counts kilobytes, macOS bytes.
    unit = 1e6 if sys.platform == "darwin" else 1e3
    wall = time.perf_counter() - began
    return Cost(json.loads(said), wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit)


def processor() -> str:
    """What the machine says that it has."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def size_of(folder: Path, pattern: str) -> tuple[int, float]:
    """How many files there are, and their megabytes."""
    sizes = [path.stat().st_size for path in folder.rglob(pattern)]
    return len(sizes), sum(sizes) / 1e6


def report(folder: Path, costs: dict[str, Cost]) -> str:
    """What was measured, as a page."""
    said = costs["first"].said
    gallery = folder / "archive/gallery"
    kinds = {"pages": "*.html", "thumbnails": "*.webp", "summaries": "*.json"}
    lines = [
        "# The gallery of the whole history",
        "",
        f"`make bench-gallery` on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores ({processor()}), "
        f"{platform.system()}, Python {platform.python_version()}, Pillow {__version__}, a local folder.",
        "",
        f"{MONTHS} months, {said['days']:,} days, {said['launches']:,} launches, {said['thumbnails']} distinct "
        "pictures of one to four million pixels, three of four a JPEG, the others a PNG.",
        "",
        "| | seconds | of the CPU | MB at most | thumbnails | months written | the index, seconds |",
        "|---|---:|---:|---:|---:|---:|---:|",
        *(
            f"| {name} | {cost.wall:.1f} | {cost.cpu:.1f} | {cost.megabytes:.0f} | {cost.said['thumbnails']} "
            f"| {cost.said['written']} | {cost.said['index_seconds']:.1f} |"
            for name, cost in costs.items()
        ),
        "",
        *(
            f"- {name}: {count:,} files, {megabytes:.1f} MB"
            for name, (count, megabytes) in ((name, size_of(gallery, pattern)) for name, pattern in kinds.items())
        ),
        f"- index.html: {(gallery / 'index.html').stat().st_size / 1e3:.0f} kB",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Build, measure, and write down what came; or one of these steps, in a process of its own."""
    if len(sys.argv) == 3:
        step, folder = sys.argv[1:]
        print(json.dumps((build if step == "build" else make)(Path(folder))))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        print("Building the archive takes two minutes or three.", flush=True)
        # In another process, too: what it takes would count for those that follow.
        measured("build", folder)
        text = report(folder, {time: measured(time, folder) for time in ("first", "second")})
    (HERE / "gallery.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
