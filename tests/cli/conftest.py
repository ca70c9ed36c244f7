"""The command on the session's store, and a copy of that store which a test may empty."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest
from command_line import Done, run


@pytest.fixture(scope="session")
def gpux_command(minilm) -> Callable[..., Done]:
    """Run ``gpux`` with MiniLM in the store; see :func:`command_line.run`."""
    return run


@pytest.fixture
def own_store(minilm, store, tmp_path) -> dict[str, str]:
    """A copy of the session's store that a test may empty; the variables that point there."""
    home = tmp_path / "own"
    for folder in ("artifacts", "index"):
        shutil.copytree(store / folder, home / folder)
    return {"GPUX_HOME": str(home)}
