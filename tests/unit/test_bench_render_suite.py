"""Several configurations, comparisons, trends and readiness as text, Markdown and CSV: the proof beside the speed, reasons said."""

import csv
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from bench_reports import OUT_OF_MEMORY, report, suite, times

from gpux.bench import assess, comparison
from gpux.bench.history import History
from gpux.bench.render import (
    RECORD_FORMATS,
    duration,
    render,
    render_assessment,
    render_comparison,
    render_trend,
)
from gpux.bench.suite import Suite
from gpux.errors import InvalidSetting


@pytest.fixture(scope="module")
def many():
    rows = [
        ({"variant": "fp32"}, report(times(0.02, seed=1))),
        ({"variant": "fp16"}, report(times(0.01, seed=2), variant="fp16", quality="near", min_cosine=0.9996, top1=0.998)),
        ({"variant": "int8"}, report(times(0.01, seed=3), variant="int8", quality="lossy", min_cosine=0.97, failures=2)),
        ({"variant": "int4"}, OUT_OF_MEMORY),
    ]  # fmt: skip
    found = suite(rows)
    return replace(found, rows=(found.rows[0], replace(found.rows[1], agreement=0.99995), *found.rows[2:]))


def row_of(text, label):
    return next(line for line in text.splitlines() if line.lstrip(" *=").startswith(label))


@pytest.mark.parametrize("width", [80, 120, 200])
def test_a_row_says_how_fast_and_how_well_proven(many, width):
    text = render(many, "table", width=width)
    line = row_of(text, "fp16")
    assert duration(float(np.median(many.rows[1].report.samples.steady.seconds))) in line
    assert "near" in line
    assert line.lstrip().startswith("*")
    assert "≥ 0.999600" in text
    assert "0.999950" in text
    slow = row_of(text, "fp32")
    assert re.search(r"(1\.9\d|2\.0\d) × \(1\.9\d to 2\.0\d\)", slow)
    assert "RunFailed" not in row_of(text, "int4")
    assert "WorkerFailed: the worker ran out of memory; use a smaller" in row_of(text, "int4")
    assert "2 runs failed, in no figure" in text


def test_one_as_fast_as_the_best_is_marked():
    found = suite([({"threads": n}, report(times(0.01, seed=n))) for n in (1, 2)])
    text = render(found, "table")
    assert {row_of(text, f"threads {n}").split()[0] for n in (1, 2)} == {"*", "="}
    assert "= not measurably slower than that" in text


def test_at_40_columns_every_configuration_is_a_block(many):
    text = render(many, "table", width=40)
    assert "configuration  " not in text
    assert re.search(r"^\* fp16\n    median +(9\.9|10\.0)", text, re.MULTILINE)
    assert re.search(r"^fp32\n    median +(19\.9|20\.)", text, re.MULTILINE)
    assert "smaller batch" in text


def test_each_warning_is_told_once_with_its_labels():
    found = suite([({"threads": n}, report([0.01] * 30)) for n in (1, 2, 4)] + [({"threads": 8}, report())])
    text = render(found, "table")
    assert text.count("the p99 of 30 runs is decided by the slowest two") == 1
    assert "warning: threads 1, threads 2, threads 4:" in text
    assert text.count("raise --runs to 100 or more") == 1


def test_a_suite_without_figures_says_why():
    found = suite([({"batch": n}, OUT_OF_MEMORY) for n in (1, 8)])
    for form in ("table", "md", "csv", "summary"):
        assert render(found, form, width=120).count("out of memory") == 2
    assert render(Suite(2, True, {}, True, ()), "table")


def test_a_row_that_stopped_keeps_its_figures_and_says_why(many):
    stopped = replace(many, rows=(many.rows[0], replace(many.rows[1], reason=OUT_OF_MEMORY)))
    for form in ("table", "md", "csv", "summary"):
        text = render(stopped, form, width=120)
        assert "the worker ran out of memory" in text
    assert duration(stopped.rows[1].report.summaries.steady.median) in render(stopped, "table")


def test_where_placements_differ_each_row_says_its_own():
    rows = [({"provider": "a"}, report(provider="a")), ({"provider": "b"}, report(provider="b", share=0.5))]
    text = render(suite(rows), "table", width=200)
    assert "a in fp32, 100% of the nodes" in row_of(text, "a ")
    assert "b in fp32, 50% of the nodes" in row_of(text, "b ")


def test_csv_has_a_row_per_configuration(many):
    rows = list(csv.DictReader(io.StringIO(render(many, "csv"))))
    assert [row["label"] for row in rows] == ["fp32", "fp16", "int8", "int4"]
    assert float(rows[1]["median"]) == many.rows[1].report.summaries.steady.median
    assert [row["best"] for row in rows] == ["false", "true", "false", "false"]
    assert float(rows[0]["relative"]) == pytest.approx(
        np.median(many.rows[0].report.samples.steady.seconds)
        / np.median(many.rows[1].report.samples.steady.seconds)
    )
    assert (rows[3]["variant"], rows[3]["error"], rows[3]["median"]) == ("int4", "WorkerFailed", "")


