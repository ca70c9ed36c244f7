"""Plug-in libraries of ONNX Runtime for tests: real ones from the package index, broken ones, and a runtime that is a double."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = 30
"""How long a download may take, or the test that wants it is skipped."""


def fetched(distribution, folder):
    """The folder with a plug-in from the package index and nothing else; GPUX_TEST_HOME keeps it between sessions."""
    kept = os.environ.get("GPUX_TEST_HOME")
    target = (Path(kept) / "plug-ins" if kept else folder) / distribution.replace("==", "-")
    if target.is_dir():
        return target
    fresh = target.with_name(f"{target.name}.{os.getpid()}")
    what = ["--target", str(fresh), "--no-deps", "--only-binary=:all:", distribution]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{distribution} takes longer than {SECONDS} s to download on this machine")
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["pip failed"]
        pytest.skip(f"{distribution} cannot be had on this machine: {said[-1]}")
    fresh.rename(target)
    return target


def package(folder, name, code):
    """A Python package as an installer leaves it."""
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(code, encoding="utf-8")
    return folder


def python(path, code, *arguments, cwd=None, environment=None):
    """What a child process printed as JSON, with these folders on its path, and its stderr."""
    folders = os.pathsep.join(map(str, path if isinstance(path, list) else [path]))
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": folders, **(environment or {})},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


# An onnxruntime whose plug-in API says what the test wrote into devices.json, and writes down what it was asked for.
DOUBLE = """
import json, os
from pathlib import Path
from types import SimpleNamespace as Record
import numpy as np
from gpux import selftest

__version__ = "1.99.0"
HERE = Path(__file__).parent.parent
ASKED = []
INSIDE = os.environ.get("DOUBLE_INSIDE", "").split()
GraphOptimizationLevel = Record(ORT_ENABLE_ALL=99)
_registered = {}


def get_available_providers():
    return [*INSIDE, "CPUExecutionProvider"]


def register_execution_provider_library(name, path):
    if name in _registered:
        raise RuntimeError(f"EP library is already registered under {name}")
    _registered[name] = path


def get_ep_devices():
    found = json.loads((HERE / "devices.json").read_text())
    return [
        Record(ep_name=name, ep_metadata={"library_path": path, **one.get("ep", {})},
               device=Record(type=Record(name=one["kind"]), vendor=one["vendor"], metadata=one.get("metadata", {})))
        for name, path in _registered.items() for one in found
    ]


class SessionOptions:
    def __init__(self):
        self.entries, self.devices = {}, None
    def add_session_config_entry(self, key, value):
        self.entries[key] = value
    def add_provider_for_devices(self, devices, options):
        self.devices = [[one.device.type.name for one in devices], options]
        self.name = devices[0].ep_name


class InferenceSession:
    def __init__(self, source, options=None, providers=None, enable_fallback=1):
        self.name = providers[0] if providers else options.name
        self.name = self.name[0] if isinstance(self.name, tuple) else self.name
        if options:
            ASKED.append([options.devices, providers, options.entries, enable_fallback])
            made = options.entries.get("ep.context_file_path")
            if made:
                Path(made).write_text("a context")
    def get_inputs(self):
        return [Record(name="x", type="tensor(float)", shape=["batch", 4])]
    def get_outputs(self):
        return [Record(name="y", type="tensor(float)", shape=["batch", 3])]
    def get_providers(self):
        return [self.name, "CPUExecutionProvider"]
    def run(self, names, feeds):
        w, b = np.linspace(-1.5, 2, 12, dtype=np.float32).reshape(4, 3), np.array([0.5, -0.25, 0.125], np.float32)
        if os.environ.get("DOUBLE_HALF") and self.name != "CPUExecutionProvider":
            w = w.astype(np.float16).astype(np.float32)
        return [np.maximum(feeds["x"] @ w + b, 0)]
    def get_provider_graph_assignment_info(self):
        return [Record(ep_name=self.name, get_nodes=lambda: [Record(op_type="Gemm"), Record(op_type="Relu")])]
"""


def doubled(folder, module, devices):
    """A folder with that onnxruntime, and a plug-in's package whose library is an empty file."""
    package(folder, "onnxruntime", DOUBLE)
    (folder / "devices.json").write_text(json.dumps(devices))
    (folder / "library").touch()
    code = f"def get_library_path(): return {str(folder / 'library')!r}\n"
    name = {"onnxruntime_qnn": "QNNExecutionProvider", "onnxruntime_ep_webgpu": "WebGpuExecutionProvider"}
    name |= {"onnxruntime_ep_nv_tensorrt_rtx": "NvTensorRTRTXExecutionProvider"}
    return package(folder, module, f"{code}def get_ep_name(): return {name[module]!r}\n")
