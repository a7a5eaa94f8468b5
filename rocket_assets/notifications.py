"""What people are told, and how: one message for an event, to every address, by whatever service it names.

Told are launches that are new within the days ahead, slips out of them or into them, and outcomes. Apprise speaks with
the services.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import dropwhile
from typing import TYPE_CHECKING

from rocket_assets.documents import digest
from rocket_assets.errors import WrongSetting
from rocket_assets.launches import Change
from rocket_assets.settings import keep_addresses_out_of_logs

if TYPE_CHECKING:
    from apprise import Apprise, NotifyResult

PATIENCE = 8.0

_NEWS = timedelta(days=7)
"""An outcome that became known later than this after the launch is a correction of the archive, and no news."""

_FRESH = timedelta(days=1)
"""What was found longer ago than this is told to nobody."""

_REMEMBERED = 100

_LONGEST_BODY = 1500

_SENDING: ContextVar[bool] = ContextVar("_SENDING", default=False)


@dataclass(frozen=True)
class Message:
    """What people are told of one event, in plain text; by its key two events of the same words are told apart."""

    title: str
    body: str
    key: str = ""


def news(changes: Iterable[Change], today: date, last: date) -> Iterator[Message]:
    """What of these changes is worth a message on a day, where `last` is the last of the days ahead."""
    for change in changes:
        launch, before = change.launch, change.before
        key = f"{launch.id} {launch.last_updated}"
        if change.is_outcome:
            if launch.day >= today - _NEWS:
                yield plain_message(f"{launch.status}: {launch.name}", f"Launched on {launch.day}.", key)
        elif before is None:
            if today <= launch.day <= last:
                yield plain_message(f"New launch: {launch.name}", f"{_planned(change)}.", key)
        elif change.has_slipped and (today <= launch.day <= last or today <= before.net.date() <= last):
            word = "Slip" if launch.day > before.net.date() else "Earlier"
            yield plain_message(f"{word}: {launch.name}", f"{before.net.date()} -> {_planned(change)}.", key)


def failure_message(what: str, reasons: Sequence[str], last_line: str) -> Message:
    """What people are told of a failure: its reasons, cut where services would refuse more, and a line that stays."""
    said, end = _plain("\n".join(reasons)), _plain(last_line)
    room = _LONGEST_BODY - len(end) - 1
    return Message(_plain(f"Failed: {what}"), f"{said if len(said) <= room else f'{said[: room - 1]}…'}\n{end}")


def plain_message(title: str, body: str, key: str = "") -> Message:
    """A message without harm: no control characters, no marks that turn its direction, nobody called by @."""
    return Message(_plain(title), _plain(body), _plain(key))


def _planned(change: Change) -> str:
    launch = change.launch
    if not launch.is_dated:
        return f"{launch.day}, the last day of the time named, since its day is not known"
    return f"{launch.day} (not before {launch.net:%H:%M} UTC, {launch.status})"


def _plain(text: str) -> str:
    kept = re.sub(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]", " ", text)
    kept = re.sub(r"[^\S\n]+", " ", kept)
    # JSON can hold half of a character, which cannot be sent. Some services call people by what follows an @; a space
    # of no width keeps it a letter.
    return kept.encode("utf-8", "replace").decode().replace("@", "@\u200b").strip()


@dataclass(frozen=True)
class Found:
    """What a look has found: the number of its event, when that was, and the messages it is worth."""

    number: int
    at: datetime
    messages: Sequence[Message]


@dataclass(frozen=True)
class Told:
    """What has been told: the last event of which nothing is left to tell, and the latest messages.

    The messages are remembered because later events may have been told already, and because a look that was killed
    before its memory was kept finds the same news again.
    """

    after: int
    latest: tuple[str, ...] = ()

    @classmethod
    def read(cls, text: str | None) -> Told | None:
        """What `dump` gave, or None where that cannot be read."""
        try:
            document = json.loads(text or "")
            return cls(int(document["after"]), tuple(str(one) for one in document["latest"]))
        except (ValueError, TypeError, KeyError):
            return None

    def dump(self) -> str:
        """It as a text."""
        return json.dumps({"after": self.after, "latest": self.latest})

    def knows(self, message: Message) -> bool:
        """Whether the message has been told lately."""
        return _known_as(message) in self.latest

    def unsaid(self, found: Iterable[Found], now: datetime) -> list[Message]:
        """The messages, each once, that are still news and have not been told."""
        fresh = (message for one in found if now - one.at <= _FRESH for message in one.messages)
        return [message for message in dict.fromkeys(fresh) if not self.knows(message)]

    def with_message(self, message: Message) -> Told:
        """With a message that was told."""
        return replace(self, latest=(*self.latest, _known_as(message)))

    def settled(self, found: Sequence[Found], now: datetime) -> Told:
        """Past the events of which nothing is left to tell, and without what was told long ago."""
        left = list(dropwhile(lambda one: not self.unsaid([one], now), found))
        done = found[: len(found) - len(left)]
        needed = {_known_as(message) for one in left for message in one.messages} | {*self.latest[-_REMEMBERED:]}
        return Told(done[-1].number if done else self.after, tuple(one for one in self.latest if one in needed))


def _known_as(message: Message) -> str:
    return digest([message.title, message.body, message.key])[:16]


@dataclass(frozen=True)
class Telling:
    """What came of telling: what is told by now, whether nobody could be told of anything, and all that in words."""

    told: Told
    failed: bool
    text: str


def tell(found: Sequence[Found], told: Told, notifier: Notifier, now: datetime, *, seconds: float) -> Telling:
    """Tell what is still to be told; no message is begun after these seconds.

    What no address took is not told: it is tried again by whoever comes next with what is told by now.
    """
    unsaid, until = told.unsaid(found, now), time.monotonic() + seconds
    tried, sent, sentences = 0, 0, list[str]()
    for message in unsaid:
        failures = notifier.send(message.title, message.body)
        tried, reached = tried + 1, notifier.reached_by(failures)
        if reached:
            told, sent = told.with_message(message), sent + 1
        if failures:
            missed = "was not told everywhere" if reached else "could not be told"
            sentences.append(f'"{message.title}" {missed}: {" ".join(failures)}')
        if time.monotonic() >= until:
            break
    if not unsaid:
        return Telling(told.settled(found, now), failed=False, text="There is no news to tell.")
    rest = [] if tried == len(unsaid) else ["The rest comes with the next tick."]
    count = f"Told: {sent} of {len(unsaid)} {'message' if len(unsaid) == 1 else 'messages'}."
    return Telling(told.settled(found, now), failed=not sent, text=" ".join([count, *rest, *sentences]))


class Notifier:
    """Tells people, by whatever services the addresses name.

    Args:
        addresses: Apprise URLs; without any, nothing is told and Apprise is not even imported.
        patience: seconds after which a service that has not taken a message counts as failed.

    Raises:
        WrongSetting: Apprise does not know one of the addresses.
    """

    def __init__(self, addresses: Sequence[str], *, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._apprise = _apprise(addresses, patience) if addresses else None
        self._addresses = len(self._apprise or ())

    def reached_by(self, failures: Sequence[str]) -> bool:
        """Whether some address took the message that `send` gave these sentences for."""
        return not failures or len(failures) < self._addresses

    def send(self, title: str, body: str, *, is_failure: bool = False) -> list[str]:
        """Send one message everywhere, as plain text; give a sentence for each address that did not take it.

        It never raises, waits for all services at once, and shows no part of an address: to many services a path, a
        host or a header is a password, and what Apprise itself calls private leaves some of them in.
        """
        if self._apprise is None:
            return []
        sending = _SENDING.set(True)
        try:
            told = self._apprise.notify(body, title, notify_type="failure" if is_failure else "info")
        finally:
            _SENDING.reset(sending)
        if told:
            return []
        failures = [
            f"Address {number} ({result.name}) did not take the message: {self._reason(result)}."
            for number, result in enumerate(told, start=1)
            if not result
        ]
        return failures or [
            f"Address {number} was not told: Apprise could make nothing of the message."
            for number in range(1, self._addresses + 1)
        ]

    def _reason(self, result: NotifyResult) -> str:
        """Why it failed, without Apprise's own words, which may hold the address."""
        if result.status.name == "TIMEOUT":
            return f"no answer within {self._patience:g} seconds"
        status = re.search(r"\berror=(\d{3})\b", " ".join(entry.message for entry in result.logs()))
        return f"it answered {status[1]}" if status else "it could not be reached, or refused it"


def _apprise(addresses: Sequence[str], patience: float) -> Apprise:
    from apprise import Apprise, AppriseAsset, NotifyFormat

    keep_addresses_out_of_logs()
    for name in ("urllib3.connection", "urllib3.connectionpool"):
        logging.getLogger(name).addFilter(_is_not_of_a_message)
    made = Apprise(
        asset=AppriseAsset(
            app_id="rocket_assets",
            body_format=NotifyFormat.TEXT,  # the name of a launch is no markup
            http_redirects=False,  # a message goes where the setting says, and nowhere else
            service_timeout=patience,
        )
    )
    if not made.add(list(addresses)):
        raise WrongSetting("One of the addresses to tell is none that Apprise knows (not shown: it may be a secret).")
    return made


def _is_not_of_a_message(_record: logging.LogRecord) -> bool:
    # What urllib3 logs has the path in it. Apprise hands the context of the call on to its threads.
    return not _SENDING.get()
