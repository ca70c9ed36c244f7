"""A double of the accelerator builds of onnxruntime, for machines without the accelerator.

It is a real package named ``onnxruntime`` in a folder of its own, first on the path of a process of its own. It lists the
providers that a test wants, writes down what it was given, computes with onnx's reference evaluator, and behaves as these
were seen to on a machine without a device: onnxruntime-gpu 1.31.1 and onnxruntime-migraphx 1.27.1.

- CUDA's library that does not load is only logged: the session comes back on the CPU, in 1.31.1 with any log level.
- TensorRT's is an exception with "Please install TensorRT libraries"; MIGraphX's one with the loader's own words. With
  ``enable_fallback`` left on, both are printed to standard output, and the session comes back on the CPU.
- ``preload_dlls`` prints what it does not find to standard output.

What a real device does with a graph it cannot show.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest

DOUBLE = """
import json, pathlib, threading, time
import numpy as np, onnx
from onnx.reference import ReferenceEvaluator

HERE = pathlib.Path(__file__).parent
SAYS = json.loads((HERE / "says.json").read_text())
__version__, cuda_version = SAYS.get("version", "1.31.1"), "13.0"
CPU = "CPUExecutionProvider"

def record(**what):
    with (HERE / "record.jsonl").open("a") as stream:
        stream.write(json.dumps(what) + "\\n")

def get_available_providers():
    return [*SAYS["providers"], CPU]

def preload_dlls():
    print("Failed to load libcublasLt.so.13: libcublasLt.so.13: cannot open shared object file")
    record(preloaded=True)

def set_default_logger_severity(severity):
    record(severity=severity)

class ExecutionMode:
    ORT_SEQUENTIAL, ORT_PARALLEL = "sequential", "parallel"

class GraphOptimizationLevel:
    ORT_ENABLE_ALL = ORT_ENABLE_EXTENDED = ORT_ENABLE_BASIC = ORT_DISABLE_ALL = 0

class SessionOptions:
    def __init__(self):
        self.entries, self.enable_mem_pattern, self.execution_mode = {}, True, None
    def add_session_config_entry(self, key, value):
        self.entries[key] = value

class RunOptions(SessionOptions):
    add_run_config_entry = SessionOptions.add_session_config_entry

class Named:
    def __init__(self, **parts):
        self.__dict__.update(parts)

class Subgraph:
    def __init__(self, name, nodes):
        self.ep_name, self.nodes = name, nodes
    def get_nodes(self):
        return [Named(op_type=node.op_type) for node in self.nodes]

class EpDevice:
    def __init__(self, name, metadata):
        self.ep_name, self.device = name, Named(metadata=metadata)

def get_ep_devices():
    return [EpDevice(*one) for one in SAYS.get("ep_devices", [])]

def ends(values):
    found = []
    for value in values:
        tensor = value.type.tensor_type
        shape = [dim.dim_param or dim.dim_value for dim in tensor.shape.dim]
        found.append(Named(name=value.name, type="tensor(float)", shape=shape))
    return found

class OrtValue:
    def __init__(self, array, device):
        self.array, self.device = array, device
    @staticmethod
    def ortvalue_from_numpy(array, device="cpu", index=0):
        return OrtValue(array.copy(), [device, index])
    def update_inplace(self, array):
        assert array.shape == self.array.shape and array.dtype == self.array.dtype
        self.array[...] = array
    def numpy(self):
        return self.array.copy()

class Binding:
    def __init__(self):
        self.inputs, self.outputs = {}, {}
    def bind_ortvalue_input(self, name, value):
        self.inputs[name] = value
    def bind_ortvalue_output(self, name, value):
        self.outputs[name] = value
    def synchronize_inputs(self):
        pass
    synchronize_outputs = synchronize_inputs

class InferenceSession:
    def __init__(self, source, settings, providers, enable_fallback=1):
        wanted = [one if isinstance(one, tuple) else (one, {}) for one in providers]
        record(
            wanted=wanted, entries=settings.entries, fallback=enable_fallback,
            pattern=settings.enable_mem_pattern, mode=settings.execution_mode,
        )
        for name, options in wanted:
            if said := SAYS.get("refuses", {}).get(name):
                if not enable_fallback:
                    raise RuntimeError(said)
                print("*************** EP Error ***************")
                wanted = [(CPU, {})]
        self.names = [name for name, _ in wanted if name not in SAYS.get("drops", [])]
        self.names += [CPU] if CPU not in self.names else []
        self.model = onnx.load_from_string(source) if isinstance(source, bytes) else onnx.load(source)
        self.evaluator, self.captured, self.busy = ReferenceEvaluator(self.model), {}, 0
        if SAYS.get("version", "9") >= "1.24":
            self.get_provider_graph_assignment_info = self._info
    def get_providers(self):
        return self.names
    def get_inputs(self):
        return ends(self.model.graph.input)
    def get_outputs(self):
        return ends(self.model.graph.output)
    def _info(self):
        left = SAYS.get("leaves", [])
        nodes = self.model.graph.node
        parts = [(self.names[0], [n for n in nodes if n.op_type not in left]), (CPU, [n for n in nodes if n.op_type in left])]
        return [Subgraph(name, part) for name, part in parts if part]
    def run(self, names, feeds, options=None):
        record(ran=options.entries if options else None, thread=threading.current_thread().name)
        if SAYS.get("fails"):
            raise RuntimeError(SAYS["fails"])
        self.busy += 1
        time.sleep(SAYS.get("takes", 0))
        if self.busy > 1:
            record(at_once=self.busy)
        found = self.evaluator.run(names, feeds)
        self.busy -= 1
        return [value + np.float32(SAYS.get("off", 0)) for value in found]
    def io_binding(self):
        return Binding()
    def run_with_iobinding(self, binding, options):
        # A captured graph reads and writes where it was captured, in the thread that captured it.
        graph, here = options.entries["gpu_graph_id"], (threading.get_ident(), id(binding))
        values = [*binding.inputs.values(), *binding.outputs.values()]
        assert {tuple(value.device) for value in values} == {("cuda", 1)}
        assert self.captured.setdefault(graph, here) == here, "captured by another thread or from other arrays"
        found = self.evaluator.run(list(binding.outputs), {k: v.array for k, v in binding.inputs.items()})
        for value, array in zip(binding.outputs.values(), found):
            assert value.array.shape == array.shape
            value.array[...] = array
        record(replayed=graph, thread=threading.current_thread().name)
