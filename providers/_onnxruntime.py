"""What every provider over ONNX Runtime shares: trying itself by computing, and opening a graph; knows no device."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from gpux import selftest
from gpux.errors import GpuxError, ProviderUnavailable, RunFailed
from gpux.provider import Device, Opened, Options, Probe, Runtime, Setting, State

from . import _onnxruntime_options
from ._onnxruntime_options import GRAPH
from ._onnxruntime_session import OnnxRuntimeSession

CPU = "CPUExecutionProvider"


class OnnxRuntimeProvider:
    """One execution provider of an onnxruntime distribution. A provider overrides what is different about it.

    Attributes:
        behind: Execution providers that take the nodes that this one leaves, in order.
    """

    name: str
    runtime: Runtime
    extra: str
    rank: int
    settings: tuple[Setting, ...] = (GRAPH,)
    behind: ClassVar[tuple[str, ...]] = (CPU,)

    def devices(self) -> tuple[Device, ...]:
        """The devices that it would run on; asked only after the runtime named the provider."""
        raise NotImplementedError

    def versions(self) -> dict[str, str]:
        """Versions of what lies below the runtime: drivers, libraries."""
        return {}

    def prepare(self) -> None:
        """Load what the runtime does not find by itself; called before anything is asked of the provider."""

    def provider_options(self, options: Options) -> dict[str, str]:
        """The execution provider's own options."""
        return {}

    def session_options(self, options: Options) -> dict[str, str]:
        """Session configuration entries."""
        return {}

    def precision(self, options: Options) -> str:
        """The precision that it computes in."""
        return options.precision

    def probe(self) -> Probe:
        """Climb from ``missing`` to ``works`` and say where it stopped."""
        install = f"pip install 'gpux[{self.extra}]'"
        name = self.name
        if find_spec("onnxruntime") is None:
            return Probe(
                name, State.MISSING, reason=f"`{self.runtime.distribution}` is not installed", hint=install
            )
        try:
            import onnxruntime
        except ImportError as error:
            reason = f"`onnxruntime` cannot be imported: {error}"
            return Probe(name, State.INSTALLED, reason=reason, hint=install)
        if not hasattr(onnxruntime, "InferenceSession"):
            reason = "`onnxruntime` is a broken mix of two distributions"
            return Probe(
                name, State.INSTALLED, reason=reason, hint=f"gpux doctor, then reinstall with {install}"
            )
        versions = {"onnxruntime": onnxruntime.__version__}
        if self.runtime.native not in onnxruntime.get_available_providers():
            reason = f"this build of onnxruntime does not list `{self.runtime.native}`"
            return Probe(name, State.MISSING, versions=versions, reason=reason, hint=install)
        return self.compute(versions)

    def compute(self, versions: dict[str, str]) -> Probe:
        """The last step of a probe: a graph of three nodes, and whether its numbers are right."""
        devices: tuple[Device, ...] = ()
        reason: str | None = None
        hint: str | None = "gpux doctor"
        try:
            self.prepare()
            versions |= self.versions()
            devices = self.devices()
            session = self.open_graph(selftest.graph(), Options(threads=1))
            if not selftest.matches(session.run(selftest.feeds())["y"]):
                reason = "it computed a three-node graph wrongly"
            elif not session.placement().share:
                reason = "it took no node of a graph of three, which ran on the CPU instead"
        except GpuxError as error:
            reason, hint = error.message, error.hint
        if reason:
            return Probe(self.name, State.LISTED, devices, versions, reason, hint)
        return Probe(self.name, State.WORKS, devices, versions)

    def open(self, graph: Path, options: Options, /) -> Opened:
        """Open a graph file."""
        if find_spec("onnxruntime") is not None:
            self.prepare()
        return self.open_graph(graph, options)

    def open_graph(self, graph: Path | bytes, options: Options) -> Opened:
        """Open a graph file or a serialised graph.

        Raises:
            ProviderUnavailable: ONNX Runtime is not here.
            RunFailed: It refused the graph.
        """
        try:
            import onnxruntime
        except ImportError as error:
            raise ProviderUnavailable(
                f"`{self.runtime.distribution}` is not installed",
                hint=f"pip install 'gpux[{self.extra}]'",
                provider=self.name,
            ) from error
        entries, raw = _onnxruntime_options.raw(options)
        wanted: list[Any] = [(self.runtime.native, {**self.provider_options(options), **raw})]
        wanted += [name for name in self.behind if name != self.runtime.native]
        settings = _onnxruntime_options.settings(options, {**self.session_options(options), **entries})
        source = graph if isinstance(graph, bytes) else str(graph)
        try:
            session = onnxruntime.InferenceSession(source, settings, providers=wanted)
        except Exception as error:
            raise _onnxruntime_options.refused(self.runtime.native, graph, error, self.name) from error
        if self.runtime.native not in session.get_providers():
            raise RunFailed(
                f"ONNX Runtime dropped {self.runtime.native} without an error",
                hint="gpux doctor",
                provider=self.name,
            )
        return self.wrap(session, options)

    def wrap(self, session: Any, options: Options) -> Opened:
        """The open session as users get it."""
        devices = self.devices()
        device = devices[0].name if devices else self.name
        return OnnxRuntimeSession(session, self.name, self.runtime.native, device, self.precision(options))
