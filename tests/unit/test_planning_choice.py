"""The pure choice: what is taken, and the reason and the hint of everything that is not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from stored_models import put, variant

from gpux.errors import InvalidSetting, NoCandidate, ProviderUnavailable, UnknownProvider, UnknownVariant
from gpux.planning import Request, choose
from gpux.provider import Probe, Provider, Runtime, State
from gpux.registry.store import Store


class Fast:
    """A provider that is only ever chosen, never opened."""

    def __init__(self, name, rank, native="FastProvider"):
        self.name, self.rank, self.extra, self.runtime = name, rank, name, Runtime("fast", native)

    def probe(self):
        return Probe(self.name, State.WORKS)

    def open(self, graph, options, /):
        raise AssertionError("a plan opens nothing")


FAST, SLOW, ZERO = Fast("fast", 50), Fast("slow", 10, "SlowProvider"), Fast("zero", -1, "ZeroProvider")
PROVIDERS = {provider.name: provider for provider in (FAST, SLOW, ZERO)}
WORK = [provider.probe() for provider in PROVIDERS.values()]


@pytest.fixture
def artifact(tmp_path):
    return put(
        Store(tmp_path), "org/model", variant("fp32"), variant("fp16", "near"), variant("int8", "lossy")
    )


def decide(artifact, probes=WORK, **request):
    return choose(artifact, PROVIDERS, probes, Request(**request), cores=3)


def reasons(plan):
    return {(r.provider, r.variant): (r.reason, r.hint) for r in plan.rejected}


def test_the_fake_provider_keeps_the_contract():
    assert isinstance(FAST, Provider)


def test_the_best_rank_and_the_first_variant_win_and_everything_else_has_a_reason(artifact):
    plan = decide(artifact)
    assert (plan.provider, plan.variant, plan.threads, plan.strict) == ("fast", "fp32", 3, False)
    assert plan.reason == "highest rank of the providers that work (4 fit)"
    behind = ("ranked behind fast fp32; nothing was measured", None)
    lossy = (
        "its certificate is `lossy`, `near` was asked for",
        "name it with --variant int8, or pass --quality any",
    )
    assert reasons(plan) == {
        ("fast", "fp16"): behind, ("slow", "fp32"): behind, ("slow", "fp16"): behind,
        ("fast", "int8"): lossy, ("slow", "int8"): lossy,
        **{("zero", name): ("never chosen unless named", None) for name in ("fp32", "fp16", "int8")},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("quality", "taken"),
    [("exact", {"fp32"}), ("near", {"fp32", "fp16"}), ("any", {"fp32", "fp16", "int8"})],
)
def test_the_quality_gate(artifact, quality, taken):
    plan = decide(artifact, quality=quality, provider="fast")
    refused = {r.variant for r in plan.rejected if "certificate" in r.reason}
    assert {"fp32", "fp16", "int8"} - refused == taken
    with pytest.raises(InvalidSetting, match="quality `lossy` is none of exact, near, any"):
        decide(artifact, quality="lossy")


def test_a_named_variant_passes_the_gate(artifact):
    assert decide(artifact, variant="int8", quality="exact").variant == "int8"
    with pytest.raises(UnknownVariant, match="stored as fp32, fp16, int8, not as `q4`"):
        decide(artifact, variant="q4")


def test_nothing_good_enough(artifact):
    bad = replace(artifact, manifest=replace(artifact.manifest, variants=(variant("int8", "lossy"),)))
    with pytest.raises(NoCandidate, match="fast int8 — its certificate is `lossy`") as caught:
        decide(bad)
    assert caught.value.hint == "name it with --variant int8, or pass --quality any"
    assert len(caught.value.rejected) == 3


def test_a_named_provider(artifact):
    for name in ("slow", "SLOW", "SlowProvider"):
        plan = decide(artifact, provider=name)
        assert (plan.provider, plan.reason) == ("slow", "named")
        assert reasons(plan)["fast", "fp32"] == ("`slow` was asked for", None)
    assert decide(artifact, provider="zero").provider == "zero"


@pytest.mark.parametrize(
    ("name", "hint"),
    [("fats", "did you mean `fast`"), ("SlowProvidr", "did you mean `SlowProvider`"), ("atuo", "did you mean `auto`"),
     ("xyzzyq", "providers here are fast, slow, zero; see gpux providers"), ("", "providers here are fast, slow, zero; see gpux providers")],
)  # fmt: skip
def test_an_unknown_provider(artifact, name, hint):
    with pytest.raises(UnknownProvider) as caught:
        decide(artifact, provider=name)
    assert caught.value.hint == hint


@pytest.mark.parametrize("state", [State.MISSING, State.INSTALLED, State.LISTED])
def test_a_provider_that_does_not_work(artifact, state):
    broken = Probe("fast", state, reason="no driver", hint="install the driver")
    plan = decide(artifact, [broken, *WORK[1:]])
    assert plan.provider == "slow"
    assert reasons(plan)["fast", "fp32"] == ("no driver", "install the driver")
    with pytest.raises(ProviderUnavailable, match="`fast` cannot run here: no driver") as caught:
        decide(artifact, [broken], provider="fast")
    assert caught.value.hint == "install the driver"
    assert caught.value.state == str(state)
    with pytest.raises(NoCandidate, match="no driver"):
        decide(artifact, [broken, replace(broken, provider="slow")])


def test_a_provider_that_was_not_probed(artifact):
    plan = decide(artifact, WORK[:1])
    assert reasons(plan)["slow", "fp32"] == ("it was not probed", None)
    with pytest.raises(NoCandidate) as caught:
        decide(artifact, [])
    assert caught.value.hint


@pytest.mark.parametrize(
    "threads", [0, -1, 257, 100_000, pytest.param(1 << 20_000, id="huge"), True, 2.5, "2"]
)
def test_threads(artifact, threads):
    with pytest.raises(InvalidSetting, match="threads") as caught:
        decide(artifact, threads=threads)
    assert caught.value.hint == "give --threads a number from 1 to 256"
    assert len(caught.value.message) < 200


def test_threads_that_are_taken(artifact):
    assert decide(artifact, threads=7).threads == 7
    assert decide(artifact, threads=256).threads == 256
    many = choose(artifact, PROVIDERS, WORK, Request(threads=400), cores=100)
    assert many.threads == 400


def test_an_error_names_what_nearly_ran_and_not_what_is_missing(tmp_path):
    artifact = put(Store(tmp_path), "org/coarse", variant("int8", "lossy"))
    missing = [
        Probe("fast", State.MISSING, reason="its software is not installed", hint="pip install it"),
        *WORK[1:],
    ]
    with pytest.raises(NoCandidate, match=r"— its certificate is `lossy`, `near` was asked for") as caught:
        decide(artifact, missing)
    assert "--quality any" in caught.value.hint
