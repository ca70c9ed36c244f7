"""The CoreML provider over ONNX Runtime: what it passes on; see :mod:`onnxruntime_double` for what stands in for a Mac."""

import sys

import onnxruntime_double as double
import pytest

COREML, CPU = "CoreMLExecutionProvider", "CPUExecutionProvider"
OPENING = """
def open_with(name, **options):
    return providers["coreml"].open(HERE / name, Options(**{"threads": 1, **options})).placement()
"""


def test_it_is_named_ranked_and_has_these_settings():
    from gpux_providers.coreml import provider

    assert (provider.name, provider.rank, provider.extra) == ("coreml", 60, "apple")
    units = {one.name: one for one in provider.settings}["units"]
    assert units.values == ("ALL", "CPUAndNeuralEngine", "CPUAndGPU", "CPUOnly")
    assert (units.default, units.numeric) == ("ALL", True)
    assert set(units.race) <= set(units.values)


def test_its_options_are_coremls_and_a_graph_of_one_shape_is_told_to_be_one(tmp_path):
    double.make(tmp_path, COREML)
    double.graph(tmp_path / "free.onnx", x=["n", 2])
    double.graph(tmp_path / "fixed.onnx", x=[3, 2])
    body = (
        OPENING
        + """
open_with("free.onnx")
open_with("fixed.onnx", extra={"units": "CPUAndNeuralEngine"}, cache=HERE / "cache")
tell(0)
"""
    )
    double.ask(tmp_path, body)
    kept = tmp_path / "cache" / "onnxruntime-1.31.1-coreml"
    assert kept.is_dir()
    free = {"ModelFormat": "MLProgram", "MLComputeUnits": "ALL"}
    fixed = {
        "ModelFormat": "MLProgram",
        "MLComputeUnits": "CPUAndNeuralEngine",
        "RequireStaticInputShapes": "1",
        "ModelCacheDirectory": str(kept),
    }
    assert double.wanted(tmp_path) == [[[COREML, free], [CPU, {}]], [[COREML, fixed], [CPU, {}]]]


def test_it_works_where_the_runtime_computes_on_it(tmp_path):
    found = double.probe(double.make(tmp_path, COREML), "coreml")
    assert found["state"] == "works"
    assert len(found["devices"]) == 1


@pytest.mark.skipif(sys.platform == "darwin", reason="this is macOS, where another reason is told")
def test_no_other_system_is_told_to_install_it(tmp_path):
    found = double.probe(double.make(tmp_path), "coreml")
    assert (found["state"], found["reason"]) == ("missing", "CoreMLExecutionProvider exists only on macOS")
    assert "pip install" not in found["hint"]


def test_what_is_no_graph_is_left_to_the_runtime_to_refuse(tmp_path):
    double.make(tmp_path, COREML, refuses={COREML: "Protobuf parsing failed."})
    (tmp_path / "x.onnx").write_bytes(b"no graph")
    kind, message, hint = double.ask(tmp_path, OPENING + "tell(attempt(open_with, 'x.onnx'))")
    assert (kind, message) == ("RunFailed", f"{COREML} refused `x.onnx`: Protobuf parsing failed.")
    assert hint == "gpux verify, then gpux pull --force"
