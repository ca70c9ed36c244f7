"""Whatever stands for a picture is read as Pillow and transformers read it, or refused with a word on what is taken."""

from __future__ import annotations

import base64
import os
import threading
import warnings
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile
from sklearn.datasets import load_sample_image
from transformers.image_utils import load_image

from gpux.errors import InvalidInput, InvalidSetting, NetworkFailed, OfflineMiss
from gpux.images import remote
from gpux.images.loading import ENDINGS, open_image

PHOTOGRAPH = Image.fromarray(load_sample_image("flower.jpg")).resize((160, 120))


def encoded(image, kind="PNG", **options):
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def theirs(data):
    """As the pipelines of transformers load a picture that they are given as base64."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return load_image(base64.b64encode(data).decode())


def same(found, expected):
    assert found.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(found), np.asarray(expected), strict=True)


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(PHOTOGRAPH, "JPEG", exif=exif)


GREY = PHOTOGRAPH.convert("L")
CLEAR = PHOTOGRAPH.copy()
CLEAR.putalpha(GREY)
FILES = {
    "jpeg": encoded(PHOTOGRAPH, "JPEG"),
    "progressive": encoded(PHOTOGRAPH, "JPEG", progressive=True),
    "cmyk": encoded(PHOTOGRAPH.convert("CMYK"), "JPEG"),
    "grey jpeg": encoded(GREY, "JPEG"),
    "png": encoded(PHOTOGRAPH),
    "grey": encoded(GREY),
    "grey and clear": encoded(CLEAR.convert("LA")),
    "clear": encoded(CLEAR),
    "one bit": encoded(PHOTOGRAPH.convert("1")),
    "palette": encoded(PHOTOGRAPH.quantize(50)),
    "palette with a clear colour": encoded(PHOTOGRAPH.quantize(50), transparency=3),
    "palette of half clear colours": encoded(PHOTOGRAPH.quantize(50), transparency=bytes(range(50))),
    "webp": encoded(PHOTOGRAPH, "WEBP"),
    "bmp": encoded(PHOTOGRAPH, "BMP"),
    "tiff": encoded(PHOTOGRAPH, "TIFF"),
    "cmyk tiff": encoded(PHOTOGRAPH.convert("CMYK"), "TIFF"),
    "ppm": encoded(PHOTOGRAPH, "PPM"),
    "gif": encoded(PHOTOGRAPH, "GIF"),
    "one pixel": encoded(Image.new("RGB", (1, 1), (9, 8, 7))),
    **{
        f"animated {kind}": encoded(
            PHOTOGRAPH, kind, save_all=True, append_images=[Image.new("RGB", (160, 120))]
        )
        for kind in ("GIF", "WEBP", "PNG")
    },
    **{f"turned {orientation}": turned(orientation) for orientation in range(1, 9)},
}


@pytest.mark.parametrize("name", FILES)
def test_files_are_read_as_transformers_reads_them(name):
    same(open_image(FILES[name]), theirs(FILES[name]))


def test_every_way_to_give_a_picture(tmp_path, monkeypatch):
    data = FILES["turned 6"]
    expected = theirs(data)
    assert expected.size == (120, 160)  # which the stored one is not
    path = tmp_path / "ein Bild.JPG"
    path.write_bytes(data)
    text = base64.b64encode(data).decode()
    wrapped = "\n".join(text[start : start + 76] for start in range(0, len(text), 76))
    monkeypatch.chdir(tmp_path)
    ways = [path, str(path), path.name, data, bytearray(data), memoryview(data), text, wrapped]
    for way in [*ways, f"data:image/jpeg;base64,{text}", f"DATA:;base64,{text}", Image.open(path)]:
        same(open_image(way), expected)


def test_every_ending_is_of_a_format_that_is_read(tmp_path):
    for ending in ENDINGS:
        path = tmp_path / f"picture{ending}"
        try:
            PHOTOGRAPH.save(path)
        except (ValueError, OSError):
            assert ending == ".avif", "only AVIF is left out of some builds of Pillow"
            continue
        assert open_image(path).size == PHOTOGRAPH.size


def test_sixteen_bits_are_scaled_to_eight():
    """Where Pillow's own conversion to RGB, and so transformers, makes everything above 255 white."""
    deep = np.arange(160 * 120, dtype=np.uint16).reshape(120, 160) * 3
    expected = np.repeat((deep // 256).astype(np.uint8)[..., None], 3, axis=2)
    for kind in ("PNG", "TIFF"):
        np.testing.assert_array_equal(open_image(encoded(Image.fromarray(deep), kind)), expected)
    np.testing.assert_array_equal(open_image(Image.fromarray(deep.astype(np.int32))), expected)
    np.testing.assert_array_equal(open_image(deep), expected)
    np.testing.assert_array_equal(open_image(deep.astype(">u2")), expected)
    floats = open_image(encoded(Image.fromarray((deep / 65535).astype(np.float32)), "TIFF"))
    assert np.abs(np.asarray(floats, np.int16) - expected).max() <= 1


def test_arrays():
    pixels = np.asarray(PHOTOGRAPH)
    grey = np.asarray(GREY)
    for array in (pixels, pixels.transpose(2, 0, 1), np.dstack([pixels, grey]), pixels.astype(np.int64)):
        np.testing.assert_array_equal(open_image(array), pixels)
    for array in (pixels / 255, (pixels / 255).astype(np.float32), pixels.astype(np.float32)):
        np.testing.assert_array_equal(open_image(array), pixels)
    for array in (grey, grey[..., None], grey[None], grey / 255):
        np.testing.assert_array_equal(open_image(array), np.dstack([grey] * 3))
    np.testing.assert_array_equal(open_image(grey > 100), np.dstack([np.where(grey > 100, 255, 0)] * 3))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(4), r"shape \[4\]"),
        (np.zeros((2, 3, 4, 5)), r"shape \[2, 3, 4, 5\]"),
        (np.zeros((7, 5, 5)), r"shape \[7, 5, 5\]"),
        (np.zeros((0, 5)), "no pixels"),
        (np.full((3, 3), np.nan), "from nan"),
        (np.full((3, 3), np.inf), "from inf"),
        (np.full((3, 3), 256), "from 256"),
        (np.full((3, 3), -0.5), "from -0.5"),
        (np.zeros((3, 3), complex), "array of complex"),
        (np.array(["x"]), "shape"),
        (np.broadcast_to(np.uint8(0), (20_000, 20_000)), "400,000,000 pixels"),
    ],
)
def test_arrays_that_are_no_picture(array, message):
    with pytest.raises(InvalidInput, match=f"input 2 .*{message}") as caught:
        open_image(array, position=2)
    assert caught.value.hint


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_cut_off_files_are_errors_not_half_pictures(kind):
    noise = np.random.default_rng(0).integers(0, 256, (150, 200, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    for length in (len(data) // 2, len(data) - 200, 24):
        with pytest.raises(
            InvalidInput, match=f"input 1 is a damaged, incomplete or unusual {kind} file"
        ) as caught:
            open_image(data[:length], position=1)
        assert caught.value.details["position"] == 1
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 0xFF
    if kind == "PNG":  # alone with a checksum
        with pytest.raises(InvalidInput, match="damaged"):
            open_image(bytes(flipped))


def test_bombs_are_refused_before_they_are_decoded(monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bomb = encoded(Image.new("1", (20_000, 20_000)))
    assert len(bomb) < 100_000
    with pytest.raises(
        InvalidInput, match=r"20000×20000 = 400,000,000 pixels, more than 178,956,970"
    ) as caught:
        open_image(bomb)
    assert "GPUX_MAX_PIXELS=400000000" in caught.value.hint
    monkeypatch.setenv("GPUX_MAX_PIXELS", str(160 * 120 - 1))
    for given in (FILES["jpeg"], PHOTOGRAPH, np.asarray(PHOTOGRAPH)):
        with pytest.raises(InvalidInput, match="160×120 = 19,200 pixels, more than 19,199"):
            open_image(given)
    monkeypatch.setenv("GPUX_MAX_PIXELS", str(160 * 120))
    assert open_image(FILES["jpeg"]).size == (160, 120)
    monkeypatch.setenv("GPUX_MAX_PIXELS", "many")
    with pytest.raises(InvalidSetting, match="GPUX_MAX_PIXELS"):
        open_image(FILES["jpeg"])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"", "is empty"),
        (b"A film about a dog", "is no picture"),
        (b"%PDF-1.7 and so on and so on", "is no picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is no picture"),
        ("A film about a dog", "is no file"),
        ("", "is not a picture"),
        ("a\0b", "is not a picture"),
        ("~nobody-of-this-name/x.jpg", "cannot be read"),
        ("x" * 5000, "is no picture"),
        (base64.b64encode(b"text" * 100).decode(), "is no picture"),
        ("data:text/plain,hello", "data URL without base64"),
        ("data:image/png;base64,%%%%", "base64 is damaged"),
        ("data:image/png;base64,", "is empty"),
        (None, "is None, not a picture"),
        (3, "is int, not a picture"),
        ({"text": "a dog"}, "is dict, not a picture"),
    ],
)
def test_what_is_no_picture(value, message):
    with pytest.raises(InvalidInput, match=f"input 7.* {message}") as caught:
        open_image(value, position=7)
    assert any(word in caught.value.hint for word in ("picture", "path", "base64"))


def test_paths_that_hold_no_picture(tmp_path):
    with pytest.raises(InvalidInput, match="is a folder") as caught:
        open_image(tmp_path)
    assert "glob" in caught.value.hint
    with pytest.raises(InvalidInput, match="is no file"):
        open_image(str(tmp_path / "missing.jpg"))
    text = tmp_path / "notes.jpg"
    text.write_text("no picture")
    with pytest.raises(InvalidInput, match=r"notes\.jpg`\) is no picture"):
        open_image(text, position=0)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.jpg")
        with pytest.raises(InvalidInput, match="is no file"):
            open_image(tmp_path / "pipe.jpg")


def test_a_file_that_may_not_be_read(tmp_path):
    path = tmp_path / "secret.png"
    path.write_bytes(FILES["png"])
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read every file")
    with pytest.raises(InvalidInput, match="may not be read") as caught:
        open_image(path)
    assert caught.value.hint == f"chmod +r {path}"


def test_a_closed_picture(tmp_path):
    image = Image.open(BytesIO(FILES["png"]))
    image.close()
    with pytest.raises(InvalidInput, match="damaged or closed"):
        open_image(image)


class Pictures(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/flower.png")
        elif self.path == "/leave":
            self.send_response(302)
            self.send_header("Location", "file:///etc/hostname")
        elif self.path in {"/404", "/503"}:
            self.send_response(int(self.path[1:]))
        else:
            self.send_response(200)
        self.end_headers()
        if self.path == "/flower.png":
            self.wfile.write(FILES["png"])
        if self.path == "/endless":
            piece = bytes(1 << 20)
            with suppress(OSError):  # the other side leaves
                while True:
                    self.wfile.write(piece)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def address():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pictures)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def allowed(monkeypatch):
    for name in ("GPUX_OFFLINE", "HF_HUB_OFFLINE", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GPUX_ALLOW_URLS", "1")


def test_addresses_are_fetched_only_where_allowed(address, allowed, monkeypatch):
    url = f"{address}/flower.png"
    same(open_image(url), PHOTOGRAPH)
    same(open_image(f"{address}/moved"), PHOTOGRAPH)
    with pytest.raises(InvalidInput, match="not fetched unless allowed"):
        open_image(url, allow_urls=False)
    monkeypatch.delenv("GPUX_ALLOW_URLS")
    with pytest.raises(InvalidInput, match="not fetched unless allowed") as caught:
        open_image(url, position=3)
    assert "GPUX_ALLOW_URLS=1" in caught.value.hint
    same(open_image(url, allow_urls=True), PHOTOGRAPH)
    monkeypatch.setenv("GPUX_OFFLINE", "1")
    with pytest.raises(OfflineMiss, match="offline"):
        open_image(url, allow_urls=True)


@pytest.mark.parametrize(
    ("path", "kind", "message"),
    [
        ("/404", InvalidInput, "answered 404"),
        ("/503", NetworkFailed, "answered 503"),
        ("/leave", InvalidInput, "answered 302"),
        ("/nothing", InvalidInput, "is empty"),
    ],
)
def test_addresses_that_give_no_picture(address, allowed, path, kind, message):
    with pytest.raises(kind, match=message):
        open_image(f"{address}{path}")


def test_a_file_larger_than_is_fetched(address, allowed):
    with pytest.raises(InvalidInput, match="larger than 3 MiB"):
        remote.fetch(f"{address}/endless", largest=3 << 20)


def test_an_address_out_of_reach(allowed):
    with pytest.raises(NetworkFailed, match="out of reach"):
        open_image("http://127.0.0.1:9/x.jpg")
    with pytest.raises(NetworkFailed, match="out of reach"):
        open_image("http://[::bad/x.jpg")


def test_a_path_that_looks_like_an_address_is_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("http_flower.png").write_bytes(FILES["png"])
    same(open_image("http_flower.png"), PHOTOGRAPH)


@pytest.mark.parametrize(
    "name", ["jpeg", "turned 6", "png", "palette", "webp", "gif", "bmp", "tiff", "animated PNG"]
)
def test_files_with_altered_bytes_are_pictures_or_errors_of_ours(name):
    chance = np.random.default_rng(0)
    data = np.frombuffer(FILES[name], np.uint8)
    for _ in range(60):
        altered = data.copy()
        places = chance.integers(0, min(len(data), chance.choice([40, 400, len(data)])), 3)
        altered[places] = chance.integers(0, 256, 3)
        with suppress(InvalidInput):
            assert open_image(altered.tobytes(), position=0).mode == "RGB"


def test_a_damaged_orientation_leaves_the_picture_as_it_is():
    data = bytearray(turned(6))
    start = data.index(b"Exif\0\0") + 6
    data[start : start + 8] = b"garbage!"
    same(open_image(bytes(data)), Image.open(BytesIO(FILES["jpeg"])))
