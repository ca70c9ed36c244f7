"""A provider from another package over ONNX Runtime that does what ``PLUG`` says: compute wrongly, crash, hang, lie, disappear.

``install(folder)`` writes the package. ``PLUG`` is a JSON object: ``probe``, ``open`` and ``run`` name what it does there, ``log`` a
file that gets a line per proof or opening.
"""

from __future__ import annotations

import shutil
from pathlib import Path

MODULE = '''
"""A provider that misbehaves on demand."""
import ctypes, json, os, signal, sys, time
import numpy as np
import onnxruntime
from gpux.errors import ProviderUnavailable, RunFailed
from gpux.provider import Device, Placement, Probe, Runtime, Setting, State
from gpux.tensors import TensorSpec

DTYPES = {"tensor(float)": "float32", "tensor(int64)": "int64"}


def told(what, default=None):
    return json.loads(os.environ.get("PLUG") or "{}").get(what, default)


def alone():
    """Whether this is a process of a trial or a proof."""
    return sys.argv[-1] in {"gpux.machine.prober", "gpux.registry.prover"}


def misbehave(way):
    if way == "segfault":
        ctypes.string_at(0)
    if way == "killed":
        os.kill(os.getpid(), signal.SIGSEGV)
    if way == "sleep":
        time.sleep(600)
    if way == "spin":
        while True:
            pass
    if way == "exit":
        os._exit(7)
    if way == "raise":
        raise ZeroDivisionError("divided on purpose")
    if way == "print":
        print('{"type": "result", "result": {"forged": true}}', flush=True)
        os.write(1, b"{\\x00 not json")
    if way == "refuse" or (way == "absent" and not alone()):
        raise ProviderUnavailable("the device fell off the bus", hint="plug it in", provider="plug")
    if way == "fail" or (way == "fail-later" and not alone()):
        raise RunFailed("no memory is left on the device", hint="close other programs", provider="plug")


class Plug:
    name, runtime, extra, rank = "plug", Runtime("gpux-plug", "PlugProvider"), "", 1000
    settings = (
        Setting("mode", "Which way it computes.", default="plain", values=("plain", "odd"), numeric=True),
        Setting("naps", "Whether it rests.", default="no", values=("no", "yes")),
    )

    def probe(self):
        way = told("probe")
        misbehave(way)
        versions, devices, reason = {"plug": told("version", "1.0")}, (Device("plug 0", "gpu", 1 << 30, ("fp32",)),), None
        if way == "nan":
            devices = (Device("plug 0", "gpu", float("nan")),)
        if way == "numbers":
            versions, devices = 7, (3, None)
        if way == "text":
            devices = "many"
        if way == "object":
            reason = object()
        if way == "surrogate":
            devices = (Device("plug \\ud800 0", "gpu"),)
        if way == "other":
            return Probe("cpu", State.WORKS, devices, versions)
        if way == "listed":
            return Probe(self.name, State.LISTED, devices, versions, "the driver is too old", "update the driver")
        return Probe(self.name, State.WORKS, devices, versions, reason)

    def open(self, graph, options, /):
        if log := told("log"):
            with open(log, "a") as file:
                file.write(f"{'proof' if alone() else 'open'} {options.extra.get('mode', 'plain')}\\n")
        misbehave(told("open"))
        return Opened(graph, options)


class Opened:
    def __init__(self, graph, options):
        given = onnxruntime.SessionOptions()
        given.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(graph), given, providers=["CPUExecutionProvider"])
        self.inputs = tuple(map(spec, self.session.get_inputs()))
        self.outputs = tuple(map(spec, self.session.get_outputs()))
        self.way = told("run") if told("mode") in {None, options.extra.get("mode", "plain")} else None

    def run(self, feeds, outputs=None):
        misbehave(self.way)
        names = [one.name for one in self.outputs]
        found = dict(zip(names, self.session.run(None, dict(feeds)), strict=True))
        return {name: self.bend(found[name]) for name in outputs or names}

    def bend(self, y):
        way = self.way or ""
        if way == "scaled":
            return y * 5
        if way == "noise":
            return np.random.default_rng(3).normal(size=y.shape).astype(y.dtype)
        if way == "nan":
            return np.where(np.arange(y.size).reshape(y.shape) == 0, np.nan, y).astype(y.dtype)
        if way == "constant":
            return np.full_like(y, 0.5)
        if way == "swapped":
            return y[::-1]
        if way == "batched" and len(y) > 1:
            return y + np.random.default_rng(4).normal(size=y.shape).astype(y.dtype)
        if way.startswith("off "):
            share = np.float32(way.split()[1])
            return y * (1 + share * np.sin(np.arange(y.size, dtype=np.float32).reshape(y.shape)))
        return y

    def placement(self):
        share = told("share", 1.0)
        left = ("Gather",) if share < 1 else ()
        return Placement("plug", "plug 0", "fp32", {"PlugProvider": round(8 * share), **({"CPU": 8 - round(8 * share)} if left else {})}, share, left)

    def close(self):
        self.session = None


def spec(argument):
    return TensorSpec(argument.name, DTYPES[argument.type], tuple(argument.shape))


provider = Plug()
'''


def install(folder: Path, version: str = "1.0", *, code: str = MODULE) -> Path:
    """Write the package and its metadata into a folder for ``PYTHONPATH``; another version takes the place of the first."""
    for old in folder.glob("gpux_plug-*"):
        shutil.rmtree(old)
    info = folder / f"gpux_plug-{version}.dist-info"
    info.mkdir(parents=True)
    (folder / "gpux_plug.py").write_text(code, encoding="utf-8")
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: gpux-plug\nVersion: {version}\n", encoding="utf-8"
    )
    (info / "entry_points.txt").write_text("[gpux.providers]\nplug = gpux_plug:provider\n", encoding="utf-8")
    return folder
