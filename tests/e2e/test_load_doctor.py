"""What the doctor finds, on machines that really are in that state."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

NOBODY = "http://127.0.0.1:9"
HUB = {"HF_ENDPOINT": NOBODY, "PIP_INDEX_URL": f"{NOBODY}/simple"}


def look(tmp_path: Path, *, prefix: tuple[str, ...] = (), code: int = 0, **env: str):
    """Every check by its subject, from a process with these variables."""
    proxies = {
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
        "gpux_offline",
        "hf_hub_offline",
        "gpux_threads",
        "omp_num_threads",
        "pip_proxy",
        "pip_no_index",
    }
    kept = {name: value for name, value in os.environ.items() if name.lower() not in proxies}
    variables = {**kept, "GPUX_HOME": str(tmp_path / "home"), **HUB, **env}
    command = [*prefix, sys.executable, "-m", "gpux", "doctor", "--json"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return {check["subject"]: check for check in json.loads(done.stdout)}


def test_a_sound_machine(tmp_path):
    found = look(tmp_path, OMP_NUM_THREADS="1")
    assert {
        found[s]["state"] for s in ("python", "runtime", "provider cpu", "threads", "exporter", "store")
    } == {"ok"}
    assert (tmp_path / "home").is_dir()
    left = {path.name for path in (tmp_path / "home").iterdir()}
    assert left == {"machine"}, "what providers found is remembered, and nothing else is left"


def test_two_runtimes_in_one_environment(tmp_path):
    info = tmp_path / "packages" / "onnxruntime_gpu-1.31.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: onnxruntime-gpu\nVersion: 1.31.1\n")
    check = look(tmp_path, code=1, PYTHONPATH=str(tmp_path / "packages"))["runtime"]
    assert check["state"] == "fail"
    assert "onnxruntime-gpu 1.31.1" in check["finding"]
    assert check["remedy"].startswith("pip uninstall -y onnxruntime onnxruntime-gpu")


def test_a_plug_in_for_another_runtime(tmp_path):
    info = tmp_path / "packages" / "onnxruntime_ggml-0.2.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: onnxruntime-ggml\nVersion: 0.2.0\nRequires-Dist: onnxruntime<1.1\n"
    )
    check = look(tmp_path, code=1, PYTHONPATH=str(tmp_path / "packages"))["plug-in"]
    assert (check["state"], check["remedy"]) == ("fail", "pip install 'onnxruntime<1.1'")


def test_plug_ins_are_no_second_runtime(tmp_path):
    for name in ("onnxruntime-ep-openvino", "onnxruntime-genai", "onnxruntime-toy"):
        info = tmp_path / "packages" / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        if name == "onnxruntime-toy":  # known by its files alone
            (info / "RECORD").write_text("onnxruntime_toy/__init__.py,,\n")
    assert look(tmp_path, PYTHONPATH=str(tmp_path / "packages"))["runtime"]["state"] == "ok"


def test_no_runtime(tmp_path):
    """An environment with everything but ONNX Runtime."""
    import sysconfig

    directory = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(directory)], check=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(directory)}))
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith("onnxruntime") and not (packages / entry.name).exists():
            (packages / entry.name).symlink_to(entry)
    command = [str(directory / "bin" / "python"), "-m", "gpux", "doctor", "--json"]
    env = {**os.environ, **HUB, "GPUX_HOME": str(tmp_path / "home")}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    found = {check["subject"]: check for check in json.loads(done.stdout)}
    assert found["runtime"]["remedy"] == "pip install 'gpux[cpu]'"
    assert found["provider cpu"]["state"] == "fail"
    assert "gpux[cpu]" in found["provider cpu"]["remedy"]


def test_a_store_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    check = look(tmp_path, code=1, GPUX_HOME=str(tmp_path / "file" / "home"))["store"]
    assert check["state"] == "fail"
    assert "GPUX_HOME" in check["remedy"]


def test_offline_is_a_note(tmp_path):
    check = look(tmp_path, GPUX_OFFLINE="1")["hub"]
    assert check["state"] == "note"
    assert "GPUX_OFFLINE" in check["remedy"]


@pytest.mark.parametrize(
    "endpoint", ["http://127.0.0.1:9", "http://127.0.0.1:99999", "http://no.such.host.invalid"]
)
def test_a_hub_out_of_reach_is_a_note(tmp_path, endpoint):
    check = look(tmp_path, HF_ENDPOINT=endpoint)["hub"]
    assert check["state"] == "note"
    assert endpoint in check["finding"]


@pytest.mark.parametrize("address", [f"{NOBODY}/simple", "http://no.such.index.invalid/simple"])
def test_an_index_out_of_reach_is_a_note(tmp_path, address):
    check = look(tmp_path, PIP_INDEX_URL=address.replace("//", "//user:secret@"))["index"]
    assert check["state"] == "note"
    assert check["finding"].startswith(f"{address} is out of reach: ")
    assert check["remedy"].startswith("pip config debug")


def test_an_index_as_pips_own_file_names_it(tmp_path):
    (tmp_path / "pip.conf").write_text(f"[global]\nindex-url = {NOBODY}/mine\n[install]\nindex-url = x\n")
    kept = {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf"), "PIP_INDEX_URL": ""}
    assert f"{NOBODY}/mine is out of reach" in look(tmp_path, **kept)["index"]["finding"]
    folder = (tmp_path / "simple").as_uri()
    assert "no such folder" in look(tmp_path, PIP_INDEX_URL=folder)["index"]["finding"]
    (tmp_path / "simple").mkdir()
    assert look(tmp_path, PIP_INDEX_URL=folder)["index"]["state"] == "ok"


def test_an_index_that_answers_with_and_without_a_proxy(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert look(tmp_path, PIP_INDEX_URL=f"{url}/simple")["index"]["state"] == "ok"
        away = {"PIP_INDEX_URL": "http://index.invalid/simple"}
        for proxy in ({"PIP_PROXY": url}, {"http_proxy": url.replace("//", "//user:secret@")}):
            through = look(tmp_path, **away, **proxy)["index"]
            assert (through["state"], through["finding"]) == ("ok", f"the proxy {url} answers")


def test_no_index_and_offline(tmp_path):
    check = look(tmp_path, PIP_NO_INDEX="1")["index"]
    assert (check["state"], "unset PIP_NO_INDEX" in check["remedy"]) == ("note", True)
    assert look(tmp_path, GPUX_OFFLINE="1")["index"]["state"] == "ok"


def test_a_setting_that_is_wrong_fails_the_looks_that_need_it_and_no_other(tmp_path):
    found = look(tmp_path, code=1, GPUX_OFFLINE="maybe")
    assert {found[name]["state"] for name in ("index", "hub")} == {"fail"}
    assert (found["hub"]["remedy"], found["runtime"]["state"]) == ("set GPUX_OFFLINE=1 or unset it", "ok")


def test_an_address_that_never_answers_is_given_up(tmp_path):
    """A server that accepts nothing: its queue is full, so that the next connection waits."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, contextlib.ExitStack() as full:
        address = server.getsockname()
        for _ in range(3):
            waiting = full.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        check = look(tmp_path, HF_ENDPOINT=f"http://127.0.0.1:{address[1]}")["hub"]
    if check["state"] == "ok":
        pytest.skip("this system's queue of connections is longer than it was asked to be")
    assert re.search(r"out of reach: (no answer in 3 s|timed out)", check["finding"])


