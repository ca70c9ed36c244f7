"""What every provider over ONNX Runtime shares: probing by computing, opening a graph, reading the placement back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from gpux import selftest
from gpux.errors import ProviderUnavailable, RunFailed
from gpux.provider import Device, Opened, Options, Placement, Probe, Runtime, State
from gpux.tensors import TensorSpec

_DTYPES = {
    "float": "float32", "double": "float64", "float16": "float16", "bfloat16": "bfloat16", "bool": "bool", "string": "str",
    "int8": "int8", "int16": "int16", "int32": "int32", "int64": "int64",
    "uint8": "uint8", "uint16": "uint16", "uint32": "uint32", "uint64": "uint64",
}  # fmt: skip


def probe(name: str, runtime: Runtime, extra: str, devices: tuple[Device, ...]) -> Probe:
    """Climb from ``missing`` to ``works`` and say where it stopped."""
    install = f"pip install 'gpux[{extra}]'"
    if find_spec("onnxruntime") is None:
        return Probe(name, State.MISSING, reason=f"`{runtime.distribution}` is not installed", hint=install)
    try:
        import onnxruntime
    except ImportError as error:
        return Probe(name, State.INSTALLED, reason=f"`onnxruntime` cannot be imported: {error}", hint=install)
    if not hasattr(onnxruntime, "InferenceSession"):
        reason = "`onnxruntime` is a broken mix of two distributions"
        return Probe(name, State.INSTALLED, reason=reason, hint=f"gpux doctor, then reinstall with {install}")
    versions = {"onnxruntime": onnxruntime.__version__}
    if runtime.native not in onnxruntime.get_available_providers():
        reason = f"this build of onnxruntime does not list `{runtime.native}`"
        return Probe(name, State.INSTALLED, versions=versions, reason=reason, hint=install)
    try:
        session = open_graph(
            selftest.graph(), Options(threads=1), name=name, runtime=runtime, device=devices[0].name
        )
        right = selftest.matches(session.run(selftest.feeds())["y"])
    except RunFailed as error:
        return Probe(name, State.LISTED, devices, versions, error.message, error.hint)
    if not right:
        return Probe(name, State.LISTED, devices, versions, "it computed a three-node graph wrongly", install)
    return Probe(name, State.WORKS, devices, versions)


def open_graph(
    graph: Path | bytes,
    options: Options,
    *,
    name: str,
    runtime: Runtime,
    device: str,
    provider_options: Mapping[str, str] | None = None,
) -> Opened:
    """Open a graph file, or a serialised graph, on one execution provider with the CPU's behind it."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ProviderUnavailable(
            f"`{runtime.distribution}` is not installed", hint="pip install 'gpux[cpu]'", provider=name
        ) from error
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.log_severity_level = (
        4  # failures come back as exceptions; the rest is noise on a user's terminal
    )
    for key, value in {"session.record_ep_graph_assignment_info": "1", **options.extra}.items():
        settings.add_session_config_entry(key, value)
    wanted: list[Any] = [(runtime.native, dict(provider_options or {}))]
    if runtime.native != "CPUExecutionProvider":
        wanted.append("CPUExecutionProvider")
    source = graph if isinstance(graph, bytes) else str(graph)
    try:
        session = onnxruntime.InferenceSession(source, settings, providers=wanted)
    except Exception as error:
        label = "the graph" if isinstance(graph, bytes) else f"`{graph.name}`"
        raise RunFailed(
            f"{runtime.native} refused {label}: {_first_line(error)}",
            hint="gpux verify, then gpux pull --force",
            provider=name,
        ) from error
    if runtime.native not in session.get_providers():
        raise RunFailed(
            f"ONNX Runtime dropped {runtime.native} without an error", hint="gpux providers", provider=name
        )
    return _OnnxRuntimeSession(session, name, runtime.native, device, options.precision)


class _OnnxRuntimeSession:
    """One ``InferenceSession``; ``run`` is safe from several threads (ONNX Runtime's own guarantee)."""

    def __init__(self, session: Any, name: str, native: str, device: str, precision: str) -> None:
        self._session = session
        self._name = name
        self._native = native
        self._device = device
        self._precision = precision
        self.inputs = tuple(_spec(arg) for arg in session.get_inputs())
        self.outputs = tuple(_spec(arg) for arg in session.get_outputs())
        self._output_names = [spec.name for spec in self.outputs]

    def run(
        self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        names = self._output_names if outputs is None else list(outputs)
        try:
            return dict(zip(names, self._session.run(names, feeds), strict=True))
        except Exception as error:
            raise RunFailed(
                f"{self._native} failed while running: {_first_line(error)}",
                hint="check the inputs' shapes against gpux show, or try another --provider",
                provider=self._name,
            ) from error

    def placement(self) -> Placement:
        counts: dict[str, int] = {}
        left: set[str] = set()
        for subgraph in self._session.get_provider_graph_assignment_info():
            counts[subgraph.ep_name] = counts.get(subgraph.ep_name, 0) + len(subgraph.get_nodes())
            if subgraph.ep_name != self._native:
                left.update(node.op_type for node in subgraph.get_nodes())
        total = sum(counts.values())
        # A graph that folds to constants has no node left to place: nothing went elsewhere.
        share = counts.get(self._native, 0) / total if total else 1.0
        return Placement(self._name, self._device, self._precision, counts, share, tuple(sorted(left)))

    def close(self) -> None:
        self._session = None


def _spec(arg: Any) -> TensorSpec:
    match = re.fullmatch(r"tensor\((\w+)\)", arg.type)
    dtype = _DTYPES.get(match[1], match[1]) if match else arg.type
    return TensorSpec(arg.name, dtype, tuple(arg.shape))


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    line = text[0] if text else type(error).__name__
    return re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", line)
