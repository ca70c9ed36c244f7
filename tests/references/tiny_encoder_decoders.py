"""Makes tiny encoder-decoders, their graphs, and what PyTorch says: scores, greedy answers and beams.

Usage: python tiny_encoder_decoders.py DIRECTORY; writes one directory per family with ``encoder.onnx`` and ``decoder.onnx``,
or with a whole repository where the tests pull it, ``scores.npz`` and ``answers.json``.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import corpus
import numpy as np
import sentencepiece
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

VOCABULARY = 120
SOURCES = ([17, 5, 99, 23, 42, 8, 61, 2], [31, 4, 2], [77, 12, 90, 33, 2])
STEPS = 9
PREFIXES = {
    "summarization": {"prefix": "summarize: ", "max_length": 9, "min_length": 4, "num_beams": 2},
    "translation_en_to_de": {"prefix": "translate English to German: ", "max_length": 8},
}
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:;!?'- "
PROSE = [" ".join(text.replace("\0", " ").split()) for text in corpus.texts() if len(text) < 400]
TEXTS = ["The house is wonderful.", "glacier", "How do I reset my password?"]

BART: dict[str, Any] = {
    "vocab_size": VOCABULARY, "d_model": 32, "encoder_layers": 1, "decoder_layers": 2, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "max_position_embeddings": 64, "pad_token_id": 1,
    "eos_token_id": 2, "bos_token_id": 0, "decoder_start_token_id": 2, "forced_eos_token_id": None,
}  # fmt: skip
T5: dict[str, Any] = {
    "vocab_size": VOCABULARY, "d_model": 32, "d_kv": 12, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 4, "d_ff": 48,
    "relative_attention_num_buckets": 8, "relative_attention_max_distance": 12, "pad_token_id": 0, "eos_token_id": 1,
    "decoder_start_token_id": 0,
}  # fmt: skip
FAMILIES: Mapping[str, tuple[str, str, dict[str, Any]]] = {
    "t5": ("T5Config", "T5ForConditionalGeneration", T5),
    "bart": ("BartConfig", "BartForConditionalGeneration", BART),
    "marian": ("MarianConfig", "MarianMTModel", {**BART, "pad_token_id": 119, "decoder_start_token_id": 119}),
    "m2m100": ("M2M100Config", "M2M100ForConditionalGeneration", BART),
}


def model(family: str, **sizes: Any) -> Any:
    """A model of random weights, which come from numpy's frozen generator."""
    config, kind, settings = FAMILIES[family]
    torch.manual_seed(0)
    made = getattr(transformers, kind)(getattr(transformers, config)(**settings | sizes)).eval()
    numbers = np.random.default_rng(7)
    with torch.no_grad():
        for name, weights in sorted({**dict(made.named_parameters()), **dict(made.named_buffers())}.items()):
            # Tables of sines stay as they are.
            if weights.requires_grad or name.endswith("final_logits_bias"):
                scale = 0.3 if weights.dim() > 1 else 0.1
                weights.add_(torch.from_numpy(numbers.normal(scale=scale, size=tuple(weights.shape))))
    made.generation_config.forced_eos_token_id = None
    return made


def padded(rows: Any, pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(map(len, rows))
    ids = torch.tensor([[*row, *[pad] * (width - len(row))] for row in rows])
    return ids, torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])


def scores(made: Any) -> dict[str, np.ndarray]:
    """Tokens that a teacher forces, and the scores after each of them."""
    ids, mask = padded(SOURCES, made.config.pad_token_id)
    told = np.random.default_rng(3).integers(3, VOCABULARY - 1, (len(SOURCES), STEPS))
    told[:, 0] = made.config.decoder_start_token_id
    with torch.inference_mode():
        logits = made(input_ids=ids, attention_mask=mask, decoder_input_ids=torch.from_numpy(told)).logits
    return {"told": told, "logits": logits.numpy()}


def written(made: Any, **settings: Any) -> list[list[int]]:
    """The answers to each source by itself, without the token that they begin with, up to their end."""
    found = []
    for row in SOURCES:
        with torch.inference_mode():
            out = made.generate(
                input_ids=torch.tensor([row]), do_sample=False, max_new_tokens=STEPS, **settings
            )
        found += [ended(one[1:].tolist(), made.config.eos_token_id) for one in out]
    return found


def ended(tokens: list[int], end: int) -> list[int]:
    return tokens[: tokens.index(end) + 1] if end in tokens else tokens


def words(length: int) -> PreTrainedTokenizerFast:
    """A unigram tokenizer as T5's: spaces are part of words, each text ends with ``</s>``."""
    pieces = ["<pad>", "</s>", "<unk>", "▁", *LETTERS.strip(), "▁the", "▁is", "en", "er", "▁to:"]
    pieces += [f"<extra_id_{place}>" for place in range(length - len(pieces))]
    made = Tokenizer(
        models.Unigram([(piece, -2.0 - place / 99) for place, piece in enumerate(pieces)], unk_id=2)
    )
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token="</s>", pad_token="<pad>", unk_token="<unk>", model_max_length=512
    )


