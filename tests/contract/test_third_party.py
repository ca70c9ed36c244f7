"""A provider from another package comes in through a real entry point and runs a model on a runtime that is numpy alone."""

import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from graphs import artifact, expected

PLUG_IN = '''
"""A provider for GPUX whose runtime is numpy."""
from pathlib import Path
import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from gpux import selftest
from gpux.errors import RunFailed
from gpux.provider import Device, Options, Placement, Probe, Runtime, State
from gpux.tensors import TensorSpec

OPERATORS = {"MatMul": np.matmul, "Add": np.add, "Relu": lambda x: np.maximum(x, 0)}


class Numpy:
    name = "numpy"
    runtime = Runtime("gpux-numpy", "NumpyProvider")
    extra = ""
    rank = 1000

    def probe(self):
        right = selftest.matches(_Opened(onnx.load_from_string(selftest.graph())).run(selftest.feeds())["y"])
        state = State.WORKS if right else State.LISTED
        return Probe(self.name, state, (Device("numpy", "cpu"),), {"numpy": np.__version__})

    def open(self, graph, options, /):
        try:
            return _Opened(onnx.load(graph))
        except (OSError, DecodeError) as error:
            raise RunFailed(f"`{graph.name}` is no graph: {error}", hint="gpux verify") from error


class _Opened:
    def __init__(self, model):
        self.graph = model.graph
        self.weights = {w.name: numpy_helper.to_array(w) for w in model.graph.initializer}
        self.inputs = tuple(map(_spec, model.graph.input))
        self.outputs = tuple(map(_spec, model.graph.output))

    def run(self, feeds, outputs=None):
        values = {**self.weights, **feeds}
        for node in self.graph.node:
            values[node.output[0]] = OPERATORS[node.op_type](*(values[name] for name in node.input))
        return {spec.name: values[spec.name] for spec in self.outputs if outputs is None or spec.name in outputs}

    def placement(self):
        return Placement("numpy", "numpy", "fp32", {"NumpyProvider": len(self.graph.node)}, 1.0)

    def close(self):
        self.graph = None


def _spec(value):
    dims = value.type.tensor_type.shape.dim
    return TensorSpec(value.name, "float32", tuple(dim.dim_param or dim.dim_value for dim in dims))


provider = Numpy()
'''

USE = """
import json, sys
from pathlib import Path
import numpy as np
from gpux.artifact import read
from gpux.planning import Request, choose
from gpux.discovery import discover
from gpux.session import open_session
providers = discover()
model = read(Path(sys.argv[1]))
named = sys.argv[2]
plan = choose(model, providers, [p.probe() for p in providers.values()], Request(provider=named, strict=True), cores=1)
x = np.arange(12, dtype=np.float32).reshape(2, 6) / 10
with open_session(model, plan, providers) as session:
    y = session.run({"x": x})["y"]
    print(json.dumps([list(providers), plan.provider, str(session.placement), y.tolist(), "onnxruntime" in sys.modules]))
"""

DISCOVER = """
import json
from gpux.errors import GpuxError
from gpux.discovery import discover
try:
    print(json.dumps(["found", list(discover())]))
except GpuxError as error:
    print(json.dumps([type(error).__name__, error.message, error.hint]))
"""


PROBE = """
import json
from types import SimpleNamespace
from gpux.errors import GpuxError
from gpux.planning import Request, choose
from gpux.discovery import discover
providers = discover()
said = []
for name, one in providers.items():
    probe = one.probe()
    try:
        choose(SimpleNamespace(manifest=SimpleNamespace(variants=()), reference="x"), providers, [probe], Request(name), cores=1)
    except GpuxError as error:
        said.append([name, probe.state, probe.reason, probe.hint, [type(error).__name__, error.message]])
print(json.dumps(said))
"""


def install(folder, name, *, line, code=PLUG_IN):
    """Put a distribution on disk as an installer does: a module and a ``dist-info`` with its entry point."""
    module = name.replace("-", "_")
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[gpux.providers]\n{line}\n")
    (folder / f"{module}.py").write_text(code)


def python(folder, code, *arguments, cwd=None, how=("-c",)):
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, *how, code, *map(str, arguments)],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("named", ["numpy", "NumpyProvider", "auto"])
def test_it_runs_a_model_without_another_runtime_computing(tmp_path, named):
    install(tmp_path / "site", "gpux-numpy", line="numpy = gpux_numpy:provider")
    model = artifact(tmp_path)
    names, chosen, placement, y, _ = python(tmp_path / "site", USE, model.directory, named)
    assert names[0] == "numpy"
    assert chosen == "numpy"
    assert placement == "numpy (numpy, fp32, 100% of 3 nodes)"
    x = np.arange(12, dtype=np.float32).reshape(2, 6) / 10
    np.testing.assert_allclose(y, expected(x)["y"], rtol=1e-5, atol=1e-6)


