"""The proof of a graph of which nothing is known but its types: sizes found by trying, and answers to single rows to hold it to.

Pure numpy over something that runs; knows no runtime and no task.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Protocol

import numpy as np

from gpux import examples
from gpux.artifact import OutputParity
from gpux.errors import ProofFailed, RunFailed, UnsupportedModel
from gpux.export import proof
from gpux.tensors import TensorSpec

Feeds = dict[str, np.ndarray]

SIZES = (
    8, 16, 32, 64, 4, 2, 1, 128, 224, 256, 3, 5, 7, 10, 12, 20, 24, 28, 48, 50, 77, 96, 100, 112, 160, 192, 197, 299, 320,
    384, 512, 640, 1024, 16_000,
)  # fmt: skip
"""What a free size that is no batch may be, small ones first: the first that the graph runs at is the probes' own."""

_MIXED = (1, 8, 32, 2)  # where several free sizes must differ
_ROWS = (1, 2, 3)
_INFINITE = 12  # answers that are not finite, after which no size will mend them
_MORE = 3  # probes besides the first
_SECONDS = 40.0  # after which no further size is tried beside one that runs
_BATCH = re.compile(r"batch|^(n|b|bs|bsz)$", re.IGNORECASE)
_SAME = 1e-2  # of an output's scale: two answers this close are the same answer


class Runnable(Protocol):
    """An open graph."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]: ...  # noqa: D102
    @property
    def outputs(self) -> tuple[TensorSpec, ...]: ...  # noqa: D102
    def run(  # noqa: D102
        self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What a graph must give for one probe, and how that was found: ``by rows`` or ``twice``."""

    expected: Feeds
    how: str


class Subject:
    """An open graph, asked only for its outputs that are tensors of numbers.

    Raises:
        UnsupportedModel: It takes or gives no such tensors.
    """

    def __init__(self, opened: Runnable) -> None:
        self._opened = opened
        self.inputs = opened.inputs
        if not opened.inputs:
            raise _unsupported("takes no inputs")
        for spec in opened.inputs:
            if spec.dtype not in examples.NUMERIC:
                raise _unsupported(f"takes `{spec.name}` as {spec.dtype}")
        self.outputs = [spec.name for spec in opened.outputs if spec.dtype in examples.NUMERIC]
        if not self.outputs:
            raise _unsupported(f"gives {', '.join(map(str, opened.outputs)) or 'nothing'}")

    def run(self, feeds: Feeds) -> Feeds:
        """Its outputs."""
        return self._opened.run(feeds, self.outputs)


def find(subject: Subject) -> list[Feeds]:
    """Inputs of several sizes that the graph runs at and answers with finite numbers.

    Raises:
        ProofFailed: It does so at none of the sizes that were tried; the message lists them.
    """
    specs, until = subject.inputs, time.monotonic() + _SECONDS
    first, style, refused = None, examples.STYLES[0], _Refused()
    for sizes in _sizes(specs):
        style = _fitting(subject, sizes, refused) or ""
        if style:
            first = sizes
        if style or refused.infinite > _INFINITE:
            break
    if first is None:
        raise refused.error()
    found = [examples.make(specs, first, style=style)]
    for seed, sizes in enumerate(_others(specs, first), 1):
        if len(found) > _MORE or time.monotonic() > until:
            break
        feeds = _made(specs, sizes, style, seed)
        if feeds is not None and _runs(subject, feeds, refused, sizes):
            found.append(feeds)
    return found


