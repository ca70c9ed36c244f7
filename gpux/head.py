"""What a task needs of a model's class; each task declares its own, the exporter and the proof follow it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

TEXT, IMAGE, VIDEO, AUDIO, LAYOUT = MODALITIES = ("text", "image", "video", "audio", "layout")
"""What a model can be given; a layout is where the words of a text stand on a page."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a task needs of a model class.

    Attributes:
        auto: The transformers auto class that builds it, or several, of which the first that knows the model does.
        suffixes: Endings of class names in ``config.architectures`` that carry trained weights for it.
        outputs: The model's outputs that the task reads.
        aliases: Other names that published graphs give them → the model's own.
        scores: Those outputs that are class scores, whose largest entry must agree in the proof.
        takes: What the model is given, of :data:`MODALITIES`; none where it is given tensors, whatever they mean, so that the
            task runs any graph.
        unordered: Those outputs [batch, rows, …] whose rows are one set in no order, as a detector's queries are.
        classes: Whole class names that carry trained weights for it; wins over ``suffixes`` where given.
        kinds: Kinds of sentence-transformers models that answer it (``CrossEncoder``), which their own files name. A head that
            every encoder fits is only theirs.
        generates: Whether the model writes its answer token by token.
    """

    auto: str | tuple[str, ...]
    suffixes: tuple[str, ...]
    outputs: tuple[str, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)
    scores: tuple[str, ...] = ()
    takes: tuple[str, ...] = (TEXT,)
    unordered: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    generates: bool = False

    @property
    def autos(self) -> tuple[str, ...]:
        """The auto classes in order."""
        return (self.auto,) if isinstance(self.auto, str) else self.auto
