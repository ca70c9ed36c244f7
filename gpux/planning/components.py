"""Wishes for single components of a model: ``vision=cuda,decoder=cpu`` → who gets what; knows no model."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from gpux.errors import UsageError

_EXAMPLES = {"provider": "vision=cuda,decoder=cpu", "variant": "vision=fp32,decoder=q4"}


@dataclass(frozen=True, slots=True)
class Shared:
    """A wish for a whole model, and those for its components.

    Attributes:
        rest: For every component that has none of its own; ``None`` where nothing is said.
        own: Component → its own.
    """

    rest: str | None
    own: Mapping[str, str] = field(default_factory=dict)

    @property
    def values(self) -> tuple[str, ...]:
        """Everything that is wished for, each once."""
        every = (*(() if self.rest is None else (self.rest,)), *self.own.values())
        return tuple(dict.fromkeys(every))

    @property
    def first(self) -> str | None:
        """The first thing that is wished for."""
        return next(iter(self.values), None)

    def check(self, components: Collection[str], *, reference: str, what: str) -> None:
        """Make sure that a model has the components.

        Raises:
            UsageError: It has not; the hint names those that it has.
        """
        for name in self.own:
            if name not in components:
                close = difflib.get_close_matches(name, components, n=1)
                known = f"its components are {', '.join(components)}"
                alone = set(components) == {"model"}
                raise UsageError(
                    f"`{reference}` has no component `{name}`",
                    hint=f"it is one graph: --{what} {self.own[name]}"
                    if alone
                    else f"did you mean `{close[0]}`? {known}"
                    if close
                    else known,
                    component=name,
                )


def read(text: str | None, *, what: str) -> Shared:
    """The wishes in a text such as ``vision=cuda,decoder=cpu``, ``cpu,vision=cuda`` or ``cpu``.

    Args:
        text: As it was typed.
        what: ``provider`` or ``variant``, for messages.

    Raises:
        UsageError: A part says nothing, or two parts say something of the same.
    """
    if text is None or "=" not in text:
        return Shared(text)
    rest: str | None = None
    own: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = (word.strip() for word in part.partition("="))
        if not name or (equals and not value):
            raise UsageError(
                f"`{text}` says no {what} for `{name or part}`", hint=f"write --{what} {_EXAMPLES[what]}"
            )
        if (name in own) if equals else (rest is not None):
            raise UsageError(
                f"`{text}` names two {what}s for {f'`{name}`' if equals else 'the whole model'}",
                hint=f"write --{what} {_EXAMPLES[what]}",
            )
        if equals:
            own[name] = value
        else:
            rest = name
    return Shared(rest, own)
