"""The steps of scripts/gpu_check on one provider and one model: opening, parity, speed in turns, and bad luck.

Takes what it knows of a provider from the provider's own records; no provider is named here.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from gpu_check_child import SEQUENCE
from gpu_check_models import Subject
from gpu_check_report import Report

from gpux import hardware, tasks
from gpux.bench import agreement, intervals
from gpux.errors import GpuxError, WorkerFailed
from gpux.machine.proofs import Book
from gpux.planning import Candidate, Proof, proof_key, stands
from gpux.provider import Device, Probe, Provider, settings
from gpux.race import entrants
from gpux.worker.parent import Worker, limits

BATCHES = (1, 32, 8, 128)
"""Texts at once, in the order in which they are worth knowing."""

ROUNDS = 5
LONGEST = 1.0
"""Seconds of a turn."""

ROOM = 1.5
"""Free memory that another process needs, in units of what the largest so far took; :data:`USUAL` before anybody knows."""

USUAL = 3 << 30
SAMPLES = 8
DEVICE = "device"
FLOOD = 2.0
"""How many times the device's memory is asked for."""


class Clock:
    """The budget."""

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds."""
        return self._ends - time.monotonic()

    def part(self, share: float) -> Clock:
        """A budget of a share of what is left."""
        return Clock(max(0.0, self.left()) * share)


@dataclass(frozen=True, slots=True)
class Checked:
    """A provider that is checked, and the device that it is checked on.

    Attributes:
        provider: The provider.
        probe: What it found.
        device: The device.
        where: What names the device to the provider; empty where that is its default.
    """

    provider: Provider
    probe: Probe
    device: Device
    where: dict[str, str]

    def candidates(self, subject: Subject) -> list[Candidate]:
        """A candidate per variant and combination of settings worth measuring, then with each switch that is off turned on."""
        artifact, name = subject.artifact, self.provider.name
        variants = [one.name for one in artifact.manifest.variants]
        found = entrants.first(
            artifact, {name: self.provider}, [self.probe], variants=variants, cores=hardware.cores_allowed()
        )
        raced = {one.name for one in settings(self.provider) if one.race}
        switches = [
            one.name
            for one in settings(self.provider)
            if one.name not in raced and one.default == "off" and set(one.values) == {"off", "on"}
        ]
        plain = [one for one in found if not one.options]
        found += [replace(one, options={switch: "on"}) for one in plain for switch in switches]
        return [replace(one, options={**one.options, **self.where}) for one in found]


def placed(provider: Provider, probe: Probe, kinds: frozenset[str] | None) -> Checked | None:
    """The provider on its first device of these kinds (any when ``None``); ``None`` where it has none."""
    for index, device in enumerate(probe.devices):
        if kinds is not None and device.kind not in kinds:
            continue
        setting = next((one for one in settings(provider) if one.name == DEVICE), None)
        if setting is None:
            return Checked(provider, probe, device, {})
        # Runtimes number their devices, or give them short names that stand before the long ones.
        name = str(index) if setting.default.isdecimal() else device.name.partition(":")[0]
        known = not setting.values or name in setting.values
        return Checked(provider, probe, device, {DEVICE: name} if known and name != setting.default else {})
    return None


@dataclass(slots=True)
class Seat:
    """One row of the report, and the process that measures it."""

    row: dict[str, Any]
    job: dict[str, Any]
    python: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    worker: Worker | None = None
    rounds: dict[int, list[list[float]]] = field(default_factory=dict)
    pace: float = 0.0

    def close(self) -> None:
        """End the process."""
        if self.worker is not None:
            self.worker.close()
            self.worker = None


def process(seconds: float, python: Path | None = None, memory: int | None = None, **more: str) -> Worker:
    """A process that answers jobs of :mod:`gpu_check_child`, each within so many seconds."""
    here = str(Path(__file__).resolve().parent)
    path = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
    bounds = replace(limits(), timeout=max(5.0, seconds), stall=max(5.0, seconds), memory=memory)
    return Worker("gpu_check_child", python=python, environment={**more, "PYTHONPATH": path}, bounds=bounds)


def row(
    subject: Subject, provider: str, variant: str, options: Mapping[str, str], label: str
) -> dict[str, Any]:
    """An empty row."""
    return {
        "model": subject.name,
        "provider": provider,
        "variant": variant,
        "options": dict(options),
        "label": label,
        "reason": None,
        "opened": None,
        "placement": None,
        "proof": None,
        "batches": {},
        "agreement": None,
    }


class Steps:
    """Everything that is done with one model.

    Args:
        subject: The model.
        report: Where it goes.
        machine: The key of this machine.
        say: Told what is under way.
    """

    def __init__(self, subject: Subject, report: Report, *, machine: str, say: Callable[[str], None]) -> None:
        self.subject = subject
        self._report = report
        self._book = Book(subject.artifact, machine)
        self._pipeline = tasks.find(subject.artifact.task)
        self._say = say

    def open_and_prove(self, checked: Checked, clock: Clock) -> list[Seat]:
        """Open every candidate twice, and prove it."""
        seats = []
        for candidate in checked.candidates(self.subject):
            words = [candidate.provider, candidate.variant]
            label = " ".join([*words, *(f"{name}={value}" for name, value in candidate.options.items())])
            found = row(self.subject, candidate.provider, candidate.variant, candidate.options, label)
            if clock.left() <= 0:
                self._report.skip(f"{self.subject.name}: {label}", "the budget ended before its turn")
                continue
            self._report.rows.append(found)
            self._say(f"{self.subject.name}: opening {label}")
            self._open(candidate, found, clock)
            self._report.save()
            if found["reason"] is None:
                self._say(f"{self.subject.name}: proving {label}")
                self._prove(candidate, checked, found)
                self._report.save()
            if found["reason"] is None:
                seats.append(Seat(found, self.job(candidate)))
        return seats

    def baseline(self) -> Seat:
        """The provider of the pull's own proof, on the first variant, as it comes."""
        first = self.subject.artifact.manifest.variants[0]
        name = first.certificate.provider
        found = row(self.subject, name, first.name, {}, f"{name} {first.name}")
        found["proof"] = _proof(Proof(first.certificate))
        self._report.rows.append(found)
        return Seat(found, self.job(Candidate(name, first.name, hardware.cores_allowed())))

    def torch(self, source: Path, python: Path, device: str, environment: Mapping[str, str]) -> list[Seat]:
        """The source model in PyTorch on a device, in full precision and under autocast."""
        seats = []
        for precision in ("fp32", "fp16"):
            options = {"device": device, "precision": precision}
            found = row(self.subject, "pytorch", precision, options, f"pytorch {precision} on {device}")
            self._report.rows.append(found)
            job = {**self.job(Candidate("pytorch", precision, hardware.cores_allowed(), options))}
            seats.append(Seat(found, {**job, "source": str(source)}, python, environment))
        return seats

    def job(self, candidate: Candidate) -> dict[str, Any]:
        """What a process is told."""
        return {
            "artifact": str(self.subject.artifact.directory),
            "provider": candidate.provider,
            "variant": candidate.variant,
            "threads": candidate.threads,
            "options": dict(candidate.options),
            "source": None,
        }

    def _open(self, candidate: Candidate, found: dict[str, Any], clock: Clock) -> None:
        """A first time with an empty folder for engines, a second time with what that left there."""
        cache = tempfile.mkdtemp(prefix="gpu-check-engines-")
        try:
            told = []
            for _ in range(2):
                with process(clock.left() + 5) as worker:
                    told.append(worker.ask({"do": "open", **self.job(candidate), "cache": cache}))
            engines = [path for path in Path(cache).rglob("*") if path.is_file()]
            found["opened"] = {
                "first": told[0]["open"],
                "answer": told[0]["first"],
                "again": told[1]["open"],
                "again_answer": told[1]["first"],
                "engine_bytes": sum(path.stat().st_size for path in engines),
                "memory": told[1]["memory"],
            }
            found["placement"] = told[1]["placement"]
        except GpuxError as error:
            found["reason"] = error.message
            found["hint"] = error.hint
        finally:
            shutil.rmtree(cache, ignore_errors=True)

    def _prove(self, candidate: Candidate, checked: Checked, found: dict[str, Any]) -> None:
        variant = self.subject.artifact.variant(candidate.variant)
        key = proof_key(checked.provider, candidate)
        known = (
            Proof(variant.certificate) if not key[2] and stands(variant.certificate, checked.probe) else None
        )
        proof = known or self._book.prove(
            candidate,
            checked.provider,
            checked.probe,
            head=self._pipeline.head,
            dimensions=self._pipeline.dimensions(self.subject.artifact),
        )
        found["proof"] = _proof(proof)
        if proof.certificate is None:
            found["reason"] = f"it could not be proven: {proof.reason}"
            found["hint"] = proof.hint


