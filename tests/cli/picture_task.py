"""A copy of the package with one task more, whose items are pictures, and a model stored for it: its graph is never run."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from onnx import TensorProto, helper

from gpux.artifact import Certificate, Component, File, Manifest, OutputParity, Source, Variant
from gpux.registry.store import Store
from gpux.tensors import TensorSpec

NAME = "org/pictures"

TASK = '''
"""Says how large a picture is, and frames it."""
import json
from gpux.errors import InvalidInput
from gpux.head import Head
from gpux.pipelines.pipeline import Pipeline, Table

class TaskPipeline(Pipeline):
    head = Head("AutoModel", (), ("y",), takes=("image",))
    noun = "images"
    files = (".jpg", ".png")
    window = 3

    def is_item(self, inputs):
        return isinstance(inputs, (str, dict))

    def answer(self, items, clock, /):
        return [self.size(item["image"] if isinstance(item, dict) else item, place) for place, item in enumerate(items)]

    def size(self, path, place):
        from PIL import Image
        try:
            with Image.open(path) as picture:
                picture.load()
                return {"width": picture.width, "height": picture.height}
        except (OSError, AttributeError) as error:
            raise InvalidInput(f"input {place} is no picture that can be read", hint="check the file", position=place) from error

    def parse(self, text):
        return json.loads(text) if text.startswith("{") else text

    def table(self, items, answers):
        return Table(("image", "size"), tuple((str(i), f"{a['width']}x{a['height']}") for i, a in zip(items, answers)))

    def samples(self, length=None, **parameters):
        return []

    def draw(self, item, answer):
        from PIL import Image
        return Image.new("RGBA", (answer["width"] + 2, answer["height"] + 2), (255, 0, 0, 255))
'''


def package(folder: Path) -> Path:
    """A folder for ``PYTHONPATH`` with the package and the task in it."""
    source = Path(__file__).parents[2] / "gpux"
    shutil.copytree(source, folder / "gpux", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "gpux/tasks/picture_size.py").write_text(TASK)
    return folder


def put(home: Path) -> None:
    """Store a model for the task."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", 4]) for name in ("x", "y")]
    node = helper.make_node("Identity", ["x"], ["y"])
    graph = helper.make_graph([node], "same", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    content = model.SerializeToString()
    parity = (OutputParity("y", 0.0, 0.0, 1.0, 1.0),)
    certificate = Certificate("exact", "onnx fp32", "cpu", "x 1", ("1×4",), parity)
    x, y = (TensorSpec(name, "float32", ("rows", 4)) for name in ("x", "y"))
    store = Store(home)
    with store.workspace() as made:
        (made / "model.onnx").write_bytes(content)
        manifest = Manifest(
            schema=1,
            gpux="0",
            source=Source(NAME, "sha256:0", None, None, None),
            task="picture-size",
            architecture=None,
            parameters=None,
            components=(Component("model", (x,), (y,)),),
            variants=(Variant("fp32", {"model": "model.onnx"}, "ready", {}, certificate),),
            files=(File("model.onnx", len(content), hashlib.sha256(content).hexdigest()),),
        )
        store.commit(made, manifest, NAME)
