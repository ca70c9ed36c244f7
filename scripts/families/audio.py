"""Audio families."""

from __future__ import annotations

from families.record import Family, labels

_SMALL = {
    "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128, "conv_dim": [32] * 7,
    "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4, "classifier_proj_size": 32,
}  # fmt: skip
_KEYWORDS = ["yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go", "_silence_", "_unknown_"]
_EMOTIONS = ["neu", "hap", "ang", "sad"]


def _waveform(*, mask: bool = False) -> dict[str, object]:
    return {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor", "do_normalize": True, "feature_size": 1, "padding_side": "right",
        "padding_value": 0.0, "return_attention_mask": mask, "sampling_rate": 16000,
    }  # fmt: skip


FAMILIES = (
    Family(
        name="wav2vec2-ctc", title="wav2vec2", like="facebook/wav2vec2-base-960h", task="automatic-speech-recognition",
        architecture="Wav2Vec2ForCTC", exact=True, reduced=_SMALL, tokenizer=("characters", {}), processor=_waveform(),
        parameters={"return_timestamps": "char"}, items="recordings",
    ),
    Family(
        name="wav2vec2-ks", title="wav2vec2", like="superb/wav2vec2-base-superb-ks", task="audio-classification",
        architecture="Wav2Vec2ForSequenceClassification", exact=True, config={"use_weighted_layer_sum": True, **labels(_KEYWORDS)},
        reduced=_SMALL, processor=_waveform(), items="recordings",
    ),
    Family(
        name="hubert", title="HuBERT", like="superb/hubert-base-superb-er", task="audio-classification",
        architecture="HubertForSequenceClassification", exact=True, config={"use_weighted_layer_sum": True, **labels(_EMOTIONS)},
        reduced=_SMALL, processor=_waveform(), items="recordings",
    ),
    Family(
        name="hubert-ctc", title="HuBERT", like="facebook/hubert-large-ls960-ft", task="automatic-speech-recognition",
        architecture="HubertForCTC", config={"do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True},
        reduced=_SMALL, tokenizer=("characters", {}), processor=_waveform(mask=True), parameters={"return_timestamps": "char"}, items="recordings",
    ),
    Family(
        name="wavlm", title="WavLM", like="microsoft/wavlm-base", task="audio-classification",
        architecture="WavLMForSequenceClassification", config=labels(_EMOTIONS), reduced=_SMALL, processor=_waveform(),
        items="recordings",
    ),
    Family(
        name="ast", title="AST", like="MIT/ast-finetuned-audioset-10-10-0.4593", task="audio-classification",
        architecture="ASTForAudioClassification", exact=True, config=labels(527), items="recordings",
        reduced={"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128},
        processor={
            "feature_extractor_type": "ASTFeatureExtractor", "do_normalize": True, "feature_size": 1, "max_length": 1024,
            "mean": -4.2677393, "num_mel_bins": 128, "padding_side": "right", "padding_value": 0.0,
            "return_attention_mask": False, "sampling_rate": 16000, "std": 4.5689974,
        },
    ),
)  # fmt: skip
