"""GPUX's options → ONNX Runtime's: session settings, and which of the raw ones go where; knows no provider."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpux.errors import RunFailed
from gpux.provider import RUNTIME, Options, Setting

from ._onnxruntime_session import first_line

GRAPH = Setting(
    "graph",
    "How far ONNX Runtime rewrites the graph before it runs.",
    default="all",
    values=("all", "extended", "basic", "off"),
    # "all" adds layouts of convolutions to "extended", which some graphs pay for with transpositions.
    refine=("all", "extended"),
    numeric=True,
)
_LEVELS = {
    "all": "ORT_ENABLE_ALL",
    "extended": "ORT_ENABLE_EXTENDED",
    "basic": "ORT_ENABLE_BASIC",
    "off": "ORT_DISABLE_ALL",
}
# Session configuration entries begin with the room of the runtime that reads them; provider options have no dot.
# https://onnxruntime.ai/docs/api/c/onnxruntime__session__options__config__keys_8h.html
_QUIET = 4


def settings(options: Options, entries: Mapping[str, str]) -> Any:
    """``SessionOptions`` with threads, graph level, configuration entries, and placement that can be asked for."""
    import onnxruntime

    found = onnxruntime.SessionOptions()
    found.intra_op_num_threads = options.threads
    # Failures come back as exceptions; the rest is noise on a user's terminal.
    found.log_severity_level = _QUIET
    level = _LEVELS[options.extra.get("graph") or GRAPH.default]
    found.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    for key, value in {"session.record_ep_graph_assignment_info": "1", **entries}.items():
        found.add_session_config_entry(key, value)
    return found


def raw(options: Options) -> tuple[dict[str, str], dict[str, str]]:
    """What was given for the runtime as it stands: session configuration entries, and provider options."""
    given = {
        name.removeprefix(RUNTIME): value for name, value in options.extra.items() if name.startswith(RUNTIME)
    }
    entries = {name: value for name, value in given.items() if "." in name}
    return entries, {name: value for name, value in given.items() if name not in entries}


def refused(native: str, graph: Path | bytes, error: Exception, name: str) -> RunFailed:
    """The error for a graph that the runtime did not open."""
    label = "the graph" if isinstance(graph, bytes) else f"`{graph.name}`"
    return RunFailed(
        f"{native} refused {label}: {first_line(error)}",
        hint="gpux verify, then gpux pull --force",
        provider=name,
    )
