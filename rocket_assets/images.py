"""How a picture is fetched, and known to be one.

A picture is a JPEG, PNG, WebP, GIF or BMP that Pillow decodes whole; what an address or a header says of it counts for
nothing. Each distinct picture lies once in the pool under its digest, and beside it what is known of each address it
came from, so that the next run asks "has it changed?" instead of fetching it again.

Which launch shows which picture is in `bringing` and `archive`.
"""

from __future__ import annotations

import hashlib
import struct
import threading
import zlib
from base64 import b64decode, b64encode
from bisect import bisect_right
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from io import BytesIO
from types import TracebackType
from typing import Self

import requests
from PIL import ExifTags, Image, ImageSequence, UnidentifiedImageError
from requests_hardened.ip_filter import InvalidIPAddress

from rocket_assets.documents import seal, unseal
from rocket_assets.errors import Damaged, Missing, NotAPicture, Refused, RocketAssetsError, Unavailable, shown
from rocket_assets.network import LIMITS, Limits, Timeout, TooLarge, cause, download, session
from rocket_assets.settings import API_URL, MAX_PIXELS
from rocket_assets.storage import Storage, address_key, pool_key

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
"""What we keep, in Pillow's words; the lower-case word is the extension of the file."""

WORKERS = 16
"""Pictures fetched at a time."""


_DECODING = threading.Semaphore(2)
"""Pictures decoded at a time: each may take as much memory as the limit of pixels lets it."""

_LARGE = threading.Lock()
_LARGE_PIXELS = 20_000_000
_THINNED = 3

# A damaged picture makes Pillow's decoders raise almost anything; for us each of these means the same.
_UNDECODABLE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    struct.error,
    zlib.error,
)

