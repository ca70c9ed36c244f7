"""The benchmark's page as a file: closed to the network, small, quick, and every figure of the record in it."""

import base64
import hashlib
import json
import re
import subprocess
import sys
import time
from dataclasses import fields, replace

import altair as alt
import browser
import numpy as np
import pytest
from bench_reports import OUT_OF_MEMORY, report, suite, sweep, times

from gpux.bench import comparison, ranking
from gpux.bench.intervals import Ratio
from gpux.bench.render.html import charts, compared, page, plotting, require, rows, thinning
from gpux.bench.render.html.elements import escaped
from gpux.bench.samples import Failure
from gpux.bench.settings import Settings


def dom(text):
    return browser.tree(text)


def plots(text):
    return json.loads(dom(text).first("script", type="application/json").text)["plots"]


def data(specification, column):
    """The values of a column in all the data of a plot."""
    return [row[column] for found in specification["datasets"].values() for row in found if column in row]


def test_the_page_lets_nothing_in_and_nothing_out():
    text = page(report())
    found = dom(text)
    policy = dict(
        part.split(" ", 1)
        for part in found.first("meta", **{"http-equiv": "Content-Security-Policy"})
        .attributes["content"]
        .split("; ")
    )
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert set(policy) == {"default-src", "script-src", "style-src", "base-uri", "form-action"}
    scripts = [part for part in found.every("script") if "type" not in part.attributes]
    for name, parts in (("script-src", scripts), ("style-src", list(found.every("style")))):
        hashes = {
            f"'sha256-{base64.b64encode(hashlib.sha256(part.text.encode()).digest()).decode()}'"
            for part in parts
        }
        assert set(policy[name].split()) == hashes
    without = text
    for part in scripts:
        without = without.replace(part.text, "")
    assert not re.search(r"https?:|//[a-z]|url\(|@import|<link|<iframe|<img|\ssrc=|\shref=", without)
    # The library knows name spaces and an editor, which only its menu, left out here, would open.
    assert set(re.findall(r"https?://([^/\"'`\s]+)", scripts[0].text)) <= {
        "www.w3.org",
        "vega.github.io",
        "github.com",
    }
    assert all('"actions"' not in part.text and "actions: false" in part.text for part in scripts[1:])


def test_a_page_is_well_formed_and_each_table_and_plot_says_what_it_is():
    found = dom(page(report(failures=1)))
    assert [len(list(found.every(name))) for name in ("h1", "main", "title")] == [1, 1, 1]
    for table in found.every("table"):
        assert table.first("caption").text
        assert all(cell.attributes["scope"] in {"row", "col"} for cell in table.every("th"))
        columns = len(list(table.first("thead").every("th")))
        for row in table.first("tbody").every("tr"):
            assert sum(int(cell.attributes.get("colspan", 1)) for cell in row.children) == columns
    for figure in found.every("figure"):
        assert figure.first("figcaption").text
        assert figure.first("div", class_="plot").attributes["role"] == "img"
    identifiers = [
        part.attributes["id"]
        for name in ("div", "script")
        for part in found.every(name)
        if "id" in part.attributes
    ]
    assert len(identifiers) == len(set(identifiers))


def test_the_proof_stands_beside_the_speed():
    made = report(times(0.0065, cv=0), quality="lossy", min_cosine=0.9931234567, top1=0.97, share=0.875, precision="int8",
                  left_behind=("Gather",))  # fmt: skip
    found = dom(page(made))
    assert found.first("dl", class_="cards").first("strong").text == "6.500 ms"
    proof = found.first("div", class_="lossy").text
    for said in (
        "lossy",
        "against pytorch fp32",
        "cosine ≥ 0.993123",
        "top-1 97%",
        "87.5% of 9 nodes",
        "computed in int8",
        "Gather",
    ):
        assert said in proof
    assert "lossy" not in dom(page(report())).first("div", class_="proof").attributes["class"]


