"""The OpenVINO provider held against OpenVINO itself: precision, devices, threads, shapes, types, and what it would get wrong silently."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

import numpy as np
import onnx
import pytest
from gpux_providers._openvino_import import load
from graphs import expected, two_outputs
from onnx import TensorProto, helper

from gpux.discovery import discover
from gpux.errors import InvalidSetting, RunFailed
from gpux.provider import Options, check

PROVIDER = discover()["openvino"]
CORE = load().Core()
X = np.random.default_rng(2).normal(size=(3, 6)).astype(np.float32)


def build(path, nodes, inputs, outputs):
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(*one) for one in inputs],
        [helper.make_tensor_value_info(*one) for one in outputs],
    )
    versions = [helper.make_opsetid("", 17), helper.make_opsetid("odd", 1)]
    path.write_bytes(helper.make_model(graph, opset_imports=versions, ir_version=9).SerializeToString())
    return path


def twice(path, kind):
    """``y = x + x`` in some type."""
    return build(
        path,
        [helper.make_node("Add", ["x", "x"], ["y"])],
        [("x", kind, ["rows", 3])],
        [("y", kind, ["rows", 3])],
    )


@pytest.fixture
def graph(tmp_path):
    return two_outputs(tmp_path / "two.onnx")


@pytest.fixture
def opened(graph):
    made = []

    def make(path=graph, *, threads=2, cache=None, **extra):
        given = {name.replace("__", "."): value for name, value in extra.items()}
        made.append(PROVIDER.open(path, Options(threads=threads, cache=cache, extra=check(PROVIDER, given))))
        return made[-1]

    yield make
    for one in made:
        one.close()


def runtime_precisions(path, hint):
    """What OpenVINO computes the multiplication, or whatever there is, in when it is asked directly."""
    model = CORE.compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": hint}).get_runtime_model()
    told = {}
    for node in model.get_ordered_ops():
        info = node.get_rt_info()
        told.setdefault(info["layerType"].value, info["runtimePrecision"].value)
    return told


@pytest.mark.parametrize(("asked", "hint"), [("fp32", "f32"), ("bf16", "bf16"), ("fp16", "f16")])
def test_the_precision_is_what_the_runtime_tells_and_not_what_was_asked_for(opened, graph, asked, hint):
    names = {"f32": "fp32", "bf16": "bf16", "f16": "fp16"}
    session = opened(precision=asked)
    told = runtime_precisions(graph, hint)
    assert session.placement().precision == names[told["FullyConnected"]]
    tolerance = {"fp32": 1e-5, "fp16": 2e-3, "bf16": 5e-2}[session.placement().precision]
    np.testing.assert_allclose(
        session.run({"x": X})["total"], expected(X)["total"], atol=tolerance, rtol=tolerance
    )


@pytest.mark.parametrize(("asked", "hint"), [("fp32", "f32"), ("bf16", "bf16"), ("fp16", "f16")])
def test_a_graph_without_anything_heavy_is_told_truly_too(opened, tmp_path, asked, hint):
    path = twice(tmp_path / "light.onnx", TensorProto.FLOAT)
    told = runtime_precisions(path, hint)["Eltwise"]
    session = opened(path, precision=asked)
    assert session.placement().precision == {"f32": "fp32", "bf16": "bf16", "f16": "fp16"}[told]
    exact = np.array([[1.0001, 2, 3]], np.float32)
    assert bool((session.run({"x": exact})["y"] == exact + exact).all()) is (told == "f32")


def test_fp32_is_never_left_to_the_runtime(graph):
    """Left alone, this processor's own choice may be half precision; the default of the provider is not."""
    session = PROVIDER.open(graph, Options(threads=1))
    assert session.placement().precision == "fp32"
    np.testing.assert_allclose(session.run({"x": X})["total"], expected(X)["total"], atol=1e-5)


@pytest.mark.parametrize("device", ["CPU", "cpu", "AUTO", "auto:cpu", "MULTI:CPU", "HETERO:CPU"])
def test_devices_that_are_here(opened, device):
    session = opened(device=device)
    assert session.placement().device == "CPU"
    np.testing.assert_allclose(session.run({"x": X})["total"], expected(X)["total"], atol=1e-5)


@pytest.mark.parametrize("device", ["NONE", "CPU.7", "C PU", "GPU.99", "BATCH:CPU", "../CPU"])
def test_devices_that_are_not(opened, device):
    with pytest.raises(InvalidSetting, match="OpenVINO has no device") as caught:
        opened(device=device)
    assert ", ".join(CORE.available_devices) in caught.value.hint


@pytest.mark.parametrize("device", ["AUTO:XYZ", "HETERO:XYZ", "MULTI:"])
def test_choosers_of_nothing(opened, device):
    with pytest.raises((RunFailed, InvalidSetting)) as caught:
        opened(device=device)
    assert caught.value.hint


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shapes", ["dynamic", "fixed"])
def test_threads_are_honoured(opened, threads, shapes):
    session = opened(threads=threads, shapes=shapes)
    session.run({"x": X})
    compiled = [session._compiled, *(one for _, one in session._shaped.values())]
    assert len(compiled) == (2 if shapes == "fixed" else 1)
    assert {one.get_property("INFERENCE_NUM_THREADS") for one in compiled} == {threads}


