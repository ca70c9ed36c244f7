"""WebGPU, QNN and TensorRT for RTX ask the runtime for what was meant: on a double of ONNX Runtime, as none has its hardware here."""

import json

import pytest
from graphs import two_outputs
from plugin_packages import doubled, fetched, python

NPU = {"kind": "NPU", "vendor": "Qualcomm", "metadata": {"Description": "Hexagon  NPU"}}
GPU = {
    "kind": "GPU",
    "vendor": "Qualcomm",
    "metadata": {"Description": "Adreno GPU", "DxgiVideoMemory": "512 MB"},
}
CPU = {"kind": "CPU", "vendor": "Qualcomm"}
RTX = {"kind": "GPU", "vendor": "NVIDIA", "metadata": {"DxgiVideoMemory": "0 MB"}}

ASK = """
import json, sys
from pathlib import Path
import numpy as np
import onnxruntime
from gpux import selftest
from gpux.discovery import discover
from gpux.errors import GpuxError
from gpux.provider import Options, check
name, graph, cache, extra, dimensions, times = json.loads(sys.argv[1])
provider = discover()[name]
probe = provider.probe()
onnxruntime.ASKED.clear()
said = None
try:
    options = Options(threads=1, cache=cache and Path(cache), extra=check(provider, extra), dimensions=dimensions)
    for _ in range(times):
        opened = provider.open(Path(graph), options)
    placement = opened.placement()
    said = [str(placement), placement.nodes]
except GpuxError as error:
    said = [type(error).__name__, error.message, error.hint]
devices = [[one.name, one.kind, one.memory] for one in probe.devices]
print(json.dumps([[probe.state, probe.reason, devices], onnxruntime.ASKED, said]))
"""


@pytest.fixture
def ask(tmp_path):
    def asked(name, module, devices, *, extra=None, cache=None, dimensions=None, environment=None, times=1):
        site = tmp_path / "site"
        if not site.exists():
            doubled(site, module, devices)
        job = [
            name,
            str(two_outputs(tmp_path / "two.onnx")),
            cache and str(cache),
            extra or {},
            dimensions or {},
            times,
        ]
        return python(site, ASK, json.dumps(job), environment=environment)[0]

    return asked


@pytest.mark.parametrize(
    ("extra", "kind", "options"),
    [
        ({}, "NPU", {"backend_type": "htp"}),
        ({"backend": "htp", "precision": "fp16"}, "NPU", {"backend_type": "htp", "enable_htp_fp16_precision": "1"}),
        ({"precision": "fp32", "power": "burst"}, "NPU",
         {"backend_type": "htp", "enable_htp_fp16_precision": "0", "htp_performance_mode": "burst"}),
        ({"backend": "gpu", "precision": "fp16", "power": "burst"}, "GPU", {"backend_type": "gpu"}),
        ({"backend": "cpu", "runtime.vtcm_mb": "8"}, "CPU", {"backend_type": "cpu", "vtcm_mb": "8"}),
    ],
)  # fmt: skip
def test_qnn_runs_on_the_backend_that_was_asked_for(ask, extra, kind, options):
    probe, asked, said = ask("qnn", "onnxruntime_qnn", [CPU, GPU, NPU], extra=extra)
    assert probe == [
        "works",
        None,
        [["Hexagon NPU", "npu", None], ["Adreno GPU", "gpu", 512 << 20], ["Qualcomm CPU", "cpu", None]],
    ]
    devices, providers, _, fallback = asked[0]
    assert devices == [[kind], options]
    assert providers is None
    assert fallback == 0, "the runtime's own fallback would open the graph on the CPU alone"
    assert said[1] == {"QNNExecutionProvider": 2}


@pytest.mark.parametrize(
    ("extra", "half", "precision"),
    [({}, "", "fp32"), ({}, "1", "fp16"), ({"precision": "fp16"}, "", "fp16"), ({"precision": "fp32"}, "1", "fp32"),
     ({"backend": "gpu"}, "1", "fp32")],
)  # fmt: skip
def test_qnn_measures_the_npus_precision_where_nobody_said_it(ask, extra, half, precision):
    *_, said = ask("qnn", "onnxruntime_qnn", [GPU, NPU], extra=extra, environment={"DOUBLE_HALF": half})
    assert f", {precision}, 100%" in said[0]


def test_qnn_without_that_device_says_which_there_are(ask):
    *_, said = ask("qnn", "onnxruntime_qnn", [CPU], extra={"backend": "htp"})
    assert said[:2] == [
        "ProviderUnavailable",
        "provider `qnn` has no device for its backend `htp` on this machine",
    ]
    assert "it lists cpu" in said[2]


