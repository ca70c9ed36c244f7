"""Texts and pairs of texts to token ids, by the model's own ``tokenizer.json``; knows no graph.

The file's own padding and truncation are those of whoever saved it last (MiniLM's says "pad to 128") and are dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpux.artifact import Artifact, corrupt
from gpux.errors import GpuxError, UnsupportedModel
from gpux.fields import MOST, Fields
from gpux.text import added_tokens

if TYPE_CHECKING:
    from tokenizers import Encoding
    from tokenizers import Tokenizer as Backend

Text = str | tuple[str, str]
"""One text, or a pair that the tokenizer joins with its separators."""


_SIDES = ("left", "right")


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
        whole: Cut nothing all the same: the task does that, before the special tokens come, as :mod:`gpux.text.pieces` shows.
        markers: Texts that begin with a token of the vocabulary which no other text may come to, such as ``[unused0] ``.

    Attributes:
        backend: The tokenizer of the tokenizers library, which must not be changed.
        left: Whether a text that is too long is cut at its beginning.

    Raises:
        CorruptArtifact: ``tokenizer.json`` is missing or cannot be used.
        UnsupportedModel: A setting of another file is of the wrong type, or ``max_length`` leaves no room.
    """

    def __init__(
        self,
        artifact: Artifact,
        *,
        max_length: int | None,
        lower: bool = False,
        whole: bool = False,
        markers: Sequence[str] = (),
    ) -> None:
        self.max_length = max_length
        self._artifact = artifact
        self.backend = _load(artifact)
        try:
            self._configure(lower=lower, whole=whole, markers=markers)
        except BaseException as error:
            raise _unusable(artifact, error) from error

    def __call__(self, texts: Sequence[Text]) -> list[Encoding]:
        """One encoding per text (``ids``, ``type_ids``, what was cut off in ``overflowing``), unpadded.

        The texts must have passed :mod:`gpux.text.texts`.

        Raises:
            CorruptArtifact: ``tokenizer.json`` asks for something that its own library fails at.
        """
        try:
            # The batch call would wake its thread pool, beside the runtime's that still spins.
            if len(texts) == 1:
                (text,) = texts
                pair = text if isinstance(text, tuple) else (text,)
                encodings: list[Encoding] = [self.backend.encode(*pair)]
            else:
                encodings = self.backend.encode_batch_fast(texts)
            return encodings if self._finisher is None else [self.finish(one) for one in encodings]
        except BaseException as error:
            raise _unusable(self._artifact, error) from error

    def finish(self, first: Encoding, second: Encoding | None = None) -> Encoding:
        """The tokens of one text or two with the special ones, where ``whole`` left those out."""
        finisher = self.backend.post_process if self._finisher is None else self._finisher.process
        encoding: Encoding = finisher(first, second)
        return encoding

    def special(self, *, pair: bool = False) -> int:
        """How many special tokens a text has, or a pair."""
        counted = self.backend if self._finisher is None else self._finisher
        return int(counted.num_special_tokens_to_add(is_pair=pair))

    @contextmanager
    def trusted(self) -> Iterator[None]:
        """Turn what the tokenizers library raises, used by itself, into the error for a file that it fails at.

        Raises:
            CorruptArtifact: ``tokenizer.json`` asks for something that its own library fails at.
        """
        try:
            yield
        except BaseException as error:
            raise _unusable(self._artifact, error) from error

    def words(self, words: Sequence[str]) -> Encoding:
        """The tokens of a text that is cut into words already, without special ones.

        Raises:
            CorruptArtifact: ``tokenizer.json`` asks for something that its own library fails at.
        """
        try:
            encoding: Encoding = self.backend.encode(
                list(words), is_pretokenized=True, add_special_tokens=False
            )
        except BaseException as error:
            raise _unusable(self._artifact, error) from error
        return encoding

    def token(self, name: str) -> int | None:
        """The id of a special token as ``tokenizer_config.json`` names it (``cls_token``), or ``None``."""
        settings = Fields(self._artifact, "tokenizer_config.json")
        nested = isinstance(settings.data.get(name), dict)
        content = settings.table(name).text("content") if nested else settings.text(name)
        return None if content is None else self.backend.token_to_id(content)

    def prompt_length(self, prompt: str) -> int:
        """Tokens that a prompt takes at the front of a text, the leading special ones included."""
        ids = self([prompt])[0].ids
        return len(ids) - (bool(ids) and ids[-1] in self._special)

    def _configure(self, *, lower: bool, whole: bool, markers: Sequence[str]) -> None:
        backend = self.backend
        settings = Fields(self._artifact, "tokenizer_config.json")
        added_tokens.apply(self._artifact, backend, settings)
        added_tokens.mark(backend, markers)
        self.padding = _padding(self._artifact, backend, settings)
        side = settings.text("truncation_side", among=_SIDES) or (backend.truncation or {}).get(
            "direction", "right"
        )
        backend.no_padding()
        backend.no_truncation()
        self.left = side == "left"
        if self.max_length is not None:
            _check_room(self._artifact, backend, self.max_length)
        # A second round of it, behind the cut, would move the places of tokens twice.
        self._finisher: Any = backend.post_processor if whole else None
        if self._finisher is not None:
            backend.post_processor = None
        if self.max_length is not None and not whole:
            backend.enable_truncation(self.max_length, strategy="longest_first", direction=side)
        _normalize_as_bert(backend, settings)
        if lower:
            _lower(backend)
        self._special = {i for i, token in backend.get_added_tokens_decoder().items() if token.special}
        self(["a"])  # a post-processor that names an unknown token fails at the first text


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


