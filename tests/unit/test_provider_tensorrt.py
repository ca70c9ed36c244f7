"""The TensorRT provider: caches, ranges of shapes, precision, its libraries from the wheels, and what stands behind it.

See :mod:`onnxruntime_double` for what stands in for an NVIDIA device.
"""

import onnxruntime_double as double
import pytest

TENSORRT, CUDA, CPU = "TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"
OPENING = """
provider = providers["tensorrt"]
def open_with(name="x.onnx", **options):
    return provider.open(HERE / name, Options(**{"threads": 1, **options})).placement()
"""
NVINFER = "int getInferLibVersion(void) { return 101601; }"


@pytest.fixture
def folder(tmp_path):
    double.make(tmp_path, TENSORRT, CUDA)
    double.graph(tmp_path / "x.onnx", x=["batch", 3, "tokens"], mask=["batch", "tokens"])
    return tmp_path


def own(folder):
    """TensorRT's options of each session."""
    return [session[0][1] for session in double.wanted(folder)]


def test_it_is_named_ranked_and_has_these_settings():
    from gpux_providers.tensorrt import provider

    assert (provider.name, provider.rank, provider.extra) == ("tensorrt", 80, "tensorrt")
    assert [one.name for one in provider.settings] == [
        "graph",
        "device",
        "precision",
        "workspace",
        "profiles",
    ]
    precision = provider.settings[2]
    assert precision.numeric
    assert precision.race == ("fp32", "fp16")


def test_cuda_on_the_same_device_then_the_cpu_stand_behind_it(folder):
    double.ask(folder, OPENING + "tell(str(open_with(extra={'device': '1'})))")
    assert double.wanted(folder) == [
        [[TENSORRT, {"device_id": "1"}], [CUDA, {"device_id": "1", "use_tf32": "0"}], [CPU, {}]]
    ]


def test_engines_and_timings_are_kept_apart_by_versions_and_precision(folder):
    body = OPENING + "for p in ('', 'fp16'): open_with(cache=HERE / 'cache', extra={'precision': p})\ntell(0)"
    double.library(folder / "tensorrt_libs/libnvinfer.so.10", NVINFER)
    double.ask(folder, body)
    full, half = own(folder)
    for options, precision in ((full, "fp32"), (half, "fp16")):
        kept = folder / "cache" / f"onnxruntime-1.31.1-tensorrt-10.16.1-{precision}"
        assert kept.is_dir()
        assert options["trt_engine_cache_enable"] == options["trt_timing_cache_enable"] == "True"
        assert options["trt_engine_cache_path"] == options["trt_timing_cache_path"] == str(kept)


def test_without_a_directory_nothing_is_kept(folder):
    double.ask(folder, OPENING + "tell(str(open_with()))")
    assert not any("cache" in name for name in own(folder)[0])


KNOWN = {"batch": (1, 8, 32), "tokens": (4, 64, 512)}


@pytest.mark.parametrize(
    ("dimensions", "extra", "wanted"),
    [
        (
            KNOWN,
            {},
            ["x:1x3x4,mask:1x4", "x:8x3x64,mask:8x64", "x:32x3x512,mask:32x512"],
        ),
        ({"batch": (1, 8, 32)}, {}, [None] * 3),  # TensorRT takes ranges for all inputs or for none
        ({}, {}, [None] * 3),
        (KNOWN, {"profiles": "off"}, [None] * 3),
    ],
)
def test_ranges_of_shapes_are_the_tasks_and_a_fixed_dimension_stays(folder, dimensions, extra, wanted):
    double.ask(folder, OPENING + f"tell(str(open_with(dimensions={dimensions!r}, extra={extra!r})))")
    assert [own(folder)[0].get(f"trt_profile_{which}_shapes") for which in ("min", "opt", "max")] == wanted


def test_a_graph_of_one_shape_needs_no_range(folder):
    double.graph(folder / "fixed.onnx", x=[2, 3])
    double.ask(folder, OPENING + f"tell(str(open_with('fixed.onnx', dimensions={KNOWN!r})))")
    assert own(folder) == [{"device_id": "0"}]


def test_a_size_outside_the_range_has_its_remedy(tmp_path):
    said = "TensorRT EP failed to set INetwork optimization profile: kMIN dimensions in profile 0 are [1,4]"
    double.make(tmp_path, TENSORRT, CUDA, refuses={TENSORRT: said})
    double.graph(tmp_path / "x.onnx", x=[1])
    kind, _, hint = double.ask(tmp_path, OPENING + "tell(attempt(open_with))")
    assert kind == "RunFailed"
    assert hint.startswith("--option profiles=off")


