"""A report says what its record says, in every format; its proof stands beside the speed and its warnings end in an action."""

import csv
import io
import json
import time
from dataclasses import replace

import numpy as np
import pytest
from bench_reports import GPU, report, series, times

from gpux.bench import summary
from gpux.bench.render import FORMATS, duration, render
from gpux.bench.report import Report
from gpux.errors import InvalidSetting

TEXT = ["table", "md", "summary"]
FORMS = [form for form in FORMATS if form != "html"]  # the page has tests of its own


@pytest.fixture(scope="module")
def found():
    return report(times(0.0123, seed=4), noun="sentences", top1=0.9987, quality="near", min_cosine=0.99961)


@pytest.mark.parametrize("form", TEXT)
def test_text_holds_the_figures_and_what_ran(found, form):
    text = render(found, form, width=200)
    seconds = np.array(found.samples.steady.seconds)
    low, high = found.summaries.intervals["median"]
    for figure in (
        np.median(seconds), seconds.mean(), seconds.std(ddof=1), seconds.min(), seconds.max(),
        *np.percentile(seconds, (90, 95, 99)), 0.012, 0.25,
    ):  # fmt: skip
        assert duration(float(figure)) in text
    assert f"95%: {low * 1000:.2f} to {high * 1000:.2f} ms" in text
    for said in (
        "org/tiny", "cpu on cpu", "computed in fp32", "100% of 9 nodes", "8 threads", "near against pytorch fp32",
        "cosine ≥ 0.999610", "top-1 99.9%", "infer", "sentences/s", "single-stream", "200 runs after 3 of warm-up",
        "open 250.0 ms (the runtime's own compilation or engine build)", "90.0 MiB", "100.0 MiB before load",
        "300.0 MiB loaded", "500.0 MiB at its peak", "n/a: no counter", "onnxruntime 1.31.1",
    ):  # fmt: skip
        assert said in text, said
    assert f"{1 / seconds.mean():.2f} sentences/s" in text


def test_what_people_quote_comes_first(found):
    lines = render(found, "table").splitlines()
    assert "org/tiny" in lines[0]
    assert lines[2].split()[:3] == ["median", *duration(found.summaries.steady.median).split()]


def test_the_summary_has_the_sections_of_a_performance_report(found):
    text = render(found, "summary")
    heads = [
        line for line in text.splitlines() if line and line == line.lstrip() and line.split(":")[0].isupper()
    ]
    assert [head.split(":")[0] for head in heads] == [
        "MODEL SIZE", "MEMORY", "TIMING", "THROUGHPUT", "PROOF", "READINESS", "ENERGY AND COST", "SYSTEM", "WARNINGS",
    ]  # fmt: skip
    assert "22,700,000" in text
    assert "Example Processor 3000" in text


def test_csv_is_one_row_of_the_records_own_numbers(found):
    rows = list(csv.DictReader(io.StringIO(render(found, "csv"))))
    assert len(rows) == 1
    assert float(rows[0]["median"]) == found.summaries.steady.median
    assert float(rows[0]["throughput"]) == found.summaries.throughput
    assert float(rows[0]["infer_median"]) == found.summaries.stages["infer"].median
    assert json.loads(rows[0]["stages"]).keys() == found.samples.steady.stages.keys()
    assert rows[0]["provider"] == "cpu"
    assert rows[0]["transfer_median"] == ""


def test_the_columns_of_csv_are_the_same_whatever_was_measured(found):
    heads = {
        render(each, "csv").splitlines()[0] for each in (found, report([]), report(concurrency=4, joules=3.0))
    }
    assert len(heads) == 1


def test_json_is_the_record(found):
    assert Report.from_json(render(found, "json")) == found


def test_every_warning_ends_in_its_action():
    shaky = report([0.01] * 9 + [0.08], first=0.5, failures=1, interrupted=True)
    assert {caution.name for caution in shaky.cautions} >= {
        "few-runs",
        "slow-first",
        "failures",
        "interrupted",
    }
    for form in TEXT:
        text = " ".join(render(shaky, form, width=200).split()).replace("\\", "")
        for caution in shaky.cautions:
            assert f"{caution.message}; {caution.hint}" in text
    assert "1 run, in no figure" in render(shaky, "table")


