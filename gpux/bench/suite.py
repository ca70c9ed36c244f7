"""Several configurations of one model, measured in turns: a report or a reason each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gpux.bench import documents
from gpux.bench.report import Report


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a configuration has no figures: the error's class, its sentence and its hint."""

    error: str
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One configuration.

    Attributes:
        label: What tells it from the others, such as ``int8 · batch 8``.
        axes: Axis (``provider``, ``variant``, ``mode``, ``batch``, ``sequence``, ``threads``, ``concurrency``) → value.
        report: Its figures; ``None`` where it could not be measured.
        reason: Why it could not, or why it stopped; ``None`` where all went well.
        agreement: Smallest cosine between its answers and the reference's, on the first of the same inputs; the reference
            is the source model, else the first row that ran on the provider of its proof, else the first. ``None`` for
            the reference itself, and where the inputs differ.
    """

    label: str
    axes: dict[str, str]
    report: Report | None
    reason: Reason | None = None
    agreement: float | None = None


@dataclass(frozen=True, slots=True)
class Suite:
    """Configurations of one model that were measured in turns, round by round.

    Attributes:
        schema: Version of this record.
        interrupted: Whether Ctrl-C cut it short.
        axes: The axes that were varied, in order, each with its values.
        interleaved: Whether they took turns; not where the memory had room for one at a time only.
        rows: One per configuration, in the order of the axes.
    """

    schema: int
    interrupted: bool
    axes: dict[str, tuple[str, ...]]
    interleaved: bool
    rows: tuple[Row, ...]

    @property
    def reports(self) -> tuple[Report, ...]:
        """The reports of the rows that have one."""
        return tuple(row.report for row in self.rows if row.report is not None)

    def to_json(self) -> str:
        """JSON text of every field; :meth:`from_json` gives back an equal suite."""
        return documents.dump(self, documents.SUITE)

    @classmethod
    def from_json(cls, data: str | bytes) -> Suite:
        """Read :meth:`to_json`'s text.

        Raises:
            InvalidInput: The text is no suite, or one of another schema; the message names what is wrong.
        """
        return documents.sound(documents.parse(data, {documents.SUITE: cls}), _flaws)

    def save(self, path: Path | str) -> None:
        """Write the suite: a reader sees the old file or the new one, never half of it.

        Raises:
            StoreUnwritable: The file cannot be written.
        """
        documents.write(path, self.to_json())


def read_report(path: Path | str) -> Report | Suite:
    """Read a report or a suite from a file.

    Raises:
        InvalidInput: The file cannot be read, or is neither.
    """
    kinds: dict[str, type[Report | Suite]] = {documents.REPORT: Report, documents.SUITE: Suite}
    return documents.read(path, kinds, _flaws)


def _flaws(document: Report | Suite) -> Iterator[str]:
    from gpux.bench.soundness import flaws

    if isinstance(document, Report):
        yield from flaws(document)
        return
    for number, row in enumerate(document.rows):
        if row.report is not None:
            yield from (f"in row {number}, {flaw}" for flaw in flaws(row.report))
