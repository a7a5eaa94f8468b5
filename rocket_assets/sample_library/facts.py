"""The table of launches, catalogue.csv, as it stands: one row, one launch, short facts only.

How these facts look in an answer of the API belongs in catalogue.py.
"""

import csv
import functools
import uuid
from dataclasses import dataclass
from importlib import resources

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "sample-library.rocket-assets.example")


@dataclass(frozen=True)
class Fact:
    """A launch as the table knows it; an empty string is a fact that nobody gave."""

    net: str
    precision: str
    status: str
    designator: str
    rocket: str
    family: str
    mission: str
    mission_type: str
    orbit: str
    provider: str
    abbrev: str
    provider_type: str
    provider_country: str
    pad: str
    location: str
    country: str
    latitude: float
    longitude: float
    timezone: str
    picture: str

    @property
    def name(self) -> str:
        """The launch's name: rocket and mission."""
        return f"{self.rocket} | {self.mission}"

    @property
    def identity(self) -> uuid.UUID:
        """An id that follows from the launch and from nothing else."""
        return uuid.uuid5(_NAMESPACE, self.net + self.name)


@functools.cache
def facts() -> tuple[Fact, ...]:
    """Every launch of the table, the oldest first."""
    source = resources.files("rocket_assets.sample_library") / "catalogue.csv"
    rows = [_fact(row) for row in csv.DictReader(source.read_text(encoding="utf-8").splitlines())]
    return tuple(sorted(rows, key=lambda fact: (fact.net, fact.identity)))


def _fact(row: dict[str, str]) -> Fact:
    latitude, longitude = float(row.pop("latitude")), float(row.pop("longitude"))
    return Fact(**row, latitude=latitude, longitude=longitude)
