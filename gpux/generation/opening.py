"""Open graphs of a model → the decoder over them; knows which components make which kind."""

from __future__ import annotations

from collections.abc import Mapping

from gpux.errors import UnsupportedModel
from gpux.generation.causal import CausalDecoder, Graph
from gpux.generation.decoder import Decoder
from gpux.generation.settings import GenerationSettings


def decoder(graphs: Mapping[str, Graph], *, limit: int, settings: GenerationSettings) -> Decoder:
    """A decoder that has read nothing yet.

    Args:
        graphs: Component → open graph.
        limit: Tokens that a row can come to.
        settings: The model's own settings: what an answer begins with.

    Raises:
        UnsupportedModel: The components make no decoder.
    """
    del settings
    if set(graphs) == {"model"}:
        return CausalDecoder(graphs["model"], limit=limit)
    raise UnsupportedModel(
        f"nothing that writes has the components {', '.join(graphs)}",
        hint="pull the model again with --force",
    )
