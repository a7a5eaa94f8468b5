"""How a picture is fetched and known to be one: real bytes in every format, and servers that misbehave."""

from __future__ import annotations

import random
import socket
import struct
import subprocess
import sys
import threading
import time
import uuid
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image, ImageChops, ImageOps, ImageStat

from rocket_assets.documents import seal, unseal
from rocket_assets.errors import NotAPicture, Refused, RocketAssetsError, StorageFailed, Unavailable
from rocket_assets.images import PREVIEW_BYTES, Fetched, ImageLibrary, Picture, inspect, preview, thumbnail
from rocket_assets.network import LIMITS, Limits, Timeout
from rocket_assets.sample_library.pictures import draw
from rocket_assets.sample_library.server import MEDIA, LibraryServer
from rocket_assets.storage import Storage, address_key
from rocket_assets_tests.scripted_server import HERE, Answer, Request, ScriptedServer

URL = "https://pictures.example/a.png"


def picture(kind: str = "PNG", shade: int = 0, *, frames: int = 1, mode: str = "RGB") -> bytes:
    """A small noisy picture in Pillow's format `kind`; different shades are different pictures."""
    noise = random.Random(shade)
    drawn = [Image.frombytes("RGB", (48, 32), noise.randbytes(48 * 32 * 3)).convert(mode) for _ in range(frames)]
    stream = BytesIO()
    if frames > 1:
        drawn[0].save(stream, kind, save_all=True, append_images=drawn[1:])
    else:
        drawn[0].save(stream, kind)
    return stream.getvalue()


