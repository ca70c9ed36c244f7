"""The layers that may follow pooling in a sentence-transformers model: Normalize, Dense, LayerNorm, in numpy.

Source: https://github.com/huggingface/sentence-transformers/tree/v6.2.0/sentence_transformers/base/modules
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from gpux.artifact import Artifact, corrupt
from gpux.errors import UnsupportedModel
from gpux.fields import Fields
from gpux.pipelines import safetensors

if TYPE_CHECKING:
    from numpy.typing import NDArray

Floats: TypeAlias = "NDArray[np.float32]"
Layer: TypeAlias = Callable[["Floats"], "Floats"]
"""float32 [texts, dimensions] → float32 [texts, other dimensions]."""


@dataclass(frozen=True, slots=True)
class Sized:
    """A layer with the sizes of the vectors that it takes and gives; ``None`` where any size will do."""

    layer: Layer
    takes: int | None = None
    gives: int | None = None


SENTENCE, TOKENS = "sentence_embedding", "token_embeddings"
"""What a layer works on: the pooled vector of a text, or each token's."""


def read(artifact: Artifact, kind: str, path: str, *, on: str = SENTENCE) -> Sized:
    """A layer of :data:`KINDS` from its directory, which must work on what is asked for where it says on what.

    Raises:
        UnsupportedModel: It asks for something that GPUX does not compute.
        CorruptArtifact: Its files cannot be read.
    """
    config = Fields(artifact, f"{path}/config.json")
    for key in ("module_input_name", "module_output_name"):
        if (name := config.text(key)) not in {None, on}:
            raise unsupported(artifact, f"a {kind} module that works on `{name}`")
    return _READERS[kind](artifact, path, config)


def unit(vectors: Floats) -> Floats:
    """Vectors scaled to length one; zeros stay zeros. Same floor as ``torch.nn.functional.normalize``."""
    if len(vectors) == 1 and vectors.ndim == 2:  # the one warm text, where every call of numpy's shows
        return vectors / max(math.sqrt(vectors[0] @ vectors[0]), 1e-12)
    lengths = np.sqrt(np.einsum("...d,...d->...", vectors, vectors))
    scaled: Floats = vectors / np.maximum(lengths, 1e-12)[..., None]
    return scaled


def activation(artifact: Artifact, name: str, where: str) -> Layer:
    """The activation of a dotted path such as ``torch.nn.modules.activation.Tanh``.

    Raises:
        UnsupportedModel: It is none of torch's, or one that GPUX does not compute.
    """
    function = _ACTIVATIONS.get(name.rpartition(".")[2]) if name.startswith("torch.") else None
    if function is None:
        raise unsupported(artifact, f"activation `{name}` in {where}")
    return function


def unsupported(artifact: Artifact, what: str) -> UnsupportedModel:
    """The error for a part of a model that GPUX does not compute."""
    return UnsupportedModel(
        f"`{artifact.reference}` has {what}, which GPUX does not compute",
        hint="the graph itself still runs: model.session.run({...})",
        reference=artifact.reference,
    )


def _normalize(_: Artifact, __: str, ___: Fields) -> Sized:
    return Sized(unit)


def _dense(artifact: Artifact, path: str, config: Fields) -> Sized:
    name = config.text("activation_function") or "torch.nn.modules.activation.Tanh"
    function = activation(artifact, name, f"module `{path}`")
    tensors = _weights(artifact, path, ("linear.weight",))
    weight, bias = tensors["linear.weight"].T, tensors.get("linear.bias", np.float32(0))
    residual = tensors["residual.weight"].T if "residual.weight" in tensors else None
    if weight.ndim != 2 or bias.shape not in {(), weight.shape[1:]}:
        raise corrupt(artifact, f"`{path}/model.safetensors` has a weight and a bias that do not fit")
    takes, gives = weight.shape
    residually = config.flag("use_residual")
    if residually and (takes != gives if residual is None else residual.shape != weight.shape):
        raise corrupt(artifact, f"`{path}/model.safetensors` has a residual weight that does not fit")

    def layer(vectors: Floats) -> Floats:
        projected: Floats = function(vectors @ weight + bias)
        if not residually:
            return projected
        return projected + (vectors if residual is None else vectors @ residual)

    return Sized(layer, takes, gives)


def _layer_norm(artifact: Artifact, path: str, _: Fields) -> Sized:
    tensors = _weights(artifact, path, ("norm.weight", "norm.bias"))
    shape = tensors["norm.weight"].shape
    if len(shape) != 1 or tensors["norm.bias"].shape != shape:
        raise corrupt(artifact, f"`{path}/model.safetensors` has a weight and a bias that do not fit")

    def layer(vectors: Floats) -> Floats:
        centred = vectors - vectors.mean(axis=-1, keepdims=True)
        scale = np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + np.float32(1e-5))
        scaled: Floats = centred / scale * tensors["norm.weight"] + tensors["norm.bias"]
        return scaled

    return Sized(layer, shape[0], shape[0])


def _weights(artifact: Artifact, path: str, names: tuple[str, ...]) -> dict[str, Floats]:
    relative = f"{path}/model.safetensors"
    if not any(file.path == relative for file in artifact.manifest.files):
        raise unsupported(artifact, f"module `{path}` without `model.safetensors`")
    try:
        tensors = safetensors.read(artifact.path(relative))
    except (OSError, ValueError) as error:
        raise corrupt(artifact, f"`{relative}` cannot be read ({error})") from error
    for name in names:
        if name not in tensors:
            raise corrupt(artifact, f"`{relative}` has no tensor `{name}`")
    return tensors


def _gelu(x: Floats) -> Floats:
    erf = np.vectorize(math.erf, otypes=[np.float32])(x / math.sqrt(2))
    curve: Floats = 0.5 * x * (1 + erf)
    return curve


def _sigmoid(x: Floats) -> Floats:
    half: Floats = 0.5 * (1 + np.tanh(0.5 * x))
    return half


_ACTIVATIONS: dict[str, Layer] = {
    "Identity": lambda x: x,
    "Tanh": np.tanh,
    "ReLU": lambda x: np.maximum(x, 0),
    "GELU": _gelu,
    "Sigmoid": _sigmoid,
    "SiLU": lambda x: x * _sigmoid(x),
}
_READERS: dict[str, Callable[[Artifact, str, Fields], Sized]] = {
    "Normalize": _normalize,
    "Dense": _dense,
    "LayerNorm": _layer_norm,
}
KINDS = frozenset(_READERS)
"""The layers that can be read."""
