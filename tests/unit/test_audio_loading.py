"""Recordings of every format, rate and number of channels become the waveform they hold; what is none is told."""

from __future__ import annotations

import base64
import http.server
import io
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from audio_reference import sound

from gpux.audio import loading
from gpux.audio.loading import open_audio
from gpux.errors import InvalidInput, NetworkFailed, OfflineMiss

RATE = 16000


def encoded(samples, rate=RATE, *, kind="WAV", subtype="FLOAT") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


@pytest.mark.parametrize(
    ("kind", "subtype", "tolerance"),
    [
        ("WAV", "PCM_U8", 1 / 128),
        ("WAV", "PCM_16", 1 / 32768),
        ("WAV", "PCM_24", 1 / 2**23),
        ("WAV", "PCM_32", 1e-7),
        ("WAV", "FLOAT", 0),
        ("WAV", "DOUBLE", 0),
        ("WAV", "ULAW", 0.02),
        ("WAV", "ALAW", 0.02),
        ("FLAC", "PCM_16", 1 / 32768),
        ("FLAC", "PCM_24", 1 / 2**23),
        ("OGG", "VORBIS", 0.05),
        ("MP3", "MPEG_LAYER_III", 0.05),
    ],
)
def test_formats(tmp_path, kind, subtype, tolerance):
    wave = sound(1.5, RATE)
    data = encoded(wave, kind=kind, subtype=subtype)
    path = tmp_path / f"a.{kind.lower()}"
    path.write_bytes(data)
    found = open_audio(path, rate=RATE)
    assert found.dtype == np.float32
    assert found.shape == wave.shape
    # A lossy coder keeps what is heard, not each sample.
    error = np.abs(found - wave).max() if tolerance < 0.03 else np.sqrt(np.mean((found - wave) ** 2))
    assert error <= tolerance
    uri = f"data:audio/{kind.lower()};base64,{base64.b64encode(data).decode()}"
    for other in (str(path), data, bytearray(data), uri, base64.b64encode(data).decode()):
        np.testing.assert_array_equal(open_audio(other, rate=RATE), found)


@pytest.mark.parametrize("given", [8000, 11025, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("rate", [16000, 48000])
def test_rates(given, rate):
    wave = sound(20.0 if given == 44100 else 1.0, given)  # one that takes several blocks
    found = open_audio(encoded(wave, given), rate=rate)
    expected = soxr.resample(wave, given, rate, quality="HQ")
    assert len(found) == -(-len(wave) * rate // given)
    shorter = min(len(found), len(expected))
    np.testing.assert_allclose(found[:shorter], expected[:shorter], atol=2e-6)
    np.testing.assert_array_equal(open_audio({"raw": wave, "sampling_rate": given}, rate=rate), found)


@pytest.mark.parametrize("channels", [2, 6, 8])
def test_channels_are_averaged(channels):
    waves = np.stack([sound(0.5, RATE, seed) for seed in range(channels)])
    expected = waves.mean(axis=0)
    for given in (encoded(waves.T), waves, waves.T, {"array": waves, "sampling_rate": RATE}):
        np.testing.assert_allclose(open_audio(given, rate=RATE), expected, atol=1e-6)
    six = waves[:6]
    surround = encoded(six.T, 44100, kind="FLAC", subtype="PCM_24")
    alone = encoded(six.mean(axis=0), 44100, kind="FLAC", subtype="PCM_24")
    np.testing.assert_allclose(open_audio(surround, rate=RATE), open_audio(alone, rate=RATE), atol=1e-6)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([0, 16384, -32768], np.int16), [0, 0.5, -1]),
        (np.array([0, 2**30, -(2**31)], np.int32), [0, 0.5, -1]),
        (np.array([0, 64, -128], np.int8), [0, 0.5, -1]),
        (np.array([128, 192, 0], np.uint8), [0, 0.5, -1]),
        (np.array([0, 0.5, -1], np.float64), [0, 0.5, -1]),
        (np.array([0, 0.5, -1], np.float16), [0, 0.5, -1]),
        (np.array([0, 1.5, -3], np.float32), [0, 1.5, -3]),  # louder than full scale is heard as it is
    ],
)
def test_arrays(array, expected):
    assert open_audio(array, rate=RATE).tolist() == expected
    assert open_audio({"array": array, "sampling_rate": RATE, "path": None}, rate=RATE).tolist() == expected