def huge_png(width: int, height: int) -> bytes:
    """A small file that claims to be a large picture."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def with_a_flipped_bit(body: bytes, at: int) -> bytes:
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


GOOD = {
    "JPEG": (picture("JPEG"), "jpeg"),
    "JPEG in CMYK": (picture("JPEG", mode="CMYK"), "jpeg"),
    "JPEG with a second picture, as cameras write it": (picture("MPO", frames=2), "jpeg"),
    "JPEG with something behind it": (picture("JPEG") + b"\0" * 100, "jpeg"),
    "PNG": (picture("PNG"), "png"),
    "PNG with a palette": (picture("PNG", mode="P"), "png"),
    "animated PNG": (picture("PNG", frames=3), "png"),
    "WebP": (picture("WEBP"), "webp"),
    "animated WebP": (picture("WEBP", frames=3), "webp"),
    "GIF": (picture("GIF"), "gif"),
    "animated GIF": (picture("GIF", frames=3), "gif"),
    "GIF with zeros behind it": (picture("GIF") + b"\0\0", "gif"),
    "BMP": (picture("BMP"), "bmp"),
}

HTML = b"<!DOCTYPE html><html><body><h1>404 Not Found</h1></body></html>"
NOT_PICTURES = {
    "empty": b"",
    "HTML": HTML,
    "JSON": b'{"detail":"Request was throttled."}',
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
    "PDF": b"%PDF-1.7\n" + b"x" * 200,
    "TIFF": picture("TIFF"),
    "ICO": picture("ICO"),
    "garbage": random.Random(1).randbytes(4000),
    "HTML before a JPEG": HTML + picture("JPEG"),
    "half a JPEG": picture("JPEG")[:600],
    "JPEG without its end": picture("JPEG")[:-2],
    "half a PNG": picture("PNG")[:2000],
    "PNG without its end": picture("PNG")[:-4],
    "half an animated PNG": picture("PNG", frames=3)[:8000],
    "half a GIF": picture("GIF")[:1200],
    "GIF without its end": picture("GIF")[:-1],
    "animated GIF cut between two frames": picture("GIF", frames=3)[: len(picture("GIF"))],
    "half a WebP": picture("WEBP")[:400],
    "WebP without its end": picture("WEBP")[:-1],
    "half an animated WebP": picture("WEBP", frames=3)[:2000],
    "half a BMP": picture("BMP")[:2000],
    "BMP without its end": picture("BMP")[:-1],
    "animated GIF with half a frame": picture("GIF")[:-1] + b",\0;",
    "PNG with a flipped checksum of its header": with_a_flipped_bit(picture("PNG"), 30),
    "PNG with a flipped checksum of its pixels": with_a_flipped_bit(picture("PNG"), len(picture("PNG")) - 14),
    "PNG with a flipped pixel": with_a_flipped_bit(picture("PNG"), 700),
    "PNG that claims 30000 x 30000": huge_png(30_000, 30_000),
    "PNG that claims 10000 x 10000": huge_png(10_000, 10_000),
    "only the head of a JPEG": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01",
    "only the head of a PNG": b"\x89PNG\r\n\x1a\n",
    "only the head of a GIF": b"GIF89a",
}


@pytest.fixture
def store() -> Storage:
    """A storage in memory."""
    return Storage(f"memory://{uuid.uuid4()}")


def brought(store: Storage, url: str, *, retries: int = 3, timeout: Timeout | None = None) -> Fetched:
    """The picture at an address, by a library of its own, as a later run would have it."""
    with ImageLibrary(store, api_url=HERE, retries=retries, backoff=0, timeout=timeout) as library:
        return library.fetch(url).result()


def why_not(
    store: Storage, url: str, *, retries: int = 3, timeout: Timeout | None = None, limits: Limits = LIMITS
) -> RocketAssetsError:
    """Why the picture at an address could not be had; nothing may be stored then."""
    before = {found.key for found in store.list()}
    with ImageLibrary(store, api_url=HERE, retries=retries, backoff=0, timeout=timeout, limits=limits) as library:
        error = library.fetch(url).exception()
    assert isinstance(error, RocketAssetsError)
    assert {found.key for found in store.list()} == before
    return error


@contextmanager
def raw_server(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that does with its one connection whatever `talk` does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                try:
                    talk(connection)
                except OSError:
                    return

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/a.png"
        thread.join()


# What a picture is


@pytest.mark.parametrize(("body", "extension"), GOOD.values(), ids=list(GOOD))
def test_a_whole_picture_is_known_by_its_bytes(body: bytes, extension: str) -> None:
    known = inspect(body, URL)
    assert (known.extension, known.bytes, known.width, known.height) == (extension, len(body), 48, 32)
    assert known.key == f"pool/{known.sha256[:2]}/{known.sha256}.{extension}"


@pytest.mark.parametrize("body", NOT_PICTURES.values(), ids=list(NOT_PICTURES))
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_what_is_not_a_whole_picture_is_refused_with_its_address(body: bytes) -> None:
    with pytest.raises(NotAPicture, match=URL) as raised:
        inspect(body, URL)
    assert "0x" not in str(raised.value).replace("\\x", "")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_a_picture_cut_anywhere_is_no_picture(kind: str) -> None:
    body = picture(kind)
    for length in [*range(1, 80), *range(80, len(body) - 40, 37), *range(len(body) - 40, len(body))]:
        with pytest.raises(NotAPicture):
            inspect(body[:length], URL)


@pytest.mark.parametrize("name", list(GOOD))
@pytest.mark.filterwarnings("ignore")
def test_a_damaged_picture_is_one_or_is_refused_and_nothing_else_happens(name: str) -> None:
    chance, body = random.Random(name), GOOD[name][0]
    refused = 0
    for _ in range(120):
        damaged = bytearray(body)
        for _ in range(chance.choice((1, 1, 4))):
            damaged[chance.randrange(min(len(body), chance.choice((60, 300, 10**6))))] ^= 1 << chance.randrange(8)
        try:
            inspect(bytes(damaged), URL)
        except NotAPicture:
            refused += 1
    assert refused


def test_frames_that_are_too_many_pixels_together_are_not_decoded() -> None:
    limits = Limits(pixels=3 * 48 * 32)
    assert inspect(picture("GIF", frames=3), URL, limits).width == 48
    with pytest.raises(NotAPicture, match="more than we decode"):
        inspect(picture("GIF", frames=4), URL, limits)


def test_frames_without_number_are_not_decoded() -> None:
    one = picture("GIF", frames=1)
    tiny = BytesIO()
    Image.new("P", (1, 1)).save(tiny, "GIF")
    head, frame = tiny.getvalue()[:-1], b"\x2c\0\0\0\0\1\0\1\0\0\2\2\x44\1\0"
    assert inspect(head + frame * 9 + b";", URL).width == 1
    with pytest.raises(NotAPicture, match="10,001 frames or more"):
        inspect(head + frame * 20_000 + b";", URL)
    assert inspect(one, URL).width == 48


def decodes(body: bytes) -> bool:
    """Whether Pillow decodes all of it, in its own size."""
    try:
        with Image.open(BytesIO(body)) as image:
            image.load()
    except (OSError, SyntaxError):
        return False
    return True


@pytest.mark.parametrize("progressive", [False, True], ids=["baseline", "progressive"])
def test_a_large_jpeg_that_is_unpacked_in_a_smaller_size_is_refused_for_the_same_damage(progressive: bool) -> None:
    chance, stream = random.Random(5), BytesIO()
    small = Image.frombytes("RGB", (48, 32), chance.randbytes(48 * 32 * 3))
    small.resize((1200, 800)).save(stream, "JPEG", quality=85, progressive=progressive)
    whole, refused = stream.getvalue(), 0
    assert inspect(whole, URL).width == 1200
    for _ in range(120):
        start = chance.randrange(len(whole))
        damaged = bytearray(whole)
        damaged[start : start + chance.choice([1, 50, len(whole)])] = chance.randbytes(chance.choice([0, 1, 50]))
        if decodes(bytes(damaged)):
            inspect(bytes(damaged), URL)
            continue
        refused += 1
        with pytest.raises(NotAPicture):
            inspect(bytes(damaged), URL)
    assert 20 < refused < 100


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "BMP", "JPEG"])
def test_who_looks_at_a_picture_sees_its_first_frame_and_may_spoil_it(kind: str) -> None:
    """What is said of the picture, and whether it is whole, does not depend on it."""
    body = picture(kind, frames=3) if kind in ("GIF", "WEBP") else picture(kind)
    seen = list[tuple[int, int]]()

    def look(frame: Image.Image) -> None:
        seen.append(frame.size)
        frame.thumbnail((8, 8))

    assert inspect(body, URL, look=look) == inspect(body, URL)
    assert seen == [(48, 32)]


@pytest.mark.parametrize("most_bytes", [400, 550, 700, 3000])
@pytest.mark.parametrize("side", [16, 300])
def test_a_preview_has_no_more_bytes_than_it_may_have(most_bytes: int, side: int) -> None:
    """Noise is what compresses worst."""
    noise, body = random.Random(side).randbytes(side * side * 3), BytesIO()
    Image.frombytes("RGB", (side, side), noise).save(body, "PNG")
    small = preview(body.getvalue(), most_bytes, "key")
    assert len(small) <= most_bytes
    with Image.open(BytesIO(small)) as image:
        assert image.format == "WEBP"
        assert max(image.size) <= 128


def test_a_preview_of_noise_that_one_sees_through_has_no_more_bytes_either() -> None:
    noise = Image.frombytes("RGBA", (200, 200), random.Random(1).randbytes(200 * 200 * 4))
    assert len(preview(in_a_file(noise, "PNG"), PREVIEW_BYTES, "key")) <= PREVIEW_BYTES


def test_a_preview_is_larger_and_better_the_more_bytes_it_may_have() -> None:
    body = draw("falcon_9.png")
    smaller, better = preview(body, 300, "key"), preview(body, 690, "key")
    with Image.open(BytesIO(smaller)) as few, Image.open(BytesIO(better)) as many:
        assert few.width < many.width == 128
    assert len(better) > 600


def test_a_preview_of_what_is_no_picture_is_refused() -> None:
    with pytest.raises(NotAPicture, match="some key"):
        preview(HTML, 700, "some key")


def test_a_thumbnail_is_a_small_webp() -> None:
    small = thumbnail(picture("GIF", frames=3), 16, "key")
    with Image.open(BytesIO(small)) as image:
        assert image.format == "WEBP"
        assert image.size == (16, 11)


def in_a_file(image: Image.Image, kind: str, **how: Any) -> bytes:
    """A picture as the bytes of a file."""
    stream = BytesIO()
    image.save(stream, kind, **how)
    return stream.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_thumbnail_stands_upright_however_the_camera_was_held(orientation: int) -> None:
    turn = Image.Exif()
    turn[ExifTags.Base.Orientation] = orientation
    seen = Image.new("RGB", (400, 200))
    seen.paste((255, 0, 0), (0, 0, 200, 100))
    seen.paste((0, 255, 0), (200, 0, 400, 100))
    body = in_a_file(seen, "JPEG", exif=turn)
    with Image.open(BytesIO(thumbnail(body, 60, "key", height=80))) as image, Image.open(BytesIO(body)) as camera:
        assert image.size == ((60, 30) if orientation < 5 else (40, 80))
        assert image.getexif().get(ExifTags.Base.Orientation) is None
        upright = ImageOps.exif_transpose(camera).resize(image.size)
        assert max(ImageStat.Stat(ImageChops.difference(image.convert("RGB"), upright)).mean) < 8


def oddly_noted() -> Iterator[tuple[str, bytes]]:
    """Whole pictures with EXIF of which Pillow raises other errors than of damage."""
    yield "no EXIF at all", in_a_file(Image.new("RGB", (300, 200)), "PNG", exif=b"Exif\0\0garbage garbage")
    noted = Image.Exif()
    noted[ExifTags.Base.Orientation], noted[ExifTags.Base.ImageDescription] = 6, "a description"
    noted[ExifTags.Base.XResolution], noted[ExifTags.IFD.Exif] = 72.0, {ExifTags.Base.DateTimeOriginal: "2020:01:01"}
    seed = random.Random(2)
    raised = set[type[Exception]]()
    for number in range(3000):
        exif = bytearray(noted.tobytes())
        for _ in range(seed.choice([1, 2, 4])):
            exif[6 + seed.randrange(len(exif) - 6)] = seed.randrange(256)
        body = in_a_file(Image.new("RGB", (30, 20)), "JPEG", exif=bytes(exif))
        try:
            with Image.open(BytesIO(body)) as image:
                ImageOps.exif_transpose(image)
        except Exception as error:  # noqa: BLE001 - which ones there are is the question
            if type(error) not in raised:
                raised.add(type(error))
                yield f"{type(error).__name__} {number}", body
    assert AttributeError in raised


def test_a_picture_is_whole_and_has_a_preview_however_odd_its_notes_are(store: Storage) -> None:
    odd = dict(oddly_noted())
    assert len(odd) > 2
    with (
        ScriptedServer(lambda request: Answer(body=list(odd.values())[int(request.path[1:])])) as server,
        ImageLibrary(store, api_url=HERE, backoff=0) as library,
    ):
        for number, body in enumerate(odd.values()):
            fetched = library.fetch(server.url(f"/{number}")).result().picture
            assert store.read(fetched.key) == body
            assert library.preview(fetched)[8:12] == b"WEBP"


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB", "L", "1", "I;16", "CMYK"])
def test_a_thumbnail_is_made_of_a_picture_of_any_mode_and_lets_through_what_it_does(mode: str) -> None:
    drawn = Image.new("RGBA", (40, 30), (200, 40, 40, 128))
    drawn = drawn.convert("L").convert(mode) if mode == "I;16" else drawn.convert(mode)
    body = in_a_file(drawn, "JPEG" if mode == "CMYK" else "PNG")
    with Image.open(BytesIO(thumbnail(body, 20, "key"))) as image:
        assert image.size == (20, 15)
        assert image.has_transparency_data == (mode in ("RGBA", "LA", "P"))


def test_a_thumbnail_keeps_its_note_and_nothing_that_the_camera_noted() -> None:
    camera = Image.Exif()
    camera[ExifTags.Base.Make] = "Camera 4711"
    body = in_a_file(Image.new("RGB", (40, 30)), "JPEG", exif=camera)
    small = thumbnail(body, 20, "key", note="a note")
    assert b"a note" in small
    assert b"Camera" not in small
    assert b"a note" not in thumbnail(body, 20, "key")


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="only Linux tells the peak of a process's memory"
)
@pytest.mark.parametrize(("mode", "bytes_a_pixel"), [("P", 1), ("RGB", 4), ("RGBA", 4)])
def test_a_thumbnail_of_the_largest_picture_never_copies_it_whole(mode: str, bytes_a_pixel: int) -> None:
    code = f"""if True:
        from io import BytesIO
        from pathlib import Path
        from PIL import Image
        from rocket_assets.images import thumbnail

        def most() -> int:
            lines = Path("/proc/self/status").read_text().splitlines()
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

        stream = BytesIO()
        Image.new({mode!r}, (9400, 9400)).save(stream, "PNG", compress_level=1)
        Path("/proc/self/clear_refs").write_text("5")
        before = most()
        thumbnail(stream.getvalue(), 480, "key")
        print(most() - before)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # Beside it stands one that is a third as wide and high, for a while twice.
    assert int(done.stdout) < 9400 * 9400 * (bytes_a_pixel + 1.5)