def _proof(proof: Proof) -> dict[str, Any]:
    certificate = proof.certificate
    return {
        "reason": proof.reason,
        "quality": certificate.quality if certificate else None,
        "min_cosine": certificate.min_cosine if certificate else None,
        "max_abs": max((one.max_abs for one in certificate.outputs), default=None) if certificate else None,
        "reference": certificate.reference if certificate else None,
        "probes": list(certificate.probes) if certificate else [],
    }


class Turns:
    """Seats that measure in turns, batch size after batch size; the first one is what the others are compared with.

    Args:
        seats: The processes; the first is the CPU's.
        report: Where it goes.
        sequence: Tokens of each text.
        rounds: Turns of each, where the budget has room for them.
        say: Told what is under way.
    """

    def __init__(
        self, seats: list[Seat], report: Report, *, sequence: int, rounds: int, say: Callable[[str], None]
    ) -> None:
        self._seats = seats
        self._report = report
        self._sequence = sequence
        self._rounds = rounds
        self._say = say

    def run(self, clock: Clock) -> None:
        """Everything that the budget has room for."""
        try:
            for seat in self._seats:
                self._load(seat, clock)
            self._agree(clock)
            for number, batch in enumerate(BATCHES):
                self._batch(batch, clock, clock.part(1 / (len(BATCHES) - number)))
                self._report.save()
        finally:
            for seat in self._seats:
                seat.close()

    def _load(self, seat: Seat, clock: Clock) -> None:
        name = f"{seat.row['model']}: {seat.row['label']}"
        available = hardware.memory_available()
        needed = USUAL if seat.job["source"] else USUAL // 2
        if available is not None and available < needed and seat is not self._seats[0]:
            self._report.skip(f"the speed of {name}", "there was no room for it beside the others")
            return
        if clock.left() <= 0:
            self._report.skip(f"the speed of {name}", "the budget ended before its turn")
            return
        self._say(f"loading {name}")
        try:
            seat.worker = process(clock.left() + 10, seat.python, **seat.environment)
            told = seat.worker.ask({"do": "load", **seat.job})
            seat.row["loaded"] = told["timings"]
            seat.row["placement"] = seat.row["placement"] or told["placement"]
        except GpuxError as error:
            self._lose(seat, error)

    def _agree(self, clock: Clock) -> None:
        """How far the answers of each agree with the first's."""
        first: Any = None
        for seat in self._alive():
            if clock.left() <= 0:
                return
            try:
                assert seat.worker is not None
                numbers = seat.worker.ask({"do": "answer", "items": SAMPLES})["numbers"]
            except GpuxError as error:
                self._lose(seat, error)
                continue
            if seat is self._seats[0]:
                first = numbers
            elif first is not None:
                seat.row["agreement"] = agreement.cosine(first, numbers)

    def _batch(self, batch: int, clock: Clock, part: Clock) -> None:
        """Rounds of one batch size, every other one in the opposite order."""
        done = 0
        broken: dict[int, str] = {}
        for number in range(self._rounds):
            alive = [seat for seat in self._alive() if id(seat) not in broken]
            # A turn is a first run, one that warms up, and those that count.
            dear = {id(seat): max(seat.pace * batch * (3 if number else 6), 0.2) for seat in alive}
            if clock.left() <= 0 or (number and part.left() < sum(dear.values())):
                break
            self._say(f"{self._seats[0].row['model']}: batch {batch}, round {number + 1} of {self._rounds}")
            share = max(0.0, part.left()) / (max(1, len(alive)) * (self._rounds - number))
            for seat in alive if number % 2 == 0 else reversed(alive):
                if seat.pace * batch * 3 > max(0.0, clock.left()):
                    broken.setdefault(id(seat), "the budget has no room for it")
                    continue
                seconds = max(0.05, min(LONGEST, share - 2 * seat.pace * batch))
                error = self._turn(seat, batch, number, seconds)
                if error is not None:
                    broken[id(seat)] = error
            done = number + 1
        for seat in self._seats:
            reason = broken.get(id(seat)) or (None if done else "the budget ended before its turn")
            seat.row["batches"][str(batch)] = self._figures(seat, batch, reason)

    def _turn(self, seat: Seat, batch: int, number: int, seconds: float) -> str | None:
        run = seat.pace * batch
        warmup = 0 if run > 0.5 else 5 if run < 0.05 and not number else 1
        job = {"do": "measure", "batch": batch, "sequence": self._sequence, "seconds": seconds}
        try:
            assert seat.worker is not None
            told = seat.worker.ask({**job, "warmup": warmup})
        except WorkerFailed as error:
            self._lose(seat, error)
            return error.message
        except GpuxError as error:
            return error.message
        if not told["seconds"]:
            return told["failed"] or "no run ended"
        seat.rounds.setdefault(batch, []).append([one / batch for one in told["seconds"]])
        seat.pace = _median(seat.rounds[batch][-1])
        peaks = [one for one in told["memory"] if one["used_peak"]]
        if peaks:
            seat.row["device_peak"] = max(one["used_peak"] for one in peaks)
        return None

    def _figures(self, seat: Seat, batch: int, reason: str | None) -> dict[str, Any]:
        mine = seat.rounds.get(batch, [])
        if not mine:
            return {
                "per_item": None,
                "reason": seat.row["reason"] or reason or "it was not measured",
                "times": {},
            }
        times = {}
        for other in self._seats:
            theirs = other.rounds.get(batch, [])
            if other is seat or not theirs:
                continue
            known = "cpu" if other is self._seats[0] else f"pytorch {other.job['variant']}"
            compared = other is self._seats[0] or other.job["source"]
            if compared and (ratio := _times(mine, theirs)):
                times[known] = ratio
        flat = [pace for turn in mine for pace in turn]
        return {
            "per_item": _median(flat),
            "per_second": 1 / _median(flat),
            "runs": len(flat),
            "rounds": len(mine),
            "samples": mine if len(flat) <= 2000 else [turn[:400] for turn in mine],
            "reason": None,
            "times": times,
        }

    def _alive(self) -> list[Seat]:
        return [seat for seat in self._seats if seat.worker is not None]

    def _lose(self, seat: Seat, error: GpuxError) -> None:
        seat.row["reason"], seat.row["hint"] = error.message, error.hint
        seat.close()


