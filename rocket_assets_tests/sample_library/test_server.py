"""How the server answers, asked over HTTP by a real client on a controlled clock."""

import itertools
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from rocket_assets.sample_library import pictures
from rocket_assets.sample_library.server import LibraryServer, Request

SECONDS = 10
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"


class Clock:
    """Stands still until it is moved."""

    def __init__(self, now: str) -> None:
        self.now = datetime.fromisoformat(now)

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        """Moves the clock on."""
        self.now += timedelta(**by)


@pytest.fixture(scope="module")
def library() -> Iterator[LibraryServer]:
    """A library without a limit, on a day between its launches."""
    with LibraryServer(clock=Clock("2024-12-06T00:00:00+00:00")) as server:
        yield server


def ask(library: LibraryServer, path: str, **headers: str) -> requests.Response:
    """Asks for a path below the API's address, following no redirect."""
    return requests.get(library.url + path, headers=headers, timeout=SECONDS, allow_redirects=False)


def listed(library: LibraryServer, query: str) -> list[dict[str, Any]]:
    answer = ask(library, f"launches/?mode=list&limit=100&{query}")
    assert answer.status_code == 200
    return answer.json()["results"]


def names(rows: list[dict[str, Any]]) -> list[str]:
    return [row["name"] for row in rows]


def small(count: int, **more: Any) -> list[dict[str, Any]]:
    """Rows that hold as little as the server needs."""
    return [
        {"id": f"00000000-0000-4000-8000-{number:012}", "name": f"Launch {number}", "net": "2026-12-31T00:00:00Z"}
        | more
        for number in range(count)
    ]


# Pages


@pytest.mark.parametrize("limit", [1, 7, 10, 33, 100])
@pytest.mark.parametrize("ordering", ["net", "-net", "name", "-last_updated,name"])
def test_following_next_finds_every_row_once(limit: int, ordering: str) -> None:
    with LibraryServer(rows=lambda _: small(137)) as library, requests.Session() as session:
        url, found = f"{library.url}launches/?limit={limit}&ordering={ordering}", []
        while url:
            page = session.get(url, timeout=SECONDS).json()
            assert page["count"] == 137
            found += [row["id"] for row in page["results"]]
            url = page["next"]
    assert sorted(found) == [row["id"] for row in small(137)]


@pytest.mark.parametrize(
    ("query", "size"),
    [("", 10), ("limit=3", 3), ("limit=150", 100), ("limit=0", 10), ("limit=x", 10), ("limit=-1", 10)],
)
def test_a_page_is_as_long_as_the_limit_within_its_bounds(library: LibraryServer, query: str, size: int) -> None:
    assert len(ask(library, f"launches/?mode=list&{query}").json()["results"]) == size


def test_next_and_previous_repeat_the_query_sorted_and_encoded(library: LibraryServer) -> None:
    page = ask(library, "launches/?offset=4&net__lt=1970-01-01T00:00:00Z&limit=2&format=json&mode=list").json()
    start = f"{library.base_url}/2.3.0/launches/?format=json&limit=2&mode=list&net__lt=1970-01-01T00%3A00%3A00Z"
    assert page["next"] == f"{start}&offset=6"
    assert page["previous"] == f"{start}&offset=2"


def test_the_first_page_is_previous_without_an_offset_and_the_last_has_no_next(library: LibraryServer) -> None:
    second = ask(library, "launches/?limit=100&offset=100&mode=list").json()
    assert second["previous"] == f"{library.base_url}/2.3.0/launches/?limit=100&mode=list"
    last = ask(library, "launches/?limit=100&offset=200&mode=list").json()
    assert last["next"] is None
    assert last["results"]


def test_an_empty_day_is_an_empty_page(library: LibraryServer) -> None:
    answer = ask(library, "launches/?net__gte=2024-12-01&net__lt=2024-12-02")
    assert answer.status_code == 200
    assert answer.text == '{"count":0,"next":null,"previous":null,"results":[]}'


# Modes


@pytest.mark.parametrize(("mode", "keys"), [("list", 14), ("normal", 32), ("detailed", 39), ("", 32), ("unknown", 32)])
def test_a_row_is_as_long_as_the_mode_says(library: LibraryServer, mode: str, keys: int) -> None:
    (row,) = ask(library, f"launches/?limit=1&mode={mode}").json()["results"]
    assert len(row) == keys


def test_one_launch_is_always_detailed(library: LibraryServer) -> None:
    (row,) = listed(library, "name=Saturn V | Apollo 11")
    assert ask(library, f"launches/{row['id']}/?mode=list").json()["response_mode"] == "detailed"
    assert row["url"] == f"{library.url}launches/{row['id']}/"


