"""The side of a chat template that may do harm: a process of its own, which compiles and renders what anybody may have written.

The environment is the one of transformers' ``render_jinja_template``, filter by filter, so that prompts are equal byte for byte.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import jinja2
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.nodes import CallBlock
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from gpux.events import Progress
from gpux.worker.child import serve

LONGEST = 1 << 25
"""Characters that a prompt may have: more than any model's context holds."""

_MOST_ITEMS, _MOST_BITS = 1 << 24, 1 << 16
_CHECKS = 0.05  # seconds between two looks at the memory


class Refused(jinja2.TemplateError):
    """The template itself refused the messages."""


class _TooLong(jinja2.TemplateError):
    """The prompt has no end, or one that nobody can use."""


def main() -> None:
    """Serve as the worker: ``{template, variables, most}`` → ``{text}``, or ``{failure, message}``."""
    renderer = Renderer()
    rendering = threading.Event()
    threading.Thread(target=_watch_memory, args=(rendering, renderer), daemon=True).start()

    def handle(job: dict[str, Any], progress: Progress) -> dict[str, Any]:
        del progress
        rendering.set()
        try:
            return renderer.answer(job["template"], job["variables"], job["most"])
        finally:
            rendering.clear()

    serve(handle)


class Renderer:
    """Renders templates, each compiled once.

    Attributes:
        most: Bytes of memory that the process may take; 0 for any number.
    """

    def __init__(self) -> None:
        self.most = 0
        self._environment = _Environment()
        self._compiled: dict[str, jinja2.Template] = {}

    def answer(self, template: str, variables: Mapping[str, Any], most: int = 0) -> dict[str, Any]:
        """The prompt as ``text``, or what went wrong as ``failure`` (``refused``, ``syntax``, ``failed``) and ``message``."""
        self.most = most
        try:
            return {"text": self._rendered(template, variables)}
        except Refused as error:
            return _failure("refused", str(error))
        except jinja2.TemplateSyntaxError as error:
            return _failure("syntax", f"line {error.lineno}: {error.message}")
        except jinja2.TemplateError as error:
            return _failure("failed", str(error))
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - a template raises whatever it likes
            return _failure("failed", f"{type(error).__name__}: {error}")

    def _rendered(self, template: str, variables: Mapping[str, Any]) -> str:
        compiled = self._compiled.get(template)
        if compiled is None:
            compiled = self._compiled[template] = self._environment.from_string(template)
        pieces, length = [], 0
        for piece in compiled.generate(**variables):
            pieces.append(piece)
            length += len(piece)
            if length > LONGEST:
                raise _TooLong(f"it writes more than {LONGEST:,} characters")
        return "".join(pieces)


class _Generation(Extension):
    """``{% generation %}``, which marks the model's own words for training: rendered as if it were not there."""

    tags = {"generation"}  # noqa: RUF012 - jinja2 declares it so

    def parse(self, parser: Parser) -> CallBlock:
        """The body between the tags."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return CallBlock(self.call_method("_whole"), [], [], body, lineno=line)

    def _whole(self, caller: Callable[[], str]) -> str:
        return caller()


class _Dict:
    """``dict`` without the class behind it."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)

    def fromkeys(self, *args: Any) -> dict[Any, Any]:
        """As of ``dict``."""
        return dict.fromkeys(*args)


class _Namespace(Namespace):
    """``namespace`` without names that begin with an underscore, which would lead into the interpreter."""

    def __init__(*args: Any, **kwargs: Any) -> None:  # so that a template may call a value `self`
        self, *given = args
        values = dict(*given, **kwargs)
        for name in values:
            _named(name)
        Namespace.__init__(self, values)

    def __setitem__(self, name: str, value: Any) -> None:
        _named(name)
        super().__setitem__(name, value)


class _Environment(ImmutableSandboxedEnvironment):
    """The sandbox; products and powers are looked at first, for a single one can take all memory or hours in one step."""

    intercepted_binops = frozenset({"*", "**"})

    def __init__(self) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols])
        self.filters["tojson"] = _json
        self.globals |= {
            "raise_exception": _raise,
            "strftime_now": _now,
            "dict": _Dict(),
            "namespace": _Namespace,
        }

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """As jinja2 does, unless the result would be enormous."""
        if _size(operator, left, right) or _size(operator, right, left):
            raise SecurityError(f"`{operator}` would give a value that is too large")
        return super().call_binop(context, operator, left, right)


def _size(operator: str, left: Any, right: Any) -> bool:
    """Whether an operator would give more than a template can need."""
    if not isinstance(right, int):
        return False
    if isinstance(left, str | list | tuple):
        return operator == "*" and len(left) * right > _MOST_ITEMS
    if not isinstance(left, int):
        return False
    bits = left.bit_length() * right if operator == "**" else left.bit_length() + right.bit_length()
    return bits > _MOST_BITS


def _json(
    value: Any,
    ensure_ascii: bool = False,  # noqa: FBT001, FBT002 - transformers' own signature
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,  # noqa: FBT001, FBT002
) -> str:
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _raise(message: object) -> None:
    raise Refused(str(message))


def _now(form: str) -> str:
    return datetime.now().strftime(form)  # noqa: DTZ005 - the date where the person is


def _named(name: object) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"a namespace takes no name that begins with an underscore, such as {name!r}")


def _failure(kind: str, message: str) -> dict[str, Any]:
    return {"failure": kind, "message": message[:2000]}


def _watch_memory(rendering: threading.Event, renderer: Renderer) -> None:
    """End the process where it takes too much; not every system holds a process to a limit of its own."""
    import psutil

    process = psutil.Process()
    while rendering.wait():
        if renderer.most and process.memory_info().rss > renderer.most:
            os._exit(70)
        threading.Event().wait(_CHECKS)
