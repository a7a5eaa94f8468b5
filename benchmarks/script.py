"""What one would write by hand: the launches of some days and their pictures, by requests and 16 threads.

    python script.py API_URL START END FOLDER

Asks for the whole range at once, a hundred launches a page; writes a JSON file a day; fetches each distinct picture
once, and keeps it if Pillow decodes it; links it beside each launch that shows it; and writes a manifest a day. For a
first run it does what the project does. It knows nothing of other runs: each begins from nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import requests
from PIL import Image
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

THREADS = 16

Row = dict[str, Any]


def session() -> requests.Session:
    """A session for so many threads that tries again after a 5xx."""
    made = requests.Session()
    retry = Retry(total=3, backoff_factor=0.5, status_forcelist=(500, 502, 503, 504))
    for scheme in ("http://", "https://"):
        made.mount(scheme, HTTPAdapter(pool_connections=THREADS, pool_maxsize=THREADS, max_retries=retry))
    return made


def write(path: Path, body: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    beside.write_bytes(body)
    beside.replace(path)


def encoded(document: Any) -> bytes:
    """JSON that is the same for the same content."""
    return json.dumps(document, sort_keys=True, ensure_ascii=False).encode()


def launches_by_day(client: requests.Session, api: str, start: date, end: date) -> dict[str, list[Row]]:
    """All launches of these days, asked for page by page."""
    url: str | None = f"{api}launches/"
    query = {"mode": "normal", "net__gte": f"{start}", "net__lt": f"{end + timedelta(days=1)}", "ordering": "net"}
    parameters: dict[str, str] | None = query | {"limit": "100"}
    of_day: dict[str, list[Row]] = defaultdict(list)
    while url:
        answer = client.get(url, params=parameters, timeout=60)
        answer.raise_for_status()
        page = answer.json()
        for row in page["results"]:
            of_day[row["net"][:10]].append(row)
        # The address of the next page has the query in it.
        url, parameters = page["next"], None
    return of_day


def fetch(client: requests.Session, url: str, pool: Path) -> Row:
    """Fetch a picture into the pool; what the manifest says of it."""
    try:
        answer = client.get(url, timeout=60)
        answer.raise_for_status()
        with Image.open(BytesIO(answer.content)) as image:
            image.verify()
        with Image.open(BytesIO(answer.content)) as image:
            image.load()
            kind, (width, height) = (image.format or "").lower(), image.size
    except (requests.RequestException, OSError, SyntaxError, ValueError) as error:
        return {"reason": str(error)}
    digest = hashlib.sha256(answer.content).hexdigest()
    write(pool / digest[:2] / f"{digest}.{kind}", answer.content)
    return {"sha256": digest, "bytes": len(answer.content), "format": kind, "width": width, "height": height}


def address(row: Row) -> str | None:
    """Where the picture of a launch is."""
    return (row["image"] or {}).get("image_url")


def main(api: str, start: date, end: date, folder: Path) -> None:
    """Bring the days."""
    with session() as client, ThreadPoolExecutor(THREADS) as threads:
        of_day = launches_by_day(client, api, start, end)
        days = [f"{start + timedelta(days=n)}" for n in range((end - start).days + 1)]
        urls = dict.fromkeys(url for rows in of_day.values() for row in rows if (url := address(row)))
        fetches = {url: threads.submit(fetch, client, url, folder / "pool") for url in urls}
        for day in days:
            rows = of_day.get(day, [])
            document = {"day": day, "source": api, "count": len(rows), "results": rows}
            write(folder / "launches" / day[:4] / f"{day}.json", encoded(document))
        for day in days:
            entries: list[Row] = []
            beside = folder / "images" / day[:4] / day
            for row in of_day.get(day, []):
                url = address(row)
                entry = {"launch_id": row["id"], "launch_name": row["name"], "source_url": url}
                if url:
                    licence = row["image"]["license"]
                    entry |= {"credit": row["image"]["credit"], "licence": licence["name"]} | fetches[url].result()
                if "sha256" in entry:
                    slug = re.sub(r"[^a-z0-9]+", "-", row["name"].lower()).strip("-")
                    entry["file"] = f"{slug}-{row['id'][:8]}.{entry['format']}"
                    beside.mkdir(parents=True, exist_ok=True)
                    (beside / entry["file"]).unlink(missing_ok=True)
                    pooled = folder / "pool" / entry["sha256"][:2] / f"{entry['sha256']}.{entry['format']}"
                    os.link(pooled, beside / entry["file"])
                entries.append(entry)
            write(beside / "manifest.json", encoded({"day": day, "entries": entries}))


if __name__ == "__main__":
    main(sys.argv[1], date.fromisoformat(sys.argv[2]), date.fromisoformat(sys.argv[3]), Path(sys.argv[4]))
