"""The page itself: style, plots and their library around a body, closed to the network; knows no record."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from gpux._version import __version__
from gpux.bench.render.html.elements import escaped
from gpux.bench.render.html.script import DRAW
from gpux.bench.render.html.style import PLOTS, STYLE
from gpux.bench.render.screen import one_line
from gpux.errors import GpuxError

_NO_SCRIPT = "The plots need JavaScript. Every figure is in the tables as well."


class Sheet:
    """The plots of one page, in the order in which they were placed."""

    def __init__(self) -> None:
        self._plots: list[dict[str, Any]] = []

    def plot(self, specification: dict[str, Any] | None, title: str, *, said: str, note: str = "") -> str:
        """A figure for a plot; nothing where there is none.

        Args:
            specification: Of Vega-Lite.
            title: What it shows.
            said: The same in words, for who does not see it.
            note: A remark below.
        """
        if specification is None:
            return ""
        self._plots.append(specification)
        number = len(self._plots) - 1
        remark = f"<small>{escaped(note)}</small>" if note else ""
        return (
            f'<figure><figcaption>{escaped(title)}{remark}</figcaption><div class="plot" id="plot-{number}" role="img" '
            f'aria-label="{escaped(said)}"></div></figure>'
        )

    def page(self, title: str, body: str) -> str:
        """The whole document around a body of HTML.

        Raises:
            GpuxError: The extra ``report`` is not installed.
        """
        scripts = [_inert(library()), DRAW] if self._plots else []
        # A block of data is never run, so that it needs no hash.
        data = _embedded({"config": PLOTS, "plots": self._plots})
        policy = "; ".join(
            (
                "default-src 'none'",
                f"script-src {' '.join(map(_hash, scripts)) or chr(39) + 'none' + chr(39)}",
                f"style-src {_hash(STYLE)}",
                "base-uri 'none'",
                "form-action 'none'",
            )
        )
        end = f'<script type="application/json" id="plots">{data}</script>\n' if scripts else ""
        end += "".join(f"<script>{script}</script>\n" for script in scripts)
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">\n'
            f'<meta name="generator" content="gpux {escaped(__version__)}">\n'
            f"<title>{escaped(title)}</title>\n<style>{STYLE}</style></head>\n<body>\n<main>\n"
            f'{body}<noscript><p class="note">{escaped(_NO_SCRIPT)}</p></noscript>\n</main>\n{end}</body></html>\n'
        )


def library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script; about 0.9 MB.

    Raises:
        GpuxError: The extra ``report`` is not installed.
    """
    try:
        import vl_convert
    except ImportError as error:
        raise missing("vl_convert") from error
    bundle: str = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # its stub asks for a snippet; it needs none
    return bundle


def missing(name: str) -> GpuxError:
    """The error that says what to install where the package of this name is not."""
    return GpuxError(
        f"an HTML page needs `{name}`, which is not installed",
        hint="pip install 'gpux[report]'",
        extra="report",
    )


def _embedded(value: Any) -> str:
    """JSON that neither ends the element that it stands in nor, read as a script, a line."""
    text = json.dumps(_shown(value), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _shown(value: Any) -> Any:
    """A value whose texts hide no control and formatting characters."""
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, list):
        return [_shown(part) for part in value]
    return {name: _shown(part) for name, part in value.items()} if isinstance(value, dict) else value


def _inert(script: str) -> str:
    """A script that the parser of HTML reads to its end, with the line ends that it would make of it."""
    script = script.replace("\r\n", "\n").replace("\r", "\n")
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
