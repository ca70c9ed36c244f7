"""Every other plug-in library of ONNX Runtime that is installed, found by the name of its Python package; imports none of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gpux import selftest
from gpux.errors import RunFailed
from gpux.provider import Options

from ._onnxruntime_session import OnnxRuntimeSession
from ._plugin import PluginProvider
from ._plugin_precision import measured
from ._plugin_source import LateRuntime, is_plugin

_BEGINS = "onnxruntime_"
_PLUGIN = "onnxruntime_ep_"
# How much a plug-in writes to stderr, by the variable that its package documents; a user's own value stays.
_LOGS = {"onnxruntime_ggml": ("ORT_GGML_LOG", "warn")}


def providers(packages: Callable[[str], Mapping[str, Path]]) -> Iterator[PluginProvider]:
    """One provider per plug-in; a family of :mod:`gpux.discovery`."""
    for module, folder in packages(_BEGINS).items():
        source = folder / "__init__.py"
        if source.is_file() and (module.startswith(_PLUGIN) or is_plugin(source)):
            yield FoundPlugin(module, source)


class FoundSession(OnnxRuntimeSession):
    """Refuses what plug-ins abort the whole process for: a batch of nothing."""

    def run(
        self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Run the graph once, on a batch of at least one."""
        if empty := [name for name, array in feeds.items() if array.shape[:1] == (0,)]:
            message = f"input `{empty[0]}` is a batch of nothing, which a plug-in need not bear"
            raise RunFailed(
                message, hint="give at least one item, or try --provider cpu", provider=self._name
            )
        return super().run(feeds, outputs)


class FoundPlugin(PluginProvider):
    """A plug-in that GPUX has no file for: ``onnxruntime_ep_openvino`` → ``ep-openvino``."""

    extra = ""
    rank = 1
    opened = FoundSession

    def __init__(self, module: str, source: Path) -> None:
        self.name = module.removeprefix(_BEGINS).replace("_", "-").lower()
        self.runtime = LateRuntime(module, source)
        self.remedy = f"see what {self.runtime.distribution} needs, then gpux doctor"
        self._precisions: dict[tuple[tuple[str, str], ...], str] = {}

    def install(self) -> str:
        """The line to type where it went away since it was found."""
        return f"pip install --no-deps {self.runtime.distribution}"

    def records(self) -> tuple[Any, ...]:
        """The devices, after its log was turned down."""
        if quiet := _LOGS.get(self.runtime.modules[0]):
            os.environ.setdefault(*quiet)
        return super().records()

    def precision(self, options: Options) -> str:
        """Measured once for each choice of settings, as a plug-in may halve a float32 graph and not tell."""
        if options.precision != "fp32":
            return options.precision
        key = tuple(sorted(options.extra.items()))
        if key not in self._precisions:
            alike = Options(threads=options.threads, extra=options.extra)
            self._precisions[key] = measured(self.session(selftest.graph(), alike))
        return self._precisions[key]
