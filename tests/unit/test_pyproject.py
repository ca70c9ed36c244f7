"""The metadata: runtimes that break each other never come together, every package ships, one version, entry points resolve."""

import re
import tomllib
from importlib import import_module
from importlib.metadata import version
from itertools import chain

import pytest
from house import ROOT
from packaging.requirements import Requirement

import gpux

RUNTIMES = {
    "onnxruntime", "onnxruntime-gpu", "onnxruntime-migraphx", "onnxruntime-directml", "onnxruntime-openvino", "onnxruntime-rocm",
}  # fmt: skip
"""Distributions that share the import name ``onnxruntime``."""


@pytest.fixture(scope="module")
def metadata():
    with (ROOT / "pyproject.toml").open("rb") as stream:
        return tomllib.load(stream)


def names(requirements, extras):
    """The distributions that requirements bring, ``gpux[…]`` among them followed."""
    found = set()
    for requirement in map(Requirement, requirements):
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        inner = chain.from_iterable(extras[extra] for extra in requirement.extras) if name == "gpux" else ()
        found |= {name, *names(inner, extras)}
    return found


def clashes(project):
    base, extras = project["dependencies"], project["optional-dependencies"]
    if found := names(base, extras) & RUNTIMES:
        yield f"the base package brings {', '.join(sorted(found))}: leave the runtime to the extras"
    for extra, requirements in extras.items():
        found = names([*base, *requirements], extras) & RUNTIMES
        if len(found) > 1:
            yield f"gpux[{extra}] brings {' and '.join(sorted(found))}, which overwrite each other: leave one"


def test_no_installation_brings_two_runtimes(metadata):
    assert not list(clashes(metadata["project"]))


@pytest.mark.parametrize(
    ("base", "extras", "message"),
    [
        (["onnxruntime>=1.23"], {}, "base package brings onnxruntime"),
        (
            [],
            {"a": ["onnxruntime", "OnnxRuntime_GPU>=1"]},
            r"gpux\[a\] brings onnxruntime and onnxruntime-gpu",
        ),
        (
            [],
            {"a": ["gpux[b]", "onnxruntime-migraphx; sys_platform == 'linux'"], "b": ["onnxruntime"]},
            r"gpux\[a\] brings",
        ),
    ],
)
def test_a_clash_is_found(base, extras, message):
    found = list(clashes({"dependencies": base, "optional-dependencies": extras}))
    assert re.search(message, found[0])


def test_every_package_ships(metadata):
    have = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "gpux").rglob("*.py")}
    listed = set(metadata["tool"]["setuptools"]["packages"])
    missing = sorted((have | {"gpux_providers"}) - listed)
    assert not missing, f"add {', '.join(missing)} to tool.setuptools.packages"
    empty = sorted(listed - have - {"gpux_providers"})
    assert not empty, f"tool.setuptools.packages lists packages without a module: {', '.join(empty)}"


def test_every_package_has_an_init():
    bare = {
        path.parent for path in (ROOT / "gpux").rglob("*.py") if not (path.parent / "__init__.py").exists()
    }
    assert not bare, (
        f"give each an __init__.py that says what the room is: {sorted(str(p.relative_to(ROOT)) for p in bare)}"
    )


def test_the_version_has_one_source(metadata):
    assert "version" in metadata["project"]["dynamic"]
    assert metadata["tool"]["setuptools"]["dynamic"]["version"]["attr"] == "gpux._version.__version__"
    pattern = re.compile(rf"""["']{re.escape(gpux.__version__)}["']""")
    holders = [
        p
        for folder in ("gpux", "providers")
        for p in (ROOT / folder).rglob("*.py")
        if pattern.search(p.read_text("utf-8"))
    ]
    assert [str(path.relative_to(ROOT)) for path in holders] == ["gpux/_version.py"]
    assert version("gpux") == gpux.__version__, "install gpux again: pip install -e ."


def test_entry_points_resolve(metadata):
    project = metadata["project"]
    groups = [project["scripts"], *project["entry-points"].values()]
    for target in chain.from_iterable(group.values() for group in groups):
        module, _, attribute = target.partition(":")
        assert hasattr(import_module(module), attribute), (
            f"pyproject.toml names `{target}`, which does not exist"
        )


def test_typed_markers_ship(metadata):
    for package, folder in (("gpux", "gpux"), ("gpux_providers", "providers")):
        assert "py.typed" in metadata["tool"]["setuptools"]["package-data"][package]
        assert (ROOT / folder / "py.typed").is_file()


def test_each_providers_extra_exists(metadata):
    from gpux.discovery import discover

    extras = metadata["project"]["optional-dependencies"]
    for provider in discover().values():
        if type(provider).__module__.startswith("gpux_providers"):
            assert provider.extra == "" or provider.extra in extras, (
                f"`{provider.name}` promises gpux[{provider.extra}]"
            )
