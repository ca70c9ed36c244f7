"""Plug-in libraries of ONNX Runtime: Python module → library → devices, registered once per process; knows no provider."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from gpux.errors import InvalidSetting, ProviderUnavailable
from gpux.provider import Device, Provider

from ._onnxruntime_trouble import first_line

PATHS = ("get_library_path", "library_path")
"""What plug-ins call the function that tells where their library lies."""
NAMES = ("get_ep_name", "ep_name")
"""What they call the one that tells the provider's name; older ones have a constant ``EP_NAME``."""
NEEDS = "1.23"
"""The first ONNX Runtime that takes plug-ins."""

_LOCK = threading.Lock()
_KINDS = {"CPU": "cpu", "GPU": "gpu", "NPU": "npu"}


@dataclass(frozen=True, slots=True)
class Library:
    """A plug-in's library and the provider's name by its Python module."""

    native: str
    path: Path


def look(module: str, *, reinstall: str) -> Library:
    """Import a plug-in's Python module and ask it for its library.

    Raises:
        ProviderUnavailable: The module cannot be imported, says nothing, or names a file that does not exist.
    """
    try:
        code = import_module(module)
        function = next((getattr(code, name) for name in PATHS if hasattr(code, name)), None)
        path = Path(function()) if function else None
        named = next((getattr(code, name)() for name in NAMES if hasattr(code, name)), None)
        native = str(named or getattr(code, "EP_NAME", "") or module)
    except (Exception, SystemExit) as error:
        reason = f"`{module}` does not tell where its library is ({type(error).__name__}: {said(error)})"
        raise ProviderUnavailable(reason, hint=reinstall) from error
    if path is None:
        raise ProviderUnavailable(f"`{module}` has no {PATHS[0]}(), so it is no plug-in", hint=reinstall)
    if not path.is_file():
        raise ProviderUnavailable(f"the library of `{module}` is not there: {path}", hint=reinstall)
    return Library(native, path.resolve())


def register(library: Library, *, order: Sequence[str], remedy: str) -> tuple[Any, ...]:
    """The ``OrtEpDevice`` records of a library, which is registered with ONNX Runtime unless that was done.

    Args:
        library: The library.
        order: Kinds of devices, those to put first.
        remedy: The hint where it is refused, or lists no device.

    Raises:
        ProviderUnavailable: This ONNX Runtime takes no plug-ins, refused the library, or the library lists no device.
    """
    try:
        import onnxruntime
    except ImportError as error:
        reason = f"`onnxruntime`, which runs plug-ins, cannot be imported: {error}"
        raise ProviderUnavailable(reason, hint="pip install 'gpux[cpu]'") from error
    if not hasattr(onnxruntime, "InferenceSession"):
        raise ProviderUnavailable("`onnxruntime` is a broken mix of two distributions", hint="gpux doctor")
    if not hasattr(onnxruntime, "register_execution_provider_library"):
        reason = f"ONNX Runtime {onnxruntime.__version__} takes no plug-ins, which came with {NEEDS}"
        raise ProviderUnavailable(reason, hint=f"pip install --upgrade 'onnxruntime>={NEEDS}'")
    with _LOCK:
        found = _records(library)
        if not found:
            try:
                # Some libraries take the name that they are registered under for the provider's own.
                onnxruntime.register_execution_provider_library(library.native, str(library.path))
            except Exception as error:
                # By an earlier probe or by the application, and it lists no device.
                if "already registered" not in str(error):
                    reason = f"ONNX Runtime refused the plug-in's library: {said(error)}"
                    raise ProviderUnavailable(reason, hint=remedy) from error
            found = _records(library)
    if not found:
        reason = "the plug-in registered, and lists no device on this machine"
        raise ProviderUnavailable(reason, hint=remedy)
    places = {kind: place for place, kind in enumerate(order)}
    return tuple(sorted(found, key=lambda record: places.get(device(record).kind, len(places))))


def said(error: BaseException) -> str:
    """The first line of what was raised, without the library's path."""
    return re.sub(r"^Failed to load library .* with error: ", "", first_line(error))


def _records(library: Library) -> tuple[Any, ...]:
    import onnxruntime

    def from_it(record: Any) -> bool:
        path = record.ep_metadata.get("library_path")
        return record.ep_name == library.native or bool(path and Path(path).resolve() == library.path)

    return tuple(record for record in onnxruntime.get_ep_devices() if from_it(record))


def numbered(records: Sequence[Any], number: str, provider: Provider) -> Any:
    """One of a provider's device records, by the number that a user gave."""
    if number.isdecimal() and int(number) < len(records):
        return records[int(number)]
    message = f"option `device` of provider `{provider.name}` is `{number}`"
    known = f"use a number from 0 to {len(records) - 1}, as gpux providers lists them"
    raise InvalidSetting(message, hint=known, provider=provider.name, setting="device")


def versions(distributions: Sequence[str]) -> dict[str, str]:
    """The versions of those distributions that are installed."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in distributions:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def device(record: Any) -> Device:
    """One device record for people: its name or its maker, its kind, its memory where the runtime tells."""
    kind = _KINDS.get(record.device.type.name, record.device.type.name.lower())
    about: Mapping[str, str] = {**record.ep_metadata, **record.device.metadata}
    # Windows describes its adapters; elsewhere there is the maker.
    name = " ".join(about.get("Description", "").split()) or f"{record.device.vendor} {kind.upper()}".strip()
    megabytes = re.fullmatch(r"(\d+) MB", about.get("DxgiVideoMemory", ""))
    return Device(name, kind, int(megabytes[1]) << 20 if megabytes and int(megabytes[1]) else None)
