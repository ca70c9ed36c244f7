"""Reads the small weight files of a model's own modules; the format's numpy part and no more.

Format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


def read(path: Path) -> dict[str, np.ndarray]:
    """Every tensor of a file as float32.

    Raises:
        ValueError: The file is no safetensors file, or holds a type that is not floating point.
        OSError: It cannot be read.
    """
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    if not 0 < length <= len(data) - 8:
        raise ValueError("header longer than the file")
    body = memoryview(data)[8 + length :]
    try:
        header = json.loads(data[8 : 8 + length])
        return {name: _tensor(body, spec) for name, spec in header.items() if name != "__metadata__"}
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError) as error:
        raise ValueError(f"header is no table of tensors: {error}") from error


def _tensor(body: memoryview, spec: dict[str, Any]) -> np.ndarray:
    start, stop = spec["data_offsets"]
    if spec["dtype"] not in _DTYPES:
        raise ValueError(f"tensor of type {spec['dtype']}")
    raw = np.frombuffer(body[start:stop], dtype=_DTYPES[spec["dtype"]]).reshape(spec["shape"])
    if spec["dtype"] == "BF16":  # the upper half of a float32
        return (raw.astype(np.uint32) << 16).view(np.float32)
    return raw.astype(np.float32)