def test_rows_of_an_older_version_are_served_as_they_are_below_its_paths() -> None:
    rows = small(3, launch_service_provider={"id": 121, "name": "SpaceX"}, image=None)
    with LibraryServer(rows=lambda _: rows, version="2.2.0") as library:
        assert library.url.endswith("/2.2.0/")
        assert ask(library, "launch/?mode=list").json()["results"] == rows
        assert ask(library, "launch/upcoming/").status_code == 200
        assert ask(library, f"launch/{rows[0]['id']}/").json() == rows[0]
        assert ask(library, "launches/").status_code == 404
        assert ask(library, "launch/?last_updated__gte=2026-01-01").json()["count"] == 3


# What changed


@pytest.mark.parametrize(("version", "path"), [("2.3.0", "launches/"), ("2.2.0", "launch/")])
def test_what_changed_since_a_time_is_found_once_page_by_page_the_newest_first(version: str, path: str) -> None:
    rows = [row | {"last_updated": f"2026-01-{1 + number % 9:02}T00:00:00Z"} for number, row in enumerate(small(25))]
    changed = sorted((row for row in rows if row["last_updated"] >= "2026-01-05"), key=lambda row: row["id"])
    changed.sort(key=lambda row: row["last_updated"], reverse=True)
    query = "mode=list&ordering=-last_updated,id&last_updated__gte=2026-01-05T00:00:00Z"
    with LibraryServer(rows=lambda _: rows, version=version) as library:
        first = ask(library, f"{path}?{query}&limit=10").json()
        assert (first["count"], first["previous"]) == (len(changed), None)
        second = requests.get(first["next"], timeout=SECONDS).json()
        assert (second["count"], second["next"]) == (len(changed), None)
        assert first["results"] + second["results"] == changed
        assert ask(library, f"{path}?{query}&limit=10&offset=10").json() == second


@pytest.mark.parametrize(("ordering", "like"), [("-last_updated", "net"), ("-last_updated,-id", "-id")])
def test_rows_that_do_not_tell_when_they_changed_are_neither_left_out_nor_put_in_order_by_it(
    ordering: str, like: str
) -> None:
    rows = [row | {"net": f"2026-12-{25 - number}T00:00:00Z"} for number, row in enumerate(small(20))]
    with LibraryServer(rows=lambda _: rows, version="2.0.0") as library:
        asked = ask(library, f"launch/?limit=100&last_updated__gte=2999-01-01&ordering={ordering}").json()
        assert asked["results"] == ask(library, f"launch/?limit=100&ordering={like}").json()["results"]
        assert asked["count"] == 20


def test_what_the_library_says_of_a_launch_can_change_while_it_runs() -> None:
    def as_of(rows: list[dict[str, Any]], now: datetime) -> list[dict[str, Any]]:
        return [row | {"name": f"Launch of {now:%H:%M}"} for row in rows if now.hour >= 12]

    clock, (row,) = Clock("2024-12-06T11:00:00+00:00"), small(1)
    with LibraryServer(rows=lambda _: [row], as_of=as_of, clock=clock) as library:
        assert ask(library, "launches/").json()["count"] == 0
        assert ask(library, f"launches/{row['id']}/").status_code == 404
        for said in ("Launch of 12:00", "Launch of 13:00"):
            clock.move(hours=1)
            (listed_row,) = ask(library, "launches/upcoming/").json()["results"]
            assert listed_row["name"] == ask(library, f"launches/{row['id']}/").json()["name"] == said


# Filters


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("net__gte=2024-12-05&net__lt=2024-12-06", 5),
        ("net__gte=2024-12-05T03:05:00Z&net__lt=2024-12-05T21:20:33Z", 4),
        ("net__gt=2024-12-05T03:05:00Z&net__lte=2024-12-05T21:20:33Z", 4),
        ("net__gte=2024-12-05T03:05:00%2B00:00&net__lt=2024-12-05T03:05:01", 1),
        ("window_start__gte=2022-08-04&window_end__lt=2022-08-05", 6),
        ("net__gte=2019-05-22&net__lt=2019-05-22T00:00:01Z", 1),
        ("net__lte=2019-05-22&net__gte=2019-05-22", 1),
        ("year=2024&month=12&day=3,5", 6),
        ("year=1957,1958&status=4", 2),
        ("lsp__name=spacex&net__gte=2024-12-01&net__lt=2024-12-15", 5),
        ("slug=diamant-b-peole", 1),
        ("search=apollo kennedy sputnik", 0),
        ("search=apollo+SOYUZ+kennedy", 1),
        ("nobody_knows_this=1&name=Saturn V | Apollo 11", 1),
        ("net__gte=&name=Saturn V | Apollo 11", 1),
    ],
)
def test_a_filter_selects_exactly(library: LibraryServer, query: str, count: int) -> None:
    assert len(listed(library, query)) == count


