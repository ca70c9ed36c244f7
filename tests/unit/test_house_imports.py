"""The import law of the house: who may know whom. Function-level imports count; what only a type checker reads does not."""

import ast

import pytest
from house import imports, modules

LEAVES = {
    "_version",
    "devices",
    "entry_points",
    "errors",
    "events",
    "examples",
    "hardware",
    "head",
    "onnx_names",
    "onnx_reader",
    "package_reader",
    "picture_grids",
    "selftest",
    "settings",
    "tensors",
}
BELOW_FIELDS = LEAVES | {"artifact", "fields"}
BELOW_SOURCES = LEAVES | {"reference", "artifact", "integrity"}
BELOW_TASKS = (
    {"generation", "pipelines"} | LEAVES | {"artifact", "integrity", "provider", "planning", "session"}
)

LAW = {
    # room: the rooms that it may import, itself always among them
    **dict.fromkeys(LEAVES, LEAVES),
    "reference": LEAVES,
    "artifact": LEAVES | {"reference"},
    "fields": LEAVES | {"artifact"},
    "forecasting": LEAVES | {"artifact"},
    # What a person has → what a graph takes, by the model's own files; they know neither graphs nor tasks.
    "text": BELOW_FIELDS | {"worker"},  # a chat template is rendered in a process of its own
    "images": BELOW_FIELDS,
    "audio": BELOW_FIELDS,
    "integrity": LEAVES | {"artifact"},
    "worker": LEAVES,
    "sources": BELOW_SOURCES,
    "sources.snapshot": LEAVES | {"reference"},
    "export": BELOW_SOURCES | {"worker", "sources.snapshot", "provider"},
    # A folder's own gpux.yml; it knows the model's files by what they must say, and no more.
    "blueprint": LEAVES,
    # The proof runs the graph on the CPU provider, and each task declares the head that it needs exported.
    "registry": BELOW_SOURCES
    | {
        "binding",
        "blueprint",
        "worker",
        "sources",
        "export",
        "discovery",
        "provider",
        "planning",
        "session",
        "generation",
        "pipelines",
        "tasks",
    },
    "provider": {"errors", "settings", "hardware", "tensors"},
    "discovery": {"entry_points", "errors", "provider"},
    "planning": LEAVES | {"artifact", "provider"},
    # What was found out by trying: it asks providers, proves with the registry's prover, and chooses.
    "machine": BELOW_SOURCES | {"worker", "export", "discovery", "provider", "planning", "registry"},
    "binding": {"provider", "tensors"},
    "session": LEAVES | {"artifact", "integrity", "provider", "planning", "binding"},
    # One decoding loop over open graphs; it knows no task.
    "generation": BELOW_FIELDS | {"integrity", "provider", "planning", "session", "text"},
    "pipelines": BELOW_FIELDS | {"integrity", "session", "text", "images", "audio", "generation"},
    "tasks": BELOW_FIELDS | {"session", "text", "images", "audio", "pipelines", "generation"},
    "model": BELOW_TASKS | {"tasks", "the door"},
    "loading": BELOW_TASKS
    | {"forecasting", "discovery", "machine", "reference", "tasks", "model", "registry", "the door"},
    "bench": LEAVES | {"artifact"},
    # Where the benchmark meets the store, the loader and the exporter's environment.
    "campaign": BELOW_TASKS | {"bench", "worker", "tasks", "model", "loading", "registry", "export"},
    # Candidates measured against each other, with the campaign's processes and the benchmark's statistics.
    "race": BELOW_TASKS
    | {"bench", "campaign", "discovery", "loading", "machine", "registry", "tasks", "worker"},
    "serve": LEAVES | {"artifact"},
    "doctor": LEAVES | {"discovery", "machine", "export", "provider", "registry"},
    "cli": {"_version", "errors", "settings", "events", "bench", "the door"},
    "__main__": {"cli"},
    "the door": LEAVES
    | {
        "artifact",
        "bench",
        "campaign",
        "generation",
        "forecasting",
        "loading",
        "model",
        "race",
        "registry",
    },  # gpux/__init__.py: the public names
    "providers": {
        "errors",
        "settings",
        "hardware",
        "onnx_reader",
        "package_reader",
        "provider",
        "selftest",
        "tensors",
    },
}
ROOMS_OF_ONE_MODULE = {"sources.snapshot"}


