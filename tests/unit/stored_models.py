"""Artifacts without a model behind them, put into a real store: for tests that look at the store and the plan only."""

from __future__ import annotations

import hashlib

from gpux.artifact import Artifact, Certificate, Component, File, Manifest, OutputParity, Source, Variant
from gpux.registry.store import Store
from gpux.tensors import TensorSpec


def variant(name: str, quality: str = "exact") -> Variant:
    parity = (OutputParity("y", 0.0, 0.0, 1.0, 1.0),)
    certificate = Certificate(quality, "onnx fp32", "cpu", "x 1", ("1×5",), parity)
    return Variant(name, {"model": f"{name}/model.onnx"}, "ready", {}, certificate)


def put(
    store: Store, reference: str, *variants: Variant, name: str | None = None, content: bytes = b"graph"
) -> Artifact:
    """Commit an artifact whose graphs hold ``content``."""
    made = variants or (variant("fp32"),)
    with store.workspace() as folder:
        files = []
        for each in made:
            path = folder / each.graphs["model"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            files.append(File(each.graphs["model"], len(content), hashlib.sha256(content).hexdigest()))
        spec = (TensorSpec("x", "float32", ("rows", 4)),)
        manifest = Manifest(
            schema=1,
            gpux="0",
            source=Source(reference, "sha256:0", None, None, None),
            task="feature-extraction",
            architecture=None,
            parameters=None,
            components=(Component("model", spec, spec),),
            variants=tuple(made),
            files=tuple(files),
        )
        return store.commit(folder, manifest, name or reference)
