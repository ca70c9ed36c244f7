"""What a caller of pull asks for, checked before anything is fetched."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike

from gpux import settings, tasks
from gpux.errors import InvalidReference, StoreError, UnknownVariant, UsageError
from gpux.reference import VARIANTS, Reference, parse
from gpux.registry.conversion import ROUTES
from gpux.registry.store import Store


@dataclass(frozen=True, slots=True)
class Wish:
    """A pull's arguments, parsed.

    Attributes:
        reference: Where the model comes from.
        task: The task that was asked for.
        variants: The precisions that were asked for.
        exporter: The conversion route that was asked for.
        token: A Hub token.
        offline: Whether to keep off the network.
        allow_pickle: Whether weights may be a pickle.
        trust_remote_code: Whether the repository's code may run.
    """

    reference: Reference
    task: str | None
    variants: tuple[str, ...]
    exporter: str | None
    token: str | None
    offline: bool
    allow_pickle: bool
    trust_remote_code: bool

    @property
    def name(self) -> str:
        """The canonical reference that the store files the model under."""
        return str(self.reference.base)


def make_wish(
    text: str | PathLike[str],
    store: Store,
    *,
    task: str | None = None,
    variants: Iterable[str] = (),
    exporter: str | None = None,
    revision: str | None = None,
    token: str | None = None,
    offline: bool | None = None,
    allow_pickle: bool = False,
    trust_remote_code: bool = False,
) -> Wish:
    """Parse and check the arguments of :func:`gpux.pull`.

    Raises:
        UsageError: One of them is none that there is; the hint lists those that are.
    """
    reference = _origin(parse(text, revision=revision), store)
    if any(0xD800 <= ord(letter) < 0xE000 for letter in str(reference)):
        raise InvalidReference(
            "the model's path is no UTF-8, so that no manifest can hold it", hint="rename it, or link to it"
        )
    if isinstance(variants, str):
        variants = (variants,)
    wanted = tuple(dict.fromkeys([*([reference.variant] if reference.variant else []), *variants]))
    for variant in wanted:
        if variant not in VARIANTS:
            raise UnknownVariant(
                f"there is no variant `{variant}`",
                hint=f"variants are {', '.join(VARIANTS)}",
                variant=variant,
            )
    if exporter is not None and exporter not in ROUTES:
        raise UsageError(
            f"there is no exporter `{exporter}`", hint=f"exporters are {', '.join(ROUTES)}", exporter=exporter
        )
    if task is not None:
        tasks.find(task)
    away = settings.offline() if offline is None else offline
    return Wish(reference, task, wanted, exporter, token, away, allow_pickle, trust_remote_code)


def _origin(reference: Reference, store: Store) -> Reference:
    """Where a model that ``gpux cp`` gave a name came from: to a source the name would mean something else."""
    if reference.scheme != "hf" or "/" in reference.name or reference.revision is not None:
        return reference
    with contextlib.suppress(StoreError):
        entry = store.named(reference.name)
        if entry:
            source = parse(store.read(entry.digest).manifest.source.reference)
            return source if reference.variant is None else parse(f"{source}:{reference.variant}")
    return reference