@pytest.mark.parametrize(
    "name", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "a,b", 'say "x"', "two\nlines"], ids=ascii
)
def test_a_spreadsheet_sees_a_name_and_no_formula(name):
    text = render(suite([({"variant": name}, report(variant=name, joules=1.0))]), "csv")
    lines = list(csv.reader(io.StringIO(text)))
    assert len(lines) == len(text.splitlines()) == 2
    assert not [cell for cell in lines[1] if cell.strip()[:1] in set("=+@")]
    assert not [cell for cell in lines[1] if cell.strip().startswith("-") and not cell[1:2].isdigit()]


@pytest.mark.parametrize(
    "name", ["a|b", "`x`", "<script>", "*b*", "[l](u)", "back\\", "two\nlines", "\x1b[2J"], ids=ascii
)
def test_a_name_cannot_leave_its_markdown_cell(name):
    found = suite([({"variant": name}, report(reference=name, variant=name)), ({"variant": "x"}, report())])
    for text in (render(found, "md"), render(found.rows[0].report, "md")):
        assert "<script" not in text
        assert "\x1b" not in text
        tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
        for table in tables:
            bars = {len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in table.splitlines()}
            assert len(bars) == 1


def test_json_of_a_suite_is_the_record(many):
    assert Suite.from_json(render(many, "json")) == many


@pytest.fixture(scope="module")
def compared():
    reports = [
        report(times(0.01, seed=1)),
        report(times(0.013, seed=2), versions={"onnxruntime": "1.32.0"}),
        report([]),
    ]
    return comparison.compare(reports, names=["a|.json", "=b.json", "c.json"], anyway=True)


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_comparison_tells_ratio_verdict_and_what_differs(compared, width):
    text = " ".join(render_comparison(compared, "table", width=width).split())
    assert compared.rows[0].sentence in text
    assert "slower (1." in text
    assert "differs: onnxruntime 1.31.1 → 1.32.0" in text
    assert "no figures to compare" in text


def test_a_comparison_in_other_formats(compared):
    rows = list(csv.DictReader(io.StringIO(render_comparison(compared, "csv"))))
    assert [row["name"] for row in rows] == ["a|.json", "'=b.json", "c.json"]
    assert float(rows[1]["ratio"]) == compared.rows[0].ratio.value
    assert rows[1]["verdict"] == "slower"
    assert "a\\|.json" in render_comparison(compared, "md")
    raw = json.loads(render_comparison(compared, "json"))
    assert raw["rows"][0]["ratio"]["value"] == compared.rows[0].ratio.value


def test_long_names_are_never_cut_to_the_same():
    names = [f"results/of/a/long/folder/{name}-of-the-model.json" for name in ("before", "after")]
    text = render_comparison(comparison.compare([report(), report()], names=names), "table", width=80)
    assert all(f"  {name}" in text for name in names)


@pytest.fixture(scope="module")
def trend(tmp_path_factory):
    history = History(tmp_path_factory.mktemp("history") / "history.sqlite")
    for day in range(1, 15):
        version = "0.1.0" if day < 14 else "0.2.0"
        median = 0.01 if day < 14 else 0.02
        history.add(
            report(
                times(median, seed=day),
                started=f"2026-01-{day:02}T03:04:05+00:00",
                versions={"gpux": version},
            )
        )
    history.add(
        report(times(0.005), variant="int8", quality="lossy", failures=2, started="2026-01-09T00:00:00+00:00")
    )
    return history.trend("org/tiny")


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_trend_shows_the_course_and_the_last_change(trend, width):
    text = render_trend(trend, "table", width=width)
    words = " ".join(text.split())
    assert "14 results, oldest first, the newest 10 below" in words
    assert "2026-01-14 03:04" in words
    assert "2026-01-04 03:04" not in words
    assert re.search(r"[12]\.\d\d × slower \(.*\); since then: gpux 0\.1\.0 → 0\.2\.0", words)
    assert "2 runs failed, in no figure" in words
    assert "lossy" in words
    line = next(line for line in text.splitlines() if "█" in line)
    assert line.strip()[:14].endswith("█")


def test_a_trend_in_other_formats(trend):
    rows = list(csv.DictReader(io.StringIO(render_trend(trend, "csv"))))
    assert len(rows) == 15
    assert float(rows[0]["median"]) == trend.courses[0].entries[0].median
    assert render_trend(trend, "md").count("\n### ") == 2
    assert len(json.loads(render_trend(trend, "json"))["courses"]) == 2
    assert "no result is kept" in render_trend(replace(trend, courses=()), "table")


def test_readiness_tells_grade_figure_and_rule():
    found = assess.assess(report(times(0.3, cv=0.01)))
    for form in ("table", "md"):
        text = " ".join(render_assessment(found, form, width=120).replace("|", " ").split())
        for line in found.findings:
            assert f"{line.grade} {line.name}" in text
            assert line.rule in text
    rows = list(csv.DictReader(io.StringIO(render_assessment(found, "csv"))))
    assert {row["name"]: row["grade"] for row in rows} == {line.name: line.grade for line in found.findings}
    assert "READINESS: poor" in render(report(times(0.3, cv=0.01)), "summary")


def test_a_format_that_these_lack_is_refused(compared):
    assert {form: bool(render_comparison(compared, form)) for form in RECORD_FORMATS}
    with pytest.raises(InvalidSetting, match="`html`"):
        render_comparison(compared, "html")