EDGES = {
    "no run": report([]),
    "one run": report([0.01]),
    "all failed": report([], failures=3),
    "interrupted": report([0.01, 0.02], interrupted=True),
    "no time at all": report([0.0] * 30),
    "all the same": report([0.01] * 30),
    "magnitudes": report(np.logspace(-7, 2, 300).tolist()),
    "nothing known": replace(
        report([0.5] * 12, peak=None, tokens=0),
        memory=replace(report().memory, before=None, loaded=None, peak=None, disk={}, parameters=None),
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("edge", EDGES)
def test_edges_render_without_a_word_of_python(edge, form):
    text = render(EDGES[edge], form, width=60)
    assert text.endswith("\n")
    if form != "json":
        assert not {"nan", "inf", "None", "NaN"} & set(text.replace("(", " ").replace(",", " ").split())


def test_no_run_is_said_and_one_run_has_no_spread():
    assert "no run was finished" in render(EDGES["no run"], "table")
    assert "±" not in render(EDGES["one run"], "table")
    assert "one run has no spread" in render(EDGES["one run"], "table")


def test_rates_are_told_in_the_units_of_their_trade():
    images = render(report([0.02] * 10, noun="images", tokens=0), "table")
    assert "50.00 images/s" in images
    assert "3,000 images/min" in images
    sound = report([0.5] * 10, noun="recordings", tokens=0)
    work = replace(sound.identity.workload, work={"audio_seconds": (10.0, 10.0)})
    summaries = summary.summarise(sound.samples, workload=work, settings=sound.settings)
    heard = replace(sound, identity=replace(sound.identity, workload=work), summaries=summaries)
    assert "20.00 × real time, real-time factor 0.05" in render(heard, "table")


def test_pieces_are_told_with_both_rates():
    pieces = tuple((0.2, 0.4, 0.6, 0.8, 1.0) for _ in range(4))
    steady = replace(
        series([1.0] * 4),
        pieces=pieces,
        tokens=((1, 1, 1, 3, 1),) * 4,
        proposed=(8,) * 4,
        accepted=(2,) * 4,
    )
    given = report([1.0] * 4, tokens=30)
    samples = replace(given.samples, steady=steady)
    found = summary.summarise(samples, workload=given.identity.workload, settings=given.settings)
    spoken = replace(given, samples=samples, summaries=found)
    text = render(spoken, "table", width=120)
    for said in (
        "first token  200.0 ms median",
        "between      200.0 ms median",
        "p99 200.0 ms",
        "per token    133.3 ms median",
        "decode 7.500 tokens/s",
        "prompt 150.0 tokens/s",
        "25% of the guesses right",
        "7.000 new tokens/s",
        "30.00 prompt tokens/s",
    ):
        assert said in text
    (row,) = csv.DictReader(io.StringIO(render(spoken, "csv")))
    told = {name: float(row[name]) for name in ("decode_rate", "prompt_rate", "new_tokens", "acceptance")}
    assert told == pytest.approx(
        {"decode_rate": 7.5, "prompt_rate": 150.0, "new_tokens": 28, "acceptance": 0.25}
    )
    assert float(row["between_pieces_p99"]) == pytest.approx(0.2)
    assert "25% right" in render(spoken, "html")
    assert "7.500 tokens/s" in render(spoken, "md")


def test_energy_cost_and_gpus_are_told_where_they_are_known():
    text = render(report([0.01] * 100, joules=50.0, cost_per_hour=3.6, devices=[GPU]), "table", width=200)
    assert "500.0 mJ per text" in text
    assert "2.000 texts per J" in text
    assert "10.00 per million texts at 3.6 an hour" in text
    assert "Example GPU (driver 570.1) · ours n/a · all programs 2.0 GiB, peak 3.0 GiB, of 24.0 GiB" in text


def test_the_scenario_is_told():
    text = render(report([0.05] * 40, rate=12.5, concurrency=2), "table", width=200)
    assert "server" in text
    assert "12.5 queries/s arrive at random" in text
    assert "2 workers at once" in text
    assert "4 clients at once" in render(report([0.05] * 40, concurrency=4), "table", width=200)


def test_a_partial_placement_is_never_rounded_up_and_says_what_ran_elsewhere():
    text = render(report(share=0.9999, left_behind=("Softmax",)), "table", width=200)
    assert "99.9% of 9 nodes" in text
    assert "elsewhere: Softmax" in text


def test_an_unknown_format_names_the_closest(found):
    with pytest.raises(InvalidSetting) as caught:
        render(found, "tabel")
    assert "`table`" in caught.value.hint
    with pytest.raises(InvalidSetting) as caught:
        render(found, "yaml")
    assert "table or json or csv or md or html or summary" in caught.value.hint


@pytest.mark.parametrize("form", FORMS)
def test_a_hundred_thousand_samples_render_at_once(form):
    seconds = times(n=100_000, cv=0.1)
    seconds[500] = 1.0
    large = report(seconds)
    began = time.perf_counter()
    text = render(large, form)
    assert time.perf_counter() - began < 3  # measured: 0.04 s, JSON 0.2 s
    if form == "table":
        assert "up to 1.000 s" in text
        assert "100,000 runs" in text
