"""The OpenVINO provider: OpenVINO's own runtime, on its CPU, GPU, NPU or AUTO device, with the precision always said."""

from __future__ import annotations

import io
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gpux import selftest
from gpux.errors import GpuxError, InvalidSetting, ProviderUnavailable, RunFailed
from gpux.provider import RUNTIME, Opened, Options, Probe, Runtime, State, setting

from ._openvino_import import load
from ._openvino_placement import described
from ._openvino_settings import CHOOSERS, SETTINGS, properties
from ._openvino_words import first_line

_INSTALL = "pip install 'gpux[openvino]'"


class OpenVino:
    """Intel's runtime; its CPU device runs on every x86-64 and Arm processor."""

    name = "openvino"
    runtime = Runtime("openvino", "OpenVINO", ("openvino",))
    extra = "openvino"
    rank = 5  # below cpu while nothing was measured: the proof ran there
    settings = SETTINGS

    def probe(self) -> Probe:
        """Compute the self-test's graph on the CPU device, the one that is always there."""
        if find_spec("openvino") is None:
            return Probe(self.name, State.MISSING, reason="`openvino` is not installed", hint=_INSTALL)
        try:
            openvino = load()
            core = openvino.Core()
            names = core.available_devices
            devices = tuple(described(core, name) for name in names)
        except Exception as error:  # noqa: BLE001 - a broken installation raises what it likes
            reason = f"`openvino` cannot be used: {first_line(error)}"
            return Probe(self.name, State.INSTALLED, reason=reason, hint=f"{_INSTALL} --force-reinstall")
        versions = {"openvino": openvino.__version__.partition("-")[0]}
        if not devices:
            return Probe(
                self.name, State.INSTALLED, versions=versions, reason="it lists no device", hint=_INSTALL
            )
        try:
            first = {"device": names[0].partition(".")[0]}
            opened = self._open(selftest.graph(), Options(threads=1, extra=first))
            right = selftest.matches(opened.run(selftest.feeds())["y"])
        except GpuxError as error:
            return Probe(self.name, State.LISTED, devices, versions, error.message, error.hint)
        if not right:
            reason = "it computed a three-node graph wrongly"
            return Probe(self.name, State.LISTED, devices, versions, reason, f"{_INSTALL} --upgrade")
        return Probe(self.name, State.WORKS, devices, versions)

    def open(self, graph: Path, options: Options, /) -> Opened:
        """Compile a graph file for ``options.extra["device"]``, with ``options.threads`` threads on the CPU device."""
        return self._open(graph, options)

    def _open(self, graph: Path | bytes, options: Options) -> Opened:
        try:
            core = load().Core()
        except ImportError as error:
            raise ProviderUnavailable(
                "`openvino` is not installed", hint=_INSTALL, provider=self.name
            ) from error
        device = setting("device", options.extra, self).upper()
        _must_have(core, device)
        fixed = setting("shapes", options.extra, self) == "fixed"
        from gpux.onnx_reader import read_graph

        from ._openvino_decoding import opened, reader  # whoever opens nothing does not pay for it

        try:
            read = reader(core, lambda: io.BytesIO(graph) if isinstance(graph, bytes) else str(graph))
            ends = None if isinstance(graph, bytes) else read_graph(graph)
            given = properties(device, options, self)
            return opened(core, read, device, given, fixed=fixed, declared=ends)
        except Exception as error:
            label = "the graph" if isinstance(graph, bytes) else f"`{graph.name}`"
            said = first_line(error)
            own = next(
                (name for name in options.extra if name.startswith(RUNTIME) and _is_of(name, said)), None
            )
            raise RunFailed(
                f"OpenVINO refused {label} on {device}: {said}",
                hint=f"check --option {own}, or leave it out" if own else "try --provider cpu",
                provider=self.name,
            ) from error


def _is_of(name: str, said: str) -> bool:
    """Whether OpenVINO speaks of a raw setting, by its name or by its value's."""
    return name.removeprefix(RUNTIME) in said


def _must_have(core: Any, device: str) -> None:
    have = core.available_devices
    if device.partition(":")[0] in CHOOSERS or device in have:
        return
    if not any(one.partition(".")[0] == device for one in have):
        listed = ", ".join(have) or "none"
        raise InvalidSetting(
            f"OpenVINO has no device `{device}` here",
            hint=f"its devices are {listed}; AUTO lets it choose",
            setting="device",
        )


provider = OpenVino()
