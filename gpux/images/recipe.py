"""A model's own files → what is done to a picture before the model sees it, step by step; knows no picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpux.artifact import Artifact
from gpux.errors import UnsupportedModel
from gpux.fields import Fields
from gpux.images import classes, figures, rules, sizing, timm
from gpux.images.classes import ProcessorClass
from gpux.images.pages import Page
from gpux.images.pixels import Normalization
from gpux.images.sizing import Rule, Size

FILES = ("processor_config.json", "preprocessor_config.json", "video_preprocessor_config.json")
"""Where a processor's settings are, the one that transformers prefers first."""
CONFIGURATION = "config.json"


_SIZE = frozenset({"size"})
_NULL_IS_DEFAULT = {
    "ConditionalDetrImageProcessor": _SIZE,
    "DeformableDetrImageProcessor": _SIZE,
    "DetrImageProcessor": _SIZE,
    "GroundingDinoImageProcessor": _SIZE,
    "Mask2FormerImageProcessor": _SIZE,
    "MaskFormerImageProcessor": _SIZE,
    "VivitImageProcessor": frozenset({"size", "crop_size", "image_mean", "image_std"}),
    "YolosImageProcessor": _SIZE,
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """The steps in their order; each may be absent.

    Attributes:
        name: The processor class of transformers that does the same.
        table: What each pixel value becomes, float32 ``[3, 256]``.
        window: Size of the picture → what is cut out of its middle first.
        rule: Size of that → the size that it is resized to.
        resample: Pillow's number of the filter.
        smooth: Whether floats are resized, which are not rounded to 8 bits after; such a recipe has no crops.
        crops: What is cut out of the middle next, one after the other, with black where the picture is smaller.
        begin: Where a crop begins.
        fill: The colour of what lies outside.
        squared: Whether the picture is put on a square of that colour first.
        page: How it is laid out on a sheet instead of all this, but for its table.
        flipped: Whether blue comes first.
        pads: As :attr:`gpux.images.classes.ProcessorClass.pads`.
        pad_size: The size of a padded batch, where it is not its largest picture's.
        divisor: What both edges are multiples of.
        fixed: Height and width where every picture comes out alike.
    """

    name: str
    table: np.ndarray
    window: Rule | None = None
    rule: Rule | None = None
    resample: int = classes.BILINEAR
    smooth: bool = False
    crops: tuple[Size, ...] = ()
    begin: Callable[[int, int], int] = sizing.centred
    fill: tuple[int, int, int] = (0, 0, 0)
    squared: bool = False
    page: Page | None = None
    flipped: bool = False
    pads: str = ""
    pad_size: Size | None = None
    divisor: int = 1
    fixed: Size | None = None


def read(artifact: Artifact) -> Recipe:
    """The recipe of a model.

    Raises:
        UnsupportedModel: It has no processor's file, one of a class that GPUX does not know, or one with a setting out of
            range.
        CorruptArtifact: A file is no JSON.
    """
    configuration = Fields(artifact, CONFIGURATION)
    if "pretrained_cfg" in configuration:
        return _timm(configuration)
    name, kind, fields = _named(artifact, configuration)
    return _recipe(name, kind, fields)


def settings(artifact: Artifact) -> Fields:
    """The settings of a model's processor, with its class's own where the file is silent; errors as of :func:`read`."""
    return _named(artifact, Fields(artifact, CONFIGURATION))[2]


def _named(artifact: Artifact, configuration: Fields) -> tuple[str, ProcessorClass, Fields]:
    found = _settings(artifact)
    if found is None:
        raise UnsupportedModel(
            f"`{artifact.reference}` does not say how pictures are prepared for it",
            hint=f"add its preprocessor_config.json at the source, then gpux pull {artifact.reference} --force",
            reference=artifact.reference,
        )
    path, own = found
    name, kind = _class(own, configuration, artifact)
    return name, kind, Fields(artifact, path, {**kind.defaults, **_modern(name, dict(own.data))})


def _settings(artifact: Artifact) -> tuple[str, Fields] | None:
    for path in FILES:
        fields = Fields(artifact, path)
        if (
            path == FILES[0]
        ):  # of a tokenizer and more; the picture's part lies inside, where it is not in its own file
            fields = fields.table("image_processor")
        if fields.data:
            return path, fields
    return None


def _class(own: Fields, configuration: Fields, artifact: Artifact) -> tuple[str, ProcessorClass]:
    wanted = own.text("image_processor_type") or own.text("feature_extractor_type")
    wanted = wanted or own.text("video_processor_type") or configuration.text("image_processor_type")
    model = configuration.text("model_type") or ""
    for name in (classes.named(wanted or ""), classes.MODEL_TYPES.get(model, "")):
        if name in classes.CLASSES:
            return name, classes.CLASSES[name]
    named = f"by `{wanted}`" if wanted else f"as models of type `{model}` need it"
    raise UnsupportedModel(
        f"`{artifact.reference}` wants its pictures prepared {named}, which GPUX does not know",
        hint=f"it knows {len(classes.CLASSES)}; docs/vision.md lists them",
        reference=artifact.reference,
        processor=wanted,
    )


def _modern(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Settings by today's names, where an older file has others that their classes still read.

    A null is none of a class's defaults to transformers but an absence of the setting, save for some names of some classes.
    """
    if name in _NULL_IS_DEFAULT:
        given = {
            key: value
            for key, value in given.items()
            if value is not None or key not in _NULL_IS_DEFAULT[name]
        }
    if "pad_and_return_pixel_mask" in given:
        given.setdefault("do_pad", given["pad_and_return_pixel_mask"])
    if name == "Swin2SRImageProcessor" and given.get("pad_size") is not None:
        given.setdefault("size_divisor", given["pad_size"])
    if name == "OwlViTImageProcessor" and "rescale" in given:
        given["do_rescale"] = given["rescale"]
    if name == "CLIPImageProcessor" and given.get("use_square_size") is True:
        given["size"] = {"height": 224, "width": 224}
    if name.startswith("Mask") and given.get("max_size") is not None:
        given.setdefault("size", {"shortest_edge": 800, "longest_edge": given["max_size"]})
    return given


def _recipe(name: str, kind: ProcessorClass, fields: Fields) -> Recipe:
    if kind.rule == "page":
        page = Page.read(fields)
        return Recipe(name, _table(kind, fields), resample=_resample(fields), page=page, fixed=page.fixed)
    scaling = rules.read(kind.rule, fields) if fields.flag("do_resize") else None
    crops = [scaling.crop] if scaling and scaling.crop else []
    window = None
    if kind.crops and fields.flag("do_center_crop"):
        if name == "PerceiverImageProcessor":
            window = _share_of(figures.both(fields, "size"), figures.both(fields, "crop_size"))
        else:
            crops.append(_crop(name, fields))
    padded = kind.pads == "always" or bool(kind.pads and fields.flag("do_pad"))
    pads = kind.pads if padded else ""
    divisor = scaling.divisor if scaling else 1
    if pads in {"around", "mirror"}:
        if fields.data.get("size_divisor") is None:
            pads = ""
        else:
            divisor = figures.edge(fields, "size_divisor")
    squared = pads == "square"
    pads = "" if squared else pads
    batched = pads in {"zeros", "mask", "always"}
    pad_size = figures.both(fields, "pad_size") if batched and fields.data.get("pad_size") else None
    fixed = pad_size or (crops[-1] if crops else scaling.fixed if scaling else None)
    return Recipe(
        name=name,
        table=_table(kind, fields),
        window=window,
        rule=scaling.rule if scaling else None,
        resample=_resample(fields) if scaling else classes.BILINEAR,
        smooth=kind.smooth,
        crops=tuple(crops),
        fill=_ground(fields) if squared else (0, 0, 0),
        squared=squared,
        flipped=bool(fields.flag("do_flip_channel_order")),
        pads=pads,
        pad_size=pad_size,
        divisor=divisor,
        fixed=padded_to(fixed, pads, divisor) if fixed else None,
    )


def padded_to(size: Size, pads: str, divisor: int) -> Size:
    """The size of one picture that is padded alone."""
    if pads == "around":
        height, width = (-(-edge // divisor) * divisor for edge in size)
        return height, width
    if pads == "mirror":  # Swin2SR adds a whole divisor to an edge that needs none
        height, width = ((edge // divisor + 1) * divisor for edge in size)
        return height, width
    return size


def _crop(name: str, fields: Fields) -> Size:
    if name != "BridgeTowerImageProcessor":
        return figures.both(fields, "crop_size")
    edges = figures.edges(fields, "crop_size")
    if "shortest_edge" not in edges:
        raise fields.refused("crop_size", "an object with shortest_edge")
    return edges["shortest_edge"], edges["shortest_edge"]


def _ground(fields: Fields) -> tuple[int, int, int]:
    """The mean colour, as LLaVA rounds it."""
    red, green, blue = (
        min(255, max(0, int(share * 255))) for share in figures.channels(fields, "image_mean")
    )
    return red, green, blue


def _share_of(size: Size, crop: Size) -> Rule:
    """Perceiver cuts before it resizes: the share of the shorter edge that its size is of its crop."""

    def window(height: int, width: int) -> Size:
        shorter = min(height, width)
        return int(size[0] / crop[0] * shorter), int(size[1] / crop[1] * shorter)

    return window


def _resample(fields: Fields) -> int:
    value = fields.whole("resample")
    if value is None or value > classes.HAMMING:
        raise fields.refused("resample", f"one of Pillow's filters, 0 to {classes.HAMMING}")
    return value


def _table(kind: ProcessorClass, fields: Fields) -> np.ndarray:
    normalizes = kind.normalizes and bool(fields.flag("do_normalize"))
    again = bool(fields.flag("include_top"))
    rescales = bool(fields.flag("do_rescale"))
    offset = rescales and bool(fields.flag("rescale_offset") or fields.flag("offset"))
    table = Normalization(
        factor=figures.number(fields, "rescale_factor") if rescales else None,
        minus_one=offset,
        mean=figures.channels(fields, "image_mean") if normalizes else None,
        deviation=figures.channels(fields, "image_std") if normalizes or again else None,
        again=again,
    ).table()
    if not np.isfinite(table).all():
        raise fields.refused("image_std", "a deviation that pixels can be divided by")
    return table


def _timm(configuration: Fields) -> Recipe:
    read = timm.read(configuration.table("pretrained_cfg"))
    return Recipe(
        name="TimmWrapperImageProcessor",
        table=read.table,
        rule=read.rule,
        resample=read.resample,
        crops=(read.size,),
        begin=sizing.centred_to_even,
        fill=read.fill,
        fixed=read.size,
    )