def test_every_statistic_setting_condition_and_version_is_on_the_page():
    seconds = times(0.01, n=300)
    made = report(seconds, failures=2, joules=3.0, cost_per_hour=2.0)
    text = dom(page(made)).text
    for value in (
        np.median(seconds),
        np.mean(seconds),
        np.std(seconds, ddof=1),
        *np.percentile(seconds, (90, 95, 99)),
        np.ptp([0, max(seconds)]),
    ):
        assert re.search(
            rf"\b{re.escape(f'{value * 1e3:.4g}')}0? ms|{value * 1e6:.1f} µs|{value * 1e3:.2f} ms", text
        ), value
    for field in fields(Settings):
        assert field.name.replace("_", " ") in text
    for reason in made.conditions.unknown.values():
        assert f"n/a: {reason}" in text
    for name, version in made.identity.versions.items():
        assert name in text
        assert version in text
    for caution in made.cautions:
        assert caution.message in text
        assert caution.hint in text
    for said in ("10.00 mJ per text", "avx512_vnni", made.identity.digest, made.identity.workload.sha256, "RunFailed: the runtime failed",
                 "Every single run stands with its time in the JSON document"):  # fmt: skip
        assert said in text
    assert "n/a: no counter" in dom(page(report())).text


def test_many_failures_are_counted_and_the_first_are_named():
    made = report(times(n=30))
    failures = tuple(Failure("steady", float(n), 0.1, 0, "RunFailed", f"failure {n}") for n in range(50))
    text = dom(page(replace(made, samples=replace(made.samples, failures=failures)))).text
    assert "failure 19" in text
    assert "failure 20" not in text
    assert "and 30 more" in text


def test_a_report_of_100_000_samples_is_small_and_quick(tmp_path):
    made = report(times(n=100_000))
    path = tmp_path / "report.json"
    made.save(path)
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from gpux.bench.suite import read_report; from gpux.bench.render import render; "
         "sys.stdout.buffer.write(render(read_report(sys.argv[1]), 'html').encode())", path],
        capture_output=True, check=True,
    )  # fmt: skip
    took = time.perf_counter() - begin
    assert len(done.stdout) <= 2_000_000
    # The law is 3 seconds on a machine of its own; this one may be shared with other tests.
    assert took < 12
    assert len(done.stdout) - len(page(report()).encode()) < 100_000


def test_the_counts_are_those_of_numpy():
    for seed, cv in ((0, 0.05), (1, 0.15), (2, 2.0)):
        ordered = sorted(times(cv=cv, n=5000, seed=seed))
        found = thinning.bins(ordered)
        edges = np.array(found.edges)
        inside = [value for value in ordered if edges[0] <= value <= edges[-1]]
        assert list(found.counts) == np.histogram(inside, edges)[0].tolist()
        assert (found.below, found.above) == (
            sum(np.array(ordered) < edges[0]),
            sum(np.array(ordered) > edges[-1]),
        )
        assert found.below + sum(found.counts) + found.above == 5000
        assert found.logarithmic == (cv == 2.0)
        assert 5 <= len(found.counts) <= thinning.BINS


def test_the_levels_are_points_of_the_empirical_distribution():
    ordered = sorted(times(n=10_000))
    found = thinning.levels(ordered)
    assert len(found) <= thinning.LEVELS + thinning.TAIL + 1
    assert (found[0], found[-1]) == ((ordered[0], 1e-4), (ordered[-1], 1.0))
    for value, share in found:
        assert share == pytest.approx(np.mean(np.array(ordered) <= value))
    assert thinning.levels([1.0, 2.0]) == [(1.0, 0.5), (2.0, 1.0)]


def test_the_time_line_keeps_every_outlier_and_the_extremes_of_each_slice():
    seconds = times(n=20_000, cv=0.02)
    far = [17, 9_000, 19_999]
    for position in far:
        seconds[position] *= 30
    made = report(seconds)
    assert set(far) <= set(made.summaries.outliers)
    found = charts.course(made, sorted(seconds))
    drawn = [row for part in found["datasets"].values() for row in part if "took" in row]
    assert {row["run"] for row in drawn} == {position + 1 for position in made.summaries.outliers}
    assert [row["took"] for row in drawn if row["run"] - 1 in far] == pytest.approx(
        [seconds[n] * 1e3 for n in far], rel=1e-5
    )
    assert {row["shape"] for row in drawn if row["run"] - 1 in far} == {"triangle-up"}
    assert max(data(found, "slowest")) == pytest.approx(max(seconds) * 1e3, rel=1e-5)
    assert min(data(found, "fastest")) == pytest.approx(min(seconds) * 1e3, rel=1e-5)
    blocks = (
        np.array(seconds).reshape(charts.SLICES, -1)
        if 20_000 % charts.SLICES == 0
        else np.array_split(seconds, charts.SLICES)
    )
    slices = [row for part in found["datasets"].values() for row in part if "fastest" in row]
    assert len(slices) == len(blocks) == charts.SLICES


