"""The CUDA provider: what it passes on, what it makes of failures, its devices, and runs that are recorded.

No machine that runs these tests has an NVIDIA device for certain: see :mod:`onnxruntime_double` for what stands in.
"""

import json
import re
from pathlib import Path

import numpy as np
import onnxruntime_double as double
import pytest
from gpux_providers import _gpu_devices, _onnxruntime_options, _onnxruntime_trouble
from gpux_providers._cuda_graph import CudaGraphSession

from gpux.errors import InvalidSetting, RunFailed

CUDA = "CUDAExecutionProvider"
OPENING = """
path = Path(sys.argv[1]) / "x.onnx"
provider = providers["cuda"]
def open_with(extra, precision="fp32"):
    session = provider.open(path, Options(threads=1, precision=precision, extra=extra))
    return str(session.placement())
"""


def test_it_is_named_ranked_and_has_these_settings():
    from gpux_providers.cuda import provider

    assert (provider.name, provider.rank, provider.extra) == ("cuda", 90, "cuda")
    assert [one.name for one in provider.settings] == [
        "graph",
        "device",
        "memory_limit",
        "cuda_graph",
        "tf32",
    ]
    assert {one.name for one in provider.settings if one.numeric} == {"graph", "device", "tf32"}


def test_it_works_where_the_runtime_computes_on_it(tmp_path):
    found = double.probe(double.make(tmp_path, CUDA), "cuda", LD_LIBRARY_PATH=double.driver(tmp_path))
    assert (found["state"], found["reason"]) == ("works", None)
    assert found["devices"] == [
        {"name": "Card B", "kind": "gpu", "memory": 16 << 30, "precisions": []},
        {"name": "Card A", "kind": "gpu", "memory": None, "precisions": []},
    ]
    assert found["versions"]["cuda of the driver"] == "13.2"
    assert {"preloaded": True} in double.records(tmp_path)


