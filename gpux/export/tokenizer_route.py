"""A model's tokenizer as one ``tokenizer.json``, converted from whatever vocabulary files it has, as transformers converts them.

Imported only where a framework is: in the exporter's environment.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import transformers

from gpux.errors import UnsupportedModel
from gpux.events import Event, Progress
from gpux.export import paired_vocabulary


def run(
    source: Path, output: Path, *, trust_remote_code: bool, progress: Progress, **_: Any
) -> dict[str, Any]:
    """Write ``tokenizer.json`` only; what else a route is told is no matter here.

    Args:
        source: The model's directory.
        output: Where to write it.
        trust_remote_code: Whether the repository's own code may run.
        progress: Receives a line.

    Raises:
        UnsupportedModel: transformers cannot load the tokenizer, or has no fast form of it.
    """
    progress(Event("export", "converting the tokenizer"))
    load(source, output, trust_remote_code=trust_remote_code)
    return {"versions": {"transformers": transformers.__version__}}


def load(source: Path, output: Path, *, trust_remote_code: bool) -> Any:
    """The tokenizer in transformers, its ``tokenizer.json`` written to ``output``.

    Raises:
        UnsupportedModel: As :func:`run`.
    """
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(source, trust_remote_code=trust_remote_code)
    except Exception as error:
        lines = str(error).strip().splitlines()
        raise UnsupportedModel(
            f"its tokenizer cannot be loaded: {(lines[0] if lines else type(error).__name__)[:300]}",
            hint="check the model's tokenizer files",
            path=source,
        ) from error
    # As transformers has it in memory: with the added tokens and special tokens of the other tokenizer files applied.
    backend = getattr(tokenizer, "backend_tokenizer", None) or paired_vocabulary.convert(tokenizer, source)
    if backend is not None:
        backend.save(str(output / "tokenizer.json"), pretty=False)
    elif not (source / "tokenizer.json").exists():
        raise UnsupportedModel(
            f"its tokenizer ({type(tokenizer).__name__}) has no fast form",
            hint="ask the model's authors for a tokenizer.json",
            tokenizer=type(tokenizer).__name__,
        )
    return tokenizer