_TURNED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What puts a picture upright, by the orientation that its EXIF gives."""

_LYING = range(5, 9)
"""The orientations of EXIF in which a picture is stored on its side."""

_MOST_FRAMES = 10_000

PREVIEW_BYTES = 630
"""Of a preview, which is to fit into a short text."""

_PREVIEW_SIDES = (128, 96, 64, 32)

_QUALITIES = range(10, 90, 10)
"""Of a WebP, whose bytes grow with it."""

_TAIL = 64 * 1024
"""The end mark of a picture is looked for in so many last bytes; what follows it does no harm."""


@dataclass(frozen=True)
class Picture:
    """What we know of a stored picture; `bytes` is its size."""

    sha256: str
    bytes: int
    format: str
    width: int
    height: int

    @property
    def extension(self) -> str:
        """The end of its file name: what the bytes are, not what an address said."""
        return self.format

    @property
    def key(self) -> str:
        """Where it lies in the pool."""
        return pool_key(self.sha256, self.extension)


@dataclass(frozen=True)
class Fetched:
    """A picture and what it cost: the bytes that came over the network, or 0 when what we have still holds."""

    picture: Picture
    bytes_fetched: int


def inspect(
    body: bytes, source: str, limits: Limits = LIMITS, look: Callable[[Image.Image], None] = lambda _: None
) -> Picture:
    """What these bytes are, after decoding every frame of them.

    Args:
        body: the bytes.
        source: where they come from, for the message of an error.
        limits: how large a picture may be.
        look: shown the first frame, a large JPEG in a smaller size; it may do with it what it likes.

    Raises:
        NotAPicture: they are not one whole picture of a format that we keep; the message says what they are.
    """
    source = shown(source)
    if not body:
        raise NotAPicture(f"{source} gave an empty body.")
    try:
        with Image.open(BytesIO(body), formats=FORMATS) as image:
            kind, (width, height) = image.format, image.size
            _refuse_too_many(source, 1, width, height, limits)
            # Checks the parts that decoding passes over, such as PNG's checksums; the image is of no use afterwards.
            image.verify()
        with Image.open(BytesIO(body), formats=FORMATS) as image, _DECODING:
            # All of a JPEG is unpacked, whatever its size is to be: what is damaged shows, in less time and memory.
            if kind == "JPEG":
                image.draft(None, (2 * _PREVIEW_SIDES[0], 2 * _PREVIEW_SIDES[0]))
            for number, frame in enumerate(ImageSequence.Iterator(image), start=1):
                _refuse_too_many(source, number, width, height, limits)
                frame.load()
                if number == 1:
                    look(frame.copy() if getattr(image, "is_animated", False) else frame)
    except UnidentifiedImageError:
        raise NotAPicture(f"{source} gave {len(body):,} bytes that are no picture; they begin {body[:40]!r}.") from None
    except _UNDECODABLE as error:
        raise NotAPicture(f"{source} gave a picture that cannot be decoded whole: {error}.") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise NotAPicture(f"{source} gave a picture with more pixels than we decode: {error}") from error
    if not _ends(kind, body):
        raise NotAPicture(f"{source} gave a {kind} picture that is cut off at its end.")
    return Picture(
        sha256=hashlib.sha256(body).hexdigest(),
        bytes=len(body),
        # Many cameras append a second, smaller picture to a JPEG; Pillow calls that MPO, everyone else JPEG.
        format="jpeg" if kind == "MPO" else (kind or "").lower(),
        width=width,
        height=height,
    )


def _refuse_too_many(source: str, frames: int, width: int, height: int, limits: Limits) -> None:
    """Counted frame by frame, because even to count them all may take for ever."""
    if frames > _MOST_FRAMES or frames * width * height > limits.pixels:
        raise NotAPicture(
            f"{source} gave a picture of {width} x {height} pixels in {frames:,} frames or more, more than we decode "
            f"({MAX_PIXELS.name})."
        )


def holds(storage: Storage, key: str, picture: Picture) -> bool:
    """Whether the bytes under `key` are this picture, to the last bit."""
    try:
        return hashlib.sha256(storage.read(key)).hexdigest() == picture.sha256
    except Missing:
        return False


def _ends(kind: str | None, body: bytes) -> bool:
    """Whether a picture has its end mark, where the format has one that decoding does not ask for."""
    if kind == "PNG":
        return b"IEND\xaeB`\x82" in body[-_TAIL:]
    if kind == "GIF":
        return body.rstrip(b"\0").endswith(b";")
    return True


class ImageLibrary:
    """Pictures by their address: fetched into the pool of a storage, each distinct address once.

    Several addresses are fetched at a time, by threads on one session; several threads may ask for them. Use it in a
    `with` block: at its end, what has not begun is dropped. Addresses are strangers' words: none leads into the network
    that we are in, but for the host of `api_url`, whose word we take for where pictures are.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        api_url: str = "",
        timeout: Timeout | None = None,
        workers: int = WORKERS,
        retries: int = 3,
        backoff: float = 0.5,
        limits: Limits = LIMITS,
    ) -> None:
        self._storage = storage
        self._limits = limits
        self._timeout = timeout or Timeout()
        self._retries = retries
        self._session = session(
            accept="image/*",
            retries=retries,
            backoff=backoff,
            connections=workers,
            seconds=limits.seconds,
            public_but_for=api_url,
        )
        # A picture is compressed already; asked for plain, the announced length can be held against what came.
        self._session.headers["Accept-Encoding"] = "identity"
        self._session.max_redirects = 5
        # Twice as many, so that the line is not idle while others decode and store what has come.
        self._threads = ThreadPoolExecutor(2 * workers, thread_name_prefix="picture")
        self._line = threading.BoundedSemaphore(workers)
        self._closing = threading.Event()
        self._beginning = threading.Lock()
        self._fetches: dict[str, Future[Fetched]] = {}
        self._previews: dict[str, bytes] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Finish what is on the line, drop the rest, and give back the connections."""
        self._closing.set()
        self._threads.shutdown(cancel_futures=True)
        self._session.close()

    def fetch(self, url: str) -> Future[Fetched]:
        """Begin to fetch the picture at `url`; asked for again, it is the same fetch.

        The future raises what `Refused`, `Unavailable`, `NotAPicture` and `StorageFailed` say.
        """
        with self._beginning:
            if url not in self._fetches:
                self._fetches[url] = self._threads.submit(self._fetch, url)
            return self._fetches[url]

    def known(self, url: str) -> Picture | None:
        """The good picture that this address gave before, where we have one."""
        known = self._known(url)
        return known.picture if known else None

    def preview(self, picture: Picture) -> bytes:
        """A small WebP of a stored picture, of `PREVIEW_BYTES` at most: made once, when its address gave the picture.

        Raises:
            StorageFailed: the picture cannot be read.
            NotAPicture: it cannot be decoded.
        """
        if picture.sha256 not in self._previews:
            self._previews[picture.sha256] = preview(self._storage.read(picture.key), PREVIEW_BYTES, picture.key)
        return self._previews[picture.sha256]

    def _fetch(self, url: str) -> Fetched:
        known = self._known(url)
        response, body = self._ask(url, known)
        if known and response.status_code == requests.codes.not_modified:
            if known.picture.sha256 not in self._previews:
                self._keep_preview(known)
            return Fetched(known.picture, bytes_fetched=0)
        if response.status_code != requests.codes.ok:
            raise _refusal(response, shown(url))
        return Fetched(self._keep(url, response, body), bytes_fetched=len(body))

    def _ask(self, url: str, known: _Known | None) -> tuple[requests.Response, bytes]:
        """What the address answers, as soon as the line is free."""
        where = shown(url)
        try:
            with self._line:
                if self._closing.is_set():
                    raise Unavailable(f"{where} was not asked, because the run was broken off.")
                return self._download(url, known)
        except InvalidIPAddress as error:
            raise Refused(
                f"{where} leads to {error}, which is no address of the public internet. Nearer to us, "
                f"pictures are fetched from the host of {API_URL.name} only."
            ) from error
        except TooLarge as error:
            raise NotAPicture(f"{where} gave what is no picture of a launch: {error}.") from error
        except (requests.exceptions.ChunkedEncodingError, requests.ConnectionError, requests.Timeout) as error:
            raise Unavailable(f"No whole answer from {where}: {cause(error)}.") from error
        # Some addresses get as far as the resolver, or come by a redirect, before a ValueError says what they are.
        except (requests.RequestException, ValueError) as error:
            raise Refused(f"{where} cannot be fetched: {cause(error)}.") from error
        except OSError as error:
            raise Unavailable(f"{where} cannot be fetched now: {cause(error)}.") from error

    def _keep(self, url: str, response: requests.Response, body: bytes) -> Picture:
        """Put a whole picture into the pool, with what is to be known of its address."""
        made = list[bytes]()

        def look(frame: Image.Image) -> None:
            # A picture is whole, whatever a small one of it may come to.
            with suppress(*_UNDECODABLE):
                made.append(_preview(frame))

        picture = inspect(body, url, self._limits, look)
        small = made[0] if made else None
        if small:
            self._previews[picture.sha256] = small
        self._storage.write(picture.key, body)
        # After the picture, so that an address never speaks of a picture that is not there.
        known = _Known(url, picture, *_validators(response), _in_text(small) if small else None)
        self._storage.write(address_key(url), known.sealed())
        return picture

    def _keep_preview(self, known: _Known) -> None:
        """Make the preview that a record of before does not hold, or holds in another size."""
        with suppress(NotAPicture):
            text = _in_text(self.preview(known.picture))
            self._storage.write(address_key(known.url), replace(known, preview=text).sealed())

    def _known(self, url: str) -> _Known | None:
        key = address_key(url)
        try:
            known = _Known.unsealed(self._storage.read(key), key)
        except (Missing, Damaged):
            return None
        # "Not changed" would keep what we have, so that must be worth keeping.
        if not holds(self._storage, known.picture.key, known.picture):
            return None
        if known.preview and len(small := b64decode(known.preview)) <= PREVIEW_BYTES:
            self._previews[known.picture.sha256] = small
        return known

    def _download(self, url: str, known: _Known | None) -> tuple[requests.Response, bytes]:
        ask = partial(
            download,
            self._session,
            url,
            limits=self._limits,
            timeout=self._timeout,
            headers=known.condition() if known else {},
        )
        for _ in range(self._retries):
            try:
                return ask()
            except requests.exceptions.ChunkedEncodingError:
                # The session tries again for an answer that does not begin; this one broke off in its middle.
                continue
        return ask()


def thumbnail(
    body: bytes, width: int, key: str, *, height: int | None = None, quality: int = 50, note: str | None = None
) -> bytes:
    """A small WebP of the picture in these bytes, upright, at most so many pixels wide and high (or square).

    A `note` is kept in it as its description.

    Raises:
        NotAPicture: it cannot be decoded.
    """
    small = _decoded(body, (width, height or width), key)
    # Of what else the camera noted nothing is kept: where it was, and by now also how it was held.
    exif = Image.Exif()
    if note:
        exif[ExifTags.Base.ImageDescription] = note
    return _webp(small, quality, exif)


def preview(body: bytes, most_bytes: int, key: str) -> bytes:
    """A small WebP of the picture in these bytes, upright: as large and as good as `most_bytes` allow.

    Raises:
        NotAPicture: it cannot be decoded.
    """
    return _preview(_decoded(body, (_PREVIEW_SIDES[0], _PREVIEW_SIDES[0]), key), most_bytes)


def _preview(image: Image.Image, most_bytes: int = PREVIEW_BYTES) -> bytes:
    small = _shrunk(image, (_PREVIEW_SIDES[0], _PREVIEW_SIDES[0]))
    for side in _PREVIEW_SIDES:
        small.thumbnail((side, side))
        if fitting := _best(small, most_bytes):
            return fitting
    # What is transparent is stored without loss, and may be noise.
    return _webp(small.convert("RGB"), 0)


def _best(image: Image.Image, most_bytes: int) -> bytes | None:
    """The best WebP of so many bytes, unless its quality were so bad that a smaller picture says more."""
    made = dict[int, bytes]()

    def size(quality: int) -> int:
        made[quality] = _webp(image, quality)
        return len(made[quality])

    if size(_QUALITIES[0]) > most_bytes:
        return None
    fitting = bisect_right(_QUALITIES, most_bytes, lo=1, key=size)
    return made[_QUALITIES[fitting - 1]]


def _decoded(body: bytes, size: tuple[int, int], key: str) -> Image.Image:
    try:
        with Image.open(BytesIO(body), formats=FORMATS) as image, _DECODING, _alone_if_large(image):
            return _shrunk(image, size)
    except _UNDECODABLE as error:
        raise NotAPicture(f"{key} cannot be decoded: {error}.") from error


def _webp(image: Image.Image, quality: int, exif: Image.Exif | None = None) -> bytes:
    stream = BytesIO()
    image.save(stream, "WEBP", quality=quality, exif=exif or Image.Exif())
    return stream.getvalue()


def _shrunk(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    # Pillow decodes a JPEG no finer than is needed. Another large one is thinned out before anything copies it whole.
    if _is_large(image) and image.format != "JPEG":
        image = image.resize((image.width // _THINNED or 1, image.height // _THINNED or 1), Image.Resampling.NEAREST)
    if image.mode not in ("RGB", "RGBA", "L", "CMYK", "YCbCr"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    # It is as high as the camera saw it once it has been turned.
    width, height = size
    orientation = _orientation(image)
    image.thumbnail((height, width) if orientation in _LYING else (width, height))
    # Not by ImageOps, which writes the rest of the EXIF anew and fails on what is odd in it.
    upright = image.transpose(_TURNED[orientation]) if orientation in _TURNED else image
    return upright.convert("RGBA" if upright.has_transparency_data else "RGB")


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - of a stranger's EXIF Pillow raises anything; the picture is whole without it
        return 1


@contextmanager
def _alone_if_large(image: Image.Image) -> Iterator[None]:
    """Decode large pictures one at a time, so that two of them need not have room beside each other."""
    with _LARGE if _is_large(image) else nullcontext():
        yield


def _is_large(image: Image.Image) -> bool:
    return image.width * image.height > _LARGE_PIXELS


@dataclass(frozen=True)
class _Known:
    """The picture that an address gave the last time, and how to ask whether it has changed."""

    url: str
    picture: Picture
    etag: str | None
    last_modified: str | None
    preview: str | None = None
    """In base64."""

    def condition(self) -> dict[str, str]:
        asked = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in asked.items() if value}

    def sealed(self) -> bytes:
        return seal(asdict(self))

    @classmethod
    def unsealed(cls, body: bytes, key: str) -> _Known:
        document = unseal(body, key)
        try:
            return cls(**{**document, "picture": Picture(**document["picture"])})
        except (TypeError, KeyError) as error:
            raise Damaged(f"{key} was written by another version of this project: {error}.") from error


def _in_text(preview: bytes) -> str:
    return b64encode(preview).decode("ascii")


def _validators(response: requests.Response) -> tuple[str | None, str | None]:
    return response.headers.get("ETag"), response.headers.get("Last-Modified")


def _refusal(response: requests.Response, url: str) -> RocketAssetsError:
    status = response.status_code
    if status >= requests.codes.server_error or status in (
        requests.codes.request_timeout,
        requests.codes.too_many_requests,
    ):
        return Unavailable(f"{url} answered {status} {response.reason}.")
    return Refused(f"{url} answered {status} {response.reason}.")
