"""``gpux tune`` on the real MiniLM with the CPU provider: what it prints, keeps, forgets and refuses."""

from __future__ import annotations

import json
import sys

import pytest
from command_line import NAME

QUICK = ("tune", NAME, "--provider", "cpu", "--budget", "3s")


def test_the_table_fits_and_auto_follows(gpux_command, own_store):
    done = gpux_command(*QUICK, env={**own_store, "COLUMNS": "120"})
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0].split() == ["CANDIDATE", "PROOF", "PER", "SENTENCE", "AGAINST", "THE", "FIRST"]
    assert lines[1].startswith("1  cpu fp32 ")
    assert max(map(len, lines)) <= 120
    assert " runs as cpu fp32 " in done.err
    why = gpux_command("why", NAME, "--json", env=own_store).record
    assert why["reason"].startswith("won a race for latency: ")
    forgotten = gpux_command("tune", NAME, "--forget", "--json", env=own_store).record
    assert forgotten == {"model": NAME, "forgotten": True}
    again = gpux_command("tune", NAME, "--forget", env=own_store)
    assert again.out == f"{NAME}: nothing was measured here\n"
    assert "race" not in gpux_command("why", NAME, "--json", env=own_store).record["reason"]


def test_a_narrow_terminal_gets_lines_that_fit(gpux_command, own_store):
    done = gpux_command(*QUICK, "--no-keep", "two words", env={**own_store, "COLUMNS": "44"})
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert max(map(len, lines)) <= 44
    assert lines[0].startswith("1  cpu fp32 ")
    assert lines[1].startswith("   proof exact; ")
    assert "nothing was remembered" in done.err
    assert gpux_command("tune", NAME, "--forget", env=own_store).out.endswith("nothing was measured here\n")


def test_memory_and_its_record(gpux_command, own_store, tmp_path):
    path = tmp_path / "race.json"
    done = gpux_command(*QUICK, "--goal", "memory", "--json", "--output", path, env=own_store)
    assert done.code == 0, done.err
    assert done.err == ""
    record = done.record
    assert (record["goal"], record["unit"], record["items"]) == ("memory", "B", 1)
    assert 50 << 20 < record["entries"][0]["figure"] < 2 << 30
    assert json.loads(path.read_text(encoding="utf-8")) == record
    assert record["entries"][0]["share"] == 1.0


@pytest.mark.parametrize(
    ("arguments", "code", "message", "hint"),
    [
        (("--goal", "fast"), 2, "there is no goal `fast`", "goals are latency, throughput, memory"),
        (("--quality", "good"), 2, "quality `good` is none of exact, near, any", "use --quality near"),
        (("--budget", "soon"), 2, "`soon` is no duration", "write it like 10s, 500ms or 2m"),
        (("--budget", "0"), 2, "a budget cannot be `0.0`", "give seconds from 1 to 86400"),
        (("--provider", "cpuu"), 2, "there is no provider `cpuu` in this installation", "did you mean `cpu`"),
        (("--output", "race.csv"), 2, "`race.csv` does not end in .json", "--output race.json"),
        (("--input", "[]"), 2, "--input holds no inputs", 'write --input \'["a text", "another"]\''),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(
    gpux_command, own_store, arguments, code, message, hint
):
    assert gpux_command("tune", NAME, *arguments, env=own_store).refused(code) == (message, hint)


def test_a_variant_that_is_not_stored_and_an_item_of_the_wrong_kind(gpux_command, own_store):
    message, _ = gpux_command("tune", NAME, "--variant", "fp17", env=own_store).refused(2)
    assert "fp17" in message
    done = gpux_command("tune", NAME, "--input", "[42]", env=own_store)
    assert done.code != 0
    assert "Traceback" not in done.err


LIBRARY = """
import json, sys, time
import gpux
from gpux.errors import GpuxError
begun = time.monotonic()
race = gpux.tune(sys.argv[1], providers=["cpu"], short=True)
found = [race.candidate.provider, race.entries[0].figure, race.entries[0].reason, race.kept, race.certain, race.seconds]
for inputs in ([], [object()]):
    try:
        gpux.tune(sys.argv[1], inputs, providers=["cpu"])
    except GpuxError as error:
        found.append(error.message.partition(":")[0])
print(json.dumps(found))
"""


def test_a_single_candidate_in_a_short_race_costs_nothing(gpux_command, own_store):
    import subprocess

    from command_line import environment

    done = subprocess.run(
        [sys.executable, "-c", LIBRARY, NAME],
        env=environment(own_store),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    provider, figure, reason, kept, certain, seconds, *refusals = json.loads(done.stdout)
    assert (provider, figure, kept, certain) == ("cpu", None, False, True)
    assert reason == "the only candidate that is proven well enough; nothing was measured"
    assert seconds < 3
    assert refusals[0] == "an empty list leaves nothing to measure"
    assert len(refusals) == 2
