from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from server import HubServer


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A Hub on loopback, with caches of its own, no token and a short patience."""
    with HubServer() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        monkeypatch.setenv("GPUX_HOME", str(tmp_path / "gpux"))
        monkeypatch.setenv("GPUX_NETWORK_TIMEOUT", "1")
        for name in (
            "HF_TOKEN",
            "HF_TOKEN_PATH",
            "HF_HUB_CACHE",
            "HF_HUB_OFFLINE",
            "GPUX_OFFLINE",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "http_proxy",
            "https_proxy",
            "ALL_PROXY",
            "all_proxy",
        ):
            monkeypatch.delenv(name, raising=False)
        yield server
