"""Whatever a record holds, no line is wider than asked, nothing drives the terminal, and ASCII is ASCII."""

import unicodedata
from dataclasses import replace

import pytest
from bench_reports import GPU, OUT_OF_MEMORY, report, suite, sweep, times
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpux.bench import assess, comparison
from gpux.bench.history import Course, Entry, Trend
from gpux.bench.render import render, render_assessment, render_comparison, render_trend, screen, units
from gpux.bench.render.screen import Screen

WIDTHS = (40, 60, 80, 120, 200)
HOSTILE = "\x1b[2J\x1b]0;x\x07evil\n| =1+1 | `<b>`\r\t\u202eback\ud800"
WIDE = "日本語の模型" * 12


def columns(line):
    """Columns as a terminal counts them at most."""
    return sum(
        0
        if unicodedata.category(c) in ("Mn", "Me")
        or c in "\u200c\u200d"  # joiners have no width: Markus Kuhn's wcwidth
        else 2
        if unicodedata.east_asian_width(c) in ("W", "F")
        else 1
        for c in line
    )


def fits(text, width):
    wide = [line for line in text.splitlines() if columns(line) > width]
    assert not wide, wide


def named(name, seconds, **more):
    found = report(
        seconds, reference=name, provider=name, device=name, variant=name, against=name, devices=[replace(GPU, name=name)],
        machine={"processor": name}, versions={"onnxruntime-plug-in-of-a-third-party": name}, origin=name,
        left_behind=(name,), parameters={"candidate_labels": name}, **more,
    )  # fmt: skip
    steady = found.samples.steady
    samples = replace(found.samples, steady=replace(steady, stages={**steady.stages, name: steady.seconds}))
    shares = {**found.summaries.shares, name: 0.1} if len(steady) else {}
    return replace(found, samples=samples, summaries=replace(found.summaries, shares=shares))


def documents(name, seconds):
    one = named(name, seconds, failures=1, joules=4.0)
    rows = [(axes, named(name, seconds, batch=axes["batch"])) for axes in sweep(variant=[name], batch=[1, 8])]
    many = suite([*rows, ({"variant": name, "batch": 99}, replace(OUT_OF_MEMORY, message=name, hint=name))])
    rows = (replace(many.rows[0], agreement=0.99), *many.rows[1:])
    return one, replace(many, rows=rows)


def texts(name, seconds, width, *, plain):
    for document in documents(name, seconds):
        for form in ("table", "summary"):
            yield render(document, form, width=width, plain=plain)
    both = [named(name, seconds), named("x", seconds, batch=8)]
    compared = comparison.compare(both, names=[name, f"{name} 2"], anyway=True)
    yield render_comparison(compared, "table", width=width, plain=plain)
    yield render_assessment(assess.assess(both[0]), "table", width=width, plain=plain)
    yield render_trend(trend(name), "table", width=width, plain=plain)


def entry(name, number=1, **more):
    known = {
        "id": number, "reference": name, "started": "2026-01-02T03:04:05+00:00", "configuration": {}, "facts": {name: name},
        "n": 9, "median": 0.01 * number, "mean": 0.01, "std": None, "p95": 0.01, "p99": 0.01, "interval": (0.009, 0.011),
        "throughput": 99.5, "peak": 1 << 30, "joules": None, "quality": name, "min_cosine": 0.999, "failures": 2,
        "interrupted": True, "seconds": (0.01,) * 9,
    }  # fmt: skip
    return Entry(**{**known, **more})


def trend(name):
    entries = tuple(entry(name, number) for number in range(1, 300))
    return Trend(
        name, (Course(name, {}, entries, None, (), name), Course("x", {}, entries[:1], None, (), "first"))
    )


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("name", ["org/tiny", HOSTILE, WIDE, "a" * 300, "word " * 50, "", " "], ids=ascii)
@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_is_wider_than_the_terminal(width, name, plain):
    for text in texts(name, times(n=60), width, plain=plain):
        fits(text, width)
        assert text.isascii() or not plain
        assert all(c.isprintable() or c == "\n" for c in text)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    name=st.text(max_size=80),
    seconds=st.lists(st.just(0.0) | st.floats(1e-12, 1e4) | st.floats(1e-3, 1e-2), max_size=60),
    width=st.integers(40, 200),
    plain=st.booleans(),
)
def test_no_line_is_wider_whatever_is_measured(name, seconds, width, plain):
    for document in documents(name, seconds):
        for form in ("table", "summary"):
            text = render(document, form, width=width, plain=plain)
            fits(text, width)
            text.encode("ascii" if plain else "utf-8")


@settings(max_examples=200, deadline=None)
@given(text=st.text(), first=st.text("ab ", max_size=5), width=st.integers(40, 90), plain=st.booleans())
def test_wrapping_loses_nothing_but_spaces(text, first, width, plain):
    shown = Screen(width, plain=plain)
    lines = shown.wrap(text, first=first, rest="  ")
    fits("\n".join(lines), width)
    assert "".join("".join(lines).split()) == "".join((first + shown.show(text)).split())


@settings(max_examples=200, deadline=None)
@given(text=st.text(), size=st.integers(0, 50), plain=st.booleans())
def test_what_is_cut_fits_and_keeps_both_ends(text, size, plain):
    shown = Screen(plain=plain)
    assert columns(shown.cut(text, size)) <= size
    assert shown.cut("results/of-today.json", 12) == ("resul...json" if plain else "result….json")


def test_a_figure_keeps_its_unit_and_an_interval_stays_whole():
    text = "took 12.5 ms and 149.1 to 155.0 of them, cosine ≥ 0.99, 3 ± 1 ms in the middle of the line"
    for width in range(40, 90):
        joined = "\n".join(Screen(width).wrap(text))
        for piece in ("12.5 ms", "149.1 to 155.0", "≥ 0.99", "3 ± 1 ms"):
            assert piece in joined


def test_below_the_narrowest_width_it_is_laid_out_for_that():
    assert render(report(), "table", width=7) == render(report(), "table", width=screen.NARROWEST)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (1.5e-8, "15.00 ns"),
        (2e-4, "200.0 µs"),
        (0.0109, "10.90 ms"),
        (0.99999, "1.000 s"),
        (1.0, "1.000 s"),
        (125.25, "125.2 s"),
    ],
)
def test_durations_have_four_digits_and_a_unit(seconds, text):
    assert units.duration(seconds) == text


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (units.percent(0.99999), "99.9%"),
        (units.percent(1.0), "100%"),
        (units.percent(0.0001), "<0.1%"),
        (units.percent(0.0), "0%"),
        (units.cosine(0.9999999), "0.999999"),
        (units.cosine(1.0), "1.000000"),
        (units.cosine(-0.25), "-0.250000"),
        (units.size(1023), "1023 B"),
        (units.size(1024), "1.0 KiB"),
        (units.size((1 << 20) - 1), "1.0 MiB"),
        (units.size(None), "n/a"),
        (units.span(0.006512, 0.006623), "6.512 to 6.623 ms"),
        (units.span(0.0009, 0.0011), "900.0 µs to 1.100 ms"),
        (units.number(1981.4), "1,981"),
        (units.number(0.05), "0.05"),
        (units.energy(0.0004), "400.0 µJ"),
        (units.singular("queries"), "query"),
        (units.singular("sentences"), "sentence"),
        (units.items(1, "images"), "1 image"),
    ],
)  # fmt: skip
def test_figures_as_people_read_them(said, text):
    assert said == text
