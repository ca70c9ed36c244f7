"""What every provider over ONNX Runtime shares: trying itself by computing, and opening a graph; knows no device."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from gpux import selftest
from gpux.errors import GpuxError
from gpux.provider import Device, Opened, Options, Probe, Runtime, Setting, State

from . import _onnxruntime_opening
from ._onnxruntime_options import GRAPH
from ._onnxruntime_session import OnnxRuntimeSession

CPU = "CPUExecutionProvider"


class OnnxRuntimeProvider:
    """One execution provider of an onnxruntime distribution. A provider overrides what is different about it.

    Attributes:
        behind: Execution providers that take the nodes that this one leaves, in order, where the build has them.
        library: The stem of the provider's own library beside ONNX Runtime (``cuda``), where it has one.
        systems: The values of ``sys.platform`` that it is built for; all when empty.
        memory: Where ONNX Runtime keeps tensors that stay between runs (``cuda``): the host's memory unless it knows better.
    """

    name: str
    runtime: Runtime
    extra: str
    rank: int
    settings: tuple[Setting, ...] = (GRAPH,)
    behind: ClassVar[tuple[str, ...]] = (CPU,)
    library: ClassVar[str] = ""
    systems: ClassVar[tuple[str, ...]] = ()
    memory: ClassVar[str] = "cpu"

    def devices(self) -> tuple[Device, ...]:
        """The devices that it would run on; asked only after the runtime named the provider."""
        return ()

    def versions(self) -> dict[str, str]:
        """Versions of what lies below the runtime: drivers, libraries."""
        return {}

    def prepare(self) -> None:
        """Load what the runtime does not find by itself; called before anything is asked of the provider."""

    def provider_options(self, options: Options) -> dict[str, str]:
        """The execution provider's own options."""
        return {}

    def graph_options(self, graph: Path | bytes, options: Options) -> dict[str, str]:
        """Further options of the execution provider that hang on the graph; bytes are the self-test's."""
        return {}

    def behind_options(self, name: str, options: Options) -> dict[str, str]:
        """The options of one that stands behind."""
        return {}

    def session_options(self, options: Options) -> dict[str, str]:
        """Session configuration entries."""
        return {}

    def adjust(self, settings: Any) -> None:
        """What of ``SessionOptions`` is no configuration entry."""

    def device(self, options: Options) -> str:
        """The name of the device that was chosen."""
        devices = self.devices()
        return devices[0].name if devices else self.name

    def native(self) -> str:
        """The runtime's own name for the provider, where that hangs on the version."""
        return self.runtime.native

    def precision(self, options: Options) -> str:
        """The precision that it computes in."""
        return options.precision

    def probe(self) -> Probe:
        """Climb from ``missing`` to ``works`` and say where it stopped."""
        install = f"pip install 'gpux[{self.extra}]'"
        name = self.name
        if find_spec("onnxruntime") is None:
            reason, hint = _onnxruntime_opening.absent(
                self, f"`{self.runtime.distribution}` is not installed"
            )
            return Probe(name, State.MISSING, reason=reason, hint=hint)
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
        if self.native() not in onnxruntime.get_available_providers():
            reason = f"this build of onnxruntime does not list `{self.native()}`"
            reason, hint = _onnxruntime_opening.absent(self, reason)
            return Probe(name, State.MISSING, versions=versions, reason=reason, hint=hint)
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
            ProviderUnavailable: ONNX Runtime is not here, or its build lacks the provider.
            RunFailed: It refused the graph, or the device cannot be used.
        """
        return self.wrap(_onnxruntime_opening.session(self, graph, options), options)

    def wrap(self, session: Any, options: Options) -> Opened:
        """The open session as users get it."""
        device, precision = self.device(options), self.precision(options)
        return OnnxRuntimeSession(session, self.name, self.native(), device, precision, memory=self.memory)