@pytest.mark.parametrize(
    ("variant", "asked", "options", "told"),
    [
        ("fp32", "", {}, "tf32"),  # capability 9.0 rounds to TF32, and ONNX Runtime has no way to forbid it
        ("fp32", "fp32", {}, "tf32"),
        ("fp32", "fp16", {"trt_fp16_enable": "True"}, "fp16"),
        ("fp32", "bf16", {"trt_bf16_enable": "True"}, "bf16"),
        ("fp16", "", {"trt_fp16_enable": "True"}, "fp16"),
        ("fp16", "fp32", {"trt_fp16_enable": "True"}, "fp16"),
        ("int8", "fp16", {}, "int8"),
    ],
)
def test_the_precision_is_the_one_that_was_asked_for_and_is_told(folder, variant, asked, options, told):
    body = OPENING + f"tell(open_with(precision={variant!r}, extra={{'precision': {asked!r}}}).precision)"
    assert double.ask(folder, body, LD_LIBRARY_PATH=double.driver(folder)) == told
    assert own(folder) == [{"device_id": "0", **options}]


@pytest.mark.parametrize(
    ("device", "override", "told"), [("1", "", "fp32"), ("0", "0", "fp32"), ("0", "1", "tf32")]
)
def test_full_precision_is_told_where_nothing_rounds(folder, device, override, told):
    """Device 1 of the double is of capability 7.0, older than TF32."""
    body = OPENING + f"tell(open_with(extra={{'device': {device!r}}}).precision)"
    environment = {"LD_LIBRARY_PATH": double.driver(folder), "NVIDIA_TF32_OVERRIDE": override}
    assert double.ask(folder, body, **environment) == told


def test_the_memory_for_compiling_is_limited(folder):
    bad = double.ask(
        folder,
        OPENING
        + "open_with(extra={'workspace': '1GiB'})\ntell(attempt(lambda: open_with(extra={'workspace': 'x'})))",
    )
    assert own(folder)[0]["trt_max_workspace_size"] == "1073741824"
    assert bad[0] == "InvalidSetting"
    assert bad[2] == "--option workspace=4GiB"


def test_its_libraries_are_loaded_from_the_wheels_folder_in_their_order(folder):
    """The plug-ins' library finds ``libnvinfer`` only because that was loaded before, from a folder off the loader's path."""
    double.library(folder / "tensorrt_libs/libnvinfer.so.10", NVINFER)
    kept = (folder / "tensorrt_libs/libnvinfer.so.10").read_bytes()
    double.library(folder / "tensorrt_libs/libnvinfer_plugin.so.10", lacks=["libnvinfer.so.10"])
    (folder / "tensorrt_libs/libnvinfer.so.10").write_bytes(kept)
    double.library(folder / "tensorrt_libs/libnvonnxparser.so.10")
    body = """
probe = providers["tensorrt"].probe()
maps = Path("/proc/self/maps").read_text()
tell([probe.state, probe.versions["tensorrt"], [n in maps for n in ("libnvinfer.so", "libnvinfer_plugin", "libnvonnxparser")]])
"""
    assert double.ask(folder, body) == ["works", "10.16.1", [True, True, True]]


@pytest.mark.parametrize(
    ("lacks", "reason"),
    [("libnvinfer.so.10", "`libnvinfer.so.10` is missing"), ("libcudnn.so.9", "`libcudnn.so.9` is missing")],
)
def test_the_library_that_lacks_is_named_where_the_runtime_only_says_to_install_tensorrt(
    tmp_path, lacks, reason
):
    """onnxruntime-gpu 1.31.1 says this whichever library lacks."""
    said = "RegisterTensorRTPluginsAsCustomOps Please install TensorRT libraries as mentioned in the GPU requirements page"
    double.make(tmp_path, TENSORRT, CUDA, refuses={TENSORRT: said})
    double.library(tmp_path / "onnxruntime/capi/libonnxruntime_providers_tensorrt.so", lacks=[lacks])
    found = double.probe(tmp_path, "tensorrt")
    assert found["state"] == "listed"
    assert reason in found["reason"]
    assert found["hint"] == "pip install 'gpux[tensorrt]'"


def test_nodes_that_it_leaves_are_counted_where_they_went(folder):
    says = folder / "onnxruntime" / "says.json"
    says.write_text(says.read_text().replace("{", '{"leaves": ["Relu"], ', 1))
    nodes, share = double.ask(folder, OPENING + "p = open_with()\ntell([dict(p.nodes), p.share])")
    assert (nodes, share) == ({TENSORRT: 2, CPU: 2}, 0.5)
