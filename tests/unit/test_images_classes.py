"""The table of processor classes says what transformers' classes say, and gives each model type the class that it gives."""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace

import pytest
import transformers
from transformers import image_utils
from transformers.image_utils import SizeDict
from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES

from gpux.images import classes
from gpux.images.recipe import _NULL_IS_DEFAULT

FLAGS = {"do_resize", "do_rescale", "do_normalize", "do_center_crop", "do_pad", "do_flip_channel_order"}
SILENT = {
    # what a class says and does not do, or does whatever it says
    "Mask2FormerImageProcessor": {"do_pad"},
    "MaskFormerImageProcessor": {"do_pad"},
}


def theirs(name):
    if name == "DINOv3ViTImageProcessor":
        return written("dinov3_vit", name)
    made = getattr(transformers, f"{name}Pil", None) or getattr(transformers, name)
    return made()


def written(model, name):
    """The attributes of a class that cannot be imported without torchvision, as its source has them."""
    path = Path(transformers.__file__).parent / "models" / model / f"image_processing_{model}.py"
    (body,) = (node.body for node in ast.parse(path.read_text()).body if getattr(node, "name", None) == name)
    found = {"default_to_square": True, "rescale_factor": 1 / 255}  # of the class above it
    for node in body:
        if isinstance(node, ast.Assign):
            found[node.targets[0].id] = eval(ast.unparse(node.value), vars(image_utils))
    return SimpleNamespace(**found)


def plain(value):
    if isinstance(value, SizeDict | dict):
        return {key: edge for key, edge in dict(value).items() if edge is not None}
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("name", classes.CLASSES)
def test_defaults(name):
    kind, made = classes.CLASSES[name], theirs(name)
    for key, value in kind.defaults.items():
        if (name, key) == ("VivitImageProcessor", "default_to_square"):
            continue  # which it passes on as an argument, and holds no attribute of its own for
        if key in FLAGS:
            assert bool(getattr(made, key, None)) == bool(value), key
        elif value is not None:
            assert plain(getattr(made, key)) == value, key
    told = {key for key in FLAGS if getattr(made, key, None)} - set(kind.defaults) - SILENT.get(name, set())
    assert not told, f"{name} has more defaults: {told}"


@pytest.mark.parametrize("model_type", classes.MODEL_TYPES)
def test_model_types(model_type):
    named = IMAGE_PROCESSOR_MAPPING_NAMES[model_type]
    assert classes.named(named.get("pil") or named["torchvision"]) == classes.MODEL_TYPES[model_type]


def test_every_model_type_of_a_known_class_is_there():
    """A class that is known is known for every model that uses it, save those that generate texts or read several pictures."""
    generating = {
        "blip-2",
        "colpali",
        "donut-swin",
        "florence2",
        "gemma3n",
        "kosmos-2",
        "paligemma",
        "trocr",
        "vipllava",
    }
    for model_type, named in IMAGE_PROCESSOR_MAPPING_NAMES.items():
        name = classes.named(named.get("pil") or named["torchvision"])
        if name in classes.CLASSES and model_type not in generating:
            assert classes.MODEL_TYPES.get(model_type) == name, model_type


def test_names_of_classes_that_read_a_null_as_their_default():
    assert set(_NULL_IS_DEFAULT) <= set(classes.CLASSES)
