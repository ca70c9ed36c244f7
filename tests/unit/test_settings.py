"""Variables that nobody can follow end in an error that names them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpux import settings
from gpux.errors import InvalidSetting


@pytest.mark.parametrize(
    ("variable", "read"),
    [("GPUX_HOME", settings.home), ("GPUX_EXPORTER_PYTHON", settings.exporter_python)],
)
def test_paths(monkeypatch, variable, read):
    monkeypatch.setenv(variable, "~/x")
    assert read() == Path.home() / "x"
    monkeypatch.setenv(variable, "~nobody-of-this-name/x")
    with pytest.raises(InvalidSetting, match=f"`{variable}` is `~nobody-of-this-name/x`") as caught:
        read()
    assert variable in caught.value.hint
