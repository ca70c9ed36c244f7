"""Reads what a Core ML specification declares: inputs, outputs, their ranges, its version; knows neither coremltools nor files.

It is handed the message that ``coremltools.utils.load_spec`` parsed. Fields and numbers are those of Model.proto,
FeatureTypes.proto and MIL.proto (coremltools 9.0).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gpux.tensors import TensorSpec

SUFFIX = ".mlpackage"

# ArrayFeatureType.ArrayDataType → numpy's name.
DTYPES = {65568: "float32", 65600: "float64", 131104: "int32", 65552: "float16", 131080: "int8"}

# Specification version → the first macOS that reads it (coremltools.target).
MACOS = {6: "12", 7: "13", 8: "14", 9: "15", 10: "26"}

AXES = ("batch", "sequence")
"""What the flexible axes of a text encoder stand for, in their order."""

Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class PackageSummary:
    """What a specification declares.

    Attributes:
        inputs: Its inputs that are arrays.
        outputs: Its outputs that are arrays.
        ranges: Input → smallest and largest size of each axis.
        version: The specification's version.
        kind: ``mlProgram``, or another kind of model.
        operations: Operations that compute something.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    ranges: dict[str, Ranges]
    version: int
    kind: str
    operations: int

    @property
    def macos(self) -> str:
        """The first macOS that reads it, as far as this version of GPUX knows."""
        return MACOS.get(self.version, "a later one than this version knows")


def summarise(specification: Any) -> PackageSummary:
    """What a ``Model_pb2.Model`` declares."""
    description = specification.description
    ranges = {feature.name: _ranges(feature) for feature in _arrays(description.input)}
    shapes = dict(_shapes(specification.mlProgram))
    return PackageSummary(
        inputs=tuple(
            TensorSpec(feature.name, _dtype(feature), _symbols(ranges[feature.name]))
            for feature in _arrays(description.input)
        ),
        outputs=tuple(
            TensorSpec(feature.name, _dtype(feature), shapes.get(feature.name, _stated(feature)))
            for feature in _arrays(description.output)
        ),
        ranges=ranges,
        version=int(specification.specificationVersion),
        kind=str(specification.WhichOneof("Type")),
        operations=sum(operation.type != "const" for operation in _operations(specification.mlProgram)),
    )


def misfits(
    summary: PackageSummary, *, inputs: Sequence[str], outputs: Sequence[str], ranges: Ranges, version: int
) -> list[str]:
    """Where a package is not what a text encoder has to be, a phrase for each.

    Args:
        summary: The package.
        inputs: What it has to take, in any order; int32 [batch, sequence].
        outputs: What it has to give, in this order; float32 [batch, …].
        ranges: Sizes of the inputs' axes.
        version: The specification's version.
    """
    found = []
    if summary.kind != "mlProgram":
        found.append(f"it is a {summary.kind}, not an ML program")
    if summary.version != version:
        found.append(f"its version is {summary.version}, not {version}")
    if {spec.name for spec in summary.inputs} != set(inputs):
        found.append(f"it takes {', '.join(s.name for s in summary.inputs)}, not {', '.join(inputs)}")
    if [spec.name for spec in summary.outputs] != list(outputs):
        found.append(f"it gives {', '.join(s.name for s in summary.outputs)}, not {', '.join(outputs)}")
    found += [f"input {spec} is no int32" for spec in summary.inputs if spec.dtype != "int32"]
    found += [f"output {spec} is no float32" for spec in summary.outputs if spec.dtype != "float32"]
    flat = [spec for spec in summary.outputs if spec.shape[:1] != AXES[:1]]
    found += [f"output {spec} has no axis for the batch" for spec in flat]
    for name, has in summary.ranges.items():
        if has != ranges:
            found.append(f"input `{name}` has axes of {_spans(has)}, not of {_spans(ranges)}")
    return found


def _spans(ranges: Ranges) -> str:
    return " × ".join(f"{low} to {high}" for low, high in ranges)


def _arrays(features: Any) -> Iterator[Any]:
    return (feature for feature in features if feature.type.WhichOneof("Type") == "multiArrayType")


def _dtype(feature: Any) -> str:
    number = int(feature.type.multiArrayType.dataType)
    return DTYPES.get(number, f"type {number}")


def _stated(feature: Any) -> tuple[int | str | None, ...]:
    return tuple(int(size) or None for size in feature.type.multiArrayType.shape)


def _ranges(feature: Any) -> Ranges:
    array = feature.type.multiArrayType
    if array.WhichOneof("ShapeFlexibility") == "shapeRange":
        return tuple((int(size.lowerBound), int(size.upperBound)) for size in array.shapeRange.sizeRanges)
    return tuple((int(size), int(size)) for size in array.shape)


def _symbols(ranges: Ranges) -> tuple[int | str | None, ...]:
    return tuple(low if low == high else _axis(axis) for axis, (low, high) in enumerate(ranges))


def _shapes(program: Any) -> Iterator[tuple[str, tuple[int | str | None, ...]]]:
    """Shapes of the program's values: a flexible output states none in the description, only where it is computed."""
    for operation in _operations(program):
        for value in operation.outputs:
            dimensions = enumerate(value.type.tensorType.dimensions)
            yield value.name, tuple(_size(axis, dimension) for axis, dimension in dimensions)


def _operations(program: Any) -> Iterator[Any]:
    for function in program.functions.values():
        for block in function.block_specializations.values():
            yield from block.operations


def _size(axis: int, dimension: Any) -> int | str | None:
    return int(dimension.constant.size) if dimension.WhichOneof("dimension") == "constant" else _axis(axis)


def _axis(axis: int) -> str | None:
    return AXES[axis] if axis < len(AXES) else None
