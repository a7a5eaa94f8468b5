"""What people are told, and how: one message for an event, to every address, by whatever service it names.

Told are launches that are new within the days ahead, slips out of them or into them, and outcomes. Apprise speaks with
the services.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import date, timedelta
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

_REMEMBERED = 100

_SENDING: ContextVar[bool] = ContextVar("_SENDING", default=False)


@dataclass(frozen=True)
class Message:
    """What people are told of one event, in plain text."""

    title: str
    body: str


def news(changes: Iterable[Change], today: date, last: date) -> Iterator[Message]:
    """What of these changes is worth a message on a day, where `last` is the last of the days ahead."""
    for change in changes:
        launch, before = change.launch, change.before
        if change.is_outcome:
            if launch.day >= today - _NEWS:
                yield plain_message(f"{launch.status}: {launch.name}", f"Launched on {launch.day}.")
        elif before is None:
            if today <= launch.day <= last:
                yield plain_message(f"New launch: {launch.name}", f"{_planned(change)}.")
        elif change.has_slipped and (today <= launch.day <= last or today <= before.net.date() <= last):
            yield plain_message(f"Slip: {launch.name}", f"{before.net.date()} -> {_planned(change)}.")


def plain_message(title: str, body: str) -> Message:
    """A message without harm: no control characters, no marks that turn its direction, nobody called by @."""
    return Message(_plain(title), _plain(body))


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
class Told:
    """What has been told: the last event that was read, and the latest messages.

    The messages are remembered because a look that was killed before its memory was kept finds the same news again.
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

    def unsaid(self, messages: Iterable[Message]) -> list[Message]:
        """The messages that have not been sent lately."""
        return [message for message in messages if _known_as(message) not in self.latest]

    def with_all(self, after: int, messages: Iterable[Message]) -> Told:
        """With an event and its messages."""
        latest = dict.fromkeys([*self.latest, *(_known_as(message) for message in messages)])
        return Told(after, tuple(latest)[-_REMEMBERED:])


def _known_as(message: Message) -> str:
    return digest([message.title, message.body])[:16]


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

    def send(self, title: str, body: str) -> list[str]:
        """Send one message everywhere, as plain text; give a sentence for each address that did not take it.

        It never raises, waits for all services at once, and shows no part of an address: to many services a path, a
        host or a header is a password, and what Apprise itself calls private leaves some of them in.
        """
        if self._apprise is None:
            return []
        sending = _SENDING.set(True)
        try:
            told = self._apprise.notify(body, title)
        finally:
            _SENDING.reset(sending)
        if told:
            return []
        failures = [
            f"Address {number} ({result.name}) did not take the message: {self._reason(result)}."
            for number, result in enumerate(told, start=1)
            if not result
        ]
        return failures or ["No address was told: Apprise could make nothing of the message."]

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
