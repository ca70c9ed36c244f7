"""Keeps QNN's compiled context of one graph, with the placement that only its compilation knows; knows no device."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from gpux.errors import RunFailed
from gpux.provider import RUNTIME, Opened, Options, Placement
from gpux.tensors import TensorSpec

# https://onnxruntime.ai/docs/execution-providers/EP-Context-Design.html
_ENABLE = {f"{RUNTIME}ep.context_enable": "1", f"{RUNTIME}ep.context_embed_mode": "0"}
_PATH = f"{RUNTIME}ep.context_file_path"

Open = Callable[[Path, Options], Opened]


@dataclass(frozen=True, slots=True)
class Context:
    """One compiled context: ``<name>.onnx``, the binary that it names, and ``<name>.json`` with the placement."""

    folder: Path
    name: str

    def opened(self, graph: Path, options: Options, open_: Open) -> Opened:
        """Open the context; one that is not there is compiled, one that is refused (another driver) is compiled anew."""
        ready, note = self.folder / f"{self.name}.onnx", self.folder / f"{self.name}.json"
        if ready.is_file() and (placement := _read(note)):
            try:
                return _Compiled(open_(ready, options), placement)
            except RunFailed:
                ready.unlink(missing_ok=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        # Under a name of its own until it is whole, as another process may compile the same graph now.
        fresh = self.folder / f"{self.name}.{os.getpid()}.onnx"
        fresh.unlink(missing_ok=True)
        opened = open_(graph, replace(options, extra={**options.extra, **_ENABLE, _PATH: str(fresh)}))
        if fresh.is_file():  # there is none where QNN took no node
            temporary = fresh.with_suffix(".json")
            temporary.write_text(json.dumps(asdict(opened.placement())), encoding="utf-8")
            temporary.replace(note)
            fresh.replace(ready)
        return opened


class _Compiled:
    """An open context, which to the runtime is one node, with the placement of the graph that it was compiled from."""

    def __init__(self, inner: Opened, placement: Placement) -> None:
        self._inner = inner
        self._placement = placement
        self.inputs: tuple[TensorSpec, ...] = inner.inputs
        self.outputs: tuple[TensorSpec, ...] = inner.outputs

    def run(
        self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        return self._inner.run(feeds, outputs)

    def placement(self) -> Placement:
        return self._placement

    def close(self) -> None:
        self._inner.close()


def _read(note: Path) -> Placement | None:
    try:
        found = json.loads(note.read_text(encoding="utf-8"))
        return Placement(**{**found, "left_behind": tuple(found["left_behind"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None
