"""The QNN provider: Qualcomm's NPU (HTP), GPU or CPU backend, by its plug-in; keeps what it compiled for the next load."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, ClassVar

from gpux import selftest
from gpux.errors import ProviderUnavailable
from gpux.provider import RUNTIME, Opened, Options, Runtime, Setting

from . import _plugin_library
from ._onnxruntime_options import GRAPH
from ._plugin import PluginProvider
from ._plugin_precision import measured

# https://onnxruntime.ai/docs/execution-providers/QNN-ExecutionProvider.html
_BACKEND = Setting(
    "backend",
    "Where it runs: htp is the NPU. Without it, the first of NPU, GPU and CPU that is here.",
    values=("htp", "gpu", "cpu"),
    numeric=True,
)
_PRECISION = Setting(
    "precision",
    "What the NPU computes a float32 graph in; without it, the plug-in decides.",
    values=("fp16", "fp32"),
    numeric=True,
)
_POWER = Setting(
    "power",
    "How the NPU trades speed for energy.",
    values=("burst", "high_performance", "balanced", "power_saver"),
    race=("burst", "balanced"),
)
_KINDS = {"htp": "npu", "gpu": "gpu", "cpu": "cpu"}


class Qnn(PluginProvider):
    """Quantised graphs are what the NPU is made for; float32 ones run in half precision there, or not at all."""

    name = "qnn"
    runtime = Runtime("onnxruntime-qnn", "QNNExecutionProvider", ("onnxruntime_qnn",))
    extra = "qnn"
    rank = 40
    settings: tuple[Setting, ...] = (GRAPH, _BACKEND, _PRECISION, _POWER)
    order: ClassVar[tuple[str, ...]] = ("npu", "gpu", "cpu")
    remedy = "a Qualcomm Snapdragon processor with its NPU driver is needed"

    def chosen(self, options: Options) -> Any:
        """The device of the backend that was asked for, or the first."""
        records = self.records()
        backend = options.extra.get("backend")
        for record in records:
            if backend in {None, "", self.backend(record)}:
                return record
        kinds = ", ".join(sorted({_plugin_library.device(record).kind for record in records}))
        message = f"provider `{self.name}` has no device for its backend `{backend}` on this machine"
        raise ProviderUnavailable(message, hint=f"it lists {kinds}; see gpux providers", provider=self.name)

    def backend(self, record: Any) -> str:
        """The backend of a device."""
        kind = _plugin_library.device(record).kind
        return next(backend for backend, its in _KINDS.items() if its == kind)

    def provider_options(self, options: Options) -> dict[str, str]:
        """Backend, and on the NPU precision and power."""
        backend = self.backend(self.chosen(options))
        found = {"backend_type": backend}
        if backend == "htp" and (precision := options.extra.get("precision")):
            found["enable_htp_fp16_precision"] = "1" if precision == "fp16" else "0"
        if backend == "htp" and (power := options.extra.get("power")):
            found["htp_performance_mode"] = power
        return found

    def precision(self, options: Options) -> str:
        """As given; what the plug-in decides for a float32 graph on the NPU is measured, as it does not tell."""
        if options.precision != "fp32" or self.backend(self.chosen(options)) != "htp":
            return options.precision
        if given := options.extra.get("precision"):
            return given
        # Without what would keep the small graph's context in this one's place.
        alike = {name: value for name, value in options.extra.items() if not name.startswith(f"{RUNTIME}ep.")}
        return measured(self.session(selftest.graph(), Options(threads=1, extra=alike)))

    def open_graph(self, graph: Path | bytes, options: Options) -> Opened:
        """Open what an earlier load compiled, or compile and keep it."""
        if isinstance(graph, bytes) or options.cache is None:
            return super().open_graph(graph, options)
        made_by = [_version(), self.backend(self.chosen(options)), *sorted(options.extra.items())]
        name = hashlib.sha256(json.dumps(made_by).encode()).hexdigest()[:16]
        from . import _qnn_context

        context = _qnn_context.Context(options.cache, name)
        return context.opened(graph, options, super().open_graph)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(Qnn.runtime.distribution)
    except PackageNotFoundError:
        return "unknown"


provider = Qnn()
