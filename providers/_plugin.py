"""What providers that are plug-in libraries of ONNX Runtime share: registering, listing devices, opening on one of them.

https://onnxruntime.ai/docs/execution-providers/plugin-ep-libraries/
"""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from gpux.errors import ProviderUnavailable
from gpux.provider import Device, Opened, Options, Probe, Setting, State

from . import _onnxruntime_options, _plugin_library
from ._onnxruntime import OnnxRuntimeProvider
from ._onnxruntime_options import GRAPH
from ._onnxruntime_session import OnnxRuntimeSession

DEVICE = Setting("device", "Which of its devices, counted from 0 as gpux providers lists them.", default="0")


_DOCTOR = "gpux doctor"


class PluginProvider(OnnxRuntimeProvider):
    """A provider that ``runtime.modules[0]`` brings as a library, or a build of ONNX Runtime that has it inside.

    Attributes:
        order: Kinds of devices, the preferred one first.
        opened: What an open graph is.
        remedy: What to do where the library does not load, or lists no device.
    """

    settings: tuple[Setting, ...] = (GRAPH, DEVICE)
    order: ClassVar[tuple[str, ...]] = ("gpu", "npu", "cpu")
    opened: ClassVar[type[OnnxRuntimeSession]] = OnnxRuntimeSession
    remedy: str = _DOCTOR

    def install(self) -> str:
        """The line to type where it is not installed."""
        return f"pip install 'gpux[{self.extra}]'"

    def reinstall(self) -> str:
        """The line to type where it is broken; without what it requires, which might replace the ONNX Runtime here."""
        return f"pip install --force-reinstall --no-deps {self.runtime.distribution}"

    def inside(self) -> bool:
        """Whether this build of ONNX Runtime has the provider inside, and no plug-in is installed."""
        if find_spec(self.runtime.modules[0]) is not None or find_spec("onnxruntime") is None:
            return False
        try:
            import onnxruntime
        except ImportError:
            return False
        return self.runtime.native in getattr(onnxruntime, "get_available_providers", list)()

    def probe(self) -> Probe:
        """Climb from ``missing`` to ``works`` and say where it stopped."""
        if self.inside():
            return super().probe()
        if find_spec(self.runtime.modules[0]) is None:
            reason = f"`{self.runtime.distribution}` is not installed"
            return Probe(self.name, State.MISSING, reason=reason, hint=self.install())
        try:
            self.records()
        except ProviderUnavailable as error:
            reason, hint = error.message, error.hint
            return Probe(self.name, State.INSTALLED, versions=self.versions(), reason=reason, hint=hint)
        import onnxruntime

        return self.compute({"onnxruntime": onnxruntime.__version__})

    def compute(self, versions: dict[str, str]) -> Probe:
        """The last step of a probe, with what helps a plug-in."""
        found = super().compute(versions)
        return found if found.hint != _DOCTOR else replace(found, hint=self.remedy)

    def distributions(self) -> tuple[str, ...]:
        """The distributions that may have brought the module."""
        return (self.runtime.distribution,)

    def versions(self) -> dict[str, str]:
        """The plug-in's own version."""
        return _plugin_library.versions(self.distributions())

    def records(self) -> tuple[Any, ...]:
        """ONNX Runtime's records of its devices, the preferred one first; a ProviderUnavailable where there is none."""
        module = self.runtime.modules[0]
        if find_spec(module) is None:
            reason = f"`{self.runtime.distribution}` is not installed"
            raise ProviderUnavailable(reason, hint=self.install(), provider=self.name)
        library = _plugin_library.look(module, reinstall=self.reinstall())
        return _plugin_library.register(library, order=self.order, remedy=self.remedy)

    def devices(self) -> tuple[Device, ...]:
        """The devices that the library lists."""
        if self.inside():
            return (Device(self.name, self.order[0]),)
        return tuple(map(_plugin_library.device, self.records()))

    def chosen(self, options: Options) -> Any:
        """The record of the device that was asked for, or an InvalidSetting."""
        return _plugin_library.numbered(
            self.records(), options.extra.get(DEVICE.name) or DEVICE.default, self
        )

    def options_for(self, graph: Path | bytes, options: Options) -> dict[str, str]:
        """The execution provider's own options for one graph."""
        return self.provider_options(options)

    def open_graph(self, graph: Path | bytes, options: Options) -> Opened:
        """Open a graph file or a serialised graph on one device, with the CPU behind it."""
        if self.inside():
            return super().open_graph(graph, options)
        return self.wrap(self.session(graph, options), options)

    def session(self, graph: Path | bytes, options: Options) -> Any:
        """The runtime's own session.

        Raises:
            ProviderUnavailable: The plug-in is not here.
            RunFailed: It refused the graph.
        """
        record = self.chosen(options)
        import onnxruntime

        entries, raw = _onnxruntime_options.raw(options)
        found = _onnxruntime_options.settings(options, {**self.session_options(options), **entries})
        source = graph if isinstance(graph, bytes) else str(graph)
        try:
            found.add_provider_for_devices([record], {**self.options_for(graph, options), **raw})
            # Its fallback would print, and open the graph on the CPU alone.
            return onnxruntime.InferenceSession(source, found, enable_fallback=0)
        except Exception as error:
            raise _onnxruntime_options.refused(record.ep_name, graph, error, self.name) from error

    def wrap(self, session: Any, options: Options) -> Opened:
        """The open session as users get it, under the name that the device's record has for the provider."""
        if self.inside():
            return super().wrap(session, options)
        record = self.chosen(options)
        device = _plugin_library.device(record).name
        return self.opened(session, self.name, record.ep_name, device, self.precision(options))
