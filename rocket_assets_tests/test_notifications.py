"""A message reaches every address, a failure is a sentence, and no secret is shown."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from rocket_assets.errors import WrongSetting
from rocket_assets.launches import Change, Launch, Standing, parse
from rocket_assets.notifications import (
    PATIENCE,
    Found,
    Message,
    Notifier,
    Told,
    failure_message,
    news,
    plain_message,
    tell,
)
from rocket_assets_tests.service import Service, serving

SECRET = "sesame4711"
MARKUP = "<script>alert(1)</script> *star* _line_ ||bar|| [a](http://b) :rocket: \\n &amp; é"


@pytest.fixture
def service() -> Iterator[Service]:
    with serving(Service()) as served:
        yield served


@pytest.fixture
def other() -> Iterator[Service]:
    with serving(Service()) as served:
        yield served


@pytest.fixture
def refused() -> str:
    """The address of a port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        return f"json://127.0.0.1:{held.getsockname()[1]}/"


def test_a_message_arrives_once_with_its_title_and_body_and_nothing_attached(service: Service) -> None:
    assert Notifier([service.address()]).send("Falcon 9 slips", "From 5 to 6 December.") == []
    assert service.messages == [
        {
            "version": "1.0",
            "title": "Falcon 9 slips",
            "message": "From 5 to 6 December.",
            "attachments": [],
            "type": "info",
        }
    ]
    assert service.agents == ["rocket_assets"]


def test_every_address_is_told_every_message_once(service: Service, other: Service) -> None:
    notifier = Notifier([service.address("/a"), other.address("/b"), service.address("/c")])
    assert notifier.send("one", "1") == notifier.send("two", "2") == []
    assert sorted(message["title"] for message in service.messages) == ["one", "one", "two", "two"]
    assert [message["title"] for message in other.messages] == ["one", "two"]


def test_plain_text_arrives_as_it_is(service: Service) -> None:
    assert Notifier([service.address()]).send(MARKUP, MARKUP) == []
    assert (service.messages[0]["title"], service.messages[0]["message"]) == (MARKUP, MARKUP)


@pytest.mark.parametrize(
    ("style", "arrives"),
    [("html", "&lt;script&gt;alert(1)&lt;/script&gt;"), ("markdown", r"\*star\* \_line\_ \|\|bar\|\|")],
)
def test_markup_in_a_name_is_escaped_for_a_service_that_renders_it(service: Service, style: str, arrives: str) -> None:
    assert Notifier([service.address(f"/?format={style}")]).send("title", MARKUP) == []
    assert arrives in service.messages[0]["message"]


def test_without_addresses_nothing_is_sent_and_nothing_fails() -> None:
    assert Notifier([]).send("title", "body") == []


