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
    assert [found.toolchain for found in gpux.exporters()] == ["transformers"]


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
