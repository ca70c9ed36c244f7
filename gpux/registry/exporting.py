"""Runs one of the exporter's routes over an order's checkpoint, in a worker of that toolchain; knows no graph and no proof."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpux.events import Event, Progress
from gpux.export import toolchains
from gpux.export.modalities import model_type
from gpux.export.toolchains import Toolchain
from gpux.sources.listing import Wants
from gpux.worker import parent

if TYPE_CHECKING:
    from gpux.registry.conversion import Order
    from gpux.sources.snapshot import Snapshot


def weights(order: Order, python: Path) -> Wants:
    """The files that a checkpoint is loaded from; its own code only where that interpreter cannot do without."""
    kind = str(model_type(order.config))
    # Many repositories carry code for old transformers versions that newer ones have built in.
    ask = bool(order.config.get("auto_map")) and not order.trust_remote_code
    native = frozenset({kind}) if ask and toolchains.knows(python, kind) else frozenset[str]()
    return Wants(weights=True, pickle=order.allow_pickle, code=order.trust_remote_code, native=native)


def run(
    order: Order,
    snapshot: Snapshot,
    folder: Path,
    *,
    toolchain: Toolchain,
    python: Path,
    settings: Mapping[str, Any],
    progress: Progress,
) -> dict[str, Any]:
    """What a route made of the checkpoint; its files are in the folder.

    Args:
        order: What to convert.
        snapshot: The model's files, weights included.
        folder: An empty directory.
        toolchain: Whose route.
        python: Its interpreter.
        settings: The route's own arguments.
        progress: Receives the steps.

    Raises:
        GpuxError: What the route raised.
        WorkerFailed: It died, hung, ran out of memory or of time.
    """
    progress(Event("export", "starting the exporter"))
    return _work(order, snapshot, folder, toolchain.name, python=python, settings=settings, progress=progress)


def convert_tokenizer(
    order: Order, snapshot: Snapshot, folder: Path, *, python: Path, progress: Progress
) -> None:
    """Write the ``tokenizer.json`` of a snapshot's small files to a folder; arguments and errors as for :func:`run`."""
    progress(Event("export", "starting the exporter"))
    _work(order, snapshot, folder, toolchains.TOKENIZER, python=python, settings={}, progress=progress)


def _work(
    order: Order,
    snapshot: Snapshot,
    folder: Path,
    route: str,
    *,
    python: Path,
    settings: Mapping[str, Any],
    progress: Progress,
) -> dict[str, Any]:
    job = {
        "route": route,
        "source": str(snapshot.directory),
        "output": str(folder),
        "auto": list(order.head.autos),
        "outputs": list(order.head.outputs),
        "takes": list(order.head.takes),
        "generates": order.head.generates,
        "allow_pickle": order.allow_pickle,
        "trust_remote_code": order.trust_remote_code,
        "settings": dict(settings),
    }
    return parent.run(
        "gpux.export.worker", job, python=python, progress=progress, environment=toolchains.ENVIRONMENT
    )
