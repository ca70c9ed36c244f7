"""The conversion worker's entry: takes one export job, runs its route; the only process that imports torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gpux.errors import ExporterMissing
from gpux.events import Progress
from gpux.export import toolchains
from gpux.worker import child

_NO_MEMORY = (
    "allocate memory",  # torch's allocator, the dynamic linker, the system itself
    "failed to map segment",
    "cannot enable executable stack",
    "can't start new thread",
    "bad_alloc",
)


def main() -> None:
    """Serve one job from standard input."""
    child.serve(_handle)


def _handle(job: dict[str, Any], progress: Progress) -> dict[str, Any]:
    try:
        return _export(job, progress)
    except Exception as error:
        if _wants_memory(error):
            raise MemoryError(str(error)) from error
        raise


def _export(job: dict[str, Any], progress: Progress) -> dict[str, Any]:
    name = job["route"]
    toolchain = toolchains.TRANSFORMERS.name if name == toolchains.TOKENIZER else name
    try:
        route = _route(name, generates=job.get("generates", False))
    except ModuleNotFoundError as error:
        raise ExporterMissing(
            f"the exporter's environment lacks `{error.name}`",
            hint=f"gpux exporter install {toolchain}",
            package=error.name,
        ) from error
    except ImportError as error:
        raise ExporterMissing(
            f"the exporter's environment is broken: {error}",
            hint=f"gpux exporter install {toolchain}",
            package=error.name,
        ) from error
    result: dict[str, Any] = route.run(
        Path(job["source"]),
        Path(job["output"]),
        auto=job["auto"],
        outputs=tuple(job["outputs"]),
        takes=tuple(job["takes"]),
        allow_pickle=job["allow_pickle"],
        trust_remote_code=job["trust_remote_code"],
        progress=progress,
        **job["settings"],
    )
    return result


def _route(name: str, *, generates: bool) -> Any:
    if name == toolchains.COREML.name:
        from gpux.export import coreml_route

        return coreml_route
    if name == toolchains.TOKENIZER:
        from gpux.export import tokenizer_route

        return tokenizer_route
    if name == toolchains.OPTIMUM.name:
        from gpux.export import optimum_route

        return optimum_route
    if name == toolchains.GENAI.name:
        from gpux.export import genai_route

        return genai_route
    if generates:
        from gpux.export.generators import route

        return route
    from gpux.export import transformers_route

    return transformers_route


def _wants_memory(error: BaseException) -> bool:
    """Whether anything in the chain of an error is a want of memory, which each library says in words of its own."""
    chain: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in chain:
        chain.append(following)
        following = following.__cause__ or following.__context__
    said = " ".join(str(one).lower() for one in chain)
    return any(isinstance(one, MemoryError) for one in chain) or any(words in said for words in _NO_MEMORY)