def _times(mine: list[list[float]], theirs: list[list[float]]) -> dict[str, Any] | None:
    """How many times as fast as another, with an interval of 99 % where the runs give one."""
    flat = [[pace for turn in turns for pace in turn] for turns in (mine, theirs)]
    ratio = intervals.ratio(flat[0], flat[1])
    if ratio is None:
        return None
    common = min(len(mine), len(theirs))
    return asdict(intervals.by_turns(ratio, mine[:common], theirs[:common]))


def _median(values: list[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


class Troubles:
    """Bad luck on the device: each is an error in words, and the process goes on.

    Args:
        steps: The model that suffers it.
        checked: The provider.
        candidate: How the model runs.
        report: Where it goes.
    """

    def __init__(self, steps: Steps, checked: Checked, candidate: Candidate, report: Report) -> None:
        self._steps = steps
        self._checked = checked
        self._candidate = candidate
        self._report = report
        self._job = steps.job(candidate)

    def run(self, clock: Clock) -> None:
        """All of them."""
        for what, act in (
            ("a second process on the same device", self._second),
            ("a device that is not there", self._stray),
            ("a batch larger than the device's memory", self._flood),
        ):
            name = f"{self._checked.provider.name}: {what}"
            if clock.left() < 5:
                self._report.skip(name, "the budget ended before its turn")
                continue
            try:
                found = act(clock)
            except GpuxError as error:
                found = (False, error.message)
            if isinstance(found, str):
                self._report.skip(name, found)
                continue
            met, said = found
            self._report.troubles.append(
                {
                    "provider": self._checked.provider.name,
                    "model": self._steps.subject.name,
                    "what": what,
                    "met": met,
                    "said": said,
                }
            )
            self._report.save()

    def _second(self, clock: Clock) -> tuple[bool, str] | str:
        """Two processes answer at once as one did alone."""
        with process(clock.left()) as one, process(clock.left()) as other:
            one.ask({"do": "load", **self._job})
            alone = one.ask({"do": "answer", "items": SAMPLES})["numbers"]
            other.ask({"do": "load", **self._job})
            told: dict[int, Any] = {}

            def work(number: int, worker: Worker) -> None:
                try:
                    told[number] = worker.ask({"do": "answer", "items": SAMPLES})["numbers"]
                except GpuxError as error:
                    told[number] = error.message

            threads = [threading.Thread(target=work, args=pair) for pair in enumerate((one, other))]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        failed = [said for said in told.values() if isinstance(said, str)]
        if failed:
            return False, failed[0]
        worst = min(agreement.cosine(alone, numbers) or 0.0 for numbers in told.values())
        return worst > 0.9999, f"both answered; smallest cosine to the answers of one alone {worst:.7f}"

    def _stray(self, clock: Clock) -> tuple[bool, str] | str:
        provider = self._checked.provider
        setting = next((one for one in settings(provider) if one.name == DEVICE), None)
        if setting is None:
            return "this provider's device cannot be chosen"
        here = self._checked.where.get(DEVICE, setting.default)
        away = "99" if here.isdecimal() else f"{here.partition('.')[0]}.99"
        options = {**self._candidate.options, DEVICE: away}
        with process(clock.left()) as worker:
            worker.ask({"do": "load", **self._job})
            wanted = {"provider": provider.name, "variant": self._candidate.variant, "options": options}
            told = worker.ask({"do": "stray", **wanted})
        return _judged(told, f"device {away} opened")

    def _flood(self, clock: Clock) -> tuple[bool, str] | str:
        memory = self._checked.device.memory
        bounds = None
        if memory is None and self._checked.device.kind == "cpu" and os.name == "posix":
            # The system would end the process long before the runtime hears of it: the process gets a limit.
            memory, bounds = 2 << 30, 4 << 10
        if memory is None:
            return "the runtime does not tell how much memory the device has"
        config = json.loads(self._steps.subject.artifact.path("config.json").read_text(encoding="utf-8"))
        heads, sequence = config.get("num_attention_heads"), config.get("max_position_embeddings")
        if not heads or not sequence:
            return "the model's configuration does not tell what a text takes"
        sequence = min(512, sequence)
        # The scores of one layer's attention alone: rows × heads × tokens × tokens of two bytes at least.
        rows = int(FLOOD * memory / (heads * sequence * sequence * 2)) + 1
        if rows * sequence * 3 * 8 > (hardware.memory_available() or 8 << 30) / 4:
            return "the feeds of so large a batch would take this machine's own memory"
        with process(clock.left(), memory=bounds) as worker:
            worker.ask({"do": "load", **self._job})
            told = worker.ask({"do": "flood", "rows": rows, "sequence": sequence})
        return _judged(
            told, f"{rows} rows of {sequence} tokens fitted", wanted=r"memory|alloc|too large|size"
        )


def _judged(told: Mapping[str, Any], fitted: str, wanted: str = "") -> tuple[bool, str]:
    said = told["said"]
    if said is None:
        return False, fitted
    words = f"{said['kind']}: {said['message']}" + (f" (hint: {said['hint']})" if said["hint"] else "")
    clear = said["clear"] and bool(said["hint"])
    fits = re.search(wanted, f"{said['message']} {said['hint']}", re.IGNORECASE) is not None
    end = "; the process went on as before"
    if not told["same"]:
        failed = told["failed"]
        end = f"; afterwards {failed['message'] if failed else 'the process gave other answers'}"
    return clear and fits and told["same"], words + end


@contextlib.contextmanager
def ended(seconds: float, interrupt: Callable[[], None]) -> Iterator[None]:
    """Interrupt what is under way when the budget is over."""
    timer = threading.Timer(seconds, interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


__all__ = [
    "ROUNDS",
    "SEQUENCE",
    "Checked",
    "Clock",
    "Steps",
    "Troubles",
    "Turns",
    "ended",
    "placed",
    "process",
]