def test_a_thumbnail_of_what_is_no_picture_is_refused() -> None:
    with pytest.raises(NotAPicture, match="some key"):
        thumbnail(HTML, 16, "some key")


# What is stored


@pytest.mark.parametrize("suffix", ["a.png", "a.JPG", "a.html", "a", "a.png/", "a.png?size=1&b=../x", "%2e%2e/a"])
@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_the_extension_comes_from_the_bytes_whatever_the_address_says(store: Storage, kind: str, suffix: str) -> None:
    body = picture(kind)
    with ScriptedServer(lambda _: Answer(body=body, content_type="image/png")) as server:
        fetched = brought(store, server.url(f"/{suffix}"))
    assert fetched.picture.extension == kind.lower()
    assert fetched.bytes_fetched == len(body)
    assert store.read(fetched.picture.key) == body


def test_a_picture_that_is_said_to_be_a_page_is_taken(store: Storage) -> None:
    with ScriptedServer(lambda _: Answer(body=picture(), content_type="text/html")) as server:
        assert brought(store, server.url("/a.html")).picture.format == "png"


@pytest.mark.parametrize("body", NOT_PICTURES.values(), ids=list(NOT_PICTURES))
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_what_is_said_to_be_a_picture_and_is_none_is_not_stored(store: Storage, body: bytes) -> None:
    with ScriptedServer(lambda _: Answer(body=body, content_type="image/jpeg")) as server:
        error = why_not(store, server.url("/a.jpeg"))
        assert server.url("/a.jpeg") in str(error)
        assert len(server.requests) == 1
    assert isinstance(error, NotAPicture)


