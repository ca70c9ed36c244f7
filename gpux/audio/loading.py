"""A recording of any format, rate and number of channels → one waveform at the model's rate; knows no model.

libsndfile decodes block by block and soxr resamples what it gives, so that little more than the waveform itself is held.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpux.audio import sources
from gpux.errors import ExtraMissing, InvalidInput

if TYPE_CHECKING:
    import numpy as np

LONGEST = 6 * 3600
"""Seconds of a recording; six hours at 16 kHz are 1.4 GB as float32."""

RATES = (1000, 1 << 22)
"""Least and most samples per second that are resampled; a header that says 1 makes hours of a few kilobytes."""

_BLOCK = 1 << 18  # samples of all channels together
_CHANNELS = 64  # more on the shorter axis of an array are no channels
_ENDLESS = 2**62  # frames that libsndfile tells of a stream that does not say
_EXACT = {"WAV", "WAVEX", "FLAC", "AIFF", "AU", "W64", "CAF"}  # formats whose header counts the frames


def open_audio(value: Any, *, rate: int, position: int = 0) -> np.ndarray:
    """The waveform of one recording.

    Args:
        value: A path, URL (where ``GPUX_ALLOW_URLS`` allows it), data URL, base64, the bytes of a file, an array of samples
            at ``rate``, or ``{"array" or "raw": samples, "sampling_rate": hertz}``. An array has the shape [samples],
            [channels, samples] or [samples, channels]; the shorter axis is that of the channels. Floats are taken as
            they are, int16, int32, int8 and uint8 scaled to −1 … 1.
        rate: Samples per second of the waveform.
        position: Where it stood in the caller's list, for the error.

    Returns:
        float32 [samples], the mean of the channels.

    Raises:
        InvalidInput: It is no recording, damaged, empty, longer than :data:`LONGEST`, or has samples that are no numbers.
        ExtraMissing: soundfile or soxr is not installed.
        NetworkFailed, OfflineMiss: It is a URL that cannot be fetched.
    """
    import numpy as np

    parts = list(stream_audio(value, rate=rate, position=position))
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


def stream_audio(value: Any, *, rate: int, position: int = 0) -> Iterator[np.ndarray]:
    """The waveform of one recording in blocks, of which a few are held; arguments and errors as for :func:`open_audio`."""
    found = sources.resolve(value, position=position)
    if isinstance(found, sources.Samples):
        given = found.rate or rate
        _check_length(max(found.array.shape, default=0), given, position)
        yield from _resampled(_from_samples(found, position), given, rate, position)
    else:
        blocks = _from_file(found, position)
        yield from _resampled(blocks, int(next(blocks)), rate, position)


def _from_samples(found: sources.Samples, position: int) -> Iterator[np.ndarray]:
    """Blocks of one channel, float32."""
    array = found.array
    if not array.size:
        return
    if array.ndim == 2:
        channels, samples = sorted(array.shape)
        if channels == samples or channels > _CHANNELS:
            raise InvalidInput(
                f"input {position} is an array of shape {list(array.shape)}, whose channels cannot be told",
                hint="give [samples], or [channels, samples] with fewer channels than samples",
                position=position,
            )
        array = array if array.shape[0] == samples else array.T
    elif array.ndim != 1:
        raise InvalidInput(
            f"input {position} is an array of {array.ndim} dimensions, not a recording",
            hint="give [samples] or [channels, samples]",
            position=position,
        )
    step = max(1, _BLOCK // max(1, array[:1].size))
    for start in range(0, len(array), step):
        block = _scaled(array[start : start + step], position)
        yield block if block.ndim == 1 else block.mean(axis=1)


def _scaled(block: np.ndarray, position: int) -> np.ndarray:
    import numpy as np

    if block.dtype.kind == "f":
        with np.errstate(over="ignore"):  # what is infinite then is refused as infinite
            return block.astype(np.float32)
    if block.dtype == np.uint8:  # as in 8-bit WAV files, silence is 128
        return (block.astype(np.float32) - 128) / 128
    if block.dtype in (np.int8, np.int16, np.int32):
        return (block / -float(np.iinfo(block.dtype).min)).astype(np.float32)
    raise InvalidInput(
        f"input {position} has samples of {block.dtype}",
        hint="give floats from -1 to 1, or int16 or int32",
        position=position,
    )


def _from_file(found: Path | bytes, position: int) -> Iterator[Any]:
    """The file's rate, then blocks of one channel, float32."""
    soundfile = _library("soundfile", "decode recordings")
    source = _Seekable(found) if isinstance(found, bytes) else str(found)
    name = f"input {position}" if isinstance(found, bytes) else f"input {position} (`{found}`)"
    frames = 0
    try:
        with soundfile.SoundFile(source) as file:
            _check_length(file.frames if file.frames < _ENDLESS else 0, file.samplerate, position)
            yield file.samplerate
            step = max(1, _BLOCK // file.channels)
            while len(block := file.read(step, dtype="float32", always_2d=True)):
                frames += len(block)
                yield block[:, 0] if file.channels == 1 else block.mean(axis=1)
            missing = file.frames - frames if file.format in _EXACT and file.frames < _ENDLESS else 0
    except (soundfile.SoundFileError, OSError) as error:
        raise InvalidInput(
            f"{name} is no recording that can be read ({_reason(error)})",
            hint=f"it must be {', '.join(sources.ENDINGS[:4])} or another format of libsndfile",
            position=position,
        ) from error
    if missing > 0:
        raise InvalidInput(
            f"{name} is cut off: {frames} of {frames + missing} samples are there",
            hint="fetch or record it again",
            position=position,
        )


class _Seekable(io.BytesIO):
    """Bytes in which a damaged header may ask for a place before their beginning, as it may in a file."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        try:
            return super().seek(offset, whence)
        except ValueError:  # soundfile would print it, for it comes out of a call from C
            return -1


def _resampled(blocks: Iterator[np.ndarray], given: int, rate: int, position: int) -> Iterator[np.ndarray]:
    """The blocks at the wanted rate, and no sample more or less than it makes of them."""
    import numpy as np

    resampler = None if given == rate else _resampler(given, rate, position)
    length = told = 0
    held = None
    for block in blocks:
        length += len(block)
        _check_length(length, given, position)
        if not np.isfinite(block).all():
            raise InvalidInput(
                f"input {position} has samples that are NaN or infinite",
                hint="mend the recording: numpy.nan_to_num(samples)",
                position=position,
            )
        if held is not None:
            told += len(held)
            yield held
        held = block if resampler is None else resampler.resample_chunk(block)
    if held is None or not length:
        raise InvalidInput(
            f"input {position} is an empty recording", hint="give one with samples", position=position
        )
    if resampler is not None:
        held = np.concatenate([held, resampler.resample_chunk(np.zeros(0, np.float32), last=True)])
    wanted = math.ceil(length * rate / given) - told  # soxr may give one sample more or less
    if wanted > 0:
        yield np.pad(held, (0, max(0, wanted - len(held))))[:wanted]


def _resampler(given: int, rate: int, position: int) -> Any:
    if not RATES[0] <= given <= RATES[1]:
        raise InvalidInput(
            f"input {position} has {given} samples per second, which no recording has",
            hint=f"give one of {RATES[0]} to {RATES[1]}",
            position=position,
        )
    soxr = _library("soxr", "resample recordings")
    return soxr.ResampleStream(given, rate, 1, dtype="float32", quality="HQ")


def _check_length(samples: int, rate: int, position: int) -> None:
    if samples > LONGEST * rate:
        raise InvalidInput(
            f"input {position} is longer than {LONGEST // 3600} hours",
            hint="cut it into parts",
            position=position,
        )


def _library(name: str, what: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except (ImportError, OSError) as error:  # OSError: soundfile without libsndfile
        raise ExtraMissing(
            f"GPUX needs `{name}` to {what}, and it cannot be imported ({_reason(error)})",
            hint="pip install 'gpux[audio]'",
            package=name,
        ) from error


def _reason(error: Exception) -> str:
    # libsndfile's own words; what soundfile puts before them names an object in memory.
    said = getattr(error, "error_string", None) or str(error)
    return next(iter(said.splitlines()), type(error).__name__).rstrip(".")[:200]