def test_days_are_half_open_and_lose_nothing(library: LibraryServer) -> None:
    days = [datetime(2024, 12, 1, tzinfo=UTC) + timedelta(days=n) for n in range(15)]
    found = [
        row["id"]
        for start, end in itertools.pairwise(days)
        for row in listed(library, f"net__gte={start:%Y-%m-%d}&net__lt={end:%Y-%m-%d}")
    ]
    assert found == [row["id"] for row in listed(library, "net__gte=2024-12-01&net__lt=2024-12-15")]
    assert len(set(found)) == 14


def test_statuses_ids_and_providers_can_be_asked_for_by_number(library: LibraryServer) -> None:
    assert {row["status"]["id"] for row in listed(library, "status__ids=4,7")} == {4, 7}
    one, other = listed(library, "limit=2")[:2]
    assert {row["id"] for row in listed(library, f"id={one['id']},{other['id']}")} == {one["id"], other["id"]}
    provider = ask(library, "launches/?limit=1").json()["results"][0]["launch_service_provider"]
    assert len(listed(library, f"lsp__id={provider['id']}")) > 10


def test_the_order_is_by_time_unless_asked_otherwise(library: LibraryServer) -> None:
    times = [row["net"] for row in listed(library, "")]
    assert times == sorted(times)
    updated = [row["last_updated"] for row in listed(library, "ordering=-last_updated")]
    assert updated == sorted(updated, reverse=True)
    assert names(listed(library, "ordering=nonsense")) == names(listed(library, ""))


def test_upcoming_still_holds_the_last_day_unless_it_is_hidden(library: LibraryServer) -> None:
    assert ask(library, "launches/upcoming/?mode=list").json()["results"][0]["net"] == "2024-12-05T03:05:00Z"
    hidden = ask(library, "launches/upcoming/?mode=list&hide_recent_previous=true").json()
    assert hidden["results"][0]["net"] == "2024-12-06T03:14:00Z"
    assert ask(library, "launches/previous/?mode=list").json()["results"][0]["net"] == "2024-12-05T21:20:33Z"


# Errors


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("launches/?net__gte=yesterday", 400, '{"net__gte":["Enter a valid date/time."]}'),
        ("launches/?net__gte=2024-02-30", 400, '{"net__gte":["Enter a valid date/time."]}'),
        ("launches/?status__ids=x", 400, '{"status__ids":["Enter a number."]}'),
        ("launches/?id=7", 400, '{"id":["Enter a valid UUID."]}'),
        ("nothing/", 404, '{"detail":"Not found."}'),
        ("launches/7/", 404, '{"detail":"Not found."}'),
        ("launches/?format=xml", 404, '{"detail":"Not found."}'),
        (f"launches/{UNKNOWN_ID}/", 404, '{"detail":"No Launch matches the given query."}'),
    ],
)
def test_an_error_has_the_words_of_the_api(library: LibraryServer, path: str, status: int, body: str) -> None:
    answer = ask(library, path)
    assert (answer.status_code, answer.text) == (status, body)
    assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(("path", "there"), [("launches", "launches/"), ("launches?limit=1", "launches/?limit=1")])
def test_an_address_without_its_slash_is_sent_on(library: LibraryServer, path: str, there: str) -> None:
    answer = ask(library, path)
    assert (answer.status_code, answer.content) == (301, b"")
    assert answer.headers["Location"] == f"/2.3.0/{there}"


def test_posting_is_refused_and_the_connection_stays_usable(library: LibraryServer) -> None:
    with requests.Session() as session:
        refused = session.post(f"{library.url}launches/", json={"a": 1}, timeout=SECONDS)
        assert (refused.status_code, refused.json()) == (405, {"detail": 'Method "POST" not allowed.'})
        assert session.get(f"{library.url}launches/?limit=1", timeout=SECONDS).status_code == 200


def test_a_head_request_has_headers_only(library: LibraryServer) -> None:
    answer = requests.head(f"{library.url}launches/", timeout=SECONDS)
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["Content-Length"]) > 1000


# The limit


