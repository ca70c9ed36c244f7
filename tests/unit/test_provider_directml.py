"""The DirectML provider: what it passes on, its adapters, and that one thread runs at a time.

See :mod:`onnxruntime_double` for what stands in for Windows and a device.
"""

import sys

import onnxruntime_double as double
import pytest

DIRECTML, CPU = "DmlExecutionProvider", "CPUExecutionProvider"
ADAPTERS = [
    [
        "DmlExecutionProvider",
        {"DxgiAdapterNumber": "1", "Description": "Card I", "DxgiVideoMemory": "128 MB"},
    ],
    [
        "DmlExecutionProvider",
        {"DxgiAdapterNumber": "0", "Description": "Card D", "DxgiVideoMemory": "8192 MB"},
    ],
    ["CPUExecutionProvider", {"Description": "processor"}],
]
"""What ``get_ep_devices`` tells on Windows, in the words of ONNX Runtime's core/platform/windows/device_discovery.cc."""


def test_it_is_named_ranked_and_has_these_settings():
    from gpux_providers.directml import provider

    assert (provider.name, provider.rank, provider.extra) == ("directml", 50, "directml")
    assert [one.name for one in provider.settings] == ["graph", "device"]


def test_its_session_has_no_memory_pattern_and_runs_in_sequence(tmp_path):
    double.make(tmp_path, DIRECTML, ep_devices=ADAPTERS)
    double.graph(tmp_path / "x.onnx", x=[2])
    body = """
options = Options(threads=1, extra={"device": "1"})
tell(providers["directml"].open(HERE / "x.onnx", options).placement().device)
"""
    assert double.ask(tmp_path, body) == "Card I"
    session = double.records(tmp_path)[-1]
    assert session["wanted"] == [[DIRECTML, {"device_id": "1"}], [CPU, {}]]
    assert (session["pattern"], session["mode"]) == (False, "sequential")


def test_its_adapters_are_told_in_dxgis_order(tmp_path):
    found = double.probe(double.make(tmp_path, DIRECTML, ep_devices=ADAPTERS), "directml")
    assert found["state"] == "works"
    assert found["devices"] == [
        {"name": "Card D", "kind": "gpu", "memory": 8192 << 20, "precisions": []},
        {"name": "Card I", "kind": "gpu", "memory": 128 << 20, "precisions": []},
    ]


def test_an_adapter_that_nobody_names_has_its_number(tmp_path):
    found = double.probe(double.make(tmp_path, DIRECTML), "directml")
    assert (found["state"], found["devices"][0]["name"]) == ("works", "adapter 0")


def test_threads_run_one_after_the_other(tmp_path):
    double.make(tmp_path, DIRECTML, takes=0.02)
    double.graph(tmp_path / "x.onnx", x=[1])
    body = """
session = providers["directml"].open(HERE / "x.onnx", Options(threads=1))
def work(): session.run({"x": np.ones(1, np.float32)})
threads = [threading.Thread(target=work) for _ in range(6)]
for thread in threads: thread.start()
for thread in threads: thread.join()
tell(0)
"""
    double.ask(tmp_path, body)
    records = double.records(tmp_path)
    assert sum("ran" in one for one in records) == 6
    assert not [one for one in records if "at_once" in one]


def test_the_double_sees_threads_that_run_at_once(tmp_path):
    """The same on the CPU provider, which lets them: the test above can fail."""
    double.make(tmp_path, takes=0.05)
    double.graph(tmp_path / "x.onnx", x=[1])
    body = """
session = providers["cpu"].open(HERE / "x.onnx", Options(threads=1))
def work(): session.run({"x": np.ones(1, np.float32)})
threads = [threading.Thread(target=work) for _ in range(6)]
for thread in threads: thread.start()
for thread in threads: thread.join()
tell(0)
"""
    double.ask(tmp_path, body)
    assert [one for one in double.records(tmp_path) if "at_once" in one]


@pytest.mark.skipif(sys.platform == "win32", reason="this is Windows, where another reason is told")
def test_no_other_system_is_told_to_install_it(tmp_path):
    found = double.probe(double.make(tmp_path), "directml")
    assert (found["state"], found["reason"]) == ("missing", "DmlExecutionProvider exists only on Windows")
    assert "pip install" not in found["hint"]


def test_a_device_that_runs_out_of_memory_says_so(tmp_path):
    said = "Non-zero status code: DmlCommittedResourceAllocator.cpp(22) Exception(2) 8007000E Not enough memory resources"
    double.make(tmp_path, DIRECTML, fails=said)
    found = double.probe(tmp_path, "directml")
    assert found["state"] == "listed"
    assert "--batch-size 1" in found["hint"]