def test_an_endpoint_that_is_no_address(tmp_path):
    check = look(tmp_path, code=1, HF_ENDPOINT="nonsense")["hub"]
    assert (check["state"], check["finding"]) == ("fail", "`nonsense` is no address")


def test_a_hub_that_answers_with_and_without_a_proxy(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert look(tmp_path, HF_ENDPOINT=url)["hub"]["state"] == "ok"
        proxy = url.replace("//", "//user:secret@")
        through = look(tmp_path, HF_ENDPOINT="http://hub.invalid", http_proxy=proxy)["hub"]
        assert (through["state"], through["finding"]) == ("ok", f"the proxy {url} answers")
        past = look(tmp_path, HF_ENDPOINT=url, http_proxy="http://proxy.invalid:3128", no_proxy="127.0.0.1")[
            "hub"
        ]
        assert past["state"] == "ok"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no processor affinity")
def test_cores_are_those_that_the_process_may_use(tmp_path):
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("this machine lets the tests use one core only")
    core = str(min(os.sched_getaffinity(0)))
    found = look(tmp_path, prefix=("taskset", "-c", core), GPUX_THREADS="2")["threads"]
    assert found["state"] == "note"
    assert "may use 1 of" in found["finding"]
    assert found["remedy"] == "export GPUX_THREADS=1"


def test_an_exporter_that_lacks_its_packages(tmp_path):
    directory = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(directory)], check=True)
    found = look(tmp_path, code=1, GPUX_EXPORTER_PYTHON=str(directory / "bin" / "python"))["exporter"]
    assert (found["state"], "lacks torch, transformers" in found["finding"]) == ("fail", True)
    gone = look(tmp_path, code=1, GPUX_EXPORTER_PYTHON=str(tmp_path / "none"))["exporter"]
    assert "which is not there" in gone["finding"]
