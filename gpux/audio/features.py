"""Which feature extractor a model has, and the contract that all of them keep; knows no graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gpux.artifact import Artifact
from gpux.audio import clap, raw, spectrum_transformer, whisper
from gpux.audio.prepared import Prepared
from gpux.errors import UnsupportedModel
from gpux.fields import Fields

if TYPE_CHECKING:
    import numpy as np


class FeatureExtractor(Protocol):
    """From a waveform to what the graph takes.

    Attributes:
        name: The class of transformers that it answers for.
        rate: Samples per second of the waveforms that it takes.
        fixed: Whether every recording comes out at one size; otherwise as long as it is.
        makes: The graph's inputs that it can make.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def rate(self) -> int: ...  # noqa: D102
    @property
    def fixed(self) -> bool: ...  # noqa: D102
    @property
    def makes(self) -> tuple[str, ...]: ...  # noqa: D102

    def prepare(self, waveform: np.ndarray, /, *, position: int = 0) -> Prepared:
        """The features of one recording, float32 [samples] in; safe to call from several threads.

        Raises:
            InvalidInput: The recording is too short for a single feature.
        """
        ...

    def batch(self, prepared: Sequence[Prepared], /) -> dict[str, np.ndarray]:
        """Every input that the extractor can make of several recordings, padded to the longest, by the graph's name."""
        ...


@dataclass(frozen=True, slots=True)
class _Family:
    read: Callable[[Fields], FeatureExtractor]
    models: tuple[str, ...]


_FAMILIES = {
    "Wav2Vec2FeatureExtractor": _Family(
        raw.read,
        (
            "data2vec-audio", "hubert", "sew", "sew-d", "unispeech", "unispeech-sat", "wav2vec2", "wav2vec2-conformer",
            "wavlm",
        ),
    ),
    "ASTFeatureExtractor": _Family(spectrum_transformer.read, ("audio-spectrogram-transformer",)),
    "ClapFeatureExtractor": _Family(clap.read, ("clap", "clap_audio_model")),
    "WhisperFeatureExtractor": _Family(whisper.read, ("whisper",)),
}  # fmt: skip


def read(artifact: Artifact) -> FeatureExtractor:
    """The model's own feature extractor, by ``preprocessor_config.json`` or ``processor_config.json``.

    Raises:
        UnsupportedModel: It has none, one that GPUX does not compute, or one with settings of a wrong type.
        CorruptArtifact: A file is no JSON.
    """
    found = Fields(artifact, "preprocessor_config.json")
    if not found.data:
        found = Fields(artifact, "processor_config.json").table("feature_extractor")
    name = found.text("feature_extractor_type")
    model = Fields(artifact, "config.json").text("model_type") or ""
    if (
        name is None and found.data
    ):  # old files leave the class to the model's type, as transformers reads them
        name = next((known for known, family in _FAMILIES.items() if model in family.models), None)
    if name not in _FAMILIES:
        what = f"the feature extractor `{name}`" if name else "no feature extractor for sound"
        raise UnsupportedModel(
            f"`{artifact.reference}` has {what}, and GPUX computes {', '.join(_FAMILIES)}",
            hint="feed the graph tensors: model.session.run({...})",
            reference=artifact.reference,
        )
    return _FAMILIES[name].read(found)
