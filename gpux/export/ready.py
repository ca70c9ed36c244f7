"""Which of a repository's own ONNX files is which variant, best first; the names are those that the Hub's exporters write."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

# Endings of the file's stem → variant; the plain name is fp32. transformers.js, optimum and sentence-transformers spell
# them differently: model_quantized and model_qint8_avx512_vnni are both int8, model_O2 is a fused fp32, model_O4 fp16.
_ENDINGS = (
    (r"_q4f16", "q4f16"),
    (r"_q4", "q4"),
    (r"_bnb4", "bnb4"),
    (r"_(fp16|O4)", "fp16"),
    (r"_bf16", "bf16"),
    (r"_(uint8|quint8(_\w+)?)", "uint8"),
    (r"_(int8|quantized|qint8(_\w+)?)", "int8"),
    (r"(_O[123])?", "fp32"),
)
_STEMS = ("model", "encoder_model", "decoder_model_merged")


def variant_of(path: str) -> str | None:
    """The variant that a file's name declares, or ``None`` where the file is only a part of a model."""
    stem = PurePosixPath(path).stem
    for base in _STEMS:
        if stem.startswith(base):
            for ending, variant in _ENDINGS:
                if re.fullmatch(base + ending, stem):
                    return variant
    return None


def candidates(paths: Iterable[str], variant: str) -> list[str]:
    """Graph files that claim to be a variant: plain names before special ones, ``onnx/`` before other folders."""
    fitting = [path for path in paths if variant_of(path) == variant]
    return sorted(fitting, key=lambda p: (not p.startswith("onnx/"), p.count("/"), len(p), p))


def offered(paths: Iterable[str]) -> list[str]:
    """The variants that a repository's files declare, in the order of :data:`gpux.reference.VARIANTS`."""
    from gpux.reference import VARIANTS

    have = {variant_of(path) for path in paths}
    return [variant for variant in VARIANTS if variant in have]
