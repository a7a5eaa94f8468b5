"""Every setting has a default, and a wrong one is an error that names it, what it held and what fits."""

from __future__ import annotations

from datetime import date

import pytest

from rocket_assets.errors import WrongSetting
from rocket_assets.settings import ALL, Settings

SECRET = "sesame-4711"

DEFAULTS = {
    "api_url": "https://ll.thespacedevs.com/2.3.0/",
    "api_token": None,
    "api_mode": "normal",
    "storage": "data",
    "storage_endpoint": None,
    "storage_region": None,
    "start_date": date(1957, 10, 4),
    "end_date": None,
    "days_ahead": 14,
    "poll_seconds": 600,
    "runs_days": 90,
    "notify": (),
    "gallery_licences": (),
    "max_bytes": 67_108_864,
    "max_pixels": 89_478_485,
    "max_seconds": 300,
    "gallery_url": None,
}


@pytest.mark.parametrize(("name", "value"), DEFAULTS.items(), ids=list(DEFAULTS))
def test_an_empty_environment_gives_the_default(name: str, value: object) -> None:
    assert getattr(Settings.read({}), name) == value


@pytest.mark.parametrize("text", ["", "  ", "\n"], ids=repr)
def test_an_empty_variable_counts_as_unset(text: str) -> None:
    assert Settings.read({setting.name: text for setting in ALL}) == Settings.read({})


def test_settings_are_documented_and_belong_to_us() -> None:
    assert {setting.name.removeprefix("ROCKET_ASSETS_").lower() for setting in ALL} == set(DEFAULTS)
    assert all(setting.meaning for setting in ALL)


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("API_URL", "http://127.0.0.1:8123/2.2.0", "api_url", "http://127.0.0.1:8123/2.2.0/"),
        ("API_URL", "https://lldev.thespacedevs.com/2.0.0//", "api_url", "https://lldev.thespacedevs.com/2.0.0/"),
        ("API_URL", "http://[::1]:80/mirror/2.3.0/", "api_url", "http://[::1]:80/mirror/2.3.0/"),
        ("API_TOKEN", f" {SECRET}\n", "api_token", SECRET),
        ("API_MODE", "detailed", "api_mode", "detailed"),
        ("STORAGE", "/srv/rockets and more", "storage", "/srv/rockets and more"),
        ("STORAGE", "s3://bucket/prefix", "storage", "s3://bucket/prefix"),
        ("STORAGE", "gs://bucket", "storage", "gs://bucket"),
        ("STORAGE", "az://container", "storage", "az://container"),
        ("STORAGE", "memory://", "storage", "memory://"),
        ("STORAGE_ENDPOINT", "http://127.0.0.1:9000/", "storage_endpoint", "http://127.0.0.1:9000"),
        ("STORAGE_ENDPOINT", "https://store.example.org/name//", "storage_endpoint", "https://store.example.org/name"),
        ("STORAGE_REGION", "eu-central-1", "storage_region", "eu-central-1"),
        ("START_DATE", "2024-12-01", "start_date", date(2024, 12, 1)),
        ("END_DATE", "1957-10-04", "end_date", date(1957, 10, 4)),
        ("DAYS_AHEAD", "0", "days_ahead", 0),
        ("DAYS_AHEAD", "9999", "days_ahead", 9999),
        ("POLL_SECONDS", "5", "poll_seconds", 5),
        ("POLL_SECONDS", "99999", "poll_seconds", 99999),
        ("RUNS_DAYS", "7", "runs_days", 7),
        ("MAX_BYTES", "1000000000", "max_bytes", 1_000_000_000),
        ("MAX_PIXELS", "1000000", "max_pixels", 1_000_000),
        ("MAX_SECONDS", "1", "max_seconds", 1),
        ("GALLERY_URL", "http://127.0.0.1:3001", "gallery_url", "http://127.0.0.1:3001/"),
        ("GALLERY_URL", "https://rockets.example.org/to/see//", "gallery_url", "https://rockets.example.org/to/see/"),
        ("GALLERY_LICENCES", "CC BY*, NASA  Images,,", "gallery_licences", ("CC BY*", "NASA Images")),
        ("GALLERY_LICENCES", "*", "gallery_licences", ("*",)),
        ("NOTIFY", "json://host/a json://host/b", "notify", ("json://host/a", "json://host/b")),
        ("NOTIFY", "json://host/a, json://host/b\njson://c", "notify", ("json://host/a", "json://host/b", "json://c")),
        ("NOTIFY", "mailto://u:p@gmail.com?to=a@b.de,c@d.de", "notify", ("mailto://u:p@gmail.com?to=a@b.de,c@d.de",)),
        (
            "NOTIFY",
            "mailto://u:p@gmail.com?to=a@b.de,c@d.de,json://host",
            "notify",
            ("mailto://u:p@gmail.com?to=a@b.de,c@d.de", "json://host"),
        ),
    ],
    ids=str,
)
def test_a_value_that_fits_is_taken(variable: str, text: str, name: str, value: object) -> None:
    assert getattr(Settings.read({f"ROCKET_ASSETS_{variable}": text}), name) == value


