"""Listing → proven graphs in a workspace, by one route after the other; what fails is remembered and told.

``ready`` takes the repository's own ONNX files; ``transformers`` exports the checkpoint in the worker. Both end in the
same proof.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from gpux.artifact import Component, Variant
from gpux.errors import ExporterMissing, GpuxError, ProofFailed, RunFailed, UnknownVariant, UnsupportedModel
from gpux.events import Event, Progress
from gpux.export import probes, ready, toolchains
from gpux.head import Head
from gpux.onnx_reader import OnnxError, read_graph
from gpux.registry import assembly
from gpux.registry.proving import Proven, prove
from gpux.sources.listing import Listing, Wants
from gpux.sources.paths import external_files
from gpux.sources.snapshot import Snapshot
from gpux.worker import parent

PYTORCH, ONNX, ITSELF = "pytorch fp32", "onnx fp32", "itself"
ROUTES = ("ready", "transformers")

Fetch = Callable[[Wants], Snapshot]


@dataclass(frozen=True, slots=True)
class Order:
    """What a conversion has to make.

    Attributes:
        listing: What the source holds.
        fetch: Brings files of it.
        config: The model's ``config.json``.
        head: The task's head.
        variants: The precisions to make.
        routes: The routes to try, in order.
        allow_pickle: Whether weights may be a pickle.
        trust_remote_code: Whether the repository's code may run.
    """

    listing: Listing
    fetch: Fetch
    config: Mapping[str, Any]
    head: Head
    variants: tuple[str, ...]
    routes: tuple[str, ...]
    allow_pickle: bool
    trust_remote_code: bool


@dataclass(frozen=True, slots=True)
class Converted:
    """Graphs that were proven, in the workspace, and where they came from."""

    snapshot: Snapshot
    components: tuple[Component, ...]
    variants: tuple[Variant, ...]
    parameters: int | None


@dataclass(frozen=True, slots=True)
class _References:
    """Where the proof's inputs and expected outputs lie; ``outputs`` is ``None`` until something gave them."""

    probes: Path
    outputs: Path | None
    against: str
    parameters: int | None = None
    versions: Mapping[str, str] | None = None


def convert(order: Order, workspace: Path, progress: Progress) -> Converted:
    """Make and prove every variant.

    Raises:
        ProofFailed, UnsupportedModel, RunFailed: No route gave a graph that computes the model; the message is the last
            route's, ``tried`` lists the others.
        ExporterMissing: Only the exporter could have made it.
    """
    failures: list[GpuxError] = []
    for route in order.routes:
        try:
            return {"ready": _ready, "transformers": _exported}[route](order, workspace, progress)
        except (ProofFailed, RunFailed, UnsupportedModel, UnknownVariant, ExporterMissing) as error:
            progress(Event("export", f"the route `{route}` failed: {error.message}"))
            failures.append(error)
    last = failures[-1]
    # A missing toolchain is the lesser news when another route found something wrong with the model.
    told = next((f for f in reversed(failures) if not isinstance(f, ExporterMissing)), last)
    told.details["tried"] = [f"{route}: {f.message}" for route, f in zip(order.routes, failures, strict=True)]
    if told is not last and told.hint != last.hint:
        told.hint = f"{last.hint}, to convert it from its weights" if isinstance(last, ExporterMissing) else told.hint
    raise told


def _exported(order: Order, workspace: Path, progress: Progress) -> Converted:
    extra = [variant for variant in order.variants if variant != "fp32"]
    if extra:
        raise UnknownVariant(
            f"the transformers exporter makes fp32, not {', '.join(extra)}",
            hint=f"the source offers {', '.join(ready.offered(order.listing.graphs)) or 'no other variant'}",
            variant=extra[0],
        )
    python = toolchains.require()
    snapshot = order.fetch(Wants(weights=True, pickle=order.allow_pickle, code=order.trust_remote_code))
    references = _run_exporter(order, snapshot, workspace, python, progress, references_only=False)
    graph = workspace / "fp32" / "model.onnx"
    graph.parent.mkdir(exist_ok=True)
    for made in workspace.glob("model.onnx*"):
        made.rename(graph.parent / made.name)
    proven = _prove(order, graph, "fp32", references, progress)
    variant = Variant("fp32", {"model": "fp32/model.onnx"}, "transformers", dict(references.versions or {}), proven.certificate)
    return Converted(snapshot, (proven.component,), (variant,), references.parameters)


