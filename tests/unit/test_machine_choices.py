"""A race's choice on disk: followed where it can be, said where it cannot, and never the cause of a failure."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest
from stored_models import put, variant

import gpux
from gpux.artifact import Certificate, OutputParity
from gpux.discovery import discover
from gpux.errors import GpuxError, InvalidSetting, StoreUnwritable
from gpux.machine import choices
from gpux.machine.key import key
from gpux.machine.proofs import Book, folder
from gpux.planning import Candidate, Measured, Plan, Proof, Rejected, Request, choose, proof_key
from gpux.provider import Probe, Runtime, Setting, State
from gpux.registry.store import Store

HERE = "0123456789abcdef"


class Fast:
    """A provider that is only ever chosen."""

    extra = ""
    settings = (Setting("precision", "", "fp32", ("fp32", "bf16"), numeric=True), Setting("shapes", ""))

    def __init__(self, name, rank):
        self.name, self.rank, self.runtime = name, rank, Runtime(name, f"{name.title()}Provider")

    def probe(self):
        return Probe(self.name, State.WORKS)

    def open(self, graph, options, /):
        raise AssertionError("a plan opens nothing")


PROVIDERS = {one.name: one for one in (Fast("fast", 50), Fast("slow", 10))}
PROBES = [one.probe() for one in PROVIDERS.values()]
WINNER = Candidate("slow", "fp16", 2, {"precision": "bf16"}, 8)
MEASURED = Measured(WINNER, "won a race", (Rejected("fast", "fp32", "1.5 times slower", None, "2 threads"),))


@pytest.fixture
def artifact(tmp_path):
    return put(
        Store(tmp_path), "org/model", variant("fp32"), variant("fp16", "near"), variant("int8", "lossy")
    )


def decide(artifact, measured=MEASURED, *, proofs=None, providers=PROVIDERS, **request):
    return choose(artifact, providers, PROBES, Request(**request), cores=4, measured=measured, proofs=proofs)


def test_it_is_remembered_as_it_was(artifact):
    assert choices.recall(artifact, HERE) is None
    assert choices.store(artifact, HERE, MEASURED)
    assert choices.recall(artifact, HERE) == MEASURED
    assert choices.recall(artifact, "f" * 16) is None, "another machine's is not followed"
    assert choices.outdated(artifact, "f" * 16)
    assert not choices.outdated(artifact, HERE)
    choices.forget(artifact, HERE)
    choices.forget(artifact, HERE)
    assert choices.recall(artifact, HERE) is None


def test_it_is_followed_where_nothing_else_was_asked_for(artifact):
    plan = decide(artifact)
    assert (plan.provider, plan.variant, plan.threads, plan.options, plan.batch) == (
        "slow",
        "fp16",
        2,
        {"precision": "bf16"},
        8,
    )
    assert (plan.reason, plan.note) == ("won a race", None)
    assert MEASURED.others[0] in plan.rejected


@pytest.mark.parametrize("asked", [{"variant": "fp32"}, {"threads": 1}, {"batch": 4}, {"provider": "fast"}, {"provider": "slow"}], ids=str)  # fmt: skip
def test_whatever_was_asked_for_goes_first(artifact, asked):
    plan = decide(artifact, **asked)
    assert plan.reason != "won a race"
    assert plan.note is None
    assert plan.options == {}
    for name, value in asked.items():
        assert getattr(plan, name) == value


def lapse(**changes):
    return replace(MEASURED, winner=replace(WINNER, **changes))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"provider": "gone"}, "provider `gone` is not installed any more"),
        ({"variant": "q4"}, "variant `q4` is not stored any more"),
        ({"options": {"precison": "bf16"}}, "provider `slow` has no option `precison`"),
        ({"options": {"precision": "fp8"}}, "option `precision` of provider `slow` is `fp8`"),
        ({"threads": 0}, "0 threads cannot run anything here"),
        ({"threads": -3}, "-3 threads cannot run anything here"),
        ({"threads": 10_000}, "10000 threads cannot run anything here"),
        ({"batch": 0}, "nothing is computed in batches of 0"),
        ({"batch": -1}, "nothing is computed in batches of -1"),
        ({"batch": 1 << 40}, "nothing is computed in batches of"),
        ({"variant": "int8"}, "its certificate is `lossy`, `near` was asked for"),
    ],
    ids=str,
)
def test_one_that_cannot_be_run_any_more_is_passed_over_and_said(artifact, changes, says):
    plan = decide(artifact, lapse(**changes))
    assert (plan.provider, plan.variant) == ("fast", "fp32")
    assert "which does not run as asked any more: " in plan.note
    assert says in plan.note


def test_one_of_lower_quality_than_is_asked_for(artifact):
    plan = decide(artifact, quality="exact")
    assert (plan.provider, plan.variant) == ("fast", "fp32")
    assert "its certificate is `near`, `exact` was asked for" in plan.note


def test_one_whose_proof_fails_now(artifact):
    proofs = {proof_key(PROVIDERS["slow"], WINNER): Proof(None, "it computes something else")}
    assert "it computes something else" in decide(artifact, proofs=proofs).note


@pytest.mark.parametrize("batch", [0, -1, 1 << 40, pytest.param(1 << 20_000, id="huge"), True, 2.0, "8"])
def test_batches_that_nobody_computes_are_refused(artifact, batch):
    with pytest.raises(InvalidSetting, match="batch"):
        decide(artifact, batch=batch)


def test_a_named_variant_is_held_to_what_its_pull_proved(artifact):
    """Naming int8 takes what int8 costs; naming fp32 does not take a provider that computes it badly."""

    def proven(name, quality):
        certificate = Certificate(
            quality, "onnx fp32", "slow", "x", ("1×5",), (OutputParity("y", 0.1, 0.1, 0.9, 0.9),)
        )
        return {("slow", name, ()): Proof(certificate)}

    assert decide(artifact, provider="slow", variant="int8", proofs=proven("int8", "lossy")).variant == "int8"
    assert decide(artifact, provider="slow", variant="fp32", proofs=proven("fp32", "near")).variant == "fp32"
    with pytest.raises(GpuxError, match="is `lossy` on this provider") as caught:
        decide(artifact, provider="slow", variant="fp32", proofs=proven("fp32", "lossy"))
    assert caught.value.hint == "pass --quality any"
    assert (
        decide(
            artifact, provider="slow", variant="fp32", quality="any", proofs=proven("fp32", "lossy")
        ).variant
        == "fp32"
    )


GOOD = {
    "winner": {"provider": "slow", "variant": "fp16", "threads": 2, "options": {"precision": "bf16"}, "batch": 8},
    "reason": "won", "created": 1.0,
    "others": [{"provider": "fast", "variant": "fp32", "reason": "slower", "hint": None, "settings": "2 threads"}],
}  # fmt: skip
PARITY = {"name": "y", "max_abs": 0.0, "max_rel": 0.0, "min_cosine": 1.0, "explained": 1.0, "top1": None}
PROOF = {
    "key": ["slow", "fp16", [["precision", "bf16"]]], "reason": None, "hint": None, "tried": None,
    "certificate": {"quality": "near", "reference": "onnx fp32", "provider": "slow", "runtime": "x 1", "probes": ["1×5"], "outputs": [PARITY]},
    "placement": {"provider": "slow", "device": "a", "precision": "bf16", "nodes": {"X": 3}, "share": 0.5, "left_behind": ["Add"]},
}  # fmt: skip
PROOFS = {
    "proofs": [
        PROOF,
        {**PROOF, "key": ["fast", "fp32", []], "certificate": None, "reason": "wrong", "tried": 1e12},
    ]
}
ODD = (
    None,
    True,
    -1,
    0,
    1 << 70,
    10**400,
    0.5,
    float("nan"),
    float("inf"),
    "",
    "x",
    "\ud800",
    [],
    [None],
    [[]],
    {},
    {"a": None},
)


def places(record, way=()):
    if way:
        yield way
    inner = (
        record.items() if isinstance(record, dict) else enumerate(record) if isinstance(record, list) else ()
    )
    for name, value in inner:
        yield from places(value, (*way, name))


def damaged(record, way):
    for odd in ODD:
        copy = json.loads(json.dumps(record))
        *before, last = way
        inner = copy
        for name in before:
            inner = inner[name]
        inner[last] = odd
        yield copy


def use(artifact):
    """Everything that reads them: the plan with its texts, and what `gpux show` and `gpux why` print of it."""
    measured = choices.recall(artifact, HERE)
    book = Book(artifact, HERE)
    plan = choose(artifact, PROVIDERS, PROBES, Request(), cores=4, measured=measured, proofs=book)
    assert isinstance(plan, Plan)
    for one in plan.rejected:
        assert all(isinstance(text, str) for text in (one.provider, one.variant, one.reason, one.settings))
        assert isinstance(one.hint, str | None)
    assert 1 <= plan.threads <= 256
    assert plan.batch is None or plan.batch >= 1
    if plan.certificate:
        assert "e" in f"{plan.certificate.min_cosine:.6f} {plan.certificate.max_abs:.1e}"
    choose(artifact, PROVIDERS, PROBES, Request(quality="any"), cores=4, measured=measured, proofs=book)
    return measured, book


@pytest.mark.parametrize("way", list(places(GOOD)), ids=str)
def test_any_leaf_of_a_choice_may_be_anything(artifact, way):
    path = folder(artifact, HERE) / "choice.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(GOOD))
    assert use(artifact)[0].winner == WINNER
    for record in damaged(GOOD, way):
        path.write_text(json.dumps(record))
        use(artifact)


@pytest.mark.parametrize("way", list(places(PROOFS)), ids=str)
def test_any_leaf_of_a_proof_may_be_anything(artifact, way):
    path = folder(artifact, HERE) / "proofs.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"proofs": [PROOF]}))
    (folder(artifact, HERE) / "choice.json").write_text(json.dumps(GOOD))
    _, book = use(artifact)
    assert list(book) == [("slow", "fp16", (("precision", "bf16"),))]
    for record in damaged(PROOFS, way):
        path.write_text(json.dumps(record))
        use(artifact)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"proofs": 3}', b'{"proofs": {"a": 1}}', b"[" * 100_000],
    ids=lambda content: repr(content[:12]),
)  # fmt: skip
@pytest.mark.parametrize("name", ["choice.json", "proofs.json"])
def test_files_that_are_no_records(artifact, name, content):
    path = folder(artifact, HERE) / name
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert use(artifact)[0] is None


def test_folders_where_files_should_be(artifact):
    for name in ("choice.json", "proofs.json"):
        (folder(artifact, HERE) / name).mkdir(parents=True)
    assert use(artifact)[0] is None
    assert not choices.store(artifact, HERE, MEASURED)
    with pytest.raises(StoreUnwritable):
        choices.forget(artifact, HERE)


def test_an_hour_old_refusal_without_figures_is_forgotten_and_one_with_figures_stays(artifact):

    path = folder(artifact, HERE) / "proofs.json"
    path.parent.mkdir(parents=True)
    now = time.time()
    one = {**PROOF, "certificate": None, "reason": "no memory"}
    for tried, kept in ((None, 1), (now - 10, 1), (now - 3700, 0), (now + 3700, 0)):
        path.write_text(json.dumps({"proofs": [{**one, "tried": tried}]}))
        assert len(Book(artifact, HERE)) == kept


def test_why_says_that_a_race_was_run_under_other_circumstances(empty_store):
    artifact = put(Store(), "org/model", variant("fp32"))
    assert gpux.plan("org/model").note is None
    choices.store(artifact, "f" * 16, MEASURED)
    assert "other hardware, drivers or packages" in gpux.plan("org/model").note
    assert gpux.plan("org/model", provider="cpu").note is None, "whoever names a provider follows no race"
    assert gpux.findings("org/model").outdated
    here = key(discover())
    choices.store(artifact, here, replace(MEASURED, winner=Candidate("cpu", "fp32", 1)))
    plan = gpux.plan("org/model")
    assert (plan.reason, plan.note, plan.threads) == ("won a race", None, 1)
    found = gpux.findings("org/model")
    assert (found.machine, found.outdated, found.choice.reason) == (here, False, "won a race")
    assert gpux.forget("org/model")
    assert not gpux.forget("org/model")