def t5(directory: Path) -> dict[str, Any]:
    """A repository as t5-small's, with what its pipelines answer."""
    made, tokenizer = model("t5"), words(VOCABULARY)
    made.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    config = json.loads((directory / "config.json").read_bytes())
    (directory / "config.json").write_text(json.dumps({**config, "task_specific_params": PREFIXES}))

    def answers(prefix: str, **settings: Any) -> list[str]:
        found = []
        for text in TEXTS:
            given = tokenizer(prefix + text, return_tensors="pt")
            given.pop("token_type_ids", None)
            out = made.generate(**given, do_sample=False, **settings)
            found += tokenizer.batch_decode(out, skip_special_tokens=True)
        return found

    return {
        "plain": answers("", max_new_tokens=7),
        "summaries": answers("summarize: ", max_length=9, min_length=4, num_beams=2),
        "german": answers("translate English to German: ", max_length=8),
        "french": answers("translate English to French: ", max_new_tokens=5),
    }


def train(prefix: Path, kind: str, texts: list[str], size: int) -> list[str]:
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_prefix=str(prefix), vocab_size=size, hard_vocab_limit=False, model_type=kind,
        minloglevel=2, pad_id=-1, bos_id=-1, eos_id=0, unk_id=1,
    )  # fmt: skip
    Path(f"{prefix}.vocab").unlink()
    known = sentencepiece.SentencePieceProcessor(model_file=f"{prefix}.model")
    return [known.id_to_piece(place) for place in range(known.get_piece_size())]


def m2m100(directory: Path) -> dict[str, Any]:
    """A repository as M2M100's: SentencePiece and a vocabulary, a token for each language."""
    pieces = train(directory / "sentencepiece.bpe", "bpe", PROSE, 400)
    numbered = [
        "<s>",
        "<pad>",
        "</s>",
        "<unk>",
        *(p for p in pieces[2:] if len(p) < 5),
    ]  # some pieces have no number
    (directory / "vocab.json").write_text(json.dumps({piece: place for place, piece in enumerate(numbered)}))
    settings = {
        "tokenizer_class": "M2M100Tokenizer",
        "src_lang": "en",
        "unk_token": "<unk>",
        "model_max_length": 60,
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    tokenizer = transformers.M2M100Tokenizer.from_pretrained(directory)
    made = model("m2m100", vocab_size=len(numbered) + 108)
    made.save_pretrained(directory)

    def answers(source: str, target: str) -> list[str]:
        tokenizer.src_lang, found = source, []
        for text in TEXTS:
            given = tokenizer(text, return_tensors="pt")
            first = tokenizer.get_lang_id(target)
            out = made.generate(**given, forced_bos_token_id=first, do_sample=False, max_new_tokens=6)
            found += tokenizer.batch_decode(out, skip_special_tokens=True)
        return found

    found = {"fr-en": answers("fr", "en"), "en-de": answers("en", "de")}
    return {**found, "ids": ids(tokenizer)}


def marian(directory: Path) -> dict[str, Any]:
    """The vocabulary of a multilingual Marian; pieces that only one of its files knows among it."""
    pieces = train(directory / "source", "unigram", PROSE, 300)
    others = train(directory / "target", "unigram", [text[::-1] for text in PROSE], 320)
    for name in ("source", "target"):
        (directory / f"{name}.model").rename(directory / f"{name}.spm")
    kept = [piece for place, piece in enumerate(pieces[2:]) if place % 7]
    listed = dict.fromkeys(["</s>", "<unk>", *kept, ">>deu<<", ">>fra<<", *others[2:], "<pad>"])
    (directory / "vocab.json").write_text(json.dumps({piece: place for place, piece in enumerate(listed)}))
    settings = {"tokenizer_class": "MarianTokenizer", "source_lang": "en", "target_lang": "mul"}
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    (directory / "config.json").write_text(json.dumps({"model_type": "marian", "vocab_size": len(listed)}))
    tokenizer = transformers.MarianTokenizer.from_pretrained(directory)
    texts = tokenizer.batch_decode(
        [[0, 5, 9, 33, 12], [7, 60, len(listed) - 4, 2, 0]], skip_special_tokens=True
    )
    return {"ids": ids(tokenizer, ">>deu<< "), "decoded": texts, "vocabulary": len(listed)}


def ids(tokenizer: Any, mark: str = "") -> list[list[int]]:
    return [tokenizer(before + text)["input_ids"] for before in ("", mark) for text in corpus.texts()]


def main(directory: Path) -> None:
    from onnx_ir import save

    from gpux.export import tokenizer_route
    from gpux.export.generators import encoder_decoder

    found: dict[str, Any] = {}
    arrays: dict[str, np.ndarray] = {}
    for family in FAMILIES:
        folder = directory / family
        folder.mkdir(parents=True)
        made = model(family)
        arrays |= {f"{family}/{name}": array for name, array in scores(made).items()}
        found[family] = {
            "greedy": written(made),
            "beams": written(made, num_beams=3, num_return_sequences=2, length_penalty=0.7),
            "config": made.config.to_dict(),
        }
        for name, program in encoder_decoder.export(made, encoder_decoder.text_source(made.config)).items():
            save(program, folder / f"{name}.onnx")
    for name, making in (("t5", t5), ("m2m100", m2m100), ("marian", marian)):
        folder = directory / f"{name}-repository"
        folder.mkdir()
        found[name] |= making(folder)
        (folder / "made").mkdir()
        tokenizer_route.load(folder, folder / "made", trust_remote_code=False)
    np.savez(directory / "scores.npz", **arrays)
    (directory / "answers.json").write_text(json.dumps(found))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(Path(sys.argv[1]))