def answer(subject: Subject, feeds: Feeds, actual: Feeds) -> Answer:
    """What the graph must give: its own answers to single rows where the rows of a batch are independent, else to the same again.

    Args:
        subject: The graph.
        feeds: One probe.
        actual: What it gave for that.

    Raises:
        ProofFailed: It gives other answers to the same inputs, or what it calls a batch mixes its rows.
    """
    again = subject.run(feeds)
    for name in subject.outputs:
        if not _alike(actual[name], again[name]):
            raise ProofFailed(
                f"output `{name}` differs between two runs of the same inputs",
                hint="a graph that draws random numbers cannot be proven; export it for inference",
                output=name,
            )
    symbol = _row_symbol(subject.inputs, feeds)
    if symbol is None:
        return Answer(again, "twice")
    try:
        stacked = _stacked(subject, feeds, symbol)
    except RunFailed:  # it takes no single row, so that nothing can be said of them
        return Answer(again, "twice")
    count = next(len(array) for array in stacked.values()) if stacked else 0
    rows = {name: array for name, array in stacked.items() if actual[name].shape[:1] == (count,)}
    apart = [name for name, array in rows.items() if not _alike(actual[name], array)]
    if apart and _BATCH.search(symbol):
        raise ProofFailed(
            f"output `{apart[0]}` of a batch is not what the graph gives for its rows one by one (axis `{symbol}`)",
            hint="it was exported for one batch size, or mixes rows; export it again with a free batch axis, or with a fixed one",
            output=apart[0],
        )
    if apart or not rows:
        return Answer(again, "twice")
    return Answer({**again, **rows}, "by rows")


def label(feeds: Feeds, how: str = "") -> str:
    """A probe as the certificate prints it: the shape of its largest input, and what it was held to."""
    largest = max(feeds.values(), key=lambda array: array.size)
    return f"{'×'.join(map(str, largest.shape)) or 'scalar'} {how}".strip()


def parity(name: str, expected: Sequence[Feeds], actual: Sequence[Feeds]) -> OutputParity | None:
    """How far an output lies from what it must be over all probes, each row of the first axis one vector.

    ``None`` where it never holds a number. Sizes may differ between probes.

    Raises:
        ProofFailed: It is missing, of another shape, or not finite.
    """
    each = []
    for want, got in zip(expected, actual, strict=True):
        given = got.get(name)
        if given is not None and want[name].shape == given.shape:
            if given.size:
                both = {name: _vectors(want[name])}, {name: _vectors(given)}
                each.append(proof.compare(name, [{}], both[:1], both[1:], classes=False))
            continue
        each.append(proof.compare(name, [{}], [want], [got], classes=False))  # says what is wrong
    if not each:
        return None
    return OutputParity(
        name=name,
        max_abs=max(one.max_abs for one in each),
        max_rel=max(one.max_rel for one in each),
        min_cosine=min(one.min_cosine for one in each),
        explained=min(one.explained for one in each),
    )


def _vectors(array: np.ndarray) -> np.ndarray:
    return array.reshape(len(array), -1) if array.ndim > 1 else array.reshape(1, -1)


class _Refused:
    """The sizes that were tried in vain, and what the graph said to the last."""

    def __init__(self) -> None:
        self._tried: list[str] = []
        self._said = "an input has more elements than is tried"
        self.infinite = 0

    def add(self, sizes: Mapping[str, int], said: str, *, infinite: bool = False) -> None:
        """Remember one; numbers that are none say more than a refusal, for the sizes fit then."""
        self._tried.append(" ".join(f"{name}={size}" for name, size in sizes.items()) or "its own sizes")
        if infinite or not self.infinite:
            self._said = said
        self.infinite += infinite

    def error(self) -> ProofFailed:
        """The error that tells all of it."""
        tried = list(dict.fromkeys(self._tried))
        more = f" and {len(tried) - 8} more" if len(tried) > 8 else ""
        return ProofFailed(
            f"the graph answers at none of the sizes that were tried ({', '.join(tried[:8]) or 'none'}{more}): {self._said}",
            hint="export it with fixed sizes, or with free ones that may be small",
            tried=tried,
        )


def _sizes(specs: Sequence[TensorSpec]) -> Iterator[dict[str, int]]:
    """Sizes for every free one, the likeliest first."""
    free = examples.symbols(specs)
    rows = {symbol for spec in specs if (symbol := examples.leading(spec))}
    others = [name for name in free if name not in rows]
    seen: list[dict[str, int]] = []

    def new(sizes: dict[str, int]) -> bool:
        fresh = sizes not in seen
        seen.append(sizes)
        return fresh

    one = dict.fromkeys(rows, 1)
    plans: list[Iterator[dict[str, int]]] = [({**dict.fromkeys(others, size), **one} for size in SIZES[:8])]
    if 2 <= len(others) <= 3:
        mixed = product(_MIXED, repeat=len(others))
        plans.append({**dict(zip(others, sizes, strict=True)), **one} for sizes in mixed)
    plans.append({**dict.fromkeys(others, size), **one} for size in SIZES[8:])
    plans.append(dict.fromkeys(free, size) for size in SIZES)
    for plan in plans:
        yield from ({name: sizes[name] for name in free} for sizes in plan if new(sizes))