def _check_room(artifact: Artifact, backend: Backend, limit: int) -> None:
    special = backend.num_special_tokens_to_add(is_pair=False)
    if limit < special:  # tokenizers then truncates nothing at all, without a word
        raise UnsupportedModel(
            f"`{artifact.reference}` takes {limit} tokens, fewer than the {special} special ones of every text",
            hint="mend `max_seq_length` or `model_max_length` at its source; model.session.run({...}) still runs",
            reference=artifact.reference,
        )


def _padding(artifact: Artifact, backend: Backend, settings: Fields) -> Padding:
    saved = backend.padding or {}
    token = _pad_token(settings) or _pad_token(Fields(artifact, "special_tokens_map.json"))
    known = backend.token_to_id(token) if token else None
    if known is None:
        known = saved.get("pad_id", Fields(artifact, "config.json").whole("pad_token_id", least=-1))
    side = settings.text("padding_side", among=_SIDES) or saved.get("direction", "right")
    kind = settings.whole("pad_token_type_id")
    kind = saved.get("pad_type_id", 0) if kind is None else kind
    # A causal model's configuration may say -1 for none; padding is masked, so any token does.
    return Padding(token=max(known or 0, 0) % MOST, type=kind % MOST, left=side == "left")


def _pad_token(settings: Fields) -> str | None:
    nested = isinstance(settings.data.get("pad_token"), dict)
    return settings.table("pad_token").text("content") if nested else settings.text("pad_token")


def _normalize_as_bert(backend: Backend, settings: Fields) -> None:
    """Let ``tokenizer_config.json`` win over the saved normalizer, as transformers' BERT tokenizers do."""
    from tokenizers.normalizers import BertNormalizer

    if settings.text("tokenizer_class") in {"PreTrainedTokenizerFast", "TokenizersBackend"}:
        return
    lower, chinese = settings.flag("do_lower_case"), settings.flag("tokenize_chinese_chars")
    accents = settings.flag("strip_accents")
    normalizer = backend.normalizer
    if isinstance(normalizer, BertNormalizer):
        normalizer.lowercase = normalizer.lowercase if lower is None else lower
        normalizer.strip_accents = accents if "strip_accents" in settings else normalizer.strip_accents
        normalizer.handle_chinese_chars = normalizer.handle_chinese_chars if chinese is None else chinese


def _lower(backend: Backend) -> None:
    from tokenizers.normalizers import Lowercase
    from tokenizers.normalizers import Sequence as Chain

    steps: Any = backend.normalizer
    if not isinstance(steps, Chain):
        steps = [] if steps is None else [steps]
    if not any(isinstance(step, Lowercase) for step in steps):
        backend.normalizer = Chain([Lowercase(), *steps])