def test_an_address_can_be_tried_as_the_readme_says(service: Service) -> None:
    command = Path(sys.executable).with_name("apprise")
    done = subprocess.run([command, "-v", "-b", "hello", service.address()], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert [message["message"] for message in service.messages] == ["hello"]


def test_apprise_is_imported_only_by_who_tells_somebody() -> None:
    code = (
        "import sys; from rocket_assets.notifications import Notifier; from rocket_assets.settings import Settings; "
        "Settings.read({}); Notifier([]).send('a', 'b'); print('apprise' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.parametrize("status", [302, 401, 500, 503])
def test_an_answer_that_is_no_success_is_a_sentence_with_its_status(service: Service, status: int) -> None:
    service.status, service.headers = status, {"Location": "/elsewhere"}
    assert Notifier([service.address()]).send("title", "body") == [
        f"Address 1 (JSON) did not take the message: it answered {status}."
    ]
    assert len(service.messages) == 1


def test_one_that_fails_keeps_no_other_from_being_told(service: Service, other: Service, refused: str) -> None:
    other.status = 500
    assert Notifier([refused, service.address(), other.address()]).send("title", "body") == [
        "Address 1 (JSON) did not take the message: it could not be reached, or refused it.",
        "Address 3 (JSON) did not take the message: it answered 500.",
    ]
    assert len(service.messages) == 1


def test_a_later_message_reaches_one_that_failed_before(service: Service) -> None:
    notifier = Notifier([service.address()])
    service.status = 500
    assert len(notifier.send("one", "1")) == 1
    service.status = 200
    assert notifier.send("two", "2") == []


@pytest.mark.parametrize("misbehaviour", ["silent", "drips"])
def test_one_that_never_finishes_is_waited_for_only_so_long(
    service: Service, other: Service, misbehaviour: str
) -> None:
    setattr(service, misbehaviour, True)
    started = time.monotonic()
    failures = Notifier([service.address("/?rto=60"), other.address()], patience=0.4).send("title", "body")
    assert time.monotonic() - started < 2
    assert failures == ["Address 1 (JSON) did not take the message: no answer within 0.4 seconds."]
    assert len(other.messages) == 1


def test_by_itself_it_waits_less_than_ten_seconds() -> None:
    assert PATIENCE < 10


def test_a_message_of_nothing_is_a_sentence_too(service: Service) -> None:
    notifier = Notifier([service.address(), service.address("/b")])
    failures = notifier.send("", "")
    assert failures == [
        "Address 1 was not told: Apprise could make nothing of the message.",
        "Address 2 was not told: Apprise could make nothing of the message.",
    ]
    assert not notifier.reached_by(failures)


def test_a_failure_is_sent_as_one(service: Service) -> None:
    assert Notifier([service.address()]).send("title", "body", is_failure=True) == []
    assert service.messages[0]["type"] == "failure"


def test_a_message_has_reached_somebody_unless_every_address_failed(service: Service, refused: str) -> None:
    assert Notifier([]).reached_by(Notifier([]).send("title", "body"))
    for addresses, reached in [([service.address()], True), ([service.address(), refused], True), ([refused], False)]:
        notifier = Notifier(addresses)
        assert notifier.reached_by(notifier.send("title", "body")) is reached


def test_an_address_that_apprise_does_not_know_is_refused_without_being_shown(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(1)
    with pytest.raises(WrongSetting) as raised:
        Notifier([service.address(), f"slack://{SECRET}"])
    assert SECRET not in str(raised.value) + caplog.text


@pytest.mark.parametrize(
    "misbehaviour",
    [{}, {"status": 500}, {"silent": True}, {"raw_headers": b"no header\r\n"}],
    ids=["fine", "500", "silent", "broken headers"],
)
def test_no_secret_of_an_address_is_in_a_sentence_or_a_log(
    service: Service, refused: str, misbehaviour: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(1)
    for name, value in misbehaviour.items():
        setattr(service, name, value)
    path = f"/{SECRET}/x?+X-Token={SECRET}&-key={SECRET}&:field={SECRET}"
    notifier = Notifier([service.address(path, f"{SECRET}:{SECRET}@"), f"{refused}{SECRET}"], patience=0.4)
    failures = notifier.send("title", "body")
    assert len(service.messages) == 1
    assert failures
    assert SECRET not in " ".join(failures) + repr(notifier) + caplog.text


def test_what_others_ask_the_network_is_logged_as_ever(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    # The client of Kubernetes, which other tests import, turns it off for the whole process.
    caplog.set_level(logging.DEBUG, "urllib3")
    Notifier([service.address()]).send("title", "body")
    requests.post(f"http://127.0.0.1:{service.port}/ours", json={}, timeout=5)
    assert "/ours" in caplog.text


def planned(day: int, *, status: str = "Go", precision: int = 1, name: str = "Falcon 9 | Starlink") -> Launch:
    row = {
        "id": "id",
        "name": name,
        "net": f"2026-03-{day:02}T10:00:00Z",
        "last_updated": f"2026-03-01T00:00:{day:02}Z",
        "status": {"id": {"Go": 1, "Success": 3}[status], "abbrev": status},
        "net_precision": {"id": precision},
    }
    return parse(row, "here")


TODAY, LAST = date(2026, 3, 10), date(2026, 3, 24)


@pytest.mark.parametrize(
    ("launch", "before", "told"),
    [
        (planned(12), None, [("New launch: Falcon 9 | Starlink", "2026-03-12 (not before 10:00 UTC, Go).")]),
        (planned(10), None, [("New launch: Falcon 9 | Starlink", "2026-03-10 (not before 10:00 UTC, Go).")]),
        (planned(9), None, []),
        (planned(25), None, []),
        (
            planned(14),
            planned(12),
            [("Slip: Falcon 9 | Starlink", "2026-03-12 -> 2026-03-14 (not before 10:00 UTC, Go).")],
        ),
        (
            planned(31, precision=7),
            planned(12),
            [
                (
                    "Slip: Falcon 9 | Starlink",
                    "2026-03-12 -> 2026-03-31, the last day of the time named, since its day is not known.",
                )
            ],
        ),
        (
            planned(24),
            planned(31),
            [("Earlier: Falcon 9 | Starlink", "2026-03-31 -> 2026-03-24 (not before 10:00 UTC, Go).")],
        ),
        (planned(30), planned(31), []),
        (planned(12, precision=2), planned(12), []),
        (planned(9, status="Success"), planned(9), [("Success: Falcon 9 | Starlink", "Launched on 2026-03-09.")]),
        (planned(9, status="Success"), None, [("Success: Falcon 9 | Starlink", "Launched on 2026-03-09.")]),
        (planned(2, status="Success"), None, []),
        (planned(9, status="Success"), planned(9, status="Success"), []),
    ],
)
def test_told_are_new_launches_slips_and_outcomes_of_the_days_that_matter(
    launch: Launch, before: Launch | None, told: list[tuple[str, str]]
) -> None:
    change = Change(launch, before and Standing.of(before))
    assert [(message.title, message.body) for message in news([change], TODAY, LAST)] == told


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("@everyone", "@\u200beveryone"),
        ("turned \u202e round", "turned \\u202e round"),
        ("a\x00b\r\x1b[31mc", "a\\x00b \\x1b[31mc"),
        ("half \ud800", "half \\ud800"),
        ("<b>bold</b> & | Péole", "<b>bold</b> & | Péole"),
    ],
)
def test_a_name_does_no_harm_in_a_message(name: str, shown: str) -> None:
    (told,) = news([Change(planned(12, name=name), None)], TODAY, LAST)
    assert told.title == f"New launch: {shown}"


def test_each_slip_has_a_key_of_its_own_also_when_a_launch_goes_to_and_fro() -> None:
    there, back = planned(14), planned(12)
    slips = [Change(there, Standing.of(back)), Change(back, Standing.of(there))]
    keys = [message.key for message in news(slips, TODAY, LAST)]
    assert keys == ["id 2026-03-01 00:00:14+00:00", "id 2026-03-01 00:00:12+00:00"]


@pytest.mark.parametrize("reason", ["long " * 1000, "a line\n" * 1000, "@" * 5000])
def test_a_failure_is_cut_where_services_would_refuse_more_and_its_last_line_stays(reason: str) -> None:
    message = failure_message("launches 2026-11-15", [reason], "Run 7 says more.")
    assert message.title == "Failed: launches 2026-11-15"
    assert len(message.body) == 1500
    assert message.body.endswith("…\nRun 7 says more.")


def test_a_short_failure_is_told_as_it_is() -> None:
    assert failure_message("x", ["One.", "Two."], "Run 7.").body == "One.\nTwo.\nRun 7."


NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


def found(number: int, *messages: Message, hours_ago: float = 0) -> Found:
    return Found(number, NOW - timedelta(hours=hours_ago), messages)


def named(count: int) -> list[Message]:
    return [Message(f"title {number}", "body") for number in range(count)]


def test_two_events_of_the_same_words_are_both_told_and_each_of_them_once(service: Service) -> None:
    one, two = plain_message("Slip: X", "body", "one"), plain_message("Slip: X", "body", "two")
    notifier = Notifier([service.address()])
    first = tell([found(1, one, two), found(2, one)], Told(0), notifier, NOW, seconds=9)
    assert (first.failed, first.text) == (False, "Told: 2 of 2 messages.")
    assert first.told.after == 2
    assert tell([found(3, two, one)], first.told, notifier, NOW, seconds=9).text == "There is no news to tell."
    assert len(service.messages) == 2


def test_telling_ends_in_time_and_goes_on_where_it_ended(service: Service) -> None:
    notifier, looks, told = (
        Notifier([service.address()]),
        [found(1, *named(2)), found(2, Message("last", "body"))],
        Told(0),
    )
    ticks = []
    for _ in range(3):
        ticks.append(tell(looks, told, notifier, NOW, seconds=0))
        told = ticks[-1].told
    assert [tick.text for tick in ticks] == [
        "Told: 1 of 3 messages. The rest comes with the next tick.",
        "Told: 1 of 2 messages. The rest comes with the next tick.",
        "Told: 1 of 1 message.",
    ]
    assert [tick.told.after for tick in ticks] == [0, 1, 2]
    assert [message["title"] for message in service.messages] == ["title 0", "title 1", "last"]


def test_a_silent_service_holds_a_tick_no_longer_than_its_budget_and_one_message(service: Service) -> None:
    service.silent = True
    started = time.monotonic()
    telling = tell([found(1, *named(50))], Told(0), Notifier([service.address()], patience=0.3), NOW, seconds=0.5)
    assert time.monotonic() - started < 2
    assert telling.failed
    assert telling.told == Told(0)
    assert telling.text.startswith("Told: 0 of 50 messages. The rest comes with the next tick.")
    assert '"title 0" could not be told: Address 1 (JSON) did not take the message: no answer' in telling.text


def test_what_no_address_took_is_tried_again_and_what_some_took_is_told(service: Service, refused: str) -> None:
    (message,) = named(1)
    service.status = 500
    alone, both = Notifier([service.address()]), Notifier([service.address(), refused])
    first = tell([found(1, message)], Told(0), alone, NOW, seconds=9)
    assert (first.failed, first.told) == (True, Told(0))
    service.status = 200
    second = tell([found(1, message)], first.told, both, NOW, seconds=9)
    assert not second.failed
    assert second.text == (
        'Told: 1 of 1 message. "title 0" was not told everywhere: '
        "Address 2 (JSON) did not take the message: it could not be reached, or refused it."
    )
    assert second.told.after == 1
    assert tell([found(1, message)], second.told, both, NOW, seconds=9).text == "There is no news to tell."


def test_news_of_more_than_a_day_ago_is_told_to_nobody_and_done_with(service: Service) -> None:
    old, new = named(2)
    looks = [found(1, old, hours_ago=25), found(2, new, hours_ago=23)]
    telling = tell(looks, Told(0), Notifier([service.address()]), NOW, seconds=9)
    assert [message["title"] for message in service.messages] == ["title 1"]
    assert telling.told.after == 2


def test_what_has_been_told_is_remembered_for_a_while_and_no_longer() -> None:
    messages, told = named(150), Told(after=0)
    for number, message in enumerate(messages):
        assert not told.knows(message)
        told = told.with_message(message).settled([found(number, message)], NOW)
        assert told.knows(message)
    assert told.after == 149
    assert told.unsaid([found(150, *messages)], NOW) == messages[:50]
    assert Told.read(told.dump()) == told


def test_what_was_told_of_an_event_that_is_not_done_with_is_remembered_however_much_it_is() -> None:
    messages, told = named(151), Told(after=0)
    for message in messages[:150]:
        told = told.with_message(message)
    told = told.settled([found(1, *messages)], NOW)
    assert told.after == 0
    assert told.unsaid([found(1, *messages)], NOW) == messages[150:]


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"after": "x", "latest": []}', "null", "7"])
def test_a_memory_of_what_was_told_that_cannot_be_read_is_none(text: str | None) -> None:
    assert Told.read(text) is None
