"""The record of scripts/gpu_check: JSON and Markdown, both written anew after every step, so that a kill keeps what there is."""

from __future__ import annotations

import json
import platform
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gpux import hardware
from gpux._version import __version__

NAME = "gpu-check"
SCHEMA = 1


@dataclass(slots=True)
class Report:
    """Everything that is known so far.

    Attributes:
        folder: Where it is written.
        settings: What the run was asked for.
        commit: Of the working copy.
        state: ``running``, ``complete``, ``interrupted``, ``budget`` (it ended), ``nothing`` (there was nothing to check) or ``failed``.
        said: The one sentence that goes with the state.
        accelerators: What the system lists.
        doctor: The doctor's findings.
        providers: Every provider's probe, and whether it is checked or why not.
        torch: What PyTorch sees, or why it is not asked.
        models: The models.
        rows: One per model, variant, provider and settings.
        troubles: What was done to the device, and what came of it.
        skipped: What was not done, and why.
    """

    folder: Path
    settings: dict[str, Any]
    commit: str
    state: str = "running"
    said: str = ""
    accelerators: list[dict[str, Any]] = field(default_factory=list)
    doctor: list[dict[str, Any]] = field(default_factory=list)
    providers: list[dict[str, Any]] = field(default_factory=list)
    torch: dict[str, Any] = field(default_factory=dict)
    models: list[dict[str, Any]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    troubles: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    date: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    _began: float = field(default_factory=time.monotonic)

    def skip(self, what: str, reason: str, hint: str | None = None) -> None:
        """Note what is not done."""
        self.skipped.append({"what": what, "reason": reason, "hint": hint or ""})

    def save(self) -> None:
        """Write both files; whoever reads them sees the old ones or the new ones."""
        self.folder.mkdir(parents=True, exist_ok=True)
        record = {
            "schema": SCHEMA,
            "name": NAME,
            "date": self.date,
            "state": self.state,
            "said": self.said,
            "seconds": round(time.monotonic() - self._began, 1),
            "gpux": __version__,
            "commit": self.commit,
            "python": platform.python_version(),
            "machine": asdict(hardware.describe()),
            "settings": self.settings,
            **{name: getattr(self, name) for name in _PARTS},
        }
        texts = {"json": json.dumps(record, indent=1, ensure_ascii=False) + "\n", "md": markdown(record)}
        for suffix, text in texts.items():
            path = self.folder / f"{NAME}.{suffix}"
            temporary = path.with_name(f".{path.name}")
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(path)


_PARTS = (
    "accelerators",
    "doctor",
    "providers",
    "torch",
    "models",
    "rows",
    "troubles",
    "skipped",
)


def markdown(record: dict[str, Any]) -> str:
    """The record for people."""
    machine = record["machine"]
    memory = f", {machine['memory'] / 2**30:.0f} GiB" if machine["memory"] else ""
    ends = f": {record['said']}" if record["said"] else ""
    lines = [
        "# GPU check",
        "",
        f"{record['date']}, gpux {record['gpux']}, commit {record['commit'][:12]}, Python {record['python']}; "
        f"{machine['processor']}, {machine['cores_allowed']} cores{memory}, {machine['system']} {machine['release']}.",
        "",
        f"State: {record['state']} after {record['seconds']:g} s{ends}.",
        "",
    ]
    for title, columns, rows in _tables(record):
        if rows:
            lines += [f"## {title}", "", _row(columns), _row("---" for _ in columns)]
            lines += [*map(_row, rows), ""]
    return "\n".join(lines)


def _tables(record: dict[str, Any]) -> Any:
    yield (
        "Devices",
        ("device", "kind", "driver"),
        [(one["name"], one["kind"], one["driver"] or "none") for one in record["accelerators"]],
    )
    yield (
        "Providers",
        ("provider", "state", "devices", "versions", "checked, or why not"),
        [
            (
                one["provider"],
                one["state"],
                ", ".join(f"{d['name']}{_memory(d['memory'])}" for d in one["devices"]),
                ", ".join(f"{name} {version}" for name, version in one["versions"].items()),
                one["skipped"] or f"on {one['device']}",
            )
            for one in record["providers"]
        ],
    )
    torch = record["torch"]
    if torch:
        seen = ", ".join(f"{name} ({title})" for name, title in torch.get("devices", {}).items())
        yield (
            "PyTorch",
            ("version", "CUDA", "devices", "compared on"),
            [
                (
                    torch.get("version") or "",
                    torch.get("cuda") or "",
                    seen,
                    torch.get("device") or torch["reason"],
                )
            ],
        )
    yield (
        "Opening, placement and parity",
        (
            "model",
            "configuration",
            "first open",
            "again",
            "first answer",
            "share",
            "precision",
            "min cosine",
            "max abs",
            "quality",
            "device memory",
        ),
        [_opening(row) for row in record["rows"] if row["opened"] or row["proof"] or row["reason"]],
    )
    batches = sorted({int(batch) for row in record["rows"] for batch in row["batches"]})
    yield (
        f"Speed, texts of {record['settings'].get('sequence', '?')} tokens",
        (
            "model",
            "configuration",
            *(f"batch {batch}" if batch > 1 else "one text" for batch in batches),
            "against the CPU",
            "against PyTorch fp32",
            "against PyTorch fp16",
            "agreement",
        ),
        [_speed(row, batches) for row in record["rows"] if row["batches"]],
    )
    yield (
        "Bad luck",
        ("provider", "what was done", "as it should", "what was said"),
        [
            (one["provider"], one["what"], "yes" if one["met"] else "NO", one["said"])
            for one in record["troubles"]
        ],
    )
    yield (
        "Not done",
        ("what", "why", "to type"),
        [(one["what"], one["reason"], one["hint"]) for one in record["skipped"]],
    )
    yield (
        "What the doctor says",
        ("subject", "state", "finding", "to type"),
        [(one["subject"], one["state"], one["finding"], one["remedy"] or "") for one in record["doctor"]],
    )


def _opening(row: dict[str, Any]) -> tuple[str, ...]:
    opened, proof, place = row["opened"] or {}, row["proof"] or {}, row["placement"] or {}
    share = ""
    if place:
        left = f", left behind: {', '.join(place['left_behind'])}" if place["left_behind"] else ""
        share = f"{place['share']:.0%} of {sum(place['nodes'].values())} nodes{left}"
    memory = [f"{one['bytes'] / 2**20:.0f} MiB" for one in opened.get("memory", []) if one["bytes"]]
    return (
        row["model"],
        row["label"],
        _seconds(opened.get("first")),
        _seconds(opened.get("again")),
        _seconds(opened.get("answer")),
        share or row["reason"] or "",
        place.get("precision", ""),
        f"{proof['min_cosine']:.7f}" if proof.get("min_cosine") is not None else "",
        f"{proof['max_abs']:.2g}" if proof.get("max_abs") is not None else "",
        proof.get("quality") or proof.get("reason") or "",
        ", ".join(memory),
    )


def _speed(row: dict[str, Any], batches: list[int]) -> tuple[str, ...]:
    cells = []
    for batch in batches:
        found = row["batches"].get(str(batch))
        if found is None:
            cells.append("")
        elif found["reason"]:
            cells.append(found["reason"])
        elif batch == 1:
            cells.append(f"{found['per_item'] * 1e3:.3g} ms")
        else:
            cells.append(f"{1 / found['per_item']:.4g} /s")
    ratios = [_ratios(row, name, batches) for name in ("cpu", "pytorch fp32", "pytorch fp16")]
    agreement = "" if row["agreement"] is None else f"{row['agreement']:.6f}"
    return (row["model"], row["label"], *cells, *ratios, agreement)


def _ratios(row: dict[str, Any], name: str, batches: list[int]) -> str:
    """How many times as fast, batch after batch; the interval is in the JSON."""
    found = [row["batches"].get(str(batch), {}).get("times", {}).get(name) for batch in batches]
    return " · ".join(f"{one['value']:.3g}×" if one else "–" for one in found) if any(found) else ""


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.3g} s"


def _memory(value: int | None) -> str:
    return f" ({value / 2**30:.0f} GiB)" if value else ""


def _row(cells: Any) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