@pytest.mark.parametrize("device", ["AUTO", "MULTI:CPU", "HETERO:CPU"])
def test_threads_are_honoured_behind_a_chooser(opened, device):
    session = opened(threads=1, device=device)
    session.run({"x": X})
    told = session._compiled.get_property("DEVICE_PROPERTIES")
    assert told["CPU"]["INFERENCE_NUM_THREADS"] == 1


def test_raw_settings_reach_the_runtime(opened):
    session = opened(runtime__INFERENCE_NUM_THREADS="1", runtime__ENABLE_CPU_PINNING="NO")
    assert session._compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert session._compiled.get_property("ENABLE_CPU_PINNING") is False


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("NOPE", "1", "Unsupported property NOPE"),
        ("INFERENCE_NUM_THREADS", "many", "INFERENCE_NUM_THREADS"),
        ("INFERENCE_PRECISION_HINT", "f7", "f7|PRECISION"),
    ],
)
def test_raw_settings_that_are_none(opened, name, value, says):
    with pytest.raises(RunFailed, match=says) as caught:
        opened(**{f"runtime__{name}": value})
    assert "`two.onnx`" in caught.value.message
    assert caught.value.hint == f"check --option runtime.{name}, or leave it out"


def test_fixed_shapes_give_equal_answers_and_keep_sixteen(opened):
    fixed, dynamic = opened(shapes="fixed"), opened()
    for rows in [*range(1, 41), 1, 40]:
        x = np.random.default_rng(rows).normal(size=(rows, 6)).astype(np.float32)
        found = fixed.run({"x": x})
        for name, value in dynamic.run({"x": x}).items():
            np.testing.assert_allclose(found[name], value, atol=1e-6)
        assert len(fixed._shaped) <= 16
    assert len(fixed._shaped) == 16


@pytest.mark.parametrize("shapes", ["dynamic", "fixed"])
def test_eight_threads_of_several_shapes(opened, shapes):
    session, wrong = opened(shapes=shapes), []
    barrier = threading.Barrier(8)

    def work(seed):
        barrier.wait()
        for turn in range(15):
            x = np.random.default_rng([seed, turn]).normal(size=(1 + (seed + turn) % 5, 6)).astype(np.float32)
            if not np.allclose(session.run({"x": x})["total"], expected(x)["total"], atol=1e-5):
                wrong.append((seed, turn))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []


def test_answers_are_the_callers_own(opened):
    """Neither a later run nor a change of the input changes what was given out."""
    session, x = opened(), X.copy()
    first = session.run({"x": x})["total"]
    kept = first.copy()
    x[:] = 0
    session.run({"x": x})
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("shapes", ["dynamic", "fixed"])
def test_no_rows(opened, shapes):
    assert opened(shapes=shapes).run({"x": np.ones((0, 6), np.float32)})["y"].shape == (0, 5)


@pytest.mark.parametrize("shapes", ["dynamic", "fixed"])
def test_outputs_whose_size_the_numbers_decide(opened, tmp_path, shapes):
    nodes = [helper.make_node("NonZero", ["x"], ["y"])]
    path = build(
        tmp_path / "nz.onnx",
        nodes,
        [("x", TensorProto.FLOAT, ["rows", 3])],
        [("y", TensorProto.INT64, [2, "n"])],
    )
    session = opened(path, shapes=shapes)
    for rows in ([[1, 0, 3], [0, 0, 0]], [[0, 0, 0]], [[1, 1, 1]]):
        x = np.array(rows, np.float32)
        np.testing.assert_array_equal(session.run({"x": x})["y"], np.array(np.nonzero(x)))


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [(TensorProto.INT64, "int64"), (TensorProto.INT32, "int32"), (TensorProto.FLOAT16, "float16"), (TensorProto.DOUBLE, "float64"), (TensorProto.UINT8, "uint8")],
)  # fmt: skip
def test_types(opened, tmp_path, kind, dtype):
    session = opened(twice(tmp_path / "one.onnx", kind))
    assert session.inputs[0].dtype == session.outputs[0].dtype == dtype
    found = session.run({"x": np.array([[1, 2, 100]], dtype)})["y"]
    assert (found.dtype, found.tolist()) == (np.dtype(dtype), [[2, 4, 200]])


def test_truth_values(opened, tmp_path):
    nodes = [helper.make_node("Not", ["x"], ["y"])]
    session = opened(
        build(
            tmp_path / "not.onnx",
            nodes,
            [("x", TensorProto.BOOL, ["rows"])],
            [("y", TensorProto.BOOL, ["rows"])],
        )
    )
    assert session.run({"x": np.array([True, False])})["y"].tolist() == [False, True]


