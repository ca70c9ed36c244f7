"""The report: one record with identity, settings, raw samples, summaries and warnings of one configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gpux.bench import documents
from gpux.bench.conditions import Conditions
from gpux.bench.energy import Energy
from gpux.bench.identity import Identity
from gpux.bench.memory import Memory
from gpux.bench.samples import Samples
from gpux.bench.settings import Settings
from gpux.bench.summary import Summaries
from gpux.bench.warnings import Caution


@dataclass(frozen=True, slots=True)
class Report:
    """One benchmark of one configuration; all times in seconds.

    Attributes:
        schema: Version of this record.
        interrupted: Whether Ctrl-C cut it short.
        identity: What was measured.
        settings: How.
        samples: Every single run, as it was read.
        memory: What the model takes, on disk and in memory.
        energy: What the steady runs took, where the machine tells.
        conditions: What else the machine did meanwhile.
        summaries: What the steady runs come to.
        cautions: What a reader should be warned of.
    """

    schema: int
    interrupted: bool
    identity: Identity
    settings: Settings
    samples: Samples
    memory: Memory
    energy: Energy
    conditions: Conditions
    summaries: Summaries
    cautions: tuple[Caution, ...]

    def to_json(self) -> str:
        """JSON text of every field; :meth:`from_json` gives back an equal report."""
        return documents.dump(self, documents.REPORT)

    @classmethod
    def from_json(cls, data: str | bytes) -> Report:
        """Read :meth:`to_json`'s text.

        Raises:
            InvalidInput: The text is no report, or one of another schema; the message names what is wrong.
        """
        from gpux.bench.soundness import flaws

        return documents.sound(documents.parse(data, {documents.REPORT: cls}), flaws)

    def save(self, path: Path | str) -> None:
        """Write the report: a reader sees the old file or the new one, never half of it.

        Raises:
            StoreUnwritable: The file cannot be written.
        """
        documents.write(path, self.to_json())
