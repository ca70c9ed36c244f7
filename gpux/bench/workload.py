"""What every run of a benchmark answers: items cut into queries, and what they amount to; knows no clock."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpux.errors import InvalidInput, UsageError

if TYPE_CHECKING:
    from gpux.bench.settings import Settings
    from gpux.bench.subject import Task


@dataclass(frozen=True, slots=True)
class Workload:
    """What the runs answer, for the report.

    Attributes:
        origin: Where the items come from: ``given``, ``the task's own samples``, or how they were made.
        noun: What the items are, in the plural.
        items: Different items.
        batch: Items per run.
        work: Quantity (``tokens`` …) → its amount per query, in the order of the queries.
        characters: Characters of all items together; ``None`` where an item is no text.
        sha256: Hexadecimal digest of the items; ``None`` where an item has no bytes of its own to hash.
    """

    origin: str
    noun: str
    items: int
    batch: int
    work: dict[str, tuple[float, ...]]
    characters: int | None
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Queries:
    """The workload itself.

    Attributes:
        items: Every item.
        calls: What each query passes to the model, in order: an item alone where the batch is 1, else a list.
        record: The description.
    """

    items: list[Any]
    calls: list[Any]
    record: Workload


def prepare(task: Task, inputs: Any, settings: Settings, parameters: Mapping[str, Any]) -> Queries:
    """Cut the inputs, or the task's own where there are none, into the queries of a benchmark.

    Queries take the items in turn; where the last one is short, it is filled up from the first item on.

    Raises:
        InvalidInput: There is no item, or the task cannot make items of that length.
        UsageError: Inputs and a length to make others at were both given.
    """
    if inputs is not None and settings.sequence is not None:
        raise UsageError(
            "a sequence length makes inputs of its own, and inputs were given", hint="give one of them"
        )
    if inputs is None:
        items = task.samples(settings.sequence, **parameters)
        made = settings.sequence and f"made of the task's own samples, {settings.sequence} tokens each"
        origin = made or "the task's own samples"
    else:
        items = [inputs] if task.is_item(inputs) else list(inputs)
        origin = "given"
    if not items:
        raise InvalidInput("an empty list leaves nothing to measure", hint="give at least one input")
    batch = settings.batch or len(items)
    count = math.ceil(len(items) / batch)
    groups = [
        [items[(first + i) % len(items)] for i in range(batch)] for first in range(0, count * batch, batch)
    ]
    amounts = [dict(task.work(group, **parameters)) for group in groups]
    names = dict.fromkeys(name for amount in amounts for name in amount)
    record = Workload(
        origin=origin,
        noun=task.noun,
        items=len(items),
        batch=batch,
        work={name: tuple(float(amount.get(name, 0)) for amount in amounts) for name in names},
        characters=_characters(items),
        sha256=digest(items),
    )
    alone = batch == 1 and settings.scenario != "offline"
    return Queries(items, [group[0] for group in groups] if alone else list(groups), record)


def digest(items: Sequence[Any]) -> str | None:
    """SHA-256 of items in their order; ``None`` where one has no bytes of its own."""
    try:
        data = json.dumps(list(items), sort_keys=True, separators=(",", ":"), default=_bytes)
    except TypeError:
        return None
    return hashlib.sha256(data.encode(errors="surrogatepass")).hexdigest()


def _characters(items: Sequence[Any]) -> int | None:
    texts = list(_texts(items))
    return None if None in texts else sum(len(text) for text in texts if text is not None)


def _texts(items: Iterable[Any]) -> Iterable[str | None]:
    for item in items:
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            yield from _texts(item.values())
        elif isinstance(item, list | tuple):
            yield from _texts(item)
        else:
            yield None


def _bytes(value: Any) -> list[str]:
    if isinstance(value, bytes):
        return ["bytes", hashlib.sha256(value).hexdigest()]
    if not hasattr(value, "tobytes"):
        raise TypeError(type(value).__name__)
    # numpy arrays and Pillow images alike: their bytes mean nothing without a shape and a type.
    shape = str(getattr(value, "shape", None) or getattr(value, "size", None))
    kind = str(getattr(value, "dtype", None) or getattr(value, "mode", None))
    return [kind, shape, hashlib.sha256(value.tobytes()).hexdigest()]
