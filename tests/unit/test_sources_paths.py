"""File names from outside: what escapes on any operating system is refused on every one."""

from __future__ import annotations

import contextlib
import ntpath
import os
from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpux.errors import UnsafePath
from gpux.onnx_reader import GraphSummary
from gpux.sources.paths import external_files, safe


@pytest.mark.parametrize("name", ["config.json", "onnx/model.onnx", "1_Pooling/config.json", ".gitattributes", "a b/ü.txt", "console.txt",
                                  "nullable", "com10.txt", "x..y/z...a", "日本語.json"])  # fmt: skip
def test_plain_names(name):
    assert safe(name) == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "a/../x", "a/..", "/x", "//host/share", "a//b", "a/", "./a", "C:/x", "c:x", "\\x", "a\\..\\x", "\\\\host\\share",
     "con", "CON.txt", "aux.onnx", "a/NUL", "nul .txt", "com1", "LPT9.json", "COM¹", "conin$", "a/prn.tar.gz", "x.", "x ", "a./b", "..\0",
     "a\nb", "\x7f", "\ud800", "x" * 300, "a/" * 600 + "a", "a?b", "a*b", 'a"b', "a<b", "a>b", "a|b", "README.md:evil", "a/b:c",
     "model\u202exnno.json", "\u200bconfig.json", "\u2066a", "a\u2028b", "\ue000"],
)  # fmt: skip
def test_names_that_escape_or_mean_a_device(name):
    with pytest.raises(UnsafePath) as caught:
        safe(name)
    assert caught.value.message.isprintable()


def reserved(name):
    if hasattr(ntpath, "isreserved"):  # Python ≥ 3.13, where the path's own method is deprecated
        return ntpath.isreserved(name)
    return PureWindowsPath(name).is_reserved() or bool(set('<>:"|?*') & set(name))


@given(st.text() | st.text(alphabet="./\\:a~ Cconul"))
def test_what_is_safe_stays_inside_on_every_system(name):
    with contextlib.suppress(UnsafePath):
        safe(name)
        root = "/root/of/source"
        assert os.path.normpath(f"{root}/{name}") == f"{root}/{name}"
        assert not PureWindowsPath(name).is_absolute()
        assert not PureWindowsPath(name).drive
        assert not reserved(name)
        assert name.isprintable()
        assert ".." not in PureWindowsPath(name).parts
        assert Path(root, name).is_relative_to(root)


def summary(*locations: str) -> GraphSummary:
    return GraphSummary((), (), 1, frozenset(), frozenset(locations), 0, 17)


def test_external_data_lies_beside_its_graph():
    assert external_files("onnx/model.onnx", summary("b.bin", "data/a.bin", "./c.bin")) == (
        "onnx/b.bin",
        "onnx/c.bin",
        "onnx/data/a.bin",
    )
    assert external_files("model.onnx", summary("model.onnx_data")) == ("model.onnx_data",)
    assert external_files("model.onnx", summary()) == ()


@pytest.mark.parametrize(
    "location", ["../x", "/etc/passwd", "", "a/../../x", "C:\\x", "././x", "nul", "file:///etc/passwd"]
)
def test_external_data_elsewhere_is_refused(location):
    with pytest.raises(UnsafePath, match="keeps data in"):
        external_files("onnx/model.onnx", summary(location))
