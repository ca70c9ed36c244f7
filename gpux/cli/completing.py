"""What the shell offers after Tab: stored models, and the names that options take; nothing here raises or prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from gpux.errors import GpuxError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Complete = Callable[[Any, Any, str], "list[CompletionItem]"]


def models(_ctx: Any, _param: Any, incomplete: str) -> list[CompletionItem]:
    """Short names of stored models, whole names where those are ambiguous; paths where one is begun."""
    from click.shell_completion import CompletionItem

    from gpux.reference import is_path

    if is_path(incomplete):
        return [CompletionItem(incomplete, type="file")]
    return _fitting(_stored, incomplete)


def one_of(names: Callable[[], Iterable[str]]) -> Complete:
    """A completion of the names that a function gives when it is asked."""
    return lambda _ctx, _param, incomplete: _fitting(names, incomplete)


def providers() -> list[str]:
    """``auto`` and the installed providers."""
    from gpux.provider import discover

    return ["auto", *discover()]


def variants() -> tuple[str, ...]:
    """Every precision's name."""
    from gpux.reference import VARIANTS

    return VARIANTS


def tasks() -> Iterable[str]:
    """Every task's name."""
    from gpux import tasks as known

    return known.names()


def formats() -> Iterable[str]:
    """The forms of a benchmark's report."""
    from gpux.bench.render import FORMATS

    return FORMATS


def _stored() -> list[str]:
    import gpux
    from gpux.reference import parse

    names = [entry.name for entry in gpux.Store().entries()]
    short = {name: parse(name).short_name for name in names}
    count = Counter(short.values())
    return [short[name] if count[short[name]] == 1 else name for name in names]


def _fitting(names: Callable[[], Iterable[str]], incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    try:
        return [CompletionItem(name) for name in names() if name.startswith(incomplete)]
    except (GpuxError, OSError):
        return []  # a terminal in the middle of a line is no place for an error
