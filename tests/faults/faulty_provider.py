"""A provider from another package, on its own entry point, that does what its environment says: fail, die, starve, crawl.

``install(folder)`` writes the package; with the folder on ``PYTHONPATH`` every gpux process of a test finds it. What it does
is counted over its runs of a batch of at least ``FAULTY_ROWS`` rows.
"""

from __future__ import annotations

from pathlib import Path

MODULE = '''
"""A provider that misbehaves on demand."""
import os, signal, time
import numpy as np
from gpux.errors import RunFailed
from gpux.onnx_reader import read_graph
from gpux.provider import Device, Placement, Probe, Runtime, State

TABLE = np.random.default_rng(5).normal(size=(64, 8)).astype(np.float32)


class Faulty:
    name, runtime, extra, rank = "faulty", Runtime("gpux-faulty", "FaultyProvider"), "", -5
    computes = False  # its answers are anything: no proof could pass

    def probe(self):
        return Probe(self.name, State.WORKS, (Device("faulty", "cpu"),))

    def open(self, graph, options, /):
        if os.environ.get("FAULTY") == "open":
            raise RunFailed("faulty refused the graph", hint="try another")
        return _Opened(read_graph(graph))


class _Opened:
    def __init__(self, summary):
        self.inputs, self.outputs, self.seen = summary.inputs, summary.outputs, 0

    def run(self, feeds, outputs=None):
        ids, what = feeds["input_ids"], os.environ.get("FAULTY", "")
        if len(ids) >= int(os.environ.get("FAULTY_ROWS", "1")):
            self.seen += 1
            if self.seen > int(os.environ.get("FAULTY_AFTER", "0")):
                self.misbehave(what)
        time.sleep(float(os.environ.get("FAULTY_SECONDS", "0.001")))
        hidden = TABLE[ids]
        name = self.outputs[0].name
        return {name: hidden if len(self.outputs[0].shape) == 3 else hidden.mean(axis=1)}

    def misbehave(self, what):
        if what == "fail":
            raise RunFailed("faulty failed on purpose", hint="leave it")
        if what == "fail-once" and self.seen == int(os.environ.get("FAULTY_AFTER", "0")) + 1:
            raise RunFailed("faulty failed once", hint="leave it")
        if what == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "starve":
            np.ones(1 << 36)
        if what == "exit":
            os._exit(3)

    def placement(self):
        return Placement("faulty", "faulty", "fp32", {"FaultyProvider": 3}, 1.0)

    def close(self):
        pass


provider = Faulty()
'''

ENTRY = "[gpux.providers]\nfaulty = gpux_faulty:provider\n"
METADATA = "Metadata-Version: 2.1\nName: gpux-faulty\nVersion: 1.0\n"


def install(folder: Path) -> Path:
    """Write the package and its metadata into a folder for ``PYTHONPATH``."""
    info = folder / "gpux_faulty-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "gpux_faulty.py").write_text(MODULE, encoding="utf-8")
    (info / "METADATA").write_text(METADATA, encoding="utf-8")
    (info / "entry_points.txt").write_text(ENTRY, encoding="utf-8")
    return folder
