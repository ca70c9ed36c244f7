"""The benchmark's page in a real browser: every plot drawn, nothing refused, nothing fetched, nothing cut off."""

import json
from dataclasses import replace

import browser
import numpy as np
import pytest
from unit.bench_reports import GPU, OUT_OF_MEMORY, report, suite, sweep, times

from gpux.bench import comparison
from gpux.bench.memory import Curve
from gpux.bench.render.html import compared, page

pytestmark = [
    pytest.mark.skipif(browser.installed() is None, reason="Chromium is not installed"),
    pytest.mark.timeout(300),
]


def whole(seed=0, **more):
    """A report with something in every section."""
    seconds = np.array(times(0.0065, n=400, seed=seed))
    seconds[[7, 90, 300]] *= 6
    found = report(
        seconds.tolist(), joules=5.0, failures=2, cost_per_hour=1.0, devices=(GPU,), top1=1.0, **more
    )
    trace = Curve(tuple(n / 10 for n in range(50)), tuple((100 + 4 * n) << 20 for n in range(50)))
    return replace(found, memory=replace(found.memory, trace=trace))


def many():
    rows = [
        (axes, OUT_OF_MEMORY if axes == {"variant": "fp32", "batch": 16} else
         report(times(0.004 + 0.002 * axes["batch"], n=40, seed=axes["batch"]), batch=axes["batch"], items=16,
                variant=axes["variant"], quality="exact" if axes["variant"] == "fp32" else "lossy"))
        for axes in sweep(variant=("fp32", "int8"), batch=(1, 4, 16))
    ]  # fmt: skip
    return suite(rows)


def versus():
    reports = [report(times(0.01, seed=1)), report(times(0.012, seed=2)), report(times(0.008, seed=3))]
    return compared(comparison.compare(reports, names=["a", "b", "c"]), reports)


PAGES = {
    # the page, its plots, and at least so many marks of each kind in it
    "report": (lambda: page(whole()), 5, {"mark-rect": 15, "mark-line": 3, "mark-symbol": 3, "mark-area": 1}),
    "suite": (lambda: page(many()), 3, {"mark-line": 4, "mark-symbol": 10, "mark-rect": 5}),
    "providers": (
        lambda: page(suite([({"provider": p}, report(times(s, seed=n))) for n, (p, s) in enumerate((("cpu", 0.01), ("other", 0.02)))])),
        2, {"mark-symbol": 1, "mark-rect": 2},
    ),
    "comparison": (versus, 2, {"mark-symbol": 2, "mark-line": 3}),
    "one run": (lambda: page(report([0.01])), 3, {"mark-rect": 2}),
    "equal runs": (lambda: page(report([0.01] * 30)), 4, {"mark-rect": 2, "mark-line": 2}),
}  # fmt: skip


@pytest.fixture(scope="module", params=PAGES)
def opened(request, tmp_path_factory):
    make, plots, marks = PAGES[request.param]
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(make(), encoding="utf-8")
    dom, console = browser.browse(path)
    return path, browser.tree(dom), console, plots, marks


def test_every_plot_is_drawn_and_nothing_goes_wrong(opened):
    _, dom, console, plots, marks = opened
    root = dom.first("html")
    assert console == []
    assert "data-errors" not in root.attributes
    assert root.attributes["data-drawn"] == str(plots)
    places = list(dom.every("div", class_="plot"))
    assert len(places) == plots
    for place in places:
        drawing = place.first("svg")
        assert sum(1 for name in ("path", "line", "text") for _ in drawing.every(name)) > 5
        assert float(drawing.attributes["width"]) > 200
        assert "NaN" not in json.dumps([element.attributes for element in drawing.every("path")])
        assert len(place.attributes["aria-label"]) > 10
    for kind, least in marks.items():
        groups = [
            group
            for place in places
            for group in place.every("g", class_=kind)
            if group.has("class_", "role-mark")
        ]
        drawn = [shape for group in groups for shape in group.every("path") if shape.attributes.get("d")]
        assert len(drawn) >= least, (kind, len(drawn))


LAYOUT = """(() => {
  const root = inside.documentElement, edge = root.clientWidth;
  const wide = [...inside.querySelectorAll("main *")].filter((part) => {
    const box = part.getBoundingClientRect();
    return !part.parentElement.closest(".wide, svg") && (box.right > edge + 1 || box.left < -1);
  });
  const plots = [...inside.querySelectorAll(".plot svg")].map((plot) => plot.getBoundingClientRect().width);
  return {edge, scroll: root.scrollWidth, wide: wide.map((part) => part.outerHTML.slice(0, 80)), drawn: root.dataset.drawn, plots};
})()"""


@pytest.mark.parametrize("width", [400, 1120])
def test_nothing_overflows(opened, tmp_path, width):
    found = browser.framed(opened[0], LAYOUT, tmp_path, width=width)
    assert found["edge"] == width
    assert found["scroll"] <= width
    assert found["wide"] == []
    assert found["drawn"] == str(opened[3])
    assert all(150 < drawn <= width for drawn in found["plots"])


PLAIN = """(() => {
  const seen = (part) => part.getBoundingClientRect().height > 10;
  return {tables: [...inside.querySelectorAll("section > .wide > table")].filter(seen).length,
    figures: [...inside.querySelectorAll("figure")].filter(seen).length, svg: inside.querySelectorAll("svg").length,
    remark: [...inside.querySelectorAll("noscript p")].filter(seen).map((part) => part.textContent)};
})()"""


def test_a_page_without_scripts_still_has_its_tables(opened, tmp_path):
    found = browser.framed(opened[0], PLAIN, tmp_path, script=False)
    assert found["tables"] >= 1
    assert (found["figures"], found["svg"]) == (0, 0)
    assert "The plots need JavaScript" in found["remark"][0]


def test_hostile_names_are_text(tmp_path):
    path = tmp_path / "page.html"
    evil = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"><!-- \u2028\u202e"
    made = report(times(n=50), reference=evil, device=evil, left_behind=(evil,), origin=evil, parameters={evil: evil},
                  failures=1, versions={evil: evil})  # fmt: skip
    path.write_text(
        page(
            suite(
                [
                    ({"provider": evil}, made),
                    ({"provider": "cpu"}, report(times(0.02), parameters={evil: evil}, origin=evil)),
                ]
            )
        ),
        encoding="utf-8",
    )
    dom, console = browser.browse(path)
    found = browser.tree(dom)
    assert console == []
    assert "owned" not in found.first("title").text[:5]
    assert found.first("title").text.startswith("</script>")
    assert not list(found.every("img"))
    assert found.first("html").attributes["data-drawn"] == "2"
    assert found.first("h1").text.startswith("</script><script>")
    assert "\u202e" not in dom


COLOURS = """(() => {
  const style = (part, name) => inside.defaultView.getComputedStyle(part)[name].match(/[0-9.]+/g).slice(0, 3).map(Number);
  return {page: style(inside.body, "backgroundColor"), text: style(inside.body, "color"),
    label: style(inside.querySelector(".plot svg .role-axis-label text"), "fill")};
})()"""


@pytest.mark.parametrize("dark", [False, True])
def test_the_page_and_its_plots_follow_the_screen(tmp_path, dark):
    path = tmp_path / "page.html"
    path.write_text(page(whole()), encoding="utf-8")
    found = browser.framed(path, COLOURS, tmp_path, dark=dark)
    light = {name: sum(colour) / 3 for name, colour in found.items()}
    if dark:
        assert light["page"] < 60
        assert min(light["text"], light["label"]) > 140
    else:
        assert light["page"] > 220
        assert max(light["text"], light["label"]) < 120
