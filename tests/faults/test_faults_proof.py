"""Graphs that do not compute the model: refused with what differed, nothing stored, nothing written elsewhere."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import small
from onnx import TensorProto, helper
from small import BATCH, HIDDEN, graph

import gpux
from gpux.errors import GpuxError, ProofFailed, RunFailed, UnsafePath
from gpux.export import probes
from gpux.export.inputs import Inputs, Tokens
from gpux.head import Head
from gpux.registry.proving import prove

HEAD = Head("AutoModel", ("",), ("last_hidden_state",))
SHAPE = np.array([1, 1, HIDDEN], np.int64)


def tail(*nodes):
    return [helper.make_node(kind, list(inputs), [output], **given) for kind, inputs, output, given in nodes]


NOISE = tail(
    ("RandomNormalLike", ["hidden"], "noise", {}), ("Add", ["hidden", "noise"], "last_hidden_state", {})
)
MULTIPLIED = tail(("Mul", ["hidden", "factor"], "last_hidden_state", {}))
TURNED = tail(("Transpose", ["hidden"], "last_hidden_state", {"perm": [0, 2, 1]}))
UNMASKED = tail(
    ("ReduceMean", ["embedded"], "all", {"axes": [1], "keepdims": 1}),
    ("Add", ["embedded", "all"], "last_hidden_state", {}),
)
FLAT = tail(("ReduceSum", ["hidden"], "last_hidden_state", {"keepdims": 0}))
# Works for one row only: reshapes to a batch of one, whatever it is given.
FROZEN = tail(("Reshape", ["hidden", "form"], "last_hidden_state", {}))
OUT_OF_RANGE = tail(
    ("Gather", ["table", "far"], "row", {}), ("Add", ["hidden", "row"], "last_hidden_state", {})
)


def refused(repo: Path, data: bytes, home: Path) -> GpuxError:
    """The error of pulling the repository with that graph; the store must be as empty as before."""
    (repo / "onnx/model.onnx").write_bytes(data)
    outside = sorted(path for path in home.parent.rglob("*") if home not in (path, *path.parents))
    with pytest.raises(GpuxError) as caught:
        gpux.pull(str(repo))
    store = gpux.Store()
    assert store.entries() == []
    assert store.digests() == []
    assert list(store.temporary.glob("*")) == []
    assert sorted(path for path in home.parent.rglob("*") if home not in (path, *path.parents)) == outside
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize(
    ("nodes", "constants", "says"),
    [
        (NOISE, {}, r"output `last_hidden_state` reaches cosine -?0\.\d+ against itself, max difference \d"),
        (MULTIPLIED, {"factor": np.array(np.nan, np.float32)}, r"`last_hidden_state` is not finite on a probe of \[1, 5, 8\]"),
        (MULTIPLIED, {"factor": np.array(np.inf, np.float32)}, "is not finite"),
        (TURNED, {}, "no row per text|the reference"),
        (UNMASKED, {}, r"reaches cosine 0\.\d+ against itself, max difference \d"),
        (FLAT, {}, "no row per text"),
        (FROZEN, {"form": np.array([1, -1, HIDDEN], np.int64)}, r"has shape \[1, 33, 8\], the reference \[3, 11, 8\]"),
        (OUT_OF_RANGE, {"far": np.array([999], np.int64)}, "refused|failed while running|out of"),
    ],
    ids=["noise", "nan", "infinite", "turned", "unmasked", "flat", "frozen", "out-of-range"],
)  # fmt: skip
def test_a_graph_that_does_not_compute_the_model_is_refused(repo, empty_store, nodes, constants, says):
    error = refused(repo, graph(nodes, constants=constants), empty_store)
    assert isinstance(error, ProofFailed | RunFailed)
    assert re.search(says, error.message), error.message
    assert error.details["file"] == "onnx/model.onnx"


def test_a_fixed_batch_is_refused(repo, empty_store):
    error = refused(repo, graph(shape=(1, "sequence"), gives=(1, "sequence", HIDDEN)), empty_store)
    assert isinstance(error, ProofFailed | RunFailed)
    assert "invalid dimensions" in error.message


def test_an_input_that_the_task_has_not(repo, empty_store):
    error = refused(repo, graph(inputs=("input_ids", "attention_mask", "pixels")), empty_store)
    assert "wants an input `pixels`" in error.message


def test_a_mask_that_nobody_gives(repo, empty_store):
    error = refused(repo, graph(inputs=("input_ids",)), empty_store)
    assert isinstance(error, RunFailed | ProofFailed)


def test_a_graph_that_takes_no_mask_must_know_its_padding(repo, empty_store):
    """Padded batches would change its answers without a word."""
    padding = {"pad": np.array(0, np.int64)}
    aware = tail(
        ("Equal", ["input_ids", "pad"], "padded", {}),
        ("Not", ["padded"], "attention_mask", {}),
    )
    unaware = tail(("Equal", ["input_ids", "input_ids"], "attention_mask", {}))
    error = refused(repo, graph(head=unaware, inputs=("input_ids",)), empty_store)
    assert re.search(r"reaches cosine -?0\.\d+ against itself", error.message)
    (repo / "onnx/model.onnx").write_bytes(graph(head=aware, constants=padding, inputs=("input_ids",)))
    with gpux.load(str(repo)) as model:
        both = model.encode(["w2", "w2 w3 w4"])
        assert both[0] == pytest.approx(model.encode("w2"), abs=1e-6)


def test_a_classifier_without_logits_is_refused(repo, empty_store):
    config = {**small.CONFIG, "architectures": ["BertForSequenceClassification"]}
    (repo / "config.json").write_text(json.dumps(config))
    error = refused(repo, graph(), empty_store)
    assert "logits" in error.message


def test_a_graph_that_crashes_or_is_cut(repo, empty_store):
    data = graph()
    for size in (0, 1, 10, len(data) // 2, len(data) - 1):
        error = refused(repo, data[:size], empty_store)
        assert isinstance(error, gpux.errors.SourceError | ProofFailed | RunFailed), error
        assert "onnx/model.onnx" in error.message or "model.onnx" in error.message


def test_a_graph_that_wants_all_memory(repo, empty_store, monkeypatch):
    nodes = tail(
        ("ConstantOfShape", ["huge"], "zeros", {}),
        ("ReduceSum", ["zeros"], "zero", {"keepdims": 0}),
        ("Add", ["hidden", "zero"], "last_hidden_state", {}),
    )
    monkeypatch.setenv("GPUX_WORKER_MEMORY", "8000")
    error = refused(repo, graph(nodes, constants={"huge": np.array([1 << 40], np.int64)}), empty_store)
    assert isinstance(error, ProofFailed | RunFailed)


def test_a_bad_variant_leaves_the_good_one_alone(repo, empty_store):
    first = gpux.pull(str(repo))
    (repo / "onnx/model_int8.onnx").write_bytes(graph(NOISE))
    with pytest.raises(GpuxError, match="int8"):
        gpux.pull(str(repo), variants=["int8"])
    assert gpux.Store().get("small-model").digest == first.digest
    assert small.whole(empty_store) == 1


@pytest.mark.parametrize(
    "location",
    ["../secret.bin", "/etc/hostname", "a/../../x", "..\\x", "C:/x", "con", "nul.bin", "x/aux.txt", "", "data\nx"],
)  # fmt: skip
def test_external_data_with_a_hostile_name(repo, empty_store, location):
    (repo / "secret.bin").write_bytes(small.TABLE.tobytes())
    error = refused(repo, graph(location=location), empty_store)
    assert isinstance(error, UnsafePath)


@pytest.mark.parametrize(
    "target", ["/etc/hostname", "/dev/zero", "/dev/full", "../../outside.bin", "nowhere"]
)
def test_external_data_that_is_a_link_or_a_device(repo, empty_store, target):
    (repo.parent / "outside.bin").write_bytes(small.TABLE.tobytes())
    (repo / "onnx/weights.bin").symlink_to(target)
    error = refused(repo, graph(location="weights.bin"), empty_store)
    assert isinstance(error, gpux.errors.SourceError)


def test_external_data_that_is_a_pipe(repo, empty_store):
    os.mkfifo(repo / "onnx/weights.bin")
    assert isinstance(refused(repo, graph(location="weights.bin"), empty_store), UnsafePath)


def test_external_data_that_is_cut_or_missing(repo, empty_store):
    data = graph(location="weights.bin")
    assert "weights.bin" in refused(repo, data, empty_store).message
    (repo / "onnx/weights.bin").write_bytes(small.TABLE.tobytes()[:-4])
    assert isinstance(refused(repo, data, empty_store), ProofFailed | RunFailed)


def test_external_data_beside_its_graph_is_stored_and_checked(repo):
    (repo / "onnx/model.onnx").write_bytes(graph(location="weights.bin"))
    (repo / "onnx/weights.bin").write_bytes(small.TABLE.tobytes())
    artifact = gpux.pull(str(repo))
    assert "fp32/weights.bin" in {file.path for file in artifact.manifest.files}
    with gpux.load(artifact) as model:
        vector = model.encode("w2 w3")
    ids = np.array([[2, 3]])
    assert vector == pytest.approx(small.hidden(ids, np.ones_like(ids))[0].mean(0), abs=1e-6)
    weights = artifact.path("fp32/weights.bin")
    weights.write_bytes(b"!" + weights.read_bytes()[1:])
    with pytest.raises(gpux.errors.CorruptArtifact, match=r"fp32/weights\.bin"):
        gpux.load(artifact)


def test_against_outputs_that_numpy_computed(tmp_path):
    tokens = Tokens(vocabulary=small.VOCABULARY, pad=0, maximum=128, types=1)
    feeds = probes.make(Inputs(("input_ids", "attention_mask"), tokens=tokens))
    probes.save(tmp_path / "probes.npz", feeds)
    right = [
        {"last_hidden_state": small.hidden(f["input_ids"], f["attention_mask"]).astype(np.float32)}
        for f in feeds
    ]
    probes.save(tmp_path / "right.npz", right)
    probes.save(tmp_path / "other.npz", [{"logits": run["last_hidden_state"]} for run in right])
    (tmp_path / "model.onnx").write_bytes(graph())

    def run(reference: str):
        return prove(
            {"model": tmp_path / "model.onnx"}, variant="fp32", head=HEAD, probes=tmp_path / "probes.npz",
            reference=tmp_path / reference, against="numpy", save=None, progress=lambda _: None,
        )  # fmt: skip

    proven = run("right.npz")
    assert proven.certificate.quality == "exact"
    assert proven.certificate.probes == ("1×5", "1×24", "3×11", "4×40", "2×96", "1×128")
    assert [spec.shape for spec in proven.components[0].inputs] == [BATCH, BATCH]
    with pytest.raises(ProofFailed, match="gives last_hidden_state, the model logits: nothing to compare"):
        run("other.npz")
    off = right[3]["last_hidden_state"]
    off[0, 0] *= -1  # one token of one text of one probe
    probes.save(tmp_path / "off.npz", right)
    with pytest.raises(ProofFailed, match=r"cosine -1\.000000 against numpy, max difference") as caught:
        run("off.npz")
    assert caught.value.max_abs == pytest.approx(2 * np.abs(off[0, 0]).max(), rel=1e-4)


def test_a_graph_of_another_type_is_told(repo, empty_store):
    nodes = tail(("Cast", ["hidden"], "last_hidden_state", {"to": TensorProto.STRING}))
    assert isinstance(refused(repo, graph(nodes), empty_store), ProofFailed | RunFailed)