def test_one_request_too_many_is_told_when_to_come_again() -> None:
    clock = Clock("2024-12-06T00:00:00+00:00")
    with LibraryServer(throttle=2, clock=clock) as library:
        assert ask(library, "launches/?limit=1").status_code == 200
        clock.move(minutes=10)
        assert ask(library, "launches/?limit=1").status_code == 200
        refused = ask(library, "launches/?limit=1")
        assert refused.status_code == 429
        assert refused.headers["Retry-After"] == "3000"
        assert refused.json() == {"detail": "Request was throttled. Expected available in 3000 seconds."}
        clock.move(seconds=2999)
        assert ask(library, "launches/?limit=1").json() == {
            "detail": "Request was throttled. Expected available in 1 second."
        }
        clock.move(seconds=1)
        assert ask(library, "launches/?limit=1").status_code == 200
        assert ask(library, "launches/?limit=1").headers["Retry-After"] == "600"


def test_asking_for_the_limit_and_for_pictures_does_not_count() -> None:
    with LibraryServer(throttle=1, clock=Clock("2024-12-06T00:00:00+00:00")) as library:
        for _ in range(3):
            assert ask(library, "api-throttle/").json() == {
                "your_request_limit": 1,
                "limit_frequency_secs": 3600,
                "current_use": 0,
                "next_use_secs": 0,
                "ident": "127.0.0.1",
            }
            assert requests.get(f"{library.base_url}/media/images/vanguard.gif", timeout=SECONDS).status_code == 200
        assert ask(library, "launches/?limit=1").status_code == 200
        told = ask(library, "api-throttle/").json()
        assert (told["current_use"], told["next_use_secs"]) == (1, 3600)


def test_the_window_of_the_limit_can_be_shorter_and_is_told() -> None:
    clock = Clock("2024-12-06T00:00:00+00:00")
    with LibraryServer(throttle=1, throttle_window=timedelta(seconds=5), clock=clock) as library:
        assert ask(library, "launches/?limit=1").status_code == 200
        clock.move(seconds=2)
        assert ask(library, "launches/?limit=1").headers["Retry-After"] == "3"
        told = ask(library, "api-throttle/").json()
        assert (told["limit_frequency_secs"], told["current_use"], told["next_use_secs"]) == (5, 1, 3)
        clock.move(seconds=3)
        assert ask(library, "api-throttle/").json()["current_use"] == 0
        assert ask(library, "launches/?limit=1").status_code == 200


def test_the_limit_holds_for_many_clients_at_once() -> None:
    with LibraryServer(throttle=15) as library, ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: ask(library, "launches/?limit=1&mode=list").status_code, range(30)))
    assert sorted(answers) == [200] * 15 + [429] * 15


def test_the_right_token_is_not_throttled_and_a_wrong_one_is_refused() -> None:
    with LibraryServer(throttle=0, token="good") as library:
        assert ask(library, "launches/?limit=1", Authorization="Token good").status_code == 200
        refused = ask(library, "launches/?limit=1", Authorization="Token bad")
        assert (refused.status_code, refused.json()) == (401, {"detail": "Invalid token."})
        assert ask(library, "launches/?limit=1").status_code == 429


def test_without_a_token_of_its_own_the_server_believes_every_client(library: LibraryServer) -> None:
    assert ask(library, "launches/?limit=1", Authorization="Token any").status_code == 200


# Pictures


@pytest.mark.parametrize(
    ("file", "content_type"),
    [
        ("starship.jpeg", "image/jpeg"),
        ("soyuz_2.jpg", "image/jpeg"),
        ("sputnik.png", "image/png"),
        ("diamant.webp", "image/webp"),
        ("vanguard.gif", "image/gif"),
        ("vega_c.bmp", "image/bmp"),
        ("pslv_xl.jpg", "image/jpeg"),
        ("starship_thumbnail.jpeg", "image/jpeg"),
    ],
)
def test_a_picture_has_the_type_that_its_suffix_claims(library: LibraryServer, file: str, content_type: str) -> None:
    answer = requests.get(f"{library.base_url}/media/images/{file}", timeout=SECONDS)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, content_type)
    assert answer.content == pictures.draw(file)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-None-Match": "{etag}"}, 304),
        ({"If-None-Match": 'W/{etag}, "other"'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"other"'}, 200),
        ({"If-Modified-Since": "{date}"}, 304),
        ({"If-Modified-Since": "Sun, 01 Jan 2023 00:00:00 GMT"}, 200),
        ({"If-Modified-Since": "no date"}, 200),
        ({"If-None-Match": '"other"', "If-Modified-Since": "{date}"}, 200),
    ],
)
def test_a_picture_that_the_client_holds_is_not_sent_again(
    library: LibraryServer, headers: dict[str, str], status: int
) -> None:
    url = f"{library.base_url}/media/images/vanguard.gif"
    first = requests.get(url, timeout=SECONDS)
    etag, date = first.headers["ETag"], first.headers["Last-Modified"]
    told = {name: value.format(etag=etag, date=date) for name, value in headers.items()}
    answer = requests.get(url, headers=told, timeout=SECONDS)
    assert answer.status_code == status
    assert answer.content == (b"" if status == 304 else first.content)
    assert answer.headers["ETag"] == etag


