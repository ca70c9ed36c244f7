"""The grammar of model references: text in, one frozen record out; touches neither disk nor network.

    [scheme:]name[/file][@revision][:variant]

    org/name   name   hf:org/name   huggingface:org/name      a Hub repository
    org/name/onnx/model.onnx                                   one file of it
    pypi:name   pypi:name==1.2   pypi:name/path/in/wheel       a model inside a wheel
    ./dir   ~/dir   /abs/model.onnx   file:anything            a directory or graph on this machine

A suffix after the last colon is a variant when it is one of :data:`VARIANTS`.
"""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from gpux import settings
from gpux.errors import InvalidReference, InvalidSetting, UnknownVariant

MLPACKAGE = "mlpackage"
"""The variant that is no ONNX graph: a Core ML package, in half precision."""

VARIANTS = ("fp32", "fp16", "bf16", "int8", "uint8", "q4", "q4f16", "q4kv8", "bnb4", MLPACKAGE)
"""Precision names, as the Hub's ONNX repositories spell them, and the Core ML package."""

_SCHEMES = {"hf": "hf", "huggingface": "hf", "pypi": "pypi", "file": "file"}
_LATER = {"oci"}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(?!\\)(.*)", re.DOTALL)
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
# The Hub's own rule for names (huggingface_hub.utils.validate_repo_id), per segment.
_HUB_SEGMENT = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?")
# PEP 508 names; PEP 440 versions are left to pip beyond this alphabet.
_PROJECT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]*")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*")


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a model comes from, parsed once.

    Attributes:
        scheme: ``hf``, ``pypi`` or ``file``.
        name: ``org/name`` or ``name``; a normalised project name (PEP 503); an absolute path.
        revision: A Hub branch, tag or commit; a package version.
        file: A path inside the source, with forward slashes.
        variant: One of :data:`VARIANTS`.
    """

    scheme: str
    name: str
    revision: str | None = None
    file: str | None = None
    variant: str | None = None

    @property
    def short_name(self) -> str:
        """The last path segment, by which a stored model can be named while that is unambiguous."""
        if self.scheme == "file" and self.file:
            return Path(self.file).stem
        return re.split(r"[/\\]", self.name.rstrip("/\\"))[-1]

    @property
    def base(self) -> Reference:
        """The same model without its variant: what the store files it under."""
        return replace(self, variant=None)

    def __str__(self) -> str:
        text = self.name if self.scheme == "hf" else f"{self.scheme}:{self.name}"
        if self.scheme == "pypi" and self.revision:
            text += f"=={self.revision}"
        if self.file:
            text += f"/{self.file}"
        if self.scheme == "hf" and self.revision:
            text += f"@{self.revision}"
        return text + (f":{self.variant}" if self.variant else "")


def parse(text: str | os.PathLike[str], *, revision: str | None = None) -> Reference:
    """Parse a reference.

    Args:
        text: What the user typed; a :class:`~pathlib.Path` always means a place on this machine.
        revision: A revision given apart (``--revision``); contradicting the text is an error.

    Raises:
        InvalidReference: The text does not follow the grammar; the hint shows one that does.
        UnknownVariant: The text ends in something like a variant that is none.
    """
    text = _text(text)
    stripped = text.strip()
    if not stripped or any(ord(c) < 32 for c in stripped):
        raise _invalid(text, "it is empty" if not stripped else "it holds control characters")
    scheme, rest = _split_scheme(stripped)
    rest, variant = _split_variant(text, rest, scheme)
    reference = {"hf": _hub, "pypi": _package, "file": _local}[scheme](text, rest)
    if revision:
        reference = _with_revision(text, reference, revision)
    return replace(reference, variant=variant)


def default_variant() -> str | None:
    """The variant when none is named: ``GPUX_VARIANT``, else ``None``.

    Raises:
        InvalidSetting: It is none of :data:`VARIANTS`.
    """
    value = settings.variant()
    if value is None or value.lower() in VARIANTS:
        return value and value.lower()
    raise InvalidSetting(
        f"`GPUX_VARIANT` is `{value}`, which is no variant",
        hint=f"use one of {', '.join(VARIANTS)}, or unset it",
        variable="GPUX_VARIANT",
    )


def is_path(text: str) -> bool:
    r"""Whether the text can only mean a place on this machine (``./x``, ``/x``, ``~/x``, ``C:\x``, ``file:x``)."""
    return (
        text.startswith(("./", "../", "/", "~", ".\\", "..\\", "\\", "file:"))
        or text in {".", ".."}
        or bool(_DRIVE.match(text))
    )


def _text(given: object) -> str:
    if isinstance(given, str):
        return given
    if isinstance(given, os.PathLike):
        return os.path.abspath(os.fsdecode(given))  # noqa: PTH100 - so that it cannot be taken for a Hub's name
    raise InvalidReference(
        f"a model reference is text or a path, not {type(given).__name__}",
        hint="write org/name, pypi:package, ./directory or ./model.onnx",
        reference=repr(given)[:100],
    )


def _split_scheme(text: str) -> tuple[str, str]:
    if text.startswith("file:"):
        return "file", text.removeprefix("file:")
    if is_path(text):
        return "file", text
    match = _SCHEME.match(text)
    if not match or match[2] in VARIANTS:
        return "hf", text
    scheme, rest = match[1].lower(), match[2]
    if scheme in _SCHEMES:
        return _SCHEMES[scheme], rest
    if scheme in _LATER:
        raise _invalid(text, f"the scheme `{scheme}:` is not supported by this version")
    if rest.startswith("//"):
        raise InvalidReference(
            f"`{text}` is a web address, not a model reference",
            hint="use org/name, as it stands in the address",
            reference=text,
        )
    close = difflib.get_close_matches(scheme, _SCHEMES, n=1, cutoff=0.5)
    if "/" not in rest and not close:
        return "hf", text
    known = f"did you mean `{close[0]}:{rest}`" if close else "schemes are hf:, pypi: and file:"
    raise InvalidReference(f"`{text}` has the unknown scheme `{scheme}:`", hint=known, reference=text)


def _split_variant(text: str, rest: str, scheme: str) -> tuple[str, str | None]:
    head, colon, tail = rest.rpartition(":")
    if not colon or _DRIVE.match(rest[len(head) - 1 :] if head else ""):
        return rest, None
    if tail.lower() in VARIANTS:
        return head, tail.lower()
    if scheme == "file":
        return rest, None
    close = difflib.get_close_matches(tail.lower(), VARIANTS, n=1)
    raise UnknownVariant(
        f"`{text}` ends in `:{tail}`, which is no variant",
        hint=f"did you mean `{head}:{close[0]}`" if close else f"variants are {', '.join(VARIANTS)}",
        reference=text,
        variant=tail,
    )


def _hub(text: str, rest: str) -> Reference:
    name, at, revision = rest.partition("@")
    if at and (not _REVISION.fullmatch(revision) or ".." in revision):
        raise _invalid(text, f"`{revision}` is no branch, tag or commit")
    segments = name.split("/")
    for segment in segments[:2]:
        if (
            not _HUB_SEGMENT.fullmatch(segment)
            or ".." in segment
            or "--" in segment
            or segment.endswith(".git")
        ):
            raise _invalid(text, f"`{segment}` cannot be part of a Hub name")
    file = "/".join(segments[2:]) or None
    if file is None and len(segments) > 2:
        raise _invalid(text, "it ends in a slash")
    return Reference("hf", "/".join(segments[:2]), revision or None, _inner(text, file))


def _package(text: str, rest: str) -> Reference:
    head, _, file = rest.partition("/")
    name, _, version = head.replace("@", "==", 1).partition("==")
    if not _PROJECT.fullmatch(name):
        raise _invalid(text, f"`{name}` cannot be the name of a package")
    if "==" in head.replace("@", "==", 1) and not _VERSION.fullmatch(version):
        raise _invalid(text, f"`{version}` cannot be a version")
    return Reference(
        "pypi", re.sub(r"[-_.]+", "-", name).lower(), version or None, _inner(text, file or None)
    )


def _local(text: str, rest: str) -> Reference:
    if not rest:
        raise _invalid(text, "it names no path")
    try:
        path = Path(rest).expanduser()
    except RuntimeError:
        raise _invalid(text, f"nobody's home directory is `{rest.partition('/')[0]}`") from None
    absolute = Path(os.path.normpath(path.absolute()))
    if absolute.suffix.lower() == ".onnx":
        return Reference("file", str(absolute.parent), file=absolute.name)
    return Reference("file", str(absolute))


def _inner(text: str, file: str | None) -> str | None:
    if file is None:
        return None
    parts = file.split("/")
    if "\\" in file or any(part in {"", ".", ".."} for part in parts):
        raise _invalid(text, f"`{file}` is no path inside a repository")
    return file


def _with_revision(text: str, reference: Reference, revision: str) -> Reference:
    if reference.scheme == "file":
        raise InvalidReference(
            f"`{text}` is a local path and has no revisions", hint="drop --revision", reference=text
        )
    if reference.revision not in {None, revision}:
        raise InvalidReference(
            f"`{text}` asks for revision `{reference.revision}` and --revision for `{revision}`",
            hint="give one of them",
            reference=text,
        )
    parsed = parse(
        f"{reference.scheme}:{reference.name}{'==' if reference.scheme == 'pypi' else '@'}{revision}"
    )
    return replace(parsed, file=reference.file)


def _invalid(text: str, why: str) -> InvalidReference:
    return InvalidReference(
        f"`{text}` is not a model reference: {why}",
        hint="write org/name, pypi:package, ./directory or ./model.onnx, with @revision or :fp16 behind it if needed",
        reference=text,
    )
