"""What the benchmark scripts share: processes measured by the kernel, interleaved rounds, ratios with intervals, one record.

Imports numpy only when the measuring is over: a child's peak memory as the kernel tells it is never less than what its
parent held when it was started.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from gpux import hardware
from gpux.bench.stats import bootstrap_interval

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = (
    "gpux",
    "numpy",
    "click",
    "tokenizers",
    "onnxruntime",
    "openvino",
    "transformers",
    "torch",
    "sentence-transformers",
)


@dataclass(frozen=True, slots=True)
class Run:
    """One process, from start to end: wall seconds, processor seconds, peak resident bytes, and what it printed."""

    seconds: float
    processor: float
    peak: int
    output: str


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the result: a value with its 95 % interval, and the target that it is held to.

    ``met`` is what the value itself says; ``certain`` is whether the whole interval lies on the same side of the target.
    """

    name: str
    value: float
    low: float
    high: float
    unit: str
    target: str
    met: bool | None
    certain: bool | None


@dataclass(slots=True)
class Record:
    """Everything that one script found."""

    name: str
    title: str
    settings: dict[str, object]
    versions: dict[str, dict[str, str]]
    samples: dict[str, list[float]] = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def save(self, folder: Path) -> None:
        """Print the figures, and write the record as JSON and as a Markdown fragment."""
        folder.mkdir(parents=True, exist_ok=True)
        machine = hardware.describe()
        now = datetime.now(UTC).isoformat(timespec="seconds")
        whole = {
            "name": self.name,
            "title": self.title,
            "date": now,
            "commit": _commit(),
            "machine": asdict(machine),
            "python": platform.python_version(),
            "versions": self.versions,
            "settings": self.settings,
            "figures": [asdict(figure) for figure in self.figures],
            "notes": self.notes,
            "samples": self.samples,
        }
        (folder / f"{self.name}.json").write_text(
            json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        text = self._markdown(now, machine)
        (folder / f"{self.name}.md").write_text(text, encoding="utf-8")
        print(text)

    def _markdown(self, now: str, machine: hardware.Machine) -> str:
        used = "; ".join(
            f"{who}: " + ", ".join(f"{n} {v}" for n, v in have.items()) for who, have in self.versions.items()
        )
        memory = f", {machine.memory / 2**30:.0f} GiB" if machine.memory else ""
        lines = [
            f"## {self.title}",
            "",
            f"{now[:10]}, commit {_commit()[:12]}, {machine.processor}, {machine.cores_allowed} cores{memory},"
            f" {machine.system} {machine.release}.",
            f"{used}.",
            f"Settings: {', '.join(f'{name} {value}' for name, value in self.settings.items())}.",
            "",
            "| figure | value | 95 % interval | target | |",
            "| --- | --- | --- | --- | --- |",
        ]
        for figure in self.figures:
            verdict = "" if figure.met is None else "met" if figure.met else "missed"
            if figure.certain is False:
                verdict += " (the interval reaches over the target)"
            lines.append(
                f"| {figure.name} | {_short(figure.value)}{figure.unit} | {_short(figure.low)} to {_short(figure.high)} "
                f"| {figure.target} | {verdict} |"
            )
        return "\n".join([*lines, "", *(f"{note}  " for note in self.notes)]).rstrip() + "\n"


def figure(
    name: str,
    statistic: Callable[..., float],
    *groups: Sequence[float],
    unit: str = "",
    most: float | None = None,
    least: float | None = None,
) -> Figure:
    """A figure of one or several groups of samples, held to ``most`` or ``least`` where one is given."""
    import numpy as np

    value = float(statistic(*(np.asarray(group, np.float64) for group in groups)))
    low, high = bootstrap_interval(statistic, *groups)
    met = certain = None
    target = ""
    if most is not None:
        target, met, certain = f"≤ {most:g}{unit}", value <= most, high <= most or low > most
    elif least is not None:
        target, met, certain = f"≥ {least:g}{unit}", value >= least, low >= least or high < least
    return Figure(name, value, low, high, unit, target, met, certain)


def median(values: Sequence[float]) -> float:
    """The median, whatever holds the values."""
    return statistics.median(map(float, values))


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """The ratio of each round: what slows a whole round down cancels out."""
    return [one / other for one, other in zip(above, below, strict=True)]


def differences(one: Sequence[float], other: Sequence[float]) -> list[float]:
    """The difference of each round."""
    return [mine - theirs for mine, theirs in zip(one, other, strict=True)]


def execute(argv: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> Run:
    """Run a process to its end; its figures come from the kernel (``wait4``).

    Raises:
        SystemExit: It failed; what it said is printed.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.perf_counter()
        process = subprocess.Popen(
            [str(word) for word in argv],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env={**os.environ, **(environment or {})},
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode:
            words = " ".join(str(word)[:60] for word in argv)
            raise SystemExit(
                f"error: `{words}` ended with {process.returncode}\n{err.read().decode(errors='replace')}"
            )
        unit = 1 if sys.platform == "darwin" else 1024
        return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit, out.read().decode())


def interleave(
    cases: Mapping[str, Callable[[], Run]], rounds: int, *, discard: int = 1
) -> dict[str, list[Run]]:
    """Run every case once per round, each round beginning with another one; the first rounds fill caches and are dropped."""
    names = list(cases)
    found: dict[str, list[Run]] = {name: [] for name in names}
    for index in range(discard + rounds):
        shift = index % len(names)
        for name in names[shift:] + names[:shift]:
            run = cases[name]()
            if index >= discard:
                found[name].append(run)
        print(f"round {index + 1} of {discard + rounds}", file=sys.stderr)
    return found


def versions(interpreter: str | Path) -> dict[str, str]:
    """The versions of :data:`PACKAGES` in an interpreter's environment, its own version first."""
    code = (
        "import json, platform\nfrom importlib.metadata import PackageNotFoundError, version\n"
        "found = {'python': platform.python_version()}\n"
        f"for name in {PACKAGES!r}:\n"
        "    try: found[name] = version(name)\n"
        "    except PackageNotFoundError: pass\n"
        "print(json.dumps(found))"
    )
    found: dict[str, str] = json.loads(execute([interpreter, "-c", code]).output)
    return found


def command(interpreter: Path) -> list[str | Path]:
    """The ``gpux`` command of an interpreter's environment."""
    script = interpreter.parent / "gpux"
    return [script] if script.exists() else [interpreter, "-m", "gpux"]


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _short(value: float) -> str:
    if 0.99 < value < 1:
        return f"{value:.7f}"
    return f"{value:.4g}" if abs(value) < 10_000 else f"{value:.0f}"
