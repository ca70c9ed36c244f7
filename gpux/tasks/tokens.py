"""Texts and pairs of texts to token ids, by the model's own ``tokenizer.json``; knows no graph.

The file's own padding and truncation are those of whoever saved it last (MiniLM's says "pad to 128") and are dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpux.artifact import Artifact, corrupt
from gpux.errors import GpuxError

if TYPE_CHECKING:
    from tokenizers import Encoding
    from tokenizers import Tokenizer as Backend

Text = str | tuple[str, str]
"""One text, or a pair that the tokenizer joins with its separators."""


@dataclass(frozen=True, slots=True)
class Padding:
    """How rows of a batch are filled up: the token, its type, and whether it stands left of the text."""

    token: int
    type: int
    left: bool


class Tokenizer:
    """The model's tokenizer with one fixed truncation. Nothing changes after it was made: any thread may call it.

    Args:
        artifact: The model.
        max_length: Longest sequence in tokens, special ones included; ``None`` never truncates.
        lower: Lower-case first, where the file does not already do so (``do_lower_case`` of sentence-transformers).

    Raises:
        CorruptArtifact: ``tokenizer.json`` is missing or cannot be used.
    """

    def __init__(self, artifact: Artifact, *, max_length: int | None, lower: bool = False) -> None:
        self.max_length = max_length
        self._artifact = artifact
        self._backend = _load(artifact)
        try:
            self._configure(lower=lower)
        except BaseException as error:
            raise _unusable(artifact, error) from error

    def __call__(self, texts: Sequence[Text]) -> list[Encoding]:
        """One encoding per text (``ids``, ``type_ids``, what was cut off in ``overflowing``), unpadded.

        The texts must have passed :mod:`gpux.tasks.texts`.

        Raises:
            CorruptArtifact: ``tokenizer.json`` asks for something that its own library fails at.
        """
        try:
            # The batch call would wake its thread pool, beside the runtime's that still spins.
            if len(texts) == 1:
                (text,) = texts
                pair = text if isinstance(text, tuple) else (text,)
                return [self._backend.encode(*pair)]
            encodings: list[Encoding] = self._backend.encode_batch_fast(texts)
        except BaseException as error:
            raise _unusable(self._artifact, error) from error
        return encodings

    def prompt_length(self, prompt: str) -> int:
        """Tokens that a prompt takes at the front of a text, the leading special ones included."""
        ids = self([prompt])[0].ids
        return len(ids) - (bool(ids) and ids[-1] in self._special)

    def _configure(self, *, lower: bool) -> None:
        backend = self._backend
        settings = self._artifact.read_json("tokenizer_config.json")
        self.padding = _padding(self._artifact, backend, settings)
        side = settings.get("truncation_side") or (backend.truncation or {}).get("direction", "right")
        backend.no_padding()
        backend.no_truncation()
        if self.max_length is not None:
            backend.enable_truncation(self.max_length, strategy="longest_first", direction=side)
        _normalize_as_bert(backend, settings)
        if lower:
            _lower(backend)
        self._special = {i for i, token in backend.get_added_tokens_decoder().items() if token.special}
        self(["", "a"])  # a post-processor that names an unknown token fails at the first text


# Read ahead by `prefetch`, until a tokenizer is made of it: artifact digest → backend.
_ahead: dict[str, Backend] = {}


def prefetch(artifact: Artifact) -> None:
    """Read the artifact's ``tokenizer.json`` now, for the tokenizer that is made next; the graph opens meanwhile."""
    _ahead[artifact.digest] = _load(artifact)


def _load(artifact: Artifact) -> Backend:
    if ready := _ahead.pop(artifact.digest, None):
        return ready
    from tokenizers import Tokenizer as Backend

    try:
        return Backend.from_file(str(artifact.path("tokenizer.json")))
    except BaseException as error:
        raise _unusable(artifact, error) from error


def _unusable(artifact: Artifact, error: BaseException) -> BaseException:
    """The error to raise for one of the tokenizers library, which raises bare Exception for whatever it cannot parse.

    Where its Rust panics it raises pyo3's PanicException, which is no Exception: https://pyo3.rs/v0.27.1/function/error-handling
    """
    panicked = type(error).__module__ == "pyo3_runtime"
    if isinstance(error, GpuxError | MemoryError) or not (isinstance(error, Exception) or panicked):
        return error
    first = next(iter(str(error).splitlines()), type(error).__name__)
    return corrupt(artifact, f"`tokenizer.json` cannot be used ({first[:200]})")


def _padding(artifact: Artifact, backend: Backend, settings: dict[str, Any]) -> Padding:
    saved = backend.padding or {}
    token = settings.get("pad_token") or artifact.read_json("special_tokens_map.json").get("pad_token")
    if isinstance(token, dict):
        token = token.get("content")
    known = backend.token_to_id(token) if isinstance(token, str) else None
    if known is None:
        known = saved.get("pad_id", artifact.read_json("config.json").get("pad_token_id"))
    side = settings.get("padding_side") or saved.get("direction", "right")
    type_id = settings.get("pad_token_type_id", saved.get("pad_type_id", 0))
    return Padding(token=known if isinstance(known, int) else 0, type=type_id, left=side == "left")


def _normalize_as_bert(backend: Backend, settings: dict[str, Any]) -> None:
    """Let ``tokenizer_config.json`` win over the saved normalizer, as transformers' BERT tokenizers do."""
    from tokenizers.normalizers import BertNormalizer

    if settings.get("tokenizer_class") in {"PreTrainedTokenizerFast", "TokenizersBackend"}:
        return
    normalizer = backend.normalizer
    if isinstance(normalizer, BertNormalizer):
        normalizer.lowercase = settings.get("do_lower_case", normalizer.lowercase)
        normalizer.strip_accents = settings.get("strip_accents", normalizer.strip_accents)
        normalizer.handle_chinese_chars = settings.get(
            "tokenize_chinese_chars", normalizer.handle_chinese_chars
        )


def _lower(backend: Backend) -> None:
    from tokenizers.normalizers import Lowercase
    from tokenizers.normalizers import Sequence as Chain

    steps: Any = backend.normalizer
    if not isinstance(steps, Chain):
        steps = [] if steps is None else [steps]
    if not any(isinstance(step, Lowercase) for step in steps):
        backend.normalizer = Chain([Lowercase(), *steps])
