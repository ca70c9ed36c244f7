"""Loads an encoder in PyTorch, asks it the probes, and keeps its answers: what every route that exports begins with.

Imported only where a framework is: in the exporter's environment.
"""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from gpux.events import Event, Progress
from gpux.export import checkpoint, probes, projection, tokenizer_route
from gpux.export.inputs import TEXT_INPUTS, Inputs, Shape, Tokens, describe, read_processor
from gpux.export.modalities import TIMM
from gpux.head import TEXT


@dataclass(frozen=True, slots=True)
class Encoder:
    """A model with its probes and its own answers to them.

    Attributes:
        model: The PyTorch module, in fp32 and ready for inference.
        inputs: What it is given.
        outputs: Those of the wanted outputs that it has.
        feeds: The probes.
        references: Its outputs on them.
        clock: Where the seconds go.
    """

    model: Any
    inputs: Inputs
    outputs: tuple[str, ...]
    feeds: list[probes.Feeds]
    references: list[probes.Feeds]
    clock: Clock

    def answer(self, packages: tuple[str, ...]) -> dict[str, Any]:
        """What a route tells its parent of it: ``outputs``, ``parameters``, ``versions``, ``seconds`` by step."""
        return {
            "outputs": list(self.outputs),
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "versions": {name: version(name) for name in packages},
            "seconds": self.clock.finish(),
        }


def examine(
    source: Path,
    output: Path,
    *,
    auto: str | Sequence[str],
    outputs: tuple[str, ...],
    takes: tuple[str, ...],
    allow_pickle: bool,
    trust_remote_code: bool,
    progress: Progress,
) -> Encoder:
    """Load an encoder, and write ``probes.npz``, ``reference.npz`` and, where it reads texts, ``tokenizer.json`` to a directory.

    Args:
        source: The model's directory.
        output: An empty directory.
        auto: The transformers auto class.
        outputs: Names of the model's outputs to keep, those that exist.
        takes: What the task gives it, of :data:`gpux.head.MODALITIES`.
        allow_pickle: Whether weights may be a pickle (loaded with ``weights_only``).
        trust_remote_code: Whether the checkpoint's own code may run.
        progress: Receives a line per step.

    Raises:
        UnsupportedModel: transformers does not know the architecture, or the head has no weights.
    """
    torch.manual_seed(0)
    clock = Clock(progress)
    tokenizer = None
    if TEXT in takes:
        clock.step("loading the tokenizer")
        tokenizer = tokenizer_route.load(source, output, trust_remote_code=trust_remote_code)
    clock.step("loading the checkpoint")
    model = checkpoint.load(source, auto, allow_pickle=allow_pickle, trust_remote_code=trust_remote_code)
    projection.keep(source, output, allow_pickle=allow_pickle)
    _keep_labels(source, output, model.config)
    inputs = _inputs(model, source, takes, outputs, tokenizer)
    clock.step("computing the reference outputs")
    feeds = probes.make(inputs)
    first = checkpoint.compute(model, feeds[0], outputs)
    feeds = probes.affordable(feeds, sum(a.nbytes for a in first.values()) / probes.amount(feeds[0]))
    references = [first, *(checkpoint.compute(model, probe, outputs) for probe in feeds[1:])]
    kept = tuple(name for name in outputs if name in references[0])
    if not kept:
        raise checkpoint.absent(model, outputs)
    probes.save(output / "probes.npz", feeds)
    probes.save(output / "reference.npz", references)
    return Encoder(model, inputs, kept, feeds, references, clock)


def _keep_labels(source: Path, output: Path, config: Any) -> None:
    """Write a ``config.json`` with the names of the classes, where only timm knows them: ImageNet's are in no repository of it."""
    if config.model_type != TIMM:
        return
    told = json.loads((source / "config.json").read_bytes())
    if "id2label" in told or "label_names" in told or config.num_labels != told.get("num_classes"):
        return
    named = {str(index): label for index, label in config.id2label.items()}
    (output / "config.json").write_text(json.dumps({**told, "id2label": named}, indent=2), encoding="utf-8")


class Clock:
    """Seconds by step; each step is told as it begins."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._seconds: dict[str, float] = {}
        self._name, self._since = "starting", time.perf_counter()

    def step(self, name: str) -> None:
        """Begin a step, which ends the one before."""
        self.finish()
        self._name, self._since = name, time.perf_counter()
        self._progress(Event("export", name))

    def finish(self) -> dict[str, float]:
        """End the step under way; the seconds so far."""
        self._seconds[self._name] = time.perf_counter() - self._since
        return self._seconds


def _inputs(
    model: Any, source: Path, takes: tuple[str, ...], outputs: tuple[str, ...], tokenizer: Any
) -> Inputs:
    names: dict[str, Shape] = dict.fromkeys(inspect.signature(model.forward).parameters, ())
    if tokenizer is not None:
        known = {*tokenizer.model_input_names, "input_ids"}
        names = {name: shape for name, shape in names.items() if name in known or name not in TEXT_INPUTS}
    described = describe(
        takes,
        model.config.to_dict(),
        read_processor(source),
        names,
        outputs=outputs,
        tokens=_tokens(model, tokenizer) if tokenizer is not None else None,
    )
    taken = tuple(name for name in described.names if name in names)
    return replace(described, names=taken)


def _tokens(model: Any, tokenizer: Any) -> Tokens:
    config = model.config.get_text_config()
    positions = getattr(config, "max_position_embeddings", None) or 512
    pad = next(
        (p for p in (tokenizer.pad_token_id, getattr(config, "pad_token_id", None)) if p is not None), 0
    )
    # Where the table has a padding row (RoBERTa's family, MPNet), positions are numbered from behind it.
    tables = [m for name, m in model.named_modules() if name.endswith("position_embeddings")]
    padding = next((m.padding_idx for m in tables if getattr(m, "padding_idx", None) is not None), None)
    offset = 0 if padding is None else padding + 1
    return Tokens(
        vocabulary=int(config.vocab_size),
        pad=int(pad),
        maximum=int(positions) - offset,
        types=int(getattr(config, "type_vocab_size", 1) or 1),
    )
