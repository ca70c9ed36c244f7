"""Tokenizers of published kinds and sizes with made-up vocabularies: common words, letters, and seeded syllables."""

from __future__ import annotations

import random
import string
from typing import Any

_COMMON = (
    "the of and to in is was he for it with as his on be at by had not are but from or have an they which one you were "
    "her all she there would their we him been has when who will more no if out so said what up its about into than "
    "them can only other new some could time these two may then do first any my now such like our over man me even "
    "most made after also did many before must through years where much your way well down should because each just "
    "those people how too little state good very make world still own see men work long get here between both life "
    "being under never day same another know while last might us great old year off come since against go came right "
    "used take three a photo cat dog house river mountain city music answer question paris france capital film play "
    "love hate terrible wonderful happy sad berlin london company lives weather rain sun engine machine learning ing "
    "ed er ly s es est un re able tion ness speech silence red blue green square circle"
)
WORDS = _COMMON.split()
SYLLABLES = [c + v for c in "bcdfghjklmnprstvwz" for v in ("a", "e", "i", "o", "u", "an", "or", "ist")]


def _words(count: int) -> list[str]:
    """``count`` different words: real ones, then syllables put together, always the same."""
    dice = random.Random(20261122)
    found = dict.fromkeys(WORDS)
    while len(found) < count:
        found["".join(dice.choice(SYLLABLES) for _ in range(dice.randint(2, 5)))] = None
    return list(found)[:count]


def _filled(tokens: list[str], size: int, prefix: str = "") -> list[str]:
    """``tokens`` without repetition, brought to a size with words."""
    made = dict.fromkeys(tokens)
    for word in _words(size + len(tokens)):
        if len(made) == size:
            break
        made[prefix + word] = None
    return list(made)


def wordpiece(
    size: int,
    *,
    kind: str = "BertTokenizer",
    limit: int = 512,
    lower: bool = True,
    more: tuple[str, ...] = (),
) -> Any:
    """BERT's kind; MPNet's special tokens where ``kind`` is its tokenizer, and ``more`` of them behind all others."""
    import transformers

    # As published: unused entries on both sides of the special tokens, which late interaction marks texts with.
    unused = [f"[unused{index}]" for index in range(994)]
    special = ["[PAD]", *unused[:99], "[UNK]", "[CLS]", "[SEP]", "[MASK]", *unused[99:]]
    if kind == "MPNetTokenizer":
        special = ["<s>", "<pad>", "</s>", "<unk>", "[UNK]", "<mask>"]
    letters = [*string.ascii_lowercase, *string.digits, *string.punctuation]
    letters += [] if lower else list(string.ascii_uppercase)
    suffixes = [f"##{part}" for part in (*letters, *SYLLABLES, "ing", "ed", "er", "ly", "es", "est")]
    tokens = _filled([*special, *letters, *suffixes], size)
    maker = getattr(transformers, kind)
    vocabulary = {token: index for index, token in enumerate(tokens)}
    made = maker(vocab=vocabulary, do_lower_case=lower, model_max_length=limit)
    if more:
        made.add_special_tokens({"additional_special_tokens": list(more)})
    return made


def bytes_bpe(size: int, *, kind: str = "RobertaTokenizer", limit: int = 512) -> Any:
    """Byte-level BPE: RoBERTa's, CLIP's with word ends, ModernBERT's with BERT's special tokens."""
    import transformers
    from tokenizers import pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    clip, modern = kind == "CLIPTokenizer", kind == "ModernBert"
    if clip:
        tokens, pairs = merges([*alphabet, *(f"{letter}</w>" for letter in alphabet)], size - 2, end="</w>")
        tokens += ["<|startoftext|>", "<|endoftext|>"]
    elif modern:
        tail = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
        # ModernBERT's special tokens stand behind the vocabulary, and unused ones behind them.
        tokens, pairs = merges(alphabet, 50280 if size == 50368 else size - 88, end="")
        tokens += [*tail, *(f"[unused{index}]" for index in range(size - len(tokens) - len(tail)))]
    else:
        head = ["<s>", "<pad>", "</s>", "<unk>"]
        tokens, pairs = merges([*head, *alphabet], size - 1, end="")
        tokens += ["<mask>"]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    if modern:
        return _modern(vocabulary, pairs, limit)
    return getattr(transformers, kind)(vocab=vocabulary, merges=pairs, model_max_length=limit)