def test_two_addresses_of_one_picture_share_one_file(store: Storage) -> None:
    with ScriptedServer(lambda _: Answer(body=picture())) as server:
        first, second = (brought(store, server.url(path)) for path in ("/a.png", "/b/a.png"))
    assert first.picture == second.picture
    assert len([found for found in store.list() if found.key.endswith(".png")]) == 1


def test_two_addresses_with_the_same_last_part_are_two_pictures(store: Storage) -> None:
    bodies = {"/one/a.png": picture(shade=1), "/two/a.png": picture(shade=2)}
    with ScriptedServer(lambda request: Answer(body=bodies[request.path])) as server:
        fetched = {path: brought(store, server.url(path)) for path in bodies}
    assert {path: store.read(one.picture.key) for path, one in fetched.items()} == bodies


def test_a_storage_that_cannot_be_written_is_an_error_of_the_storage(storage: Storage) -> None:
    storage.write("pool", b"a file where a folder should be")
    with (
        ScriptedServer(lambda _: Answer(body=picture())) as server,
        ImageLibrary(storage, api_url=HERE, backoff=0) as library,
    ):
        assert isinstance(library.fetch(server.url()).exception(), StorageFailed)


# What servers answer


@pytest.mark.parametrize("status", [204, 304, 400, 401, 403, 404, 410, 418])
def test_a_server_that_says_no_is_believed_at_once(store: Storage, status: int) -> None:
    with ScriptedServer(lambda _: Answer(status, b"" if status in (204, 304) else picture())) as server:
        error = why_not(store, server.url("/a.png"))
        assert len(server.requests) == 1
        assert f"{server.url('/a.png')} answered {status}" in str(error)
    assert isinstance(error, Refused)


