"""A graph with a cache of keys and values: its stateful form is compiled when it is opened, the plain one when it is run without."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gpux.provider import Placement

from ._openvino_attention import DOMAIN, OPERATOR, Attention, converter
from ._openvino_bound import OpenVinoBound
from ._openvino_embedding import OPERATOR as EMBEDDING
from ._openvino_embedding import gather
from ._openvino_placement import placement
from ._openvino_session import OpenVinoSession
from ._openvino_stateful import stateful

_PAST, _PRESENT = "past_key_values.", "present."
Read = Callable[[], tuple[Any, list[Attention]]]


def reader(core: Any, source: Callable[[], Any]) -> Read:
    """What reads a graph as often as it is asked, and says which attentions it has.

    Args:
        core: OpenVINO's ``Core``.
        source: Makes what its ``read_model`` takes.
    """
    from openvino.frontend.onnx import ConversionExtension

    found: list[Attention] = []
    for operator, convert in ((OPERATOR, converter(found)), (EMBEDDING, gather)):
        core.add_extension(ConversionExtension(operator, DOMAIN, convert))

    def read() -> tuple[Any, list[Attention]]:
        found.clear()
        return core.read_model(source()), list(found)

    return read


def opened(core: Any, read: Read, device: str, properties: Mapping[str, Any], **rest: Any) -> OpenVinoSession:
    """The session of a graph; see :class:`OpenVinoSession`."""
    model, attentions = read()
    if any(port.get_any_name().startswith(_PAST) for port in model.inputs):
        return OpenVinoDecoder(core, model, device, properties, read=read, attentions=attentions, **rest)
    return OpenVinoSession(core, model, device, properties, **rest)


class OpenVinoDecoder(OpenVinoSession):
    """A session whose keys and values OpenVINO can keep. Run without :meth:`bind`, they go in and out as arrays.

    Args:
        read: Reads the graph again, for the stateful form is made of it by changing it.
        attentions: What was found in it.
    """

    def __init__(
        self,
        core: Any,
        model: Any,
        *given: Any,
        read: Read,
        attentions: list[Attention],
        **rest: Any,
    ) -> None:
        self._read, self._attentions = read, attentions
        self._plain, self._forms = threading.Lock(), threading.Lock()
        self._bound: dict[frozenset[str], Any] = {}
        super().__init__(core, model, *given, **rest)

    def bind(
        self,
        pairs: Mapping[str, str],
        shapes: Mapping[str, tuple[int, ...]],
        *,
        held: Mapping[str, np.ndarray],
        moving: bool = False,
    ) -> OpenVinoBound:
        """States of one conversation; see :meth:`gpux.provider.Binds.bind`."""
        del moving  # a state may have any shape
        form = frozenset(pairs)
        with self._forms:
            if form not in self._bound:
                model, attentions = self._read()
                self._bound[form] = self._compile(stateful(model, attentions, pairs, shapes))
        return OpenVinoBound(self._bound[form], form & self._grow, held, self._device)

    def placement(self) -> Placement:
        """Nodes and precision of the stateful form, as the runtime tells them."""
        return placement(next(iter(self._bound.values())))

    def close(self) -> None:
        """Let go of the runtime's memory."""
        super().close()
        self._bound.clear()

    def _ready(self, model: Any) -> None:
        results = {one.output(0).get_any_name() for one in model.get_results()}
        self._grow = frozenset(past.get_any_name() for one in self._attentions for past in one.past)
        pairs, shapes = {}, {}
        for port in model.inputs:
            name = port.get_any_name()
            if name.startswith(_PAST) and (present := name.replace(_PAST, _PRESENT)) in results:
                pairs[name] = present
                shapes[name] = tuple(
                    0 if size.is_dynamic else size.get_length() for size in port.get_partial_shape()
                )
        self._bound[frozenset(pairs)] = self._compile(stateful(model, self._attentions, pairs, shapes))

    def _request(self, feeds: Mapping[str, np.ndarray]) -> Any:
        with self._plain:
            if self._compiled is None:
                self._model, _ = self._read()
                self._compiled = self._compile(self._model)
        return super()._request(feeds)
