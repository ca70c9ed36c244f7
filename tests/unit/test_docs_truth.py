"""The pages say what the code says: commands, options, variables, errors, tasks, public names, links."""

import inspect
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import docs_pages
import pytest
from docs_pages import ROOT

import gpux
from gpux import errors, tasks
from gpux.cli import COMMANDS, cli

PAGES = docs_pages.pages()
SOURCES = {p.relative_to(ROOT): p.read_text(encoding="utf-8") for p in sorted((ROOT / "gpux").rglob("*.py"))}
ALL = "\n".join(SOURCES.values())


def page(name):
    return PAGES[f"docs/{name}.md"]


def every_command():
    """``(path, command)`` of the whole click tree."""

    def walk(command, path):
        yield path, command
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                yield from walk(command.get_command(context, name), (*path, name))

    return dict(walk(cli, ()))


def flags(command):
    return {o for p in command.params for o in (*p.opts, *p.secondary_opts)} | {"--help", "-h"}


TREE = every_command()
FLAGS = set().union(*map(flags, TREE.values()))
# Options of this repository's scripts and of pip, named by their own pages.
CHECK = (ROOT / "scripts" / "gpu_check").read_text(encoding="utf-8")
OTHER_FLAGS = {"--check", "--no-deps", "--no-build-isolation", *re.findall(r'"(--[a-z-]+)"', CHECK)}


def wrong(words):
    """What is wrong with a command line that a page names, or ``None``."""
    context, command = click.Context(cli), cli
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        if name.startswith("["):  # the usage line of a group
            return None
        if (found := wrong_name(command, name)) is not None:
            return found
        command = command.get_command(context, name)
    unknown = {w.partition("=")[0] for w in rest if re.fullmatch(r"--?[a-z][\w-]*(=.*)?", w)} - flags(command)
    return f"no option {', '.join(sorted(unknown))}" if unknown else None


def wrong_name(group, name):
    return None if group.get_command(click.Context(group), name) else f"no command {name}"


@pytest.mark.parametrize("name", PAGES)
def test_every_command_that_is_named_exists(name):
    found = {f"gpux {' '.join(words)}": wrong(words) for words in docs_pages.commands(PAGES[name])}
    assert not {line: why for line, why in found.items() if why}


def test_a_command_or_option_that_does_not_exist_is_noticed():
    text = (
        "`gpux pul x`\n\n```console\n$ gpux pull x --forse\n$ gpux exporter instal x\n$ gpux ls --json\n```\n"
    )
    assert [wrong(words) for words in docs_pages.commands(text)] == [
        "no option --forse",
        "no command instal",
        None,
        "no command pul",
    ]


@pytest.mark.parametrize("name", PAGES)
def test_every_option_that_is_named_exists(name):
    assert docs_pages.options(PAGES[name]) <= FLAGS | OTHER_FLAGS


def test_every_command_has_two_examples_and_each_is_right():
    for path, command in TREE.items():
        if path:
            text = (command.epilog or "").partition("Examples:")[2]
            lines = [line.strip() for line in text.splitlines() if line.strip()]
            assert len(lines) == 2, path
            for line in lines:
                for words in docs_pages.commands(f"```sh\n{line}\n```\n"):
                    assert wrong(words) is None, line


def test_the_command_reference_is_up_to_date():
    script = ROOT / "scripts" / "generate_docs"
    done = subprocess.run(
        [sys.executable, str(script), "--check"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "40"},
    )
    assert done.returncode == 0, done.stderr


def test_the_command_reference_has_every_command():
    headings = set(re.findall(r"^##+ gpux (.+)$", page("cli"), re.MULTILINE))
    assert headings == {" ".join(path) for path in TREE if path}
    assert {path[0] for path in TREE if path} == set(COMMANDS)


def test_every_variable_of_gpux_is_documented_and_no_other():
    read = set(re.findall(r"GPUX_[A-Z_]*[A-Z]", SOURCES[Path("gpux/settings.py")]))
    assert set(re.findall(r"`(GPUX_[A-Z_]*[A-Z])`", page("settings"))) == read
    for name, text in PAGES.items():
        assert set(re.findall(r"GPUX_[A-Z_]*[A-Z]", text)) <= read | {
            "GPUX_TEST_HOME",
            "GPUX_TEST_ANY_DEVICE",
        }, name


