"""Runs a function over items in threads, a bounded number of them ahead of whoever takes the results; in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(
    function: Callable[[Item], Result], items: Iterable[Item], *, threads: int, depth: int
) -> Generator[Result, None, None]:
    """Results in the order of the items; what the function raises is raised in its place.

    The items are taken in the caller's own thread. When the generator is closed, or a result was an error, what has not
    begun is dropped and every thread has ended before control comes back.

    Args:
        function: Called once per item.
        items: Any number of items.
        threads: Calls at once.
        depth: Most items that were begun and not yet handed out.
    """
    from concurrent.futures import ThreadPoolExecutor

    source = iter(items)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="gpux-ahead")
    try:
        begun: deque[Future[Result]] = deque(
            pool.submit(function, item) for item in islice(source, max(depth, threads))
        )
        while begun:
            result = begun.popleft().result()
            begun.extend(pool.submit(function, item) for item in islice(source, 1))
            yield result
    finally:
        pool.shutdown(cancel_futures=True)
