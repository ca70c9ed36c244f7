"""A file that is written aside and takes its name when it is whole, so that no crash leaves half of one that looks whole."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from gpux.errors import UsageError

ENDING = ".partial"


class Partial:
    """A file beside its own place; nothing is made before something is written.

    Args:
        path: Where the whole file goes.
        binary: Whether bytes are written.
    """

    def __init__(self, path: Path, *, binary: bool = False) -> None:
        self.path = path
        self._whole = Path(os.path.realpath(path))  # a link stays one
        self.aside = self._whole.with_name(self._whole.name + ENDING)
        self._binary = binary
        self._file: IO[Any] | None = None

    @property
    def begun(self) -> bool:
        """Whether there is anything of it."""
        return self._file is not None

    @property
    def file(self) -> IO[Any]:
        """What is written to."""
        if self._file is None:
            with writing(self.path):
                self._file = (
                    self.aside.open("wb")
                    if self._binary
                    else self.aside.open("w", encoding="utf-8", newline="")
                )
        return self._file

    def write(self, text: str) -> None:
        """Add to it."""
        with writing(self.path):
            self.file.write(text)

    def flush(self) -> None:
        """Let others see what was written so far."""
        if self._file is not None:
            with writing(self.path):
                self._file.flush()

    def finish(self) -> None:
        """Put the whole file in its place."""
        with writing(self.path):
            self.file.close()
            self.aside.replace(self._whole)

    def drop(self) -> None:
        """Take away what there is of it."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self.aside.unlink(missing_ok=True)

    def leave(self) -> None:
        """Close it where it lies."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Name the file where it cannot be written.

    Raises:
        UsageError: The system refused.
    """
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"`{path}` cannot be written: {error.strerror or error}",
            hint="choose another --output",
            path=path,
        ) from error
