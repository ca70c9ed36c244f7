"""GPUX: pull, prove, run and benchmark any Hugging Face model on the fastest thing this machine really has.

The public names are loaded when they are first used, so that ``import gpux`` costs next to nothing.
"""

from __future__ import annotations

from gpux._version import __version__

TYPE_CHECKING = False  # what type checkers read; importing typing for it would cost more than this module
if TYPE_CHECKING:
    from typing import Any

    from gpux import errors
    from gpux.artifact import Artifact
    from gpux.bench import benchmark
    from gpux.bench.assess import Thresholds, assess, read_thresholds
    from gpux.bench.comparison import compare
    from gpux.bench.history import History
    from gpux.bench.ranking import rank
    from gpux.bench.report import Report
    from gpux.bench.suite import Suite, read_report
    from gpux.campaign import sweep
    from gpux.doctor import diagnose
    from gpux.export.toolchains import exporters, install_exporter
    from gpux.forecasting import forecast
    from gpux.generation.loop import Generated
    from gpux.loading import load, options, plan, providers
    from gpux.machine.findings import findings
    from gpux.model import Model
    from gpux.pipelines.failures import Failed
    from gpux.race import forget, tune
    from gpux.race.record import Race
    from gpux.registry.building import build, write_blueprint
    from gpux.registry.pull import plan_pull, pull
    from gpux.registry.store import Removal, Store

__all__ = [
    "Artifact",
    "Failed",
    "Generated",
    "History",
    "Model",
    "Race",
    "Removal",
    "Report",
    "Store",
    "Suite",
    "Thresholds",
    "__version__",
    "assess",
    "benchmark",
    "build",
    "compare",
    "diagnose",
    "errors",
    "exporters",
    "findings",
    "forecast",
    "forget",
    "install_exporter",
    "load",
    "options",
    "plan",
    "plan_pull",
    "providers",
    "pull",
    "rank",
    "read_report",
    "read_thresholds",
    "sweep",
    "tune",
    "write_blueprint",
]

_HOMES = {
    "Artifact": "gpux.artifact",
    "Failed": "gpux.pipelines.failures",
    "Generated": "gpux.generation.loop",
    "History": "gpux.bench.history",
    "Model": "gpux.model",
    "Race": "gpux.race.record",
    "Removal": "gpux.registry.store",
    "Report": "gpux.bench.report",
    "Store": "gpux.registry.store",
    "Suite": "gpux.bench.suite",
    "Thresholds": "gpux.bench.assess",
    "assess": "gpux.bench.assess",
    "benchmark": "gpux.bench",
    "build": "gpux.registry.building",
    "compare": "gpux.bench.comparison",
    "diagnose": "gpux.doctor",
    "exporters": "gpux.export.toolchains",
    "findings": "gpux.machine.findings",
    "forecast": "gpux.forecasting",
    "forget": "gpux.race",
    "install_exporter": "gpux.export.toolchains",
    "load": "gpux.loading",
    "options": "gpux.loading",
    "plan": "gpux.loading",
    "plan_pull": "gpux.registry.pull",
    "providers": "gpux.loading",
    "pull": "gpux.registry.pull",
    "rank": "gpux.bench.ranking",
    "read_report": "gpux.bench.suite",
    "read_thresholds": "gpux.bench.assess",
    "sweep": "gpux.campaign",
    "tune": "gpux.race",
    "write_blueprint": "gpux.registry.building",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "errors":
        return import_module("gpux.errors")
    if name not in _HOMES:
        raise AttributeError(f"module 'gpux' has no attribute '{name}'")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