def room(name):
    """The room of a module: ``gpux.pipelines.pipeline`` → ``tasks``; ``gpux`` itself is the door."""
    package, _, rest = name.partition(".")
    if package == "gpux_providers":
        return "providers"
    if not rest:
        return "the door"
    return rest if rest in ROOMS_OF_ONE_MODULE else rest.split(".")[0]


def breaches(source):
    known = {module.name for module in source}
    for module in source:
        here = room(module.name)
        own = here.split(".")[0]
        allowed = LAW.get(here, LAW.get(own))
        if allowed is None:
            yield f"{module.path}: `{here}` is a new room; give it a line in the LAW of {__name__}.py"
            continue
        for found in imports(module, known):
            if found.target.split(".")[0] not in {"gpux", "gpux_providers"}:
                continue
            there = room(found.target)
            if there in allowed or there.split(".")[0] in allowed | {own}:
                continue
            yield (
                f"{module.path}:{found.line}: `{here}` imports `{found.target}`; it may import "
                f"{', '.join(sorted(allowed))}. Pass a record in, or move the code to the room that may know both"
            )


def cycles(source):
    """Import cycles between modules at module level, which work only while nobody touches the order."""
    known = {module.name for module in source}
    edges = {
        m.name: {i.target for i in imports(m, known) if not i.inside and i.target in known} for m in source
    }
    done, path = set(), []

    def visit(name):
        if name in path:
            yield " → ".join([*path[path.index(name) :], name])
        elif name not in done:
            path.append(name)
            for target in sorted(edges[name] - {name}):
                yield from visit(target)
            path.pop()
            done.add(name)

    for name in edges:
        yield from visit(name)


def unknown_public_names(source):
    """``gpux.x`` in a room above the door, where ``x`` is no public name: a way around the law."""
    public = set()
    for module in source:
        if module.name == "gpux":
            public = {
                name
                for node in module.tree.body
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
                for name in ast.literal_eval(node.value)
            }
    for module in source:
        if "the door" not in LAW.get(room(module.name), ()):
            continue
        for node in ast.walk(module.tree):
            if (
                isinstance(node, ast.Attribute)
                and ast.unparse(node.value) == "gpux"
                and node.attr not in public
            ):
                yield f"{module.path}:{node.lineno}: `gpux.{node.attr}` is no public name; see __all__ in gpux/__init__.py"


def test_every_room_imports_only_what_the_law_allows():
    found = list(breaches(modules()))
    assert not found, "\n".join(["the import law is broken:", *found])


def test_no_modules_import_each_other_in_a_circle():
    found = list(cycles(modules()))
    assert not found, "\n".join(["break these circles, or import inside a function and say why:", *found])


def test_rooms_above_the_door_use_its_public_names():
    found = list(unknown_public_names(modules()))
    assert not found, "\n".join(found)


def test_the_law_itself_leads_only_downwards():
    allowed = {
        name: {a.split(".")[0] for a in may} - {name.split(".")[0]}
        for name, may in LAW.items()
        if name not in LEAVES
    }
    allowed = {name: may - LEAVES for name, may in allowed.items() if "." not in name}
    # model and loading go through the door on purpose, inside functions; see the next test.
    allowed = {
        name: may - ({"the door"} if name in {"model", "loading"} else set()) for name, may in allowed.items()
    }
    order = []
    while allowed:
        free = sorted(name for name, may in allowed.items() if not may - set(order))
        assert free, f"these rooms allow each other in a circle: {sorted(allowed)}"
        order += free
        allowed = {name: may for name, may in allowed.items() if name not in free}


