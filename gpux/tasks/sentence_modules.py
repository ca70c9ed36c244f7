"""What follows the transformer in a sentence-transformers model, read from ``modules.json``: pooling, then layers.

Knows arrays and the artifact's files; runs no graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gpux.artifact import Artifact
from gpux.tasks import layers, pooling


@dataclass(frozen=True, slots=True)
class SentenceModules:
    """The modules after the transformer.

    Attributes:
        modes: Pooling modes, joined in this order.
        include_prompt: Whether the prompt's tokens count in the pooling.
        steps: Module name and function, in order.
        dimension: Size of the vectors where a layer changes it, else ``None``.
    """

    modes: tuple[str, ...] = ("mean",)
    include_prompt: bool = True
    steps: tuple[tuple[str, layers.Layer], ...] = ()
    dimension: int | None = None

    @property
    def normalizes(self) -> bool:
        """Whether the model itself scales to unit length."""
        return any(name == "Normalize" for name, _ in self.steps)


def read(artifact: Artifact) -> SentenceModules:
    """Read the modules; without ``modules.json`` it is mean pooling, or the last token's vector for a causal model.

    Raises:
        UnsupportedModel: A module, a pooling mode or an activation that GPUX does not compute.
        CorruptArtifact: A module's files cannot be read.
    """
    listed = artifact.read_json("modules.json").get("items")
    if listed is None:
        config = artifact.read_json("config.json")
        architecture = (config.get("architectures") or [""])[0]
        causal = architecture.endswith("ForCausalLM") and config.get("is_causal", True)
        return SentenceModules(modes=("lasttoken",) if causal else ("mean",))
    modes: tuple[str, ...] | None = None
    include_prompt, dimension = True, None
    steps: list[tuple[str, layers.Layer]] = []
    for module in listed[1:]:
        kind, path = _kind(artifact, module), module.get("path", "").strip("/")
        if kind == "Pooling" and modes is None and not steps:
            config = artifact.read_json(f"{path}/config.json")
            modes = _modes(artifact, config)
            include_prompt = config.get("include_prompt", True)
        elif kind in layers.KINDS:
            layer, size = layers.read(artifact, kind, path)
            steps.append((kind, layer))
            dimension = size or dimension
        elif kind != "Dropout":  # which does nothing outside training
            raise layers.unsupported(artifact, f"module `{module.get('type')}` in this place")
    if modes is None:
        raise layers.unsupported(artifact, "a model without a Pooling module")
    return SentenceModules(modes, include_prompt, tuple(steps), dimension)


def _kind(artifact: Artifact, module: Mapping[str, Any]) -> str:
    package, _, kind = str(module.get("type")).rpartition(".")
    if package.partition(".")[0] != "sentence_transformers":
        raise layers.unsupported(artifact, f"module `{module.get('type')}`, which is code of its own")
    return kind


def _modes(artifact: Artifact, config: Mapping[str, Any]) -> tuple[str, ...]:
    try:
        return pooling.modes(config)
    except ValueError as error:
        raise layers.unsupported(artifact, str(error)) from error