@pytest.mark.parametrize(("status", "requests"), [(500, 4), (502, 4), (503, 4), (504, 4), (408, 4), (507, 1), (429, 1)])
def test_a_server_in_trouble_is_unavailable(store: Storage, status: int, requests: int) -> None:
    with ScriptedServer(lambda _: Answer(status, picture())) as server:
        error = why_not(store, server.url("/a.png"))
        assert len(server.requests) == requests
        assert f"answered {status}" in str(error)
    assert isinstance(error, Unavailable)
    assert error.retryable


def of_the_third_time(trouble: Answer, good: bytes) -> Callable[[Request], Answer]:
    """Answer with trouble twice, and then with the picture."""
    times = iter([trouble, trouble])
    return lambda _: next(times, Answer(body=good))


CUT = Answer(body=picture()[:900], announced=len(picture()))
TROUBLE = {"500": Answer(500), "reset": Answer(reset=True), "a cut body": CUT, "half of nothing": Answer(announced=99)}


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=list(TROUBLE))
def test_a_server_that_recovers_is_asked_until_it_does(store: Storage, trouble: Answer) -> None:
    with ScriptedServer(of_the_third_time(trouble, picture())) as server:
        assert store.read(brought(store, server.url("/a.png")).picture.key) == picture()
        assert len(server.requests) == 3


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=list(TROUBLE))
def test_a_server_that_does_not_recover_is_unavailable_after_the_last_try(store: Storage, trouble: Answer) -> None:
    with ScriptedServer(lambda _: trouble) as server:
        error = why_not(store, server.url("/a.png"), retries=2)
        assert len(server.requests) == 3
    assert isinstance(error, Unavailable)


def test_a_body_without_a_length_that_is_cut_is_no_picture(store: Storage) -> None:
    with ScriptedServer(lambda _: Answer(body=picture("JPEG")[:-50], announced=None)) as server:
        assert isinstance(why_not(store, server.url("/a.jpg")), NotAPicture)


def test_a_body_in_chunks_is_put_together_and_one_that_breaks_off_is_noticed(store: Storage) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    body = picture()
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(body[n : n + 500]), body[n : n + 500]) for n in range(0, len(body), 500))
    with raw_server(lambda connection: connection.sendall(head + chunks + b"0\r\n\r\n")) as url:
        assert store.read(brought(store, url, retries=0).picture.key) == body
    with raw_server(lambda connection: connection.sendall(head + chunks)) as url:
        assert isinstance(why_not(store, url, retries=0), Unavailable)


