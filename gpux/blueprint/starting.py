"""A first ``gpux.yml`` for a graph: every key with what it is for, the graph's own inputs and outputs filled in."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence

from gpux.blueprint.records import FILTERS, PRESETS, VARIANT_NAMES
from gpux.onnx_reader import GraphSummary
from gpux.tensors import TensorSpec

_TEXT = """\
# A model of your own. `gpux build` proves it and stores it, `gpux run NAME` runs it.
# Lines that begin with # are not read; take the # away from those that you need.

# name: my-model          # the name to run it by; the folder's when it is not given
# version: "1"

# The task that it answers:
{tasks}
task: {task}

model:
  source: {source}        # the graph in full precision, seen from this folder
  # variants:             # graphs of other precisions: {variants}
  #   int8: model_int8.onnx

# The graph's own names → the names that the task gives and reads. raw keeps the graph's own.
# A task of texts gives input_ids, attention_mask and token_type_ids, of pictures pixel_values, of sound input_values;
# a classifier reads logits.
inputs:
{inputs}
outputs:
{outputs}

# The names of the classes: a list, or a file with one name a line.
# labels: [cat, dog]
# labels: labels.txt

# How pictures, texts or sound become what the graph takes.
# preprocessing: imagenet # or {presets}, or keys of your own:
# preprocessing:
#   size: 256             # the shorter side, or [height, width] to stretch to
#   crop: 224             # a square from the middle
#   mean: [0.485, 0.456, 0.406]
#   std: [0.229, 0.224, 0.225]
#   scale: 0.00392156862745098
#   resample: bilinear    # {filters}
#   tokenizer: tokenizer.json
#   max_length: 512
#   sampling_rate: 16000
#   normalize: true

# What runs it where nothing else is said.
# runtime:
#   provider: cpu
#   variant: fp32
#   threads: 2
#   options: {{}}

# Kept for a server.
# serving:
#   port: 8000
#   max_batch_size: 8
#   max_delay_ms: 5
#   timeout_s: 30
"""


def text(source: str, summary: GraphSummary, *, task: str | None, tasks: Sequence[str]) -> str:
    """The file's text; it can be built as it stands.

    Args:
        source: The graph's path, seen from the folder.
        summary: What it declares.
        task: The task; ``raw`` when ``None``.
        tasks: The tasks that there are.
    """
    return _TEXT.format(
        task=task or "raw",
        tasks=textwrap.fill(
            ", ".join(tasks), 100, initial_indent="#   ", subsequent_indent="#   ", break_on_hyphens=False
        ),
        source=_quoted(source),
        variants=", ".join(VARIANT_NAMES[1:]),
        inputs=_names(summary.inputs),
        outputs=_names(summary.outputs),
        presets=", ".join(PRESETS[1:]),
        filters=", ".join(FILTERS),
    )


def _names(specs: Sequence[TensorSpec]) -> str:
    lines = []
    for spec in specs:
        name = _quoted(spec.name)
        kind = str(spec).removeprefix(f"{spec.name}: ").replace("\n", " ")
        lines.append(f"  {name}: {name}  # {kind}")
    return "\n".join(lines) or "  {}"


def _quoted(text: str) -> str:
    """A text as YAML reads it back: in quotes, which JSON's are, wherever a plain one could be something else."""
    plain = text.isascii() and text.replace("_", "").replace(".", "").isalnum() and text[0].isalpha()
    words = {"true", "false", "yes", "no", "on", "off", "null"}
    return text if plain and text.lower() not in words else json.dumps(text)
