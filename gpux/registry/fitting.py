"""Holds a blueprint to what it speaks of: its folder's graphs, the task, the providers; every misfit is told with its line."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from gpux.blueprint import reading
from gpux.blueprint.reading import Written
from gpux.discovery import discover
from gpux.errors import InvalidBlueprint, UsageError
from gpux.export.inputs import AUDIO_INPUTS, IMAGE_INPUTS, TEXT_INPUTS
from gpux.head import AUDIO, IMAGE, TEXT, VIDEO, Head
from gpux.planning import AUTO
from gpux.provider import check as check_options
from gpux.provider import find
from gpux.tensors import TensorSpec

FULL = "fp32"
"""The precision of ``model.source``."""

_MAKES = {
    TEXT: TEXT_INPUTS,
    IMAGE: IMAGE_INPUTS,
    VIDEO: IMAGE_INPUTS,
    AUDIO: (*AUDIO_INPUTS, "attention_mask"),
}


_VOCABULARY = re.compile(r"tokenizer\.json|vocab\.(txt|json)|[^/]*\.(model|spm)")


def graphs(said: Written, have: Sequence[str]) -> dict[str, str]:
    """Precision → path in the folder, of the ONNX files that it has.

    Raises:
        InvalidBlueprint: One is not there, or none is named and there are several.
    """
    model = said.blueprint.model
    named: dict[str, str] = {**({FULL: model.source} if model.source else {}), **model.variants}
    if not named:
        if len(have) != 1:
            raise said.error(
                "model",
                f"the folder holds {len(have)} ONNX files ({', '.join(have[:5]) or 'none'}), and `model.source` names none",
                hint=f"model: {{source: {have[0] if have else 'model.onnx'}}}",
            )
        named = {FULL: have[0]}
    for variant, path in named.items():
        if path not in have:
            key = "model.source" if path == model.source and variant == FULL else f"model.variants.{variant}"
            raise unknown(said, key, path, have, f"`{path}` is not an ONNX file of this folder")
    return named


def check(said: Written, head: Head, variants: Sequence[str], files: Sequence[str]) -> None:
    """Refuse what the task would not read, what it lacks, and a runtime that cannot be.

    Args:
        said: The blueprint.
        head: The head of its task.
        variants: The precisions of its graphs.
        files: What the folder holds.

    Raises:
        InvalidBlueprint: There is some.
    """
    given, task = said.blueprint.prepared, said.blueprint.task
    takes = f"the task {task} takes {' and '.join(head.takes) or 'tensors'}"
    uses = (
        (reading.PICTURES, {IMAGE, VIDEO}, "pictures"),
        (reading.TEXTS, {TEXT}, "texts"),
        (reading.SOUNDS, {AUDIO}, "sound"),
    )
    for keys, kinds, what in uses:
        key = reading.first(given, keys)
        if key and not kinds & set(head.takes):
            raise said.error(
                f"preprocessing.{key}",
                f"`preprocessing` prepares {what} (`{key}`), and {takes}",
                hint="leave it out, or name another task",
            )
    if TEXT in head.takes and not given.tokenizer and not any(map(_VOCABULARY.fullmatch, files)):
        raise said.error(
            "preprocessing",
            f"the task {task} reads texts, and the folder has no tokenizer.json",
            hint="put one there, or name it: preprocessing: {tokenizer: PATH}",
        )
    if said.blueprint.labels is not None and not head.takes:
        raise said.error(
            "labels", f"the task {task} reads no labels", hint="leave them out, or name another task"
        )
    _check_runtime(said, variants)


def renamed(said: Written, part: str, specs: Sequence[TensorSpec]) -> list[TensorSpec]:
    """A graph's inputs or outputs under the names that they get.

    Raises:
        InvalidBlueprint: The file renames one that the graph does not have.
    """
    names: Mapping[str, str] = getattr(said.blueprint, part)
    known = [spec.name for spec in specs]
    for name in names:
        if name not in known:
            raise unknown(said, f"{part}.{name}", name, known, f"the graph has no {part[:-1]} `{name[:80]}`")
    return [replace(spec, name=names.get(spec.name, spec.name)) for spec in specs]


def check_graph(
    said: Written,
    path: str,
    head: Head,
    *,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    labels: Mapping[int, str],
) -> None:
    """Hold a graph's names to what the task makes and reads, before anything is run.

    Raises:
        InvalidBlueprint: They do not fit; the hint is the line that would make them.
    """
    task = said.blueprint.task
    makes = [name for kind in head.takes for name in _MAKES[kind]]
    strange = [spec.name for spec in inputs if spec.name not in makes]
    if makes and strange:
        raise said.error(
            "inputs",
            f"`{path}` takes `{strange[0]}`, and the task {task} makes {', '.join(makes)}",
            hint=f"say which it is: inputs: {{{_quoted(strange[0])}: {makes[0]}}}",
        )
    given = [spec.name for spec in outputs]
    lacking = [
        name for name in head.scores if name not in {*given, *(head.aliases.get(one) for one in given)}
    ]
    if lacking and not head.unordered:  # detectors come with outputs of many names, which their task knows
        raise said.error(
            "outputs",
            f"`{path}` gives {', '.join(given) or 'nothing'}, and the task {task} reads `{lacking[0]}`",
            hint=f"say which it is: outputs: {{{_quoted((given or ['output'])[0])}: {lacking[0]}}}",
        )
    classes = next((_classes(spec) for spec in outputs if spec.name in head.scores[:1]), None)
    whole = isinstance(said.blueprint.labels, Mapping) or len(labels) == classes
    if labels and classes is not None and not (whole and max(labels) < classes):
        raise said.error(
            "labels",
            f"`labels` has {len(labels)} names up to number {max(labels)}, and `{path}` gives {classes} scores",
            hint="give one name for each score, in the graph's order",
        )


def unknown(said: Written, key: str, value: str, known: Sequence[str], what: str) -> InvalidBlueprint:
    """The error for a name that is none of those that there are."""
    close = difflib.get_close_matches(value, known, n=1, cutoff=0.5)
    listed = f"it can be {', '.join(known)}" if known else "there is none"
    return said.error(key, what, hint=f"did you mean `{close[0]}`" if close else listed)


def _check_runtime(said: Written, variants: Sequence[str]) -> None:
    runtime = said.blueprint.runtime
    if runtime.variant and runtime.variant not in variants:
        raise said.error(
            "runtime.variant",
            f"`runtime.variant` is {runtime.variant}, and `model` has {', '.join(variants)}",
            hint="name one of those",
        )
    if runtime.provider is None or runtime.provider == AUTO:
        return
    try:
        one = find(runtime.provider, discover())
    except UsageError as error:
        raise said.error("runtime.provider", error.message, hint=error.hint) from error
    try:
        check_options(one, runtime.options)
    except UsageError as error:
        raise said.error(
            f"runtime.options.{error.details.get('setting', '')}", error.message, hint=error.hint
        ) from error


def _classes(spec: TensorSpec) -> int | None:
    last = spec.shape[-1] if len(spec.shape) == 2 else None
    return last if isinstance(last, int) and last > 0 else None


def _quoted(name: str) -> str:
    return name if name.replace("_", "").isalnum() and not name.isdigit() else json.dumps(name)
