"""``text2text-generation``: a text is read whole, and another is written, as models of the T5 and BART families do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from gpux.head import Head
from gpux.pipelines import text_to_text
from gpux.pipelines.pipeline import Clock


class TaskPipeline(text_to_text.TextToTextPipeline):
    """Texts, rewritten as the text itself asks."""

    head: ClassVar[Head] = text_to_text.head()
    answered: ClassVar[str] = "generated_text"

    def answer(self, items: Sequence[Any], clock: Clock, /, **parameters: Any) -> list[Any]:
        """What the model writes for each text.

        Args:
            items: Texts.
            clock: Where the time goes.
            **parameters: The fields of :class:`gpux.generation.settings.GenerationSettings`, and: ``prefix``: what is put before every
                text, the model's own when ``None``; ``max_length``: tokens of the answer at most, with the one that it begins with;
                ``min_length``: no end before so many.

        Returns:
            Per text ``{"generated_text": …}``, a list of them with ``num_return_sequences``; for one text given by itself a list.

        Raises:
            InvalidInput: An item or a parameter that the task cannot take.
        """
        return super().answer(items, clock, **parameters)
