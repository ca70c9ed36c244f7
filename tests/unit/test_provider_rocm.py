"""The ROCm provider: MIGraphX's options, the older builds, AMD devices, and libraries of ROCm that lack.

See :mod:`onnxruntime_double` for what stands in for an AMD device.
"""

import onnxruntime_double as double
import pytest

MIGRAPHX, ROCM, CPU = "MIGraphXExecutionProvider", "ROCMExecutionProvider", "CPUExecutionProvider"
OPENING = """
provider = providers["rocm"]
def open_with(**options):
    return provider.open(HERE / "x.onnx", Options(**{"threads": 1, **options}))
"""
HIP = """
#include <string.h>
int hipGetDeviceCount(int *count) { *count = 1; return 0; }
int hipDeviceGetName(char *name, int size, int device) { strncpy(name, "Card R", size); return 0; }
int hipDeviceTotalMem(size_t *bytes, int device) { *bytes = 8589934592u; return 0; }
"""


@pytest.fixture
def folder(tmp_path):
    double.make(tmp_path, MIGRAPHX, version="1.27.1")
    double.graph(tmp_path / "x.onnx", x=["n", 2])
    return tmp_path


def test_it_is_named_ranked_and_has_these_settings():
    from gpux_providers.rocm import provider

    assert (provider.name, provider.rank, provider.extra) == ("rocm", 85, "rocm")
    names = ["graph", "device", "precision", "memory_limit", "tune"]
    assert [one.name for one in provider.settings] == names


@pytest.mark.parametrize(
    ("variant", "extra", "options", "told"),
    [
        ("fp32", {}, {}, "fp32"),
        ("fp32", {"precision": "fp16"}, {"migraphx_fp16_enable": "1"}, "fp16"),
        ("fp32", {"precision": "bf16"}, {"migraphx_bf16_enable": "1"}, "bf16"),
        ("fp16", {"precision": "fp32"}, {}, "fp16"),
        ("fp32", {"memory_limit": "1GiB", "tune": "on"}, {"migraphx_mem_limit": "1073741824", "migraphx_exhaustive_tune": "1"}, "fp32"),
    ],
)  # fmt: skip
def test_its_options_are_migraphxs(folder, variant, extra, options, told):
    body = OPENING + f"tell(open_with(precision={variant!r}, extra={extra!r}).placement().precision)"
    assert double.ask(folder, body) == told
    assert double.wanted(folder) == [[[MIGRAPHX, {"device_id": "0", **options}], [CPU, {}]]]


def test_compiled_models_are_kept_apart_by_version_precision_and_search(folder):
    body = """
for extra in ({"precision": "fp16"}, {"tune": "on"}):
    open_with(cache=HERE / "cache", extra=extra)
tell(0)
"""
    double.ask(folder, OPENING + body)
    kept = [folder / "cache" / f"onnxruntime-1.27.1-migraphx-{end}" for end in ("fp16", "fp32-tuned")]
    assert [one[0][1]["migraphx_model_cache_dir"] for one in double.wanted(folder)] == list(map(str, kept))
    assert all(one.is_dir() for one in kept)


def test_an_older_build_runs_its_own_kernels_and_the_whole_graph_or_nothing(tmp_path):
    """Before 1.23 there was ROCMExecutionProvider; before 1.24 the runtime does not tell where nodes went."""
    double.make(tmp_path, ROCM, version="1.22.2")
    double.graph(tmp_path / "x.onnx", x=["n", 2])
    body = (
        OPENING
        + """
session = open_with(extra={"memory_limit": "1GiB", "precision": "fp16"})
tell([provider.probe().state, asdict(session.placement()), session.run({"x": np.ones((1, 2), np.float32)})["y"].tolist()])
"""
    )
    state, placement, y = double.ask(tmp_path, body)
    assert (state, y) == ("works", [[2.0, 2.0]])
    assert (placement["nodes"], placement["share"], placement["precision"]) == ({ROCM: 1}, 1.0, "fp32")
    first = next(one for one in double.records(tmp_path) if "wanted" in one)
    assert first["wanted"] == [[ROCM, {"device_id": "0", "gpu_mem_limit": "1073741824"}]]
    assert first["entries"]["session.disable_cpu_ep_fallback"] == "1"


def test_any_other_provider_of_a_runtime_that_does_not_tell_placement_says_so(tmp_path):
    double.make(tmp_path, MIGRAPHX, version="1.23.0")
    found = double.probe(tmp_path, "rocm")
    assert found["state"] == "listed"
    assert "does not tell where it puts nodes" in found["reason"]
    assert "1.24" in found["hint"]


def test_a_build_that_lists_both_runs_migraphx(tmp_path):
    assert double.probe(double.make(tmp_path, ROCM, MIGRAPHX), "rocm")["state"] == "works"
    assert double.wanted(tmp_path)[0][0][0] == MIGRAPHX


def test_its_devices_are_hips_in_hips_order(folder):
    double.library(folder / "hip" / "libamdhip64.so.7", HIP)
    found = double.probe(folder, "rocm", LD_LIBRARY_PATH=str(folder / "hip"))
    assert found["devices"] == [{"name": "Card R", "kind": "gpu", "memory": 8 << 30, "precisions": []}]


def test_rocms_own_folder_is_looked_through(folder):
    double.library(folder / "rocm/lib/libamdhip64.so.7", HIP)
    double.library(folder / "rocm/lib/libmigraphx_c.so.3")
    body = "providers['rocm'].probe()\nmaps = Path('/proc/self/maps').read_text()\ntell('libmigraphx_c.so.3' in maps)"
    assert double.ask(folder, body, ROCM_PATH=str(folder / "rocm")) is True


@pytest.mark.parametrize(
    ("said", "reason", "hint"),
    [
        (  # word for word what onnxruntime-migraphx 1.27.1 said on a machine without ROCm, its folder shortened
            "core/session/provider_bridge_ort.cc:1988 onnxruntime::Provider& onnxruntime::ProviderLibrary::Get() "
            "[ONNXRuntimeError] : 1 : FAIL : Failed to load library onnxruntime/capi/libonnxruntime_providers_migraphx.so "
            "with error: libmigraphx_c.so.3: cannot open shared object file: No such file or directory",
            "`libmigraphx_c.so.3` is missing, which comes with ROCm",
            "install ROCm, then sudo apt install migraphx",
        ),
        (
            "HIP failure 100: no ROCm-capable device is detected ; GPU=0",
            "no device that this process",
            "rocminfo",
        ),
        ("HIP failure 2: out of memory ; GPU=0", "out of memory", "--batch-size 1"),
        ("HIP failure 101: invalid device ordinal", "no device of that number", "--option device=0"),
    ],
)
def test_what_stops_it_is_told_with_the_line_to_type(tmp_path, said, reason, hint):
    found = double.probe(double.make(tmp_path, MIGRAPHX, refuses={MIGRAPHX: said}), "rocm")
    assert found["state"] == "listed"
    assert reason in found["reason"]
    assert hint in found["hint"]
