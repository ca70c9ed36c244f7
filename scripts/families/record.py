"""What a family of the matrix is: a published model's architecture, shape and files, without its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PUBLISHED, REDUCED = "published", "reduced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One row of the matrix.

    Attributes:
        name: What ``--only`` calls it.
        title: The family, as people name it.
        like: The published model whose configuration and files it has.
        task: The task that it answers.
        architecture: The transformers class that its ``config.json`` names.
        config: Entries of the configuration; the class's own defaults are the rest.
        reduced: Entries that make it small, for ``--fast``.
        exact: Whether ``config`` is the published shape; else ``reduced`` always applies.
        heavy: Whether its published shape takes so much time and memory that it is made only when asked for.
        tokenizer: A maker of :mod:`families.vocabularies` or :mod:`families.tokenizing`, and its arguments.
        processor: ``preprocessor_config.json``.
        files: Further JSON files: path → content.
        timm: What timm calls its architecture; transformers loads it through timm.
        projection: Size of the vectors that a late-interaction model's own linear layer gives, stored among its weights.
        items: Which inputs of :mod:`families.items` it answers.
        parameters: Keyword arguments of the task, the same for both.
        asks: How transformers answers: a function of ``validate_transformers.py``.
        source: A reference to pull instead of writing a directory: real weights.
        made: The module of :mod:`families` that makes the directory of real weights out of packages.
        expects: What its answers must say, of :mod:`families.expectations`.
        limit: Why this version does not run it; the cell is no failure then.
        optimum: Whether the ``optimum`` route is held to convert it too.
        refused: ``route:provider`` → why that provider does not run what that route makes of it; no failure then.
    """

    name: str
    title: str
    like: str
    task: str
    architecture: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    reduced: Mapping[str, Any] = field(default_factory=dict)
    exact: bool = False
    heavy: bool = False
    tokenizer: tuple[str, Mapping[str, Any]] | None = None
    processor: Mapping[str, Any] | None = None
    files: Mapping[str, Any] = field(default_factory=dict)
    timm: str | None = None
    projection: int | None = None
    items: str = "sentences"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    asks: str = "pipeline"
    source: str | None = None
    made: str | None = None
    expects: str | None = None
    limit: str | None = None
    optimum: bool = False
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def real(self) -> bool:
        """Whether its weights were trained."""
        return bool(self.source or self.made)

    @property
    def writes(self) -> bool:
        """Whether its answers are tokens, which are the same as the source model's or others."""
        return self.asks in {"generation", "shown", "captions"}

    def shape(self, *, fast: bool) -> str:
        """The shape that it is made in."""
        whole = self.exact and not (fast and self.reduced)
        return PUBLISHED if self.source or whole else REDUCED

    def settings(self, *, fast: bool) -> dict[str, Any]:
        """The configuration's entries in that shape."""
        small = self.shape(fast=fast) == REDUCED
        return _merged(self.config, self.reduced) if small else dict(self.config)


def labels(names: list[str] | int) -> dict[str, Any]:
    """``id2label`` and ``label2id`` of named or numbered classes."""
    listed = [f"class {index}" for index in range(names)] if isinstance(names, int) else names
    return {"id2label": dict(enumerate(listed)), "label2id": {name: i for i, name in enumerate(listed)}}


def _merged(whole: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    """``whole`` with the entries of ``part``, nested configurations entry by entry."""
    made = dict(whole)
    for name, value in part.items():
        nested = isinstance(value, Mapping) and isinstance(made.get(name), Mapping)
        made[name] = _merged(made[name], value) if nested and name.endswith("_config") else value
    return made
