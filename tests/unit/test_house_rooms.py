"""The sizes and names of the rooms, who may touch a runtime, a framework or the terminal, and what a new room costs."""

import ast
import re
import statistics
from pathlib import Path

import pytest
from house import ROOT, imports, modules

MODULE_LINES, FUNCTION_LINES, MEDIAN_LINES, PROVIDER_LINES = 400, 60, 150, 150
BAD_NAMES = {"utils", "util", "helpers", "helper", "manager", "handler", "handlers", "base", "common", "misc"}
RUNTIMES = {"onnxruntime", "openvino", "tensorrt"}
BOTH = {"coremltools", "onnxruntime_genai"}  # they make graphs, and run them
FRAMEWORKS = {"torch", "transformers", "onnx", "onnxscript", "onnx_ir", "optimum", "sentence_transformers"}
# These look at the software below the providers, of which CUDA and ROCm are two by the same names.
BELOW_PROVIDERS = ("gpux.doctor", "gpux.machine.key")
TERMINALS = {"click", "rich"}


def too_long(source):
    for module in source:
        lines = len(module.text.splitlines())
        provider = module.name.startswith("gpux_providers")
        limit = PROVIDER_LINES if provider else MODULE_LINES
        if lines > limit:
            yield f"{module.path} has {lines} lines, more than {limit}: find its second idea and give it a room"
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = node.end_lineno - node.lineno + 1
                if length > FUNCTION_LINES:
                    yield (
                        f"{module.path}:{node.lineno}: `{node.name}` has {length} lines, more than {FUNCTION_LINES}: "
                        "find its second idea and give it a name"
                    )


def nameless(source):
    for module in source:
        text = ast.get_docstring(module.tree)
        if not text:
            yield f"{module.path} opens without a docstring: say in a sentence what it does and what it does not know"
        for part in module.name.split("."):
            if part.strip("_") in BAD_NAMES:
                yield f"{module.path}: `{part}` says nothing; name the room for its idea"


def trespasses(source):
    """Imports of a runtime, a framework or a terminal library outside the room that may have it."""
    rules = [
        (
            RUNTIMES,
            ("gpux_providers",),
            "only a file in providers/ may import a runtime: reach it through gpux.provider",
        ),
        (
            BOTH,
            ("gpux_providers", "gpux.export"),
            "only a file in providers/ may run with it, only the export worker convert",
        ),
        (
            FRAMEWORKS,
            ("gpux.export",),
            "only the export worker may import a framework: let it do the work in its process",
        ),
        (
            TERMINALS,
            ("gpux.cli",),
            "only the command line talks to a terminal: return a record, or emit an event",
        ),
    ]
    for module in source:
        for found in imports(module):
            for names, homes, advice in rules:
                if found.target.split(".")[0] in names and not _within(module.name, homes):
                    yield f"{module.path}:{found.line} imports `{found.target}`: {advice}"


def prints(source):
    for module in source:
        if _within(module.name, ("gpux.cli",)):
            continue
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"print", "builtins.print"}:
                yield f"{module.path}:{node.lineno} prints: return a record for gpux/cli to print, or emit an event"


def hard_wired(source):
    """A provider or a task that the rest of the house knows by name: adding one would touch more than its own file."""
    # The CPU provider is the proof's reference by design (DESIGN.md), and null is a word of JSON and YAML first.
    providers = {
        m.path.stem.replace("_", "-")
        for m in source
        if m.name.startswith("gpux_providers.") and m.path.stem[0] != "_"
    } - {"cpu", "null"}
    tasks = {m.name for m in source if _is_task(m)}
    for module in source:
        for node in ast.walk(module.tree):
            if _within(module.name, BELOW_PROVIDERS):
                break
            text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
            # An exporter may be called as the provider that its files are for.
            here = module.name.startswith("gpux.") and module.name != "gpux.export.toolchains"
            if text in providers and here:
                yield f"{module.path}:{node.lineno} names the provider `{text}`: ask gpux.provider for what it needs to know"
        for found in imports(module, tasks):
            if found.target in tasks and not _is_task(module):
                yield f"{module.path}:{found.line} imports the task `{found.target}`: ask gpux.tasks.find for it"