def test_model_and_loading_pass_the_door_only_inside_functions():
    source = modules()
    found = [
        f"{module.path}:{i.line}: import gpux inside the function that needs it"
        for module in source
        if room(module.name) in {"model", "loading"}
        for i in imports(module, {m.name for m in source})
        if i.target == "gpux" and not i.inside
    ]
    assert not found, "\n".join(found)


VIOLATIONS = [
    ("gpux/bench/measure.py", "from gpux.session import Session", breaches, "imports `gpux.session`"),
    (
        "gpux/bench/measure.py",
        "def f():\n    import gpux.registry.store",
        breaches,
        "imports `gpux.registry.store`",
    ),
    ("gpux/bench/measure.py", "from gpux import tasks", breaches, "imports `gpux.tasks`"),
    ("gpux/bench/measure.py", "from ..tasks import find", breaches, "imports `gpux.tasks`"),
    ("gpux/bench/measure.py", "import gpux", breaches, "imports `gpux`"),
    (
        "gpux/bench/measure.py",
        "from importlib import import_module\nimport_module('gpux.cli')",
        breaches,
        "imports `gpux.cli`",
    ),
    (
        "gpux/serve/app.py",
        "from gpux.bench.stats import summarise",
        breaches,
        "`serve` imports `gpux.bench.stats`",
    ),
    ("gpux/cli/run.py", "from gpux.registry.store import Store", breaches, "imports `gpux.registry.store`"),
    ("gpux/cli/run.py", "from gpux.registry import store", breaches, "imports `gpux.registry"),
    ("gpux/provider.py", "from gpux import onnx_reader", breaches, "imports `gpux.onnx_reader`"),
    ("gpux/planning/choice.py", "from gpux.session import Session", breaches, "imports `gpux.session`"),
    ("gpux/export/heads.py", "from gpux.sources.hub import fetch", breaches, "imports `gpux.sources"),
    ("gpux/loading.py", "from gpux_providers.cpu import provider", breaches, "imports `gpux_providers.cpu`"),
    ("providers/cpu.py", "from gpux.artifact import Artifact", breaches, "imports `gpux.artifact`"),
    ("gpux/novelty/room.py", "", breaches, "is a new room"),
    (
        "gpux/settings.py",
        "from gpux import tensors\n",
        cycles,
        "gpux.settings → gpux.tensors → gpux.settings",
    ),
    (
        "gpux/cli/run.py",
        "import gpux\ngpux.registry.store.Store()",
        unknown_public_names,
        "`gpux.registry` is no public name",
    ),
]


@pytest.mark.parametrize(("path", "code", "check", "message"), VIOLATIONS)
def test_a_violation_is_found(tmp_path, path, code, check, message):
    rooms = [
        "artifact",
        "onnx_reader",
        "session",
        "tasks",
        "registry/store",
        "sources/hub",
        "tensors",
        "bench/stats",
        "bench/report",
    ]
    for name in rooms:
        _write(tmp_path / f"gpux/{name}.py", "from gpux import settings" if name == "tensors" else "")
    _write(tmp_path / "gpux/__init__.py", '__all__ = ["load"]')
    _write(tmp_path / "gpux/settings.py", "")
    _write(tmp_path / path, code)
    found = list(check(modules(tmp_path)))
    assert len(found) == 1
    assert message in found[0]
    assert path in found[0] or check is cycles


@pytest.mark.parametrize(
    "code",
    [
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from gpux.session import Session",
        "from gpux import hardware\nfrom gpux.artifact import Artifact\nfrom gpux.bench import stats\nfrom . import stats",
        "import json, gpuxtra",
    ],
)
def test_what_the_law_allows_is_not_found(tmp_path, code):
    for name in ("artifact", "hardware", "session", "bench/stats", "__init__", "bench/__init__"):
        _write(tmp_path / f"gpux/{name}.py", "")
    _write(tmp_path / "gpux/bench/measure.py", code)
    assert list(breaches(modules(tmp_path))) == []


def _write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
