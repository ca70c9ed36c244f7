"""A repository that is pulled in a moment: a tokenizer, a ``config.json`` and a three-node graph that really masks."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from gpux.registry.store import Store

VOCABULARY, HIDDEN = 64, 8
TABLE = np.random.default_rng(5).normal(size=(VOCABULARY, HIDDEN)).astype(np.float32)
CONFIG = {
    "architectures": ["BertModel"],
    "model_type": "bert",
    "vocab_size": VOCABULARY,
    "hidden_size": HIDDEN,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "type_vocab_size": 1,
}
BATCH = ("batch", "sequence")


def files(**graphs: bytes) -> dict[str, bytes]:
    """A repository's files by path; ``graphs`` by stem, the plain one when none is given."""
    made = graphs or {"model": graph()}
    return {
        "config.json": json.dumps(CONFIG).encode(),
        "tokenizer.json": tokenizer().to_str().encode(),
        **{f"onnx/{stem}.onnx": data for stem, data in made.items()},
    }


def write(directory: Path, content: dict[str, bytes] | None = None) -> Path:
    """Write a repository's files, and return the directory."""
    for path, data in (content or files()).items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return directory


def tokenizer() -> Tokenizer:
    words = {"[PAD]": 0, "[UNK]": 1, **{f"w{n}": n for n in range(2, VOCABULARY)}}
    made = Tokenizer(WordLevel(words, unk_token="[UNK]"))
    made.pre_tokenizer = Whitespace()
    return made


def graph(
    tail: list[onnx.NodeProto] | None = None,
    *,
    head: list[onnx.NodeProto] | None = None,
    output: str = "last_hidden_state",
    constants: dict[str, np.ndarray] | None = None,
    table: np.ndarray = TABLE,
    inputs: tuple[str, ...] = ("input_ids", "attention_mask"),
    shape: tuple[Any, ...] = BATCH,
    gives: tuple[Any, ...] = (*BATCH, HIDDEN),
    location: str | None = None,
) -> bytes:
    """``hidden = table[input_ids] + mean over the mask``, then ``tail`` (nodes from ``hidden`` to the output).

    ``head``: nodes that make ``attention_mask`` where it is no input.
    """
    nodes = [
        *(head or []),
        helper.make_node("Gather", ["table", "input_ids"], ["embedded"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["column"]),
        helper.make_node("Mul", ["embedded", "column"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "tokens"], ["sum"], keepdims=1),
        helper.make_node("ReduceSum", ["column", "tokens"], ["count"], keepdims=1),
        helper.make_node("Div", ["sum", "count"], ["mean"]),
        helper.make_node("Add", ["embedded", "mean"], ["hidden"]),
        *(tail or [helper.make_node("Identity", ["hidden"], [output])]),
    ]
    axes = {"last": np.array([-1], np.int64), "tokens": np.array([1], np.int64)}
    weights = [numpy_helper.from_array(value, name) for name, value in {**axes, **(constants or {})}.items()]
    big = numpy_helper.from_array(table, "table")
    if location is not None:
        big.ClearField("raw_data")
        big.data_location = TensorProto.EXTERNAL
        big.external_data.add(key="location", value=location)
        big.external_data.add(key="length", value=str(table.nbytes))
    ends = [helper.make_tensor_value_info(name, TensorProto.INT64, list(shape)) for name in inputs]
    result = helper.make_tensor_value_info(output, TensorProto.FLOAT, list(gives))
    body = helper.make_graph(nodes, "small", ends, [result], [big, *weights])
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def hidden(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """What the graph computes, in numpy: float64 [batch, sequence, hidden]."""
    embedded = TABLE.astype(np.float64)[ids]
    weights = mask[..., None].astype(np.float64)
    return embedded + (embedded * weights).sum(1, keepdims=True) / weights.sum(1, keepdims=True)


def gpux(
    *arguments: object, home: Path, check: bool = False, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "gpux", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=surroundings(home, **environment),
        check=False,
        timeout=120,
    )
    assert not any(sign in done.stderr for sign in ("Traceback", "unexpected way")), done.stderr
    if check:
        assert done.returncode == 0, done.stderr
    return done


def surroundings(home: Path, **environment: str) -> dict[str, str]:
    """The environment of a process with that store."""
    return {**os.environ, "GPUX_HOME": str(home), **environment}


def whole(home: Path) -> int:
    """Make sure that everything the store lists is whole; returns how much that is."""
    store = Store(home)
    entries = store.entries()
    for entry in entries:
        assert store.verify(entry.digest) == []
    return len(entries)


def processes(home: Path) -> list[int]:
    """Other processes of this machine that work on the store, by their environment."""
    wanted = f"GPUX_HOME={home}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            running = b"State:\tZ" not in (folder / "status").read_bytes()
            if (
                running
                and int(folder.name) != os.getpid()
                and wanted in (folder / "environ").read_bytes().split(b"\0")
            ):
                found.append(int(folder.name))
    return found


def gone(home: Path, *, within: float = 5.0) -> bool:
    """Whether every process that works on the store ends within so many seconds."""
    deadline = time.monotonic() + within
    while processes(home):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
