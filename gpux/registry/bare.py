"""Graphs that come without a word about their task: which task runs them, and which of a source's graphs is meant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gpux.errors import UnsupportedModel
from gpux.export import ready
from gpux.head import Head
from gpux.sources.listing import Listing
from gpux.sources.snapshot import Snapshot

_TELLING = ("config.json", "modules.json")


def task(
    heads: Mapping[str, Head], listing: Listing, snapshot: Snapshot, *, requested: str | None
) -> str | None:
    """The task that runs any graph, where it was asked for or nothing says another; else ``None``.

    Args:
        heads: Every task of this version with its head.
        listing: What the source holds.
        snapshot: Its small files.
        requested: What the user asked for.
    """
    any_graph = next(name for name, head in heads.items() if not head.takes)
    if requested:
        return any_graph if requested == any_graph else None
    told = listing.pipeline_tag in heads or any(snapshot.find(path) for path in _TELLING)
    return None if told or not listing.graphs else any_graph


def one_graph(listing: Listing) -> Listing:
    """The listing with its graph named, where it has one alone; one whose graphs are variants by name stays as it is.

    Raises:
        UnsupportedModel: It has no graph, or several that nothing tells apart.
    """
    if listing.graph or (len(listing.graphs) > 1 and ready.offered(listing.graphs)):
        return listing
    if len(listing.graphs) == 1:
        return replace(listing, graph=listing.graphs[0])
    if listing.graphs:
        raise UnsupportedModel(
            f"`{listing.reference}` holds {len(listing.graphs)} graphs: {', '.join(listing.graphs[:5])}",
            hint=f"name one: gpux pull {listing.reference}/{listing.graphs[0]}",
            reference=str(listing.reference),
        )
    raise UnsupportedModel(
        f"`{listing.reference}` has no ONNX graph, and raw runs a graph as it is",
        hint=f"gpux pull {listing.reference} without --task raw",
        reference=str(listing.reference),
    )