def _ready(order: Order, workspace: Path, progress: Progress) -> Converted:
    snapshot, references = _ready_references(order, workspace, progress)
    wanted = list(order.variants)
    # Without a framework the fp32 graph is the reference, so it is proven first, stored or not.
    if references is None and "fp32" not in wanted and ready.candidates(order.listing.graphs, "fp32"):
        wanted.insert(0, "fp32")
    variants: list[Variant] = []
    component: Component | None = None
    parameters = references.parameters if references else None
    for name in sorted(wanted, key=lambda v: v != "fp32"):
        graph, proven, references = _first_good(order, name, workspace, references, progress)
        component = component or proven.component
        parameters = parameters or read_graph(graph).parameters
        if name in order.variants:
            relative = graph.relative_to(workspace).as_posix()
            variants.append(Variant(name, {"model": relative}, "ready", {}, proven.certificate))
    if "fp32" in wanted and "fp32" not in order.variants:
        for leftover in (workspace / "fp32").iterdir():
            leftover.unlink()
        (workspace / "fp32").rmdir()
    if component is None:
        raise UnsupportedModel("no variant was asked for", hint="give --variant fp32")
    ordered = sorted(variants, key=lambda v: order.variants.index(v.name))
    return Converted(snapshot, (component,), tuple(ordered), parameters)


def _ready_references(order: Order, workspace: Path, progress: Progress) -> tuple[Snapshot, _References | None]:
    """The source model's own outputs, where both its weights and a toolchain are at hand."""
    installed = toolchains.find().python
    if installed and order.listing.safetensors and order.config.get("model_type"):
        snapshot = order.fetch(Wants(weights=True, code=order.trust_remote_code))
        return snapshot, _run_exporter(order, snapshot, workspace, Path(installed), progress, references_only=True)
    return order.fetch(Wants()), None


def _first_good(
    order: Order, variant: str, workspace: Path, references: _References | None, progress: Progress
) -> tuple[Path, Proven, _References]:
    named = order.listing.graph
    files = [named] if named else ready.candidates(order.listing.graphs, variant)
    if not files:
        offered = ready.offered(order.listing.graphs)
        raise UnknownVariant(
            f"`{order.listing.reference}` offers {', '.join(offered) or 'no ONNX graph'}, not `{variant}`",
            hint=f"gpux pull {order.listing.reference} --variant {offered[0]}" if offered else "drop --variant",
            variant=variant,
        )
    failure: GpuxError | None = None
    for file in files:
        try:
            return _take(order, file, variant, workspace, references, progress)
        except (ProofFailed, RunFailed, UnsupportedModel) as error:
            progress(Event("prove", f"`{file}` is no good: {error.message}"))
            error.details.setdefault("file", file)
            failure = error
    raise failure or ProofFailed(f"no graph of variant {variant}")


def _take(
    order: Order, file: str, variant: str, workspace: Path, references: _References | None, progress: Progress
) -> tuple[Path, Proven, _References]:
    snapshot = order.fetch(Wants(graphs=(file,)))
    source = snapshot.directory / file
    try:
        summary = read_graph(source)
    except (OnnxError, OSError) as error:
        raise RunFailed(f"`{file}` is no ONNX graph: {error}", hint="gpux pull --force fetches it again", path=source) from error
    folder = workspace / variant
    graph = folder / PurePosixPath(file).name
    assembly.place(source, graph, link=snapshot.shared)
    for external in external_files(file, summary):
        relative = PurePosixPath(external).relative_to(PurePosixPath(file).parent)
        assembly.place(snapshot.directory / external, folder / relative, link=snapshot.shared)
    if references is None:
        inputs = [spec.name for spec in summary.inputs]
        references = _References(workspace / "probes.npz", None, ITSELF)
        probes.save(references.probes, probes.text_probes(**probes.settings(order.config, inputs)))
    save = None if references.outputs else workspace / "reference.npz"
    try:
        proven = _prove(order, graph, variant, references, progress, save=save)
    except GpuxError:
        for placed in folder.rglob("*"):
            if placed.is_file():
                placed.unlink()
        raise
    if save:
        references = replace(references, outputs=save, against=ONNX if variant == "fp32" else f"onnx {variant}")
    return graph, proven, references


def _prove(
    order: Order, graph: Path, variant: str, references: _References, progress: Progress, *, save: Path | None = None
) -> Proven:
    progress(Event("prove", f"proving {variant} against {references.against}"))
    return prove(
        graph,
        variant=variant,
        head=order.head,
        probes=references.probes,
        reference=references.outputs,
        against=references.against,
        save=save,
        progress=progress,
    )


def _run_exporter(
    order: Order, snapshot: Snapshot, workspace: Path, python: Path, progress: Progress, *, references_only: bool
) -> _References:
    progress(Event("export", "starting the exporter"))
    job = {
        "source": str(snapshot.directory),
        "output": str(workspace),
        "auto": order.head.auto,
        "outputs": list(order.head.outputs),
        "references_only": references_only,
        "allow_pickle": order.allow_pickle,
        "trust_remote_code": order.trust_remote_code,
    }
    # What the worker needs was fetched; it has no business on the network, and no telemetry leaves it.
    quiet = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"}
    result = parent.run("gpux.export.worker", job, python=python, progress=progress, environment=quiet)
    return _References(
        workspace / "probes.npz", workspace / "reference.npz", PYTORCH, int(result["parameters"]), dict(result["versions"])
    )
