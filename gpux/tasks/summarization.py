"""``summarization``: a text is read whole, and what it says is written in fewer words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from gpux.head import Head
from gpux.pipelines import text_to_text
from gpux.pipelines.pipeline import Clock


class TaskPipeline(text_to_text.TextToTextPipeline):
    """Texts, made shorter."""

    head: ClassVar[Head] = text_to_text.head()
    answered: ClassVar[str] = "summary_text"

    def answer(self, items: Sequence[Any], clock: Clock, /, **parameters: Any) -> list[Any]:
        """A summary of each text.

        Settings are the model's own for summaries (``task_specific_params``: lengths, beams, T5's prefix ``summarize: ``), then
        those that are given.

        Args:
            items: Texts.
            clock: Where the time goes.
            **parameters: The fields of :class:`gpux.generation.settings.GenerationSettings`, and: ``prefix``: what is put before every
                text, the model's own when ``None``; ``max_length``: tokens of the answer at most, with the one that it begins with;
                ``min_length``: no end before so many.

        Returns:
            Per text ``{"summary_text": …}``, a list of them with ``num_return_sequences``; for one text given by itself a list.

        Raises:
            InvalidInput: An item or a parameter that the task cannot take.
        """
        return super().answer(items, clock, **parameters)

    def _own_name(self, **_: Any) -> str:
        return "summarization"
