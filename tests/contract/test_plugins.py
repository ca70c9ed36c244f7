"""Plug-in libraries of ONNX Runtime: real ones run or say what they lack, broken ones say so, and none needs a line in GPUX."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from graphs import expected, two_outputs
from plugin_packages import fetched, package, python

from gpux.discovery import discover

GGML = "onnxruntime-ggml==0.2.0"
X = np.arange(12, dtype=np.float32).reshape(2, 6) / 10

PROBES = """
import json
from gpux.discovery import discover
print(json.dumps({name: [p.state, p.reason, p.hint, [[d.name, d.kind] for d in p.devices], dict(p.versions)]
                  for name, one in discover().items() for p in [one.probe()]}))
"""

RUN = """
import json, sys
from pathlib import Path
import numpy as np
from gpux.discovery import discover
from gpux.provider import Options, find
provider = find(sys.argv[1], discover())
extra = dict(item.split("=") for item in sys.argv[3:])
opened = provider.open(Path(sys.argv[2]), Options(threads=1, extra=extra))
y = opened.run({"x": np.arange(12, dtype=np.float32).reshape(2, 6) / 10})["y"]
print(json.dumps([provider.name, y.tolist(), str(opened.placement()), opened.placement().nodes]))
"""

FOUND = """
import json, sys
from pathlib import Path
from gpux.discovery import discover
from gpux.errors import GpuxError
from gpux.provider import find
providers = discover()
try:
    found = find(sys.argv[1], providers).name
except GpuxError as error:
    found = type(error).__name__
print(json.dumps([list(providers), found, sorted(path.name for path in Path.cwd().iterdir())]))
"""


@pytest.fixture(scope="session")
def ggml(tmp_path_factory):
    return fetched(GGML, tmp_path_factory.getbasetemp())


def test_a_real_plug_in_works_without_a_line_in_gpux(ggml):
    found, said = python(ggml, PROBES)
    state, reason, hint, devices, versions = found["ggml"]
    assert (state, reason, hint) == ("works", None, None)
    assert [kind for _, kind in devices] == ["cpu"]
    assert versions["onnxruntime-ggml"] == "0.2.0"
    assert "INFO" not in said, "its log is turned down"


def test_its_log_can_be_turned_up(ggml):
    _, said = python(ggml, PROBES, environment={"ORT_GGML_LOG": "info"})
    assert "INFO" in said


def test_it_computes_and_tells_its_share_and_its_precision(ggml, tmp_path):
    graph = two_outputs(tmp_path / "two.onnx")
    (name, y, placement, nodes), _ = python(ggml, RUN, "ggml", graph)
    assert name == "ggml"
    np.testing.assert_allclose(y, expected(X)["y"], atol=2e-3)
    # It keeps weights as float16 unless told otherwise, and its placement says so.
    assert placement.endswith("fp16, 100% of 2 nodes)")
    assert set(nodes) == {"ggml"}
    (_, y, placement, _), _ = python(ggml, RUN, "ggml", graph, "runtime.weights=f32")
    np.testing.assert_allclose(y, expected(X)["y"], atol=1e-6)
    assert placement.endswith("fp32, 100% of 2 nodes)")


def test_it_keeps_the_contract(ggml):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-k",
            "ggml",
            "tests/contract/test_providers.py",
        ],
        env={**os.environ, "PYTHONPATH": str(ggml)},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout
    assert "skipped" not in done.stdout


@pytest.mark.parametrize("before", [True, False], ids=["after the application", "first"])
def test_threads_register_it_once(ggml, before):
    code = """
import json, sys, threading
import onnxruntime, onnxruntime_ggml
from gpux.discovery import discover
if sys.argv[1] == "True":
    onnxruntime.register_execution_provider_library("ggml", onnxruntime_ggml.library_path())
