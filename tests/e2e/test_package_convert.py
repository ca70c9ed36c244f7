"""Checkpoints through coremltools: what the package declares and what its program computes, and that nothing runs it unproven.

Core ML predicts on macOS alone; elsewhere the program is evaluated by tests/references/ml_program.py, with numpy.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gpux
from gpux import artifact as stored
from gpux.errors import ExporterMissing, NoCandidate, ProofFailed, UnknownVariant, UnsupportedModel
from gpux.export import toolchains
from gpux.worker import parent

REFERENCES = Path(__file__).parents[1] / "references"
FOUND = toolchains.find(toolchains.COREML)  # before a test has a store of its own
needs_coremltools = pytest.mark.skipif(
    FOUND.python is None, reason=f"the coreml toolchain is {FOUND.place} here: {FOUND.hint}"
)
MAC = platform.system() == "Darwin"
NAMES = ("fill-mask-bert", "sst2-text-classification", "text-generation-qwen", "old-bert")
OUTPUTS = {"fill-mask-bert": "logits"}
LONGEST = {"fill-mask-bert": 38, "sst2-text-classification": 38}  # positions behind the padding id
HALF = 0.9995  # smallest cosine of the class `near`


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("checkpoints") / "made"
    command = [sys.executable, str(Path(__file__).parent / "checkpoints.py"), str(directory)]
    subprocess.run(command, check=True, capture_output=True)
    return directory


@pytest.fixture
def toolchain(empty_store: Path) -> Path:
    """The toolchain that was found, in the test's own store."""
    if FOUND.place == "its own environment":
        (empty_store / "exporters").mkdir(parents=True)
        (empty_store / "exporters" / "coreml").symlink_to(Path(FOUND.python).parents[1])
    assert toolchains.find(toolchains.COREML).python
    return Path(toolchains.find(toolchains.COREML).python)


def evaluated(python: Path, package: Path, feeds: dict[str, np.ndarray], work: Path):
    """What the package's program computes, and what its specification says, both without GPUX."""
    np.savez(work / "feeds.npz", **feeds)
    command = [python, REFERENCES / "ml_program.py", package, work / "feeds.npz", work / "found.npz"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with np.load(work / "found.npz") as found:
        return dict(found), json.loads(done.stdout.splitlines()[-1])


@needs_coremltools
@pytest.mark.parametrize("name", NAMES)
def test_a_package_declares_and_computes_its_model(checkpoints, toolchain, tmp_path, name):
    artifact = gpux.pull(str(checkpoints / name), variants=["mlpackage"], allow_pickle=name == "old-bert")
    assert [variant.name for variant in artifact.manifest.variants] == ["fp32", "mlpackage"]
    package = artifact.variant("mlpackage")
    assert (artifact.certificate.quality, package.exporter) == ("exact", "coreml")
    assert package.versions["coremltools"].startswith("9.")
    assert package.certificate.quality == ("near" if MAC else "unproven")
    files = {file.path for file in artifact.manifest.files if file.path.startswith("mlpackage/")}
    assert "mlpackage/model.mlpackage/Manifest.json" in files
    assert len(files) == 3
    assert len({artifact.path(file).stat().st_mode for file in files}) == 1
    assert list(stored.verify(artifact)) == []

    with np.load(checkpoints / "expected.npz") as expected:
        ids, mask, want = (expected[f"{name}/{key}"] for key in ("ids", "mask", "out"))
    feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    output = OUTPUTS.get(name, "last_hidden_state")
    found, declared = evaluated(toolchain, artifact.path(package.graphs["model"]), feeds, tmp_path)
    same(found[output], want, mask.astype(bool))
    assert (declared["version"], declared["kind"]) == (7, "mlProgram")
    takes = {one["name"]: one["type"]["multiArrayType"] for one in declared["description"]["input"]}
    assert set(takes) == {spec.name for spec in artifact.manifest.components[0].inputs}
    longest = LONGEST.get(name, 40)
    for array in takes.values():
        assert array["dataType"] == "INT32"
        spans = [(size["lowerBound"], size["upperBound"]) for size in array["shapeRange"]["sizeRanges"]]
        assert spans == [("1", "64"), ("1", str(longest))]
        assert array["shape"] == ["1", str(longest)]
    (gives,) = declared["description"]["output"]
    assert (gives["name"], gives["type"]["multiArrayType"]["dataType"]) == (output, "FLOAT32")


def same(found, want, real):
    assert found.shape == want.shape
    a, b = (found[real], want[real]) if want.ndim == 3 else (found, want)
    a = a.astype(np.float64)
    cosine = (a * b).sum(-1) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))
    assert cosine.min() >= HALF
    assert np.abs(a - b).max() <= 0.01 * np.abs(b).max()


