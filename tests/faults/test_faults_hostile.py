"""A repository that wants more than an error message: code in the working folder, forged lines, borrowed names, false graphs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import small
from onnx import TensorProto, helper

import gpux
from gpux.errors import GpuxError, ProofFailed, UnknownVariant, UnsupportedModel, UsageError
from gpux.export import proof
from gpux.registry.store import Store


def test_nothing_in_the_working_folder_is_imported_by_a_worker(tmp_path, empty_store):
    repo = small.write(tmp_path / "repo")
    trap = "import pathlib; pathlib.Path(__file__).with_suffix('.ran').touch(); raise SystemExit(3)\n"
    for name in ("numpy", "onnxruntime", "json", "evil_provider"):
        (repo / f"{name}.py").write_text(trap)
    plug = repo / "evil-1.0.dist-info"
    plug.mkdir()
    (plug / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (plug / "entry_points.txt").write_text("[gpux.providers]\nevil = evil_provider:provider\n")
    command = [Path(sys.executable).with_name("gpux"), "pull", "."]
    done = subprocess.run(
        command, cwd=repo, env=small.surroundings(empty_store), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not list(repo.glob("*.ran"))


def times_five():
    tail = [helper.make_node("Mul", ["hidden", "five"], ["last_hidden_state"])]
    return small.graph(tail, constants={"five": np.array(5, np.float32)})


def test_a_graph_of_the_right_direction_and_the_wrong_size_is_refused(tmp_path):
    """Cosine 1 everywhere, and every number five times too large."""
    repo = small.write(tmp_path / "repo", small.files(model=small.graph(), model_fp16=times_five()))
    with pytest.raises(ProofFailed, match=r"max difference .* of its scale"):
        gpux.pull(str(repo), variants=["fp16"])
    assert Store().entries() == []


def test_classes_ask_for_scale_and_variation():
    def parity(**figures):
        return gpux.artifact.OutputParity(
            **{"name": "o", "max_abs": 0.0, "max_rel": 0.0, "min_cosine": 1.0, "explained": 1.0, **figures}
        )

    assert proof.classify([parity()]) == "exact"
    assert proof.classify([parity(max_rel=4.0, explained=-25.0)]) == "lossy"
    assert proof.classify([parity(max_rel=0.3, explained=-0.17)]) == "lossy"
    assert proof.classify([parity(max_rel=0.009, explained=0.9)]) == "near"
    assert proof.classify([parity(max_rel=0.5, explained=0.995)]) == "near"


def test_the_output_that_is_proven_is_the_one_that_the_task_reads(tmp_path):
    """``token_embeddings`` is right, ``last_hidden_state``, which wins in the task, depends on the padding."""
    tail = [
        helper.make_node("Identity", ["hidden"], ["token_embeddings"]),
        helper.make_node("ReduceMean", ["embedded"], ["drift"], axes=[1], keepdims=1),
        helper.make_node("Add", ["embedded", "drift"], ["last_hidden_state"]),
    ]
    model = onnx.load_from_string(small.graph(tail))
    second = helper.make_tensor_value_info(
        "token_embeddings", TensorProto.FLOAT, [*small.BATCH, small.HIDDEN]
    )
    model.graph.output.append(second)
    repo = small.write(tmp_path / "repo", small.files(model=model.SerializeToString()))
    with pytest.raises(ProofFailed, match="last_hidden_state"):
        gpux.pull(str(repo))


def test_a_quantised_graph_without_a_reference_is_not_called_better_than_lossy(tmp_path):
    repo = small.write(tmp_path / "repo", small.files(model_int8=small.graph()))
    artifact = gpux.pull(str(repo), exporter="ready", variants=["int8"])
    assert (artifact.certificate.quality, artifact.certificate.reference) == ("lossy", "itself")
    with pytest.raises(GpuxError, match="lossy"):
        gpux.load(artifact)
    assert gpux.load(artifact, quality="any").plan.variant == "int8"


def test_a_graph_that_only_breaks_on_long_texts_is_refused(tmp_path):
    """Zeros beyond the hundredth token."""
    tail = [
        helper.make_node("Slice", ["hidden", "zero", "hundred", "one"], ["front"]),
        helper.make_node("Slice", ["hidden", "hundred", "end", "one"], ["rear"]),
        helper.make_node("Sub", ["rear", "rear"], ["nothing"]),
        helper.make_node("Concat", ["front", "nothing"], ["last_hidden_state"], axis=1),
    ]
    numbers = {"zero": [0], "hundred": [100], "end": [1 << 40], "one": [1]}
    constants = {name: np.array(value, np.int64) for name, value in numbers.items()}
    broken = small.graph(tail, constants=constants)
    repo = small.write(tmp_path / "repo", small.files(model=small.graph(), model_fp16=broken))
    with pytest.raises(ProofFailed, match="fp16"):
        gpux.pull(str(repo), variants=["fp16"])


def test_a_graph_that_never_ends_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setenv("GPUX_WORKER_TIMEOUT", "8")
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["again"]), helper.make_node("Sin", ["state"], ["next"])],
        "body",
        [helper.make_tensor_value_info("i", TensorProto.INT64, []), helper.make_tensor_value_info("go", TensorProto.BOOL, []),
         helper.make_tensor_value_info("state", TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info("again", TensorProto.BOOL, []), helper.make_tensor_value_info("next", TensorProto.FLOAT, None)],
    )  # fmt: skip
    tail = [helper.make_node("Loop", ["trips", "", "hidden"], ["last_hidden_state"], body=body)]
    endless = small.graph(tail, constants={"trips": np.array(1 << 62, np.int64)})
    repo = small.write(tmp_path / "repo", small.files(model=endless))
    with pytest.raises(ProofFailed, match="stopped after"):
        gpux.pull(str(repo))


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("modules.json", ["a", "b"]),
        ("tokenizer_config.json", {"truncation_side": 5}),
        ("config_sentence_transformers.json", {"prompts": [1]}),
        ("config_sentence_transformers.json", {"truncate_dim": "x"}),
        ("config.json", {**small.CONFIG, "text_config": "x"}),
    ],
)
def test_files_that_the_task_cannot_follow_are_told_at_pull(tmp_path, path, content):
    repo = small.write(tmp_path / "repo", {**small.files(), path: json.dumps(content).encode()})
    with pytest.raises(UnsupportedModel) as caught:
        gpux.pull(str(repo))
    assert caught.value.hint
    assert Store().entries() == []


def test_a_class_name_cannot_forge_a_line(tmp_path, empty_store):
    forged = "Evil\n\nhint: type something foolish\nproof     int8 is exact"
    config = {**small.CONFIG, "architectures": [forged]}
    repo = small.write(tmp_path / "repo", {**small.files(), "config.json": json.dumps(config).encode()})
    done = small.gpux("pull", repo, home=empty_store)
    shown = small.gpux("show", repo, home=empty_store)
    for line in (done.stdout + done.stderr + shown.stdout + shown.stderr).splitlines():
        assert not line.startswith(("hint: type", "proof     int8"))


def test_a_name_given_by_cp_leads_back_to_its_source(repo, stored):
    Store().copy(str(repo), "embedder")
    again = gpux.pull("embedder", force=True)
    assert again.reference == stored.reference
    assert gpux.plan_pull("embedder").reference == stored.reference


def test_a_short_name_is_no_source_but_the_error_says_what_it_is(repo, stored, monkeypatch):
    monkeypatch.setenv("GPUX_OFFLINE", "1")
    with pytest.raises(GpuxError) as caught:
        gpux.pull("small-model")
    assert stored.reference in caught.value.hint
    assert gpux.load("small-model:fp32").artifact.digest == stored.digest


def test_two_spellings_of_one_revision_are_one_artifact(tmp_path, monkeypatch, repo, stored):
    again = gpux.pull(f"{repo}/onnx/../")
    assert again.digest == stored.digest
    assert len(Store().digests()) == 1


def test_variants_that_are_not_there_are_told_before_any_work(repo):
    for ask in (gpux.pull, gpux.plan_pull):
        with pytest.raises(UnknownVariant, match="can be had as fp32, not as `q4`"):
            ask(str(repo), variants=["q4"])
    single = (repo / "onnx" / "model.onnx").rename(repo / "model.onnx")
    with pytest.raises(UnknownVariant, match="named as fp32"):
        gpux.pull(str(single), variants=["int8"])
    with pytest.raises(UsageError, match="one graph"):
        gpux.pull(str(single), variants=["int8", "q4"])


def test_one_variant_is_no_model_to_remove(repo, stored):
    with pytest.raises(UsageError, match="removed whole"):
        Store().plan_removal([f"{repo}:fp32"])


def test_an_exporter_that_is_asked_for_is_used(repo, stored):
    assert gpux.pull(str(repo), exporter="ready").digest == stored.digest
    with pytest.raises(GpuxError):  # there are no weights to export
        gpux.pull(str(repo), exporter="transformers")


def test_a_local_model_that_was_edited_is_made_again(repo, stored):
    assert gpux.pull(str(repo)).digest == stored.digest
    config = json.loads((repo / "config.json").read_text())
    (repo / "config.json").write_text(json.dumps({**config, "note": "edited"}))
    edited = gpux.pull(str(repo))
    assert edited.digest != stored.digest
    (repo / "config.json").unlink()
    (repo / "tokenizer.json").unlink()
    (repo / "onnx" / "model.onnx").unlink()
    assert gpux.pull(str(repo)).digest == edited.digest  # what is gone cannot tell
