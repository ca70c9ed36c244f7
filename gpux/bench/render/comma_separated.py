"""Reports and suites as comma-separated values: a row per configuration, the same columns always, times in seconds.

Quoted as RFC 4180 has it; lines end with a line feed alone, which a terminal shows as one. The raw samples are in the JSON.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gpux.bench.render.screen import one_line

if TYPE_CHECKING:
    from gpux.bench.report import Report
    from gpux.bench.suite import Suite

FIGURES = ("mean", "std", "min", "max", "median", "p50", "p90", "p95", "p99", "mad", "variation")
STAGES = ("queue", "preprocess", "transfer", "infer", "postprocess")
IDENTITY = (
    "reference", "resolved", "digest", "task", "mode", "variant", "provider", "device", "precision", "share",
    "quality", "against", "min_cosine", "top1", "threads", "started",
)  # fmt: skip
SETTINGS = ("scenario", "level", "sequence", "concurrency", "rate", "rounds", "isolation")
REPORT = (
    *IDENTITY, *SETTINGS, "noun", "items", "batch", "runs", "failed", "outliers", "interrupted", "preparation", "load",
    "first", *FIGURES, "median_low", "median_high", "mean_low", "mean_high", "throughput", "throughput_low",
    "throughput_high", *(f"{stage}_median" for stage in STAGES), "stages", "rates", "first_piece_median",
    "between_pieces_median", "between_pieces_p95", "between_pieces_p99", "token_median", "decode_rate", "prompt_rate",
    "new_tokens", "acceptance", "cache_bytes", "disk_bytes", "memory_before", "memory_loaded", "memory_peak",
    "gpu_memory_peak", "joules", "joules_per_item", "cost_per_million", "warnings",
)  # fmt: skip
RANK = ("relative", "relative_low", "relative_high", "best", "as_fast", "agreement", "error", "message")
AXES = ("mode", "provider", "variant", "batch", "sequence", "threads", "concurrency")


def text(document: Report | Suite) -> str:
    """A header and a row per configuration."""
    from gpux.bench.report import Report

    if isinstance(document, Report):
        return written(REPORT, [row(document)])
    return written(("label", *REPORT, *RANK), _suite(document))


def written(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """A header and rows; what a row lacks or has as ``None`` is empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for found in rows:
        writer.writerow([_cell(found.get(column)) for column in columns])
    return stream.getvalue()


def row(report: Report) -> dict[str, Any]:
    """A report as columns."""
    who, how, found, memory = report.identity, report.settings, report.summaries, report.memory
    answered = report.summaries.items
    pieces = found.pieces
    cells: dict[str, Any] = {name: getattr(who, name) for name in IDENTITY}
    cells |= {name: getattr(how, name) for name in SETTINGS}
    cells |= {name: getattr(found.steady, name, None) for name in FIGURES}
    for name in ("median", "mean", "throughput"):
        cells[f"{name}_low"], cells[f"{name}_high"] = found.intervals.get(name, (None, None))
    medians = {stage: summary.median for stage, summary in found.stages.items()}
    disk = memory.disk.get(who.variant)
    peaks = [device.own_peak for device in memory.devices if device.own_peak is not None]
    return cells | {
        "noun": who.workload.noun,
        "items": who.workload.items,
        "batch": who.workload.batch,
        "runs": len(report.samples.steady),
        "failed": len(report.samples.failures),
        "outliers": len(found.outliers),
        "interrupted": report.interrupted,
        "preparation": found.preparation,
        "load": found.load,
        "first": found.first,
        "throughput": found.throughput,
        **{f"{stage}_median": medians.get(stage) for stage in STAGES},
        "stages": json.dumps(medians, ensure_ascii=False),
        "rates": json.dumps(found.rates, ensure_ascii=False),
        "first_piece_median": pieces and pieces.first.median,
        "between_pieces_median": pieces and pieces.between and pieces.between.median,
        "between_pieces_p95": pieces and pieces.between and pieces.between.p95,
        "between_pieces_p99": pieces and pieces.between and pieces.between.p99,
        "token_median": pieces and pieces.token and pieces.token.median,
        "decode_rate": pieces and pieces.rate,
        "prompt_rate": pieces and pieces.prompt,
        "new_tokens": pieces and pieces.tokens,
        "acceptance": pieces and pieces.acceptance,
        "cache_bytes": memory.cache,
        "disk_bytes": sum(disk.values()) if disk else None,
        "memory_before": memory.before,
        "memory_loaded": memory.loaded,
        "memory_peak": memory.peak,
        "gpu_memory_peak": sum(peaks) if peaks else None,
        "joules": report.energy.joules,
        "joules_per_item": report.energy.per_inference(answered),
        "cost_per_million": found.cost_per_million,
        "warnings": " ".join(caution.name for caution in report.cautions),
    }


def _suite(suite: Suite) -> Iterable[dict[str, Any]]:
    from gpux.bench import ranking

    for found, standing in zip(suite.rows, ranking.rank(suite).standings, strict=True):
        relative, reason = standing.relative, found.reason
        cells: dict[str, Any] = {"label": found.label}
        cells |= {name: found.axes.get(name) for name in AXES} if found.report is None else row(found.report)
        yield cells | {
            "relative": 1.0 if standing.best else relative and relative.value,
            "relative_low": relative and relative.low,
            "relative_high": relative and relative.high,
            "best": standing.best,
            "as_fast": standing.as_fast,
            "agreement": standing.agreement,
            "error": reason and reason.error,
            "message": reason and reason.message,
        }


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return value
    said = one_line(value)
    # A spreadsheet takes these for a formula: https://owasp.org/www-community/attacks/CSV_Injection
    return f"'{said}" if said.lstrip(" \xa0").startswith(("=", "+", "-", "@")) else said