def test_qnn_opens_what_it_compiled_before_and_tells_the_first_placement(ask, tmp_path):
    cache = tmp_path / "cache"
    _, (first, *_, second), said = ask("qnn", "onnxruntime_qnn", [GPU], cache=cache, times=2)
    assert first[2]["ep.context_enable"] == "1"
    assert first[2]["ep.context_file_path"].startswith(str(cache))
    assert "ep.context_enable" not in second[2]
    assert said == ["qnn (Adreno GPU, fp32, 100% of 2 nodes)", {"QNNExecutionProvider": 2}]
    assert sorted(path.suffix for path in cache.iterdir()) == [".json", ".onnx"]
    # Other settings are another context; a note that is damaged means to compile anew.
    _, (other, *_), _ = ask("qnn", "onnxruntime_qnn", [GPU], cache=cache, extra={"graph": "all"})
    assert other[2]["ep.context_enable"] == "1"
    for path in cache.glob("*.json"):
        path.write_text("{")
    _, (again, *_), _ = ask("qnn", "onnxruntime_qnn", [GPU], cache=cache)
    assert again[2]["ep.context_enable"] == "1"


def test_qnn_that_keeps_nothing_compiles_nothing_for_later(ask):
    _, asked, _ = ask("qnn", "onnxruntime_qnn", [NPU])
    assert all("ep.context_enable" not in entries for _, _, entries, _ in asked)


def test_the_real_qnn_takes_no_node_on_another_makers_processor(tmp_path_factory):
    folder = fetched("onnxruntime-qnn==2.7.0", tmp_path_factory.getbasetemp())
    code = "import json; from gpux.discovery import discover; p = discover()['qnn'].probe(); print(json.dumps([p.state, p.reason, p.hint]))"
    (state, reason, hint), _ = python(folder, code)
    if state == "works":
        pytest.skip("this machine has a Qualcomm processor")
    assert state == "listed"
    assert reason == "it took no node of a graph of three, which ran on the CPU instead"
    assert "Snapdragon" in hint


def test_tensorrt_for_rtx_keeps_its_kernels_and_knows_the_shapes(ask, tmp_path):
    cache = tmp_path / "cache"
    probe, asked, said = ask(
        "nv-tensorrt-rtx", "onnxruntime_ep_nv_tensorrt_rtx", [RTX, RTX],
        cache=cache, extra={"cuda_graph": "on", "device": "1"}, dimensions={"rows": [1, 8, 64]},
    )  # fmt: skip
    assert probe == ["works", None, [["NVIDIA GPU", "gpu", None]] * 2]
    assert asked[0][0] == [
        ["GPU"],
        {
            "nv_runtime_cache_path": str(cache),
            "enable_cuda_graph": "1",
            "nv_profile_min_shapes": "x:1x6",
            "nv_profile_opt_shapes": "x:8x6",
            "nv_profile_max_shapes": "x:64x6",
        },
    ]
    assert cache.is_dir()
    assert said[1] == {"NvTensorRTRTXExecutionProvider": 2}


def test_tensorrt_for_rtx_guesses_no_shape(ask):
    _, asked, _ = ask(
        "nv-tensorrt-rtx", "onnxruntime_ep_nv_tensorrt_rtx", [RTX], dimensions={"columns": [1, 8, 64]}
    )
    assert asked[0][0] == [["GPU"], {}]


@pytest.mark.parametrize(
    ("extra", "options"),
    [
        ({}, {}),
        (
            {"layout": "NCHW", "power": "low-power"},
            {"preferredLayout": "NCHW", "powerPreference": "low-power"},
        ),
        ({"runtime.validationMode": "disabled"}, {"validationMode": "disabled"}),
    ],
)
def test_webgpu_passes_layout_and_power_on(ask, extra, options):
    _, asked, said = ask("webgpu", "onnxruntime_ep_webgpu", [RTX], extra=extra)
    assert asked[0][0] == [["GPU"], options]
    assert said[1] == {"WebGpuExecutionProvider": 2}


def test_webgpu_may_be_inside_the_runtime(ask, tmp_path):
    environment = {"DOUBLE_INSIDE": "WebGpuExecutionProvider"}
    doubled(tmp_path / "site", "onnxruntime_qnn", [])
    probe, asked, said = ask("webgpu", "", [], extra={"layout": "NCHW"}, environment=environment)
    assert probe == ["works", None, [["webgpu", "gpu", None]]]
    assert asked[0][:2] == [
        None,
        [["WebGpuExecutionProvider", {"preferredLayout": "NCHW"}], ["CPUExecutionProvider", {}]],
    ]
    assert said[1] == {"WebGpuExecutionProvider": 2}


@pytest.mark.parametrize("name", ["webgpu", "qnn", "nv-tensorrt-rtx"])
def test_one_that_is_not_installed_tells_the_line_to_type(ask, tmp_path, name):
    doubled(tmp_path / "site", "onnxruntime_qnn", [CPU])
    (tmp_path / "site/onnxruntime_qnn").rename(tmp_path / "site/elsewhere")
    probe, _, said = ask(name, "", [])
    assert probe[0] == "missing"
    assert probe[1] == said[1]
    assert said[0] == "ProviderUnavailable"
    assert said[2] == f"pip install 'gpux[{name}]'"
