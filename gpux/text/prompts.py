"""The prompts of a sentence-transformers model: texts that are put before every text, by name."""

from __future__ import annotations

from collections.abc import Mapping

from gpux.artifact import Artifact
from gpux.errors import InvalidInput
from gpux.fields import Fields
from gpux.text import texts


class Prompts:
    """The prompts of ``config_sentence_transformers.json``.

    Args:
        artifact: The model.
        settings: That file.
        usual: Prompts that the model has unless it says otherwise. sentence-transformers knows ``query`` and ``document`` for
            every model that embeds, empty where the model gives them no text.
        over: Prompts that stand instead of the file's own.

    Raises:
        UnsupportedModel: A prompt is no text.
    """

    def __init__(
        self,
        artifact: Artifact,
        settings: Fields,
        *,
        usual: Mapping[str, str] | None = None,
        over: Mapping[str, str] | None = None,
    ) -> None:
        self._reference = artifact.reference
        own = settings.table("prompts")
        usual = {"query": "", "document": ""} if usual is None else usual
        self.named = {**usual, **{name: own.text(name) or "" for name in own.data}, **(over or {})}
        self.default = self.named.get(settings.text("default_prompt_name") or "", "")

    def find(self, name: str | None, prompt: str | None) -> str:
        """The text to put before every text.

        Args:
            name: One of :attr:`named`; the model's default prompt when ``None``.
            prompt: The text itself; wins over ``name``.

        Raises:
            InvalidInput: The model has no prompt of that name, or the prompt is no text.
        """
        if prompt is not None:
            return texts.checked(prompt, position=0)
        if name is None:
            return self.default
        if name not in self.named:
            raise InvalidInput(
                f"`{self._reference}` has no prompt `{name}`",
                hint=f"its prompts are {', '.join(self.named)}" if self.named else "leave `prompt_name` out",
                prompt_name=name,
            )
        return self.named[name]
