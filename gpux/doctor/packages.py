"""The inference runtimes and plug-ins of this environment, by their metadata: which overwrite and which contradict each other.

Imports none of them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from gpux.doctor.check import Check

CPU = "pip install 'gpux[cpu]'"


@dataclass(frozen=True, slots=True)
class Package:
    """One installed distribution.

    Attributes:
        name: As indexes normalise it.
        version: Its version.
        folder: Where its modules lie.
        runtime: Whether it brings the import name ``onnxruntime``, of which an environment can hold one.
        requires: Its requirements, as its metadata has them.
    """

    name: str
    version: str
    folder: Path
    runtime: bool = False
    requires: tuple[str, ...] = ()


def installed(path: Sequence[str] | None = None) -> tuple[Package, ...]:
    """The distributions of this environment (or of other folders) by name; of two copies, the one that is imported."""
    found: dict[str, Package] = {}
    for one in metadata.distributions(path=list(sys.path if path is None else path)):
        # A regular expression: the library's parser takes a quarter of a second for a few hundred distributions.
        head = (one.read_text("METADATA") or one.read_text("PKG-INFO") or "").partition("\n\n")[0]
        fields = re.findall(r"^(Name|Version|Requires-Dist): *(.+?) *$", head, re.MULTILINE)
        name = re.sub(r"[-_.]+", "-", next((value for field, value in fields if field == "Name"), "")).lower()
        if name and name not in found:
            version = next((value for field, value in fields if field == "Version"), "")
            requires = tuple(value for field, value in fields if field == "Requires-Dist")
            folder = Path(str(one.locate_file("")))
            found[name] = Package(name, version, folder, _is_runtime(name, one), requires)
    return tuple(found[name] for name in sorted(found))


def _is_runtime(name: str, distribution: metadata.Distribution) -> bool:
    if not name.startswith(("onnxruntime", "ort-")):
        return False
    if record := distribution.read_text("RECORD"):
        return "\nonnxruntime/__init__.py," in f"\n{record}"
    plug_ins = ("onnxruntime-ep-", "onnxruntime-genai", "onnxruntime-extensions", "onnxruntime-qnn")
    return name.startswith("onnxruntime") and not name.startswith((*plug_ins, "onnxruntime-ggml"))


def runtimes(packages: Sequence[Package], install: str = CPU) -> list[Check]:
    """Whether there is exactly one onnxruntime; ``install`` brings the one that suits this machine."""
    found = [one for one in packages if one.runtime]
    told = " and ".join(f"{one.name} {one.version}" for one in found)
    if not found:
        return [Check("runtime", "fail", "no ONNX Runtime is installed", install)]
    if len(found) > 1:
        # Uninstalling one takes files of the other along, so both go.
        remedy = f"pip uninstall -y {' '.join(one.name for one in found)} && {install}"
        return [Check("runtime", "fail", f"{told} overwrite each other's files", remedy)]
    return [Check("runtime", "ok", told)]


def pairs(packages: Sequence[Package]) -> list[Check]:
    """Plug-ins and libraries that need another version of the runtime than the one that is installed."""
    found = [one for one in packages if one.runtime]
    checks = []
    for package in packages if found else ():
        for name, versions in _needs(package, {one.name for one in found}):
            if not any(_within(one.version, versions) for one in found):
                have = found[0]
                finding = f"{package.name} {package.version} needs {name}{versions}, and {have.name} {have.version} is installed"
                checks.append(Check("plug-in", "fail", finding, f"pip install '{have.name}{versions}'"))
    return checks


def _needs(package: Package, names: set[str]) -> Iterator[tuple[str, str]]:
    from packaging.requirements import (  # huggingface-hub brings it
        InvalidRequirement,
        Requirement,
    )

    for text in package.requires:
        if "onnxruntime" not in text.lower():
            continue
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        here = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if here and name in {"onnxruntime", *names}:
            yield name, str(requirement.specifier)


def _within(version: str, versions: str) -> bool:
    from packaging.specifiers import SpecifierSet

    return not versions or SpecifierSet(versions).contains(version, prereleases=True)
