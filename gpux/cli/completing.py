"""What the shell offers after Tab: stored models, and the names that options take; nothing here raises or prints."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import gpux

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Complete = Callable[[Any, Any, str], "list[CompletionItem]"]


def models(_ctx: Any, _param: Any, incomplete: str) -> list[CompletionItem]:
    """The shortest names of stored models; paths where one is begun."""
    from click.shell_completion import CompletionItem

    if incomplete.startswith((".", "/", "~")):
        return [CompletionItem(incomplete, type="file")]
    return _fitting(_stored, incomplete)


def one_of(names: Callable[[], Iterable[str]]) -> Complete:
    """A completion of the names that a function gives when it is asked."""
    return lambda _ctx, _param, incomplete: _fitting(names, incomplete)


def providers() -> list[str]:
    """``auto`` and the installed providers."""
    return ["auto", *(probe.provider for probe in gpux.providers())]


def formats() -> Iterable[str]:
    """The forms of a benchmark's report."""
    from gpux.bench.render import FORMATS

    return FORMATS


def _stored() -> list[str]:
    store = gpux.Store()
    return [store.handle(store.read(entry.digest)) for entry in store.entries()]


def _fitting(names: Callable[[], Iterable[str]], incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    try:
        return [CompletionItem(name) for name in names() if name.startswith(incomplete)]
    except (gpux.errors.GpuxError, OSError):
        return []  # a terminal in the middle of a line is no place for an error
