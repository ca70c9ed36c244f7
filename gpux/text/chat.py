"""A conversation → the text of a prompt, by the model's own chat template, rendered where it can do no harm.

Knows neither tokens nor graphs. A prompt has its special tokens written out: tokenize it without adding any.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gpux.artifact import Artifact, corrupt
from gpux.errors import GpuxError, InvalidInput, UnsupportedModel, WorkerFailed
from gpux.fields import Fields
from gpux.text.chat_messages import plain, plain_messages, plain_tools

if TYPE_CHECKING:
    from gpux.worker.parent import Worker

SECONDS = 10.0
"""How long a template may take; real ones take a millisecond."""
MEBIBYTES = 1024
"""Memory of the process that renders, its interpreter included."""

_SPECIAL = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


class ChatTemplate:
    """The chat template of a model, or the several that it has for different uses.

    Safe to call from several threads. Templates come with a model, so that anybody may have written them: they are rendered in
    Jinja's sandbox, in a process of its own, with bounds on time, memory and length.

    Args:
        reference: The model, for messages.
        templates: Name → template; ``default`` is used unless there are tools and one called ``tool_use``.
        special: The special tokens that templates may write: ``bos_token`` → ``<s>``.
        seconds: Most seconds that one rendering may take.
        mebibytes: Most memory of the process that renders.
    """

    def __init__(
        self,
        reference: str,
        templates: Mapping[str, str],
        *,
        special: Mapping[str, str] | None = None,
        seconds: float = SECONDS,
        mebibytes: int = MEBIBYTES,
    ) -> None:
        self.reference = reference
        self.templates = dict(templates)
        self.special = dict(special or {})
        self._seconds, self._mebibytes = seconds, mebibytes
        self._lock = threading.Lock()
        self._worker: Worker | None = None
        self._ends: weakref.finalize[..., Any] | None = None

    @classmethod
    def read(cls, artifact: Artifact) -> ChatTemplate | None:
        """The template of a stored model, ``None`` where it has none.

        It stands in ``chat_template.jinja`` and ``additional_chat_templates/``, else in ``chat_template.json``, else in
        ``tokenizer_config.json``, as a text or as a list of named ones.

        Raises:
            UnsupportedModel: A file holds something else where the template belongs.
            CorruptArtifact: A file cannot be read.
        """
        templates = _templates(artifact)
        return cls(artifact.reference, templates, special=_special_tokens(artifact)) if templates else None

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        add_generation_prompt: bool = True,
        tools: Sequence[Mapping[str, Any]] | None = None,
        template_name: str | None = None,
        **extra: Any,
    ) -> str:
        """The prompt, as ``apply_chat_template(tokenize=False)`` of transformers gives it.

        Args:
            messages: ``{"role", "content"}`` each, the content a text or a list such as ``[{"type": "text", "text": …}]``.
            add_generation_prompt: Whether the prompt ends where the model's answer begins.
            tools: JSON Schemas of functions that the model may call.
            template_name: Which of :attr:`templates`; chosen by the tools when ``None``.
            **extra: What the template may ask for besides (``enable_thinking``, ``documents``).

        Raises:
            InvalidInput: The messages are of the wrong shape, or the template refuses them.
            UnsupportedModel: The template is wrong, or does not end within its bounds.
        """
        given_tools = plain_tools(tools)
        variables = {
            "documents": None,
            **self.special,
            **plain(extra),
            "messages": plain_messages(messages),
            "tools": given_tools,
            "add_generation_prompt": bool(add_generation_prompt),
        }
        job = {"template": self._chosen(template_name, tools=given_tools is not None), "variables": variables}
        answer = self._ask({**job, "most": self._mebibytes << 20})
        if "text" in answer:
            return str(answer["text"])
        raise self._failure(str(answer.get("failure")), str(answer.get("message")))

    def prepare(self) -> None:
        """Start the process that renders, so that the first prompt need not wait for it."""
        with self._lock:
            self._started()

    def close(self) -> None:
        """End the process that renders; the next prompt starts another."""
        with self._lock:
            self._end()

    def _chosen(self, name: str | None, *, tools: bool) -> str:
        names = [name] if name is not None else [*(["tool_use"] if tools else []), "default"]
        for each in names:
            if each in self.templates:
                return self.templates[each]
        if name is None and len(self.templates) == 1:
            return next(iter(self.templates.values()))
        known = ", ".join(self.templates)
        raise InvalidInput(
            f"`{self.reference}` has no chat template called `{names[-1]}`", hint=f"its templates are {known}"
        )

    def _ask(self, job: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            since = time.monotonic()
            try:
                return self._started().ask(job)
            except WorkerFailed as error:
                self._end()
                raise self._ended(error, time.monotonic() - since) from error
            except BaseException:
                self._end()  # its answer would be taken for that to the next question
                raise

    def _started(self) -> Worker:
        if self._worker is None:
            from gpux.worker.parent import Limits, Worker

            bounds = Limits(self._seconds, self._seconds, self._mebibytes)
            worker = self._worker = Worker("gpux.text.chat_renderer", bounds=bounds)
            self._ends = weakref.finalize(self, worker.close)
        return self._worker

    def _end(self) -> None:
        if self._ends is not None:
            self._ends()
        self._worker = self._ends = None

    def _ended(self, error: WorkerFailed, seconds: float) -> GpuxError:
        if seconds >= self._seconds:
            return self._unusable(f"does not end within {self._seconds:g} seconds")
        if error.details.get("cause") == "memory" or "code 70" in error.message:
            return self._unusable(f"takes more than {self._mebibytes} MiB of memory")
        return self._unusable(f"brought its process down ({error.message})")

    def _failure(self, kind: str, message: str) -> GpuxError:
        first = " ".join(message.split())[:300]
        if kind == "refused":
            return InvalidInput(
                f"the chat template of `{self.reference}` refuses these messages: {first}",
                hint="change their roles or order, or give the text as it is: --raw",
                reference=self.reference,
            )
        return self._unusable(f"cannot be read ({first})" if kind == "syntax" else f"fails ({first})")

    def _unusable(self, how: str) -> UnsupportedModel:
        return UnsupportedModel(
            f"the chat template of `{self.reference}` {how}",
            hint=f'gpux run {self.reference} --raw "your text"',
            reference=self.reference,
        )


def _templates(artifact: Artifact) -> dict[str, str]:
    """The model's templates by name, from the first place that has some."""
    paths = {file.path for file in artifact.manifest.files}
    found = {}
    if "chat_template.jinja" in paths:
        found["default"] = _text(artifact, "chat_template.jinja")
    for path in sorted(paths):
        folder, _, name = path.rpartition("/")
        if folder == "additional_chat_templates" and name.endswith(".jinja"):
            found[name.removesuffix(".jinja")] = _text(artifact, path)
    for path in ("chat_template.json", "tokenizer_config.json"):
        found = found or _named(Fields(artifact, path))
    return found


