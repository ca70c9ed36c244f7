"""What the source of a plug-in's Python package tells without running it: whether it is one, and the provider's name."""

from __future__ import annotations

from functools import cached_property
from importlib import import_module
from pathlib import Path

from gpux.provider import Runtime

from . import _plugin_library


class LateRuntime(Runtime):
    """A runtime whose own name is read from its package's source when somebody asks, or asked of the package where it is not there."""

    def __init__(self, module: str, source: Path) -> None:
        object.__setattr__(self, "distribution", module.replace("_", "-"))
        object.__setattr__(self, "modules", (module,))
        object.__setattr__(self, "_source", source)

    @cached_property
    def native(self) -> str:
        """The provider's name in ONNX Runtime."""
        (module,) = self.modules
        if found := _name_in(_read(self._source)):  # type: ignore[attr-defined]
            return found
        try:
            code = import_module(module)
            names = [getattr(code, name)() for name in _plugin_library.NAMES if hasattr(code, name)]
        except (Exception, SystemExit):  # noqa: BLE001 - the probe will tell what is wrong with it
            names = []
        return str(names[0]) if names else module


def is_plugin(source: Path) -> bool:
    """Whether a package's source has a library and a provider's name; onnxruntime-extensions has only the first."""
    text = _read(source)
    return any(f"def {name}(" in text for name in _plugin_library.PATHS) and "ep_name" in text.lower()


def _name_in(source: str) -> str | None:
    """The string that is assigned to a name ending in ``EP_NAME``, or returned by ``get_ep_name``."""
    import ast

    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return None
    for node in ast.walk(tree):
        value: ast.expr | None = None
        if isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name) and target.id.endswith("EP_NAME"):
                value = node.value
        elif isinstance(node, ast.FunctionDef) and node.name in _plugin_library.NAMES:
            last = node.body[-1]
            value = last.value if isinstance(last, ast.Return) else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            return value.value
    return None


def _read(source: Path) -> str:
    try:
        return source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
