"""Graphs that not every provider opens, and variants that nothing ever ran: neither is chosen, whatever is asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from stored_models import put, variant

from gpux.artifact import QUALITIES, Certificate, Manifest, Variant
from gpux.discovery import discover
from gpux.errors import NoCandidate, ProofFailed
from gpux.planning import Proof, Request, choose, good_enough
from gpux.provider import Probe, Runtime, State, formats
from gpux.reference import VARIANTS, parse
from gpux.registry.store import Store


class Choice:
    """A provider that is only ever chosen, never opened."""

    def __init__(self, name, rank, *opens):
        self.name, self.rank, self.extra, self.runtime = name, rank, "", Runtime("x", f"{name}Provider")
        if opens:
            self.formats = opens

    def probe(self):
        return Probe(self.name, State.WORKS)

    def open(self, graph, options, /):
        raise AssertionError("a plan opens nothing")


APPLE, PLAIN = Choice("apple", 80, ".onnx", ".mlpackage"), Choice("plain", 10)
PROVIDERS = {provider.name: provider for provider in (APPLE, PLAIN)}
NONE = Certificate("unproven", "nothing", "", "coremltools 9.0", (), ())
NEAR = variant("fp16", "near").certificate
PACKAGE = Variant("mlpackage", {"model": "mlpackage/model.mlpackage"}, "coreml", {"coremltools": "9.0"}, NONE)


@pytest.fixture
def artifact(tmp_path):
    return put(Store(tmp_path), "org/model", variant("fp32"), PACKAGE)


def decide(artifact, proofs=None, **request):
    probes = [provider.probe() for provider in PROVIDERS.values()]
    return choose(artifact, PROVIDERS, probes, Request(**request), cores=2, proofs=proofs)


def test_a_provider_that_does_not_say_what_it_opens_opens_onnx():
    assert formats(PLAIN) == (".onnx",)
    assert formats(APPLE) == (".onnx", ".mlpackage")


def proofs(provider, certificate, reason=None):
    return {(provider, "mlpackage", ()): Proof(certificate, reason, "gpux why")}


def test_an_unproven_package_comes_behind_and_is_refused_where_it_cannot_be_opened(artifact):
    plan = decide(artifact)
    assert (plan.provider, plan.variant) == ("apple", "fp32")
    why = {(one.provider, one.variant): (one.reason, one.hint) for one in plan.rejected}
    assert why["apple", "mlpackage"][0] == "ranked behind apple fp32; nothing was measured"
    assert why["plain", "mlpackage"][0] == "it opens .onnx, not .mlpackage"
    assert why["plain", "mlpackage"][1]


@pytest.mark.parametrize("quality", ["exact", "near", "any"])
def test_an_unproven_package_has_no_certificate_and_so_is_proven_before_it_runs(artifact, quality):
    plan = decide(artifact, quality=quality, variant="mlpackage", provider="apple")
    assert plan.certificate is None
    assert decide(artifact, quality=quality).variant == "fp32"


@pytest.mark.parametrize("quality", ["near", "any"])
def test_one_that_could_not_be_proven_runs_for_nobody(artifact, quality):
    failed = proofs("apple", None, "it computes something else")
    with pytest.raises(ProofFailed, match="it computes something else"):
        decide(artifact, failed, quality=quality, variant="mlpackage", provider="apple")


def test_what_was_never_run_is_good_enough_for_nobody():
    assert not any(good_enough("unproven", asked) for asked in ("exact", "near", "any"))


def test_a_named_provider_that_cannot_open_it(artifact):
    with pytest.raises(NoCandidate, match=r"plain mlpackage — it opens \.onnx, not \.mlpackage"):
        decide(artifact, variant="mlpackage", provider="plain")


def test_a_proof_of_this_machine_lets_it_run_on_the_provider_that_it_is_of(artifact):
    plan = decide(artifact, proofs("apple", NEAR), variant="mlpackage")
    assert (plan.provider, plan.variant, plan.certificate) == ("apple", "mlpackage", NEAR)
    assert decide(artifact, proofs("plain", NEAR), variant="mlpackage").certificate is None


def test_a_proof_of_this_machine_is_held_to_the_quality_that_is_asked_for(artifact):
    plan = decide(artifact, proofs("apple", replace(NEAR, quality="lossy")))
    why = {(one.provider, one.variant): one.reason for one in plan.rejected}
    assert "its certificate is `lossy`" in why["apple", "mlpackage"]


def test_a_package_that_was_proven_on_macos_needs_no_other_proof(tmp_path):
    proven = replace(PACKAGE, certificate=replace(NEAR, provider="coreml"))
    artifact = put(Store(tmp_path), "org/model", variant("fp32"), proven)
    assert decide(artifact, variant="mlpackage").provider == "apple"


def test_unproven_is_the_worst_class_and_survives_the_manifest(artifact):
    assert QUALITIES == ("exact", "near", "lossy", "unproven")
    again = Manifest.from_json(artifact.manifest.to_json())
    assert again == artifact.manifest
    assert again.variants[1].certificate == NONE
    assert (NONE.min_cosine, NONE.max_abs) == (0, float("inf"))
    assert artifact.certificate.quality == "exact"


def test_the_package_is_a_variant_of_the_grammar_and_comes_last():
    reference = parse("org/name:mlpackage")
    assert (reference.name, reference.variant) == ("org/name", "mlpackage")
    assert parse("name:MLPackage").variant == "mlpackage"
    assert parse("org/name@main:mlpackage").revision == "main"
    assert VARIANTS[-1] == "mlpackage"


def test_what_a_plug_in_opens_is_known_through_the_door(monkeypatch, tmp_path):
    for name, line in (("opens_packages", 'formats = (".mlpackage",)'), ("opens_nothing_new", "")):
        code = f"""
from gpux.provider import Probe, Runtime, State
class Own:
    name, runtime, extra, rank = "{name}", Runtime("x", "{name}"), "", 1
    {line}
    def probe(self): return Probe(self.name, State.WORKS)
    def open(self, graph, options, /): raise AssertionError
provider = Own()
"""
        (tmp_path / f"{name}.py").write_text(code)
        (tmp_path / f"{name}-1.dist-info").mkdir()
        (tmp_path / f"{name}-1.dist-info" / "entry_points.txt").write_text(
            f"[gpux.providers]\n{name} = {name}:provider\n"
        )
    monkeypatch.syspath_prepend(str(tmp_path))
    found = discover()
    assert formats(found["opens_packages"]) == (".mlpackage",)
    assert formats(found["opens_nothing_new"]) == (".onnx",)
