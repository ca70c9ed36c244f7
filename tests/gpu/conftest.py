"""Every provider of this installation on its first accelerator; where it has none, the tests say so and are skipped."""

from __future__ import annotations

import os
from pathlib import Path

import models
import pytest
from gpu_check_steps import placed

import gpux
from gpux.discovery import discover
from gpux.provider import State, computes

ANY_DEVICE = os.environ.get("GPUX_TEST_ANY_DEVICE") == "1"
"""Takes processors for accelerators, to try these tests where there is no GPU."""

KINDS = None if ANY_DEVICE else frozenset({"gpu", "npu"})
PROVIDERS = [name for name, one in discover().items() if computes(one) and name != "cpu"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """One line for all tests that one fact about the machine skips: it is told from here, not from each of them."""
    report = yield
    if report.when == "setup" and report.skipped and Path(__file__).parent in item.path.parents:
        report.longrepr = (__file__, 1, report.longrepr[2])
    return report


@pytest.fixture(scope="session")
def probes(store):
    return {probe.provider: probe for probe in gpux.providers()}


@pytest.fixture(params=PROVIDERS, scope="session")
def checked(request, probes):
    """One provider on one of its devices."""
    probe = probes[request.param]
    if probe.state is not State.WORKS:
        pytest.skip(f"{probe.provider} is {probe.state} on this machine: {probe.reason}")
    found = placed(discover()[probe.provider], probe, KINDS)
    if found is None:
        pytest.skip(f"{probe.provider} works on this machine, and lists no gpu or npu")
    return found


@pytest.fixture(scope="session")
def tiny(store, tmp_path_factory) -> gpux.Artifact:
    """A small BERT that embeds sentences, converted here."""
    made = models.tiny_models(tmp_path_factory.getbasetemp() / "tiny-models")
    return gpux.pull(str(made / "sentences"))
