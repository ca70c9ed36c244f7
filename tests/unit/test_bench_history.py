"""The history: nothing is lost, little is kept, changes are named, and whatever is wrong with the file is said in words."""

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from bench_reports import GPU, report, times

from gpux.bench.history import History, thinned
from gpux.bench.render import render_trend
from gpux.errors import GpuxError, InvalidInput, StoreError, StoreUnwritable

HERE = Path(__file__).parent


def day(number):
    return f"2026-01-{number:02}T00:00:00+00:00"


@pytest.fixture
def history(tmp_path):
    return History(tmp_path / "history.db")


def test_it_lies_in_the_home_of_gpux(tmp_path, monkeypatch):
    monkeypatch.setenv("GPUX_HOME", str(tmp_path / "new" / "home"))
    assert History().path == tmp_path / "new" / "home" / "history.db"
    assert History().of("org/tiny") == []
    assert not (tmp_path / "new").exists()
    History().add(report())
    assert len(History().of("org/tiny")) == 1


def test_what_is_kept_is_what_the_report_says(history):
    made = report(
        times(n=50), joules=5.0, peak=123, failures=2, interrupted=True, quality="near", batch=2, items=4
    )
    number = history.add(made)
    (entry,) = history.of("org/tiny")
    steady = made.summaries.steady
    assert entry.id == number
    assert (entry.n, entry.median, entry.mean, entry.std) == (50, steady.median, steady.mean, steady.std)
    assert (entry.p95, entry.p99) == (steady.p95, steady.p99)
    assert entry.seconds == made.samples.steady.seconds
    assert entry.interval == made.summaries.intervals["median"]
    assert entry.joules == pytest.approx(5.0 / 100)
    assert (entry.peak, entry.failures, entry.interrupted, entry.quality) == (123, 2, True, "near")
    assert entry.facts["onnxruntime"] == "1.31.1"
    assert entry.configuration["batch"] == "2"


def test_the_same_report_twice_is_kept_once(history):
    made = report()
    assert history.add(made) == history.add(made)
    assert history.add(report(times(seed=9))) != history.add(made)
    assert len(history.of("org/tiny")) == 2


def test_the_newest_come_and_the_oldest_stands_first(history):
    for number in (3, 1, 2, 4):
        history.add(report(started=day(number)))
    history.add(report(reference="org/other"))
    assert [entry.started for entry in history.of("org/tiny")] == [day(n) for n in (1, 2, 3, 4)]
    assert [entry.started for entry in history.of("org/tiny", limit=2)] == [day(3), day(4)]
    assert history.of("org/nobody") == []


def test_a_long_series_is_thinned_evenly_and_keeps_its_distribution(history):
    values = times(n=30_000, cv=0.2)
    history.add(report(values))
    kept = history.of("org/tiny")[0].seconds
    assert len(kept) == 1000
    assert kept == thinned(values)
    places = [values.index(value) for value in kept]
    assert set(np.diff(places)) == {30}
    for percent in (10, 50, 90):
        assert np.percentile(kept, percent) == pytest.approx(np.percentile(values, percent), rel=0.03)
    assert history.path.stat().st_size < 60_000


@pytest.mark.parametrize(("n", "kept"), [(1, 1), (999, 999), (1000, 1000), (1001, 1000), (1999, 1000)])
def test_thinning_keeps_order_and_no_value_twice(n, kept):
    found = thinned(list(range(n)))
    assert len(found) == kept
    assert list(found) == sorted(set(found))


def test_no_text_of_the_inputs_or_the_parameters_is_in_the_file(history):
    history.add(report(parameters={"labels": ["a secret label"]}))
    assert b"secret" not in history.path.read_bytes()


def test_other_parameters_are_another_configuration(history):
    for parameters in ({"top_k": 1}, {"top_k": 2}, {"top_k": 1}):
        history.add(report(times(seed=len(history.of("org/tiny"))), parameters=parameters))
    assert sorted(len(course.entries) for course in history.trend("org/tiny").courses) == [1, 2]


def test_a_trend_names_what_changed_and_how_sure_it_is(history):
    history.add(report(times(0.010, seed=1), started=day(1)))
    history.add(
        report(
            times(0.012, seed=2),
            started=day(2),
            resolved="1" * 40,
            versions={"onnxruntime": "1.32.0", "gpux": "0.3.0", "python": "3.14.0"},
            machine={"processor": "Another Processor"},
            devices=(GPU,),
        )
    )
    (course,) = history.trend("org/tiny").courses
    assert course.change.verdict == "slower"
    assert course.change.low < 1.2 < course.change.high
    assert {label.split()[0] for label in course.changed} == {
        "revision", "machine", "gpux", "python", "onnxruntime", "GPU", "driver",
    }  # fmt: skip
    assert "onnxruntime 1.31.1 → 1.32.0" in course.changed
    assert course.sentence.startswith("1.2")
    assert "× slower" in course.sentence