def _is_task(module):
    return module.name.startswith("gpux.tasks.") and any(
        isinstance(node, ast.ClassDef) and node.name == "TaskPipeline" for node in module.tree.body
    )


def _within(name, homes):
    return any(name == home or name.startswith(f"{home}.") for home in homes)


@pytest.mark.parametrize(
    "check", [too_long, nameless, trespasses, prints, hard_wired], ids=lambda check: check.__name__
)
def test_the_house_is_in_order(check):
    found = list(check(modules()))
    assert not found, "\n".join(found)


def test_the_median_module_is_small():
    lines = {str(module.path): len(module.text.splitlines()) for module in modules()}
    largest = sorted(lines, key=lines.get)[-5:]
    assert statistics.median(lines.values()) <= MEDIAN_LINES, (
        f"split the largest modules: {', '.join(largest)}"
    )


LONG = "\n".join(["def f():", *["    x = 1"] * 60])


@pytest.mark.parametrize(
    ("path", "code", "check", "message"),
    [
        ("gpux/a.py", '"""A."""\n' * 401, too_long, "401 lines"),
        ("providers/a.py", '"""A."""\n' * 151, too_long, "151 lines"),
        ("gpux/a.py", LONG, too_long, "`f` has 61 lines"),
        (
            "gpux/a.py",
            "class C:\n" + LONG.replace("def", "  async def").replace("    x", "      x"),
            too_long,
            "61 lines",
        ),
        ("gpux/a.py", "import json", nameless, "without a docstring"),
        ("gpux/utils.py", '"""A."""', nameless, "`utils` says nothing"),
        ("gpux/helpers/a.py", '"""A."""', nameless, "`helpers` says nothing"),
        ("gpux/session.py", "def f():\n    import onnxruntime", trespasses, "imports `onnxruntime`"),
        ("gpux/registry/a.py", "from onnxruntime.capi import x", trespasses, "imports `onnxruntime.capi`"),
        ("gpux/a.py", "import importlib\nimportlib.import_module('torch')", trespasses, "imports `torch`"),
        ("providers/a.py", "import onnx", trespasses, "imports `onnx`"),
        ("gpux/registry/a.py", "import coremltools", trespasses, "imports `coremltools`"),
        ("gpux/registry/a.py", "from rich.progress import Progress", trespasses, "imports `rich.progress`"),
        ("gpux/bench/render.py", "print(1)", prints, "prints"),
        ("gpux/planning.py", "if name == 'toy': pass", hard_wired, "names the provider `toy`"),
        ("gpux/model.py", "from gpux.tasks import sums", hard_wired, "imports the task `gpux.tasks.sums`"),
    ],
)
def test_a_violation_is_found(tmp_path, path, code, check, message):
    texts = {
        "providers/toy.py": '"""Toy."""',
        "gpux/tasks/sums.py": '"""Sums."""\nclass TaskPipeline: pass',
        path: code,
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = list(check(modules(tmp_path)))
    assert len(found) == 1
    assert message in found[0]
    assert str(Path(path)) in found[0]


def test_the_rooms_that_may_are_let(tmp_path):
    allowed = {
        "providers/a.py": "import onnxruntime",
        "gpux/export/a.py": "import torch, onnx",
        "gpux/cli/a.py": "import click\nimport rich\nprint(1)",
        "gpux/a.py": "import onnxruntime_extras, numpy\nreprint(1)\nblueprint = print",
    }
    for name, text in allowed.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert [*trespasses(modules(tmp_path)), *prints(modules(tmp_path))] == []


def test_tests_use_no_mocks():
    word = re.compile(r"unittest[.]mock|from mock|import mock|monkeypatch[.]setattr|mocker\b")
    found = [
        f"{path.relative_to(ROOT)}:{number}: run the real thing instead of a mock"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if word.search(line)
    ]
    assert not found, "\n".join(found)