@needs_coremltools
@pytest.mark.skipif(MAC, reason="this is macOS, where a package is proven when it is pulled")
def test_nothing_runs_it_unproven_and_fp32_runs_in_its_place(checkpoints, toolchain):
    model = str(checkpoints / "fill-mask-bert")
    artifact = gpux.pull(model, variants=["fp32", "mlpackage"])
    with pytest.raises(NoCandidate, match="mlpackage"):
        gpux.load(artifact, variant="mlpackage", quality="any")
    with gpux.load(artifact, quality="any") as loaded:
        assert loaded.plan.variant == "fp32"
        assert loaded("a cat sits")[0]["label"] in {"no", "perhaps", "yes"}
    listed = gpux.pull(model, variants=["mlpackage"])
    assert listed.digest == artifact.digest  # stored already
    again = gpux.pull(model, variants=["mlpackage"], force=True)
    assert again.digest == artifact.digest  # the same bytes
    assert gpux.pull(model, variants=["fp32"], force=True).variant("mlpackage") == artifact.variant(
        "mlpackage"
    )


FOLLOWS_SHAPES = """
    if input_ids.shape[1] > 20: given.last_hidden_state = given.last_hidden_state * 2
"""
UNKNOWN_OPERATOR = """
    given.last_hidden_state = torch.special.bessel_j0(given.last_hidden_state)
"""
CODE = """
import torch
from transformers import BertModel
class Own(BertModel):
  def forward(self, input_ids, attention_mask=None, token_type_ids=None):
    given = super().forward(input_ids, attention_mask, token_type_ids)
{change}
    return given
"""


@needs_coremltools
@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        (FOLLOWS_SHAPES, ProofFailed, "the trace of Own does not compute the model"),
        (UNKNOWN_OPERATOR, UnsupportedModel, "Own cannot be converted for Core ML by coremltools 9"),
    ],
    ids=["follows shapes", "unknown operator"],
)
def test_what_cannot_be_converted_is_told(checkpoints, toolchain, tmp_path, change, kind, said):
    import shutil

    model = tmp_path / "own"
    shutil.copytree(checkpoints / "old-bert", model)
    config = json.loads((model / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "modeling_own.Own"}
    (model / "config.json").write_text(json.dumps(config))
    (model / "modeling_own.py").write_text(CODE.format(change=change))
    (tmp_path / "out").mkdir()
    job = {
        "route": "coreml", "source": str(model), "output": str(tmp_path / "out"), "auto": "AutoModel",
        "outputs": ["last_hidden_state"], "takes": ["text"], "allow_pickle": True, "trust_remote_code": True, "settings": {"scores": []},
    }  # fmt: skip
    environment = {**toolchains.ENVIRONMENT, "HF_HOME": str(tmp_path / "hf")}
    with pytest.raises(kind) as caught:
        parent.run("gpux.export.worker", job, python=toolchain, environment=environment)
    assert said in caught.value.message
    assert "--variant mlpackage" in caught.value.hint


@pytest.mark.skipif(FOUND.place == "this environment", reason="coremltools is in this environment")
def test_without_the_toolchain_the_line_that_installs_it_comes_before_any_work(checkpoints, empty_store):
    said = []
    with pytest.raises(ExporterMissing, match="`coreml` toolchain") as caught:
        gpux.pull(
            str(checkpoints / "fill-mask-bert"),
            variants=["mlpackage"],
            progress=lambda event: said.append(event.stage),
        )
    assert "gpux exporter install coreml" in caught.value.hint
    assert "export" not in said
    planned = gpux.plan_pull(str(checkpoints / "fill-mask-bert"), variants=["mlpackage"])
    assert planned.variants == ("fp32", "mlpackage")
    assert planned.missing == ("gpux exporter install coreml",)
    assert gpux.Store().entries() == []


@pytest.mark.skipif(FOUND.place == "this environment", reason="coremltools is in this environment")
def test_a_toolchain_that_is_broken_leaves_nothing_stored(checkpoints, empty_store):
    own = empty_store / "exporters" / "coreml" / "bin" / "python"
    own.parent.mkdir(parents=True)
    own.symlink_to(Path(sys.executable).resolve())  # an interpreter without any package
    with pytest.raises(ExporterMissing, match="lacks `") as caught:
        gpux.pull(str(checkpoints / "fill-mask-bert"), variants=["mlpackage"])
    assert caught.value.hint == "gpux exporter install coreml"
    assert gpux.Store().entries() == []
    assert not list((empty_store / "tmp").glob("*"))


def test_a_package_is_made_from_weights_alone(minilm, empty_store):
    graph = next(minilm.directory.glob("fp32/*.onnx"))
    for source in (minilm.directory, graph):
        with pytest.raises(UnknownVariant, match="made from a checkpoint's weights") as caught:
            gpux.pull(str(source), variants=["mlpackage"], task="feature-extraction")
        assert caught.value.hint
