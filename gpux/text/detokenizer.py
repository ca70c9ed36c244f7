"""Tokens that come one by one → text, whole characters only, by the model's own tokenizer; knows no model."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend

_BYTE = len("<0x0A>")
_BEFORE = 16
"""Tokens before an answer that are looked at: a character has at most a few."""

_IDS = 1 << 31


class Detokenizer:
    """The text of one answer while it is written.

    The pieces together are what ``decode`` of the tokenizers library gives for all tokens. Only bytes that belong to no
    character may be shown by another number of U+FFFD where the tokenizer falls back to bytes: what was shown stays.

    Args:
        backend: The tokenizer of the tokenizers library.
        skip_special: Leave special tokens out, such as the one that ends the answer.
        after: The tokens before the answer: what a word begins with, such as a space, shows only behind another.
    """

    def __init__(self, backend: Backend, *, skip_special: bool = True, after: Sequence[int] = ()) -> None:
        from tokenizers.decoders import DecodeStream

        self._backend = backend
        self._skipped = frozenset(
            number
            for number, token in backend.get_added_tokens_decoder().items()
            if skip_special and token.special
        )
        self._start = DecodeStream
        self._stream = DecodeStream(skip_special_tokens=skip_special)
        self._skip_special = skip_special
        self._tokens: list[int] = []
        self._shown = 0
        self._pending = False
        # A run of bytes is decoded as a whole by the library, so that one wrong byte at its end changes what its
        # beginning was shown as, and its stream gives up: such tokens do not go through it.
        decoder = backend.decoder
        self._falls_back = decoder is not None and b'"ByteFallback"' in decoder.__getstate__()
        self._bytes = codecs.getincrementaldecoder("utf-8")("replace")
        for token in after[-_BEFORE:]:
            if token < _IDS:  # the place of a picture is none
                self.push(token)

    def push(self, token: int) -> str:
        """The text that this token completes; often a character less or more than the token stands for.

        Args:
            token: Its id; one that the tokenizer does not have stands for nothing.
        """
        if token in self._skipped:
            return ""
        if not self._falls_back:
            return self._step(token)
        byte = self._byte(token)
        if byte is not None:
            if not self._tokens:
                self._begin_inside()
            return self._bytes.decode(byte)
        return self._bytes.decode(b"", final=True) + self._step(token)

    def flush(self) -> str:
        """What is left when the answer ends: bytes whose character is not complete, as U+FFFD."""
        left = self._bytes.decode(b"", final=True)
        if self._pending:
            self._pending = False
            left += self._backend.decode(self._tokens, skip_special_tokens=self._skip_special)[self._shown :]
        return left

    def _step(self, token: int) -> str:
        self._tokens.append(token)
        try:
            piece = self._stream.step(self._backend, token)
        except Exception:  # noqa: BLE001 (all it raises; what was shown reads otherwise with this token behind it)
            self._stream = self._start(ids=[token], skip_special_tokens=self._skip_special)
            piece = self._backend.decode([token], skip_special_tokens=self._skip_special)
        self._pending = piece is None
        self._shown += len(piece or "")
        return piece or ""

    def _byte(self, token: int) -> bytes | None:
        """The byte of a longer character that a token stands for; one of ASCII is a character, and as good as any token."""
        text = self._backend.id_to_token(token)
        if text is None or len(text) != _BYTE or not (text.startswith("<0x") and text.endswith(">")):
            return None
        try:
            byte = bytes.fromhex(text[3:5])
        except ValueError:
            return None
        return None if byte < b"\x80" else byte

    def _begin_inside(self) -> None:
        """Let the stream know that its first token is not the text's, and keeps the space at its beginning."""
        for token in range(self._backend.get_vocab_size()):
            if token not in self._skipped and self._byte(token) is None:
                before = self._backend.decode([token], skip_special_tokens=self._skip_special)
                if before.strip():
                    self._tokens = [token]
                    self._shown = len(before)
                    self._stream = self._start(ids=[token], skip_special_tokens=self._skip_special)
                    return
