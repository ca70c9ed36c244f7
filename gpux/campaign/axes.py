"""What is varied in a campaign: axes with values → configurations; opens nothing and knows no model."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from gpux.bench.settings import Settings, settle
from gpux.errors import InvalidSetting

MODES = ("onnx", "torch")
MOST = 200
"""Configurations of one campaign; more are a slip of the keyboard rather than a wish."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """One way to run a model.

    Attributes:
        axes: Axis → value as text, of the axes that are varied and mean something for it.
        mode: ``onnx``, or ``torch`` for the source model in PyTorch.
        provider: As :func:`gpux.load` takes it.
        variant: As :func:`gpux.load` takes it.
        threads: As :func:`gpux.load` takes it.
        settings: How it is measured.
    """

    axes: dict[str, str]
    mode: str
    provider: str | None
    variant: str | None
    threads: int | None
    settings: Settings

    @property
    def label(self) -> str:
        """What tells it from the others."""
        named = (f"{axis} {value}" if value.isdecimal() else value for axis, value in self.axes.items())
        return " · ".join(named)


def _number(axis: str) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        text = str(value)
        if isinstance(value, bool) or not text.isdecimal() or not 0 < len(text) < 10 or int(text) < 1:
            raise InvalidSetting(
                f"`{axis}` cannot be `{value}`",
                hint=f"write it like {axis}=1,2,4",
                setting=axis,
            )
        return int(text)

    return read


def _name(axis: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if not isinstance(value, str) or not value:
            raise InvalidSetting(
                f"`{axis}` cannot be `{value}`", hint=f"write it like {axis}=one,another", setting=axis
            )
        return value

    return read


def _mode(value: Any) -> str:
    if value not in MODES:
        raise InvalidSetting(
            f"there is no mode `{value}`", hint=f"modes are {' and '.join(MODES)}", setting="mode"
        )
    return str(value)


AXES: dict[str, Callable[[Any], str | int]] = {
    "mode": _mode,
    "provider": _name("provider"),
    "variant": _name("variant"),
    "threads": _number("threads"),
    "sequence": _number("sequence"),
    "concurrency": _number("concurrency"),
    "batch": _number("batch"),
}
"""Axis → how its values are read, in the order in which they vary: the last one fastest."""


def read(texts: Iterable[str]) -> dict[str, tuple[str | int, ...]]:
    """Axes from texts such as ``batch=1,4,8``.

    Raises:
        InvalidSetting: There is no such axis, or one of its values is none.
    """
    given: dict[str, Sequence[Any]] = {}
    for text in texts:
        axis, equals, values = text.partition("=")
        if not equals:
            raise InvalidSetting(f"`{text}` varies nothing", hint="write it like batch=1,4,8", setting=text)
        given[axis.strip()] = [*given.get(axis.strip(), ()), *(part.strip() for part in values.split(","))]
    return check(given)


def check(axes: Mapping[str, Iterable[Any]]) -> dict[str, tuple[str | int, ...]]:
    """Axes with their values checked and doubles left out, in the order in which they vary.

    Raises:
        InvalidSetting: There is no such axis, one of its values is none, or it has no value.
    """
    found: dict[str, tuple[str | int, ...]] = {}
    for axis, values in axes.items():
        if axis not in AXES:
            close = difflib.get_close_matches(axis, AXES, n=1)
            hint = f"did you mean `{close[0]}`" if close else f"axes are {', '.join(AXES)}"
            raise InvalidSetting(f"there is no axis `{axis}`", hint=hint, setting=axis)
        listed = [values] if isinstance(values, str | int) else list(values)
        found[axis] = tuple(dict.fromkeys(AXES[axis](value) for value in listed))
        if not found[axis]:
            raise InvalidSetting(f"`{axis}` has no value", hint=f"write it like {axis}=1,2", setting=axis)
    return {axis: found[axis] for axis in AXES if axis in found}


def expand(
    axes: Mapping[str, Sequence[str | int]],
    *,
    provider: str | None,
    variant: str | None,
    threads: int | None,
    settings: Settings,
) -> tuple[Configuration, ...]:
    """Every combination of the axes' values, the first axis slowest; what means nothing for PyTorch is not repeated for it.

    Raises:
        InvalidSetting: There are more than :data:`MOST`, or an axis contradicts a setting.
    """
    count = 1
    for values in axes.values():
        count *= len(values)
    if count > MOST:
        raise InvalidSetting(
            f"these axes make {count} configurations, more than {MOST}",
            hint="leave values out, or measure in parts",
        )
    found: dict[tuple[tuple[str, str], ...], Configuration] = {}
    for values in product(*axes.values()):
        chosen = dict(zip(axes, values, strict=True))
        mode = str(chosen.get("mode", "onnx"))
        if mode == "torch":
            chosen = {axis: value for axis, value in chosen.items() if axis not in {"provider", "variant"}}
        named = {axis: str(value) for axis, value in chosen.items()}
        configuration = Configuration(
            axes=named,
            mode=mode,
            provider=named.get("provider", provider),
            variant=named.get("variant", variant),
            threads=int(chosen["threads"]) if "threads" in chosen else threads,
            settings=_vary(settings, chosen),
        )
        found.setdefault(tuple(named.items()), configuration)
    return tuple(found.values())


def _vary(settings: Settings, chosen: Mapping[str, Any]) -> Settings:
    """The settings with the axes' values in them, and the scenario that follows from these."""
    if not chosen.keys() & {"batch", "concurrency", "sequence"}:
        return settings
    batch = chosen.get("batch", settings.batch)
    again = settle(
        batch_size=None if batch == 1 else batch,
        concurrency=chosen.get("concurrency", settings.concurrency),
        sequence_length=chosen.get("sequence", settings.sequence),
        rate=settings.rate,
        scenario=settings.scenario if settings.scenario == "offline" else None,
    )
    return replace(
        settings,
        scenario=again.scenario,
        batch=again.batch,
        concurrency=again.concurrency,
        sequence=again.sequence,
    )
