"""What GPUX does with one family, in a process of its own: ``pull`` it, or ``answer`` its task on one provider.

Usage: python validate_gpux.py pull|answer JOB.json OUT.json; an error is a record too, and exits 0.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import validate_answers

import gpux
from gpux.artifact import Certificate
from gpux.errors import GpuxError
from gpux.events import Stopwatch


def pull(job: Mapping[str, Any]) -> dict[str, Any]:
    """Fetch, convert, prove and store; seconds by stage, the certificate, and the providers that work here."""
    watch = Stopwatch()
    started = time.perf_counter()
    artifact = gpux.pull(job["reference"], exporter=job["exporter"], progress=watch)
    watch.stop()
    seconds = time.perf_counter() - started
    variant = artifact.variant()
    return {
        "task": artifact.task,
        "seconds": seconds,
        "stages": dict(watch.seconds),
        "parity": _figures(artifact.certificate),
        "exporter": variant.exporter,
        "versions": variant.versions,
        "bytes": artifact.size,
        "parameters": artifact.manifest.parameters,
        "providers": _providers(),
    }


def answer(job: Mapping[str, Any]) -> dict[str, Any]:
    """Answer the inputs on a provider, which is proven there first; its certificate, and the answers in a file."""
    with gpux.load(job["reference"], provider=job["provider"]) as model:
        asked = _ASKS.get(job["asks"], _call)
        started = time.perf_counter()
        given = asked(model, job["items"], job["parameters"])
        seconds = time.perf_counter() - started
        certificate = model.plan.certificate or model.artifact.certificate
        placement = asdict(model.placement)
    validate_answers.save(Path(job["answers"]), given)
    return {"seconds": seconds, "parity": _figures(certificate), "placement": placement}


def _call(model: Any, items: list[Any], parameters: Mapping[str, Any]) -> Any:
    return model(items, **parameters)


def _sentences(model: Any, items: list[Any], parameters: Mapping[str, Any]) -> Any:
    return model.encode(items, **parameters)


def _late(model: Any, items: list[Any], parameters: Mapping[str, Any]) -> Any:
    return {side: model.encode(items, prompt_name=side, **parameters) for side in ("query", "document")}


def _generation(model: Any, items: list[Any], parameters: Mapping[str, Any]) -> Any:
    """All in one batch, whose rows are filled up."""
    found = model.generate(items, do_sample=False, **parameters)
    return [{"tokens": " ".join(map(str, one.tokens)), "text": one.text} for one in found]


_ASKS = {
    "sentences": _sentences,
    "sparse": _sentences,
    "late": _late,
    "generation": _generation,
    "shown": _generation,
    "captions": _generation,
}


def _providers() -> list[str]:
    """What works here and computes; the null provider answers zeros, so it proves nothing."""
    return [
        probe.provider for probe in gpux.providers() if probe.state == "works" and probe.provider != "null"
    ]


def _figures(certificate: Certificate) -> dict[str, Any]:
    return {
        "quality": certificate.quality,
        "reference": certificate.reference,
        "runtime": certificate.runtime,
        "min_cosine": certificate.min_cosine,
        "max_abs": certificate.max_abs,
    }


def main(role: str, job: Path, out: Path) -> None:
    try:
        result = {"pull": pull, "answer": answer}[role](json.loads(job.read_text(encoding="utf-8")))
    except GpuxError as error:
        result = {"error": error.message, "hint": error.hint, "kind": type(error).__name__}
    except Exception as error:  # noqa: BLE001 - a cell of the matrix says what went wrong
        traceback.print_exc()
        result = {"error": f"{type(error).__name__}: {error}", "hint": None, "kind": "traceback"}
    out.write_text(json.dumps(result, default=str), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
