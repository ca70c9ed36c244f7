"""A blueprint → the settings files that tasks read of any model: what it says of labels and preprocessing, in their words.

Files of those names that lie in the folder are kept, and what the blueprint says goes over them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from gpux.blueprint.reading import Written
from gpux.blueprint.records import FILTERS, Preprocessing

CONFIG, PICTURES, TOKENIZER, TOKENS = (
    "config.json", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json",
)  # fmt: skip

Read = Callable[[str], bytes | None]
"""The bytes of a small file of the folder by its path, ``None`` where there is none."""

_USUAL = 224
_LABELS_TXT, _LABELS_JSON = ".txt", ".json"
# Pillow's numbers of its filters, by which preprocessor_config.json names them.
_FILTERS = dict(zip(FILTERS, (0, 4, 2, 5, 3, 1), strict=True))
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
_HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
# Name → mean and deviation, filter, the shorter side as a share of the crop (0 stretches and does not crop).
_PRESETS: Mapping[str, tuple[tuple[tuple[float, ...], tuple[float, ...]], str, float]] = {
    "imagenet": (_IMAGENET, "bilinear", 256 / 224),
    "clip": (_CLIP, "bicubic", 1.0),
    "inception": (_HALF, "bilinear", 0.0),
    "half": (_HALF, "bilinear", 0.0),
}


def files(written: Written, read: Read, *, pixels: tuple[int, int] | None = None) -> dict[str, bytes]:
    """Path in the artifact → content.

    Args:
        written: The blueprint.
        read: Gives the folder's small files.
        pixels: Height and width that the graph takes, where they are fixed.

    Raises:
        InvalidBlueprint: A file that it names is none of what it must be.
    """
    made: dict[str, Any] = {}
    config = _existing(written, read, CONFIG)
    names = labels(written, read)
    if names:
        config["id2label"] = {str(index): name for index, name in sorted(names.items())}
        config["label2id"] = {name: index for index, name in sorted(names.items())}
    given = written.blueprint.prepared
    tokenizer = _tokenizer(written, read, given)
    if tokenizer is not None:
        config = {**_vocabulary(tokenizer), **config}
        if given.max_length:
            made[TOKENS] = {**_existing(written, read, TOKENS), "model_max_length": given.max_length}
            config.setdefault("max_position_embeddings", given.max_length)
    prepared = _prepared(written, given, pixels)
    if prepared:
        made[PICTURES] = {**_existing(written, read, PICTURES), **prepared}
    if config:
        made[CONFIG] = config
    encoded = {
        path: (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode() for path, data in made.items()
    }
    if given.tokenizer and tokenizer is not None:
        encoded[TOKENIZER] = read(given.tokenizer) or b""
    return encoded


def labels(written: Written, read: Read) -> dict[int, str]:
    """Class number → name, from the list, the table or the file that the blueprint gives.

    Raises:
        InvalidBlueprint: The file is missing, or no list of names.
    """
    given = written.blueprint.labels
    if given is None:
        return {}
    found: Mapping[int, str] | tuple[str, ...]
    if not isinstance(given, str):
        found = given
    elif given.endswith((_LABELS_TXT, _LABELS_JSON)):
        found = _from_file(written, given, _needed(written, read, "labels", given))
    else:
        raise written.error(
            "labels", f"`{given[:80]}` is neither .txt nor .json", hint="write one name a line in a .txt file"
        )
    return dict(found) if isinstance(found, Mapping) else dict(enumerate(found))


def _from_file(written: Written, path: str, data: bytes) -> Mapping[int, str] | tuple[str, ...]:
    try:
        text = data.decode("utf-8-sig")
        if path.endswith(_LABELS_TXT):
            return tuple(line.strip() for line in text.rstrip().splitlines())
        found = json.loads(text)
        if isinstance(found, dict):
            table = {int(index): str(name) for index, name in found.items()}
            if min(table, default=0) < 0:
                raise ValueError("a number is negative")  # noqa: TRY301 - told like every other misfit
            return table
        if isinstance(found, list):
            return tuple(map(str, found))
    except (ValueError, RecursionError) as error:
        raise written.error(
            "labels",
            f"`{path}` holds no labels: {error}",
            hint='write ["cat", "dog"] or {"0": "cat", "1": "dog"}',
        ) from error
    raise written.error(
        "labels",
        f"`{path}` holds neither a list nor a table",
        hint='write ["cat", "dog"] or {"0": "cat", "1": "dog"}',
    )


def _tokenizer(written: Written, read: Read, given: Preprocessing) -> dict[str, Any] | None:
    key, path = "preprocessing.tokenizer", given.tokenizer or TOKENIZER
    data = _needed(written, read, key, path) if given.tokenizer else read(path)
    if data is None:
        return None
    return _object(written, key, path, data)


def _vocabulary(tokenizer: Mapping[str, Any]) -> dict[str, Any]:
    """What a configuration says of the tokens: how many there are, and which fills up a batch."""
    model, added, padding = (tokenizer.get(key) for key in ("model", "added_tokens", "padding"))
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    ids: dict[str, int] = {}
    if isinstance(vocabulary, dict):
        ids = {name: number for name, number in vocabulary.items() if isinstance(number, int)}
    elif isinstance(vocabulary, list):  # a unigram model: tokens with their scores
        ids = {
            str(entry[0]): number
            for number, entry in enumerate(vocabulary)
            if isinstance(entry, list) and entry
        }
    for token in added if isinstance(added, list) else []:
        if isinstance(token, dict) and isinstance(token.get("id"), int):
            ids[str(token.get("content"))] = token["id"]
    if not ids:
        return {}
    pad = padding.get("pad_id") if isinstance(padding, dict) else None
    if not isinstance(pad, int):
        pad = next((ids[name] for name in ("[PAD]", "<pad>") if name in ids), 0)
    return {"vocab_size": max(ids.values()) + 1, "pad_token_id": pad}


def _prepared(written: Written, given: Preprocessing, pixels: tuple[int, int] | None) -> dict[str, Any]:
    if given.sampling_rate or given.normalize is not None:
        made: dict[str, Any] = {
            "feature_extractor_type": "Wav2Vec2FeatureExtractor",
            "sampling_rate": given.sampling_rate or 16_000,
            "do_normalize": True if given.normalize is None else given.normalize,
        }
        return {**made, "feature_size": 1, "padding_value": 0.0, "return_attention_mask": False}
    told = (given.name, given.size, given.crop, given.mean, given.std, given.scale, given.resample)
    return _pictures(written, given, pixels) if any(one is not None for one in told) else {}


def _pictures(written: Written, given: Preprocessing, pixels: tuple[int, int] | None) -> dict[str, Any]:
    """Settings of transformers' CLIPImageProcessor, which can do all of it: resize, crop, rescale, normalise."""
    (mean, std), resample, share = _PRESETS.get(given.name or "", (((), ()), "bilinear", 0.0))
    middle = pixels or (_USUAL, _USUAL)
    size: int | tuple[int, ...] | None = given.size
    crop: int | tuple[int, ...] | None = middle if given.crop is True else given.crop or None
    if given.name and size is None:
        size = round(min(middle) * share) if share else middle
    if given.name and given.crop is None and share and given.size is None:
        crop = middle
    if given.crop is None and crop is None:
        if isinstance(size, int):
            crop = size  # pictures of one batch are of one size
        elif size is None:
            size = pixels
    mean, std = given.mean or mean, given.std or std
    if mean and not std:
        std = (1.0,) * len(mean)
    if std and not mean:
        mean = (0.0,) * len(std)
    if len(mean) != len(std):
        key = "preprocessing.mean" if given.mean else "preprocessing.std"
        raise written.error(
            key, f"`mean` has {len(mean)} channels, `std` {len(std)}", hint="give both for every channel"
        )
    made: dict[str, Any] = {
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": True,
        "do_resize": size is not None,
        "do_center_crop": crop is not None,
        "do_rescale": True,
        "rescale_factor": 1 / 255 if given.scale is None else given.scale,
        "do_normalize": bool(mean),
        "resample": _FILTERS[given.resample or resample],
    }
    if size is not None:
        made["size"] = {"shortest_edge": size} if isinstance(size, int) else _edges(size)
    if crop is not None:
        made["crop_size"] = _edges((crop, crop) if isinstance(crop, int) else crop)
    if mean:
        made |= {"image_mean": list(mean), "image_std": list(std)}
    return made


def _edges(size: tuple[int, ...]) -> dict[str, int]:
    height, width = size
    return {"height": height, "width": width}


def _existing(written: Written, read: Read, path: str) -> dict[str, Any]:
    data = read(path)
    return {} if data is None else _object(written, "", path, data)


def _object(written: Written, key: str, path: str, data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise written.error(key, f"`{path}` is no JSON: {error}", hint="mend the file") from error
    if not isinstance(found, dict):
        raise written.error(key, f"`{path}` is no JSON object", hint="mend the file")
    return found


def _needed(written: Written, read: Read, key: str, path: str) -> bytes:
    data = read(path)
    if data is None:
        raise written.error(
            key, f"`{path}` is not in the folder", hint="paths are seen from the folder of gpux.yml"
        )
    return data
