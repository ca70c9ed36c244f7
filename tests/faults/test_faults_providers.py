"""Providers that compute wrongly, crash, hang or disappear: refused with the figures, never chosen, and told."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import threading
import time

import numpy as np
import plug_in
import pytest
import small

import gpux
from gpux.errors import (
    CorruptArtifact,
    GpuxError,
    PlacementRefused,
    ProofFailed,
    ProviderUnavailable,
    RunFailed,
)

TEXTS = ["w2 w3", "w4 w5 w6 w7", "w9"]


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """A store with the small model, in which the plug-in was found to work; and the plug-in's folder."""
    base = tmp_path_factory.mktemp("plug")
    site, home = plug_in.install(base / "site"), base / "home"
    small.gpux("pull", small.write(base / "small-model"), "--no-tune", home=home, check=True)
    small.gpux("providers", home=home, check=True, PYTHONPATH=str(site))
    return base


@pytest.fixture
def home(ready, tmp_path, monkeypatch):
    """A copy of both that the test owns, for this process and its children."""
    shutil.copytree(ready / "home", tmp_path / "store")
    shutil.copytree(ready / "site", tmp_path / "site")
    monkeypatch.setenv("GPUX_HOME", str(tmp_path / "store"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return tmp_path / "store"


@pytest.fixture
def plug(home, tmp_path, monkeypatch):
    """Tell the plug-in what to do; its log is what it did."""
    log = tmp_path / "log"

    def tell(**what):
        monkeypatch.setenv("PLUG", json.dumps({"log": str(log), **what}))
        return lambda: log.read_text().splitlines() if log.exists() else []

    return tell


def expected(texts):
    """Mean-pooled embeddings, in numpy."""
    rows = []
    for text in texts:
        ids = np.array([[int(word[1:]) for word in text.split()]])
        rows.append(small.hidden(ids, np.ones_like(ids))[0].mean(0))
    return np.array(rows)


def answers(model):
    vectors = model.encode(TEXTS, normalize=False)
    np.testing.assert_allclose(vectors, expected(TEXTS), atol=1e-5)


def machine(home):
    found = list(home.glob("artifacts/*/machines/*"))
    assert len(found) == 1
    return found[0]


def refusal(model):
    return next(one for one in model.plan.rejected if one.provider == "plug")


def test_one_that_is_right_is_proven_once_and_followed(home, plug, tmp_path):
    did = plug()
    for _ in range(2):
        with gpux.load("small-model") as model:
            assert (model.plan.provider, model.plan.certificate.provider) == ("plug", "plug")
            assert model.plan.certificate.quality == "exact"
            answers(model)
    assert did() == ["proof plain", "open plain", "open plain"]
    plug_in.install(tmp_path / "site", "1.1")
    with gpux.load("small-model") as model:
        assert model.plan.provider == "plug"
    assert did().count("proof plain") == 2, (
        "another version of a package that brings a provider proves nothing by the old"
    )


def test_settings_that_change_numbers_need_a_proof_of_their_own_and_others_do_not(home, plug):
    did = plug()
    for options in ({}, {"naps": "yes"}, {"mode": "odd"}, {"mode": "odd", "naps": "yes"}):
        gpux.load("small-model", provider="plug", options=options).close()
    assert [line for line in did() if line.startswith("proof")] == ["proof plain", "proof odd"]


@pytest.mark.parametrize(
    ("way", "says"),
    [
        ("scaled", r"output `last_hidden_state` reaches cosine \d.\d+ against onnx fp32 on cpu, max difference [\d.]+ \(400.0% of its scale\)"),
        ("noise", r"reaches cosine -0.\d+"),
        ("nan", "is not finite on a probe of .*, the reference is"),
        ("constant", r"reaches cosine -?0.\d+"),
        ("swapped", r"reaches cosine -?0.\d+"),
        ("batched", r"reaches cosine -?0.\d+"),
    ],
)  # fmt: skip
def test_wrong_numbers_are_refused_with_the_figures(home, plug, way, says):
    did = plug(run=way)
    with gpux.load("small-model") as model:
        assert model.plan.provider == "cpu"
        answers(model)
    reason = refusal(model).reason
    assert re.search(says, reason), reason
    with pytest.raises(ProofFailed) as caught:
        gpux.load("small-model", provider="plug")
    assert (
        caught.value.message
        == f"provider `plug` does not run `{model.artifact.reference}` as asked: {reason}"
    )
    assert "--provider auto" in caught.value.hint
    assert "stored" not in caught.value.hint
    with pytest.raises(ProofFailed):
        gpux.load("small-model", provider="plug", quality="any", variant="fp32")
    assert did() == ["proof plain"]


@pytest.mark.parametrize(("share", "quality"), [("1e-4", "exact"), ("0.012", "near"), ("0.1", "lossy")])
def test_the_class_and_the_gate_tell_the_truth(home, plug, share, quality):
    plug(run=f"off {share}")
    with gpux.load("small-model", provider="plug", quality="any") as model:
        certificate = model.plan.certificate
    folder = model.artifact.path("proof")
    worst = 1.0
    with np.load(folder / "probes.npz") as probes, np.load(folder / "reference.npz") as reference:
        runs = {name.partition("/")[0] for name in probes.files}
        for run in runs:
            mask = probes[f"{run}/attention_mask"].astype(bool)
            y = reference[f"{run}/last_hidden_state"]
            off = y * (1 + np.float32(share) * np.sin(np.arange(y.size, dtype=np.float32).reshape(y.shape)))
            a, b = y[mask].astype(float), off[mask].astype(float)
            worst = min(worst, ((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())
    assert certificate.min_cosine == pytest.approx(worst, abs=1e-9)
    assert (
        certificate.quality
        == quality
        == ("exact" if worst >= 0.99999 else "near" if worst >= 0.9995 else "lossy")
    )
    order = ["exact", "near", "lossy"]
    for asked, worst_taken in (("exact", 0), ("near", 1), ("any", 2)):
        good = order.index(quality) <= worst_taken
        assert gpux.plan("small-model", quality=asked).provider == ("plug" if good else "cpu")
        if not good:
            with pytest.raises(
                ProofFailed, match=f"is `{quality}` on this provider .*, `{asked}` was asked for"
            ) as caught:
                gpux.load("small-model", provider="plug", quality=asked)
            assert "--quality any" in caught.value.hint


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ({"open": "segfault"}, "its process crashed with SIGSEGV"),
        ({"run": "killed"}, "its process crashed with SIGSEGV"),
        ({"run": "sleep"}, "its process was stopped after 2 seconds|its process hung"),
        ({"open": "exit"}, "its process ended with code 7"),
        ({"run": "raise"}, "ZeroDivisionError: divided on purpose"),
        ({"open": "refuse"}, "the device fell off the bus"),
    ],
    ids=str,
)  # fmt: skip
def test_one_that_dies_on_the_graph_costs_a_process_and_is_doubted_for_an_hour(
    home, plug, monkeypatch, what, says
):
    if what.get("run") == "sleep":
        monkeypatch.setenv("GPUX_WORKER_TIMEOUT", "2")
    did = plug(**what)
    with gpux.load("small-model") as model:
        assert model.plan.provider == "cpu"
        answers(model)
    assert re.search(says, refusal(model).reason)
    with pytest.raises(ProofFailed) as caught:
        gpux.load("small-model", provider="plug")
    assert caught.value.hint
    assert did() == ["proof plain"]
    path = machine(home) / "proofs.json"
    record = json.loads(path.read_text())
    record["proofs"][0]["tried"] -= 3601
    path.write_text(json.dumps(record))
    plug()
    with gpux.load("small-model") as model:
        assert model.plan.provider == "plug"


@pytest.mark.parametrize(("way", "kind"), [("absent", ProviderUnavailable), ("fail-later", RunFailed)])
def test_one_that_is_proven_and_then_does_not_open(home, plug, way, kind):
    plug(open=way)
    with gpux.load("small-model") as model:
        assert model.plan.provider == "cpu"
        said = "the device fell off the bus" if way == "absent" else "no memory is left on the device"
        assert model.plan.note == f"`plug` was the choice and did not open: {said}"
        answers(model)
    with pytest.raises(kind, match=said):
        gpux.load("small-model", provider="plug")
    done = small.gpux("run", "small-model", "w2", home=home, check=True)
    assert "note: `plug` was the choice and did not open" in done.stderr
    plug()
    with gpux.load("small-model") as model:
        assert (model.plan.provider, model.plan.note) == ("plug", None)


def test_where_nothing_else_is_left_the_first_error_is_told_and_nobody_tries_for_ever(home, plug, tmp_path):
    """The pull's own proof stands for a provider of its name and versions, and may not be taken again and again."""
    plug(open="fail")
    code = plug_in.MODULE.replace('= "plug", Runtime', '= "cpu", Runtime')
    code = code.replace("Probe(self.name, State.WORKS, devices, versions", 'Probe(self.name, State.WORKS, devices, {"onnxruntime": onnxruntime.__version__}')  # fmt: skip
    use = """
import sys; from pathlib import Path
import gpux, gpux_plug
from gpux.machine.deciding import Decision
from gpux.planning import Request
from gpux import loading, tasks
artifact = gpux.Store().get("small-model")
one = {"cpu": gpux_plug.provider}
pipeline = tasks.find(artifact.task)
decision = Decision(artifact, one, Request(), head=pipeline.head, dimensions=pipeline.dimensions(artifact))
decision._probes = (gpux_plug.provider.probe(),)
plan = decision.plan()
assert plan.certificate == artifact.variant("fp32").certificate
try:
    loading._opened(loading._Opening(artifact, plan, one, decision, {}), artifact, one, decision)
except gpux.errors.GpuxError as error:
    print(type(error).__name__, error.message)
"""
    other = tmp_path / "other"
    other.mkdir()
    (other / "gpux_plug.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "-c", use], env={**os.environ, "PYTHONPATH": str(other)}, capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip
    assert done.stdout == "RunFailed no memory is left on the device\n", done.stderr


def test_partial_placement_is_told_everywhere_and_strict_makes_it_an_error(home, plug):
    plug(share=0.5)
    with gpux.load("small-model") as model:
        assert (model.placement.share, model.placement.left_behind) == (0.5, ("Gather",))
    with pytest.raises(PlacementRefused, match="took 50% of the graph") as caught:
        gpux.load("small-model", strict=True)
    assert "Gather" in caught.value.hint
    done = small.gpux("run", "small-model", "w2", "-v", home=home, check=True)
    assert "runs on plug (plug 0, fp32, 50% of 8 nodes)" in done.stderr
    assert "plug took 50% of the graph; Gather ran elsewhere" in done.stderr
    assert small.gpux("run", "small-model", "w2", "--strict", home=home).returncode == 1
    done = small.gpux(
        "run",
        "small-model",
        "w2",
        "--benchmark",
        "--runs",
        "3",
        "--warmup",
        "0",
        "--json",
        home=home,
        check=True,
    )
    assert json.loads(done.stdout)["identity"]["share"] == 0.5
    plug(share=0.0)
    with gpux.load("small-model") as model:
        assert model.plan.provider == "cpu"
        assert "took none of the graph" in model.plan.note


def test_show_tells_what_is_proven_here_and_what_a_race_chose(home, plug):
    plug(run="scaled")
    gpux.load("small-model").close()
    plug()
    gpux.load("small-model", provider="plug", options={"mode": "odd"}).close()
    here = gpux.findings("small-model")
    assert [(one.provider, one.settings, one.certificate is None) for one in here.proofs] == [
        ("plug", {}, True), ("plug", {"mode": "odd"}, False),
    ]  # fmt: skip
    assert (here.choice, here.outdated) == (None, False)
    lines = small.gpux("show", "small-model", home=home, check=True).stdout.splitlines()
    told = [line for line in lines if line.startswith("here ")]
    assert "here      plug fp32 is refused: the fp32 graph does not compute the model" in told[0]
    assert "here      plug fp32 mode=odd is exact: min cosine 1.000000" in told[1]
    record = json.loads(small.gpux("show", "small-model", "--json", home=home, check=True).stdout)
    assert [one["provider"] for one in record["here"]["proofs"]] == ["plug", "plug"]


def test_several_threads_and_processes_at_once(home, plug):
    did = plug()
    found, failed = [], []

    def work():
        try:
            with gpux.load("small-model") as model:
                answers(model)
                found.append(model.plan.provider)
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=work) for _ in range(4)]
    started = [
        subprocess.Popen([sys.executable, "-m", "gpux", "run", "small-model", "w2", "-v"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        for _ in range(2)
    ]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert (found, failed) == (["plug"] * 4, [])
    assert all("runs on plug" in one.communicate(timeout=100)[1] for one in started)
    assert len(json.loads((machine(home) / "proofs.json").read_text())["proofs"]) == 1
    assert did().count("proof plain") == 1


def test_a_pickled_model_keeps_what_was_asked_for(home, plug):
    plug()
    with gpux.load(
        "small-model",
        provider="plug",
        options={"mode": "odd", "naps": "yes"},
        batch=3,
        threads=2,
        quality="any",
    ) as model:
        again = pickle.loads(pickle.dumps(model))
    with again:
        assert again.request == model.request
        assert again.plan.options == {"mode": "odd", "naps": "yes"}
        assert (again.plan.batch, again.plan.threads) == (3, 2)
        answers(again)


def test_a_plan_proves_nothing_and_writes_nothing(home, plug):
    did = plug()

    def everything():
        return {path: path.stat().st_mtime_ns for path in home.rglob("*")}

    before = everything()
    chosen = gpux.plan("small-model")
    assert (chosen.provider, chosen.certificate) == ("plug", None)
    assert everything() == before
    assert did() == []


@pytest.mark.parametrize("name", ["probes.npz", "reference.npz"])
def test_probes_that_are_gone_or_damaged(home, plug, name):
    plug()
    path = gpux.Store().get("small-model").path("proof") / name
    data = path.read_bytes()
    path.write_bytes(data[:-40] + bytes(40))
    with pytest.raises(CorruptArtifact, match=f"`proof/{name}` has other content than was stored"):
        gpux.load("small-model")
    assert next(one.reason for one in gpux.plan("small-model").rejected if one.provider == "plug").endswith(
        "…)"
    )
    path.unlink()
    shutil.rmtree(machine(home))
    with pytest.raises(ProofFailed, match="holds no probes") as caught:
        gpux.load("small-model", provider="plug")
    assert caught.value.hint.endswith("--force")


def test_a_store_that_cannot_be_written_proves_each_time(home, plug, mount):
    did = plug()
    held = home.with_name("held")
    home.rename(held)
    mount("store", bind=held)
    for _ in range(2):
        with gpux.load("small-model") as model:
            assert model.plan.provider == "plug"
            answers(model)
    assert did().count("proof plain") == 2


def test_one_that_says_it_computes_nothing_is_never_taken_by_auto(home, plug, tmp_path):
    plug_in.install(
        tmp_path / "site",
        "1.2",
        code=plug_in.MODULE.replace("    settings =", "    computes = False\n    settings ="),
    )
    code = "import gpux; p = gpux.plan('small-model'); print(p.provider, [r.reason for r in p.rejected if r.provider == 'plug'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "cpu ['never chosen unless named']\n"


def test_settings_that_are_no_settings_keep_nobody_from_working(home, plug, tmp_path):
    code = plug_in.MODULE.replace("    settings = (", "    settings = ('precision',)\n    unused = (")
    plug_in.install(tmp_path / "site", "1.3", code=code)
    code = "import gpux; print([(p.provider, str(p.state), p.reason) for p in gpux.providers() if p.provider in ('plug', 'cpu')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "('cpu', 'works', None)" in done.stdout
    assert "and settings, if it has any, as a tuple of Setting" in done.stdout


@pytest.mark.parametrize("modules", [True, False])
def test_a_source_brings_no_findings(home, plug, tmp_path, modules):
    """Somebody's repository may not say what this machine chose or proved."""
    plug()
    gpux.load("small-model").close()
    known = machine(home)
    repo = small.write(tmp_path / "evil")
    forged = {
        "winner": {"provider": "null", "variant": "fp32", "threads": 1, "options": {}, "batch": None},
        "reason": "won",
        "others": [],
    }
    for name in ("choice.json", "proofs.json", "config.json"):
        path = repo / "machines" / known.name / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(forged))
    if modules:
        listed = [
            {
                "idx": 0,
                "name": "0",
                "path": f"machines/{known.name}",
                "type": "sentence_transformers.models.Pooling",
            }
        ]
        (repo / "modules.json").write_text(json.dumps(listed))
    try:
        artifact = gpux.pull(str(repo))
    except GpuxError:
        assert modules
        return
    assert not artifact.path("machines").exists()


def test_a_hung_trial_ends_with_the_user_s_patience(home, plug, monkeypatch):
    plug(probe="sleep")
    process = subprocess.Popen(
        [sys.executable, "-m", "gpux", "providers", "--fresh"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )  # fmt: skip
    time.sleep(4)
    started = time.monotonic()
    process.send_signal(2)
    _, said = process.communicate(timeout=60)
    assert time.monotonic() - started < 10
    assert process.returncode not in {0, None}
    assert "Traceback" not in said
    assert small.gone(home)
