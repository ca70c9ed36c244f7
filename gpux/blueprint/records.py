"""What a ``gpux.yml`` says, as records; types and bounds stand in the hints, for whoever reads a file and for the schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

VARIANT_NAMES = ("fp32", "fp16", "bf16", "int8", "uint8", "q4", "q4f16", "bnb4")
PRESETS = ("imagenet", "clip", "inception", "half")
FILTERS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")


@dataclass(frozen=True, slots=True)
class Among:
    """A text must be one of these."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Within:
    """A number must lie within these bounds, both included."""

    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Shaped:
    """A text must match a pattern as a whole; ``wanted`` says it in words."""

    pattern: str
    wanted: str


@dataclass(frozen=True, slots=True)
class Counted:
    """A list must have so many entries."""

    least: int
    most: int


File = Annotated[
    str, Shaped(r"(?!/)[^\\:\x00-\x1f]+", "the path of a file in this folder, with forward slashes")
]
Name = Annotated[
    str, Shaped(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?", "letters, digits, dots and dashes")
]
VariantName = Annotated[str, Among(VARIANT_NAMES)]
Pixels = Annotated[int, Within(1, 8192)]
Both = Annotated[tuple[Pixels, ...], Counted(2, 2)]
Channels = Annotated[tuple[Annotated[float, Within(-1000, 1000)], ...], Counted(1, 4)]
Labels = tuple[str, ...] | dict[Annotated[int, Within(0, 10_000_000)], str] | File
Count = Annotated[int, Within(1, 65_536)]


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The graphs, as paths in the folder.

    Attributes:
        source: The graph in full precision; where neither key is given, the only ONNX file of the folder.
        variants: Precision → its graph, for those beside it.
    """

    source: File | None = None
    variants: dict[VariantName, File] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How what a person has becomes what the graph takes; files of that name in the folder say the rest.

    Attributes:
        name: Settings of pictures by name, which the other keys change: `imagenet` (shorter side to 256, the middle 224, ImageNet's
            mean and deviation), `clip` (shorter side and middle 224, bicubic, CLIP's), `inception` and `half` (stretched to 224,
            between -1 and 1). Where the graph's own height and width are fixed, those take the place of 224.
        size: Pixels of the shorter side, or height and width to stretch to.
        crop: Pixels of a square cut from the middle, height and width, or false.
        mean: Subtracted from each channel after scaling.
        std: Each channel is divided by it after that.
        scale: What pixel values from 0 to 255 are multiplied by first; 1/255 when it is not given.
        resample: The filter of resizing.
        tokenizer: A `tokenizer.json`.
        max_length: Tokens that a text is cut at.
        sampling_rate: Samples per second of sound.
        normalize: Whether sound is brought to mean 0 and deviation 1.
    """

    name: Annotated[str, Among(PRESETS)] | None = None
    size: Pixels | Both | None = None
    crop: Pixels | Both | bool | None = None
    mean: Channels | None = None
    std: Channels | None = None
    scale: Annotated[float, Within(1e-6, 1000)] | None = None
    resample: Annotated[str, Among(FILTERS)] | None = None
    tokenizer: File | None = None
    max_length: Annotated[int, Within(1, 1_000_000)] | None = None
    sampling_rate: Annotated[int, Within(1000, 384_000)] | None = None
    normalize: bool | None = None


@dataclass(frozen=True, slots=True)
class Runtime:
    """What a load takes where its caller, and GPUX_PROVIDER, GPUX_VARIANT and GPUX_THREADS, say nothing.

    Attributes:
        provider: A provider's name.
        variant: A precision among those of `model`.
        threads: Threads inside an operator.
        options: Settings of the provider, which must be named then.
    """

    provider: Name | None = None
    variant: VariantName | None = None
    threads: Annotated[int, Within(1, 4096)] | None = None
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Serving:
    """Settings of a server; kept with the model, and used by nothing yet.

    Attributes:
        port: Its port.
        max_batch_size: Requests that are computed together at most.
        max_delay_ms: Milliseconds that a request waits for others.
        timeout_s: Seconds after which a request is given up.
    """

    port: Annotated[int, Within(1, 65_535)] | None = None
    max_batch_size: Count | None = None
    max_delay_ms: Annotated[float, Within(0, 60_000)] | None = None
    timeout_s: Annotated[float, Within(0.001, 86_400)] | None = None


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A model of one's own.

    Attributes:
        name: The name that it is stored under; the folder's when it is not given.
        version: For people.
        task: The task that it answers.
        model: Its graphs.
        inputs: The graph's own name of an input → the name that the task gives it.
        outputs: The graph's own name of an output → the name that the task reads.
        labels: The names of its classes: a list, numbers and names, or a file of names, one a line (`.txt`) or as JSON.
        preprocessing: How inputs are prepared, or only the name of settings for pictures.
        runtime: How it runs when nothing else is said.
        serving: Settings of a server.
    """

    name: Name | None = None
    version: str | None = None
    task: Annotated[str, Shaped(r"[A-Za-z][A-Za-z0-9_-]*", "a task's name, such as raw")] = "raw"
    model: ModelFiles = field(default_factory=ModelFiles)
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    labels: Labels | None = None
    preprocessing: Preprocessing | Annotated[str, Among(PRESETS)] | None = None
    runtime: Runtime = field(default_factory=Runtime)
    serving: Serving = field(default_factory=Serving)

    @property
    def prepared(self) -> Preprocessing:
        """The preprocessing, a bare name spelt out."""
        given = self.preprocessing
        return given if isinstance(given, Preprocessing) else Preprocessing(name=given)


Lines = Mapping[str, int]
"""Key, with dots (``model.source``), → the line that it stands in."""
