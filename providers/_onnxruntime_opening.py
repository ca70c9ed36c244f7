"""A provider, a graph and options → ONNX Runtime's own session on that provider, or an error that says why not."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpux.errors import ProviderUnavailable, RunFailed
from gpux.provider import Options

from . import _onnxruntime_options
from ._onnxruntime_trouble import explain, unloaded

if TYPE_CHECKING:
    from ._onnxruntime import OnnxRuntimeProvider

_CPU = "CPUExecutionProvider"
_SYSTEMS = {"linux": "Linux", "win32": "Windows", "darwin": "macOS"}


def session(provider: OnnxRuntimeProvider, graph: Path | bytes, options: Options) -> Any:
    """An ``InferenceSession`` that really has the provider.

    Raises:
        ProviderUnavailable: ONNX Runtime is not here, or its build lacks the provider.
        RunFailed: It refused the graph, or went on without the provider.
    """
    native = provider.native()
    try:
        import onnxruntime
    except ImportError as error:
        reason, hint = absent(provider, f"`{provider.runtime.distribution}` is not installed")
        raise ProviderUnavailable(reason, hint=hint, provider=provider.name) from error
    here = onnxruntime.get_available_providers()
    if native not in here:  # ONNX Runtime would warn, and open it on the CPU
        reason, hint = absent(provider, f"this build of onnxruntime does not list `{native}`")
        raise ProviderUnavailable(reason, hint=hint, provider=provider.name)
    entries, raw = _onnxruntime_options.raw(options)
    own = {**provider.provider_options(options), **provider.graph_options(graph, options), **raw}
    entries = {**provider.session_options(options), **entries}
    alone = entries.get("session.disable_cpu_ep_fallback") == "1"  # refused where the CPU is named as well
    behind = [
        name for name in provider.behind if name in here and name != native and not (alone and name == _CPU)
    ]
    wanted = [(native, own), *((name, provider.behind_options(name, options)) for name in behind)]
    settings = _onnxruntime_options.settings(options, entries)
    provider.adjust(settings)
    source = graph if isinstance(graph, bytes) else str(graph)
    try:
        # With its fallback, ONNX Runtime prints to standard output what went wrong, and retries on the CPU.
        found = onnxruntime.InferenceSession(source, settings, providers=wanted, enable_fallback=0)
    except Exception as error:
        if "Please install TensorRT libraries" in str(error):  # all that it says; the loader knows which
            raise dropped(provider) from error
        raise _onnxruntime_options.refused(native, graph, error, provider.name, provider.extra) from error
    if native not in found.get_providers():
        raise dropped(provider)
    return found


def absent(provider: OnnxRuntimeProvider, reason: str) -> tuple[str, str]:
    """Why a provider is not here, and what to type: nothing brings it to a system that it was never built for."""
    if provider.systems and sys.platform not in provider.systems:
        names = " and ".join(_SYSTEMS[system] for system in provider.systems)
        return f"{provider.native()} exists only on {names}", "gpux providers tells what works here"
    return reason, f"pip install 'gpux[{provider.extra}]'"


def dropped(provider: OnnxRuntimeProvider) -> RunFailed:
    """The error for a session that came back without the provider that was asked for."""
    native, said = provider.native(), unloaded(provider.library)
    trouble = explain(said, native=native, extra=provider.extra) if said else None
    reason = trouble.reason if trouble else said or "ONNX Runtime dropped it without an error"
    hint = trouble.hint if trouble else "gpux doctor"
    return RunFailed(f"{native} cannot be used: {reason}", hint=hint, provider=provider.name)
