"""A Launch Library that lives through recorded months: at any time it tells what the real one told then.

    replay = Replay.of(folder / MONTHS_OF_2026)
    clock = Clock(replay.start)
    with library(replay, clock) as server:
        clock.set(replay.moments[100])      # what is asked for now, is answered as of that moment

A recording holds for each launch the observations that differed from the one before. They lag: somebody looked every
few hours, and saw what the API had shown since an earlier moment. A client that asks for what changed after the newest
`last_updated` it knows would miss a row that appears later than its `last_updated` says, as the API lets none appear.
So this is when a change becomes visible:

- At its `last_updated`, where that is newer than what the launch was before. What came between two observations, and
  was overwritten by the second, is not known; then both stand in the replay as one change.
- At its observation, where `last_updated` did not move. Such a change is `hidden`: no question after `last_updated`
  finds it. That is so in the real library, too: a picture can be replaced without a word.
- A launch that is first observed some time after the start was in the library before, only not in the list that was
  recorded. It is there from its `last_updated` on, because it has stood like this since; from the start, if that is
  older still.

The recorded lists are of upcoming launches. One that has left them stays as it was last observed.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from io import BytesIO
from operator import attrgetter
from pathlib import Path
from typing import Any, Self

from PIL import Image

from rocket_assets.sample_library import vocabulary
from rocket_assets.sample_library.server import MEDIA, LibraryServer, Request

Row = dict[str, Any]

MONTHS_OF_2025 = "2.2.0/slips_2025-05_to_2025-11.changes.json"
"""The next five launches, from May to November 2025; a file below the folder of recordings."""
MONTHS_OF_2026 = "history/slips.json.gz"
"""The next 150 launches, from January to August 2026; a file below the folder of recordings."""


def _words(table: Mapping[int, tuple[str, str]]) -> dict[int | str | None, Row | None]:
    """The API's objects by their id and by their short word; null is null."""
    rows = [{"id": number, "name": name, "abbrev": word, "description": ""} for number, (word, name) in table.items()]
    return {None: None} | {key: row for row in rows for key in (row["id"], row["abbrev"])}


_STATUSES = _words(
    {
        1: ("Go", "Go for Launch"),
        2: ("TBD", "To Be Determined"),
        3: ("Success", "Launch Successful"),
        4: ("Failure", "Launch Failure"),
        5: ("Hold", "On Hold"),
        6: ("In Flight", "Launch in Flight"),
        7: ("Partial Failure", "Launch was a Partial Failure"),
        8: ("TBC", "To Be Confirmed"),
        9: ("Deployed", "Payload Deployed"),
    }
)
_PRECISIONS = _words(
    {
        0: ("SEC", "Second"),
        1: ("MIN", "Minute"),
        2: ("HR", "Hour"),
        3: ("AM", "Morning"),
        4: ("PM", "Afternoon"),
        5: ("DAY", "Day"),
        6: ("W", "Week"),
        7: ("M", "Month"),
        8: ("Q1", "Quarter 1"),
        9: ("Q2", "Quarter 2"),
        10: ("Q3", "Quarter 3"),
        11: ("Q4", "Quarter 4"),
        12: ("H1", "Half 1"),
        13: ("H2", "Half 2"),
        14: ("Y", "Year"),
    }
)


@dataclass
class Clock:
    """A clock that moves only when told to."""

    now: datetime

    def __call__(self) -> datetime:
        """The time it shows."""
        return self.now

    def set(self, now: datetime) -> None:
        """Show another time."""
        self.now = now

    def advance(self, by: timedelta) -> None:
        """Show a later time."""
        self.now += by


@dataclass(frozen=True)
class State:
    """A launch as it stood from a moment on, until the moment of its next state."""

    moment: datetime
    hidden: bool
    """Whether `last_updated`, as recorded, does not tell of this change."""
    net: str
    day: date
    """The UTC day of its NET."""
    window_start: str | None
    window_end: str | None
    precision: int | str | None
    status: int | str | None
    file: str | None
    """The file name of its picture."""
    last_updated: str
    name: str


