"""The pictures of some days by the project's own means, but without Dagster.

    python pictures.py API_URL START END STORAGE

The launches of the days must be stored.
"""

import sys
from datetime import date

from rocket_assets.archive import Archive
from rocket_assets.bringing import bring_images
from rocket_assets.images import ImageLibrary
from rocket_assets.launches import days_between
from rocket_assets.storage import Storage


def main(api: str, start: date, end: date, storage: Storage) -> None:
    """Bring them, and fail if one could not be had."""
    with ImageLibrary(storage, api_url=api) as library:
        errors = [day.error for day in bring_images(Archive(storage), days_between(start, end), library) if day.error]
    if errors:
        raise SystemExit(str(errors[0]))


if __name__ == "__main__":
    main(sys.argv[1], date.fromisoformat(sys.argv[2]), date.fromisoformat(sys.argv[3]), Storage(sys.argv[4]))
