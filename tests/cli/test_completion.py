"""Shell completion: scripts that the shells accept, and offers by click's own protocol."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from command_line import NAME


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts(gpux_command, shell, tmp_path):
    done = gpux_command("completion", shell)
    assert done.code == 0
    assert "_GPUX_COMPLETE" in done.out
    assert gpux_command("completion", shell, "--json").record["script"].strip() == done.out.strip()
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not on this machine")
    (tmp_path / "script").write_text(done.out)
    subprocess.run([found, "-n", str(tmp_path / "script")], check=True)


OFFERS = {
    "commands": ("gpux ", {"pull", "run", "list", "doctor", "completion"}),
    "begun commands": ("gpux pr", {"prune", "providers"}),
    "subcommands": ("gpux exporter ", {"list", "install"}),
    "options": ("gpux run m --ben", {"--benchmark"}),
    "model to run": ("gpux run gt-", {NAME}),
    "model to show": ("gpux show gt-", {NAME}),
    "models to remove": ("gpux rm gt-", {NAME}),
    "models to verify": ("gpux verify gt-", {NAME}),
    "model to copy": ("gpux cp gt-", {NAME}),
    "model to explain": ("gpux why gt-", {NAME}),
    "providers": ("gpux run m --provider ", {"auto", "cpu", "null"}),
    "forms": ("gpux run m --format ", {"table", "json", "csv", "md"}),
    "qualities": ("gpux why m --quality ", {"exact", "near", "any"}),
    "exporters": ("gpux pull m --exporter t", {"transformers"}),
    "shells": ("gpux completion z", {"zsh"}),
}


def offered(gpux_command, line, **env):
    words = line.split(" ")
    protocol = {"_GPUX_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = gpux_command(env={**protocol, **env})
    assert (done.code, done.err) == (0, "")
    return {value for kind, _, value in (text.partition(",") for text in done.out.split()) if kind == "plain"}


@pytest.mark.parametrize("what", OFFERS)
def test_offers(gpux_command, what):
    line, expected = OFFERS[what]
    assert expected <= offered(gpux_command, line)


def test_a_broken_store_offers_nothing_and_says_nothing(gpux_command, tmp_path):
    (tmp_path / "index").write_text("not a folder")
    assert offered(gpux_command, "gpux run ", GPUX_HOME=str(tmp_path)) == set()
    assert offered(gpux_command, "gpux run m --provider ", GPUX_HOME=os.devnull) >= {"cpu"}
