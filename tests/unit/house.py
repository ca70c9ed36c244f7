"""Reads the source of the package for the house tests: modules, their imports and their sizes, by syntax tree only."""

import ast
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Import:
    """One import that runs: the module's dotted name, its line, and whether it stands inside a function."""

    target: str
    line: int
    inside: bool


@dataclass(frozen=True)
class Module:
    """One module: its dotted name, its path below the repository's root, its text and its syntax tree."""

    name: str
    path: Path
    text: str
    tree: ast.Module


def modules(root=ROOT):
    """Every module of ``gpux`` and of ``providers`` (as ``gpux_providers``) under a repository's root."""
    found = []
    for folder, package in (("gpux", "gpux"), ("providers", "gpux_providers")):
        for path in sorted((root / folder).rglob("*.py")):
            parts = [package, *path.relative_to(root / folder).with_suffix("").parts]
            if parts[-1] == "__init__":
                parts.pop()
            text = path.read_text(encoding="utf-8")
            found.append(Module(".".join(parts), path.relative_to(root), text, ast.parse(text, str(path))))
    return found


def imports(module, known=frozenset()):
    """Every import that runs, function-level ones and ``import_module("…")`` included.

    What stands under ``if TYPE_CHECKING:`` never runs and is left out. ``from package import name`` counts as an import of
    ``package.name`` where that is one of the ``known`` modules.
    """
    return list(_walk(module, module.tree, known, inside=False))


def _walk(module, node, known, inside):
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield from _walk(module, ast.Module([other], []), known, inside)
            continue
        for target in _targets(module, child, known):
            yield Import(target, child.lineno, inside)
        function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from _walk(module, child, known, inside or function)


def _targets(module, node, known):
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        parent = _absolute(module, node)
        return sorted({f"{parent}.{a.name}" if f"{parent}.{a.name}" in known else parent for a in node.names})
    if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in {
        "import_module",
        "__import__",
    }:
        first = node.args[0] if node.args else None
        return [first.value] if isinstance(first, ast.Constant) and isinstance(first.value, str) else []
    return []


def _absolute(module, node):
    if not node.level:
        return node.module
    parts = module.name.split(".")
    keep = len(parts) - node.level + (module.path.name == "__init__.py")
    return ".".join([*parts[:keep], *([node.module] if node.module else [])])