def test_every_variable_of_the_hub_is_documented_and_no_other():
    read = set(re.findall(r'environ(?:\.get\(|\[)"(H(?:F|UGGINGFACE)_[A-Z_]+)"', ALL)) | {"HF_HUB_OFFLINE"}
    told = set(re.findall(r"`(H(?:F|UGGINGFACE)_[A-Z_]+)`", page("settings")))
    assert told - {"HF_HUB_DISABLE_XET"} == read


def test_the_error_tree_is_that_of_the_code():
    pattern = re.compile(r"([│ ]*)[├└]── (\w+)")
    told = [(len(depth.strip("\n")) // 4, name) for depth, name in pattern.findall(_tree(page("errors")))]
    assert [name for _, name in told] == [name for _, name in _classes(errors.GpuxError)][1:]
    assert told == [(depth - 1, name) for depth, name in _classes(errors.GpuxError)][1:]


def _tree(text):
    lines = [line[4:] for line in text.splitlines() if line.startswith("    ") and "──" in line]
    return "\n".join(lines)


def _classes(kind, depth=0):
    yield depth, kind.__name__
    for inner in kind.__subclasses__():
        yield from _classes(inner, depth + 1)


def test_every_public_name_has_a_heading():
    headings = {h.replace("\\", "") for h in re.findall(r"^## gpux\.(\S+)$", page("python"), re.MULTILINE)}
    assert headings == set(gpux.__all__)


def test_every_parameter_of_the_public_functions_is_in_its_signature():
    for name in ("pull", "load", "plan", "benchmark", "install_exporter"):
        section = page("python").partition(f"## gpux.{name}\n")[2].partition("\n## ")[0]
        for parameter in inspect.signature(getattr(gpux, name)).parameters:
            assert re.search(rf"\b{parameter}\b", section), f"{name}: {parameter}"


def test_every_task_and_every_parameter_is_documented():
    sections = re.split(r"^## ([a-z0-9-]+)$", page("task-reference"), flags=re.MULTILINE)
    told = dict(zip(sections[1::2], sections[2::2], strict=True))
    assert set(told) == set(tasks.names())
    for name, text in told.items():
        for parameter in tasks.find(name).parameters:
            assert f"| `{parameter}` | " in text, (
                f"{name}: document `{parameter}` under Args of its answer or finish"
            )


def test_every_provider_and_every_extra_is_documented():
    with (ROOT / "pyproject.toml").open("rb") as stream:
        project = tomllib.load(stream)["project"]
    for name in project["entry-points"]["gpux.providers"]:
        assert f"| `{name}` |" in page("providers")
    for extra in project["optional-dependencies"]:
        assert f"| `{extra}` |" in page("install")


def test_the_torch_pin_is_that_of_pyproject():
    pin = re.search(r'"(torch==[\d.]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))[1]
    for name, text in PAGES.items():
        assert set(re.findall(r"torch==[\d.]*\d", text)) <= {pin}, name


@pytest.mark.parametrize("name", PAGES)
def test_every_relative_link_resolves(name):
    for link in docs_pages.links(PAGES[name]):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        path = ((ROOT / name).parent / target).resolve() if target else ROOT / name
        assert path.exists(), link
        if anchor:
            assert anchor in docs_pages.anchors(path.read_text(encoding="utf-8")), link


def test_every_page_that_a_message_names_is_there():
    for path, text in SOURCES.items():
        for name in re.findall(
            r"(?<![\w/])docs/[\w/]+\.md", text
        ):  # in an address, it is another project's page
            assert (ROOT / name).is_file(), f"{path} names {name}"


def test_every_file_that_a_page_names_is_there():
    # Paths in back-quotes that begin with a folder of this repository.
    pattern = re.compile(r"`((?:gpux|tests|scripts|docs|providers)/[\w/.]*\w/?)`")
    for name, text in PAGES.items():
        for path in pattern.findall(text):
            assert (ROOT / path).exists(), f"{name} names {path}"


def test_every_page_stands_in_the_table_of_contents():
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("nav:")[2]
    listed = set(re.findall(r"[\w/-]+\.md", nav))
    assert listed == {name.removeprefix("docs/") for name in PAGES if name.startswith("docs/")}


def test_the_changelog_begins_with_this_version():
    assert re.search(r"^## \[([\d.]+)\]", PAGES["CHANGELOG.md"], re.MULTILINE)[1] == gpux.__version__
