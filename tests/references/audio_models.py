"""Makes tiny models of sound with random weights, and what transformers' pipelines and feature extractors make of recordings.

Usage: python audio_models.py RECORDINGS.npz DIRECTORY; writes one directory per model with its files and ``model.onnx``,
``answers.json``, what the task's pipeline answers per model and call, and ``vectors.npz``: hidden states, embeddings, and the
features of every extractor of tests/audio_reference.py with its settings as ``<name>.json``.
"""

from __future__ import annotations

import json
import string
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from audio_calls import ASKED, SOUNDS, SPOKEN
from transformers import (
    ASTConfig,
    ASTFeatureExtractor,
    ASTForAudioClassification,
    AudioClassificationPipeline,
    AutomaticSpeechRecognitionPipeline,
    ClapConfig,
    ClapFeatureExtractor,
    ClapModel,
    HubertConfig,
    HubertForSequenceClassification,
    RobertaTokenizer,
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2ForSequenceClassification,
    Wav2Vec2Model,
    WavLMConfig,
    WavLMForSequenceClassification,
    WhisperFeatureExtractor,
    ZeroShotAudioClassificationPipeline,
)

NAMES = ["yes", "no", "stop", "go"]
LABELS = {
    "num_labels": 4,
    "id2label": dict(enumerate(NAMES)),
    "label2id": {n: i for i, n in enumerate(NAMES)},
}
SPEECH = {
    "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2, "classifier_proj_size": 16,
}  # fmt: skip
LAYER = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
SPECTRUM = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}


def seeded(make: Callable[[Any], Any], config: Any) -> Any:
    """Random weights large enough that different sounds get clearly different scores."""
    torch.manual_seed(5)
    model = make(config).eval()
    for name, weight in model.named_parameters():
        if weight.ndim == 2 and "norm" not in name:
            torch.nn.init.normal_(weight, std=0.35)
    return model


def ctc(directory: Path, name: str, **config: Any) -> tuple[Any, Any, Any]:
    letters = ["<pad>", "<s>", "</s>", "<unk>", "|", *string.ascii_uppercase[:20]]
    if config.pop("lower", False):
        settings = {"do_lower_case": True, "pad_token": "[PAD]", "word_delimiter_token": "_"}
        letters[0], letters[4] = "[PAD]", "_"
    else:
        settings = {}
    # The last two outputs have no token of their own, as in models whose head is wider than their vocabulary.
    model = seeded(Wav2Vec2ForCTC, Wav2Vec2Config(**SPEECH, vocab_size=len(letters) + 2, **config))
    torch.nn.init.normal_(model.lm_head.weight, std=1.5)
    model.lm_head.bias.data[[0, 4]] += 7  # blanks and spaces are what speech has most of
    (directory / name).mkdir()
    vocabulary = directory / name / "vocab.json"
    vocabulary.write_text(json.dumps({token: index for index, token in enumerate(letters)}), encoding="utf-8")
    return (
        model,
        Wav2Vec2CTCTokenizer(str(vocabulary), **settings),
        Wav2Vec2FeatureExtractor(return_attention_mask="feat_extract_norm" in config),
    )


def clap() -> Any:
    text = {"vocab_size": 300, "max_position_embeddings": 64, **SPECTRUM}
    audio = {
        "spec_size": 64, "num_mel_bins": 64, "patch_size": 4, "patch_stride": [4, 4], "window_size": 2, "depths": [1, 1],
        "num_attention_heads": [2, 2], "hidden_size": 64, "patch_embeds_hidden_size": 32, "num_classes": 4,
    }  # fmt: skip
    return seeded(ClapModel, ClapConfig(text_config=text, audio_config=audio, projection_dim=16))


def tokenizer() -> RobertaTokenizer:
    alphabet = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *string.ascii_letters, *string.digits, *" .,Ġ"]
    return RobertaTokenizer(
        vocab={token: i for i, token in enumerate(alphabet)}, merges=[], model_max_length=62
    )