def test_its_version_stands_in_reports(tmp_path):
    install(tmp_path, "gpux-numpy", line="numpy = gpux_numpy:provider")
    code = "import json; from gpux.bench.identity import versions; print(json.dumps(versions({})))"
    assert python(tmp_path, code)["gpux-numpy"] == "1.0"


def test_without_it_there_is_no_such_provider(tmp_path):
    assert "numpy" not in python(tmp_path, DISCOVER)[1]


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("numpy = gpux_numpy:nothing", PLUG_IN, "cannot be loaded (AttributeError"),
        ("numpy = gpux_nowhere:provider", PLUG_IN, "cannot be loaded (ModuleNotFoundError"),
        ("numpy = gpux_numpy:provider", "1 / 0", "cannot be loaded (ZeroDivisionError: division by zero)"),
        (
            "numpy = gpux_numpy:provider",
            "raise SystemExit('enough')",
            "cannot be loaded (SystemExit: enough)",
        ),
        ("numpy = gpux_numpy:provider", "provider = (", "cannot be loaded (SyntaxError"),
        ("numpy = gpux_numpy:provider", "provider = object()", "is no provider"),
        ("numpy = gpux_numpy:provider", PLUG_IN.replace("rank = 1000", "rank = '1000'"), "is no provider"),
        (
            "numpy = gpux_numpy:provider",
            PLUG_IN.replace("    def probe(self):", "    def probe(self):\n        1 / 0"),
            "its probe raised ZeroDivisionError: division by zero",
        ),
        (
            "numpy = gpux_numpy:provider",
            PLUG_IN.replace("    def probe(self):", "    def probe(self):\n        return True"),
            "its probe returned bool, not a Probe",
        ),
    ],
)
def test_a_broken_plug_in_says_so_and_the_others_work(tmp_path, line, code, message):
    install(tmp_path, "gpux-numpy", line=line, code=code)
    states = {name: rest for name, *rest in python(tmp_path, PROBE)}
    assert states["cpu"][0] == "works"
    state, reason, hint, named = states["numpy"]
    assert state == "installed"
    assert message in reason
    assert "install" in hint or "contract" in hint
    assert named == ["ProviderUnavailable", f"provider `numpy` cannot run here: {reason}"]


def test_a_plug_in_that_cannot_be_loaded_takes_nobodys_name(tmp_path):
    install(tmp_path, "gpux-numpy", line="cpu = gpux_numpy:nothing")
    states = {name: rest for name, *rest in python(tmp_path, PROBE)}
    assert states["cpu"][0] == "works"
    assert states["gpux_numpy:nothing"][0] == "installed"


def test_two_of_one_name_are_told(tmp_path):
    install(
        tmp_path,
        "gpux-numpy",
        line="cpu = gpux_numpy:provider",
        code=PLUG_IN.replace('name = "numpy"', 'name = "cpu"'),
    )
    kind, text, hint = python(tmp_path, DISCOVER)
    assert kind == "ProviderError"
    assert "two packages bring a provider named `cpu`" in text
    assert "uninstall" in hint


@pytest.mark.parametrize("how", ["-c", "-m"])
@pytest.mark.parametrize("archive", [True, False], ids=["a zip on the path", "folders only"])
def test_the_current_folder_brings_no_plug_in_unless_somebody_put_it_on_the_path(tmp_path, how, archive):
    site, work = tmp_path / "site", tmp_path / "work"
    site.mkdir()
    code = "from pathlib import Path; Path(__file__).with_suffix('.ran').touch(); raise ImportError"
    install(work, "evil", line="evil = evil:provider", code=code)
    (site / "discovers.py").write_text(DISCOVER)
    given = DISCOVER if how == "-c" else "discovers"
    zipped = tmp_path / "some.zip"
    with zipfile.ZipFile(zipped, "w") as file:
        file.writestr("a.py", "")
    path = f"{site}{os.pathsep}{zipped}" if archive else site
    assert python(path, given, cwd=work, how=(how,))[0] == "found"
    assert not (work / "evil.ran").exists()
    python(f"{path}{os.pathsep}{work}", given, cwd=work, how=(how,))
    assert (work / "evil.ran").exists()


def test_entry_points_that_are_no_text_are_passed_over(tmp_path):
    install(tmp_path, "gpux-numpy", line="numpy = gpux_numpy:provider")
    (tmp_path / "gpux_numpy-1.0.dist-info" / "entry_points.txt").write_bytes(b"\xff\xfe")
    assert "cpu" in python(tmp_path, DISCOVER)[1]
