"""The page on tasks, made from the tasks themselves: each file's docstring, what its head takes, and its arguments."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import MISSING, fields

from gpux import tasks
from gpux.generation.settings import NAMES, GenerationSettings
from gpux.pipelines.pipeline import Pipeline

HEAD = """\
# Task reference

<!-- Written by scripts/generate_docs from gpux/tasks. Do not edit: change the task's docstrings, then run the script. -->

Names, parameters and answers are those of the transformers pipelines, where there is one. [Tasks](tasks.md) shows how they are used, [models](models.md) which
families answer them. Parameters are keyword arguments in Python and `--param K=V` on the command line.
"""
_SOURCE = re.compile(r"^Sources?: ", re.MULTILINE)
_ENTRY = re.compile(r"^(\*{0,2}\w+): ")
_SETTINGS = {
    each.name: f"`{each.default!r}`".replace("'", '"')
    for each in fields(GenerationSettings)
    if each.default is not MISSING and each.default is not None
}
_INNER = re.compile(r"``(\w+)``: ")


def page() -> str:
    """The whole page."""
    found = {name: tasks.find(name) for name in tasks.names()}
    rows = [
        f"| [`{name}`](#{name}) | {_given(task)} | {_about(task)} | {_listed(task.parameters)} |"
        for name, task in found.items()
    ]
    parts = [
        HEAD,
        "\n".join(["| task | is given | gives | parameters |", "| --- | --- | --- | --- |", *rows]),
    ]
    for name, task in found.items():
        parts += [f"## {name}", *_section(task)]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _section(task: type[Pipeline]) -> Iterator[str]:
    yield f"{_about(task)[:1].upper()}{_about(task)[1:]}."
    yield from _prose(inspect.cleandoc(task.__doc__ or ""))
    told = _told(task)
    arguments = {name: text for name, text in _arguments(_part(told, "Args")) if name in task.parameters}
    shared = {name: text for name, text in _generation().items() if name in task.parameters}
    arguments |= {name: text for name, text in shared.items() if name not in arguments}
    if arguments:
        usual = {**_SETTINGS, **_defaults(task)}
        rows = [f"| `{name}` | {usual.get(name, '')} | {_cell(text)} |" for name, text in arguments.items()]
        yield "\n".join(["| parameter | default | |", "| --- | --- | --- |", *rows])
    if answers := _part(told, "Returns"):
        yield f"Answers: {_line(answers)}"


def _generation() -> dict[str, str]:
    """The settings that every task which writes takes, as their own class tells them."""
    return dict(_arguments(_part(inspect.cleandoc(GenerationSettings.__doc__ or ""), "Attributes")))


def _about(task: type[Pipeline]) -> str:
    """The first sentence of the file, behind the task's name."""
    module = inspect.getmodule(task)
    first = inspect.cleandoc((module and module.__doc__) or "").split("\n\n")[0].partition("; knows ")[0]
    return _cell(re.sub(r"^``[\w-]+``:? ?", "", first).rstrip(".")).removeprefix("by CTC: ")


def _given(task: type[Pipeline]) -> str:
    return " and ".join(task.head.takes) or "tensors"


def _told(task: type[Pipeline]) -> str:
    """The docstring that has the arguments: that of ``finish`` where a task over pictures has one."""
    methods = [getattr(task, name, None) for name in ("finish", "answer")]
    documented = [inspect.cleandoc(method.__doc__ or "") for method in methods if method]
    return next((text for text in documented if "Args:" in text), documented[0])


def _defaults(task: type[Pipeline]) -> dict[str, str]:
    """What each argument is when it is not given; empty where the text says it."""
    methods = [getattr(task, name) for name in ("finish", "answer") if hasattr(task, name)]
    return {
        name: f"`{argument.default!r}`".replace("'", '"')
        for method in reversed(methods)
        for name, argument in inspect.signature(method).parameters.items()
        if argument.default is not argument.empty
    }


def _prose(text: str) -> Iterator[str]:
    for paragraph in re.split(r"^(?:Args|Returns|Raises|Attributes):$", text, flags=re.MULTILINE)[0].split(
        "\n\n"
    ):
        if paragraph.strip() and not _SOURCE.match(paragraph):
            yield _line(paragraph)


def _part(text: str, name: str) -> str:
    """The indented lines below ``name:``."""
    found = re.search(rf"^{name}:\n((?: .*\n?|\n)*)", text + "\n", re.MULTILINE)
    return inspect.cleandoc(found[1]) if found else ""


def _arguments(text: str) -> Iterator[tuple[str, str]]:
    """Arguments by name, those that stand in one entry (``**cutting``) with semicolons between among them."""
    for name, told in _entries(text).items():
        if not name.startswith("*"):
            yield name, told
            continue
        _, *inner = _INNER.split(told)
        for each, text in zip(inner[::2], inner[1::2], strict=True):
            said = text.strip().rstrip(";.")
            yield each, f"{said[:1].upper()}{said[1:]}."


def _entries(text: str) -> dict[str, str]:
    entries: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if begins := _ENTRY.match(line):
            name = begins[1]
            entries[name] = line[begins.end() :]
        elif name:
            entries[name] += " " + line.strip()
    return entries


def _listed(names: tuple[str, ...]) -> str:
    own = [f"`{name}`" for name in names if name not in NAMES]
    if len(own) < len(names):
        own.append("[those of generation](#text-generation)")
    return ", ".join(own)


def _cell(text: str) -> str:
    return _line(text).replace("|", "\\|")


def _line(text: str) -> str:
    """One line of Markdown: reST's double back-quotes and roles become single ones."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", " ".join(text.split()))
    return text.replace("``", "`")