def test_a_list_in_json_holds_samples_as_they_are():
    assert open_audio({"raw": [0, 1, -0.5], "sampling_rate": 16000.0}, rate=RATE).tolist() == [0, 1, -0.5]
    assert open_audio({"raw": [1, 0, -1], "sampling_rate": RATE}, rate=RATE).tolist() == [1, 0, -1]


def test_silence_is_a_recording():
    assert not open_audio(encoded(np.zeros(400, np.float32)), rate=RATE).any()


WAVE = encoded(sound(0.5, RATE), subtype="PCM_16")
FLAC = encoded(sound(2.0, RATE), kind="FLAC", subtype="PCM_16")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "input 3 is None, not a recording"),
        (5, "input 3 is int, not a recording"),
        ("I like this film", "input 3 is a text that names no file: `I like this film`"),
        ("\0\x1b[2J", "names no file: `��"),
        ("missing.wav", "names no file: `missing.wav`"),
        (Path("missing.wav"), r"\(`missing.wav`\) is missing"),
        ("I like it. " * 100, "neither a file nor base64"),
        ("data:audio/wav,RIFF", "a data URL without base64"),
        ("data:audio/wav;base64,!!!!", "neither a file nor base64"),
        (b"", "no recording that can be read"),
        (b"a text of no use to an ear " * 20, "no recording that can be read"),
        (FLAC[: len(FLAC) // 2], "cut off|no recording that can be read"),
        (FLAC[:40], "no recording that can be read|empty"),
        (encoded(np.zeros(0, np.float32)), "an empty recording"),
        (np.zeros(0, np.float32), "an empty recording"),
        ({"array": np.zeros((2, 0)), "sampling_rate": RATE}, "an empty recording"),
        (np.array([0, np.nan], np.float32), "NaN or infinite"),
        (np.array([0, np.inf]), "NaN or infinite"),
        (encoded(np.array([0, -np.inf], np.float32)), "NaN or infinite"),
        (np.array([0, 1e39]), "NaN or infinite"),
        (np.zeros((4, 4)), "whose channels cannot be told"),
        (np.zeros((100, 200)), "whose channels cannot be told"),
        (np.zeros((1, 2, 3)), "an array of 3 dimensions"),
        (np.zeros(9, np.int64), "samples of int64"),
        (np.zeros(9, bool), "samples of bool"),
        (np.zeros(9, complex), "samples of complex128"),
        ({"array": np.array(["a"]), "sampling_rate": RATE}, "samples of <U1"),
        ({"raw": [[1], [1, 2]], "sampling_rate": RATE}, "samples of different lengths"),
        ({"raw": np.zeros(9)}, "without one of `raw` and `array`, and `sampling_rate`"),
        ({"sampling_rate": RATE}, "without one of `raw` and `array`, and `sampling_rate`"),
        ({"raw": np.zeros(9), "sampling_rate": 0}, "`sampling_rate` = 0"),
        ({"raw": np.zeros(9), "sampling_rate": "16000"}, "`sampling_rate` = '16000'"),
        ({"raw": np.zeros(9), "sampling_rate": float("nan")}, "`sampling_rate` = nan"),
        ({"raw": np.zeros(9), "sampling_rate": True}, "`sampling_rate` = True"),
        ({"raw": np.zeros(9), "sampling_rate": 999}, "999 samples per second, which no recording has"),
        (encoded(np.zeros(9), 2**23), "8388608 samples per second, which no recording has"),
        (np.broadcast_to(np.float32(0), (6 * 3600 * RATE + 1,)), "longer than 6 hours"),
    ],
    ids=lambda value: str(value)[:24].replace("\0", "0") if isinstance(value, str) else None,
)  # fmt: skip
def test_what_is_no_recording_is_told(given, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        open_audio(given, rate=RATE, position=3)
    assert caught.value.hint
    assert str(caught.value).startswith("input 3")


def test_a_folder_and_a_file_that_may_not_be_read(tmp_path):
    with pytest.raises(InvalidInput, match="is a folder"):
        open_audio(tmp_path, rate=RATE)
    if hasattr(os, "mkfifo"):  # a pipe would be waited for
        os.mkfifo(tmp_path / "pipe.wav")
        with pytest.raises(InvalidInput, match="is no file"):
            open_audio(tmp_path / "pipe.wav", rate=RATE)


def test_a_header_that_promises_too_much_is_cut_off():
    cut = WAVE[: len(WAVE) // 2]
    found = open_audio(cut, rate=RATE)  # libsndfile counts what a WAV file has, not what it promises
    np.testing.assert_array_equal(found, open_audio(WAVE, rate=RATE)[: len(found)])


def test_a_long_recording_is_held_once(tmp_path):
    """An hour of 44.1 kHz stereo is 1.3 GB as float32; read whole and resampled it would be held twice."""
    path = tmp_path / "hour.wav"
    seconds = 600
    block = np.tile(np.stack([sound(1.0, 44100), sound(1.0, 44100, 1)], axis=1), (10, 1))
    with soundfile.SoundFile(path, "w", 44100, 2, "PCM_16") as file:
        for _ in range(seconds // 10):
            file.write(block)
    code = (
        "import resource, sys; from gpux.audio.loading import open_audio; import numpy, soundfile, soxr\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"wave = open_audio({str(path)!r}, rate=16000)\n"
        "print(len(wave), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)"
    )
    if sys.platform != "linux":
        pytest.skip("the peak is read as Linux gives it")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    length, grown = map(int, done.stdout.split())
    assert length == seconds * RATE
    assert grown < 2.5 * length * 4 + (
        16 << 20
    )  # the parts and the whole; all of it at 44.1 kHz stereo is 5.5 times


@pytest.fixture
def server():
    """A recording, a page and an error at addresses on loopback."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = {"/a.wav": WAVE, "/page": b"<html>" * 20}.get(self.path)
            self.send_response(200 if body else 404)
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_):
            pass

    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{made.server_port}"
    made.shutdown()
    thread.join()
    made.server_close()


def test_urls_are_fetched_where_that_was_allowed(server, monkeypatch):
    with pytest.raises(InvalidInput, match="fetching them is off") as caught:
        open_audio(f"{server}/a.wav", rate=RATE)
    assert "GPUX_ALLOW_URLS=1" in caught.value.hint
    monkeypatch.setenv("GPUX_ALLOW_URLS", "1")
    np.testing.assert_array_equal(open_audio(f"{server}/a.wav", rate=RATE), open_audio(WAVE, rate=RATE))
    with pytest.raises(InvalidInput, match="no recording that can be read"):
        open_audio(f"{server}/page", rate=RATE)
    with pytest.raises(NetworkFailed, match="404"):
        open_audio(f"{server}/gone.wav", rate=RATE)
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(NetworkFailed, match="cannot be fetched"):
        open_audio(f"http://127.0.0.1:{port}/a.wav", rate=RATE)
    monkeypatch.setenv("GPUX_OFFLINE", "1")
    with pytest.raises(OfflineMiss):
        open_audio(f"{server}/a.wav", rate=RATE)


@pytest.mark.parametrize("module", ["soundfile", "soxr"])
def test_a_missing_library_is_named_with_the_line_to_type(tmp_path, module):
    (tmp_path / f"{module}.py").write_text("raise ModuleNotFoundError(\"No module named 'it'\", name='it')\n")
    (tmp_path / "a.wav").write_bytes(encoded(sound(0.1, 8000), 8000))
    code = (
        "import sys; from gpux.audio.loading import open_audio; from gpux.errors import GpuxError\n"
        "try: open_audio('a.wav', rate=16000)\n"
        "except GpuxError as error: print(error.message, '|', error.hint)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert f"`{module}`" in done.stdout
    assert done.stdout.rstrip().endswith("| pip install 'gpux[audio]'")


def test_the_limit_is_told_in_hours():
    assert loading.LONGEST == 6 * 3600
