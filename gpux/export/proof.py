"""How far a graph's outputs lie from the reference, and what that makes of it: pure arithmetic on arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gpux.artifact import QUALITIES, Certificate, OutputParity
from gpux.errors import ProofFailed

Arrays = Mapping[str, np.ndarray]

EXACT, NEAR = 0.99999, 0.9995
"""Smallest cosine of the classes ``exact`` and ``near`` (DESIGN.md, "Proof")."""

ITSELF = "itself"
"""The reference of a graph that came without its framework: its own answers to one unpadded text at a time."""

BROKEN = 0.5
"""Below this share of explained variance a graph computes something else than the model, whatever its precision.

A cosine cannot tell: the worst token of a sound int8 MiniLM reaches 0.84, and noise reaches as much where the vectors of a
model all point the same way."""

_STEADY = 0.05
"""Outputs this close, relative to their scale, are right even where the reference hardly varies."""

_TIE = 1e-3
"""A reference margin below this share of the row's largest magnitude counts as a tie between two classes."""


def compare(
    name: str, feeds: Sequence[Arrays], expected: Sequence[Arrays], actual: Sequence[Arrays], *, classes: bool
) -> OutputParity:
    """Compare one output over all probes.

    Args:
        name: The output.
        feeds: The probes; where one has an ``attention_mask`` [batch, sequence] and the output those leading axes,
            padded positions are left out, for nobody reads them.
        expected: The reference's outputs, per probe.
        actual: The graph's outputs, per probe.
        classes: Whether the last axis holds class scores, whose largest entry must agree.

    Raises:
        ProofFailed: An output is missing, of another shape, or not finite.
    """
    rows_expected, rows_actual = [], []
    tokens = not classes and _per_token(name, feeds, expected)
    scale = 0.0
    worst_rel = 0.0
    for probe, want, got in zip(feeds, expected, actual, strict=True):
        if name not in got:
            raise ProofFailed(
                f"the graph has no output `{name}`",
                hint="the conversion is broken; try another --exporter",
                output=name,
            )
        a, b = (_rows(probe, array, classes=classes, tokens=tokens) for array in (want[name], got[name]))
        if want[name].shape != got[name].shape:
            raise ProofFailed(
                f"output `{name}` has shape {_shape(got[name])}, the reference {_shape(want[name])}",
                hint="the conversion fixed a dynamic dimension; try another --exporter",
                output=name,
            )
        if not np.isfinite(b).all() or not np.isfinite(a).all():
            raise ProofFailed(
                f"output `{name}` is not finite on a probe of {_shape(want[name])}"
                + (", the reference is" if np.isfinite(a).all() else " in the reference"),
                hint="the graph overflows; try another --variant"
                if np.isfinite(a).all()
                else "numbers that are none prove nothing; the weights may be damaged",
                output=name,
            )
        scale = float(np.abs(a).max(initial=0.0))
        worst_rel = max(worst_rel, float(np.abs(a - b).max(initial=0.0)) / (scale or 1.0))
        rows_expected.append(a)
        rows_actual.append(b)
    pairs = _gathered(rows_expected, rows_actual)
    agreements = [_top1(want, got) for want, got in pairs if classes and want.shape[-1] > 1]
    return OutputParity(
        name=name,
        max_abs=max(float(np.abs(want - got).max(initial=0.0)) for want, got in pairs),
        max_rel=worst_rel,
        min_cosine=min(_min_cosine(want, got) for want, got in pairs),
        explained=_explained(pairs),
        top1=min(agreements) if agreements else None,
    )


def classify(outputs: Sequence[OutputParity]) -> str:
    """``exact``, ``near`` or ``lossy``, by the worst output.

    A cosine sees no scale, and constant vectors of the right direction please it; so each class also asks that the output
    be close in size, or reproduce the reference's variation.
    """
    agrees = all(output.top1 in {None, 1.0} for output in outputs)
    for quality, cosine, rel, explained in (("exact", EXACT, 1e-3, 0.9999), ("near", NEAR, 1e-2, 0.99)):
        close = all(o.max_rel <= rel or o.explained >= explained for o in outputs)
        if agrees and close and all(o.min_cosine >= cosine for o in outputs):
            return quality
    return "lossy"


