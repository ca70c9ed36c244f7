"""Listing → proven graphs in a workspace, by one route after the other; what fails is remembered and told.

``ready`` takes the repository's own ONNX files; ``transformers`` exports the checkpoint in the worker. Both end in the
same proof. A Core ML package is added to what they made.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from gpux.artifact import Component, Variant
from gpux.errors import (
    ExporterMissing,
    ExportError,
    GpuxError,
    ModelNotFound,
    ProofFailed,
    RemoteCodeRefused,
    RunFailed,
    SourceError,
    UnknownVariant,
    UnsafePath,
    UnsafeWeights,
    UnsupportedModel,
)
from gpux.events import Event, Progress
from gpux.export import probes, proof, ready, toolchains
from gpux.export.inputs import Inputs, describe, read_processor
from gpux.export.modalities import model_type
from gpux.export.toolchains import Toolchain
from gpux.head import Head
from gpux.onnx_reader import GraphSummary, OnnxError, read_graph
from gpux.reference import MLPACKAGE
from gpux.registry import assembly, decoder_graph, exporting
from gpux.registry.package import add_package
from gpux.registry.proving import Proven, prove
from gpux.sources.listing import Listing, Wants
from gpux.sources.paths import external_files
from gpux.sources.snapshot import Snapshot

PYTORCH = "pytorch fp32"
ROUTES = ("ready", toolchains.TRANSFORMERS.name, toolchains.OPTIMUM.name, toolchains.GENAI.name)

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
        generation: Its ``generation_config.json``.
    """

    listing: Listing
    fetch: Fetch
    config: Mapping[str, Any]
    head: Head
    variants: tuple[str, ...]
    routes: tuple[str, ...]
    allow_pickle: bool
    trust_remote_code: bool
    generation: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Converted:
    """Graphs that were proven, in the workspace, and where they came from."""

    snapshot: Snapshot
    components: tuple[Component, ...]
    variants: tuple[Variant, ...]
    parameters: int | None


@dataclass(frozen=True, slots=True)
class _References:
    """The proof's inputs and expected outputs; ``outputs`` is ``None`` until something gave them."""

    probes: Path
    outputs: Path | None
    against: str
    parameters: int | None = None
    versions: Mapping[str, str] | None = None


def convert(order: Order, workspace: Path, progress: Progress) -> Converted:
    """Make and prove every variant; a package comes last, when what it is stored beside is proven.

    Raises:
        GpuxError: As of :func:`_graphs`, and of :func:`gpux.registry.package.add_package`.
    """
    if MLPACKAGE not in order.variants:
        return _graphs(order, workspace, progress)
    toolchains.require(toolchains.COREML)  # rather now than after the graphs
    graphs = tuple(name for name in order.variants if name != MLPACKAGE)
    made = _graphs(replace(order, variants=graphs), workspace, progress)
    package = add_package(order, workspace, made.components[0], progress)
    return replace(made, variants=(*made.variants, package))


def _graphs(order: Order, workspace: Path, progress: Progress) -> Converted:
    """Make and prove the ONNX graphs.

    Raises:
        ProofFailed, UnsupportedModel, RunFailed, UnknownVariant: No route gave a graph that computes the model; ``tried``
            lists what each said.
        ExporterMissing: Only the exporter could have made it.
    """
    failures: list[GpuxError] = []
    for route in order.routes:
        attempt = _Attempt(order, workspace / f"route-{route}", progress)
        try:
            converted = attempt.ready() if route == "ready" else attempt.exported(toolchains.named(route))
        except (ProofFailed, RunFailed, UnsupportedModel, UnknownVariant, ExporterMissing) as error:
            progress(Event("prove", f"the route `{route}` failed: {error.message}"))
            failures.append(error)
            shutil.rmtree(attempt.folder, ignore_errors=True)
            continue
        attempt.keep(workspace)
        return converted
    # A missing toolchain is the lesser news when another route found something wrong with the model.
    told = next((f for f in reversed(failures) if not isinstance(f, ExporterMissing)), failures[-1])
    told.details["tried"] = [f"{route}: {f.message}" for route, f in zip(order.routes, failures, strict=True)]
    if told is not failures[-1] and isinstance(failures[-1], ExporterMissing):
        told.hint = f"{failures[-1].hint}, to convert it from its weights"
    raise told


