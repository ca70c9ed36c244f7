"""Result files of anybody's: whatever one leaf of a document is, reading refuses it in words, or everything takes it."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from bench_reports import GPU, OUT_OF_MEMORY, report, suite, sweep, times
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gpux
from gpux.bench import comparison, ranking
from gpux.bench.history import History
from gpux.bench.render import FORMATS, RECORD_FORMATS, render, render_comparison, render_trend
from gpux.bench.report import Report
from gpux.bench.suite import Suite
from gpux.errors import GpuxError, InvalidInput

REPORT = report(
    times(n=30), joules=5.0, devices=(GPU,), failures=1, parameters={"top_k": [1, 2.5, "three"]}, batch=2, items=4,
    cost_per_hour=1.5,
)  # fmt: skip
SUITE = suite(
    [
        *(
            (
                axes,
                report(times(0.01 * axes["batch"], n=20, seed=axes["batch"]), batch=axes["batch"], items=4),
            )
            for axes in sweep(variant=["int8"], batch=[1, 2, 4])
        ),
        ({"variant": "fp32", "batch": 1}, OUT_OF_MEMORY),
    ]
)
DOCUMENTS = {"report": REPORT, "suite": SUITE}

NUMBERS = (
    0, -1, 1, 2, 10_001, 10**7, 2**31, 2**53, 2**60, 2**63 - 1, 2**63, -(2**63), 10**400, -(10**400), 0.0, -0.0, 0.5, -0.5,
    1.0000001, 1e-6, 5e-324, 1e-300, 1e-15, 1e-14, 1e9, 1e10, 1e15, 1e16, 1e300, -1e300, 1.7976931348623157e308,
)  # fmt: skip
TEXTS = (
    "", "\x00", "\x1b[2J\x1b]0;x\x07", "\n\r\t", "\u202eback", "</script><!--<script>", "=1+1", "a|b`c`", "\ud800", "\udfffx",
    "\ufffe", "\U0001f408" * 9, "1" * 5000, "x" * 100_000, "a b " * 25_000, "\u65e5" * 30_000, "\u65e5" * 9_000, "²", "2026-99-99T99:99:99",
)  # fmt: skip
STRANGE = st.sampled_from([None, True, False, [], {}, [[]], {"": ""}, [{}]])
ANYTHING = STRANGE | st.sampled_from(NUMBERS) | st.sampled_from(TEXTS) | st.floats(0, 1e15) | st.text()


def leaves(value, way=()):
    """Ways to everything that is no record of others: numbers, texts, lists and objects too."""
    if way:
        yield way
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, (*way, name))
    elif isinstance(value, list):
        # All entries of a column are of a kind.
        for place in sorted({0, len(value) - 1} & set(range(len(value)))):
            yield from leaves(value[place], (*way, place))


def changed(document, way, make):
    raw = json.loads(document.to_json())
    *before, last = way
    inner = raw
    for name in before:
        inner = inner[name]
    inner[last] = make(inner[last])
    return json.dumps(raw)


def instead(value):
    """What may stand in a leaf's place: what is of its kind, mostly."""
    if isinstance(value, list):
        longer = [value * 2, value[:-1], value * 40 if len(value) < 50 else value[::-1]]
        return st.sampled_from([[], *longer]) | ANYTHING
    if isinstance(value, dict):
        more = st.sampled_from(TEXTS).map(lambda text: {**value, text: next(iter(value.values()), 1)})
        return st.just({}) | more | ANYTHING
    if isinstance(value, str):
        return st.sampled_from(TEXTS) | st.text() | ANYTHING
    return st.sampled_from(NUMBERS) | st.floats(allow_nan=False, allow_infinity=False) | ANYTHING


@st.composite
def mutations(draw):
    name = draw(st.sampled_from(sorted(DOCUMENTS)))
    raw = json.loads(DOCUMENTS[name].to_json())
    way = draw(st.sampled_from(list(leaves(raw))))
    value = raw
    for step in way:
        value = value[step]
    new = draw(instead(value))
    return name, changed(DOCUMENTS[name], way, lambda _: new)


def used(document, original, home):
    """Everything that takes a document that was read: each ends, without a warning, in an answer or in words."""
    for form in FORMATS:
        for plain in (False, True):
            words(render, document, form, plain=plain).encode()
    reports = document.reports if isinstance(document, Suite) else (document,)
    if isinstance(document, Suite):
        words(ranking.rank, document)
    base = original.reports[0] if isinstance(original, Suite) else original
    history = History(home / "history.db")
    history.add(base)
    for found in reports:
        words(gpux.assess, found)
        for pair in ([base, found], [found, base]):
            for statistic in comparison.STATISTICS:
                words(gpux.compare, pair, names=["a", "b"], statistic=statistic)
                compared = words(gpux.compare, pair, names=["a", "b"], statistic=statistic, anyway=True)
                for form in RECORD_FORMATS if compared else ():
                    render_comparison(compared, form).encode()
        words(history.add, found)
        trend = words(history.trend, found.identity.reference)
        for form in RECORD_FORMATS:
            render_trend(trend, form).encode()


def words(function, *arguments, **named):
    try:
        return function(*arguments, **named)
    except GpuxError as error:
        said(error)
        return ""


def said(error):
    """That an error is in words which any stream takes, with what to do."""
    error.message.encode()
    assert error.hint


@settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.too_slow])
@given(mutations())
def test_one_leaf_of_any_kind_is_refused_or_taken_by_everything(mutation):
    name, text = mutation
    with tempfile.TemporaryDirectory() as home:
        path = Path(home) / "result.json"
        path.write_text(text, encoding="utf-8")
        try:
            document = gpux.read_report(path)
        except InvalidInput as error:
            said(error)
            return
        assert type(document).from_json(document.to_json()) == document
        used(document, DOCUMENTS[name], Path(home))


def test_a_text_for_a_table_is_no_book_and_a_message_may_be_one():
    raw = json.loads(REPORT.to_json())
    raw["samples"]["failures"][0]["message"] = "why " * 100_000
    raw["settings"]["parameters"]["prompt"] = "word " * 100_000
    assert Report.from_json(json.dumps(raw)).samples.failures[0].message.startswith("why why")
    raw["identity"]["workload"]["noun"] = "x" * 10_001
    with pytest.raises(InvalidInput, match=r"identity\.workload\.noun"):
        Report.from_json(json.dumps(raw))


def test_the_command_line_says_in_words_what_is_wrong_with_a_file(tmp_path):
    hostile = json.loads(REPORT.to_json())
    hostile["memory"]["peak"] = 10**400
    (tmp_path / "huge.json").write_text(json.dumps(hostile))
    REPORT.save(tmp_path / "good.json")
    for arguments in (["show", "huge.json"], ["compare", "good.json", "huge.json"], ["show", os.devnull]):
        done = subprocess.run(
            [sys.executable, "-m", "gpux", "bench", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode in (1, 2), done.stderr
        assert "Traceback" not in done.stderr
        assert "memory.peak" in done.stderr or "no regular file" in done.stderr