def unigram(size: int, *, kind: str = "XLMRobertaTokenizer", limit: int = 512) -> Any:
    """SentencePiece's Unigram kind: XLM-RoBERTa, ALBERT, DeBERTa, SigLIP."""
    import transformers

    special, tail = {
        "XLMRobertaTokenizer": (["<s>", "<pad>", "</s>", "<unk>"], ["<mask>"]),
        "AlbertTokenizer": (["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"], []),
        "DebertaV2Tokenizer": (["[PAD]", "[CLS]", "[SEP]", "[UNK]"], ["[MASK]"]),
        "SigLIP": (["<unk>", "</s>"], []),
    }[kind]
    letters = [*string.ascii_letters, *string.digits, *string.punctuation, "▁"]
    tokens = [
        *_filled([*special, *letters, *SYLLABLES, *(f"▁{word}" for word in WORDS)], size - len(tail), "▁"),
        *tail,
    ]
    pieces = [(token, 0.0 if token in {*special, *tail} else -4 - i / size) for i, token in enumerate(tokens)]
    # A letter must cost more than a word, or every text falls to letters.
    pieces = [(token, -14.0 if token in letters else score) for token, score in pieces]
    if kind == "SigLIP":
        return _siglip(pieces, limit)
    extra = {"unk_id": 3} if kind == "DebertaV2Tokenizer" else {}
    return getattr(transformers, kind)(vocab=pieces, model_max_length=limit, **extra)


def characters(*, limit: int | None = None) -> Any:
    """wav2vec2's: letters, a word delimiter, CTC's blank as padding."""
    import json
    import tempfile
    from pathlib import Path

    import transformers

    letters = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "vocab.json")
        path.write_text(json.dumps({letter: index for index, letter in enumerate(letters)}))
        return transformers.Wav2Vec2CTCTokenizer(str(path), **({"model_max_length": limit} if limit else {}))


def merges(
    tokens: list[str], size: int, *, end: str, space: str = "Ġ"
) -> tuple[list[str], list[tuple[str, str]]]:
    """Merges that build words letter by letter, and the vocabulary with every step of them."""
    made, pairs = dict.fromkeys(tokens), dict[tuple[str, str], None]()
    for word in _words(size):
        for start in ("",) if end else (space, ""):
            parts = [*start, *word]
            parts[-1] += end
            whole = parts[0]
            for part in parts[1:]:
                if len(made) == size:
                    return list(made), list(pairs)
                pairs.setdefault((whole, part))
                whole += part
                made.setdefault(whole)
    return list(made), list(pairs)


def _modern(vocabulary: dict[str, int], pairs: list[tuple[str, str]], limit: int) -> Any:
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE(vocabulary, pairs))
    made.normalizer = normalizers.NFC()
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    ends = [(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")]
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]",
        mask_token=AddedToken("[MASK]", lstrip=True, special=True), model_max_length=limit,
        model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip


def _siglip(pieces: list[tuple[str, float]], limit: int) -> Any:
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.Unigram(pieces, unk_id=0))
    made.normalizer = normalizers.Sequence(
        [normalizers.Lowercase(), normalizers.Replace(Regex(r"[^\w\s]"), ""), normalizers.Strip()]
    )
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token="<unk>", eos_token="</s>", pad_token="</s>", model_max_length=limit,
        model_input_names=["input_ids"],
    )  # fmt: skip
