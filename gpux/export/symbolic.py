"""Keeps sizes free while a model is traced, where its code calls ``int`` or ``len`` on them and Python itself would fix them.

Both must return plain numbers, so ``torch.export`` takes the traced size for the only one. In the modules of the model's own
code the two names are shadowed, for as long as the export lasts, by ones that let a symbolic size through.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

_OWN = "transformers.models."


def _int(value: Any = 0, *rest: Any) -> Any:
    return value if isinstance(value, torch.SymInt) and not rest else builtins.int(value, *rest)


def _len(value: Any, /) -> Any:
    return value.shape[0] if isinstance(value, torch.Tensor) and value.ndim else builtins.len(value)


@contextmanager
def sizes_kept(model: torch.nn.Module) -> Iterator[None]:
    """Let symbolic sizes through ``int`` and ``len`` in the code of a model's modules."""
    modules = {type(part).__module__ for part in model.modules() if type(part).__module__.startswith(_OWN)}
    shadowed = []
    for name in sorted(modules):
        namespace = vars(sys.modules[name])
        for word, own in (("int", _int), ("len", _len)):
            if word not in namespace:
                namespace[word] = own
                shadowed.append((namespace, word))
    try:
        yield
    finally:
        for namespace, word in shadowed:
            del namespace[word]
