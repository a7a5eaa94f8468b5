"""Buckets of Microsoft and Google, each on a free port of this machine.

Azure's is Azurite, Microsoft's own emulator, which npm brings in the version of `azurite.json`; where it is missing,
tests skip and say what to install, and with ROCKET_ASSETS_SERVERS=required they fail. It checks who asks.

Google's is moto's S3, asked in Google's words: of the emulators that PyPI, npm and Debian have, none takes the XML API
in which obstore asks Google. That API is S3's but for the names of headers, the token, and what is said of a key that
is not there. So this shows what obstore and we make of it, and not what Google's servers do.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, unquote

import requests

from rocket_assets_tests.bucket import S3, Environ, Respond, serving_s3
from rocket_assets_tests.programs import missing

AZURITE = Path(sys.prefix) / "azurite" / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"

_VERSION = "2021-12-02"
"""Of Azure's API."""


class Cloud(Protocol):
    """A server with buckets."""

    @property
    def endpoint(self) -> str:
        """Its address."""
        ...

    @property
    def environ(self) -> dict[str, str]:
        """The credentials, as a user sets them."""
        ...

    @property
    def wrong(self) -> dict[str, str]:
        """Credentials that are none."""
        ...

    def make_bucket(self) -> str:
        """An empty bucket, by its URI."""
        ...


@dataclass(frozen=True)
class Azure:
    """Azurite, where it runs."""

    port: int
    key: str
    account: str = "rockets"

    @property
    def endpoint(self) -> str:
        """Its address: the account is a part of it, where Microsoft has one host for each."""
        return f"http://127.0.0.1:{self.port}/{self.account}"

    @property
    def environ(self) -> dict[str, str]:
        """The credentials, as a user sets them."""
        return {"AZURE_STORAGE_ACCOUNT_NAME": self.account, "AZURE_STORAGE_ACCOUNT_KEY": self.key}

    @property
    def wrong(self) -> dict[str, str]:
        """A key that is none."""
        return self.environ | {"AZURE_STORAGE_ACCOUNT_KEY": _new_key()}

    def make_bucket(self) -> str:
        """An empty container, by its URI."""
        name = f"container-{uuid.uuid4()}"
        headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": _VERSION}
        said = "".join(f"{header}:{value}\n" for header, value in headers.items())
        signed = f"PUT{12 * chr(10)}{said}/{self.account}/{self.account}/{name}\nrestype:container"
        digest = hmac.digest(base64.b64decode(self.key), signed.encode(), hashlib.sha256)
        headers["Authorization"] = f"SharedKey {self.account}:{base64.b64encode(digest).decode()}"
        address = f"{self.endpoint}/{name}?restype=container"
        requests.put(address, headers=headers, timeout=10).raise_for_status()
        return f"az://{name}"


def _new_key() -> str:
    return base64.b64encode(os.urandom(64)).decode()


@contextmanager
def serving_azure(folder: Path) -> Iterator[Azure]:
    """Azurite on a free port, until the block ends."""
    node = shutil.which("node")
    if not node or not AZURITE.exists():
        missing("There is no Azurite. Install npm (Debian: npm), then: make test-all.")
    key = _new_key()
    command = [node, AZURITE, "--blobPort", "0", "--inMemoryPersistence", "--skipApiVersionCheck", "--silent"]
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "AZURITE_ACCOUNTS": f"{Azure.account}:{key}"}
    with subprocess.Popen(
        [*command, "--disableTelemetry"], env=environ, cwd=folder, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            listens = next(
                filter(None, (re.search(r"listens on http://127.0.0.1:(\d+)", line) for line in process.stdout))
            )
            yield Azure(int(listens[1]), key)
        finally:
            process.kill()


@dataclass
class Google(S3):
    """moto's S3, where Google's words are spoken."""

    token: str = field(default_factory=lambda: f"sesame-{uuid.uuid4()}")

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environ(self) -> dict[str, str]:
        """The credentials, as a user sets them."""
        return {"GOOGLE_BEARER_TOKEN": self.token}

    @property
    def wrong(self) -> dict[str, str]:
        """A token that is none."""
        return {"GOOGLE_BEARER_TOKEN": f"other-{uuid.uuid4()}"}

    def make_bucket(self) -> str:
        """An empty bucket, by its URI."""
        name = f"bucket-{uuid.uuid4()}"
        headers = {"Authorization": f"Bearer {self.token}"}
        requests.put(f"{self.endpoint}/{name}", headers=headers, timeout=10).raise_for_status()
        return f"gs://{name}"

    def played_by(self, s3: Callable[[Environ, Respond], Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
        """Google's words as those of S3."""

        def answer(environ: Environ, respond: Respond) -> Iterable[bytes]:
            if environ.get("HTTP_AUTHORIZATION") != f"Bearer {self.token}":
                respond("401 Unauthorized", [("Content-Type", "application/xml")])
                return [
                    b"<Error><Code>AuthenticationRequired</Code><Message>Authentication required.</Message></Error>"
                ]
            # moto looks only whether somebody has signed, and for what.
            environ["HTTP_AUTHORIZATION"] = "AWS4-HMAC-SHA256 Credential=key/20241201/us-east-1/s3/aws4_request"
            # obstore writes it with more characters encoded than moto expects.
            for uri in environ.keys() & {"RAW_URI", "REQUEST_URI"}:
                path, mark, query = environ[uri].partition("?")
                environ[uri] = quote(unquote(path)) + mark + query
            if source := environ.pop("HTTP_X_GOOG_COPY_SOURCE", None):
                environ["HTTP_X_AMZ_COPY_SOURCE"] = source
            # Who deletes what is not there hears of it, as who reads it does.
            is_there = environ["REQUEST_METHOD"] != "DELETE" or _is_there(s3, environ)
            return s3(environ if is_there else environ | {"REQUEST_METHOD": "GET"}, respond)

        return answer


def _is_there(s3: Callable[[Environ, Respond], Iterable[bytes]], environ: Environ) -> bool:
    said: list[str] = []
    list(s3(environ | {"REQUEST_METHOD": "HEAD"}, lambda status, *_: said.append(status)))
    return said[0].startswith("200")


@contextmanager
def serving_google() -> Iterator[Google]:
    """Google on a free port, until the block ends."""
    google = Google()
    with serving_s3(google):
        yield google