def test_its_options_are_the_execution_providers(tmp_path):
    double.make(tmp_path, CUDA)
    double.graph(tmp_path / "x.onnx", x=["n", 2])
    cases = [
        {},
        {"device": "1", "memory_limit": "2GiB", "tf32": "on"},
        {"runtime.cudnn_conv_algo_search": "HEURISTIC", "runtime.session.load_model_format": "ONNX"},
    ]
    placements = double.ask(tmp_path, OPENING + f"tell([open_with(extra) for extra in {cases!r}])")
    cpu = ["CPUExecutionProvider", {}]
    assert double.wanted(tmp_path) == [
        [[CUDA, {"device_id": "0", "use_tf32": "0"}], cpu],
        [[CUDA, {"device_id": "1", "use_tf32": "1", "gpu_mem_limit": "2147483648"}], cpu],
        [[CUDA, {"device_id": "0", "use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}], cpu],
    ]
    sessions = [one for one in double.records(tmp_path) if "wanted" in one]
    assert {one["fallback"] for one in sessions} == {0}
    assert sessions[2]["entries"]["session.load_model_format"] == "ONNX"
    assert [re.search(r"(\w+), 100%", one)[1] for one in placements] == ["fp32", "tf32", "fp32"]


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [
        ("4GiB", 4 << 30),
        ("512 MiB", 512 << 20),
        ("1.5g", 1_500_000_000),
        ("1000000", 1_000_000),
        ("2KB", 2000),
    ],
)
def test_a_size_of_memory_is_read(text, bytes_):
    assert _onnxruntime_options.size(text, name="memory_limit", provider="cuda") == bytes_


@pytest.mark.parametrize(
    "text", ["", "much", "-1GiB", "0", "4GiBs", "1e9", "٤GiB", "nan", "9" * 40, "99999999TiB", "4 4GiB"]
)
def test_what_is_no_size_of_memory_is_refused(text):
    with pytest.raises(InvalidSetting) as caught:
        _onnxruntime_options.size(text, name="memory_limit", provider="cuda")
    assert text in caught.value.message
    assert caught.value.hint == "--option memory_limit=4GiB"


@pytest.mark.parametrize("text", ["", "first", "-1", "1.0", "²", "99999"])
def test_what_is_no_number_of_a_device_is_refused(text):
    with pytest.raises(InvalidSetting) as caught:
        _onnxruntime_options.number(text, name="device", provider="cuda")
    assert caught.value.hint == "--option device=0"


def test_a_build_without_it_is_missing_and_opening_says_the_same(tmp_path):
    double.make(tmp_path)
    double.graph(tmp_path / "x.onnx", x=[2])
    probe, opened = double.ask(tmp_path, OPENING + "tell([asdict(provider.probe()), attempt(open_with, {})])")
    reason, hint = (
        "this build of onnxruntime does not list `CUDAExecutionProvider`",
        "pip install 'gpux[cuda]'",
    )
    assert (probe["state"], probe["reason"], probe["hint"]) == ("missing", reason, hint)
    assert opened == ["ProviderUnavailable", reason, hint]


@pytest.mark.parametrize(
    ("lacks", "reason", "hint"),
    [
        (["libcublasLt.so.13"], "`libcublasLt.so.13` is missing", "pip install 'gpux[cuda]'"),
        (["libcuda.so.1"], "no NVIDIA driver can be reached", "install the NVIDIA driver, then nvidia-smi"),
    ],
)
def test_a_library_that_does_not_load_is_named_though_the_runtime_says_nothing(tmp_path, lacks, reason, hint):
    double.make(tmp_path, CUDA, drops=[CUDA])
    double.library(tmp_path / "onnxruntime/capi/libonnxruntime_providers_cuda.so", lacks=lacks)
    found = double.probe(tmp_path, "cuda")
    assert found["state"] == "listed"
    assert reason in found["reason"]
    assert found["hint"].startswith(hint)


def test_a_session_that_comes_back_on_the_cpu_without_a_word_is_an_error(tmp_path):
    double.make(tmp_path, CUDA, drops=[CUDA])
    double.graph(tmp_path / "x.onnx", x=[2])
    opened = double.ask(tmp_path, OPENING + "tell(attempt(open_with, {}))")
    assert opened == [
        "RunFailed",
        f"{CUDA} cannot be used: ONNX Runtime dropped it without an error",
        "gpux doctor",
    ]


def test_wrong_numbers_and_nodes_that_all_went_elsewhere_are_listed_only(tmp_path):
    wrong = double.probe(double.make(tmp_path / "wrong", CUDA, off=1), "cuda")
    assert (wrong["state"], wrong["reason"]) == ("listed", "it computed a three-node graph wrongly")
    away = double.make(tmp_path / "away", CUDA, leaves=["MatMul", "Add", "Relu"])
    assert "took no node" in double.probe(away, "cuda")["reason"]


# What CUDA and ONNX Runtime say, from their sources (cuda_call.cc, cuda_execution_provider_info.cc, bfc_arena.cc,
# inference_session.cc) and, for cuDNN and the loader, from the libraries of onnxruntime-gpu 1.31.1.
SAID = [
    (
        "CUDA failure 100: no CUDA-capable device is detected ; GPU=0 ; hostname=h ; expr=cudaGetDeviceCount(&n);",
        "there is no device that this process may use",
        "nvidia-smi -L",
    ),
    (
        "CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version ; GPU=0",
        "driver is too old",
        "nvidia-smi",
    ),
    (
        'Failed to parse provider option "device_id": Invalid device ID: 3, must be between 0 (inclusive) and 2 (exclusive).',
        "there is no device 3: this process sees 2",
        "--option device=0",
    ),
    (
        "Invalid device ID: 0, must be between 0 (inclusive) and 0 (exclusive).",
        "there is no device that",
        "nvidia-smi -L",
    ),
    ("CUDA failure 101: invalid device ordinal ; GPU=7", "no device of that number", "--option device=0"),
    ("CUDA failure 2: out of memory ; GPU=0", "out of memory", "--batch-size 1"),
    (
        "Failed to allocate memory for requested buffer of size 1073741824",
        "requested buffer",
        "--batch-size 1",
    ),
    (
        "CUDA failure 209: no kernel image is available for execution on the device",
        "older or newer",
        "--provider cpu",
    ),
    (
        "cuDNN is unavailable or disabled for CUDA Execution Provider: cuDNN library was not found",
        "`libcudnn` is missing",
        "pip install 'gpux[cuda]'",
    ),
    (
        "This session cannot use the graph capture feature as requested by the user as all compute graph nodes have not "
        "been partitioned to the CUDAExecutionProvider",
        "cannot be captured",
        "--option cuda_graph=off",
    ),
    (
        "/lib/libm.so.6: version `GLIBC_2.99' not found (required by libonnxruntime_providers_cuda.so)",
        "another version",
        "pip install --upgrade 'gpux[cuda]'",
    ),
    (
        'Error loading "onnxruntime_providers_cuda.dll" which depends on "cublasLt64_13.dll" which is missing. (Error 126)',
        "`cublasLt64_13.dll` is missing",
        "pip install 'gpux[cuda]'",
    ),
]


@pytest.mark.parametrize(("said", "reason", "hint"), SAID)
def test_what_is_said_becomes_a_reason_and_a_line_to_type(said, reason, hint):
    found = _onnxruntime_trouble.explain(said, native=CUDA, extra="cuda")
    assert reason in found.reason
    assert hint in found.hint


def test_what_nobody_knows_stays_as_it_is():
    assert _onnxruntime_trouble.explain("Type Error: Type 'tensor(int4)'", native=CUDA, extra="cuda") is None


def test_memory_that_runs_out_says_so_when_opening_and_when_running(tmp_path):
    said = "CUDA failure 2: out of memory ; GPU=0 ; hostname=h"
    body = (
        OPENING
        + """
def run():
    provider.open(path, Options(threads=1)).run({"x": np.ones(2, np.float32)})
tell(attempt(run))
"""
    )
    for name, behaviour in {"open": {"refuses": {CUDA: said}}, "run": {"fails": said}}.items():
        folder = double.make(tmp_path / name, CUDA, **behaviour)
        double.graph(folder / "x.onnx", x=[2])
        kind, message, hint = double.ask(folder, body)
        assert kind == "RunFailed"
        assert "out of memory" in message
        assert "--batch-size 1" in hint


def test_libraries_are_loaded_once_however_many_threads_open_and_standard_output_comes_back(tmp_path):
    double.make(tmp_path, CUDA)
    double.graph(tmp_path / "x.onnx", x=[2])
    body = (
        OPENING
        + """
out = sys.stdout
threads = [threading.Thread(target=open_with, args=({},)) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
tell(sys.stdout is out)
"""
    )
    assert double.ask(tmp_path, body) is True
    assert double.records(tmp_path).count({"preloaded": True}) == 1


PYNVML = """
def nvmlInit():
    if {stops!r}: raise RuntimeError({stops!r})
def nvmlShutdown(): pass
def nvmlSystemGetDriverVersion(): return b"580.65.06"
"""


def test_the_drivers_version_is_nvmls_and_nothing_fails_without_it(tmp_path):
    double.make(tmp_path, CUDA)
    (tmp_path / "pynvml.py").write_text(PYNVML.format(stops=""))
    assert double.probe(tmp_path, "cuda")["versions"]["nvidia driver"] == "580.65.06"
    (tmp_path / "pynvml.py").write_text(PYNVML.format(stops="Driver Not Loaded"))
    assert double.probe(tmp_path, "cuda")["state"] == "works"
    (tmp_path / "pynvml.py").write_text("raise ImportError('blocked')")
    assert double.probe(tmp_path, "cuda")["state"] == "works"


@pytest.mark.parametrize(
    ("text", "version"),
    [
        (
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.54.03  Tue Jun  6 22:20:39 UTC 2023\nGCC version:",
            "535.54.03",
        ),
        (
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (a@b)\n",
            "580.65.06",
        ),
        ("something else\n", ""),
    ],
)
def test_the_kernel_module_tells_the_drivers_version(tmp_path, text, version):
    (tmp_path / "version").write_text(text)
    assert _gpu_devices.kernel_module(tmp_path / "version") == version
    assert _gpu_devices.kernel_module(tmp_path / "absent") == ""


RECORDED = (
    OPENING
    + """
def work(session, x):
    return np.abs(session.run({"x": x})["y"] - np.maximum(x + x, 0)).max() == 0
session = provider.open(path, Options(threads=1, extra={"device": "1", "cuda_graph": "on"}))
random = np.random.default_rng(3)
right = []
threads = [
    threading.Thread(target=lambda: right.extend(work(session, random.normal(size=(2, 2)).astype(np.float32)) for _ in range(5)))
    for _ in range(4)
]
for thread in threads: thread.start()
for thread in threads: thread.join()
rows = [bool(work(session, random.normal(size=(n, 2)).astype(np.float32))) for n in range(3, 30) for _ in range(2)]
empty = session.run({"x": np.ones((0, 2), np.float32)})["y"].shape
session.close()
session.close()
closed = attempt(session.run, {"x": np.ones((1, 2), np.float32)})
tell([len(right), all(right), all(rows), empty, closed[0]])
"""
)


def test_runs_of_one_shape_are_recorded_once_in_one_thread_and_a_few_shapes_only(tmp_path):
    double.make(tmp_path, CUDA)
    double.graph(tmp_path / "x.onnx", x=["n", 2])
    assert double.ask(tmp_path, RECORDED) == [20, True, True, [0, 2], "RunFailed"]
    assert double.wanted(tmp_path)[0][0][1]["enable_cuda_graph"] == "1"
    records = double.records(tmp_path)
    assert {one["thread"] for one in records if "thread" in one} == {"gpux-cuda-graph_0"}
    plain = [one["ran"] for one in records if "ran" in one]
    assert {json.dumps(one) for one in plain} == {'{"gpu_graph_id": "-1"}'}
    replayed = [one["replayed"] for one in records if "replayed" in one]
    # 19 of the 20 runs of the first shape, then the second run of each of the 15 shapes that still fit.
    assert replayed.count("1") == 19
    assert sorted(set(replayed), key=int) == [str(number) for number in range(1, 17)]
    assert len(replayed) == 19 + 15


def test_the_real_runtime_takes_what_a_recording_session_gives_it(tmp_path):
    """On the CPU, which runs bound arrays and records nothing: names, bindings and copies are the real ones."""
    import onnxruntime

    path = double.graph(tmp_path / "x.onnx", x=["n", 3], z=["n"])
    real = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    session = CudaGraphSession(real, "cuda", CUDA, "none", "fp32", index=0, kind="cpu")
    random = np.random.default_rng(5)
    for rows in (2, 4, 2, 2, 4, 0, 1):
        feeds = {
            "x": random.normal(size=(3, rows)).astype(np.float32).T,  # not contiguous
            "z": random.normal(size=rows).astype(np.float32),
        }
        wanted = {"y": np.maximum(2 * feeds["x"], 0), "y1": np.maximum(2 * feeds["z"], 0)}
        for names in (None, ["y1"]):
            found = session.run({name: array.copy() for name, array in feeds.items()}, names)
            assert list(found) == (names or ["y", "y1"])
            for name, array in found.items():
                np.testing.assert_array_equal(array, wanted[name])
    with pytest.raises(RunFailed):
        session.run({"x": np.ones((2, 7), np.float32), "z": np.ones(2, np.float32)})
    session.close()


def test_there_is_no_recording_unless_asked_for(tmp_path):
    double.make(tmp_path, CUDA)
    double.graph(tmp_path / "x.onnx", x=[2])
    body = (
        OPENING
        + "tell(provider.open(path, Options(threads=1)).run({'x': np.ones(2, np.float32)})['y'].tolist())"
    )
    assert double.ask(tmp_path, body) == [2.0, 2.0]
    assert [one["ran"] for one in double.records(tmp_path) if "ran" in one] == [None]


def test_every_function_that_is_asked_for_is_the_real_drivers_in_its_documentation():
    """The names of CUDA's and HIP's reference; a wrong one would be found by no double."""
    text = Path(_gpu_devices.__file__).read_text(encoding="utf-8")
    assert set(re.findall(r"\bcu[A-Z]\w+", text)) == {
        "cuInit", "cuDeviceGetCount", "cuDeviceGet", "cuDeviceGetName", "cuDeviceTotalMem_v2", "cuDeviceGetAttribute",
        "cuDriverGetVersion",
    }  # fmt: skip
    assert set(re.findall(r"\bhip[A-Z]\w+", text)) == {
        "hipGetDeviceCount",
        "hipDeviceGetName",
        "hipDeviceTotalMem",
    }