class Replay:
    """Recorded launches with all their changes, as a library that knew them at a time."""

    def __init__(self, launches: Mapping[str, list[State]], start: datetime, end: datetime, version: str) -> None:
        self.start, self.end, self.version = start, end, version
        self.moments = sorted({state.moment for states in launches.values() for state in states})
        """Every moment at which something changed."""
        self.hidden = sorted(
            ((launch_id, state.moment) for launch_id, states in launches.items() for state in states if state.hidden),
            key=lambda change: (change[1], change[0]),
        )
        """The changes, as launch id and moment, of which the recorded `last_updated` does not tell."""
        self._launches = launches
        files = sorted({state.file for states in launches.values() for state in states if state.file})
        self._files = {file: number for number, file in enumerate(files, start=1)}
        self._made: dict[tuple[str, str, datetime], Row] = {}
        self._shown: tuple[tuple[str, int], list[Row]] = ("", -1), []

    @classmethod
    def of(cls, path: Path, *, repair: bool = False, version: str = "2.3.0") -> Self:
        """What a file has recorded.

        Args:
            path: a file in one of the two recorded formats, gzipped or not.
            repair: give a hidden change the moment of its observation as `last_updated`, so that it is told of.
            version: the API version whose rows are given, 2.3.0 or 2.2.0.
        """
        content = path.read_bytes()
        recording = json.loads(gzip.decompress(content) if path.suffix == ".gz" else content)
        launches: dict[str, list[list[Any]]] = recording["launches"]
        observed = [_moment(observation[0]) for observations in launches.values() for observation in observations]
        observed += [_moment(recording[name]) for name in ("first", "last") if name in recording]
        start, end = min(observed), max(observed)
        states = {launch_id: _states(observations, start, repair) for launch_id, observations in launches.items()}
        return cls(states, start, end, version)

    def rows(self, base_url: str, now: datetime) -> list[Row]:
        """The launches as the library at `base_url` tells them: the same list, to be left alone, until one changes."""
        wanted = base_url, bisect_right(self.moments, now)
        shown, rows = self._shown
        if shown != wanted:
            rows = [self._row_once(base_url, launch_id, state) for launch_id, state in self._at(now)]
            self._shown = wanted, rows
        return rows

    def truth(self, now: datetime, base_url: str = "") -> dict[str, tuple[date, str | None]]:
        """For each launch its UTC day and the address of its picture; a path, unless a base URL is given."""
        return {launch_id: (state.day, _address(base_url, state.file)) for launch_id, state in self._at(now)}

    def picture(self, file: str) -> bytes | None:
        """A small picture for each recorded file name, always the same; None for a name that was not recorded."""
        return _drawn(file) if file in self._files else None

    def _at(self, now: datetime) -> Iterator[tuple[str, State]]:
        """Each launch that there is, as it stands."""
        for launch_id, states in self._launches.items():
            if reached := bisect_right(states, now, key=attrgetter("moment")):
                yield launch_id, states[reached - 1]

    def _row_once(self, base_url: str, launch_id: str, state: State) -> Row:
        key = base_url, launch_id, state.moment
        if key not in self._made:
            self._made[key] = self._row(base_url, launch_id, state)
        return self._made[key]

    def _row(self, base_url: str, launch_id: str, state: State) -> Row:
        """What was recorded fills the `list` mode of 2.3.0, and as much of a row of 2.2.0."""
        newest = self.version >= "2.3.0"
        row = {
            "id": launch_id,
            "url": f"{base_url}/{self.version}/{'launches' if newest else 'launch'}/{launch_id}/",
            "name": state.name,
            "slug": re.sub(r"[^a-z0-9]+", "-", state.name.lower()).strip("-"),
            "status": _STATUSES[state.status],
            "last_updated": state.last_updated,
            "net": state.net,
            "net_precision": _PRECISIONS[state.precision],
            "window_end": state.window_end,
            "window_start": state.window_start,
            "image": _address(base_url, state.file),
            "infographic": None,
        }
        if newest:
            row |= {"response_mode": "list", "launch_designator": None, "image": self._image(base_url, state.file)}
        return row

    def _image(self, base_url: str, file: str | None) -> Row | None:
        """A picture as 2.3.0 tells it; whose it is was not recorded."""
        if file is None:
            return None
        return {
            "id": self._files[file],
            "name": file.rpartition(".")[0],
            "image_url": _address(base_url, file),
            "thumbnail_url": _address(base_url, file),
            "credit": None,
            "license": vocabulary.licence("Unknown"),
            "single_use": False,
            "variants": [],
        }


def library(
    replay: Replay,
    clock: Callable[[], datetime],
    *,
    throttle: int | None = None,
    on_request: Callable[[Request], None] | None = None,
) -> LibraryServer:
    """A server, yet to be started, that tells what the replay knows at the clock's time, so many times an hour."""
    server = LibraryServer(
        rows=lambda _: [],
        as_of=lambda _, now: replay.rows(server.base_url, now),
        picture=replay.picture,
        version=replay.version,
        clock=clock,
        throttle=throttle,
        on_request=on_request,
    )
    return server


def _states(observations: Iterable[list[Any]], start: datetime, repair: bool) -> list[State]:
    """What a launch was, one after the other, each at the moment at which the API began to show it."""
    states: list[State] = []
    for observed_at, net, window_start, window_end, precision, status, image, last_updated, name in observations:
        observed, told = _moment(observed_at), _moment(last_updated)
        hidden = told > observed or bool(states and told <= states[-1].moment)
        states.append(
            State(
                moment=observed if hidden else max(told, start),
                hidden=hidden,
                net=net,
                day=_moment(net).date(),
                window_start=window_start,
                window_end=window_end,
                precision=precision,
                status=status,
                file=image and image.rpartition("/")[2],
                last_updated=f"{observed:%Y-%m-%dT%H:%M:%SZ}" if hidden and repair else last_updated,
                name=name,
            )
        )
    return states


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _address(base_url: str, file: str | None) -> str | None:
    return file and f"{base_url}{MEDIA}{file}"


@cache
def _drawn(file: str) -> bytes:
    """Coloured noise out of the file's name, in the format that its suffix promises."""
    size = 16, 16
    image = Image.frombytes("RGB", size, hashlib.shake_256(file.encode()).digest(3 * size[0] * size[1]))
    stream = BytesIO()
    image.save(stream, "PNG" if file.lower().endswith(".png") else "JPEG")
    return stream.getvalue()
