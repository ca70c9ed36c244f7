"""Families of two inputs: text with images, sound or video; questions about pictures."""

from __future__ import annotations

from families.record import Family, labels
from families.vision import HALVES, IMAGENET, processor, square

_CLIP = {"image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}
_TOWER = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
_CLIP_WORDS = ("bytes_bpe", {"size": 49408, "kind": "CLIPTokenizer", "limit": 77})
_PICTURED = {"candidate_labels": ["a photo of a cat", "a river", "the city of london"]}
_CLIP_CROP = {"do_center_crop": True, "crop_size": square(224), "do_convert_rgb": True}

FAMILIES = (
    Family(
        name="clip", title="CLIP", like="openai/clip-vit-base-patch32", task="zero-shot-image-classification",
        architecture="CLIPModel", exact=True, tokenizer=_CLIP_WORDS, items="pictures", parameters=_PICTURED,
        config={"text_config": {"eos_token_id": 49407, "bos_token_id": 49406}},
        reduced={"text_config": _TOWER, "vision_config": _TOWER, "projection_dim": 32},
        processor=processor("CLIPImageProcessor", {"shortest_edge": 224}, 3, _CLIP, **_CLIP_CROP),
    ),
    Family(
        name="siglip", title="SigLIP", like="google/siglip-base-patch16-224", task="zero-shot-image-classification",
        architecture="SiglipModel", items="pictures", parameters=_PICTURED,
        tokenizer=("unigram", {"size": 8000, "kind": "SigLIP", "limit": 64}),
        reduced={"text_config": {**_TOWER, "vocab_size": 8000, "projection_size": 64}, "vision_config": _TOWER},
        processor=processor("SiglipImageProcessor", square(224), 3, HALVES),
    ),
    Family(
        name="xclip", title="X-CLIP", like="microsoft/xclip-base-patch32", task="zero-shot-video-classification",
        architecture="XCLIPModel", exact=True, tokenizer=_CLIP_WORDS, items="videos",
        parameters={**_PICTURED, "frame_sampling_rate": 5},  # eight of all forty frames, as the reference takes them
        asks="described_videos", config={"text_config": {"eos_token_id": 49407, "bos_token_id": 49406}},
        reduced={"text_config": _TOWER, "vision_config": {**_TOWER, "mit_hidden_size": 32, "mit_intermediate_size": 64, "mit_num_attention_heads": 2}, "projection_dim": 32},
        processor={"feature_extractor_type": "VideoMAEFeatureExtractor", "do_center_crop": True, "do_normalize": True,
                   "do_resize": True, "resample": 2, "size": 224, **IMAGENET},
    ),
    Family(
        name="clap", title="CLAP", like="laion/clap-htsat-unfused", task="zero-shot-audio-classification",
        architecture="ClapModel", exact=True, tokenizer=("bytes_bpe", {"size": 50265}), items="recordings_48k",
        parameters={"candidate_labels": ["music", "a river", "a dog"]},
        reduced={
            "text_config": _TOWER, "projection_dim": 32,
            "audio_config": {"depths": [1, 1, 1, 1], "patch_embeds_hidden_size": 16, "num_attention_heads": [1, 2, 2, 4], "hidden_size": 128},
        },
        processor={
            "feature_extractor_type": "ClapFeatureExtractor", "chunk_length_s": 10, "feature_size": 64, "fft_window_size": 1024,
            "frequency_max": 14000, "frequency_min": 50, "hop_length": 480, "max_length_s": 10, "n_fft": 1024,
            "nb_frequency_bins": 513, "nb_max_frames": 1000, "nb_max_samples": 480000, "padding": "repeatpad",
            "padding_side": "right", "padding_value": 0.0, "processor_class": "ClapProcessor", "return_attention_mask": False,
            "sampling_rate": 48000, "top_db": None, "truncation": "rand_trunc",
        },
    ),
    Family(
        name="vilt", title="ViLT", like="dandelin/vilt-b32-finetuned-vqa", task="visual-question-answering",
        architecture="ViltForQuestionAnswering", items="asked_pictures", asks="asked_pictures", config=labels(3129),
        reduced=_TOWER, tokenizer=("wordpiece", {"size": 30522, "limit": 40}),
        processor={"image_processor_type": "ViltImageProcessor", "do_normalize": True, "do_resize": True, "do_pad": True,
                   "do_rescale": True, "resample": 3, "rescale_factor": 1 / 255, "size": {"shortest_edge": 384}, "size_divisor": 32, **HALVES},
    ),
    Family(
        name="layoutlm", title="LayoutLM", like="impira/layoutlm-document-qa", task="document-question-answering",
        architecture="LayoutLMForQuestionAnswering", items="documents", asks="documents", reduced=_TOWER,
        tokenizer=("wordpiece", {"size": 30522}),
    ),
)  # fmt: skip
