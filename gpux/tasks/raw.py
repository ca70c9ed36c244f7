"""``raw``: any ONNX graph as it is, tensors in and tensors out; knows nothing of what they mean."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, ClassVar

import numpy as np

from gpux import examples
from gpux.artifact import Artifact
from gpux.errors import InvalidInput, UnsupportedModel
from gpux.head import Head
from gpux.pipelines import tensor_items
from gpux.pipelines.pipeline import Clock, Pipeline, Table
from gpux.session import Session

_PROBES = "proof/probes.npz"
_SHOWN = 6  # numbers of a tensor that a table shows


class TaskPipeline(Pipeline):
    """A graph that is given what it declares; every item is a run of its own.

    Raises:
        UnsupportedModel: The graph takes or gives no tensor of numbers that a runtime takes from numpy.
    """

    head: ClassVar[Head] = Head(auto=(), suffixes=(), outputs=(), takes=())
    parameters: ClassVar[tuple[str, ...]] = ("allow_nan", "outputs")
    window: ClassVar[int] = 16
    batch: ClassVar[int] = 1
    files: ClassVar[tuple[str, ...]] = tensor_items.FILES

    def __init__(self, artifact: Artifact, session: Session) -> None:
        super().__init__(artifact, session)
        for spec in session.inputs:
            if spec.dtype not in examples.NUMERIC:
                raise _unsupported(artifact, f"takes `{spec.name}` as {spec.dtype}")
        # A label as text or a list of mappings, as converters of other libraries write them, stands beside tensors.
        self._outputs = [spec.name for spec in session.outputs if spec.dtype in examples.NUMERIC]
        if not self._outputs:
            raise _unsupported(artifact, f"gives {', '.join(map(str, session.outputs))}")

    def is_item(self, inputs: Any) -> bool:
        """A mapping of tensors, one array, or a path is one item; a list is a list of them."""
        return isinstance(inputs, Mapping | str | PathLike) or hasattr(inputs, "__array__")

    def answer(
        self,
        items: Sequence[Any],
        clock: Clock,
        /,
        *,
        outputs: str | Sequence[str] | None = None,
        allow_nan: bool = False,
    ) -> list[Any]:
        """The graph's outputs for each item.

        Args:
            items: Mappings of input names and arrays or nested lists; the path of an ``.npz`` or ``.json`` file of that; where the
                graph has one input, that array itself or the path of an ``.npy`` file.
            clock: Where the time goes.
            outputs: The names of the outputs to compute; all that are tensors of numbers when ``None``.
            allow_nan: Whether an input may hold numbers that are infinite or none.

        Returns:
            Per item a mapping of output names and arrays, of the graph's own dtypes.

        Raises:
            InvalidInput: An item or a parameter that the graph cannot take.
            RunFailed: The runtime failed.
        """
        names = self._names(outputs)
        answers: list[Any] = []
        for position, item in enumerate(items):
            feeds = self._arrays(item, position, allow_nan=allow_nan)
            clock.lap("preprocess")
            answers.append(self.session.run(feeds, names))
            clock.lap("infer")
        return answers

    def parse(self, text: str) -> Any:
        """JSON where the text begins like some, else the path of a file."""
        if text.lstrip()[:1] in {"{", "["}:
            try:
                return json.loads(text)
            except (ValueError, RecursionError) as error:
                raise InvalidInput(f"the input is no JSON: {error}", hint=self._takes()) from error
        return text

    def table(self, items: Sequence[Any], answers: Sequence[Any]) -> Table:
        """One row per output: the item, the output's name, its dtype and shape, and its first numbers."""
        rows = []
        for position, (item, answer) in enumerate(zip(items, answers, strict=True)):
            shown = str(item) if isinstance(item, str | PathLike) else str(position)
            for name, array in answer.items():
                kind = f"{array.dtype}[{', '.join(map(str, array.shape))}]"
                rows.append((shown, name, kind, _brief(array)))
                shown = ""
        return Table(("input", "output", "type", "values"), tuple(rows))

    def samples(self, length: int | None = None, **parameters: Any) -> list[Any]:
        """One example input, as nested lists: of the sizes that the proof found to run, else of small ones."""
        super().samples(length)
        self.check(parameters)
        feeds = self._proven() or examples.make(self.session.inputs, self._sizes())
        return [{name: _listed(array) for name, array in feeds.items()}]

    def work(self, items: Sequence[Any], **parameters: Any) -> Mapping[str, float]:
        """``values``: the numbers of all inputs together."""
        return {"values": sum(a.size for feeds in self.feeds(items, **parameters) for a in feeds.values())}

    def feeds(self, items: Sequence[Any], **parameters: Any) -> list[dict[str, np.ndarray]]:
        """The arrays of each item, as the graph is given them."""
        self.check(parameters)
        allow_nan = bool(parameters.get("allow_nan", False))
        return [self._arrays(item, position, allow_nan=allow_nan) for position, item in enumerate(items)]

    def describe(self) -> Mapping[str, Any]:
        """The graph's inputs and outputs."""
        return {
            "inputs": [str(spec) for spec in self.session.inputs],
            "outputs": [str(spec) for spec in self.session.outputs],
        }

    def _arrays(self, item: Any, position: int, *, allow_nan: bool) -> dict[str, np.ndarray]:
        return tensor_items.arrays(item, self.session.inputs, position=position, allow_nan=allow_nan)

    def _names(self, outputs: Any) -> list[str]:
        if outputs is None:
            return self._outputs
        names = [outputs] if isinstance(outputs, str) else outputs
        if not isinstance(names, list | tuple) or not names:
            raise InvalidInput(
                f"`outputs` is {outputs!r}",
                hint=f"name some of {', '.join(self._outputs)}",
                parameter="outputs",
            )
        for name in names:
            if name not in self._outputs:
                close = difflib.get_close_matches(str(name), self._outputs, n=1)
                raise InvalidInput(
                    f"the graph has no output `{name}` of numbers",
                    hint=f"did you mean `{close[0]}`" if close else f"it gives {', '.join(self._outputs)}",
                    parameter="outputs",
                )
        return list(names)

    def _takes(self) -> str:
        return f"the graph takes {', '.join(map(str, self.session.inputs)) or 'no inputs'}"

    def _proven(self) -> dict[str, np.ndarray] | None:
        """The first inputs that the graph was proven with, where those are this graph's."""
        if not any(file.path == _PROBES for file in self.artifact.manifest.files):
            return None
        with np.load(self.artifact.path(_PROBES), allow_pickle=False) as stored:
            members = {f"0/{spec.name}": spec for spec in self.session.inputs}
            if not members or not set(members) <= set(stored.files):
                return None
            return {spec.name: stored[member].astype(spec.dtype) for member, spec in members.items()}

    def _sizes(self) -> dict[str, int]:
        free = {examples.leading(spec) for spec in self.session.inputs}
        return {name: 1 if name in free else 8 for name in examples.symbols(self.session.inputs)}


def _listed(array: np.ndarray) -> Any:
    """Nested lists, floating-point numbers with the few digits that an example needs."""
    return np.round(array.astype(np.float64), 4).tolist() if array.dtype.kind == "f" else array.tolist()


def _brief(array: np.ndarray) -> str:
    first = array.ravel()[:_SHOWN]
    numbers = [f"{value:.4g}" if array.dtype.kind == "f" else str(value) for value in first.tolist()]
    return " ".join(numbers) + (" …" if array.size > _SHOWN else "")


def _unsupported(artifact: Artifact, what: str) -> UnsupportedModel:
    return UnsupportedModel(
        f"the graph of `{artifact.reference}` {what}, and raw runs tensors of {', '.join(examples.NUMERIC)}",
        hint="export it with inputs and outputs of numbers",
        reference=artifact.reference,
    )