def _named(settings: Fields) -> dict[str, str]:
    value = settings.data.get("chat_template")
    if isinstance(value, list):
        if not all(isinstance(entry, dict) for entry in value):
            raise settings.refused("chat_template", "a template, or a list of named ones,")
        each = [settings.of(entry) for entry in value]
        pairs = [(entry.text("name"), entry.text("template")) for entry in each]
        return {name: template for name, template in pairs if name and template}
    template = settings.text("chat_template")
    return {"default": template} if template else {}


def _text(artifact: Artifact, path: str) -> str:
    try:
        return artifact.path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise corrupt(artifact, f"`{path}` cannot be read ({error})") from error


def _special_tokens(artifact: Artifact) -> dict[str, str]:
    """Name → text of the special tokens; each may be written as a text or as an object with its ``content``."""
    settings = Fields(artifact, "tokenizer_config.json")
    told = dict(settings.data)
    if "added_tokens_decoder" not in told:  # only files from before it are read besides, and then win
        told |= Fields(artifact, "special_tokens_map.json").data
    known = Fields(artifact, "tokenizer_config.json", told)
    found = {}
    for name in _SPECIAL:
        nested = isinstance(told.get(name), dict)
        text = known.table(name).text("content") if nested else known.text(name)
        if text is not None:
            found[name] = text
    return found
