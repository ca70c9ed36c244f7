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
        others: Heads of other kinds of models that answer the same task, such as those that write where this one classifies.
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
    others: tuple[Head, ...] = ()

    def of(self, saved: str | None) -> Head:
        """The head of a model that was saved from a class of that name: this one, unless only another kind's has its weights."""
        if saved is None or self.carries(saved):
            return self
        return next((other for other in self.others if other.carries(saved)), self)

    def carries(self, saved: str) -> bool:
        """Whether a class of that name carries the head's weights. An empty suffix is every class's."""
        return saved in self.classes if self.classes else any(map(saved.endswith, self.suffixes))

    @property
    def autos(self) -> tuple[str, ...]:
        """The auto classes in order."""
        return (self.auto,) if isinstance(self.auto, str) else self.auto
