"""Single settings out of a model's own JSON files, each of the type that the code after it relies on.

Anybody may have written these files; knows no setting's meaning.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, TypeGuard

from gpux.artifact import Artifact
from gpux.errors import UnsupportedModel

MOST = 2**31
"""Settings are smaller: they end in int32 inputs, and what transformers writes for "no limit" is larger."""


class Fields:
    """One JSON object of a model; a field that is missing or null is ``None``.

    Args:
        artifact: The model.
        path: The file; one that the model does not have is an object without fields.
        data: The object inside the file, where it is not the whole.

    Raises:
        UnsupportedModel: The file, or a field that is asked for, is of another type.
        CorruptArtifact: The file is no JSON.
    """

    def __init__(self, artifact: Artifact, path: str, data: dict[str, Any] | None = None) -> None:
        self._artifact = artifact
        self._path = path
        self.data = artifact.read_json(path) if data is None else data
        if data is None and list(self.data) == ["items"]:  # how the artifact gives a list
            raise self._refusal("a list", "an object")

    def __contains__(self, key: str) -> bool:
        return key in self.data

    def text(self, key: str, *, among: Collection[str] = ()) -> str | None:
        """A string, one of ``among`` where that is given."""
        value = self.data.get(key)
        if value is None:
            return None
        if not isinstance(value, str) or any(0xD800 <= ord(character) < 0xE000 for character in value):
            raise self.refused(key, "a text")
        if among and value not in among:
            raise self.refused(key, f"one of {', '.join(among)}")
        return value

    def flag(self, key: str) -> bool | None:
        """``true`` or ``false``."""
        value = self.data.get(key)
        if value is not None and not isinstance(value, bool):
            raise self.refused(key, "true or false")
        return value

    def whole(self, key: str, *, least: int = 0) -> int | None:
        """A whole number from ``least`` up to :data:`MOST`."""
        value = self.data.get(key)
        if value is None:
            return None
        if not _is_number(value) or not least <= value < MOST or value != int(value):
            raise self.refused(key, f"a whole number from {least}")
        return int(value)

    def number(self, key: str) -> float | None:
        """A finite number, with a point or without."""
        value = self.data.get(key)
        if value is None:
            return None
        if not _is_number(value) or not -MOST < value < MOST:
            raise self.refused(key, "a number")
        return float(value)

    def length(self, key: str) -> int | None:
        """A number of tokens from 1; so large a one that it means no limit is ``None``."""
        value = self.data.get(key)
        return None if _is_number(value) and value >= MOST else self.whole(key, least=1)

    def table(self, key: str) -> Fields:
        """An object inside this one; without fields where there is none."""
        value = self.data.get(key)
        if value is not None and not isinstance(value, dict):
            raise self.refused(key, "an object")
        return Fields(self._artifact, self._path, value or {})

    def of(self, data: dict[str, Any]) -> Fields:
        """An object that stands in a list of this one."""
        return Fields(self._artifact, self._path, data)

    def refused(self, key: str, wanted: str) -> UnsupportedModel:
        """The error for a field that is not what it must be."""
        return self._refusal(f"`{key}` = {repr(self.data.get(key))[:80]}", wanted)

    def _refusal(self, found: str, wanted: str) -> UnsupportedModel:
        return UnsupportedModel(
            f"`{self._path}` of `{self._artifact.reference}` has {found} where {wanted} belongs",
            hint=f"mend the file at its source, then gpux pull {self._artifact.reference} --force",
            reference=self._artifact.reference,
            path=self._path,
        )


def modules(artifact: Artifact) -> list[tuple[str, str]] | None:
    """Type and folder of each module of ``modules.json``; ``None`` where the model has no such file.

    Raises:
        UnsupportedModel: It is no list of modules.
        CorruptArtifact: It is no JSON.
    """
    name = "modules.json"
    if not any(file.path == name for file in artifact.manifest.files):
        return None
    whole = Fields(artifact, name, artifact.read_json(name))
    listed = whole.data.get("items")
    if not isinstance(listed, list) or not all(isinstance(module, dict) for module in listed):
        raise whole.refused("items", "a list of modules")
    each = [Fields(artifact, name, module) for module in listed]
    return [(module.text("type") or "", (module.text("path") or "").strip("/")) for module in each]


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