@pytest.mark.parametrize(
    ("variable", "value", "fits"),
    [
        ("API_URL", "ll.thespacedevs.com/2.3.0/", "an http or https address such as https://"),
        ("API_URL", "ftp://ll.thespacedevs.com/2.3.0/", "an http or https address"),
        ("API_URL", "https:///2.3.0/", "an http or https address"),
        ("API_URL", "http://[::1/2.3.0/", "an http or https address"),
        ("API_URL", "http://localhost:99999/2.3.0/", "an http or https address"),
        ("API_URL", "http://localhost:x/2.3.0/", "an http or https address"),
        ("API_URL", "http://local host/2.3.0/", "an http or https address"),
        ("API_URL", "https://ll.thespacedevs.com/", "ends in the API's version: 2.0.0, 2.2.0, 2.3.0"),
        ("API_URL", "https://ll.thespacedevs.com/2.4.0/", "ends in the API's version"),
        ("API_URL", "https://ll.thespacedevs.com/2.3.0/launches/", "ends in the API's version"),
        ("API_MODE", "Normal", "one of list, normal, detailed"),
        ("STORAGE", "ftp://host/folder", "a folder, or one of s3://"),
        ("STORAGE", "s3:/bucket", "a folder, or s3:// with two slashes"),
        ("STORAGE", "S3://bucket", "a folder, or one of s3://"),
        ("STORAGE", "file:///srv", "a folder, or one of s3://"),
        ("STORAGE", "s3://", "s3:// with the name of a bucket"),
        ("STORAGE_ENDPOINT", "127.0.0.1:9000", "an http or https address such as http://127.0.0.1:9000"),
        ("STORAGE_ENDPOINT", "s3://bucket", "an http or https address"),
        ("STORAGE_REGION", "eu central", "the name of a region such as eu-central-1"),
        ("STORAGE_REGION", "https://here", "the name of a region"),
        ("START_DATE", "1957", "a date such as 1957-10-04"),
        ("START_DATE", "2024-02-30", "a date such as 1957-10-04"),
        ("START_DATE", "04.10.1957", "a date such as 1957-10-04"),
        ("END_DATE", "today", "a date such as 1957-10-04"),
        ("END_DATE", "1957-10-03", "a day from 1957-10-04 on"),
        ("DAYS_AHEAD", "-1", "a whole number from 0 to 9999"),
        ("DAYS_AHEAD", "1.5", "a whole number from 0 to 9999"),
        ("DAYS_AHEAD", "10000", "a whole number from 0 to 9999"),
        ("DAYS_AHEAD", "٣", "a whole number from 0 to 9999"),
        ("DAYS_AHEAD", "two weeks", "a whole number from 0 to 9999"),
        ("POLL_SECONDS", "4", "a whole number from 5 to 99999"),
        ("POLL_SECONDS", "0", "a whole number from 5 to 99999"),
        ("POLL_SECONDS", "100000", "a whole number from 5 to 99999"),
        ("POLL_SECONDS", "10.0", "a whole number from 5 to 99999"),
        ("RUNS_DAYS", "6", "a whole number from 7 to 9999"),
        ("RUNS_DAYS", "ever", "a whole number from 7 to 9999"),
        ("GALLERY_LICENCES", "CC *BY", "licences separated by commas"),
        ("GALLERY_LICENCES", "CC BY, **", "licences separated by commas"),
        ("GALLERY_LICENCES", ",", "licences separated by commas"),
        ("MAX_BYTES", "999999", "a whole number from 1000000 to 1000000000"),
        ("MAX_BYTES", "64 MB", "a whole number from 1000000 to 1000000000"),
        ("MAX_PIXELS", "89478486", "a whole number from 1000000 to 89478485"),
        ("MAX_SECONDS", "0", "a whole number from 1 to 86400"),
        ("GALLERY_URL", "rockets.example.org", "an http or https address such as http://127.0.0.1:3001/"),
        ("GALLERY_URL", "file:///srv/gallery/", "an http or https address"),
        ("GALLERY_URL", "s3://bucket/gallery/", "an http or https address"),
        ("GALLERY_URL", "javascript:alert(1)", "an http or https address"),
    ],
    ids=str,
)
def test_a_value_that_does_not_fit_is_an_error_that_names_it_and_what_fits(
    variable: str, value: str, fits: str
) -> None:
    with pytest.raises(WrongSetting) as raised:
        Settings.read({f"ROCKET_ASSETS_{variable}": value})
    assert str(raised.value).startswith(f"ROCKET_ASSETS_{variable} is {value!r}; what fits is ")
    assert fits in str(raised.value)


def test_the_end_must_not_lie_before_the_start_that_was_set() -> None:
    period = {"ROCKET_ASSETS_START_DATE": "2024-12-02", "ROCKET_ASSETS_END_DATE": "2024-12-01"}
    with pytest.raises(WrongSetting, match=r"ROCKET_ASSETS_END_DATE is '2024-12-01'; .* a day from 2024-12-02 on"):
        Settings.read(period)


