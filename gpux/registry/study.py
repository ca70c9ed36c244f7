"""What a source offers, and what of that to convert: listing and configuration in, an order out; nothing large is fetched."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gpux import sources, tasks
from gpux.errors import UnknownVariant, UnsupportedModel, UsageError
from gpux.events import Event, Progress
from gpux.export import heads, kinds, ready
from gpux.export.generators.precisions import MADE
from gpux.export.inputs import read_processor
from gpux.export.modalities import model_type
from gpux.reference import MLPACKAGE
from gpux.registry import bare, folder
from gpux.registry.conversion import Order
from gpux.registry.wish import Wish
from gpux.sources.listing import Listing, Wants
from gpux.sources.snapshot import Snapshot

_ENCODED = ("fp32",)


@dataclass(frozen=True, slots=True)
class Study:
    """A model before its weights are here.

    Attributes:
        listing: What the source holds.
        config: Its ``config.json``.
        task: The task that it answers.
        order: What to convert.
        record: What the artifact keeps of a ``gpux.yml``.
    """

    listing: Listing
    config: Mapping[str, Any]
    task: str
    order: Order
    record: bytes | None = None

    @property
    def download(self) -> int:
        """Bytes of the largest files that the first route needs, as far as the source says."""
        weights = sum(file.size or 0 for file in self.listing.files if file.path.endswith(".safetensors"))
        if self.order.routes[0] == "ready":
            listed = self.listing.graphs
            first = [found[0] for v in self.order.variants if (found := ready.candidates(listed, v))]
            names = [self.listing.graph] if self.listing.graph else first
            graphs = sum(file.size or 0 for file in self.listing.files if file.path in names)
            return graphs + weights * (MLPACKAGE in self.order.variants)
        return weights


def study(wish: Wish, progress: Progress, *, workspace: Callable[[], Path]) -> Study:
    """Look at the source, read the model's configuration, and decide task, variants and routes.

    Args:
        wish: What was asked for.
        progress: Receives the steps.
        workspace: Makes a folder, where a model with a ``gpux.yml`` is laid out; it must stay until the model is stored.

    Raises:
        SourceError: The source cannot be read.
        UnsupportedModel: The configuration is broken, or no task of this version fits it.
    """
    progress(Event("fetch", f"resolving {wish.name}"))
    listing = sources.look(wish.reference, token=wish.token, offline=wish.offline, progress=progress)
    every = {name: tasks.find(name).head for name in tasks.names()}
    said, own = folder.written(listing), None
    if said:
        own = folder.lay_out(said, listing, every, workspace(), requested=wish.task)
        listing, wish = own.listing, replace(wish, variants=wish.variants or own.variants)

    def fetch(wants: Wants) -> Snapshot:
        return sources.fetch(listing, wants=wants, token=wish.token, progress=progress)

    snapshot = fetch(Wants(code=wish.trust_remote_code))
    config = _read_config(snapshot)
    plain = None if own else bare.task(every, listing, snapshot, requested=wish.task)
    if plain:
        listing, config = bare.one_graph(listing), {}
    told = own.task if own else plain
    every = {name: head.of(heads.architecture(config)) for name, head in every.items()}
    task = told or heads.choose_task(
        {name: head for name, head in every.items() if head.takes},
        config,
        processor=read_processor(snapshot.directory),
        pipeline_tag=listing.pipeline_tag,
        embeds=snapshot.find("modules.json") is not None,
        requested=wish.task,
        name=wish.name,
        kind=_kind(snapshot, config),
    )
    head = every[task]
    variants, routes = _variants_and_routes(wish, listing, config, made=MADE if head.generates else _ENCODED)
    order = Order(
        listing=listing,
        fetch=fetch,
        config=config,
        head=head,
        variants=variants,
        routes=routes,
        allow_pickle=wish.allow_pickle,
        trust_remote_code=wish.trust_remote_code,
        generation=_object(_peek(snapshot, "generation_config.json")),
    )
    return Study(listing, config, task, order, own.record if own else None)


def _variants_and_routes(
    wish: Wish, listing: Listing, config: Mapping[str, Any], *, made: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if listing.graph:
        return _variant_of_graph(wish, listing.graph), ("ready",)
    package = MLPACKAGE in wish.variants
    # A package runs on Apple machines alone, so that what is stored beside it runs everywhere.
    asked = tuple(name for name in wish.variants if name != MLPACKAGE) or (("fp32",) if package else ())
    offered = ready.offered(listing.graphs)
    weights = bool(listing.safetensors) or wish.allow_pickle or not offered
    exportable = bool(model_type(config)) and weights
    if package and not exportable:
        raise UnknownVariant(
            f"`{wish.name}` cannot be had as `{MLPACKAGE}`: that is made from a checkpoint's weights, and it has none",
            hint=f"gpux pull {wish.name} without --variant {MLPACKAGE}",
            variant=MLPACKAGE,
        )
    only_quantised = bool(offered) and "fp32" not in offered and not exportable
    variants = asked or ((offered[0],) if only_quantised else ("fp32",))
    makes = made if exportable else ()
    missing = [v for v in variants if v not in offered and v not in makes]
    if missing and (offered or exportable):
        there = [*(v for v in makes if v not in offered), *offered]
        raise UnknownVariant(
            f"`{wish.name}` can be had as {', '.join(there)}, not as `{missing[0]}`",
            hint=f"gpux pull {wish.name} --variant {there[0]}",
            variant=missing[0],
        )
    possible = {
        "ready": bool(set(variants) & set(offered)),
        "transformers": exportable and set(variants) <= {*made},
    }
    routes = tuple(route for route, fits in possible.items() if fits)
    return (*variants, *[MLPACKAGE] * package), (wish.exporter,) if wish.exporter else routes or ("ready",)


def _variant_of_graph(wish: Wish, graph: str) -> tuple[str, ...]:
    declared = ready.variant_of(graph)
    if len(wish.variants) > 1:
        raise UsageError(
            f"`{graph}` is one graph, and {len(wish.variants)} variants were asked for",
            hint="give one --variant",
        )
    if MLPACKAGE in wish.variants:
        raise UnknownVariant(
            f"`{graph}` is an ONNX graph, and a `{MLPACKAGE}` is made from a checkpoint's weights",
            hint="name the model that the graph was made from",
            variant=MLPACKAGE,
        )
    if wish.variants and declared not in {None, *wish.variants}:
        raise UnknownVariant(
            f"`{graph}` is named as {declared}, not as `{wish.variants[0]}`",
            hint="drop --variant, or rename the file if its name is wrong",
            variant=wish.variants[0],
        )
    return wish.variants or (declared or "fp32",)


def _kind(snapshot: Snapshot, config: Mapping[str, Any]) -> str | None:
    """The kind of sentence-transformers model; files that cannot be read are told when the task reads them."""
    settings = _peek(snapshot, "config_sentence_transformers.json")
    listed = _peek(snapshot, "modules.json")
    modules = (
        [str(m.get("type")) for m in listed if isinstance(m, dict)] if isinstance(listed, list) else None
    )
    return kinds.kind_of(config, settings if isinstance(settings, dict) else {}, modules)


def _peek(snapshot: Snapshot, name: str) -> Any:
    if snapshot.find(name) is None:
        return None
    try:
        return json.loads((snapshot.directory / name).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _read_config(snapshot: Snapshot) -> Mapping[str, Any]:
    if snapshot.find("config.json") is None:
        return {}
    try:
        config = json.loads((snapshot.directory / "config.json").read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UnsupportedModel(
            f"`config.json` of `{snapshot.reference}` cannot be read: {error}",
            hint="ask the model's authors to mend it",
            path="config.json",
        ) from error
    if not isinstance(config, dict):
        raise UnsupportedModel(
            f"`config.json` of `{snapshot.reference}` is no JSON object",
            hint="ask the model's authors to mend it",
        )
    return config