def test_a_silent_server_is_given_up(store: Storage) -> None:
    with ScriptedServer(lambda _: Answer(body=picture(), silent=30)) as server:
        start = time.monotonic()
        error = why_not(store, server.url(), retries=1, timeout=Timeout(1, 0.1))
        assert time.monotonic() - start < 5
        assert len(server.requests) == 2
    assert isinstance(error, Unavailable)


def test_a_server_that_falls_silent_in_the_middle_is_given_up(store: Storage) -> None:
    gone = threading.Event()

    def stall(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + picture()[:100])
        gone.wait(10)

    with raw_server(stall) as url:
        error = why_not(store, url, retries=0, timeout=Timeout(1, 0.1))
        gone.set()
    assert isinstance(error, Unavailable)


def test_a_body_that_drips_for_ever_is_given_up(store: Storage) -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
        for _ in range(300):
            connection.sendall(b"x")
            time.sleep(0.01)

    start = time.monotonic()
    with raw_server(drip) as url:
        error = why_not(store, url, retries=0, limits=Limits(seconds=0.3))
        assert time.monotonic() - start < 1.5
    assert isinstance(error, Unavailable)


def test_a_body_without_end_is_not_read_to_its_end(store: Storage) -> None:
    def pour(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(2000):
            connection.sendall(b"x" * 100_000)

    with raw_server(pour) as url:
        error = why_not(store, url, retries=0, limits=Limits(bytes=100_000))
    assert isinstance(error, NotAPicture)
    assert "more than 100,000 bytes came (ROCKET_ASSETS_MAX_BYTES)" in str(error)


def test_an_answer_that_is_compressed_unasked_is_read_all_the_same(store: Storage) -> None:
    packed = zlib.compress(picture())
    with ScriptedServer(lambda _: Answer(body=packed, headers={"Content-Encoding": "deflate"})) as server:
        assert store.read(brought(store, server.url()).picture.key) == picture()
        assert server.requests[0].headers["accept-encoding"] == "identity"
    with ScriptedServer(lambda _: Answer(body=picture(), headers={"Content-Encoding": "gzip"})) as server:
        assert isinstance(why_not(store, server.url()), Refused)


def test_a_machine_that_cannot_look_up_a_name_just_now_fails_this_picture_and_no_other(
    store: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(socket, "getaddrinfo", exhausted)
    error = why_not(store, "http://pictures.example/a.png", retries=0)
    assert isinstance(error, Unavailable)
    assert "Too many open files" in str(error)


def test_nobody_there_is_unavailable(store: Storage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert isinstance(why_not(store, f"http://127.0.0.1:{port}/a.png"), Unavailable)


# Addresses and redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(store: Storage, status: int) -> None:
    answers = {"/a.png": Answer(status, headers={"Location": "/b/c.png"}), "/b/c.png": Answer(body=picture())}
    with ScriptedServer(lambda request: answers[request.path]) as server:
        assert brought(store, server.url("/a.png")).picture.format == "png"
        assert store.find(address_key(server.url("/a.png")))


NOWHERE = [
    "javascript:alert(1)",
    "file:///etc/passwd",
    "data:image/png;base64,iVBORw0KGgo=",
    "ftp://127.0.0.1/a.png",
    "http://",
    "https:///a.png",
    "http://?a.png",
    "http://[::1",
    "http://[::1]x/a.png",
    "http://127.0.0.1:99999/a.png",
    "http://127.0.0.1:port/a.png",
    "http://a..b/a.png",
    f"http://{'a' * 70}.example/a.png",
    "http://a b/a.png",
    "http://\u2603.example/a.png",
]


@pytest.mark.parametrize(
    "url", [*NOWHERE, "", " ", "/a.png", "a.png", "//a/b.png", "http://\x00/", "\ud800"], ids=ascii
)
def test_an_address_that_leads_nowhere_is_refused(store: Storage, url: str) -> None:
    assert isinstance(why_not(store, url), Refused)


@pytest.mark.parametrize("location", [*NOWHERE[:7], *NOWHERE[9:12], "/again", ""], ids=ascii)
def test_a_redirect_that_leads_nowhere_is_refused(store: Storage, location: str) -> None:
    with ScriptedServer(lambda _: Answer(302, headers={"Location": location})) as server:
        error = why_not(store, server.url("/again"))
        assert server.url("/again") in str(error)
        assert len(server.requests) <= 6
    assert isinstance(error, Refused)


def test_no_picture_host_ever_gets_credentials(store: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password secret\ndefault login user password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("ROCKET_ASSETS_API_TOKEN", "secret")
    answers = {"/a": Answer(302, headers={"Location": "/b"}), "/b": Answer(body=picture())}
    with ScriptedServer(lambda request: answers[request.path]) as server:
        brought(store, server.url("/a"))
        brought(store, server.url("/b").replace("http://", "http://user:secret@"))
        assert len(server.requests) == 3
        for request in server.requests:
            assert not {"authorization", "cookie", "proxy-authorization"} & request.headers.keys()
            assert "secret" not in str(request)


# Each address once, many at a time


def test_an_address_that_700_launches_share_is_asked_for_once(store: Storage) -> None:
    with (
        ScriptedServer(lambda _: Answer(body=picture())) as server,
        ImageLibrary(store, api_url=HERE, backoff=0) as library,
    ):
        fetches = [library.fetch(server.url("/a.png")) for _ in range(700)]
        assert len({fetch.result().picture for fetch in fetches}) == 1
        assert len(server.requests) == 1


def test_pictures_are_fetched_in_parallel(store: Storage) -> None:
    bodies = {f"{n}.png": picture(shade=n) for n in range(16)}
    with LibraryServer(picture=bodies.get, latency=0.1) as server, ImageLibrary(store, api_url=HERE) as library:
        start = time.monotonic()
        fetches = [library.fetch(f"{server.base_url}{MEDIA}{file}") for file in bodies]
        assert {fetch.result().picture.sha256 for fetch in fetches} == {inspect(b, "").sha256 for b in bodies.values()}
        assert time.monotonic() - start < 1.5
        assert len(server.picture_requests) == 16


def test_so_many_pictures_are_on_the_line_at_a_time_and_no_more(store: Storage) -> None:
    there, most, counting = 0, 0, threading.Lock()

    def script(_: Request) -> Answer:
        nonlocal there, most
        with counting:
            there += 1
            most = max(most, there)
        time.sleep(0.05)
        with counting:
            there -= 1
        return Answer(404)

    with ScriptedServer(script) as server, ImageLibrary(store, api_url=HERE, workers=3, backoff=0) as library:
        assert all(fetch.exception() for fetch in [library.fetch(server.url(f"/{n}")) for n in range(20)])
    assert most == 3


def test_a_library_that_is_closed_begins_nothing_more(store: Storage) -> None:
    """What stands at the line already does not go on it either."""
    with ScriptedServer(lambda _: Answer(404, silent=0.5)) as server:
        with ImageLibrary(store, api_url=HERE, workers=2, backoff=0) as library:
            fetches = [library.fetch(server.url(f"/{n}")) for n in range(50)]
            while len(server.requests) < 2 or not all(fetch.running() for fetch in fetches[:4]):
                time.sleep(0.01)
        assert len(server.requests) == 2
        assert fetches[-1].cancelled()
        assert Counter(type(fetch.exception()) for fetch in fetches[:4]) == {Refused: 2, Unavailable: 2}


# Whether a picture has changed


class Changing:
    """A server's script that keeps one picture, and knows conditional requests."""

    def __init__(self, body: bytes, *, etag: bool = True, modified: str | None = None) -> None:
        self.body, self.etag, self.modified = body, etag, modified

    def __call__(self, request: Request) -> Answer:
        tag = f'"{zlib.crc32(self.body)}"'
        headers = ({"ETag": tag} if self.etag else {}) | ({"Last-Modified": self.modified} if self.modified else {})
        if request.headers.get("if-none-match") == tag or (
            not self.etag and self.modified and request.headers.get("if-modified-since") == self.modified
        ):
            return Answer(304, headers=headers)
        return Answer(body=self.body, headers=headers)


def conditions(request: Request) -> set[str]:
    return {"if-none-match", "if-modified-since"} & request.headers.keys()


SUNDAY = "Sun, 01 Dec 2024 00:00:00 GMT"


@pytest.mark.parametrize(
    ("script", "asked"),
    [
        (Changing(picture()), {"if-none-match"}),
        (Changing(picture(), etag=False, modified=SUNDAY), {"if-modified-since"}),
        (Changing(picture(), modified=SUNDAY), {"if-none-match", "if-modified-since"}),
    ],
    ids=["ETag", "Last-Modified", "both"],
)
def test_a_later_run_asks_whether_a_picture_has_changed(store: Storage, script: Changing, asked: set[str]) -> None:
    with ScriptedServer(script) as server:
        first = brought(store, server.url("/a.png"))
        before = list(store.list())
        second = brought(store, server.url("/a.png"))
        assert [conditions(request) for request in server.requests] == [set(), asked]
    assert second == Fetched(first.picture, bytes_fetched=0)
    assert list(store.list()) == before


@pytest.mark.parametrize("preview", [None, "AAAA" * 300], ids=["without a preview", "with a larger one"])
def test_a_record_of_an_earlier_version_gets_its_preview_when_its_picture_is_asked_for(
    store: Storage, preview: str | None
) -> None:
    with ScriptedServer(Changing(picture())) as server:
        fetched = brought(store, server.url("/a.png")).picture
        key = address_key(server.url("/a.png"))
        record = store.read(key)
        document = {name: value for name, value in unseal(record, key).items() if name != "preview"}
        store.put(key, seal(document | ({"preview": preview} if preview else {})))
        assert brought(store, server.url("/a.png")) == Fetched(fetched, bytes_fetched=0)
    assert store.read(key) == record


def test_without_a_validator_the_picture_is_fetched_again_and_nothing_is_written(store: Storage) -> None:
    with ScriptedServer(Changing(picture(), etag=False)) as server:
        brought(store, server.url("/a.png"))
        before = list(store.list())
        assert brought(store, server.url("/a.png")).bytes_fetched == len(picture())
    assert list(store.list()) == before


def test_a_changed_picture_replaces_what_is_known_of_its_address_and_the_old_one_stays_in_the_pool(
    store: Storage,
) -> None:
    script = Changing(picture(shade=1))
    with ScriptedServer(script) as server:
        old = brought(store, server.url("/a.png"))
        script.body = picture("JPEG", shade=2)
        new = brought(store, server.url("/a.png"))
        again = brought(store, server.url("/a.png"))
        assert len(server.requests) == 3
    assert store.read(old.picture.key) == picture(shade=1)
    assert store.read(new.picture.key) == picture("JPEG", shade=2)
    assert again == Fetched(new.picture, bytes_fetched=0)


def gone(store: Storage, fetched: Picture, address: str) -> None:
    store.delete([fetched.key])


def shorter(store: Storage, fetched: Picture, address: str) -> None:
    store.write(fetched.key, store.read(fetched.key)[:-1])


def flipped(store: Storage, fetched: Picture, address: str) -> None:
    store.write(fetched.key, with_a_flipped_bit(store.read(fetched.key), 100))


def record_gone(store: Storage, fetched: Picture, address: str) -> None:
    store.delete([address])


def record_flipped(store: Storage, fetched: Picture, address: str) -> None:
    store.write(address, with_a_flipped_bit(store.read(address), 20))


def record_of_another_version(store: Storage, fetched: Picture, address: str) -> None:
    store.write(address, seal(unseal(store.read(address), address) | {"when": "2024-12-01"}))


def record_of_something_else(store: Storage, fetched: Picture, address: str) -> None:
    store.write(address, seal({"day": "2024-12-01"}))


@pytest.mark.parametrize(
    "damage",
    [gone, shorter, flipped, record_gone, record_flipped, record_of_another_version, record_of_something_else],
    ids=lambda damage: damage.__name__,
)
def test_what_is_missing_or_damaged_is_fetched_anew_without_a_condition_and_mended(
    store: Storage, damage: Callable[[Storage, Picture, str], None]
) -> None:
    with ScriptedServer(Changing(picture(), modified=SUNDAY)) as server:
        address = address_key(server.url("/a.png"))
        first = brought(store, server.url("/a.png"))
        record = store.read(address)
        damage(store, first.picture, address)
        assert brought(store, server.url("/a.png")) == first
        assert conditions(server.requests[-1]) == set()
    assert store.read(first.picture.key) == picture()
    assert store.read(address) == record


@pytest.mark.parametrize("worse", [Answer(404), Answer(500), Answer(body=HTML), Answer(body=b"")], ids=str)
def test_what_is_known_of_an_address_survives_a_worse_answer(store: Storage, worse: Answer) -> None:
    answers = [Answer(body=picture(), headers={"ETag": '"1"'})]
    with ScriptedServer(lambda _: answers[-1]) as server:
        first = brought(store, server.url("/a.png"))
        before = {found.key: store.read(found.key) for found in store.list()}
        answers.append(worse)
        why_not(store, server.url("/a.png"))
        assert {found.key: store.read(found.key) for found in store.list()} == before
        answers.append(Answer(304))
        assert brought(store, server.url("/a.png")) == Fetched(first.picture, bytes_fetched=0)
