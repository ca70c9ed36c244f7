"""Where a conversion toolchain is found, and what its own environment would be made of."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import gpux
from gpux.errors import ExporterMissing, UsageError
from gpux.export import toolchains


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
    assert [found.toolchain for found in gpux.exporters()] == ["transformers", "coreml"]


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