def test_whole_numbers_beyond_32_bits_are_refused_and_not_cut(opened, tmp_path):
    session = opened(twice(tmp_path / "one.onnx", TensorProto.INT64))
    edge = np.array([[2**30 - 1, -(2**30), 0]])
    assert session.run({"x": edge})["y"].tolist() == [[2**31 - 2, -(2**31), 0]]
    for value in (2**31, -(2**31) - 1, 2**40 + 1):
        with pytest.raises(RunFailed, match="computes whole numbers in 32 bits, and `x` holds larger ones"):
            session.run({"x": np.array([[value, 0, 0]])})


def test_text_is_refused_when_the_graph_is_opened(opened, tmp_path):
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    path = build(
        tmp_path / "text.onnx",
        nodes,
        [("x", TensorProto.STRING, ["rows"])],
        [("y", TensorProto.STRING, ["rows"])],
    )
    with pytest.raises(RunFailed, match="`x` is text"):
        opened(path)


def test_an_operator_that_it_lacks(opened, tmp_path):
    nodes = [helper.make_node("Unheard", ["x"], ["y"], domain="odd")]
    path = build(
        tmp_path / "odd.onnx", nodes, [("x", TensorProto.FLOAT, [3])], [("y", TensorProto.FLOAT, [3])]
    )
    with pytest.raises(RunFailed, match=r"`odd\.onnx`") as caught:
        opened(path)
    assert "Unheard" in caught.value.message
    assert caught.value.hint == "try --provider cpu"


def test_outputs_by_name(opened):
    session = opened()
    assert list(session.run({"x": X}, ["total"])) == ["total"]
    assert list(session.run({"x": X}, ["total", "y"])) == ["total", "y"]
    assert session.run({"x": X}, []) == {}
    with pytest.raises(RunFailed, match="the graph has no output `nope`"):
        session.run({"x": X}, ["nope"])


@pytest.mark.parametrize("shapes", ["dynamic", "fixed"])
@pytest.mark.parametrize("feeds", [{}, {"z": X}, {"x": X, "z": X}], ids=["none", "other", "more"])
def test_an_input_that_is_left_out_is_not_the_one_of_the_last_run(opened, shapes, feeds):
    session = opened(shapes=shapes)
    session.run({"x": X})
    with pytest.raises(RunFailed, match="it takes x, and was given"):
        session.run(feeds)


def test_a_closed_session_says_so(opened):
    session = opened()
    session.close()
    with pytest.raises(RunFailed, match="the session is closed"):
        session.run({"x": X})


@pytest.mark.parametrize(
    "x",
    [np.asfortranarray(X), X[::-1], np.repeat(X, 2, axis=1)[:, ::2]],
    ids=["columns", "backwards", "strided"],
)
def test_arrays_that_do_not_lie_in_one_piece(opened, x):
    np.testing.assert_allclose(opened().run({"x": x})["total"], expected(x)["total"], atol=1e-5)


def test_an_array_that_cannot_be_written(opened):
    x = X.copy()
    x.flags.writeable = False
    np.testing.assert_allclose(opened().run({"x": x})["total"], expected(x)["total"], atol=1e-5)


def test_the_processor_keeps_no_compiled_graphs(opened, tmp_path):
    cache = tmp_path / "engines"
    opened(cache=cache).run({"x": X})
    assert not cache.exists()


def test_importing_it_sends_nothing_and_forks_nothing(tmp_path):
    """Its telemetry would write a client's number into the home folder and fork a process that calls out."""
    code = """
import os, sys
forks = []
os.register_at_fork(before=lambda: forks.append(1))
from gpux.discovery import discover
state = discover()["openvino"].probe().state
print(state, forks, "openvino" in sys.modules, "openvino_telemetry" in sys.modules)
"""
    environment = {
        name: value for name, value in os.environ.items() if name not in {"CI", "TF_BUILD", "JENKINS_URL"}
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env={**environment, "HOME": str(tmp_path)}, capture_output=True, text=True, check=True
    )  # fmt: skip
    assert done.stdout == "works [] True False\n"
    assert list(tmp_path.rglob("*openvino*")) == []


def test_the_graphs_are_onnx_as_they_should_be(graph):
    onnx.checker.check_model(str(graph))


WITHOUT_MEMORY = """
import resource, sys
from pathlib import Path
import numpy as np
from gpux.discovery import discover
from gpux.errors import RunFailed
from gpux.provider import Options
opened = discover()["openvino"].open(Path(sys.argv[1]), Options(threads=1))
opened.run({"x": np.ones((2, 6), np.float32)})
large = np.ones((1 << 24, 6), np.float32)
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + (64 << 20), taken + (64 << 20)))
try:
    opened.run({"x": large})
except RunFailed as error:
    print(error.hint)
print(opened.run({"x": np.ones((2, 6), np.float32)})["y"].tolist())
"""


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux limits a process's address space so"
)
def test_a_run_that_failed_for_want_of_memory_leaves_the_session_usable(graph):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_MEMORY, str(graph)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    hint, answer = done.stdout.splitlines()
    assert "smaller batches" in hint
    np.testing.assert_allclose(json.loads(answer), expected(np.ones((2, 6)))["y"], rtol=1e-5, atol=1e-6)
