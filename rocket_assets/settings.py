"""Every setting: its name, its default, its meaning.

`Settings.read` turns an environment into checked values or says what is wrong with it. It is the only place that knows
the names of the variables; who calls it passes the environment in. Nothing here opens a file or a connection.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from urllib.parse import urlsplit

from rocket_assets.errors import WrongSetting

API_VERSIONS = ("2.0.0", "2.2.0", "2.3.0")
API_MODES = ("list", "normal", "detailed")
STORAGE_SCHEMES = ("s3", "gs", "az", "memory")

_ENDPOINT_THAT_WINS = "AWS_ENDPOINT_URL_S3"


@dataclass(frozen=True)
class Setting:
    """One variable of the environment, as the README's table shows it."""

    name: str
    default: str
    meaning: str


API_URL = Setting("ROCKET_ASSETS_API_URL", "https://ll.thespacedevs.com/2.3.0/", "which Launch Library")
API_TOKEN = Setting(
    "ROCKET_ASSETS_API_TOKEN",
    "",
    "raises the 15 requests an hour; sent to the API's host only, never logged",
)
API_MODE = Setting("ROCKET_ASSETS_API_MODE", "normal", "`list`, `normal` or `detailed` answers")
STORAGE = Setting("ROCKET_ASSETS_STORAGE", "data", "a folder, or `s3://`, `gs://`, `az://`, `memory://`")
STORAGE_ENDPOINT = Setting(
    "ROCKET_ASSETS_STORAGE_ENDPOINT",
    "",
    "the address of the server that has the bucket, where it is not that of Amazon, Google or Microsoft",
)
STORAGE_REGION = Setting("ROCKET_ASSETS_STORAGE_REGION", "", "the region of an S3 bucket; without it `us-east-1`")
START_DATE = Setting("ROCKET_ASSETS_START_DATE", "1957-10-04", "first partition")
END_DATE = Setting(
    "ROCKET_ASSETS_END_DATE",
    "",
    "last partition, for a closed period; without it, and at most, today + DAYS_AHEAD",
)
DAYS_AHEAD = Setting("ROCKET_ASSETS_DAYS_AHEAD", "14", "planned days that have a partition")
POLL_SECONDS = Setting(
    "ROCKET_ASSETS_POLL_SECONDS",
    "600",
    "seconds between two looks at what has changed; each is one request",
)
RUNS_DAYS = Setting(
    "ROCKET_ASSETS_RUNS_DAYS",
    "90",
    "days after which Dagster forgets a run of which nothing stands any more",
)
NOTIFY = Setting(
    "ROCKET_ASSETS_NOTIFY",
    "",
    "where to tell of new launches, slips, outcomes and failures: Apprise URLs, separated by spaces or commas",
)
GALLERY_LICENCES = Setting(
    "ROCKET_ASSETS_GALLERY_LICENCES",
    "",
    "which pictures the gallery shows, by licences separated by commas; a `*` at the end of one stands for any rest",
)
MAX_BYTES = Setting(
    "ROCKET_ASSETS_MAX_BYTES",
    "67108864",
    "bytes of one download, a picture or an answer of the API; the largest picture seen has 1.5 MB",
)
MAX_PIXELS = Setting(
    "ROCKET_ASSETS_MAX_PIXELS",
    "89478485",
    "pixels of one picture, all its frames together; the largest one seen has 11 million",
)
MAX_SECONDS = Setting("ROCKET_ASSETS_MAX_SECONDS", "300", "seconds of each try of a download, however it drips")
GALLERY_URL = Setting(
    "ROCKET_ASSETS_GALLERY_URL",
    "",
    "where people see the gallery if it is served: the address of what stands above `gallery/`",
)

ALL = (
    API_URL,
    API_TOKEN,
    API_MODE,
    STORAGE,
    STORAGE_ENDPOINT,
    STORAGE_REGION,
    START_DATE,
    END_DATE,
    DAYS_AHEAD,
    POLL_SECONDS,
    RUNS_DAYS,
    NOTIFY,
    GALLERY_LICENCES,
    MAX_BYTES,
    MAX_PIXELS,
    MAX_SECONDS,
    GALLERY_URL,
)


