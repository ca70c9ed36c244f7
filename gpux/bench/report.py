"""The report: one record with identity, settings, raw samples, summaries and warnings, written to JSON and read back exactly."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from gpux.bench.identity import Identity
from gpux.bench.measure import Samples
from gpux.bench.records import Mismatch, decode
from gpux.bench.summary import Summaries
from gpux.bench.warnings import Caution
from gpux.errors import InvalidInput, StoreUnwritable

SCHEMA = 1
KIND = "gpux benchmark"


@dataclass(frozen=True, slots=True)
class Settings:
    """How it was measured.

    Attributes:
        runs: Steady runs that were asked for.
        warmup: Runs between the first and the steady ones.
        parameters: The task's parameters, as JSON.
        clock: The clock that was read around each run.
        collector: What the garbage collector did.
        percentiles: How percentiles are defined; see :func:`gpux.bench.stats.percentile`.
    """

    runs: int
    warmup: int
    parameters: dict[str, Any]
    clock: str = "perf_counter_ns"
    collector: str = "off during each run"
    percentiles: str = "linear interpolation"


@dataclass(frozen=True, slots=True)
class Report:
    """One benchmark of one configuration; all times in seconds.

    Attributes:
        schema: Version of this record.
        interrupted: Whether Ctrl-C cut it short.
        identity: What was measured.
        settings: How.
        samples: Every single run, as it was read.
        summaries: What the steady runs come to.
        cautions: What a reader should be warned of.
    """

    schema: int
    interrupted: bool
    identity: Identity
    settings: Settings
    samples: Samples
    summaries: Summaries
    cautions: tuple[Caution, ...]

    def to_json(self) -> str:
        """JSON text of every field; :meth:`from_json` gives back an equal report."""
        return (
            json.dumps({"kind": KIND, **asdict(self)}, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        )

    @classmethod
    def from_json(cls, data: str | bytes) -> Report:
        """Read :meth:`to_json`'s text.

        Raises:
            InvalidInput: The text is no report, or one of another schema; the message names what is wrong.
        """
        try:
            raw = json.loads(data, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise InvalidInput(f"this is no benchmark report: {error}", hint=_HINT) from error
        if not isinstance(raw, dict) or raw.get("kind") != KIND:
            raise InvalidInput(f'this is no benchmark report: it lacks `"kind": "{KIND}"`', hint=_HINT)
        if raw.get("schema") != SCHEMA:
            found = raw.get("schema")
            newer = isinstance(found, int) and found > SCHEMA
            raise InvalidInput(
                f"this report has schema {found!r}, this version of gpux reads {SCHEMA}",
                hint="pip install --upgrade gpux" if newer else _HINT,
                schema=found,
            )
        try:
            report = decode(cls, {name: value for name, value in raw.items() if name != "kind"})
        except Mismatch as error:
            raise InvalidInput(f"this benchmark report is damaged: {error}", hint=_HINT) from error
        _check_columns(report.samples)
        return report

    def save(self, path: Path | str) -> None:
        """Write the report: a reader sees the old file or the new one, never half of it.

        Raises:
            StoreUnwritable: The file cannot be written.
        """
        target = Path(path)
        try:
            _write(target, self.to_json())
        except OSError as error:
            raise StoreUnwritable(
                f"the report cannot be written to `{target}`: {error.strerror or error}",
                hint="give --output a path in a directory that exists and that you may write to",
                path=target,
            ) from error


def read(path: Path | str) -> Report:
    """Read a report from a file.

    Raises:
        InvalidInput: The file cannot be read, or is no report.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InvalidInput(
            f"`{path}` cannot be read: {error.strerror or error}", hint="check the path", path=path
        ) from error
    try:
        return Report.from_json(data)
    except InvalidInput as error:
        raise InvalidInput(f"`{path}`: {error.message}", hint=error.hint, path=path) from error


def plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as JSON gives them back; what JSON lacks becomes text."""
    found: dict[str, Any] = json.loads(json.dumps(dict(parameters), default=str))
    return found


_HINT = "make one with gpux run MODEL --benchmark --output FILE.json"


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _check_columns(samples: Samples) -> None:
    for phase in ("first", "warmup", "steady"):
        series = getattr(samples, phase)
        if any(len(column) != len(series) for column in (series.start, *series.stages.values())):
            raise InvalidInput(
                f"this benchmark report is damaged: the columns of `samples.{phase}` differ in length",
                hint=_HINT,
            )


def _write(target: Path, text: str) -> None:
    if target.exists() and not target.is_file() and not target.is_dir():
        # A pipe or a device takes the text as it comes; replacing it would destroy it.
        target.write_text(text, encoding="utf-8")
        return
    target = target.resolve()
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
