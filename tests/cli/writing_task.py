"""A copy of the package with one task more, which writes its answers word by word, and models stored for it: no graph is run.

What it says is made of what it was told, so that tests see what reached it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import picture_task

from gpux.artifact import Certificate, Component, File, Manifest, OutputParity, Source, Variant
from gpux.registry.store import Store
from gpux.tensors import TensorSpec

CHATS, PLAIN = "org/chats", "org/plain"

TASK = '''
"""Says what it was told, word by word."""
import json, re, time
from dataclasses import dataclass
from gpux.errors import InvalidInput, RunFailed
from gpux.head import Head
from gpux.pipelines.pipeline import Pipeline, Table

@dataclass(frozen=True)
class Written:
    text: str
    tokens: tuple
    prompt_tokens: int
    finish_reason: str
    logprobs: object
    timings: dict

class TaskPipeline(Pipeline):
    head = Head("AutoModel", (), ("y",), takes=("text",))
    emits = True
    noun = "texts"
    parameters = ("max_new_tokens", "temperature", "stop", "seed", "json_schema", "truncate", "logprobs", "num_return_sequences")
    batch = 2
    context = 200

    @property
    def chats(self):
        return any(file.path == "chat_template.jinja" for file in self.artifact.manifest.files)

    def is_item(self, inputs):
        return isinstance(inputs, str) or isinstance(inputs, list) and bool(inputs) and isinstance(inputs[0], dict)

    def parse(self, text):
        return json.loads(text) if text.startswith("[") else text

    def answer(self, items, clock, /, **parameters):
        return [self.whole(item, **parameters) for item in items]

    def table(self, items, answers):
        return Table(("text",), tuple((a.text,) for a in answers))

    def samples(self, length=None, **parameters):
        return ["a"]

    def write(self, items, clock=None, **parameters):
        count = parameters.pop("num_return_sequences", 1)
        return [[self.whole(item, **parameters)] * count for item in items]

    def emit(self, item, **parameters):
        text = item if isinstance(item, str) else item[-1]["content"]
        if "refuse" in text:
            raise InvalidInput(f"input 0 is longer than the context", hint="--truncate", position=0)
        roles = "" if isinstance(item, str) else " ".join(m["role"][0] for m in item) + ": "
        system = "" if isinstance(item, str) or item[0]["role"] != "system" else f"({item[0]['content']}) "
        shown = json.dumps({k: v for k, v in parameters.items() if k != "max_new_tokens"}) if "settings" in text else ""
        words = re.findall(r"\\s*\\S+\\s*", f"{roles}{system}{text}{shown}")
        limit = parameters.get("max_new_tokens") or 100000
        if "slowly" in text:
            words = words + [f"{n} " for n in range(100000)]
        said = []
        try:
            for word in words[:limit]:
                if "break" in word:
                    raise RunFailed("the runtime ran out of memory", hint="close other programs")
                said.append(word)
                yield word
                if "slowly" in text:
                    time.sleep(0.02)
        except GeneratorExit:
            raise
        return Written("".join(said), tuple(range(len(said))), len(text.split()), "length" if len(words) > limit else "stop", None, {"total": 0.5})

    def whole(self, item, **parameters):
        pieces = self.emit(item, **parameters)
        while True:
            try:
                next(pieces)
            except StopIteration as end:
                return end.value
'''


def package(folder: Path) -> Path:
    """A folder for ``PYTHONPATH`` with the package and the task in it."""
    picture_task.package(folder)
    (folder / "gpux/tasks/word_writing.py").write_text(TASK)
    return folder


def put(home: Path) -> None:
    """Store a model with a chat template, and one without."""
    picture_task.put(home)  # its graph
    store = Store(home)
    graph = store.get(picture_task.NAME).path("model.onnx").read_bytes()
    parity = (OutputParity("y", 0.0, 0.0, 1.0, 1.0),)
    certificate = Certificate("exact", "onnx fp32", "cpu", "x 1", ("1×4",), parity)
    x, y = (TensorSpec(name, "float32", ("rows", 4)) for name in ("x", "y"))
    for name, files in ((CHATS, {"chat_template.jinja": b"{{ messages }}"}), (PLAIN, {})):
        content = {"model.onnx": graph, **files}
        with store.workspace() as made:
            for path, data in content.items():
                (made / path).write_bytes(data)
            manifest = Manifest(
                schema=1,
                gpux="0",
                source=Source(name, "sha256:0", None, None, None),
                task="word-writing",
                architecture=None,
                parameters=None,
                components=(Component("model", (x,), (y,)),),
                variants=(Variant("fp32", {"model": "model.onnx"}, "ready", {}, certificate),),
                files=tuple(File(p, len(d), hashlib.sha256(d).hexdigest()) for p, d in content.items()),
            )
            store.commit(made, manifest, name)
