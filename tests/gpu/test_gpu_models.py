"""A model on every accelerator that works here: its numbers, its placement, its engines, its errors, and the race for it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from graphs import artifact as two_outputs
from graphs import expected
from references import corpus

import gpux
from gpux import artifact
from gpux.errors import GpuxError, PlacementRefused
from gpux.planning import Plan
from gpux.provider import Options, settings
from gpux.session import open_session

TEXTS = corpus.texts()[:24]
TOLERANCE = {"fp32": 1e-5, "tf32": 5e-3, "fp16": 2e-2, "bf16": 5e-2}
# What the classes of gpux.export.proof promise, the reference being the model on the CPU.
COSINES = {"exact": 0.99999, "near": 0.9995}


def values(checked, name):
    return next((one.values for one in settings(checked.provider) if one.name == name), ())


@pytest.fixture(scope="module")
def on_the_cpu(tiny):
    with gpux.load(tiny, provider="cpu") as model:
        return model.encode(TEXTS)


def cosines(one, other):
    return (one * other).sum(-1) / np.linalg.norm(one, axis=-1) / np.linalg.norm(other, axis=-1)


def attempt(artifact, **wishes):
    """The model, or the error that loading it raised."""
    try:
        return gpux.load(artifact, **wishes), None
    except GpuxError as error:
        return None, error


def test_two_outputs_are_what_numpy_computes(checked, tmp_path):
    found = two_outputs(tmp_path)
    plan = Plan(
        checked.provider.name, "fp32", 2, strict=False, reason="the test's own", options=checked.where
    )
    x = np.random.default_rng(5).normal(size=(9, 6)).astype(np.float32)
    with open_session(found, plan, {checked.provider.name: checked.provider}) as session:
        outputs = session.run({"x": x})
        tolerance = TOLERANCE[session.placement.precision]
    for name, value in expected(x).items():
        np.testing.assert_allclose(outputs[name], value, atol=tolerance, rtol=tolerance)


def test_a_model_agrees_with_itself_on_the_cpu_as_its_proof_says(checked, tiny, on_the_cpu):
    with gpux.load(tiny, provider=checked.provider.name, options=checked.where) as model:
        quality = model.plan.certificate.quality
        assert quality in COSINES
        assert cosines(model.encode(TEXTS), on_the_cpu).min() >= COSINES[quality]


def test_half_precision_is_proven_or_refused(checked, tiny, on_the_cpu):
    halves = [value for value in values(checked, "precision") if value in {"fp16", "bf16"}]
    able = {precision for device in checked.probe.devices for precision in device.precisions}
    halves = [half for half in halves if not able or half in able]
    if not halves:
        pytest.skip(f"{checked.provider.name} has no half precision to choose on this device")
    for half in halves:
        options = {**checked.where, "precision": half}
        model, refused = attempt(tiny, provider=checked.provider.name, options=options)
        if refused is not None:
            assert refused.hint
            continue
        with model:
            quality = model.plan.certificate.quality
            assert cosines(model.encode(TEXTS), on_the_cpu).min() >= COSINES[quality] - 1e-3


def test_strict_takes_the_whole_graph_or_says_what_is_left(checked, tiny):
    name = checked.provider.name
    model, refused = attempt(tiny, provider=name, options=checked.where, strict=True)
    if refused is not None:
        assert type(refused) is PlacementRefused
        assert "left behind" in refused.hint
        return
    with model:
        assert model.placement.share == 1
        assert not model.placement.left_behind


def test_engines_are_kept_and_used_again(checked, tiny, tmp_path):
    graph = tiny.path(tiny.manifest.variants[0].graphs["model"])
    options = Options(threads=2, cache=tmp_path / "engines", extra=checked.where)
    (tmp_path / "engines").mkdir()
    feeds = {spec.name: np.ones((2, 8), spec.dtype) for spec in tiny.manifest.components[0].inputs}
    outputs, kept = [], []
    for _ in range(2):
        opened = checked.provider.open(graph, options)
        outputs.append(opened.run(feeds))
        opened.close()
        files = [path for path in (tmp_path / "engines").rglob("*") if path.is_file()]
        kept.append({path: (path.stat().st_ino, path.stat().st_size) for path in files})
    # A timing cache may be written again; an engine may not be built a second time.
    assert set(kept[0]) == set(kept[1])
    largest = max(kept[0], key=lambda path: kept[0][path][1], default=None)
    assert largest is None or kept[0][largest] == kept[1][largest]
    for name, value in outputs[0].items():
        np.testing.assert_allclose(outputs[1][name], value, atol=1e-3)
    if not kept[0]:
        pytest.skip(f"{checked.provider.name} keeps no engines of this graph on this device")


def test_switches_change_no_answer(checked, tiny):
    switches = [
        one.name
        for one in settings(checked.provider)
        if not one.numeric and set(one.values) == {"off", "on"} and one.default == "off"
    ]
    if not switches:
        pytest.skip(f"{checked.provider.name} has no switches such as recorded runs")
    with gpux.load(tiny, provider=checked.provider.name, options=checked.where) as model:
        plain = model.encode(TEXTS)
    for switch in switches:
        options = {**checked.where, switch: "on"}
        with gpux.load(tiny, provider=checked.provider.name, options=options) as model:
            for _ in range(3):  # recorded, replayed, replayed
                np.testing.assert_allclose(model.encode(TEXTS), plain, atol=1e-5)


FLOOD = """
import json, sys
import numpy as np
import gpux
from gpux import artifact
from gpux import artifact
from gpux.errors import GpuxError
job = json.loads(sys.argv[1])
with gpux.load(artifact.read(__import__("pathlib").Path(job["artifact"])), provider=job["provider"], options=job["options"]) as model:
    before = model.encode("a cat")
    rows, length = job["rows"], 40
    feeds = {spec.name: np.ones((rows, length), spec.dtype) for spec in model.session.inputs}
    said = None
    try:
        model.session.run(feeds)
    except GpuxError as error:
        said = [type(error).__name__, error.message, error.hint]
    print(json.dumps([said, float(np.abs(model.encode("a cat") - before).max())]))