def test_the_change_is_between_the_last_two(history):
    for number, median in enumerate((0.02, 0.01, 0.01), 1):
        history.add(report(times(median, seed=number), started=day(number)))
    (course,) = history.trend("org/tiny").courses
    assert [entry.started for entry in course.entries] == [day(1), day(2), day(3)]
    assert course.change.verdict == "same"
    assert course.changed == ()
    assert "nothing known has changed" in course.sentence


def test_the_change_since_the_last_version_is_told_however_many_results_came_since(history):
    runtimes = ("1.30.0", "1.31.1", "1.32.0", "1.32.0", "1.32.0")
    for number, (median, runtime) in enumerate(zip((0.05, 0.01, 0.02, 0.02, 0.02), runtimes, strict=True), 1):
        history.add(
            report(times(median, seed=number), started=day(number), versions={"onnxruntime": runtime})
        )
    (course,) = history.trend("org/tiny").courses
    assert course.change.verdict == "same"
    assert course.changed == ()
    assert course.since.low < 2.0 < course.since.high
    assert course.since_what == ("onnxruntime 1.31.1 → 1.32.0",)
    assert course.since_when == day(2)
    assert course.since_sentence.startswith(
        "against 2026-01-02 00:00, the last result before onnxruntime 1.31.1 → 1.32.0: "
    )
    assert "× slower" in course.since_sentence
    for form in ("table", "md"):
        assert "last result before onnxruntime" in " ".join(
            render_trend(history.trend("org/tiny"), form).split()
        )


def test_a_change_of_the_last_result_is_told_once_and_none_where_nothing_ever_changed(history):
    history.add(report(times(seed=1), started=day(1)))
    history.add(report(times(seed=2), started=day(2)))
    (course,) = history.trend("org/tiny").courses
    assert (course.since, course.since_what, course.since_when, course.since_sentence) == (None, (), None, "")
    history.add(report(times(seed=3), started=day(3), versions={"gpux": "0.3.0"}))
    (course,) = history.trend("org/tiny").courses
    assert course.since == course.change
    assert course.since_what == course.changed == ("gpux 0.2.0 → 0.3.0",)
    assert (course.since_when, course.since_sentence) == (day(2), "")


def test_other_batches_threads_and_inputs_have_courses_of_their_own_the_newest_first(history):
    history.add(report(started=day(1)))
    history.add(report(started=day(2), batch=2))
    history.add(report(started=day(3), threads=2))
    history.add(report(started=day(4), sha256="6" * 64))
    courses = history.trend("org/tiny").courses
    assert [course.entries[0].started for course in courses] == [day(4), day(3), day(2), day(1)]
    assert all(course.change is None for course in courses)
    assert "batch 2" in courses[2].label
    assert "threads 2" in courses[1].label
    assert history.trend("org/nobody").courses == ()


def test_a_report_without_a_steady_run_has_nothing_to_remember(history):
    with pytest.raises(InvalidInput, match="steady"):
        history.add(report([]))
    assert not history.path.exists()


@pytest.mark.skipif(sys.platform in {"darwin", "win32"}, reason="this system's file names are Unicode")
def test_a_path_that_is_no_unicode_is_kept(history):
    name = "file:/models/\udcff"
    history.add(report(reference=name))
    assert history.of(name)[0].reference == name


ADD = """
import sys
sys.path.insert(0, sys.argv[1])
from bench_reports import report, times
from gpux.bench.history import History
for number in range(20):
    History(sys.argv[2]).add(report(times(n=5, seed=1000 * int(sys.argv[3]) + number)))
"""


def test_eight_processes_at_once_lose_nothing(history):
    run = [sys.executable, "-c", ADD, str(HERE), str(history.path)]
    started = [
        subprocess.Popen([*run, str(number)], stderr=subprocess.PIPE, text=True) for number in range(8)
    ]
    errors = [process.communicate(timeout=300)[1] for process in started]
    assert [process.returncode for process in started] == [0] * 8, errors
    found = history.of("org/tiny")
    assert len(found) == 160
    assert len({entry.id for entry in found}) == 160


