"""Pulls with the real command from a Hub on loopback: what a user reads and types, and what the store holds afterwards."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from server import TOKEN, HubServer

FILES = ("config.json", "modules.json", "tokenizer.json", "tokenizer_config.json", "1_Pooling/config.json")


@pytest.fixture
def hub():
    with HubServer() as server:
        yield server


@pytest.fixture
def files(minilm) -> dict[str, bytes | Path]:
    """A repository that holds the real MiniLM as ONNX, as sentence-transformers' own do."""
    found = {name: minilm.directory / name for name in FILES if (minilm.directory / name).exists()}
    return {**found, "onnx/model.onnx": minilm.directory / "fp32" / "model.onnx"}


@pytest.fixture
def gpux_command(hub, tmp_path):
    def run(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
        dropped = {
            "http_proxy",
            "https_proxy",
            "all_proxy",
            "hf_token",
            "hf_token_path",
            "hf_hub_cache",
            "gpux_offline",
            "hf_hub_offline",
        }
        kept = {name: value for name, value in os.environ.items() if name.lower() not in dropped}
        own = {
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(tmp_path / "hf"),
            "GPUX_HOME": str(tmp_path / "home"),
            "GPUX_NETWORK_TIMEOUT": "2",
        }
        command = [sys.executable, "-m", "gpux", *words]
        return subprocess.run(
            command, env={**kept, **own, **env}, capture_output=True, text=True, check=False
        )

    return run


def test_from_the_hub_to_answers_and_again_without_it(gpux_command, hub, files):
    hub.add_repo(
        "org/MiniLM-Some-Name", files, pipeline_tag="sentence-similarity", card={"license": "apache-2.0"}
    )
    planned = gpux_command("pull", "org/MiniLM-Some-Name", "--dry-run", "--json")
    assert json.loads(planned.stdout)["routes"] == ["ready"], planned.stderr
    assert not hub.downloads("model.onnx")

    pulled = gpux_command("pull", "org/MiniLM-Some-Name")
    assert pulled.returncode == 0, pulled.stderr
    assert "proof     fp32 is exact" in pulled.stdout
    assert 'next      gpux run MiniLM-Some-Name "your text"' in pulled.stderr
    assert "download" in pulled.stderr

    hub.forget()
    again = gpux_command("pull", "org/MiniLM-Some-Name")
    assert again.returncode == 0, again.stderr
    assert "stored already" in again.stdout or "store 0." in again.stdout
    run = gpux_command("run", "MiniLM-Some-Name", "a text", "--json", GPUX_OFFLINE="1")
    assert len(json.loads(run.stdout)["results"][0]["output"]) == 384, run.stderr
    assert hub.requests == []
    shown = json.loads(gpux_command("show", "MiniLM-Some-Name", "--json").stdout)
    assert shown["source"]["license"] == "apache-2.0"
    assert shown["source"]["reference"] == "org/MiniLM-Some-Name"


def test_run_pulls_what_is_not_stored(gpux_command, hub, files):
    hub.add_repo("org/model", files, pipeline_tag="sentence-similarity")
    done = gpux_command("run", "org/model", "a text", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["model"] == "org/model"


def test_a_revision_is_a_model_of_its_own(gpux_command, hub, files):
    hub.add_repo(
        "org/model",
        files,
        revisions={"v1": {**files, "README.md": b"---\nlicense: mit\n---\n"}},
        pipeline_tag="sentence-similarity",
    )
    assert gpux_command("pull", "org/model@v1").returncode == 0
    assert gpux_command("pull", "org/model", "--revision", "main").returncode == 0
    names = [entry["name"] for entry in json.loads(gpux_command("list", "--json").stdout)]
    assert sorted(names) == ["org/model@main", "org/model@v1"]


TROUBLES = {
    "unknown": (["pull", "org/nothing"], "org/nothing", ""),
    "revision": (["pull", "org/model", "--revision", "v9"], "v9", ""),
    "private": (["pull", "org/private"], "org/private", "token"),
    "gated": (["pull", "org/gated"], "org/gated", "/org/gated"),
    "wrong token": (["pull", "org/model", "--token", "hf_wrong"], "(401)", "token"),
    "offline": (["pull", "org/model", "--offline"], "offline", "gpux pull org/model"),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_troubles_end_in_a_sentence_and_a_hint(gpux_command, hub, trouble):
    small: dict[str, bytes | Path] = {
        "config.json": b'{"architectures": ["BertModel"], "model_type": "bert"}',
        "model.safetensors": b"x" * 9,
    }
    for name, wishes in {
        "org/model": {},
        "org/private": {"private": True},
        "org/gated": {"gated": True},
    }.items():
        hub.add_repo(name, small, **wishes)
    words, said, hinted = TROUBLES[trouble]
    done = gpux_command(*words)
    assert (done.returncode, done.stdout) == (1, "")
    sentence, _, hint = done.stderr.partition("error: ")[2].partition("\n\nhint: ")
    assert said in sentence
    assert hint.strip()
    assert hinted in hint
    assert "Traceback" not in done.stderr
    assert "hf_wrong" not in done.stderr


def test_a_token_opens_a_private_model(gpux_command, hub, files):
    hub.add_repo("org/private", files, private=True, pipeline_tag="sentence-similarity")
    assert gpux_command("pull", "org/private", HF_TOKEN=TOKEN).returncode == 0
    assert gpux_command("pull", "org/private", "--force", "--token", TOKEN).returncode == 0


def test_a_flaky_hub_is_borne(gpux_command, hub, files):
    hub.add_repo("org/model", files, pipeline_tag="sentence-similarity")
    hub.fail("model.onnx", cut=100_000)
    done = gpux_command("pull", "org/model", "--json")
    assert done.returncode == 0, done.stderr
    assert any(asked for asked in hub.downloads("model.onnx"))


def test_a_local_folder_of_a_misleading_name(gpux_command, minilm, tmp_path):
    source = tmp_path / "distilbert-sst2-text-classification"
    shutil.copytree(minilm.directory, source, ignore=shutil.ignore_patterns("manifest.json", "proof"))
    done = gpux_command("pull", str(source), "--exporter", "ready", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["task"] == "sentence-similarity"