provider, states = discover()["ggml"], []
threads = [threading.Thread(target=lambda: states.append(provider.probe().state)) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(json.dumps([states, [one.ep_name for one in onnxruntime.get_ep_devices()].count("ggml")]))
"""
    (states, devices), _ = python(ggml, code, before)
    assert states == ["works"] * 8
    assert devices == 1


def test_a_device_that_is_not_there_is_refused(ggml, tmp_path):
    code = RUN.replace(
        "opened = provider.open", "from gpux.errors import InvalidSetting\ntry: provider.open"
    ).replace(
        "y = opened",
        "except InvalidSetting as error: print(json.dumps([error.message, error.hint])); sys.exit()\ny = opened",
    )
    for given in ("1", "-1", "first"):
        (message, hint), _ = python(ggml, code, "ggml", two_outputs(tmp_path / "two.onnx"), f"device={given}")
        assert message == f"option `device` of provider `ggml` is `{given}`"
        assert hint.startswith("use a number from 0 to 0")


@pytest.mark.parametrize(
    ("distribution", "name", "native"),
    [
        ("onnxruntime-ep-openvino==1.8.1", "ep-openvino", "OpenVINOExecutionProvider"),
        ("onnxruntime-ep-webgpu==0.4.0", "webgpu", "WebGpuExecutionProvider"),
    ],
)
def test_a_real_plug_in_without_its_hardware_says_so(tmp_path_factory, tmp_path, distribution, name, native):
    folder = fetched(distribution, tmp_path_factory.getbasetemp())
    found, _ = python(folder, PROBES)
    state, reason, hint, _, versions = found[name]
    if state == "works":
        pytest.skip(f"this machine has a device for {name}")
    assert state == "installed"
    assert reason == "the plug-in registered, and lists no device on this machine"
    assert hint
    assert dict([distribution.split("==")]).items() <= versions.items()
    again = f"""
import json
import onnxruntime, {distribution.partition("==")[0].replace("-", "_")} as module
from gpux.discovery import discover
onnxruntime.register_execution_provider_library(module.get_ep_name(), module.get_library_path())
print(json.dumps([discover()[{name!r}].probe().reason for _ in range(2)]))
"""
    assert python(folder, again)[0] == [reason] * 2
    (names, by_native, _), _ = python(folder, FOUND, native, cwd=tmp_path)
    assert by_native == name
    assert "ep-webgpu" not in names, "its module belongs to a provider with a file of its own"


WHOLE = """
from pathlib import Path
Path("imported").touch()
def get_library_path(): return {path!r}
def get_ep_name(): return "ToyExecutionProvider"
"""


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("", "`onnxruntime_ep_toy` has no get_library_path(), so it is no plug-in"),
        ("1 / 0", "does not tell where its library is (ZeroDivisionError: division by zero)"),
        ("raise SystemExit('enough')", "(SystemExit: enough)"),
        ("def get_library_path(: pass", "(SyntaxError: "),
        (
            "def get_library_path(): raise FileNotFoundError('no library for this processor')",
            "FileNotFoundError: no library",
        ),
        ("def get_library_path(): return None", "(TypeError: "),
        (WHOLE.format(path="/nowhere/libtoy.so"), "the library of `onnxruntime_ep_toy` is not there: "),
        (WHOLE.format(path=__file__), "ONNX Runtime refused the plug-in's library: "),
        (
            WHOLE.format(path=np._core._multiarray_umath.__file__),
            "ONNX Runtime refused the plug-in's library: ",
        ),
    ],
)
def test_a_broken_plug_in_says_so_and_the_others_work(tmp_path, code, message):
    found, _ = python(package(tmp_path / "site", "onnxruntime_ep_toy", code), PROBES, cwd=tmp_path)
    assert found["cpu"][0] == "works"
    state, reason, hint, *_ = found["ep-toy"]
    assert state == "installed"
    assert message in reason
    assert "onnxruntime-ep-toy" in hint


def test_it_is_found_by_the_runtimes_name_without_being_imported(tmp_path):
    site = package(tmp_path / "site", "onnxruntime_ep_toy", WHOLE.format(path="/nowhere"))
    work = tmp_path / "work"
    work.mkdir()
    (names, found, files), _ = python(site, FOUND, "ToyExecutionProvider", cwd=work)
    assert "ep-toy" in names
    assert (found, files) == ("ep-toy", [])


def test_one_whose_source_does_not_tell_is_imported_only_where_nothing_else_matched(tmp_path):
    code = WHOLE.format(path="/nowhere").replace('"ToyExecutionProvider"', '"Toy" + "ExecutionProvider"')
    site = package(tmp_path / "site", "onnxruntime_ep_toy", code)
    work = tmp_path / "work"
    work.mkdir()
    assert python(site, FOUND, "CPUExecutionProvider", cwd=work)[0][1:] == ["cpu", []]
    assert python(site, FOUND, "ToyExecutionProvider", cwd=work)[0][1:] == ["ep-toy", ["imported"]]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("onnxruntime_extensions", "def get_library_path(): return 'libortextensions.so'"),
        ("onnxruntime_genai", "class Model: pass"),
        ("my_onnxruntime_ep_toy", WHOLE.format(path="/nowhere")),
    ],
)
def test_what_is_no_plug_in_is_no_provider(tmp_path, name, code):
    (names, _, _), _ = python(package(tmp_path, name, code), FOUND, "cpu", cwd=tmp_path)
    assert set(names) == set(discover())


def test_one_of_another_name_that_has_a_library_and_a_provider_is_one(tmp_path):
    code = "EP_NAME = 'Toy'\ndef library_path(): return '/nowhere'"
    (names, found, _), _ = python(package(tmp_path, "onnxruntime_toy_two", code), FOUND, "Toy", cwd=tmp_path)
    assert "toy-two" in names
    assert found == "toy-two"


def test_the_current_folder_brings_none_unless_somebody_put_it_on_the_path(tmp_path):
    work = package(tmp_path / "work", "onnxruntime_ep_toy", WHOLE.format(path="/nowhere"))
    assert "ep-toy" not in python(tmp_path, FOUND, "cpu", cwd=work)[0][0]
    assert "ep-toy" in python(work, FOUND, "cpu", cwd=work)[0][0]


@pytest.mark.parametrize(
    ("runtime", "message", "hint"),
    [
        (
            "__version__ = '1.22.0'\nclass InferenceSession: pass",
            "ONNX Runtime 1.22.0 takes no plug-ins, which came with 1.23",
            "pip install --upgrade 'onnxruntime>=1.23'",
        ),
        (
            "raise ImportError('a library is missing')",
            "cannot be imported: a library is missing",
            "pip install 'gpux[cpu]'",
        ),
        ("", "a broken mix of two distributions", "gpux doctor"),
    ],
)
def test_an_onnx_runtime_that_cannot_take_it_is_told(tmp_path, runtime, message, hint):
    package(tmp_path, "onnxruntime", runtime)
    package(tmp_path, "onnxruntime_ep_toy", WHOLE.format(path=__file__))
    state, reason, said, *_ = python(tmp_path, PROBES, cwd=tmp_path)[0]["ep-toy"]
    assert (state, said) == ("installed", hint)
    assert message in reason
