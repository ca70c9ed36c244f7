"""Several processes at once: one pull does the work, and whoever removes never leaves half an artifact to whoever runs."""

from __future__ import annotations

import json
import subprocess
import sys
import threading

import pytest
import small

import gpux

# Does one thing again and again for some seconds, and counts how it ended; anything but a GpuxError is a traceback.
LOOP = """
import collections, json, sys, time
import gpux
from gpux.errors import GpuxError
way, repo, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
def pull(): gpux.pull(repo)
def force(): gpux.pull(repo, force=True)
def remove():
    store = gpux.Store(); store.remove(store.plan_removal([repo])); time.sleep(0.02)
def prune():
    store = gpux.Store(); store.remove(store.plan_prune(older_than=0.2)); time.sleep(0.02)
def listed():
    store = gpux.Store()
    for digest in store.digests(): store.size(digest)
    for entry in store.entries():
        try: store.read(entry.digest)
        except gpux.errors.ArtifactNotFound: pass
def run():
    with gpux.load("small-model") as model: assert model.encode("w2").shape == (8,)
ended, deadline = collections.Counter(), time.monotonic() + seconds
while time.monotonic() < deadline:
    try:
        {"pull": pull, "force": force, "remove": remove, "prune": prune, "list": listed, "run": run}[way]()
        ended["done"] += 1
    except GpuxError as error:
        assert error.hint, error
        ended[f"{type(error).__name__}: {error.message}"] += 1
print(json.dumps(ended))
"""


def together(*ways, repo, home, seconds):
    started = [
        subprocess.Popen(
            [sys.executable, "-c", LOOP, way, str(repo), str(seconds)],
            env=small.surroundings(home, GPUX_OFFLINE="1"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for way in ways
    ]  # fmt: skip
    ended = []
    for way, process in zip(ways, started, strict=True):
        out, told = process.communicate(timeout=120)
        assert process.returncode == 0, f"{way}: {told}"
        ended.append(json.loads(out))
    return ended


def clean(home):
    small.whole(home)
    store = gpux.Store(home)
    store.remove(store.plan_prune())
    assert list(store.temporary.iterdir()) == []
    assert store.strays() == store.broken() == []
    assert set(store.digests()) == {entry.digest for entry in store.entries()}


def test_eight_pulls_at_once_do_the_work_once(repo, empty_store):
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "gpux", "pull", str(repo), "--json"],
            env=small.surroundings(empty_store), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(8)
    ]  # fmt: skip
    results = [process.communicate(timeout=120) for process in started]
    assert [process.returncode for process in started] == [0] * 8, results
    records = [json.loads(out) for out, _ in results]
    assert len({record["digest"] for record in records}) == 1
    assert sum(any(stage.startswith("prove") for stage in record["seconds"]) for record in records) == 1
    assert len(gpux.Store().digests()) == 1
    clean(empty_store)


def test_pulling_removing_and_running_at_once(repo, empty_store):
    pulled, removed, ran, listed = together(
        "pull", "remove", "run", "list", repo=repo, home=empty_store, seconds=6
    )
    assert pulled["done"] >= 2
    assert set(pulled) == {"done"}
    assert removed["done"] >= 2
    assert all(e.startswith(("done", "ArtifactNotFound: no stored")) for e in removed), removed
    told = (
        "done",
        "ArtifactNotFound",
        "CorruptArtifact",
        "RunFailed",
        "ModelNotFound",
        "AccessDenied",
        "NetworkFailed",
        "OfflineMiss",
    )
    assert all(e.startswith(told) for e in ran), ran
    assert set(listed) == {"done"}
    clean(empty_store)
    assert gpux.pull(str(repo)).certificate.quality == "exact"


def test_pulling_anew_and_pruning_at_once(repo, empty_store):
    pulled, forced, pruned, again = together(
        "pull", "force", "prune", "prune", repo=repo, home=empty_store, seconds=5
    )
    assert set(pulled) == set(forced) == set(pruned) == set(again) == {"done"}, (
        pulled,
        forced,
        pruned,
        again,
    )
    clean(empty_store)


def test_two_names_are_pulled_side_by_side(repo, empty_store, tmp_path):
    other = small.write(tmp_path / "other-model")
    failures = []

    def pull(path):
        try:
            gpux.pull(str(path))
        except gpux.errors.GpuxError as error:
            failures.append(error)

    threads = [threading.Thread(target=pull, args=(path,)) for path in (repo, other) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert small.whole(empty_store) == 2


def test_many_hands_at_one_name(stored):
    store, seen, stop = gpux.Store(), set(), threading.Event()

    def point():
        for _ in range(40):
            store.point("alias", stored.digest)

    def look():
        while not stop.is_set():
            entry = store.named("alias")
            seen.add(entry.digest if entry else None)

    store.point("alias", stored.digest)
    reader = threading.Thread(target=look)
    reader.start()
    writers = [threading.Thread(target=point) for _ in range(4)]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    reader.join()
    assert seen == {stored.digest}
    assert store.strays() == []


@pytest.mark.parametrize("way", ["find", "load"])
def test_an_artifact_that_goes_between_look_and_open(stored, way):
    store = gpux.Store()
    entry = store.find("small-model")
    store.remove(store.plan_removal(["small-model"]))
    with pytest.raises(gpux.errors.GpuxError) as caught:
        store.read(entry.digest) if way == "find" else gpux.load(stored)
    assert caught.value.hint
