"""Races in real processes against providers that crash, hang, fail, starve or lie: each ends in a plan or a clear error."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import paced_provider
import pytest
import small

FAST, SLOW = {"pace": 0.004}, {"pace": 0.012}
PLAIN = ("--json", "--budget", "4s")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return tmp_path / "site"


@pytest.fixture
def home(stored: Any) -> Path:
    return Path(os.environ["GPUX_HOME"])


@pytest.fixture
def tune(site: Path, home: Path, repo: Path) -> Any:
    """Run ``gpux tune`` on the small model with the providers of ``site``; gives the seconds that it took too."""

    def run(*arguments: str, **environment: str) -> tuple[subprocess.CompletedProcess[str], float]:
        begun = time.monotonic()
        done = small.gpux("tune", repo, *arguments, home=home, PYTHONPATH=str(site), **environment)
        assert small.gone(home)
        return done, time.monotonic() - begun

    return run


def only(*names: str) -> list[str]:
    return [word for name in names for word in ("--provider", name)]


def told(record: dict[str, Any]) -> dict[str, tuple[float | None, str]]:
    """Provider → figure and reason of its first candidate."""
    found: dict[str, tuple[float | None, str]] = {}
    for one in record["entries"]:
        found.setdefault(one["candidate"]["provider"], (one["figure"], one["reason"]))
    return found


def plan(site: Path, home: Path, repo: Path) -> dict[str, Any]:
    done = small.gpux("why", repo, "--json", home=home, PYTHONPATH=str(site), check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_fastest_wins_and_is_followed_until_a_version_changes(tune, site, home, repo, tmp_path):
    paced_provider.install(site, fast=FAST | {"rank": 40}, slow=SLOW | {"rank": 60})
    assert plan(site, home, repo)["provider"] == "slow"
    done, seconds = tune(*PLAIN, *only("fast", "slow"), "--output", str(tmp_path / "race.json"))
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["entries"][0]["candidate"]["provider"] == "fast"
    assert record["winner"].startswith("fast fp32 ")
    assert record["kept"]
    assert 0.004 <= record["entries"][0]["figure"] < 0.012 <= told(record)["slow"][0]
    assert seconds < 4 + 8  # proofs of two candidates and the start of Python come on top
    saved = json.loads((tmp_path / "race.json").read_text(encoding="utf-8"))
    assert saved == record
    assert [len(turn) for turn in saved["entries"][0]["samples"]]
    assert sum(map(len, saved["entries"][0]["samples"])) == saved["entries"][0]["runs"]
    chosen = plan(site, home, repo)
    assert (chosen["provider"], chosen["threads"]) == ("fast", record["entries"][0]["candidate"]["threads"])
    assert chosen["reason"] == record["reason"]
    assert any(one["provider"] == "slow" and "× slower" in one["reason"] for one in chosen["rejected"])
    answered = small.gpux("run", repo, "w2 w3", "--json", home=home, PYTHONPATH=str(site), check=True)
    assert json.loads(answered.stdout)["provider"] == "fast"
    paced_provider.install(site, version="1.1", fast=FAST | {"rank": 40}, slow=SLOW | {"rank": 60})
    assert plan(site, home, repo)["provider"] == "slow"


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"then": "crash", "after": 30}, "its process crashed with SIGSEGV"),
        ({"then": "fail"}, "the device was lost"),
        ({"then": "fail", "after": 30}, "its runs failed one after the other"),
        ({"open": "memory"}, "CUDA out of memory: 2.00 GiB asked for, 1.25 GiB free"),
        ({"then": "starve"}, "its process ran out of memory"),
    ],
    ids=["crash", "fails", "fails later", "device memory", "memory"],
)
def test_what_goes_wrong_with_one_leaves_the_race_to_the_others(tune, site, wrong, reason):
    paced_provider.install(site, bad={"pace": 0.001} | wrong, good=SLOW)
    done, seconds = tune("--json", "--budget", "2s", *only("bad", "good"))
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["winner"].startswith("good fp32")
    assert told(record)["bad"] == (None, reason)
    assert seconds < 2 + 8


def test_one_that_hangs_in_a_turn_is_given_up_in_time(tune, site):
    paced_provider.install(site, bad={"pace": 0.001, "then": "hang", "after": 30}, good=SLOW)
    done, seconds = tune("--json", "--budget", "2s", *only("bad", "good"), GPUX_WORKER_STALL="3")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["winner"].startswith("good fp32")
    assert told(record)["bad"][1].startswith("it hung, and was ended after ")
    assert seconds < 2 + 6 + 8


def test_one_that_hangs_while_it_opens_is_given_up(tune, site):
    paced_provider.install(site, bad={"open": "hang", "rank": 90}, good=SLOW)
    done, seconds = tune("--json", "--budget", "2s", *only("bad", "good"), GPUX_WORKER_STALL="3")
    record = json.loads(done.stdout)
    assert record["winner"].startswith("good fp32")
    assert told(record)["bad"][1].startswith("it hung, and was ended after ")
    assert seconds < 2 + 6 + 8


def test_where_everything_fails_the_error_has_the_reason(tune, site, home):
    paced_provider.install(site, bad={"then": "fail"}, worse={"then": "crash"})
    done, _ = tune("--budget", "2s", *only("bad", "worse"))
    assert done.returncode == 1
    assert "error: no candidate could be measured; bad fp32" in done.stderr
    assert "the device was lost\n\nhint: look at dmesg" in done.stderr
    assert not list(home.rglob("choice.json"))


def test_a_budget_that_is_too_small_says_so(tune, site):
    paced_provider.install(site, slow={"pace": 0.3}, good=SLOW)
    done, _ = tune("--budget", "0.2s", *only("slow", "good"))
    assert done.returncode == 2
    assert "error: a budget of 0.2 s let " in done.stderr
    assert "hint: give --budget 10s or more" in done.stderr


def test_two_at_once_take_turns_and_leave_one_choice(site, home, repo):
    paced_provider.install(site, fast=FAST, slow=SLOW)
    command = [sys.executable, "-m", "gpux", "tune", str(repo), "--budget", "2s", *only("fast", "slow")]
    small.gpux(
        "tune", repo, "--budget", "2s", *only("fast", "slow"), home=home, PYTHONPATH=str(site), check=True
    )
    variables = small.surroundings(home, PYTHONPATH=str(site))
    both = [
        subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [one.communicate(timeout=60) for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert sum("waiting for another race on this machine" in err for _, err in said) == 1
    assert len(list(home.rglob("choice.json"))) == 1
    assert plan(site, home, repo)["provider"] == "fast"
    assert small.gone(home)


def test_ctrl_c_ends_the_children_and_stores_nothing(site, home, repo):
    paced_provider.install(site, fast=FAST, slow=SLOW)
    command = [sys.executable, "-m", "gpux", "tune", str(repo), "--budget", "60s", *only("fast", "slow")]
    running = subprocess.Popen(
        command,
        env=small.surroundings(home, PYTHONPATH=str(site)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    for line in running.stderr:
        if "round 1" in line:
            break
    assert len(small.processes(home)) >= 3
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=10)
    assert running.returncode == 130, err
    assert out == ""
    assert err.endswith("stopped\n")
    assert small.gone(home)
    assert not list(home.rglob("choice.json"))


def test_numbers_that_are_none_never_race(tune, site):
    """A provider that answers NaN fails its proof, which runs before the race."""
    paced_provider.install(site, good=SLOW, bad=FAST)
    module = site / "gpux_paced.py"
    text = module.read_text(encoding="utf-8")
    module.write_text(
        text.replace(
            "return Opened(self.name, read_graph(graph), {})",
            "return Opened(self.name, read_graph(graph), {'then': 'nan'} if self.name == 'bad' else {})",
        ),
        encoding="utf-8",
    )
    done, _ = tune("--json", "--budget", "2s", *only("bad", "good"))
    record = json.loads(done.stdout)
    assert record["winner"].startswith("good")
    assert [one["provider"] for one in record["refused"]] == ["bad"]
    assert "is not finite on a probe of " in record["refused"][0]["reason"]


def test_a_store_that_cannot_be_written_is_told_before_anything_is_measured(site, home, repo, mount):
    paced_provider.install(site, fast=FAST)
    small.gpux(
        "tune",
        repo,
        "--budget",
        "2s",
        "--no-keep",
        *only("fast"),
        home=home,
        PYTHONPATH=str(site),
        check=True,
    )
    frozen = mount("frozen", bind=home)
    done = small.gpux("tune", repo, "--budget", "2s", *only("fast"), home=frozen, PYTHONPATH=str(site))
    assert done.returncode == 1
    assert "the file system is read-only" in done.stderr
    assert "or add --no-keep" in done.stderr
    assert "race:" not in done.stderr
    done = small.gpux(
        "tune", repo, "--budget", "2s", "--no-keep", *only("fast"), home=frozen, PYTHONPATH=str(site)
    )
    assert done.returncode == 0, done.stderr
    assert "nothing was remembered" in done.stderr
