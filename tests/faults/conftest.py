"""What the fault tests share: a small repository on disk, a pulled copy of it, and file systems that can be filled."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import small

import gpux


@pytest.fixture(autouse=True)
def _own_store(empty_store: Path) -> None:
    """No test of this folder may touch the session's store."""


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A directory with the small model."""
    return small.write(tmp_path / "small-model")


@pytest.fixture
def stored(repo: Path) -> gpux.Artifact:
    """The small model, pulled into a store of the test's own."""
    return gpux.pull(str(repo))


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mounts a small tmpfs, or binds a directory read-only, under the test's folder."""
    if not sys.platform.startswith("linux"):
        pytest.skip("mounting a tmpfs needs Linux")
    mounted: list[Path] = []

    def run(*arguments: object) -> None:
        done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"this machine does not let the tests mount: {done.stderr.strip()}")

    def make(name: str, *, size: str = "64m", bind: Path | None = None) -> Path:
        target = tmp_path / name
        target.mkdir(exist_ok=True)
        if bind is None:
            run("-t", "tmpfs", "-o", f"size={size}", "tmpfs", target)
            mounted.append(target)
        else:
            run("--bind", bind, target)
            mounted.append(target)
            run("-o", "remount,ro,bind", target)
        return target

    yield make
    for target in reversed(mounted):
        subprocess.run(["umount", "-l", str(target)], check=True)
