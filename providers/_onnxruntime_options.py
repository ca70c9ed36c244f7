"""GPUX's options → ONNX Runtime's: session settings, and which of the raw ones go where; knows no provider."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpux.errors import InvalidSetting, RunFailed
from gpux.provider import RUNTIME, Options, Setting

from ._onnxruntime_trouble import explain, first_line

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


def refused(native: str, graph: Path | bytes, error: Exception, name: str, extra: str = "") -> RunFailed:
    """The error for a graph that the runtime did not open."""
    if trouble := explain(str(error), native=native, extra=extra or name):
        return RunFailed(f"{native} cannot be used: {trouble.reason}", hint=trouble.hint, provider=name)
    label = "the graph" if isinstance(graph, bytes) else f"`{graph.name}`"
    return RunFailed(
        f"{native} refused {label}: {first_line(error)}",
        hint="gpux verify, then gpux pull --force",
        provider=name,
    )


def size(text: str, *, name: str, provider: str) -> int:
    """Bytes from text such as ``4GiB``, ``512 MiB`` or ``1000000``.

    Raises:
        InvalidSetting: It is none.
    """
    match = re.fullmatch(
        r"(\d{1,15}(?:\.\d{1,9})?)\s*([KMGT]?)(I?)B?", text.strip(), re.IGNORECASE | re.ASCII
    )
    found = (
        int(float(match[1]) * (1024 if match[3] else 1000) ** " KMGT".index(match[2].upper() or " "))
        if match
        else 0
    )
    if not 0 < found < 1 << 60:
        raise InvalidSetting(
            f"option `{name}` of provider `{provider}` is `{text}`, which is no size of memory",
            hint=f"--option {name}=4GiB",
            provider=provider,
            setting=name,
        )
    return found


def number(text: str, *, name: str, provider: str) -> int:
    """A device's number, from 0.

    Raises:
        InvalidSetting: It is none.
    """
    if not re.fullmatch(r"[0-9]{1,4}", text):
        raise InvalidSetting(
            f"option `{name}` of provider `{provider}` is `{text}`, which is no number from 0",
            hint=f"--option {name}=0",
            provider=provider,
            setting=name,
        )
    return int(text)
