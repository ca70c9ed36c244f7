"""How a page and its plots look, on light and dark screens, narrow ones and paper; knows no content.

The plots are SVG and name the page's own colours, so that they follow the screen without being drawn again.
"""

from typing import Any

STYLE = """
:root { color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --line: #dfe3e8; --ink: #16191d; --soft: #59636e; --faint: #e9ecf0;
  --good: #0b7a4b; --good-card: #e8f5ee; --warn: #8a5800; --warn-card: #fdf3df; --bad: #b3261e; --bad-card: #fbeaea;
  --best: #0b7a4b;
  --s1: #2f5fd0; --s2: #d9702b; --s3: #0f8a7c; --s4: #a63d8f; --s5: #7a6a12; --s6: #4a9bd6; --s7: #c23b4b; --s8: #6b7280;
}
@media (prefers-color-scheme: dark) { :root {
  --page: #101317; --card: #181c21; --line: #2c333b; --ink: #e8ebef; --soft: #9aa5b1; --faint: #232930;
  --good: #5fd09a; --good-card: #14291f; --warn: #f0b95a; --warn-card: #2c2413; --bad: #ff8a80; --bad-card: #331c1b;
  --best: #5fd09a;
  --s1: #7aa2ff; --s2: #ff9d5c; --s3: #4fd1c0; --s4: #e08ad0; --s5: #d6c45a; --s6: #8fcdf7; --s7: #ff8792; --s8: #a3adb8;
} }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--ink); overflow-wrap: anywhere;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", Arial, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 40px 24px 64px; }
header { margin-bottom: 24px; }
h1 { font-size: 30px; line-height: 1.2; letter-spacing: -.015em; margin: 4px 0 10px; font-weight: 650; }
h2 { font-size: 17px; margin: 0 0 14px; font-weight: 650; letter-spacing: -.005em; }
h3 { font-size: 15px; margin: 22px 0 8px; font-weight: 650; }
.over { margin: 0; color: var(--soft); font-size: 12px; font-weight: 600; letter-spacing: .08em; text-transform: uppercase; }
.chips { display: flex; flex-wrap: wrap; gap: 6px; margin: 0 0 10px; padding: 0; list-style: none; }
.chips li { border: 1px solid var(--line); background: var(--card); border-radius: 999px; padding: 2px 11px; font-size: 13px; }
.when { margin: 0; color: var(--soft); font-size: 13px; }
section, .cards > div { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
section { padding: 20px 22px 22px; margin: 0 0 16px; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 12px; margin: 0 0 12px; }
.cards > div { padding: 14px 18px 13px; }
.cards dt { color: var(--soft); font-size: 13px; }
.cards dd { margin: 0; }
.cards strong { display: block; font-size: 25px; line-height: 1.3; font-weight: 650; letter-spacing: -.02em;
  font-variant-numeric: tabular-nums; }
.cards small { color: var(--soft); font-size: 12.5px; font-variant-numeric: tabular-nums; }
.proof { display: flex; flex-wrap: wrap; gap: 4px 14px; align-items: baseline; border-radius: 10px; padding: 12px 18px;
  margin: 0 0 16px; background: var(--good-card); border: 1px solid var(--good); font-size: 14px; }
.proof b { color: var(--good); }
.proof.lossy { background: var(--warn-card); border-color: var(--warn); }
.proof.lossy b { color: var(--warn); }
.proof p { margin: 0; flex: 1 1 340px; }
.proof .of { flex: 1 1 100%; font-weight: 650; }
.notice ul { margin: 0; padding: 0; list-style: none; }
.notice li + li { margin-top: 10px; }
.notice li span { display: block; color: var(--soft); }
.notice li span::before { content: "→ "; }
.warnings { border-color: var(--warn); background: var(--warn-card); }
.warnings h2 { color: var(--warn); }
.failures { border-color: var(--bad); background: var(--bad-card); }
.failures h2 { color: var(--bad); }
.findings ul { margin: 0; padding-left: 20px; }
.findings li + li { margin-top: 4px; }
.note { color: var(--soft); font-size: 13px; margin: 12px 0 0; }
.pair { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 28px; }
figure { margin: 0 0 8px; min-width: 0; }
figure + figure, .pair + figure, .wide + figure, figure + .wide, .pair + .wide, .facts + .wide, .wide + .wide, .wide + .facts { margin-top: 18px; }
.pair > figure + figure { margin-top: 0; }
.pair + .pair { margin-top: 22px; }
figcaption { font-size: 14px; font-weight: 600; margin-bottom: 8px; }
figcaption small { display: block; color: var(--soft); font-weight: 400; font-size: 12.5px; }
.plot { width: 100%; display: block; overflow: hidden; }
.plot svg { display: block; max-width: 100%; height: auto; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; min-width: min(100%, 600px); font-size: 14px; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding-bottom: 6px; }
th, td { text-align: left; padding: 6px 18px 6px 0; border-bottom: 1px solid var(--faint); vertical-align: top; overflow-wrap: normal; }
th:last-child, td:last-child { padding-right: 0; overflow-wrap: anywhere; }
thead th { color: var(--soft); font-weight: 500; font-size: 13px; white-space: nowrap; border-bottom-color: var(--line); }
tbody th { font-weight: 500; min-width: 9em; }
td { min-width: 4.5em; }
td:nth-child(n + 7):last-child { min-width: 20em; }
code { font: 0.92em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
tbody tr:last-child > * { border-bottom: 0; }
.figure { text-align: right; }
.figure, .short { white-space: nowrap; }
tr.best > * { background: var(--good-card); }
tr.best th { color: var(--good); font-weight: 650; }
.facts { display: grid; grid-template-columns: minmax(110px, max-content) minmax(0, 1fr); gap: 6px 22px; margin: 0; font-size: 14px; }
.facts dt { color: var(--soft); }
.facts dd { margin: 0; grid-column: 2; }
details { border-top: 1px solid var(--faint); }
details:last-of-type { border-bottom: 1px solid var(--faint); }
summary { cursor: pointer; padding: 10px 0; font-weight: 500; }
details[open] > summary { font-weight: 650; }
details > :last-child { margin-bottom: 18px; }
footer { color: var(--soft); font-size: 13px; margin-top: 24px; }
:focus-visible { outline: 2px solid var(--s1); outline-offset: 2px; }
html:not(.scripted) figure { display: none; }
#vg-tooltip-element { position: fixed; visibility: hidden; z-index: 10; pointer-events: none; max-width: 320px; padding: 7px 10px;
  border: 1px solid var(--line); border-radius: 7px; background: var(--card); color: var(--ink); font-size: 12.5px;
  box-shadow: 0 4px 16px rgb(0 0 0 / 18%); }
#vg-tooltip-element.visible { visibility: visible; }
#vg-tooltip-element table { width: auto; font-size: 12.5px; }
#vg-tooltip-element td { border: 0; padding: 1px 0; }
#vg-tooltip-element td.key { color: var(--soft); padding-right: 10px; }
@media (max-width: 720px) {
  main { padding: 24px 12px 40px; }
  h1 { font-size: 23px; }
  section { padding: 16px 14px; }
  .pair { grid-template-columns: minmax(0, 1fr); }
  .cards { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 8px; }
  .cards > div { padding: 10px 12px; }
  .cards strong { font-size: 20px; }
  .facts { grid-template-columns: minmax(0, 1fr); gap: 0; }
  .facts dd { grid-column: 1; margin-bottom: 8px; }
  th, td { padding-right: 12px; }
}
@media print {
  :root { color-scheme: light; --page: #fff; --card: #fff; --line: #ccc; --ink: #000; --soft: #444; --faint: #e5e5e5;
    --good: #0b7a4b; --good-card: #fff; --warn: #8a5800; --warn-card: #fff; --bad: #b3261e; --bad-card: #fff; --best: #0b7a4b;
    --s1: #2f5fd0; --s2: #d9702b; --s3: #0f8a7c; --s4: #a63d8f; --s5: #7a6a12; --s6: #4a9bd6; --s7: #c23b4b; --s8: #6b7280; }
  body { font-size: 11px; }
  main { max-width: none; padding: 0; }
  section, .cards > div { border-radius: 0; }
  section { padding: 10px 0; border-width: 1px 0 0; }
  figure, tr, .cards > div, .proof { break-inside: avoid; }
  h2, figcaption, caption { break-after: avoid; }
  .wide { overflow: visible; }
  .cards strong { font-size: 18px; }
}
"""

