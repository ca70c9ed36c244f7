"""Answers that follow a JSON Schema, a regular expression or a grammar: which tokens may come next, by llguidance.

llguidance reads the model's own ``tokenizer.json`` and needs nothing but itself. xgrammar, as well kept, needs torch and
transformers where it runs. For SmolLM2's 49,152 tokens and a schema of two fields, on one core: a grammar is ready after
0.8 ms here and 31 ms there, a token's mask takes 12 µs here and 2 µs there.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gpux.errors import ExtraMissing, InvalidInput

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend

    from gpux.generation.settings import GenerationSettings

_SYNTAX = {
    "json_schema": "https://github.com/guidance-ai/llguidance/blob/main/docs/json_schema.md",
    "regex": "https://docs.rs/regex/latest/regex/#syntax, without looking ahead or behind",
    "grammar": "https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md, or GBNF of llama.cpp",
}

# For each byte of a mask, what comes to the scores of its eight tokens: the lowest bit is the first token.
_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")
_PENALTIES = np.where(_BITS, np.float32(0), np.float32(-np.inf)).astype(np.float32)


class Constraint:
    """What one answer has still to follow. Made by :meth:`Constraints.open`.

    Attributes:
        finished: Whether nothing but the end can come.
    """

    __slots__ = ("_eos", "_mask", "_matcher", "finished")

    def __init__(self, matcher: Any, *, eos: Collection[int]) -> None:
        self.finished = False
        self._matcher = matcher
        self._eos = eos
        self._mask: np.ndarray | None = None

    def allows(self, token: int) -> bool:
        """Whether this token may come next."""
        mask = self._allowed()
        return token >> 3 < len(mask) and bool(mask[token >> 3] >> (token & 7) & 1)

    def masked(self, scores: np.ndarray) -> np.ndarray:
        """The scores, float32 [vocabulary], minus infinity where a token may not come; a new array."""
        penalties = _PENALTIES[self._allowed()].reshape(-1)[: len(scores)]
        if len(penalties) < len(scores):
            more = np.full(len(scores) - len(penalties), -np.inf, dtype=np.float32)
            penalties = np.concatenate([penalties, more])
        masked: np.ndarray = scores + penalties
        return masked

    def accept(self, token: int) -> None:
        """The token that came.

        Raises:
            InvalidInput: It may not come, or following the constraint takes more steps than llguidance allows.
        """
        self._mask = None
        if token in self._eos:
            self.finished = True
            return
        if not self._matcher.consume_token(token):
            raise self._stuck()
        self.finished = bool(self._matcher.is_stopped())

    def fork(self) -> Constraint:
        """The same for another answer that began alike."""
        other = Constraint(self._matcher.deep_copy(), eos=self._eos)
        other.finished = self.finished
        return other

    def _allowed(self) -> np.ndarray:
        """uint8 [vocabulary / 8], a bit for each token."""
        if self._mask is None:
            self._mask = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
            if self._matcher.is_error():
                raise self._stuck()
        return self._mask

    def _stuck(self) -> InvalidInput:
        return InvalidInput(
            f"the answer cannot go on along its constraint ({_reason(self._matcher.get_error())})",
            hint="simplify the schema, the regular expression or the grammar",
        )


class Constraints:
    """Makes the constraints of one model; its vocabulary, half a second for 50,000 tokens, is read at the first.

    Args:
        backend: The model's tokenizer.
        vocabulary: How many scores the model gives.
        eos_token_ids: Tokens that end an answer, where the settings say none.
    """

    def __init__(self, backend: Backend, *, vocabulary: int, eos_token_ids: Collection[int]) -> None:
        self._backend = backend
        self._vocabulary = vocabulary
        self._eos = frozenset(eos_token_ids)
        self._read: tuple[frozenset[int], Any] | None = None

    def open(self, settings: GenerationSettings) -> Constraint | None:
        """The constraint that the settings ask for, at its beginning; rows take a :meth:`Constraint.fork` each.

        Raises:
            InvalidInput: The schema, the regular expression or the grammar cannot be followed, or the model cannot do it.
            ExtraMissing: llguidance is not installed.
        """
        given = [name for name in _SYNTAX if getattr(settings, name) is not None]
        if not given:
            return None
        if len(given) > 1:
            raise InvalidInput(
                f"an answer follows one constraint, not {' and '.join(given)}", hint="give one of them"
            )
        (name,) = given
        library = _library()
        grammar = _grammar(library, name, getattr(settings, name))
        eos = frozenset(settings.eos_token_ids) or self._eos
        if self._read is None or self._read[0] != eos:
            self._read = eos, self._vocabulary_of(library, eos)
        matcher = library.LLMatcher(self._read[1], grammar, log_level=0)
        if matcher.is_error():
            raise _refused(name, matcher.get_error())
        return Constraint(matcher, eos=eos)

    def _vocabulary_of(self, library: Any, eos: frozenset[int]) -> Any:
        """The tokenizer as llguidance reads it."""
        if not eos:
            raise InvalidInput(
                "the model has no token that ends an answer, so none can follow a constraint",
                hint="say which one does: `eos_token_ids`",
            )
        backend = self._backend
        if backend.truncation or backend.padding:
            backend = copy.copy(backend)
            backend.no_truncation()
            backend.no_padding()
        size = max(self._vocabulary, backend.get_vocab_size(with_added_tokens=True))
        try:
            return library.LLTokenizer(backend.to_str(), n_vocab=size, eos_token=sorted(eos))
        except ValueError as error:
            raise InvalidInput(
                f"llguidance cannot read the model's tokenizer ({_reason(str(error))})",
                hint="leave `json_schema`, `regex` and `grammar` out: this model cannot follow them",
            ) from error


def _grammar(library: Any, name: str, value: Mapping[str, Any] | str) -> str:
    """What llguidance calls a grammar, as it takes it."""
    try:
        if name == "json_schema":
            schema = json.loads(value) if isinstance(value, str) else value
            found: str = library.grammar_from(name, json.dumps(schema))
        else:
            found = library.grammar_from(name, value)
    except (ValueError, TypeError, RecursionError) as error:  # no JSON, or JSON that Python cannot write
        raise _refused(name, str(error)) from error
    return found


def _refused(name: str, reason: str) -> InvalidInput:
    return InvalidInput(
        f"`{name}` cannot be followed ({_reason(reason)})",
        hint=f"what it can say: {_SYNTAX[name]}",
        setting=name,
        reason=reason,
    )


def _reason(text: str) -> str:
    """One line of what llguidance or Python says: that of the regex crate which tells the error, else the first."""
    lines = text.strip().splitlines() or ["no reason given"]
    told = next((line for line in lines if line.startswith("error: ")), lines[0])
    return told.removeprefix("error: ").rstrip(".:")[:300]


def _library() -> Any:
    try:
        import llguidance
    except ImportError as error:
        raise ExtraMissing(
            "llguidance, which makes answers follow a schema or a grammar, is not installed",
            hint="pip install 'gpux[constrain]'",
        ) from error
    return llguidance
