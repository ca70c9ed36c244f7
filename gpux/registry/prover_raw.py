"""The part of the proof's worker for graphs of which only the types are known; see :mod:`gpux.export.probes_raw`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gpux.errors import ProofFailed
from gpux.events import Event, Progress
from gpux.export import probes, probes_raw
from gpux.provider import Opened


def compare(opened: Opened, job: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """The figures of every output, and the probes; finds the probes itself where there are none yet.

    Raises:
        ProofFailed: The graph contradicts itself or the reference, or runs at no size that was tried.
        UnsupportedModel: It takes or gives no tensors of numbers.
    """
    subject, path = probes_raw.Subject(opened), Path(job["probes"])
    if not path.exists():
        progress(Event("prove", "looking for sizes that the graph takes"))
        probes.save(path, probes_raw.find(subject))
    feeds = [_fit(subject, one) for one in probes.read(path)]
    progress(Event("prove", f"running {len(feeds)} probes"))
    actual = [subject.run(one) for one in feeds]
    if job["reference"]:
        expected, shapes = probes.read(Path(job["reference"])), [probes_raw.label(one) for one in feeds]
    else:
        answers = [probes_raw.answer(subject, *pair) for pair in zip(feeds, actual, strict=True)]
        expected = [one.expected for one in answers]
        shapes = [probes_raw.label(one, said.how) for one, said in zip(feeds, answers, strict=True)]
    parities = [probes_raw.parity(name, expected, actual) for name in expected[0]]
    if not any(parities):
        raise ProofFailed(
            f"every output is empty on every probe: {', '.join(subject.outputs)}",
            hint="a graph that gives nothing on random inputs cannot be proven",
        )
    if job["save"]:
        probes.save(Path(job["save"]), actual)
    return {"parity": [asdict(one) for one in parities if one], "shapes": shapes}


def _fit(subject: probes_raw.Subject, feeds: probes.Feeds) -> probes.Feeds:
    """Probes of another variant, whose numbers may be of another precision."""
    lacking = [spec.name for spec in subject.inputs if spec.name not in feeds]
    if lacking:
        raise ProofFailed(
            f"the graph wants an input `{lacking[0]}`, which the graph beside it does not have",
            hint="variants of one model take the same inputs; store this graph by itself",
            input=lacking[0],
        )
    return {spec.name: feeds[spec.name].astype(spec.dtype, copy=False) for spec in subject.inputs}
