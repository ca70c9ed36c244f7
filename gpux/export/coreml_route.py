"""Runs inside the worker: converts a checkpoint to a Core ML package, checks its specification, and on macOS its answers.

The program is traced by ``torch.jit`` and converted by coremltools in half precision. Core ML takes ranges of shapes: the
Neural Engine runs only the default one of a range, any other runs on the GPU or the CPU. Lists of shapes, which it could
run all, are for models of one input before macOS 15, and would have every batch padded to one of them.
"""

from __future__ import annotations

import json
import sys
import uuid
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import coremltools
import numpy as np
import torch

from gpux import package_reader
from gpux.errors import ProofFailed, UnsupportedModel
from gpux.events import Progress
from gpux.export import checkpoint, coreml_operators, probes, proof
from gpux.export.encoder import Encoder, examine
from gpux.head import TEXT

PACKAGE = f"model{package_reader.SUFFIX}"

ROWS = 64
"""Most texts of a batch; tasks make batches of 32 at most unless they are told otherwise."""

USUAL = (1, 128)
"""The default of the range, which is what the Neural Engine can run."""

_TARGET = coremltools.target.macOS13  # the first that can be told to keep to CPU and Neural Engine
_PACKAGES = ("coremltools", "torch", "transformers", "numpy")


def run(
    source: Path,
    output: Path,
    *,
    auto: str | Sequence[str],
    outputs: tuple[str, ...],
    takes: tuple[str, ...],
    scores: tuple[str, ...],
    allow_pickle: bool,
    trust_remote_code: bool,
    progress: Progress,
) -> dict[str, Any]:
    """Convert one encoder.

    Args:
        source: The model's directory.
        output: An empty directory for ``model.mlpackage``, beside the probes and the references.
        auto: The transformers auto class.
        outputs: Names of the model's outputs to keep, those that exist.
        takes: What the task gives it, of :data:`gpux.head.MODALITIES`.
        scores: Those of the outputs that are class scores.
        allow_pickle: Whether weights may be a pickle (loaded with ``weights_only``).
        trust_remote_code: Whether the checkpoint's own code may run.
        progress: Receives a line per step.

    Returns:
        What :meth:`gpux.export.encoder.Encoder.answer` gives; ``macos``, the first that reads the package; ``shapes``; and
        ``parity``, the figures of its own answers, ``None`` where nothing can predict.

    Raises:
        UnsupportedModel: The model cannot be loaded, traced or converted.
        ProofFailed: The trace computes something else than the model, the specification does not fit it, or the package
            gives other answers.
    """
    _only_texts(takes)
    encoder = examine(
        source,
        output,
        auto=auto,
        outputs=outputs,
        takes=takes,
        allow_pickle=allow_pickle,
        trust_remote_code=trust_remote_code,
        progress=progress,
    )
    encoder.clock.step("tracing the model")
    traced = _trace(encoder)
    encoder.clock.step("checking the trace")
    _check_trace(traced, encoder, scores=scores)
    encoder.clock.step("converting to Core ML")
    package = output / PACKAGE
    _convert(traced, encoder, package)
    encoder.clock.step("checking the specification")
    macos = _check_specification(package, encoder)
    parity = None
    if sys.platform == "darwin":
        encoder.clock.step("predicting")
        parity = _predict(package, encoder, scores=scores)
    labels = [probes.shape_label(feeds) for feeds in encoder.feeds]
    return {**encoder.answer(_PACKAGES), "macos": macos, "shapes": labels, "parity": parity}


def _check_specification(package: Path, encoder: Encoder) -> str:
    """The first macOS that reads the package, if it declares what the model takes and gives."""
    summary = package_reader.summarise(coremltools.utils.load_spec(str(package)))
    wrong = package_reader.misfits(
        summary,
        inputs=encoder.inputs.names,
        outputs=encoder.outputs,
        ranges=((1, ROWS), (1, _maximum(encoder))),
        version=_TARGET.value,
    )
    if wrong:
        raise ProofFailed(
            f"the package's specification does not fit the model: {'; '.join(wrong)}",
            hint="pull it without --variant mlpackage",
        )
    return summary.macos


def _only_texts(takes: tuple[str, ...]) -> None:
    if takes != (TEXT,):
        raise UnsupportedModel(
            f"Core ML packages are made of text encoders, and this model is given {' and '.join(takes)}",
            hint="pull it without --variant mlpackage",
        )


def _maximum(encoder: Encoder) -> int:
    assert encoder.inputs.tokens is not None  # noqa: S101 - the route refuses what reads no texts
    return encoder.inputs.tokens.maximum


