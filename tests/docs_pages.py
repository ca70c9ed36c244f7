"""Reads the README and the pages of docs/: their code blocks, the commands that they name, their links."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GENERATED = ROOT / "docs" / "cli.md"

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^(?P=indent)```\s*$", re.MULTILINE | re.DOTALL
)
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_COMMAND = re.compile(r"(?:\$ |.*[\\/(])?gpux +(\S.*)")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, the line it begins at, and what the comment before it says."""

    language: str
    text: str
    line: int
    not_run: str | None
    exit_code: int


def pages():
    """Every page by its path below the repository's root, the README and its neighbours first."""
    top = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    return {p.relative_to(ROOT).as_posix(): p.read_text(encoding="utf-8") for p in [*top, *_docs()]}


def blocks(text):
    """The fenced blocks of a page, in order."""
    found = []
    for match in _FENCE.finditer(text):
        before = text[: match.start()].rstrip("\n").rpartition("\n")[2].strip()
        said = re.fullmatch(r"<!-- (?:not run: (?P<why>.+?)|exit code (?P<code>\d+)) -->", before)
        why, code = (said["why"], int(said["code"] or 0)) if said else (None, 0)
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(match["language"], match["text"], line, why, code))
    return found


def typed(block):
    """The commands of a console block as ``(arguments after gpux, the output that is shown)``."""
    found = []
    for line in block.text.splitlines():
        if line.startswith("$ gpux "):
            found.append((shlex.split(line.removeprefix("$ gpux "), comments=True), []))
        elif found and line.strip():
            found[-1][1].append(line)
    return found


def commands(text):
    """Every ``gpux …`` that a page names, in blocks and in spans, as lists of arguments."""
    code = [line for block in blocks(text) if block.language != "python" for line in block.text.splitlines()]
    found = [_COMMAND.fullmatch(line) for line in code if not line.startswith(("pip ", "error:"))]
    found += [re.fullmatch(r"gpux +(\S.*)", span) for span in _SPAN.findall(_FENCE.sub("", text))]
    return [_words(match[1]) for match in found if match]


def options(text):
    """Every ``--option`` that a page names by itself."""
    spans = _SPAN.findall(_FENCE.sub("", text))
    return {span.split()[0].partition("=")[0] for span in spans if span.startswith("--")}


def links(text):
    """Targets of the page's links, outside code."""
    return _LINK.findall(_SPAN.sub("", _FENCE.sub("", text)))


def anchors(text):
    """The anchors that the page's headings make."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", text), re.MULTILINE)
    plain = [re.sub(r"[^\w\s-]", "", heading.replace("\\", "")).strip().lower() for heading in headings]
    return {re.sub(r"[\s-]+", "-", heading) for heading in plain}


def _docs():
    return sorted((ROOT / "docs").rglob("*.md"))


def _words(text):
    try:
        return shlex.split(text, comments=True)
    except ValueError:  # the rest of a line that was no shell
        return text.split()