class Named(torch.nn.Module):
    """A model whose inputs come by position and whose outputs are a tuple, as the exporter wants both."""

    def __init__(self, model: Any, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        super().__init__()
        self.model, self.inputs, self.outputs = model, inputs, outputs

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found = self.model(**dict(zip(self.inputs, tensors, strict=True)))
        return tuple(found[name] for name in self.outputs)


def save(directory: Path, name: str, model: Any, *parts: Any, outputs: Sequence[str] = ("logits",)) -> None:
    """The model's files and its graph, whose batches and lengths are free."""
    model.config.architectures = [type(model).__name__]
    for part in (model.config, *parts):
        part.save_pretrained(directory / name)
    model.set_attn_implementation("eager")
    feeds, axes = example(name, parts[-1])
    rows = {0: "batch"} if name != "clap" else {0: "audios"}
    axes = {
        **dict.fromkeys(outputs, rows),
        "logits_per_audio": {0: "audios", 1: "texts"},
        "text_embeds": {0: "texts"},
        **axes,
    }
    axes = {value: axes[value] for value in (*feeds, *outputs)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what tracing fixes, the answers at other lengths show
        torch.onnx.export(
            Named(model, list(feeds), outputs).eval(), tuple(feeds.values()), str(directory / name / "model.onnx"),
            input_names=list(feeds), output_names=list(outputs), dynamic_axes=axes, dynamo=False, opset_version=17,
        )  # fmt: skip


def example(name: str, extractor: Any) -> tuple[dict[str, torch.Tensor], dict[str, dict[int, str]]]:
    random = torch.Generator().manual_seed(1)
    mask = torch.ones(2, 9000, dtype=torch.long)
    mask[1, -3000:] = 0
    if name == "clap":
        feeds = {
            "input_ids": torch.full((3, 7), 9), "attention_mask": torch.ones(3, 7, dtype=torch.long),
            "input_features": torch.randn(2, 1, 61, 64, generator=random),
        }  # fmt: skip
        words = {0: "texts", 1: "sequence"}
        return feeds, {"input_ids": words, "attention_mask": words, "input_features": {0: "audios"}}
    if name == "ast":
        return {"input_values": torch.randn(2, 128, 32, generator=random)}, {"input_values": {0: "batch"}}
    axis = {0: "batch", 1: "samples"}
    feeds = {"input_values": torch.randn(2, 9000, generator=random)}
    if extractor.return_attention_mask:
        feeds["attention_mask"] = mask
    return feeds, dict.fromkeys(feeds, axis)


def features(stored: Any, directory: Path) -> dict[str, np.ndarray]:
    """The features of every recording by every extractor, whose settings are written beside them."""
    extractors = {
        "raw": Wav2Vec2FeatureExtractor(),
        "raw-unscaled": Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=True),
        "spectrum": ASTFeatureExtractor(),
        "spectrum-small": ASTFeatureExtractor(num_mel_bins=32, max_length=100, do_normalize=False),
        "whisper": WhisperFeatureExtractor(),
        "whisper-128": WhisperFeatureExtractor(feature_size=128),
        "clap-low": ClapFeatureExtractor(
            truncation="rand_trunc", sampling_rate=16000, max_length_s=1, hop_length=160, fft_window_size=512,
            frequency_min=50, frequency_max=8000, feature_size=32,
        ),
    }  # fmt: skip
    for kind in ("fusion-repeatpad", "rand_trunc-repeatpad", "rand_trunc-repeat", "rand_trunc-pad"):
        truncation, padding = kind.split("-")
        extractors[f"clap-{kind}"] = ClapFeatureExtractor(truncation=truncation, padding=padding)
    found = {}
    for name, extractor in extractors.items():
        (directory / f"{name}.json").write_text(extractor.to_json_string(), encoding="utf-8")
        for key in [key for key in stored if key.startswith(f"{name}/")]:
            made = extractor([stored[key]], sampling_rate=extractor.sampling_rate, return_tensors="np")
            found |= {f"{key}/{part}": np.asarray(array) for part, array in made.items()}
            if name == "clap-fusion-repeatpad":  # what it takes its random parts from
                found[f"{key}/whole"] = extractor._np_extract_fbank_features(
                    stored[key], extractor.mel_filters
                )
    return found


def main(recordings: Path, directory: Path) -> None:
    directory.mkdir(parents=True)
    with np.load(recordings) as stored:
        vectors = features(stored, directory)
        sounds = {
            int(rate): [stored[key] for key in sorted(stored) if key.startswith(f"{rate}/")]
            for rate in (16000, 48000)
        }
    speech, wide = sounds[16000], sounds[48000]
    answers: dict[str, dict[str, Any]] = {}

    classifiers = {
        "wav2vec2-group": seeded(Wav2Vec2ForSequenceClassification, Wav2Vec2Config(**SPEECH, **LABELS)),
        "hubert-layer": seeded(HubertForSequenceClassification, HubertConfig(**SPEECH, **LAYER, **LABELS)),
        "wavlm-many": seeded(
            WavLMForSequenceClassification,
            WavLMConfig(**SPEECH, **LABELS, problem_type="multi_label_classification"),
        ),
        "ast": seeded(
            ASTForAudioClassification, ASTConfig(**SPECTRUM, **LABELS, max_length=128, num_mel_bins=32)
        ),
    }
    for name, model in classifiers.items():
        extractor = (
            ASTFeatureExtractor(max_length=128, num_mel_bins=32)
            if name == "ast"
            else Wav2Vec2FeatureExtractor(return_attention_mask=name != "wav2vec2-group")
        )
        run = AudioClassificationPipeline(model=model, feature_extractor=extractor)
        answers[name] = {call: [run(sound, **given) for sound in speech] for call, given in SOUNDS.items()}
        save(directory, name, model, extractor)

    for name, config in (("ctc-group", {}), ("ctc-layer", {**LAYER, "lower": True})):
        model, words, extractor = ctc(directory, name, **config)
        run = AutomaticSpeechRecognitionPipeline(model=model, tokenizer=words, feature_extractor=extractor)
        answers[name] = {call: [run(sound, **given) for sound in speech] for call, given in SPOKEN.items()}
        save(directory, name, model, words, extractor)

    extractor = Wav2Vec2FeatureExtractor(return_attention_mask=True)
    encoder = seeded(Wav2Vec2Model, Wav2Vec2Config(**SPEECH, **LAYER))
    for index, sound in enumerate(speech):
        given = extractor(sound, sampling_rate=16000, return_tensors="pt")
        with torch.inference_mode():
            vectors[f"encoder/{index}"] = encoder(**given).last_hidden_state.numpy()
    save(directory, "encoder", encoder, extractor, outputs=("last_hidden_state",))

    model, words = clap(), tokenizer()
    extractor = ClapFeatureExtractor(truncation="rand_trunc", max_length_s=2, hop_length=1600)
    run = ZeroShotAudioClassificationPipeline(model=model, tokenizer=words, feature_extractor=extractor)
    answers["clap"] = {call: [run(sound, **given) for sound in wide] for call, given in ASKED.items()}
    with torch.inference_mode():
        heard = model.get_audio_features(**extractor(wide, sampling_rate=48000, return_tensors="pt"))
        read = model.get_text_features(**words(["a dog", "rain"], return_tensors="pt", padding=True))
    for key, found in (("heard", heard), ("read", read)):
        projected = found.pooler_output
        vectors[f"clap/{key}"] = (projected / projected.norm(dim=-1, keepdim=True)).numpy()
    save(
        directory,
        "clap",
        model,
        words,
        extractor,
        outputs=("logits_per_audio", "text_embeds", "audio_embeds"),
    )

    (directory / "answers.json").write_text(json.dumps(answers), encoding="utf-8")
    np.savez(directory / "vectors.npz", **vectors)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