def against_itself(quality: str, variant: str) -> str:
    """The class of a graph that was only held to its own unpadded answers: nothing showed what its precision costs."""
    best = {"fp32": "exact", "fp16": "near", "bf16": "near"}.get(variant, "lossy")
    return max(quality, best, key=QUALITIES.index)


def accept(certificate: Certificate, *, variant: str, full_precision: bool) -> Certificate:
    """The certificate, if it makes the variant fit to be stored.

    A graph in full or half precision must be at least ``near``; a quantised one may be ``lossy``, and is then never
    chosen by itself, but must still compute the same model.

    Raises:
        ProofFailed: It does not; the message says what differed and by how much.
    """
    worst = min(certificate.outputs, key=lambda output: output.min_cosine)
    sound = all(output.explained >= BROKEN or output.max_rel <= _STEADY for output in certificate.outputs)
    if certificate.quality != "lossy" if full_precision else sound:
        return certificate
    top1 = "" if worst.top1 is None else f", top-1 agreement {worst.top1:.1%}"
    raise ProofFailed(
        f"the {variant} graph does not compute the model: output `{worst.name}` reaches cosine {worst.min_cosine:.6f} "
        f"against {certificate.reference}, max difference {worst.max_abs:.3g} ({worst.max_rel:.1%} of its scale){top1}",
        hint="nothing was stored; try another --exporter or --variant",
        variant=variant,
        output=worst.name,
        min_cosine=worst.min_cosine,
        max_abs=worst.max_abs,
    )


def _per_token(name: str, feeds: Sequence[Arrays], expected: Sequence[Arrays]) -> bool:
    """Whether an output has one number for each token, as a model of question answering says where an answer starts.

    No row of class scores can look like it: the probes have several lengths.
    """
    masks = [probe.get("attention_mask") for probe in feeds]
    return all(
        mask is not None and want[name].shape == mask.shape
        for mask, want in zip(masks, expected, strict=True)
    )


def _rows(feeds: Arrays, array: np.ndarray, *, classes: bool, tokens: bool) -> np.ndarray:
    values = array.astype(np.float64)
    if classes and values.ndim == 4:  # a score per class and pixel: [batch, classes, height, width]
        values = np.moveaxis(values, 1, -1)
    mask = feeds.get("attention_mask")
    if mask is not None and tokens and values.shape == mask.shape:
        values = values[mask.astype(bool)][:, None]
    elif mask is not None and values.ndim >= 3 and values.shape[:2] == mask.shape:
        values = values[mask.astype(bool)]
    return values.reshape(-1, values.shape[-1]) if values.ndim else values.reshape(1, 1)


def _min_cosine(want: np.ndarray, got: np.ndarray) -> float:
    if want.shape[-1] == 1:  # a single score has a sign, not a direction: compare the column as one vector
        want, got = want.reshape(1, -1), got.reshape(1, -1)
    dot = (want * got).sum(-1)
    norms = np.linalg.norm(want, axis=-1) * np.linalg.norm(got, axis=-1)
    both_zero = (np.abs(want).max(-1) == 0) & (np.abs(got).max(-1) == 0)
    cosine = np.where(both_zero, 1.0, dot / np.where(norms == 0, 1.0, norms))
    return float(min(1.0, cosine.min()))


def _gathered(
    expected: Sequence[np.ndarray], actual: Sequence[np.ndarray]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The rows of all probes as one pair, or a pair per probe where their vectors differ in size (maps, scores of texts)."""
    if len({rows.shape[-1] for rows in expected}) == 1:
        return [(np.concatenate(expected), np.concatenate(actual))]
    return list(zip(expected, actual, strict=True))


def _explained(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    # Vectors of one size vary about their mean; those of several sizes have none in common but that of their numbers.
    axis = 0 if len(pairs) == 1 else None
    spread = float(sum(((want - want.mean(axis)) ** 2).sum() for want, _ in pairs))
    missed = float(sum(((want - got) ** 2).sum() for want, got in pairs))
    return 1.0 - missed / spread if spread else float(missed == 0)


def _top1(want: np.ndarray, got: np.ndarray) -> float:
    ordered = np.sort(want, axis=-1)
    margin = ordered[:, -1] - ordered[:, -2]
    clear = margin > _TIE * np.abs(want).max(-1)
    if not clear.any():
        return 1.0
    return float((want.argmax(-1) == got.argmax(-1))[clear].mean())


def _shape(array: np.ndarray) -> str:
    return f"[{', '.join(map(str, array.shape))}]"
