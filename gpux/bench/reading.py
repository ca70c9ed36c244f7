"""How the machine is read: files that may not be there, psutil that may not be there, and a thread that reads again and again.

Knows nothing of what the figures mean.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType


def text(path: Path) -> str | None:
    """The text of a file of ``/proc`` or ``/sys``, stripped; ``None`` where it is not there or cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def number(path: Path) -> int | None:
    """The whole number that a file holds, or ``None``."""
    found = text(path)
    return int(found) if found is not None and found.isdecimal() else None


@functools.cache
def psutil() -> ModuleType | None:
    """The module ``psutil``, or ``None``: an environment of someone else's, with PyTorch in it, may lack it."""
    try:
        import psutil as module
    except ImportError:
        return None
    return module


class Ticking:
    """Calls an action every so many seconds in a thread of its own, which ends with the process.

    Args:
        action: What to call; it raises nothing.
        interval: Seconds between two calls; may be changed while it runs.
        name: The thread's name.
    """

    def __init__(self, action: Callable[[], object], *, interval: float, name: str) -> None:
        self.interval = interval
        self._action = action
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Return once the last call has ended; a second time does nothing."""
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._done.wait(self.interval):
            self._action()
