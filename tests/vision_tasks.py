"""Vision tasks over graphs that a test makes or has exported, without a pull; and pictures with something in them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from gpux import tasks
from gpux.artifact import Artifact, File, Manifest, Source
from gpux.discovery import discover
from gpux.planning import Plan
from gpux.provider import Options
from gpux.session import Session

PIXELS = ("batch", 3, "height", "width")
SMALL = {"image_processor_type": "ViTImageProcessor", "size": {"height": 8, "width": 8}, "do_resize": True}


def open_task(
    folder: Path,
    task: str,
    graph: bytes | Path,
    files: Mapping[str, Any] | None = None,
    *,
    batch: int | None = None,
) -> tasks.pipeline.Pipeline:
    """The task over a graph in a folder, with the folder's files and those that are given."""
    folder.mkdir(parents=True, exist_ok=True)
    for path, content in (files or {}).items():
        (folder / path).write_text(json.dumps(content), encoding="utf-8")
    if isinstance(graph, bytes):
        (folder / "graph.onnx").write_bytes(graph)
        graph = folder / "graph.onnx"
    listed = tuple(
        File(path.name, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(folder.glob("*.json"))
    )
    source = Source("file:/model", "sha256:0", None, None, None)
    artifact = Artifact(folder, "0" * 64, Manifest(1, "0", source, task, None, None, (), (), listed))
    plan = Plan("cpu", "fp32", 1, strict=False, reason="the test's own", batch=batch)
    session = Session(discover()["cpu"].open(graph, Options(threads=1)), plan)
    return tasks.find(task)(artifact, session)


def constant_graph(outputs: Mapping[str, np.ndarray], *, shape: tuple[Any, ...] = PIXELS) -> bytes:
    """A graph that says of every picture the same: each output is one picture's, [1, …]."""
    nodes = [
        helper.make_node("Shape", ["pixel_values"], ["size"], start=0, end=1),
        *(
            node
            for name in outputs
            for node in (
                helper.make_node("Concat", ["size", f"{name}_rest"], [f"{name}_shape"], axis=0),
                helper.make_node("Expand", [f"{name}_one", f"{name}_shape"], [name]),
            )
        ),
    ]
    kept = [numpy_helper.from_array(array, f"{name}_one") for name, array in outputs.items()]
    kept += [
        numpy_helper.from_array(np.array(array.shape[1:], np.int64), f"{name}_rest")
        for name, array in outputs.items()
    ]
    ends = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(array.dtype), ["batch", *array.shape[1:]]
        )
        for name, array in outputs.items()
    ]
    return _model(
        nodes, [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, shape)], ends, kept
    )


def means_graph(
    *,
    shape: tuple[Any, ...] = PIXELS,
    dtype: int = TensorProto.FLOAT,
    name: str = "pixel_values",
    axes: tuple[int, ...] = (2, 3),
    others: Mapping[str, tuple[int, tuple[Any, ...]]] | None = None,
) -> bytes:
    """A graph whose ``logits`` are the mean of each colour, so that every picture has an answer of its own."""
    inputs = [helper.make_tensor_value_info(name, dtype, shape)]
    inputs += [
        helper.make_tensor_value_info(*each) for each in ((n, *kind) for n, kind in (others or {}).items())
    ]
    nodes = [
        helper.make_node("Cast", [name], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels"], ["logits"], axes=list(axes), keepdims=0),
    ]
    ends = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [shape[0], 3])]
    return _model(nodes, inputs, ends, [])


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    """Stripes, a disc and noise in colours of the seed's own."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    colours = random.integers(30, 226, size=(3, 3))
    field = np.where(((rows // 7 + columns // 11) % 2 == 0)[..., None], colours[0], colours[1])
    disc = np.hypot(rows - height * 0.45, columns - width * 0.55) < min(width, height) * 0.3
    field = np.where(disc[..., None], colours[2], field) + random.normal(scale=6, size=(height, width, 3))
    return Image.fromarray(np.clip(field, 0, 255).astype(np.uint8))


def film(path: Path, *, frames: int, width: int = 48, height: int = 36, seed: int = 0) -> Path:
    """A video of pictures of the seed's own, each moved a little."""
    import av

    wide = picture(width + frames, height, seed)
    with av.open(path, "w") as container:
        stream = container.add_stream("mpeg4", rate=8)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            image = wide.crop((number, 0, number + width, height))
            for packet in stream.encode(av.VideoFrame.from_image(image)):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def _model(nodes: list[Any], inputs: list[Any], ends: list[Any], kept: list[Any]) -> bytes:
    graph = helper.make_graph(nodes, "made", inputs, ends, kept)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    made: bytes = model.SerializeToString()
    return made
