"""What the tiny Whispers are asked: call → arguments of the pipeline, as both sides take them."""

from __future__ import annotations

MULTILINGUAL, ENGLISH = "whisper", "whisper-en"
FALLBACK = {"temperature": (0.0,), "logprob_threshold": -1.0, "compression_ratio_threshold": 1.35}

SHORT = {
    "plain": {},
    "segments": {"return_timestamps": True},
    "words": {"return_timestamps": "word"},
    "beams": {"num_beams": 3},
}
LONG = {
    "long": {"return_timestamps": True},
    "long words": {"return_timestamps": "word"},
    "before": {"return_timestamps": True, "condition_on_prev_tokens": True},
    "silent": {"return_timestamps": True, **FALLBACK, "no_speech_threshold": 0.0},
    "chunks": {"chunk_length_s": 1.5, "return_timestamps": True},
    "chunks words": {"chunk_length_s": 1.5, "stride_length_s": (0.4, 0.2), "return_timestamps": "word"},
    "chunks plain": {"chunk_length_s": 1.5},
}
SPOKEN = {
    "language": {"return_language": True},
    "translate": {"task": "translate", "language": "german"},
    "french": {"language": "<|fr|>", "return_timestamps": True},
    "prompt": {"prompt": "cat mat", "return_timestamps": True},
}
CALLS = {MULTILINGUAL: {**SHORT, **LONG, **SPOKEN}, ENGLISH: {**SHORT, **LONG}}
SECONDS = {**dict.fromkeys((*SHORT, *SPOKEN), (1.3, 0.4)), **dict.fromkeys(LONG, (5.2,))}
"""Call → how long its recordings last; the models hear two seconds at once."""
SOUNDS = {"short": 0.3, "whole": 2.0, "long": 5.2}
"""Recordings whose spectrograms are compared."""
