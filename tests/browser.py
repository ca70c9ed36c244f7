"""A real browser for tests of pages: Chromium without a screen and without a network."""

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# These never close: https://html.spec.whatwg.org/multipage/syntax.html#void-elements
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


def installed():
    """The browser's path, or ``None``."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def browse(path, *, width=1120, height=1400, dark=False, screenshot=None):
    """Open a file: the document as it stood when its scripts had ended, and what the console said."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [
            installed(), "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
            "--disable-dev-shm-usage", f"--user-data-dir={profile}", f"--window-size={width},{height}",
            "--allow-file-access-from-files", "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=20000", "--enable-logging=stderr", "--v=0",
            f"--blink-settings=preferredColorScheme={0 if dark else 1}",
            f"--screenshot={screenshot}" if screenshot else "--dump-dom",
            Path(path).resolve().as_uri(),
        ]  # fmt: skip
        done = subprocess.run(
            command, capture_output=True, timeout=120, check=True, env={**os.environ, "HOME": profile}
        )
    errors = done.stderr.decode(errors="replace")
    return done.stdout.decode(), [line for line in errors.splitlines() if "CONSOLE" in line]


def framed(path, expression, folder, *, width=400, height=900, script=True, **options):
    """The value of a JavaScript expression on a page that is drawn; ``inside`` is its document.

    Chromium's window is no narrower than 500 pixels, and the page forbids every script but its own: it stands in a frame
    of the width that is asked for, and its neighbour asks; without ``script``, the page itself runs none.
    """
    frame, page = Path(folder) / "frame.html", Path(folder) / "framed.html"
    page.write_bytes(Path(path).read_bytes())
    sandbox = "" if script else ' sandbox="allow-same-origin"'
    frame.write_text(
        '<!doctype html><html><head><meta charset="utf-8"><meta name="color-scheme" content="light dark"><title>.</title>'
        f'</head><body><iframe src="framed.html" width="{width}" height="{height}" style="border:0"{sandbox}></iframe><script>'
        'const ask = () => { const inside = document.querySelector("iframe").contentDocument;'
        f'document.title = "@@" + JSON.stringify({expression}); }}; setTimeout(ask, 9000);</script></body></html>',
        encoding="utf-8",
    )
    dom, _ = browse(frame, **options)
    found = tree(dom).first("title").text
    assert found.startswith("@@"), f"the page in the frame gave no answer: {found!r}"
    return json.loads(found[2:])


@dataclass
class Element:
    """An element of a page."""

    name: str
    attributes: dict
    children: list = field(default_factory=list)

    @property
    def text(self):
        """All text within."""
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    def every(self, name, **attributes):
        """All elements of a name within, in order, with these attributes; ``class_`` is one of the classes."""
        for child in self.children:
            if isinstance(child, str):
                continue
            if child.name == name and all(child.has(*pair) for pair in attributes.items()):
                yield child
            yield from child.every(name, **attributes)

    def first(self, name, **attributes):
        """The first of them."""
        return next(self.every(name, **attributes))

    def has(self, name, value):
        """Whether an attribute has a value."""
        if name == "class_":
            return value in (self.attributes.get("class") or "").split()
        return self.attributes.get(name) == value


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open = [Element("document", {})]

    def handle_starttag(self, tag, attrs):
        element = Element(tag, dict(attrs))
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.open[-1].children.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open[-1].name == tag, f"</{tag}> ends <{self.open[-1].name}>"
        self.open.pop()

    def handle_data(self, data):
        self.open[-1].children.append(data)


def tree(text):
    """The elements of a page whose elements are all closed."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert len(reader.open) == 1, f"<{reader.open[-1].name}> is never closed"
    return reader.open[0]