DIE = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN IMMEDIATE")
connection.execute("DELETE FROM results")
connection.execute("CREATE TABLE waste AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) SELECT i, hex(randomblob(500)) FROM n")
print("in the middle", flush=True)
sys.stdin.read()
"""


def test_a_process_killed_in_the_middle_of_a_write_leaves_the_old_results(history):
    for seed in range(5):
        history.add(report(times(seed=seed)))
    process = subprocess.Popen(
        [sys.executable, "-c", DIE, str(history.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "in the middle\n"
    process.kill()
    process.communicate()
    assert history.path.with_name("history.db-journal").stat().st_size > 0
    assert len(history.of("org/tiny")) == 5
    history.add(report(times(seed=9)))
    assert len(history.of("org/tiny")) == 6


def both(history):
    """The error that reading and adding raise alike."""
    with pytest.raises(GpuxError) as read:
        history.of("org/tiny")
    with pytest.raises(GpuxError) as added:
        history.add(report())
    assert read.value.hint
    assert added.value.hint
    assert str(history.path) in read.value.message
    return read.value, added.value


@pytest.mark.parametrize("data", [b"no database at all" * 100, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_what_is_no_database_is_refused_and_left_alone(history, data):
    history.path.write_bytes(data)
    for error in both(history):
        assert isinstance(error, StoreError)
        assert "damaged" in error.message
    assert history.path.read_bytes() == data


def test_a_database_cut_in_the_middle_is_refused(history):
    for seed in range(20):
        history.add(report(times(seed=seed, n=1000)))
    data = history.path.read_bytes()
    history.path.write_bytes(data[: len(data) // 3])
    with pytest.raises(StoreError, match="damaged"):
        history.of("org/tiny")


def sql(path, *statements):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def test_another_programs_database_is_left_alone(history):
    sql(history.path, "CREATE TABLE customers (name TEXT)")
    data = history.path.read_bytes()
    for error in both(history):
        assert "another program" in error.message
    assert history.path.read_bytes() == data


def test_a_newer_version_says_to_upgrade(history):
    history.add(report())
    sql(history.path, "PRAGMA user_version = 2")
    for error in both(history):
        assert "upgrade" in error.hint


def test_an_empty_file_becomes_a_history(history):
    history.path.touch()
    assert history.of("org/tiny") == []
    history.add(report())
    assert len(history.of("org/tiny")) == 1


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE results SET seconds = x'010203'",
        "UPDATE results SET seconds = x''",
        "UPDATE results SET seconds = x'000000000000F87F'",  # one NaN
        "UPDATE results SET seconds = 5",
        "UPDATE results SET entry = '{'",
        "UPDATE results SET entry = '{}'",
        "UPDATE results SET entry = 7",
        'UPDATE results SET entry = replace(entry, \'"n": 200\', \'"n": "many"\')',
        "DROP TABLE results",
    ],
)
def test_a_damaged_row_is_said_to_be_one(history, change):
    history.add(report())
    sql(history.path, change)
    with pytest.raises(StoreError, match="damaged"):
        history.of("org/tiny")


def test_a_home_that_is_no_directory_is_unwritable_and_has_no_history(tmp_path):
    (tmp_path / "file").write_text("")
    history = History(tmp_path / "file" / "history.db")
    with pytest.raises(StoreUnwritable) as caught:
        history.add(report())
    assert "GPUX_HOME" in caught.value.hint
    assert history.of("org/tiny") == []
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(StoreUnwritable):
        History(tmp_path / "folder.db").add(report())


LESSER = """
import os, sys
sys.path.insert(0, sys.argv[1])
from bench_reports import report
from gpux.bench.history import History
from gpux.errors import StoreUnwritable
history = History(sys.argv[2])
made = report()
if hasattr(os, "geteuid") and os.geteuid() == 0:
    os.setuid(65534)
print(len(history.of("org/tiny")))
try:
    history.add(made)
except StoreUnwritable as error:
    print(error.message)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps no write permission for a directory")
def test_a_home_without_write_access_can_be_read():
    # Not in tmp_path, which nobody but its owner may enter: root must become someone else to be refused anything.
    home = Path(tempfile.mkdtemp())
    history = History(home / "history.db")
    history.add(report(times(seed=7)))
    history.path.chmod(0o444)
    home.chmod(0o555)
    try:
        done = subprocess.run(
            [sys.executable, "-c", LESSER, str(HERE), str(history.path)],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        home.chmod(0o755)
        shutil.rmtree(home)
    assert done.returncode == 0, done.stderr
    count, message = done.stdout.splitlines()
    assert count == "1"
    assert "cannot be opened or written" in message


FULL = """
import resource, sys
sys.path.insert(0, sys.argv[1])
from bench_reports import report, times
from gpux.bench.history import History
from gpux.errors import StoreUnwritable
made = report(times(n=1000, seed=3))
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
try:
    for number in range(10):
        History(sys.argv[2]).add(report(times(n=1000, seed=number)))
except StoreUnwritable as error:
    print(number)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of a file")
def test_a_full_disk_costs_the_new_result_only(history):
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(HERE), str(history.path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kept = int(done.stdout)
    assert kept > 0
    assert len(history.of("org/tiny")) == kept


def test_json_of_an_entry_needs_nothing_but_json(history):
    from dataclasses import asdict

    history.add(report())
    assert json.loads(json.dumps(asdict(history.of("org/tiny")[0])))["n"] == 200
