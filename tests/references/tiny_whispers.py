"""Makes two tiny Whispers with random weights, and writes down what transformers' pipeline answers.

Usage: python tiny_whispers.py RECORDINGS.npz DIRECTORY; writes a directory per model, and ``answers.json`` beside them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import speech_parts
import torch
from speech_calls import CALLS, ENGLISH, MULTILINGUAL, SECONDS, SOUNDS
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutomaticSpeechRecognitionPipeline,
    GenerationConfig,
    PreTrainedTokenizerBase,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperTokenizer,
    logging,
)

SECONDS_HEARD, POSITIONS, TOKENS = 2, 100, 40
STEERING = ["translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"]


def tokenizer(languages: list[str], folder: Path) -> PreTrainedTokenizerBase:
    """Byte-level BPE, then Whisper's own tokens in their order, those of times last."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    words = ['the cat sat on the mat, then (so) it said "no".'] * 4
    backend.train_from_iterator(words, trainers.BpeTrainer(vocab_size=290, initial_alphabet=alphabet))
    content = json.loads(backend.to_str())
    special = ["<|endoftext|>", *(f"<|{name}|>" for name in ("startoftranscript", *languages, *STEERING))]
    times = [f"<|{step * 0.02:.2f}|>" for step in range(POSITIONS + 1)]
    first = len(content["model"]["vocab"])
    flags = {"single_word": False, "lstrip": False, "rstrip": False}
    content["added_tokens"] = [
        {"id": first + index, "content": token, **flags, "normalized": index >= len(special), "special": index < len(special)}
        for index, token in enumerate([*special, *times])
    ]  # fmt: skip
    folder.mkdir(parents=True)
    (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    end = special[0]
    named = dict.fromkeys(("bos_token", "eos_token", "unk_token", "pad_token"), end)
    settings = {**named, "tokenizer_class": "WhisperTokenizer", "additional_special_tokens": special}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    made = WhisperTokenizer.from_pretrained(folder)
    assert made.convert_tokens_to_ids(["<|endoftext|>", "<|2.00|>"]) == [
        first,
        first + len(special) + POSITIONS,
    ]
    return made


def write(name: str, folder: Path) -> AutomaticSpeechRecognitionPipeline:
    """One model, its files in the folder."""
    languages = [] if name == ENGLISH else ["en", "de", "fr"]
    words = tokenizer(languages, folder)
    ids = {
        token: words.convert_tokens_to_ids(f"<|{token}|>")
        for token in ("endoftext", "startoftranscript", *languages, *STEERING)
    }
    config = WhisperConfig(
        vocab_size=len(words), num_mel_bins=16, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=48, decoder_ffn_dim=48, max_source_positions=POSITIONS,
        max_target_positions=TOKENS, bos_token_id=ids["endoftext"], eos_token_id=ids["endoftext"],
        pad_token_id=ids["endoftext"], decoder_start_token_id=ids["startoftranscript"],
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.25)
        # What it hears must matter more than what it wrote, or every text would be the same.
        model.model.decoder.embed_positions.weight.mul_(6)
    told: dict[str, Any] = {
        "decoder_start_token_id": ids["startoftranscript"], "eos_token_id": ids["endoftext"], "pad_token_id": ids["endoftext"],
        "bos_token_id": ids["endoftext"], "no_timestamps_token_id": ids["notimestamps"], "prev_sot_token_id": ids["startofprev"],
        "is_multilingual": bool(languages), "max_length": TOKENS, "max_initial_timestamp_index": 50,
        "alignment_heads": [[0, 1], [1, 0], [1, 1]], "begin_suppress_tokens": [32, ids["endoftext"]],
        "suppress_tokens": [1, 2, 7, ids["startoftranscript"], ids["startofprev"], ids["nospeech"]], "return_timestamps": False,
    }  # fmt: skip
    if languages:
        told["lang_to_id"] = {f"<|{code}|>": ids[code] for code in languages}
        told["task_to_id"] = {task: ids[task] for task in ("translate", "transcribe")}
        told["forced_decoder_ids"] = [[1, None], [2, ids["transcribe"]]]
    else:
        told["forced_decoder_ids"] = [[1, ids["notimestamps"]]]
    model.generation_config = GenerationConfig(**told)
    model.save_pretrained(folder)
    extractor = WhisperFeatureExtractor(feature_size=16, chunk_length=SECONDS_HEARD)
    extractor.save_pretrained(folder)
    return AutomaticSpeechRecognitionPipeline(
        model=model, tokenizer=words, feature_extractor=extractor, num_beams=1
    )


_PIPELINE = {"chunk_length_s", "stride_length_s", "return_timestamps", "return_language", "generate_kwargs"}


def answer(pipeline: Any, waveform: np.ndarray, asked: dict[str, Any]) -> Any:
    """One answer of the pipeline."""
    asked = dict(asked)
    if "prompt" in asked:
        ids = pipeline.tokenizer.get_prompt_ids(asked.pop("prompt"))
        asked["generate_kwargs"] = {"prompt_ids": torch.from_numpy(np.asarray(ids))}
    own = {name: asked.pop(name) for name in list(asked) if name not in _PIPELINE}
    asked["generate_kwargs"] = {**asked.get("generate_kwargs", {}), **own}
    return pipeline({"array": waveform, "sampling_rate": 16000}, **asked)


def main(recordings: Path, directory: Path) -> None:
    logging.set_verbosity_error()
    torch.set_num_threads(1)
    answers: dict[str, Any] = {}
    with np.load(recordings) as sounds:
        for name, calls in CALLS.items():
            torch.manual_seed(11)
            pipeline = write(name, directory / name)
            answers[name] = {
                call: [answer(pipeline, sounds[f"{seconds}"], asked) for seconds in SECONDS[call]]
                for call, asked in calls.items()
            }
            if name == MULTILINGUAL:
                heard = {part: sounds[str(seconds)] for part, seconds in SOUNDS.items()}
                speech_parts.write(pipeline.tokenizer, heard, directory)
    (directory / "answers.json").write_text(json.dumps(answers), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