@dataclass(frozen=True)
class Settings:
    """The checked values of all settings."""

    api_url: str
    api_token: str | None = field(repr=False)
    api_mode: str
    storage: str
    storage_endpoint: str | None
    storage_region: str | None
    start_date: date
    end_date: date | None
    days_ahead: int
    poll_seconds: int
    runs_days: int
    notify: tuple[str, ...] = field(repr=False)
    gallery_licences: tuple[str, ...]
    max_bytes: int
    max_pixels: int
    max_seconds: int
    gallery_url: str | None

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Settings:
        """Read and check every setting; an empty variable counts as one that is not set.

        Raises:
            WrongSetting: one of them does not fit.
        """

        def given(setting: Setting) -> str:
            return environ.get(setting.name, "").strip() or setting.default

        settings = cls(
            api_url=_api_url(given(API_URL)),
            api_token=_token(given(API_TOKEN)),
            api_mode=_one_of(API_MODE, given(API_MODE), API_MODES),
            storage=_storage(given(STORAGE)),
            storage_endpoint=_storage_endpoint(given(STORAGE_ENDPOINT)),
            storage_region=_storage_region(given(STORAGE_REGION)),
            start_date=_date(START_DATE, given(START_DATE)),
            end_date=_date(END_DATE, given(END_DATE)) if given(END_DATE) else None,
            days_ahead=_whole_number(DAYS_AHEAD, given(DAYS_AHEAD)),
            poll_seconds=_whole_number(POLL_SECONDS, given(POLL_SECONDS), least=5, most=99_999),
            runs_days=_whole_number(RUNS_DAYS, given(RUNS_DAYS), least=7),
            notify=notify_addresses(given(NOTIFY)),
            gallery_licences=_licences(given(GALLERY_LICENCES)),
            max_bytes=_whole_number(MAX_BYTES, given(MAX_BYTES), least=1_000_000, most=1_000_000_000),
            # Above it Pillow warns of a decompression bomb, and above twice of it refuses by itself.
            max_pixels=_whole_number(MAX_PIXELS, given(MAX_PIXELS), least=1_000_000, most=int(MAX_PIXELS.default)),
            max_seconds=_whole_number(MAX_SECONDS, given(MAX_SECONDS), least=1, most=86_400),
            gallery_url=_gallery_url(given(GALLERY_URL)),
        )
        if settings.end_date and settings.end_date < settings.start_date:
            raise _wrong(END_DATE, str(settings.end_date), f"a day from {settings.start_date} on")
        # obstore lets the variable win, whatever it is told.
        if settings.storage_endpoint and settings.storage.startswith("s3://") and environ.get(_ENDPOINT_THAT_WINS):
            raise WrongSetting(f"{STORAGE_ENDPOINT.name} and {_ENDPOINT_THAT_WINS} are set; what fits is one of them.")
        return settings


def _wrong(setting: Setting, value: str, fits: str) -> WrongSetting:
    return WrongSetting(f"{setting.name} is {value!r}; what fits is {fits}.")


def _api_url(value: str) -> str:
    url = _address(API_URL, value, like=API_URL.default, instead=f"use {API_TOKEN.name} for a token")
    version = url.rstrip("/").rpartition("/")[2]
    if version not in API_VERSIONS:
        raise _wrong(API_URL, value, f"an address that ends in the API's version: {', '.join(API_VERSIONS)}")
    return url


def _gallery_url(value: str) -> str | None:
    return _address(GALLERY_URL, value, like="http://127.0.0.1:3001/", instead="leave them out") if value else None


def _address(setting: Setting, value: str, *, like: str, instead: str) -> str:
    """An address without secrets, with a slash at its end."""
    # Before anything else looks at the value, because every other message repeats it.
    if "@" in value:
        raise WrongSetting(f"{setting.name} holds a user name or a password, which would end up in logs; {instead}.")
    url = value.rstrip("/") + "/"
    if not _is_plain_address(url):
        # What stands behind a question mark may be a secret, too.
        raise _wrong(setting, re.sub(r"[?#].+", "…", value), f"an http or https address such as {like}")
    return url


def _is_plain_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port_fits = parts.port != 0
    except ValueError:
        return False
    is_http = parts.scheme in ("http", "https") and bool(parts.hostname) and port_fits
    return is_http and not parts.query and not parts.fragment and not re.search(r"\s", url)


def _token(value: str) -> str | None:
    # Anything else cannot stand in a header, and the error of the HTTP client would show it.
    if not re.fullmatch(r"[!-~]*", value):
        raise WrongSetting(
            f"{API_TOKEN.name} holds a space, a line break or a letter that no token has (not shown: it is a secret); "
            "what fits is the token as the API gave it."
        )
    return value or None