def test_a_picture_that_is_not_there_is_a_404(library: LibraryServer) -> None:
    answer = requests.get(f"{library.base_url}/media/images/none.png", timeout=SECONDS)
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/xml")


# The server itself


def test_requests_are_remembered_in_order() -> None:
    told: list[Request] = []
    with LibraryServer(on_request=told.append) as library:
        assert library.requests == []
        ask(library, "launches/?limit=1", **{"X-Test": "1"})
        ask(library, "nothing/")
        requests.get(f"{library.base_url}/media/images/vanguard.gif", timeout=SECONDS)
        assert [(one.method, one.path, one.status) for one in library.requests] == [
            ("GET", "/2.3.0/launches/?limit=1", 200),
            ("GET", "/2.3.0/nothing/", 404),
            ("GET", "/media/images/vanguard.gif", 200),
        ]
        assert library.requests[0].headers["X-Test"] == "1"
        assert (len(library.api_requests), len(library.picture_requests)) == (2, 1)
        assert told == library.requests


def test_a_client_that_asks_one_after_the_other_is_never_two_at_once() -> None:
    with LibraryServer() as library:
        assert library.most_at_once == 0
        for _ in range(50):
            ask(library, "launches/?limit=1&mode=list")
        assert library.most_at_once == 1


def test_requests_to_the_api_that_overlap_are_counted_and_those_for_pictures_are_not() -> None:
    """Each one waits inside its answer for the others, so that they cannot but overlap."""
    together = threading.Barrier(3)

    def as_of(rows: list[dict[str, Any]], now: datetime) -> list[dict[str, Any]]:
        together.wait(SECONDS)
        return rows

    def picture(file: str) -> bytes:
        together.wait(SECONDS)
        return b"picture"

    with LibraryServer(as_of=as_of, picture=picture) as library, ThreadPoolExecutor(3) as pool:
        assert {answer.status_code for answer in pool.map(ask, [library] * 3, ["launches/"] * 3)} == {200}
        assert library.most_at_once == 3
        address = f"{library.base_url}/media/images/any.png"
        list(pool.map(lambda _: requests.get(address, timeout=SECONDS), range(3)))
        assert library.most_at_once == 3


def test_a_request_counts_as_under_way_while_the_latency_holds_it_back() -> None:
    with LibraryServer(latency=1.0) as library, ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, [library] * 4, ["api-throttle/"] * 4))
        assert library.most_at_once == 4


def test_a_client_that_breaks_off_is_no_news(capfd: pytest.CaptureFixture[str]) -> None:
    with LibraryServer(latency=0.05) as library:
        for _ in range(5):
            host, _, port = library.base_url.removeprefix("http://").partition(":")
            with socket.create_connection((host, int(port))) as client:
                client.sendall(b"GET /media/images/falcon_9.png HTTP/1.1\r\nHost: x\r\n\r\n")
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        assert ask(library, "launches/?limit=1").status_code == 200
    assert capfd.readouterr().err == ""


def test_stopping_ends_open_connections_and_serve_forever() -> None:
    library = LibraryServer()
    served = threading.Thread(target=library.serve_forever)
    library.start()
    served.start()
    with socket.create_connection(("127.0.0.1", int(library.base_url.rpartition(":")[2]))) as client:
        client.sendall(b"HEAD /2.3.0/ HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 200 OK")
        library.stop()
        assert client.recv(1) == b""
    served.join(timeout=SECONDS)
    assert not served.is_alive()


def test_a_port_that_is_taken_is_an_os_error() -> None:
    with LibraryServer() as library:
        taken = int(library.base_url.rpartition(":")[2])
        with pytest.raises(OSError, match=r"."), LibraryServer(port=taken):
            pass


def test_a_server_that_has_not_started_has_no_address() -> None:
    with pytest.raises(RuntimeError, match="not been started"):
        _ = LibraryServer().url