def test_an_endpoint_that_obstore_would_not_take_is_refused_where_it_matters() -> None:
    """To obstore, that variable wins over all else; to other storages than S3 it means nothing."""
    both = {"ROCKET_ASSETS_STORAGE_ENDPOINT": "http://here", "AWS_ENDPOINT_URL_S3": "http://there"}
    with pytest.raises(WrongSetting, match="ROCKET_ASSETS_STORAGE_ENDPOINT and AWS_ENDPOINT_URL_S3 are set"):
        Settings.read(both | {"ROCKET_ASSETS_STORAGE": "s3://bucket"})
    assert Settings.read(both | {"ROCKET_ASSETS_STORAGE": "az://container"}).storage_endpoint == "http://here"


def test_a_period_may_be_one_day() -> None:
    period = {"ROCKET_ASSETS_START_DATE": "2024-12-01", "ROCKET_ASSETS_END_DATE": "2024-12-01"}
    assert Settings.read(period).end_date == date(2024, 12, 1)


def test_the_token_is_not_in_what_settings_look_like() -> None:
    settings = Settings.read({"ROCKET_ASSETS_API_TOKEN": SECRET})
    assert settings.api_token == SECRET
    assert SECRET not in repr(settings) + str(settings) + f"{settings}"


@pytest.mark.parametrize("scheme", ["s3", "gs", "az", "other"])
@pytest.mark.parametrize("rest", [f"key:{SECRET}@bucket/prefix", f"bucket?key={SECRET}", f"bucket/prefix#{SECRET}"])
def test_credentials_in_the_name_of_a_bucket_are_refused_and_not_shown(scheme: str, rest: str) -> None:
    with pytest.raises(WrongSetting) as raised:
        Settings.read({"ROCKET_ASSETS_STORAGE": f"{scheme}://{rest}"})
    assert "ROCKET_ASSETS_STORAGE" in str(raised.value)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("token", [f"{SECRET} x", f"{SECRET}\r\nX-Other: 1", f"{SECRET}é", f"{SECRET}\x00"], ids=ascii)
def test_a_token_that_cannot_be_sent_is_refused_without_being_shown(token: str) -> None:
    with pytest.raises(WrongSetting, match="ROCKET_ASSETS_API_TOKEN holds a space") as raised:
        Settings.read({"ROCKET_ASSETS_API_TOKEN": token})
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("variable", ["API_URL", "STORAGE_ENDPOINT", "GALLERY_URL"])
@pytest.mark.parametrize(
    "url",
    [
        f"https://user:{SECRET}@ll.thespacedevs.com/2.3.0/",
        f"https://{SECRET}@ll.thespacedevs.com/2.3.0/",
        f"https://:{SECRET}@ll.thespacedevs.com/2.3.0/",
        f"ftp://user:{SECRET}@host/2.3.0/",
        f"user:{SECRET}@ll.thespacedevs.com/2.3.0/",
        f"https:/user:{SECRET}@host/2.3.0/",
        f"https://user:{SECRET}@[::1/2.3.0/",
        f"https://ll.thespacedevs.com/2.3.0/?token={SECRET}",
        f"https://ll.thespacedevs.com/2.3.0/#{SECRET}",
    ],
)
def test_credentials_in_an_address_are_refused_without_being_shown(variable: str, url: str) -> None:
    with pytest.raises(WrongSetting, match=f"ROCKET_ASSETS_{variable}") as raised:
        Settings.read({f"ROCKET_ASSETS_{variable}": url})
    assert SECRET not in str(raised.value)
    assert raised.value.__cause__ is None


def test_the_addresses_to_tell_are_not_in_what_settings_look_like() -> None:
    settings = Settings.read({"ROCKET_ASSETS_NOTIFY": f"json://user:{SECRET}@host/{SECRET}"})
    assert settings.notify == (f"json://user:{SECRET}@host/{SECRET}",)
    assert SECRET not in repr(settings) + str(settings) + f"{settings}"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (SECRET, 1),
        (f"rocket://user:{SECRET}@", 1),
        (f"unknown://{SECRET}", 1),
        (f"https://example.org/{SECRET}", 1),
        (f"slack://{SECRET}", 1),
        (f"json://host/a,unknown://{SECRET}", 2),
        (f"json://host/a json://host/b slack://{SECRET} json://host/c", 3),
        (f"discord:/{SECRET}, json://host", 1),
        (f"json://host/{SECRET} slack:/x", 1),
        (f"json://host/{SECRET}, discord:/x, json://host/b", 1),
        (f"{SECRET}-json://host", 1),
        (",", 1),
    ],
)
def test_an_address_that_apprise_does_not_know_is_named_by_its_number_and_not_shown(
    text: str, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(1)
    with pytest.raises(WrongSetting, match=f"^ROCKET_ASSETS_NOTIFY: address {number} is none") as raised:
        Settings.read({"ROCKET_ASSETS_NOTIFY": text})
    assert SECRET not in str(raised.value) + caplog.text
    assert raised.value.__cause__ is None
