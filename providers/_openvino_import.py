"""OpenVINO without its telemetry, which sends statistics from a fork of this process while it is imported."""

from __future__ import annotations

import sys
from typing import Any

_TELEMETRY = "openvino_telemetry"


def load() -> Any:
    """The module; OpenVINO takes the stub that it brings where its telemetry cannot be imported.

    A fork of a process that has threads can hang for good, and whoever works offline has asked for no connection.
    https://github.com/openvinotoolkit/telemetry

    Raises:
        ImportError: It is not installed.
    """
    barred = _TELEMETRY not in sys.modules
    if barred:
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # the way to make an import fail
    try:
        import openvino
    finally:
        if barred:
            del sys.modules[_TELEMETRY]
    return openvino


def opset() -> Any:
    """The operators that graphs are made of."""
    load()
    import openvino.opset15 as operators

    return operators