class _Positional(torch.nn.Module):  # type: ignore[misc]
    """The model as tracing wants it: tensors in by position, tensors out as a tuple."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.model = encoder.model
        self.names = list(encoder.inputs.names)
        self.outputs = encoder.outputs

    def forward(self, *tensors: Any) -> tuple[Any, ...]:
        result = self.model(**dict(zip(self.names, tensors, strict=True)))
        return tuple(result[name] for name in self.outputs)


def _trace(encoder: Encoder) -> Any:
    feeds = probes.traced(encoder.inputs)
    try:
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a trace fixes, the probes at other shapes show
            return torch.jit.trace(
                _Positional(encoder).eval(), _tensors(feeds), strict=False, check_trace=False
            )
    except MemoryError:
        raise
    except Exception as error:
        raise _unconvertible(encoder, "traced", error) from error


def _check_trace(traced: Any, encoder: Encoder, *, scores: tuple[str, ...]) -> None:
    """A trace keeps one path through the model's code; at other shapes it must still compute the model."""
    answers = []
    try:
        with torch.inference_mode():
            for feeds in encoder.feeds:
                given = traced(*_tensors(feeds))
                answers.append({n: t.numpy() for n, t in zip(encoder.outputs, given, strict=True)})
    except RuntimeError as error:
        raise _unconvertible(encoder, "traced for other shapes", error) from error
    figures = [
        proof.compare(name, encoder.feeds, encoder.references, answers, classes=name in scores)
        for name in encoder.outputs
    ]
    if proof.classify(figures) != "exact":
        worst = min(figures, key=lambda one: one.min_cosine)
        raise ProofFailed(
            f"the trace of {type(encoder.model).__name__} does not compute the model: output `{worst.name}` reaches cosine "
            f"{worst.min_cosine:.6f}, max difference {worst.max_abs:.3g}",
            hint="its code follows the inputs' values or shapes; pull it without --variant mlpackage",
            output=worst.name,
        )


def _convert(traced: Any, encoder: Encoder, package: Path) -> None:
    coreml_operators.register()
    maximum = _maximum(encoder)
    rows = coremltools.RangeDim(1, ROWS, default=USUAL[0])
    tokens = coremltools.RangeDim(1, maximum, default=min(USUAL[1], maximum))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            converted = coremltools.convert(
                traced,
                convert_to="mlprogram",
                compute_precision=coremltools.precision.FLOAT16,
                minimum_deployment_target=_TARGET,
                inputs=[
                    coremltools.TensorType(name=name, shape=(rows, tokens), dtype=np.int32)
                    for name in encoder.inputs.names
                ],
                outputs=[coremltools.TensorType(name=name, dtype=np.float32) for name in encoder.outputs],
                skip_model_load=True,
            )
            converted.save(str(package))
    except (MemoryError, OSError):
        raise
    except Exception as error:
        raise _unconvertible(encoder, "converted", error) from error
    settle(package)


def settle(package: Path) -> None:
    """Leave nothing in a package that differs from one conversion to the next: its date, and its parts' random names."""
    specification = coremltools.utils.load_spec(str(package))
    metadata = specification.description.metadata.userDefined
    for name in [name for name in metadata if name.endswith("conversion_date")]:
        del metadata[name]
    listed = json.loads((package / "Manifest.json").read_bytes())
    parts = listed["itemInfoEntries"]
    names = {old: str(uuid.uuid5(uuid.NAMESPACE_URL, part["path"])) for old, part in parts.items()}
    root = parts[listed["rootModelIdentifier"]]
    program = package / "Data" / root["path"]
    program.unlink()  # it was made for its owner's eyes alone
    program.write_bytes(specification.SerializeToString(deterministic=True))
    listed["itemInfoEntries"] = {names[old]: part for old, part in parts.items()}
    listed["rootModelIdentifier"] = names[listed["rootModelIdentifier"]]
    text = json.dumps(listed, indent=2, sort_keys=True) + "\n"
    (package / "Manifest.json").write_text(text, encoding="utf-8")


def _predict(package: Path, encoder: Encoder, *, scores: tuple[str, ...]) -> list[dict[str, Any]]:
    """The figures of the package's own answers to the probes."""
    try:
        model = coremltools.models.MLModel(str(package))
        answers = [
            model.predict({name: array.astype(np.int32) for name, array in feeds.items()})
            for feeds in encoder.feeds
        ]
    except MemoryError:
        raise
    except Exception as error:
        raise ProofFailed(
            f"Core ML cannot run the package: {checkpoint.first_line(error)}",
            hint="pull it without --variant mlpackage",
        ) from error
    return [
        asdict(proof.compare(name, encoder.feeds, encoder.references, answers, classes=name in scores))
        for name in encoder.outputs
    ]


def _tensors(feeds: probes.Feeds) -> tuple[Any, ...]:
    return tuple(torch.from_numpy(array.astype(np.int32)) for array in feeds.values())


def _unconvertible(encoder: Encoder, what: str, error: Exception) -> UnsupportedModel:
    name = type(encoder.model).__name__
    return UnsupportedModel(
        f"{name} cannot be {what} for Core ML by coremltools {coremltools.__version__}: {checkpoint.first_line(error)}",
        hint="pull it without --variant mlpackage; docs/conversion.md lists the families that are known to convert",
        architecture=name,
    )
