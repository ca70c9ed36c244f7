"""Models that are nothing but their processor's files, and pictures of every proportion, for tests of pre-processing."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gpux.artifact import Artifact, File, Manifest, Source

SIZES = ((48, 64), (333, 250), (37, 53), (224, 224), (40, 97), (384, 384))
"""Heights and widths: landscape, portrait, tiny, the very size that many models take, long, and another such size."""


def model(folder: Path, **files: Any) -> Artifact:
    """A model with these JSON files, named without their ending."""
    listed = []
    for name, content in files.items():
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        (folder / f"{name}.json").write_bytes(data)
        listed.append(File(f"{name}.json", len(data), hashlib.sha256(data).hexdigest()))
    source = Source("file:pictures", "sha256:0", None, None, None)
    manifest = Manifest(
        schema=1,
        gpux="0",
        source=source,
        task="image-classification",
        architecture=None,
        parameters=None,
        components=(),
        variants=(),
        files=tuple(listed),
    )
    return Artifact(folder, "0" * 64, manifest)


def picture(height: int, width: int) -> Image.Image:
    """Noise, in which a shift by one pixel or another filter shows in every value."""
    seeded = np.random.default_rng(height * 10_000 + width)
    return Image.fromarray(seeded.integers(0, 256, (height, width, 3), dtype=np.uint8))


PICTURES = tuple(picture(height, width) for height, width in SIZES)
