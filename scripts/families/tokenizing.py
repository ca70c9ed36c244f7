"""Tokenizers of decoders, with made-up vocabularies of published sizes: GPT-2's bytes, and SentencePiece's with bytes to fall
back on; with the special tokens and the conversations of the models that have them.
"""

from __future__ import annotations

import string
from typing import Any

from families.vocabularies import merges

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA3 = (
    "{{ bos_token }}{% for message in messages %}<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
    "{{ message['content'] }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% for message in messages %}<start_of_turn>{{ message['role'] }}\n{{ message['content'] }}<end_of_turn>\n"
    "{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
PICTURED = (
    "{% for message in messages %}{{ message['role'].upper() + ': ' }}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] + ' ' }}{% endif %}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
PICTURED_CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
DIALOGUE = "{% for message in messages %}{{ message['content'] }}{{ eos_token }}{% endfor %}"


def gpt(size: int, *, limit: int, first: list[str], bos: str | None, eos: str, pad: str | None = None,
        starts: bool = False, template: str | None = None) -> Any:  # fmt: skip
    """Byte-level BPE.

    Args:
        size: Number of tokens.
        limit: The longest text, in tokens.
        first: Special tokens, which come before all others.
        bos: What begins a text.
        eos: What ends it.
        pad: What fills rows; ``None`` where the model names nothing.
        starts: Whether the tokenizer puts ``bos`` before a text by itself.
        template: How a conversation becomes text.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens, pairs = merges([*first, *alphabet], size, end="")
    made = Tokenizer(models.BPE({token: index for index, token in enumerate(tokens)}, pairs))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return _fast(made, first, (bos, eos, pad), limit=limit, template=template, starts=starts)


def sentencepiece(size: int, *, limit: int, first: list[str], bos: str, eos: str, pad: str | None = None,
                  template: str | None = None) -> Any:  # fmt: skip
    """SentencePiece's BPE: words with a sign for the space before them, and bytes for what no token spells; ``bos`` begins
    every text. The arguments are those of :func:`gpt`.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers

    letters = ["▁", *string.ascii_letters, *string.digits, *string.punctuation]
    tokens, pairs = merges(
        [*first, *(f"<0x{byte:02X}>" for byte in range(256)), *letters], size, end="", space="▁"
    )
    vocabulary = {token: index for index, token in enumerate(tokens)}
    made = Tokenizer(models.BPE(vocabulary, pairs, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return _fast(made, first, (bos, eos, pad), limit=limit, template=template, starts=True)


def _fast(made: Any, first: list[str], ends: tuple[str | None, str, str | None], *, limit: int, template: str | None,
          starts: bool) -> Any:  # fmt: skip
    from tokenizers import AddedToken, processors
    from transformers import PreTrainedTokenizerFast

    bos, eos, pad = ends
    made.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in first])
    if starts:
        made.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", pair=f"{bos} $A {bos} $B:1", special_tokens=[(bos, made.token_to_id(bos))]
        )
    unknown = {"unk_token": "<unk>"} if "<unk>" in first else {}
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token=bos, eos_token=eos, pad_token=pad, chat_template=template, model_max_length=limit,
        model_input_names=["input_ids", "attention_mask"], clean_up_tokenization_spaces=False, **unknown,
    )  # fmt: skip
