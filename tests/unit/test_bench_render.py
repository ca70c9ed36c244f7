"""Rendering says what the record says, in every format, and the warnings end in something to do."""

import csv
import io
import json

import pytest
from bench_subject import Sleeper

from gpux.bench import benchmark, render
from gpux.bench.report import Report
from gpux.errors import InvalidSetting


@pytest.fixture(scope="module")
def report():
    return benchmark(Sleeper(0.02, 0.002), ["one", "two"], runs=30, warmup=2)


@pytest.mark.parametrize("form", ["table", "md"])
def test_text_holds_the_figures_and_what_ran(report, form):
    text = render.render(report, form)
    steady = report.summaries.steady
    for figure in (
        steady.median,
        steady.mean,
        steady.std,
        steady.min,
        steady.max,
        steady.p50,
        steady.p90,
        steady.p95,
        steady.p99,
    ):
        assert render.duration(figure) in text
    assert render.duration(report.summaries.first) in text
    for said in (
        "org/tiny",
        "cpu (cpu, fp32, 100% of 9 nodes)",
        "2 threads",
        "proven exact",
        "infer",
        "inputs/s",
        "d" * 12,
    ):
        assert said in text
    assert "nan" not in text
    assert "None" not in text


def test_csv_is_one_row_of_the_records_own_numbers(report):
    rows = list(csv.DictReader(io.StringIO(render.render(report, "csv"))))
    assert len(rows) == 1
    assert float(rows[0]["median"]) == report.summaries.steady.median
    assert float(rows[0]["throughput"]) == report.summaries.throughput
    assert rows[0]["provider"] == "cpu"


def test_json_is_the_record(report):
    text = render.render(report, "json")
    assert Report.from_json(text) == report
    assert json.loads(text)["summaries"]["steady"]["median"] == report.summaries.steady.median


@pytest.mark.parametrize("form", list(render.FORMATS))
def test_a_report_without_a_steady_run_renders(form):
    assert render.render(benchmark(Sleeper(None), "x"), form)


def test_a_table_cell_cannot_break_a_markdown_table(report):
    cells = [line for line in render.markdown(report).splitlines() if line.startswith("|")]
    assert {line.count("|") - line.count("\\|") for line in cells} == {3}


def test_an_unknown_format_names_the_known_ones(report):
    with pytest.raises(InvalidSetting) as caught:
        render.render(report, "yaml")
    assert "table or json or csv or md" in caught.value.hint


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (1.5e-8, "15.00 ns"),
        (2e-4, "200.0 µs"),
        (0.0109, "10.90 ms"),
        (1.0, "1.000 s"),
        (125.25, "125.2 s"),
    ],
)
def test_durations_have_four_digits_and_a_unit(seconds, text):
    assert render.duration(seconds) == text


def test_a_partial_placement_is_never_rounded_up_to_the_whole():
    text = render.table(benchmark(Sleeper(0.0, share=0.9999), "x", runs=1, warmup=0))
    assert "99.9% of" in text


def _names(model, runs):
    report = benchmark(model, "x", runs=runs, warmup=0)
    assert all(caution.hint for caution in report.cautions)
    return [caution.name for caution in report.cautions]


def test_few_runs_a_wide_spread_and_a_slow_first_run_are_warned_of():
    assert _names(Sleeper(0.03, 0.002, 0.002, 0.002, 0.002, 0.04, 0.002), 20) == [
        "few-runs",
        "spread",
        "slow-first",
    ]


def test_a_hundred_steady_runs_without_a_slow_one_raise_neither_few_runs_nor_slow_first():
    assert not {"few-runs", "slow-first", "interrupted"} & set(_names(Sleeper(0.001), 100))


def test_one_run_has_no_spread():
    report = benchmark(Sleeper(0.001), "x", runs=1, warmup=0)
    assert "one run has no spread" in [caution.message for caution in report.cautions]
    assert "±" not in render.table(report)
