"""Bad luck on the way to the Hub: cuts, stalls, errors, limits, proxies, full and read-only caches."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from gpux import sources
from gpux.errors import InvalidSetting, NetworkFailed, SourceError, StoreUnwritable
from gpux.reference import parse
from gpux.sources import Wants

WEIGHTS = os.urandom(300_000)
FILES = {"config.json": b"{}", "model.safetensors": WEIGHTS}
WEIGHTS_ONLY = Wants(weights=True)


def pull(text="org/name", wants=WEIGHTS_ONLY, **options):
    return sources.fetch(sources.look(parse(text)), wants=wants, **options)


def weights(snapshot) -> bytes:
    return (snapshot.directory / "model.safetensors").read_bytes()


def test_a_cut_connection_goes_on_where_it_stopped(hub):
    hub.add_repo("org/name", FILES)
    hub.fail("model.safetensors", cut=100_000)
    assert weights(pull()) == WEIGHTS
    assert hub.downloads("model.safetensors") == [None, "bytes=100000-"]


def test_a_half_open_connection_is_given_up_and_goes_on_where_it_stopped(hub):
    hub.add_repo("org/name", FILES)
    hub.fail("model.safetensors", stall=70_000)
    start = time.monotonic()
    assert weights(pull()) == WEIGHTS
    assert time.monotonic() - start < 10
    assert hub.downloads("model.safetensors") == [None, "bytes=70000-"]


def test_a_server_that_never_answers_again_ends_in_an_error_and_the_next_run_goes_on(hub):
    hub.add_repo("org/name", FILES)
    listing = sources.look(parse("org/name"))
    hub.fail("model.safetensors", stall=90_000)
    hub.fail("model.safetensors", stall=0, times=5)
    with pytest.raises(NetworkFailed, match="stopped answering") as caught:
        sources.fetch(listing, wants=Wants(weights=True))
    assert "goes on where it stopped" in caught.value.hint
    hub.faults.clear()
    hub.forget()
    assert weights(pull()) == WEIGHTS
    assert hub.downloads("model.safetensors") == ["bytes=90000-"]


def test_server_errors_are_tried_again(hub):
    hub.add_repo("org/name", FILES)
    hub.fail("/api/models/org/name", status=503, times=2)
    hub.fail("config.json", status=500)
    hub.fail("model.safetensors", status=502)
    assert weights(pull()) == WEIGHTS


def test_server_errors_that_stay_end_in_an_error(hub):
    hub.add_repo("org/name", FILES)
    hub.fail("/api/models/org/name", status=503, times=99)
    with pytest.raises(NetworkFailed, match="keeps answering 503"):
        pull()
    assert 2 <= sum(r.status == 503 for r in hub.requests) <= 6


def test_too_many_requests_waits_as_long_as_the_server_says(hub):
    hub.add_repo("org/name", FILES)
    hub.fail("model.safetensors", status=429, headers={"Retry-After": "2"})
    start = time.monotonic()
    assert weights(pull()) == WEIGHTS
    assert time.monotonic() - start >= 2
    hub.fail("/api/models/org/name", status=429, headers={"Retry-After": "86400"})
    with pytest.raises(NetworkFailed, match="limiting"):
        pull()


def test_a_failed_pull_points_at_the_copy_in_the_cache(hub):
    hub.add_repo("org/name", FILES)
    pull()
    hub.fail("/api/models/org/name", status=429, headers={"Retry-After": "86400"})
    with pytest.raises(NetworkFailed) as caught:
        pull()
    assert "--offline" in caught.value.hint


def test_a_killed_pull_goes_on_where_it_stopped(hub):
    hub.add_repo("org/name", FILES)
    hub.fail("model.safetensors", stall=120_000)
    code = (
        "from gpux import sources; from gpux.reference import parse;"
        "sources.fetch(sources.look(parse('org/name')), wants=sources.Wants(weights=True))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "GPUX_NETWORK_TIMEOUT": "60"})
    try:
        deadline = time.monotonic() + 30
        while not hub.downloads("model.safetensors") and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.3)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    hub.forget()
    snapshot = pull()
    assert weights(snapshot) == WEIGHTS
    (asked,) = hub.downloads("model.safetensors")
    assert asked is not None
    assert not list(snapshot.directory.parent.parent.glob("blobs/*.gpux"))


def test_two_pulls_at_once_download_once(hub):
    hub.add_repo("org/name", FILES)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: pull(), range(2))
    assert first == second
    assert hub.downloads("model.safetensors") == [None]


def test_a_server_without_ranges_starts_again_without_harm(hub):
    hub.add_repo("org/name", FILES)
    hub.fail("model.safetensors", cut=50_000)
    hub.fail("model.safetensors", body=WEIGHTS)
    assert weights(pull()) == WEIGHTS


def test_altered_content_never_enters_the_cache(hub, tmp_path):
    hub.add_repo("org/name", FILES)
    hub.fail("model.safetensors", body=b"!" + WEIGHTS[1:], times=99)
    with pytest.raises(SourceError, match="not what the Hub announced"):
        pull()
    hub.faults.clear()
    assert weights(pull()) == WEIGHTS


def test_content_that_is_altered_once_is_fetched_again(hub):
    hub.add_repo("org/name", FILES)
    hub.fail("config.json", body=b"[]")
    assert (pull().directory / "config.json").read_bytes() == b"{}"


def test_a_proxy_that_drops_the_commit_header(hub):
    commit = hub.add_repo("org/name", FILES)
    for name in FILES:
        hub.fail(name, drop=("X-Repo-Commit",), times=99)
    assert pull().resolved == commit


def test_a_mirror_whose_listing_has_no_sizes(hub):
    hub.add_repo("org/name", FILES, sizes=False)
    snapshot = pull()
    assert weights(snapshot) == WEIGHTS
    hub.forget()
    assert pull() == snapshot
    assert not hub.downloads("model.safetensors")


@pytest.mark.parametrize(
    "body", [b"<html>Please log in</html>", b"[]", b"{}", b'{"id": 1, "siblings": [3]}', b""]
)
def test_something_else_answers_in_place_of_the_hub(hub, body):
    hub.fail("/api/models/org/name", body=body, times=9)
    with pytest.raises(NetworkFailed, match=r"does not answer as a Hub does|names no commit"):
        pull()


def test_nobody_listens(hub, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free.getsockname()[1]}")
        with pytest.raises(NetworkFailed, match="cannot be reached") as caught:
            pull()
    assert "HTTPS_PROXY" in caught.value.hint


def test_an_endpoint_that_is_no_address(hub, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "mirror.example")
    with pytest.raises(InvalidSetting, match="HF_ENDPOINT"):
        pull()


def test_a_cache_that_cannot_be_made(hub, tmp_path, monkeypatch):
    hub.add_repo("org/name", FILES)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "file" / "hub"))
    with pytest.raises(StoreUnwritable) as caught:
        pull()
    assert "HF_HUB_CACHE" in caught.value.hint


def test_a_full_disk(hub, tmp_path):
    hub.add_repo("org/name", FILES)
    # A limit on the size of files stands for the disk: the write fails in the same place, with the same kind of errno.
    code = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000));"
        "from gpux import sources, errors; from gpux.reference import parse\n"
        "try: sources.fetch(sources.look(parse('org/name')), wants=sources.Wants(weights=True))\n"
        "except errors.StoreUnwritable as error: print(error, '|', error.hint)"
    )
    result = subprocess.run([sys.executable, "-B", "-c", code], capture_output=True, text=True, check=True)
    assert "is full" in result.stdout
    assert "HF_HUB_CACHE" in result.stdout
    hub.forget()
    assert weights(pull()) == WEIGHTS
    assert hub.downloads("model.safetensors") == ["bytes=100000-"]


def test_progress_counts_bytes_up_to_the_total(hub):
    hub.add_repo("org/name", FILES)
    hub.fail("model.safetensors", cut=100_000)
    events, guard = [], threading.Lock()

    def listen(event):
        assert guard.acquire(blocking=False), "two events at once"
        events.append(event)
        guard.release()

    pull(progress=listen)
    downloads = [event for event in events if event.stage == "download"]
    assert downloads[-1].done == downloads[-1].total == len(WEIGHTS)
    assert [event.done for event in downloads[1:]] == sorted(event.done for event in downloads[1:])
