"""Providers of a package of their own, whose sessions take the time that they are told to, and go wrong when they are told to.

``install(folder, slow={"pace": 0.01}, …)`` writes the package; with the folder on ``PYTHONPATH`` every gpux process finds one
provider per name. They compute the small model in numpy, rightly, so that their proofs hold.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import small

MODULE = '''
"""Providers that take the time that they are told to."""
import json, os, signal, time
from pathlib import Path
import numpy as np
from gpux.errors import RunFailed
from gpux.onnx_reader import read_graph
from gpux.provider import Device, Placement, Probe, Runtime, State

HERE = Path(__file__).parent
TABLE = np.load(HERE / "table.npy")


class Paced:
    extra, settings = "", ()

    def __init__(self, name, told):
        self.name, self.rank = name, told.get("rank", 50)
        self.runtime = Runtime("gpux-paced", name.capitalize() + "Provider")
        self._told = told

    def probe(self):
        return Probe(self.name, State.WORKS, (Device(self.name, "cpu"),), {"paced": VERSION})

    def open(self, graph, options, /):
        if proving():
            return Opened(self.name, read_graph(graph), {})
        if self._told.get("open") == "hang":
            time.sleep(600)
        if self._told.get("open") == "memory":
            raise RunFailed("CUDA out of memory: 2.00 GiB asked for, 1.25 GiB free", hint="use a smaller variant")
        return Opened(self.name, read_graph(graph), self._told)


class Opened:
    def __init__(self, name, summary, told):
        self.inputs, self.outputs, self._name, self._told, self._runs = summary.inputs, summary.outputs, name, told, 0

    def run(self, feeds, outputs=None):
        self._runs += 1
        told = self._told
        if self._runs > told.get("after", 0):
            misbehave(told.get("then"))
        time.sleep(told.get("pace", 0.0))
        ids, mask = feeds["input_ids"], feeds["attention_mask"]
        kept = TABLE[ids] * mask[..., None].astype(np.float32)
        hidden = TABLE[ids] + kept.sum(1, keepdims=True) / mask.sum(1)[:, None, None].astype(np.float32)
        if told.get("then") == "nan" and self._runs > told.get("after", 0):
            hidden = hidden * np.float32("nan")
        return {self.outputs[0].name: hidden.astype(np.float32)}

    def placement(self):
        return Placement(self._name, self._name, "fp32", {self._name: 3}, 1.0)

    def close(self):
        pass


def misbehave(how):
    if how == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "hang":
        time.sleep(600)
    if how == "fail":
        raise RunFailed("the device was lost", hint="look at dmesg")
    if how == "starve":
        raise MemoryError


def proving():
    """Whether this process proves; told by what it imported, for a provider cannot know otherwise."""
    import sys
    return "gpux.campaign.child" not in sys.modules


TOLD = json.loads((HERE / "paced.json").read_text())
VERSION = TOLD.pop("version")
providers = {name: Paced(name, told) for name, told in TOLD.items()}
globals().update(providers)
'''


def install(folder: Path, *, version: str = "1.0", **told: dict[str, Any]) -> Path:
    """Write the package into a folder for ``PYTHONPATH``.

    Args:
        folder: Made where it is missing; what an earlier call wrote is replaced.
        version: Of the package.
        **told: Provider → ``pace`` (seconds of a run), ``then`` (``crash``, ``hang``, ``fail``, ``starve``, ``nan``) with
            ``after`` (runs that go well before), ``open`` (``hang``, ``memory``), ``rank``.
    """
    import shutil

    import numpy as np

    shutil.rmtree(folder, ignore_errors=True)
    info = folder / f"gpux_paced-{version}.dist-info"
    info.mkdir(parents=True)
    (folder / "gpux_paced.py").write_text(MODULE, encoding="utf-8")
    (folder / "paced.json").write_text(json.dumps({"version": version, **told}), encoding="utf-8")
    np.save(folder / "table.npy", small.TABLE)
    metadata = f"Metadata-Version: 2.1\nName: gpux-paced\nVersion: {version}\n"
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    lines = "".join(f"{name} = gpux_paced:{name}\n" for name in told)
    (info / "entry_points.txt").write_text(f"[gpux.providers]\n{lines}", encoding="utf-8")
    return folder
