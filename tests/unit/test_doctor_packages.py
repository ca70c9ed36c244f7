"""Runtimes and plug-ins that overwrite or contradict each other, from folders of metadata as pip leaves it."""

from importlib import metadata

import pytest

from gpux.doctor import packages


def install(folder, name, version="1.0", *, requires=(), files=None):
    """What pip leaves of a distribution: its metadata, and the list of its files where ``files`` is given."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {r}" for r in requires),
    ]
    (info / "METADATA").write_text(
        "\n".join(lines) + "\n\nName: of nobody\nRequires-Dist: onnxruntime>=99 in prose\n"
    )
    if files is not None:
        (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))


def looked(folder, *arguments):
    found = packages.installed([str(folder)])
    return [*packages.runtimes(found, *arguments), *packages.pairs(found)]


def test_the_packages_of_this_environment_are_those_that_the_library_finds():
    mine = {one.name: one.version for one in packages.installed()}
    for name in ("numpy", "click", "onnxruntime"):
        assert mine[name] == metadata.version(name)
    assert [one.name for one in packages.installed() if one.runtime] == ["onnxruntime"]


def test_one_runtime(tmp_path):
    install(tmp_path, "onnxruntime", "1.31.1", files=["onnxruntime/__init__.py"])
    assert [(c.state, c.finding) for c in looked(tmp_path)] == [("ok", "onnxruntime 1.31.1")]


def test_no_runtime(tmp_path):
    install(tmp_path, "onnxruntime-extensions")
    (check,) = looked(tmp_path)
    assert (check.state, check.remedy) == ("fail", "pip install 'gpux[cpu]'")


@pytest.mark.parametrize("files", [None, ["onnxruntime/__init__.py", "onnxruntime/capi/__init__.py"]])
def test_two_runtimes_both_go_and_the_right_one_returns(tmp_path, files):
    install(tmp_path, "onnxruntime", "1.31.1", files=files)
    install(tmp_path, "onnxruntime_gpu", "1.31.1", files=files)
    check = looked(tmp_path, "pip install 'gpux[cuda]'")[0]
    assert check.finding == "onnxruntime 1.31.1 and onnxruntime-gpu 1.31.1 overwrite each other's files"
    assert check.remedy == "pip uninstall -y onnxruntime onnxruntime-gpu && pip install 'gpux[cuda]'"


def test_what_a_distribution_brings_counts_and_not_its_name(tmp_path):
    """Early onnxruntime-qnn were whole runtimes; today's is a plug-in in a folder of its own."""
    install(tmp_path, "onnxruntime", files=["onnxruntime/__init__.py"])
    install(tmp_path, "onnxruntime-qnn", files=["onnxruntime_qnn/__init__.py"])
    assert [c.state for c in looked(tmp_path)] == ["ok"]
    install(tmp_path, "onnxruntime-lite", files=["onnxruntime/__init__.py"])
    assert [c.state for c in looked(tmp_path)] == ["fail"]


@pytest.mark.parametrize(
    ("requires", "version", "broken"),
    [
        ("onnxruntime<1.31,>=1.29", "1.31.1", True),  # onnxruntime-ggml 0.2.0's own line
        ("onnxruntime<1.31,>=1.29", "1.30.0", False),
        ("onnxruntime>=1.31", "1.30.0", True),
        ("onnxruntime (>=1.31)", "1.31.0", False),
        ("onnxruntime", "1.2", False),
        ("onnxruntime>=1.31; extra == 'x'", "1.30.0", False),
        ("onnxruntime>=1.31; python_version < '3'", "1.30.0", False),
        ("onnxruntime>=1.31; python_version > '3'", "1.30.0", True),
        ("onnxruntime >>> 1", "1.30.0", False),
    ],
)
def test_a_plug_in_and_a_runtime_of_the_wrong_version(tmp_path, requires, version, broken):
    install(tmp_path, "onnxruntime", version, files=["onnxruntime/__init__.py"])
    install(tmp_path, "mine", "0.2.0", requires=["numpy", requires])
    found = [check for check in looked(tmp_path) if check.subject == "plug-in"]
    assert bool(found) == broken
    if broken:
        assert found[0].state == "fail"
        assert found[0].finding.startswith("mine 0.2.0 needs onnxruntime")
        assert found[0].finding.endswith(f"and onnxruntime {version} is installed")


def test_the_remedy_of_a_wrong_pair_keeps_the_runtime_that_is_there(tmp_path):
    install(tmp_path, "onnxruntime-gpu", "1.31.1", files=["onnxruntime/__init__.py"])
    install(tmp_path, "onnxruntime-ggml", "0.2.0", requires=["onnxruntime<1.31,>=1.29"])
    assert looked(tmp_path)[1].remedy == "pip install 'onnxruntime-gpu<1.31,>=1.29'"


def test_of_two_copies_the_first_on_the_path_counts(tmp_path):
    install(tmp_path / "a", "onnxruntime", "1.31.1")
    install(tmp_path / "b", "onnxruntime", "1.2")
    (one,) = packages.installed([str(tmp_path / "a"), str(tmp_path / "b")])
    assert (one.version, one.folder) == ("1.31.1", tmp_path / "a")