def test_of_very_many_outliers_the_farthest_are_drawn():
    seconds = [1.0] * 5000
    positions = list(range(0, 4000, 2))
    for n in positions:
        seconds[n] = 10.0 + n
    found = thinning.farthest(seconds, positions, 1.0)
    assert found == positions[-thinning.MOST :]


def many():
    made = [
        (axes, OUT_OF_MEMORY if axes == {"variant": "fp32", "batch": 16} else
         report(times(0.004 + 0.002 * axes["batch"], n=40, seed=axes["batch"]), batch=axes["batch"], items=16, variant=axes["variant"],
                quality="exact" if axes["variant"] == "fp32" else "lossy", min_cosine=1.0 if axes["variant"] == "fp32" else 0.99))
        for axes in sweep(variant=("fp32", "int8"), batch=(1, 4, 16))
    ]  # fmt: skip
    return suite(made, interrupted=True)


def test_a_suite_has_a_row_per_configuration_and_its_curves():
    made = many()
    text = page(made)
    found = dom(text)
    table = next(
        part for part in found.every("table") if part.first("caption").text.startswith("Configurations")
    )
    cells = [row.first("th").text.strip("★≈ ") for row in table.first("tbody").every("tr")]
    assert cells == [row.label for row in made.rows]
    assert len(list(table.every("tr", class_="best"))) == 1
    assert "WorkerFailed: the worker ran out of memory" in table.text
    assert "lossy" in table.text
    failed = found.first("section", class_="failures").text
    assert "fp32 · batch 16: WorkerFailed: the worker ran out of memory" in failed
    assert "use a smaller batch" in failed
    for sentence in ranking.rank(made).sentences:
        assert sentence.replace("`", "") in found.text
    throughput, latency, _ = plots(text)
    known = {
        (row.axes["variant"], float(row.axes["batch"])): row.report
        for row in made.rows
        if row.report is not None
    }
    for specification, unit in ((throughput, 1.0), (latency, 1e3)):
        drawn = [row for part in specification["datasets"].values() for row in part if "low" in row]
        assert {(row["line"], row["at"]) for row in drawn} == set(known)
        assert sum(row["best"] for row in drawn) == 1
        for row in drawn:
            summaries = known[row["line"], row["at"]].summaries
            name = "throughput" if unit == 1.0 else "median"
            value = summaries.throughput if unit == 1.0 else summaries.steady.median
            expected = [number * unit for number in (value, *summaries.intervals[name])]
            assert [row["value"], row["low"], row["high"]] == pytest.approx(expected, rel=1e-5)
        missing = [row for part in specification["datasets"].values() for row in part if "why" in row]
        assert [(row["at"], row["line"], row["why"]) for row in missing] == [
            (16.0, "fp32", "the worker ran out of memory")
        ]
    assert "interrupted" in found.first("ul", class_="chips").text
    assert [part.first("summary").text for part in found.every("details")] == [row.label for row in made.rows]


def test_where_no_row_is_the_fastest_the_weakest_proof_is_shown():
    rows = [
        (
            {"sequence": n},
            report(
                times(0.001 * n, n=30),
                sequence=n,
                items=n,
                sha256=f"{n:064}",
                quality=quality,
                min_cosine=cosine,
            ),
        )
        for n, quality, cosine in ((32, "exact", 1.0), (128, "lossy", 0.98))
    ]
    text = page(suite(rows))
    proof = dom(text).first("div", class_="proof")
    assert "the weakest proof of all: sequence 128" in proof.text
    assert "lossy against pytorch fp32 · cosine ≥ 0.980000" in proof.text
    for specification in plots(text)[:2]:
        assert '"format": "d"' in json.dumps(specification)


def test_a_suite_without_figures_is_a_page_too():
    text = page(suite([({"batch": 1}, OUT_OF_MEMORY), ({"batch": 2}, OUT_OF_MEMORY)]))
    assert "the worker ran out of memory" in dom(text).text
    assert "<script" not in text


def test_a_report_without_a_run_is_a_page_too():
    text = dom(page(report([], failures=3))).text
    assert "no run was finished" in text
    assert "RunFailed" in text