SERIES = tuple(f"var(--s{number})" for number in range(1, 9))
"""Colours of series, told apart also by who does not see all colours, with shapes beside them where they are many."""

_FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", Arial, sans-serif'

PLOTS: dict[str, Any] = {
    "background": "transparent",
    "font": _FONT,
    "padding": {"left": 2, "right": 10, "top": 6, "bottom": 2},
    "autosize": {"type": "fit-x", "contains": "padding"},
    "view": {"stroke": None},
    "range": {"category": list(SERIES)},
    "axis": {
        "labelColor": "var(--soft)", "titleColor": "var(--soft)", "labelFontSize": 11.5, "titleFontSize": 12,
        "titleFontWeight": "normal", "gridColor": "var(--faint)", "domainColor": "var(--line)", "tickColor": "var(--line)",
        "labelPadding": 5, "titlePadding": 9, "labelOverlap": "greedy", "labelSeparation": 14,
    },
    "axisX": {"grid": False},
    "axisY": {"domain": False, "ticks": False, "tickCount": 5},
    "legend": {
        "orient": "top", "direction": "horizontal", "labelColor": "var(--ink)", "labelFontSize": 12, "title": None,
        "symbolStrokeWidth": 2, "labelLimit": 260, "offset": 6, "padding": 0,
    },
    "text": {"color": "var(--ink)", "font": _FONT, "fontSize": 12},
    "rule": {"color": "var(--soft)"},
}  # fmt: skip
"""The configuration of every plot, for Vega-Lite."""
