"""What follows the transformer in a sentence-transformers model, read from ``modules.json``: pooling, then layers.

Knows arrays and the artifact's files; runs no graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gpux.artifact import Artifact
from gpux.fields import Fields, modules
from gpux.pipelines import layers, pooling


@dataclass(frozen=True, slots=True)
class SentenceModules:
    """The modules after the transformer.

    Attributes:
        modes: Pooling modes, joined in this order.
        include_prompt: Whether the prompt's tokens count in the pooling.
        steps: Module name and function, in order.
        takes: Size of the pooled vectors that the layers take, where it matters to them.
        dimension: Size of the vectors where a layer changes it, else ``None``.
    """

    modes: tuple[str, ...] = ("mean",)
    include_prompt: bool = True
    steps: tuple[tuple[str, layers.Layer], ...] = ()
    takes: int | None = None
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
    listed = modules(artifact)
    if listed is None:
        architecture = artifact.manifest.architecture or ""
        causal = (
            architecture.endswith("ForCausalLM")
            and Fields(artifact, "config.json").flag("is_causal") is not False
        )
        return SentenceModules(modes=("lasttoken",) if causal else ("mean",))
    modes: tuple[str, ...] | None = None
    include_prompt = True
    takes: int | None = None
    size: int | None = None
    steps: list[tuple[str, layers.Layer]] = []
    for name, path in listed[1:]:
        kind = _kind(artifact, name)
        if kind == "Pooling" and modes is None and not steps:
            config = Fields(artifact, f"{path}/config.json")
            modes = _modes(artifact, config.data)
            include_prompt = config.flag("include_prompt") is not False
        elif kind in layers.KINDS:
            layer = layers.read(artifact, kind, path)
            if size is not None and layer.takes not in {None, size}:
                raise layers.unsupported(
                    artifact, f"a module `{path}` for vectors of {layer.takes}, not {size}"
                )
            steps.append((kind, layer.layer))
            takes = layer.takes if size is None and takes is None else takes
            size = layer.gives or size
        elif kind != "Dropout":  # which does nothing outside training
            raise layers.unsupported(artifact, f"module `{name}` in this place")
    if modes is None:
        raise layers.unsupported(artifact, "a model without a Pooling module")
    return SentenceModules(modes, include_prompt, tuple(steps), takes, size)


def _kind(artifact: Artifact, name: str) -> str:
    package, _, kind = name.rpartition(".")
    if package.partition(".")[0] != "sentence_transformers":
        raise layers.unsupported(artifact, f"module `{name}`, which is code of its own")
    return kind


def _modes(artifact: Artifact, config: Mapping[str, Any]) -> tuple[str, ...]:
    try:
        return pooling.modes(config)
    except ValueError as error:
        raise layers.unsupported(artifact, str(error)) from error