"""

BEGIN = """
import json, sys, threading
from dataclasses import asdict
from pathlib import Path
import numpy as np
from gpux.discovery import discover
from gpux.errors import GpuxError
from gpux.provider import Options
HERE = Path(sys.argv[1])
providers = discover()
def said(error):
    return [type(error).__name__, error.message, error.hint]
def attempt(function, *arguments):
    try:
        return function(*arguments)
    except GpuxError as error:
        return said(error)
def tell(value):
    print(json.dumps(value, default=str))
"""


def make(folder, *providers, **says):
    """Write the package: the providers that its build lists, and how it behaves."""
    package = folder / "onnxruntime"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(DOUBLE)
    (package / "says.json").write_text(json.dumps({"providers": providers, **says}))
    return folder


def ask(folder, body, **environment):
    """Run the body in a process that has the package, and return what it tells; nothing else may reach standard output."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", BEGIN + body, str(folder)],
        env={**os.environ, "PYTHONPATH": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def probe(folder, name, **environment):
    """What a provider's probe says, as a dictionary."""
    return ask(folder, f"tell(asdict(providers[{name!r}].probe()))", **environment)


def records(folder):
    """What the package wrote down, in order."""
    return [json.loads(line) for line in (folder / "onnxruntime" / "record.jsonl").read_text().splitlines()]


def wanted(folder):
    """The providers and options of each session."""
    return [record["wanted"] for record in records(folder) if "wanted" in record]


def graph(path, **inputs):
    """Write ``y = relu(x + x)`` of the first input, and ``y1`` … of the others: shapes by name."""
    import onnx
    from onnx import TensorProto, helper

    nodes, outputs = [], []
    for number, (name, shape) in enumerate(inputs.items()):
        y = f"y{number or ''}"
        nodes += [
            helper.make_node("Add", [name, name], [f"s{number}"]),
            helper.make_node("Relu", [f"s{number}"], [y]),
        ]
        outputs.append(helper.make_tensor_value_info(y, TensorProto.FLOAT, shape))
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]
    made = helper.make_model(
        helper.make_graph(nodes, "double", given, outputs),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    onnx.checker.check_model(made)
    path.write_bytes(made.SerializeToString())
    return path


def library(path, source="int nothing(void) { return 0; }", *, lacks=()):
    """Compile a shared library, which needs others that are then taken away."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("no C compiler for Linux on this machine")
    path.parent.mkdir(parents=True, exist_ok=True)
    code = path.with_name(path.name + ".c")
    gone = []
    for name in lacks:
        other = path.with_name(name)
        code.write_text("int gone(void) { return 0; }")
        subprocess.run([compiler, "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", other, code], check=True)
        gone.append(other)
    code.write_text(source)
    command = [
        compiler,
        "-shared",
        "-fPIC",
        f"-Wl,-soname,{path.name}",
        "-Wl,--no-as-needed",
        "-o",
        path,
        code,
        *gone,
    ]
    subprocess.run(command, check=True)
    for other in (*gone, code):
        other.unlink()
    return path


CUDA_DRIVER = """
#include <string.h>
static const char *names[] = {"Card B", "Card A"};
int cuInit(unsigned flags) { return 0; }
int cuDriverGetVersion(int *version) { *version = 13020; return 0; }
int cuDeviceGetCount(int *count) { *count = 2; return 0; }
int cuDeviceGet(int *device, int index) { *device = index + 10; return 0; }
int cuDeviceGetName(char *name, int size, int device) { strncpy(name, names[device - 10], size); return 0; }
int cuDeviceTotalMem_v2(size_t *bytes, int device) { *bytes = device == 10 ? 17179869184u : 0; return device == 10 ? 0 : 1; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    *value = attribute == 75 ? (device == 10 ? 9 : 7) : attribute == 76 ? 0 : -1;
    return 0;
}
"""
"""A CUDA driver of two devices: one of compute capability 9.0 that tells its memory, one of 7.0 that does not."""


def driver(folder):
    """A CUDA driver that the loader finds; to be given as ``LD_LIBRARY_PATH``."""
    return str(library(folder / "driver" / "libcuda.so.1", CUDA_DRIVER).parent)