def _storage(value: str) -> str:
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", value)
    if scheme and re.search(r"[@?#]", value):
        raise WrongSetting(
            f"{STORAGE.name} holds more than a bucket and a prefix (not shown: it may be a secret); "
            "credentials of a bucket belong into its own variables, such as AWS_SECRET_ACCESS_KEY."
        )
    if not scheme and re.match(rf"({'|'.join(STORAGE_SCHEMES)}):", value):
        raise _wrong(STORAGE, value, f"a folder, or {value.partition(':')[0]}:// with two slashes")
    if scheme and scheme[1] not in STORAGE_SCHEMES:
        fits = ", ".join(f"{name}://…" for name in STORAGE_SCHEMES)
        raise _wrong(STORAGE, value, f"a folder, or one of {fits}")
    if scheme and scheme[1] != "memory" and not value[scheme.end() :].strip("/"):
        raise _wrong(STORAGE, value, f"{scheme[0]} with the name of a bucket")
    return value


def _storage_endpoint(value: str) -> str | None:
    like = "http://127.0.0.1:9000"
    # Without the slash at its end: obstore puts one of its own before the bucket.
    return _address(STORAGE_ENDPOINT, value, like=like, instead="leave them out").rstrip("/") if value else None


def _storage_region(value: str) -> str | None:
    if value and not re.fullmatch(r"[A-Za-z0-9-]+", value):
        raise _wrong(STORAGE_REGION, value, "the name of a region such as eu-central-1")
    return value or None


def _date(setting: Setting, value: str) -> date:
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise _wrong(setting, value, "a date such as 1957-10-04") from None


def _whole_number(setting: Setting, value: str, *, least: int = 0, most: int = 9999) -> int:
    if not re.fullmatch(r"\d{1,10}", value, re.ASCII) or not least <= int(value) <= most:
        raise _wrong(setting, value, f"a whole number from {least} to {most}")
    return int(value)


def _licences(value: str) -> tuple[str, ...]:
    licences = tuple(" ".join(licence.split()) for licence in value.split(",") if licence.strip())
    # A value of nothing but commas would mean "all", and whoever wrote it meant something else.
    if (value and not licences) or any("*" in licence[:-1] for licence in licences):
        raise _wrong(GALLERY_LICENCES, value, "licences separated by commas, with a * at the end of one if anywhere")
    return licences


def notify_addresses(value: str) -> tuple[str, ...]:
    """The single addresses in the value of ROCKET_ASSETS_NOTIFY.

    Raises:
        WrongSetting: one of them is none that Apprise knows.
    """
    if not value:
        return ()
    # Here and not above, so that only who wants to be told pays for it: Apprise loads all its services.
    from apprise import Apprise
    from apprise.utils.parse import parse_urls

    keep_addresses_out_of_logs()
    addresses = tuple(parse_urls(value))
    # What stands before the first address it would drop without a word.
    if not value.lstrip(",; ").startswith(addresses[:1]):
        raise _wrong_address(1)
    for number, address in enumerate(addresses, start=1):
        # A space may be part of an address to Apprise, and would hide that what follows it is none.
        if re.search(r"\s", address) or Apprise.instantiate(address) is None:
            raise _wrong_address(number)
    return addresses


def keep_addresses_out_of_logs() -> None:
    """Let Apprise log nothing but the status of an answer; the rest may show an address, secrets included.

    It stays so, because a service that is no longer waited for goes on in a thread of its own.
    """
    logging.getLogger("apprise").addFilter(_only_a_status)


def _only_a_status(record: logging.LogRecord) -> bool:
    status = re.search(r"\berror=\d{3}\b", record.getMessage())
    if status:
        record.msg, record.args, record.exc_info = f"A message was not taken: {status[0]}", (), None
    return bool(status)


def _wrong_address(number: int) -> WrongSetting:
    return WrongSetting(
        f"{NOTIFY.name}: address {number} is none that Apprise knows and can use here (not shown: it may be a secret); "
        "what fits are the addresses of https://appriseit.com/services/, separated by spaces or commas."
    )


def _one_of(setting: Setting, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise _wrong(setting, value, f"one of {', '.join(choices)}")
    return value
