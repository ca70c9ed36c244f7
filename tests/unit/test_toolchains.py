"""Where a conversion toolchain is found, and what its own environment would be made of."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from stored_models import put, variant

import gpux
from gpux.errors import ExporterMissing, UnknownVariant, UsageError
from gpux.events import silent
from gpux.export import toolchains
from gpux.registry import assembly
from gpux.worker import parent


def test_the_named_interpreter_comes_first(monkeypatch, tmp_path):
    named = tmp_path / "python"
    named.write_text("")
    monkeypatch.setenv("GPUX_EXPORTER_PYTHON", str(named))
    assert toolchains.find().python == str(named)
    assert toolchains.find().place == "GPUX_EXPORTER_PYTHON"
    monkeypatch.setenv("GPUX_EXPORTER_PYTHON", str(tmp_path / "none"))
    with pytest.raises(ExporterMissing, match="not there"):
        toolchains.find()


def test_this_environment_comes_next(monkeypatch):
    monkeypatch.delenv("GPUX_EXPORTER_PYTHON", raising=False)
    assert toolchains.find().python == sys.executable
    assert [found.toolchain for found in gpux.exporters()] == [
        "transformers",
        "coreml",
        "optimum",
        "genai",
    ]


def test_one_of_its_own_comes_last(monkeypatch, empty_store):
    """A toolchain that no environment has, looked for in a store where something like it was installed."""
    monkeypatch.delenv("GPUX_EXPORTER_PYTHON", raising=False)
    absent = toolchains.Toolchain("imaginary", "export", ("a_module_that_is_nowhere",), "nothing")
    found = toolchains.find(absent)
    assert (found.python, found.hint) == (None, "gpux exporter install imaginary")
    with pytest.raises(ExporterMissing, match="`imaginary` toolchain") as caught:
        toolchains.require(absent)
    assert "pip install 'gpux[export]'" in caught.value.hint
    own = empty_store / "exporters" / "imaginary" / "bin" / "python"
    own.parent.mkdir(parents=True)
    own.write_text("")
    assert toolchains.require(absent) == own


def test_its_requirements_are_those_of_the_extra():
    needed = toolchains.requirements(toolchains.TRANSFORMERS)
    assert any(line.startswith("torch==") for line in needed)
    assert any(line.startswith("transformers") for line in needed)
    assert not any(line.startswith(("pytest", "onnxruntime", "click")) for line in needed)


def test_what_an_interpreter_lacks(tmp_path):
    absent = toolchains.Toolchain("imaginary", "export", ("json", "nowhere_at_all"), "nothing")
    assert toolchains.lacking(Path(sys.executable), absent) == ("nowhere_at_all",)
    assert toolchains.lacking(tmp_path / "none", absent) == absent.modules
    assert toolchains.lacking(Path(sys.executable)) == ()


@pytest.mark.parametrize(
    ("kind", "known"), [("bert", True), ("mpnet", True), ("zebranet", False), ("", False)]
)
def test_model_types_that_are_built_in(kind, known):
    assert toolchains.knows(Path(sys.executable), kind) is known


def test_an_unknown_toolchain():
    with pytest.raises(UsageError, match="`genie`") as caught:
        gpux.install_exporter("genie")
    assert "transformers" in caught.value.hint


def test_the_toolchain_for_apple_machines():
    needed = toolchains.requirements(toolchains.COREML)
    assert any(line.startswith("coremltools") for line in needed)
    assert [line for line in needed if line.startswith("torch")] == [
        line for line in toolchains.requirements(toolchains.TRANSFORMERS) if line.startswith("torch")
    ]
    assert "2.4" in next(line for line in needed if line.startswith("numpy"))


def test_the_named_interpreter_is_another_toolchain_only_if_it_has_its_modules(monkeypatch, empty_store):
    monkeypatch.setenv("GPUX_EXPORTER_PYTHON", sys.executable)
    absent = toolchains.Toolchain("imaginary", "export", ("a_module_that_is_nowhere",), "nothing")
    assert toolchains.find(absent).hint == "gpux exporter install imaginary"
    there = toolchains.Toolchain("imaginary", "export", ("json", "torch"), "nothing")
    assert toolchains.find(there).place == "GPUX_EXPORTER_PYTHON"
    own = empty_store / "exporters" / "imaginary" / "bin" / "python"
    own.parent.mkdir(parents=True)
    own.write_text("")
    assert toolchains.find(absent).python == str(own)
    assert toolchains.find().python == sys.executable


def test_a_toolchain_without_packages_for_this_system(empty_store):
    elsewhere = toolchains.Toolchain("imaginary", "export", ("json",), "nothing", systems=("plan9",))
    with pytest.raises(ExporterMissing, match=f"no packages for {sys.platform}") as caught:
        toolchains.install(elsewhere)
    assert "plan9" in caught.value.hint
    assert not (empty_store / "exporters").exists()


def test_the_toolchain_of_optimum_belongs_in_an_environment_of_its_own(monkeypatch, empty_store):
    """Its requirements contradict those of the others, so nobody is told to install it beside gpux."""
    needed = {
        Requirement(line).name: Requirement(line) for line in toolchains.requirements(toolchains.OPTIMUM)
    }
    beside = {
        Requirement(line).name: Requirement(line) for line in toolchains.requirements(toolchains.TRANSFORMERS)
    }
    assert not needed["transformers"].specifier.contains("5.23.0")
    assert not beside["transformers"].specifier.contains("4.57.6")
    assert str(needed["torch"]) == str(beside["torch"])
    monkeypatch.delenv("GPUX_EXPORTER_PYTHON", raising=False)
    with pytest.raises(ExporterMissing, match="`optimum` toolchain") as caught:
        toolchains.require(toolchains.OPTIMUM)
    assert caught.value.hint == "gpux exporter install optimum"


def test_a_worker_whose_environment_lacks_optimum_says_so():
    job = {"route": "optimum"}
    with pytest.raises(ExporterMissing, match="lacks `optimum`") as caught:
        parent.run("gpux.export.worker", job, python=Path(sys.executable), progress=silent, environment={})
    assert caught.value.hint == "gpux exporter install optimum"


def test_optimum_is_only_taken_when_it_is_named(empty_store, tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert", "architectures": ["BertModel"]}')
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    assert "optimum" not in gpux.plan_pull(tmp_path).routes
    planned = gpux.plan_pull(tmp_path, exporter="optimum")
    assert (planned.routes, planned.exporter) == (("optimum",), None)
    assert planned.missing == ("gpux exporter install optimum",)
    with pytest.raises(UnknownVariant, match="int8"):
        gpux.plan_pull(tmp_path, exporter="optimum", variants=["int8"])


def test_a_graph_in_the_root_is_carried_over_with_its_data_and_nothing_else(empty_store, tmp_path):
    """optimum's layout has the graph beside ``config.json``."""
    rooted = replace(variant("fp32"), graphs={"model": "model.onnx"})
    artifact = put(gpux.Store(), "org/name", rooted, variant("fp16"))
    files = [
        *artifact.manifest.files,
        *(replace(artifact.manifest.files[0], path=name) for name in ("model.onnx_data", "modules.json")),
    ]
    for name in ("model.onnx_data", "modules.json"):
        (artifact.directory / name).write_bytes(b"graph")
    stored = replace(artifact, manifest=replace(artifact.manifest, files=tuple(files)))
    copy = tmp_path / "copy"
    assembly.carry_over(stored, rooted, copy)
    assert sorted(path.name for path in copy.iterdir()) == ["model.onnx", "model.onnx_data"]
    assembly.carry_over(stored, variant("fp16"), copy)
    assert (copy / "fp16" / "model.onnx").read_bytes() == b"graph"


def test_genai_is_only_taken_when_it_is_named_and_never_put_beside_another_runtime(empty_store, monkeypatch):
    """onnxruntime-genai requires onnxruntime by that name, which breaks every other build of it."""
    monkeypatch.delenv("GPUX_EXPORTER_PYTHON", raising=False)
    absent = dataclasses.replace(toolchains.GENAI, modules=("nothing_of_that_name",))
    with pytest.raises(ExporterMissing, match="`genai` toolchain") as caught:
        toolchains.require(absent)
    assert caught.value.hint == "gpux exporter install genai"
    needed = {Requirement(line).name for line in toolchains.requirements(toolchains.GENAI)}
    assert {"torch", "transformers", "onnxruntime", "onnxruntime-genai"} <= needed
