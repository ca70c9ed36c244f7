"""A model for the benchmark's tests: real records, and a call that takes as long as it is told."""

import time
from pathlib import Path

from gpux.artifact import Artifact, Certificate, Component, File, Manifest, OutputParity, Source, Variant
from gpux.planning import Plan
from gpux.provider import Placement


class Words:
    """A task whose tokens are the words of a text."""

    noun = "texts"
    emits = False

    def is_item(self, inputs):
        return isinstance(inputs, str)

    def samples(self, length=None, **parameters):
        return [" ".join(["word"] * length)] if length else ["a sample", "another good sample"]

    def work(self, items, **parameters):
        return {"tokens": float(sum(len(str(item).split()) for item in items))}

    def feeds(self, items, **parameters):
        return [{"ids": len(items)}]


class Graph:
    def __init__(self):
        self.fed = []

    def run(self, feeds, outputs=None):
        self.fed.append(feeds)
        return {"y": 0}


class Sleeper:
    """Takes the seconds of a list, one after the other and then the last one for ever; ``None`` is Ctrl-C."""

    task = "feature-extraction"

    def __init__(self, *seconds, share=1.0):
        certificate = Certificate(
            quality="exact",
            reference="pytorch fp32",
            provider="cpu",
            runtime="onnxruntime 1.31.1",
            probes=("1x8",),
            outputs=(OutputParity("y", 1e-6, 1e-5, 0.99999999, explained=0.9999),),
        )
        manifest = Manifest(
            schema=1,
            gpux="0.1.0",
            source=Source("org/tiny", "0" * 40, "mit", "feature-extraction", None),
            task=self.task,
            architecture="BertModel",
            parameters=12,
            components=(Component("model", (), ()),),
            variants=(Variant("fp32", {"model": "graphs/fp32/model.onnx"}, "transformers", {}, certificate),),
            files=(File("graphs/fp32/model.onnx", 3, "0" * 64),),
        )
        self.artifact = Artifact(Path("unused"), "d" * 64, manifest)
        self.plan = Plan("cpu", "fp32", 2, False, "named")
        self.placement = Placement("cpu", "cpu", "fp32", {"CPUExecutionProvider": 9}, share)
        self.pipeline = Words()
        self.session = Graph()
        self.preparation = {}
        self.timings = {"plan": 0.01, "open": 0.25}
        self.seconds = list(seconds)
        self.calls = []

    def timed(self, inputs, **parameters):
        self.calls.append((inputs, parameters))
        seconds = self.seconds.pop(0) if len(self.seconds) > 1 else self.seconds[0]
        if seconds is None:
            raise KeyboardInterrupt
        time.sleep(seconds)
        return inputs, {"preprocess": 0.0, "infer": seconds, "postprocess": 0.0}
