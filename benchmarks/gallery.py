"""How long the gallery of the whole history takes, and how much memory.

An archive of the made-up history, which is as large as the real one, is made from nothing. Then all of its months and
the index are made by a process of its own, and once more by another. `benchmarks/gallery.md` is written with what came.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from PIL import __version__

from benchmarks import history
from benchmarks.server import serving
from rocket_assets.archive import Archive
from rocket_assets.bringing import bring_images
from rocket_assets.gallery.site import Gallery
from rocket_assets.images import ImageLibrary
from rocket_assets.launch_library import LaunchLibrary
from rocket_assets.launches import days_between
from rocket_assets.months import month_of, read_month
from rocket_assets.storage import Storage

HERE = Path(__file__).parent


def months() -> list[date]:
    """The first day of each month."""
    return sorted({month_of(day) for day in days_between(history.FIRST, history.LAST)})


# The archive


def build(folder: Path) -> None:
    """Make the archive, by the project's own means."""
    archive = Archive(Storage(str(folder / "archive")))
    days = list(days_between(history.FIRST, history.LAST))
    with serving(history.draw_pictures()) as server:
        url = f"{server.url}/2.3.0/"
        with LaunchLibrary(url) as library:
            for day in library.days(history.FIRST, history.LAST + timedelta(days=1)):
                archive.write_day(day)
        with ImageLibrary(archive.storage, api_url=url) as pictures:
            brought = [day.error for day in bring_images(archive, days, pictures)]
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
        "days": (history.LAST - history.FIRST).days + 1,
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
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.gallery", step, str(folder)], cwd=HERE.parent, stdout=subprocess.PIPE
    ) as process:
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
        f"{len(months())} months, {said['days']:,} days, {said['launches']:,} launches, {said['thumbnails']} distinct "
        "pictures of 80 kB to 1.5 MB, three of four a JPEG, the others a PNG.",
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
        print("Building the archive takes a minute or two.", flush=True)
        # In another process, too: what it takes would count for those that follow.
        measured("build", folder)
        text = report(folder, {time: measured(time, folder) for time in ("first", "second")})
    (HERE / "gallery.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
