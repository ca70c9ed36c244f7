"""Checkpoints as repositories hold them, through the exporter: what it makes equals PyTorch, what it cannot make is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

import gpux
from gpux.errors import (
    ExporterMissing,
    RemoteCodeRefused,
    UnknownVariant,
    UnsafeWeights,
    UnsupportedModel,
    WorkerFailed,
)

TOLERANCE = 1e-4
WITHOUT = ("torch", "transformers", "sentence_transformers", "onnx-", "onnx_ir", "onnxscript")


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("checkpoints") / "made"
    command = [sys.executable, str(Path(__file__).parent / "checkpoints.py"), str(directory)]
    subprocess.run(command, check=True, capture_output=True)
    return directory


@pytest.fixture(scope="session")
def expected(checkpoints) -> dict[str, np.ndarray]:
    with np.load(checkpoints / "expected.npz") as found:
        return dict(found)


@pytest.fixture(scope="session")
def bare(tmp_path_factory) -> Path:
    """The interpreter of an environment with everything that gpux needs to run, and no conversion toolchain."""
    return environment(
        tmp_path_factory.mktemp("bare"), lambda name: not name.startswith(WITHOUT) and name != "onnx"
    )


def environment(directory: Path, wanted=lambda name: True) -> Path:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(directory)], check=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(directory)}))
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if wanted(entry.name.lower()) and not (packages / entry.name).exists():
            (packages / entry.name).symlink_to(entry)
    return directory / "bin" / "python"


def same(session, expected, name, output):
    takes = {spec.name for spec in session.inputs}
    feeds = {"input_ids": expected[f"{name}/ids"], "attention_mask": expected[f"{name}/mask"]}
    feeds |= {"token_type_ids": np.zeros_like(feeds["input_ids"])}
    found = session.run({key: array for key, array in feeds.items() if key in takes})[output]
    want, real = expected[f"{name}/out"], feeds["attention_mask"].astype(bool)
    assert found.shape == want.shape
    if want.ndim == 3:
        found, want = found[real], want[real]
    np.testing.assert_allclose(found, want, atol=TOLERANCE)


def test_roberta_in_half_precision_and_shards(checkpoints, expected, store):
    stages = []
    artifact = gpux.pull(
        str(checkpoints / "fill-mask-bert"),
        progress=lambda event: stages.append((event.stage, event.message)),
    )
    assert artifact.task == "text-classification"  # by its class, whatever the directory is called
    assert artifact.manifest.architecture == "RobertaForSequenceClassification"
    assert artifact.certificate.quality == "exact"
    assert artifact.certificate.reference == "pytorch fp32"
    assert ("export", "exporting the graph") in stages
    assert stages[-1][0] == "store"
    with gpux.load(artifact) as model:
        same(model.session, expected, "fill-mask-bert", "logits")
        labels = {answer["label"] for answer in model("a cat sits", top_k=None)}
        assert labels == {"no", "perhaps", "yes"}
        # Positions begin behind the padding id, so that the table's last two rows are out of reach.
        assert len(model(["cat " * 200], top_k=None)[0]) == 3


def test_mpnet_with_old_code_beside_it(checkpoints, expected, store):
    """transformers has its model type built in, so the code is neither needed nor run."""
    artifact = gpux.pull(str(checkpoints / "sst2-text-classification"))
    assert artifact.task == "feature-extraction"
    with gpux.load(artifact) as model:
        assert "token_type_ids" not in {spec.name for spec in model.session.inputs}
        same(model.session, expected, "sst2-text-classification", "last_hidden_state")


def test_a_decoder_that_embeds_by_its_last_token(checkpoints, expected, store):
    artifact = gpux.pull(str(checkpoints / "text-generation-qwen"))
    assert artifact.task == "sentence-similarity"
    texts = ["a cat sits on the mat", "dogs bark", "one kitten rests on the rug at night loudly"]
    with gpux.load(artifact) as model:
        same(model.session, expected, "text-generation-qwen", "last_hidden_state")
        np.testing.assert_allclose(
            model.encode(texts), expected["text-generation-qwen/vectors"], atol=TOLERANCE
        )


def test_an_exporter_in_another_environment(checkpoints, expected, bare, tmp_path):
    """The running environment has no torch; the other one, which is named, says a version of onnx that exists nowhere else."""
    other = environment(tmp_path / "other", lambda name: not name.startswith("onnx-"))
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(tmp_path / "other")}))
    (packages / "onnx-99.9.dist-info").mkdir()
    (packages / "onnx-99.9.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: onnx\nVersion: 99.9\n"
    )
    env = {**os.environ, "GPUX_HOME": str(tmp_path / "home")}
    model = str(checkpoints / "old-bert")

    def run(*words: str, **extra: str) -> subprocess.CompletedProcess[str]:
        command = [str(bare), "-m", "gpux", *words]
        return subprocess.run(command, env={**env, **extra}, capture_output=True, text=True, check=False)

    missing = run("pull", model, "--allow-pickle")
    assert missing.returncode == 1
    assert "`transformers` toolchain, which is not installed" in missing.stderr
    assert "hint: gpux exporter install transformers, or pip install 'gpux[export]'" in missing.stderr
    listed = json.loads(run("exporter", "list", "--json").stdout)
    assert (listed[0]["place"], listed[0]["python"]) == ("not installed", None)
    assert "gpux exporter install transformers" in run("doctor").stdout

    named = {"GPUX_EXPORTER_PYTHON": str(other)}
    listed = json.loads(run("exporter", "list", "--json", **named).stdout)
    assert (listed[0]["place"], listed[0]["python"]) == ("GPUX_EXPORTER_PYTHON", str(other))
    done = run("pull", model, "--allow-pickle", "--json", **named)
    assert done.returncode == 0, done.stderr
    artifact = json.loads(done.stdout)
    shown = json.loads(run("show", artifact["digest"], "--json").stdout)
    assert shown["variants"][0]["versions"]["onnx"] == "99.9"
    # Only a vocabulary was there: the exporter made tokenizer.json, and the environment without torch runs it.
    answered = json.loads(run("run", artifact["digest"], "a cat sits on the mat", "--json").stdout)
    tokens = np.squeeze(np.array(answered["results"][0]["output"]))
    np.testing.assert_allclose(tokens, expected["old-bert/out"][0][: len(tokens)], atol=TOLERANCE)
    assert len(tokens) == 8


def test_graphs_that_are_there_need_no_toolchain(minilm, bare, tmp_path):
    env = {**os.environ, "GPUX_HOME": str(tmp_path / "home")}
    command = [str(bare), "-m", "gpux", "pull", str(minilm.directory), "--json"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["certificate"]["reference"] == "itself"


REFUSED = {
    "pickled weights": ("old-bert", {}, UnsafeWeights, "pytorch_model.bin", "--allow-pickle"),
    "no weights of the head": ("headless", {}, UnsupportedModel, "classifier.weight", "random"),
    "an unknown model type": ("unknown", {"task": "text-classification"}, UnsupportedModel, "zebranet", "exporter"),
    "a head that it never had": (
        "sst2-text-classification", {"task": "text-classification"}, UnsupportedModel, "MPNetModel", "feature-extraction",
    ),
    "a precision that is not made": ("headless", {"variants": ["int8"]}, UnknownVariant, "int8", "--variant"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_converted_is_named(checkpoints, empty_store, case):
    name, wishes, kind, said, hinted = REFUSED[case]
    with pytest.raises(kind) as caught:
        gpux.pull(str(checkpoints / name), **wishes)
    assert said in caught.value.message
    assert hinted in caught.value.hint
    assert gpux.Store().entries() == []
    assert not list((empty_store / "tmp").glob("*"))


def test_code_that_is_needed_is_refused(checkpoints, empty_store, tmp_path):
    import shutil

    model = tmp_path / "own-code"
    shutil.copytree(checkpoints / "unknown", model)
    config = json.loads((model / "config.json").read_text())
    config["auto_map"] = {"AutoModelForSequenceClassification": "modeling_zebra.Zebra"}
    (model / "config.json").write_text(json.dumps(config))
    (model / "modeling_zebra.py").write_text("import pathlib; pathlib.Path('ran').touch()\n")
    with pytest.raises(RemoteCodeRefused, match="modeling_zebra") as caught:
        gpux.pull(str(model))
    assert "--trust-remote-code" in caught.value.hint
    assert not Path("ran").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="the address-space limit is only sure on Linux")
@pytest.mark.parametrize("mebibytes", ["500", "1100"])
def test_too_little_memory_is_told_as_such(checkpoints, empty_store, monkeypatch, mebibytes):
    monkeypatch.setenv("GPUX_WORKER_MEMORY", mebibytes)
    with pytest.raises(WorkerFailed, match="memory") as caught:
        gpux.pull(str(checkpoints / "fill-mask-bert"))
    assert "GPUX_WORKER_MEMORY" in caught.value.hint
    assert gpux.Store().entries() == []


@pytest.mark.parametrize("kind", ["not there", "no toolchain", "no interpreter"])
def test_a_named_exporter_that_cannot_convert(checkpoints, empty_store, bare, monkeypatch, tmp_path, kind):
    script = tmp_path / "python"
    script.write_text("this is no program\n")
    named = {"not there": tmp_path / "none", "no toolchain": bare, "no interpreter": script}[kind]
    monkeypatch.setenv("GPUX_EXPORTER_PYTHON", str(named))
    with pytest.raises((ExporterMissing, WorkerFailed)) as caught:
        gpux.pull(str(checkpoints / "fill-mask-bert"))
    assert str(named) in caught.value.message or "lacks `" in caught.value.message
    assert caught.value.hint