class _Attempt:
    """One route's work in a folder of its own, so that a failed one leaves nothing to the next."""

    def __init__(self, order: Order, folder: Path, progress: Progress) -> None:
        self.order = order
        self.folder = folder
        self.progress = progress
        folder.mkdir()

    def keep(self, workspace: Path) -> None:
        """Move what was made to where the artifact is put together."""
        proof = workspace / assembly.PROOF
        proof.mkdir()
        for name in ("probes.npz", "reference.npz"):
            (self.folder / name).rename(proof / name)
        for made in self.folder.iterdir():
            made.rename(workspace / made.name)
        self.folder.rmdir()

    def exported(self, toolchain: Toolchain) -> Converted:
        """The routes ``transformers``, ``optimum`` and ``genai``, from the checkpoint."""
        if toolchain is toolchains.GENAI and not self.order.head.generates:
            raise UnsupportedModel(
                "onnxruntime-genai makes graphs of models that write, and of no other",
                hint="pull it without --exporter genai",
            )
        extra = [variant for variant in self.order.variants if variant != "fp32"]
        if extra and not self.order.head.generates:
            offered = ", ".join(ready.offered(self.order.listing.graphs))
            raise UnknownVariant(
                f"the {toolchain.name} exporter makes fp32, not {', '.join(extra)}",
                hint=f"the source offers {offered}" if offered else "drop --variant: the source has no other",
                variant=extra[0],
            )
        python = toolchains.require(toolchain)
        snapshot = self.order.fetch(exporting.weights(self.order, python))
        if self.order.head.generates:
            return self._generator(toolchain, snapshot, python)
        settings = {"references_only": False} if toolchain is toolchains.TRANSFORMERS else {}
        references, _ = self._run_exporter(snapshot, python, toolchain, settings)
        # optimum's own loaders look for the graph beside config.json, which is the artifact's root.
        graph = self.folder / ("" if toolchain is toolchains.OPTIMUM else "fp32") / "model.onnx"
        if graph.parent != self.folder:
            graph.parent.mkdir()
            for made in self.folder.glob("model.onnx*"):
                made.rename(graph.parent / made.name)
        proven = self._prove({"model": graph}, "fp32", references)
        graphs = {"model": graph.relative_to(self.folder).as_posix()}
        versions = dict(references.versions or {})
        variant = Variant("fp32", graphs, toolchain.name, versions, proven.certificate)
        return Converted(snapshot, proven.components, (variant,), references.parameters)

    def _generator(self, toolchain: Toolchain, snapshot: Snapshot, python: Path) -> Converted:
        """The graphs of a model that writes, in every variant."""
        settings = {"references_only": False, "variants": list(self.order.variants)}
        references, result = self._run_exporter(snapshot, python, toolchain, settings)
        variants: list[Variant] = []
        components: tuple[Component, ...] = ()
        for name in self.order.variants:
            graphs = {part: self.folder / name / f"{part}.onnx" for part in result["components"]}
            proven = self._prove(graphs, name, references)
            paths = {part: path.relative_to(self.folder).as_posix() for part, path in graphs.items()}
            versions = dict(references.versions or {})
            variants.append(Variant(name, paths, toolchain.name, versions, proven.certificate))
            components = components or proven.components  # caches of half precision are their variants' own
        return Converted(snapshot, components, tuple(variants), references.parameters)

    def ready(self) -> Converted:
        """The ``ready`` route: the repository's own graphs, the first of each variant that is proven."""
        snapshot, references = self._source_model()
        wanted = list(self.order.variants)
        # Without a framework the fp32 graph is the reference, so it is proven first, stored or not.
        if references is None and "fp32" not in wanted and not self.order.listing.graph:
            wanted += ["fp32"] if ready.candidates(self.order.listing.graphs, "fp32") else []
        variants: dict[str, Variant] = {}
        components: dict[str, Component] = {}
        parameters = references.parameters if references else None
        for name in sorted(wanted, key=lambda v: v != "fp32"):
            graph, proven, references = self._first_good(name, references)
            (components[name],) = proven.components
            parameters = parameters or read_graph(graph).parameters
            relative = graph.relative_to(self.folder).as_posix()
            variants[name] = Variant(name, {"model": relative}, "ready", {}, proven.certificate)
        for name in set(variants) - set(self.order.variants):
            shutil.rmtree(self.folder / name)
        kept = tuple(variants[name] for name in self.order.variants)
        return Converted(snapshot, (components[kept[0].name],), kept, parameters)

    def _source_model(self) -> tuple[Snapshot, _References | None]:
        """The source model's own outputs, where both its weights and a toolchain are at hand."""
        listing = self.order.listing
        weights = any("/" not in path for path in listing.safetensors) and model_type(self.order.config)
        try:
            installed = toolchains.find().python
            if installed and weights:
                snapshot = self.order.fetch(exporting.weights(self.order, Path(installed)))
                only: dict[str, Any] = {"references_only": True}
                if self.order.head.generates:
                    only = {**only, "variants": []}
                return snapshot, self._run_exporter(snapshot, Path(installed), toolchains.TRANSFORMERS, only)[
                    0
                ]
        except (RemoteCodeRefused, UnsafeWeights, ModelNotFound, ExportError) as error:
            # The repository's own graphs need no framework: without its answers they are held to themselves.
            self.progress(Event("prove", f"no reference from PyTorch: {error.message}"))
            shutil.rmtree(self.folder)
            self.folder.mkdir()
        return self.order.fetch(Wants()), None

    def _first_good(self, variant: str, references: _References | None) -> tuple[Path, Proven, _References]:
        listing = self.order.listing
        files = [listing.graph] if listing.graph else ready.candidates(listing.graphs, variant)
        failure: GpuxError = UnknownVariant(
            f"`{listing.reference}` offers {', '.join(ready.offered(listing.graphs)) or 'no ONNX graph'}, not `{variant}`",
            hint="pull one of those with --variant, or drop it",
            variant=variant,
        )
        for file in files:
            try:
                return self._take(file, variant, references)
            except (ProofFailed, RunFailed, UnsafePath) as error:
                self.progress(Event("prove", f"`{file}` is no good: {error.message}"))
                error.details.setdefault("file", file)
                failure = error
                shutil.rmtree(self.folder / variant, ignore_errors=True)
        raise failure

    def _take(
        self, file: str, variant: str, references: _References | None
    ) -> tuple[Path, Proven, _References]:
        snapshot = self._fetch_graph(file)
        summary = _summarise(snapshot, file)
        graph = self.folder / variant / PurePosixPath(file).name
        axes = decoder_graph.renamed(summary, self.order.config) if self.order.head.generates else {}
        if axes:
            decoder_graph.place(snapshot.directory / file, graph, axes)
        else:
            assembly.place(snapshot.directory / file, graph, link=snapshot.shared)
        for external in external_files(file, summary):
            relative = PurePosixPath(external).relative_to(PurePosixPath(file).parent)
            assembly.place(snapshot.directory / external, graph.parent / relative, link=snapshot.shared)
        if references is None:
            references = _References(self.folder / "probes.npz", None, proof.ITSELF)
            references.probes.unlink(missing_ok=True)  # of another graph
            if self.order.head.generates:
                decoder_graph.make_probes(snapshot.directory, summary, references.probes)
            elif self.order.head.takes:  # else the proof finds them, by trying
                made = probes.make(self._inputs(summary, snapshot))
                probes.save(references.probes, probes.affordable(made, _per_token(summary)))
        save = None if references.outputs else self.folder / "reference.npz"
        proven = self._prove({"model": graph}, variant, references, save=save)
        if save:
            references = replace(references, outputs=save, against=f"onnx {variant}")
        return graph, proven, references

    def _inputs(self, summary: GraphSummary, snapshot: Snapshot) -> Inputs:
        """What the graph is given, as its own types and the model's files tell."""
        return describe(
            self.order.head.takes,
            self.order.config,
            read_processor(snapshot.directory),
            {spec.name: spec.shape for spec in summary.inputs},
            outputs=[spec.name for spec in summary.outputs],
        )

    def _fetch_graph(self, file: str) -> Snapshot:
        try:
            return self.order.fetch(Wants(graphs=(file,)))
        except SourceError as error:
            # No ONNX, or without its data: the next graph may do. Whatever else stands in the way stands before all.
            if type(error) not in {SourceError, ModelNotFound}:
                raise
            raise RunFailed(error.message, hint=error.hint, **error.details) from error

    def _prove(
        self,
        graphs: Mapping[str, Path],
        variant: str,
        references: _References,
        *,
        save: Path | None = None,
    ) -> Proven:
        self.progress(Event("prove", f"proving {variant} against {references.against}"))
        return prove(
            graphs,
            variant=variant,
            head=self.order.head,
            probes=references.probes,
            reference=references.outputs,
            against=references.against,
            save=save,
            progress=self.progress,
            settings=start(self.order.generation, self.order.config) if self.order.head.generates else None,
        )

    def _run_exporter(
        self, snapshot: Snapshot, python: Path, toolchain: Toolchain, settings: Mapping[str, Any]
    ) -> tuple[_References, Mapping[str, Any]]:
        result = exporting.run(
            self.order,
            snapshot,
            self.folder,
            toolchain=toolchain,
            python=python,
            settings=settings,
            progress=self.progress,
        )
        references = _References(
            self.folder / "probes.npz",
            self.folder / "reference.npz",
            PYTORCH,
            int(result["parameters"]),
            dict(result["versions"]),
        )
        return references, result


def start(generation: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """What an answer begins with, as a model's ``generation_config.json`` or else its ``config.json`` says."""
    names = ("decoder_start_token_id", "bos_token_id", "pad_token_id")
    found = {name: generation.get(name, config.get(name)) for name in names}
    return {name: value for name, value in found.items() if isinstance(value, int)}


def _per_token(summary: GraphSummary) -> float:
    """Bytes of a graph's outputs for each token, as far as its types say: a score for every word of a vocabulary is the most."""
    last = [spec.shape[-1] for spec in summary.outputs if len(spec.shape) == 3]
    return 4.0 * sum(size for size in last if isinstance(size, int))


def _summarise(snapshot: Snapshot, file: str) -> GraphSummary:
    path = snapshot.directory / file
    try:
        return read_graph(path)
    except (OnnxError, OSError) as error:
        raise RunFailed(
            f"`{file}` is no ONNX graph: {error}", hint="ask the model's authors to mend it", path=path
        ) from error