def test_a_comparison_shows_ratios_verdicts_and_proofs():
    reports = [
        report(times(0.01, seed=1)),
        report(times(0.012, seed=2), quality="near"),
        report(times(0.01, seed=3), share=0.5),
    ]
    versus = comparison.compare(reports, names=["base", "other", "same"])
    text = compared(versus, reports)
    found = dom(text)
    for row in versus.rows:
        assert f"{row.name}: {row.sentence}" in found.text
        for said in row.differences:
            assert said in found.text
    drawn = [row for part in plots(text)[0]["datasets"].values() for row in part if "verdict" in row]
    assert [row["name"] for row in drawn] == ["other", "same"]
    for row, expected in zip(drawn, versus.rows, strict=True):
        assert [row[name] for name in ("ratio", "low", "high")] == pytest.approx(
            [getattr(expected.ratio, name) for name in ("value", "low", "high")], rel=1e-5
        )
        assert row["verdict"] == expected.ratio.verdict
    proofs = next(part for part in found.every("table") if "proof" in part.first("caption").text)
    assert [row.children[2].text for row in proofs.first("tbody").every("tr")] == ["exact", "near", "exact"]


def test_every_plot_follows_the_schema_of_its_library():
    reports = [report(times(0.01, seed=1)), report(times(0.012, seed=2))]
    versus = compared(comparison.compare(reports, names=["a", "b"]), reports)
    trace = replace(report().memory.trace, seconds=(0.0, 1.0, 2.0), bytes=(1 << 28, 1 << 29, 1 << 28))
    one = page(replace(report(), memory=replace(report().memory, trace=trace)))
    found = [*plots(page(many())), *plots(versus), *plots(one)]
    assert len(found) == 3 + 2 + 5
    for specification in found:
        alt.Chart.from_dict(specification)


def test_intervals_that_are_missing_are_drawn_as_points():
    found = rows.forest([("few", Ratio(1.5, None, None, 0.99, "same"))], "ratio")
    assert data(found, "low") == data(found, "high") == [1.5]
    assert rows.forest([], "ratio") is rows.spread([]) is None


def test_text_is_escaped():
    assert escaped("<a b=\"c\" d='e'>&") == "&lt;a b=&quot;c&quot; d=&#x27;e&#x27;&gt;&amp;"
    assert escaped("a\u202eb\u2028c\0\ud800").isprintable()
    evil = "</script><!--<script>`\u2028\ud800"
    text = page(
        suite([({"provider": evil}, report(reference=evil)), ({"provider": "b"}, report(times(0.02)))])
    )
    text.encode()
    begin = text.index('id="plots">') + len('id="plots">')
    block = text[begin : text.index("</script>", begin)]
    assert not set("<>&\u2028") & set(block)
    assert block.isascii()
    names = [
        row["name"]
        for part in json.loads(block)["plots"][-1]["datasets"].values()
        for row in part
        if "name" in row
    ]
    assert names[0] == evil.replace("\u2028", "\\u2028").replace("\ud800", "\\ud800")


def test_without_the_extra_the_hint_is_what_to_type():
    # A child whose finder hides the library stands for an environment without it.
    code = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hidden())
sys.path[:0] = sys.argv[2:]
from bench_reports import report
from gpux.bench.render.html import page
from gpux.errors import GpuxError
try:
    page(report())
except GpuxError as error:
    print(error.message, "|", error.hint)
"""
    here = browser.__file__.rpartition("/")[0]
    for name in ("altair", "vl_convert"):
        done = subprocess.run(
            [sys.executable, "-c", code, name, f"{here}/unit", here],
            capture_output=True,
            text=True,
            check=True,
        )
        assert (
            done.stdout
            == f"an HTML page needs `{name}`, which is not installed | pip install 'gpux[report]'\n"
        )
    require()


def test_asking_for_the_page_costs_no_plots():
    code = "import sys, gpux.bench.render.html; print([n for n in ('altair', 'vl_convert', 'numpy') if n in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "[]\n"
    )


def test_units_are_those_of_the_figures():
    assert plotting.Unit(0.0065).name == "milliseconds"
    assert plotting.Unit(0.0065).of(0.00651234567) == 6.51235
    assert plotting.Unit(3.0).name == "seconds"
    assert plotting.Unit(4e-5).of(5e-5) == 50.0