def _others(specs: Sequence[TensorSpec], first: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """Other sizes than those that ran: more rows, everything else twice, half, three times as large; other values at last."""
    rows = {symbol for spec in specs if (symbol := examples.leading(spec))}
    scales = ((3, 1, 1), (2, 2, 1), (1, 3, 1), (1, 1, 2), (2, 1, 1), (1, 2, 1))
    seen = [dict(first)]
    for count, times, parts in scales:
        sizes = {
            name: size * count if name in rows else max(1, size * times // parts)
            for name, size in first.items()
        }
        if sizes not in seen:
            seen.append(sizes)
            yield sizes
    yield dict(first)


def _made(specs: Sequence[TensorSpec], sizes: Mapping[str, int], style: str, seed: int) -> Feeds | None:
    if examples.elements(specs, sizes) > examples.MOST:
        return None
    return examples.make(specs, sizes, style=style, seed=seed)


def _fitting(subject: Subject, sizes: Mapping[str, int], refused: _Refused) -> str | None:
    """The kind of values that the graph answers with finite numbers at these sizes."""
    for style in examples.STYLES:
        feeds = _made(subject.inputs, sizes, style, 0)
        if feeds is None:
            refused.add(sizes, f"more than {examples.MOST:,} elements were wanted")
            return None
        try:
            given = subject.run(feeds)
        except RunFailed as error:
            refused.add(sizes, error.message)
            return None
        if _finite(given):
            return style
        refused.add(sizes, "an output is not finite", infinite=True)
        if not any(array.dtype.kind == "f" for array in feeds.values()):
            return None
    return None


def _runs(subject: Subject, feeds: Feeds, refused: _Refused, sizes: Mapping[str, int]) -> bool:
    try:
        return _finite(subject.run(feeds))
    except RunFailed as error:
        refused.add(sizes, error.message)
        return False


def _finite(outputs: Feeds) -> bool:
    return all(np.isfinite(array).all() for array in outputs.values() if array.dtype.kind == "f")


def _row_symbol(specs: Sequence[TensorSpec], feeds: Feeds) -> str | None:
    """The free first axis that several rows of a probe share; ``None`` where it also is another axis, or there is one row."""
    found = {symbol for spec in specs if (symbol := examples.leading(spec))}
    if len(found) != 1:
        return None
    symbol = found.pop()
    elsewhere = {
        name
        for spec in specs
        for name in examples.symbols([TensorSpec(spec.name, spec.dtype, (0, *spec.shape[1:]))])
    }
    rows = next(len(feeds[spec.name]) for spec in specs if examples.leading(spec) == symbol)
    return symbol if rows > 1 and symbol not in elsewhere else None


def _stacked(subject: Subject, feeds: Feeds, symbol: str) -> Feeds:
    """The answers to single rows, put together, of those outputs that have a row for each."""
    by_row = [spec.name for spec in subject.inputs if examples.leading(spec) == symbol]
    count = len(feeds[by_row[0]])
    singles = [
        subject.run({**feeds, **{name: feeds[name][row : row + 1] for name in by_row}})
        for row in range(count)
    ]
    stacked = {}
    for name in subject.outputs:
        parts = [single[name] for single in singles]
        if all(part.ndim and len(part) == 1 and part.shape == parts[0].shape for part in parts):
            stacked[name] = np.concatenate(parts)
    return stacked


def _alike(one: np.ndarray, other: np.ndarray) -> bool:
    if one.shape != other.shape:
        return False
    if not one.size or one.dtype.kind != "f":
        return bool(np.array_equal(one, other))
    one, other = one.astype(np.float64), other.astype(np.float64)
    scale = float(np.abs(other[np.isfinite(other)]).max(initial=0.0)) or 1.0
    return bool(np.allclose(one, other, rtol=0, atol=_SAME * scale, equal_nan=True))


def _unsupported(what: str) -> UnsupportedModel:
    return UnsupportedModel(
        f"the graph {what}, and only tensors of {', '.join(examples.NUMERIC)} can be run",
        hint="export it with inputs and outputs of numbers",
    )