"""


def test_too_large_a_batch_is_an_error_and_no_crash(checked, tiny):
    memory = checked.device.memory
    if checked.device.kind == "cpu" or memory is None:
        pytest.skip(f"{checked.provider.name} tells no device's memory of its own that a batch could exceed")
    per_row = 40 * (4 * 40 + 4 * 64) * 4  # one layer's scores and its widest activation, bytes
    rows = int(3 * memory / per_row)
    if rows * 40 * 3 * 8 > 32 << 30:
        pytest.skip("the feeds of a batch larger than the device would not fit into this machine's memory")
    job = {
        "artifact": str(tiny.directory),
        "provider": checked.provider.name,
        "options": checked.where,
        "rows": rows,
    }
    done = subprocess.run(
        [sys.executable, "-c", FLOOD, json.dumps(job)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    said, difference = json.loads(done.stdout.splitlines()[-1])
    assert said, "so large a batch fitted"
    assert said[0] == "RunFailed"
    assert said[2]
    assert difference < 1e-3


def test_a_device_that_is_not_there_is_an_error_with_a_hint(checked, tiny):
    setting = next((one for one in settings(checked.provider) if one.name == "device"), None)
    if setting is None:
        pytest.skip(f"{checked.provider.name} lets nobody choose the device")
    here = checked.where.get("device", setting.default)
    away = "99" if here.isdecimal() else f"{here.partition('.')[0]}.99"
    with pytest.raises(GpuxError) as caught:
        gpux.load(tiny, provider=checked.provider.name, options={"device": away})
    assert caught.value.hint


def test_the_race_picks_something_proven(checked, tiny, tmp_path):
    copy = Path(shutil.copytree(tiny.directory, tmp_path / tiny.digest))
    found = gpux.tune(
        artifact.read(copy), budget=20, providers=[checked.provider.name], short=True, keep=False
    )
    winner = next(entry for entry in found.entries if entry.label == found.winner)
    assert winner.quality in COSINES
    assert winner.candidate.provider == checked.provider.name
